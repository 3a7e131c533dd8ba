/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_COPY_H
#define NDBUF_CORE_HOST_COPY_H

/* Strided copies on the host that follow pointers, and conversions. */

#include "ndbuf/status.h"

#include "core/conversion.h"
#include "core/copy_axes.h"

/* The strided host copy that a plan with suboffsets, or a box of a staged one, comes down to. */
typedef struct ndbuf__host_copy {
    int32_t depth;        /* axes that are walked one by one, down to the last one with suboffsets */
    const int64_t *shape; /* depth entries, like the following */
    const int64_t *dst_strides;
    const int64_t *src_strides;
    const int64_t *dst_suboffsets;
    const int64_t *src_suboffsets;
    ndbuf__copy_axes axes;       /* the other axes, merged */
    const ndbuf__record *record; /* of several parts; NULL: axes.convert says all about the items */
} ndbuf__host_copy;

/* Steps to an index of an axis, and through its pointer if it leads to one. */
char *ndbuf__host_copy_step(char *address, const int64_t *strides, const int64_t *suboffsets, int32_t axis,
                            int64_t index);

/* Prepares a host copy. The arrays have ndim entries and must outlive it, and so must the record; suboffset arrays may
 * be NULL. */
void ndbuf__host_copy_prepare(ndbuf__host_copy *out_copy, const ndbuf__cast *cast, int32_t ndim, int64_t unit_nbytes,
                              const int64_t *shape, const int64_t *dst_strides, const int64_t *dst_suboffsets,
                              const int64_t *src_strides, const int64_t *src_suboffsets);

/* The same for axes that are merged already. */
void ndbuf__host_copy_of_axes(ndbuf__host_copy *out_copy, const ndbuf__copy_axes *axes, const ndbuf__record *record);

/* Moves the bytes between host addresses of item 0..0; returns when they are there. Statuses of the host's backend. */
ndbuf_status ndbuf__host_copy_run(const ndbuf__host_copy *copy, char *dst, const char *src, ndbuf_error *err);

#endif
