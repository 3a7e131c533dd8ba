/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <stdatomic.h>
#include <string.h>

#include "ndbuf/storage.h"

static ndbuf_status count_call(void *context, ndbuf_error *err)
{
    (void)err;
    atomic_fetch_add((_Atomic(int) *)context, 1);
    return NDBUF_OK;
}

typedef struct ordered_call {
    int number;
    int *next; /* which number has to come now */
    int *nwrong;
} ordered_call;

static ndbuf_status check_order(void *context, ndbuf_error *err)
{
    (void)err;
    ordered_call *call = context;
    *call->nwrong += *call->next != call->number;
    *call->next = call->number + 1;
    return NDBUF_OK;
}

static void test_host_calls_run_once_each_and_in_order(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    static ordered_call calls[COUNT];
    int next = 0;
    int nwrong = 0;
    ndbuf_queue *queue = conf_queue_create();
    for (int i = 0; i < COUNT; i++) {
        calls[i] = (ordered_call){i, &next, &nwrong};
        ASSERT_OK(conf.ops->queue_host_call(queue, check_order, &calls[i], err));
    }
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_int_equal(next, COUNT);
    assert_int_equal(nwrong, 0);
    ndbuf_queue_release(queue);
}

/* Adds 1 to each byte of a host buffer. */
typedef struct increment {
    unsigned char *bytes;
    size_t nbytes;
} increment;

static ndbuf_status run_increment(void *context, ndbuf_error *err)
{
    (void)err;
    increment *self = context;
    for (size_t i = 0; i < self->nbytes; i++) {
        self->bytes[i]++;
    }
    return NDBUF_OK;
}

static void test_host_calls_keep_their_place_between_copies(void **state)
{
    (void)state;
    enum { NBYTES = 100000, ROUNDS = 20 };
    static unsigned char bytes[NBYTES];
    static unsigned char expected[NBYTES];
    memset(bytes, 1, NBYTES);
    memset(expected, 1 + ROUNDS, NBYTES);
    ndbuf_mem host = conf_ordered_host_alloc(NBYTES, 0);
    increment context = {host.host_address, NBYTES};
    ndbuf_mem mem = conf_alloc(NBYTES, bytes);
    ndbuf_queue *queue = conf_queue_create();
    for (int i = 0; i < ROUNDS; i++) {
        ASSERT_OK(conf.ops->copy_bytes(queue, &host, 0, &mem, 0, NBYTES, err));
        ASSERT_OK(conf.ops->queue_host_call(queue, run_increment, &context, err));
        ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &host, 0, NBYTES, err));
    }
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    test_download(&mem, 0, bytes, NBYTES);
    test_assert_bytes_equal("device, host, device", bytes, expected, NBYTES);
    conf.ops->mem_free(&mem);
    host.device->ops->mem_free(&host);
}

static ndbuf_status wait_for_flag(void *context, ndbuf_error *err)
{
    (void)err;
    while (!atomic_load((atomic_bool *)context)) {
    }
    return NDBUF_OK;
}

static void test_host_calls_do_not_block_the_caller(void **state)
{
    (void)state;
    atomic_bool flag = false;
    _Atomic(int) ncalls = 0;
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->queue_host_call(queue, wait_for_flag, &flag, err));
    ASSERT_OK(conf.ops->queue_host_call(queue, count_call, &ncalls, err));
    assert_int_equal(ncalls, 0);
    atomic_store(&flag, true);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_int_equal(ncalls, 1);
    ndbuf_queue_release(queue);
}

static ndbuf_status fail_call(void *context, ndbuf_error *err)
{
    return ndbuf_fail_native(err, NDBUF_ERR_IO, 77, "%s", (const char *)context);
}

