/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/faulty_backend.h"

#include <stdatomic.h>
#include <stdlib.h>

#define FAULT_CODE 998

typedef struct faulty_device {
    ndbuf_device base;
    ndbuf_device *inner;
} faulty_device;

typedef struct faulty_queue {
    ndbuf_queue base;
    ndbuf_queue *inner;
} faulty_queue;

typedef struct faulty_event {
    ndbuf_event base;
    ndbuf_event *inner;
} faulty_event;

static const ndbuf_backend_ops *wrapped;
static _Atomic(int64_t) calls_until_fault;
static _Atomic(int64_t) nlive;
static atomic_bool happened;

static const ndbuf_backend_ops faulty_ops;

static bool fails(const char *slot, ndbuf_error *err)
{
    if (atomic_load(&calls_until_fault) <= 0 || atomic_fetch_sub(&calls_until_fault, 1) != 1) {
        return false;
    }
    atomic_store(&happened, true);
    ndbuf_fail_native(err, NDBUF_ERR_DEVICE, FAULT_CODE, "injected failure of %s", slot);
    return true;
}

static void *new_object(size_t nbytes)
{
    void *object = calloc(1, nbytes);
    if (object == NULL) {
        abort();
    }
    atomic_fetch_add(&nlive, 1);
    return object;
}

static void free_object(void *object)
{
    free(object);
    atomic_fetch_sub(&nlive, 1);
}

static const ndbuf_device *inner_device(const ndbuf_device *device)
{
    return device->ops == &faulty_ops ? ((const faulty_device *)device)->inner : device;
}

static const ndbuf_mem *inner_mem(const ndbuf_mem *mem)
{
    return mem->device->ops == &faulty_ops ? mem->backend_data : mem;
}

static ndbuf_queue *inner_queue(ndbuf_queue *queue)
{
    return ((faulty_queue *)queue)->inner;
}

static ndbuf_event *inner_event(ndbuf_event *event)
{
    return event->device->ops == &faulty_ops ? ((faulty_event *)event)->inner : event;
}

/* ---- devices ---- */

static ndbuf_status faulty_device_count(int32_t *out_count, ndbuf_error *err)
{
    return fails("device_count", err) ? NDBUF_ERR_DEVICE : wrapped->device_count(out_count, err);
}

static ndbuf_status faulty_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    if (fails("device_open", err)) {
        return NDBUF_ERR_DEVICE;
    }
    ndbuf_device *inner = NULL;
    ndbuf_status status = wrapped->device_open(ordinal, &inner, err);
    if (status != NDBUF_OK) {
        return status;
    }
    faulty_device *device = new_object(sizeof(*device));
    faulty_queue *queue = new_object(sizeof(*queue));
    device->base.ops = &faulty_ops;
    device->base.tag = inner->tag;
    device->base.flags = inner->flags;
    device->base.queue_flags = inner->queue_flags;
    device->base.staging = inner->staging;
    device->base.default_queue = &queue->base;
    device->inner = inner;
    queue->base.device = &device->base;
    queue->base.native = inner->default_queue->native;
    queue->inner = inner->default_queue;
    *out_device = &device->base;
    return NDBUF_OK;
}

static void faulty_device_close(ndbuf_device *base)
{
    faulty_device *device = (faulty_device *)base;
    device->inner->ops->device_close(device->inner);
    free_object(base->default_queue);
    free_object(device);
}

static void faulty_device_describe(const ndbuf_device *device, ndbuf_device_info *info)
{
    wrapped->device_describe(inner_device(device), info);
}

/* ---- memory ---- */

static void wrap_mem(ndbuf_device *device, const ndbuf_mem *inner, ndbuf_mem *out_mem)
{
    ndbuf_mem *kept = new_object(sizeof(*kept));
    *kept = *inner;
    *out_mem = *inner;
    out_mem->device = device;
    out_mem->backend_data = kept;
}

static ndbuf_status faulty_mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                     ndbuf_error *err)
{
    if (fails("mem_alloc", err)) {
        return NDBUF_ERR_DEVICE;
    }
    ndbuf_mem inner = {0};
    ndbuf_status status = wrapped->mem_alloc(((faulty_device *)device)->inner, nbytes, alignment, &inner, err);
    if (status == NDBUF_OK) {
        wrap_mem(device, &inner, out_mem);
    }
    return status;
}

