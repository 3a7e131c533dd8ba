/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls return while earlier work is not done, and which are allowed while a stream is captured. */
#include "tests/cudasim/calibration/calibration.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* "returns" or "waits", and the error if there is one. */
static void answer_waits(const char *group, const calibration_call *call, cudaStream_t busy_stream,
                         cudaStream_t call_stream)
{
    char name[96];
    snprintf(name, sizeof(name), "%s.%s", group, call->name);
    /* Once before, for what is only initialised with the first call. */
    call->make(call->prepare != NULL ? call->prepare() : NULL, call_stream);
    settle();
    void *object = call->prepare != NULL ? call->prepare() : NULL;
    become_busy(busy_stream);
    cudaError_t error = call->make(object, call_stream);
    bool waited = !is_busy();
    settle();
    if (error == cudaSuccess) {
        answer(name, "%s", waited ? "waits" : "returns");
    } else {
        answer(name, "%s, %s", waited ? "waits" : "returns", error_name(error));
    }
}

/* NULL: no more. */
static const calibration_call *call_at(size_t i)
{
    if (i < calibration_ncalls) {
        return &calibration_calls[i];
    }
    return i - calibration_ncalls < calibration_ncopy_calls ? &calibration_copy_calls[i - calibration_ncalls] : NULL;
}

void ask_blocking(void)
{
    for (size_t i = 0; call_at(i) != NULL; i++) {
        answer_waits("blocking", call_at(i), world.stream, world.stream);
    }
}

static const calibration_call *find_call(const char *name)
{
    size_t i = 0;
    while (call_at(i) != NULL && strcmp(call_at(i)->name, name) != 0) {
        i++;
    }
    return call_at(i);
}

static cudaError_t make_legacy_pinned(void *object, cudaStream_t stream)
{
    (void)object;
    (void)stream;
    return CALL(cudaMemcpy, world.device, world.pinned, 65536, cudaMemcpyDefault);
}

static cudaError_t make_legacy_pageable(void *object, cudaStream_t stream)
{
    (void)object;
    (void)stream;
    return CALL(cudaMemcpy, world.device, world.pageable, 65536, cudaMemcpyDefault);
}

static cudaError_t make_legacy_to_pageable(void *object, cudaStream_t stream)
{
    (void)object;
    (void)stream;
    return CALL(cudaMemcpy, world.pageable, world.device, 65536, cudaMemcpyDefault);
}

static cudaError_t make_legacy_host(void *object, cudaStream_t stream)
{
    (void)object;
    (void)stream;
    return CALL(cudaMemcpy, world.pinned2, world.pinned, 65536, cudaMemcpyDefault);
}

static cudaError_t make_device_synchronize(void *object, cudaStream_t stream)
{
    (void)object;
    (void)stream;
    return CALL_PLAIN(cudaDeviceSynchronize);
}

static void *idle_stream(void)
{
    return world.other;
}

void ask_blocking_legacy(void)
{
    static const calibration_call calls[] = {
        {"memcpy_pinned_to_device", NULL, make_legacy_pinned},
        {"memcpy_pageable_to_device", NULL, make_legacy_pageable},
        {"memcpy_device_to_pageable", NULL, make_legacy_to_pageable},
        {"memcpy_pinned_to_pinned", NULL, make_legacy_host},
        {"device_synchronize", NULL, make_device_synchronize},
    };
    const calibration_call *device_copy = find_call("blocking_copy");
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        answer_waits("busy_blocking_stream", &calls[i], world.blocking, world.blocking);
        answer_waits("busy_nonblocking_stream", &calls[i], world.stream, world.stream);
    }
    answer_waits("busy_blocking_stream", device_copy, world.blocking, world.blocking);
    /* The stream that is waited for is idle; another one is not. */
    calibration_call synchronize = *find_call("stream_synchronize");
    synchronize.prepare = idle_stream;
    answer_waits("busy_other_stream", &synchronize, world.stream, world.other);
    answer_waits("busy_other_stream", find_call("event_record_and_synchronize"), world.stream, world.other);
    answer_waits("busy_other_stream", find_call("pageable_to_device"), world.stream, world.other);
    answer_waits("busy_other_stream", find_call("device_to_pageable"), world.stream, world.other);
    answer_waits("busy_other_stream", find_call("pageable_to_pageable"), world.stream, world.other);
}

