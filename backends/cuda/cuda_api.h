/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CUDA_CUDA_API_H
#define NDBUF_BACKENDS_CUDA_CUDA_API_H

/* The CUDA runtime through a table of function pointers: by default the functions of the static cudart linked into the
 * library, else those of a library named by ndbuf_cuda_attach or NDBUF_CUDART. */

#include <cuda_runtime_api.h>

#include <stdbool.h>

#include "ndbuf/status.h"

/* Every function that the backend calls. Nothing that changed its signature between CUDA 12.8 and 13, no
 * cudaDeviceProp. */
#define CUDA_FUNCTION_LIST(X)                                                                                          \
    X(cudaRuntimeGetVersion)                                                                                           \
    X(cudaDriverGetVersion)                                                                                            \
    X(cudaGetErrorName)                                                                                                \
    X(cudaGetErrorString)                                                                                              \
    X(cudaGetLastError)                                                                                                \
    X(cudaGetDeviceCount)                                                                                              \
    X(cudaGetDevice)                                                                                                   \
    X(cudaSetDevice)                                                                                                   \
    X(cudaDeviceGetAttribute)                                                                                          \
    X(cudaDeviceGetPCIBusId)                                                                                           \
    X(cudaDeviceCanAccessPeer)                                                                                         \
    X(cudaDeviceEnablePeerAccess)                                                                                      \
    X(cudaMemGetInfo)                                                                                                  \
    X(cudaGetDriverEntryPointByVersion)                                                                                \
    X(cudaMalloc)                                                                                                      \
    X(cudaFree)                                                                                                        \
    X(cudaMemPoolCreate)                                                                                               \
    X(cudaMemPoolDestroy)                                                                                              \
    X(cudaMemPoolSetAttribute)                                                                                         \
    X(cudaMemPoolSetAccess)                                                                                            \
    X(cudaMallocFromPoolAsync)                                                                                         \
    X(cudaFreeAsync)                                                                                                   \
    X(cudaHostAlloc)                                                                                                   \
    X(cudaFreeHost)                                                                                                    \
    X(cudaHostRegister)                                                                                                \
    X(cudaHostUnregister)                                                                                              \
    X(cudaMallocManaged)                                                                                               \
    X(cudaPointerGetAttributes)                                                                                        \
    X(cudaIpcGetMemHandle)                                                                                             \
    X(cudaIpcOpenMemHandle)                                                                                            \
    X(cudaIpcCloseMemHandle)                                                                                           \
    X(cudaMemcpyAsync)                                                                                                 \
    X(cudaMemcpy2DAsync)                                                                                               \
    X(cudaMemcpy3DAsync)                                                                                               \
    X(cudaMemcpyPeerAsync)                                                                                             \
    X(cudaMemcpy3DPeerAsync)                                                                                           \
    X(cudaStreamCreateWithFlags)                                                                                       \
    X(cudaStreamDestroy)                                                                                               \
    X(cudaStreamGetDevice)                                                                                             \
    X(cudaStreamSynchronize)                                                                                           \
    X(cudaStreamWaitEvent)                                                                                             \
    X(cudaStreamIsCapturing)                                                                                           \
    X(cudaThreadExchangeStreamCaptureMode)                                                                             \
    X(cudaLaunchHostFunc)                                                                                              \
    X(cudaEventCreateWithFlags)                                                                                        \
    X(cudaEventRecord)                                                                                                 \
    X(cudaEventQuery)                                                                                                  \
    X(cudaEventSynchronize)                                                                                            \
    X(cudaEventDestroy)                                                                                                \
    X(cudaLibraryLoadData)                                                                                             \
    X(cudaLibraryUnload)                                                                                               \
    X(cudaLibraryGetKernel)                                                                                            \
    X(cudaLaunchKernel)

typedef struct cuda_api {
#define CUDA_MEMBER(name) __typeof__ (&(name))(name);
    CUDA_FUNCTION_LIST(CUDA_MEMBER)
#undef CUDA_MEMBER
    bool is_simulated; /* the library says so: it exports ndbuf_cudart_is_simulated */
} cuda_api;

/* The functions in use: chosen by the first call, by ndbuf_cuda_attach before it, and kept for the life of the process.
 * A failure is not kept: the next call tries again.
 *
 * NDBUF_ERR_UNAVAILABLE  NDBUF_CUDART names a library that does not serve; or this is a process that was forked off one
 *                        which uses CUDA */
ndbuf_status ndbuf_cuda__api_open(const cuda_api **out_api, ndbuf_error *err);

/* Whether this process was forked off one that uses CUDA: then nothing of CUDA works, and nothing needs to be freed. */
bool ndbuf_cuda__is_child(void);

/* Whether the device has failed for good: all work given to it is over, and every later call fails, too. */
bool ndbuf_cuda__is_fatal(cudaError_t code);

/* Whether a call was refused because a stream is being captured. */
bool ndbuf_cuda__is_capture(cudaError_t code);

/* Fills `err` for a vendor call that returned `code`, and clears the thread's last error: it is nobody else's matter.
 * `call` is the source text of the call: the text names the function in it. Returns NDBUF_ERR_UNAVAILABLE (no driver or
 * device), NDBUF_ERR_NOMEM, NDBUF_ERR_UNSUPPORTED (not while a stream is being captured, or not by this device), or
 * NDBUF_ERR_DEVICE. */
ndbuf_status ndbuf_cuda__fail(const cuda_api *api, ndbuf_error *err, cudaError_t code, const char *call);

/* The same with the status given. */
ndbuf_status ndbuf_cuda__fail_as(const cuda_api *api, ndbuf_error *err, ndbuf_status status, cudaError_t code,
                                 const char *call);

static inline ndbuf_status ndbuf_cuda__status(const cuda_api *api, cudaError_t code, const char *call, ndbuf_error *err)
{
    return code == cudaSuccess ? NDBUF_OK : ndbuf_cuda__fail(api, err, code, call);
}

/* The status of a vendor call. All three macros are for calls through a variable called `api`. */
#define CUDA_STATUS(call, err) ndbuf_cuda__status(api, (call), #call, (err))

/* Makes the calling function return that status unless it is NDBUF_OK. */
#define CUDA_TRY(call, err)                                                                                            \
    do {                                                                                                               \
        ndbuf_status try_status_ = CUDA_STATUS(call, err);                                                             \
        if (try_status_ != NDBUF_OK) {                                                                                 \
            return try_status_;                                                                                        \
        }                                                                                                              \
    } while (0)

/* A call that undoes. A failure is worth a second try, unless it is the device's, which every call tells whether it has
 * done its work or not. What fails then has gone with the device or with the process. */
#define CUDA_UNDO(call)                                                                                                \
    do {                                                                                                               \
        cudaError_t undo_code_ = (call);                                                                               \
        if (undo_code_ != cudaSuccess) {                                                                               \
            api->cudaGetLastError();                                                                                   \
        }                                                                                                              \
        if (undo_code_ != cudaSuccess && !ndbuf_cuda__is_fatal(undo_code_) && (call) != cudaSuccess) {                 \
            api->cudaGetLastError();                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
