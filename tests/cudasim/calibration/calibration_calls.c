/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of the questions about blocking and capture. Blocks are COPY_NBYTES bytes unless the name says otherwise.
 */
#include "tests/cudasim/calibration/calibration.h"

#include <stdlib.h>
#include <string.h>

#include "backends/kernels/kernel_plan.h"

#define COPY_NBYTES ((size_t)65536)
#define SMALL_NBYTES ((size_t)64)
#define ROW_NBYTES ((size_t)256)
#define PITCH ((size_t)512)
#define NROWS ((size_t)64)
#define UNUSED_OBJECT (void)object
#define UNUSED_STREAM (void)stream

/* What the calls use up. */

static void *new_block(void)
{
    void *block = NULL;
    cuda.cudaMalloc(&block, COPY_NBYTES);
    return block;
}

static void *new_managed(void)
{
    void *block = NULL;
    cuda.cudaMallocManaged(&block, COPY_NBYTES, cudaMemAttachGlobal);
    return block;
}

static void *new_pinned(void)
{
    void *block = NULL;
    cuda.cudaHostAlloc(&block, COPY_NBYTES, cudaHostAllocPortable);
    return block;
}

static void *new_pooled(void)
{
    void *block = NULL;
    cuda.cudaMallocFromPoolAsync(&block, COPY_NBYTES, world.pool, world.other);
    cuda.cudaStreamSynchronize(world.other);
    return block;
}

static void *new_pages(void)
{
    void *pages = NULL;
    if (posix_memalign(&pages, 4096, COPY_NBYTES) != 0) {
        return NULL;
    }
    memset(pages, 0, COPY_NBYTES);
    return pages;
}

static void *new_registered(void)
{
    void *pages = new_pages();
    cuda.cudaHostRegister(pages, COPY_NBYTES, cudaHostRegisterPortable);
    return pages;
}

static void *new_pool(void)
{
    cudaMemPool_t pool = NULL;
    struct cudaMemPoolProps properties = pool_properties(0);
    cuda.cudaMemPoolCreate(&pool, &properties);
    return pool;
}

static void *new_stream(void)
{
    cudaStream_t stream = NULL;
    cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    return stream;
}

static void *new_event(void)
{
    cudaEvent_t event = NULL;
    cuda.cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    return event;
}

static void *new_recorded_event(void)
{
    cudaEvent_t event = new_event();
    cuda.cudaEventRecord(event, world.other);
    cuda.cudaStreamSynchronize(world.other);
    return event;
}

static void *new_library(void)
{
    cudaLibrary_t library = NULL;
    cuda.cudaLibraryLoadData(&library, ndbuf__kernel_fatbin, NULL, NULL, 0, NULL, NULL, 0);
    return library;
}

/* Memory. */

static cudaError_t make_malloc(void *object, cudaStream_t stream)
{
    void *block = NULL;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaMalloc(&block, COPY_NBYTES);
}

static cudaError_t make_free(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaFree(object);
}

static cudaError_t make_host_alloc(void *object, cudaStream_t stream)
{
    void *block = NULL;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaHostAlloc(&block, COPY_NBYTES, cudaHostAllocPortable);
}

static cudaError_t make_free_host(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaFreeHost(object);
}

static cudaError_t make_host_register(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaHostRegister(object, COPY_NBYTES, cudaHostRegisterPortable);
}

static cudaError_t make_host_unregister(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaHostUnregister(object);
}

static cudaError_t make_malloc_managed(void *object, cudaStream_t stream)
{
    void *block = NULL;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaMallocManaged(&block, COPY_NBYTES, cudaMemAttachGlobal);
}

static cudaError_t make_malloc_from_pool(void *object, cudaStream_t stream)
{
    void *block = NULL;
    UNUSED_OBJECT;
    return cuda.cudaMallocFromPoolAsync(&block, COPY_NBYTES, world.pool, stream);
}

static cudaError_t make_free_async(void *object, cudaStream_t stream)
{
    return cuda.cudaFreeAsync(object, stream);
}