static ndbuf_status faulty_mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                      ndbuf_error *err)
{
    if (fails("mem_import", err)) {
        return NDBUF_ERR_DEVICE;
    }
    ndbuf_mem inner = {0};
    ndbuf_status status = wrapped->mem_import(((faulty_device *)device)->inner, handle, nbytes, &inner, err);
    if (status == NDBUF_OK) {
        wrap_mem(device, &inner, out_mem);
    }
    return status;
}

static void faulty_mem_free(ndbuf_mem *mem)
{
    wrapped->mem_free(mem->backend_data);
    free_object(mem->backend_data);
}

static ndbuf_status faulty_mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                   void **out_address, ndbuf_error *err)
{
    return fails("mem_map", err) ? NDBUF_ERR_DEVICE
                                 : wrapped->mem_map(inner_mem(mem), offset, nbytes, map_flags, out_address, err);
}

static ndbuf_status faulty_mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err)
{
    bool fault = fails("mem_unmap", err);
    ndbuf_status status = wrapped->mem_unmap(inner_mem(mem), address, fault ? NULL : err);
    return fault ? NDBUF_ERR_DEVICE : status;
}

/* ---- copies ---- */

static void faulty_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    wrapped->copy_caps(inner_device(dst), inner_device(src), out_caps);
}

static ndbuf_status faulty_copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset,
                                      const ndbuf_mem *src, int64_t src_offset, int64_t nbytes, ndbuf_error *err)
{
    return fails("copy_bytes", err) ? NDBUF_ERR_DEVICE
                                    : wrapped->copy_bytes(inner_queue(queue), inner_mem(dst), dst_offset,
                                                          inner_mem(src), src_offset, nbytes, err);
}

static ndbuf_status faulty_copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err)
{
    ndbuf_rect inner = *rect;
    inner.dst.mem = inner_mem(rect->dst.mem);
    inner.src.mem = inner_mem(rect->src.mem);
    return fails("copy_rect", err) ? NDBUF_ERR_DEVICE : wrapped->copy_rect(inner_queue(queue), &inner, err);
}

static ndbuf_status faulty_copy_strided(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    ndbuf_strided inner = *box;
    inner.dst.mem = inner_mem(box->dst.mem);
    inner.src.mem = inner_mem(box->src.mem);
    return fails("copy_strided", err) ? NDBUF_ERR_DEVICE : wrapped->copy_strided(inner_queue(queue), &inner, err);
}

static ndbuf_status faulty_convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *box, ndbuf_error *err)
{
    ndbuf_convert_box inner = *box;
    inner.dst.mem = inner_mem(box->dst.mem);
    inner.src.mem = inner_mem(box->src.mem);
    return fails("convert_strided", err) ? NDBUF_ERR_DEVICE : wrapped->convert_strided(inner_queue(queue), &inner, err);
}

static ndbuf_status faulty_fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err)
{
    ndbuf_fill_box inner = *box;
    inner.dst.mem = inner_mem(box->dst.mem);
    return fails("fill_strided", err) ? NDBUF_ERR_DEVICE : wrapped->fill_strided(inner_queue(queue), &inner, err);
}

/* ---- queues ---- */

static ndbuf_status faulty_queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err)
{
    if (fails("queue_create", err)) {
        return NDBUF_ERR_DEVICE;
    }
    ndbuf_queue *inner = NULL;
    ndbuf_status status = wrapped->queue_create(((faulty_device *)device)->inner, native, &inner, err);
    if (status != NDBUF_OK) {
        return status;
    }
    faulty_queue *queue = new_object(sizeof(*queue));
    queue->base.device = device;
    queue->base.native = inner->native;
    queue->inner = inner;
    *out_queue = &queue->base;
    return NDBUF_OK;
}

static void faulty_queue_destroy(ndbuf_queue *queue)
{
    wrapped->queue_destroy(inner_queue(queue));
    free_object(queue);
}

static ndbuf_status faulty_queue_wait(ndbuf_queue *queue, ndbuf_error *err)
{
    bool fault = fails("queue_wait", err);
    ndbuf_status status = wrapped->queue_wait(inner_queue(queue), fault ? NULL : err);
    return fault ? NDBUF_ERR_DEVICE : status;
}

static ndbuf_status faulty_queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err)
{
    return fails("queue_wait_event", err) ? NDBUF_ERR_DEVICE
                                          : wrapped->queue_wait_event(inner_queue(queue), inner_event(event), err);
}

static ndbuf_status faulty_queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err)
{
    return fails("queue_wait_native", err) ? NDBUF_ERR_DEVICE
                                           : wrapped->queue_wait_native(inner_queue(queue), native_event, err);
}

