/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_core.h"

#include <stdlib.h>
#include <string.h>

#include "ndbuf/storage.h"

/* How often an event is queried before it completes by itself: a device makes progress without being waited for. */
#define QUERIES_UNTIL_PROGRESS 8

typedef enum job_kind { JOB_BOX, JOB_HOST_CALL, JOB_MAPPED_CALL, JOB_MARK, JOB_WAIT } job_kind;

/* A point in a timeline: what events stand for. */
typedef struct fake_mark {
    int64_t refs;
    fake_timeline *timeline;
    int64_t position; /* the number of its job */
    bool complete;
    ndbuf_error failure; /* of the work before it */
} fake_mark;

typedef struct fake_job fake_job;
struct fake_job {
    fake_job *next;
    job_kind kind;
    fake_box *box;
    ndbuf_host_fn fn;
    void *context;
    ndbuf_mapped_fn mapped_fn;
    int32_t nranges;
    ndbuf_mapped_range ranges[2];
    fake_block *blocks[2]; /* of the ranges */
    fake_mark *mark;
};

struct fake_timeline {
    fake_timeline *next; /* of all there are */
    int64_t refs;
    fake_job *first; /* the one that runs included */
    fake_job **last;
    int64_t nsubmitted;
    int64_t ndone;
    bool is_without_host_thread;
    const void *runner;  /* the thread that runs the first job; NULL: none */
    ndbuf_error failure; /* not told yet; copies are skipped until then */
};

typedef struct fake_event {
    ndbuf_event base;
    fake_mark *mark;
    int64_t nqueries;
} fake_event;

static fake_timeline *timelines;

/* Its address names the thread. */
static _Thread_local char this_thread;

static void *new_zeroed(size_t nbytes)
{
    void *block = calloc(1, nbytes);
    if (block == NULL) {
        abort();
    }
    return block;
}

static ndbuf_status tell(const ndbuf_error *failure, ndbuf_error *err)
{
    if (failure->status != NDBUF_OK && err != NULL) {
        *err = *failure;
    }
    return (ndbuf_status)failure->status;
}

/* ---- timelines; all with fake_mutex held ---- */

static void timeline_release(fake_timeline *timeline)
{
    if (--timeline->refs > 0) {
        return;
    }
    fake_timeline **link = &timelines;
    while (*link != timeline) {
        link = &(*link)->next;
    }
    *link = timeline->next;
    free(timeline);
}

static void mark_release(fake_mark *mark)
{
    if (--mark->refs == 0) {
        timeline_release(mark->timeline);
        free(mark);
    }
}

static int64_t timeline_append(fake_timeline *timeline, fake_job *job)
{
    *timeline->last = job;
    timeline->last = &job->next;
    fake_alive.jobs++;
    return ++timeline->nsubmitted;
}

static void timeline_note(fake_timeline *timeline, ndbuf_status status, const ndbuf_error *failure)
{
    if (status != NDBUF_OK && timeline->failure.status == NDBUF_OK) {
        timeline->failure = *failure;
        timeline->failure.status = (int32_t)status;
    }
}

static void timeline_run(fake_timeline *timeline, int64_t position);

/* The function sees copies of the ranges alone, so that going beyond them shows. */
static ndbuf_status mapped_call_run(const fake_job *job, ndbuf_error *err)
{
    void *addresses[2] = {NULL};
    if (fake_job_fails(err)) {
        return NDBUF_ERR_DEVICE;
    }
    for (int32_t i = 0; i < job->nranges; i++) {
        addresses[i] = malloc(job->ranges[i].nbytes);
        if (addresses[i] == NULL) {
            abort();
        }
        memcpy(addresses[i], job->blocks[i]->bytes + job->ranges[i].offset, job->ranges[i].nbytes);
    }
    job->mapped_fn(job->context, addresses);
    for (int32_t i = 0; i < job->nranges; i++) {
        if ((job->ranges[i].map_flags & NDBUF_MAP_WRITE) != 0) {
            memcpy(job->blocks[i]->bytes + job->ranges[i].offset, addresses[i], job->ranges[i].nbytes);
        }
        free(addresses[i]);
    }
    return NDBUF_OK;
}

