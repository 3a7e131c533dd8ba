/* SPDX-License-Identifier: Apache-2.0 */
#include "core/stage_plan.h"

#include <stddef.h>

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool can_convert(const ndbuf_copy_caps *caps, const ndbuf__convert *convert)
{
    uint32_t needed = ndbuf__convert_caps(convert);
    return (caps->flags & needed) == needed;
}

/* Where elements are converted: so that the smaller ones travel, and on the host where it makes no difference, which
 * moves them anyway. */
static void place_conversion(ndbuf__staging *staging, const ndbuf__plan_input *input)
{
    const ndbuf__convert *convert = &staging->axes.convert;
    staging->dst_unit_nbytes = staging->axes.unit_nbytes;
    staging->src_unit_nbytes = ndbuf__copy_axes_src_unit(&staging->axes);
    staging->converts_at = NDBUF__CONVERTS_NOWHERE;
    if (!ndbuf__converts(convert)) {
        return;
    }
    staging->converts_at = NDBUF__CONVERTS_ON_HOST;
    if (staging->fetches && staging->dst_unit_nbytes < staging->src_unit_nbytes &&
        can_convert(&input->src_local, convert)) {
        staging->converts_at = NDBUF__CONVERTS_BEFORE;
        staging->src_unit_nbytes = staging->dst_unit_nbytes;
    } else if (staging->stores && staging->dst_unit_nbytes > staging->src_unit_nbytes &&
               can_convert(&input->dst_local, convert)) {
        staging->converts_at = NDBUF__CONVERTS_BEHIND;
        staging->dst_unit_nbytes = staging->src_unit_nbytes;
    }
}

/* Sorts axes by the strides of one side, largest first, so that boxes are whole pieces of it. */
static void sort_axes(ndbuf__copy_axes *axes, bool by_dst)
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
    int64_t inner = larger(staging->stores ? staging->dst_unit_nbytes : 1,
                           staging->fetches ? staging->src_unit_nbytes : 1); /* of what is in a buffer */
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

/* The strides by which buffers are packed, of one device's side: its own, or the host's. */
static const int64_t *packing_order(const ndbuf__staging *staging, const int64_t *strides)
{
    return !staging->sorts ? strides : staging->stores ? staging->axes.src_strides : staging->axes.dst_strides;
}

/* One box between a device's layout, where units have unit_nbytes bytes, and a packed buffer; axes that the device
 * repeats are left out. Returns the bytes in the buffer. */
static int64_t box_axes(const ndbuf__staging *staging, const int64_t *strides, int64_t unit_nbytes,
                        ndbuf__copy_axes *out_axes)
{
    const ndbuf__copy_axes *axes = &staging->axes;
    int64_t shape[NDBUF__MAX_AXES];
    int64_t packed[NDBUF__MAX_AXES];
    int64_t nbytes;
    *out_axes = (ndbuf__copy_axes){.unit_nbytes = unit_nbytes};
    for (int32_t k = 0; k < axes->ndim; k++) {
        shape[k] = k < staging->split_axis ? 1 : k == staging->split_axis ? staging->split_count : axes->shape[k];
    }
    ndbuf__copy_axes_pack(axes->ndim, shape, strides, packing_order(staging, strides), unit_nbytes, packed, &nbytes);
    for (int32_t k = 0; k < axes->ndim; k++) {
        if (strides[k] != 0) {
            ndbuf__copy_axes_append(out_axes, shape[k], strides[k], packed[k]);
        }
    }
    return nbytes;
}

/* The transfers of all boxes between a device's layout and packed buffers, for estimates; `local`, unless NULL: the
 * device converts or sorts in scratch memory, from or to packed_nbytes bytes a unit. Returns what they take by
 * themselves, in ns; < 0: there is no way. */
