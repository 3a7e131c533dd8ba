/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_REF_COUNT_H
#define NDBUF_CORE_REF_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The count of a shared object. Starts at 1, the maker's reference. */
typedef struct ndbuf__ref_count {
    _Atomic(int64_t) count;
} ndbuf__ref_count;

static inline void ndbuf__ref_init(ndbuf__ref_count *refs)
{
    atomic_init(&refs->count, 1);
}

static inline void ndbuf__ref_retain(ndbuf__ref_count *refs)
{
    atomic_fetch_add_explicit(&refs->count, 1, memory_order_relaxed);
}

/* Retains unless the count has reached 0: for tables that hold no reference of their own. */
static inline bool ndbuf__ref_retain_if_alive(ndbuf__ref_count *refs)
{
    int64_t count = atomic_load_explicit(&refs->count, memory_order_relaxed);
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
    return atomic_fetch_sub_explicit(&refs->count, 1, memory_order_acq_rel) == 1;
}

#endif
