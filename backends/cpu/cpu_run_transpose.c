/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_run_transpose.h"

#include <string.h>

#include "backends/cpu/cpu_minmax.h"
#include "backends/cpu/cpu_run.h"

/* Tiles are turned a strip after the other: a strip is a piece of each line of the source, a cache line or two long,
 * and becomes some rows of the destination. A destination that is written as usual gets them at once, or, where lines
 * are shorter than a vector, by way of the stage. Past the caches, rows that begin with a cache line get whole ones
 * right from the kernels, or, where rows share cache sets, by way of a stage that fills while another one leaves.
 * Others are staged, and so are small units whose blocks take less than a cache line of each row: tiles that follow
 * each other along the row axis each add a piece to every row, and whole lines leave. */

/* A tile in progress. */
typedef struct cpu_tile {
    const cpu_plan *plan;
    const cpu_kernels *kernels;
    int size; /* of units, as the kernels count them; -1: it is another one */
    int64_t block_side;
    int64_t unit;
    int32_t swap; /* numbers of so many bytes are reversed; 0: not */
    int64_t nlines;
    int64_t nahead;        /* units of each line from the strip on, also in tiles that follow */
    cpu_prefetch prefetch; /* of what is wanted next */
} cpu_tile;

/* The largest side of the smallest blocks, and rows that are turned together where lines are fewer. */
#define FEW_MAX_SIDE 16
#define FEW_ROWS 32

/* Fewer lines than any block has: the first one stands in for those that are missing, and rows are cut to their length.
 */
static void tile_turn_few(const cpu_tile *tile, const cpu_kernels *kernels, char *dst, const int64_t *dst_offsets,
                          const char *src, const int64_t *src_offsets, int64_t nlines, int64_t nrows)
{
    _Alignas(CPU_LINE_NBYTES) char block[FEW_ROWS * CPU_LINE_NBYTES];
    int64_t block_offsets[FEW_ROWS];
    int64_t line_offsets[FEW_MAX_SIDE];
    const int64_t side = kernels->block_side[tile->size];
    const int64_t count = cpu_smaller(nrows, FEW_ROWS);
    const int64_t pitch = side * tile->unit;
    const int64_t nbytes = nlines * tile->unit;
    const cpu_row_fn copy_rows = ndbuf_cpu__row_fn(nbytes, 0);
    for (int64_t i = 0; i < count; i++) {
        block_offsets[i] = i * pitch;
    }
    for (int64_t i = 0; i < side; i++) {
        line_offsets[i] = src_offsets[i < nlines ? i : 0];
    }
    for (int64_t b = 0; b < nrows; b += count) {
        b = cpu_smaller(b, nrows - count);
        kernels->transpose[tile->size](block, block_offsets, src + b * tile->unit, line_offsets, side, count, NULL,
                                       tile->swap);
        if (tile->plan->transpose.rows_per_index == 1 && tile->plan->transpose.stage_pitch == 0) {
            copy_rows(dst + dst_offsets[b], tile->plan->column.dst_stride, block, pitch, count, nbytes);
            continue;
        }
        for (int64_t i = 0; i < count; i++) {
            memcpy(dst + dst_offsets[b + i], block + i * pitch, (size_t)nbytes);
        }
    }
}

/* Units one by one; each line after what will be wanted of it. */
static void tile_move(const cpu_tile *tile, char *dst, const int64_t *dst_offsets, const char *src,
                      const int64_t *src_offsets, int64_t nlines, int64_t nrows, const cpu_prefetch *prefetch)
{
    const int64_t ahead = prefetch != NULL ? prefetch->nbytes : 0;
    const int64_t step = ahead != 0 ? 1 : nlines;
    for (int64_t a = 0; a < nlines; a += step) {
        if (ahead != 0) {
            cpu_prefetch_lines(src + ahead, src_offsets + a, 1, nrows * tile->unit);
        }
        ndbuf_cpu__transpose_any(dst + a * tile->unit, dst_offsets, src, src_offsets + a, step, nrows, tile->unit,
                                 tile->swap);
    }
}

