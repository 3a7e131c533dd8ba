/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "core/copy_plan.h"
#include "tests/support/device_copy.h"

static void test_allocated_memory_has_no_host_address(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_mem mem = {0};
    ASSERT_OK(OPS->mem_alloc(device, 1000, 64, &mem, err));
    assert_ptr_equal(mem.device, device);
    assert_non_null(mem.handle);
    assert_null(mem.host_address);
    assert_int_equal(mem.nbytes, 1000);
    OPS->mem_free(&mem);
}

static void test_more_than_the_device_allocates_is_out_of_memory(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    uint64_t limit = ((opencl_device *)device)->max_allocation;
    ndbuf_mem mem = {0};
    ndbuf_error error = {0};
    char part[128];
    assert_int_equal(OPS->mem_alloc(device, (size_t)limit + 1, 64, &mem, &error), NDBUF_ERR_NOMEM);
    snprintf(part, sizeof(part), "%llu bytes on opencl:0: the device allocates at most %llu at once",
             (unsigned long long)limit + 1, (unsigned long long)limit);
    assert_string_equal(error.message, part);
    assert_int_equal(error.native_code, CL_INVALID_BUFFER_SIZE);
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "18446744073709551615 bytes", OPS->mem_alloc(device, SIZE_MAX, 64, &mem, err));
    assert_null(mem.handle);
}

static void test_imported_buffer_outlives_the_callers_reference(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    const opencl_api *api = opencl_fixture_api();
    char contents[8] = {0};
    ndbuf_mem own = opencl_fixture_buffer(device, "01234567", 8);
    ndbuf_mem mem = {0};
    ASSERT_OK(OPS->mem_import(device, own.handle, 8, &mem, err));
    assert_ptr_equal(mem.handle, own.handle);
    assert_null(mem.host_address);
    assert_int_equal(api->clReleaseMemObject(own.handle), CL_SUCCESS);
    opencl_fixture_read(&mem, contents);
    assert_memory_equal(contents, "01234567", 8);
    OPS->mem_free(&mem);
}

static void test_import_of_more_bytes_than_there_are_is_refused(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_mem own = opencl_fixture_buffer(device, NULL, 100);
    ndbuf_mem mem = {0};
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "has 100 bytes, fewer than 101",
                 OPS->mem_import(device, own.handle, 101, &mem, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no cl_mem", OPS->mem_import(device, NULL, 1, &mem, err));
    assert_null(mem.handle);
    ALLOC_FAIL_SWEEP(status_ = OPS->mem_import(device, own.handle, 100, &mem, NULL), OPS->mem_free(&mem));
    OPS->mem_free(&own);
}

static void test_import_from_another_context_is_refused(void **state)
{
    (void)state;
    cl_context context = NULL;
    ndbuf_device *own = opencl_fixture_device();
    ndbuf_device *foreign = opencl_fixture_foreign_device(own, &context);
    ndbuf_mem buffer = opencl_fixture_buffer(foreign, NULL, 16);
    ndbuf_mem mem = {0};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "another context than opencl:0",
                 OPS->mem_import(own, buffer.handle, 16, &mem, err));
    assert_null(mem.handle);
    OPS->mem_free(&buffer);
    ndbuf_device_close(foreign);
    opencl_fixture_api()->clReleaseContext(context);
}

static void test_import_of_an_image_is_refused(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    const cl_image_format format = {CL_RGBA, CL_UNSIGNED_INT8};
    const cl_image_desc desc = {.image_type = CL_MEM_OBJECT_IMAGE2D, .image_width = 8, .image_height = 8};
    __typeof__(&clCreateImage) create = NULL;
    void *loader = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    assert_non_null(loader);
    void *address = dlsym(loader, "clCreateImage");
    memcpy(&create, &address, sizeof(address));
    cl_int code = CL_SUCCESS;
    cl_mem image = create(ndbuf_opencl__context_of(device), CL_MEM_READ_WRITE, &format, &desc, NULL, &code);
    if (code == CL_SUCCESS) {
        ndbuf_mem mem = {0};
        ASSERT_FAILS(NDBUF_ERR_INVALID, "not a buffer", OPS->mem_import(device, image, 1, &mem, err));
        opencl_fixture_api()->clReleaseMemObject(image);
    }
    dlclose(loader);
    if (code != CL_SUCCESS) {
        skip(); /* a device without images */
    }
}

