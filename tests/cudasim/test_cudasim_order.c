/* SPDX-License-Identifier: Apache-2.0 */
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "tests/cudasim/cudasim_test.h"

#define NBYTES ((size_t)4096)

static const enum cudaMemcpyKind any = cudaMemcpyDefault;

static cudaStream_t stream_make(void)
{
    cudaStream_t stream = NULL;
    ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    return stream;
}

static char *device_make(size_t nbytes)
{
    void *block = NULL;
    ASSERT_CUDA_OK(cudaMalloc(&block, nbytes));
    return block;
}

static char *host_make(size_t nbytes, int value)
{
    void *block = NULL;
    ASSERT_CUDA_OK(cudaHostAlloc(&block, nbytes, cudaHostAllocDefault));
    memset(block, value, nbytes);
    return block;
}

static cudaEvent_t event_make(void)
{
    cudaEvent_t event = NULL;
    ASSERT_CUDA_OK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
    return event;
}

static void test_copies_through_the_device_come_back(void **state)
{
    static const cudasim_schedule schedules[] = {CUDASIM_LAZY, CUDASIM_EAGER, CUDASIM_RANDOM, CUDASIM_THREADS};
    (void)state;
    for (size_t i = 0; i < sizeof(schedules) / sizeof(schedules[0]); i++) {
        cudasim_set_schedule(schedules[i], i);
        cudaStream_t stream = stream_make();
        char *device = device_make(NBYTES);
        char *in = host_make(NBYTES, 7 + (int)i);
        char *out = host_make(NBYTES, 0);
        ASSERT_CUDA_OK(cudaMemcpyAsync(device, in, NBYTES, any, stream));
        ASSERT_CUDA_OK(cudaMemcpyAsync(out, device, NBYTES, any, stream));
        ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
        assert_memory_equal(in, out, NBYTES);
        ASSERT_CUDA_OK(cudaFree(device));
        ASSERT_CUDA_OK(cudaFreeHost(in));
        ASSERT_CUDA_OK(cudaFreeHost(out));
        ASSERT_CUDA_OK(cudaStreamDestroy(stream));
    }
}

static void test_lazy_work_is_not_done_before_somebody_waits(void **state)
{
    (void)state;
    cudaStream_t stream = stream_make();
    char *device = device_make(NBYTES);
    char *in = host_make(NBYTES, 7);
    ASSERT_CUDA_OK(cudaMemcpyAsync(device, in, NBYTES, any, stream));
    assert_int_equal(cudasim_test_byte(device), 0xCB);
    assert_int_equal(cudasim_live_now().work, 1);
    memset(in, 8, NBYTES); /* the copy reads late, as it may */
    ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
    assert_int_equal(cudasim_test_byte(device), 8);
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaFreeHost(in));
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
}

static void test_waiting_for_one_stream_does_no_work_of_another(void **state)
{
    (void)state;
    cudaStream_t a = stream_make();
    cudaStream_t b = stream_make();
    char *device = device_make(2 * NBYTES);
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, NBYTES, a));
    ASSERT_CUDA_OK(cudaMemsetAsync(device + NBYTES, 2, NBYTES, b));
    ASSERT_CUDA_OK(cudaStreamSynchronize(b));
    assert_int_equal(cudasim_test_byte(device), 0xCB);
    assert_int_equal(cudasim_test_byte(device + NBYTES), 2);
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    assert_int_equal(cudasim_test_byte(device), 1);
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
}

static void test_queries_say_not_ready_first_and_end(void **state)
{
    (void)state;
    cudaStream_t stream = stream_make();
    cudaEvent_t event = event_make();
    char *device = device_make(NBYTES);
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, NBYTES, stream));
    ASSERT_CUDA_OK(cudaEventRecord(event, stream));
    ASSERT_CUDA(cudaErrorNotReady, cudaEventQuery(event));
    ASSERT_CUDA_OK(cudaGetLastError()); /* it is no failure */
    ASSERT_CUDA(cudaErrorNotReady, cudaStreamQuery(stream));
    while (cudaEventQuery(event) == cudaErrorNotReady) {
    }
    ASSERT_CUDA_OK(cudaStreamQuery(stream));
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaEventDestroy(event));
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
}

