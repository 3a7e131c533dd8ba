/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include <cuda.h>
#include <string.h>

/* The first version of the driver with all that is asked of it by name. */
#define CUDA_ENTRY_POINT_VERSION 12000

void *ndbuf_cuda__driver_function(const cuda_api *api, const char *name)
{
    void *function = NULL;
    enum cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
    cudaError_t code =
        api->cudaGetDriverEntryPointByVersion(name, &function, CUDA_ENTRY_POINT_VERSION, cudaEnableDefault, &result);
    if (code != cudaSuccess) {
        api->cudaGetLastError();
        return NULL;
    }
    return result == cudaDriverEntryPointSuccess ? function : NULL;
}

/* -- allocating -- */

static const char *kind_name(cuda_kind kind)
{
    return kind == CUDA_KIND_DEVICE ? "device" : kind == CUDA_KIND_HOST ? "pinned" : "managed";
}

/* A block that every stream can use at once. */
static cudaError_t pool_alloc(const cuda_device *device, size_t nbytes, void **out_block, const char **out_call)
{
    const cuda_api *api = device->place.api;
    void *block = NULL;
    *out_call = "cudaMallocFromPoolAsync";
    cudaError_t code = api->cudaMallocFromPoolAsync(&block, nbytes, device->pool, device->memory_stream);
    if (code != cudaSuccess) {
        return code;
    }
    *out_call = "cudaStreamSynchronize";
    code = api->cudaStreamSynchronize(device->memory_stream);
    if (code != cudaSuccess) {
        CUDA_UNDO(api->cudaFreeAsync(block, device->memory_stream));
        return code;
    }
    *out_block = block;
    return cudaSuccess;
}

/* With the device current. */
static cudaError_t block_alloc(const cuda_place *place, size_t nbytes, void **out_block, const char **out_call)
{
    const cuda_api *api = place->api;
    if (place->kind == CUDA_KIND_HOST) {
        *out_call = "cudaHostAlloc";
        return api->cudaHostAlloc(out_block, nbytes, cudaHostAllocPortable);
    }
    if (place->kind == CUDA_KIND_MANAGED) {
        *out_call = "cudaMallocManaged";
        return api->cudaMallocManaged(out_block, nbytes, cudaMemAttachGlobal);
    }
    if (((const cuda_device *)place)->pool != NULL) {
        return pool_alloc((const cuda_device *)place, nbytes, out_block, out_call);
    }
    *out_call = "cudaMalloc";
    return api->cudaMalloc(out_block, nbytes);
}

static void block_free(const cuda_place *place, void *block)
{
    const cuda_api *api = place->api;
    if (place->kind == CUDA_KIND_HOST) {
        CUDA_UNDO(api->cudaFreeHost(block));
    } else if (place->kind == CUDA_KIND_DEVICE && ((const cuda_device *)place)->pool != NULL) {
        CUDA_UNDO(api->cudaFreeAsync(block, ((const cuda_device *)place)->memory_stream));
    } else {
        CUDA_UNDO(api->cudaFree(block));
    }
}

static uintptr_t align_up(uintptr_t address, size_t alignment)
{
    return (address + (alignment - 1)) & ~(uintptr_t)(alignment - 1);
}

/* A block with room for an aligned address. CUDA promises 256 bytes, and mostly gives more: a larger block is asked for
 * only where that is not so. With the device current. */
static ndbuf_status alloc_aligned(const cuda_place *place, size_t nbytes, size_t alignment, void **out_block,
                                  ndbuf_error *err)
{
    const cuda_api *api = place->api;
    const char *call = "";
    void *block = NULL;
    cudaError_t code = block_alloc(place, nbytes, &block, &call);
    if (code == cudaSuccess && align_up((uintptr_t)block, alignment) != (uintptr_t)block) {
        block_free(place, block);
        code = block_alloc(place, nbytes + alignment, &block, &call);
    }
    if (code == cudaErrorMemoryAllocation || code == cudaErrorInvalidValue) {
        api->cudaGetLastError();
        return ndbuf_fail_native(err, NDBUF_ERR_NOMEM, (int32_t)code, "no %s memory for %zu bytes: %s: %s (%s, %d)",
                                 kind_name(place->kind), nbytes, call, api->cudaGetErrorString(code),
                                 api->cudaGetErrorName(code), (int)code);
    }
    if (code != cudaSuccess) {
        return ndbuf_cuda__fail(api, err, code, call);
    }
    *out_block = block;
    return NDBUF_OK;
}

