/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/kernels/kernel_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/copy_axes.h"

/* Axes around those of a layout, which reaches to 12: to 16. At each of their indices lies one such layout. */
typedef struct outer_axes {
    int32_t ndim;
    int64_t shape[4];
    int64_t strides[4];
    int64_t offset;
    int64_t nbytes;
} outer_axes;

static char *new_block(size_t nbytes)
{
    void *block = NULL;
    assert_int_equal(posix_memalign(&block, KERNEL_CASE_ALIGNMENT, nbytes), 0);
    return block;
}

/* Makes an array of larger items of it, which all lie at multiples of `scale`: for the larger units. */
static void scale_layout(test_layout *layout, int64_t scale)
{
    layout->itemsize *= scale;
    layout->offset *= scale;
    layout->nbytes *= scale;
    for (int32_t k = 0; k < layout->ndim; k++) {
        layout->strides[k] *= scale;
    }
}

/* Strides for the outer axes of one side; the source's may be 0. */
static void outer_strides(outer_axes *outer, const test_layout *layout, int64_t scale, test_random *random,
                          bool may_repeat)
{
    int64_t pitch = layout->nbytes;
    outer->offset = 0;
    for (int32_t k = outer->ndim - 1; k >= 0; k--) {
        int64_t stride = may_repeat && test_random_range(random, 0, 3) == 0 ? 0 : pitch;
        pitch += stride * (outer->shape[k] - 1);
        pitch += scale * test_random_range(random, 0, 1) * test_random_range(random, 0, 16);
        if (test_random_range(random, 0, 2) == 0) {
            outer->offset += stride * (outer->shape[k] - 1);
            stride = -stride;
        }
        outer->strides[k] = stride;
    }
    outer->nbytes = pitch;
}

/* The offset of the next layout; false after the last. */
static bool outer_next(const outer_axes *outer, int64_t *index, int64_t *offset)
{
    for (int32_t k = outer->ndim - 1; k >= 0; k--) {
        *offset += outer->strides[k];
        if (++index[k] < outer->shape[k]) {
            return true;
        }
        *offset -= outer->strides[k] * outer->shape[k];
        index[k] = 0;
    }
    return false;
}

static void choose_shape(test_random *random, uint32_t flags, test_layout *layout, outer_axes *outer)
{
    uint32_t many = (flags & KERNEL_CASE_LARGE) != 0 ? TEST_LAYOUT_MANY_ITEMS : 0;
    do {
        test_layout_random_shape(random, many, layout);
    } while (test_layout_nitems(layout) == 0);
    outer->ndim = 0;
    if (many != 0 && test_random_range(random, 0, 1) == 0) {
        layout->ndim = (int32_t)test_random_range(random, 2, 4);
        layout->itemsize = (int64_t)1 << test_random_range(random, 0, 3);
        for (int32_t k = 0; k < layout->ndim; k++) {
            layout->shape[k] = test_random_range(random, k < 2 ? 14 : 1, k < 2 ? 70 : 2);
        }
    } else if (test_random_range(random, 0, 3) == 0) {
        outer->ndim = (int32_t)test_random_range(random, 1, 4);
        for (int32_t k = 0; k < outer->ndim; k++) {
            outer->shape[k] = test_random_range(random, 1, 2);
        }
    }
}

/* Shape, strides and offset of one side of a case. */
static void take_axes(kernel_case *kc, const outer_axes *outer, const test_layout *layout, int64_t *out_strides,
                      int64_t *out_offset)
{
    memcpy(kc->shape, outer->shape, (size_t)outer->ndim * sizeof(int64_t));
    memcpy(kc->shape + outer->ndim, layout->shape, (size_t)layout->ndim * sizeof(int64_t));
    memcpy(out_strides, outer->strides, (size_t)outer->ndim * sizeof(int64_t));
    memcpy(out_strides + outer->ndim, layout->strides, (size_t)layout->ndim * sizeof(int64_t));
    *out_offset = outer->offset + layout->offset;
    kc->ndim = outer->ndim + layout->ndim;
    kc->unit_nbytes = layout->itemsize;
}

