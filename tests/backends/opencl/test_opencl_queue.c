/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int32_t ndevices;

static ndbuf_queue *make_queue(ndbuf_device *device)
{
    ndbuf_queue *queue = NULL;
    ASSERT_OK(OPS->queue_create(device, NULL, &queue, err));
    return queue;
}

static void pause_ms(long ms)
{
    const struct timespec pause = {.tv_nsec = ms * 1000000};
    nanosleep(&pause, NULL);
}

static int32_t is_complete(ndbuf_event *event)
{
    int32_t complete = -1;
    ASSERT_OK(OPS->event_query(event, &complete, err));
    return complete;
}

static void enqueue_read(ndbuf_queue *queue, const ndbuf_mem *mem, void *block)
{
    ndbuf_mem host = opencl_fixture_host(block, mem->nbytes);
    ASSERT_OK(OPS->copy_bytes(queue, &host, 0, mem, 0, (int64_t)mem->nbytes, err));
}

static void enqueue_write(ndbuf_queue *queue, const ndbuf_mem *mem, void *block)
{
    ndbuf_mem host = opencl_fixture_host(block, mem->nbytes);
    ASSERT_OK(OPS->copy_bytes(queue, mem, 0, &host, 0, (int64_t)mem->nbytes, err));
}

static void test_copies_are_asynchronous_and_in_order(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = make_queue(device);
    ndbuf_mem mem = opencl_fixture_buffer(device, "before", 6);
    char seen[6] = "......";
    ndbuf_event *event = NULL;
    cl_event gate = opencl_fixture_close_gate(queue);
    char first[6] = "first!";
    char second[6] = "second";
    enqueue_write(queue, &mem, first);
    enqueue_write(queue, &mem, second);
    enqueue_read(queue, &mem, seen);
    ASSERT_OK(OPS->event_record(queue, &event, err));
    assert_int_equal(is_complete(event), 0);
    assert_memory_equal(seen, "......", 6);
    opencl_fixture_open_gate(gate);
    ASSERT_OK(OPS->event_wait(event, err));
    assert_int_equal(is_complete(event), 1);
    assert_memory_equal(seen, "second", 6);
    ASSERT_OK(OPS->queue_wait(queue, err));
    OPS->event_destroy(event);
    OPS->mem_free(&mem);
    OPS->queue_destroy(queue);
}

static void test_work_starts_without_a_wait(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = make_queue(device);
    ndbuf_mem mem = opencl_fixture_buffer(device, "started", 7);
    char seen[7] = {0};
    enqueue_read(queue, &mem, seen);
    opencl_queue *self = (opencl_queue *)queue;
    cl_int execution = CL_QUEUED;
    while (execution > CL_COMPLETE) { /* a driver that waits for a wait shows as the test's time limit */
        assert_int_equal(self->nworks, 1);
        assert_int_equal(opencl_fixture_api()->clGetEventInfo(self->works[self->first_work].done,
                                                              CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(execution),
                                                              &execution, NULL),
                         CL_SUCCESS);
    }
    assert_int_equal(execution, CL_COMPLETE);
    assert_memory_equal(seen, "started", 7);
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_int_equal(self->nworks, 0);
    OPS->mem_free(&mem);
    OPS->queue_destroy(queue);
}

static void test_record_of_an_idle_queue_completes(void **state)
{
    (void)state;
    ndbuf_queue *queue = make_queue(opencl_fixture_device());
    ndbuf_event *event = NULL;
    ASSERT_OK(OPS->event_record(queue, &event, err));
    ASSERT_OK(OPS->event_wait(event, err));
    assert_int_equal(is_complete(event), 1);
    ASSERT_OK(OPS->queue_wait(queue, err));
    OPS->queue_destroy(queue);
    /* An event outlives its queue. */
    ASSERT_OK(OPS->event_wait(event, err));
    OPS->event_destroy(event);
}

