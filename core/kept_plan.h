/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_KEPT_PLAN_H
#define NDBUF_CORE_KEPT_PLAN_H

#include "core/copy_core.h"
#include "core/host_steps.h"

/* A plan with all that it was made from. */
struct ndbuf_copy_plan {
    ndbuf__plan plan;
    ndbuf__plan_input input;  /* its arrays are `dims` */
    ndbuf_device *dst_device; /* retained */
    ndbuf_device *src_device; /* retained */
    ndbuf_device *direct;     /* one of these two, or the host */
    ndbuf_format *format;     /* of the destination, retained */
    ndbuf_format *src_format; /* retained */
    ndbuf__cast cast;         /* the record is retained */
    ndbuf_casting casting;    /* that allowed it */
    int32_t nparts;           /* 0: `plan` does it all */
    ndbuf_copy_plan **parts;  /* of records; NULL: none */
    int64_t temporary_nbytes;
    bool runs_at_once;      /* one call of the host's engine does it, unless the views share memory or have to wait */
    int64_t dst_lo, dst_hi; /* of such a plan: the bytes that a side reaches, from its first item */
    int64_t src_lo, src_hi;
    bool has_steps; /* of such a plan: `steps` does it, without asking the engine again */
    ndbuf__host_steps steps;
    int64_t dims[6 * NDBUF_MAX_NDIM];
};

#endif
