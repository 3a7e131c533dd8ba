/* SPDX-License-Identifier: Apache-2.0 */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ndbuf/cpu.h"

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
    ndbuf_cpu_threads_set(0, NULL);
    return 0;
}

static void every_part_runs_once(void **state)
{
    (void)state;
    for (int32_t nthreads = 1; nthreads <= 5; nthreads++) {
        ndbuf_cpu_threads_set(nthreads, NULL);
        for (int64_t nparts = 0; nparts <= NPARTS; nparts = nparts * 2 + 1) {
            run_and_check(nparts, nthreads, 0);
        }
    }
}

static void fewer_threads_than_before_are_obeyed(void **state)
{
    (void)state;
    ndbuf_cpu_threads_set(6, NULL);
    run_and_check(NPARTS, 6, 0);
    ndbuf_cpu_threads_set(2, NULL);
    for (int i = 0; i < 100; i++) {
        run_and_check(64, 2, 0);
    }
    ndbuf_cpu_threads_set(1, NULL);
    run_and_check(NPARTS, 1, 0);
}

static void work_within_work_runs_where_it_is(void **state)
{
    (void)state;
    ndbuf_cpu_threads_set(3, NULL);
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
    ndbuf_cpu_threads_set(3, NULL);
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
    ndbuf_cpu_threads_set(3, NULL);
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
    ndbuf_error err = {0};
    assert_int_equal(ndbuf_cpu_threads_set(0, NULL), NDBUF_OK);
    assert_true(ndbuf_cpu_threads_get() >= 1);
    assert_int_equal(ndbuf_cpu_threads_set(NDBUF_CPU_MAX_THREADS, NULL), NDBUF_OK);
    assert_int_equal(ndbuf_cpu_threads_get(), NDBUF_CPU_MAX_THREADS);
    assert_int_equal(ndbuf_cpu_threads_set(-5, &err), NDBUF_ERR_INVALID);
    assert_non_null(strstr(err.message, "-5"));
    assert_int_equal(ndbuf_cpu_threads_set(1000000, &err), NDBUF_ERR_INVALID);
    assert_non_null(strstr(err.message, "1000000"));
    assert_int_equal(ndbuf_cpu_threads_get(), NDBUF_CPU_MAX_THREADS);
}

typedef struct asker {
    _Atomic bool is_over;
    _Atomic int64_t nanswers;
    int64_t nbad;
} asker;

static void *ask_until_over(void *context)
{
    asker *self = context;
    while (!atomic_load(&self->is_over)) {
        self->nbad += ndbuf_cpu_threads_get() < 1;
        atomic_fetch_add(&self->nanswers, 1);
    }
    return NULL;
}

/* The default is looked up when somebody first asks, and that takes a while. */
static void what_is_set_while_others_ask_stays(void **state)
{
    (void)state;
    pthread_t thread;
    asker other = {false, 0, 0};
    int32_t nlost = 0;
    assert_int_equal(pthread_create(&thread, NULL, ask_until_over, &other), 0);
    for (int32_t i = 0; i < 1000; i++) {
        ndbuf_cpu_threads_set(0, NULL);
        for (volatile int32_t k = i; k > 0; k--) {
        }
        ndbuf_cpu_threads_set(7, NULL);
        for (int64_t before = atomic_load(&other.nanswers); atomic_load(&other.nanswers) == before;) {
            sched_yield();
        }
        nlost += ndbuf_cpu_threads_get() != 7;
    }
    atomic_store(&other.is_over, true);
    pthread_join(thread, NULL);
    assert_int_equal(nlost, 0);
    assert_int_equal(other.nbad, 0);
}

/* -- executors -- */

typedef struct test_executor {
    int32_t nthreads; /* 0: nothing is run */
    _Atomic int64_t nruns;
} test_executor;

typedef struct executor_share {
    ndbuf_cpu_part_fn part_fn;
    void *work;
    int64_t nparts;
} executor_share;

static void *run_share(void *context)
{
    const executor_share *share = context;
    for (int64_t i = 0; i < share->nparts; i++) {
        share->part_fn(share->work);
    }
    return NULL;
}

static void executor_run(void *context, ndbuf_cpu_part_fn part_fn, void *work, int64_t nparts)
{
    test_executor *self = context;
    pthread_t threads[8];
    executor_share share = {part_fn, work, self->nthreads > 0 ? nparts / self->nthreads : 0};
    atomic_fetch_add(&self->nruns, 1);
    for (int32_t i = 0; i < self->nthreads; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, run_share, &share), 0);
    }
    for (int32_t i = 0; i < self->nthreads; i++) {
        pthread_join(threads[i], NULL);
    }
}

static int teardown_executor(void **state)
{
    ndbuf_cpu_executor_set(NULL, NULL);
    return teardown(state);
}

