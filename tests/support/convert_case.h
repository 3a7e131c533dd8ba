/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_CONVERT_CASE_H
#define NDBUF_TESTS_SUPPORT_CONVERT_CASE_H

/* Random boxes of elements that are converted, as the core gives them to backends, with what must come out of them by
 * tests/support/reference_number. */

#include "tests/support/reference_number.h"

#include "ndbuf/backend.h"

#define TEST_CONVERT_MAX_NDIM 16
#define TEST_CONVERT_ALIGNMENT 64 /* of the blocks */

/* The blocks end exactly. */
typedef struct test_convert_case {
    char text[256]; /* for messages */
    ndbuf_element dst_element;
    ndbuf_element src_element;
    uint32_t flags; /* NDBUF_CAST_... bits */
    int32_t ndim;
    int64_t shape[TEST_CONVERT_MAX_NDIM];
    int64_t dst_strides[TEST_CONVERT_MAX_NDIM];
    int64_t src_strides[TEST_CONVERT_MAX_NDIM];
    int64_t dst_offset;
    int64_t src_offset;
    size_t dst_nbytes;
    size_t src_nbytes;
    char *dst;
    char *src;
    char *expected; /* of dst */
} test_convert_case;

/* What is tried. */
enum {
    TEST_CONVERT_DENSE = 1u << 0,    /* one axis, dense and aligned on both sides */
    TEST_CONVERT_MANY_AXES = 1u << 1 /* up to 16 */
};

/* A conversion from one number to another one: at random complex, as far as there is such a conversion, in any byte
 * order, saturating. */
void test_convert_case_make(test_convert_case *out_case, test_random *random, ndbuf_number dst, ndbuf_number src,
                            uint32_t options);
void test_convert_case_free(test_convert_case *convert);

/* The box, between two pieces of memory that hold the blocks. Points into the case. */
ndbuf_convert_box test_convert_case_box(const test_convert_case *convert, const ndbuf_mem *dst, const ndbuf_mem *src);

#endif
