/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_kernels.h"

#include <tmmintrin.h>

/* Kernels for vectors of 16 bytes, which every x86-64 processor since 2006 has. */

#define KERNELS ndbuf_cpu__kernels_ssse3
#define KERNELS_NAME "ssse3"
#define KERNELS_NARROWER ndbuf_cpu__kernels_portable
#define KERNELS_CONVERSIONS NULL
#define SCATTER NULL
#define COLLECT NULL
#define ARRANGE NULL

#define LANES 1
typedef __m128i lanes;

static inline lanes wide_load(const char *src)
{
    return _mm_loadu_si128((const __m128i *)src);
}
static inline void wide_store(char *dst, lanes v)
{
    _mm_storeu_si128((__m128i *)dst, v);
}
#define wide_stream(dst, v) _mm_stream_si128((__m128i *)(dst), v)
static inline void line_stream(char *dst, const char *src)
{
    for (int at = 0; at < CPU_LINE_NBYTES; at += 16) {
        wide_stream(dst + at, wide_load(src + at));
    }
}
static inline void line_stream_swapped(char *dst, const char *src, lanes order)
{
    for (int at = 0; at < CPU_LINE_NBYTES; at += 16) {
        wide_stream(dst + at, _mm_shuffle_epi8(wide_load(src + at), order));
    }
}

static void stream_fence(void)
{
    _mm_sfence();
}
static inline lanes slots_load(const char *src, int64_t nbytes, lanes spread)
{
    const __m128i lo = _mm_loadl_epi64((const __m128i *)src);
    const __m128i hi = _mm_loadl_epi64((const __m128i *)(src + nbytes - 8));
    return _mm_shuffle_epi8(_mm_unpacklo_epi64(lo, hi), spread);
}
static inline void slots_store(char *dst, int64_t nbytes, lanes v, lanes close)
{
    const __m128i closed = _mm_shuffle_epi8(v, close);
    _mm_storel_epi64((__m128i *)dst, closed);
    _mm_storel_epi64((__m128i *)(dst + nbytes - 8), _mm_unpackhi_epi64(closed, closed));
}
#define lanes_exchange(v) ((void)(v)) /* there is one lane */
#define lanes_pick _mm_shuffle_epi8
#define lanes_or _mm_or_si128
static inline lanes lanes_repeat(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}
#define lanes_unpack_lo(unit, a, b) LANES_UNPACK_LO_##unit(a, b)
#define lanes_unpack_hi(unit, a, b) LANES_UNPACK_HI_##unit(a, b)
#define LANES_UNPACK_LO_1(a, b) _mm_unpacklo_epi8(a, b)
#define LANES_UNPACK_HI_1(a, b) _mm_unpackhi_epi8(a, b)
#define LANES_UNPACK_LO_2(a, b) _mm_unpacklo_epi16(a, b)
#define LANES_UNPACK_HI_2(a, b) _mm_unpackhi_epi16(a, b)
#define LANES_UNPACK_LO_4(a, b) _mm_unpacklo_epi32(a, b)
#define LANES_UNPACK_HI_4(a, b) _mm_unpackhi_epi32(a, b)
#define LANES_UNPACK_LO_8(a, b) _mm_unpacklo_epi64(a, b)
#define LANES_UNPACK_HI_8(a, b) _mm_unpackhi_epi64(a, b)
#define LANES_UNPACK_LO_16(a, b) (a)
#define LANES_UNPACK_HI_16(a, b) (b)

#define BYTES_NBYTES 16
typedef __m128i bytes;
typedef __m128i pick;
#define bytes_load wide_load
#define bytes_store wide_store
#define bytes_stream(dst, v) _mm_stream_si128((__m128i *)(dst), v)
#define bytes_or _mm_or_si128
#define bytes_pick _mm_shuffle_epi8

static inline pick pick_load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

#include "backends/cpu/cpu_simd_kernels.h"
