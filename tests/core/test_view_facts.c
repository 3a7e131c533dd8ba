/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/view_core.h"
#include "tests/support/sample_views.h"

static void nothing_to_release(ndbuf_view *view)
{
    memset(view, 0, sizeof(*view));
}

/* A view that no copy of the library made. */
static ndbuf_view foreign_view(int64_t itemsize, int64_t nbytes, int32_t ndim)
{
    return (ndbuf_view){.abi_version = NDBUF_ABI_VERSION,
                        .device = {NDBUF_DEVICE_CPU, 0},
                        .handle = (void *)(uintptr_t)4096,
                        .byte_offset = 10,
                        .storage_nbytes = 1000,
                        .itemsize = itemsize,
                        .nbytes = nbytes,
                        .ndim = ndim,
                        .release = nothing_to_release};
}

static void assert_facts(const ndbuf_view *view, int64_t nitems, bool c, bool f, int64_t lo, int64_t hi)
{
    int64_t out_lo = -7, out_hi = -7;
    assert_int_equal(ndbuf_view_nitems(view), nitems);
    assert_int_equal(ndbuf_view_is_contiguous(view, 'C'), c);
    assert_int_equal(ndbuf_view_is_contiguous(view, 'F'), f);
    ndbuf_view_byte_range(view, &out_lo, &out_hi);
    assert_int_equal(out_lo, lo);
    assert_int_equal(out_hi, hi);
}

static void test_facts_of_our_views(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_OPENCL, NULL, 1000);
    const int64_t shape[2] = {3, 4};
    const int64_t backwards[2] = {-20, 4};
    const int64_t columns[2] = {4, 12};
    const int64_t empty[2] = {0, 4};
    ndbuf_view view;
    sample_view_init(&view, &sample, 4, 0, NULL, NULL, 100);
    assert_facts(&view, 1, true, true, 100, 104);
    ndbuf_view_release(&view);
    sample_view_init(&view, &sample, 4, 2, shape, NULL, 100);
    assert_facts(&view, 12, true, false, 100, 148);
    ndbuf_view_release(&view);
    sample_view_init(&view, &sample, 4, 2, shape, columns, 100);
    assert_facts(&view, 12, false, true, 100, 148);
    ndbuf_view_release(&view);
    sample_view_init(&view, &sample, 4, 2, shape, backwards, 100);
    assert_facts(&view, 12, false, false, 60, 116);
    ndbuf_view_release(&view);
    sample_view_init(&view, &sample, 4, 2, empty, backwards, 100);
    assert_facts(&view, 0, true, true, 100, 100);
    ndbuf_view_release(&view);
}

static void test_range_of_an_indirect_view_is_that_of_its_pointers(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    const int64_t shape[2] = {3, 1000};
    const int64_t strides[2] = {-(int64_t)sizeof(char *), 1};
    const int64_t suboffsets[2] = {1000000, -1};
    ndbuf_view_spec spec = {
        .byte_offset = 100, .ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    const int64_t nbytes = sizeof(char *);
    assert_facts(&view, 3000, false, false, 100 - 2 * nbytes, 100 + nbytes);
    ndbuf_view_release(&view);
}

static void test_what_a_foreign_view_does_not_show_is_contiguous(void **state)
{
    (void)state;
    const int64_t shape[2] = {2, 3};
    const int64_t strides[2] = {4, 8};
    ndbuf_view view = foreign_view(4, 24, 2);
    view.shape = shape;
    assert_facts(&view, 6, true, false, 10, 34);
    view.strides = strides;
    assert_facts(&view, 6, false, true, 10, 34);
    view = foreign_view(4, 24, 1); /* no shape: packed items */
    assert_facts(&view, 6, true, true, 10, 34);
    view = foreign_view(4, 23, 1); /* no whole items: packed bytes */
    assert_facts(&view, 23, true, true, 10, 33);
    view = foreign_view(0, 0, 3);
    assert_facts(&view, 0, true, true, 10, 10);
    view = foreign_view(4, 4, 0);
    assert_facts(&view, 1, true, true, 10, 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_facts_of_our_views),
        cmocka_unit_test(test_range_of_an_indirect_view_is_that_of_its_pointers),
        cmocka_unit_test(test_what_a_foreign_view_does_not_show_is_contiguous),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