static ndbuf_status faulty_queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    return fails("queue_host_call", err) ? NDBUF_ERR_DEVICE
                                         : wrapped->queue_host_call(inner_queue(queue), fn, context, err);
}

static ndbuf_status faulty_queue_mapped_call(ndbuf_queue *queue, const ndbuf_mapped_range *ranges, int32_t nranges,
                                             ndbuf_mapped_fn fn, void *context, ndbuf_error *err)
{
    ndbuf_mapped_range inner[2];
    for (int32_t i = 0; i < nranges; i++) {
        inner[i] = ranges[i];
        inner[i].mem = inner_mem(ranges[i].mem);
    }
    return fails("queue_mapped_call", err)
               ? NDBUF_ERR_DEVICE
               : wrapped->queue_mapped_call(inner_queue(queue), inner, nranges, fn, context, err);
}

static ndbuf_status faulty_queue_is_capturing(ndbuf_queue *queue, int32_t *out_is_capturing, ndbuf_error *err)
{
    return fails("queue_is_capturing", err) ? NDBUF_ERR_DEVICE
                                            : wrapped->queue_is_capturing(inner_queue(queue), out_is_capturing, err);
}

/* ---- events ---- */

static ndbuf_status faulty_event_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err)
{
    if (fails("event_record", err)) {
        return NDBUF_ERR_DEVICE;
    }
    ndbuf_event *inner = NULL;
    ndbuf_status status = wrapped->event_record(inner_queue(queue), &inner, err);
    if (status != NDBUF_OK) {
        return status;
    }
    faulty_event *event = new_object(sizeof(*event));
    event->base.device = queue->device;
    event->base.native = inner->native;
    event->inner = inner;
    *out_event = &event->base;
    return NDBUF_OK;
}

static void faulty_event_destroy(ndbuf_event *event)
{
    wrapped->event_destroy(inner_event(event));
    free_object(event);
}

static ndbuf_status faulty_event_wait(ndbuf_event *event, ndbuf_error *err)
{
    bool fault = fails("event_wait", err);
    ndbuf_status status = wrapped->event_wait(inner_event(event), fault ? NULL : err);
    return fault ? NDBUF_ERR_DEVICE : status;
}

static ndbuf_status faulty_event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err)
{
    return fails("event_query", err) ? NDBUF_ERR_DEVICE : wrapped->event_query(inner_event(event), out_complete, err);
}

static const ndbuf_backend_ops faulty_ops = {
    .abi_version = NDBUF_BACKEND_ABI_VERSION,
    .struct_nbytes = sizeof(ndbuf_backend_ops),
    .name = "faulty",
    .device_count = faulty_device_count,
    .device_open = faulty_device_open,
    .device_close = faulty_device_close,
    .device_describe = faulty_device_describe,
    .mem_alloc = faulty_mem_alloc,
    .mem_import = faulty_mem_import,
    .mem_free = faulty_mem_free,
    .mem_map = faulty_mem_map,
    .mem_unmap = faulty_mem_unmap,
    .copy_caps = faulty_copy_caps,
    .copy_bytes = faulty_copy_bytes,
    .copy_rect = faulty_copy_rect,
    .copy_strided = faulty_copy_strided,
    .convert_strided = faulty_convert_strided,
    .fill_strided = faulty_fill_strided,
    .queue_create = faulty_queue_create,
    .queue_destroy = faulty_queue_destroy,
    .queue_wait = faulty_queue_wait,
    .queue_wait_event = faulty_queue_wait_event,
    .queue_wait_native = faulty_queue_wait_native,
    .queue_host_call = faulty_queue_host_call,
    .queue_mapped_call = faulty_queue_mapped_call,
    .queue_is_capturing = faulty_queue_is_capturing,
    .event_record = faulty_event_record,
    .event_destroy = faulty_event_destroy,
    .event_wait = faulty_event_wait,
    .event_query = faulty_event_query,
};

void faulty_wrap(const ndbuf_backend_ops *inner)
{
    static bool registered;
    assert_int_equal(nlive, 0);
    wrapped = inner;
    faulty_fail_call(0);
    if (!registered) {
        ASSERT_OK(ndbuf_backend_register(&faulty_ops, err));
        registered = true;
    }
}

void faulty_fail_call(int64_t nth)
{
    atomic_store(&happened, false);
    atomic_store(&calls_until_fault, nth);
}

bool faulty_happened(void)
{
    return atomic_load(&happened);
}

int64_t faulty_nlive(void)
{
    return atomic_load(&nlive);
}
