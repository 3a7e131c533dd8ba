/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/support/sample_views.h"

/* A random view without suboffsets, of one storage. */
static void random_view(test_random *random, sample_storage *out_sample, ndbuf_view *out_view)
{
    sample_layout layout = sample_layout_random(random, 4, 6);
    int64_t lo = 0, hi = 0;
    sample_layout_range(&layout, &lo, &hi);
    sample_storage_init(out_sample, NDBUF_DEVICE_OPENCL, NULL, hi - lo);
    sample_view_init(out_view, out_sample, layout.itemsize, layout.ndim, layout.shape, layout.strides, -lo);
}

static void test_broadcast_repeats_items_as_numpy_does(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    int nreadonly = 0;
    for (int i = 0; i < 5000; i++) {
        sample_storage sample;
        ndbuf_view view, wide;
        random_view(&random, &sample, &view);
        int32_t nfront = (int32_t)test_random_range(&random, 0, 2);
        int32_t ndim = nfront + view.ndim;
        int64_t shape[8];
        bool fits = true, repeats = false;
        for (int32_t k = 0; k < ndim; k++) {
            int64_t extent = k < nfront ? 1 : view.shape[k - nfront];
            bool other = test_random_range(&random, 0, extent == 1 ? 1 : 19) == 0;
            shape[k] = other ? test_random_range(&random, 0, 3) : extent;
            fits = fits && (extent == 1 || shape[k] == extent);
            repeats = repeats || (extent == 1 && shape[k] > 1);
        }
        ndbuf_status status = ndbuf_view_broadcast(&view, ndim, shape, &wide, NULL);
        assert_int_equal(status, fits ? NDBUF_OK : NDBUF_ERR_INVALID);
        if (!fits) {
            ndbuf_view_release(&view);
            continue;
        }
        assert_memory_equal(wide.shape, shape, (size_t)ndim * sizeof(*shape));
        int64_t nitems = ndbuf_view_nitems(&wide);
        assert_int_equal((wide.flags & NDBUF_VIEW_READONLY) != 0, repeats && nitems > 0);
        nreadonly += repeats && nitems > 0;
        for (int64_t item = 0; item < nitems; item++) {
            int64_t index[8], old[8];
            sample_nth_index(ndim, shape, 'C', item, index);
            for (int32_t k = 0; k < view.ndim; k++) {
                old[k] = view.shape[k] == 1 ? 0 : index[nfront + k];
            }
            assert_int_equal(sample_item_address(&wide, index), sample_item_address(&view, old));
        }
        ndbuf_view_release(&wide);
        ndbuf_view_release(&view);
        assert_int_equal(sample.nrefs, 0);
    }
    assert_in_range(nreadonly, 500, 4500);
}

static void test_broadcast_through_pointers_repeats_them(void **state)
{
    (void)state;
    char data[6] = "abcdef";
    char *table[1] = {data};
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    const int64_t shape[2] = {1, 2};
    const int64_t strides[2] = {99, 1};
    const int64_t suboffsets[2] = {3, -1};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    const int64_t wide[3] = {2, 3, 2};
    ASSERT_OK(ndbuf_view_broadcast(&view, 3, wide, &view, err));
    const int64_t index[3] = {1, 2, 1};
    assert_int_equal(*(const char *)(intptr_t)sample_item_address(&view, index), 'e');
    ndbuf_view_release(&view);
}

