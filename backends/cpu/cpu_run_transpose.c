/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_run_transpose.h"

#include <string.h>

/* The transposes of one tile, as a strip after the other: a strip is a piece of each line of the source, a cache line
 * or two long, and becomes some rows of the destination. Strips that are not turned right into the destination are
 * staged in the first cache, and leave from there row by row. */

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

void ndbuf_cpu__stream_run(const cpu_kernels *kernels, char *dst, const char *src, int64_t nbytes,
                           int64_t prefetch_nbytes)
{
    int64_t head = (int64_t)(-(uintptr_t)dst % CPU_LINE_NBYTES);
    if (nbytes < head + CPU_LINE_NBYTES) {
        memcpy(dst, src, (size_t)nbytes);
        return;
    }
    int64_t body = (nbytes - head) / CPU_LINE_NBYTES * CPU_LINE_NBYTES;
    int64_t tail = nbytes - head - body;
    if (head > 0) {
        memcpy(dst, src, (size_t)head);
    }
    kernels->stream(dst + head, 0, src + head, 0, 1, body, prefetch_nbytes);
    if (tail > 0) {
        memcpy(dst + head + body, src + head + body, (size_t)tail);
    }
}

#define LANE_NBYTES 16

/* A tile in progress. */
typedef struct cpu_tile {
    const cpu_plan *plan;
    const cpu_kernels *kernels;
    int size; /* of units, as the kernels count them; -1: no vector kernel takes them */
    int64_t block_lines;
    int64_t block_rows;
    int64_t unit;
    int64_t nlines; /* to be turned, with those that the next piece will have, too */
} cpu_tile;

/* Turns nlines x nrows units by the best kernel that takes so few. */
static void tile_turn(const cpu_tile *tile, char *dst, const int64_t *dst_offsets, const char *src,
                      const int64_t *src_offsets, int64_t nlines, int64_t nrows, int64_t prefetch_nbytes)
{
    const cpu_kernels *kernels = tile->size >= 0 && nrows >= tile->block_rows ? tile->kernels : NULL;
    while (kernels != NULL && nlines < kernels->block_lines[tile->size]) {
        kernels = kernels->narrower;
    }
    if (kernels != NULL) {
        kernels->transpose[tile->size](dst, dst_offsets, src, src_offsets, nlines, nrows, prefetch_nbytes);
    } else {
        ndbuf_cpu__transpose_any(dst, dst_offsets, src, src_offsets, nlines, nrows, tile->unit);
    }
}

/* Lines shorter than a lane are brought together in slots as long as one. What is turned behind their ends goes to a
 * row that nobody sends. */
static void tile_turn_short(const cpu_tile *tile, char *packed, char *dst, const int64_t *dst_offsets, const char *src,
                            int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    const int64_t slot = LANE_NBYTES;
    int64_t packed_offsets[CPU_VECTOR_MAX];
    int64_t row_offsets[LANE_NBYTES];
    int64_t nbytes = nrows * tile->unit;
    int64_t step = tile->block_lines;
    cpu_row_fn copy_line = ndbuf_cpu__row_fn(nbytes);
    for (int64_t b = 0; b < tile->block_rows; b++) {
        row_offsets[b] = b < nrows ? dst_offsets[b] : transpose->strip_rows * transpose->stage_pitch;
    }
    for (int64_t i = 0; i < step; i++) {
        packed_offsets[i] = i * slot;
    }
    for (int64_t a = 0; a < tile->nlines; a += step) {
        a = tile->nlines - a < step ? tile->nlines - step : a;
        if (transpose->lines_per_index == 1) { /* they are evenly spaced */
            copy_line(packed, slot, src + transpose->src_offsets[a], tile->plan->row.src_stride, step, nbytes);
        } else {
            for (int64_t i = 0; i < step; i++) {
                memcpy(packed + i * slot, src + transpose->src_offsets[a + i], (size_t)nbytes);
            }
        }
        tile->kernels->transpose[tile->size](dst + a * tile->unit, row_offsets, packed, packed_offsets, step,
                                             tile->block_rows, 0);
    }
}

/* Lines that share cache sets would throw each other out before the last of their units is turned: so a cache line of
 * each of a block is brought together first. */
