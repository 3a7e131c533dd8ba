/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_RUN_TRANSPOSE_H
#define NDBUF_BACKENDS_CPU_CPU_RUN_TRANSPOSE_H

#include "backends/cpu/cpu_plan.h"

/* Room for the staged rows of a tile, and for packed lines. */
#define CPU_RUN_PACKED_NBYTES (CPU_VECTOR_MAX * CPU_LINE_NBYTES)
#define CPU_RUN_STAGE_NBYTES (CPU_PLAN_MAX_STAGE_NBYTES + CPU_RUN_PACKED_NBYTES)

/* Runs one tile of a transpose: nrow and ncolumn indices of the row and the column axis, the first being first_row of
 * the row axis. */
void ndbuf_cpu__transpose_run(const cpu_plan *plan, const cpu_kernels *kernels, char *stage, char *dst, const char *src,
                              int64_t nrow, int64_t ncolumn, int64_t first_row);

/* Copies contiguous bytes past the caches; what is not whole lines of the destination goes as usual. */
void ndbuf_cpu__stream_run(const cpu_kernels *kernels, char *dst, const char *src, int64_t nbytes,
                           int64_t prefetch_nbytes);

#endif
