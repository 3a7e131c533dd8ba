/* SPDX-License-Identifier: Apache-2.0 */
/* Views as DLPack tensors, and back. What hostile tensors do is in test_dlpack_hostile.c, how long
 * things live in test_dlpack_life.c. */
#include "ndbuf/dlpack.h"

#include <string.h>

#include "tests/support/fake_device.h"
#include "tests/support/sample_views.h"
#include "tests/support/test.h"

/* The standard header's macros, for programs that include it later and use them. */
DLPACK_EXTERN_C DLPACK_DLL void dlpack_function(DLManagedTensorVersioned *tensor);

static const int64_t shape234[] = {2, 3, 4};

static void make_view(ndbuf_view *out_view, const char *text, int32_t ndim, const int64_t *shape)
{
    ndbuf_format *format = test_parse(text);
    ASSERT_OK(ndbuf_view_create(out_view, ndbuf_device_cpu(), format, ndim, shape, err));
    ndbuf_format_release(format);
}

static void assert_list(const int64_t *values, int32_t count, const int64_t *expected)
{
    for (int32_t i = 0; i < count; i++) {
        assert_int_equal(values[i], expected[i]);
    }
}

static void test_a_tensor_tells_where_what_and_how(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    DLManagedTensorVersioned *tensor = NULL;
    ndbuf_loss loss;
    make_view(&view, "f", 3, shape234);
    ndbuf_slice slice = {.start = 2, .step = -1, .given = NDBUF_SLICE_START | NDBUF_SLICE_STEP};
    ASSERT_OK(ndbuf_view_slice(&view, 1, &slice, &view, err));
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, &loss, err));
    assert_int_equal(loss.flags, 0);
    assert_string_equal(loss.message, "");
    assert_int_equal(loss.alignment, (view.byte_offset + (int64_t)(uintptr_t)view.handle) &
                                         -(view.byte_offset + (int64_t)(uintptr_t)view.handle));
    assert_int_equal(tensor->version.major, 1);
    assert_int_equal(tensor->version.minor, 3);
    assert_int_equal(tensor->flags, 0);
    const DLTensor *dl = &tensor->dl_tensor;
    assert_ptr_equal(dl->data, ndbuf_view_host_address(&view));
    assert_int_equal(dl->byte_offset, 0);
    assert_int_equal(dl->device.device_type, kDLCPU);
    assert_int_equal(dl->device.device_id, 0);
    assert_int_equal(dl->ndim, 3);
    assert_int_equal(dl->dtype.code, kDLFloat);
    assert_int_equal(dl->dtype.bits, 32);
    assert_int_equal(dl->dtype.lanes, 1);
    assert_list(dl->shape, 3, shape234);
    assert_list(dl->strides, 3, (const int64_t[]){12, -4, 1});
    assert_ptr_equal(ndbuf_dlpack_view(tensor)->handle, view.handle);
    tensor->deleter(tensor);

    const ndbuf_dlpack_export_options kept = {.flags = NDBUF_DLPACK_KEEP_OFFSET};
    DLManagedTensor *legacy = NULL;
    ASSERT_OK(ndbuf_dlpack_export_legacy(&view, &kept, &legacy, NULL, err));
    assert_ptr_equal(legacy->dl_tensor.data, view.handle);
    assert_int_equal(legacy->dl_tensor.byte_offset, 32);
    assert_list(legacy->dl_tensor.strides, 3, (const int64_t[]){12, -4, 1});
    assert_ptr_equal(ndbuf_dlpack_view_legacy(legacy)->handle, view.handle);
    legacy->deleter(legacy);
    ndbuf_view_release(&view);
}

