/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include <stdio.h>
#include <string.h>

#include "core/host_alloc.h"

/* Peers have bits in a word. */
#define CUDA_MAX_PEERS 64

/* Open devices of kind CUDA_KIND_DEVICE: each learns which of the others it can reach. */
static ndbuf__mutex list_mutex = NDBUF__MUTEX_INIT;
static cuda_device *open_devices;

/* -- counting -- */

ndbuf_status ndbuf_cuda__device_count(int32_t *out_count, ndbuf_error *err)
{
    const cuda_api *api = NULL;
    int count = 0;
    ndbuf_status status = ndbuf_cuda__api_open(&api, err);
    if (status != NDBUF_OK) {
        return status;
    }
    CUDA_TRY(api->cudaGetDeviceCount(&count), err);
    if (count < 1) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "the CUDA driver has no device");
    }
    *out_count = count;
    return NDBUF_OK;
}

ndbuf_status ndbuf_cuda__shared_device_count(int32_t *out_count, ndbuf_error *err)
{
    int32_t count = 0;
    ndbuf_status status = ndbuf_cuda__device_count(&count, err);
    if (status == NDBUF_OK) {
        *out_count = 1;
    }
    return status;
}

/* -- opening -- */

static const ndbuf_backend_ops *ops_of(cuda_kind kind)
{
    return kind == CUDA_KIND_DEVICE ? &ndbuf_cuda__ops
           : kind == CUDA_KIND_HOST ? &ndbuf_cuda_host__ops
                                    : &ndbuf_cuda_managed__ops;
}

static void place_init(cuda_place *place, const cuda_api *api, cuda_kind kind, int ordinal)
{
    static const int32_t types[] = {NDBUF_DEVICE_CUDA, NDBUF_DEVICE_CUDA_HOST, NDBUF_DEVICE_CUDA_MANAGED};
    place->base.ops = ops_of(kind);
    place->base.tag = (ndbuf_device_tag){.type = types[kind], .id = kind == CUDA_KIND_DEVICE ? ordinal : 0};
    place->base.flags = (kind == CUDA_KIND_HOST ? NDBUF_DEVICE_HOST_ACCESSIBLE : 0u) |
                        (api->is_simulated ? NDBUF_DEVICE_SIMULATED : 0u);
    place->base.queue_flags = NDBUF_QUEUE_NO_HOST_THREAD;
    place->api = api;
    place->kind = kind;
    place->ordinal = ordinal;
}

/* Asks for everything about a device that is needed later. With the device current, as in what follows. */
static ndbuf_status read_traits(cuda_device *device, ndbuf_error *err)
{
    cuda_traits *traits = &device->traits;
    const struct {
        enum cudaDeviceAttr attribute;
        int *value;
    } wanted[] = {
        {cudaDevAttrComputeCapabilityMajor, &traits->major},
        {cudaDevAttrComputeCapabilityMinor, &traits->minor},
        {cudaDevAttrMaxPitch, &traits->max_pitch},
        {cudaDevAttrMaxThreadsPerBlock, &traits->max_group_nitems},
        {cudaDevAttrMemoryPoolsSupported, &traits->has_pools},
        {cudaDevAttrIntegrated, &traits->is_integrated},
        {cudaDevAttrConcurrentManagedAccess, &traits->shares_managed},
        {cudaDevAttrHostRegisterReadOnlySupported, &traits->registers_readonly},
        {cudaDevAttrCanUseHostPointerForRegisteredMem, &traits->reaches_host_pointers},
    };
    const cuda_api *api = device->place.api;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        CUDA_TRY(api->cudaDeviceGetAttribute(wanted[i].value, wanted[i].attribute, device->place.ordinal), err);
    }
    return NDBUF_OK;
}

static void read_name(const cuda_device *device, char *out_name, int nbytes)
{
    int (*get)(char *, int, int) = NULL; /* a CUresult, and a CUdevice, which is the ordinal */
    void *function = ndbuf_cuda__driver_function(device->place.api, "cuDeviceGetName");
    memcpy(&get, &function, sizeof(get));
    if (get == NULL || get(out_name, nbytes, device->place.ordinal) != 0) {
        snprintf(out_name, (size_t)nbytes, "CUDA device");
    }
}

