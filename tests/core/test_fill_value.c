/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <string.h>

#include "tests/support/fake_device.h"

static ndbuf_device *fake;

static int open_device(void **state)
{
    (void)state;
    fake_register();
    return ndbuf_device_open("fake:0", &fake, NULL) == NDBUF_OK ? 0 : -1;
}

static int close_device(void **state)
{
    (void)state;
    ndbuf_device_close(fake);
    fake_assert_clean();
    return 0;
}

static ndbuf_value int_value(int64_t number)
{
    ndbuf_value value = {.kind = NDBUF_VALUE_INT};
    value.as.int64 = number;
    return value;
}

/* Three items on a device, and the host's view to look at them. */
static void new_views(ndbuf_view *out_there, ndbuf_view *out_here, ndbuf_device *device, const char *text)
{
    const int64_t shape = 3;
    ndbuf_format *format = test_parse(text);
    *out_there = (ndbuf_view){0};
    *out_here = (ndbuf_view){0};
    ASSERT_OK(ndbuf_view_create(out_there, device, format, 1, &shape, err));
    ASSERT_OK(ndbuf_view_create(out_here, ndbuf_device_cpu(), format, 1, &shape, err));
    ndbuf_format_release(format);
}

static void check_fill(ndbuf_device *device, const char *text, const ndbuf_value *values, int64_t nvalues,
                       const char *item, size_t itemsize)
{
    ndbuf_view there;
    ndbuf_view here;
    new_views(&there, &here, device, text);
    assert_int_equal(there.itemsize, itemsize);
    ASSERT_OK(ndbuf_fill_value(&there, values, nvalues, NULL, err));
    ASSERT_OK(ndbuf_copy(&here, &there, NULL, err));
    const char *bytes = ndbuf_view_host_address(&here);
    for (size_t k = 0; k < 3; k++) {
        assert_memory_equal(bytes + k * itemsize, item, itemsize);
    }
    ndbuf_view_release(&here);
    ndbuf_view_release(&there);
}

static void test_each_item_becomes_the_value_on_host_and_device(void **state)
{
    (void)state;
    ndbuf_device *devices[] = {ndbuf_device_cpu(), fake};
    for (size_t i = 0; i < 2; i++) {
        ndbuf_value values[] = {int_value(1), int_value(-2), int_value(3)};
        check_fill(devices[i], ">i", values, 1, "\0\0\0\1", 4);
        check_fill(devices[i], ">e", values, 1, "\x3c\0", 2);
        check_fill(devices[i], "T{b:a:2x>h:b:c:c:x}",
                   (ndbuf_value[]){values[0], values[1], {.kind = NDBUF_VALUE_BYTES, .as.bytes = {"z", 1}}}, 3,
                   "\1\0\0\xff\xfez\0", 7);
        check_fill(devices[i], "70s", &(ndbuf_value){.kind = NDBUF_VALUE_BYTES, .as.bytes = {"ab", 2}}, 1,
                   (const char[70]){'a', 'b'}, 70);
    }
}

static void test_what_cannot_be_packed_changes_nothing(void **state)
{
    (void)state;
    ndbuf_view there;
    ndbuf_view here;
    new_views(&there, &here, fake, "T{b:a:b:b:}");
    ndbuf_value values[] = {int_value(1), int_value(2), int_value(300)};
    ASSERT_OK(ndbuf_fill_value(&there, values, 2, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "value 1 for field b: 300 does not fit",
                 ndbuf_fill_value(&there, values + 1, 2, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "3 values for an item of 2", ndbuf_fill_value(&there, values, 3, NULL, err));
    ASSERT_OK(ndbuf_copy(&here, &there, NULL, err));
    assert_memory_equal(ndbuf_view_host_address(&here), "\1\2\1\2\1\2", 6);
    ASSERT_OK(ndbuf_view_readonly(&there, &there, err));
    ASSERT_FAILS(NDBUF_ERR_READONLY, "read-only", ndbuf_fill_value(&there, values, 2, NULL, err));
    ndbuf_view_release(&here);
    ndbuf_view_release(&there);
}

static void test_an_allocation_that_fails_is_told(void **state)
{
    (void)state;
    ndbuf_view there;
    ndbuf_view here;
    new_views(&there, &here, ndbuf_device_cpu(), "100s");
    ndbuf_value value = {.kind = NDBUF_VALUE_BYTES, .as.bytes = {"abc", 3}};
    ALLOC_FAIL_SWEEP(status_ = ndbuf_fill_value(&there, &value, 1, NULL, NULL), (void)0);
    ndbuf_view_release(&here);
    ndbuf_view_release(&there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_item_becomes_the_value_on_host_and_device),
        cmocka_unit_test(test_what_cannot_be_packed_changes_nothing),
        cmocka_unit_test(test_an_allocation_that_fails_is_told),
    };
    return cmocka_run_group_tests(tests, open_device, close_device);
}
