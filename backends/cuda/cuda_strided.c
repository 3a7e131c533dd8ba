/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include <string.h>

#include "backends/kernels/kernel_plan.h"

/* Copies between strided device memory and a run of pinned memory take device memory of this size for a moment.
 * Smaller and larger ones are left to a kernel that goes over the bus by itself: one call instead of four, and no
 * more memory than this. Estimates until measured on a GPU. */
#define CUDA_MIN_TEMPORARY_NBYTES ((int64_t)64 << 10)
#define CUDA_MAX_TEMPORARY_NBYTES ((int64_t)32 << 20)

/* A kernel that writes shorter runs than this into host memory, with gaps, waits for each of them: on an H200 2 ns for
 * 4 bytes, which the copy engine writes as rows in 0.16 ns. */
#define CUDA_MIN_HOST_ROW_NBYTES 64

static const cuda_device *device_of(const ndbuf_queue *queue)
{
    return (const cuda_device *)queue->device;
}

/* Whether kernels in the queue reach a piece of memory. */
static bool is_reached(const cuda_device *device, const ndbuf_mem *mem)
{
    if (!ndbuf_cuda__is_own(mem->device)) {
        return false;
    }
    const cuda_place *place = (const cuda_place *)mem->device;
    switch (place->kind) {
    case CUDA_KIND_DEVICE:
        return place->ordinal == device->place.ordinal ||
               (place->ordinal < 64 &&
                (atomic_load_explicit(&device->peers, memory_order_acquire) >> place->ordinal & 1) != 0);
    case CUDA_KIND_HOST:
        return device->traits.reaches_host_pointers != 0;
    default:
        return true;
    }
}

static ndbuf_status check_reach(const ndbuf_queue *queue, const ndbuf_mem *mem, ndbuf_error *err)
{
    if (!ndbuf_cuda__has_kernels() || !is_reached(device_of(queue), mem)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no kernel of CUDA device %d reaches this %s memory",
                          device_of(queue)->place.ordinal, mem->device->ops->name);
    }
    return NDBUF_OK;
}

/* With the device current, as in all that follows. */
static ndbuf_status launch(const ndbuf_queue *queue, ndbuf__kernel_launch *plan, void *dst, const void *src,
                           ndbuf_error *err)
{
    const cuda_api *api = device_of(queue)->place.api;
    const void *kernel = NULL;
    void *arguments[] = {&dst, &src, &plan->params};
    const dim3 grid = {.x = plan->ngroups, .y = 1, .z = 1};
    const dim3 group = {.x = plan->group_nitems, .y = 1, .z = 1};
    ndbuf_status status = ndbuf_cuda__kernel_get(api, plan->kernel, &kernel, err);
    if (status != NDBUF_OK) {
        return status;
    }
    cudaError_t code = api->cudaLaunchKernel(kernel, grid, group, arguments, 0, queue->native);
    return ndbuf_cuda__kernel_status(api, code, "cudaLaunchKernel", err);
}

/* One kernel that reads and writes both sides where they are. */
static ndbuf_status copy_by_kernel(const ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    ndbuf__kernel_launch plan;
    void *dst = box->dst.mem->handle;
    const void *src = box->src.mem->handle;
    if (!ndbuf__kernel_plan_copy(box, (uintptr_t)dst, (uintptr_t)src,
                                 (uint32_t)device_of(queue)->traits.max_group_nitems, &plan)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no kernel copies %d axes", (int)box->ndim);
    }
    return launch(queue, &plan, dst, src, err);
}

/* The bytes of a box; more than a temporary can have: too many to count. */
static int64_t box_nbytes(const ndbuf_strided *box)
{
    int64_t nbytes = box->unit_nbytes;
    for (int32_t k = 0; k < box->ndim && nbytes <= CUDA_MAX_TEMPORARY_NBYTES; k++) {
        nbytes = box->shape[k] > CUDA_MAX_TEMPORARY_NBYTES ? INT64_MAX : nbytes * box->shape[k];
    }
    return nbytes;
}

/* Whether one side is a single run of bytes from its offset on, whatever the order of its axes. */
static bool is_packed(const ndbuf_strided *box, const ndbuf_copy_side *side)
{
    int64_t run = box->unit_nbytes;
    for (int32_t found = 0; found < box->ndim; found++) {
        int32_t k = 0;
        while (k < box->ndim && side->strides[k] != run) {
            k++;
        }
        if (k == box->ndim) {
            return false;
        }
        run *= box->shape[k];
    }
    return true;
}

static bool is_host(const ndbuf_mem *mem)
{
    return ndbuf_cuda__is_own(mem->device) && ((const cuda_place *)mem->device)->kind == CUDA_KIND_HOST;
}

/* A copy between strided device memory and pinned memory that is one run, or rows of a rectangle that a kernel would
 * write badly: these cross the bus as they are, and the kernel works between device memory and a temporary, all in the
 * order of the stream. */
typedef struct cuda_relay {
    ndbuf__kernel_launch plan;
    ndbuf_mem temporary;
    ndbuf_rect crossing; /* between the temporary and the pinned memory */
    bool to_device;
} cuda_relay;

