/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <stdio.h>
#include <string.h>

static void test_the_count_of_devices_stays(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        int32_t count = -1;
        ASSERT_OK(conf.ops->device_count(&count, err));
        assert_int_equal(count, conf.ndevices);
    }
}

static void test_a_device_describes_itself(void **state)
{
    (void)state;
    ndbuf_device_info info;
    memset(&info, 0x5A, sizeof(info));
    ndbuf_device_info_get(conf.device, &info);
    assert_true(strlen(info.description) > 0 && strlen(info.description) < sizeof(info.description));
    assert_true(strlen(info.driver) < sizeof(info.driver));
    assert_true(info.max_allocation_nbytes <= info.memory_nbytes || info.memory_nbytes == 0);
    assert_int_equal(info.tag.type, conf.device->tag.type);
    assert_int_equal(info.tag.id, conf.device->tag.id);
    assert_int_equal(info.flags, conf.device->flags);
    assert_int_equal(strncmp(info.name, conf.backend, strlen(conf.backend)), 0);
}

static void test_opening_a_device_again_gives_the_same(void **state)
{
    (void)state;
    ndbuf_device_info info;
    ndbuf_device *again = NULL;
    ndbuf_device_info_get(conf.device, &info);
    ASSERT_OK(ndbuf_device_open(info.name, &again, err));
    assert_ptr_equal(again, conf.device);
    ndbuf_device_close(again);
}

static void test_a_device_that_is_not_there_is_unavailable(void **state)
{
    (void)state;
    char name[48];
    ndbuf_device *device = (ndbuf_device *)&name;
    snprintf(name, sizeof(name), "%s:%d", conf.backend, (int)conf.ndevices);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, name, ndbuf_device_open(name, &device, err));
    assert_ptr_equal(device, &name);
}

static void test_devices_differ_in_their_tags(void **state)
{
    (void)state;
    for (int32_t i = 0; i < conf.ndevices; i++) {
        for (int32_t k = 0; k < i; k++) {
            ndbuf_device_tag a = conf.devices[i]->tag;
            ndbuf_device_tag b = conf.devices[k]->tag;
            assert_true(a.type != b.type || a.id != b.id);
        }
    }
}

static void test_a_device_has_a_default_queue_of_its_own(void **state)
{
    (void)state;
    assert_non_null(conf.device->default_queue);
    assert_ptr_equal(conf.device->default_queue->device, conf.device);
    ASSERT_OK(conf.ops->queue_wait(conf.device->default_queue, err));
}

CONF_TOPIC(device, cmocka_unit_test(test_the_count_of_devices_stays), cmocka_unit_test(test_a_device_describes_itself),
           cmocka_unit_test(test_opening_a_device_again_gives_the_same),
           cmocka_unit_test(test_a_device_that_is_not_there_is_unavailable),
           cmocka_unit_test(test_devices_differ_in_their_tags),
           cmocka_unit_test(test_a_device_has_a_default_queue_of_its_own))
