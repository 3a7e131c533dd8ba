/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include <string.h>
#include <time.h>

#include "core/host_alloc.h"

/* Between two looks at a host function that is running. */
#define CUDA_POLL_NS 100000

enum { CUDA_JOB_PENDING, CUDA_JOB_RUNNING, CUDA_JOB_DONE, CUDA_JOB_ABANDONED };

/* A host function in a stream. Freed by a later call with the queue, never by the driver's thread that ran it. */
struct cuda_job {
    cuda_job *next;
    ndbuf_host_fn fn;
    void *context;
    cuda_failure *failure; /* of the queue, retained */
    uint64_t number;
    _Atomic(int) state;
    cuda_failure *awaited; /* of another queue, retained: what the function passes on. NULL: it is the caller's own */
    uint64_t awaited_number;
};

/* Jobs that a device which failed for good never ran, and might still look at. */
static ndbuf__mutex abandoned_mutex = NDBUF__MUTEX_INIT;
static cuda_job *abandoned_jobs;

static const cuda_place *place_of(const ndbuf_queue *queue)
{
    return (const cuda_place *)queue->device;
}

static bool is_per_thread(const ndbuf_queue *queue)
{
    return queue->native == (void *)cudaStreamPerThread;
}

ndbuf_status ndbuf_cuda__queue_enter(const ndbuf_queue *queue, cuda_scope *out_scope, ndbuf_error *err)
{
    if (is_per_thread(queue) && !pthread_equal(((const cuda_queue *)queue)->thread, pthread_self())) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID,
                          "a queue over cudaStreamPerThread is for the thread that imported it: in another one that "
                          "handle means another stream");
    }
    return ndbuf_cuda__enter(place_of(queue), out_scope, err);
}

/* -- failures -- */

/* With the queue locked: the record for the work to come. */
static ndbuf_status need_failure(cuda_queue *queue, ndbuf_error *err)
{
    if (queue->failure != NULL) {
        return NDBUF_OK;
    }
    cuda_failure *failure = ndbuf__calloc(1, sizeof(*failure));
    if (failure == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the failures of a CUDA queue");
    }
    ndbuf__ref_init(&failure->refs);
    atomic_init(&failure->number, 0);
    atomic_init(&failure->ndone, 0);
    queue->failure = failure;
    return NDBUF_OK;
}

static void failure_set(cuda_failure *failure, uint64_t number, const ndbuf_error *error)
{
    if (atomic_load_explicit(&failure->number, memory_order_relaxed) == 0) {
        failure->error = *error;
        atomic_store_explicit(&failure->number, number, memory_order_release);
    }
}

/* -- host functions -- */

static void CUDART_CB job_run(void *data)
{
    cuda_job *job = data;
    int pending = CUDA_JOB_PENDING;
    if (!atomic_compare_exchange_strong(&job->state, &pending, CUDA_JOB_RUNNING)) {
        return;
    }
    ndbuf_error error = {0};
    ndbuf_status status = job->awaited != NULL ? ndbuf_cuda__failure_tell(job->awaited, job->awaited_number, &error)
                                               : job->fn(job->context, &error);
    if (status != NDBUF_OK) {
        error.status = (int32_t)status;
        failure_set(job->failure, job->number, &error);
    }
    atomic_store_explicit(&job->failure->ndone, job->number, memory_order_release);
    atomic_store(&job->state, CUDA_JOB_DONE);
}

static void job_free(cuda_job *job)
{
    ndbuf_cuda__failure_release(job->failure);
    ndbuf_cuda__failure_release(job->awaited);
    ndbuf__block_give(job);
}

/* A job that waits for nothing; NULL: no memory. */
static cuda_job *job_take(cuda_queue *queue, ndbuf_host_fn fn, void *context)
{
    cuda_job *job = ndbuf__block_take(&((cuda_device *)queue->base.device)->blocks, sizeof(*job));
    if (job != NULL) {
        *job = (cuda_job){.fn = fn, .context = context};
        atomic_init(&job->state, CUDA_JOB_PENDING);
    }
    return job;
}

