/* SPDX-License-Identifier: Apache-2.0 */
#include "core/view_draft.h"

#include "core/checked.h"
#include "core/host_alloc.h"
#include "core/view_core.h"

ndbuf_status ndbuf__draft_begin(ndbuf__view_draft *out_draft, const ndbuf_view *source, int32_t ndim, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(source, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t *dims = out_draft->dims_inline;
    out_draft->dims_heap = NULL;
    if (ndim > NDBUF_INLINE_NDIM) {
        dims = out_draft->dims_heap = ndbuf__malloc(3 * (size_t)ndim * sizeof(*dims));
        if (dims == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the shape of a view of %d dimensions", (int)ndim);
        }
    }
    out_draft->source = source;
    out_draft->from = ndbuf__view_layout(source);
    out_draft->format = NULL;
    out_draft->byte_offset = source->byte_offset;
    out_draft->itemsize = source->itemsize;
    out_draft->flags = source->flags;
    out_draft->device = source->device;
    out_draft->has_left = source->has_left;
    out_draft->ndim = ndim;
    out_draft->shape = dims;
    out_draft->strides = dims + ndim;
    out_draft->suboffsets = source->suboffsets != NULL ? dims + 2 * ndim : NULL;
    return NDBUF_OK;
}

ndbuf_status ndbuf__draft_move(ndbuf__view_draft *draft, int32_t axis, int64_t nbytes, ndbuf_error *err)
{
    if (draft->source->nbytes == 0) {
        return NDBUF_OK;
    }
    int64_t *place = &draft->byte_offset;
    int32_t indirect = axis - 1;
    if (draft->suboffsets != NULL) {
        while (indirect >= 0 && draft->suboffsets[indirect] < 0) {
            indirect--;
        }
        if (indirect >= 0) {
            place = &draft->suboffsets[indirect];
        }
    }
    bool overflow = false;
    int64_t moved = ndbuf__add_i64(*place, nbytes, &overflow);
    if (overflow) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "offset %lld moved by %lld bytes exceeds 63 bits", (long long)*place,
                          (long long)nbytes);
    }
    if (place != &draft->byte_offset && moved < 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                          "suboffset %lld of axis %d would become %lld, and a negative one follows no pointer",
                          (long long)*place, (int)indirect, (long long)moved);
    }
    *place = moved;
    return NDBUF_OK;
}

void ndbuf__draft_discard(ndbuf__view_draft *draft)
{
    ndbuf__free(draft->dims_heap);
    ndbuf_format_release(draft->format);
}

/* Gives up the references of a view that is about to be overwritten by one derived from it; the owner's and the event's
 * pass on. */
static void replace_source(ndbuf__view_draft *draft, ndbuf_view *view)
{
    if ((view->held & NDBUF__HOLDS_DIMS) != 0) {
        ndbuf__free(view->dims);
        view->held &= ~(uint32_t)NDBUF__HOLDS_DIMS;
    }
    if (draft->format != NULL && (view->held & NDBUF__HOLDS_LAYOUT) != 0) {
        ndbuf_format_release(view->layout);
    }
}

/* Gives a new view references of its own to what the source holds or relies on. */
static void share_source(const ndbuf__view_draft *draft, ndbuf_view *view)
{
    const ndbuf_view *source = draft->source;
    view->abi_version = NDBUF_ABI_VERSION;
    view->handle = source->handle;
    view->storage_nbytes = source->storage_nbytes;
    view->reserved = 0;
    view->ready = source->ready;
    view->owner = source->owner;
    view->release = ndbuf__view_release;
    view->storage = source->storage;
    view->layout = source->layout;
    view->held = NDBUF__HOLDS_OWNER | (source->held & (NDBUF__HOLDS_LAYOUT | NDBUF__HOLDS_READY));
    view->owner->retain(view->owner);
    if ((view->held & NDBUF__HOLDS_LAYOUT) != 0 && draft->format == NULL) {
        ndbuf_format_retain(view->layout);
    }
    if ((view->held & NDBUF__HOLDS_READY) != 0) {
        ndbuf_event_retain(view->ready);
    }
}

void ndbuf__draft_commit(ndbuf__view_draft *draft, ndbuf_view *out_view)
{
    if (out_view == draft->source) {
        replace_source(draft, out_view);
    } else {
        share_source(draft, out_view);
    }
    if (draft->format != NULL) {
        out_view->layout = draft->format;
        out_view->held |= NDBUF__HOLDS_LAYOUT;
    }
    int32_t ndim = draft->ndim;
    if (draft->dims_heap != NULL) {
        out_view->dims = draft->dims_heap;
        out_view->held |= NDBUF__HOLDS_DIMS;
    } else {
        out_view->dims = out_view->dims_inline;
        int32_t count = (draft->suboffsets != NULL ? 3 : 2) * ndim;
        for (int32_t k = 0; k < count; k++) { /* faster than memcpy: these have only just been written, one by one */
            out_view->dims_inline[k] = draft->dims_inline[k];
        }
    }
    out_view->flags = draft->flags;
    out_view->device = draft->device;
    out_view->has_left = draft->has_left;
    ndbuf__view_finish(out_view, ndim, draft->itemsize, draft->byte_offset, draft->suboffsets != NULL);
}