static cudaError_t make_pool_create(void *object, cudaStream_t stream)
{
    cudaMemPool_t pool = NULL;
    struct cudaMemPoolProps properties = pool_properties(0);
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaMemPoolCreate(&pool, &properties);
}

static cudaError_t make_pool_destroy(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaMemPoolDestroy(object);
}

static cudaError_t make_pool_set_attribute(void *object, cudaStream_t stream)
{
    uint64_t threshold = UINT64_MAX;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaMemPoolSetAttribute(world.pool, cudaMemPoolAttrReleaseThreshold, &threshold);
}

static cudaError_t make_pool_set_access(void *object, cudaStream_t stream)
{
    struct cudaMemAccessDesc access;
    memset(&access, 0, sizeof(access));
    access.location.type = cudaMemLocationTypeDevice;
    access.flags = cudaMemAccessFlagsProtReadWrite;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaMemPoolSetAccess(world.pool, &access, 1);
}

static cudaError_t make_pointer_attributes(void *object, cudaStream_t stream)
{
    struct cudaPointerAttributes attributes;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaPointerGetAttributes(&attributes, world.device);
}

static cudaError_t make_mem_get_info(void *object, cudaStream_t stream)
{
    size_t unused = 0;
    size_t total = 0;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaMemGetInfo(&unused, &total);
}

static cudaError_t make_ipc_get(void *object, cudaStream_t stream)
{
    cudaIpcMemHandle_t handle;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaIpcGetMemHandle(&handle, world.device);
}

/* Devices, streams and events. */

static cudaError_t make_set_device(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaSetDevice(0);
}

static cudaError_t make_get_device(void *object, cudaStream_t stream)
{
    int device = 0;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaGetDevice(&device);
}

static cudaError_t make_device_attribute(void *object, cudaStream_t stream)
{
    int value = 0;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaDeviceGetAttribute(&value, cudaDevAttrMaxPitch, 0);
}

static cudaError_t make_can_access_peer(void *object, cudaStream_t stream)
{
    int can = 0;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaDeviceCanAccessPeer(&can, 0, 0);
}

static cudaError_t make_stream_create(void *object, cudaStream_t stream)
{
    cudaStream_t created = NULL;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaStreamCreateWithFlags(&created, cudaStreamNonBlocking);
}

static cudaError_t make_stream_destroy(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaStreamDestroy(object);
}

static cudaError_t make_stream_synchronize(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    return cuda.cudaStreamSynchronize(stream);
}

static cudaError_t make_other_stream_synchronize(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaStreamSynchronize(object);
}

static cudaError_t make_stream_query(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    return CALL(cudaStreamQuery, stream);
}

static cudaError_t make_stream_get_device(void *object, cudaStream_t stream)
{
    int device = 0;
    UNUSED_OBJECT;
    return cuda.cudaStreamGetDevice(stream, &device);
}

static cudaError_t make_stream_is_capturing(void *object, cudaStream_t stream)
{
    enum cudaStreamCaptureStatus status;
    UNUSED_OBJECT;
    return cuda.cudaStreamIsCapturing(stream, &status);
}

static cudaError_t make_exchange_mode(void *object, cudaStream_t stream)
{
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    cudaError_t error = cuda.cudaThreadExchangeStreamCaptureMode(&mode);
    return error != cudaSuccess ? error : cuda.cudaThreadExchangeStreamCaptureMode(&mode);
}

static cudaError_t make_malloc_while_relaxed(void *object, cudaStream_t stream)
{
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    cuda.cudaThreadExchangeStreamCaptureMode(&mode);
    cudaError_t error = make_malloc(object, stream);
    cuda.cudaThreadExchangeStreamCaptureMode(&mode);
    return error;
}

static cudaError_t make_event_create(void *object, cudaStream_t stream)
{
    cudaEvent_t event = NULL;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
}

static cudaError_t make_event_destroy(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaEventDestroy(object);
}

