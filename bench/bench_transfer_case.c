/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_transfer.h"

#include <stdlib.h>
#include <string.h>

#include "bench/bench_support.h"

#define GAP_BYTE 0xEE

const char *const bench_contestant_names[BENCH_NCONTESTANTS] = {"ndbuf",    "ndbuf_waiting", "contiguous",
                                                                "one_call", "call_per_run",  "pack_copy"};

/* Between the host's `bytes` and the whole storage of a view. */
static ndbuf_status move_all(const ndbuf_view *view, unsigned char *bytes, bool is_write, ndbuf_error *err)
{
    ndbuf_storage *storage = ndbuf_view_storage(view);
    const int64_t nbytes = (int64_t)ndbuf_storage_nbytes(storage);
    const ndbuf_view_spec spec = {.ndim = 1, .shape = &nbytes};
    ndbuf_storage *host = NULL;
    ndbuf_view there = {0};
    ndbuf_view here = {0};
    ndbuf_status status = ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, (size_t)nbytes, 0, NULL, NULL, &host, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_init(&here, host, &spec, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_view_init(&there, storage, &spec, err);
    }
    if (status == NDBUF_OK) {
        status = is_write ? ndbuf_copy(&there, &here, NULL, err) : ndbuf_copy(&here, &there, NULL, err);
    }
    ndbuf_view_release(&there);
    ndbuf_view_release(&here);
    ndbuf_storage_release(host);
    return status;
}

typedef struct run_copy {
    unsigned char *dst;
    const unsigned char *src;
} run_copy;

static int copy_run(void *context, int64_t dst_offset, int64_t src_offset, int64_t nbytes)
{
    const run_copy *copy = context;
    memcpy(copy->dst + dst_offset, copy->src + src_offset, (size_t)nbytes);
    return 0;
}

static ndbuf_status allocate(bench_transfer *transfer, ndbuf_error *err)
{
    size_t dst_nbytes = (size_t)transfer->dst_layout.storage_nbytes;
    size_t src_nbytes = (size_t)transfer->src_layout.storage_nbytes;
    transfer->contents = malloc(src_nbytes);
    transfer->expected = malloc(dst_nbytes);
    transfer->result = malloc(dst_nbytes > src_nbytes ? dst_nbytes : src_nbytes);
    if (transfer->contents == NULL || transfer->expected == NULL || transfer->result == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "%zu and %zu bytes", dst_nbytes, src_nbytes);
    }
    uint32_t state = 2463534242u;
    for (size_t i = 0; i < src_nbytes; i += sizeof(state)) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        memcpy(transfer->contents + i, &state, src_nbytes - i < sizeof(state) ? src_nbytes - i : sizeof(state));
    }
    memset(transfer->expected, GAP_BYTE, dst_nbytes);
    run_copy copy = {transfer->expected, transfer->contents};
    bench_runs_walk(&transfer->runs, copy_run, &copy);
    return NDBUF_OK;
}

