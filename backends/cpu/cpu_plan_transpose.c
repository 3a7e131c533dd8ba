/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan_transpose.h"

#include <string.h>

#include "backends/cpu/cpu_minmax.h"

/* A row in the destination shorter than this is not worth a line written past the caches. */
#define STREAMED_ROW_MIN 128
/* One that ends within a line, and is shorter than this, is chained to the next one. */
#define CHAINED_ROW_MAX 1024
/* Lines of the source are chained until they are this long: two cache lines, which processors like to fetch together.
 */
#define LINE_TARGET_NBYTES 128
#define MOST_SHARERS 4
#define MOVED_PIECES 4
#define WIDE_PIECES 2
#define WIDE_UNIT_MIN 9
/* Blocks that take parts of lines go right to the destination from here on. */
#define PARTS_DIRECT_MIN 8
/* How many times further ahead lines are prefetched whose blocks take a part of each. */
#define RETURNED_AHEAD 3
/* And how many times further they are read at once. */
#define RETURNED_STRIPS 2
/* Of shorter units so many lines make a panel that they would not stay in the first cache for several passes. */
#define PASS_UNIT_MIN 5
/* Rows for which each line of a source is converted at once, at least, by vectors that are parts of cache lines: some
 * steps, as one or two take longer to begin than to do. */
#define CONVERTED_ROWS 32
/* Lines of fewer rows than a block has go right to the destination from here on. */
#define DIRECT_LINE_MIN 32
/* Units of a line with gaps that a step of the shuffle brings together, and such lines, at least: fewer are moved one
 * by one. */
#define PACKED_UNITS_MIN 16
#define PACKED_LINES_MIN 9
/* Other units than those of 1, 2, 4, 8 and 16 bytes are moved one by one where there are fewer lines or rows, or less
 * of each. */
#define FEW_ODD 7
#define FEW_ODD_NBYTES 40
/* How many times larger tiles in step are where their rows lie close together. */
#define REACHED_TILES 4
/* Shorter lines are not fetched a tile ahead. */
#define PACED_LINE_MIN 256

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

static void chain_begin(axis_chain *out_chain, cpu_plan *plan, int32_t k)
{
    out_chain->naxes = 0;
    out_chain->nunits = 1;
    chain_add(out_chain, plan, k);
}