/* What the destination must hold: the items of the source, or the item of a fill, one layout after the other. */
static void make_expected(kernel_case *kc, test_layout *dst, const outer_axes *outer_dst, test_layout *src,
                          const outer_axes *outer_src)
{
    int64_t nitems = test_layout_nitems(dst);
    int64_t dst_index[4] = {0};
    int64_t src_index[4] = {0};
    int64_t dst_start = outer_dst->offset;
    int64_t src_start = outer_src->offset;
    char *packed = new_block((size_t)(nitems * dst->itemsize));
    kc->expected = new_block(kc->dst_nbytes);
    memcpy(kc->expected, kc->dst, kc->dst_nbytes);
    for (int64_t i = 0; kc->src == NULL && i < nitems; i++) {
        memcpy(packed + i * dst->itemsize, kc->item, (size_t)dst->itemsize);
    }
    do {
        if (kc->src != NULL) {
            test_layout_pack(src, kc->src + src_start, packed);
            outer_next(outer_src, src_index, &src_start);
        }
        test_layout_unpack(dst, kc->expected + dst_start, packed, kc->expected + dst_start);
    } while (outer_next(outer_dst, dst_index, &dst_start));
    free(packed);
}

/* Orders and merges the axes, as the core does before it calls a backend. */
static void merge_axes(kernel_case *kc)
{
    ndbuf__copy_axes axes = {
        .unit_nbytes = kc->unit_nbytes, .dst_offset = kc->dst_offset, .src_offset = kc->src_offset};
    for (int32_t k = 0; k < kc->ndim; k++) {
        ndbuf__copy_axes_append(&axes, kc->shape[k], kc->dst_strides[k], kc->src_strides[k]);
    }
    ndbuf__copy_axes_merge(&axes);
    kc->ndim = axes.ndim;
    kc->unit_nbytes = axes.unit_nbytes;
    kc->dst_offset = axes.dst_offset;
    kc->src_offset = axes.src_offset;
    for (int32_t k = 0; k < kc->ndim; k++) {
        kc->shape[k] = axes.shape[k];
        kc->dst_strides[k] = axes.dst_strides[k];
        kc->src_strides[k] = axes.src_strides[k];
    }
}

void kernel_case_make(kernel_case *out_case, test_random *random, uint32_t flags)
{
    kernel_case *kc = out_case;
    test_layout dst;
    outer_axes outer_dst;
    int64_t scale = 1;
    bool is_fill = (flags & KERNEL_CASE_FILL) != 0;
    memset(kc, 0, sizeof(*kc));
    choose_shape(random, flags, &dst, &outer_dst);
    test_layout src = dst;
    outer_axes outer_src = outer_dst;
    test_layout_random_strides(random, 0, &dst);
    test_layout_random_strides(random, TEST_LAYOUT_OVERLAPS, &src);
    if (dst.itemsize <= 4 && test_random_range(random, 0, 1) == 0) {
        scale = (int64_t)1 << test_random_range(random, 1, 4);
    }
    scale_layout(&dst, scale);
    scale_layout(&src, scale);
    outer_strides(&outer_dst, &dst, scale, random, false);
    outer_strides(&outer_src, &src, scale, random, true);
    take_axes(kc, &outer_dst, &dst, kc->dst_strides, &kc->dst_offset);
    kc->dst_nbytes = (size_t)outer_dst.nbytes;
    kc->dst = new_block(kc->dst_nbytes);
    test_random_fill(random, kc->dst, kc->dst_nbytes);
    if (is_fill) {
        test_random_fill(random, kc->item, sizeof(kc->item));
        if (test_random_range(random, 0, 2) == 0) {
            memset(kc->item, 'z', sizeof(kc->item));
        }
    } else {
        take_axes(kc, &outer_src, &src, kc->src_strides, &kc->src_offset);
        kc->src_nbytes = (size_t)outer_src.nbytes;
        kc->src = new_block(kc->src_nbytes);
        test_random_fill(random, kc->src, kc->src_nbytes);
    }
    char dst_text[480];
    char src_text[480] = "an item";
    test_layout_print(&dst, dst_text, sizeof(dst_text));
    if (!is_fill) {
        test_layout_print(&src, src_text, sizeof(src_text));
    }
    snprintf(kc->text, sizeof(kc->text), "%s from %s, in %d axes", dst_text, src_text, (int)outer_dst.ndim);
    make_expected(kc, &dst, &outer_dst, &src, &outer_src);
    if (!is_fill && test_random_range(random, 0, 1) == 0) {
        merge_axes(kc);
    }
}