static void test_a_missing_event_wait_is_a_race(void **state)
{
    (void)state;
    cudaStream_t a = stream_make();
    cudaStream_t b = stream_make();
    char *device = device_make(NBYTES);
    char *out = host_make(NBYTES, 0);
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, NBYTES, a));
    ASSERT_CUDA_OK(cudaMemcpyAsync(out, device, NBYTES, any, b));
    ASSERT_VIOLATION("race: cudaMemcpyAsync reads");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaFreeHost(out));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
}

static void test_an_event_wait_orders_two_streams(void **state)
{
    (void)state;
    for (int sabotaged = 0; sabotaged < 2; sabotaged++) {
        cudasim_sabotage(sabotaged ? CUDASIM_SABOTAGE_WAIT_EVENT : CUDASIM_SABOTAGE_NONE);
        cudaStream_t a = stream_make();
        cudaStream_t b = stream_make();
        cudaEvent_t event = event_make();
        char *device = device_make(NBYTES);
        char *out = host_make(NBYTES, 0);
        ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, NBYTES, a));
        ASSERT_CUDA_OK(cudaEventRecord(event, a));
        ASSERT_CUDA_OK(cudaStreamWaitEvent(b, event, 0));
        ASSERT_CUDA_OK(cudaEventDestroy(event));
        ASSERT_CUDA_OK(cudaMemcpyAsync(out, device, NBYTES, any, b));
        ASSERT_CUDA_OK(cudaStreamSynchronize(b));
        if (sabotaged) {
            ASSERT_VIOLATION("race");
            assert_int_equal((unsigned char)out[0], 0xCB);
        } else {
            ASSERT_NO_VIOLATION();
            assert_int_equal(out[0], 1);
        }
        ASSERT_CUDA_OK(cudaDeviceSynchronize());
        ASSERT_CUDA_OK(cudaFree(device));
        ASSERT_CUDA_OK(cudaFreeHost(out));
        ASSERT_CUDA_OK(cudaStreamDestroy(a));
        ASSERT_CUDA_OK(cudaStreamDestroy(b));
    }
}

static void test_a_later_record_does_not_move_an_earlier_wait(void **state)
{
    (void)state;
    cudaStream_t a = stream_make();
    cudaStream_t b = stream_make();
    cudaEvent_t event = event_make();
    char *device = device_make(2 * NBYTES);
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, NBYTES, a));
    ASSERT_CUDA_OK(cudaEventRecord(event, a));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(b, event, 0));
    ASSERT_CUDA_OK(cudaMemsetAsync(device + NBYTES, 2, NBYTES, a));
    ASSERT_CUDA_OK(cudaEventRecord(event, a));
    ASSERT_CUDA_OK(cudaStreamSynchronize(b));
    assert_int_equal(cudasim_test_byte(device), 1);
    assert_int_equal(cudasim_test_byte(device + NBYTES), 0xCB);
    ASSERT_CUDA_OK(cudaEventSynchronize(event));
    assert_int_equal(cudasim_test_byte(device + NBYTES), 2);
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaEventDestroy(event));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
}

static void test_interleaved_columns_do_not_race(void **state)
{
    (void)state;
    cudaStream_t streams[4];
    char *device = device_make(64 * 64);
    char *in = host_make(NBYTES, 3);
    for (int i = 0; i < 4; i++) {
        streams[i] = stream_make();
        ASSERT_CUDA_OK(cudaMemcpy2DAsync(device + (ptrdiff_t)16 * i, 64, in, 16, 16, 64, any, streams[i]));
    }
    ASSERT_NO_VIOLATION();
    ASSERT_CUDA_OK(cudaMemcpy2DAsync(device + 15, 64, in, 16, 1, 64, any, streams[1]));
    ASSERT_VIOLATION("race");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    for (int i = 0; i < 4; i++) {
        ASSERT_CUDA_OK(cudaStreamDestroy(streams[i]));
    }
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaFreeHost(in));
}

