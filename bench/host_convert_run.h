/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_HOST_CONVERT_RUN_H
#define NDBUF_BENCH_HOST_CONVERT_RUN_H

/* A converting copy on the host with its buffers, ready to be made in one of the ways that are in C. compare_convert.py
 * loads it as libbench_host_convert_ways.so, so that other libraries convert between the same buffers. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"

/* One side of a copy. */
typedef struct host_convert_side {
    const char *format; /* PEP 3118 */
    int64_t nbytes;     /* of the buffer */
    int64_t offset;     /* bytes, of item 0..0 */
    const int64_t *strides;
} host_convert_side;

typedef struct host_convert_case {
    host_convert_side dst;
    host_convert_side src;
    int32_t ndim;
    int32_t has_plain; /* the source read as the destination's format is a copy of the same layout without conversion */
    const int64_t *shape;
    int64_t memcpy_nbytes; /* what memcpy copies beside it; the buffers are that large, too */
} host_convert_case;

/* memcpy, the copy without conversion by a kept plan, ndbuf_copy_cast, ndbuf_copy_plan_run of a plan made before. */
typedef enum host_convert_way {
    HOST_CONVERT_MEMCPY,
    HOST_CONVERT_PLAIN,
    HOST_CONVERT_COPY,
    HOST_CONVERT_PLAN
} host_convert_way;

typedef struct host_convert_run host_convert_run;

/* Makes the buffers, their contents unspecified, the views and the plans. The caller destroys the run. */
ndbuf_status host_convert_run_create(const host_convert_case *one, host_convert_run **out_run, ndbuf_error *err);
void host_convert_run_destroy(host_convert_run *run);

/* The buffers, aligned as ndbuf aligns what it allocates; the run keeps them. */
void *host_convert_run_dst(const host_convert_run *run);
void *host_convert_run_src(const host_convert_run *run);

/* Copies `count` times; writes the nanoseconds of one. On failure nothing is written.
 *
 * NDBUF_ERR_INVALID  a plain copy of a case without one */
ndbuf_status host_convert_run_time(const host_convert_run *run, host_convert_way way, long count, double *out_ns,
                                   ndbuf_error *err);

#endif
