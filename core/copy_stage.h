/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_STAGE_H
#define NDBUF_CORE_COPY_STAGE_H

/* Copies through staging buffers: box after box is fetched from the source's device, repacked by the host and stored to
 * the destination's device, the three steps of successive boxes at the same time, in a ring of buffers. */

#include <stdbool.h>

#include "ndbuf/backend.h"

#include "core/copy_plan.h"

/* How many boxes are under way at once: one more than the two that are worked on, so that neither the host nor the
 * device stands still for a step that takes a little longer than the others. */
#define NDBUF__STAGING_NSLOTS 3

/* Which of two devices, of which at least one is not the host, the staging buffers are taken for: one that has memory
 * of its own for this, else one that is not the host. */
ndbuf_device *ndbuf__staging_owner(ndbuf_device *dst, ndbuf_device *src);

/* Runs a staged copy on the devices' default queues, with the host's part in the calling thread, and waits. Statuses of
 * the backends; NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__stage_run(const ndbuf__staging *staging, const ndbuf__transfer_ends *ends, ndbuf_error *err);

/* A staged copy that was put into queues step by step. */
typedef struct ndbuf__stage_flight ndbuf__stage_flight;

/* Puts a staged copy into `queue`, without waiting: what cannot go there itself goes to helper queues that `queue`
 * waits for. For devices without a host thread (NDBUF_QUEUE_NO_HOST_THREAD). The staging and the ends must outlive the
 * flight. *out_flight is to be ended when the queue has done its work; it is NULL if nothing was put into the queue. It
 * is set on failure, too. */
ndbuf_status ndbuf__stage_enqueue(const ndbuf__staging *staging, const ndbuf__transfer_ends *ends, ndbuf_queue *queue,
                                  ndbuf__stage_flight **out_flight, ndbuf_error *err);

/* Lets go of all that a flight holds. Returns the first failure of its work that `queue` was not told. */
ndbuf_status ndbuf__stage_flight_end(ndbuf__stage_flight *flight, ndbuf_error *err);

#endif