static ndbuf_status describe(cuda_device *device, ndbuf_error *err)
{
    const cuda_api *api = device->place.api;
    char name[64] = "";
    char bus[32] = "";
    int driver = 0;
    int runtime = 0;
    size_t available = 0;
    size_t total = 0;
    CUDA_TRY(api->cudaDeviceGetPCIBusId(bus, sizeof(bus), device->place.ordinal), err);
    CUDA_TRY(api->cudaDriverGetVersion(&driver), err);
    CUDA_TRY(api->cudaRuntimeGetVersion(&runtime), err);
    CUDA_TRY(api->cudaMemGetInfo(&available, &total), err);
    read_name(device, name, sizeof(name));
    const char *what = device->place.kind == CUDA_KIND_DEVICE ? ""
                       : device->place.kind == CUDA_KIND_HOST ? "pinned host memory for "
                                                              : "managed memory, at home on ";
    snprintf(device->description, sizeof(device->description), "%s%.32s, compute capability %d.%d, PCI %.16s", what,
             name, device->traits.major, device->traits.minor, bus);
    snprintf(device->driver, sizeof(device->driver), "CUDA driver %d.%d, runtime %d.%d", driver / 1000,
             driver % 1000 / 10, runtime / 1000, runtime % 1000 / 10);
    device->memory_nbytes = device->place.kind == CUDA_KIND_HOST ? 0 : total;
    return NDBUF_OK;
}

/* A pool of our own, which keeps what is freed: those of others, PyTorch's say, stay as they are. */
static ndbuf_status open_pool(cuda_device *device, ndbuf_error *err)
{
    const cuda_api *api = device->place.api;
    const struct cudaMemPoolProps props = {
        .allocType = cudaMemAllocationTypePinned,
        .handleTypes = cudaMemHandleTypeNone,
        .location = {.type = cudaMemLocationTypeDevice, .id = device->place.ordinal},
    };
    uint64_t threshold = UINT64_MAX;
    if (device->place.kind != CUDA_KIND_DEVICE || !device->traits.has_pools) {
        return NDBUF_OK;
    }
    CUDA_TRY(api->cudaStreamCreateWithFlags(&device->memory_stream, cudaStreamNonBlocking), err);
    CUDA_TRY(api->cudaMemPoolCreate(&device->pool, &props), err);
    return CUDA_STATUS(api->cudaMemPoolSetAttribute(device->pool, cudaMemPoolAttrReleaseThreshold, &threshold), err);
}

static ndbuf_status build(cuda_device *device, ndbuf_error *err)
{
    ndbuf_device *base = &device->place.base;
    ndbuf_status status = read_traits(device, err);
    if (status == NDBUF_OK) {
        status = describe(device, err);
    }
    if (status == NDBUF_OK) {
        status = open_pool(device, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_cuda__queue_create(base, NULL, &base->default_queue, err);
    }
    if (device->place.kind == CUDA_KIND_MANAGED && device->traits.shares_managed) {
        base->flags |= NDBUF_DEVICE_HOST_ACCESSIBLE;
    }
    if (device->place.kind == CUDA_KIND_DEVICE && device->traits.is_integrated) {
        base->flags |= NDBUF_DEVICE_UNIFIED;
    }
    if ((base->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) == 0) {
        place_init(&device->staging, device->place.api, CUDA_KIND_HOST, device->place.ordinal);
        base->staging = &device->staging.base;
    }
    return status;
}

/* -- peers -- */

/* Lets kernels of one device reach the memory of another. With `device` current. False: they cannot. */
static bool enable_peer(const cuda_device *device, const cuda_device *other)
{
    const cuda_api *api = device->place.api;
    const struct cudaMemAccessDesc access = {
        .location = {.type = cudaMemLocationTypeDevice, .id = device->place.ordinal},
        .flags = cudaMemAccessFlagsProtReadWrite,
    };
    int possible = 0;
    cudaError_t code = api->cudaDeviceCanAccessPeer(&possible, device->place.ordinal, other->place.ordinal);
    if (code == cudaSuccess && possible) {
        code = api->cudaDeviceEnablePeerAccess(other->place.ordinal, 0);
        if (code == cudaErrorPeerAccessAlreadyEnabled) {
            api->cudaGetLastError();
            code = cudaSuccess;
        }
    }
    if (code == cudaSuccess && possible && other->pool != NULL) {
        code = api->cudaMemPoolSetAccess(other->pool, &access, 1);
    }
    if (code != cudaSuccess) {
        api->cudaGetLastError();
    }
    return code == cudaSuccess && possible;
}

static bool reaches(const cuda_device *device, const cuda_device *other)
{
    cuda_scope scope;
    if (ndbuf_cuda__enter(&device->place, &scope, NULL) != NDBUF_OK) {
        return false;
    }
    bool is_enabled = enable_peer(device, other);
    ndbuf_cuda__leave(&scope);
    return is_enabled;
}

/* Puts a device into the list. Devices that cannot reach each other work all the same, by way of the driver. */
static void join_list(cuda_device *device)
{
    int ordinal = device->place.ordinal;
    ndbuf__mutex_lock(&list_mutex);
    for (cuda_device *other = open_devices; other != NULL; other = other->next) {
        int other_ordinal = other->place.ordinal;
        if (ordinal < CUDA_MAX_PEERS && other_ordinal < CUDA_MAX_PEERS && other_ordinal != ordinal &&
            reaches(device, other) && reaches(other, device)) {
            atomic_fetch_or(&device->peers, (uint64_t)1 << other_ordinal);
            atomic_fetch_or(&other->peers, (uint64_t)1 << ordinal);
        }
    }
    device->next = open_devices;
    open_devices = device;
    ndbuf__mutex_unlock(&list_mutex);
}

/* With the mutex held: what others know of a device that is closed. It is opened again only after that. */
static void forget_peer(int ordinal)
{
    for (cuda_device *other = open_devices; other != NULL && ordinal < CUDA_MAX_PEERS; other = other->next) {
        atomic_fetch_and(&other->peers, ~((uint64_t)1 << ordinal));
    }
}

static void leave_list(cuda_device *device)
{
    ndbuf__mutex_lock(&list_mutex);
    cuda_device **link = &open_devices;
    while (*link != NULL && *link != device) {
        link = &(*link)->next;
    }
    if (*link == device) {
        *link = device->next;
        forget_peer(device->place.ordinal);
    }
    ndbuf__mutex_unlock(&list_mutex);
}

/* -- the slots -- */

static ndbuf_status open_kind(cuda_kind kind, int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    const cuda_api *api = NULL;
    cuda_scope scope;
    ndbuf_status status = ndbuf_cuda__api_open(&api, err);
    if (status != NDBUF_OK) {
        return status;
    }
    cuda_device *device = ndbuf__calloc(1, sizeof(*device));
    if (device == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for CUDA device %d", (int)ordinal);
    }
    place_init(&device->place, api, kind, (int)ordinal);
    ndbuf__mutex_init(&device->mutex);
    ndbuf__block_pool_init(&device->blocks);
    atomic_init(&device->peers, 0);
    atomic_init(&device->lacks_code, false);
    ndbuf_cuda__kernels_retain();
    status = ndbuf_cuda__enter(&device->place, &scope, err);
    if (status == NDBUF_OK) {
        status = build(device, err);
        ndbuf_cuda__leave(&scope);
    }
    if (status != NDBUF_OK) {
        ndbuf_cuda__device_close(&device->place.base);
        return status;
    }
    if (kind == CUDA_KIND_DEVICE) {
        join_list(device);
    }
    *out_device = &device->place.base;
    return NDBUF_OK;
}

ndbuf_status ndbuf_cuda__device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    return open_kind(CUDA_KIND_DEVICE, ordinal, out_device, err);
}

