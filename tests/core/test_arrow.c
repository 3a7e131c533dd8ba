/* SPDX-License-Identifier: Apache-2.0 */
/* Views as Arrow arrays, and back; arrays that no view can be made of. */
#include "ndbuf/arrow_device.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/sample_views.h"
#include "tests/support/test.h"

static const int64_t shape234[] = {2, 3, 4};

static void make_view(ndbuf_view *out_view, const char *text, int32_t ndim, const int64_t *shape)
{
    ndbuf_format *format = test_parse(text);
    ASSERT_OK(ndbuf_view_create(out_view, ndbuf_device_cpu(), format, ndim, shape, err));
    ndbuf_format_release(format);
}

static void end(struct ArrowSchema *schema, struct ArrowDeviceArray *array)
{
    schema->release(schema);
    assert_null(schema->release);
    array->array.release(&array->array);
    assert_null(array->array.release);
}

static void test_an_array_is_lists_of_lists_of_items(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    ndbuf_loss loss;
    make_view(&view, "f", 3, (const int64_t[]){5, 3, 4});
    const ndbuf_slice rows = {.start = 1, .stop = 3, .given = NDBUF_SLICE_START | NDBUF_SLICE_STOP};
    ASSERT_OK(ndbuf_view_slice(&view, 0, &rows, &view, err));
    ASSERT_OK(ndbuf_arrow_export(&view, NULL, &schema, &array, &loss, err));
    assert_int_equal(loss.flags, 0);
    assert_int_equal(array.device_type, ARROW_DEVICE_CPU);
    assert_int_equal(array.device_id, -1);
    assert_null(array.sync_event);
    assert_int_equal(array.reserved[0] | array.reserved[1] | array.reserved[2], 0);
    static const char *const formats[] = {"+w:3", "+w:4", "f"};
    static const int64_t lengths[] = {2, 6, 24};
    const struct ArrowSchema *s = &schema;
    const struct ArrowArray *a = &array.array;
    for (int k = 0; k < 3; k++) {
        bool is_leaf = k == 2;
        assert_string_equal(s->format, formats[k]);
        assert_non_null(s->name);
        assert_int_equal(s->flags, 0);
        assert_int_equal(s->n_children, is_leaf ? 0 : 1);
        assert_int_equal(a->length, lengths[k]);
        assert_int_equal(a->null_count, 0);
        assert_int_equal(a->offset, 0);
        assert_int_equal(a->n_buffers, is_leaf ? 2 : 1);
        assert_null(a->buffers[0]);
        if (is_leaf) {
            assert_ptr_equal(a->buffers[1], ndbuf_view_host_address(&view));
        } else {
            s = s->children[0];
            a = a->children[0];
        }
    }
    ndbuf_view_release(&view); /* the array holds the memory */
    memset((void *)(uintptr_t)a->buffers[1], 1, 96);
    end(&schema, &array);
}

static void test_each_type_goes_out_and_comes_back_read_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *arrow;
    } types[] = {{"b", "c"},  {"B", "C"},  {"=h", "s"}, {"=H", "S"}, {"=i", "i"}, {"=I", "I"},
                 {"=q", "l"}, {"=Q", "L"}, {"=e", "e"}, {"=f", "f"}, {"=d", "g"}, {"7s", "w:7"}};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        ndbuf_view view = {0};
        ndbuf_view back = {0};
        struct ArrowSchema schema;
        struct ArrowDeviceArray array;
        ndbuf_loss loss;
        make_view(&view, types[i].text, 3, shape234);
        ASSERT_OK(ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
        assert_string_equal(schema.children[0]->children[0]->format, types[i].arrow);
        ASSERT_OK(ndbuf_arrow_import(&schema, &array, NULL, &back, &loss, err));
        assert_null(schema.release);
        assert_null(array.array.release);
        assert_int_equal(loss.flags, 0);
        assert_true(ndbuf_format_equal(ndbuf_view_format(&view), ndbuf_view_format(&back)));
        assert_ptr_equal(ndbuf_view_host_address(&back), ndbuf_view_host_address(&view));
        assert_int_equal(back.flags, NDBUF_VIEW_READONLY);
        assert_int_equal(back.ndim, 3);
        for (int32_t k = 0; k < 3; k++) {
            assert_int_equal(back.shape[k], shape234[k]);
            assert_int_equal(back.strides[k], view.strides[k]);
        }
        ndbuf_view_release(&view);
        ndbuf_view_release(&back);
    }
}