/* With the queue locked: frees the jobs that are done. */
static void queue_reap(cuda_queue *queue)
{
    cuda_job *job = queue->first_job;
    while (job != NULL && atomic_load(&job->state) == CUDA_JOB_DONE) {
        cuda_job *next = job->next;
        job_free(job);
        job = next;
    }
    queue->first_job = job;
    if (job == NULL) {
        queue->last_job = NULL;
    }
}

/* Gives up jobs that a wait has not ended. */
static void jobs_abandon(cuda_job *job)
{
    const struct timespec pause = {.tv_nsec = CUDA_POLL_NS};
    while (job != NULL) {
        cuda_job *next = job->next;
        int state = CUDA_JOB_PENDING;
        while (!atomic_compare_exchange_strong(&job->state, &state, CUDA_JOB_ABANDONED) && state != CUDA_JOB_DONE) {
            nanosleep(&pause, NULL);
            state = CUDA_JOB_PENDING;
        }
        if (state == CUDA_JOB_DONE) {
            job_free(job);
        } else {
            ndbuf__mutex_lock(&abandoned_mutex);
            job->next = abandoned_jobs;
            abandoned_jobs = job;
            ndbuf__mutex_unlock(&abandoned_mutex);
        }
        job = next;
    }
}

/* Puts a job behind the work of the stream, and takes it over; not on failure. With the device current. */
static ndbuf_status job_launch(cuda_queue *queue, cuda_job *job, ndbuf_error *err)
{
    const cuda_api *api = place_of(&queue->base)->api;
    ndbuf__mutex_lock(&queue->mutex);
    queue_reap(queue);
    ndbuf_status status = need_failure(queue, err);
    if (status == NDBUF_OK) {
        job->failure = queue->failure;
        ndbuf__ref_retain(&job->failure->refs);
        job->number = queue->nissued + 1;
        status = CUDA_STATUS(api->cudaLaunchHostFunc(queue->base.native, job_run, job), err);
    }
    if (status == NDBUF_OK) {
        queue->nissued++;
        if (queue->last_job != NULL) {
            queue->last_job->next = job;
        } else {
            queue->first_job = job;
        }
        queue->last_job = job;
    }
    ndbuf__mutex_unlock(&queue->mutex);
    return status;
}

ndbuf_status ndbuf_cuda__get_capturing(const ndbuf_queue *queue, bool *out_is_capturing, ndbuf_error *err)
{
    const cuda_api *api = place_of(queue)->api;
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    CUDA_TRY(api->cudaStreamIsCapturing(queue->native, &capture), err);
    *out_is_capturing = capture != cudaStreamCaptureStatusNone;
    return NDBUF_OK;
}

ndbuf_status ndbuf_cuda__refuse_capturing(const ndbuf_queue *queue, const char *what, ndbuf_error *err)
{
    bool is_capturing = false;
    ndbuf_status status = ndbuf_cuda__get_capturing(queue, &is_capturing, err);
    if (status == NDBUF_OK && is_capturing) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "%s is not possible while the CUDA stream is being captured",
                          what);
    }
    return status;
}

ndbuf_status ndbuf_cuda__queue_is_capturing(ndbuf_queue *queue, int32_t *out_is_capturing, ndbuf_error *err)
{
    cuda_scope scope;
    bool is_capturing = false;
    ndbuf_status status = ndbuf_cuda__queue_enter(queue, &scope, err);
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__get_capturing(queue, &is_capturing, err);
        ndbuf_cuda__leave(&scope);
    }
    if (status == NDBUF_OK) {
        *out_is_capturing = is_capturing;
    }
    return status;
}

ndbuf_status ndbuf_cuda__queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    cuda_scope scope;
    cuda_job *job = job_take((cuda_queue *)queue, fn, context);
    if (job == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a host function in a CUDA queue");
    }
    ndbuf_status status = ndbuf_cuda__queue_enter(queue, &scope, err);
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__refuse_capturing(queue, "a step of the host", err);
        if (status == NDBUF_OK) {
            status = job_launch((cuda_queue *)queue, job, err);
        }
        ndbuf_cuda__leave(&scope);
    }
    if (status != NDBUF_OK) {
        job_free(job);
    }
    return status;
}