ndbuf_status ndbuf_cuda__host_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    return open_kind(CUDA_KIND_HOST, ordinal, out_device, err);
}

ndbuf_status ndbuf_cuda__managed_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    return open_kind(CUDA_KIND_MANAGED, ordinal, out_device, err);
}

/* Everything of CUDA's that the device has; any of it may not be there. With the device current. */
static void end_native(cuda_device *device)
{
    const cuda_api *api = device->place.api;
    for (int32_t i = 0; i < device->nevents; i++) {
        CUDA_UNDO(api->cudaEventDestroy(device->events[i]));
    }
    if (device->memory_stream != NULL) {
        CUDA_UNDO(api->cudaStreamSynchronize(device->memory_stream)); /* what was freed is free */
    }
    if (device->pool != NULL) {
        CUDA_UNDO(api->cudaMemPoolDestroy(device->pool));
    }
    if (device->memory_stream != NULL) {
        CUDA_UNDO(api->cudaStreamDestroy(device->memory_stream));
    }
}

void ndbuf_cuda__device_close(ndbuf_device *device)
{
    cuda_device *self = (cuda_device *)device;
    cuda_scope scope;
    leave_list(self);
    if (device->default_queue != NULL) {
        ndbuf_cuda__queue_destroy(device->default_queue);
    }
    if (ndbuf_cuda__enter_to_undo(&self->place, &scope)) {
        end_native(self);
        ndbuf_cuda__kernels_release(self->place.api);
        ndbuf_cuda__leave(&scope);
    } else {
        ndbuf_cuda__kernels_release(self->place.api);
    }
    ndbuf__block_pool_clear(&self->blocks);
    ndbuf__mutex_clear(&self->mutex);
    ndbuf__free(self);
}

void ndbuf_cuda__device_describe(const ndbuf_device *device, ndbuf_device_info *info)
{
    const cuda_device *self = (const cuda_device *)device;
    _Static_assert(sizeof(info->description) == sizeof(self->description), "descriptions have one size");
    _Static_assert(sizeof(info->driver) == sizeof(self->driver), "driver texts have one size");
    memcpy(info->description, self->description, sizeof(info->description));
    memcpy(info->driver, self->driver, sizeof(info->driver));
    info->memory_nbytes = self->memory_nbytes;
    info->max_allocation_nbytes = self->memory_nbytes;
}
