/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/cudasim/sim.h"
#include "tests/cudasim/sim_graph.h"

struct sim_capture {
    uint64_t number;
    enum cudaStreamCaptureMode mode;
    uint64_t thread;
    bool invalid;
    const sim_stream *origin;
    sim_nodes *nodes;
    sim_capture *next;
};

static sim_capture *capture_all;

void sim_capture_invalidate(sim_capture *capture)
{
    capture->invalid = true;
}

static void capture_set_deps(sim_stream *stream, const int *deps, int ndeps)
{
    int *copy = sim_alloc((size_t)ndeps * sizeof(*deps));
    if (ndeps > 0) {
        memcpy(copy, deps, (size_t)ndeps * sizeof(*deps));
    }
    free(stream->capture_deps);
    stream->capture_deps = copy;
    stream->ncapture_deps = ndeps;
}

static void capture_detach(sim_stream *stream)
{
    capture_set_deps(stream, NULL, 0);
    stream->capture = NULL;
}

/* All streams and events of the capture are free again. Its nodes remain. */
static void capture_end(sim_capture *capture)
{
    for (int i = 0; i < SIM_MAX_DEVICES; i++) {
        for (sim_stream *s = sim.devices[i].streams; s != NULL; s = s->next) {
            if (s->capture == capture) {
                capture_detach(s);
            }
        }
    }
    sim_event_end_capture(capture);
    sim_capture **at = &capture_all;
    while (*at != capture) {
        at = &(*at)->next;
    }
    *at = capture->next;
}

void sim_capture_reset(void)
{
    while (capture_all != NULL) {
        sim_capture *capture = capture_all;
        capture_end(capture);
        sim_nodes_release(capture->nodes);
        free(capture);
    }
    sim_graph_reset();
}

void sim_capture_leave(sim_stream *stream)
{
    sim_capture *capture = stream->capture;
    capture->invalid = true;
    if (stream == capture->origin) {
        capture_end(capture);
        sim_nodes_release(capture->nodes);
        free(capture);
    } else {
        capture_detach(stream);
    }
}

/* ---- what a capture forbids ---- */

static bool capture_concerns(const sim_capture *capture, enum cudaStreamCaptureMode thread_mode)
{
    if (thread_mode == cudaStreamCaptureModeRelaxed) {
        return false;
    }
    if (capture->thread == sim_thread_number()) {
        return capture->mode != cudaStreamCaptureModeRelaxed;
    }
    return thread_mode == cudaStreamCaptureModeGlobal && capture->mode == cudaStreamCaptureModeGlobal;
}

cudaError_t sim_capture_forbid(void)
{
    cudaError_t status = cudaSuccess;
    for (sim_capture *capture = capture_all; capture != NULL; capture = capture->next) {
        if (capture_concerns(capture, sim_self.capture_mode)) {
            capture->invalid = true;
            status = cudaErrorStreamCaptureUnsupported;
        }
    }
    return status;
}

/* A blocking stream of the device that is captured; NULL: none. */
static sim_stream *capture_blocking(int device)
{
    for (sim_stream *s = sim.devices[device].streams; s != NULL; s = s->next) {
        if (s->capture != NULL && !s->legacy && (s->flags & cudaStreamNonBlocking) == 0) {
            return s;
        }
    }
    return NULL;
}

cudaError_t sim_capture_check_legacy(const sim_stream *stream)
{
    const sim_stream *captured = stream->legacy ? capture_blocking(stream->device) : NULL;
    if (captured == NULL) {
        return cudaSuccess;
    }
    captured->capture->invalid = true;
    return cudaErrorStreamCaptureImplicit;
}

/* ---- what is captured ---- */

cudaError_t sim_capture_add(sim_stream *stream, const sim_work *work)
{
    sim_capture *capture = stream->capture;
    if (capture->invalid) {
        free(work->staged);
        return cudaErrorStreamCaptureInvalidated;
    }
    int node = sim_nodes_add(capture->nodes, work, stream->capture_deps, stream->ncapture_deps);
    capture_set_deps(stream, &node, 1);
    return cudaSuccess;
}

