/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calibrate.h"
#include "json_writer.h"
#include "ndbuf/ndbuf.h"
#include "report.h"
#include "transfer_case.h"

static const char help[] =
    "usage: ndbuf bench [--json [FILE]] [--size BYTES] [--rounds N] [--quick] [--device DEVICE]\n"
    "       ndbuf bench --calibrate [FILE] [--quick]\n"
    "\n"
    "Copies a dozen layouts between the host and an OpenCL device, in all directions, each result verified. The\n"
    "medians of interleaved rounds are held against memcpy of the same number of bytes on the host, and, where one\n"
    "OpenCL call can do the same, against that call written by hand.\n"
    "\n"
    "  --json [FILE]     as JSON, on stdout or into the file\n"
    "  --size BYTES      bytes to copy, about; K, M, G for powers of 1024; 16M if not given\n"
    "  --rounds N        1 to 99; 7 if not given\n"
    "  --quick           a size of 1M and 3 rounds, where they are not given\n"
    "  --device DEVICE   the OpenCL device; opencl:0 if not given. Without one, only the host is measured\n"
    "  --calibrate [FILE]  measures the library's constants instead, and writes them to stdout or the file, which\n"
    "                    the library reads if the environment variable NDBUF_TUNING names it. With --quick they\n"
    "                    are of no use\n";

#define MAX_ROUNDS 99
enum { BY_NDBUF, BY_MEMCPY, BY_HAND, NCONTESTANTS };

typedef ndbuf_status (*contestant)(const transfer_case *transfer, ndbuf_error *err);
static const contestant contestants[NCONTESTANTS] = {transfer_by_ndbuf, transfer_by_memcpy, transfer_by_hand};

typedef struct bench_request {
    int is_json;
    int64_t nbytes;
    int rounds;
    const char *device_name;
    int calibrates;
    int is_quick;
    const char *operand; /* the file of --json or --calibrate; NULL: stdout */
} bench_request;

typedef struct bench_result {
    const transfer_layout *layout;
    const char *from;
    const char *to;
    int64_t nbytes;
    const char *route;
    const char *call;               /* by hand; NULL: none does it */
    double median_ns[NCONTESTANTS]; /* 0: did not take part */
} bench_result;

