/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/view.h"

#include <string.h>

#include "core/format_core.h"
#include "core/view_core.h"
#include "tests/support/sample_views.h"

static void test_view_says_where_what_and_how(void **state)
{
    (void)state;
    sample_storage sample;
    char memory[200];
    sample_storage_init(&sample, NDBUF_DEVICE_CUDA_HOST, memory, sizeof(memory));
    ndbuf_format *format = NULL;
    ASSERT_OK(ndbuf_format_create(NDBUF_KIND_BYTES, 6, '=', &format, err));
    const int64_t shape[2] = {3, 4};
    const int64_t strides[2] = {-30, 7};
    ndbuf_view_spec spec = {.format = format, .byte_offset = 61, .ndim = 2, .shape = shape, .strides = strides};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    assert_int_equal(view.abi_version, NDBUF_ABI_VERSION);
    assert_int_equal(view.flags, 0);
    assert_int_equal(view.device.type, NDBUF_DEVICE_CUDA_HOST);
    assert_ptr_equal(view.handle, memory);
    assert_int_equal(view.byte_offset, 61);
    assert_int_equal(view.storage_nbytes, 200);
    assert_int_equal(view.nbytes, 72);
    assert_int_equal(view.itemsize, 6);
    assert_int_equal(view.ndim, 2);
    assert_string_equal(view.format, ndbuf_format_text(format));
    assert_memory_equal(view.shape, shape, sizeof(shape));
    assert_memory_equal(view.strides, strides, sizeof(strides));
    assert_null(view.suboffsets);
    assert_null(view.ready);
    assert_ptr_equal(view.owner, &sample.storage.owner);
    assert_ptr_equal(ndbuf_view_storage(&view), &sample.storage);
    assert_ptr_equal(ndbuf_view_device(&view), sample.storage.mem.device);
    assert_ptr_equal(ndbuf_view_format(&view), format);
    assert_ptr_equal(ndbuf_view_host_address(&view), memory + 61);
    assert_int_equal(sample.nrefs, 1);
    ndbuf_format_release(format);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_zero_specification_is_one_byte(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1);
    ndbuf_view_spec spec = {0};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    assert_int_equal(view.ndim, 0);
    assert_int_equal(view.itemsize, 1);
    assert_int_equal(view.nbytes, 1);
    assert_null(view.shape);
    assert_null(view.strides);
    assert_null(view.suboffsets);
    assert_ptr_equal(ndbuf_view_format(&view), ndbuf__format_bytes());
    ndbuf_view_release(&view);
}

static void test_missing_strides_are_c_contiguous(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 100);
    const int64_t shape[3] = {2, 3, 4};
    const int64_t strides[3] = {48, 16, 4};
    ndbuf_view view;
    sample_view_init(&view, &sample, 4, 3, shape, NULL, 4);
    assert_memory_equal(view.strides, strides, sizeof(strides));
    ndbuf_view_release(&view);
}

static ndbuf_status try_layout(sample_storage *sample, const sample_layout *layout, int64_t byte_offset,
                               ndbuf_error *out_error)
{
    ndbuf_format *format = NULL;
    ASSERT_OK(ndbuf_format_create(NDBUF_KIND_OPAQUE, layout->itemsize, '=', &format, err));
    ndbuf_view_spec spec = {.format = format,
                            .byte_offset = byte_offset,
                            .ndim = layout->ndim,
                            .shape = layout->shape,
                            .strides = layout->strides};
    ndbuf_view view = {0};
    ndbuf_status status = ndbuf_view_init(&view, &sample->storage, &spec, out_error);
    ndbuf_format_release(format);
    ndbuf_view_release(&view);
    return status;
}

