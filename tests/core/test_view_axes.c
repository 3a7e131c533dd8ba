/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/support/sample_views.h"

/* Tells which item of the old view an index of the new one means. */
typedef struct axes_step {
    int32_t axis;
    int64_t first, step;  /* of a sliced axis; `first` of a fixed one */
    const int32_t *moved; /* of a permutation */
} axes_step;

typedef void (*old_index_fn)(const axes_step *step, int32_t ndim, const int64_t *index, int64_t *out_old);

static void of_slice(const axes_step *step, int32_t ndim, const int64_t *index, int64_t *out_old)
{
    memcpy(out_old, index, (size_t)ndim * sizeof(*index));
    out_old[step->axis] = step->first + step->step * index[step->axis];
}

static void of_index(const axes_step *step, int32_t ndim, const int64_t *index, int64_t *out_old)
{
    for (int32_t k = 0; k < ndim + 1; k++) {
        out_old[k] = k == step->axis ? step->first : index[k < step->axis ? k : k - 1];
    }
}

static void of_newaxis(const axes_step *step, int32_t ndim, const int64_t *index, int64_t *out_old)
{
    for (int32_t k = 0; k < ndim - 1; k++) {
        out_old[k] = index[k < step->axis ? k : k + 1];
    }
}

static void of_permute(const axes_step *step, int32_t ndim, const int64_t *index, int64_t *out_old)
{
    for (int32_t k = 0; k < ndim; k++) {
        out_old[step->moved[k]] = index[k];
    }
}

/* Each item of `view` must be where the old view had it. */
static void assert_same_items(const ndbuf_view *view, const ndbuf_view *old, old_index_fn old_index,
                              const axes_step *step)
{
    int64_t nitems = 1;
    for (int32_t k = 0; k < view->ndim; k++) {
        nitems *= view->shape[k];
    }
    assert_int_equal(ndbuf_view_nitems(view), nitems);
    assert_int_equal(view->nbytes, nitems * view->itemsize);
    if (nitems == 0) {
        bool inside = old->byte_offset >= 0 && old->byte_offset <= old->storage_nbytes;
        if (inside) { /* else a pointer has been followed */
            assert_in_range(view->byte_offset, 0, view->storage_nbytes);
        }
        return;
    }
    int64_t index[NDBUF_MAX_NDIM] = {0};
    do {
        int64_t of_old[NDBUF_MAX_NDIM] = {0};
        old_index(step, view->ndim, index, of_old);
        assert_int_equal(sample_item_address(view, index), sample_item_address(old, of_old));
    } while (sample_next_index(view->ndim, view->shape, index));
}