/* Sets the rows of a rectangle to those of the destination, and its source to the same rows packed. False: the
 * destination is no rectangle that CUDA knows. */
static bool rows_of_dst(const ndbuf_strided *box, int64_t max_pitch, ndbuf_rect *rect)
{
    const int64_t *strides = box->dst.strides;
    int32_t k = box->ndim;
    int64_t row = box->unit_nbytes;
    for (; k > 0 && strides[k - 1] == row; k--) {
        row *= box->shape[k - 1];
    }
    int64_t pitch = k > 0 ? strides[k - 1] : row;
    int64_t nrows = 1;
    for (; k > 0 && strides[k - 1] == pitch * nrows; k--) {
        nrows *= box->shape[k - 1];
    }
    int64_t slice_pitch = k > 0 ? strides[k - 1] : pitch * nrows;
    int64_t nslices = 1;
    for (; k > 0 && strides[k - 1] == slice_pitch * nslices; k--) {
        nslices *= box->shape[k - 1];
    }
    rect->dst.row_pitch = pitch;
    rect->dst.slice_pitch = slice_pitch;
    rect->src.row_pitch = row;
    rect->src.slice_pitch = row * nrows;
    rect->row_nbytes = row;
    rect->nrows = nrows;
    rect->nslices = nslices;
    return k == 0 && pitch <= max_pitch && slice_pitch % pitch == 0 && slice_pitch / pitch >= nrows;
}

/* Whether a kernel would write a destination on the host badly; then *out_rect has its rows. */
static bool is_written_badly(const ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_rect *out_rect)
{
    return is_host(box->dst.mem) && rows_of_dst(box, device_of(queue)->traits.max_pitch, out_rect) &&
           out_rect->nrows > 1 && out_rect->row_nbytes < CUDA_MIN_HOST_ROW_NBYTES;
}

/* The crossing of a copy for which there shall be a relay; its side of the temporary lacks the memory. False: the copy
 * is better done otherwise. */
static bool relay_crossing(const ndbuf_queue *queue, const ndbuf_strided *box, bool to_device, int64_t nbytes,
                           ndbuf_rect *out_rect)
{
    *out_rect = (ndbuf_rect){.dst = {.mem = box->dst.mem, .offset = box->dst.offset},
                             .src = {.mem = box->src.mem, .offset = box->src.offset},
                             .row_nbytes = nbytes,
                             .nrows = 1,
                             .nslices = 1};
    return nbytes >= CUDA_MIN_TEMPORARY_NBYTES && nbytes <= CUDA_MAX_TEMPORARY_NBYTES &&
           (is_packed(box, to_device ? &box->src : &box->dst) ||
            (!to_device && is_written_badly(queue, box, out_rect)));
}

static ndbuf_status relay_plan(const ndbuf_queue *queue, const ndbuf_strided *box, cuda_relay *relay, ndbuf_error *err)
{
    int64_t packed[NDK_MAX_NDIM];
    ndbuf_strided inner = *box;
    ndbuf_copy_side *side = relay->to_device ? &inner.src : &inner.dst;
    side->mem = &relay->temporary;
    side->offset = 0;
    if (!relay->to_device && box->ndim <= NDK_MAX_NDIM) { /* the same order without gaps */
        int64_t stride = box->unit_nbytes;
        for (int32_t k = box->ndim - 1; k >= 0; k--) {
            packed[k] = stride;
            stride *= box->shape[k];
        }
        side->strides = packed;
    }
    if (!ndbuf__kernel_plan_copy(&inner, (uintptr_t)inner.dst.mem->handle, (uintptr_t)inner.src.mem->handle,
                                 (uint32_t)device_of(queue)->traits.max_group_nitems, &relay->plan)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no kernel copies %d axes", (int)box->ndim);
    }
    return NDBUF_OK;
}