static void test_host_memory_races_too(void **state)
{
    char plain[64] = {0};
    (void)state;
    cudaStream_t a = stream_make();
    cudaStream_t b = stream_make();
    char *device = device_make(2 * NBYTES);
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 0, 2 * NBYTES, a));
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaMemcpyAsync(device, plain, 64, any, a));
    ASSERT_CUDA_OK(cudaMemcpyAsync(plain + 63, device + NBYTES, 1, any, b)); /* the same byte again */
    ASSERT_VIOLATION("race");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
}

/* A byte that a copy has written, though nothing says that it is done: the thread sanitizer would tell of it. */
__attribute__((no_sanitize("thread"))) static int host_byte(const char *at)
{
    return *(const volatile char *)at;
}

static void test_a_copy_from_the_device_to_pageable_memory_waits(void **state)
{
    char plain[64] = {0};
    (void)state;
    cudaStream_t stream = stream_make();
    char *device = device_make(NBYTES);
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 6, NBYTES, stream));
    ASSERT_CUDA_OK(cudaMemcpyAsync(plain, device, 64, any, stream));
    assert_int_equal(host_byte(plain + 63), 6);
    ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 7, NBYTES, stream));
    ASSERT_CUDA_OK(cudaMemcpy2DAsync(plain, 8, device, 64, 8, 8, any, stream));
    assert_int_equal(host_byte(plain + 63), 7);
    ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
    ASSERT_CUDA_OK(cudaFree(device));

    void *managed = NULL;
    ASSERT_CUDA_OK(cudaMallocManaged(&managed, NBYTES, cudaMemAttachGlobal));
    ASSERT_CUDA_OK(cudaMemsetAsync(managed, 8, NBYTES, stream));
    ASSERT_CUDA_OK(cudaMemcpyAsync(plain, managed, 64, any, stream));
    assert_int_equal(host_byte(plain + 63), 8);
    ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
    ASSERT_CUDA_OK(cudaFree(managed));
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
}

static void test_only_a_large_copy_from_pageable_memory_waits(void **state)
{
    const size_t large = (size_t)4 << 20;
    (void)state;
    cudaStream_t stream = stream_make();
    char *plain = calloc(1, large);
    char *device = device_make(large);
    assert_non_null(plain);
    ASSERT_CUDA_OK(cudaMemcpyAsync(device, plain, (size_t)2 << 20, any, stream));
    assert_int_equal(cudasim_live_now().work, 1);
    ASSERT_CUDA_OK(cudaMemcpyAsync(device, plain, large, any, stream));
    assert_int_equal(cudasim_live_now().work, 0);
    ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
    free(plain);
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
}

/* Some bytes that a pending copy is to read: the thread sanitizer would tell of it as well. */
__attribute__((no_sanitize("thread"))) static void host_change(void *bytes)
{
    *(volatile char *)bytes = 99;
}

static cudaError_t copy_of_rank(int rank, char *device, char *plain, cudaStream_t stream)
{
    const struct cudaMemcpy3DParms box = {
        .srcPtr = {plain, 16, 8, 2}, .dstPtr = {device, 8, 8, 2}, .extent = {8, 2, 4}, .kind = any};
    switch (rank) {
    case 1:
        return cudaMemcpyAsync(device, plain, 64, any, stream);
    case 2:
        return cudaMemcpy2DAsync(device, 8, plain, 16, 8, 8, any, stream);
    default:
        return cudaMemcpy3DAsync(&box, stream);
    }
}