ndbuf_status bench_transfer_init(bench_transfer *out_transfer, const bench_layout *layout, bool is_dst_strided,
                                 ndbuf_device *from, ndbuf_device *to, ndbuf_queue *queue, const bench_cuda *cuda,
                                 ndbuf_error *err)
{
    bench_layout packed = bench_layout_packed(layout);
    out_transfer->cuda = cuda;
    out_transfer->queue = queue;
    out_transfer->is_dst_strided = is_dst_strided;
    out_transfer->dst_layout = is_dst_strided ? *layout : packed;
    out_transfer->src_layout = is_dst_strided ? packed : *layout;
    out_transfer->strided_device = is_dst_strided ? to : from;
    bench_runs_make(&out_transfer->dst_layout, &out_transfer->src_layout, &out_transfer->runs);
    ndbuf_status status = allocate(out_transfer, err);
    if (status == NDBUF_OK) {
        status = bench_layout_create(&out_transfer->dst_layout, to, &out_transfer->dst, err);
    }
    if (status == NDBUF_OK) {
        status = bench_layout_create(&out_transfer->src_layout, from, &out_transfer->src, err);
    }
    if (status == NDBUF_OK) {
        status = bench_layout_create(&packed, out_transfer->strided_device, &out_transfer->packed, err);
    }
    if (status == NDBUF_OK) {
        status = move_all(&out_transfer->src, out_transfer->contents, true, err);
    }
    if (status == NDBUF_OK && !is_dst_strided) {
        status = ndbuf_copy(&out_transfer->packed, &out_transfer->src, NULL, err);
    }
    ndbuf_copy_plan *plan = NULL;
    if (status == NDBUF_OK) {
        status = ndbuf_copy_plan_create(&out_transfer->dst, &out_transfer->src, NDBUF_CASTING_EQUIV, 0, &plan, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_copy_plan_info_get(plan, &out_transfer->plan);
    }
    ndbuf_copy_plan_destroy(plan);
    return status;
}

void bench_transfer_clear(bench_transfer *transfer)
{
    ndbuf_view_release(&transfer->dst);
    ndbuf_view_release(&transfer->src);
    ndbuf_view_release(&transfer->packed);
    free(transfer->contents);
    free(transfer->expected);
    free(transfer->result);
    transfer->contents = NULL;
    transfer->expected = NULL;
    transfer->result = NULL;
}

static bool is_device(const ndbuf_device *device)
{
    int32_t type = ndbuf_device_tag_get(device).type;
    return type != NDBUF_DEVICE_CPU && type != NDBUF_DEVICE_CUDA_HOST;
}

static bool crosses(const bench_transfer *transfer)
{
    return is_device(ndbuf_view_device(&transfer->dst)) != is_device(ndbuf_view_device(&transfer->src));
}

bool bench_takes_part(const bench_transfer *transfer, int who, int64_t max_runs)
{
    const bench_runs *runs = &transfer->runs;
    switch (who) {
    case BENCH_ONE_CALL:
        return transfer->cuda != NULL && runs->nruns > 1 && bench_runs_are_rectangle(runs);
    case BENCH_CALL_PER_RUN:
        return transfer->cuda != NULL && runs->nruns > 1 && runs->nruns <= max_runs;
    case BENCH_PACK_COPY:
        return runs->nruns > 1 && crosses(transfer);
    default:
        return true;
    }
}

static unsigned char *address_of(const ndbuf_view *view)
{
    return ndbuf_storage_handle(ndbuf_view_storage(view));
}

/* Where the contiguous copy goes from and to. */
static const ndbuf_view *plain_dst(const bench_transfer *transfer)
{
    return transfer->is_dst_strided ? &transfer->packed : &transfer->dst;
}

static const ndbuf_view *plain_src(const bench_transfer *transfer)
{
    return transfer->is_dst_strided ? &transfer->src : &transfer->packed;
}

static ndbuf_status enqueue_plain(const bench_transfer *transfer, ndbuf_error *err)
{
    const ndbuf_view *dst = plain_dst(transfer);
    const ndbuf_view *src = plain_src(transfer);
    if (transfer->cuda != NULL) {
        return bench_cuda_copy(transfer->cuda, address_of(dst), address_of(src), (size_t)dst->nbytes, err);
    }
    return ndbuf_copy(dst, src, transfer->queue, err);
}

static ndbuf_status enqueue_one_call(const bench_transfer *transfer, ndbuf_error *err)
{
    const bench_runs *runs = &transfer->runs;
    return bench_cuda_copy_rows(transfer->cuda, address_of(&transfer->dst) + runs->dst_offset,
                                (size_t)runs->dst_strides[0], address_of(&transfer->src) + runs->src_offset,
                                (size_t)runs->src_strides[0], (size_t)runs->run_nbytes, (size_t)runs->nruns, err);
}

typedef struct run_enqueue {
    const bench_transfer *transfer;
    ndbuf_error *err;
    ndbuf_status status;
} run_enqueue;

static int enqueue_run(void *context, int64_t dst_offset, int64_t src_offset, int64_t nbytes)
{
    run_enqueue *enqueue = context;
    const bench_transfer *transfer = enqueue->transfer;
    enqueue->status = bench_cuda_copy(transfer->cuda, address_of(&transfer->dst) + dst_offset,
                                      address_of(&transfer->src) + src_offset, (size_t)nbytes, enqueue->err);
    return enqueue->status != NDBUF_OK;
}

/* One stage after the other: each waits where it has to do with the host. */
static ndbuf_status pack_and_copy(const bench_transfer *transfer, ndbuf_error *err)
{
    ndbuf_queue *strided_queue = is_device(transfer->strided_device) ? transfer->queue : NULL;
    ndbuf_status status = NDBUF_OK;
    if (!transfer->is_dst_strided) {
        status = ndbuf_copy(&transfer->packed, &transfer->src, strided_queue, err);
        return status != NDBUF_OK ? status : enqueue_plain(transfer, err);
    }
    status = enqueue_plain(transfer, err);
    if (status == NDBUF_OK && strided_queue == NULL) {
        status = ndbuf_queue_wait(transfer->queue, err);
        if (status == NDBUF_OK && transfer->cuda != NULL) {
            double unused = 0; /* the queue knows nothing of what went to its stream directly */
            status = bench_cuda_stop(transfer->cuda, err);
            if (status == NDBUF_OK) {
                status = bench_cuda_elapsed(transfer->cuda, &unused, err);
            }
        }
    }
    return status != NDBUF_OK ? status : ndbuf_copy(&transfer->dst, &transfer->packed, strided_queue, err);
}

static ndbuf_status enqueue(const bench_transfer *transfer, int who, ndbuf_error *err)
{
    run_enqueue per_run = {transfer, err, NDBUF_OK};
    switch (who) {
    case BENCH_NDBUF_WAITING:
        return ndbuf_copy(&transfer->dst, &transfer->src, NULL, err);
    case BENCH_CONTIGUOUS:
        return enqueue_plain(transfer, err);
    case BENCH_ONE_CALL:
        return enqueue_one_call(transfer, err);
    case BENCH_CALL_PER_RUN:
        bench_runs_walk(&transfer->runs, enqueue_run, &per_run);
        return per_run.status;
    case BENCH_PACK_COPY:
        return pack_and_copy(transfer, err);
    default:
        return ndbuf_copy(&transfer->dst, &transfer->src, transfer->queue, err);
    }
}

/* Whether all work is in the stream when the call returns; else host steps follow, for which only the queue's wait
 * vouches. */
static bool is_enqueued_at_once(const bench_transfer *transfer, int who)
{
    int32_t route = transfer->plan.route;
    return who == BENCH_NDBUF ? route != NDBUF_ROUTE_STAGED && route != NDBUF_ROUTE_THROUGH_HOST
                              : who != BENCH_NDBUF_WAITING && who != BENCH_PACK_COPY;
}

ndbuf_status bench_transfer_run(const bench_transfer *transfer, int who, double *out_ns, double *out_wall_ns,
                                ndbuf_error *err)
{
    const bench_cuda *cuda = transfer->cuda;
    bool is_early = is_enqueued_at_once(transfer, who);
    double start = bench_now_ns();
    ndbuf_status status = cuda != NULL ? bench_cuda_start(cuda, err) : NDBUF_OK;
    if (status == NDBUF_OK && cuda != NULL && !is_early) {
        status = bench_cuda_settle(cuda, err); /* a copy may go another way behind unfinished work */
    }
    if (status == NDBUF_OK) {
        status = enqueue(transfer, who, err);
    }
    if (status == NDBUF_OK && cuda != NULL && is_early) {
        status = bench_cuda_stop(cuda, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_queue_wait(transfer->queue, err);
    }
    if (status == NDBUF_OK && cuda != NULL && !is_early) {
        status = bench_cuda_stop(cuda, err);
    }
    if (status == NDBUF_OK && cuda != NULL) {
        status = bench_cuda_elapsed(cuda, out_ns, err);
    }
    *out_wall_ns = bench_now_ns() - start;
    if (cuda == NULL) {
        *out_ns = *out_wall_ns;
    }
    return status;
}

ndbuf_status bench_transfer_verify(const bench_transfer *transfer, int who, ndbuf_error *err)
{
    double unused[2];
    bool is_plain = who == BENCH_CONTIGUOUS;
    const ndbuf_view *target = is_plain ? plain_dst(transfer) : &transfer->dst;
    const unsigned char *expected = is_plain && transfer->is_dst_strided ? transfer->contents : transfer->expected;
    size_t nbytes = ndbuf_storage_nbytes(ndbuf_view_storage(target));
    memset(transfer->result, GAP_BYTE, nbytes);
    ndbuf_status status = move_all(target, transfer->result, true, err);
    if (status == NDBUF_OK) {
        status = bench_transfer_run(transfer, who, &unused[0], &unused[1], err);
    }
    if (status == NDBUF_OK) {
        memset(transfer->result, 0, nbytes);
        status = move_all(target, transfer->result, false, err);
    }
    if (status == NDBUF_OK && memcmp(transfer->result, expected, nbytes) != 0) {
        size_t i = 0;
        while (transfer->result[i] == expected[i]) {
            i++;
        }
        status = ndbuf_fail(err, NDBUF_ERR_DEVICE, "%s: byte %zu of %zu is %d instead of %d",
                            bench_contestant_names[who], i, nbytes, transfer->result[i], expected[i]);
    }
    return status;
}
