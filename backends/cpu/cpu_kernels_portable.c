/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_kernels.h"

#include <string.h>

#include "backends/cpu/cpu_strided.h"

/* C alone: for processors without kernels of their own, and for the tests of the others. */

static void rows_any(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count, int64_t nbytes,
                     int64_t prefetch_nbytes, int32_t swap_nbytes)
{
    (void)prefetch_nbytes;
    ndbuf_cpu__row_fn(nbytes, swap_nbytes)(dst, dst_stride, src, src_stride, count, nbytes);
}

#define DEFINE_TRANSPOSE(nbytes)                                                                                       \
    static void transpose_##nbytes(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets, \
                                   int64_t nlines, int64_t nrows, const cpu_prefetch *prefetch, int32_t swap_nbytes)   \
    {                                                                                                                  \
        (void)prefetch;                                                                                                \
        ndbuf_cpu__transpose_any(dst, dst_offsets, src, src_offsets, nlines, nrows, nbytes, swap_nbytes);              \
    }

DEFINE_TRANSPOSE(1)
DEFINE_TRANSPOSE(2)
DEFINE_TRANSPOSE(4)
DEFINE_TRANSPOSE(8)
DEFINE_TRANSPOSE(16)

const cpu_kernels ndbuf_cpu__kernels_portable = {
    .name = "portable",
    .block_side = {1, 1, 1, 1, 1},
    .transpose = {transpose_1, transpose_2, transpose_4, transpose_8, transpose_16},
    .rows = rows_any,
    .repeat = ndbuf_cpu__repeat,
};
