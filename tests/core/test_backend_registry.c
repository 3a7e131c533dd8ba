/* SPDX-License-Identifier: Apache-2.0 */
#include "core/backend_registry.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/device_core.h"
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include "backends/null/null_backend.h"

/* The table of a backend that works, under another name. */
static ndbuf_backend_ops table_like_fake(const char *name)
{
    ndbuf_device *device = NULL;
    fake_register();
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ndbuf_backend_ops ops = *device->ops;
    ndbuf_device_close(device);
    ops.name = name;
    return ops;
}

static bool info_of(const char *name, ndbuf_backend_info *out_info)
{
    int32_t count = ndbuf_backend_count();
    for (int32_t i = 0; i < count; i++) {
        ASSERT_OK(ndbuf_backend_info_get(i, out_info, err));
        if (strcmp(out_info->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static ndbuf_status (*open_fake)(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err);

static ndbuf_status open_beside_the_host(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    assert_non_null(ndbuf_device_cpu());
    return open_fake(ordinal, out_device, err);
}

/* The first test: nobody has asked for the host's device yet. */
static void test_a_backend_may_ask_for_the_host_as_it_opens(void **state)
{
    (void)state;
    static ndbuf_backend_ops ops;
    ndbuf_device *device = NULL;
    ops = table_like_fake("beside_the_host");
    open_fake = ops.device_open;
    ops.device_open = open_beside_the_host;
    ASSERT_OK(ndbuf_backend_register(&ops, err));
    alarm(60);
    ASSERT_OK(ndbuf_device_open("beside_the_host:0", &device, err));
    alarm(0);
    ndbuf_device_close(device);
}

static void test_the_host_comes_first_and_is_there(void **state)
{
    (void)state;
    ndbuf_backend_info info;
    ASSERT_OK(ndbuf_backend_info_get(0, &info, err));
    assert_string_equal(info.name, "cpu");
    assert_int_equal(info.status, NDBUF_OK);
    assert_int_equal(info.built, 1);
    assert_int_equal(info.ndevices, 1);
    assert_string_equal(info.reason, "");
}

static void test_a_backend_that_was_not_built_tells_why(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    int32_t count = ndbuf_backend_count();
    for (int32_t i = 0; i < count; i++) {
        ndbuf_backend_info info;
        ASSERT_OK(ndbuf_backend_info_get(i, &info, err));
        if (!info.built) {
            assert_int_equal(info.status, NDBUF_ERR_UNAVAILABLE);
            assert_int_equal(info.ndevices, 0);
            assert_non_null(strstr(info.reason, "not built: "));
            ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, info.reason, ndbuf_device_open(info.name, &device, err));
        }
    }
    assert_null(device);
}

static void test_an_index_outside_is_refused(void **state)
{
    (void)state;
    ndbuf_backend_info info;
    memset(&info, 0x5A, sizeof(info));
    ndbuf_backend_info before = info;
    ASSERT_FAILS(NDBUF_ERR_INDEX, "backend -1", ndbuf_backend_info_get(-1, &info, err));
    char text[40];
    snprintf(text, sizeof(text), "backend %d", (int)ndbuf_backend_count());
    ASSERT_FAILS(NDBUF_ERR_INDEX, text, ndbuf_backend_info_get(ndbuf_backend_count(), &info, err));
    assert_memory_equal(&info, &before, sizeof(info));
}

static void test_a_registered_backend_is_found_and_opens(void **state)
{
    (void)state;
    ndbuf_backend_info info;
    ndbuf_device *device = NULL;
    int32_t before = ndbuf_backend_count();
    assert_false(info_of("null", &info));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "null:0", ndbuf_device_open("null:0", &device, err));
    ASSERT_OK(null_backend_register(err));
    assert_int_equal(ndbuf_backend_count(), before + 1);
    assert_true(info_of("null", &info));
    assert_int_equal(info.ndevices, 1);
    ASSERT_OK(ndbuf_device_open("null", &device, err));
    ndbuf_device_close(device);
}

static void test_a_name_can_be_taken_once(void **state)
{
    (void)state;
    static ndbuf_backend_ops twice;
    twice = table_like_fake("cpu");
    int32_t before = ndbuf_backend_count();
    ASSERT_FAILS(NDBUF_ERR_BUSY, "'cpu'", ndbuf_backend_register(&twice, err));
    twice.name = "fake";
    ASSERT_FAILS(NDBUF_ERR_BUSY, "'fake'", ndbuf_backend_register(&twice, err));
    twice.name = "cuda"; /* known, whether it was built or not */
    ASSERT_FAILS(NDBUF_ERR_BUSY, "'cuda'", ndbuf_backend_register(&twice, err));
    assert_int_equal(ndbuf_backend_count(), before);
}

static void test_names_are_checked(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "Upper",       "with space",
                                      "with:colon", "minus-minus", "a234567890123456789012345"};
    static ndbuf_backend_ops ops;
    ops = table_like_fake(NULL);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "name", ndbuf_backend_register(&ops, err));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ops.name = bad[i];
        ASSERT_FAILS(NDBUF_ERR_INVALID, "name", ndbuf_backend_register(&ops, err));
    }
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no table", ndbuf_backend_register(NULL, err));
}

