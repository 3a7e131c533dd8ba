/* SPDX-License-Identifier: Apache-2.0 */

/* Rows and shuffles past the caches. A part of cpu_simd_kernels.h, which includes it once and has the vectors. */

#if defined(HAS_STREAM)
/* For constant numbers of ways and constant `swaps` only. */
__attribute__((always_inline)) static inline void stream_lines(char *dst, const char *src, int64_t nbytes,
                                                               int64_t prefetch_nbytes, cpu_twin twin, lanes order,
                                                               const int nways, const int swaps)
{
    for (int64_t at = 0; at < nbytes; at += CPU_LINE_NBYTES) {
        UNROLL for (int way = 0; way < nways; way++)
        {
            const char *from = src + at + way * twin.src;
            char *to = dst + at + way * twin.dst;
            if (prefetch_nbytes != 0) {
                __builtin_prefetch(from + prefetch_nbytes, 0, 2);
            }
            if (swaps) {
                line_stream_swapped(to, from, order);
            } else {
                line_stream(to, from);
            }
        }
    }
}

/* For constant numbers of ways and constant `swaps` only. */
__attribute__((always_inline)) static inline void stream_rows_as(char *dst, int64_t dst_stride, const char *src,
                                                                 int64_t src_stride, int64_t count, int64_t nbytes,
                                                                 int64_t prefetch_nbytes, cpu_twin twin, lanes order,
                                                                 const int nways, const int swaps)
{
    for (int64_t i = 0; i < count; i++) {
        stream_lines(dst, src, nbytes, prefetch_nbytes, twin, order, nways, swaps);
        dst += dst_stride;
        src += src_stride;
    }
}

#define STREAM_ROWS(nways, swaps)                                                                                      \
    stream_rows_as(dst, dst_stride, src, src_stride, count, nbytes, prefetch_nbytes, twin, swap_order(swap_nbytes),    \
                   nways, swaps)

static void stream_rows(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,
                        int64_t nbytes, int64_t prefetch_nbytes, cpu_twin twin, int32_t swap_nbytes)
{
    if (twin.dst != 0 && swap_nbytes != 0) {
        STREAM_ROWS(2, 1);
    } else if (twin.dst != 0) {
        STREAM_ROWS(2, 0);
    } else if (swap_nbytes != 0) {
        STREAM_ROWS(1, 1);
    } else {
        STREAM_ROWS(1, 0);
    }
}

/* Part of a cache line. Its size is one that the compiler cannot know: it would make loops of memcpy. */
static inline void move_part(char *dst, const char *src, int64_t nbytes)
{
    ADDRESS_ANEW(nbytes);
    memcpy(dst, src, (size_t)nbytes);
}

static void stream_pointed_rows(const ndbuf__host_rows *rows, int64_t first, int64_t last, int64_t ahead)
{
    const ndbuf__host_rows all = *rows; /* which no store changes */
    for (int64_t i = first; i < last; i++) {
        char *dst = ndbuf__host_row_at(&all.dst, i);
        const char *src = ndbuf__host_row_at(&all.src, i);
        const char *next = ndbuf__host_row_at(&all.src, i < last - ahead ? i + ahead : last - 1);
        const int64_t first_line = (int64_t)(-(uintptr_t)dst % CPU_LINE_NBYTES);
        const int64_t head = first_line < all.nbytes ? first_line : all.nbytes;
        int64_t at = head;
        if (head > 0) {
            __builtin_prefetch(next, 0, 2);
            move_part(dst, src, head);
        }
        for (; at <= all.nbytes - CPU_LINE_NBYTES; at += CPU_LINE_NBYTES) {
            __builtin_prefetch(next + at, 0, 2);
            line_stream(dst + at, src + at);
        }
        if (at < all.nbytes) {
            __builtin_prefetch(next + at, 0, 2);
            move_part(dst + at, src + at, all.nbytes - at);
        }
    }
}

#define STREAM_SHUFFLE(nin, nout, nways)                                                                               \
    shuffle_steps(shuffle, dst, src, nsteps, prefetch_nbytes, twin, nin, nout, nways, 1)

static void stream_shuffle_any(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps,
                               int64_t prefetch_nbytes, cpu_twin twin)
{
    int32_t nways = twin.dst != 0 ? 2 : 1;
    switch (shuffle->nout > 1 ? 8 + shuffle->nin : (nways - 1) * 4 + shuffle->nin) {
    case 1:
        STREAM_SHUFFLE(1, 1, 1);
        break;
    case 2:
        STREAM_SHUFFLE(2, 1, 1);
        break;
    case 3:
        STREAM_SHUFFLE(3, 1, 1);
        break;
    case 4:
        STREAM_SHUFFLE(4, 1, 1);
        break;
    case 5:
        STREAM_SHUFFLE(1, 1, 2);
        break;
    case 6:
        STREAM_SHUFFLE(2, 1, 2);
        break;
    case 7:
        STREAM_SHUFFLE(3, 1, 2);
        break;
    case 8:
        STREAM_SHUFFLE(4, 1, 2);
        break;
    case 10:
        STREAM_SHUFFLE(2, 2, 1);
        break;
    case 11:
        STREAM_SHUFFLE(3, 3, 1);
        break;
    default:
        STREAM_SHUFFLE(4, 4, 1);
        break;
    }
}

static void stream_staged_rows(char *stage, int64_t pitch, int64_t *places, char **lines, int64_t first, int64_t count,
                               int64_t staged)
{
    for (int64_t r = first; r < first + count; r++) {
        char *row = stage + r * pitch;
        char *line = lines[r];
        int64_t whole = (places[r] + staged - r * pitch) / CPU_LINE_NBYTES * CPU_LINE_NBYTES;
        if (whole > 0) {
            stream_lines(line, row, whole, 0, (cpu_twin){0, 0}, swap_order(0), 1, 0);
            memcpy(row, row + whole, CPU_LINE_NBYTES);
        }
        lines[r] = line + whole;
        places[r] += staged - whole;
    }
}

#define STREAM_KERNELS                                                                                                 \
    .stream = stream_rows, .stream_pointed = stream_pointed_rows, .stream_shuffle = stream_shuffle_any,                \
    .stream_staged = stream_staged_rows, STREAM_TRANSPOSE PACED_TRANSPOSE.stream_end = stream_fence,
#else
#define STREAM_KERNELS
#endif
