/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include <cuda.h>

#include "tests/cudasim/sim.h"
#include "tests/cudasim/sim_faults.h"

/* ---- names of errors: the texts of the real runtime ---- */

#define DEVICE_ERRORS(X)                                                                                               \
    X(cudaSuccess, "no error")                                                                                         \
    X(cudaErrorInvalidValue, "invalid argument")                                                                       \
    X(cudaErrorMemoryAllocation, "out of memory")                                                                      \
    X(cudaErrorInitializationError, "initialization error")                                                            \
    X(cudaErrorCudartUnloading, "driver shutting down")                                                                \
    X(cudaErrorInvalidConfiguration, "invalid configuration argument")                                                 \
    X(cudaErrorInvalidPitchValue, "invalid pitch argument")                                                            \
    X(cudaErrorInvalidSymbol, "invalid device symbol")                                                                 \
    X(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy")                                            \
    X(cudaErrorStubLibrary, "CUDA driver is a stub library")                                                           \
    X(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version")                     \
    X(cudaErrorDevicesUnavailable, "CUDA-capable device(s) is/are busy or unavailable")                                \
    X(cudaErrorInvalidDeviceFunction, "invalid device function")                                                       \
    X(cudaErrorNoDevice, "no CUDA-capable device is detected")                                                         \
    X(cudaErrorInvalidDevice, "invalid device ordinal")                                                                \
    X(cudaErrorInvalidKernelImage, "device kernel image is invalid")                                                   \
    X(cudaErrorDeviceUninitialized, "invalid device context")                                                          \
    X(cudaErrorMapBufferObjectFailed, "mapping of buffer object failed")                                               \
    X(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device")                     \
    X(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered")                                                \
    X(cudaErrorInvalidPtx, "a PTX JIT compilation failed")                                                             \
    X(cudaErrorInvalidSource, "device kernel image is invalid")                                                        \
    X(cudaErrorInvalidResourceHandle, "invalid resource handle")                                                       \
    X(cudaErrorIllegalState, "the operation cannot be performed in the present state")                                 \
    X(cudaErrorSymbolNotFound, "named symbol not found")                                                               \
    X(cudaErrorNotReady, "device not ready")                                                                           \
    X(cudaErrorIllegalAddress, "an illegal memory access was encountered")                                             \
    X(cudaErrorLaunchOutOfResources, "too many resources requested for launch")                                        \
    X(cudaErrorLaunchTimeout, "the launch timed out and was terminated")                                               \
    X(cudaErrorPeerAccessAlreadyEnabled, "peer access is already enabled")                                             \
    X(cudaErrorPeerAccessNotEnabled, "peer access has not been enabled")                                               \
    X(cudaErrorPeerAccessUnsupported, "peer access is not supported between these two devices")                        \
    X(cudaErrorHostMemoryAlreadyRegistered, "part or all of the requested memory range is already mapped")             \
    X(cudaErrorHostMemoryNotRegistered, "pointer does not correspond to a registered memory region")                   \
    X(cudaErrorHardwareStackError, "hardware stack error")                                                             \
    X(cudaErrorMisalignedAddress, "misaligned address")                                                                \
    X(cudaErrorLaunchFailure, "unspecified launch failure")                                                            \
    X(cudaErrorNotPermitted, "operation not permitted")                                                                \
    X(cudaErrorNotSupported, "operation not supported")                                                                \
    X(cudaErrorSystemNotReady, "system not yet initialized")                                                           \
    X(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing")                           \
    X(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture")                    \
    X(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences")                  \
    X(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began")                         \
    X(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work")                                            \
    X(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream")                      \
    X(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream")  \
    X(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream")               \
    X(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread")   \
    X(cudaErrorUnknown, "unknown error")

static const struct {
    cudaError_t code;
    const char *name;
    const char *text;
} device_errors[] = {
#define DEVICE_ERROR(code, text) {code, #code, text},
    DEVICE_ERRORS(DEVICE_ERROR)};

const char *cudaGetErrorName(cudaError_t error)
{
    for (size_t i = 0; i < sizeof(device_errors) / sizeof(device_errors[0]); i++) {
        if (device_errors[i].code == error) {
            return device_errors[i].name;
        }
    }
    return "unrecognized error code";
}

const char *cudaGetErrorString(cudaError_t error)
{
    for (size_t i = 0; i < sizeof(device_errors) / sizeof(device_errors[0]); i++) {
        if (device_errors[i].code == error) {
            return device_errors[i].text;
        }
    }
    return "unrecognized error code";
}

/* ---- versions and devices ---- */

cudaError_t cudaRuntimeGetVersion(int *runtimeVersion)
{
    SIM_ENTER_AS(cudaRuntimeGetVersion, SIM_WITHOUT_DEVICE);
    if (runtimeVersion == NULL) {
        sim_unlock();
        return cudaErrorInvalidValue;
    }
    *runtimeVersion = CUDART_VERSION;
    sim_unlock();
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *driverVersion)
{
    SIM_ENTER_AS(cudaDriverGetVersion, SIM_WITHOUT_DEVICE);
    if (driverVersion == NULL) {
        sim_unlock();
        return cudaErrorInvalidValue;
    }
    *driverVersion = sim.ndevices < 0 ? 0 : CUDART_VERSION;
    sim_unlock();
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count)
{
    sim_start();
    if (sim_is_forked() && count != NULL && sim.ndevices > 0) { /* this one is known, and asks no driver */
        *count = sim.ndevices;
        return cudaSuccess;
    }
    SIM_ENTER_AS(cudaGetDeviceCount, SIM_PAST_STICKY);
    SIM_FAIL_IF(count == NULL, cudaErrorInvalidValue);
    *count = sim.ndevices;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaGetDevice(int *device)
{
    SIM_ENTER_AS(cudaGetDevice, SIM_PAST_STICKY);
    SIM_FAIL_IF(device == NULL, cudaErrorInvalidValue);
    *device = sim_self.device;
    return sim_leave(cudaSuccess);
}

static bool device_exists(int device)
{
    return device >= 0 && device < sim.ndevices;
}

cudaError_t cudaSetDevice(int device)
{
    SIM_ENTER_AS(cudaSetDevice, SIM_PAST_STICKY);
    SIM_FAIL_IF(!device_exists(device), cudaErrorInvalidDevice);
    sim_self.device = device;
    return sim_leave(cudaSuccess);
}

static int device_attribute(enum cudaDeviceAttr attr, int device)
{
    switch (attr) {
    case cudaDevAttrMaxPitch:
    case cudaDevAttrMaxGridDimX:
        return INT32_MAX;
    case cudaDevAttrMaxGridDimY:
    case cudaDevAttrMaxGridDimZ:
        return 65535;
    case cudaDevAttrMaxThreadsPerBlock:
    case cudaDevAttrMaxBlockDimX:
    case cudaDevAttrMaxBlockDimY:
        return 1024;
    case cudaDevAttrMaxBlockDimZ:
        return 64;
    case cudaDevAttrMaxSharedMemoryPerBlock:
        return 49152;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
        return 2048;
    case cudaDevAttrWarpSize:
    case cudaDevAttrTexturePitchAlignment:
        return 32;
    case cudaDevAttrMultiProcessorCount:
        return 132;
    case cudaDevAttrComputeCapabilityMajor:
        return 9;
    case cudaDevAttrPciBusId:
        return device + 1;
    case cudaDevAttrAsyncEngineCount:
        return 3;
    case cudaDevAttrTextureAlignment:
        return 512;
    case cudaDevAttrL2CacheSize:
        return 50 << 20;
    case cudaDevAttrMemoryPoolsSupported:
        return sim.pools_supported;
    case cudaDevAttrUnifiedAddressing:
    case cudaDevAttrManagedMemory:
    case cudaDevAttrConcurrentManagedAccess:
    case cudaDevAttrCanMapHostMemory:
    case cudaDevAttrHostRegisterSupported:
    case cudaDevAttrHostRegisterReadOnlySupported:
    case cudaDevAttrCanUseHostPointerForRegisteredMem:
    case cudaDevAttrConcurrentKernels:
    case cudaDevAttrIpcEventSupport:
    case cudaDevAttrEccEnabled:
        return 1;
    default:
        return 0;
    }
}

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attr, int device)
{
    SIM_ENTER_AS(cudaDeviceGetAttribute, SIM_PAST_STICKY);
    SIM_FAIL_IF(!device_exists(device), cudaErrorInvalidDevice);
    SIM_FAIL_IF(value == NULL || (int)attr < 1 || attr >= cudaDevAttrMax, cudaErrorInvalidValue);
    *value = device_attribute(attr, device);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaDeviceGetPCIBusId(char *pciBusId, int len, int device)
{
    char text[16];
    SIM_ENTER(cudaDeviceGetPCIBusId);
    SIM_FAIL_IF(!device_exists(device), cudaErrorInvalidDevice);
    (void)snprintf(text, sizeof(text), "0000:%02X:00.0", (unsigned)(device + 1) & 0xFFU);
    SIM_FAIL_IF(pciBusId == NULL || len <= (int)strlen(text), cudaErrorInvalidValue);
    memcpy(pciBusId, text, strlen(text) + 1);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total)
{
    SIM_ENTER(cudaMemGetInfo);
    uint64_t used = sim_arena_used(sim_self.device);
    if (free != NULL) {
        *free = used < sim.memory ? sim.memory - used : 0;
    }
    if (total != NULL) {
        *total = sim.memory;
    }
    return sim_leave(cudaSuccess);
}

cudaError_t cudaDeviceReset(void)
{
    SIM_ENTER(cudaDeviceReset);
    SIM_TRY(sim_capture_forbid());
    sim_op_wait_device(sim_self.device);
    size_t i = 0;
    for (sim_block *block = sim_block_at(0); block != NULL; block = sim_block_at(i)) {
        if (block->device == sim_self.device && block->memory == SIM_DEVICE && !block->from_pool) {
            sim_block_remove(block);
        } else {
            i++;
        }
    }
    sim.devices[sim_self.device].peers = 0;
    return sim_leave(cudaSuccess);
}

/* ---- peers ---- */

cudaError_t cudaDeviceCanAccessPeer(int *canAccessPeer, int device, int peerDevice)
{
    SIM_ENTER(cudaDeviceCanAccessPeer);
    SIM_FAIL_IF(!device_exists(device) || !device_exists(peerDevice), cudaErrorInvalidDevice);
    SIM_FAIL_IF(canAccessPeer == NULL, cudaErrorInvalidValue);
    *canAccessPeer = device != peerDevice && sim.peer_possible;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaDeviceEnablePeerAccess(int peerDevice, unsigned int flags)
{
    SIM_ENTER(cudaDeviceEnablePeerAccess);
    SIM_FAIL_IF(flags != 0, cudaErrorInvalidValue);
    SIM_FAIL_IF(!device_exists(peerDevice), cudaErrorInvalidDevice);
    SIM_FAIL_IF(!sim.peer_possible || peerDevice == sim_self.device, cudaErrorPeerAccessUnsupported);
    uint32_t bit = (uint32_t)1 << peerDevice;
    SIM_FAIL_IF((sim.devices[sim_self.device].peers & bit) != 0, cudaErrorPeerAccessAlreadyEnabled);
    sim.devices[sim_self.device].peers |= bit;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaDeviceDisablePeerAccess(int peerDevice)
{
    SIM_ENTER(cudaDeviceDisablePeerAccess);
    SIM_FAIL_IF(!device_exists(peerDevice), cudaErrorInvalidDevice);
    uint32_t bit = (uint32_t)1 << peerDevice;
    SIM_FAIL_IF((sim.devices[sim_self.device].peers & bit) == 0, cudaErrorPeerAccessNotEnabled);
    sim.devices[sim_self.device].peers &= ~bit;
    return sim_leave(cudaSuccess);
}

bool sim_can_access(int device, const sim_block *block)
{
    if ((block->memory != SIM_DEVICE && block->memory != SIM_IPC) || block->device == device) {
        return true;
    }
    if (block->from_pool) {
        return block->pool != NULL && (block->pool->accessible_from >> device & 1U) != 0;
    }
    return (sim.devices[device].peers >> block->device & 1U) != 0;
}

/* ---- what of the driver's API is there ---- */

static CUresult device_driver_name(char *name, int len, CUdevice device)
{
    static const char text[] = "cudasim";
    if (name == NULL || len < (int)sizeof(text)) {
        return CUDA_ERROR_INVALID_VALUE;
    }
    if (!device_exists(device)) {
        return CUDA_ERROR_INVALID_DEVICE;
    }
    memcpy(name, text, sizeof(text));
    return CUDA_SUCCESS;
}

static CUresult device_driver_pointer(void *data, CUpointer_attribute attribute, CUdeviceptr ptr)
{
    CUresult result = CUDA_ERROR_INVALID_VALUE;
    sim_lock();
    const uint64_t address = sim_host_address(ptr);
    const sim_block *block = sim_block_find(address);
    if (block != NULL && data != NULL && !block->freed) {
        result = CUDA_SUCCESS;
        switch (attribute) {
        case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
            *(CUdeviceptr *)data = block->base + (ptr - address);
            break;
        case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
            *(size_t *)data = block->nbytes;
            break;
        case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
            *(unsigned *)data = block->memory == SIM_PINNED || block->memory == SIM_REGISTERED ? CU_MEMORYTYPE_HOST
                                                                                               : CU_MEMORYTYPE_DEVICE;
            break;
        case CU_POINTER_ATTRIBUTE_IS_MANAGED:
            *(unsigned *)data = block->memory == SIM_MANAGED;
            break;
        case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
            *(int *)data = block->device;
            break;
        case CU_POINTER_ATTRIBUTE_BUFFER_ID:
            *(unsigned long long *)data = block->id;
            break;
        case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
            *(int *)data = block->memory == SIM_DEVICE && !block->from_pool;
            break;
        default:
            result = CUDA_ERROR_NOT_SUPPORTED;
        }
    }
    sim_unlock();
    return result;
}

cudaError_t cudaGetDriverEntryPointByVersion(const char *symbol, void **funcPtr, unsigned int cudaVersion,
                                             unsigned long long flags,
                                             enum cudaDriverEntryPointQueryResult *driverStatus)
{
    CUresult (*name)(char *, int, CUdevice) = device_driver_name;
    CUresult (*pointer)(void *, CUpointer_attribute, CUdeviceptr) = device_driver_pointer;
    enum cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSuccess;
    SIM_ENTER(cudaGetDriverEntryPointByVersion);
    SIM_FAIL_IF(symbol == NULL || funcPtr == NULL || flags > 2 || cudaVersion > CUDART_VERSION, cudaErrorInvalidValue);
    void *result = NULL;
    if (strcmp(symbol, "cuDeviceGetName") == 0) {
        memcpy(&result, &name, sizeof(result));
    } else if (strcmp(symbol, "cuPointerGetAttribute") == 0) {
        memcpy(&result, &pointer, sizeof(result));
    } else {
        found = cudaDriverEntryPointSymbolNotFound;
    }
    if (result != NULL && cudaVersion < 4000) {
        found = cudaDriverEntryPointVersionNotSufficent;
        result = NULL;
    }
    *funcPtr = result;
    if (driverStatus != NULL) {
        *driverStatus = found;
    }
    SIM_FAIL_IF(result == NULL && driverStatus == NULL, cudaErrorSymbolNotFound);
    return sim_leave(cudaSuccess);
}
