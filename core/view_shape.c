/* SPDX-License-Identifier: Apache-2.0 */
/* Views of the same items under another shape. */
#include "ndbuf/view.h"

#include "core/checked.h"
#include "core/view_core.h"
#include "core/view_draft.h"

ndbuf_status ndbuf__shape_check(int32_t ndim, const int64_t *shape, ndbuf_error *err)
{
    if (ndim < 0 || ndim > NDBUF_MAX_NDIM) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "ndim is %d, not 0 .. %d", (int)ndim, NDBUF_MAX_NDIM);
    }
    if (ndim > 0 && shape == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "shape is NULL, but ndim is %d", (int)ndim);
    }
    for (int32_t k = 0; k < ndim; k++) {
        if (shape[k] < 0) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "the extent of axis %d is %lld", (int)k, (long long)shape[k]);
        }
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_view_broadcast(const ndbuf_view *view, int32_t ndim, const int64_t *shape, ndbuf_view *out_view,
                                  ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status == NDBUF_OK) {
        status = ndbuf__shape_check(ndim, shape, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (ndim < view->ndim) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "a view of %d dimensions cannot be broadcast to %d", (int)view->ndim,
                          (int)ndim);
    }
    ndbuf__view_draft draft;
    status = ndbuf__draft_begin(&draft, view, ndim, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int32_t nfront = ndim - view->ndim;
    bool repeats = false;
    for (int32_t k = 0; k < ndim; k++) {
        if (k < nfront) {
            ndbuf__draft_set(&draft, k, shape[k], 0);
            repeats = repeats || shape[k] > 1;
            continue;
        }
        ndbuf__draft_take(&draft, k, k - nfront);
        if (draft.shape[k] == shape[k]) {
            continue;
        }
        if (draft.shape[k] != 1) {
            status = ndbuf_fail(err, NDBUF_ERR_INVALID, "axis %d of extent %lld cannot be broadcast to %lld",
                                (int)(k - nfront), (long long)draft.shape[k], (long long)shape[k]);
            goto fail;
        }
        draft.shape[k] = shape[k];
        draft.strides[k] = 0;
        repeats = repeats || shape[k] > 1;
    }
    bool overflow = false;
    ndbuf__layout result = {ndim, draft.itemsize, draft.shape, draft.strides, NULL};
    int64_t nitems = ndbuf__layout_nitems(&result, &overflow);
    if (overflow) {
        status = ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the shape broadcast to, times %lld bytes, exceeds 63 bits",
                            (long long)draft.itemsize);
        goto fail;
    }
    if (repeats && nitems > 0) {
        draft.flags |= NDBUF_VIEW_READONLY;
    }
    ndbuf__draft_commit(&draft, out_view);
    return NDBUF_OK;
fail:
    ndbuf__draft_discard(&draft);
    return status;
}

/* The items of a layout as a sequence of runs in constant steps, read from the fastest axis to the slowest. */
typedef struct run_reader {
    const ndbuf__layout *layout;
    bool last_fastest; /* C order */
    int32_t next;      /* axes read, counted from the fastest */
    int64_t count;     /* items left in the run */
    int64_t stride;    /* bytes between them */
} run_reader;

static int32_t axis_from_fastest(int32_t k, int32_t ndim, bool last_fastest)
{
    return last_fastest ? ndim - 1 - k : k;
}

/* Goes on to the next run: the next axis that has more than one item, with all the following that continue it. */
static void read_run(run_reader *reader)
{
    const ndbuf__layout *layout = reader->layout;
    for (; reader->next < layout->ndim; reader->next++) {
        int32_t k = axis_from_fastest(reader->next, layout->ndim, reader->last_fastest);
        if (layout->shape[k] == 1) {
            continue;
        }
        if (reader->count == 1) {
            reader->count = layout->shape[k];
            reader->stride = layout->strides[k];
            continue;
        }
        bool overflow = false;
        int64_t continued = ndbuf__mul_i64(reader->stride, reader->count, &overflow);
        if (overflow || layout->strides[k] != continued) {
            return;
        }
        reader->count *= layout->shape[k];
    }
}

/* Gives the strides under which `shape` reads the items of a layout in the same order. Each new axis of more than one
 * item must lie within one run. False: it does not. */
static bool reshaped_strides(const ndbuf__layout *layout, int32_t ndim, const int64_t *shape, bool last_fastest,
                             int64_t *out_strides)
{
    run_reader reader = {layout, last_fastest, 0, 1, layout->itemsize};
    for (int32_t i = 0; i < ndim; i++) {
        int32_t k = axis_from_fastest(i, ndim, last_fastest);
        if (shape[k] > 1 && reader.count == 1) {
            read_run(&reader);
        }
        if (reader.count % shape[k] != 0) {
            return false;
        }
        out_strides[k] = reader.stride;
        reader.count /= shape[k];
        if (reader.count > 1) { /* else the product may overflow, and is not needed */
            reader.stride *= shape[k];
        }
    }
    return true;
}

static bool same_shape(const ndbuf__layout *layout, int32_t ndim, const int64_t *shape)
{
    bool same = layout->ndim == ndim;
    for (int32_t k = 0; same && k < ndim; k++) {
        same = layout->shape[k] == shape[k];
    }
    return same;
}

ndbuf_status ndbuf_view_reshape(const ndbuf_view *view, int32_t ndim, const int64_t *shape, char order,
                                ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status == NDBUF_OK) {
        status = ndbuf__shape_check(ndim, shape, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (order != 'C' && order != 'F') {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the order of a reshape is 'C' or 'F', not character %d", order);
    }
    bool overflow = false;
    ndbuf__layout wanted = {ndim, view->itemsize, shape, NULL, NULL};
    int64_t nitems = ndbuf__layout_nitems(&wanted, &overflow);
    if (overflow || nitems != ndbuf_view_nitems(view)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the view has %lld items, the new shape %s%lld",
                          (long long)ndbuf_view_nitems(view), overflow ? "more than " : "",
                          (long long)(overflow ? INT64_MAX : nitems));
    }
    ndbuf__view_draft draft;
    status = ndbuf__draft_begin(&draft, view, ndim, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (draft.suboffsets != NULL && nitems > 0 && same_shape(&draft.from, ndim, shape)) {
        for (int32_t k = 0; k < ndim; k++) {
            ndbuf__draft_take(&draft, k, k);
        }
        ndbuf__draft_commit(&draft, out_view);
        return NDBUF_OK;
    }
    for (int32_t k = 0; k < ndim; k++) {
        ndbuf__draft_set(&draft, k, shape[k], 0);
    }
    if (nitems == 0) {
        ndbuf__layout_fill_strides(ndim, shape, view->itemsize, order, draft.strides, &overflow);
        if (overflow) {
            status = ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the strides of the new shape exceed 63 bits");
            goto fail;
        }
    } else if (draft.suboffsets != NULL) {
        status = ndbuf_fail(err, NDBUF_ERR_COPY_NEEDED, "a view with suboffsets cannot take another shape");
        goto fail;
    } else if (!reshaped_strides(&draft.from, ndim, shape, order == 'C', draft.strides)) {
        status =
            ndbuf_fail(err, NDBUF_ERR_COPY_NEEDED,
                       "the strides allow no view of this shape in %c order: an axis would need two strides", order);
        goto fail;
    }
    ndbuf__draft_commit(&draft, out_view);
    return NDBUF_OK;
fail:
    ndbuf__draft_discard(&draft);
    return status;
}
