/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/host_copy_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_support.h"
#include "bench/host_copy_lines.h"

const char *const host_copy_way_names[HOST_COPY_NWAYS] = {"memcpy", "stream", "lines", "copy", "plan", "single"};

struct host_copy_run {
    const host_copy_case *one;
    ndbuf_storage *dst_storage;
    ndbuf_storage *src_storage;
    ndbuf_view dst;
    ndbuf_view src;
    ndbuf_copy_plan *plan;
    char *dst_bytes;
    char *src_bytes;
    bool has_lines;
    int lines_way; /* the fastest */
    host_copy_lines lines;
};

/* Less is lost beside a call. */
#define LINES_LEAST_NBYTES 16384
/* What the choice between two ways rests on. */
#define CHOICE_NS 2e6

#if defined(__GNUC__)
#define KEEP_THE_COPY() __asm__ volatile("" : : : "memory") /* each copy is really made */
#else
#define KEEP_THE_COPY() ((void)0)
#endif

static ndbuf_status make_view(ndbuf_view *view, ndbuf_storage **storage, const host_copy_case *one,
                              const int64_t *strides, int64_t offset, ndbuf_error *err)
{
    ndbuf_format *format = NULL;
    char text[32];
    int64_t bytes[HOST_COPY_MAX_NDIM];
    int64_t span = host_copy_span(one, strides, offset);
    for (int32_t k = 0; k < one->ndim; k++) {
        bytes[k] = strides[k] * one->itemsize;
    }
    snprintf(text, sizeof(text), "%llds", (long long)one->itemsize);
    size_t nbytes = (size_t)(span > one->nbytes ? span : one->nbytes); /* memcpy of all bytes fits */
    ndbuf_status status = ndbuf_storage_create(ndbuf_device_cpu(), nbytes, storage, err);
    if (status == NDBUF_OK) {
        status = ndbuf_format_parse(text, 0, &format, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_view_spec spec = {.format = format,
                                .byte_offset = offset * one->itemsize,
                                .ndim = one->ndim,
                                .shape = one->shape,
                                .strides = bytes};
        status = ndbuf_view_init(view, *storage, &spec, err);
    }
    ndbuf_format_release(format);
    return status;
}

/* Nanoseconds of the lines of a case. */
static double time_lines(const host_copy_run *run, int way, long count)
{
    double start = bench_now_ns();
    for (long i = 0; i < count; i++) {
        host_copy_lines_run(&run->lines, way, run->dst_bytes, run->src_bytes);
        KEEP_THE_COPY();
    }
    return (bench_now_ns() - start) / (double)count;
}

/* Counts the lines of a case and finds out which way is the fastest. */
static bool prepare_lines(host_copy_run *run)
{
    int64_t nsrc = (int64_t)ndbuf_storage_nbytes(run->src_storage) / HOST_COPY_LINE_NBYTES;
    int64_t ndst = (int64_t)ndbuf_storage_nbytes(run->dst_storage) / HOST_COPY_LINE_NBYTES;
    run->has_lines = host_copy_threads_count() == 1 && run->one->nbytes >= LINES_LEAST_NBYTES;
    if (!run->has_lines) {
        return true;
    }
    if (!host_copy_lines_count(run->one, &run->lines)) {
        return false;
    }
    /* The last line may be cut off by the end of the block. */
    host_copy_lines *lines = &run->lines;
    lines->nread = lines->nread < nsrc ? lines->nread : nsrc;
    lines->npartial = lines->nwhole + lines->npartial < ndst ? lines->npartial : ndst - lines->nwhole;
    double best = 0;
    for (int way = 0; way < HOST_COPY_LINES_NWAYS; way++) {
        time_lines(run, way, 1);
        double took = time_lines(run, way, (long)(CHOICE_NS / time_lines(run, way, 1)) + 1);
        if (way == 0 || took < best) {
            best = took;
            run->lines_way = way;
        }
    }
    return true;
}

ndbuf_status host_copy_run_create(const host_copy_case *one, host_copy_run **out_run, ndbuf_error *err)
{
    host_copy_run *run = calloc(1, sizeof(*run));
    if (run == NULL) {
        return NDBUF_ERR_NOMEM;
    }
    run->one = one;
    ndbuf_status status = make_view(&run->dst, &run->dst_storage, one, one->dst_strides, one->dst_offset, err);
    if (status == NDBUF_OK) {
        status = make_view(&run->src, &run->src_storage, one, one->src_strides, one->src_offset, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_plan_create(&run->dst, &run->src, NDBUF_CASTING_EQUIV, 0, &run->plan, err);
    }
    if (status != NDBUF_OK) {
        host_copy_run_destroy(run);
        return status;
    }
    run->dst_bytes = ndbuf_storage_host_address(run->dst_storage);
    run->src_bytes = ndbuf_storage_host_address(run->src_storage);
    uint64_t state = 88172645463325252U;
    for (size_t i = 0; i < ndbuf_storage_nbytes(run->src_storage); i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        run->src_bytes[i] = (char)state;
    }
    if (!prepare_lines(run)) {
        host_copy_run_destroy(run);
        return NDBUF_ERR_NOMEM;
    }
    host_copy_run_spoil(run);
    *out_run = run;
    return NDBUF_OK;
}

void host_copy_run_destroy(host_copy_run *run)
{
    if (run != NULL) {
        ndbuf_copy_plan_destroy(run->plan);
        ndbuf_view_release(&run->dst);
        ndbuf_view_release(&run->src);
        ndbuf_storage_release(run->dst_storage);
        ndbuf_storage_release(run->src_storage);
        free(run);
    }
}

const host_copy_case *host_copy_case_named(const char *name)
{
    for (size_t i = 0; i < host_copy_ncases; i++) {
        if (strcmp(host_copy_cases[i].name, name) == 0) {
            return &host_copy_cases[i];
        }
    }
    return NULL;
}

void *host_copy_run_dst(const host_copy_run *run, size_t *out_nbytes)
{
    *out_nbytes = ndbuf_storage_nbytes(run->dst_storage);
    return run->dst_bytes;
}

void *host_copy_run_src(const host_copy_run *run, size_t *out_nbytes)
{
    *out_nbytes = ndbuf_storage_nbytes(run->src_storage);
    return run->src_bytes;
}

void host_copy_run_spoil(host_copy_run *run)
{
    memset(run->dst_bytes, 0x5a, ndbuf_storage_nbytes(run->dst_storage));
}

bool host_copy_run_is_right(const host_copy_run *run)
{
    return host_copy_is_right(run->one, run->dst_bytes, run->src_bytes);
}

bool host_copy_run_has(const host_copy_run *run, host_copy_way way)
{
    return way == HOST_COPY_LINES ? run->has_lines : way != HOST_COPY_SINGLE || host_copy_threads_count() > 1;
}

static void copy_plain(char *dst, const char *src, size_t nbytes)
{
    memcpy(dst, src, nbytes);
}

static ndbuf_status repeat(const host_copy_run *run, host_copy_way way, long count, ndbuf_error *err)
{
    size_t nbytes = (size_t)run->one->nbytes;
    ndbuf_status status = NDBUF_OK;
    for (long i = 0; i < count && status == NDBUF_OK; i++) {
        switch (way) {
        case HOST_COPY_MEMCPY:
            host_copy_threads_run(copy_plain, run->dst_bytes, run->src_bytes, nbytes);
            break;
        case HOST_COPY_STREAM:
            host_copy_threads_run(host_copy_stream, run->dst_bytes, run->src_bytes, nbytes);
            break;
        case HOST_COPY_LINES:
            host_copy_lines_run(&run->lines, run->lines_way, run->dst_bytes, run->src_bytes);
            break;
        case HOST_COPY_COPY:
            status = ndbuf_copy(&run->dst, &run->src, NULL, err);
            break;
        default:
            status = ndbuf_copy_plan_run(run->plan, &run->dst, &run->src, NULL, err);
            break;
        }
        KEEP_THE_COPY();
    }
    return status;
}

ndbuf_status host_copy_run_time(const host_copy_run *run, host_copy_way way, long count, double *out_ns,
                                ndbuf_error *err)
{
    bool by_team = way == HOST_COPY_MEMCPY || way == HOST_COPY_STREAM;
    const int32_t nthreads = ndbuf_cpu_threads_get();
    if (by_team) {
        host_copy_threads_wake(true);
    }
    if (way == HOST_COPY_SINGLE) {
        ndbuf_cpu_threads_set(1, NULL);
    }
    double start = bench_now_ns();
    ndbuf_status status = repeat(run, way, count, err);
    double took = bench_now_ns() - start;
    if (way == HOST_COPY_SINGLE) {
        ndbuf_cpu_threads_set(nthreads, NULL);
    }
    if (by_team) {
        host_copy_threads_wake(false);
    }
    if (status == NDBUF_OK) {
        *out_ns = took / (double)count;
    }
    return status;
}

bool host_copy_time_to_contiguous(host_copy_to_contiguous_fn fn, void *dst, const void *src, ptrdiff_t nbytes,
                                  long count, double *out_ns)
{
    double start = bench_now_ns();
    for (long i = 0; i < count; i++) {
        if (fn(dst, src, nbytes, 'C') != 0) {
            return false;
        }
        KEEP_THE_COPY();
    }
    *out_ns = (bench_now_ns() - start) / (double)count;
    return true;
}
