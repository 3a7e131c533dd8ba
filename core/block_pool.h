/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_BLOCK_POOL_H
#define NDBUF_CORE_BLOCK_POOL_H

/* Small host memory that is needed again and again: what work in queues is described by, and events. Blocks that were
 * given back are kept for the next ones of about that size, up to a number of bytes, so that a burst of work does not
 * keep its memory for good; all others are freed at once. Thread-safe. */

#include <stddef.h>

#include "core/fork_guard.h"

/* The most bytes that a pool keeps. */
#define NDBUF__BLOCK_POOL_NBYTES ((size_t)1 << 20)

/* Sizes of blocks are powers of two, from the first one to all that a pool keeps. */
#define NDBUF__BLOCK_FIRST_SHIFT 6
#define NDBUF__BLOCK_POOL_NSHELVES 15

typedef struct ndbuf__block ndbuf__block;

/* Part of what the blocks are for, which must outlive them. A static one is NDBUF__BLOCK_POOL_INIT. */
typedef struct ndbuf__block_pool {
    ndbuf__fork_guard guard; /* of the rest */
    size_t nbytes;           /* kept */
    ndbuf__block *shelves[NDBUF__BLOCK_POOL_NSHELVES];
} ndbuf__block_pool;

#define NDBUF__BLOCK_POOL_INIT                                                                                         \
    {                                                                                                                  \
        .guard = NDBUF__FORK_GUARD_INIT                                                                                \
    }

void ndbuf__block_pool_init(ndbuf__block_pool *pool);

/* Frees what is kept. All blocks have been given back. */
void ndbuf__block_pool_clear(ndbuf__block_pool *pool);

/* A block of `nbytes` bytes, aligned for any type, not cleared; NULL: no memory. pool NULL: keeps nothing. */
void *ndbuf__block_take(ndbuf__block_pool *pool, size_t nbytes);

/* Gives a block back to its pool. NULL is accepted. */
void ndbuf__block_give(void *block);

#endif
