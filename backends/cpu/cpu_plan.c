/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan.h"

#include <string.h>

#include "core/float_mode.h"

#include "backends/cpu/cpu_minmax.h"
#include "backends/cpu/cpu_plan_speed.h"
#include "backends/cpu/cpu_plan_transpose.h"

/* Longer units, a cache line and more, are copied as rows even where another axis is faster in the source. */
#define TRANSPOSED_UNIT_MAX 63
/* From here on a unit is a row by itself, and the bytes of one may be divided between tasks. */
#define BYTES_UNIT_MIN ((int64_t)64 << 10)
/* Runs of the destination that are worth writing past the caches. */
#define STREAMED_RUN_MIN 256
/* Bytes of a row of one repeated unit: what lies before and behind its whole lines is written as usual each time. */
#define STREAMED_REPEAT_MIN 512
/* Shorter rows of one unit each are turned, or walked, like others. */
#define REPEATED_ROW_MIN 25
#define REPEATED_BYTES_MIN 33 /* of units of 1 byte */
/* Processors fetch a sequence of rows by themselves where the gaps between them are no longer than this, unless the
 * rows are short. */
#define FORESEEN_GAP_NBYTES 128
#define SHORT_ROW_NBYTES 256
/* A source that has so many times the place of a unit for each of them is sparse. */
#define SPARSE_UNITS 8
/* Bytes of either side along an edge of a square tile. */
#define TILE_EDGE_NBYTES 256

/* Streams that are picked from one, or put into one, by themselves: how many there are, and, where units have no
 * transposes by vectors, how many bytes of all of them lie side by side, at most; how long each is, at least; and how
 * many bytes of all of them go together. */
#define CHANNELS_MAX 16
#define CHANNELS_ODD_NBYTES 40
#define CHANNELS_ROW_MIN 256
#define CHANNELS_PIECE_NBYTES ((int64_t)16 << 10)
/* Past the caches transposes are faster where they put units from this size on between others, or pick so few that they
 * fill less than half a vector. */
#define CHANNELS_STREAMED_UNIT 4
/* Within the caches they are where there are more lines than a block has and a vector puts fewer units between others.
 */
#define CHANNELS_UNITS_MIN 3

static int64_t at_least_1(int64_t value)
{
    return cpu_larger(value, 1);
}

cpu_axis ndbuf_cpu__plan_take(cpu_plan *plan, int32_t k)
{
    cpu_axis axis = plan->loops[k];
    plan->nloops--;
    memmove(&plan->loops[k], &plan->loops[k + 1], (size_t)(plan->nloops - k) * sizeof(axis));
    return axis;
}

void ndbuf_cpu__plan_turn(cpu_plan *plan, cpu_axis *axis)
{
    plan->dst_offset += axis->dst_stride * (axis->extent - 1);
    plan->src_offset += axis->src_stride * (axis->extent - 1);
    axis->dst_stride = -axis->dst_stride;
    axis->src_stride = -axis->src_stride;
}

/* The axis along which the source is fastest, the last one being it when in doubt; repeated axes (stride 0) do not
 * count. -1: the source is one unit. */
static int32_t fastest_src_axis(const cpu_plan *plan)
{
    int32_t best = -1;
    for (int32_t k = plan->nloops - 1; k >= 0; k--) {
        int64_t stride = ndbuf__stride_magnitude(plan->loops[k].src_stride);
        if (stride != 0 && (best < 0 || stride < ndbuf__stride_magnitude(plan->loops[best].src_stride))) {
            best = k;
        }
    }
    return best;
}

static int64_t units_of_task(const cpu_plan *plan)
{
    return at_least_1(CPU_PLAN_TASK_NBYTES / plan->unit_nbytes);
}

/* -- the kinds: each takes its row axis out of the loops -- */

static void plan_bytes(cpu_plan *plan)
{
    plan->kind = CPU_PLAN_BYTES;
    plan->row = (cpu_axis){.extent = plan->unit_nbytes, .dst_stride = 1, .src_stride = 1};
    plan->row_piece = CPU_PLAN_TASK_NBYTES;
    plan->unit_nbytes = 1;
}

