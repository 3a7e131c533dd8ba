/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/cudasim/sim.h"

/* From pageable memory: a GPU let the host wait for 4 MiB, and not for 2 MiB. */
#define COPY_LARGE_NBYTES ((uint64_t)4 << 20)

/* What a copy is asked to do. */
typedef struct copy_box {
    sim_side dst;
    sim_side src;
    uint64_t width, height, depth;
    enum cudaMemcpyKind kind;
    int dst_device; /* of peer copies; else -1 */
    int src_device;
} copy_box;

static bool copy_is_host(const sim_region *region)
{
    return region->block == NULL || region->block->memory == SIM_PINNED || region->block->memory == SIM_REGISTERED;
}

static bool copy_is_managed(const sim_region *region)
{
    return region->block != NULL && region->block->memory == SIM_MANAGED;
}

static bool copy_fits_kind(const sim_region *region, bool as_host)
{
    return copy_is_managed(region) || copy_is_host(region) == as_host;
}

static cudaError_t copy_check_kind(const sim_work *work, enum cudaMemcpyKind kind)
{
    bool dst_host = kind == cudaMemcpyHostToHost || kind == cudaMemcpyDeviceToHost;
    bool src_host = kind == cudaMemcpyHostToHost || kind == cudaMemcpyHostToDevice;
    if (kind == cudaMemcpyDefault ||
        (copy_fits_kind(&work->regions[0], dst_host) && copy_fits_kind(&work->regions[1], src_host))) {
        return cudaSuccess;
    }
    /* The device may touch pinned memory, so "device to device" is true of it, too. */
    if ((dst_host || work->regions[0].block != NULL) && (src_host || work->regions[1].block != NULL) &&
        (!dst_host || copy_fits_kind(&work->regions[0], true)) &&
        (!src_host || copy_fits_kind(&work->regions[1], true))) {
        return cudaSuccess;
    }
    sim_violate("%s with kind %d, which does not fit where the bytes are", work->what, (int)kind);
    /* Real CUDA looks where addresses lie that it knows, whatever the kind. */
    return work->regions[0].block != NULL && work->regions[1].block != NULL ? cudaSuccess : cudaErrorInvalidValue;
}

static cudaError_t copy_check_device(const sim_work *work, int region, int device)
{
    const sim_block *block = work->regions[region].block;
    if (device < 0 || block == NULL || block->memory != SIM_DEVICE || block->device == device) {
        return cudaSuccess;
    }
    sim_violate("%s says device %d for memory of device %d", work->what, device, block->device);
    return cudaErrorInvalidValue;
}

static void copy_set_region(sim_region *region, bool write, const sim_side *side, const copy_box *box)
{
    const int64_t shape[] = {(int64_t)box->depth, (int64_t)box->height};
    const int64_t strides[] = {(int64_t)side->slice, (int64_t)side->pitch};
    sim_region_set(region, write, side->address, 2, shape, strides, box->width);
}

/* Everything of a copy that can be known before it is given to a stream. */
static cudaError_t copy_make(const copy_box *box, const char *what, sim_work *out_work)
{
    sim_work *work = out_work;
    *work = (sim_work){.kind = SIM_COPY, .what = what, .dst = box->dst, .src = box->src};
    work->dst.address = sim_host_address(box->dst.address);
    work->src.address = sim_host_address(box->src.address);
    work->width = box->width;
    work->height = box->height;
    work->depth = box->depth;
    if (sim.sabotage == CUDASIM_SABOTAGE_PITCH && (box->height > 1 || box->depth > 1)) {
        work->dst.pitch++;
    }
    if (box->dst.address == 0 || box->src.address == 0) {
        return cudaErrorInvalidValue;
    }
    work->nregions = 2;
    copy_set_region(&work->regions[0], true, &work->dst, box);
    copy_set_region(&work->regions[1], false, &work->src, box);
    for (int i = 0; i < 2; i++) {
        cudaError_t status = sim_region_resolve(&work->regions[i], what);
        if (status == cudaSuccess) {
            status = copy_check_device(work, i, i == 0 ? box->dst_device : box->src_device);
        }
        if (status != cudaSuccess) {
            return status;
        }
    }
    cudaError_t status = copy_check_kind(work, box->kind);
    if (status != cudaSuccess) {
        return status;
    }
    if (work->regions[0].block != NULL && work->regions[0].block->read_only) {
        sim_violate("%s writes " SIM_ADDRESS_FORMAT ", which is registered for reading only", what,
                    (unsigned long long)box->dst.address);
        return cudaErrorInvalidValue;
    }
    if (sim_regions_overlap(&work->regions[0], &work->regions[1])) {
        sim_violate("%s: the source " SIM_ADDRESS_FORMAT " and the destination " SIM_ADDRESS_FORMAT " overlap", what,
                    (unsigned long long)box->src.address, (unsigned long long)box->dst.address);
    }
    return cudaSuccess;
}