bool sim_capture_is_of_event(const sim_event *event)
{
    return event->capture != NULL;
}

void sim_capture_forget_event(sim_event *event)
{
    free(event->capture_deps);
    event->capture_deps = NULL;
    event->ncapture_deps = 0;
    event->capture = NULL;
}

cudaError_t sim_capture_record(sim_stream *stream, sim_event *event)
{
    if (stream->capture->invalid) {
        return cudaErrorStreamCaptureInvalidated;
    }
    sim_capture_forget_event(event);
    event->capture = stream->capture;
    event->ncapture_deps = stream->ncapture_deps;
    event->capture_deps = sim_alloc((size_t)stream->ncapture_deps * sizeof(int));
    memcpy(event->capture_deps, stream->capture_deps, (size_t)stream->ncapture_deps * sizeof(int));
    return cudaSuccess;
}

static void capture_join(sim_stream *stream, const sim_event *event)
{
    int *deps = sim_alloc((size_t)(stream->ncapture_deps + event->ncapture_deps) * sizeof(*deps));
    int n = 0;
    for (int i = 0; i < stream->ncapture_deps; i++) {
        deps[n++] = stream->capture_deps[i];
    }
    for (int i = 0; i < event->ncapture_deps; i++) {
        bool known = false;
        for (int k = 0; k < n; k++) {
            known = known || deps[k] == event->capture_deps[i];
        }
        if (!known) {
            deps[n++] = event->capture_deps[i];
        }
    }
    capture_set_deps(stream, deps, n);
    free(deps);
}

cudaError_t sim_capture_wait(sim_stream *stream, sim_event *event, bool *out_handled)
{
    *out_handled = true;
    if (event->capture == NULL) {
        *out_handled = stream->capture != NULL;
        if (stream->capture == NULL || event->op == NULL) {
            return cudaSuccess;
        }
        stream->capture->invalid = true;
        return cudaErrorStreamCaptureIsolation;
    }
    if (event->capture->invalid) {
        return cudaErrorStreamCaptureInvalidated;
    }
    if (stream->legacy) {
        event->capture->invalid = true;
        return cudaErrorStreamCaptureImplicit;
    }
    if (stream->capture != NULL && stream->capture != event->capture) {
        stream->capture->invalid = true;
        event->capture->invalid = true;
        return cudaErrorStreamCaptureMerge;
    }
    if (sim.sabotage != CUDASIM_SABOTAGE_WAIT_EVENT || stream->capture == NULL) {
        stream->capture = event->capture;
        capture_join(stream, event);
    }
    return cudaSuccess;
}

/* ---- the API ---- */

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, enum cudaStreamCaptureMode mode)
{
    sim_stream *s;
    SIM_ENTER(cudaStreamBeginCapture);
    SIM_FAIL_IF((unsigned)mode > (unsigned)cudaStreamCaptureModeRelaxed, cudaErrorInvalidValue);
    SIM_TRY(sim_stream_find(stream, &s));
    SIM_FAIL_IF(s->legacy, cudaErrorStreamCaptureUnsupported);
    SIM_FAIL_IF(s->capture != NULL, cudaErrorIllegalState);
    sim_capture *capture = sim_alloc(sizeof(*capture));
    capture->number = sim.next_number++;
    capture->mode = mode;
    capture->thread = sim_thread_number();
    capture->origin = s;
    capture->nodes = sim_nodes_make();
    capture->next = capture_all;
    capture_all = capture;
    s->capture = capture;
    capture_set_deps(s, NULL, 0);
    return sim_leave(cudaSuccess);
}

