/* SPDX-License-Identifier: Apache-2.0 */
/* What all derived views have in common: whom they hold, and what happens to their source. */
#include "core/view_draft.h"

#include <string.h>

#include "core/view_core.h"
#include "tests/support/sample_views.h"

static const int64_t shape_9d[9] = {1, 2, 1, 2, 1, 2, 1, 2, 3};

static void test_derived_views_outlive_their_source(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    ndbuf_view view, part, same;
    sample_view_init(&view, &sample, 7, 9, shape_9d, NULL, 16);
    view.flags |= NDBUF_VIEW_READONLY | NDBUF_VIEW_COPIED;
    ASSERT_OK(ndbuf_view_index(&view, 1, 1, &part, err));
    ASSERT_OK(ndbuf_view_copy(&same, &view, err));
    assert_int_equal(sample.nrefs, 3);
    ndbuf_view_release(&view);
    memset(&view, 0x5A, sizeof(view));
    assert_int_equal(part.ndim, 8);
    assert_int_equal(part.flags, NDBUF_VIEW_READONLY | NDBUF_VIEW_COPIED);
    assert_int_equal(part.byte_offset, 16 + 7 * 24);
    assert_int_equal(part.storage_nbytes, 1000);
    assert_memory_equal(part.shape + 1, shape_9d + 2, 7 * sizeof(*shape_9d));
    assert_int_equal(ndbuf_format_itemsize(ndbuf_view_format(&part)), 7);
    assert_string_equal(part.format, ndbuf_format_text(ndbuf_view_format(&part)));
    assert_memory_equal(same.shape, shape_9d, sizeof(shape_9d));
    ndbuf_view_release(&part);
    ndbuf_view_release(&same);
    assert_int_equal(sample.nrefs, 0);
}

static void test_result_may_replace_its_source(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    ndbuf_view view;
    sample_view_init(&view, &sample, 7, 9, shape_9d, NULL, 0);
    ASSERT_OK(ndbuf_view_transpose(&view, &view, err)); /* heap to heap */
    assert_int_equal(view.shape[0], 3);
    assert_int_equal(view.strides[0], 7);
    ASSERT_OK(ndbuf_view_squeeze(&view, 8, &view, err)); /* heap to inline */
    assert_ptr_equal(view.shape, view.dims_inline);
    assert_int_equal(view.strides[7], 7 * 24);
    ASSERT_OK(ndbuf_view_transpose(&view, &view, err));  /* inline to inline */
    ASSERT_OK(ndbuf_view_newaxis(&view, 0, &view, err)); /* inline to heap */
    assert_memory_equal(view.shape, shape_9d, sizeof(shape_9d));
    ndbuf_slice last = {.start = -1, .given = NDBUF_SLICE_START};
    ASSERT_OK(ndbuf_view_slice(&view, 8, &last, &view, err));
    assert_int_equal(view.byte_offset, 14);
    assert_int_equal(view.nbytes, 16 * 7);
    ASSERT_OK(ndbuf_view_readonly(&view, &view, err));
    assert_int_equal(view.flags, NDBUF_VIEW_READONLY);
    assert_int_equal(sample.nrefs, 1);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_failure_leaves_the_source_and_the_result_as_they_were(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    ndbuf_view view, before, part;
    sample_view_init(&view, &sample, 7, 9, shape_9d, NULL, 0);
    memcpy(&before, &view, sizeof(view)); /* to compare with, not to use */
    test_alloc_fail_at(1);
    ndbuf_status status = ndbuf_view_transpose(&view, &view, NULL);
    assert_true(test_alloc_fail_end());
    assert_int_equal(status, NDBUF_ERR_NOMEM);
    assert_memory_equal(&view, &before, sizeof(view));
    const int64_t other[9] = {9, 9, 9, 9, 9, 9, 9, 9, 9};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "cannot be broadcast", ndbuf_view_broadcast(&view, 9, other, &view, err));
    assert_memory_equal(&view, &before, sizeof(view));
    assert_int_equal(sample.nrefs, 1);

    int32_t axes[9] = {8, 7, 6, 5, 4, 3, 2, 1, 0};
    ndbuf_slice slice = {0};
    const int64_t halves[10] = {1, 2, 1, 2, 1, 2, 1, 2, 1, 3};
    const int64_t wide[10] = {1, 1, 2, 1, 2, 1, 2, 1, 2, 3};
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_copy(&part, &view, NULL), ndbuf_view_release(&part));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_readonly(&view, &part, NULL), ndbuf_view_release(&part));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_slice(&view, 0, &slice, &part, NULL), ndbuf_view_release(&part));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_permute(&view, axes, &part, NULL), ndbuf_view_release(&part));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_newaxis(&view, 0, &part, NULL), ndbuf_view_release(&part));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_broadcast(&view, 10, wide, &part, NULL), ndbuf_view_release(&part));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_reshape(&view, 10, halves, 'C', &part, NULL), ndbuf_view_release(&part));
    ASSERT_OK(ndbuf_view_newaxis(&view, 0, &view, err));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_index(&view, 0, 0, &part, NULL), ndbuf_view_release(&part));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_squeeze(&view, 0, &part, NULL), ndbuf_view_release(&part));
    assert_int_equal(sample.nrefs, 1);
    ndbuf_view_release(&view);
}