static cudaError_t make_event_record(void *object, cudaStream_t stream)
{
    return cuda.cudaEventRecord(object, stream);
}

static cudaError_t make_event_query(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaEventQuery(object);
}

static cudaError_t make_event_synchronize(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaEventSynchronize(object);
}

static cudaError_t make_record_and_query(void *object, cudaStream_t stream)
{
    cudaError_t error = cuda.cudaEventRecord(object, stream);
    return error != cudaSuccess ? error : cuda.cudaEventQuery(object);
}

static cudaError_t make_record_and_synchronize(void *object, cudaStream_t stream)
{
    cudaError_t error = cuda.cudaEventRecord(object, stream);
    return error != cudaSuccess ? error : cuda.cudaEventSynchronize(object);
}

static cudaError_t make_record_and_destroy(void *object, cudaStream_t stream)
{
    cudaError_t error = cuda.cudaEventRecord(object, stream);
    return error != cudaSuccess ? error : cuda.cudaEventDestroy(object);
}

static cudaError_t make_wait_event(void *object, cudaStream_t stream)
{
    return cuda.cudaStreamWaitEvent(stream, object, cudaEventWaitDefault);
}

/* Another stream waits for an event of this one. */
static cudaError_t make_other_waits(void *object, cudaStream_t stream)
{
    cudaEvent_t event = new_event();
    cudaError_t error = cuda.cudaEventRecord(event, stream);
    return error != cudaSuccess ? error : cuda.cudaStreamWaitEvent(object, event, cudaEventWaitDefault);
}

static void CUDART_CB do_nothing(void *unused)
{
    (void)unused;
}

static cudaError_t make_host_func(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    return cuda.cudaLaunchHostFunc(stream, do_nothing, NULL);
}

/* Copies: COPY_1D defines the call of one with its places. */

#define COPY_1D(name, dst, src, nbytes)                                                                                \
    static cudaError_t name(void *object, cudaStream_t stream)                                                         \
    {                                                                                                                  \
        UNUSED_OBJECT;                                                                                                 \
        return cuda.cudaMemcpyAsync(world.dst, world.src, nbytes, cudaMemcpyDefault, stream);                          \
    }
#define COPY_2D(name, dst, src)                                                                                        \
    static cudaError_t name(void *object, cudaStream_t stream)                                                         \
    {                                                                                                                  \
        UNUSED_OBJECT;                                                                                                 \
        return cuda.cudaMemcpy2DAsync(world.dst, PITCH, world.src, PITCH, ROW_NBYTES, NROWS, cudaMemcpyDefault,        \
                                      stream);                                                                         \
    }
#define COPY_3D(name, dst, src)                                                                                        \
    static cudaError_t name(void *object, cudaStream_t stream)                                                         \
    {                                                                                                                  \
        UNUSED_OBJECT;                                                                                                 \
        return copy_3d(world.dst, world.src, stream);                                                                  \
    }

static cudaError_t copy_3d(char *dst, char *src, cudaStream_t stream)
{
    struct cudaMemcpy3DParms copy;
    memset(&copy, 0, sizeof(copy));
    copy.dstPtr = (struct cudaPitchedPtr){dst, PITCH, ROW_NBYTES, NROWS / 4};
    copy.srcPtr = (struct cudaPitchedPtr){src, PITCH, ROW_NBYTES, NROWS / 4};
    copy.extent = (struct cudaExtent){ROW_NBYTES, NROWS / 4 - 1, 4};
    copy.kind = cudaMemcpyDefault;
    return cuda.cudaMemcpy3DAsync(&copy, stream);
}

