/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif
#include <cuda.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/cudasim/cudasim_test.h"
#include "tests/cudasim/sim_sanitizers.h"

#define NBYTES ((size_t)4096)

static char *device_make(size_t nbytes)
{
    void *block = NULL;
    ASSERT_CUDA_OK(cudaMalloc(&block, nbytes));
    return block;
}

/* The status of a child process that runs the function. */
static int child_status(void (*fn)(void *), void *argument)
{
    int status = 0;
    (void)fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)signal(SIGSEGV, SIG_DFL); /* cmocka's handler would go on with the other tests */
        (void)signal(SIGBUS, SIG_DFL);
        fn(argument);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void touch(void *at)
{
    *(volatile char *)at = 1;
}

/* The sanitizers turn a fault into an exit, which is not 0 either. */
static void test_the_host_faults_on_device_memory(void **state)
{
    void *managed = NULL;
    (void)state;
    char *device = device_make(NBYTES);
    assert_int_not_equal(child_status(touch, device), 0);
    ASSERT_CUDA_OK(cudaMallocManaged(&managed, NBYTES, cudaMemAttachGlobal));
    assert_int_equal(child_status(touch, managed), 0);
    ASSERT_CUDA_OK(cudaFree(managed));
    assert_int_not_equal(child_status(touch, managed), 0);
    ASSERT_CUDA_OK(cudaFree(device));
}

static void test_addresses_are_not_used_again_and_stale_ones_are_known(void **state)
{
    char byte = 0;
    (void)state;
    char *a = device_make(100);
    assert_int_equal((uintptr_t)a % 512, 0);
    ASSERT_CUDA_OK(cudaFree(a));
    char *b = device_make(100);
    assert_ptr_not_equal(a, b);
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy(&byte, a, 1, cudaMemcpyDefault));
    ASSERT_VIOLATION("where no block is");
    ASSERT_CUDA(cudaErrorInvalidValue, cudaFree(a));
    ASSERT_VIOLATION("freed before");
    ASSERT_CUDA(cudaErrorInvalidValue, cudaFree(b + 1));
    ASSERT_VIOLATION("inside a block");
    ASSERT_CUDA(cudaErrorInvalidValue, cudaFree(&byte));
    ASSERT_VIOLATION("no block");
    ASSERT_CUDA_OK(cudaFree(b));
    ASSERT_CUDA_OK(cudaFree(NULL));
}

static void test_a_copy_past_its_block_is_refused(void **state)
{
    char bytes[128] = {0};
    (void)state;
    char *device = device_make(64);
    ASSERT_CUDA_OK(cudaMemcpy(device, bytes, 64, cudaMemcpyDefault));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy(device, bytes, 65, cudaMemcpyDefault));
    ASSERT_VIOLATION("1 bytes past the block");
    ASSERT_CUDA_OK(cudaMemcpy2D(device, 60, bytes, 4, 4, 2, cudaMemcpyDefault)); /* the last row needs no pitch */
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy2D(device, 61, bytes, 4, 4, 2, cudaMemcpyDefault));
    ASSERT_VIOLATION("1 bytes past the block");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaFree(device));
}

static void test_freeing_with_work_pending_is_a_violation(void **state)
{
    void *pinned = NULL;
    char plain[64] = {0};
    cudaStream_t stream = NULL;
    (void)state;
    ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ASSERT_CUDA_OK(cudaHostAlloc(&pinned, 64, 0));
    char *device = device_make(64);
    ASSERT_CUDA_OK(cudaHostRegister(plain, sizeof(plain), cudaHostRegisterDefault));
    ASSERT_CUDA_OK(cudaMemcpyAsync(device, plain, 64, cudaMemcpyDefault, stream));
    ASSERT_CUDA_OK(cudaHostUnregister(plain));
    ASSERT_VIOLATION("cudaHostUnregister");
    ASSERT_CUDA_OK(cudaMemcpyAsync(device, pinned, 64, cudaMemcpyDefault, stream));
    ASSERT_CUDA_OK(cudaFreeHost(pinned));
    ASSERT_VIOLATION("cudaFreeHost");
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, 64, stream));
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_VIOLATION("cudaFree");
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
}

