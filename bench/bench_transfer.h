/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_BENCH_TRANSFER_H
#define NDBUF_BENCH_BENCH_TRANSFER_H

/* One layout in one direction, and those who compete in copying it. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"

#include "bench/bench_cuda.h"
#include "bench/bench_layouts.h"

typedef struct bench_transfer {
    const bench_cuda *cuda; /* borrowed; NULL: no CUDA runtime to call directly */
    ndbuf_queue *queue;     /* borrowed; with `cuda`, of its stream */
    bool is_dst_strided;    /* the layout is the destination's; else the source's. The other side is packed */
    bench_layout dst_layout;
    bench_layout src_layout;
    bench_runs runs;
    ndbuf_view dst;
    ndbuf_view src;
    ndbuf_view packed;            /* the same items without gaps, beside the side with the layout */
    ndbuf_device *strided_device; /* of that side; borrowed */
    unsigned char *contents;      /* of the source's storage */
    unsigned char *expected;      /* of the destination's */
    unsigned char *result;        /* room for one of the two */
    ndbuf_copy_plan_info plan;
} bench_transfer;

/* Zero-initialised is empty. The transfer must stay where it is. */
ndbuf_status bench_transfer_init(bench_transfer *out_transfer, const bench_layout *layout, bool is_dst_strided,
                                 ndbuf_device *from, ndbuf_device *to, ndbuf_queue *queue, const bench_cuda *cuda,
                                 ndbuf_error *err);
void bench_transfer_clear(bench_transfer *transfer);

/* Who copies. The first two are what is measured, in a queue and by a caller who waits; then the limit, and the peers.
 */
enum {
    BENCH_NDBUF,
    BENCH_NDBUF_WAITING,
    BENCH_CONTIGUOUS,
    BENCH_ONE_CALL,
    BENCH_CALL_PER_RUN,
    BENCH_PACK_COPY,
    BENCH_NCONTESTANTS
};
extern const char *const bench_contestant_names[BENCH_NCONTESTANTS];

/* Whether it takes part in this transfer. max_runs: how many calls per run are bearable. */
bool bench_takes_part(const bench_transfer *transfer, int who, int64_t max_runs);

/* Copies once and waits. out_ns: by the device's clock where `cuda` is there, else the wall clock's. */
ndbuf_status bench_transfer_run(const bench_transfer *transfer, int who, double *out_ns, double *out_wall_ns,
                                ndbuf_error *err);

/* Copies once over other contents and compares all bytes. */
ndbuf_status bench_transfer_verify(const bench_transfer *transfer, int who, ndbuf_error *err);

#endif
