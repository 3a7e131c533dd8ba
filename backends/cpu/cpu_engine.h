/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_ENGINE_H
#define NDBUF_BACKENDS_CPU_CPU_ENGINE_H

/* Shared by the files of the host engine, from the call of a copy to its kernels:
 *
 *   cpu_engine.c      the way in: what is small goes at once, the rest is planned and divided between threads
 *   cpu_repeat.c      what is repeated, after it was copied once
 *   cpu_host_plan.c   plans that are kept (core/host_plan.h)
 *   cpu_small.c       copies that are done before a plan would be made; all steps of one beforehand (core/host_steps.h)
 *   cpu_plan*.c       which kernel, along which axes, in what pieces; cpu_shuffle.c: its tables
 *   cpu_run*.c        the pieces, one after the other; cpu_writer.h: past the caches in whole lines
 *   cpu_kernels_*.c   the inner loops for each instruction set; cpu_isa.c chooses; cpu_strided.c: in plain C
 *   cpu_convert*.c    numbers that become others: a box in blocks, their rows, and those for each instruction set
 *   cpu_record.c, cpu_collect.c   rows of records, whose bytes are brought to their places by vectors
 *   cpu_rows.c        rows behind pointers (core/host_rows.h)
 *   cpu_pool.c        the threads
 *   cpu_tuning.c      all constants that decide */

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_plan.h"

/* A plan with what it was made for. */
typedef struct cpu_planned_copy {
    cpu_plan plan;
    const cpu_kernels *kernels;
    ndbuf_cpu__tuning tuning;
} cpu_planned_copy;

/* Plans the copy of a box, whose arrays are not read later, and runs it, divided between threads. */
void ndbuf_cpu__plan_copy(cpu_planned_copy *out_planned, const cpu_box *box, const cpu_kernels *kernels);
void ndbuf_cpu__run_copy(const cpu_planned_copy *planned, char *dst, const char *src);

/* Whether a planned copy, with this box, is rather made of what is repeated once, and then repeated (cpu_repeat.h). */
bool ndbuf_cpu__copies_once(const cpu_planned_copy *planned, const cpu_box *box);

/* Copies a box of a few kilobytes with ndim > 0. */
void ndbuf_cpu__copy_small(const cpu_box *box, const cpu_kernels *kernels);

/* Whether that copies unit after unit, by no vectors. */
bool ndbuf_cpu__walks_units(const cpu_box *box, const cpu_kernels *kernels);

#endif
