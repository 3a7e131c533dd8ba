/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/kernels/kernel_plan.h"

#include <string.h>

#include "core/copy_axes.h"

#include "backends/kernels/convert_element.h"
#include "backends/kernels/kernel_list.h"

/* What the kernels do, in the order of the list. */
typedef enum plan_action { PLAN_COPY, PLAN_TILE, PLAN_FILL, PLAN_CONVERT } plan_action;

#define PLAN_MAX_UNIT 16
#define PLAN_NUNITS 5 /* sizes of units */

/* Work items of a group, and the most groups. Estimates, until measured on a GPU: enough for 2000 groups in flight, few
 * enough that starting them costs little. */
#define PLAN_GROUP_NITEMS 256
#define PLAN_MAX_NGROUPS 8192

/* A tile pays where one side would run through memory in steps beyond a sector, and both axes fill half a small tile.
 * Estimates, until measured on a GPU. */
#define PLAN_SECTOR_NBYTES 32
#define PLAN_MIN_TILE_EXTENT 16

const char *const ndbuf__kernel_names[] = {
#define PLAN_NAME(name) #name,
    NDBUF__KERNEL_LIST(PLAN_NAME)
#undef PLAN_NAME
};
const int32_t ndbuf__kernel_count = (int32_t)(sizeof(ndbuf__kernel_names) / sizeof(ndbuf__kernel_names[0]));

/* The pairs of numbers that have a kernel, in the order of the list. */
static const int32_t convert_pairs[][2] = {
#define PLAN_PAIR(x, dst, src) {NDBUF_NUMBER_##dst, NDBUF_NUMBER_##src},
    NDBUF__CONVERT_PAIRS(PLAN_PAIR, x)
#undef PLAN_PAIR
};
#define PLAN_NPAIRS ((int32_t)(sizeof(convert_pairs) / sizeof(convert_pairs[0])))

static const int64_t tile_extents[PLAN_NUNITS] = {NDK_TILE_1, NDK_TILE_2, NDK_TILE_4, NDK_TILE_8, NDK_TILE_16};

static int32_t log2_of_unit(int64_t unit_nbytes)
{
    int32_t log2 = 0;
    while ((int64_t)1 << log2 < unit_nbytes) {
        log2++;
    }
    return log2;
}

/* The largest unit that divides `bits`, an "or" of sizes and addresses. */
static int64_t largest_unit(uint64_t bits)
{
    uint64_t unit = PLAN_MAX_UNIT;
    while ((bits & (unit - 1)) != 0) {
        unit /= 2;
    }
    return (int64_t)unit;
}

/* An "or" of all that a unit of the destination has to divide. */
static uint64_t dst_alignment_bits(const ndbuf__copy_axes *axes, uint64_t dst_address)
{
    uint64_t bits = (uint64_t)axes->unit_nbytes | (dst_address + (uint64_t)axes->dst_offset);
    for (int32_t k = 0; k < axes->ndim; k++) {
        bits |= (uint64_t)axes->dst_strides[k];
    }
    return bits;
}

static uint64_t src_alignment_bits(const ndbuf__copy_axes *axes, uint64_t src_address)
{
    uint64_t bits = src_address + (uint64_t)axes->src_offset;
    for (int32_t k = 0; k < axes->ndim; k++) {
        bits |= (uint64_t)axes->src_strides[k];
    }
    return bits;
}

/* The axes of one side of a copy or of a fill, brought to the fewest. False: there are too many to look at. */
static bool axes_init(ndbuf__copy_axes *axes, int32_t ndim, const int64_t *shape, int64_t unit_nbytes,
                      const ndbuf_copy_side *dst, const ndbuf_copy_side *src)
{
    axes->ndim = 0;
    axes->convert = (ndbuf__convert){0};
    axes->unit_nbytes = unit_nbytes;
    axes->dst_offset = dst->offset;
    axes->src_offset = src->offset;
    for (int32_t k = 0; k < ndim; k++) {
        if (shape[k] == 1 || (dst->strides[k] == 0 && src->strides[k] == 0)) {
            continue; /* the latter: a fill that would write the same again */
        }
        if (axes->ndim == NDBUF__MAX_AXES) {
            return false;
        }
        ndbuf__copy_axes_append(axes, shape[k], dst->strides[k], src->strides[k]);
    }
    ndbuf__copy_axes_merge(axes);
    return true;
}

/* How far the units of a side lie from the one at index 0, at most. */
static int64_t reach(int32_t ndim, const int64_t *shape, const int64_t *strides)
{
    int64_t nbytes = 0;
    for (int32_t k = 0; k < ndim; k++) {
        nbytes += ndbuf__stride_magnitude(strides[k]) * (shape[k] - 1);
    }
    return nbytes;
}