static void test_the_longest_name_fits_with_any_number(void **state)
{
    (void)state;
    static ndbuf_backend_ops ops;
    ndbuf_device *device = NULL;
    ndbuf_device_info info;
    ops = table_like_fake("a23456789012345678901234");
    ASSERT_OK(ndbuf_backend_register(&ops, err));
    ASSERT_OK(ndbuf_device_open("a23456789012345678901234:1", &device, err));
    const ndbuf_backend_ops *fake = device->ops;
    device->ops = &ops; /* whose name it is */
    device->core->ordinal = 999999;
    ndbuf_device_info_get(device, &info);
    device->core->ordinal = 1;
    device->ops = fake;
    assert_string_equal(info.name, "a23456789012345678901234:999999");
    ndbuf_device_close(device);
}

static void test_another_abi_is_refused(void **state)
{
    (void)state;
    static ndbuf_backend_ops ops;
    ops = table_like_fake("other_abi");
    ops.abi_version++;
    ASSERT_FAILS(NDBUF_ERR_ABI, "ABI 2", ndbuf_backend_register(&ops, err));
    ops.abi_version--;
    ops.struct_nbytes -= 8;
    char text[40];
    snprintf(text, sizeof(text), "%u bytes", (unsigned)ops.struct_nbytes);
    ASSERT_FAILS(NDBUF_ERR_ABI, text, ndbuf_backend_register(&ops, err));
}

