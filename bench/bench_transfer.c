/* SPDX-License-Identifier: Apache-2.0 */
/* What strided transfers cost: every layout between the host, pinned or not, and a device, in all directions. Each case
 * is verified, measured in interleaved rounds and held against the plain contiguous copy of the same bytes and, on
 * CUDA, against what one would write by hand: one cudaMemcpy2DAsync, one cudaMemcpyAsync for each run, and packing
 * followed by a copy. One JSON line each; of a simulated device no times, only what was verified. */
#include "bench/bench_transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_support.h"
#include "bench/bench_transfer_rows.h"

#define EXIT_UNAVAILABLE 77
#define MAX_ROUNDS 99
#define MAX_SIZES 8
#define LEAST_ROUNDS 3

static const char usage[] =
    "usage: bench_transfer [--device NAME] [--size BYTES]... [--rounds N] [--quick] [--alone] [--budget SECONDS]\n"
    "                      [--rows]\n"
    "\n"
    "  --device NAME      cuda:0 if not given, else opencl:0, else cpu: the first that is there\n"
    "  --size BYTES       about how many to copy, with K, M, G for powers of 1024; 64K, 1M, 16M and 256M if not given\n"
    "  --rounds N         1 to 99; 21 if not given\n"
    "  --quick            16M and 64K, 7 rounds, fewer layouts as destinations\n"
    "  --alone            without the peers: what ndbuf does, and the contiguous copy\n"
    "  --rows             rows of 4 bytes to 64 KiB to the device and back by each way there is, instead of layouts;\n"
    "                     64M and 7 rounds if not given\n"
    "  --budget SECONDS   cases that would begin later are left out, and counted on stderr; 100 with --quick\n"
    "\n"
    "Exit status: 0 all verified; 1 a copy failed; 77 no such device.\n";

typedef struct bench_options {
    const char *device_name; /* NULL: the first that is there */
    int64_t sizes[MAX_SIZES];
    size_t nsizes;
    int rounds;
    bool is_quick;
    bool is_alone;
    bool is_rows;
    double budget_s; /* 0: none */
} bench_options;

typedef struct bench_state {
    bench_options options;
    ndbuf_device *device;
    ndbuf_device *pinned; /* NULL: the device has none */
    ndbuf_queue *queue;
    bench_cuda *cuda;
    ndbuf_device_info info;
    bool is_simulated;
    double limit_ns; /* for the rounds of one contestant */
    int64_t max_runs;
    double start_ns;
    int ndone;
    int nleft_out;
    int nfailed;
} bench_state;

typedef struct bench_times {
    double ns[MAX_ROUNDS];
    double wall_ns[MAX_ROUNDS];
    size_t count;
    double spent_ns;
} bench_times;

static void check(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        fprintf(stderr, "bench_transfer: %s\n", err->message);
        exit(status == NDBUF_ERR_UNAVAILABLE ? EXIT_UNAVAILABLE : EXIT_FAILURE);
    }
}

/* For driver texts in JSON. */
static void put_text(const char *key, const char *text)
{
    printf("\"%s\": \"", key);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    printf("\", ");
}

static double put_times(const char *name, bench_times *times)
{
    double median = bench_median(times->ns, times->count); /* sorts */
    printf(", \"%s\": {\"ns\": %.0f, \"q1_ns\": %.0f, \"q3_ns\": %.0f, \"wall_ns\": %.0f, \"samples\": %zu}", name,
           median, times->ns[(times->count - 1) / 4], times->ns[times->count - 1 - (times->count - 1) / 4],
           bench_median(times->wall_ns, times->count), times->count);
    return median;
}

static void put_case(const bench_state *state, const bench_transfer *transfer, const char *from, const char *to,
                     bench_times *times)
{
    const bench_layout *layout = transfer->is_dst_strided ? &transfer->dst_layout : &transfer->src_layout;
    printf("{\"bench\": \"transfer\", ");
    put_text("device", state->info.name);
    put_text("description", state->info.description);
    put_text("driver", state->info.driver);
    put_text("from", from);
    put_text("to", to);
    put_text("layout", layout->name);
    put_text("layout_of", transfer->is_dst_strided ? "destination" : "source");
    put_text("route", ndbuf_route_name((ndbuf_route)transfer->plan.route));
    printf("\"nbytes\": %lld, \"run_nbytes\": %lld, \"nruns\": %lld, \"calls\": %lld, \"staging_nbytes\": %lld, "
           "\"verified\": true, \"simulated\": %s",
           (long long)layout->nbytes, (long long)transfer->runs.run_nbytes, (long long)transfer->runs.nruns,
           (long long)transfer->plan.ncalls, (long long)transfer->plan.staging_nbytes,
           state->is_simulated ? "true" : "false");
    if (!state->is_simulated) {
        double medians[BENCH_NCONTESTANTS] = {0};
        double best_peer = 0;
        printf(", \"timer\": \"%s\"", state->cuda != NULL ? "CUDA events" : "wall clock around copy and wait");
        for (int who = 0; who < BENCH_NCONTESTANTS; who++) {
            if (times[who].count > 0) {
                medians[who] = put_times(bench_contestant_names[who], &times[who]);
            }
            if (who > BENCH_CONTIGUOUS && medians[who] > 0 && (best_peer <= 0 || medians[who] < best_peer)) {
                best_peer = medians[who];
            }
        }
        if (medians[BENCH_CONTIGUOUS] > 0) {
            printf(", \"ratio_to_contiguous\": %.3f", medians[BENCH_NDBUF] / medians[BENCH_CONTIGUOUS]);
        }
        if (best_peer > 0) {
            printf(", \"ratio_to_best_peer\": %.3f", medians[BENCH_NDBUF] / best_peer);
        }
    }
    printf("}\n");
    fflush(stdout);
}

