/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_VIEW_CORE_H
#define NDBUF_CORE_VIEW_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "ndbuf/view.h"

#include "core/compiler.h"
#include "core/layout.h"

/* Bits of ndbuf_view.held. */
enum {
    NDBUF__HOLDS_OWNER = 1u << 0,
    NDBUF__HOLDS_LAYOUT = 1u << 1, /* a reference to `layout`; else the owner keeps the format */
    NDBUF__HOLDS_DIMS = 1u << 2,   /* `dims` is on the heap and this view's own */
    NDBUF__HOLDS_READY = 1u << 3
};

/* The fields of a view before its inline arrays: all that an empty view has, and all of one whose arrays lie elsewhere.
 */
#define NDBUF__VIEW_HEAD_NBYTES offsetof(ndbuf_view, dims_inline)

/* The address that ndbuf_owner.library has in all objects of this copy of the library. */
extern const char ndbuf__library;

/* Whether the view holds one of the owners of this copy of the library. Views that others make may, too. */
static inline bool ndbuf__view_has_own_owner(const ndbuf_view *view)
{
    return view->owner != NULL && view->owner->library == &ndbuf__library;
}

/* Whether this copy of the library made the view: only then may its private fields be used. Others leave them zero. */
static inline bool ndbuf__view_is_own(const ndbuf_view *view)
{
    return ndbuf__view_has_own_owner(view) && view->layout != NULL;
}

/* What ndbuf__view_check says of a view that is NULL, empty or foreign. */
ndbuf_status ndbuf__view_refuse(const ndbuf_view *view, const char *name, ndbuf_error *err);

/* Whether the view is neither NULL nor empty nor foreign. */
static inline bool ndbuf__view_is_good(const ndbuf_view *view)
{
    return view != NULL && view->release != NULL && view->abi_version == NDBUF_ABI_VERSION && ndbuf__view_is_own(view);
}

/* Statuses: NDBUF_ERR_INVALID (NULL or empty), NDBUF_ERR_ABI (foreign). `name` is the argument's, for the text. */
static inline ndbuf_status ndbuf__view_check(const ndbuf_view *view, const char *name, ndbuf_error *err)
{
    return NDBUF__LIKELY(ndbuf__view_is_good(view)) ? NDBUF_OK : ndbuf__view_refuse(view, name, err);
}

/* Statuses: NDBUF_ERR_INVALID (ndim outside 0 .. 64, shape missing, a negative extent). */
ndbuf_status ndbuf__shape_check(int32_t ndim, const int64_t *shape, ndbuf_error *err);

/* Marks a view as empty. Not all of it is cleared: that would cost more than all else in releasing it. */
static inline void ndbuf__view_empty(ndbuf_view *view)
{
    view->release = NULL;
    view->owner = NULL;
    view->handle = NULL;
}

/* The release function of the views of this library. */
void ndbuf__view_release(ndbuf_view *view);

/* The layout of a view that this library made: ndim, shape, strides and suboffsets as they are, whatever of them an
 * acquired view shows. Valid as long as the view. */
static inline ndbuf__layout ndbuf__view_layout(const ndbuf_view *view)
{
    return (ndbuf__layout){view->ndim, view->itemsize, view->dims, view->ndim > 0 ? view->dims + view->ndim : NULL,
                           view->suboffsets};
}

/* The same of any view. Missing arrays are written to `scratch` (3 * NDBUF_MAX_NDIM entries). */
ndbuf__layout ndbuf__view_layout_any(const ndbuf_view *view, int64_t *scratch);

/* Whether the host can follow addresses in this kind of memory. */
static inline bool ndbuf__device_is_host(ndbuf_device_tag tag)
{
    return tag.type == NDBUF_DEVICE_CPU || tag.type == NDBUF_DEVICE_CUDA_HOST || tag.type == NDBUF_DEVICE_CUDA_MANAGED;
}

/* Whether handles are addresses, all in one address space: the host's, and CUDA's, which is unified with it. */
static inline bool ndbuf__device_has_addresses(ndbuf_device_tag tag)
{
    return ndbuf__device_is_host(tag) || tag.type == NDBUF_DEVICE_CUDA;
}

/* The pointer at an address that need not be aligned. */
static inline char *ndbuf__load_pointer(const char *address)
{
    char *pointer;
    memcpy(&pointer, address, sizeof(pointer));
    return pointer;
}

/* The host address of the part of a view that `index` (`ndim` entries) leads to; `address` is the view's. Follows the
 * pointers of these axes. */
static inline char *ndbuf__address_at(const ndbuf__layout *layout, char *address, const int64_t *index, int32_t ndim)
{
    for (int32_t k = 0; k < ndim; k++) {
        if (index[k] > 0) { /* the stride of a single item means nothing */
            address += index[k] * layout->strides[k];
        }
        if (layout->suboffsets != NULL && layout->suboffsets[k] >= 0) {
            address = ndbuf__load_pointer(address) + layout->suboffsets[k];
        }
    }
    return address;
}

/* Sets the fields that follow from `dims` and `layout`, which are in place: arrays, sizes, format text. Shape times
 * itemsize fits into 63 bits. Suboffsets that are all negative become none. */
void ndbuf__view_finish(ndbuf_view *view, int32_t ndim, int64_t itemsize, int64_t byte_offset, bool has_suboffsets);

/* Fills all fields of a new view of `storage`: checks nothing. Its dims are `layout`'s, copied; it retains the storage
 * as its owner, `format`, and `ready` unless NULL. Statuses: NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__view_fill(ndbuf_view *out_view, ndbuf_storage *storage, ndbuf_format *format, int64_t byte_offset,
                              const ndbuf__layout *layout, uint32_t flags, ndbuf_event *ready, ndbuf_error *err);

#endif