void kernel_case_make_transpose(kernel_case *out_case, test_random *random, int64_t unit_nbytes, int64_t extent)
{
    kernel_case *kc = out_case;
    memset(kc, 0, sizeof(*kc));
    snprintf(kc->text, sizeof(kc->text), "transpose of %lld x %lld units of %lld bytes", (long long)extent,
             (long long)extent, (long long)unit_nbytes);
    test_layout dst = {.ndim = 2,
                       .itemsize = unit_nbytes,
                       .shape = {extent, extent},
                       .strides = {extent * unit_nbytes, unit_nbytes},
                       .nbytes = extent * extent * unit_nbytes};
    test_layout src = dst;
    src.strides[0] = unit_nbytes;
    src.strides[1] = extent * unit_nbytes;
    const outer_axes outer = {0};
    take_axes(kc, &outer, &dst, kc->dst_strides, &kc->dst_offset);
    take_axes(kc, &outer, &src, kc->src_strides, &kc->src_offset);
    kc->dst_nbytes = (size_t)dst.nbytes;
    kc->src_nbytes = (size_t)src.nbytes;
    kc->dst = new_block(kc->dst_nbytes);
    kc->src = new_block(kc->src_nbytes);
    test_random_fill(random, kc->dst, kc->dst_nbytes);
    test_random_fill(random, kc->src, kc->src_nbytes);
    make_expected(kc, &dst, &outer, &src, &outer);
}

void kernel_case_free(kernel_case *kc)
{
    free(kc->dst);
    free(kc->src);
    free(kc->expected);
}

ndbuf__kernel_launch kernel_case_plan(const kernel_case *kc, test_random *random, uint64_t dst_address,
                                      uint64_t src_address, uint32_t limit)
{
    static const uint32_t counts[] = {1, 2, 3, 5};
    ndbuf__kernel_launch launch;
    memset(&launch, 0xA5, sizeof(launch));
    bool planned;
    if (kc->src != NULL) {
        const ndbuf_strided box = {.dst = {NULL, kc->dst_offset, kc->dst_strides},
                                   .src = {NULL, kc->src_offset, kc->src_strides},
                                   .ndim = kc->ndim,
                                   .shape = kc->shape,
                                   .unit_nbytes = kc->unit_nbytes};
        planned = ndbuf__kernel_plan_copy(&box, dst_address, src_address, limit, &launch);
    } else {
        const ndbuf_fill_box box = {.dst = {NULL, kc->dst_offset, kc->dst_strides},
                                    .ndim = kc->ndim,
                                    .shape = kc->shape,
                                    .item = kc->item,
                                    .item_nbytes = kc->unit_nbytes};
        planned = ndbuf__kernel_plan_fill(&box, dst_address, limit, &launch);
    }
    if (!planned) {
        fail_msg("%s: no plan", kc->text);
    }
    assert_in_range(launch.group_nitems, 1, limit);
    assert_in_range(launch.ngroups, 1, 1 << 20);
    if (test_random_range(random, 0, 1) == 0) {
        launch.ngroups = counts[test_random_range(random, 0, 3)];
    }
    if (test_random_range(random, 0, 2) == 0) {
        assert_int_equal(launch.kernel % 2, 0);
        launch.kernel++;
    }
    return launch;
}