static void test_mapping_reads_at_an_offset(void **state)
{
    (void)state;
    ndbuf_mem mem = opencl_fixture_buffer(opencl_fixture_device(), "0123456789", 10);
    void *address = NULL;
    ASSERT_OK(OPS->mem_map(&mem, 3, 4, NDBUF_MAP_READ, &address, err));
    assert_memory_equal(address, "3456", 4);
    ASSERT_OK(OPS->mem_unmap(&mem, address, err));
    OPS->mem_free(&mem);
}

static void test_mapping_for_writing_keeps_the_bytes_not_written(void **state)
{
    (void)state;
    char contents[10];
    ndbuf_mem mem = opencl_fixture_buffer(opencl_fixture_device(), "0123456789", 10);
    void *address = NULL;
    ASSERT_OK(OPS->mem_map(&mem, 2, 6, NDBUF_MAP_WRITE, &address, err));
    ((char *)address)[1] = 'x';
    ASSERT_OK(OPS->mem_unmap(&mem, address, err));
    opencl_fixture_read(&mem, contents);
    assert_memory_equal(contents, "012x456789", 10);
    OPS->mem_free(&mem);
}

static void test_unmapping_a_foreign_address_is_refused(void **state)
{
    (void)state;
    char foreign[16];
    ndbuf_mem mem = opencl_fixture_buffer(opencl_fixture_device(), "0123456789", 10);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not a mapped address", OPS->mem_unmap(&mem, foreign, err));
    OPS->mem_free(&mem);
}

/* -- buffers that were made for some uses only -- */

/* An import of a new buffer, which holds it. */
static ndbuf_mem import_made_with(cl_mem_flags flags, size_t nbytes)
{
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_mem mem = {0};
    cl_int code = CL_SUCCESS;
    cl_mem buffer = opencl_fixture_api()->clCreateBuffer(ndbuf_opencl__context_of(device), flags, nbytes, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    ASSERT_OK(OPS->mem_import(device, buffer, nbytes, &mem, err));
    opencl_fixture_api()->clReleaseMemObject(buffer);
    return mem;
}

static void run_nothing(void *context, void *const *addresses)
{
    (void)context, (void)addresses;
}

/* What the host may do with buffers of these flags, as NDBUF_MAP_... bits. */
static const struct {
    cl_mem_flags flags;
    uint32_t allowed;
} host_flags[] = {{CL_MEM_READ_WRITE, NDBUF_MAP_READ | NDBUF_MAP_WRITE},
                  {CL_MEM_HOST_READ_ONLY, NDBUF_MAP_READ},
                  {CL_MEM_HOST_WRITE_ONLY, NDBUF_MAP_WRITE},
                  {CL_MEM_HOST_NO_ACCESS, 0}};

static void test_the_host_touches_only_what_it_may(void **state)
{
    (void)state;
    ndbuf_queue *queue = opencl_fixture_device()->default_queue;
    char bytes[8] = "";
    ndbuf_mem host = opencl_fixture_host(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(host_flags) / sizeof(host_flags[0]); i++) {
        ndbuf_mem mem = import_made_with(host_flags[i].flags, sizeof(bytes));
        for (uint32_t wanted = NDBUF_MAP_READ; wanted <= (NDBUF_MAP_READ | NDBUF_MAP_WRITE); wanted++) {
            void *address = NULL;
            const ndbuf_mapped_range range = {.mem = &mem, .nbytes = sizeof(bytes), .map_flags = wanted};
            ndbuf_status expected = (wanted & ~host_flags[i].allowed) == 0 ? NDBUF_OK : NDBUF_ERR_UNSUPPORTED;
            assert_int_equal(OPS->mem_map(&mem, 0, sizeof(bytes), wanted, &address, NULL), expected);
            if (expected == NDBUF_OK) {
                ASSERT_OK(OPS->mem_unmap(&mem, address, err));
            }
            assert_int_equal(OPS->queue_mapped_call(queue, &range, 1, run_nothing, NULL, NULL), expected);
        }
        assert_int_equal(OPS->copy_bytes(queue, &mem, 0, &host, 0, sizeof(bytes), NULL),
                         (host_flags[i].allowed & NDBUF_MAP_WRITE) != 0 ? NDBUF_OK : NDBUF_ERR_UNSUPPORTED);
        assert_int_equal(OPS->copy_bytes(queue, &host, 0, &mem, 0, sizeof(bytes), NULL),
                         (host_flags[i].allowed & NDBUF_MAP_READ) != 0 ? NDBUF_OK : NDBUF_ERR_UNSUPPORTED);
        ASSERT_OK(OPS->queue_wait(queue, err));
        OPS->mem_free(&mem);
    }
    ndbuf_mem mem = import_made_with(CL_MEM_HOST_NO_ACCESS, 8);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "flags 0x200 cannot be read by the host",
                 OPS->copy_bytes(queue, &host, 0, &mem, 0, 8, err));
    OPS->mem_free(&mem);
}

