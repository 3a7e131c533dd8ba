/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_core.h"

#include "core/kept_plan.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* One side: the view's axes, and the part's behind them; behind pointers, the part's offset is, too. `known`: the
 * format of the part's elements, NULL: it is made. */
static ndbuf_status part_view(ndbuf_view *out_view, const ndbuf_view *view, ndbuf_format *known, int64_t nbytes,
                              int64_t offset, int32_t ndim, const int64_t *shape, const int64_t *strides,
                              ndbuf_error *err)
{
    int64_t dims[3][NDBUF_MAX_NDIM];
    ndbuf__layout layout = ndbuf__view_layout(view);
    int32_t indirect = -1;
    if (layout.ndim + ndim > NDBUF_MAX_NDIM) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                          "a field of %d axes in a view of %d: more than %d cannot be converted one by one", (int)ndim,
                          (int)layout.ndim, NDBUF_MAX_NDIM);
    }
    for (int32_t k = 0; k < layout.ndim + ndim; k++) {
        bool own = k < layout.ndim;
        dims[0][k] = own ? layout.shape[k] : shape[k - layout.ndim];
        dims[1][k] = own ? layout.strides[k] : strides[k - layout.ndim];
        dims[2][k] = own && layout.suboffsets != NULL ? layout.suboffsets[k] : -1;
        indirect = dims[2][k] >= 0 ? k : indirect;
    }
    int64_t byte_offset = view->byte_offset;
    if (indirect >= 0) {
        dims[2][indirect] += offset;
    } else {
        byte_offset += offset;
    }
    layout = (ndbuf__layout){layout.ndim + ndim, nbytes, dims[0], dims[1], layout.suboffsets != NULL ? dims[2] : NULL};
    ndbuf_format *format = known;
    ndbuf_status status = NDBUF_OK;
    if (known == NULL) {
        status = ndbuf_format_create(NDBUF_KIND_OPAQUE, nbytes, '=', &format, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    status = ndbuf__view_fill(out_view, view->storage, format, byte_offset, &layout, view->flags, view->ready, err);
    if (status == NDBUF_OK) {
        out_view->device = view->device;
        out_view->has_left = view->has_left;
    }
    if (known == NULL) {
        ndbuf_format_release(format);
    }
    return status;
}

ndbuf_status ndbuf__part_views(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__conversion *conversion,
                               int32_t part, const ndbuf_copy_plan *kept, ndbuf_view *out_dst, ndbuf_view *out_src,
                               ndbuf__cast *out_cast, ndbuf_error *err)
{
    const ndbuf__conversion_part *what = &conversion->parts[part];
    ndbuf_format *dst_format = kept != NULL ? kept->dst.format : NULL;
    ndbuf_format *src_format = kept != NULL ? kept->src.format : NULL;
    ndbuf_status status = part_view(out_dst, dst, dst_format, what->dst.nbytes, what->dst_offset, what->ndim,
                                    what->shape, what->dst_strides, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = part_view(out_src, src, src_format, what->src.nbytes, what->src_offset, what->ndim, what->shape,
                       what->src_strides, err);
    if (status != NDBUF_OK) {
        ndbuf_view_release(out_dst);
        return status;
    }
    *out_cast = (ndbuf__cast){.convert = ndbuf__part_convert(what, conversion->flags)};
    return NDBUF_OK;
}

ndbuf_status ndbuf__copy_parts(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                               ndbuf_queue *queue, ndbuf_error *err)
{
    const ndbuf__conversion *conversion = ndbuf__record_conversion(cast->record);
    ndbuf_status status = NDBUF_OK;
    if (ndbuf__copy_needs_temporary(dst, src, cast)) {
        return ndbuf__copy_by_temporary(dst, src, cast, queue, err);
    }
    for (int32_t i = 0; i < conversion->nparts && status == NDBUF_OK; i++) {
        ndbuf_view dst_part;
        ndbuf_view src_part;
        ndbuf__cast part_cast;
        status = ndbuf__part_views(dst, src, conversion, i, NULL, &dst_part, &src_part, &part_cast, err);
        if (status == NDBUF_OK) {
            status = ndbuf__copy_as(&dst_part, &src_part, &part_cast, queue, err);
            ndbuf_view_release(&dst_part);
            ndbuf_view_release(&src_part);
        }
    }
    return status;
}