/* Adds the axis that carries on where the chain ends, in the destination or in the source. */
static bool chain_extend(axis_chain *chain, cpu_plan *plan, bool in_dst)
{
    int64_t end = chain->nunits * (in_dst ? plan->unit_nbytes : plan->transpose.line_stride);
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

/* Of `count` offsets, in groups each of which lies a stride further than the one before, the first group is there. */
static void repeat_offsets(int64_t *offsets, int64_t group, int64_t count, int64_t stride)
{
    for (int64_t done = group; done < count;) { /* each time as many as there are */
        const int64_t more = cpu_smaller(done, count - done);
        const int64_t *restrict from = offsets;
        int64_t *restrict to = offsets + done;
        for (int64_t u = 0; u < more; u++) {
            to[u] = from[u] + stride;
        }
        done += more;
        stride += done < count ? stride : 0;
    }
}

/* The offsets, on the other side, of the first `count` units along a chain. */
static void chain_offsets(const axis_chain *chain, bool in_dst, int64_t count, int64_t *out_offsets)
{
    int64_t done = 1;
    out_offsets[0] = 0;
    for (int32_t i = 0; done < count; i++) {
        const cpu_axis *axis = &chain->axes[i];
        const int64_t all = i < chain->naxes - 1 ? cpu_smaller(done * axis->extent, count) : count;
        repeat_offsets(out_offsets, done, all, in_dst ? axis->src_stride : axis->dst_stride);
        done = all;
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

/* So many units, or somewhat less for whole blocks. */
static int64_t whole_blocks(int64_t nunits, int64_t side)
{
    return nunits > side ? nunits - nunits % side : side;
}

/* Whether neighbouring lines of the source fall into the same sets of the first cache. */
static bool lines_conflict(const axis_chain *lines, const ndbuf_cpu__tuning *tuning)
{
    return lines->axes[0].src_stride % tuning->conflict_nbytes == 0;
}

/* Whether they fall into so few that what neighbouring blocks read and write has no room there, except along diagonals.
 */
static bool lines_share_sets(const axis_chain *lines, const ndbuf_cpu__tuning *tuning)
{
    return lines->axes[0].src_stride * CPU_SET_SHARERS % tuning->conflict_nbytes == 0;
}

/* Whether lines, or rows of the destination, throw each other out of the caches although there is room. */
static bool has_conflicts(const axis_chain *lines, const axis_chain *rows, const ndbuf_cpu__tuning *tuning)
{
    return lines_conflict(lines, tuning) || rows->axes[0].dst_stride % tuning->conflict_nbytes == 0;
}

/* Of so many rows of the destination, those that fall into one set of the first cache, where each one falls near that
 * `sharers` before it. */
static int64_t rows_in_set(const axis_chain *rows, int64_t nrows, int64_t sharers, const ndbuf_cpu__tuning *tuning)
{
    const int64_t ahead = ndbuf__stride_magnitude(rows->axes[0].dst_stride) * sharers % tuning->conflict_nbytes;
    const int64_t distance = cpu_smaller(ahead, tuning->conflict_nbytes - ahead);
    return nrows / sharers / (1 + nrows / sharers * distance / CPU_LINE_NBYTES);
}

/* So many rows in a set of the first cache leave room there for what is read. */
static int64_t most_rows_in_set(const ndbuf_cpu__tuning *tuning)
{
    return cpu_larger(1, tuning->set_lines * 2 / 3);
}

/* Whether rows throw each other out of the first cache although each gets whole lines at once: those of a strip, or of
 * the blocks of narrow units, which have more. */
static bool rows_conflict(const axis_chain *lines, const axis_chain *rows, int64_t strip_rows, int64_t side,
                          const ndbuf_cpu__tuning *tuning)
{
    const int64_t nrows = rows->axes[0].extent;
    return (nrows >= strip_rows && rows_in_set(rows, strip_rows, 1, tuning) >= 2 * most_rows_in_set(tuning)) ||
           (!lines_share_sets(lines, tuning) &&
            rows_in_set(rows, cpu_smaller(nrows, 2 * side), 2, tuning) >= 4 * most_rows_in_set(tuning));
}

/* Whether at most so many of `nrows` rows fall into any set of the first cache. */
static bool fit_in_sets(const axis_chain *rows, int64_t nrows, int64_t most, const ndbuf_cpu__tuning *tuning)
{
    bool fit = true;
    for (int64_t sharers = 1; sharers <= MOST_SHARERS; sharers++) {
        fit = fit && rows_in_set(rows, nrows, sharers, tuning) <= most;
    }
    return fit;
}

/* Whether rows may get parts of lines, which stay in the first cache until they are whole. */
static bool takes_parts(const axis_chain *rows, const ndbuf_cpu__tuning *tuning)
{
    return fit_in_sets(rows, rows->axes[0].extent, most_rows_in_set(tuning), tuning);
}

/* Whether every row of the destination starts with a cache line. */
static bool rows_are_aligned(const cpu_plan *plan, const axis_chain *rows)
{
    int64_t bits = plan->transpose.dst_alignment + plan->dst_offset;
    for (int32_t i = 0; i < rows->naxes; i++) {
        bits |= rows->axes[i].dst_stride;
    }
    for (int32_t k = 0; k < plan->nloops; k++) {
        bits |= plan->loops[k].dst_stride;
    }
    return bits % CPU_LINE_NBYTES == 0;
}

/* Whether a block takes a whole cache line of each line, and of each row, at once. */
static bool takes_whole_lines(const cpu_kernels *kernels, int64_t unit)
{
    return cpu_block_side(kernels, unit) * unit >= CPU_LINE_NBYTES;
}

/* Whether there are fewer rows than any block takes. */
static bool are_fewer_than_blocks(const cpu_plan *plan, const axis_chain *rows, const cpu_kernels *kernels)
{
    const int size = cpu_size_index(plan->unit_nbytes);
    const cpu_kernels *narrowest = cpu_narrowest_kernels(kernels, size);
    return narrowest != NULL && rows->nunits < narrowest->block_side[size];
}

/* Whether rows are long enough to be written past the caches. Those that begin within cache lines leave parts of them,
 * which have to be paid for; too few rows, or rows that share cache sets, cost more. */
static bool streams_rows(const cpu_plan *plan, const axis_chain *lines, const axis_chain *rows,
                         const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning)
{
    const int64_t unit = plan->unit_nbytes;
    const int64_t row_nbytes = lines->nunits * unit;
    return row_nbytes >= STREAMED_ROW_MIN &&
           (rows_are_aligned(plan, rows) || are_fewer_than_blocks(plan, rows, kernels) ||
            rows_conflict(lines, rows, tuning->strip_rows, cpu_block_side(kernels, unit), tuning) ||
            (plan->nbytes >= tuning->stream_uneven_nbytes && row_nbytes >= tuning->stream_uneven_row_nbytes));
}

/* Whether rows get parts of lines, again and again: units of more than 8 bytes that have vectors fill them soon. */
static bool writes_parts(const cpu_kernels *kernels, int64_t unit)
{
    return !takes_whole_lines(kernels, unit) && (unit < WIDE_UNIT_MIN || cpu_block_side(kernels, unit) == 1);
}

bool ndbuf_cpu__transpose_streams(int64_t unit_nbytes, int64_t nbytes, int64_t moved_nbytes, const cpu_kernels *kernels,
                                  const ndbuf_cpu__tuning *tuning)
{
    return kernels->stream != NULL &&
           (nbytes >= tuning->stream_nbytes ||
            (writes_parts(kernels, unit_nbytes) && moved_nbytes >= tuning->stream_parts_nbytes));
}

/* What a transpose moves, for ndbuf_cpu__transpose_streams. */
static int64_t moved_by(const cpu_plan *plan)
{
    const cpu_row_converter *converter = &plan->converter;
    return plan->converts ? plan->nbytes + plan->nbytes / converter->dst_nbytes * converter->src_nbytes : plan->nbytes;
}

/* Whether so many bytes, written past the caches, leave so often a part of a line that more are worth a longer chain.
 */
static bool ends_within_line(int64_t nbytes)
{
    return nbytes < CHAINED_ROW_MAX && nbytes % CPU_LINE_NBYTES != 0;
}

/* Units that have no vectors are moved one by one, and in longer pieces of lines and rows, since no blocks wait. Past
 * the caches, others of which few fill a line are, too. */
static int64_t longer_pieces(const cpu_plan *plan, const cpu_kernels *kernels, bool streams)
{
    return cpu_block_side(kernels, plan->unit_nbytes) == 1 ? MOVED_PIECES
           : streams && plan->unit_nbytes >= WIDE_UNIT_MIN ? WIDE_PIECES
                                                           : 1;
}

/* Bytes of a row that leave together past the caches. */
static int64_t sent_nbytes(const cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning)
{
    return cpu_larger(1,
                      cpu_smaller(tuning->send_nbytes * longer_pieces(plan, kernels, true), CPU_PLAN_MAX_SENT_NBYTES));
}

/* The same where they may have to go by way of the stage, in which small units can wait for more. */
static int64_t staged_nbytes(const cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning)
{
    const bool is_small = plan->unit_nbytes < PARTS_DIRECT_MIN && !takes_whole_lines(kernels, plan->unit_nbytes);
    const int64_t least = is_small ? cpu_smaller(tuning->stage_send_nbytes, CPU_PLAN_MAX_SENT_NBYTES) : 0;
    return cpu_larger(least, sent_nbytes(plan, kernels, tuning));
}

/* Past the caches: whether blocks take parts of lines, of which more than a set of the first cache holds fall into one
 * before they are wanted again. */
static bool lines_return(const cpu_plan *plan, const axis_chain *lines, const cpu_kernels *kernels,
                         const ndbuf_cpu__tuning *tuning)
{
    const int64_t unit = plan->unit_nbytes;
    const int64_t count = sent_nbytes(plan, kernels, tuning) / unit;
    int64_t in_set = 1;
    int64_t inner = 1;
    for (int32_t i = 0; i < lines->naxes && inner < count; i++) {
        const cpu_axis *axis = &lines->axes[i];
        in_set *= axis->src_stride % tuning->conflict_nbytes == 0 ? cpu_smaller(axis->extent, count / inner) : 1;
        inner *= axis->extent;
    }
    return !takes_whole_lines(kernels, unit) && in_set > tuning->set_lines;
}

static int64_t lines_up(int64_t nbytes)
{
    return (nbytes + CPU_LINE_NBYTES - 1) / CPU_LINE_NBYTES * CPU_LINE_NBYTES;
}

/* Past the caches, in step: while a tile is staged, the one before leaves and the next one is fetched. False: rows do
 * not take whole lines, or are not worth it. */
static bool plan_paced(cpu_plan *plan, const axis_chain *lines, const axis_chain *rows, const cpu_kernels *kernels,
                       const ndbuf_cpu__tuning *tuning)
{
    cpu_transpose *transpose = &plan->transpose;
    const int64_t unit = plan->unit_nbytes;
    const int size = cpu_size_index(unit);
    if (size < 0 || kernels->paced_transpose[size] == NULL || transpose->packs_lines ||
        rows->nunits < kernels->block_side[size] || rows->nunits * unit < PACED_LINE_MIN ||
        rows->axes[0].dst_stride % tuning->conflict_nbytes != 0 || !rows_are_aligned(plan, rows)) {
        return false;
    }
    int64_t row_piece = chain_piece(lines, sent_nbytes(plan, kernels, tuning) / unit, 0);
    int64_t panel_nbytes = row_piece * transpose->lines_per_index * unit;
    if (panel_nbytes % CPU_LINE_NBYTES != 0 && row_piece < plan->row.extent) {
        return false;
    }
    plan->row_piece = row_piece;
    transpose->paced = true;
    transpose->stage_pitch = lines_up(panel_nbytes);
    const int64_t least = tuning->tile_paced_nbytes / unit;
    const int64_t reached = cpu_smaller(tuning->tile_reach_nbytes / rows->axes[0].dst_stride, least * REACHED_TILES);
    int64_t nrows = cpu_smaller(CPU_PLAN_MAX_STAGE_NBYTES / 2 / transpose->stage_pitch, CPU_PLAN_MAX_STAGED_ROWS);
    plan->column_piece = chain_piece(rows, cpu_smaller(cpu_larger(least, reached), nrows), nrows);
    return true;
}

/* Whether so many rows make blocks, or few but whole lanes of each line. */
static bool has_direct_rows(int64_t nrows, int64_t unit, int64_t side)
{
    return nrows >= side || (nrows * unit % CPU_LANE_NBYTES == 0 && nrows * unit >= DIRECT_LINE_MIN);
}

/* Whether rows take whole lines, so that plan_direct may find what it needs, before any axes are chained. */
static bool suits_direct(const cpu_plan *plan, int32_t column, const cpu_kernels *kernels,
                         const ndbuf_cpu__tuning *tuning)
{
    const int64_t unit = plan->unit_nbytes;
    const int size = cpu_size_index(unit);
    const int32_t last = plan->nloops - 1;
    if (size < 0 || kernels->stream_transpose[size] == NULL || plan->loops[column].src_stride != unit ||
        !has_direct_rows(plan->loops[column].extent, unit, kernels->block_side[size]) ||
        plan->loops[last].extent * unit < sent_nbytes(plan, kernels, tuning)) {
        return false;
    }
    int64_t bits = plan->transpose.dst_alignment + plan->dst_offset;
    for (int32_t k = 0; k < last; k++) {
        bits |= plan->loops[k].dst_stride;
    }
    return bits % CPU_LINE_NBYTES == 0;
}

/* Past the caches, right from the kernel: tiles are a line or two of many rows. False: rows do not take whole lines. */
static bool plan_direct(cpu_plan *plan, const axis_chain *lines, const axis_chain *rows, const cpu_kernels *kernels,
                        const ndbuf_cpu__tuning *tuning)
{
    cpu_transpose *transpose = &plan->transpose;
    const int64_t unit = plan->unit_nbytes;
    const int size = cpu_size_index(unit);
    if (size < 0 || kernels->stream_transpose[size] == NULL || !rows_are_aligned(plan, rows)) {
        return false;
    }
    const int64_t side = kernels->block_side[size];
    const bool returns = lines_return(plan, lines, kernels, tuning);
    const int64_t least_unit = takes_whole_lines(kernels, unit) ? 1 : returns ? WIDE_UNIT_MIN : PARTS_DIRECT_MIN;
    if (!has_direct_rows(rows->nunits, unit, side) || transpose->packs_lines || unit < least_unit) {
        return false;
    }
    plan->row_piece = chain_piece(lines, sent_nbytes(plan, kernels, tuning) / unit, 0);
    if (plan->row_piece * transpose->lines_per_index * unit % CPU_LINE_NBYTES != 0 &&
        plan->row_piece < plan->row.extent) {
        return false;
    }
    if (lines_conflict(lines, tuning)) { /* few lines at a time, each as far as it goes */
        plan->column_piece = chain_piece(rows, CPU_PLAN_MAX_ROWS, side);
        transpose->prefetch.nbytes = tuning->line_prefetch_nbytes * (returns ? RETURNED_AHEAD : 1);
    } else {
        plan->column_piece = chain_piece(rows, tuning->tile_direct_nbytes / unit, side);
        transpose->prefetch.nbytes = 0;
    }
    return true;
}

/* Past the caches: all rows of a tile are staged, up to a line more than what leaves at once. */
static void plan_streamed(cpu_plan *plan, const axis_chain *lines, const axis_chain *rows, const cpu_kernels *kernels,
                          const ndbuf_cpu__tuning *tuning)
{
    cpu_transpose *transpose = &plan->transpose;
    const int64_t unit = plan->unit_nbytes;
    const int64_t side = cpu_block_side(kernels, unit);
    const int64_t longer = longer_pieces(plan, kernels, true);
    int64_t most_nbytes = cpu_smaller(tuning->panel_stream_nbytes * longer, CPU_PLAN_MAX_SENT_NBYTES);
    const bool returns = lines_return(plan, lines, kernels, tuning);
    if (returns) {
        most_nbytes = cpu_smaller(most_nbytes, tuning->set_lines * unit);
    }
    plan->row_piece = chain_piece(lines, whole_blocks(most_nbytes / unit, side), side);
    int64_t panel_nbytes = plan->row_piece * transpose->lines_per_index * unit;
    transpose->panels_sent = (staged_nbytes(plan, kernels, tuning) + panel_nbytes - 1) / panel_nbytes;
    transpose->stage_pitch = lines_up(transpose->panels_sent * panel_nbytes) + CPU_LINE_NBYTES;
    /* One row more than there are is for what nobody wants, see tile_turn_short. */
    int64_t nrows = cpu_smaller(CPU_PLAN_MAX_STAGE_NBYTES / transpose->stage_pitch - 1, CPU_PLAN_MAX_STAGED_ROWS);
    plan->column_piece =
        chain_piece(rows, whole_blocks(cpu_smaller(tuning->tile_stream_nbytes / unit, nrows), side), side);
    const int64_t strip_nbytes = tuning->strip_stream_nbytes * longer * (returns ? RETURNED_STRIPS : 1);
    transpose->strip_rows = transpose->packs_lines ? CPU_LINE_NBYTES / unit : whole_blocks(strip_nbytes / unit, side);
}

/* Rows of a strip whose lines are packed: those of a cache line, or more that are converted, if they stay. */
static int64_t packed_rows(const cpu_plan *plan, const axis_chain *lines, const cpu_kernels *kernels,
                           const ndbuf_cpu__tuning *tuning)
{
    const int64_t nrows = CPU_LINE_NBYTES / plan->unit_nbytes;
    const bool takes_more =
        plan->converts && writes_parts(kernels, plan->unit_nbytes) && !lines_conflict(lines, tuning);
    return takes_more ? cpu_larger(nrows, CONVERTED_ROWS) : nrows;
}

/* As usual: tiles of many rows, of which some are turned together, right into the destination or by way of the stage.
 */
static void plan_cached(cpu_plan *plan, const axis_chain *lines, const axis_chain *rows, int64_t panel_nbytes,
                        const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning)
{
    cpu_transpose *transpose = &plan->transpose;
    const int64_t unit = plan->unit_nbytes;
    const int64_t side = cpu_block_side(kernels, unit);
    plan->row_piece = chain_piece(lines, whole_blocks(panel_nbytes / unit, side), side);
    plan->column_piece = chain_piece(rows, cpu_smaller(tuning->tile_rows, CPU_PLAN_MAX_ROWS), side);
    const int64_t strip_nbytes = tuning->strip_nbytes * longer_pieces(plan, kernels, false);
    const int64_t most_rows =
        cpu_larger(tuning->strip_rows, CPU_LINE_NBYTES / unit); /* a cache line of each line at least */
    const int64_t strip_rows =
        whole_blocks(cpu_smaller(cpu_smaller(strip_nbytes / unit, most_rows), CPU_PLAN_MAX_STAGED_ROWS), side);
    const int64_t tile_rows = plan->column_piece * transpose->rows_per_index;
    transpose->strip_rows = strip_rows;
    if (transpose->packs_lines) {
        transpose->strip_rows = packed_rows(plan, lines, kernels, tuning);
    } else if (side > 1 && lines_share_sets(lines, tuning) && tile_rows * unit >= CPU_DIAGONAL_NBYTES) {
        transpose->strip_rows = whole_blocks(tile_rows, side);
    } else if (side > 1 && lines_conflict(lines, tuning)) { /* what is read of them later would have to come again */
        transpose->strip_rows = cpu_smaller(strip_rows, whole_blocks(CPU_LINE_NBYTES / unit, side));
    }
    const bool is_narrow = rows->nunits < side;
    const bool has_narrower = !are_fewer_than_blocks(plan, rows, kernels);
    const bool is_direct = !is_narrow || (has_narrower && (lines->nunits <= side || takes_parts(rows, tuning)));
    if (!is_direct ||
        (lines->nunits * unit >= CPU_LINE_NBYTES && rows_conflict(lines, rows, strip_rows, side, tuning))) {
        /* One more line, so that the rows do not share cache sets. */
        int64_t nbytes = plan->row_piece * transpose->lines_per_index * unit;
        transpose->stage_pitch = lines_up(nbytes) + 2 * CPU_LINE_NBYTES;
        const int64_t most = cpu_smaller(CPU_PLAN_MAX_STAGE_NBYTES / transpose->stage_pitch - 1, /* one is for nobody */
                                         CPU_PLAN_MAX_STAGED_ROWS);
        transpose->strip_rows = cpu_smaller(transpose->strip_rows, whole_blocks(most, side));
    } else if (!takes_whole_lines(kernels, unit) && transpose->strip_rows == strip_rows) {
        /* Blocks write parts of the rows' lines, which wait in the first cache for the others. */
        while (transpose->strip_rows >= 2 * side &&
               !fit_in_sets(rows, transpose->strip_rows, 2 * most_rows_in_set(tuning), tuning)) {
            transpose->strip_rows = whole_blocks(transpose->strip_rows / 2, side);
        }
    }
    /* It is so large that only few of its rows are best written side by side. */
    const bool in_passes = unit >= PASS_UNIT_MIN && plan->nbytes >= tuning->pass_nbytes &&
                           writes_parts(kernels, unit) && transpose->strip_rows <= strip_rows &&
                           transpose->stage_pitch == 0 && !transpose->packs_lines;
    transpose->pass_rows = in_passes ? whole_blocks(tuning->pass_rows, side) : transpose->strip_rows;
    /* Both sides together have no room in the first cache, and rows go on beyond a block. */
    transpose->prefetch.rows = transpose->stage_pitch == 0 && lines->nunits > side &&
                               2 * plan->nbytes > tuning->conflict_nbytes * tuning->set_lines;
    transpose->prefetch.nbytes =
        plan->nbytes >= tuning->strip_prefetch_nbytes ? transpose->strip_rows * transpose->line_stride : 0;
    transpose->fetches_beyond = tuning->strip_prefetch_nbytes == 0;
    if (rows->nunits <= transpose->strip_rows && !transpose->fetches_beyond) {
        transpose->prefetch.nbytes = 0;
    }
}

/* Whether there are so few lines, or rows, that units are better moved one by one. Few lines of bytes are not. */
static bool has_few(const axis_chain *lines, const axis_chain *rows, int64_t unit)
{
    static const int64_t few_lines[CPU_TRANSPOSE_SIZES] = {1, 8, 4, 4, 4};
    static const int64_t few_rows[CPU_TRANSPOSE_SIZES] = {8, 8, 4, 4, 4};
    const int size = cpu_size_index(unit);
    const int64_t fewer = cpu_smaller(lines->nunits, rows->nunits);
    return size >= 0 ? lines->nunits < few_lines[size] || rows->nunits < few_rows[size]
                     : fewer < FEW_ODD || fewer * unit < FEW_ODD_NBYTES;
}

/* Lines that are not to be turned as they are: converted, or, with gaps, brought together by shuffles that make a cache
 * line of each. False: that is not worth it, or cannot be done. */
static bool plan_packing(cpu_plan *plan, const axis_chain *lines, const axis_chain *rows, const cpu_kernels *kernels)
{
    cpu_transpose *transpose = &plan->transpose;
    const int64_t unit = plan->unit_nbytes;
    transpose->packs_lines = plan->converts || transpose->line_stride != unit;
    transpose->line_reach = 0;
    if (!transpose->packs_lines || plan->converts) {
        return true;
    }
    plan->row = (cpu_axis){.src_stride = transpose->line_stride};
    if (kernels->gather_lines == NULL || kernels->shuffle_nbytes < PACKED_UNITS_MIN * unit ||
        lines->nunits < PACKED_LINES_MIN || rows->nunits * unit < CPU_LINE_NBYTES ||
        !ndbuf_cpu__shuffle_gather(plan, kernels->shuffle_nbytes, 0) ||
        plan->shuffle.out_step != kernels->shuffle_nbytes) {
        return false;
    }
    int64_t nsteps = CPU_LINE_NBYTES / plan->shuffle.out_step;
    transpose->line_reach = (nsteps - 1) * plan->shuffle.in_step + plan->shuffle_reach;
    return true;
}

bool ndbuf_cpu__plan_transpose(cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning,
                               int32_t column)
{
    cpu_transpose *transpose = &plan->transpose;
    const int64_t unit = plan->unit_nbytes;
    const int size = cpu_size_index(unit);
    const int64_t side = cpu_block_side(kernels, unit);
    int64_t panel_nbytes =
        cpu_smaller(cpu_smaller(tuning->panel_nbytes, tuning->panel_lines * unit), CPU_PLAN_MAX_PANEL_NBYTES);
    transpose->line_stride = plan->loops[column].src_stride;
    plan->streams = ndbuf_cpu__transpose_streams(unit, plan->nbytes, moved_by(plan), kernels, tuning) ||
                    (plan->nbytes >= tuning->stream_direct_nbytes && suits_direct(plan, column, kernels, tuning));
    axis_chain lines; /* chained in the destination: its runs count lines of the source */
    axis_chain rows;
    chain_begin(&lines, plan, plan->nloops - 1);
    chain_begin(&rows, plan, column);
    if (size >= 0 && kernels->stream_transpose[size] != NULL && plan->nbytes >= tuning->stream_conflict_nbytes &&
        has_conflicts(&lines, &rows, tuning)) {
        plan->streams = true;
    }
    const int64_t line_target = plan->streams ? staged_nbytes(plan, kernels, tuning) : panel_nbytes;
    /* An axis that both could have goes to the destination's side while that has not even a whole cache line. */
    for (bool grew = true; grew;) {
        grew = (lines.nunits * unit < CPU_LINE_NBYTES && chain_extend(&lines, plan, true)) ||
               (rows.nunits * unit < LINE_TARGET_NBYTES && chain_extend(&rows, plan, false)) ||
               ((lines.nunits * unit < line_target || (plan->streams && ends_within_line(lines.nunits * unit))) &&
                chain_extend(&lines, plan, true));
    }
    plan->kind = CPU_PLAN_TRANSPOSE;
    plan->row_fn = ndbuf_cpu__row_fn(unit, 0);
    plan->streams = plan->streams && streams_rows(plan, &lines, &rows, kernels, tuning);
    if ((!plan->converts && has_few(&lines, &rows, unit)) || !plan_packing(plan, &lines, &rows, kernels)) {
        return false;
    }
    if (size < 0 && side > 1) {
        ndbuf_cpu__shuffle_slots(plan, kernels->lanes_nbytes);
    }
    plan->row = lines.axes[lines.naxes - 1];
    plan->column = rows.axes[rows.naxes - 1];
    transpose->lines_per_index = lines.nunits / plan->row.extent;
    transpose->rows_per_index = rows.nunits / plan->column.extent;
    transpose->stage_pitch = 0;
    transpose->paced = false;
    transpose->prefetch.is_far = tuning->prefetch_level > 1;
    transpose->prefetch.rows = false;
    if (!plan->streams) {
        plan_cached(plan, &lines, &rows, panel_nbytes, kernels, tuning);
    } else if (!plan_paced(plan, &lines, &rows, kernels, tuning) &&
               !plan_direct(plan, &lines, &rows, kernels, tuning)) {
        plan_streamed(plan, &lines, &rows, kernels, tuning);
    }
    chain_offsets(&lines, true, plan->row_piece * transpose->lines_per_index, transpose->src_offsets);
    chain_offsets(&rows, false, plan->column_piece * transpose->rows_per_index, transpose->dst_offsets);
    return true;
}
