/* SPDX-License-Identifier: Apache-2.0 */
/* Versions, devices, errors, libraries of kernels and their launches, and processes. */
#include "tests/cudasim/calibration/calibration.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/kernels/kernel_plan.h"

void ask_versions(void)
{
    int runtime = 0;
    int driver = 0;
    answer_error("versions.runtime", cuda.cudaRuntimeGetVersion(&runtime));
    answer("versions.runtime_major", "%d", runtime / 1000);
    answer_error("versions.runtime_null", cuda.cudaRuntimeGetVersion(NULL));
    answer_error("versions.driver", cuda.cudaDriverGetVersion(&driver));
    answer_yes("versions.driver_not_before_runtime", driver / 1000 >= runtime / 1000);
    answer_error("versions.driver_null", cuda.cudaDriverGetVersion(NULL));
}

static void ask_attribute(const char *name, enum cudaDeviceAttr attribute)
{
    int value = -1;
    cudaError_t error = cuda.cudaDeviceGetAttribute(&value, attribute, 0);
    if (error != cudaSuccess) {
        answer_error(name, error);
    } else {
        answer(name, "%d", value);
    }
}

static void ask_peers(int count)
{
    int can = -1;
    answer_error("devices.can_access_itself", cuda.cudaDeviceCanAccessPeer(&can, 0, 0));
    answer("devices.access_to_itself", "%d", can);
    answer_error("devices.can_access_null", cuda.cudaDeviceCanAccessPeer(NULL, 0, 0));
    answer_error("devices.can_access_device_minus_1", cuda.cudaDeviceCanAccessPeer(&can, -1, 0));
    answer_error("devices.can_access_peer_behind_the_last", cuda.cudaDeviceCanAccessPeer(&can, 0, count));
    answer_error("devices.enable_access_to_itself", cuda.cudaDeviceEnablePeerAccess(0, 0));
    answer_error("devices.enable_access_behind_the_last", cuda.cudaDeviceEnablePeerAccess(count, 0));
    if (count < 2 || cuda.cudaDeviceCanAccessPeer(&can, 0, 1) != cudaSuccess || !can) {
        const char *why = count < 2 ? "one device" : "no access between the devices";
        answer("devices.enable_access_flags_1", "%s", why);
        answer("devices.enable_access", "%s", why);
        answer("devices.enable_access_twice", "%s", why);
        return;
    }
    answer_error("devices.enable_access_flags_1", cuda.cudaDeviceEnablePeerAccess(1, 1));
    answer_error("devices.enable_access", cuda.cudaDeviceEnablePeerAccess(1, 0));
    answer_error("devices.enable_access_twice", cuda.cudaDeviceEnablePeerAccess(1, 0));
}

