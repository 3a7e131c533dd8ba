/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_WORKER_H
#define NDBUF_CORE_HOST_WORKER_H

/* A host thread that runs jobs one after the other: the CPU backend's queues, and the host steps of backends whose API
 * has no host functions. The thread starts with the first job. Thread-safe. In the child of a fork a worker begins
 * anew: jobs that were not done by then count as done there, and the first of them as failed. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/backend.h"

typedef struct ndbuf__host_worker ndbuf__host_worker;

/* Statuses: NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__host_worker_create(ndbuf__host_worker **out_worker, ndbuf_error *err);

/* Runs all jobs, then ends the thread. Not from a job. NULL is accepted. */
void ndbuf__host_worker_destroy(ndbuf__host_worker *worker);

/* Appends a job, which runs exactly once. Statuses: NDBUF_ERR_NOMEM (no memory, or no thread). */
ndbuf_status ndbuf__host_worker_submit(ndbuf__host_worker *worker, ndbuf_host_fn fn, void *context, ndbuf_error *err);

/* How many jobs have been submitted so far; job n (from 1) is done when ndbuf__host_worker_done reaches n. */
uint64_t ndbuf__host_worker_submitted(ndbuf__host_worker *worker);
bool ndbuf__host_worker_is_done(ndbuf__host_worker *worker, uint64_t job);

/* Waits for job number `job` and all before it. Returns at once in the worker's own thread. */
void ndbuf__host_worker_wait(ndbuf__host_worker *worker, uint64_t job);

/* The first failure of a job since the last call; NDBUF_OK: none. */
ndbuf_status ndbuf__host_worker_take_error(ndbuf__host_worker *worker, ndbuf_error *err);

/* For events: a place behind the jobs submitted so far. It must not outlive the worker; zeroed, it holds nothing. */
typedef struct ndbuf__host_mark {
    uint64_t job;                        /* the last one before it */
    struct ndbuf__host_failure *failure; /* of the jobs since an error was last taken; retained */
} ndbuf__host_mark;

/* Statuses: NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__host_worker_mark(ndbuf__host_worker *worker, ndbuf__host_mark *out_mark, ndbuf_error *err);
void ndbuf__host_mark_clear(ndbuf__host_mark *mark);

/* The first failure before the mark of those that had not been told when it was made. It stays. */
ndbuf_status ndbuf__host_mark_failure(ndbuf__host_worker *worker, const ndbuf__host_mark *mark, ndbuf_error *err);

#endif
