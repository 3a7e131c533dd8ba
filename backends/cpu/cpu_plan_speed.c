/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan_speed.h"

#include "backends/cpu/cpu_minmax.h"

/* Measured on a Zen 5; tasks, odd units and tiles too narrow for vectors on a Zen 3. */
#define UNIT_CYCLES 1.2         /* of a unit that is copied by itself, */
#define ODD_UNIT_CYCLES 2       /* of one in two moves, */
#define UNIT_NBYTES 32          /* and its bytes in a cycle, at most */
#define STRIDED_ROW_CYCLES 7    /* of a row of such, whatever its length */
#define TASK_CYCLES 30          /* of a task of such rows */
#define STREAMED_ROW_CYCLES 250 /* of a row by a kernel, past the caches */
#define WEAVE_CYCLES 40         /* of streams that are woven */
#define DOUBLED_CYCLES 400      /* of a row that is made of a unit by doubling it */
#define PLANE_CYCLES 60         /* of a plane that is transposed by vectors */
#define ROW_NBYTES 24           /* of a row in a cycle */
#define PLANE_NBYTES 10         /* of a plane */
#define SCALAR_TILE_CYCLES 200  /* of a tile of a plane that is too narrow for vectors, */
#define LINE_CYCLES 3           /* and of each line, or strip of it */
#define FEW_LINES_ROW_CYCLES 9  /* of a row of fewer lines than a block has, however many (on a Xeon) */

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static double unit_cycles(int64_t nbytes)
{
    const bool is_odd = (nbytes & (nbytes - 1)) != 0 && nbytes % 6 != 0; /* most of those have loops of their own */
    return larger(is_odd ? ODD_UNIT_CYCLES : UNIT_CYCLES, (double)nbytes / UNIT_NBYTES);
}

double ndbuf_cpu__walk_speed(int64_t unit_nbytes, int64_t row_units, int64_t nrows)
{
    const double row_cycles = STRIDED_ROW_CYCLES + (double)row_units * unit_cycles(unit_nbytes);
    return (double)(row_units * nrows * unit_nbytes) / (TASK_CYCLES + (double)nrows * row_cycles);
}

/* The least lines and rows that are turned by vectors; 1: there are none. */
static int64_t least_side(int64_t unit_nbytes, const cpu_kernels *kernels)
{
    const int size = cpu_size_index(unit_nbytes);
    const cpu_kernels *narrowest = cpu_narrowest_kernels(kernels, size);
    return narrowest != NULL ? narrowest->block_side[size] : cpu_block_side(kernels, unit_nbytes);
}

static double plane_speed(const cpu_plan *plan, const cpu_kernels *kernels)
{
    const cpu_transpose *transpose = &plan->transpose;
    const int64_t nlines = plan->row.extent * transpose->lines_per_index;
    const int64_t nrows = plan->column.extent * transpose->rows_per_index;
    const double nbytes = (double)nlines * (double)nrows * (double)plan->unit_nbytes;
    const int64_t side = least_side(plan->unit_nbytes, kernels);
    if (plan->streams || (side > 1 && nlines >= side && nrows >= side)) {
        return nbytes / (PLANE_CYCLES + nbytes / PLANE_NBYTES);
    }
    const int64_t ntiles = (plan->row.extent + plan->row_piece - 1) / plan->row_piece *
                           ((plan->column.extent + plan->column_piece - 1) / plan->column_piece);
    if (nlines < side && nrows >= side) {
        return nbytes / (SCALAR_TILE_CYCLES * (double)ntiles + FEW_LINES_ROW_CYCLES * (double)nrows);
    }
    const int64_t strip_rows = cpu_smaller(nrows, transpose->strip_rows);
    const double move_cycles = larger(UNIT_CYCLES, (double)plan->unit_nbytes / PLANE_NBYTES);
    const double line_cycles = LINE_CYCLES + (double)strip_rows * move_cycles;
    const double cycles = line_cycles * (double)nlines * (double)nrows / (double)strip_rows;
    return nbytes / (SCALAR_TILE_CYCLES * (double)ntiles + cycles);
}

double ndbuf_cpu__plan_speed(const cpu_plan *plan, bool streams, const cpu_kernels *kernels)
{
    const double row_cycles = streams ? STREAMED_ROW_CYCLES : CPU_ROW_CYCLES;
    const double unit = (double)plan->unit_nbytes;
    const double row = (double)plan->row.extent * (double)plan->group_units * unit;
    switch (plan->kind) {
    case CPU_PLAN_STRIDED:
        return ndbuf_cpu__walk_speed(plan->unit_nbytes, cpu_smaller(plan->row.extent, plan->row_piece),
                                     cpu_smaller(plan->column.extent, plan->column_piece));
    case CPU_PLAN_GATHER:
    case CPU_PLAN_SCATTER:
        return row / (row_cycles + row / ROW_NBYTES);
    case CPU_PLAN_WEAVE: {
        const double rows = (double)(plan->row.extent * plan->column.extent) * unit;
        return rows / (WEAVE_CYCLES + rows / ROW_NBYTES);
    }
    case CPU_PLAN_REPEAT:
        return row / (cpu_size_index(plan->unit_nbytes) >= 0 ? row_cycles + row / CPU_LINE_NBYTES
                                                             : DOUBLED_CYCLES + row / ROW_NBYTES);
    case CPU_PLAN_TRANSPOSE:
        return plane_speed(plan, kernels);
    default:
        return CPU_LINE_NBYTES;
    }
}
