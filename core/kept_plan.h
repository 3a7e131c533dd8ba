/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_KEPT_PLAN_H
#define NDBUF_CORE_KEPT_PLAN_H

#include "core/copy_core.h"
#include "core/host_plan.h"
#include "core/short_way.h"

/* One side of a plan: what its views must be. */
typedef struct ndbuf__kept_side {
    ndbuf_device *device; /* retained */
    ndbuf_format *format; /* retained */
    ndbuf__layout layout;
    int64_t dims[3 * NDBUF_MAX_NDIM]; /* the layout's: ndim extents, strides, suboffsets, as views have them */
} ndbuf__kept_side;

/* A plan with all that it was made from. */
struct ndbuf_copy_plan {
    ndbuf__kept_side dst;
    ndbuf__kept_side src;
    bool runs_at_once;    /* one call of the host's engine does it, unless the views share memory or have to wait */
    ndbuf__short_way way; /* of such a plan; its steps, if it has any, do it without asking the engine again */
    NDBUF__HOST_STEPS_ROOM(NDBUF__HOST_STEPS_MAX) room; /* of the steps */
    ndbuf__host_plan *host; /* of those without steps, or NULL: what the engine would plan again each time */
    ndbuf__plan plan;
    ndbuf__plan_input input; /* its arrays are the sides' */
    ndbuf_device *direct;    /* of one of the sides, or the host */
    ndbuf__cast cast;        /* the record is retained */
    ndbuf_casting casting;   /* that allowed it */
    int32_t nparts;          /* 0: `plan` does it all */
    ndbuf_copy_plan **parts; /* of records; NULL: none */
    int64_t temporary_nbytes;
};

#endif