static void an_executor_runs_the_parts_and_what_it_leaves_is_done(void **state)
{
    (void)state;
    for (int32_t nthreads = 0; nthreads <= 7; nthreads++) {
        test_executor own = {nthreads, 0};
        ndbuf_cpu_executor executor = {executor_run, &own, nthreads + 1};
        assert_int_equal(ndbuf_cpu_executor_set(&executor, NULL), NDBUF_OK);
        assert_int_equal(ndbuf_cpu_threads_get(), nthreads + 1);
        run_and_check(NPARTS, nthreads + 1, 0);
        assert_int_equal(atomic_load(&own.nruns), nthreads > 0); /* one thread needs no executor */
        run_and_check(100, nthreads + 1, 3);                     /* work within its parts comes back to it */
    }
    ndbuf_cpu_threads_set(3, NULL);
    assert_int_equal(ndbuf_cpu_executor_set(NULL, NULL), NDBUF_OK);
    assert_int_equal(ndbuf_cpu_threads_get(), 3);
    run_and_check(NPARTS, 3, 0);
}

static void executors_without_a_function_or_threads_are_refused(void **state)
{
    (void)state;
    test_executor own = {1, 0};
    ndbuf_error err = {0};
    ndbuf_cpu_executor executor = {NULL, &own, 2};
    assert_int_equal(ndbuf_cpu_executor_set(&executor, &err), NDBUF_ERR_INVALID);
    executor.run = executor_run;
    executor.nthreads = 0;
    assert_int_equal(ndbuf_cpu_executor_set(&executor, &err), NDBUF_ERR_INVALID);
    executor.nthreads = NDBUF_CPU_MAX_THREADS + 1;
    assert_int_equal(ndbuf_cpu_executor_set(&executor, &err), NDBUF_ERR_INVALID);
    assert_non_null(strstr(err.message, "65"));
    run_and_check(NPARTS, ndbuf_cpu_threads_get(), 0);
    assert_int_equal(atomic_load(&own.nruns), 0);
}

static void *set_again_and_again(void *context)
{
    const ndbuf_cpu_executor *executor = context;
    for (int i = 0; i < 300; i++) {
        ndbuf_cpu_executor_set(i % 2 == 0 ? executor : NULL, NULL);
        ndbuf_cpu_threads_set(1 + i % 4, NULL);
    }
    return NULL;
}

static void threads_and_executors_may_change_while_work_is_done(void **state)
{
    (void)state;
    test_executor own = {3, 0};
    ndbuf_cpu_executor executor = {executor_run, &own, 4};
    pthread_t setter;
    assert_int_equal(pthread_create(&setter, NULL, set_again_and_again, &executor), 0);
    for (int i = 0; i < 100; i++) {
        run_and_check(100, NDBUF_CPU_MAX_THREADS, 0);
    }
    pthread_join(setter, NULL);
}

static atomic_bool is_done;

static void *set_executors(void *context)
{
    const ndbuf_cpu_executor executor = {.run = executor_run, .context = context, .nthreads = 2};
    while (!atomic_load(&is_done)) {
        ndbuf_cpu_executor_set(&executor, NULL);
    }
    return NULL;
}

/* The first test: nothing has made threads of the library's yet. */
static void a_forked_child_sets_an_executor_whatever_the_parent_was_doing(void **state)
{
    (void)state;
    enum { NFORKS = 200 };
    test_executor with_threads = {.nthreads = 2};
    pthread_t setter;
    int nhung = 0;
    /* A fork amid the first call's pthread_once, which the thread sanitizer has its own of, is another matter. */
    assert_int_equal(ndbuf_cpu_executor_set(NULL, NULL), NDBUF_OK);
    assert_int_equal(pthread_create(&setter, NULL, set_executors, &with_threads), 0);
    for (int i = 0; i < NFORKS && nhung == 0; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            alarm(10);
            _exit(ndbuf_cpu_executor_set(NULL, NULL) == NDBUF_OK ? 0 : 1);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        nhung += status != 0;
    }
    atomic_store(&is_done, true);
    pthread_join(setter, NULL);
    assert_int_equal(nhung, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_forked_child_sets_an_executor_whatever_the_parent_was_doing, teardown_executor),
        cmocka_unit_test_teardown(every_part_runs_once, teardown),
        cmocka_unit_test_teardown(fewer_threads_than_before_are_obeyed, teardown),
        cmocka_unit_test_teardown(work_within_work_runs_where_it_is, teardown),
        cmocka_unit_test_teardown(several_threads_may_give_work_at_once, teardown),
        cmocka_unit_test_teardown(a_forked_child_makes_its_own_threads, teardown),
        cmocka_unit_test_teardown(the_default_is_at_least_one_thread, teardown),
        cmocka_unit_test_teardown(what_is_set_while_others_ask_stays, teardown),
        cmocka_unit_test_teardown(an_executor_runs_the_parts_and_what_it_leaves_is_done, teardown_executor),
        cmocka_unit_test_teardown(executors_without_a_function_or_threads_are_refused, teardown_executor),
        cmocka_unit_test_teardown(threads_and_executors_may_change_while_work_is_done, teardown_executor),
    };
    return cmocka_run_group_tests_name("cpu_pool", tests, NULL, NULL);
}