static void test_an_import_is_writable_on_request(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    const ndbuf_arrow_import_options writable = {.flags = NDBUF_ARROW_WRITABLE};
    make_view(&view, "i", 3, shape234);
    ASSERT_OK(ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_arrow_import(&schema, &array, &writable, &view, NULL, err));
    assert_int_equal(view.flags, 0);
    ASSERT_OK(ndbuf_fill(&view, &(int32_t){7}, 4, NULL, err));
    ndbuf_view_release(&view);
}

static void test_what_would_be_lost_is_refused_and_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t loss;
        const char *part;
        const char *arrow; /* what it goes out as, where that is accepted */
    } cases[] = {
        {"?", NDBUF_LOSS_TYPE, "it has no type for '<?'", "C"},
        {">i", NDBUF_LOSS_BYTE_ORDER, "'>i' is not in the host's byte order", "w:4"},
        {"Zd", NDBUF_LOSS_TYPE, "it has no type", "w:16"},
        {"T{2x:bfloat16:}", NDBUF_LOSS_TYPE, "it has no type", "w:2"},
        {"g", NDBUF_LOSS_TYPE, "it has no type", "w:16"},
        {"3w", NDBUF_LOSS_TYPE, "it has no type", "w:12"},
        {"=3i", NDBUF_LOSS_TYPE, "it has no type", "w:12"},
        {"T{=i:a:=f:b:}", NDBUF_LOSS_NAMES, "fields have no place", "w:8"},
        {"T{=i:a:}", NDBUF_LOSS_NAMES, "fields have no place", "i"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_view view = {0};
        struct ArrowSchema schema = {.release = NULL};
        struct ArrowDeviceArray array = {.device_id = 99};
        ndbuf_loss loss;
        make_view(&view, cases[i].text, 1, shape234);
        const ndbuf_arrow_export_options others = {.accept = ~cases[i].loss};
        const ndbuf_arrow_export_options accepting = {.accept = cases[i].loss};
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, cases[i].part,
                     ndbuf_arrow_export(&view, NULL, &schema, &array, &loss, err));
        assert_int_equal(loss.flags, cases[i].loss);
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, cases[i].part,
                     ndbuf_arrow_export(&view, &others, &schema, &array, NULL, err));
        assert_null(schema.release);
        assert_int_equal(array.device_id, 99);
        ASSERT_OK(ndbuf_arrow_export(&view, &accepting, &schema, &array, &loss, err));
        assert_int_equal(loss.flags, cases[i].loss);
        assert_string_equal(schema.format, cases[i].arrow);
        end(&schema, &array);
        ndbuf_view_release(&view);
    }
}

static void test_layouts_without_a_name_there_need_a_copy(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    ndbuf_loss loss;
    const ndbuf_arrow_export_options everything = {.accept = ~0u};
    make_view(&view, "i", 3, shape234);
    ASSERT_OK(ndbuf_view_transpose(&view, &view, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "not C-contiguous",
                 ndbuf_arrow_export(&view, &everything, &schema, &array, &loss, err));
    assert_int_equal(loss.flags, NDBUF_LOSS_STRIDES);
    ndbuf_view_release(&view);
    make_view(&view, "P", 1, shape234);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "pointers", ndbuf_arrow_export(&view, &everything, &schema, &array, NULL, err));
    const ndbuf_arrow_export_options unknown = {.flags = 8};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "0x8", ndbuf_arrow_export(&view, &unknown, &schema, &array, NULL, err));
    ndbuf_view_release(&view);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "empty", ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    /* Lists are counted in 31 bits. */
    make_view(&view, "i", 2, (const int64_t[]){0, (int64_t)1 << 31});
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "2147483648", ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    ndbuf_view_release(&view);
    const int64_t big = (int64_t)1 << 30;
    make_view(&view, "i", 1, (const int64_t[]){0});
    const ndbuf_view_spec spec = {.format = ndbuf_view_format(&view),
                                  .ndim = 5,
                                  .shape = (const int64_t[]){big, big, big, big, 0},
                                  .strides = (const int64_t[]){4, 4, 4, 4, 4}};
    ndbuf_view huge = {0};
    ASSERT_OK(ndbuf_view_init(&huge, ndbuf_view_storage(&view), &spec, err));
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "63 bits", ndbuf_arrow_export(&huge, NULL, &schema, &array, NULL, err));
    ndbuf_view_release(&huge);
    ndbuf_view_release(&view);
}

