/* SPDX-License-Identifier: Apache-2.0 */
/* Which elements of which fields go where: parts of conversions between random formats, done one element at a time,
 * against the reference. */
#include "tests/support/random_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conversion.h"

#define NPAIRS 20000

static ndbuf_format *format_of(const test_type *type)
{
    char text[4096];
    test_type_print(type, text, sizeof(text));
    ndbuf_format *format = test_parse(text);
    if (ndbuf_format_itemsize(format) != test_type_nbytes(type)) {
        fail_msg("'%s' takes %lld bytes instead of %lld", text, (long long)ndbuf_format_itemsize(format),
                 (long long)test_type_nbytes(type));
    }
    return format;
}

static void do_part(char *dst, const char *src, const ndbuf__conversion_part *part, int32_t axis, uint32_t flags)
{
    if (axis < part->ndim) {
        for (int64_t i = 0; i < part->shape[axis]; i++) {
            do_part(dst + i * part->dst_strides[axis], src + i * part->src_strides[axis], part, axis + 1, flags);
        }
    } else if (part->dst.number == 0) {
        assert_int_equal(part->src.number, 0);
        assert_int_equal(part->dst.nbytes, part->src.nbytes);
        memcpy(dst, src, (size_t)part->dst.nbytes);
    } else {
        test_convert_element(dst, &part->dst, src, &part->src, flags);
    }
}

static void test_parts_of_conversions_do_to_items_what_the_reference_does(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 72);
    for (int i = 0; i < NPAIRS; i++) {
        test_type to;
        test_type from;
        test_random_types(&random, &to, &from);
        ndbuf_format *dst = format_of(&to);
        ndbuf_format *src = format_of(&from);
        uint32_t flags = i % 4 == 0 ? NDBUF_CAST_SATURATE : 0;
        ndbuf__conversion conversion;
        ASSERT_OK(ndbuf_format_can_cast(dst, src, NDBUF_CASTING_UNSAFE, err));
        ASSERT_OK(ndbuf__conversion_init(&conversion, dst, src, NDBUF_CASTING_UNSAFE, flags, err));

        size_t nbytes = (size_t)test_type_nbytes(&to);
        char *item = malloc((size_t)test_type_nbytes(&from));
        char *expected = malloc(nbytes);
        char *actual = malloc(nbytes);
        assert_non_null(item);
        assert_non_null(expected);
        assert_non_null(actual);
        test_random_fill(&random, item, (size_t)test_type_nbytes(&from));
        test_random_item(&random, &from, item);
        test_random_fill(&random, expected, nbytes);
        memcpy(actual, expected, nbytes);
        test_convert_item(expected, &to, item, &from, flags);
        assert_int_equal(conversion.flags, flags);
        for (int32_t p = 0; p < conversion.nparts; p++) {
            const ndbuf__conversion_part *part = &conversion.parts[p];
            do_part(actual + part->dst_offset, item + part->src_offset, part, 0, flags);
        }
        char what[2048];
        snprintf(what, sizeof(what), "pair %d, '%.900s' from '%.900s'", i, ndbuf_format_text(dst),
                 ndbuf_format_text(src));
        test_assert_bytes_equal(what, actual, expected, nbytes);

        ndbuf__conversion_clear(&conversion);
        ndbuf_format_release(dst);
        ndbuf_format_release(src);
        test_type_clear(&to);
        test_type_clear(&from);
        free(item);
        free(expected);
        free(actual);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_of_conversions_do_to_items_what_the_reference_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
