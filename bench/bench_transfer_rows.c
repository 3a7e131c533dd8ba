/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_transfer_rows.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench_support.h"
#include "core/copy_plan.h"

/* The ways, and the parts of the packed one by themselves. */
typedef enum rows_way {
    WAY_MEMCPY,   /* as many bytes on the host, contiguous */
    WAY_CHOSEN,   /* what the planner takes */
    WAY_PACKED,   /* through staging buffers, packing beside the transfer */
    WAY_RECT,     /* rectangle calls */
    WAY_MAPPED,   /* the host's engine in mapped memory */
    WAY_KERNEL,   /* the same layouts within the device, by a kernel */
    WAY_PACKING,  /* the same layouts within the host */
    WAY_TRANSFER, /* contiguous, by the driver's plain call */
    WAY_COUNT
} rows_way;

static const char *const way_names[WAY_COUNT] = {"memcpy", "chosen", "packed",  "rect",
                                                 "mapped", "kernel", "packing", "transfer"};

/* One side of the copies: strided rows or packed ones, on the host and on the device. */
typedef struct rows_side {
    ndbuf_view host;
    ndbuf_view device;
} rows_side;

typedef struct rows_case {
    ndbuf_device *device;
    bool to_device;
    int64_t row_nbytes;
    int64_t pitch;
    int64_t nrows;
    rows_side strided; /* the source on its way to the device, else the destination */
    rows_side packed;
    ndbuf_copy_plan *plans[WAY_COUNT]; /* NULL: not open */
    unsigned char *copies[2];          /* for memcpy */
    double ns[WAY_COUNT][BENCH_ROWS_MAX_ROUNDS];
} rows_case;

static ndbuf_status make_view(ndbuf_device *device, int64_t nrows, int64_t row_nbytes, int64_t pitch,
                              ndbuf_view *out_view, ndbuf_error *err)
{
    const int64_t shape[2] = {nrows, row_nbytes};
    const int64_t strides[2] = {pitch, 1};
    const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides};
    ndbuf_storage *storage = NULL;
    ndbuf_status status = ndbuf_storage_create(device, (size_t)(nrows * pitch), &storage, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_init(out_view, storage, &spec, err);
    }
    ndbuf_storage_release(storage);
    return status;
}

static unsigned char *bytes_of(const ndbuf_view *host_view)
{
    return ndbuf_storage_handle(ndbuf_view_storage(host_view));
}

static void views_of(const rows_case *self, rows_way way, const ndbuf_view **out_dst, const ndbuf_view **out_src)
{
    const rows_side *dst = self->to_device ? &self->packed : &self->strided;
    const rows_side *src = self->to_device ? &self->strided : &self->packed;
    bool on_device = way == WAY_KERNEL;
    bool on_host = way == WAY_PACKING;
    if (way == WAY_TRANSFER) {
        dst = src = &self->packed;
    }
    *out_dst = on_device || (self->to_device && !on_host) ? &dst->device : &dst->host;
    *out_src = on_device || (!self->to_device && !on_host) ? &src->device : &src->host;
}

/* The plan of a way: all others are closed while it is made. */
static ndbuf_status plan_way(rows_case *self, rows_way way, ndbuf_error *err)
{
    static const uint32_t open[WAY_COUNT] = {[WAY_PACKED] = 1u << NDBUF_ROUTE_STAGED,
                                             [WAY_RECT] = 1u << NDBUF_ROUTE_RECT,
                                             [WAY_MAPPED] = 1u << NDBUF_ROUTE_MAPPED,
                                             [WAY_KERNEL] = 1u << NDBUF_ROUTE_STRIDED,
                                             [WAY_TRANSFER] = 1u << NDBUF_ROUTE_BYTES};
    const ndbuf_view *dst = NULL;
    const ndbuf_view *src = NULL;
    if (way == WAY_MEMCPY) {
        return NDBUF_OK;
    }
    views_of(self, way, &dst, &src);
    uint32_t all = 1u << NDBUF_ROUTE_BYTES | 1u << NDBUF_ROUTE_RECT | 1u << NDBUF_ROUTE_STRIDED |
                   1u << NDBUF_ROUTE_STAGED | 1u << NDBUF_ROUTE_THROUGH_HOST | 1u << NDBUF_ROUTE_MAPPED;
    if ((open[way] & 1u << NDBUF_ROUTE_STAGED) != 0) {
        all &= ~(1u << NDBUF_ROUTE_THROUGH_HOST);
    }
    ndbuf__closed_routes = open[way] != 0 ? all & ~open[way] : 0;
    ndbuf_status status = ndbuf_copy_plan_create(dst, src, NDBUF_CASTING_EQUIV, 0, &self->plans[way], err);
    ndbuf__closed_routes = 0;
    return status == NDBUF_ERR_UNSUPPORTED && open[way] != 0 ? NDBUF_OK : status;
}

static bool is_open(const rows_case *self, int way)
{
    return way == WAY_MEMCPY || self->plans[way] != NULL;
}

