/* SPDX-License-Identifier: Apache-2.0 */

/* What the host engine decides of a conversion beforehand. */

#include <string.h>

#include "backends/cpu/cpu_tuning.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/backends/cpu/cpu_convert_sample.h"
#include "tests/support/test.h"

/* A box of FLOAT64 to FLOAT32. */
static cpu_convert_box halved(int32_t ndim, const int64_t *shape, const int64_t *dst_strides,
                              const int64_t *src_strides)
{
    const cpu_box box = {.ndim = ndim, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    cpu_convert_box convert = {.box = box, .dst_element = single, .src_element = twice};
    assert_true(ndbuf__converter_init(&convert.converter, &convert.dst_element, &convert.src_element, 0));
    return convert;
}

/* Matrices of complex numbers to narrower ones, their columns as rows, are not transposed: they are converted from
 * where they lie, unless their lines share cache sets. */
static void pairs_of_columns_are_turned_where_they_share_sets(void **state)
{
    (void)state;
    const int64_t shape[] = {96, 80, 2};
    const int64_t dst_strides[] = {80 * 8, 8, 4};
    const int64_t apart_strides[] = {16, 1600, 8};
    const int64_t sharing_strides[] = {16, 2048, 8};
    cpu_row_converter converter;
    cpu_convert_plan plan;
    cpu_box box;
    const cpu_convert_box apart = halved(3, shape, dst_strides, apart_strides);
    assert_false(ndbuf_cpu__copies_numbers(&apart, &box, &converter));
    assert_true(ndbuf_cpu__plan_conversion(&plan, &apart));
    const bool has_vectors = plan.converter.apart != NULL;
    assert_false(plan.at_once);
    assert_int_equal(plan.apart, has_vectors);
    assert_int_equal(plan.packs, !has_vectors);
    if (has_vectors) {
        assert_false(plan.spreads);
        assert_int_equal(plan.run_axis, 1);
        assert_int_equal(plan.gap, 8);
        assert_int_equal(plan.stride, 1600);
    }
    const cpu_convert_box sharing = halved(3, shape, dst_strides, sharing_strides);
    assert_int_equal(ndbuf_cpu__copies_numbers(&sharing, &box, &converter), has_vectors);
}

/* Plans `count` rows of 1024 INT64 to FLOAT64, columns of a source whose lines are so many bytes apart. */
static void plan_columns(cpu_convert_plan *plan, int64_t count, int64_t line_stride)
{
    const int64_t shape[] = {count, 1024};
    const int64_t dst_strides[] = {1024 * 8, 8};
    const int64_t src_strides[] = {8, line_stride};
    const cpu_box box = {.ndim = 2, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    plan_box(plan, twice, int64, &box);
    assert_false(plan->at_once);
}

static void columns_are_converted_from_where_they_lie_unless_their_lines_share_sets(void **state)
{
    (void)state;
    const int64_t count = 1000;
    const int64_t dst_stride = 8;
    const int64_t src_stride = 1024;
    const int64_t shape[] = {100, 100, 2};
    const int64_t dst_strides[] = {100 * 16, 16, 8};
    const int64_t src_strides[] = {16, 2048, 8};
    const cpu_box row = {.ndim = 1, .shape = &count, .dst_strides = &dst_stride, .src_strides = &src_stride};
    const cpu_box pairs = {.ndim = 3, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    const bool has_vectors = ndbuf_cpu__kernels_get()->conversions != NULL;
    cpu_convert_plan plan;
    plan_columns(&plan, 100, 896);
    assert_int_equal(plan.apart, has_vectors);
    assert_int_equal(plan.packs, !has_vectors);
    plan_columns(&plan, 100, 1024);
    assert_true(plan.packs && !plan.apart);
    plan_columns(&plan, 100, -2048);
    assert_true(plan.packs && !plan.apart);
    plan_for(true);
    plan_box(&plan, twice, int64, &row); /* which reads each line once */
    assert_int_equal(plan.apart, has_vectors);
    plan_box(&plan, twice, int64, &pairs); /* which take more of each */
    assert_int_equal(plan.apart, has_vectors);
}

static void many_columns_are_converted_by_long_rows_where_nothing_spreads_numbers(void **state)
{
    (void)state;
    cpu_convert_plan plan;
    const bool has_vectors = ndbuf_cpu__kernels_get()->conversions != NULL;
    plan_for(false);
    plan_columns(&plan, 512, 4104); /* 4 MiB */
    assert_int_equal(plan.apart, has_vectors);
    assert_int_equal(plan.block[0] == 8 && plan.block[1] == 1024, has_vectors);
    plan_columns(&plan, 511, 4104);
    assert_true(plan.block[0] > 8 && plan.block[1] < 1024);
    plan_for(true);
    plan_columns(&plan, 512, 4104);
    assert_true(plan.block[0] > 8 && plan.block[1] < 1024);
}

/* Whether 1000 rows of `count` 4-byte numbers, so many bytes apart in the source, are converted from where they lie. */
static bool are_halves(ndbuf_element dst, ndbuf_element src, int64_t count, int64_t src_stride)
{
    const int64_t shape[] = {1000, count};
    const int64_t dst_strides[] = {count * dst.nbytes, dst.nbytes};
    const int64_t src_strides[] = {count * 8 + 8, src_stride};
    const cpu_box box = {.ndim = 2, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    cpu_convert_plan plan;
    plan_box(&plan, dst, src, &box);
    return plan.apart;
}

static void each_second_number_is_converted_from_where_it_lies(void **state)
{
    (void)state;
    const ndbuf_element swapped = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4, .is_swapped = 1};
    const bool has_vectors = ndbuf_cpu__kernels_get()->conversions != NULL;
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    assert_int_equal(are_halves(single, int32, 64, 8), has_vectors);
    assert_int_equal(are_halves(pair, single, 64, 8), has_vectors);
    assert_false(are_halves(single, int32, 63, 8));
    assert_false(are_halves(single, int32, 64, -8));
    assert_false(are_halves(single, int32, 64, 12));
    assert_false(are_halves(swapped, int32, 64, 8));
    assert_false(are_halves(int32, swapped, 64, 8));
    assert_false(are_halves(single, int16, 64, 8));
    tuning.stream_nbytes = 1;
    ndbuf_cpu__tuning_set(&tuning);
    assert_int_equal(are_halves(single, int32, 64, 8), has_vectors && ndbuf_cpu__kernels_get()->stream == NULL);
}

/* Whether the conversion of a box to dst_address is a copy that converts: its lines are converted, and then turned. */
static bool is_turned_box(ndbuf_element dst, ndbuf_element src, const cpu_box *box, uintptr_t dst_address)
{
    cpu_row_converter converter;
    cpu_box copy;
    cpu_convert_box convert = {.box = *box, .dst_element = dst, .src_element = src};
    convert.box.dst = (char *)dst_address;
    assert_true(ndbuf__converter_init(&convert.converter, &dst, &src, 0));
    return ndbuf_cpu__copies_numbers(&convert, &copy, &converter);
}

/* The same of the transpose of `count` x `count` numbers. */
static bool is_turned(ndbuf_element dst, ndbuf_element src, int64_t count, int64_t dst_pitch, uintptr_t dst_address)
{
    const int64_t shape[] = {count, count};
    const int64_t dst_strides[] = {dst_pitch, dst.nbytes};
    const int64_t src_strides[] = {src.nbytes, count * src.nbytes};
    const cpu_box box = {.ndim = 2, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    return is_turned_box(dst, src, &box, dst_address);
}

/* The same of lines, in two axes, that become rows of so many numbers. */
static bool is_turned_to_rows(ndbuf_element dst, ndbuf_element src, int64_t outer, int64_t inner)
{
    const int64_t count = 20000;
    const int64_t shape[] = {count, outer, inner};
    const int64_t dst_strides[] = {outer * inner * dst.nbytes, inner * dst.nbytes, dst.nbytes};
    const int64_t src_strides[] = {src.nbytes, count * src.nbytes, count * outer * src.nbytes};
    const cpu_box box = {.ndim = 3, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    return is_turned_box(dst, src, &box, 4096);
}

static void numbers_are_converted_before_they_are_turned_where_that_is_faster(void **state)
{
    (void)state;
    const cpu_kernels *kernels = ndbuf_cpu__kernels_get();
    const bool has_vectors = kernels->conversions != NULL;
    const bool takes_parts = cpu_block_side(kernels, 4) * 4 < CPU_LINE_NBYTES;
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.stream_nbytes = 8000000;
    tuning.stream_parts_nbytes = 4000000;
    ndbuf_cpu__tuning_set(&tuning);
    assert_int_equal(is_turned(single, twice, 200, 800, 4096), has_vectors);                 /* shorter ones: always */
    assert_int_equal(is_turned(single, int32, 1500, 6000, 4096), has_vectors);               /* past the caches */
    assert_int_equal(is_turned(single, int32, 800, 3200, 4096), has_vectors && takes_parts); /* 5 MB on both sides */
    assert_false(is_turned(single, int32, 700, 2800, 4096));
    assert_int_equal(is_turned(single, int16, 1501, 6004, 4096), has_vectors); /* rows begin within lines */
    assert_int_equal(is_turned(single, int16, 1504, 6016, 4100), has_vectors);
    assert_false(is_turned(single, int16, 1504, 6016, 4096));
    assert_false(is_turned(single, int16, 1401, 5604, 4096)); /* 7.9 MB */
    assert_false(is_turned(twice, int64, 1500, 12000, 4096)); /* of 8 bytes: by blocks */
    assert_false(is_turned(twice, int16, 1501, 12008, 4096));
    assert_false(is_turned(twice, single, 1501, 12008, 4096));
    assert_false(is_turned_to_rows(single, twice, 1, 7)); /* few lines are woven */
    assert_int_equal(is_turned_to_rows(single, twice, 1, 8), has_vectors);
    assert_int_equal(is_turned_to_rows(single, twice, 4, 2), has_vectors);
}

/* Plans the box, which begins at the lowest bytes, and runs the plan. */
static void check_at_once(const cpu_convert_box *convert, bool at_once)
{
    static double numbers[4096];
    static float converted[4096];
    const cpu_box *box = &convert->box;
    int64_t index[2] = {0, 0};
    cpu_convert_plan plan;
    assert_true(ndbuf_cpu__plan_conversion(&plan, convert));
    assert_int_equal(plan.at_once, at_once);
    for (int i = 0; i < 4096; i++) {
        numbers[i] = i + 0.25;
    }
    memset(converted, 0, sizeof(converted));
    ndbuf_cpu__run_conversion(&plan, (char *)converted, (const char *)numbers);
    for (index[0] = 0; index[0] < box->shape[0]; index[0]++) {
        for (index[1] = 0; index[1] < (box->ndim > 1 ? box->shape[1] : 1); index[1]++) {
            int64_t to = 0;
            int64_t from = 0;
            for (int32_t k = 0; k < box->ndim; k++) {
                to += index[k] * box->dst_strides[k] / 4;
                from += index[k] * box->src_strides[k] / 8;
            }
            assert_true(converted[to] == (float)from + 0.25F);
        }
    }
}

static void small_rows_are_converted_at_once_by_plans_that_are_kept(void **state)
{
    (void)state;
    const int64_t count = 500;
    const int64_t dense[2][1] = {{4}, {8}};
    const int64_t spread = 12;
    const int64_t square[] = {13, 13};
    const int64_t larger[] = {20, 30};
    const int64_t columns[2][2] = {{4 * 30, 4}, {8, 8 * 30}};
    const cpu_convert_box row = halved(1, &count, dense[0], dense[1]);
    const cpu_convert_box few_across = halved(2, square, columns[0], columns[1]);
    const cpu_convert_box many_across = halved(2, larger, columns[0], columns[1]);
    const cpu_convert_box scattered = halved(1, &count, &spread, dense[1]);
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    check_at_once(&row, true);
    check_at_once(&few_across, true);
    check_at_once(&many_across, false);
    check_at_once(&scattered, ndbuf_cpu__kernels_get()->scatter == NULL && scattered.converter.is_quick);
    tuning.stream_nbytes = count;
    ndbuf_cpu__tuning_set(&tuning);
    check_at_once(&row, false);
}

/* Plans 1000 rows of `count` FLOAT64 that become FLOAT32, for a plan that is kept; `dst` is where they go. */
static void plan_rows(cpu_convert_plan *plan, int64_t count, int64_t dst_pitch, int64_t src_pitch, int64_t src_stride,
                      uintptr_t dst)
{
    static int64_t shape[2];
    static int64_t dst_strides[2];
    static int64_t src_strides[2];
    static cpu_convert_box convert;
    shape[0] = 1000;
    shape[1] = count;
    dst_strides[0] = dst_pitch;
    dst_strides[1] = 4;
    src_strides[0] = src_pitch;
    src_strides[1] = src_stride;
    convert = halved(2, shape, dst_strides, src_strides);
    convert.box.dst = (char *)dst;
    convert.box.nruns = CPU_BOX_MANY_RUNS;
    assert_true(ndbuf_cpu__plan_conversion(plan, &convert));
    assert_false(plan->at_once && !plan->apart && !plan->walks);
}

static void short_rows_are_brought_together_and_spread(void **state)
{
    (void)state;
    cpu_convert_plan plan;
    const bool has_vectors = ndbuf_cpu__kernels_get()->conversions != NULL;
    plan_for(true);
    plan_rows(&plan, 7, 32, 64, 8, 0);
    assert_true(plan.packs && plan.spreads && !plan.apart);
    plan_rows(&plan, 7, 28, 64, 8, 0); /* without gaps */
    assert_true(plan.packs && !plan.spreads && !plan.apart);
    plan_rows(&plan, 90, 368, 2160, 24, 0);
    assert_true(plan.packs && plan.spreads && !plan.apart);
    plan_rows(&plan, 100, 408, 2400, 24, 0); /* which is long for the destination */
    assert_true(plan.packs && !plan.spreads && !plan.apart);
    plan_rows(&plan, 20, 88, 1680, 80, 0); /* each in a cache line of its own */
    assert_int_equal(plan.apart, has_vectors);
    plan_rows(&plan, 150, 608, 3600, 24, 0);
    assert_int_equal(plan.apart, has_vectors);
    plan_rows(&plan, 50, 208, 416, -8, 0); /* backwards, they are taken by whole vectors */
    assert_int_equal(plan.apart, has_vectors);
    plan_for(false);
    plan_rows(&plan, 127, 508, 3048, 24, 0); /* too short for vectors */
    assert_true(!plan.apart && plan.walks == plan.converter.scalar.is_quick);
}

/* Whether 1000 rows of `count` numbers, with gaps between rows, are converted where they are. */
static bool are_direct(ndbuf_element dst, ndbuf_element src, int64_t count, int64_t dst_gap, int64_t src_gap)
{
    const int64_t shape[] = {1000, count};
    const int64_t dst_strides[] = {count * dst.nbytes + dst_gap, dst.nbytes};
    const int64_t src_strides[] = {count * src.nbytes + src_gap, src.nbytes};
    const cpu_box box = {.ndim = 2, .shape = shape, .dst_strides = dst_strides, .src_strides = src_strides};
    cpu_convert_plan plan;
    plan_box(&plan, dst, src, &box);
    return !plan.apart && !plan.walks && (plan.at_once || (!plan.packs && !plan.spreads));
}

/* By the kernels in use. */
static void check_dense_rows(void)
{
    const ndbuf_element byte = {.number = NDBUF_NUMBER_INT8, .nbytes = 1};
    const ndbuf_element word = {.number = NDBUF_NUMBER_INT16, .nbytes = 2};
    const ndbuf_element wide = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 8};
    const cpu_conversions *vectors = ndbuf_cpu__kernels_get()->conversions;
    if (vectors == NULL) {
        assert_false(are_direct(byte, wide, 127, 1, 8));
        assert_true(are_direct(byte, wide, 128, 1, 8));
        return;
    }
    assert_false(are_direct(word, byte, vectors->step - 1, 1, 1));
    assert_true(are_direct(word, byte, vectors->step, 1, 1));
    assert_true(are_direct(byte, wide, vectors->step, 0, 8)); /* lines to be brought together */
    assert_false(are_direct(word, byte, 63, 0, 1));           /* vectors of them */
    assert_true(are_direct(word, byte, 64, 0, 1));
    assert_false(are_direct(byte, wide, 63, 1, 0)); /* to be spread */
    assert_true(are_direct(byte, wide, 64, 1, 0));
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.stream_nbytes = 1;
    ndbuf_cpu__tuning_set(&tuning);
    assert_false(are_direct(byte, wide, 64, 0, 8)); /* past the caches, rows leave together */
    assert_true(are_direct(byte, wide, 64, 1, 8));
    ndbuf_cpu__tuning_set(NULL);
}

static void dense_rows_of_a_step_are_converted_where_they_are(void **state)
{
    (void)state;
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf_cpu__kernels_set(kernels);
        check_dense_rows();
    }
}

/* Past the caches, rows that are whole lines are written by the conversion itself. */
static void whole_lines_are_written_past_the_caches_without_being_spread(void **state)
{
    (void)state;
    cpu_convert_plan plan;
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.stream_nbytes = 1;
    ndbuf_cpu__tuning_set(&tuning);
    const bool streams = ndbuf_cpu__kernels_get()->stream != NULL;
    plan_rows(&plan, 80, 448, 2304, 24, 4096);
    assert_int_equal(plan.streams, streams);
    assert_int_equal(plan.spreads, !streams);
    plan_rows(&plan, 80, 448, 2304, 24, 4100);
    assert_true(plan.spreads);
    plan_rows(&plan, 80, 400, 2304, 24, 4096);
    assert_true(plan.spreads);
}

/* Whether so many numbers that lie apart on both sides are walked, and converted by vectors. */
static bool are_walked_together(ndbuf_element dst, ndbuf_element src, int64_t count)
{
    const int64_t dst_stride = dst.nbytes + 2;
    const int64_t src_stride = src.nbytes + 2;
    const cpu_box box = {.ndim = 1, .shape = &count, .dst_strides = &dst_stride, .src_strides = &src_stride};
    cpu_convert_plan plan;
    plan_box(&plan, dst, src, &box);
    assert_int_equal(plan.walks, count <= CPU_CONVERT_WALKED);
    return plan.walks_together;
}

static void a_few_floats_are_converted_together_by_vectors(void **state)
{
    (void)state;
    const ndbuf_element longest = {.number = NDBUF_NUMBER_LONG_DOUBLE, .nbytes = (int32_t)sizeof(long double)};
    const bool has_vectors = ndbuf_cpu__kernels_get()->conversions != NULL;
    plan_for(true);
    assert_int_equal(are_walked_together(single, twice, 100), has_vectors);
    assert_int_equal(are_walked_together(int32, single, 100), has_vectors);
    assert_int_equal(are_walked_together(twice, single, CPU_CONVERT_WALKED), has_vectors);
    assert_false(are_walked_together(twice, single, CPU_CONVERT_WALKED + 1));
    assert_false(are_walked_together(single, twice, 8));
    assert_false(are_walked_together(single, int32, 100)); /* which takes no longer one by one */
    assert_false(are_walked_together(single, longest, 100));
}

static void what_is_repeated_is_not_planned(void **state)
{
    (void)state;
    const int64_t shape[] = {6, 50};
    const int64_t dst_strides[] = {200, 4};
    const int64_t rows[] = {0, 8};
    const int64_t one[] = {0, 0};
    cpu_convert_plan plan;
    const cpu_convert_box repeated = halved(2, shape, dst_strides, rows);
    const cpu_convert_box filled = halved(2, shape, dst_strides, one);
    assert_false(ndbuf_cpu__plan_conversion(&plan, &repeated));
    assert_false(ndbuf_cpu__plan_conversion(&plan, &filled));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(pairs_of_columns_are_turned_where_they_share_sets, all_kernels_teardown),
        cmocka_unit_test_teardown(columns_are_converted_from_where_they_lie_unless_their_lines_share_sets,
                                  all_kernels_teardown),
        cmocka_unit_test_teardown(many_columns_are_converted_by_long_rows_where_nothing_spreads_numbers,
                                  all_kernels_teardown),
        cmocka_unit_test_teardown(each_second_number_is_converted_from_where_it_lies, all_kernels_teardown),
        cmocka_unit_test_teardown(numbers_are_converted_before_they_are_turned_where_that_is_faster,
                                  all_kernels_teardown),
        cmocka_unit_test_teardown(small_rows_are_converted_at_once_by_plans_that_are_kept, all_kernels_teardown),
        cmocka_unit_test_teardown(dense_rows_of_a_step_are_converted_where_they_are, all_kernels_teardown),
        cmocka_unit_test_teardown(short_rows_are_brought_together_and_spread, all_kernels_teardown),
        cmocka_unit_test_teardown(whole_lines_are_written_past_the_caches_without_being_spread, all_kernels_teardown),
        cmocka_unit_test_teardown(a_few_floats_are_converted_together_by_vectors, all_kernels_teardown),
        cmocka_unit_test_teardown(what_is_repeated_is_not_planned, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("backends/cpu/convert_plan", tests, convert_sample_setup, NULL);
}