/* -- waiting -- */

/* Keeps a failure that was found by the calling thread. */
static ndbuf_status queue_fail(cuda_queue *queue, const ndbuf_error *error, ndbuf_error *err)
{
    ndbuf__mutex_lock(&queue->mutex);
    ndbuf_status status = need_failure(queue, err);
    if (status == NDBUF_OK) {
        failure_set(queue->failure, ++queue->nissued, error);
    }
    ndbuf__mutex_unlock(&queue->mutex);
    return status;
}

/* Sees to it that a failure among the first `number` works of a record reaches those who wait for this queue. NULL:
 * none can fail. With the device current. */
static ndbuf_status pass_on_failure(cuda_queue *queue, cuda_failure *awaited, uint64_t number, ndbuf_error *err)
{
    bool is_capturing = false;
    ndbuf_error error = {0};
    if (awaited == NULL) {
        return NDBUF_OK;
    }
    bool is_done = atomic_load_explicit(&awaited->ndone, memory_order_acquire) >= number;
    if (ndbuf_cuda__failure_tell(awaited, number, &error) != NDBUF_OK) {
        return queue_fail(queue, &error, err);
    }
    ndbuf_status status = is_done ? NDBUF_OK : ndbuf_cuda__get_capturing(&queue->base, &is_capturing, err);
    if (is_done || is_capturing || status != NDBUF_OK) { /* nothing of ours may run when a graph is replayed */
        return status;
    }
    cuda_job *job = job_take(queue, NULL, NULL);
    if (job == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to wait for an event in a CUDA queue");
    }
    job->awaited = awaited;
    job->awaited_number = number;
    ndbuf__ref_retain(&awaited->refs);
    status = job_launch(queue, job, err);
    if (status != NDBUF_OK) {
        job_free(job);
    }
    return status;
}

/* The same for all that the event tells. */
static ndbuf_status pass_on(cuda_queue *queue, const cuda_event *event, ndbuf_error *err)
{
    for (const cuda_cause *cause = event->causes; cause != NULL; cause = cause->next) {
        ndbuf_status status = pass_on_failure(queue, cause->failure, event->number, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    return pass_on_failure(queue, event->failure, event->number, err);
}

/* No thread stands behind a stream: the caller waits. What failed before the event is told by the queue. */
static ndbuf_status wait_foreign(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err)
{
    cuda_scope scope;
    ndbuf_error error = {0};
    ndbuf_status status = ndbuf_cuda__queue_enter(queue, &scope, err);
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__refuse_capturing(queue, "waiting for an event of another backend", err);
        ndbuf_cuda__leave(&scope);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    status = event->device->ops->event_wait(event, &error);
    error.status = (int32_t)status;
    return status == NDBUF_OK ? NDBUF_OK : queue_fail((cuda_queue *)queue, &error, err);
}

/* In a capture: an event from outside of it must be over already. With the device current. */
static ndbuf_status check_captured_wait(const ndbuf_queue *queue, const cuda_event *event, bool *out_is_over,
                                        ndbuf_error *err)
{
    const cuda_api *api = place_of(queue)->api;
    bool is_capturing = false;
    *out_is_over = false;
    ndbuf_status status = event->is_captured ? NDBUF_OK : ndbuf_cuda__get_capturing(queue, &is_capturing, err);
    if (status != NDBUF_OK || !is_capturing) {
        return status;
    }
    cudaError_t code = api->cudaEventQuery(event->handle);
    if (code == cudaErrorNotReady) {
        api->cudaGetLastError();
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                          "waiting for an event that was recorded outside of the capture, and is not complete, is not "
                          "possible while the CUDA stream is being captured");
    }
    *out_is_over = code == cudaSuccess;
    return code == cudaSuccess ? ndbuf_cuda__event_tell(event, err)
                               : ndbuf_cuda__fail(api, err, code, "cudaEventQuery");
}

ndbuf_status ndbuf_cuda__queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err)
{
    const cuda_api *api = place_of(queue)->api;
    const cuda_event *awaited = (const cuda_event *)event;
    cuda_scope scope;
    if (!ndbuf_cuda__is_own(event->device)) {
        return wait_foreign(queue, event, err);
    }
    ndbuf_status status = ndbuf_cuda__queue_enter(queue, &scope, err);
    if (status != NDBUF_OK) {
        return status;
    }
    bool is_over = awaited->handle == NULL;
    status = is_over ? ndbuf_cuda__event_tell(awaited, err) : check_captured_wait(queue, awaited, &is_over, err);
    if (status == NDBUF_OK && !is_over) {
        status = CUDA_STATUS(api->cudaStreamWaitEvent(queue->native, awaited->handle, 0), err);
    }
    if (status == NDBUF_OK && !is_over) {
        status = pass_on((cuda_queue *)queue, awaited, err);
    }
    ndbuf_cuda__leave(&scope);
    return status;
}

