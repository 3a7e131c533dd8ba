/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_PLAN_H
#define NDBUF_CORE_HOST_PLAN_H

/* Copies on the host that are planned beforehand: for plans that are run again and again, and have too many steps for
 * core/host_steps.h. The host's backend defines the functions. */

#include <stdbool.h>

#include "ndbuf/status.h"

#include "core/conversion.h"
#include "core/copy_axes.h"

typedef struct ndbuf__host_plan ndbuf__host_plan;

/* Plans a copy of merged axes, which the plan reads as long as it lives; dst as in ndbuf__host_plan_run.
 *
 * records   what becomes of items, as in core/host_records.h, which the plan reads, too; NULL: they are no records
 * out_plan  NULL: planning takes next to nothing of such a copy, or cannot be kept
 *
 * NDBUF_ERR_NOMEM */
ndbuf_status ndbuf__host_plan_create(const ndbuf__copy_axes *axes, const ndbuf__conversion *records, char *dst,
                                     ndbuf__host_plan **out_plan, ndbuf_error *err);

/* NULL is accepted. */
void ndbuf__host_plan_destroy(ndbuf__host_plan *plan);

/* Copies from the first unit at src to the first one at dst, both with the axes' own offset, by any number of threads
 * at a time. False: it has to be planned anew, since dst is aligned otherwise, or constants have changed. */
bool ndbuf__host_plan_run(const ndbuf__host_plan *plan, char *dst, const char *src);

#endif
