/* SPDX-License-Identifier: Apache-2.0 */

/* The smallest backend: the file to copy when you write one. It sees ndbuf/backend.h and libc, nothing else of ndbuf.
 *
 * Its one device has memory of its own that the host cannot touch, and moves contiguous bytes to the host, from it and
 * within itself. Everything else (strides, permutations, fills, other devices) the core makes out of that. The memory
 * is a host allocation behind an opaque handle; a real backend has its driver's calls in the four places marked
 * "driver". backends/README.md goes through this file step by step. */
#include "null_backend.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/backend.h"

/* What the device has. A backend that knows its limit can refuse in good time, with the numbers in the text. */
#define NULL_MEMORY_NBYTES ((size_t)256 << 20)

/* Each object begins with the core's part of it. */
typedef struct null_device {
    ndbuf_device base;
    atomic_size_t used_nbytes;
} null_device;

/* Work runs in the thread that gives it to the queue, before that call returns: the simplest queue that is in order.
 * The mutex keeps it so when several threads use the queue. */
typedef struct null_queue {
    ndbuf_queue base;
    pthread_mutex_t mutex;
    ndbuf_error failure; /* of work since the last wait; status 0: none */
} null_queue;

/* Complete from the start, because the work before it is done when it is recorded. */
typedef struct null_event {
    ndbuf_event base;
    ndbuf_error failure; /* of the work before it; status 0: none */
} null_event;

static const ndbuf_backend_ops null_ops;

static ndbuf_status null_tell(const ndbuf_error *failure, ndbuf_error *err)
{
    if (failure->status != NDBUF_OK && err != NULL) {
        *err = *failure;
    }
    return (ndbuf_status)failure->status;
}

/* ---- queues ---- */

static ndbuf_status null_queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err)
{
    if (native != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "null has no native queues");
    }
    null_queue *queue = calloc(1, sizeof(*queue));
    if (queue == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a queue of null");
    }
    int code = pthread_mutex_init(&queue->mutex, NULL);
    if (code != 0) {
        free(queue);
        return ndbuf_fail_native(err, NDBUF_ERR_DEVICE, code, "no mutex for a queue of null");
    }
    queue->base.device = device;
    *out_queue = &queue->base;
    return NDBUF_OK;
}

static void null_queue_destroy(ndbuf_queue *base)
{
    null_queue *queue = (null_queue *)base;
    pthread_mutex_destroy(&queue->mutex);
    free(queue);
}

static ndbuf_status null_queue_wait(ndbuf_queue *base, ndbuf_error *err)
{
    null_queue *queue = (null_queue *)base;
    pthread_mutex_lock(&queue->mutex);
    ndbuf_error failure = queue->failure;
    queue->failure = (ndbuf_error){0}; /* told once */
    pthread_mutex_unlock(&queue->mutex);
    return null_tell(&failure, err);
}

/* The event may be another backend's. There is no thread here that could wait for it, so the caller does. */
static ndbuf_status null_queue_wait_event(ndbuf_queue *base, ndbuf_event *event, ndbuf_error *err)
{
    (void)base;
    return event->device->ops->event_wait(event, err);
}

/* The mutex is held while fn runs, so that the other work of the queue is before or after it. fn never uses its own
 * queue. */
static ndbuf_status null_queue_host_call(ndbuf_queue *base, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    (void)err; /* for failures of the call itself: this one has none. fn's failure is told by the next wait */
    null_queue *queue = (null_queue *)base;
    ndbuf_error failure = {0};
    pthread_mutex_lock(&queue->mutex);
    ndbuf_status status = fn(context, &failure);
    if (status != NDBUF_OK && queue->failure.status == NDBUF_OK) {
        failure.status = (int32_t)status;
        queue->failure = failure;
    }
    pthread_mutex_unlock(&queue->mutex);
    return NDBUF_OK;
}

/* ---- events ---- */

