/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_OPENCL_OPENCL_API_H
#define NDBUF_BACKENDS_OPENCL_OPENCL_API_H

/* OpenCL 1.2 through a table of function pointers: nothing of it is needed when the library is loaded. */

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <stdbool.h>

#include "ndbuf/status.h"

/* Every function that the backend calls. */
#define OPENCL_FUNCTION_LIST(X)                                                                                        \
    X(clGetPlatformIDs)                                                                                                \
    X(clGetPlatformInfo)                                                                                               \
    X(clGetDeviceIDs)                                                                                                  \
    X(clGetDeviceInfo)                                                                                                 \
    X(clRetainDevice)                                                                                                  \
    X(clReleaseDevice)                                                                                                 \
    X(clCreateContext)                                                                                                 \
    X(clRetainContext)                                                                                                 \
    X(clReleaseContext)                                                                                                \
    X(clGetContextInfo)                                                                                                \
    X(clCreateCommandQueue)                                                                                            \
    X(clRetainCommandQueue)                                                                                            \
    X(clReleaseCommandQueue)                                                                                           \
    X(clGetCommandQueueInfo)                                                                                           \
    X(clCreateBuffer)                                                                                                  \
    X(clRetainMemObject)                                                                                               \
    X(clReleaseMemObject)                                                                                              \
    X(clGetMemObjectInfo)                                                                                              \
    X(clEnqueueReadBuffer)                                                                                             \
    X(clEnqueueWriteBuffer)                                                                                            \
    X(clEnqueueCopyBuffer)                                                                                             \
    X(clEnqueueReadBufferRect)                                                                                         \
    X(clEnqueueWriteBufferRect)                                                                                        \
    X(clEnqueueCopyBufferRect)                                                                                         \
    X(clEnqueueFillBuffer)                                                                                             \
    X(clCreateProgramWithSource)                                                                                       \
    X(clBuildProgram)                                                                                                  \
    X(clGetProgramBuildInfo)                                                                                           \
    X(clReleaseProgram)                                                                                                \
    X(clCreateKernel)                                                                                                  \
    X(clReleaseKernel)                                                                                                 \
    X(clSetKernelArg)                                                                                                  \
    X(clGetKernelWorkGroupInfo)                                                                                        \
    X(clEnqueueNDRangeKernel)                                                                                          \
    X(clEnqueueNativeKernel)                                                                                           \
    X(clEnqueueMapBuffer)                                                                                              \
    X(clEnqueueUnmapMemObject)                                                                                         \
    X(clEnqueueMarkerWithWaitList)                                                                                     \
    X(clEnqueueBarrierWithWaitList)                                                                                    \
    X(clCreateUserEvent)                                                                                               \
    X(clSetUserEventStatus)                                                                                            \
    X(clWaitForEvents)                                                                                                 \
    X(clGetEventInfo)                                                                                                  \
    X(clReleaseEvent)                                                                                                  \
    X(clFlush)                                                                                                         \
    X(clFinish)

typedef struct opencl_api {
#define OPENCL_MEMBER(name) __typeof__ (&(name))(name);
    OPENCL_FUNCTION_LIST(OPENCL_MEMBER)
#undef OPENCL_MEMBER
} opencl_api;

/* The functions of the ICD loader, opened by the first call and kept for the life of the process: libOpenCL.so.1, or
 * the library that the environment variable NDBUF_OPENCL names. A failure is not kept: the next call tries again.
 *
 * NDBUF_ERR_UNAVAILABLE  no such library, or one that is older than OpenCL 1.2; or this is a process that was forked
 * off one which uses OpenCL */
ndbuf_status ndbuf_opencl__api_open(const opencl_api **out_api, ndbuf_error *err);

/* Whether this process was forked off one that uses OpenCL. The driver's threads are not in it: whatever waits for them
 * waits for ever. So no call is made, and nothing of the driver's is given back. */
bool ndbuf_opencl__is_child(void);

/* NDBUF_ERR_UNAVAILABLE in such a process. Comes before any lock, which may have been held at the fork. */
ndbuf_status ndbuf_opencl__refuse_child(ndbuf_error *err);

/* "CL_INVALID_VALUE"; "unknown error" for codes that OpenCL 1.2 does not have. */
const char *ndbuf_opencl__code_name(cl_int code);

/* Fills `err` for a vendor call that returned `code`. `call` is the source text of the call: the text names the
 * function in it. */
ndbuf_status ndbuf_opencl__fail(ndbuf_error *err, ndbuf_status status, cl_int code, const char *call);

/* The status of a vendor call: NDBUF_OK or, with `err` filled, NDBUF_ERR_DEVICE. A call that gives its code through a
 * pointer is written (object = api->clCreateX(..., &code), code). */
#define OPENCL_STATUS(call, err) ndbuf_opencl__status((call), #call, (err))

static inline ndbuf_status ndbuf_opencl__status(cl_int code, const char *call, ndbuf_error *err)
{
    return code == CL_SUCCESS ? NDBUF_OK : ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, call);
}

/* Makes the calling function return that status unless it is NDBUF_OK. */
#define OPENCL_TRY(call, err)                                                                                          \
    do {                                                                                                               \
        ndbuf_status try_status_ = OPENCL_STATUS(call, err);                                                           \
        if (try_status_ != NDBUF_OK) {                                                                                 \
            return try_status_;                                                                                        \
        }                                                                                                              \
    } while (0)

#endif