static void test_view_is_accepted_exactly_if_all_items_lie_inside(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    int count[2] = {0, 0};
    for (int i = 0; i < 10000; i++) {
        sample_layout layout = sample_layout_random(&random, 4, 4);
        sample_storage sample;
        sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, test_random_range(&random, 0, 300));
        int64_t nbytes = (int64_t)sample.storage.mem.nbytes;
        int64_t byte_offset = test_random_range(&random, -2, nbytes + 2);
        int64_t lo = 0, hi = 0;
        sample_layout_range(&layout, &lo, &hi);
        bool inside = byte_offset + lo >= 0 && byte_offset + hi <= nbytes;
        assert_int_equal(try_layout(&sample, &layout, byte_offset, NULL), inside ? NDBUF_OK : NDBUF_ERR_BOUNDS);
        assert_int_equal(sample.nrefs, 0);
        count[inside]++;
    }
    assert_in_range(count[0], 1000, 9000);
    assert_in_range(count[1], 1000, 9000);
}

static void test_view_without_items_needs_only_a_place(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 10);
    sample_layout layout = {.ndim = 2, .itemsize = 4, .shape = {0, 1000}, .strides = {INT64_MAX, INT64_MIN}};
    ASSERT_OK(try_layout(&sample, &layout, 0, err));
    ASSERT_OK(try_layout(&sample, &layout, 10, err));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "without items at byte 11", try_layout(&sample, &layout, 11, err));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "without items at byte -1", try_layout(&sample, &layout, -1, err));
}

static void test_strides_of_single_items_are_not_checked(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 12);
    sample_layout layout = {.ndim = 3, .itemsize = 4, .shape = {1, 3, 1}, .strides = {INT64_MAX, 4, INT64_MIN}};
    ASSERT_OK(try_layout(&sample, &layout, 0, err));
}

static void test_each_bad_specification_has_its_own_text(void **state)
{
    (void)state;
    sample_storage host, device;
    sample_storage_init(&host, NDBUF_DEVICE_CPU, NULL, 100);
    sample_storage_init(&device, NDBUF_DEVICE_OPENCL, NULL, 100);
    const int64_t large = (int64_t)1 << 40;
    const int64_t shape[3] = {4, 5, 1};
    const int64_t negative[3] = {4, -5, 1};
    const int64_t overflowing[3] = {large, large, 1};
    const int64_t strides[3] = {16, 4, 0};
    const int64_t far[3] = {INT64_MAX / 2, 4, 0};
    const int64_t suboffsets[3] = {-1, 0, -1};
    const int64_t behind[3] = {INT64_MAX - 8, -1, -1};
    ndbuf_view untouched;
    memset(&untouched, 0x5A, sizeof(untouched));
    ndbuf_view view = untouched;
#define REFUSED(status, part, storage, ...)                                                                            \
    ASSERT_FAILS(status, part, ndbuf_view_init(&view, (storage), &(ndbuf_view_spec){__VA_ARGS__}, err))
    REFUSED(NDBUF_ERR_INVALID, "storage is NULL", NULL, .ndim = 0);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "spec is NULL", ndbuf_view_init(&view, &host.storage, NULL, err));
    REFUSED(NDBUF_ERR_INVALID, "ndim is -1, not 0 .. 64", &host.storage, .ndim = -1);
    REFUSED(NDBUF_ERR_INVALID, "ndim is 65, not 0 .. 64", &host.storage, .ndim = 65, .shape = shape);
    REFUSED(NDBUF_ERR_INVALID, "ndim is 2147483647", &host.storage, .ndim = INT32_MAX, .shape = shape);
    REFUSED(NDBUF_ERR_INVALID, "shape is NULL, but ndim is 2", &host.storage, .ndim = 2);
    REFUSED(NDBUF_ERR_INVALID, "the extent of axis 1 is -5", &host.storage, .ndim = 3, .shape = negative);
    REFUSED(NDBUF_ERR_INVALID, "flags are 0x2", &host.storage, .flags = NDBUF_VIEW_COPIED);
    REFUSED(NDBUF_ERR_INVALID, "suboffsets in memory of device type 4", &device.storage, .ndim = 3, .shape = shape,
            .strides = strides, .suboffsets = suboffsets);
    REFUSED(NDBUF_ERR_INVALID, "suboffsets without strides", &host.storage, .ndim = 3, .shape = shape,
            .suboffsets = suboffsets);
    REFUSED(NDBUF_ERR_OVERFLOW, "shape times the item size of 1 bytes", &host.storage, .ndim = 3, .shape = overflowing);
    REFUSED(NDBUF_ERR_OVERFLOW, "shape times strides, from byte offset 7 on", &host.storage, .ndim = 3, .shape = shape,
            .strides = far, .byte_offset = 7);
    REFUSED(NDBUF_ERR_OVERFLOW, "shape times strides, from byte offset 9223372036854775807", &host.storage,
            .byte_offset = INT64_MAX);
    REFUSED(NDBUF_ERR_OVERFLOW, "shape times strides", &host.storage, .ndim = 3, .shape = shape, .strides = strides,
            .suboffsets = behind);
    REFUSED(NDBUF_ERR_BOUNDS, "bytes [60, 125) of the view leave the storage [0, 100)", &host.storage, .ndim = 3,
            .shape = shape, .strides = strides, .byte_offset = 60);
    REFUSED(NDBUF_ERR_BOUNDS, "bytes [-1, 0) of the view leave the storage [0, 100)", &host.storage, .byte_offset = -1);
    ndbuf_format *format = test_parse("O");
    REFUSED(NDBUF_ERR_UNSUPPORTED, "mean nothing off the host", &device.storage, .format = format);
    ndbuf_format_release(format);
