/* SPDX-License-Identifier: Apache-2.0 */
#include "core/block_pool.h"

#include <stdint.h>
#include <string.h>

#include "core/host_alloc.h"

#ifdef __has_feature
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif

/* The address sanitizer sees uses of blocks that are kept, as if they had been freed. */
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
void __asan_poison_memory_region(const volatile void *address, size_t nbytes);
void __asan_unpoison_memory_region(const volatile void *address, size_t nbytes);
#define FORBID(address, nbytes) __asan_poison_memory_region(address, nbytes)
#define ALLOW(address, nbytes) __asan_unpoison_memory_region(address, nbytes)
#else
#define FORBID(address, nbytes) ((void)0)
#define ALLOW(address, nbytes) ((void)0)
#endif

/* In front of the bytes that the taker gets. */
struct ndbuf__block {
    union {
        ndbuf__block_pool *pool; /* of a block that was taken; NULL: none */
        ndbuf__block *next;      /* of one that is kept */
    } link;
    size_t shelf; /* NDBUF__BLOCK_POOL_NSHELVES: too large to be kept */
    _Alignas(16) char bytes[];
};

_Static_assert((size_t)1 << (NDBUF__BLOCK_FIRST_SHIFT + NDBUF__BLOCK_POOL_NSHELVES - 1) == NDBUF__BLOCK_POOL_NBYTES,
               "the last shelf is for blocks that take all the room");

static size_t shelf_nbytes(size_t shelf)
{
    return (size_t)1 << (NDBUF__BLOCK_FIRST_SHIFT + shelf);
}

/* The shelf of blocks with room for `nbytes` behind the header. */
static size_t shelf_for(size_t nbytes)
{
    size_t shelf = 0;
    while (shelf < NDBUF__BLOCK_POOL_NSHELVES && shelf_nbytes(shelf) - sizeof(ndbuf__block) < nbytes) {
        shelf++;
    }
    return shelf;
}

void ndbuf__block_pool_init(ndbuf__block_pool *pool)
{
    *pool = (ndbuf__block_pool){.nbytes = 0};
    ndbuf__fork_guard_init(&pool->guard);
}

/* In the child of a fork: what is kept is lost. */
static void pool_forget(void *owner)
{
    ndbuf__block_pool *pool = owner;
    pool->nbytes = 0;
    memset(pool->shelves, 0, sizeof(pool->shelves));
}

static void pool_lock(ndbuf__block_pool *pool)
{
    ndbuf__fork_guard_lock(&pool->guard, pool_forget, pool);
}

void ndbuf__block_pool_clear(ndbuf__block_pool *pool)
{
    pool_lock(pool); /* the child of a fork forgets its parent's blocks */
    ndbuf__fork_guard_unlock(&pool->guard);
    for (int i = 0; i < NDBUF__BLOCK_POOL_NSHELVES; i++) {
        while (pool->shelves[i] != NULL) {
            ndbuf__block *block = pool->shelves[i];
            pool->shelves[i] = block->link.next;
            ndbuf__free(block);
        }
    }
    ndbuf__fork_guard_clear(&pool->guard);
}

/* A block that was kept, or NULL. */
static ndbuf__block *shelf_take(ndbuf__block_pool *pool, size_t shelf)
{
    pool_lock(pool);
    ndbuf__block *block = pool->shelves[shelf];
    if (block != NULL) {
        pool->shelves[shelf] = block->link.next;
        pool->nbytes -= shelf_nbytes(shelf);
    }
    ndbuf__fork_guard_unlock(&pool->guard);
    return block;
}

/* False: there is no room for it. */
static bool shelf_give(ndbuf__block_pool *pool, ndbuf__block *block)
{
    size_t nbytes = shelf_nbytes(block->shelf);
    pool_lock(pool);
    bool is_kept = nbytes <= NDBUF__BLOCK_POOL_NBYTES - pool->nbytes;
    if (is_kept) {
        block->link.next = pool->shelves[block->shelf];
        pool->shelves[block->shelf] = block;
        pool->nbytes += nbytes;
    }
    ndbuf__fork_guard_unlock(&pool->guard);
    return is_kept;
}

void *ndbuf__block_take(ndbuf__block_pool *pool, size_t nbytes)
{
    size_t shelf = pool != NULL ? shelf_for(nbytes) : NDBUF__BLOCK_POOL_NSHELVES;
    ndbuf__block *block = NULL;
    if (nbytes > SIZE_MAX - sizeof(*block)) {
        return NULL;
    }
    if (shelf < NDBUF__BLOCK_POOL_NSHELVES) {
        block = shelf_take(pool, shelf);
    }
    if (block == NULL) {
        block = ndbuf__malloc(shelf < NDBUF__BLOCK_POOL_NSHELVES ? shelf_nbytes(shelf) : sizeof(*block) + nbytes);
    }
    if (block == NULL) {
        return NULL;
    }
    if (shelf < NDBUF__BLOCK_POOL_NSHELVES) {
        ALLOW(block->bytes, nbytes);
        FORBID(block->bytes + nbytes, shelf_nbytes(shelf) - sizeof(*block) - nbytes);
    }
    block->link.pool = pool;
    block->shelf = shelf;
    return block->bytes;
}

void ndbuf__block_give(void *block)
{
    if (block == NULL) {
        return;
    }
    ndbuf__block *self = (ndbuf__block *)((char *)block - offsetof(ndbuf__block, bytes));
    if (self->shelf == NDBUF__BLOCK_POOL_NSHELVES) {
        ndbuf__free(self);
        return;
    }
    FORBID(self->bytes, shelf_nbytes(self->shelf) - sizeof(*self));
    if (!shelf_give(self->link.pool, self)) {
        ndbuf__free(self);
    }
}