/* The mutex is let go of meanwhile. */
static void job_run(fake_timeline *timeline, fake_job *job)
{
    ndbuf_error failure = {0};
    ndbuf_status status = NDBUF_OK;
    switch (job->kind) {
    case JOB_BOX:
        if (timeline->failure.status != NDBUF_OK) {
            break;
        }
        ndbuf__mutex_unlock(&fake_mutex);
        status = fake_job_fails(&failure) ? NDBUF_ERR_DEVICE : fake_box_run(job->box, &failure);
        ndbuf__mutex_lock(&fake_mutex);
        break;
    case JOB_HOST_CALL:
        fake_in_pure_host_call = timeline->is_without_host_thread;
        ndbuf__mutex_unlock(&fake_mutex);
        status = job->fn(job->context, &failure);
        ndbuf__mutex_lock(&fake_mutex);
        fake_in_pure_host_call = false;
        break;
    case JOB_MAPPED_CALL:
        if (timeline->failure.status != NDBUF_OK) {
            break;
        }
        ndbuf__mutex_unlock(&fake_mutex);
        status = mapped_call_run(job, &failure);
        ndbuf__mutex_lock(&fake_mutex);
        break;
    case JOB_MARK:
        job->mark->complete = true;
        job->mark->failure = timeline->failure;
        break;
    case JOB_WAIT:
        timeline_run(job->mark->timeline, job->mark->position);
        failure = job->mark->failure;
        status = (ndbuf_status)failure.status;
        break;
    }
    timeline_note(timeline, status, &failure);
}

/* Runs all jobs up to number `position`, or waits for the thread that does. */
static void timeline_run(fake_timeline *timeline, int64_t position)
{
    timeline->refs++;
    while (timeline->ndone < position && timeline->runner != &this_thread) {
        if (timeline->runner != NULL) {
            ndbuf__cond_wait(&fake_changed, &fake_mutex);
            continue;
        }
        timeline->runner = &this_thread;
        fake_job *job = timeline->first;
        job_run(timeline, job);
        timeline->first = job->next;
        if (timeline->first == NULL) {
            timeline->last = &timeline->first;
        }
        timeline->ndone++;
        timeline->runner = NULL;
        fake_alive.jobs--;
        if (job->mark != NULL) {
            mark_release(job->mark);
        }
        if (job->box != NULL) {
            free(job->box->item);
            free(job->box);
        }
        free(job);
        ndbuf__cond_broadcast(&fake_changed);
    }
    timeline_release(timeline);
}

static bool timeline_is_mine(const fake_timeline *timeline)
{
    return timeline->runner == &this_thread;
}

bool fake_block_is_used(const fake_block *block)
{
    for (const fake_timeline *timeline = timelines; timeline != NULL; timeline = timeline->next) {
        for (const fake_job *job = timeline->first; job != NULL; job = job->next) {
            if (job->box != NULL && (job->box->dst.backend_data == block || job->box->src.backend_data == block)) {
                return true;
            }
            if (job->blocks[0] == block || job->blocks[1] == block) {
                return true;
            }
        }
    }
    return false;
}

void fake_run_all(void)
{
    ndbuf__mutex_lock(&fake_mutex);
    for (bool again = true; again;) {
        again = false;
        for (fake_timeline *timeline = timelines; timeline != NULL && !again; timeline = timeline->next) {
            if (timeline->ndone < timeline->nsubmitted && !timeline_is_mine(timeline)) {
                timeline_run(timeline, timeline->nsubmitted);
                again = true; /* the list may have changed */
            }
        }
    }
    ndbuf__mutex_unlock(&fake_mutex);
}

/* ---- queues ---- */

/* With fake_mutex held: is a function of its own host call using the queue? */
static bool queue_is_misused(const fake_queue *queue)
{
    return timeline_is_mine(queue->timeline);
}

ndbuf_status fake_queue_make(ndbuf_device *device, ndbuf_queue **out_queue, ndbuf_error *err)
{
    (void)err;
    fake_queue *queue = new_zeroed(sizeof(*queue));
    fake_timeline *timeline = new_zeroed(sizeof(*timeline));
    queue->base.device = device;
    queue->timeline = timeline;
    timeline->refs = 1;
    timeline->last = &timeline->first;
    timeline->is_without_host_thread = (device->queue_flags & NDBUF_QUEUE_NO_HOST_THREAD) != 0;
    ndbuf__mutex_lock(&fake_mutex);
    timeline->next = timelines;
    timelines = timeline;
    ndbuf__mutex_unlock(&fake_mutex);
    *out_queue = &queue->base;
    return NDBUF_OK;
}

