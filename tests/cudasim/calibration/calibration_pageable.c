/* SPDX-License-Identifier: Apache-2.0 */
/* When a copy to the device reads pageable host memory: at the call, or when its turn in the stream comes. And of a
 * copy that a graph makes: with the capture, the launch, or in its turn. */
#include "tests/cudasim/calibration/calibration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1024)
#define ROW_NBYTES ((size_t)1024)
#define PADDING ((size_t)64)
#define BEFORE 1
#define AFTER 2

/* Bytes of the host with what a copy made of them; pageable, if nothing else is said. */
typedef struct pageable {
    size_t nbytes;
    size_t nrows; /* 1: a copy of one dimension */
    size_t pitch; /* of the source; that of the device is the row */
    bool is_pinned;
    char *source;
    char *device;
    char *result;
} pageable;

static bool make(pageable *out, size_t nbytes, bool in_rows, bool is_pinned)
{
    size_t nrows = in_rows ? nbytes / ROW_NBYTES : 1;
    size_t pitch = nbytes / nrows + (in_rows ? PADDING : 0);
    *out = (pageable){.nbytes = nbytes, .nrows = nrows, .pitch = pitch, .is_pinned = is_pinned};
    if (!is_pinned) {
        out->source = malloc(nrows * pitch);
    } else if (cuda.cudaHostAlloc((void **)&out->source, nrows * pitch, cudaHostAllocPortable) != cudaSuccess) {
        return false;
    }
    out->result = malloc(nbytes);
    if (out->source == NULL || out->result == NULL || cuda.cudaMalloc((void **)&out->device, nbytes) != cudaSuccess) {
        return false;
    }
    memset(out->source, BEFORE, nrows * pitch);
    memset(out->result, 0, nbytes);
    return true;
}

static void clear(pageable *self)
{
    cuda.cudaFree(self->device);
    if (self->is_pinned) {
        cuda.cudaFreeHost(self->source);
    } else {
        free(self->source);
    }
    free(self->result);
}

/* The question itself is a race, which the thread sanitizer need not tell. */
__attribute__((no_sanitize("thread"))) static void CUDART_CB change(void *context)
{
    const pageable *self = context;
    volatile char *bytes = self->source;
    for (size_t i = 0; i < self->nrows * self->pitch; i++) {
        bytes[i] = AFTER;
    }
}

static cudaError_t copy(const pageable *self)
{
    size_t width = self->nbytes / self->nrows;
    if (self->nrows == 1) {
        return cuda.cudaMemcpyAsync(self->device, self->source, self->nbytes, cudaMemcpyDefault, world.stream);
    }
    return cuda.cudaMemcpy2DAsync(self->device, width, self->source, self->pitch, width, self->nrows, cudaMemcpyDefault,
                                  world.stream);
}

/* What has come to the device. */
static void answer_time(const char *name, const pageable *self, cudaError_t error, bool waited)
{
    size_t nbefore = 0;
    cudaError_t later = cuda.cudaStreamSynchronize(world.stream);
    cuda.cudaMemcpyAsync(self->result, self->device, self->nbytes, cudaMemcpyDefault, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    for (size_t i = 0; i < self->nbytes; i++) {
        nbefore += self->result[i] == BEFORE;
    }
    if (error != cudaSuccess || later != cudaSuccess) {
        answer_error(name, error != cudaSuccess ? error : later);
        return;
    }
    const char *time = nbefore == self->nbytes ? "at the call" : nbefore == 0 ? "in order" : "mixed";
    answer(name, "%s%s", time, waited ? ", waits" : "");
}

/* Behind a host function of the same stream that changes the bytes; or the caller changes them after the call. */
static void ask(const char *shape, size_t nbytes, bool in_rows, bool by_caller)
{
    char name[96];
    pageable self;
    snprintf(name, sizeof(name), "pageable_order.%s_%zu_kib%s", shape, nbytes / KIB, by_caller ? "_by_caller" : "");
    if (!make(&self, nbytes, in_rows, false)) {
        answer(name, "no memory");
        return;
    }
    become_busy(world.stream);
    if (!by_caller) {
        cuda.cudaLaunchHostFunc(world.stream, change, &self);
    }
    cudaError_t error = copy(&self);
    bool waited = !is_busy();
    if (by_caller) {
        change(&self);
    }
    answer_time(name, &self, error, waited);
    clear(&self);
}

/* A copy that a graph makes, behind a host function of the graph. */
static void ask_graph(const char *name)
{
    pageable self;
    cudaGraph_t graph = NULL;
    cudaGraphExec_t executable = NULL;
    if (!make(&self, 100 * KIB, false, false)) {
        answer(name, "no memory");
        return;
    }
    cudaError_t error = CALL(cudaStreamBeginCapture, world.stream, cudaStreamCaptureModeThreadLocal);
    cuda.cudaLaunchHostFunc(world.stream, change, &self);
    copy(&self);
    CALL(cudaStreamEndCapture, world.stream, &graph);
    if (error == cudaSuccess) {
        error = CALL(cudaGraphInstantiate, &executable, graph, 0);
    }
    if (error == cudaSuccess) {
        error = CALL(cudaGraphLaunch, executable, world.stream);
    }
    answer_time(name, &self, error, false);
    CALL(cudaGraphExecDestroy, executable);
    CALL(cudaGraphDestroy, graph);
    clear(&self);
}

void ask_pageable_order(void)
{
    static const size_t sizes[] = {4 * KIB, 100 * KIB, 1024 * KIB, 32 * 1024 * KIB};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ask("1d", sizes[i], false, false);
        ask("2d", sizes[i], true, false);
        ask("1d", sizes[i], false, true);
        ask("2d", sizes[i], true, true);
    }
    /* From which size on the call waits. */
    for (size_t nbytes = 2048 * KIB; nbytes < 32 * 1024 * KIB; nbytes *= 2) {
        ask("1d", nbytes, false, true);
        ask("2d", nbytes, true, true);
    }
    ask_graph("pageable_order.graph_100_kib");
}

