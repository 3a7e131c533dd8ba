/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_box.h"

#include <stddef.h>
#include <string.h>

#include "core/float_mode.h"
#include "core/host_copy.h"
#include "core/link_costs.h"

/* Places a side at the box that starts at `index`. */
static void side_place(ndbuf__box_side *side, const ndbuf__staging *staging, bool is_host, const ndbuf_mem *mem,
                       int64_t offset, const int64_t *strides, const int64_t *suboffsets, const int64_t *index)
{
    int32_t split = staging->split_axis;
    side->mem = mem;
    side->offset = offset;
    side->address = is_host ? (char *)mem->host_address + offset : NULL;
    side->strides = strides + split;
    side->suboffsets = suboffsets != NULL ? suboffsets + split : NULL;
    for (int32_t k = 0; k < split; k++) {
        if (is_host) {
            side->address = ndbuf__host_copy_step(side->address, strides, suboffsets, k, index[k]);
        } else {
            side->offset += index[k] * strides[k];
        }
    }
    if (staging->axes.ndim > 0) {
        if (is_host) {
            side->address += index[split] * strides[split];
        } else {
            side->offset += index[split] * strides[split];
        }
    }
}

/* `by`: the side in whose order it is packed. */
static void side_pack(ndbuf__box_side *side, const ndbuf__box_side *by, const ndbuf__box *box)
{
    side->packed_offset = ndbuf__copy_axes_pack(box->ndim, box->shape, side->strides, by->strides,
                                                side->packed_unit_nbytes, side->packed_strides, &side->packed_nbytes);
}

void ndbuf__box_place(ndbuf__box *out_box, const ndbuf__staging *staging, const ndbuf__transfer_ends *ends,
                      int64_t number)
{
    const ndbuf__copy_axes *axes = &staging->axes;
    int32_t split = staging->split_axis;
    int64_t index[NDBUF__MAX_AXES];
    ndbuf__box *box = out_box;
    box->ndim = axes->ndim - split;
    box->convert = &axes->convert;
    box->dst.unit_nbytes = axes->unit_nbytes;
    box->dst.packed_unit_nbytes = staging->dst_unit_nbytes;
    box->src.unit_nbytes = ndbuf__copy_axes_src_unit(axes);
    box->src.packed_unit_nbytes = staging->src_unit_nbytes;
    for (int32_t k = 0; k < box->ndim; k++) {
        box->shape[k] = axes->shape[split + k];
    }
    if (box->ndim > 0) {
        int64_t ncuts = (axes->shape[split] + staging->split_count - 1) / staging->split_count;
        index[split] = number % ncuts * staging->split_count;
        int64_t left = axes->shape[split] - index[split];
        box->shape[0] = left < staging->split_count ? left : staging->split_count;
        number /= ncuts;
    }
    for (int32_t k = split - 1; k >= 0; k--) {
        index[k] = number % axes->shape[k];
        number /= axes->shape[k];
    }
    side_place(&box->dst, staging, !staging->stores, ends->dst, ends->dst_offset + axes->dst_offset, axes->dst_strides,
               staging->dst_suboffsets, index);
    side_place(&box->src, staging, !staging->fetches, ends->src, ends->src_offset + axes->src_offset, axes->src_strides,
               staging->src_suboffsets, index);
    if (staging->stores) {
        side_pack(&box->dst, staging->sorts ? &box->src : &box->dst, box);
    }
    if (staging->fetches) {
        side_pack(&box->src, staging->sorts ? &box->dst : &box->src, box);
    }
}

bool ndbuf__box_is_packed_alike(const ndbuf__box *box, const ndbuf__staging *staging)
{
    return staging->fetches && staging->stores && staging->converts_at != NDBUF__CONVERTS_ON_HOST &&
           box->dst.packed_offset == box->src.packed_offset &&
           memcmp(box->dst.packed_strides, box->src.packed_strides, (size_t)box->ndim * sizeof(int64_t)) == 0;
}

/* The axes between a device's layout and the packed box; those that the device repeats are left out. */
static void side_axes(ndbuf__copy_axes *axes, const ndbuf__box_side *side, const ndbuf__box *box, bool to_device)
{
    for (int32_t k = 0; k < box->ndim; k++) {
        if (side->strides[k] != 0) {
            ndbuf__copy_axes_append(axes, box->shape[k], to_device ? side->strides[k] : side->packed_strides[k],
                                    to_device ? side->packed_strides[k] : side->strides[k]);
        }
    }
    ndbuf__copy_axes_merge(axes);
}

/* The best way, or that of bytes. Costs are estimates, and want no signals of floating point. */
static ndbuf__transfer choose_way(const ndbuf__copy_axes *axes, const ndbuf_copy_caps *caps, bool by_bytes)
{
    const uint64_t mode = ndbuf__float_mode_begin();
    const ndbuf__transfer transfer =
        by_bytes ? ndbuf__transfer_by(NDBUF_ROUTE_BYTES, axes, caps) : ndbuf__transfer_choose(axes, caps);
    ndbuf__float_mode_end(mode);
    return transfer;
}

