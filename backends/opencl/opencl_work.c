/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that a queue has in flight, and how they end. */
#include "backends/opencl/opencl_backend.h"

#include "core/host_alloc.h"

/* Room for this many commands in flight at first; a power of two. */
#define OPENCL_FIRST_CAPACITY 32

/* Its address names the thread. */
static _Thread_local char this_thread;

static const opencl_api *api_of(const opencl_queue *queue)
{
    return ((const opencl_device *)queue->base.device)->api;
}

void ndbuf_opencl__queue_fail(opencl_queue *queue, uint64_t number, const ndbuf_error *error)
{
    if (queue->untold.status == NDBUF_OK) {
        queue->untold = *error;
    }
    opencl_failure *failure = queue->failure;
    if (atomic_load_explicit(&failure->number, memory_order_relaxed) == 0) {
        failure->error = *error;
        atomic_store_explicit(&failure->number, number, memory_order_release);
    }
}

void ndbuf_opencl__queue_fail_code(opencl_queue *queue, uint64_t number, cl_int code, const char *what)
{
    ndbuf_error error = {0};
    ndbuf_opencl__fail(&error, NDBUF_ERR_DEVICE, code, what);
    ndbuf_opencl__queue_fail(queue, number, &error);
}

/* The nth of the commands in flight, from 0. With the queue locked. */
static opencl_work *work_at(const opencl_queue *queue, size_t nth)
{
    return &queue->works[(queue->first_work + nth) & (queue->capacity - 1)];
}

/* How a command ended that is done. */
static ndbuf_status work_outcome(const opencl_work *work, ndbuf_error *err)
{
    if (work->state != CL_COMPLETE) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, work->state, "work of the queue failed");
    }
    return work->awaited != NULL ? ndbuf_opencl__failure_tell(work->awaited, work->awaited_number, err) : NDBUF_OK;
}

/* Takes the outcome of a command. False: it is not done, or a thread that is not `caller` (NULL: no wait of any) is to
 * be told of its failure. With the queue locked. */
static bool work_end(opencl_queue *queue, opencl_work *work, const void *caller)
{
    const opencl_api *api = api_of(queue);
    ndbuf_error error = {0};
    if (work->state > CL_COMPLETE) {
        cl_int code =
            api->clGetEventInfo(work->done, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(work->state), &work->state, NULL);
        work->state = code != CL_SUCCESS ? code : work->state;
    }
    if (work->state > CL_COMPLETE) {
        return false;
    }
    if (work_outcome(work, &error) != NDBUF_OK) {
        if (work->issuer != NULL && work->issuer != caller) {
            return false;
        }
        ndbuf_opencl__queue_fail(queue, work->number, &error);
    }
    api->clReleaseEvent(work->done);
    ndbuf_opencl__failure_release(work->awaited);
    work->done = NULL;
    work->awaited = NULL;
    return true;
}

void ndbuf_opencl__queue_reap(opencl_queue *queue)
{
    while (queue->nworks > 0) {
        opencl_work *work = work_at(queue, 0);
        if (work->done != NULL && !work_end(queue, work, NULL)) {
            return;
        }
        queue->first_work = (queue->first_work + 1) & (queue->capacity - 1);
        queue->nworks--;
    }
}

/* Takes the outcomes of the calling thread's own commands, wherever they are among those of others. With the queue
 * locked, and all of it done. */
static void queue_reap_own(opencl_queue *queue)
{
    for (size_t i = 0; i < queue->nworks; i++) {
        opencl_work *work = work_at(queue, i);
        if (work->done != NULL && work->issuer == &this_thread) {
            work_end(queue, work, &this_thread);
        }
    }
}

bool ndbuf_opencl__queue_is_in_flight(opencl_queue *queue, uint64_t number)
{
    ndbuf_opencl__queue_reap(queue);
    return queue->nworks > 0 && work_at(queue, 0)->number <= number;
}

