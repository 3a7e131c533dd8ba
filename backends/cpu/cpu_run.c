/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_run.h"

#include <string.h>

#include "core/float_mode.h"

#include "backends/cpu/cpu_minmax.h"

/* -- the kinds, to a destination that is written as usual -- */

/* Fewer units are moved one by one sooner than by a step. */
#define STEP_UNITS_MIN 8
/* Rows of up to so many steps go together. */
#define ROW_STEPS_MAX 16

/* What steps leave of a row: its last `count` items, after `nbefore` others. */
static void gather_rest(const cpu_run *run, char *dst, const char *src, int64_t count, int64_t nbefore)
{
    const cpu_plan *plan = run->plan;
    const int64_t stride = plan->row.src_stride;
    const int64_t in_step = plan->shuffle.units_per_step;
    if (plan->has_end && count >= STEP_UNITS_MIN && nbefore + count >= in_step) {
        for (; count > 0; count -= in_step) {
            const int64_t again = count < in_step ? in_step - count : 0; /* of those before */
            run->kernels->shuffle(&plan->end, dst - again * plan->group_units * plan->unit_nbytes, src - again * stride,
                                  1, 0);
            dst += plan->shuffle.out_step;
            src += plan->shuffle.in_step;
        }
        return;
    }
    if (plan->group_units == 1) {
        plan->row_fn(dst, plan->unit_nbytes, src, stride, count, plan->unit_nbytes);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        plan->row_fn(dst, plan->unit_nbytes, src, plan->group_stride, plan->group_units, plan->unit_nbytes);
        dst += plan->group_units * plan->unit_nbytes;
        src += stride;
    }
}

/* Short rows, of a step at least: the last step takes some units once more. */
static void gather_rows(const cpu_run *run, const cpu_piece *piece)
{
    const cpu_plan *plan = run->plan;
    const cpu_shuffle *shuffle = &plan->end;
    const int64_t nsteps = piece->count / shuffle->units_per_step;
    const int64_t rest = piece->count % shuffle->units_per_step;
    const int64_t again = rest > 0 ? shuffle->units_per_step - rest : 0;
    run->kernels->gather_rows(shuffle, piece->dst, plan->column.dst_stride, piece->src, plan->column.src_stride,
                              piece->ncolumns, nsteps, again * plan->group_units * plan->unit_nbytes,
                              again * plan->row.src_stride);
}

void ndbuf_cpu__run_gather(const cpu_run *run, const cpu_piece *piece, int64_t slack)
{
    const cpu_plan *plan = run->plan;
    if (plan->has_end && piece->ncolumns > 1 && piece->count >= plan->end.units_per_step &&
        piece->count < ROW_STEPS_MAX * plan->end.units_per_step) {
        gather_rows(run, piece);
        return;
    }
    const int64_t count = piece->count;
    const cpu_shuffle *shuffle = &plan->shuffle;
    int64_t stride = plan->row.src_stride;
    int64_t group_nbytes = plan->group_units * plan->unit_nbytes;
    int64_t readable = ndbuf__stride_magnitude(stride) * (piece->ahead - 1) +
                       ndbuf__stride_magnitude(plan->group_stride) * (plan->group_units - 1) + plan->unit_nbytes;
    int64_t writable = count * group_nbytes + slack;
    int64_t nsteps = 0;
    if (readable >= plan->shuffle_reach && writable >= run->kernels->shuffle_nbytes) {
        int64_t by_reads = (readable - plan->shuffle_reach) / ndbuf__stride_magnitude(shuffle->in_step) + 1;
        int64_t by_writes = (writable - run->kernels->shuffle_nbytes) / shuffle->out_step + 1;
        nsteps = cpu_smaller(cpu_smaller(by_reads, by_writes),
                             (count + shuffle->units_per_step - 1) / shuffle->units_per_step);
    }
    int64_t done = cpu_smaller(nsteps * shuffle->units_per_step, count);
    for (int64_t i = 0; i < piece->ncolumns; i++) {
        char *dst = piece->dst + i * plan->column.dst_stride;
        const char *src = piece->src + i * plan->column.src_stride;
        if (nsteps > 0) {
            run->kernels->shuffle(shuffle, dst, src, nsteps, run->prefetch_nbytes);
        }
        if (done < count) {
            gather_rest(run, dst + done * group_nbytes, src + done * stride, count - done, done);
        }
    }
}