static void plan_rows(cpu_plan *plan)
{
    plan->kind = CPU_PLAN_ROWS;
    plan->row = ndbuf_cpu__plan_take(plan, plan->nloops - 1);
    plan->row_piece = units_of_task(plan);
}

static void plan_repeat(cpu_plan *plan)
{
    plan->kind = CPU_PLAN_REPEAT;
    plan->row = ndbuf_cpu__plan_take(plan, plan->nloops - 1);
    plan->row_piece = units_of_task(plan);
}

static void plan_strided(cpu_plan *plan, int32_t column)
{
    plan->kind = CPU_PLAN_STRIDED;
    plan->row_fn = ndbuf_cpu__row_fn(plan->unit_nbytes, plan->swap_nbytes);
    plan->row = ndbuf_cpu__plan_take(plan, plan->nloops - 1);
    plan->row_piece = units_of_task(plan);
    if (column >= 0) {
        int64_t edge = TILE_EDGE_NBYTES / plan->unit_nbytes;
        plan->column = ndbuf_cpu__plan_take(plan, column);
        plan->row_piece = plan->column_piece = edge > 8 ? edge : 8;
    }
}

/* Units of a dense destination at even distances in the source. With `group_units` > 1, the last axis is a small dense
 * group of each index of the axis before it. */
static bool plan_gather(cpu_plan *plan, const cpu_kernels *kernels, int64_t group_units)
{
    const cpu_axis *last = &plan->loops[plan->nloops - 1];
    const cpu_axis *row = group_units > 1 ? last - 1 : last;
    plan->group_units = group_units;
    plan->group_stride = group_units > 1 ? last->src_stride : 0;
    plan->row = *row;
    if (kernels->shuffle == NULL || !ndbuf_cpu__shuffle_gather(plan, kernels->shuffle_nbytes, plan->swap_nbytes)) {
        plan->group_units = 1;
        return false;
    }
    plan->kind = CPU_PLAN_GATHER;
    plan->row_fn = ndbuf_cpu__row_fn(plan->unit_nbytes, plan->swap_nbytes);
    plan->nloops -= group_units > 1 ? 2 : 1;
    plan->row_piece = at_least_1(units_of_task(plan) / group_units);
    return true;
}

static bool is_grouped(const cpu_plan *plan)
{
    if (plan->nloops < 2) {
        return false;
    }
    const cpu_axis *last = &plan->loops[plan->nloops - 1];
    const cpu_axis *row = last - 1;
    return last->extent <= 16 && row->dst_stride == last->extent * plan->unit_nbytes && row->src_stride != 0;
}

static bool plan_scatter(cpu_plan *plan, const cpu_kernels *kernels)
{
    const cpu_axis *last = &plan->loops[plan->nloops - 1];
    if (kernels->scatter == NULL || last->src_stride != plan->unit_nbytes ||
        !ndbuf_cpu__shuffle_scatter(plan, kernels->shuffle_nbytes, last->dst_stride)) {
        return false;
    }
    plan->kind = CPU_PLAN_SCATTER;
    plan->row_fn = ndbuf_cpu__row_fn(plan->unit_nbytes, plan->swap_nbytes);
    plan->row = ndbuf_cpu__plan_take(plan, plan->nloops - 1);
    plan->row_piece = units_of_task(plan);
    return true;
}

/* Two to four dense streams of the source become one of the destination (the last axis counts the streams), or the
 * reverse (axis `column` counts them). */
