/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <string.h>

enum { START = NDBUF_SLICE_START, STOP = NDBUF_SLICE_STOP, STEP = NDBUF_SLICE_STEP };

/* Python's definition, word by word: k-th member of start:stop:step is start + k * step, as long as it is inside. */
static int64_t count_slowly(const ndbuf_slice *slice, int64_t extent, int64_t *out_first)
{
    int64_t step = (slice->given & STEP) != 0 ? slice->step : 1;
    int64_t start = slice->start < 0 ? slice->start + extent : slice->start;
    int64_t stop = slice->stop < 0 ? slice->stop + extent : slice->stop;
    if (step > 0) {
        start = (slice->given & START) == 0 || start < 0 ? 0 : start > extent ? extent : start;
        stop = (slice->given & STOP) == 0 || stop > extent ? extent : stop < 0 ? 0 : stop;
    } else {
        start = (slice->given & START) == 0 || start >= extent ? extent - 1 : start < 0 ? -1 : start;
        stop = (slice->given & STOP) == 0 || stop < 0 ? -1 : stop >= extent ? extent - 1 : stop;
    }
    int64_t count = 0;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) {
        count++;
    }
    *out_first = count > 0 ? start : 0;
    return count;
}

static void test_small_slices_are_those_of_counting(void **state)
{
    (void)state;
    for (int64_t extent = 0; extent <= 6; extent++) {
        for (uint32_t given = 0; given < 8; given++) {
            for (int64_t start = -9; start <= 9; start++) {
                for (int64_t stop = -9; stop <= 9; stop++) {
                    for (int64_t step = -8; step <= 8; step++) {
                        ndbuf_slice slice = {start, stop, step, given};
                        if ((given & STEP) != 0 && step == 0) {
                            continue;
                        }
                        int64_t count, first, out_step, expected_first;
                        ASSERT_OK(ndbuf_slice_indices(&slice, extent, &count, &first, &out_step, err));
                        assert_int_equal(count, count_slowly(&slice, extent, &expected_first));
                        assert_int_equal(first, expected_first);
                        assert_int_equal(out_step, (given & STEP) != 0 ? step : 1);
                    }
                }
            }
        }
    }
}

static void check(ndbuf_slice slice, int64_t extent, int64_t count, int64_t first, int64_t step)
{
    int64_t out_count, out_first, out_step;
    ASSERT_OK(ndbuf_slice_indices(&slice, extent, &out_count, &out_first, &out_step, err));
    assert_int_equal(out_count, count);
    assert_int_equal(out_first, first);
    assert_int_equal(out_step, step);
}

static void test_slices_at_the_end_of_64_bits_do_not_overflow(void **state)
{
    (void)state;
    const int64_t max = INT64_MAX, min = INT64_MIN;
    check((ndbuf_slice){0, 0, 0, 0}, max, max, 0, 1);
    check((ndbuf_slice){0, 0, -1, STEP}, max, max, max - 1, -1);
    check((ndbuf_slice){min, max, 1, START | STOP | STEP}, max, max, 0, 1);
    check((ndbuf_slice){max, min, -1, START | STOP | STEP}, max, max, max - 1, -1);
    check((ndbuf_slice){min, max, max, START | STOP | STEP}, max, 1, 0, max);
    check((ndbuf_slice){max, min, min, START | STOP | STEP}, max, 1, max - 1, -max);
    check((ndbuf_slice){0, 0, min, STEP}, 3, 1, 2, -max);
    check((ndbuf_slice){-1, min, -2, START | STOP | STEP}, max, max / 2 + 1, max - 1, -2);
    check((ndbuf_slice){min, min, 1, START | STOP}, max, 0, 0, 1);
    check((ndbuf_slice){-5515838991078804352, 358692562879716500, -5, START | STOP | STEP}, max, 669768096579250991,
          3707533045775971455, -5);
}

static void test_slice_without_a_meaning_is_refused(void **state)
{
    (void)state;
    int64_t count = 7, first = 7, step = 7;
    ndbuf_slice slice = {0, 1, 0, STEP};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "step of a slice is 0", ndbuf_slice_indices(&slice, 3, &count, &first, &step, err));
    slice.given = 0;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "extent of -1", ndbuf_slice_indices(&slice, -1, &count, &first, &step, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "slice is NULL", ndbuf_slice_indices(NULL, 3, &count, &first, &step, err));
    assert_int_equal(count + first + step, 21);
}

static void test_text_is_read_as_python_reads_it(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        ndbuf_slice slice;
    } cases[] = {
        {":", {0, 0, 0, 0}},
        {"::", {0, 0, 0, 0}},
        {"1:", {1, 0, 0, START}},
        {":2", {0, 2, 0, STOP}},
        {"::3", {0, 0, 3, STEP}},
        {"1:2:3", {1, 2, 3, START | STOP | STEP}},
        {"-1:-2:-3", {-1, -2, -3, START | STOP | STEP}},
        {" +1 :\t2 : -0 ", {1, 2, 0, START | STOP | STEP}},
        {"007::", {7, 0, 0, START}},
        {"9223372036854775807:-9223372036854775807:", {INT64_MAX, -INT64_MAX, 0, START | STOP}},
        {"9223372036854775808:-99999999999999999999999:92233720368547758070",
         {INT64_MAX, -INT64_MAX, INT64_MAX, START | STOP | STEP}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_slice slice = {9, 9, 9, 9};
        ASSERT_OK(ndbuf_slice_parse(cases[i].text, strlen(cases[i].text), &slice, err));
        assert_int_equal(slice.start, cases[i].slice.start);
        assert_int_equal(slice.stop, cases[i].slice.stop);
        assert_int_equal(slice.step, cases[i].slice.step);
        assert_int_equal(slice.given, cases[i].slice.given);
    }
    ndbuf_slice slice;
    ASSERT_OK(ndbuf_slice_parse("1:2:3,4", 5, &slice, err)); /* need not be terminated */
    assert_int_equal(slice.step, 3);
}

static void test_text_that_is_no_slice_is_refused_with_the_position(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"", "position 0: an integer or ':' expected"},
        {"5", "position 1: an integer or ':' expected"},
        {"x:", "position 0: an integer or ':' expected"},
        {"1:x", "position 2: an integer, ':' or the end expected"},
        {"1:2 3", "position 4: an integer, ':' or the end expected"},
        {"1:2:3:", "position 5: an integer or the end expected"},
        {"1:-", "position 3: digits expected after the sign"},
        {"--1:", "position 1: digits expected after the sign"},
        {"1: - 2", "position 4: digits expected after the sign"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_slice slice = {9, 9, 9, 9};
        ASSERT_FAILS(NDBUF_ERR_INVALID, cases[i].part,
                     ndbuf_slice_parse(cases[i].text, strlen(cases[i].text), &slice, err));
        assert_int_equal(slice.given, 9);
    }
    ndbuf_slice slice;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "NULL", ndbuf_slice_parse(NULL, 0, &slice, err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_slices_are_those_of_counting),
        cmocka_unit_test(test_slices_at_the_end_of_64_bits_do_not_overflow),
        cmocka_unit_test(test_slice_without_a_meaning_is_refused),
        cmocka_unit_test(test_text_is_read_as_python_reads_it),
        cmocka_unit_test(test_text_that_is_no_slice_is_refused_with_the_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
