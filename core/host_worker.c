/* SPDX-License-Identifier: Apache-2.0 */
#include "core/host_worker.h"

#include <stdatomic.h>
#include <stddef.h>

#include "core/block_pool.h"
#include "core/fork_guard.h"
#include "core/host_alloc.h"
#include "core/ref_count.h"
#include "core/sync.h"

typedef struct worker_job worker_job;
struct worker_job {
    worker_job *next;
    ndbuf_host_fn fn;
    void *context;
};

/* What marks remember. Another one takes its place when its error has been taken, so that the old marks keep theirs. */
typedef struct ndbuf__host_failure {
    ndbuf__ref_count refs;
    uint64_t job; /* the first that failed; 0: none. Guarded by the worker's mutex, as is the error */
    ndbuf_error error;
} host_failure;

struct ndbuf__host_worker {
    ndbuf__fork_guard guard; /* of all below */
    ndbuf__cond changed;
    ndbuf__thread thread;
    worker_job *first;
    worker_job **last;
    uint64_t nsubmitted;
    uint64_t ndone;
    ndbuf_error untold;    /* of the first job that failed since an error was last taken; status NDBUF_OK: none */
    uint64_t untold_job;   /* its number */
    host_failure *failure; /* the same for marks; NULL: there are none since then */
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
    if (!ndbuf__fork_guard_watch()) {
        ndbuf__free(worker);
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to be told of forks");
    }
    ndbuf__fork_guard_init(&worker->guard);
    ndbuf__cond_init(&worker->changed);
    ndbuf__block_pool_init(&worker->blocks);
    worker->last = &worker->first;
    *out_worker = worker;
    return NDBUF_OK;
}

static void failure_release(host_failure *failure)
{
    if (failure != NULL && ndbuf__ref_release(&failure->refs)) {
        ndbuf__free(failure);
    }
}

/* With the mutex held: the last job that was done has failed. */
static void worker_fail(ndbuf__host_worker *worker, const ndbuf_error *error)
{
    if (worker->untold.status != NDBUF_OK) {
        return;
    }
    worker->untold = *error;
    worker->untold_job = worker->ndone;
    if (worker->failure != NULL) {
        worker->failure->error = *error;
        worker->failure->job = worker->ndone;
    }
}

/* In the child of a fork: begins anew, with another thread. What was not done is done by the parent alone; its jobs and
 * what the thread had in hand are lost. */
static void worker_forget(void *owner)
{
    ndbuf__host_worker *worker = owner;
    ndbuf__cond_init(&worker->changed);
    ndbuf__block_pool_init(&worker->blocks);
    worker->first = NULL;
    worker->last = &worker->first;
    worker->running = false;
    worker->ending = false;
    if (worker->ndone < worker->nsubmitted) {
        ndbuf_error error = {0};
        ndbuf_fail(&error, NDBUF_ERR_DEVICE, "%llu steps of a host queue were left to the process that forked this one",
                   (unsigned long long)(worker->nsubmitted - worker->ndone));
        worker->ndone++;
        worker_fail(worker, &error);
        worker->ndone = worker->nsubmitted;
    }
}

static void worker_lock(ndbuf__host_worker *worker)
{
    ndbuf__fork_guard_lock(&worker->guard, worker_forget, worker);
}

/* The job's block is there for the next one before others see that the job is done. */
static void worker_run_job(ndbuf__host_worker *worker, worker_job *block)
{
    const worker_job job = *block;
    ndbuf_error error = {0};
    ndbuf__block_give(block);
    ndbuf_status status = job.fn(job.context, &error);
    worker_lock(worker);
    worker->ndone++;
    if (status != NDBUF_OK) {
        error.status = (int32_t)status;
        worker_fail(worker, &error);
    }
    ndbuf__cond_broadcast(&worker->changed);
}

static NDBUF__THREAD_RESULT worker_main(void *context)
{
    ndbuf__host_worker *worker = context;
    current_worker = worker;
    worker_lock(worker);
    for (;;) {
        worker_job *job = worker->first;
        if (job != NULL) {
            worker->first = job->next;
            if (worker->first == NULL) {
                worker->last = &worker->first;
            }
            ndbuf__fork_guard_unlock(&worker->guard);
            worker_run_job(worker, job); /* leaves the mutex locked */
        } else if (worker->ending) {
            break;
        } else {
            ndbuf__cond_wait(&worker->changed, &worker->guard.mutex);
        }
    }
    ndbuf__fork_guard_unlock(&worker->guard);
    NDBUF__THREAD_RETURN;
}