static ndbuf_status transfer_axes(const ndbuf__copy_axes *axes, const ndbuf__transfer_ends *ends, ndbuf_queue *queue,
                                  bool *out_started, ndbuf_error *err)
{
    const ndbuf_device *device = queue->device;
    ndbuf_copy_caps caps = {0};
    ndbuf__copy_caps_get(device->ops, ends->dst->device, ends->src->device, &caps);
    ndbuf__transfer transfer = choose_way(axes, &caps, false);
    if (transfer.route == NDBUF_ROUTE_NONE) { /* it could, when the copy was planned */
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' does not convert these items", device->ops->name);
    }
    ndbuf_status status = ndbuf__transfer_run(&transfer, axes, device->ops, queue, ends, out_started, err);
    if (status == NDBUF_ERR_UNSUPPORTED && transfer.route != NDBUF_ROUTE_BYTES && !ndbuf__converts(&axes->convert)) {
        transfer = choose_way(axes, &caps, true);
        status = ndbuf__transfer_run(&transfer, axes, device->ops, queue, ends, out_started, err);
    }
    return status;
}

static ndbuf__transfer_ends side_ends(const ndbuf__box_side *side, const ndbuf_mem *packed, bool to_device)
{
    return to_device ? (ndbuf__transfer_ends){side->mem, packed, side->offset, side->packed_offset}
                     : (ndbuf__transfer_ends){packed, side->mem, side->packed_offset, side->offset};
}

/* The packed box, which is one piece, between buffer and scratch, and sorted or converted, which changes the size of
 * its units, between scratch and the device's layout. */
static ndbuf_status side_by_scratch(const ndbuf__box_side *side, const ndbuf__box *box, const ndbuf_mem *buffer,
                                    const ndbuf_mem *scratch, bool to_device, ndbuf_queue *queue, bool *out_started,
                                    ndbuf_error *err)
{
    const ndbuf__copy_axes piece = {.unit_nbytes = side->packed_nbytes};
    ndbuf__copy_axes axes = {.unit_nbytes = side->unit_nbytes};
    if (side->packed_unit_nbytes != side->unit_nbytes) {
        axes.convert = *box->convert;
        axes.unit_nbytes = box->convert->dst.nbytes;
    }
    side_axes(&axes, side, box, to_device);
    const ndbuf__transfer_ends placed = side_ends(side, scratch, to_device);
    const ndbuf__transfer_ends carried = to_device ? (ndbuf__transfer_ends){.dst = scratch, .src = buffer}
                                                   : (ndbuf__transfer_ends){.dst = buffer, .src = scratch};
    bool started = false;
    ndbuf_status status = to_device ? transfer_axes(&piece, &carried, queue, out_started, err)
                                    : transfer_axes(&axes, &placed, queue, out_started, err);
    if (status == NDBUF_OK) {
        status = to_device ? transfer_axes(&axes, &placed, queue, &started, err)
                           : transfer_axes(&piece, &carried, queue, &started, err);
    }
    *out_started = *out_started || started;
    return status;
}

static ndbuf_status side_transfer(const ndbuf__box_side *side, const ndbuf__box *box, const ndbuf_mem *buffer,
                                  const ndbuf_mem *scratch, bool to_device, ndbuf_queue *queue, bool *out_started,
                                  ndbuf_error *err)
{
    if (scratch != NULL) {
        return side_by_scratch(side, box, buffer, scratch, to_device, queue, out_started, err);
    }
    ndbuf__copy_axes axes = {.unit_nbytes = side->unit_nbytes};
    side_axes(&axes, side, box, to_device);
    const ndbuf__transfer_ends ends = side_ends(side, buffer, to_device);
    return transfer_axes(&axes, &ends, queue, out_started, err);
}

ndbuf_status ndbuf__box_fetch(const ndbuf__box *box, const ndbuf_mem *buffer, const ndbuf_mem *scratch,
                              ndbuf_queue *queue, bool *out_started, ndbuf_error *err)
{
    return side_transfer(&box->src, box, buffer, scratch, false, queue, out_started, err);
}

ndbuf_status ndbuf__box_store(const ndbuf__box *box, const ndbuf_mem *buffer, const ndbuf_mem *scratch,
                              ndbuf_queue *queue, bool *out_started, ndbuf_error *err)
{
    return side_transfer(&box->dst, box, buffer, scratch, true, queue, out_started, err);
}

ndbuf_status ndbuf__box_repack(const ndbuf__box *box, const ndbuf__staging *staging, const ndbuf_mem *dst_buffer,
                               const ndbuf_mem *src_buffer, ndbuf_error *err)
{
    ndbuf__host_copy copy;
    const ndbuf__box_side *dst = &box->dst;
    const ndbuf__box_side *src = &box->src;
    bool stores = staging->stores;
    bool fetches = staging->fetches;
    ndbuf__cast cast = {0};
    if (staging->converts_at == NDBUF__CONVERTS_ON_HOST) {
        cast.convert = *box->convert;
    }
    ndbuf__host_copy_prepare(&copy, &cast, box->ndim, stores ? dst->packed_unit_nbytes : dst->unit_nbytes, box->shape,
                             stores ? dst->packed_strides : dst->strides, stores ? NULL : dst->suboffsets,
                             fetches ? src->packed_strides : src->strides, fetches ? NULL : src->suboffsets);
    return ndbuf__host_copy_run(&copy, stores ? (char *)dst_buffer->host_address + dst->packed_offset : dst->address,
                                fetches ? (char *)src_buffer->host_address + src->packed_offset : src->address, err);
}
