/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_CPU_EMULATED_AVX512_IMMINTRIN_H
#define NDBUF_TESTS_BACKENDS_CPU_EMULATED_AVX512_IMMINTRIN_H

/* AVX-512 for processors that have AVX2 and F16C: by SIMDe, and here what its version 0.7.4 lacks. Included in place of
 * the compiler's <immintrin.h>. What an instruction does to each lane: Intel 64 and IA-32 Architectures Software
 * Developer's Manual, volume 2. */

#include_next <immintrin.h>

#include <stdint.h>
#include <string.h>

/* Calls instead of code in place: compiled in seconds. */
#define SIMDE_NO_INLINE
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

/* Lane by lane: `x` is a lane of the operand. */
#define EMULATED_LANES(name, to_vector, to_lane, from_vector, from_lane, count, of_x)                                  \
    static inline to_vector emulated_##name(from_vector v)                                                             \
    {                                                                                                                  \
        from_lane from[count];                                                                                         \
        to_lane to[count];                                                                                             \
        to_vector result;                                                                                              \
        memcpy(from, &v, sizeof(from));                                                                                \
        for (int i = 0; i < (count); i++) {                                                                            \
            const from_lane x = from[i];                                                                               \
            to[i] = (to_lane)(of_x);                                                                                   \
        }                                                                                                              \
        memcpy(&result, to, sizeof(to));                                                                               \
        return result;                                                                                                 \
    }

/* -- floating point to integers: what does not fit becomes the lowest integer, or the greatest unsigned one -- */

static inline int64_t emulated_int64(double x)
{
    return _mm_cvttsd_si64(_mm_set_sd(x));
}

static inline uint64_t emulated_uint64(double x)
{
    if (x > -1 && x < 0x1p63) {
        return (uint64_t)emulated_int64(x);
    }
    return x >= 0x1p63 && x < 0x1p64 ? (uint64_t)emulated_int64(x - 0x1p63) + (UINT64_C(1) << 63) : UINT64_MAX;
}

EMULATED_LANES(cvttps_epi32, __m512i, int32_t, __m512, float, 16, _mm_cvttss_si32(_mm_set_ss(x)))
EMULATED_LANES(cvttpd_epi32, __m256i, int32_t, __m512d, double, 8, _mm_cvttsd_si32(_mm_set_sd(x)))
EMULATED_LANES(cvttps_epi64, __m512i, int64_t, __m256, float, 8, emulated_int64(x))
EMULATED_LANES(cvttps_epu64, __m512i, uint64_t, __m256, float, 8, emulated_uint64(x))
EMULATED_LANES(cvttpd_epi64, __m512i, int64_t, __m512d, double, 8, emulated_int64(x))
EMULATED_LANES(cvttpd_epu64, __m512i, uint64_t, __m512d, double, 8, emulated_uint64(x))

static inline __m512i emulated_mask_cvttpd_epu64(__m512i other, __mmask8 mask, __m512d v)
{
    return _mm512_mask_mov_epi64(other, mask, emulated_cvttpd_epu64(v));
}

static inline __m512i emulated_maskz_cvttpd_epi64(__mmask8 mask, __m512d v)
{
    return _mm512_maskz_mov_epi64(mask, emulated_cvttpd_epi64(v));
}

/* -- to floating point, rounded to nearest, even -- */

EMULATED_LANES(cvtepi32_ps, __m512, float, __m512i, int32_t, 16, x)
EMULATED_LANES(cvtepu32_ps, __m512, float, __m512i, uint32_t, 16, x)
EMULATED_LANES(cvtepi32_pd, __m512d, double, __m256i, int32_t, 8, x)
EMULATED_LANES(cvtepu32_pd, __m512d, double, __m256i, uint32_t, 8, x)
EMULATED_LANES(cvtepi64_ps, __m256, float, __m512i, int64_t, 8, x)
EMULATED_LANES(cvtepi64_pd, __m512d, double, __m512i, int64_t, 8, x)
EMULATED_LANES(cvtepu64_ps, __m256, float, __m512i, uint64_t, 8, x)
EMULATED_LANES(cvtepu64_pd, __m512d, double, __m512i, uint64_t, 8, x)
EMULATED_LANES(cvtps_pd, __m512d, double, __m256, float, 8, x)
EMULATED_LANES(cvtpd_ps, __m256, float, __m512d, double, 8, x)
EMULATED_LANES(cvtph_ps, __m512, float, __m256i, uint16_t, 16, _cvtsh_ss(x))
EMULATED_LANES(cvtps_ph_nearest, __m256i, uint16_t, __m512, float, 16, _cvtss_sh(x, 0))
#define emulated_cvtps_ph(v, rounding) emulated_cvtps_ph_nearest(v)