void ask_devices(void)
{
    int count = 0;
    int device = -1;
    int value = 0;
    char bus_id[32] = {0};
    size_t unused = 0;
    size_t total = 0;
    answer_error("devices.count_null", cuda.cudaGetDeviceCount(NULL));
    answer_error("devices.count", cuda.cudaGetDeviceCount(&count));
    answer_error("devices.get", cuda.cudaGetDevice(&device));
    answer("devices.first_is_current", "%d", device);
    answer_error("devices.get_null", cuda.cudaGetDevice(NULL));
    answer_error("devices.set_minus_1", cuda.cudaSetDevice(-1));
    answer_error("devices.set_behind_the_last", cuda.cudaSetDevice(count));
    cuda.cudaGetDevice(&device);
    answer("devices.current_after_failures", "%d", device);
    answer_error("devices.set_0", cuda.cudaSetDevice(0));
    answer_error("devices.attribute_null", cuda.cudaDeviceGetAttribute(NULL, cudaDevAttrMaxPitch, 0));
    answer_error("devices.attribute_9999", cuda.cudaDeviceGetAttribute(&value, (enum cudaDeviceAttr)9999, 0));
    answer_error("devices.attribute_0", cuda.cudaDeviceGetAttribute(&value, (enum cudaDeviceAttr)0, 0));
    answer_error("devices.attribute_of_device_minus_1", cuda.cudaDeviceGetAttribute(&value, cudaDevAttrMaxPitch, -1));
    answer_error("devices.attribute_of_device_behind_the_last",
                 cuda.cudaDeviceGetAttribute(&value, cudaDevAttrMaxPitch, count));
    ask_attribute("devices.max_pitch", cudaDevAttrMaxPitch);
    ask_attribute("devices.warp_size", cudaDevAttrWarpSize);
    ask_attribute("devices.max_threads_per_block", cudaDevAttrMaxThreadsPerBlock);
    ask_attribute("devices.max_block_dim_z", cudaDevAttrMaxBlockDimZ);
    ask_attribute("devices.max_grid_dim_x", cudaDevAttrMaxGridDimX);
    ask_attribute("devices.max_grid_dim_y", cudaDevAttrMaxGridDimY);
    ask_attribute("devices.max_shared_memory_per_block", cudaDevAttrMaxSharedMemoryPerBlock);
    ask_attribute("devices.unified_addressing", cudaDevAttrUnifiedAddressing);
    ask_attribute("devices.managed_memory", cudaDevAttrManagedMemory);
    ask_attribute("devices.concurrent_managed_access", cudaDevAttrConcurrentManagedAccess);
    ask_attribute("devices.memory_pools", cudaDevAttrMemoryPoolsSupported);
    ask_attribute("devices.host_register", cudaDevAttrHostRegisterSupported);
    ask_attribute("devices.host_register_read_only", cudaDevAttrHostRegisterReadOnlySupported);
    ask_attribute("devices.host_pointer_for_registered", cudaDevAttrCanUseHostPointerForRegisteredMem);
    ask_attribute("devices.pageable_memory_access", cudaDevAttrPageableMemoryAccess);
    ask_attribute("devices.texture_pitch_alignment", cudaDevAttrTexturePitchAlignment);
    answer_error("devices.bus_id", cuda.cudaDeviceGetPCIBusId(bus_id, sizeof(bus_id), 0));
    answer("devices.bus_id_length", "%zu", strlen(bus_id));
    answer_error("devices.bus_id_null", cuda.cudaDeviceGetPCIBusId(NULL, 32, 0));
    answer_error("devices.bus_id_of_0_bytes", cuda.cudaDeviceGetPCIBusId(bus_id, 0, 0));
    answer_error("devices.bus_id_of_5_bytes", cuda.cudaDeviceGetPCIBusId(bus_id, 5, 0));
    answer_error("devices.bus_id_of_device_minus_1", cuda.cudaDeviceGetPCIBusId(bus_id, 32, -1));
    answer_error("devices.memory", cuda.cudaMemGetInfo(&unused, &total));
    answer_yes("devices.free_memory_within_total", unused > 0 && unused <= total);
    answer_error("devices.memory_null_free", cuda.cudaMemGetInfo(NULL, &total));
    answer_error("devices.memory_null_total", cuda.cudaMemGetInfo(&unused, NULL));
    ask_peers(count);
}

static void ask_entry(const char *name, const char *symbol, unsigned version, bool *out_found)
{
    void *function = NULL;
    enum cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSuccess;
    cudaError_t error = cuda.cudaGetDriverEntryPointByVersion(symbol, &function, version, cudaEnableDefault, &result);
    *out_found = function != NULL;
    if (error != cudaSuccess) {
        answer_error(name, error);
    } else {
        answer(name, "%s, result %d", function != NULL ? "found" : "null", (int)result);
    }
}

void ask_driver_entry_points(void)
{
    bool found = false;
    ask_entry("driver_entry_points.cuDeviceGetName", "cuDeviceGetName", 12000, &found);
    ask_entry("driver_entry_points.cuPointerGetAttribute", "cuPointerGetAttribute", 12000, &found);
    ask_entry("driver_entry_points.unknown", "cuThereIsNoSuchFunction", 12000, &found);
    ask_entry("driver_entry_points.version_before_it", "cuDeviceGetUuid", 5000, &found);
    ask_entry("driver_entry_points.version_of_the_future", "cuDeviceGetName", 99000, &found);
}

static void *last_error_elsewhere(void *out_error)
{
    *(cudaError_t *)out_error = cuda.cudaGetLastError();
    return NULL;
}

