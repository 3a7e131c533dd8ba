/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_KERNELS_KERNEL_CASES_H
#define NDBUF_TESTS_BACKENDS_KERNELS_KERNEL_CASES_H

/* Random copies and fills for the kernels, with what must come out of them: by tests/support/reference_copy. */

#include "tests/support/reference_copy.h"

#include "backends/kernels/kernel_plan.h"

#define KERNEL_CASE_ALIGNMENT 64 /* of the blocks */

/* A copy, or a fill if src is NULL. The blocks begin at multiples of KERNEL_CASE_ALIGNMENT and end exactly. */
typedef struct kernel_case {
    char text[1024]; /* for messages */
    int32_t ndim;
    int64_t shape[NDK_MAX_NDIM];
    int64_t dst_strides[NDK_MAX_NDIM];
    int64_t src_strides[NDK_MAX_NDIM];
    int64_t dst_offset;
    int64_t src_offset;
    int64_t unit_nbytes;
    char item[64];
    char *dst;
    char *src;
    char *expected; /* of dst */
    size_t dst_nbytes;
    size_t src_nbytes;
} kernel_case;

/* What is tried. */
enum {
    KERNEL_CASE_LARGE = 1u << 0, /* some thousand items instead of some hundred */
    KERNEL_CASE_FILL = 1u << 1
};

void kernel_case_make(kernel_case *out_case, test_random *random, uint32_t flags);
void kernel_case_free(kernel_case *kc);

/* The launch that the library plans for blocks at these addresses, in groups of at most `limit` work items; at random
 * with fewer or more groups, and with the kernel of 64-bit indices. */
ndbuf__kernel_launch kernel_case_plan(const kernel_case *kc, test_random *random, uint64_t dst_address,
                                      uint64_t src_address, uint32_t limit);

/* A transpose of `extent` by `extent` units that is tiled. */
void kernel_case_make_transpose(kernel_case *out_case, test_random *random, int64_t unit_nbytes, int64_t extent);

#endif
