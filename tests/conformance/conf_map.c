/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <string.h>

static void test_a_mapping_shows_the_bytes_and_takes_new_ones(void **state)
{
    (void)state;
    char bytes[10];
    void *address = NULL;
    ndbuf_mem mem = conf_alloc(10, "0123456789");
    ASSERT_OK(conf.ops->mem_map(&mem, 3, 5, NDBUF_MAP_READ | NDBUF_MAP_WRITE, &address, err));
    assert_memory_equal(address, "34567", 5);
    memcpy(address, "abcde", 5);
    ASSERT_OK(conf.ops->mem_unmap(&mem, address, err));
    test_download(&mem, 0, bytes, 10);
    assert_memory_equal(bytes, "012abcde89", 10);
    ASSERT_OK(conf.ops->mem_map(&mem, 9, 1, NDBUF_MAP_READ, &address, err));
    assert_memory_equal(address, "9", 1);
    ASSERT_OK(conf.ops->mem_unmap(&mem, address, err));
    conf.ops->mem_free(&mem);
}

static void test_a_mapping_for_writing_keeps_what_is_not_written(void **state)
{
    (void)state;
    char bytes[10];
    void *address = NULL;
    ndbuf_mem mem = conf_alloc(10, "0123456789");
    ASSERT_OK(conf.ops->mem_map(&mem, 0, 10, NDBUF_MAP_WRITE, &address, err));
    memcpy((char *)address + 4, "xy", 2);
    ASSERT_OK(conf.ops->mem_unmap(&mem, address, err));
    test_download(&mem, 0, bytes, 10);
    assert_memory_equal(bytes, "0123xy6789", 10);
    conf.ops->mem_free(&mem);
}

static void test_a_mapping_sees_what_was_copied_before(void **state)
{
    (void)state;
    char text[] = "abcdefgh";
    void *address = NULL;
    ndbuf_mem host = test_host_mem(text, 8);
    ndbuf_mem mem = conf_alloc(8, "01234567");
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(conf.ops->copy_bytes(queue, &mem, 0, &host, 0, 8, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ASSERT_OK(conf.ops->mem_map(&mem, 0, 8, NDBUF_MAP_READ, &address, err));
    assert_memory_equal(address, "abcdefgh", 8);
    ASSERT_OK(conf.ops->mem_unmap(&mem, address, err));
    ndbuf_queue_release(queue);
    conf.ops->mem_free(&mem);
}

static void test_several_mappings_at_a_time(void **state)
{
    (void)state;
    char bytes[10];
    void *first = NULL;
    void *second = NULL;
    ndbuf_mem mem = conf_alloc(10, "0123456789");
    ASSERT_OK(conf.ops->mem_map(&mem, 0, 5, NDBUF_MAP_READ | NDBUF_MAP_WRITE, &first, err));
    ASSERT_OK(conf.ops->mem_map(&mem, 5, 5, NDBUF_MAP_READ | NDBUF_MAP_WRITE, &second, err));
    memcpy(first, "a", 1);
    memcpy(second, "b", 1);
    ASSERT_OK(conf.ops->mem_unmap(&mem, first, err));
    ASSERT_OK(conf.ops->mem_unmap(&mem, second, err));
    test_download(&mem, 0, bytes, 10);
    assert_memory_equal(bytes, "a1234b6789", 10);
    conf.ops->mem_free(&mem);
}

static void test_unmapping_what_is_not_mapped_is_refused(void **state)
{
    (void)state;
    char here;
    ndbuf_mem mem = conf_alloc(10, NULL);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not", conf.ops->mem_unmap(&mem, &here, err));
    conf.ops->mem_free(&mem);
}

static void test_mapping_outside_the_storage_is_refused(void **state)
{
    (void)state;
    void *address = &conf;
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_create(conf.device, 10, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "11", ndbuf_storage_map(storage, 0, 11, NDBUF_MAP_READ, &address, err));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "at 10", ndbuf_storage_map(storage, 10, 1, NDBUF_MAP_READ, &address, err));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "10", ndbuf_storage_map(storage, SIZE_MAX, 2, NDBUF_MAP_READ, &address, err));
    assert_ptr_equal(address, &conf);
    ndbuf_storage_release(storage);
}

CONF_TOPIC(map, cmocka_unit_test(test_a_mapping_shows_the_bytes_and_takes_new_ones),
           cmocka_unit_test(test_a_mapping_for_writing_keeps_what_is_not_written),
           cmocka_unit_test(test_a_mapping_sees_what_was_copied_before),
           cmocka_unit_test(test_several_mappings_at_a_time),
           cmocka_unit_test(test_unmapping_what_is_not_mapped_is_refused),
           cmocka_unit_test(test_mapping_outside_the_storage_is_refused))