static int compare_i64(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median(int64_t *values, int count)
{
    int middle = count / 2;
    qsort(values, (size_t)count, sizeof(*values), compare_i64);
    if (count % 2 != 0) {
        return (double)values[middle];
    }
    return ((double)values[middle - 1] + (double)values[middle]) / 2.0;
}

/* Verifies and warms up all contestants, then runs them in turn, each round beginning with another one. */
static ndbuf_status measure(const transfer_case *transfer, int rounds, double *median_ns, ndbuf_error *err)
{
    int64_t ns[NCONTESTANTS][MAX_ROUNDS];
    int count = transfer->has_rect ? NCONTESTANTS : BY_HAND;
    ndbuf_status status = transfer_verify(transfer, transfer_by_ndbuf, err);
    if (status == NDBUF_OK && transfer->has_rect) {
        status = transfer_verify(transfer, transfer_by_hand, err);
    }
    for (int round = 0; round < rounds && status == NDBUF_OK; round++) {
        for (int k = 0; k < count && status == NDBUF_OK; k++) {
            int who = (round + k) % count;
            int64_t start_ns = report_clock_ns();
            status = contestants[who](transfer, err);
            ns[who][round] = report_clock_ns() - start_ns;
        }
    }
    for (int k = 0; k < NCONTESTANTS && status == NDBUF_OK; k++) {
        median_ns[k] = k < count ? median(ns[k], rounds) : 0.0;
    }
    return status;
}

/* Where the results go. */
typedef struct bench_output {
    json_writer *json; /* NULL: a table on stdout */
    report_progress progress;
    int ndone;
} bench_output;

static void put_line(const bench_result *result)
{
    char by_hand[24] = "-";
    double ns = result->median_ns[BY_NDBUF];
    if (result->call != NULL) {
        snprintf(by_hand, sizeof(by_hand), "%.2f", ns / result->median_ns[BY_HAND]);
    }
    printf("  %-24s %-12s %9.3f %8.2f %9.2f %8s\n", result->layout->name, result->route, ns / 1e6,
           (double)result->nbytes / ns, ns / result->median_ns[BY_MEMCPY], by_hand);
    fflush(stdout);
}

static void put_json(const bench_result *result, json_writer *json)
{
    double ns = result->median_ns[BY_NDBUF];
    json_open(json, NULL, '{');
    json_string(json, "layout", result->layout->name);
    json_string(json, "from", result->from);
    json_string(json, "to", result->to);
    json_integer(json, "nbytes", result->nbytes);
    json_string(json, "route", result->route);
    json_number(json, "ndbuf_ns", ns);
    json_number(json, "memcpy_ns", result->median_ns[BY_MEMCPY]);
    json_number(json, "ratio_to_memcpy", ns / result->median_ns[BY_MEMCPY]);
    if (result->call != NULL) {
        json_string(json, "call", result->call);
        json_number(json, "call_ns", result->median_ns[BY_HAND]);
        json_number(json, "ratio_to_call", ns / result->median_ns[BY_HAND]);
    } else {
        json_null(json, "call");
        json_null(json, "call_ns");
        json_null(json, "ratio_to_call");
    }
    json_bool(json, "verified", 1); /* nothing else gets this far */
    json_close(json, '}');
}

static ndbuf_status run_case(const bench_request *request, const transfer_layout *layout, ndbuf_device *const *ends,
                             const peer_opencl *peer, bench_output *output, ndbuf_error *err)
{
    ndbuf_device_info from;
    ndbuf_device_info to;
    ndbuf_device_info_get(ends[0], &from);
    ndbuf_device_info_get(ends[1], &to);
    ndbuf_error cause = {0};
    transfer_case transfer;
    bench_result result = {layout, from.name, to.name, 0, NULL, NULL, {0}};
    ndbuf_status status = transfer_case_init(&transfer, layout, request->nbytes, ends[0], ends[1], peer, &cause);
    if (status == NDBUF_OK) {
        status = measure(&transfer, request->rounds, result.median_ns, &cause);
        result.nbytes = transfer.src.nbytes;
        result.route = transfer.route;
        result.call = transfer.has_rect ? peer_opencl_call(&transfer.rect) : NULL;
    }
    if (status != NDBUF_OK) {
        status = ndbuf_fail_native(err, status, cause.native_code, "%s, %s to %s: %.150s", layout->name, from.name,
                                   to.name, cause.message);
    } else if (output->json != NULL) {
        put_json(&result, output->json);
    } else {
        put_line(&result);
    }
    transfer_case_clear(&transfer);
    return status;
}

static ndbuf_status run_direction(const bench_request *request, ndbuf_device *from, ndbuf_device *to,
                                  const peer_opencl *peer, bench_output *output, ndbuf_error *err)
{
    ndbuf_device *const ends[2] = {from, to};
    ndbuf_status status = NDBUF_OK;
    if (output->json == NULL) {
        ndbuf_device_info infos[2];
        ndbuf_device_info_get(from, &infos[0]);
        ndbuf_device_info_get(to, &infos[1]);
        printf("\n%s to %s\n  %-24s %-12s %9s %8s %9s %8s\n", infos[0].name, infos[1].name, "layout", "route", "ms",
               "GB/s", "x memcpy", "x call");
    }
    for (int k = 0; k < transfer_nlayouts && status == NDBUF_OK; k++) {
        report_progress_at(&output->progress, output->ndone++);
        status = run_case(request, &transfer_layouts[k], ends, peer, output, err);
        report_progress_end(&output->progress);
    }
    return status;
}

static void put_head(const bench_request *request, const ndbuf_device *device, const char *why_none,
                     bench_output *output)
{
    report_text size;
    ndbuf_device_info info = {0};
    if (device != NULL) {
        ndbuf_device_info_get(device, &info);
    }
    if (output->json == NULL) {
        printf("ndbuf %s: about %s each, medians of %d rounds; \"x\" gives multiples of another time\n",
               ndbuf_version(), report_nbytes((uint64_t)request->nbytes, size), request->rounds);
        if (device != NULL) {
            printf("%s: %s, %s%s\n", info.name, info.description, info.driver,
                   info.flags & NDBUF_DEVICE_SIMULATED ? ", SIMULATED: no hardware behind it" : "");
        } else {
            printf("only the host: %s\n", why_none);
        }
        return;
    }
    json_open(output->json, NULL, '{');
    json_string(output->json, "version", ndbuf_version());
    json_integer(output->json, "size_nbytes", request->nbytes);
    json_integer(output->json, "rounds", request->rounds);
    if (device != NULL) {
        json_open(output->json, "device", '{');
        json_string(output->json, "name", info.name);
        json_string(output->json, "description", info.description);
        json_string(output->json, "driver", info.driver);
        json_bool(output->json, "simulated", (info.flags & NDBUF_DEVICE_SIMULATED) != 0);
        json_close(output->json, '}');
    } else {
        json_null(output->json, "device");
        json_string(output->json, "no_device_because", why_none);
    }
    json_open(output->json, "results", '[');
}

/* All directions; without a device, the host alone. */
static ndbuf_status run_all(const bench_request *request, ndbuf_device *device, const char *why_none,
                            bench_output *output, ndbuf_error *err)
{
    ndbuf_device *cpu = ndbuf_device_cpu();
    peer_opencl *peer = NULL;
    ndbuf_status status = device != NULL ? peer_opencl_create(device, &peer, err) : NDBUF_OK;
    if (status != NDBUF_OK) {
        return status;
    }
    put_head(request, device, why_none, output);
    report_progress_begin(&output->progress, "measuring", (device != NULL ? 4 : 1) * transfer_nlayouts);
    status = run_direction(request, cpu, cpu, NULL, output, err);
    if (status == NDBUF_OK && device != NULL) {
        status = run_direction(request, cpu, device, peer, output, err);
    }
    if (status == NDBUF_OK && device != NULL) {
        status = run_direction(request, device, cpu, peer, output, err);
    }
    if (status == NDBUF_OK && device != NULL) {
        status = run_direction(request, device, device, peer, output, err);
    }
    if (output->json != NULL) {
        json_close(output->json, ']');
        json_close(output->json, '}');
    } else if (status == NDBUF_OK) {
        puts("\nevery result was verified; \"x call\" is against one OpenCL call by hand, \"-\" where none can do it");
    }
    peer_opencl_destroy(peer);
    return status;
}

static ndbuf_status bench(const bench_request *request, ndbuf_error *err)
{
    json_writer json = {stdout, 0, 0};
    bench_output output = {request->is_json ? &json : NULL, {0}, 0};
    ndbuf_error why_none = {0};
    ndbuf_device *device = NULL;
    ndbuf_status status =
        ndbuf_device_open(request->device_name != NULL ? request->device_name : "opencl:0", &device, &why_none);
    if (status != NDBUF_OK && (request->device_name != NULL || status != NDBUF_ERR_UNAVAILABLE)) {
        *err = why_none;
        return status;
    }
    if (request->operand != NULL) {
        json.file = fopen(request->operand, "w");
        if (json.file == NULL) {
            int code = errno;
            ndbuf_device_close(device);
            return ndbuf_fail_native(err, NDBUF_ERR_IO, code, "cannot write '%.128s': %s", request->operand,
                                     strerror(code));
        }
    }
    status = run_all(request, device, why_none.message, &output, err);
    ndbuf_device_close(device);
    if (json.file != stdout && (ferror(json.file) | fclose(json.file)) != 0 && status == NDBUF_OK) {
        status = ndbuf_fail(err, NDBUF_ERR_IO, "cannot write '%.128s'", request->operand);
    }
    return status;
}

int command_bench(args_reader *args)
{
    enum { OPTION_JSON, OPTION_SIZE, OPTION_ROUNDS, OPTION_QUICK, OPTION_DEVICE, OPTION_CALIBRATE };
    static const args_option options[] = {{"--json", 0},   {"--size", 1},      {"--rounds", 1}, {"--quick", 0},
                                          {"--device", 1}, {"--calibrate", 0}, {NULL, 0}};
    bench_request request = {0};
    int64_t rounds = 0;
    const char *value = NULL;
    for (int option; (option = args_next(args, options, &value)) != ARGS_END;) {
        switch (option) {
        case OPTION_JSON:
            request.is_json = 1;
            break;
        case OPTION_SIZE:
            if (!args_read_size(value, &request.nbytes) || request.nbytes > (int64_t)1 << 40) {
                return args_usage(args, "'%.128s' is not a number of bytes up to 1024G", value);
            }
            break;
        case OPTION_ROUNDS:
            if (!args_read_size(value, &rounds) || rounds > MAX_ROUNDS) {
                return args_usage(args, "'%.128s' is not a number of rounds from 1 to %d", value, MAX_ROUNDS);
            }
            request.rounds = (int)rounds;
            break;
        case OPTION_CALIBRATE:
            request.calibrates = 1;
            break;
        case OPTION_QUICK:
            request.is_quick = 1;
            break;
        case OPTION_DEVICE:
            request.device_name = value;
            break;
        case ARGS_HELP:
            fputs(help, stdout);
            return EXIT_DONE;
        case ARGS_OPERAND:
            if (request.is_json + request.calibrates != 1 || request.operand != NULL) {
                return args_usage(args, "'%.128s' is one argument too many", value);
            }
            request.operand = value;
            break;
        default:
            return EXIT_USAGE;
        }
    }
    if (request.calibrates &&
        (request.is_json || request.nbytes != 0 || request.rounds != 0 || request.device_name != NULL)) {
        return args_usage(args, "--calibrate goes with --quick alone");
    }
    if (request.nbytes == 0) {
        request.nbytes = (int64_t)(request.is_quick ? 1 : 16) << 20;
    }
    if (request.rounds == 0) {
        request.rounds = request.is_quick ? 3 : 7;
    }
    report_tuning();
    ndbuf_error err = {0};
    if (request.calibrates) {
        return calibrate(request.is_quick, request.operand, &err) == NDBUF_OK ? EXIT_DONE : report_error(&err);
    }
    return bench(&request, &err) == NDBUF_OK ? EXIT_DONE : report_error(&err);
}
