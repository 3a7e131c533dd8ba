/* SPDX-License-Identifier: Apache-2.0 */

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/cpu/cpu_pool.h"
#include "tests/support/test.h"

#define NPARTS 1000

#if defined(__SANITIZE_THREAD__)
/* A child with threads of its own is what is tested here. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}
#endif

typedef struct counted_work {
    _Atomic int32_t runs[NPARTS];
    _Atomic int32_t at_work;
    _Atomic int32_t most_at_work;
    int64_t nested_parts;
} counted_work;

static void count_nested(void *context, int64_t part)
{
    (void)part;
    atomic_fetch_add((_Atomic int32_t *)context, 1);
}

static void count_part(void *context, int64_t part)
{
    counted_work *work = context;
    int32_t now = atomic_fetch_add(&work->at_work, 1) + 1;
    int32_t most = atomic_load(&work->most_at_work);
    while (now > most && !atomic_compare_exchange_weak(&work->most_at_work, &most, now)) {
    }
    atomic_fetch_add(&work->runs[part], 1);
    if (work->nested_parts > 0) {
        _Atomic int32_t count = 0;
        ndbuf_cpu__pool_run(count_nested, &count, work->nested_parts);
        assert_int_equal(atomic_load(&count), work->nested_parts);
    }
    atomic_fetch_sub(&work->at_work, 1);
}

static void run_and_check(int64_t nparts, int32_t nthreads, int64_t nested_parts)
{
    static _Thread_local counted_work work;
    memset(&work, 0, sizeof(work));
    work.nested_parts = nested_parts;
    ndbuf_cpu__pool_run(count_part, &work, nparts);
    for (int64_t i = 0; i < NPARTS; i++) {
        assert_int_equal(atomic_load(&work.runs[i]), i < nparts);
    }
    assert_true(atomic_load(&work.most_at_work) <= nthreads);
}

static int teardown(void **state)
{
    (void)state;
    ndbuf_cpu__set_threads(0);
    return 0;
}

static void every_part_runs_once(void **state)
{
    (void)state;
    for (int32_t nthreads = 1; nthreads <= 5; nthreads++) {
        ndbuf_cpu__set_threads(nthreads);
        for (int64_t nparts = 0; nparts <= NPARTS; nparts = nparts * 2 + 1) {
            run_and_check(nparts, nthreads, 0);
        }
    }
}

static void fewer_threads_than_before_are_obeyed(void **state)
{
    (void)state;
    ndbuf_cpu__set_threads(6);
    run_and_check(NPARTS, 6, 0);
    ndbuf_cpu__set_threads(2);
    for (int i = 0; i < 100; i++) {
        run_and_check(64, 2, 0);
    }
    ndbuf_cpu__set_threads(1);
    run_and_check(NPARTS, 1, 0);
}

static void work_within_work_runs_where_it_is(void **state)
{
    (void)state;
    ndbuf_cpu__set_threads(3);
    run_and_check(50, 3, 20);
}

static void *run_many(void *context)
{
    (void)context;
    for (int i = 0; i < 200; i++) {
        run_and_check(40, 3, 0);
    }
    return NULL;
}

static void several_threads_may_give_work_at_once(void **state)
{
    (void)state;
    pthread_t threads[4];
    ndbuf_cpu__set_threads(3);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_many, NULL), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void a_forked_child_makes_its_own_threads(void **state)
{
    (void)state;
    ndbuf_cpu__set_threads(3);
    run_and_check(NPARTS, 3, 0);
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        static counted_work work;
        ndbuf_cpu__pool_run(count_part, &work, NPARTS);
        for (int64_t i = 0; i < NPARTS; i++) {
            if (atomic_load(&work.runs[i]) != 1) {
                _exit(2);
            }
        }
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    run_and_check(NPARTS, 3, 0);
}

static void the_default_is_at_least_one_thread(void **state)
{
    (void)state;
    ndbuf_cpu__set_threads(0);
    assert_true(ndbuf_cpu__threads() >= 1);
    ndbuf_cpu__set_threads(-5);
    assert_true(ndbuf_cpu__threads() >= 1);
    ndbuf_cpu__set_threads(1000000);
    assert_int_equal(ndbuf_cpu__threads(), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_part_runs_once, teardown),
        cmocka_unit_test_teardown(fewer_threads_than_before_are_obeyed, teardown),
        cmocka_unit_test_teardown(work_within_work_runs_where_it_is, teardown),
        cmocka_unit_test_teardown(several_threads_may_give_work_at_once, teardown),
        cmocka_unit_test_teardown(a_forked_child_makes_its_own_threads, teardown),
        cmocka_unit_test_teardown(the_default_is_at_least_one_thread, teardown),
    };
    return cmocka_run_group_tests_name("cpu_pool", tests, NULL, NULL);
}
