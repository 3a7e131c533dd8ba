/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue_core.h"

#include <stddef.h>

#include "core/device_core.h"
#include "core/host_alloc.h"
#include "core/sync.h"

/* Between two looks at work that cannot be waited for, and how often in a row they may fail. */
enum { POLL_US = 100, MAX_QUERIES = 100 };

static ndbuf_status queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err)
{
    ndbuf_queue_core *core = ndbuf__calloc(1, sizeof(*core));
    if (core == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a queue's record");
    }
    ndbuf_queue *queue = NULL;
    ndbuf_status status = device->ops->queue_create(device, native, &queue, err);
    if (status != NDBUF_OK) {
        ndbuf__free(core);
        return status;
    }
    ndbuf__ref_init(&core->refs);
    ndbuf__fork_guard_init(&core->guard);
    ndbuf__block_pool_init(&core->blocks);
    core->last = &core->leases;
    queue->core = core;
    ndbuf__device_retain(device);
    *out_queue = queue;
    return NDBUF_OK;
}

ndbuf_status ndbuf_queue_create(ndbuf_device *device, ndbuf_queue **out_queue, ndbuf_error *err)
{
    if (device == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no device for the queue");
    }
    return queue_create(device, NULL, out_queue, err);
}

ndbuf_status ndbuf_queue_import(ndbuf_device *device, void *native_queue, ndbuf_queue **out_queue, ndbuf_error *err)
{
    if (device == NULL || native_queue == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no %s to import", device == NULL ? "device" : "native queue");
    }
    return queue_create(device, native_queue, out_queue, err);
}

void ndbuf_queue_retain(ndbuf_queue *queue)
{
    ndbuf__ref_retain(&queue->core->refs);
}

/* In the child of a fork: leases that were being put into the list, or taken off, may be lost. */
static void core_forget(void *owner)
{
    ndbuf_queue_core *core = owner;
    core->last = &core->leases;
    while (*core->last != NULL) {
        core->last = &(*core->last)->next;
    }
}

static void core_lock(ndbuf_queue_core *core)
{
    ndbuf__fork_guard_lock(&core->guard, core_forget, core);
}

/* Ends all leases of a list. Not with the mutex held: what they let go of may be anything. */
static void leases_end(ndbuf__lease *lease)
{
    while (lease != NULL) {
        ndbuf__lease *next = lease->next;
        if (lease->event != NULL) {
            lease->event->device->ops->event_destroy(lease->event);
        }
        lease->end(lease);
        lease = next;
    }
}

/* Takes all leases off the queue. */
static ndbuf__lease *leases_take(ndbuf_queue_core *core)
{
    core_lock(core);
    ndbuf__lease *leases = core->leases;
    core->leases = NULL;
    core->last = &core->leases;
    ndbuf__fork_guard_unlock(&core->guard);
    return leases;
}

/* Puts leases that were taken before those that the queue has got meanwhile. */
static void leases_give_back(ndbuf_queue_core *core, ndbuf__lease *leases)
{
    ndbuf__lease **end = &leases;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    core_lock(core);
    *end = core->leases;
    if (core->leases == NULL) {
        core->last = end == &leases ? &core->leases : end;
    }
    core->leases = leases;
    ndbuf__fork_guard_unlock(&core->guard);
}

/* Ends the leases whose work is done; never blocks. One without an event is done when a later one is: the queue goes in
 * order. */
static void queue_reap(ndbuf_queue *queue)
{
    ndbuf_queue_core *core = queue->core;
    core_lock(core);
    ndbuf__lease *first = core->leases;
    ndbuf__lease *last_done = NULL;
    for (ndbuf__lease *lease = first; lease != NULL; lease = lease->next) {
        int32_t complete = 0;
        if (lease->event == NULL) {
            continue;
        }
        if (lease->event->device->ops->event_query(lease->event, &complete, NULL) != NDBUF_OK || !complete) {
            break;
        }
        last_done = lease;
    }
    if (last_done != NULL) {
        core->leases = last_done->next;
        if (core->leases == NULL) {
            core->last = &core->leases;
        }
        last_done->next = NULL;
    }
    ndbuf__fork_guard_unlock(&core->guard);
    leases_end(last_done != NULL ? first : NULL);
}