static void *host_address_of(const ndbuf_device *device, void *handle)
{
    return (device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0 ? handle : NULL;
}

/* backend_data of imported memory: whose kernels reach it. Of memory of our own it is the block as CUDA gave it. */
static cuda_reach imported[] = {CUDA_REACH_PEERS, CUDA_REACH_DEVICE, CUDA_REACH_NOBODY};

static bool is_imported(const ndbuf_mem *mem)
{
    return mem->backend_data == &imported[CUDA_REACH_PEERS] || mem->backend_data == &imported[CUDA_REACH_DEVICE] ||
           mem->backend_data == &imported[CUDA_REACH_NOBODY];
}

cuda_reach ndbuf_cuda__mem_reach(const ndbuf_mem *mem)
{
    return is_imported(mem) ? *(const cuda_reach *)mem->backend_data : CUDA_REACH_PEERS;
}

ndbuf_status ndbuf_cuda__mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                   ndbuf_error *err)
{
    const cuda_place *place = (const cuda_place *)device;
    cuda_scope scope;
    void *block = NULL;
    ndbuf_status status = ndbuf_cuda__enter(place, &scope, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = alloc_aligned(place, nbytes, alignment, &block, err);
    ndbuf_cuda__leave(&scope);
    if (status != NDBUF_OK) {
        return status;
    }
    void *handle = (void *)align_up((uintptr_t)block, alignment);
    *out_mem = (ndbuf_mem){.device = device,
                           .handle = handle,
                           .host_address = host_address_of(device, handle),
                           .nbytes = nbytes,
                           .backend_data = block};
    return NDBUF_OK;
}

void ndbuf_cuda__mem_free(ndbuf_mem *mem)
{
    const cuda_place *place = (const cuda_place *)mem->device;
    cuda_scope scope;
    if (!is_imported(mem) && ndbuf_cuda__enter_to_undo(place, &scope)) {
        block_free(place, mem->backend_data);
        ndbuf_cuda__leave(&scope);
    }
}

/* -- importing -- */

ndbuf_status ndbuf_cuda__pointer_ask(const cuda_api *api, const void *pointer, cuda_pointer *out_pointer,
                                     ndbuf_error *err)
{
    struct cudaPointerAttributes attributes = {.type = cudaMemoryTypeUnregistered};
    cudaError_t code = api->cudaPointerGetAttributes(&attributes, pointer);
    cuda_kind kind = CUDA_KIND_DEVICE;
    if (code == cudaErrorInvalidValue) { /* what versions before 11 said of unregistered memory */
        api->cudaGetLastError();
    } else if (code != cudaSuccess) {
        return ndbuf_cuda__fail(api, err, code, "cudaPointerGetAttributes");
    }
    switch (attributes.type) {
    case cudaMemoryTypeDevice:
        break;
    case cudaMemoryTypeHost:
        kind = CUDA_KIND_HOST;
        break;
    case cudaMemoryTypeManaged:
        kind = CUDA_KIND_MANAGED;
        break;
    default:
        return ndbuf_fail_native(err, NDBUF_ERR_INVALID, (int32_t)code, "%p is not memory that CUDA knows", pointer);
    }
    *out_pointer = (cuda_pointer){
        .kind = kind, .ordinal = attributes.device, .is_for_kernels = attributes.devicePointer == pointer};
    return NDBUF_OK;
}

static ndbuf_status check_kind(const cuda_place *place, const void *address, const cuda_pointer *pointer,
                               ndbuf_error *err)
{
    cuda_kind kind = pointer->kind;
    if (place->kind == CUDA_KIND_DEVICE && kind == CUDA_KIND_DEVICE && pointer->ordinal != place->ordinal) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%p is memory of CUDA device %d, not %d", address, pointer->ordinal,
                          place->ordinal);
    }
    /* Every device reaches managed memory as if it were its own. */
    if (kind != place->kind && !(place->kind == CUDA_KIND_DEVICE && kind == CUDA_KIND_MANAGED)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%p is %s memory, not %s", address, kind_name(kind),
                          kind_name(place->kind));
    }
    return NDBUF_OK;
}

