/* SPDX-License-Identifier: Apache-2.0 */

/* Strided copies on the host against memcpy of the same bytes, against memcpy past the caches, and, with one thread,
 * against reading and writing the same cache lines in the order in which they lie: every round runs
 * each of them once, in random order, and ratios are made within a round. One JSON line per case, and one at the end
 * with the geometric means. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_support.h"
#include "bench/host_copy_case.h"
#include "bench/host_copy_run.h"
#include "ndbuf/ndbuf.h"

#define MAX_ROUNDS 1001
#define ROUND_NS 200000.0 /* small copies are repeated so long in a round */

typedef struct bench_options {
    const char *only;  /* part of a name; NULL: all cases */
    const char *suite; /* NULL: all */
    int rounds;
    int threads;
} bench_options;

static void check(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        fprintf(stderr, "bench_host_copy: %s: %s\n", ndbuf_status_name(status), err->message);
        exit(1);
    }
}

static double time_way(const host_copy_run *run, int way, long count)
{
    ndbuf_error err = {0};
    double ns = 0;
    check(host_copy_run_time(run, (host_copy_way)way, count, &ns, &err), &err);
    return ns;
}

static void verify(const host_copy_case *one, host_copy_run *run, int way)
{
    host_copy_run_spoil(run);
    time_way(run, way, 1);
    if (!host_copy_run_is_right(run)) {
        fprintf(stderr, "bench_host_copy: %s: %s copied wrongly\n", one->name, host_copy_way_names[way]);
        exit(1);
    }
}

static void shuffle_ways(int *ways, int nways, uint64_t *state)
{
    for (int i = nways - 1; i > 0; i--) {
        *state = *state * 6364136223846793005U + 1442695040888963407U;
        int j = (int)((*state >> 33) % (uint64_t)(i + 1));
        int kept = ways[i];
        ways[i] = ways[j];
        ways[j] = kept;
    }
}

/* "name": [first quartile, median, third quartile]; sorts. Returns the median. */
static double print_quartiles(const char *name, double *values, int count, const char *form)
{
    double median = bench_median(values, (size_t)count);
    printf(", \"%s\": [", name);
    printf(form, values[count / 4]);
    printf(", ");
    printf(form, median);
    printf(", ");
    printf(form, values[3 * count / 4]);
    printf("]");
    return median;
}

/* Returns the median ratios of each way; 0: it could not be taken. */
static void measure(const host_copy_case *one, const bench_options *options, double out_ratios[HOST_COPY_NWAYS])
{
    static double times[HOST_COPY_NWAYS][MAX_ROUNDS];
    static double ratios[HOST_COPY_NWAYS][MAX_ROUNDS];
    static uint64_t state = 1;
    int ways[HOST_COPY_NWAYS];
    int nways = 0;
    long counts[HOST_COPY_NWAYS];
    ndbuf_error err = {0};
    host_copy_run *run = NULL;
    check(host_copy_run_create(one, &run, &err), &err);
    for (int way = HOST_COPY_COPY; way < HOST_COPY_NWAYS; way++) {
        if (host_copy_run_has(run, (host_copy_way)way)) {
            verify(one, run, way);
        }
    }
    for (int way = 0; way < HOST_COPY_NWAYS; way++) {
        out_ratios[way] = 0;
        if (!host_copy_run_has(run, (host_copy_way)way)) {
            continue;
        }
        ways[nways++] = way;
        time_way(run, way, 1);
        double once = time_way(run, way, one->nbytes < 65536 ? 100 : 1);
        counts[way] = once < ROUND_NS ? (long)(ROUND_NS / once) + 1 : 1;
    }
    for (int round = 0; round < options->rounds; round++) {
        shuffle_ways(ways, nways, &state);
        for (int i = 0; i < nways; i++) {
            times[ways[i]][round] = time_way(run, ways[i], counts[ways[i]]);
        }
        for (int i = 0; i < nways; i++) {
            ratios[ways[i]][round] = times[HOST_COPY_MEMCPY][round] / times[ways[i]][round];
        }
    }
    printf("{\"bench\": \"host_copy\", \"suite\": \"%s\", \"case\": \"%s\", \"bytes\": %lld, \"threads\": %d",
           one->suite, one->name, (long long)one->nbytes, options->threads);
    for (int way = 0; way < HOST_COPY_NWAYS; way++) {
        if (!host_copy_run_has(run, (host_copy_way)way)) {
            continue;
        }
        char name[32];
        snprintf(name, sizeof(name), "%s_ns", host_copy_way_names[way]);
        print_quartiles(name, times[way], options->rounds, "%.1f");
    }
    for (int way = HOST_COPY_STREAM; way < HOST_COPY_NWAYS; way++) {
        if (!host_copy_run_has(run, (host_copy_way)way)) {
            continue;
        }
        char name[32];
        snprintf(name, sizeof(name), "%s_ratio", host_copy_way_names[way]);
        out_ratios[way] = print_quartiles(name, ratios[way], options->rounds, "%.3f");
    }
    printf("}\n");
    fflush(stdout);
    host_copy_run_destroy(run);
}

