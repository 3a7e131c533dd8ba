/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_STAGE_PLAN_H
#define NDBUF_CORE_STAGE_PLAN_H

/* The planner's part for copies through staging buffers. */

#include "core/copy_plan.h"

/* Cuts a copy into boxes and estimates it. `merged` is NULL for a copy with suboffsets.
 *
 * NDBUF_ERR_UNSUPPORTED  a device cannot copy to or from the host */
ndbuf_status ndbuf__staging_make(ndbuf__staging *out_staging, const ndbuf__plan_input *input,
                                 const ndbuf__copy_axes *merged, ndbuf_error *err);

/* Whether a device converts: it may turn out not to, for all memory or for this one. */
static inline bool ndbuf__staging_converts_on_device(const ndbuf__staging *staging)
{
    return staging->converts_at == NDBUF__CONVERTS_BEFORE || staging->converts_at == NDBUF__CONVERTS_BEHIND;
}

/* Leaves that to the host; what the plan says of calls and costs stays as it is. */
void ndbuf__staging_convert_on_host(ndbuf__staging *staging);

/* What the host's engine takes for all units, in ns. */
double ndbuf__host_cost(const ndbuf__copy_axes *axes, const ndbuf_copy_caps *host);

#endif