/* ---- graphs ---- */

/* When the bytes change that a graph copies: the caller does it, or a host function before the launch in the stream, or
 * one of the graph before the copy. */
typedef enum moment {
    BEFORE_END_OF_CAPTURE,
    BEFORE_INSTANTIATE,
    BEFORE_LAUNCH,
    BETWEEN_LAUNCHES,
    AFTER_LAUNCH,
    BY_STREAM,
    BY_GRAPH,
    NMOMENTS
} moment;

static const char *const moment_names[NMOMENTS] = {
    "changed_before_end_of_capture", "changed_before_instantiate", "changed_before_launch", "changed_between_launches",
    "changed_after_launch",          "changed_by_stream",          "changed_by_graph"};

static const char *which(const char *bytes, size_t nbytes)
{
    size_t nbefore = 0;
    size_t nafter = 0;
    for (size_t i = 0; i < nbytes; i++) {
        nbefore += bytes[i] == BEFORE;
        nafter += bytes[i] == AFTER;
    }
    if (nbefore + nafter < nbytes) {
        return "neither";
    }
    return nbefore == nbytes ? "before the change" : nafter == nbytes ? "after the change" : "mixed";
}

/* Takes the capture's graph; the first error counts. */
static cudaError_t end_capture(cudaError_t error, cudaGraph_t *out_graph)
{
    cudaError_t end = CALL(cudaStreamEndCapture, world.stream, out_graph);
    return error != cudaSuccess ? error : end;
}

static cudaError_t instantiate(cudaError_t error, cudaGraph_t graph, cudaGraphExec_t *out_executable)
{
    return error != cudaSuccess ? error : CALL(cudaGraphInstantiate, out_executable, graph, 0);
}

static cudaError_t launch(cudaError_t error, cudaGraphExec_t executable)
{
    return error != cudaSuccess ? error : CALL(cudaGraphLaunch, executable, world.stream);
}

/* Waits for the stream, and fetches what is on the device. */
static cudaError_t fetch(cudaError_t error, const pageable *self)
{
    cudaError_t later = cuda.cudaStreamSynchronize(world.stream);
    cuda.cudaMemcpyAsync(self->result, self->device, self->nbytes, cudaMemcpyDefault, world.stream);
    cuda.cudaStreamSynchronize(world.stream);
    return error != cudaSuccess ? error : later;
}

static void ask_moment(const char *name, pageable *self, moment when)
{
    cudaGraph_t graph = NULL;
    cudaGraphExec_t executable = NULL;
    cudaError_t error = CALL(cudaStreamBeginCapture, world.stream, cudaStreamCaptureModeThreadLocal);
    if (when == BY_GRAPH) {
        cuda.cudaLaunchHostFunc(world.stream, change, self);
    }
    error = error != cudaSuccess ? error : copy(self);
    if (when == BEFORE_END_OF_CAPTURE) {
        change(self);
    }
    error = end_capture(error, &graph);
    if (when == BEFORE_INSTANTIATE) {
        change(self);
    }
    error = instantiate(error, graph, &executable);
    const char *first = NULL;
    if (when == BETWEEN_LAUNCHES) {
        error = fetch(launch(error, executable), self);
        first = which(self->result, self->nbytes);
    }
    if (when == BEFORE_LAUNCH || when == BETWEEN_LAUNCHES) {
        change(self);
    }
    become_busy(world.stream);
    if (when == BY_STREAM) {
        cuda.cudaLaunchHostFunc(world.stream, change, self);
    }
    error = launch(error, executable);
    bool waited = !is_busy();
    if (when == AFTER_LAUNCH) {
        change(self);
    }
    error = fetch(error, self);
    if (error != cudaSuccess) {
        answer_error(name, error);
    } else {
        answer(name, "%s%s%s%s", first != NULL ? first : "", first != NULL ? ", then " : "",
               which(self->result, self->nbytes), waited ? ", waits" : "");
    }
    CALL(cudaGraphExecDestroy, executable);
    CALL(cudaGraphDestroy, graph);
}