static void test_many_commands_in_flight_are_all_remembered(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static unsigned char seen[COUNT];
    static unsigned char contents[COUNT];
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = make_queue(device);
    for (int i = 0; i < COUNT; i++) {
        contents[i] = (unsigned char)(i * 7 + 1);
    }
    ndbuf_mem mem = opencl_fixture_buffer(device, contents, COUNT);
    ndbuf_mem host = opencl_fixture_host(seen, COUNT);
    cl_event gate = opencl_fixture_close_gate(queue);
    for (int i = 0; i < COUNT; i++) {
        ASSERT_OK(OPS->copy_bytes(queue, &host, i, &mem, i, 1, err));
    }
    assert_int_equal(((opencl_queue *)queue)->nworks, COUNT);
    opencl_fixture_open_gate(gate);
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_memory_equal(seen, contents, COUNT);
    assert_int_equal(((opencl_queue *)queue)->nworks, 0);
    OPS->mem_free(&mem);
    OPS->queue_destroy(queue);
}

static void test_commands_that_are_done_are_forgotten_without_a_wait(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = make_queue(device);
    ndbuf_mem mem = opencl_fixture_buffer(device, "x", 1);
    char seen = 0;
    for (int i = 0; i < 2000; i++) {
        enqueue_read(queue, &mem, &seen);
        assert_int_equal(opencl_fixture_api()->clFinish(queue->native), CL_SUCCESS);
    }
    assert_true(((opencl_queue *)queue)->capacity <= 64);
    ASSERT_OK(OPS->queue_wait(queue, err));
    OPS->mem_free(&mem);
    OPS->queue_destroy(queue);
}

/* The ring of commands is full, most of them are done, and those in flight go round its end; then it grows. */
static void test_commands_in_flight_outlive_those_that_are_done(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = make_queue(device);
    const opencl_queue *self = (const opencl_queue *)queue;
    ndbuf_mem mem = opencl_fixture_buffer(device, "y", 1);
    char ignored = 0;
    char seen[4] = "....";
    enqueue_read(queue, &mem, &ignored);
    while (self->nworks < self->capacity - 2) {
        enqueue_read(queue, &mem, &ignored);
    }
    assert_int_equal(opencl_fixture_api()->clFinish(queue->native), CL_SUCCESS);
    cl_event gate = opencl_fixture_close_gate(queue);
    size_t capacity = self->capacity;
    for (int i = 0; i < 4; i++) {
        enqueue_read(queue, &mem, &seen[i]);
    }
    assert_int_equal(self->capacity, capacity);
    assert_int_equal(self->nworks, 4);
    assert_int_equal(self->first_work, capacity - 2);
    for (size_t i = 0; i < 4; i++) {
        const opencl_work *work = &self->works[(self->first_work + i) % capacity];
        cl_int execution = CL_COMPLETE;
        assert_int_equal(opencl_fixture_api()->clGetEventInfo(work->done, CL_EVENT_COMMAND_EXECUTION_STATUS,
                                                              sizeof(execution), &execution, NULL),
                         CL_SUCCESS);
        assert_true(execution > CL_COMPLETE);
        assert_int_equal(work->number, capacity - 2 + i + 1);
    }
    while (self->capacity == capacity) {
        enqueue_read(queue, &mem, &ignored);
    }
    assert_int_equal(self->nworks, capacity + 1);
    for (size_t i = 0; i < self->nworks; i++) {
        assert_int_equal(self->works[i].number, capacity - 2 + i + 1);
    }
    opencl_fixture_open_gate(gate);
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_memory_equal(seen, "yyyy", 4);
    assert_int_equal(self->nworks, 0);
    OPS->mem_free(&mem);
    OPS->queue_destroy(queue);
}

static void test_imported_queue_is_used_and_retained(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    const opencl_api *api = opencl_fixture_api();
    cl_int code = CL_SUCCESS;
    cl_command_queue native =
        api->clCreateCommandQueue(ndbuf_opencl__context_of(device), ((opencl_device *)device)->id, 0, &code);
    assert_int_equal(code, CL_SUCCESS);
    ndbuf_queue *queue = NULL;
    ASSERT_OK(OPS->queue_create(device, native, &queue, err));
    assert_ptr_equal(queue->native, native);
    api->clReleaseCommandQueue(native);
    ndbuf_mem mem = opencl_fixture_buffer(device, "mine", 4);
    char seen[4] = {0};
    enqueue_read(queue, &mem, seen);
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_memory_equal(seen, "mine", 4);
    OPS->mem_free(&mem);
    OPS->queue_destroy(queue);
}

