/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "tests/cudasim/cudasim_test.h"

#define NBYTES ((size_t)4096)

static void test_the_nth_call_of_a_function_fails_and_does_nothing(void **state)
{
    void *block = (void *)state;
    void *other = NULL;
    cudasim_fail_call("cudaMalloc", 2, cudaErrorMemoryAllocation);
    ASSERT_CUDA_OK(cudaMalloc(&other, NBYTES));
    assert_false(cudasim_fault_happened());
    ASSERT_CUDA(cudaErrorMemoryAllocation, cudaMalloc(&block, NBYTES));
    assert_true(cudasim_fault_happened());
    assert_ptr_equal(block, (void *)state);
    ASSERT_CUDA_OK(cudaFree(other));
    ASSERT_CUDA(cudaErrorMemoryAllocation, cudaGetLastError());
    ASSERT_CUDA_OK(cudaGetLastError());
    cudasim_fail_call("*", 3, cudaErrorUnknown);
    int device = -1;
    ASSERT_CUDA_OK(cudaGetDevice(&device));
    ASSERT_CUDA_OK(cudaSetDevice(device));
    device = -1;
    ASSERT_CUDA(cudaErrorUnknown, cudaGetDevice(&device));
    assert_int_equal(device, -1);
    cudasim_fail_call(NULL, 0, cudaSuccess);
    assert_false(cudasim_fault_happened());
    assert_int_equal(cudasim_ncalls("cudaMalloc"), 2);
    assert_int_equal(cudasim_ncalls("*"), 6);
}

static void count_call(void *data)
{
    ++*(int *)data;
}

static void test_an_error_of_work_sticks_until_repaired(void **state)
{
    cudaStream_t stream = NULL;
    void *block = NULL;
    void *pinned = NULL;
    void *none = NULL;
    int ncalls = 0;
    int device = 0;
    (void)state;
    ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ASSERT_CUDA_OK(cudaMalloc(&block, NBYTES));
    ASSERT_CUDA_OK(cudaHostAlloc(&pinned, NBYTES, 0));
    cudasim_fail_work(2, cudaErrorIllegalAddress);
    ASSERT_CUDA_OK(cudaMemsetAsync(block, 1, NBYTES, stream));
    ASSERT_CUDA_OK(cudaMemsetAsync(block, 2, NBYTES, stream));
    ASSERT_CUDA_OK(cudaMemsetAsync(block, 3, NBYTES, stream));
    ASSERT_CUDA_OK(cudaLaunchHostFunc(stream, count_call, &ncalls));
    assert_false(cudasim_fault_happened());
    ASSERT_CUDA(cudaErrorIllegalAddress, cudaStreamSynchronize(stream));
    assert_true(cudasim_fault_happened());
    ASSERT_CUDA(cudaErrorIllegalAddress, cudaMalloc(&none, 1));
    ASSERT_CUDA(cudaErrorIllegalAddress, cudaGetLastError());
    ASSERT_CUDA_OK(cudaGetLastError());
    ASSERT_CUDA_OK(cudaGetDevice(&device)); /* as on a real device, it has nothing to do with it */
    assert_int_equal(ncalls, 0);
    assert_int_equal(cudasim_test_byte(block), 1);
    /* The calls say so, but what is released then is not leaked. */
    ASSERT_CUDA(cudaErrorIllegalAddress, cudaFree(block));
    ASSERT_CUDA(cudaErrorIllegalAddress, cudaFreeHost(pinned));
    ASSERT_CUDA(cudaErrorIllegalAddress, cudaStreamDestroy(stream));
    cudasim_repair();
    ASSERT_CUDA_OK(cudaGetLastError());
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    assert_int_equal(ncalls, 0);
}

