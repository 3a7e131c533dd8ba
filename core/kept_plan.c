/* SPDX-License-Identifier: Apache-2.0 */
#include "core/kept_plan.h"

#include <string.h>

#include "core/copy_stage.h"
#include "core/device_core.h"
#include "core/host_alloc.h"
#include "core/host_copy.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* Copies a layout's arrays to `dims` (3 * NDBUF_MAX_NDIM entries) and points it there. */
static void layout_adopt(ndbuf__layout *layout, int64_t *dims)
{
    size_t nbytes = (size_t)layout->ndim * sizeof(int64_t);
    if (nbytes > 0) {
        memcpy(dims, layout->shape, nbytes);
        memcpy(dims + NDBUF_MAX_NDIM, layout->strides, nbytes);
        if (layout->suboffsets != NULL) {
            memcpy(dims + 2 * NDBUF_MAX_NDIM, layout->suboffsets, nbytes);
        }
    }
    layout->shape = dims;
    layout->strides = dims + NDBUF_MAX_NDIM;
    layout->suboffsets = layout->suboffsets != NULL ? dims + 2 * NDBUF_MAX_NDIM : NULL;
}

/* Prepares the short way of ndbuf_copy_plan_run. */
static void prepare_at_once(ndbuf_copy_plan *kept)
{
    const ndbuf__plan *plan = &kept->plan;
    kept->runs_at_once =
        kept->direct == ndbuf_device_cpu() && !plan->indirect && ndbuf__cast_parts(&plan->cast) == NULL &&
        (plan->route == NDBUF_ROUTE_STRIDED || (plan->route == NDBUF_ROUTE_BYTES && plan->axes.ndim == 0));
    if (kept->runs_at_once) {
        ndbuf__copy_axes_range(&plan->axes, true, &kept->dst_lo, &kept->dst_hi);
        ndbuf__copy_axes_range(&plan->axes, false, &kept->src_lo, &kept->src_hi);
        kept->has_steps = ndbuf__host_steps_init(&kept->steps, &plan->axes);
    }
}

static ndbuf_status kept_create(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                                ndbuf_copy_plan **out_plan, ndbuf_error *err);

/* The plans of a record's parts, each by itself. */
static ndbuf_status plan_parts(ndbuf_copy_plan *kept, const ndbuf_view *dst, const ndbuf_view *src, ndbuf_error *err)
{
    const ndbuf__conversion *conversion = ndbuf__record_conversion(kept->cast.record);
    ndbuf_status status = NDBUF_OK;
    kept->parts = ndbuf__calloc((size_t)conversion->nparts, sizeof(ndbuf_copy_plan *));
    if (kept->parts == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a copy plan of %d parts", (int)conversion->nparts);
    }
    for (int32_t i = 0; i < conversion->nparts && status == NDBUF_OK; i++) {
        ndbuf_view dst_part;
        ndbuf_view src_part;
        ndbuf__cast cast;
        status = ndbuf__part_views(dst, src, conversion, i, &dst_part, &src_part, &cast, err);
        if (status == NDBUF_OK) {
            status = kept_create(&dst_part, &src_part, &cast, &kept->parts[i], err);
            ndbuf_view_release(&dst_part);
            ndbuf_view_release(&src_part);
            kept->nparts += status == NDBUF_OK;
        }
    }
    return status;
}

