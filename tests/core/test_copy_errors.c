/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_copy.h"
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include <string.h>

static ndbuf_device *fake0;
static ndbuf_device *fake1;

static int open_devices(void **state)
{
    (void)state;
    fake_register();
    return ndbuf_device_open("fake:0", &fake0, NULL) == NDBUF_OK &&
                   ndbuf_device_open("fake:1", &fake1, NULL) == NDBUF_OK
               ? 0
               : -1;
}

static int close_devices(void **state)
{
    (void)state;
    ndbuf_device_close(fake0);
    ndbuf_device_close(fake1);
    fake_assert_clean();
    return 0;
}

/* A writable contiguous view, its bytes all '.'. */
static void new_view(ndbuf_view *out_view, ndbuf_device *device, const char *format_text, int32_t ndim,
                     const int64_t *shape)
{
    ndbuf_format *format = test_parse(format_text);
    *out_view = (ndbuf_view){0};
    ASSERT_OK(ndbuf_view_create(out_view, device, format, ndim, shape, err));
    ndbuf_format_release(format);
    char dots[256];
    memset(dots, '.', sizeof(dots));
    assert_true(out_view->nbytes <= (int64_t)sizeof(dots));
    ASSERT_OK(ndbuf_fill(out_view, dots, out_view->itemsize, NULL, err));
}

/* Every way to ask for the copy fails alike, and the destination keeps its bytes. */
static void assert_copy_fails(ndbuf_status status, const char *text, const ndbuf_view *dst, const ndbuf_view *src)
{
    ndbuf_copy_plan *plan = (ndbuf_copy_plan *)&fake0;
    ndbuf_queue *queue = NULL;
    ASSERT_OK(ndbuf_queue_create(ndbuf_storage_device(ndbuf_view_storage(dst)), &queue, err));
    ASSERT_FAILS(status, text, ndbuf_copy(dst, src, NULL, err));
    ASSERT_FAILS(status, text, ndbuf_copy(dst, src, queue, err));
    ASSERT_FAILS(status, text, ndbuf_copy_plan_create(dst, src, NDBUF_CASTING_EQUIV, 0, &plan, err));
    assert_ptr_equal(plan, &fake0);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    if (ndbuf_view_host_address(dst) != NULL) {
        const char *bytes = ndbuf_storage_host_address(ndbuf_view_storage(dst));
        for (size_t i = 0; i < ndbuf_storage_nbytes(ndbuf_view_storage(dst)); i++) {
            assert_int_equal(bytes[i], '.');
        }
    }
}

static void test_shapes_that_differ_are_named(void **state)
{
    (void)state;
    ndbuf_view dst, src;
    new_view(&dst, ndbuf_device_cpu(), "B", 2, (int64_t[2]){2, 3});
    new_view(&src, ndbuf_device_cpu(), "B", 2, (int64_t[2]){2, 4});
    assert_copy_fails(NDBUF_ERR_INVALID, "axis 1 has extent 3", &dst, &src);
    ndbuf_view_release(&src);
    new_view(&src, ndbuf_device_cpu(), "B", 1, (int64_t[1]){6});
    assert_copy_fails(NDBUF_ERR_INVALID, "2 axes", &dst, &src);
    ndbuf_view_release(&src);
    ndbuf_view_release(&dst);
}

static void test_formats_that_differ_are_named_with_the_rule(void **state)
{
    (void)state;
    ndbuf_view dst, src;
    new_view(&dst, ndbuf_device_cpu(), "<f", 1, (int64_t[1]){2});
    new_view(&src, fake0, "<d", 1, (int64_t[1]){2});
    assert_copy_fails(NDBUF_ERR_CAST, "'<f'", &dst, &src);
    assert_copy_fails(NDBUF_ERR_CAST, "'<d'", &dst, &src);
    assert_copy_fails(NDBUF_ERR_CAST, "equiv", &dst, &src);
    ndbuf_view_release(&src);
    new_view(&src, ndbuf_device_cpu(), "<i", 1, (int64_t[1]){2}); /* of the same size */
    assert_copy_fails(NDBUF_ERR_CAST, "'<i'", &dst, &src);
    ndbuf_view_release(&src);
    ndbuf_view_release(&dst);
}

