/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/bench_layouts.h"

#include <string.h>

typedef enum layout_kind {
    CONTIGUOUS,
    ROWS,         /* `parameter` bytes, one in two */
    EVERY_SECOND, /* item */
    REVERSED,
    TRANSPOSE,
    PERMUTE,      /* (a, b, c) read as (c, a, b) */
    CHANNELS_LAST /* images of `parameter` planes of side * side, read with the planes innermost */
} layout_kind;

typedef struct layout_recipe {
    const char *name;
    layout_kind kind;
    const char *format;
    int64_t itemsize;
    int64_t parameter;
    int64_t side;
} layout_recipe;

static const layout_recipe recipes[] = {
    {"contiguous", CONTIGUOUS, "B", 1, 0, 0},
    {"rows_16", ROWS, "B", 1, 16, 0},
    {"rows_64", ROWS, "B", 1, 64, 0},
    {"rows_256", ROWS, "B", 1, 256, 0},
    {"rows_4k", ROWS, "B", 1, 4096, 0},
    {"rows_64k", ROWS, "B", 1, 65536, 0},
    {"every_second_4", EVERY_SECOND, "4s", 4, 0, 0},
    {"transpose_2d_4", TRANSPOSE, "4s", 4, 0, 0},
    {"permute_3d_4", PERMUTE, "4s", 4, 0, 0},
    {"reversed_4", REVERSED, "4s", 4, 0, 0},
    {"nchw_to_nhwc_64_4", CHANNELS_LAST, "4s", 4, 64, 56},
    {"nchw_to_nhwc_3_1", CHANNELS_LAST, "B", 1, 3, 224},
    {"transpose_2d_12", TRANSPOSE, "12s", 12, 0, 0},
};
const size_t bench_nlayouts = sizeof(recipes) / sizeof(recipes[0]);

static int64_t at_least_1(int64_t value)
{
    return value < 1 ? 1 : value;
}

/* The largest power of two whose `power`th power is at most n. */
static int64_t root(int64_t n, int power)
{
    int64_t side = 1;
    for (;;) {
        int64_t product = 1;
        for (int i = 0; i < power; i++) {
            product *= side * 2;
        }
        if (product > n) {
            return side;
        }
        side *= 2;
    }
}

static void set_axis(bench_layout *layout, int32_t axis, int64_t extent, int64_t stride)
{
    layout->shape[axis] = extent;
    layout->strides[axis] = stride;
    layout->ndim = axis + 1;
}

bench_layout bench_layout_make(size_t index, int64_t nbytes)
{
    const layout_recipe *recipe = &recipes[index];
    int64_t item = recipe->itemsize;
    int64_t nitems = at_least_1(nbytes / item);
    int64_t rows = 0;
    int64_t columns = 0;
    bench_layout layout;
    memset(&layout, 0, sizeof(layout));
    layout.name = recipe->name;
    layout.format = recipe->format;
    layout.itemsize = item;
    switch (recipe->kind) {
    case CONTIGUOUS:
        set_axis(&layout, 0, nitems, item);
        break;
    case ROWS:
        set_axis(&layout, 0, at_least_1(nbytes / recipe->parameter), 2 * recipe->parameter);
        set_axis(&layout, 1, recipe->parameter, 1);
        break;
    case EVERY_SECOND:
        set_axis(&layout, 0, nitems, 2 * item);
        break;
    case REVERSED:
        set_axis(&layout, 0, nitems, -item);
        layout.byte_offset = (nitems - 1) * item;
        break;
    case TRANSPOSE:
        rows = root(nitems, 2);
        columns = nitems / rows;
        set_axis(&layout, 0, columns, item);
        set_axis(&layout, 1, rows, columns * item);
        break;
    case PERMUTE:
        rows = root(nitems, 3);
        columns = nitems / (rows * rows);
        set_axis(&layout, 0, columns, item);
        set_axis(&layout, 1, rows, rows * columns * item);
        set_axis(&layout, 2, rows, columns * item);
        break;
    case CHANNELS_LAST:
        rows = recipe->side;
        set_axis(&layout, 0, at_least_1(nitems / (recipe->parameter * rows * rows)),
                 recipe->parameter * rows * rows * item);
        set_axis(&layout, 1, rows, rows * item);
        set_axis(&layout, 2, rows, item);
        set_axis(&layout, 3, recipe->parameter, rows * rows * item);
        break;
    }
    int64_t reach = 0;
    layout.nbytes = item;
    for (int32_t axis = 0; axis < layout.ndim; axis++) {
        int64_t stride = layout.strides[axis];
        layout.nbytes *= layout.shape[axis];
        reach += (layout.shape[axis] - 1) * (stride < 0 ? -stride : stride);
    }
    layout.storage_nbytes = reach + item;
    return layout;
}

