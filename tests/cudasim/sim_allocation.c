/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/cudasim/sim.h"

/* ---- device and managed memory ---- */

static cudaError_t allocation_make(sim_memory memory, size_t nbytes, void **out_pointer, unsigned flags)
{
    sim_block *block = NULL;
    if (out_pointer == NULL) {
        return cudaErrorInvalidValue;
    }
    cudaError_t status = sim_capture_forbid();
    if (status != cudaSuccess) {
        return status;
    }
    if (nbytes == 0) {
        *out_pointer = NULL;
        return cudaSuccess;
    }
    status = sim_block_create(memory, sim_self.device, nbytes, &block);
    if (status == cudaErrorMemoryAllocation && memory == SIM_DEVICE && sim_pool_reclaim(sim_self.device)) {
        status = sim_block_create(memory, sim_self.device, nbytes, &block);
    }
    if (status != cudaSuccess) {
        *out_pointer = NULL;
        return status;
    }
    block->host_flags = flags;
    sim_block_insert(block);
    *out_pointer = (void *)(uintptr_t)block->base;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **devPtr, size_t size)
{
    SIM_ENTER(cudaMalloc);
    return sim_leave(allocation_make(SIM_DEVICE, size, devPtr, 0));
}

cudaError_t cudaMallocManaged(void **devPtr, size_t size, unsigned int flags)
{
    SIM_ENTER(cudaMallocManaged);
    SIM_FAIL_IF(flags != cudaMemAttachGlobal && flags != cudaMemAttachHost, cudaErrorInvalidValue);
    return sim_leave(allocation_make(SIM_MANAGED, size, devPtr, flags));
}

/* The block that begins at a pointer which is to be freed; anything else is a violation. */
static cudaError_t allocation_find(void *pointer, const char *what, sim_block **out_block)
{
    sim_block *block = sim_block_find((uintptr_t)pointer);
    if (block == NULL || block->base != (uintptr_t)pointer || block->freed) {
        sim_violate("%s of %p, which is %s", what, pointer,
                    block == NULL ? "no block, or was freed before"
                                  : (block->freed ? "freed already" : "inside a block"));
        return cudaErrorInvalidValue;
    }
    *out_block = block;
    return cudaSuccess;
}

/* The end of a block that is not of a pool. Real CUDA waits for the whole device then. Its documentation does not
 * promise that, so work that still uses the block is a violation all the same. */
static void allocation_end(sim_block *block, const char *what)
{
    sim_block_retain(block);
    if (sim.sticky == cudaSuccess) {
        sim_block_await(block, what);
        if (!block->from_pool) {
            sim_op_await_device(block->device);
        }
    }
    sim_block_remove(block);
    sim_block_release(block);
}

cudaError_t cudaFree(void *devPtr)
{
    sim_block *block;
    SIM_ENTER_AS(cudaFree, SIM_RELEASES);
    SIM_TRY(sim_capture_forbid());
    if (devPtr == NULL) {
        return sim_leave(cudaSuccess);
    }
    SIM_TRY(allocation_find(devPtr, what, &block));
    if (block->memory != SIM_DEVICE && block->memory != SIM_MANAGED) {
        sim_violate("cudaFree of %p, which is not from cudaMalloc", devPtr);
        return sim_leave(cudaErrorInvalidValue);
    }
    allocation_end(block, what);
    return sim_leave(cudaSuccess);
}

/* ---- host memory ---- */

cudaError_t cudaHostAlloc(void **pHost, size_t size, unsigned int flags)
{
    const unsigned known = cudaHostAllocPortable | cudaHostAllocMapped | cudaHostAllocWriteCombined;
    SIM_ENTER(cudaHostAlloc);
    SIM_FAIL_IF((flags & ~known) != 0, cudaErrorInvalidValue);
    return sim_leave(allocation_make(SIM_PINNED, size, pHost, flags));
}

cudaError_t cudaMallocHost(void **ptr, size_t size)
{
    SIM_ENTER(cudaMallocHost);
    return sim_leave(allocation_make(SIM_PINNED, size, ptr, 0));
}

cudaError_t cudaFreeHost(void *ptr)
{
    sim_block *block;
    SIM_ENTER_AS(cudaFreeHost, SIM_RELEASES);
    SIM_TRY(sim_capture_forbid());
    if (ptr == NULL) {
        return sim_leave(cudaSuccess);
    }
    SIM_TRY(allocation_find(ptr, what, &block));
    if (block->memory != SIM_PINNED) {
        sim_violate("cudaFreeHost of %p, which is not from cudaHostAlloc", ptr);
        return sim_leave(cudaErrorInvalidValue);
    }
    allocation_end(block, what);
    return sim_leave(cudaSuccess);
}

static bool allocation_is_mapped(uintptr_t lo, uintptr_t hi)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = lo / page * page;
    return msync((void *)first, hi - first, MS_ASYNC) == 0;
}

