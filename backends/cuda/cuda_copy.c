/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

/* The kind is always cudaMemcpyDefault: the driver knows where an address lies. */

/* One side of a copy: an address, and the device it is on; -1: no memory of a certain device. */
typedef struct cuda_side {
    char *address;
    int ordinal;
} cuda_side;

static ndbuf_status side_of(const ndbuf_mem *mem, int64_t offset, cuda_side *out_side, ndbuf_error *err)
{
    bool is_own = ndbuf_cuda__is_own(mem->device);
    if (!is_own && mem->host_address == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "CUDA cannot reach %s memory", mem->device->ops->name);
    }
    const cuda_place *place = (const cuda_place *)mem->device;
    bool is_device = is_own && place->kind == CUDA_KIND_DEVICE;
    out_side->address = (char *)(is_own ? mem->handle : mem->host_address) + offset;
    out_side->ordinal = is_device ? place->ordinal : -1;
    return NDBUF_OK;
}

/* In a capture, CUDA refuses peer copies and gives the capture up. With the device current. */
static ndbuf_status refuse_peer_capture(const ndbuf_queue *queue, ndbuf_error *err)
{
    return ndbuf_cuda__refuse_capturing(queue, "a copy between devices", err);
}

static bool is_between_devices(const cuda_side *dst, const cuda_side *src)
{
    return dst->ordinal >= 0 && src->ordinal >= 0 && dst->ordinal != src->ordinal;
}

/* With the device current. */
static ndbuf_status enqueue_bytes(const ndbuf_queue *queue, const cuda_side *dst, const cuda_side *src, size_t nbytes,
                                  ndbuf_error *err)
{
    const cuda_api *api = ((const cuda_place *)queue->device)->api;
    if (is_between_devices(dst, src)) {
        ndbuf_status status = refuse_peer_capture(queue, err);
        if (status != NDBUF_OK) {
            return status;
        }
        return CUDA_STATUS(
            api->cudaMemcpyPeerAsync(dst->address, dst->ordinal, src->address, src->ordinal, nbytes, queue->native),
            err);
    }
    return CUDA_STATUS(api->cudaMemcpyAsync(dst->address, src->address, nbytes, cudaMemcpyDefault, queue->native), err);
}

ndbuf_status ndbuf_cuda__copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset, const ndbuf_mem *src,
                                    int64_t src_offset, int64_t nbytes, ndbuf_error *err)
{
    cuda_scope scope;
    cuda_side to = {.ordinal = -1};
    cuda_side from = {.ordinal = -1};
    ndbuf_status status = side_of(dst, dst_offset, &to, err);
    if (status == NDBUF_OK) {
        status = side_of(src, src_offset, &from, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__queue_enter(queue, &scope, err);
    }
    if (status == NDBUF_OK) {
        status = enqueue_bytes(queue, &to, &from, (size_t)nbytes, err);
        ndbuf_cuda__leave(&scope);
    }
    return status;
}

/* A slice pitch is a whole number of rows. */
static struct cudaPitchedPtr pitched(const ndbuf_rect *rect, const ndbuf_rect_side *side, char *address)
{
    int64_t nrows = rect->nslices > 1 ? side->slice_pitch / side->row_pitch : rect->nrows;
    return (struct cudaPitchedPtr){
        .ptr = address, .pitch = (size_t)side->row_pitch, .xsize = (size_t)rect->row_nbytes, .ysize = (size_t)nrows};
}

/* With the device current. */
static ndbuf_status enqueue_rect(const ndbuf_queue *queue, const ndbuf_rect *rect, const cuda_side *dst,
                                 const cuda_side *src, ndbuf_error *err)
{
    const cuda_api *api = ((const cuda_place *)queue->device)->api;
    const struct cudaExtent extent = {(size_t)rect->row_nbytes, (size_t)rect->nrows, (size_t)rect->nslices};
    if (is_between_devices(dst, src)) {
        ndbuf_status status = refuse_peer_capture(queue, err);
        if (status != NDBUF_OK) {
            return status;
        }
        struct cudaMemcpy3DPeerParms peer = {.srcPtr = pitched(rect, &rect->src, src->address),
                                             .srcDevice = src->ordinal,
                                             .dstPtr = pitched(rect, &rect->dst, dst->address),
                                             .dstDevice = dst->ordinal,
                                             .extent = extent};
        return CUDA_STATUS(api->cudaMemcpy3DPeerAsync(&peer, queue->native), err);
    }
    if (rect->nslices > 1) {
        struct cudaMemcpy3DParms box = {.srcPtr = pitched(rect, &rect->src, src->address),
                                        .dstPtr = pitched(rect, &rect->dst, dst->address),
                                        .extent = extent,
                                        .kind = cudaMemcpyDefault};
        return CUDA_STATUS(api->cudaMemcpy3DAsync(&box, queue->native), err);
    }
    return CUDA_STATUS(api->cudaMemcpy2DAsync(dst->address, (size_t)rect->dst.row_pitch, src->address,
                                              (size_t)rect->src.row_pitch, extent.width, extent.height,
                                              cudaMemcpyDefault, queue->native),
                       err);
}

ndbuf_status ndbuf_cuda__copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err)
{
    cuda_scope scope;
    cuda_side to = {.ordinal = -1};
    cuda_side from = {.ordinal = -1};
    ndbuf_status status = side_of(rect->dst.mem, rect->dst.offset, &to, err);
    if (status == NDBUF_OK) {
        status = side_of(rect->src.mem, rect->src.offset, &from, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__queue_enter(queue, &scope, err);
    }
    if (status == NDBUF_OK) {
        /* A single row has no pitch that could be beyond a limit. */
        status = rect->nrows == 1 && rect->nslices == 1
                     ? enqueue_bytes(queue, &to, &from, (size_t)rect->row_nbytes, err)
                     : enqueue_rect(queue, rect, &to, &from, err);
        ndbuf_cuda__leave(&scope);
    }
    return status;
}
