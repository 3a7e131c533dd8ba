/* SPDX-License-Identifier: Apache-2.0 */
#include "core/kept_plan.h"

#include <stddef.h>
#include <string.h>

#include "core/compiler.h"
#include "core/copy_stage.h"
#include "core/device_core.h"
#include "core/host_alloc.h"
#include "core/host_copy.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* Copies `count` entries of an array of a layout to `dims`. Returns the copy; NULL stays NULL. */
static const int64_t *adopt(const int64_t *array, int32_t count, int64_t *dims)
{
    if (array != NULL && count > 0) {
        memcpy(dims, array, (size_t)count * sizeof(*dims));
    }
    return array != NULL ? dims : NULL;
}

static void side_init(ndbuf__kept_side *side, const ndbuf_view *view)
{
    const ndbuf__layout layout = ndbuf__view_layout(view);
    const int32_t ndim = layout.ndim;
    side->device = ndbuf__view_device(view);
    side->format = view->layout;
    side->layout = layout;
    side->layout.shape = adopt(layout.shape, ndim, side->dims);
    side->layout.strides = adopt(layout.strides, ndim, side->dims + ndim);
    side->layout.suboffsets = adopt(layout.suboffsets, ndim, side->dims + (ptrdiff_t)2 * ndim);
    ndbuf__device_retain(side->device);
    ndbuf_format_retain(side->format);
}

static void side_clear(ndbuf__kept_side *side)
{
    ndbuf_format_release(side->format);
    ndbuf_device_close(side->device);
}

/* Prepares the short way of ndbuf_copy_plan_run, for the destination's address too. */
static ndbuf_status prepare_at_once(ndbuf_copy_plan *kept, const ndbuf_view *dst, ndbuf_error *err)
{
    const ndbuf__plan *plan = &kept->plan;
    kept->runs_at_once =
        kept->direct == ndbuf_device_cpu() && !plan->indirect &&
        (plan->route == NDBUF_ROUTE_STRIDED || (plan->route == NDBUF_ROUTE_BYTES && plan->axes.ndim == 0));
    if (kept->runs_at_once) {
        ndbuf__short_way_init(&kept->way, &kept->room.arrangement, kept->room.offsets, NDBUF__HOST_STEPS_MAX,
                              &plan->axes);
        if (!kept->way.has_steps) {
            const ndbuf__record *parts = ndbuf__cast_parts(&plan->cast);
            char *to = ndbuf__short_way_place(dst) + plan->axes.dst_offset;
            return ndbuf__host_plan_create(&plan->axes, parts != NULL ? ndbuf__record_conversion(parts) : NULL, to,
                                           &kept->host, err);
        }
    }
    return NDBUF_OK;
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
        status = ndbuf__part_views(dst, src, conversion, i, NULL, &dst_part, &src_part, &cast, err);
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
    side_init(&kept->dst, dst);
    side_init(&kept->src, src);
    kept->input = input;
    kept->input.dst = kept->dst.layout;
    kept->input.src = kept->src.layout;
    kept->direct = direct;
    kept->cast = *cast;
    kept->casting = NDBUF_CASTING_EQUIV;
    kept->nparts = 0;
    kept->parts = NULL;
    kept->host = NULL;
    kept->temporary_nbytes = ndbuf__copy_needs_temporary(dst, src, cast) ? src->nbytes : 0;
    ndbuf__record_retain(kept->cast.record);
    ndbuf_status status = ndbuf__plan_make(&kept->plan, &kept->input, &why);
    if (status == NDBUF_ERR_UNSUPPORTED && cast->record != NULL) {
        status = plan_parts(kept, dst, src, err);
    } else if (status != NDBUF_OK && err != NULL) {
        *err = why;
    }
    if (status == NDBUF_OK) {
        status = prepare_at_once(kept, dst, err);
    }
    if (status != NDBUF_OK) {
        ndbuf_copy_plan_destroy(kept);
        return status;
    }
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
        ndbuf__host_plan_destroy(plan->host);
        ndbuf__record_release(plan->cast.record);
        side_clear(&plan->src);
        side_clear(&plan->dst);
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

static ndbuf_status check_side(const ndbuf_view *view, const ndbuf__kept_side *side, const char *name, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, name, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf__layout layout = ndbuf__view_layout(view);
    if (ndbuf__view_device(view) != side->device) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is on another device than the plan was made for", name);
    }
    if (!layouts_equal(&layout, &side->layout)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s has another layout than the plan was made for", name);
    }
    if (!ndbuf_format_equal(view->layout, side->format)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s has format '%.80s', the plan was made for '%.80s'", name,
                          ndbuf_format_text(view->layout), ndbuf_format_text(side->format));
    }
    return NDBUF_OK;
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
        status = ndbuf__part_views(dst, src, conversion, i, part, &dst_part, &src_part, &cast, err);
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