static void test_freeing_waits_for_all_work_but_that_of_a_pool(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        char plain[64] = {0};
        void *block = NULL;
        cudaStream_t stream = NULL;
        ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        char *device = device_make(64);
        if (kind == 0) {
            ASSERT_CUDA_OK(cudaMalloc(&block, 64));
        } else if (kind == 1) {
            ASSERT_CUDA_OK(cudaHostAlloc(&block, 64, 0));
        } else if (kind == 2) {
            ASSERT_CUDA_OK(cudaHostRegister(plain, sizeof(plain), 0));
        } else {
            ASSERT_CUDA_OK(cudaMallocAsync(&block, 64, stream));
            ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
        }
        ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, 64, stream));
        ASSERT_CUDA_OK(kind == 1 ? cudaFreeHost(block) : (kind == 2 ? cudaHostUnregister(plain) : cudaFree(block)));
        assert_int_equal(cudasim_test_byte(device), kind == 3 ? 0xCB : 1);
        ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
        ASSERT_CUDA_OK(cudaFree(device));
        ASSERT_CUDA_OK(cudaStreamDestroy(stream));
    }
}

static cudaMemPool_t pool_make(int device)
{
    cudaMemPool_t pool = NULL;
    const struct cudaMemPoolProps props = {
        .allocType = cudaMemAllocationTypePinned,
        .location = {.type = cudaMemLocationTypeDevice, .id = device},
    };
    ASSERT_CUDA_OK(cudaMemPoolCreate(&pool, &props));
    return pool;
}

static void test_stream_ordered_memory_is_used_between_its_two_ends(void **state)
{
    cudaStream_t a = NULL;
    cudaStream_t b = NULL;
    cudaEvent_t event = NULL;
    void *block = NULL;
    (void)state;
    ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    ASSERT_CUDA_OK(cudaEventCreate(&event));
    cudaMemPool_t pool = pool_make(0);

    ASSERT_CUDA_OK(cudaMallocFromPoolAsync(&block, NBYTES, pool, a));
    ASSERT_CUDA_OK(cudaMemsetAsync(block, 1, 1, b));
    ASSERT_VIOLATION("without being ordered after its allocation");
    ASSERT_CUDA_OK(cudaMemsetAsync((char *)block + 8, 1, 1, a));
    ASSERT_CUDA_OK(cudaFreeAsync(block, a));
    ASSERT_VIOLATION("frees");
    ASSERT_CUDA_OK(cudaMemsetAsync((char *)block + 16, 1, 1, a));
    ASSERT_VIOLATION("after its cudaFreeAsync");
    assert_int_equal(cudasim_live_now().blocks, 1);
    ASSERT_CUDA(cudaErrorInvalidValue, cudaFreeAsync(block, a));
    ASSERT_VIOLATION("cudaFreeAsync");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    cudasim_forgive(); /* the use after the free ran after it */
    assert_int_equal(cudasim_live_now().blocks, 0);

    ASSERT_CUDA_OK(cudaMallocFromPoolAsync(&block, NBYTES, pool, a));
    ASSERT_CUDA_OK(cudaEventRecord(event, a));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(b, event, 0));
    ASSERT_CUDA_OK(cudaMemsetAsync(block, 1, NBYTES, b));
    ASSERT_CUDA_OK(cudaFreeAsync(block, b));
    ASSERT_CUDA_OK(cudaMemPoolDestroy(pool));
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_NO_VIOLATION();
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
    ASSERT_CUDA_OK(cudaEventDestroy(event));
}