/* Turns nlines x nrows units by the best kernel that takes so few. */
static void tile_turn(const cpu_tile *tile, char *dst, const int64_t *dst_offsets, const char *src,
                      const int64_t *src_offsets, int64_t nlines, int64_t nrows, const cpu_prefetch *prefetch)
{
    if (tile->size < 0 && tile->block_side > 1 && nlines >= tile->block_side && nrows >= tile->block_side) {
        tile->kernels->transpose_odd(&tile->plan->transpose.slots, dst, dst_offsets, src, src_offsets, nlines, nrows,
                                     prefetch);
        return;
    }
    const cpu_transpose_fn turn = cpu_transpose_for(tile->kernels, tile->size, nlines, nrows);
    if (turn != NULL) {
        turn(dst, dst_offsets, src, src_offsets, nlines, nrows, prefetch, tile->swap);
        return;
    }
    const cpu_kernels *kernels = cpu_narrowest_kernels(tile->kernels, tile->size);
    if (kernels != NULL && kernels->block_side[tile->size] <= FEW_MAX_SIDE &&
        nrows >= kernels->block_side[tile->size]) {
        tile_turn_few(tile, kernels, dst, dst_offsets, src, src_offsets, nlines, nrows);
    } else {
        tile_move(tile, dst, dst_offsets, src, src_offsets, nlines, nrows, prefetch);
    }
}

/* Lines shorter than a vector are brought together in slots of one. What is turned behind their ends goes to a row that
 * nobody sends. */
static void tile_turn_short(const cpu_tile *tile, const cpu_kernels *kernels, char *packed, char *dst,
                            const int64_t *dst_offsets, const char *src, int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    int64_t packed_offsets[CPU_VECTOR_MAX];
    int64_t row_offsets[CPU_VECTOR_MAX];
    int64_t nbytes = nrows * tile->unit;
    int64_t side = kernels->block_side[tile->size];
    int64_t slot = side * tile->unit;
    cpu_row_fn copy_line = ndbuf_cpu__row_fn(nbytes, 0);
    for (int64_t b = 0; b < side; b++) {
        row_offsets[b] = b < nrows ? dst_offsets[b] : CPU_PLAN_MAX_STAGE_NBYTES - transpose->stage_pitch;
        packed_offsets[b] = b * slot;
    }
    for (int64_t a = 0; a < tile->nlines; a += side) {
        a = tile->nlines - a < side ? tile->nlines - side : a;
        if (transpose->lines_per_index == 1) { /* they are evenly spaced */
            copy_line(packed, slot, src + transpose->src_offsets[a], tile->plan->row.src_stride, side, nbytes);
        } else {
            for (int64_t i = 0; i < side; i++) {
                memcpy(packed + i * slot, src + transpose->src_offsets[a + i], (size_t)nbytes);
            }
        }
        kernels->transpose[tile->size](dst + a * tile->unit, row_offsets, packed, packed_offsets, side, side, NULL,
                                       tile->swap);
    }
}

/* The narrowest vector kernels whose blocks have so many rows, or more; NULL: there are none, or not so many lines. */
static const cpu_kernels *kernels_for_short(const cpu_tile *tile, int64_t nrows)
{
    const cpu_kernels *kernels = tile->kernels;
    if (tile->size < 0 || nrows >= tile->block_side) {
        return NULL;
    }
    while (kernels->narrower != NULL && kernels->narrower->block_side[tile->size] >= nrows &&
           kernels->narrower->block_side[tile->size] > 1) {
        kernels = kernels->narrower;
    }
    return tile->nlines >= kernels->block_side[tile->size] ? kernels : NULL;
}

/* Kernels take no gaps: so as many units of each line of a block as make a cache line are brought together first, or
 * made of others. */
