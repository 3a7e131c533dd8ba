/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

#include "core/host_alloc.h"

#include "backends/kernels/kernel_plan.h"

/* One library for the process. What was loaded stays until no device is open. */
static ndbuf__mutex kernels_mutex = NDBUF__MUTEX_INIT;
static int64_t nusers;
static cudaLibrary_t library;
static cudaKernel_t *kernels; /* ndbuf__kernel_count entries; NULL: not loaded */

bool ndbuf_cuda__has_kernels(const cuda_device *device)
{
    return ndbuf__kernel_fatbin_nbytes > 0 && !atomic_load_explicit(&device->lacks_code, memory_order_relaxed);
}

void ndbuf_cuda__kernels_retain(void)
{
    ndbuf__mutex_lock(&kernels_mutex);
    nusers++;
    ndbuf__mutex_unlock(&kernels_mutex);
}

/* With the mutex held. */
static void unload(const cuda_api *api)
{
    if (library != NULL && !ndbuf_cuda__is_child()) {
        CUDA_UNDO(api->cudaLibraryUnload(library));
    }
    library = NULL;
    ndbuf__free(kernels);
    kernels = NULL;
}

void ndbuf_cuda__kernels_release(const cuda_api *api)
{
    ndbuf__mutex_lock(&kernels_mutex);
    if (--nusers == 0) {
        unload(api);
    }
    ndbuf__mutex_unlock(&kernels_mutex);
}

ndbuf_status ndbuf_cuda__kernel_status(cuda_device *device, cudaError_t code, const char *call, ndbuf_error *err)
{
    const cuda_api *api = device->place.api;
    switch (code) {
    case cudaSuccess:
        return NDBUF_OK;
    case cudaErrorInvalidKernelImage:
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidPtx:
    case cudaErrorUnsupportedPtxVersion:
    case cudaErrorJitCompilerNotFound:
    case cudaErrorJitCompilationDisabled:
        atomic_store_explicit(&device->lacks_code, true, memory_order_relaxed);
        return ndbuf_cuda__fail_as(api, err, NDBUF_ERR_UNSUPPORTED, code, call);
    default:
        return ndbuf_cuda__fail(api, err, code, call);
    }
}

/* With the mutex held. */
static ndbuf_status load(cuda_device *device, ndbuf_error *err)
{
    const cuda_api *api = device->place.api;
    cudaKernel_t *loaded = ndbuf__calloc((size_t)ndbuf__kernel_count, sizeof(cudaKernel_t));
    if (loaded == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the table of %d kernels", (int)ndbuf__kernel_count);
    }
    kernels = loaded;
    cudaError_t code = api->cudaLibraryLoadData(&library, ndbuf__kernel_fatbin, NULL, NULL, 0, NULL, NULL, 0);
    ndbuf_status status = ndbuf_cuda__kernel_status(device, code, "cudaLibraryLoadData", err);
    for (int32_t i = 0; i < ndbuf__kernel_count && status == NDBUF_OK; i++) {
        code = api->cudaLibraryGetKernel(&kernels[i], library, ndbuf__kernel_names[i]);
        status = ndbuf_cuda__kernel_status(device, code, "cudaLibraryGetKernel", err);
    }
    if (status != NDBUF_OK) {
        unload(api);
    }
    return status;
}

ndbuf_status ndbuf_cuda__kernel_get(cuda_device *device, int32_t index, const void **out_kernel, ndbuf_error *err)
{
    ndbuf__mutex_lock(&kernels_mutex);
    ndbuf_status status = kernels != NULL ? NDBUF_OK : load(device, err);
    if (status == NDBUF_OK) {
        *out_kernel = (const void *)kernels[index];
    }
    ndbuf__mutex_unlock(&kernels_mutex);
    return status;
}
