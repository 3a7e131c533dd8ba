/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_RECENT_COPY_H
#define NDBUF_CORE_RECENT_COPY_H

/* The layouts of the small copies on the host that a thread did last. One that it does again and again, as for the
 * tiles of an array, is decided once. */

#include "core/host_steps.h"
#include "core/short_way.h"

#define NDBUF__RECENT_COPIES 4     /* as of two arrays to a buffer and back */
#define NDBUF__RECENT_NDIM 6       /* at most */
#define NDBUF__RECENT_STEPS 32     /* offsets of a side, at most */
#define NDBUF__RECENT_NBYTES 16384 /* at most: of larger ones, deciding is little of the time */

typedef struct ndbuf__recent_copy {
    int64_t nbytes; /* of the items */
    int32_t ndim;   /* 0: there is none */
    int32_t count;  /* how often it was noted since the last try to decide it */
    bool is_decided;
    const ndbuf_device *device;               /* of a decided one: the host */
    int64_t dst_dims[2 * NDBUF__RECENT_NDIM]; /* ndim extents, and as many strides, as views have them */
    int64_t src_dims[2 * NDBUF__RECENT_NDIM];
    /* Of a decided one. */
    ndbuf__short_way way;
    NDBUF__HOST_STEPS_ROOM(NDBUF__RECENT_STEPS) room; /* of steps; without any, of the axes for the engine */
    int32_t naxes;
    int64_t unit_nbytes;
} ndbuf__recent_copy;

typedef struct ndbuf__recent_copies {
    int32_t last;         /* the one that was of use last */
    int32_t to_pass_over; /* copies before the next one is noted */
    int32_t patience;     /* how many are then passed over, if it is like none */
    ndbuf__recent_copy copies[NDBUF__RECENT_COPIES];
} ndbuf__recent_copies;

extern _Thread_local ndbuf__recent_copies ndbuf__recent;

/* Whether views of one item size, without suboffsets, lie as a copy's did. */
static inline bool ndbuf__recent_is(const ndbuf__recent_copy *copy, const ndbuf_view *dst, const ndbuf_view *src)
{
    return copy->nbytes == dst->nbytes && copy->ndim == dst->ndim && copy->ndim == src->ndim &&
           ndbuf__dims_differences(copy->ndim, dst->dims, copy->dst_dims, src->dims, copy->src_dims) == 0;
}

/* The axes of a decided copy without steps. */
void ndbuf__recent_axes(const ndbuf__recent_copy *copy, ndbuf__copy_axes *out_axes);

/* Notes a copy that is done now, and is none of those that were decided. */
void ndbuf__recent_note(ndbuf__recent_copies *recent, const ndbuf_view *dst, const ndbuf_view *src);

#endif
