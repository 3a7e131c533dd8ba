/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, events, which work waits for which, and host functions. */
#include "tests/cudasim/calibration/calibration.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#define PATIENCE_MS 5000

static cudaEvent_t new_event(unsigned flags)
{
    cudaEvent_t event = NULL;
    cuda.cudaEventCreateWithFlags(&event, flags);
    return event;
}

static void ask_stream_device(const char *name, cudaStream_t stream)
{
    int device = -1;
    cudaError_t error = cuda.cudaStreamGetDevice(stream, &device);
    if (error != cudaSuccess) {
        answer_error(name, error);
    } else {
        answer(name, "%d", device);
    }
}

static void CUDART_CB set_flag(void *flag)
{
    atomic_store((atomic_bool *)flag, true);
}

/* Work of a stream that is destroyed before it is done. */
static void ask_destroyed_while_busy(void)
{
    static atomic_bool done;
    cudaStream_t stream = NULL;
    cudaEvent_t event = new_event(cudaEventDisableTiming);
    cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    become_busy(stream);
    cuda.cudaLaunchHostFunc(stream, set_flag, &done);
    cuda.cudaEventRecord(event, stream);
    answer_error("streams.destroy_while_busy", cuda.cudaStreamDestroy(stream));
    answer_yes("streams.destroy_while_busy_waits", !is_busy());
    answer_error("streams.wait_for_an_event_of_the_destroyed", cuda.cudaEventSynchronize(event));
    answer_yes("streams.work_of_the_destroyed_was_done", atomic_load(&done));
}

