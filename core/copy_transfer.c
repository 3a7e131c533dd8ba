/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_transfer.h"

#include <string.h>

#include "core/storage_core.h"

/* Whether an axis can be the rows of a rectangle: rows that neither overlap nor run backwards, on both sides. */
static bool is_row_axis(const ndbuf__copy_axes *axes, int32_t row, int64_t max_pitch)
{
    int64_t dst_pitch = axes->dst_strides[row];
    int64_t src_pitch = axes->src_strides[row];
    return dst_pitch >= axes->unit_nbytes && src_pitch >= axes->unit_nbytes &&
           (max_pitch == 0 || (dst_pitch <= max_pitch && src_pitch <= max_pitch));
}

/* Whether slices of `nrows` rows fit a stride: not overlapping, and a whole number of rows apart. */
static bool is_slice_pitch(int64_t slice_pitch, int64_t nrows, int64_t row_pitch)
{
    return slice_pitch / row_pitch >= nrows && slice_pitch % row_pitch == 0;
}

static bool is_slice_axis(const ndbuf__copy_axes *axes, int32_t slice, int32_t row)
{
    int64_t nrows = axes->shape[row];
    return slice != row && is_slice_pitch(axes->dst_strides[slice], nrows, axes->dst_strides[row]) &&
           is_slice_pitch(axes->src_strides[slice], nrows, axes->src_strides[row]);
}

/* The pair of axes that leaves the fewest calls. False: no axis can be rows. */
static bool rect_axes(const ndbuf__copy_axes *axes, int64_t max_pitch, int32_t *out_row, int32_t *out_slice)
{
    int64_t most = 0;
    for (int32_t row = axes->ndim - 1; row >= 0; row--) {
        if (!is_row_axis(axes, row, max_pitch)) {
            continue;
        }
        if (axes->shape[row] > most) {
            most = axes->shape[row];
            *out_row = row;
            *out_slice = -1;
        }
        for (int32_t slice = axes->ndim - 1; slice >= 0; slice--) {
            if (is_slice_axis(axes, slice, row) && axes->shape[row] * axes->shape[slice] > most) {
                most = axes->shape[row] * axes->shape[slice];
                *out_row = row;
                *out_slice = slice;
            }
        }
    }
    return most > 0;
}

ndbuf__transfer ndbuf__transfer_by(ndbuf_route route, const ndbuf__copy_axes *axes, const ndbuf_copy_caps *caps)
{
    ndbuf__transfer transfer = {.route = NDBUF_ROUTE_NONE, .row_axis = -1, .slice_axis = -1};
    int64_t nunits = ndbuf__copy_axes_nunits(axes);
    int64_t nrows = nunits;
    double row_ns = 0;
    bool converts = ndbuf__converts(&axes->convert);
    uint32_t needed = converts ? ndbuf__convert_caps(&axes->convert) : NDBUF_CAN_COPY_STRIDED;
    if (converts && route != NDBUF_ROUTE_STRIDED) {
        return transfer;
    }
    switch (route) {
    case NDBUF_ROUTE_BYTES:
        if ((caps->flags & NDBUF_CAN_COPY_BYTES) == 0) {
            return transfer;
        }
        transfer.ncalls = nunits;
        break;
    case NDBUF_ROUTE_RECT:
        if ((caps->flags & NDBUF_CAN_COPY_RECT) == 0 ||
            !rect_axes(axes, caps->max_pitch, &transfer.row_axis, &transfer.slice_axis)) {
            return transfer;
        }
        transfer.ncalls = nunits / axes->shape[transfer.row_axis];
        if (transfer.slice_axis >= 0) {
            transfer.ncalls /= axes->shape[transfer.slice_axis];
        }
        transfer.needs_equal_pitches = (caps->flags & NDBUF_RECT_EQUAL_PITCHES) != 0;
        row_ns = caps->row_ns;
        break;
    case NDBUF_ROUTE_STRIDED:
        if ((caps->flags & needed) != needed) {
            return transfer;
        }
        nrows = ndbuf__copy_axes_nruns(axes);
        transfer.ncalls = 1;
        row_ns = caps->element_ns;
        break;
    default:
        return transfer;
    }
    transfer.route = route;
    transfer.nrows = nrows;
    transfer.cost_ns = (double)transfer.ncalls * caps->call_ns + (double)nrows * row_ns;
    if (caps->bytes_per_ns > 0) {
        transfer.cost_ns += ndbuf__copy_axes_traffic(axes) / caps->bytes_per_ns;
    }
    return transfer;
}