/* One row lies below its table, the other one above: no offset from the table is a tensor's. */
static void test_a_row_behind_a_pointer_is_its_own_data(void **state)
{
    (void)state;
    const int64_t shape[2] = {2, 8};
    const int64_t strides[2] = {sizeof(char *), -1};
    const int64_t suboffsets[2] = {7, -1};
    const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    struct {
        char below[8];
        char *table[2];
        char above[8];
    } memory = {.below = "12345678", .table = {memory.below, memory.above}, .above = "abcdefgh"};
    ndbuf_storage *storage = NULL;
    ndbuf_view all = {0};
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), (void *)memory.table, sizeof(memory.table), 0, NULL, NULL,
                                  &storage, err));
    ASSERT_OK(ndbuf_view_init(&all, storage, &spec, err));
    for (int64_t k = 0; k < 2; k++) {
        const ndbuf_dlpack_export_options kept = {.flags = NDBUF_DLPACK_KEEP_OFFSET};
        DLManagedTensorVersioned *tensor = NULL;
        ndbuf_view row = {0};
        ndbuf_view back = {0};
        ASSERT_OK(ndbuf_view_index(&all, 0, k, &row, err));
        ASSERT_OK(ndbuf_dlpack_export(&row, &kept, &tensor, NULL, err));
        assert_ptr_equal(tensor->dl_tensor.data, memory.table[k] + 7);
        assert_int_equal(tensor->dl_tensor.byte_offset, 0);
        ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &back, NULL, err));
        assert_ptr_equal(ndbuf_view_host_address(&back), memory.table[k] + 7);
        ndbuf_view_release(&back);
        ndbuf_view_release(&row);
    }
    ndbuf_view_release(&all);
    ndbuf_storage_release(storage);
}

static void test_strides_that_mean_nothing_are_those_of_a_compact_tensor(void **state)
{
    (void)state;
    sample_storage sample;
    ndbuf_view view = {0};
    DLManagedTensorVersioned *tensor = NULL;
    static char memory[64];
    const ndbuf_dlpack_import_options on_host = {.device = ndbuf_device_cpu()}; /* the sample has none of its own */
    sample_storage_init(&sample, NDBUF_DEVICE_CPU, memory, sizeof(memory));
    /* An axis of one item whose stride is no multiple of the item size. */
    ndbuf_format *format = test_parse("d");
    ndbuf_view_spec spec = {
        .format = format, .ndim = 3, .shape = (const int64_t[]){2, 1, 3}, .strides = (const int64_t[]){32, 7, 8}};
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    assert_list(tensor->dl_tensor.strides, 3, (const int64_t[]){4, 3, 1});
    tensor->deleter(tensor);
    ndbuf_view_release(&view);
    /* No items: any strides, and no data. */
    spec.shape = (const int64_t[]){2, 0, 3};
    spec.strides = (const int64_t[]){5, 7, 3};
    spec.byte_offset = 64;
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    assert_null(tensor->dl_tensor.data);
    assert_int_equal(tensor->dl_tensor.byte_offset, 0);
    assert_list(tensor->dl_tensor.strides, 3, (const int64_t[]){3, 3, 1});
    ndbuf_view back = {0};
    ASSERT_OK(ndbuf_dlpack_import(&tensor, &on_host, &back, NULL, err));
    assert_list(back.shape, 3, spec.shape);
    assert_int_equal(back.nbytes, 0);
    ndbuf_view_release(&back);
    ndbuf_view_release(&view);
    /* One item without axes. */
    spec = (ndbuf_view_spec){.format = format, .byte_offset = 8};
    ASSERT_OK(ndbuf_view_init(&view, &sample.storage, &spec, err));
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    assert_int_equal(tensor->dl_tensor.ndim, 0);
    assert_null(tensor->dl_tensor.shape);
    assert_null(tensor->dl_tensor.strides);
    assert_ptr_equal(tensor->dl_tensor.data, memory + 8);
    ASSERT_OK(ndbuf_dlpack_import(&tensor, &on_host, &back, NULL, err));
    assert_ptr_equal(ndbuf_view_host_address(&back), memory + 8);
    assert_int_equal(back.ndim, 0);
    ndbuf_view_release(&back);
    ndbuf_view_release(&view);
    ndbuf_format_release(format);
    assert_int_equal(sample.nrefs, 0);
}

