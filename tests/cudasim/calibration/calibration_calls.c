/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of the questions about blocking and capture, but for copies and launches. */
#include "tests/cudasim/calibration/calibration.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_NBYTES ((size_t)65536)
#define UNUSED_OBJECT (void)object
#define UNUSED_STREAM (void)stream

/* What the calls use up. */

static void *new_block(void)
{
    void *block = NULL;
    cuda.cudaMalloc(&block, BLOCK_NBYTES);
    return block;
}

static void *new_managed(void)
{
    void *block = NULL;
    cuda.cudaMallocManaged(&block, BLOCK_NBYTES, cudaMemAttachGlobal);
    return block;
}

static void *new_pinned(void)
{
    void *block = NULL;
    cuda.cudaHostAlloc(&block, BLOCK_NBYTES, cudaHostAllocPortable);
    return block;
}

static void *new_pooled(void)
{
    void *block = NULL;
    cuda.cudaMallocFromPoolAsync(&block, BLOCK_NBYTES, world.pool, world.other);
    cuda.cudaStreamSynchronize(world.other);
    return block;
}

static void *new_pages(void)
{
    void *pages = NULL;
    if (posix_memalign(&pages, 4096, BLOCK_NBYTES) != 0) {
        return NULL;
    }
    memset(pages, 0, BLOCK_NBYTES);
    return pages;
}

static void *new_registered(void)
{
    void *pages = new_pages();
    cuda.cudaHostRegister(pages, BLOCK_NBYTES, cudaHostRegisterPortable);
    return pages;
}

static void *new_pool(void)
{
    cudaMemPool_t pool = NULL;
    struct cudaMemPoolProps properties = pool_properties(0);
    cuda.cudaMemPoolCreate(&pool, &properties);
    return pool;
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

/* Memory. */

static cudaError_t make_malloc(void *object, cudaStream_t stream)
{
    void *block = NULL;
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return cuda.cudaMalloc(&block, BLOCK_NBYTES);
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
    return cuda.cudaHostAlloc(&block, BLOCK_NBYTES, cudaHostAllocPortable);
}

static cudaError_t make_free_host(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaFreeHost(object);
}

static cudaError_t make_host_register(void *object, cudaStream_t stream)
{
    UNUSED_STREAM;
    return cuda.cudaHostRegister(object, BLOCK_NBYTES, cudaHostRegisterPortable);
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
    return cuda.cudaMallocManaged(&block, BLOCK_NBYTES, cudaMemAttachGlobal);
}

static cudaError_t make_malloc_from_pool(void *object, cudaStream_t stream)
{
    void *block = NULL;
    UNUSED_OBJECT;
    return cuda.cudaMallocFromPoolAsync(&block, BLOCK_NBYTES, world.pool, stream);
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

static cudaError_t make_other_stream_get_device(void *object, cudaStream_t stream)
{
    int device = 0;
    UNUSED_STREAM;
    return cuda.cudaStreamGetDevice(object, &device);
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
    {"stream_destroy_other", calibration_new_stream, make_stream_destroy},
    {"stream_synchronize", NULL, make_stream_synchronize},
    {"stream_synchronize_other", calibration_new_stream, make_other_stream_synchronize},
    {"stream_query", NULL, make_stream_query},
    {"stream_get_device", NULL, make_stream_get_device},
    {"stream_get_device_other", calibration_new_stream, make_other_stream_get_device},
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
    {"other_stream_waits", calibration_new_stream, make_other_waits},
    {"launch_host_func", NULL, make_host_func},
};
const size_t calibration_ncalls = sizeof(calibration_calls) / sizeof(calibration_calls[0]);
