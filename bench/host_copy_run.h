/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_HOST_COPY_RUN_H
#define NDBUF_BENCH_HOST_COPY_RUN_H

/* A case of bench_host_copy with its buffers, ready to be copied in one of the ways that are in C. The program
 * bench_host_copy links this; compare_host_copy.py loads it as libbench_host_copy_ways.so, so that other libraries copy
 * between the same buffers. */

#include <stdbool.h>
#include <stddef.h>

#include "bench/host_copy_case.h"
#include "ndbuf/ndbuf.h"

/* memcpy of the same bytes, memcpy past the caches, the cache lines of the case read and written in their order,
 * ndbuf_copy, ndbuf_copy_plan_run of a plan made before, and that by one thread where there are several. */
typedef enum host_copy_way {
    HOST_COPY_MEMCPY,
    HOST_COPY_STREAM,
    HOST_COPY_LINES,
    HOST_COPY_COPY,
    HOST_COPY_PLAN,
    HOST_COPY_SINGLE,
    HOST_COPY_NWAYS
} host_copy_way;

extern const char *const host_copy_way_names[HOST_COPY_NWAYS];

typedef struct host_copy_run host_copy_run;

/* Makes the buffers, the source full of random bytes, the views and the plan. The caller destroys the run. */
ndbuf_status host_copy_run_create(const host_copy_case *one, host_copy_run **out_run, ndbuf_error *err);
void host_copy_run_destroy(host_copy_run *run);

/* The case of that name; NULL: there is none. */
const host_copy_case *host_copy_case_named(const char *name);

/* The buffers, aligned as ndbuf aligns what it allocates, and their sizes in bytes; the run keeps them. */
void *host_copy_run_dst(const host_copy_run *run, size_t *out_nbytes);
void *host_copy_run_src(const host_copy_run *run, size_t *out_nbytes);

/* Overwrites the destination, so that nothing of an earlier copy passes for the next one's. */
void host_copy_run_spoil(host_copy_run *run);

/* Whether the destination holds what the case says. */
bool host_copy_run_is_right(const host_copy_run *run);

/* Whether a way can be taken: the lines are for one thread, and for copies that are large beside a call; a single
 * thread is none of its own if all is done by one. */
bool host_copy_run_has(const host_copy_run *run, host_copy_way way);

/* Copies `count` times; writes the nanoseconds of one. On failure nothing is written. */
ndbuf_status host_copy_run_time(const host_copy_run *run, host_copy_way way, long count, double *out_ns,
                                ndbuf_error *err);

/* The same for a function of four arguments with the signature of PyBuffer_ToContiguous, which takes the destination
 * and the source from the caller. False: it did not return 0. */
typedef int (*host_copy_to_contiguous_fn)(void *dst, const void *src, ptrdiff_t nbytes, char order);
bool host_copy_time_to_contiguous(host_copy_to_contiguous_fn fn, void *dst, const void *src, ptrdiff_t nbytes,
                                  long count, double *out_ns);

#endif
