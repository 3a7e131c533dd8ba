/* SPDX-License-Identifier: Apache-2.0 */
/* Questions that may end the process, each asked in one of its own: null outputs, handles and pointers that are none
 * any more or never were, ranges past the end. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "tests/cudasim/calibration/calibration.h"

#include <string.h>
#include <sys/mman.h>

#include "backends/kernels/kernel_plan.h"

static cudaError_t copy(void *dst, const void *src, size_t nbytes, enum cudaMemcpyKind kind)
{
    cudaError_t error = cuda.cudaMemcpyAsync(dst, src, nbytes, kind, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    return error;
}

/* Copies. */

static cudaError_t copy_to_null(void)
{
    return copy(NULL, world.device, 64, cudaMemcpyDefault);
}

static cudaError_t copy_from_null(void)
{
    return copy(world.device, NULL, 64, cudaMemcpyDefault);
}

/* Far behind the end, but copied on the device, where a driver can check. */
static cudaError_t copy_past_the_end(void)
{
    void *small = NULL;
    cuda.cudaMalloc(&small, 512);
    return copy(small, world.device, MEMORY_NBYTES, cudaMemcpyDefault);
}

static cudaError_t copy_wrong_kind_to_device(void)
{
    return copy(world.device, world.device2, 64, cudaMemcpyHostToDevice);
}

static cudaError_t copy_wrong_kind_to_host(void)
{
    return copy(world.device, world.pinned, 64, cudaMemcpyDeviceToHost);
}

