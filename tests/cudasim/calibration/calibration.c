/* SPDX-License-Identifier: Apache-2.0 */
/* usage: cuda-calibration LIBRARY [--busy-ms N] [--only NAME]
 *
 * Asks a CUDA runtime (libcudart.so.13, libcudasim.so) how it behaves: one line "name = answer" for each question. Exit
 * status: 0 all asked; 77 the library has no device, for the reason on stderr; 1 anything else. */
#include "tests/cudasim/calibration/calibration.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "backends/kernels/kernel_plan.h"

#define GROUP_LIMIT_S 30
#define EXIT_NO_DEVICE 77

calibration_api cuda;
calibration_world world;
int busy_ms = 150;

typedef struct calibration_group {
    const char *name;
    void (*ask)(void);
    bool needs_world;
} calibration_group;

static const calibration_group groups[] = {
    {"versions", ask_versions, false},
    {"devices", ask_devices, false},
    {"driver_entry_points", ask_driver_entry_points, false},
    {"errors", ask_errors, true},
    {"device_memory", ask_device_memory, true},
    {"host_memory", ask_host_memory, true},
    {"pointers", ask_pointers, true},
    {"registration", ask_registration, true},
    {"pools", ask_pools, true},
    {"pools_foreign", ask_pools_foreign, true},
    {"pools_destroyed", ask_pools_destroyed, true},
    {"pool_addresses", ask_pool_addresses, true},
    {"ipc", ask_ipc, false},
    {"ipc_own_process", ask_ipc_own_process, true},
    {"copy", ask_copy_arguments, true},
    {"copy2d", ask_copy2d_arguments, true},
    {"copy3d", ask_copy3d_arguments, true},
    {"copy_peer", ask_peer_copy_arguments, true},
    {"copy_results", ask_copy_results, true},
    {"pageable_order", ask_pageable_order, true},
    {"pageable_graph", ask_pageable_graph, true},
    {"streams", ask_streams, true},
    {"events", ask_events, true},
    {"order", ask_order, true},
    {"blocking", ask_blocking, true},
    {"blocking_legacy", ask_blocking_legacy, true},
    {"capture", ask_capture, true},
    {"capture_rules", ask_capture_rules, true},
    {"capture_graph", ask_capture_graph, true},
    {"host_functions", ask_host_functions, true},
    {"libraries", ask_libraries, true},
    {"launches", ask_launches, true},
    {"fork", ask_fork, true},
    {"freed_twice_async", ask_freed_twice_async, true},
    {"not_a_library", ask_not_a_library, true},
    {"host_function_calls", ask_host_function_calls, true},
    {"sticky", ask_sticky, true},
};

