/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan.h"

#include <string.h>

/* The index tables of shuffles. They say for each byte of a step's output where it comes from. */

static void shuffle_clear(cpu_shuffle *shuffle, int32_t nin, int32_t nout)
{
    shuffle->nin = nin;
    shuffle->nout = nout;
    for (int32_t j = 0; j < nout; j++) {
        memset(shuffle->index[j], CPU_SHUFFLE_NONE, (size_t)nin * CPU_VECTOR_MAX);
    }
}

/* Unit `x` of the vectors written, all taken as one, comes from bytes `at` and following of those read. */
static void shuffle_put(cpu_shuffle *shuffle, int64_t x, int64_t at, int64_t unit, int32_t vector_nbytes,
                        int32_t swap_nbytes)
{
    int shift = vector_nbytes == 64 ? 6 : 4;
    const int64_t reversed = swap_nbytes != 0 ? swap_nbytes - 1 : 0;
    for (int64_t byte = 0; byte < unit; byte++, x++) {
        int64_t from = at + (byte ^ reversed);
        shuffle->index[x >> shift][from >> shift][x & (vector_nbytes - 1)] = (uint8_t)(from & (vector_nbytes - 1));
    }
}

bool ndbuf_cpu__shuffle_gather(cpu_plan *plan, int32_t vector_nbytes, int32_t swap_nbytes)
{
    cpu_shuffle *shuffle = &plan->shuffle;
    const int64_t unit = plan->unit_nbytes;
    const int64_t stride = plan->row.src_stride;
    const int64_t group_span = ndbuf__stride_magnitude(plan->group_stride) * (plan->group_units - 1) + unit;
    const int64_t group_low = plan->group_stride < 0 ? plan->group_stride * (plan->group_units - 1) : 0;
    int64_t ngroups = vector_nbytes / (plan->group_units * unit);
    int64_t span = 0;
    for (; ngroups >= 1; ngroups--) { /* as many as the window holds */
        span = ndbuf__stride_magnitude(stride) * (ngroups - 1) + group_span;
        if (span <= (int64_t)CPU_SHUFFLE_MAX * vector_nbytes) {
            break;
        }
    }
    if (ngroups < 1 || ngroups * plan->group_units * unit * 4 < vector_nbytes) {
        return false;
    }
    int32_t nin = (int32_t)((span + vector_nbytes - 1) / vector_nbytes);
    shuffle_clear(shuffle, nin, 1);
    /* The window starts at the lowest byte of the step, or ends at its highest where the source runs backwards, so that
     * what it reads too much lies where the next steps go. */
    int64_t low = group_low + (stride < 0 ? stride * (ngroups - 1) : 0);
    plan->shuffle_reach = (int64_t)nin * vector_nbytes;
    int64_t base = stride < 0 ? low + span - plan->shuffle_reach : low;
    for (int32_t i = 0; i < nin; i++) {
        shuffle->in_offsets[i] = base + (int64_t)i * vector_nbytes;
    }
    shuffle->out_offsets[0] = 0;
    shuffle->in_step = ngroups * stride;
    shuffle->out_step = ngroups * plan->group_units * unit;
    shuffle->units_per_step = (int32_t)ngroups;
    int64_t x = 0;
    for (int64_t group = 0; group < ngroups; group++) {
        for (int64_t k = 0; k < plan->group_units; k++) {
            shuffle_put(shuffle, x, group * stride + k * plan->group_stride - base, unit, vector_nbytes, swap_nbytes);
            x += unit;
        }
    }
    return true;
}

bool ndbuf_cpu__shuffle_scatter(cpu_plan *plan, int32_t vector_nbytes, int64_t dst_stride)
{
    cpu_shuffle *shuffle = &plan->shuffle;
    const int64_t unit = plan->unit_nbytes;
    int64_t by_source = vector_nbytes / unit;
    int64_t by_window = (int64_t)CPU_SHUFFLE_MAX * vector_nbytes / dst_stride;
    int64_t nunits = by_source < by_window ? by_source : by_window;
    if (nunits * unit * 4 < vector_nbytes || dst_stride >= CPU_LINE_NBYTES) { /* a unit in a line is a store */
        return false;
    }
    shuffle_clear(shuffle, 1, (int32_t)((nunits * dst_stride + vector_nbytes - 1) / vector_nbytes));
    shuffle->units_per_step = (int32_t)nunits;
    shuffle->in_step = nunits * unit;
    shuffle->out_step = nunits * dst_stride;
    plan->shuffle_reach = vector_nbytes;
    for (int64_t i = 0; i < nunits; i++) {
        shuffle_put(shuffle, i * dst_stride, i * unit, unit, vector_nbytes, plan->swap_nbytes);
    }
    return true;
}

