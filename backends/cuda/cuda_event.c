/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include "core/host_alloc.h"

void ndbuf_cuda__failure_release(cuda_failure *failure)
{
    if (failure != NULL && ndbuf__ref_release(&failure->refs)) {
        ndbuf__free(failure);
    }
}

ndbuf_status ndbuf_cuda__failure_tell(const cuda_failure *failure, uint64_t number, ndbuf_error *err)
{
    uint64_t failed = failure != NULL ? atomic_load_explicit(&failure->number, memory_order_acquire) : 0;
    if (failed == 0 || failed > number) {
        return NDBUF_OK;
    }
    if (err != NULL) {
        *err = failure->error;
    }
    return (ndbuf_status)failure->error.status;
}

ndbuf_status ndbuf_cuda__event_tell(const cuda_event *event, ndbuf_error *err)
{
    for (const cuda_cause *cause = event->causes; cause != NULL; cause = cause->next) {
        ndbuf_status status = ndbuf_cuda__failure_tell(cause->failure, event->number, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    return ndbuf_cuda__failure_tell(event->failure, event->number, err);
}

/* Lets go of what the event tells. */
static void forget(cuda_event *event)
{
    while (event->causes != NULL) {
        cuda_cause *cause = event->causes;
        event->causes = cause->next;
        ndbuf_cuda__failure_release(cause->failure);
        ndbuf__block_give(cause);
    }
    ndbuf_cuda__failure_release(event->failure);
    event->failure = NULL;
}

/* With the queue locked. On failure the event holds some of the causes. */
static ndbuf_status add_causes(const cuda_queue *queue, cuda_event *event, ndbuf_error *err)
{
    for (const cuda_wait *wait = queue->waits; wait != NULL; wait = wait->next) {
        if (wait->failure == NULL) {
            continue;
        }
        cuda_cause *cause = ndbuf__block_take(&((cuda_device *)queue->base.device)->blocks, sizeof(*cause));
        if (cause == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the failures that a CUDA event tells");
        }
        *cause = (cuda_cause){.next = event->causes, .failure = wait->failure};
        ndbuf__ref_retain(&cause->failure->refs);
        event->causes = cause;
    }
    return NDBUF_OK;
}

/* An event of CUDA's: one that was used before, or a new one. With the device current. */
static ndbuf_status handle_take(cuda_device *device, cudaEvent_t *out_handle, ndbuf_error *err)
{
    const cuda_api *api = device->place.api;
    cudaEvent_t handle = NULL;
    ndbuf__mutex_lock(&device->mutex);
    if (device->nevents > 0) {
        handle = device->events[--device->nevents];
    }
    ndbuf__mutex_unlock(&device->mutex);
    if (handle == NULL) {
        CUDA_TRY(api->cudaEventCreateWithFlags(&handle, cudaEventDisableTiming), err);
    }
    *out_handle = handle;
    return NDBUF_OK;
}

static void handle_give(cuda_device *device, cudaEvent_t handle)
{
    const cuda_api *api = device->place.api;
    cuda_scope scope;
    ndbuf__mutex_lock(&device->mutex);
    bool is_kept = device->nevents < CUDA_KEPT_EVENTS;
    if (is_kept) {
        device->events[device->nevents++] = handle;
    }
    ndbuf__mutex_unlock(&device->mutex);
    if (!is_kept && ndbuf_cuda__enter_to_undo(&device->place, &scope)) {
        CUDA_UNDO(api->cudaEventDestroy(handle));
        ndbuf_cuda__leave(&scope);
    }
}

/* With the device current. Under the lock of the queue, so that the number is that of the place in the stream. */
static ndbuf_status record(cuda_queue *queue, cuda_event *event, ndbuf_error *err)
{
    const cuda_api *api = ((const cuda_device *)queue->base.device)->place.api;
    ndbuf__mutex_lock(&queue->mutex);
    ndbuf_status status = ndbuf_cuda__get_capturing(&queue->base, &event->is_captured, err);
    if (status == NDBUF_OK) {
        status = add_causes(queue, event, err);
    }
    if (status == NDBUF_OK) {
        status = CUDA_STATUS(api->cudaEventRecord(event->handle, queue->base.native), err);
    }
    if (status == NDBUF_OK) {
        event->number = queue->nissued;
        event->failure = queue->failure;
    }
    if (event->failure != NULL) {
        ndbuf__ref_retain(&event->failure->refs);
    }
    ndbuf__mutex_unlock(&queue->mutex);
    return status;
}

/* Makes an event of a device that has failed for good, so that all that was given to it is over: one that is complete,
 * and tells why. False: no memory. */
static bool record_end(cuda_event *event, const ndbuf_error *why)
{
    cuda_failure *failure = ndbuf__calloc(1, sizeof(*failure));
    if (failure == NULL) {
        return false;
    }
    ndbuf__ref_init(&failure->refs);
    atomic_init(&failure->number, 1);
    atomic_init(&failure->ndone, 1);
    failure->error = *why;
    event->failure = failure;
    event->number = 1;
    return true;
}

/* With the device current. */
static ndbuf_status record_anew(cuda_queue *queue, cuda_event *event, ndbuf_error *err)
{
    cuda_device *device = (cuda_device *)queue->base.device;
    ndbuf_status status = handle_take(device, &event->handle, err);
    if (status == NDBUF_OK) {
        status = record(queue, event, err);
        if (status != NDBUF_OK) {
            handle_give(device, event->handle);
            event->handle = NULL;
            forget(event);
        }
    }
    return status;
}

ndbuf_status ndbuf_cuda__event_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err)
{
    cuda_device *device = (cuda_device *)queue->device;
    cuda_scope scope;
    ndbuf_error why = {0};
    cuda_event *event = ndbuf__block_take(&device->blocks, sizeof(*event));
    if (event == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a CUDA event");
    }
    *event = (cuda_event){.base = {.device = queue->device}};
    ndbuf_status status = ndbuf_cuda__queue_enter(queue, &scope, &why);
    if (status == NDBUF_OK) {
        status = record_anew((cuda_queue *)queue, event, &why);
        ndbuf_cuda__leave(&scope);
    }
    if (status != NDBUF_OK && !(ndbuf_cuda__is_fatal((cudaError_t)why.native_code) && record_end(event, &why))) {
        if (err != NULL) {
            *err = why;
        }
        ndbuf__block_give(event);
        return status;
    }
    event->base.native = event->handle;
    *out_event = &event->base;
    return NDBUF_OK;
}

void ndbuf_cuda__event_destroy(ndbuf_event *event)
{
    cuda_event *self = (cuda_event *)event;
    if (self->handle != NULL) {
        handle_give((cuda_device *)event->device, self->handle);
    }
    forget(self);
    ndbuf__block_give(self);
}

static ndbuf_status refuse_captured(const cuda_event *event, ndbuf_error *err)
{
    return event->is_captured ? ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                                           "an event that was recorded while the CUDA stream was being captured is "
                                           "never complete: only streams of the capture can wait for it")
                              : NDBUF_OK;
}