/* The code of a call in the capture of a stream, what became of the capture, and the code of its end. */
static void answer_capture(const char *mode_name, enum cudaStreamCaptureMode mode, const calibration_call *call)
{
    char name[96];
    cudaStream_t stream = NULL;
    cudaGraph_t graph = NULL;
    enum cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
    static const char *const states[] = {"not capturing", "active", "invalidated"};
    snprintf(name, sizeof(name), "capture.%s.%s", mode_name, call->name);
    void *object = call->prepare != NULL ? call->prepare() : NULL;
    if (cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) {
        answer(name, "no stream");
        return;
    }
    cudaError_t error = CALL(cudaStreamBeginCapture, stream, mode);
    if (error != cudaSuccess) {
        answer(name, "%s at the start", error_name(error));
        return;
    }
    cudaError_t code = call->make(object, stream);
    cuda.cudaStreamIsCapturing(stream, &status);
    cudaError_t end = CALL(cudaStreamEndCapture, stream, &graph);
    const char *code_name = error_name(code);
    answer(name, "%s, %s, end %s", code_name, states[status], error_name(end));
    if (graph != NULL) {
        CALL(cudaGraphDestroy, graph);
    }
    cuda.cudaStreamDestroy(stream);
    settle();
}

static cudaEvent_t record_in(cudaStream_t stream)
{
    cudaEvent_t event = NULL;
    cuda.cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cuda.cudaEventRecord(event, stream);
    return event;
}

/* Another stream waits for an event of this one, and has work of its own. */
static cudaError_t make_fork(void *object, cudaStream_t stream)
{
    cuda.cudaStreamWaitEvent(object, record_in(stream), cudaEventWaitDefault);
    return cuda.cudaMemcpyAsync(world.device, world.device2, 64, cudaMemcpyDefault, object);
}

static cudaError_t make_fork_and_join(void *object, cudaStream_t stream)
{
    cudaError_t error = make_fork(object, stream);
    return error != cudaSuccess ? error : cuda.cudaStreamWaitEvent(stream, record_in(object), cudaEventWaitDefault);
}

/* What the capture allocates may be freed in it. */
static cudaError_t make_malloc_and_free(void *object, cudaStream_t stream)
{
    void *block = NULL;
    (void)object;
    cudaError_t error = cuda.cudaMallocFromPoolAsync(&block, 4096, world.pool, stream);
    return error != cudaSuccess ? error : cuda.cudaFreeAsync(block, stream);
}

static void answer_capture_in_all_modes(const calibration_call *call)
{
    answer_capture("global", cudaStreamCaptureModeGlobal, call);
    answer_capture("thread_local", cudaStreamCaptureModeThreadLocal, call);
    answer_capture("relaxed", cudaStreamCaptureModeRelaxed, call);
}

void ask_capture(void)
{
    static const calibration_call calls[] = {
        {"fork", calibration_new_stream, make_fork},
        {"fork_and_join", calibration_new_stream, make_fork_and_join},
        {"malloc_and_free_async", NULL, make_malloc_and_free},
    };
    for (size_t i = 0; call_at(i) != NULL; i++) {
        answer_capture_in_all_modes(call_at(i));
    }
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        answer_capture_in_all_modes(&calls[i]);
    }
}

/* What another thread does while this one captures. */
typedef struct thread_work {
    cudaError_t error;
    cudaStream_t end; /* whose capture it ends, or NULL: it allocates */
} thread_work;

