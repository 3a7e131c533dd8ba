/* SPDX-License-Identifier: Apache-2.0 */
#include "core/layout.h"

#include "core/checked.h"
#include "core/diophantine.h"

bool ndbuf__layout_has_items(const ndbuf__layout *layout)
{
    for (int32_t k = 0; k < layout->ndim; k++) {
        if (layout->shape[k] == 0) {
            return false;
        }
    }
    return true;
}

int64_t ndbuf__layout_nitems(const ndbuf__layout *layout, bool *overflow)
{
    if (!ndbuf__layout_has_items(layout)) {
        return 0;
    }
    int64_t nitems = 1;
    for (int32_t k = 0; k < layout->ndim; k++) {
        nitems = ndbuf__mul_i64(nitems, layout->shape[k], overflow);
    }
    ndbuf__mul_i64(nitems, layout->itemsize, overflow);
    return *overflow ? 0 : nitems;
}

/* The range of the offsets of axes begin .. end - 1, which have items: from the first byte of the lowest to behind the
 * last of the highest, each `nbytes` long. */
static void axes_range(const ndbuf__layout *layout, int32_t begin, int32_t end, int64_t nbytes, int64_t *out_lo,
                       int64_t *out_hi, bool *overflow)
{
    int64_t lo = 0;
    int64_t hi = nbytes;
    for (int32_t k = begin; k < end; k++) {
        int64_t span = ndbuf__mul_i64(layout->strides[k], layout->shape[k] - 1, overflow);
        if (span < 0) {
            lo = ndbuf__add_i64(lo, span, overflow);
        } else {
            hi = ndbuf__add_i64(hi, span, overflow);
        }
    }
    *out_lo = lo;
    *out_hi = hi;
}

/* The axis after the first indirect one at or after `begin`; 0: there is none. */
static int32_t next_segment(const ndbuf__layout *layout, int32_t begin)
{
    for (int32_t k = begin; layout->suboffsets != NULL && k < layout->ndim; k++) {
        if (layout->suboffsets[k] >= 0) {
            return k + 1;
        }
    }
    return 0;
}

void ndbuf__layout_range(const ndbuf__layout *layout, int64_t *out_lo, int64_t *out_hi, bool *overflow)
{
    if (!ndbuf__layout_has_items(layout)) {
        *out_lo = *out_hi = 0;
        return;
    }
    int32_t segment = next_segment(layout, 0);
    if (segment > 0) {
        axes_range(layout, 0, segment, (int64_t)sizeof(void *), out_lo, out_hi, overflow);
    } else {
        axes_range(layout, 0, layout->ndim, layout->itemsize, out_lo, out_hi, overflow);
    }
}

bool ndbuf__layout_overflows_behind_pointers(const ndbuf__layout *layout)
{
    bool overflow = false;
    if (!ndbuf__layout_has_items(layout)) {
        return false;
    }
    for (int32_t begin = next_segment(layout, 0); begin > 0;) {
        int32_t end = next_segment(layout, begin);
        int64_t lo, hi;
        axes_range(layout, begin, end > 0 ? end : layout->ndim, end > 0 ? (int64_t)sizeof(void *) : layout->itemsize,
                   &lo, &hi, &overflow);
        ndbuf__add_i64(layout->suboffsets[begin - 1], lo, &overflow);
        ndbuf__add_i64(layout->suboffsets[begin - 1], hi, &overflow);
        begin = end;
    }
    return overflow;
}

ndbuf__layout ndbuf__layout_tail(const ndbuf__layout *layout)
{
    int32_t begin = 0;
    for (int32_t next = next_segment(layout, 0); next > 0; next = next_segment(layout, begin)) {
        begin = next;
    }
    if (begin == 0) {
        return (ndbuf__layout){layout->ndim, layout->itemsize, layout->shape, layout->strides, NULL};
    }
    return (ndbuf__layout){layout->ndim - begin, layout->itemsize, layout->shape + begin, layout->strides + begin,
                           NULL};
}

bool ndbuf__layout_is_contiguous(const ndbuf__layout *layout, char order)
{
    if (order != 'C' && order != 'F') {
        return false;
    }
    if (layout->itemsize == 0 || !ndbuf__layout_has_items(layout)) {
        return true;
    }
    if (layout->suboffsets != NULL) {
        return false;
    }
    bool overflow = false;
    int64_t expected = layout->itemsize;
    for (int32_t i = 0; i < layout->ndim; i++) {
        int32_t k = order == 'C' ? layout->ndim - 1 - i : i;
        if (layout->shape[k] == 1) {
            continue;
        }
        if (layout->strides[k] != expected || overflow) {
            return false;
        }
        expected = ndbuf__mul_i64(expected, layout->shape[k], &overflow);
    }
    return true;
}

void ndbuf__layout_fill_strides(int32_t ndim, const int64_t *shape, int64_t itemsize, char order, int64_t *out_strides,
                                bool *overflow)
{
    int64_t stride = itemsize;
    bool beyond = false; /* matters only if a further axis needs it */
    for (int32_t i = 0; i < ndim; i++) {
        int32_t k = order == 'C' ? ndim - 1 - i : i;
        *overflow = *overflow || beyond;
        out_strides[k] = stride;
        stride = ndbuf__mul_i64(stride, shape[k] > 1 ? shape[k] : 1, &beyond);
    }
}

