/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/opencl/opencl_backend.h"

#include <stdio.h>
#include <string.h>

#include "ndbuf/opencl.h"

#include "core/device_core.h"
#include "core/host_alloc.h"

/* Contexts in use. */
static ndbuf__mutex context_mutex = NDBUF__MUTEX_INIT;
static opencl_context *contexts;

/* All devices of all platforms, in the loader's order: device i of platform platforms[i]. */
typedef struct opencl_listing {
    cl_platform_id *platforms;
    cl_device_id *devices;
    int32_t count;
} opencl_listing;

static void listing_clear(opencl_listing *listing)
{
    ndbuf__free(listing->platforms);
    ndbuf__free(listing->devices);
}

/* Appends the devices of a platform. A platform that cannot list its devices has none: its code goes to *out_code. */
static ndbuf_status listing_append(const opencl_api *api, cl_platform_id platform, opencl_listing *listing,
                                   cl_int *out_code, ndbuf_error *err)
{
    cl_uint count = 0;
    cl_int code = api->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, NULL, &count);
    if (code != CL_SUCCESS || count == 0) {
        *out_code = code != CL_SUCCESS ? code : CL_DEVICE_NOT_FOUND;
        return NDBUF_OK;
    }
    size_t old_count = (size_t)listing->count;
    size_t new_count = old_count + count;
    cl_platform_id *platforms = ndbuf__realloc(listing->platforms, new_count * sizeof(*platforms));
    if (platforms == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a list of %zu OpenCL devices", new_count);
    }
    listing->platforms = platforms;
    cl_device_id *devices = ndbuf__realloc(listing->devices, new_count * sizeof(*devices));
    if (devices == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a list of %zu OpenCL devices", new_count);
    }
    listing->devices = devices;
    code = api->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, devices + old_count, NULL);
    if (code != CL_SUCCESS) {
        *out_code = code;
        return NDBUF_OK;
    }
    for (size_t i = old_count; i < new_count; i++) {
        platforms[i] = platform;
    }
    listing->count = (int32_t)new_count;
    return NDBUF_OK;
}

static ndbuf_status no_platform(ndbuf_error *err)
{
    return ndbuf_fail_native(err, NDBUF_ERR_UNAVAILABLE, -1001, "no OpenCL platform: the ICD loader found no driver");
}

/* At least one device; ended by listing_clear. Statuses: NDBUF_ERR_UNAVAILABLE, NDBUF_ERR_DEVICE, NDBUF_ERR_NOMEM. */
static ndbuf_status listing_init(const opencl_api *api, opencl_listing *out_listing, ndbuf_error *err)
{
    opencl_listing listing = {0};
    cl_platform_id *platforms = NULL;
    cl_uint nplatforms = 0;
    cl_int code = api->clGetPlatformIDs(0, NULL, &nplatforms);
    if (code == -1001 || (code == CL_SUCCESS && nplatforms == 0)) {
        return no_platform(err);
    }
    if (code != CL_SUCCESS) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clGetPlatformIDs");
    }
    platforms = ndbuf__malloc(nplatforms * sizeof(cl_platform_id));
    if (platforms == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a list of %u OpenCL platforms", (unsigned)nplatforms);
    }
    ndbuf_status status = OPENCL_STATUS(api->clGetPlatformIDs(nplatforms, platforms, NULL), err);
    for (cl_uint i = 0; i < nplatforms && status == NDBUF_OK; i++) {
        status = listing_append(api, platforms[i], &listing, &code, err);
    }
    ndbuf__free(platforms);
    if (status == NDBUF_OK && listing.count == 0) {
        status = ndbuf_fail_native(err, NDBUF_ERR_UNAVAILABLE, code,
                                   "no OpenCL device on %u platform(s): clGetDeviceIDs: %s (%d)", (unsigned)nplatforms,
                                   ndbuf_opencl__code_name(code), (int)code);
    }
    if (status != NDBUF_OK) {
        listing_clear(&listing);
        return status;
    }
    *out_listing = listing;
    return NDBUF_OK;
}

/* Loader and listing at once. One thread at a time: PoCL 3.1 makes its devices in the first call that asks for them,
 * and shows them half made to others. */
static ndbuf_status find_devices(const opencl_api **out_api, opencl_listing *out_listing, ndbuf_error *err)
{
    static ndbuf__mutex mutex = NDBUF__MUTEX_INIT;
    ndbuf_status status = ndbuf_opencl__api_open(out_api, err);
    if (status == NDBUF_OK) {
        ndbuf__mutex_lock(&mutex);
        status = listing_init(*out_api, out_listing, err);
        ndbuf__mutex_unlock(&mutex);
    }
    return status;
}