static void test_one_item_is_an_array_of_one_and_none_an_empty_array(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    const ndbuf_arrow_export_options accepting = {.accept = NDBUF_LOSS_SHAPE};
    make_view(&view, "d", 0, NULL);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "0 dimensions", ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    ASSERT_OK(ndbuf_arrow_export(&view, &accepting, &schema, &array, NULL, err));
    ASSERT_OK(ndbuf_arrow_import(&schema, &array, NULL, &back, NULL, err));
    assert_int_equal(back.ndim, 1);
    assert_int_equal(back.shape[0], 1);
    assert_ptr_equal(ndbuf_view_host_address(&back), ndbuf_view_host_address(&view));
    ndbuf_view_release(&back);
    ndbuf_view_release(&view);
    static const int64_t shapes[][3] = {{0, 3, 4}, {2, 0, 4}, {2, 3, 0}};
    for (size_t i = 0; i < 3; i++) {
        make_view(&view, "d", 3, shapes[i]);
        ASSERT_OK(ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
        ASSERT_OK(ndbuf_arrow_import(&schema, &array, NULL, &back, NULL, err));
        assert_memory_equal(back.shape, shapes[i], sizeof(shapes[i]));
        ndbuf_view_release(&back);
        ndbuf_view_release(&view);
    }
}

static void test_a_child_moved_away_outlives_its_parent(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    make_view(&view, "i", 3, shape234);
    memset(ndbuf_view_host_address(&view), 3, 96);
    ASSERT_OK(ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    ndbuf_view_release(&view);
    struct ArrowSchema child_schema = *schema.children[0];
    struct ArrowDeviceArray child = array;
    child.array = *array.array.children[0];
    schema.children[0]->release = NULL;
    array.array.children[0]->release = NULL;
    end(&schema, &array);
    ASSERT_OK(ndbuf_arrow_import(&child_schema, &child, NULL, &back, NULL, err));
    assert_int_equal(back.ndim, 2);
    assert_int_equal(back.shape[0], 6);
    assert_int_equal(((const int32_t *)ndbuf_view_host_address(&back))[23], 0x03030303);
    ndbuf_view_release(&back);
}

/* -- arrays made by hand -- */

/* 5 lists of 3 int32, of which the array shows lists 1 .. 3, over 24 numbers from number 2 on. */
typedef struct producer {
    struct ArrowSchema schema, item_schema;
    struct ArrowSchema *schemas[1];
    struct ArrowDeviceArray device;
    struct ArrowArray items;
    struct ArrowArray *arrays[1];
    const void *buffers[1], *item_buffers[2];
    int32_t numbers[24];
    uint8_t valid[3];
    int nreleased; /* of the array */
    int nschemas_released;
} producer;

static void release_schema(struct ArrowSchema *schema)
{
    ((producer *)schema->private_data)->nschemas_released++;
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    ((producer *)array->private_data)->nreleased++;
    array->release = NULL;
}

static void release_nothing(struct ArrowArray *array)
{
    array->release = NULL;
}

static void release_no_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void producer_init(producer *self)
{
    *self = (producer){.buffers = {NULL}};
    for (int32_t i = 0; i < 24; i++) {
        self->numbers[i] = i;
    }
    self->schemas[0] = &self->item_schema;
    self->arrays[0] = &self->items;
    self->item_buffers[1] = self->numbers;
    self->schema = (struct ArrowSchema){
        .format = "+w:3", .n_children = 1, .children = self->schemas, .release = release_schema, .private_data = self};
    self->item_schema = (struct ArrowSchema){.format = "i", .release = release_no_schema};
    self->device.array = (struct ArrowArray){.length = 3,
                                             .offset = 1,
                                             .n_buffers = 1,
                                             .n_children = 1,
                                             .buffers = self->buffers,
                                             .children = self->arrays,
                                             .release = release_array,
                                             .private_data = self};
    self->items = (struct ArrowArray){
        .length = 15, .offset = 2, .n_buffers = 2, .buffers = self->item_buffers, .release = release_nothing};
    self->device.device_type = ARROW_DEVICE_CPU;
    self->device.device_id = -1;
}

static void test_offsets_of_lists_and_items_add_up(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
    assert_int_equal(made.nschemas_released, 1);
    assert_int_equal(made.nreleased, 0);
    assert_int_equal(view.shape[0], 3);
    assert_int_equal(view.shape[1], 3);
    assert_int_equal(*(int32_t *)ndbuf_view_host_address(&view), 5); /* 1 list of 3, and 2 items */
    assert_int_equal(ndbuf_storage_nbytes(ndbuf_view_storage(&view)), 36);
    ndbuf_view_release(&view);
    assert_int_equal(made.nreleased, 1);
}

/* Of lists, and of items without a type there: what 31 bits hold. */
static void test_sizes_are_written_and_read_in_decimal(void **state)
{
    (void)state;
    static const int64_t sizes[] = {1, 9, 10, 90, 190, 2147483647, 2147483648};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char text[32];
        ndbuf_view view = {0};
        struct ArrowSchema schema;
        struct ArrowDeviceArray array;
        for (int is_list = 0; is_list < 2; is_list++) {
            snprintf(text, sizeof(text), "%llds", is_list ? 1LL : (long long)sizes[i]);
            make_view(&view, text, 2, (const int64_t[]){0, is_list ? sizes[i] : 9});
            if (sizes[i] > INT32_MAX) {
                ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "2147483648",
                             ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
                ndbuf_view_release(&view);
                continue;
            }
            ASSERT_OK(ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
            ndbuf_view_release(&view);
            ASSERT_OK(ndbuf_arrow_import(&schema, &array, NULL, &view, NULL, err));
            assert_int_equal(is_list ? view.shape[1] : view.itemsize, sizes[i]);
            ndbuf_view_release(&view);
        }
    }
}

static void test_an_array_is_taken_to_the_given_device_if_it_is_there(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    ndbuf_arrow_import_options options = {.device = ndbuf_device_cpu()};
    producer_init(&made);
    ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, &options, &view, NULL, err));
    assert_ptr_equal(ndbuf_view_device(&view), ndbuf_device_cpu());
    ndbuf_view_release(&view);
    assert_int_equal(made.nreleased, 1);
    producer_init(&made);
    made.device.device_type = ARROW_DEVICE_CUDA_HOST;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not on the given one",
                 ndbuf_arrow_import(&made.schema, &made.device, &options, &view, NULL, err));
    assert_int_equal(made.nreleased, 1);
}

