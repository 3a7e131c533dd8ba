/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include "backends/kernels/kernel_plan.h"

/* How kernels do over the bus was measured on an H200. Units of 4, 8 and 16 bytes go as fast as a plain copy. Others do
 * not: from this size on, between strided device memory and a run of pinned memory, it is better to let the run cross
 * the bus as it is, and to give the kernel device memory for a moment, in pieces of at most the second size. */
#define CUDA_MIN_TEMPORARY_NBYTES ((int64_t)128 << 10)
#define CUDA_MAX_TEMPORARY_NBYTES ((int64_t)32 << 20)

/* Runs shorter than this that a kernel writes into host memory, with gaps, take 2 ns each; more than this many are left
 * to the host, which spreads a packed copy faster. */
#define CUDA_MIN_HOST_RUN_NBYTES 64
#define CUDA_MAX_HOST_RUNS 32768

static cuda_device *device_of(const ndbuf_queue *queue)
{
    return (cuda_device *)queue->device;
}

/* Whether kernels in the queue reach a piece of memory. */
static bool is_reached(const cuda_device *device, const ndbuf_mem *mem)
{
    cuda_reach reach = ndbuf_cuda__mem_reach(mem);
    if (!ndbuf_cuda__is_own(mem->device) || reach == CUDA_REACH_NOBODY) {
        return false;
    }
    const cuda_place *place = (const cuda_place *)mem->device;
    switch (place->kind) {
    case CUDA_KIND_DEVICE:
        return place->ordinal == device->place.ordinal ||
               (reach == CUDA_REACH_PEERS && place->ordinal < 64 &&
                (atomic_load_explicit(&device->peers, memory_order_acquire) >> place->ordinal & 1) != 0);
    case CUDA_KIND_HOST:
        return device->traits.reaches_host_pointers != 0;
    default:
        return true;
    }
}

static ndbuf_status check_reach(const ndbuf_queue *queue, const ndbuf_mem *mem, ndbuf_error *err)
{
    if (!ndbuf_cuda__has_kernels(device_of(queue))) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "there are no kernels for CUDA device %d",
                          device_of(queue)->place.ordinal);
    }
    if (!is_reached(device_of(queue), mem)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no kernel of CUDA device %d reaches this %s memory",
                          device_of(queue)->place.ordinal, mem->device->ops->name);
    }
    return NDBUF_OK;
}

