/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_COLLECT_H
#define NDBUF_BACKENDS_CPU_CPU_COLLECT_H

/* Streams of items whose bytes come from other streams: what cpu_kernels.collect is to do, step by step. */

#include <stdbool.h>
#include <stdint.h>

#include "backends/cpu/cpu_kernels.h"

#define CPU_COLLECTS 24            /* for all streams together */
#define CPU_COLLECT_MAX_NBYTES 256 /* of an item */

/* Bytes of each item of a stream that come from one place. */
typedef struct cpu_run_source {
    int32_t place; /* in the item */
    int32_t nbytes;
    int32_t stream;
    int32_t at;          /* in the item there */
    int32_t swap_nbytes; /* nbytes: they are reversed; 0: not */
} cpu_run_source;

typedef struct cpu_item_sources {
    int64_t nbytes;
    int32_t nruns;
    cpu_run_source runs[CPU_COLLECT_MAX_NBYTES];
} cpu_item_sources;

void ndbuf_cpu__sources_put(cpu_item_sources *sources, int64_t place, int64_t nbytes, int32_t stream, int64_t at,
                            bool is_reversed);

/* The streams, by their numbers: bytes from item to item. `foreign` is the one behind whose items, of foreign_nbytes
 * each, nothing may be read. */
typedef struct cpu_collect_streams {
    const int64_t *steps;
    int32_t foreign;
    int64_t foreign_nbytes;
} cpu_collect_streams;

typedef struct cpu_collects {
    int32_t count;
    int64_t least; /* items that they take at least */
    cpu_collect list[CPU_COLLECTS];
} cpu_collects;

/* Adds what makes a stream, with at most so many items in a vector. False: there is no room for that. */
bool ndbuf_cpu__collects_add(cpu_collects *collects, cpu_item_sources *sources, int32_t stream, int64_t most,
                             const cpu_collect_streams *streams);

/* Runs collects first .. last - 1 for `count` items, at least as many as they take. goes_on: a vector may be read
 * behind the foreign stream's highest byte. prefetch_nbytes: as the kernel takes it. */
void ndbuf_cpu__collects_run(const cpu_collects *collects, const cpu_kernels *kernels, int32_t first, int32_t last,
                             char *const *streams, int64_t count, bool goes_on, int64_t prefetch_nbytes);

#endif