static ndbuf_status kept_create(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                                ndbuf_copy_plan **out_plan, ndbuf_error *err)
{
    ndbuf__plan_input input;
    ndbuf_device *direct = NULL;
    ndbuf_error why = {0};
    ndbuf__copy_prepare(dst, src, cast, &input, &direct);
    ndbuf_copy_plan *kept = ndbuf__malloc(sizeof(*kept));
    if (kept == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a copy plan");
    }
    kept->input = input;
    layout_adopt(&kept->input.dst, kept->dims);
    layout_adopt(&kept->input.src, kept->dims + (ptrdiff_t)3 * NDBUF_MAX_NDIM);
    kept->direct = direct;
    kept->dst_device = dst->storage->mem.device;
    kept->src_device = src->storage->mem.device;
    kept->format = dst->layout;
    kept->src_format = src->layout;
    kept->cast = *cast;
    kept->casting = NDBUF_CASTING_EQUIV;
    kept->nparts = 0;
    kept->parts = NULL;
    kept->temporary_nbytes = ndbuf__copy_needs_temporary(dst, src, cast) ? src->nbytes : 0;
    ndbuf__device_retain(kept->dst_device);
    ndbuf__device_retain(kept->src_device);
    ndbuf_format_retain(kept->format);
    ndbuf_format_retain(kept->src_format);
    ndbuf__record_retain(kept->cast.record);
    ndbuf_status status = ndbuf__plan_make(&kept->plan, &kept->input, &why);
    if (status == NDBUF_ERR_UNSUPPORTED && cast->record != NULL) {
        status = plan_parts(kept, dst, src, err);
    } else if (status != NDBUF_OK && err != NULL) {
        *err = why;
    }
    if (status != NDBUF_OK) {
        ndbuf_copy_plan_destroy(kept);
        return status;
    }
    prepare_at_once(kept);
    *out_plan = kept;
    return NDBUF_OK;
}

ndbuf_status ndbuf_copy_plan_create(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_casting casting, uint32_t flags,
                                    ndbuf_copy_plan **out_plan, ndbuf_error *err)
{
    ndbuf__cast cast;
    ndbuf_copy_plan *kept = NULL;
    ndbuf_status status = ndbuf__copy_check(dst, src, err);
    if (status == NDBUF_OK) {
        status = ndbuf__cast_init(&cast, dst->layout, src->layout, casting, flags, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    status = kept_create(dst, src, &cast, &kept, err);
    ndbuf__record_release(cast.record);
    if (status == NDBUF_OK) {
        kept->casting = casting;
        *out_plan = kept;
    }
    return status;
}

void ndbuf_copy_plan_destroy(ndbuf_copy_plan *plan)
{
    if (plan != NULL) {
        for (int32_t i = 0; i < plan->nparts; i++) {
            ndbuf_copy_plan_destroy(plan->parts[i]);
        }
        ndbuf__free(plan->parts);
        ndbuf__record_release(plan->cast.record);
        ndbuf_format_release(plan->format);
        ndbuf_format_release(plan->src_format);
        ndbuf_device_close(plan->src_device);
        ndbuf_device_close(plan->dst_device);
        ndbuf__free(plan);
    }
}

static bool layouts_equal(const ndbuf__layout *a, const ndbuf__layout *b)
{
    bool equal = a->ndim == b->ndim && a->itemsize == b->itemsize && (a->suboffsets == NULL) == (b->suboffsets == NULL);
    for (int32_t k = 0; equal && k < a->ndim; k++) {
        equal = a->shape[k] == b->shape[k] && a->strides[k] == b->strides[k] &&
                (a->suboffsets == NULL || a->suboffsets[k] == b->suboffsets[k]);
    }
    return equal;
}

static ndbuf_status check_side(const ndbuf_view *view, const ndbuf__layout *planned, const ndbuf_device *device,
                               const ndbuf_format *format, const char *name, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, name, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf__layout layout = ndbuf__view_layout(view);
    if (view->storage->mem.device != device) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is on another device than the plan was made for", name);
    }
    if (!layouts_equal(&layout, planned)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s has another layout than the plan was made for", name);
    }
    if (!ndbuf_format_equal(view->layout, format)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s has format '%.80s', the plan was made for '%.80s'", name,
                          ndbuf_format_text(view->layout), ndbuf_format_text(format));
    }
    return NDBUF_OK;
}

/* Whether a view is one that a plan without suboffsets was made for, and may be used now. False: look closer. */
static inline bool is_as_planned(const ndbuf_view *view, const ndbuf__layout *planned, const ndbuf_device *device,
                                 const ndbuf_format *format)
{
    bool equal = view != NULL && view->release != NULL && view->abi_version == NDBUF_ABI_VERSION &&
                 ndbuf__view_is_own(view) && view->storage->mem.device == device && view->layout == format &&
                 view->ndim == planned->ndim && view->suboffsets == NULL && view->ready == NULL;
    uint64_t differences = 0; /* no branch for each */
    for (int32_t k = 0; equal && k < planned->ndim; k++) {
        differences |=
            (uint64_t)(view->shape[k] ^ planned->shape[k]) | (uint64_t)(view->strides[k] ^ planned->strides[k]);
    }
    return equal && differences == 0;
}

