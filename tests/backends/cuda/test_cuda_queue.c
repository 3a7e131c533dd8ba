/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define OPS (&ndbuf_cuda__ops)

static void test_streams_of_others_are_used_and_stay_theirs(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    cudaStream_t blocking = NULL;
    ASSERT_CUDA(sim->cudaStreamCreateWithFlags(&blocking, cudaStreamDefault));
    cudaStream_t streams[] = {blocking, cudaStreamLegacy, cudaStreamPerThread};
    ndbuf_mem mem = cuda_fixture_mem(device, "....", 4);
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        ndbuf_queue *queue = NULL;
        ndbuf_event *event = NULL;
        char letters[4] = {'a', 'b', 'c', (char)('0' + i)};
        char back[4] = "";
        ndbuf_mem from = cuda_fixture_host(letters, 4);
        ndbuf_mem to = cuda_fixture_host(back, 4);
        ASSERT_OK(ndbuf_queue_import(device, (void *)streams[i], &queue, err));
        assert_ptr_equal(ndbuf_queue_native(queue), streams[i]);
        ASSERT_OK(OPS->copy_bytes(queue, &mem, 0, &from, 0, 4, err));
        ASSERT_OK(OPS->copy_bytes(queue, &to, 0, &mem, 0, 4, err));
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        ASSERT_OK(ndbuf_event_wait(event, err));
        assert_memory_equal(back, letters, 4);
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        ndbuf_event_release(event);
        ndbuf_queue_release(queue);
    }
    assert_int_equal(sim->cudaStreamSynchronize(blocking), cudaSuccess); /* it is still there */
    ASSERT_CUDA(sim->cudaStreamDestroy(blocking));
    OPS->mem_free(&mem);
    ndbuf_device_close(device);
}

static void test_a_stream_of_another_device_is_refused(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    ndbuf_queue *queue = NULL;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "of CUDA device 1, not 0",
                 ndbuf_queue_import(device, other->default_queue->native, &queue, err));
    assert_null(queue);
    /* The legacy stream is each device's own. */
    ASSERT_OK(ndbuf_queue_import(other, (void *)cudaStreamLegacy, &queue, err));
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
    ndbuf_device_close(other);
}

static void *use_elsewhere(void *context)
{
    ndbuf_queue *queue = context;
    ndbuf_error error = {0};
    ndbuf_event *event = NULL;
    bool refused = ndbuf_queue_record(queue, &event, &error) == NDBUF_ERR_INVALID &&
                   strstr(error.message, "cudaStreamPerThread") != NULL &&
                   ndbuf_queue_wait(queue, &error) == NDBUF_ERR_INVALID;
    return refused ? context : NULL;
}

static void test_the_stream_per_thread_is_for_the_thread_that_imported_it(void **state)
{
    (void)state;
    pthread_t thread;
    void *result = NULL;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queue = NULL;
    ASSERT_OK(ndbuf_queue_import(device, (void *)cudaStreamPerThread, &queue, err));
    assert_int_equal(pthread_create(&thread, NULL, use_elsewhere, queue), 0);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_ptr_equal(result, queue);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
}

/* A step of the host that counts its runs, and fails if it was told to. */
typedef struct visit {
    atomic_int nruns;
    bool fails;
} visit;

static ndbuf_status visit_run(void *context, ndbuf_error *err)
{
    visit *self = context;
    atomic_fetch_add(&self->nruns, 1);
    return self->fails ? ndbuf_fail_native(err, NDBUF_ERR_IO, 42, "the disk is full") : NDBUF_OK;
}

