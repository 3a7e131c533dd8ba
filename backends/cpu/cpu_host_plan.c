/* SPDX-License-Identifier: Apache-2.0 */
#include "core/host_plan.h"

#include <stddef.h>

#include "core/host_alloc.h"

#include "backends/cpu/cpu_convert_plan.h"
#include "backends/cpu/cpu_engine.h"

/* To copy more takes so long that nobody sees the planning. */
#define MOST_NBYTES ((int64_t)4 << 20)
/* Of small copies, to run a plan takes longer than to copy so many units one after the other; and so many, if the plan
 * is a transpose. */
#define KEPT_UNITS_MIN 192
#define KEPT_UNITS_TURNED_MIN 1024

struct ndbuf__host_plan {
    uint32_t changes; /* of the tuning that it was made with */
    const cpu_kernels *kernels;
    uintptr_t alignment; /* of the destination within a cache line */
    bool converts;
    cpu_convert_box box; /* its arrays are those of the axes */
    cpu_record *record;  /* NULL: there are none */
    union {
        cpu_planned_copy copy;
        cpu_convert_plan conversion;
    } how; /* as much of it as is used */
};

/* Whether the plan of a small copy is worth being run. */
static bool is_worth_it(const cpu_plan *plan)
{
    return plan->kind != CPU_PLAN_STRIDED &&
           (plan->kind != CPU_PLAN_TRANSPOSE || plan->nbytes > KEPT_UNITS_TURNED_MIN * plan->unit_nbytes);
}

/* False: such a copy goes without a plan. */
static bool plan_how(ndbuf__host_plan *plan, const ndbuf__copy_axes *axes, const ndbuf__conversion *records)
{
    cpu_row_converter converter;
    cpu_convert_box *box = &plan->box;
    cpu_box plain = box->box;
    plan->converts = records != NULL;
    if (records != NULL) {
        return ndbuf_cpu__plan_records(&plan->how.conversion, plan->record, box, axes, records);
    }
    if (ndbuf__converts(&axes->convert)) {
        if (!ndbuf__converter_init(&box->converter, &box->dst_element, &box->src_element, box->flags)) {
            return false;
        }
        plan->converts = !ndbuf_cpu__copies_numbers(box, &plain, &converter);
    }
    if (plan->converts) {
        return ndbuf_cpu__plan_conversion(&plan->how.conversion, box);
    }
    if (plain.ndim == 0 || ndbuf__copy_axes_nunits(axes) <= KEPT_UNITS_MIN) {
        return false;
    }
    ndbuf_cpu__plan_copy(&plan->how.copy, &plain, plan->kernels);
    return !ndbuf_cpu__copies_once(&plan->how.copy, &plain) &&
           (plan->how.copy.plan.nbytes > plan->how.copy.tuning.small_nbytes || is_worth_it(&plan->how.copy.plan));
}

/* Gives back what a plan does not use. */
static ndbuf__host_plan *trim(ndbuf__host_plan *plan)
{
    const size_t nbytes = offsetof(ndbuf__host_plan, how) +
                          (plan->converts ? cpu_convert_plan_nbytes(&plan->how.conversion) : sizeof(plan->how.copy));
    ndbuf__host_plan *trimmed = ndbuf__realloc(plan, nbytes);
    if (trimmed == NULL) {
        return plan;
    }
    if (trimmed->converts) {
        trimmed->how.conversion.box = &trimmed->box;
    }
    return trimmed;
}

ndbuf_status ndbuf__host_plan_create(const ndbuf__copy_axes *axes, const ndbuf__conversion *records, char *dst,
                                     ndbuf__host_plan **out_plan, ndbuf_error *err)
{
    const int64_t nbytes = ndbuf__copy_axes_nunits(axes) * axes->unit_nbytes;
    const uint32_t changes = ndbuf_cpu__tuning_changes_get();
    const ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    *out_plan = NULL;
    if (axes->ndim == 0 || nbytes > MOST_NBYTES) {
        return NDBUF_OK;
    }
    const cpu_box box = {.dst = dst,
                         .ndim = axes->ndim,
                         .unit_nbytes = axes->unit_nbytes,
                         .shape = axes->shape,
                         .dst_strides = axes->dst_strides,
                         .src_strides = axes->src_strides,
                         .nruns = CPU_BOX_MANY_RUNS};
    if (!ndbuf__converts(&axes->convert) && nbytes <= tuning.small_nbytes &&
        (nbytes <= KEPT_UNITS_MIN * box.unit_nbytes || !ndbuf_cpu__walks_units(&box, ndbuf_cpu__kernels_get()))) {
        return NDBUF_OK;
    }
    ndbuf__host_plan *plan = ndbuf__malloc(sizeof(*plan));
    cpu_record *record = plan != NULL && records != NULL ? ndbuf__malloc(sizeof(*record)) : NULL;
    if (plan == NULL || (records != NULL && record == NULL)) {
        ndbuf__free(plan);
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a copy plan");
    }
    plan->record = record;
    plan->changes = changes;
    plan->kernels = ndbuf_cpu__kernels_get();
    plan->alignment = (uintptr_t)dst % CPU_LINE_NBYTES;
    plan->box = (cpu_convert_box){
        .box = box, .dst_element = axes->convert.dst, .src_element = axes->convert.src, .flags = axes->convert.flags};
    if (plan_how(plan, axes, records)) {
        *out_plan = trim(plan);
    } else {
        ndbuf__host_plan_destroy(plan);
    }
    return NDBUF_OK;
}

void ndbuf__host_plan_destroy(ndbuf__host_plan *plan)
{
    if (plan != NULL) {
        ndbuf__free(plan->record);
        ndbuf__free(plan);
    }
}

bool ndbuf__host_plan_run(const ndbuf__host_plan *plan, char *dst, const char *src)
{
    if ((uintptr_t)dst % CPU_LINE_NBYTES != plan->alignment || ndbuf_cpu__kernels_get() != plan->kernels ||
        ndbuf_cpu__tuning_changes_get() != plan->changes) {
        return false;
    }
    if (plan->converts) {
        ndbuf_cpu__run_conversion(&plan->how.conversion, dst, src);
    } else {
        ndbuf_cpu__run_copy(&plan->how.copy, dst, src);
    }
    return true;
}
