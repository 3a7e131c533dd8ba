/* SPDX-License-Identifier: Apache-2.0 */

/* The kernels for vectors of any width, included once by the file of each instruction set, which defines before:
 *
 *   KERNELS               the table's name, KERNELS_NAME its text, KERNELS_NARROWER the table below it
 *   KERNELS_CONVERSIONS   the table of cpu_conversions.h, or NULL
 *   LANES                 16-byte lanes in a vector: 1, 2 or 4
 *   lanes                 the type of such a vector
 *   lanes_unpack_lo/hi(unit_nbytes, a, b)   in each lane, units of both in turn: of the low, of the high halves
 *   lanes_exchange(v)     lane k of v[l] and lane l of v[k], of LANES vectors, change places
 *   lanes_join(src, offsets, step)   lane k: 16 bytes from offsets[k * step] on; where there are several lanes
 *   lanes_repeat(p)       16 bytes in each lane; lanes_pick(v, i): those bytes of each lane of v, in that order
 *   wide_load(src), wide_store(dst, v)   LANES * 16 bytes; of `lanes` again
 *   wide_stream(dst, v)   a macro, where there are stores past the caches; line_stream(dst, src), which moves a line
 *                         to an aligned one, line_stream_swapped(dst, src, order), and stream_fence behind the last one
 *   bytes                 the type of a vector of shuffles, BYTES_NBYTES wide
 *   bytes_load, bytes_store, and bytes_stream(dst, v), a macro, where there is wide_stream
 *   pick, pick_load(p)    an index vector
 *   bytes_pick(v, i)      those bytes of v, zero where the table says CPU_SHUFFLE_NONE
 *   bytes_or(a, b)
 *   slots_load(src, nbytes, spread), slots_store(dst, nbytes, v, close)   a vector of slots, see cpu_slots; no other
 * byte is read, none written SCATTER, COLLECT, ARRANGE, ARRANGE_BLOCKS   functions for the table's fields, or NULL
 *   lanes_or(a, b)        where there is no ARRANGE_BLOCKS */

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "core/compiler.h"

#include "backends/cpu/cpu_strided.h"

#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#if !defined(wide_stream)
#define wide_stream wide_store
#define bytes_stream bytes_store
#else
#define HAS_STREAM
#endif

/* -- byte order -- */

/* For lanes_pick. */
static inline lanes swap_order(int32_t swap_nbytes)
{
    static const uint8_t orders[][16] = {{1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14},
                                         {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12},
                                         {7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8}};
    return lanes_repeat(orders[swap_nbytes >> 2]);
}

#include "backends/cpu/cpu_simd_transpose.h"

#include "backends/cpu/cpu_simd_paced.h"

/* What is written on and on is fetched ahead, see cpu_prefetch_next, but for vectors of a lane, which seldom reach into
 * two lines. */
#define FETCHES_NEXT(nbytes) ((nbytes) > CPU_LANE_NBYTES)

/* Of rows one next to the other, and far from each other; and of all rows together, of which fewer stay in the first
 * cache. */
#define FETCHED_ROW_MIN 128
#define FETCHED_ROW_APART_MIN 512
#define FETCHED_MIN (16 << 10)

/* Whether what `count` rows' vectors fetch ahead is mostly what they or the next row write. */
static inline bool rows_go_on(int64_t count, int64_t dst_stride, int64_t nbytes)
{
    const int64_t gap = dst_stride - nbytes;
    return nbytes >= FETCHED_ROW_MIN && count * nbytes >= FETCHED_MIN &&
           ((gap >= 0 && gap < CPU_LINE_NBYTES) || nbytes >= FETCHED_ROW_APART_MIN);
}

/* -- shuffles -- */