static void test_a_failure_on_the_host_is_told_once_and_by_the_events_behind_it(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queue = NULL;
    ndbuf_event *before = NULL;
    ndbuf_event *behind = NULL;
    ndbuf_event *later = NULL;
    visit good = {0};
    visit bad = {.fails = true};
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ASSERT_OK(OPS->queue_host_call(queue, visit_run, &good, err));
    ASSERT_OK(ndbuf_queue_record(queue, &before, err));
    ASSERT_OK(OPS->queue_host_call(queue, visit_run, &bad, err));
    ASSERT_OK(OPS->queue_host_call(queue, visit_run, &good, err));
    ASSERT_OK(ndbuf_queue_record(queue, &behind, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_event_wait(behind, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_event_wait(behind, err));
    ASSERT_OK(ndbuf_event_wait(before, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_queue_wait(queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_int_equal(good.nruns, 2);
    assert_int_equal(bad.nruns, 1);
    ASSERT_OK(OPS->queue_host_call(queue, visit_run, &good, err));
    ASSERT_OK(ndbuf_queue_record(queue, &later, err));
    ASSERT_OK(ndbuf_event_wait(later, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_event_wait(behind, err)); /* it does not change any more */
    ndbuf_queue_release(queue);
    ndbuf_event_release(before);
    ndbuf_event_release(behind);
    ndbuf_event_release(later);
    ndbuf_device_close(device);
}

static void test_a_failure_travels_with_the_event(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    ndbuf_queue *queues[3];
    ndbuf_event *event = NULL;
    for (int round = 0; round < 2; round++) {
        visit bad = {.fails = true};
        for (int i = 0; i < 3; i++) {
            ASSERT_OK(ndbuf_queue_create(i == 1 ? other : device, &queues[i], err));
        }
        ASSERT_OK(OPS->queue_host_call(queues[0], visit_run, &bad, err));
        for (int i = 0; i < 2; i++) {
            ASSERT_OK(ndbuf_queue_record(queues[i], &event, err));
            if (round == 1) {
                ASSERT_FAILS(NDBUF_ERR_IO, "disk", ndbuf_event_wait(event, err)); /* before the next one waits */
            }
            ASSERT_OK(ndbuf_queue_wait_event(queues[i + 1], event, err));
            ndbuf_event_release(event);
        }
        for (int i = 2; i >= 0; i--) {
            ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_queue_wait(queues[i], err));
            ASSERT_OK(ndbuf_queue_wait(queues[i], err));
            ndbuf_queue_release(queues[i]);
        }
    }
    ndbuf_device_close(device);
    ndbuf_device_close(other);
}

/* The host converts on the way to the other device, and the caller waits for the queue before. */
static void test_a_copy_goes_on_behind_a_failure_that_the_wait_tells(void **state)
{
    (void)state;
    const int64_t shape[1] = {1000};
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    ndbuf_format *formats[2];
    ndbuf_view src = {0};
    ndbuf_view dst = {0};
    ndbuf_view back = {0};
    ndbuf_queue *queue = NULL;
    visit bad = {.fails = true};
    ASSERT_OK(ndbuf_format_parse("h", 2, &formats[0], err));
    ASSERT_OK(ndbuf_format_parse("d", 8, &formats[1], err));
    ASSERT_OK(ndbuf_queue_create(pinned, &queue, err));
    ASSERT_OK(ndbuf_view_create(&src, pinned, formats[0], 1, shape, err));
    ASSERT_OK(ndbuf_view_create(&dst, other, formats[1], 1, shape, err));
    ASSERT_OK(ndbuf_view_create(&back, ndbuf_device_cpu(), formats[1], 1, shape, err));
    for (int16_t i = 0; i < 1000; i++) {
        ((int16_t *)ndbuf_view_host_address(&src))[i] = i;
    }
    ASSERT_OK(OPS->queue_host_call(queue, visit_run, &bad, err));
    ASSERT_OK(ndbuf_copy_cast(&dst, &src, NDBUF_CASTING_SAFE, 0, queue, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_queue_wait(queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ASSERT_OK(ndbuf_copy(&back, &dst, NULL, err));
    for (int i = 0; i < 1000; i++) {
        assert_true(((const double *)ndbuf_view_host_address(&back))[i] == i);
    }
    ndbuf_view_release(&src);
    ndbuf_view_release(&dst);
    ndbuf_view_release(&back);
    ndbuf_format_release(formats[0]);
    ndbuf_format_release(formats[1]);
    ndbuf_queue_release(queue);
    ndbuf_device_close(pinned);
    ndbuf_device_close(other);
}

/* A step of the host that fails when it is let go on. */
typedef struct held_step {
    ndbuf_queue *queue;
    atomic_bool goes_on;
    ndbuf_status waited; /* what the other thread was told */
} held_step;

static ndbuf_status held_run(void *context, ndbuf_error *err)
{
    held_step *self = context;
    while (!atomic_load(&self->goes_on)) {
        ndbuf__thread_sleep_us(100);
    }
    return ndbuf_fail(err, NDBUF_ERR_IO, "the disk is full");
}

static void *wait_elsewhere(void *context)
{
    held_step *self = context;
    self->waited = ndbuf_queue_wait(self->queue, NULL);
    return NULL;
}

static bool is_waited_for(cuda_queue *queue)
{
    ndbuf__mutex_lock(&queue->mutex);
    bool is_waited = queue->failure == NULL; /* the wait has taken it */
    ndbuf__mutex_unlock(&queue->mutex);
    return is_waited;
}

static void test_events_that_are_recorded_during_a_wait_tell_what_the_wait_does(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *side = NULL;
    ndbuf_event *events[2];
    visit good = {0};
    held_step step = {0};
    pthread_t thread;
    cudasim_set_schedule(CUDASIM_THREADS, 0); /* a step that is held stops its stream alone */
    ASSERT_OK(ndbuf_queue_create(device, &step.queue, err));
    ASSERT_OK(ndbuf_queue_create(device, &side, err));
    ASSERT_OK(OPS->queue_host_call(step.queue, held_run, &step, err));
    assert_int_equal(pthread_create(&thread, NULL, wait_elsewhere, &step), 0);
    while (!is_waited_for((cuda_queue *)step.queue)) {
        ndbuf__thread_sleep_us(100);
    }
    ASSERT_OK(ndbuf_queue_record(step.queue, &events[0], err));
    ASSERT_OK(OPS->queue_host_call(step.queue, visit_run, &good, err)); /* has a record of its own */
    ASSERT_OK(ndbuf_queue_record(step.queue, &events[1], err));
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(ndbuf_queue_wait_event(side, events[i], err));
    }
    atomic_store(&step.goes_on, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(step.waited, NDBUF_ERR_IO);
    for (int i = 0; i < 2; i++) {
        ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_event_wait(events[i], err));
        ndbuf_event_release(events[i]);
    }
    ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_queue_wait(side, err));
    ASSERT_OK(ndbuf_queue_wait(step.queue, err)); /* it is told once */
    ndbuf_queue_release(side);
    ndbuf_queue_release(step.queue);
    ndbuf_device_close(device);
}

static void test_a_wait_for_what_cannot_fail_adds_no_step_of_the_host(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queues[2];
    ndbuf_event *event = NULL;
    visit good = {0};
    ASSERT_OK(ndbuf_queue_create(device, &queues[0], err));
    ASSERT_OK(ndbuf_queue_create(device, &queues[1], err));
    ASSERT_OK(OPS->queue_host_call(queues[0], visit_run, &good, err));
    ASSERT_OK(ndbuf_queue_record(queues[0], &event, err));
    ASSERT_OK(ndbuf_event_wait(event, err)); /* and what is done has not failed */
    int64_t ncalls = cudasim_ncalls("cudaLaunchHostFunc");
    ASSERT_OK(ndbuf_queue_wait_event(queues[1], event, err));
    ndbuf_event_release(event);
    ASSERT_OK(ndbuf_queue_wait(queues[0], err));
    ASSERT_OK(ndbuf_queue_record(queues[0], &event, err));
    ASSERT_OK(ndbuf_queue_wait_event(queues[1], event, err));
    ndbuf_event_release(event);
    assert_int_equal(cudasim_ncalls("cudaLaunchHostFunc"), ncalls);
    ndbuf_queue_release(queues[0]);
    ndbuf_queue_release(queues[1]);
    ndbuf_device_close(device);
}

static void test_the_caller_waits_for_events_of_other_backends_and_the_queue_tells_their_failures(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queue = NULL;
    ndbuf_queue *host_queue = NULL;
    ndbuf_event *event = NULL;
    visit bad = {.fails = true};
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &host_queue, err));
    ASSERT_OK(ndbuf_device_cpu()->ops->queue_host_call(host_queue, visit_run, &bad, err));
    ASSERT_OK(ndbuf_queue_record(host_queue, &event, err));
    ASSERT_OK(ndbuf_queue_wait_event(queue, event, err));
    assert_int_equal(bad.nruns, 1);
    ndbuf_event_release(event);
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_event_wait(event, err));
    ndbuf_event_release(event);
    ASSERT_FAILS(NDBUF_ERR_IO, "the disk is full", ndbuf_queue_wait(queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    ndbuf_queue_release(host_queue);
    ndbuf_device_close(device);
}

static void test_many_steps_of_the_host_are_freed_on_the_way(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queue = NULL;
    visit good = {0};
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    for (int i = 0; i < COUNT; i++) {
        ASSERT_OK(OPS->queue_host_call(queue, visit_run, &good, err));
        if (i % 100 == 99) {
            ndbuf_event *event = NULL;
            ASSERT_OK(ndbuf_queue_record(queue, &event, err));
            ASSERT_OK(ndbuf_event_wait(event, err));
            ndbuf_event_release(event);
        }
    }
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_int_equal(good.nruns, COUNT);
    assert_null(((cuda_queue *)queue)->first_job);
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
}

static void test_events_are_used_again(void **state)
{
    (void)state;
    enum { COUNT = 2 * CUDA_KEPT_EVENTS };
    ndbuf_event *events[COUNT];
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            ASSERT_OK(ndbuf_queue_record(device->default_queue, &events[i], err));
        }
        for (int i = 0; i < COUNT; i++) {
            ASSERT_OK(ndbuf_event_wait(events[i], err));
            ndbuf_event_release(events[i]);
        }
        assert_int_equal(cudasim_live_now().events, CUDA_KEPT_EVENTS);
    }
    ndbuf_device_close(device);
}

static void test_a_query_does_not_leave_an_error_behind(void **state)
{
    (void)state;
    static char bytes[1 << 16];
    int32_t complete = -1;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_mem host = cuda_fixture_host(bytes, sizeof(bytes));
    ndbuf_mem mem = cuda_fixture_mem(device, bytes, sizeof(bytes));
    ndbuf_event *event = NULL;
    ASSERT_OK(OPS->copy_bytes(device->default_queue, &mem, 0, &host, 0, sizeof(bytes), err));
    ASSERT_OK(ndbuf_queue_record(device->default_queue, &event, err));
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_true(complete == 0 || complete == 1);
    assert_int_equal(extra.cudaPeekAtLastError(), cudaSuccess);
    ASSERT_OK(ndbuf_event_wait(event, err));
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_int_equal(complete, 1);
    ndbuf_event_release(event);
    OPS->mem_free(&mem);
    ndbuf_device_close(device);
}

static void test_calls_survive_each_failing_allocation(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queue = NULL;
    ndbuf_queue *other = NULL;
    ndbuf_event *event = NULL;
    visit good = {0};
    ALLOC_FAIL_SWEEP(status_ = OPS->queue_create(device, NULL, &queue, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = OPS->queue_create(device, NULL, &other, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = OPS->queue_host_call(queue, visit_run, &good, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = OPS->event_record(queue, &event, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = OPS->queue_wait_event(other, event, NULL), (void)0);
    ASSERT_OK(OPS->queue_wait(queue, err));
    ASSERT_OK(OPS->queue_wait(other, err));
    assert_int_equal(good.nruns, 1);
    OPS->event_destroy(event);
    OPS->queue_destroy(queue);
    OPS->queue_destroy(other);
    ndbuf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_streams_of_others_are_used_and_stay_theirs),
        CUDA_TEST(test_a_stream_of_another_device_is_refused),
        CUDA_TEST(test_the_stream_per_thread_is_for_the_thread_that_imported_it),
        CUDA_TEST(test_a_failure_on_the_host_is_told_once_and_by_the_events_behind_it),
        CUDA_TEST(test_a_failure_travels_with_the_event),
        CUDA_TEST(test_a_wait_for_what_cannot_fail_adds_no_step_of_the_host),
        CUDA_TEST(test_the_caller_waits_for_events_of_other_backends_and_the_queue_tells_their_failures),
        CUDA_TEST(test_many_steps_of_the_host_are_freed_on_the_way),
        CUDA_TEST(test_events_are_used_again),
        CUDA_TEST(test_a_query_does_not_leave_an_error_behind),
        CUDA_TEST(test_a_copy_goes_on_behind_a_failure_that_the_wait_tells),
        CUDA_TEST(test_calls_survive_each_failing_allocation),
        CUDA_TEST(test_events_that_are_recorded_during_a_wait_tell_what_the_wait_does),
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
