/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <string.h>

#define NBYTES ((size_t)256 << 10)

static void test_copies_that_follow_each_other_see_the_results(void **state)
{
    (void)state;
    enum { LINKS = 12 };
    static char start[NBYTES];
    static char end[NBYTES];
    ndbuf_mem chain[LINKS];
    test_random random = test_random_make(__func__, 1);
    test_random_fill(&random, start, sizeof(start));
    for (int i = 0; i < LINKS; i++) {
        chain[i] = conf_alloc(NBYTES, NULL);
    }
    ndbuf_mem from = test_host_mem(start, NBYTES);
    ndbuf_mem to = test_host_mem(end, NBYTES);
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->copy_bytes(queue, &chain[0], 0, &from, 0, NBYTES, err));
    for (int i = 1; i < LINKS; i++) {
        ASSERT_OK(conf.ops->copy_bytes(queue, &chain[i], 0, &chain[i - 1], 0, NBYTES, err));
    }
    ASSERT_OK(conf.ops->copy_bytes(queue, &to, 0, &chain[LINKS - 1], 0, NBYTES, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    test_assert_bytes_equal("after the chain", end, start, NBYTES);
    ndbuf_queue_release(queue);
    for (int i = 0; i < LINKS; i++) {
        conf.ops->mem_free(&chain[i]);
    }
}

static void test_the_later_of_two_copies_to_one_place_wins(void **state)
{
    (void)state;
    char bytes[8];
    ndbuf_queue *queue = conf_queue_create();
    ndbuf_mem mem = conf_alloc(8, NULL);
    for (int i = 0; i < 100; i++) {
        char one[] = "11111111";
        char two[] = "22222222";
        ndbuf_mem first = test_host_mem(one, 8);
        ndbuf_mem second = test_host_mem(two, 8);
        ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &first, 0, 8, err));
        ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 2, &second, 0, 4, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        test_download(&mem, 0, bytes, 8);
        assert_memory_equal(bytes, "11222211", 8);
    }
    conf.ops->mem_free(&mem);
    ndbuf_queue_release(queue);
}

static void test_waiting_for_an_empty_queue_returns(void **state)
{
    (void)state;
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
}

static void test_the_last_reference_waits_for_the_work(void **state)
{
    (void)state;
    static char bytes[NBYTES];
    static char back[NBYTES];
    memset(bytes, 'x', NBYTES);
    memset(back, 0, NBYTES);
    ndbuf_mem from = test_host_mem(bytes, NBYTES);
    ndbuf_mem to = test_host_mem(back, NBYTES);
    ndbuf_mem mem = conf_alloc(NBYTES, NULL);
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &from, 0, NBYTES, err));
    ASSERT_OK(conf.ops->copy_bytes(queue, &to, 0, &mem, 0, NBYTES, err));
    ndbuf_queue_release(queue);
    test_assert_bytes_equal("after the queue", back, bytes, NBYTES);
    conf.ops->mem_free(&mem);
}

static void test_many_queues_can_live_at_once(void **state)
{
    (void)state;
    enum { COUNT = 16 };
    ndbuf_queue *queues[COUNT];
    char bytes[COUNT];
    ndbuf_mem mem = conf_alloc(COUNT, NULL);
    char letters[] = "abcdefghijklmnop";
    ndbuf_mem from = test_host_mem(letters, COUNT);
    for (int i = 0; i < COUNT; i++) {
        queues[i] = conf_queue_create();
        assert_ptr_equal(ndbuf_queue_device(queues[i]), conf.device);
        ASSERT_OK(conf.ops->copy_bytes(queues[i], &mem, i, &from, i, 1, err));
    }
    for (int i = 0; i < COUNT; i++) {
        ASSERT_OK(ndbuf_queue_wait(queues[i], err));
        ndbuf_queue_release(queues[i]);
    }
    test_download(&mem, 0, bytes, COUNT);
    assert_memory_equal(bytes, letters, COUNT);
    conf.ops->mem_free(&mem);
}

static void test_a_native_queue_can_be_imported_where_there_is_one(void **state)
{
    (void)state;
    char bytes[4];
    ndbuf_queue *imported = (ndbuf_queue *)&bytes;
    ndbuf_queue *queue = conf_queue_create();
    if (ndbuf_queue_native(queue) == NULL) {
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "native", ndbuf_queue_import(conf.device, (void *)&bytes, &imported, err));
        assert_ptr_equal(imported, &bytes);
    } else {
        ndbuf_mem mem = conf_alloc(4, NULL);
        char letters[] = "abcd";
        ndbuf_mem from = test_host_mem(letters, 4);
        ASSERT_OK(ndbuf_queue_import(conf.device, ndbuf_queue_native(queue), &imported, err));
        assert_ptr_equal(ndbuf_queue_native(imported), ndbuf_queue_native(queue));
        ASSERT_OK(conf.ops->copy_bytes(imported, &mem, 0, &from, 0, 4, err));
        ASSERT_OK(ndbuf_queue_wait(imported, err));
        ndbuf_queue_release(imported);
        test_download(&mem, 0, bytes, 4);
        assert_memory_equal(bytes, "abcd", 4);
        conf.ops->mem_free(&mem);
    }
    ASSERT_OK(ndbuf_queue_wait(queue, err)); /* it is still good */
    ndbuf_queue_release(queue);
}

CONF_TOPIC(queue, cmocka_unit_test(test_copies_that_follow_each_other_see_the_results),
           cmocka_unit_test(test_the_later_of_two_copies_to_one_place_wins),
           cmocka_unit_test(test_waiting_for_an_empty_queue_returns),
           cmocka_unit_test(test_the_last_reference_waits_for_the_work),
           cmocka_unit_test(test_many_queues_can_live_at_once),
           cmocka_unit_test(test_a_native_queue_can_be_imported_where_there_is_one))
