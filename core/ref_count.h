/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_REF_COUNT_H
#define NDBUF_CORE_REF_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/compiler.h"

#if defined(__has_include)
#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#define NDBUF__SINGLE_THREADED NDBUF__LIKELY(__libc_single_threaded != 0)
#endif
#endif
#ifndef NDBUF__SINGLE_THREADED
#define NDBUF__SINGLE_THREADED false
#endif

/* Adds to a count and returns what it was before. While the C library knows of one thread only, a plain addition does:
 * a locked one costs as much as all the rest of acquiring a view. Releases what this thread wrote, and acquires what
 * others did. */
static inline uint64_t ndbuf__count_add(_Atomic(uint64_t) *count, uint64_t amount)
{
    if (NDBUF__SINGLE_THREADED) {
        uint64_t before = atomic_load_explicit(count, memory_order_relaxed);
        atomic_store_explicit(count, before + amount, memory_order_relaxed);
        return before;
    }
    return atomic_fetch_add_explicit(count, amount, memory_order_acq_rel);
}

/* The count of a shared object. Starts at 1, the maker's reference. */
typedef struct ndbuf__ref_count {
    _Atomic(uint64_t) count;
} ndbuf__ref_count;

static inline void ndbuf__ref_init(ndbuf__ref_count *refs)
{
    atomic_init(&refs->count, 1);
}

static inline void ndbuf__ref_retain(ndbuf__ref_count *refs)
{
    ndbuf__count_add(&refs->count, 1);
}

/* Retains unless the count has reached 0: for tables that hold no reference of their own. */
static inline bool ndbuf__ref_retain_if_alive(ndbuf__ref_count *refs)
{
    uint64_t count = atomic_load_explicit(&refs->count, memory_order_relaxed);
    while (count > 0) {
        if (atomic_compare_exchange_weak_explicit(&refs->count, &count, count + 1, memory_order_acquire,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

/* True for the last reference: the caller frees the object, and sees all that other holders wrote. */
static inline bool ndbuf__ref_release(ndbuf__ref_count *refs)
{
    return ndbuf__count_add(&refs->count, (uint64_t)-1) == 1;
}

#endif