static void scatter(const cpu_run *run, const cpu_piece *piece)
{
    const cpu_plan *plan = run->plan;
    const cpu_shuffle *shuffle = &plan->shuffle;
    int64_t readable = piece->ahead * plan->unit_nbytes;
    int64_t nsteps = piece->count / shuffle->units_per_step;
    int64_t by_reads = readable < plan->shuffle_reach ? 0 : (readable - plan->shuffle_reach) / shuffle->in_step + 1;
    nsteps = cpu_smaller(nsteps, by_reads);
    int64_t done = nsteps * shuffle->units_per_step;
    for (int64_t i = 0; i < piece->ncolumns; i++) {
        char *dst = piece->dst + i * plan->column.dst_stride;
        const char *src = piece->src + i * plan->column.src_stride;
        run->kernels->scatter(shuffle, dst, src, nsteps, plan->prefetch_nbytes);
        plan->row_fn(dst + done * plan->row.dst_stride, plan->row.dst_stride, src + done * plan->row.src_stride,
                     plan->row.src_stride, piece->count - done, plan->unit_nbytes);
    }
}

static void copy_blocks(const cpu_run *run, char *dst, const char *src, int64_t count, int64_t prefetch_nbytes)
{
    const cpu_plan *plan = run->plan;
    const cpu_axis *row = &plan->row;
    if (plan->lane_blocks != NULL) {
        plan->lane_blocks(&plan->block.lanes, dst, row->dst_stride, src, row->src_stride, count, prefetch_nbytes);
    } else {
        run->kernels->arrange_blocks(&plan->block.arrangement, dst, row->dst_stride, src, row->src_stride, count,
                                     prefetch_nbytes);
    }
}

static void run_blocks(const cpu_run *run, const cpu_piece *piece)
{
    const cpu_plan *plan = run->plan;
    const cpu_axis *row = &plan->row;
    const int64_t count = piece->count;
    const bool ends_row = count == piece->ahead && (plan->last_dst_back != 0 || plan->last_src_back != 0);
    for (int64_t i = 0; i < piece->ncolumns; i++) {
        char *dst = piece->dst + i * plan->column.dst_stride;
        const char *src = piece->src + i * plan->column.src_stride;
        copy_blocks(run, dst, src, count, plan->prefetch_nbytes);
        if (ends_row) {
            copy_blocks(run, dst + count * row->dst_stride - plan->last_dst_back,
                        src + count * row->src_stride - plan->last_src_back, 1, 0);
        }
    }
}

void ndbuf_cpu__run_weave(const cpu_run *run, const cpu_shuffle *shuffle, const cpu_axis *streams, char *dst,
                          const char *src, int64_t count)
{
    const cpu_plan *plan = run->plan;
    int64_t nsteps = count / shuffle->units_per_step;
    int64_t done = nsteps * shuffle->units_per_step;
    run->kernels->shuffle(shuffle, dst, src, nsteps, plan->prefetch_nbytes);
    for (int64_t k = 0; done < count && k < streams->extent; k++) {
        plan->row_fn(dst + k * streams->dst_stride + done * plan->row.dst_stride, plan->row.dst_stride,
                     src + k * streams->src_stride + done * plan->row.src_stride, plan->row.src_stride, count - done,
                     plan->unit_nbytes);
    }
}

static void strided(const cpu_run *run, char *dst, const char *src, int64_t count, int64_t ncolumns)
{
    const cpu_plan *plan = run->plan;
    for (int64_t i = 0; i < ncolumns; i++) {
        plan->row_fn(dst + i * plan->column.dst_stride, plan->row.dst_stride, src + i * plan->column.src_stride,
                     plan->row.src_stride, count, plan->unit_nbytes);
    }
}

const char *ndbuf_cpu__repeated_item(const cpu_plan *plan, const char *src, char *room)
{
    if (plan->swap_nbytes == 0) {
        return src;
    }
    cpu_swap_unit(room, src, plan->unit_nbytes, plan->swap_nbytes);
    return room;
}

static void copy_bytes(const cpu_run *run, char *dst, const char *src, int64_t nbytes)
{
    if (run->plan->swap_nbytes != 0) {
        run->kernels->rows(dst, 0, src, 0, 1, nbytes, 0, run->plan->swap_nbytes);
        return;
    }
#if defined(__x86_64__) && defined(__GNUC__)
    if (nbytes >= run->tuning->rep_movsb_nbytes && !cpu_moves_slowly(dst, src, nbytes)) {
        __asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(nbytes) : : "memory");
        return;
    }
#endif
    cpu_copy_bytes(dst, src, nbytes, run->kernels);
}

