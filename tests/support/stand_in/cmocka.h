/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_STAND_IN_CMOCKA_H
#define NDBUF_TESTS_SUPPORT_STAND_IN_CMOCKA_H

/* As much of cmocka as some tests need, for processors whose cmocka is not at hand: the first failure ends the
 * program. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define print_message printf
#define print_error printf
#define fail_msg(...) (printf(__VA_ARGS__), printf("\n"), exit(1))
#define _fail(file, line) fail_msg("%s:%d", file, line)
#define assert_true(condition) ((condition) ? (void)0 : (void)fail_msg("%s:%d: %s", __FILE__, __LINE__, #condition))
#define assert_false(condition) assert_true(!(condition))
#define assert_null(pointer) assert_true((pointer) == NULL)
#define assert_non_null(pointer) assert_true((pointer) != NULL)
#define assert_int_equal(a, b) assert_true((long long)(a) == (long long)(b))
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_string_equal(a, b) assert_true(strcmp((a), (b)) == 0)
#define assert_memory_equal(a, b, nbytes) assert_true(memcmp((a), (b), (nbytes)) == 0)

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
    int (*teardown)(void **state);
};

#define cmocka_unit_test_teardown(function, teardown)                                                                  \
    {                                                                                                                  \
#function, function, teardown                                                                                  \
    }
#define cmocka_unit_test(function) cmocka_unit_test_teardown(function, NULL)
#define cmocka_run_group_tests_name(name, tests, setup, teardown)                                                      \
    run_tests(tests, sizeof(tests) / sizeof((tests)[0]), setup, teardown)
#define cmocka_run_group_tests(tests, setup, teardown) cmocka_run_group_tests_name(#tests, tests, setup, teardown)

static inline int run_tests(const struct CMUnitTest *tests, size_t count, int (*setup)(void **state),
                            int (*teardown)(void **state))
{
    void *state = NULL;
    int result = setup != NULL ? setup(&state) : 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        printf("%s\n", tests[i].name);
        tests[i].run(&state);
        result = tests[i].teardown != NULL ? tests[i].teardown(&state) : 0;
    }
    return result == 0 && teardown != NULL ? teardown(&state) : result;
}

#endif