static ndbuf_status run_way(rows_case *self, rows_way way, double *out_ns, ndbuf_error *err)
{
    const ndbuf_view *dst = NULL;
    const ndbuf_view *src = NULL;
    ndbuf_status status = NDBUF_OK;
    views_of(self, way, &dst, &src);
    double start = bench_now_ns();
    if (way == WAY_MEMCPY) {
        memcpy(self->copies[0], self->copies[1], (size_t)(self->nrows * self->row_nbytes));
    } else {
        status = ndbuf_copy_plan_run(self->plans[way], dst, src, NULL, err);
    }
    *out_ns = bench_now_ns() - start;
    return status;
}

/* The byte at a place of a row; no two neighbours alike. */
static unsigned char byte_at(int64_t row, int64_t column)
{
    return (unsigned char)(row * 7 + column * 3 + (row >> 8));
}

static void fill_rows(const rows_case *self, unsigned char *bytes, int64_t pitch)
{
    for (int64_t row = 0; row < self->nrows; row++) {
        for (int64_t column = 0; column < self->row_nbytes; column++) {
            bytes[row * pitch + column] = byte_at(row, column);
        }
    }
}

static ndbuf_status check_rows(const rows_case *self, rows_way way, const unsigned char *bytes, int64_t pitch,
                               ndbuf_error *err)
{
    for (int64_t row = 0; row < self->nrows; row++) {
        for (int64_t column = 0; column < self->row_nbytes; column++) {
            if (bytes[row * pitch + column] != byte_at(row, column)) {
                return ndbuf_fail(err, NDBUF_ERR_DEVICE, "%s: byte %lld of row %lld is wrong", way_names[way],
                                  (long long)column, (long long)row);
            }
        }
    }
    return NDBUF_OK;
}

/* Whole storages, by the planner's own way. */
static ndbuf_status move_storage(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_error *err)
{
    const int64_t nbytes = (int64_t)ndbuf_storage_nbytes(ndbuf_view_storage(dst));
    const ndbuf_view_spec spec = {.ndim = 1, .shape = &nbytes};
    ndbuf_view to = {0};
    ndbuf_view from = {0};
    ndbuf_status status = ndbuf_view_init(&to, ndbuf_view_storage(dst), &spec, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_init(&from, ndbuf_view_storage(src), &spec, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&to, &from, NULL, err);
    }
    ndbuf_view_release(&to);
    ndbuf_view_release(&from);
    return status;
}

/* Fills the source, clears the destination, and looks at what arrives. */
static ndbuf_status verify_way(rows_case *self, rows_way way, ndbuf_error *err)
{
    double unused = 0;
    const ndbuf_view *dst = NULL;
    const ndbuf_view *src = NULL;
    views_of(self, way, &dst, &src);
    const rows_side *to = self->to_device || way == WAY_TRANSFER ? &self->packed : &self->strided;
    const rows_side *from = self->to_device && way != WAY_TRANSFER ? &self->strided : &self->packed;
    int64_t to_pitch = to == &self->packed ? self->row_nbytes : self->pitch;
    fill_rows(self, bytes_of(&from->host), from == &self->packed ? self->row_nbytes : self->pitch);
    ndbuf_status status = src == &from->device ? move_storage(&from->device, &from->host, err) : NDBUF_OK;
    if (to != from) {
        memset(bytes_of(&to->host), 0, ndbuf_storage_nbytes(ndbuf_view_storage(&to->host)));
    }
    if (status == NDBUF_OK && dst == &to->device && to != from) {
        status = move_storage(&to->device, &to->host, err);
    }
    if (status == NDBUF_OK) {
        status = run_way(self, way, &unused, err);
    }
    if (status == NDBUF_OK && dst == &to->device) {
        status = move_storage(&to->host, &to->device, err);
    }
    return status == NDBUF_OK ? check_rows(self, way, bytes_of(&to->host), to_pitch, err) : status;
}

static ndbuf_status case_init(rows_case *self, ndbuf_error *err)
{
    ndbuf_device *devices[2] = {ndbuf_device_cpu(), self->device};
    ndbuf_view *views[2][2] = {{&self->strided.host, &self->packed.host},
                               {&self->strided.device, &self->packed.device}};
    ndbuf_status status = NDBUF_OK;
    for (int i = 0; i < 2 && status == NDBUF_OK; i++) {
        status = make_view(devices[i], self->nrows, self->row_nbytes, self->pitch, views[i][0], err);
        if (status == NDBUF_OK) {
            status = make_view(devices[i], self->nrows, self->row_nbytes, self->row_nbytes, views[i][1], err);
        }
        self->copies[i] = malloc((size_t)(self->nrows * self->row_nbytes));
        if (self->copies[i] == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for memcpy");
        }
        memset(self->copies[i], i, (size_t)(self->nrows * self->row_nbytes));
    }
    for (int way = 0; way < WAY_COUNT && status == NDBUF_OK; way++) {
        status = plan_way(self, (rows_way)way, err);
    }
    return status;
}

