/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_axes.h"

int64_t ndbuf__copy_axes_nunits(const ndbuf__copy_axes *axes)
{
    int64_t nunits = 1;
    for (int32_t k = 0; k < axes->ndim; k++) {
        nunits *= axes->shape[k];
    }
    return nunits;
}

uint32_t ndbuf__convert_caps(const ndbuf__convert *convert)
{
    const int32_t numbers[] = {convert->dst.number, convert->src.number};
    uint32_t flags = NDBUF_CAN_CONVERT;
    for (int i = 0; i < 2; i++) {
        flags |= numbers[i] == NDBUF_NUMBER_FLOAT64 ? NDBUF_CAN_CONVERT_FLOAT64 : 0u;
        flags |= numbers[i] == NDBUF_NUMBER_LONG_DOUBLE ? NDBUF_CAN_CONVERT_LONG_DOUBLE : 0u;
    }
    return flags;
}

int64_t ndbuf__copy_axes_nruns(const ndbuf__copy_axes *axes)
{
    int64_t nunits = ndbuf__copy_axes_nunits(axes);
    int32_t last = axes->ndim - 1;
    bool dense = ndbuf__converts(&axes->convert) && last >= 0 && axes->dst_strides[last] == axes->unit_nbytes &&
                 axes->src_strides[last] == axes->convert.src.nbytes;
    return dense ? nunits / axes->shape[last] : nunits;
}

double ndbuf__copy_axes_traffic(const ndbuf__copy_axes *axes)
{
    int64_t src_unit = ndbuf__copy_axes_src_unit(axes);
    int64_t unit = src_unit > axes->unit_nbytes ? src_unit : axes->unit_nbytes;
    return (double)ndbuf__copy_axes_nunits(axes) * (double)unit;
}

bool ndbuf__copy_axes_keep_apart(const ndbuf__copy_axes *axes)
{
    int64_t span = axes->unit_nbytes;
    for (int32_t k = axes->ndim - 1; k >= 0; k--) {
        if (axes->dst_strides[k] < span) {
            return false;
        }
        span += axes->dst_strides[k] * (axes->shape[k] - 1);
    }
    return true;
}

void ndbuf__copy_axes_range(const ndbuf__copy_axes *axes, bool of_dst, int64_t *out_lo, int64_t *out_hi)
{
    const int64_t *strides = of_dst ? axes->dst_strides : axes->src_strides;
    int64_t lo = of_dst ? axes->dst_offset : axes->src_offset;
    int64_t hi = lo + (of_dst ? axes->unit_nbytes : ndbuf__copy_axes_src_unit(axes));
    for (int32_t k = 0; k < axes->ndim; k++) {
        int64_t reach = strides[k] * (axes->shape[k] - 1);
        lo += reach < 0 ? reach : 0;
        hi += reach > 0 ? reach : 0;
    }
    *out_lo = lo;
    *out_hi = hi;
}

/* Whether axis a belongs before axis b: by the destination's stride, then by the source's. */
static bool comes_before(int64_t a_dst, int64_t a_src, int64_t b_dst, int64_t b_src)
{
    return a_dst != b_dst ? a_dst > b_dst : ndbuf__stride_magnitude(a_src) > ndbuf__stride_magnitude(b_src);
}

/* Puts an axis among those before it, which are sorted, with its destination's stride positive; drops one of extent 1.
 * By insertion: most views come sorted. */
static inline void axes_insert(ndbuf__copy_axes *axes, int64_t extent, int64_t dst_stride, int64_t src_stride)
{
    if (extent == 1) {
        return;
    }
    if (dst_stride < 0) {
        axes->dst_offset += dst_stride * (extent - 1);
        axes->src_offset += src_stride * (extent - 1);
        dst_stride = -dst_stride;
        src_stride = -src_stride;
    }
    int32_t place = axes->ndim++;
    while (place > 0 &&
           comes_before(dst_stride, src_stride, axes->dst_strides[place - 1], axes->src_strides[place - 1])) {
        axes->shape[place] = axes->shape[place - 1];
        axes->dst_strides[place] = axes->dst_strides[place - 1];
        axes->src_strides[place] = axes->src_strides[place - 1];
        place--;
    }
    axes->shape[place] = extent;
    axes->dst_strides[place] = dst_stride;
    axes->src_strides[place] = src_stride;
}

/* Merges neighbours of sorted axes, and the unit with what is contiguous. */
static inline void axes_join(ndbuf__copy_axes *axes)
{
    if (axes->ndim == 0) {
        return;
    }
    int32_t place = 0;
    for (int32_t k = 1; k < axes->ndim; k++) {
        const int64_t extent = axes->shape[k];
        const int64_t dst_stride = axes->dst_strides[k];
        const int64_t src_stride = axes->src_strides[k];
        if (axes->dst_strides[place] == extent * dst_stride && axes->src_strides[place] == extent * src_stride) {
            axes->shape[place] *= extent;
        } else {
            axes->shape[++place] = extent;
        }
        axes->dst_strides[place] = dst_stride;
        axes->src_strides[place] = src_stride;
    }
    axes->ndim = place + 1;
    if (!ndbuf__converts(&axes->convert) && axes->dst_strides[place] == axes->unit_nbytes &&
        axes->src_strides[place] == axes->unit_nbytes) {
        axes->unit_nbytes *= axes->shape[place];
        axes->ndim = place;
    }
}

void ndbuf__copy_axes_merge(ndbuf__copy_axes *axes)
{
    const int32_t ndim = axes->ndim;
    axes->ndim = 0;
    for (int32_t k = 0; k < ndim; k++) {
        axes_insert(axes, axes->shape[k], axes->dst_strides[k], axes->src_strides[k]);
    }
    axes_join(axes);
}

void ndbuf__copy_axes_of_items(ndbuf__copy_axes *out_axes, int64_t itemsize, int32_t ndim, const int64_t *shape,
                               const int64_t *dst_strides, const int64_t *src_strides)
{
    ndbuf__copy_axes_init(out_axes, itemsize, 0, NULL, NULL, NULL);
    for (int32_t k = 0; k < ndim; k++) {
        axes_insert(out_axes, shape[k], dst_strides[k], src_strides[k]);
    }
    axes_join(out_axes);
}

/* Whether an axis of stride `a` is packed inside one of stride `b`. */
static bool packs_inside(int64_t a, int64_t b)
{
    return a != 0 && (b == 0 || ndbuf__stride_magnitude(a) <= ndbuf__stride_magnitude(b));
}

int64_t ndbuf__copy_axes_pack(int32_t ndim, const int64_t *shape, const int64_t *strides, const int64_t *by,
                              int64_t unit_nbytes, int64_t *out_strides, int64_t *out_nbytes)
{
    int32_t order[NDBUF__MAX_AXES]; /* axes, fastest first */
    for (int32_t k = 0; k < ndim; k++) {
        int32_t place = k;
        while (place > 0 && packs_inside(by[k], by[order[place - 1]])) {
            order[place] = order[place - 1];
            place--;
        }
        order[place] = k;
    }
    int64_t nbytes = unit_nbytes;
    int64_t offset = 0;
    for (int32_t i = 0; i < ndim; i++) {
        int32_t k = order[i];
        out_strides[k] = strides[k] == 0 ? 0 : by[k] < 0 ? -nbytes : nbytes;
        if (strides[k] != 0) {
            offset += by[k] < 0 ? nbytes * (shape[k] - 1) : 0;
            nbytes *= shape[k];
        }
    }
    *out_nbytes = nbytes;
    return offset;
}
