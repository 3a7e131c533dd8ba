/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_backend.h"

#include "core/host_alloc.h"
#include "core/host_worker.h"
#include "core/ref_count.h"

/* The thread behind a queue. Events hold it too, since they may outlive the queue. */
typedef struct cpu_lane {
    ndbuf__ref_count refs;
    ndbuf__host_worker *worker;
    ndbuf__block_pool blocks; /* for events and copies */
} cpu_lane;

typedef struct cpu_queue {
    ndbuf_queue base;
    cpu_lane *lane;
} cpu_queue;

typedef struct cpu_event {
    ndbuf_event base;
    cpu_lane *lane; /* NULL: recorded in the immediate queue, and so complete */
    ndbuf__host_mark mark;
} cpu_event;

/* The immediate queue works in the calling thread, so each thread is told of its own host functions that failed. */
static _Thread_local ndbuf_error immediate_failure;

/* NULL for the immediate queue. */
static cpu_lane *lane_of(ndbuf_queue *queue)
{
    return queue == &ndbuf_cpu__immediate_queue ? NULL : ((cpu_queue *)queue)->lane;
}

static void lane_release(cpu_lane *lane)
{
    if (lane != NULL && ndbuf__ref_release(&lane->refs)) {
        ndbuf__host_worker_destroy(lane->worker);
        ndbuf__block_pool_clear(&lane->blocks);
        ndbuf__free(lane);
    }
}

ndbuf__block_pool *ndbuf_cpu__queue_blocks(ndbuf_queue *queue)
{
    return &((cpu_queue *)queue)->lane->blocks;
}

ndbuf_status ndbuf_cpu__queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err)
{
    if (native != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the host has no native queues to import");
    }
    cpu_queue *queue = ndbuf__calloc(1, sizeof(*queue));
    cpu_lane *lane = ndbuf__calloc(1, sizeof(*lane));
    if (queue == NULL || lane == NULL) {
        ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a host queue");
        goto fail;
    }
    if (ndbuf__host_worker_create(&lane->worker, err) != NDBUF_OK) {
        goto fail;
    }
    ndbuf__ref_init(&lane->refs);
    ndbuf__block_pool_init(&lane->blocks);
    queue->base.device = device;
    queue->lane = lane;
    *out_queue = &queue->base;
    return NDBUF_OK;
fail:
    ndbuf__free(lane);
    ndbuf__free(queue);
    return NDBUF_ERR_NOMEM;
}

void ndbuf_cpu__queue_destroy(ndbuf_queue *queue)
{
    lane_release(lane_of(queue));
    ndbuf__free(queue);
}

ndbuf_status ndbuf_cpu__queue_wait(ndbuf_queue *queue, ndbuf_error *err)
{
    cpu_lane *lane = lane_of(queue);
    if (lane == NULL) {
        ndbuf_status status = (ndbuf_status)immediate_failure.status;
        if (status != NDBUF_OK && err != NULL) {
            *err = immediate_failure;
        }
        immediate_failure.status = NDBUF_OK;
        return status;
    }
    ndbuf__host_worker_wait(lane->worker, ndbuf__host_worker_submitted(lane->worker));
    return ndbuf__host_worker_take_error(lane->worker, err);
}

ndbuf_status ndbuf_cpu__queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    cpu_lane *lane = lane_of(queue);
    if (lane != NULL) {
        return ndbuf__host_worker_submit(lane->worker, fn, context, err);
    }
    ndbuf_error error = {0};
    ndbuf_status status = fn(context, &error);
    if (status != NDBUF_OK && immediate_failure.status == NDBUF_OK) {
        immediate_failure = error;
        immediate_failure.status = (int32_t)status;
    }
    return NDBUF_OK;
}

static ndbuf_status wait_for_event(void *context, ndbuf_error *err)
{
    ndbuf_event *event = context;
    return event->device->ops->event_wait(event, err);
}

ndbuf_status ndbuf_cpu__queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err)
{
    return ndbuf_cpu__queue_host_call(queue, wait_for_event, event, err);
}

ndbuf_status ndbuf_cpu__event_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err)
{
    cpu_lane *lane = lane_of(queue);
    cpu_event *event = ndbuf__block_take(lane != NULL ? &lane->blocks : NULL, sizeof(*event));
    if (event == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a host event");
    }
    *event = (cpu_event){.base = {.device = queue->device}, .lane = lane};
    if (lane != NULL) {
        ndbuf_status status = ndbuf__host_worker_mark(lane->worker, &event->mark, err);
        if (status != NDBUF_OK) {
            ndbuf__block_give(event);
            return status;
        }
        ndbuf__ref_retain(&lane->refs);
    }
    *out_event = &event->base;
    return NDBUF_OK;
}

void ndbuf_cpu__event_destroy(ndbuf_event *event)
{
    cpu_lane *lane = ((cpu_event *)event)->lane;
    ndbuf__host_mark_clear(&((cpu_event *)event)->mark);
    ndbuf__block_give(event);
    lane_release(lane); /* behind the event, which is of its blocks */
}

ndbuf_status ndbuf_cpu__event_wait(ndbuf_event *event, ndbuf_error *err)
{
    const cpu_event *self = (const cpu_event *)event;
    if (self->lane == NULL) {
        return NDBUF_OK;
    }
    ndbuf__host_worker_wait(self->lane->worker, self->mark.job);
    return ndbuf__host_mark_failure(self->lane->worker, &self->mark, err);
}

ndbuf_status ndbuf_cpu__event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err)
{
    (void)err;
    const cpu_event *self = (const cpu_event *)event;
    *out_complete = self->lane == NULL || ndbuf__host_worker_is_done(self->lane->worker, self->mark.job);
    return NDBUF_OK;
}