static bool plan_weave(cpu_plan *plan, const cpu_kernels *kernels, int32_t column)
{
    int32_t last = plan->nloops - 1;
    const int64_t unit = plan->unit_nbytes;
    bool to_one = plan->loops[last].extent <= CPU_SHUFFLE_MAX;
    cpu_axis streams = plan->loops[to_one ? last : column];
    cpu_axis row = plan->loops[to_one ? column : last];
    if (kernels->shuffle == NULL || cpu_size_index(unit) < 0 || streams.extent > CPU_SHUFFLE_MAX ||
        row.extent * unit < kernels->shuffle_nbytes ||
        (to_one ? row.dst_stride != streams.extent * unit || row.src_stride != unit
                : row.src_stride != streams.extent * unit || streams.src_stride != unit)) {
        return false;
    }
    plan->kind = CPU_PLAN_WEAVE;
    plan->row_fn = ndbuf_cpu__row_fn(unit, plan->swap_nbytes);
    ndbuf_cpu__plan_take(plan, last);
    ndbuf_cpu__plan_take(plan, column);
    plan->row = row;
    plan->row_piece = units_of_task(plan);
    plan->column = streams;
    plan->column_piece = streams.extent;
    ndbuf_cpu__shuffle_weave(plan, kernels->shuffle_nbytes, &streams, to_one);
    return true;
}

/* Some more streams: each is picked from, or put between, the others by itself, piece by piece, so that all of them
 * find a piece in the first cache. */
static bool plan_channels(cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning, int32_t column)
{
    const int32_t last = plan->nloops - 1;
    const int64_t unit = plan->unit_nbytes;
    const bool to_one = plan->loops[last].extent <= CHANNELS_MAX;
    const cpu_axis channels = plan->loops[to_one ? last : column];
    const cpu_axis row = plan->loops[to_one ? column : last];
    const int size = cpu_size_index(unit);
    const int64_t widest = size >= 0 ? tuning->channels_nbytes : CHANNELS_ODD_NBYTES;
    const cpu_kernels *narrowest = cpu_narrowest_kernels(kernels, size);
    if (kernels->shuffle == NULL || (to_one && kernels->scatter == NULL) || channels.extent > CHANNELS_MAX ||
        channels.extent * unit > widest || row.extent * unit < CHANNELS_ROW_MIN) {
        return false;
    }
    if (!plan->streams && narrowest != NULL) {
        const int64_t side = narrowest->block_side[size];
        const bool is_sparse = to_one && kernels->shuffle_nbytes < CHANNELS_UNITS_MIN * row.dst_stride;
        if (channels.extent == side || (channels.extent > side && is_sparse)) {
            return false; /* blocks of transposes are faster */
        }
    }
    plan->row = row;
    if (to_one ? !ndbuf_cpu__shuffle_scatter(plan, kernels->shuffle_nbytes, row.dst_stride)
               : !ndbuf_cpu__shuffle_gather(plan, kernels->shuffle_nbytes, plan->swap_nbytes)) {
        return false;
    }
    if (plan->streams &&
        (to_one ? unit >= CHANNELS_STREAMED_UNIT : 2 * plan->shuffle.units_per_step * unit < kernels->shuffle_nbytes)) {
        return false;
    }
    plan->kind = to_one ? CPU_PLAN_SCATTER : CPU_PLAN_GATHER;
    plan->streams = false; /* pieces are parts of lines */
    plan->row_fn = ndbuf_cpu__row_fn(unit, plan->swap_nbytes);
    ndbuf_cpu__plan_take(plan, last);
    ndbuf_cpu__plan_take(plan, column);
    plan->row_piece = at_least_1(CHANNELS_PIECE_NBYTES / (channels.extent * unit));
    plan->column = channels;
    plan->column_piece = channels.extent;
    return true;
}

void ndbuf_cpu__plan_loops(cpu_plan *plan, const cpu_box *box)
{
    plan->dst_offset = 0;
    plan->src_offset = 0;
    plan->nloops = box->ndim;
    for (int32_t k = 0; k < box->ndim; k++) {
        plan->loops[k] = (cpu_axis){box->shape[k], box->dst_strides[k], box->src_strides[k]};
    }
}

/* Whether rows that repeat a unit each are long enough not to be turned, nor walked: of a source with gaps. All lines
 * that make a row are the same one, which vectors that are parts of a cache line would bring together again and again.
 */
