/* SPDX-License-Identifier: Apache-2.0 */

/* The kernels that convert, as C, against the reference; and what is planned for which conversion. */
#include <string.h>

#include "tests/support/convert_case.h"
#include "tests/support/reference_copy.h"

#include "backends/kernels/kernel_host.h"
#include "backends/kernels/kernel_plan.h"

#define MAX_NKERNELS 128

static void launch_on_host(const ndbuf__kernel_launch *launch, char *dst, const char *src)
{
    ndbuf__kernel_host_fn fn = ndbuf__kernel_host_find(ndbuf__kernel_names[launch->kernel]);
    assert_non_null(fn);
    for (uint32_t group = 0; group < launch->ngroups; group++) {
        fn(dst, src, &launch->params, group, launch->ngroups, launch->group_nitems);
    }
}

/* As planned, or at random with another number of groups and the kernel of 64 bits. */
static ndbuf__kernel_launch plan_case(const test_convert_case *one, test_random *random)
{
    static const uint32_t limits[] = {1024, 256, 256, 64, 32, 7, 1};
    const ndbuf_convert_box box = test_convert_case_box(one, NULL, NULL);
    ndbuf__kernel_launch launch;
    memset(&launch, 0xA5, sizeof(launch));
    if (!ndbuf__kernel_plan_convert(&box, (uint64_t)(uintptr_t)one->dst, (uint64_t)(uintptr_t)one->src,
                                    limits[test_random_range(random, 0, 6)], &launch)) {
        fail_msg("%s: no plan", one->text);
    }
    assert_int_equal(launch.kernel % 2, 0);
    launch.kernel += (int32_t)test_random_range(random, 0, 1);
    if (test_random_range(random, 0, 1) == 0) {
        launch.ngroups = (uint32_t)test_random_range(random, 1, 5);
    }
    return launch;
}

static void test_kernels_of_all_pairs_agree_with_the_reference(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    int used[MAX_NKERNELS] = {0};
    assert_true(ndbuf__kernel_count <= MAX_NKERNELS);
    for (int dst = NDBUF_NUMBER_BOOL; dst <= NDBUF_NUMBER_FLOAT64; dst++) {
        for (int src = NDBUF_NUMBER_BOOL; src <= NDBUF_NUMBER_FLOAT64; src++) {
            for (int i = 0; i < 24; i++) {
                test_convert_case one;
                test_convert_case_make(&one, &random, (ndbuf_number)dst, (ndbuf_number)src,
                                       i % 3 == 0   ? TEST_CONVERT_DENSE
                                       : i % 8 == 1 ? TEST_CONVERT_MANY_AXES
                                                    : 0);
                ndbuf__kernel_launch launch = plan_case(&one, &random);
                used[launch.kernel]++;
                launch_on_host(&launch, one.dst, one.src);
                test_assert_bytes_equal(one.text, one.dst, one.expected, one.dst_nbytes);
                test_convert_case_free(&one);
            }
        }
    }
    for (int32_t i = 0; i < ndbuf__kernel_count; i++) {
        if (used[i] == 0 && strstr(ndbuf__kernel_names[i], "convert") != NULL) {
            fail_msg("%s was never used", ndbuf__kernel_names[i]);
        }
    }
}

/* ---- plans ---- */

static ndbuf_element element_of(ndbuf_number number, bool is_swapped)
{
    return (ndbuf_element){.number = (int32_t)number, .nbytes = test_number_nbytes(number), .is_swapped = is_swapped};
}

/* The kernel for 40 elements, `dst_stride` and `src_stride` bytes apart. */
static const char *kernel_for(ndbuf_element dst, ndbuf_element src, int64_t dst_stride, int64_t src_stride,
                              uint32_t flags)
{
    const int64_t shape = 40;
    const ndbuf_convert_box box = {.dst = {NULL, 0, &dst_stride},
                                   .src = {NULL, 0, &src_stride},
                                   .dst_element = dst,
                                   .src_element = src,
                                   .ndim = 1,
                                   .flags = flags,
                                   .shape = &shape};
    ndbuf__kernel_launch launch;
    return ndbuf__kernel_plan_convert(&box, 0, 0, 256, &launch) ? ndbuf__kernel_names[launch.kernel] : "none";
}

static void test_common_pairs_have_their_own_kernel_where_they_are_aligned(void **state)
{
    (void)state;
    const ndbuf_element single = element_of(NDBUF_NUMBER_FLOAT32, false);
    const ndbuf_element wide = element_of(NDBUF_NUMBER_FLOAT64, true);
    ndbuf_element complex_single = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 8, .is_complex = 1};
    assert_string_equal(kernel_for(single, wide, 4, 8, 0), "ndk_convert_FLOAT32_FLOAT64_32");
    assert_string_equal(kernel_for(wide, single, 16, -4, 0), "ndk_convert_FLOAT64_FLOAT32_32");
    assert_string_equal(kernel_for(single, wide, (int64_t)1 << 30, 8, 0), "ndk_convert_FLOAT32_FLOAT64_64");
    assert_string_equal(kernel_for(single, wide, 6, 8, 0), "ndk_convert_any_32");
    assert_string_equal(kernel_for(single, wide, 4, 12, 0), "ndk_convert_any_32");
    assert_string_equal(kernel_for(complex_single, wide, 8, 8, 0), "ndk_convert_any_32");
    assert_string_equal(kernel_for(element_of(NDBUF_NUMBER_FLOAT16, false), wide, 2, 8, 0), "ndk_convert_any_32");
}

