/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "tests/cudasim/sim.h"

static sim_event **event_all; /* those that live, in no order */
static size_t event_n;
static size_t event_room;

static cudaError_t event_find(cudaEvent_t handle, sim_event **out_event)
{
    sim_event *event = sim_object_find(handle, SIM_EVENT);
    if (event == NULL) {
        return cudaErrorInvalidResourceHandle;
    }
    *out_event = event;
    return cudaSuccess;
}

static void event_forget(sim_event *event)
{
    sim_capture_forget_event(event);
    if (event->op != NULL) {
        sim_op_release(event->op);
        event->op = NULL;
    }
}

static void event_free(sim_event *event)
{
    event_all[event->place] = event_all[--event_n];
    event_all[event->place]->place = event->place;
    sim_object_drop(&event->object);
    event_forget(event);
    free(event);
}

void sim_event_reset(void)
{
    while (event_n > 0) {
        event_free(event_all[event_n - 1]);
    }
}

void sim_event_end_capture(const sim_capture *capture)
{
    for (size_t i = 0; i < event_n; i++) {
        if (event_all[i]->capture == capture) {
            sim_capture_forget_event(event_all[i]);
        }
    }
}

static cudaError_t event_create(cudaEvent_t *out_event, unsigned flags)
{
    const unsigned known = cudaEventBlockingSync | cudaEventDisableTiming | cudaEventInterprocess;
    if (out_event == NULL || (flags & ~known) != 0 ||
        ((flags & cudaEventInterprocess) != 0 && (flags & cudaEventDisableTiming) == 0)) {
        return cudaErrorInvalidValue;
    }
    if (event_n == event_room) {
        event_room = event_room == 0 ? 64 : 2 * event_room;
        sim_event **grown = realloc(event_all, event_room * sizeof(*grown));
        if (grown == NULL) {
            abort();
        }
        event_all = grown;
    }
    sim_event *event = sim_alloc(sizeof(*event));
    event->device = sim_self.device;
    event->flags = flags;
    event->place = event_n;
    event_all[event_n++] = event;
    *out_event = sim_handle_make(&event->object, SIM_EVENT);
    return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t *event)
{
    SIM_ENTER(cudaEventCreate);
    return sim_leave(event_create(event, cudaEventDefault));
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned int flags)
{
    SIM_ENTER(cudaEventCreateWithFlags);
    return sim_leave(event_create(event, flags));
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    sim_event *e;
    SIM_ENTER_AS(cudaEventDestroy, SIM_RELEASES);
    SIM_TRY(event_find(event, &e));
    event_free(e);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream)
{
    sim_event *e;
    sim_stream *s;
    SIM_ENTER(cudaEventRecord);
    SIM_TRY(event_find(event, &e));
    SIM_TRY(sim_stream_find(stream, &s));
    SIM_FAIL_IF(e->device != s->device, cudaErrorInvalidResourceHandle);
    if (s->capture != NULL) {
        if (e->op != NULL) {
            sim_op_release(e->op);
            e->op = NULL;
        }
        return sim_leave(sim_capture_record(s, e));
    }
    SIM_TRY(sim_capture_check_legacy(s));
    event_forget(e);
    e->op = sim_stream_point(s);
    e->recorded = true;
    e->recorded_at = sim_now_ms();
    return sim_leave(cudaSuccess);
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int flags)
{
    sim_event *e;
    sim_stream *s;
    bool handled = false;
    SIM_ENTER(cudaStreamWaitEvent);
    SIM_FAIL_IF((flags & ~(unsigned)cudaEventWaitExternal) != 0, cudaErrorInvalidValue);
    SIM_TRY(event_find(event, &e));
    SIM_TRY(sim_stream_find(stream, &s));
    SIM_TRY(sim_capture_wait(s, e, &handled));
    if (handled || sim.sabotage == CUDASIM_SABOTAGE_WAIT_EVENT) {
        return sim_leave(cudaSuccess);
    }
    SIM_TRY(sim_capture_check_legacy(s));
    if (e->op != NULL) {
        sim_work nothing = {.kind = SIM_NOTHING, .what = what};
        sim_op_release(sim_stream_enqueue(s, &nothing, &e->op, 1));
    }
    return sim_leave(cudaSuccess);
}

static cudaError_t event_may_ask(sim_event *event)
{
    if (sim_capture_is_of_event(event)) {
        sim_capture_invalidate(event->capture);
        return cudaErrorCapturedEvent;
    }
    return sim_capture_forbid();
}

cudaError_t cudaEventQuery(cudaEvent_t event)
{
    sim_event *e;
    SIM_ENTER(cudaEventQuery);
    SIM_TRY(event_find(event, &e));
    SIM_TRY(event_may_ask(e));
    return sim_leave(e->op == NULL ? cudaSuccess : sim_op_query(e->op));
}

cudaError_t cudaEventSynchronize(cudaEvent_t event)
{
    sim_event *e;
    SIM_ENTER(cudaEventSynchronize);
    SIM_TRY(event_find(event, &e));
    SIM_TRY(event_may_ask(e));
    if (e->op != NULL) {
        sim_op_wait(e->op);
    }
    return sim_leave(cudaSuccess);
}

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t start, cudaEvent_t end)
{
    sim_event *a;
    sim_event *b;
    SIM_ENTER(cudaEventElapsedTime);
    SIM_FAIL_IF(ms == NULL, cudaErrorInvalidValue);
    SIM_TRY(event_find(start, &a));
    SIM_TRY(event_find(end, &b));
    SIM_FAIL_IF(((a->flags | b->flags) & cudaEventDisableTiming) != 0 || a->device != b->device,
                cudaErrorInvalidResourceHandle);
    SIM_TRY(event_may_ask(a));
    SIM_TRY(event_may_ask(b));
    SIM_FAIL_IF(!a->recorded || !b->recorded, cudaErrorInvalidResourceHandle);
    if ((a->op != NULL && sim_op_query(a->op) != cudaSuccess) ||
        (b->op != NULL && sim_op_query(b->op) != cudaSuccess)) {
        return sim_leave(cudaErrorNotReady);
    }
    double from = a->op != NULL && a->op->done_at > a->recorded_at ? a->op->done_at : a->recorded_at;
    double to = b->op != NULL && b->op->done_at > b->recorded_at ? b->op->done_at : b->recorded_at;
    *ms = to > from ? (float)(to - from) : 0.0F;
    return sim_leave(cudaSuccess);
}
