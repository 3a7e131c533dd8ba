/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_AXES_H
#define NDBUF_CORE_COPY_AXES_H

/* The axes of a copy: two strided sides of one shape, brought to the fewest axes. Pure arithmetic. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/backend.h"
#include "ndbuf/view.h"

/* One more than a view has: the bytes of an item may become an axis. */
#define NDBUF__MAX_AXES (NDBUF_MAX_NDIM + 1)

/* What becomes of each unit on the way. Zero-initialised is valid: its bytes are copied. */
typedef struct ndbuf__convert {
    ndbuf_element dst; /* number 0 on both sides: items of records */
    ndbuf_element src;
    uint32_t flags; /* NDBUF_CAST_... bits */
} ndbuf__convert;

static inline bool ndbuf__converts(const ndbuf__convert *convert)
{
    return convert->src.nbytes != 0;
}

/* The NDBUF_CAN_... bits that a backend needs for it. */
uint32_t ndbuf__convert_caps(const ndbuf__convert *convert);

/* At each index of `shape`, unit_nbytes contiguous bytes go from src to dst, or an element of the source becomes one of
 * the destination. Offsets are in bytes from item 0..0 of each side. Only the first ndim entries of the arrays are set.
 */
typedef struct ndbuf__copy_axes {
    int32_t ndim;
    ndbuf__convert convert;
    int64_t unit_nbytes; /* of a conversion: of the destination's elements */
    int64_t dst_offset;
    int64_t src_offset;
    int64_t shape[NDBUF__MAX_AXES];
    int64_t dst_strides[NDBUF__MAX_AXES];
    int64_t src_strides[NDBUF__MAX_AXES];
} ndbuf__copy_axes;

static inline int64_t ndbuf__stride_magnitude(int64_t stride)
{
    return stride < 0 ? -stride : stride;
}

/* Bytes of a unit in the source. */
static inline int64_t ndbuf__copy_axes_src_unit(const ndbuf__copy_axes *axes)
{
    return ndbuf__converts(&axes->convert) ? axes->convert.src.nbytes : axes->unit_nbytes;
}

/* Drops axes of extent 1, turns destination strides positive, sorts the axes by them (largest first), merges neighbours
 * that are one axis on both sides, and folds contiguous axes into the unit unless that is converted. No extent is 0. */
void ndbuf__copy_axes_merge(ndbuf__copy_axes *axes);

/* Appends an axis. */
static inline void ndbuf__copy_axes_append(ndbuf__copy_axes *axes, int64_t extent, int64_t dst_stride,
                                           int64_t src_stride)
{
    int32_t k = axes->ndim++;
    axes->shape[k] = extent;
    axes->dst_strides[k] = dst_stride;
    axes->src_strides[k] = src_stride;
}

/* Axes, not merged, of items whose bytes are copied. */
static inline void ndbuf__copy_axes_init(ndbuf__copy_axes *out_axes, int64_t itemsize, int32_t ndim,
                                         const int64_t *shape, const int64_t *dst_strides, const int64_t *src_strides)
{
    out_axes->ndim = 0;
    out_axes->convert = (ndbuf__convert){0};
    out_axes->unit_nbytes = itemsize;
    out_axes->dst_offset = 0;
    out_axes->src_offset = 0;
    for (int32_t k = 0; k < ndim; k++) {
        ndbuf__copy_axes_append(out_axes, shape[k], dst_strides[k], src_strides[k]);
    }
}

/* The same, merged: ndbuf__copy_axes_init and ndbuf__copy_axes_merge in one pass. */
void ndbuf__copy_axes_of_items(ndbuf__copy_axes *out_axes, int64_t itemsize, int32_t ndim, const int64_t *shape,
                               const int64_t *dst_strides, const int64_t *src_strides);

/* Product of the shape. */
int64_t ndbuf__copy_axes_nunits(const ndbuf__copy_axes *axes);

/* Pieces that are contiguous on both sides: units, or rows of elements that are converted. */
int64_t ndbuf__copy_axes_nruns(const ndbuf__copy_axes *axes);

/* Bytes that are moved, for estimates: of a conversion, those of the larger side. */
double ndbuf__copy_axes_traffic(const ndbuf__copy_axes *axes);

/* Whether the destination's units keep clear of each other by size alone, once the axes are merged: the common case,
 * for which no search is needed. */
bool ndbuf__copy_axes_keep_apart(const ndbuf__copy_axes *axes);

/* The bytes that one side reaches, from its item 0..0: [*out_lo, *out_hi). They lie inside its memory, so nothing
 * overflows. */
void ndbuf__copy_axes_range(const ndbuf__copy_axes *axes, bool of_dst, int64_t *out_lo, int64_t *out_hi);

/* Writes strides that pack a box of this shape and unit in the order in which the strides `by` lie in memory, with
 * their signs; axes where `strides` has 0 get 0 and take no room, and where only `by` has it they come outermost.
 * Returns the offset of index 0..0 from the lowest byte; *out_nbytes is what the packed box takes. */
int64_t ndbuf__copy_axes_pack(int32_t ndim, const int64_t *shape, const int64_t *strides, const int64_t *by,
                              int64_t unit_nbytes, int64_t *out_strides, int64_t *out_nbytes);

#endif