static void tile_turn_packed(const cpu_tile *tile, char *packed, char *dst, const int64_t *dst_offsets, const char *src,
                             int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    const int64_t stride = transpose->line_stride;
    const bool by_vectors = transpose->line_reach > 0 && nrows * tile->unit == CPU_LINE_NBYTES;
    const cpu_shuffle *shuffle = !by_vectors ? NULL
                                 : (tile->nahead - 1) * stride + tile->unit >= transpose->line_reach
                                     ? &tile->plan->shuffle
                                 : tile->plan->has_end ? &tile->plan->end
                                                       : NULL;
    const int64_t pitch = tile->plan->converts ? nrows * tile->unit : CPU_LINE_NBYTES;
    int64_t packed_offsets[CPU_VECTOR_MAX];
    const cpu_prefetch beside = {.rows = tile->prefetch.rows};
    int64_t step = tile->block_side;
    for (int64_t i = 0; i < step; i++) {
        packed_offsets[i] = i * pitch;
    }
    for (int64_t a = 0; a < tile->nlines; a += step) {
        if (tile->nlines - a < step) {
            a = tile->nlines > step ? tile->nlines - step : 0;
        }
        int64_t count = cpu_smaller(step, tile->nlines - a);
        const int64_t *offsets = transpose->src_offsets + a;
        if (tile->prefetch.nbytes != 0) {
            cpu_prefetch_lines(src + tile->prefetch.nbytes, offsets, count, nrows * stride);
        }
        if (tile->plan->converts) {
            const cpu_row_converter *converter = &tile->plan->converter;
            ndbuf_cpu__convert_lines(converter, packed, pitch, src, offsets, count, pitch / converter->dst_nbytes);
        } else if (shuffle != NULL) {
            tile->kernels->gather_lines(shuffle, packed, src, offsets, count);
        } else {
            for (int64_t i = 0; i < count; i++) {
                tile->plan->row_fn(packed + i * pitch, tile->unit, src + offsets[i], stride, nrows, tile->unit);
            }
        }
        tile_turn(tile, dst + a * tile->unit, dst_offsets, packed, packed_offsets, count, nrows, &beside);
    }
}

/* Turns a strip into rows at `places` of dst. */
static void tile_turn_strip(const cpu_tile *tile, char *packed, char *dst, const int64_t *places, const char *src,
                            int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    const cpu_kernels *kernels = kernels_for_short(tile, nrows);
    if (transpose->packs_lines) {
        tile_turn_packed(tile, packed, dst, places, src, nrows);
    } else if (kernels != NULL) {
        tile_turn_short(tile, kernels, packed, dst, places, src, nrows);
    } else {
        tile_turn(tile, dst, places, src, transpose->src_offsets, tile->nlines, nrows, &tile->prefetch);
    }
}

/* -- to a destination that is written as usual -- */

/* Turns a strip of one tile. */
static void strip_run(const cpu_tile *tile, cpu_tile_memory *memory, char *dst, const int64_t *dst_offsets,
                      const char *src, int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    if (transpose->stage_pitch == 0 && transpose->packs_lines) {
        tile_turn_packed(tile, memory->packed, dst, dst_offsets, src, nrows);
        return;
    }
    if (transpose->stage_pitch == 0) {
        for (int64_t b = 0; b < nrows; b += transpose->pass_rows) {
            b = b > 0 && nrows - b < tile->block_side ? nrows - tile->block_side : b;
            tile_turn(tile, dst, dst_offsets + b, src + b * transpose->line_stride, transpose->src_offsets,
                      tile->nlines, cpu_smaller(transpose->pass_rows, nrows - b), &tile->prefetch);
        }
        return;
    }
    tile_turn_strip(tile, memory->packed, memory->stage, memory->places, src, nrows);
    for (int64_t b = 0; b < nrows; b++) {
        memcpy(dst + dst_offsets[b], memory->stage + memory->places[b], (size_t)(tile->nlines * tile->unit));
    }
}