void ndbuf_cpu__shuffle_weave(cpu_plan *plan, int32_t vector_nbytes, const cpu_axis *streams, bool to_one)
{
    cpu_shuffle *shuffle = &plan->shuffle;
    const int64_t unit = plan->unit_nbytes;
    const int64_t count = streams->extent;
    shuffle_clear(shuffle, (int32_t)count, (int32_t)count);
    shuffle->units_per_step = (int32_t)(vector_nbytes / unit);
    int64_t one_step = count * vector_nbytes;
    shuffle->in_step = to_one ? vector_nbytes : one_step;
    shuffle->out_step = to_one ? one_step : vector_nbytes;
    plan->shuffle_reach = to_one ? vector_nbytes : one_step;
    for (int32_t k = 0; k < count; k++) {
        shuffle->in_offsets[k] = to_one ? k * streams->src_stride : (int64_t)k * vector_nbytes;
        shuffle->out_offsets[k] = to_one ? (int64_t)k * vector_nbytes : k * streams->dst_stride;
    }
    for (int64_t i = 0; i < shuffle->units_per_step; i++) {
        for (int64_t k = 0; k < count; k++) {
            int64_t woven = (i * count + k) * unit;       /* where unit i of stream k is on the one side */
            int64_t apart = k * vector_nbytes + i * unit; /* and on the other */
            shuffle_put(shuffle, to_one ? woven : apart, to_one ? apart : woven, unit, vector_nbytes,
                        plan->swap_nbytes);
        }
    }
}

void ndbuf_cpu__shuffle_slots(cpu_plan *plan)
{
    cpu_slots *slots = &plan->transpose.slots;
    const int64_t unit = plan->unit_nbytes;
    const int64_t slot = cpu_slot_nbytes(unit);
    const int64_t swap = plan->swap_nbytes != 0 ? plan->swap_nbytes - 1 : 0;
    slots->unit_nbytes = unit;
    slots->slot_nbytes = slot;
    slots->nbytes = CPU_VECTOR_MAX / slot * unit;
    for (int64_t i = 0; i < CPU_VECTOR_MAX; i++) {
        slots->spread[i] = (uint8_t)(i / slot * unit + (i % slot ^ swap));
        slots->close[i] = (uint8_t)(i / unit * slot + i % unit);
    }
}

/* What is known of each byte of an arrangement; marks are 0 or 1. */
typedef struct byte_places {
    uint8_t sources[NDBUF__ARRANGED_MAX_NBYTES]; /* of the destination's */
    uint8_t are_written[NDBUF__ARRANGED_MAX_NBYTES];
    uint8_t are_read[NDBUF__ARRANGED_MAX_NBYTES];
} byte_places;

/* Units along one axis. */
static void places_put(byte_places *places, const ndbuf__copy_axes *axes, int32_t axis, int64_t dst, int64_t src,
                       int64_t reversed)
{
    const int64_t unit = axes->unit_nbytes;
    const int64_t count = axis >= 0 ? axes->shape[axis] : 1;
    const int64_t dst_stride = axis >= 0 ? axes->dst_strides[axis] : 0;
    const int64_t src_stride = axis >= 0 ? axes->src_strides[axis] : 0;
    for (int64_t i = 0; i < count; i++) {
        for (int64_t byte = 0; byte < unit; byte++) {
            const int64_t from = src + (byte ^ reversed);
            places->sources[dst + byte] = (uint8_t)from;
            places->are_written[dst + byte] = 1;
            places->are_read[from] = 1;
        }
        dst += dst_stride;
        src += src_stride;
    }
}

/* A bit for each mark of a vector, eight at a time. */
static uint64_t bits_of(const uint8_t marks[NDBUF__ARRANGED_NBYTES])
{
    uint64_t bits = 0;
    for (int i = 0; i < NDBUF__ARRANGED_NBYTES; i += 8) {
        uint64_t eight = 0;
        for (int j = 0; j < 8; j++) {
            eight |= (uint64_t)marks[i + j] << j;
        }
        bits |= eight << i;
    }
    return bits;
}

bool ndbuf_cpu__arrange(ndbuf__arrangement *how, const ndbuf__copy_axes *axes, int32_t swap_nbytes)
{
    const int64_t reversed = swap_nbytes != 0 ? swap_nbytes - 1 : 0;
    int64_t dst_lo;
    int64_t dst_hi;
    int64_t src_lo;
    int64_t src_hi;
    ndbuf__copy_axes_range(axes, true, &dst_lo, &dst_hi);
    ndbuf__copy_axes_range(axes, false, &src_lo, &src_hi);
    if (dst_hi - dst_lo > NDBUF__ARRANGED_MAX_NBYTES || src_hi - src_lo > NDBUF__ARRANGED_MAX_NBYTES) {
        return false;
    }
    how->nout = cpu_arranged_vectors(dst_hi - dst_lo);
    how->nin = cpu_arranged_vectors(src_hi - src_lo);
    byte_places places = {0};
    how->dst_offset = dst_lo - axes->dst_offset;
    how->src_offset = src_lo - axes->src_offset;
    const int32_t last = axes->ndim - 1;
    int64_t index[NDBUF__MAX_AXES] = {0};
    int64_t dst = -how->dst_offset;
    int64_t src = -how->src_offset;
    bool is_done = false;
    while (!is_done) {
        places_put(&places, axes, last, dst, src, reversed);
        is_done = true;
        for (int32_t k = last - 1; k >= 0 && is_done; k--) {
            dst += axes->dst_strides[k];
            src += axes->src_strides[k];
            is_done = ++index[k] == axes->shape[k];
            if (is_done) {
                dst -= axes->dst_strides[k] * axes->shape[k];
                src -= axes->src_strides[k] * axes->shape[k];
                index[k] = 0;
            }
        }
    }
    memcpy(how->index, places.sources, sizeof(how->index));
    for (int64_t i = 0; i < NDBUF__ARRANGED_VECTORS; i++) {
        how->reads[i] = bits_of(places.are_read + i * NDBUF__ARRANGED_NBYTES);
        how->writes[i] = bits_of(places.are_written + i * NDBUF__ARRANGED_NBYTES);
    }
    return true;
}