/* For constant counts only. With `streams`, the first output goes past the caches. */
__attribute__((always_inline)) static inline void shuffle_steps(const cpu_shuffle *shuffle, char *dst, const char *src,
                                                                int64_t nsteps, int64_t prefetch_nbytes, cpu_twin twin,
                                                                const int nin, const int nout, const int nways,
                                                                const int streams)
{
    /* By value: what is stored might otherwise be them. */
    const int64_t in_step = shuffle->in_step;
    const int64_t out_step = shuffle->out_step;
    int64_t in_offsets[CPU_SHUFFLE_MAX];
    int64_t out_offsets[CPU_SHUFFLE_MAX];
    pick picks[CPU_SHUFFLE_MAX][CPU_SHUFFLE_MAX];
    UNROLL for (int i = 0; i < nin; i++)
    {
        in_offsets[i] = shuffle->in_offsets[i];
    }
    UNROLL for (int j = 0; j < nout; j++)
    {
        out_offsets[j] = shuffle->out_offsets[j];
        UNROLL for (int i = 0; i < nin; i++)
        {
            picks[j][i] = pick_load(shuffle->index[j][i]);
        }
    }
    for (int64_t step = 0; step < nsteps; step++) {
        UNROLL for (int way = 0; way < nways; way++)
        {
            bytes in[CPU_SHUFFLE_MAX];
            UNROLL for (int i = 0; i < nin; i++)
            {
                const char *at = src + way * twin.src + in_offsets[i];
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
                if (streams) {
                    bytes_stream(dst + way * twin.dst + out_offsets[j], out);
                } else {
                    if (FETCHES_NEXT(BYTES_NBYTES)) {
                        cpu_prefetch_next(dst + out_offsets[j]);
                    }
                    bytes_store(dst + out_offsets[j], out);
                }
            }
        }
        src += in_step;
        dst += out_step;
    }
}

#define SHUFFLE(nin, nout) shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, (cpu_twin){0, 0}, nin, nout, 1, 0)

static void shuffle_any(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps, int64_t prefetch_nbytes)
{
    switch (shuffle->nout > 1 ? shuffle->nin + CPU_SHUFFLE_MAX : shuffle->nin) {
    case 1:
        SHUFFLE(1, 1);
        break;
    case 2:
        SHUFFLE(2, 1);
        break;
    case 3:
        SHUFFLE(3, 1);
        break;
    case 4:
        SHUFFLE(4, 1);
        break;
    case CPU_SHUFFLE_MAX + 2:
        SHUFFLE(2, 2);
        break;
    case CPU_SHUFFLE_MAX + 3:
        SHUFFLE(3, 3);
        break;
    default:
        SHUFFLE(4, 4);
        break;
    }
}

/* A step of one output, in registers; for constant counts only. */
typedef struct gather_step {
    int64_t in_offsets[CPU_SHUFFLE_MAX];
    pick picks[CPU_SHUFFLE_MAX];
} gather_step;

__attribute__((always_inline)) static inline gather_step gather_step_load(const cpu_shuffle *shuffle, const int nin)
{
    gather_step how;
    UNROLL for (int i = 0; i < nin; i++)
    {
        how.in_offsets[i] = shuffle->in_offsets[i];
        how.picks[i] = pick_load(shuffle->index[0][i]);
    }
    return how;
}

__attribute__((always_inline)) static inline bytes gather_step_take(const gather_step *how, const char *src,
                                                                    const int nin)
{
    bytes out = bytes_pick(bytes_load(src + how->in_offsets[0]), how->picks[0]);
    UNROLL for (int i = 1; i < nin; i++)
    {
        out = bytes_or(out, bytes_pick(bytes_load(src + how->in_offsets[i]), how->picks[i]));
    }
    return out;
}

