/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "core/copy_plan.h"

/* Costs that make every choice plain: a call costs 1000, a row 1, a byte nearly nothing. */
static const ndbuf_copy_caps rect_caps = {
    .flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT, .call_ns = 1000, .row_ns = 1, .bytes_per_ns = 1000};
static const ndbuf_copy_caps host_caps = {
    .flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED, .call_ns = 20, .element_ns = 1, .bytes_per_ns = 1000};

static ndbuf__layout layout(int32_t ndim, int64_t itemsize, const int64_t *shape, const int64_t *strides)
{
    return (ndbuf__layout){.ndim = ndim, .itemsize = itemsize, .shape = shape, .strides = strides};
}

/* A copy from the host to a device that can copy rectangles. */
static ndbuf__plan_input to_device(int32_t ndim, int64_t itemsize, const int64_t *shape, const int64_t *dst_strides,
                                   const int64_t *src_strides)
{
    return (ndbuf__plan_input){.dst = layout(ndim, itemsize, shape, dst_strides),
                               .src = layout(ndim, itemsize, shape, src_strides),
                               .src_is_host = true,
                               .direct = rect_caps,
                               .store = rect_caps,
                               .host = host_caps,
                               .staging_nbytes = NDBUF__STAGING_NBYTES};
}

static void test_contiguous_axes_of_any_order_become_one_run(void **state)
{
    (void)state;
    static const int64_t shape[4] = {3, 1, 5, 2};
    static const int64_t dst[4] = {8, 999, 24, 4};
    static const int64_t src[4] = {8, -7, 24, 4};
    ndbuf__plan_input input = to_device(4, 4, shape, dst, src);
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_BYTES);
    assert_int_equal(plan.axes.ndim, 0);
    assert_int_equal(plan.axes.unit_nbytes, 120);
    assert_int_equal(plan.transfer.ncalls, 1);
    assert_int_equal(plan.nbytes, 120);
}

static void test_axes_reversed_on_both_sides_are_flipped_together(void **state)
{
    (void)state;
    static const int64_t shape[1] = {10};
    static const int64_t strides[1] = {-4};
    ndbuf__plan_input input = to_device(1, 4, shape, strides, strides);
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_BYTES);
    assert_int_equal(plan.axes.unit_nbytes, 40);
    assert_int_equal(plan.axes.dst_offset, -36);
    assert_int_equal(plan.axes.src_offset, -36);
}

static void test_pitched_rows_are_one_rectangle(void **state)
{
    (void)state;
    static const int64_t shape[2] = {100, 64};
    static const int64_t dst[2] = {256, 4};
    static const int64_t src[2] = {512, 4};
    ndbuf__plan_input input = to_device(2, 4, shape, dst, src);
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_RECT);
    assert_int_equal(plan.transfer.ncalls, 1);
    assert_int_equal(plan.transfer.nrows, 100);
    assert_int_equal(plan.transfer.row_axis, 0);
    assert_int_equal(plan.transfer.slice_axis, -1);
}

static void test_slices_need_a_pitch_that_is_a_multiple_of_the_rows(void **state)
{
    (void)state;
    static const int64_t shape[3] = {5, 10, 64};
    static const int64_t dst[3] = {2560, 256, 4};
    static const int64_t fits[3] = {5120, 300, 4};
    static const int64_t good[3] = {3600, 300, 4};
    ndbuf__plan_input input = to_device(3, 4, shape, dst, good);
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_RECT);
    assert_int_equal(plan.transfer.ncalls, 1);
    input = to_device(3, 4, shape, dst, fits); /* 5120 is no multiple of 300 */
    ndbuf__transfer rect;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    rect = ndbuf__transfer_by(NDBUF_ROUTE_RECT, &plan.axes, &input.direct);
    assert_int_equal(rect.ncalls, 5);
    assert_int_equal(rect.slice_axis, -1);
}

