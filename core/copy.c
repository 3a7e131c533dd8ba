/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_core.h"

#include <string.h>

#include "core/copy_stage.h"
#include "core/device_core.h"
#include "core/host_alloc.h"
#include "core/queue_core.h"
#include "core/storage_core.h"
#include "core/view_core.h"

static bool is_host(const ndbuf_device *device)
{
    return (device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
}

/* -- asking -- */

static ndbuf_status check_shapes(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__layout *dst_layout,
                                 const ndbuf__layout *src_layout, ndbuf_error *err)
{
    if (dst_layout->ndim != src_layout->ndim) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "shapes differ: the destination has %d axes, the source %d",
                          (int)dst_layout->ndim, (int)src_layout->ndim);
    }
    for (int32_t k = 0; k < dst_layout->ndim; k++) {
        if (dst_layout->shape[k] != src_layout->shape[k]) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID,
                              "shapes differ: axis %d has extent %lld in the destination, %lld in the source", (int)k,
                              (long long)dst_layout->shape[k], (long long)src_layout->shape[k]);
        }
    }
    if (!ndbuf_format_equal(dst->layout, src->layout)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID,
                          "formats differ: '%.80s' in the destination, '%.80s' in the source; conversion is not "
                          "supported yet",
                          ndbuf_format_text(dst->layout), ndbuf_format_text(src->layout));
    }
    return NDBUF_OK;
}

/* The backend that copies directly between two devices: the destination's, else the source's, else the host's. */
static ndbuf_device *find_direct(ndbuf_device *dst, ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    static const uint32_t any = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED;
    ndbuf_device *candidates[3] = {dst, src, ndbuf_device_cpu()};
    for (int i = 0; i < 3; i++) {
        candidates[i]->ops->copy_caps(dst, src, out_caps);
        if ((out_caps->flags & any) != 0) {
            return candidates[i];
        }
    }
    memset(out_caps, 0, sizeof(*out_caps));
    return dst;
}