static void test_a_write_behind_a_block_is_found(void **state)
{
    (void)state;
    if (SIM_CAN_POISON) {
        skip(); /* the sanitizer reports the write itself */
    }
    char *device = device_make(100);
    char *at = cudasim_peek(device);
    at[100] = 1;
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_VIOLATION("byte 0 behind the block");
}

static void test_a_sabotaged_free_is_noticed(void **state)
{
    void *block = NULL;
    (void)state;
    cudasim_sabotage(CUDASIM_SABOTAGE_FREE_ASYNC);
    ASSERT_CUDA_OK(cudaMallocAsync(&block, NBYTES, NULL));
    ASSERT_CUDA_OK(cudaMemsetAsync(block, 1, NBYTES, NULL));
    ASSERT_CUDA_OK(cudaFreeAsync(block, NULL));
    ASSERT_VIOLATION("frees");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_VIOLATION("runs after the block");
}

static void test_memory_ends_at_the_budget_and_comes_back(void **state)
{
    void *first = NULL;
    void *second = (void *)state;
    size_t free_nbytes = 0;
    size_t total = 0;
    cudasim_set_memory(10000);
    ASSERT_CUDA_OK(cudaMallocAsync(&first, 6000, NULL));
    ASSERT_CUDA_OK(cudaMemGetInfo(&free_nbytes, &total));
    assert_int_equal(free_nbytes, 4000);
    assert_int_equal(total, 10000);
    ASSERT_CUDA(cudaErrorMemoryAllocation, cudaMallocAsync(&second, 6000, NULL));
    assert_null(second);
    second = (void *)state;
    ASSERT_CUDA(cudaErrorMemoryAllocation, cudaMalloc(&second, 6000));
    assert_null(second);
    ASSERT_CUDA_OK(cudaFreeAsync(first, NULL));
    ASSERT_CUDA_OK(cudaMalloc(&second, 6000)); /* waits for the free */
    ASSERT_CUDA_OK(cudaFree(second));
    ASSERT_CUDA(cudaErrorMemoryAllocation, cudaGetLastError());
}

static void test_pointers_tell_their_kind_and_range(void **state)
{
    struct cudaPointerAttributes attributes;
    CUresult (*get)(void *, CUpointer_attribute, CUdeviceptr) = NULL;
    enum cudaDriverEntryPointQueryResult found;
    void *entry = NULL;
    void *managed = NULL;
    void *pinned = NULL;
    CUdeviceptr start = 0;
    size_t size = 0;
    char plain[100];
    (void)state;
    ASSERT_CUDA_OK(cudaSetDevice(1));
    char *device = device_make(1000);
    ASSERT_CUDA_OK(cudaMallocManaged(&managed, 1000, cudaMemAttachGlobal));
    ASSERT_CUDA_OK(cudaMallocHost(&pinned, 1000));
    ASSERT_CUDA_OK(cudaPointerGetAttributes(&attributes, device + 999));
    assert_int_equal(attributes.type, cudaMemoryTypeDevice);
    assert_int_equal(attributes.device, 1);
    assert_null(attributes.hostPointer);
    ASSERT_CUDA_OK(cudaPointerGetAttributes(&attributes, managed));
    assert_int_equal(attributes.type, cudaMemoryTypeManaged);
    ASSERT_CUDA_OK(cudaPointerGetAttributes(&attributes, pinned));
    assert_int_equal(attributes.type, cudaMemoryTypeHost);
    ASSERT_CUDA_OK(cudaPointerGetAttributes(&attributes, plain));
    assert_int_equal(attributes.type, cudaMemoryTypeUnregistered);

    ASSERT_CUDA_OK(cudaGetDriverEntryPointByVersion("cuPointerGetAttribute", &entry, 4000, 0, &found));
    memcpy(&get, &entry, sizeof(entry));
    assert_int_equal(get(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR, (uintptr_t)device + 5), CUDA_SUCCESS);
    assert_int_equal(get(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, (uintptr_t)device + 5), CUDA_SUCCESS);
    assert_int_equal(start, (uintptr_t)device);
    assert_int_equal(size, 1000);
    assert_int_equal(get(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, (uintptr_t)plain), CUDA_ERROR_INVALID_VALUE);
    ASSERT_CUDA_OK(cudaGetDriverEntryPointByVersion("cuNothing", &entry, 12000, 0, &found));
    assert_int_equal(found, cudaDriverEntryPointSymbolNotFound);
    assert_null(entry);
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaFree(managed));
    ASSERT_CUDA_OK(cudaFreeHost(pinned));
}

