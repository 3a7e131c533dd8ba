/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/kernels/kernel_plan.h"

#include <string.h>

#include "tests/support/test.h"

/* A box of up to 20 axes, and what is planned for it. */
typedef struct box {
    int32_t ndim;
    int64_t shape[20];
    int64_t dst_strides[20];
    int64_t src_strides[20];
    int64_t dst_offset;
    int64_t src_offset;
    int64_t unit_nbytes;
    uint64_t dst_address;
    uint64_t src_address;
} box;

static bool plan_limited(const box *b, uint32_t limit, ndbuf__kernel_launch *out_launch)
{
    const ndbuf_strided strided = {.dst = {NULL, b->dst_offset, b->dst_strides},
                                   .src = {NULL, b->src_offset, b->src_strides},
                                   .ndim = b->ndim,
                                   .shape = b->shape,
                                   .unit_nbytes = b->unit_nbytes};
    return ndbuf__kernel_plan_copy(&strided, b->dst_address, b->src_address, limit, out_launch);
}

static ndbuf__kernel_launch plan(const box *b)
{
    ndbuf__kernel_launch launch;
    assert_true(plan_limited(b, 1024, &launch));
    return launch;
}

static void assert_kernel(const ndbuf__kernel_launch *launch, const char *name)
{
    assert_in_range(launch->kernel, 0, ndbuf__kernel_count - 1);
    assert_string_equal(ndbuf__kernel_names[launch->kernel], name);
}

static void test_parameters_fit_every_opencl_device(void **state)
{
    (void)state;
    assert_true(sizeof(ndk_params) + 2 * sizeof(void *) <= 1024);
    assert_int_equal(offsetof(ndk_params, item) % 8, 0);
    assert_int_equal(sizeof(ndk_params) % 8, 0);
}

static void test_unit_is_the_largest_that_divides_sizes_strides_and_addresses(void **state)
{
    (void)state;
    static const struct {
        int64_t unit_nbytes, dst_stride, src_stride, dst_offset, src_offset;
        uint64_t dst_address, src_address;
        int32_t expected;
    } cases[] = {
        {16, 32, 48, 0, 16, 256, 512, 16}, {64, 128, 80, 0, 0, 0, 0, 16}, {16, 24, 32, 0, 0, 0, 0, 8},
        {16, 32, 40, 0, 0, 0, 0, 8},       {16, 32, -36, 0, 0, 0, 0, 4},  {16, 32, 32, 2, 0, 0, 0, 2},
        {16, 32, 32, 0, 5, 0, 0, 1},       {16, 32, 32, 0, 0, 8, 0, 8},   {16, 32, 32, 0, 0, 0, 4, 4},
        {16, 32, 32, 8, 0, 8, 0, 16},      {16, 32, 0, 0, 0, 0, 0, 16},   {12, 24, 12, 0, 0, 0, 0, 4},
        {3, 6, 9, 0, 0, 0, 0, 1},          {1, 16, 16, 0, 0, 0, 0, 1},    {8, 16, 16, 0, 0, 0, 0, 8},
        {6, 8, 10, 0, 0, 0, 0, 2},         {24, 48, 32, -8, 16, 8, 0, 8},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const box b = {.ndim = 1,
                       .shape = {5},
                       .dst_strides = {cases[i].dst_stride},
                       .src_strides = {cases[i].src_stride},
                       .dst_offset = cases[i].dst_offset,
                       .src_offset = cases[i].src_offset,
                       .unit_nbytes = cases[i].unit_nbytes,
                       .dst_address = cases[i].dst_address,
                       .src_address = cases[i].src_address};
        ndbuf__kernel_launch launch = plan(&b);
        if (launch.params.unit_nbytes != cases[i].expected) {
            fail_msg("case %zu: units of %d bytes instead of %d", i, launch.params.unit_nbytes, cases[i].expected);
        }
        assert_int_equal(launch.params.nunits, 5 * cases[i].unit_nbytes / cases[i].expected);
    }
}