/* Makes `out_view` from `view` by some operation, checks it, and returns what the operation returned. */
static ndbuf_status random_step(test_random *random, const ndbuf_view *view, ndbuf_view *out_view)
{
    ndbuf_error error = {0};
    ndbuf_status status;
    int32_t ndim = view->ndim;
    int32_t axis = ndim > 0 ? (int32_t)test_random_range(random, 0, ndim - 1) : 0;
    axes_step step = {.axis = axis};
    switch (ndim > 0 ? test_random_range(random, 0, 4) : 3) {
    case 0: {
        int64_t extent = view->shape[axis];
        ndbuf_slice slice = {test_random_range(random, -extent - 2, extent + 2),
                             test_random_range(random, -extent - 2, extent + 2), test_random_range(random, -3, 3),
                             (uint32_t)test_random_range(random, 0, 7)};
        if (slice.step == 0) {
            slice.step = test_random_range(random, 0, 1) == 0 ? INT64_MAX : INT64_MIN;
        }
        int64_t count;
        ASSERT_OK(ndbuf_slice_indices(&slice, extent, &count, &step.first, &step.step, err));
        status = ndbuf_view_slice(view, axis, &slice, out_view, &error);
        if (status == NDBUF_OK) {
            assert_int_equal(out_view->ndim, ndim);
            assert_int_equal(out_view->shape[axis], count);
            assert_same_items(out_view, view, of_slice, &step);
        }
        return status;
    }
    case 1: {
        int64_t extent = view->shape[axis];
        int64_t index = test_random_range(random, -extent - 1, extent);
        status = ndbuf_view_index(view, axis, index, out_view, &error);
        if (index < -extent || index >= extent) {
            assert_int_equal(status, NDBUF_ERR_INDEX);
            return status;
        }
        step.first = index < 0 ? index + extent : index;
        if (status == NDBUF_OK) {
            assert_int_equal(out_view->ndim, ndim - 1);
            assert_same_items(out_view, view, of_index, &step);
        }
        return status;
    }
    case 2:
        status = ndbuf_view_squeeze(view, axis, out_view, &error);
        if (view->shape[axis] != 1) {
            assert_int_equal(status, NDBUF_ERR_INVALID);
        } else if (status == NDBUF_OK) {
            assert_int_equal(out_view->ndim, ndim - 1);
            assert_same_items(out_view, view, of_index, &step);
        }
        return status;
    case 3:
        step.axis = (int32_t)test_random_range(random, 0, ndim);
        status = ndbuf_view_newaxis(view, step.axis, out_view, &error);
        assert_int_equal(status, NDBUF_OK);
        assert_int_equal(out_view->shape[step.axis], 1);
        assert_same_items(out_view, view, of_newaxis, &step);
        return status;
    default: {
        int32_t axes[NDBUF_MAX_NDIM];
        bool reversed = test_random_range(random, 0, 3) == 0;
        for (int32_t k = 0; k < ndim; k++) {
            axes[k] = reversed ? ndim - 1 - k : k;
        }
        for (int32_t k = ndim - 1; k > 0 && !reversed; k--) {
            int32_t other = (int32_t)test_random_range(random, 0, k);
            int32_t moved = axes[k];
            axes[k] = axes[other];
            axes[other] = moved;
        }
        step.moved = axes;
        status =
            reversed ? ndbuf_view_transpose(view, out_view, &error) : ndbuf_view_permute(view, axes, out_view, &error);
        if (status == NDBUF_OK) {
            assert_same_items(out_view, view, of_permute, &step);
        }
        return status;
    }
    }
}

/* Takes `view` through some steps, in place, and ends it. Returns how many were refused as unsupported. */
static int random_walk(test_random *random, ndbuf_view *view, int nsteps)
{
    int nunsupported = 0;
    ndbuf_view untouched;
    memset(&untouched, 0x5A, sizeof(untouched));
    for (int i = 0; i < nsteps && view->ndim < 12; i++) {
        ndbuf_view next = untouched;
        ndbuf_status status = random_step(random, view, &next);
        if (status == NDBUF_OK) {
            ndbuf_view_release(view);
            ndbuf_view_move(view, &next);
            continue;
        }
        assert_memory_equal(&next, &untouched, sizeof(next));
        nunsupported += status == NDBUF_ERR_UNSUPPORTED;
        if (status == NDBUF_ERR_UNSUPPORTED) {
            assert_non_null(view->suboffsets);
        }
    }
    ndbuf_view_release(view);
    return nunsupported;
}

static void test_views_of_views_reach_the_items_that_they_should(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    for (int i = 0; i < 5000; i++) {
        sample_layout layout = sample_layout_random(&random, 5, 4);
        int64_t lo = 0, hi = 0;
        sample_layout_range(&layout, &lo, &hi);
        sample_storage sample;
        sample_storage_init(&sample, NDBUF_DEVICE_OPENCL, NULL, hi - lo);
        ndbuf_view view;
        sample_view_init(&view, &sample, layout.itemsize, layout.ndim, layout.shape, layout.strides, -lo);
        assert_int_equal(random_walk(&random, &view, 8), 0);
        assert_int_equal(sample.nrefs, 0);
    }
}

