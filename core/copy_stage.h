/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_STAGE_H
#define NDBUF_CORE_COPY_STAGE_H

/* Copies that the host takes part in: strided host copies that follow pointers, and copies through staging buffers.
 * Both run in the calling thread and are done when they return. */

#include "ndbuf/backend.h"

#include "core/copy_plan.h"

/* Moves the bytes between host addresses of item 0..0. */
ndbuf_status ndbuf__host_copy_run(const ndbuf__host_copy *copy, char *dst, const char *src, ndbuf_error *err);

/* Staging buffers on the host: one for each device that takes part. */
typedef struct ndbuf__staging_buffers {
    ndbuf_mem dst; /* packed for the destination's device; nbytes 0: not needed */
    ndbuf_mem src;
} ndbuf__staging_buffers;

/* Allocates what `staging` needs. Statuses: NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__staging_buffers_init(ndbuf__staging_buffers *out_buffers, const ndbuf__staging *staging,
                                         ndbuf_error *err);
void ndbuf__staging_buffers_clear(ndbuf__staging_buffers *buffers); /* a zeroed one is accepted */

/* Runs a staged copy on the devices' default queues and waits. Statuses of the backends. */
ndbuf_status ndbuf__staging_run(const ndbuf__staging *staging, ndbuf__staging_buffers *buffers,
                                const ndbuf__transfer_ends *ends, ndbuf_error *err);

#endif
