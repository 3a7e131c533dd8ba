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
    if (ndbuf_cpu__kernels_find("avx2") == NULL) {
        printf("skipped: no AVX2\n");
        exit(77);
    }
    return kernels == NULL ? &ndbuf_cpu__kernels_avx512 : NULL;
}
#else
const cpu_kernels *all_kernels_next(const cpu_kernels *kernels)
{
    static const char *const names[] = {"portable", "ssse3", "avx2", "avx512", "neon"};
    bool is_next = kernels == NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const cpu_kernels *found = ndbuf_cpu__kernels_find(names[i]);
        if (is_next && found != NULL) {
            return found;
        }
        is_next = is_next || found == kernels;
    }
    return NULL;
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
