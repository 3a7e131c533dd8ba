/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_RUN_TRANSPOSE_H
#define NDBUF_BACKENDS_CPU_CPU_RUN_TRANSPOSE_H

#include "backends/cpu/cpu_plan.h"

/* Room for the staged rows of a tile and for packed lines, and what is known of the rows on their way. */
typedef struct cpu_tile_memory {
    _Alignas(CPU_LINE_NBYTES) char stage[CPU_PLAN_MAX_STAGE_NBYTES];
    _Alignas(CPU_LINE_NBYTES) char packed[CPU_VECTOR_MAX * CPU_LINE_NBYTES];
    int64_t places[CPU_PLAN_MAX_STAGED_ROWS]; /* where a row's next unit is put: of the stage */
    int64_t begins[CPU_PLAN_MAX_STAGED_ROWS]; /* bytes at a staged row's front that are not its own */
    char *lines[CPU_PLAN_MAX_STAGED_ROWS];    /* of the destination: where a staged row goes */
    cpu_pace pace;                            /* the tile that is staged, and will leave beside the next one */
} cpu_tile_memory;

/* Tiles that follow each other along the row axis. */
typedef struct cpu_tile_run {
    char *dst; /* of the first tile's first unit */
    const char *src;
    int64_t nrow;     /* indices of the row axis in all tiles */
    int64_t ncolumn;  /* indices of the column axis */
    int64_t nahead;   /* those up to the end of that axis, ncolumn or more */
    const char *next; /* where the next run's source begins; NULL: there is none */
} cpu_tile_run;

/* Before the first and after the last run. */
void ndbuf_cpu__transpose_begin(cpu_tile_memory *memory);
void ndbuf_cpu__transpose_end(cpu_tile_memory *memory, const cpu_kernels *kernels);

void ndbuf_cpu__transpose_run(const cpu_plan *plan, const cpu_kernels *kernels, cpu_tile_memory *memory,
                              const cpu_tile_run *tiles);

#endif
