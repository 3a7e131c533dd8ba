/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_cuda.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_NON_BLOCKING 1u
#define MEMCPY_DEFAULT 4

/* Name, result, arguments: as cuda_runtime_api.h has them, with handles as void pointers and enumerations as int. */
#define FUNCTION_LIST(X)                                                                                               \
    X(cudaGetErrorName, const char *, (int))                                                                           \
    X(cudaSetDevice, int, (int))                                                                                       \
    X(cudaStreamCreateWithFlags, int, (void **, unsigned))                                                             \
    X(cudaStreamDestroy, int, (void *))                                                                                \
    X(cudaEventCreateWithFlags, int, (void **, unsigned))                                                              \
    X(cudaEventDestroy, int, (void *))                                                                                 \
    X(cudaEventRecord, int, (void *, void *))                                                                          \
    X(cudaEventSynchronize, int, (void *))                                                                             \
    X(cudaEventElapsedTime, int, (float *, void *, void *))                                                            \
    X(cudaMemcpyAsync, int, (void *, const void *, size_t, int, void *))                                               \
    X(cudaMemcpy2DAsync, int, (void *, size_t, const void *, size_t, size_t, size_t, int, void *))

struct bench_cuda {
    void *library;
    void *stream;
    void *start;
    void *stop;
#define MEMBER(name, result, arguments) result(*name) arguments;
    FUNCTION_LIST(MEMBER)
#undef MEMBER
};

/* Fills the function pointer at `out_function`; POSIX lets a function's address pass through a void pointer. */
static ndbuf_status load(void *library, const char *name, void *out_function, ndbuf_error *err)
{
    void *address = dlsym(library, name);
    if (address == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "the CUDA runtime has no %s", name);
    }
    memcpy(out_function, &address, sizeof(address));
    return NDBUF_OK;
}

static ndbuf_status load_all(bench_cuda *cuda, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
#define LOAD(name, result, arguments)                                                                                  \
    if (status == NDBUF_OK) {                                                                                          \
        status = load(cuda->library, #name, &cuda->name, err);                                                         \
    }
    FUNCTION_LIST(LOAD)
#undef LOAD
    return status;
}

static ndbuf_status check(const bench_cuda *cuda, const char *call, int code, ndbuf_error *err)
{
    if (code != 0) {
        return ndbuf_fail_native(err, NDBUF_ERR_DEVICE, code, "%s: %s", call, cuda->cudaGetErrorName(code));
    }
    return NDBUF_OK;
}

static void *open_library(void)
{
    static const char *const names[] = {"libcudart.so.13", "libcudart.so.12", "libcudart.so"};
    const char *path = getenv("NDBUF_CUDART");
    void *library = path != NULL ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; path == NULL && library == NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

ndbuf_status bench_cuda_open(int device, bench_cuda **out_cuda, ndbuf_error *err)
{
    bench_cuda *cuda = calloc(1, sizeof(*cuda));
    if (cuda == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a table of CUDA functions");
    }
    ndbuf_status status = NDBUF_OK;
    cuda->library = open_library();
    if (cuda->library == NULL) {
        status = ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "%s", dlerror());
    }
    if (status == NDBUF_OK) {
        status = load_all(cuda, err);
    }
    if (status == NDBUF_OK) {
        status = check(cuda, "cudaSetDevice", cuda->cudaSetDevice(device), err);
    }
    if (status == NDBUF_OK) {
        status = check(cuda, "cudaStreamCreateWithFlags",
                       cuda->cudaStreamCreateWithFlags(&cuda->stream, STREAM_NON_BLOCKING), err);
    }
    if (status == NDBUF_OK) {
        status = check(cuda, "cudaEventCreateWithFlags", cuda->cudaEventCreateWithFlags(&cuda->start, 0), err);
    }
    if (status == NDBUF_OK) {
        status = check(cuda, "cudaEventCreateWithFlags", cuda->cudaEventCreateWithFlags(&cuda->stop, 0), err);
    }
    if (status != NDBUF_OK) {
        bench_cuda_close(cuda);
        return status;
    }
    *out_cuda = cuda;
    return NDBUF_OK;
}

void bench_cuda_close(bench_cuda *cuda)
{
    if (cuda == NULL) {
        return;
    }
    if (cuda->stop != NULL) {
        cuda->cudaEventDestroy(cuda->stop);
    }
    if (cuda->start != NULL) {
        cuda->cudaEventDestroy(cuda->start);
    }
    if (cuda->stream != NULL) {
        cuda->cudaStreamDestroy(cuda->stream);
    }
    /* The library stays open: a CUDA runtime that is unloaded while the process has a context is not supported. */
    free(cuda);
}

void *bench_cuda_stream(const bench_cuda *cuda)
{
    return cuda->stream;
}

ndbuf_status bench_cuda_copy(const bench_cuda *cuda, void *dst, const void *src, size_t nbytes, ndbuf_error *err)
{
    return check(cuda, "cudaMemcpyAsync", cuda->cudaMemcpyAsync(dst, src, nbytes, MEMCPY_DEFAULT, cuda->stream), err);
}

ndbuf_status bench_cuda_copy_rows(const bench_cuda *cuda, void *dst, size_t dst_pitch, const void *src,
                                  size_t src_pitch, size_t row_nbytes, size_t nrows, ndbuf_error *err)
{
    return check(
        cuda, "cudaMemcpy2DAsync",
        cuda->cudaMemcpy2DAsync(dst, dst_pitch, src, src_pitch, row_nbytes, nrows, MEMCPY_DEFAULT, cuda->stream), err);
}

ndbuf_status bench_cuda_start(const bench_cuda *cuda, ndbuf_error *err)
{
    return check(cuda, "cudaEventRecord", cuda->cudaEventRecord(cuda->start, cuda->stream), err);
}

ndbuf_status bench_cuda_settle(const bench_cuda *cuda, ndbuf_error *err)
{
    return check(cuda, "cudaEventSynchronize", cuda->cudaEventSynchronize(cuda->start), err);
}

ndbuf_status bench_cuda_stop(const bench_cuda *cuda, ndbuf_error *err)
{
    return check(cuda, "cudaEventRecord", cuda->cudaEventRecord(cuda->stop, cuda->stream), err);
}

ndbuf_status bench_cuda_elapsed(const bench_cuda *cuda, double *out_ns, ndbuf_error *err)
{
    float ms = 0;
    ndbuf_status status = check(cuda, "cudaEventSynchronize", cuda->cudaEventSynchronize(cuda->stop), err);
    if (status == NDBUF_OK) {
        status = check(cuda, "cudaEventElapsedTime", cuda->cudaEventElapsedTime(&ms, cuda->start, cuda->stop), err);
    }
    if (status == NDBUF_OK) {
        *out_ns = (double)ms * 1e6;
    }
    return status;
}