static bool repeats_rows(const cpu_plan *plan, const cpu_kernels *kernels, int64_t stride)
{
    const cpu_axis *last = &plan->loops[plan->nloops - 1];
    const int64_t unit = plan->unit_nbytes;
    return last->src_stride == 0 && last->dst_stride == unit && stride != unit &&
           last->extent * unit >= (unit == 1 ? REPEATED_BYTES_MIN : REPEATED_ROW_MIN) &&
           (stride >= CPU_LINE_NBYTES || kernels->shuffle_nbytes < CPU_LINE_NBYTES);
}

/* The last axis is not the one along which the source is fastest. */
static void plan_crossed(cpu_plan *plan, const cpu_box *box, const cpu_kernels *kernels,
                         const ndbuf_cpu__tuning *tuning, int32_t column)
{
    int32_t last = plan->nloops - 1;
    int64_t unit = plan->unit_nbytes;
    int64_t stride = ndbuf__stride_magnitude(plan->loops[column].src_stride);
    int size = cpu_size_index(unit);
    bool has_vectors = size >= 0 && kernels->block_side[size] > 1;
    if (has_vectors && repeats_rows(plan, kernels, stride)) {
        plan_repeat(plan);
        return;
    }
    if (plan->loops[last].dst_stride != unit || (stride != unit && (stride >= CPU_LINE_NBYTES || !has_vectors))) {
        plan_strided(plan, column);
        return;
    }
    if (plan->loops[column].src_stride < 0) {
        ndbuf_cpu__plan_turn(plan, &plan->loops[column]);
    }
    if (!plan->converts && stride == unit &&
        (plan_weave(plan, kernels, column) || plan_channels(plan, kernels, tuning, column))) {
        return;
    }
    const bool streams = plan->streams;
    if (!ndbuf_cpu__plan_transpose(plan, kernels, tuning, column)) {
        plan->streams = streams;
        ndbuf_cpu__plan_loops(plan, box);
        plan_strided(plan, column);
    }
}

static void plan_choose(cpu_plan *plan, const cpu_box *box, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning)
{
    const cpu_axis *last = &plan->loops[plan->nloops - 1];
    const int64_t unit = plan->unit_nbytes;
    int32_t column = fastest_src_axis(plan);
    bool crossed =
        column >= 0 && column != plan->nloops - 1 && (last->src_stride != 0 || last->extent * unit < CPU_LINE_NBYTES);
    if (unit >= BYTES_UNIT_MIN) {
        plan_bytes(plan);
    } else if (crossed && unit <= TRANSPOSED_UNIT_MAX) {
        plan_crossed(plan, box, kernels, tuning, column);
    } else if (unit > 16) {
        plan_rows(plan);
    } else if (last->src_stride == 0 && last->dst_stride == unit) {
        plan_repeat(plan);
    } else if (last->dst_stride == unit && last->src_stride != 0 &&
               ((is_grouped(plan) && plan_gather(plan, kernels, last->extent)) || plan_gather(plan, kernels, 1))) {
        return;
    } else if (!plan_scatter(plan, kernels)) {
        plan_strided(plan, -1);
    }
}

/* Whether units are picked by vectors that are parts of a cache line. */
static bool picks_parts(const cpu_plan *plan, const cpu_kernels *kernels)
{
    return plan->kind == CPU_PLAN_GATHER && kernels->shuffle_nbytes < CPU_LINE_NBYTES;
}

/* Whether, where vectors are such parts, units are so few among the lines that are read for them that past the caches
 * it is faster to move them one by one, and to write them as usual. */
static bool is_sparse(const cpu_plan *plan, const cpu_kernels *kernels)
{
    int64_t stride = ndbuf__stride_magnitude(plan->row.src_stride);
    if (plan->column.extent > 1) {
        stride = cpu_smaller(stride, ndbuf__stride_magnitude(plan->column.src_stride));
    }
    return plan->kind == CPU_PLAN_STRIDED && kernels->shuffle_nbytes < CPU_LINE_NBYTES && stride >= CPU_LINE_NBYTES &&
           stride >= SPARSE_UNITS * plan->unit_nbytes;
}