enum { TABLE_LENGTH = 64, DATA_NBYTES = 4096 };

static void test_views_of_indirect_views_reach_the_items_that_they_should(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 2);
    int nunsupported = 0;
    for (int i = 0; i < 5000; i++) {
        /* A table of one or two axes, in either direction, and rows of any layout anywhere in the data. */
        static char data[DATA_NBYTES];
        char *table[TABLE_LENGTH];
        sample_layout rows = sample_layout_random(&random, 3, 3);
        int64_t lo = 0, hi = 0;
        sample_layout_range(&rows, &lo, &hi);
        int32_t nouter = (int32_t)test_random_range(&random, 1, 2);
        int64_t shape[5], strides[5], suboffsets[5];
        int64_t entries = 1, first = 0;
        for (int32_t k = nouter - 1; k >= 0; k--) {
            shape[k] = test_random_range(&random, 1, 4);
            strides[k] = entries * (int64_t)sizeof(char *);
            if (test_random_range(&random, 0, 2) == 0) {
                strides[k] = -strides[k];
                first += entries * (shape[k] - 1);
            }
            suboffsets[k] = k == nouter - 1 ? test_random_range(&random, 0, 30) : -1;
            entries *= shape[k];
        }
        for (int64_t k = 0; k < entries; k++) {
            table[k] = data + test_random_range(&random, -lo, DATA_NBYTES - hi) - suboffsets[nouter - 1];
        }
        for (int32_t k = 0; k < rows.ndim; k++) {
            shape[nouter + k] = rows.shape[k];
            strides[nouter + k] = rows.strides[k];
            suboffsets[nouter + k] = -1;
        }
        sample_storage sample;
        sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, entries * (int64_t)sizeof(char *));
        ndbuf_view_spec spec = {.byte_offset = first * (int64_t)sizeof(char *),
                                .ndim = nouter + rows.ndim,
                                .shape = shape,
                                .strides = strides,
                                .suboffsets = suboffsets};
        ndbuf_view view;
        ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
        nunsupported += random_walk(&random, &view, 6);
        assert_int_equal(sample.nrefs, 0);
    }
    assert_in_range(nunsupported, 500, 15000);
}

/* Three rows of five bytes, each reached through a pointer to its third byte. */
static void indirect_init(ndbuf_view *out_view, sample_storage *out_sample, char **table, char (*rows)[5])
{
    for (int k = 0; k < 3; k++) {
        memcpy(rows[k], &"abcdefghijklmno"[5 * k], 5);
        table[k] = rows[k] + 2 - 4;
    }
    const int64_t shape[2] = {3, 3};
    const int64_t strides[2] = {sizeof(char *), 1};
    const int64_t suboffsets[2] = {4, -1};
    sample_storage_init(out_sample, NDBUF_DEVICE_CPU, table, 3 * (int64_t)sizeof(char *));
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ASSERT_OK(ndbuf_view_init(out_view, &out_sample->storage, &spec, err));
}

static char item_at(const ndbuf_view *view, int64_t i, int64_t j)
{
    const int64_t index[2] = {i, j};
    return *(const char *)(intptr_t)sample_item_address(view, index);
}