static ndbuf_status null_event_record(ndbuf_queue *base, ndbuf_event **out_event, ndbuf_error *err)
{
    null_queue *queue = (null_queue *)base;
    null_event *event = calloc(1, sizeof(*event));
    if (event == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for an event of null");
    }
    event->base.device = base->device;
    pthread_mutex_lock(&queue->mutex);
    event->failure = queue->failure;
    pthread_mutex_unlock(&queue->mutex);
    *out_event = &event->base;
    return NDBUF_OK;
}

static void null_event_destroy(ndbuf_event *base)
{
    free(base);
}

static ndbuf_status null_event_wait(ndbuf_event *base, ndbuf_error *err)
{
    return null_tell(&((null_event *)base)->failure, err);
}

static ndbuf_status null_event_query(ndbuf_event *base, int32_t *out_complete, ndbuf_error *err)
{
    (void)base;
    (void)err;
    *out_complete = 1;
    return NDBUF_OK;
}

/* ---- devices ---- */

static ndbuf_status null_device_count(int32_t *out_count, ndbuf_error *err)
{
    (void)err;
    *out_count = 1; /* driver: load it and ask; NDBUF_ERR_UNAVAILABLE with the reason where there is none */
    return NDBUF_OK;
}

static void null_device_close(ndbuf_device *base)
{
    if (base->default_queue != NULL) {
        null_queue_destroy(base->default_queue);
    }
    free(base);
}

static ndbuf_status null_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    if (ordinal != 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "null has one device, number 0, but number %d was asked for",
                          (int)ordinal);
    }
    null_device *device = calloc(1, sizeof(*device));
    if (device == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a device of null");
    }
    atomic_init(&device->used_nbytes, 0);
    device->base.ops = &null_ops;
    device->base.tag = (ndbuf_device_tag){NDBUF_DEVICE_EXT, 0};
    device->base.flags = NDBUF_DEVICE_SIMULATED; /* and not NDBUF_DEVICE_HOST_ACCESSIBLE */
    ndbuf_status status = null_queue_create(&device->base, NULL, &device->base.default_queue, err);
    if (status != NDBUF_OK) {
        goto fail;
    }
    *out_device = &device->base;
    return NDBUF_OK;
fail:
    null_device_close(&device->base);
    return status;
}

static void null_device_describe(const ndbuf_device *device, ndbuf_device_info *info)
{
    (void)device;
    snprintf(info->description, sizeof(info->description), "memory that only copies can reach");
    snprintf(info->driver, sizeof(info->driver), "none");
    info->memory_nbytes = NULL_MEMORY_NBYTES;
    info->max_allocation_nbytes = NULL_MEMORY_NBYTES;
}

/* ---- memory ---- */

/* Takes nbytes out of what the device has; false: there is less. */
static bool null_reserve(null_device *device, size_t nbytes)
{
    size_t used = atomic_load(&device->used_nbytes);
    do {
        if (nbytes > NULL_MEMORY_NBYTES - used) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&device->used_nbytes, &used, used + nbytes));
    return true;
}

static ndbuf_status null_mem_alloc(ndbuf_device *base, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                   ndbuf_error *err)
{
    null_device *device = (null_device *)base;
    if (!null_reserve(device, nbytes)) {
        return ndbuf_fail_native(err, NDBUF_ERR_NOMEM, ENOMEM, "null has no room for %zu bytes: %zu of %zu are in use",
                                 nbytes, atomic_load(&device->used_nbytes), NULL_MEMORY_NBYTES);
    }
    if (alignment < sizeof(void *)) {
        alignment = sizeof(void *);
    }
    void *handle = NULL;
    int code = posix_memalign(&handle, alignment, nbytes); /* driver: allocate */
    if (code != 0) {
        atomic_fetch_sub(&device->used_nbytes, nbytes);
        return ndbuf_fail_native(err, NDBUF_ERR_NOMEM, code, "the host has no %zu bytes for null", nbytes);
    }
    /* host_address stays NULL: nobody but copy_bytes may look behind the handle. */
    *out_mem = (ndbuf_mem){.device = base, .handle = handle, .nbytes = nbytes};
    return NDBUF_OK;
}