/* A strip of all tiles after the other, so that rows are written in one go. */
static void run_cached(cpu_tile *tile, cpu_tile_memory *memory, const cpu_tile_run *tiles, int64_t nrows)
{
    const cpu_plan *plan = tile->plan;
    const cpu_transpose *transpose = &plan->transpose;
    tile->prefetch = transpose->prefetch;
    for (int64_t b = 0; transpose->stage_pitch > 0 && b < transpose->strip_rows; b++) {
        memory->places[b] = b * transpose->stage_pitch;
    }
    const int64_t least = transpose->line_reach > 0 ? transpose->strip_rows : tile->block_side;
    for (int64_t first = 0; first < nrows; first += transpose->strip_rows) {
        int64_t count = cpu_smaller(transpose->strip_rows, nrows - first);
        if (count < least && nrows >= least) {
            first = nrows - least; /* some rows once more, rather than a strip too narrow for the kernels */
            count = least;
        }
        tile->nahead = tiles->nahead * transpose->rows_per_index - first;
        tile->prefetch.nbytes = tile->nahead > count || transpose->fetches_beyond ? transpose->prefetch.nbytes : 0;
        for (int64_t at = 0; at < tiles->nrow; at += plan->row_piece) {
            tile->nlines = cpu_smaller(plan->row_piece, tiles->nrow - at) * transpose->lines_per_index;
            strip_run(tile, memory, tiles->dst + at * plan->row.dst_stride, transpose->dst_offsets + first,
                      tiles->src + at * plan->row.src_stride + first * transpose->line_stride, count);
        }
    }
}

/* -- past the caches -- */

/* Rows begin anywhere in a line. Returns whether all begin with one. */
static bool rows_begin(const cpu_tile *tile, cpu_tile_memory *memory, char *dst, int64_t nrows)
{
    const cpu_transpose *transpose = &tile->plan->transpose;
    int64_t phases = 0;
    for (int64_t r = 0; r < nrows; r++) {
        char *first = dst + transpose->dst_offsets[r];
        int64_t phase = (int64_t)((uintptr_t)first % CPU_LINE_NBYTES);
        memory->begins[r] = phase;
        memory->lines[r] = first - phase;
        memory->places[r] = r * transpose->stage_pitch + phase;
        phases |= phase;
    }
    return phases == 0;
}

/* As the kernel `stream_staged`, for rows whose first line, not all theirs, may still be staged: it goes as usual. */
static void rows_send_first(const cpu_tile *tile, cpu_tile_memory *memory, int64_t first, int64_t count, int64_t staged)
{
    int64_t pitch = tile->plan->transpose.stage_pitch;
    for (int64_t r = first; r < first + count; r++) {
        char *row = memory->stage + r * pitch;
        int64_t whole = (memory->places[r] + staged - r * pitch) / CPU_LINE_NBYTES * CPU_LINE_NBYTES;
        int64_t begin = memory->begins[r];
        if (begin > 0 && whole > 0) {
            memcpy(memory->lines[r] + begin, row + begin, (size_t)(CPU_LINE_NBYTES - begin));
            memory->begins[r] = 0;
            begin = CPU_LINE_NBYTES;
        }
        if (begin < whole) {
            tile->kernels->stream(memory->lines[r] + begin, 0, row + begin, 0, 1, whole - begin, 0, (cpu_twin){0, 0},
                                  0);
        }
        memmove(row, row + whole, CPU_LINE_NBYTES);
        memory->lines[r] += whole;
        memory->places[r] += staged - whole;
    }
}

/* Sends what is left of rows, less than a line each. */
static void rows_send_rest(const cpu_tile *tile, cpu_tile_memory *memory, int64_t first, int64_t count)
{
    int64_t pitch = tile->plan->transpose.stage_pitch;
    for (int64_t r = first; r < first + count; r++) {
        int64_t begin = memory->begins[r];
        int64_t rest = memory->places[r] - r * pitch - begin;
        if (rest > 0) {
            memcpy(memory->lines[r] + begin, memory->stage + r * pitch + begin, (size_t)rest);
        }
    }
}