ndbuf_status ndbuf_cuda__queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err)
{
    const cuda_api *api = place_of(queue)->api;
    cuda_scope scope;
    ndbuf_status status = ndbuf_cuda__queue_enter(queue, &scope, err);
    if (status == NDBUF_OK) {
        status = CUDA_STATUS(api->cudaStreamWaitEvent(queue->native, native_event, 0), err);
        ndbuf_cuda__leave(&scope);
    }
    return status;
}

/* A wait is refused for the sake of a capture alone: else it means done. With the device current. */
static ndbuf_status synchronise(ndbuf_queue *queue, ndbuf_error *err)
{
    const cuda_api *api = place_of(queue)->api;
    ndbuf_error why = {0};
    ndbuf_status status = ndbuf_cuda__refuse_capturing(queue, "waiting", &why);
    if (status != NDBUF_OK && err != NULL) {
        *err = why;
    }
    if (status == NDBUF_ERR_UNSUPPORTED &&
        (why.native_code == 0 || ndbuf_cuda__is_capture((cudaError_t)why.native_code))) {
        return status;
    }
    cudaError_t code = api->cudaStreamSynchronize(queue->native);
    if (code != cudaSuccess) {
        status = ndbuf_cuda__status(api, code, "cudaStreamSynchronize", err);
        CUDA_UNDO(api->cudaStreamSynchronize(queue->native)); /* waiting means done, even where it fails */
    }
    return status;
}

/* Takes the failures of the work so far off the queue, for a wait to tell. */
static void wait_begin(cuda_queue *queue, cuda_wait *wait)
{
    ndbuf__mutex_lock(&queue->mutex);
    *wait = (cuda_wait){.next = queue->waits, .failure = queue->failure};
    queue->waits = wait;
    queue->failure = NULL;
    ndbuf__mutex_unlock(&queue->mutex);
}

static void wait_end(cuda_queue *queue, cuda_wait *wait, bool was_told)
{
    cuda_failure *failure = wait->failure;
    ndbuf__mutex_lock(&queue->mutex);
    cuda_wait **link = &queue->waits;
    while (*link != wait) {
        link = &(*link)->next;
    }
    *link = wait->next;
    queue_reap(queue);
    if (!was_told && queue->failure == NULL) {
        queue->failure = failure; /* nothing failed, or it is still to be told */
        failure = NULL;
    }
    ndbuf__mutex_unlock(&queue->mutex);
    ndbuf_cuda__failure_release(failure);
}

