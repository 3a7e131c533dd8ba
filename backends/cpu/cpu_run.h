/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_RUN_H
#define NDBUF_BACKENDS_CPU_CPU_RUN_H

/* Shared by the files that run plans: cpu_run.c for destinations that are written as usual, cpu_run_stream.c past the
 * caches, cpu_run_transpose.c for tiles. */

#include "backends/cpu/cpu_plan.h"
#include "backends/cpu/cpu_run_transpose.h"
#include "backends/cpu/cpu_writer.h"

/* What one thread has while it runs a plan. */
typedef struct cpu_run {
    const cpu_plan *plan;
    const cpu_kernels *kernels;
    const ndbuf_cpu__tuning *tuning;
    int64_t prefetch_nbytes; /* of a GATHER */
    union {
        cpu_writer writers[CPU_SHUFFLE_MAX];
        cpu_tile_memory tile;
    } memory;
} cpu_run;

/* What one task copies, other than a tile. */
typedef struct cpu_piece {
    char *dst;
    const char *src;
    int64_t count;    /* indices of the row axis */
    int64_t ncolumns; /* indices of the column axis */
    int64_t ahead;    /* indices up to the end of the row, `count` or more, whose source may be read */
} cpu_piece;

/* GATHER; `slack` bytes behind the last unit may be written. */
void ndbuf_cpu__run_gather(const cpu_run *run, const cpu_piece *piece, int64_t slack);

/* WEAVE by the plan's shuffle, or one whose outputs lie elsewhere. */
void ndbuf_cpu__run_weave(const cpu_run *run, const cpu_shuffle *shuffle, const cpu_axis *streams, char *dst,
                          const char *src, int64_t count);

/* The unit that a REPEAT writes: src, or what becomes of it, in `room`. */
#define CPU_REPEAT_MAX_NBYTES 16
const char *ndbuf_cpu__repeated_item(const cpu_plan *plan, const char *src, char *room);

/* One piece past the caches; `twin`, unless NULL, is another one, and is copied beside it. */
void ndbuf_cpu__run_streamed(cpu_run *run, const cpu_piece *piece, const cpu_piece *twin);

/* Before the first and after the last piece. */
void ndbuf_cpu__run_stream_begin(cpu_run *run);
void ndbuf_cpu__run_stream_end(cpu_run *run);

/* Bytes from an address to the next start of a line. */
static inline int64_t cpu_line_rest(const char *address)
{
    return (int64_t)(-(uintptr_t)address % CPU_LINE_NBYTES);
}

#endif
