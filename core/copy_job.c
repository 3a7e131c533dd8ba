/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_job.h"

#include <string.h>

#include "core/copy_core.h"
#include "core/copy_mapped.h"
#include "core/copy_stage.h"
#include "core/host_copy.h"
#include "core/queue_core.h"
#include "core/stage_plan.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* What it takes to run a copy; borrowed. */
typedef struct copy_run {
    const ndbuf__plan *plan;
    ndbuf_device *direct;
    ndbuf_mem dst_mem;
    ndbuf_mem src_mem;
    ndbuf__transfer_ends ends; /* of these */
    ndbuf__layout dst;         /* of a plan with suboffsets */
    ndbuf__layout src;
    const ndbuf_view *views[2]; /* destination and source; NULL once their caller has gone on */
} copy_run;

static void run_init(copy_run *run, const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                     const ndbuf_view *src)
{
    run->plan = plan;
    run->direct = direct;
    run->ends = (ndbuf__transfer_ends){.dst = &run->dst_mem, .src = &run->src_mem};
    run->dst_mem = ndbuf__view_mem(dst, &run->ends.dst_offset);
    run->src_mem = ndbuf__view_mem(src, &run->ends.src_offset);
    run->views[0] = dst;
    run->views[1] = src;
    if (plan->indirect) {
        run->dst = ndbuf__view_layout(dst);
        run->src = ndbuf__view_layout(src);
    }
}