__attribute__((always_inline)) static inline void gather_rows_from(const cpu_shuffle *shuffle, char *dst,
                                                                   int64_t dst_stride, const char *src,
                                                                   int64_t src_stride, int64_t count, int64_t nsteps,
                                                                   int64_t dst_back, int64_t src_back, const int nin)
{
    const int64_t in_step = shuffle->in_step;
    const int64_t out_step = shuffle->out_step;
    const int64_t all_steps = src_back != 0 ? nsteps + 1 : nsteps;
    const gather_step how = gather_step_load(shuffle, nin);
    const bool fetches = FETCHES_NEXT(BYTES_NBYTES) &&
                         rows_go_on(count, dst_stride, nsteps * out_step + (src_back != 0 ? out_step - dst_back : 0));
    for (int64_t k = 0; k < count; k++) {
        const char *from = src + k * src_stride;
        char *to = dst + k * dst_stride;
        for (int64_t step = 0; step < all_steps; step++) {
            if (step == nsteps) {
                from -= src_back;
                to -= dst_back;
            }
            if (fetches) {
                cpu_prefetch_next(to);
            }
            bytes_store(to, gather_step_take(&how, from, nin));
            from += in_step;
            to += out_step;
        }
    }
}

static void gather_rows_any(const cpu_shuffle *shuffle, char *dst, int64_t dst_stride, const char *src,
                            int64_t src_stride, int64_t count, int64_t nsteps, int64_t dst_back, int64_t src_back)
{
    switch (shuffle->nin) {
    case 1:
        gather_rows_from(shuffle, dst, dst_stride, src, src_stride, count, nsteps, dst_back, src_back, 1);
        break;
    case 2:
        gather_rows_from(shuffle, dst, dst_stride, src, src_stride, count, nsteps, dst_back, src_back, 2);
        break;
    case 3:
        gather_rows_from(shuffle, dst, dst_stride, src, src_stride, count, nsteps, dst_back, src_back, 3);
        break;
    default:
        gather_rows_from(shuffle, dst, dst_stride, src, src_stride, count, nsteps, dst_back, src_back, 4);
        break;
    }
}

__attribute__((always_inline)) static inline void gather_lines_from(const cpu_shuffle *shuffle, char *dst,
                                                                    const char *src, const int64_t *offsets,
                                                                    int64_t count, const int nin)
{
    const int64_t in_step = shuffle->in_step;
    const gather_step how = gather_step_load(shuffle, nin);
    for (int64_t k = 0; k < count; k++) {
        const char *line = src + offsets[k];
        UNROLL for (int step = 0; step < CPU_LINE_NBYTES / BYTES_NBYTES; step++)
        {
            bytes_store(dst + (ptrdiff_t)step * BYTES_NBYTES, gather_step_take(&how, line, nin));
            line += in_step;
        }
        dst += CPU_LINE_NBYTES;
    }
}