static void test_pitches_beyond_the_backends_limit_are_not_rectangles(void **state)
{
    (void)state;
    static const int64_t shape[2] = {100, 64};
    static const int64_t dst[2] = {256, 4};
    static const int64_t src[2] = {512, 4};
    ndbuf__plan_input input = to_device(2, 4, shape, dst, src);
    input.direct.max_pitch = 511;
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_STAGED);
    assert_int_equal(plan.staging.ncalls, 1);
    assert_int_equal(plan.staging.box_nbytes, 25600);
    assert_true(plan.staging.stores);
    assert_false(plan.staging.fetches);
}

static void test_a_permutation_is_packed_on_the_host(void **state)
{
    (void)state;
    static const int64_t shape[2] = {300, 200};
    static const int64_t dst[2] = {800, 4};
    static const int64_t src[2] = {4, 1200};
    ndbuf__plan_input input = to_device(2, 4, shape, dst, src);
    input.staging_nbytes = 8000;
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_STAGED);
    assert_int_equal(plan.staging.split_axis, 0);
    assert_int_equal(plan.staging.split_count, 10);
    assert_int_equal(plan.staging.nboxes, 30);
    assert_int_equal(plan.staging.box_nbytes, 8000);
}

static void test_a_run_larger_than_the_buffer_is_cut_into_bytes(void **state)
{
    (void)state;
    static const int64_t shape[1] = {1000};
    static const int64_t strides[1] = {1};
    ndbuf__plan_input input = to_device(1, 1, shape, strides, strides);
    input.direct.flags = 0;
    input.staging_nbytes = 64;
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_STAGED);
    assert_int_equal(plan.staging.nboxes, 16);
    assert_int_equal(plan.staging.split_count, 64);
    assert_int_equal(plan.staging.axes.unit_nbytes, 1);
}

static void test_unrelated_devices_go_through_the_host_both_ways(void **state)
{
    (void)state;
    static const int64_t shape[2] = {30, 20};
    static const int64_t dst[2] = {80, 4};
    static const int64_t src[2] = {4, 120};
    ndbuf__plan_input input = to_device(2, 4, shape, dst, src);
    input.src_is_host = false;
    input.direct.flags = 0;
    input.fetch = rect_caps;
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_THROUGH_HOST);
    assert_true(plan.staging.fetches && plan.staging.stores);
    assert_int_equal(plan.staging.ncalls, 2);
}

static void test_memory_that_the_host_reaches_is_mapped_where_that_is_cheaper(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3000, 200};
    static const int64_t dst[2] = {800, 4};
    static const int64_t src[2] = {1600, 8};
    ndbuf__plan_input input = to_device(2, 4, shape, dst, src);
    ndbuf__plan plan;
    input.direct.flags |= NDBUF_CAN_MAP;
    input.direct.map_ns = 500;
    input.direct.row_ns = 2;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_MAPPED);
    assert_true(plan.has_staging); /* in case the backend refuses */
    assert_int_equal((int64_t)plan.mapped_cost_ns, 500 + 600000 + 2400);
    input.direct.map_ns = 1e9;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_STAGED);
    input.staging_is_closed = true;
    input.direct.flags = NDBUF_CAN_MAP;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_MAPPED);
    assert_false(plan.has_staging);
    input.direct.flags = 0;
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no way", ndbuf__plan_make(&plan, &input, err));
}

static void test_pointers_are_followed_into_mapped_memory(void **state)
{
    (void)state;
    static const int64_t shape[2] = {30, 20};
    static const int64_t dst[2] = {80, 4};
    static const int64_t src[2] = {8, 4};
    static const int64_t suboffsets[2] = {0, -1};
    ndbuf__plan_input input = to_device(2, 4, shape, dst, src);
    ndbuf__plan plan;
    input.src.suboffsets = suboffsets;
    input.direct.flags |= NDBUF_CAN_MAP;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_MAPPED);
}

static void test_the_host_copies_strided_boxes_itself(void **state)
{
    (void)state;
    static const int64_t shape[2] = {30, 20};
    static const int64_t dst[2] = {80, 4};
    static const int64_t src[2] = {4, -120};
    ndbuf__plan_input input = to_device(2, 4, shape, dst, src);
    input.dst_is_host = true;
    input.direct = host_caps;
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_STRIDED);
    assert_false(plan.has_staging);
    assert_int_equal(plan.axes.src_strides[1], -120);
}