static void case_clear(rows_case *self)
{
    for (int way = 0; way < WAY_COUNT; way++) {
        ndbuf_copy_plan_destroy(self->plans[way]);
    }
    ndbuf_view_release(&self->strided.host);
    ndbuf_view_release(&self->strided.device);
    ndbuf_view_release(&self->packed.host);
    ndbuf_view_release(&self->packed.device);
    free(self->copies[0]);
    free(self->copies[1]);
    free(self);
}

static ndbuf_status case_measure(rows_case *self, int rounds, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    for (int way = WAY_MEMCPY + 1; way < WAY_COUNT && status == NDBUF_OK; way++) {
        status = is_open(self, way) ? verify_way(self, (rows_way)way, err) : NDBUF_OK;
    }
    for (int round = 0; round < rounds && status == NDBUF_OK; round++) {
        for (int k = 0; k < WAY_COUNT && status == NDBUF_OK; k++) {
            int way = (round + k) % WAY_COUNT;
            status = is_open(self, way) ? run_way(self, (rows_way)way, &self->ns[way][round], err) : NDBUF_OK;
        }
    }
    return status;
}

/* Times of a way over the larger of its parts, packing and the transfer of the packed bytes, alone. */
static void put_to_larger_part(const rows_case *self, rows_way way, int rounds)
{
    double scratch[BENCH_ROWS_MAX_ROUNDS];
    if (!is_open(self, (int)way) || !is_open(self, WAY_TRANSFER)) {
        return;
    }
    for (int round = 0; round < rounds; round++) {
        double packing = self->ns[WAY_PACKING][round];
        double transfer = self->ns[WAY_TRANSFER][round];
        scratch[round] = self->ns[way][round] / (packing > transfer ? packing : transfer);
    }
    printf(", \"%s_to_larger_part\": %.3f", way_names[way], bench_median(scratch, (size_t)rounds));
}

static void put_ways(const rows_case *self, int rounds)
{
    double scratch[BENCH_ROWS_MAX_ROUNDS];
    const char *between = "";
    printf("\"ways\": {");
    for (int way = 0; way < WAY_COUNT; way++) {
        if (!is_open(self, way)) {
            continue;
        }
        for (int round = 0; round < rounds; round++) {
            scratch[round] = self->ns[WAY_MEMCPY][round] / self->ns[way][round];
        }
        double ratio = bench_median(scratch, (size_t)rounds);
        memcpy(scratch, self->ns[way], (size_t)rounds * sizeof(scratch[0]));
        double ns = bench_median(scratch, (size_t)rounds);
        printf("%s\"%s\": {\"ns\": %.0f, \"bytes_per_ns\": %.3f, \"ratio_to_memcpy\": %.3f}", between, way_names[way],
               ns, (double)(self->nrows * self->row_nbytes) / ns, ratio);
        between = ", ";
    }
    printf("}");
    put_to_larger_part(self, WAY_CHOSEN, rounds);
    put_to_larger_part(self, WAY_PACKED, rounds);
}

static void put_case(const rows_case *self, int rounds)
{
    ndbuf_device_info info;
    ndbuf_copy_plan_info chosen;
    ndbuf_device_info_get(self->device, &info);
    ndbuf_copy_plan_info_get(self->plans[WAY_CHOSEN], &chosen);
    printf("{\"bench\": \"transfer_rows\", \"device\": \"%s\", \"from\": \"%s\", \"to\": \"%s\", \"row_nbytes\": %lld, "
           "\"pitch\": %lld, \"nbytes\": %lld, \"rounds\": %d, \"verified\": true, \"chosen_route\": \"%s\", ",
           info.name, self->to_device ? "cpu" : info.name, self->to_device ? info.name : "cpu",
           (long long)self->row_nbytes, (long long)self->pitch, (long long)chosen.nbytes, rounds,
           ndbuf_route_name((ndbuf_route)chosen.route));
    put_ways(self, rounds);
    printf("}\n");
    fflush(stdout);
}

void bench_transfer_rows(ndbuf_device *device, int64_t nbytes, int rounds, int *out_ndone, int *out_nfailed)
{
    static const int64_t widths[] = {4, 8, 16, 32, 64, 128, 256, 1024, 4096, 16384, 65536};
    for (size_t i = 0; i < 2 * sizeof(widths) / sizeof(widths[0]); i++) {
        ndbuf_error err = {0};
        rows_case *self = calloc(1, sizeof(*self));
        int64_t width = widths[i / 2];
        if (self == NULL || nbytes / width < 2) {
            free(self);
            continue;
        }
        self->device = device;
        self->to_device = i % 2 == 0;
        self->row_nbytes = width;
        self->pitch = width + (width < 64 ? width : 64);
        self->nrows = nbytes / width;
        ndbuf_status status = case_init(self, &err);
        if (status == NDBUF_OK) {
            status = case_measure(self, rounds, &err);
        }
        if (status == NDBUF_OK) {
            put_case(self, rounds);
            ++*out_ndone;
        } else {
            fprintf(stderr, "bench_transfer: rows of %lld bytes: %s\n", (long long)width, err.message);
            ++*out_nfailed;
        }
        case_clear(self);
    }
}