ndbuf_status ndbuf_opencl__device_count(int32_t *out_count, ndbuf_error *err)
{
    const opencl_api *api = NULL;
    opencl_listing listing = {0};
    ndbuf_status status = find_devices(&api, &listing, err);
    if (status != NDBUF_OK) {
        return status;
    }
    *out_count = listing.count;
    listing_clear(&listing);
    return NDBUF_OK;
}

/* A new context of all the platform's devices that are available. */
static ndbuf_status create_cl_context(const opencl_api *api, const opencl_listing *listing, cl_platform_id platform,
                                      cl_context *out_handle, ndbuf_error *err)
{
    cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)platform, 0};
    cl_uint count = 0;
    cl_int code = CL_SUCCESS;
    cl_context handle = NULL;
    cl_device_id *devices = ndbuf__malloc((size_t)listing->count * sizeof(cl_device_id));
    if (devices == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the devices of an OpenCL context");
    }
    ndbuf_status status = NDBUF_OK;
    for (int32_t i = 0; i < listing->count && status == NDBUF_OK; i++) {
        cl_bool available = CL_FALSE;
        if (listing->platforms[i] != platform) {
            continue;
        }
        status = OPENCL_STATUS(
            api->clGetDeviceInfo(listing->devices[i], CL_DEVICE_AVAILABLE, sizeof(available), &available, NULL), err);
        if (available) {
            devices[count++] = listing->devices[i];
        }
    }
    if (status == NDBUF_OK) {
        status =
            OPENCL_STATUS((handle = api->clCreateContext(properties, count, devices, NULL, NULL, &code), code), err);
    }
    ndbuf__free(devices);
    if (status == NDBUF_OK) {
        *out_handle = handle;
    }
    return status;
}

/* A new context in the list, without users. With the mutex held. */
static ndbuf_status context_create(const opencl_api *api, const opencl_listing *listing, cl_platform_id platform,
                                   cl_context foreign, opencl_context **out_context, ndbuf_error *err)
{
    opencl_context *context = ndbuf__calloc(1, sizeof(*context));
    if (context == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for an OpenCL context");
    }
    context->handle = foreign;
    ndbuf_status status = platform != NULL ? create_cl_context(api, listing, platform, &context->handle, err)
                                           : OPENCL_STATUS(api->clRetainContext(foreign), err);
    if (status != NDBUF_OK) {
        ndbuf__free(context);
        return status;
    }
    context->platform = platform;
    context->next = contexts;
    contexts = context;
    *out_context = context;
    return NDBUF_OK;
}

/* One more user of the context of a platform, or (platform NULL) of a foreign context. Statuses: NDBUF_ERR_NOMEM,
 * NDBUF_ERR_DEVICE. */
static ndbuf_status context_acquire(const opencl_api *api, const opencl_listing *listing, cl_platform_id platform,
                                    cl_context foreign, opencl_context **out_context, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    ndbuf__mutex_lock(&context_mutex);
    opencl_context *context = contexts;
    while (context != NULL && (platform != NULL ? context->platform != platform : context->handle != foreign)) {
        context = context->next;
    }
    if (context == NULL) {
        status = context_create(api, listing, platform, foreign, &context, err);
    }
    if (context != NULL) {
        context->nusers++;
        *out_context = context;
    }
    ndbuf__mutex_unlock(&context_mutex);
    return status;
}

static void context_release(const opencl_api *api, opencl_context *context)
{
    if (context == NULL) {
        return;
    }
    ndbuf__mutex_lock(&context_mutex);
    bool is_last = --context->nusers == 0;
    for (opencl_context **link = &contexts; is_last && *link != NULL; link = &(*link)->next) {
        if (*link == context) {
            *link = context->next;
            break;
        }
    }
    ndbuf__mutex_unlock(&context_mutex);
    if (is_last && !ndbuf_opencl__is_child()) {
        api->clReleaseContext(context->handle);
    }
    if (is_last) {
        ndbuf__free(context);
    }
}

/* Texts of the driver's, cut to fit; empty if they cannot be had. */
static void device_text(const opencl_device *device, cl_device_info name, char *out_text, size_t size)
{
    char text[512] = "";
    device->api->clGetDeviceInfo(device->id, name, sizeof(text) - 1, text, NULL);
    snprintf(out_text, size, "%.*s", (int)size - 1, text);
}

static void platform_text(const opencl_device *device, cl_platform_info name, char *out_text, size_t size)
{
    char text[512] = "";
    device->api->clGetPlatformInfo(device->platform, name, sizeof(text) - 1, text, NULL);
    snprintf(out_text, size, "%.*s", (int)size - 1, text);
}

