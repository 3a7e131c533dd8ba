/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_MINMAX_H
#define NDBUF_BACKENDS_CPU_CPU_MINMAX_H

#include <stdint.h>

static inline int64_t cpu_smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t cpu_larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

#endif