static void test_queue_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    const opencl_api *api = opencl_fixture_api();
    cl_device_id id = ((opencl_device *)device)->id;
    cl_context own = ndbuf_opencl__context_of(device);
    cl_context foreign = NULL;
    ndbuf_device *foreign_device = opencl_fixture_foreign_device(device, &foreign);
    ndbuf_queue *queue = NULL;
    cl_int code = CL_SUCCESS;
    cl_command_queue native = api->clCreateCommandQueue(own, id, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &code);
    if (code == CL_SUCCESS) { /* a device need not have such queues */
        ASSERT_FAILS(NDBUF_ERR_INVALID, "out of order", OPS->queue_create(device, native, &queue, err));
        api->clReleaseCommandQueue(native);
    }
    native = api->clCreateCommandQueue(foreign, id, 0, &code);
    assert_int_equal(code, CL_SUCCESS);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "another context than opencl:0", OPS->queue_create(device, native, &queue, err));
    api->clReleaseCommandQueue(native);
    if (ndevices >= 2) {
        ndbuf_device *second = NULL;
        ASSERT_OK(OPS->device_open(1, &second, err));
        native = api->clCreateCommandQueue(own, ((opencl_device *)second)->id, 0, &code);
        assert_int_equal(code, CL_SUCCESS);
        ASSERT_FAILS(NDBUF_ERR_INVALID, "another device than opencl:0", OPS->queue_create(device, native, &queue, err));
        api->clReleaseCommandQueue(native);
        OPS->device_close(second);
    }
    assert_null(queue);
    ndbuf_device_close(foreign_device);
    api->clReleaseContext(foreign);
}

/* A host function that notes what it found and leaves something for the work behind it. */
typedef struct host_visit {
    char *found;  /* where earlier work leaves its bytes */
    char *left;   /* what later work reads */
    char copy[4]; /* of `found` when the function ran */
    atomic_int runs;
    ndbuf_status status;
} host_visit;

static ndbuf_status visit_run(void *context, ndbuf_error *err)
{
    host_visit *self = context;
    atomic_fetch_add(&self->runs, 1);
    if (self->found != NULL) {
        memcpy(self->copy, self->found, 4);
    }
    if (self->left != NULL) {
        memcpy(self->left, "done", 4);
    }
    return self->status == NDBUF_OK ? NDBUF_OK : ndbuf_fail(err, self->status, "visit failed");
}

static void test_host_call_runs_between_earlier_and_later_work(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = make_queue(device);
    ndbuf_mem mem = opencl_fixture_buffer(device, "dev1", 4);
    char first[4] = "....";
    char second[4] = "....";
    char third[4] = "....";
    host_visit visit = {.found = first, .left = second};
    cl_event gate = opencl_fixture_close_gate(queue);
    enqueue_read(queue, &mem, first);
    ASSERT_OK(OPS->queue_host_call(queue, visit_run, &visit, err));
    enqueue_write(queue, &mem, second);
    enqueue_read(queue, &mem, third);
    pause_ms(20); /* time for a function that does not wait to show itself */
    assert_int_equal(atomic_load(&visit.runs), 0);
    opencl_fixture_open_gate(gate);
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_int_equal(atomic_load(&visit.runs), 1);
    assert_memory_equal(visit.copy, "dev1", 4);
    assert_memory_equal(third, "done", 4);
    OPS->mem_free(&mem);
    OPS->queue_destroy(queue);
}