static bool is_host(const ndbuf_mem *mem)
{
    return (mem->device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
}

static bool is_within_host(const copy_run *run)
{
    return is_host(run->ends.dst) && is_host(run->ends.src);
}

/* Whether there is another way than the calls of the plan: the host's engine, or staging buffers. */
static bool has_another_way(const copy_run *run)
{
    return run->plan->has_staging || is_within_host(run);
}

static bool is_staged(const copy_run *run)
{
    return ndbuf__route_is_staged(run->plan->route);
}

static ndbuf_status run_on_host(const copy_run *run, ndbuf_error *err)
{
    ndbuf__host_copy copy;
    const ndbuf__plan *plan = run->plan;
    const ndbuf__transfer_ends *ends = &run->ends;
    if (plan->indirect) {
        ndbuf__host_copy_prepare(&copy, &plan->cast, run->dst.ndim, run->dst.itemsize, run->dst.shape, run->dst.strides,
                                 run->dst.suboffsets, run->src.strides, run->src.suboffsets);
    } else {
        ndbuf__host_copy_of_axes(&copy, &plan->axes, ndbuf__cast_parts(&plan->cast));
    }
    return ndbuf__host_copy_run(&copy, (char *)ends->dst->host_address + ends->dst_offset,
                                (const char *)ends->src->host_address + ends->src_offset, err);
}

/* Puts the calls of a direct way into a queue of the backend that offers it. `mapped` is for mapped memory: it must
 * outlive the work, and tells then how the host's part ended. */
static ndbuf_status run_direct(const copy_run *run, ndbuf_queue *queue, ndbuf__mapped_copy *mapped, bool *out_started,
                               ndbuf_error *err)
{
    const ndbuf__plan *plan = run->plan;
    if (plan->route == NDBUF_ROUTE_MAPPED) {
        ndbuf_status status = ndbuf__mapped_enqueue(mapped, plan, &run->dst, &run->src, &run->ends, queue, err);
        *out_started = status == NDBUF_OK;
        if (status != NDBUF_ERR_UNSUPPORTED || plan->transfer.route == NDBUF_ROUTE_NONE) {
            return status; /* else this memory must not be mapped: the device copies it by itself */
        }
    }
    return ndbuf__transfer_run(&plan->transfer, &plan->axes, queue->device->ops, queue, &run->ends, out_started, err);
}

/* How the host's part of a copy in mapped memory ended. */
static ndbuf_status mapped_status(const ndbuf__mapped_copy *mapped, ndbuf_error *err)
{
    if (mapped->status != NDBUF_OK && err != NULL) {
        *err = mapped->error;
    }
    return mapped->status;
}

/* Through staging buffers. Where a device does not convert after all, the host does. */
static ndbuf_status run_staged(const copy_run *run, ndbuf_error *err)
{
    const ndbuf__staging *planned = &run->plan->staging;
    ndbuf_status status = ndbuf__stage_run(planned, &run->ends, err);
    if (status == NDBUF_ERR_UNSUPPORTED && ndbuf__staging_converts_on_device(planned)) {
        ndbuf__staging staging = *planned;
        ndbuf__staging_convert_on_host(&staging);
        status = ndbuf__stage_run(&staging, &run->ends, err);
    }
    return status;
}

/* Runs the whole copy in the calling thread, and waits for the devices. */
static ndbuf_status run_now(const copy_run *run, ndbuf_error *err)
{
    const ndbuf__plan *plan = run->plan;
    ndbuf__mapped_copy mapped;
    mapped.status = NDBUF_OK;
    if (is_staged(run)) {
        return run_staged(run, err);
    }
    if (plan->by_host) {
        return run_on_host(run, err);
    }
    ndbuf_queue *queue = run->direct->default_queue;
    bool started = false;
    ndbuf_status status = run_direct(run, queue, &mapped, &started, err);
    ndbuf_status wait_status =
        started ? queue->device->ops->queue_wait(queue, status == NDBUF_OK ? err : NULL) : NDBUF_OK;
    if (wait_status == NDBUF_OK) {
        wait_status = mapped_status(&mapped, status == NDBUF_OK ? err : NULL);
    }
    if (status == NDBUF_ERR_UNSUPPORTED && has_another_way(run)) {
        return plan->has_staging ? run_staged(run, err) : run_on_host(run, err);
    }
    return status != NDBUF_OK ? status : wait_status;
}

ndbuf_status ndbuf__copy_job_run(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                 const ndbuf_view *src, ndbuf_error *err)
{
    copy_run run;
    run_init(&run, plan, direct, dst, src);
    return run_now(&run, err);
}

/* All that a copy needs which goes on without its caller, independent of the views and the plan that it was made from.
 */
typedef struct copy_work {
    copy_run run;
    ndbuf__plan plan;
    ndbuf__mapped_copy mapped;   /* of a copy in mapped memory */
    ndbuf__stage_flight *flight; /* of a staged copy that was put into the queue step by step; NULL: none */
    ndbuf_view *views;           /* destination and source of records that may have to go part by part; NULL: none */
    int64_t dims[];              /* of a plan with suboffsets: shape, both strides, both suboffsets */
} copy_work;

/* A copy in a queue. */
typedef struct copy_job {
    ndbuf__lease lease;
    ndbuf_owner *owners[2]; /* retained */
    copy_work *work;        /* NULL: its calls need nothing once they are made */
} copy_job;

/* Copies an array of a layout; NULL stays NULL. */
static const int64_t *work_adopt(copy_work *work, int place, const int64_t *array, int32_t ndim)
{
    if (array == NULL) {
        return NULL;
    }
    int64_t *copy = work->dims + (ptrdiff_t)place * ndim;
    memcpy(copy, array, (size_t)ndim * sizeof(int64_t));
    return copy;
}

/* Keeps the views where mapping is the only way for whole records, and may be refused. False: no memory. */
static bool work_keep_views(copy_work *work, ndbuf_queue *queue)
{
    const ndbuf__plan *plan = &work->plan;
    if (plan->cast.record == NULL || plan->route != NDBUF_ROUTE_MAPPED || plan->has_staging) {
        return true;
    }
    work->views = ndbuf__block_take(&queue->core->blocks, 2 * sizeof(work->views[0]));
    if (work->views == NULL) {
        return false;
    }
    memset(work->views, 0, 2 * sizeof(work->views[0]));
    return ndbuf_view_copy(&work->views[0], work->run.views[0], NULL) == NDBUF_OK &&
           ndbuf_view_copy(&work->views[1], work->run.views[1], NULL) == NDBUF_OK;
}

static void work_drop_views(copy_work *work)
{
    if (work->views != NULL) {
        ndbuf_view_release(&work->views[0]);
        ndbuf_view_release(&work->views[1]);
        ndbuf__block_give(work->views);
    }
}

/* NULL: no memory. */
static copy_work *work_make(ndbuf_queue *queue, const copy_run *model)
{
    const ndbuf__plan *plan = model->plan;
    size_t ndims = plan->indirect ? 5 * (size_t)model->dst.ndim : 0;
    copy_work *work = ndbuf__block_take(&queue->core->blocks, sizeof(*work) + ndims * sizeof(work->dims[0]));
    if (work == NULL) {
        return NULL;
    }
    copy_run *run = &work->run;
    *run = *model;
    work->plan = *plan;
    run->plan = &work->plan;
    run->ends.dst = &run->dst_mem;
    run->ends.src = &run->src_mem;
    work->flight = NULL;
    work->views = NULL;
    work->mapped.status = NDBUF_OK;
    if (!work_keep_views(work, queue)) {
        work_drop_views(work);
        ndbuf__block_give(work);
        return NULL;
    }
    run->views[0] = run->views[1] = NULL;
    if (plan->indirect) {
        int32_t ndim = run->dst.ndim;
        run->dst.shape = run->src.shape = work_adopt(work, 0, run->dst.shape, ndim);
        run->dst.strides = work_adopt(work, 1, run->dst.strides, ndim);
        run->src.strides = work_adopt(work, 2, run->src.strides, ndim);
        run->dst.suboffsets = work_adopt(work, 3, run->dst.suboffsets, ndim);
        run->src.suboffsets = work_adopt(work, 4, run->src.suboffsets, ndim);
        work->plan.staging.dst_suboffsets = run->dst.suboffsets;
        work->plan.staging.src_suboffsets = run->src.suboffsets;
    }
    ndbuf__record_retain(plan->cast.record);
    return work;
}

static ndbuf_status work_run(void *context, ndbuf_error *err)
{
    copy_work *work = context;
    ndbuf_status status = run_now(&work->run, err);
    if (status == NDBUF_ERR_UNSUPPORTED && work->views != NULL) {
        status = ndbuf__copy_parts(&work->views[0], &work->views[1], &work->plan.cast, NULL, err);
    }
    return status;
}

/* A failure beside the queue becomes the queue's. */
static void work_end(copy_work *work, ndbuf_queue *queue)
{
    ndbuf_error error = {0};
    if (work->flight != NULL && ndbuf__stage_flight_end(work->flight, &error) != NDBUF_OK) {
        ndbuf__queue_note(queue, &error);
    }
    if (work->mapped.status != NDBUF_OK) {
        ndbuf__queue_note(queue, &work->mapped.error);
    }
    work_drop_views(work);
    ndbuf__record_release(work->plan.cast.record);
    ndbuf__block_give(work);
}

/* Lets go of what a job holds: last of memory that is not the library's. */
static void job_end(ndbuf__lease *lease)
{
    copy_job *job = (copy_job *)lease;
    ndbuf_owner *owners[2] = {job->owners[0], job->owners[1]};
    if (job->work != NULL) {
        work_end(job->work, lease->queue);
    }
    ndbuf__block_give(job);
    for (int i = 0; i < 2; i++) {
        owners[i]->release(owners[i]);
    }
}

/* Whether a backend with these limits takes the rectangles that were planned for the direct one. */
static bool takes_rectangles(const ndbuf_copy_caps *caps, const copy_run *run)
{
    ndbuf_copy_caps planned = {0};
    run->direct->ops->copy_caps(run->ends.dst->device, run->ends.src->device, &planned);
    return (caps->max_pitch == 0 || (planned.max_pitch > 0 && planned.max_pitch <= caps->max_pitch)) &&
           ((caps->flags & ~planned.flags) & NDBUF_RECT_EQUAL_PITCHES) == 0;
}

/* What the queue's own backend can do between the two pieces of memory of a plan that goes directly, if it can make the
 * plan's calls; else 0. */
static uint32_t direct_caps(const copy_run *run, const ndbuf_queue *queue)
{
    uint32_t flag = ndbuf__route_flag(run->plan->route);
    if (flag == 0 || run->plan->by_host) {
        return 0;
    }
    ndbuf_copy_caps caps = {0};
    queue->device->ops->copy_caps(run->ends.dst->device, run->ends.src->device, &caps);
    if (flag == NDBUF_CAN_COPY_STRIDED && ndbuf__converts(&run->plan->axes.convert)) {
        flag = ndbuf__convert_caps(&run->plan->axes.convert);
    }
    if (flag == NDBUF_CAN_COPY_RECT && queue->device->ops != run->direct->ops && !takes_rectangles(&caps, run)) {
        return 0;
    }
    return (caps.flags & flag) == flag ? caps.flags : 0;
}

/* Whether a host function can do the copy in the queue: one without a host thread only where no device takes part. */
static bool goes_as_host_call(const copy_run *run, const ndbuf_queue *queue)
{
    return (queue->device->queue_flags & NDBUF_QUEUE_NO_HOST_THREAD) == 0 || is_within_host(run);
}

/* Whether all devices that take part know each other's events. */
static bool goes_in_steps(const copy_run *run)
{
    const ndbuf_mem *mems[2] = {run->ends.dst, run->ends.src};
    bool all = is_staged(run);
    for (int i = 0; i < 2; i++) {
        all = all && (is_host(mems[i]) || (mems[i]->device->queue_flags & NDBUF_QUEUE_NO_HOST_THREAD) != 0);
    }
    return all;
}

static ndbuf_status need_work(copy_job *job, const copy_run *run, ndbuf_error *err)
{
    job->work = job->work != NULL ? job->work : work_make(job->lease.queue, run);
    return job->work != NULL ? NDBUF_OK : ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the work of a copy");
}

/* Its calls: a backend needs the plan no longer than they take, but for what it does in mapped memory. */
static ndbuf_status enqueue_direct(copy_job *job, const copy_run *run, bool *out_started, ndbuf_error *err)
{
    if (run->plan->route != NDBUF_ROUTE_MAPPED) {
        return run_direct(run, job->lease.queue, NULL, out_started, err);
    }
    ndbuf_status status = need_work(job, run, err);
    return status == NDBUF_OK ? run_direct(&job->work->run, job->lease.queue, &job->work->mapped, out_started, err)
                              : status;
}

/* The steps of a staged copy. Where a device does not convert after all, the host does, when the queue has let go of
 * the buffers for the first attempt. */
static ndbuf_status enqueue_steps(copy_work *work, ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf__staging *staging = &work->plan.staging;
    ndbuf_status status = ndbuf__stage_enqueue(staging, &work->run.ends, queue, &work->flight, err);
    if (status != NDBUF_ERR_UNSUPPORTED || !ndbuf__staging_converts_on_device(staging)) {
        return status;
    }
    if (work->flight != NULL) {
        status = ndbuf__queue_settle(queue, err);
        if (status != NDBUF_OK) {
            return status;
        }
        ndbuf__stage_flight_end(work->flight, NULL);
        work->flight = NULL;
    }
    ndbuf__staging_convert_on_host(staging);
    return ndbuf__stage_enqueue(staging, &work->run.ends, queue, &work->flight, err);
}

/* Its steps, or all of it as a host function, or by the caller after the earlier work. */
static ndbuf_status enqueue_work(copy_work *work, ndbuf_queue *queue, bool *out_started, ndbuf_error *err)
{
    const ndbuf_backend_ops *ops = queue->device->ops;
    bool had_started = *out_started;
    ndbuf_status status = NDBUF_OK;
    if (goes_as_host_call(&work->run, queue)) {
        status = ops->queue_host_call(queue, work_run, work, err);
        *out_started = had_started || status == NDBUF_OK;
    } else if (goes_in_steps(&work->run)) {
        status = enqueue_steps(work, queue, err);
        *out_started = had_started || work->flight != NULL;
    } else {
        status = ndbuf__queue_settle(queue, err);
        status = status == NDBUF_OK ? work_run(work, err) : status;
    }
    return status;
}

/* Puts a job into its queue. Its calls are not taken where the driver may read the host's memory at once: it would miss
 * what the queue's earlier work is to write there. *out_started tells whether the queue may be using what the job
 * holds. */
static ndbuf_status job_enqueue(copy_job *job, const copy_run *run, bool *out_started, ndbuf_error *err)
{
    ndbuf_queue *queue = job->lease.queue;
    uint32_t caps = direct_caps(run, queue);
    *out_started = false;
    if (caps != 0 && ((caps & NDBUF_COPY_MAY_BLOCK) == 0 || !has_another_way(run))) {
        ndbuf_status status = enqueue_direct(job, run, out_started, err);
        if (status != NDBUF_ERR_UNSUPPORTED || !has_another_way(run)) {
            return status;
        }
    }
    ndbuf_status status = need_work(job, run, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (caps != 0 && run->plan->has_staging) {
        job->work->plan.route = NDBUF_ROUTE_THROUGH_HOST;
    } else if (caps != 0) {
        job->work->plan.by_host = true;
    }
    return enqueue_work(job->work, queue, out_started, err);
}

/* While a queue is being captured: the calls alone, and nothing is held for them. */
static ndbuf_status run_captured(const copy_run *run, ndbuf_queue *queue, ndbuf_error *err)
{
    const ndbuf__plan *plan = run->plan;
    bool started = false;
    uint32_t caps = direct_caps(run, queue);
    if ((caps & NDBUF_COPY_MAY_BLOCK) != 0) {
        return ndbuf_fail(
            err, NDBUF_ERR_UNSUPPORTED,
            "the queue is being captured: the driver would read pageable host memory at the launch, and not "
            "in the graph's order; pinned memory can be captured");
    }
    if (caps == 0 || plan->route == NDBUF_ROUTE_MAPPED) {
        return ndbuf_fail(
            err, NDBUF_ERR_UNSUPPORTED,
            "the queue is being captured: a copy by route %s needs the host, which a graph cannot wait for",
            ndbuf_route_name(plan->route));
    }
    return ndbuf__transfer_run(&plan->transfer, &plan->axes, queue->device->ops, queue, &run->ends, &started, err);
}

ndbuf_status ndbuf__copy_job_enqueue(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                     const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err)
{
    int32_t is_capturing = 0;
    ndbuf_status status = queue->device->ops->queue_is_capturing(queue, &is_capturing, err);
    if (status != NDBUF_OK) {
        return status;
    }
    copy_run run;
    run_init(&run, plan, direct, dst, src);
    if (is_capturing) {
        return run_captured(&run, queue, err);
    }
    copy_job *job = ndbuf__lease_take(queue, sizeof(*job), job_end);
    if (job == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a copy in a queue");
    }
    job->work = NULL;
    job->owners[0] = dst->owner;
    job->owners[1] = src->owner;
    dst->owner->retain(dst->owner);
    src->owner->retain(src->owner);
    bool started = false;
    status = job_enqueue(job, &run, &started, err);
    if (started) {
        ndbuf__lease_begin(&job->lease);
    } else {
        job_end(&job->lease);
    }
    return status;
}
