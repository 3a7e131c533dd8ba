/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/opencl/opencl_api.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/environment.h"
#include "core/sync.h"

#define OPENCL_LIBRARY "libOpenCL.so.1"

/* The loader is never closed: drivers do not survive that. The process is that of the first use: 0 until then. */
static ndbuf__mutex api_mutex = NDBUF__MUTEX_INIT;
static opencl_api api_table;
static bool api_is_open;
static _Atomic(long) api_process;

typedef struct opencl_symbol {
    const char *name;
    size_t offset; /* of its pointer in opencl_api */
} opencl_symbol;

static const opencl_symbol api_symbols[] = {
#define OPENCL_SYMBOL(name) {#name, offsetof(opencl_api, name)},
    OPENCL_FUNCTION_LIST(OPENCL_SYMBOL)
#undef OPENCL_SYMBOL
};

bool ndbuf_opencl__is_child(void)
{
    long process = atomic_load_explicit(&api_process, memory_order_relaxed);
    return process != 0 && process != (long)getpid();
}

ndbuf_status ndbuf_opencl__refuse_child(ndbuf_error *err)
{
    return ndbuf_opencl__is_child()
               ? ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE,
                            "OpenCL cannot be used in a process that was forked off one which uses it")
               : NDBUF_OK;
}

static const char *library_path(void)
{
    const char *path = ndbuf__environment("NDBUF_OPENCL");
    return path != NULL && path[0] != '\0' ? path : OPENCL_LIBRARY;
}

/* With the mutex held. */
static ndbuf_status open_library(ndbuf_error *err)
{
    if (ndbuf__program_is_static()) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "a fully static program cannot open the OpenCL loader");
    }
    const char *path = library_path();
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "no OpenCL loader: %s", why != NULL ? why : path);
    }
    opencl_api table;
    for (size_t i = 0; i < sizeof(api_symbols) / sizeof(api_symbols[0]); i++) {
        void *address = dlsym(library, api_symbols[i].name);
        if (address == NULL) {
            dlclose(library);
            return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "%s has no %s: OpenCL 1.2 is needed", path,
                              api_symbols[i].name);
        }
        memcpy((char *)&table + api_symbols[i].offset, &address, sizeof(address));
    }
    api_table = table;
    api_is_open = true;
    atomic_store_explicit(&api_process, (long)getpid(), memory_order_relaxed);
    return NDBUF_OK;
}

ndbuf_status ndbuf_opencl__api_open(const opencl_api **out_api, ndbuf_error *err)
{
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf__mutex_lock(&api_mutex);
    status = api_is_open ? NDBUF_OK : open_library(err);
    ndbuf__mutex_unlock(&api_mutex);
    if (status == NDBUF_OK) {
        *out_api = &api_table;
    }
    return status;
}

const char *ndbuf_opencl__code_name(cl_int code)
{
#define OPENCL_CODE_LIST(X)                                                                                            \
    X(CL_DEVICE_NOT_FOUND)                                                                                             \
    X(CL_DEVICE_NOT_AVAILABLE)                                                                                         \
    X(CL_COMPILER_NOT_AVAILABLE)                                                                                       \
    X(CL_MEM_OBJECT_ALLOCATION_FAILURE)                                                                                \
    X(CL_OUT_OF_RESOURCES)                                                                                             \
    X(CL_OUT_OF_HOST_MEMORY)                                                                                           \
    X(CL_PROFILING_INFO_NOT_AVAILABLE)                                                                                 \
    X(CL_MEM_COPY_OVERLAP)                                                                                             \
    X(CL_BUILD_PROGRAM_FAILURE)                                                                                        \
    X(CL_MAP_FAILURE)                                                                                                  \
    X(CL_MISALIGNED_SUB_BUFFER_OFFSET)                                                                                 \
    X(CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST)                                                                    \
    X(CL_INVALID_VALUE)                                                                                                \
    X(CL_INVALID_DEVICE_TYPE)                                                                                          \
    X(CL_INVALID_PLATFORM)                                                                                             \
    X(CL_INVALID_DEVICE)                                                                                               \
    X(CL_INVALID_CONTEXT)                                                                                              \
    X(CL_INVALID_QUEUE_PROPERTIES)                                                                                     \
    X(CL_INVALID_COMMAND_QUEUE)                                                                                        \
    X(CL_INVALID_HOST_PTR)                                                                                             \
    X(CL_INVALID_MEM_OBJECT)                                                                                           \
    X(CL_INVALID_BINARY)                                                                                               \
    X(CL_INVALID_BUILD_OPTIONS)                                                                                        \
    X(CL_INVALID_PROGRAM)                                                                                              \
    X(CL_INVALID_PROGRAM_EXECUTABLE)                                                                                   \
    X(CL_INVALID_KERNEL_NAME)                                                                                          \
    X(CL_INVALID_KERNEL_DEFINITION)                                                                                    \
    X(CL_INVALID_KERNEL)                                                                                               \
    X(CL_INVALID_ARG_INDEX)                                                                                            \
    X(CL_INVALID_ARG_VALUE)                                                                                            \
    X(CL_INVALID_ARG_SIZE)                                                                                             \
    X(CL_INVALID_KERNEL_ARGS)                                                                                          \
    X(CL_INVALID_WORK_DIMENSION)                                                                                       \
    X(CL_INVALID_WORK_GROUP_SIZE)                                                                                      \
    X(CL_INVALID_WORK_ITEM_SIZE)                                                                                       \
    X(CL_INVALID_GLOBAL_OFFSET)                                                                                        \
    X(CL_INVALID_EVENT_WAIT_LIST)                                                                                      \
    X(CL_INVALID_EVENT)                                                                                                \
    X(CL_INVALID_OPERATION)                                                                                            \
    X(CL_INVALID_BUFFER_SIZE)                                                                                          \
    X(CL_INVALID_GLOBAL_WORK_SIZE)                                                                                     \
    X(CL_INVALID_PROPERTY)
    switch (code) {
#define OPENCL_CODE_CASE(name)                                                                                         \
    case name:                                                                                                         \
        return #name;
        OPENCL_CODE_LIST(OPENCL_CODE_CASE)
#undef OPENCL_CODE_CASE
    case -1001: /* cl_khr_icd's; CL/cl_ext.h has the name, but need not be there */
        return "CL_PLATFORM_NOT_FOUND_KHR";
    default:
        return "unknown error";
    }
#undef OPENCL_CODE_LIST
}

ndbuf_status ndbuf_opencl__fail(ndbuf_error *err, ndbuf_status status, cl_int code, const char *call)
{
    const char *arrow = strstr(call, "->cl"); /* others may come first: to the table, or to where the result goes */
    const char *name = arrow != NULL ? arrow + 2 : call;
    return ndbuf_fail_native(err, status, code, "%.*s: %s (%d)", (int)strcspn(name, "("), name,
                             ndbuf_opencl__code_name(code), (int)code);
}