static const struct {
    const char *text;
    DLDataType type;
} types[] = {
    {"?", {kDLBool, 8, 1}},       {"b", {kDLInt, 8, 1}},         {"B", {kDLUInt, 8, 1}},
    {"=h", {kDLInt, 16, 1}},      {"=H", {kDLUInt, 16, 1}},      {"=i", {kDLInt, 32, 1}},
    {"=I", {kDLUInt, 32, 1}},     {"=q", {kDLInt, 64, 1}},       {"=Q", {kDLUInt, 64, 1}},
    {"=e", {kDLFloat, 16, 1}},    {"=f", {kDLFloat, 32, 1}},     {"=d", {kDLFloat, 64, 1}},
    {"=Zf", {kDLComplex, 64, 1}}, {"=Zd", {kDLComplex, 128, 1}}, {"=T{2x:bfloat16:}", {kDLBfloat, 16, 1}},
};

static void test_each_type_goes_out_and_comes_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        ndbuf_view view = {0};
        ndbuf_view back = {0};
        DLManagedTensorVersioned *tensor = NULL;
        DLManagedTensor *legacy = NULL;
        ndbuf_loss loss;
        make_view(&view, types[i].text, 3, shape234);
        ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
        assert_memory_equal(&tensor->dl_tensor.dtype, &types[i].type, sizeof(DLDataType));
        ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &back, &loss, err));
        assert_null(tensor);
        assert_int_equal(loss.flags, 0);
        assert_true(ndbuf_format_equal(ndbuf_view_format(&view), ndbuf_view_format(&back)));
        assert_ptr_equal(ndbuf_view_host_address(&back), ndbuf_view_host_address(&view));
        assert_list(back.shape, 3, shape234);
        assert_list(back.strides, 3, view.strides);
        assert_int_equal(back.flags, 0);
        ndbuf_view_release(&back);
        ASSERT_OK(ndbuf_dlpack_export_legacy(&view, NULL, &legacy, NULL, err));
        ndbuf_view_release(&view); /* the tensor holds the memory */
        ASSERT_OK(ndbuf_dlpack_import_legacy(&legacy, NULL, &back, NULL, err));
        assert_null(legacy);
        memset(ndbuf_view_host_address(&back), 1, (size_t)back.nbytes);
        ndbuf_view_release(&back);
    }
}

/* A tensor of a type over memory that is not to be touched. */
static DLManagedTensorVersioned tensor_of(DLDataType type, int64_t *extent, uint64_t flags)
{
    static char somewhere[16];
    return (DLManagedTensorVersioned){
        .version = {1, 3},
        .flags = flags,
        .dl_tensor = {.data = somewhere, .device = {kDLCPU, 0}, .ndim = 1, .dtype = type, .shape = extent}};
}

