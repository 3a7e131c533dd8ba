/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_job.h"

#include <string.h>

#include "core/copy_stage.h"
#include "core/host_alloc.h"
#include "core/host_copy.h"
#include "core/queue_core.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* A copy with all that it needs, independent of the views that it was made from. */
typedef struct copy_job {
    ndbuf__plan plan;
    ndbuf_device *direct;
    ndbuf__transfer_ends ends;
    ndbuf__host_copy host_copy;       /* of a plan with suboffsets between host views */
    ndbuf_queue *queue;               /* that the job was put into; NULL: none */
    ndbuf__stage_flight *flight;      /* of a staged copy that was put into the queue step by step; NULL: none */
    ndbuf_owner *owners[2];           /* retained while the job is in a queue; NULL: none */
    int64_t dims[5 * NDBUF_MAX_NDIM]; /* of a plan with suboffsets: shape, both strides, both suboffsets */
} copy_job;

/* Gives a job arrays of its own where the plan would point to the views'. */
static void job_adopt_dims(copy_job *job, const ndbuf__layout *dst, const ndbuf__layout *src)
{
    size_t nbytes = (size_t)dst->ndim * sizeof(int64_t);
    const int64_t *from[5] = {dst->shape, dst->strides, src->strides, dst->suboffsets, src->suboffsets};
    const int64_t *to[5];
    for (int i = 0; i < 5; i++) {
        int64_t *array = job->dims + i * NDBUF_MAX_NDIM;
        to[i] = from[i] != NULL ? array : NULL;
        if (from[i] != NULL) {
            memcpy(array, from[i], nbytes);
        }
    }
    job->plan.staging.dst_suboffsets = to[3];
    job->plan.staging.src_suboffsets = to[4];
    if (!job->plan.has_staging) {
        ndbuf__host_copy_prepare(&job->host_copy, dst->ndim, dst->itemsize, to[0], to[1], to[3], to[2], to[4]);
    }
}

static void job_init(copy_job *job, const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                     const ndbuf_view *src)
{
    job->plan = *plan;
    job->direct = direct;
    job->ends = (ndbuf__transfer_ends){.dst = &dst->storage->mem,
                                       .src = &src->storage->mem,
                                       .dst_offset = dst->byte_offset,
                                       .src_offset = src->byte_offset};
    job->queue = NULL;
    job->flight = NULL;
    job->owners[0] = NULL;
    job->owners[1] = NULL;
    if (plan->indirect) {
        ndbuf__layout dst_layout = ndbuf__view_layout(dst);
        ndbuf__layout src_layout = ndbuf__view_layout(src);
        job_adopt_dims(job, &dst_layout, &src_layout);
    }
}

static bool is_host(const ndbuf_mem *mem)
{
    return (mem->device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
}

static bool is_staged(const copy_job *job)
{
    return ndbuf__route_is_staged(job->plan.route);
}

/* Runs the whole copy in the calling thread, and waits for the devices. */
static ndbuf_status job_run(void *context, ndbuf_error *err)
{
    copy_job *job = context;
    if (is_staged(job)) {
        return ndbuf__stage_run(&job->plan.staging, &job->ends, err);
    }
    if (job->plan.indirect) {
        return ndbuf__host_copy_run(&job->host_copy, (char *)job->ends.dst->host_address + job->ends.dst_offset,
                                    (const char *)job->ends.src->host_address + job->ends.src_offset, err);
    }
    const ndbuf_backend_ops *ops = job->direct->ops;
    ndbuf_queue *queue = job->direct->default_queue;
    bool started = false;
    ndbuf_status status =
        ndbuf__transfer_run(&job->plan.transfer, &job->plan.axes, ops, queue, &job->ends, &started, err);
    ndbuf_status wait_status = started ? ops->queue_wait(queue, status == NDBUF_OK ? err : NULL) : NDBUF_OK;
    if (status == NDBUF_ERR_UNSUPPORTED && job->plan.has_staging) {
        return ndbuf__stage_run(&job->plan.staging, &job->ends, err);
    }
    return status != NDBUF_OK ? status : wait_status;
}

ndbuf_status ndbuf__copy_job_run(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                 const ndbuf_view *src, ndbuf_error *err)
{
    copy_job job;
    job_init(&job, plan, direct, dst, src);
    return job_run(&job, err);
}

/* -- in a queue -- */

/* Lets go of what a job holds. A failure beside the queue becomes the queue's. */
static void job_free(void *context)
{
    copy_job *job = context;
    ndbuf_error error = {0};
    if (job->flight != NULL && ndbuf__stage_flight_end(job->flight, &error) != NDBUF_OK) {
        ndbuf__queue_note(job->queue, &error);
    }
    for (int i = 0; i < 2; i++) {
        if (job->owners[i] != NULL) {
            job->owners[i]->release(job->owners[i]);
        }
    }
    ndbuf__free(job);
}

/* Whether the queue's own backend can make the plan's calls between these two pieces of memory. */
static bool goes_directly(const copy_job *job, const ndbuf_queue *queue)
{
    static const struct {
        ndbuf_route route;
        uint32_t flag;
    } needs[] = {{NDBUF_ROUTE_BYTES, NDBUF_CAN_COPY_BYTES},
                 {NDBUF_ROUTE_RECT, NDBUF_CAN_COPY_RECT},
                 {NDBUF_ROUTE_STRIDED, NDBUF_CAN_COPY_STRIDED}};
    if (job->plan.indirect || is_staged(job)) {
        return false;
    }
    if (queue->device == job->direct) {
        return true;
    }
    ndbuf_copy_caps caps = {0};
    queue->device->ops->copy_caps(job->ends.dst->device, job->ends.src->device, &caps);
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (needs[i].route == job->plan.route) {
            return (caps.flags & needs[i].flag) != 0;
        }
    }
    return false;
}