static void add_axes(ndbuf__equation *equation, const ndbuf__layout *layout, bool negate)
{
    for (int32_t k = 0; k < layout->ndim; k++) {
        if (layout->shape[k] > 1) {
            int64_t stride = layout->strides[k];
            if (stride == INT64_MIN) {
                equation->overflow = true;
                return;
            }
            ndbuf__equation_add(equation, negate ? -stride : stride, layout->shape[k] - 1);
        }
    }
    ndbuf__equation_add(equation, negate ? -1 : 1, layout->itemsize - 1);
}

/* Bytes coincide where a_offset + strides of a * indices + byte of an item = the same of b. */
ndbuf_answer ndbuf__layout_overlap(const ndbuf__layout *a, int64_t a_offset, const ndbuf__layout *b, int64_t b_offset,
                                   int64_t *work)
{
    if (a->itemsize == 0 || b->itemsize == 0 || !ndbuf__layout_has_items(a) || !ndbuf__layout_has_items(b)) {
        return NDBUF_NO;
    }
    bool overflow = a_offset == INT64_MIN;
    int64_t distance = overflow ? 0 : ndbuf__add_i64(b_offset, -a_offset, &overflow);
    int64_t a_lo, a_hi, b_lo, b_hi;
    ndbuf__layout_range(a, &a_lo, &a_hi, &overflow);
    ndbuf__layout_range(b, &b_lo, &b_hi, &overflow);
    b_lo = ndbuf__add_i64(distance, b_lo, &overflow);
    b_hi = ndbuf__add_i64(distance, b_hi, &overflow);
    if (overflow) {
        return NDBUF_UNDECIDED;
    }
    if (b_lo >= a_hi || b_hi <= a_lo) {
        return NDBUF_NO;
    }
    ndbuf__equation equation;
    ndbuf__equation_init(&equation, distance);
    add_axes(&equation, a, false);
    add_axes(&equation, b, true);
    return ndbuf__equation_solve(&equation, work);
}

typedef struct axis {
    int64_t stride; /* without its sign */
    int64_t limit;  /* extent - 1, > 0 */
} axis;

/* Two different indices differ first, counted from the largest stride, in some axis k. Their items coincide if
 *
 *     stride[k] * d[k] + sum(j < k, stride[j] * d[j]) + d = 0,  1 <= d[k] <= limit[k],  |d[j]| <= limit[j],
 *                                                               |d| < itemsize
 *
 * which becomes an equation in numbers >= 0 by counting each from its lower end. `reach`: of the axes below k. */
static ndbuf_answer axis_overlaps(const axis *axes, int32_t k, int64_t reach, int64_t itemsize, int64_t *work)
{
    bool overflow = false;
    int64_t target = ndbuf__add_i64(ndbuf__mul_i64(axes[k].stride, axes[k].limit, &overflow), reach, &overflow);
    if (overflow) {
        return NDBUF_UNDECIDED;
    }
    ndbuf__equation equation;
    ndbuf__equation_init(&equation, target);
    ndbuf__equation_add(&equation, axes[k].stride, axes[k].limit - 1);
    for (int32_t j = 0; j < k; j++) {
        ndbuf__equation_add(&equation, axes[j].stride, 2 * axes[j].limit);
    }
    ndbuf__equation_add(&equation, 1, 2 * (itemsize - 1));
    return ndbuf__equation_solve(&equation, work);
}

ndbuf_answer ndbuf__layout_self_overlap(const ndbuf__layout *layout)
{
    if (layout->itemsize == 0 || !ndbuf__layout_has_items(layout)) {
        return NDBUF_NO;
    }
    bool overflow = false;
    int64_t lo, hi;
    ndbuf__layout_range(layout, &lo, &hi, &overflow);
    if (overflow || hi > INT64_MAX / 4 || lo < -(INT64_MAX / 4)) {
        return NDBUF_UNDECIDED;
    }
    axis axes[NDBUF_MAX_NDIM];
    int32_t naxes = 0;
    for (int32_t k = 0; k < layout->ndim; k++) {
        if (layout->shape[k] == 1) {
            continue;
        }
        int64_t stride = layout->strides[k] < 0 ? -layout->strides[k] : layout->strides[k];
        if (stride == 0) {
            return NDBUF_YES;
        }
        int32_t to = naxes++;
        for (; to > 0 && axes[to - 1].stride > stride; to--) {
            axes[to] = axes[to - 1];
        }
        axes[to] = (axis){stride, layout->shape[k] - 1};
    }
    int64_t nbytes = ndbuf__layout_nitems(layout, &overflow) * layout->itemsize;
    if (overflow || nbytes > hi - lo) {
        return NDBUF_YES; /* more bytes than room for them */
    }
    int64_t work = NDBUF__OVERLAP_WORK;
    int64_t reach = layout->itemsize - 1;
    for (int32_t k = 0; k < naxes; k++) {
        if (axes[k].stride <= reach) {
            ndbuf_answer answer = axis_overlaps(axes, k, reach, layout->itemsize, &work);
            if (answer != NDBUF_NO) {
                return answer;
            }
        }
        reach += axes[k].stride * axes[k].limit;
    }
    return NDBUF_NO;
}
