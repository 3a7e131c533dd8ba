/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/support/sample_views.h"

enum { MAX_RUNS = 4096 };

/* Joins the items of a view in C order to maximal runs, one by one. */
static size_t runs_slowly(const ndbuf_view *view, ndbuf_iovec *out_runs)
{
    size_t nruns = 0;
    int64_t end = 0;
    if (view->nbytes == 0) {
        return 0;
    }
    int64_t index[NDBUF_MAX_NDIM] = {0};
    do {
        int64_t address = sample_item_address(view, index);
        if (nruns > 0 && address == end) {
            out_runs[nruns - 1].iov_len += (size_t)view->itemsize;
        } else {
            assert_in_range(nruns, 0, MAX_RUNS - 1);
            out_runs[nruns++] = (ndbuf_iovec){(void *)(intptr_t)address, (size_t)view->itemsize};
        }
        end = address + view->itemsize;
    } while (sample_next_index(view->ndim, view->shape, index));
    return nruns;
}

/* The iterator must give the same runs, however many are asked for at a time. */
static void assert_runs(const ndbuf_view *view, size_t max_runs)
{
    static ndbuf_iovec expected[MAX_RUNS], runs[MAX_RUNS];
    size_t nexpected = runs_slowly(view, expected);
    size_t nruns = 0;
    ndbuf_run_iterator iterator;
    memset(&iterator, 0x5A, sizeof(iterator));
    ASSERT_OK(ndbuf_run_iterator_init(&iterator, view, err));
    assert_int_equal(ndbuf_run_iterator_next(&iterator, runs, 0), 0);
    for (;;) {
        assert_in_range(nruns, 0, MAX_RUNS - max_runs);
        size_t count = ndbuf_run_iterator_next(&iterator, runs + nruns, max_runs);
        assert_in_range(count, 0, max_runs);
        if (count == 0) {
            break;
        }
        nruns += count;
    }
    assert_int_equal(ndbuf_run_iterator_next(&iterator, runs, max_runs), 0);
    assert_int_equal(nruns, nexpected);
    for (size_t k = 0; k < nruns; k++) {
        assert_ptr_equal(runs[k].iov_base, expected[k].iov_base);
        assert_int_equal(runs[k].iov_len, expected[k].iov_len);
    }
}

static void test_runs_are_the_items_joined_in_c_order(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    for (int i = 0; i < 5000; i++) {
        sample_layout layout = sample_layout_random(&random, 5, 4);
        int64_t lo = 0, hi = 0;
        sample_layout_range(&layout, &lo, &hi);
        sample_storage sample;
        sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, hi - lo);
        ndbuf_view view;
        sample_view_init(&view, &sample, layout.itemsize, layout.ndim, layout.shape, layout.strides, -lo);
        assert_runs(&view, (size_t)test_random_range(&random, 1, 5));
        ndbuf_view_release(&view);
    }
}

static void test_contiguous_view_is_one_run(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CUDA_MANAGED, NULL, (int64_t)1 << 50);
    const int64_t shape[4] = {1 << 20, 1, 1 << 20, 1 << 10};
    ndbuf_view view;
    sample_view_init(&view, &sample, 1, 4, shape, NULL, 0);
    ndbuf_run_iterator iterator;
    ndbuf_iovec runs[2];
    ASSERT_OK(ndbuf_run_iterator_init(&iterator, &view, err));
    assert_int_equal(iterator.outer_ndim, 0);
    assert_int_equal(ndbuf_run_iterator_next(&iterator, runs, 2), 1);
    assert_int_equal(runs[0].iov_len, (size_t)1 << 50);
    assert_int_equal(ndbuf_run_iterator_next(&iterator, runs, 2), 0);
    ndbuf_view_release(&view);
}

static void test_rows_of_an_image_are_one_run_each(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    const int64_t shape[3] = {4, 5, 3};
    const int64_t strides[3] = {100, 3, 1};
    ndbuf_view view;
    sample_view_init(&view, &sample, 1, 3, shape, strides, 7);
    ndbuf_run_iterator iterator;
    ASSERT_OK(ndbuf_run_iterator_init(&iterator, &view, err));
    assert_int_equal(iterator.outer_ndim, 1);
    assert_int_equal(iterator.run_nbytes, 15);
    assert_runs(&view, 3);
    ndbuf_view_release(&view);
}

