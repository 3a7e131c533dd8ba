/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_run_transpose.h"

#include <string.h>

#include "backends/cpu/cpu_run.h"

/* Tiles are turned a strip after the other: a strip is a piece of each line of the source, a cache line or two long,
 * and becomes some rows of the destination. A destination that is written as usual gets them at once, or, where its
 * rows share cache sets, by way of the stage. Past the caches, all rows of a tile are staged: tiles that follow each
 * other along the row axis each add a piece to every row, and whole lines leave. */

/* Lines shorter than the narrowest vectors are brought together in slots of this size. */
#define SLOT_NBYTES 16

/* A tile in progress. */
typedef struct cpu_tile {
    const cpu_plan *plan;
    const cpu_kernels *kernels;
    const cpu_kernels *narrowest; /* those of one slot; NULL: no vector kernel takes the units */
    int size;                     /* of units, as the kernels count them; -1: it is another one */
    int64_t block_side;
    int64_t unit;
    int64_t nlines;
    int64_t prefetch_nbytes; /* from each line to what is wanted next; 0: nothing */
} cpu_tile;

/* Turns nlines x nrows units by the best kernel that takes so few. */
static void tile_turn(const cpu_tile *tile, char *dst, const int64_t *dst_offsets, const char *src,
                      const int64_t *src_offsets, int64_t nlines, int64_t nrows, int64_t prefetch_nbytes)
{
    const cpu_kernels *kernels = tile->size >= 0 ? tile->kernels : NULL;
    while (kernels != NULL && (nlines < kernels->block_side[tile->size] || nrows < kernels->block_side[tile->size])) {
        kernels = kernels->narrower;
    }
    if (kernels != NULL) {
        kernels->transpose[tile->size](dst, dst_offsets, src, src_offsets, nlines, nrows, prefetch_nbytes);
    } else {
        ndbuf_cpu__transpose_any(dst, dst_offsets, src, src_offsets, nlines, nrows, tile->unit);
    }
}