static void test_an_empty_slot_is_named(void **state)
{
    (void)state;
    static ndbuf_backend_ops ops;
#define CHECK_SLOT(slot)                                                                                               \
    ops = table_like_fake("incomplete");                                                                               \
    ops.slot = NULL;                                                                                                   \
    ASSERT_FAILS(NDBUF_ERR_INVALID, #slot, ndbuf_backend_register(&ops, err));
    FAKE_SLOT_LIST(CHECK_SLOT)
#undef CHECK_SLOT
}

static bool has_driver;

static ndbuf_status count_with_driver(int32_t *out_count, ndbuf_error *err)
{
    if (has_driver) {
        *out_count = 1;
        return NDBUF_OK;
    }
    return ndbuf_fail_native(err, NDBUF_ERR_UNAVAILABLE, 35, "the driver is too old");
}

static ndbuf_status count_none(int32_t *out_count, ndbuf_error *err)
{
    (void)err;
    *out_count = 0;
    return NDBUF_OK;
}

static void test_a_backend_without_a_device_says_why(void **state)
{
    (void)state;
    static ndbuf_backend_ops no_driver;
    static ndbuf_backend_ops no_device;
    ndbuf_backend_info info = {0};
    ndbuf_device *device = NULL;
    no_driver = table_like_fake("no_driver");
    no_driver.device_count = count_with_driver;
    no_device = table_like_fake("no_device");
    no_device.device_count = count_none;
    ASSERT_OK(ndbuf_backend_register(&no_driver, err));
    ASSERT_OK(ndbuf_backend_register(&no_device, err));
    assert_true(info_of("no_driver", &info));
    assert_int_equal(info.status, NDBUF_ERR_UNAVAILABLE);
    assert_int_equal(info.native_code, 35);
    assert_int_equal(info.built, 1);
    assert_int_equal(info.ndevices, 0);
    assert_string_equal(info.reason, "the driver is too old");
    has_driver = true; /* the question is asked again each time */
    assert_true(info_of("no_driver", &info));
    assert_int_equal(info.status, NDBUF_OK);
    assert_int_equal(info.ndevices, 1);
    assert_string_equal(info.reason, "");
    has_driver = false;
    assert_true(info_of("no_device", &info));
    assert_int_equal(info.status, NDBUF_ERR_UNAVAILABLE);
    assert_int_equal(info.native_code, 0);
    assert_int_not_equal(strlen(info.reason), 0);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "the driver is too old", ndbuf_device_open("no_driver:0", &device, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "no_device:0", ndbuf_device_open("no_device:0", &device, err));
    assert_null(device);
}

static void test_absent_abilities_say_so(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_mem untouched = {0};
    void *address = NULL;
    ASSERT_OK(ndbuf_device_open("null", &device, err));
    queue = device->default_queue;
    ndbuf_mem mem = {.device = device};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "'null'", ndbuf_unsupported_mem_import(device, &mem, 1, &untouched, err));
    assert_null(untouched.device);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "'null'", ndbuf_unsupported_mem_map(&mem, 0, 1, 0, &address, err));
    assert_null(address);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "'null'", ndbuf_unsupported_mem_unmap(&mem, &mem, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "native events", ndbuf_unsupported_queue_wait_native(queue, &mem, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "rectangles", ndbuf_unsupported_copy_rect(queue, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "strided", ndbuf_unsupported_copy_strided(queue, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "fill", ndbuf_unsupported_fill_strided(queue, NULL, err));
    ndbuf_device_close(device);
}

/* The last test: it leaves no room. */
static void test_there_is_room_for_32_backends(void **state)
{
    (void)state;
    static ndbuf_backend_ops tables[33];
    static char names[33][24];
    for (int32_t i = 0; i < 33; i++) {
        snprintf(names[i], sizeof(names[i]), "number_%d", (int)i);
        tables[i] = table_like_fake(names[i]);
        if (ndbuf_backend_count() < 32) {
            ASSERT_OK(ndbuf_backend_register(&tables[i], err));
        } else {
            ASSERT_FAILS(NDBUF_ERR_BUSY, "32", ndbuf_backend_register(&tables[i], err));
        }
    }
    assert_int_equal(ndbuf_backend_count(), 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_backend_may_ask_for_the_host_as_it_opens),
        cmocka_unit_test(test_the_host_comes_first_and_is_there),
        cmocka_unit_test(test_a_backend_that_was_not_built_tells_why),
        cmocka_unit_test(test_an_index_outside_is_refused),
        cmocka_unit_test(test_a_registered_backend_is_found_and_opens),
        cmocka_unit_test(test_a_name_can_be_taken_once),
        cmocka_unit_test(test_names_are_checked),
        cmocka_unit_test(test_the_longest_name_fits_with_any_number),
        cmocka_unit_test(test_another_abi_is_refused),
        cmocka_unit_test(test_an_empty_slot_is_named),
        cmocka_unit_test(test_a_backend_without_a_device_says_why),
        cmocka_unit_test(test_absent_abilities_say_so),
        cmocka_unit_test(test_there_is_room_for_32_backends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
