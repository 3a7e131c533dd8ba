/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_core.h"

#include <string.h>

#include "core/compiler.h"
#include "core/copy_job.h"
#include "core/copy_stage.h"
#include "core/device_core.h"
#include "core/host_records.h"
#include "core/link_costs.h"
#include "core/queue_core.h"
#include "core/recent_copy.h"
#include "core/storage_core.h"
#include "core/tuning_core.h"
#include "core/view_core.h"

static bool is_host(const ndbuf_device *device)
{
    return (device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
}

/* -- asking -- */

static ndbuf_status check_shapes(const ndbuf__layout *dst_layout, const ndbuf__layout *src_layout, ndbuf_error *err)
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
    return NDBUF_OK;
}

/* Whether a backend is of use between two devices. In the host's memory it has to do all that the host's engine does: a
 * call for each run of bytes would be no match for that. */
static bool is_of_use(const ndbuf_copy_caps *caps, bool on_host)
{
    static const uint32_t any = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_MAP;
    static const uint32_t all = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED;
    return on_host ? (caps->flags & all) == all : (caps->flags & any) != 0;
}

ndbuf_device *ndbuf__copy_direct(ndbuf_device *dst, ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    ndbuf_device *candidates[3] = {dst, src, ndbuf_device_cpu()};
    for (int i = 0; i < 3; i++) {
        ndbuf__copy_caps_get(candidates[i]->ops, dst, src, out_caps);
        if (is_of_use(out_caps, is_host(dst) && is_host(src))) {
            return candidates[i];
        }
    }
    memset(out_caps, 0, sizeof(*out_caps));
    return dst;
}

static void close_routes(ndbuf__plan_input *input)
{
    static const uint32_t staged = 1u << NDBUF_ROUTE_STAGED | 1u << NDBUF_ROUTE_THROUGH_HOST;
    for (uint32_t route = 0; ndbuf__closed_routes >> route != 0; route++) {
        if ((ndbuf__closed_routes & 1u << route) != 0) {
            input->direct.flags &= ~ndbuf__route_flag((ndbuf_route)route);
            input->direct.flags &= route == NDBUF_ROUTE_STRIDED ? ~(uint32_t)NDBUF_CAN_CONVERT : ~0u;
        }
    }
    input->staging_is_closed = (ndbuf__closed_routes & staged) != 0;
}

/* Whether a copy refuses neither by itself. */
static inline bool are_usable(const ndbuf_view *dst, const ndbuf_view *src)
{
    return ndbuf__view_is_good(dst) && ndbuf__view_is_good(src) && (dst->flags & NDBUF_VIEW_READONLY) == 0;
}

ndbuf_status ndbuf__copy_check(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_error *err)
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
    const ndbuf__layout dst_layout = ndbuf__view_layout(dst);
    const ndbuf__layout src_layout = ndbuf__view_layout(src);
    return check_shapes(&dst_layout, &src_layout, err);
}

/* What the devices do within themselves, where they might convert or sort. */
static void ask_local(const ndbuf_device *device, ndbuf_copy_caps *out_caps)
{
    ndbuf__copy_caps_get(device->ops, device, device, out_caps);
    if ((ndbuf__closed_routes & 1u << NDBUF_ROUTE_STRIDED) != 0) {
        out_caps->flags &= ~(uint32_t)(NDBUF_CAN_CONVERT | NDBUF_CAN_COPY_STRIDED);
    }
}

void ndbuf__copy_prepare(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                         ndbuf__plan_input *out_input, ndbuf_device **out_direct)
{
    ndbuf__plan_input *input = out_input;
    input->dst = ndbuf__view_layout(dst);
    input->src = ndbuf__view_layout(src);
    input->cast = *cast;
    if (cast->part != NULL && (input->dst.suboffsets != NULL || input->src.suboffsets != NULL ||
                               input->dst.ndim + cast->part->ndim > NDBUF__MAX_AXES)) {
        input->cast.part = NULL;
    }
    ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_device *dst_device = ndbuf__view_device(dst);
    ndbuf_device *src_device = ndbuf__view_device(src);
    input->dst_is_host = is_host(dst_device);
    input->src_is_host = is_host(src_device);
    input->staging_nbytes = ndbuf__staging_nbytes;
    ndbuf__tuning_start();
    *out_direct = ndbuf__copy_direct(dst_device, src_device, &input->direct);
    ndbuf__copy_caps_get(host->ops, host, host, &input->host);
    input->staging_is_closed = false;
    if (input->dst_is_host && input->src_is_host) {
        return;
    }
    close_routes(input);
    const ndbuf_device *staging = ndbuf__staging_device(ndbuf__staging_owner(dst_device, src_device));
    if (!input->dst_is_host) {
        ndbuf__copy_caps_get(dst_device->ops, dst_device, staging, &input->store);
    }
    if (!input->src_is_host) {
        ndbuf__copy_caps_get(src_device->ops, staging, src_device, &input->fetch);
    }
    ask_local(dst_device, &input->dst_local);
    ask_local(src_device, &input->src_local);
}

