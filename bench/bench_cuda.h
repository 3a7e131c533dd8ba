/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_BENCH_CUDA_H
#define NDBUF_BENCH_BENCH_CUDA_H

/* The CUDA runtime called directly, as peer of ndbuf and as a clock. Opened at run time, without its header. */

#include <stddef.h>

#include "ndbuf/status.h"

typedef struct bench_cuda bench_cuda;

/* Opens the library named by NDBUF_CUDART, else libcudart, and makes a stream and two events on the device.
 *
 * NDBUF_ERR_UNAVAILABLE  no such library, or it lacks a function
 * NDBUF_ERR_DEVICE       a call failed */
ndbuf_status bench_cuda_open(int device, bench_cuda **out_cuda, ndbuf_error *err);
void bench_cuda_close(bench_cuda *cuda); /* NULL is accepted */

void *bench_cuda_stream(const bench_cuda *cuda);

/* Enqueued; of any direction. */
ndbuf_status bench_cuda_copy(const bench_cuda *cuda, void *dst, const void *src, size_t nbytes, ndbuf_error *err);
ndbuf_status bench_cuda_copy_rows(const bench_cuda *cuda, void *dst, size_t dst_pitch, const void *src,
                                  size_t src_pitch, size_t row_nbytes, size_t nrows, ndbuf_error *err);

/* The time between the two, on the device's clock: start and stop are enqueued, and `elapsed` waits. `settle` waits for
 * the start, so that the stream has nothing to do. */
ndbuf_status bench_cuda_start(const bench_cuda *cuda, ndbuf_error *err);
ndbuf_status bench_cuda_settle(const bench_cuda *cuda, ndbuf_error *err);
ndbuf_status bench_cuda_stop(const bench_cuda *cuda, ndbuf_error *err);
ndbuf_status bench_cuda_elapsed(const bench_cuda *cuda, double *out_ns, ndbuf_error *err);

#endif