/* Whether the destination takes runs long enough to be written past the caches. */
static bool has_streamed_runs(const cpu_plan *plan, const ndbuf_cpu__tuning *tuning)
{
    if (plan->kind == CPU_PLAN_TRANSPOSE) {
        return plan->streams; /* it has decided by itself */
    }
    if (plan->kind == CPU_PLAN_SCATTER || (plan->kind == CPU_PLAN_STRIDED && plan->column.extent > 1)) {
        return false;
    }
    if (plan->kind == CPU_PLAN_REPEAT) { /* nothing is read, whose place in the caches it would take */
        return plan->row.extent * plan->unit_nbytes >= STREAMED_REPEAT_MIN &&
               plan->nbytes >= tuning->stream_uneven_nbytes;
    }
    /* A woven destination of several streams has one of each of them. */
    int64_t run = plan->unit_nbytes * plan->group_units;
    if (plan->kind == CPU_PLAN_WEAVE && plan->column.dst_stride == run) {
        run *= plan->column.extent;
    }
    if (plan->row.dst_stride == run) {
        run *= plan->row.extent;
        for (int32_t k = plan->nloops - 1; k >= 0 && plan->loops[k].dst_stride == run; k--) {
            run *= plan->loops[k].extent;
        }
    }
    return run >= STREAMED_RUN_MIN;
}

/* Whether all units of the destination are whole cache lines. */
static bool has_whole_lines(const cpu_plan *plan)
{
    int64_t bits = plan->transpose.dst_alignment | plan->unit_nbytes | plan->row.dst_stride;
    for (int32_t k = 0; k < plan->nloops; k++) {
        bits |= plan->loops[k].dst_stride;
    }
    return plan->kind == CPU_PLAN_ROWS && bits % CPU_LINE_NBYTES == 0;
}

/* Whether a plan that is large enough to go past the caches is of a kind that does. */
static bool may_stream(const cpu_plan *plan, const ndbuf_cpu__tuning *tuning)
{
    return plan->streams && (has_whole_lines(plan) || has_streamed_runs(plan, tuning));
}

/* Lets the loops of a streamed copy follow the source, upwards: its bytes come fastest in the order in which they lie,
 * while lines that leave past the caches may go anywhere. */
static void follow_source(cpu_plan *plan)
{
    bool any_row = plan->kind == CPU_PLAN_ROWS && plan->whole_lines;
    if (any_row) { /* all axes are alike */
        plan->loops[plan->nloops++] = plan->row;
    }
    for (int32_t k = 0; k < plan->nloops; k++) {
        if (plan->loops[k].src_stride < 0) {
            ndbuf_cpu__plan_turn(plan, &plan->loops[k]);
        }
        cpu_axis axis = plan->loops[k];
        int32_t place = k;
        for (; place > 0 && plan->loops[place - 1].src_stride < axis.src_stride; place--) {
            plan->loops[place] = plan->loops[place - 1];
        }
        plan->loops[place] = axis;
    }
    if (any_row) {
        plan->row = ndbuf_cpu__plan_take(plan, plan->nloops - 1);
    }
}

/* Whether the source is rows with gaps between them that processors do not see coming by themselves. */
static bool has_gaps(const cpu_plan *plan)
{
    int64_t gap = ndbuf__stride_magnitude(plan->row.src_stride) - plan->unit_nbytes;
    return plan->kind == CPU_PLAN_ROWS && gap > (plan->unit_nbytes < SHORT_ROW_NBYTES ? 0 : FORESEEN_GAP_NBYTES);
}

/* How far ahead to prefetch: whole steps of the source, in the direction in which it is walked. */
static int64_t prefetch_distance(const cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning)
{
    int64_t stride = plan->row.src_stride;
    bool is_uneven = plan->kind == CPU_PLAN_BLOCKS ||
                     (plan->kind == CPU_PLAN_GATHER && plan->shuffle.out_step % kernels->shuffle_nbytes != 0);
    int64_t distance = is_uneven                    ? tuning->gather_prefetch_nbytes
                       : has_gaps(plan)             ? tuning->row_prefetch_nbytes
                       : picks_parts(plan, kernels) ? tuning->step_prefetch_nbytes
                                                    : tuning->stream_prefetch_nbytes;
    if (plan->nbytes < tuning->stream_nbytes || stride == 0 || distance == 0) {
        return 0;
    }
    int64_t steps = distance / ndbuf__stride_magnitude(stride);
    return at_least_1(steps) * stride;
}

