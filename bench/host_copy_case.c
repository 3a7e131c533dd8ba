/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/host_copy_case.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* clang-format off */
const host_copy_case host_copy_cases[] = {
#include "bench/host_copy_case_list.h"
#include "bench/host_copy_more_case_list.h"
};
/* clang-format on */
const size_t host_copy_ncases = sizeof(host_copy_cases) / sizeof(host_copy_cases[0]);

bool host_copy_is_right(const host_copy_case *one, const char *dst, const char *src)
{
    int64_t index[HOST_COPY_MAX_NDIM] = {0};
    int64_t to = one->dst_offset;
    int64_t from = one->src_offset;
    for (;;) {
        if (memcmp(dst + to * one->itemsize, src + from * one->itemsize, (size_t)one->itemsize) != 0) {
            return false;
        }
        int32_t k = one->ndim - 1;
        for (; k >= 0; k--) {
            to += one->dst_strides[k];
            from += one->src_strides[k];
            if (++index[k] < one->shape[k]) {
                break;
            }
            to -= one->dst_strides[k] * one->shape[k];
            from -= one->src_strides[k] * one->shape[k];
            index[k] = 0;
        }
        if (k < 0) {
            return true;
        }
    }
}

/* -- past the caches -- */

#if defined(__x86_64__)
__attribute__((target("avx512f"))) static void stream_avx512(char *dst, const char *src, size_t nbytes)
{
    for (size_t at = 0; at < nbytes; at += 64) {
        _mm_prefetch(src + at + 8192, _MM_HINT_T1);
        _mm512_stream_si512((__m512i *)(dst + at), _mm512_loadu_si512(src + at));
    }
}

__attribute__((target("avx2"))) static void stream_avx2(char *dst, const char *src, size_t nbytes)
{
    for (size_t at = 0; at < nbytes; at += 64) {
        _mm_prefetch(src + at + 1024, _MM_HINT_NTA);
        _mm256_stream_si256((__m256i *)(dst + at), _mm256_loadu_si256((const __m256i *)(src + at)));
        _mm256_stream_si256((__m256i *)(dst + at + 32), _mm256_loadu_si256((const __m256i *)(src + at + 32)));
    }
}
#endif

void host_copy_stream(char *dst, const char *src, size_t nbytes)
{
#if defined(__x86_64__)
    size_t head = -(uintptr_t)dst % 64;
    if (nbytes > 128 && __builtin_cpu_supports("avx2")) {
        size_t body = (nbytes - head) / 64 * 64;
        memcpy(dst, src, head);
        if (__builtin_cpu_supports("avx512f") && !__builtin_cpu_is("amd")) {
            stream_avx512(dst + head, src + head, body);
        } else {
            stream_avx2(dst + head, src + head, body);
        }
        _mm_sfence();
        memcpy(dst + head + body, src + head + body, nbytes - head - body);
        return;
    }
#endif
    memcpy(dst, src, nbytes);
}

/* -- threads -- */

#define MAX_THREADS 64
/* Below this one thread is faster. */
#define DIVIDED_NBYTES (128 * 1024)

static struct {
    int nthreads;
    pthread_t threads[MAX_THREADS];
    pthread_mutex_t mutex; /* guards the two below */
    pthread_cond_t changed;
    bool awake; /* threads look for work, rather than sleep */
    bool ending;
    host_copy_bytes_fn fn;
    char *dst;
    const char *src;
    size_t nbytes;
    _Atomic int nawake;
    _Atomic int asleep; /* set: go to sleep */
    _Atomic int round;
    _Atomic int ndone;
} team = {.nthreads = 1, .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static void copy_share(int number)
{
    size_t share = team.nbytes / (size_t)team.nthreads / 64 * 64;
    size_t first = share * (size_t)number;
    size_t nbytes = number == team.nthreads - 1 ? team.nbytes - first : share;
    team.fn(team.dst + first, team.src + first, nbytes);
}

static void *thread_main(void *context)
{
    int number = (int)(intptr_t)context;
    for (;;) {
        pthread_mutex_lock(&team.mutex);
        while (!team.awake && !team.ending) {
            pthread_cond_wait(&team.changed, &team.mutex);
        }
        bool ending = team.ending;
        pthread_mutex_unlock(&team.mutex);
        if (ending) {
            return NULL;
        }
        int round = atomic_load_explicit(&team.round, memory_order_acquire);
        atomic_fetch_add_explicit(&team.nawake, 1, memory_order_release);
        for (;;) {
            if (atomic_load_explicit(&team.round, memory_order_acquire) != round) {
                round++;
                copy_share(number);
                atomic_fetch_add_explicit(&team.ndone, 1, memory_order_release);
            } else if (atomic_load_explicit(&team.asleep, memory_order_acquire) != 0) {
                break;
            }
        }
        atomic_fetch_sub_explicit(&team.nawake, 1, memory_order_release);
    }
}

bool host_copy_threads_start(int nthreads)
{
    for (int i = 1; i < nthreads && i < MAX_THREADS; i++) {
        if (pthread_create(&team.threads[i], NULL, thread_main, (void *)(intptr_t)i) != 0) {
            return false;
        }
        team.nthreads = i + 1;
    }
    return true;
}

int host_copy_threads_count(void)
{
    return team.nthreads;
}

static void wait_for_awake(int nawake)
{
    while (atomic_load_explicit(&team.nawake, memory_order_acquire) != nawake) {
        sched_yield();
    }
}

void host_copy_threads_wake(bool awake)
{
    if (team.nthreads == 1) {
        return;
    }
    pthread_mutex_lock(&team.mutex);
    team.awake = awake;
    atomic_store_explicit(&team.asleep, !awake, memory_order_release);
    pthread_cond_broadcast(&team.changed);
    pthread_mutex_unlock(&team.mutex);
    wait_for_awake(awake ? team.nthreads - 1 : 0);
}

void host_copy_threads_run(host_copy_bytes_fn fn, char *dst, const char *src, size_t nbytes)
{
    if (team.nthreads == 1 || nbytes < DIVIDED_NBYTES) {
        fn(dst, src, nbytes);
        return;
    }
    team.fn = fn;
    team.dst = dst;
    team.src = src;
    team.nbytes = nbytes;
    atomic_store_explicit(&team.ndone, 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&team.round, 1, memory_order_release);
    copy_share(0);
    for (int i = 0; atomic_load_explicit(&team.ndone, memory_order_acquire) < team.nthreads - 1; i++) {
        if (i > 10000) {
            sched_yield();
        }
    }
}

void host_copy_threads_end(void)
{
    pthread_mutex_lock(&team.mutex);
    team.ending = true;
    pthread_cond_broadcast(&team.changed);
    pthread_mutex_unlock(&team.mutex);
    for (int i = 1; i < team.nthreads; i++) {
        pthread_join(team.threads[i], NULL);
    }
    team.nthreads = 1;
}
