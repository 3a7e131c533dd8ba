/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_caches.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define KIB ((int64_t)1 << 10)
#define MIB ((int64_t)1 << 20)

#if defined(__x86_64__)

typedef struct cpuid_leaf {
    unsigned eax, ebx, ecx, edx;
} cpuid_leaf;

static bool cpuid_read(unsigned leaf, unsigned subleaf, cpuid_leaf *out_leaf)
{
    return __get_cpuid_count(leaf, subleaf, &out_leaf->eax, &out_leaf->ebx, &out_leaf->ecx, &out_leaf->edx) != 0;
}

static bool is_amd(void)
{
    cpuid_leaf leaf;
    return cpuid_read(0, 0, &leaf) && leaf.ebx == signature_AMD_ebx;
}

/* Each data cache has a subleaf: AMD's leaf has the form of Intel's. What sysconf tells of the third cache is that of
 * the whole socket on AMD. */
static void ask_processor(cpu_caches *caches)
{
    unsigned leaf_number = is_amd() ? 0x8000001du : 4u;
    cpuid_leaf leaf;
    for (unsigned k = 0; k < 16 && cpuid_read(leaf_number, k, &leaf) && (leaf.eax & 31) != 0; k++) {
        int64_t nbytes = (int64_t)((leaf.ebx >> 22) + 1) * ((leaf.ebx >> 12 & 1023) + 1) * ((leaf.ebx & 4095) + 1) *
                         ((int64_t)leaf.ecx + 1);
        int64_t *levels[] = {&caches->first_nbytes, &caches->second_nbytes, &caches->third_nbytes};
        unsigned level = leaf.eax >> 5 & 7;
        bool holds_data = (leaf.eax & 31) != 2;
        if (holds_data && level >= 1 && level <= 3) {
            *levels[level - 1] = nbytes;
        }
    }
    caches->third_is_near = is_amd();
}

static void processor_name(char name[64])
{
    cpuid_leaf leaf;
    memset(name, 0, 64);
    for (unsigned k = 0; k < 3 && cpuid_read(0x80000002u + k, 0, &leaf); k++) {
        memcpy(name + (size_t)16 * k, &leaf, 16);
    }
}

#else

static void ask_processor(cpu_caches *caches)
{
    (void)caches;
}

static void processor_name(char name[64])
{
#if defined(__aarch64__)
    snprintf(name, 64, "AArch64");
#else
    snprintf(name, 64, "processor");
#endif
}

#endif

#if defined(_SC_LEVEL1_DCACHE_SIZE) && defined(_SC_LEVEL2_CACHE_SIZE) && defined(_SC_LEVEL3_CACHE_SIZE)
static int64_t ask_system(int level)
{
    static const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    return sysconf(names[level]);
}
#else
static int64_t ask_system(int level)
{
    (void)level;
    return 0;
}
#endif

cpu_caches ndbuf_cpu__caches(void)
{
    static const int64_t guesses[] = {32 * KIB, 1 * MIB, 16 * MIB};
    cpu_caches caches = {0};
    ask_processor(&caches);
    int64_t *levels[] = {&caches.first_nbytes, &caches.second_nbytes, &caches.third_nbytes};
    for (int level = 0; level < 3; level++) {
        int64_t nbytes = *levels[level] > 0 ? *levels[level] : ask_system(level);
        *levels[level] = nbytes > 0 ? nbytes : guesses[level];
    }
    return caches;
}

static void cache_text(int64_t nbytes, char text[32])
{
    bool in_mib = nbytes % MIB == 0;
    snprintf(text, 32, "%lld %s", (long long)(nbytes / (in_mib ? MIB : KIB)), in_mib ? "MiB" : "KiB");
}

void ndbuf_cpu__describe(char *out_text, size_t size)
{
    cpu_caches caches = ndbuf_cpu__caches();
    char name[64];
    char first[32];
    char second[32];
    char third[32];
    processor_name(name);
    size_t length = strlen(name);
    while (length > 0 && name[length - 1] == ' ') {
        name[--length] = '\0';
    }
    cache_text(caches.first_nbytes, first);
    cache_text(caches.second_nbytes, second);
    cache_text(caches.third_nbytes, third);
    snprintf(out_text, size, "%s, caches of %s, %s and %s", name + strspn(name, " "), first, second, third);
}