void ask_errors(void)
{
    pthread_t thread;
    cudaError_t elsewhere = cudaErrorUnknown;
    int device = 0;
    answer("errors.name_of_0", "%s", cuda.cudaGetErrorName(cudaSuccess));
    answer("errors.name_of_2", "%s", cuda.cudaGetErrorName(cudaErrorMemoryAllocation));
    answer("errors.name_of_700", "%s", cuda.cudaGetErrorName(cudaErrorIllegalAddress));
    answer("errors.name_of_123456", "%s", cuda.cudaGetErrorName((cudaError_t)123456));
    answer("errors.text_of_0", "%s", cuda.cudaGetErrorString(cudaSuccess));
    answer("errors.text_of_1", "%s", cuda.cudaGetErrorString(cudaErrorInvalidValue));
    answer("errors.text_of_2", "%s", cuda.cudaGetErrorString(cudaErrorMemoryAllocation));
    answer("errors.text_of_123456", "%s", cuda.cudaGetErrorString((cudaError_t)123456));
    cuda.cudaGetLastError();
    cuda.cudaSetDevice(-1);
    answer_error("errors.last_after_failure", cuda.cudaGetLastError());
    answer_error("errors.last_again", cuda.cudaGetLastError());
    cuda.cudaSetDevice(-1);
    cuda.cudaGetDevice(&device);
    answer_error("errors.last_after_failure_and_success", cuda.cudaGetLastError());
    cuda.cudaSetDevice(-1);
    cuda.cudaEventRecord(NULL, world.stream);
    answer_error("errors.last_of_two", cuda.cudaGetLastError());
    cuda.cudaSetDevice(-1);
    cudaError_t peeked = CALL_PLAIN(cudaPeekAtLastError);
    cudaError_t last = cuda.cudaGetLastError();
    answer_yes("errors.peeking_keeps_it", peeked == NOT_IN_LIBRARY || (peeked == last && last != cudaSuccess));
    cuda.cudaSetDevice(-1);
    if (pthread_create(&thread, NULL, last_error_elsewhere, &elsewhere) == 0) {
        pthread_join(thread, NULL);
    }
    cuda.cudaGetLastError();
    answer_error("errors.last_in_another_thread", elsewhere);
    become_busy(world.stream);
    cudaEvent_t event = NULL;
    cuda.cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cuda.cudaEventRecord(event, world.stream);
    cuda.cudaGetLastError();
    cuda.cudaEventQuery(event);
    answer_error("errors.last_after_not_ready", cuda.cudaGetLastError());
    become_idle(world.stream);
    cuda.cudaFree(world.pageable);
    answer_error("errors.last_after_bad_free", cuda.cudaGetLastError());
}

static cudaError_t load_code(const void *code)
{
    cudaLibrary_t library = NULL;
    return cuda.cudaLibraryLoadData(&library, code, NULL, NULL, 0, NULL, NULL, 0);
}

void ask_libraries(void)
{
    cudaLibrary_t library = NULL;
    cudaKernel_t kernel = NULL;
    cudaKernel_t again = NULL;
    answer_error("libraries.load_null", load_code(NULL));
    answer_error("libraries.unload_null", cuda.cudaLibraryUnload(NULL));
    answer_error("libraries.kernel_of_null", cuda.cudaLibraryGetKernel(&kernel, NULL, "x"));
    if (!has_kernels()) {
        answer("libraries.load", "no kernels in this build");
        return;
    }
    answer_error("libraries.load_null_output",
                 cuda.cudaLibraryLoadData(NULL, ndbuf__kernel_fatbin, NULL, NULL, 0, NULL, NULL, 0));
    answer_error("libraries.load",
                 cuda.cudaLibraryLoadData(&library, ndbuf__kernel_fatbin, NULL, NULL, 0, NULL, NULL, 0));
    answer_error("libraries.load_again", load_code(ndbuf__kernel_fatbin));
    answer_error("libraries.kernel", cuda.cudaLibraryGetKernel(&kernel, library, ndbuf__kernel_names[0]));
    answer_error("libraries.kernel_again", cuda.cudaLibraryGetKernel(&again, library, ndbuf__kernel_names[0]));
    answer_yes("libraries.kernel_again_is_the_same", kernel == again);
    answer_error("libraries.kernel_unknown", cuda.cudaLibraryGetKernel(&kernel, library, "no_such_kernel"));
    answer_error("libraries.kernel_null_name", cuda.cudaLibraryGetKernel(&kernel, library, NULL));
    answer_error("libraries.kernel_null_output", cuda.cudaLibraryGetKernel(NULL, library, ndbuf__kernel_names[0]));
    answer_error("libraries.unload", cuda.cudaLibraryUnload(library));
}