static void test_eight_dimensions_need_no_memory(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    ndbuf_view view, part;
    sample_view_init(&view, &sample, 1, 8, shape_9d, NULL, 0);
    ndbuf_slice slice = {.step = -1, .given = NDBUF_SLICE_STEP};
    test_alloc_fail_at(1);
    ndbuf_status status = ndbuf_view_slice(&view, 1, &slice, &part, NULL);
    ndbuf_view_release(&part);
    assert_false(test_alloc_fail_end());
    assert_int_equal(status, NDBUF_OK);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

/* A view as an exporter hands it out: its arrays and its format are the exporter's, and it shows only bytes. */
static void test_view_of_an_exporter_is_derived_from_in_full(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    ndbuf_view kept, acquired, part;
    const int64_t shape[2] = {3, 4};
    sample_view_init(&kept, &sample, 5, 2, shape, NULL, 40);
    memset(&acquired, 0, sizeof(acquired));
    acquired = (ndbuf_view){.abi_version = NDBUF_ABI_VERSION,
                            .device = kept.device,
                            .handle = kept.handle,
                            .byte_offset = 40,
                            .storage_nbytes = 1000,
                            .nbytes = 60,
                            .itemsize = 5,
                            .ndim = 2,
                            .owner = &sample.storage.owner,
                            .release = ndbuf__view_release,
                            .storage = &sample.storage,
                            .layout = kept.layout,
                            .held = NDBUF__HOLDS_OWNER,
                            .dims = kept.dims};
    sample.nrefs++;
    assert_int_equal(ndbuf_view_nitems(&acquired), 12);
    ASSERT_OK(ndbuf_view_index(&acquired, 0, 2, &part, err));
    assert_int_equal(part.held, NDBUF__HOLDS_OWNER);
    assert_ptr_equal(part.layout, kept.layout);
    assert_string_equal(part.format, ndbuf_format_text(kept.layout));
    assert_int_equal(part.shape[0], 4);
    assert_int_equal(part.strides[0], 5);
    assert_int_equal(part.byte_offset, 80);
    assert_ptr_equal(part.dims, part.dims_inline);
    ASSERT_OK(ndbuf_view_transpose(&acquired, &acquired, err));
    assert_int_equal(acquired.shape[0], 4);
    assert_int_equal(kept.shape[0], 3);
    assert_int_equal(sample.nrefs, 3);
    ndbuf_view_release(&acquired);
    ndbuf_view_release(&part);
    ndbuf_view_release(&kept);
    assert_int_equal(sample.nrefs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derived_views_outlive_their_source),
        cmocka_unit_test(test_result_may_replace_its_source),
        cmocka_unit_test(test_failure_leaves_the_source_and_the_result_as_they_were),
        cmocka_unit_test(test_eight_dimensions_need_no_memory),
        cmocka_unit_test(test_view_of_an_exporter_is_derived_from_in_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