static void test_types_without_a_format_become_opaque_only_if_accepted(void **state)
{
    (void)state;
    const uint64_t padded = DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED;
    const struct {
        DLDataType type;
        uint64_t flags;
        int64_t itemsize; /* 0: cannot be taken at all */
    } cases[] = {
        {{kDLFloat8_e4m3fn, 8, 1}, 0, 1},
        {{kDLFloat8_e5m2, 8, 4}, 0, 4},
        {{kDLOpaqueHandle, 64, 1}, 0, 8},
        {{kDLFloat, 128, 1}, 0, 16},
        {{kDLComplex, 32, 1}, 0, 4},
        {{kDLInt, 24, 1}, 0, 3},
        {{kDLFloat, 32, 4}, 0, 16},
        {{kDLFloat4_e2m1fn, 4, 1}, 0, 0},
        {{kDLFloat4_e2m1fn, 4, 2}, 0, 1},
        {{kDLFloat4_e2m1fn, 4, 1}, padded, 1},
        {{kDLFloat6_e3m2fn, 6, 4}, padded, 4},
        {{kDLBool, 1, 1}, 0, 0},
        {{200, 16, 1}, 0, 2},
    };
    const ndbuf_dlpack_import_options accepting = {.accept = NDBUF_LOSS_TYPE};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t extent = 1;
        ndbuf_view view = {0};
        ndbuf_loss loss;
        DLManagedTensorVersioned tensor = tensor_of(cases[i].type, &extent, cases[i].flags);
        DLManagedTensorVersioned *taken = &tensor;
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, cases[i].itemsize > 0 ? "no format for type code" : "no whole bytes",
                     ndbuf_dlpack_import(&taken, NULL, &view, &loss, err));
        assert_null(view.release);
        assert_int_equal(loss.flags, cases[i].itemsize > 0 ? NDBUF_LOSS_TYPE : 0);
        taken = &tensor;
        if (cases[i].itemsize == 0) {
            ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no whole bytes",
                         ndbuf_dlpack_import(&taken, &accepting, &view, NULL, err));
            continue;
        }
        ASSERT_OK(ndbuf_dlpack_import(&taken, &accepting, &view, &loss, err));
        assert_int_equal(loss.flags, NDBUF_LOSS_TYPE);
        assert_non_null(strstr(loss.message, "type code"));
        ndbuf_field field;
        ASSERT_OK(ndbuf_format_field(ndbuf_view_format(&view), 0, &field, err));
        assert_int_equal(field.kind, NDBUF_KIND_OPAQUE);
        assert_int_equal(view.itemsize, cases[i].itemsize);
        ndbuf_view_release(&view);
    }
}

static void test_lanes_are_arrays_of_numbers_if_asked_for(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    DLManagedTensorVersioned *tensor = NULL;
    const ndbuf_dlpack_export_options out = {.flags = NDBUF_DLPACK_LANES};
    const ndbuf_dlpack_import_options in = {.flags = NDBUF_DLPACK_LANES};
    static const char *const texts[] = {"=4f", "(2)=Zd", "(3)T{2x:bfloat16:}"};
    static const uint16_t lanes[] = {4, 2, 3};
    for (size_t i = 0; i < 3; i++) {
        make_view(&view, texts[i], 3, shape234);
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no type for", ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
        ASSERT_OK(ndbuf_dlpack_export(&view, &out, &tensor, NULL, err));
        assert_int_equal(tensor->dl_tensor.dtype.lanes, lanes[i]);
        assert_list(tensor->dl_tensor.strides, 3, (const int64_t[]){12, 4, 1});
        ASSERT_OK(ndbuf_dlpack_import(&tensor, &in, &back, NULL, err));
        assert_true(ndbuf_format_equal(ndbuf_view_format(&view), ndbuf_view_format(&back)));
        ndbuf_view_release(&back);
        ndbuf_view_release(&view);
    }
}

