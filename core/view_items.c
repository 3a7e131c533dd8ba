/* SPDX-License-Identifier: Apache-2.0 */
/* Views of the same memory with other items: a field of each, or the same bytes in another format. */
#include "ndbuf/view.h"

#include "core/checked.h"
#include "core/format_core.h"
#include "core/view_core.h"
#include "core/view_draft.h"

ndbuf_status ndbuf_view_field(const ndbuf_view *view, const char *path, ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (path == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the path of a field is NULL");
    }
    ndbuf__format_selection field;
    status = ndbuf__format_select(view->layout, path, &field, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (field.ndim > NDBUF_MAX_NDIM - view->ndim) {
        ndbuf_format_release(field.format);
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW,
                          "%d dimensions of the view and %d of field '%.100s' are more than %d", (int)view->ndim,
                          (int)field.ndim, path, NDBUF_MAX_NDIM);
    }
    ndbuf__view_draft draft;
    status = ndbuf__draft_begin(&draft, view, view->ndim + field.ndim, err);
    if (status != NDBUF_OK) {
        ndbuf_format_release(field.format);
        return status;
    }
    draft.format = field.format;
    draft.itemsize = ndbuf_format_itemsize(field.format);
    for (int32_t k = 0; k < view->ndim; k++) {
        ndbuf__draft_take(&draft, k, k);
    }
    for (int32_t k = 0; k < field.ndim; k++) {
        ndbuf__draft_set(&draft, view->ndim + k, field.extents[k], field.strides[k]);
    }
    status = ndbuf__draft_move(&draft, view->ndim, field.offset, err);
    if (status != NDBUF_OK) {
        ndbuf__draft_discard(&draft);
        return status;
    }
    ndbuf__draft_commit(&draft, out_view);
    return NDBUF_OK;
}

/* Gives the last axis the extent that its bytes have in items of `itemsize` bytes, which is not the size they have. */
static ndbuf_status resize_last_axis(ndbuf__view_draft *draft, int64_t itemsize, ndbuf_error *err)
{
    int64_t old = draft->itemsize;
    int32_t last = draft->ndim - 1;
    if (last < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "a view of no dimensions with an item of %lld bytes, read as %lld",
                          (long long)old, (long long)itemsize);
    }
    if (draft->suboffsets != NULL && draft->suboffsets[last] >= 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "axis %d leads to pointers, not to items side by side",
                          (int)last);
    }
    int64_t extent = draft->shape[last];
    if (draft->source->nbytes > 0 && extent > 1 && draft->strides[last] != old) {
        return ndbuf_fail(err, NDBUF_ERR_COPY_NEEDED, "axis %d has stride %lld: items of %lld bytes are not packed",
                          (int)last, (long long)draft->strides[last], (long long)old);
    }
    bool overflow = false;
    int64_t nbytes = ndbuf__mul_i64(extent, old, &overflow);
    if (overflow) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "axis %d of %lld items of %lld bytes exceeds 63 bits", (int)last,
                          (long long)extent, (long long)old);
    }
    if (itemsize == 0 || nbytes % itemsize != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the %lld bytes of axis %d are no multiple of %lld bytes",
                          (long long)nbytes, (int)last, (long long)itemsize);
    }
    draft->shape[last] = nbytes / itemsize;
    draft->strides[last] = itemsize;
    return NDBUF_OK;
}

ndbuf_status ndbuf_view_reinterpret(const ndbuf_view *view, ndbuf_format *format, ndbuf_view *out_view,
                                    ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (format == NULL) {
        format = ndbuf__format_bytes();
    }
    const ndbuf_format *host_only = (ndbuf_format_flags(format) & NDBUF_FORMAT_HOST_ONLY) != 0         ? format
                                    : (ndbuf_format_flags(view->layout) & NDBUF_FORMAT_HOST_ONLY) != 0 ? view->layout
                                                                                                       : NULL;
    if (host_only != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the pointers or objects in '%.100s' are not reinterpreted",
                          ndbuf_format_text(host_only));
    }
    ndbuf__view_draft draft;
    status = ndbuf__draft_begin(&draft, view, view->ndim, err);
    if (status != NDBUF_OK) {
        return status;
    }
    for (int32_t k = 0; k < draft.ndim; k++) {
        ndbuf__draft_take(&draft, k, k);
    }
    int64_t itemsize = ndbuf_format_itemsize(format);
    if (itemsize != draft.itemsize) {
        status = resize_last_axis(&draft, itemsize, err);
        if (status != NDBUF_OK) {
            ndbuf__draft_discard(&draft);
            return status;
        }
    }
    ndbuf_format_retain(format);
    draft.format = format;
    draft.itemsize = itemsize;
    ndbuf__draft_commit(&draft, out_view);
    return NDBUF_OK;
}