/* With the device current, as in all that follows. */
static ndbuf_status launch(const ndbuf_queue *queue, ndbuf__kernel_launch *plan, void *dst, const void *src,
                           ndbuf_error *err)
{
    cuda_device *device = device_of(queue);
    const void *kernel = NULL;
    void *arguments[] = {&dst, &src, &plan->params};
    const dim3 grid = {.x = plan->ngroups, .y = 1, .z = 1};
    const dim3 group = {.x = plan->group_nitems, .y = 1, .z = 1};
    ndbuf_status status = ndbuf_cuda__kernel_get(device, plan->kernel, &kernel, err);
    if (status != NDBUF_OK) {
        return status;
    }
    cudaError_t code = device->place.api->cudaLaunchKernel(kernel, grid, group, arguments, 0, queue->native);
    return ndbuf_cuda__kernel_status(device, code, "cudaLaunchKernel", err);
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

static int64_t box_nbytes(const ndbuf_strided *box)
{
    int64_t nbytes = box->unit_nbytes;
    for (int32_t k = 0; k < box->ndim; k++) {
        nbytes *= box->shape[k];
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

/* Whether a kernel does well by itself with pinned memory in one run. */
static bool is_wide(int64_t unit_nbytes)
{
    return unit_nbytes >= 4 && (unit_nbytes & (unit_nbytes - 1)) == 0;
}

/* Whether a kernel would write the host's memory in too many short runs. */
static bool is_written_badly(const ndbuf_strided *box)
{
    int64_t run = box->unit_nbytes;
    int32_t k = box->ndim;
    if (!is_host(box->dst.mem)) {
        return false;
    }
    for (; k > 0 && box->dst.strides[k - 1] == run; k--) {
        run *= box->shape[k - 1];
    }
    return k > 0 && run < CUDA_MIN_HOST_RUN_NBYTES && box_nbytes(box) / run > CUDA_MAX_HOST_RUNS;
}

/* A copy between pinned memory in one run and strided device memory: the run crosses the bus as it is, and the kernel
 * works between device memory and a temporary, all in the order of the stream. */
typedef struct cuda_relay {
    ndbuf__kernel_launch plan;
    void *temporary;
    int64_t nbytes;
    bool to_device;
} cuda_relay;

static ndbuf_status relay_plan(const ndbuf_queue *queue, const ndbuf_strided *box, cuda_relay *relay, ndbuf_error *err)
{
    ndbuf_mem temporary = {.device = queue->device, .handle = relay->temporary, .nbytes = (size_t)relay->nbytes};
    ndbuf_strided inner = *box;
    ndbuf_copy_side *side = relay->to_device ? &inner.src : &inner.dst;
    side->mem = &temporary;
    side->offset = 0;
    if (!ndbuf__kernel_plan_copy(&inner, (uintptr_t)inner.dst.mem->handle, (uintptr_t)inner.src.mem->handle,
                                 (uint32_t)device_of(queue)->traits.max_group_nitems, &relay->plan)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no kernel copies %d axes", (int)box->ndim);
    }
    return NDBUF_OK;
}

static ndbuf_status relay_run(const ndbuf_queue *queue, const ndbuf_strided *box, cuda_relay *relay, ndbuf_error *err)
{
    const cuda_api *api = device_of(queue)->place.api;
    void *temporary = relay->temporary;
    ndbuf_status status = relay_plan(queue, box, relay, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (relay->to_device) {
        const char *run = (const char *)box->src.mem->handle + box->src.offset;
        CUDA_TRY(api->cudaMemcpyAsync(temporary, run, (size_t)relay->nbytes, cudaMemcpyDefault, queue->native), err);
        status = launch(queue, &relay->plan, box->dst.mem->handle, temporary, err);
        if (status == NDBUF_ERR_UNSUPPORTED) { /* another route may use another queue: this one lets go of the run */
            CUDA_TRY(api->cudaStreamSynchronize(queue->native), err);
        }
        return status;
    }
    status = launch(queue, &relay->plan, temporary, box->src.mem->handle, err);
    if (status == NDBUF_OK) {
        char *run = (char *)box->dst.mem->handle + box->dst.offset;
        status = CUDA_STATUS(
            api->cudaMemcpyAsync(run, temporary, (size_t)relay->nbytes, cudaMemcpyDefault, queue->native), err);
    }
    return status;
}

static bool is_capturing(const ndbuf_queue *queue)
{
    const cuda_api *api = device_of(queue)->place.api;
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusActive;
    cudaError_t code = api->cudaStreamIsCapturing(queue->native, &capture);
    if (code != cudaSuccess) {
        api->cudaGetLastError();
    }
    return code != cudaSuccess || capture != cudaStreamCaptureStatusNone;
}

/* By a relay, if memory for its temporary can be had, else by a kernel over the bus. */
static ndbuf_status copy_by_relay(const ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    const cuda_device *device = device_of(queue);
    const cuda_api *api = device->place.api;
    cuda_relay relay = {.nbytes = box_nbytes(box), .to_device = is_host(box->src.mem)};
    if (relay.nbytes > CUDA_MAX_TEMPORARY_NBYTES ||
        api->cudaMallocFromPoolAsync(&relay.temporary, (size_t)relay.nbytes, device->pool, queue->native) !=
            cudaSuccess) {
        api->cudaGetLastError();
        return copy_by_kernel(queue, box, err);
    }
    ndbuf_status status = relay_run(queue, box, &relay, err);
    CUDA_UNDO(api->cudaFreeAsync(relay.temporary, queue->native));
    return status;
}

/* In pieces of which each is a run of pinned memory, along the outermost axis of that side. */
static ndbuf_status copy_by_relays(const ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    int64_t shape[NDK_MAX_NDIM];
    const int64_t *strides = is_host(box->src.mem) ? box->src.strides : box->dst.strides;
    ndbuf_strided piece = *box;
    ndbuf_status status = NDBUF_OK;
    int32_t axis = 0;
    for (int32_t k = 0; k < box->ndim; k++) {
        shape[k] = box->shape[k];
        axis = strides[k] > strides[axis] ? k : axis;
    }
    int64_t slice_nbytes = box_nbytes(box) / shape[axis];
    int64_t most = slice_nbytes < CUDA_MAX_TEMPORARY_NBYTES ? CUDA_MAX_TEMPORARY_NBYTES / slice_nbytes : 1;
    piece.shape = shape;
    for (int64_t i = 0; i < box->shape[axis] && status == NDBUF_OK; i += most) {
        shape[axis] = box->shape[axis] - i < most ? box->shape[axis] - i : most;
        piece.dst.offset = box->dst.offset + i * box->dst.strides[axis];
        piece.src.offset = box->src.offset + i * box->src.strides[axis];
        status = copy_by_relay(queue, &piece, err);
    }
    return status;
}

/* A graph that is being captured takes kernels alone: temporaries would become part of it, and the host cannot. */
static ndbuf_status enqueue_strided(const ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    bool to_device = is_host(box->src.mem);
    if (is_written_badly(box) && !is_capturing(queue)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "a kernel would write host memory in %lld runs of a few bytes",
                          (long long)(box_nbytes(box) / box->unit_nbytes));
    }
    bool by_relay = to_device != is_host(box->dst.mem) && device_of(queue)->pool != NULL &&
                    !is_wide(box->unit_nbytes) && box->ndim > 0 && box->ndim <= NDK_MAX_NDIM &&
                    box_nbytes(box) >= CUDA_MIN_TEMPORARY_NBYTES && is_packed(box, to_device ? &box->src : &box->dst) &&
                    !is_capturing(queue);
    return by_relay ? copy_by_relays(queue, box, err) : copy_by_kernel(queue, box, err);
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
