/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_WORKS 8

double bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
    qsort(values, count, sizeof(values[0]), compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

void bench_interleaved(const bench_fn *works, void *const *contexts, size_t nworks, long count, double *out_ns)
{
    double times[MAX_WORKS][BENCH_ROUNDS];
    for (size_t i = 0; i < nworks; i++) {
        works[i](contexts[i], count); /* warm up */
    }
    for (size_t round = 0; round < BENCH_ROUNDS; round++) {
        for (size_t i = 0; i < nworks; i++) {
            double start = bench_now_ns();
            works[i](contexts[i], count);
            times[i][round] = (bench_now_ns() - start) / (double)count;
        }
    }
    for (size_t i = 0; i < nworks; i++) {
        out_ns[i] = bench_median(times[i], BENCH_ROUNDS);
    }
}

void bench_report(const char *bench, const char *name, double ns, const char *peer, double peer_ns)
{
    printf("{\"bench\": \"%s\", \"case\": \"%s\", \"ns\": %.1f", bench, name, ns);
    if (peer != NULL) {
        printf(", \"peer\": \"%s\", \"peer_ns\": %.1f, \"ratio\": %.3f", peer, peer_ns, ns / peer_ns);
    }
    printf("}\n");
}