/* The bytes of the source as they are now. */
static void copy_stage(sim_work *work)
{
    char *staged = sim_alloc(work->width * work->height * work->depth);
    char *at = staged;
    for (uint64_t z = 0; z < work->depth; z++) {
        for (uint64_t y = 0; y < work->height; y++) {
            memcpy(at, (const char *)(uintptr_t)work->src.address + z * work->src.slice + y * work->src.pitch,
                   work->width);
            at += work->width;
        }
    }
    work->staged = staged;
}

/* Real CUDA may read a pageable source at the call, and pieces of it when the copy's turn comes. So the copy delivers
 * what was there at the call, and looks then whether it still is. The same of a graph's copy and the launch. */
void sim_copy_take_source(sim_work *work)
{
    if (work->kind == SIM_COPY && work->regions[1].block == NULL && !copy_is_host(&work->regions[0])) {
        copy_stage(work);
        work->must_last = true;
    }
}

/* The host waits for some copies, though the function's name says "Async": between host memories, which is documented;
 * from the device to pageable memory, and much of it the other way, which is not, so that nobody may rely on it. */
static void copy_wait_async(const sim_work *work, sim_op *op)
{
    const sim_region *dst = &work->regions[0];
    const sim_region *src = &work->regions[1];
    bool is_large = work->width * work->height * work->depth >= COPY_LARGE_NBYTES;
    if (copy_is_host(dst) && copy_is_host(src)) {
        sim_op_wait(op);
    } else if (dst->block == NULL || (src->block == NULL && is_large)) {
        sim_op_await(op);
    }
}

static bool copy_is_empty(const copy_box *box)
{
    return box->width == 0 || box->height == 0 || box->depth == 0;
}

static cudaError_t copy_async(const copy_box *box, const char *what, cudaStream_t stream)
{
    sim_stream *s;
    sim_work work;
    sim_op *op;
    cudaError_t status = sim_stream_find(stream, &s);
    if (status != cudaSuccess || copy_is_empty(box)) {
        return status;
    }
    if (box->dst_device >= 0 && s->capture != NULL) { /* a peer copy, even within one device */
        sim_capture_invalidate(s->capture);
        return cudaErrorStreamCaptureUnsupported;
    }
    status = copy_make(box, what, &work);
    if (status != cudaSuccess) {
        return status;
    }
    if (s->capture == NULL) {
        sim_copy_take_source(&work);
    }
    status = sim_stream_submit(s, &work, NULL, &op);
    if (op != NULL) {
        copy_wait_async(&work, op);
        sim_op_release(op);
    }
    return status;
}