static void gather_lines_any(const cpu_shuffle *shuffle, char *dst, const char *src, const int64_t *offsets,
                             int64_t count)
{
    switch (shuffle->nin) {
    case 1:
        gather_lines_from(shuffle, dst, src, offsets, count, 1);
        break;
    case 2:
        gather_lines_from(shuffle, dst, src, offsets, count, 2);
        break;
    case 3:
        gather_lines_from(shuffle, dst, src, offsets, count, 3);
        break;
    default:
        gather_lines_from(shuffle, dst, src, offsets, count, 4);
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

/* Rows from here on are worth having their vectors aligned in the destination. */
#define LONG_ROW_NBYTES 1024

/* At least one vector each; the last one overlaps the one before. */
__attribute__((always_inline)) static inline void rows_wide(char *dst, int64_t dst_stride, const char *src,
                                                            int64_t src_stride, int64_t count, int64_t nbytes,
                                                            int64_t prefetch_nbytes, int32_t swap_nbytes)
{
    const lanes order = swap_order(swap_nbytes);
    int64_t last = nbytes - WIDE_NBYTES;
    const bool fetches = FETCHES_NEXT(WIDE_NBYTES) && rows_go_on(count, dst_stride, nbytes);
    for (int64_t i = 0; i < count; i++) {
        lanes end = wide_load(src + last);
        int64_t at = 0;
        rows_prefetch(src, nbytes, prefetch_nbytes);
        if (nbytes >= LONG_ROW_NBYTES) {
            const lanes first = wide_load(src);
            wide_store(dst, swap_nbytes != 0 ? lanes_pick(first, order) : first);
            at = (int64_t)(-(uintptr_t)dst % WIDE_NBYTES);
            at = swap_nbytes == 0 || at % swap_nbytes == 0 ? at : 0;
        }
        for (; at < last; at += WIDE_NBYTES) {
            lanes v = wide_load(src + at);
            if (fetches) {
                cpu_prefetch_next(dst + at);
            }
            wide_store(dst + at, swap_nbytes != 0 ? lanes_pick(v, order) : v);
        }
        wide_store(dst + last, swap_nbytes != 0 ? lanes_pick(end, order) : end);
        dst += dst_stride;
        src += src_stride;
    }
}

static void rows_swapped(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,
                         int64_t nbytes, int64_t prefetch_nbytes, int32_t swap_nbytes)
{
    if (nbytes < WIDE_NBYTES) {
        KERNELS_NARROWER.rows(dst, dst_stride, src, src_stride, count, nbytes, prefetch_nbytes, swap_nbytes);
        return;
    }
    if (nbytes == WIDE_NBYTES) { /* no loop over the bytes */
        const lanes order = swap_order(swap_nbytes);
        for (int64_t i = 0; i < count; i++) {
            rows_prefetch(src, WIDE_NBYTES, prefetch_nbytes);
            wide_store(dst, lanes_pick(wide_load(src), order));
            dst += dst_stride;
            src += src_stride;
        }
        return;
    }
    rows_wide(dst, dst_stride, src, src_stride, count, nbytes, prefetch_nbytes, swap_nbytes);
}

static void rows_any(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count, int64_t nbytes,
                     int64_t prefetch_nbytes, int32_t swap_nbytes)
{
    if (swap_nbytes != 0) {
        rows_swapped(dst, dst_stride, src, src_stride, count, nbytes, prefetch_nbytes, swap_nbytes);
        return;
    }
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
            rows_wide(dst, dst_stride, src, src_stride, count, nbytes, prefetch_nbytes, 0);
        } else {
            ndbuf_cpu__row_fn(nbytes, 0)(dst, dst_stride, src, src_stride, count, nbytes);
        }
        break;
    }
}

/* Bytes of `pairs` vectors from either end, which may overlap in the middle: all are loaded before one is stored. */
static inline void move_ends(char *dst, const char *src, int64_t nbytes, const int pairs)
{
    const int64_t last = nbytes - WIDE_NBYTES;
    lanes first[4];
    lanes end[4];
    UNROLL for (int i = 0; i < pairs; i++)
    {
        first[i] = wide_load(src + (ptrdiff_t)i * WIDE_NBYTES);
        end[i] = wide_load(src + last - (ptrdiff_t)i * WIDE_NBYTES);
    }
    UNROLL for (int i = 0; i < pairs; i++)
    {
        wide_store(dst + (ptrdiff_t)i * WIDE_NBYTES, first[i]);
        wide_store(dst + last - (ptrdiff_t)i * WIDE_NBYTES, end[i]);
    }
}

static ndbuf_status move_any(const ndbuf__host_steps *steps, char *dst, const char *src)
{
    if (steps->nbytes <= 2 * WIDE_NBYTES) {
        move_ends(dst, src, steps->nbytes, 1);
    } else if (steps->nbytes <= 4 * WIDE_NBYTES) {
        move_ends(dst, src, steps->nbytes, 2);
    } else {
        move_ends(dst, src, steps->nbytes, 4);
    }
    return NDBUF_OK;
}

/* -- repeats -- */

/* Shorter rows are written as they begin: each takes as many stores as the one before. */
#define REPEAT_ALIGNED_MIN 256