static ndbuf_status copy_evens(const ndbuf_mem *dst, const ndbuf_mem *src, ndbuf_error *err)
{
    const int64_t shape[1] = {4};
    const int64_t strides[1] = {2};
    const ndbuf_strided box = {
        .dst = {dst, 0, strides}, .src = {src, 0, strides}, .ndim = 1, .shape = shape, .unit_nbytes = 1};
    return OPS->copy_strided(opencl_fixture_device()->default_queue, &box, err);
}

/* Six bytes at 1, as two rows from three columns. */
static ndbuf_status copy_turned(const ndbuf_mem *dst, const ndbuf_mem *src, ndbuf_error *err)
{
    const int64_t shape[2] = {2, 3};
    const int64_t dst_strides[2] = {3, 1};
    const int64_t src_strides[2] = {1, 2};
    const ndbuf_strided box = {
        .dst = {dst, 1, dst_strides}, .src = {src, 0, src_strides}, .ndim = 2, .shape = shape, .unit_nbytes = 1};
    return OPS->copy_strided(opencl_fixture_device()->default_queue, &box, err);
}

static void test_buffers_without_the_host_are_copied_by_kernels_and_commands(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_mem from = opencl_fixture_buffer(device, "abcdefgh", 8);
    ndbuf_mem to = opencl_fixture_buffer(device, "--------", 8);
    ndbuf_mem closed = import_made_with(CL_MEM_HOST_NO_ACCESS, 8);
    ASSERT_OK(OPS->copy_bytes(device->default_queue, &closed, 0, &from, 0, 8, err));
    ASSERT_OK(copy_evens(&to, &closed, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    char contents[8];
    opencl_fixture_read(&to, contents);
    assert_memory_equal(contents, "a-c-e-g-", 8);
    OPS->mem_free(&from);
    OPS->mem_free(&to);
    OPS->mem_free(&closed);
}

/* The planner, who does not know the flags, takes mapped memory for it. */
static void test_views_without_the_host_are_copied_on_the_device(void **state)
{
    (void)state;
    enum { NROWS = 256, NCOLUMNS = 300, PITCH = 1024 };
    const int64_t shape[2] = {NROWS, NCOLUMNS};
    const int64_t strides[2] = {PITCH, 3};
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view closed = {0};
    ndbuf_view there = {0};
    ndbuf_view host = {0};
    cl_int code = CL_SUCCESS;
    const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides};
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    cl_mem buffer = opencl_fixture_api()->clCreateBuffer(ndbuf_opencl__context_of(device), CL_MEM_HOST_NO_ACCESS,
                                                         (size_t)NROWS * PITCH, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    ASSERT_OK(ndbuf_storage_adopt(device, buffer, (size_t)NROWS * PITCH, 0, NULL, NULL, &storage, err));
    ASSERT_OK(ndbuf_view_init(&closed, storage, &spec, err));
    ASSERT_OK(ndbuf_view_create(&there, device, NULL, 2, shape, err));
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), NULL, 2, shape, err));
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    for (int i = 0; i < 2; i++) {
        ndbuf_queue *in = i == 0 ? NULL : queue;
        const char item = (char)('a' + i);
        char *bytes = ndbuf_view_host_address(&host);
        ASSERT_OK(ndbuf_fill(&there, &item, 1, NULL, err));
        ASSERT_OK(ndbuf_copy(&closed, &there, in, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        ASSERT_OK(ndbuf_fill(&there, "-", 1, NULL, err));
        ASSERT_OK(ndbuf_copy(&there, &closed, in, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        ASSERT_OK(ndbuf_copy(&host, &there, NULL, err));
        for (int k = 0; k < NROWS * NCOLUMNS; k++) {
            assert_int_equal(bytes[k], item);
        }
    }
    ndbuf_view_release(&closed);
    ndbuf_view_release(&there);
    ndbuf_view_release(&host);
    ndbuf_queue_release(queue);
    ndbuf_storage_release(storage);
    opencl_fixture_api()->clReleaseMemObject(buffer);
    ndbuf_device_close(device);
}

/* What they must not touch has a buffer of ours in its place, but for a destination with gaps. */
static void test_kernels_touch_only_what_they_may(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_mem both = opencl_fixture_buffer(device, "abcdefgh", 8);
    ndbuf_mem read = import_made_with(CL_MEM_READ_ONLY, 8);
    ndbuf_mem written = import_made_with(CL_MEM_WRITE_ONLY, 8);
    const int64_t shape[1] = {4};
    const int64_t strides[1] = {2};
    ndbuf_fill_box fill = {.dst = {&read, 0, strides}, .ndim = 1, .shape = shape, .item = "x", .item_nbytes = 1};
    ASSERT_OK(OPS->copy_bytes(device->default_queue, &read, 0, &both, 0, 8, err)); /* no kernel */
    ASSERT_OK(copy_evens(&written, &read, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "cannot be written by kernels", copy_evens(&read, &both, err));
    ASSERT_OK(OPS->copy_bytes(device->default_queue, &written, 0, &both, 0, 8, err));
    ASSERT_OK(copy_evens(&both, &written, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "cannot be written by kernels",
                 OPS->fill_strided(device->default_queue, &fill, err));
    fill.dst.mem = &written;
    ASSERT_OK(OPS->fill_strided(device->default_queue, &fill, err)); /* reads nothing */
    ASSERT_OK(copy_turned(&read, &written, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    char contents[8];
    opencl_fixture_read(&both, contents);
    assert_memory_equal(contents, "abcdefgh", 8);
    opencl_fixture_read(&read, contents);
    assert_memory_equal(contents + 1, "xxxbdf", 6);
    OPS->mem_free(&both);
    OPS->mem_free(&read);
    OPS->mem_free(&written);
}

/* Alternating: what kernels may only read, and only write. */
static ndbuf_storage *make_for_some_kernels(ndbuf_device *device, size_t nbytes)
{
    static int nmade;
    ndbuf_storage *storage = NULL;
    cl_int code = CL_SUCCESS;
    cl_mem buffer = opencl_fixture_api()->clCreateBuffer(
        ndbuf_opencl__context_of(device), nmade++ % 2 == 0 ? CL_MEM_READ_ONLY : CL_MEM_WRITE_ONLY, nbytes, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    ASSERT_OK(ndbuf_storage_adopt(device, buffer, nbytes, 0, NULL, NULL, &storage, err));
    opencl_fixture_api()->clReleaseMemObject(buffer);
    return storage;
}

static void test_buffers_that_kernels_may_not_use_are_copied_by_other_routes(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 61);
    ndbuf_device *device = NULL;
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    test_copy_storage_by(make_for_some_kernels);
    for (int i = 0; i < 90; i++) {
        const test_copy_case copy_case = {.dst = i % 3 == 0 ? ndbuf_device_cpu() : device,
                                          .src = i % 3 == 1 ? ndbuf_device_cpu() : device,
                                          .converts = i % 6 == 0};
        test_copy_try(__func__, &random, &copy_case);
        test_fill_try(__func__, &random, device, NULL);
    }
    /* On most devices the host reaches no memory, and devices convert. */
    ndbuf_queue *queue = NULL;
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ndbuf__closed_routes = 1u << NDBUF_ROUTE_MAPPED;
    for (int i = 0; i < 90; i++) {
        const test_copy_case copy_case = {.dst = i % 3 == 0 ? ndbuf_device_cpu() : device,
                                          .src = i % 3 == 1 ? ndbuf_device_cpu() : device,
                                          .queue = i % 2 == 0 ? queue : NULL,
                                          .converts = i % 5 != 0};
        test_copy_try(__func__, &random, &copy_case);
    }
    ndbuf__closed_routes = 0;
    ndbuf_queue_release(queue);
    test_copy_storage_by(NULL);
    ndbuf_device_close(device);
}

static int end(void **state)
{
    (void)state;
    opencl_fixture_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_allocated_memory_has_no_host_address),
        cmocka_unit_test(test_more_than_the_device_allocates_is_out_of_memory),
        cmocka_unit_test(test_imported_buffer_outlives_the_callers_reference),
        cmocka_unit_test(test_import_of_more_bytes_than_there_are_is_refused),
        cmocka_unit_test(test_import_from_another_context_is_refused),
        cmocka_unit_test(test_import_of_an_image_is_refused),
        cmocka_unit_test(test_mapping_reads_at_an_offset),
        cmocka_unit_test(test_mapping_for_writing_keeps_the_bytes_not_written),
        cmocka_unit_test(test_unmapping_a_foreign_address_is_refused),
        cmocka_unit_test(test_the_host_touches_only_what_it_may),
        cmocka_unit_test(test_buffers_without_the_host_are_copied_by_kernels_and_commands),
        cmocka_unit_test(test_views_without_the_host_are_copied_on_the_device),
        cmocka_unit_test(test_kernels_touch_only_what_they_may),
        cmocka_unit_test(test_buffers_that_kernels_may_not_use_are_copied_by_other_routes),
    };
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, end);
}
