/* SPDX-License-Identifier: Apache-2.0 */
/* What can be said about any view, whoever made it. */
#include "ndbuf/view.h"

#include "core/checked.h"
#include "core/view_core.h"

ndbuf__layout ndbuf__view_layout_any(const ndbuf_view *view, int64_t *scratch)
{
    if (ndbuf__view_is_own(view)) {
        return ndbuf__view_layout(view);
    }
    ndbuf__layout layout = {view->ndim, view->itemsize, view->shape, view->strides, view->suboffsets};
    int64_t *strides = scratch + NDBUF_MAX_NDIM;
    if (view->ndim > 0 && view->shape == NULL) { /* packed items, or packed bytes where they are not whole ones */
        if (view->itemsize <= 0 || view->nbytes % view->itemsize != 0) {
            layout.itemsize = 1;
        }
        scratch[0] = view->nbytes / layout.itemsize;
        strides[0] = layout.itemsize;
        layout.ndim = 1;
        layout.shape = scratch;
        layout.strides = strides;
    } else if (view->ndim > 0 && view->strides == NULL) {
        bool overflow = false;
        ndbuf__layout_fill_strides(view->ndim, view->shape, view->itemsize, 'C', strides, &overflow);
        layout.strides = strides;
    }
    return layout;
}

int64_t ndbuf_view_nitems(const ndbuf_view *view)
{
    int64_t scratch[3 * NDBUF_MAX_NDIM];
    ndbuf__layout layout = ndbuf__view_layout_any(view, scratch);
    bool overflow = false;
    return ndbuf__layout_nitems(&layout, &overflow);
}

int32_t ndbuf_view_is_contiguous(const ndbuf_view *view, char order)
{
    int64_t scratch[3 * NDBUF_MAX_NDIM];
    ndbuf__layout layout = ndbuf__view_layout_any(view, scratch);
    return ndbuf__layout_is_contiguous(&layout, order);
}

void ndbuf_view_byte_range(const ndbuf_view *view, int64_t *out_lo, int64_t *out_hi)
{
    int64_t scratch[3 * NDBUF_MAX_NDIM];
    ndbuf__layout layout = ndbuf__view_layout_any(view, scratch);
    bool overflow = false;
    int64_t lo, hi;
    ndbuf__layout_range(&layout, &lo, &hi, &overflow);
    *out_lo = ndbuf__add_i64(view->byte_offset, lo, &overflow);
    *out_hi = ndbuf__add_i64(view->byte_offset, hi, &overflow);
}
