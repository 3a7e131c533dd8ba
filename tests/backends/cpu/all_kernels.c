/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cpu/all_kernels.h"

#include <stdio.h>
#include <stdlib.h>

#include "ndbuf/cpu.h"

#include "backends/cpu/cpu_tuning.h"

#if defined(EMULATED_AVX512)
/* One set, linked in place of the library's; it needs what the compiler made of it. */
const cpu_kernels *all_kernels_next(const cpu_kernels *kernels)
{
    static bool has_avx2;
    has_avx2 = has_avx2 || ndbuf_cpu__kernels_find("avx2") != NULL; /* asked once, see below */
    if (!has_avx2) {
        printf("skipped: no AVX2\n");
        exit(77);
    }
    return kernels == NULL ? &ndbuf_cpu__kernels_avx512 : NULL;
}
#else
const cpu_kernels *all_kernels_next(const cpu_kernels *kernels)
{
    static const char *const names[] = {"portable", "ssse3", "avx2", "avx512", "neon"};
    static const cpu_kernels *found[sizeof(names) / sizeof(names[0]) + 1]; /* the last one is NULL */
    if (found[0] == NULL) { /* a virtual processor may take long to say what it runs */
        size_t nfound = 0;
        for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
            found[nfound] = ndbuf_cpu__kernels_find(names[i]);
            nfound += found[nfound] != NULL;
        }
    }
    size_t next = 0;
    while (kernels != NULL && found[next++] != kernels) {
    }
    return found[next];
}
#endif

int all_kernels_teardown(void **state)
{
    (void)state;
    ndbuf_cpu__kernels_set(NULL);
    ndbuf_cpu__tuning_set(NULL);
    ndbuf_cpu_threads_set(0, NULL);
    return 0;
}