void ask_streams(void)
{
    cudaStream_t stream = NULL;
    enum cudaStreamCaptureStatus status = cudaStreamCaptureStatusInvalidated;
    answer_error("streams.create_null", cuda.cudaStreamCreateWithFlags(NULL, 0));
    answer_error("streams.create_flags_2", cuda.cudaStreamCreateWithFlags(&stream, 2));
    answer_error("streams.create", cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    answer_error("streams.destroy", cuda.cudaStreamDestroy(stream));
    answer_error("streams.destroy_null", cuda.cudaStreamDestroy(NULL));
    answer_error("streams.destroy_legacy", cuda.cudaStreamDestroy(cudaStreamLegacy));
    answer_error("streams.destroy_per_thread", cuda.cudaStreamDestroy(cudaStreamPerThread));
    ask_stream_device("streams.device", world.stream);
    ask_stream_device("streams.device_of_null", NULL);
    ask_stream_device("streams.device_of_legacy", cudaStreamLegacy);
    ask_stream_device("streams.device_of_per_thread", cudaStreamPerThread);
    answer_error("streams.synchronize", cuda.cudaStreamSynchronize(world.stream));
    answer_error("streams.synchronize_null", cuda.cudaStreamSynchronize(NULL));
    answer_error("streams.synchronize_legacy", cuda.cudaStreamSynchronize(cudaStreamLegacy));
    answer_error("streams.synchronize_per_thread", cuda.cudaStreamSynchronize(cudaStreamPerThread));
    answer_error("streams.query_idle", CALL(cudaStreamQuery, world.stream));
    become_busy(world.stream);
    answer_error("streams.query_busy", CALL(cudaStreamQuery, world.stream));
    become_idle(world.stream);
    answer_error("streams.is_capturing_null_stream", cuda.cudaStreamIsCapturing(NULL, &status));
    answer("streams.capture_status_of_null_stream", "%d", (int)status);
    answer_error("streams.wait_null_event", cuda.cudaStreamWaitEvent(world.stream, NULL, 0));
    answer_error("streams.wait_flags_16", cuda.cudaStreamWaitEvent(world.stream, world.event, 16));
    answer_error("streams.wait_unrecorded", cuda.cudaStreamWaitEvent(world.stream, world.event, 0));
    answer_error("streams.wait_in_legacy", cuda.cudaStreamWaitEvent(cudaStreamLegacy, world.event, 0));
    ask_destroyed_while_busy();
    if (world.ndevices > 1) {
        cuda.cudaSetDevice(1);
        answer_error("streams.copy_in_a_stream_of_device_0_from_device_1",
                     cuda.cudaMemcpyAsync(world.device, world.pinned, 64, cudaMemcpyDefault, world.stream));
        settle();
        answer_error("streams.synchronize_a_stream_of_device_0_from_device_1",
                     cuda.cudaStreamSynchronize(world.stream));
        ask_stream_device("streams.device_of_null_on_device_1", NULL);
        cuda.cudaSetDevice(0);
    } else {
        answer("streams.copy_in_a_stream_of_device_0_from_device_1", "one device");
        answer("streams.synchronize_a_stream_of_device_0_from_device_1", "one device");
        answer("streams.device_of_null_on_device_1", "one device");
    }
}

static void ask_elapsed(const char *name, cudaEvent_t start, cudaEvent_t end)
{
    float ms = -1;
    cudaError_t error = CALL(cudaEventElapsedTime, &ms, start, end);
    if (error != cudaSuccess) {
        answer_error(name, error);
    } else {
        answer(name, "%s", ms >= 0 ? "not negative" : "negative");
    }
}

static void ask_events_of_two_devices(void)
{
    cudaStream_t stream = NULL;
    cudaEvent_t event = NULL;
    if (world.ndevices < 2) {
        answer("events.record_in_a_stream_of_device_1", "one device");
        answer("events.device_1_waits_for_device_0", "one device");
        answer("events.query_from_device_1", "one device");
        answer("events.record_for_device_1_in_null_stream", "one device");
        return;
    }
    cuda.cudaSetDevice(1);
    cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    event = new_event(cudaEventDisableTiming);
    answer_error("events.record_in_a_stream_of_device_1", cuda.cudaEventRecord(world.event, stream));
    cuda.cudaSetDevice(0);
    cudaEvent_t here = new_event(cudaEventDisableTiming);
    cuda.cudaEventRecord(here, world.stream);
    answer_error("events.device_1_waits_for_device_0", cuda.cudaStreamWaitEvent(stream, here, 0));
    cuda.cudaStreamSynchronize(stream);
    cuda.cudaSetDevice(1);
    answer_error("events.query_from_device_1", cuda.cudaEventQuery(here));
    cuda.cudaSetDevice(0);
    answer_error("events.record_for_device_1_in_null_stream", cuda.cudaEventRecord(event, NULL));
}

void ask_events(void)
{
    cudaEvent_t plain = NULL;
    answer_error("events.create_null", cuda.cudaEventCreateWithFlags(NULL, 0));
    answer_error("events.create_flags_128", cuda.cudaEventCreateWithFlags(&plain, 128));
    answer_error("events.create_interprocess_with_timing",
                 cuda.cudaEventCreateWithFlags(&plain, cudaEventInterprocess));
    answer_error("events.create_blocking_sync", cuda.cudaEventCreateWithFlags(&plain, cudaEventBlockingSync));
    answer_error("events.query_unrecorded", cuda.cudaEventQuery(plain));
    answer_error("events.synchronize_unrecorded", cuda.cudaEventSynchronize(plain));
    answer_error("events.destroy_null", cuda.cudaEventDestroy(NULL));
    answer_error("events.query_null", cuda.cudaEventQuery(NULL));
    answer_error("events.synchronize_null", cuda.cudaEventSynchronize(NULL));
    answer_error("events.record_null", cuda.cudaEventRecord(NULL, world.stream));
    answer_error("events.record_in_null_stream", cuda.cudaEventRecord(plain, NULL));
    answer_error("events.record_in_per_thread_stream", cuda.cudaEventRecord(plain, cudaStreamPerThread));
    settle();

    cudaEvent_t start = new_event(cudaEventDefault);
    cudaEvent_t end = new_event(cudaEventDefault);
    ask_elapsed("events.elapsed_unrecorded", start, end);
    cuda.cudaEventRecord(start, world.stream);
    ask_elapsed("events.elapsed_end_unrecorded", start, end);
    become_busy(world.stream);
    cuda.cudaEventRecord(end, world.stream);
    ask_elapsed("events.elapsed_pending", start, end);
    answer_error("events.query_pending", cuda.cudaEventQuery(end));
    answer_yes("events.query_waits", !is_busy());
    become_idle(world.stream);
    answer_error("events.query_done", cuda.cudaEventQuery(end));
    ask_elapsed("events.elapsed", start, end);
    cudaEvent_t untimed = new_event(cudaEventDisableTiming);
    cuda.cudaEventRecord(untimed, world.stream);
    cuda.cudaEventSynchronize(untimed);
    ask_elapsed("events.elapsed_without_timing", start, untimed);

    /* A wait stands for the record that was the last one at that time. */
    become_busy(world.stream);
    cuda.cudaEventRecord(end, world.stream);
    cuda.cudaStreamWaitEvent(world.other, end, 0);
    cuda.cudaEventRecord(end, world.blocking);
    answer_error("events.synchronize_recorded_again", cuda.cudaEventSynchronize(end));
    answer_yes("events.recorded_again_waits_for_the_first", !is_busy());
    cuda.cudaStreamSynchronize(world.other);
    answer_yes("events.stream_waits_for_the_first_record", !is_busy());
    become_idle(world.stream);

    become_busy(world.stream);
    cudaEvent_t dropped = new_event(cudaEventDisableTiming);
    cuda.cudaEventRecord(dropped, world.stream);
    cuda.cudaStreamWaitEvent(world.other, dropped, 0);
    answer_error("events.destroy_pending", cuda.cudaEventDestroy(dropped));
    answer_yes("events.destroy_pending_waits", !is_busy());
    cuda.cudaStreamSynchronize(world.other);
    answer_yes("events.stream_waits_for_a_destroyed_event", !is_busy());
    become_idle(world.stream);
    ask_events_of_two_devices();
}

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Whether work given to `later` waits for a host function that sleeps in `earlier`. */
static void ask_whether_waits(const char *name, cudaStream_t earlier, cudaStream_t later)
{
    cudaEvent_t event = new_event(cudaEventDisableTiming);
    cudaError_t error = cudaErrorNotReady;
    become_busy(earlier);
    cuda.cudaEventRecord(event, later);
    for (double end = now_ms() + PATIENCE_MS; error == cudaErrorNotReady && now_ms() < end;) {
        error = cuda.cudaEventQuery(event);
    }
    bool waited = !is_busy();
    if (error != cudaSuccess) {
        answer_error(name, error);
    } else {
        answer(name, "%s", waited ? "waits" : "does not wait");
    }
    settle();
    cuda.cudaEventDestroy(event);
}

static cudaStream_t per_thread_elsewhere;
static cudaEvent_t event_elsewhere;

static void *record_elsewhere(void *unused)
{
    (void)unused;
    cuda.cudaSetDevice(0);
    cuda.cudaEventRecord(event_elsewhere, per_thread_elsewhere);
    return NULL;
}

/* The per-thread streams of two threads are two. */
static void ask_two_threads(void)
{
    pthread_t thread;
    cudaError_t error = cudaErrorNotReady;
    per_thread_elsewhere = cudaStreamPerThread;
    event_elsewhere = new_event(cudaEventDisableTiming);
    become_busy(cudaStreamPerThread);
    if (pthread_create(&thread, NULL, record_elsewhere, NULL) == 0) {
        pthread_join(thread, NULL);
    }
    for (double end = now_ms() + PATIENCE_MS; error == cudaErrorNotReady && now_ms() < end;) {
        error = cuda.cudaEventQuery(event_elsewhere);
    }
    answer("order.per_thread_of_another_thread", "%s", !is_busy() ? "waits" : "does not wait");
    cuda.cudaStreamSynchronize(cudaStreamPerThread);
}

void ask_order(void)
{
    ask_whether_waits("order.same_stream", world.stream, world.stream);
    ask_whether_waits("order.nonblocking_behind_nonblocking", world.stream, world.other);
    ask_whether_waits("order.legacy_behind_blocking", world.blocking, cudaStreamLegacy);
    ask_whether_waits("order.legacy_behind_nonblocking", world.stream, cudaStreamLegacy);
    ask_whether_waits("order.blocking_behind_legacy", cudaStreamLegacy, world.blocking);
    ask_whether_waits("order.nonblocking_behind_legacy", cudaStreamLegacy, world.stream);
    ask_whether_waits("order.null_behind_legacy", cudaStreamLegacy, NULL);
    ask_whether_waits("order.null_behind_blocking", world.blocking, NULL);
    ask_whether_waits("order.per_thread_behind_legacy", cudaStreamLegacy, cudaStreamPerThread);
    ask_whether_waits("order.legacy_behind_per_thread", cudaStreamPerThread, cudaStreamLegacy);
    ask_whether_waits("order.per_thread_behind_blocking", world.blocking, cudaStreamPerThread);
    ask_whether_waits("order.nonblocking_behind_blocking", world.blocking, world.stream);
    ask_two_threads();

    cudaStream_t second = NULL;
    cuda.cudaStreamCreateWithFlags(&second, cudaStreamDefault);
    ask_whether_waits("order.blocking_behind_blocking", world.blocking, second);
    /* Work in the legacy stream between the two ties them. */
    cudaEvent_t event = new_event(cudaEventDisableTiming);
    become_busy(world.blocking);
    cuda.cudaMemcpyAsync(world.device, world.device2, 64, cudaMemcpyDefault, cudaStreamLegacy);
    cuda.cudaEventRecord(event, second);
    cuda.cudaEventSynchronize(event);
    answer("order.blocking_behind_blocking_with_legacy_work_between", "%s", !is_busy() ? "waits" : "does not wait");
    settle();
    if (world.ndevices > 1) {
        cudaStream_t there = NULL;
        cuda.cudaSetDevice(1);
        cuda.cudaStreamCreateWithFlags(&there, cudaStreamDefault);
        cuda.cudaSetDevice(0);
        become_busy(there);
        event = new_event(cudaEventDisableTiming);
        cuda.cudaEventRecord(event, cudaStreamLegacy);
        cuda.cudaEventSynchronize(event);
        answer("order.legacy_behind_blocking_of_another_device", "%s", !is_busy() ? "waits" : "does not wait");
        cuda.cudaStreamSynchronize(there);
    } else {
        answer("order.legacy_behind_blocking_of_another_device", "one device");
    }
}

static void CUDART_CB append(void *text)
{
    char *end = (char *)text + strlen(text);
    *end = (char)('a' + (end - (char *)text));
}

static pthread_t caller;

static void CUDART_CB compare_thread(void *out_is_caller)
{
    *(bool *)out_is_caller = pthread_equal(pthread_self(), caller) != 0;
}

/* Reads what the copy before it has written, and writes what the copy behind it reads. */
static void CUDART_CB exchange_bytes(void *out_saw)
{
    *(bool *)out_saw = world.pinned2[0] == 99;
    world.pinned2[0] = 77;
}

void ask_host_functions(void)
{
    char text[8] = {0};
    bool is_caller = false;
    bool saw = false;
    answer_error("host_functions.null", cuda.cudaLaunchHostFunc(world.stream, NULL, NULL));
    for (int i = 0; i < 3; i++) {
        cuda.cudaLaunchHostFunc(world.stream, append, text);
    }
    cuda.cudaStreamSynchronize(world.stream);
    answer("host_functions.three_in_order", "%s", text);
    memset(world.pinned, 99, 64);
    memset(world.pinned2, 0, 64);
    cuda.cudaMemcpyAsync(world.device, world.pinned, 64, cudaMemcpyDefault, world.stream);
    cuda.cudaMemcpyAsync(world.pinned2, world.device, 64, cudaMemcpyDefault, world.stream);
    cuda.cudaLaunchHostFunc(world.stream, exchange_bytes, &saw);
    cuda.cudaMemcpyAsync(world.device, world.pinned2, 64, cudaMemcpyDefault, world.stream);
    cuda.cudaMemcpyAsync(world.pinned, world.device, 64, cudaMemcpyDefault, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    answer_yes("host_functions.see_earlier_work", saw);
    answer_yes("host_functions.are_seen_by_later_work", world.pinned[0] == 77);
    caller = pthread_self();
    cuda.cudaLaunchHostFunc(world.stream, compare_thread, &is_caller);
    cuda.cudaStreamSynchronize(world.stream);
    answer_yes("host_functions.run_in_the_caller", is_caller);
    answer_error("host_functions.legacy_stream", cuda.cudaLaunchHostFunc(cudaStreamLegacy, append, text));
    settle();
}

typedef struct codes {
    cudaError_t get_device;
    cudaError_t pointer_attributes;
    cudaError_t event_query;
    cudaError_t malloc;
    cudaError_t copy;
} codes;

/* Forbidden, and documented to be refused perhaps: nothing in here waits. */
static void CUDART_CB call_cuda(void *out_codes)
{
    codes *out = out_codes;
    struct cudaPointerAttributes attributes;
    int device = 0;
    void *block = NULL;
    out->get_device = cuda.cudaGetDevice(&device);
    out->pointer_attributes = cuda.cudaPointerGetAttributes(&attributes, world.device);
    out->event_query = cuda.cudaEventQuery(world.event);
    out->malloc = cuda.cudaMalloc(&block, 256);
    out->copy = cuda.cudaMemcpyAsync(world.device, world.device2, 64, cudaMemcpyDefault, world.other);
}

void ask_host_function_calls(void)
{
    codes out;
    memset(&out, 0, sizeof(out));
    cuda.cudaLaunchHostFunc(world.stream, call_cuda, &out);
    answer_error("host_function_calls.wait", cuda.cudaStreamSynchronize(world.stream));
    answer_error("host_function_calls.get_device", out.get_device);
    answer_error("host_function_calls.pointer_attributes", out.pointer_attributes);
    answer_error("host_function_calls.event_query", out.event_query);
    answer_error("host_function_calls.malloc", out.malloc);
    answer_error("host_function_calls.copy", out.copy);
}
