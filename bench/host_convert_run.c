/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/host_convert_run.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench_support.h"

struct host_convert_run {
    size_t memcpy_nbytes;
    ndbuf_storage *dst_storage;
    ndbuf_storage *src_storage;
    ndbuf_view dst;
    ndbuf_view src;
    ndbuf_view plain; /* the source's items in the destination's format; empty: there is no such copy */
    ndbuf_copy_plan *plan;
    ndbuf_copy_plan *plain_plan;
};

#if defined(__GNUC__)
#define KEEP_THE_COPY() __asm__ volatile("" : : : "memory") /* each copy is really made */
#else
#define KEEP_THE_COPY() ((void)0)
#endif

static ndbuf_status make_storage(const host_convert_case *one, const host_convert_side *side, ndbuf_storage **storage,
                                 ndbuf_error *err)
{
    int64_t nbytes = side->nbytes > one->memcpy_nbytes ? side->nbytes : one->memcpy_nbytes;
    return ndbuf_storage_create(ndbuf_device_cpu(), (size_t)nbytes, storage, err);
}

static ndbuf_status make_view(const host_convert_case *one, const host_convert_side *side, const char *text,
                              ndbuf_storage *storage, ndbuf_view *view, ndbuf_error *err)
{
    ndbuf_format *format = NULL;
    ndbuf_status status = ndbuf_format_parse(text, 0, &format, err);
    if (status == NDBUF_OK) {
        ndbuf_view_spec spec = {.format = format,
                                .byte_offset = side->offset,
                                .ndim = one->ndim,
                                .shape = one->shape,
                                .strides = side->strides};
        status = ndbuf_view_init(view, storage, &spec, err);
    }
    ndbuf_format_release(format);
    return status;
}

ndbuf_status host_convert_run_create(const host_convert_case *one, host_convert_run **out_run, ndbuf_error *err)
{
    host_convert_run *run = calloc(1, sizeof(*run));
    if (run == NULL) {
        return NDBUF_ERR_NOMEM;
    }
    run->memcpy_nbytes = (size_t)one->memcpy_nbytes;
    ndbuf_status status = make_storage(one, &one->dst, &run->dst_storage, err);
    if (status == NDBUF_OK) {
        status = make_storage(one, &one->src, &run->src_storage, err);
    }
    if (status == NDBUF_OK) {
        status = make_view(one, &one->dst, one->dst.format, run->dst_storage, &run->dst, err);
    }
    if (status == NDBUF_OK) {
        status = make_view(one, &one->src, one->src.format, run->src_storage, &run->src, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_plan_create(&run->dst, &run->src, NDBUF_CASTING_UNSAFE, 0, &run->plan, err);
    }
    if (status == NDBUF_OK && one->has_plain) {
        status = make_view(one, &one->src, one->dst.format, run->src_storage, &run->plain, err);
        if (status == NDBUF_OK) {
            status = ndbuf_copy_plan_create(&run->dst, &run->plain, NDBUF_CASTING_NO, 0, &run->plain_plan, err);
        }
    }
    if (status != NDBUF_OK) {
        host_convert_run_destroy(run);
        return status;
    }
    *out_run = run;
    return NDBUF_OK;
}

void host_convert_run_destroy(host_convert_run *run)
{
    if (run != NULL) {
        ndbuf_copy_plan_destroy(run->plan);
        ndbuf_copy_plan_destroy(run->plain_plan);
        ndbuf_view_release(&run->dst);
        ndbuf_view_release(&run->src);
        ndbuf_view_release(&run->plain);
        ndbuf_storage_release(run->dst_storage);
        ndbuf_storage_release(run->src_storage);
        free(run);
    }
}

void *host_convert_run_dst(const host_convert_run *run)
{
    return ndbuf_storage_host_address(run->dst_storage);
}

void *host_convert_run_src(const host_convert_run *run)
{
    return ndbuf_storage_host_address(run->src_storage);
}

static ndbuf_status repeat(const host_convert_run *run, host_convert_way way, long count, ndbuf_error *err)
{
    char *dst = host_convert_run_dst(run);
    const char *src = host_convert_run_src(run);
    ndbuf_status status = NDBUF_OK;
    for (long i = 0; i < count && status == NDBUF_OK; i++) {
        switch (way) {
        case HOST_CONVERT_MEMCPY:
            memcpy(dst, src, run->memcpy_nbytes);
            break;
        case HOST_CONVERT_PLAIN:
            status = ndbuf_copy_plan_run(run->plain_plan, &run->dst, &run->plain, NULL, err);
            break;
        case HOST_CONVERT_COPY:
            status = ndbuf_copy_cast(&run->dst, &run->src, NDBUF_CASTING_UNSAFE, 0, NULL, err);
            break;
        case HOST_CONVERT_PLAN:
            status = ndbuf_copy_plan_run(run->plan, &run->dst, &run->src, NULL, err);
            break;
        }
        KEEP_THE_COPY();
    }
    return status;
}

ndbuf_status host_convert_run_time(const host_convert_run *run, host_convert_way way, long count, double *out_ns,
                                   ndbuf_error *err)
{
    if (way == HOST_CONVERT_PLAIN && run->plain_plan == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "this case has no plain copy");
    }
    double start = bench_now_ns();
    ndbuf_status status = repeat(run, way, count, err);
    double took = bench_now_ns() - start;
    if (status == NDBUF_OK) {
        *out_ns = took / (double)count;
    }
    return status;
}
