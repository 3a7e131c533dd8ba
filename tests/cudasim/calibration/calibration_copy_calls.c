/* SPDX-License-Identifier: Apache-2.0 */
/* The copies and launches of the questions about blocking and capture. */
#include "tests/cudasim/calibration/calibration.h"

#include <string.h>

#include "backends/kernels/kernel_plan.h"

#define COPY_NBYTES ((size_t)65536) /* unless the name says otherwise */
#define SMALL_NBYTES ((size_t)64)
#define ROW_NBYTES ((size_t)256)
#define PITCH ((size_t)512)
#define NROWS ((size_t)64)
#define UNUSED_OBJECT (void)object
#define UNUSED_STREAM (void)stream

void *calibration_new_stream(void)
{
    cudaStream_t stream = NULL;
    cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    return stream;
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
COPY_1D(make_managed_to_pageable, pageable, managed, COPY_NBYTES)
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
COPY_3D(make_3d_device_to_pageable, pageable, device)
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

static cudaError_t make_blocking_copy_to_device(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return CALL(cudaMemcpy, world.device, world.pinned, COPY_NBYTES, cudaMemcpyDefault);
}

static cudaError_t make_blocking_copy_to_host(void *object, cudaStream_t stream)
{
    UNUSED_OBJECT;
    UNUSED_STREAM;
    return CALL(cudaMemcpy, world.pageable, world.device, COPY_NBYTES, cudaMemcpyDefault);
}

/* Kernels. */

static void *new_library(void)
{
    cudaLibrary_t library = NULL;
    cuda.cudaLibraryLoadData(&library, ndbuf__kernel_fatbin, NULL, NULL, 0, NULL, NULL, 0);
    return library;
}

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

const calibration_call calibration_copy_calls[] = {
    {"pinned_to_device", NULL, make_pinned_to_device},
    {"registered_to_device", NULL, make_registered_to_device},
    {"pageable_to_device_small", NULL, make_pageable_to_device_small},
    {"pageable_to_device", NULL, make_pageable_to_device},
    {"managed_to_device", NULL, make_managed_to_device},
    {"device_to_pinned", NULL, make_device_to_pinned},
    {"device_to_pageable", NULL, make_device_to_pageable},
    {"managed_to_pageable", NULL, make_managed_to_pageable},
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
    {"3d_device_to_pageable", NULL, make_3d_device_to_pageable},
    {"3d_device_to_device", NULL, make_3d_device_to_device},
    {"peer_copy", NULL, make_peer_copy},
    {"peer_copy_3d", NULL, make_peer_copy_3d},
    {"copy_in_other_stream", calibration_new_stream, make_copy_in_other_stream},
    {"copy_in_legacy_stream", NULL, make_copy_in_legacy_stream},
    {"blocking_copy", NULL, make_blocking_copy},
    {"blocking_copy_to_device", NULL, make_blocking_copy_to_device},
    {"blocking_copy_to_host", NULL, make_blocking_copy_to_host},
    {"library_load", NULL, make_library_load},
    {"library_unload", new_library, make_library_unload},
    {"library_get_kernel", new_loaded_kernel, make_get_kernel},
    {"launch_kernel", new_loaded_kernel, make_launch},
};
const size_t calibration_ncopy_calls = sizeof(calibration_copy_calls) / sizeof(calibration_copy_calls[0]);