static void test_reserved_bytes_are_not_looked_at(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    memset(made.device.reserved, 0xA5, sizeof(made.device.reserved));
    ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
    ndbuf_view_release(&view);
    assert_int_equal(made.nreleased, 1);
}

static void test_nulls_are_refused_unless_accepted(void **state)
{
    (void)state;
    for (int level = 0; level < 2; level++) {
        for (int64_t count = -1; count < 2; count++) {
            producer made;
            ndbuf_view view = {0};
            ndbuf_loss loss;
            const ndbuf_arrow_import_options accepting = {.accept = NDBUF_LOSS_NULLS};
            for (int accepts = 0; accepts < 2; accepts++) {
                producer_init(&made);
                (level == 0 ? made.buffers : made.item_buffers)[0] = made.valid;
                (level == 0 ? &made.device.array : &made.items)->null_count = count;
                if (count == 0 || accepts) { /* a bitmap alone says nothing */
                    ASSERT_OK(
                        ndbuf_arrow_import(&made.schema, &made.device, accepts ? &accepting : NULL, &view, &loss, err));
                    ndbuf_view_release(&view);
                } else {
                    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "null",
                                 ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, &loss, err));
                }
                assert_int_equal(loss.flags, count == 0 ? 0 : NDBUF_LOSS_NULLS);
                assert_int_equal(made.nreleased, 1);
                assert_int_equal(made.nschemas_released, 1);
            }
        }
    }
}

typedef void (*spoil_fn)(producer *made);