/* Asks the driver for what the device struct holds, and makes the default queue. */
static ndbuf_status device_fill(opencl_device *device, ndbuf_error *err)
{
    cl_bool is_unified = CL_FALSE;
    cl_ulong max_allocation = 0;
    cl_device_exec_capabilities capabilities = 0;
    char platform_name[64];
    OPENCL_TRY(
        device->api->clGetDeviceInfo(device->id, CL_DEVICE_PLATFORM, sizeof(device->platform), &device->platform, NULL),
        err);
    OPENCL_TRY(
        device->api->clGetDeviceInfo(device->id, CL_DEVICE_HOST_UNIFIED_MEMORY, sizeof(is_unified), &is_unified, NULL),
        err);
    OPENCL_TRY(device->api->clGetDeviceInfo(device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(max_allocation),
                                            &max_allocation, NULL),
               err);
    OPENCL_TRY(device->api->clGetDeviceInfo(device->id, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof(capabilities),
                                            &capabilities, NULL),
               err);
    device->max_allocation = max_allocation;
    device->runs_functions = (capabilities & CL_EXEC_NATIVE_KERNEL) != 0;
    if (is_unified) {
        device->base.flags |= NDBUF_DEVICE_UNIFIED;
    }
    platform_text(device, CL_PLATFORM_NAME, platform_name, sizeof(platform_name));
    if (strcmp(platform_name, "Oclgrind") == 0) {
        device->base.flags |= NDBUF_DEVICE_SIMULATED;
    }
    ndbuf_status status = ndbuf_opencl__kernels_init(device, err);
    return status == NDBUF_OK ? ndbuf_opencl__queue_make(&device->base, NULL, false, &device->base.default_queue, err)
                              : status;
}

/* A new device. The context's user is the device's from now on, also on failure. */
static ndbuf_status device_create(const opencl_api *api, opencl_context *context, cl_device_id id, int32_t ordinal,
                                  ndbuf_device **out_device, ndbuf_error *err)
{
    opencl_device *device = ndbuf__calloc(1, sizeof(*device));
    if (device == NULL) {
        context_release(api, context);
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for device opencl:%d", (int)ordinal);
    }
    device->base.ops = &ndbuf_opencl__ops;
    device->base.tag = (ndbuf_device_tag){NDBUF_DEVICE_OPENCL, ordinal};
    device->api = api;
    device->context = context;
    ndbuf__mutex_init(&device->kernels.mutex);
    ndbuf__block_pool_init(&device->blocks);
    ndbuf_status status = OPENCL_STATUS(api->clRetainDevice(id), err);
    if (status == NDBUF_OK) {
        device->id = id;
        status = device_fill(device, err);
    }
    if (status != NDBUF_OK) {
        ndbuf_opencl__device_close(&device->base);
        return status;
    }
    *out_device = &device->base;
    return NDBUF_OK;
}

static ndbuf_status open_listed(const opencl_api *api, const opencl_listing *listing, int32_t ordinal,
                                ndbuf_device **out_device, ndbuf_error *err)
{
    opencl_context *context = NULL;
    cl_bool is_available = CL_FALSE;
    if (ordinal < 0 || ordinal >= listing->count) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "device opencl:%d: there are %d OpenCL device(s)", (int)ordinal,
                          (int)listing->count);
    }
    cl_device_id id = listing->devices[ordinal];
    OPENCL_TRY(api->clGetDeviceInfo(id, CL_DEVICE_AVAILABLE, sizeof(is_available), &is_available, NULL), err);
    if (!is_available) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "device opencl:%d: its driver says that it is not available",
                          (int)ordinal);
    }
    ndbuf_status status = context_acquire(api, listing, listing->platforms[ordinal], NULL, &context, err);
    return status == NDBUF_OK ? device_create(api, context, id, ordinal, out_device, err) : status;
}

ndbuf_status ndbuf_opencl__device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    const opencl_api *api = NULL;
    opencl_listing listing = {0};
    ndbuf_status status = find_devices(&api, &listing, err);
    if (status == NDBUF_OK) {
        status = open_listed(api, &listing, ordinal, out_device, err);
        listing_clear(&listing);
    }
    return status;
}

void ndbuf_opencl__device_close(ndbuf_device *device)
{
    opencl_device *self = (opencl_device *)device;
    if (device->default_queue != NULL) {
        ndbuf_opencl__queue_destroy(device->default_queue);
    }
    ndbuf_opencl__kernels_clear(self);
    ndbuf__mutex_clear(&self->kernels.mutex);
    ndbuf__block_pool_clear(&self->blocks);
    if (self->id != NULL && !ndbuf_opencl__is_child()) {
        self->api->clReleaseDevice(self->id);
    }
    context_release(self->api, self->context);
    ndbuf__free(self);
}

