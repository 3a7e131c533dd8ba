/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan_transpose.h"

#include <string.h>

/* A row in the destination shorter than this is not worth a line written past the caches. */
#define STREAMED_ROW_MIN 128
/* Lines of the source are chained until they are this long: two cache lines, which processors like to fetch together.
 */
#define LINE_TARGET_NBYTES 128

/* Axes chained to one that is dense on one side, innermost first. */
typedef struct axis_chain {
    int32_t naxes;
    cpu_axis axes[NDBUF__MAX_AXES];
    int64_t nunits; /* of all of them together */
} axis_chain;

static void chain_add(axis_chain *chain, cpu_plan *plan, int32_t k)
{
    cpu_axis axis = ndbuf_cpu__plan_take(plan, k);
    chain->axes[chain->naxes++] = axis;
    chain->nunits *= axis.extent;
}

/* Adds the axis that carries on where the chain ends, in the destination or in the source. */
static bool chain_extend(axis_chain *chain, cpu_plan *plan, bool in_dst)
{
    int64_t end = chain->nunits * plan->unit_nbytes;
    for (int32_t k = 0; k < plan->nloops; k++) {
        int64_t stride = in_dst ? plan->loops[k].dst_stride : ndbuf__stride_magnitude(plan->loops[k].src_stride);
        if (stride == end) {
            if (!in_dst && plan->loops[k].src_stride < 0) {
                ndbuf_cpu__plan_turn(plan, &plan->loops[k]);
            }
            chain_add(chain, plan, k);
            return true;
        }
    }
    return false;
}

/* The offsets, on the other side, of the first `count` units along a chain. */
static void chain_offsets(const axis_chain *chain, bool in_dst, int64_t count, int64_t *out_offsets)
{
    out_offsets[0] = 0;
    int64_t done = 1;
    for (int32_t i = 0; i < chain->naxes && done < count; i++) {
        int64_t stride = in_dst ? chain->axes[i].src_stride : chain->axes[i].dst_stride;
        int64_t inner = done;
        for (int64_t j = 1; done < count; j++) {
            if (i < chain->naxes - 1 && j == chain->axes[i].extent) {
                break;
            }
            for (int64_t u = 0; u < inner && done < count; u++) {
                out_offsets[done++] = out_offsets[u] + j * stride;
            }
        }
    }
}

/* How many indices of a chain's outermost axis make a piece of about `target` units. What is left over at the end is
 * not less than `least` units, where that can be had. */
static int64_t chain_piece(const axis_chain *chain, int64_t target, int64_t least)
{
    int64_t extent = chain->axes[chain->naxes - 1].extent;
    int64_t inner = chain->nunits / extent;
    int64_t piece = target / inner;
    if (piece < 1) {
        piece = 1;
    }
    if (piece >= extent) {
        return extent;
    }
    int64_t left = extent % piece;
    if (left != 0 && left * inner < least) {
        int64_t npieces = (extent + piece - 1) / piece;
        piece = (extent + npieces - 1) / npieces;
    }
    return piece;
}

/* Whether every row of the destination starts with a cache line. */
static bool rows_are_aligned(const cpu_plan *plan, const axis_chain *lines, const axis_chain *rows)
{
    int64_t bits = plan->transpose.dst_alignment + plan->dst_offset;
    for (int32_t i = 0; i < rows->naxes; i++) {
        bits |= rows->axes[i].dst_stride;
    }
    for (int32_t k = 0; k < plan->nloops; k++) {
        bits |= plan->loops[k].dst_stride;
    }
    bits |= lines->axes[lines->naxes - 1].dst_stride * plan->row_piece;
    return bits % CPU_LINE_NBYTES == 0;
}

/* Whether neighbouring lines of the source fall into the same sets of the first cache. */
static bool lines_conflict(const axis_chain *lines, const ndbuf_cpu__tuning *tuning)
{
    return lines->axes[0].src_stride % tuning->conflict_nbytes == 0;
}