void ask_not_a_library(void)
{
    static const char text[4096] = "this is not a program for a GPU";
    static const char nothing[4096] = {0};
    answer_error("not_a_library.text", load_code(text));
    answer_error("not_a_library.zeros", load_code(nothing));
}

static void ask_launch(const char *name, dim3 grid, dim3 block, size_t shared_nbytes)
{
    cudaError_t error = launch_shaped(grid, block, shared_nbytes);
    cudaError_t later = cuda.cudaStreamSynchronize(world.stream);
    if (error == cudaSuccess && later != cudaSuccess) {
        answer(name, "%s at the wait", error_name(later));
    } else {
        answer_error(name, error);
    }
}

void ask_launches(void)
{
    const dim3 one = {1, 1, 1};
    const dim3 warp = {32, 1, 1};
    void *arguments[3] = {NULL, NULL, NULL};
    if (!has_kernels()) {
        answer("launches.plain", "no kernels in this build");
        return;
    }
    answer_error("launches.planned", launch_copy(world.stream));
    ask_launch("launches.plain", one, warp, 0);
    ask_launch("launches.block_1024", one, (dim3){1024, 1, 1}, 0);
    ask_launch("launches.block_1025", one, (dim3){1025, 1, 1}, 0);
    ask_launch("launches.block_32_32_2", one, (dim3){32, 32, 2}, 0);
    ask_launch("launches.block_z_65", one, (dim3){1, 1, 65}, 0);
    ask_launch("launches.block_x_0", one, (dim3){0, 1, 1}, 0);
    ask_launch("launches.grid_x_0", (dim3){0, 1, 1}, warp, 0);
    ask_launch("launches.grid_y_0", (dim3){1, 0, 1}, warp, 0);
    ask_launch("launches.grid_x_100000", (dim3){100000, 1, 1}, warp, 0);
    ask_launch("launches.grid_x_2^31", (dim3){0x80000000u, 1, 1}, warp, 0);
    ask_launch("launches.grid_y_65536", (dim3){1, 65536, 1}, warp, 0);
    ask_launch("launches.grid_z_65536", (dim3){1, 1, 65536}, warp, 0);
    ask_launch("launches.shared_1_gib", one, warp, (size_t)1 << 30);
    answer_error("launches.null_kernel", cuda.cudaLaunchKernel(NULL, one, warp, arguments, 0, world.stream));
    settle();
}

static void CUDART_CB set_flag(void *flag)
{
    atomic_store((atomic_bool *)flag, true);
}

