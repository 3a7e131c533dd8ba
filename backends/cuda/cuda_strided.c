/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include "backends/kernels/kernel_plan.h"

/* Copies between strided device memory and a run of pinned memory take device memory of this size for a moment.
 * Smaller and larger ones are left to a kernel that goes over the bus by itself: one call instead of four, and no
 * more memory than this. Estimates until measured on a GPU. */
#define CUDA_MIN_TEMPORARY_NBYTES ((int64_t)64 << 10)
#define CUDA_MAX_TEMPORARY_NBYTES ((int64_t)32 << 20)

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

/* The bytes of a box; 0: too few or too many for a temporary. */
static int64_t box_nbytes(const ndbuf_strided *box)
{
    int64_t nbytes = box->unit_nbytes;
    for (int32_t k = 0; k < box->ndim; k++) {
        if (nbytes > CUDA_MAX_TEMPORARY_NBYTES / box->shape[k]) {
            return 0;
        }
        nbytes *= box->shape[k];
    }
    return nbytes >= CUDA_MIN_TEMPORARY_NBYTES && nbytes <= CUDA_MAX_TEMPORARY_NBYTES ? nbytes : 0;
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
        if (status == NDBUF_ERR_UNSUPPORTED) { /* the stream reads the run: it is too late for another route */
            status = NDBUF_ERR_DEVICE;
            if (err != NULL) {
                err->status = NDBUF_ERR_DEVICE;
            }
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

/* Whether a relay can be had for this copy; then its temporary is there. In a graph that is being captured there is
 * none: the allocation would become part of it. */
static bool relay_begin(const ndbuf_queue *queue, const ndbuf_strided *box, cuda_relay *out_relay)
{
    const cuda_device *device = device_of(queue);
    const cuda_api *api = device->place.api;
    bool to_device = is_host(box->src.mem);
    int64_t nbytes = box_nbytes(box);
    enum cudaStreamCaptureStatus capture = cudaStreamCaptureStatusActive;
    if (device->pool == NULL || nbytes == 0 || is_host(box->dst.mem) == to_device ||
        !is_packed(box, to_device ? &box->src : &box->dst)) {
        return false;
    }
    *out_relay = (cuda_relay){.nbytes = nbytes, .to_device = to_device};
    if (api->cudaStreamIsCapturing(queue->native, &capture) != cudaSuccess || capture != cudaStreamCaptureStatusNone ||
        api->cudaMallocFromPoolAsync(&out_relay->temporary, (size_t)nbytes, device->pool, queue->native) !=
            cudaSuccess) {
        api->cudaGetLastError();
        return false;
    }
    return true;
}

static ndbuf_status enqueue_strided(const ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    const cuda_api *api = device_of(queue)->place.api;
    cuda_relay relay;
    if (!relay_begin(queue, box, &relay)) {
        return copy_by_kernel(queue, box, err);
    }
    ndbuf_status status = relay_run(queue, box, &relay, err);
    CUDA_UNDO(api->cudaFreeAsync(relay.temporary, queue->native));
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
