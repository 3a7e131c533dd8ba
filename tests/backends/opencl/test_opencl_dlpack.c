/* SPDX-License-Identifier: Apache-2.0 */
/* DLPack tensors of OpenCL memory: `data` is a cl_mem, which has no arithmetic. */
#include "tests/backends/opencl/opencl_fixture.h"

#include <string.h>

#include "ndbuf/dlpack.h"

static const int64_t shape34[] = {3, 4};

static void make_view(ndbuf_device *device, ndbuf_view *out_view)
{
    ndbuf_format *format = test_parse("i");
    ndbuf_view host = {0};
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), format, 2, shape34, err));
    for (int32_t i = 0; i < 12; i++) {
        ((int32_t *)ndbuf_view_host_address(&host))[i] = i;
    }
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, shape34, err));
    ASSERT_OK(ndbuf_copy(out_view, &host, NULL, err));
    ndbuf_view_release(&host);
    ndbuf_format_release(format);
}

/* Asserts that the view holds 11, 10, 9, 8, 3, 2, 1, 0: both axes reversed, the middle row left out. */
static void assert_reversed(const ndbuf_view *view)
{
    static const int32_t expected[] = {11, 10, 9, 8, 3, 2, 1, 0};
    ndbuf_view host = {0};
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), ndbuf_view_format(view), 2, view->shape, err));
    ASSERT_OK(ndbuf_copy(&host, view, NULL, err));
    assert_memory_equal(ndbuf_view_host_address(&host), expected, sizeof(expected));
    ndbuf_view_release(&host);
}

static void slice_reversed(ndbuf_view *view)
{
    const ndbuf_slice rows = {.step = -2, .given = NDBUF_SLICE_STEP};
    const ndbuf_slice columns = {.step = -1, .given = NDBUF_SLICE_STEP};
    ASSERT_OK(ndbuf_view_slice(view, 0, &rows, view, err));
    ASSERT_OK(ndbuf_view_slice(view, 1, &columns, view, err));
}

static void test_the_handle_stays_whole_and_the_offset_apart(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    DLManagedTensorVersioned *tensor = NULL;
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    make_view(device, &view);
    slice_reversed(&view);
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    assert_ptr_equal(tensor->dl_tensor.data, view.handle);
    assert_int_equal(tensor->dl_tensor.byte_offset, 44);
    assert_int_equal(tensor->dl_tensor.device.device_type, kDLOpenCL);
    ndbuf_view_release(&view);
    ndbuf_device_close(device);
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &back, NULL, err));
    assert_int_equal(back.byte_offset, 44);
    assert_reversed(&back);
    ndbuf_view_release(&back);
}

static void test_a_tensor_of_a_foreign_context_finds_its_device(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    cl_context context = NULL;
    ndbuf_view view = {0};
    ndbuf_view back = {0};
    DLManagedTensorVersioned *tensor = NULL;
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    ndbuf_device *foreign = opencl_fixture_foreign_device(device, &context);
    make_view(foreign, &view);
    slice_reversed(&view);
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    assert_ptr_equal(ndbuf_storage_device(ndbuf_view_storage(ndbuf_dlpack_view(tensor))), foreign);
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &back, NULL, err));
    assert_ptr_equal(ndbuf_storage_device(ndbuf_view_storage(&back)), foreign);
    assert_reversed(&back);
    ndbuf_view_release(&back);
    /* On the device that is found by number, the buffer is of the wrong context; on the one that is given it is not. */
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    const ndbuf_dlpack_import_options on_ours = {.device = device};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "another context", ndbuf_dlpack_import(&tensor, &on_ours, &back, NULL, err));
    ASSERT_OK(ndbuf_dlpack_export(&view, NULL, &tensor, NULL, err));
    const ndbuf_dlpack_import_options on_foreign = {.device = foreign};
    ASSERT_OK(ndbuf_dlpack_import(&tensor, &on_foreign, &back, NULL, err));
    assert_reversed(&back);
    ndbuf_view_release(&back);
    ndbuf_view_release(&view);
    ndbuf_device_close(foreign);
    ndbuf_device_close(device);
    assert_int_equal(opencl_fixture_api()->clReleaseContext(context), CL_SUCCESS);
}

static void count_deletion(DLManagedTensorVersioned *tensor)
{
    (*(int *)tensor->manager_ctx)++;
}

static void test_what_leaves_its_buffer_is_refused(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_view view = {0};
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    ASSERT_OK(ndbuf_storage_create(device, 48, &storage, err));
    static const struct {
        int64_t row_stride;
        uint64_t byte_offset;
        const char *part;
    } cases[] = {{4, 4, "48 bytes, fewer than 52"}, {5, 0, "fewer than 56"}, {-4, 28, "begins 4 bytes before"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int ndeleted = 0;
        int64_t shape[] = {3, 4};
        int64_t strides[] = {cases[i].row_stride, 1};
        DLManagedTensorVersioned made = {.version = {1, 0}, .manager_ctx = &ndeleted, .deleter = count_deletion};
        made.dl_tensor = (DLTensor){.data = ndbuf_storage_handle(storage),
                                    .device = {kDLOpenCL, 0},
                                    .ndim = 2,
                                    .dtype = {kDLInt, 32, 1},
                                    .shape = shape,
                                    .strides = strides,
                                    .byte_offset = cases[i].byte_offset};
        DLManagedTensorVersioned *tensor = &made;
        ASSERT_FAILS(NDBUF_ERR_BOUNDS, cases[i].part, ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
        assert_int_equal(ndeleted, 1);
    }
    ndbuf_storage_release(storage);
    ndbuf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_handle_stays_whole_and_the_offset_apart),
        cmocka_unit_test(test_a_tensor_of_a_foreign_context_finds_its_device),
        cmocka_unit_test(test_what_leaves_its_buffer_is_refused),
    };
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
