/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_kernels.h"

#include <immintrin.h>

#include "backends/cpu/cpu_conversions.h"

/* Kernels for vectors of 32 bytes. Shuffles take 16: there is no shuffle of bytes across the halves. */

#define KERNELS ndbuf_cpu__kernels_avx2
#define KERNELS_NAME "avx2"
#define KERNELS_NARROWER ndbuf_cpu__kernels_ssse3
#define KERNELS_CONVERSIONS &ndbuf_cpu__conversions_avx2
#define SCATTER NULL
#define COLLECT NULL
#define ARRANGE NULL

#define LANES 2
typedef __m256i lanes;

static inline lanes wide_load(const char *src)
{
    return _mm256_loadu_si256((const __m256i *)src);
}
static inline void wide_store(char *dst, lanes v)
{
    _mm256_storeu_si256((__m256i *)dst, v);
}
#define wide_stream(dst, v) _mm256_stream_si256((__m256i *)(dst), v)
static inline void line_stream(char *dst, const char *src)
{
    __m256i lo = _mm256_loadu_si256((const __m256i *)src);
    __m256i hi = _mm256_loadu_si256((const __m256i *)(src + CPU_LINE_NBYTES / 2));
    _mm256_stream_si256((__m256i *)dst, lo);
    _mm256_stream_si256((__m256i *)(dst + CPU_LINE_NBYTES / 2), hi);
}
static inline void line_stream_swapped(char *dst, const char *src, lanes order)
{
    __m256i lo = _mm256_loadu_si256((const __m256i *)src);
    __m256i hi = _mm256_loadu_si256((const __m256i *)(src + CPU_LINE_NBYTES / 2));
    _mm256_stream_si256((__m256i *)dst, _mm256_shuffle_epi8(lo, order));
    _mm256_stream_si256((__m256i *)(dst + CPU_LINE_NBYTES / 2), _mm256_shuffle_epi8(hi, order));
}

static void stream_fence(void)
{
    _mm_sfence();
}
static inline lanes lanes_join(const char *src, const int64_t *offsets, const int step)
{
    __m256i v = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(src + offsets[0])));
    return _mm256_inserti128_si256(v, _mm_loadu_si128((const __m128i *)(src + offsets[step])), 1);
}
static inline lanes slots_load(const char *src, int64_t nbytes, lanes spread)
{
    const int64_t offsets[LANES] = {0, nbytes - 16};
    return _mm256_shuffle_epi8(lanes_join(src, offsets, 1), spread);
}
static inline void slots_store(char *dst, int64_t nbytes, lanes v, lanes close)
{
    const __m256i closed = _mm256_shuffle_epi8(v, close);
    const __m128i hi = _mm256_extracti128_si256(closed, 1);
    _mm_storeu_si128((__m128i *)dst, _mm256_castsi256_si128(closed)); /* what is too much gets the next ones */
    _mm_storel_epi64((__m128i *)(dst + nbytes / 2), hi);
    _mm_storel_epi64((__m128i *)(dst + nbytes - 8), _mm_unpackhi_epi64(hi, hi));
}
static inline void lanes_exchange(lanes *v)
{
    __m256i lo = _mm256_permute2x128_si256(v[0], v[1], 0x20);
    v[1] = _mm256_permute2x128_si256(v[0], v[1], 0x31);
    v[0] = lo;
}
#define lanes_pick _mm256_shuffle_epi8
#define lanes_or _mm256_or_si256
static inline lanes lanes_repeat(const uint8_t *p)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
}
#define lanes_unpack_lo(unit, a, b) LANES_UNPACK_LO_##unit(a, b)
#define lanes_unpack_hi(unit, a, b) LANES_UNPACK_HI_##unit(a, b)
#define LANES_UNPACK_LO_1(a, b) _mm256_unpacklo_epi8(a, b)
#define LANES_UNPACK_HI_1(a, b) _mm256_unpackhi_epi8(a, b)
#define LANES_UNPACK_LO_2(a, b) _mm256_unpacklo_epi16(a, b)
#define LANES_UNPACK_HI_2(a, b) _mm256_unpackhi_epi16(a, b)
#define LANES_UNPACK_LO_4(a, b) _mm256_unpacklo_epi32(a, b)
#define LANES_UNPACK_HI_4(a, b) _mm256_unpackhi_epi32(a, b)
#define LANES_UNPACK_LO_8(a, b) _mm256_unpacklo_epi64(a, b)
#define LANES_UNPACK_HI_8(a, b) _mm256_unpackhi_epi64(a, b)
#define LANES_UNPACK_LO_16(a, b) (a)
#define LANES_UNPACK_HI_16(a, b) (b)

#define BYTES_NBYTES 16
typedef __m128i bytes;
typedef __m128i pick;
#define bytes_stream(dst, v) _mm_stream_si128((__m128i *)(dst), v)
#define bytes_or _mm_or_si128
#define bytes_pick _mm_shuffle_epi8

static inline bytes bytes_load(const char *src)
{
    return _mm_loadu_si128((const __m128i *)src);
}
static inline void bytes_store(char *dst, bytes v)
{
    _mm_storeu_si128((__m128i *)dst, v);
}
static inline pick pick_load(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

#include "backends/cpu/cpu_simd_kernels.h"
