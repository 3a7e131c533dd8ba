/* SPDX-License-Identifier: Apache-2.0 */

/* Strided copies on the host against memcpy of the same bytes, and against memcpy past the caches: every round runs
 * each of them once, in random order, and ratios are made within a round. One JSON line per case, and one at the end
 * with the geometric means. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_support.h"
#include "bench/host_copy_case.h"
#include "ndbuf/ndbuf.h"

#define MAX_ROUNDS 1001
#define ROUND_NS 200000.0 /* small copies are repeated so long in a round */

enum { MEMCPY, STREAM, COPY, KEPT, NWAYS };

static const char *const way_names[NWAYS] = {"memcpy", "stream", "copy", "plan"};

typedef struct bench_options {
    const char *only;  /* part of a name; NULL: all cases */
    const char *suite; /* NULL: all */
    int rounds;
    int threads;
} bench_options;

/* A case, ready to be run. */
typedef struct bench_setup {
    const host_copy_case *one;
    ndbuf_storage *dst_storage;
    ndbuf_storage *src_storage;
    ndbuf_view dst;
    ndbuf_view src;
    ndbuf_copy_plan *plan;
    char *dst_bytes;
    char *src_bytes;
} bench_setup;

static void check(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        fprintf(stderr, "bench_host_copy: %s: %s\n", ndbuf_status_name(status), err->message);
        exit(1);
    }
}

static void make_view(ndbuf_view *view, ndbuf_storage **storage, const host_copy_case *one, const int64_t *strides,
                      int64_t offset)
{
    ndbuf_error err = {0};
    ndbuf_format *format = NULL;
    char text[32];
    int64_t bytes[HOST_COPY_MAX_NDIM];
    int64_t span = host_copy_span(one, strides, offset);
    for (int32_t k = 0; k < one->ndim; k++) {
        bytes[k] = strides[k] * one->itemsize;
    }
    snprintf(text, sizeof(text), "%llds", (long long)one->itemsize);
    check(ndbuf_format_parse(text, 0, &format, &err), &err);
    size_t nbytes = (size_t)(span > one->nbytes ? span : one->nbytes); /* memcpy of all bytes fits */
    check(ndbuf_storage_create(ndbuf_device_cpu(), nbytes, storage, &err), &err);
    ndbuf_view_spec spec = {.format = format,
                            .byte_offset = offset * one->itemsize,
                            .ndim = one->ndim,
                            .shape = one->shape,
                            .strides = bytes};
    check(ndbuf_view_init(view, *storage, &spec, &err), &err);
    ndbuf_format_release(format);
}

static void setup_make(bench_setup *out_setup, const host_copy_case *one)
{
    ndbuf_error err = {0};
    bench_setup *s = out_setup;
    memset(s, 0, sizeof(*s));
    s->one = one;
    make_view(&s->dst, &s->dst_storage, one, one->dst_strides, one->dst_offset);
    make_view(&s->src, &s->src_storage, one, one->src_strides, one->src_offset);
    check(ndbuf_copy_plan_create(&s->dst, &s->src, &s->plan, &err), &err);
    s->dst_bytes = ndbuf_storage_host_address(s->dst_storage);
    s->src_bytes = ndbuf_storage_host_address(s->src_storage);
    uint64_t state = 88172645463325252U;
    for (size_t i = 0; i < ndbuf_storage_nbytes(s->src_storage); i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        s->src_bytes[i] = (char)state;
    }
    memset(s->dst_bytes, 0, ndbuf_storage_nbytes(s->dst_storage));
}

static void setup_clear(bench_setup *s)
{
    ndbuf_copy_plan_destroy(s->plan);
    ndbuf_view_release(&s->dst);
    ndbuf_view_release(&s->src);
    ndbuf_storage_release(s->dst_storage);
    ndbuf_storage_release(s->src_storage);
}

static void copy_plain(char *dst, const char *src, size_t nbytes)
{
    memcpy(dst, src, nbytes);
}

static void run_way(const bench_setup *s, int way, long count)
{
    ndbuf_error err;
    size_t nbytes = (size_t)s->one->nbytes;
    for (long i = 0; i < count; i++) {
        switch (way) {
        case MEMCPY:
            host_copy_threads_run(copy_plain, s->dst_bytes, s->src_bytes, nbytes);
            break;
        case STREAM:
            host_copy_threads_run(host_copy_stream, s->dst_bytes, s->src_bytes, nbytes);
            break;
        case COPY:
            check(ndbuf_copy(&s->dst, &s->src, NULL, &err), &err);
            break;
        default:
            check(ndbuf_copy_plan_run(s->plan, &s->dst, &s->src, NULL, &err), &err);
            break;
        }
#if defined(__GNUC__)
        __asm__ volatile("" : : : "memory"); /* each copy is really made */
#endif
    }
}

