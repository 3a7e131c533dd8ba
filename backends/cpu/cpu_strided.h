/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_STRIDED_H
#define NDBUF_BACKENDS_CPU_CPU_STRIDED_H

/* Scalar loops: what no vector kernel does, the ends that vectors leave over, and copies too small for anything else.
 */

#include <stdint.h>
#include <string.h>

/* A number of so many bytes, in the other order. */
#define CPU_DEFINE_SWAP(nbytes, bits)                                                                                  \
    static inline void cpu_swap_##nbytes(char *dst, const char *src)                                                   \
    {                                                                                                                  \
        uint##bits##_t number;                                                                                         \
        memcpy(&number, src, nbytes);                                                                                  \
        number = __builtin_bswap##bits(number);                                                                        \
        memcpy(dst, &number, nbytes);                                                                                  \
    }
CPU_DEFINE_SWAP(2, 16)
CPU_DEFINE_SWAP(4, 32)
CPU_DEFINE_SWAP(8, 64)
#undef CPU_DEFINE_SWAP

/* One unit of such numbers. */
static inline void cpu_swap_unit(char *dst, const char *src, int64_t unit_nbytes, int32_t swap_nbytes)
{
    for (int64_t at = 0; at < unit_nbytes; at += swap_nbytes) {
        if (swap_nbytes == 2) {
            cpu_swap_2(dst + at, src + at);
        } else if (swap_nbytes == 4) {
            cpu_swap_4(dst + at, src + at);
        } else {
            cpu_swap_8(dst + at, src + at);
        }
    }
}

/* `count` units from src to dst, each side stepping by its own stride. */
typedef void (*cpu_row_fn)(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,
                           int64_t unit_nbytes);

/* The loop for units of this size, which consist of numbers of swap_nbytes (2, 4, 8) with their bytes to be reversed;
 * 0: they stay as they are. */
cpu_row_fn ndbuf_cpu__row_fn(int64_t unit_nbytes, int32_t swap_nbytes);

/* As a cpu_transpose_fn, for units of any size and any counts. */
void ndbuf_cpu__transpose_any(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,
                              int64_t nlines, int64_t nrows, int64_t unit_nbytes, int32_t swap_nbytes);

/* Fills dst with whole copies of an item. */
void ndbuf_cpu__repeat(char *dst, const char *item, int64_t item_nbytes, int64_t count);

#endif