/* remainder * 2^64 / divisor, rounded down, for remainder < divisor < 2^63. */
static uint64_t divide_wide(uint64_t remainder, uint64_t divisor)
{
    uint64_t quotient = 0;
    if (divisor <= UINT32_MAX) { /* digits of 32 bits */
        quotient = (remainder << 32) / divisor;
        remainder = (remainder << 32) % divisor;
        return quotient << 32 | (remainder << 32) / divisor;
    }
    for (int32_t i = 0; i < 64; i++) {
        remainder *= 2;
        quotient *= 2;
        if (remainder >= divisor) {
            remainder -= divisor;
            quotient++;
        }
    }
    return quotient;
}

/* See kernel_params.h: with 2^shift >= divisor > 2^(shift - 1), the multiplier is 2^64 * 2^shift / divisor without its
 * bit 64, rounded up. */
static void set_divider(ndk_params *params, int32_t axis, int64_t divisor)
{
    int32_t shift = 0;
    while ((uint64_t)1 << shift < (uint64_t)divisor) {
        shift++;
    }
    params->shifts[axis] = shift;
    params->multipliers[axis] = divide_wide(((uint64_t)1 << shift) - (uint64_t)divisor, (uint64_t)divisor) + 1;
}

/* What all kernels are told, from axes that end in one along units, if need be. */
static void params_init(ndk_params *params, const ndbuf__copy_axes *axes)
{
    memset(params, 0, sizeof(*params));
    params->dst_offset = axes->dst_offset;
    params->src_offset = axes->src_offset;
    params->nunits = ndbuf__copy_axes_nunits(axes);
    params->ndim = axes->ndim;
    params->unit_nbytes = (ndk_i32)axes->unit_nbytes;
    for (int32_t k = 0; k < axes->ndim; k++) {
        params->shape[k] = axes->shape[k];
        params->dst_strides[k] = axes->dst_strides[k];
        params->src_strides[k] = axes->src_strides[k];
    }
}

static int64_t quotient_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0 ? 1 : 0);
}

/* Whether offsets and counts fit the kernels of 32 bits. */
static bool params_fit_32_bits(const ndk_params *params)
{
    return params->nunits <= INT32_MAX && reach(params->ndim, params->shape, params->dst_strides) <= INT32_MAX &&
           reach(params->ndim, params->shape, params->src_strides) <= INT32_MAX;
}

/* Chooses kernel, groups and dividers for params that are complete but for these. */
static void launch_init(ndbuf__kernel_launch *launch, plan_action action, uint32_t group_nitems_limit)
{
    ndk_params *params = &launch->params;
    int32_t size = action != PLAN_CONVERT ? log2_of_unit(params->unit_nbytes) : 0;
    int64_t group_nitems = group_nitems_limit < PLAN_GROUP_NITEMS ? group_nitems_limit : PLAN_GROUP_NITEMS;
    int64_t ngroups = action == PLAN_TILE ? params->nbatches : quotient_up(params->nunits, group_nitems * NDK_BATCH);
    for (int32_t k = 0; k < params->ndim; k++) {
        int64_t divisor = params->shape[k];
        if (action == PLAN_TILE && (k == params->row_axis || k == params->column_axis)) {
            divisor = quotient_up(divisor, tile_extents[size]);
            ngroups *= divisor;
        }
        set_divider(params, k, divisor);
    }
    launch->kernel = ((int32_t)action * PLAN_NUNITS + size) * 2 + (params_fit_32_bits(params) ? 0 : 1);
    launch->ngroups = (uint32_t)(ngroups < PLAN_MAX_NGROUPS ? ngroups : PLAN_MAX_NGROUPS);
    launch->group_nitems = (uint32_t)group_nitems;
}

/* The axis along which a side lies closest; axes that repeat do not count. -1: none. */
static int32_t closest_axis(int32_t ndim, const int64_t *strides)
{
    int32_t closest = -1;
    for (int32_t k = ndim - 1; k >= 0; k--) {
        int64_t magnitude = ndbuf__stride_magnitude(strides[k]);
        if (magnitude != 0 && (closest < 0 || magnitude < ndbuf__stride_magnitude(strides[closest]))) {
            closest = k;
        }
    }
    return closest;
}

/* Whether a side lies close along one axis and not along the other. */
static bool is_close_along(const int64_t *strides, int32_t near_axis, int32_t far_axis)
{
    int64_t near_stride = ndbuf__stride_magnitude(strides[near_axis]);
    int64_t far_stride = ndbuf__stride_magnitude(strides[far_axis]);
    return near_stride < PLAN_SECTOR_NBYTES && far_stride >= 2 * near_stride;
}

