/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_BENCH_SUPPORT_H
#define NDBUF_BENCH_BENCH_SUPPORT_H

/* What the benchmarks share: a clock, medians, and results as one JSON line each. */

#include <stddef.h>

#define BENCH_ROUNDS 31

double bench_now_ns(void);

/* The median; sorts the values. */
double bench_median(double *values, size_t count);

/* A piece of work that is repeated `count` times. */
typedef void (*bench_fn)(void *context, long count);

/* Measures works side by side: in each round each of them once, in turn. Writes the median nanoseconds per repetition.
 */
void bench_interleaved(const bench_fn *works, void *const *contexts, size_t nworks, long count, double *out_ns);

/* Prints {"bench": ..., "case": ..., "ns": ..., "peer": ..., "peer_ns": ..., "ratio": ns / peer_ns}; peer NULL: none.
 */
void bench_report(const char *bench, const char *name, double ns, const char *peer, double peer_ns);

#endif
