/* SPDX-License-Identifier: Apache-2.0 */
#ifdef __linux__
#define _GNU_SOURCE /* sched_getaffinity */
#endif

#include "backends/cpu/cpu_pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#ifdef __linux__
#include <sched.h>
#endif

#include "ndbuf/cpu.h"

#include "core/environment.h"
#include "core/sync.h"

/* More than this many do not make copies faster unless somebody says so: memory is what they wait for. */
#define DEFAULT_MAX_THREADS 16
/* Parts of a divided copy for each thread: those that come late, or are slow, take fewer. */
#define PARTS_PER_THREAD 4
/* A thread that has nothing to do, or waits for the others' last parts, looks so often before it sleeps. */
#define IDLE_SPINS 1000

/* One piece of work, on the stack of the thread that gives it. */
typedef struct pool_job {
    cpu_pool_fn fn;
    void *context;
    int64_t nparts;
    _Atomic uint64_t taken; /* parts: in the low half from the front, in the high half from the back */
} pool_job;

typedef struct cpu_pool {
    ndbuf__mutex mutex; /* guards all below, atomics for writing only */
    ndbuf__cond changed;
    pool_job *job;            /* NULL: none, or all its parts are taken */
    int32_t nhelpers;         /* threads that may join the job */
    _Atomic uint64_t number;  /* of the job: changes with each */
    _Atomic int32_t nworking; /* threads of the pool in the job */
    bool busy;
    bool ending;
    ndbuf_cpu_executor executor; /* run NULL: none */
    int32_t nthreads;
    ndbuf__thread threads[NDBUF_CPU_MAX_THREADS];
} cpu_pool;

static cpu_pool pool = {.mutex = NDBUF__MUTEX_INIT, .changed = PTHREAD_COND_INITIALIZER};
static _Atomic int32_t wanted_threads;   /* 0: not known yet */
static _Atomic int32_t executor_threads; /* 0: there is none */
static pthread_once_t pool_once = PTHREAD_ONCE_INIT;

/* The child of a fork has none of the threads, and locks that nobody holds. */
static void forget_threads(void)
{
    ndbuf__mutex_init(&pool.mutex);
    ndbuf__cond_init(&pool.changed);
    pool.job = NULL;
    pool.busy = false;
    pool.nthreads = 0;
    atomic_store_explicit(&pool.nworking, 0, memory_order_relaxed);
}

static void pool_first(void)
{
    pthread_atfork(NULL, NULL, forget_threads);
}

static void pool_lock(void)
{
    pthread_once(&pool_once, pool_first);
    ndbuf__mutex_lock(&pool.mutex);
}

static void spin_pause(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* -- how many -- */

static int32_t default_threads(void)
{
    const char *text = ndbuf__environment("NDBUF_CPU_THREADS");
    if (text != NULL) {
        char *end;
        long value = strtol(text, &end, 10);
        if (end != text && *end == '\0' && value >= 1) {
            return value < NDBUF_CPU_MAX_THREADS ? (int32_t)value : NDBUF_CPU_MAX_THREADS;
        }
    }
    long count = 0;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0) {
        count = CPU_COUNT(&set);
    }
#endif
    if (count < 1) {
        count = sysconf(_SC_NPROCESSORS_ONLN);
    }
    return count < 1 ? 1 : count < DEFAULT_MAX_THREADS ? (int32_t)count : DEFAULT_MAX_THREADS;
}

int32_t ndbuf_cpu_threads_get(void)
{
    int32_t nthreads = atomic_load_explicit(&executor_threads, memory_order_relaxed);
    if (nthreads == 0) {
        nthreads = atomic_load_explicit(&wanted_threads, memory_order_relaxed);
    }
    if (nthreads == 0) {
        int32_t set_meanwhile = 0;
        nthreads = default_threads();
        if (!atomic_compare_exchange_strong_explicit(&wanted_threads, &set_meanwhile, nthreads, memory_order_relaxed,
                                                     memory_order_relaxed)) {
            nthreads = set_meanwhile;
        }
    }
    return nthreads;
}

