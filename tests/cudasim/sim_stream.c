/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/cudasim/sim.h"

static sim_stream *stream_add(int device, unsigned flags)
{
    sim_stream *stream = sim_alloc(sizeof(*stream));
    stream->device = device;
    stream->flags = flags;
    stream->number = sim.next_number++;
    stream->next = sim.devices[device].streams;
    sim.devices[device].streams = stream;
    return stream;
}

static sim_stream *stream_legacy(int device)
{
    if (sim.devices[device].legacy == NULL) {
        sim.devices[device].legacy = stream_add(device, cudaStreamDefault);
        sim.devices[device].legacy->legacy = true;
    }
    return sim.devices[device].legacy;
}

static sim_stream *stream_of_thread(int device)
{
    for (sim_stream *s = sim.devices[device].streams; s != NULL; s = s->next) {
        if (s->thread == sim_thread_number()) {
            return s;
        }
    }
    sim_stream *stream = stream_add(device, cudaStreamDefault);
    stream->thread = sim_thread_number();
    return stream;
}

cudaError_t sim_stream_find(cudaStream_t handle, sim_stream **out_stream)
{
    if (handle == NULL || handle == cudaStreamLegacy) {
        *out_stream = stream_legacy(sim_self.device);
        return cudaSuccess;
    }
    if (handle == cudaStreamPerThread) {
        *out_stream = stream_of_thread(sim_self.device);
        return cudaSuccess;
    }
    sim_stream *stream = sim_object_find(handle, SIM_STREAM);
    if (stream == NULL) {
        return cudaErrorInvalidResourceHandle;
    }
    *out_stream = stream;
    return cudaSuccess;
}

void sim_stream_set_last(sim_stream *stream, sim_op *op)
{
    if (stream->last != NULL) {
        sim_op_release(stream->last);
    }
    stream->last = op;
    sim_op_retain(op);
}

static bool stream_is_blocking(const sim_stream *stream)
{
    return !stream->legacy && (stream->flags & cudaStreamNonBlocking) == 0;
}

static void stream_free(sim_stream *stream)
{
    if (stream->last != NULL) {
        sim_op_release(stream->last);
    }
    free(stream->capture_deps);
    free(stream);
}

/* Destroyed streams stay in the list of their device until their work is done. */
static void stream_prune(int device)
{
    for (sim_stream **at = &sim.devices[device].streams; *at != NULL;) {
        sim_stream *stream = *at;
        if (stream->destroyed && (stream->last == NULL || stream->last->state == SIM_DONE)) {
            *at = stream->next;
            stream_free(stream);
        } else {
            at = &stream->next;
        }
    }
}

int sim_stream_preds(sim_stream *stream, sim_op ***out_preds)
{
    const sim_device *device = &sim.devices[stream->device];
    int n = 0;
    int room = 4;
    for (const sim_stream *s = device->streams; s != NULL; s = s->next) {
        room++;
    }
    sim_op **preds = sim_alloc((size_t)room * sizeof(*preds));
    if (stream->last != NULL) {
        preds[n++] = stream->last;
    }
    if (stream->legacy) {
        for (const sim_stream *s = device->streams; s != NULL; s = s->next) {
            if (stream_is_blocking(s) && s->last != NULL) {
                preds[n++] = s->last;
            }
        }
    } else if (stream_is_blocking(stream) && device->legacy != NULL && device->legacy->last != NULL) {
        preds[n++] = device->legacy->last;
    }
    *out_preds = preds;
    return n;
}

sim_op *sim_stream_enqueue(sim_stream *stream, const sim_work *work, sim_op *const *extra, int nextra)
{
    sim_op **preds;
    stream_prune(stream->device);
    int npreds = sim_stream_preds(stream, &preds);
    sim_op **all = sim_alloc((size_t)(npreds + nextra + 1) * sizeof(*all));
    for (int i = 0; i < npreds + nextra; i++) {
        all[i] = i < npreds ? preds[i] : extra[i - npreds];
    }
    sim_op *op = sim_op_submit(work, all, npreds + nextra, stream->device, stream->number);
    op->after_device = stream->legacy;
    free(all);
    free(preds);
    sim_stream_set_last(stream, op);
    return op;
}

cudaError_t sim_stream_submit(sim_stream *stream, const sim_work *work, sim_op *extra, sim_op **out_op)
{
    cudaError_t status = cudaSuccess;
    sim_op *op = NULL;
    if (stream->capture != NULL) {
        status = sim_capture_add(stream, work);
    } else {
        status = sim_capture_check_legacy(stream);
        if (status == cudaSuccess) {
            op = sim_stream_enqueue(stream, work, &extra, extra != NULL);
        } else {
            free(work->staged);
        }
    }
    if (out_op != NULL) {
        *out_op = op;
    } else if (op != NULL) {
        sim_op_release(op);
    }
    return status;
}