static void test_kernels_have_addresses_of_their_own_for_write_combined_memory(void **state)
{
    struct cudaPointerAttributes attributes;
    void *host = NULL;
    void *there = NULL;
    char back[4] = "";
    (void)state;
    ASSERT_CUDA_OK(cudaHostAlloc(&host, 1000, cudaHostAllocWriteCombined));
    ASSERT_CUDA_OK(cudaHostGetDevicePointer(&there, host, 0));
    assert_ptr_not_equal(there, host);
    for (int i = 0; i < 2; i++) {
        ASSERT_CUDA_OK(cudaPointerGetAttributes(&attributes, (char *)(i == 0 ? host : there) + 5));
        assert_int_equal(attributes.type, cudaMemoryTypeHost);
        assert_ptr_equal(attributes.hostPointer, (char *)host + 5);
        assert_ptr_equal(attributes.devicePointer, (char *)there + 5);
    }
    memcpy(host, "abc", 4);
    ASSERT_CUDA_OK(cudaMemcpy(back, there, 4, cudaMemcpyDefault));
    assert_string_equal(back, "abc");
    ASSERT_CUDA_OK(cudaFreeHost(host));
}

static void test_registration_is_exclusive_and_wants_writable_pages(void **state)
{
    (void)state;
    char *read_only = mmap(NULL, NBYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *plain = malloc(NBYTES);
    char *device = device_make(NBYTES);
    assert_non_null(plain);
    ASSERT_CUDA_OK(cudaHostRegister(plain, NBYTES, 0));
    ASSERT_CUDA(cudaErrorHostMemoryAlreadyRegistered, cudaHostRegister(plain + 10, 10, 0));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaHostRegister(device, NBYTES, 0));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaHostUnregister(plain + 10));
    ASSERT_CUDA_OK(cudaHostUnregister(plain));
    ASSERT_CUDA(cudaErrorHostMemoryNotRegistered, cudaHostUnregister(plain));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaHostRegister(read_only, NBYTES, 0));
    ASSERT_CUDA_OK(cudaHostRegister(read_only, NBYTES, cudaHostRegisterReadOnly));
    ASSERT_CUDA_OK(cudaMemcpy(device, read_only, NBYTES, cudaMemcpyDefault));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy(read_only, device, NBYTES, cudaMemcpyDefault));
    ASSERT_VIOLATION("registered for reading only");
    ASSERT_CUDA_OK(cudaHostUnregister(read_only));
    ASSERT_CUDA_OK(cudaFree(device));
    free(plain);
    assert_int_equal(munmap(read_only, NBYTES), 0);
}

static void ask_in_child(void *out)
{
    int device = 0;
    bool good = cudaGetDevice(&device) == cudaErrorInitializationError &&
                cudaFree(out) == cudaErrorInitializationError && cudaGetLastError() == cudaErrorInitializationError;
    _exit(good ? 33 : 1);
}

static void test_a_forked_child_has_no_cuda(void **state)
{
    (void)state;
    char *device = device_make(NBYTES);
    int status = child_status(ask_in_child, device);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 33);
    ASSERT_CUDA_OK(cudaFree(device));
}

/* Before the parent's first call of CUDA a child may have a CUDA of its own: the opener of an IPC handle is made so. */
static int opener_in[2];
static int opener_out[2];
static pid_t opener_pid;

