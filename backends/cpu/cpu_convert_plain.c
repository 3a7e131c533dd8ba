/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_convert_plan.h"
#include "backends/cpu/cpu_plan_transpose.h"

/* Conversions that the engine that copies takes as they are. */

/* Numbers up to this size are turned as longer ones; and longer or as long ones up to that size. */
#define LONGER_SRC_MAX 2
#define LONGER_DST_MAX 4
/* Fewer lines than these are woven together before they are converted. */
#define LINES_MIN 8

/* Whether the bits of each number stay the same, but for their order. */
static bool keeps_bits(const cpu_convert_box *convert)
{
    const ndbuf_element *dst = &convert->dst_element;
    const ndbuf_element *src = &convert->src_element;
    bool are_alike = ndbuf_cpu__is_integer(dst->number) && ndbuf_cpu__is_integer(src->number) &&
                     dst->nbytes == src->nbytes && (convert->flags & NDBUF_CAST_SATURATE) == 0;
    return dst->is_complex == 0 && src->is_complex == 0 && (are_alike || dst->number == src->number);
}

/* Whether pairs of numbers, `stride` bytes apart, are rather converted from where they are: in the caches they need no
 * turning, unless they share cache sets. `nbytes` are those of both sides. */
static bool takes_pairs(const cpu_row_converter *converter, int64_t stride, int64_t nbytes)
{
    return converter->apart != NULL && nbytes / 2 < NDBUF_CPU__TUNING_PEEK(stream_nbytes) &&
           stride * CPU_SET_SHARERS % NDBUF_CPU__TUNING_PEEK(conflict_nbytes) != 0;
}

/* Whether numbers that become as long, or longer ones, are converted line by line and then turned, rather than turned
 * by blocks and converted to rows: past the caches, where blocks leave too short pieces. Longer ones are so only where
 * there is more to turn afterwards, but rows begin anywhere in a line, which pieces pay for twice. */
static bool turns_as_long(const cpu_box *box, const cpu_kernels *kernels, int64_t src_nbytes, int64_t nunits)
{
    const int64_t nbytes = nunits * box->unit_nbytes;
    if (box->unit_nbytes > LONGER_DST_MAX ||
        (nbytes < NDBUF_CPU__TUNING_PEEK(stream_nbytes) &&
         nbytes + nunits * src_nbytes < NDBUF_CPU__TUNING_PEEK(stream_parts_nbytes))) {
        return false; /* in the short time that small copies have */
    }
    const ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    if (box->unit_nbytes == src_nbytes) {
        return ndbuf_cpu__transpose_streams(box->unit_nbytes, nbytes, nbytes + nunits * src_nbytes, kernels, &tuning);
    }
    uint64_t bits = (uintptr_t)box->dst;
    for (int32_t k = 0; k < box->ndim - 1; k++) {
        bits |= (uint64_t)box->dst_strides[k];
    }
    return src_nbytes <= LONGER_SRC_MAX && nbytes >= tuning.stream_nbytes && bits % CPU_LINE_NBYTES != 0;
}

/* How many lines of the source, `column` being their axis, make a run of the destination. */
static int64_t lines_of_run(const cpu_box *box, int32_t column)
{
    int64_t nlines = 1;
    for (int32_t k = box->ndim - 1; k > column && box->dst_strides[k] == nlines * box->unit_nbytes; k--) {
        nlines *= box->shape[k];
    }
    return nlines;
}

/* The copy of other numbers than there are, if their lines are long and run across the rows. */
static bool turns_numbers(const cpu_convert_box *convert, cpu_box *out_box, cpu_row_converter *out_converter)
{
    const cpu_kernels *kernels = ndbuf_cpu__kernels_get();
    cpu_box *box = out_box;
    int64_t src_nbytes = convert->src_element.nbytes;
    *box = convert->box;
    box->unit_nbytes = convert->dst_element.nbytes;
    int32_t last = box->ndim - 1;
    if (last < 1 || ndbuf_cpu__converts_whole(&convert->box, box->unit_nbytes, src_nbytes)) {
        return false;
    }
    const bool has_groups = box->dst_strides[last] == box->unit_nbytes && box->src_strides[last] == src_nbytes;
    const bool has_pairs = has_groups && box->shape[last] == 2;
    if (has_groups) {
        box->unit_nbytes *= box->shape[last];
        src_nbytes *= box->shape[last];
        box->ndim = last--;
    }
    const int size = cpu_size_index(box->unit_nbytes);
    const int32_t column = ndbuf_cpu__fastest_src_axis(box);
    bool repeats = false;
    int64_t nunits = 1;
    for (int32_t k = 0; k <= last; k++) {
        repeats = repeats || box->src_strides[k] == 0;
        nunits *= box->shape[k];
    }
    if (size < 0 || kernels->block_side[size] == 1 || src_nbytes >= CPU_LINE_NBYTES || repeats || column == last ||
        box->dst_strides[last] != box->unit_nbytes || ndbuf__stride_magnitude(box->src_strides[column]) != src_nbytes ||
        box->shape[column] * box->unit_nbytes < CPU_LINE_NBYTES || lines_of_run(box, column) < LINES_MIN ||
        (box->unit_nbytes >= src_nbytes && !turns_as_long(box, kernels, src_nbytes, nunits))) {
        return false;
    }
    ndbuf_cpu__row_converter_init(out_converter, &convert->converter, &convert->dst_element, &convert->src_element,
                                  convert->flags, kernels);
    box->converter = out_converter;
    return out_converter->by_steps != NULL &&
           !(has_pairs && takes_pairs(out_converter, box->src_strides[last], nunits * (box->unit_nbytes + src_nbytes)));
}

bool ndbuf_cpu__copies_numbers(const cpu_convert_box *convert, cpu_box *out_box, cpu_row_converter *out_converter)
{
    if (!keeps_bits(convert)) {
        return turns_numbers(convert, out_box, out_converter);
    }
    cpu_box *box = out_box;
    *box = convert->box;
    box->unit_nbytes = convert->dst_element.nbytes;
    if ((convert->dst_element.is_swapped != 0) != (convert->src_element.is_swapped != 0) && box->unit_nbytes > 1) {
        box->swap_nbytes = convert->dst_element.nbytes;
    }
    const int32_t last = box->ndim - 1;
    if (last >= 0 && box->dst_strides[last] == box->unit_nbytes && box->src_strides[last] == box->unit_nbytes) {
        box->unit_nbytes *= box->shape[last];
        box->ndim--;
    }
    return true;
}