/* 16 bytes of items one behind the other, and as many more, so that they can be taken at any phase. */
static inline void fill_lane(uint8_t lane[32], const char *item, int64_t item_nbytes)
{
#define FILL_LANE(nbytes)                                                                                              \
    case nbytes:                                                                                                       \
        UNROLL for (int at = 0; at < 32; at += (nbytes))                                                               \
        {                                                                                                              \
            memcpy(lane + at, item, nbytes);                                                                           \
        }                                                                                                              \
        break;
    switch (item_nbytes) {
        FILL_LANE(1)
        FILL_LANE(2)
        FILL_LANE(4)
        FILL_LANE(8)
    default:
        memcpy(lane, item, 16);
        memcpy(lane + 16, item, 16);
        break;
    }
#undef FILL_LANE
}

/* A row of a lane and more, but of few vectors. */
static inline void repeat_short(char *dst, const uint8_t lane[32], int64_t nbytes)
{
    if (nbytes < 32) {
        memcpy(dst, lane, 16);
        memcpy(dst + nbytes - 16, lane, 16);
        return;
    }
    for (int64_t at = 0; at < nbytes - 32; at += 32) {
        memcpy(dst + at, lane, 32);
    }
    memcpy(dst + nbytes - 32, lane, 32);
}

static void repeat_any(char *dst, const char *item, int64_t item_nbytes, int64_t count)
{
    const int64_t nbytes = item_nbytes * count;
    if (cpu_size_index(item_nbytes) < 0 || nbytes < CPU_LANE_NBYTES) {
        ndbuf_cpu__repeat(dst, item, item_nbytes, count);
        return;
    }
    uint8_t lane[32];
    fill_lane(lane, item, item_nbytes);
    if (nbytes < 2 * WIDE_NBYTES) {
        repeat_short(dst, lane, nbytes);
        return;
    }
    const bool is_short = nbytes < REPEAT_ALIGNED_MIN;
    const int64_t head = is_short ? WIDE_NBYTES : (int64_t)(-(uintptr_t)dst % WIDE_NBYTES);
    const lanes first = lanes_repeat(lane);
    const lanes v = lanes_repeat(lane + (head & (item_nbytes - 1)));
    const bool fetches = FETCHES_NEXT(WIDE_NBYTES) && nbytes >= FETCHED_ROW_APART_MIN;
    wide_store(dst, first);
    for (int64_t at = head; at <= nbytes - WIDE_NBYTES; at += WIDE_NBYTES) {
        if (fetches) {
            cpu_prefetch_next(dst + at);
        }
        wide_store(dst + at, v);
    }
    wide_store(dst + nbytes - WIDE_NBYTES, first); /* whole items before it, so of the same phase */
}

#include "backends/cpu/cpu_simd_blocks.h"

#include "backends/cpu/cpu_simd_stream.h"

const cpu_kernels KERNELS = {.name = KERNELS_NAME,
                             .narrower = &KERNELS_NARROWER,
                             .shuffle_nbytes = BYTES_NBYTES,
                             .block_side = {16 * LANES, 8 * LANES, 4 * LANES, 2 * LANES, 1 * LANES},
                             .transpose = {transpose_1, transpose_2, transpose_4, transpose_8, transpose_16},
                             .shuffle = shuffle_any,
                             .gather_rows = gather_rows_any,
                             .gather_lines = gather_lines_any,
                             .scatter = SCATTER,
                             .collect = COLLECT,
                             .move = move_any,
                             .move_nbytes = WIDE_NBYTES,
                             .arrange = ARRANGE,
                             .arrange_blocks = ARRANGE_BLOCKS,
                             .lane_blocks = LANE_BLOCKS,
                             .lanes_nbytes = WIDE_NBYTES,
                             .transpose_odd = transpose_odd,
                             .rows = rows_any,
                             .repeat = repeat_any,
                             .conversions = KERNELS_CONVERSIONS,
                             STREAM_KERNELS};