/* -- running -- */

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

/* The bytes of host memory that a view without suboffsets reaches. */
static void view_range(const ndbuf_view *view, uintptr_t *out_lo, uintptr_t *out_hi)
{
    uintptr_t lo = (uintptr_t)view->storage->mem.host_address + (uintptr_t)view->byte_offset;
    uintptr_t hi = lo + (uintptr_t)view->itemsize;
    for (int32_t k = 0; k < view->ndim; k++) {
        int64_t reach = (view->dims[k] - 1) * view->dims[view->ndim + k];
        lo += (uintptr_t)(reach < 0 ? reach : 0);
        hi += (uintptr_t)(reach > 0 ? reach : 0);
    }
    *out_lo = lo;
    *out_hi = hi;
}

/* Whether both views are host memory and keep clear of each other by their storages' bytes, or by their own: the common
 * cases, for which no search is needed. */
static bool are_apart(const ndbuf_view *dst, const ndbuf_view *src)
{
    const ndbuf_mem *to = &dst->storage->mem;
    const ndbuf_mem *from = &src->storage->mem;
    if (to->host_address == NULL || from->host_address == NULL || dst->suboffsets != NULL || src->suboffsets != NULL) {
        return false;
    }
    uintptr_t dst_lo = (uintptr_t)to->host_address;
    uintptr_t src_lo = (uintptr_t)from->host_address;
    if ((dst->has_left | src->has_left) == 0 && (dst_lo + to->nbytes <= src_lo || src_lo + from->nbytes <= dst_lo)) {
        return true;
    }
    uintptr_t dst_hi;
    uintptr_t src_hi;
    view_range(dst, &dst_lo, &dst_hi);
    view_range(src, &src_lo, &src_hi);
    return dst_hi <= src_lo || src_hi <= dst_lo;
}

bool ndbuf__copy_needs_temporary(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast)
{
    return (ndbuf__casts(cast) || !is_same_place(dst, src)) && ndbuf_view_overlap(dst, src) != NDBUF_NO;
}

/* A new view of the source's shape and format that nothing else shares, packed in the destination's order: on the
 * device of the two that the queue is of, so that it does both copies. */
static ndbuf_status temporary_create(ndbuf_view *out_view, const ndbuf_view *dst, const ndbuf_view *src,
                                     const ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf__layout layout = ndbuf__view_layout(dst);
    int64_t strides[NDBUF_MAX_NDIM];
    int64_t offset = 0;
    int64_t nbytes = src->nbytes;
    layout.itemsize = src->itemsize;
    if (layout.suboffsets == NULL) {
        int64_t order[NDBUF_MAX_NDIM];
        for (int32_t k = 0; k < layout.ndim; k++) { /* the stride of a single item may be anything */
            order[k] = layout.shape[k] > 1 ? layout.strides[k] : 0;
        }
        offset = ndbuf__copy_axes_pack(layout.ndim, layout.shape, order, order, layout.itemsize, strides, &nbytes);
    } else {
        bool overflow = false;
        ndbuf__layout_fill_strides(layout.ndim, layout.shape, layout.itemsize, 'C', strides, &overflow);
    }
    ndbuf_device *src_device = ndbuf__view_device(src);
    ndbuf_device *device = queue != NULL && queue->device == src_device ? src_device : ndbuf__view_device(dst);
    ndbuf_storage *storage = NULL;
    ndbuf_status status = ndbuf_storage_create(device, (size_t)nbytes, &storage, err);
    if (status != NDBUF_OK) {
        return status;
    }
    layout.strides = strides;
    layout.suboffsets = NULL;
    status = ndbuf__view_fill(out_view, storage, src->layout, offset, &layout, 0, NULL, err);
    ndbuf_storage_release(storage);
    return status;
}

