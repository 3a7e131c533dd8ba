/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_plan.h"

#include <stddef.h>

#include "core/compiler.h"
#include "core/float_mode.h"
#include "core/stage_plan.h"

int64_t ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
uint32_t ndbuf__closed_routes;

uint32_t ndbuf__route_flag(ndbuf_route route)
{
    switch (route) {
    case NDBUF_ROUTE_BYTES:
        return NDBUF_CAN_COPY_BYTES;
    case NDBUF_ROUTE_RECT:
        return NDBUF_CAN_COPY_RECT;
    case NDBUF_ROUTE_STRIDED:
        return NDBUF_CAN_COPY_STRIDED;
    case NDBUF_ROUTE_MAPPED:
        return NDBUF_CAN_MAP;
    default:
        return 0;
    }
}

static ndbuf_status fail_self_overlap(ndbuf_answer answer, ndbuf_error *err)
{
    return ndbuf_fail(err, NDBUF_ERR_INVALID, "the destination overlaps itself: two indices %s one byte",
                      answer == NDBUF_YES ? "reach" : "may reach");
}

static ndbuf_status check_dst(const ndbuf__plan_input *input, const ndbuf__copy_axes *axes, ndbuf_error *err)
{
    if (ndbuf__copy_axes_keep_apart(axes)) {
        return NDBUF_OK;
    }
    ndbuf_answer answer = ndbuf__layout_self_overlap(&input->dst);
    return answer == NDBUF_NO ? NDBUF_OK : fail_self_overlap(answer, err);
}

/* The same for a destination with suboffsets: pointers are taken to lead to distinct memory, as the one who made them
 * says, unless one pointer is reached twice; behind them, the strides decide. */
static ndbuf_status check_indirect_dst(const ndbuf__plan_input *input, ndbuf_error *err)
{
    const ndbuf__layout *dst = &input->dst;
    ndbuf__layout tail = ndbuf__layout_tail(dst);
    for (int32_t k = 0; k < dst->ndim - tail.ndim; k++) {
        if (dst->strides[k] == 0 && dst->shape[k] > 1) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "the destination overlaps itself: axis %d repeats its pointers",
                              (int)k);
        }
    }
    ndbuf_answer answer = ndbuf__layout_self_overlap(&tail);
    return answer == NDBUF_NO ? NDBUF_OK : fail_self_overlap(answer, err);
}

void ndbuf__plan_input_axes(const ndbuf__plan_input *input, ndbuf__copy_axes *out_axes)
{
    ndbuf__cast_axes(&input->cast, input->dst.itemsize, input->dst.ndim, input->dst.shape, input->dst.strides,
                     input->src.strides, out_axes);
}

/* On the host one call does everything, and the engine behind it chooses its own ways. */
static ndbuf__transfer host_transfer(const ndbuf__copy_axes *axes, const ndbuf_copy_caps *caps)
{
    ndbuf_route route = axes->ndim == 0 ? NDBUF_ROUTE_BYTES : NDBUF_ROUTE_STRIDED;
    ndbuf__transfer transfer = ndbuf__transfer_by(route, axes, caps);
    return transfer.route != NDBUF_ROUTE_NONE ? transfer : ndbuf__transfer_choose(axes, caps);
}

/* Mapped memory, where a backend offers it. */
static void mapping_make(ndbuf__plan *plan, const ndbuf__plan_input *input)
{
    ndbuf__copy_axes axes;
    plan->is_mappable = (input->direct.flags & NDBUF_CAN_MAP) != 0;
    if (plan->is_mappable) {
        if (plan->indirect) {
            ndbuf__plan_input_axes(input, &axes);
        }
        plan->mapped_cost_ns =
            input->direct.map_ns + ndbuf__host_cost(plan->indirect ? &axes : &plan->axes, &input->host);
    }
}

static bool layout_has_suboffsets(const ndbuf__layout *layout)
{
    return layout->suboffsets != NULL;
}

/* The way through staging buffers: taken if it is cheaper than the one chosen so far, else for the case that this one
 * fails. */
