/* SPDX-License-Identifier: Apache-2.0 */
#include "core/diophantine.h"

#include "tests/support/test.h"

typedef struct problem {
    int32_t nterms;
    int64_t coefficients[6];
    int64_t limits[6];
} problem;

static ndbuf_answer solve(const problem *given, int64_t target, int64_t work)
{
    ndbuf__equation equation;
    ndbuf__equation_init(&equation, target);
    for (int32_t k = 0; k < given->nterms; k++) {
        ndbuf__equation_add(&equation, given->coefficients[k], given->limits[k]);
    }
    return ndbuf__equation_solve(&equation, &work);
}

static bool solve_slowly(const problem *given, int32_t nterms, int64_t target)
{
    if (nterms == 0) {
        return target == 0;
    }
    for (int64_t x = 0; x <= given->limits[nterms - 1]; x++) {
        if (solve_slowly(given, nterms - 1, target - given->coefficients[nterms - 1] * x)) {
            return true;
        }
    }
    return false;
}

static void test_small_equations_are_solved_as_by_trying_all(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    int64_t nyes = 0;
    for (int i = 0; i < 30000; i++) {
        problem given = {.nterms = (int32_t)test_random_range(&random, 0, 5)};
        int64_t factor = test_random_range(&random, 1, 4);
        int64_t largest = test_random_range(&random, 1, 200);
        int64_t target = 0;
        for (int32_t k = 0; k < given.nterms; k++) {
            given.coefficients[k] = factor * test_random_range(&random, -largest, largest);
            given.limits[k] = test_random_range(&random, 0, 6);
            target += given.coefficients[k] * test_random_range(&random, 0, given.limits[k]);
        }
        target += test_random_range(&random, 0, 3) * test_random_range(&random, -9, 9);
        bool expected = solve_slowly(&given, given.nterms, target);
        assert_int_equal(solve(&given, target, 0), expected ? NDBUF_YES : NDBUF_NO);
        nyes += expected;
    }
    assert_in_range(nyes, 5000, 25000); /* both answers were tried */
}

/* Moved far out and multiplied, the same equations are beyond the table, so that the search decides. */
static void test_large_equations_are_solved_as_their_small_equals(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 2);
    int64_t nyes = 0;
    for (int i = 0; i < 20000; i++) {
        problem given = {.nterms = (int32_t)test_random_range(&random, 3, 6)};
        /* Terms of 10^6 apart do not mix: each group has to give its own share. */
        int64_t low = test_random_range(&random, 0, 40);
        int64_t high = test_random_range(&random, 0, 40);
        problem groups[2] = {{0}, {0}};
        for (int32_t k = 0; k < given.nterms; k++) {
            int group = k % 2;
            int64_t coefficient = test_random_range(&random, 1, 15);
            int64_t limit = test_random_range(&random, 0, 4);
            problem *part = &groups[group];
            part->coefficients[part->nterms] = coefficient;
            part->limits[part->nterms++] = limit;
            given.coefficients[k] = group == 0 ? coefficient : coefficient * 1000000;
            given.limits[k] = limit;
        }
        bool expected =
            solve_slowly(&groups[0], groups[0].nterms, low) && solve_slowly(&groups[1], groups[1].nterms, high);
        assert_int_equal(solve(&given, low + 1000000 * high, 1 << 16), expected ? NDBUF_YES : NDBUF_NO);
        nyes += expected;
    }
    assert_in_range(nyes, 1000, 19000);
}

/* Both answers of three terms with a common step, computed without a search of any length. */
static void test_three_long_terms_are_decided_without_search(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 3);
    int64_t nyes = 0;
    for (int i = 0; i < 2000; i++) {
        int64_t step = test_random_range(&random, 1, 3);
        int64_t slack = test_random_range(&random, 1, 40);
        int64_t a = test_random_range(&random, 1000, 6000);
        int64_t c = test_random_range(&random, 1000, 6000);
        problem given = {3,
                         {step, a * step, c * step},
                         {slack, test_random_range(&random, 1, 1000), test_random_range(&random, 1, 1000)}};
        int64_t target = test_random_range(&random, 0, a * given.limits[1] + c * given.limits[2]) * step;
        bool expected = false;
        for (int64_t x = 0; x <= given.limits[1] && !expected; x++) {
            int64_t rest = target / step - a * x;
            int64_t y = rest / c < given.limits[2] ? rest / c : given.limits[2];
            expected = rest >= 0 && rest - c * y <= slack;
        }
        assert_int_equal(solve(&given, target, 0), expected ? NDBUF_YES : NDBUF_NO);
        nyes += expected;
    }
    assert_in_range(nyes, 100, 1900);
    /* 1 x + 1000003 y + 999983 z with a billion values each */
    problem given = {3, {1, 1000003, 999983}, {5, 1000000000, 1000000000}};
    int64_t target = 1000003 * (int64_t)123456789 + 999983 * (int64_t)987654;
    assert_int_equal(solve(&given, target, 0), NDBUF_YES);
    assert_int_equal(solve(&given, target + 5, 0), NDBUF_YES);
    problem even = {3, {2, 1000004, 999982}, {5, 1000000000, 1000000000}};
    assert_int_equal(solve(&even, 1000000000000001, 0), NDBUF_NO);
}

static void test_search_ends_when_the_work_is_used_up(void **state)
{
    (void)state;
    /* Hard on purpose: many terms of nearly equal size, and a target far from both ends. */
    ndbuf__equation equation;
    int64_t work = 1000;
    ndbuf__equation_init(&equation, 2 * 34567890123 * 20 + 1);
    for (int64_t k = 0; k < 40; k++) {
        ndbuf__equation_add(&equation, 2 * (34567890123 + k * k * k * 1237 + k), 1);
    }
    ndbuf__equation_add(&equation, 4 * 34567890123 + 3, 1);
    assert_int_equal(ndbuf__equation_solve(&equation, &work), NDBUF_UNDECIDED);
    assert_true(work <= 0 && work > -1000);
}

static void test_sums_beyond_62_bits_have_no_answer(void **state)
{
    (void)state;
    problem given = {2, {INT64_MAX / 2, 3}, {4, 1}};
    assert_int_equal(solve(&given, 5, 1000), NDBUF_UNDECIDED);
    given = (problem){1, {INT64_MIN}, {1}};
    assert_int_equal(solve(&given, 5, 1000), NDBUF_UNDECIDED);
    given = (problem){1, {3}, {1}};
    assert_int_equal(solve(&given, INT64_MIN, 1000), NDBUF_UNDECIDED);
    assert_int_equal(solve(&given, 3, 1000), NDBUF_YES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small_equations_are_solved_as_by_trying_all),
        cmocka_unit_test(test_large_equations_are_solved_as_their_small_equals),
        cmocka_unit_test(test_three_long_terms_are_decided_without_search),
        cmocka_unit_test(test_search_ends_when_the_work_is_used_up),
        cmocka_unit_test(test_sums_beyond_62_bits_have_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