#undef REFUSED
    assert_memory_equal(&view, &untouched, sizeof(view));
    assert_int_equal(host.nrefs + device.nrefs, 0);
}

static void test_readonly_comes_from_the_storage_or_the_specification(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 4; k++) {
        sample_storage sample;
        sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1);
        sample.storage.flags = (k & 1) != 0 ? NDBUF_STORAGE_READONLY : 0;
        ndbuf_view_spec spec = {.flags = (k & 2) != 0 ? NDBUF_VIEW_READONLY : 0};
        ndbuf_view view;
        ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
        assert_int_equal(view.flags, k != 0 ? NDBUF_VIEW_READONLY : 0);
        ndbuf_view_release(&view);
    }
}

static void test_suboffsets_that_are_all_negative_are_none(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_OPENCL, NULL, 100);
    const int64_t shape[2] = {2, 3};
    const int64_t suboffsets[2] = {-1, -8};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .suboffsets = suboffsets};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    assert_null(view.suboffsets);
    ndbuf_view_release(&view);
}

static void test_view_of_items_without_bytes_is_a_view(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 0);
    const int64_t shape[1] = {5};
    ndbuf_view view;
    sample_view_init(&view, &sample, 0, 1, shape, NULL, 0);
    assert_int_equal(view.itemsize, 0);
    assert_int_equal(view.nbytes, 0);
    assert_int_equal(ndbuf_view_nitems(&view), 5);
    ndbuf_view_release(&view);
}

static void test_release_empties_and_accepts_what_is_empty(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    const int64_t shape[9] = {1, 2, 1, 2, 1, 2, 1, 2, 1};
    ndbuf_view view;
    memset(&view, 0x5A, sizeof(view));
    sample_view_init(&view, &sample, 3, 9, shape, NULL, 0);
    assert_int_equal(sample.nrefs, 1);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
    assert_null(view.release);
    assert_null(view.owner);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is empty", ndbuf_view_transpose(&view, &view, err));
    assert_null(ndbuf_view_storage(&view));
    ndbuf_view_release(&view);
    ndbuf_view_release(NULL);
    assert_int_equal(sample.nrefs, 0);
}

