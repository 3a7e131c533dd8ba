/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void test_new_storage_is_aligned_and_counted(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_create(ndbuf_device_cpu(), 1001, &storage, err));
    assert_int_equal((uintptr_t)ndbuf_storage_host_address(storage) % 64, 0);
    assert_int_equal(ndbuf_storage_nbytes(storage), 1001);
    assert_int_equal(ndbuf_storage_flags(storage), 0);
    assert_ptr_equal(ndbuf_storage_device(storage), ndbuf_device_cpu());
    assert_ptr_equal(ndbuf_storage_handle(storage), ndbuf_storage_host_address(storage));
    memset(ndbuf_storage_host_address(storage), 1, 1001);
    ndbuf_storage_retain(storage);
    ndbuf_storage_release(storage);
    memset(ndbuf_storage_host_address(storage), 2, 1001);
    ndbuf_storage_release(storage);
    ndbuf_storage_release(NULL);
}

static void test_storage_of_no_bytes_is_valid(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_create(ndbuf_device_cpu(), 0, &storage, err));
    assert_int_equal(ndbuf_storage_nbytes(storage), 0);
    ndbuf_storage_release(storage);
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), NULL, 0, 0, NULL, NULL, &storage, err));
    ndbuf_storage_release(storage);
}

static void test_absurd_sizes_are_refused_with_the_size(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    char byte = 0;
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "4611686018427387904",
                 ndbuf_storage_create(ndbuf_device_cpu(), (size_t)1 << 62, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "beyond 63 bits", ndbuf_storage_create(ndbuf_device_cpu(), SIZE_MAX, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "beyond 63 bits",
                 ndbuf_storage_adopt(ndbuf_device_cpu(), &byte, SIZE_MAX, 0, NULL, NULL, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no device", ndbuf_storage_create(NULL, 8, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no device", ndbuf_storage_adopt(NULL, &byte, 1, 0, NULL, NULL, &storage, err));
    assert_null(storage);
}

typedef struct release_log {
    int count;
    void *handle;
} release_log;

static void note_release(void *context, void *handle)
{
    release_log *log = context;
    log->count++;
    log->handle = handle;
}

static void test_adopted_memory_is_released_once_and_not_on_failure(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    release_log log = {0};
    char memory[16];
    ASSERT_OK(
        ndbuf_storage_adopt(ndbuf_device_cpu(), memory, 16, NDBUF_STORAGE_READONLY, note_release, &log, &storage, err));
    assert_int_equal(ndbuf_storage_flags(storage), NDBUF_STORAGE_READONLY);
    ndbuf_storage_release(storage);
    assert_int_equal(log.count, 1);
    assert_ptr_equal(log.handle, memory);
    log.count = 0;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no handle",
                 ndbuf_storage_adopt(ndbuf_device_cpu(), NULL, 16, 0, note_release, &log, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no device",
                 ndbuf_storage_adopt(NULL, memory, 16, 0, note_release, &log, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "0x80",
                 ndbuf_storage_adopt(ndbuf_device_cpu(), memory, 16, 0x80, note_release, &log, &storage, err));
    assert_int_equal(log.count, 0);
    ALLOC_FAIL_SWEEP(status_ =
                         ndbuf_storage_adopt(ndbuf_device_cpu(), memory, 16, 0, note_release, &log, &storage, NULL),
                     ndbuf_storage_release(storage));
    assert_int_equal(log.count, 1);
}

static void test_mapping_host_storage_checks_bounds_and_permission(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    void *address = NULL;
    char memory[16];
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), memory, 16, NDBUF_STORAGE_READONLY, NULL, NULL, &storage, err));
    ASSERT_OK(ndbuf_storage_map(storage, 4, 12, NDBUF_MAP_READ, &address, err));
    assert_ptr_equal(address, memory + 4);
    ASSERT_OK(ndbuf_storage_unmap(storage, address, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not a mapping", ndbuf_storage_unmap(storage, memory + 16, err));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "13 bytes at 4", ndbuf_storage_map(storage, 4, 13, NDBUF_MAP_READ, &address, err));
    ASSERT_FAILS(NDBUF_ERR_READONLY, "read-only", ndbuf_storage_map(storage, 0, 1, NDBUF_MAP_WRITE, &address, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "0x0", ndbuf_storage_map(storage, 0, 1, 0, &address, err));
    ndbuf_storage_release(storage);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void test_a_file_is_mapped_readonly_or_shared(void **state)
{
    (void)state;
    const char *path = "test_storage.mapped";
    write_file(path, "hello");
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &storage, err));
    assert_int_equal(ndbuf_storage_nbytes(storage), 5);
    assert_memory_equal(ndbuf_storage_host_address(storage), "hello", 5);
    ndbuf_storage_release(storage);
    ASSERT_OK(ndbuf_storage_map_file(path, 0, &storage, err));
    memcpy(ndbuf_storage_host_address(storage), "J", 1);
    ndbuf_storage_release(storage);
    ASSERT_OK(ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &storage, err));
    assert_memory_equal(ndbuf_storage_host_address(storage), "Jello", 5);
    ndbuf_storage_release(storage);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &storage, NULL),
                     ndbuf_storage_release(storage));
    write_file(path, "");
    ASSERT_OK(ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &storage, err));
    assert_int_equal(ndbuf_storage_nbytes(storage), 0);
    ndbuf_storage_release(storage);
    remove(path);
}

static void test_files_that_cannot_be_mapped_are_named(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    ndbuf_error error = {0};
    assert_int_equal(ndbuf_storage_map_file("no/such/file", 0, &storage, &error), NDBUF_ERR_IO);
    assert_int_equal(error.native_code, ENOENT);
    assert_non_null(strstr(error.message, "no/such/file"));
    ASSERT_FAILS(NDBUF_ERR_IO, "not a regular file",
                 ndbuf_storage_map_file("/dev/null", NDBUF_STORAGE_READONLY, &storage, err));
    /* Nobody is at the other end of the pipe: to open it would be to wait. */
    const char *path = "test_storage.pipe";
    remove(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    ASSERT_FAILS(NDBUF_ERR_IO, "not a regular file",
                 ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &storage, err));
    remove(path);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no path", ndbuf_storage_map_file(NULL, 0, &storage, err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_storage_is_aligned_and_counted),
        cmocka_unit_test(test_storage_of_no_bytes_is_valid),
        cmocka_unit_test(test_absurd_sizes_are_refused_with_the_size),
        cmocka_unit_test(test_adopted_memory_is_released_once_and_not_on_failure),
        cmocka_unit_test(test_mapping_host_storage_checks_bounds_and_permission),
        cmocka_unit_test(test_a_file_is_mapped_readonly_or_shared),
        cmocka_unit_test(test_files_that_cannot_be_mapped_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
