/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <dlfcn.h>
#include <string.h>

typedef double (*consume_sum_fn)(ndbuf_exporter *exporter, ndbuf_error *err);

static void test_a_part_that_links_nothing_consumes_and_releases_a_view(void **state)
{
    (void)state;
    void *part = dlopen(HEADER_ONLY_CONSUMER, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(part);
    void *symbol = dlsym(part, "consume_sum");
    assert_non_null(symbol);
    consume_sum_fn consume_sum;
    memcpy(&consume_sum, &symbol, sizeof(consume_sum));

    static const int64_t shape[2] = {3, 4};
    ndbuf_format *format = NULL;
    ndbuf_view view = {0};
    ndbuf_exporter *exporter = NULL;
    ASSERT_OK(ndbuf_format_parse("d", 0, &format, err));
    ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), format, 2, shape, err));
    double *items = ndbuf_view_host_address(&view);
    for (int i = 0; i < 12; i++) {
        items[i] = i;
    }
    ASSERT_OK(ndbuf_view_transpose(&view, &view, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    assert_true(consume_sum(exporter, NULL) == 66.0);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 0);
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&view);
    ndbuf_format_release(format);
    dlclose(part);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_part_that_links_nothing_consumes_and_releases_a_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
