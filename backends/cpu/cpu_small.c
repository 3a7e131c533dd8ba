/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_engine.h"

#include <stdbool.h>

#include "core/copy_axes.h"

#include "backends/cpu/cpu_strided.h"

/* Sides of planes that are transposed by vectors. */
#define MAX_SIDE 128

/* The two last axes. */
typedef struct cpu_plane {
    int64_t unit;
    int32_t swap;                             /* numbers of so many bytes are reversed; 0: not */
    int64_t nrows, row_dst, row_src;          /* the axis before the last one */
    int64_t ncolumns, column_dst, column_src; /* the last one */
    cpu_transpose_fn turn;                    /* NULL: row by row */
    const cpu_kernels *kernels;               /* whose rows to take; NULL: scalar ones */
} cpu_plane;

/* The kernel that turns the plane, where it is dense on both sides and not too small for its blocks. */
static cpu_transpose_fn find_turn(const cpu_plane *plane, const cpu_kernels *kernels)
{
    int size = cpu_size_index(plane->unit);
    if (size < 0 || plane->column_dst != plane->unit || plane->row_src != plane->unit || plane->nrows > MAX_SIDE ||
        plane->ncolumns > MAX_SIDE) {
        return NULL;
    }
    while (kernels != NULL &&
           (plane->ncolumns < kernels->block_side[size] || plane->nrows < kernels->block_side[size])) {
        kernels = kernels->narrower;
    }
    return kernels != NULL && kernels->block_side[size] > 1 ? kernels->transpose[size] : NULL;
}

static void plane_turn(const cpu_plane *plane, char *dst, const char *src)
{
    int64_t dst_offsets[MAX_SIDE];
    int64_t src_offsets[MAX_SIDE];
    for (int64_t b = 0; b < plane->nrows; b++) {
        dst_offsets[b] = b * plane->row_dst;
    }
    for (int64_t a = 0; a < plane->ncolumns; a++) {
        src_offsets[a] = a * plane->column_src;
    }
    plane->turn(dst, dst_offsets, src, src_offsets, plane->ncolumns, plane->nrows, 0, plane->swap);
}

static void plane_copy(const cpu_plane *plane, char *dst, const char *src)
{
    if (plane->turn != NULL) {
        plane_turn(plane, dst, src);
        return;
    }
    cpu_row_fn row_fn = ndbuf_cpu__row_fn(plane->unit, plane->swap);
    for (int64_t i = 0; i < plane->nrows; i++) {
        if (plane->kernels != NULL) {
            plane->kernels->rows(dst, plane->column_dst, src, plane->column_src, plane->ncolumns, plane->unit, 0,
                                 plane->swap);
        } else {
            row_fn(dst, plane->column_dst, src, plane->column_src, plane->ncolumns, plane->unit);
        }
        dst += plane->row_dst;
        src += plane->row_src;
    }
}

void ndbuf_cpu__copy_small(const cpu_box *box, const cpu_kernels *kernels)
{
    int32_t last = box->ndim - 1;
    cpu_plane plane = {.unit = box->unit_nbytes,
                       .swap = box->swap_nbytes,
                       .nrows = last > 0 ? box->shape[last - 1] : 1,
                       .row_dst = last > 0 ? box->dst_strides[last - 1] : 0,
                       .row_src = last > 0 ? box->src_strides[last - 1] : 0,
                       .ncolumns = box->shape[last],
                       .column_dst = box->dst_strides[last],
                       .column_src = box->src_strides[last],
                       .kernels = box->unit_nbytes > 8 ? kernels : NULL};
    if (last > 0) {
        plane.turn = find_turn(&plane, kernels);
    }
    if (last <= 1) {
        plane_copy(&plane, box->dst, box->src);
        return;
    }
    int64_t index[NDBUF__MAX_AXES];
    char *dst = box->dst;
    const char *src = box->src;
    for (int32_t k = 0; k < last - 1; k++) {
        index[k] = 0;
    }
    for (;;) {
        plane_copy(&plane, dst, src);
        int32_t k = last - 2;
        for (; k >= 0; k--) {
            dst += box->dst_strides[k];
            src += box->src_strides[k];
            if (++index[k] < box->shape[k]) {
                break;
            }
            dst -= box->dst_strides[k] * box->shape[k];
            src -= box->src_strides[k] * box->shape[k];
            index[k] = 0;
        }
        if (k < 0) {
            return;
        }
    }
}
