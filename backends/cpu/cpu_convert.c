/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_convert.h"

#include <string.h>

/* Rows whose places are reckoned together. */
#define ROWS_TOGETHER 32

const uint8_t ndbuf_cpu__swap_orders[9][16] = {
    [1] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    [2] = {1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14},
    [4] = {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12},
    [8] = {7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8},
};

bool ndbuf_cpu__is_integer(int32_t number)
{
    return number >= NDBUF_NUMBER_INT8 && number <= NDBUF_NUMBER_UINT64;
}

/* The signed integer of the same size, where the bits of a result are the same for both: those of other integers are
 * cut, and those of floats are cut from an INT32 up to 16 bits. */
static int32_t number_by_bits(int32_t number, int32_t src_number)
{
    switch (number) {
    case NDBUF_NUMBER_UINT8:
        return NDBUF_NUMBER_INT8;
    case NDBUF_NUMBER_UINT16:
        return NDBUF_NUMBER_INT16;
    case NDBUF_NUMBER_UINT32:
        return src_number <= NDBUF_NUMBER_UINT64 ? NDBUF_NUMBER_INT32 : number;
    case NDBUF_NUMBER_UINT64:
        return src_number <= NDBUF_NUMBER_UINT64 ? NDBUF_NUMBER_INT64 : number;
    default:
        return number;
    }
}

/* Whether an integer has all values of another type. */
static bool holds_all(int32_t dst_number, const ndbuf_element *src, int32_t dst_nbytes)
{
    bool is_signed = dst_number % 2 == 0;
    if (src->number == NDBUF_NUMBER_BOOL) {
        return true;
    }
    if (!ndbuf_cpu__is_integer(src->number)) {
        return false;
    }
    bool src_is_signed = src->number % 2 == 0;
    return is_signed == src_is_signed ? src->nbytes <= dst_nbytes : is_signed && src->nbytes < dst_nbytes;
}

static cpu_conversion find_steps(const cpu_conversions *conversions, const ndbuf_element *dst, const ndbuf_element *src,
                                 uint32_t flags)
{
    if (src->is_complex != 0) {
        return conversions->truths[src->number];
    }
    if (dst->is_complex != 0) {
        return conversions->pairs[dst->number][src->number];
    }
    if ((flags & NDBUF_CAST_SATURATE) != 0 && ndbuf_cpu__is_integer(dst->number) &&
        !holds_all(dst->number, src, dst->nbytes)) {
        return conversions->saturated[dst->number][src->number];
    }
    return conversions->plain[number_by_bits(dst->number, src->number)][src->number];
}

void ndbuf_cpu__row_converter_init(cpu_row_converter *out_converter, const ndbuf__converter *scalar,
                                   const ndbuf_element *dst, const ndbuf_element *src, uint32_t flags,
                                   const cpu_kernels *kernels)
{
    cpu_row_converter converter = {.scalar = *scalar,
                                   .dst_nbytes = dst->nbytes,
                                   .src_nbytes = src->nbytes,
                                   .dst_swap = dst->is_swapped ? dst->nbytes / (dst->is_complex ? 2 : 1) : 1,
                                   .src_swap = src->is_swapped ? src->nbytes / (src->is_complex ? 2 : 1) : 1};
    for (const cpu_kernels *k = kernels; k != NULL && converter.by_steps == NULL; k = k->narrower) {
        if (k->conversions != NULL) {
            const cpu_conversion steps = find_steps(k->conversions, dst, src, flags);
            converter.by_steps = steps.dense;
            converter.apart = steps.apart;
            converter.halves = converter.dst_swap == 1 && converter.src_swap == 1 ? steps.halves : NULL;
            converter.step = k->conversions->step;
        }
    }
    *out_converter = converter;
}

/* Fewer than a step. */
static void convert_few(const cpu_row_converter *converter, char *dst, const char *src, int64_t count)
{
    char from[CPU_CONVERT_STEP_MAX * CPU_CONVERT_ITEM_MAX] = {0};
    char to[CPU_CONVERT_STEP_MAX * CPU_CONVERT_ITEM_MAX];
    memcpy(from, src, (size_t)(count * converter->src_nbytes));
    cpu_convert_steps(converter, to, from, converter->step, false);
    memcpy(dst, to, (size_t)(count * converter->dst_nbytes));
}

void ndbuf_cpu__convert_row(const cpu_row_converter *converter, char *dst, const char *src, int64_t count)
{
    if (converter->by_steps == NULL) {
        ndbuf__convert_row(&converter->scalar, dst, converter->dst_nbytes, src, converter->src_nbytes, count);
        return;
    }
    if (count < converter->step) {
        convert_few(converter, dst, src, count);
        return;
    }
    cpu_convert_steps(converter, dst, src, count, false);
}