static void test_failure_of_a_host_call_is_told_once_and_by_later_events(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = make_queue(device);
    host_visit good = {0};
    host_visit bad = {.status = NDBUF_ERR_IO};
    ndbuf_event *before = NULL;
    ndbuf_event *after = NULL;
    ndbuf_event *later = NULL;
    ASSERT_OK(OPS->event_record(queue, &before, err));
    ASSERT_OK(OPS->queue_host_call(queue, visit_run, &bad, err));
    ASSERT_OK(OPS->queue_host_call(queue, visit_run, &good, err));
    ASSERT_OK(OPS->event_record(queue, &after, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "visit failed", OPS->event_wait(after, err));
    assert_int_equal(is_complete(after), 1);
    ASSERT_OK(OPS->event_wait(before, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "visit failed", OPS->queue_wait(queue, err));
    ASSERT_OK(OPS->queue_wait(queue, err));
    ASSERT_OK(OPS->event_record(queue, &later, err));
    ASSERT_OK(OPS->event_wait(later, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "visit failed", OPS->event_wait(after, err));
    assert_int_equal(atomic_load(&bad.runs), 1);
    assert_int_equal(atomic_load(&good.runs), 1);
    OPS->event_destroy(before);
    OPS->event_destroy(after);
    OPS->event_destroy(later);
    OPS->queue_destroy(queue);
}

static ndbuf_status append_number(void *context, ndbuf_error *err)
{
    (void)err;
    int *cursor = context;
    cursor[1 + cursor[0]] = cursor[0];
    cursor[0]++;
    return NDBUF_OK;
}

typedef struct caller {
    ndbuf_queue *queue;
    int *cursor;
    ndbuf_status status;
} caller;

enum { CALLERS = 4, CALLS = 100 };

static void *call_often(void *context)
{
    caller *self = context;
    for (int i = 0; i < CALLS && self->status == NDBUF_OK; i++) {
        self->status = OPS->queue_host_call(self->queue, append_number, self->cursor, NULL);
    }
    return NULL;
}

/* Deadlocks if the worker's order differs from the queue's. */
static void test_host_calls_of_many_threads_run_one_after_the_other(void **state)
{
    (void)state;
    static int cursor[1 + CALLERS * CALLS];
    ndbuf_queue *queue = make_queue(opencl_fixture_device());
    pthread_t threads[CALLERS];
    caller callers[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){.queue = queue, .cursor = cursor};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].status, NDBUF_OK);
    }
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_int_equal(cursor[0], CALLERS * CALLS);
    for (int i = 0; i < CALLERS * CALLS; i++) {
        assert_int_equal(cursor[1 + i], i);
    }
    OPS->queue_destroy(queue);
}

/* Work of one queue waits for an event of another one, which a gate holds up. */
static void check_event_orders(ndbuf_device *producer, ndbuf_device *consumer)
{
    ndbuf_queue *first = make_queue(producer);
    ndbuf_queue *second = make_queue(consumer);
    ndbuf_mem source = opencl_fixture_buffer(producer, "data", 4);
    ndbuf_mem target = opencl_fixture_buffer(consumer, "none", 4);
    char between[4] = "....";
    char seen[4] = "....";
    ndbuf_event *ready = NULL;
    ndbuf_event *end = NULL;
    cl_event gate = opencl_fixture_close_gate(first);
    enqueue_read(first, &source, between);
    ASSERT_OK(OPS->event_record(first, &ready, err));
    ASSERT_OK(OPS->queue_wait_event(second, ready, err));
    enqueue_write(second, &target, between);
    enqueue_read(second, &target, seen);
    ASSERT_OK(OPS->event_record(second, &end, err));
    pause_ms(20);
    assert_int_equal(is_complete(end), 0);
    opencl_fixture_open_gate(gate);
    ASSERT_OK(OPS->event_wait(end, err));
    assert_memory_equal(seen, "data", 4);
    ASSERT_OK(OPS->queue_wait(second, err));
    ASSERT_OK(OPS->queue_wait(first, err));
    OPS->event_destroy(ready);
    OPS->event_destroy(end);
    OPS->mem_free(&source);
    OPS->mem_free(&target);
    OPS->queue_destroy(first);
    OPS->queue_destroy(second);
}