void answer(const char *name, const char *format, ...)
{
    va_list args;
    printf("%s = ", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

const char *error_name(cudaError_t error)
{
    if (error == NOT_IN_LIBRARY) {
        return "not in this library";
    }
    if (error == NO_KERNELS) {
        return "no kernels in this build";
    }
    cuda.cudaGetLastError();
    return cuda.cudaGetErrorName(error);
}

void answer_error(const char *name, cudaError_t error)
{
    answer(name, "%s", error_name(error));
}

void answer_yes(const char *name, bool is_so)
{
    answer(name, "%s", is_so ? "yes" : "no");
}

/* Fills the function pointer at `out_function`; POSIX lets a function's address pass through a void pointer. */
static bool load(void *library, const char *name, void *out_function)
{
    void *address = dlsym(library, name);
    memcpy(out_function, &address, sizeof(address));
    return address != NULL;
}

static bool load_all(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "cuda-calibration: %s\n", dlerror());
        return false;
    }
    bool complete = true;
#define LOAD_REQUIRED(name)                                                                                            \
    if (!load(library, #name, &cuda.name)) {                                                                           \
        fprintf(stderr, "cuda-calibration: %s has no %s\n", path, #name);                                              \
        complete = false;                                                                                              \
    }
#define LOAD_OPTIONAL(name) load(library, #name, &cuda.name);
    CUDA_FUNCTION_LIST(LOAD_REQUIRED)
    CALIBRATION_OPTIONAL(LOAD_OPTIONAL)
#undef LOAD_REQUIRED
#undef LOAD_OPTIONAL
    return complete;
}

struct cudaMemPoolProps pool_properties(int device)
{
    struct cudaMemPoolProps properties;
    memset(&properties, 0, sizeof(properties));
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    return properties;
}

static bool made(const char *what, cudaError_t error)
{
    if (error != cudaSuccess) {
        fprintf(stderr, "cuda-calibration: %s: %s\n", what, cuda.cudaGetErrorName(error));
    }
    return error == cudaSuccess;
}

static bool open_world(void)
{
    struct cudaMemPoolProps properties = pool_properties(0);
    void *pageable = NULL;
    void *pageable2 = NULL;
    void *registered = NULL;
    if (posix_memalign(&pageable, 4096, MEMORY_NBYTES) != 0 || posix_memalign(&pageable2, 4096, MEMORY_NBYTES) != 0 ||
        posix_memalign(&registered, 4096, MEMORY_NBYTES) != 0) {
        return false;
    }
    memset(pageable, 1, MEMORY_NBYTES);
    memset(pageable2, 2, MEMORY_NBYTES);
    memset(registered, 3, MEMORY_NBYTES);
    world.pageable = pageable;
    world.pageable2 = pageable2;
    world.registered = registered;
    if (!made("cudaGetDeviceCount", cuda.cudaGetDeviceCount(&world.ndevices)) ||
        !made("cudaSetDevice", cuda.cudaSetDevice(0)) ||
        !made("cudaMalloc", cuda.cudaMalloc((void **)&world.device, MEMORY_NBYTES)) ||
        !made("cudaMalloc", cuda.cudaMalloc((void **)&world.device2, MEMORY_NBYTES)) ||
        !made("cudaHostAlloc", cuda.cudaHostAlloc((void **)&world.pinned, MEMORY_NBYTES, cudaHostAllocPortable)) ||
        !made("cudaHostAlloc", cuda.cudaHostAlloc((void **)&world.pinned2, MEMORY_NBYTES, cudaHostAllocPortable)) ||
        !made("cudaMallocManaged",
              cuda.cudaMallocManaged((void **)&world.managed, MEMORY_NBYTES, cudaMemAttachGlobal)) ||
        !made("cudaHostRegister", cuda.cudaHostRegister(registered, MEMORY_NBYTES, cudaHostRegisterPortable)) ||
        !made("cudaStreamCreateWithFlags", cuda.cudaStreamCreateWithFlags(&world.blocking, cudaStreamDefault)) ||
        !made("cudaStreamCreateWithFlags", cuda.cudaStreamCreateWithFlags(&world.stream, cudaStreamNonBlocking)) ||
        !made("cudaStreamCreateWithFlags", cuda.cudaStreamCreateWithFlags(&world.other, cudaStreamNonBlocking)) ||
        !made("cudaEventCreateWithFlags", cuda.cudaEventCreateWithFlags(&world.event, cudaEventDisableTiming)) ||
        !made("cudaMemPoolCreate", cuda.cudaMemPoolCreate(&world.pool, &properties)) ||
        !made("cudaMallocFromPoolAsync",
              cuda.cudaMallocFromPoolAsync((void **)&world.pooled, MEMORY_NBYTES, world.pool, world.stream)) ||
        !made("cudaStreamSynchronize", cuda.cudaStreamSynchronize(world.stream))) {
        return false;
    }
    memset(world.pinned, 4, MEMORY_NBYTES);
    memset(world.pinned2, 5, MEMORY_NBYTES);
    /* Every block of the device has contents. */
    return made("cudaMemcpyAsync",
                cuda.cudaMemcpyAsync(world.device, world.pinned, MEMORY_NBYTES, cudaMemcpyDefault, world.stream)) &&
           made("cudaMemcpyAsync",
                cuda.cudaMemcpyAsync(world.device2, world.pinned, MEMORY_NBYTES, cudaMemcpyDefault, world.stream)) &&
           made("cudaMemcpyAsync",
                cuda.cudaMemcpyAsync(world.pooled, world.pinned, MEMORY_NBYTES, cudaMemcpyDefault, world.stream)) &&
           made("cudaMemcpyAsync",
                cuda.cudaMemcpyAsync(world.managed, world.pinned, MEMORY_NBYTES, cudaMemcpyDefault, world.stream)) &&
           made("cudaStreamSynchronize", cuda.cudaStreamSynchronize(world.stream));
}

static atomic_bool busy;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void CUDART_CB sleep_on_host(void *unused)
{
    (void)unused;
    double end = now_ms() + busy_ms;
    while (now_ms() < end) {
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    atomic_store(&busy, false);
}

void become_busy(cudaStream_t stream)
{
    atomic_store(&busy, true);
    if (!made("cudaLaunchHostFunc", cuda.cudaLaunchHostFunc(stream, sleep_on_host, NULL))) {
        atomic_store(&busy, false);
    }
}

bool is_busy(void)
{
    return atomic_load(&busy);
}

void become_idle(cudaStream_t stream)
{
    made("cudaStreamSynchronize", cuda.cudaStreamSynchronize(stream));
}

void settle(void)
{
    if (CALL_PLAIN(cudaDeviceSynchronize) == NOT_IN_LIBRARY) {
        cuda.cudaStreamSynchronize(cudaStreamLegacy);
        cuda.cudaStreamSynchronize(world.blocking);
        cuda.cudaStreamSynchronize(world.stream);
        cuda.cudaStreamSynchronize(world.other);
    }
    cuda.cudaGetLastError();
}

bool has_kernels(void)
{
    return ndbuf__kernel_fatbin_nbytes > 0;
}

cudaLibrary_t kernel_library(void)
{
    static cudaLibrary_t library = NULL;
    if (library == NULL && has_kernels()) {
        made("cudaLibraryLoadData",
             cuda.cudaLibraryLoadData(&library, ndbuf__kernel_fatbin, NULL, NULL, 0, NULL, NULL, 0));
    }
    return library;
}

static cudaError_t launch(void *to, const dim3 *grid, const dim3 *block, size_t shared_nbytes, cudaStream_t stream)
{
    static const int64_t shape[1] = {4};
    static const int64_t dst_strides[1] = {32};
    static const int64_t src_strides[1] = {48};
    const ndbuf_mem dst = {.handle = to, .nbytes = MEMORY_NBYTES};
    const ndbuf_mem src = {.handle = world.device2, .nbytes = MEMORY_NBYTES};
    const ndbuf_strided box = {
        .dst = {&dst, 0, dst_strides}, .src = {&src, 0, src_strides}, .ndim = 1, .shape = shape, .unit_nbytes = 16};
    ndbuf__kernel_launch plan;
    cudaKernel_t kernel = NULL;
    if (!ndbuf__kernel_plan_copy(&box, (uintptr_t)to, (uintptr_t)world.device2, 1024, &plan)) {
        return cudaErrorUnknown;
    }
    cudaError_t error = cuda.cudaLibraryGetKernel(&kernel, kernel_library(), ndbuf__kernel_names[plan.kernel]);
    if (error != cudaSuccess) {
        return error;
    }
    void *arguments[3] = {&to, &world.device2, &plan.params};
    dim3 planned_grid = {plan.ngroups, 1, 1};
    dim3 planned_block = {plan.group_nitems, 1, 1};
    return cuda.cudaLaunchKernel((const void *)kernel, grid != NULL ? *grid : planned_grid,
                                 block != NULL ? *block : planned_block, arguments, shared_nbytes, stream);
}

cudaError_t launch_copy(cudaStream_t stream)
{
    return launch(world.device, NULL, NULL, 0, stream);
}

cudaError_t launch_shaped(dim3 grid, dim3 block, size_t shared_nbytes)
{
    return launch(world.device, &grid, &block, shared_nbytes, world.stream);
}

cudaError_t launch_copy_to(void *dst)
{
    return launch(dst, NULL, NULL, 0, world.stream);
}

/* In a process of its own. */
static int count_devices(const char *path)
{
    int count = 0;
    if (!load_all(path)) {
        return EXIT_FAILURE;
    }
    cudaError_t error = cuda.cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count == 0) {
        fprintf(stderr, "cuda-calibration: no device: %s: %s\n", cuda.cudaGetErrorName(error),
                cuda.cudaGetErrorString(error));
        return EXIT_NO_DEVICE;
    }
    return EXIT_SUCCESS;
}

/* What a child does: asks a group, or a question alone, or counts devices (neither). */
typedef struct calibration_task {
    const calibration_group *group;
    const calibration_alone *alone;
} calibration_task;

static int ask(const char *path, const calibration_task *task)
{
    const char *name = task->group != NULL ? task->group->name : task->alone->name;
    if (!load_all(path)) {
        return EXIT_FAILURE;
    }
    if ((task->group == NULL || task->group->needs_world) && !open_world()) {
        answer(name, "no memory, streams and events to ask with");
        return EXIT_SUCCESS;
    }
    if (task->group != NULL) {
        task->group->ask();
    } else {
        answer_error(name, task->alone->ask());
    }
    return EXIT_SUCCESS;
}

/* In a child; its status as waitpid tells it. */
static int run(const char *path, const calibration_task *task)
{
    int status = 0;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(GROUP_LIMIT_S);
        int result = task->group == NULL && task->alone == NULL ? count_devices(path) : ask(path, task);
        fflush(stdout);
        _exit(result); /* without the runtime's own exit handlers, which the questions may have upset */
    }
    if (child < 0 || waitpid(child, &status, 0) != child) {
        perror("cuda-calibration");
        exit(EXIT_FAILURE);
    }
    return status;
}

/* How the child ended is an answer, unless it ended well. */
static void run_task(const char *path, const char *name, const calibration_task *task)
{
    int status = run(path, task);
    if (WIFSIGNALED(status)) {
        answer(name, "ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else if (WEXITSTATUS(status) != EXIT_SUCCESS) {
        answer(name, "ended with status %d", WEXITSTATUS(status));
    }
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    const char *only = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else if (strcmp(argv[i], "--busy-ms") == 0 && i + 1 < argc) {
            busy_ms = (int)strtol(argv[++i], NULL, 10);
        } else if (path == NULL && argv[i][0] != '-') {
            path = argv[i];
        } else {
            path = NULL;
            break;
        }
    }
    if (path == NULL || busy_ms < 1) {
        fputs("usage: cuda-calibration LIBRARY [--busy-ms N] [--only NAME]\n", stderr);
        return EXIT_FAILURE;
    }
    int status = run(path, &(calibration_task){NULL, NULL});
    if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
    }
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (only == NULL || strcmp(only, groups[i].name) == 0) {
            run_task(path, groups[i].name, &(calibration_task){.group = &groups[i]});
        }
    }
    for (size_t i = 0; i < calibration_nalone; i++) {
        const calibration_alone *alone = &calibration_questions_alone[i];
        if (only == NULL || strcmp(only, alone->name) == 0) {
            run_task(path, alone->name, &(calibration_task){.alone = alone});
        }
    }
    return EXIT_SUCCESS;
}