static void test_moved_view_points_into_its_new_place(void **state)
{
    (void)state;
    sample_storage sample;
    void *table[4] = {0};
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    const int64_t shape[3] = {1, 2, 2};
    const int64_t strides[3] = {16, 8, 1};
    const int64_t suboffsets[3] = {-1, 4, -1};
    ndbuf_view_spec spec = {.ndim = 3, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view first, second, zero;
    memset(&zero, 0, sizeof(zero));
    ASSERT_OK(ndbuf_view_init(&first, &sample.storage, &spec, err));
    ndbuf_view_move(&second, &first);
    assert_memory_equal(&first, &zero, sizeof(first));
    memset(&first, 0x5A, sizeof(first));
    assert_memory_equal(second.shape, shape, sizeof(shape));
    assert_memory_equal(second.strides, strides, sizeof(strides));
    assert_memory_equal(second.suboffsets, suboffsets, sizeof(suboffsets));
    assert_ptr_equal(second.dims, second.dims_inline);
    ndbuf_view_move(&second, &second);
    assert_int_equal(second.ndim, 3);
    assert_int_equal(sample.nrefs, 1);
    ndbuf_view_release(&second);
    assert_int_equal(sample.nrefs, 0);

    const int64_t many[10] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 7};
    sample_view_init(&first, &sample, 1, 10, many, NULL, 0);
    const int64_t *shape_on_heap = first.shape;
    ndbuf_view_move(&second, &first);
    assert_ptr_equal(second.shape, shape_on_heap);
    ndbuf_view_release(&second);
    assert_int_equal(sample.nrefs, 0);
}

static void foreign_release(ndbuf_view *view)
{
    memset(view, 0, sizeof(*view));
}

static void test_foreign_view_is_shown_but_not_derived_from(void **state)
{
    (void)state;
    char memory[16];
    const int64_t shape[1] = {4};
    ndbuf_view foreign = {.abi_version = NDBUF_ABI_VERSION,
                          .device = {NDBUF_DEVICE_CPU, 0},
                          .handle = memory,
                          .byte_offset = 3,
                          .storage_nbytes = 16,
                          .nbytes = 8,
                          .itemsize = 2,
                          .ndim = 1,
                          .shape = shape,
                          .release = foreign_release};
    ndbuf_view view;
    assert_null(ndbuf_view_storage(&foreign));
    assert_null(ndbuf_view_format(&foreign));
    assert_ptr_equal(ndbuf_view_host_address(&foreign), memory + 3);
    ASSERT_FAILS(NDBUF_ERR_ABI, "view was not made by this copy", ndbuf_view_copy(&view, &foreign, err));
    ndbuf_view_set_ready(&foreign, NULL);
    foreign.device.type = NDBUF_DEVICE_OPENCL;
    assert_null(ndbuf_view_host_address(&foreign));
    foreign.abi_version = 2;
    ASSERT_FAILS(NDBUF_ERR_ABI, "for version 2 of the structs, not 1", ndbuf_view_copy(&view, &foreign, err));
    ndbuf_view_release(&foreign);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is empty", ndbuf_view_copy(&view, &foreign, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is NULL", ndbuf_view_copy(&view, NULL, err));
}

static void test_device_memory_has_no_host_address(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_OPENCL, NULL, 8);
    ndbuf_view_spec spec = {.byte_offset = 4};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    assert_null(ndbuf_view_host_address(&view));
    char mapped[8];
    sample.storage.mem.host_address = mapped; /* a device whose memory the host can touch */
    assert_ptr_equal(ndbuf_view_host_address(&view), mapped + 4);
    ndbuf_view_release(&view);
}