static ndbuf_status relay_run(ndbuf_queue *queue, const ndbuf_strided *box, cuda_relay *relay, ndbuf_error *err)
{
    void *temporary = relay->temporary.handle;
    ndbuf_status status = relay_plan(queue, box, relay, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf_rect_side *near = relay->to_device ? &relay->crossing.dst : &relay->crossing.src;
    near->mem = &relay->temporary;
    near->offset = 0;
    if (!relay->to_device) {
        status = launch(queue, &relay->plan, temporary, box->src.mem->handle, err);
        return status == NDBUF_OK ? ndbuf_cuda__copy_rect(queue, &relay->crossing, err) : status;
    }
    status = ndbuf_cuda__copy_rect(queue, &relay->crossing, err);
    if (status == NDBUF_OK) {
        status = launch(queue, &relay->plan, box->dst.mem->handle, temporary, err);
        if (status == NDBUF_ERR_UNSUPPORTED) { /* the stream reads the run: it is too late for another route */
            status = NDBUF_ERR_DEVICE;
            if (err != NULL) {
                err->status = NDBUF_ERR_DEVICE;
            }
        }
    }
    return status;
}

/* Whether a relay can be had for this copy; then its temporary is there. In a graph that is being captured there is
 * none: the allocation would become part of it. */
static bool relay_begin(const ndbuf_queue *queue, const ndbuf_strided *box, cuda_relay *out_relay)
{
    const cuda_device *device = device_of(queue);
    const cuda_api *api = device->place.api;
    bool to_device = is_host(box->src.mem);
    int64_t nbytes = box_nbytes(box);
    void *temporary = NULL;
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusActive;
    if (device->pool == NULL || is_host(box->dst.mem) == to_device ||
        !relay_crossing(queue, box, to_device, nbytes, &out_relay->crossing)) {
        return false;
    }
    if (api->cudaStreamIsCapturing(queue->native, &capture) != cudaSuccess || capture != cudaStreamCaptureStatusNone ||
        api->cudaMallocFromPoolAsync(&temporary, (size_t)nbytes, device->pool, queue->native) != cudaSuccess) {
        api->cudaGetLastError();
        return false;
    }
    out_relay->temporary = (ndbuf_mem){.device = queue->device, .handle = temporary, .nbytes = (size_t)nbytes};
    out_relay->to_device = to_device;
    return true;
}

static ndbuf_status enqueue_whole(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    const cuda_api *api = device_of(queue)->place.api;
    cuda_relay relay;
    if (!relay_begin(queue, box, &relay)) {
        return copy_by_kernel(queue, box, err);
    }
    ndbuf_status status = relay_run(queue, box, &relay, err);
    CUDA_UNDO(api->cudaFreeAsync(relay.temporary.handle, queue->native));
    return status;
}

/* What needs a relay and is too large for one goes in pieces, along its first axis. */
static ndbuf_status enqueue_strided(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    ndbuf_rect rect;
    if (box_nbytes(box) <= CUDA_MAX_TEMPORARY_NBYTES || box->ndim > NDK_MAX_NDIM || is_host(box->src.mem) ||
        !is_written_badly(queue, box, &rect)) {
        return enqueue_whole(queue, box, err);
    }
    int64_t shape[NDK_MAX_NDIM];
    ndbuf_strided piece = *box;
    memcpy(shape, box->shape, (size_t)box->ndim * sizeof(shape[0]));
    piece.shape = shape;
    shape[0] = 1;
    int64_t nbytes = box_nbytes(&piece);
    int64_t most = nbytes < CUDA_MAX_TEMPORARY_NBYTES ? CUDA_MAX_TEMPORARY_NBYTES / nbytes : 1;
    ndbuf_status status = NDBUF_OK;
    for (int64_t i = 0; i < box->shape[0] && status == NDBUF_OK; i += most) {
        shape[0] = box->shape[0] - i < most ? box->shape[0] - i : most;
        piece.dst.offset = box->dst.offset + i * box->dst.strides[0];
        piece.src.offset = box->src.offset + i * box->src.strides[0];
        status = enqueue_whole(queue, &piece, err);
    }
    return status;
}

ndbuf_status ndbuf_cuda__copy_strided(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    cuda_scope scope;
    ndbuf_status status = check_reach(queue, box->dst.mem, err);
    if (status == NDBUF_OK) {
        status = check_reach(queue, box->src.mem, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__queue_enter(queue, &scope, err);
    }
    if (status == NDBUF_OK) {
        status = enqueue_strided(queue, box, err);
        ndbuf_cuda__leave(&scope);
    }
    return status;
}

ndbuf_status ndbuf_cuda__convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *box, ndbuf_error *err)
{
    cuda_scope scope;
    ndbuf__kernel_launch plan;
    void *dst = box->dst.mem->handle;
    const void *src = box->src.mem->handle;
    ndbuf_status status = check_reach(queue, box->dst.mem, err);
    if (status == NDBUF_OK) {
        status = check_reach(queue, box->src.mem, err);
    }
    if (status == NDBUF_OK && !ndbuf__kernel_plan_convert(box, (uintptr_t)dst, (uintptr_t)src,
                                                          (uint32_t)device_of(queue)->traits.max_group_nitems, &plan)) {
        status = ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no kernel converts %d axes of number %d to number %d",
                            (int)box->ndim, (int)box->src_element.number, (int)box->dst_element.number);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__queue_enter(queue, &scope, err);
    }
    if (status == NDBUF_OK) {
        status = launch(queue, &plan, dst, src, err);
        ndbuf_cuda__leave(&scope);
    }
    return status;
}

ndbuf_status ndbuf_cuda__fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err)
{
    cuda_scope scope;
    ndbuf__kernel_launch plan;
    void *dst = box->dst.mem->handle;
    ndbuf_status status = check_reach(queue, box->dst.mem, err);
    if (status == NDBUF_OK &&
        !ndbuf__kernel_plan_fill(box, (uintptr_t)dst, (uint32_t)device_of(queue)->traits.max_group_nitems, &plan)) {
        status = ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no kernel fills %d axes with items of %lld bytes",
                            (int)box->ndim, (long long)box->item_nbytes);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__queue_enter(queue, &scope, err);
    }
    if (status == NDBUF_OK) {
        status = launch(queue, &plan, dst, dst, err);
        ndbuf_cuda__leave(&scope);
    }
    return status;
}