static void test_pageable_memory_is_read_at_the_call_and_must_not_change(void **state)
{
    enum { UNCHANGED, PADDING, BY_CALLER, BY_HOST_FUNCTION, NCHANGES };
    (void)state;
    for (int i = 0; i < 3 * NCHANGES; i++) {
        char plain[128];
        const int rank = i / NCHANGES + 1;
        const int change = i % NCHANGES;
        char *last = plain + (rank == 1 ? 63 : 16 * 7 + 7);
        cudaStream_t stream = stream_make();
        char *device = device_make(NBYTES);
        memset(plain, 5, sizeof(plain));
        if (change == BY_HOST_FUNCTION) {
            ASSERT_CUDA_OK(cudaLaunchHostFunc(stream, host_change, last));
        }
        ASSERT_CUDA_OK(copy_of_rank(rank, device, plain, stream));
        if (change == PADDING || change == BY_CALLER) {
            host_change(change == PADDING ? plain + sizeof(plain) - 1 : last);
        }
        ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
        if (change == BY_CALLER || change == BY_HOST_FUNCTION) {
            ASSERT_VIOLATION("changed between the copy's call");
        }
        ASSERT_NO_VIOLATION();
        assert_int_equal(cudasim_test_byte(device), 5);
        assert_int_equal(cudasim_test_byte(device + 63), 5);
        ASSERT_CUDA_OK(cudaFree(device));
        ASSERT_CUDA_OK(cudaStreamDestroy(stream));
    }
}

static void test_the_legacy_stream_waits_for_blocking_streams_only(void **state)
{
    (void)state;
    cudaStream_t blocking = NULL;
    cudaStream_t other = stream_make();
    ASSERT_CUDA_OK(cudaStreamCreate(&blocking));
    char *device = device_make(2 * NBYTES);
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, NBYTES, blocking));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 2, NBYTES, NULL));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 3, NBYTES, blocking));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 4, NBYTES, cudaStreamLegacy));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 5, NBYTES, cudaStreamPerThread));
    ASSERT_NO_VIOLATION();
    ASSERT_CUDA_OK(cudaMemsetAsync(device + NBYTES - 1, 6, 1, other));
    ASSERT_VIOLATION("race");
    ASSERT_CUDA_OK(cudaStreamSynchronize(NULL));
    assert_int_equal(cudasim_test_byte(device), 5);
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaStreamDestroy(blocking));
    ASSERT_CUDA_OK(cudaStreamDestroy(other));
}

static void host_set_flag(void *data)
{
    atomic_store((atomic_int *)data, 1);
}

static void host_spin(void *data)
{
    while (atomic_load((atomic_int *)data) != 1) {
    }
}

static void test_a_host_function_may_block_while_other_streams_go_on(void **state)
{
    atomic_int flag = 0;
    (void)state;
    cudasim_set_schedule(CUDASIM_EAGER, 0);
    cudaStream_t a = stream_make();
    cudaStream_t b = stream_make();
    char *device = device_make(NBYTES);
    ASSERT_CUDA_OK(cudaLaunchHostFunc(a, host_spin, &flag));
    ASSERT_CUDA_OK(cudaMemsetAsync(device, 1, NBYTES, b));
    ASSERT_CUDA_OK(cudaStreamSynchronize(b));
    ASSERT_CUDA(cudaErrorNotReady, cudaStreamQuery(a));
    atomic_store(&flag, 1);
    ASSERT_CUDA_OK(cudaStreamSynchronize(a));
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
}

static void test_a_host_function_comes_to_those_who_wait_without_a_call(void **state)
{
    atomic_int flag = 0;
    (void)state;
    cudaStream_t stream = stream_make();
    ASSERT_CUDA_OK(cudaLaunchHostFunc(stream, host_set_flag, &flag));
    while (atomic_load(&flag) == 0) {
    }
    ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
}

static void host_call_cuda(void *data)
{
    int device;
    *(cudaError_t *)data = cudaGetDevice(&device);
}

static void test_a_host_function_must_not_call_cuda(void **state)
{
    cudaError_t code = cudaSuccess;
    (void)state;
    cudaStream_t stream = stream_make();
    ASSERT_CUDA_OK(cudaLaunchHostFunc(stream, host_call_cuda, &code));
    ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
    ASSERT_CUDA(cudaErrorNotPermitted, code);
    ASSERT_VIOLATION("cudaGetDevice was called by a host function");
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
}

