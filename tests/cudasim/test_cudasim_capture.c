/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>

#include "tests/cudasim/cudasim_test.h"

#define NBYTES ((size_t)4096)

static cudaStream_t stream_make(unsigned flags)
{
    cudaStream_t stream = NULL;
    ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&stream, flags));
    return stream;
}

static char *device_make(void)
{
    void *block = NULL;
    ASSERT_CUDA_OK(cudaMalloc(&block, NBYTES));
    return block;
}

static enum cudaStreamCaptureStatus status_of(cudaStream_t stream)
{
    enum cudaStreamCaptureStatus status;
    ASSERT_CUDA_OK(cudaStreamIsCapturing(stream, &status));
    return status;
}

static void test_a_captured_fork_and_join_runs_at_each_launch(void **state)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    cudaEvent_t forked = NULL;
    cudaEvent_t joined = NULL;
    size_t nnodes = 0;
    (void)state;
    char *device = device_make();
    cudaStream_t a = stream_make(cudaStreamNonBlocking);
    cudaStream_t b = stream_make(cudaStreamNonBlocking);
    ASSERT_CUDA_OK(cudaEventCreate(&forked));
    ASSERT_CUDA_OK(cudaEventCreate(&joined));
    ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    assert_int_equal(status_of(a), cudaStreamCaptureStatusActive);
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, 16, a));
    ASSERT_CUDA_OK(cudaEventRecord(forked, a));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(b, forked, 0));
    assert_int_equal(status_of(b), cudaStreamCaptureStatusActive);
    ASSERT_CUDA_OK(cudaMemcpyAsync(device + 16, device, 16, cudaMemcpyDefault, b));
    ASSERT_CUDA_OK(cudaMemcpyAsync(device + 32, device, 16, cudaMemcpyDefault, a));
    ASSERT_CUDA_OK(cudaEventRecord(joined, b));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(a, joined, 0));
    ASSERT_CUDA_OK(cudaMemcpyAsync(device + 48, device + 16, 32, cudaMemcpyDefault, a));
    ASSERT_CUDA_OK(cudaStreamEndCapture(a, &graph));
    assert_int_equal(status_of(a), cudaStreamCaptureStatusNone);
    assert_int_equal(status_of(b), cudaStreamCaptureStatusNone);
    assert_int_equal(cudasim_live_now().work, 0);
    ASSERT_CUDA_OK(cudaGraphGetNodes(graph, NULL, &nnodes));
    assert_int_equal(nnodes, 4);
    ASSERT_CUDA_OK(cudaGraphInstantiate(&exec, graph, 0));
    ASSERT_CUDA_OK(cudaGraphDestroy(graph));
    for (int i = 0; i < 3; i++) {
        ASSERT_CUDA_OK(cudaMemsetAsync(device + 48, 7, 16, a));
        ASSERT_CUDA_OK(cudaGraphLaunch(exec, a));
        ASSERT_CUDA_OK(cudaMemsetAsync(device + 16, 0, 1, a));
        assert_true(cudasim_live_now().work > 0);
        ASSERT_CUDA_OK(cudaStreamSynchronize(a));
        assert_int_equal(cudasim_test_byte(device + 48), 1);
        assert_int_equal(cudasim_test_byte(device + 79), 1);
        assert_int_equal(cudasim_test_byte(device + 16), 0);
    }
    ASSERT_CUDA_OK(cudaGraphExecDestroy(exec));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
    ASSERT_CUDA_OK(cudaEventDestroy(forked));
    ASSERT_CUDA_OK(cudaEventDestroy(joined));
    ASSERT_CUDA_OK(cudaFree(device));
}

static void test_branches_of_a_graph_that_race_are_noticed(void **state)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    cudaEvent_t forked = NULL;
    (void)state;
    char *device = device_make();
    cudaStream_t a = stream_make(cudaStreamNonBlocking);
    cudaStream_t b = stream_make(cudaStreamNonBlocking);
    ASSERT_CUDA_OK(cudaEventCreate(&forked));
    ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeRelaxed));
    ASSERT_CUDA_OK(cudaEventRecord(forked, a));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(b, forked, 0));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, 16, a));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 2, 16, b));
    ASSERT_CUDA_OK(cudaEventRecord(forked, b));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(a, forked, 0));
    ASSERT_CUDA_OK(cudaStreamEndCapture(a, &graph));
    ASSERT_NO_VIOLATION();
    ASSERT_CUDA_OK(cudaGraphInstantiate(&exec, graph, 0));
    ASSERT_CUDA_OK(cudaGraphLaunch(exec, a));
    ASSERT_VIOLATION("race");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaGraphExecDestroy(exec));
    ASSERT_CUDA_OK(cudaGraphDestroy(graph));
    ASSERT_CUDA_OK(cudaEventDestroy(forked));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
    ASSERT_CUDA_OK(cudaFree(device));
}