static void *work_elsewhere(void *context)
{
    thread_work *work = context;
    cudaGraph_t graph = NULL;
    void *block = NULL;
    cuda.cudaSetDevice(0);
    work->error = work->end != NULL ? CALL(cudaStreamEndCapture, work->end, &graph) : cuda.cudaMalloc(&block, 256);
    cuda.cudaGetLastError();
    return NULL;
}

static void answer_thread(const char *name, enum cudaStreamCaptureMode mode, bool ends)
{
    pthread_t thread;
    cudaStream_t stream = NULL;
    cudaGraph_t graph = NULL;
    if (cuda.cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess ||
        CALL(cudaStreamBeginCapture, stream, mode) != cudaSuccess) {
        answer(name, "no capture");
        return;
    }
    thread_work work = {cudaSuccess, ends ? stream : NULL};
    if (pthread_create(&thread, NULL, work_elsewhere, &work) == 0) {
        pthread_join(thread, NULL);
    }
    cudaError_t end = CALL(cudaStreamEndCapture, stream, &graph);
    const char *code_name = error_name(work.error);
    if (ends) {
        answer(name, "%s", code_name); /* whether the capture goes on after it, nothing tells for sure */
    } else {
        answer(name, "%s, end %s", code_name, error_name(end));
    }
}

static cudaError_t query_legacy_while(cudaStream_t capturing)
{
    enum cudaStreamCaptureStatus status;
    cudaGraph_t graph = NULL;
    CALL(cudaStreamBeginCapture, capturing, cudaStreamCaptureModeRelaxed);
    cudaError_t error = cuda.cudaStreamIsCapturing(cudaStreamLegacy, &status);
    CALL(cudaStreamEndCapture, capturing, &graph);
    return error;
}

/* A call on the legacy stream, while a blocking stream is captured: its code and the code of the end. */
static void answer_legacy(const char *name, cudaStream_t legacy)
{
    cudaGraph_t graph = NULL;
    CALL(cudaStreamBeginCapture, world.blocking, cudaStreamCaptureModeRelaxed);
    cudaError_t error = cuda.cudaMemcpyAsync(world.device, world.device2, 64, cudaMemcpyDefault, legacy);
    cudaError_t end = CALL(cudaStreamEndCapture, world.blocking, &graph);
    const char *code_name = error_name(error);
    answer(name, "%s, end %s", code_name, error_name(end));
}

/* A copy to the other device in a capture: its code and the code of the end. */
static void answer_peer_capture(const char *name, bool by_kind)
{
    void *there = NULL;
    cudaGraph_t graph = NULL;
    if (world.ndevices < 2) {
        answer(name, "one device");
        return;
    }
    cuda.cudaSetDevice(1);
    cuda.cudaMalloc(&there, 4096);
    cuda.cudaSetDevice(0);
    CALL(cudaStreamBeginCapture, world.stream, cudaStreamCaptureModeRelaxed);
    cudaError_t error = by_kind ? cuda.cudaMemcpyAsync(there, world.device, 4096, cudaMemcpyDefault, world.stream)
                                : cuda.cudaMemcpyPeerAsync(there, 1, world.device, 0, 4096, world.stream);
    cudaError_t end = CALL(cudaStreamEndCapture, world.stream, &graph);
    const char *code_name = error_name(error);
    answer(name, "%s, end %s", code_name, error_name(end));
}