void fake_queue_free(ndbuf_queue *base)
{
    fake_queue *queue = (fake_queue *)base;
    ndbuf__mutex_lock(&fake_mutex);
    bool is_empty = queue->timeline->ndone == queue->timeline->nsubmitted;
    timeline_run(queue->timeline, queue->timeline->nsubmitted);
    timeline_release(queue->timeline);
    ndbuf__mutex_unlock(&fake_mutex);
    if (!is_empty) {
        fake_violated(NULL, "a queue is destroyed while its work is not done");
    }
    free(queue);
}

ndbuf_status fake_queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_queue_create, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (native != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "fake has no native queues");
    }
    ndbuf__mutex_lock(&fake_mutex);
    fake_alive.queues++;
    ndbuf__mutex_unlock(&fake_mutex);
    return fake_queue_make(device, out_queue, err);
}

void fake_queue_destroy(ndbuf_queue *queue)
{
    fake_call_fails(FAKE_queue_destroy, NULL);
    fake_queue_free(queue);
    ndbuf__mutex_lock(&fake_mutex);
    fake_alive.queues--;
    ndbuf__mutex_unlock(&fake_mutex);
}

ndbuf_status fake_queue_wait(ndbuf_queue *base, ndbuf_error *err)
{
    fake_queue *queue = (fake_queue *)base;
    bool fails = fake_call_fails(FAKE_queue_wait, err);
    ndbuf_error failure = {0};
    ndbuf__mutex_lock(&fake_mutex);
    bool misused = queue_is_misused(queue);
    if (!misused) {
        timeline_run(queue->timeline, queue->timeline->nsubmitted);
        if (!fails) {
            failure = queue->timeline->failure;
            queue->timeline->failure = (ndbuf_error){0};
        }
    }
    ndbuf__mutex_unlock(&fake_mutex);
    if (misused) {
        return fake_violated(err, "a host call waits for its own queue");
    }
    return fails ? NDBUF_ERR_DEVICE : tell(&failure, err);
}

static ndbuf_status queue_append(fake_queue *queue, fake_job *job, bool blocks, ndbuf_error *err)
{
    ndbuf__mutex_lock(&fake_mutex);
    bool misused = queue_is_misused(queue);
    int64_t position = timeline_append(queue->timeline, job);
    if (blocks && !misused) {
        timeline_run(queue->timeline, position);
    }
    ndbuf__mutex_unlock(&fake_mutex);
    if (misused) {
        return fake_violated(err, "a host call gives work to its own queue");
    }
    return NDBUF_OK;
}

ndbuf_status fake_queue_submit_box(ndbuf_queue *queue, const fake_box *box, bool blocks, ndbuf_error *err)
{
    fake_job *job = new_zeroed(sizeof(*job));
    job->kind = JOB_BOX;
    job->box = new_zeroed(sizeof(*job->box));
    *job->box = *box;
    return queue_append((fake_queue *)queue, job, blocks, err);
}

ndbuf_status fake_queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_queue_wait_native, err)) {
        return NDBUF_ERR_DEVICE;
    }
    return ndbuf_unsupported_queue_wait_native(queue, native_event, err);
}

ndbuf_status fake_queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_queue_host_call, err)) {
        return NDBUF_ERR_DEVICE;
    }
    fake_job *job = new_zeroed(sizeof(*job));
    job->kind = JOB_HOST_CALL;
    job->fn = fn;
    job->context = context;
    return queue_append((fake_queue *)queue, job, false, err);
}

/* Ranges lie in memory of this backend that it can map; those for writing do not touch others. */
static ndbuf_status check_ranges(const ndbuf_mapped_range *ranges, int32_t nranges, ndbuf_error *err)
{
    if ((fake_config_now().copy_flags & NDBUF_CAN_MAP) == 0 || nranges < 1 || nranges > 2) {
        return fake_violated(err, "a mapped call with %d ranges, or without its bit", (int)nranges);
    }
    for (int32_t i = 0; i < nranges; i++) {
        const ndbuf_mapped_range *range = &ranges[i];
        if (!fake_is_own(range->mem->device) || range->nbytes == 0 || range->offset > range->mem->nbytes ||
            range->nbytes > range->mem->nbytes - range->offset || range->map_flags == 0) {
            return fake_violated(err, "a range of %zu bytes at %zu with flags 0x%x", range->nbytes, range->offset,
                                 (unsigned)range->map_flags);
        }
    }
    if (nranges == 2 && ranges[0].mem->backend_data == ranges[1].mem->backend_data) {
        return fake_violated(err, "two ranges of one piece of memory");
    }
    return NDBUF_OK;
}

