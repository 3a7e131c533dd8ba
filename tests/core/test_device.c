/* SPDX-License-Identifier: Apache-2.0 */
#include "core/device_core.h"

#include <string.h>

#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include "backends/null/null_backend.h"

static void test_the_host_is_always_there(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ASSERT_OK(ndbuf_device_open("cpu", &device, err));
    assert_ptr_equal(device, ndbuf_device_cpu());
    ASSERT_OK(ndbuf_device_open("cpu:0", &device, err));
    assert_ptr_equal(device, ndbuf_device_cpu());
    ndbuf_device_close(device);
    ndbuf_device_close(device);
    ndbuf_device_close(NULL);
    ndbuf_device_info info;
    ndbuf_device_info_get(ndbuf_device_cpu(), &info);
    assert_string_equal(info.name, "cpu");
    assert_int_equal(info.tag.type, NDBUF_DEVICE_CPU);
    assert_int_equal(ndbuf_device_tag_get(ndbuf_device_cpu()).id, 0);
    assert_true((info.flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0);
}

static void test_bad_device_names_say_what_is_wrong(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no device name", ndbuf_device_open(NULL, &device, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "unknown device 'tpu:0'", ndbuf_device_open("tpu:0", &device, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "unknown device ''", ndbuf_device_open("", &device, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'cpu:x'", ndbuf_device_open("cpu:x", &device, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'cpu:'", ndbuf_device_open("cpu:", &device, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'cpu:-1'", ndbuf_device_open("cpu:-1", &device, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'cpu:12345678901'", ndbuf_device_open("cpu:12345678901", &device, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "cpu:1", ndbuf_device_open("cpu:1", &device, err));
    /* not built, without a driver, or with fewer devices */
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "cuda:999999", ndbuf_device_open("cuda:999999", &device, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "opencl:999999", ndbuf_device_open("opencl:999999", &device, err));
    assert_null(device);
}

static void test_every_backend_gives_its_state_and_reason(void **state)
{
    (void)state;
    ndbuf_backend_info info;
    assert_true(ndbuf_backend_count() >= 3);
    ASSERT_OK(ndbuf_backend_info_get(0, &info, err));
    assert_string_equal(info.name, "cpu");
    assert_int_equal(info.status, NDBUF_OK);
    assert_int_equal(info.ndevices, 1);
    for (int32_t i = 0; i < ndbuf_backend_count(); i++) {
        ASSERT_OK(ndbuf_backend_info_get(i, &info, err));
        assert_true((info.status == NDBUF_OK) == (info.reason[0] == '\0'));
        assert_true((info.status == NDBUF_OK) == (info.ndevices > 0));
        assert_true(info.built || strstr(info.reason, "not built") != NULL);
        assert_true(info.status == NDBUF_OK || info.status == NDBUF_ERR_UNAVAILABLE);
    }
    ASSERT_FAILS(NDBUF_ERR_INDEX, "backend -1", ndbuf_backend_info_get(-1, &info, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "of", ndbuf_backend_info_get(ndbuf_backend_count(), &info, err));
}

static void test_an_open_device_of_any_backend_is_found_by_its_tag(void **state)
{
    (void)state;
    ndbuf_device *fake = NULL;
    ndbuf_device *null = NULL;
    ndbuf_device *found = NULL;
    fake_register();
    ASSERT_OK(null_backend_register(err));
    ASSERT_OK(ndbuf_device_open("fake:1", &fake, err));
    const ndbuf_device_tag tag = fake->tag;
    ASSERT_OK(ndbuf__device_of_tag(tag, &found, err));
    assert_ptr_equal(found, fake);
    ndbuf_device_close(fake);
    fake_assert_no_violation();
    assert_int_equal(fake_live_now().devices, 1); /* it was retained */

    ASSERT_OK(ndbuf_device_open("null", &null, err));
    null->tag = tag;
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "both have", ndbuf__device_of_tag(tag, &null, err));
    ndbuf_device_close(found);
    ASSERT_OK(ndbuf__device_of_tag(tag, &found, err));
    assert_ptr_equal(found, null);
    ndbuf_device_close(found);
    ndbuf_device_close(null);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "no backend for memory", ndbuf__device_of_tag(tag, &found, err));
    fake_assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_host_is_always_there),
        cmocka_unit_test(test_bad_device_names_say_what_is_wrong),
        cmocka_unit_test(test_every_backend_gives_its_state_and_reason),
        cmocka_unit_test(test_an_open_device_of_any_backend_is_found_by_its_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