void ask_capture_rules(void)
{
    cudaGraph_t graph = NULL;
    enum cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
    enum cudaStreamCaptureStatus status = cudaStreamCaptureStatusInvalidated;
    answer_error("capture_rules.begin_null_stream", CALL(cudaStreamBeginCapture, NULL, cudaStreamCaptureModeRelaxed));
    answer_error("capture_rules.begin_legacy_stream",
                 CALL(cudaStreamBeginCapture, cudaStreamLegacy, cudaStreamCaptureModeRelaxed));
    answer_error("capture_rules.begin_mode_9",
                 CALL(cudaStreamBeginCapture, world.stream, (enum cudaStreamCaptureMode)9));
    answer_error("capture_rules.end_without_begin", CALL(cudaStreamEndCapture, world.stream, &graph));
    CALL(cudaStreamBeginCapture, world.stream, cudaStreamCaptureModeRelaxed);
    answer_error("capture_rules.begin_twice", CALL(cudaStreamBeginCapture, world.stream, cudaStreamCaptureModeRelaxed));
    answer_error("capture_rules.end_after_begin_twice", CALL(cudaStreamEndCapture, world.stream, &graph));
    cuda.cudaStreamIsCapturing(world.stream, &status);
    answer("capture_rules.status_idle", "%d", (int)status);
    answer_error("capture_rules.is_capturing_null", cuda.cudaStreamIsCapturing(world.stream, NULL));
    answer_error("capture_rules.is_capturing_legacy_beside_blocking", query_legacy_while(world.blocking));
    answer_error("capture_rules.is_capturing_legacy_beside_nonblocking", query_legacy_while(world.stream));
    answer_legacy("capture_rules.copy_in_legacy_beside_blocking", cudaStreamLegacy);
    answer_legacy("capture_rules.copy_in_null_beside_blocking", NULL);
    cuda.cudaThreadExchangeStreamCaptureMode(&mode);
    answer("capture_rules.mode_of_a_new_thread", "%d", (int)mode);
    cuda.cudaThreadExchangeStreamCaptureMode(&mode);
    answer("capture_rules.mode_exchanged", "%d", (int)mode);
    mode = (enum cudaStreamCaptureMode)9;
    answer_error("capture_rules.exchange_mode_9", cuda.cudaThreadExchangeStreamCaptureMode(&mode));
    answer_thread("capture_rules.malloc_in_another_thread_global", cudaStreamCaptureModeGlobal, false);
    answer_thread("capture_rules.malloc_in_another_thread_thread_local", cudaStreamCaptureModeThreadLocal, false);
    answer_thread("capture_rules.malloc_in_another_thread_relaxed", cudaStreamCaptureModeRelaxed, false);
    answer_thread("capture_rules.end_in_another_thread_global", cudaStreamCaptureModeGlobal, true);
    answer_thread("capture_rules.end_in_another_thread_relaxed", cudaStreamCaptureModeRelaxed, true);
    answer_peer_capture("capture_rules.peer_copy_to_device_1", false);
    answer_peer_capture("capture_rules.copy_to_device_1_by_default_kind", true);
}

void ask_capture_graph(void)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t executable = NULL;
    memset(world.pinned, 17, 64);
    memset(world.pinned2, 0, 64);
    answer_error("capture_graph.begin", CALL(cudaStreamBeginCapture, world.stream, cudaStreamCaptureModeThreadLocal));
    cuda.cudaMemcpyAsync(world.device, world.pinned, 64, cudaMemcpyDefault, world.stream);
    cuda.cudaMemcpyAsync(world.pinned2, world.device, 64, cudaMemcpyDefault, world.stream);
    answer_error("capture_graph.end", CALL(cudaStreamEndCapture, world.stream, &graph));
    cuda.cudaStreamSynchronize(world.stream);
    answer_yes("capture_graph.done_by_capturing", world.pinned2[0] == 17);
    answer_error("capture_graph.instantiate", CALL(cudaGraphInstantiate, &executable, graph, 0));
    answer_error("capture_graph.launch", CALL(cudaGraphLaunch, executable, world.stream));
    cuda.cudaStreamSynchronize(world.stream);
    answer_yes("capture_graph.done_by_launching", world.pinned2[0] == 17);
    answer_error("capture_graph.destroy_executable", CALL(cudaGraphExecDestroy, executable));
    answer_error("capture_graph.destroy", CALL(cudaGraphDestroy, graph));
}