ndbuf_status ndbuf_cpu_threads_set(int32_t nthreads, ndbuf_error *err)
{
    if (nthreads < 0 || nthreads > NDBUF_CPU_MAX_THREADS) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%d threads: 0 to %d are possible", (int)nthreads,
                          NDBUF_CPU_MAX_THREADS);
    }
    atomic_store_explicit(&wanted_threads, nthreads, memory_order_relaxed);
    return NDBUF_OK;
}

ndbuf_status ndbuf_cpu_executor_set(const ndbuf_cpu_executor *executor, ndbuf_error *err)
{
    static const ndbuf_cpu_executor none;
    if (executor != NULL && executor->run == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the executor has no function");
    }
    if (executor != NULL && (executor->nthreads < 1 || executor->nthreads > NDBUF_CPU_MAX_THREADS)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "an executor of %d threads: 1 to %d are possible",
                          (int)executor->nthreads, NDBUF_CPU_MAX_THREADS);
    }
    pool_lock();
    pool.executor = executor != NULL ? *executor : none;
    atomic_store_explicit(&executor_threads, pool.executor.nthreads, memory_order_relaxed);
    ndbuf__mutex_unlock(&pool.mutex);
    return NDBUF_OK;
}

/* -- parts -- */

int64_t ndbuf_cpu__parts(int64_t count, int64_t nbytes, int64_t least_nbytes, int64_t share_nbytes)
{
    int64_t nthreads = nbytes >= least_nbytes ? ndbuf_cpu_threads_get() : 1;
    int64_t nparts = nthreads > 1 ? nthreads * PARTS_PER_THREAD : 1;
    nparts = nbytes / share_nbytes < nparts ? nbytes / share_nbytes : nparts;
    nparts = count < nparts ? count : nparts;
    return nparts > 1 ? nparts : 1;
}

void ndbuf_cpu__part_range(int64_t count, int64_t nparts, int64_t part, int64_t *out_first, int64_t *out_last)
{
    int64_t each = count / nparts;
    int64_t more = count % nparts; /* the first parts take one task more */
    *out_first = part * each + (part < more ? part : more);
    *out_last = *out_first + each + (part < more ? 1 : 0);
}

