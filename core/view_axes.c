/* SPDX-License-Identifier: Apache-2.0 */
/* Views of the same memory with other axes: sliced, fixed, permuted, added, dropped. */
#include <stdint.h>

#include "ndbuf/view.h"

#include "core/checked.h"
#include "core/storage_core.h"
#include "core/view_core.h"
#include "core/view_draft.h"

/* All axes of the source, in their order. */
static ndbuf_status begin_same_axes(ndbuf__view_draft *out_draft, const ndbuf_view *view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__draft_begin(out_draft, view, view != NULL ? view->ndim : 0, err);
    if (status != NDBUF_OK) {
        return status;
    }
    for (int32_t k = 0; k < out_draft->ndim; k++) {
        ndbuf__draft_take(out_draft, k, k);
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_view_copy(ndbuf_view *out_view, const ndbuf_view *view, ndbuf_error *err)
{
    ndbuf__view_draft draft;
    ndbuf_status status = begin_same_axes(&draft, view, err);
    if (status == NDBUF_OK) {
        ndbuf__draft_commit(&draft, out_view);
    }
    return status;
}

ndbuf_status ndbuf_view_readonly(const ndbuf_view *view, ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf__view_draft draft;
    ndbuf_status status = begin_same_axes(&draft, view, err);
    if (status == NDBUF_OK) {
        draft.flags |= NDBUF_VIEW_READONLY;
        ndbuf__draft_commit(&draft, out_view);
    }
    return status;
}

static ndbuf_status check_axis(const ndbuf_view *view, int32_t axis, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (axis < 0 || axis >= view->ndim) {
        return ndbuf_fail(err, NDBUF_ERR_INDEX, "axis %d of a view of %d dimensions", (int)axis, (int)view->ndim);
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_view_slice(const ndbuf_view *view, int32_t axis, const ndbuf_slice *slice, ndbuf_view *out_view,
                              ndbuf_error *err)
{
    ndbuf_status status = check_axis(view, axis, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t count, first, step;
    status = ndbuf_slice_indices(slice, view->dims[axis], &count, &first, &step, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf__view_draft draft;
    status = begin_same_axes(&draft, view, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t stride = draft.strides[axis];
    draft.shape[axis] = count;
    if (count > 1 && view->nbytes > 0) { /* then both lie inside the axis, and the product inside the bounds */
        draft.strides[axis] = stride * step;
    }
    if (first > 0) {
        status = ndbuf__draft_move(&draft, axis, view->nbytes > 0 ? stride * first : 0, err);
        if (status != NDBUF_OK) {
            ndbuf__draft_discard(&draft);
            return status;
        }
    }
    ndbuf__draft_commit(&draft, out_view);
    return NDBUF_OK;
}

/* Goes on where a pointer leads: a place that is named by its distance from the storage's first byte, which may be any
 * number. The draft's axes are in place. */
static void follow_pointer(ndbuf__view_draft *draft, const char *target)
{
    const ndbuf_mem *mem = &draft->source->storage->mem;
    const ndbuf__layout layout = {draft->ndim, draft->itemsize, draft->shape, draft->strides, draft->suboffsets};
    bool overflow = false;
    int64_t lo, hi;
    draft->byte_offset = (int64_t)((uintptr_t)target - (uintptr_t)mem->host_address);
    ndbuf__layout_range(&layout, &lo, &hi, &overflow);
    lo = ndbuf__add_i64(draft->byte_offset, lo, &overflow);
    hi = ndbuf__add_i64(draft->byte_offset, hi, &overflow);
    draft->has_left = overflow || lo < 0 || hi > (int64_t)mem->nbytes;
    draft->device = ndbuf_device_tag_get(draft->has_left ? ndbuf_device_cpu() : mem->device);
}

/* Makes the draft do without axis `axis`, an indirect one of the source, which was fixed at `shift` bytes from its
 * start: the axis before it follows the pointer instead; where it is the first, its pointer is followed here and now.
 */
static ndbuf_status replace_indirect_axis(ndbuf__view_draft *draft, int32_t axis, int64_t shift, ndbuf_error *err)
{
    const ndbuf_view *view = draft->source;
    int64_t suboffset = draft->from.suboffsets[axis];
    if (axis == 0) {
        if (view->nbytes > 0) {
            const char *entry = (const char *)ndbuf_view_host_address(view) + shift;
            follow_pointer(draft, ndbuf__load_pointer(entry) + suboffset);
        }
        return NDBUF_OK;
    }
    if (draft->suboffsets[axis - 1] >= 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                          "axes %d and %d both lead to pointers, so that neither can be fixed without the other",
                          (int)axis - 1, (int)axis);
    }
    ndbuf_status status = ndbuf__draft_move(draft, axis, shift, err);
    if (status == NDBUF_OK) {
        draft->suboffsets[axis - 1] = suboffset;
    }
    return status;
}

/* Drops an axis at `index`, which is inside it. */
static ndbuf_status drop_axis(const ndbuf_view *view, int32_t axis, int64_t index, ndbuf_view *out_view,
                              ndbuf_error *err)
{
    ndbuf__view_draft draft;
    ndbuf_status status = ndbuf__draft_begin(&draft, view, view->ndim - 1, err);
    if (status != NDBUF_OK) {
        return status;
    }
    for (int32_t k = 0; k < draft.ndim; k++) {
        ndbuf__draft_take(&draft, k, k < axis ? k : k + 1);
    }
    int64_t shift = index > 0 && view->nbytes > 0 ? draft.from.strides[axis] * index : 0;
    if (draft.from.suboffsets != NULL && draft.from.suboffsets[axis] >= 0) {
        status = replace_indirect_axis(&draft, axis, shift, err);
    } else {
        status = ndbuf__draft_move(&draft, axis, shift, err);
    }
    if (status != NDBUF_OK) {
        ndbuf__draft_discard(&draft);
        return status;
    }
    ndbuf__draft_commit(&draft, out_view);
    return NDBUF_OK;
}

ndbuf_status ndbuf_view_index(const ndbuf_view *view, int32_t axis, int64_t index, ndbuf_view *out_view,
                              ndbuf_error *err)
{
    ndbuf_status status = check_axis(view, axis, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t extent = view->dims[axis];
    if (index < -extent || index >= extent) {
        return ndbuf_fail(err, NDBUF_ERR_INDEX, "index %lld of axis %d, whose extent is %lld", (long long)index,
                          (int)axis, (long long)extent);
    }
    return drop_axis(view, axis, index < 0 ? index + extent : index, out_view, err);
}

ndbuf_status ndbuf_view_squeeze(const ndbuf_view *view, int32_t axis, ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_status status = check_axis(view, axis, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (view->dims[axis] != 1) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "axis %d has extent %lld, and only one of 1 can be squeezed",
                          (int)axis, (long long)view->dims[axis]);
    }
    return drop_axis(view, axis, 0, out_view, err);
}

ndbuf_status ndbuf_view_newaxis(const ndbuf_view *view, int32_t axis, ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (axis < 0 || axis > view->ndim) {
        return ndbuf_fail(err, NDBUF_ERR_INDEX, "a new axis before axis %d of a view of %d dimensions", (int)axis,
                          (int)view->ndim);
    }
    if (view->ndim == NDBUF_MAX_NDIM) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the view has %d dimensions, and no view has more", NDBUF_MAX_NDIM);
    }
    ndbuf__view_draft draft;
    status = ndbuf__draft_begin(&draft, view, view->ndim + 1, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf__draft_set(&draft, axis, 1, 0);
    for (int32_t k = 0; k < view->ndim; k++) {
        ndbuf__draft_take(&draft, k < axis ? k : k + 1, k);
    }
    ndbuf__draft_commit(&draft, out_view);
    return NDBUF_OK;
}

/* The axes up to an indirect one count before its pointer is followed, in whatever order; those after it count behind
 * it. So axes may change places as long as they stay on their side of each pointer, and the pointer is followed after
 * the last of them. */
static ndbuf_status permute_suboffsets(ndbuf__view_draft *draft, const int32_t *axes, ndbuf_error *err)
{
    int32_t begin = 0;
    for (int32_t k = 0; k < draft->ndim; k++) {
        draft->suboffsets[k] = -1;
        if (draft->from.suboffsets[k] < 0) {
            continue;
        }
        for (int32_t i = begin; i <= k; i++) {
            if (axes[i] < begin || axes[i] > k) {
                return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                                  "axis %d would move across axis %d, which leads to pointers", (int)axes[i], (int)k);
            }
        }
        draft->suboffsets[k] = draft->from.suboffsets[k];
        begin = k + 1;
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_view_permute(const ndbuf_view *view, const int32_t *axes, ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (axes == NULL && view->ndim > 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "axes is NULL");
    }
    uint64_t seen = 0;
    for (int32_t k = 0; k < view->ndim; k++) {
        if (axes[k] < 0 || axes[k] >= view->ndim || (seen >> axes[k] & 1) != 0) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "axes[%d] is %d, %s", (int)k, (int)axes[k],
                              axes[k] < 0 || axes[k] >= view->ndim ? "and the view has no such axis" : "a second time");
        }
        seen |= (uint64_t)1 << axes[k];
    }
    ndbuf__view_draft draft;
    status = ndbuf__draft_begin(&draft, view, view->ndim, err);
    if (status != NDBUF_OK) {
        return status;
    }
    for (int32_t k = 0; k < draft.ndim; k++) {
        ndbuf__draft_take(&draft, k, axes[k]);
    }
    if (draft.suboffsets != NULL) {
        status = permute_suboffsets(&draft, axes, err);
        if (status != NDBUF_OK) {
            ndbuf__draft_discard(&draft);
            return status;
        }
    }
    ndbuf__draft_commit(&draft, out_view);
    return NDBUF_OK;
}

ndbuf_status ndbuf_view_transpose(const ndbuf_view *view, ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    int32_t axes[NDBUF_MAX_NDIM] = {0};
    for (int32_t k = 0; k < view->ndim; k++) {
        axes[k] = view->ndim - 1 - k;
    }
    return ndbuf_view_permute(view, axes, out_view, err);
}