/* The forms without a stream: on the legacy stream, with the host waiting as the documentation's table says. */
static cudaError_t copy_sync(const copy_box *box, const char *what)
{
    sim_stream *s;
    sim_work work;
    sim_op *op;
    cudaError_t status = sim_stream_find(cudaStreamLegacy, &s);
    if (status == cudaSuccess) {
        status = sim_capture_check_legacy(s);
    }
    if (status != cudaSuccess || copy_is_empty(box)) {
        return status;
    }
    status = copy_make(box, what, &work);
    if (status != cudaSuccess) {
        return status;
    }
    bool dst_host = copy_is_host(&work.regions[0]);
    bool src_pageable = work.regions[1].block == NULL;
    if (!dst_host && src_pageable) {
        op = sim_stream_point(s);
        sim_op_wait(op);
        sim_op_release(op);
        copy_stage(&work);
        work.nregions = 1;
    }
    status = sim_stream_submit(s, &work, NULL, &op);
    if (op != NULL) {
        if (dst_host || (!src_pageable && copy_is_host(&work.regions[1]))) {
            sim_op_wait(op);
        }
        sim_op_release(op);
    }
    return status;
}

static cudaError_t copy_box_line(void *dst, const void *src, size_t nbytes, enum cudaMemcpyKind kind, copy_box *out)
{
    if (nbytes > 0 && (unsigned)kind > (unsigned)cudaMemcpyDefault) {
        return cudaErrorInvalidMemcpyDirection;
    }
    *out = (copy_box){{(uintptr_t)dst, nbytes, nbytes}, {(uintptr_t)src, nbytes, nbytes}, nbytes, 1, 1, kind, -1, -1};
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind)
{
    copy_box box;
    SIM_ENTER(cudaMemcpy);
    SIM_TRY(copy_box_line(dst, src, count, kind, &box));
    return sim_leave(copy_sync(&box, what));
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t count, enum cudaMemcpyKind kind, cudaStream_t stream)
{
    copy_box box;
    SIM_ENTER(cudaMemcpyAsync);
    SIM_TRY(copy_box_line(dst, src, count, kind, &box));
    return sim_leave(copy_async(&box, what, stream));
}

cudaError_t cudaMemcpyPeerAsync(void *dst, int dstDevice, const void *src, int srcDevice, size_t count,
                                cudaStream_t stream)
{
    copy_box box;
    SIM_ENTER(cudaMemcpyPeerAsync);
    SIM_FAIL_IF(count == 0, cudaSuccess);
    SIM_FAIL_IF(dstDevice < 0 || dstDevice >= sim.ndevices || srcDevice < 0 || srcDevice >= sim.ndevices,
                cudaErrorInvalidDevice);
    SIM_TRY(copy_box_line(dst, src, count, cudaMemcpyDefault, &box));
    box.dst_device = dstDevice;
    box.src_device = srcDevice;
    return sim_leave(copy_async(&box, what, stream));
}

/* The step from one row to the next, or from one slice to the next in rows. With only one there is no next: 0 is good
 * then, and anything that holds it, but what is shorter is an invalid value. */
static cudaError_t copy_check_step(uint64_t extent, uint64_t step, uint64_t limit, bool is_one)
{
    if (is_one) {
        return step == 0 || step >= extent ? cudaSuccess : cudaErrorInvalidValue;
    }
    if (step < extent) {
        return cudaErrorInvalidPitchValue;
    }
    return step > limit ? cudaErrorInvalidValue : cudaSuccess;
}

static cudaError_t copy_box_2d(void *dst, size_t dpitch, const void *src, size_t spitch, size_t width, size_t height,
                               enum cudaMemcpyKind kind, copy_box *out)
{
    bool is_empty = width == 0 || height == 0;
    if (!is_empty && (unsigned)kind > (unsigned)cudaMemcpyDefault) {
        return cudaErrorInvalidMemcpyDirection;
    }
    cudaError_t status = is_empty ? cudaSuccess : copy_check_step(width, dpitch, SIM_MAX_PITCH, height == 1);
    if (!is_empty && status == cudaSuccess) {
        status = copy_check_step(width, spitch, SIM_MAX_PITCH, height == 1);
    }
    if (status != cudaSuccess) {
        return status;
    }
    *out = (copy_box){{(uintptr_t)dst, dpitch, dpitch * height},
                      {(uintptr_t)src, spitch, spitch * height},
                      width,
                      height,
                      1,
                      kind,
                      -1,
                      -1};
    return cudaSuccess;
}