static bool takes_part(const bench_state *state, const bench_transfer *transfer, int who)
{
    return (who <= BENCH_CONTIGUOUS || !state->options.is_alone) && bench_takes_part(transfer, who, state->max_runs);
}

static ndbuf_status measure(const bench_state *state, const bench_transfer *transfer, bench_times *times,
                            ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    for (int who = 0; who < BENCH_NCONTESTANTS && status == NDBUF_OK; who++) {
        if (takes_part(state, transfer, who)) {
            status = bench_transfer_verify(transfer, who, err); /* and warms up */
        }
    }
    for (int round = 0; !state->is_simulated && round < state->options.rounds && status == NDBUF_OK; round++) {
        for (int k = 0; k < BENCH_NCONTESTANTS && status == NDBUF_OK; k++) {
            int who = (round + k) % BENCH_NCONTESTANTS;
            bench_times *own = &times[who];
            if (!takes_part(state, transfer, who) || (own->count >= LEAST_ROUNDS && own->spent_ns > state->limit_ns)) {
                continue;
            }
            status = bench_transfer_run(transfer, who, &own->ns[own->count], &own->wall_ns[own->count], err);
            own->spent_ns += own->wall_ns[own->count];
            own->count++;
        }
    }
    return status;
}

static void run_case(bench_state *state, const bench_layout *layout, bool is_dst_strided, ndbuf_device *from,
                     ndbuf_device *to)
{
    ndbuf_error err = {0};
    ndbuf_device_info from_info;
    ndbuf_device_info to_info;
    bench_transfer transfer;
    bench_times times[BENCH_NCONTESTANTS];
    if (state->options.budget_s > 0 && bench_now_ns() - state->start_ns > state->options.budget_s * 1e9) {
        state->nleft_out++;
        return;
    }
    memset(&transfer, 0, sizeof(transfer));
    memset(times, 0, sizeof(times));
    ndbuf_device_info_get(from, &from_info);
    ndbuf_device_info_get(to, &to_info);
    ndbuf_status status =
        bench_transfer_init(&transfer, layout, is_dst_strided, from, to, state->queue, state->cuda, &err);
    if (status == NDBUF_OK) {
        status = measure(state, &transfer, times, &err);
    }
    if (status == NDBUF_OK) {
        put_case(state, &transfer, from_info.name, to_info.name, times);
        state->ndone++;
    } else {
        fprintf(stderr, "bench_transfer: %s of the %s, %lld bytes, %s to %s: %s\n", layout->name,
                is_dst_strided ? "destination" : "source", (long long)layout->nbytes, from_info.name, to_info.name,
                err.message);
        state->nfailed++;
    }
    bench_transfer_clear(&transfer);
}

static bool is_quick_destination(const char *layout)
{
    return strcmp(layout, "rows_64") == 0 || strcmp(layout, "every_second_4") == 0 ||
           strcmp(layout, "transpose_2d_4") == 0 || strcmp(layout, "nchw_to_nhwc_64_4") == 0;
}

static void run_direction(bench_state *state, int64_t nbytes, ndbuf_device *from, ndbuf_device *to)
{
    for (size_t i = 0; i < bench_nlayouts; i++) {
        bench_layout layout = bench_layout_make(i, nbytes);
        run_case(state, &layout, false, from, to);
        if (strcmp(layout.name, "contiguous") != 0 && (!state->options.is_quick || is_quick_destination(layout.name))) {
            run_case(state, &layout, true, from, to);
        }
    }
    fprintf(stderr, "bench_transfer: %d cases, %.0f s\n", state->ndone, (bench_now_ns() - state->start_ns) / 1e9);
}

static void open_device(bench_state *state)
{
    static const char *const names[] = {"cuda:0", "opencl:0", "cpu"};
    ndbuf_error err = {0};
    if (state->options.device_name != NULL) {
        check(ndbuf_device_open(state->options.device_name, &state->device, &err), &err);
    }
    for (size_t i = 0; state->device == NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (ndbuf_device_open(names[i], &state->device, &err) != NDBUF_OK) {
            fprintf(stderr, "bench_transfer: not on %s: %s\n", names[i], err.message);
        }
    }
    check(state->device != NULL ? NDBUF_OK : NDBUF_ERR_UNAVAILABLE, &err);
    ndbuf_device_info_get(state->device, &state->info);
    state->is_simulated = (state->info.flags & NDBUF_DEVICE_SIMULATED) != 0;
    if (state->info.tag.type != NDBUF_DEVICE_CUDA) {
        check(ndbuf_queue_create(state->device, &state->queue, &err), &err);
        return;
    }
    if (ndbuf_device_open("cuda_host:0", &state->pinned, &err) != NDBUF_OK) {
        fprintf(stderr, "bench_transfer: no pinned memory: %s\n", err.message);
    }
    if (bench_cuda_open(state->info.tag.id, &state->cuda, &err) == NDBUF_OK) {
        check(ndbuf_queue_import(state->device, bench_cuda_stream(state->cuda), &state->queue, &err), &err);
    } else {
        fprintf(stderr, "bench_transfer: without CUDA's own calls and clock: %s\n", err.message);
        check(ndbuf_queue_create(state->device, &state->queue, &err), &err);
    }
}

