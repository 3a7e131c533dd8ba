/* SPDX-License-Identifier: Apache-2.0 */
/* When a copy to the device reads pageable host memory: at the call, or when its turn in the stream comes. */
#include "tests/cudasim/calibration/calibration.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIB ((size_t)1024)
#define ROW_NBYTES ((size_t)1024)
#define PADDING ((size_t)64)
#define BEFORE 1
#define AFTER 2

/* Pageable bytes with what a copy made of them. */
typedef struct pageable {
    size_t nbytes;
    size_t nrows; /* 1: a copy of one dimension */
    size_t pitch; /* of the source; that of the device is the row */
    char *source;
    char *device;
    char *result;
} pageable;

static bool make(pageable *out, size_t nbytes, bool in_rows)
{
    size_t nrows = in_rows ? nbytes / ROW_NBYTES : 1;
    size_t pitch = nbytes / nrows + (in_rows ? PADDING : 0);
    *out = (pageable){.nbytes = nbytes, .nrows = nrows, .pitch = pitch};
    out->source = malloc(nrows * pitch);
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
    free(self->source);
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
    if (!make(&self, nbytes, in_rows)) {
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
    if (!make(&self, 100 * KIB, false)) {
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
    ask_graph("pageable_order.graph_100_kib");
}
