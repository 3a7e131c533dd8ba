/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_plan.h"

#include <stddef.h>

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

/* Whether destination axes that are sorted by stride, largest first, keep clear of each other by size alone: the common
 * case, for which no search is needed. */
static bool is_plainly_disjoint(const ndbuf__copy_axes *axes)
{
    int64_t span = axes->unit_nbytes;
    for (int32_t k = axes->ndim - 1; k >= 0; k--) {
        if (axes->dst_strides[k] < span) {
            return false;
        }
        span += axes->dst_strides[k] * (axes->shape[k] - 1);
    }
    return true;
}

static ndbuf_status fail_self_overlap(ndbuf_answer answer, ndbuf_error *err)
{
    return ndbuf_fail(err, NDBUF_ERR_INVALID, "the destination overlaps itself: two indices %s one byte",
                      answer == NDBUF_YES ? "reach" : "may reach");
}

static ndbuf_status check_dst(const ndbuf__plan_input *input, const ndbuf__copy_axes *axes, ndbuf_error *err)
{
    if (is_plainly_disjoint(axes)) {
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

/* Both sides of the input as axes, not merged. */
static void axes_of_input(ndbuf__copy_axes *axes, const ndbuf__plan_input *input)
{
    axes->ndim = 0;
    axes->unit_nbytes = input->dst.itemsize;
    axes->dst_offset = 0;
    axes->src_offset = 0;
    for (int32_t k = 0; k < input->dst.ndim; k++) {
        ndbuf__copy_axes_append(axes, input->dst.shape[k], input->dst.strides[k], input->src.strides[k]);
    }
}

/* Sorts axes by the strides of the side that lies on a device, largest first, so that boxes are whole pieces of it. */
static void sort_for_device(ndbuf__copy_axes *axes, bool by_dst)
{
    for (int32_t k = 1; k < axes->ndim; k++) {
        int64_t extent = axes->shape[k];
        int64_t dst_stride = axes->dst_strides[k];
        int64_t src_stride = axes->src_strides[k];
        int64_t key = ndbuf__stride_magnitude(by_dst ? dst_stride : src_stride);
        const int64_t *keys = by_dst ? axes->dst_strides : axes->src_strides;
        int32_t place = k;
        for (; place > 0 && ndbuf__stride_magnitude(keys[place - 1]) < key; place--) {
            axes->shape[place] = axes->shape[place - 1];
            axes->dst_strides[place] = axes->dst_strides[place - 1];
            axes->src_strides[place] = axes->src_strides[place - 1];
        }
        axes->shape[place] = extent;
        axes->dst_strides[place] = dst_stride;
        axes->src_strides[place] = src_stride;
    }
}

/* Chooses the axis and the number of its indices that fill a staging buffer. */
static void staging_split(ndbuf__staging *staging, int64_t limit)
{
    const ndbuf__copy_axes *axes = &staging->axes;
    int64_t inner = axes->unit_nbytes;
    int32_t axis = axes->ndim;
    while (axis > 0 && inner * axes->shape[axis - 1] <= limit) {
        inner *= axes->shape[--axis];
    }
    staging->split_axis = axis > 0 ? axis - 1 : 0;
    staging->split_count = axis > 0 ? limit / inner : axes->ndim > 0 ? axes->shape[0] : 1;
    if (staging->split_count < 1) {
        staging->split_count = 1;
    }
    staging->nboxes = 1;
    for (int32_t k = 0; k < staging->split_axis; k++) {
        staging->nboxes *= axes->shape[k];
    }
    if (axes->ndim > 0) {
        int64_t extent = axes->shape[staging->split_axis];
        staging->nboxes *= (extent + staging->split_count - 1) / staging->split_count;
        staging->box_nbytes = axis > 0 ? inner * staging->split_count : inner;
    } else {
        staging->box_nbytes = inner;
    }
}

/* The transfers of all boxes between a device's layout and packed buffers, for estimates. Returns what they take by
 * themselves, in ns; < 0: there is no way. */
static double add_device_cost(ndbuf__staging *staging, const int64_t *strides, const ndbuf_copy_caps *caps)
{
    const ndbuf__copy_axes *axes = &staging->axes;
    ndbuf__copy_axes box = {.unit_nbytes = axes->unit_nbytes};
    int64_t shape[NDBUF__MAX_AXES];
    int64_t packed[NDBUF__MAX_AXES];
    int64_t nbytes;
    for (int32_t k = 0; k < axes->ndim; k++) {
        shape[k] = k < staging->split_axis ? 1 : k == staging->split_axis ? staging->split_count : axes->shape[k];
    }
    ndbuf__copy_axes_pack(axes->ndim, shape, strides, axes->unit_nbytes, packed, &nbytes);
    for (int32_t k = 0; k < axes->ndim; k++) {
        if (strides[k] != 0) {
            ndbuf__copy_axes_append(&box, shape[k], strides[k], packed[k]);
        }
    }
    ndbuf__copy_axes_merge(&box);
    ndbuf__transfer transfer = ndbuf__transfer_choose(&box, caps);
    if (transfer.route == NDBUF_ROUTE_NONE) {
        return -1;
    }
    staging->ncalls += transfer.ncalls * staging->nboxes;
    staging->nrows += transfer.nrows * staging->nboxes;
    return (transfer.cost_ns + caps->wait_ns) * (double)staging->nboxes;
}

/* Steps of successive boxes go on at the same time: all of the slowest one, and the others of one box. */
static double pipelined_cost(const double costs[3], int64_t nboxes)
{
    double sum = costs[0] + costs[1] + costs[2];
    double most = costs[0];
    for (int i = 1; i < 3; i++) {
        most = costs[i] > most ? costs[i] : most;
    }
    return most + (sum - most) / (double)nboxes;
}

/* What the host's engine takes for all units. */
static double host_cost(const ndbuf__copy_axes *axes, const ndbuf_copy_caps *host)
{
    double nunits = (double)ndbuf__copy_axes_nunits(axes);
    double cost = nunits * host->element_ns;
    return host->bytes_per_ns > 0 ? cost + nunits * (double)axes->unit_nbytes / host->bytes_per_ns : cost;
}

/* Cuts the copy into boxes and estimates it. `merged` is NULL for a copy with suboffsets. */
static ndbuf_status staging_make(ndbuf__staging *staging, const ndbuf__plan_input *input,
                                 const ndbuf__copy_axes *merged, ndbuf_error *err)
{
    int64_t limit = input->staging_nbytes;
    staging->dst_suboffsets = input->dst.suboffsets;
    staging->src_suboffsets = input->src.suboffsets;
    staging->fetches = !input->src_is_host;
    staging->stores = !input->dst_is_host;
    staging->ncalls = 0;
    staging->nrows = 0;
    if (merged != NULL) {
        staging->axes = *merged;
        if (merged->unit_nbytes > limit) {
            ndbuf__copy_axes_append(&staging->axes, merged->unit_nbytes, 1, 1);
            staging->axes.unit_nbytes = 1;
        }
        sort_for_device(&staging->axes, staging->stores);
    } else {
        axes_of_input(&staging->axes, input);
    }
    staging_split(staging, limit);
    /* The bytes of a unit that was cut stay together on the host. */
    const ndbuf__copy_axes *on_host = merged != NULL ? merged : &staging->axes;
    double costs[3] = {host_cost(on_host, &input->host), 0, 0};
    if (staging->fetches) {
        costs[1] = add_device_cost(staging, staging->axes.src_strides, &input->fetch);
        if (costs[1] < 0) {
            return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the source's device cannot copy to the host");
        }
    }
    if (staging->stores) {
        costs[2] = add_device_cost(staging, staging->axes.dst_strides, &input->store);
        if (costs[2] < 0) {
            return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the destination's device cannot copy from the host");
        }
    }
    staging->cost_ns = pipelined_cost(costs, staging->nboxes);
    return NDBUF_OK;
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
            axes_of_input(&axes, input);
        }
        plan->mapped_cost_ns = input->direct.map_ns + host_cost(plan->indirect ? &axes : &plan->axes, &input->host);
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
    ndbuf_status status = input->staging_is_closed
                              ? ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no way between the two devices is open")
                              : staging_make(&plan->staging, input, plan->indirect ? NULL : &plan->axes, err);
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

ndbuf_status ndbuf__plan_make(ndbuf__plan *out_plan, const ndbuf__plan_input *input, ndbuf_error *err)
{
    ndbuf__plan *plan = out_plan;
    bool is_host_copy = input->dst_is_host && input->src_is_host;
    plan->indirect = layout_has_suboffsets(&input->dst) || layout_has_suboffsets(&input->src);
    plan->is_mappable = false;
    plan->has_staging = false;
    plan->transfer = (ndbuf__transfer){.route = NDBUF_ROUTE_NONE, .row_axis = -1, .slice_axis = -1};
    plan->route = NDBUF_ROUTE_NONE;
    plan->nbytes = 0;
    plan->axes.ndim = 0;
    plan->axes.unit_nbytes = 0;
    if (!ndbuf__layout_has_items(&input->dst) || input->dst.itemsize == 0) {
        return NDBUF_OK;
    }
    bool overflow = false;
    plan->nbytes = ndbuf__layout_nitems(&input->dst, &overflow) * input->dst.itemsize;
    if ((!input->dst_is_host && layout_has_suboffsets(&input->dst)) ||
        (!input->src_is_host && layout_has_suboffsets(&input->src))) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "a view of device memory has suboffsets");
    }
    if (!plan->indirect) {
        axes_of_input(&plan->axes, input);
        ndbuf__copy_axes_merge(&plan->axes);
        ndbuf_status status = check_dst(input, &plan->axes, err);
        if (status != NDBUF_OK) {
            return status;
        }
        plan->transfer = is_host_copy ? host_transfer(&plan->axes, &input->direct)
                                      : ndbuf__transfer_choose(&plan->axes, &input->direct);
        plan->route = plan->transfer.route;
    } else {
        if (layout_has_suboffsets(&input->dst)) {
            ndbuf_status status = check_indirect_dst(input, err);
            if (status != NDBUF_OK) {
                return status;
            }
        }
        plan->route = is_host_copy ? NDBUF_ROUTE_STRIDED : NDBUF_ROUTE_NONE;
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
