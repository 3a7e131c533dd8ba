/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_TEST_H
#define NDBUF_TESTS_SUPPORT_TEST_H

/* cmocka wants these four before it, in this order; so it is included only here. */
/* clang-format off */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>

#include "ndbuf/ndbuf.h"

/* cmocka does not declare that a failed assertion ends the test. Behind it clang-tidy's analyzer would follow paths to
 * what cannot happen, which double at each ASSERT_OK, and have no time for those that can. */
#ifdef __clang_analyzer__
/* NOLINTNEXTLINE(bugprone-reserved-identifier): the name is cmocka's. */
#define _fail(file, line) ((_fail)((file), (line)), __builtin_unreachable())
#endif

/* What a test program returns when the machine lacks what it needs: ctest reports "Skipped". */
#define TEST_EXIT_SKIPPED 77

/* Fails the test with the text of the error unless the call returned NDBUF_OK, or if one is told all the same. */
#define ASSERT_OK(call)                                                                                                \
    do {                                                                                                               \
        ndbuf_error err_ = {0};                                                                                        \
        ndbuf_error *err = &err_;                                                                                      \
        ndbuf_status status_ = (call);                                                                                 \
        if (status_ != NDBUF_OK || err->status != NDBUF_OK) {                                                          \
            fail_msg("%s: %s: %s", #call, ndbuf_status_name(status_), err->message);                                   \
        }                                                                                                              \
    } while (0)

/* Fails the test unless the call returned `expected` and filled `err` with that status and a text that contains `part`.
 * Both macros declare an ndbuf_error *err for the call: `ASSERT_FAILS(NDBUF_ERR_INDEX, "axis 7", f(x, err))`. */
#define ASSERT_FAILS(expected, part, call)                                                                             \
    do {                                                                                                               \
        ndbuf_error err_ = {0};                                                                                        \
        ndbuf_error *err = &err_;                                                                                      \
        ndbuf_status status_ = (call);                                                                                 \
        test_assert_failed(#call, status_, (expected), err, (part), __FILE__, __LINE__);                               \
    } while (0)

void test_assert_failed(const char *call, ndbuf_status status, ndbuf_status expected, const ndbuf_error *err,
                        const char *part, const char *file, int line);

/* The format of a text, which must be one. The caller releases it. */
ndbuf_format *test_parse(const char *text);

/* A small random generator for tests: reproducible from its seed. */
typedef struct test_random {
    uint64_t state;
} test_random;

/* Seeded by the environment variable NDBUF_TEST_SEED, else by `default_seed`; prints the seed. */
test_random test_random_make(const char *test_name, uint64_t default_seed);
uint64_t test_random_next(test_random *random);
int64_t test_random_range(test_random *random, int64_t lo, int64_t hi); /* lo .. hi, both included */
void test_random_fill(test_random *random, void *buffer, size_t nbytes);

/* Runs `statement` with the 1st, 2nd, 3rd ... host allocation failing, until it needs no more. The statement sets
 * `status_` from the call under test: `ALLOC_FAIL_SWEEP(status_ = f(&x, NULL), undo(x));`. Each failing run must return
 * NDBUF_ERR_NOMEM; after the run that succeeds, `undo` is evaluated. Leaks show under the address sanitizer. */
#define ALLOC_FAIL_SWEEP(statement, undo) TEST_ALLOC_FAIL_SWEEP(statement, undo, false)

/* The same for calls that can do without some of their allocations: then `undo` is evaluated after these runs, too. */
#define ALLOC_FAIL_SWEEP_SOME(statement, undo) TEST_ALLOC_FAIL_SWEEP(statement, undo, true)

#define TEST_ALLOC_FAIL_SWEEP(statement, undo, may_do_without)                                                         \
    do {                                                                                                               \
        for (int64_t nth_ = 1;; nth_++) {                                                                              \
            ndbuf_status status_ = NDBUF_OK;                                                                           \
            test_alloc_fail_at(nth_);                                                                                  \
            statement;                                                                                                 \
            bool failed_ = test_alloc_fail_end();                                                                      \
            if (failed_ && !((may_do_without) && status_ == NDBUF_OK)) {                                               \
                assert_int_equal(status_, NDBUF_ERR_NOMEM);                                                            \
                continue;                                                                                              \
            }                                                                                                          \
            assert_int_equal(status_, NDBUF_OK);                                                                       \
            undo;                                                                                                      \
            if (!failed_) {                                                                                            \
                break;                                                                                                 \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* The nth host allocation of this thread fails from now on, once; _end stops that and tells whether it happened. */
void test_alloc_fail_at(int64_t nth);
bool test_alloc_fail_end(void);

#endif
