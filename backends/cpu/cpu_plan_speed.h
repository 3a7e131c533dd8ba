/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_PLAN_SPEED_H
#define NDBUF_BACKENDS_CPU_CPU_PLAN_SPEED_H

/* Estimates of what plans take, in cycles, by which the planner chooses between them. */

#include "backends/cpu/cpu_plan.h"

#define CPU_ROW_CYCLES 20   /* of a row by a kernel */
#define CPU_LEAST_GAIN 1.25 /* for which another plan is chosen */

/* Bytes that a plan copies in a cycle, past the caches or not, as long as memory gives and takes them. */
double ndbuf_cpu__plan_speed(const cpu_plan *plan, bool streams, const cpu_kernels *kernels);

/* The same of rows of units one by one, so many rows of so many units in each task. */
double ndbuf_cpu__walk_speed(int64_t unit_nbytes, int64_t row_units, int64_t nrows);

#endif
