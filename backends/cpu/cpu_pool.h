/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_POOL_H
#define NDBUF_BACKENDS_CPU_CPU_POOL_H

/* The threads that large copies are divided between. They are made when first needed and shared by all copies: one at
 * a time has them, any other one meanwhile runs in its own thread, so that there are never more threads at work than
 * the pool has beside those of the program. After a fork the child makes new ones. How many there are, and whose, is
 * said by ndbuf/cpu.h. */

#include <stdint.h>

/* Runs part `part` of a piece of work. */
typedef void (*cpu_pool_fn)(void *context, int64_t part);

/* The number of parts to divide `count` tasks of `nbytes` bytes in all into, where threads pay from `least_nbytes` on
 * and get `share_nbytes` at least; 1: not to be divided. */
int64_t ndbuf_cpu__parts(int64_t count, int64_t nbytes, int64_t least_nbytes, int64_t share_nbytes);

/* The tasks of a part: *out_first .. *out_last - 1. */
void ndbuf_cpu__part_range(int64_t count, int64_t nparts, int64_t part, int64_t *out_first, int64_t *out_last);

/* Runs parts 0 .. nparts - 1, each once, in the calling thread and those of the pool or of the executor that was set;
 * returns when all are done. Where no thread can be had, the calling one runs them all. The calling thread takes parts
 * from the front and the pool from the back, so that what is copied again and again stays near the same processors. */
void ndbuf_cpu__pool_run(cpu_pool_fn fn, void *context, int64_t nparts);

#endif
