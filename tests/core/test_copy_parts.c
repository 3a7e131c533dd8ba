/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

enum { NVALUES = 7, NFLOATS = 6, NITEMS = 16 };

/* Six floats and an integer, of item `i`. */
static void make_values(ndbuf_value *out_values, int64_t i)
{
    out_values[0] = (ndbuf_value){.kind = NDBUF_VALUE_INT};
    out_values[0].as.int64 = -i;
    for (int k = 0; k < NFLOATS; k++) {
        out_values[1 + k] = (ndbuf_value){.kind = NDBUF_VALUE_FLOAT};
        out_values[1 + k].as.float64 = (double)i + k + 0.5;
    }
}

static void make_view(ndbuf_device *device, ndbuf_format *format, ndbuf_view *out_view)
{
    int64_t shape[NDBUF_MAX_NDIM];
    for (int k = 0; k < NDBUF_MAX_NDIM; k++) {
        shape[k] = k % 21 == 0 ? 2 : 1; /* the last of four is the last axis */
    }
    ASSERT_OK(ndbuf_view_create(out_view, device, format, NDBUF_MAX_NDIM, shape, err));
    assert_int_equal(ndbuf_view_nitems(out_view), NITEMS);
}

/* The axes of a view and of a field are more than there can be: the host's engine need not put them together. */
static void test_fields_with_axes_are_converted_in_views_of_64_axes_on_the_host(void **state)
{
    (void)state;
    for (int on_device = 0; on_device < 2; on_device++) {
        ndbuf_format *dst_format = test_parse("T{x(2,3)<f:a:<i:b:}");
        ndbuf_format *src_format = test_parse("T{<h:b:(2,3)<d:a:}");
        const int64_t dst_itemsize = ndbuf_format_itemsize(dst_format);
        const int64_t src_itemsize = ndbuf_format_itemsize(src_format);
        fake_config config = {.copy_flags = NDBUF_CAN_COPY_BYTES, .memory_nbytes = 1 << 20};
        ndbuf_device *device = NULL;
        ndbuf_view dst = {0};
        ndbuf_view src = {0};
        ndbuf_value values[NVALUES];
        fake_register();
        fake_configure(&config);
        ASSERT_OK(ndbuf_device_open(on_device ? "fake:0" : "cpu", &device, err));
        make_view(device, dst_format, &dst);
        make_view(ndbuf_device_cpu(), src_format, &src);
        char *from = ndbuf_view_host_address(&src);
        for (int64_t i = 0; i < NITEMS; i++) {
            make_values(values, i);
            ASSERT_OK(ndbuf_item_pack(src_format, values, NVALUES, from + i * src_itemsize, src_itemsize, err));
        }
        if (on_device) {
            ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "a field of 1 axes in a view of 64",
                         ndbuf_copy_cast(&dst, &src, NDBUF_CASTING_SAME_KIND, 0, NULL, err));
        } else {
            ASSERT_OK(ndbuf_copy_cast(&dst, &src, NDBUF_CASTING_SAME_KIND, 0, NULL, err));
            const char *to = ndbuf_view_host_address(&dst);
            for (int64_t i = 0; i < NITEMS; i++) {
                ASSERT_OK(ndbuf_item_unpack(dst_format, to + i * dst_itemsize, dst_itemsize, values, NVALUES, err));
                for (int k = 0; k < NFLOATS; k++) {
                    assert_true(values[k].as.float64 == (double)i + k + 0.5);
                }
                assert_int_equal(values[NFLOATS].as.int64, -i);
            }
        }
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
        ndbuf_device_close(device);
        ndbuf_format_release(dst_format);
        ndbuf_format_release(src_format);
        fake_assert_clean();
        fake_reset();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_with_axes_are_converted_in_views_of_64_axes_on_the_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