#define SPOIL(name, statement)                                                                                         \
    static void name(producer *made)                                                                                   \
    {                                                                                                                  \
        statement;                                                                                                     \
    }
SPOIL(negative_length, made->device.array.length = -1)
SPOIL(negative_offset, made->items.offset = -2)
SPOIL(absurd_nulls, made->items.null_count = -5)
SPOIL(short_child, made->items.length = 11)
SPOIL(lists_overflow, made->device.array.length = INT64_MAX)
SPOIL(offsets_overflow, made->device.array.offset = INT64_MAX)
SPOIL(item_offset_overflows, made->items.offset = INT64_MAX / 2)
SPOIL(no_format, made->item_schema.format = NULL)
SPOIL(bits, made->item_schema.format = "b")
SPOIL(strings, made->item_schema.format = "u")
SPOIL(not_a_size, made->item_schema.format = "w:")
SPOIL(list_without_size, made->schema.format = "+w:x")
SPOIL(huge_list, made->schema.format = "+w:99999999999999999999")
SPOIL(schema_without_child, made->schema.n_children = 0)
SPOIL(array_without_child, made->device.array.n_children = 0)
SPOIL(null_child, made->arrays[0] = NULL)
SPOIL(released_child, made->items.release = NULL)
SPOIL(no_buffers, made->items.buffers = NULL)
SPOIL(one_buffer, made->items.n_buffers = 1)
SPOIL(null_buffer, made->item_buffers[1] = NULL)
SPOIL(dictionary, made->items.dictionary = &made->items)
SPOIL(event_on_host, made->device.sync_event = made)
SPOIL(unknown_device, (made->device.device_type = 77, made->device.device_id = 0))
SPOIL(negative_device, (made->device.device_type = ARROW_DEVICE_CUDA, made->device.device_id = -1))
SPOIL(endless_lists, (made->item_schema = made->schema, made->item_schema.release = release_no_schema,
                      made->items = made->device.array, made->items.release = release_nothing,
                      made->schema.format = made->item_schema.format = "+w:1", made->items.length = 99))

static const struct {
    spoil_fn spoil;
    ndbuf_status status;
    const char *part;
} cases[] = {
    {negative_length, NDBUF_ERR_INVALID, "length -1"},
    {negative_offset, NDBUF_ERR_INVALID, "offset -2"},
    {absurd_nulls, NDBUF_ERR_INVALID, "-5 nulls"},
    {short_child, NDBUF_ERR_BOUNDS, "length 11 for lists that need 12"},
    {lists_overflow, NDBUF_ERR_OVERFLOW, "63 bits"},
    {offsets_overflow, NDBUF_ERR_OVERFLOW, "63 bits"},
    {item_offset_overflows, NDBUF_ERR_OVERFLOW, "63 bits"},
    {no_format, NDBUF_ERR_INVALID, "without a format"},
    {bits, NDBUF_ERR_UNSUPPORTED, "'b'"},
    {strings, NDBUF_ERR_UNSUPPORTED, "'u'"},
    {not_a_size, NDBUF_ERR_UNSUPPORTED, "'w:'"},
    {list_without_size, NDBUF_ERR_INVALID, "1 children"},
    {huge_list, NDBUF_ERR_INVALID, "1 children"},
    {schema_without_child, NDBUF_ERR_INVALID, "'+w:3'"},
    {array_without_child, NDBUF_ERR_INVALID, "0 children"},
    {null_child, NDBUF_ERR_INVALID, "missing or released"},
    {released_child, NDBUF_ERR_INVALID, "missing or released"},
    {no_buffers, NDBUF_ERR_INVALID, "2 buffers"},
    {one_buffer, NDBUF_ERR_INVALID, "1 buffers"},
    {null_buffer, NDBUF_ERR_INVALID, "no buffer"},
    {dictionary, NDBUF_ERR_UNSUPPORTED, "dictionary"},
    {event_on_host, NDBUF_ERR_INVALID, "sync_event"},
    {unknown_device, NDBUF_ERR_UNAVAILABLE, "device type 77"},
    {negative_device, NDBUF_ERR_INVALID, "number -1"},
    {endless_lists, NDBUF_ERR_OVERFLOW, "64 dimensions"},
};