COPY_1D(make_pinned_to_device, device, pinned, COPY_NBYTES)
COPY_1D(make_registered_to_device, device, registered, COPY_NBYTES)
COPY_1D(make_pageable_to_device_small, device, pageable, SMALL_NBYTES)
COPY_1D(make_pageable_to_device, device, pageable, MEMORY_NBYTES)
COPY_1D(make_managed_to_device, device, managed, COPY_NBYTES)
COPY_1D(make_device_to_pinned, pinned, device, COPY_NBYTES)
COPY_1D(make_device_to_pageable, pageable, device, COPY_NBYTES)
COPY_1D(make_device_to_device, device, device2, COPY_NBYTES)
COPY_1D(make_pooled_to_device, device, pooled, COPY_NBYTES)
COPY_1D(make_pinned_to_pinned, pinned2, pinned, COPY_NBYTES)
COPY_1D(make_pageable_to_pageable, pageable2, pageable, COPY_NBYTES)
COPY_2D(make_2d_pinned_to_device, device, pinned)
COPY_2D(make_2d_pageable_to_device, device, pageable)
COPY_2D(make_2d_device_to_pinned, pinned, device)
COPY_2D(make_2d_device_to_pageable, pageable, device)
COPY_2D(make_2d_device_to_device, device, device2)
COPY_3D(make_3d_pinned_to_device, device, pinned)
COPY_3D(make_3d_pageable_to_device, device, pageable)
COPY_3D(make_3d_device_to_pinned, pinned, device)
COPY_3D(make_3d_device_to_device, device, device2)

static cudaError_t make_peer_copy(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    return cuda.cudaMemcpyPeerAsync(world.device, 0, world.device2, 0, COPY_NBYTES, stream);
}

static cudaError_t make_peer_copy_3d(void *object, cudaStream_t stream)
{
    struct cudaMemcpy3DPeerParms copy;
    UNUSED_OBJECT;
    memset(&copy, 0, sizeof(copy));
    copy.dstPtr = (struct cudaPitchedPtr){world.device, PITCH, ROW_NBYTES, NROWS};
    copy.srcPtr = (struct cudaPitchedPtr){world.device2, PITCH, ROW_NBYTES, NROWS};
    copy.extent = (struct cudaExtent){ROW_NBYTES, NROWS, 1};
    return cuda.cudaMemcpy3DPeerAsync(&copy, stream);
}

static cudaError_t make_copy_in_other_stream(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return make_device_to_device(NULL, object);
}

static cudaError_t make_copy_in_legacy_stream(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return make_device_to_device(object, cudaStreamLegacy);
}

static cudaError_t make_blocking_copy(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return CALL(cudaMemcpy, world.device, world.device2, COPY_NBYTES, cudaMemcpyDefault);
}

/* Kernels. */

static cudaError_t make_library_load(void *object, cudaStream_t stream)
{
    cudaLibrary_t library = NULL;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaLibraryLoadData(&library, ndbuf__kernel_fatbin, NULL, NULL, 0, NULL, NULL, 0);
}

static cudaError_t make_library_unload(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaLibraryUnload(object);
}

static void *new_loaded_kernel(void)
{
    return kernel_library();
}

static cudaError_t make_get_kernel(void *object, cudaStream_t stream)
{
    cudaKernel_t kernel = NULL;
    UNUSED_STREAM;
    return cuda.cudaLibraryGetKernel(&kernel, object, ndbuf__kernel_names[0]);
}

static cudaError_t make_launch(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    return launch_copy(stream);
}