/* Chooses the axes of tiles. False: the plain kernel is as good. */
static bool choose_tile(ndk_params *params)
{
    int32_t row = closest_axis(params->ndim, params->src_strides);
    int32_t column = closest_axis(params->ndim, params->dst_strides);
    if (row < 0 || column < 0 || row == column || params->shape[row] < PLAN_MIN_TILE_EXTENT ||
        params->shape[column] < PLAN_MIN_TILE_EXTENT || !is_close_along(params->src_strides, row, column) ||
        !is_close_along(params->dst_strides, column, row)) {
        return false;
    }
    params->row_axis = row;
    params->column_axis = column;
    params->nbatches = params->nunits / params->shape[row] / params->shape[column];
    return true;
}

bool ndbuf__kernel_plan_copy(const ndbuf_strided *box, uint64_t dst_address, uint64_t src_address,
                             uint32_t group_nitems_limit, ndbuf__kernel_launch *out_launch)
{
    ndbuf__copy_axes axes;
    if (!axes_init(&axes, box->ndim, box->shape, box->unit_nbytes, &box->dst, &box->src)) {
        return false;
    }
    int64_t unit_nbytes = largest_unit(dst_alignment_bits(&axes, dst_address) | src_alignment_bits(&axes, src_address));
    bool has_rest = axes.unit_nbytes > unit_nbytes || axes.ndim == 0;
    if (axes.ndim + (has_rest ? 1 : 0) > NDK_MAX_NDIM) {
        return false;
    }
    if (has_rest) {
        ndbuf__copy_axes_append(&axes, axes.unit_nbytes / unit_nbytes, unit_nbytes, unit_nbytes);
        axes.unit_nbytes = unit_nbytes;
    }
    params_init(&out_launch->params, &axes);
    launch_init(out_launch, choose_tile(&out_launch->params) ? PLAN_TILE : PLAN_COPY, group_nitems_limit);
    return true;
}

/* 0: no kernel knows such a number. */
static int32_t number_nbytes(int32_t number)
{
    return number >= NDK_BOOL && number <= NDK_FLOAT64 ? (int32_t)ndk_number_nbytes(number) : 0;
}

static bool is_element(const ndbuf_element *element)
{
    int32_t nbytes = number_nbytes(element->number);
    return nbytes > 0 && element->nbytes == nbytes * (element->is_complex ? 2 : 1);
}

static bool is_integer(const ndbuf_element *element)
{
    return element->number > NDK_BOOL && element->number <= NDK_UINT64;
}

/* Whether all bits are kept, in whatever byte order. */
static bool keeps_bits(const ndbuf_convert_box *box)
{
    const ndbuf_element *dst = &box->dst_element;
    const ndbuf_element *src = &box->src_element;
    bool wraps = is_integer(dst) && is_integer(src) && (box->flags & NDBUF_CAST_SATURATE) == 0;
    return !dst->is_complex && !src->is_complex && dst->nbytes == src->nbytes && (wraps || dst->number == src->number);
}

static bool plan_as_copy(const ndbuf_convert_box *box, uint64_t dst_address, uint64_t src_address,
                         uint32_t group_nitems_limit, ndbuf__kernel_launch *out_launch)
{
    const ndbuf_strided strided = {.dst = box->dst,
                                   .src = box->src,
                                   .ndim = box->ndim,
                                   .shape = box->shape,
                                   .unit_nbytes = box->dst_element.nbytes};
    return ndbuf__kernel_plan_copy(&strided, dst_address, src_address, group_nitems_limit, out_launch);
}

bool ndbuf__kernel_host_is_big_endian(void)
{
    const uint16_t one = 1;
    uint8_t first;
    memcpy(&first, &one, sizeof(first));
    return first == 0;
}

/* What the kernels are told of the elements, from where they lie. Read byte by byte, a number is little-endian. */
static void set_elements(ndk_params *params, const ndbuf_convert_box *box, uint64_t dst_bits, uint64_t src_bits)
{
    bool is_big_endian = ndbuf__kernel_host_is_big_endian();
    bool keeps = keeps_bits(box);
    int32_t dst_nbytes = number_nbytes(box->dst_element.number);
    int32_t src_nbytes = number_nbytes(box->src_element.number);
    bool dst_is_aligned = dst_bits % (uint64_t)dst_nbytes == 0;
    bool src_is_aligned = src_bits % (uint64_t)src_nbytes == 0;
    int32_t as_bits = dst_nbytes == 1   ? NDK_UINT8
                      : dst_nbytes == 2 ? NDK_UINT16
                      : dst_nbytes == 4 ? NDK_UINT32
                                        : NDK_UINT64;
    params->dst_number = keeps ? as_bits : box->dst_element.number;
    params->src_number = keeps ? as_bits : box->src_element.number;
    params->dst_nbytes = box->dst_element.nbytes;
    params->src_nbytes = box->src_element.nbytes;
    params->dst_access = dst_is_aligned ? dst_nbytes : 1;
    params->src_access = src_is_aligned ? src_nbytes : 1;
    params->dst_swaps = (box->dst_element.is_swapped != 0) != (is_big_endian && !dst_is_aligned);
    params->src_swaps = (box->src_element.is_swapped != 0) != (is_big_endian && !src_is_aligned);
    params->saturates = (box->flags & NDBUF_CAST_SATURATE) != 0;
}