/* Lines shorter than a slot: what is turned behind their ends goes to a row that nobody sends. */
static void tile_turn_short(const cpu_tile *tile, char *packed, char *dst, const int64_t *dst_offsets, const char *src,
                            int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    int64_t packed_offsets[SLOT_NBYTES];
    int64_t row_offsets[SLOT_NBYTES];
    int64_t nbytes = nrows * tile->unit;
    int64_t step = SLOT_NBYTES / tile->unit;
    cpu_row_fn copy_line = ndbuf_cpu__row_fn(nbytes);
    for (int64_t b = 0; b < step; b++) {
        row_offsets[b] = b < nrows ? dst_offsets[b] : CPU_PLAN_MAX_STAGE_NBYTES - transpose->stage_pitch;
        packed_offsets[b] = b * SLOT_NBYTES;
    }
    for (int64_t a = 0; a < tile->nlines; a += step) {
        a = tile->nlines - a < step ? tile->nlines - step : a;
        if (transpose->lines_per_index == 1) { /* they are evenly spaced */
            copy_line(packed, SLOT_NBYTES, src + transpose->src_offsets[a], tile->plan->row.src_stride, step, nbytes);
        } else {
            for (int64_t i = 0; i < step; i++) {
                memcpy(packed + i * SLOT_NBYTES, src + transpose->src_offsets[a + i], (size_t)nbytes);
            }
        }
        tile->narrowest->transpose[tile->size](dst + a * tile->unit, row_offsets, packed, packed_offsets, step, step,
                                               0);
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
    int64_t step = tile->block_side;
    for (int64_t a = 0; a < tile->nlines; a += step) {
        if (tile->nlines - a < step) {
            a = tile->nlines > step ? tile->nlines - step : 0;
        }
        int64_t count = cpu_smaller(step, tile->nlines - a);
        for (int64_t i = 0; i < count; i++) {
            const char *line = src + transpose->src_offsets[a + i];
            packed_offsets[i] = i * CPU_LINE_NBYTES;
            if (nbytes == CPU_LINE_NBYTES) {
                memcpy(packed + i * CPU_LINE_NBYTES, line, CPU_LINE_NBYTES);
            } else {
                memcpy(packed + i * CPU_LINE_NBYTES, line, (size_t)nbytes);
            }
            if (tile->prefetch_nbytes != 0) {
                __builtin_prefetch(line + tile->prefetch_nbytes, 0, 2);
            }
        }
        tile_turn(tile, dst + a * tile->unit, dst_offsets, packed, packed_offsets, count, nrows, 0);
    }
}

/* Turns a strip into rows at `places` of dst. */
static void tile_turn_strip(const cpu_tile *tile, char *packed, char *dst, const int64_t *places, const char *src,
                            int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    int64_t slot = SLOT_NBYTES / tile->unit;
    if (tile->narrowest != NULL && nrows < slot && tile->nlines >= slot) {
        tile_turn_short(tile, packed, dst, places, src, nrows);
    } else if (transpose->packs_lines) {
        tile_turn_packed(tile, packed, dst, places, src, nrows);
    } else {
        tile_turn(tile, dst, places, src, transpose->src_offsets, tile->nlines, nrows, tile->prefetch_nbytes);
    }
}

/* -- to a destination that is written as usual -- */

static void tile_run(const cpu_tile *tile, cpu_tile_memory *memory, char *dst, const char *src, int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    size_t row_nbytes = (size_t)(tile->nlines * tile->unit);
    for (int64_t first = 0; first < nrows; first += transpose->strip_rows) {
        int64_t count = cpu_smaller(transpose->strip_rows, nrows - first);
        if (count < tile->block_side && nrows >= tile->block_side) {
            first = nrows - tile->block_side; /* some rows once more, rather than a strip too narrow for the kernel */
            count = tile->block_side;
        }
        const char *strip = src + first * tile->unit;
        const int64_t *dst_offsets = transpose->dst_offsets + first;
        if (transpose->stage_pitch == 0) {
            tile_turn(tile, dst, dst_offsets, strip, transpose->src_offsets, tile->nlines, count,
                      tile->prefetch_nbytes);
            continue;
        }
        tile_turn_strip(tile, memory->packed, memory->stage, memory->places, strip, count);
        for (int64_t b = 0; b < count; b++) {
            memcpy(dst + dst_offsets[b], memory->stage + memory->places[b], row_nbytes);
        }
    }
}

static void run_cached(cpu_tile *tile, cpu_tile_memory *memory, const cpu_tile_run *tiles, int64_t nrows)
{
    const cpu_plan *plan = tile->plan;
    const cpu_transpose *transpose = &plan->transpose;
    tile->prefetch_nbytes = transpose->prefetch_nbytes;
    for (int64_t b = 0; transpose->stage_pitch > 0 && b < transpose->strip_rows; b++) {
        memory->places[b] = b * transpose->stage_pitch;
    }
    for (int64_t at = 0; at < tiles->nrow; at += plan->row_piece) {
        tile->nlines = cpu_smaller(plan->row_piece, tiles->nrow - at) * transpose->lines_per_index;
        tile_run(tile, memory, tiles->dst + at * plan->row.dst_stride, tiles->src + at * plan->row.src_stride, nrows);
    }
}

/* -- past the caches -- */

/* Rows begin anywhere in a line. */
static void rows_begin(const cpu_tile *tile, cpu_tile_memory *memory, char *dst, int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    for (int64_t r = 0; r < nrows; r++) {
        char *first = dst + transpose->dst_offsets[r];
        int64_t phase = (int64_t)((uintptr_t)first % CPU_LINE_NBYTES);
        memory->lines[r] = first - phase;
        memory->places[r] = r * transpose->stage_pitch + phase;
    }
}

/* Sends what rows have at their beginning and at their end: lines that are not all theirs go as usual. */
static void rows_send_ends(const cpu_tile *tile, cpu_tile_memory *memory, const char *dst, int64_t first, int64_t count,
                           int64_t staged, bool is_begin, bool is_end)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    for (int64_t r = first; r < first + count; r++) {
        char *row = memory->stage + r * transpose->stage_pitch;
        char *line = memory->lines[r];
        int64_t end = memory->places[r] + staged - r * transpose->stage_pitch;
        int64_t whole = end / CPU_LINE_NBYTES * CPU_LINE_NBYTES;
        int64_t done = is_begin ? (int64_t)((uintptr_t)(dst + transpose->dst_offsets[r]) % CPU_LINE_NBYTES) : 0;
        if (done > 0 && whole > 0) {
            memcpy(line + done, row + done, (size_t)(CPU_LINE_NBYTES - done));
            done = CPU_LINE_NBYTES;
        }
        if (done < whole) {
            tile->kernels->stream(line + done, 0, row + done, 0, 1, whole - done, 0, (cpu_twin){0, 0});
            done = whole;
        }
        if (is_end) {
            memcpy(line + done, row + done, (size_t)(end - done));
        } else {
            memmove(row, row + whole, CPU_LINE_NBYTES);
            memory->lines[r] = line + whole;
            memory->places[r] += staged - whole;
        }
    }
}