bench_layout bench_layout_packed(const bench_layout *layout)
{
    bench_layout packed = *layout;
    int64_t stride = packed.itemsize;
    for (int32_t axis = packed.ndim - 1; axis >= 0; axis--) {
        packed.strides[axis] = stride;
        stride *= packed.shape[axis];
    }
    packed.byte_offset = 0;
    packed.storage_nbytes = packed.nbytes;
    return packed;
}

ndbuf_status bench_layout_create(const bench_layout *layout, ndbuf_device *device, ndbuf_view *out_view,
                                 ndbuf_error *err)
{
    ndbuf_format *format = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_status status = ndbuf_format_parse(layout->format, 0, &format, err);
    if (status == NDBUF_OK) {
        status = ndbuf_storage_create(device, (size_t)layout->storage_nbytes, &storage, err);
    }
    if (status == NDBUF_OK) {
        const ndbuf_view_spec spec = {.format = format,
                                      .byte_offset = layout->byte_offset,
                                      .ndim = layout->ndim,
                                      .shape = layout->shape,
                                      .strides = layout->strides};
        status = ndbuf_view_init(out_view, storage, &spec, err);
    }
    ndbuf_storage_release(storage);
    ndbuf_format_release(format);
    return status;
}

void bench_runs_make(const bench_layout *dst, const bench_layout *src, bench_runs *out_runs)
{
    bench_runs runs;
    memset(&runs, 0, sizeof(runs));
    for (int32_t axis = 0; axis < dst->ndim; axis++) {
        int64_t extent = dst->shape[axis];
        int32_t last = runs.ndim - 1;
        if (extent == 1) {
            continue;
        }
        if (last >= 0 && runs.dst_strides[last] == dst->strides[axis] * extent &&
            runs.src_strides[last] == src->strides[axis] * extent) {
            extent *= runs.shape[last];
        } else {
            last = runs.ndim++;
        }
        runs.shape[last] = extent;
        runs.dst_strides[last] = dst->strides[axis];
        runs.src_strides[last] = src->strides[axis];
    }
    runs.run_nbytes = dst->itemsize;
    int32_t last = runs.ndim - 1;
    if (last >= 0 && runs.dst_strides[last] == runs.run_nbytes && runs.src_strides[last] == runs.run_nbytes) {
        runs.run_nbytes *= runs.shape[last];
        runs.ndim = last;
    }
    runs.dst_offset = dst->byte_offset;
    runs.src_offset = src->byte_offset;
    runs.nruns = dst->nbytes / runs.run_nbytes;
    *out_runs = runs;
}

bool bench_runs_are_rectangle(const bench_runs *runs)
{
    return runs->ndim == 0 ||
           (runs->ndim == 1 && runs->dst_strides[0] >= runs->run_nbytes && runs->src_strides[0] >= runs->run_nbytes);
}

int bench_runs_walk(const bench_runs *runs, bench_run_fn fn, void *context)
{
    int64_t index[BENCH_MAX_NDIM] = {0};
    int64_t dst = runs->dst_offset;
    int64_t src = runs->src_offset;
    for (int64_t run = 0; run < runs->nruns; run++) {
        int result = fn(context, dst, src, runs->run_nbytes);
        if (result != 0) {
            return result;
        }
        for (int32_t axis = runs->ndim - 1; axis >= 0; axis--) {
            dst += runs->dst_strides[axis];
            src += runs->src_strides[axis];
            if (++index[axis] < runs->shape[axis]) {
                break;
            }
            dst -= runs->dst_strides[axis] * runs->shape[axis];
            src -= runs->src_strides[axis] * runs->shape[axis];
            index[axis] = 0;
        }
    }
    return 0;
}
