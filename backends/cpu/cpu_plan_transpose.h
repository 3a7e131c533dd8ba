/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_PLAN_TRANSPOSE_H
#define NDBUF_BACKENDS_CPU_CPU_PLAN_TRANSPOSE_H

/* Shared by the files of the planner. */

#include "backends/cpu/cpu_plan.h"

/* Makes the axes of a box the loops. */
void ndbuf_cpu__plan_loops(cpu_plan *plan, const cpu_box *box);

/* Takes axis k out of the loops. */
cpu_axis ndbuf_cpu__plan_take(cpu_plan *plan, int32_t k);

/* Walks an axis from its other end. */
void ndbuf_cpu__plan_turn(cpu_plan *plan, cpu_axis *axis);

/* Makes it a transpose: the last axis is dense in the destination, `column` in the source. Decides whether it goes past
 * the caches. False: units are better moved one by one; axes are out of the loops, or turned, and `streams` is not
 * valid. */
bool ndbuf_cpu__plan_transpose(cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning,
                               int32_t column);

/* Whether a transpose of `nbytes` is large enough to go past the caches, if its rows are worth it. A conversion, which
 * reads a part of each line at a time, moves both sides; other copies as many as they have. */
bool ndbuf_cpu__transpose_streams(int64_t unit_nbytes, int64_t nbytes, int64_t moved_nbytes, const cpu_kernels *kernels,
                                  const ndbuf_cpu__tuning *tuning);

/* Short rows, and planes too narrow for vectors, take so long to begin that two axes are walked together: the shorter
 * one whole, with a piece of the longer one. Makes it such a plan, if that is the faster way to copy the box;
 * `streams`: as it is, it goes past the caches. */
void ndbuf_cpu__plan_pair(cpu_plan *plan, const cpu_box *box, const cpu_kernels *kernels,
                          const ndbuf_cpu__tuning *tuning, bool streams);

#endif