static void verify(const bench_setup *s, int way)
{
    memset(s->dst_bytes, 0x5a, ndbuf_storage_nbytes(s->dst_storage));
    run_way(s, way, 1);
    if (!host_copy_is_right(s->one, s->dst_bytes, s->src_bytes)) {
        fprintf(stderr, "bench_host_copy: %s: %s copied wrongly\n", s->one->name, way_names[way]);
        exit(1);
    }
}

static double time_way(const bench_setup *s, int way, long count)
{
    bool by_memcpy = way == MEMCPY || way == STREAM;
    if (by_memcpy) {
        host_copy_threads_wake(true);
    }
    double start = bench_now_ns();
    run_way(s, way, count);
    double took = bench_now_ns() - start;
    if (by_memcpy) {
        host_copy_threads_wake(false);
    }
    return took / (double)count;
}

static void shuffle_ways(int *ways, uint64_t *state)
{
    for (int i = NWAYS - 1; i > 0; i--) {
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

/* Returns the median ratios of ndbuf_copy, of the kept plan, and of memcpy past the caches. */
static void measure(const host_copy_case *one, const bench_options *options, double out_ratios[NWAYS])
{
    static double times[NWAYS][MAX_ROUNDS];
    static double ratios[NWAYS][MAX_ROUNDS];
    static uint64_t state = 1;
    int ways[NWAYS] = {MEMCPY, STREAM, COPY, KEPT};
    long counts[NWAYS];
    bench_setup s;
    setup_make(&s, one);
    verify(&s, COPY);
    verify(&s, KEPT);
    for (int way = 0; way < NWAYS; way++) {
        time_way(&s, way, 1);
        double once = time_way(&s, way, one->nbytes < 65536 ? 100 : 1);
        counts[way] = once < ROUND_NS ? (long)(ROUND_NS / once) + 1 : 1;
    }
    for (int round = 0; round < options->rounds; round++) {
        shuffle_ways(ways, &state);
        for (int i = 0; i < NWAYS; i++) {
            times[ways[i]][round] = time_way(&s, ways[i], counts[ways[i]]);
        }
        for (int way = 0; way < NWAYS; way++) {
            ratios[way][round] = times[MEMCPY][round] / times[way][round];
        }
    }
    printf("{\"bench\": \"host_copy\", \"suite\": \"%s\", \"case\": \"%s\", \"bytes\": %lld, \"threads\": %d",
           one->suite, one->name, (long long)one->nbytes, options->threads);
    for (int way = 0; way < NWAYS; way++) {
        char name[32];
        snprintf(name, sizeof(name), "%s_ns", way_names[way]);
        print_quartiles(name, times[way], options->rounds, "%.1f");
    }
    for (int way = STREAM; way < NWAYS; way++) {
        char name[32];
        snprintf(name, sizeof(name), "%s_ratio", way_names[way]);
        out_ratios[way] = print_quartiles(name, ratios[way], options->rounds, "%.3f");
    }
    printf("}\n");
    fflush(stdout);
    setup_clear(&s);
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
    double logs[NWAYS] = {0};
    int ndone = 0;
    for (size_t i = 0; i < host_copy_ncases; i++) {
        const host_copy_case *one = &host_copy_cases[i];
        double ratios[NWAYS];
        if (strcmp(one->suite, suite) != 0 || (options->only != NULL && strstr(one->name, options->only) == NULL)) {
            continue;
        }
        fprintf(stderr, "[%zu/%zu] %-20s", i + 1, host_copy_ncases, one->name);
        measure(one, options, ratios);
        fprintf(stderr, " copy %.2f  plan %.2f  stream %.2f\n", ratios[COPY], ratios[KEPT], ratios[STREAM]);
        for (int way = STREAM; way < NWAYS; way++) {
            logs[way] += log(ratios[way]);
        }
        ndone++;
    }
    if (ndone == 0) {
        return false;
    }
    printf("{\"bench\": \"host_copy\", \"suite\": \"%s\", \"geomean\": {\"cases\": %d, \"threads\": %d", suite, ndone,
           options->threads);
    for (int way = STREAM; way < NWAYS; way++) {
        printf(", \"%s\": %.3f", way_names[way], exp(logs[way] / ndone));
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
