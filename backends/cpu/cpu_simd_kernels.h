/* SPDX-License-Identifier: Apache-2.0 */

/* The kernels for vectors of any width, included once by the file of each instruction set, which defines before:
 *
 *   KERNELS               the table's name, KERNELS_NAME its text, KERNELS_NARROWER the table below it
 *   LANES                 16-byte lanes in a vector: 1, 2 or 4
 *   lanes                 the type of such a vector
 *   lanes_load(src, offsets, step)   lane l from src + offsets[l * step], 16 bytes each
 *   lanes_store(dst, v)
 *   lanes_unpack_lo/hi(unit_nbytes, a, b)   in each lane, units of both in turn: of the low, of the high halves
 *   wide_load(src), wide_store(dst, v)   LANES * 16 bytes; of `lanes` again
 *   wide_stream(dst, v)   a macro, where there are stores past the caches, and stream_fence behind the last one
 *   bytes                 the type of a vector of shuffles, BYTES_NBYTES wide
 *   bytes_load, bytes_store
 *   index, pick_load(p)  an index vector
 *   bytes_pick(v, i)      those bytes of v, zero where the table says CPU_SHUFFLE_NONE
 *   bytes_or(a, b)
 *   SCATTER               a function for the table's slot, or NULL */

#include <stddef.h>
#include <string.h>

#include "backends/cpu/cpu_strided.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* -- transposes: an R by R transpose in every lane, by log2(R) rounds of the same perfect shuffle -- */

#define DEFINE_TRANSPOSE(UNIT, R)                                                                                      \
    __attribute__((always_inline)) static inline void block_##UNIT(char *dst, const int64_t *dst_offsets,              \
                                                                   const char *src, const int64_t *src_offsets)        \
    {                                                                                                                  \
        lanes x[R];                                                                                                    \
        lanes y[R];                                                                                                    \
        UNROLL for (int i = 0; i < (R); i++)                                                                           \
        {                                                                                                              \
            x[i] = lanes_load(src, src_offsets + i, R);                                                                \
        }                                                                                                              \
        UNROLL for (int round = 1; round < (R); round *= 2)                                                            \
        {                                                                                                              \
            UNROLL for (int i = 0; i < (R) / 2; i++)                                                                   \
            {                                                                                                          \
                y[2 * i] = lanes_unpack_lo(UNIT, x[i], x[i + (R) / 2]);                                                \
                y[2 * i + 1] = lanes_unpack_hi(UNIT, x[i], x[i + (R) / 2]);                                            \
            }                                                                                                          \
            UNROLL for (int i = 0; i < (R); i++)                                                                       \
            {                                                                                                          \
                x[i] = y[i];                                                                                           \
            }                                                                                                          \
        }                                                                                                              \
        UNROLL for (int i = 0; i < (R); i++)                                                                           \
        {                                                                                                              \
            lanes_store(dst + dst_offsets[i], x[i]);                                                                   \
        }                                                                                                              \
    }                                                                                                                  \
    static void transpose_##UNIT(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,   \
                                 int64_t nlines, int64_t nrows, int64_t prefetch_nbytes)                               \
    {                                                                                                                  \
        const int64_t side = (int64_t)(R)*LANES;                                                                       \
        for (int64_t a = 0;;) {                                                                                        \
            if (prefetch_nbytes > 0) {                                                                                 \
                prefetch_lines(src + prefetch_nbytes, src_offsets + a, side, nrows * (UNIT));                          \
            }                                                                                                          \
            for (int64_t b = 0;;) {                                                                                    \
                block_##UNIT(dst + a * (UNIT), dst_offsets + b, src + b * (UNIT), src_offsets + a);                    \
                if (b + (R) >= nrows) {                                                                                \
                    break;                                                                                             \
                }                                                                                                      \
                b = b + 2 * (R) <= nrows ? b + (R) : nrows - (R);                                                      \
            }                                                                                                          \
            if (a + side >= nlines) {                                                                                  \
                break;                                                                                                 \
            }                                                                                                          \
            a = a + 2 * side <= nlines ? a + side : nlines - side; /* the last block may overlap the one before */     \
        }                                                                                                              \
    }

/* Into the second cache: the next pass needs them there, and the first one is busy. */
static inline void prefetch_lines(const char *src, const int64_t *offsets, int64_t count, int64_t nbytes)
{
    for (int64_t i = 0; i < count; i++) {
        for (int64_t at = 0; at < nbytes; at += CPU_LINE_NBYTES) {
            __builtin_prefetch(src + offsets[i] + at, 0, 2);
        }
    }
}

DEFINE_TRANSPOSE(1, 16)
DEFINE_TRANSPOSE(2, 8)
DEFINE_TRANSPOSE(4, 4)
DEFINE_TRANSPOSE(8, 2)
DEFINE_TRANSPOSE(16, 1)

/* -- shuffles -- */

