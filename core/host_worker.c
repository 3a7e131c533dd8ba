/* SPDX-License-Identifier: Apache-2.0 */
#include "core/host_worker.h"

#include <stddef.h>

#include "core/block_pool.h"
#include "core/host_alloc.h"
#include "core/sync.h"

typedef struct worker_job worker_job;
struct worker_job {
    worker_job *next;
    ndbuf_host_fn fn;
    void *context;
};

struct ndbuf__host_worker {
    ndbuf__mutex mutex; /* guards all below */
    ndbuf__cond changed;
    ndbuf__thread thread;
    worker_job *first;
    worker_job **last;
    uint64_t nsubmitted;
    uint64_t ndone;
    ndbuf_error failure; /* of the first job that failed since one was last taken; stays after that */
    uint64_t failed_job; /* its number */
    bool failure_is_untold;
    uint64_t ntold; /* ndone when a failure was last taken */
    bool running;
    bool ending;
    ndbuf__block_pool blocks; /* for jobs; has a lock of its own */
};

/* The worker whose job the calling thread runs; NULL in other threads. */
static _Thread_local const ndbuf__host_worker *current_worker;

ndbuf_status ndbuf__host_worker_create(ndbuf__host_worker **out_worker, ndbuf_error *err)
{
    ndbuf__host_worker *worker = ndbuf__calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a host worker");
    }
    ndbuf__mutex_init(&worker->mutex);
    ndbuf__cond_init(&worker->changed);
    ndbuf__block_pool_init(&worker->blocks);
    worker->last = &worker->first;
    *out_worker = worker;
    return NDBUF_OK;
}

/* The job's block is there for the next one before others see that the job is done. */
static void worker_run_job(ndbuf__host_worker *worker, worker_job *block)
{
    const worker_job job = *block;
    ndbuf_error error = {0};
    ndbuf__block_give(block);
    ndbuf_status status = job.fn(job.context, &error);
    ndbuf__mutex_lock(&worker->mutex);
    worker->ndone++;
    if (status != NDBUF_OK && !worker->failure_is_untold) {
        worker->failure = error;
        worker->failure.status = (int32_t)status;
        worker->failed_job = worker->ndone;
        worker->failure_is_untold = true;
    }
    ndbuf__cond_broadcast(&worker->changed);
}

static NDBUF__THREAD_RESULT worker_main(void *context)
{
    ndbuf__host_worker *worker = context;
    current_worker = worker;
    ndbuf__mutex_lock(&worker->mutex);
    for (;;) {
        worker_job *job = worker->first;
        if (job != NULL) {
            worker->first = job->next;
            if (worker->first == NULL) {
                worker->last = &worker->first;
            }
            ndbuf__mutex_unlock(&worker->mutex);
            worker_run_job(worker, job); /* leaves the mutex locked */
        } else if (worker->ending) {
            break;
        } else {
            ndbuf__cond_wait(&worker->changed, &worker->mutex);
        }
    }
    ndbuf__mutex_unlock(&worker->mutex);
    NDBUF__THREAD_RETURN;
}

void ndbuf__host_worker_destroy(ndbuf__host_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    ndbuf__mutex_lock(&worker->mutex);
    worker->ending = true;
    ndbuf__cond_broadcast(&worker->changed);
    ndbuf__mutex_unlock(&worker->mutex);
    if (worker->running) {
        ndbuf__thread_join(worker->thread);
    }
    ndbuf__block_pool_clear(&worker->blocks);
    ndbuf__cond_clear(&worker->changed);
    ndbuf__mutex_clear(&worker->mutex);
    ndbuf__free(worker);
}

ndbuf_status ndbuf__host_worker_submit(ndbuf__host_worker *worker, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    worker_job *job = ndbuf__block_take(&worker->blocks, sizeof(*job));
    if (job == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a job of a host worker");
    }
    *job = (worker_job){.fn = fn, .context = context};
    ndbuf__mutex_lock(&worker->mutex);
    if (!worker->running) {
        if (!ndbuf__thread_start(&worker->thread, worker_main, worker)) {
            ndbuf__mutex_unlock(&worker->mutex);
            ndbuf__block_give(job);
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no thread for a host worker");
        }
        worker->running = true;
    }
    *worker->last = job;
    worker->last = &job->next;
    worker->nsubmitted++;
    ndbuf__cond_broadcast(&worker->changed);
    ndbuf__mutex_unlock(&worker->mutex);
    return NDBUF_OK;
}

uint64_t ndbuf__host_worker_submitted(ndbuf__host_worker *worker)
{
    ndbuf__mutex_lock(&worker->mutex);
    uint64_t nsubmitted = worker->nsubmitted;
    ndbuf__mutex_unlock(&worker->mutex);
    return nsubmitted;
}

bool ndbuf__host_worker_is_done(ndbuf__host_worker *worker, uint64_t job)
{
    ndbuf__mutex_lock(&worker->mutex);
    bool done = worker->ndone >= job;
    ndbuf__mutex_unlock(&worker->mutex);
    return done;
}

void ndbuf__host_worker_wait(ndbuf__host_worker *worker, uint64_t job)
{
    if (current_worker == worker) {
        return;
    }
    ndbuf__mutex_lock(&worker->mutex);
    while (worker->ndone < job) {
        ndbuf__cond_wait(&worker->changed, &worker->mutex);
    }
    ndbuf__mutex_unlock(&worker->mutex);
}

static ndbuf_status failure_tell(const ndbuf__host_worker *worker, ndbuf_error *err)
{
    if (err != NULL) {
        *err = worker->failure;
    }
    return (ndbuf_status)worker->failure.status;
}

ndbuf_status ndbuf__host_worker_take_error(ndbuf__host_worker *worker, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    ndbuf__mutex_lock(&worker->mutex);
    if (worker->failure_is_untold) {
        status = failure_tell(worker, err);
        worker->failure_is_untold = false;
        worker->ntold = worker->ndone;
    }
    ndbuf__mutex_unlock(&worker->mutex);
    return status;
}

ndbuf_status ndbuf__host_worker_failure(ndbuf__host_worker *worker, uint64_t after, uint64_t job, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    ndbuf__mutex_lock(&worker->mutex);
    if (worker->failed_job > after && worker->failed_job <= job) {
        status = failure_tell(worker, err);
    }
    ndbuf__mutex_unlock(&worker->mutex);
    return status;
}

uint64_t ndbuf__host_worker_told(ndbuf__host_worker *worker)
{
    ndbuf__mutex_lock(&worker->mutex);
    uint64_t ntold = worker->ntold;
    ndbuf__mutex_unlock(&worker->mutex);
    return ntold;
}
