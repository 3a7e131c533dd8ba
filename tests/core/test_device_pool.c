/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include <string.h>

#include "core/copy_plan.h"
#include "core/device_core.h"

static ndbuf_device *device;

static int open_fake(void **state)
{
    (void)state;
    fake_register();
    return ndbuf_device_open("fake:0", &device, NULL) == NDBUF_OK ? 0 : -1;
}

static int close_fake(void **state)
{
    (void)state;
    ndbuf_device_close(device);
    fake_assert_clean();
    return 0;
}

static void test_a_staging_buffer_is_given_again(void **state)
{
    (void)state;
    ndbuf_mem first = {0};
    ndbuf_mem second = {0};
    ndbuf_mem third = {0};
    ASSERT_OK(ndbuf__staging_take(device, 100, &first, err));
    ASSERT_OK(ndbuf__staging_take(device, 100, &second, err));
    assert_true(first.host_address != second.host_address);
    assert_true(first.nbytes >= 100);
    memset(first.host_address, 1, first.nbytes);
    void *address = first.host_address;
    ndbuf__staging_give(device, &first);
    ASSERT_OK(ndbuf__staging_take(device, NDBUF__STAGING_NBYTES, &third, err));
    assert_ptr_equal(third.host_address, address);
    ndbuf__staging_give(device, &second);
    ndbuf__staging_give(device, &third);
}

static void test_more_buffers_than_are_kept_and_larger_ones_are_freed(void **state)
{
    (void)state;
    enum { COUNT = NDBUF__POOL_NBUFFERS + 3 };
    ndbuf_mem mems[COUNT];
    ndbuf_mem large = {0};
    for (int i = 0; i < COUNT; i++) {
        ASSERT_OK(ndbuf__staging_take(device, 1, &mems[i], err));
    }
    for (int i = 0; i < COUNT; i++) {
        ndbuf__staging_give(device, &mems[i]);
    }
    assert_int_equal(device->core->pool.staging.count, NDBUF__POOL_NBUFFERS);
    ASSERT_OK(ndbuf__staging_take(device, NDBUF__STAGING_NBYTES + 1, &large, err));
    assert_true(large.nbytes > (size_t)NDBUF__STAGING_NBYTES);
    assert_int_equal(device->core->pool.staging.count, NDBUF__POOL_NBUFFERS);
    ndbuf__staging_give(device, &large);
    assert_int_equal(device->core->pool.staging.count, NDBUF__POOL_NBUFFERS);
}

static void test_a_helper_queue_is_given_again_and_some_are_kept(void **state)
{
    (void)state;
    enum { COUNT = NDBUF__POOL_NQUEUES + 2 };
    ndbuf_queue *queues[COUNT];
    ndbuf_queue *again = NULL;
    for (int i = 0; i < COUNT; i++) {
        ASSERT_OK(ndbuf__helper_queue_take(device, &queues[i], err));
        assert_ptr_equal(queues[i]->device, device);
        for (int k = 0; k < i; k++) {
            assert_true(queues[i] != queues[k]);
        }
    }
    for (int i = 0; i < COUNT; i++) {
        ndbuf__helper_queue_give(queues[i]);
    }
    assert_int_equal(fake_live_now().queues, NDBUF__POOL_NQUEUES);
    int64_t ncalls = fake_ncalls(FAKE_queue_create);
    ASSERT_OK(ndbuf__helper_queue_take(device, &again, err));
    assert_int_equal(fake_ncalls(FAKE_queue_create), ncalls);
    ndbuf__helper_queue_give(again);
}

static void test_a_failed_take_says_why(void **state)
{
    (void)state;
    ndbuf_mem mem = {0};
    ndbuf_queue *queue = NULL;
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "staging buffer", ndbuf__staging_take(device, INT64_MAX / 2, &mem, err));
    assert_null(mem.host_address);
    ndbuf__device_pool_clear(&device->core->pool);
    device->core->pool = (ndbuf__device_pool){0};
    ndbuf__device_pool_init(&device->core->pool);
    fake_fail_call(FAKE_queue_create, 1);
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "injected", ndbuf__helper_queue_take(device, &queue, err));
    fake_fail_call(FAKE_queue_create, 0);
    assert_null(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_staging_buffer_is_given_again, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(test_more_buffers_than_are_kept_and_larger_ones_are_freed, open_fake,
                                        close_fake),
        cmocka_unit_test_setup_teardown(test_a_helper_queue_is_given_again_and_some_are_kept, open_fake, close_fake),
        cmocka_unit_test_setup_teardown(test_a_failed_take_says_why, open_fake, close_fake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
