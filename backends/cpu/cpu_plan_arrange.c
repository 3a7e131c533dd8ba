/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan.h"
#include "backends/cpu/cpu_plan_speed.h"

/* Copies whose inner axes, on both sides, lie within few vectors: nests of short axes, in any order, with or without
 * gaps. Each block of them is one arrangement. What follows are estimates as in cpu_plan_speed.h; what the search takes
 * was measured on a Zen 3. */
#define BLOCK_CYCLES 6           /* of a block */
#define LANE_BLOCK_CYCLES 4      /* of one by lanes, */
#define LANE_VECTOR_CYCLES 1     /* and of each of its vectors, beside 1 for each window */
#define SHARED_BLOCK_CYCLES 2    /* of one whose vectors share their windows, */
#define SHARED_WINDOW_CYCLES 0.3 /* and of each window for each vector */
#define NARROW_NBYTES 4          /* of a narrow plane in a cycle */
#define WALKED_CYCLES 2          /* of a unit of one that is walked */
#define SCATTER_LINE_CYCLES 4    /* of a cache line over which units are spread */
#define MEMORY_NBYTES 5          /* that memory gives in a cycle: faster kernels gain nothing */
#define PLANNED_CYCLES 4000      /* to find out how a block is arranged */

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* How many indices of an axis fit into a block of `most` bytes, of which one spans so many. */
static int64_t fitting(int64_t extent, int64_t stride, int64_t span, int64_t most)
{
    const int64_t magnitude = ndbuf__stride_magnitude(stride);
    const int64_t more = magnitude != 0 ? (most - span) / magnitude : extent;
    return more + 1 < extent ? more + 1 : extent;
}

typedef struct block_choice {
    int32_t axis;   /* along which blocks are counted: those behind it are whole in each */
    int64_t piece;  /* how many of its indices a block has */
    int64_t nunits; /* in a block; 0: there are none */
    int64_t dst_span;
    int64_t src_span; /* at each index of `apart` */
    int32_t apart;    /* an axis each of whose few indices has a vector of its own in the source; -1: there is none */
    double speed;     /* bytes in a cycle */
} block_choice;

/* Of blocks that span so many bytes in the destination, at most, and are dense there or not; the source may be in parts
 * that are apart. False: there are no axes left to count them. */
static bool choose_block(const cpu_box *box, int64_t most, bool is_dense, bool may_part, block_choice *out_choice)
{
    block_choice choice = {.nunits = 1, .dst_span = box->unit_nbytes, .src_span = box->unit_nbytes, .apart = -1};
    int64_t most_read = NDBUF__ARRANGED_MAX_NBYTES;
    for (int32_t k = box->ndim - 1; k >= 0; k--) {
        const bool has_gap = is_dense && box->dst_strides[k] != choice.dst_span;
        const int64_t by_dst = has_gap ? 1 : fitting(box->shape[k], box->dst_strides[k], choice.dst_span, most);
        const int64_t by_src = fitting(box->shape[k], box->src_strides[k], choice.src_span, most_read);
        const int64_t piece = by_dst < by_src ? by_dst : by_src;
        if (may_part && choice.apart < 0 && k > 0 && by_src < box->shape[k] && by_dst == box->shape[k] &&
            box->shape[k] <= NDBUF__ARRANGED_VECTORS && choice.src_span <= NDBUF__ARRANGED_NBYTES) {
            most_read = NDBUF__ARRANGED_NBYTES;
            choice.apart = k;
            choice.nunits *= box->shape[k];
            choice.dst_span += ndbuf__stride_magnitude(box->dst_strides[k]) * (box->shape[k] - 1);
            continue;
        }
        choice.axis = k;
        choice.piece = piece;
        choice.nunits *= piece;
        choice.dst_span += ndbuf__stride_magnitude(box->dst_strides[k]) * (piece - 1);
        choice.src_span += ndbuf__stride_magnitude(box->src_strides[k]) * (piece - 1);
        if (piece < box->shape[k]) {
            *out_choice = choice;
            return true;
        }
    }
    return false;
}

