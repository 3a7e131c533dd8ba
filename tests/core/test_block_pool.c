/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <string.h>

#include "core/block_pool.h"

enum { NTHREADS = 4, NROUNDS = 2000 };

static void test_a_block_is_given_again_for_a_size_of_its_class(void **state)
{
    (void)state;
    ndbuf__block_pool pool;
    ndbuf__block_pool_init(&pool);
    void *block = ndbuf__block_take(&pool, 100);
    assert_non_null(block);
    assert_int_equal((uintptr_t)block % 16, 0);
    memset(block, 1, 100);
    ndbuf__block_give(block);
    test_alloc_fail_at(1);
    assert_ptr_equal(ndbuf__block_take(&pool, 70), block); /* no allocation */
    assert_null(ndbuf__block_take(&pool, 70));             /* one, which fails */
    assert_true(test_alloc_fail_end());
    ndbuf__block_give(block);
    void *larger = ndbuf__block_take(&pool, 1000);
    assert_true(larger != block);
    ndbuf__block_give(larger);
    ndbuf__block_give(NULL);
    ndbuf__block_pool_clear(&pool);
}

static void test_all_bytes_of_a_block_are_its_takers(void **state)
{
    (void)state;
    ndbuf__block_pool pool;
    ndbuf__block_pool_init(&pool);
    for (int round = 0; round < 2; round++) {
        for (size_t nbytes = 0; nbytes < 300; nbytes++) {
            char *block = ndbuf__block_take(&pool, nbytes);
            char *other = ndbuf__block_take(&pool, nbytes);
            assert_true(block != NULL && other != NULL);
            memset(block, 1, nbytes);
            memset(other, 2, nbytes);
            for (size_t i = 0; i < nbytes; i++) {
                assert_int_equal(block[i], 1);
            }
            ndbuf__block_give(other);
            ndbuf__block_give(block);
        }
    }
    ndbuf__block_pool_clear(&pool);
}

static void test_a_burst_does_not_keep_its_memory(void **state)
{
    (void)state;
    enum { COUNT = 50 };
    const size_t nbytes = NDBUF__BLOCK_POOL_NBYTES / 32 - 16;
    ndbuf__block_pool pool;
    void *blocks[COUNT];
    ndbuf__block_pool_init(&pool);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = ndbuf__block_take(&pool, nbytes);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(pool.nbytes, 0);
    for (int i = 0; i < COUNT; i++) {
        ndbuf__block_give(blocks[i]);
    }
    assert_int_equal(pool.nbytes, NDBUF__BLOCK_POOL_NBYTES);
    void *large = ndbuf__block_take(&pool, 2 * NDBUF__BLOCK_POOL_NBYTES);
    assert_non_null(large);
    memset(large, 1, 2 * NDBUF__BLOCK_POOL_NBYTES);
    ndbuf__block_give(large);
    assert_int_equal(pool.nbytes, NDBUF__BLOCK_POOL_NBYTES);
    ndbuf__block_pool_clear(&pool);
}

static void test_without_a_pool_nothing_is_kept(void **state)
{
    (void)state;
    void *block = ndbuf__block_take(NULL, 10);
    assert_non_null(block);
    memset(block, 1, 10);
    ndbuf__block_give(block);
    test_alloc_fail_at(1);
    assert_null(ndbuf__block_take(NULL, 10));
    assert_true(test_alloc_fail_end());
    assert_null(ndbuf__block_take(NULL, SIZE_MAX));
}

static NDBUF__THREAD_RESULT take_and_give(void *context)
{
    ndbuf__block_pool *pool = context;
    void *held[3] = {NULL};
    for (int i = 0; i < NROUNDS; i++) {
        size_t nbytes = 40 + (size_t)(i % 5) * 90;
        ndbuf__block_give(held[i % 3]);
        held[i % 3] = ndbuf__block_take(pool, nbytes);
        memset(held[i % 3], i, nbytes);
    }
    for (int i = 0; i < 3; i++) {
        ndbuf__block_give(held[i]);
    }
    NDBUF__THREAD_RETURN;
}

static void test_threads_share_a_pool(void **state)
{
    (void)state;
    ndbuf__block_pool pool;
    ndbuf__thread threads[NTHREADS];
    ndbuf__block_pool_init(&pool);
    for (int i = 0; i < NTHREADS; i++) {
        assert_true(ndbuf__thread_start(&threads[i], take_and_give, &pool));
    }
    for (int i = 0; i < NTHREADS; i++) {
        ndbuf__thread_join(threads[i]);
    }
    ndbuf__block_pool_clear(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_block_is_given_again_for_a_size_of_its_class),
        cmocka_unit_test(test_all_bytes_of_a_block_are_its_takers),
        cmocka_unit_test(test_a_burst_does_not_keep_its_memory),
        cmocka_unit_test(test_without_a_pool_nothing_is_kept),
        cmocka_unit_test(test_threads_share_a_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
