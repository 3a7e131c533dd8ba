/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backends/cpu/cpu_minmax.h"
#include "backends/cpu/cpu_plan_speed.h"
#include "backends/cpu/cpu_plan_transpose.h"

/* The longest units of which two axes may go together; how many, of both, are worth a task, and how many stay in the
 * first cache together. */
#define PAIRED_UNIT_MAX 128
#define PAIRED_UNITS_MIN 32
#define PAIRED_UNITS_MAX 64

/* How far apart an axis's units are in the source, or, where it repeats one, in the destination. */
static int64_t src_distance(const cpu_box *box, int32_t k)
{
    return ndbuf__stride_magnitude(box->src_strides[k] != 0 ? box->src_strides[k] : box->dst_strides[k]);
}

/* The axis that is walked together with the last one: of those by which there are enough units, the one along which the
 * source is fastest, or, where it is so along the last one, the destination; else the longest. -1: there is no other.
 */
static int32_t find_partner(const cpu_box *box)
{
    const int32_t last = box->ndim - 1;
    bool is_crossed = false;
    for (int32_t k = 0; k < last; k++) {
        is_crossed = is_crossed || src_distance(box, k) < src_distance(box, last);
    }
    int32_t best = last - 1;
    for (int32_t k = last - 2; k >= 0; k--) {
        const bool has_units = box->shape[k] * box->shape[last] >= PAIRED_UNITS_MIN;
        const bool is_faster = is_crossed && src_distance(box, k) < src_distance(box, best);
        if (box->shape[best] * box->shape[last] < PAIRED_UNITS_MIN ? box->shape[k] > box->shape[best]
                                                                   : has_units && is_faster) {
            best = k;
        }
    }
    return best;
}

/* Whether some other axis than these two has several units in each cache line of the source, of which so many would be
 * read before the same one is again that the caches no longer have it. */
static bool returns_to_lines(const cpu_box *box, int32_t partner, const ndbuf_cpu__tuning *tuning)
{
    const int32_t last = box->ndim - 1;
    bool returns = false;
    for (int32_t k = 0; k < last; k++) {
        returns = returns || (k != partner && box->src_strides[k] != 0 &&
                              ndbuf__stride_magnitude(box->src_strides[k]) < CPU_LINE_NBYTES);
    }
    return returns && box->shape[partner] * box->shape[last] * CPU_LINE_NBYTES > tuning->pass_nbytes;
}

/* Walks those axes last, of the loops, along which the source has several units in a cache line, so that it is read
 * once for all of them; rows of the destination have lines of their own. */
static void follow_lines(cpu_plan *plan)
{
    const cpu_axis *row = &plan->row;
    if (row->dst_stride * row->extent < CPU_LINE_NBYTES &&
        plan->column.dst_stride * plan->column.extent < CPU_LINE_NBYTES) {
        return;
    }
    for (int32_t last = plan->nloops - 1; last > 0; last--) { /* the fastest one innermost */
        int64_t least = CPU_LINE_NBYTES;
        int32_t fastest = -1;
        for (int32_t k = last; k >= 0; k--) {
            const int64_t stride = ndbuf__stride_magnitude(plan->loops[k].src_stride);
            if (stride != 0 && stride < least) {
                least = stride;
                fastest = k;
            }
        }
        if (fastest < 0) {
            return;
        }
        const cpu_axis axis = plan->loops[fastest];
        memmove(&plan->loops[fastest], &plan->loops[fastest + 1], (size_t)(last - fastest) * sizeof(axis));
        plan->loops[last] = axis;
    }
}

void ndbuf_cpu__plan_pair(cpu_plan *plan, const cpu_box *box, const cpu_kernels *kernels,
                          const ndbuf_cpu__tuning *tuning, bool streams)
{
    const int32_t last = box->ndim - 1;
    const int32_t partner = find_partner(box);
    if (partner < 0 || plan->unit_nbytes > PAIRED_UNIT_MAX || plan->converts ||
        (streams && (plan->kind == CPU_PLAN_ROWS || plan->kind == CPU_PLAN_TRANSPOSE)) ||
        (plan->kind == CPU_PLAN_STRIDED && returns_to_lines(box, partner, tuning))) {
        return;
    }
    const int64_t shorter = cpu_smaller(box->shape[partner], box->shape[last]);
    const int64_t longer = cpu_larger(box->shape[partner], box->shape[last]);
    const int64_t piece = cpu_smaller(longer, PAIRED_UNITS_MAX / shorter);
    const bool has_rows = plan->kind == CPU_PLAN_ROWS;
    if (shorter >= PAIRED_UNITS_MIN || (box->shape[last] >= PAIRED_UNITS_MIN && plan->kind != CPU_PLAN_TRANSPOSE) ||
        (!has_rows &&
         ndbuf_cpu__walk_speed(plan->unit_nbytes, cpu_larger(piece, shorter), cpu_smaller(piece, shorter)) <
             CPU_LEAST_GAIN * ndbuf_cpu__plan_speed(plan, streams, kernels))) {
        return;
    }
    ndbuf_cpu__plan_loops(plan, box);
    const cpu_axis fast = ndbuf_cpu__plan_take(plan, last);
    const cpu_axis other = ndbuf_cpu__plan_take(plan, partner);
    const bool is_fast_inner = (fast.extent == shorter) == (shorter >= piece);
    plan->kind = has_rows ? CPU_PLAN_ROWS : CPU_PLAN_STRIDED;
    plan->row_fn = ndbuf_cpu__row_fn(plan->unit_nbytes, plan->swap_nbytes);
    plan->row = is_fast_inner ? fast : other;
    plan->column = is_fast_inner ? other : fast;
    plan->row_piece = cpu_larger(piece, shorter);
    plan->column_piece = cpu_smaller(piece, shorter);
    plan->group_units = 1;
    plan->streams = false;
    follow_lines(plan);
}
