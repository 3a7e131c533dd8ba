/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/gate.h"
#include "tests/support/test.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ndbuf/backend.h"

#include "core/device_core.h"
#include "core/host_worker.h"
#include "core/queue_core.h"

/* The thread sanitizer ends a forked child whose thread is at the address of one of the parent's. */
#if defined(__SANITIZE_THREAD__)
enum { CHILD_NTURNS = 0 };
#else
enum { CHILD_NTURNS = 2 };
#endif

static ndbuf_status host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err)
{
    return ndbuf_queue_device(queue)->ops->queue_host_call(queue, fn, context, err);
}

static void make_bytes(ndbuf_view *view, int64_t nbytes)
{
    ASSERT_OK(ndbuf_view_create(view, ndbuf_device_cpu(), NULL, 1, &nbytes, err));
}

static void test_work_waits_its_turn_while_the_caller_goes_on(void **state)
{
    (void)state;
    test_gate gate;
    test_gate_init(&gate);
    ndbuf_queue *queue = NULL;
    ndbuf_event *event = NULL;
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    make_bytes(&dst, 100);
    make_bytes(&src, 100);
    char *out = ndbuf_view_host_address(&dst);
    memset(out, 0, 100);
    memset(ndbuf_view_host_address(&src), 7, 100);
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    ASSERT_OK(host_call(queue, test_gate_pass, &gate, err));
    ASSERT_OK(ndbuf_copy(&dst, &src, queue, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    int32_t complete = 1;
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_false(complete);
    assert_int_equal(out[0], 0);
    ndbuf_view_release(&src); /* the copy holds the memory */
    test_gate_open(&gate);
    ASSERT_OK(ndbuf_event_wait(event, err));
    assert_int_equal(out[99], 7);
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_true(complete);
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
    ndbuf_view_release(&dst);
    test_gate_clear(&gate);
}

static _Atomic(int) nreleased;

static void count_release(void *context, void *handle)
{
    (void)context, (void)handle;
    atomic_fetch_add(&nreleased, 1);
}

static void test_adopted_memory_is_released_only_after_the_copy(void **state)
{
    (void)state;
    test_gate gate;
    test_gate_init(&gate);
    static char memory[64];
    ndbuf_storage *storage = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    const int64_t extent = 64;
    atomic_store(&nreleased, 0);
    make_bytes(&dst, 64);
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), memory, 64, 0, count_release, NULL, &storage, err));
    ndbuf_view_spec spec = {.ndim = 1, .shape = &extent};
    ASSERT_OK(ndbuf_view_init(&src, storage, &spec, err));
    ndbuf_storage_release(storage);
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    ASSERT_OK(host_call(queue, test_gate_pass, &gate, err));
    ASSERT_OK(ndbuf_copy(&dst, &src, queue, err));
    ndbuf_view_release(&src);
    assert_int_equal(atomic_load(&nreleased), 0);
    test_gate_open(&gate);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_int_equal(atomic_load(&nreleased), 1);
    ndbuf_queue_release(queue);
    ndbuf_view_release(&dst);
    test_gate_clear(&gate);
}

/* Who fills, or waits for events, and looks at events of his own alone holds no more than what is in flight. */
static void test_what_is_done_is_let_go_of_by_the_next_call(void **state)
{
    (void)state;
    enum { NFILLS = 20 };
    static char memory[64];
    const int64_t extent = 64;
    ndbuf_queue *queue = NULL;
    ndbuf_event *event = NULL;
    atomic_store(&nreleased, 0);
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    for (int i = 0; i < NFILLS; i++) {
        ndbuf_storage *storage = NULL;
        ndbuf_view view = {0};
        const ndbuf_view_spec spec = {.ndim = 1, .shape = &extent};
        ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), memory, 64, 0, count_release, NULL, &storage, err));
        ASSERT_OK(ndbuf_view_init(&view, storage, &spec, err));
        ASSERT_OK(ndbuf_fill(&view, "x", 1, queue, err));
        ndbuf_view_release(&view);
        ndbuf_storage_release(storage);
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        ASSERT_OK(ndbuf_event_wait(event, err));
        assert_int_equal(atomic_load(&nreleased), i);
        if (i < NFILLS - 1) {
            ndbuf_event_release(event);
        }
    }
    ASSERT_OK(ndbuf_queue_wait_event(queue, event, err));
    assert_int_equal(atomic_load(&nreleased), NFILLS);
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
}

static void test_one_queue_waits_for_an_event_of_another(void **state)
{
    (void)state;
    test_gate gate;
    test_gate_init(&gate);
    ndbuf_queue *first = NULL;
    ndbuf_queue *second = NULL;
    ndbuf_event *event = NULL;
    ndbuf_view a = {0};
    ndbuf_view b = {0};
    make_bytes(&a, 8);
    make_bytes(&b, 8);
    const char one = 1;
    memset(ndbuf_view_host_address(&b), 0, 8);
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &first, err));
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &second, err));
    ASSERT_OK(host_call(first, test_gate_pass, &gate, err));
    ASSERT_OK(ndbuf_fill(&a, &one, 1, first, err));
    ASSERT_OK(ndbuf_queue_record(first, &event, err));
    ndbuf_view_set_ready(&a, event);
    ndbuf_event_release(event);
    ASSERT_OK(ndbuf_copy(&b, &a, second, err)); /* its ready event is waited for */
    test_gate_open(&gate);
    ASSERT_OK(ndbuf_queue_wait(second, err));
    assert_memory_equal(ndbuf_view_host_address(&b), "\1\1\1\1\1\1\1\1", 8);
    ndbuf_view_release(&a);
    ndbuf_view_release(&b);
    ndbuf_queue_release(first);
    ndbuf_queue_release(second);
    test_gate_clear(&gate);
}

