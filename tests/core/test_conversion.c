/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "core/conversion.h"
#include "core/format_codes.h"

/* An element in words: "bytes4", "u2", "u2!" (of the other byte order), "c4" (complex, of its halves), "bf". */
static const char *element_text(const ndbuf_element *element, char out[16])
{
    static const char *const names[] = {"bytes", "b",  "i1", "u1", "i2", "u2", "i4", "u4",
                                        "i8",    "u8", "f2", "bf", "f4", "f8", "g"};
    int32_t halves = element->is_complex ? 2 : 1;
    if (element->number == 0) {
        snprintf(out, 16, "bytes%d", (int)element->nbytes);
    } else {
        int64_t size = element->number == NDBUF_NUMBER_BOOL          ? 1
                       : element->number == NDBUF_NUMBER_BFLOAT16    ? 2
                       : element->number == NDBUF_NUMBER_LONG_DOUBLE ? (int64_t)sizeof(long double)
                                                                     : names[element->number][1] - '0';
        assert_int_equal(element->nbytes, size * halves);
        snprintf(out, 16, "%s%s%s", halves == 2 ? "c" : "", names[element->number], element->is_swapped ? "!" : "");
    }
    return out;
}

/* The parts as text: "DST<SRC@DST_OFFSET,SRC_OFFSET[EXTENT:DST_STRIDE,SRC_STRIDE ...]" joined by ' '. */
static void conversion_text(const ndbuf__conversion *conversion, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < conversion->nparts; i++) {
        const ndbuf__conversion_part *part = &conversion->parts[i];
        char dst[16];
        char src[16];
        n += (size_t)snprintf(out + n, size - n, "%s%s<%s@%lld,%lld", i > 0 ? " " : "", element_text(&part->dst, dst),
                              element_text(&part->src, src), (long long)part->dst_offset, (long long)part->src_offset);
        for (int32_t k = 0; k < part->ndim; k++) {
            n += (size_t)snprintf(out + n, size - n, "[%lld:%lld,%lld]", (long long)part->shape[k],
                                  (long long)part->dst_strides[k], (long long)part->src_strides[k]);
        }
    }
}

static void check_conversion(const char *src_text, const char *dst_text, uint32_t flags, const char *expected)
{
    ndbuf_format *src = test_parse(src_text);
    ndbuf_format *dst = test_parse(dst_text);
    ndbuf__conversion conversion = {0};
    char text[1000];
    ASSERT_OK(ndbuf__conversion_init(&conversion, dst, src, NDBUF_CASTING_UNSAFE, flags, err));
    assert_int_equal(conversion.flags, flags);
    conversion_text(&conversion, text, sizeof(text));
    if (strcmp(text, expected) != 0) {
        fail_msg("'%s' to '%s': %s, expected %s", src_text, dst_text, text, expected);
    }
    ndbuf__conversion_clear(&conversion);
    assert_int_equal(conversion.nparts, 0);
    ndbuf_format_release(dst);
    ndbuf_format_release(src);
}

#define CHECK_PARTS(...)                                                                                               \
    do {                                                                                                               \
        static const char *const cases_[][3] = {__VA_ARGS__};                                                          \
        for (size_t i_ = 0; i_ < sizeof(cases_) / sizeof(cases_[0]); i_++) {                                           \
            check_conversion(cases_[i_][0], cases_[i_][1], 0, cases_[i_][2]);                                          \
        }                                                                                                              \
    } while (0)

/* Byte orders as they are on the host and as they are not, by name, so that the tests hold on both. */
#if NDBUF__HOST_ORDER == '<'
#define H "<"
#define X ">"
#else
#define H ">"
#define X "<"
#endif

static void test_equal_elements_are_copied_as_bytes(void **state)
{
    (void)state;
    CHECK_PARTS({H "i", H "i", "bytes4<bytes4@0,0"}, {X "d", X "d", "bytes8<bytes8@0,0"},
                {"?", "?", "bytes1<bytes1@0,0"}, {"5s", "5s", "bytes5<bytes5@0,0"}, {"g", "g", "bytes16<bytes16@0,0"},
                {H "Zd", H "Zd", "bytes16<bytes16@0,0"}, {"Zg", "Zg", "bytes32<bytes32@0,0"},
                {H "3w", H "3w", "bytes12<bytes12@0,0"}, {"P", "&i", "bytes8<bytes8@0,0"},
                {"7x::", "7x::", "bytes7<bytes7@0,0"}, {"(2,3)" H "i", "(2,3)" H "i", "bytes24<bytes24@0,0"});
}