static void test_memory_of_a_graph_lives_in_it(void **state)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t exec = NULL;
    void *block = NULL;
    char out[8] = {0};
    (void)state;
    cudaStream_t a = stream_make(cudaStreamNonBlocking);
    ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    ASSERT_CUDA_OK(cudaMallocAsync(&block, NBYTES, a));
    ASSERT_CUDA_OK(cudaMemsetAsync(block, 3, NBYTES, a));
    ASSERT_CUDA_OK(cudaMemcpyAsync(out, block, 8, cudaMemcpyDefault, a));
    ASSERT_CUDA_OK(cudaFreeAsync(block, a));
    ASSERT_CUDA_OK(cudaStreamEndCapture(a, &graph));
    ASSERT_CUDA_OK(cudaGraphInstantiate(&exec, graph, 0));
    for (int i = 0; i < 2; i++) {
        memset(out, 0, sizeof(out));
        ASSERT_CUDA_OK(cudaGraphLaunch(exec, a));
        ASSERT_CUDA_OK(cudaStreamSynchronize(a));
        assert_int_equal(out[7], 3);
    }
    ASSERT_CUDA_OK(cudaGraphExecDestroy(exec));
    ASSERT_CUDA_OK(cudaGraphDestroy(graph));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
}

/* The thread sanitizer would tell of a change while the copy is pending. */
__attribute__((no_sanitize("thread"))) static void change(void *byte)
{
    *(volatile char *)byte = 99;
}

static void test_a_launch_takes_the_pageable_bytes_of_its_copies(void **state)
{
    enum { NEVER, BEFORE_LAUNCH, AFTER_LAUNCH, BY_GRAPH, NCHANGES };
    (void)state;
    for (int when = 0; when < NCHANGES; when++) {
        cudaGraph_t graph = NULL;
        cudaGraphExec_t exec = NULL;
        char plain[64];
        memset(plain, 5, sizeof(plain));
        char *device = device_make();
        cudaStream_t stream = stream_make(cudaStreamNonBlocking);
        ASSERT_CUDA_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
        if (when == BY_GRAPH) {
            ASSERT_CUDA_OK(cudaLaunchHostFunc(stream, change, plain));
        }
        ASSERT_CUDA_OK(cudaMemcpyAsync(device, plain, sizeof(plain), cudaMemcpyDefault, stream));
        ASSERT_CUDA_OK(cudaStreamEndCapture(stream, &graph));
        ASSERT_CUDA_OK(cudaGraphInstantiate(&exec, graph, 0));
        ASSERT_CUDA_OK(cudaGraphDestroy(graph));
        for (int launch = 1; launch <= 2; launch++) {
            memset(plain, 5 * launch, sizeof(plain));
            if (when == BEFORE_LAUNCH) {
                change(plain);
            }
            ASSERT_CUDA_OK(cudaGraphLaunch(exec, stream));
            if (when == AFTER_LAUNCH) {
                change(plain);
            }
            ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
            if (when == AFTER_LAUNCH || when == BY_GRAPH) {
                ASSERT_VIOLATION("or the launch of its graph");
            }
            assert_int_equal(cudasim_test_byte(device), when == BEFORE_LAUNCH ? 99 : 5 * launch);
            assert_int_equal(cudasim_test_byte(device + sizeof(plain) - 1), 5 * launch);
        }
        ASSERT_CUDA_OK(cudaGraphExecDestroy(exec));
        ASSERT_CUDA_OK(cudaStreamDestroy(stream));
        ASSERT_CUDA_OK(cudaFree(device));
    }
}

