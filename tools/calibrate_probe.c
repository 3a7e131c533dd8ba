/* SPDX-License-Identifier: Apache-2.0 */
#include "calibrate_probe.h"

#include <stdlib.h>

#include "report.h"

#define LINE_NBYTES 64
#define LEAST_NS 100000 /* of what is timed at once */

static ndbuf_status make_src(ndbuf_view *out_view, probe_kind kind, int64_t nrows, int64_t row_nbytes,
                             ndbuf_device *device, ndbuf_error *err)
{
    ndbuf_format *format = NULL;
    int32_t is_bytes = kind == PROBE_ROWS;
    int64_t row_items = is_bytes ? row_nbytes : row_nbytes / 4;
    int64_t shape[2] = {nrows, row_items * (kind == PROBE_TRANSPOSED || nrows == 1 ? 1 : 2)};
    ndbuf_status status = ndbuf_format_parse(is_bytes ? "B" : "<f", 0, &format, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (kind == PROBE_ITEMS) {
        shape[1] = 2 * row_items;
    }
    status = ndbuf_view_create(out_view, device, format, 2, shape, err);
    ndbuf_format_release(format);
    if (status == NDBUF_OK) {
        static const char zeros[4];
        status = ndbuf_fill(out_view, zeros, out_view->itemsize, NULL, err); /* so that the memory is there */
    }
    if (status == NDBUF_OK && kind == PROBE_TRANSPOSED) {
        status = ndbuf_view_transpose(out_view, out_view, err);
    } else if (status == NDBUF_OK && shape[1] != row_items) {
        ndbuf_slice slice = {.start = 0, .given = NDBUF_SLICE_START};
        if (kind == PROBE_ITEMS) {
            slice.step = 2;
            slice.given |= NDBUF_SLICE_STEP;
        } else {
            slice.stop = row_items;
            slice.given |= NDBUF_SLICE_STOP;
        }
        status = ndbuf_view_slice(out_view, 1, &slice, out_view, err);
    }
    if (status != NDBUF_OK) {
        ndbuf_view_release(out_view);
    }
    return status;
}

ndbuf_status probe_init(probe *out_probe, probe_kind kind, int64_t nrows, int64_t row_nbytes, ndbuf_device *from,
                        ndbuf_device *to, ndbuf_error *err)
{
    static const probe empty;
    *out_probe = empty;
    ndbuf_status status = make_src(&out_probe->src, kind, nrows, row_nbytes, from, err);
    if (status == NDBUF_OK) {
        const ndbuf_view *src = &out_probe->src;
        status = ndbuf_view_create(&out_probe->dst, to, ndbuf_view_format(src), src->ndim, src->shape, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&out_probe->dst, &out_probe->src, NULL, err); /* likewise */
    }
    if (status != NDBUF_OK) {
        probe_clear(out_probe);
    }
    return status;
}

void probe_clear(probe *self)
{
    ndbuf_view_release(&self->dst);
    ndbuf_view_release(&self->src);
}

/* So that looking is done. */
static volatile int seen;

/* One byte of each cache line. */
static int look_at(const ndbuf_view *view)
{
    const char *bytes = ndbuf_view_host_address(view);
    int sum = 0;
    for (int64_t at = 0; at < view->nbytes; at += LINE_NBYTES) {
        sum += bytes[at];
    }
    return sum;
}

static double time_copies(const probe *self, const ndbuf_copy_plan *plan, int is_used)
{
    /* Who came before may have left the caches without what this one would have left there. */
    if (ndbuf_copy_plan_run(plan, &self->dst, &self->src, NULL, NULL) != NDBUF_OK) {
        return -1;
    }
    for (int64_t count = 1;; count *= 4) {
        int64_t start_ns = report_clock_ns();
        for (int64_t k = 0; k < count; k++) {
            if (ndbuf_copy_plan_run(plan, &self->dst, &self->src, NULL, NULL) != NDBUF_OK) {
                return -1;
            }
            seen = is_used ? look_at(&self->dst) : 0;
        }
        int64_t ns = report_clock_ns() - start_ns;
        if (ns >= LEAST_NS) {
            return (double)ns / (double)count;
        }
    }
}

double probe_time(const probe *self, const ndbuf_copy_plan *plan)
{
    return time_copies(self, plan, 0);
}

double probe_time_used(const probe *self, const ndbuf_copy_plan *plan)
{
    return time_copies(self, plan, 1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

double probe_median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof(*values), compare);
    return count % 2 != 0 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}