ndbuf_status ndbuf__copy_by_temporary(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                                      ndbuf_queue *queue, ndbuf_error *err)
{
    static const ndbuf__cast bytes = {0};
    ndbuf_view temporary = {0};
    int32_t is_capturing = 0;
    ndbuf_status status = queue != NULL ? queue->device->ops->queue_is_capturing(queue, &is_capturing, err) : NDBUF_OK;
    if (status == NDBUF_OK && is_capturing) {
        status = ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                            "the queue is being captured: views that share memory need a temporary");
    }
    if (status == NDBUF_OK) {
        status = temporary_create(&temporary, dst, src, queue, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf__copy_as(&temporary, src, &bytes, queue, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf__copy_as(dst, &temporary, cast, queue, err);
    }
    ndbuf_view_release(&temporary);
    return status;
}

/* Contiguous bytes that the host reaches from both sides are moved at once; all else is copied out first. One piece of
 * memory can be managed on one side and the device's own on the other. */
static ndbuf_status copy_overlapping(const ndbuf__plan *plan, const ndbuf_view *dst, const ndbuf_view *src,
                                     ndbuf_queue *queue, ndbuf_error *err)
{
    const ndbuf_mem *to = &dst->storage->mem;
    const ndbuf_mem *from = &src->storage->mem;
    if (queue != NULL || plan->indirect || ndbuf__casts(&plan->cast) || plan->axes.ndim > 0 || !is_host(to->device) ||
        !is_host(from->device)) {
        return ndbuf__copy_by_temporary(dst, src, &plan->cast, queue, err);
    }
    memmove((char *)to->host_address + dst->byte_offset + plan->axes.dst_offset,
            (const char *)from->host_address + src->byte_offset + plan->axes.src_offset,
            (size_t)plan->axes.unit_nbytes);
    return NDBUF_OK;
}

ndbuf_status ndbuf__copy_check_queue(const ndbuf_queue *queue, const ndbuf_device *dst, const ndbuf_device *src,
                                     ndbuf_error *err)
{
    if (queue != NULL && queue->device != dst && queue->device != src) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the queue's device is neither the destination's nor the source's");
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf__copy_execute(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                 const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__copy_check_queue(queue, ndbuf__view_device(dst), ndbuf__view_device(src), err);
    if (status != NDBUF_OK || plan->route == NDBUF_ROUTE_NONE) {
        return status;
    }
    status = ndbuf__copy_wait_ready(dst, queue, err);
    if (status == NDBUF_OK) {
        status = ndbuf__copy_wait_ready(src, queue, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (!are_apart(dst, src)) {
        if (!ndbuf__casts(&plan->cast) && is_same_place(dst, src)) {
            return NDBUF_OK;
        }
        if (ndbuf_view_overlap(dst, src) != NDBUF_NO) {
            return copy_overlapping(plan, dst, src, queue, err);
        }
    }
    ndbuf_error why = {0}; /* a way that is refused is not the last word */
    status = queue != NULL ? ndbuf__copy_job_enqueue(plan, direct, dst, src, queue, &why)
                           : ndbuf__copy_job_run(plan, direct, dst, src, &why);
    if (status != NDBUF_OK && err != NULL) {
        *err = why;
    }
    return status;
}

/* Copies within the host's memory that the planner has no choice about; NDBUF_ERR_UNSUPPORTED: it has, or the views
 * share memory or have to wait. */
static ndbuf_status copy_at_once(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                                 ndbuf_error *err)
{
    const ndbuf_device *host = ndbuf_device_cpu();
    if (ndbuf__view_device(dst) != host || ndbuf__view_device(src) != host || dst->ready != NULL ||
        src->ready != NULL || dst->nbytes == 0 || !are_apart(dst, src)) {
        return NDBUF_ERR_UNSUPPORTED;
    }
    ndbuf__tuning_start();
    ndbuf__copy_axes axes;
    if (!ndbuf__casts(cast)) {
        ndbuf__copy_axes_of_items(&axes, dst->itemsize, dst->ndim, dst->dims, dst->dims + dst->ndim,
                                  src->dims + src->ndim);
    } else if (cast->moves_nothing || (cast->part != NULL && dst->ndim + cast->part->ndim > NDBUF__MAX_AXES)) {
        return NDBUF_ERR_UNSUPPORTED;
    } else {
        ndbuf__cast_axes(cast, dst->itemsize, dst->ndim, dst->dims, dst->dims + dst->ndim, src->dims + src->ndim,
                         &axes);
        ndbuf__copy_axes_merge(&axes);
    }
    if (!ndbuf__copy_axes_keep_apart(&axes)) {
        return NDBUF_ERR_UNSUPPORTED;
    }
    const ndbuf__record *parts = ndbuf__cast_parts(cast);
    if (parts == NULL) {
        return ndbuf__copy_by_engine(host, &axes, dst, src, err);
    }
    return ndbuf__host_records_convert(&axes, ndbuf__record_conversion(parts),
                                       (char *)dst->storage->mem.host_address + dst->byte_offset,
                                       (const char *)src->storage->mem.host_address + src->byte_offset, err);
}

static ndbuf_status copy_whole(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                               ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf__plan_input input;
    ndbuf__plan plan;
    ndbuf_device *direct = NULL;
    ndbuf_status status = NDBUF_ERR_UNSUPPORTED;
    if (queue == NULL) {
        status = copy_at_once(dst, src, cast, err);
    }
    if (status != NDBUF_ERR_UNSUPPORTED) {
        return status;
    }
    ndbuf__copy_prepare(dst, src, cast, &input, &direct);
    status = ndbuf__plan_make(&plan, &input, err);
    return status == NDBUF_OK ? ndbuf__copy_execute(&plan, direct, dst, src, queue, err) : status;
}

static NDBUF__NOINLINE ndbuf_status copy_record(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                                                ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf_error why = {0}; /* if it is not the last word */
    ndbuf_status status = copy_whole(dst, src, cast, queue, &why);
    if (status == NDBUF_ERR_UNSUPPORTED) {
        return ndbuf__copy_parts(dst, src, cast, queue, err);
    }
    if (status != NDBUF_OK && err != NULL) {
        *err = why;
    }
    return status;
}

ndbuf_status ndbuf__copy_as(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast, ndbuf_queue *queue,
                            ndbuf_error *err)
{
    return cast->record == NULL ? copy_whole(dst, src, cast, queue, err) : copy_record(dst, src, cast, queue, err);
}

static NDBUF__NOINLINE ndbuf_status copy_anew(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_casting casting,
                                              uint32_t flags, ndbuf_queue *queue, ndbuf_error *err)
{
    const ndbuf__layout dst_layout = ndbuf__view_layout(dst);
    const ndbuf__layout src_layout = ndbuf__view_layout(src);
    ndbuf__cast cast;
    ndbuf_status status = check_shapes(&dst_layout, &src_layout, err);
    if (status == NDBUF_OK) {
        status = ndbuf__cast_init(&cast, dst->layout, src->layout, casting, flags, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf__copy_as(dst, src, &cast, queue, err);
        ndbuf__record_release(cast.record);
    }
    return status;
}

/* What was decided for views that lie as these do; NULL: nothing. */
static inline const ndbuf__recent_copy *find_recent(ndbuf__recent_copies *recent, const ndbuf_view *dst,
                                                    const ndbuf_view *src)
{
    for (int32_t i = 0; i < NDBUF__RECENT_COPIES; i++) {
        const ndbuf__recent_copy *copy = &recent->copies[i];
        if (copy->is_decided && ndbuf__recent_is(copy, dst, src)) {
            recent->last = i;
            return copy;
        }
    }
    if (--recent->to_pass_over < 0) {
        ndbuf__recent_note(recent, dst, src);
    }
    return NULL;
}

/* By axes of its own: a program's executor may copy, too, in this thread, and what is kept become something else. */
static NDBUF__NOINLINE ndbuf_status copy_by_axes(const ndbuf__recent_copy *copy, const ndbuf_view *dst,
                                                 const ndbuf_view *src, ndbuf_error *err)
{
    ndbuf__copy_axes axes;
    ndbuf__recent_axes(copy, &axes);
    return ndbuf__copy_by_engine(copy->device, &axes, dst, src, err);
}

ndbuf_status ndbuf_copy_cast(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_casting casting, uint32_t flags,
                             ndbuf_queue *queue, ndbuf_error *err)
{
    if (!are_usable(dst, src)) {
        return ndbuf__copy_check(dst, src, err);
    }
    if (queue == NULL && flags == 0 && casting >= NDBUF_CASTING_NO && casting <= NDBUF_CASTING_UNSAFE &&
        dst->nbytes <= NDBUF__RECENT_NBYTES) {
        ndbuf__recent_copies *recent = &ndbuf__recent;
        NDBUF__KEEP_IN_REGISTER(recent);
        const ndbuf__recent_copy *copy = find_recent(recent, dst, src);
        if (copy != NULL &&
            (ndbuf__view_differences(dst, copy->device) | ndbuf__view_differences(src, copy->device)) == 0 &&
            (dst->layout == src->layout || ndbuf_format_equal(dst->layout, src->layout))) {
            char *to = ndbuf__short_way_place(dst);
            const char *from = ndbuf__short_way_place(src);
            if (ndbuf__short_way_is_apart(&copy->way, to, from)) {
                return copy->way.has_steps ? ndbuf__short_way_run(&copy->way, to, from)
                                           : copy_by_axes(copy, dst, src, err);
            }
        }
    }
    return copy_anew(dst, src, casting, flags, queue, err);
}

ndbuf_status ndbuf_copy(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err)
{
    return ndbuf_copy_cast(dst, src, NDBUF_CASTING_EQUIV, 0, queue, err);
}