static void run_cached(const cpu_run *run, const cpu_piece *piece)
{
    const cpu_plan *plan = run->plan;
    char item[CPU_REPEAT_MAX_NBYTES];
    switch (plan->kind) {
    case CPU_PLAN_BYTES:
        copy_bytes(run, piece->dst, piece->src, piece->count);
        break;
    case CPU_PLAN_ROWS:
        for (int64_t i = 0; i < piece->ncolumns; i++) {
            run->kernels->rows(piece->dst + i * plan->column.dst_stride, plan->row.dst_stride,
                               piece->src + i * plan->column.src_stride, plan->row.src_stride, piece->count,
                               plan->unit_nbytes, plan->prefetch_nbytes, plan->swap_nbytes);
        }
        break;
    case CPU_PLAN_GATHER:
        ndbuf_cpu__run_gather(run, piece, 0);
        break;
    case CPU_PLAN_SCATTER:
        scatter(run, piece);
        break;
    case CPU_PLAN_WEAVE:
        ndbuf_cpu__run_weave(run, &plan->shuffle, &plan->column, piece->dst, piece->src, piece->count);
        break;
    case CPU_PLAN_REPEAT:
        for (int64_t i = 0; i < piece->ncolumns; i++) {
            const char *src = piece->src + i * plan->column.src_stride;
            run->kernels->repeat(piece->dst + i * plan->column.dst_stride, ndbuf_cpu__repeated_item(plan, src, item),
                                 plan->unit_nbytes, piece->count);
        }
        break;
    case CPU_PLAN_BLOCKS:
        run_blocks(run, piece);
        break;
    default:
        strided(run, piece->dst, piece->src, piece->count, piece->ncolumns);
        break;
    }
}

/* -- tasks -- */

/* A place in a plan: the task that comes next there. */
typedef struct cursor {
    char *dst; /* of the first piece of the loops' indices */
    const char *src;
    int64_t row; /* the task's piece of the row axis, and of the column axis */
    int64_t column;
    int64_t index[NDBUF__MAX_AXES]; /* of the loops */
} cursor;

static int64_t pieces_of(int64_t extent, int64_t piece)
{
    return (extent + piece - 1) / piece;
}

static void cursor_seek(cursor *at, const cpu_plan *plan, char *dst, const char *src, int64_t task)
{
    int64_t nrow_pieces = pieces_of(plan->row.extent, plan->row_piece);
    int64_t ncolumn_pieces = pieces_of(plan->column.extent, plan->column_piece);
    int64_t rest = task / nrow_pieces / ncolumn_pieces;
    at->row = task % nrow_pieces;
    at->column = task / nrow_pieces % ncolumn_pieces;
    at->dst = dst + plan->dst_offset;
    at->src = src + plan->src_offset;
    for (int32_t k = plan->nloops - 1; k >= 0; k--) {
        at->index[k] = rest % plan->loops[k].extent;
        rest /= plan->loops[k].extent;
        at->dst += at->index[k] * plan->loops[k].dst_stride;
        at->src += at->index[k] * plan->loops[k].src_stride;
    }
}

/* Over `count` row pieces, which do not reach beyond the row. */
static void cursor_advance(cursor *at, const cpu_plan *plan, int64_t count)
{
    at->row += count;
    if (at->row * plan->row_piece < plan->row.extent) {
        return;
    }
    at->row = 0;
    at->column++;
    if (at->column * plan->column_piece < plan->column.extent) {
        return;
    }
    at->column = 0;
    for (int32_t k = plan->nloops - 1; k >= 0; k--) {
        at->dst += plan->loops[k].dst_stride;
        at->src += plan->loops[k].src_stride;
        if (++at->index[k] < plan->loops[k].extent) {
            return;
        }
        at->dst -= plan->loops[k].dst_stride * plan->loops[k].extent;
        at->src -= plan->loops[k].src_stride * plan->loops[k].extent;
        at->index[k] = 0;
    }
}

static inline cpu_piece cursor_piece(const cursor *at, const cpu_plan *plan)
{
    int64_t row = at->row * plan->row_piece;
    int64_t column = at->column * plan->column_piece;
    int64_t ahead = plan->row.extent - row;
    return (cpu_piece){
        .dst = at->dst + row * plan->row.dst_stride + column * plan->column.dst_stride,
        .src = at->src + row * plan->row.src_stride + column * plan->column.src_stride,
        .count = cpu_smaller(plan->row_piece, ahead),
        .ncolumns = cpu_smaller(plan->column_piece, plan->column.extent - column),
        .ahead = ahead,
    };
}

/* The kernel that turns a whole plane of the transpose at once, right into the destination; NULL: there is none. */
static cpu_transpose_fn find_plane_fn(const cpu_plan *plan, const cpu_kernels *kernels)
{
    const cpu_transpose *transpose = &plan->transpose;
    const int64_t nlines = plan->row.extent * transpose->lines_per_index;
    const int64_t nrows = plan->column.extent * transpose->rows_per_index;
    if (plan->streams || plan->row_piece < plan->row.extent || plan->column_piece < plan->column.extent ||
        transpose->strip_rows < nrows || transpose->stage_pitch != 0 || transpose->packs_lines) {
        return NULL;
    }
    return cpu_transpose_for(kernels, cpu_size_index(plan->unit_nbytes), nlines, nrows);
}