static void null_mem_free(ndbuf_mem *mem)
{
    null_device *device = (null_device *)mem->device;
    free(mem->handle); /* driver: free */
    atomic_fetch_sub(&device->used_nbytes, mem->nbytes);
}

/* ---- copies ---- */

static bool null_is_own(const ndbuf_device *device)
{
    return device->ops == &null_ops;
}

static bool null_can_reach(const ndbuf_device *device)
{
    return null_is_own(device) || (device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
}

/* Where a byte lies: behind the handle in memory of this backend, at its address in that of others. NULL: elsewhere. */
static char *null_address(const ndbuf_mem *mem, int64_t offset)
{
    char *first = null_is_own(mem->device) ? mem->handle : mem->host_address;
    return first != NULL ? first + offset : NULL;
}

static void null_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    *out_caps = (ndbuf_copy_caps){0}; /* nothing directly: the core goes through the host */
    if (null_can_reach(dst) && null_can_reach(src)) {
        out_caps->flags = NDBUF_CAN_COPY_BYTES | NDBUF_COPY_BLOCKS;
        out_caps->call_ns = 50;
        out_caps->wait_ns = 20;
        out_caps->bytes_per_ns = 8;
    }
}

static ndbuf_status null_copy_bytes(ndbuf_queue *base, const ndbuf_mem *dst, int64_t dst_offset, const ndbuf_mem *src,
                                    int64_t src_offset, int64_t nbytes, ndbuf_error *err)
{
    null_queue *queue = (null_queue *)base;
    char *to = null_address(dst, dst_offset);
    const char *from = null_address(src, src_offset);
    if (to == NULL || from == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "null copies between itself and host memory only");
    }
    pthread_mutex_lock(&queue->mutex);
    memcpy(to, from, (size_t)nbytes); /* driver: enqueue a copy */
    pthread_mutex_unlock(&queue->mutex);
    return NDBUF_OK;
}

/* ---- the table ---- */

static const ndbuf_backend_ops null_ops = {
    .abi_version = NDBUF_BACKEND_ABI_VERSION,
    .struct_nbytes = sizeof(ndbuf_backend_ops),
    .name = "null",
    .device_count = null_device_count,
    .device_open = null_device_open,
    .device_close = null_device_close,
    .device_describe = null_device_describe,
    .mem_alloc = null_mem_alloc,
    .mem_import = ndbuf_unsupported_mem_import,
    .mem_free = null_mem_free,
    .mem_map = ndbuf_unsupported_mem_map,
    .mem_unmap = ndbuf_unsupported_mem_unmap,
    .copy_caps = null_copy_caps,
    .copy_bytes = null_copy_bytes,
    .copy_rect = ndbuf_unsupported_copy_rect,
    .copy_strided = ndbuf_unsupported_copy_strided,
    .convert_strided = ndbuf_unsupported_convert_strided,
    .fill_strided = ndbuf_unsupported_fill_strided,
    .queue_create = null_queue_create,
    .queue_destroy = null_queue_destroy,
    .queue_wait = null_queue_wait,
    .queue_wait_event = null_queue_wait_event,
    .queue_wait_native = ndbuf_unsupported_queue_wait_native,
    .queue_host_call = null_queue_host_call,
    .queue_mapped_call = ndbuf_unsupported_queue_mapped_call,
    .queue_is_capturing = ndbuf_never_queue_is_capturing,
    .event_record = null_event_record,
    .event_destroy = null_event_destroy,
    .event_wait = null_event_wait,
    .event_query = null_event_query,
};

ndbuf_status null_backend_register(ndbuf_error *err)
{
    return ndbuf_backend_register(&null_ops, err);
}
