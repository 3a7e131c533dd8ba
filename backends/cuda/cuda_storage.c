/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/cuda.h"

#include <stdio.h>
#include <string.h>

#include "core/host_alloc.h"
#include "core/storage_core.h"

#include "backends/cuda/cuda_backend.h"

/* -- adopting -- */

/* The name of the device whose memory a pointer leads to. */
static ndbuf_status find_device_name(const void *pointer, char *out_name, size_t nbytes, ndbuf_error *err)
{
    const cuda_api *api = NULL;
    int32_t count = 0;
    cuda_pointer found = {.ordinal = -1};
    ndbuf_status status = ndbuf_cuda__device_count(&count, err);
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__api_open(&api, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__pointer_ask(api, pointer, &found, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (found.kind == CUDA_KIND_DEVICE) {
        snprintf(out_name, nbytes, "cuda:%d", found.ordinal);
    } else {
        snprintf(out_name, nbytes, "%s:0", found.kind == CUDA_KIND_HOST ? "cuda_host" : "cuda_managed");
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_cuda_storage_adopt(void *pointer, size_t nbytes, uint32_t flags, ndbuf_release_fn release,
                                      void *context, ndbuf_storage **out_storage, ndbuf_error *err)
{
    char name[32];
    ndbuf_device *device = NULL;
    if (pointer == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no CUDA pointer for adopted memory of %zu bytes", nbytes);
    }
    ndbuf_status status = find_device_name(pointer, name, sizeof(name), err);
    if (status == NDBUF_OK) {
        status = ndbuf_device_open(name, &device, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    status = ndbuf_storage_adopt(device, pointer, nbytes, flags, release, context, out_storage, err);
    ndbuf_device_close(device);
    return status;
}

/* -- pinning -- */

/* Host memory that we have pinned, by its users. */
typedef struct cuda_registration cuda_registration;
struct cuda_registration {
    cuda_registration *next;
    char *address;
    size_t nbytes;
    int64_t nusers;
    bool is_readonly; /* devices that write it fail for good */
};

static ndbuf__mutex registrations_mutex = NDBUF__MUTEX_INIT;
static cuda_registration *registrations;

/* What a pinned storage holds. */
typedef struct cuda_pin {
    const cuda_place *place; /* of the storage's device, which outlives this */
    ndbuf_storage *host;
    cuda_registration *registration; /* NULL: others pinned the memory */
} cuda_pin;

/* With the mutex held: ends one use. */
static void registration_release(const cuda_place *place, cuda_registration *registration)
{
    const cuda_api *api = place->api;
    cuda_registration **link = &registrations;
    cuda_scope scope;
    if (--registration->nusers > 0) {
        return;
    }
    while (*link != registration) {
        link = &(*link)->next;
    }
    *link = registration->next;
    if (ndbuf_cuda__enter_to_undo(place, &scope)) {
        CUDA_UNDO(api->cudaHostUnregister(registration->address));
        ndbuf_cuda__leave(&scope);
    }
    ndbuf__free(registration);
}

/* Also what undoes a pin that is half made. */
static void pin_release(void *context, void *handle)
{
    cuda_pin *pin = context;
    (void)handle;
    if (pin->registration != NULL) {
        ndbuf__mutex_lock(&registrations_mutex);
        registration_release(pin->place, pin->registration);
        ndbuf__mutex_unlock(&registrations_mutex);
    }
    ndbuf_storage_release(pin->host);
    ndbuf__free(pin);
}

/* With the mutex held: a registration of ours that covers the range, or NULL. */
static cuda_registration *find_registration(const char *address, size_t nbytes)
{
    for (cuda_registration *known = registrations; known != NULL; known = known->next) {
        uintptr_t first = (uintptr_t)known->address;
        uintptr_t offset = (uintptr_t)address - first;
        if ((uintptr_t)address >= first && offset <= known->nbytes && nbytes <= known->nbytes - offset) {
            return known;
        }
    }
    return NULL;
}

/* The status of a cudaHostRegister that failed. */
static ndbuf_status register_status(const cuda_api *api, cudaError_t code, const ndbuf_storage *host, ndbuf_error *err)
{
    switch (code) {
    case cudaErrorInvalidValue:
    case cudaErrorNotPermitted:
    case cudaErrorNotSupported:
    case cudaErrorOperatingSystem:
    case cudaErrorUnknown:
        api->cudaGetLastError();
        return ndbuf_fail_native(err, NDBUF_ERR_UNSUPPORTED, (int32_t)code,
                                 "CUDA cannot pin these %zu bytes of %s memory: %s (%s, %d)", host->mem.nbytes,
                                 (host->flags & NDBUF_STORAGE_READONLY) != 0 ? "read-only" : "host",
                                 api->cudaGetErrorString(code), api->cudaGetErrorName(code), (int)code);
    default:
        return ndbuf_cuda__fail(api, err, code, "cudaHostRegister");
    }
}

/* With the mutex held: pins the memory. *out_registration is left alone where others have pinned it. */
static ndbuf_status registration_acquire(const cuda_device *device, const ndbuf_storage *host,
                                         cuda_registration **out_registration, ndbuf_error *err)
{
    const cuda_api *api = device->place.api;
    char *address = host->mem.host_address;
    bool is_readonly = (host->flags & NDBUF_STORAGE_READONLY) != 0 && device->traits.registers_readonly;
    unsigned int flags = cudaHostRegisterPortable | (is_readonly ? (unsigned int)cudaHostRegisterReadOnly : 0u);
    cuda_scope scope;
    cuda_registration *registration = find_registration(address, host->mem.nbytes);
    if (registration != NULL && registration->is_readonly && (host->flags & NDBUF_STORAGE_READONLY) == 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                          "these %zu bytes are pinned for reading only, as long as a read-only storage pins them",
                          host->mem.nbytes);
    }
    if (registration != NULL) {
        registration->nusers++;
        *out_registration = registration;
        return NDBUF_OK;
    }
    registration = ndbuf__malloc(sizeof(*registration));
    if (registration == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to pin a storage");
    }
    ndbuf_status status = ndbuf_cuda__enter(&device->place, &scope, err);
    cudaError_t code = cudaErrorUnknown;
    if (status == NDBUF_OK) {
        code = api->cudaHostRegister(address, host->mem.nbytes, flags);
        if (code == cudaErrorHostMemoryAlreadyRegistered) {
            api->cudaGetLastError();
        } else if (code != cudaSuccess) {
            status = register_status(api, code, host, err);
        }
        ndbuf_cuda__leave(&scope);
    }
    if (code != cudaSuccess) {
        ndbuf__free(registration);
        return status;
    }
    *registration = (cuda_registration){
        .next = registrations, .address = address, .nbytes = host->mem.nbytes, .nusers = 1, .is_readonly = is_readonly};
    registrations = registration;
    *out_registration = registration;
    return NDBUF_OK;
}

static ndbuf_status pin_on(ndbuf_device *device, ndbuf_storage *host, ndbuf_storage **out_pinned, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    ndbuf_error why = {0};
    cuda_pin *pin = ndbuf__calloc(1, sizeof(*pin));
    if (pin == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to pin a storage");
    }
    pin->place = (const cuda_place *)device;
    pin->host = host;
    ndbuf_storage_retain(host);
    if (host->mem.nbytes > 0) {
        ndbuf__mutex_lock(&registrations_mutex);
        status = registration_acquire((const cuda_device *)device, host, &pin->registration, err);
        ndbuf__mutex_unlock(&registrations_mutex);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_storage_adopt(device, host->mem.host_address, host->mem.nbytes, host->flags, pin_release, pin,
                                     out_pinned, &why);
        if (status == NDBUF_ERR_BOUNDS || status == NDBUF_ERR_INVALID) {
            status =
                ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "others have pinned a part of this memory: %s", why.message);
        } else if (status != NDBUF_OK && err != NULL) {
            *err = why;
        }
    }
    if (status != NDBUF_OK) {
        pin_release(pin, NULL);
    }
    return status;
}

ndbuf_status ndbuf_cuda_storage_pin(ndbuf_storage *host, ndbuf_storage **out_pinned, ndbuf_error *err)
{
    ndbuf_device *device = NULL;
    if (host == NULL || host->mem.device != ndbuf_device_cpu()) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s cannot be pinned: not a storage of the host",
                          host == NULL ? "no storage" : host->mem.device->ops->name);
    }
    ndbuf_status status = ndbuf_device_open("cuda_host:0", &device, err);
    if (status == NDBUF_OK) {
        status = pin_on(device, host, out_pinned, err);
        ndbuf_device_close(device);
    }
    return status;
}

/* -- sharing with other processes -- */

static ndbuf_status check_device(const ndbuf_device *device, ndbuf_error *err)
{
    if (device == NULL || device->ops != &ndbuf_cuda__ops) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is not a device \"cuda:N\"",
                          device == NULL ? "NULL" : device->ops->name);
    }
    return NDBUF_OK;
}

