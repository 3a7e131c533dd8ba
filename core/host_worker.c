/* SPDX-License-Identifier: Apache-2.0 */
#include "core/host_worker.h"

#include <stdatomic.h>
#include <stddef.h>

#include "core/block_pool.h"
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
    _Atomic(uint64_t) process; /* `current_process` of the one whose the thread is */
    ndbuf__mutex mutex;        /* guards all below */
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

/* How many forks lie between this process and the one that loaded the library. Of a worker that was made before the
 * last of them, the child has neither the thread nor a mutex that somebody would unlock. */
static _Atomic(uint64_t) current_process;
static ndbuf__mutex fork_mutex = NDBUF__MUTEX_INIT; /* guards what follows, and workers that forget */
static bool fork_is_watched;

/* The worker whose job the calling thread runs; NULL in other threads. */
static _Thread_local const ndbuf__host_worker *current_worker;

static void note_fork(void)
{
    ndbuf__mutex_init(&fork_mutex);
    atomic_fetch_add_explicit(&current_process, 1, memory_order_relaxed);
}

static bool watch_forks(void)
{
    ndbuf__mutex_lock(&fork_mutex);
    fork_is_watched = fork_is_watched || ndbuf__at_fork(note_fork);
    bool is_watched = fork_is_watched;
    ndbuf__mutex_unlock(&fork_mutex);
    return is_watched;
}

ndbuf_status ndbuf__host_worker_create(ndbuf__host_worker **out_worker, ndbuf_error *err)
{
    ndbuf__host_worker *worker = ndbuf__calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a host worker");
    }
    if (!watch_forks()) {
        ndbuf__free(worker);
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to be told of forks");
    }
    atomic_init(&worker->process, atomic_load_explicit(&current_process, memory_order_relaxed));
    ndbuf__mutex_init(&worker->mutex);
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
static void worker_forget(ndbuf__host_worker *worker, uint64_t process)
{
    ndbuf__mutex_init(&worker->mutex);
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
    atomic_store_explicit(&worker->process, process, memory_order_release);
}

static void worker_lock(ndbuf__host_worker *worker)
{
    const uint64_t process = atomic_load_explicit(&current_process, memory_order_relaxed);
    if (atomic_load_explicit(&worker->process, memory_order_acquire) != process) {
        ndbuf__mutex_lock(&fork_mutex);
        if (atomic_load_explicit(&worker->process, memory_order_relaxed) != process) {
            worker_forget(worker, process);
        }
        ndbuf__mutex_unlock(&fork_mutex);
    }
    ndbuf__mutex_lock(&worker->mutex);
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
    worker_lock(worker);
    worker->ending = true;
    ndbuf__cond_broadcast(&worker->changed);
    ndbuf__mutex_unlock(&worker->mutex);
    if (worker->running) {
        ndbuf__thread_join(worker->thread);
    }
    failure_release(worker->failure);
    ndbuf__block_pool_clear(&worker->blocks);
    ndbuf__cond_clear(&worker->changed);
    ndbuf__mutex_clear(&worker->mutex);
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
    ndbuf__mutex_unlock(&worker->mutex);
    return status;
}

uint64_t ndbuf__host_worker_submitted(ndbuf__host_worker *worker)
{
    worker_lock(worker);
    uint64_t nsubmitted = worker->nsubmitted;
    ndbuf__mutex_unlock(&worker->mutex);
    return nsubmitted;
}

bool ndbuf__host_worker_is_done(ndbuf__host_worker *worker, uint64_t job)
{
    worker_lock(worker);
    bool done = worker->ndone >= job;
    ndbuf__mutex_unlock(&worker->mutex);
    return done;
}

void ndbuf__host_worker_wait(ndbuf__host_worker *worker, uint64_t job)
{
    if (current_worker == worker) {
        return;
    }
    worker_lock(worker);
    while (worker->ndone < job) {
        ndbuf__cond_wait(&worker->changed, &worker->mutex);
    }
    ndbuf__mutex_unlock(&worker->mutex);
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
    ndbuf__mutex_unlock(&worker->mutex);
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
    ndbuf__mutex_unlock(&worker->mutex);
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
    ndbuf__mutex_unlock(&worker->mutex);
    return status;
}
