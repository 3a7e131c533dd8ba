/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_stage.h"

#include <stddef.h>
#include <string.h>

#include "core/view_core.h"

#define STAGING_ALIGNMENT 4096

/* Steps to an index of an axis, and through its pointer if it leads to one. */
static char *step(char *address, const int64_t *strides, const int64_t *suboffsets, int32_t axis, int64_t index)
{
    address += index * strides[axis];
    if (suboffsets != NULL && suboffsets[axis] >= 0) {
        address = ndbuf__load_pointer(address) + suboffsets[axis];
    }
    return address;
}

static ndbuf_status host_copy_leaf(const ndbuf__copy_axes *axes, char *dst, const char *src, ndbuf_error *err)
{
    ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_mem dst_mem = {.device = host, .handle = dst, .host_address = dst};
    ndbuf_mem src_mem = {.device = host, .handle = (void *)src, .host_address = (void *)src};
    ndbuf_strided box = {.dst = {.mem = &dst_mem, .offset = axes->dst_offset, .strides = axes->dst_strides},
                         .src = {.mem = &src_mem, .offset = axes->src_offset, .strides = axes->src_strides},
                         .ndim = axes->ndim,
                         .shape = axes->shape,
                         .unit_nbytes = axes->unit_nbytes};
    return host->ops->copy_strided(host->default_queue, &box, err);
}

ndbuf_status ndbuf__host_copy_run(const ndbuf__host_copy *copy, char *dst, const char *src, ndbuf_error *err)
{
    /* The addresses reached at each depth, so that only what changes is walked again. */
    char *dst_at[NDBUF__MAX_AXES + 1];
    char *src_at[NDBUF__MAX_AXES + 1];
    int64_t index[NDBUF__MAX_AXES] = {0};
    int32_t depth = 0;
    dst_at[0] = dst;
    src_at[0] = (char *)src;
    for (;;) {
        for (; depth < copy->depth; depth++) {
            dst_at[depth + 1] = step(dst_at[depth], copy->dst_strides, copy->dst_suboffsets, depth, index[depth]);
            src_at[depth + 1] = step(src_at[depth], copy->src_strides, copy->src_suboffsets, depth, index[depth]);
        }
        ndbuf_status status = host_copy_leaf(&copy->axes, dst_at[depth], src_at[depth], err);
        if (status != NDBUF_OK) {
            return status;
        }
        for (depth--; depth >= 0 && ++index[depth] == copy->shape[depth]; depth--) {
            index[depth] = 0;
        }
        if (depth < 0) {
            return NDBUF_OK;
        }
    }
}

static ndbuf_status buffer_init(ndbuf_mem *mem, int64_t nbytes, ndbuf_error *err)
{
    ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_error why = {0};
    if (host->ops->mem_alloc(host, (size_t)nbytes, STAGING_ALIGNMENT, mem, &why) != NDBUF_OK) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "staging buffer: %s", why.message);
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf__staging_buffers_init(ndbuf__staging_buffers *out_buffers, const ndbuf__staging *staging,
                                         ndbuf_error *err)
{
    ndbuf__staging_buffers buffers = {0};
    ndbuf_status status = NDBUF_OK;
    if (staging->stores) {
        status = buffer_init(&buffers.dst, staging->box_nbytes, err);
    }
    if (status == NDBUF_OK && staging->fetches) {
        status = buffer_init(&buffers.src, staging->box_nbytes, err);
    }
    if (status != NDBUF_OK) {
        ndbuf__staging_buffers_clear(&buffers);
        return status;
    }
    *out_buffers = buffers;
    return NDBUF_OK;
}

void ndbuf__staging_buffers_clear(ndbuf__staging_buffers *buffers)
{
    ndbuf_device *host = ndbuf_device_cpu();
    if (buffers->dst.nbytes > 0) {
        host->ops->mem_free(&buffers->dst);
    }
    if (buffers->src.nbytes > 0) {
        host->ops->mem_free(&buffers->src);
    }
    *buffers = (ndbuf__staging_buffers){0};
}

/* One side of a box: where its first item is, on a device or on the host, and how it lies in its staging buffer. */
typedef struct box_side {
    const ndbuf_mem *mem;
    int64_t offset;            /* device: of the box's first item from the start of mem */
    char *address;             /* host: of the same */
    const int64_t *strides;    /* of the axes from the split axis on */
    const int64_t *suboffsets; /* likewise; NULL: none */
    int64_t packed_offset;     /* of the first item in the staging buffer */
    int64_t packed_strides[NDBUF__MAX_AXES];
} box_side;

/* A box in the making: axes are those from the split axis on. */
typedef struct staged_box {
    int32_t ndim;
    int64_t unit_nbytes;
    int64_t shape[NDBUF__MAX_AXES];
    box_side dst;
    box_side src;
} staged_box;

