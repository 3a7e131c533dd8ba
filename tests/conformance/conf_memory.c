/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_allocations_have_the_size_and_the_alignment(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 64, 65, 4097, 1 << 20};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t alignment = 1; alignment <= 4096; alignment *= 8) {
            ndbuf_mem mem = {0};
            ASSERT_OK(conf.ops->mem_alloc(conf.device, sizes[i], alignment, &mem, err));
            assert_ptr_equal(mem.device, conf.device);
            assert_int_equal(mem.nbytes, sizes[i]);
            assert_non_null(mem.handle);
            assert_int_equal((uintptr_t)mem.host_address % alignment, 0);
            conf.ops->mem_free(&mem);
        }
    }
}

static void test_memory_has_a_host_address_where_the_device_says_so(void **state)
{
    (void)state;
    ndbuf_mem mem = conf_alloc(100, NULL);
    bool accessible = (conf.device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
    assert_int_equal(mem.host_address != NULL, accessible);
    conf.ops->mem_free(&mem);
}

static void test_every_byte_keeps_what_was_written(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    static const size_t sizes[] = {1, 2, 63, 4096, 100003, (4 << 20) + 1};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char *written = malloc(sizes[i]);
        char *read = malloc(sizes[i]);
        test_random_fill(&random, written, sizes[i]);
        ndbuf_mem mem = conf_alloc(sizes[i], written);
        test_download(&mem, 0, read, sizes[i]);
        test_assert_bytes_equal("written and read", read, written, sizes[i]);
        conf.ops->mem_free(&mem);
        free(written);
        free(read);
    }
}

static void test_allocations_do_not_share_bytes(void **state)
{
    (void)state;
    enum { COUNT = 20, NBYTES = 333 };
    ndbuf_mem mems[COUNT];
    char bytes[NBYTES];
    char expected[NBYTES];
    for (int i = 0; i < COUNT; i++) {
        memset(bytes, i, sizeof(bytes));
        mems[i] = conf_alloc(NBYTES, bytes);
    }
    for (int i = 0; i < COUNT; i++) {
        memset(expected, i, sizeof(expected));
        test_download(&mems[i], 0, bytes, sizeof(bytes));
        test_assert_bytes_equal("one of several", bytes, expected, sizeof(bytes));
        conf.ops->mem_free(&mems[i]);
    }
}

static void test_absurd_sizes_are_out_of_memory_and_the_text_says_how_much(void **state)
{
    (void)state;
    static const size_t sizes[] = {(size_t)1 << 62, (size_t)INT64_MAX, (size_t)1 << 50};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        char number[32];
        ndbuf_mem mem;
        memset(&mem, 0x5A, sizeof(mem));
        ndbuf_mem before = mem;
        snprintf(number, sizeof(number), "%zu", sizes[i]);
        ASSERT_FAILS(NDBUF_ERR_NOMEM, number, conf.ops->mem_alloc(conf.device, sizes[i], 64, &mem, err));
        assert_memory_equal(&mem, &before, sizeof(mem));
        ndbuf_storage *storage = (ndbuf_storage *)&mem;
        ASSERT_FAILS(NDBUF_ERR_NOMEM, number, ndbuf_storage_create(conf.device, sizes[i], &storage, err));
        assert_ptr_equal(storage, &mem);
    }
    ndbuf_mem after = conf_alloc(100, NULL); /* and all goes on */
    conf.ops->mem_free(&after);
}

static void test_running_out_of_device_memory_gives_the_drivers_code(void **state)
{
    (void)state;
    if (conf.device == ndbuf_device_cpu()) {
        return; /* host memory: there is no driver */
    }
    ndbuf_error error = {0};
    ndbuf_mem mem = {0};
    assert_int_equal(conf.ops->mem_alloc(conf.device, (size_t)1 << 55, 64, &mem, &error), NDBUF_ERR_NOMEM);
    assert_int_not_equal(error.native_code, 0);
}

static void test_a_storage_of_no_bytes_is_valid(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_create(conf.device, 0, &storage, err));
    assert_int_equal(ndbuf_storage_nbytes(storage), 0);
    ndbuf_storage_release(storage);
    storage = NULL;
    ASSERT_OK(ndbuf_storage_adopt(conf.device, NULL, 0, 0, NULL, NULL, &storage, err));
    ndbuf_storage_release(storage);
}

static void test_a_handle_gives_the_same_bytes_when_imported(void **state)
{
    (void)state;
    char bytes[50];
    ndbuf_mem imported = {0};
    ndbuf_mem mem = conf_alloc(8, "01234567");
    ASSERT_OK(conf.ops->mem_import(conf.device, mem.handle, 6, &imported, err));
    assert_int_equal(imported.nbytes, 6);
    assert_ptr_equal(imported.handle, mem.handle);
    assert_ptr_equal(imported.device, conf.device);
    test_download(&imported, 0, bytes, 6);
    assert_memory_equal(bytes, "012345", 6);
    test_upload(&imported, 2, "ab", 2);
    test_download(&mem, 0, bytes, 8);
    assert_memory_equal(bytes, "01ab4567", 8);
    conf.ops->mem_free(&imported);
    test_download(&mem, 0, bytes, 8);
    assert_memory_equal(bytes, "01ab4567", 8);
    conf.ops->mem_free(&mem);
}

static void test_a_handle_that_is_too_small_is_refused(void **state)
{
    (void)state;
    ndbuf_mem mem = conf_alloc(100, NULL);
    ndbuf_mem imported;
    memset(&imported, 0x5A, sizeof(imported));
    ndbuf_mem before = imported;
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "101", conf.ops->mem_import(conf.device, mem.handle, 101, &imported, err));
    assert_memory_equal(&imported, &before, sizeof(imported));
    conf.ops->mem_free(&mem);
}

static void test_imported_memory_outlives_the_one_who_allocated_it(void **state)
{
    (void)state;
    char bytes[8];
    ndbuf_mem imported = {0};
    ndbuf_mem mem = conf_alloc(8, "01234567");
    ASSERT_OK(conf.ops->mem_import(conf.device, mem.handle, 8, &imported, err));
    conf.ops->mem_free(&mem);
    test_download(&imported, 0, bytes, 8);
    assert_memory_equal(bytes, "01234567", 8);
    conf.ops->mem_free(&imported);
}

CONF_TOPIC(memory, cmocka_unit_test(test_allocations_have_the_size_and_the_alignment),
           cmocka_unit_test(test_memory_has_a_host_address_where_the_device_says_so),
           cmocka_unit_test(test_every_byte_keeps_what_was_written),
           cmocka_unit_test(test_allocations_do_not_share_bytes),
           cmocka_unit_test(test_absurd_sizes_are_out_of_memory_and_the_text_says_how_much),
           cmocka_unit_test(test_running_out_of_device_memory_gives_the_drivers_code),
           cmocka_unit_test(test_a_storage_of_no_bytes_is_valid),
           cmocka_unit_test(test_a_handle_gives_the_same_bytes_when_imported),
           cmocka_unit_test(test_a_handle_that_is_too_small_is_refused),
           cmocka_unit_test(test_imported_memory_outlives_the_one_who_allocated_it))