static void run_all(bench_state *state)
{
    ndbuf_device *cpu = ndbuf_device_cpu();
    if (state->options.is_rows && state->device == cpu) {
        fprintf(stderr, "bench_transfer: --rows is for a device other than the host\n");
        return;
    }
    for (size_t i = 0; i < state->options.nsizes; i++) {
        int64_t nbytes = state->options.sizes[i];
        if (state->options.is_rows) {
            bench_transfer_rows(state->device, nbytes, state->options.rounds, &state->ndone, &state->nfailed);
            continue;
        }
        if (state->device == cpu) {
            run_direction(state, nbytes, cpu, cpu);
            continue;
        }
        if (state->pinned != NULL) {
            run_direction(state, nbytes, state->pinned, state->device);
            run_direction(state, nbytes, state->device, state->pinned);
        }
        run_direction(state, nbytes, state->device, state->device);
        run_direction(state, nbytes, cpu, state->device);
        run_direction(state, nbytes, state->device, cpu);
    }
}

/* A number with K, M or G; 0: it is none. */
static int64_t read_size(const char *text)
{
    char *end = NULL;
    long long value = strtoll(text, &end, 10);
    const char *unit = *end != '\0' ? strchr("KMG", *end) : NULL;
    if (unit != NULL) {
        value = value > 0 && value < 1 << 20 ? value << (10 * (*unit == 'K' ? 1 : *unit == 'M' ? 2 : 3)) : 0;
        end++;
    }
    return *end == '\0' && value > 0 && value <= 1LL << 40 ? (int64_t)value : 0;
}

static bool read_options(int argc, char **argv, bench_options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--quick") == 0) {
            options->is_quick = true;
            continue;
        }
        if (strcmp(argv[i], "--alone") == 0) {
            options->is_alone = true;
            continue;
        }
        if (strcmp(argv[i], "--rows") == 0) {
            options->is_rows = true;
            continue;
        }
        if (value == NULL) {
            return false;
        }
        i++;
        if (strcmp(argv[i - 1], "--device") == 0) {
            options->device_name = value;
        } else if (strcmp(argv[i - 1], "--size") == 0 && options->nsizes < MAX_SIZES && read_size(value) > 0) {
            options->sizes[options->nsizes++] = read_size(value);
        } else if (strcmp(argv[i - 1], "--rounds") == 0 && read_size(value) > 0 && read_size(value) <= MAX_ROUNDS) {
            options->rounds = (int)read_size(value);
        } else if (strcmp(argv[i - 1], "--budget") == 0 && read_size(value) > 0) {
            options->budget_s = (double)read_size(value);
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    bench_state state;
    memset(&state, 0, sizeof(state));
    bench_options *options = &state.options;
    if (!read_options(argc, argv, options)) {
        fputs(usage, stderr);
        return 2;
    }
    if (options->nsizes == 0 && options->is_rows) {
        options->sizes[options->nsizes++] = 64 << 20;
    }
    if (options->nsizes == 0) {
        static const int64_t quick[] = {16 << 20, 64 << 10};
        static const int64_t all[] = {64 << 10, 1 << 20, 16 << 20, 256 << 20};
        const int64_t *sizes = options->is_quick ? quick : all;
        options->nsizes = options->is_quick ? 2 : 4;
        memcpy(options->sizes, sizes, options->nsizes * sizeof(sizes[0]));
    }
    if (options->rounds == 0) {
        options->rounds = options->is_quick || options->is_rows ? 7 : 21;
    }
    if (options->is_quick && options->budget_s <= 0) {
        options->budget_s = 100;
    }
    state.limit_ns = options->is_quick ? 3e7 : 1e9;
    state.max_runs = options->is_quick ? 8192 : 65536;
    state.start_ns = bench_now_ns();
    open_device(&state);
    if (state.is_simulated) {
        state.max_runs = 1024; /* it looks at each pair of calls */
    }
    run_all(&state);
    fprintf(stderr, "bench_transfer: %d cases on %s%s, %d left out for want of time, %d failed\n", state.ndone,
            state.info.name, state.is_simulated ? " (simulated)" : "", state.nleft_out, state.nfailed);
    ndbuf_queue_release(state.queue);
    bench_cuda_close(state.cuda);
    ndbuf_device_close(state.pinned);
    ndbuf_device_close(state.device);
    return state.nfailed > 0 || state.ndone == 0;
}
