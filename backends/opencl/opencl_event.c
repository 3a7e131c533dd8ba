/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/opencl/opencl_backend.h"

#include "core/host_alloc.h"

void ndbuf_opencl__failure_release(opencl_failure *failure)
{
    if (failure != NULL && ndbuf__ref_release(&failure->refs)) {
        ndbuf__free(failure);
    }
}

ndbuf_status ndbuf_opencl__failure_tell(opencl_failure *failure, uint64_t number, ndbuf_error *err)
{
    uint64_t failed = atomic_load_explicit(&failure->number, memory_order_acquire);
    if (failed == 0 || failed > number) {
        return NDBUF_OK;
    }
    if (err != NULL) {
        *err = failure->error;
    }
    return (ndbuf_status)failure->error.status;
}

static const opencl_api *api_of(const ndbuf_event *event)
{
    return ((const opencl_device *)event->device)->api;
}

/* With the queue locked: whether a host function is still to be done. */
static bool has_host_work(const opencl_queue *queue)
{
    ndbuf__host_worker *worker = queue->worker;
    return worker != NULL && !ndbuf__host_worker_is_done(worker, ndbuf__host_worker_submitted(worker));
}

/* Always flushed, so that who waits for the event need not know the queue. */
ndbuf_status ndbuf_opencl__event_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err)
{
    opencl_queue *self = (opencl_queue *)queue;
    opencl_device *device = (opencl_device *)queue->device;
    const opencl_api *api = device->api;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    opencl_event *event = ndbuf__block_take(&device->blocks, sizeof(*event));
    if (event == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for an OpenCL event");
    }
    *event = (opencl_event){.base = {.device = queue->device}};
    status = ndbuf_opencl__queue_begin(self, err);
    if (status != NDBUF_OK) {
        ndbuf__block_give(event);
        return status;
    }
    status = OPENCL_STATUS(api->clEnqueueMarkerWithWaitList(queue->native, 0, NULL, &event->handle), err);
    if (status == NDBUF_OK) {
        ndbuf_opencl__queue_flush(self);
        event->base.native = event->handle;
        event->failure = self->failure;
        event->number = self->nissued;
        event->is_behind_host = has_host_work(self);
        ndbuf__ref_retain(&self->failure->refs);
    }
    ndbuf__mutex_unlock(&self->mutex);
    if (status != NDBUF_OK) {
        ndbuf__block_give(event);
        return status;
    }
    *out_event = &event->base;
    return NDBUF_OK;
}

void ndbuf_opencl__event_destroy(ndbuf_event *event)
{
    opencl_event *self = (opencl_event *)event;
    if (!ndbuf_opencl__is_child()) {
        api_of(event)->clReleaseEvent(self->handle);
    }
    ndbuf_opencl__failure_release(self->failure);
    ndbuf__block_give(self);
}

ndbuf_status ndbuf_opencl__event_wait(ndbuf_event *event, ndbuf_error *err)
{
    opencl_event *self = (opencl_event *)event;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    cl_int code = ndbuf_opencl__await(api_of(event), self->handle);
    if (code != CL_SUCCESS) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clWaitForEvents");
    }
    return ndbuf_opencl__failure_tell(self->failure, self->number, err);
}

ndbuf_status ndbuf_opencl__event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err)
{
    const opencl_event *self = (const opencl_event *)event;
    cl_int state = CL_QUEUED;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    OPENCL_TRY(
        api_of(event)->clGetEventInfo(self->handle, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL),
        err);
    *out_complete = state <= CL_COMPLETE; /* negative: failed */
    return NDBUF_OK;
}