static void test_a_failed_host_call_is_told_once_by_the_next_wait(void **state)
{
    (void)state;
    _Atomic(int) ncalls = 0;
    ndbuf_error error = {0};
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->queue_host_call(queue, fail_call, (void *)"the disk is full", err));
    ASSERT_OK(conf.ops->queue_host_call(queue, count_call, &ncalls, err));
    assert_int_equal(ndbuf_queue_wait(queue, &error), NDBUF_ERR_IO);
    assert_int_equal(error.status, NDBUF_ERR_IO);
    assert_int_equal(error.native_code, 77);
    assert_non_null(strstr(error.message, "the disk is full"));
    assert_int_equal(ncalls, 1); /* even when earlier work has failed */
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ASSERT_OK(conf.ops->queue_host_call(queue, count_call, &ncalls, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_int_equal(ncalls, 2);
    ndbuf_queue_release(queue);
}

static void test_a_queue_works_again_after_a_failure_was_told(void **state)
{
    (void)state;
    char bytes[4] = {0};
    ndbuf_error error = {0};
    char letters[] = "abcd";
    ndbuf_mem from = test_host_mem(letters, 4);
    ndbuf_mem to = test_host_mem(bytes, 4);
    ndbuf_mem mem = conf_alloc(4, NULL);
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->queue_host_call(queue, fail_call, (void *)"no", err));
    assert_int_equal(ndbuf_queue_wait(queue, &error), NDBUF_ERR_IO);
    ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &from, 0, 4, err));
    ASSERT_OK(conf.ops->copy_bytes(queue, &to, 0, &mem, 0, 4, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_memory_equal(bytes, "abcd", 4);
    ndbuf_queue_release(queue);
    conf.ops->mem_free(&mem);
}

static void test_a_failure_is_not_told_by_another_queue(void **state)
{
    (void)state;
    ndbuf_error error = {0};
    ndbuf_queue *queue = conf_queue_create();
    ndbuf_queue *other = conf_queue_create();
    ASSERT_OK(conf.ops->queue_host_call(queue, fail_call, (void *)"here", err));
    ASSERT_OK(ndbuf_queue_wait(other, err));
    assert_int_equal(ndbuf_queue_wait(queue, &error), NDBUF_ERR_IO);
    ndbuf_queue_release(queue);
    ndbuf_queue_release(other);
}

/* A host call that moves bytes by a queue of its own. */
typedef struct nested_copy {
    ndbuf_queue *queue;
    const ndbuf_mem *dst;
    const ndbuf_mem *src;
} nested_copy;

static ndbuf_status run_nested_copy(void *context, ndbuf_error *err)
{
    nested_copy *self = context;
    ndbuf_status status =
        conf.ops->copy_bytes(self->queue, self->dst, 0, self->src, 0, (int64_t)self->src->nbytes, err);
    return status == NDBUF_OK ? conf.ops->queue_wait(self->queue, err) : status;
}

static void test_a_host_call_may_use_another_queue(void **state)
{
    (void)state;
    char bytes[4] = {0};
    char letters[] = "abcd";
    ndbuf_mem from = test_host_mem(letters, 4);
    ndbuf_mem to = test_host_mem(bytes, 4);
    ndbuf_mem mem = conf_alloc(4, "....");
    ndbuf_queue *queue = conf_queue_create();
    ndbuf_queue *other = conf_queue_create();
    nested_copy contexts[2] = {{other, &mem, &from}, {conf.device->default_queue, &mem, &from}};
    for (int i = 0; i < 2; i++) {
        memset(bytes, 0, sizeof(bytes));
        test_upload(&mem, 0, "....", 4);
        ASSERT_OK(conf.ops->queue_host_call(queue, run_nested_copy, &contexts[i], err));
        ASSERT_OK(conf.ops->copy_bytes(queue, &to, 0, &mem, 0, 4, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        assert_memory_equal(bytes, "abcd", 4);
    }
    ndbuf_queue_release(other);
    ndbuf_queue_release(queue);
    conf.ops->mem_free(&mem);
}

/* Turns the bytes of a range around, or copies from the second range to the first one. */
typedef struct mapped_work {
    size_t nbytes;
    int nranges;
    atomic_int nruns;
} mapped_work;

static void run_mapped_work(void *context, void *const *addresses)
{
    mapped_work *self = context;
    char *to = addresses[0];
    if (self->nranges == 2) {
        memcpy(to, addresses[1], self->nbytes);
    }
    for (size_t i = 0; self->nranges == 1 && i < self->nbytes / 2; i++) {
        char swap = to[i];
        to[i] = to[self->nbytes - 1 - i];
        to[self->nbytes - 1 - i] = swap;
    }
    atomic_fetch_add(&self->nruns, 1);
}

static bool can_map(void)
{
    return (conf_copy_flags(conf.device, ndbuf_device_cpu()) & NDBUF_CAN_MAP) != 0;
}

static void test_a_mapped_call_reaches_one_range_at_its_place_in_the_queue(void **state)
{
    (void)state;
    char bytes[10];
    char letters[] = "abcdefghij";
    if (!can_map()) {
        skip();
    }
    ndbuf_mem from = test_host_mem(letters, 10);
    ndbuf_mem to = test_host_mem(bytes, 10);
    ndbuf_mem mem = conf_alloc(10, "0123456789");
    ndbuf_queue *queue = conf_queue_create();
    mapped_work work = {.nbytes = 4, .nranges = 1};
    const ndbuf_mapped_range range = {
        .mem = &mem, .offset = 3, .nbytes = 4, .map_flags = NDBUF_MAP_READ | NDBUF_MAP_WRITE};
    ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &from, 0, 10, err));
    ASSERT_OK(conf.ops->queue_mapped_call(queue, &range, 1, run_mapped_work, &work, err));
    ASSERT_OK(conf.ops->copy_bytes(queue, &to, 0, &mem, 0, 10, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_memory_equal(bytes, "abcgfedhij", 10);
    assert_int_equal(atomic_load(&work.nruns), 1);
    ndbuf_queue_release(queue);
    conf.ops->mem_free(&mem);
}

/* In both orders: which address belongs to which range must not depend on where the memory lies. */
static void test_a_mapped_call_reaches_two_ranges_in_their_order(void **state)
{
    (void)state;
    char bytes[10];
    if ((conf_copy_flags(conf.device, conf.device) & NDBUF_CAN_MAP) == 0) {
        skip();
    }
    ndbuf_mem mems[2] = {conf_alloc(10, "0123456789"), conf_alloc(10, "abcdefghij")};
    for (int i = 0; i < 2; i++) {
        mapped_work work = {.nbytes = 3, .nranges = 2};
        const ndbuf_mapped_range ranges[2] = {
            {.mem = &mems[i], .offset = 7, .nbytes = 3, .map_flags = NDBUF_MAP_WRITE},
            {.mem = &mems[1 - i], .offset = 2, .nbytes = 3, .map_flags = NDBUF_MAP_READ}};
        ASSERT_OK(conf.ops->queue_mapped_call(conf.device->default_queue, ranges, 2, run_mapped_work, &work, err));
        ASSERT_OK(conf.ops->queue_wait(conf.device->default_queue, err));
        test_download(&mems[i], 0, bytes, 10);
        assert_memory_equal(bytes, i == 0 ? "0123456cde" : "abcdefg234", 10);
    }
    conf.ops->mem_free(&mems[0]);
    conf.ops->mem_free(&mems[1]);
}

static void test_mapped_calls_do_not_run_before_a_host_call_that_precedes_them(void **state)
{
    (void)state;
    if (!can_map()) {
        skip();
    }
    atomic_bool flag = false;
    ndbuf_mem mem = conf_alloc(4, "abcd");
    ndbuf_queue *queue = conf_queue_create();
    mapped_work work = {.nbytes = 4, .nranges = 1};
    const ndbuf_mapped_range range = {.mem = &mem, .nbytes = 4, .map_flags = NDBUF_MAP_READ | NDBUF_MAP_WRITE};
    ASSERT_OK(conf.ops->queue_host_call(queue, wait_for_flag, &flag, err));
    ASSERT_OK(conf.ops->queue_mapped_call(queue, &range, 1, run_mapped_work, &work, err));
    assert_int_equal(atomic_load(&work.nruns), 0);
    atomic_store(&flag, true);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_int_equal(atomic_load(&work.nruns), 1);
    ndbuf_queue_release(queue);
    conf.ops->mem_free(&mem);
}

CONF_TOPIC(host_call, cmocka_unit_test(test_host_calls_run_once_each_and_in_order),
           cmocka_unit_test(test_host_calls_keep_their_place_between_copies),
           cmocka_unit_test(test_host_calls_do_not_block_the_caller),
           cmocka_unit_test(test_a_failed_host_call_is_told_once_by_the_next_wait),
           cmocka_unit_test(test_a_queue_works_again_after_a_failure_was_told),
           cmocka_unit_test(test_a_failure_is_not_told_by_another_queue),
           cmocka_unit_test(test_a_host_call_may_use_another_queue),
           cmocka_unit_test(test_a_mapped_call_reaches_one_range_at_its_place_in_the_queue),
           cmocka_unit_test(test_a_mapped_call_reaches_two_ranges_in_their_order),
           cmocka_unit_test(test_mapped_calls_do_not_run_before_a_host_call_that_precedes_them))
