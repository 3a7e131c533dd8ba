/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_SYNC_H
#define NDBUF_CORE_SYNC_H

/* Mutexes, conditions and threads: POSIX's, or those of Windows. C11's <threads.h> is missing on macOS. */

#include <stdbool.h>
#include <stddef.h>

#ifdef _WIN32

#include <process.h>
#include <windows.h>

typedef SRWLOCK ndbuf__mutex;
typedef CONDITION_VARIABLE ndbuf__cond;
typedef HANDLE ndbuf__thread;
#define NDBUF__MUTEX_INIT SRWLOCK_INIT
#define NDBUF__COND_INIT CONDITION_VARIABLE_INIT
#define NDBUF__THREAD_RESULT unsigned __stdcall
#define NDBUF__THREAD_RETURN return 0
typedef unsigned(__stdcall *ndbuf__thread_fn)(void *);

static inline void ndbuf__mutex_init(ndbuf__mutex *mutex)
{
    InitializeSRWLock(mutex);
}
static inline void ndbuf__mutex_clear(ndbuf__mutex *mutex)
{
    (void)mutex;
}
static inline void ndbuf__mutex_lock(ndbuf__mutex *mutex)
{
    AcquireSRWLockExclusive(mutex);
}
static inline void ndbuf__mutex_unlock(ndbuf__mutex *mutex)
{
    ReleaseSRWLockExclusive(mutex);
}
static inline void ndbuf__cond_init(ndbuf__cond *cond)
{
    InitializeConditionVariable(cond);
}
static inline void ndbuf__cond_clear(ndbuf__cond *cond)
{
    (void)cond;
}
static inline void ndbuf__cond_wait(ndbuf__cond *cond, ndbuf__mutex *mutex)
{
    SleepConditionVariableSRW(cond, mutex, INFINITE, 0);
}
static inline void ndbuf__cond_broadcast(ndbuf__cond *cond)
{
    WakeAllConditionVariable(cond);
}
static inline bool ndbuf__thread_start(ndbuf__thread *thread, ndbuf__thread_fn fn, void *context)
{
    *thread = (HANDLE)_beginthreadex(NULL, 0, fn, context, 0, NULL);
    return *thread != NULL;
}
static inline void ndbuf__thread_join(ndbuf__thread thread)
{
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

static inline void ndbuf__thread_sleep_us(unsigned microseconds)
{
    Sleep((microseconds + 999) / 1000);
}
/* There is no fork. */
static inline bool ndbuf__at_fork(void (*in_child)(void))
{
    (void)in_child;
    return true;
}

#else

#include <pthread.h>
#include <time.h>

typedef pthread_mutex_t ndbuf__mutex;
typedef pthread_cond_t ndbuf__cond;
typedef pthread_t ndbuf__thread;
#define NDBUF__MUTEX_INIT PTHREAD_MUTEX_INITIALIZER
#define NDBUF__COND_INIT PTHREAD_COND_INITIALIZER
#define NDBUF__THREAD_RESULT void *
#define NDBUF__THREAD_RETURN return NULL
typedef void *(*ndbuf__thread_fn)(void *);

static inline void ndbuf__mutex_init(ndbuf__mutex *mutex)
{
    pthread_mutex_init(mutex, NULL);
}
static inline void ndbuf__mutex_clear(ndbuf__mutex *mutex)
{
    pthread_mutex_destroy(mutex);
}
static inline void ndbuf__mutex_lock(ndbuf__mutex *mutex)
{
    pthread_mutex_lock(mutex);
}
static inline void ndbuf__mutex_unlock(ndbuf__mutex *mutex)
{
    pthread_mutex_unlock(mutex);
}
static inline void ndbuf__cond_init(ndbuf__cond *cond)
{
    pthread_cond_init(cond, NULL);
}
static inline void ndbuf__cond_clear(ndbuf__cond *cond)
{
    pthread_cond_destroy(cond);
}
static inline void ndbuf__cond_wait(ndbuf__cond *cond, ndbuf__mutex *mutex)
{
    pthread_cond_wait(cond, mutex);
}
static inline void ndbuf__cond_broadcast(ndbuf__cond *cond)
{
    pthread_cond_broadcast(cond);
}
/* A conversion takes some hundred KiB of stack: more than musl and macOS give a thread by themselves. */
#define NDBUF__THREAD_STACK_NBYTES ((size_t)2 << 20)
static inline bool ndbuf__thread_start(ndbuf__thread *thread, ndbuf__thread_fn fn, void *context)
{
    pthread_attr_t attr;
    size_t nbytes = 0;
    if (pthread_attr_init(&attr) != 0) {
        return false;
    }
    if (pthread_attr_getstacksize(&attr, &nbytes) == 0 && nbytes < NDBUF__THREAD_STACK_NBYTES) {
        pthread_attr_setstacksize(&attr, NDBUF__THREAD_STACK_NBYTES);
    }
    const bool started = pthread_create(thread, &attr, fn, context) == 0;
    pthread_attr_destroy(&attr);
    return started;
}
static inline void ndbuf__thread_join(ndbuf__thread thread)
{
    pthread_join(thread, NULL);
}
/* By a condition that nobody tells of: the functions that only sleep are not everywhere. */
static inline void ndbuf__thread_sleep_us(unsigned microseconds)
{
    ndbuf__mutex mutex;
    ndbuf__cond cond;
    struct timespec until;
    timespec_get(&until, TIME_UTC);
    until.tv_nsec += (long)(microseconds % 1000000) * 1000;
    until.tv_sec += (time_t)(microseconds / 1000000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    ndbuf__mutex_init(&mutex);
    ndbuf__cond_init(&cond);
    ndbuf__mutex_lock(&mutex);
    pthread_cond_timedwait(&cond, &mutex, &until);
    ndbuf__mutex_unlock(&mutex);
    ndbuf__cond_clear(&cond);
    ndbuf__mutex_clear(&mutex);
}
/* Calls a function in each process that is forked off this one. False: no memory. */
static inline bool ndbuf__at_fork(void (*in_child)(void))
{
    return pthread_atfork(NULL, NULL, in_child) == 0;
}

#endif

#endif