static void test_what_would_be_lost_is_refused_and_reported(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t loss;
        ndbuf_status status;
        const char *part;
    } cases[] = {
        {">i", NDBUF_LOSS_BYTE_ORDER, NDBUF_ERR_UNSUPPORTED, "'>i' is not in the host's byte order"},
        {"T{=i:a:=f:b:}", NDBUF_LOSS_NAMES, NDBUF_ERR_UNSUPPORTED, "it has no fields: 'T{<i:a:<f:b:}'"},
        {"if", NDBUF_LOSS_NAMES, NDBUF_ERR_UNSUPPORTED, "it has no fields"},
        {"5s", NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "it has no type for '<5s'"},
        {"g", NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "it has no type for '^g'"},
        {"Zg", NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "it has no type"},
        {"2w", NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "it has no type"},
        {"(2,3)=h", NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "it has no type"},
        {"=i4x", NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "it has no type"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_view view = {0};
        DLManagedTensorVersioned *tensor = NULL;
        ndbuf_loss loss;
        make_view(&view, cases[i].text, 3, shape234);
        ASSERT_FAILS(cases[i].status, cases[i].part, ndbuf_dlpack_export(&view, NULL, &tensor, &loss, err));
        assert_null(tensor);
        assert_int_equal(loss.flags, cases[i].loss);
        assert_non_null(strstr(loss.message, cases[i].part));
        const ndbuf_dlpack_export_options others = {.accept = ~cases[i].loss};
        ASSERT_FAILS(cases[i].status, cases[i].part, ndbuf_dlpack_export(&view, &others, &tensor, NULL, err));
        /* Accepted: the bytes as they are, on one more axis. */
        const ndbuf_dlpack_export_options accepting = {.accept = cases[i].loss};
        ASSERT_OK(ndbuf_dlpack_export(&view, &accepting, &tensor, &loss, err));
        assert_int_equal(loss.flags, cases[i].loss);
        const DLTensor *dl = &tensor->dl_tensor;
        assert_int_equal(dl->ndim, 4);
        assert_memory_equal(&dl->dtype, &types[2].type, sizeof(DLDataType));
        assert_list(dl->shape, 4, (const int64_t[]){2, 3, 4, view.itemsize});
        assert_list(dl->strides, 4, (const int64_t[]){12 * view.itemsize, 4 * view.itemsize, view.itemsize, 1});
        tensor->deleter(tensor);
        ndbuf_view_release(&view);
    }
}

static void test_a_lone_number_loses_its_name_only(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    DLManagedTensorVersioned *tensor = NULL;
    const ndbuf_dlpack_export_options accepting = {.accept = NDBUF_LOSS_NAMES};
    make_view(&view, "T{=d:x:}", 3, shape234);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "fields", ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    ASSERT_OK(ndbuf_dlpack_export(&view, &accepting, &tensor, NULL, err));
    assert_int_equal(tensor->dl_tensor.ndim, 3);
    assert_int_equal(tensor->dl_tensor.dtype.code, kDLFloat);
    tensor->deleter(tensor);
    ndbuf_view_release(&view);
}

static void test_pointers_never_go_out(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    DLManagedTensorVersioned *tensor = NULL;
    const ndbuf_dlpack_export_options everything = {.accept = ~0u};
    make_view(&view, "P", 3, shape234);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "pointers", ndbuf_dlpack_export(&view, &everything, &tensor, NULL, err));
    ndbuf_view_release(&view);

    int32_t rows[2][3] = {{1, 2, 3}, {4, 5, 6}};
    const void *table[2] = {rows[0], rows[1]};
    ndbuf_storage *storage = NULL;
    ndbuf_loss loss;
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), table, sizeof(table), 0, NULL, NULL, &storage, err));
    ndbuf_format *format = test_parse("i");
    const ndbuf_view_spec spec = {.format = format,
                                  .ndim = 2,
                                  .shape = (const int64_t[]){2, 3},
                                  .strides = (const int64_t[]){sizeof(void *), 4},
                                  .suboffsets = (const int64_t[]){0, -1}};
    ASSERT_OK(ndbuf_view_init(&view, storage, &spec, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "suboffsets", ndbuf_dlpack_export(&view, &everything, &tensor, &loss, err));
    assert_int_equal(loss.flags & NDBUF_LOSS_SUBOFFSETS, NDBUF_LOSS_SUBOFFSETS);
    ndbuf_view_release(&view);
    ndbuf_format_release(format);
    ndbuf_storage_release(storage);
}

