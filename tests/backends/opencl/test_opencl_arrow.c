/* SPDX-License-Identifier: Apache-2.0 */
/* Arrow arrays of OpenCL memory: buffers are cl_mems, and what a view's byte offset is, is the items' offset there. */
#include "tests/backends/opencl/opencl_fixture.h"

#include <string.h>

#include "ndbuf/arrow_device.h"

enum { NITEMS = 6 };

static const int32_t numbers[NITEMS] = {0, 1, 2, 3, 4, 5};

/* Two rows of two numbers, behind the first row, filled on a queue; the view's event tells when. */
static void make_view(ndbuf_device *device, ndbuf_queue *queue, ndbuf_view *out_view)
{
    ndbuf_format *format = test_parse("i");
    ndbuf_view host = {0};
    ndbuf_event *event = NULL;
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), format, 2, (const int64_t[]){3, 2}, err));
    memcpy(ndbuf_view_host_address(&host), numbers, sizeof(numbers));
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, (const int64_t[]){3, 2}, err));
    ASSERT_OK(ndbuf_copy(out_view, &host, queue, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ndbuf_view_set_ready(out_view, event);
    ndbuf_event_release(event);
    const ndbuf_slice rows = {.start = 1, .given = NDBUF_SLICE_START};
    ASSERT_OK(ndbuf_view_slice(out_view, 0, &rows, out_view, err));
    ndbuf_view_release(&host);
    ndbuf_format_release(format);
}

static void assert_rows(const ndbuf_view *view)
{
    ndbuf_view host = {0};
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), ndbuf_view_format(view), 2, view->shape, err));
    ASSERT_OK(ndbuf_copy(&host, view, NULL, err));
    assert_int_equal(host.nbytes, 16);
    assert_memory_equal(ndbuf_view_host_address(&host), numbers + 2, 16);
    ndbuf_view_release(&host);
}

static void test_the_offset_and_the_event_travel_with_the_buffer(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view view = {0};
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    const opencl_api *api = opencl_fixture_api();
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    make_view(device, queue, &view);
    ASSERT_OK(ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    const struct ArrowArray *items = array.array.children[0];
    assert_int_equal(array.device_type, ARROW_DEVICE_OPENCL);
    assert_ptr_equal(items->buffers[1], view.handle);
    assert_int_equal(items->offset, 2);
    assert_int_equal(items->length, 4);
    ndbuf_view_release(&view);
    /* A consumer who knows OpenCL alone waits for the event. */
    cl_event event = *(cl_event *)array.sync_event;
    cl_int done = CL_QUEUED;
    assert_int_equal(api->clWaitForEvents(1, &event), CL_SUCCESS);
    assert_int_equal(api->clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(done), &done, NULL),
                     CL_SUCCESS);
    assert_int_equal(done, CL_COMPLETE);
    /* So does an import. */
    ASSERT_OK(ndbuf_arrow_import(&schema, &array, NULL, &view, NULL, err));
    assert_non_null(view.ready);
    assert_int_equal(view.byte_offset, 8);
    assert_rows(&view);
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
}

static void test_an_import_waits_for_work_that_is_held_up(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_queue *reader = NULL;
    ndbuf_view view = {0};
    ndbuf_view host = {0};
    ndbuf_event *copied = NULL;
    int32_t is_complete = 1;
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ASSERT_OK(ndbuf_queue_create(device, &reader, err));
    cl_event gate = opencl_fixture_close_gate(queue);
    make_view(device, queue, &view);
    ASSERT_OK(ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_arrow_import(&schema, &array, NULL, &view, NULL, err)); /* does not block */
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), ndbuf_view_format(&view), 2, view.shape, err));
    ASSERT_OK(ndbuf_copy(&host, &view, reader, err));
    ASSERT_OK(ndbuf_queue_record(reader, &copied, err));
    ASSERT_OK(ndbuf_event_query(copied, &is_complete, err));
    assert_int_equal(is_complete, 0);
    opencl_fixture_open_gate(gate);
    ASSERT_OK(ndbuf_queue_wait(reader, err));
    assert_memory_equal(ndbuf_view_host_address(&host), numbers + 2, 16);
    ndbuf_event_release(copied);
    ndbuf_view_release(&host);
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(reader);
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
}

static void test_an_offset_between_items_needs_a_copy(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_format *format = test_parse("i");
    ndbuf_view view = {0};
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    ASSERT_OK(ndbuf_storage_create(device, 32, &storage, err));
    const ndbuf_view_spec spec = {.format = format, .byte_offset = 6, .ndim = 1, .shape = (const int64_t[]){4}};
    ASSERT_OK(ndbuf_view_init(&view, storage, &spec, err));
    ASSERT_FAILS(NDBUF_ERR_COPY_NEEDED, "byte offset 6 is no multiple of the item size 4",
                 ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    ndbuf_view_release(&view);
    ndbuf_format_release(format);
    ndbuf_storage_release(storage);
    ndbuf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_offset_and_the_event_travel_with_the_buffer),
        cmocka_unit_test(test_an_import_waits_for_work_that_is_held_up),
        cmocka_unit_test(test_an_offset_between_items_needs_a_copy),
    };
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
