/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_SHORT_WAY_H
#define NDBUF_CORE_SHORT_WAY_H

/* The short way of small copies on the host that were decided before. No call but the last, so that nothing is saved
 * and restored. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/view.h"

#include "core/compiler.h"
#include "core/copy_axes.h"
#include "core/host_steps.h"
#include "core/storage_core.h"
#include "core/view_core.h"

typedef struct ndbuf__short_way {
    int64_t dst_lo, dst_hi; /* the bytes that are reached, from the first item */
    int64_t src_lo, src_hi;
    int64_t dst_offset; /* of the first unit, likewise */
    int64_t src_offset;
    bool has_steps;
    ndbuf__host_steps steps;
} ndbuf__short_way;

/* With room for `max` offsets of a side, see ndbuf__host_steps_init. */
static inline void ndbuf__short_way_init(ndbuf__short_way *out_way, ndbuf__arrangement *arrangement, int64_t *offsets,
                                         int32_t max, const ndbuf__copy_axes *axes)
{
    ndbuf__copy_axes_range(axes, true, &out_way->dst_lo, &out_way->dst_hi);
    ndbuf__copy_axes_range(axes, false, &out_way->src_lo, &out_way->src_hi);
    out_way->dst_offset = axes->dst_offset;
    out_way->src_offset = axes->src_offset;
    out_way->has_steps = ndbuf__host_steps_init(&out_way->steps, arrangement, offsets, max, axes);
}

static inline char *ndbuf__short_way_place(const ndbuf_view *view)
{
    return (char *)view->storage->mem.host_address + view->byte_offset;
}

/* Whether the first items' places keep what is written clear of what is read. */
static inline bool ndbuf__short_way_is_apart(const ndbuf__short_way *way, const char *dst, const char *src)
{
    const uintptr_t to = (uintptr_t)dst;
    const uintptr_t from = (uintptr_t)src;
    return to + (uintptr_t)way->dst_lo >= from + (uintptr_t)way->src_hi ||
           from + (uintptr_t)way->src_lo >= to + (uintptr_t)way->dst_hi;
}

/* One with steps. */
static inline ndbuf_status ndbuf__short_way_run(const ndbuf__short_way *way, char *dst, const char *src)
{
    return way->steps.run(&way->steps, dst + way->dst_offset, src + way->src_offset);
}

static inline uint64_t ndbuf__differ(const void *a, const void *b)
{
    return (uint64_t)((uintptr_t)a ^ (uintptr_t)b);
}

/* 0: the view is on the device, without suboffsets, and may be used now. */
static inline uint64_t ndbuf__view_differences(const ndbuf_view *view, const ndbuf_device *device)
{
    return ndbuf__differ(view->storage->mem.device, device) | ndbuf__differ(view->suboffsets, NULL) |
           ndbuf__differ(view->ready, NULL);
}

/* 0: `ndim` extents and as many strides of both sides are the same. Two at a time. */
static inline uint64_t ndbuf__dims_differences(int32_t ndim, const int64_t *dst, const int64_t *dst_known,
                                               const int64_t *src, const int64_t *src_known)
{
    uint64_t differences = 0;
    for (int32_t k = 0; k < ndim; k++) {
        differences |= (uint64_t)((dst[2 * k] ^ dst_known[2 * k]) | (dst[2 * k + 1] ^ dst_known[2 * k + 1]) |
                                  (src[2 * k] ^ src_known[2 * k]) | (src[2 * k + 1] ^ src_known[2 * k + 1]));
        NDBUF__KEEP_AS_LOOP(differences);
    }
    return differences;
}

#endif