cudaError_t cudaMemcpy2D(void *dst, size_t dpitch, const void *src, size_t spitch, size_t width, size_t height,
                         enum cudaMemcpyKind kind)
{
    copy_box box;
    SIM_ENTER(cudaMemcpy2D);
    SIM_TRY(copy_box_2d(dst, dpitch, src, spitch, width, height, kind, &box));
    return sim_leave(copy_sync(&box, what));
}

cudaError_t cudaMemcpy2DAsync(void *dst, size_t dpitch, const void *src, size_t spitch, size_t width, size_t height,
                              enum cudaMemcpyKind kind, cudaStream_t stream)
{
    copy_box box;
    SIM_ENTER(cudaMemcpy2DAsync);
    SIM_TRY(copy_box_2d(dst, dpitch, src, spitch, width, height, kind, &box));
    return sim_leave(copy_async(&box, what, stream));
}

/* One side of a copy of three dimensions in linear memory; all in bytes. */
static cudaError_t copy_side_3d(const struct cudaPitchedPtr *ptr, const struct cudaPos *pos, cudaArray_t array,
                                const struct cudaExtent *extent, sim_side *out)
{
    if ((array == NULL) == (ptr->ptr == NULL) || array != NULL) {
        return cudaErrorInvalidValue;
    }
    cudaError_t status =
        copy_check_step(extent->width + pos->x, ptr->pitch, SIM_MAX_PITCH, extent->height == 1 && extent->depth == 1);
    if (status == cudaSuccess) {
        status = copy_check_step(extent->height + pos->y, ptr->ysize, UINT64_MAX, extent->depth == 1);
    }
    if (status != cudaSuccess) {
        return status;
    }
    *out = (sim_side){(uintptr_t)ptr->ptr + pos->x + ptr->pitch * (pos->y + ptr->ysize * pos->z), ptr->pitch,
                      ptr->pitch * ptr->ysize};
    return cudaSuccess;
}

static cudaError_t copy_box_3d(const struct cudaMemcpy3DParms *p, copy_box *out)
{
    if (p == NULL) {
        return cudaErrorInvalidValue;
    }
    if ((unsigned)p->kind > (unsigned)cudaMemcpyDefault) {
        return cudaErrorInvalidMemcpyDirection;
    }
    *out = (copy_box){.width = p->extent.width,
                      .height = p->extent.height,
                      .depth = p->extent.depth,
                      .kind = p->kind,
                      .dst_device = -1,
                      .src_device = -1};
    if (copy_is_empty(out)) {
        return cudaSuccess;
    }
    cudaError_t status = copy_side_3d(&p->dstPtr, &p->dstPos, p->dstArray, &p->extent, &out->dst);
    return status == cudaSuccess ? copy_side_3d(&p->srcPtr, &p->srcPos, p->srcArray, &p->extent, &out->src) : status;
}

cudaError_t cudaMemcpy3D(const struct cudaMemcpy3DParms *p)
{
    copy_box box;
    SIM_ENTER(cudaMemcpy3D);
    SIM_TRY(copy_box_3d(p, &box));
    return sim_leave(copy_sync(&box, what));
}

cudaError_t cudaMemcpy3DAsync(const struct cudaMemcpy3DParms *p, cudaStream_t stream)
{
    copy_box box;
    SIM_ENTER(cudaMemcpy3DAsync);
    SIM_TRY(copy_box_3d(p, &box));
    return sim_leave(copy_async(&box, what, stream));
}