/* The short way. False: it is not open. */
static bool run_at_once(const ndbuf_copy_plan *plan, const ndbuf_view *dst, const ndbuf_view *src)
{
    if (!plan->runs_at_once || !is_as_planned(dst, &plan->input.dst, plan->dst_device, plan->format) ||
        !is_as_planned(src, &plan->input.src, plan->src_device, plan->src_format) ||
        (dst->flags & NDBUF_VIEW_READONLY) != 0) {
        return false;
    }
    uintptr_t to = (uintptr_t)dst->storage->mem.host_address + (uintptr_t)dst->byte_offset;
    uintptr_t from = (uintptr_t)src->storage->mem.host_address + (uintptr_t)src->byte_offset;
    if (to + (uintptr_t)plan->dst_lo < from + (uintptr_t)plan->src_hi &&
        from + (uintptr_t)plan->src_lo < to + (uintptr_t)plan->dst_hi) {
        return false;
    }
    if (plan->has_steps) {
        const ndbuf__copy_axes *axes = &plan->plan.axes;
        plan->steps.run(&plan->steps, (char *)to + axes->dst_offset, (const char *)from + axes->src_offset);
        return true;
    }
    return ndbuf__copy_by_engine(plan->direct, &plan->plan.axes, dst, src, NULL) == NDBUF_OK;
}

/* All parts, one after the other. */
static ndbuf_status run_parts(const ndbuf_copy_plan *plan, const ndbuf_view *dst, const ndbuf_view *src,
                              ndbuf_queue *queue, ndbuf_error *err)
{
    const ndbuf__conversion *conversion = ndbuf__record_conversion(plan->cast.record);
    ndbuf_status status = NDBUF_OK;
    if (ndbuf__copy_needs_temporary(dst, src, &plan->cast)) {
        return ndbuf__copy_by_temporary(dst, src, &plan->cast, queue, err);
    }
    for (int32_t i = 0; i < plan->nparts && status == NDBUF_OK; i++) {
        ndbuf_view dst_part;
        ndbuf_view src_part;
        ndbuf__cast cast;
        const ndbuf_copy_plan *part = plan->parts[i];
        status = ndbuf__part_views(dst, src, conversion, i, &dst_part, &src_part, &cast, err);
        if (status == NDBUF_OK) {
            status = ndbuf__copy_execute(&part->plan, part->direct, &dst_part, &src_part, queue, err);
            ndbuf_view_release(&dst_part);
            ndbuf_view_release(&src_part);
        }
    }
    return status;
}

static ndbuf_status run_checked(const ndbuf_copy_plan *plan, const ndbuf_view *dst, const ndbuf_view *src,
                                ndbuf_queue *queue, ndbuf_error *err)
{
    if (plan->nparts > 0) {
        return run_parts(plan, dst, src, queue, err);
    }
    if (plan->cast.record == NULL) {
        return ndbuf__copy_execute(&plan->plan, plan->direct, dst, src, queue, err);
    }
    ndbuf_error why = {0};
    ndbuf_status status = ndbuf__copy_execute(&plan->plan, plan->direct, dst, src, queue, &why);
    if (status == NDBUF_ERR_UNSUPPORTED) {
        return ndbuf__copy_parts(dst, src, &plan->cast, queue, err);
    }
    if (status != NDBUF_OK && err != NULL) {
        *err = why;
    }
    return status;
}

ndbuf_status ndbuf_copy_plan_run(const ndbuf_copy_plan *plan, const ndbuf_view *dst, const ndbuf_view *src,
                                 ndbuf_queue *queue, ndbuf_error *err)
{
    if (queue == NULL && run_at_once(plan, dst, src)) {
        return NDBUF_OK;
    }
    ndbuf_status status = check_side(dst, &plan->input.dst, plan->dst_device, plan->format, "dst", err);
    if (status == NDBUF_OK) {
        status = check_side(src, &plan->input.src, plan->src_device, plan->src_format, "src", err);
    }
    if (status == NDBUF_OK && (dst->flags & NDBUF_VIEW_READONLY) != 0) {
        status = ndbuf_fail(err, NDBUF_ERR_READONLY, "the destination is read-only");
    }
    return status == NDBUF_OK ? run_checked(plan, dst, src, queue, err) : status;
}