static double add_device_cost(ndbuf__staging *staging, const int64_t *strides, int64_t unit_nbytes,
                              const ndbuf_copy_caps *caps, const ndbuf_copy_caps *local, int64_t packed_nbytes)
{
    ndbuf__copy_axes box;
    int64_t nbytes = box_axes(staging, strides, unit_nbytes, &box);
    double cost_ns = caps->wait_ns;
    if (local != NULL) {
        if (packed_nbytes != unit_nbytes) {
            box.convert = staging->axes.convert;
        }
        ndbuf__copy_axes_merge(&box);
        cost_ns += ndbuf__transfer_choose(&box, local).cost_ns;
        staging->ncalls += staging->nboxes;
        box = (ndbuf__copy_axes){.unit_nbytes = nbytes / unit_nbytes * packed_nbytes};
    }
    ndbuf__copy_axes_merge(&box);
    ndbuf__transfer transfer = ndbuf__transfer_choose(&box, caps);
    if (transfer.route == NDBUF_ROUTE_NONE) {
        return -1;
    }
    staging->ncalls += transfer.ncalls * staging->nboxes;
    staging->nrows += transfer.nrows * staging->nboxes;
    return (transfer.cost_ns + cost_ns) * (double)staging->nboxes;
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

double ndbuf__host_cost(const ndbuf__copy_axes *axes, const ndbuf_copy_caps *host)
{
    double cost = (double)ndbuf__copy_axes_nruns(axes) * host->element_ns;
    return host->bytes_per_ns > 0 ? cost + ndbuf__copy_axes_traffic(axes) / host->bytes_per_ns : cost;
}

/* What the host's part costs: between its side and packed buffers, or between two of them. */
static double repack_cost(const ndbuf__staging *staging, const ndbuf__plan_input *input, const ndbuf__copy_axes *merged)
{
    const ndbuf__copy_axes *axes = &staging->axes;
    if (merged == NULL || staging->fetches == staging->stores) {
        /* The bytes of a unit that was cut stay together on the host. */
        return ndbuf__host_cost(merged != NULL ? merged : axes, &input->host);
    }
    ndbuf__copy_axes host = *axes;
    int64_t nbytes;
    int64_t *packed = staging->stores ? host.dst_strides : host.src_strides;
    const int64_t *strides = staging->stores ? axes->dst_strides : axes->src_strides;
    if (staging->converts_at != NDBUF__CONVERTS_ON_HOST) {
        host.convert = (ndbuf__convert){0};
    }
    host.unit_nbytes = staging->stores ? staging->dst_unit_nbytes : axes->unit_nbytes;
    ndbuf__copy_axes_pack(axes->ndim, axes->shape, strides, packing_order(staging, strides),
                          staging->stores ? staging->dst_unit_nbytes : staging->src_unit_nbytes, packed, &nbytes);
    ndbuf__copy_axes_merge(&host);
    return ndbuf__host_cost(&host, &input->host);
}

/* Cuts the copy into boxes, and estimates what they cost. */
static ndbuf_status staging_cut(ndbuf__staging *staging, const ndbuf__plan_input *input, const ndbuf__copy_axes *merged,
                                ndbuf_error *err)
{
    staging->ncalls = 0;
    staging->nrows = 0;
    if (merged != NULL) {
        sort_axes(&staging->axes, staging->stores != staging->sorts);
    }
    staging_split(staging, input->staging_nbytes);
    double costs[3] = {repack_cost(staging, input, merged), 0, 0};
    if (staging->fetches) {
        bool local = staging->sorts || staging->converts_at == NDBUF__CONVERTS_BEFORE;
        costs[1] = add_device_cost(staging, staging->axes.src_strides, ndbuf__copy_axes_src_unit(&staging->axes),
                                   &input->fetch, local ? &input->src_local : NULL, staging->src_unit_nbytes);
        if (costs[1] < 0) {
            return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the source's device cannot copy to the host");
        }
    }
    if (staging->stores) {
        bool local = staging->sorts || staging->converts_at == NDBUF__CONVERTS_BEHIND;
        costs[2] = add_device_cost(staging, staging->axes.dst_strides, staging->axes.unit_nbytes, &input->store,
                                   local ? &input->dst_local : NULL, staging->dst_unit_nbytes);
        if (costs[2] < 0) {
            return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the destination's device cannot copy from the host");
        }
    }
    staging->cost_ns = pipelined_cost(costs, staging->nboxes);
    return NDBUF_OK;
}

/* Whether the device could bring a box into its layout. */
static bool can_sort(const ndbuf__staging *staging, const ndbuf__plan_input *input)
{
    const ndbuf_copy_caps *local = staging->stores ? &input->dst_local : &input->src_local;
    return staging->stores != staging->fetches && staging->axes.ndim > 0 &&
           (local->flags & NDBUF_CAN_COPY_STRIDED) != 0;
}

ndbuf_status ndbuf__staging_make(ndbuf__staging *out_staging, const ndbuf__plan_input *input,
                                 const ndbuf__copy_axes *merged, ndbuf_error *err)
{
    ndbuf__staging *staging = out_staging;
    staging->dst_suboffsets = input->dst.suboffsets;
    staging->src_suboffsets = input->src.suboffsets;
    staging->fetches = !input->src_is_host;
    staging->stores = !input->dst_is_host;
    staging->sorts = false;
    if (merged != NULL) {
        staging->axes = *merged;
        if (merged->unit_nbytes > input->staging_nbytes && !ndbuf__converts(&merged->convert)) {
            ndbuf__copy_axes_append(&staging->axes, merged->unit_nbytes, 1, 1);
            staging->axes.unit_nbytes = 1;
        }
    } else {
        ndbuf__plan_input_axes(input, &staging->axes);
    }
    place_conversion(staging, input);
    ndbuf_status status = staging_cut(staging, input, merged, err);
    if (status == NDBUF_OK && merged != NULL && can_sort(staging, input)) {
        ndbuf__staging sorting = *staging;
        sorting.sorts = true;
        if (staging_cut(&sorting, input, merged, NULL) == NDBUF_OK && sorting.cost_ns < staging->cost_ns) {
            *staging = sorting;
        }
    }
    return status;
}

void ndbuf__staging_convert_on_host(ndbuf__staging *staging)
{
    staging->converts_at = NDBUF__CONVERTS_ON_HOST;
    staging->dst_unit_nbytes = staging->axes.unit_nbytes;
    staging->src_unit_nbytes = ndbuf__copy_axes_src_unit(&staging->axes);
    staging->sorts = false; /* kernels, too */
    if (staging->dst_suboffsets == NULL && staging->src_suboffsets == NULL) {
        sort_axes(&staging->axes, staging->stores);
    }
    staging_split(staging, ndbuf__staging_nbytes);
}