/* With blocks that take so many cycles, where memory gives `most` bytes. */
static double block_speed(const block_choice *choice, const cpu_box *box, double cycles, double most)
{
    const double nblocks = (double)box->shape[choice->axis] / (double)choice->piece; /* in a row */
    return smaller((double)(choice->nunits * box->unit_nbytes) / (cycles + CPU_ROW_CYCLES / nblocks), most);
}

static void arrange(const cpu_box *box, const block_choice *choice, ndbuf__arrangement *out_how)
{
    ndbuf__copy_axes axes;
    ndbuf__copy_axes_init(&axes, box->unit_nbytes, 0, NULL, NULL, NULL);
    for (int32_t k = choice->axis; k < box->ndim; k++) {
        ndbuf__copy_axes_append(&axes, k == choice->axis ? choice->piece : box->shape[k], box->dst_strides[k],
                                k == choice->apart ? NDBUF__ARRANGED_NBYTES : box->src_strides[k]);
    }
    ndbuf_cpu__arrange(out_how, &axes, box->swap_nbytes);
    if (choice->apart >= 0) {
        out_how->in_step = box->src_strides[choice->apart];
    }
}

/* Blocks of whole vectors, whose gaps are left out, if they are faster than the choice so far. */
static void choose_arranged(const cpu_box *box, bool may_part, double most, block_choice *io_choice)
{
    block_choice choice;
    if (!choose_block(box, NDBUF__ARRANGED_MAX_NBYTES, false, may_part, &choice)) {
        return;
    }
    const int32_t nin = choice.apart >= 0 ? (int32_t)box->shape[choice.apart] : cpu_arranged_vectors(choice.src_span);
    const int32_t nout = cpu_arranged_vectors(choice.dst_span);
    choice.speed = block_speed(&choice, box, BLOCK_CYCLES + (double)(nin + nout * (nin > 2 ? 4 : 2)), most);
    if (choice.speed > io_choice->speed) {
        *io_choice = choice;
    }
}

/* What a block by lanes takes, at best without `block`. */
static double lane_cycles(const block_choice *choice, int32_t vector_nbytes, const cpu_lane_block *block)
{
    const int64_t nvectors = (choice->dst_span + vector_nbytes - 1) / vector_nbytes;
    const double nout = (double)nvectors;
    const double nin = block != NULL ? (double)block->nin : 1;
    const bool is_shared = block != NULL ? block->is_shared : choice->dst_span <= CPU_SHARED_NBYTES;
    return is_shared ? SHARED_BLOCK_CYCLES + SHARED_WINDOW_CYCLES * nout * nin
                     : LANE_BLOCK_CYCLES + nout * (LANE_VECTOR_CYCLES + nin);
}

/* Blocks without gaps of at most so many bytes, by lanes, if they are faster than the choice so far; also of narrower
 * kernels, where blocks are short. */
static void try_lanes(cpu_plan *plan, const cpu_box *box, const cpu_kernels *kernels, int64_t most_nbytes, double most,
                      block_choice *io_choice)
{
    block_choice choice;
    if (!choose_block(box, most_nbytes, true, false, &choice)) {
        return;
    }
    while (kernels != NULL && (kernels->lane_blocks == NULL || kernels->lanes_nbytes > choice.dst_span)) {
        kernels = kernels->narrower;
    }
    if (kernels == NULL ||
        block_speed(&choice, box, lane_cycles(&choice, kernels->lanes_nbytes, NULL), most) < io_choice->speed) {
        return;
    }
    ndbuf__arrangement how;
    cpu_lane_block block;
    arrange(box, &choice, &how);
    if (!ndbuf_cpu__arrange_lanes(&block, &how, choice.dst_span, choice.src_span, kernels->lanes_nbytes)) {
        return;
    }
    choice.speed = block_speed(&choice, box, lane_cycles(&choice, kernels->lanes_nbytes, &block), most);
    if (choice.speed >= io_choice->speed) {
        plan->lane_blocks = kernels->lane_blocks;
        plan->block.lanes = block;
        *io_choice = choice;
    }
}