/* For constant counts only. */
__attribute__((always_inline)) static inline void shuffle_steps(const cpu_shuffle *shuffle, char *dst, const char *src,
                                                                int64_t nsteps, int64_t prefetch_nbytes, const int nin,
                                                                const int nout)
{
    pick picks[CPU_SHUFFLE_MAX][CPU_SHUFFLE_MAX];
    UNROLL for (int j = 0; j < nout; j++)
    {
        UNROLL for (int i = 0; i < nin; i++)
        {
            picks[j][i] = pick_load(shuffle->index[j][i]);
        }
    }
    for (int64_t step = 0; step < nsteps; step++) {
        bytes in[CPU_SHUFFLE_MAX];
        UNROLL for (int i = 0; i < nin; i++)
        {
            const char *at = src + shuffle->in_offsets[i];
            if (prefetch_nbytes != 0) {
                __builtin_prefetch(at + prefetch_nbytes, 0, 2);
            }
            in[i] = bytes_load(at);
        }
        UNROLL for (int j = 0; j < nout; j++)
        {
            bytes out = bytes_pick(in[0], picks[j][0]);
            UNROLL for (int i = 1; i < nin; i++)
            {
                out = bytes_or(out, bytes_pick(in[i], picks[j][i]));
            }
            bytes_store(dst + shuffle->out_offsets[j], out);
        }
        src += shuffle->in_step;
        dst += shuffle->out_step;
    }
}

static void shuffle_any(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps, int64_t prefetch_nbytes)
{
    switch (shuffle->nout > 1 ? shuffle->nin + CPU_SHUFFLE_MAX : shuffle->nin) {
    case 1:
        shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 1, 1);
        break;
    case 2:
        shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 2, 1);
        break;
    case 3:
        shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 3, 1);
        break;
    case 4:
        shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 4, 1);
        break;
    case CPU_SHUFFLE_MAX + 2:
        shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 2, 2);
        break;
    case CPU_SHUFFLE_MAX + 3:
        shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 3, 3);
        break;
    default:
        shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 4, 4);
        break;
    }
}

/* -- rows -- */

#define WIDE_NBYTES (LANES * 16)

static inline void rows_prefetch(const char *src, int64_t nbytes, int64_t prefetch_nbytes)
{
    for (int64_t at = 0; prefetch_nbytes != 0 && at < nbytes; at += CPU_LINE_NBYTES) {
        __builtin_prefetch(src + at + prefetch_nbytes, 0, 2);
    }
}

/* For constant sizes only: no loop over the bytes. */
__attribute__((always_inline)) static inline void rows_fixed(char *dst, int64_t dst_stride, const char *src,
                                                             int64_t src_stride, int64_t count, int64_t prefetch_nbytes,
                                                             const int nbytes)
{
    for (int64_t i = 0; i < count; i++) {
        rows_prefetch(src, nbytes, prefetch_nbytes);
        memcpy(dst, src, (size_t)nbytes);
        dst += dst_stride;
        src += src_stride;
    }
}

/* At least one vector each; the last one overlaps the one before. */
static inline void rows_wide(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,
                             int64_t nbytes, int64_t prefetch_nbytes)
{
    int64_t last = nbytes - WIDE_NBYTES;
    for (int64_t i = 0; i < count; i++) {
        lanes end = wide_load(src + last);
        rows_prefetch(src, nbytes, prefetch_nbytes);
        for (int64_t at = 0; at < last; at += WIDE_NBYTES) {
            wide_store(dst + at, wide_load(src + at));
        }
        wide_store(dst + last, end);
        dst += dst_stride;
        src += src_stride;
    }
}

static void rows_any(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count, int64_t nbytes,
                     int64_t prefetch_nbytes)
{
    switch (nbytes) {
    case 16:
        rows_fixed(dst, dst_stride, src, src_stride, count, prefetch_nbytes, 16);
        break;
    case 32:
        rows_fixed(dst, dst_stride, src, src_stride, count, prefetch_nbytes, 32);
        break;
    case 64:
        rows_fixed(dst, dst_stride, src, src_stride, count, prefetch_nbytes, 64);
        break;
    case 128:
        rows_fixed(dst, dst_stride, src, src_stride, count, prefetch_nbytes, 128);
        break;
    default:
        if (nbytes >= WIDE_NBYTES) {
            rows_wide(dst, dst_stride, src, src_stride, count, nbytes, prefetch_nbytes);
        } else {
            ndbuf_cpu__row_fn(nbytes)(dst, dst_stride, src, src_stride, count, nbytes);
        }
        break;
    }
}

/* -- past the caches -- */

#if defined(wide_stream)
static void stream_rows(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,
                        int64_t nbytes, int64_t prefetch_nbytes)
{
    for (int64_t i = 0; i < count; i++) {
        for (int64_t at = 0; at < nbytes; at += CPU_LINE_NBYTES) {
            if (prefetch_nbytes != 0) {
                __builtin_prefetch(src + at + prefetch_nbytes, 0, 2);
            }
            UNROLL for (int k = 0; k < CPU_LINE_NBYTES / WIDE_NBYTES; k++)
            {
                const ptrdiff_t part = (ptrdiff_t)k * WIDE_NBYTES;
                wide_stream(dst + at + part, wide_load(src + at + part));
            }
        }
        dst += dst_stride;
        src += src_stride;
    }
}

#define STREAM stream_rows
#define STREAM_END stream_fence
#else
#define STREAM NULL
#define STREAM_END NULL
#endif

const cpu_kernels KERNELS = {
    .name = KERNELS_NAME,
    .narrower = &KERNELS_NARROWER,
    .shuffle_nbytes = BYTES_NBYTES,
    .block_lines = {16 * LANES, 8 * LANES, 4 * LANES, 2 * LANES, 1 * LANES},
    .block_rows = {16, 8, 4, 2, 1},
    .transpose = {transpose_1, transpose_2, transpose_4, transpose_8, transpose_16},
    .shuffle = shuffle_any,
    .scatter = SCATTER,
    .rows = rows_any,
    .stream = STREAM,
    .stream_end = STREAM_END,
};