static void ipc_free(void *context, void *handle)
{
    const cuda_place *place = context;
    const cuda_api *api = place->api;
    cuda_scope scope;
    if (handle != NULL && ndbuf_cuda__enter_to_undo(place, &scope)) {
        CUDA_UNDO(api->cudaFree(handle));
        ndbuf_cuda__leave(&scope);
    }
}

static void ipc_close(void *context, void *handle)
{
    const cuda_place *place = context;
    const cuda_api *api = place->api;
    cuda_scope scope;
    if (handle != NULL && ndbuf_cuda__enter_to_undo(place, &scope)) {
        CUDA_UNDO(api->cudaIpcCloseMemHandle(handle));
        ndbuf_cuda__leave(&scope);
    }
}

/* A storage over a block that `end` ends; also where there can be no storage. */
static ndbuf_status adopt_or_end(ndbuf_device *device, void *block, size_t nbytes, ndbuf_release_fn end,
                                 ndbuf_storage **out_storage, ndbuf_error *err)
{
    ndbuf_status status = ndbuf_storage_adopt(device, block, nbytes, 0, end, device, out_storage, err);
    if (status != NDBUF_OK) {
        end(device, block);
    }
    return status;
}

ndbuf_status ndbuf_cuda_ipc_storage_create(ndbuf_device *device, size_t nbytes, ndbuf_storage **out_storage,
                                           ndbuf_error *err)
{
    void *block = NULL;
    cuda_scope scope;
    ndbuf_status status = check_device(device, err);
    if (status != NDBUF_OK) {
        return status;
    }
    const cuda_place *place = (const cuda_place *)device;
    const cuda_api *api = place->api;
    if (nbytes == 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "a storage of 0 bytes cannot be shared");
    }
    status = ndbuf_cuda__enter(place, &scope, err);
    if (status != NDBUF_OK) {
        return status;
    }
    cudaError_t code = api->cudaMalloc(&block, nbytes);
    if (code != cudaSuccess) {
        status = ndbuf_cuda__fail(api, err, code, "cudaMalloc");
    }
    ndbuf_cuda__leave(&scope);
    if (status != NDBUF_OK) {
        return status;
    }
    return adopt_or_end(device, block, nbytes, ipc_free, out_storage, err);
}