static void test_without_a_device_every_call_says_so(void **state)
{
    void *block = (void *)state;
    int count = -7;
    int version = 0;
    cudasim_set_device_count(0);
    ASSERT_CUDA(cudaErrorNoDevice, cudaGetDeviceCount(&count));
    ASSERT_CUDA(cudaErrorNoDevice, cudaMalloc(&block, 1));
    cudasim_set_device_count(-1);
    ASSERT_CUDA(cudaErrorInsufficientDriver, cudaGetDeviceCount(&count));
    ASSERT_CUDA(cudaErrorInsufficientDriver, cudaGetLastError());
    ASSERT_CUDA(cudaErrorInsufficientDriver, cudaGetLastError());
    ASSERT_CUDA_OK(cudaDriverGetVersion(&version));
    assert_int_equal(version, 0);
    ASSERT_CUDA_OK(cudaRuntimeGetVersion(&version));
    assert_int_equal(version, CUDART_VERSION);
    assert_int_equal(count, -7);
    assert_ptr_equal(block, (void *)state);
    assert_string_equal(cudaGetErrorName(cudaErrorInsufficientDriver), "cudaErrorInsufficientDriver");
    assert_string_equal(cudaGetErrorString((cudaError_t)12345), "unrecognized error code");
}

static void *get_device_of_thread(void *out)
{
    int device = -1;
    *(int *)out = cudaGetLastError() == cudaSuccess && cudaGetDevice(&device) == cudaSuccess ? device : -2;
    return NULL;
}

static void test_the_device_and_the_last_error_are_the_threads_own(void **state)
{
    pthread_t thread;
    int device = -1;
    (void)state;
    ASSERT_CUDA_OK(cudaSetDevice(1));
    ASSERT_CUDA(cudaErrorInvalidDevice, cudaSetDevice(2));
    assert_int_equal(pthread_create(&thread, NULL, get_device_of_thread, &device), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(device, 0);
    ASSERT_CUDA(cudaErrorInvalidDevice, cudaPeekAtLastError());
    ASSERT_CUDA(cudaErrorInvalidDevice, cudaGetLastError());
}

static void test_arguments_of_copies_are_checked(void **state)
{
    char bytes[64] = {0};
    void *block = NULL;
    (void)state;
    ASSERT_CUDA_OK(cudaMalloc(&block, NBYTES));
    char *device = block;
    ASSERT_CUDA(cudaErrorInvalidMemcpyDirection, cudaMemcpy(device, bytes, 1, (enum cudaMemcpyKind)5));
    ASSERT_CUDA(cudaErrorInvalidPitchValue, cudaMemcpy2D(device, 3, bytes, 4, 4, 2, cudaMemcpyDefault));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy2D(device, 3, bytes, 4, 4, 1, cudaMemcpyDefault));
    ASSERT_CUDA_OK(cudaMemcpy2D(device, 0, bytes, (size_t)1 << 31, 4, 1, cudaMemcpyDefault)); /* one row has no pitch */
    ASSERT_CUDA_OK(cudaMemcpy2D(device, 3, bytes, 4, 4, 0, (enum cudaMemcpyKind)5));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy2D(device, (size_t)1 << 31, bytes, 4, 4, 2, cudaMemcpyDefault));
    ASSERT_CUDA_OK(cudaMemcpy(device, NULL, 0, cudaMemcpyDefault));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy(device, NULL, 1, cudaMemcpyDefault));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy(device, bytes, 1, cudaMemcpyDeviceToDevice));
    ASSERT_VIOLATION("kind");
    ASSERT_CUDA_OK(cudaMemcpy(device, device + 8, 1, cudaMemcpyHostToDevice));
    ASSERT_VIOLATION("kind");
    ASSERT_CUDA_OK(cudaMemcpy(device, bytes, 1, cudaMemcpyHostToDevice));
    ASSERT_CUDA_OK(cudaMemcpy(device + 1, device, 2, cudaMemcpyDefault));
    ASSERT_VIOLATION("overlap");
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemset(bytes, 0, 1));
    ASSERT_CUDA(cudaErrorInvalidDevice, cudaMemcpyPeerAsync(device, 0, device + 64, 2, 1, NULL));
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpyPeerAsync(device, 1, device + 64, 0, 1, NULL));
    ASSERT_VIOLATION("says device 1");

    struct cudaMemcpy3DParms p = {
        .srcPtr = {bytes, 4, 4, 3},
        .dstPtr = {device, 16, 4, 5},
        .extent = {4, 3, 2},
        .kind = cudaMemcpyDefault,
    };
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (char)i;
    }
    ASSERT_CUDA_OK(cudaMemcpy3D(&p));
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    assert_int_equal(cudasim_test_byte(device + 80 + 16 + 1), 12 + 4 + 1);
    p.srcPtr.ysize = 2;
    ASSERT_CUDA(cudaErrorInvalidPitchValue, cudaMemcpy3D(&p));
    p.extent.depth = 1;
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy3D(&p));
    p.srcPtr.ysize = 0;
    ASSERT_CUDA_OK(cudaMemcpy3D(&p));
    p.extent.depth = 2;
    p.srcPtr.ysize = 3;
    p.dstPtr.pitch = 3;
    ASSERT_CUDA(cudaErrorInvalidPitchValue, cudaMemcpy3D(&p));
    p.dstPtr = (struct cudaPitchedPtr){NULL, 4, 4, 4};
    ASSERT_CUDA(cudaErrorInvalidValue, cudaMemcpy3D(&p));
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaFree(device));
}

