/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_strided.h"

#include <stdbool.h>
#include <string.h>

#include "core/compiler.h"

/* MOVE(dst, src, unit_nbytes) */
#define DEFINE_ROW(name, MOVE)                                                                                         \
    static void name(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,                \
                     int64_t unit_nbytes)                                                                              \
    {                                                                                                                  \
        (void)unit_nbytes;                                                                                             \
        NDBUF__UNROLL_4 for (int64_t i = 0; i < count; i++)                                                            \
        {                                                                                                              \
            MOVE(dst + i * dst_stride, src + i * src_stride, unit_nbytes);                                             \
        }                                                                                                              \
    }
#define DEFINE_TRANSPOSE(name, MOVE)                                                                                   \
    static void name(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,               \
                     int64_t nlines, int64_t nrows, int64_t unit_nbytes)                                               \
    {                                                                                                                  \
        for (int64_t a = 0; a < nlines; a++) {                                                                         \
            const char *line = src + src_offsets[a];                                                                   \
            for (int64_t b = 0; b < nrows; b++) {                                                                      \
                MOVE(dst + dst_offsets[b] + a * unit_nbytes, line + b * unit_nbytes, unit_nbytes);                     \
            }                                                                                                          \
        }                                                                                                              \
    }

#define DEFINE_UNIT_LOOPS(name, MOVE)                                                                                  \
    DEFINE_ROW(row_##name, MOVE)                                                                                       \
    DEFINE_TRANSPOSE(transpose_##name, MOVE)

/* memcpy of a constant size is one load and one store, at any alignment. */
#define DEFINE_MOVE(name, nbytes)                                                                                      \
    static inline void name(char *dst, const char *src, int64_t unit_nbytes)                                           \
    {                                                                                                                  \
        (void)unit_nbytes;                                                                                             \
        memcpy(dst, src, nbytes);                                                                                      \
    }
#define DEFINE_SIZED_LOOPS(nbytes)                                                                                     \
    DEFINE_MOVE(move_##nbytes, nbytes)                                                                                 \
    DEFINE_UNIT_LOOPS(nbytes, move_##nbytes)

/* Units of other sizes: their first and their last bytes, which overlap. */
#define DEFINE_PAIRED_LOOPS(nbytes)                                                                                    \
    static inline void move_pair_##nbytes(char *dst, const char *src, int64_t unit_nbytes)                             \
    {                                                                                                                  \
        memcpy(dst, src, nbytes);                                                                                      \
        memcpy(dst + unit_nbytes - (nbytes), src + unit_nbytes - (nbytes), nbytes);                                    \
    }                                                                                                                  \
    DEFINE_UNIT_LOOPS(pair_##nbytes, move_pair_##nbytes)

/* Units of three quarters of `wide` bytes: of a dense destination each is moved with the bytes behind it, which the
 * next one overwrites, but where these are beyond the last one of the destination or the highest of the source. */
#define DEFINE_WIDE_LOOPS(nbytes, wide)                                                                                \
    DEFINE_MOVE(move_##nbytes, nbytes)                                                                                 \
    DEFINE_MOVE(move_wide_##nbytes, wide)                                                                              \
    DEFINE_ROW(row_apart_##nbytes, move_##nbytes)                                                                      \
    DEFINE_ROW(row_wide_##nbytes, move_wide_##nbytes)                                                                  \
    static void row_##nbytes(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,        \
                             int64_t unit_nbytes)                                                                      \
    {                                                                                                                  \
        const bool reads_behind = src_stride >= (wide) - (nbytes) || src_stride <= (nbytes) - (wide);                  \
        if (dst_stride != (nbytes) || !reads_behind || count < 3) {                                                    \
            row_apart_##nbytes(dst, dst_stride, src, src_stride, count, unit_nbytes);                                  \
            return;                                                                                                    \
        }                                                                                                              \
        move_##nbytes(dst, src, unit_nbytes);                                                                          \
        row_wide_##nbytes(dst + (nbytes), nbytes, src + src_stride, src_stride, count - 2, unit_nbytes);               \
        move_##nbytes(dst + (count - 1) * (nbytes), src + (count - 1) * src_stride, unit_nbytes);                      \
    }                                                                                                                  \
    static void transpose_##nbytes(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets, \
                                   int64_t nlines, int64_t nrows, int64_t unit_nbytes)                                 \
    {                                                                                                                  \
        for (int64_t a = 0; a < nlines; a++) {                                                                         \
            const char *line = src + src_offsets[a];                                                                   \
            const int64_t nwide = a < nlines - 1 ? nrows - 1 : 0;                                                      \
            for (int64_t b = 0; b < nwide; b++) {                                                                      \
                move_wide_##nbytes(dst + dst_offsets[b] + a * (nbytes), line + b * (nbytes), unit_nbytes);             \
            }                                                                                                          \
            for (int64_t b = nwide; b < nrows; b++) {                                                                  \
                move_##nbytes(dst + dst_offsets[b] + a * (nbytes), line + b * (nbytes), unit_nbytes);                  \
            }                                                                                                          \
        }                                                                                                              \
    }

static inline void move_any(char *dst, const char *src, int64_t unit_nbytes)
{
    memcpy(dst, src, (size_t)unit_nbytes);
}

#define REPEAT_NBYTES 4096
/* Up to here items are not doubled, which would read what was just written in smaller pieces. */
#define REPEAT_FEW_NBYTES 256

/* Sizes that are moved by themselves, and with the wide ones all that have loops. */
#define FOR_EXACT_SIZES(X) X(1) X(2) X(4) X(8) X(16) X(24) X(32) X(48) X(64)
#define FOR_UNIT_SIZES(X) FOR_EXACT_SIZES(X) X(3) X(6) X(12)

FOR_EXACT_SIZES(DEFINE_SIZED_LOOPS)
DEFINE_WIDE_LOOPS(3, 4)
DEFINE_WIDE_LOOPS(6, 8)
DEFINE_WIDE_LOOPS(12, 16)
DEFINE_PAIRED_LOOPS(4)
DEFINE_PAIRED_LOOPS(8)
DEFINE_PAIRED_LOOPS(16)
DEFINE_PAIRED_LOOPS(32)
DEFINE_UNIT_LOOPS(any, move_any)

/* The loops for units of a size that has none of its own; also for the ends of rows, where nothing is left. */
#define OF_UNIT(loops, unit_nbytes)                                                                                    \
    ((unit_nbytes) > 64 || (unit_nbytes) < 4 ? loops##_any                                                             \
     : (unit_nbytes) > 32                    ? loops##_pair_32                                                         \
     : (unit_nbytes) > 16                    ? loops##_pair_16                                                         \
     : (unit_nbytes) > 8                     ? loops##_pair_8                                                          \
                                             : loops##_pair_4)

/* Two numbers, as one that is twice as long: its halves change places once more. */
#define DEFINE_SWAP_PAIR(nbytes, bits, both_bits)                                                                      \
    static inline void swap_pair_##nbytes(char *dst, const char *src)                                                  \
    {                                                                                                                  \
        uint##both_bits##_t both;                                                                                      \
        memcpy(&both, src, sizeof(both));                                                                              \
        both = __builtin_bswap##both_bits(both);                                                                       \
        both = (uint##both_bits##_t)(both << (bits) | both >> (bits));                                                 \
        memcpy(dst, &both, sizeof(both));                                                                              \
    }
DEFINE_SWAP_PAIR(2, 16, 32)
DEFINE_SWAP_PAIR(4, 32, 64)

static inline void swap_pair_8(char *dst, const char *src)
{
    cpu_swap_8(dst, src);
    cpu_swap_8(dst + 8, src + 8);
}

/* Units of numbers whose bytes are reversed. */
#define DEFINE_SWAPPED_LOOPS(nbytes)                                                                                   \
    static void row_swapped_##nbytes(char *dst, int64_t dst_stride, const char *src, int64_t src_stride,               \
                                     int64_t count, int64_t unit_nbytes)                                               \
    {                                                                                                                  \
        if (unit_nbytes == (nbytes)) {                                                                                 \
            NDBUF__UNROLL_4 for (int64_t i = 0; i < count; i++)                                                        \
            {                                                                                                          \
                cpu_swap_##nbytes(dst + i * dst_stride, src + i * src_stride);                                         \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        if (unit_nbytes == 2 * (nbytes)) { /* complex numbers */                                                       \
            NDBUF__UNROLL_4 for (int64_t i = 0; i < count; i++)                                                        \
            {                                                                                                          \
                swap_pair_##nbytes(dst + i * dst_stride, src + i * src_stride);                                        \
            }                                                                                                          \
            return;                                                                                                    \
        }                                                                                                              \
        for (int64_t i = 0; i < count; i++) {                                                                          \
            for (int64_t at = 0; at < unit_nbytes; at += (nbytes)) {                                                   \
                cpu_swap_##nbytes(dst + i * dst_stride + at, src + i * src_stride + at);                               \
            }                                                                                                          \
        }                                                                                                              \
    }

DEFINE_SWAPPED_LOOPS(2)
DEFINE_SWAPPED_LOOPS(4)
DEFINE_SWAPPED_LOOPS(8)

static cpu_row_fn row_swapped(int32_t swap_nbytes)
{
    return swap_nbytes == 2 ? row_swapped_2 : swap_nbytes == 4 ? row_swapped_4 : row_swapped_8;
}

cpu_row_fn ndbuf_cpu__row_fn(int64_t unit_nbytes, int32_t swap_nbytes)
{
    if (swap_nbytes != 0) {
        return row_swapped(swap_nbytes);
    }
#define CASE_ROW(nbytes)                                                                                               \
    case nbytes:                                                                                                       \
        return row_##nbytes;
    switch (unit_nbytes) {
        FOR_UNIT_SIZES(CASE_ROW)
    default:
        return OF_UNIT(row, unit_nbytes);
    }
}

static void transpose_swapped(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,
                              int64_t nlines, int64_t nrows, int64_t unit_nbytes, int32_t swap_nbytes)
{
    for (int64_t a = 0; a < nlines; a++) {
        for (int64_t b = 0; b < nrows; b++) {
            cpu_swap_unit(dst + dst_offsets[b] + a * unit_nbytes, src + src_offsets[a] + b * unit_nbytes, unit_nbytes,
                          swap_nbytes);
        }
    }
}

void ndbuf_cpu__transpose_any(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,
                              int64_t nlines, int64_t nrows, int64_t unit_nbytes, int32_t swap_nbytes)
{
    if (swap_nbytes != 0) {
        transpose_swapped(dst, dst_offsets, src, src_offsets, nlines, nrows, unit_nbytes, swap_nbytes);
        return;
    }
#define CASE_TRANSPOSE(nbytes)                                                                                         \
    case nbytes:                                                                                                       \
        transpose_##nbytes(dst, dst_offsets, src, src_offsets, nlines, nrows, nbytes);                                 \
        break;
    switch (unit_nbytes) {
        FOR_UNIT_SIZES(CASE_TRANSPOSE)
    default:
        OF_UNIT(transpose, unit_nbytes)(dst, dst_offsets, src, src_offsets, nlines, nrows, unit_nbytes);
        break;
    }
}

/* Few items of 2, 4 and 8 bytes: as many as 8 bytes hold at a time, the last ones once more. False: it is another size.
 */
static bool repeat_few(char *dst, const char *item, int64_t item_nbytes, int64_t nbytes)
{
    uint64_t pattern;
    uint32_t word;
    uint16_t half;
    switch (item_nbytes) {
    case 2:
        memcpy(&half, item, sizeof(half));
        pattern = half * (UINT64_MAX / UINT16_MAX);
        break;
    case 4:
        memcpy(&word, item, sizeof(word));
        pattern = word * (UINT64_MAX / UINT32_MAX);
        break;
    case 8:
        memcpy(&pattern, item, sizeof(pattern));
        break;
    default:
        return false;
    }
    for (int64_t at = 0; at < nbytes - 8; at += 8) {
        memcpy(dst + at, &pattern, sizeof(pattern));
    }
    memcpy(dst + nbytes - 8, &pattern, sizeof(pattern));
    return true;
}

void ndbuf_cpu__repeat(char *dst, const char *item, int64_t item_nbytes, int64_t count)
{
    if (item_nbytes == 1) {
        memset(dst, *item, (size_t)count);
        return;
    }
    /* Else each step doubles what is there, until it is as much as the first cache likes to read again. */
    int64_t nbytes = item_nbytes * count;
    int64_t step = item_nbytes;
    if (nbytes >= 8 && nbytes <= REPEAT_FEW_NBYTES && repeat_few(dst, item, item_nbytes, nbytes)) {
        return;
    }
    memcpy(dst, item, (size_t)item_nbytes);
    for (int64_t done = item_nbytes; done < nbytes; done += step) {
        step = done < REPEAT_NBYTES ? done : step;
        step = step < nbytes - done ? step : nbytes - done;
        memcpy(dst + done, dst, (size_t)step);
    }
}