static void run_streamed(cpu_tile *tile, cpu_tile_memory *memory, const cpu_tile_run *tiles, int64_t nrows)
{
    const cpu_plan *plan = tile->plan;
    const cpu_transpose *transpose = &plan->transpose;
    bool is_begin = true;
    int64_t npanels = 0; /* staged since whole lines left */
    int64_t staged = 0;  /* bytes of each row in these */
    rows_begin(tile, memory, tiles->dst, nrows);
    for (int64_t at = 0; at < tiles->nrow; at += plan->row_piece) {
        int64_t nrow = cpu_smaller(plan->row_piece, tiles->nrow - at);
        const char *panel = tiles->src + at * plan->row.src_stride;
        bool is_end = at + nrow == tiles->nrow;
        bool sends = ++npanels == transpose->panels_sent || is_end;
        tile->nlines = nrow * transpose->lines_per_index;
        tile->prefetch_nbytes = !is_end ? nrow * plan->row.src_stride : tiles->next != NULL ? tiles->next - panel : 0;
        int64_t sent = staged + tile->nlines * tile->unit;
        for (int64_t first = 0; first < nrows; first += transpose->strip_rows) {
            int64_t count = cpu_smaller(transpose->strip_rows, nrows - first);
            tile_turn_strip(tile, memory->packed, memory->stage + staged, memory->places + first,
                            panel + first * tile->unit, count);
            if (sends && (is_begin || is_end)) {
                rows_send_ends(tile, memory, tiles->dst, first, count, sent, is_begin, is_end);
            } else if (sends) {
                tile->kernels->stream_staged(memory->stage, transpose->stage_pitch, memory->places, memory->lines,
                                             first, count, sent);
            }
        }
        is_begin = is_begin && !sends;
        npanels = sends ? 0 : npanels;
        staged = sends ? 0 : sent;
    }
}

/* Rows that begin with a line get whole ones right from the kernel; what is left over at the edges goes as usual. */
static void run_direct(cpu_tile *tile, const cpu_tile_run *tiles, int64_t nrows)
{
    const cpu_plan *plan = tile->plan;
    const cpu_transpose *transpose = &plan->transpose;
    const cpu_transpose_fn stream = tile->kernels->stream_transpose[tile->size];
    int64_t whole_rows = nrows - nrows % tile->block_side;
    for (int64_t at = 0; at < tiles->nrow; at += plan->row_piece) {
        int64_t nrow = cpu_smaller(plan->row_piece, tiles->nrow - at);
        int64_t nlines = nrow * transpose->lines_per_index;
        int64_t whole_lines = nlines - nlines % tile->block_side;
        char *dst = tiles->dst + at * plan->row.dst_stride;
        const char *src = tiles->src + at * plan->row.src_stride;
        int64_t ahead = at + nrow < tiles->nrow ? nrow * plan->row.src_stride
                        : tiles->next != NULL   ? tiles->next - src
                                                : 0;
        stream(dst, transpose->dst_offsets, src, transpose->src_offsets, whole_lines, whole_rows,
               transpose->prefetch_nbytes != 0 ? transpose->prefetch_nbytes : ahead);
        if (whole_lines < nlines) {
            tile_turn(tile, dst + whole_lines * tile->unit, transpose->dst_offsets, src,
                      transpose->src_offsets + whole_lines, nlines - whole_lines, nrows, 0);
        }
        if (whole_rows < nrows) {
            tile_turn(tile, dst, transpose->dst_offsets + whole_rows, src + whole_rows * tile->unit,
                      transpose->src_offsets, whole_lines, nrows - whole_rows, 0);
        }
    }
}

void ndbuf_cpu__transpose_run(const cpu_plan *plan, const cpu_kernels *kernels, cpu_tile_memory *memory,
                              const cpu_tile_run *tiles)
{
    int size = cpu_size_index(plan->unit_nbytes);
    int64_t nrows = tiles->ncolumn * plan->transpose.rows_per_index;
    cpu_tile tile = {.plan = plan,
                     .kernels = kernels,
                     .size = size,
                     .block_side = size >= 0 ? kernels->block_side[size] : 1,
                     .unit = plan->unit_nbytes};
    for (const cpu_kernels *k = kernels; size >= 0 && k->narrower != NULL; k = k->narrower) {
        tile.narrowest = k;
    }
    if (plan->streams && plan->transpose.stage_pitch == 0) {
        run_direct(&tile, tiles, nrows);
    } else if (plan->streams) {
        run_streamed(&tile, memory, tiles, nrows);
    } else {
        run_cached(&tile, memory, tiles, nrows);
    }
}
