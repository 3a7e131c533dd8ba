/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/convert_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/reference_copy.h"

#define MAX_NELEMENTS 600

static bool one_in(test_random *random, int64_t n)
{
    return test_random_range(random, 1, n) == 1;
}

static void choose_elements(test_convert_case *convert, test_random *random, ndbuf_number dst, ndbuf_number src)
{
    bool src_is_complex = dst == NDBUF_NUMBER_BOOL && src != NDBUF_NUMBER_BOOL && one_in(random, 2);
    bool dst_is_complex = !src_is_complex && one_in(random, 5);
    bool dst_is_swapped = dst != NDBUF_NUMBER_LONG_DOUBLE && one_in(random, 2);
    bool src_is_swapped = src != NDBUF_NUMBER_LONG_DOUBLE && one_in(random, 2);
    convert->dst_element = (ndbuf_element){.number = (int32_t)dst,
                                           .nbytes = test_number_nbytes(dst) * (dst_is_complex ? 2 : 1),
                                           .is_complex = dst_is_complex,
                                           .is_swapped = dst_is_swapped};
    convert->src_element = (ndbuf_element){.number = (int32_t)src,
                                           .nbytes = test_number_nbytes(src) * (src_is_complex ? 2 : 1),
                                           .is_complex = src_is_complex,
                                           .is_swapped = src_is_swapped};
    convert->flags = one_in(random, 2) ? NDBUF_CAST_SATURATE : 0;
    snprintf(convert->text, sizeof(convert->text), "%s%s%s from %s%s%s%s", dst_is_swapped ? "swapped " : "",
             dst_is_complex ? "complex " : "", test_number_name(dst), src_is_swapped ? "swapped " : "",
             src_is_complex ? "complex " : "", test_number_name(src), convert->flags != 0 ? ", saturated" : "");
}

static void choose_shape(test_convert_case *convert, test_random *random, uint32_t options)
{
    bool has_many = (options & TEST_CONVERT_MANY_AXES) != 0;
    int64_t nelements = 1;
    convert->ndim = (int32_t)test_random_range(random, 0, has_many ? TEST_CONVERT_MAX_NDIM : 4);
    if ((options & TEST_CONVERT_DENSE) != 0) {
        convert->ndim = 1;
    }
    for (int32_t k = 0; k < convert->ndim; k++) {
        int64_t most = convert->ndim == 1 ? MAX_NELEMENTS : 2 + MAX_NELEMENTS / nelements / 4;
        convert->shape[k] = test_random_range(random, 2, has_many || most < 2 ? 2 : most > 40 && k > 0 ? 40 : most);
        if (nelements * convert->shape[k] > MAX_NELEMENTS) {
            convert->shape[k] = 2;
        }
        nelements *= convert->shape[k];
    }
}

/* Strides from the innermost axis outwards, with gaps that keep neighbours from being one axis. Whether all is a
 * multiple of the number's size is the toss of a coin. */
static void choose_destination(test_convert_case *convert, test_random *random, bool is_dense)
{
    int64_t nbytes = convert->dst_element.nbytes;
    int64_t step = is_dense || one_in(random, 2) ? test_number_nbytes((ndbuf_number)convert->dst_element.number) : 1;
    int64_t pitch = nbytes;
    convert->dst_offset = is_dense ? 0 : step * test_random_range(random, 0, 9);
    for (int32_t k = convert->ndim - 1; k >= 0; k--) {
        bool is_last = k == convert->ndim - 1;
        int64_t gap = is_dense || (is_last && one_in(random, 2)) ? 0 : step * test_random_range(random, 1, 5);
        convert->dst_strides[k] = pitch + gap;
        pitch = convert->dst_strides[k] * convert->shape[k];
    }
    int64_t reach = nbytes;
    for (int32_t k = 0; k < convert->ndim; k++) {
        reach += convert->dst_strides[k] * (convert->shape[k] - 1);
    }
    convert->dst_nbytes = (size_t)(convert->dst_offset + reach);
}