static void test_unsafe_calls_break_a_capture_unless_the_thread_is_relaxed(void **state)
{
    static char plain[NBYTES];
    void *block = NULL;
    cudaEvent_t event = NULL;
    (void)state;
    cudaStream_t a = stream_make(cudaStreamNonBlocking);
    cudaStream_t b = stream_make(cudaStreamNonBlocking);
    ASSERT_CUDA_OK(cudaEventCreate(&event));
    for (int call = 0; call < 8; call++) {
        cudaGraph_t graph = (cudaGraph_t)(void *)state;
        cudaError_t code = cudaSuccess;
        ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
        switch (call) {
        case 0:
            code = cudaMalloc(&block, 1);
            break;
        case 1:
            code = cudaFree(NULL);
            break;
        case 2:
            code = cudaHostAlloc(&block, 1, 0);
            break;
        case 3:
            code = cudaHostRegister(plain, NBYTES, 0);
            break;
        case 4:
            code = cudaStreamSynchronize(a);
            break;
        case 5:
            code = cudaDeviceSynchronize();
            break;
        case 6:
            code = cudaEventQuery(event);
            break;
        default:
            code = cudaStreamSynchronize(b);
            break;
        }
        ASSERT_CUDA(cudaErrorStreamCaptureUnsupported, code);
        assert_int_equal(status_of(a), cudaStreamCaptureStatusInvalidated);
        ASSERT_CUDA(cudaErrorStreamCaptureInvalidated, cudaLaunchHostFunc(a, (cudaHostFn_t)free, NULL));
        ASSERT_CUDA(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(a, &graph));
        assert_null(graph);
    }
    cudaGraph_t graph = NULL;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    ASSERT_CUDA_OK(cudaThreadExchangeStreamCaptureMode(&mode));
    assert_int_equal(mode, cudaStreamCaptureModeGlobal);
    ASSERT_CUDA_OK(cudaMalloc(&block, 1));
    ASSERT_CUDA_OK(cudaFree(block));
    ASSERT_CUDA_OK(cudaThreadExchangeStreamCaptureMode(&mode));
    assert_int_equal(mode, cudaStreamCaptureModeRelaxed);
    mode = (enum cudaStreamCaptureMode)9;
    ASSERT_CUDA_OK(cudaThreadExchangeStreamCaptureMode(&mode));
    ASSERT_VIOLATION("no mode");
    ASSERT_CUDA_OK(cudaThreadExchangeStreamCaptureMode(&mode));
    assert_int_equal(mode, 9);
    ASSERT_CUDA_OK(cudaEventRecord(event, a));
    ASSERT_CUDA(cudaErrorCapturedEvent, cudaEventQuery(event));
    ASSERT_CUDA(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(a, &graph));
    ASSERT_CUDA_OK(cudaEventDestroy(event));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
}

/* What breaks a capture in every mode, what is only refused, and what is allowed though it looks unsafe: all measured
 * on a device. */
static void test_a_relaxed_capture_has_its_limits_too(void **state)
{
    void *pooled = NULL;
    char plain[64] = {0};
    (void)state;
    char *device = device_make();
    cudaStream_t a = stream_make(cudaStreamNonBlocking);
    ASSERT_CUDA_OK(cudaMallocAsync(&pooled, NBYTES, a));
    ASSERT_CUDA_OK(cudaStreamSynchronize(a));
    for (int call = 0; call < 7; call++) {
        cudaGraph_t graph = NULL;
        int ordinal = -1;
        cudaError_t code = cudaSuccess;
        cudaError_t expected = cudaErrorStreamCaptureUnsupported;
        ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeRelaxed));
        switch (call) {
        case 0:
            code = cudaMemcpyPeerAsync(device, 0, device + 64, 0, 64, a);
            break;
        case 1:
            code = cudaStreamGetDevice(a, &ordinal);
            break;
        case 2:
            code = cudaFreeAsync(pooled, a); /* not of the capture */
            expected = cudaErrorInvalidValue;
            break;
        case 3:
            code = cudaFreeAsync(device, a);
            expected = cudaErrorInvalidValue;
            break;
        case 4:
            code = cudaMemcpy(device, device + 64, 64, cudaMemcpyDefault);
            expected = cudaSuccess;
            break;
        case 5:
            code = cudaMemcpy(device, plain, 64, cudaMemcpyDefault);
            expected = cudaSuccess;
            break;
        default:
            code = cudaMemcpy(plain, device, 64, cudaMemcpyDefault);
            expected = cudaSuccess;
            break;
        }
        ASSERT_CUDA(expected, code);
        ASSERT_CUDA(call < 2 ? cudaErrorStreamCaptureInvalidated : cudaSuccess, cudaStreamEndCapture(a, &graph));
        if (graph != NULL) {
            ASSERT_CUDA_OK(cudaGraphDestroy(graph));
        }
    }
    ASSERT_CUDA_OK(cudaFreeAsync(pooled, a));
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaFree(device));
}

