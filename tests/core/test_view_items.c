/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/support/sample_views.h"

/* A view of items of the format `text`. */
static void view_of(ndbuf_view *out_view, sample_storage *sample, const char *text, int32_t ndim, const int64_t *shape,
                    int64_t byte_offset)
{
    ndbuf_format *format = test_parse(text);
    ndbuf_view_spec spec = {.format = format, .byte_offset = byte_offset, .ndim = ndim, .shape = shape};
    ASSERT_OK(ndbuf_view_init(out_view, &sample->storage, &spec, err));
    ndbuf_format_release(format);
}

static void assert_format(const ndbuf_view *view, const char *text)
{
    ndbuf_format *expected = test_parse(text);
    assert_true(ndbuf_format_equal(ndbuf_view_format(view), expected));
    assert_string_equal(view->format, ndbuf_format_text(ndbuf_view_format(view)));
    assert_int_equal(view->itemsize, ndbuf_format_itemsize(expected));
    ndbuf_format_release(expected);
}

/* id at 0, pos.x at 4, pos.y at 8, m at 12: 24 bytes. */
static const char *const record = "T{<i:id:T{<f:x:<f:y:}:pos:(2,3)<h:m:}";

static void test_field_is_a_view_of_that_part_of_each_item(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_OPENCL, NULL, 1000);
    const int64_t shape[2] = {5, 7};
    ndbuf_view view, field;
    view_of(&view, &sample, record, 2, shape, 10);
    assert_int_equal(view.itemsize, 24);

    ASSERT_OK(ndbuf_view_field(&view, "pos.y", &field, err));
    assert_format(&field, "<f");
    assert_int_equal(field.byte_offset, 18);
    assert_int_equal(field.ndim, 2);
    assert_memory_equal(field.shape, shape, sizeof(shape));
    assert_int_equal(field.strides[0], 168);
    assert_int_equal(field.strides[1], 24);
    assert_int_equal(field.nbytes, 140);
    ndbuf_view_release(&field);

    ASSERT_OK(ndbuf_view_field(&view, "pos", &field, err));
    assert_format(&field, "T{<f:x:<f:y:}");
    assert_int_equal(field.byte_offset, 14);
    ASSERT_OK(ndbuf_view_field(&field, "x", &field, err)); /* of a field, in place */
    assert_format(&field, "<f");
    assert_int_equal(field.byte_offset, 14);
    ndbuf_view_release(&field);

    ASSERT_OK(ndbuf_view_field(&view, "m", &field, err));
    const int64_t shape_of_m[4] = {5, 7, 2, 3};
    const int64_t strides_of_m[4] = {168, 24, 6, 2};
    assert_format(&field, "<h");
    assert_int_equal(field.byte_offset, 22);
    assert_int_equal(field.ndim, 4);
    assert_memory_equal(field.shape, shape_of_m, sizeof(shape_of_m));
    assert_memory_equal(field.strides, strides_of_m, sizeof(strides_of_m));
    assert_int_equal(field.nbytes, 420);
    ndbuf_view_release(&field);

    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_subarrays_around_a_field_become_axes(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 100);
    ndbuf_view view;
    view_of(&view, &sample, "T{<b:a:(2)T{<b:k:(3)<h:v:}:s:}", 0, NULL, 0);
    ASSERT_OK(ndbuf_view_field(&view, "s.v", &view, err));
    assert_int_equal(view.ndim, 2);
    assert_int_equal(view.byte_offset, 2);
    assert_int_equal(view.shape[0], 2);
    assert_int_equal(view.shape[1], 3);
    assert_int_equal(view.strides[0], 7);
    assert_int_equal(view.strides[1], 2);
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_field_behind_pointers_changes_the_suboffset(void **state)
{
    (void)state;
    sample_storage sample;
    char *table[2] = {0};
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    ndbuf_format *format = test_parse(record);
    const int64_t shape[2] = {2, 3};
    const int64_t strides[2] = {sizeof(char *), 24};
    const int64_t suboffsets[2] = {100, -1};
    ndbuf_view_spec spec = {.format = format, .ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view view;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ndbuf_format_release(format);
    ASSERT_OK(ndbuf_view_field(&view, "pos.y", &view, err));
    assert_int_equal(view.byte_offset, 0);
    assert_int_equal(view.suboffsets[0], 108);
    ndbuf_view_release(&view);
}

static void test_field_of_an_empty_view_stays_where_it_is(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 10);
    const int64_t shape[1] = {0};
    ndbuf_view view;
    view_of(&view, &sample, record, 1, shape, 10);
    ASSERT_OK(ndbuf_view_field(&view, "m", &view, err));
    assert_int_equal(view.byte_offset, 10);
    assert_int_equal(view.ndim, 3);
    ndbuf_view_release(&view);
}