/* Which of the kernels that convert, from the first one: the pair's own one, or the one for all. */
static int32_t choose_convert(const ndk_params *params)
{
    bool is_plain = params->dst_access == params->dst_nbytes && params->src_access == params->src_nbytes;
    for (int32_t i = 0; is_plain && i < PLAN_NPAIRS; i++) {
        if (convert_pairs[i][0] == params->dst_number && convert_pairs[i][1] == params->src_number) {
            return 1 + i;
        }
    }
    return 0;
}

bool ndbuf__kernel_plan_convert(const ndbuf_convert_box *box, uint64_t dst_address, uint64_t src_address,
                                uint32_t group_nitems_limit, ndbuf__kernel_launch *out_launch)
{
    const ndbuf_element *dst = &box->dst_element;
    const ndbuf_element *src = &box->src_element;
    ndbuf__copy_axes axes;
    if (!is_element(dst) || !is_element(src) || (src->is_complex && (dst->is_complex || dst->number != NDK_BOOL))) {
        return false;
    }
    /* A copy of 16 axes may need one more for the bytes of an element, which a conversion does not. */
    if (keeps_bits(box) && (dst->nbytes == 1 || (dst->is_swapped != 0) == (src->is_swapped != 0)) &&
        plan_as_copy(box, dst_address, src_address, group_nitems_limit, out_launch)) {
        return true;
    }
    /* Without a unit, no axis is folded into it. */
    if (!axes_init(&axes, box->ndim, box->shape, 0, &box->dst, &box->src)) {
        return false;
    }
    if (axes.ndim == 0) {
        ndbuf__copy_axes_append(&axes, 1, dst->nbytes, src->nbytes);
    }
    if (axes.ndim > NDK_MAX_NDIM) {
        return false;
    }
    params_init(&out_launch->params, &axes);
    set_elements(&out_launch->params, box, dst_alignment_bits(&axes, dst_address),
                 src_alignment_bits(&axes, src_address));
    launch_init(out_launch, PLAN_CONVERT, group_nitems_limit);
    out_launch->kernel += 2 * choose_convert(&out_launch->params);
    return true;
}

/* The shortest piece of an item that, repeated, gives it. */
static int64_t item_period(const char *item, int64_t item_nbytes)
{
    for (int64_t period = 1; period <= NDK_MAX_ITEM && period < item_nbytes; period++) {
        if (item_nbytes % period == 0 && memcmp(item, item + period, (size_t)(item_nbytes - period)) == 0) {
            return period;
        }
    }
    return item_nbytes;
}

bool ndbuf__kernel_plan_fill(const ndbuf_fill_box *box, uint64_t dst_address, uint32_t group_nitems_limit,
                             ndbuf__kernel_launch *out_launch)
{
    ndbuf__copy_axes axes;
    int64_t period = item_period(box->item, box->item_nbytes);
    if (period > NDK_MAX_ITEM || !axes_init(&axes, box->ndim, box->shape, box->item_nbytes, &box->dst, &box->dst)) {
        return false;
    }
    /* Runs of axes.unit_nbytes bytes, a multiple of the period. Units may be longer than the period: the pattern that
     * is written is the shortest that both divide. */
    int64_t unit_limit = largest_unit(dst_alignment_bits(&axes, dst_address));
    int64_t unit_nbytes = largest_unit((uint64_t)period | (uint64_t)unit_limit);
    int64_t pattern = period;
    while (unit_nbytes < unit_limit && 2 * pattern <= NDK_MAX_ITEM) {
        unit_nbytes *= 2;
        pattern *= 2;
    }
    int64_t npatterns = axes.unit_nbytes / pattern;
    if (axes.ndim + (npatterns > 1 ? 2 : 1) > NDK_MAX_NDIM) {
        return false;
    }
    if (npatterns > 1) {
        ndbuf__copy_axes_append(&axes, npatterns, pattern, pattern);
    }
    ndbuf__copy_axes_append(&axes, pattern / unit_nbytes, unit_nbytes, unit_nbytes);
    axes.unit_nbytes = unit_nbytes;
    axes.src_offset = 0;
    ndk_params *params = &out_launch->params;
    params_init(params, &axes);
    memset(params->src_strides, 0, sizeof(params->src_strides));
    for (int64_t i = 0; i < pattern; i++) {
        params->item[i] = ((const ndk_u8 *)box->item)[i % period];
    }
    launch_init(out_launch, PLAN_FILL, group_nitems_limit);
    return true;
}
