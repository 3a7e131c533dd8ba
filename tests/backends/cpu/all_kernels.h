/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_CPU_ALL_KERNELS_H
#define NDBUF_TESTS_BACKENDS_CPU_ALL_KERNELS_H

#include "backends/cpu/cpu_kernels.h"

/* The next kernels that this processor runs, and the first ones, the portable, behind NULL; NULL behind the last. */
const cpu_kernels *all_kernels_next(const cpu_kernels *kernels);

/* A test's teardown: kernels, constants and threads as they were. */
int all_kernels_teardown(void **state);

#endif
