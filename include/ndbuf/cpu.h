/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CPU_H
#define NDBUF_CPU_H

#include <stdint.h>

#include "ndbuf/export.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The threads that copies and fills within the host's memory are divided between. The library makes a few of its own
 * when a large copy first needs them (from cpu.thread_nbytes bytes on, see ndbuf/tuning.h); they sleep when there is
 * nothing to do, and block all signals. One copy at a time has them: copies made meanwhile, also from within an
 * executor's parts, run in the thread that makes them. The child of a fork makes new ones. */

#define NDBUF_CPU_MAX_THREADS 64

/* How many threads work on one copy, the calling one included: as many as were set, else as the environment variable
 * NDBUF_CPU_THREADS says, else as the processors that the process may use, up to 16. With an executor, its number. */
NDBUF_API int32_t ndbuf_cpu_threads_get(void);

/* Sets it; 0: back to the default. Copies that run keep theirs. Thread-safe.
 *
 * NDBUF_ERR_INVALID  nthreads < 0 or > NDBUF_CPU_MAX_THREADS */
NDBUF_API ndbuf_status ndbuf_cpu_threads_set(int32_t nthreads, ndbuf_error *err);

/* Runs one of the parts that a copy was divided into, and cannot fail. Any thread may call it, several at once. */
typedef void (*ndbuf_cpu_part_fn)(void *work);

/* The caller's own threads in place of the library's: those of oneTBB, OpenMP, or a pool of its own. */
typedef struct ndbuf_cpu_executor {
    /* Calls part_fn(work) `nparts` times, on as many threads as it likes, and returns when all calls have returned.
     * What it leaves out, the calling thread does afterwards, so one that has no thread to spare may return at once. It
     * is called from the threads that make copies, also from several of them at the same time. */
    void (*run)(void *context, ndbuf_cpu_part_fn part_fn, void *work, int64_t nparts);
    void *context;
    int32_t nthreads; /* that it may be expected to use for one copy, the calling one included; 1 to
                       * NDBUF_CPU_MAX_THREADS */
} ndbuf_cpu_executor;

/* Hands copies to an executor from now on; NULL: back to the library's own threads. The struct is copied; what its
 * context points to must stay until copies that began before another call have returned. Thread-safe.
 *
 * NDBUF_ERR_INVALID  no function, or nthreads out of range */
NDBUF_API ndbuf_status ndbuf_cpu_executor_set(const ndbuf_cpu_executor *executor, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
