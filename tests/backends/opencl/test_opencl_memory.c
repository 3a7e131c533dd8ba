/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

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
    };
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, end);
}