static void test_what_a_unit_leaves_of_an_item_is_the_last_axis(void **state)
{
    (void)state;
    const box b = {
        .ndim = 1, .shape = {7}, .dst_strides = {24}, .src_strides = {-48}, .src_offset = 288, .unit_nbytes = 12};
    ndbuf__kernel_launch launch = plan(&b);
    const ndk_params *params = &launch.params;
    assert_kernel(&launch, "ndk_copy_4_32");
    assert_int_equal(params->ndim, 2);
    assert_int_equal(params->shape[0], 7);
    assert_int_equal(params->shape[1], 3);
    assert_int_equal(params->dst_strides[1], 4);
    assert_int_equal(params->src_strides[1], 4);
    assert_int_equal(params->src_strides[0], -48);
    assert_int_equal(params->src_offset, 288);
    assert_int_equal(params->nunits, 21);
}

static void test_contiguous_axes_become_one_of_large_units(void **state)
{
    (void)state;
    const box b = {.ndim = 4,
                   .shape = {3, 1, 10, 8},
                   .dst_strides = {1000 * 16, 77, 16, 2},
                   .src_strides = {160, 13, 16, 2},
                   .unit_nbytes = 2};
    ndbuf__kernel_launch launch = plan(&b);
    assert_kernel(&launch, "ndk_copy_16_32");
    assert_int_equal(launch.params.ndim, 2);
    assert_int_equal(launch.params.shape[0], 3);
    assert_int_equal(launch.params.shape[1], 10);
    assert_int_equal(launch.params.nunits, 30);
}

static void test_single_unit_has_one_axis(void **state)
{
    (void)state;
    const box b = {.ndim = 0, .dst_offset = 4, .src_offset = 8, .unit_nbytes = 4};
    ndbuf__kernel_launch launch = plan(&b);
    assert_kernel(&launch, "ndk_copy_4_32");
    assert_int_equal(launch.params.ndim, 1);
    assert_int_equal(launch.params.shape[0], 1);
    assert_int_equal(launch.params.nunits, 1);
    assert_int_equal(launch.ngroups, 1);
}

static void test_descending_destinations_are_turned(void **state)
{
    (void)state;
    const box b = {
        .ndim = 1, .shape = {10}, .dst_strides = {-8}, .src_strides = {4}, .dst_offset = 72, .unit_nbytes = 4};
    ndbuf__kernel_launch launch = plan(&b);
    assert_int_equal(launch.params.dst_offset, 0);
    assert_int_equal(launch.params.dst_strides[0], 8);
    assert_int_equal(launch.params.src_offset, 36);
    assert_int_equal(launch.params.src_strides[0], -4);
}

/* The last byte offset that 32 bits hold, and the next one, on either side. */
static void test_offsets_of_32_bits_are_used_as_far_as_they_reach(void **state)
{
    (void)state;
    box b = {.ndim = 1, .shape = {2}, .dst_strides = {INT32_MAX}, .src_strides = {5}, .unit_nbytes = 1};
    ndbuf__kernel_launch launch = plan(&b);
    assert_kernel(&launch, "ndk_copy_1_32");
    b.dst_strides[0]++;
    launch = plan(&b);
    assert_kernel(&launch, "ndk_copy_1_64");
    b.dst_strides[0] = 5;
    b.src_strides[0] = -(int64_t)INT32_MAX;
    launch = plan(&b);
    assert_kernel(&launch, "ndk_copy_1_32");
    b.src_strides[0]--;
    launch = plan(&b);
    assert_kernel(&launch, "ndk_copy_1_64");
    b = (box){.ndim = 1, .shape = {1}, .unit_nbytes = (int64_t)INT32_MAX + 1, .src_offset = 1};
    launch = plan(&b);
    assert_kernel(&launch, "ndk_copy_1_64");
    assert_int_equal(launch.params.nunits, (int64_t)INT32_MAX + 1);
    /* The offset of the first unit does not count. */
    b = (box){.ndim = 1, .shape = {9}, .dst_strides = {9}, .src_strides = {5}, .unit_nbytes = 1};
    b.dst_offset = (int64_t)1 << 40;
    launch = plan(&b);
    assert_kernel(&launch, "ndk_copy_1_32");
}

