/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_REFERENCE_COPY_H
#define NDBUF_TESTS_SUPPORT_REFERENCE_COPY_H

/* What a strided copy is, written as a loop over indices that nobody optimises, and layouts to try it on. Nothing of
 * the library is used here. */

#include "tests/support/test.h"

#define TEST_LAYOUT_MAX_NDIM 12
#define TEST_LAYOUT_MAX_LEVELS 3 /* of pointers, and the items */

/* Where the items of an array lie in a buffer. */
typedef struct test_layout {
    int32_t ndim;
    bool has_suboffsets;
    int64_t itemsize; /* bytes */
    int64_t shape[TEST_LAYOUT_MAX_NDIM];
    int64_t strides[TEST_LAYOUT_MAX_NDIM];    /* bytes */
    int64_t suboffsets[TEST_LAYOUT_MAX_NDIM]; /* bytes; negative: no pointer */
    int64_t offset;                           /* bytes, of item 0..0 from the start of the buffer */
    int64_t nbytes;                           /* of the buffer; > 0 */

    /* With suboffsets: the buffer holds one level of blocks after the other, and each block but those of the last
     * level pointers to blocks of the next one. */
    int32_t nlevels;
    int32_t level_end[TEST_LAYOUT_MAX_LEVELS];      /* the first axis that is not in the blocks of the level */
    int64_t level_start[TEST_LAYOUT_MAX_LEVELS];    /* bytes, of the level's first block */
    int64_t block_nbytes[TEST_LAYOUT_MAX_LEVELS];   /* bytes, of one block of the level */
    int64_t first_in_block[TEST_LAYOUT_MAX_LEVELS]; /* bytes, of index 0..0 of the level from the start of its block */
} test_layout;

enum {
    TEST_LAYOUT_OVERLAPS = 1u << 0,  /* two indices may reach one byte: for sources only */
    TEST_LAYOUT_INDIRECT = 1u << 1,  /* with suboffsets, unless ndim is 0 */
    TEST_LAYOUT_MANY_ITEMS = 1u << 2 /* some thousand instead of some hundred; of test_layout_random_shape */
};

/* A random shape with 0 .. TEST_LAYOUT_MAX_NDIM axes, extents 0 and 1 among them, and an item size of 1 .. 24 bytes:
 * the fields ndim, shape and itemsize. */
void test_layout_random_shape(test_random *random, uint32_t flags, test_layout *layout);

/* A random place in a buffer for the items of a shape: C and Fortran order, permuted, padded, with pitches that are no
 * multiple of the item size, with negative strides. The fields ndim, shape and itemsize are given. Every item lies in
 * the buffer, and no two share a byte unless TEST_LAYOUT_OVERLAPS is given. */
void test_layout_random_strides(test_random *random, uint32_t flags, test_layout *layout);

/* Writes the pointers of a layout with suboffsets into its buffer, which begins at `buffer`, 8-byte aligned. */
void test_layout_link(const test_layout *layout, char *buffer);

int64_t test_layout_nitems(const test_layout *layout);

/* The address of an item by PEP 3118's rule. */
char *test_layout_item(const test_layout *layout, char *buffer, const int64_t *index);

/* The next index in C order; false after the last one. */
bool test_layout_next(const test_layout *layout, int64_t *index);

/* All items of a layout, one after the other in C order of indices. */
void test_layout_pack(const test_layout *layout, char *buffer, char *out_packed);

/* The reverse, with the items written to where they lie in `out_buffer`, while pointers are followed in `buffer`: for a
 * copy of a buffer that is to show what a correct function would have made of it. */
void test_layout_unpack(const test_layout *layout, char *buffer, const char *packed, char *out_buffer);

/* Fails the test unless the bytes are equal; tells the first that differs. `what` names the case. */
void test_assert_bytes_equal(const char *what, const void *actual, const void *expected, size_t nbytes);

/* One line for messages: "shape (2, 3) strides (3, 1) itemsize 1 offset 4 of 10". */
void test_layout_print(const test_layout *layout, char *out_text, size_t size);

#endif