/* What is left to do when a kernel has touched what it must not. The context of this process is lost. */
void ask_sticky(void)
{
    static atomic_bool has_run;
    struct cudaPointerAttributes attributes;
    void *block = NULL;
    cudaStream_t stream = NULL;
    cudaEvent_t event = NULL;
    enum cudaStreamCaptureStatus capture;
    size_t nfree = 0;
    size_t total = 0;
    int count = 0;
    int device = 0;
    if (!has_kernels()) {
        answer("sticky.launch", "no kernels in this build");
        return;
    }
    cuda.cudaEventRecord(world.event, world.other);
    settle();
    answer_error("sticky.launch", launch_copy_to((void *)(uintptr_t)4096));
    cuda.cudaLaunchHostFunc(world.stream, set_flag, &has_run); /* whether it is refused is a matter of time */
    answer_error("sticky.wait", cuda.cudaStreamSynchronize(world.stream));
    answer_yes("sticky.host_function_has_run", atomic_load(&has_run));
    cuda.cudaGetLastError();
    answer_error("sticky.last_error_again", cuda.cudaGetLastError());
    answer_error("sticky.wait_again", cuda.cudaStreamSynchronize(world.stream));
    answer_error("sticky.wait_for_another_stream", cuda.cudaStreamSynchronize(world.other));
    answer_error("sticky.query_an_earlier_event", cuda.cudaEventQuery(world.event));
    answer_error("sticky.device_count", cuda.cudaGetDeviceCount(&count));
    answer_error("sticky.get_device", cuda.cudaGetDevice(&device));
    answer_error("sticky.set_device", cuda.cudaSetDevice(0));
    answer_error("sticky.device_attribute", cuda.cudaDeviceGetAttribute(&device, cudaDevAttrMaxPitch, 0));
    answer_error("sticky.mem_get_info", cuda.cudaMemGetInfo(&nfree, &total));
    answer_error("sticky.stream_get_device", cuda.cudaStreamGetDevice(world.stream, &device));
    answer_error("sticky.stream_is_capturing", cuda.cudaStreamIsCapturing(world.stream, &capture));
    answer_error("sticky.event_create", cuda.cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    answer_error("sticky.malloc", cuda.cudaMalloc(&block, 256));
    answer_error("sticky.host_alloc", cuda.cudaHostAlloc(&block, 256, cudaHostAllocPortable));
    answer_error("sticky.pointer_attributes", cuda.cudaPointerGetAttributes(&attributes, world.device));
    answer_error("sticky.stream_create", cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    answer_error("sticky.copy", cuda.cudaMemcpyAsync(world.device, world.pinned, 64, cudaMemcpyDefault, world.stream));
    answer_error("sticky.free_async", cuda.cudaFreeAsync(world.pooled, world.stream));
    answer_error("sticky.free", cuda.cudaFree(world.device));
    answer_error("sticky.free_host", cuda.cudaFreeHost(world.pinned));
    answer_error("sticky.host_unregister", cuda.cudaHostUnregister(world.registered));
    answer_error("sticky.event_destroy", cuda.cudaEventDestroy(world.event));
    answer_error("sticky.stream_destroy", cuda.cudaStreamDestroy(world.stream));
    answer_error("sticky.pool_destroy", cuda.cudaMemPoolDestroy(world.pool));
    answer_error("sticky.library_unload", cuda.cudaLibraryUnload(kernel_library()));
}

void ask_freed_twice_async(void)
{
    void *block = NULL;
    cuda.cudaMallocFromPoolAsync(&block, 4096, world.pool, world.stream);
    answer_error("freed_twice_async.first", cuda.cudaFreeAsync(block, world.stream));
    answer_error("freed_twice_async.second", cuda.cudaFreeAsync(block, world.stream));
    answer_error("freed_twice_async.free", cuda.cudaFree(block));
}

void ask_fork(void)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        int count = 0;
        int device = 0;
        void *block = NULL;
        alarm(20);
        answer_error("fork.malloc", cuda.cudaMalloc(&block, 256));
        answer_error("fork.free", cuda.cudaFree(world.device));
        answer_error("fork.free_host", cuda.cudaFreeHost(world.pinned));
        answer_error("fork.copy",
                     cuda.cudaMemcpyAsync(world.device, world.pinned, 64, cudaMemcpyDefault, world.stream));
        answer_error("fork.event_query", cuda.cudaEventQuery(world.event));
        answer_error("fork.stream_synchronize", cuda.cudaStreamSynchronize(world.stream));
        answer_error("fork.device_count", cuda.cudaGetDeviceCount(&count));
        answer_error("fork.get_device", cuda.cudaGetDevice(&device));
        _exit(EXIT_SUCCESS);
    }
    waitpid(child, &status, 0);
    answer_yes("fork.child_ended_well", WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
    answer_error("fork.parent_goes_on",
                 cuda.cudaMemcpyAsync(world.device, world.pinned, 64, cudaMemcpyDefault, world.stream));
    answer_error("fork.parent_waits", cuda.cudaStreamSynchronize(world.stream));
}
