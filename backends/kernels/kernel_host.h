/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_KERNELS_KERNEL_HOST_H
#define NDBUF_BACKENDS_KERNELS_KERNEL_HOST_H

/* The kernels compiled as C: for tests and simulators, not part of the library. */

#include <stdint.h>

#include "backends/kernels/kernel_params.h"

/* Runs one group of a launch, all its work items in turn between barriers. */
typedef void (*ndbuf__kernel_host_fn)(char *dst, const char *src, const ndk_params *params, uint32_t group,
                                      uint32_t ngroups, uint32_t group_nitems);

/* The kernel of that name; NULL: there is none. */
ndbuf__kernel_host_fn ndbuf__kernel_host_find(const char *name);

#endif