static void test_another_byte_order_turns_whole_numbers_around(void **state)
{
    (void)state;
    CHECK_PARTS({H "h", X "h", "u2<u2!@0,0"}, {X "f", H "f", "u4<u4!@0,0"}, {X "d", H "d", "u8<u8!@0,0"},
                {X "e", H "e", "u2<u2!@0,0"}, {H "Zf", X "Zf", "u4<u4!@0,0[2:4,4]"},
                {X "3w", H "3w", "u4<u4!@0,0[3:4,4]"}, {X "w", H "w", "u4<u4!@0,0"},
                {X "5u", H "5u", "u2<u2!@0,0[5:2,2]"}, {"(4)" H "Zd", "(4)" X "Zd", "u8<u8!@0,0[8:8,8]"},
                {"T{" X "2x:bfloat16:}", "T{" H "2x:bfloat16:}", "u2<u2!@0,0"});
}

static void test_numbers_become_others(void **state)
{
    (void)state;
    CHECK_PARTS({H "d", H "f", "f4<f8@0,0"}, {X "d", H "f", "f4<f8!@0,0"}, {H "h", X "e", "f2!<i2@0,0"},
                {"?", "b", "i1<b@0,0"}, {"B", "?", "b<u1@0,0"}, {H "Zd", H "Zf", "f4<f8@0,0[2:4,8]"},
                {X "b", H "Q", "u8<i1@0,0"}, {"g", H "d", "f8<g@0,0"}, {"T{" H "2x:bfloat16:}", H "e", "f2<bf@0,0"},
                {"(3)" H "h", "(3)" H "i", "i4<i2@0,0[3:4,2]"});
}

static void test_integers_of_one_size_keep_their_bits_unless_they_saturate(void **state)
{
    (void)state;
    CHECK_PARTS({H "i", H "I", "bytes4<bytes4@0,0"}, {X "H", H "h", "u2<u2!@0,0"}, {"b", "B", "bytes1<bytes1@0,0"});
    check_conversion(H "i", H "I", NDBUF_CAST_SATURATE, "u4<i4@0,0");
    check_conversion(H "i", H "i", NDBUF_CAST_SATURATE, "bytes4<bytes4@0,0");
    check_conversion("B", "?", NDBUF_CAST_SATURATE, "b<u1@0,0");
}

static void test_complex_numbers_meet_real_ones(void **state)
{
    (void)state;
    CHECK_PARTS({H "Zd", H "f", "f4<f8@0,0"}, {H "Zf", H "f", "bytes4<bytes4@0,0"}, {X "Zf", H "f", "u4<u4!@0,0"},
                {"(3)" H "Zf", "(3)" H "f", "bytes4<bytes4@0,0[3:4,8]"}, {H "Zd", "?", "b<cf8@0,0"},
                {H "f", H "Zf", "cf4<f4@0,0"}, {X "h", X "Zd", "cf8!<i2!@0,0"}, {"?", H "Zf", "cf4<b@0,0"},
                {"(3)" H "f", "(3)" H "Zd", "cf8<f4@0,0[3:16,4]"});
}

static void test_fields_that_follow_each_other_are_one_part(void **state)
{
    (void)state;
    CHECK_PARTS({"T{" H "i:a:" H "h:b:5s:c:}", "T{" H "i:a:" H "h:b:5s:c:}", "bytes11<bytes11@0,0"},
                {"T{" X "i:a:" X "f:b:" X "i:c:}", "T{" H "i:a:" H "f:b:" H "i:c:}", "u4<u4!@0,0[3:4,4]"},
                {"T{" X "i:a:" H "f:b:" X "i:c:}", "T{" H "i:a:" X "f:b:" H "i:c:}", "u4<u4!@0,0[3:4,4]"},
                {"T{" X "Zf:a:(3)" X "f:b:" X "w:c:}", "T{" H "Zf:a:(3)" H "f:b:" H "w:c:}", "u4<u4!@0,0[6:4,4]"},
                {"T{" H "d:a:" H "d:b:}", "T{" H "f:a:" H "f:b:}", "f4<f8@0,0[2:4,8]"},
                {"T{" X "h:a:" X "i:b:" X "h:c:" X "i:d:}", "T{" H "h:a:" H "i:b:" H "h:c:" H "i:d:}",
                 "u2<u2!@0,0[2:6,6] u4<u4!@2,2[2:6,6]"},
                {"(10)T{" X "i:a:" X "i:b:}", "(10)T{" H "i:a:" H "i:b:}", "u4<u4!@0,0[20:4,4]"},
                {"(10)T{" X "i:a:" X "i:b:}", "(10)T{" H "i:a:4x" H "i:b:}", "u4<u4!@0,0[10:12,8][2:8,4]"},
                {"T{(2,3)" X "i:a:" X "i:b:}", "T{(2,3)" H "i:a:" H "i:b:}", "u4<u4!@0,0[7:4,4]"},
                {"T{" X "i:b:(2,3)" X "i:a:}", "T{" H "i:b:(2,3)" H "i:a:}", "u4<u4!@0,0[7:4,4]"});
}

