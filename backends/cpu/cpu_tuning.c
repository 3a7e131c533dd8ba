/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_tuning.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* How the numbers below were found: bench/bench_host_copy on a virtual machine with two Xeon cores (48 KiB, 2 MiB), one
 * constant changed at a time, in interleaved rounds. Where the caches matter they are asked for. */
#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)

static ndbuf_cpu__tuning tuning;
static _Atomic(const ndbuf_cpu__tuning *) tuning_in_use;

/* The bytes of a cache level, or `otherwise` where the system does not tell. */
static int64_t cache_nbytes(int level, int64_t otherwise)
{
    int64_t nbytes = 0;
#if defined(_SC_LEVEL2_CACHE_SIZE) && defined(_SC_LEVEL3_CACHE_SIZE)
    nbytes = sysconf(level == 2 ? _SC_LEVEL2_CACHE_SIZE : _SC_LEVEL3_CACHE_SIZE);
#else
    (void)level;
#endif
    return nbytes > 0 ? nbytes : otherwise;
}

/* Whether the third cache belongs to a few cores and is as good as the second one. Elsewhere it serves all cores of the
 * socket, so that its size says little about what one of them gets. */
static bool has_near_third_cache(void)
{
#if defined(__x86_64__)
    unsigned eax;
    unsigned ebx;
    unsigned ecx;
    unsigned edx;
    return __get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx;
#else
    return false;
#endif
}

/* The machine that this was measured on first; what differs on Zen 4 (32 KiB, 1 MiB, and 32 MiB near), below. */
static void tuning_default(ndbuf_cpu__tuning *out_tuning)
{
    *out_tuning = (ndbuf_cpu__tuning){
        .stream_nbytes = cache_nbytes(2, 1 * MIB),
        .stream_prefetch_nbytes = 8 * KIB,
        .row_prefetch_nbytes = 8 * KIB,
        .scatter_prefetch_nbytes = 2 * KIB,
        .stream_ways = 1,
        .rep_movsb_nbytes = INT64_MAX, /* the C library's memcpy chooses it by itself */
        .small_nbytes = 4 * KIB,
        .thread_nbytes = 1 * MIB,
        .thread_share_nbytes = 256 * KIB,
        .strip_nbytes = 64,
        .strip_stream_nbytes = 128,
        .panel_stream_nbytes = 64,
        .panel_nbytes = 512,
        .send_nbytes = 128,
        .panel_lines = 256,
        .strip_rows = 32,
        .tile_rows = 128,
        .tile_stream_nbytes = 1024,
        .tile_direct_nbytes = 256,
        .line_prefetch_nbytes = 128,
        .strip_prefetch_nbytes = 1 * MIB,
        .conflict_nbytes = 4 * KIB,
    };
    if (has_near_third_cache()) {
        /* Streaming wins when both sides take half of that cache. */
        int64_t nbytes = cache_nbytes(3, 16 * MIB);
        out_tuning->stream_nbytes = (nbytes < 32 * MIB ? nbytes : 32 * MIB) / 4;
        out_tuning->stream_prefetch_nbytes = 0;
        out_tuning->strip_prefetch_nbytes = INT64_MAX;
        out_tuning->row_prefetch_nbytes = 2 * KIB;
        out_tuning->stream_ways = 2;
    }
}

void ndbuf_cpu__tuning_set(const ndbuf_cpu__tuning *values)
{
    if (values != NULL) {
        tuning = *values;
    } else {
        tuning_default(&tuning);
    }
    atomic_store_explicit(&tuning_in_use, &tuning, memory_order_release);
}

const ndbuf_cpu__tuning *ndbuf_cpu__tuning_get(void)
{
    const ndbuf_cpu__tuning *in_use = atomic_load_explicit(&tuning_in_use, memory_order_acquire);
    if (in_use == NULL) {
        /* Several threads may come here at once; they all find the same. */
        static ndbuf_cpu__tuning first;
        static atomic_flag filling = ATOMIC_FLAG_INIT;
        while (atomic_flag_test_and_set_explicit(&filling, memory_order_acquire)) {
        }
        in_use = atomic_load_explicit(&tuning_in_use, memory_order_acquire);
        if (in_use == NULL) {
            tuning_default(&first);
            in_use = &first;
            atomic_store_explicit(&tuning_in_use, in_use, memory_order_release);
        }
        atomic_flag_clear_explicit(&filling, memory_order_release);
    }
    return in_use;
}
