/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_backend.h"

#include <stdbool.h>
#include <string.h>

#include "core/copy_axes.h"

/* A transposing pair of axes is walked in square tiles, so that each cache line of both sides is used up while it is
 * there: this many bytes of either side per tile row. */
#define TILE_ROW_NBYTES 256

/* `count` units from src to dst, each stepping by its own stride. */
typedef void (*row_fn)(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,
                       int64_t unit_nbytes);

/* memcpy of a constant size is one load and one store, at any alignment. */
#define DEFINE_ROW_FN(nbytes)                                                                                          \
    static void row_##nbytes(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,        \
                             int64_t unit_nbytes)                                                                      \
    {                                                                                                                  \
        (void)unit_nbytes;                                                                                             \
        for (int64_t i = 0; i < count; i++) {                                                                          \
            memcpy(dst + i * dst_stride, src + i * src_stride, nbytes);                                                \
        }                                                                                                              \
    }

DEFINE_ROW_FN(1)
DEFINE_ROW_FN(2)
DEFINE_ROW_FN(3)
DEFINE_ROW_FN(4)
DEFINE_ROW_FN(6)
DEFINE_ROW_FN(8)
DEFINE_ROW_FN(12)
DEFINE_ROW_FN(16)

static void row_any(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count,
                    int64_t unit_nbytes)
{
    for (int64_t i = 0; i < count; i++) {
        memcpy(dst + i * dst_stride, src + i * src_stride, (size_t)unit_nbytes);
    }
}

static row_fn row_fn_of(int64_t unit_nbytes)
{
    switch (unit_nbytes) {
    case 1:
        return row_1;
    case 2:
        return row_2;
    case 3:
        return row_3;
    case 4:
        return row_4;
    case 6:
        return row_6;
    case 8:
        return row_8;
    case 12:
        return row_12;
    case 16:
        return row_16;
    default:
        return row_any;
    }
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* The innermost two loops: `row` is the axis along which the destination is fastest, `column` another one. */
typedef struct cpu_plane {
    row_fn row;
    int64_t unit_nbytes;
    int64_t nrows, ncolumns; /* extents of the column axis and of the row axis */
    int64_t dst_row_stride, src_row_stride;
    int64_t dst_column_stride, src_column_stride;
    int64_t tile_nrows, tile_ncolumns;
} cpu_plane;

static void plane_copy(const cpu_plane *plane, char *dst, const char *src)
{
    for (int64_t i0 = 0; i0 < plane->nrows; i0 += plane->tile_nrows) {
        int64_t i1 = smaller(i0 + plane->tile_nrows, plane->nrows);
        for (int64_t j0 = 0; j0 < plane->ncolumns; j0 += plane->tile_ncolumns) {
            int64_t count = smaller(plane->tile_ncolumns, plane->ncolumns - j0);
            for (int64_t i = i0; i < i1; i++) {
                plane->row(dst + i * plane->dst_row_stride + j0 * plane->dst_column_stride, plane->dst_column_stride,
                           src + i * plane->src_row_stride + j0 * plane->src_column_stride, plane->src_column_stride,
                           count, plane->unit_nbytes);
            }
        }
    }
}

/* The axis beside the last one that makes the plane: where the source is fastest, or the next outer one. */
static int32_t column_axis(const cpu_box *box)
{
    int32_t best = box->ndim - 2;
    for (int32_t k = 0; k < box->ndim - 1; k++) {
        if (ndbuf__stride_magnitude(box->src_strides[k]) < ndbuf__stride_magnitude(box->src_strides[best])) {
            best = k;
        }
    }
    return best;
}

static cpu_plane plane_make(const cpu_box *box, int32_t column)
{
    int32_t last = box->ndim - 1;
    cpu_plane plane = {.row = row_fn_of(box->unit_nbytes),
                       .unit_nbytes = box->unit_nbytes,
                       .nrows = column >= 0 ? box->shape[column] : 1,
                       .ncolumns = box->shape[last],
                       .dst_row_stride = column >= 0 ? box->dst_strides[column] : 0,
                       .src_row_stride = column >= 0 ? box->src_strides[column] : 0,
                       .dst_column_stride = box->dst_strides[last],
                       .src_column_stride = box->src_strides[last]};
    plane.tile_nrows = plane.nrows;
    plane.tile_ncolumns = plane.ncolumns;
    if (column >= 0 &&
        ndbuf__stride_magnitude(plane.src_row_stride) < ndbuf__stride_magnitude(plane.src_column_stride)) {
        int64_t side = TILE_ROW_NBYTES / box->unit_nbytes;
        plane.tile_nrows = plane.tile_ncolumns = side > 8 ? side : 8;
    }
    return plane;
}

/* Where a walk through the outer axes of a box stands. */
typedef struct cpu_walk {
    char *dst;
    const char *src;
    int64_t index[NDBUF_MAX_NDIM + 1];
} cpu_walk;

/* The next place along axes 0 .. naxes - 1 except `skipped`, last axis fastest; false at the end. */
static bool walk_next(cpu_walk *walk, const cpu_box *box, int32_t naxes, int32_t skipped)
{
    for (int32_t k = naxes - 1; k >= 0; k--) {
        if (k == skipped) {
            continue;
        }
        walk->dst += box->dst_strides[k];
        walk->src += box->src_strides[k];
        if (++walk->index[k] < box->shape[k]) {
            return true;
        }
        walk->dst -= box->dst_strides[k] * box->shape[k];
        walk->src -= box->src_strides[k] * box->shape[k];
        walk->index[k] = 0;
    }
    return false;
}

static cpu_walk walk_start(const cpu_box *box)
{
    cpu_walk walk;
    walk.dst = box->dst;
    walk.src = box->src;
    memset(walk.index, 0, (size_t)box->ndim * sizeof(walk.index[0]));
    return walk;
}

void ndbuf_cpu__copy_box(const cpu_box *box)
{
    if (box->ndim == 0) {
        memcpy(box->dst, box->src, (size_t)box->unit_nbytes);
        return;
    }
    int32_t column = box->ndim > 1 ? column_axis(box) : -1;
    cpu_plane plane = plane_make(box, column);
    cpu_walk walk = walk_start(box);
    do {
        plane_copy(&plane, walk.dst, walk.src);
    } while (walk_next(&walk, box, box->ndim - 1, column));
}

/* `count` copies of an item side by side, each step copying all that is there. */
static void fill_dense(char *dst, const char *item, int64_t item_nbytes, int64_t count)
{
    size_t nbytes = (size_t)(item_nbytes * count);
    if (item_nbytes == 1) {
        memset(dst, *item, nbytes);
        return;
    }
    size_t done = (size_t)item_nbytes;
    memcpy(dst, item, done);
    while (done < nbytes) {
        size_t step = done < nbytes - done ? done : nbytes - done;
        memcpy(dst + done, dst, step);
        done += step;
    }
}

void ndbuf_cpu__fill_box(const cpu_box *box)
{
    static const int64_t no_strides[NDBUF_MAX_NDIM + 1] = {0};
    cpu_box pattern = *box;
    pattern.src_strides = no_strides;
    int32_t last = box->ndim - 1;
    if (last < 0 || box->dst_strides[last] != box->unit_nbytes) {
        ndbuf_cpu__copy_box(&pattern);
        return;
    }
    cpu_walk walk = walk_start(&pattern);
    do {
        fill_dense(walk.dst, box->src, box->unit_nbytes, box->shape[last]);
    } while (walk_next(&walk, &pattern, last, -1));
}