static void test_many_streams_in_threads_keep_their_order(void **state)
{
    enum { NSTREAMS = 40, NROUNDS = 20 };
    cudaStream_t streams[NSTREAMS];
    (void)state;
    cudasim_set_schedule(CUDASIM_THREADS, 0);
    char *device = device_make(NSTREAMS * NBYTES);
    char *out = host_make(NSTREAMS * NBYTES, 0);
    for (int i = 0; i < NSTREAMS; i++) {
        streams[i] = stream_make();
    }
    for (int round = 0; round < NROUNDS; round++) {
        for (size_t i = 0; i < NSTREAMS; i++) {
            ASSERT_CUDA_OK(cudaMemsetAsync(device + i * NBYTES, round + (int)i, NBYTES, streams[i]));
            ASSERT_CUDA_OK(cudaMemcpyAsync(out + i * NBYTES, device + i * NBYTES, NBYTES, any, streams[i]));
        }
    }
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    for (size_t i = 0; i < NSTREAMS; i++) {
        assert_int_equal(out[i * NBYTES], NROUNDS - 1 + (int)i);
        ASSERT_CUDA_OK(cudaStreamDestroy(streams[i]));
    }
    ASSERT_CUDA_OK(cudaFree(device));
    ASSERT_CUDA_OK(cudaFreeHost(out));
}

static void test_random_seeds_keep_the_order_of_streams(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        cudasim_set_schedule(CUDASIM_RANDOM, seed);
        cudaStream_t a = stream_make();
        cudaStream_t b = stream_make();
        cudaEvent_t event = event_make();
        char *device = device_make(NBYTES);
        for (int i = 0; i < 10; i++) {
            ASSERT_CUDA_OK(cudaMemsetAsync(device, i, NBYTES, i % 2 == 0 ? a : b));
            ASSERT_CUDA_OK(cudaEventRecord(event, i % 2 == 0 ? a : b));
            ASSERT_CUDA_OK(cudaStreamWaitEvent(i % 2 == 0 ? b : a, event, 0));
        }
        ASSERT_CUDA_OK(cudaStreamSynchronize(a));
        ASSERT_NO_VIOLATION();
        assert_int_equal(cudasim_test_byte(device), 9);
        ASSERT_CUDA_OK(cudaStreamDestroy(a));
        ASSERT_CUDA_OK(cudaStreamDestroy(b));
        ASSERT_CUDA_OK(cudaDeviceSynchronize());
        ASSERT_CUDA_OK(cudaEventDestroy(event));
        ASSERT_CUDA_OK(cudaFree(device));
    }
}

static void test_a_wide_graph_of_waits_is_searched_in_time(void **state)
{
    enum { NSTREAMS = 8, NROUNDS = 40 };
    cudaStream_t streams[NSTREAMS];
    cudaEvent_t events[NSTREAMS];
    (void)state;
    char *device = device_make(NBYTES);
    for (int i = 0; i < NSTREAMS; i++) {
        streams[i] = stream_make();
        events[i] = event_make();
    }
    for (int round = 0; round < NROUNDS; round++) {
        for (int i = 0; i < NSTREAMS; i++) {
            ASSERT_CUDA_OK(cudaEventRecord(events[i], streams[i]));
        }
        for (int i = 0; i < NSTREAMS * NSTREAMS; i++) {
            ASSERT_CUDA_OK(cudaStreamWaitEvent(streams[i % NSTREAMS], events[i / NSTREAMS], 0));
        }
        ASSERT_CUDA_OK(cudaMemsetAsync(device, round, NBYTES, streams[round % NSTREAMS]));
    }
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_NO_VIOLATION();
    for (int i = 0; i < NSTREAMS; i++) {
        ASSERT_CUDA_OK(cudaStreamDestroy(streams[i]));
        ASSERT_CUDA_OK(cudaEventDestroy(events[i]));
    }
    ASSERT_CUDA_OK(cudaFree(device));
}

