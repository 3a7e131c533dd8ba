/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_KEPT_PLAN_H
#define NDBUF_CORE_KEPT_PLAN_H

#include "core/copy_core.h"

/* A plan with all that it was made from. */
struct ndbuf_copy_plan {
    ndbuf__plan plan;
    ndbuf__plan_input input;  /* its arrays are `dims` */
    ndbuf_device *dst_device; /* retained */
    ndbuf_device *src_device; /* retained */
    ndbuf_device *direct;     /* one of these two, or the host */
    ndbuf_format *format;     /* retained */
    int64_t temporary_nbytes;
    int64_t dims[6 * NDBUF_MAX_NDIM];
};

#endif