static void test_each_bad_field_has_its_own_text(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    ndbuf_view view, field, untouched;
    view_of(&view, &sample, record, 0, NULL, 0);
    memset(&untouched, 0x5A, sizeof(untouched));
    field = untouched;
    ASSERT_FAILS(NDBUF_ERR_INDEX, "pos.z", ndbuf_view_field(&view, "pos.z", &field, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "the path of a field is NULL", ndbuf_view_field(&view, NULL, &field, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "view is NULL", ndbuf_view_field(NULL, "m", &field, err));
    for (int k = 0; k < NDBUF_MAX_NDIM - 1; k++) {
        ASSERT_OK(ndbuf_view_newaxis(&view, 0, &view, err));
    }
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "63 dimensions of the view and 2 of field 'm'",
                 ndbuf_view_field(&view, "m", &field, err));
    assert_memory_equal(&field, &untouched, sizeof(field));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_field(&view, "pos", &field, NULL), ndbuf_view_release(&field));
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

static void test_equal_sizes_are_reinterpreted_whatever_the_strides(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    const int64_t shape[2] = {3, 4};
    const int64_t strides[2] = {-7, 100};
    ndbuf_view view;
    ndbuf_format *format = NULL;
    ASSERT_OK(ndbuf_format_create(NDBUF_KIND_BYTES, 8, '=', &format, err));
    sample_view_init(&view, &sample, 8, 2, shape, strides, 500);
    ASSERT_OK(ndbuf_view_reinterpret(&view, format, &view, err));
    assert_ptr_equal(ndbuf_view_format(&view), format);
    assert_string_equal(view.format, ndbuf_format_text(format));
    assert_memory_equal(view.shape, shape, sizeof(shape));
    assert_memory_equal(view.strides, strides, sizeof(strides));
    ndbuf_format_release(format);
    ndbuf_view_release(&view);
    sample_view_init(&view, &sample, 1, 0, NULL, NULL, 500);
    ASSERT_OK(ndbuf_view_reinterpret(&view, NULL, &view, err)); /* NULL is "B" */
    assert_format(&view, "B");
    ndbuf_view_release(&view);
    assert_int_equal(sample.nrefs, 0);
}

/* Reads items of `from` bytes as items of `to` bytes. */
static ndbuf_status resize(sample_storage *sample, int64_t from, int64_t to, int64_t extent, int64_t stride,
                           int64_t *out_extent, ndbuf_error *out_error)
{
    const int64_t shape[2] = {2, extent};
    const int64_t strides[2] = {100, stride};
    ndbuf_view view;
    ndbuf_format *format = NULL;
    ASSERT_OK(ndbuf_format_create(NDBUF_KIND_OPAQUE, to, '=', &format, err));
    sample_view_init(&view, sample, from, 2, shape, strides, 50);
    ndbuf_status status = ndbuf_view_reinterpret(&view, format, &view, out_error);
    if (status == NDBUF_OK) {
        assert_int_equal(view.shape[0], 2);
        assert_int_equal(view.strides[0], 100);
        assert_int_equal(view.strides[1], to);
        assert_int_equal(view.byte_offset, 50);
        assert_int_equal(view.nbytes, 2 * extent * from);
        *out_extent = view.shape[1];
    }
    ndbuf_view_release(&view);
    ndbuf_format_release(format);
    return status;
}

static void test_other_sizes_change_the_last_extent(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, NULL, 1000);
    int64_t extent = -1;
    ASSERT_OK(resize(&sample, 8, 4, 6, 8, &extent, err));
    assert_int_equal(extent, 12);
    ASSERT_OK(resize(&sample, 2, 6, 6, 2, &extent, err));
    assert_int_equal(extent, 2);
    ASSERT_OK(resize(&sample, 6, 4, 2, 6, &extent, err));
    assert_int_equal(extent, 3);
    ASSERT_OK(resize(&sample, 8, 2, 1, -77, &extent, err)); /* one item is packed whatever its stride */
    assert_int_equal(extent, 4);
    ASSERT_OK(resize(&sample, 3, 7, 0, INT64_MAX, &extent, err));
    assert_int_equal(extent, 0);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "the 18 bytes of axis 1 are no multiple of 4 bytes",
                 resize(&sample, 6, 4, 3, 6, &extent, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no multiple of 0 bytes", resize(&sample, 6, 0, 3, 6, &extent, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "axis 1 has stride 9: items of 8 bytes are not packed",
                 resize(&sample, 8, 4, 3, 9, &extent, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "axis 1 has stride -8", resize(&sample, 8, 4, 3, -8, &extent, err));
    assert_int_equal(sample.nrefs, 0);
}

static void test_what_cannot_be_reinterpreted_is_refused(void **state)
{
    (void)state;
    sample_storage sample;
    char *table[2] = {0};
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, table, sizeof(table));
    ndbuf_view view;
    ndbuf_format *object = test_parse("O");
    ndbuf_format *opaque = NULL;
    ASSERT_OK(ndbuf_format_create(NDBUF_KIND_OPAQUE, 8, '=', &opaque, err));
    view_of(&view, &sample, "O", 0, NULL, 0);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "are not reinterpreted", ndbuf_view_reinterpret(&view, opaque, &view, err));
    ndbuf_view_release(&view);
    sample_view_init(&view, &sample, 8, 0, NULL, NULL, 0);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "are not reinterpreted", ndbuf_view_reinterpret(&view, object, &view, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no dimensions with an item of 8 bytes, read as 1",
                 ndbuf_view_reinterpret(&view, NULL, &view, err));
    ndbuf_view_release(&view);
    const int64_t shape[1] = {2};
    const int64_t strides[1] = {sizeof(char *)};
    const int64_t suboffsets[1] = {0};
    ndbuf_view_spec spec = {.ndim = 1, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "axis 0 leads to pointers", ndbuf_view_reinterpret(&view, opaque, &view, err));
    ASSERT_OK(ndbuf_view_reinterpret(&view, NULL, &view, err));
    ndbuf_view_release(&view);
    const int64_t vast[2] = {0, INT64_MAX};
    sample_view_init(&view, &sample, 8, 2, vast, vast, 0);
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "9223372036854775807 items of 8 bytes",
                 ndbuf_view_reinterpret(&view, NULL, &view, err));
    ndbuf_view_release(&view);
    ndbuf_format_release(object);
    ndbuf_format_release(opaque);
    assert_int_equal(sample.nrefs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_field_is_a_view_of_that_part_of_each_item),
        cmocka_unit_test(test_subarrays_around_a_field_become_axes),
        cmocka_unit_test(test_field_behind_pointers_changes_the_suboffset),
        cmocka_unit_test(test_field_of_an_empty_view_stays_where_it_is),
        cmocka_unit_test(test_each_bad_field_has_its_own_text),
        cmocka_unit_test(test_equal_sizes_are_reinterpreted_whatever_the_strides),
        cmocka_unit_test(test_other_sizes_change_the_last_extent),
        cmocka_unit_test(test_what_cannot_be_reinterpreted_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