static void test_transposes_are_tiled(void **state)
{
    (void)state;
    const box b = {.ndim = 3,
                   .shape = {3, 100, 40},
                   .dst_strides = {16000, 160, 4},
                   .src_strides = {-16000, 4, 400},
                   .src_offset = 32000,
                   .unit_nbytes = 4};
    ndbuf__kernel_launch launch = plan(&b);
    assert_kernel(&launch, "ndk_tile_4_32");
    assert_int_equal(launch.params.row_axis, 1);
    assert_int_equal(launch.params.column_axis, 2);
    assert_int_equal(launch.params.nbatches, 3);
    assert_int_equal(launch.ngroups, 3 * 4 * 2);  /* of 32 x 32 units */
    assert_int_equal(launch.params.shifts[1], 2); /* divides by 4 rows of tiles */
    assert_int_equal(launch.params.shifts[2], 1);
    assert_int_equal(launch.group_nitems, 256);
    box reversed = b;
    reversed.src_strides[1] = -4;
    reversed.src_offset += 396;
    launch = plan(&reversed);
    assert_kernel(&launch, "ndk_tile_4_32");
}

static void test_tiles_are_left_alone_where_they_do_not_pay(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        int64_t shape[2], dst_strides[2], src_strides[2];
    } cases[] = {
        {"few rows", {15, 1000}, {4000, 4}, {4, 60}},
        {"few columns", {1000, 15}, {60, 4}, {4, 4000}},
        {"the same axis lies closest", {100, 100}, {400, 4}, {4000, 8}},
        {"the source repeats", {100, 100}, {400, 4}, {4, 0}},
        {"the source lies far along both", {100, 100}, {400, 4}, {64, 6400}},
        {"the destination lies far along both", {100, 100}, {6400, 64}, {4, 400}},
        {"the source lies close along both", {100, 100}, {400, 4}, {4, 4}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        box b = {.ndim = 2, .unit_nbytes = 4};
        memcpy(b.shape, cases[i].shape, sizeof(cases[i].shape));
        memcpy(b.dst_strides, cases[i].dst_strides, sizeof(cases[i].dst_strides));
        memcpy(b.src_strides, cases[i].src_strides, sizeof(cases[i].src_strides));
        ndbuf__kernel_launch launch = plan(&b);
        if (strcmp(ndbuf__kernel_names[launch.kernel], "ndk_copy_4_32") != 0) {
            fail_msg("%s: %s", cases[i].what, ndbuf__kernel_names[launch.kernel]);
        }
    }
}

static void test_each_unit_has_its_tile(void **state)
{
    (void)state;
    static const char *const names[] = {"ndk_tile_1_32", "ndk_tile_2_32", "ndk_tile_4_32", "ndk_tile_8_32",
                                        "ndk_tile_16_32"};
    for (int32_t i = 0; i < 5; i++) {
        const int64_t unit = (int64_t)1 << i;
        const box b = {.ndim = 2,
                       .shape = {65, 64},
                       .dst_strides = {64 * unit, unit},
                       .src_strides = {unit, 65 * unit},
                       .unit_nbytes = unit};
        ndbuf__kernel_launch launch = plan(&b);
        assert_kernel(&launch, names[i]);
        assert_int_equal(launch.ngroups, unit <= 2 ? 2 : 6);
    }
}

static void test_more_than_16_axes_are_refused(void **state)
{
    (void)state;
    box b = {.ndim = 16, .unit_nbytes = 2};
    for (int32_t k = 0; k < 17; k++) {
        b.shape[k] = 2;
        b.dst_strides[k] = (int64_t)2 << (20 - k);
        b.src_strides[k] = k % 2 == 0 ? 0 : 2; /* no two axes are one */
    }
    ndbuf__kernel_launch launch = plan(&b);
    assert_int_equal(launch.params.ndim, 16);
    assert_int_equal(launch.params.nunits, 1 << 16);
    ndbuf__kernel_launch untouched;
    b.src_offset = 1; /* the two bytes of an item become an axis */
    assert_false(plan_limited(&b, 1024, &untouched));
    b.src_offset = 0;
    b.ndim = 17;
    assert_false(plan_limited(&b, 1024, &untouched));
    b.shape[3] = 1;
    assert_true(plan_limited(&b, 1024, &launch));
}

