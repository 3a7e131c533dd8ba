/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan.h"

/* Copies whose inner axes, on both sides, lie within few vectors: nests of short axes, in any order, with or without
 * gaps. Each block of them is one arrangement. What follows are estimates, in cycles, that say where that is faster
 * than a kernel for rows; they were measured on a Zen 5. */
#define UNIT_CYCLES 1.2         /* of a unit that is copied by itself */
#define ROW_CYCLES 20           /* of a row, whatever its length */
#define STREAMED_ROW_CYCLES 250 /* past the caches */
#define DOUBLED_CYCLES 400      /* of a row that is made of a unit by doubling it */
#define PLANE_CYCLES 200        /* of a plane that is transposed */
#define BLOCK_CYCLES 6          /* of a block */
#define ROW_NBYTES 24           /* of a row in a cycle */
#define PLANE_NBYTES 10         /* of a plane */
#define MEMORY_NBYTES 5         /* that memory gives in a cycle: faster kernels gain nothing */
#define LEAST_GAIN 1.25

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

/* Bytes that a plan copies in a cycle, as long as memory gives and takes them. */
static double plan_speed(const cpu_plan *plan)
{
    const double row_cycles = plan->streams ? STREAMED_ROW_CYCLES : ROW_CYCLES;
    const double unit = (double)plan->unit_nbytes;
    const double row = (double)plan->row.extent * (double)plan->group_units * unit;
    switch (plan->kind) {
    case CPU_PLAN_STRIDED:
        return unit / UNIT_CYCLES;
    case CPU_PLAN_GATHER:
    case CPU_PLAN_SCATTER:
        return row / (row_cycles + row / ROW_NBYTES);
    case CPU_PLAN_REPEAT:
        return row / (cpu_size_index(plan->unit_nbytes) >= 0 ? row_cycles + row / CPU_LINE_NBYTES
                                                             : DOUBLED_CYCLES + row / ROW_NBYTES);
    case CPU_PLAN_TRANSPOSE: {
        const double plane = (double)plan->row.extent * (double)plan->transpose.lines_per_index *
                             (double)plan->column.extent * (double)plan->transpose.rows_per_index * unit;
        return plane / (PLANE_CYCLES + plane / PLANE_NBYTES);
    }
    default:
        return CPU_LINE_NBYTES;
    }
}

/* How many indices of an axis fit into a block, of which one spans so many bytes. */
static int64_t fitting(int64_t extent, int64_t stride, int64_t span)
{
    const int64_t magnitude = ndbuf__stride_magnitude(stride);
    const int64_t more = magnitude != 0 ? (NDBUF__ARRANGED_MAX_NBYTES - span) / magnitude : extent;
    return more + 1 < extent ? more + 1 : extent;
}

typedef struct block_choice {
    int32_t axis;   /* along which blocks are counted: those behind it are whole in each */
    int64_t piece;  /* how many of its indices a block has */
    int64_t nunits; /* in a block */
    int64_t dst_span;
    int64_t src_span;
} block_choice;

/* False: there are no axes left to count blocks. */
static bool choose_block(const cpu_box *box, block_choice *out_choice)
{
    block_choice choice = {.nunits = 1, .dst_span = box->unit_nbytes, .src_span = box->unit_nbytes};
    for (int32_t k = box->ndim - 1; k >= 0; k--) {
        const int64_t by_dst = fitting(box->shape[k], box->dst_strides[k], choice.dst_span);
        const int64_t by_src = fitting(box->shape[k], box->src_strides[k], choice.src_span);
        const int64_t piece = by_dst < by_src ? by_dst : by_src;
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

static double block_speed(const block_choice *choice, const cpu_box *box)
{
    const double nblocks = (double)box->shape[choice->axis] / (double)choice->piece; /* in a row */
    const int32_t nin = cpu_arranged_vectors(choice->src_span);
    const int32_t nout = cpu_arranged_vectors(choice->dst_span);
    const double cycles = BLOCK_CYCLES + (double)(nin + nout * (nin > 2 ? 4 : 2)) + ROW_CYCLES / nblocks;
    return (double)(choice->nunits * box->unit_nbytes) / cycles;
}

/* The axes of a block that has `piece` indices of the axis that counts blocks. */
static void block_axes(const cpu_box *box, const block_choice *choice, int64_t piece, ndbuf__copy_axes *out_axes)
{
    ndbuf__copy_axes_init(out_axes, box->unit_nbytes, 0, NULL, NULL, NULL);
    for (int32_t k = choice->axis; k < box->ndim; k++) {
        ndbuf__copy_axes_append(out_axes, k == choice->axis ? piece : box->shape[k], box->dst_strides[k],
                                box->src_strides[k]);
    }
}

void ndbuf_cpu__plan_arrange(cpu_plan *plan, const cpu_box *box, const cpu_kernels *kernels)
{
    block_choice choice;
    if (kernels->arrange_blocks == NULL || box->unit_nbytes > CPU_LINE_NBYTES / 2 || !choose_block(box, &choice)) {
        return;
    }
    const double most = plan->streams ? MEMORY_NBYTES : CPU_LINE_NBYTES;
    const double speed = smaller(plan_speed(plan), most);
    const double by_blocks = smaller(block_speed(&choice, box), most);
    if (by_blocks < LEAST_GAIN * speed) {
        return;
    }
    const int64_t extent = box->shape[choice.axis];
    const int64_t rest = extent % choice.piece;
    ndbuf__copy_axes axes;
    plan->kind = CPU_PLAN_BLOCKS;
    plan->streams = false; /* blocks are parts of lines */
    plan->dst_offset = 0;
    plan->src_offset = 0;
    plan->nloops = choice.axis;
    for (int32_t k = 0; k < plan->nloops; k++) {
        plan->loops[k] = (cpu_axis){box->shape[k], box->dst_strides[k], box->src_strides[k]};
    }
    plan->row = (cpu_axis){.extent = extent / choice.piece + (rest > 0),
                           .dst_stride = choice.piece * box->dst_strides[choice.axis],
                           .src_stride = choice.piece * box->src_strides[choice.axis]};
    plan->column = (cpu_axis){.extent = 1};
    plan->column_piece = 1;
    plan->group_units = 1;
    plan->block_nbytes = choice.nunits * box->unit_nbytes;
    plan->row_piece = CPU_PLAN_TASK_NBYTES / plan->block_nbytes;
    block_axes(box, &choice, choice.piece, &axes);
    ndbuf_cpu__arrange(&plan->block, &axes, box->swap_nbytes);
    plan->has_last_block = rest > 0;
    if (rest > 0) {
        block_axes(box, &choice, rest, &axes);
        ndbuf_cpu__arrange(&plan->last_block, &axes, box->swap_nbytes);
    }
}