ndbuf_status ndbuf_cuda__event_wait(ndbuf_event *event, ndbuf_error *err)
{
    const cuda_event *self = (const cuda_event *)event;
    const cuda_place *place = (const cuda_place *)event->device;
    const cuda_api *api = place->api;
    cuda_scope scope;
    ndbuf_status status = refuse_captured(self, err);
    if (status != NDBUF_OK || self->handle == NULL) {
        return status != NDBUF_OK ? status : ndbuf_cuda__event_tell(self, err);
    }
    status = ndbuf_cuda__enter(place, &scope, err);
    if (status != NDBUF_OK && !ndbuf_cuda__enter_to_undo(place, &scope)) {
        return status;
    }
    cudaError_t code = api->cudaEventSynchronize(self->handle);
    if (code != cudaSuccess) {
        status = ndbuf_cuda__fail(api, err, code, "cudaEventSynchronize");
        if (!ndbuf_cuda__is_capture(code)) {
            CUDA_UNDO(api->cudaEventSynchronize(self->handle)); /* waiting means done, even where it fails */
        }
    }
    ndbuf_cuda__leave(&scope);
    return status != NDBUF_OK ? status : ndbuf_cuda__event_tell(self, err);
}

/* What the device did not survive counts as complete: who polls must not wait for ever. */
ndbuf_status ndbuf_cuda__event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err)
{
    const cuda_event *self = (const cuda_event *)event;
    const cuda_place *place = (const cuda_place *)event->device;
    const cuda_api *api = place->api;
    cuda_scope scope;
    ndbuf_error why = {0};
    cudaError_t code = cudaSuccess;
    ndbuf_status status = refuse_captured(self, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (self->handle == NULL) {
        *out_complete = 1;
        return NDBUF_OK;
    }
    status = ndbuf_cuda__enter(place, &scope, &why);
    if (status == NDBUF_OK) {
        code = api->cudaEventQuery(self->handle);
        status = ndbuf_cuda__status(api, code, "cudaEventQuery", &why);
        ndbuf_cuda__leave(&scope);
    }
    if (status == NDBUF_OK || code == cudaErrorNotReady || ndbuf_cuda__is_fatal((cudaError_t)why.native_code)) {
        *out_complete = code != cudaErrorNotReady;
        return NDBUF_OK;
    }
    if (err != NULL) {
        *err = why;
    }
    return status;
}