/* -- to floating point, rounded toward zero -- */

/* The next number toward zero; x is not 0. */
static inline float emulated_next_toward_zero(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    bits--;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* `exact` holds each number that is converted. */
static inline float emulated_toward_zero(long double exact)
{
    const float nearest = (float)exact;
    const int is_away = exact < 0 ? nearest < exact : nearest > exact;
    return is_away ? emulated_next_toward_zero(nearest) : nearest;
}

EMULATED_LANES(cvt_zero_pd_ps, __m256, float, __m512d, double, 8, emulated_toward_zero(x))
EMULATED_LANES(cvt_zero_epi64_ps, __m256, float, __m512i, int64_t, 8, emulated_toward_zero(x))
EMULATED_LANES(cvt_zero_epu64_ps, __m256, float, __m512i, uint64_t, 8, emulated_toward_zero(x))
#define emulated_cvt_roundpd_ps(v, rounding) emulated_cvt_zero_pd_ps(v)
#define emulated_cvt_roundepi64_ps(v, rounding) emulated_cvt_zero_epi64_ps(v)
#define emulated_cvt_roundepu64_ps(v, rounding) emulated_cvt_zero_epu64_ps(v)

/* -- integers of other widths -- */

EMULATED_LANES(cvtepi8_epi32, __m512i, int32_t, __m128i, int8_t, 16, x)
EMULATED_LANES(cvtepu8_epi32, __m512i, int32_t, __m128i, uint8_t, 16, x)
EMULATED_LANES(cvtepu8_epi16, __m512i, uint16_t, __m256i, uint8_t, 32, x)
EMULATED_LANES(cvtepi16_epi32, __m512i, int32_t, __m256i, int16_t, 16, x)
EMULATED_LANES(cvtepu16_epi32, __m512i, int32_t, __m256i, uint16_t, 16, x)
EMULATED_LANES(cvtepi32_epi64, __m512i, int64_t, __m256i, int32_t, 8, x)
EMULATED_LANES(cvtepu32_epi64, __m512i, int64_t, __m256i, uint32_t, 8, x)
EMULATED_LANES(cvtepi32_epi8, __m128i, uint8_t, __m512i, uint32_t, 16, x)
EMULATED_LANES(cvtepi32_epi16, __m256i, uint16_t, __m512i, uint32_t, 16, x)

/* -- bytes that are left out are not touched in memory -- */

static inline void emulated_mask_storeu_epi8(void *dst, __mmask64 mask, __m512i v)
{
    uint8_t bytes[64];
    memcpy(bytes, &v, sizeof(bytes));
    for (int i = 0; i < 64; i++) {
        if ((mask >> i & 1) != 0) {
            ((uint8_t *)dst)[i] = bytes[i];
        }
    }
}

static inline __m512i emulated_maskz_loadu_epi8(__mmask64 mask, const void *src)
{
    uint8_t bytes[64] = {0};
    __m512i v;
    for (int i = 0; i < 64; i++) {
        if ((mask >> i & 1) != 0) {
            bytes[i] = ((const uint8_t *)src)[i];
        }
    }
    memcpy(&v, bytes, sizeof(v));
    return v;
}

/* -- others -- */

static inline __mmask8 emulated_cmpneq_epi64_mask(__m512i a, __m512i b)
{
    return (__mmask8)~_mm512_cmpeq_epi64_mask(a, b);
}

static inline __m256i emulated_mask_or_epi32(__m256i other, __mmask8 mask, __m256i a, __m256i b)
{
    return _mm256_mask_mov_epi32(other, mask, _mm256_or_si256(a, b));
}

static inline __m256 emulated_extractf32x8_ps(__m512 v, int half)
{
    __m256 halves[2];
    memcpy(halves, &v, sizeof(halves));
    return halves[half];
}

#undef _mm256_mask_or_epi32
#undef _mm512_cmpneq_epi64_mask
#undef _mm512_cvt_roundepi64_ps
#undef _mm512_cvt_roundepu64_ps
#undef _mm512_cvt_roundpd_ps
#undef _mm512_cvtepi16_epi32
#undef _mm512_cvtepi32_epi16
#undef _mm512_cvtepi32_epi64
#undef _mm512_cvtepi32_epi8
#undef _mm512_cvtepi32_pd
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtepi64_pd
#undef _mm512_cvtepi64_ps
#undef _mm512_cvtepi8_epi32
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepu32_epi64
#undef _mm512_cvtepu32_pd
#undef _mm512_cvtepu32_ps
#undef _mm512_cvtepu64_pd
#undef _mm512_cvtepu64_ps
#undef _mm512_cvtepu8_epi16
#undef _mm512_cvtepu8_epi32
#undef _mm512_cvtpd_ps
#undef _mm512_cvtph_ps
#undef _mm512_cvtps_pd
#undef _mm512_cvtps_ph
#undef _mm512_cvttpd_epi32
#undef _mm512_cvttpd_epi64
#undef _mm512_cvttpd_epu64
#undef _mm512_cvttps_epi32
#undef _mm512_cvttps_epi64
#undef _mm512_cvttps_epu64
#undef _mm512_extractf32x8_ps
#undef _mm512_mask_cvttpd_epu64
#undef _mm512_mask_storeu_epi8
#undef _mm512_maskz_cvttpd_epi64
#undef _mm512_maskz_loadu_epi8
#define _mm256_mask_or_epi32 emulated_mask_or_epi32
#define _mm512_cmpneq_epi64_mask emulated_cmpneq_epi64_mask
#define _mm512_cvt_roundepi64_ps emulated_cvt_roundepi64_ps
#define _mm512_cvt_roundepu64_ps emulated_cvt_roundepu64_ps
#define _mm512_cvt_roundpd_ps emulated_cvt_roundpd_ps
#define _mm512_cvtepi16_epi32 emulated_cvtepi16_epi32
#define _mm512_cvtepi32_epi16 emulated_cvtepi32_epi16
#define _mm512_cvtepi32_epi64 emulated_cvtepi32_epi64
#define _mm512_cvtepi32_epi8 emulated_cvtepi32_epi8
#define _mm512_cvtepi32_pd emulated_cvtepi32_pd
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps
#define _mm512_cvtepi64_pd emulated_cvtepi64_pd
#define _mm512_cvtepi64_ps emulated_cvtepi64_ps
#define _mm512_cvtepi8_epi32 emulated_cvtepi8_epi32
#define _mm512_cvtepu16_epi32 emulated_cvtepu16_epi32
#define _mm512_cvtepu32_epi64 emulated_cvtepu32_epi64
#define _mm512_cvtepu32_pd emulated_cvtepu32_pd
#define _mm512_cvtepu32_ps emulated_cvtepu32_ps
#define _mm512_cvtepu64_pd emulated_cvtepu64_pd
#define _mm512_cvtepu64_ps emulated_cvtepu64_ps
#define _mm512_cvtepu8_epi16 emulated_cvtepu8_epi16
#define _mm512_cvtepu8_epi32 emulated_cvtepu8_epi32
#define _mm512_cvtpd_ps emulated_cvtpd_ps
#define _mm512_cvtph_ps emulated_cvtph_ps
#define _mm512_cvtps_pd emulated_cvtps_pd
#define _mm512_cvtps_ph emulated_cvtps_ph
#define _mm512_cvttpd_epi32 emulated_cvttpd_epi32
#define _mm512_cvttpd_epi64 emulated_cvttpd_epi64
#define _mm512_cvttpd_epu64 emulated_cvttpd_epu64
#define _mm512_cvttps_epi32 emulated_cvttps_epi32
#define _mm512_cvttps_epi64 emulated_cvttps_epi64
#define _mm512_cvttps_epu64 emulated_cvttps_epu64
#define _mm512_extractf32x8_ps emulated_extractf32x8_ps
#define _mm512_mask_cvttpd_epu64 emulated_mask_cvttpd_epu64
#define _mm512_mask_storeu_epi8 emulated_mask_storeu_epi8
#define _mm512_maskz_cvttpd_epi64 emulated_maskz_cvttpd_epi64
#define _mm512_maskz_loadu_epi8 emulated_maskz_loadu_epi8

#endif
