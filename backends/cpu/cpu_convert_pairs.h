/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_CONVERT_PAIRS_H
#define NDBUF_BACKENDS_CPU_CPU_CONVERT_PAIRS_H

/* Numbers of 8 bytes that lie apart, as a cpu_convert_apart_fn takes them, for the files of x86's instruction sets. */

#include <immintrin.h>

#include "backends/cpu/cpu_conversions.h"

/* How the numbers of a vector lie. Those backwards have a stride of two numbers. */
typedef enum apart_order {
    APART_ANYHOW,
    APART_PAIRS,          /* the two of each pair are neighbours */
    APART_REVERSED,       /* each lies before the last one */
    APART_PAIRS_REVERSED, /* the pairs do */
} apart_order;

static inline apart_order apart_order_of(int64_t gap, int64_t stride)
{
    const bool is_reversed = stride == -2 * CPU_APART_NBYTES;
    return gap == CPU_APART_NBYTES                   ? (is_reversed ? APART_PAIRS_REVERSED : APART_PAIRS)
           : is_reversed && gap == -CPU_APART_NBYTES ? APART_REVERSED
                                                     : APART_ANYHOW;
}

static inline __m128i number_at(const char *src)
{
    return _mm_loadl_epi64((const __m128i *)src);
}

static inline __m256i two_pairs_at(const char *src, int64_t stride)
{
    return _mm256_set_m128i(_mm_loadu_si128((const __m128i *)(src + stride)), _mm_loadu_si128((const __m128i *)src));
}

#endif