static void run_planes(const cpu_plan *plan, cpu_transpose_fn turn, cursor *at, int64_t count)
{
    const cpu_transpose *transpose = &plan->transpose;
    const int64_t nlines = plan->row.extent * transpose->lines_per_index;
    const int64_t nrows = plan->column.extent * transpose->rows_per_index;
    for (; count > 0; count--) {
        turn(at->dst, transpose->dst_offsets, at->src, transpose->src_offsets, nlines, nrows, &transpose->prefetch,
             plan->swap_nbytes);
        cursor_advance(at, plan, 1);
    }
}

/* Tiles along the row axis go together. */
static void run_tiles(cpu_run *run, cursor *at, int64_t ntasks)
{
    const cpu_plan *plan = run->plan;
    int64_t nrow_pieces = pieces_of(plan->row.extent, plan->row_piece);
    ndbuf_cpu__transpose_begin(&run->memory.tile);
    while (ntasks > 0) {
        cpu_piece piece = cursor_piece(at, plan);
        int64_t count = cpu_smaller(nrow_pieces - at->row, ntasks);
        cpu_tile_run tiles = {.dst = piece.dst,
                              .src = piece.src,
                              .nrow = cpu_smaller(count * plan->row_piece, piece.ahead),
                              .ncolumn = piece.ncolumns,
                              .nahead = plan->column.extent - at->column * plan->column_piece};
        ntasks -= count;
        cursor_advance(at, plan, count);
        tiles.next = ntasks > 0 ? cursor_piece(at, plan).src : NULL;
        ndbuf_cpu__transpose_run(plan, run->kernels, &run->memory.tile, &tiles);
    }
    ndbuf_cpu__transpose_end(&run->memory.tile, run->kernels);
}

/* Past the caches: the first half of the tasks beside the second one, where that is faster. */
static void run_streamed(cpu_run *run, cursor *at, char *dst, const char *src, int64_t first, int64_t ntasks)
{
    const cpu_plan *plan = run->plan;
    int64_t npairs = plan->stream_ways > 1 ? ntasks / 2 : 0;
    cursor other;
    if (npairs > 0) {
        cursor_seek(&other, plan, dst, src, first + npairs);
    }
    for (int64_t i = 0; i < npairs; i++) {
        cpu_piece piece = cursor_piece(at, plan);
        cpu_piece twin = cursor_piece(&other, plan);
        ndbuf_cpu__run_streamed(run, &piece, &twin);
        cursor_advance(at, plan, 1);
        cursor_advance(&other, plan, 1);
    }
    if (npairs > 0) {
        *at = other;
    }
    for (int64_t i = 2 * npairs; i < ntasks; i++) {
        cpu_piece piece = cursor_piece(at, plan);
        ndbuf_cpu__run_streamed(run, &piece, NULL);
        cursor_advance(at, plan, 1);
    }
}

void ndbuf_cpu__plan_run(const cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning, char *dst,
                         const char *src, int64_t first, int64_t last, const char *next)
{
    const uint64_t mode = plan->converts ? ndbuf__float_mode_begin() : 0;
    cpu_run run;
    cursor at;
    run.plan = plan;
    run.kernels = kernels;
    run.tuning = tuning;
    run.prefetch_nbytes = next != NULL ? next - src : plan->prefetch_nbytes;
    cursor_seek(&at, plan, dst, src, first);
    if (plan->streams) {
        ndbuf_cpu__run_stream_begin(&run);
    }
    const cpu_transpose_fn plane_fn = plan->kind == CPU_PLAN_TRANSPOSE ? find_plane_fn(plan, kernels) : NULL;
    if (plane_fn != NULL) {
        run_planes(plan, plane_fn, &at, last - first);
    } else if (plan->kind == CPU_PLAN_TRANSPOSE) {
        run_tiles(&run, &at, last - first);
    } else if (plan->streams) {
        run_streamed(&run, &at, dst, src, first, last - first);
    } else {
        for (int64_t task = first; task < last; task++) {
            cpu_piece piece = cursor_piece(&at, plan);
            run_cached(&run, &piece);
            cursor_advance(&at, plan, 1);
        }
    }
    if (plan->streams) {
        ndbuf_cpu__run_stream_end(&run);
    }
    if (plan->converts) {
        ndbuf__float_mode_end(mode);
    }
}