/* The driver's function that tells about a pointer. NULL: it has none. */
typedef CUresult (*pointer_get)(void *, CUpointer_attribute, CUdeviceptr);

static pointer_get find_pointer_get(const cuda_api *api)
{
    pointer_get get = NULL;
    void *function = ndbuf_cuda__driver_function(api, "cuPointerGetAttribute");
    memcpy(&get, &function, sizeof(get));
    return get;
}

/* Whether the allocation reaches far enough, where the driver can tell. */
static ndbuf_status check_range(pointer_get get, const void *pointer, size_t nbytes, ndbuf_error *err)
{
    CUdeviceptr start = 0;
    size_t extent = 0;
    CUdeviceptr address = (CUdeviceptr)(uintptr_t)pointer;
    if (get == NULL || get(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, address) != CUDA_SUCCESS ||
        get(&extent, CU_POINTER_ATTRIBUTE_RANGE_SIZE, address) != CUDA_SUCCESS) {
        return NDBUF_OK;
    }
    if (address < start || address - start > extent || nbytes > extent - (size_t)(address - start)) {
        return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "%zu bytes at %zu of a CUDA allocation of %zu bytes", nbytes,
                          (size_t)(address - start), extent);
    }
    return NDBUF_OK;
}

/* Peers reach with cudaDeviceEnablePeerAccess what cudaMalloc gave. Of pools and of mapped memory (cuMemMap) the owner
 * says by himself who reaches it, and these never have the handles of cudaIpcGetMemHandle: that tells them apart. */
static bool is_for_peers(pointer_get get, const void *pointer)
{
    int has_handle = 0; /* the driver writes a bool, or an int */
    return get != NULL &&
           get(&has_handle, CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE, (CUdeviceptr)(uintptr_t)pointer) ==
               CUDA_SUCCESS &&
           has_handle != 0;
}

static cuda_reach reach_of(pointer_get get, const void *address, const cuda_pointer *pointer)
{
    if (!pointer->is_for_kernels) {
        return CUDA_REACH_NOBODY;
    }
    return pointer->kind != CUDA_KIND_DEVICE || is_for_peers(get, address) ? CUDA_REACH_PEERS : CUDA_REACH_DEVICE;
}

/* With the device current. */
static ndbuf_status import(const cuda_place *place, const void *handle, size_t nbytes, cuda_reach *out_reach,
                           ndbuf_error *err)
{
    cuda_pointer pointer = {.ordinal = -1};
    pointer_get get = NULL;
    ndbuf_status status = ndbuf_cuda__pointer_ask(place->api, handle, &pointer, err);
    if (status == NDBUF_OK) {
        status = check_kind(place, handle, &pointer, err);
    }
    if (status == NDBUF_OK) {
        get = find_pointer_get(place->api);
        status = check_range(get, handle, nbytes, err);
    }
    if (status == NDBUF_OK) {
        *out_reach = reach_of(get, handle, &pointer);
    }
    return status;
}

ndbuf_status ndbuf_cuda__mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                    ndbuf_error *err)
{
    const cuda_place *place = (const cuda_place *)device;
    cuda_scope scope;
    cuda_reach reach = CUDA_REACH_NOBODY;
    ndbuf_status status = ndbuf_cuda__enter(place, &scope, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = import(place, handle, nbytes, &reach, err);
    ndbuf_cuda__leave(&scope);
    if (status != NDBUF_OK) {
        return status;
    }
    *out_mem = (ndbuf_mem){.device = device,
                           .handle = handle,
                           .host_address = host_address_of(device, handle),
                           .nbytes = nbytes,
                           .backend_data = &imported[reach]};
    return NDBUF_OK;
}

/* -- mapping -- */

ndbuf_status ndbuf_cuda__mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                 void **out_address, ndbuf_error *err)
{
    if (mem->host_address == NULL) {
        return ndbuf_unsupported_mem_map(mem, offset, nbytes, map_flags, out_address, err);
    }
    *out_address = (char *)mem->host_address + offset;
    return NDBUF_OK;
}

ndbuf_status ndbuf_cuda__mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err)
{
    uintptr_t first = (uintptr_t)mem->host_address;
    if (mem->host_address == NULL || (uintptr_t)address < first || (uintptr_t)address - first >= mem->nbytes) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%p is not a mapping of this memory", address);
    }
    return NDBUF_OK;
}