static void test_created_view_is_contiguous_and_owns_its_storage(void **state)
{
    (void)state;
    const int64_t shape[3] = {3, 0, 5};
    const int64_t full[2] = {3, 5};
    ndbuf_format *format = NULL;
    ASSERT_OK(ndbuf_format_create(NDBUF_KIND_OPAQUE, 4, '=', &format, err));
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), format, 2, full, err));
    assert_int_equal(view.nbytes, 60);
    assert_int_equal(view.storage_nbytes, 60);
    assert_int_equal(view.strides[0], 20);
    memset(ndbuf_view_host_address(&view), 1, 60);
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), NULL, 3, shape, err));
    assert_int_equal(view.nbytes, 0);
    assert_int_equal(view.itemsize, 1);
    ndbuf_view_release(&view);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_create(&view, ndbuf_device_cpu(), format, 2, full, NULL),
                     ndbuf_view_release(&view));
    ndbuf_format_release(format);

    const int64_t large[2] = {INT64_MAX, 2};
    const int64_t negative[1] = {-3};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "device is NULL", ndbuf_view_create(&view, NULL, NULL, 0, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "shape times the item size",
                 ndbuf_view_create(&view, ndbuf_device_cpu(), NULL, 2, large, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "the extent of axis 0 is -3",
                 ndbuf_view_create(&view, ndbuf_device_cpu(), NULL, 1, negative, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "ndim is 100", ndbuf_view_create(&view, ndbuf_device_cpu(), NULL, 100, large, err));
}

static void test_many_dimensions_need_memory_and_few_none(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1);
    int64_t shape[NDBUF_MAX_NDIM];
    for (int k = 0; k < NDBUF_MAX_NDIM; k++) {
        shape[k] = 1;
    }
    ndbuf_view view;
    ndbuf_view_spec spec = {.ndim = NDBUF_MAX_NDIM, .shape = shape};
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_init(&view, &sample.storage, &spec, NULL), ndbuf_view_release(&view));
    spec.ndim = NDBUF_INLINE_NDIM + 1;
    test_alloc_fail_at(1);
    ndbuf_error error = {0};
    assert_int_equal(ndbuf_view_init(&view, &sample.storage, &spec, &error), NDBUF_ERR_NOMEM);
    assert_true(test_alloc_fail_end());
    assert_non_null(strstr(error.message, "a view of 9 dimensions"));
    spec.ndim = NDBUF_INLINE_NDIM;
    test_alloc_fail_at(1);
    ndbuf_status status = ndbuf_view_init(&view, &sample.storage, &spec, NULL);
    assert_false(test_alloc_fail_end());
    assert_int_equal(status, NDBUF_OK);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

/* The leak check of the sanitizer build sees whether each reference is given back. */
static void test_ready_event_is_held_until_replaced_or_released(void **state)
{
    (void)state;
    const int64_t shape[1] = {8};
    ndbuf_view view, part;
    ndbuf_queue *queue = NULL;
    ndbuf_event *events[2] = {NULL, NULL};
    ASSERT_OK(ndbuf_view_create(&view, ndbuf_device_cpu(), NULL, 1, shape, err));
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    for (int k = 0; k < 2; k++) {
        ASSERT_OK(ndbuf_queue_record(queue, &events[k], err));
        ndbuf_view_set_ready(&view, events[k]);
        ndbuf_view_set_ready(&view, events[k]);
        assert_ptr_equal(view.ready, events[k]);
        ndbuf_event_release(events[k]);
        ASSERT_OK(ndbuf_event_wait(view.ready, err));
    }
    ASSERT_OK(ndbuf_view_copy(&part, &view, err));
    ndbuf_view_set_ready(&view, NULL);
    assert_null(view.ready);
    ASSERT_OK(ndbuf_event_wait(part.ready, err)); /* held by the copy */
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_view_transpose(&part, &part, err));
    ASSERT_OK(ndbuf_event_wait(part.ready, err));
    ndbuf_view_release(&part);
    ndbuf_queue_release(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_view_says_where_what_and_how),
        cmocka_unit_test(test_zero_specification_is_one_byte),
        cmocka_unit_test(test_missing_strides_are_c_contiguous),
        cmocka_unit_test(test_view_is_accepted_exactly_if_all_items_lie_inside),
        cmocka_unit_test(test_view_without_items_needs_only_a_place),
        cmocka_unit_test(test_strides_of_single_items_are_not_checked),
        cmocka_unit_test(test_each_bad_specification_has_its_own_text),
        cmocka_unit_test(test_readonly_comes_from_the_storage_or_the_specification),
        cmocka_unit_test(test_suboffsets_that_are_all_negative_are_none),
        cmocka_unit_test(test_view_of_items_without_bytes_is_a_view),
        cmocka_unit_test(test_release_empties_and_accepts_what_is_empty),
        cmocka_unit_test(test_moved_view_points_into_its_new_place),
        cmocka_unit_test(test_foreign_view_is_shown_but_not_derived_from),
        cmocka_unit_test(test_device_memory_has_no_host_address),
        cmocka_unit_test(test_created_view_is_contiguous_and_owns_its_storage),
        cmocka_unit_test(test_many_dimensions_need_memory_and_few_none),
        cmocka_unit_test(test_ready_event_is_held_until_replaced_or_released),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
