/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_stage.h"

#include <string.h>

#include "core/copy_box.h"
#include "core/device_core.h"
#include "core/queue_core.h"

/* What the events of a box stand for. */
typedef enum stage_step { STEP_FETCHED, STEP_REPACKED, STEP_STORED, STEP_COUNT } stage_step;

/* Copies to a device of at most this size are packed by the caller if nothing is before them: packing as much took
 * about as long beside an H200 as a host function of the queue, some 50 to 100 us. */
#define AT_ONCE_NBYTES ((int64_t)1 << 20)

typedef struct stage_slot {
    ndbuf_mem dst; /* packed for the destination's device; nbytes 0: not needed, as of the others */
    ndbuf_mem src;
    ndbuf_mem scratch; /* of the device that converts or sorts */
} stage_slot;

typedef struct pipeline {
    const ndbuf__staging *staging;
    const ndbuf__transfer_ends *ends;
    ndbuf_device *owner; /* of the buffers */
    ndbuf_queue *fetch;  /* NULL: the source is on the host */
    ndbuf_queue *store;  /* NULL: the destination is */
    bool repacks;        /* whether the host has a part */
    bool enqueues;       /* all waiting is put into queues; else the calling thread does it */
    ndbuf_queue *host;   /* for the host's part; NULL: it has none, or the calling thread does it */
    stage_slot slots[NDBUF__STAGING_NSLOTS];
    ndbuf_event **events; /* STEP_COUNT for each of nevents boxes; NULL: none */
    int64_t nevents;
    int64_t next_repack; /* the box of the next host step that runs in a queue */
} pipeline;

struct ndbuf__stage_flight {
    pipeline line;
    ndbuf_queue *queue;
    ndbuf_event *start;
    ndbuf_event *events[];
};

