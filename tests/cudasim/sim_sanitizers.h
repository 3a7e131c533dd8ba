/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_CUDASIM_SIM_SANITIZERS_H
#define NDBUF_TESTS_CUDASIM_SIM_SANITIZERS_H

/* What the sanitizers are told. The thread sanitizer must not take the simulator's lock for an order that CUDA gives:
 * the lock is hidden from it, with all that is touched under it, and the order of the work is told instead. */

#if defined(__has_feature)
#define SIM_HAS_FEATURE(name) __has_feature(name)
#else
#define SIM_HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_THREAD__) || SIM_HAS_FEATURE(thread_sanitizer)
void __tsan_acquire(void *address);
void __tsan_release(void *address);
void AnnotateIgnoreSyncBegin(const char *file, int line);
void AnnotateIgnoreSyncEnd(const char *file, int line);
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#define SIM_HAPPENS_AFTER(address) __tsan_acquire(address)
#define SIM_HAPPENS_BEFORE(address) __tsan_release(address)
#define SIM_HIDE_SYNC_BEGIN() AnnotateIgnoreSyncBegin(__FILE__, __LINE__)
#define SIM_HIDE_SYNC_END() AnnotateIgnoreSyncEnd(__FILE__, __LINE__)
#define SIM_HIDE_ACCESS_BEGIN()                                                                                        \
    (AnnotateIgnoreReadsBegin(__FILE__, __LINE__), AnnotateIgnoreWritesBegin(__FILE__, __LINE__))
#define SIM_HIDE_ACCESS_END() (AnnotateIgnoreWritesEnd(__FILE__, __LINE__), AnnotateIgnoreReadsEnd(__FILE__, __LINE__))
#define SIM_MAY_HELP 0 /* in the caller's thread, nothing races with the caller */
#else
#define SIM_HAPPENS_AFTER(address) ((void)(address))
#define SIM_HAPPENS_BEFORE(address) ((void)(address))
#define SIM_HIDE_SYNC_BEGIN() ((void)0)
#define SIM_HIDE_SYNC_END() ((void)0)
#define SIM_HIDE_ACCESS_BEGIN() ((void)0)
#define SIM_HIDE_ACCESS_END() ((void)0)
#define SIM_MAY_HELP 1
#endif

#if defined(__SANITIZE_ADDRESS__) || SIM_HAS_FEATURE(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define SIM_POISON(address, nbytes) ASAN_POISON_MEMORY_REGION(address, nbytes)
#define SIM_UNPOISON(address, nbytes) ASAN_UNPOISON_MEMORY_REGION(address, nbytes)
#define SIM_CAN_POISON 1
#else
#define SIM_POISON(address, nbytes) ((void)(address), (void)(nbytes))
#define SIM_UNPOISON(address, nbytes) ((void)(address), (void)(nbytes))
#define SIM_CAN_POISON 0
#endif

#endif
