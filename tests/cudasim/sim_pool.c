/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/cudasim/sim.h"

static sim_pool *pool_defaults[SIM_MAX_DEVICES];
static sim_pool *pool_all;

static sim_pool *pool_make(int device)
{
    sim_pool *pool = sim_alloc(sizeof(*pool));
    pool->device = device;
    pool->accessible_from = (uint32_t)1 << device;
    pool->reuse[0] = pool->reuse[1] = pool->reuse[2] = 1;
    pool->next = pool_all;
    pool_all = pool;
    return pool;
}

/* The default pools have a handle that does not count as alive. */
static sim_pool *pool_default(int device)
{
    if (pool_defaults[device] == NULL) {
        pool_defaults[device] = pool_make(device);
        (void)sim_handle_make(&pool_defaults[device]->object, SIM_DEFAULT_POOL);
    }
    return pool_defaults[device];
}

static cudaError_t pool_find(cudaMemPool_t handle, sim_pool **out_pool)
{
    for (int i = 0; i < SIM_MAX_DEVICES; i++) {
        if (pool_defaults[i] != NULL && sim_handle_of(&pool_defaults[i]->object) == (void *)handle) {
            *out_pool = pool_defaults[i];
            return cudaSuccess;
        }
    }
    sim_pool *pool = sim_object_find(handle, SIM_POOL);
    if (pool == NULL) {
        return cudaErrorInvalidValue;
    }
    *out_pool = pool;
    return cudaSuccess;
}

void sim_pool_reset(void)
{
    while (pool_all != NULL) {
        sim_pool *pool = pool_all;
        pool_all = pool->next;
        if (!pool->destroyed) {
            sim_object_drop(&pool->object);
        }
        free(pool);
    }
    memset(pool_defaults, 0, sizeof(pool_defaults));
}

/* Waits for frees that streams were given: then their memory can be had. False: there were none. */
bool sim_pool_reclaim(int device)
{
    bool any = false;
    size_t i = 0;
    for (sim_block *block = sim_block_at(0); block != NULL;) {
        if (block->device == device && block->free_op != NULL && block->memory == SIM_DEVICE) {
            sim_op_wait(block->free_op);
            any = true;
            i = 0; /* the list has changed */
        } else {
            i++;
        }
        block = sim_block_at(i);
    }
    return any;
}

/* ---- the API ---- */

cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *memPool, int device)
{
    SIM_ENTER(cudaDeviceGetDefaultMemPool);
    SIM_FAIL_IF(memPool == NULL, cudaErrorInvalidValue);
    SIM_FAIL_IF(device < 0 || device >= sim.ndevices, cudaErrorInvalidDevice);
    SIM_FAIL_IF(!sim.pools_supported, cudaErrorNotSupported);
    *memPool = sim_handle_of(&pool_default(device)->object);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t *memPool, const struct cudaMemPoolProps *poolProps)
{
    SIM_ENTER(cudaMemPoolCreate);
    SIM_FAIL_IF(memPool == NULL || poolProps == NULL, cudaErrorInvalidValue);
    SIM_FAIL_IF(!sim.pools_supported, cudaErrorNotSupported);
    SIM_FAIL_IF(poolProps->allocType != cudaMemAllocationTypePinned ||
                    poolProps->location.type != cudaMemLocationTypeDevice || poolProps->win32SecurityAttributes != NULL,
                cudaErrorInvalidValue);
    SIM_FAIL_IF(poolProps->location.id < 0 || poolProps->location.id >= sim.ndevices, cudaErrorInvalidValue);
    for (size_t i = 0; i < sizeof(poolProps->reserved); i++) {
        SIM_FAIL_IF(poolProps->reserved[i] != 0, cudaErrorInvalidValue);
    }
    SIM_TRY(sim_capture_forbid());
    sim_pool *pool = pool_make(poolProps->location.id);
    pool->max_nbytes = poolProps->maxSize;
    *memPool = sim_handle_make(&pool->object, SIM_POOL);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolDestroy(cudaMemPool_t memPool)
{
    sim_pool *pool;
    SIM_ENTER_AS(cudaMemPoolDestroy, SIM_RELEASES | SIM_PAST_STICKY);
    SIM_TRY(pool_find(memPool, &pool));
    SIM_FAIL_IF(pool == pool_defaults[pool->device], cudaErrorInvalidValue);
    SIM_TRY(sim_capture_forbid());
    /* Allowed with blocks alive: the pool goes with the last of them. */
    sim_object_drop(&pool->object);
    pool->destroyed = true;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t memPool, enum cudaMemPoolAttr attr, void *value)
{
    sim_pool *pool;
    SIM_ENTER(cudaMemPoolSetAttribute);
    SIM_FAIL_IF(value == NULL, cudaErrorInvalidValue);
    SIM_TRY(pool_find(memPool, &pool));
    SIM_TRY(sim_capture_forbid());
    switch (attr) {
    case cudaMemPoolReuseFollowEventDependencies:
    case cudaMemPoolReuseAllowOpportunistic:
    case cudaMemPoolReuseAllowInternalDependencies:
        pool->reuse[attr - cudaMemPoolReuseFollowEventDependencies] = *(int *)value;
        break;
    case cudaMemPoolAttrReleaseThreshold:
        pool->release_threshold = *(uint64_t *)value;
        break;
    case cudaMemPoolAttrReservedMemHigh:
    case cudaMemPoolAttrUsedMemHigh:
        SIM_FAIL_IF(*(uint64_t *)value != 0, cudaErrorInvalidValue);
        pool->used_high = pool->used;
        break;
    default:
        return sim_leave(cudaErrorInvalidValue);
    }
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolGetAttribute(cudaMemPool_t memPool, enum cudaMemPoolAttr attr, void *value)
{
    sim_pool *pool;
    SIM_ENTER(cudaMemPoolGetAttribute);
    SIM_FAIL_IF(value == NULL, cudaErrorInvalidValue);
    SIM_TRY(pool_find(memPool, &pool));
    switch (attr) {
    case cudaMemPoolReuseFollowEventDependencies:
    case cudaMemPoolReuseAllowOpportunistic:
    case cudaMemPoolReuseAllowInternalDependencies:
        *(int *)value = pool->reuse[attr - cudaMemPoolReuseFollowEventDependencies];
        break;
    case cudaMemPoolAttrReleaseThreshold:
        *(uint64_t *)value = pool->release_threshold;
        break;
    case cudaMemPoolAttrReservedMemCurrent:
    case cudaMemPoolAttrUsedMemCurrent:
        *(uint64_t *)value = pool->used;
        break;
    case cudaMemPoolAttrReservedMemHigh:
    case cudaMemPoolAttrUsedMemHigh:
        *(uint64_t *)value = pool->used_high;
        break;
    default:
        return sim_leave(cudaErrorInvalidValue);
    }
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolSetAccess(cudaMemPool_t memPool, const struct cudaMemAccessDesc *descList, size_t count)
{
    sim_pool *pool;
    SIM_ENTER(cudaMemPoolSetAccess);
    SIM_TRY(pool_find(memPool, &pool));
    SIM_FAIL_IF(descList == NULL && count > 0, cudaErrorInvalidValue);
    SIM_TRY(sim_capture_forbid());
    uint32_t access = pool->accessible_from;
    for (size_t i = 0; i < count; i++) {
        int device = descList[i].location.id;
        SIM_FAIL_IF(descList[i].location.type != cudaMemLocationTypeDevice, cudaErrorInvalidValue);
        SIM_FAIL_IF(device < 0 || device >= sim.ndevices, cudaErrorInvalidDevice);
        if (descList[i].flags == cudaMemAccessFlagsProtReadWrite) {
            SIM_FAIL_IF(device != pool->device && !sim.peer_possible, cudaErrorInvalidDevice);
            access |= (uint32_t)1 << device;
        } else {
            SIM_FAIL_IF(descList[i].flags != cudaMemAccessFlagsProtNone, cudaErrorInvalidValue);
            SIM_FAIL_IF(device == pool->device, cudaErrorInvalidDevice);
            access &= ~((uint32_t)1 << device);
        }
    }
    pool->accessible_from = access;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemPoolTrimTo(cudaMemPool_t memPool, size_t minBytesToKeep)
{
    sim_pool *pool;
    SIM_ENTER(cudaMemPoolTrimTo);
    (void)minBytesToKeep;
    return sim_leave(pool_find(memPool, &pool));
}

static cudaError_t pool_alloc(sim_pool *pool, size_t nbytes, cudaStream_t stream, const char *what, void **out_pointer)
{
    sim_stream *s;
    sim_block *block;
    sim_op *op;
    if (out_pointer == NULL) {
        return cudaErrorInvalidValue;
    }
    cudaError_t status = sim_stream_find(stream, &s);
    if (status != cudaSuccess) {
        return status;
    }
    if (nbytes == 0) {
        *out_pointer = NULL;
        return cudaSuccess;
    }
    if (pool->max_nbytes > 0 && pool->used + nbytes > pool->max_nbytes) {
        return cudaErrorMemoryAllocation;
    }
    status = sim_block_create(SIM_DEVICE, pool->device, nbytes, &block);
    if (status == cudaErrorMemoryAllocation && sim_pool_reclaim(pool->device)) {
        status = sim_block_create(SIM_DEVICE, pool->device, nbytes, &block);
    }
    if (status != cudaSuccess) {
        *out_pointer = NULL;
        return status;
    }
    block->pool = pool;
    block->from_pool = true;
    block->of_graph = s->capture != NULL;
    sim_block_insert(block);
    sim_work work = {.kind = SIM_ALLOC, .what = what, .block = block};
    status = sim_stream_submit(s, &work, NULL, &op);
    if (status != cudaSuccess) {
        sim_block_remove(block);
        return status;
    }
    block->alloc_op = op; /* its reference passes to the block */
    *out_pointer = (void *)(uintptr_t)block->base;
    return cudaSuccess;
}

cudaError_t cudaMallocFromPoolAsync(void **ptr, size_t size, cudaMemPool_t memPool, cudaStream_t stream)
{
    sim_pool *pool;
    SIM_ENTER(cudaMallocFromPoolAsync);
    SIM_FAIL_IF(!sim.pools_supported, cudaErrorNotSupported);
    SIM_TRY(pool_find(memPool, &pool));
    return sim_leave(pool_alloc(pool, size, stream, what, ptr));
}

cudaError_t cudaMallocAsync(void **devPtr, size_t size, cudaStream_t hStream)
{
    sim_stream *s;
    SIM_ENTER(cudaMallocAsync);
    SIM_FAIL_IF(!sim.pools_supported, cudaErrorNotSupported);
    SIM_TRY(sim_stream_find(hStream, &s));
    return sim_leave(pool_alloc(pool_default(s->device), size, hStream, what, devPtr));
}

static void pool_free_at_once(sim_block *block, const char *what)
{
    if (block->pending != NULL) {
        sim_violate("%s frees " SIM_ADDRESS_FORMAT " before %s, which uses it", what, (unsigned long long)block->base,
                    block->pending->op->work.what);
    }
    sim_block_remove(block);
}

cudaError_t cudaFreeAsync(void *devPtr, cudaStream_t hStream)
{
    sim_stream *s;
    sim_op *op;
    SIM_ENTER_AS(cudaFreeAsync, SIM_RELEASES);
    SIM_TRY(sim_stream_find(hStream, &s));
    SIM_FAIL_IF(devPtr == NULL, cudaSuccess);
    sim_block *block = sim_block_find((uintptr_t)devPtr);
    if (block == NULL || block->base != (uintptr_t)devPtr || block->freed || block->memory != SIM_DEVICE) {
        sim_violate("cudaFreeAsync of %p, which is not a block of device memory that lives", devPtr);
        return sim_leave(cudaErrorInvalidValue);
    }
    if (sim.sabotage == CUDASIM_SABOTAGE_FREE_ASYNC && s->capture == NULL) {
        pool_free_at_once(block, what);
        return sim_leave(cudaSuccess);
    }
    sim_work work = {.kind = SIM_FREE, .what = what, .block = block};
    if (sim.sticky != cudaSuccess) {
        sim_block_remove(block);
        return sim_leave(cudaSuccess);
    }
    /* A capture frees what is allocated in one. */
    SIM_FAIL_IF(s->capture != NULL && !block->of_graph, cudaErrorInvalidValue);
    SIM_TRY(sim_stream_submit(s, &work, NULL, &op));
    if (op != NULL) {
        block->freed = true;
        block->free_op = op; /* not a reference: the operation holds the block */
        sim_op_release(op);
    }
    return sim_leave(cudaSuccess);
}
