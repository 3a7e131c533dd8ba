/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_LAYOUT_H
#define NDBUF_CORE_LAYOUT_H

/* Facts about strided layouts: pure arithmetic, no memory is touched. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/view.h"

/* Where the items of a view lie, relative to its first item. All arrays have ndim entries; none is NULL when ndim > 0,
 * but suboffsets may be: none. */
typedef struct ndbuf__layout {
    int32_t ndim;
    int64_t itemsize; /* bytes */
    const int64_t *shape;
    const int64_t *strides; /* bytes */
    const int64_t *suboffsets;
} ndbuf__layout;

/* Product of the shape; *overflow is set where it, or times itemsize, exceeds 63 bits (unless an extent is 0). */
int64_t ndbuf__layout_nitems(const ndbuf__layout *layout, bool *overflow);

bool ndbuf__layout_has_items(const ndbuf__layout *layout);

/* The reachable bytes relative to item 0..0: [*out_lo, *out_hi), both 0 without items. With suboffsets: down to the
 * first pointers, which are sizeof(void *) bytes. *overflow is set beyond 63 bits. Strides of extents <= 1 are ignored.
 */
void ndbuf__layout_range(const ndbuf__layout *layout, int64_t *out_lo, int64_t *out_hi, bool *overflow);

/* Whether an offset behind a pointer, suboffsets included, would exceed 63 bits: ndbuf__layout_range does not look
 * there. */
bool ndbuf__layout_overflows_behind_pointers(const ndbuf__layout *layout);

/* The axes behind the last pointer, as a layout of their own; all of them if there are no suboffsets. */
ndbuf__layout ndbuf__layout_tail(const ndbuf__layout *layout);

/* Both contiguous where there are no bytes at all; neither with suboffsets. */
bool ndbuf__layout_is_contiguous(const ndbuf__layout *layout, char order);

/* Writes the strides of a contiguous layout; those of a layout without items too. *overflow is set beyond 63 bits. */
void ndbuf__layout_fill_strides(int32_t ndim, const int64_t *shape, int64_t itemsize, char order, int64_t *out_strides,
                                bool *overflow);

/* The next index of the first `ndim` axes, in C order; false behind the last one, when all are 0 again. */
static inline bool ndbuf__layout_advance(const ndbuf__layout *layout, int64_t *index, int32_t ndim)
{
    for (int32_t k = ndim - 1; k >= 0; k--) {
        if (++index[k] < layout->shape[k]) {
            return true;
        }
        index[k] = 0;
    }
    return false;
}

/* What an overlap test may try before it gives up: some milliseconds. */
enum { NDBUF__OVERLAP_WORK = 1 << 16 };

/* Do bytes of layout `a` at a_offset and of `b` at b_offset coincide? Neither has suboffsets. What the test costs is
 * taken from *work; with nothing left, only easy cases are decided. */
ndbuf_answer ndbuf__layout_overlap(const ndbuf__layout *a, int64_t a_offset, const ndbuf__layout *b, int64_t b_offset,
                                   int64_t *work);

/* Do two different indices reach a common byte? Without suboffsets. */
ndbuf_answer ndbuf__layout_self_overlap(const ndbuf__layout *layout);

#endif
