/* SPDX-License-Identifier: Apache-2.0 */
#include "core/device_pool.h"

#include "core/copy_plan.h"
#include "core/device_core.h"

#define STAGING_ALIGNMENT 4096

void ndbuf__device_pool_init(ndbuf__device_pool *pool)
{
    ndbuf__mutex_init(&pool->mutex);
}

void ndbuf__device_pool_clear(ndbuf__device_pool *pool)
{
    ndbuf__pool_shelf *shelves[] = {&pool->staging, &pool->scratch};
    for (int s = 0; s < 2; s++) {
        for (int32_t i = 0; i < shelves[s]->count; i++) {
            shelves[s]->buffers[i].device->ops->mem_free(&shelves[s]->buffers[i]);
        }
    }
    for (int32_t i = 0; i < pool->nqueues; i++) {
        pool->queues[i]->device->ops->queue_destroy(pool->queues[i]);
    }
    ndbuf__mutex_clear(&pool->mutex);
}

ndbuf_device *ndbuf__staging_device(const ndbuf_device *device)
{
    return device->staging != NULL ? device->staging : ndbuf_device_cpu();
}

/* All buffers that are kept are of one size, so that any of them serves. Larger ones are for tests of the planner. */
static ndbuf_status buffer_take(ndbuf__device_pool *pool, ndbuf__pool_shelf *shelf, ndbuf_device *device,
                                const char *what, int64_t nbytes, ndbuf_mem *out_mem, ndbuf_error *err)
{
    ndbuf_error why = {0};
    if (nbytes <= NDBUF__STAGING_NBYTES) {
        nbytes = NDBUF__STAGING_NBYTES;
        ndbuf__mutex_lock(&pool->mutex);
        bool found = shelf->count > 0;
        if (found) {
            *out_mem = shelf->buffers[--shelf->count];
        }
        ndbuf__mutex_unlock(&pool->mutex);
        if (found) {
            return NDBUF_OK;
        }
    }
    ndbuf_status status = device->ops->mem_alloc(device, (size_t)nbytes, STAGING_ALIGNMENT, out_mem, &why);
    return status == NDBUF_OK ? NDBUF_OK : ndbuf_fail_native(err, status, why.native_code, "%s: %s", what, why.message);
}

static void buffer_give(ndbuf__device_pool *pool, ndbuf__pool_shelf *shelf, ndbuf_mem *mem)
{
    bool kept = false;
    if (mem->nbytes == (size_t)NDBUF__STAGING_NBYTES) {
        ndbuf__mutex_lock(&pool->mutex);
        kept = shelf->count < NDBUF__POOL_NBUFFERS;
        if (kept) {
            shelf->buffers[shelf->count++] = *mem;
        }
        ndbuf__mutex_unlock(&pool->mutex);
    }
    if (!kept) {
        mem->device->ops->mem_free(mem);
    }
}

ndbuf_status ndbuf__staging_take(ndbuf_device *device, int64_t nbytes, ndbuf_mem *out_mem, ndbuf_error *err)
{
    ndbuf__device_pool *pool = &device->core->pool;
    return buffer_take(pool, &pool->staging, ndbuf__staging_device(device), "staging buffer", nbytes, out_mem, err);
}

void ndbuf__staging_give(ndbuf_device *device, ndbuf_mem *mem)
{
    ndbuf__device_pool *pool = &device->core->pool;
    buffer_give(pool, &pool->staging, mem);
}

ndbuf_status ndbuf__scratch_take(ndbuf_device *device, int64_t nbytes, ndbuf_mem *out_mem, ndbuf_error *err)
{
    ndbuf__device_pool *pool = &device->core->pool;
    return buffer_take(pool, &pool->scratch, device, "memory to convert or sort in", nbytes, out_mem, err);
}

void ndbuf__scratch_give(ndbuf_mem *mem)
{
    ndbuf__device_pool *pool = &mem->device->core->pool;
    buffer_give(pool, &pool->scratch, mem);
}

ndbuf_status ndbuf__helper_queue_take(ndbuf_device *device, ndbuf_queue **out_queue, ndbuf_error *err)
{
    ndbuf__device_pool *pool = &device->core->pool;
    ndbuf_queue *queue = NULL;
    ndbuf__mutex_lock(&pool->mutex);
    if (pool->nqueues > 0) {
        queue = pool->queues[--pool->nqueues];
    }
    ndbuf__mutex_unlock(&pool->mutex);
    if (queue != NULL) {
        *out_queue = queue;
        return NDBUF_OK;
    }
    return device->ops->queue_create(device, NULL, out_queue, err);
}

void ndbuf__helper_queue_give(ndbuf_queue *queue)
{
    ndbuf__device_pool *pool = &queue->device->core->pool;
    ndbuf__mutex_lock(&pool->mutex);
    bool kept = pool->nqueues < NDBUF__POOL_NQUEUES;
    if (kept) {
        pool->queues[pool->nqueues++] = queue;
    }
    ndbuf__mutex_unlock(&pool->mutex);
    if (!kept) {
        queue->device->ops->queue_destroy(queue);
    }
}