static void test_groups_cover_the_units_and_obey_the_limit(void **state)
{
    (void)state;
    ndbuf__kernel_launch launch;
    box b = {.ndim = 1, .shape = {1025}, .dst_strides = {8}, .src_strides = {12}, .unit_nbytes = 4};
    assert_true(plan_limited(&b, 1024, &launch));
    assert_int_equal(launch.group_nitems, 256);
    assert_int_equal(launch.ngroups, 2); /* of 256 work items with NDK_BATCH units each */
    assert_true(plan_limited(&b, 100, &launch));
    assert_int_equal(launch.group_nitems, 100);
    assert_int_equal(launch.ngroups, 3);
    assert_true(plan_limited(&b, 1, &launch));
    assert_int_equal(launch.group_nitems, 1);
    assert_int_equal(launch.ngroups, 257);
    b.shape[0] = (int64_t)1 << 40;
    assert_true(plan_limited(&b, 1024, &launch));
    assert_in_range(launch.ngroups, 1000, 65535);
}

static ndbuf__kernel_launch plan_fill(const box *b, const void *item)
{
    const ndbuf_fill_box fill = {.dst = {NULL, b->dst_offset, b->dst_strides},
                                 .ndim = b->ndim,
                                 .shape = b->shape,
                                 .item = item,
                                 .item_nbytes = b->unit_nbytes};
    ndbuf__kernel_launch launch;
    assert_true(ndbuf__kernel_plan_fill(&fill, b->dst_address, 1024, &launch));
    return launch;
}

static void test_short_items_are_repeated_to_long_units(void **state)
{
    (void)state;
    box b = {.ndim = 1, .shape = {64}, .dst_strides = {1}, .unit_nbytes = 1};
    ndbuf__kernel_launch launch = plan_fill(&b, "x");
    assert_kernel(&launch, "ndk_fill_16_32");
    assert_int_equal(launch.params.nunits, 4);
    assert_int_equal(launch.params.shape[launch.params.ndim - 1], 1);
    assert_memory_equal(launch.params.item, "xxxxxxxxxxxxxxxx", 16);
    b = (box){.ndim = 1, .shape = {32}, .dst_strides = {3}, .unit_nbytes = 3};
    launch = plan_fill(&b, "abc"); /* 48 bytes are the shortest that 3 and 16 divide */
    assert_kernel(&launch, "ndk_fill_16_32");
    assert_int_equal(launch.params.nunits, 6);
    assert_int_equal(launch.params.shape[launch.params.ndim - 1], 3);
    assert_memory_equal(launch.params.item, "abcabcabcabcabcabcabcabcabcabcabcabcabcabcabcabc", 48);
    b.dst_offset = 1;
    launch = plan_fill(&b, "abc");
    assert_kernel(&launch, "ndk_fill_1_32");
    assert_int_equal(launch.params.nunits, 96);
}

static void test_fills_write_no_more_than_one_item_at_gaps(void **state)
{
    (void)state;
    const box b = {.ndim = 2, .shape = {5, 7}, .dst_strides = {1024, 32}, .unit_nbytes = 12};
    ndbuf__kernel_launch launch = plan_fill(&b, "abcdefghijkl");
    assert_kernel(&launch, "ndk_fill_4_32");
    assert_int_equal(launch.params.ndim, 3);
    assert_int_equal(launch.params.shape[2], 3);
    assert_int_equal(launch.params.dst_strides[2], 4);
    assert_int_equal(launch.params.nunits, 5 * 7 * 3);
}

static void test_fills_write_repeated_places_once(void **state)
{
    (void)state;
    const box b = {.ndim = 2, .shape = {5, 1000}, .dst_strides = {8, 0}, .unit_nbytes = 4};
    ndbuf__kernel_launch launch = plan_fill(&b, "abcd");
    assert_int_equal(launch.params.nunits, 5);
}

