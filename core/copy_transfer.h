/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_TRANSFER_H
#define NDBUF_CORE_COPY_TRANSFER_H

/* A transfer: a copy that one backend does by itself, in one or more calls of one kind. */

#include <stdbool.h>

#include "ndbuf/backend.h"

#include "core/copy_axes.h"

/* One way to do a transfer. */
typedef struct ndbuf__transfer {
    ndbuf_route route;        /* NDBUF_ROUTE_BYTES, _RECT or _STRIDED; _NONE: this way is not open */
    int32_t row_axis;         /* of the rectangles; else -1 */
    int32_t slice_axis;       /* of 3-D rectangles; else -1 */
    bool needs_equal_pitches; /* rectangles within one piece of memory, that is */
    int64_t ncalls;
    int64_t nrows;  /* contiguous pieces in all calls together */
    double cost_ns; /* estimate; without waiting */
} ndbuf__transfer;

/* The way by `route`, if the backend offers it and the axes (merged) permit it. */
ndbuf__transfer ndbuf__transfer_by(ndbuf_route route, const ndbuf__copy_axes *axes, const ndbuf_copy_caps *caps);

/* The cheapest way, or one with route NDBUF_ROUTE_NONE. */
ndbuf__transfer ndbuf__transfer_choose(const ndbuf__copy_axes *axes, const ndbuf_copy_caps *caps);

/* Both ends of a transfer: offsets are those of item 0..0, to which the axes' own are added. */
typedef struct ndbuf__transfer_ends {
    const ndbuf_mem *dst;
    const ndbuf_mem *src;
    int64_t dst_offset;
    int64_t src_offset;
} ndbuf__transfer_ends;

/* The one call of a strided transfer. Statuses of the backend. */
static inline ndbuf_status ndbuf__transfer_strided(const ndbuf__copy_axes *axes, const ndbuf_backend_ops *ops,
                                                   ndbuf_queue *queue, const ndbuf__transfer_ends *ends,
                                                   ndbuf_error *err)
{
    const ndbuf_copy_side dst = {ends->dst, ends->dst_offset + axes->dst_offset, axes->dst_strides};
    const ndbuf_copy_side src = {ends->src, ends->src_offset + axes->src_offset, axes->src_strides};
    if (ndbuf__converts(&axes->convert)) {
        const ndbuf_convert_box box = {.dst = dst,
                                       .src = src,
                                       .dst_element = axes->convert.dst,
                                       .src_element = axes->convert.src,
                                       .ndim = axes->ndim,
                                       .flags = axes->convert.flags,
                                       .shape = axes->shape};
        return ops->convert_strided(queue, &box, err);
    }
    const ndbuf_strided box = {
        .dst = dst, .src = src, .ndim = axes->ndim, .shape = axes->shape, .unit_nbytes = axes->unit_nbytes};
    return ops->copy_strided(queue, &box, err);
}

/* Enqueues all calls by `ops`, the backend that offered the way. *out_started tells whether any call was made, be it
 * one that failed: then the memory may be in use even though an error is returned. Statuses of the backend;
 * NDBUF_ERR_UNSUPPORTED also where both ends are one piece of memory and that forbids the rectangles. */
ndbuf_status ndbuf__transfer_run(const ndbuf__transfer *transfer, const ndbuf__copy_axes *axes,
                                 const ndbuf_backend_ops *ops, ndbuf_queue *queue, const ndbuf__transfer_ends *ends,
                                 bool *out_started, ndbuf_error *err);

#endif