/* A wait that fails may have been refused: then what is done is known from the leases' own events. */
ndbuf_status ndbuf_queue_wait(ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf_queue_core *core = queue->core;
    ndbuf__lease *leases = leases_take(core);
    ndbuf_error error = {0};
    error.status = (int32_t)queue->device->ops->queue_wait(queue, &error);
    if (error.status == NDBUF_OK) {
        leases_end(leases);
    } else {
        leases_give_back(core, leases);
        queue_reap(queue);
    }
    core_lock(core);
    if (core->untold.status != NDBUF_OK) {
        error = core->untold;
        core->untold.status = NDBUF_OK;
    }
    ndbuf__fork_guard_unlock(&core->guard);
    if (error.status != NDBUF_OK && err != NULL) {
        *err = error;
    }
    return (ndbuf_status)error.status;
}

/* Waits for one lease. False: the backend does not say when its work is done. */
static bool lease_await(const ndbuf__lease *lease)
{
    const ndbuf_backend_ops *ops = lease->event->device->ops;
    int ntries = 0;
    ops->event_wait(lease->event, NULL);
    for (;;) {
        int32_t complete = 0;
        if (ops->event_query(lease->event, &complete, NULL) == NDBUF_OK) {
            if (complete) {
                return true;
            }
        } else if (++ntries == MAX_QUERIES) {
            return false;
        }
        ndbuf__thread_sleep_us(POLL_US);
    }
}

/* Ends all leases of a queue that nobody uses any more. What cannot be waited for is never let go of: the device may be
 * using it. */
static void queue_drain(ndbuf_queue *queue)
{
    const ndbuf_backend_ops *ops = queue->device->ops;
    if (ndbuf_queue_wait(queue, NULL) == NDBUF_OK || queue->core->leases == NULL) {
        return;
    }
    ndbuf__lease *leases = leases_take(queue->core);
    if (ops->queue_wait(queue, NULL) == NDBUF_OK) { /* the first wait only had a failure to tell */
        leases_end(leases);
        return;
    }
    ndbuf__lease *begin = leases;
    for (ndbuf__lease *lease = leases; lease != NULL;) {
        ndbuf__lease *next = lease->next;
        if (lease->event != NULL) {
            if (!lease_await(lease)) {
                return;
            }
            lease->next = NULL;
            leases_end(begin);
            begin = next;
        }
        lease = next;
    }
}

void ndbuf_queue_release(ndbuf_queue *queue)
{
    if (queue == NULL || !ndbuf__ref_release(&queue->core->refs)) {
        return;
    }
    queue_drain(queue);
    ndbuf_device *device = queue->device;
    ndbuf_queue_core *core = queue->core;
    device->ops->queue_destroy(queue);
    ndbuf__block_pool_clear(&core->blocks);
    ndbuf__fork_guard_clear(&core->guard);
    ndbuf__free(core);
    ndbuf_device_close(device);
}

void ndbuf__queue_note(ndbuf_queue *queue, const ndbuf_error *error)
{
    ndbuf_queue_core *core = queue->core;
    core_lock(core);
    if (core->untold.status == NDBUF_OK) {
        core->untold = *error;
    }
    ndbuf__fork_guard_unlock(&core->guard);
}

void *ndbuf__lease_take(ndbuf_queue *queue, size_t nbytes, void (*end)(ndbuf__lease *lease))
{
    queue_reap(queue);
    ndbuf__lease *lease = ndbuf__block_take(&queue->core->blocks, nbytes);
    if (lease != NULL) {
        *lease = (ndbuf__lease){.queue = queue, .end = end};
    }
    return lease;
}

ndbuf_status ndbuf__queue_settle(ndbuf_queue *queue, ndbuf_error *err)
{
    const ndbuf_backend_ops *ops = queue->device->ops;
    ndbuf_error error = {0};
    error.status = (int32_t)ops->queue_wait(queue, &error);
    if (error.status == NDBUF_OK) {
        return NDBUF_OK;
    }
    ndbuf_status status = ops->queue_wait(queue, err); /* a failure of the work is told once, a refusal each time */
    if (status == NDBUF_OK || (error.status != NDBUF_ERR_UNSUPPORTED && error.status != NDBUF_ERR_INVALID)) {
        ndbuf__queue_note(queue, &error);
    }
    return status;
}

void ndbuf__lease_begin(ndbuf__lease *lease)
{
    ndbuf_queue *queue = lease->queue;
    ndbuf_queue_core *core = queue->core;
    if (queue->device->ops->event_record(queue, &lease->event, NULL) != NDBUF_OK &&
        ndbuf__queue_settle(queue, NULL) == NDBUF_OK) { /* no event can be had */
        leases_end(lease);
        return;
    }
    core_lock(core);
    *core->last = lease;
    core->last = &lease->next;
    ndbuf__fork_guard_unlock(&core->guard);
}

