/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include "tools/fit.h"

/* Calls, waits, rows and bytes as a calibration counts them, with the times that `costs` give, each off by up to
 * `noise`. */
static int make_rows(fit_row *rows, const double *costs, double noise, test_random *random)
{
    static const double counts[][4] = {{1, 1, 0, 4096},       {1, 1, 0, 1048576},     {1, 1, 0, 8388608},
                                       {64, 1, 0, 262144},    {1, 1, 65536, 1048576}, {1, 1, 4096, 262144},
                                       {1, 1, 1024, 1048576}, {16, 1, 16, 4194304}};
    int nrows = (int)(sizeof(counts) / sizeof(counts[0]));
    for (int i = 0; i < nrows; i++) {
        for (int k = 0; k < 4; k++) {
            rows[i].counts[k] = counts[i][k];
        }
        double off = noise * (double)test_random_range(random, -1000, 1000) / 1000;
        rows[i].ns = fit_predict(&rows[i], 4, costs) * (1 + off);
    }
    return nrows;
}

static void assert_near(double value, double expected, double part)
{
    assert_true(value >= expected * (1 - part) && value <= expected * (1 + part));
}

static void costs_are_found_exactly_where_times_are_exact(void **state)
{
    (void)state;
    static const double costs[4] = {1500, 45000, 2.5, 0.1};
    test_random random = test_random_make("exact", 1);
    fit_row rows[16];
    double found[4];
    fit_costs(rows, make_rows(rows, costs, 0, &random), 4, found);
    for (int k = 0; k < 4; k++) {
        assert_near(found[k], costs[k], 1e-6);
    }
}

static void noise_of_5_percent_moves_predictions_by_little(void **state)
{
    (void)state;
    static const double costs[4] = {1500, 45000, 2.5, 0.1};
    test_random random = test_random_make("noise", 2);
    for (int run = 0; run < 100; run++) {
        fit_row rows[16];
        double found[4];
        int nrows = make_rows(rows, costs, 0.05, &random);
        fit_costs(rows, nrows, 4, found);
        for (int i = 0; i < nrows; i++) {
            assert_near(fit_predict(&rows[i], 4, found), rows[i].ns, 0.12);
        }
    }
}

static void no_cost_is_below_zero_and_what_costs_nothing_stays_zero(void **state)
{
    (void)state;
    static const double costs[4] = {0, 20, 0, 0.125};
    test_random random = test_random_make("zero", 3);
    for (int run = 0; run < 100; run++) {
        fit_row rows[16];
        double found[4];
        fit_costs(rows, make_rows(rows, costs, 0.1, &random), 4, found);
        for (int k = 0; k < 4; k++) {
            assert_true(found[k] >= 0);
        }
        assert_near(found[3], costs[3], 0.2);
    }
}

static void an_unknown_that_no_row_has_is_zero(void **state)
{
    (void)state;
    static const fit_row rows[] = {{{1, 0, 10}, 120}, {{1, 0, 20}, 220}, {{2, 0, 10}, 140}};
    double found[3];
    fit_costs(rows, 3, 3, found);
    assert_near(found[0], 20, 1e-6);
    assert_true(found[1] == 0);
    assert_near(found[2], 10, 1e-6);
    fit_costs(rows, 0, 3, found);
    assert_true(found[0] == 0 && found[1] == 0 && found[2] == 0);
}

#define NEVER 1e18

static void assert_threshold(const double ratios[4], double before, int is_of_caches, double expected, double best)
{
    const fit_threshold_input input = {ratios, 4, 128, before, NEVER, is_of_caches}; /* sizes of 128 to 1024 */
    double found_best = 0;
    assert_true(fit_threshold(&input, &found_best) == expected);
    assert_near(found_best, best, 1e-9);
}

static void a_threshold_is_where_all_larger_sizes_gain(void **state)
{
    (void)state;
    static const double from_512[4] = {0.5, 1.2, 0.8, 0.7};
    static const double from_the_first[4] = {0.9, 0.9, 0.9, 0.6};
    assert_threshold(from_512, 128, 0, 512, 1 / 1.2);
    assert_threshold(from_512, NEVER, 0, 512, 0.7);
    assert_threshold(from_512, 2048, 1, 512, 0.7);
    assert_threshold(from_the_first, 1024, 1, 128, 0.9);
}

static void a_threshold_stays_where_no_copy_gains_clearly(void **state)
{
    (void)state;
    static const double little[4] = {1.1, 0.98, 0.98, 0.98};
    static const double undecided[4] = {0.5, 1, 1, 1};
    assert_threshold(little, 1024, 0, 1024, 0.98);
    assert_threshold(little, 256, 0, 256, 1);
    assert_threshold(undecided, 256, 0, 256, 1);
    assert_threshold(undecided, 256, 1, 256, 1);
}

static void what_never_pays_is_not_done_or_behind_the_caches(void **state)
{
    (void)state;
    static const double loses[4] = {1.5, 1.5, 1.5, 1.25};
    assert_threshold(loses, 512, 0, NEVER, 1 / 1.5);
    assert_threshold(loses, 512, 1, 2048, 1 / 1.5);
    assert_threshold(loses, 1024, 1, 2048, 1 / 1.25);
    assert_threshold(loses, 4096, 1, 4096, 1); /* it is not done so far, either */
    assert_threshold(loses, 4096, 0, 4096, 1); /* nor does any size tell that it never pays */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(costs_are_found_exactly_where_times_are_exact),
        cmocka_unit_test(noise_of_5_percent_moves_predictions_by_little),
        cmocka_unit_test(no_cost_is_below_zero_and_what_costs_nothing_stays_zero),
        cmocka_unit_test(an_unknown_that_no_row_has_is_zero),
        cmocka_unit_test(a_threshold_is_where_all_larger_sizes_gain),
        cmocka_unit_test(a_threshold_stays_where_no_copy_gains_clearly),
        cmocka_unit_test(what_never_pays_is_not_done_or_behind_the_caches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