void ndbuf_cpu__convert_lines(const cpu_row_converter *converter, char *dst, int64_t dst_stride, const char *src,
                              const int64_t *src_offsets, int64_t nlines, int64_t count)
{
    if (count >= converter->step) {
        converter->by_steps(dst, dst_stride, src, src_offsets, nlines, count, converter->dst_swap, converter->src_swap,
                            false);
        return;
    }
    for (int64_t i = 0; i < nlines; i++) {
        convert_few(converter, dst + i * dst_stride, src + src_offsets[i], count);
    }
}

void ndbuf_cpu__convert_rows(const cpu_row_converter *converter, char *dst, int64_t dst_stride, const char *src,
                             int64_t src_stride, int64_t nrows, int64_t count)
{
    int64_t offsets[ROWS_TOGETHER];
    if (converter->by_steps == NULL || nrows == 1) {
        for (int64_t i = 0; i < nrows; i++) {
            ndbuf_cpu__convert_row(converter, dst + i * dst_stride, src + i * src_stride, count);
        }
        return;
    }
    for (int64_t i = 0; i < nrows && i < ROWS_TOGETHER; i++) {
        offsets[i] = i * src_stride;
    }
    for (int64_t done = 0; done < nrows; done += ROWS_TOGETHER) {
        const int64_t left = nrows - done;
        ndbuf_cpu__convert_lines(converter, dst + done * dst_stride, dst_stride, src + done * src_stride, offsets,
                                 left < ROWS_TOGETHER ? left : ROWS_TOGETHER, count);
    }
}

/* Up to a step of numbers that lie apart. */
static void convert_few_apart(const cpu_row_converter *converter, char *dst, const char *src, int64_t gap,
                              int64_t stride, int64_t count)
{
    char from[CPU_CONVERT_STEP_MAX * CPU_APART_NBYTES];
    for (int64_t i = 0; i < count; i++) {
        memcpy(from + i * converter->src_nbytes, src + i / 2 * stride + i % 2 * gap, (size_t)converter->src_nbytes);
    }
    convert_few(converter, dst, from, count);
}

/* More than a step of numbers that are first halves. The last step begins half a place before its first number, so that
 * they are second ones: nothing is read behind the last number. */
static void convert_halves(const cpu_row_converter *converter, char *dst, const char *src, int64_t count)
{
    const int64_t first = count - converter->step;
    converter->halves(dst, src, false, (count - 1) / converter->step);
    converter->halves(dst + first * converter->dst_nbytes, src + first * CPU_APART_NBYTES - converter->src_nbytes, true,
                      1);
}

void ndbuf_cpu__convert_row_apart(const cpu_row_converter *converter, char *dst, const char *src, int64_t gap,
                                  int64_t stride, int64_t count)
{
    const int64_t step = converter->step;
    const int64_t nsteps = count / step;
    if (nsteps == 0 || (converter->halves != NULL && count == step)) {
        convert_few_apart(converter, dst, src, gap, stride, count);
        return;
    }
    if (converter->halves != NULL) {
        convert_halves(converter, dst, src, count);
        return;
    }
    converter->apart(dst, src, gap, stride, nsteps, converter->dst_swap, converter->src_swap);
    if (nsteps * step < count) { /* the last step takes some numbers once more, and perhaps other pairs of them */
        const int64_t first = count - step;
        converter->apart(dst + first * converter->dst_nbytes, src + first / 2 * stride + first % 2 * gap,
                         first % 2 == 0 ? gap : stride - gap, stride, 1, converter->dst_swap, converter->src_swap);
    }
}

bool ndbuf_cpu__streams_row(const cpu_row_converter *converter, const char *dst)
{
    return converter->by_steps != NULL && (uintptr_t)dst % (uintptr_t)converter->dst_nbytes == 0;
}

/* What is not whole steps that begin with a line goes as usual. */
void ndbuf_cpu__convert_row_streamed(const cpu_row_converter *converter, char *dst, const char *src, int64_t count)
{
    int64_t head = (int64_t)(-(uintptr_t)dst % CPU_LINE_NBYTES) / converter->dst_nbytes;
    head = head < count ? head : count;
    ndbuf_cpu__convert_row(converter, dst, src, head);
    dst += head * converter->dst_nbytes;
    src += head * converter->src_nbytes;
    count -= head;
    const int64_t done = count - count % converter->step;
    cpu_convert_steps(converter, dst, src, done, true);
    if (done < count) {
        convert_few(converter, dst + done * converter->dst_nbytes, src + done * converter->src_nbytes, count - done);
    }
}