/* Strides under which `shape` would give the items of `view` in the same order, were there any. */
static bool strides_exist(const ndbuf_view *view, int32_t ndim, const int64_t *shape, char order)
{
    int64_t zero[NDBUF_MAX_NDIM] = {0};
    int64_t base = sample_item_address(view, zero);
    int64_t strides[NDBUF_MAX_NDIM];
    int64_t step = 1; /* items that one step of the axis passes over */
    for (int32_t i = 0; i < ndim; i++) {
        int32_t k = order == 'C' ? ndim - 1 - i : i;
        int64_t old[NDBUF_MAX_NDIM];
        strides[k] = 0;
        if (shape[k] > 1) {
            sample_nth_index(view->ndim, view->shape, order, step, old);
            strides[k] = sample_item_address(view, old) - base;
        }
        step *= shape[k];
    }
    int64_t nitems = ndbuf_view_nitems(view);
    for (int64_t item = 0; item < nitems; item++) {
        int64_t index[NDBUF_MAX_NDIM], old[NDBUF_MAX_NDIM];
        sample_nth_index(ndim, shape, order, item, index);
        sample_nth_index(view->ndim, view->shape, order, item, old);
        int64_t address = base;
        for (int32_t k = 0; k < ndim; k++) {
            address += index[k] * strides[k];
        }
        if (address != sample_item_address(view, old)) {
            return false;
        }
    }
    return true;
}

/* A shape of so many items, with axes of 1 strewn in. */
static int32_t random_factors(test_random *random, int64_t nitems, int64_t *out_shape)
{
    int32_t ndim = 0;
    while (nitems > 1 || test_random_range(random, 0, 2) == 0) {
        int64_t factor = test_random_range(random, 1, nitems < 12 ? nitems : 12);
        if (ndim == 11 || (ndim > 6 && factor == 1)) {
            factor = nitems;
        }
        while (nitems % factor != 0) {
            factor++;
        }
        out_shape[ndim++] = factor;
        nitems /= factor;
        if (ndim == 12) {
            break;
        }
    }
    return ndim;
}

static void test_reshape_succeeds_exactly_if_strides_for_it_exist(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 2);
    int count[2] = {0, 0};
    for (int i = 0; i < 20000; i++) {
        sample_storage sample;
        ndbuf_view view, other;
        random_view(&random, &sample, &view);
        int64_t nitems = ndbuf_view_nitems(&view);
        int64_t shape[12];
        int32_t ndim = random_factors(&random, nitems > 0 ? nitems : 1, shape);
        if (nitems == 0) {
            shape[ndim++] = 0;
        }
        char order = "CF"[i % 2];
        ndbuf_status status = ndbuf_view_reshape(&view, ndim, shape, order, &other, NULL);
        bool exist = strides_exist(&view, ndim, shape, order);
        assert_int_equal(status, exist ? NDBUF_OK : NDBUF_ERR_COPY_NEEDED);
        count[exist]++;
        if (exist) {
            assert_int_equal(other.ndim, ndim);
            assert_int_equal(other.nbytes, view.nbytes);
            for (int64_t item = 0; item < nitems; item++) {
                int64_t index[12], old[12];
                sample_nth_index(ndim, shape, order, item, index);
                sample_nth_index(view.ndim, view.shape, order, item, old);
                assert_int_equal(sample_item_address(&other, index), sample_item_address(&view, old));
            }
            ndbuf_view_release(&other);
        }
        ndbuf_view_release(&view);
        assert_int_equal(sample.nrefs, 0);
    }
    assert_in_range(count[0], 2000, 18000);
    assert_in_range(count[1], 2000, 18000);
}

static void test_reshape_of_nothing_and_of_one_item(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 8);
    ndbuf_view view;
    const int64_t empty[3] = {4, 0, 5};
    const int64_t wild[3] = {INT64_MIN, 3, INT64_MAX};
    const int64_t other[2] = {0, 7};
    const int64_t ones[3] = {1, 1, 1};
    sample_view_init(&view, &sample, 2, 3, empty, wild, 8);
    ASSERT_OK(ndbuf_view_reshape(&view, 2, other, 'F', &view, err));
    assert_int_equal(view.shape[1], 7);
    assert_int_equal(view.byte_offset, 8);
    const int64_t huge[3] = {0, (int64_t)1 << 40, (int64_t)1 << 30};
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "strides of the new shape", ndbuf_view_reshape(&view, 3, huge, 'C', &view, err));
    assert_int_equal(view.ndim, 2);
    ndbuf_view_release(&view);
    sample_view_init(&view, &sample, 8, 3, ones, wild, 0);
    ASSERT_OK(ndbuf_view_reshape(&view, 0, NULL, 'C', &view, err));
    assert_int_equal(view.ndim, 0);
    assert_null(view.shape);
    ASSERT_OK(ndbuf_view_reshape(&view, 3, ones, 'F', &view, err));
    assert_int_equal(view.ndim, 3);
    ndbuf_view_release(&view);
}