static void test_padding_and_fields_left_out_stay_between_parts(void **state)
{
    (void)state;
    CHECK_PARTS({"T{" H "i:a:4x" H "q:b:}", "T{" H "i:a:4x" H "q:b:}", "bytes4<bytes4@0,0 bytes8<bytes8@8,8"},
                {"T{" H "i:a:4x" H "i:b:}", "T{" H "i:a:4x" H "i:b:}", "bytes4<bytes4@0,0[2:8,8]"},
                {"T{" H "i:a:" H "i:b:4x}", "T{" H "i:a:" H "i:b:4x}", "bytes8<bytes8@0,0"},
                {"T{" H "i:a:" H "i:b:" H "i:c:}", "T{" H "i:a:" H "i:c:}", "bytes4<bytes4@0,0[2:4,8]"},
                {"T{" H "i:a:" H "i:b:" H "i:c:}", "T{" H "i:c:" H "i:b:" H "i:a:}", "bytes4<bytes4@0,8[3:4,-4]"},
                {"(3)T{" H "i:a:4s:b:xx}", "(3)T{" H "i:a:4s:b:x}", "bytes8<bytes8@0,0[3:9,10]"}, {"4x", "8x", ""});
}

static void test_fields_are_found_by_name_in_nested_records(void **state)
{
    (void)state;
    CHECK_PARTS({"T{5s:n:(2)T{" X "h:x:" H "d:y:}:p:}", "T{(2)T{" H "f:y:" H "h:x:}:p:5s:n:}",
                 "bytes5<bytes5@12,0 u2<u2!@4,5[2:6,10] f4<f8@0,7[2:6,10]"},
                {H "i" H "d", "T{" H "q:a:" H "f:b:}", "i8<i4@0,0 f4<f8@8,4"});
}

static void test_runs_beyond_31_bits_are_axes(void **state)
{
    (void)state;
    CHECK_PARTS({"3000000000s", "3000000000s", "bytes512<bytes512@0,0[5859375:512,512]"},
                {"2147483647s", "2147483647s", "bytes2147483647<bytes2147483647@0,0"},
                {"T{2147483647s:a:c:b:}", "T{2147483647s:a:c:b:}",
                 "bytes1<bytes1@2147483647,2147483647 bytes2147483647<bytes2147483647@0,0"},
                {"4294967296s", "4294967296s", "bytes1073741824<bytes1073741824@0,0[4:1073741824,1073741824]"});
}