ndbuf_status ndbuf_cuda__queue_wait(ndbuf_queue *queue, ndbuf_error *err)
{
    cuda_queue *self = (cuda_queue *)queue;
    cuda_scope scope;
    cuda_wait wait;
    ndbuf_status status = ndbuf_cuda__queue_enter(queue, &scope, err);
    if (status != NDBUF_OK && (status == NDBUF_ERR_INVALID || !ndbuf_cuda__enter_to_undo(place_of(queue), &scope))) {
        return status;
    }
    /* Work that others give to the queue meanwhile has a record of its own: this one is told here, and by events. */
    wait_begin(self, &wait);
    ndbuf_status wait_status = synchronise(queue, err);
    status = wait_status != NDBUF_OK ? wait_status : status;
    ndbuf_cuda__leave(&scope);
    bool was_told = false;
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__failure_tell(wait.failure, UINT64_MAX, err);
        was_told = status != NDBUF_OK;
    }
    wait_end(self, &wait, was_told);
    return status;
}

/* -- making -- */

/* With the device current. Statuses: NDBUF_ERR_INVALID (not a stream, or of another device), NDBUF_ERR_DEVICE. */
static ndbuf_status check_foreign(const cuda_place *place, cudaStream_t stream, ndbuf_error *err)
{
    const cuda_api *api = place->api;
    int ordinal = -1;
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusNone;
    cudaError_t code = api->cudaStreamIsCapturing(stream, &capture);
    if (code == cudaErrorStreamCaptureImplicit) { /* the default stream, beside a capture */
        api->cudaGetLastError();
        return NDBUF_OK;
    }
    if (code == cudaSuccess && capture != cudaStreamCaptureStatusNone) {
        return NDBUF_OK; /* asked for its device, CUDA would give the capture up */
    }
    if (code == cudaSuccess) {
        code = api->cudaStreamGetDevice(stream, &ordinal);
    }
    if (code == cudaErrorInvalidResourceHandle || code == cudaErrorInvalidValue ||
        code == cudaErrorContextIsDestroyed) {
        return ndbuf_cuda__fail_as(api, err, NDBUF_ERR_INVALID, code, "not a cudaStream_t");
    }
    if (code != cudaSuccess) {
        return ndbuf_cuda__fail(api, err, code, "cudaStreamGetDevice");
    }
    if (ordinal != place->ordinal) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the cudaStream_t is of CUDA device %d, not %d", ordinal,
                          place->ordinal);
    }
    return NDBUF_OK;
}

static ndbuf_status open_stream(const cuda_place *place, cuda_queue *queue, void *native, ndbuf_error *err)
{
    const cuda_api *api = place->api;
    cudaStream_t stream = native;
    if (native != NULL) {
        ndbuf_status status = check_foreign(place, stream, err);
        if (status != NDBUF_OK) {
            return status;
        }
    } else {
        CUDA_TRY(api->cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), err);
        queue->owns_stream = true;
    }
    queue->base.native = stream;
    return NDBUF_OK;
}

ndbuf_status ndbuf_cuda__queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err)
{
    const cuda_place *place = (const cuda_place *)device;
    cuda_scope scope;
    cuda_queue *queue = ndbuf__calloc(1, sizeof(*queue));
    if (queue == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a CUDA queue");
    }
    ndbuf_status status = ndbuf_cuda__enter(place, &scope, err);
    if (status == NDBUF_OK) {
        status = open_stream(place, queue, native, err);
        ndbuf_cuda__leave(&scope);
    }
    if (status != NDBUF_OK) {
        ndbuf__free(queue);
        return status;
    }
    queue->base.device = device;
    queue->thread = pthread_self();
    ndbuf__mutex_init(&queue->mutex);
    *out_queue = &queue->base;
    return NDBUF_OK;
}

void ndbuf_cuda__queue_destroy(ndbuf_queue *queue)
{
    cuda_queue *self = (cuda_queue *)queue;
    const cuda_api *api = place_of(queue)->api;
    cuda_scope scope;
    jobs_abandon(self->first_job);
    ndbuf_cuda__failure_release(self->failure);
    if (self->owns_stream && ndbuf_cuda__enter_to_undo(place_of(queue), &scope)) {
        CUDA_UNDO(api->cudaStreamDestroy(queue->native));
        ndbuf_cuda__leave(&scope);
    }
    ndbuf__mutex_clear(&self->mutex);
    ndbuf__free(self);
}