static void *malloc_in_thread(void *out)
{
    void *block = NULL;
    cudaError_t code = cudaMalloc(&block, 1);
    if (code == cudaSuccess) {
        code = cudaFree(block);
    }
    *(cudaError_t *)out = code;
    return NULL;
}

static void test_a_global_capture_binds_other_threads(void **state)
{
    static const enum cudaStreamCaptureMode modes[] = {cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal};
    (void)state;
    cudaStream_t a = stream_make(cudaStreamNonBlocking);
    for (int i = 0; i < 2; i++) {
        cudaGraph_t graph = NULL;
        pthread_t thread;
        cudaError_t code = cudaSuccess;
        ASSERT_CUDA_OK(cudaStreamBeginCapture(a, modes[i]));
        assert_int_equal(pthread_create(&thread, NULL, malloc_in_thread, &code), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        ASSERT_CUDA(i == 0 ? cudaErrorStreamCaptureUnsupported : cudaSuccess, code);
        ASSERT_CUDA(i == 0 ? cudaErrorStreamCaptureInvalidated : cudaSuccess, cudaStreamEndCapture(a, &graph));
        if (graph != NULL) {
            ASSERT_CUDA_OK(cudaGraphDestroy(graph));
        }
    }
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
}

static void test_what_cannot_be_captured_is_refused(void **state)
{
    cudaGraph_t graph = NULL;
    cudaEvent_t event = NULL;
    enum cudaStreamCaptureStatus status;
    (void)state;
    char *device = device_make();
    cudaStream_t a = stream_make(cudaStreamDefault);
    cudaStream_t b = stream_make(cudaStreamNonBlocking);
    ASSERT_CUDA_OK(cudaEventCreate(&event));
    ASSERT_CUDA(cudaErrorStreamCaptureUnsupported, cudaStreamBeginCapture(NULL, cudaStreamCaptureModeGlobal));
    ASSERT_CUDA(cudaErrorIllegalState, cudaStreamEndCapture(a, &graph));

    ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    ASSERT_CUDA(cudaErrorStreamCaptureImplicit, cudaStreamIsCapturing(NULL, &status));
    assert_int_equal(status_of(a), cudaStreamCaptureStatusActive);
    ASSERT_CUDA(cudaErrorStreamCaptureImplicit, cudaMemsetAsync(device, 0, 1, NULL));
    ASSERT_CUDA(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(a, &graph));

    ASSERT_CUDA_OK(cudaMemsetAsync(device, 0, 1, b));
    ASSERT_CUDA_OK(cudaEventRecord(event, b));
    ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    ASSERT_CUDA(cudaErrorStreamCaptureIsolation, cudaStreamWaitEvent(a, event, 0));
    ASSERT_CUDA(cudaErrorStreamCaptureInvalidated, cudaStreamEndCapture(a, &graph));

    ASSERT_CUDA_OK(cudaStreamBeginCapture(a, cudaStreamCaptureModeGlobal));
    ASSERT_CUDA_OK(cudaEventRecord(event, a));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(b, event, 0));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 0, 1, b));
    ASSERT_CUDA(cudaErrorStreamCaptureUnjoined, cudaStreamEndCapture(a, &graph));
    assert_int_equal(status_of(b), cudaStreamCaptureStatusNone);

    ASSERT_CUDA_OK(cudaStreamSynchronize(b));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
    ASSERT_CUDA_OK(cudaEventDestroy(event));
    ASSERT_CUDA_OK(cudaFree(device));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDASIM_TEST(test_a_captured_fork_and_join_runs_at_each_launch),
        CUDASIM_TEST(test_branches_of_a_graph_that_race_are_noticed),
        CUDASIM_TEST(test_memory_of_a_graph_lives_in_it),
        CUDASIM_TEST(test_a_launch_takes_the_pageable_bytes_of_its_copies),
        CUDASIM_TEST(test_unsafe_calls_break_a_capture_unless_the_thread_is_relaxed),
        CUDASIM_TEST(test_a_relaxed_capture_has_its_limits_too),
        CUDASIM_TEST(test_a_global_capture_binds_other_threads),
        CUDASIM_TEST(test_what_cannot_be_captured_is_refused),
    };
    return cmocka_run_group_tests_name("cudasim/capture", tests, NULL, NULL);
}