static void test_rules_hold(void **state)
{
    (void)state;
    ndbuf_format *src = test_parse(H "d");
    ndbuf_format *dst = test_parse(H "f");
    ndbuf__conversion conversion = {0};
    ASSERT_FAILS(NDBUF_ERR_CAST, "by rule 'safe'",
                 ndbuf__conversion_init(&conversion, dst, src, NDBUF_CASTING_SAFE, 0, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "9 is not a casting rule",
                 ndbuf__conversion_init(&conversion, dst, src, (ndbuf_casting)9, 0, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "flags 0x80: unknown bits",
                 ndbuf__conversion_init(&conversion, dst, src, NDBUF_CASTING_UNSAFE, 0x80, err));
    assert_int_equal(conversion.nparts, 0);
}

static void test_plain_elements_need_no_memory_and_the_rest_tells_when_there_is_none(void **state)
{
    (void)state;
    static const char *const plain[] = {H "d", X "i", "?", H "Zf", X "Zd", "5s", X "3w", "(2)" H "i"};
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        ndbuf_format *format = test_parse(plain[i]);
        ndbuf__conversion conversion = {0};
        test_alloc_fail_at(1);
        assert_int_equal(ndbuf__conversion_init(&conversion, format, format, NDBUF_CASTING_NO, 0, NULL), NDBUF_OK);
        assert_false(test_alloc_fail_end());
        ndbuf__conversion_clear(&conversion);
        ndbuf_format_release(format);
    }
    ndbuf_format *src = test_parse("T{" H "i:a:" H "f:b:(5,2,1,2)" X "h:c:}");
    ndbuf_format *dst = test_parse("T{" H "d:b:" H "i:a:(5,2,1,2)" H "h:c:}");
    ndbuf__conversion conversion = {0};
    ALLOC_FAIL_SWEEP(status_ = ndbuf__conversion_init(&conversion, dst, src, NDBUF_CASTING_SAFE, 0, NULL),
                     ndbuf__conversion_clear(&conversion));
    ndbuf_format_release(dst);
    ndbuf_format_release(src);
}

/* The bytes of the destination that parts write; each one is written once. */
static int64_t count_written(const ndbuf__conversion *conversion, unsigned char *written, int64_t itemsize)
{
    int64_t count = 0;
    for (int32_t i = 0; i < conversion->nparts; i++) {
        const ndbuf__conversion_part *part = &conversion->parts[i];
        int64_t index[NDBUF_MAX_NDIM + 2] = {0};
        int32_t axis = 0;
        while (axis >= 0) {
            int64_t at = part->dst_offset;
            for (int32_t k = 0; k < part->ndim; k++) {
                at += index[k] * part->dst_strides[k];
            }
            for (int32_t b = 0; b < part->dst.nbytes; b++) {
                assert_true(at + b >= 0 && at + b < itemsize);
                assert_int_equal(written[at + b]++, 0);
                count++;
            }
            for (axis = part->ndim - 1; axis >= 0 && ++index[axis] == part->shape[axis]; axis--) {
                index[axis] = 0;
            }
        }
    }
    return count;
}

/* Against the long way, for every pair of these by every rule. */
static void test_the_short_way_says_the_same_of_numbers(void **state)
{
    (void)state;
    static const char *const texts[] = {"?",
                                        "b",
                                        "B",
                                        H "h",
                                        X "h",
                                        H "i",
                                        X "I",
                                        H "q",
                                        X "Q",
                                        H "e",
                                        X "e",
                                        H "f",
                                        X "f",
                                        H "d",
                                        X "d",
                                        "g",
                                        H "Zf",
                                        X "Zf",
                                        H "Zd",
                                        "T{" H "2x:bfloat16:}",
                                        "5s",
                                        "c",
                                        H "w",
                                        X "2w",
                                        "P",
                                        "O",
                                        "2x" H "f",
                                        H "f2x",
                                        "(2)" H "f",
                                        "T{" H "f:a:}",
                                        "T{" H "d:a:}",
                                        "T{" H "f:b:}",
                                        "T{" H "f" H "f}",
                                        "T{" H "i:a:" H "d:b:}",
                                        "4x::"};
    enum { NTEXTS = sizeof(texts) / sizeof(texts[0]) };
    ndbuf_format *formats[NTEXTS];
    int nshort = 0;
    for (int i = 0; i < NTEXTS; i++) {
        formats[i] = test_parse(texts[i]);
    }
    for (int i = 0; i < NTEXTS * NTEXTS * (NDBUF_CASTING_UNSAFE + 1) * 2; i++) {
        const ndbuf_format *dst = formats[i % NTEXTS];
        const ndbuf_format *src = formats[i / NTEXTS % NTEXTS];
        const ndbuf_casting casting = (ndbuf_casting)(i / (NTEXTS * NTEXTS) % (NDBUF_CASTING_UNSAFE + 1));
        const uint32_t flags = i < NTEXTS * NTEXTS * (NDBUF_CASTING_UNSAFE + 1) ? 0 : NDBUF_CAST_SATURATE;
        ndbuf__conversion conversion = {0};
        ndbuf__convert convert;
        ndbuf_field to;
        ndbuf_field from;
        const bool are_single = ndbuf_format_field(dst, 0, &to, NULL) == NDBUF_OK &&
                                ndbuf_format_field(src, 0, &from, NULL) == NDBUF_OK && ndbuf_format_nfields(dst) == 1 &&
                                ndbuf_format_nfields(src) == 1 && to.ndim == 0 && from.ndim == 0 && to.nnames == 0 &&
                                from.nnames == 0;
        const ndbuf_status status = ndbuf__conversion_init(&conversion, dst, src, casting, flags, NULL);
        const ndbuf__conversion_part *part = conversion.parts;
        const bool is_plain = status == NDBUF_OK && are_single && !ndbuf_format_equal(dst, src) &&
                              conversion.nparts == 1 && part->ndim == 0 &&
                              part->dst.nbytes == ndbuf_format_itemsize(dst) &&
                              part->src.nbytes == ndbuf_format_itemsize(src);
        const bool is_short =
            !ndbuf_format_equal(dst, src) && ndbuf__conversion_of_numbers(&convert, dst, src, casting, flags);
        if (is_short && !is_plain) {
            fail_msg("'%s' to '%s' by rule %d", ndbuf_format_text(src), ndbuf_format_text(dst), (int)casting);
        }
        if (is_short) {
            const ndbuf__convert expected = ndbuf__part_convert(part, flags);
            assert_memory_equal(&convert, &expected, sizeof(convert));
            nshort++;
        } else if (is_plain) { /* what is no number */
            assert_null(strchr("biufEc", to.kind));
        }
        ndbuf__conversion_clear(&conversion);
    }
    assert_true(nshort > 1000);
    for (int i = 0; i < NTEXTS; i++) {
        ndbuf_format_release(formats[i]);
    }
}

static void test_random_records_are_written_once_and_completely(void **state)
{
    (void)state;
    static const char *const types[] = {"h", "i", "d", "Zf", "b", "3s", "2w", "f", "q", "?"};
    test_random random = test_random_make("conversion", 7);
    for (int round = 0; round < 3000; round++) {
        char texts[2][400] = {"", ""};
        int64_t nbytes = 0;
        int nfields = (int)test_random_range(&random, 1, 8);
        for (int f = 0; f < nfields; f++) {
            const char *type = types[test_random_range(&random, 0, 9)];
            int64_t extent = test_random_range(&random, 0, 3);
            int64_t inner = test_random_range(&random, 1, 3);
            for (int side = 0; side < 2; side++) {
                char dims[40] = "";
                char pad[24] = "";
                if (extent > 0) {
                    snprintf(dims, sizeof(dims), "(%lld,%lld)", (long long)extent, (long long)inner);
                }
                if (test_random_range(&random, 0, 3) == 0) {
                    snprintf(pad, sizeof(pad), "%lldx", (long long)test_random_range(&random, 1, 4));
                }
                size_t length = strlen(texts[side]);
                snprintf(texts[side] + length, sizeof(texts[side]) - length, "%s%s%s%s:n%d:", pad, dims,
                         test_random_range(&random, 0, 1) == 0 ? "<" : ">", type, f);
            }
            ndbuf_format *one = test_parse(type);
            nbytes += ndbuf_format_itemsize(one) * (extent > 0 ? extent * inner : 1);
            ndbuf_format_release(one);
        }
        ndbuf_format *src = test_parse(texts[0]);
        ndbuf_format *dst = test_parse(texts[1]);
        ndbuf__conversion conversion = {0};
        unsigned char written[1000] = {0};
        ASSERT_OK(ndbuf__conversion_init(&conversion, dst, src, NDBUF_CASTING_EQUIV, 0, err));
        assert_true(conversion.nparts <= nfields);
        assert_int_equal(count_written(&conversion, written, ndbuf_format_itemsize(dst)), nbytes);
        ndbuf__conversion_clear(&conversion);
        ndbuf_format_release(dst);
        ndbuf_format_release(src);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_elements_are_copied_as_bytes),
        cmocka_unit_test(test_another_byte_order_turns_whole_numbers_around),
        cmocka_unit_test(test_numbers_become_others),
        cmocka_unit_test(test_integers_of_one_size_keep_their_bits_unless_they_saturate),
        cmocka_unit_test(test_complex_numbers_meet_real_ones),
        cmocka_unit_test(test_fields_that_follow_each_other_are_one_part),
        cmocka_unit_test(test_padding_and_fields_left_out_stay_between_parts),
        cmocka_unit_test(test_fields_are_found_by_name_in_nested_records),
        cmocka_unit_test(test_runs_beyond_31_bits_are_axes),
        cmocka_unit_test(test_rules_hold),
        cmocka_unit_test(test_plain_elements_need_no_memory_and_the_rest_tells_when_there_is_none),
        cmocka_unit_test(test_the_short_way_says_the_same_of_numbers),
        cmocka_unit_test(test_random_records_are_written_once_and_completely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