static void run_streamed(cpu_tile *tile, cpu_tile_memory *memory, const cpu_tile_run *tiles, int64_t nrows)
{
    const cpu_plan *plan = tile->plan;
    const cpu_transpose *transpose = &plan->transpose;
    bool begins_all_sent = rows_begin(tile, memory, tiles->dst, nrows);
    int64_t npanels = 0; /* staged since whole lines left */
    int64_t staged = 0;  /* bytes of each row in these */
    for (int64_t at = 0; at < tiles->nrow; at += plan->row_piece) {
        int64_t nrow = cpu_smaller(plan->row_piece, tiles->nrow - at);
        const char *panel = tiles->src + at * plan->row.src_stride;
        bool is_end = at + nrow == tiles->nrow;
        bool sends = ++npanels == transpose->panels_sent || is_end;
        tile->nlines = nrow * transpose->lines_per_index;
        tile->prefetch.nbytes = !is_end ? nrow * plan->row.src_stride : tiles->next != NULL ? tiles->next - panel : 0;
        int64_t sent = staged + tile->nlines * tile->unit;
        for (int64_t first = 0; first < nrows; first += transpose->strip_rows) {
            int64_t count = cpu_smaller(transpose->strip_rows, nrows - first);
            tile->nahead = tiles->nahead * transpose->rows_per_index - first;
            tile_turn_strip(tile, memory->packed, memory->stage + staged, memory->places + first,
                            panel + first * transpose->line_stride, count);
            if (sends && begins_all_sent) {
                tile->kernels->stream_staged(memory->stage, transpose->stage_pitch, memory->places, memory->lines,
                                             first, count, sent);
            } else if (sends) {
                rows_send_first(tile, memory, first, count, sent);
            }
            if (is_end) {
                rows_send_rest(tile, memory, first, count);
            }
        }
        begins_all_sent = begins_all_sent || (sends && sent >= CPU_LINE_NBYTES);
        npanels = sends ? 0 : npanels;
        staged = sends ? 0 : sent;
    }
}

/* How many of a tile's last rows to turn so that `left` of them are: some again, rather than too few for vectors. */
static int64_t last_rows(const cpu_tile *tile, int64_t nrows, int64_t left)
{
    const cpu_kernels *narrowest = cpu_narrowest_kernels(tile->kernels, tile->size);
    const int64_t side = narrowest != NULL ? narrowest->block_side[tile->size] : 1;
    return left > 0 && left < side ? cpu_smaller(side, nrows) : left;
}

/* Rows that begin with a line get whole ones right from the kernel; what is left over at the edges goes as usual. */
static void run_direct(cpu_tile *tile, const cpu_tile_run *tiles, int64_t nrows)
{
    const cpu_plan *plan = tile->plan;
    const cpu_transpose *transpose = &plan->transpose;
    const cpu_stream_transpose_fn stream = tile->kernels->stream_transpose[tile->size];
    const int64_t whole_rows = nrows - nrows % (CPU_LANE_NBYTES / tile->unit);
    const int64_t left = last_rows(tile, nrows, nrows - whole_rows);
    for (int64_t at = 0; at < tiles->nrow; at += plan->row_piece) {
        int64_t nrow = cpu_smaller(plan->row_piece, tiles->nrow - at);
        int64_t nlines = nrow * transpose->lines_per_index;
        int64_t whole_lines = nlines - nlines % (CPU_LINE_NBYTES / tile->unit);
        char *dst = tiles->dst + at * plan->row.dst_stride;
        const char *src = tiles->src + at * plan->row.src_stride;
        int64_t ahead = at + nrow < tiles->nrow ? nrow * plan->row.src_stride
                        : tiles->next != NULL   ? tiles->next - src
                                                : 0;
        cpu_prefetch prefetch = transpose->prefetch;
        prefetch.nbytes = prefetch.nbytes != 0 ? prefetch.nbytes : ahead;
        stream(dst, transpose->dst_offsets, src, transpose->src_offsets, whole_lines, whole_rows, prefetch, tile->swap);
        if (whole_lines < nlines) {
            tile_turn(tile, dst + whole_lines * tile->unit, transpose->dst_offsets, src,
                      transpose->src_offsets + whole_lines, nlines - whole_lines, nrows, NULL);
        }
        if (left > 0) {
            tile_turn(tile, dst, transpose->dst_offsets + nrows - left, src + (nrows - left) * tile->unit,
                      transpose->src_offsets, whole_lines, left, NULL);
        }
    }
}

/* Whole lines of whole blocks go by way of one half of the stage while the other one leaves; what is left over at the
 * edges goes as usual. */