/* Gives an event a copy of the failure that its queue keeps; a device's default queue keeps none. False: no memory. */
static bool event_take_failure(ndbuf_event_core *event, ndbuf_queue *queue)
{
    ndbuf_queue_core *core = queue->core;
    ndbuf_error error;
    bool has_failed = false;
    event->failure = NULL;
    if (core != NULL) {
        core_lock(core);
        has_failed = core->untold.status != NDBUF_OK;
        if (has_failed) {
            error = core->untold;
        }
        ndbuf__fork_guard_unlock(&core->guard);
    }
    if (!has_failed) {
        return true;
    }
    event->failure = ndbuf__block_take(&queue->device->core->blocks, sizeof(error));
    if (event->failure != NULL) {
        *event->failure = error;
    }
    return event->failure != NULL;
}

ndbuf_status ndbuf__event_tell(const ndbuf_event *event, ndbuf_error *err)
{
    const ndbuf_error *failure = event->core->failure;
    if (failure != NULL && err != NULL) {
        *err = *failure;
    }
    return failure != NULL ? (ndbuf_status)failure->status : NDBUF_OK;
}

ndbuf_status ndbuf_queue_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err)
{
    ndbuf_event_core *core = ndbuf__block_take(&queue->device->core->blocks, sizeof(*core));
    if (core == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for an event's record");
    }
    ndbuf_event *event = NULL;
    ndbuf_status status = queue->device->ops->event_record(queue, &event, err);
    if (status == NDBUF_OK && !event_take_failure(core, queue)) {
        event->device->ops->event_destroy(event);
        status = ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the failure that an event tells");
    }
    if (status != NDBUF_OK) {
        ndbuf__block_give(core);
        return status;
    }
    ndbuf__ref_init(&core->refs);
    event->core = core;
    ndbuf__device_retain(event->device);
    *out_event = event;
    return NDBUF_OK;
}

/* An event that a queue waits for. */
typedef struct event_lease {
    ndbuf__lease base;
    ndbuf_event *event; /* retained */
} event_lease;

static void event_lease_end(ndbuf__lease *lease)
{
    ndbuf_event *event = ((event_lease *)lease)->event;
    ndbuf__block_give(lease);
    ndbuf_event_release(event);
}

ndbuf_status ndbuf_queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err)
{
    const ndbuf_backend_ops *ops = queue->device->ops;
    int32_t is_capturing = 0;
    ndbuf_status status = ops->queue_is_capturing(queue, &is_capturing, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (is_capturing) { /* nothing is held for what is captured */
        status = ndbuf__event_tell(event, err);
        return status != NDBUF_OK ? status : ops->queue_wait_event(queue, event, err);
    }
    event_lease *lease = ndbuf__lease_take(queue, sizeof(*lease), event_lease_end);
    if (lease == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to hold an event in a queue");
    }
    status = ops->queue_wait_event(queue, event, err);
    if (status != NDBUF_OK) {
        ndbuf__block_give(lease);
        return status;
    }
    if (event->core->failure != NULL) {
        ndbuf__queue_note(queue, event->core->failure);
    }
    lease->event = event;
    ndbuf_event_retain(event);
    ndbuf__lease_begin(&lease->base);
    return NDBUF_OK;
}

ndbuf_status ndbuf_queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err)
{
    if (native_event == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no native event to wait for");
    }
    return queue->device->ops->queue_wait_native(queue, native_event, err);
}

ndbuf_device *ndbuf_queue_device(const ndbuf_queue *queue)
{
    return queue->device;
}

void *ndbuf_queue_native(const ndbuf_queue *queue)
{
    return queue->native;
}

void *ndbuf_event_native(const ndbuf_event *event)
{
    return event->native;
}

void ndbuf_event_retain(ndbuf_event *event)
{
    ndbuf__ref_retain(&event->core->refs);
}

void ndbuf_event_release(ndbuf_event *event)
{
    if (event == NULL || !ndbuf__ref_release(&event->core->refs)) {
        return;
    }
    ndbuf_device *device = event->device;
    ndbuf_event_core *core = event->core;
    device->ops->event_destroy(event);
    ndbuf__block_give(core->failure);
    ndbuf__block_give(core);
    ndbuf_device_close(device);
}

ndbuf_status ndbuf_event_wait(ndbuf_event *event, ndbuf_error *err)
{
    ndbuf_status status = event->device->ops->event_wait(event, err);
    return status == NDBUF_OK ? ndbuf__event_tell(event, err) : status;
}

ndbuf_status ndbuf_event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err)
{
    return event->device->ops->event_query(event, out_complete, err);
}
