/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_VIEW_CORE_H
#define NDBUF_CORE_VIEW_CORE_H

#include <stdbool.h>

#include "ndbuf/view.h"

#include "core/layout.h"

/* Bits of ndbuf_view.held. */
enum {
    NDBUF__HOLDS_OWNER = 1u << 0,
    NDBUF__HOLDS_LAYOUT = 1u << 1, /* a reference to `layout`; else the owner keeps the format */
    NDBUF__HOLDS_DIMS = 1u << 2,   /* `dims` is on the heap and this view's own */
    NDBUF__HOLDS_READY = 1u << 3
};

/* The address that ndbuf_owner.library has in all objects of this copy of the library. */
extern const char ndbuf__library;

/* Whether this copy of the library made the view: only then may its private fields be used. */
static inline bool ndbuf__view_is_own(const ndbuf_view *view)
{
    return view->owner != NULL && view->owner->library == &ndbuf__library;
}

/* Statuses: NDBUF_ERR_INVALID (NULL or empty), NDBUF_ERR_ABI (foreign). `name` is the argument's, for the text. */
ndbuf_status ndbuf__view_check(const ndbuf_view *view, const char *name, ndbuf_error *err);

/* The release function of all views of this library. */
void ndbuf__view_release(ndbuf_view *view);

/* The layout of a view that this library made: ndim, shape, strides and suboffsets as they are, whatever of them an
 * acquired view shows. Valid as long as the view. */
ndbuf__layout ndbuf__view_layout(const ndbuf_view *view);

/* The same of any view. Missing arrays are written to `scratch` (3 * NDBUF_MAX_NDIM entries). */
ndbuf__layout ndbuf__view_layout_any(const ndbuf_view *view, int64_t *scratch);

/* Fills all fields of a new view of `storage`: checks nothing. Its dims are `layout`'s, copied; it retains the storage
 * as its owner, `format`, and `ready` unless NULL. Statuses: NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__view_fill(ndbuf_view *out_view, ndbuf_storage *storage, ndbuf_format *format, int64_t byte_offset,
                              const ndbuf__layout *layout, uint32_t flags, ndbuf_event *ready, ndbuf_error *err);

#endif