static void test_view_with_suboffsets_keeps_its_shape(void **state)
{
    (void)state;
    sample_storage sample;
    char *table[2] = {0};
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    const int64_t shape[2] = {2, 3};
    const int64_t strides[2] = {sizeof(char *), 1};
    const int64_t suboffsets[2] = {0, -1};
    const int64_t flat[1] = {6};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view, same;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "a view with suboffsets", ndbuf_view_reshape(&view, 1, flat, 'C', &view, err));
    ASSERT_OK(ndbuf_view_reshape(&view, 2, shape, 'F', &same, err));
    assert_memory_equal(same.suboffsets, suboffsets, sizeof(suboffsets));
    assert_memory_equal(same.strides, strides, sizeof(strides));
    ndbuf_view_release(&same);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_each_bad_shape_has_its_own_text(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 100);
    const int64_t shape[2] = {3, 4};
    const int64_t columns[2] = {4, 12};
    ndbuf_view view, untouched;
    sample_view_init(&view, &sample, 4, 2, shape, columns, 0);
    memset(&untouched, 0x5A, sizeof(untouched));
    ndbuf_view out = untouched;
    const int64_t wider[3] = {2, 3, 5};
    const int64_t negative[2] = {3, -4};
    const int64_t huge[4] = {(int64_t)1 << 30, (int64_t)1 << 30, 3, 4};
    const int64_t more[2] = {5, 3};
    const int64_t flat[1] = {12};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "axis 1 of extent 4 cannot be broadcast to 5",
                 ndbuf_view_broadcast(&view, 3, wider, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "2 dimensions cannot be broadcast to 1",
                 ndbuf_view_broadcast(&view, 1, shape, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "extent of axis 1 is -4", ndbuf_view_broadcast(&view, 2, negative, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "ndim is 65", ndbuf_view_broadcast(&view, 65, shape, &out, err));
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "the shape broadcast to, times 4 bytes",
                 ndbuf_view_broadcast(&view, 4, huge, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "the view has 12 items, the new shape 15",
                 ndbuf_view_reshape(&view, 2, more, 'C', &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "the new shape more than 9223372036854775807",
                 ndbuf_view_reshape(&view, 4, huge, 'C', &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "extent of axis 1 is -4", ndbuf_view_reshape(&view, 2, negative, 'C', &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "shape is NULL", ndbuf_view_reshape(&view, 2, NULL, 'C', &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "ndim is -1", ndbuf_view_reshape(&view, -1, shape, 'C', &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'C' or 'F', not character 65", ndbuf_view_reshape(&view, 1, flat, 'A', &out, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "no view of this shape in C order",
                 ndbuf_view_reshape(&view, 1, flat, 'C', &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is NULL", ndbuf_view_reshape(NULL, 1, flat, 'C', &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is NULL", ndbuf_view_broadcast(NULL, 1, flat, &out, err));
    assert_memory_equal(&out, &untouched, sizeof(out));
    ASSERT_OK(ndbuf_view_reshape(&view, 1, flat, 'F', &out, err));
    ndbuf_view_release(&out);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broadcast_repeats_items_as_numpy_does),
        cmocka_unit_test(test_broadcast_through_pointers_repeats_them),
        cmocka_unit_test(test_reshape_succeeds_exactly_if_strides_for_it_exist),
        cmocka_unit_test(test_reshape_of_nothing_and_of_one_item),
        cmocka_unit_test(test_view_with_suboffsets_keeps_its_shape),
        cmocka_unit_test(test_each_bad_shape_has_its_own_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