static void test_formats_that_lay_out_the_same_are_equal(void **state)
{
    (void)state;
    ndbuf_view dst, src;
    new_view(&dst, ndbuf_device_cpu(), "T{<i:a:<i:b:}", 1, (int64_t[1]){2});
    new_view(&src, fake0, " T{ <i :a: <i :b: }", 1, (int64_t[1]){2});
    ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
    ndbuf_view_release(&src);
    ndbuf_view_release(&dst);
}

static void test_a_read_only_destination_is_refused(void **state)
{
    (void)state;
    for (int on_device = 0; on_device < 2; on_device++) {
        ndbuf_view dst, src;
        new_view(&dst, on_device ? fake0 : ndbuf_device_cpu(), "B", 1, (int64_t[1]){4});
        new_view(&src, ndbuf_device_cpu(), "B", 1, (int64_t[1]){4});
        ASSERT_OK(ndbuf_view_readonly(&dst, &dst, err));
        assert_copy_fails(NDBUF_ERR_READONLY, "read-only", &dst, &src);
        ASSERT_FAILS(NDBUF_ERR_READONLY, "read-only", ndbuf_fill(&dst, "x", 1, NULL, err));
        ASSERT_OK(ndbuf_copy(&src, &dst, NULL, err)); /* as a source it is fine */
        ndbuf_view_release(&src);
        ndbuf_view_release(&dst);
    }
}

static void test_a_destination_that_overlaps_itself_is_refused(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, 3};
    static const int64_t windows[2] = {1, 1};
    for (int on_device = 0; on_device < 2; on_device++) {
        ndbuf_storage *storage = NULL;
        ndbuf_view dst = {0};
        ndbuf_view src;
        ndbuf_view all = {0};
        ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = windows};
        ndbuf_view_spec whole = {.ndim = 1, .shape = (int64_t[1]){5}};
        ASSERT_OK(ndbuf_storage_create(on_device ? fake0 : ndbuf_device_cpu(), 5, &storage, err));
        ASSERT_OK(ndbuf_view_init(&all, storage, &whole, err));
        ASSERT_OK(ndbuf_fill(&all, ".", 1, NULL, err));
        ASSERT_OK(ndbuf_view_init(&dst, storage, &spec, err));
        new_view(&src, ndbuf_device_cpu(), "B", 2, shape);
        assert_copy_fails(NDBUF_ERR_INVALID, "overlaps itself", &dst, &src);
        ASSERT_OK(ndbuf_copy(&src, &dst, NULL, err)); /* as a source it is fine */
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
        ndbuf_view_release(&all);
        ndbuf_storage_release(storage);
    }
}

/* Three rows behind one pointer. */
static void test_a_destination_that_repeats_a_pointer_is_filled_but_not_copied_to(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, 4};
    static const int64_t strides[2] = {0, 1};
    static const int64_t suboffsets[2] = {0, -1};
    char row[5] = "....";
    char *table[1] = {row};
    ndbuf_storage *storage = NULL;
    ndbuf_view rows = {0};
    ndbuf_view src;
    ndbuf_copy_plan *plan = NULL;
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), table, sizeof(table), 0, NULL, NULL, &storage, err));
    ASSERT_OK(ndbuf_view_init(&rows, storage, &spec, err));
    ndbuf_storage_release(storage);
    new_view(&src, ndbuf_device_cpu(), "B", 2, shape);
    ASSERT_OK(ndbuf_fill(&src, "s", 1, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "axis 0 repeats its pointers", ndbuf_copy(&rows, &src, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "axis 0 repeats its pointers",
                 ndbuf_copy_plan_create(&rows, &src, NDBUF_CASTING_EQUIV, 0, &plan, err));
    assert_string_equal(row, "....");
    ASSERT_OK(ndbuf_fill(&rows, "x", 1, NULL, err));
    assert_string_equal(row, "xxxx");
    ASSERT_OK(ndbuf_copy(&src, &rows, NULL, err));
    assert_memory_equal(ndbuf_view_host_address(&src), "xxxxxxxxxxxx", 12);
    ndbuf_view_release(&src);
    ndbuf_view_release(&rows);
}

static void test_a_fill_takes_axes_that_repeat_but_no_windows(void **state)
{
    (void)state;
    static const int64_t shape[2] = {3, 3};
    static const int64_t repeats[2] = {1, 0};
    static const int64_t windows[2] = {1, 1};
    char bytes[7] = ".......";
    ndbuf_storage *storage = NULL;
    ndbuf_view dst = {0};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = repeats, .byte_offset = 1};
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, sizeof(bytes), 0, NULL, NULL, &storage, err));
    ASSERT_OK(ndbuf_view_init(&dst, storage, &spec, err));
    ASSERT_OK(ndbuf_fill(&dst, "x", 1, NULL, err));
    assert_memory_equal(bytes, ".xxx...", 7);
    ndbuf_view_release(&dst);
    spec.strides = windows;
    ASSERT_OK(ndbuf_view_init(&dst, storage, &spec, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "overlaps itself", ndbuf_fill(&dst, "y", 1, NULL, err));
    assert_memory_equal(bytes, ".xxx...", 7);
    ndbuf_view_release(&dst);
    ndbuf_storage_release(storage);
}