/* Whether a host function can do the copy in the queue: one without a host thread only where no device takes part. */
static bool goes_as_host_call(const copy_job *job, const ndbuf_queue *queue)
{
    return (queue->device->queue_flags & NDBUF_QUEUE_NO_HOST_THREAD) == 0 ||
           (is_host(job->ends.dst) && is_host(job->ends.src));
}

/* Whether all devices that take part know each other's events. */
static bool goes_in_steps(const copy_job *job)
{
    const ndbuf_mem *mems[2] = {job->ends.dst, job->ends.src};
    bool all = is_staged(job);
    for (int i = 0; i < 2; i++) {
        all = all && (is_host(mems[i]) || (mems[i]->device->queue_flags & NDBUF_QUEUE_NO_HOST_THREAD) != 0);
    }
    return all;
}

/* Puts a job into its queue: its calls, or its steps, or all of it as a host function; where none of them can be, the
 * caller does it after the earlier work. *out_started tells whether the queue may be using the job's memory. */
static ndbuf_status job_enqueue(copy_job *job, bool *out_started, ndbuf_error *err)
{
    ndbuf_queue *queue = job->queue;
    const ndbuf_backend_ops *ops = queue->device->ops;
    *out_started = false;
    if (goes_directly(job, queue)) {
        ndbuf_status status =
            ndbuf__transfer_run(&job->plan.transfer, &job->plan.axes, ops, queue, &job->ends, out_started, err);
        if (status != NDBUF_ERR_UNSUPPORTED || !job->plan.has_staging) {
            return status;
        }
        job->plan.route = NDBUF_ROUTE_THROUGH_HOST;
    }
    bool had_started = *out_started;
    ndbuf_status status = NDBUF_OK;
    if (goes_as_host_call(job, queue)) {
        status = ops->queue_host_call(queue, job_run, job, err);
        *out_started = had_started || status == NDBUF_OK;
    } else if (goes_in_steps(job)) {
        status = ndbuf__stage_enqueue(&job->plan.staging, &job->ends, queue, &job->flight, err);
        *out_started = had_started || job->flight != NULL;
    } else {
        status = ops->queue_wait(queue, err);
        status = status == NDBUF_OK ? job_run(job, err) : status;
    }
    return status;
}

/* While a queue is being captured: the calls alone, and nothing is held for them. */
static ndbuf_status job_capture(const copy_job *job, ndbuf_queue *queue, ndbuf_error *err)
{
    bool started = false;
    if (!goes_directly(job, queue)) {
        return ndbuf_fail(
            err, NDBUF_ERR_UNSUPPORTED,
            "the queue is being captured: a copy by route %s needs the host, which a graph cannot wait for",
            ndbuf_route_name(job->plan.route));
    }
    return ndbuf__transfer_run(&job->plan.transfer, &job->plan.axes, queue->device->ops, queue, &job->ends, &started,
                               err);
}

ndbuf_status ndbuf__copy_job_enqueue(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                     const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err)
{
    int32_t is_capturing = 0;
    ndbuf_status status = queue->device->ops->queue_is_capturing(queue, &is_capturing, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (is_capturing) {
        copy_job job;
        job_init(&job, plan, direct, dst, src);
        return job_capture(&job, queue, err);
    }
    ndbuf__queue_reap(queue);
    copy_job *job = ndbuf__malloc(sizeof(*job));
    ndbuf__lease *lease = ndbuf__malloc(sizeof(*lease));
    if (job == NULL || lease == NULL) {
        ndbuf__free(job);
        ndbuf__free(lease);
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a copy in a queue");
    }
    job_init(job, plan, direct, dst, src);
    job->queue = queue;
    job->owners[0] = dst->owner;
    job->owners[1] = src->owner;
    dst->owner->retain(dst->owner);
    src->owner->retain(src->owner);
    bool started = false;
    status = job_enqueue(job, &started, err);
    if (started) {
        ndbuf__queue_lease(queue, lease, job_free, job);
    } else {
        job_free(job);
        ndbuf__free(lease);
    }
    return status;
}
