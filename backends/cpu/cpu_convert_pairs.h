/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_CONVERT_PAIRS_H
#define NDBUF_BACKENDS_CPU_CPU_CONVERT_PAIRS_H

/* Pairs of numbers of 8 bytes, as a cpu_convert_apart_fn takes them, for the files of x86's instruction sets. */

#include <immintrin.h>

#include "backends/cpu/cpu_conversions.h"

static inline __m128i pair_at(const char *src, int64_t gap)
{
    return gap == CPU_APART_NBYTES ? _mm_loadu_si128((const __m128i *)src)
                                   : _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)src),
                                                        _mm_loadl_epi64((const __m128i *)(src + gap)));
}

static inline __m256i two_pairs_at(const char *src, int64_t gap, int64_t stride)
{
    return _mm256_set_m128i(pair_at(src + stride, gap), pair_at(src, gap));
}

#endif
