/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_CPU_EMULATED_NEON_CMOCKA_H
#define NDBUF_TESTS_BACKENDS_CPU_EMULATED_NEON_CMOCKA_H

/* As much of cmocka as the engine's tests need, for processors whose cmocka is not at hand: the first failure ends the
 * program. */

#include <stdio.h>
#include <stdlib.h>

#define print_message printf
#define print_error printf
#define fail_msg(...) (printf(__VA_ARGS__), printf("\n"), exit(1))
#define _fail(file, line) fail_msg("%s:%d", file, line)
#define assert_true(condition) ((condition) ? (void)0 : (void)fail_msg("%s:%d: %s", __FILE__, __LINE__, #condition))
#define assert_false(condition) assert_true(!(condition))
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*teardown)(void **state);
};

#define cmocka_unit_test_teardown(function, teardown)                                                                  \
    {                                                                                                                  \
#function, function, teardown                                                                                  \
    }
#define cmocka_run_group_tests_name(name, tests, setup, teardown) run_tests(tests, sizeof(tests) / sizeof((tests)[0]))

static inline int run_tests(const struct CMUnitTest *tests, size_t count)
{
    void *state = NULL;
    for (size_t i = 0; i < count; i++) {
        printf("%s\n", tests[i].name);
        tests[i].run(&state);
        tests[i].teardown(&state);
    }
    return 0;
}

#endif
