/* SPDX-License-Identifier: Apache-2.0 */
#include "core/device_core.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/fake_device.h"
#include "tests/support/null_table.h"

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
    (void)null_table();
    ASSERT_OK(ndbuf_device_open("fake:1", &fake, err));
    const ndbuf_device_tag tag = fake->tag;
    ASSERT_OK(ndbuf__device_of_tag(tag, &found, err));
    assert_ptr_equal(found, fake);
    ndbuf_device_close(fake);
    fake_assert_no_violation();
    assert_int_equal(fake_live_now().devices, 1); /* it was retained */

    ASSERT_OK(ndbuf_device_open("null", &null, err));
    null->core->tag = tag;
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "both have", ndbuf__device_of_tag(tag, &null, err));
    ndbuf_device_close(found);
    ASSERT_OK(ndbuf__device_of_tag(tag, &found, err));
    assert_ptr_equal(found, null);
    ndbuf_device_close(found);
    ndbuf_device_close(null);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "no backend for memory", ndbuf__device_of_tag(tag, &found, err));
    fake_assert_clean();
}

static ndbuf_backend_ops watched;
static _Atomic(int) nopen;
static _Atomic(int) most_open;

static ndbuf_status watched_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    ndbuf_status status = null_table()->device_open(ordinal, out_device, err);
    if (status == NDBUF_OK) {
        (*out_device)->ops = &watched;
        int now = atomic_fetch_add(&nopen, 1) + 1;
        if (now > atomic_load(&most_open)) {
            atomic_store(&most_open, now);
        }
    }
    return status;
}

static void watched_device_close(ndbuf_device *device)
{
    null_table()->device_close(device);
    ndbuf__thread_sleep_us(10);
    atomic_fetch_sub(&nopen, 1);
}

static NDBUF__THREAD_RESULT open_and_close(void *context)
{
    (void)context;
    for (int i = 0; i < 1000; i++) {
        ndbuf_device *device = NULL;
        if (ndbuf_device_open("watched", &device, NULL) == NDBUF_OK) {
            ndbuf_device_close(device);
        }
    }
    NDBUF__THREAD_RETURN;
}

static void test_a_device_is_opened_again_when_it_has_been_closed(void **state)
{
    (void)state;
    ndbuf__thread threads[3];
    watched = *null_table();
    watched.name = "watched";
    watched.device_open = watched_device_open;
    watched.device_close = watched_device_close;
    ASSERT_OK(ndbuf_backend_register(&watched, err));
    for (int i = 0; i < 3; i++) {
        assert_true(ndbuf__thread_start(&threads[i], open_and_close, NULL));
    }
    for (int i = 0; i < 3; i++) {
        ndbuf__thread_join(threads[i]);
    }
    assert_int_equal(atomic_load(&nopen), 0);
    assert_int_equal(atomic_load(&most_open), 1);
}

static atomic_bool is_opening;
static atomic_bool may_open;

static ndbuf_status open_when_told(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    atomic_store(&is_opening, true);
    while (!atomic_load(&may_open)) {
        ndbuf__thread_sleep_us(100);
    }
    return null_table()->device_open(ordinal, out_device, err);
}

static NDBUF__THREAD_RESULT open_slow_device(void *context)
{
    ndbuf_device_open("slow", context, NULL);
    NDBUF__THREAD_RETURN;
}

/* A driver may take its time to open a device. */
static void test_the_child_of_a_fork_opens_devices_whatever_the_parent_was_opening(void **state)
{
    (void)state;
    static ndbuf_backend_ops slow;
    ndbuf_device *device = NULL;
    ndbuf_device *opened = NULL;
    ndbuf__thread opener;
    int result = -1;
    slow = *null_table();
    slow.name = "slow";
    slow.device_open = open_when_told;
    ASSERT_OK(ndbuf_backend_register(&slow, err));
    assert_true(ndbuf__thread_start(&opener, open_slow_device, &opened));
    while (!atomic_load(&is_opening)) {
        ndbuf__thread_sleep_us(100);
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        ndbuf_status status = ndbuf_device_open("null", &device, NULL);
        _exit(status == NDBUF_OK ? 0 : 1);
    }
    atomic_store(&may_open, true);
    ndbuf__thread_join(opener);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    ndbuf_device_close(opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_host_is_always_there),
        cmocka_unit_test(test_bad_device_names_say_what_is_wrong),
        cmocka_unit_test(test_every_backend_gives_its_state_and_reason),
        cmocka_unit_test(test_an_open_device_of_any_backend_is_found_by_its_tag),
        cmocka_unit_test(test_a_device_is_opened_again_when_it_has_been_closed),
        cmocka_unit_test(test_the_child_of_a_fork_opens_devices_whatever_the_parent_was_opening),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
