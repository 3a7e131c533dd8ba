/* SPDX-License-Identifier: Apache-2.0 */
/* Rows at addresses of their own. Those that lie evenly spaced all the same are a box. Of others the processor cannot
 * foresee the next one, so where they come from memory, the lines of the rows to come are asked for while those before
 * them are copied. */
#include "core/host_rows.h"

#include <stdbool.h>
#include <string.h>

#include "backends/cpu/cpu_engine.h"
#include "backends/cpu/cpu_pool.h"
#include "backends/cpu/cpu_tuning.h"

/* How far ahead, bytes of rows. */
#define AHEAD_NBYTES 12288
/* The same of short rows, which are at most as long. */
#define SHORT_ROW_MAX 8192
/* Rows that are moved without a call for each, where those to come are fetched. */
#define TINY_ROW_MIN 4
#define TINY_ROW_MAX 64
/* Long rows are copied and prefetched in turn, piece by piece. */
#define PIECE_NBYTES 512
/* Shorter rows are not worth leaving the caches. */
#define STREAMED_ROW_MIN 256

/* So many rows evenly spaced are worth a copy of their own. */
#define EVEN_MIN 16

typedef struct rows_copy {
    const ndbuf__host_rows *rows;
    int64_t first; /* those before it are copied */
    const cpu_kernels *kernels;
    int64_t nparts;
    bool from_memory; /* too much for the caches */
    bool in_pairs;    /* rows that leave past the caches go two at a time */
    bool prefetches_far;
} rows_copy;

/* Walks along the lines of the rows of one side, up to row `last`. */
typedef struct line_walk {
    const ndbuf__host_row_side *side;
    int64_t row;
    int64_t last;
    int64_t nbytes;
    const char *line;
    const char *end; /* of the row; <= line: the next one is to be found */
} line_walk;

static line_walk line_walk_make(const ndbuf__host_rows *rows, const ndbuf__host_row_side *side, int64_t first,
                                int64_t last)
{
    return (line_walk){.side = side, .row = first, .last = last, .nbytes = rows->nbytes};
}

static inline void line_walk_prefetch(line_walk *walk, int64_t nbytes, bool to_write)
{
    for (; nbytes > 0; nbytes -= CPU_LINE_NBYTES) {
        if (walk->line >= walk->end) {
            if (walk->row == walk->last) {
                return;
            }
            const char *row = ndbuf__host_row_at(walk->side, walk->row++);
            walk->line = row - (uintptr_t)row % CPU_LINE_NBYTES;
            walk->end = row + walk->nbytes;
        }
        if (to_write) {
            __builtin_prefetch(walk->line, 1, 3);
        } else {
            __builtin_prefetch(walk->line, 0, 3);
        }
        walk->line += CPU_LINE_NBYTES;
    }
}

/* What lies behind a pointer, all of it, in one line or two. */
static inline void tiny_prefetch(const ndbuf__host_row_side *side, int64_t index, int64_t nbytes, bool to_write)
{
    if (side->suboffset < 0) {
        return;
    }
    const char *row = ndbuf__host_row_at(side, index);
    if (to_write) {
        __builtin_prefetch(row, 1, 3);
        __builtin_prefetch(row + nbytes - 1, 1, 3);
    } else {
        __builtin_prefetch(row, 0, 3);
        __builtin_prefetch(row + nbytes - 1, 0, 3);
    }
}

/* For constant sizes only: rows of up to two moves of `half` bytes, which may overlap, and of one at least. */
__attribute__((always_inline)) static inline void copy_tiny_by(const rows_copy *copy, int64_t first, int64_t last,
                                                               int64_t ahead, const int half)
{
    const ndbuf__host_rows rows = *copy->rows;
    const int64_t end = rows.nbytes - half;
    for (int64_t i = first; i < last; i++) {
        char *dst = ndbuf__host_row_at(&rows.dst, i);
        const char *src = ndbuf__host_row_at(&rows.src, i);
        char head[TINY_ROW_MAX / 2];
        char tail[TINY_ROW_MAX / 2];
        const int64_t next = i < last - ahead ? i + ahead : last - 1;
        tiny_prefetch(&rows.src, next, rows.nbytes, false);
        tiny_prefetch(&rows.dst, next, rows.nbytes, true);
        memcpy(head, src, (size_t)half);
        memcpy(tail, src + end, (size_t)half);
        memcpy(dst, head, (size_t)half);
        memcpy(dst + end, tail, (size_t)half);
    }
}

