/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backend_registry.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "core/sync.h"

#define MAX_BACKENDS 32

/* Backends registered at run time, after the built-in ones. Entries are written once, under the mutex, before the count
 * that covers them grows; so they are read without it. */
static ndbuf__mutex registry_mutex = NDBUF__MUTEX_INIT;
static const ndbuf_backend_ops *registered[MAX_BACKENDS];
static _Atomic(int32_t) nregistered;

static const char *backend_name(int32_t index)
{
    return index < ndbuf__builtin_backend_count ? ndbuf__builtin_backends[index].name
                                                : registered[index - ndbuf__builtin_backend_count]->name;
}

int32_t ndbuf_backend_count(void)
{
    return ndbuf__builtin_backend_count + atomic_load_explicit(&nregistered, memory_order_acquire);
}

const ndbuf_backend_ops *ndbuf__backend_at(int32_t index)
{
    return index < ndbuf__builtin_backend_count ? ndbuf__builtin_backends[index].ops
                                                : registered[index - ndbuf__builtin_backend_count];
}

int32_t ndbuf__backend_find(const char *name, size_t length)
{
    int32_t count = ndbuf_backend_count();
    for (int32_t i = 0; i < count; i++) {
        const char *known = backend_name(i);
        if (strlen(known) == length && memcmp(known, name, length) == 0) {
            return i;
        }
    }
    return -1;
}

const char *ndbuf__backend_why_not_built(int32_t index)
{
    return ndbuf__builtin_backends[index].why_not_built;
}

ndbuf_status ndbuf_backend_info_get(int32_t index, ndbuf_backend_info *out_info, ndbuf_error *err)
{
    if (index < 0 || index >= ndbuf_backend_count()) {
        return ndbuf_fail(err, NDBUF_ERR_INDEX, "backend %d of %d", (int)index, (int)ndbuf_backend_count());
    }
    ndbuf_backend_info info = {.status = NDBUF_OK};
    strncpy(info.name, backend_name(index), sizeof(info.name) - 1);
    const ndbuf_backend_ops *ops = ndbuf__backend_at(index);
    ndbuf_error why = {0};
    if (ops == NULL) {
        info.status = ndbuf_fail(&why, NDBUF_ERR_UNAVAILABLE, "not built: %s", ndbuf__backend_why_not_built(index));
    } else {
        info.built = 1;
        info.status = ops->device_count(&info.ndevices, &why);
        if (info.status == NDBUF_OK && info.ndevices == 0) {
            info.status = ndbuf_fail(&why, NDBUF_ERR_UNAVAILABLE, "no device");
        }
    }
    info.native_code = why.native_code;
    memcpy(info.reason, why.message, sizeof(info.reason));
    *out_info = info;
    return NDBUF_OK;
}

/* The name of the first empty slot, or NULL. */
static const char *ops_missing_slot(const ndbuf_backend_ops *ops)
{
#define CHECK_SLOT(slot)                                                                                               \
    if (ops->slot == NULL) {                                                                                           \
        return #slot;                                                                                                  \
    }
    CHECK_SLOT(device_count)
    CHECK_SLOT(device_open)
    CHECK_SLOT(device_close)
    CHECK_SLOT(device_describe)
    CHECK_SLOT(mem_alloc)
    CHECK_SLOT(mem_import)
    CHECK_SLOT(mem_free)
    CHECK_SLOT(mem_map)
    CHECK_SLOT(mem_unmap)
    CHECK_SLOT(copy_caps)
    CHECK_SLOT(copy_bytes)
    CHECK_SLOT(copy_rect)
    CHECK_SLOT(copy_strided)
    CHECK_SLOT(convert_strided)
    CHECK_SLOT(fill_strided)
    CHECK_SLOT(queue_create)
    CHECK_SLOT(queue_destroy)
    CHECK_SLOT(queue_wait)
    CHECK_SLOT(queue_wait_event)
    CHECK_SLOT(queue_wait_native)
    CHECK_SLOT(queue_host_call)
    CHECK_SLOT(queue_mapped_call)
    CHECK_SLOT(queue_is_capturing)
    CHECK_SLOT(event_record)
    CHECK_SLOT(event_destroy)
    CHECK_SLOT(event_wait)
    CHECK_SLOT(event_query)
#undef CHECK_SLOT
    return NULL;
}

