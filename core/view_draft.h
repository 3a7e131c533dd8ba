/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_VIEW_DRAFT_H
#define NDBUF_CORE_VIEW_DRAFT_H

#include "ndbuf/view.h"

#include "core/layout.h"

/* A view in the making, derived from another one. Everything that can fail happens to the draft; committing it cannot,
 * so that the result may replace the source, and nothing is written before all is known to be right. */
typedef struct ndbuf__view_draft {
    const ndbuf_view *source;
    ndbuf__layout from;   /* the source's layout */
    ndbuf_format *format; /* NULL: the source's; else a new one, the draft's reference */
    int64_t byte_offset;
    int64_t itemsize;
    uint32_t flags;
    ndbuf_device_tag device;
    int32_t has_left;
    int32_t ndim;
    int64_t *shape;      /* ndim entries, to be written by the caller, like the next two */
    int64_t *strides;    /* ndim entries */
    int64_t *suboffsets; /* ndim entries; NULL: the source has none */
    int64_t *dims_heap;  /* the three arrays, where they are too long for dims_inline */
    int64_t dims_inline[3 * NDBUF_INLINE_NDIM];
} ndbuf__view_draft;

/* Begins a view of `ndim` dimensions; the other fields are the source's. Statuses of ndbuf__view_check, and
 * NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__draft_begin(ndbuf__view_draft *out_draft, const ndbuf_view *source, int32_t ndim, ndbuf_error *err);

/* Axis `to` of the draft becomes axis `axis` of the source. */
static inline void ndbuf__draft_take(ndbuf__view_draft *draft, int32_t to, int32_t axis)
{
    draft->shape[to] = draft->from.shape[axis];
    draft->strides[to] = draft->from.strides[axis];
    if (draft->suboffsets != NULL) {
        draft->suboffsets[to] = draft->from.suboffsets[axis];
    }
}

/* Axis `to` becomes a direct one of this extent and stride. */
static inline void ndbuf__draft_set(ndbuf__view_draft *draft, int32_t to, int64_t extent, int64_t stride)
{
    draft->shape[to] = extent;
    draft->strides[to] = stride;
    if (draft->suboffsets != NULL) {
        draft->suboffsets[to] = -1;
    }
}

/* Moves all items by `nbytes` at the place where axis `axis` begins to count: behind the last pointer that is followed
 * before it, or else at the start. Axes 0 .. axis - 1 must be written. A view without bytes is not moved: its strides
 * mean nothing.
 *
 * NDBUF_ERR_OVERFLOW     beyond 63 bits
 * NDBUF_ERR_UNSUPPORTED  a suboffset would become negative, which means something else */
ndbuf_status ndbuf__draft_move(ndbuf__view_draft *draft, int32_t axis, int64_t nbytes, ndbuf_error *err);

/* Ends a draft that came to nothing. */
void ndbuf__draft_discard(ndbuf__view_draft *draft);

/* Makes the view: of shape times item size that fit into 63 bits. */
void ndbuf__draft_commit(ndbuf__view_draft *draft, ndbuf_view *out_view);

#endif