static void test_slices_behind_pointers_change_the_suboffset(void **state)
{
    (void)state;
    sample_storage sample;
    char *table[3];
    char rows[3][5];
    ndbuf_view view, part;
    indirect_init(&view, &sample, table, rows);
    ndbuf_slice from_1 = {.start = 1, .given = NDBUF_SLICE_START};
    ndbuf_slice backwards = {.step = -1, .given = NDBUF_SLICE_STEP};

    ASSERT_OK(ndbuf_view_slice(&view, 0, &from_1, &part, err));
    assert_int_equal(part.byte_offset, sizeof(char *));
    assert_int_equal(part.suboffsets[0], 4);
    assert_int_equal(item_at(&part, 0, 0), 'h');
    ASSERT_OK(ndbuf_view_slice(&part, 1, &from_1, &part, err));
    assert_int_equal(part.byte_offset, sizeof(char *));
    assert_int_equal(part.suboffsets[0], 5);
    assert_int_equal(part.suboffsets[1], -1);
    assert_int_equal(item_at(&part, 0, 0), 'i');
    ndbuf_view_release(&part);

    ASSERT_OK(ndbuf_view_slice(&view, 1, &backwards, &part, err));
    assert_int_equal(part.byte_offset, 0);
    assert_int_equal(part.suboffsets[0], 6);
    assert_int_equal(part.strides[1], -1);
    assert_int_equal(item_at(&part, 2, 0), 'o');
    ndbuf_view_release(&part);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_suboffset_never_becomes_negative(void **state)
{
    (void)state;
    sample_storage sample;
    char row[8];
    char *table[1] = {row + 7};
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    const int64_t shape[2] = {1, 8};
    const int64_t strides[2] = {sizeof(char *), -1};
    const int64_t suboffsets[2] = {0, -1};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ndbuf_slice from_1 = {.start = 1, .given = NDBUF_SLICE_START};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "suboffset 0 of axis 0 would become -1",
                 ndbuf_view_slice(&view, 1, &from_1, &view, err));
    assert_int_equal(view.shape[1], 8);
    ndbuf_view_release(&view);
}

static void test_first_pointer_is_followed_when_its_axis_is_fixed(void **state)
{
    (void)state;
    sample_storage sample;
    char *table[3];
    char rows[3][5];
    ndbuf_view view, row;
    indirect_init(&view, &sample, table, rows);
    ASSERT_OK(ndbuf_view_index(&view, 0, -2, &row, err));
    assert_int_equal(row.ndim, 1);
    assert_null(row.suboffsets);
    assert_ptr_equal(ndbuf_view_host_address(&row), &rows[1][2]);
    assert_ptr_equal((char *)row.handle + row.byte_offset, &rows[1][2]);
    ndbuf_slice last = {.start = -1, .given = NDBUF_SLICE_START};
    ASSERT_OK(ndbuf_view_slice(&row, 0, &last, &row, err));
    assert_int_equal(*(char *)ndbuf_view_host_address(&row), 'j');
    ndbuf_view_release(&row);

    ASSERT_OK(ndbuf_view_index(&view, 1, 2, &row, err)); /* a column: pointers, and no axis behind */
    assert_int_equal(row.suboffsets[0], 6);
    const int64_t index[1] = {2};
    assert_int_equal(*(const char *)(intptr_t)sample_item_address(&row, index), 'o');
    ndbuf_view_release(&row);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_axis_before_takes_the_pointer_of_a_fixed_axis_unless_it_has_one(void **state)
{
    (void)state;
    char data[4] = "abcd";
    char *inner[4] = {data + 3, data + 2, data + 1, data};
    char **outer[2] = {inner, inner + 2};
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, inner, sizeof(inner));
    const int64_t shape[2] = {2, 2};
    const int64_t strides[2] = {2 * sizeof(char *), sizeof(char *)};
    const int64_t suboffsets[2] = {-1, 0};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view, column;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ASSERT_OK(ndbuf_view_index(&view, 1, 1, &column, err));
    assert_int_equal(column.byte_offset, sizeof(char *));
    assert_int_equal(column.suboffsets[0], 0);
    const int64_t index[1] = {1};
    assert_int_equal(*(const char *)(intptr_t)sample_item_address(&column, index), 'a');
    ndbuf_view_release(&column);
    ndbuf_view_release(&view);

    sample_storage_init(&sample, NDBUF_DEVICE_CPU, outer, sizeof(outer));
    const int64_t of_pointers[2] = {sizeof(char *), sizeof(char *)};
    const int64_t both[2] = {0, 0};
    spec.strides = of_pointers;
    spec.suboffsets = both;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    assert_int_equal(item_at(&view, 1, 0), 'b');
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "axes 0 and 1 both lead to pointers",
                 ndbuf_view_index(&view, 1, 0, &column, err));
    ASSERT_OK(ndbuf_view_index(&view, 0, 1, &view, err));
    ASSERT_OK(ndbuf_view_index(&view, 0, 1, &view, err));
    assert_int_equal(*(char *)ndbuf_view_host_address(&view), 'a');
    ndbuf_view_release(&view);
}