static void tile_turn_packed(const cpu_tile *tile, char *packed, char *dst, const int64_t *dst_offsets, const char *src,
                             int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    int64_t packed_offsets[CPU_VECTOR_MAX];
    int64_t nbytes = nrows * tile->unit;
    int64_t step = tile->block_lines;
    for (int64_t a = 0; a < tile->nlines; a += step) {
        if (tile->nlines - a < step) {
            a = tile->nlines > step ? tile->nlines - step : 0;
        }
        int64_t count = smaller(step, tile->nlines - a);
        for (int64_t i = 0; i < count; i++) {
            const char *line = src + transpose->src_offsets[a + i];
            packed_offsets[i] = i * CPU_LINE_NBYTES;
            if (nbytes == CPU_LINE_NBYTES) {
                memcpy(packed + i * CPU_LINE_NBYTES, line, CPU_LINE_NBYTES);
            } else {
                memcpy(packed + i * CPU_LINE_NBYTES, line, (size_t)nbytes);
            }
            if (transpose->prefetch_nbytes > 0) {
                __builtin_prefetch(line + transpose->prefetch_nbytes, 0, 2);
            }
        }
        tile_turn(tile, dst + a * tile->unit, dst_offsets, packed, packed_offsets, count, nrows, 0);
    }
}

/* Sends a staged row. When whole cache lines are to leave, the row goes from the first line that starts in it (or from
 * its start, at the beginning of the axis) to the end of the line where it ends (or its end). */
static void row_send(const cpu_tile *tile, char *dst, const char *staged, int64_t nbytes, bool is_first, bool is_last)
{
    int64_t from = 0;
    int64_t to = nbytes;
    if (!tile->plan->streams) {
        memcpy(dst, staged, (size_t)nbytes);
        return;
    }
    if (tile->plan->transpose.pad_indices > 0) {
        from = is_first ? 0 : (int64_t)(-(uintptr_t)dst % CPU_LINE_NBYTES);
        to = is_last ? nbytes : nbytes + (int64_t)(-(uintptr_t)(dst + nbytes) % CPU_LINE_NBYTES);
        to = smaller(to, tile->nlines * tile->unit);
    }
    if (to > from) {
        ndbuf_cpu__stream_run(tile->kernels, dst + from, staged + from, to - from, 0);
    }
}

void ndbuf_cpu__transpose_run(const cpu_plan *plan, const cpu_kernels *kernels, char *stage, char *dst, const char *src,
                              int64_t nrow, int64_t ncolumn, int64_t first_row)
{
    const cpu_transpose *transpose = &plan->transpose;
    int size = cpu_size_index(plan->unit_nbytes);
    int64_t row_nbytes = nrow * transpose->lines_per_index * plan->unit_nbytes;
    int64_t nrows = ncolumn * transpose->rows_per_index;
    int64_t padded = smaller(nrow + transpose->pad_indices, plan->row.extent - first_row);
    bool is_staged = transpose->stage_pitch > 0;
    bool is_last = first_row + nrow == plan->row.extent;
    cpu_tile tile = {.plan = plan,
                     .kernels = kernels,
                     .size = size,
                     .block_lines = size >= 0 ? kernels->block_lines[size] : 1,
                     .block_rows = size >= 0 ? kernels->block_rows[size] : 1,
                     .unit = plan->unit_nbytes,
                     .nlines = padded * transpose->lines_per_index};
    int64_t stage_offsets[CPU_PLAN_MAX_STRIP_ROWS];
    for (int64_t b = 0; is_staged && b < transpose->strip_rows; b++) {
        stage_offsets[b] = b * transpose->stage_pitch;
    }
    for (int64_t first = 0; first < nrows; first += transpose->strip_rows) {
        int64_t count = smaller(transpose->strip_rows, nrows - first);
        if (count < tile.block_rows && nrows >= tile.block_rows) {
            first = nrows - tile.block_rows; /* some rows once more, rather than a strip too narrow for the kernel */
            count = tile.block_rows;
        }
        const char *strip = src + first * plan->unit_nbytes;
        const int64_t *dst_offsets = transpose->dst_offsets + first;
        if (!is_staged) {
            tile_turn(&tile, dst, dst_offsets, strip, transpose->src_offsets, tile.nlines, count,
                      transpose->prefetch_nbytes);
            continue;
        }
        if (tile.size >= 0 && count < tile.block_rows && tile.nlines >= tile.block_lines) {
            tile_turn_short(&tile, stage + CPU_PLAN_MAX_STAGE_NBYTES, stage, stage_offsets, strip, count);
        } else if (transpose->packs_lines) {
            tile_turn_packed(&tile, stage + CPU_PLAN_MAX_STAGE_NBYTES, stage, stage_offsets, strip, count);
        } else {
            tile_turn(&tile, stage, stage_offsets, strip, transpose->src_offsets, tile.nlines, count,
                      transpose->prefetch_nbytes);
        }
        for (int64_t b = 0; b < count; b++) {
            row_send(&tile, dst + dst_offsets[b], stage + b * transpose->stage_pitch, row_nbytes, first_row == 0,
                     is_last);
        }
    }
}
