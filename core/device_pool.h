/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_DEVICE_POOL_H
#define NDBUF_CORE_DEVICE_POOL_H

/* What staged copies need again and again, kept by a device until it is closed: staging buffers, since pinned memory is
 * expensive to get, memory of the device to convert in, and queues for what goes on beside a caller's queue.
 * Thread-safe. */

#include "ndbuf/backend.h"

#include "core/sync.h"

/* The largest number of each that is kept: the buffers are those of one copy through the host, or of six small ones. */
#define NDBUF__POOL_NBUFFERS 6
#define NDBUF__POOL_NQUEUES 6

typedef struct ndbuf__pool_shelf {
    int32_t count;
    ndbuf_mem buffers[NDBUF__POOL_NBUFFERS];
} ndbuf__pool_shelf;

typedef struct ndbuf__device_pool {
    ndbuf__mutex mutex; /* guards the rest */
    ndbuf__pool_shelf staging;
    ndbuf__pool_shelf scratch;
    int32_t nqueues;
    ndbuf_queue *queues[NDBUF__POOL_NQUEUES];
} ndbuf__device_pool;

void ndbuf__device_pool_init(ndbuf__device_pool *pool);

/* Frees what is kept: before the device is closed. */
void ndbuf__device_pool_clear(ndbuf__device_pool *pool);

/* The device whose memory serves a device best as staging buffer. */
ndbuf_device *ndbuf__staging_device(const ndbuf_device *device);

/* Host memory of at least `nbytes` bytes that `device` (not the host) exchanges data with fast. Statuses of mem_alloc.
 */
ndbuf_status ndbuf__staging_take(ndbuf_device *device, int64_t nbytes, ndbuf_mem *out_mem, ndbuf_error *err);
void ndbuf__staging_give(ndbuf_device *device, ndbuf_mem *mem);

/* Memory of `device` itself, likewise. */
ndbuf_status ndbuf__scratch_take(ndbuf_device *device, int64_t nbytes, ndbuf_mem *out_mem, ndbuf_error *err);
void ndbuf__scratch_give(ndbuf_mem *mem);

/* An empty queue of `device`, for the caller alone. Whoever gives it back has waited for it. Statuses of queue_create.
 */
ndbuf_status ndbuf__helper_queue_take(ndbuf_device *device, ndbuf_queue **out_queue, ndbuf_error *err);
void ndbuf__helper_queue_give(ndbuf_queue *queue);

#endif
