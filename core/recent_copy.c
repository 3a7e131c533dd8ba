/* SPDX-License-Identifier: Apache-2.0 */
#include "core/recent_copy.h"

#include <stddef.h>
#include <string.h>

/* So many copies are alike before the next ones are worth deciding for: that takes as long as some of them. */
#define ALIKE 8
/* While no two are alike, at most so many are passed over before one is noted again: a power of two, less one. */
#define MAX_PATIENCE 63

_Thread_local ndbuf__recent_copies ndbuf__recent;

/* The axes are no more than those of the views. */
static void keep_axes(ndbuf__recent_copy *copy, const ndbuf__copy_axes *axes)
{
    int64_t *kept = copy->room.offsets;
    const size_t nbytes = (size_t)axes->ndim * sizeof(*kept);
    copy->naxes = axes->ndim;
    copy->unit_nbytes = axes->unit_nbytes;
    memcpy(kept, axes->shape, nbytes);
    memcpy(kept + NDBUF__RECENT_NDIM, axes->dst_strides, nbytes);
    memcpy(kept + (ptrdiff_t)2 * NDBUF__RECENT_NDIM, axes->src_strides, nbytes);
}

void ndbuf__recent_axes(const ndbuf__recent_copy *copy, ndbuf__copy_axes *out_axes)
{
    const int64_t *kept = copy->room.offsets;
    ndbuf__copy_axes_init(out_axes, copy->unit_nbytes, copy->naxes, kept, kept + NDBUF__RECENT_NDIM,
                          kept + (ptrdiff_t)2 * NDBUF__RECENT_NDIM);
    out_axes->dst_offset = copy->way.dst_offset;
    out_axes->src_offset = copy->way.src_offset;
}

/* Decides, if the host's engine has no choice about such views. */
static void decide(ndbuf__recent_copy *copy, const ndbuf_view *dst, const ndbuf_view *src)
{
    const ndbuf_device *host = ndbuf_device_cpu();
    ndbuf__copy_axes axes;
    if ((ndbuf__view_differences(dst, host) | ndbuf__view_differences(src, host)) == 0 &&
        memcmp(dst->dims, src->dims, (size_t)dst->ndim * sizeof(*dst->dims)) == 0) {
        ndbuf__copy_axes_of_items(&axes, dst->itemsize, dst->ndim, dst->dims, dst->dims + dst->ndim,
                                  src->dims + src->ndim);
        if (ndbuf__copy_axes_keep_apart(&axes)) {
            copy->device = host;
            ndbuf__short_way_init(&copy->way, &copy->room.arrangement, copy->room.offsets, NDBUF__RECENT_STEPS, &axes);
            if (!copy->way.has_steps) {
                keep_axes(copy, &axes);
            }
            copy->is_decided = true;
        }
    }
}

void ndbuf__recent_note(ndbuf__recent_copies *recent, const ndbuf_view *dst, const ndbuf_view *src)
{
    recent->to_pass_over = 0;
    if (dst->ndim == 0 || dst->ndim > NDBUF__RECENT_NDIM || dst->ndim != src->ndim || dst->nbytes == 0) {
        return;
    }
    for (int32_t i = 0; i < NDBUF__RECENT_COPIES; i++) {
        ndbuf__recent_copy *copy = &recent->copies[i];
        if (ndbuf__recent_is(copy, dst, src)) {
            recent->last = i;
            if (++copy->count == ALIKE) {
                copy->count = 0;
                recent->patience = 0;
                decide(copy, dst, src);
            }
            return;
        }
    }
    recent->to_pass_over = recent->patience;
    recent->patience = (2 * recent->patience + 1) & MAX_PATIENCE;
    recent->last = (recent->last + 1) % NDBUF__RECENT_COPIES;
    ndbuf__recent_copy *copy = &recent->copies[recent->last];
    const size_t nbytes = (size_t)dst->ndim * 2 * sizeof(int64_t);
    copy->nbytes = dst->nbytes;
    copy->ndim = dst->ndim;
    copy->count = 1;
    copy->is_decided = false;
    memcpy(copy->dst_dims, dst->dims, nbytes);
    memcpy(copy->src_dims, src->dims, nbytes);
}