static void test_items_that_overlap_in_part_cannot_be_filled(void **state)
{
    (void)state;
    static const int64_t shape[1] = {3};
    static const int64_t strides[1] = {1};
    ndbuf_storage *storage = NULL;
    ndbuf_view dst = {0};
    ndbuf_view_spec spec = {.format = test_format(2), .ndim = 1, .shape = shape, .strides = strides};
    ASSERT_OK(ndbuf_storage_create(ndbuf_device_cpu(), 4, &storage, err));
    ASSERT_OK(ndbuf_view_init(&dst, storage, &spec, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "overlap", ndbuf_fill(&dst, "xy", 2, NULL, err));
    ndbuf_view_release(&dst);
    ndbuf_storage_release(storage);
    ndbuf_format_release(spec.format);
}

static void test_a_fill_of_another_item_size_is_refused(void **state)
{
    (void)state;
    ndbuf_view dst;
    new_view(&dst, fake0, "<i", 1, (int64_t[1]){4});
    ASSERT_FAILS(NDBUF_ERR_INVALID, "3", ndbuf_fill(&dst, "abc", 3, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "-4", ndbuf_fill(&dst, "abc", -4, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "item", ndbuf_fill(&dst, NULL, 4, NULL, err));
    ndbuf_view_release(&dst);
}

static void test_the_queue_of_a_third_device_is_refused(void **state)
{
    (void)state;
    ndbuf_view dst, src;
    ndbuf_queue *queue = NULL;
    ndbuf_copy_plan *plan = NULL;
    ASSERT_OK(ndbuf_queue_create(fake1, &queue, err));
    new_view(&dst, fake0, "B", 1, (int64_t[1]){4});
    new_view(&src, ndbuf_device_cpu(), "B", 1, (int64_t[1]){4});
    ASSERT_FAILS(NDBUF_ERR_INVALID, "queue", ndbuf_copy(&dst, &src, queue, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "queue", ndbuf_fill(&dst, "x", 1, queue, err));
    ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "queue", ndbuf_copy_plan_run(plan, &dst, &src, queue, err));
    ndbuf_copy_plan_destroy(plan);
    ndbuf_view_release(&dst);
    new_view(&dst, fake0, "B", 1, (int64_t[1]){0}); /* nor where there is nothing to do */
    ASSERT_FAILS(NDBUF_ERR_INVALID, "queue", ndbuf_copy(&dst, &dst, queue, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "queue", ndbuf_fill(&dst, "x", 1, queue, err));
    ndbuf_view_release(&dst);
    new_view(&dst, fake0, "0s", 1, (int64_t[1]){4});
    ASSERT_FAILS(NDBUF_ERR_INVALID, "queue", ndbuf_copy(&dst, &dst, queue, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "queue", ndbuf_fill(&dst, NULL, 0, queue, err));
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_queue_release(queue);
}

static void test_objects_and_pointers_stay_on_the_host(void **state)
{
    (void)state;
    ndbuf_view dst = {0};
    ndbuf_format *format = test_parse("O");
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "", ndbuf_view_create(&dst, fake0, format, 1, (int64_t[1]){2}, err));
    ndbuf_format_release(format);
    format = test_parse("&<i");
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "", ndbuf_view_create(&dst, fake0, format, 1, (int64_t[1]){2}, err));
    ndbuf_format_release(format);
}

static void test_empty_and_foreign_views_are_refused(void **state)
{
    (void)state;
    static const char other_library;
    ndbuf_view view;
    ndbuf_view empty = {0};
    ndbuf_copy_plan *plan = NULL;
    new_view(&view, ndbuf_device_cpu(), "B", 1, (int64_t[1]){4});
    ASSERT_FAILS(NDBUF_ERR_INVALID, "dst", ndbuf_copy(&empty, &view, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "src", ndbuf_copy(&view, &empty, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "dst", ndbuf_copy(NULL, &view, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "src", ndbuf_copy(&view, NULL, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "dst", ndbuf_copy_plan_create(&empty, &view, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "dst", ndbuf_fill(&empty, "x", 1, NULL, err));
    ndbuf_owner foreign_owner = {.library = &other_library};
    ndbuf_view foreign = {.abi_version = NDBUF_ABI_VERSION,
                          .device = {NDBUF_DEVICE_CPU, 0},
                          .nbytes = 4,
                          .itemsize = 1,
                          .storage_nbytes = 4,
                          .ndim = 1,
                          .shape = (int64_t[1]){4},
                          .owner = &foreign_owner,
                          .release = view.release};
    ASSERT_FAILS(NDBUF_ERR_ABI, "src", ndbuf_copy(&view, &foreign, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_ABI, "dst", ndbuf_copy(&foreign, &view, NULL, err));
    ndbuf_view_release(&view);
}

static void test_a_plan_for_other_views_is_refused(void **state)
{
    (void)state;
    ndbuf_view dst, src, other;
    ndbuf_copy_plan *plan = NULL;
    new_view(&dst, ndbuf_device_cpu(), "B", 2, (int64_t[2]){2, 3});
    new_view(&src, fake0, "B", 2, (int64_t[2]){2, 3});
    ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ASSERT_OK(ndbuf_copy_plan_run(plan, &dst, &src, NULL, err));
    new_view(&other, fake0, "B", 2, (int64_t[2]){2, 4});
    ASSERT_FAILS(NDBUF_ERR_INVALID, "src has another layout", ndbuf_copy_plan_run(plan, &dst, &other, NULL, err));
    ndbuf_view_release(&other);
    new_view(&other, ndbuf_device_cpu(), "B", 2, (int64_t[2]){2, 3});
    ASSERT_FAILS(NDBUF_ERR_INVALID, "device", ndbuf_copy_plan_run(plan, &dst, &other, NULL, err));
    ndbuf_view_release(&other);
    new_view(&other, fake1, "B", 2, (int64_t[2]){2, 3});
    ASSERT_FAILS(NDBUF_ERR_INVALID, "device", ndbuf_copy_plan_run(plan, &dst, &other, NULL, err));
    ndbuf_view_release(&other);
    new_view(&other, fake0, "c", 2, (int64_t[2]){2, 3});
    ASSERT_FAILS(NDBUF_ERR_INVALID, "format", ndbuf_copy_plan_run(plan, &dst, &other, NULL, err));
    ndbuf_view_release(&other);
    new_view(&other, fake0, "B", 2, (int64_t[2]){3, 2});
    ASSERT_OK(ndbuf_view_transpose(&other, &other, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "src has another layout", ndbuf_copy_plan_run(plan, &dst, &other, NULL, err));
    ndbuf_view_release(&other);
    ASSERT_OK(ndbuf_view_readonly(&dst, &dst, err));
    ASSERT_FAILS(NDBUF_ERR_READONLY, "read-only", ndbuf_copy_plan_run(plan, &dst, &src, NULL, err));
    ndbuf_copy_plan_destroy(plan);
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
}

static void test_running_out_of_device_memory_is_told(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_storage *storage = NULL;
    fake_config config = fake_config_default;
    config.memory_nbytes = 100;
    fake_configure(&config);
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "101", ndbuf_storage_create(fake0, 101, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "128", ndbuf_view_create(&view, fake0, NULL, 1, (int64_t[1]){128}, err));
    ndbuf_error error = {0};
    assert_int_equal(ndbuf_storage_create(fake0, 1000, &storage, &error), NDBUF_ERR_NOMEM);
    assert_int_equal(error.native_code, 2);
    ASSERT_OK(ndbuf_storage_create(fake0, 100, &storage, err));
    ndbuf_storage_release(storage);
    fake_reset();
}

/* A move within device memory that overlaps needs room to put the source aside. */
static void test_a_move_without_room_for_the_temporary_leaves_the_bytes(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    ndbuf_view all = {0};
    ndbuf_view host;
    fake_config config = fake_config_default;
    config.memory_nbytes = 100;
    fake_configure(&config);
    ASSERT_OK(ndbuf_storage_create(fake0, 100, &storage, err));
    ndbuf_view_spec spec = {.ndim = 1, .shape = (int64_t[1]){100}};
    ASSERT_OK(ndbuf_view_init(&all, storage, &spec, err));
    new_view(&host, ndbuf_device_cpu(), "B", 1, (int64_t[1]){100});
    char *bytes = ndbuf_view_host_address(&host);
    for (int i = 0; i < 100; i++) {
        bytes[i] = (char)i;
    }
    ASSERT_OK(ndbuf_copy(&all, &host, NULL, err));
    spec.shape = (int64_t[1]){60};
    ASSERT_OK(ndbuf_view_init(&dst, storage, &spec, err));
    spec.byte_offset = 20;
    ASSERT_OK(ndbuf_view_init(&src, storage, &spec, err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "60", ndbuf_copy(&dst, &src, NULL, err));
    memset(bytes, 0, 100);
    ASSERT_OK(ndbuf_copy(&host, &all, NULL, err));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(bytes[i], i);
    }
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_view_release(&all);
    ndbuf_view_release(&host);
    ndbuf_storage_release(storage);
    fake_reset();
}

static void test_a_way_that_is_refused_is_not_told_if_another_one_is_taken(void **state)
{
    (void)state;
    fake_config config = fake_config_default;
    config.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_RECT_EQUAL_PITCHES;
    fake_configure(&config);
    ndbuf_storage *storage = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view dst = {0}, src = {0};
    ASSERT_OK(ndbuf_storage_create(fake0, 2048, &storage, err));
    const ndbuf_view_spec to = {.ndim = 2, .shape = (int64_t[2]){16, 8}, .strides = (int64_t[2]){16, 1}};
    const ndbuf_view_spec from = {
        .ndim = 2, .byte_offset = 1024, .shape = (int64_t[2]){16, 8}, .strides = (int64_t[2]){32, 1}};
    ASSERT_OK(ndbuf_view_init(&dst, storage, &to, err));
    ASSERT_OK(ndbuf_view_init(&src, storage, &from, err));
    ndbuf_copy_plan *plan = NULL;
    ndbuf_copy_plan_info info;
    ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ndbuf_copy_plan_info_get(plan, &info);
    assert_int_equal(info.route, NDBUF_ROUTE_RECT);
    ASSERT_OK(ndbuf_copy_plan_run(plan, &dst, &src, NULL, err));
    ndbuf_copy_plan_destroy(plan);
    ASSERT_OK(ndbuf_queue_create(fake0, &queue, err));
    ASSERT_OK(ndbuf_copy(&dst, &src, queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_storage_release(storage);
    fake_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_that_differ_are_named),
        cmocka_unit_test(test_formats_that_differ_are_named_with_the_rule),
        cmocka_unit_test(test_formats_that_lay_out_the_same_are_equal),
        cmocka_unit_test(test_a_read_only_destination_is_refused),
        cmocka_unit_test(test_a_destination_that_overlaps_itself_is_refused),
        cmocka_unit_test(test_a_destination_that_repeats_a_pointer_is_filled_but_not_copied_to),
        cmocka_unit_test(test_a_fill_takes_axes_that_repeat_but_no_windows),
        cmocka_unit_test(test_items_that_overlap_in_part_cannot_be_filled),
        cmocka_unit_test(test_a_fill_of_another_item_size_is_refused),
        cmocka_unit_test(test_the_queue_of_a_third_device_is_refused),
        cmocka_unit_test(test_objects_and_pointers_stay_on_the_host),
        cmocka_unit_test(test_empty_and_foreign_views_are_refused),
        cmocka_unit_test(test_a_plan_for_other_views_is_refused),
        cmocka_unit_test(test_running_out_of_device_memory_is_told),
        cmocka_unit_test(test_a_move_without_room_for_the_temporary_leaves_the_bytes),
        cmocka_unit_test(test_a_way_that_is_refused_is_not_told_if_another_one_is_taken),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
