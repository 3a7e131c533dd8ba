/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define NBYTES ((size_t)1 << 20)

static void test_an_event_is_complete_after_a_wait_and_so_is_the_work(void **state)
{
    (void)state;
    static char bytes[NBYTES];
    static char back[NBYTES];
    ndbuf_event *event = NULL;
    int32_t complete = 0;
    memset(bytes, 'e', NBYTES);
    memset(back, 0, NBYTES);
    ndbuf_mem from = test_host_mem(bytes, NBYTES);
    ndbuf_mem to = test_host_mem(back, NBYTES);
    ndbuf_mem mem = conf_alloc(NBYTES, NULL);
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &from, 0, NBYTES, err));
    ASSERT_OK(conf.ops->copy_bytes(queue, &to, 0, &mem, 0, NBYTES, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ASSERT_OK(ndbuf_event_wait(event, err));
    test_assert_bytes_equal("after the event", back, bytes, NBYTES);
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_true(complete);
    ASSERT_OK(ndbuf_event_wait(event, err));
    ndbuf_event_release(event);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    conf.ops->mem_free(&mem);
}

/* A host call that holds up its queue until the test lets it go. */
static ndbuf_status wait_for_flag(void *context, ndbuf_error *err)
{
    (void)err;
    while (!atomic_load((atomic_bool *)context)) {
        sched_yield();
    }
    return NDBUF_OK;
}

static void test_an_event_is_not_complete_before_the_work(void **state)
{
    (void)state;
    atomic_bool flag = false;
    ndbuf_event *event = NULL;
    int32_t complete = 1;
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->queue_host_call(queue, wait_for_flag, &flag, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_false(complete);
    atomic_store(&flag, true);
    ASSERT_OK(ndbuf_event_wait(event, err));
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_true(complete);
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
}

static void test_an_event_completes_without_being_waited_for(void **state)
{
    (void)state;
    char bytes[] = "query";
    int32_t complete = 0;
    ndbuf_event *event = NULL;
    ndbuf_mem from = test_host_mem(bytes, 5);
    ndbuf_mem mem = conf_alloc(5, NULL);
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &from, 0, 5, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    for (int i = 0; i < 2000 && !complete; i++) {
        struct timespec pause = {0, 5 * 1000 * 1000};
        ASSERT_OK(ndbuf_event_query(event, &complete, err));
        if (!complete && i > 20) {
            nanosleep(&pause, NULL);
        }
    }
    assert_true(complete);
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
    conf.ops->mem_free(&mem);
}

static void test_events_of_an_empty_queue_can_be_waited_for(void **state)
{
    (void)state;
    ndbuf_event *event = NULL;
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ASSERT_OK(ndbuf_event_wait(event, err));
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
}

static void test_an_event_outlives_its_queue(void **state)
{
    (void)state;
    int32_t complete = 0;
    ndbuf_event *event = NULL;
    ndbuf_queue *queue = conf_queue_create();
    ndbuf_queue *other = conf_queue_create();
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ndbuf_queue_release(queue);
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_true(complete);
    ASSERT_OK(ndbuf_event_wait(event, err));
    ASSERT_OK(ndbuf_queue_wait_event(other, event, err));
    ASSERT_OK(ndbuf_queue_wait(other, err));
    ndbuf_event_release(event);
    ndbuf_queue_release(other);
}

static void test_a_queue_waits_for_events_of_another_one(void **state)
{
    (void)state;
    static char back[NBYTES];
    static char expected[NBYTES];
    ndbuf_event *event = NULL;
    memset(expected, 'L', NBYTES);
    ndbuf_mem from = conf_ordered_host_alloc(NBYTES, 'E');
    ndbuf_mem to = test_host_mem(back, NBYTES);
    ndbuf_mem mem = conf_alloc(NBYTES, NULL);
    ndbuf_queue *first = conf_queue_create();
    ndbuf_queue *second = conf_queue_create();
    conf_late_bytes late = {from.host_address, NBYTES};
    ASSERT_OK(conf.ops->queue_host_call(first, conf_write_late, &late, err));
    ASSERT_OK(conf.ops->copy_bytes(first, &mem, 0, &from, 0, NBYTES, err));
    ASSERT_OK(ndbuf_queue_record(first, &event, err));
    ASSERT_OK(ndbuf_queue_wait_event(second, event, err));
    ndbuf_event_release(event);
    ASSERT_OK(conf.ops->copy_bytes(second, &to, 0, &mem, 0, NBYTES, err));
    ASSERT_OK(ndbuf_queue_wait(second, err));
    test_assert_bytes_equal("behind the event", back, expected, NBYTES);
    ASSERT_OK(ndbuf_queue_wait(first, err));
    ndbuf_queue_release(first);
    ndbuf_queue_release(second);
    conf.ops->mem_free(&mem);
    from.device->ops->mem_free(&from);
}

/* The device's queue is late; a host call in the peer's queue reads behind the device's event. */
typedef struct late_reader {
    const char *bytes;
    bool saw_all;
} late_reader;

static ndbuf_status read_behind(void *context, ndbuf_error *err)
{
    (void)err;
    late_reader *self = context;
    self->saw_all = self->bytes[0] == 'L' && self->bytes[NBYTES - 1] == 'L';
    return NDBUF_OK;
}

static void test_queues_of_all_devices_wait_for_its_events(void **state)
{
    (void)state;
    static char late[NBYTES];
    for (int32_t p = 0; p < conf.npeers; p++) {
        ndbuf_queue *queue = conf_queue_create();
        ndbuf_queue *other = NULL;
        ndbuf_event *event = NULL;
        late_reader reader = {late, false};
        conf_late_bytes step = {late, NBYTES};
        memset(late, 'E', NBYTES);
        ASSERT_OK(ndbuf_queue_create(conf.peers[p], &other, err));
        ASSERT_OK(conf.ops->queue_host_call(queue, conf_write_late, &step, err));
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        ASSERT_OK(ndbuf_queue_wait_event(other, event, err));
        ndbuf_event_release(event); /* the queue keeps it */
        ASSERT_OK(other->device->ops->queue_host_call(other, read_behind, &reader, err));
        ASSERT_OK(ndbuf_queue_wait(other, err));
        assert_true(reader.saw_all);
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        ndbuf_queue_release(other);
        ndbuf_queue_release(queue);
    }
}

/* The host writes late; the device's queue waits for the host's event. */
static void test_the_device_waits_for_an_event_of_the_host(void **state)
{
    (void)state;
    static char late[NBYTES];
    static char back[NBYTES];
    static char expected[NBYTES];
    ndbuf_event *event = NULL;
    ndbuf_queue *host_queue = NULL;
    memset(late, 'E', NBYTES);
    memset(expected, 'L', NBYTES);
    ndbuf_mem from = test_host_mem(late, NBYTES);
    ndbuf_mem mem = conf_alloc(NBYTES, NULL);
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &host_queue, err));
    conf_late_bytes step = {late, NBYTES};
    ASSERT_OK(ndbuf_device_cpu()->ops->queue_host_call(host_queue, conf_write_late, &step, err));
    ASSERT_OK(ndbuf_queue_record(host_queue, &event, err));
    ASSERT_OK(ndbuf_queue_wait_event(queue, event, err));
    ndbuf_event_release(event);
    ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &from, 0, NBYTES, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    test_download(&mem, 0, back, NBYTES);
    test_assert_bytes_equal("behind the host's event", back, expected, NBYTES);
    ndbuf_queue_release(queue);
    ndbuf_queue_release(host_queue);
    conf.ops->mem_free(&mem);
}

