/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_PLAN_H
#define NDBUF_CORE_COPY_PLAN_H

/* The planner: two layouts and what the backends can do go in, a plan comes out. Pure: no memory or device is touched.
 */

#include <stdbool.h>

#include "ndbuf/backend.h"
#include "ndbuf/copy.h"

#include "core/conversion.h"
#include "core/copy_axes.h"
#include "core/copy_transfer.h"
#include "core/layout.h"

/* The size that staging buffers are cut to: large enough that a call's overhead does not count and that the host packs
 * with several threads, small enough that a ring of them stays in the last cache level. */
#define NDBUF__STAGING_NBYTES ((int64_t)4 << 20)

/* The size that boxes are cut to: that of the buffers, unless a test makes it smaller. */
extern int64_t ndbuf__staging_nbytes;

/* Bits (1u << route) of the ways that no copy takes: none, unless a test or a benchmark wants another one. */
extern uint32_t ndbuf__closed_routes;

/* What the planner is asked. The layouts have equal shapes, and equal item sizes unless items are converted. */
typedef struct ndbuf__plan_input {
    ndbuf__layout dst;
    ndbuf__layout src;
    ndbuf__cast cast;
    bool dst_is_host;
    bool src_is_host;
    ndbuf_copy_caps direct;    /* from the source's to the destination's device, by one backend */
    ndbuf_copy_caps store;     /* from the host to the destination's device; not used where that is the host */
    ndbuf_copy_caps fetch;     /* from the source's device to the host; likewise */
    ndbuf_copy_caps host;      /* from host to host */
    ndbuf_copy_caps dst_local; /* within the destination's device; not used where that is the host */
    ndbuf_copy_caps src_local; /* within the source's device; likewise */
    int64_t staging_nbytes;    /* that boxes are cut to */
    bool staging_is_closed;    /* neither STAGED nor THROUGH_HOST is to be taken */
} ndbuf__plan_input;

/* Where a staged copy converts. */
typedef enum ndbuf__converts_at {
    NDBUF__CONVERTS_NOWHERE,
    NDBUF__CONVERTS_BEFORE,  /* on the source's device, before elements travel */
    NDBUF__CONVERTS_ON_HOST, /* as the host packs them, or unpacks, or both */
    NDBUF__CONVERTS_BEHIND   /* on the destination's device, behind the transfer */
} ndbuf__converts_at;

/* How a copy through staging buffers is cut into boxes: each takes one index of axes 0 .. split_axis - 1, up to
 * split_count of split_axis, and all of the later axes. The axes are those of the copy, sorted by the side whose order
 * the buffers have, or unsorted where there are suboffsets, with the bytes of a unit as one more axis where a unit
 * exceeds the buffer. */
typedef struct ndbuf__staging {
    ndbuf__copy_axes axes;
    const int64_t *dst_suboffsets; /* axes.ndim entries of the input's arrays; NULL: none */
    const int64_t *src_suboffsets;
    int32_t split_axis;
    int64_t split_count;
    int64_t nboxes;
    bool fetches; /* the source is brought to the host */
    bool stores;  /* the destination is written from the host */
    ndbuf__converts_at converts_at;
    bool sorts; /* of the host and one device: buffers have the host's order, from or to which the device brings its own
                 * layout, in scratch memory */
    int64_t dst_unit_nbytes; /* of a unit, in what is stored from */
    int64_t src_unit_nbytes; /* in what is fetched to */
    int64_t box_nbytes;      /* of each staging buffer that is needed */
    int64_t ncalls;          /* of the backends, in all boxes together */
    int64_t nrows;
    double cost_ns;
} ndbuf__staging;

typedef struct ndbuf__plan {
    ndbuf_route route;
    int64_t nbytes;
    ndbuf__cast cast;         /* the input's; the record is borrowed */
    bool indirect;            /* a side has suboffsets: `axes` and `transfer` are not set */
    bool by_host;             /* on the host, as core/host_copy.h does it: `transfer` is not set */
    ndbuf__copy_axes axes;    /* merged */
    ndbuf__transfer transfer; /* the direct way; its route is NONE if there is none */
    bool is_mappable;         /* whether the host's engine can do it in mapped memory */
    double mapped_cost_ns;    /* of that; without waiting */
    bool has_staging;         /* whether `staging` is set: where a device takes part and it is open */
    ndbuf__staging staging;   /* the way taken if the route is STAGED or THROUGH_HOST, or the direct one fails */
} ndbuf__plan;

/* The NDBUF_CAN_... bit that a direct route needs; 0: it is none. */
uint32_t ndbuf__route_flag(ndbuf_route route);

/* Whether a route goes through staging buffers. */
static inline bool ndbuf__route_is_staged(ndbuf_route route)
{
    return route == NDBUF_ROUTE_STAGED || route == NDBUF_ROUTE_THROUGH_HOST;
}

/* Both sides of the input as axes, not merged. */
void ndbuf__plan_input_axes(const ndbuf__plan_input *input, ndbuf__copy_axes *out_axes);

/* Makes a plan. It points to the input's suboffset arrays, if there are any.
 *
 * NDBUF_ERR_INVALID      two indices of the destination reach one byte
 * NDBUF_ERR_UNSUPPORTED  a device with suboffsets, or one that cannot copy to or from the host; or records that no
 *                        route takes whole: their parts go one by one */
ndbuf_status ndbuf__plan_make(ndbuf__plan *out_plan, const ndbuf__plan_input *input, ndbuf_error *err);

#endif