ndbuf_device *ndbuf__staging_owner(ndbuf_device *dst, ndbuf_device *src)
{
    bool dst_is_host = (dst->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
    bool src_is_host = (src->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
    if (dst_is_host || src_is_host) {
        return dst_is_host ? src : dst;
    }
    return dst->staging != NULL || src->staging == NULL ? dst : src;
}

/* -- buffers -- */

static const ndbuf_mem *src_buffer(const pipeline *line, int64_t number)
{
    return &line->slots[number % NDBUF__STAGING_NSLOTS].src;
}

/* Where a box is stored from. */
static const ndbuf_mem *dst_buffer(const pipeline *line, int64_t number)
{
    const stage_slot *slot = &line->slots[number % NDBUF__STAGING_NSLOTS];
    return line->repacks ? &slot->dst : &slot->src;
}

/* Of the source's device if it fetches, else of the destination's; NULL: it needs none. Only one device sorts. */
static const ndbuf_mem *scratch_for(const pipeline *line, bool fetches, int64_t number)
{
    const ndbuf__staging *staging = line->staging;
    bool needed = staging->sorts || staging->converts_at == (fetches ? NDBUF__CONVERTS_BEFORE : NDBUF__CONVERTS_BEHIND);
    return needed ? &line->slots[number % NDBUF__STAGING_NSLOTS].scratch : NULL;
}

static ndbuf_status take_buffers(pipeline *line, ndbuf_error *err)
{
    const ndbuf__staging *staging = line->staging;
    ndbuf_status status = NDBUF_OK;
    for (int64_t i = 0; i < NDBUF__STAGING_NSLOTS && i < staging->nboxes && status == NDBUF_OK; i++) {
        if (staging->stores && line->repacks) {
            status = ndbuf__staging_take(line->owner, staging->box_nbytes, &line->slots[i].dst, err);
        }
        if (staging->fetches && status == NDBUF_OK) {
            status = ndbuf__staging_take(line->owner, staging->box_nbytes, &line->slots[i].src, err);
        }
        bool by_src = staging->converts_at == NDBUF__CONVERTS_BEFORE || (staging->sorts && staging->fetches);
        bool by_dst = staging->converts_at == NDBUF__CONVERTS_BEHIND || (staging->sorts && staging->stores);
        if (status == NDBUF_OK && (by_src || by_dst)) {
            const ndbuf_mem *mem = by_src ? line->ends->src : line->ends->dst;
            status = ndbuf__scratch_take(mem->device, staging->box_nbytes, &line->slots[i].scratch, err);
        }
    }
    return status;
}

static void give_buffers(pipeline *line)
{
    for (int i = 0; i < NDBUF__STAGING_NSLOTS; i++) {
        if (line->slots[i].dst.nbytes > 0) {
            ndbuf__staging_give(line->owner, &line->slots[i].dst);
        }
        if (line->slots[i].src.nbytes > 0) {
            ndbuf__staging_give(line->owner, &line->slots[i].src);
        }
        if (line->slots[i].scratch.nbytes > 0) {
            ndbuf__scratch_give(&line->slots[i].scratch);
        }
    }
}

/* -- order -- */

static ndbuf_queue *queue_of(const pipeline *line, stage_step step)
{
    return step == STEP_FETCHED ? line->fetch : step == STEP_REPACKED ? line->host : line->store;
}

static ndbuf_event **event_at(const pipeline *line, stage_step step, int64_t number)
{
    return &line->events[number % line->nevents * STEP_COUNT + step];
}

static void destroy_event(ndbuf_event **event)
{
    if (*event != NULL) {
        (*event)->device->ops->event_destroy(*event);
        *event = NULL;
    }
}

/* Marks the end of a box's step. A single box that the caller waits for needs no event: he waits here. */
static ndbuf_status mark(pipeline *line, stage_step step, int64_t number, ndbuf_error *err)
{
    ndbuf_queue *queue = queue_of(line, step);
    if (!line->enqueues && line->staging->nboxes == 1) {
        return queue->device->ops->queue_wait(queue, err);
    }
    ndbuf_event **event = event_at(line, step, number);
    destroy_event(event);
    return queue->device->ops->event_record(queue, event, err);
}

/* Lets what `queue` is given from now on, or the caller, go on after a step of box `number`. Steps that were not marked
 * were done by the calling thread. */
static ndbuf_status await(pipeline *line, ndbuf_queue *queue, stage_step step, int64_t number, ndbuf_error *err)
{
    ndbuf_event *event = number >= 0 ? *event_at(line, step, number) : NULL;
    if (event == NULL || (line->enqueues && queue == queue_of(line, step))) {
        return NDBUF_OK;
    }
    return line->enqueues ? queue->device->ops->queue_wait_event(queue, event, err)
                          : event->device->ops->event_wait(event, err);
}

/* -- the steps of a box -- */

static ndbuf_status fetch(pipeline *line, int64_t number, ndbuf_error *err)
{
    ndbuf__box box;
    bool started = false;
    if (line->fetch == NULL) {
        return NDBUF_OK;
    }
    stage_step reader = line->repacks ? STEP_REPACKED : STEP_STORED; /* of what the buffer held before */
    ndbuf_status status = await(line, line->fetch, reader, number - NDBUF__STAGING_NSLOTS, err);
    if (status == NDBUF_OK) {
        ndbuf__box_place(&box, line->staging, line->ends, number);
        status = ndbuf__box_fetch(&box, src_buffer(line, number), scratch_for(line, true, number), line->fetch,
                                  &started, err);
    }
    return status == NDBUF_OK ? mark(line, STEP_FETCHED, number, err) : status;
}

static ndbuf_status repack_now(pipeline *line, int64_t number, ndbuf_error *err)
{
    ndbuf__box box;
    ndbuf__box_place(&box, line->staging, line->ends, number);
    return ndbuf__box_repack(&box, line->staging, dst_buffer(line, number), src_buffer(line, number), err);
}

/* In a queue: its calls come in the order of the boxes. */
static ndbuf_status repack_next(void *context, ndbuf_error *err)
{
    pipeline *line = context;
    return repack_now(line, line->next_repack++, err);
}

static ndbuf_status repack(pipeline *line, int64_t number, ndbuf_error *err)
{
    if (!line->repacks) {
        return NDBUF_OK;
    }
    ndbuf_status status = await(line, line->host, STEP_FETCHED, number, err);
    if (status == NDBUF_OK) {
        status = await(line, line->host, STEP_STORED, number - NDBUF__STAGING_NSLOTS, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (line->host == NULL) {
        return repack_now(line, number, err);
    }
    status = line->host->device->ops->queue_host_call(line->host, repack_next, line, err);
    return status == NDBUF_OK ? mark(line, STEP_REPACKED, number, err) : status;
}

static ndbuf_status store(pipeline *line, int64_t number, ndbuf_error *err)
{
    ndbuf__box box;
    bool started = false;
    if (line->store == NULL) {
        return NDBUF_OK;
    }
    ndbuf_status status = await(line, line->store, line->repacks ? STEP_REPACKED : STEP_FETCHED, number, err);
    if (status == NDBUF_OK) {
        ndbuf__box_place(&box, line->staging, line->ends, number);
        status = ndbuf__box_store(&box, dst_buffer(line, number), scratch_for(line, false, number), line->store,
                                  &started, err);
    }
    return status == NDBUF_OK ? mark(line, STEP_STORED, number, err) : status;
}

/* The next boxes are fetched before this one is worked on. */
static ndbuf_status run_boxes(pipeline *line, ndbuf_error *err)
{
    int64_t nboxes = line->staging->nboxes;
    int64_t nfetched = 0;
    ndbuf_status status = NDBUF_OK;
    for (int64_t i = 0; i < nboxes && status == NDBUF_OK; i++) {
        for (; nfetched < nboxes && nfetched < i + NDBUF__STAGING_NSLOTS && status == NDBUF_OK; nfetched++) {
            status = fetch(line, nfetched, err);
        }
        if (status == NDBUF_OK) {
            status = repack(line, i, err);
        }
        if (status == NDBUF_OK) {
            status = store(line, i, err);
        }
    }
    return status;
}

/* The host has no part where both devices pack all boxes alike. All but the last box are of one shape. */
static void pipeline_init(pipeline *line, const ndbuf__staging *staging, const ndbuf__transfer_ends *ends,
                          ndbuf_event **events, int64_t nevents)
{
    ndbuf__box first;
    ndbuf__box last;
    ndbuf__box_place(&first, staging, ends, 0);
    ndbuf__box_place(&last, staging, ends, staging->nboxes - 1);
    *line = (pipeline){.staging = staging,
                       .ends = ends,
                       .owner = ndbuf__staging_owner(ends->dst->device, ends->src->device),
                       .repacks =
                           !ndbuf__box_is_packed_alike(&first, staging) || !ndbuf__box_is_packed_alike(&last, staging),
                       .events = events,
                       .nevents = nevents};
}

static void pipeline_clear(pipeline *line)
{
    for (int64_t i = 0; i < line->nevents * STEP_COUNT; i++) {
        destroy_event(&line->events[i]);
    }
    give_buffers(line);
}

/* -- in the calling thread -- */

static ndbuf_status wait_for(ndbuf_queue *queue, ndbuf_status status, ndbuf_error *err)
{
    ndbuf_status wait_status = NDBUF_OK;
    if (queue != NULL) {
        wait_status = queue->device->ops->queue_wait(queue, status == NDBUF_OK ? err : NULL);
    }
    return status != NDBUF_OK ? status : wait_status;
}

ndbuf_status ndbuf__stage_run(const ndbuf__staging *staging, const ndbuf__transfer_ends *ends, ndbuf_error *err)
{
    pipeline line;
    ndbuf_event *events[NDBUF__STAGING_NSLOTS * STEP_COUNT] = {NULL};
    pipeline_init(&line, staging, ends, events, NDBUF__STAGING_NSLOTS);
    line.fetch = staging->fetches ? ends->src->device->default_queue : NULL;
    line.store = staging->stores ? ends->dst->device->default_queue : NULL;
    ndbuf_status status = take_buffers(&line, err);
    if (status == NDBUF_OK) {
        status = run_boxes(&line, err);
        if (status != NDBUF_OK || staging->nboxes > 1) {
            status = wait_for(line.fetch, status, err);
            status = wait_for(line.store, status, err);
        }
    }
    pipeline_clear(&line);
    return status;
}

/* -- in queues -- */

/* The queue for the work of a device: the caller's where it is of that device, else a helper. */
static ndbuf_status choose_queue(ndbuf__stage_flight *flight, ndbuf_device *device, ndbuf_queue **out_queue,
                                 ndbuf_error *err)
{
    if (flight->queue->device == device) {
        *out_queue = flight->queue;
        return NDBUF_OK;
    }
    return ndbuf__helper_queue_take(device, out_queue, err);
}

/* Whether the caller packs, at once: little that comes from the host, behind no earlier work of the queue, which could
 * be to write it. */
static ndbuf_status choose_packing(const ndbuf__stage_flight *flight, bool *out_at_once, ndbuf_error *err)
{
    const ndbuf__staging *staging = flight->line.staging;
    int32_t is_idle = 0;
    ndbuf_status status = NDBUF_OK;
    if (!staging->fetches && staging->nboxes <= NDBUF__STAGING_NSLOTS &&
        staging->box_nbytes * staging->nboxes <= AT_ONCE_NBYTES) {
        status = flight->start->device->ops->event_query(flight->start, &is_idle, err);
    }
    *out_at_once = is_idle != 0;
    return status;
}

static ndbuf_status choose_queues(ndbuf__stage_flight *flight, ndbuf_error *err)
{
    pipeline *line = &flight->line;
    ndbuf_device *src_device = line->ends->src->device;
    ndbuf_device *dst_device = line->ends->dst->device;
    bool at_once = false;
    line->enqueues = true;
    ndbuf_status status = choose_packing(flight, &at_once, err);
    if (status == NDBUF_OK && line->repacks && !at_once) {
        status = ndbuf__helper_queue_take(flight->queue->device, &line->host, err);
    }
    if (status == NDBUF_OK && line->staging->fetches) {
        status = choose_queue(flight, src_device, &line->fetch, err);
    }
    if (status == NDBUF_OK && line->staging->stores) {
        if (line->fetch != NULL && line->fetch->device == dst_device) {
            line->store = line->fetch;
        } else {
            status = choose_queue(flight, dst_device, &line->store, err);
        }
    }
    return status;
}

/* The helper queues, each once. Returns how many. */
static int list_helpers(const ndbuf__stage_flight *flight, ndbuf_queue *helpers[STEP_COUNT])
{
    int count = 0;
    for (int step = 0; step < STEP_COUNT; step++) {
        ndbuf_queue *queue = queue_of(&flight->line, (stage_step)step);
        if (queue != NULL && queue != flight->queue && (count == 0 || helpers[count - 1] != queue) &&
            (count < 2 || helpers[0] != queue)) {
            helpers[count++] = queue;
        }
    }
    return count;
}

/* Helpers begin after the earlier work of the queue. */
static ndbuf_status fork_helpers(ndbuf__stage_flight *flight, ndbuf_error *err)
{
    ndbuf_queue *helpers[STEP_COUNT];
    int count = list_helpers(flight, helpers);
    ndbuf_status status = NDBUF_OK;
    for (int i = 0; i < count && status == NDBUF_OK; i++) {
        status = helpers[i]->device->ops->queue_wait_event(helpers[i], flight->start, err);
    }
    return status;
}

/* The queue's later work comes after the last step of each helper. */
static ndbuf_status join_helpers(ndbuf__stage_flight *flight, ndbuf_error *err)
{
    pipeline *line = &flight->line;
    ndbuf_status status = NDBUF_OK;
    for (int step = 0; step < STEP_COUNT && status == NDBUF_OK; step++) {
        status = await(line, flight->queue, (stage_step)step, line->staging->nboxes - 1, err);
    }
    return status;
}

ndbuf_status ndbuf__stage_enqueue(const ndbuf__staging *staging, const ndbuf__transfer_ends *ends, ndbuf_queue *queue,
                                  ndbuf__stage_flight **out_flight, ndbuf_error *err)
{
    size_t nevents = (size_t)staging->nboxes * STEP_COUNT;
    *out_flight = NULL;
    ndbuf__stage_flight *flight =
        ndbuf__block_take(&queue->core->blocks, sizeof(*flight) + nevents * sizeof(flight->events[0]));
    if (flight == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the steps of a staged copy");
    }
    flight->queue = queue;
    flight->start = NULL;
    memset(flight->events, 0, nevents * sizeof(flight->events[0]));
    pipeline_init(&flight->line, staging, ends, flight->events, staging->nboxes);
    ndbuf_status status = queue->device->ops->event_record(queue, &flight->start, err);
    if (status == NDBUF_OK) {
        status = choose_queues(flight, err);
    }
    if (status == NDBUF_OK) {
        status = take_buffers(&flight->line, err);
    }
    if (status == NDBUF_OK) {
        status = fork_helpers(flight, err);
    }
    if (status != NDBUF_OK) {
        ndbuf__stage_flight_end(flight, NULL);
        return status;
    }
    status = run_boxes(&flight->line, err);
    if (status == NDBUF_OK) {
        status = join_helpers(flight, err);
    }
    if (status != NDBUF_OK) {
        /* What was put into the queue may use the buffers until it is done; the helpers are not waited for by it. */
        ndbuf_queue *helpers[STEP_COUNT];
        int count = list_helpers(flight, helpers);
        for (int i = 0; i < count; i++) {
            helpers[i]->device->ops->queue_wait(helpers[i], NULL);
        }
    }
    *out_flight = flight;
    return status;
}

ndbuf_status ndbuf__stage_flight_end(ndbuf__stage_flight *flight, ndbuf_error *err)
{
    ndbuf_queue *helpers[STEP_COUNT];
    int count = list_helpers(flight, helpers);
    ndbuf_status status = NDBUF_OK;
    for (int i = 0; i < count; i++) {
        status = wait_for(helpers[i], status, err);
        ndbuf__helper_queue_give(helpers[i]);
    }
    destroy_event(&flight->start);
    pipeline_clear(&flight->line);
    ndbuf__block_give(flight);
    return status;
}