static void run_paced(cpu_tile *tile, cpu_tile_memory *memory, const cpu_tile_run *tiles, int64_t nrows)
{
    const cpu_plan *plan = tile->plan;
    const cpu_transpose *transpose = &plan->transpose;
    const cpu_paced_fn turn = tile->kernels->paced_transpose[tile->size];
    const int64_t pitch = transpose->stage_pitch;
    const int64_t whole_rows = nrows - nrows % (CPU_LANE_NBYTES / tile->unit);
    const int64_t left = last_rows(tile, nrows, nrows - whole_rows);
    for (int64_t r = 0; r < whole_rows; r++) {
        memory->places[r] = r * pitch;
    }
    for (int64_t at = 0; at < tiles->nrow; at += plan->row_piece) {
        int64_t nrow = cpu_smaller(plan->row_piece, tiles->nrow - at);
        int64_t nlines = nrow * transpose->lines_per_index;
        int64_t whole_lines = nlines - nlines % (CPU_LINE_NBYTES / tile->unit);
        char *dst = tiles->dst + at * plan->row.dst_stride;
        const char *src = tiles->src + at * plan->row.src_stride;
        if (whole_lines > 0 && whole_rows > 0) {
            cpu_pace pace = memory->pace;
            pace.ahead = at + nrow < tiles->nrow ? src + nrow * plan->row.src_stride : tiles->next;
            pace.ahead_nlines = whole_lines;
            pace.ahead_nbytes = whole_rows * tile->unit;
            pace.ahead_is_far = transpose->prefetch.is_far;
            char *stage = memory->stage + (memory->pace.staged == memory->stage ? CPU_PLAN_MAX_STAGE_NBYTES / 2 : 0);
            turn(stage, memory->places, src, transpose->src_offsets, whole_lines, whole_rows, &pace, tile->swap);
            memory->pace = (cpu_pace){.staged = stage,
                                      .staged_pitch = pitch,
                                      .staged_nrows = whole_rows,
                                      .staged_nbytes = whole_lines * tile->unit,
                                      .dst = dst,
                                      .dst_offsets = transpose->dst_offsets};
        }
        if (whole_lines < nlines) {
            tile_turn(tile, dst + whole_lines * tile->unit, transpose->dst_offsets, src,
                      transpose->src_offsets + whole_lines, nlines - whole_lines, nrows, NULL);
        }
        if (left > 0) {
            tile_turn(tile, dst, transpose->dst_offsets + nrows - left, src + (nrows - left) * tile->unit,
                      transpose->src_offsets, whole_lines, left, NULL);
        }
    }
}

void ndbuf_cpu__transpose_begin(cpu_tile_memory *memory)
{
    memory->pace = (cpu_pace){.staged_nrows = 0};
}

void ndbuf_cpu__transpose_end(cpu_tile_memory *memory, const cpu_kernels *kernels)
{
    const cpu_pace *pace = &memory->pace;
    for (int64_t r = 0; r < pace->staged_nrows; r++) {
        kernels->stream(pace->dst + pace->dst_offsets[r], 0, pace->staged + r * pace->staged_pitch, 0, 1,
                        pace->staged_nbytes, 0, (cpu_twin){0, 0}, 0);
    }
}

void ndbuf_cpu__transpose_run(const cpu_plan *plan, const cpu_kernels *kernels, cpu_tile_memory *memory,
                              const cpu_tile_run *tiles)
{
    int64_t nrows = tiles->ncolumn * plan->transpose.rows_per_index;
    cpu_tile tile = {.plan = plan,
                     .kernels = kernels,
                     .size = cpu_size_index(plan->unit_nbytes),
                     .block_side = cpu_block_side(kernels, plan->unit_nbytes),
                     .unit = plan->unit_nbytes,
                     .swap = plan->swap_nbytes};
    if (plan->transpose.paced) {
        run_paced(&tile, memory, tiles, nrows);
    } else if (plan->streams && plan->transpose.stage_pitch == 0) {
        run_direct(&tile, tiles, nrows);
    } else if (plan->streams) {
        run_streamed(&tile, memory, tiles, nrows);
    } else {
        run_cached(&tile, memory, tiles, nrows);
    }
}