ndbuf_status ndbuf_cuda_ipc_export(const ndbuf_storage *storage, ndbuf_cuda_ipc_handle *out_handle, ndbuf_error *err)
{
    cudaIpcMemHandle_t handle;
    cuda_scope scope;
    _Static_assert(sizeof(handle) == sizeof(*out_handle), "a handle is an array of bytes");
    if (storage == NULL || storage->release != ipc_free) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "only memory of ndbuf_cuda_ipc_storage_create can be shared");
    }
    const cuda_place *place = (const cuda_place *)storage->mem.device;
    const cuda_api *api = place->api;
    ndbuf_status status = ndbuf_cuda__enter(place, &scope, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = CUDA_STATUS(api->cudaIpcGetMemHandle(&handle, storage->mem.handle), err);
    ndbuf_cuda__leave(&scope);
    if (status == NDBUF_OK) {
        memcpy(out_handle->bytes, &handle, sizeof(handle));
    }
    return status;
}

/* The status of a cudaIpcOpenMemHandle that failed. */
static ndbuf_status open_status(const cuda_api *api, cudaError_t code, ndbuf_error *err)
{
    switch (code) {
    case cudaSuccess:
        return NDBUF_OK;
    case cudaErrorInvalidValue:
    case cudaErrorInvalidResourceHandle:
    case cudaErrorDeviceUninitialized: /* made in this process */
    case cudaErrorMapBufferObjectFailed:
        return ndbuf_cuda__fail_as(api, err, NDBUF_ERR_INVALID, code, "cudaIpcOpenMemHandle");
    default:
        return ndbuf_cuda__fail(api, err, code, "cudaIpcOpenMemHandle");
    }
}

ndbuf_status ndbuf_cuda_ipc_open(ndbuf_device *device, const ndbuf_cuda_ipc_handle *handle, size_t nbytes,
                                 ndbuf_storage **out_storage, ndbuf_error *err)
{
    cudaIpcMemHandle_t native;
    void *block = NULL;
    cuda_scope scope;
    ndbuf_status status = check_device(device, err);
    if (status != NDBUF_OK) {
        return status;
    }
    const cuda_place *place = (const cuda_place *)device;
    const cuda_api *api = place->api;
    if (handle == NULL || nbytes == 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no %s of memory to open", handle == NULL ? "handle" : "bytes");
    }
    memcpy(&native, handle->bytes, sizeof(native));
    status = ndbuf_cuda__enter(place, &scope, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = open_status(api, api->cudaIpcOpenMemHandle(&block, native, cudaIpcMemLazyEnablePeerAccess), err);
    ndbuf_cuda__leave(&scope);
    if (status != NDBUF_OK) {
        return status;
    }
    return adopt_or_end(device, block, nbytes, ipc_close, out_storage, err);
}