/* As copy_short, for rows of TINY_ROW_MIN to TINY_ROW_MAX bytes, without a call for each. */
static void copy_tiny(const rows_copy *copy, int64_t first, int64_t last, int64_t ahead)
{
    const int64_t nbytes = copy->rows->nbytes;
    if (nbytes > 32) {
        copy_tiny_by(copy, first, last, ahead, 32);
    } else if (nbytes > 16) {
        copy_tiny_by(copy, first, last, ahead, 16);
    } else if (nbytes > 8) {
        copy_tiny_by(copy, first, last, ahead, 8);
    } else {
        copy_tiny_by(copy, first, last, ahead, 4);
    }
}

static void copy_near(const rows_copy *copy, int64_t first, int64_t last)
{
    const ndbuf__host_rows *rows = copy->rows;
    for (int64_t i = first; i < last; i++) {
        cpu_copy_bytes(ndbuf__host_row_at(&rows->dst, i), ndbuf__host_row_at(&rows->src, i), rows->nbytes,
                       copy->kernels);
    }
}

static inline void prefetch_row(const char *row, int64_t nbytes, bool is_far)
{
    const char *line = row - (uintptr_t)row % CPU_LINE_NBYTES;
    for (; line < row + nbytes; line += CPU_LINE_NBYTES) {
        cpu_prefetch_line(line, is_far);
    }
}

static inline void prefetch_row_to_write(const char *row, int64_t nbytes)
{
    const char *line = row - (uintptr_t)row % CPU_LINE_NBYTES;
    for (; line < row + nbytes; line += CPU_LINE_NBYTES) {
        __builtin_prefetch(line, 1, 3);
    }
}

/* Short rows, written as usual: while one is copied, what lies behind a pointer some rows further on is fetched. Not
 * inlined, as compilers that know how short rows are make instructions of memcpy that are slower than its calls. */
static NDBUF__NOINLINE void copy_short(const rows_copy *copy, int64_t first, int64_t last, int64_t ahead)
{
    const ndbuf__host_rows rows = *copy->rows;
    for (int64_t i = first; i < last; i++) {
        const int64_t next = i < last - ahead ? i + ahead : last - 1;
        if (rows.src.suboffset >= 0) {
            prefetch_row(ndbuf__host_row_at(&rows.src, next), rows.nbytes, copy->prefetches_far);
        }
        if (rows.dst.suboffset >= 0) {
            prefetch_row_to_write(ndbuf__host_row_at(&rows.dst, next), rows.nbytes);
        }
        cpu_copy_bytes(ndbuf__host_row_at(&rows.dst, i), ndbuf__host_row_at(&rows.src, i), rows.nbytes, copy->kernels);
    }
}

/* Rows that begin and end with a line of the destination leave past the caches; others are written as usual. */
static void copy_far(const rows_copy *copy, int64_t first, int64_t last, bool fetches_dst, bool fetches_src)
{
    const ndbuf__host_rows *rows = copy->rows;
    const cpu_kernels *kernels = copy->kernels;
    bool may_stream =
        kernels->stream != NULL && rows->nbytes >= STREAMED_ROW_MIN && rows->nbytes % CPU_LINE_NBYTES == 0;
    line_walk to = line_walk_make(rows, &rows->dst, first, fetches_dst && !may_stream ? last : first);
    line_walk from = line_walk_make(rows, &rows->src, first, fetches_src ? last : first);
    line_walk_prefetch(&to, AHEAD_NBYTES / 2, true);
    line_walk_prefetch(&from, AHEAD_NBYTES, false);
    for (int64_t i = first, count; i < last; i += count) {
        char *dst = ndbuf__host_row_at(&rows->dst, i);
        const char *src = ndbuf__host_row_at(&rows->src, i);
        bool streams = may_stream && (uintptr_t)dst % CPU_LINE_NBYTES == 0;
        cpu_twin twin = {0, 0};
        count = 1;
        if (streams && fetches_src && copy->in_pairs && i + 1 < last) { /* with the next one beside it */
            char *next = ndbuf__host_row_at(&rows->dst, i + 1);
            if ((uintptr_t)next % CPU_LINE_NBYTES == 0) {
                twin.dst = next - dst;
                twin.src = ndbuf__host_row_at(&rows->src, i + 1) - src;
                count = 2;
            }
        }
        for (int64_t at = 0; at < rows->nbytes; at += PIECE_NBYTES) {
            int64_t nbytes = rows->nbytes - at < PIECE_NBYTES ? rows->nbytes - at : PIECE_NBYTES;
            line_walk_prefetch(&to, count * nbytes, true);
            line_walk_prefetch(&from, count * nbytes, false);
            if (streams) {
                kernels->stream(dst + at, 0, src + at, 0, 1, nbytes, 0, twin, 0);
            } else {
                kernels->rows(dst + at, 0, src + at, 0, 1, nbytes, 0, 0);
            }
        }
    }
    if (may_stream) {
        kernels->stream_end();
    }
}