static void usage(void)
{
    fprintf(stderr, "usage: bench_host_copy [--only PART_OF_NAME] [--suite public|more] [--rounds N] [--threads N] "
                    "[--quick]\n"
                    "  --quick: 5 rounds; else 21, or N\n");
    exit(2);
}

static bench_options parse_options(int argc, char **argv)
{
    bench_options options = {.rounds = 21, .threads = 1};
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--quick") == 0) {
            options.rounds = 5;
        } else if (strcmp(argv[i], "--only") == 0 && has_value) {
            options.only = argv[++i];
        } else if (strcmp(argv[i], "--suite") == 0 && has_value) {
            options.suite = argv[++i];
        } else if (strcmp(argv[i], "--rounds") == 0 && has_value) {
            options.rounds = (int)strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--threads") == 0 && has_value) {
            options.threads = (int)strtol(argv[++i], NULL, 10);
        } else {
            usage();
        }
    }
    if (options.rounds < 1 || options.rounds > MAX_ROUNDS || options.threads < 1) {
        usage();
    }
    return options;
}

/* Runs the cases of a suite that are asked for. False: there are none. */
static bool run_suite(const char *suite, const bench_options *options)
{
    double logs[HOST_COPY_NWAYS] = {0};
    int counts[HOST_COPY_NWAYS] = {0};
    int ndone = 0;
    for (size_t i = 0; i < host_copy_ncases; i++) {
        const host_copy_case *one = &host_copy_cases[i];
        double ratios[HOST_COPY_NWAYS];
        if (strcmp(one->suite, suite) != 0 || (options->only != NULL && strstr(one->name, options->only) == NULL)) {
            continue;
        }
        fprintf(stderr, "[%zu/%zu] %-20s", i + 1, host_copy_ncases, one->name);
        measure(one, options, ratios);
        fprintf(stderr, " copy %.2f  plan %.2f  stream %.2f  lines %.2f\n", ratios[HOST_COPY_COPY],
                ratios[HOST_COPY_PLAN], ratios[HOST_COPY_STREAM], ratios[HOST_COPY_LINES]);
        for (int way = HOST_COPY_STREAM; way < HOST_COPY_NWAYS; way++) {
            if (ratios[way] > 0) {
                logs[way] += log(ratios[way]);
                counts[way]++;
            }
        }
        ndone++;
    }
    if (ndone == 0) {
        return false;
    }
    printf("{\"bench\": \"host_copy\", \"suite\": \"%s\", \"geomean\": {\"cases\": %d, \"threads\": %d", suite, ndone,
           options->threads);
    for (int way = HOST_COPY_STREAM; way < HOST_COPY_NWAYS; way++) {
        if (counts[way] > 0) {
            printf(", \"%s\": %.3f", host_copy_way_names[way], exp(logs[way] / counts[way]));
        }
    }
    printf("}}\n");
    return true;
}

int main(int argc, char **argv)
{
    static const char *const suites[] = {"public", "more"};
    bench_options options = parse_options(argc, argv);
    char threads[16];
    bool any = false;
    snprintf(threads, sizeof(threads), "%d", options.threads);
    setenv("NDBUF_CPU_THREADS", threads, 1);
    if (!host_copy_threads_start(options.threads)) {
        fprintf(stderr, "bench_host_copy: no thread\n");
        return 1;
    }
    for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        if (options.suite == NULL || strcmp(options.suite, suites[i]) == 0) {
            any = run_suite(suites[i], &options) || any;
        }
    }
    host_copy_threads_end();
    if (!any) {
        fprintf(stderr, "bench_host_copy: no such case\n");
        return 2;
    }
    return 0;
}
