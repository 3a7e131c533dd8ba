/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_api.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ndbuf/cuda.h"

#include "core/environment.h"
#include "core/sync.h"

static const cuda_api linked_table = {
#define CUDA_LINKED(name) .name = (name),
    CUDA_FUNCTION_LIST(CUDA_LINKED)
#undef CUDA_LINKED
};

typedef struct cuda_symbol {
    const char *name;
    size_t offset; /* of its pointer in cuda_api */
} cuda_symbol;

static const cuda_symbol api_symbols[] = {
#define CUDA_SYMBOL(name) {#name, offsetof(cuda_api, name)},
    CUDA_FUNCTION_LIST(CUDA_SYMBOL)
#undef CUDA_SYMBOL
};

/* A library opened here is never closed. The process is that of the first use: 0 until then. */
static ndbuf__mutex api_mutex = NDBUF__MUTEX_INIT;
static cuda_api api_table;
static bool api_is_open;
static _Atomic(long) api_process;

bool ndbuf_cuda__is_child(void)
{
    long process = atomic_load_explicit(&api_process, memory_order_relaxed);
    return process != 0 && process != (long)getpid();
}

static ndbuf_status fail_in_child(ndbuf_error *err)
{
    return ndbuf_fail_native(err, NDBUF_ERR_UNAVAILABLE, cudaErrorInitializationError,
                             "CUDA cannot be used in a process that was forked off one which uses it");
}

/* With the mutex held. */
static void use_table(const cuda_api *table)
{
    api_table = *table;
    api_is_open = true;
    atomic_store_explicit(&api_process, (long)getpid(), memory_order_relaxed);
}

static ndbuf_status check_version(const cuda_api *table, const char *path, ndbuf_error *err)
{
    int version = 0;
    cudaError_t code = table->cudaRuntimeGetVersion(&version);
    if (code != cudaSuccess) {
        return ndbuf_fail_native(err, NDBUF_ERR_UNAVAILABLE, (int32_t)code, "%s does not tell its version (%d)", path,
                                 (int)code);
    }
    if (version / 1000 != CUDART_VERSION / 1000) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "%s is of CUDA %d.%d, the library was built for CUDA %d", path,
                          version / 1000, version % 1000 / 10, CUDART_VERSION / 1000);
    }
    return NDBUF_OK;
}

static ndbuf_status load_table(void *library, const char *path, cuda_api *out_table, ndbuf_error *err)
{
    memset(out_table, 0, sizeof(*out_table));
    for (size_t i = 0; i < sizeof(api_symbols) / sizeof(api_symbols[0]); i++) {
        void *address = dlsym(library, api_symbols[i].name);
        if (address == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "%s has no %s: the runtime of CUDA %d.%d or later is needed",
                              path, api_symbols[i].name, CUDART_VERSION / 1000, CUDART_VERSION % 1000 / 10);
        }
        memcpy((char *)out_table + api_symbols[i].offset, &address, sizeof(address));
    }
    out_table->is_simulated = dlsym(library, "ndbuf_cudart_is_simulated") != NULL;
    return check_version(out_table, path, err);
}

static ndbuf_status check_program(ndbuf_error *err)
{
    return !ndbuf__program_is_static()
               ? NDBUF_OK
               : ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "a fully static program cannot open the CUDA driver");
}

/* With the mutex held. */
static ndbuf_status open_library(const char *path, ndbuf_error *err)
{
    ndbuf_status status = check_program(err);
    if (status != NDBUF_OK) {
        return status;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "no CUDA runtime: %s", why != NULL ? why : path);
    }
    cuda_api table;
    status = load_table(library, path, &table, err);
    if (status != NDBUF_OK) {
        dlclose(library);
        return status;
    }
    use_table(&table);
    return NDBUF_OK;
}

/* With the mutex held. */
static ndbuf_status open_default(ndbuf_error *err)
{
    const char *path = ndbuf__environment("NDBUF_CUDART");
    if (path != NULL && path[0] != '\0') {
        return open_library(path, err);
    }
    ndbuf_status status = check_program(err);
    if (status == NDBUF_OK) {
        use_table(&linked_table);
    }
    return status;
}

ndbuf_status ndbuf_cuda__api_open(const cuda_api **out_api, ndbuf_error *err)
{
    if (ndbuf_cuda__is_child()) {
        return fail_in_child(err);
    }
    ndbuf__mutex_lock(&api_mutex);
    ndbuf_status status = api_is_open ? NDBUF_OK : open_default(err);
    ndbuf__mutex_unlock(&api_mutex);
    if (status == NDBUF_OK) {
        *out_api = &api_table;
    }
    return status;
}

ndbuf_status ndbuf_cuda_attach(const char *path, ndbuf_error *err)
{
    if (path == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no path of a CUDA runtime");
    }
    if (ndbuf_cuda__is_child()) {
        return fail_in_child(err);
    }
    ndbuf__mutex_lock(&api_mutex);
    ndbuf_status status =
        api_is_open ? ndbuf_fail(err, NDBUF_ERR_BUSY, "CUDA is in use already: '%.100s' cannot take its place", path)
                    : open_library(path, err);
    ndbuf__mutex_unlock(&api_mutex);
    return status;
}

bool ndbuf_cuda__is_fatal(cudaError_t code)
{
    switch (code) {
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorTensorMemoryLeak:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice:
        return true;
    default:
        return false;
    }
}

bool ndbuf_cuda__is_capture(cudaError_t code)
{
    return code >= cudaErrorStreamCaptureUnsupported && code <= cudaErrorStreamCaptureWrongThread;
}

static ndbuf_status status_of(cudaError_t code)
{
    switch (code) {
    case cudaErrorInitializationError:
    case cudaErrorStubLibrary:
    case cudaErrorInsufficientDriver:
    case cudaErrorDevicesUnavailable:
    case cudaErrorNoDevice:
    case cudaErrorSystemNotReady:
    case cudaErrorSystemDriverMismatch:
    case cudaErrorCompatNotSupportedOnDevice:
        return NDBUF_ERR_UNAVAILABLE;
    case cudaErrorMemoryAllocation:
        return NDBUF_ERR_NOMEM;
    case cudaErrorNotSupported:
        return NDBUF_ERR_UNSUPPORTED;
    default:
        return ndbuf_cuda__is_capture(code) ? NDBUF_ERR_UNSUPPORTED : NDBUF_ERR_DEVICE;
    }
}

ndbuf_status ndbuf_cuda__fail_as(const cuda_api *api, ndbuf_error *err, ndbuf_status status, cudaError_t code,
                                 const char *call)
{
    const char *arrow = strstr(call, "->");
    const char *name = arrow != NULL ? arrow + 2 : call;
    api->cudaGetLastError();
    return ndbuf_fail_native(err, status, (int32_t)code, "%.*s: %s (%s, %d)", (int)strcspn(name, "("), name,
                             api->cudaGetErrorString(code), api->cudaGetErrorName(code), (int)code);
}

ndbuf_status ndbuf_cuda__fail(const cuda_api *api, ndbuf_error *err, cudaError_t code, const char *call)
{
    return ndbuf_cuda__fail_as(api, err, status_of(code), code, call);
}
