/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_kernels.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "core/compiler.h"
#include "core/environment.h"

/* Which kernels this processor runs. */

static bool runs_always(void)
{
    return true;
}

#if defined(__x86_64__)
static bool runs_ssse3(void)
{
    return __builtin_cpu_supports("ssse3") != 0;
}

static bool runs_avx2(void)
{
    unsigned int eax;
    unsigned int ebx;
    unsigned int ecx = 0;
    unsigned int edx;
    return __builtin_cpu_supports("avx2") && __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}

static bool runs_avx512(void)
{
    return runs_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi");
}
#endif

/* The best first. */
static const struct {
    const cpu_kernels *kernels;
    bool (*runs)(void);
} choices[] = {
#if defined(__x86_64__)
    {&ndbuf_cpu__kernels_avx512, runs_avx512},
    {&ndbuf_cpu__kernels_avx2, runs_avx2},
    {&ndbuf_cpu__kernels_ssse3, runs_ssse3},
#elif defined(__aarch64__)
    {&ndbuf_cpu__kernels_neon, runs_always},
#endif
    {&ndbuf_cpu__kernels_portable, runs_always},
};

static _Atomic(const cpu_kernels *) chosen;

const cpu_kernels *ndbuf_cpu__kernels_find(const char *name)
{
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        if (strcmp(choices[i].kernels->name, name) == 0) {
            return choices[i].runs() ? choices[i].kernels : NULL;
        }
    }
    return NULL;
}

static const cpu_kernels *kernels_best(void)
{
    const char *name = ndbuf__environment("NDBUF_CPU_ISA");
    const cpu_kernels *named = name != NULL ? ndbuf_cpu__kernels_find(name) : NULL;
    size_t i = 0;
    while (named == NULL && !choices[i].runs()) {
        i++;
    }
    return named != NULL ? named : choices[i].kernels;
}

void ndbuf_cpu__kernels_set(const cpu_kernels *kernels)
{
    atomic_store_explicit(&chosen, kernels, memory_order_release);
}

static NDBUF__NOINLINE const cpu_kernels *kernels_choose(void)
{
    const cpu_kernels *kernels = kernels_best();
    ndbuf_cpu__kernels_set(kernels);
    return kernels;
}

const cpu_kernels *ndbuf_cpu__kernels_get(void)
{
    const cpu_kernels *kernels = atomic_load_explicit(&chosen, memory_order_acquire);
    return NDBUF__LIKELY(kernels != NULL) ? kernels : kernels_choose();
}
