/* SPDX-License-Identifier: Apache-2.0 */

/* Which numbers the host engine takes one by one to convert them. */

#include "backends/cpu/cpu_tuning.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/backends/cpu/cpu_convert_sample.h"
#include "tests/support/test.h"

/* Whether a row of 1000 numbers is walked, within the caches and past them. */
static bool is_walked(ndbuf_element dst, int64_t dst_stride, ndbuf_element src, int64_t src_stride)
{
    const int64_t count = 1000;
    const cpu_box box = {.ndim = 1, .shape = &count, .dst_strides = &dst_stride, .src_strides = &src_stride};
    cpu_convert_plan plan;
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    plan_box(&plan, dst, src, &box);
    const bool walks = plan.walks;
    assert_int_equal(plan.at_once, walks);
    const int64_t stream_nbytes = tuning.stream_nbytes;
    tuning.stream_nbytes = 1;
    ndbuf_cpu__tuning_set(&tuning);
    plan_box(&plan, dst, src, &box);
    assert_false(plan.at_once || (walks && (plan.packs || plan.spreads || plan.streams)));
    assert_int_equal(plan.walks, walks);
    tuning.stream_nbytes = stream_nbytes;
    ndbuf_cpu__tuning_set(&tuning);
    return walks;
}

static void numbers_far_apart_in_the_destination_are_walked(void **state)
{
    (void)state;
    plan_for(true);
    assert_true(is_walked(twice, 24, int32, 4));
    assert_true(is_walked(twice, -24, int32, 12));
    assert_false(is_walked(twice, 16, int32, 4)); /* as integers take the processor longer to become floats */
    assert_true(is_walked(int64, 16, int32, 4));
    assert_true(is_walked(twice, 16, int32, 12)); /* as gaps in the source are work, too */
    assert_true(is_walked(single, 16, int32, 12));
    assert_true(is_walked(single, 12, int32, 8));
    assert_false(is_walked(single, 8, int32, 8));
    assert_false(is_walked(single, 12, int16, 8)); /* of which vectors have more */
    assert_true(is_walked(single, 16, int16, 8));
    assert_true(is_walked(single, 8, int32, 16)); /* as so wide ones are more */
    assert_true(is_walked(single, 8, int32, -16));
    assert_false(is_walked(single, 4, int32, 16));
#if defined(__x86_64__)
    assert_true(is_walked(int32, 32, twice, 40));
    assert_true(is_walked((ndbuf_element){.number = NDBUF_NUMBER_UINT64, .nbytes = 8}, 16, twice, 8));
    assert_true(is_walked((ndbuf_element){.number = NDBUF_NUMBER_BOOL, .nbytes = 1}, 16, twice, 8));
#endif
    assert_false(is_walked(half, 24, single, 12)); /* which takes long one by one */
    assert_true(is_walked(pair, 48, int32, 12));
    assert_false(is_walked(pair, 16, int32, -4)); /* it has no gaps */
}