/* Whether all that other streams did is before what the origin did last. */
static bool capture_is_joined(const sim_capture *capture)
{
    const sim_nodes *nodes = capture->nodes;
    bool *before = sim_alloc((size_t)nodes->n + 1);
    bool joined = true;
    for (int i = 0; i < capture->origin->ncapture_deps; i++) {
        before[capture->origin->capture_deps[i]] = true;
    }
    for (int i = nodes->n - 1; i >= 0; i--) {
        for (int k = 0; k < nodes->all[i].ndeps && before[i]; k++) {
            before[nodes->all[i].deps[k]] = true;
        }
    }
    for (int i = 0; i < nodes->n; i++) {
        joined = joined && before[i];
    }
    free(before);
    return joined;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *pGraph)
{
    sim_stream *s;
    SIM_ENTER(cudaStreamEndCapture);
    SIM_FAIL_IF(pGraph == NULL, cudaErrorInvalidValue);
    SIM_TRY(sim_stream_find(stream, &s));
    SIM_FAIL_IF(s->capture == NULL, cudaErrorIllegalState);
    sim_capture *capture = s->capture;
    SIM_FAIL_IF(capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != sim_thread_number(),
                cudaErrorStreamCaptureWrongThread);
    cudaError_t status = cudaSuccess;
    if (capture->invalid) {
        status = cudaErrorStreamCaptureInvalidated;
    } else if (s != capture->origin) {
        capture->invalid = true;
        return sim_leave(cudaErrorStreamCaptureUnmatched);
    } else if (!capture_is_joined(capture)) {
        status = cudaErrorStreamCaptureUnjoined;
    }
    *pGraph = NULL;
    capture_end(capture);
    if (status == cudaSuccess) {
        *pGraph = sim_graph_make(capture->nodes, s->device);
    } else {
        sim_nodes_release(capture->nodes);
    }
    free(capture);
    return sim_leave(status);
}

static enum cudaStreamCaptureStatus capture_status(const sim_stream *stream)
{
    if (stream->capture == NULL) {
        return cudaStreamCaptureStatusNone;
    }
    return stream->capture->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *pCaptureStatus)
{
    sim_stream *s;
    SIM_ENTER(cudaStreamIsCapturing);
    SIM_FAIL_IF(pCaptureStatus == NULL, cudaErrorInvalidValue);
    SIM_TRY(sim_stream_find(stream, &s));
    /* Only this question leaves the capture as it was. */
    SIM_FAIL_IF(s->legacy && capture_blocking(s->device) != NULL, cudaErrorStreamCaptureImplicit);
    *pCaptureStatus = capture_status(s);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaStreamGetCaptureInfo(cudaStream_t stream, enum cudaStreamCaptureStatus *captureStatus_out,
                                     unsigned long long *id_out, cudaGraph_t *graph_out,
                                     const cudaGraphNode_t **dependencies_out, const cudaGraphEdgeData **edgeData_out,
                                     size_t *numDependencies_out)
{
    sim_stream *s;
    SIM_ENTER(cudaStreamGetCaptureInfo);
    SIM_FAIL_IF(captureStatus_out == NULL, cudaErrorInvalidValue);
    /* The simulator does not show a graph before its capture ends. */
    SIM_FAIL_IF(graph_out != NULL || dependencies_out != NULL || edgeData_out != NULL || numDependencies_out != NULL,
                cudaErrorNotSupported);
    SIM_TRY(sim_stream_find(stream, &s));
    SIM_FAIL_IF(s->legacy && capture_blocking(s->device) != NULL, cudaErrorStreamCaptureImplicit);
    *captureStatus_out = capture_status(s);
    if (id_out != NULL && s->capture != NULL) {
        *id_out = s->capture->number;
    }
    return sim_leave(cudaSuccess);
}

cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *mode)
{
    SIM_ENTER(cudaThreadExchangeStreamCaptureMode);
    SIM_FAIL_IF(mode == NULL, cudaErrorInvalidValue);
    if ((unsigned)*mode > (unsigned)cudaStreamCaptureModeRelaxed) { /* real CUDA does not look */
        sim_violate("%s to %d, which is no mode", what, (int)*mode);
    }
    enum cudaStreamCaptureMode before = sim_self.capture_mode;
    sim_self.capture_mode = *mode;
    *mode = before;
    return sim_leave(cudaSuccess);
}