/* A device's name is that of its backend with a number of up to six digits, and has to fit ndbuf_device_info. */
#define MAX_NAME_LENGTH (sizeof(((ndbuf_device_info *)0)->name) - sizeof(":999999"))

static bool is_backend_name(const char *name)
{
    size_t length = name != NULL ? strlen(name) : 0;
    return length > 0 && length <= MAX_NAME_LENGTH && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

ndbuf_status ndbuf_backend_register(const ndbuf_backend_ops *ops, ndbuf_error *err)
{
    if (ops == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no table of functions");
    }
    if (ops->abi_version != NDBUF_BACKEND_ABI_VERSION || ops->struct_nbytes != sizeof(*ops)) {
        return ndbuf_fail(err, NDBUF_ERR_ABI,
                          "backend made for ABI %u with a table of %u bytes; this library has ABI %u and %zu bytes",
                          (unsigned)ops->abi_version, (unsigned)ops->struct_nbytes, NDBUF_BACKEND_ABI_VERSION,
                          sizeof(*ops));
    }
    if (!is_backend_name(ops->name)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "backend name '%s' is not 1 to %zu of a-z, 0-9 and '_'",
                          ops->name != NULL ? ops->name : "(null)", MAX_NAME_LENGTH);
    }
    const char *missing = ops_missing_slot(ops);
    if (missing != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "backend '%s' leaves slot %s empty", ops->name, missing);
    }
    ndbuf_status status = NDBUF_OK;
    ndbuf__mutex_lock(&registry_mutex);
    int32_t count = atomic_load_explicit(&nregistered, memory_order_relaxed);
    if (ndbuf__backend_find(ops->name, strlen(ops->name)) >= 0) {
        status = ndbuf_fail(err, NDBUF_ERR_BUSY, "there is a backend '%s' already", ops->name);
    } else if (ndbuf__builtin_backend_count + count >= MAX_BACKENDS) {
        status = ndbuf_fail(err, NDBUF_ERR_BUSY, "there are %d backends already", MAX_BACKENDS);
    } else {
        registered[count] = ops;
        atomic_store_explicit(&nregistered, count + 1, memory_order_release);
    }
    ndbuf__mutex_unlock(&registry_mutex);
    return status;
}

ndbuf_status ndbuf_unsupported_mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                          ndbuf_error *err)
{
    (void)handle, (void)nbytes, (void)out_mem;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' cannot adopt foreign memory", device->ops->name);
}

ndbuf_status ndbuf_unsupported_mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                       void **out_address, ndbuf_error *err)
{
    (void)offset, (void)nbytes, (void)map_flags, (void)out_address;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' cannot map memory", mem->device->ops->name);
}

ndbuf_status ndbuf_unsupported_mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err)
{
    (void)address;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' cannot map memory", mem->device->ops->name);
}

ndbuf_status ndbuf_unsupported_copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err)
{
    (void)rect;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' cannot copy rectangles", queue->device->ops->name);
}

ndbuf_status ndbuf_unsupported_copy_strided(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    (void)box;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' cannot copy strided boxes", queue->device->ops->name);
}

ndbuf_status ndbuf_unsupported_convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *box, ndbuf_error *err)
{
    (void)box;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' does not convert", queue->device->ops->name);
}

ndbuf_status ndbuf_unsupported_fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err)
{
    (void)box;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' cannot fill", queue->device->ops->name);
}

ndbuf_status ndbuf_unsupported_queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err)
{
    (void)native_event;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' has no native events", queue->device->ops->name);
}

ndbuf_status ndbuf_unsupported_queue_mapped_call(ndbuf_queue *queue, const ndbuf_mapped_range *ranges, int32_t nranges,
                                                 ndbuf_mapped_fn fn, void *context, ndbuf_error *err)
{
    (void)ranges, (void)nranges, (void)fn, (void)context;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "backend '%s' has no memory that the host can reach",
                      queue->device->ops->name);
}

ndbuf_status ndbuf_never_queue_is_capturing(ndbuf_queue *queue, int32_t *out_is_capturing, ndbuf_error *err)
{
    (void)queue, (void)err;
    *out_is_capturing = 0;
    return NDBUF_OK;
}