void ndbuf__host_worker_destroy(ndbuf__host_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    worker_lock(worker);
    worker->ending = true;
    ndbuf__cond_broadcast(&worker->changed);
    ndbuf__fork_guard_unlock(&worker->guard);
    if (worker->running) {
        ndbuf__thread_join(worker->thread);
    }
    failure_release(worker->failure);
    ndbuf__block_pool_clear(&worker->blocks);
    ndbuf__cond_clear(&worker->changed);
    ndbuf__fork_guard_clear(&worker->guard);
    ndbuf__free(worker);
}

ndbuf_status ndbuf__host_worker_submit(ndbuf__host_worker *worker, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    worker_lock(worker);
    worker_job *job = ndbuf__block_take(&worker->blocks, sizeof(*job));
    if (job == NULL) {
        status = ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a job of a host worker");
    } else if (!worker->running && !ndbuf__thread_start(&worker->thread, worker_main, worker)) {
        ndbuf__block_give(job);
        status = ndbuf_fail(err, NDBUF_ERR_NOMEM, "no thread for a host worker");
    } else {
        worker->running = true;
        *job = (worker_job){.fn = fn, .context = context};
        *worker->last = job;
        worker->last = &job->next;
        worker->nsubmitted++;
        ndbuf__cond_broadcast(&worker->changed);
    }
    ndbuf__fork_guard_unlock(&worker->guard);
    return status;
}

uint64_t ndbuf__host_worker_submitted(ndbuf__host_worker *worker)
{
    worker_lock(worker);
    uint64_t nsubmitted = worker->nsubmitted;
    ndbuf__fork_guard_unlock(&worker->guard);
    return nsubmitted;
}

bool ndbuf__host_worker_is_done(ndbuf__host_worker *worker, uint64_t job)
{
    worker_lock(worker);
    bool done = worker->ndone >= job;
    ndbuf__fork_guard_unlock(&worker->guard);
    return done;
}

void ndbuf__host_worker_wait(ndbuf__host_worker *worker, uint64_t job)
{
    if (current_worker == worker) {
        return;
    }
    worker_lock(worker);
    while (worker->ndone < job) {
        ndbuf__cond_wait(&worker->changed, &worker->guard.mutex);
    }
    ndbuf__fork_guard_unlock(&worker->guard);
}

static ndbuf_status error_tell(const ndbuf_error *error, ndbuf_error *err)
{
    if (error->status != NDBUF_OK && err != NULL) {
        *err = *error;
    }
    return (ndbuf_status)error->status;
}

ndbuf_status ndbuf__host_worker_take_error(ndbuf__host_worker *worker, ndbuf_error *err)
{
    host_failure *told = NULL;
    worker_lock(worker);
    ndbuf_status status = error_tell(&worker->untold, err);
    if (status != NDBUF_OK) {
        told = worker->failure;
        worker->failure = NULL;
        worker->untold.status = NDBUF_OK;
    }
    ndbuf__fork_guard_unlock(&worker->guard);
    failure_release(told);
    return status;
}

/* With the mutex held: the record for new marks, or NULL. */
static host_failure *need_failure(ndbuf__host_worker *worker)
{
    host_failure *failure = worker->failure;
    if (failure == NULL) {
        failure = worker->failure = ndbuf__calloc(1, sizeof(*failure));
        if (failure != NULL) {
            ndbuf__ref_init(&failure->refs);
            failure->job = worker->untold.status != NDBUF_OK ? worker->untold_job : 0;
            failure->error = worker->untold;
        }
    }
    return failure;
}

ndbuf_status ndbuf__host_worker_mark(ndbuf__host_worker *worker, ndbuf__host_mark *out_mark, ndbuf_error *err)
{
    worker_lock(worker);
    host_failure *failure = need_failure(worker);
    if (failure != NULL) {
        ndbuf__ref_retain(&failure->refs);
        *out_mark = (ndbuf__host_mark){.job = worker->nsubmitted, .failure = failure};
    }
    ndbuf__fork_guard_unlock(&worker->guard);
    return failure != NULL ? NDBUF_OK : ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the failures of a host queue");
}

void ndbuf__host_mark_clear(ndbuf__host_mark *mark)
{
    failure_release(mark->failure);
}

ndbuf_status ndbuf__host_mark_failure(ndbuf__host_worker *worker, const ndbuf__host_mark *mark, ndbuf_error *err)
{
    const host_failure *failure = mark->failure;
    ndbuf_status status = NDBUF_OK;
    worker_lock(worker);
    if (failure->job != 0 && failure->job <= mark->job) {
        status = error_tell(&failure->error, err);
    }
    ndbuf__fork_guard_unlock(&worker->guard);
    return status;
}
