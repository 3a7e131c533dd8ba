/* SPDX-License-Identifier: Apache-2.0 */

/* What the host engine decides of a conversion beforehand. */

#include <string.h>

#include "backends/cpu/cpu_convert_plan.h"
#include "backends/cpu/cpu_tuning.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/support/test.h"

static const ndbuf_element int16 = {.number = NDBUF_NUMBER_INT16, .nbytes = 2};
static const ndbuf_element int32 = {.number = NDBUF_NUMBER_INT32, .nbytes = 4};
static const ndbuf_element int64 = {.number = NDBUF_NUMBER_INT64, .nbytes = 8};
static const ndbuf_element half = {.number = NDBUF_NUMBER_FLOAT16, .nbytes = 2};
static const ndbuf_element single = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4};
static const ndbuf_element twice = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 8};
static const ndbuf_element pair = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 16, .is_complex = 1};

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

static void spread_nothing(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps,
                           int64_t prefetch_nbytes)
{
    (void)shuffle;
    (void)dst;
    (void)src;
    (void)nsteps;
    (void)prefetch_nbytes;
}

/* Plans a box of these elements. */
static void plan_box(cpu_convert_plan *plan, ndbuf_element dst, ndbuf_element src, const cpu_box *box)
{
    cpu_convert_box convert = {.box = *box, .dst_element = dst, .src_element = src};
    assert_true(ndbuf__converter_init(&convert.converter, &dst, &src, 0));
    assert_true(ndbuf_cpu__plan_conversion(plan, &convert));
    plan->box = NULL;
}

/* What is planned from now on is for vectors that leave bytes out where they write, or for none that do. */
static void plan_for(bool scatters)
{
    static cpu_kernels kernels;
    ndbuf_cpu__kernels_set(NULL);
    kernels = *ndbuf_cpu__kernels_get();
    kernels.shuffle_nbytes = scatters ? CPU_VECTOR_MAX : kernels.shuffle_nbytes;
    kernels.scatter = scatters ? spread_nothing : NULL;
    ndbuf_cpu__kernels_set(&kernels);
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

/* Constants are there before the first decision. */
static int prepare(void **state)
{
    (void)state;
    ndbuf_cpu__tuning_get();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(pairs_of_columns_are_turned_where_they_share_sets, all_kernels_teardown),
        cmocka_unit_test_teardown(numbers_are_converted_before_they_are_turned_where_that_is_faster,
                                  all_kernels_teardown),
        cmocka_unit_test_teardown(small_rows_are_converted_at_once_by_plans_that_are_kept, all_kernels_teardown),
        cmocka_unit_test_teardown(dense_rows_of_a_step_are_converted_where_they_are, all_kernels_teardown),
        cmocka_unit_test_teardown(short_rows_are_brought_together_and_spread, all_kernels_teardown),
        cmocka_unit_test_teardown(whole_lines_are_written_past_the_caches_without_being_spread, all_kernels_teardown),
        cmocka_unit_test_teardown(a_few_floats_are_converted_together_by_vectors, all_kernels_teardown),
        cmocka_unit_test_teardown(numbers_far_apart_in_the_destination_are_walked, all_kernels_teardown),
        cmocka_unit_test_teardown(pairs_of_floats_are_walked_both_at_once, all_kernels_teardown),
        cmocka_unit_test_teardown(of_many_numbers_only_those_in_wide_gaps_are_walked, all_kernels_teardown),
        cmocka_unit_test_teardown(where_nothing_spreads_numbers_any_gap_is_walked, all_kernels_teardown),
        cmocka_unit_test_teardown(long_rows_that_are_walked_across_the_source_read_whole_lines, all_kernels_teardown),
        cmocka_unit_test_teardown(where_nothing_spreads_numbers_wide_gaps_in_the_source_are_walked,
                                  all_kernels_teardown),
        cmocka_unit_test_teardown(neither_short_rows_nor_many_columns_are_walked, all_kernels_teardown),
        cmocka_unit_test_teardown(what_is_repeated_is_not_planned, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("backends/cpu/convert_plan", tests, prepare, NULL);
}
