/* SPDX-License-Identifier: Apache-2.0 */
/* Writes from host memory that earlier work of the queue may still change. */
#include "backends/opencl/opencl_backend.h"

#include <stddef.h>

void ndbuf_opencl__queue_note_read(opencl_queue *queue, const char *host, int64_t nbytes)
{
    if (queue->read_begin == NULL || host < queue->read_begin) {
        queue->read_begin = host;
    }
    if (queue->read_end == NULL || host + nbytes > queue->read_end) {
        queue->read_end = host + nbytes;
    }
    queue->last_read = queue->nissued + 1;
}

/* Whether work up to `number` may be in flight, with no host function behind it. With the queue locked. */
static bool is_unsettled(opencl_queue *queue, uint64_t number)
{
    return number > queue->last_settled && ndbuf_opencl__queue_is_in_flight(queue, number);
}

/* With the queue locked. */
static void forget_reads(opencl_queue *queue)
{
    queue->read_begin = NULL;
    queue->read_end = NULL;
}

static ndbuf_status do_nothing(void *context, ndbuf_error *err)
{
    (void)context, (void)err;
    return NDBUF_OK;
}

/* NVIDIA's driver (580.159) takes up to 64 KiB of pageable memory into the command, as soon as no user event is in its
 * way: a read before it, in the same queue or in one that is waited for, has not come yet. */
ndbuf_status ndbuf_opencl__queue_settle(opencl_queue *queue, const char *host, int64_t nbytes, ndbuf_error *err)
{
    if ((queue->base.device->flags & NDBUF_DEVICE_UNIFIED) != 0) {
        return NDBUF_OK;
    }
    ndbuf__mutex_lock(&queue->mutex);
    bool has_reads = queue->read_begin != NULL && is_unsettled(queue, queue->last_read);
    if (!has_reads) {
        forget_reads(queue);
    }
    bool may_change = is_unsettled(queue, queue->last_wait) ||
                      (has_reads && host < queue->read_end && queue->read_begin < host + nbytes);
    uint64_t number = queue->nissued;
    ndbuf__mutex_unlock(&queue->mutex);
    ndbuf_status status = may_change ? ndbuf_opencl__queue_host_call(&queue->base, do_nothing, NULL, err) : NDBUF_OK;
    if (status == NDBUF_OK && may_change) {
        ndbuf__mutex_lock(&queue->mutex);
        queue->last_settled = number > queue->last_settled ? number : queue->last_settled;
        if (queue->last_read <= queue->last_settled) {
            forget_reads(queue);
        }
        ndbuf__mutex_unlock(&queue->mutex);
    }
    return status;
}