ndbuf__transfer ndbuf__transfer_choose(const ndbuf__copy_axes *axes, const ndbuf_copy_caps *caps)
{
    static const ndbuf_route routes[] = {NDBUF_ROUTE_BYTES, NDBUF_ROUTE_STRIDED, NDBUF_ROUTE_RECT};
    ndbuf__transfer best = {.route = NDBUF_ROUTE_NONE, .row_axis = -1, .slice_axis = -1};
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        ndbuf__transfer transfer = ndbuf__transfer_by(routes[i], axes, caps);
        if (transfer.route != NDBUF_ROUTE_NONE && (best.route == NDBUF_ROUTE_NONE || transfer.cost_ns < best.cost_ns)) {
            best = transfer;
        }
    }
    return best;
}

static ndbuf_status run_one(const ndbuf__transfer *transfer, const ndbuf__copy_axes *axes, const ndbuf_backend_ops *ops,
                            ndbuf_queue *queue, const ndbuf__transfer_ends *ends, int64_t dst_offset,
                            int64_t src_offset, ndbuf_error *err)
{
    if (transfer->route == NDBUF_ROUTE_BYTES) {
        return ops->copy_bytes(queue, ends->dst, dst_offset, ends->src, src_offset, axes->unit_nbytes, err);
    }
    int32_t row = transfer->row_axis;
    int32_t slice = transfer->slice_axis;
    int64_t nrows = axes->shape[row];
    ndbuf_rect rect = {
        .dst = {.mem = ends->dst,
                .offset = dst_offset,
                .row_pitch = axes->dst_strides[row],
                .slice_pitch = slice >= 0 ? axes->dst_strides[slice] : nrows * axes->dst_strides[row]},
        .src = {.mem = ends->src,
                .offset = src_offset,
                .row_pitch = axes->src_strides[row],
                .slice_pitch = slice >= 0 ? axes->src_strides[slice] : nrows * axes->src_strides[row]},
        .row_nbytes = axes->unit_nbytes,
        .nrows = nrows,
        .nslices = slice >= 0 ? axes->shape[slice] : 1,
    };
    return ops->copy_rect(queue, &rect, err);
}

/* Whether the rectangles have the same pitches on both sides. */
static bool has_equal_pitches(const ndbuf__transfer *transfer, const ndbuf__copy_axes *axes)
{
    int32_t row = transfer->row_axis;
    int32_t slice = transfer->slice_axis;
    return axes->dst_strides[row] == axes->src_strides[row] &&
           (slice < 0 || axes->dst_strides[slice] == axes->src_strides[slice]);
}

ndbuf_status ndbuf__transfer_run(const ndbuf__transfer *transfer, const ndbuf__copy_axes *axes,
                                 const ndbuf_backend_ops *ops, ndbuf_queue *queue, const ndbuf__transfer_ends *ends,
                                 bool *out_started, ndbuf_error *err)
{
    if (transfer->route == NDBUF_ROUTE_STRIDED) {
        ndbuf_status status = ndbuf__transfer_strided(axes, ops, queue, ends, err);
        *out_started = status != NDBUF_ERR_UNSUPPORTED;
        return status;
    }
    *out_started = false;
    if (transfer->needs_equal_pitches && ends->dst->handle == ends->src->handle &&
        ndbuf__mem_shares_handles(ends->dst, ends->src) && !has_equal_pitches(transfer, axes)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                          "backend '%s' copies rectangles within one piece of memory only with equal pitches",
                          ops->name);
    }
    int64_t index[NDBUF__MAX_AXES];
    memset(index, 0, (size_t)axes->ndim * sizeof(index[0]));
    int64_t dst_offset = ends->dst_offset + axes->dst_offset;
    int64_t src_offset = ends->src_offset + axes->src_offset;
    for (;;) {
        ndbuf_status status = run_one(transfer, axes, ops, queue, ends, dst_offset, src_offset, err);
        *out_started = *out_started || status != NDBUF_ERR_UNSUPPORTED; /* a call that failed may have begun */
        if (status != NDBUF_OK) {
            return status;
        }
        int32_t k = axes->ndim - 1;
        for (; k >= 0; k--) {
            if (k == transfer->row_axis || k == transfer->slice_axis) {
                continue;
            }
            dst_offset += axes->dst_strides[k];
            src_offset += axes->src_strides[k];
            if (++index[k] < axes->shape[k]) {
                break;
            }
            dst_offset -= axes->dst_strides[k] * axes->shape[k];
            src_offset -= axes->src_strides[k] * axes->shape[k];
            index[k] = 0;
        }
        if (k < 0) {
            return NDBUF_OK;
        }
    }
}
