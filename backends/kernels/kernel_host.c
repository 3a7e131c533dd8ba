/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/kernels/kernel_host.h"

#include <stddef.h>
#include <string.h>

#include "backends/kernels/kernel_list.h"

#define DECLARE(name)                                                                                                  \
    void name(char *dst, const char *src, const ndk_params *params, uint32_t group, uint32_t ngroups,                  \
              uint32_t group_nitems);
NDBUF__KERNEL_LIST(DECLARE)

typedef struct host_kernel {
    const char *name;
    ndbuf__kernel_host_fn fn;
} host_kernel;

static const host_kernel host_kernels[] = {
#define ENTRY(name) {#name, name},
    NDBUF__KERNEL_LIST(ENTRY)};

ndbuf__kernel_host_fn ndbuf__kernel_host_find(const char *name)
{
    for (size_t i = 0; i < sizeof(host_kernels) / sizeof(host_kernels[0]); i++) {
        if (strcmp(host_kernels[i].name, name) == 0) {
            return host_kernels[i].fn;
        }
    }
    return NULL;
}