static NDBUF__NOINLINE ndbuf_status check_and_run(const ndbuf_copy_plan *plan, const ndbuf_view *dst,
                                                  const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf_status status = check_side(dst, &plan->dst, "dst", err);
    if (status == NDBUF_OK) {
        status = check_side(src, &plan->src, "src", err);
    }
    if (status == NDBUF_OK && (dst->flags & NDBUF_VIEW_READONLY) != 0) {
        status = ndbuf_fail(err, NDBUF_ERR_READONLY, "the destination is read-only");
    }
    return status == NDBUF_OK ? run_checked(plan, dst, src, queue, err) : status;
}

/* -- the short way -- */

/* Whether the view is one of this library's, and of the side's format. */
static inline bool has_format(const ndbuf_view *view, const ndbuf__kept_side *side)
{
    return view != NULL && ndbuf__view_has_own_owner(view) && view->layout == side->format;
}

/* 0: such a view is what a side without suboffsets was made for, as far as its extents and strides do not tell. */
static inline uint64_t side_differences(const ndbuf_view *view, const ndbuf__kept_side *side)
{
    return ndbuf__view_differences(view, side->device) | (uint32_t)(view->ndim ^ side->layout.ndim);
}

static NDBUF__NOINLINE ndbuf_status run_by_engine(const ndbuf_copy_plan *plan, const ndbuf_view *dst,
                                                  const ndbuf_view *src, ndbuf_error *err)
{
    const ndbuf__copy_axes *axes = &plan->plan.axes;
    char *to = ndbuf__short_way_place(dst) + axes->dst_offset;
    const char *from = ndbuf__short_way_place(src) + axes->src_offset;
    if (plan->host != NULL && ndbuf__host_plan_run(plan->host, to, from)) {
        return NDBUF_OK;
    }
    if (ndbuf__cast_parts(&plan->plan.cast) == NULL &&
        ndbuf__copy_by_engine(plan->direct, axes, dst, src, NULL) == NDBUF_OK) {
        return NDBUF_OK;
    }
    return check_and_run(plan, dst, src, NULL, err);
}

ndbuf_status ndbuf_copy_plan_run(const ndbuf_copy_plan *plan, const ndbuf_view *dst, const ndbuf_view *src,
                                 ndbuf_queue *queue, ndbuf_error *err)
{
    if (queue != NULL || !plan->runs_at_once || !has_format(dst, &plan->dst) || !has_format(src, &plan->src) ||
        (dst->flags & NDBUF_VIEW_READONLY) != 0 ||
        (side_differences(dst, &plan->dst) | side_differences(src, &plan->src)) != 0 ||
        ndbuf__dims_differences(plan->dst.layout.ndim, dst->dims, plan->dst.dims, src->dims, plan->src.dims) != 0) {
        return check_and_run(plan, dst, src, queue, err);
    }
    char *to = ndbuf__short_way_place(dst);
    const char *from = ndbuf__short_way_place(src);
    if (!ndbuf__short_way_is_apart(&plan->way, to, from)) {
        return check_and_run(plan, dst, src, queue, err);
    }
    return plan->way.has_steps ? ndbuf__short_way_run(&plan->way, to, from) : run_by_engine(plan, dst, src, err);
}

/* -- what a plan does -- */

/* Staged copies run beside the caller, as a host step of the queue or as steps of several; but where a device without a
 * host thread exchanges data with one of another kind, the caller waits for both. */
static bool stages_beside_caller(const ndbuf_copy_plan *plan)
{
    const ndbuf__staging *staging = &plan->plan.staging;
    uint32_t both = plan->dst.device->queue_flags ^ plan->src.device->queue_flags;
    return !(staging->fetches && staging->stores) || (both & NDBUF_QUEUE_NO_HOST_THREAD) == 0;
}

/* Whether the calls of a direct plan return from a queue at once. Where the driver may block, staging takes their
 * place, if there is a way for it, and within the host's memory the host's engine. */
static bool is_asynchronous(const ndbuf_copy_plan *plan)
{
    uint32_t flags = plan->input.direct.flags;
    return (flags & NDBUF_COPY_BLOCKS) == 0 &&
           ((flags & NDBUF_COPY_MAY_BLOCK) == 0 || (plan->input.dst_is_host && plan->input.src_is_host) ||
            (plan->plan.has_staging && stages_beside_caller(plan)));
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
    } else if (made->by_host && made->route != NDBUF_ROUTE_NONE) {
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
