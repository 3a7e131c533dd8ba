/* SPDX-License-Identifier: Apache-2.0 */
#include "core/host_copy.h"

#include <stdbool.h>
#include <stddef.h>

#include "ndbuf/backend.h"

#include "core/copy_transfer.h"
#include "core/host_records.h"
#include "core/host_rows.h"
#include "core/view_core.h"

static bool is_indirect(const int64_t *suboffsets, int32_t axis)
{
    return suboffsets != NULL && suboffsets[axis] >= 0;
}

void ndbuf__host_copy_prepare(ndbuf__host_copy *out_copy, const ndbuf__cast *cast, int32_t ndim, int64_t unit_nbytes,
                              const int64_t *shape, const int64_t *dst_strides, const int64_t *dst_suboffsets,
                              const int64_t *src_strides, const int64_t *src_suboffsets)
{
    int32_t depth = 0;
    for (int32_t k = 0; k < ndim; k++) {
        if (is_indirect(dst_suboffsets, k) || is_indirect(src_suboffsets, k)) {
            depth = k + 1;
        }
    }
    out_copy->depth = depth;
    out_copy->shape = shape;
    out_copy->dst_strides = dst_strides;
    out_copy->src_strides = src_strides;
    out_copy->dst_suboffsets = dst_suboffsets;
    out_copy->src_suboffsets = src_suboffsets;
    out_copy->record = ndbuf__cast_parts(cast);
    out_copy->axes.ndim = 0;
    out_copy->axes.convert = cast->convert;
    out_copy->axes.unit_nbytes = unit_nbytes;
    out_copy->axes.dst_offset = 0;
    out_copy->axes.src_offset = 0;
    for (int32_t k = depth; k < ndim; k++) {
        ndbuf__copy_axes_append(&out_copy->axes, shape[k], dst_strides[k], src_strides[k]);
    }
    ndbuf__copy_axes_merge(&out_copy->axes);
}

void ndbuf__host_copy_of_axes(ndbuf__host_copy *out_copy, const ndbuf__copy_axes *axes, const ndbuf__record *record)
{
    out_copy->depth = 0;
    out_copy->axes = *axes;
    out_copy->record = record;
}

char *ndbuf__host_copy_step(char *address, const int64_t *strides, const int64_t *suboffsets, int32_t axis,
                            int64_t index)
{
    address += index * strides[axis];
    if (suboffsets != NULL && suboffsets[axis] >= 0) {
        address = ndbuf__load_pointer(address) + suboffsets[axis];
    }
    return address;
}

static ndbuf_status copy_axes(const ndbuf__copy_axes *axes, char *dst, const char *src, ndbuf_error *err)
{
    ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_mem dst_mem = {.device = host, .handle = dst, .host_address = dst};
    ndbuf_mem src_mem = {.device = host, .handle = (void *)src, .host_address = (void *)src};
    const ndbuf__transfer_ends ends = {.dst = &dst_mem, .src = &src_mem};
    return ndbuf__transfer_strided(axes, host->ops, host->default_queue, &ends, err);
}

static ndbuf_status host_copy_leaf(const ndbuf__host_copy *copy, char *dst, const char *src, ndbuf_error *err)
{
    return copy->record != NULL
               ? ndbuf__host_records_convert(&copy->axes, ndbuf__record_conversion(copy->record), dst, src, err)
               : copy_axes(&copy->axes, dst, src, err);
}

/* Rows of contiguous bytes, from here on left to the host's engine, which writes past the caches. */
#define MAX_ROW_NBYTES ((int64_t)1 << 20)

static ndbuf__host_row_side row_side(char *first, const int64_t *strides, const int64_t *suboffsets, int32_t axis,
                                     int64_t offset)
{
    return (ndbuf__host_row_side){first, strides[axis], suboffsets != NULL ? suboffsets[axis] : -1, offset};
}

/* All rows of one index of the outer axes, from the places where they begin. */
static void copy_rows(const ndbuf__host_copy *copy, char *dst, char *src)
{
    int32_t axis = copy->depth - 1;
    const ndbuf__host_rows rows = {
        .dst = row_side(dst, copy->dst_strides, copy->dst_suboffsets, axis, copy->axes.dst_offset),
        .src = row_side(src, copy->src_strides, copy->src_suboffsets, axis, copy->axes.src_offset),
        .count = copy->shape[axis],
        .nbytes = copy->axes.unit_nbytes};
    ndbuf__host_rows_copy(&rows);
}

ndbuf_status ndbuf__host_copy_run(const ndbuf__host_copy *copy, char *dst, const char *src, ndbuf_error *err)
{
    /* The addresses reached at each depth, so that only what changes is walked again. */
    char *dst_at[NDBUF__MAX_AXES + 1];
    char *src_at[NDBUF__MAX_AXES + 1];
    int64_t index[NDBUF__MAX_AXES];
    int32_t depth = 0;
    bool in_rows = copy->depth > 0 && copy->axes.ndim == 0 && copy->axes.unit_nbytes <= MAX_ROW_NBYTES &&
                   !ndbuf__converts(&copy->axes.convert);
    int32_t walked = in_rows ? copy->depth - 1 : copy->depth;
    for (int32_t k = 0; k < walked; k++) {
        index[k] = 0;
    }
    dst_at[0] = dst;
    src_at[0] = (char *)src;
    for (;;) {
        for (; depth < walked; depth++) {
            dst_at[depth + 1] =
                ndbuf__host_copy_step(dst_at[depth], copy->dst_strides, copy->dst_suboffsets, depth, index[depth]);
            src_at[depth + 1] =
                ndbuf__host_copy_step(src_at[depth], copy->src_strides, copy->src_suboffsets, depth, index[depth]);
        }
        if (in_rows) {
            copy_rows(copy, dst_at[depth], src_at[depth]);
        } else {
            ndbuf_status status = host_copy_leaf(copy, dst_at[depth], src_at[depth], err);
            if (status != NDBUF_OK) {
                return status;
            }
        }
        for (depth--; depth >= 0 && ++index[depth] == copy->shape[depth]; depth--) {
            index[depth] = 0;
        }
        if (depth < 0) {
            return NDBUF_OK;
        }
    }
}
