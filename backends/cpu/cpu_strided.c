/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_strided.h"

#include <string.h>

#if defined(__clang__)
#define UNROLL_4 _Pragma("clang loop unroll_count(4)")
#elif defined(__GNUC__)
#define UNROLL_4 _Pragma("GCC unroll 4")
#else
#define UNROLL_4
#endif

/* memcpy of a constant size is one load and one store, at any alignment. */
#define DEFINE_UNIT_LOOPS(nbytes)                                                                                      \
    static void row_##nbytes(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,        \
                             int64_t unit_nbytes)                                                                      \
    {                                                                                                                  \
        (void)unit_nbytes;                                                                                             \
        UNROLL_4 for (int64_t i = 0; i < count; i++)                                                                   \
        {                                                                                                              \
            memcpy(dst + i * dst_stride, src + i * src_stride, nbytes);                                                \
        }                                                                                                              \
    }                                                                                                                  \
    static void transpose_##nbytes(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets, \
                                   int64_t nlines, int64_t nrows)                                                      \
    {                                                                                                                  \
        for (int64_t a = 0; a < nlines; a++) {                                                                         \
            const char *line = src + src_offsets[a];                                                                   \
            for (int64_t b = 0; b < nrows; b++) {                                                                      \
                memcpy(dst + dst_offsets[b] + a * (nbytes), line + b * (nbytes), nbytes);                              \
            }                                                                                                          \
        }                                                                                                              \
    }

#define REPEAT_NBYTES 4096

#define FOR_UNIT_SIZES(X) X(1) X(2) X(3) X(4) X(6) X(8) X(12) X(16) X(24) X(32) X(48) X(64)

FOR_UNIT_SIZES(DEFINE_UNIT_LOOPS)

static void row_any(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,
                    int64_t unit_nbytes)
{
    for (int64_t i = 0; i < count; i++) {
        memcpy(dst + i * dst_stride, src + i * src_stride, (size_t)unit_nbytes);
    }
}

cpu_row_fn ndbuf_cpu__row_fn(int64_t unit_nbytes)
{
#define CASE_ROW(nbytes)                                                                                               \
    case nbytes:                                                                                                       \
        return row_##nbytes;
    switch (unit_nbytes) {
        FOR_UNIT_SIZES(CASE_ROW)
    default:
        return row_any;
    }
}

void ndbuf_cpu__transpose_any(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,
                              int64_t nlines, int64_t nrows, int64_t unit_nbytes)
{
#define CASE_TRANSPOSE(nbytes)                                                                                         \
    case nbytes:                                                                                                       \
        transpose_##nbytes(dst, dst_offsets, src, src_offsets, nlines, nrows);                                         \
        break;
    switch (unit_nbytes) {
        FOR_UNIT_SIZES(CASE_TRANSPOSE)
    default:
        for (int64_t a = 0; a < nlines; a++) {
            for (int64_t b = 0; b < nrows; b++) {
                memcpy(dst + dst_offsets[b] + a * unit_nbytes, src + src_offsets[a] + b * unit_nbytes,
                       (size_t)unit_nbytes);
            }
        }
        break;
    }
}

void ndbuf_cpu__repeat(char *dst, const char *item, int64_t item_nbytes, int64_t count)
{
    if (item_nbytes == 1) {
        memset(dst, *item, (size_t)count);
        return;
    }
    /* Each step doubles what is there, until it is as much as the first cache likes to read again. */
    int64_t nbytes = item_nbytes * count;
    int64_t step = item_nbytes;
    memcpy(dst, item, (size_t)item_nbytes);
    for (int64_t done = item_nbytes; done < nbytes; done += step) {
        step = done < REPEAT_NBYTES ? done : step;
        step = step < nbytes - done ? step : nbytes - done;
        memcpy(dst + done, dst, (size_t)step);
    }
}