/* Whether 100 pairs of numbers are walked, by their strides and those of their parts; sets whether both at once. */
static bool are_parts_walked(ndbuf_element dst, ndbuf_element src, const int64_t *dst_strides,
                             const int64_t *src_strides, bool *out_both)
{
    const int64_t shape[] = {100, 2};
    const cpu_box box = {.ndim = 2, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    cpu_convert_plan plan;
    plan_box(&plan, dst, src, &box);
    *out_both = plan.converter.scalar.converts_pairs;
    assert_true(!*out_both || plan.run_axis == 0); /* a row of pairs */
    return plan.walks;
}

/* The same of dense pairs. */
static bool are_pairs_walked(ndbuf_element dst, ndbuf_element src, int64_t dst_stride, int64_t src_stride,
                             bool *out_both)
{
    const int64_t dst_strides[] = {dst_stride, dst.nbytes};
    const int64_t src_strides[] = {src_stride, src.nbytes};
    return are_parts_walked(dst, src, dst_strides, src_strides, out_both);
}

static void pairs_of_floats_are_walked_both_at_once(void **state)
{
    (void)state;
#if defined(__x86_64__)
    bool both;
    plan_for(true);
    assert_true(are_pairs_walked(twice, single, 32, 16, &both));
    assert_true(both);
    assert_true(are_pairs_walked(twice, single, 32, 8, &both)); /* also those of a dense source */
    assert_true(both);
    assert_true(are_pairs_walked(single, twice, 12, 32, &both));
    assert_true(both);
    assert_false(are_pairs_walked(single, twice, 8, 32, &both)); /* the destination is dense */
    assert_false(both);
    assert_false(are_pairs_walked(twice, single, 16, 16, &both));
    assert_false(both);
    const int64_t dense[] = {32, 4};
    const int64_t apart[] = {32, 16};
    const int64_t double_dense[] = {32, 8};
    are_parts_walked(twice, single, apart, dense, &both); /* a gap between the two */
    assert_false(both);
    are_parts_walked(twice, single, double_dense, apart, &both);
    assert_false(both);
    assert_false(are_pairs_walked(twice, int32, 32, 16, &both)); /* no parts of complex numbers */
    assert_false(both);
#endif
}

/* Whether `count` rows of `nitems` INT32, of which the source has a column for each with `is_turned`, are walked. */
static bool are_rows_walked(ndbuf_element dst, int64_t dst_stride, int64_t count, int64_t nitems, bool is_turned)
{
    const int64_t shape[] = {count, nitems};
    const int64_t dst_strides[] = {(nitems + 1) * dst_stride, dst_stride};
    const int64_t src_strides[] = {is_turned ? 4 : (nitems + 1) * 4, is_turned ? count * 4 : 4};
    const cpu_box box = {.ndim = 2, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    cpu_convert_plan plan;
    plan_box(&plan, dst, int32, &box);
    return plan.walks;
}

static void neither_short_rows_nor_many_columns_are_walked(void **state)
{
    (void)state;
    plan_for(true);
    assert_true(are_rows_walked(twice, 24, 256, 256, false));
    assert_true(are_rows_walked(twice, 24, 256, 256, true));
    assert_true(are_rows_walked(twice, 24, 2048, 1024, false)); /* 12 MiB, half of them of each side */
    assert_false(are_rows_walked(twice, 24, 2048, 1024, true));
    assert_true(are_rows_walked(twice, 24, 2047, 1024, true));
    assert_false(are_rows_walked(single, 8, 224, 256, true));
}

/* Whether `count` numbers are walked. */
static bool are_walked(ndbuf_element dst, int64_t dst_stride, ndbuf_element src, int64_t src_stride, int64_t count)
{
    const cpu_box box = {.ndim = 1, .shape = &count, .dst_strides = &dst_stride, .src_strides = &src_stride};
    cpu_convert_plan plan;
    plan_box(&plan, dst, src, &box);
    return plan.walks;
}

static void of_many_numbers_only_those_in_wide_gaps_are_walked(void **state)
{
    (void)state;
    const ndbuf_element halves = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 8, .is_complex = 1};
    const int64_t many = (int64_t)3 << 20; /* 12 MiB */
    plan_for(true);
#if defined(__x86_64__)
    assert_true(are_walked(int32, 20, single, 4, many));
    assert_true(are_walked(int32, 16, single, 4, many - 1));
    assert_false(are_walked(int32, 16, single, 4, many));
    assert_true(are_walked(halves, 32, single, 8, many / 2));
    assert_false(are_walked(halves, 32, single, 8, many));
#endif
    assert_true(are_walked(single, 16, int32, 8, many));
    assert_true(are_walked(single, 12, int32, 8, many - 1));
    assert_false(are_walked(single, 12, int32, 8, many));
    assert_true(are_rows_walked(twice, 24, 256, 12, false));
    assert_false(are_rows_walked(twice, 24, 256, 11, false));
}

static void where_nothing_spreads_numbers_any_gap_is_walked(void **state)
{
    (void)state;
    const ndbuf_element swapped = {.number = NDBUF_NUMBER_INT16, .nbytes = 2, .is_swapped = 1};
    const int64_t many = (int64_t)4 << 20; /* 12 MiB of 2 and 4 bytes */
    plan_for(false);
    assert_true(is_walked(single, 8, int32, 8));
    assert_true(is_walked(int16, 3, int32, 4));
    assert_false(is_walked(swapped, 4, int32, 4));
    assert_false(is_walked(int32, 8, swapped, 4));
    assert_false(is_walked(half, 8, int32, 8));
    assert_false(is_walked(single, 12, int16, 4)); /* of which vectors have more */
    assert_true(is_walked(single, 16, int16, 4));
    assert_true(are_walked(single, 12, int16, 4, many));
    assert_false(are_walked(single, 12, int16, 4, many - 1));
#if defined(__x86_64__)
    assert_true(is_walked(int32, 8, single, 8));
    assert_false(is_walked(int32, 8, single, 4)); /* dense ones, too */
    assert_true(are_walked(int32, 8, single, 4, many));
#endif
    assert_true(are_rows_walked(single, 8, 224, 256, true));
    assert_false(are_rows_walked(single, 8, 192, 256, true)); /* lines that share sets */
    assert_true(are_rows_walked(single, 8, 1535, 1024, true));
    assert_false(are_rows_walked(single, 8, 1537, 1024, true)); /* 6 MiB */
}

static void long_rows_that_are_walked_across_the_source_read_whole_lines(void **state)
{
    (void)state;
    const int64_t shape[] = {200, 2048};
    const int64_t dst_strides[] = {2049 * 16, 16};
    const int64_t src_strides[] = {8, 201 * 8};
    cpu_convert_plan plan;
    const cpu_box box = {.ndim = 2, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    plan_for(false);
    plan_box(&plan, pair, int64, &box);
    assert_true(plan.walks && !plan.at_once);
    assert_int_equal(plan.block[0], 8);
    assert_int_equal(plan.block[1], 1024);
    plan_box(&plan, pair, int32, &box); /* of which vectors have more */
    assert_false(plan.walks);
    const int64_t dense[] = {2048 * 8, 8};
    const cpu_box shorter = {.ndim = 2, .shape = shape, .dst_strides = dense, .src_strides = src_strides};
    plan_box(&plan, twice, int64, &shorter); /* without gaps vectors have more */
    assert_false(plan.walks);
}

/* Whether `count` rows of `nitems` numbers, columns of the source, are taken by columns. */
static bool are_columns(ndbuf_element dst, int64_t dst_stride, ndbuf_element src, int64_t src_stride, int64_t nitems,
                        int64_t count)
{
    const int64_t shape[] = {count, nitems};
    const int64_t dst_strides[] = {nitems * dst_stride, dst_stride};
    const int64_t src_strides[] = {src_stride, (count + 1) * src_stride};
    const cpu_box box = {.ndim = 2, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    cpu_convert_plan plan;
    plan_box(&plan, dst, src, &box);
    assert_true(!plan.by_columns || (plan.walks && plan.run_axis == 1));
    assert_true(!plan.by_columns || plan.at_once == (count * nitems <= CPU_CONVERT_WALKED));
    assert_true(!plan.by_columns || plan.at_once || (plan.block[1] == nitems && plan.block[0] < 4096));
    return plan.by_columns;
}

static void short_rows_across_the_source_are_taken_by_columns_where_nothing_spreads_numbers(void **state)
{
    (void)state;
    const ndbuf_element swapped = {.number = NDBUF_NUMBER_INT32, .nbytes = 4, .is_swapped = 1};
    const int64_t many = (int64_t)96 << 10; /* 6 MiB of 8 x 8 bytes */
    plan_for(false);
    assert_true(are_columns(single, 8, int32, 4, 5, 300));
    assert_true(are_columns(single, -8, int32, -4, 5, 300));
    assert_true(are_columns(single, 8, int32, 4, 31, 16));
    assert_true(are_columns(single, 8, int32, 4, 5, 20));
    assert_false(are_columns(single, 8, int32, 4, 32, 16));
    assert_false(are_columns(single, 8, int32, 4, 31, 15));
    assert_false(are_columns(single, 8, swapped, 4, 5, 300));
    assert_false(are_columns(half, 4, int32, 4, 5, 300));
    assert_false(are_columns(single, 4, int32, 4, 5, 300)); /* vectors turn what has no gaps */
    assert_true(are_columns(single, 4, int32, 8, 5, 300));
    assert_false(are_columns(single, 4, int16, 4, 5, 300)); /* or have many of it */
    assert_true(are_columns(twice, 8, int64, 8, 8, 300));   /* but not of long ones */
    assert_true(are_columns(pair, 16, int64, 8, 16, 300));
    assert_false(are_columns(pair, 16, int64, 8, 17, 300));
    assert_true(are_columns(twice, 8, int64, 8, 8, many - 1));
    assert_false(are_columns(twice, 8, int64, 8, 8, many));
    plan_for(true);
    assert_false(are_columns(single, 8, int32, 4, 5, 300));
}

static void where_nothing_spreads_numbers_wide_gaps_in_the_source_are_walked(void **state)
{
    (void)state;
    const ndbuf_element swapped = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4, .is_swapped = 1};
    const int64_t far = (int64_t)16 << 10; /* 64 KiB of 4 bytes */
    const bool has_vectors = ndbuf_cpu__kernels_get()->conversions != NULL;
    plan_for(false);
    assert_true(are_walked(single, 4, int32, 24, 1000));
    assert_true(are_walked(single, 4, int32, -24, 1000));
    assert_false(are_walked(single, 4, int32, 20, 1000));
    assert_false(are_walked(swapped, 4, int32, 24, 1000));
    assert_true(are_walked(single, 4, int32, 16, far));
    assert_false(are_walked(single, 4, int32, 12, far));
    assert_false(are_walked(single, 4, int32, 16, far - 1));
    assert_int_equal(are_walked(single, 4, int64, 32, 1000), !has_vectors); /* which take them from where they are */
#if defined(__x86_64__)
    bool both;
    assert_true(are_pairs_walked(twice, single, 16, 16, &both));
    assert_true(both);
    assert_false(are_pairs_walked(twice, single, 16, 8, &both));
#endif
    plan_for(true);
    assert_false(are_walked(single, 4, int32, 24, 1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(numbers_far_apart_in_the_destination_are_walked, all_kernels_teardown),
        cmocka_unit_test_teardown(pairs_of_floats_are_walked_both_at_once, all_kernels_teardown),
        cmocka_unit_test_teardown(of_many_numbers_only_those_in_wide_gaps_are_walked, all_kernels_teardown),
        cmocka_unit_test_teardown(where_nothing_spreads_numbers_any_gap_is_walked, all_kernels_teardown),
        cmocka_unit_test_teardown(long_rows_that_are_walked_across_the_source_read_whole_lines, all_kernels_teardown),
        cmocka_unit_test_teardown(short_rows_across_the_source_are_taken_by_columns_where_nothing_spreads_numbers,
                                  all_kernels_teardown),
        cmocka_unit_test_teardown(where_nothing_spreads_numbers_wide_gaps_in_the_source_are_walked,
                                  all_kernels_teardown),
        cmocka_unit_test_teardown(neither_short_rows_nor_many_columns_are_walked, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("backends/cpu/convert_walks", tests, convert_sample_setup, NULL);
}