/* Short rows go many in one task. */
static void take_rows(cpu_plan *plan)
{
    const bool has_blocks = plan->kind == CPU_PLAN_BLOCKS;
    const bool has_rows = has_blocks || plan->kind == CPU_PLAN_GATHER || plan->kind == CPU_PLAN_SCATTER ||
                          plan->kind == CPU_PLAN_REPEAT || plan->kind == CPU_PLAN_ROWS ||
                          plan->kind == CPU_PLAN_STRIDED;
    const int64_t nbytes = plan->row.extent * (has_blocks ? plan->block_nbytes : plan->group_units * plan->unit_nbytes);
    if (has_rows && plan->column.extent == 1 && plan->nloops > 0 && nbytes <= CPU_PLAN_TASK_NBYTES / 2) {
        plan->column = ndbuf_cpu__plan_take(plan, plan->nloops - 1);
        plan->column_piece = CPU_PLAN_TASK_NBYTES / nbytes;
    }
}

void ndbuf_cpu__plan_make(cpu_plan *out_plan, const cpu_box *box, const cpu_kernels *kernels,
                          const ndbuf_cpu__tuning *tuning)
{
    cpu_plan *plan = out_plan;
    plan->unit_nbytes = box->unit_nbytes;
    plan->swap_nbytes = box->swap_nbytes;
    plan->converts = box->converter != NULL;
    if (plan->converts) {
        plan->converter = *box->converter;
    }
    ndbuf_cpu__plan_loops(plan, box);
    plan->nbytes = box->unit_nbytes;
    for (int32_t k = 0; k < box->ndim; k++) {
        plan->nbytes *= box->shape[k];
    }
    plan->column = (cpu_axis){.extent = 1};
    plan->column_piece = 1;
    plan->group_units = 1;
    plan->group_stride = 0;
    plan->transpose.dst_alignment = (int64_t)((uintptr_t)box->dst % CPU_LINE_NBYTES);
    plan->streams = kernels->stream != NULL && plan->nbytes >= tuning->stream_nbytes;
    if (box->ndim == 0) {
        plan_bytes(plan);
    } else {
        const uint64_t mode = ndbuf__float_mode_begin(); /* speeds are estimates, and want no signals */
        plan_choose(plan, box, kernels, tuning);
        const bool waits_for_lines = plan->streams && is_sparse(plan, kernels);
        plan->streams = plan->streams && !waits_for_lines;
        ndbuf_cpu__plan_pair(plan, box, kernels, tuning, may_stream(plan, tuning));
        if (!plan->converts && !waits_for_lines) {
            ndbuf_cpu__plan_arrange(plan, box, kernels);
        }
        ndbuf__float_mode_end(mode);
    }
    plan->whole_lines = has_whole_lines(plan);
    plan->streams = may_stream(plan, tuning);
    if (plan->streams && plan->kind != CPU_PLAN_TRANSPOSE) {
        follow_source(plan);
    } else if (!plan->streams) {
        take_rows(plan);
    }
    plan->stream_ways = picks_parts(plan, kernels) ? 1 : tuning->stream_ways;
    plan->prefetch_nbytes = prefetch_distance(plan, kernels, tuning);
    if (plan->kind == CPU_PLAN_SCATTER && plan->nbytes >= tuning->stream_nbytes) {
        plan->prefetch_nbytes = tuning->scatter_prefetch_nbytes;
    }
    plan->ntasks = (plan->row.extent + plan->row_piece - 1) / plan->row_piece *
                   ((plan->column.extent + plan->column_piece - 1) / plan->column_piece);
    for (int32_t k = 0; k < plan->nloops; k++) {
        plan->ntasks *= plan->loops[k].extent;
    }
}