void ndbuf_opencl__device_describe(const ndbuf_device *device, ndbuf_device_info *info)
{
    const opencl_device *self = (const opencl_device *)device;
    cl_ulong memory_nbytes = 0;
    char platform[128];
    char version[128];
    char driver[128];
    if (ndbuf_opencl__is_child()) {
        return;
    }
    device_text(self, CL_DEVICE_NAME, info->description, sizeof(info->description));
    platform_text(self, CL_PLATFORM_NAME, platform, sizeof(platform));
    device_text(self, CL_DEVICE_VERSION, version, sizeof(version));
    device_text(self, CL_DRIVER_VERSION, driver, sizeof(driver));
    int length = snprintf(info->driver, sizeof(info->driver), "%s, %s, driver %s", platform, version, driver);
    if (length < 0) {
        info->driver[0] = '\0';
    }
    if (self->api->clGetDeviceInfo(self->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(memory_nbytes), &memory_nbytes, NULL) ==
        CL_SUCCESS) {
        info->memory_nbytes = memory_nbytes;
    }
    info->max_allocation_nbytes = self->max_allocation;
}

/* The number of a device in the listing, or of the one that it is a part of; -1: not in it. */
static ndbuf_status find_ordinal(const opencl_api *api, const opencl_listing *listing, cl_device_id id,
                                 int32_t *out_ordinal, ndbuf_error *err)
{
    while (id != NULL) {
        for (int32_t i = 0; i < listing->count; i++) {
            if (listing->devices[i] == id) {
                *out_ordinal = i;
                return NDBUF_OK;
            }
        }
        OPENCL_TRY(api->clGetDeviceInfo(id, CL_DEVICE_PARENT_DEVICE, sizeof(id), &id, NULL), err);
    }
    return ndbuf_fail(err, NDBUF_ERR_INVALID, "the cl_device_id is of another OpenCL loader");
}

/* Statuses: NDBUF_ERR_INVALID (not a context, or the device is not in it), NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE. */
static ndbuf_status check_in_context(const opencl_api *api, cl_context context, cl_device_id id, ndbuf_error *err)
{
    size_t nbytes = 0;
    bool found = false;
    cl_int code = api->clGetContextInfo(context, CL_CONTEXT_DEVICES, 0, NULL, &nbytes);
    if (code == CL_INVALID_CONTEXT) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_INVALID, code, "not a cl_context");
    }
    if (code != CL_SUCCESS) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clGetContextInfo");
    }
    cl_device_id *devices = ndbuf__malloc(nbytes);
    if (devices == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the devices of an OpenCL context");
    }
    ndbuf_status status = OPENCL_STATUS(api->clGetContextInfo(context, CL_CONTEXT_DEVICES, nbytes, devices, NULL), err);
    for (size_t i = 0; status == NDBUF_OK && i < nbytes / sizeof(cl_device_id); i++) {
        found = found || devices[i] == id;
    }
    ndbuf__free(devices);
    if (status == NDBUF_OK && !found) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "the cl_device_id is not a device of the cl_context");
    }
    return status;
}

ndbuf_status ndbuf_opencl_device_import(void *cl_context_handle, void *cl_device_id_handle, ndbuf_device **out_device,
                                        ndbuf_error *err)
{
    const opencl_api *api = NULL;
    opencl_listing listing = {0};
    opencl_context *context = NULL;
    int32_t ordinal = 0;
    ndbuf_device *device = NULL;
    if (cl_context_handle == NULL || cl_device_id_handle == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no %s to import",
                          cl_context_handle == NULL ? "cl_context" : "cl_device_id");
    }
    ndbuf_status status = find_devices(&api, &listing, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = check_in_context(api, cl_context_handle, cl_device_id_handle, err);
    if (status == NDBUF_OK) {
        status = find_ordinal(api, &listing, cl_device_id_handle, &ordinal, err);
    }
    listing_clear(&listing);
    if (status != NDBUF_OK) {
        return status;
    }
    status = context_acquire(api, NULL, NULL, cl_context_handle, &context, err);
    if (status == NDBUF_OK) {
        status = device_create(api, context, cl_device_id_handle, ordinal, &device, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    status = ndbuf__device_adopt(device, ordinal, err);
    if (status != NDBUF_OK) {
        ndbuf_opencl__device_close(device);
        return status;
    }
    *out_device = device;
    return NDBUF_OK;
}

ndbuf_status ndbuf_opencl_device_handles(const ndbuf_device *device, void **out_cl_context, void **out_cl_device_id,
                                         ndbuf_error *err)
{
    if (device == NULL || !ndbuf_opencl__is_own(device)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "not an OpenCL device, but %s",
                          device == NULL ? "NULL" : device->ops->name);
    }
    *out_cl_context = ndbuf_opencl__context_of(device);
    *out_cl_device_id = ((const opencl_device *)device)->id;
    return NDBUF_OK;
}