static void test_odd_strides_need_a_copy_or_go_out_as_bytes(void **state)
{
    (void)state;
    ndbuf_view records = {0};
    ndbuf_view field = {0};
    DLManagedTensorVersioned *tensor = NULL;
    ndbuf_loss loss;
    make_view(&records, "T{=B:tag:=i:x:}", 1, (const int64_t[]){6});
    ASSERT_OK(ndbuf_view_field(&records, "x", &field, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "axis 0 has a stride of 5 bytes, no multiple of the item's 4",
                 ndbuf_dlpack_export(&field, NULL, &tensor, &loss, err));
    assert_int_equal(loss.flags, NDBUF_LOSS_STRIDES);
    const ndbuf_dlpack_export_options accepting = {.accept = NDBUF_LOSS_STRIDES};
    ASSERT_OK(ndbuf_dlpack_export(&field, &accepting, &tensor, NULL, err));
    assert_list(tensor->dl_tensor.shape, 2, (const int64_t[]){6, 4});
    assert_list(tensor->dl_tensor.strides, 2, (const int64_t[]){5, 1});
    assert_int_equal(tensor->dl_tensor.dtype.bits, 8);
    tensor->deleter(tensor);
    ndbuf_view_release(&field);
    /* One item has no stride to be odd. */
    const ndbuf_slice first = {.stop = 1, .given = NDBUF_SLICE_STOP};
    ASSERT_OK(ndbuf_view_slice(&records, 0, &first, &records, err));
    ASSERT_OK(ndbuf_view_field(&records, "x", &field, err));
    ASSERT_OK(ndbuf_dlpack_export(&field, NULL, &tensor, &loss, err));
    assert_int_equal(loss.flags, NDBUF_LOSS_ALIGNMENT); /* the field lies at byte 1, and that is only told */
    assert_int_equal(loss.alignment, 1);
    tensor->deleter(tensor);
    ndbuf_view_release(&field);
    ndbuf_view_release(&records);
}

static void test_read_only_memory_stays_so_or_is_refused(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    DLManagedTensorVersioned *tensor = NULL;
    DLManagedTensor *legacy = NULL;
    ndbuf_loss loss;
    make_view(&view, "i", 3, shape234);
    ASSERT_OK(ndbuf_view_readonly(&view, &view, err));
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, &loss, err));
    assert_int_equal(loss.flags, 0);
    assert_int_equal(tensor->flags, DLPACK_FLAG_BITMASK_READ_ONLY);
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &back, NULL, err));
    assert_int_equal(back.flags, NDBUF_VIEW_READONLY);
    assert_int_equal(ndbuf_storage_flags(ndbuf_view_storage(&back)), NDBUF_STORAGE_READONLY);
    ndbuf_view_release(&back);
    ASSERT_FAILS(NDBUF_ERR_READONLY, "read-only", ndbuf_dlpack_export_legacy(&view, NULL, &legacy, &loss, err));
    assert_int_equal(loss.flags, NDBUF_LOSS_READONLY);
    const ndbuf_dlpack_export_options accepting = {.accept = NDBUF_LOSS_READONLY};
    ASSERT_OK(ndbuf_dlpack_export_legacy(&view, &accepting, &legacy, &loss, err));
    assert_int_equal(loss.flags, NDBUF_LOSS_READONLY);
    ASSERT_OK(ndbuf_dlpack_import_legacy(&legacy, NULL, &back, NULL, err));
    assert_int_equal(back.flags, 0);
    ndbuf_view_release(&back);

    /* A copy says so. */
    ndbuf_exporter *exporter = NULL;
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL_RO);
    request.copy = NDBUF_COPY_ALWAYS;
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ndbuf_view copy = {0};
    ASSERT_OK(ndbuf_view_acquire(&copy, exporter, &request, err));
    ASSERT_OK(ndbuf_dlpack_export(&copy, NULL, &tensor, NULL, err));
    assert_int_equal(tensor->flags, DLPACK_FLAG_BITMASK_IS_COPIED);
    ndbuf_view_release(&copy);
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &back, NULL, err));
    assert_int_equal(back.flags, NDBUF_VIEW_COPIED);
    ndbuf_view_release(&back);
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&view);
}

