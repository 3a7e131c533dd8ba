/* SPDX-License-Identifier: Apache-2.0 */
#include "core/storage_core.h"

#include <stddef.h>

#include "core/device_core.h"
#include "core/host_alloc.h"
#include "core/view_core.h"

#define STORAGE_ALIGNMENT 64

static void owner_retain(ndbuf_owner *owner)
{
    ndbuf_storage_retain((ndbuf_storage *)owner);
}

static void owner_release(ndbuf_owner *owner)
{
    ndbuf_storage_release((ndbuf_storage *)owner);
}

/* A header with one reference over no memory yet; the device is retained. */
static ndbuf_storage *storage_create_header(ndbuf_device *device, size_t nbytes, ndbuf_error *err)
{
    ndbuf_storage *storage = ndbuf__calloc(1, sizeof(*storage));
    if (storage == NULL) {
        ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the header of a storage of %zu bytes", nbytes);
        return NULL;
    }
    storage->owner = (ndbuf_owner){.library = &ndbuf__library, .retain = owner_retain, .release = owner_release};
    ndbuf__ref_init(&storage->refs);
    storage->mem.device = device;
    ndbuf__device_retain(device);
    return storage;
}

/* Frees a storage at any stage of its making; mem.nbytes is 0 until there is memory. */
static void storage_destroy(ndbuf_storage *storage)
{
    ndbuf_device *device = storage->mem.device;
    if (storage->mem.nbytes > 0) {
        device->ops->mem_free(&storage->mem);
    }
    if (storage->release != NULL) {
        storage->release(storage->release_context, storage->adopted_handle);
    }
    ndbuf__free(storage);
    ndbuf_device_close(device);
}

ndbuf_status ndbuf_storage_create(ndbuf_device *device, size_t nbytes, ndbuf_storage **out_storage, ndbuf_error *err)
{
    if (device == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no device for a storage of %zu bytes", nbytes);
    }
    if (nbytes > (size_t)INT64_MAX) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a storage of %zu bytes is beyond 63 bits", nbytes);
    }
    ndbuf_storage *storage = storage_create_header(device, nbytes, err);
    if (storage == NULL) {
        return NDBUF_ERR_NOMEM;
    }
    if (nbytes > 0) {
        ndbuf_status status = device->ops->mem_alloc(device, nbytes, STORAGE_ALIGNMENT, &storage->mem, err);
        if (status != NDBUF_OK) {
            storage_destroy(storage);
            return status;
        }
    }
    *out_storage = storage;
    return NDBUF_OK;
}

ndbuf_status ndbuf_storage_adopt(ndbuf_device *device, void *handle, size_t nbytes, uint32_t flags,
                                 ndbuf_release_fn release, void *context, ndbuf_storage **out_storage, ndbuf_error *err)
{
    if (device == NULL || (handle == NULL && nbytes > 0)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no %s for adopted memory of %zu bytes",
                          device == NULL ? "device" : "handle", nbytes);
    }
    if (nbytes > (size_t)INT64_MAX) {
        return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "adopted memory of %zu bytes is beyond 63 bits", nbytes);
    }
    if ((flags & ~(uint32_t)NDBUF_STORAGE_READONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "unknown storage flags 0x%x", (unsigned)flags);
    }
    ndbuf_storage *storage = storage_create_header(device, nbytes, err);
    if (storage == NULL) {
        return NDBUF_ERR_NOMEM;
    }
    if (nbytes > 0) {
        ndbuf_status status = device->ops->mem_import(device, handle, nbytes, &storage->mem, err);
        if (status != NDBUF_OK) {
            storage_destroy(storage);
            return status;
        }
    }
    storage->flags = flags;
    storage->release = release;
    storage->release_context = context;
    storage->adopted_handle = handle;
    *out_storage = storage;
    return NDBUF_OK;
}

void ndbuf_storage_retain(ndbuf_storage *storage)
{
    ndbuf__ref_retain(&storage->refs);
}

void ndbuf_storage_release(ndbuf_storage *storage)
{
    if (storage != NULL && ndbuf__ref_release(&storage->refs)) {
        storage_destroy(storage);
    }
}

ndbuf_device *ndbuf_storage_device(const ndbuf_storage *storage)
{
    return storage->mem.device;
}

size_t ndbuf_storage_nbytes(const ndbuf_storage *storage)
{
    return storage->mem.nbytes;
}

uint32_t ndbuf_storage_flags(const ndbuf_storage *storage)
{
    return storage->flags;
}

void *ndbuf_storage_handle(const ndbuf_storage *storage)
{
    return storage->mem.handle;
}

void *ndbuf_storage_host_address(const ndbuf_storage *storage)
{
    return storage->mem.host_address;
}

ndbuf_status ndbuf_storage_map(ndbuf_storage *storage, size_t byte_offset, size_t nbytes, uint32_t map_flags,
                               void **out_address, ndbuf_error *err)
{
    const ndbuf_mem *mem = &storage->mem;
    if (byte_offset > mem->nbytes || nbytes > mem->nbytes - byte_offset || nbytes == 0) {
        return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "cannot map %zu bytes at %zu of a storage of %zu", nbytes, byte_offset,
                          mem->nbytes);
    }
    if ((map_flags & (NDBUF_MAP_READ | NDBUF_MAP_WRITE)) == 0 ||
        (map_flags & ~(uint32_t)(NDBUF_MAP_READ | NDBUF_MAP_WRITE)) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "map flags 0x%x", (unsigned)map_flags);
    }
    if ((map_flags & NDBUF_MAP_WRITE) != 0 && (storage->flags & NDBUF_STORAGE_READONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_READONLY, "the storage is read-only and cannot be mapped for writing");
    }
    if (mem->host_address != NULL) {
        *out_address = (char *)mem->host_address + byte_offset;
        return NDBUF_OK;
    }
    return mem->device->ops->mem_map(mem, byte_offset, nbytes, map_flags, out_address, err);
}

ndbuf_status ndbuf_storage_unmap(ndbuf_storage *storage, void *address, ndbuf_error *err)
{
    const ndbuf_mem *mem = &storage->mem;
    if (mem->host_address == NULL) {
        return mem->device->ops->mem_unmap(mem, address, err);
    }
    uintptr_t first = (uintptr_t)mem->host_address;
    if ((uintptr_t)address < first || (uintptr_t)address - first >= mem->nbytes) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%p is not a mapping of this storage", address);
    }
    return NDBUF_OK;
}