static void test_runs_follow_pointers_and_join_rows_that_touch(void **state)
{
    (void)state;
    char data[64];
    char *table[2][2] = {{data + 8, data + 16}, {data + 24, data}};
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    const int64_t shape[3] = {2, 2, 6};
    const int64_t strides[3] = {2 * sizeof(char *), sizeof(char *), 1};
    const int64_t suboffsets[3] = {-1, 2, -1};
    ndbuf_view_spec spec = {.ndim = 3, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    assert_runs(&view, 3);
    ndbuf_view_release(&view);

    const int64_t wide[3] = {2, 2, 8};
    spec.shape = wide;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ndbuf_run_iterator iterator;
    ndbuf_iovec run;
    ASSERT_OK(ndbuf_run_iterator_init(&iterator, &view, err));
    assert_int_equal(ndbuf_run_iterator_next(&iterator, &run, 1), 1);
    assert_ptr_equal(run.iov_base, data + 10); /* three rows that touch */
    assert_int_equal(run.iov_len, 24);
    assert_int_equal(ndbuf_run_iterator_next(&iterator, &run, 1), 1);
    assert_ptr_equal(run.iov_base, data + 2);
    assert_int_equal(run.iov_len, 8);
    assert_int_equal(ndbuf_run_iterator_next(&iterator, &run, 1), 0);
    ndbuf_view_release(&view);
}

static void test_pointers_are_followed_even_along_axes_of_one_item(void **state)
{
    (void)state;
    char data[8];
    char *table[1] = {data};
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    const int64_t shape[2] = {1, 1};
    const int64_t strides[2] = {INT64_MAX, INT64_MIN};
    const int64_t suboffsets[2] = {5, -1};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ndbuf_run_iterator iterator;
    ndbuf_iovec run;
    ASSERT_OK(ndbuf_run_iterator_init(&iterator, &view, err));
    assert_int_equal(ndbuf_run_iterator_next(&iterator, &run, 1), 1);
    assert_ptr_equal(run.iov_base, data + 5);
    assert_int_equal(run.iov_len, 1);
    ndbuf_view_release(&view);
}

static void test_views_without_bytes_have_no_runs(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 0);
    sample.storage.mem.host_address = NULL; /* as an empty storage has it */
    const int64_t empty[2] = {3, 0};
    const int64_t shape[1] = {3};
    ndbuf_view view;
    sample_view_init(&view, &sample, 4, 2, empty, NULL, 0);
    assert_runs(&view, 1);
    ndbuf_view_release(&view);
    sample_view_init(&view, &sample, 0, 1, shape, NULL, 0);
    assert_runs(&view, 1);
    ndbuf_view_release(&view);
}

static void test_memory_that_the_host_cannot_touch_is_refused(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_OPENCL, NULL, 8);
    ndbuf_view view;
    sample_view_init(&view, &sample, 8, 0, NULL, NULL, 0);
    ndbuf_run_iterator iterator;
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "device type 4, number 0", ndbuf_run_iterator_init(&iterator, &view, err));
    ndbuf_view_release(&view);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is empty", ndbuf_run_iterator_init(&iterator, &view, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is NULL", ndbuf_run_iterator_init(&iterator, NULL, err));
}

static void nothing_to_release(ndbuf_view *view)
{
    memset(view, 0, sizeof(*view));
}

static void test_view_without_shape_and_strides_is_walked_too(void **state)
{
    (void)state;
    char memory[16];
    const int64_t shape[2] = {3, 2};
    ndbuf_view view = {.abi_version = NDBUF_ABI_VERSION,
                       .device = {NDBUF_DEVICE_CPU, 0},
                       .handle = memory,
                       .byte_offset = 1,
                       .storage_nbytes = 16,
                       .nbytes = 12,
                       .itemsize = 2,
                       .ndim = 2,
                       .shape = shape,
                       .release = nothing_to_release};
    ndbuf_run_iterator iterator;
    ndbuf_iovec run;
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(ndbuf_run_iterator_init(&iterator, &view, err));
        assert_int_equal(ndbuf_run_iterator_next(&iterator, &run, 1), 1);
        assert_ptr_equal(run.iov_base, memory + 1);
        assert_int_equal(run.iov_len, 12);
        view.shape = NULL;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs_are_the_items_joined_in_c_order),
        cmocka_unit_test(test_contiguous_view_is_one_run),
        cmocka_unit_test(test_rows_of_an_image_are_one_run_each),
        cmocka_unit_test(test_runs_follow_pointers_and_join_rows_that_touch),
        cmocka_unit_test(test_pointers_are_followed_even_along_axes_of_one_item),
        cmocka_unit_test(test_views_without_bytes_have_no_runs),
        cmocka_unit_test(test_memory_that_the_host_cannot_touch_is_refused),
        cmocka_unit_test(test_view_without_shape_and_strides_is_walked_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