/* Whether a plane has fewer lines, or rows, than the widest blocks, or by lanes so few that blocks overlap. */
static bool is_narrow(const cpu_plan *plan, const cpu_kernels *kernels)
{
    const int size = cpu_size_index(plan->unit_nbytes);
    const int64_t side = kernels->arrange_blocks != NULL ? kernels->block_side[size] : 2 * kernels->block_side[size];
    return plan->row.extent * plan->transpose.lines_per_index < side ||
           plan->column.extent * plan->transpose.rows_per_index < side;
}

/* Bytes of a plan in a cycle, as far as blocks may be faster: those of whole vectors as measured on a Xeon, and narrow
 * planes against lanes on a Zen 3. */
static double speed_without_blocks(const cpu_plan *plan, const cpu_kernels *kernels)
{
    const double speed = ndbuf_cpu__plan_speed(plan, plan->streams, kernels);
    if (plan->kind == CPU_PLAN_TRANSPOSE && cpu_size_index(plan->unit_nbytes) >= 0 && is_narrow(plan, kernels)) {
        return smaller(speed, NARROW_NBYTES);
    }
    if (kernels->arrange_blocks == NULL) {
        return speed;
    }
    if (plan->kind == CPU_PLAN_SCATTER) {
        const double line_units = (double)CPU_LINE_NBYTES / (double)ndbuf__stride_magnitude(plan->row.dst_stride);
        return smaller(speed, line_units * (double)(plan->group_units * plan->unit_nbytes) / SCATTER_LINE_CYCLES);
    }
    if (plan->kind == CPU_PLAN_STRIDED && plan->column.extent > 1) {
        return smaller(speed, larger(NARROW_NBYTES, (double)plan->unit_nbytes / WALKED_CYCLES));
    }
    return speed;
}

void ndbuf_cpu__plan_arrange(cpu_plan *plan, const cpu_box *box, const cpu_kernels *kernels)
{
    const double most = plan->streams ? MEMORY_NBYTES : CPU_LINE_NBYTES;
    const double speed = smaller(speed_without_blocks(plan, kernels), most);
    const double nbytes = (double)plan->nbytes * (double)(box->nruns > 0 ? box->nruns : 1);
    const double cycles = nbytes / speed - PLANNED_CYCLES; /* that are left, not to be slower */
    if (box->unit_nbytes > CPU_LINE_NBYTES / 2 || cycles <= 0) {
        return;
    }
    block_choice choice = {.speed = larger(CPU_LEAST_GAIN * speed, nbytes / cycles)};
    if (kernels->arrange_blocks != NULL) {
        choose_arranged(box, false, most, &choice);
        choose_arranged(box, true, most, &choice);
        plan->lane_blocks = NULL;
        if (choice.nunits != 0) {
            arrange(box, &choice, &plan->block.arrangement);
        }
    } else {
        try_lanes(plan, box, kernels, CPU_SHARED_NBYTES, most, &choice);
        try_lanes(plan, box, kernels, CPU_LANE_BLOCK_NBYTES, most, &choice);
    }
    if (choice.nunits == 0) {
        return;
    }
    const int64_t extent = box->shape[choice.axis];
    const int64_t dst_stride = box->dst_strides[choice.axis];
    const int64_t src_stride = box->src_strides[choice.axis];
    const int64_t rest = extent % choice.piece;
    plan->kind = CPU_PLAN_BLOCKS;
    plan->streams = false; /* blocks are parts of lines */
    plan->dst_offset = 0;
    plan->src_offset = 0;
    plan->nloops = choice.axis;
    for (int32_t k = 0; k < plan->nloops; k++) {
        plan->loops[k] = (cpu_axis){box->shape[k], box->dst_strides[k], box->src_strides[k]};
    }
    plan->row = (cpu_axis){.extent = extent / choice.piece,
                           .dst_stride = choice.piece * dst_stride,
                           .src_stride = choice.piece * src_stride};
    plan->last_dst_back = rest > 0 ? (choice.piece - rest) * dst_stride : 0;
    plan->last_src_back = rest > 0 ? (choice.piece - rest) * src_stride : 0;
    plan->column = (cpu_axis){.extent = 1};
    plan->column_piece = 1;
    plan->group_units = 1;
    plan->block_nbytes = choice.nunits * box->unit_nbytes;
    plan->row_piece = CPU_PLAN_TASK_NBYTES / plan->block_nbytes;
}