static void test_no_items_and_no_bytes_need_no_route(void **state)
{
    (void)state;
    static const int64_t empty[3] = {5, 0, INT64_MAX};
    static const int64_t strides[3] = {1, 1, 1};
    ndbuf__plan_input input = to_device(3, 4, empty, strides, strides);
    ndbuf__plan plan;
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_NONE);
    static const int64_t some[3] = {5, 2, 2};
    input = to_device(3, 0, some, strides, strides);
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
    assert_int_equal(plan.route, NDBUF_ROUTE_NONE);
    assert_int_equal(plan.nbytes, 0);
}

static void test_a_destination_that_overlaps_itself_is_refused(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, 3};
    static const int64_t packed[2] = {12, 4};
    static const int64_t repeated[2] = {0, 4};
    static const int64_t window[2] = {4, 4};
    static const int64_t interleaved[2] = {4, 12};
    static const int64_t partial[2] = {14, 6};
    ndbuf__plan plan;
    ndbuf__plan_input input = to_device(2, 4, shape, repeated, packed);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "overlaps itself", ndbuf__plan_make(&plan, &input, err));
    input = to_device(2, 4, shape, window, packed);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "two indices reach one byte", ndbuf__plan_make(&plan, &input, err));
    input = to_device(2, 4, shape, partial, packed);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "overlaps itself", ndbuf__plan_make(&plan, &input, err));
    input = to_device(2, 4, shape, interleaved, packed);
    ASSERT_OK(ndbuf__plan_make(&plan, &input, err));
}

static void test_device_views_with_suboffsets_are_refused(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, 3};
    static const int64_t packed[2] = {12, 4};
    static const int64_t suboffsets[2] = {0, -1};
    ndbuf__plan plan;
    ndbuf__plan_input input = to_device(2, 4, shape, packed, packed);
    input.dst.suboffsets = suboffsets;
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "suboffsets", ndbuf__plan_make(&plan, &input, err));
}

static void test_a_device_that_can_do_nothing_is_named(void **state)
{
    (void)state;
    static const int64_t shape[1] = {8};
    static const int64_t strides[1] = {4};
    ndbuf__plan plan;
    ndbuf__plan_input input = to_device(1, 4, shape, strides, strides);
    input.direct.flags = 0;
    input.store.flags = 0;
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "destination's device", ndbuf__plan_make(&plan, &input, err));
}

/* -- against counting, on random layouts -- */

#define MAX_BYTES 4096

/* Follows merged axes and notes which source byte goes to which destination byte. */
static void apply_axes(const ndbuf__copy_axes *axes, int64_t dst_base, int64_t src_base, int64_t *from)
{
    int64_t nunits = ndbuf__copy_axes_nunits(axes);
    for (int64_t i = 0; i < nunits; i++) {
        int64_t dst = dst_base + axes->dst_offset;
        int64_t src = src_base + axes->src_offset;
        int64_t rest = i;
        for (int32_t k = axes->ndim - 1; k >= 0; k--) {
            dst += rest % axes->shape[k] * axes->dst_strides[k];
            src += rest % axes->shape[k] * axes->src_strides[k];
            rest /= axes->shape[k];
        }
        for (int64_t b = 0; b < axes->unit_nbytes; b++) {
            assert_in_range(dst + b, 0, MAX_BYTES - 1);
            assert_int_equal(from[dst + b], -1);
            from[dst + b] = src + b;
        }
    }
}