/* Makes room for one more command. With the queue locked. */
static ndbuf_status queue_reserve(opencl_queue *queue, ndbuf_error *err)
{
    if (queue->nworks < queue->capacity) {
        return NDBUF_OK;
    }
    ndbuf_opencl__queue_reap(queue);
    if (queue->nworks < queue->capacity) {
        return NDBUF_OK;
    }
    size_t capacity = queue->capacity == 0 ? OPENCL_FIRST_CAPACITY : queue->capacity * 2;
    opencl_work *works = ndbuf__malloc(capacity * sizeof(*works));
    if (works == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for %zu commands in an OpenCL queue", capacity);
    }
    for (size_t i = 0; i < queue->nworks; i++) {
        works[i] = *work_at(queue, i);
    }
    ndbuf__free(queue->works);
    queue->works = works;
    queue->first_work = 0;
    queue->capacity = capacity;
    return NDBUF_OK;
}

/* A record of failures for the work to come: a new one after a failure that has been told. With the queue locked. */
static ndbuf_status queue_renew_failure(opencl_queue *queue, ndbuf_error *err)
{
    if (queue->failure != NULL && (queue->untold.status != NDBUF_OK ||
                                   atomic_load_explicit(&queue->failure->number, memory_order_relaxed) == 0)) {
        return NDBUF_OK;
    }
    opencl_failure *failure = ndbuf__calloc(1, sizeof(*failure));
    if (failure == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the failures of an OpenCL queue");
    }
    ndbuf__ref_init(&failure->refs);
    atomic_init(&failure->number, 0);
    ndbuf_opencl__failure_release(queue->failure);
    queue->failure = failure;
    return NDBUF_OK;
}

ndbuf_status ndbuf_opencl__queue_begin(opencl_queue *queue, ndbuf_error *err)
{
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf__mutex_lock(&queue->mutex);
    status = queue_reserve(queue, err);
    if (status == NDBUF_OK) {
        status = queue_renew_failure(queue, err);
    }
    if (status != NDBUF_OK) {
        ndbuf__mutex_unlock(&queue->mutex);
    }
    return status;
}

void ndbuf_opencl__queue_append(opencl_queue *queue, cl_event done, const opencl_event *awaited)
{
    opencl_work *work = work_at(queue, queue->nworks);
    *work = (opencl_work){
        .done = done, .state = CL_QUEUED, .issuer = queue->flushes ? NULL : &this_thread, .number = ++queue->nissued};
    if (awaited != NULL) {
        work->awaited = awaited->failure;
        work->awaited_number = awaited->number;
        ndbuf__ref_retain(&work->awaited->refs);
    }
    queue->nworks++;
    if (queue->flushes) {
        ndbuf_opencl__queue_flush(queue);
    }
}

void ndbuf_opencl__queue_end(opencl_queue *queue, cl_event done)
{
    if (done != NULL) {
        ndbuf_opencl__queue_append(queue, done, NULL);
    }
    ndbuf__mutex_unlock(&queue->mutex);
}

void ndbuf_opencl__queue_flush(opencl_queue *queue)
{
    cl_int code = api_of(queue)->clFlush(queue->base.native);
    if (code != CL_SUCCESS) {
        ndbuf_opencl__queue_fail_code(queue, queue->nissued, code, "clFlush");
    }
}

ndbuf_status ndbuf_opencl__queue_take_error(opencl_queue *queue, ndbuf_error *err)
{
    ndbuf__mutex_lock(&queue->mutex);
    queue_reap_own(queue);
    ndbuf_opencl__queue_reap(queue);
    ndbuf_error error = queue->untold;
    queue->untold.status = NDBUF_OK;
    ndbuf__mutex_unlock(&queue->mutex);
    if (error.status != NDBUF_OK && err != NULL) {
        *err = error;
    }
    return (ndbuf_status)error.status;
}

void ndbuf_opencl__queue_forget_works(opencl_queue *queue)
{
    for (size_t i = 0; i < queue->nworks; i++) {
        opencl_work *work = work_at(queue, i);
        if (work->done != NULL && !ndbuf_opencl__is_child()) {
            api_of(queue)->clReleaseEvent(work->done);
        }
        ndbuf_opencl__failure_release(work->awaited);
    }
    ndbuf__free(queue->works);
    ndbuf_opencl__failure_release(queue->failure);
}