static ndbuf_status fail_step(void *context, ndbuf_error *err)
{
    return ndbuf_fail(err, NDBUF_ERR_NOMEM, "step %d failed", *(int *)context);
}

static void test_a_failed_host_step_is_told_once_by_the_next_wait(void **state)
{
    (void)state;
    ndbuf_queue *queue = NULL;
    int steps[2] = {1, 2};
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    ASSERT_OK(host_call(queue, fail_step, &steps[0], err));
    ASSERT_OK(host_call(queue, fail_step, &steps[1], err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "step 1 failed", ndbuf_queue_wait(queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
}

/* Whatever the queue is told, and whatever fails, later. */
static void test_an_event_stays_failed(void **state)
{
    (void)state;
    ndbuf_queue *queue = NULL;
    ndbuf_queue *other = NULL;
    ndbuf_event *events[4] = {NULL};
    int steps[2] = {1, 2};
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &other, err));
    ASSERT_OK(ndbuf_queue_record(queue, &events[0], err));
    ASSERT_OK(host_call(queue, fail_step, &steps[0], err));
    ASSERT_OK(ndbuf_queue_record(queue, &events[1], err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "step 1 failed", ndbuf_event_wait(events[1], err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "step 1 failed", ndbuf_queue_wait(queue, err));
    ASSERT_OK(ndbuf_queue_record(queue, &events[2], err));
    ASSERT_OK(host_call(queue, fail_step, &steps[1], err));
    ASSERT_OK(ndbuf_queue_record(queue, &events[3], err));
    for (int told = 0; told < 2; told++) {
        ASSERT_OK(ndbuf_event_wait(events[0], err));
        ASSERT_FAILS(NDBUF_ERR_NOMEM, "step 1 failed", ndbuf_event_wait(events[1], err));
        ASSERT_OK(ndbuf_event_wait(events[2], err));
        ASSERT_FAILS(NDBUF_ERR_NOMEM, "step 2 failed", ndbuf_event_wait(events[3], err));
        ASSERT_OK(ndbuf_queue_wait_event(other, events[1], err));
        ASSERT_FAILS(NDBUF_ERR_NOMEM, "step 1 failed", ndbuf_queue_wait(other, err));
        if (told == 0) {
            ASSERT_FAILS(NDBUF_ERR_NOMEM, "step 2 failed", ndbuf_queue_wait(queue, err));
        }
    }
    for (int i = 0; i < 4; i++) {
        ndbuf_event_release(events[i]);
    }
    ndbuf_queue_release(other);
    ndbuf_queue_release(queue);
}

static void test_queues_and_events_survive_each_failing_allocation(void **state)
{
    (void)state;
    ndbuf_queue *queue = NULL;
    ndbuf_event *event = NULL;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_queue_create(ndbuf_device_cpu(), &queue, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_queue_record(queue, &event, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_queue_wait_event(queue, event, NULL), (void)0);
    ndbuf_queue_release(queue);
    ASSERT_OK(ndbuf_event_wait(event, err)); /* events may outlive their queue */
    ndbuf_event_release(event);
}

static void test_missing_arguments_are_named(void **state)
{
    (void)state;
    ndbuf_queue *queue = NULL;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no device", ndbuf_queue_create(NULL, &queue, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no native queue", ndbuf_queue_import(ndbuf_device_cpu(), NULL, &queue, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no native queues",
                 ndbuf_queue_import(ndbuf_device_cpu(), &queue, &queue, err));
    assert_null(queue);
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no native event", ndbuf_queue_wait_native(queue, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "", ndbuf_queue_wait_native(queue, &queue, err));
    ndbuf_queue_release(queue);
    ndbuf_queue_release(NULL);
    ndbuf_event_release(NULL);
}

/* What a forked child does with a queue: 0, or the line that went wrong. */
static int use_in_child(ndbuf_queue *queue, ndbuf_event *event, bool was_idle)
{
#define CHECK(condition)                                                                                               \
    if (!(condition)) {                                                                                                \
        return __LINE__;                                                                                               \
    }
    ndbuf_view dst = {0};
    const int64_t extent = 8;
    const ndbuf_status left = was_idle ? NDBUF_OK : NDBUF_ERR_DEVICE;
    int32_t complete = 0;
    ndbuf_error error = {0};
    CHECK(ndbuf_event_query(event, &complete, NULL) == NDBUF_OK && complete);
    CHECK(ndbuf_event_wait(event, NULL) == left);
    CHECK(ndbuf_queue_wait(queue, &error) == left);
    CHECK(was_idle || strstr(error.message, "left to the process") != NULL);
    for (int i = 0; i < CHILD_NTURNS; i++) {
        CHECK(ndbuf_view_create(&dst, ndbuf_device_cpu(), NULL, 1, &extent, NULL) == NDBUF_OK);
        CHECK(ndbuf_fill(&dst, i == 0 ? "a" : "b", 1, queue, NULL) == NDBUF_OK);
        CHECK(ndbuf_queue_wait(queue, NULL) == NDBUF_OK);
        CHECK(memcmp(ndbuf_view_host_address(&dst), i == 0 ? "aaaaaaaa" : "bbbbbbbb", 8) == 0);
        ndbuf_view_release(&dst);
    }
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
    return 0;
#undef CHECK
}

static void test_a_forked_child_goes_on_with_a_thread_of_its_own(void **state)
{
    (void)state;
    for (int is_idle = 0; is_idle < 2; is_idle++) {
        ndbuf_queue *queue = NULL;
        ndbuf_queue *unused = NULL;
        ndbuf_event *event = NULL;
        ndbuf_view dst = {0};
        test_gate gate;
        int status = -1;
        test_gate_init(&gate);
        make_bytes(&dst, 8);
        ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
        ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &unused, err));
        if (is_idle) {
            test_gate_open(&gate);
        }
        ASSERT_OK(host_call(queue, test_gate_pass, &gate, err));
        ASSERT_OK(ndbuf_fill(&dst, "x", 1, queue, err));
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        if (is_idle) {
            ASSERT_OK(ndbuf_event_wait(event, err));
        }
        pid_t child = fork();
        if (child == 0) {
            alarm(60);
            ndbuf_queue_release(unused);
            _exit(use_in_child(queue, event, is_idle) == 0 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        test_gate_open(&gate);
        ASSERT_OK(ndbuf_event_wait(event, err)); /* the parent notices nothing */
        assert_memory_equal(ndbuf_view_host_address(&dst), "xxxxxxxx", 8);
        ndbuf_event_release(event);
        ndbuf_queue_release(unused);
        ndbuf_queue_release(queue);
        ndbuf_view_release(&dst);
        test_gate_clear(&gate);
    }
}

/* As a thread of the parent's may hold them at the fork, which the child does not have. */
static void test_a_forked_child_does_not_wait_for_locks_of_its_parent(void **state)
{
    (void)state;
    ndbuf_queue *queue = NULL;
    ndbuf_event *event = NULL;
    int status = -1;
    if (CHILD_NTURNS == 0) {
        skip(); /* to the thread sanitizer, a mutex that begins anew is locked still */
    }
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ndbuf__mutex *const locks[] = {&queue->core->guard.mutex, &queue->core->blocks.guard.mutex,
                                   &ndbuf_device_cpu()->core->blocks.guard.mutex};
    for (int i = 0; i < 3; i++) {
        ndbuf__mutex_lock(locks[i]);
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        _exit(use_in_child(queue, event, true) == 0 ? 0 : 1);
    }
    for (int i = 0; i < 3; i++) {
        ndbuf__mutex_unlock(locks[i]);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
}

static ndbuf_status count_call(void *context, ndbuf_error *err)
{
    (void)err;
    ++*(int *)context;
    return NDBUF_OK;
}

static void test_a_worker_runs_each_job_once_and_in_order(void **state)
{
    (void)state;
    ndbuf__host_worker *worker = NULL;
    int count = 0;
    ASSERT_OK(ndbuf__host_worker_create(&worker, err));
    for (int i = 0; i < 1000; i++) {
        ASSERT_OK(ndbuf__host_worker_submit(worker, count_call, &count, err));
    }
    assert_int_equal(ndbuf__host_worker_submitted(worker), 1000);
    ndbuf__host_worker_wait(worker, 1000);
    assert_true(ndbuf__host_worker_is_done(worker, 1000));
    assert_int_equal(count, 1000);
    ASSERT_OK(ndbuf__host_worker_submit(worker, count_call, &count, err));
    ndbuf__host_worker_destroy(worker); /* runs what is left */
    assert_int_equal(count, 1001);
    ndbuf__host_worker_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_work_waits_its_turn_while_the_caller_goes_on),
        cmocka_unit_test(test_adopted_memory_is_released_only_after_the_copy),
        cmocka_unit_test(test_what_is_done_is_let_go_of_by_the_next_call),
        cmocka_unit_test(test_one_queue_waits_for_an_event_of_another),
        cmocka_unit_test(test_a_failed_host_step_is_told_once_by_the_next_wait),
        cmocka_unit_test(test_an_event_stays_failed),
        cmocka_unit_test(test_queues_and_events_survive_each_failing_allocation),
        cmocka_unit_test(test_missing_arguments_are_named),
        cmocka_unit_test(test_a_forked_child_goes_on_with_a_thread_of_its_own),
        cmocka_unit_test(test_a_forked_child_does_not_wait_for_locks_of_its_parent),
        cmocka_unit_test(test_a_worker_runs_each_job_once_and_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
