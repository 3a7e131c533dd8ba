/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <string.h>

static void test_every_status_has_its_own_name_and_text(void **state)
{
    (void)state;
#define CHECK(name, number, text)                                                                                      \
    assert_int_equal(NDBUF_##name, number);                                                                            \
    assert_string_equal(ndbuf_status_name(NDBUF_##name), "NDBUF_" #name);                                              \
    assert_string_equal(ndbuf_status_text(NDBUF_##name), text);
    NDBUF_STATUS_LIST(CHECK)
#undef CHECK
    assert_string_equal(ndbuf_status_name((ndbuf_status)999), "NDBUF_ERR_?");
    assert_string_equal(ndbuf_status_text((ndbuf_status)999), "unknown status");
}

static void test_fail_fills_the_error_and_returns_the_status(void **state)
{
    (void)state;
    ndbuf_error err = {0};
    assert_int_equal(ndbuf_fail(&err, NDBUF_ERR_INVALID, "ndim is %d", 65), NDBUF_ERR_INVALID);
    assert_int_equal(err.status, NDBUF_ERR_INVALID);
    assert_int_equal(err.native_code, 0);
    assert_string_equal(err.message, "ndim is 65");
    assert_int_equal(ndbuf_fail_native(&err, NDBUF_ERR_DEVICE, -5, "clFinish"), NDBUF_ERR_DEVICE);
    assert_int_equal(err.native_code, -5);
    assert_string_equal(err.message, "clFinish");
    assert_int_equal(ndbuf_fail(NULL, NDBUF_ERR_NOMEM, "no error wanted"), NDBUF_ERR_NOMEM);
}

static void test_long_text_is_cut_and_terminated(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ndbuf_error err;
    memset(&err, 0x5A, sizeof(err));
    ndbuf_fail(&err, NDBUF_ERR_INVALID, "%s", text);
    assert_int_equal(strlen(err.message), sizeof(err.message) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_status_has_its_own_name_and_text),
        cmocka_unit_test(test_fail_fills_the_error_and_returns_the_status),
        cmocka_unit_test(test_long_text_is_cut_and_terminated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