static void test_conversions_that_move_bytes_alone_are_copies(void **state)
{
    (void)state;
    const ndbuf_element single = element_of(NDBUF_NUMBER_FLOAT32, false);
    const ndbuf_element swapped = element_of(NDBUF_NUMBER_FLOAT32, true);
    const ndbuf_element signed_one = element_of(NDBUF_NUMBER_INT32, true);
    const ndbuf_element unsigned_one = element_of(NDBUF_NUMBER_UINT32, true);
    const ndbuf_element boolean = element_of(NDBUF_NUMBER_BOOL, true);
    assert_string_equal(kernel_for(swapped, swapped, 4, 4, 0), "ndk_copy_16_32");
    assert_string_equal(kernel_for(swapped, single, 4, 4, 0), "ndk_convert_UINT32_UINT32_32");
    assert_string_equal(kernel_for(signed_one, unsigned_one, 4, 8, 0), "ndk_copy_4_32");
    assert_string_equal(kernel_for(signed_one, unsigned_one, 4, 8, NDBUF_CAST_SATURATE), "ndk_convert_any_32");
    assert_string_equal(kernel_for(boolean, element_of(NDBUF_NUMBER_BOOL, false), 2, 1, 0), "ndk_copy_1_32");
    assert_string_equal(kernel_for(element_of(NDBUF_NUMBER_INT8, true), element_of(NDBUF_NUMBER_UINT8, false), 2, 1, 0),
                        "ndk_copy_1_32");
}

static void test_what_kernels_cannot_convert_has_no_plan(void **state)
{
    (void)state;
    const ndbuf_element single = element_of(NDBUF_NUMBER_FLOAT32, false);
    ndbuf_element complex_single = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 8, .is_complex = 1};
    ndbuf_element long_double = element_of(NDBUF_NUMBER_LONG_DOUBLE, false);
    ndbuf_element short_one = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 4};
    ndbuf_element unknown = {.number = 0, .nbytes = 4};
    assert_string_equal(kernel_for(long_double, single, 16, 4, 0), "none");
    assert_string_equal(kernel_for(single, long_double, 4, 16, 0), "none");
    assert_string_equal(kernel_for(single, complex_single, 4, 8, 0), "none");
    assert_string_equal(kernel_for(complex_single, complex_single, 8, 8, 0), "none");
    assert_string_equal(kernel_for(single, short_one, 4, 4, 0), "none");
    assert_string_equal(kernel_for(unknown, single, 4, 4, 0), "none");
}

static void test_more_than_16_axes_are_refused(void **state)
{
    (void)state;
    int64_t shape[17];
    int64_t dst_strides[17];
    int64_t src_strides[17];
    ndbuf_convert_box box = {.dst = {NULL, 0, dst_strides},
                             .src = {NULL, 0, src_strides},
                             .dst_element = element_of(NDBUF_NUMBER_FLOAT64, false),
                             .src_element = element_of(NDBUF_NUMBER_INT16, false),
                             .ndim = 16,
                             .shape = shape};
    ndbuf__kernel_launch launch;
    for (int32_t k = 0; k < 17; k++) {
        shape[k] = 2;
        dst_strides[k] = (int64_t)8 << (20 - k);
        src_strides[k] = k % 2 == 0 ? 0 : 2; /* no two axes are one */
    }
    assert_true(ndbuf__kernel_plan_convert(&box, 0, 0, 256, &launch));
    assert_int_equal(launch.params.ndim, 16);
    assert_int_equal(launch.params.nunits, 1 << 16);
    box.ndim = 17;
    assert_false(ndbuf__kernel_plan_convert(&box, 0, 0, 256, &launch));
    shape[3] = 1;
    assert_true(ndbuf__kernel_plan_convert(&box, 0, 0, 256, &launch));
}

static void test_parameters_tell_of_elements_and_where_they_lie(void **state)
{
    (void)state;
    const int64_t shape[] = {3, 5};
    const int64_t dst_strides[] = {24, 4};
    const int64_t src_strides[] = {15, 3};
    const ndbuf_convert_box box = {.dst = {NULL, 4, dst_strides},
                                   .src = {NULL, 1, src_strides},
                                   .dst_element = {.number = NDBUF_NUMBER_FLOAT16, .nbytes = 4, .is_complex = 1},
                                   .src_element = element_of(NDBUF_NUMBER_UINT16, true),
                                   .ndim = 2,
                                   .flags = NDBUF_CAST_SATURATE,
                                   .shape = shape};
    ndbuf__kernel_launch launch;
    assert_true(ndbuf__kernel_plan_convert(&box, 256, 256, 256, &launch));
    const ndk_params *params = &launch.params;
    assert_int_equal(params->unit_nbytes, 0);
    assert_int_equal(params->ndim, 2);
    assert_int_equal(params->nunits, 15);
    assert_int_equal(params->dst_offset, 4);
    assert_int_equal(params->src_offset, 1);
    assert_int_equal(params->dst_nbytes, 4);
    assert_int_equal(params->dst_access, 2);
    assert_int_equal(params->dst_swaps, 0);
    assert_int_equal(params->src_nbytes, 2);
    assert_int_equal(params->src_access, 1);
    assert_int_equal(params->src_swaps, ndbuf__kernel_host_is_big_endian() ? 0 : 1);
    assert_int_equal(params->saturates, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels_of_all_pairs_agree_with_the_reference),
        cmocka_unit_test(test_common_pairs_have_their_own_kernel_where_they_are_aligned),
        cmocka_unit_test(test_conversions_that_move_bytes_alone_are_copies),
        cmocka_unit_test(test_what_kernels_cannot_convert_has_no_plan),
        cmocka_unit_test(test_more_than_16_axes_are_refused),
        cmocka_unit_test(test_parameters_tell_of_elements_and_where_they_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