/* Down and up again through host memory, in one queue. Nothing is waited for where other memory is written from. */
static void test_write_has_what_a_read_before_it_left(void **state)
{
    (void)state;
    enum { NBYTES = 32 << 20, FEW = 4 };
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = make_queue(device);
    char *between = calloc(1, NBYTES);
    char *contents = calloc(1, NBYTES);
    assert_true(between != NULL && contents != NULL);
    memcpy(contents + NBYTES - FEW, "data", FEW);
    char seen[FEW] = "....";
    char apart[FEW] = "else";
    ndbuf_mem source = opencl_fixture_buffer(device, contents, NBYTES);
    ndbuf_mem target = opencl_fixture_buffer(device, "none", FEW);
    enqueue_read(queue, &source, between);
    enqueue_write(queue, &target, apart);
    assert_null(((opencl_queue *)queue)->worker);
    enqueue_write(queue, &target, between + NBYTES - FEW);
    enqueue_read(queue, &target, seen);
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_memory_equal(seen, "data", FEW);
    OPS->mem_free(&source);
    OPS->mem_free(&target);
    OPS->queue_destroy(queue);
    free(between);
    free(contents);
}

static void test_event_orders_queues_of_one_context(void **state)
{
    (void)state;
    check_event_orders(opencl_fixture_device(), opencl_fixture_device());
    if (ndevices >= 2) {
        ndbuf_device *second = NULL;
        ASSERT_OK(OPS->device_open(1, &second, err));
        check_event_orders(opencl_fixture_device(), second);
        check_event_orders(second, opencl_fixture_device());
        OPS->device_close(second);
    }
}

static void test_event_orders_queues_of_two_contexts(void **state)
{
    (void)state;
    cl_context context = NULL;
    ndbuf_device *foreign = opencl_fixture_foreign_device(opencl_fixture_device(), &context);
    check_event_orders(opencl_fixture_device(), foreign);
    check_event_orders(foreign, opencl_fixture_device());
    ndbuf_device_close(foreign);
    opencl_fixture_api()->clReleaseContext(context);
}

/* A failure before an event is a failure of the queue that waits for it, and is told by the events behind the wait. */
static void check_failure_travels(ndbuf_device *producer, ndbuf_device *consumer, bool is_known)
{
    ndbuf_queue *queues[3] = {make_queue(producer), make_queue(consumer), make_queue(producer)};
    ndbuf_event *events[3];
    host_visit bad = {.status = NDBUF_ERR_NOMEM};
    cl_event gate = opencl_fixture_close_gate(queues[0]);
    ASSERT_OK(OPS->queue_host_call(queues[0], visit_run, &bad, err));
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(OPS->event_record(queues[i], &events[i], err));
        if (i == (is_known ? 0 : 2)) {
            opencl_fixture_open_gate(gate);
        }
        if (is_known) {
            ASSERT_FAILS(NDBUF_ERR_NOMEM, "visit failed", OPS->event_wait(events[i], err));
        }
        if (i < 2) {
            ASSERT_OK(OPS->queue_wait_event(queues[i + 1], events[i], err));
        }
    }
    for (int i = 2; i >= 0; i--) {
        ASSERT_FAILS(NDBUF_ERR_NOMEM, "visit failed", OPS->event_wait(events[i], err));
        ASSERT_FAILS(NDBUF_ERR_NOMEM, "visit failed", OPS->queue_wait(queues[i], err));
        ASSERT_OK(OPS->queue_wait(queues[i], err));
        OPS->event_destroy(events[i]);
        OPS->queue_destroy(queues[i]);
    }
}

static void test_failure_travels_with_the_event(void **state)
{
    (void)state;
    cl_context context = NULL;
    ndbuf_device *own = opencl_fixture_device();
    ndbuf_device *foreign = opencl_fixture_foreign_device(own, &context);
    for (int i = 0; i < 4; i++) {
        check_failure_travels(own, i % 2 == 0 ? own : foreign, i / 2 == 1);
    }
    ndbuf_device_close(foreign);
    opencl_fixture_api()->clReleaseContext(context);
}