const calibration_call calibration_calls[] = {
    {"malloc", NULL, make_malloc},
    {"free", new_block, make_free},
    {"free_managed", new_managed, make_free},
    {"free_pooled", new_pooled, make_free},
    {"host_alloc", NULL, make_host_alloc},
    {"free_host", new_pinned, make_free_host},
    {"host_register", new_pages, make_host_register},
    {"host_unregister", new_registered, make_host_unregister},
    {"malloc_managed", NULL, make_malloc_managed},
    {"malloc_from_pool", NULL, make_malloc_from_pool},
    {"free_async", new_pooled, make_free_async},
    {"free_async_unpooled", new_block, make_free_async},
    {"pool_create", NULL, make_pool_create},
    {"pool_destroy", new_pool, make_pool_destroy},
    {"pool_set_attribute", NULL, make_pool_set_attribute},
    {"pool_set_access", NULL, make_pool_set_access},
    {"pointer_attributes", NULL, make_pointer_attributes},
    {"mem_get_info", NULL, make_mem_get_info},
    {"ipc_get", NULL, make_ipc_get},
    {"set_device", NULL, make_set_device},
    {"get_device", NULL, make_get_device},
    {"device_attribute", NULL, make_device_attribute},
    {"can_access_peer", NULL, make_can_access_peer},
    {"stream_create", NULL, make_stream_create},
    {"stream_destroy_other", new_stream, make_stream_destroy},
    {"stream_synchronize", NULL, make_stream_synchronize},
    {"stream_synchronize_other", new_stream, make_other_stream_synchronize},
    {"stream_query", NULL, make_stream_query},
    {"stream_get_device", NULL, make_stream_get_device},
    {"stream_is_capturing", NULL, make_stream_is_capturing},
    {"exchange_capture_mode", NULL, make_exchange_mode},
    {"malloc_while_relaxed", NULL, make_malloc_while_relaxed},
    {"event_create", NULL, make_event_create},
    {"event_destroy", new_event, make_event_destroy},
    {"event_record", new_event, make_event_record},
    {"event_query_unrecorded", new_event, make_event_query},
    {"event_query_elsewhere", new_recorded_event, make_event_query},
    {"event_synchronize_unrecorded", new_event, make_event_synchronize},
    {"event_synchronize_elsewhere", new_recorded_event, make_event_synchronize},
    {"event_record_and_query", new_event, make_record_and_query},
    {"event_record_and_synchronize", new_event, make_record_and_synchronize},
    {"event_record_and_destroy", new_event, make_record_and_destroy},
    {"wait_event_unrecorded", new_event, make_wait_event},
    {"wait_event_elsewhere", new_recorded_event, make_wait_event},
    {"other_stream_waits", new_stream, make_other_waits},
    {"launch_host_func", NULL, make_host_func},
    {"pinned_to_device", NULL, make_pinned_to_device},
    {"registered_to_device", NULL, make_registered_to_device},
    {"pageable_to_device_small", NULL, make_pageable_to_device_small},
    {"pageable_to_device", NULL, make_pageable_to_device},
    {"managed_to_device", NULL, make_managed_to_device},
    {"device_to_pinned", NULL, make_device_to_pinned},
    {"device_to_pageable", NULL, make_device_to_pageable},
    {"device_to_device", NULL, make_device_to_device},
    {"pooled_to_device", NULL, make_pooled_to_device},
    {"pinned_to_pinned", NULL, make_pinned_to_pinned},
    {"pageable_to_pageable", NULL, make_pageable_to_pageable},
    {"2d_pinned_to_device", NULL, make_2d_pinned_to_device},
    {"2d_pageable_to_device", NULL, make_2d_pageable_to_device},
    {"2d_device_to_pinned", NULL, make_2d_device_to_pinned},
    {"2d_device_to_pageable", NULL, make_2d_device_to_pageable},
    {"2d_device_to_device", NULL, make_2d_device_to_device},
    {"3d_pinned_to_device", NULL, make_3d_pinned_to_device},
    {"3d_pageable_to_device", NULL, make_3d_pageable_to_device},
    {"3d_device_to_pinned", NULL, make_3d_device_to_pinned},
    {"3d_device_to_device", NULL, make_3d_device_to_device},
    {"peer_copy", NULL, make_peer_copy},
    {"peer_copy_3d", NULL, make_peer_copy_3d},
    {"copy_in_other_stream", new_stream, make_copy_in_other_stream},
    {"copy_in_legacy_stream", NULL, make_copy_in_legacy_stream},
    {"blocking_copy", NULL, make_blocking_copy},
    {"library_load", NULL, make_library_load},
    {"library_unload", new_library, make_library_unload},
    {"library_get_kernel", new_loaded_kernel, make_get_kernel},
    {"launch_kernel", new_loaded_kernel, make_launch},
};
const size_t calibration_ncalls = sizeof(calibration_calls) / sizeof(calibration_calls[0]);