/* Whether neighbouring rows of the destination do. */
static bool rows_conflict(const axis_chain *rows, const ndbuf_cpu__tuning *tuning)
{
    return rows->axes[0].dst_stride % tuning->conflict_nbytes == 0;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rows that are written past the caches leave in whole cache lines, also where those reach into the next piece. */
static int64_t pad_indices(const cpu_plan *plan, const axis_chain *lines, const axis_chain *rows)
{
    int64_t pad_units = (CPU_LINE_NBYTES - 1) / plan->unit_nbytes + 1;
    int64_t per_index = plan->transpose.lines_per_index;
    bool needed = plan->streams && plan->row_piece < plan->row.extent && !rows_are_aligned(plan, lines, rows);
    return needed ? (pad_units + per_index - 1) / per_index : 0;
}

/* Where and how a strip of the tile, `nlines` lines wide, is turned: right into the destination, or staged. */
static void plan_strips(cpu_plan *plan, const axis_chain *lines, const axis_chain *rows, int64_t nlines,
                        int64_t block_rows, const ndbuf_cpu__tuning *tuning)
{
    cpu_transpose *transpose = &plan->transpose;
    const int64_t unit = plan->unit_nbytes;
    bool is_short = rows->nunits < block_rows; /* lines that have to be brought together, too */
    transpose->packs_lines = unit <= 2 && block_rows > 1 && lines_conflict(lines, tuning);
    if (transpose->packs_lines) {
        transpose->strip_rows = CPU_LINE_NBYTES / unit;
    } else {
        int64_t nrows = smaller(smaller(tuning->strip_nbytes / unit, tuning->strip_rows), CPU_PLAN_MAX_STRIP_ROWS);
        transpose->strip_rows = nrows > block_rows ? nrows : block_rows;
    }
    transpose->stage_pitch = 0;
    if (plan->streams || transpose->packs_lines || is_short || rows_conflict(rows, tuning)) {
        /* One more line, so that the rows do not share cache sets; and room for one more row, see tile_turn_short. */
        transpose->stage_pitch = (nlines * unit / CPU_LINE_NBYTES + 2) * CPU_LINE_NBYTES;
        while ((transpose->strip_rows + 1) * transpose->stage_pitch > CPU_PLAN_MAX_STAGE_NBYTES) {
            transpose->strip_rows /= 2;
        }
    }
    transpose->prefetch_nbytes = plan->nbytes >= tuning->strip_prefetch_nbytes ? transpose->strip_rows * unit : 0;
}

void ndbuf_cpu__plan_transpose(cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning,
                               int32_t column)
{
    cpu_transpose *transpose = &plan->transpose;
    const int64_t unit = plan->unit_nbytes;
    const int size = cpu_size_index(unit);
    const int64_t block_lines = size >= 0 ? kernels->block_lines[size] : 1;
    const int64_t block_rows = size >= 0 ? kernels->block_rows[size] : 1;
    int64_t panel_nbytes = plan->streams ? tuning->panel_stream_nbytes : tuning->panel_nbytes;
    panel_nbytes = smaller(smaller(panel_nbytes, tuning->panel_lines * unit), CPU_PLAN_MAX_PANEL_NBYTES);
    axis_chain lines = {.nunits = 1}; /* chained in the destination: its runs count lines of the source */
    axis_chain rows = {.nunits = 1};
    chain_add(&lines, plan, plan->nloops - 1);
    chain_add(&rows, plan, column);
    for (bool grew = true; grew;) {
        grew = (rows.nunits * unit < LINE_TARGET_NBYTES && chain_extend(&rows, plan, false)) ||
               (lines.nunits * unit < panel_nbytes && chain_extend(&lines, plan, true));
    }
    plan->kind = CPU_PLAN_TRANSPOSE;
    plan->streams = plan->streams && lines.nunits * unit >= STREAMED_ROW_MIN;
    plan->row = lines.axes[lines.naxes - 1];
    plan->column = rows.axes[rows.naxes - 1];
    plan->row_piece = chain_piece(&lines, panel_nbytes / unit, block_lines);
    plan->column_piece = chain_piece(&rows, smaller(tuning->tile_rows, CPU_PLAN_MAX_ROWS), block_rows);
    transpose->lines_per_index = lines.nunits / plan->row.extent;
    transpose->rows_per_index = rows.nunits / plan->column.extent;
    transpose->pad_indices = pad_indices(plan, &lines, &rows);
    int64_t nlines = smaller((plan->row_piece + transpose->pad_indices) * transpose->lines_per_index, lines.nunits);
    chain_offsets(&lines, true, nlines, transpose->src_offsets);
    chain_offsets(&rows, false, plan->column_piece * transpose->rows_per_index, transpose->dst_offsets);
    plan_strips(plan, &lines, &rows, nlines, block_rows, tuning);
}
