/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/opencl/opencl_backend.h"

#include <string.h>

#include "core/host_alloc.h"

/* The most ranges of one mapped call. */
#define OPENCL_MAX_RANGES 2

static const opencl_api *api_of(const opencl_queue *queue)
{
    return ((const opencl_device *)queue->base.device)->api;
}

/* Statuses: NDBUF_ERR_INVALID (of another context or device, or out of order), NDBUF_ERR_DEVICE. */
static ndbuf_status check_foreign(const opencl_device *device, cl_command_queue native, ndbuf_error *err)
{
    const opencl_api *api = device->api;
    cl_context context = NULL;
    cl_device_id id = NULL;
    cl_command_queue_properties properties = 0;
    cl_int code = api->clGetCommandQueueInfo(native, CL_QUEUE_CONTEXT, sizeof(context), &context, NULL);
    if (code == CL_INVALID_COMMAND_QUEUE) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_INVALID, code, "not a cl_command_queue");
    }
    if (code != CL_SUCCESS) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clGetCommandQueueInfo");
    }
    OPENCL_TRY(api->clGetCommandQueueInfo(native, CL_QUEUE_DEVICE, sizeof(id), &id, NULL), err);
    OPENCL_TRY(api->clGetCommandQueueInfo(native, CL_QUEUE_PROPERTIES, sizeof(properties), &properties, NULL), err);
    if (context != device->context->handle) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the cl_command_queue is of another context than opencl:%d",
                          (int)device->base.tag.id);
    }
    if (id != device->id) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the cl_command_queue is of another device than opencl:%d",
                          (int)device->base.tag.id);
    }
    if ((properties & CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the cl_command_queue runs its commands out of order");
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_opencl__queue_make(ndbuf_device *device, void *native, bool flushes, ndbuf_queue **out_queue,
                                      ndbuf_error *err)
{
    const opencl_device *owner = (const opencl_device *)device;
    const opencl_api *api = owner->api;
    cl_command_queue handle = native;
    cl_int code = CL_SUCCESS;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status == NDBUF_OK && native != NULL) {
        status = check_foreign(owner, native, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    opencl_queue *queue = ndbuf__calloc(1, sizeof(*queue));
    if (queue == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for an OpenCL queue");
    }
    if (native != NULL) {
        status = OPENCL_STATUS(api->clRetainCommandQueue(handle), err);
    } else {
        status =
            OPENCL_STATUS((handle = api->clCreateCommandQueue(owner->context->handle, owner->id, 0, &code), code), err);
    }
    if (status != NDBUF_OK) {
        ndbuf__free(queue);
        return status;
    }
    queue->base.device = device;
    queue->base.native = handle;
    queue->flushes = flushes;
    ndbuf__mutex_init(&queue->mutex);
    *out_queue = &queue->base;
    return NDBUF_OK;
}

ndbuf_status ndbuf_opencl__queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err)
{
    return ndbuf_opencl__queue_make(device, native, true, out_queue, err);
}

void ndbuf_opencl__queue_destroy(ndbuf_queue *queue)
{
    opencl_queue *self = (opencl_queue *)queue;
    if (!ndbuf_opencl__is_child()) {
        ndbuf__host_worker_destroy(self->worker);
    }
    ndbuf_opencl__queue_forget_works(self);
    if (!ndbuf_opencl__is_child()) {
        api_of(self)->clReleaseCommandQueue(queue->native);
    }
    ndbuf__mutex_clear(&self->mutex);
    ndbuf__free(self);
}

ndbuf_status ndbuf_opencl__queue_wait(ndbuf_queue *queue, ndbuf_error *err)
{
    opencl_queue *self = (opencl_queue *)queue;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    cl_int code = ndbuf_opencl__finish(api_of(self), queue->native);
    if (code != CL_SUCCESS) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clFinish");
    }
    return ndbuf_opencl__queue_take_error(self, err);
}

/* A function that runs on the host between two commands: `reached` is a marker behind the earlier work, and the later
 * work is behind a barrier that waits for the user event `gate`. Memory that it needs is mapped before the marker and
 * unmapped behind the barrier. */
typedef struct opencl_host_job {
    opencl_queue *queue;
    ndbuf_host_fn fn; /* NULL: `mapped_fn` */
    ndbuf_mapped_fn mapped_fn;
    void *context;
    int32_t nranges;
    int32_t nmapped;
    ndbuf_mapped_range ranges[OPENCL_MAX_RANGES]; /* their memory is not looked at once the job has started */
    void *addresses[OPENCL_MAX_RANGES];
    uint64_t number;
    cl_event reached;
    cl_event gate;
} opencl_host_job;

/* The gate opens with success even when the host function failed: drivers do not survive events that fail while others
 * wait for them. A gate that stayed closed would stop the queue for good, so a failure is worth a second try. */
static void open_gate(const opencl_api *api, cl_event gate)
{
    if (api->clSetUserEventStatus(gate, CL_COMPLETE) != CL_SUCCESS) {
        api->clSetUserEventStatus(gate, CL_COMPLETE);
    }
}

/* NULL is accepted; events that are NULL, too. */
static void host_job_destroy(const opencl_api *api, opencl_host_job *job)
{
    if (job == NULL) {
        return;
    }
    if (job->reached != NULL) {
        api->clReleaseEvent(job->reached);
    }
    if (job->gate != NULL) {
        api->clReleaseEvent(job->gate);
    }
    ndbuf__block_give(job);
}

/* In the worker. Failures end in the queue, not in the worker: first those of the earlier work, which its own events
 * tell, then a failed wait, then the function's. */
static ndbuf_status host_job_run(void *context, ndbuf_error *err)
{
    (void)err;
    opencl_host_job *job = context;
    opencl_queue *queue = job->queue;
    const opencl_api *api = api_of(queue);
    ndbuf_error error = {0};
    cl_int code = ndbuf_opencl__await(api, job->reached);
    ndbuf_status status = NDBUF_OK;
    if (job->fn != NULL) {
        status = job->fn(job->context, &error);
    } else {
        job->mapped_fn(job->context, job->addresses);
    }
    if (code != CL_SUCCESS || status != NDBUF_OK) {
        error.status = (int32_t)status;
        ndbuf__mutex_lock(&queue->mutex);
        ndbuf_opencl__queue_reap(queue);
        if (code != CL_SUCCESS) {
            ndbuf_opencl__queue_fail_code(queue, job->number, code, "clWaitForEvents before a host function");
        }
        if (status != NDBUF_OK) {
            ndbuf_opencl__queue_fail(queue, job->number, &error);
        }
        ndbuf__mutex_unlock(&queue->mutex);
    }
    cl_event gate = job->gate;
    job->gate = NULL;
    host_job_destroy(api, job); /* before others see that it is done: its block is there for the next one */
    open_gate(api, gate);
    api->clReleaseEvent(gate);
    return NDBUF_OK;
}

/* Enqueues the mappings. Statuses: NDBUF_ERR_DEVICE. */
static ndbuf_status host_job_map(opencl_host_job *job, ndbuf_error *err)
{
    const opencl_api *api = api_of(job->queue);
    for (; job->nmapped < job->nranges; job->nmapped++) {
        const ndbuf_mapped_range *range = &job->ranges[job->nmapped];
        cl_int code = CL_SUCCESS;
        void *address = NULL;
        OPENCL_TRY((address = api->clEnqueueMapBuffer(job->queue->base.native, range->mem->handle, CL_FALSE,
                                                      ndbuf_opencl__map_flags(range->map_flags), range->offset,
                                                      range->nbytes, 0, NULL, NULL, &code),
                    code),
                   err);
        job->addresses[job->nmapped] = address;
    }
    return NDBUF_OK;
}

/* Enqueues the end of those mappings that there are. A mapping that stayed would hold its buffer for good, so a failure
 * is worth a second try. */
static ndbuf_status host_job_unmap(const opencl_host_job *job, ndbuf_error *err)
{
    const opencl_api *api = api_of(job->queue);
    cl_command_queue native = job->queue->base.native;
    ndbuf_status status = NDBUF_OK;
    for (int32_t i = 0; i < job->nmapped; i++) {
        cl_mem buffer = job->ranges[i].mem->handle;
        ndbuf_status unmapped =
            OPENCL_STATUS(api->clEnqueueUnmapMemObject(native, buffer, job->addresses[i], 0, NULL, NULL),
                          status == NDBUF_OK ? err : NULL);
        if (unmapped != NDBUF_OK) {
            api->clEnqueueUnmapMemObject(native, buffer, job->addresses[i], 0, NULL, NULL);
        }
        status = status == NDBUF_OK ? unmapped : status;
    }
    return status;
}

/* Marker, gate and barrier, then the job. With the queue locked, so that the jobs of two callers reach the worker in
 * the order of their markers. On failure nothing is left behind in the queue but an open barrier. */
static ndbuf_status host_job_start(opencl_queue *queue, opencl_host_job *job, ndbuf_error *err)
{
    const opencl_device *device = (const opencl_device *)queue->base.device;
    const opencl_api *api = device->api;
    cl_command_queue native = queue->base.native;
    cl_int code = CL_SUCCESS;
    if (queue->worker == NULL) {
        ndbuf_status status = ndbuf__host_worker_create(&queue->worker, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    OPENCL_TRY((job->gate = api->clCreateUserEvent(device->context->handle, &code), code), err);
    ndbuf_status status = host_job_map(job, err);
    if (status == NDBUF_OK) {
        status = OPENCL_STATUS(api->clEnqueueMarkerWithWaitList(native, 0, NULL, &job->reached), err);
    }
    if (status == NDBUF_OK) {
        status = OPENCL_STATUS(api->clEnqueueBarrierWithWaitList(native, 1, &job->gate, NULL), err);
    }
    ndbuf_status unmapped = host_job_unmap(job, status == NDBUF_OK ? err : NULL);
    status = status == NDBUF_OK ? unmapped : status;
    if (status == NDBUF_OK) {
        status = OPENCL_STATUS(api->clFlush(native), err);
    }
    job->number = ++queue->nissued;
    if (status == NDBUF_OK) {
        status = ndbuf__host_worker_submit(queue->worker, host_job_run, job, err);
    }
    if (status != NDBUF_OK) {
        open_gate(api, job->gate);
    }
    return status;
}

/* Starts a copy of `model`. */
static ndbuf_status queue_host_job(opencl_queue *queue, const opencl_host_job *model, ndbuf_error *err)
{
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    opencl_host_job *job = ndbuf__block_take(&((opencl_device *)queue->base.device)->blocks, sizeof(*job));
    if (job == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a host function in an OpenCL queue");
    }
    *job = *model;
    status = ndbuf_opencl__queue_begin(queue, err);
    if (status == NDBUF_OK) {
        status = host_job_start(queue, job, err);
        ndbuf__mutex_unlock(&queue->mutex);
    }
    if (status != NDBUF_OK) {
        host_job_destroy(api_of(queue), job);
    }
    return status;
}

ndbuf_status ndbuf_opencl__queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    opencl_queue *self = (opencl_queue *)queue;
    const opencl_host_job job = {.queue = self, .fn = fn, .context = context};
    return queue_host_job(self, &job, err);
}

/* What a command that is a function gets; the driver makes a copy of it and fills in where the buffer begins. */
typedef struct opencl_function_args {
    ndbuf_mapped_fn fn;
    void *context;
    size_t offset;
    void *buffer;
} opencl_function_args;

static void CL_CALLBACK function_run(void *args)
{
    const opencl_function_args *self = args;
    void *address = (char *)self->buffer + self->offset;
    self->fn(self->context, &address);
}

/* Without a mapping: the driver gives the address. */
static ndbuf_status queue_function(opencl_queue *queue, const ndbuf_mapped_range *range, ndbuf_mapped_fn fn,
                                   void *context, ndbuf_error *err)
{
    opencl_function_args args = {.fn = fn, .context = context, .offset = range->offset};
    cl_mem buffer = range->mem->handle;
    const void *place = &args.buffer;
    cl_event done = NULL;
    ndbuf_status status = ndbuf_opencl__queue_begin(queue, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = OPENCL_STATUS(api_of(queue)->clEnqueueNativeKernel(queue->base.native, function_run, &args, sizeof(args),
                                                                1, &buffer, &place, 0, NULL, &done),
                           err);
    ndbuf_opencl__queue_end(queue, done);
    return status;
}

/* As a command of the driver's where that is possible: not with two buffers, whose addresses PoCL mixes up (seen in
 * 3.1: it gives them sorted). */
ndbuf_status ndbuf_opencl__queue_mapped_call(ndbuf_queue *queue, const ndbuf_mapped_range *ranges, int32_t nranges,
                                             ndbuf_mapped_fn fn, void *context, ndbuf_error *err)
{
    opencl_queue *self = (opencl_queue *)queue;
    for (int32_t i = 0; i < nranges; i++) {
        const ndbuf_device *device = ranges[i].mem->device;
        if (!ndbuf_opencl__is_own(device) ||
            ndbuf_opencl__context_of(device) != ndbuf_opencl__context_of(queue->device)) {
            return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "memory of another OpenCL context cannot be mapped here");
        }
        ndbuf_status status = ndbuf_opencl__check_mapping(ranges[i].mem, ranges[i].map_flags, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    if (nranges == 1 && ((const opencl_device *)queue->device)->runs_functions &&
        !ndbuf_opencl__is_part(ranges[0].mem)) {
        return queue_function(self, ranges, fn, context, err);
    }
    opencl_host_job job = {.queue = self, .mapped_fn = fn, .context = context, .nranges = nranges};
    memcpy(job.ranges, ranges, (size_t)nranges * sizeof(ranges[0]));
    return queue_host_job(self, &job, err);
}

static ndbuf_status wait_for_event(void *context, ndbuf_error *err)
{
    ndbuf_event *event = context;
    return event->device->ops->event_wait(event, err);
}

/* Whether a host function before an event may still fail, which the driver will not know of. */
static ndbuf_status get_host_under_way(ndbuf_event *event, bool *out_is_under_way, ndbuf_error *err)
{
    int32_t is_complete = 1;
    ndbuf_status status =
        ((const opencl_event *)event)->is_behind_host ? ndbuf_opencl__event_query(event, &is_complete, err) : NDBUF_OK;
    *out_is_under_way = !is_complete;
    return status;
}

/* A failure before the event is one of this queue, and of events behind the wait: where it is not known yet, the
 * queue's own thread waits for it, as it does for events of others. The default queue's failures are for the thread
 * that waits, and no events. */
ndbuf_status ndbuf_opencl__queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err)
{
    opencl_queue *self = (opencl_queue *)queue;
    bool by_thread = !ndbuf_opencl__is_own(event->device) ||
                     ndbuf_opencl__context_of(event->device) != ndbuf_opencl__context_of(queue->device);
    ndbuf_status status = by_thread || !self->flushes ? NDBUF_OK : get_host_under_way(event, &by_thread, err);
    if (status != NDBUF_OK || by_thread) {
        return status != NDBUF_OK ? status : ndbuf_opencl__queue_host_call(queue, wait_for_event, event, err);
    }
    const opencl_event *awaited = (const opencl_event *)event;
    cl_event done = NULL;
    ndbuf_error error = {0};
    status = ndbuf_opencl__queue_begin(self, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = OPENCL_STATUS(api_of(self)->clEnqueueBarrierWithWaitList(queue->native, 1, &awaited->handle, &done), err);
    if (status == NDBUF_OK) {
        bool has_failed =
            self->flushes && ndbuf_opencl__failure_tell(awaited->failure, awaited->number, &error) != NDBUF_OK;
        ndbuf_opencl__queue_append(self, done, has_failed ? NULL : awaited);
        self->last_wait = self->nissued;
        if (has_failed) {
            ndbuf_opencl__queue_fail(self, self->nissued, &error);
        }
    }
    ndbuf__mutex_unlock(&self->mutex);
    return status;
}

ndbuf_status ndbuf_opencl__queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err)
{
    opencl_queue *self = (opencl_queue *)queue;
    cl_event awaited = native_event;
    cl_event done = NULL;
    ndbuf_status status = ndbuf_opencl__queue_begin(self, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = OPENCL_STATUS(api_of(self)->clEnqueueBarrierWithWaitList(queue->native, 1, &awaited, &done), err);
    if (status == NDBUF_OK) {
        ndbuf_opencl__queue_append(self, done, NULL);
        self->last_wait = self->nissued;
    }
    ndbuf__mutex_unlock(&self->mutex);
    return status;
}