/* Staged copies run beside the caller, as a host step of the queue or as steps of several; but where a device without a
 * host thread exchanges data with one of another kind, the caller waits for both. */
static bool stages_beside_caller(const ndbuf_copy_plan *plan)
{
    const ndbuf__staging *staging = &plan->plan.staging;
    uint32_t both = plan->dst_device->queue_flags ^ plan->src_device->queue_flags;
    return !(staging->fetches && staging->stores) || (both & NDBUF_QUEUE_NO_HOST_THREAD) == 0;
}

/* Whether the calls of a direct plan return from a queue at once. Where the driver may block, staging takes their place,
 * if there is a way for it. */
static bool is_asynchronous(const ndbuf_copy_plan *plan)
{
    uint32_t flags = plan->input.direct.flags;
    return (flags & NDBUF_COPY_BLOCKS) == 0 &&
           ((flags & NDBUF_COPY_MAY_BLOCK) == 0 || (plan->plan.has_staging && stages_beside_caller(plan)));
}

static ndbuf_copy_plan_info info_of(const ndbuf_copy_plan *plan)
{
    const ndbuf__plan *made = &plan->plan;
    bool staged = ndbuf__route_is_staged(made->route);
    ndbuf_copy_plan_info info = {.route = (int32_t)made->route,
                                 .ndim = made->axes.ndim,
                                 .nbytes = made->nbytes,
                                 .run_nbytes = made->axes.unit_nbytes,
                                 .ncalls = made->transfer.ncalls,
                                 .nrows = made->transfer.nrows,
                                 .temporary_nbytes = plan->temporary_nbytes,
                                 .nparts = 1,
                                 .asynchronous = is_asynchronous(plan)};
    if (staged) {
        info.ncalls = made->staging.ncalls;
        info.nrows = made->staging.nrows;
        int64_t nslots = made->staging.nboxes < NDBUF__STAGING_NSLOTS ? made->staging.nboxes : NDBUF__STAGING_NSLOTS;
        info.staging_nbytes = made->staging.box_nbytes * nslots * (made->staging.fetches + made->staging.stores);
        info.asynchronous = stages_beside_caller(plan);
    } else if (made->route == NDBUF_ROUTE_MAPPED) {
        info.ncalls = 1;
        info.nrows = ndbuf__copy_axes_nruns(&made->axes);
        info.asynchronous = 1;
    } else if (made->by_host) {
        info.ncalls = 1;
        info.nrows = ndbuf__copy_axes_nruns(&made->axes);
    }
    if (made->indirect && made->route != NDBUF_ROUTE_NONE) {
        ndbuf__host_copy copy;
        ndbuf__host_copy_prepare(&copy, &plan->cast, plan->input.dst.ndim, plan->input.dst.itemsize,
                                 plan->input.dst.shape, plan->input.dst.strides, plan->input.dst.suboffsets,
                                 plan->input.src.strides, plan->input.src.suboffsets);
        info.ndim = copy.depth + copy.axes.ndim;
        info.run_nbytes = copy.axes.unit_nbytes;
        if (!staged) {
            info.ncalls = 1;
            for (int32_t k = 0; k < copy.depth; k++) {
                info.ncalls *= copy.shape[k];
            }
            info.nrows = made->nbytes / copy.axes.unit_nbytes;
        }
    }
    return info;
}

void ndbuf_copy_plan_info_get(const ndbuf_copy_plan *plan, ndbuf_copy_plan_info *out_info)
{
    if (plan->nparts == 0) {
        *out_info = info_of(plan);
        return;
    }
    ndbuf_copy_plan_info info = info_of(plan->parts[0]);
    for (int32_t i = 1; i < plan->nparts; i++) {
        const ndbuf_copy_plan_info part = info_of(plan->parts[i]);
        info.nbytes += part.nbytes;
        info.ncalls += part.ncalls;
        info.nrows += part.nrows;
        info.staging_nbytes = part.staging_nbytes > info.staging_nbytes ? part.staging_nbytes : info.staging_nbytes;
        info.asynchronous &= part.asynchronous;
    }
    info.nparts = plan->nparts;
    info.temporary_nbytes = plan->temporary_nbytes;
    *out_info = info;
}
