/* SPDX-License-Identifier: Apache-2.0 */
#include "core/device_core.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/backend_registry.h"
#include "core/fork_guard.h"
#include "core/host_alloc.h"

/* Devices opened by ordinal, so that each is open once: from before a backend opens it until it has closed it. The list
 * holds no references. */
static ndbuf__fork_guard list_guard = NDBUF__FORK_GUARD_INIT;
static ndbuf__cond list_shortened = NDBUF__COND_INIT;
static ndbuf_device_core *open_devices;

static ndbuf_device_core host_core = {
    .is_static = true, .pool = {.mutex = NDBUF__MUTEX_INIT}, .blocks = NDBUF__BLOCK_POOL_INIT};
static _Atomic(ndbuf_device *) host_device;
/* Not the list's: device_open of a backend may ask for the host. */
static ndbuf__fork_guard host_guard = NDBUF__FORK_GUARD_INIT;

/* Opening the host's device cannot fail: it is static in its backend. */
ndbuf_device *ndbuf_device_cpu(void)
{
    ndbuf_device *device = atomic_load_explicit(&host_device, memory_order_acquire);
    if (device == NULL) {
        (void)ndbuf__fork_guard_watch();
        ndbuf__fork_guard_lock(&host_guard, NULL, NULL);
        device = atomic_load_explicit(&host_device, memory_order_relaxed);
        if (device == NULL) {
            ndbuf__builtin_backends[0].ops->device_open(0, &device, NULL);
            device->core = &host_core;
            atomic_store_explicit(&host_device, device, memory_order_release);
        }
        ndbuf__fork_guard_unlock(&host_guard);
    }
    return device;
}

void ndbuf__device_retain(ndbuf_device *device)
{
    if (!device->core->is_static) {
        ndbuf__ref_retain(&device->core->refs);
    }
}

/* A new record with one reference, or NULL. */
static ndbuf_device_core *device_core_create(int32_t ordinal)
{
    ndbuf_device_core *core = ndbuf__calloc(1, sizeof(*core));
    if (core != NULL) {
        ndbuf__ref_init(&core->refs);
        ndbuf__device_pool_init(&core->pool);
        ndbuf__block_pool_init(&core->blocks);
        core->ordinal = ordinal;
    }
    return core;
}

ndbuf_status ndbuf__device_adopt(ndbuf_device *device, int32_t ordinal, ndbuf_error *err)
{
    ndbuf_device_core *core = device_core_create(ordinal);
    if (core == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a device's record");
    }
    device->core = core;
    return NDBUF_OK;
}

/* In the child of a fork: nobody goes on closing what the parent's threads were closing. */
static void list_forget(void *unused)
{
    (void)unused;
    ndbuf__cond_init(&list_shortened);
    for (ndbuf_device_core **link = &open_devices; *link != NULL;) {
        if (ndbuf__ref_retain_if_alive(&(*link)->refs)) {
            (void)ndbuf__ref_release(&(*link)->refs);
            link = &(*link)->next;
        } else {
            *link = (*link)->next;
        }
    }
}

static void list_lock(void)
{
    ndbuf__fork_guard_lock(&list_guard, list_forget, NULL);
}

static void list_unlock(void)
{
    ndbuf__fork_guard_unlock(&list_guard);
}

static void list_remove(const ndbuf_device_core *core)
{
    list_lock();
    for (ndbuf_device_core **link = &open_devices; *link != NULL; link = &(*link)->next) {
        if (*link == core) {
            *link = core->next;
            break;
        }
    }
    ndbuf__cond_broadcast(&list_shortened);
    list_unlock();
}

void ndbuf_device_close(ndbuf_device *device)
{
    if (device == NULL || device->core->is_static || !ndbuf__ref_release(&device->core->refs)) {
        return;
    }
    ndbuf_device_core *core = device->core;
    ndbuf__device_pool_clear(&core->pool);
    device->ops->device_close(device);
    list_remove(core);
    ndbuf__block_pool_clear(&core->blocks);
    ndbuf__free(core);
}

/* With the list locked: the open device, retained, or NULL. Waits for one that is being closed. */
static ndbuf_device *find_open(const ndbuf_backend_ops *ops, int32_t ordinal)
{
    ndbuf_device_core *core = open_devices;
    while (core != NULL) {
        if (core->ops != ops || core->ordinal != ordinal) {
            core = core->next;
        } else if (ndbuf__ref_retain_if_alive(&core->refs)) {
            return core->device;
        } else {
            ndbuf__cond_wait(&list_shortened, &list_guard.mutex);
            core = open_devices;
        }
    }
    return NULL;
}

/* With the list locked. */
static ndbuf_status open_new(const ndbuf_backend_ops *ops, int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    ndbuf_device *device = NULL;
    ndbuf_device_core *core = device_core_create(ordinal);
    if (core == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a device's record");
    }
    ndbuf_status status = ops->device_open(ordinal, &device, err);
    if (status != NDBUF_OK) {
        ndbuf__device_pool_clear(&core->pool);
        ndbuf__block_pool_clear(&core->blocks);
        ndbuf__free(core);
        return status;
    }
    device->core = core;
    core->device = device;
    core->ops = ops;
    core->tag = device->tag;
    core->next = open_devices;
    open_devices = core;
    *out_device = device;
    return NDBUF_OK;
}