ndbuf_status ndbuf__copy_prepare(const ndbuf_view *dst, const ndbuf_view *src, ndbuf__plan_input *out_input,
                                 ndbuf_device **out_direct, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(dst, "dst", err);
    if (status == NDBUF_OK) {
        status = ndbuf__view_check(src, "src", err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if ((dst->flags & NDBUF_VIEW_READONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_READONLY, "the destination is read-only");
    }
    ndbuf__plan_input *input = out_input;
    input->dst = ndbuf__view_layout(dst);
    input->src = ndbuf__view_layout(src);
    status = check_shapes(dst, src, &input->dst, &input->src, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_device *dst_device = dst->storage->mem.device;
    ndbuf_device *src_device = src->storage->mem.device;
    input->dst_is_host = is_host(dst_device);
    input->src_is_host = is_host(src_device);
    input->staging_nbytes = 0;
    *out_direct = find_direct(dst_device, src_device, &input->direct);
    host->ops->copy_caps(host, host, &input->host);
    if (!input->dst_is_host) {
        dst_device->ops->copy_caps(dst_device, host, &input->store);
    }
    if (!input->src_is_host) {
        src_device->ops->copy_caps(host, src_device, &input->fetch);
    }
    return NDBUF_OK;
}

/* -- running -- */

/* A copy with all that it needs, independent of the views that it was made from. */
typedef struct copy_job {
    ndbuf__plan plan;
    ndbuf_device *direct;
    ndbuf__transfer_ends ends;
    ndbuf__host_copy host_copy; /* of a plan with suboffsets between host views */
    ndbuf__staging_buffers buffers;
    ndbuf_owner *owners[2];           /* retained while the job is in a queue */
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
    job->buffers = (ndbuf__staging_buffers){0};
    job->owners[0] = NULL;
    job->owners[1] = NULL;
    if (plan->indirect) {
        ndbuf__layout dst_layout = ndbuf__view_layout(dst);
        ndbuf__layout src_layout = ndbuf__view_layout(src);
        job_adopt_dims(job, &dst_layout, &src_layout);
    }
}

static void job_clear(copy_job *job)
{
    ndbuf__staging_buffers_clear(&job->buffers);
    for (int i = 0; i < 2; i++) {
        if (job->owners[i] != NULL) {
            job->owners[i]->release(job->owners[i]);
        }
    }
}

static void job_free(void *context)
{
    job_clear(context);
    ndbuf__free(context);
}

/* Allocates the staging buffers unless they are there. */
static ndbuf_status job_need_buffers(copy_job *job, ndbuf_error *err)
{
    if (job->buffers.dst.nbytes > 0 || job->buffers.src.nbytes > 0) {
        return NDBUF_OK;
    }
    return ndbuf__staging_buffers_init(&job->buffers, &job->plan.staging, err);
}

static ndbuf_status job_run_staged(copy_job *job, ndbuf_error *err)
{
    ndbuf_status status = job_need_buffers(job, err);
    return status == NDBUF_OK ? ndbuf__staging_run(&job->plan.staging, &job->buffers, &job->ends, err) : status;
}

/* Runs the whole copy in the calling thread, and waits for the devices. */
static ndbuf_status job_run(void *context, ndbuf_error *err)
{
    copy_job *job = context;
    if (ndbuf__route_is_staged(job->plan.route)) {
        return job_run_staged(job, err);
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
        return job_run_staged(job, err);
    }
    return status != NDBUF_OK ? status : wait_status;
}

/* Puts a job into a queue: its calls where the queue is that of the backend that makes them, else as a host step.
 * *out_started tells whether the queue may be using the job's memory. */
static ndbuf_status job_enqueue(copy_job *job, ndbuf_queue *queue, bool *out_started, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_ERR_UNSUPPORTED;
    *out_started = false;
    if (!ndbuf__route_is_staged(job->plan.route) && !job->plan.indirect && queue->device == job->direct) {
        status = ndbuf__transfer_run(&job->plan.transfer, &job->plan.axes, queue->device->ops, queue, &job->ends,
                                     out_started, err);
        if (status != NDBUF_ERR_UNSUPPORTED || !job->plan.has_staging) {
            return status;
        }
        job->plan.route = NDBUF_ROUTE_THROUGH_HOST;
    }
    if (ndbuf__route_is_staged(job->plan.route)) {
        status = job_need_buffers(job, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    status = queue->device->ops->queue_host_call(queue, job_run, job, err);
    *out_started = *out_started || status == NDBUF_OK;
    return status;
}

static ndbuf_status execute_async(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                  const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf__queue_reap(queue);
    copy_job *job = ndbuf__malloc(sizeof(*job));
    ndbuf__lease *lease = ndbuf__malloc(sizeof(*lease));
    if (job == NULL || lease == NULL) {
        ndbuf__free(job);
        ndbuf__free(lease);
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a copy in a queue");
    }
    job_init(job, plan, direct, dst, src);
    job->owners[0] = dst->owner;
    job->owners[1] = src->owner;
    dst->owner->retain(dst->owner);
    src->owner->retain(src->owner);
    bool started = false;
    ndbuf_status status = job_enqueue(job, queue, &started, err);
    if (started) {
        ndbuf__queue_lease(queue, lease, job_free, job);
    } else {
        job_free(job);
        ndbuf__free(lease);
    }
    return status;
}

ndbuf_status ndbuf__copy_wait_ready(const ndbuf_view *view, ndbuf_queue *queue, ndbuf_error *err)
{
    if (view->ready == NULL) {
        return NDBUF_OK;
    }
    return queue != NULL ? ndbuf_queue_wait_event(queue, view->ready, err) : ndbuf_event_wait(view->ready, err);
}

/* -- overlap -- */

/* Whether both views are the same place with the same strides: a copy would change nothing. */
static bool is_same_place(const ndbuf_view *dst, const ndbuf_view *src)
{
    ndbuf__layout a = ndbuf__view_layout(dst);
    ndbuf__layout b = ndbuf__view_layout(src);
    if (dst->storage != src->storage || dst->byte_offset != src->byte_offset || a.ndim != b.ndim ||
        (a.suboffsets == NULL) != (b.suboffsets == NULL)) {
        return false;
    }
    for (int32_t k = 0; k < a.ndim; k++) {
        if ((a.shape[k] > 1 && a.strides[k] != b.strides[k]) ||
            (a.suboffsets != NULL && a.suboffsets[k] != b.suboffsets[k])) {
            return false;
        }
    }
    return true;
}

bool ndbuf__copy_needs_temporary(const ndbuf_view *dst, const ndbuf_view *src)
{
    return !is_same_place(dst, src) && ndbuf_view_overlap(dst, src) != NDBUF_NO;
}

/* A new view of the destination's shape and format that nothing else shares, packed in the destination's order. */
static ndbuf_status temporary_create(ndbuf_view *out_view, const ndbuf_view *dst, ndbuf_error *err)
{
    ndbuf__layout layout = ndbuf__view_layout(dst);
    int64_t strides[NDBUF_MAX_NDIM];
    int64_t offset = 0;
    int64_t nbytes = dst->nbytes;
    if (layout.suboffsets == NULL) {
        offset = ndbuf__copy_axes_pack(layout.ndim, layout.shape, layout.strides, layout.itemsize, strides, &nbytes);
    } else {
        bool overflow = false;
        ndbuf__layout_fill_strides(layout.ndim, layout.shape, layout.itemsize, 'C', strides, &overflow);
    }
    ndbuf_storage *storage = NULL;
    ndbuf_status status = ndbuf_storage_create(dst->storage->mem.device, (size_t)nbytes, &storage, err);
    if (status != NDBUF_OK) {
        return status;
    }
    layout.strides = strides;
    layout.suboffsets = NULL;
    status = ndbuf__view_fill(out_view, storage, dst->layout, offset, &layout, 0, NULL, err);
    ndbuf_storage_release(storage);
    return status;
}

static ndbuf_status copy_by_temporary(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_queue *queue,
                                      ndbuf_error *err)
{
    ndbuf_view temporary = {0};
    ndbuf_status status = temporary_create(&temporary, dst, err);
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&temporary, src, queue, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(dst, &temporary, queue, err);
    }
    ndbuf_view_release(&temporary);
    return status;
}

ndbuf_status ndbuf__copy_execute(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                 const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err)
{
    const ndbuf_device *dst_device = dst->storage->mem.device;
    const ndbuf_device *src_device = src->storage->mem.device;
    if (queue != NULL && queue->device != dst_device && queue->device != src_device) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the queue's device is neither the destination's nor the source's");
    }
    if (plan->route == NDBUF_ROUTE_NONE) {
        return NDBUF_OK;
    }
    ndbuf_status status = ndbuf__copy_wait_ready(dst, queue, err);
    if (status == NDBUF_OK) {
        status = ndbuf__copy_wait_ready(src, queue, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (is_same_place(dst, src)) {
        return NDBUF_OK;
    }
    if (ndbuf_view_overlap(dst, src) != NDBUF_NO) {
        if (queue != NULL || plan->indirect || plan->axes.ndim > 0 || !is_host(dst_device)) {
            return copy_by_temporary(dst, src, queue, err);
        }
        memmove((char *)dst->storage->mem.host_address + dst->byte_offset + plan->axes.dst_offset,
                (const char *)src->storage->mem.host_address + src->byte_offset + plan->axes.src_offset,
                (size_t)plan->axes.unit_nbytes);
        return NDBUF_OK;
    }
    if (queue != NULL) {
        return execute_async(plan, direct, dst, src, queue, err);
    }
    copy_job job;
    job_init(&job, plan, direct, dst, src);
    status = job_run(&job, err);
    job_clear(&job);
    return status;
}

ndbuf_status ndbuf_copy(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf__plan_input input;
    ndbuf__plan plan;
    ndbuf_device *direct = NULL;
    ndbuf_status status = ndbuf__copy_prepare(dst, src, &input, &direct, err);
    if (status == NDBUF_OK) {
        status = ndbuf__plan_make(&plan, &input, err);
    }
    return status == NDBUF_OK ? ndbuf__copy_execute(&plan, direct, dst, src, queue, err) : status;
}