static void test_a_sabotaged_pitch_gives_wrong_bytes(void **state)
{
    char in[16];
    char out[16] = {0};
    void *block = NULL;
    (void)state;
    memset(in, 9, sizeof(in));
    ASSERT_CUDA_OK(cudaMalloc(&block, 64));
    ASSERT_CUDA_OK(cudaMemset(block, 0, 64));
    cudasim_sabotage(CUDASIM_SABOTAGE_PITCH);
    ASSERT_CUDA_OK(cudaMemcpy2D(block, 8, in, 8, 8, 2, cudaMemcpyDefault));
    ASSERT_CUDA_OK(cudaMemcpy(out, block, 16, cudaMemcpyDefault));
    assert_memory_not_equal(in, out, 16);
    ASSERT_CUDA_OK(cudaFree(block));
}

static void test_synchronous_copies_wait_as_documented(void **state)
{
    char in[64];
    char out[64] = {0};
    void *a = NULL;
    void *b = NULL;
    (void)state;
    ASSERT_CUDA_OK(cudaMalloc(&a, 64));
    ASSERT_CUDA_OK(cudaMalloc(&b, 64));
    memset(in, 4, sizeof(in));
    ASSERT_CUDA_OK(cudaMemcpy(a, in, 64, cudaMemcpyHostToDevice));
    memset(in, 5, sizeof(in)); /* was staged */
    ASSERT_CUDA_OK(cudaMemcpy(b, a, 64, cudaMemcpyDeviceToDevice));
    assert_int_equal(cudasim_test_byte(b), 0xCB); /* did not wait */
    ASSERT_CUDA_OK(cudaMemcpy(out, b, 64, cudaMemcpyDeviceToHost));
    assert_int_equal(out[63], 4);
    ASSERT_CUDA_OK(cudaMemcpyAsync(out, in, 64, cudaMemcpyDefault, NULL)); /* between hosts: waits */
    assert_int_equal(out[63], 5);
    ASSERT_CUDA_OK(cudaFree(a));
    ASSERT_CUDA_OK(cudaFree(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDASIM_TEST(test_the_nth_call_of_a_function_fails_and_does_nothing),
        CUDASIM_TEST(test_an_error_of_work_sticks_until_repaired),
        CUDASIM_TEST(test_without_a_device_every_call_says_so),
        CUDASIM_TEST(test_the_device_and_the_last_error_are_the_threads_own),
        CUDASIM_TEST(test_arguments_of_copies_are_checked),
        CUDASIM_TEST(test_a_sabotaged_pitch_gives_wrong_bytes),
        CUDASIM_TEST(test_synchronous_copies_wait_as_documented),
    };
    return cmocka_run_group_tests_name("cudasim/faults", tests, NULL, NULL);
}