ndbuf_status fake_queue_mapped_call(ndbuf_queue *queue, const ndbuf_mapped_range *ranges, int32_t nranges,
                                    ndbuf_mapped_fn fn, void *context, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_queue_mapped_call, err)) {
        return NDBUF_ERR_DEVICE;
    }
    ndbuf_status status = check_ranges(ranges, nranges, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (fake_config_now().refuses_maps) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "fake does not map this memory");
    }
    fake_job *job = new_zeroed(sizeof(*job));
    job->kind = JOB_MAPPED_CALL;
    job->mapped_fn = fn;
    job->context = context;
    job->nranges = nranges;
    for (int32_t i = 0; i < nranges; i++) {
        job->ranges[i] = ranges[i];
        job->blocks[i] = ranges[i].mem->backend_data;
    }
    return queue_append((fake_queue *)queue, job, false, err);
}

ndbuf_status fake_queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_queue_wait_event, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (!fake_is_own(event->device)) {
        return event->device->ops->event_wait(event, err);
    }
    fake_job *job = new_zeroed(sizeof(*job));
    job->kind = JOB_WAIT;
    job->mark = ((fake_event *)event)->mark;
    ndbuf__mutex_lock(&fake_mutex);
    job->mark->refs++;
    ndbuf__mutex_unlock(&fake_mutex);
    return queue_append((fake_queue *)queue, job, false, err);
}

/* ---- events ---- */

ndbuf_status fake_event_record(ndbuf_queue *base, ndbuf_event **out_event, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_event_record, err)) {
        return NDBUF_ERR_DEVICE;
    }
    fake_queue *queue = (fake_queue *)base;
    fake_event *event = new_zeroed(sizeof(*event));
    fake_mark *mark = new_zeroed(sizeof(*mark));
    fake_job *job = new_zeroed(sizeof(*job));
    job->kind = JOB_MARK;
    job->mark = mark;
    event->base.device = base->device;
    event->mark = mark;
    mark->refs = 2;
    mark->timeline = queue->timeline;
    ndbuf__mutex_lock(&fake_mutex);
    queue->timeline->refs++;
    mark->position = timeline_append(queue->timeline, job);
    fake_alive.events++;
    ndbuf__mutex_unlock(&fake_mutex);
    *out_event = &event->base;
    return NDBUF_OK;
}

void fake_event_destroy(ndbuf_event *base)
{
    fake_call_fails(FAKE_event_destroy, NULL);
    fake_event *event = (fake_event *)base;
    ndbuf__mutex_lock(&fake_mutex);
    mark_release(event->mark);
    fake_alive.events--;
    ndbuf__mutex_unlock(&fake_mutex);
    free(event);
}

ndbuf_status fake_event_wait(ndbuf_event *base, ndbuf_error *err)
{
    fake_mark *mark = ((fake_event *)base)->mark;
    bool fails = fake_call_fails(FAKE_event_wait, err);
    ndbuf__mutex_lock(&fake_mutex);
    timeline_run(mark->timeline, mark->position);
    bool complete = mark->complete;
    ndbuf_error failure = mark->failure;
    ndbuf__mutex_unlock(&fake_mutex);
    if (!complete) {
        return fake_violated(err, "a host call waits for an event behind it in its own queue");
    }
    return fails ? NDBUF_ERR_DEVICE : tell(&failure, err);
}

ndbuf_status fake_event_query(ndbuf_event *base, int32_t *out_complete, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_event_query, err)) {
        return NDBUF_ERR_DEVICE;
    }
    fake_event *event = (fake_event *)base;
    ndbuf__mutex_lock(&fake_mutex);
    fake_timeline *timeline = event->mark->timeline;
    if (++event->nqueries > QUERIES_UNTIL_PROGRESS && timeline->runner == NULL) {
        timeline_run(timeline, event->mark->position);
    }
    *out_complete = event->mark->complete;
    ndbuf__mutex_unlock(&fake_mutex);
    return NDBUF_OK;
}

ndbuf_status fake_queue_is_capturing(ndbuf_queue *queue, int32_t *out_is_capturing, ndbuf_error *err)
{
    (void)queue;
    if (fake_call_fails(FAKE_queue_is_capturing, err)) {
        return NDBUF_ERR_DEVICE;
    }
    *out_is_capturing = 0;
    return NDBUF_OK;
}