static ndbuf_status open_ordinal(const ndbuf_backend_ops *ops, int32_t ordinal, ndbuf_device **out_device,
                                 ndbuf_error *err)
{
    if (ops == ndbuf__builtin_backends[0].ops) {
        if (ordinal != 0) {
            return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "device cpu:%d: the host is cpu:0", (int)ordinal);
        }
        *out_device = ndbuf_device_cpu();
        return NDBUF_OK;
    }
    int32_t count = 0;
    ndbuf_error why = {0};
    ndbuf_status status = ops->device_count(&count, &why);
    if (status != NDBUF_OK) {
        return ndbuf_fail_native(err, status, why.native_code, "device %s:%d: %s", ops->name, (int)ordinal,
                                 why.message);
    }
    if (ordinal < 0 || ordinal >= count) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "device %s:%d: the backend has %d device(s)", ops->name,
                          (int)ordinal, (int)count);
    }
    (void)ndbuf__fork_guard_watch();
    list_lock();
    ndbuf_device *device = find_open(ops, ordinal);
    if (device != NULL) {
        *out_device = device;
    } else {
        status = open_new(ops, ordinal, out_device, err);
    }
    list_unlock();
    return status;
}

/* The number behind the colon: up to 6 digits and nothing else; -1: not one. */
static int32_t parse_ordinal(const char *text)
{
    int32_t number = 0;
    size_t length = strlen(text);
    if (length == 0 || length > 6 || strspn(text, "0123456789") != length) {
        return -1;
    }
    for (; *text != '\0'; text++) {
        number = number * 10 + (*text - '0');
    }
    return number;
}

/* A device of the backend that the first `length` bytes of `name` are the name of. */
static ndbuf_status open_of_backend(const char *name, size_t length, int32_t ordinal, ndbuf_device **out_device,
                                    ndbuf_error *err)
{
    int32_t backend = ndbuf__backend_find(name, length);
    if (backend < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "unknown device '%.64s': no backend of that name", name);
    }
    const ndbuf_backend_ops *ops = ndbuf__backend_at(backend);
    if (ops == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "device %.*s:%d: not built: %s", (int)length, name, (int)ordinal,
                          ndbuf__backend_why_not_built(backend));
    }
    return open_ordinal(ops, ordinal, out_device, err);
}

ndbuf_status ndbuf_device_open(const char *name, ndbuf_device **out_device, ndbuf_error *err)
{
    if (name == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no device name");
    }
    const char *colon = strchr(name, ':');
    int32_t ordinal = colon != NULL ? parse_ordinal(colon + 1) : 0;
    if (ordinal < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "device name '%.64s' is not BACKEND or BACKEND:NUMBER", name);
    }
    size_t length = colon != NULL ? (size_t)(colon - name) : strlen(name);
    return open_of_backend(name, length, ordinal, out_device, err);
}

/* The open device of a backend from outside the library, whose types are its own choice. */
static ndbuf_status find_open_by_tag(ndbuf_device_tag tag, ndbuf_device **out_device, ndbuf_error *err)
{
    ndbuf_device *found = NULL;
    ndbuf_device *another = NULL;
    list_lock();
    for (ndbuf_device_core *core = open_devices; core != NULL && another == NULL; core = core->next) {
        if (core->tag.type == tag.type && core->tag.id == tag.id && ndbuf__ref_retain_if_alive(&core->refs)) {
            *(found == NULL ? &found : &another) = core->device;
        }
    }
    list_unlock();
    ndbuf_status status = NDBUF_OK;
    if (found == NULL) {
        status = ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "no backend for memory of device type %d", (int)tag.type);
    } else if (another != NULL) {
        status = ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "backends '%s' and '%s' both have a device type %d, number %d",
                            found->ops->name, another->ops->name, (int)tag.type, (int)tag.id);
        ndbuf_device_close(found);
    } else {
        *out_device = found;
    }
    ndbuf_device_close(another);
    return status;
}

ndbuf_status ndbuf__device_of_tag(ndbuf_device_tag tag, ndbuf_device **out_device, ndbuf_error *err)
{
    if (tag.type == NDBUF_DEVICE_CPU && tag.id == 0) { /* imports are to be quick */
        *out_device = ndbuf_device_cpu();
        return NDBUF_OK;
    }
    const char *backend = tag.type == NDBUF_DEVICE_CPU            ? "cpu"
                          : tag.type == NDBUF_DEVICE_OPENCL       ? "opencl"
                          : tag.type == NDBUF_DEVICE_CUDA         ? "cuda"
                          : tag.type == NDBUF_DEVICE_CUDA_HOST    ? "cuda_host"
                          : tag.type == NDBUF_DEVICE_CUDA_MANAGED ? "cuda_managed"
                                                                  : NULL;
    return backend != NULL ? open_of_backend(backend, strlen(backend), tag.id, out_device, err)
                           : find_open_by_tag(tag, out_device, err);
}

void ndbuf_device_info_get(const ndbuf_device *device, ndbuf_device_info *out_info)
{
    ndbuf_device_info info = {.tag = device->tag, .flags = device->flags};
    if (device->core->is_static) {
        snprintf(info.name, sizeof(info.name), "%s", device->ops->name);
    } else {
        snprintf(info.name, sizeof(info.name), "%s:%d", device->ops->name, (int)device->core->ordinal);
    }
    device->ops->device_describe(device, &info);
    *out_info = info;
}

ndbuf_device_tag ndbuf_device_tag_get(const ndbuf_device *device)
{
    return device->tag;
}