static void ask_to_device(const char *shape, size_t nbytes, bool in_rows, bool is_pinned, moment when)
{
    char name[128];
    pageable self;
    snprintf(name, sizeof(name), "pageable_graph.%s%s%s", shape, shape[0] != '\0' ? "_" : "", moment_names[when]);
    if (!make(&self, nbytes, in_rows, is_pinned)) {
        answer(name, "no memory");
        return;
    }
    ask_moment(name, &self, when);
    clear(&self);
}

/* What a host function of the graph, behind the copy, found in the result. */
static const char *seen = "never called";

static void CUDART_CB look(void *context)
{
    const pageable *self = context;
    seen = which(self->source, self->nbytes);
}

/* From the device, whose bytes change before the launch. */
static void ask_to_host(const char *name, bool is_pinned)
{
    static const char *const topics[3] = {"", "_again", "_seen_by_host_function"};
    const char *answers[3] = {NULL, NULL, NULL};
    bool waited[2] = {false, false};
    cudaGraph_t graph = NULL;
    cudaGraphExec_t executable = NULL;
    pageable self;
    if (!make(&self, 100 * KIB, false, is_pinned)) {
        answer(name, "no memory");
        return;
    }
    cudaError_t error = copy(&self);
    cuda.cudaStreamSynchronize(world.stream);
    error = error != cudaSuccess ? error : CALL(cudaStreamBeginCapture, world.stream, cudaStreamCaptureModeThreadLocal);
    if (error == cudaSuccess) {
        error = cuda.cudaMemcpyAsync(self.source, self.device, self.nbytes, cudaMemcpyDefault, world.stream);
        cuda.cudaLaunchHostFunc(world.stream, look, &self);
        error = end_capture(error, &graph);
    }
    error = instantiate(error, graph, &executable);
    memset(self.source, AFTER, self.nbytes);
    cudaError_t changed = copy(&self);
    cuda.cudaStreamSynchronize(world.stream);
    error = error != cudaSuccess ? error : changed;
    for (int i = 0; i < 2; i++) {
        memset(self.source, 0, self.nbytes);
        become_busy(world.stream);
        error = launch(error, executable);
        waited[i] = !is_busy();
        cudaError_t later = cuda.cudaStreamSynchronize(world.stream);
        error = error != cudaSuccess ? error : later;
        answers[i] = which(self.source, self.nbytes);
    }
    answers[2] = seen;
    for (int i = 0; i < 3; i++) {
        char topic[128];
        snprintf(topic, sizeof(topic), "%s%s", name, topics[i]);
        if (error != cudaSuccess) {
            answer_error(topic, error);
        } else {
            answer(topic, "%s%s", answers[i], i < 2 && waited[i] ? ", waits" : "");
        }
    }
    CALL(cudaGraphExecDestroy, executable);
    CALL(cudaGraphDestroy, graph);
    clear(&self);
}

void ask_pageable_graph(void)
{
    for (int when = 0; when < NMOMENTS; when++) {
        ask_to_device("", 100 * KIB, false, false, (moment)when);
        ask_to_device("pinned", 100 * KIB, false, true, (moment)when);
    }
    ask_to_device("4_kib", 4 * KIB, false, false, BEFORE_LAUNCH);
    ask_to_device("4_kib", 4 * KIB, false, false, BY_GRAPH);
    ask_to_device("2d", 100 * KIB, true, false, BEFORE_LAUNCH);
    ask_to_device("2d", 100 * KIB, true, false, BY_GRAPH);
    ask_to_device("32768_kib", 32 * 1024 * KIB, false, false, BEFORE_LAUNCH);
    ask_to_device("32768_kib", 32 * 1024 * KIB, false, false, BY_GRAPH);
    ask_to_host("pageable_graph.to_pageable", false);
    ask_to_host("pageable_graph.to_pinned", true);
}
