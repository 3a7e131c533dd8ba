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

/* What the host's engine takes for all units, in ns. */
double ndbuf__host_cost(const ndbuf__copy_axes *axes, const ndbuf_copy_caps *host);

#endif
