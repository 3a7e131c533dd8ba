/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_WORKER_H
#define NDBUF_CORE_HOST_WORKER_H

/* A host thread that runs jobs one after the other: the CPU backend's queues, and the host steps of backends whose API
 * has no host functions. The thread starts with the first job. Thread-safe. */

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

/* For events: the first failure among the jobs after number `after`, up to number `job`. It stays, but only the latest
 * one is kept that was the first since a take. */
ndbuf_status ndbuf__host_worker_failure(ndbuf__host_worker *worker, uint64_t after, uint64_t job, ndbuf_error *err);

/* How many jobs were done when an error was last taken: the failures of those have been told. */
uint64_t ndbuf__host_worker_told(ndbuf__host_worker *worker);

#endif
