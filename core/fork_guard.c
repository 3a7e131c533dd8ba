/* SPDX-License-Identifier: Apache-2.0 */
#include "core/fork_guard.h"

static _Atomic(uint64_t) current_process;
static ndbuf__mutex fork_mutex = NDBUF__MUTEX_INIT; /* guards what follows, and owners that forget */
static bool fork_is_watched;

static void note_fork(void)
{
    ndbuf__mutex_init(&fork_mutex);
    atomic_fetch_add_explicit(&current_process, 1, memory_order_relaxed);
}

bool ndbuf__fork_guard_watch(void)
{
    ndbuf__mutex_lock(&fork_mutex);
    fork_is_watched = fork_is_watched || ndbuf__at_fork(note_fork);
    bool is_watched = fork_is_watched;
    ndbuf__mutex_unlock(&fork_mutex);
    return is_watched;
}

void ndbuf__fork_guard_init(ndbuf__fork_guard *guard)
{
    ndbuf__mutex_init(&guard->mutex);
    atomic_init(&guard->process, atomic_load_explicit(&current_process, memory_order_relaxed));
}

void ndbuf__fork_guard_clear(ndbuf__fork_guard *guard)
{
    ndbuf__mutex_clear(&guard->mutex);
}

void ndbuf__fork_guard_lock(ndbuf__fork_guard *guard, void (*forget)(void *owner), void *owner)
{
    const uint64_t process = atomic_load_explicit(&current_process, memory_order_relaxed);
    if (atomic_load_explicit(&guard->process, memory_order_acquire) != process) {
        ndbuf__mutex_lock(&fork_mutex);
        if (atomic_load_explicit(&guard->process, memory_order_relaxed) != process) {
            ndbuf__mutex_init(&guard->mutex);
            if (forget != NULL) {
                forget(owner);
            }
            atomic_store_explicit(&guard->process, process, memory_order_release);
        }
        ndbuf__mutex_unlock(&fork_mutex);
    }
    ndbuf__mutex_lock(&guard->mutex);
}
