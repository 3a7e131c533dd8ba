/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_FORK_GUARD_H
#define NDBUF_CORE_FORK_GUARD_H

/* A mutex that the child of a fork can lock, though a thread that it does not have held it at the fork. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/sync.h"

typedef struct ndbuf__fork_guard {
    ndbuf__mutex mutex;
    _Atomic(uint64_t) process; /* that knows the mutex: so many forks lie between it and the one that loaded the
                                * library */
} ndbuf__fork_guard;

#define NDBUF__FORK_GUARD_INIT                                                                                         \
    {                                                                                                                  \
        .mutex = NDBUF__MUTEX_INIT                                                                                     \
    }

/* From now on forks are noticed: before, guards are plain mutexes. False: no memory. */
bool ndbuf__fork_guard_watch(void);

void ndbuf__fork_guard_init(ndbuf__fork_guard *guard);
void ndbuf__fork_guard_clear(ndbuf__fork_guard *guard);

/* In the child of a fork, the first time, `forget` makes of the owner what can be used: a thread of the parent's may
 * have been changing it. NULL: it can be used at any time. */
void ndbuf__fork_guard_lock(ndbuf__fork_guard *guard, void (*forget)(void *owner), void *owner);

static inline void ndbuf__fork_guard_unlock(ndbuf__fork_guard *guard)
{
    ndbuf__mutex_unlock(&guard->mutex);
}

#endif