static void test_a_destroyed_handle_is_known(void **state)
{
    (void)state;
    cudaStream_t stream = stream_make();
    cudaEvent_t event = event_make();
    ASSERT_CUDA_OK(cudaEventQuery(event)); /* never recorded: complete */
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
    ASSERT_CUDA(cudaErrorInvalidResourceHandle, cudaStreamSynchronize(stream));
    ASSERT_VIOLATION("was destroyed before");
    ASSERT_CUDA(cudaErrorInvalidResourceHandle, cudaEventRecord(event, stream));
    ASSERT_VIOLATION("was destroyed before");
    ASSERT_CUDA(cudaErrorInvalidResourceHandle, cudaEventRecord((cudaEvent_t)(void *)&stream, NULL));
    ASSERT_VIOLATION("is no event and never was");
    ASSERT_CUDA(cudaErrorInvalidResourceHandle, cudaStreamSynchronize((cudaStream_t)(void *)event));
    ASSERT_VIOLATION("not a stream");
    ASSERT_CUDA_OK(cudaEventDestroy(event));
    ASSERT_CUDA(cudaErrorInvalidResourceHandle, cudaEventDestroy(event));
    ASSERT_VIOLATION("was destroyed before");
}

static void test_an_event_belongs_to_its_device(void **state)
{
    (void)state;
    cudaEvent_t event = event_make();
    ASSERT_CUDA_OK(cudaSetDevice(1));
    cudaStream_t stream = stream_make();
    ASSERT_CUDA(cudaErrorInvalidResourceHandle, cudaEventRecord(event, stream));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(stream, event, 0));
    ASSERT_CUDA_OK(cudaSetDevice(0));
    ASSERT_CUDA_OK(cudaEventRecord(event, NULL));
    ASSERT_CUDA_OK(cudaStreamWaitEvent(stream, event, 0));
    ASSERT_CUDA_OK(cudaStreamSynchronize(stream));
    ASSERT_CUDA_OK(cudaEventDestroy(event));
    ASSERT_CUDA_OK(cudaStreamDestroy(stream));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDASIM_TEST(test_copies_through_the_device_come_back),
        CUDASIM_TEST(test_lazy_work_is_not_done_before_somebody_waits),
        CUDASIM_TEST(test_waiting_for_one_stream_does_no_work_of_another),
        CUDASIM_TEST(test_queries_say_not_ready_first_and_end),
        CUDASIM_TEST(test_a_missing_event_wait_is_a_race),
        CUDASIM_TEST(test_an_event_wait_orders_two_streams),
        CUDASIM_TEST(test_a_later_record_does_not_move_an_earlier_wait),
        CUDASIM_TEST(test_interleaved_columns_do_not_race),
        CUDASIM_TEST(test_host_memory_races_too),
        CUDASIM_TEST(test_a_copy_from_the_device_to_pageable_memory_waits),
        CUDASIM_TEST(test_only_a_large_copy_from_pageable_memory_waits),
        CUDASIM_TEST(test_pageable_memory_is_read_at_the_call_and_must_not_change),
        CUDASIM_TEST(test_the_legacy_stream_waits_for_blocking_streams_only),
        CUDASIM_TEST(test_a_host_function_may_block_while_other_streams_go_on),
        CUDASIM_TEST(test_a_host_function_comes_to_those_who_wait_without_a_call),
        CUDASIM_TEST(test_a_host_function_must_not_call_cuda),
        CUDASIM_TEST(test_many_streams_in_threads_keep_their_order),
        CUDASIM_TEST(test_random_seeds_keep_the_order_of_streams),
        CUDASIM_TEST(test_a_wide_graph_of_waits_is_searched_in_time),
        CUDASIM_TEST(test_a_destroyed_handle_is_known),
        CUDASIM_TEST(test_an_event_belongs_to_its_device),
    };
    return cmocka_run_group_tests_name("cudasim/order", tests, NULL, NULL);
}
