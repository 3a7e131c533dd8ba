/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_CUDASIM_CALIBRATION_CALIBRATION_H
#define NDBUF_TESTS_CUDASIM_CALIBRATION_CALIBRATION_H

/* Questions to a CUDA runtime, real or simulated: each is a line "name = answer" on stdout, the same in every run. The
 * questions stand in groups; a group runs in a process of its own, so that what it breaks ends with it. */

#include <stdbool.h>
#include <stddef.h>

#include <cuda_runtime_api.h>

#include "backends/cuda/cuda_api.h"

/* Beside what the backend calls, which every library must have. What it lacks of these: questions about them are
 * answered "not in this library". */
#define CALIBRATION_OPTIONAL(X)                                                                                        \
    X(cudaDeviceSynchronize)                                                                                           \
    X(cudaEventElapsedTime)                                                                                            \
    X(cudaGraphDestroy)                                                                                                \
    X(cudaGraphExecDestroy)                                                                                            \
    X(cudaGraphInstantiate)                                                                                            \
    X(cudaGraphLaunch)                                                                                                 \
    X(cudaMemcpy)                                                                                                      \
    X(cudaMemPoolGetAttribute)                                                                                         \
    X(cudaPeekAtLastError)                                                                                             \
    X(cudaStreamBeginCapture)                                                                                          \
    X(cudaStreamEndCapture)                                                                                            \
    X(cudaStreamQuery)

typedef struct calibration_api {
#define CALIBRATION_MEMBER(name) __typeof__ (&(name))(name);
    CUDA_FUNCTION_LIST(CALIBRATION_MEMBER)
    CALIBRATION_OPTIONAL(CALIBRATION_MEMBER)
#undef CALIBRATION_MEMBER
} calibration_api;

/* The functions of the library that is asked; those that it lacks are NULL. */
extern calibration_api cuda;

/* The answer of a function that the library lacks, as an error code. */
#define NOT_IN_LIBRARY ((cudaError_t)0x7ffffff0)
/* Of a question about kernels, in a build without them. */
#define NO_KERNELS ((cudaError_t)0x7ffffff1)
#define CALL(function, ...) (cuda.function == NULL ? NOT_IN_LIBRARY : cuda.function(__VA_ARGS__))
#define CALL_PLAIN(function) (cuda.function == NULL ? NOT_IN_LIBRARY : cuda.function())

/* Prints "name = " and the answer. The error's name is asked of the library; the thread's last error is cleared. */
void answer(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
void answer_error(const char *name, cudaError_t error);
void answer_yes(const char *name, bool is_so);
const char *error_name(cudaError_t error);

/* What most questions are about, all on device 0; MEMORY_NBYTES bytes each. */
#define MEMORY_NBYTES ((size_t)1 << 20)

typedef struct calibration_world {
    int ndevices;
    char *device; /* cudaMalloc */
    char *device2;
    char *pooled; /* cudaMallocFromPoolAsync, and done */
    char *pinned; /* cudaHostAlloc */
    char *pinned2;
    char *managed;
    char *pageable;
    char *pageable2;
    char *registered; /* cudaHostRegister */
    cudaMemPool_t pool;
    cudaStream_t blocking; /* waits for the legacy stream, and is waited for */
    cudaStream_t stream;   /* these two do not */
    cudaStream_t other;
    cudaEvent_t event; /* never recorded */
} calibration_world;

extern calibration_world world;

/* A pool of the device, like ndbuf's. */
struct cudaMemPoolProps pool_properties(int device);

/* Puts a host function into the stream that sleeps; is_busy() says whether it has not ended yet. become_idle() waits
 * for the stream. */
void become_busy(cudaStream_t stream);
bool is_busy(void);
void become_idle(cudaStream_t stream);
extern int busy_ms;

/* Waits for everything. */
void settle(void);

/* A copy of 64 bytes from device2 to device by one of ndbuf's kernels. */
cudaError_t launch_copy(cudaStream_t stream);
/* The same with another shape of the launch. */
cudaError_t launch_shaped(dim3 grid, dim3 block, size_t shared_nbytes);
/* The same to another address. */
cudaError_t launch_copy_to(void *dst);
bool has_kernels(void);
cudaLibrary_t kernel_library(void);

/* A call of the runtime as the questions about blocking and capture make it. `prepare` makes what it uses up; NULL:
 * nothing. */
typedef struct calibration_call {
    const char *name;
    void *(*prepare)(void);
    cudaError_t (*make)(void *object, cudaStream_t stream);
} calibration_call;

extern const calibration_call calibration_calls[];
extern const size_t calibration_ncalls;
extern const calibration_call calibration_copy_calls[];
extern const size_t calibration_ncopy_calls;
void *calibration_new_stream(void);

/* A question whose process it may end: it is asked in one of its own, where that is its answer then. */
typedef struct calibration_alone {
    const char *name;
    cudaError_t (*ask)(void);
} calibration_alone;

extern const calibration_alone calibration_questions_alone[];
extern const size_t calibration_nalone;

/* The groups. */
void ask_versions(void);
void ask_devices(void);
void ask_driver_entry_points(void);
void ask_errors(void);
void ask_device_memory(void);
void ask_host_memory(void);
void ask_pointers(void);
void ask_registration(void);
void ask_pools(void);
void ask_pools_foreign(void);
void ask_pools_destroyed(void);
void ask_pool_addresses(void);
void ask_ipc(void);
void ask_ipc_own_process(void);
void ask_copy_arguments(void);
void ask_copy2d_arguments(void);
void ask_copy3d_arguments(void);
void ask_peer_copy_arguments(void);
void ask_copy_results(void);
void ask_pageable_order(void);
void ask_pageable_graph(void);
void ask_streams(void);
void ask_events(void);
void ask_order(void);
void ask_blocking(void);
void ask_blocking_legacy(void);
void ask_capture(void);
void ask_capture_rules(void);
void ask_capture_graph(void);
void ask_host_functions(void);
void ask_libraries(void);
void ask_launches(void);
void ask_fork(void);

/* Those that upset the process more than others. */
void ask_freed_twice_async(void);
void ask_not_a_library(void);
void ask_host_function_calls(void);
void ask_sticky(void);

#endif