static cudaError_t copy_two_rows(size_t dst_pitch, size_t src_pitch)
{
    cudaError_t error = cuda.cudaMemcpy2DAsync(world.device, dst_pitch, world.device2, src_pitch, 256, 2,
                                               cudaMemcpyDefault, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    return error;
}

static cudaError_t copy2d_dst_pitch_beyond(void)
{
    return copy_two_rows((size_t)1 << 31, 512);
}

static cudaError_t copy2d_src_pitch_beyond(void)
{
    return copy_two_rows(512, (size_t)1 << 31);
}

/* Rows so far apart in memory that has both. */
static cudaError_t copy_rows_apart(size_t pitch)
{
    char *block = NULL;
    cudaError_t error = cuda.cudaMalloc((void **)&block, pitch + 256);
    if (error != cudaSuccess) {
        return error;
    }
    error = cuda.cudaMemcpy2DAsync(block, pitch, world.device2, 512, 256, 2, cudaMemcpyDefault, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    cuda.cudaFree(block);
    return error;
}

static cudaError_t copy2d_pitch_beyond_in_memory(void)
{
    return copy_rows_apart((size_t)1 << 31);
}

static cudaError_t copy2d_largest_pitch_in_memory(void)
{
    return copy_rows_apart(((size_t)1 << 31) - 1);
}

/* Memory. */

/* No runtime promises to look before it pins. */
static cudaError_t register_unmapped(void)
{
    char *hole = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (hole == MAP_FAILED || munmap(hole, 65536) != 0) {
        return cudaErrorUnknown;
    }
    return cuda.cudaHostRegister(hole, 4096, 0);
}

static cudaError_t pool_set_null_value(void)
{
    return cuda.cudaMemPoolSetAttribute(world.pool, cudaMemPoolAttrReleaseThreshold, NULL);
}

static cudaError_t pool_access_null(void)
{
    return cuda.cudaMemPoolSetAccess(world.pool, NULL, 1);
}

static cudaError_t pool_malloc_null(void)
{
    return cuda.cudaMallocFromPoolAsync(NULL, 16, world.pool, world.stream);
}

static cudaError_t pool_malloc_null_pool(void)
{
    void *block = NULL;
    return cuda.cudaMallocFromPoolAsync(&block, 16, NULL, world.stream);
}

static cudaError_t pool_free_null(void)
{
    return cuda.cudaFreeAsync(NULL, world.stream);
}

static cudaError_t pool_destroy_null(void)
{
    return cuda.cudaMemPoolDestroy(NULL);
}

static cudaError_t ipc_get_null_handle(void)
{
    return cuda.cudaIpcGetMemHandle(NULL, world.device);
}

static cudaError_t ipc_get_null_pointer(void)
{
    cudaIpcMemHandle_t handle;
    return cuda.cudaIpcGetMemHandle(&handle, NULL);
}

static cudaError_t ipc_open_null(void)
{
    cudaIpcMemHandle_t handle;
    memset(&handle, 0, sizeof(handle));
    cuda.cudaIpcGetMemHandle(&handle, world.device);
    return cuda.cudaIpcOpenMemHandle(NULL, handle, cudaIpcMemLazyEnablePeerAccess);
}

static cudaError_t ipc_open_zeros(void)
{
    cudaIpcMemHandle_t zeros;
    void *block = NULL;
    memset(&zeros, 0, sizeof(zeros));
    return cuda.cudaIpcOpenMemHandle(&block, zeros, cudaIpcMemLazyEnablePeerAccess);
}

static cudaError_t ipc_close_null(void)
{
    return cuda.cudaIpcCloseMemHandle(NULL);
}

/* Streams and events. */

static cudaError_t stream_get_device_null(void)
{
    return cuda.cudaStreamGetDevice(world.stream, NULL);
}

static cudaError_t exchange_null(void)
{
    return cuda.cudaThreadExchangeStreamCaptureMode(NULL);
}

static cudaStream_t destroyed_stream(void)
{
    cudaStream_t stream = NULL;
    cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cuda.cudaStreamDestroy(stream);
    return stream;
}

static cudaError_t destroyed_stream_synchronize(void)
{
    return cuda.cudaStreamSynchronize(destroyed_stream());
}

static cudaError_t destroyed_stream_copy(void)
{
    return cuda.cudaMemcpyAsync(world.device, world.device2, 64, cudaMemcpyDefault, destroyed_stream());
}

static cudaError_t destroyed_stream_destroy(void)
{
    return cuda.cudaStreamDestroy(destroyed_stream());
}

static cudaEvent_t destroyed_event(void)
{
    cudaEvent_t event = NULL;
    cuda.cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cuda.cudaEventDestroy(event);
    return event;
}

static cudaError_t destroyed_event_query(void)
{
    return cuda.cudaEventQuery(destroyed_event());
}

static cudaError_t destroyed_event_record(void)
{
    return cuda.cudaEventRecord(destroyed_event(), world.stream);
}

static cudaError_t destroyed_event_wait(void)
{
    return cuda.cudaStreamWaitEvent(world.stream, destroyed_event(), 0);
}

static cudaError_t destroyed_event_destroy(void)
{
    return cuda.cudaEventDestroy(destroyed_event());
}

/* The driver's functions, and libraries of kernels. */

static cudaError_t entry_point(const char *symbol, void **out_function,
                               enum cudaDriverEntryPointQueryResult *out_result)
{
    return cuda.cudaGetDriverEntryPointByVersion(symbol, out_function, 12000, cudaEnableDefault, out_result);
}

static cudaError_t entry_point_null_symbol(void)
{
    void *function = NULL;
    enum cudaDriverEntryPointQueryResult result;
    return entry_point(NULL, &function, &result);
}

static cudaError_t entry_point_null_output(void)
{
    enum cudaDriverEntryPointQueryResult result;
    return entry_point("cuDeviceGetName", NULL, &result);
}

static cudaError_t entry_point_null_result(void)
{
    void *function = NULL;
    return entry_point("cuDeviceGetName", &function, NULL);
}

static cudaLibrary_t unloaded_library(void)
{
    cudaLibrary_t library = NULL;
    cuda.cudaLibraryLoadData(&library, ndbuf__kernel_fatbin, NULL, NULL, 0, NULL, NULL, 0);
    cuda.cudaLibraryUnload(library);
    return library;
}

static cudaError_t unloaded_library_kernel(void)
{
    cudaKernel_t kernel = NULL;
    return has_kernels() ? cuda.cudaLibraryGetKernel(&kernel, unloaded_library(), ndbuf__kernel_names[0]) : NO_KERNELS;
}

static cudaError_t unloaded_library_unload(void)
{
    return has_kernels() ? cuda.cudaLibraryUnload(unloaded_library()) : NO_KERNELS;
}

static cudaError_t kernel_of(const char *code)
{
    cudaLibrary_t library = NULL;
    cudaKernel_t kernel = NULL;
    cudaError_t error = cuda.cudaLibraryLoadData(&library, code, NULL, NULL, 0, NULL, NULL, 0);
    return error != cudaSuccess ? error : cuda.cudaLibraryGetKernel(&kernel, library, "no_such_kernel");
}

static cudaError_t not_a_library_kernel_of_text(void)
{
    static const char text[4096] = "this is not a program for a GPU";
    return kernel_of(text);
}

static cudaError_t not_a_library_kernel_of_zeros(void)
{
    static const char nothing[4096] = {0};
    return kernel_of(nothing);
}

const calibration_alone calibration_questions_alone[] = {
    {"null_destination.code", copy_to_null},
    {"null_source.code", copy_from_null},
    {"past_the_end.code", copy_past_the_end},
    {"wrong_kind_to_device.code", copy_wrong_kind_to_device},
    {"wrong_kind_to_host.code", copy_wrong_kind_to_host},
    {"copy2d.dst_pitch_2^31_two_rows", copy2d_dst_pitch_beyond},
    {"copy2d.src_pitch_2^31_two_rows", copy2d_src_pitch_beyond},
    {"copy2d.pitch_2^31_two_rows_in_memory", copy2d_pitch_beyond_in_memory},
    {"copy2d.pitch_2^31-1_two_rows_in_memory", copy2d_largest_pitch_in_memory},
    {"unmapped_registration.code", register_unmapped},
    {"pools.set_null_value", pool_set_null_value},
    {"pools.access_null", pool_access_null},
    {"pools.malloc_null", pool_malloc_null},
    {"pools.malloc_null_pool", pool_malloc_null_pool},
    {"pools.free_null", pool_free_null},
    {"pools.destroy_null", pool_destroy_null},
    {"ipc_own_process.get_null_handle", ipc_get_null_handle},
    {"ipc_own_process.get_null_pointer", ipc_get_null_pointer},
    {"ipc_own_process.open_null", ipc_open_null},
    {"ipc_own_process.open_zeros", ipc_open_zeros},
    {"ipc_own_process.close_null", ipc_close_null},
    {"streams.get_device_null", stream_get_device_null},
    {"capture_rules.exchange_null", exchange_null},
    {"destroyed_stream.synchronize", destroyed_stream_synchronize},
    {"destroyed_stream.copy", destroyed_stream_copy},
    {"destroyed_stream.destroy", destroyed_stream_destroy},
    {"destroyed_event.query", destroyed_event_query},
    {"destroyed_event.record", destroyed_event_record},
    {"destroyed_event.wait", destroyed_event_wait},
    {"destroyed_event.destroy", destroyed_event_destroy},
    {"driver_entry_points.null_symbol", entry_point_null_symbol},
    {"driver_entry_points.null_output", entry_point_null_output},
    {"driver_entry_points.null_result", entry_point_null_result},
    {"unloaded_library.kernel", unloaded_library_kernel},
    {"unloaded_library.unload", unloaded_library_unload},
    {"not_a_library.kernel_of_text", not_a_library_kernel_of_text},
    {"not_a_library.kernel_of_zeros", not_a_library_kernel_of_zeros},
};
const size_t calibration_nalone = sizeof(calibration_questions_alone) / sizeof(calibration_questions_alone[0]);