static void test_queue_waits_for_an_event_of_the_host(void **state)
{
    (void)state;
    ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_queue *first = NULL;
    ndbuf_queue *second = make_queue(opencl_fixture_device());
    char text[4] = "....";
    host_visit writer = {.left = text};
    ndbuf_event *ready = NULL;
    ndbuf_mem mem = opencl_fixture_buffer(opencl_fixture_device(), "none", 4);
    char seen[4] = "....";
    ASSERT_OK(host->ops->queue_create(host, NULL, &first, err));
    ASSERT_OK(host->ops->queue_host_call(first, visit_run, &writer, err));
    ASSERT_OK(host->ops->event_record(first, &ready, err));
    ASSERT_OK(OPS->queue_wait_event(second, ready, err));
    enqueue_write(second, &mem, text);
    enqueue_read(second, &mem, seen);
    ASSERT_OK(OPS->queue_wait(second, err));
    assert_memory_equal(seen, "done", 4);
    host->ops->event_destroy(ready);
    ASSERT_OK(host->ops->queue_wait(first, err));
    host->ops->queue_destroy(first);
    OPS->mem_free(&mem);
    OPS->queue_destroy(second);
}

/* Nothing may stay in the queue of a call that failed: the wait behind it would never end. */
static void test_calls_survive_each_failing_allocation(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = NULL;
    ndbuf_event *event = NULL;
    host_visit visit = {0};
    ndbuf_mem mem = opencl_fixture_buffer(device, "x", 1);
    char seen = 0;
    ndbuf_mem host = opencl_fixture_host(&seen, 1);
    ALLOC_FAIL_SWEEP(status_ = OPS->queue_create(device, NULL, &queue, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = OPS->queue_host_call(queue, visit_run, &visit, NULL), (void)0);
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_int_equal(atomic_load(&visit.runs), 1);
    ASSERT_OK(OPS->queue_wait(queue, err));
    OPS->queue_destroy(queue);
    ASSERT_OK(OPS->queue_create(device, NULL, &queue, err));
    ALLOC_FAIL_SWEEP(status_ = OPS->copy_bytes(queue, &host, 0, &mem, 0, 1, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = OPS->event_record(queue, &event, NULL), (void)0);
    ASSERT_OK(OPS->queue_wait_event(queue, event, err));
    ASSERT_OK(OPS->queue_wait(queue, err));
    assert_int_equal(seen, 'x');
    OPS->event_destroy(event);
    OPS->queue_destroy(queue);
    OPS->mem_free(&mem);
}

static int end(void **state)
{
    (void)state;
    opencl_fixture_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_are_asynchronous_and_in_order),
        cmocka_unit_test(test_work_starts_without_a_wait),
        cmocka_unit_test(test_record_of_an_idle_queue_completes),
        cmocka_unit_test(test_many_commands_in_flight_are_all_remembered),
        cmocka_unit_test(test_commands_that_are_done_are_forgotten_without_a_wait),
        cmocka_unit_test(test_commands_in_flight_outlive_those_that_are_done),
        cmocka_unit_test(test_imported_queue_is_used_and_retained),
        cmocka_unit_test(test_queue_that_does_not_fit_is_refused),
        cmocka_unit_test(test_host_call_runs_between_earlier_and_later_work),
        cmocka_unit_test(test_failure_of_a_host_call_is_told_once_and_by_later_events),
        cmocka_unit_test(test_host_calls_of_many_threads_run_one_after_the_other),
        cmocka_unit_test(test_write_has_what_a_read_before_it_left),
        cmocka_unit_test(test_event_orders_queues_of_one_context),
        cmocka_unit_test(test_event_orders_queues_of_two_contexts),
        cmocka_unit_test(test_failure_travels_with_the_event),
        cmocka_unit_test(test_queue_waits_for_an_event_of_the_host),
        cmocka_unit_test(test_calls_survive_each_failing_allocation),
    };
    ndevices = opencl_fixture_start();
    if (ndevices == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, end);
}