/* In any order, turned around, repeated. */
static void choose_source(test_convert_case *convert, test_random *random, bool is_dense)
{
    int64_t nbytes = convert->src_element.nbytes;
    int64_t step = is_dense || one_in(random, 2) ? test_number_nbytes((ndbuf_number)convert->src_element.number) : 1;
    int32_t order[TEST_CONVERT_MAX_NDIM];
    int64_t pitch = nbytes;
    int64_t reach = nbytes;
    int64_t before = 0;
    for (int32_t k = 0; k < convert->ndim; k++) {
        int32_t other = is_dense ? k : (int32_t)test_random_range(random, 0, k);
        order[k] = order[other];
        order[other] = k;
    }
    for (int32_t i = 0; i < convert->ndim; i++) {
        int32_t k = order[i];
        int64_t stride = pitch + (is_dense ? 0 : step * test_random_range(random, 0, 3));
        if (!is_dense && one_in(random, 8)) {
            convert->src_strides[k] = 0;
            continue;
        }
        bool is_turned = !is_dense && one_in(random, 3);
        convert->src_strides[k] = is_turned ? -stride : stride;
        before += is_turned ? stride * (convert->shape[k] - 1) : 0;
        reach += stride * (convert->shape[k] - 1);
        pitch = stride * convert->shape[k];
    }
    int64_t start = is_dense ? 0 : step * test_random_range(random, 0, 9);
    convert->src_offset = start + before;
    convert->src_nbytes = (size_t)(start + reach);
}

static char *new_block(size_t nbytes)
{
    void *block = NULL;
    assert_int_equal(posix_memalign(&block, TEST_CONVERT_ALIGNMENT, nbytes), 0);
    return block;
}

/* The next index; false after the last one. */
static bool next_index(const test_convert_case *convert, int64_t *index)
{
    for (int32_t k = convert->ndim - 1; k >= 0; k--) {
        if (++index[k] < convert->shape[k]) {
            return true;
        }
        index[k] = 0;
    }
    return false;
}

static int64_t place(const test_convert_case *convert, const int64_t *index, int64_t offset, const int64_t *strides)
{
    for (int32_t k = 0; k < convert->ndim; k++) {
        offset += index[k] * strides[k];
    }
    return offset;
}

void test_convert_case_make(test_convert_case *out_case, test_random *random, ndbuf_number dst, ndbuf_number src,
                            uint32_t options)
{
    test_convert_case *convert = out_case;
    int64_t index[TEST_CONVERT_MAX_NDIM] = {0};
    bool is_dense = (options & TEST_CONVERT_DENSE) != 0;
    memset(convert, 0, sizeof(*convert));
    choose_elements(convert, random, dst, src);
    choose_shape(convert, random, options);
    choose_destination(convert, random, is_dense);
    choose_source(convert, random, is_dense);
    convert->dst = new_block(convert->dst_nbytes);
    convert->src = new_block(convert->src_nbytes);
    convert->expected = new_block(convert->dst_nbytes);
    test_random_fill(random, convert->dst, convert->dst_nbytes);
    test_random_fill(random, convert->src, convert->src_nbytes);
    memcpy(convert->expected, convert->dst, convert->dst_nbytes);
    do {
        test_random_element(random, &convert->src_element,
                            convert->src + place(convert, index, convert->src_offset, convert->src_strides));
    } while (next_index(convert, index));
    do { /* when all of the source is there: elements may repeat */
        test_convert_element(convert->expected + place(convert, index, convert->dst_offset, convert->dst_strides),
                             &convert->dst_element,
                             convert->src + place(convert, index, convert->src_offset, convert->src_strides),
                             &convert->src_element, convert->flags);
    } while (next_index(convert, index));
}

void test_convert_case_free(test_convert_case *convert)
{
    free(convert->dst);
    free(convert->src);
    free(convert->expected);
}

ndbuf_convert_box test_convert_case_box(const test_convert_case *convert, const ndbuf_mem *dst, const ndbuf_mem *src)
{
    return (ndbuf_convert_box){.dst = {dst, convert->dst_offset, convert->dst_strides},
                               .src = {src, convert->src_offset, convert->src_strides},
                               .dst_element = convert->dst_element,
                               .src_element = convert->src_element,
                               .ndim = convert->ndim,
                               .flags = convert->flags,
                               .shape = convert->shape};
}
