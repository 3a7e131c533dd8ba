/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <string.h>

#include "ndbuf/cuda.h"

#include "backends/cuda/cuda_backend.h"

/* The library with the linked runtime, on a machine without a driver. The tests come in this order: the first ones may
 * not use CUDA yet. */

static void test_a_runtime_that_does_not_serve_is_refused_and_nothing_changes(void **state)
{
    (void)state;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "path", ndbuf_cuda_attach(NULL, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "libnowhere.so", ndbuf_cuda_attach("libnowhere.so", err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "libc.so.6 has no cudaRuntimeGetVersion", ndbuf_cuda_attach("libc.so.6", err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "CUDA 99.1", ndbuf_cuda_attach(CUDA_OTHER_VERSION, err));
}

static bool has_driver(void)
{
    int32_t count = 0;
    return ndbuf_cuda__ops.device_count(&count, NULL) == NDBUF_OK;
}

static void test_without_a_driver_all_devices_are_unavailable_with_the_code_and_the_text(void **state)
{
    (void)state;
    static const ndbuf_backend_ops *const tables[] = {&ndbuf_cuda__ops, &ndbuf_cuda_host__ops,
                                                      &ndbuf_cuda_managed__ops};
    if (has_driver()) {
        skip();
    }
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        int32_t count = -7;
        ndbuf_error error = {0};
        char name[32];
        ndbuf_device *device = (ndbuf_device *)&name;
        assert_int_equal(tables[i]->device_count(&count, &error), NDBUF_ERR_UNAVAILABLE);
        assert_int_equal(count, -7);
        assert_int_not_equal(error.native_code, 0);
        assert_non_null(strstr(error.message, "cudaGetDeviceCount: "));
        ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "cudaGetDeviceCount", ndbuf_device_open(tables[i]->name, &device, err));
        assert_ptr_equal(device, &name);
    }
}

static void test_without_a_driver_the_functions_of_cuda_say_so(void **state)
{
    (void)state;
    char bytes[64] = "all else works";
    ndbuf_storage *host = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_cuda_ipc_handle handle = {{0}};
    if (has_driver()) {
        skip();
    }
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, sizeof(bytes), 0, NULL, NULL, &host, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "cuda",
                 ndbuf_cuda_storage_adopt(bytes, sizeof(bytes), 0, NULL, NULL, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "cuda", ndbuf_cuda_storage_pin(host, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "cuda:N", ndbuf_cuda_ipc_storage_create(ndbuf_device_cpu(), 8, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "cuda:N", ndbuf_cuda_ipc_open(ndbuf_device_cpu(), &handle, 8, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "share", ndbuf_cuda_ipc_export(host, &handle, err));
    assert_null(storage);
    ndbuf_storage_release(host);
}

static void test_a_runtime_comes_too_late_once_cuda_is_in_use(void **state)
{
    (void)state;
    has_driver();
    ASSERT_FAILS(NDBUF_ERR_BUSY, "in use", ndbuf_cuda_attach(CUDASIM_LIBRARY, err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_runtime_that_does_not_serve_is_refused_and_nothing_changes),
        cmocka_unit_test(test_without_a_driver_all_devices_are_unavailable_with_the_code_and_the_text),
        cmocka_unit_test(test_without_a_driver_the_functions_of_cuda_say_so),
        cmocka_unit_test(test_a_runtime_comes_too_late_once_cuda_is_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