static void run_part(void *context, int64_t part)
{
    const rows_copy *copy = context;
    const ndbuf__host_rows *rows = copy->rows;
    int64_t first;
    int64_t last;
    ndbuf_cpu__part_range(rows->count - copy->first, copy->nparts, part, &first, &last);
    first += copy->first;
    last += copy->first;
    const bool has_lines = rows->nbytes % CPU_LINE_NBYTES == 0;
    if (!copy->from_memory) {
        copy_near(copy, first, last);
    } else if (rows->nbytes > SHORT_ROW_MAX || (copy->in_pairs && has_lines && rows->nbytes >= STREAMED_ROW_MIN)) {
        copy_far(copy, first, last, rows->dst.suboffset >= 0, rows->src.suboffset >= 0);
    } else if (!copy->in_pairs && (has_lines || rows->nbytes >= STREAMED_ROW_MIN) &&
               copy->kernels->stream_pointed != NULL) {
        copy->kernels->stream_pointed(rows, first, last, SHORT_ROW_MAX / rows->nbytes);
        copy->kernels->stream_end();
    } else if (rows->nbytes >= TINY_ROW_MIN && rows->nbytes <= TINY_ROW_MAX) {
        copy_tiny(copy, first, last, SHORT_ROW_MAX / CPU_LINE_NBYTES);
    } else {
        copy_short(copy, first, last,
                   SHORT_ROW_MAX / (rows->nbytes > CPU_LINE_NBYTES ? rows->nbytes : CPU_LINE_NBYTES));
    }
}

/* How many rows from `first` on are evenly spaced, and how far apart. */
static int64_t count_even(const ndbuf__host_rows *rows, int64_t first, int64_t *out_dst_stride, int64_t *out_src_stride)
{
    int64_t count = 1;
    uintptr_t dst = (uintptr_t)ndbuf__host_row_at(&rows->dst, first);
    uintptr_t src = (uintptr_t)ndbuf__host_row_at(&rows->src, first);
    for (; first + count < rows->count; count++) {
        const uintptr_t next_dst = (uintptr_t)ndbuf__host_row_at(&rows->dst, first + count);
        const uintptr_t next_src = (uintptr_t)ndbuf__host_row_at(&rows->src, first + count);
        if (count == 1) {
            *out_dst_stride = (int64_t)(next_dst - dst);
            *out_src_stride = (int64_t)(next_src - src);
        }
        if ((int64_t)(next_dst - dst) != *out_dst_stride || (int64_t)(next_src - src) != *out_src_stride) {
            break;
        }
        dst = next_dst;
        src = next_src;
    }
    return count;
}

/* Copies the rows at the beginning that are evenly spaced on both sides, run by run; returns how many. */
static int64_t copy_even(const ndbuf__host_rows *rows)
{
    int64_t first = 0;
    while (rows->count - first > 1) {
        int64_t dst_stride;
        int64_t src_stride;
        const int64_t count = count_even(rows, first, &dst_stride, &src_stride);
        if (count < EVEN_MIN || dst_stride < rows->nbytes) {
            break;
        }
        const bool is_dense = dst_stride == rows->nbytes && src_stride == rows->nbytes;
        const cpu_box box = {.dst = ndbuf__host_row_at(&rows->dst, first),
                             .src = ndbuf__host_row_at(&rows->src, first),
                             .ndim = is_dense ? 0 : 1,
                             .unit_nbytes = is_dense ? count * rows->nbytes : rows->nbytes,
                             .shape = &count,
                             .dst_strides = &dst_stride,
                             .src_strides = &src_stride};
        ndbuf_cpu__copy_box(&box);
        first += count;
    }
    return first;
}

void ndbuf__host_rows_copy(const ndbuf__host_rows *rows)
{
    const ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    int64_t first = copy_even(rows);
    int64_t nbytes = (rows->count - first) * rows->nbytes;
    rows_copy copy = {.rows = rows,
                      .first = first,
                      .kernels = ndbuf_cpu__kernels_get(),
                      .nparts = 1,
                      .from_memory = nbytes >= tuning.stream_nbytes,
                      .in_pairs = tuning.stream_ways > 1,
                      .prefetches_far = tuning.prefetch_level > 1};
    copy.nparts = ndbuf_cpu__parts(rows->count - first, nbytes, tuning.thread_nbytes, tuning.thread_share_nbytes);
    if (copy.nparts > 1) {
        ndbuf_cpu__pool_run(run_part, &copy, copy.nparts);
    } else {
        run_part(&copy, 0);
    }
}