static void opener_main(void)
{
    cudaIpcMemHandle_t handle;
    void *block = NULL;
    void *again = NULL;
    char bytes[8] = {0};
    int result = 1;
    if (read(opener_in[0], &handle, sizeof(handle)) == (ssize_t)sizeof(handle) &&
        cudaIpcOpenMemHandle(&block, handle, cudaIpcMemLazyEnablePeerAccess) == cudaSuccess &&
        cudaIpcOpenMemHandle(&again, handle, cudaIpcMemLazyEnablePeerAccess) == cudaSuccess && again == block &&
        cudasim_live_now().ipc == 2 && cudaMemcpy(bytes, block, 8, cudaMemcpyDefault) == cudaSuccess &&
        memcmp(bytes, "\x05\x05\x05\x05\x05\x05\x05\x05", 8) == 0 && cudaMemset(block, 6, 8) == cudaSuccess &&
        cudaDeviceSynchronize() == cudaSuccess && cudaIpcCloseMemHandle(block) == cudaSuccess &&
        cudaIpcCloseMemHandle(block) == cudaSuccess && cudaIpcCloseMemHandle(block) == cudaErrorInvalidValue &&
        !cudasim_anything_lives() && cudasim_nviolations() == 0) {
        result = 0;
    }
    (void)!write(opener_out[1], &result, sizeof(result));
    _exit(0);
}

static void test_memory_passes_between_processes(void **state)
{
    cudaIpcMemHandle_t handle;
    void *again = NULL;
    int result = 1;
    (void)state;
    char *device = device_make(100);
    char *block = device_make(100);
    ASSERT_CUDA_OK(cudaMemset(block, 5, 100));
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaIpcGetMemHandle(&handle, block));
    ASSERT_CUDA(cudaErrorDeviceUninitialized, cudaIpcOpenMemHandle(&again, handle, cudaIpcMemLazyEnablePeerAccess));
    assert_null(again);
    assert_int_equal(write(opener_in[1], &handle, sizeof(handle)), sizeof(handle));
    assert_int_equal(read(opener_out[0], &result, sizeof(result)), sizeof(result));
    assert_int_equal(result, 0);
    assert_int_equal(waitpid(opener_pid, NULL, 0), opener_pid);
    assert_int_equal(cudasim_test_byte(block + 7), 6);
    assert_int_equal(cudasim_test_byte(block + 8), 5);
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaFree(block));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDASIM_TEST(test_memory_passes_between_processes),
        CUDASIM_TEST(test_the_host_faults_on_device_memory),
        CUDASIM_TEST(test_addresses_are_not_used_again_and_stale_ones_are_known),
        CUDASIM_TEST(test_a_copy_past_its_block_is_refused),
        CUDASIM_TEST(test_freeing_with_work_pending_is_a_violation),
        CUDASIM_TEST(test_freeing_waits_for_all_work_but_that_of_a_pool),
        CUDASIM_TEST(test_stream_ordered_memory_is_used_between_its_two_ends),
        CUDASIM_TEST(test_a_write_behind_a_block_is_found),
        CUDASIM_TEST(test_a_sabotaged_free_is_noticed),
        CUDASIM_TEST(test_memory_ends_at_the_budget_and_comes_back),
        CUDASIM_TEST(test_pointers_tell_their_kind_and_range),
        CUDASIM_TEST(test_kernels_have_addresses_of_their_own_for_write_combined_memory),
        CUDASIM_TEST(test_registration_is_exclusive_and_wants_writable_pages),
        CUDASIM_TEST(test_a_forked_child_has_no_cuda),
    };
    if (pipe(opener_in) != 0 || pipe(opener_out) != 0) {
        return 1;
    }
    opener_pid = fork();
    if (opener_pid == 0) {
        opener_main();
    }
    return cmocka_run_group_tests_name("cudasim/memory", tests, NULL, NULL);
}
