/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_POOL_H
#define NDBUF_BACKENDS_CPU_CPU_POOL_H

/* The threads that large copies are divided between. They are made when first needed and shared by all copies: one at
 * a time has them, any other one meanwhile runs in its own thread, so that there are never more threads at work than
 * the pool has beside those of the program. After a fork the child makes new ones. */

#include <stdint.h>

/* Runs part `part` of a piece of work. */
typedef void (*cpu_pool_fn)(void *context, int64_t part);

/* Threads at work on one copy, the calling one included: as many as was said last, else as the environment variable
 * NDBUF_CPU_THREADS says, else as there are processors that the process may use. */
int32_t ndbuf_cpu__threads(void);

/* Sets it; 0: as by default. Running copies keep theirs. */
void ndbuf_cpu__set_threads(int32_t nthreads);

/* Runs parts 0 .. nparts - 1, each once, in the calling thread and those of the pool; returns when all are done. Where
 * no thread can be had, the calling one runs them all. */
void ndbuf_cpu__pool_run(cpu_pool_fn fn, void *context, int64_t nparts);

#endif
