/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions in transit between the host and a device, against copies of the same view that convert nothing,
 * interleaved. Ratios below 1: the conversion is faster.
 *
 * usage: bench_cast [DEVICE [MiB]]     opencl:0 and 64 MiB of the wider items, unless given */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/ndbuf.h"

#include "bench/bench_support.h"

typedef struct cast_case {
    const char *name;
    const char *host_format;
    const char *device_format;
    double (*load)(const char *item); /* of the device's items */
} cast_case;

typedef struct cast_run {
    const ndbuf_view *dst;
    const ndbuf_view *src;
} cast_run;

static void check(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        fprintf(stderr, "bench_cast: %s\n", err->message);
        exit(status == NDBUF_ERR_UNAVAILABLE ? 77 : 1);
    }
}

static void run_copy(void *context, long count)
{
    const cast_run *run = context;
    ndbuf_error err = {0};
    for (long i = 0; i < count; i++) {
        check(ndbuf_copy_cast(run->dst, run->src, NDBUF_CASTING_UNSAFE, 0, NULL, &err), &err);
    }
}

static void make_view(ndbuf_view *view, ndbuf_device *device, const char *text, int64_t count)
{
    ndbuf_error err = {0};
    ndbuf_format *format = NULL;
    *view = (ndbuf_view){0};
    check(ndbuf_format_parse(text, 0, &format, &err), &err);
    check(ndbuf_view_create(view, device, format, 1, &count, &err), &err);
    ndbuf_format_release(format);
}

static double load_float(const char *item)
{
    float value;
    memcpy(&value, item, sizeof(value));
    return value;
}

static double load_double(const char *item)
{
    double value;
    memcpy(&value, item, sizeof(value));
    return value;
}

static const cast_case cases[] = {{"f8_f4", "d", "f", load_float}, {"f4_f8", "f", "d", load_double}};

/* Whole numbers, which every format here has. */
static void fill_host(const ndbuf_view *view, const char *text)
{
    char *items = ndbuf_view_host_address(view);
    for (int64_t i = 0; i < view->shape[0]; i++) {
        double value = (double)(i % 65521);
        float single = (float)value;
        if (text[0] == 'd') {
            memcpy(items + 8 * i, &value, sizeof(value));
        } else {
            memcpy(items + 4 * i, &single, sizeof(single));
        }
    }
}

static void verify(const cast_case *one, const ndbuf_view *there)
{
    ndbuf_view back;
    ndbuf_error err = {0};
    make_view(&back, ndbuf_device_cpu(), one->device_format, there->shape[0]);
    check(ndbuf_copy(&back, there, NULL, &err), &err);
    const char *items = ndbuf_view_host_address(&back);
    for (int64_t i = 0; i < there->shape[0]; i++) {
        if (one->load(items + i * there->itemsize) != (double)(i % 65521)) {
            fprintf(stderr, "bench_cast: %s: item %lld is wrong\n", one->name, (long long)i);
            exit(1);
        }
    }
    ndbuf_view_release(&back);
}

/* To the device and back: the conversion, against the copy of the host's items, and of the device's. */
static void measure(const cast_case *one, ndbuf_device *device, int64_t count)
{
    ndbuf_view host;
    ndbuf_view there;
    ndbuf_view plain_there;
    ndbuf_view plain_host;
    char name[64];
    make_view(&host, ndbuf_device_cpu(), one->host_format, count);
    make_view(&there, device, one->device_format, count);
    make_view(&plain_there, device, one->host_format, count);
    make_view(&plain_host, ndbuf_device_cpu(), one->device_format, count);
    fill_host(&host, one->host_format);
    const cast_run runs[2][3] = {{{&there, &host}, {&plain_there, &host}, {&there, &plain_host}},
                                 {{&host, &there}, {&host, &plain_there}, {&plain_host, &there}}};
    run_copy((void *)&runs[0][0], 1);
    verify(one, &there);
    run_copy((void *)&runs[1][2], 1); /* all memory is touched */
    run_copy((void *)&runs[0][1], 1);
    for (int back = 0; back < 2; back++) {
        bench_fn works[3] = {run_copy, run_copy, run_copy};
        void *contexts[3] = {(void *)&runs[back][0], (void *)&runs[back][1], (void *)&runs[back][2]};
        double ns[3];
        bench_interleaved(works, contexts, 3, 1, ns);
        snprintf(name, sizeof(name), "%s_%s", one->name, back ? "from_device" : "to_device");
        bench_report("cast", name, ns[0], "a copy of the host's items", ns[1]);
        bench_report("cast", name, ns[0], "a copy of the device's items", ns[2]);
        fflush(stdout);
    }
    ndbuf_view_release(&host);
    ndbuf_view_release(&there);
    ndbuf_view_release(&plain_there);
    ndbuf_view_release(&plain_host);
}

int main(int argc, char **argv)
{
    ndbuf_device *device = NULL;
    ndbuf_error err = {0};
    double mib = argc > 2 ? strtod(argv[2], NULL) : 64;
    if (!(mib > 0 && mib <= 4096)) {
        fprintf(stderr, "usage: bench_cast [DEVICE [MiB]]\n");
        return 2;
    }
    check(ndbuf_device_open(argc > 1 ? argv[1] : "opencl:0", &device, &err), &err);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        measure(&cases[i], device, (int64_t)(mib * (1 << 20) / 8));
    }
    ndbuf_device_close(device);
    return 0;
}
