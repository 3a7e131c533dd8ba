/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "ndbuf/opencl.h"

/* These run in this order, in one process: a failure to open the loader must not be kept. */

static void test_missing_loader_is_unavailable_with_the_reason(void **state)
{
    (void)state;
    int32_t count = -1;
    setenv("NDBUF_OPENCL", "/nonexistent/libOpenCL.so.1", 1);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "no OpenCL loader: /nonexistent/libOpenCL.so.1",
                 OPS->device_count(&count, err));
    assert_int_equal(count, -1);
    ndbuf_device *device = NULL;
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "/nonexistent/libOpenCL.so.1", OPS->device_open(0, &device, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "/nonexistent/libOpenCL.so.1", ndbuf_device_open("opencl:0", &device, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "/nonexistent/libOpenCL.so.1",
                 ndbuf_opencl_device_import(&count, &count, &device, err));
    assert_null(device);
}

static void test_library_without_the_functions_is_unavailable_and_named(void **state)
{
    (void)state;
    int32_t count = -1;
    setenv("NDBUF_OPENCL", "libc.so.6", 1);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "libc.so.6 has no clGetPlatformIDs", OPS->device_count(&count, err));
    unsetenv("NDBUF_OPENCL");
}

static void test_loader_without_drivers_is_unavailable(void **state)
{
    (void)state;
    char vendors[] = "/tmp/ndbuf-no-icd-XXXXXX";
    int32_t count = -1;
    void *loader = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (loader == NULL) {
        skip();
    }
    dlclose(loader);
    assert_non_null(mkdtemp(vendors));
    setenv("OCL_ICD_VENDORS", vendors, 1);
    ndbuf_error error = {0};
    assert_int_equal(OPS->device_count(&count, &error), NDBUF_ERR_UNAVAILABLE);
    assert_string_equal(error.message, "no OpenCL platform: the ICD loader found no driver");
    assert_int_equal(error.native_code, -1001);
    assert_int_equal(count, -1);
    assert_int_equal(rmdir(vendors), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_loader_is_unavailable_with_the_reason),
        cmocka_unit_test(test_library_without_the_functions_is_unavailable_and_named),
        cmocka_unit_test(test_loader_without_drivers_is_unavailable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