static void test_merging_moves_each_byte_where_the_indices_say(void **state)
{
    (void)state;
    test_random random = test_random_make("merging", 20261123);
    for (int round = 0; round < 3000; round++) {
        int32_t ndim = (int32_t)test_random_range(&random, 0, 5);
        ndbuf__copy_axes axes = {.unit_nbytes = test_random_range(&random, 1, 4)};
        int64_t expected[MAX_BYTES];
        int64_t actual[MAX_BYTES];
        memset(expected, -1, sizeof(expected));
        memset(actual, -1, sizeof(actual));
        int64_t step = axes.unit_nbytes;
        int64_t dst_base = 0;
        for (int32_t k = 0; k < ndim; k++) { /* destination axes never overlap; source strides are free */
            int64_t extent = test_random_range(&random, 1, 4);
            int64_t gap = test_random_range(&random, 0, 2) == 0 ? 1 : 0;
            int64_t dst_stride = step + gap;
            int64_t src_stride = test_random_range(&random, 0, 1) == 0 ? dst_stride : test_random_range(&random, -9, 9);
            if (test_random_range(&random, 0, 3) == 0) {
                dst_base += dst_stride * (extent - 1);
                dst_stride = -dst_stride;
            }
            ndbuf__copy_axes_append(&axes, extent, dst_stride, src_stride);
            step = (step + gap) * extent;
        }
        for (int32_t k = ndim - 1; k > 0; k--) { /* shuffle */
            int32_t j = (int32_t)test_random_range(&random, 0, k);
            int64_t *arrays[3] = {axes.shape, axes.dst_strides, axes.src_strides};
            for (int a = 0; a < 3; a++) {
                int64_t swap = arrays[a][k];
                arrays[a][k] = arrays[a][j];
                arrays[a][j] = swap;
            }
        }
        apply_axes(&axes, dst_base, 0, expected);
        ndbuf__copy_axes_merge(&axes);
        apply_axes(&axes, dst_base, 0, actual);
        assert_memory_equal(actual, expected, sizeof(expected));
        for (int32_t k = 0; k < axes.ndim; k++) {
            assert_true(axes.shape[k] > 1 && axes.dst_strides[k] > 0);
            assert_true(k == 0 || axes.dst_strides[k - 1] >= axes.dst_strides[k]);
        }
    }
}

static void test_costs_want_no_signals_of_floating_point(void **state)
{
    (void)state;
#if defined(__x86_64__)
    static const int64_t shape[2] = {100, 63};
    static const int64_t dst[2] = {256, 4};
    static const int64_t src[2] = {4, 404};
    ndbuf__plan_input input = to_device(2, 4, shape, dst, src);
    ndbuf__plan plan;
    const uint32_t before = _mm_getcsr();
    const uint32_t with_signals = before & ~(uint32_t)(_MM_MASK_MASK | _MM_EXCEPT_MASK);
    _mm_setcsr(with_signals);
    ndbuf_status status = ndbuf__plan_make(&plan, &input, NULL);
    const uint32_t after = _mm_getcsr();
    _mm_setcsr(before);
    assert_int_equal(status, NDBUF_OK);
    assert_int_equal(plan.route, NDBUF_ROUTE_STAGED);
    assert_int_equal(after, with_signals);
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contiguous_axes_of_any_order_become_one_run),
        cmocka_unit_test(test_axes_reversed_on_both_sides_are_flipped_together),
        cmocka_unit_test(test_pitched_rows_are_one_rectangle),
        cmocka_unit_test(test_slices_need_a_pitch_that_is_a_multiple_of_the_rows),
        cmocka_unit_test(test_pitches_beyond_the_backends_limit_are_not_rectangles),
        cmocka_unit_test(test_a_permutation_is_packed_on_the_host),
        cmocka_unit_test(test_a_run_larger_than_the_buffer_is_cut_into_bytes),
        cmocka_unit_test(test_unrelated_devices_go_through_the_host_both_ways),
        cmocka_unit_test(test_memory_that_the_host_reaches_is_mapped_where_that_is_cheaper),
        cmocka_unit_test(test_pointers_are_followed_into_mapped_memory),
        cmocka_unit_test(test_the_host_copies_strided_boxes_itself),
        cmocka_unit_test(test_no_items_and_no_bytes_need_no_route),
        cmocka_unit_test(test_a_destination_that_overlaps_itself_is_refused),
        cmocka_unit_test(test_device_views_with_suboffsets_are_refused),
        cmocka_unit_test(test_a_device_that_can_do_nothing_is_named),
        cmocka_unit_test(test_merging_moves_each_byte_where_the_indices_say),
        cmocka_unit_test(test_costs_want_no_signals_of_floating_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