static void test_alignment_is_reported_and_can_be_demanded(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    DLManagedTensorVersioned *tensor = NULL;
    ndbuf_loss loss;
    ndbuf_view back = {0};
    make_view(&view, "B", 1, (const int64_t[]){64});
    const ndbuf_slice from4 = {.start = 4, .stop = 20, .given = NDBUF_SLICE_START | NDBUF_SLICE_STOP};
    ASSERT_OK(ndbuf_view_slice(&view, 0, &from4, &view, err));
    ndbuf_format *format = test_parse("d");
    ASSERT_OK(ndbuf_view_reinterpret(&view, format, &view, err));
    ndbuf_format_release(format);
    for (int i = 0; i < 2; i++) {
        const ndbuf_dlpack_export_options kept = {.flags = NDBUF_DLPACK_KEEP_OFFSET};
        ASSERT_OK(ndbuf_dlpack_export(&view, i == 0 ? NULL : &kept, &tensor, &loss, err));
        assert_int_equal(loss.flags, NDBUF_LOSS_ALIGNMENT);
        assert_int_equal(loss.alignment, 4);
        assert_string_equal(loss.message, "item 0..0 is aligned to 4 bytes, not 8");
        const ndbuf_dlpack_import_options four = {.alignment = 4};
        ASSERT_OK(ndbuf_dlpack_import(&tensor, &four, &back, &loss, err));
        assert_int_equal(loss.flags, NDBUF_LOSS_ALIGNMENT);
        assert_int_equal(loss.alignment, 4);
        ndbuf_view_release(&back);
        const ndbuf_dlpack_import_options eight = {.alignment = 8};
        ASSERT_OK(ndbuf_dlpack_export(&view, i == 0 ? NULL : &kept, &tensor, NULL, err));
        ASSERT_FAILS(NDBUF_ERR_REQUEST, "not aligned to 8", ndbuf_dlpack_import(&tensor, &eight, &back, NULL, err));
        assert_null(tensor);
    }
    ndbuf_view_release(&view);
}

static void count_deletion(DLManagedTensorVersioned *self)
{
    ++*(int *)self->manager_ctx;
}

static void test_a_tensor_of_another_maker_is_found_on_an_open_device_of_any_backend(void **state)
{
    (void)state;
    const int64_t nbytes = 24;
    int64_t shape[2] = {2, 3};
    int ndeleted = 0;
    ndbuf_device *device = NULL;
    ndbuf_view memory = {0};
    ndbuf_view view = {0};
    fake_register();
    ASSERT_OK(ndbuf_device_open("fake:1", &device, err));
    ASSERT_OK(ndbuf_view_create(&memory, device, NULL, 1, &nbytes, err));
    DLManagedTensorVersioned made = {.version = {1, 0}, .manager_ctx = &ndeleted, .deleter = count_deletion};
    made.dl_tensor = (DLTensor){.data = memory.handle,
                                .device = {(DLDeviceType)memory.device.type, memory.device.id},
                                .ndim = 2,
                                .dtype = {kDLFloat, 32, 1},
                                .shape = shape};
    DLManagedTensorVersioned *tensor = &made;
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    assert_ptr_equal(ndbuf_view_device(&view), device);
    assert_int_equal(view.nbytes, nbytes);
    ndbuf_view_release(&memory);
    ndbuf_device_close(device);
    assert_int_equal(ndeleted, 0);
    ndbuf_view_release(&view);
    assert_int_equal(ndeleted, 1);
    fake_assert_clean();
}