static ndbuf_status choose_staging(ndbuf__plan *plan, const ndbuf__plan_input *input, ndbuf_error *err)
{
    ndbuf_route route = input->dst_is_host || input->src_is_host ? NDBUF_ROUTE_STAGED : NDBUF_ROUTE_THROUGH_HOST;
    err = plan->route == NDBUF_ROUTE_NONE ? err : NULL; /* where there is another way, that is no failure */
    ndbuf_status status = input->staging_is_closed
                              ? ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no way between the two devices is open")
                          : ndbuf__cast_parts(&input->cast) != NULL
                              ? ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "records are converted on the host only")
                              : ndbuf__staging_make(&plan->staging, input, plan->indirect ? NULL : &plan->axes, err);
    plan->has_staging = status == NDBUF_OK;
    if (!plan->has_staging) {
        return plan->route == NDBUF_ROUTE_NONE ? status : NDBUF_OK;
    }
    double chosen_ns = plan->route == NDBUF_ROUTE_MAPPED ? plan->mapped_cost_ns : plan->transfer.cost_ns;
    if (plan->route == NDBUF_ROUTE_NONE || plan->staging.cost_ns < chosen_ns + input->direct.wait_ns) {
        plan->route = route;
    }
    return NDBUF_OK;
}

static NDBUF__NOINLINE ndbuf_status make_plan(ndbuf__plan *out_plan, const ndbuf__plan_input *input, ndbuf_error *err)
{
    ndbuf__plan *plan = out_plan;
    bool is_host_copy = input->dst_is_host && input->src_is_host;
    plan->cast = input->cast;
    plan->indirect = layout_has_suboffsets(&input->dst) || layout_has_suboffsets(&input->src);
    plan->by_host = is_host_copy && (plan->indirect || ndbuf__casts(&plan->cast));
    plan->is_mappable = false;
    plan->has_staging = false;
    plan->transfer = (ndbuf__transfer){.route = NDBUF_ROUTE_NONE, .row_axis = -1, .slice_axis = -1};
    plan->route = NDBUF_ROUTE_NONE;
    plan->nbytes = 0;
    plan->axes.ndim = 0;
    plan->axes.convert = (ndbuf__convert){0};
    plan->axes.unit_nbytes = 0;
    if (!ndbuf__layout_has_items(&input->dst) || input->dst.itemsize == 0 || input->cast.moves_nothing) {
        return NDBUF_OK;
    }
    bool overflow = false;
    plan->nbytes = ndbuf__layout_nitems(&input->dst, &overflow) * input->dst.itemsize;
    if ((!input->dst_is_host && layout_has_suboffsets(&input->dst)) ||
        (!input->src_is_host && layout_has_suboffsets(&input->src))) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "a view of device memory has suboffsets");
    }
    if (!plan->indirect) {
        ndbuf__plan_input_axes(input, &plan->axes);
        ndbuf__copy_axes_merge(&plan->axes);
        plan->nbytes = ndbuf__copy_axes_nunits(&plan->axes) * plan->axes.unit_nbytes;
        ndbuf_status status = check_dst(input, &plan->axes, err);
        if (status != NDBUF_OK) {
            return status;
        }
    } else if (layout_has_suboffsets(&input->dst)) {
        ndbuf_status status = check_indirect_dst(input, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    if (plan->by_host) {
        plan->route = NDBUF_ROUTE_STRIDED;
    } else if (!plan->indirect && ndbuf__cast_parts(&input->cast) == NULL) {
        plan->transfer = is_host_copy ? host_transfer(&plan->axes, &input->direct)
                                      : ndbuf__transfer_choose(&plan->axes, &input->direct);
        plan->route = plan->transfer.route;
    }
    if (is_host_copy) {
        return plan->route != NDBUF_ROUTE_NONE
                   ? NDBUF_OK
                   : ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no backend copies on the host");
    }
    mapping_make(plan, input);
    if (plan->is_mappable && (plan->route == NDBUF_ROUTE_NONE || plan->mapped_cost_ns < plan->transfer.cost_ns)) {
        plan->route = NDBUF_ROUTE_MAPPED;
    }
    return choose_staging(plan, input, err);
}

/* Costs are estimates, and in a program that has signals for what is not exact none of them wants one. */
ndbuf_status ndbuf__plan_make(ndbuf__plan *out_plan, const ndbuf__plan_input *input, ndbuf_error *err)
{
    const uint64_t mode = ndbuf__float_mode_begin();
    ndbuf_status status = make_plan(out_plan, input, err);
    ndbuf__float_mode_end(mode);
    return status;
}