sim_op *sim_stream_point(sim_stream *stream)
{
    if (!stream->legacy && !stream_is_blocking(stream)) {
        if (stream->last != NULL) {
            sim_op_retain(stream->last);
        }
        return stream->last;
    }
    sim_work nothing = {.kind = SIM_NOTHING, .what = "a point in a stream"};
    return sim_stream_enqueue(stream, &nothing, NULL, 0);
}

void sim_stream_reset(void)
{
    for (int i = 0; i < SIM_MAX_DEVICES; i++) {
        while (sim.devices[i].streams != NULL) {
            sim_stream *stream = sim.devices[i].streams;
            sim.devices[i].streams = stream->next;
            if (stream->object.number != 0 && !stream->destroyed) {
                sim_object_drop(&stream->object);
            }
            stream_free(stream);
        }
        sim.devices[i].legacy = NULL;
        sim.devices[i].peers = 0;
    }
    sim_event_reset();
}

/* ---- the API ---- */

static cudaError_t stream_create(cudaStream_t *out_stream, unsigned flags, int priority)
{
    if (out_stream == NULL || (flags & ~(unsigned)cudaStreamNonBlocking) != 0) {
        return cudaErrorInvalidValue;
    }
    sim_stream *stream = stream_add(sim_self.device, flags);
    stream->priority = priority;
    *out_stream = sim_handle_make(&stream->object, SIM_STREAM);
    return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t *pStream)
{
    SIM_ENTER(cudaStreamCreate);
    return sim_leave(stream_create(pStream, cudaStreamDefault, 0));
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *pStream, unsigned int flags)
{
    SIM_ENTER(cudaStreamCreateWithFlags);
    return sim_leave(stream_create(pStream, flags, 0));
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t *pStream, unsigned int flags, int priority)
{
    SIM_ENTER(cudaStreamCreateWithPriority);
    return sim_leave(stream_create(pStream, flags, priority));
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    sim_stream *s;
    SIM_ENTER_AS(cudaStreamDestroy, SIM_RELEASES);
    SIM_FAIL_IF(stream == NULL || stream == cudaStreamLegacy || stream == cudaStreamPerThread,
                cudaErrorInvalidResourceHandle);
    SIM_TRY(sim_stream_find(stream, &s));
    if (s->capture != NULL) {
        sim_capture_leave(s);
    }
    sim_object_drop(&s->object);
    s->destroyed = true;
    if (s->last != NULL) {
        sim_op_demand(s->last); /* nobody can ask for it any more */
    }
    stream_prune(s->device);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaStreamGetDevice(cudaStream_t hStream, int *device)
{
    sim_stream *s;
    SIM_ENTER(cudaStreamGetDevice);
    SIM_FAIL_IF(device == NULL, cudaErrorInvalidValue);
    SIM_TRY(sim_stream_find(hStream, &s));
    if (s->capture != NULL) { /* in every mode */
        sim_capture_invalidate(s->capture);
        return sim_leave(cudaErrorStreamCaptureUnsupported);
    }
    *device = s->device;
    return sim_leave(cudaSuccess);
}

/* A captured stream has no state that could be asked for. */
static cudaError_t stream_may_ask(sim_stream *stream)
{
    if (stream->capture != NULL) {
        sim_capture_invalidate(stream->capture);
        return cudaErrorStreamCaptureUnsupported;
    }
    cudaError_t status = sim_capture_check_legacy(stream);
    return status == cudaSuccess ? sim_capture_forbid() : status;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    sim_stream *s;
    SIM_ENTER(cudaStreamSynchronize);
    SIM_TRY(sim_stream_find(stream, &s));
    SIM_TRY(stream_may_ask(s));
    sim_op *op = sim_stream_point(s);
    if (op != NULL) {
        sim_op_wait(op);
        sim_op_release(op);
    }
    return sim_leave(cudaSuccess);
}

cudaError_t cudaStreamQuery(cudaStream_t stream)
{
    sim_stream *s;
    SIM_ENTER(cudaStreamQuery);
    SIM_TRY(sim_stream_find(stream, &s));
    SIM_TRY(stream_may_ask(s));
    cudaError_t status = s->last == NULL ? cudaSuccess : sim_op_query(s->last);
    sim_op **preds;
    int n = sim_stream_preds(s, &preds);
    for (int i = 0; i < n; i++) {
        if (preds[i] != s->last && sim_op_query(preds[i]) != cudaSuccess) {
            status = cudaErrorNotReady;
        }
    }
    free(preds);
    return sim_leave(status);
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void *userData)
{
    sim_stream *s;
    SIM_ENTER(cudaLaunchHostFunc);
    SIM_FAIL_IF(fn == NULL, cudaErrorInvalidValue);
    SIM_TRY(sim_stream_find(stream, &s));
    sim_work work = {.kind = SIM_HOST_CALL, .what = what, .host_fn = fn, .host_data = userData};
    return sim_leave(sim_stream_submit(s, &work, NULL, NULL));
}

cudaError_t cudaDeviceSynchronize(void)
{
    SIM_ENTER(cudaDeviceSynchronize);
    SIM_TRY(sim_capture_forbid());
    sim_op_wait_device(sim_self.device);
    return sim_leave(cudaSuccess);
}