static void test_fills_of_large_items_are_refused_unless_they_repeat(void **state)
{
    (void)state;
    char item[600];
    for (size_t i = 0; i < sizeof(item); i++) {
        item[i] = (char)(i % 251 + i / 251);
    }
    ndbuf_fill_box fill = {.dst = {NULL, 0, NULL}, .ndim = 0, .item = item, .item_nbytes = 257};
    ndbuf__kernel_launch launch;
    assert_false(ndbuf__kernel_plan_fill(&fill, 0, 1024, &launch));
    fill.item_nbytes = 256;
    assert_true(ndbuf__kernel_plan_fill(&fill, 0, 1024, &launch));
    assert_memory_equal(launch.params.item, item, 256);
    fill.item_nbytes = 250; /* units of 16 bytes would need 2000 */
    const int64_t shape = 8;
    const int64_t stride = 250;
    fill.ndim = 1;
    fill.shape = &shape;
    fill.dst.strides = &stride;
    assert_true(ndbuf__kernel_plan_fill(&fill, 0, 1024, &launch));
    assert_kernel(&launch, "ndk_fill_2_32");
    memcpy(item + 200, item, 200);
    memcpy(item + 400, item, 200);
    fill.ndim = 0;
    fill.item_nbytes = 600;
    assert_true(ndbuf__kernel_plan_fill(&fill, 0, 1024, &launch));
    assert_int_equal(launch.params.nunits * launch.params.unit_nbytes, 600);
}

static uint64_t high_half(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    return (uint64_t)((wide)a * b >> 64);
}

/* Division by multiplication, as the kernels do it. */
static void assert_divides(const ndk_params *params, int64_t n)
{
    int64_t divisor = params->shape[0];
    uint64_t high = high_half((uint64_t)n, params->multipliers[0]);
    assert_int_equal((high + (uint64_t)n) >> params->shifts[0], n / divisor);
    if (n <= INT32_MAX && divisor <= INT32_MAX) {
        uint32_t multiplier = (uint32_t)(params->multipliers[0] >> 32) + 1;
        uint32_t high_32 = (uint32_t)((uint64_t)n * multiplier >> 32);
        assert_int_equal((high_32 + (uint32_t)n) >> params->shifts[0], n / divisor);
    }
}

static void test_multipliers_divide_every_number(void **state)
{
    (void)state;
    test_random random = test_random_make("dividers", 1);
    for (int i = 0; i < 40000; i++) {
        int64_t most = i % 2 == 0 ? INT32_MAX : INT64_MAX;
        int64_t divisor = test_random_range(&random, 2, most) >> test_random_range(&random, 0, i % 2 == 0 ? 30 : 62);
        divisor = i % 100 == 0 ? INT32_MAX : divisor < 2 ? 2 : divisor;
        const box b = {.ndim = 1, .shape = {divisor}, .dst_strides = {1}, .src_strides = {0}, .unit_nbytes = 1};
        ndbuf__kernel_launch launch = plan(&b);
        assert_int_equal(launch.params.shape[0], divisor);
        const int64_t numbers[] = {0,
                                   1,
                                   divisor - 1,
                                   divisor,
                                   most,
                                   most / divisor * divisor,
                                   most / divisor * divisor - 1,
                                   test_random_range(&random, 0, most - 1)};
        for (size_t k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++) {
            assert_divides(&launch.params, numbers[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters_fit_every_opencl_device),
        cmocka_unit_test(test_unit_is_the_largest_that_divides_sizes_strides_and_addresses),
        cmocka_unit_test(test_what_a_unit_leaves_of_an_item_is_the_last_axis),
        cmocka_unit_test(test_contiguous_axes_become_one_of_large_units),
        cmocka_unit_test(test_single_unit_has_one_axis),
        cmocka_unit_test(test_descending_destinations_are_turned),
        cmocka_unit_test(test_offsets_of_32_bits_are_used_as_far_as_they_reach),
        cmocka_unit_test(test_transposes_are_tiled),
        cmocka_unit_test(test_tiles_are_left_alone_where_they_do_not_pay),
        cmocka_unit_test(test_each_unit_has_its_tile),
        cmocka_unit_test(test_more_than_16_axes_are_refused),
        cmocka_unit_test(test_groups_cover_the_units_and_obey_the_limit),
        cmocka_unit_test(test_short_items_are_repeated_to_long_units),
        cmocka_unit_test(test_fills_write_no_more_than_one_item_at_gaps),
        cmocka_unit_test(test_fills_write_repeated_places_once),
        cmocka_unit_test(test_fills_of_large_items_are_refused_unless_they_repeat),
        cmocka_unit_test(test_multipliers_divide_every_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