static void test_axes_stay_on_their_side_of_the_pointers(void **state)
{
    (void)state;
    char data[64];
    char *table[6];
    for (int k = 0; k < 6; k++) {
        table[k] = data + 10 * k;
    }
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    const int64_t shape[4] = {2, 3, 2, 4};
    const int64_t strides[4] = {3 * sizeof(char *), sizeof(char *), 4, 1};
    const int64_t suboffsets[4] = {-1, 2, -1, -1};
    ndbuf_view_spec spec = {.ndim = 4, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view, permuted;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    const int32_t inside[4] = {1, 0, 3, 2};
    const int32_t across[4] = {0, 2, 1, 3};
    ASSERT_OK(ndbuf_view_permute(&view, inside, &permuted, err));
    assert_int_equal(permuted.suboffsets[0], -1);
    assert_int_equal(permuted.suboffsets[1], 2);
    assert_same_items(&permuted, &view, of_permute, &(axes_step){.moved = inside});
    ndbuf_view_release(&permuted);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "axis 2 would move across axis 1, which leads to pointers",
                 ndbuf_view_permute(&view, across, &permuted, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "axis 3 would move across axis 1", ndbuf_view_transpose(&view, &permuted, err));
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_axes_are_permuted_between_two_levels_of_pointers(void **state)
{
    (void)state;
    char data[32];
    char *rows[4] = {data, data + 4, data + 8, data + 12};
    char **tables[4] = {rows, rows + 2, rows + 1, rows};
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, tables, sizeof(tables));
    const int64_t shape[6] = {2, 2, 1, 2, 3, 2};
    const int64_t strides[6] = {2 * sizeof(char *), sizeof(char *), 5, sizeof(char *), 1, 3};
    const int64_t suboffsets[6] = {-1, 0, -1, 0, -1, -1};
    ndbuf_view_spec spec = {.ndim = 6, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view, permuted;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    const int32_t inside[6] = {1, 0, 3, 2, 5, 4};
    ASSERT_OK(ndbuf_view_permute(&view, inside, &permuted, err));
    assert_memory_equal(permuted.suboffsets, suboffsets, sizeof(suboffsets));
    assert_same_items(&permuted, &view, of_permute, &(axes_step){.moved = inside});
    ndbuf_view_release(&permuted);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_empty_views_stay_where_they_are(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 40);
    const int64_t shape[2] = {5, 0};
    const int64_t strides[2] = {INT64_MAX, INT64_MIN};
    ndbuf_view view, part;
    sample_view_init(&view, &sample, 4, 2, shape, strides, 40);
    ndbuf_slice slice = {.start = 1, .step = 3, .given = NDBUF_SLICE_START | NDBUF_SLICE_STEP};
    ASSERT_OK(ndbuf_view_slice(&view, 0, &slice, &part, err));
    assert_int_equal(part.shape[0], 2);
    assert_int_equal(part.byte_offset, 40);
    ndbuf_view_release(&part);
    ASSERT_OK(ndbuf_view_index(&view, 0, 4, &part, err));
    assert_int_equal(part.byte_offset, 40);
    ndbuf_view_release(&part);
    ASSERT_FAILS(NDBUF_ERR_INDEX, "index 0 of axis 1, whose extent is 0", ndbuf_view_index(&view, 1, 0, &part, err));
    ndbuf_view_release(&view);

    /* A slice that leaves nothing of a view with items does not move either. */
    const int64_t items[1] = {10};
    sample_view_init(&view, &sample, 4, 1, items, NULL, 0);
    slice = (ndbuf_slice){.start = 10, .given = NDBUF_SLICE_START};
    ASSERT_OK(ndbuf_view_slice(&view, 0, &slice, &view, err));
    assert_int_equal(view.shape[0], 0);
    assert_int_equal(view.byte_offset, 0);
    ndbuf_view_release(&view);
}

static void test_each_bad_axis_has_its_own_text(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 100);
    const int64_t shape[3] = {2, 3, 4};
    ndbuf_view view, untouched;
    sample_view_init(&view, &sample, 1, 3, shape, NULL, 0);
    memset(&untouched, 0x5A, sizeof(untouched));
    ndbuf_view out = untouched;
    ndbuf_slice slice = {0};
    ndbuf_slice no_step = {.given = NDBUF_SLICE_STEP};
    const int32_t twice[3] = {0, 2, 0};
    const int32_t outside[3] = {0, 1, 3};
    const int32_t negative[3] = {0, 1, -1};
    ASSERT_FAILS(NDBUF_ERR_INDEX, "axis 3 of a view of 3 dimensions", ndbuf_view_slice(&view, 3, &slice, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "axis -1 of a view", ndbuf_view_slice(&view, -1, &slice, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "step of a slice is 0", ndbuf_view_slice(&view, 1, &no_step, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "slice is NULL", ndbuf_view_slice(&view, 1, NULL, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "axis 4 of a view", ndbuf_view_index(&view, 4, 0, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "index 3 of axis 1, whose extent is 3", ndbuf_view_index(&view, 1, 3, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "index -4 of axis 1", ndbuf_view_index(&view, 1, -4, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "index -9223372036854775808", ndbuf_view_index(&view, 1, INT64_MIN, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "axis 2 has extent 4", ndbuf_view_squeeze(&view, 2, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "axis 5 of a view", ndbuf_view_squeeze(&view, 5, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "axes[2] is 0, a second time", ndbuf_view_permute(&view, twice, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "axes[2] is 3, and the view has no such axis",
                 ndbuf_view_permute(&view, outside, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "axes[2] is -1, and", ndbuf_view_permute(&view, negative, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "axes is NULL", ndbuf_view_permute(&view, NULL, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "before axis 4 of a view of 3", ndbuf_view_newaxis(&view, 4, &out, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "before axis -1", ndbuf_view_newaxis(&view, -1, &out, err));
    assert_memory_equal(&out, &untouched, sizeof(out));
    while (view.ndim < NDBUF_MAX_NDIM) {
        ASSERT_OK(ndbuf_view_newaxis(&view, 1, &view, err));
    }
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "the view has 64 dimensions", ndbuf_view_newaxis(&view, 0, &view, err));
    assert_int_equal(view.ndim, NDBUF_MAX_NDIM);
    assert_int_equal(view.nbytes, 24);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is NULL", ndbuf_view_transpose(NULL, &out, err));
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_views_of_views_reach_the_items_that_they_should),
        cmocka_unit_test(test_views_of_indirect_views_reach_the_items_that_they_should),
        cmocka_unit_test(test_slices_behind_pointers_change_the_suboffset),
        cmocka_unit_test(test_suboffset_never_becomes_negative),
        cmocka_unit_test(test_first_pointer_is_followed_when_its_axis_is_fixed),
        cmocka_unit_test(test_axis_before_takes_the_pointer_of_a_fixed_axis_unless_it_has_one),
        cmocka_unit_test(test_axes_stay_on_their_side_of_the_pointers),
        cmocka_unit_test(test_axes_are_permuted_between_two_levels_of_pointers),
        cmocka_unit_test(test_empty_views_stay_where_they_are),
        cmocka_unit_test(test_each_bad_axis_has_its_own_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