bool sim_range_is_writable(uint64_t lo, uint64_t hi)
{
    char line[512];
    bool writable = true;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        /* FROM-TO rwxp ... */
        char *rest;
        uint64_t from = strtoull(line, &rest, 16);
        uint64_t to = *rest == '-' ? strtoull(rest + 1, &rest, 16) : 0;
        if (from < hi && to > lo && strncmp(rest, " rw", 3) != 0) {
            writable = false;
        }
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return writable;
}

cudaError_t cudaHostRegister(void *ptr, size_t size, unsigned int flags)
{
    const unsigned known =
        cudaHostRegisterPortable | cudaHostRegisterMapped | cudaHostRegisterIoMemory | cudaHostRegisterReadOnly;
    SIM_ENTER(cudaHostRegister);
    SIM_FAIL_IF(ptr == NULL || size == 0 || (flags & ~known) != 0 || (uintptr_t)ptr > UINTPTR_MAX - size,
                cudaErrorInvalidValue);
    SIM_TRY(sim_capture_forbid());
    const sim_block *other = sim_block_meeting((uintptr_t)ptr, (uintptr_t)ptr + size);
    SIM_FAIL_IF(other != NULL && other->memory == SIM_REGISTERED, cudaErrorHostMemoryAlreadyRegistered);
    SIM_FAIL_IF(other != NULL, cudaErrorInvalidValue);
    SIM_FAIL_IF(sim_address_is_ours((uintptr_t)ptr) || !allocation_is_mapped((uintptr_t)ptr, (uintptr_t)ptr + size),
                cudaErrorInvalidValue);
    /* Without the flag the pages are pinned for writing, which a mapping that may only be read does not allow. */
    SIM_FAIL_IF((flags & cudaHostRegisterReadOnly) == 0 &&
                    !sim_range_is_writable((uintptr_t)ptr, (uintptr_t)ptr + size),
                cudaErrorInvalidValue);
    sim_block *block = sim_alloc(sizeof(*block));
    block->memory = SIM_REGISTERED;
    block->device = sim_self.device;
    block->base = (uintptr_t)ptr;
    block->nbytes = size;
    block->alias = ptr;
    block->host_flags = flags;
    block->read_only = (flags & cudaHostRegisterReadOnly) != 0;
    sim_block_insert(block);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaHostUnregister(void *ptr)
{
    SIM_ENTER_AS(cudaHostUnregister, SIM_RELEASES);
    SIM_FAIL_IF(ptr == NULL, cudaErrorInvalidValue);
    SIM_TRY(sim_capture_forbid());
    sim_block *block = sim_block_find((uintptr_t)ptr);
    SIM_FAIL_IF(block == NULL, cudaErrorHostMemoryNotRegistered);
    SIM_FAIL_IF(block->memory != SIM_REGISTERED || block->base != (uintptr_t)ptr, cudaErrorInvalidValue);
    allocation_end(block, what);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaHostGetDevicePointer(void **pDevice, void *pHost, unsigned int flags)
{
    SIM_ENTER(cudaHostGetDevicePointer);
    SIM_FAIL_IF(pDevice == NULL || flags != 0, cudaErrorInvalidValue);
    const sim_block *block = sim_block_find((uintptr_t)pHost);
    SIM_FAIL_IF(block == NULL || (block->memory != SIM_PINNED && block->memory != SIM_REGISTERED),
                cudaErrorInvalidValue);
    *pDevice = (char *)pHost + sim_block_device_offset(block);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *attributes, const void *ptr)
{
    struct cudaPointerAttributes a;
    SIM_ENTER_AS(cudaPointerGetAttributes, SIM_PAST_STICKY);
    SIM_FAIL_IF(attributes == NULL, cudaErrorInvalidValue);
    memset(&a, 0, sizeof(a));
    const uint64_t address = sim_host_address((uintptr_t)ptr);
    const sim_block *block = sim_block_find(address);
    void *pointer = (void *)(uintptr_t)address;
    if (block == NULL) {
        a.type = cudaMemoryTypeUnregistered;
        a.device = -2; /* cudaInvalidDeviceId */
        a.hostPointer = sim_address_is_ours((uintptr_t)ptr) ? NULL : pointer;
    } else {
        if (block->freed) {
            sim_violate("cudaPointerGetAttributes of %p after its cudaFreeAsync", ptr);
        }
        a.device = block->device;
        a.devicePointer = (char *)pointer + sim_block_device_offset(block);
        a.hostPointer = block->memory == SIM_DEVICE || block->memory == SIM_IPC ? NULL : pointer;
        a.type = block->memory == SIM_DEVICE || block->memory == SIM_IPC ? cudaMemoryTypeDevice : cudaMemoryTypeHost;
        if (block->memory == SIM_MANAGED) {
            a.type = cudaMemoryTypeManaged;
        }
    }
    *attributes = a;
    return sim_leave(cudaSuccess);
}