cudaError_t cudaMemcpy3DPeerAsync(const struct cudaMemcpy3DPeerParms *p, cudaStream_t stream)
{
    copy_box box;
    SIM_ENTER(cudaMemcpy3DPeerAsync);
    SIM_FAIL_IF(p == NULL, cudaErrorInvalidValue);
    SIM_FAIL_IF(p->dstDevice < 0 || p->dstDevice >= sim.ndevices || p->srcDevice < 0 || p->srcDevice >= sim.ndevices,
                cudaErrorInvalidDevice);
    const struct cudaMemcpy3DParms parms = {
        .srcArray = p->srcArray,
        .srcPos = p->srcPos,
        .srcPtr = p->srcPtr,
        .dstArray = p->dstArray,
        .dstPos = p->dstPos,
        .dstPtr = p->dstPtr,
        .extent = p->extent,
        .kind = cudaMemcpyDefault,
    };
    SIM_TRY(copy_box_3d(&parms, &box));
    box.dst_device = p->dstDevice;
    box.src_device = p->srcDevice;
    return sim_leave(copy_async(&box, what, stream));
}

/* ---- fills ---- */

static cudaError_t copy_fill(void *dst, size_t pitch, int value, size_t width, size_t height, const char *what,
                             cudaStream_t stream, bool sync)
{
    sim_stream *s;
    sim_op *op;
    cudaError_t status = sim_stream_find(stream, &s);
    if (status == cudaSuccess && sync) {
        status = sim_capture_forbid();
    }
    if (status != cudaSuccess) {
        return status;
    }
    if (width > pitch || pitch > SIM_MAX_PITCH) {
        return height > 1 || width > pitch ? cudaErrorInvalidValue : cudaErrorInvalidPitchValue;
    }
    if (width == 0 || height == 0) {
        return cudaSuccess;
    }
    sim_work work = {.kind = SIM_FILL, .what = what, .dst = {(uintptr_t)dst, pitch, pitch * height}, .value = value};
    work.width = width;
    work.height = height;
    work.depth = 1;
    work.nregions = 1;
    const int64_t shape = (int64_t)height;
    const int64_t stride = (int64_t)pitch;
    sim_region_set(&work.regions[0], true, (uintptr_t)dst, 1, &shape, &stride, width);
    status = sim_region_resolve(&work.regions[0], what);
    if (status == cudaSuccess && work.regions[0].block == NULL) {
        status = cudaErrorInvalidValue; /* pageable memory */
    }
    if (status != cudaSuccess) {
        return status;
    }
    status = sim_stream_submit(s, &work, NULL, &op);
    if (op != NULL) {
        if (sync && work.regions[0].block->memory != SIM_DEVICE) {
            sim_op_wait(op);
        }
        sim_op_release(op);
    }
    return status;
}

static cudaError_t copy_fill_line(void *dst, int value, size_t nbytes, const char *what, cudaStream_t stream, bool sync)
{
    /* A line has no limit of a pitch: its rows are one. */
    size_t step = nbytes > SIM_MAX_PITCH ? SIM_MAX_PITCH : nbytes;
    size_t nrows = step == 0 ? 0 : nbytes / step;
    cudaError_t status = copy_fill(dst, step, value, step, nrows, what, stream, sync);
    if (status == cudaSuccess && step > 0 && nbytes % step > 0) {
        status = copy_fill((char *)dst + nrows * step, nbytes % step, value, nbytes % step, 1, what, stream, sync);
    }
    return status;
}

cudaError_t cudaMemset(void *devPtr, int value, size_t count)
{
    SIM_ENTER(cudaMemset);
    return sim_leave(copy_fill_line(devPtr, value, count, what, cudaStreamLegacy, true));
}

cudaError_t cudaMemsetAsync(void *devPtr, int value, size_t count, cudaStream_t stream)
{
    SIM_ENTER(cudaMemsetAsync);
    return sim_leave(copy_fill_line(devPtr, value, count, what, stream, false));
}

cudaError_t cudaMemset2DAsync(void *devPtr, size_t pitch, int value, size_t width, size_t height, cudaStream_t stream)
{
    SIM_ENTER(cudaMemset2DAsync);
    return sim_leave(copy_fill(devPtr, pitch, value, width, height, what, stream, false));
}