static void test_a_bad_array_is_an_error_and_is_released_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        producer made;
        ndbuf_view view = {0};
        if (cases[i].spoil == negative_device) {
            /* The number is looked at only for devices that have one. */
            producer_init(&made);
            made.device.device_id = -7;
            ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
            ndbuf_view_release(&view);
        }
        producer_init(&made);
        cases[i].spoil(&made);
        ASSERT_FAILS(cases[i].status, cases[i].part,
                     ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
        assert_null(view.release);
        assert_null(made.schema.release);
        assert_null(made.device.array.release);
        assert_int_equal(made.nreleased, 1);
        assert_int_equal(made.nschemas_released, 1);
        ASSERT_FAILS(NDBUF_ERR_INVALID, "released already",
                     ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
        assert_int_equal(made.nreleased, 1);
    }
    producer made;
    ndbuf_view view = {0};
    producer_init(&made);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no array", ndbuf_arrow_import(&made.schema, NULL, NULL, &view, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no schema", ndbuf_arrow_import(NULL, &made.device, NULL, &view, NULL, err));
    assert_int_equal(made.nschemas_released, 1);
    assert_int_equal(made.nreleased, 1);
    assert_true(made.schema.release == NULL && made.device.array.release == NULL);
    producer_init(&made);
    const ndbuf_arrow_import_options unknown = {.flags = 1};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "0x1", ndbuf_arrow_import(&made.schema, &made.device, &unknown, &view, NULL, err));
    assert_int_equal(made.nreleased, 1);
}

static void test_misaligned_items_are_told(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    ndbuf_loss loss;
    producer_init(&made);
    made.item_buffers[1] = (const char *)made.numbers + 2;
    ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, &loss, err));
    assert_int_equal(loss.flags, NDBUF_LOSS_ALIGNMENT);
    assert_int_equal(loss.alignment, 2);
    ndbuf_view_release(&view);
    producer_init(&made);
    made.item_schema.format = "w:2"; /* bytes need none */
    made.item_buffers[1] = (const char *)made.numbers + 1;
    ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, &loss, err));
    assert_int_equal(loss.flags, 0);
    ndbuf_view_release(&view);
}

static void test_allocations_that_fail_lose_nothing(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    static const int64_t shape[9] = {1, 2, 1, 2, 1, 2, 1, 2, 1};
    make_view(&view, "3s", 9, shape);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, NULL), end(&schema, &array));
    ALLOC_FAIL_SWEEP(
        {
            test_alloc_fail_end();
            assert_int_equal(ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, NULL), NDBUF_OK);
            test_alloc_fail_at(nth_);
            status_ = ndbuf_arrow_import(&schema, &array, NULL, &back, NULL, NULL);
            assert_null(array.array.release);
            assert_null(schema.release);
        },
        ndbuf_view_release(&back));
    ndbuf_view_release(&view);
    producer made;
    ALLOC_FAIL_SWEEP(
        {
            producer_init(&made);
            status_ = ndbuf_arrow_import(&made.schema, &made.device, NULL, &back, NULL, NULL);
            assert_int_equal(made.nreleased, status_ == NDBUF_OK ? 0 : 1);
        },
        ndbuf_view_release(&back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_array_is_lists_of_lists_of_items),
        cmocka_unit_test(test_each_type_goes_out_and_comes_back_read_only),
        cmocka_unit_test(test_an_import_is_writable_on_request),
        cmocka_unit_test(test_what_would_be_lost_is_refused_and_reported),
        cmocka_unit_test(test_layouts_without_a_name_there_need_a_copy),
        cmocka_unit_test(test_one_item_is_an_array_of_one_and_none_an_empty_array),
        cmocka_unit_test(test_a_child_moved_away_outlives_its_parent),
        cmocka_unit_test(test_offsets_of_lists_and_items_add_up),
        cmocka_unit_test(test_sizes_are_written_and_read_in_decimal),
        cmocka_unit_test(test_an_array_is_taken_to_the_given_device_if_it_is_there),
        cmocka_unit_test(test_reserved_bytes_are_not_looked_at),
        cmocka_unit_test(test_nulls_are_refused_unless_accepted),
        cmocka_unit_test(test_a_bad_array_is_an_error_and_is_released_once),
        cmocka_unit_test(test_misaligned_items_are_told),
        cmocka_unit_test(test_allocations_that_fail_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