/* A part that nobody has taken; -1: there is none. */
static int64_t job_claim(pool_job *job, bool from_back)
{
    const uint64_t one = from_back ? (uint64_t)1 << 32 : 1;
    uint64_t taken = atomic_load_explicit(&job->taken, memory_order_relaxed);
    for (;;) {
        int64_t front = (int64_t)(taken & UINT32_MAX);
        int64_t back = (int64_t)(taken >> 32);
        if (front + back >= job->nparts) {
            return -1;
        }
        if (atomic_compare_exchange_weak_explicit(&job->taken, &taken, taken + one, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return from_back ? job->nparts - 1 - back : front;
        }
    }
}

static void job_take_parts(pool_job *job, bool from_back)
{
    for (int64_t part; (part = job_claim(job, from_back)) >= 0;) {
        job->fn(job->context, part);
    }
}

/* What an executor calls. */
static void job_run_part(void *work)
{
    pool_job *job = work;
    int64_t part = job_claim(job, false);
    if (part >= 0) {
        job->fn(job->context, part);
    }
}

/* -- the threads -- */

/* Waits for another job than the last one without sleeping, for a while. */
static void wait_awake(uint64_t last_number)
{
    for (int i = 0; i < IDLE_SPINS; i++) {
        if (atomic_load_explicit(&pool.number, memory_order_relaxed) != last_number) {
            return;
        }
        spin_pause();
    }
}

static NDBUF__THREAD_RESULT thread_main(void *context)
{
    (void)context;
    uint64_t last_number = 0;
    ndbuf__mutex_lock(&pool.mutex);
    while (!pool.ending) {
        uint64_t number = atomic_load_explicit(&pool.number, memory_order_relaxed);
        pool_job *job = pool.job;
        if (job == NULL || number == last_number || pool.nhelpers == 0) {
            ndbuf__cond_wait(&pool.changed, &pool.mutex);
            continue;
        }
        last_number = number;
        pool.nhelpers--;
        atomic_fetch_add_explicit(&pool.nworking, 1, memory_order_relaxed);
        ndbuf__mutex_unlock(&pool.mutex);
        job_take_parts(job, true);
        ndbuf__mutex_lock(&pool.mutex);
        if (atomic_fetch_sub_explicit(&pool.nworking, 1, memory_order_release) == 1) {
            ndbuf__cond_broadcast(&pool.changed);
        }
        ndbuf__mutex_unlock(&pool.mutex);
        wait_awake(last_number);
        ndbuf__mutex_lock(&pool.mutex);
    }
    ndbuf__mutex_unlock(&pool.mutex);
    NDBUF__THREAD_RETURN;
}

/* Makes threads until there are `nthreads`, or no more can be had. The program's signals are not theirs. */
static void add_threads(int32_t nthreads)
{
    sigset_t all;
    sigset_t before;
    if (pool.nthreads >= nthreads) {
        return;
    }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool.nthreads < nthreads && ndbuf__thread_start(&pool.threads[pool.nthreads], thread_main, NULL)) {
        pool.nthreads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* A library that is unloaded takes the code with it that the threads run. */
__attribute__((destructor)) static void end_threads(void)
{
    ndbuf__mutex_lock(&pool.mutex);
    int32_t nthreads = pool.nthreads;
    pool.nthreads = 0;
    pool.ending = true;
    atomic_fetch_add_explicit(&pool.number, 1, memory_order_relaxed);
    ndbuf__cond_broadcast(&pool.changed);
    ndbuf__mutex_unlock(&pool.mutex);
    for (int32_t i = 0; i < nthreads; i++) {
        ndbuf__thread_join(pool.threads[i]);
    }
}

void ndbuf_cpu__pool_run(cpu_pool_fn fn, void *context, int64_t nparts)
{
    pool_job job = {.fn = fn, .context = context, .nparts = nparts};
    int32_t nhelpers = ndbuf_cpu_threads_get() - 1;
    ndbuf_cpu_executor executor = {0};
    bool shared = false;
    if (nhelpers > 0 && nparts > 1) {
        pool_lock();
        executor = pool.executor;
        if (executor.run == NULL && !pool.busy && !pool.ending) {
            add_threads(nhelpers);
            if (pool.nthreads > 0) {
                shared = true;
                pool.busy = true;
                pool.job = &job;
                pool.nhelpers = nhelpers < nparts - 1 ? nhelpers : (int32_t)(nparts - 1);
                atomic_fetch_add_explicit(&pool.number, 1, memory_order_relaxed);
                ndbuf__cond_broadcast(&pool.changed);
            }
        }
        ndbuf__mutex_unlock(&pool.mutex);
    }
    if (executor.run != NULL) {
        executor.run(executor.context, job_run_part, &job, nparts);
    }
    job_take_parts(&job, false);
    if (!shared) {
        return;
    }
    for (int i = 0; i < IDLE_SPINS && atomic_load_explicit(&pool.nworking, memory_order_relaxed) > 0; i++) {
        spin_pause();
    }
    ndbuf__mutex_lock(&pool.mutex);
    pool.job = NULL; /* who has not begun by now need not */
    while (atomic_load_explicit(&pool.nworking, memory_order_acquire) > 0) {
        ndbuf__cond_wait(&pool.changed, &pool.mutex);
    }
    pool.busy = false;
    ndbuf__mutex_unlock(&pool.mutex);
}
