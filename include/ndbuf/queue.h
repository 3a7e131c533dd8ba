/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_QUEUE_H
#define NDBUF_QUEUE_H

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A queue runs the work given to it in order, while the caller goes on. Counted and thread-safe. In the child of a
 * fork, queues of the host go on with a thread of their own; what they had not done by then is done by the parent, and
 * the child is told of it as failed. */
typedef struct ndbuf_queue ndbuf_queue;

/* A point in a queue's work. Counted and thread-safe. */
typedef struct ndbuf_event ndbuf_event;

/* A new queue of `device`, with one reference.
 *
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_queue_create(ndbuf_device *device, ndbuf_queue **out_queue, ndbuf_error *err);

/* A queue over the caller's own: a cl_command_queue (in order, of this device's context) or a cudaStream_t. The native
 * queue is retained where its API can do so (OpenCL); otherwise it must outlive the ndbuf_queue.
 *
 * NDBUF_ERR_INVALID      the native queue is of another device or context, or out of order
 * NDBUF_ERR_UNSUPPORTED  the device has no native queues (the host)
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_queue_import(ndbuf_device *device, void *native_queue, ndbuf_queue **out_queue,
                                          ndbuf_error *err);

NDBUF_API void ndbuf_queue_retain(ndbuf_queue *queue);

/* Ends one reference; the last one waits for the work that ndbuf gave to the queue, then lets go of all that this work
 * held. NULL is accepted. */
NDBUF_API void ndbuf_queue_release(ndbuf_queue *queue);

/* Returns when all work given to the queue so far is done, and lets go of what it held. A wait that cannot be has no
 * effect: what is in flight goes on, and is let go of later.
 *
 * NDBUF_ERR_DEVICE       work failed, now or since the last wait; destinations of failed copies are unspecified
 * NDBUF_ERR_UNSUPPORTED  the queue is being captured (CUDA)
 * NDBUF_ERR_INVALID      a queue over cudaStreamPerThread is another thread's (CUDA)
 * Any status of a host step that failed (NDBUF_ERR_NOMEM, ...): each failure is told once. */
NDBUF_API ndbuf_status ndbuf_queue_wait(ndbuf_queue *queue, ndbuf_error *err);

/* An event that is complete when all work given to the queue so far is done; one reference. A failure that ndbuf has
 * waited for on the way, for a copy that the caller makes, is told by all events of the queue until the next
 * ndbuf_queue_wait, which tells it, too.
 *
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_queue_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err);

/* Work given to the queue from now on starts after `event`. Does not block if both are of one backend; otherwise the
 * queue's own host thread, or the caller where it has none (CUDA), waits.
 *
 * NDBUF_ERR_UNSUPPORTED  the queue is being captured (CUDA), and the event is of another backend, or was recorded
 *                        outside of the capture and is not complete
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE
 * The failure that the event tells (see ndbuf_queue_record), where the queue is being captured */
NDBUF_API ndbuf_status ndbuf_queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err);

/* Work given to the queue from now on starts after an event of the driver's own: a cl_event of the queue's context, a
 * cudaEvent_t. Does not block; the event may be destroyed afterwards.
 *
 * NDBUF_ERR_INVALID      native_event is NULL
 * NDBUF_ERR_UNSUPPORTED  the device has no native events (the host)
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err);

/* The device of a queue (borrowed), and its native handle (cl_command_queue, cudaStream_t; NULL: none). */
NDBUF_API ndbuf_device *ndbuf_queue_device(const ndbuf_queue *queue);
NDBUF_API void *ndbuf_queue_native(const ndbuf_queue *queue);

/* The native handle of an event (cl_event, cudaEvent_t), which lives as long as the event; NULL: none. */
NDBUF_API void *ndbuf_event_native(const ndbuf_event *event);

NDBUF_API void ndbuf_event_retain(ndbuf_event *event);
NDBUF_API void ndbuf_event_release(ndbuf_event *event); /* NULL is accepted */

/* Returns when the event is complete.
 *
 * NDBUF_ERR_DEVICE       work before the event failed
 * NDBUF_ERR_UNSUPPORTED  it was recorded while its queue was being captured (CUDA): only queues of that capture can
 *                        wait for it
 * Any status of a host step that failed. */
NDBUF_API ndbuf_status ndbuf_event_wait(ndbuf_event *event, ndbuf_error *err);

/* Whether the event is complete; never blocks. A failed event counts as complete; ndbuf_event_wait tells.
 * Statuses of ndbuf_event_wait, but for that. */
NDBUF_API ndbuf_status ndbuf_event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
