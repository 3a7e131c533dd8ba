/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_plan.h"

#include <string.h>

#include "backends/cpu/cpu_minmax.h"

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

/* The same step, of a window of `span` bytes, that reads nothing outside of it: the vector that does is moved. False: a
 * vector is longer, or is not filled. */
static bool shuffle_end(cpu_shuffle *out_end, const cpu_shuffle *shuffle, int64_t low, int64_t span,
                        int32_t vector_nbytes)
{
    if (span < vector_nbytes || shuffle->out_step != vector_nbytes) {
        return false;
    }
    const int32_t moved = shuffle->in_step < 0 ? 0 : shuffle->nin - 1;
    const int64_t to = shuffle->in_step < 0 ? low : low + span - vector_nbytes;
    *out_end = *shuffle;
    for (int32_t x = 0; x < vector_nbytes; x++) {
        uint8_t *at = &out_end->index[0][moved][x];
        *at = *at == CPU_SHUFFLE_NONE ? *at : (uint8_t)(*at + shuffle->in_offsets[moved] - to);
    }
    out_end->in_offsets[moved] = to;
    return true;
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
    const int64_t taken = ngroups * plan->group_units * unit;
    /* Each from a vector of its own: to load and store it takes less. */
    const bool is_far = plan->group_units == 1 && unit < vector_nbytes &&
                        ndbuf__stride_magnitude(stride) > vector_nbytes * (vector_nbytes == CPU_LANE_NBYTES ? 2 : 1);
    if (ngroups < 1 || is_far || taken * 4 < vector_nbytes || (taken == unit && unit < CPU_LANE_NBYTES)) {
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
    plan->has_end = shuffle_end(&plan->end, shuffle, low, span, vector_nbytes);
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

void ndbuf_cpu__shuffle_slots(cpu_plan *plan, int32_t vector_nbytes)
{
    cpu_slots *slots = &plan->transpose.slots;
    const int64_t unit = plan->unit_nbytes;
    const int64_t slot = cpu_slot_nbytes(unit);
    const int64_t swap = plan->swap_nbytes != 0 ? plan->swap_nbytes - 1 : 0;
    const int64_t lane = vector_nbytes == CPU_VECTOR_MAX ? CPU_VECTOR_MAX : CPU_LANE_NBYTES;
    const int64_t half = lane == CPU_VECTOR_MAX ? lane : lane / 2;
    const int64_t overlap = lane - lane / slot * unit; /* of two halves */
    slots->unit_nbytes = unit;
    slots->slot_nbytes = slot;
    slots->nbytes = vector_nbytes / slot * unit;
    for (int64_t i = 0; i < vector_nbytes; i++) {
        const int64_t k = i % lane;
        const bool is_first = i < lane && vector_nbytes > lane; /* of two lanes */
        const bool is_last = i >= lane;
        const int64_t read = k / slot * unit + (k % slot ^ swap);
        const int64_t written = !is_first && k >= half ? k - overlap : k;
        slots->spread[i] = (uint8_t)((is_last || (!is_first && read >= half) ? read + overlap : read) % lane);
        slots->close[i] = (uint8_t)((written / unit * slot + written % unit) % lane);
    }
}

/* What is known of each byte of an arrangement; marks are 0 or 1. */
typedef struct byte_places {
    uint8_t sources[NDBUF__ARRANGED_MAX_NBYTES]; /* of the destination's */
    uint8_t are_written[NDBUF__ARRANGED_MAX_NBYTES];
    uint8_t are_read[NDBUF__ARRANGED_MAX_NBYTES];
} byte_places;

/* For constant sizes of up to 8 bytes; `orders` are those of the bytes of a unit. No sum carries into another byte. */
__attribute__((always_inline)) static inline void places_put_unit(byte_places *places, int64_t dst, int64_t src,
                                                                  uint64_t orders, const size_t nbytes)
{
    const uint64_t ones = 0x0101010101010101;
    const uint64_t from = orders + (uint64_t)src * ones;
    memcpy(places->sources + dst, &from, nbytes);
    memcpy(places->are_written + dst, &ones, nbytes);
    memcpy(places->are_read + src, &ones, nbytes);
}

#define PLACES_PUT(nbytes)                                                                                             \
    case nbytes:                                                                                                       \
        for (int64_t i = 0; i < count; i++) {                                                                          \
            places_put_unit(places, dst + i * dst_stride, src + i * src_stride, orders, nbytes);                       \
        }                                                                                                              \
        break;

/* Units along one axis. */
static void places_put(byte_places *places, const ndbuf__copy_axes *axes, int32_t axis, int64_t dst, int64_t src,
                       int64_t reversed)
{
    const int64_t unit = axes->unit_nbytes;
    const int64_t count = axis >= 0 ? axes->shape[axis] : 1;
    const int64_t dst_stride = axis >= 0 ? axes->dst_strides[axis] : 0;
    const int64_t src_stride = axis >= 0 ? axes->src_strides[axis] : 0;
    uint8_t bytes[8];
    uint64_t orders;
    for (int64_t byte = 0; byte < 8; byte++) {
        bytes[byte] = (uint8_t)(byte ^ reversed);
    }
    memcpy(&orders, bytes, sizeof(orders));
    switch (unit) {
        PLACES_PUT(1)
        PLACES_PUT(2)
        PLACES_PUT(4)
        PLACES_PUT(8)
    default:
        for (int64_t i = 0; i < count; i++) {
            for (int64_t byte = 0; byte < unit; byte++) {
                const int64_t from = src + i * src_stride + (byte ^ reversed);
                places->sources[dst + i * dst_stride + byte] = (uint8_t)from;
                places->are_written[dst + i * dst_stride + byte] = 1;
                places->are_read[from] = 1;
            }
        }
        break;
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
    how->in_step = NDBUF__ARRANGED_NBYTES;
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
    how->last_offset = how->nout > 1 ? dst_hi - dst_lo - NDBUF__ARRANGED_NBYTES : 0;
    for (int64_t i = 0; i < NDBUF__ARRANGED_VECTORS; i++) {
        how->reads[i] = bits_of(places.are_read + i * NDBUF__ARRANGED_NBYTES);
    }
    for (int64_t j = 0; j < how->nout; j++) {
        const int64_t first = j < how->nout - 1 ? j * NDBUF__ARRANGED_NBYTES : how->last_offset;
        how->writes[j] = bits_of(places.are_written + first);
        memcpy(how->index[j], places.sources + first, NDBUF__ARRANGED_NBYTES);
    }
    return true;
}

/* Where the bytes of a block are. */
typedef struct byte_windows {
    int32_t count;
    int32_t offsets[CPU_LANE_WINDOWS];
    uint8_t numbers[CPU_LANE_BLOCK_NBYTES]; /* the window that has a byte, */
    uint8_t at[CPU_LANE_BLOCK_NBYTES];      /* and its place there */
} byte_windows;

static int64_t source_of(const ndbuf__arrangement *how, int64_t x)
{
    const int64_t last = (int64_t)(how->nout - 1) * NDBUF__ARRANGED_NBYTES;
    return x < last ? how->index[x / NDBUF__ARRANGED_NBYTES][x % NDBUF__ARRANGED_NBYTES]
                    : how->index[how->nout - 1][x - how->last_offset];
}

/* The fewest windows that have the sources of bytes first .. first + nbytes - 1: from the lowest one on. False: they
 * are too many. */
static bool find_windows(byte_windows *out_windows, const uint8_t *sources, int64_t first, int64_t nbytes,
                         int64_t src_span, int32_t most)
{
    bool is_read[UINT8_MAX + 1] = {false};
    uint8_t window_of[UINT8_MAX + 1];
    int64_t lowest = 0;
    out_windows->count = 0;
    for (int64_t x = first; x < first + nbytes; x++) {
        is_read[sources[x]] = true;
    }
    for (;;) {
        while (lowest < src_span && !is_read[lowest]) {
            lowest++;
        }
        if (lowest == src_span) {
            break;
        }
        if (out_windows->count == most) {
            return false;
        }
        const int64_t begin = cpu_smaller(lowest, src_span - CPU_LANE_NBYTES);
        for (; lowest < begin + CPU_LANE_NBYTES; lowest++) {
            window_of[lowest] = (uint8_t)out_windows->count;
        }
        out_windows->offsets[out_windows->count++] = (int32_t)begin;
    }
    for (int64_t x = first; x < first + nbytes; x++) {
        out_windows->numbers[x] = window_of[sources[x]];
        out_windows->at[x] = (uint8_t)(sources[x] - out_windows->offsets[out_windows->numbers[x]]);
    }
    return true;
}

bool ndbuf_cpu__lane_block(cpu_lane_block *out_block, const uint8_t *sources, int64_t dst_span, int64_t src_span,
                           int32_t vector_nbytes)
{
    cpu_lane_block *block = out_block;
    byte_windows windows = {0};
    if (dst_span < vector_nbytes || dst_span > CPU_LANE_BLOCK_NBYTES || src_span < CPU_LANE_NBYTES) {
        return false;
    }
    block->nout = (int32_t)((dst_span + vector_nbytes - 1) / vector_nbytes);
    block->nin = 0;
    block->is_shared = dst_span <= CPU_SHARED_NBYTES &&
                       find_windows(&windows, sources, 0, dst_span, src_span, CPU_SHARED_NBYTES / CPU_LANE_NBYTES);
    block->src_offset = 0;
    block->dst_offset = 0;
    block->src_nbytes = src_span;
    memset(block->in_offsets, 0, sizeof(block->in_offsets));
    memset(block->index, CPU_SHUFFLE_NONE, sizeof(block->index));
    for (int32_t j = 0; j < block->nout; j++) {
        const int64_t whole = (int64_t)j * vector_nbytes;
        const int64_t first = whole + vector_nbytes <= dst_span ? whole : dst_span - vector_nbytes;
        uint8_t *index = block->index + (ptrdiff_t)j * CPU_LANE_WINDOWS * vector_nbytes;
        if (!block->is_shared && !find_windows(&windows, sources, first, vector_nbytes, src_span, CPU_LANE_WINDOWS)) {
            return false;
        }
        for (int32_t x = 0; x < vector_nbytes; x++) {
            index[windows.numbers[first + x] * vector_nbytes + x] = windows.at[first + x];
        }
        memcpy(block->in_offsets[j], windows.offsets, (size_t)windows.count * sizeof(windows.offsets[0]));
        block->out_offsets[j] = (int32_t)first;
        block->nin = windows.count > block->nin ? windows.count : block->nin;
    }
    return true;
}

bool ndbuf_cpu__arrange_lanes(cpu_lane_block *out_block, const ndbuf__arrangement *how, int64_t dst_span,
                              int64_t src_span, int32_t vector_nbytes)
{
    uint8_t sources[CPU_LANE_BLOCK_NBYTES];
    if (dst_span > CPU_LANE_BLOCK_NBYTES) {
        return false;
    }
    for (int64_t x = 0; x < dst_span; x++) {
        sources[x] = (uint8_t)source_of(how, x);
    }
    if (!ndbuf_cpu__lane_block(out_block, sources, dst_span, src_span, vector_nbytes)) {
        return false;
    }
    out_block->src_offset = how->src_offset;
    out_block->dst_offset = how->dst_offset;
    return true;
}