/* Places a side at the box that starts at `index`. */
static void side_place(box_side *side, const ndbuf__staging *staging, bool is_host, const ndbuf_mem *mem,
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
            side->address = step(side->address, strides, suboffsets, k, index[k]);
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

static void side_pack(box_side *side, const staged_box *box)
{
    int64_t nbytes;
    side->packed_offset =
        ndbuf__copy_axes_pack(box->ndim, box->shape, side->strides, box->unit_nbytes, side->packed_strides, &nbytes);
}

/* Moves a box between a device and its staging buffer, and waits. Axes that the device's side repeats are left out. */
static ndbuf_status side_transfer(const box_side *side, const staged_box *box, const ndbuf_mem *buffer, bool to_device,
                                  ndbuf_error *err)
{
    ndbuf_device *device = side->mem->device;
    const ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_copy_caps caps = {0};
    ndbuf__copy_axes axes = {.unit_nbytes = box->unit_nbytes};
    ndbuf__transfer_ends ends = {0};
    if (to_device) {
        device->ops->copy_caps(device, host, &caps);
        ends = (ndbuf__transfer_ends){side->mem, buffer, side->offset, side->packed_offset};
    } else {
        device->ops->copy_caps(host, device, &caps);
        ends = (ndbuf__transfer_ends){buffer, side->mem, side->packed_offset, side->offset};
    }
    for (int32_t k = 0; k < box->ndim; k++) {
        if (side->strides[k] != 0) {
            ndbuf__copy_axes_append(&axes, box->shape[k], to_device ? side->strides[k] : side->packed_strides[k],
                                    to_device ? side->packed_strides[k] : side->strides[k]);
        }
    }
    ndbuf__copy_axes_merge(&axes);
    ndbuf__transfer transfer = ndbuf__transfer_choose(&axes, &caps);
    bool started = false;
    ndbuf_status status =
        ndbuf__transfer_run(&transfer, &axes, device->ops, device->default_queue, &ends, &started, err);
    if (status == NDBUF_ERR_UNSUPPORTED && transfer.route != NDBUF_ROUTE_BYTES) {
        transfer = ndbuf__transfer_by(NDBUF_ROUTE_BYTES, &axes, &caps);
        status = ndbuf__transfer_run(&transfer, &axes, device->ops, device->default_queue, &ends, &started, err);
    }
    ndbuf_status wait_status = device->ops->queue_wait(device->default_queue, status == NDBUF_OK ? err : NULL);
    return status != NDBUF_OK ? status : wait_status;
}

static ndbuf_status box_run(staged_box *box, const ndbuf__staging *staging, ndbuf__staging_buffers *buffers,
                            ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    size_t strides_nbytes = (size_t)box->ndim * sizeof(int64_t);
    if (staging->fetches) {
        side_pack(&box->src, box);
        status = side_transfer(&box->src, box, &buffers->src, false, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    if (staging->stores) {
        side_pack(&box->dst, box);
    }
    if (staging->fetches && staging->stores && box->dst.packed_offset == box->src.packed_offset &&
        memcmp(box->dst.packed_strides, box->src.packed_strides, strides_nbytes) == 0) {
        return side_transfer(&box->dst, box, &buffers->src, true, err); /* both devices pack it alike */
    }
    ndbuf__host_copy copy;
    char *dst = staging->stores ? (char *)buffers->dst.host_address + box->dst.packed_offset : box->dst.address;
    char *src = staging->fetches ? (char *)buffers->src.host_address + box->src.packed_offset : box->src.address;
    ndbuf__host_copy_prepare(
        &copy, box->ndim, box->unit_nbytes, box->shape, staging->stores ? box->dst.packed_strides : box->dst.strides,
        staging->stores ? NULL : box->dst.suboffsets, staging->fetches ? box->src.packed_strides : box->src.strides,
        staging->fetches ? NULL : box->src.suboffsets);
    status = ndbuf__host_copy_run(&copy, dst, src, err);
    if (status == NDBUF_OK && staging->stores) {
        status = side_transfer(&box->dst, box, &buffers->dst, true, err);
    }
    return status;
}

ndbuf_status ndbuf__staging_run(const ndbuf__staging *staging, ndbuf__staging_buffers *buffers,
                                const ndbuf__transfer_ends *ends, ndbuf_error *err)
{
    const ndbuf__copy_axes *axes = &staging->axes;
    int32_t split = staging->split_axis;
    int64_t index[NDBUF__MAX_AXES] = {0};
    staged_box box;
    box.shape[0] = 1;
    box.ndim = axes->ndim - split;
    box.unit_nbytes = axes->unit_nbytes;
    for (int32_t k = 0; k < box.ndim; k++) {
        box.shape[k] = axes->shape[split + k];
    }
    for (;;) {
        if (box.ndim > 0) {
            int64_t left = axes->shape[split] - index[split];
            box.shape[0] = left < staging->split_count ? left : staging->split_count;
        }
        side_place(&box.dst, staging, !staging->stores, ends->dst, ends->dst_offset + axes->dst_offset,
                   axes->dst_strides, staging->dst_suboffsets, index);
        side_place(&box.src, staging, !staging->fetches, ends->src, ends->src_offset + axes->src_offset,
                   axes->src_strides, staging->src_suboffsets, index);
        ndbuf_status status = box_run(&box, staging, buffers, err);
        if (status != NDBUF_OK || box.ndim == 0) {
            return status;
        }
        index[split] += box.shape[0];
        int32_t k = split;
        for (; k >= 0 && index[k] == axes->shape[k]; k--) {
            index[k] = 0;
            if (k > 0) {
                index[k - 1]++;
            }
        }
        if (k < 0) {
            return NDBUF_OK;
        }
    }
}