static void test_bad_options_and_views_are_refused(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    DLManagedTensorVersioned *tensor = NULL;
    const ndbuf_dlpack_export_options unknown = {.flags = 1u << 9};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "empty", ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    make_view(&view, "i", 3, shape234);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "0x200", ndbuf_dlpack_export(&view, &unknown, &tensor, NULL, err));
    const ndbuf_dlpack_import_options bad[] = {{.flags = 1}, {.alignment = 3}, {.alignment = -8}};
    static const char *const parts[] = {"0x1", "alignment 3", "alignment -8"};
    for (size_t i = 0; i < 3; i++) {
        ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
        ASSERT_FAILS(NDBUF_ERR_INVALID, parts[i], ndbuf_dlpack_import(&tensor, &bad[i], &back, NULL, err));
        assert_null(tensor);
    }
    ndbuf_view_release(&view);
    assert_null(ndbuf_dlpack_view(NULL));
    assert_null(ndbuf_dlpack_view_legacy(NULL));
}

static void test_random_layouts_come_back_as_they_were(void **state)
{
    (void)state;
    const ndbuf_dlpack_import_options on_host = {.device = ndbuf_device_cpu()}; /* the sample has none of its own */
    test_random random = test_random_make("dlpack", 7);
    for (int round = 0; round < 3000; round++) {
        sample_storage sample;
        ndbuf_view view = {0};
        ndbuf_view back = {0};
        DLManagedTensorVersioned *tensor = NULL;
        static char memory[1 << 16];
        int64_t lo = 0;
        int64_t hi = 0;
        sample_layout layout = sample_layout_random(&random, 10, 4);
        if (!sample_layout_range(&layout, &lo, &hi) || hi - lo > (int64_t)sizeof(memory)) {
            continue;
        }
        sample_storage_init(&sample, NDBUF_DEVICE_CPU, memory, sizeof(memory));
        sample_view_init(&view, &sample, layout.itemsize, layout.ndim, layout.shape, layout.strides, -lo);
        const ndbuf_dlpack_export_options options = {.flags = round % 2 == 0 ? 0 : NDBUF_DLPACK_KEEP_OFFSET,
                                                     .accept = NDBUF_LOSS_TYPE | NDBUF_LOSS_STRIDES};
        ASSERT_OK(ndbuf_dlpack_export(&view, &options, &tensor, NULL, err));
        ASSERT_OK(ndbuf_dlpack_import(&tensor, &on_host, &back, NULL, err));
        assert_int_equal(back.nbytes, view.nbytes);
        assert_int_equal(back.ndim, view.ndim + 1); /* opaque items go out as bytes */
        int64_t index[NDBUF_MAX_NDIM] = {0};
        do {
            index[view.ndim] = 0;
            assert_int_equal(sample_item_address(&back, index), sample_item_address(&view, index));
        } while (view.nbytes > 0 && sample_next_index(view.ndim, view.shape, index));
        ndbuf_view_release(&view);
        assert_int_equal(sample.nrefs, 1);
        ndbuf_view_release(&back);
        assert_int_equal(sample.nrefs, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_tensor_tells_where_what_and_how),
        cmocka_unit_test(test_a_row_behind_a_pointer_is_its_own_data),
        cmocka_unit_test(test_strides_that_mean_nothing_are_those_of_a_compact_tensor),
        cmocka_unit_test(test_each_type_goes_out_and_comes_back),
        cmocka_unit_test(test_types_without_a_format_become_opaque_only_if_accepted),
        cmocka_unit_test(test_lanes_are_arrays_of_numbers_if_asked_for),
        cmocka_unit_test(test_what_would_be_lost_is_refused_and_reported),
        cmocka_unit_test(test_a_lone_number_loses_its_name_only),
        cmocka_unit_test(test_pointers_never_go_out),
        cmocka_unit_test(test_odd_strides_need_a_copy_or_go_out_as_bytes),
        cmocka_unit_test(test_read_only_memory_stays_so_or_is_refused),
        cmocka_unit_test(test_alignment_is_reported_and_can_be_demanded),
        cmocka_unit_test(test_a_tensor_of_another_maker_is_found_on_an_open_device_of_any_backend),
        cmocka_unit_test(test_bad_options_and_views_are_refused),
        cmocka_unit_test(test_random_layouts_come_back_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