static ndbuf_status fail_call(void *context, ndbuf_error *err)
{
    (void)context;
    return ndbuf_fail(err, NDBUF_ERR_DEVICE, "burnt down");
}

static void test_a_failed_event_is_complete_and_its_wait_tells(void **state)
{
    (void)state;
    int32_t complete = 0;
    ndbuf_event *event = NULL;
    ndbuf_error error = {0};
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->queue_host_call(queue, fail_call, NULL, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    assert_int_equal(ndbuf_event_wait(event, &error), NDBUF_ERR_DEVICE);
    assert_int_equal(error.status, NDBUF_ERR_DEVICE);
    assert_int_not_equal(strlen(error.message), 0);
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_true(complete);
    assert_int_equal(ndbuf_queue_wait(queue, &error), NDBUF_ERR_DEVICE); /* the queue's own telling is still due */
    ndbuf_event_release(event);
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ASSERT_OK(ndbuf_event_wait(event, err)); /* what was told is over */
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
}

CONF_TOPIC(event, cmocka_unit_test(test_an_event_is_complete_after_a_wait_and_so_is_the_work),
           cmocka_unit_test(test_an_event_is_not_complete_before_the_work),
           cmocka_unit_test(test_an_event_completes_without_being_waited_for),
           cmocka_unit_test(test_events_of_an_empty_queue_can_be_waited_for),
           cmocka_unit_test(test_an_event_outlives_its_queue),
           cmocka_unit_test(test_a_queue_waits_for_events_of_another_one),
           cmocka_unit_test(test_queues_of_all_devices_wait_for_its_events),
           cmocka_unit_test(test_the_device_waits_for_an_event_of_the_host),
           cmocka_unit_test(test_a_failed_event_is_complete_and_its_wait_tells))
