/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_conversions.h"

#include <immintrin.h>

#include "backends/cpu/cpu_convert_pairs.h"

#define CONVERSIONS ndbuf_cpu__conversions_avx512
#define STEP 16
#define HAS_PACKS 0

typedef __m128i q;
typedef __m256i h;
typedef __m512i vi;
typedef __m512 vf;
typedef __m512d vd;
typedef struct vi2 {
    __m512i lo, hi;
} vi2;
typedef struct vd2 {
    __m512d lo, hi;
} vd2;

#define q_load(src) _mm_loadu_si128((const __m128i *)(src))
#define q_store(dst, v) _mm_storeu_si128((__m128i *)(dst), v)
#define q_stream(dst, v) _mm_stream_si128((__m128i *)(dst), v)
#define q_widen_signed _mm512_cvtepi8_epi32
#define q_widen_unsigned _mm512_cvtepu8_epi32
#define h_load(src) _mm256_loadu_si256((const __m256i *)(src))
#define h_store(dst, v) _mm256_storeu_si256((__m256i *)(dst), v)
#define h_stream(dst, v) _mm256_stream_si256((__m256i *)(dst), v)
#define h_shuffle(v, order) _mm256_shuffle_epi8(v, _mm512_castsi512_si256(order))
#define h_widen_signed _mm512_cvtepi16_epi32
#define h_widen_unsigned _mm512_cvtepu16_epi32
#define h_to_vf _mm512_cvtph_ps
#define vf_to_h(v) _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define vi_load _mm512_loadu_si512
#define vi_store _mm512_storeu_si512
#define vi_repeat(p) _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(p)))
#define vi_shuffle _mm512_shuffle_epi8
#define vi_set _mm512_set1_epi32
#define vl_set _mm512_set1_epi64
#define vl_upper(v) _mm512_srli_epi64(v, 32)
#define vi_and _mm512_and_si512
#define vi_or _mm512_or_si512
#define vi_add _mm512_add_epi32
#define vi_min _mm512_min_epi32
#define vi_max _mm512_max_epi32
#define vi_min_unsigned _mm512_min_epu32
#define vi_shift_left _mm512_slli_epi32
#define vi_shift_right _mm512_srli_epi32
#define vi_as_vf _mm512_castsi512_ps
#define vi_as_vd _mm512_castsi512_pd
#define vf_as_vi _mm512_castps_si512
#define vd_as_vi _mm512_castpd_si512
#define vi_to_q _mm512_cvtepi32_epi8
#define vi_to_h _mm512_cvtepi32_epi16
#define vi_lo(v) _mm512_castsi512_si256(v)
#define vi_hi(v) _mm512_extracti64x4_epi64(v, 1)
#define vi_lo_signed(v) _mm512_cvtepi32_epi64(vi_lo(v))
#define vi_hi_signed(v) _mm512_cvtepi32_epi64(vi_hi(v))
#define vi_lo_unsigned(v) _mm512_cvtepu32_epi64(vi_lo(v))
#define vi_hi_unsigned(v) _mm512_cvtepu32_epi64(vi_hi(v))
#define vi_select_greater(a, b, x, y) _mm512_mask_mov_epi32(y, _mm512_cmpgt_epi32_mask(a, b), x)
#define vb_min_unsigned _mm512_min_epu8
#define vb_set _mm512_set1_epi8
#define vw_min_unsigned _mm512_min_epu16
#define vw_set _mm512_set1_epi16
#define h_to_vw_signed _mm512_cvtepi8_epi16
#define h_to_vw_unsigned _mm512_cvtepu8_epi16
#define vi_is_nonzero(v) _mm512_maskz_set1_epi32(_mm512_test_epi32_mask(v, v), 1)
#define vf_is_nonzero(v) _mm512_maskz_set1_epi32(_mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ), 1)
#define vi_to_vf _mm512_cvtepi32_ps
#define vi_unsigned_to_vf _mm512_cvtepu32_ps
#define vi_to_vd2(v) ((vd2){_mm512_cvtepi32_pd(vi_lo(v)), _mm512_cvtepi32_pd(vi_hi(v))})
#define vi_unsigned_to_vd2(v) ((vd2){_mm512_cvtepu32_pd(vi_lo(v)), _mm512_cvtepu32_pd(vi_hi(v))})
#define vf_truncate _mm512_cvttps_epi32
#define vf_lo(v) _mm512_castps512_ps256(v)
#define vf_hi(v) _mm512_extractf32x8_ps(v, 1)
#define vf_to_vd2(v) ((vd2){_mm512_cvtps_pd(vf_lo(v)), _mm512_cvtps_pd(vf_hi(v))})

/* The bounds are in order, and 0 between them. */
#define vf_clamp(v, least, greatest)                                                                                   \
    _mm512_min_ps(_mm512_max_ps(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask(v, v, _CMP_ORD_Q), v), _mm512_set1_ps(least)),  \
                  _mm512_set1_ps(greatest))
#define vd_clamp(v, least, greatest)                                                                                   \
    _mm512_min_pd(_mm512_max_pd(_mm512_maskz_mov_pd(_mm512_cmp_pd_mask(v, v, _CMP_ORD_Q), v), _mm512_set1_pd(least)),  \
                  _mm512_set1_pd(greatest))
#define vl_clamp(v, least, greatest)                                                                                   \
    _mm512_min_epi64(_mm512_max_epi64(v, _mm512_set1_epi64(least)), _mm512_set1_epi64(greatest))
#define vl_min_unsigned(v, greatest) _mm512_min_epu64(v, _mm512_set1_epi64(greatest))

/* Two halves, as in cpu_kernels_avx512.c. */
static inline void vi_stream(char *dst, __m512i v)
{
    _mm256_stream_si256((__m256i *)dst, _mm512_castsi512_si256(v));
    _mm256_stream_si256((__m256i *)(dst + sizeof(__m256i)), _mm512_extracti64x4_epi64(v, 1));
}

static inline __m512i vi_join(__m256i lo, __m256i hi)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
}
static inline __m512 vf_join(__m256 lo, __m256 hi)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(lo), hi, 1);
}

/* A number into one place of a vector: loads that repeat it under a mask need no shuffles. */
static inline __m512i put_number(__m512i v, int32_t place, const char *src)
{
    return _mm512_mask_broadcastq_epi64(v, (__mmask8)(1u << place), number_at(src));
}

static inline __m512i numbers_at(const char *src, int64_t gap, int64_t stride)
{
    __m512i v = _mm512_castsi128_si512(number_at(src));
    v = put_number(v, 1, src + gap);
    v = put_number(v, 2, src + stride);
    v = put_number(v, 3, src + stride + gap);
    v = put_number(v, 4, src + 2 * stride);
    v = put_number(v, 5, src + 2 * stride + gap);
    v = put_number(v, 6, src + 3 * stride);
    return put_number(v, 7, src + 3 * stride + gap);
}

static inline __m512i vi_apart(const char *src, int64_t gap, int64_t stride, apart_order order)
{
    switch (order) {
    case APART_PAIRS:
        return vi_join(two_pairs_at(src, stride), two_pairs_at(src + 2 * stride, stride));
    case APART_REVERSED:
        return _mm512_permutexvar_epi64(_mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7),
                                        _mm512_loadu_si512(src - 7 * CPU_APART_NBYTES));
    case APART_PAIRS_REVERSED:
        return _mm512_permutexvar_epi64(_mm512_set_epi64(1, 0, 3, 2, 5, 4, 7, 6),
                                        _mm512_loadu_si512(src - 6 * CPU_APART_NBYTES));
    default:
        return numbers_at(src, gap, stride);
    }
}

static const uint8_t even_bytes[sizeof(vi)] = {
    0,  2,  4,  6,  8,  10, 12,  14,  16,  18,  20,  22,  24,  26,  28,  30,  32,  34,  36,  38,  40, 42,
    44, 46, 48, 50, 52, 54, 56,  58,  60,  62,  64,  66,  68,  70,  72,  74,  76,  78,  80,  82,  84, 86,
    88, 90, 92, 94, 96, 98, 100, 102, 104, 106, 108, 110, 112, 114, 116, 118, 120, 122, 124, 126,
};
static inline __m512i vw_to_vb(__m512i lo, __m512i hi)
{
    return _mm512_permutex2var_epi8(lo, _mm512_loadu_si512(even_bytes), hi);
}
static inline __m512i vi2_to_vi(vi2 v)
{
    const __m512i low_halves = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    return _mm512_permutex2var_epi32(v.lo, low_halves, v.hi);
}
static inline vi2 vd_pairs(__m512d v)
{
    const __mmask8 evens = 0x55;
    const __m512i bits = _mm512_castpd_si512(v);
    return (vi2){_mm512_maskz_permutexvar_epi64(evens, _mm512_set_epi64(3, 3, 2, 2, 1, 1, 0, 0), bits),
                 _mm512_maskz_permutexvar_epi64(evens, _mm512_set_epi64(7, 7, 6, 6, 5, 5, 4, 4), bits)};
}
static inline __m512i vi_or_pairs(__m512i a, __m512i b)
{
    const __m512i pairs = _mm512_or_si512(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    return _mm512_permutexvar_epi64(_mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0), pairs);
}
#define vi2_is_nonzero(v) nonzero_of((v).lo, (v).hi)
#define vd2_is_nonzero(v) nonzero_halves((v).lo, (v).hi)
#define vd2_to_vf(v) vf_join(_mm512_cvtpd_ps((v).lo), _mm512_cvtpd_ps((v).hi))
#define vd2_to_odd_vf(v) vf_join(odd_half((v).lo), odd_half((v).hi))
static inline __m512i vd2_truncate(vd2 v)
{
    return vi_join(_mm512_cvttpd_epi32(v.lo), _mm512_cvttpd_epi32(v.hi));
}
static inline vi2 vd2_truncate_to_vl2(vd2 v)
{
    return ((vi2){_mm512_cvttpd_epi64(v.lo), _mm512_cvttpd_epi64(v.hi)});
}
#define vl2_to_vf(v) vf_join(_mm512_cvtepi64_ps((v).lo), _mm512_cvtepi64_ps((v).hi))
#define vl2_to_vd2(v) ((vd2){_mm512_cvtepi64_pd((v).lo), _mm512_cvtepi64_pd((v).hi)})

static inline __m512i nonzero_of(__m512i lo, __m512i hi)
{
    return _mm512_maskz_set1_epi32(
        (__mmask16)(_mm512_test_epi64_mask(lo, lo) | (uint32_t)_mm512_test_epi64_mask(hi, hi) << 8), 1);
}
static inline __m512i nonzero_halves(__m512d lo, __m512d hi)
{
    const __m512d zero = _mm512_setzero_pd();
    return _mm512_maskz_set1_epi32((__mmask16)(_mm512_cmp_pd_mask(lo, zero, _CMP_NEQ_UQ) |
                                               (uint32_t)_mm512_cmp_pd_mask(hi, zero, _CMP_NEQ_UQ) << 8),
                                   1);
}

/* The next FLOAT32 toward zero; it is made odd where it is not exact. */
#define TOWARD_ZERO (_MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
static inline __m256 make_odd(__m256 v, __mmask8 is_inexact)
{
    const __m256i bits = _mm256_castps_si256(v);
    return _mm256_castsi256_ps(_mm256_mask_or_epi32(bits, is_inexact, bits, _mm256_set1_epi32(1)));
}
static inline __m256 odd_half(__m512d v)
{
    const __m256 cut = _mm512_cvt_roundpd_ps(v, TOWARD_ZERO);
    return make_odd(cut, _mm512_cmp_pd_mask(_mm512_cvtps_pd(cut), v, _CMP_NEQ_OQ));
}
static inline __m256 odd_signed_half(__m512i v)
{
    const __m256 cut = _mm512_cvt_roundepi64_ps(v, TOWARD_ZERO);
    return make_odd(cut, _mm512_cmpneq_epi64_mask(_mm512_cvttps_epi64(cut), v));
}
static inline __m256 odd_unsigned_half(__m512i v)
{
    const __m256 cut = _mm512_cvt_roundepu64_ps(v, TOWARD_ZERO);
    return make_odd(cut, _mm512_cmpneq_epi64_mask(_mm512_cvttps_epu64(cut), v));
}

/* As an INT64, but for what lies from 2^63 to 2^64. */
static inline __m512i unsigned_of_half(__m512d v)
{
    const __mmask8 is_upper = _mm512_cmp_pd_mask(v, _mm512_set1_pd(0x1p63), _CMP_GE_OQ) &
                              _mm512_cmp_pd_mask(v, _mm512_set1_pd(0x1p64), _CMP_LT_OQ);
    return _mm512_mask_cvttpd_epu64(_mm512_cvttpd_epi64(v), is_upper, v);
}
/* 2^64 and more become all ones by themselves. */
static inline __m512i unsigned_in_range(__m512d v)
{
    return _mm512_cvttpd_epu64(
        _mm512_max_pd(_mm512_maskz_mov_pd(_mm512_cmp_pd_mask(v, v, _CMP_ORD_Q), v), _mm512_setzero_pd()));
}
static inline __m512i signed_in_range(__m512d v)
{
    const __m512i cut = _mm512_maskz_cvttpd_epi64(_mm512_cmp_pd_mask(v, v, _CMP_ORD_Q), v);
    const __mmask8 is_above = _mm512_cmp_pd_mask(v, _mm512_set1_pd(0x1p63), _CMP_GE_OQ);
    return _mm512_mask_set1_epi64(cut, is_above, INT64_MAX);
}

#define vm2_to_vf(v) vf_join(_mm512_cvtepu64_ps((v).lo), _mm512_cvtepu64_ps((v).hi))
#define vm2_to_vd2(v) ((vd2){_mm512_cvtepu64_pd((v).lo), _mm512_cvtepu64_pd((v).hi)})
#define vl2_to_odd_vf(v) vf_join(odd_signed_half((v).lo), odd_signed_half((v).hi))
#define vm2_to_odd_vf(v) vf_join(odd_unsigned_half((v).lo), odd_unsigned_half((v).hi))
#define vd2_truncate_to_vm2(v) ((vi2){unsigned_of_half((v).lo), unsigned_of_half((v).hi)})
#define vd2_clamp_to_vl2(v) ((vi2){signed_in_range((v).lo), signed_in_range((v).hi)})
#define vd2_clamp_to_vm2(v) ((vi2){unsigned_in_range((v).lo), unsigned_in_range((v).hi)})
#define vd2_truncate_to_vu(v) vi2_to_vi(vd2_truncate_to_vl2(v))
#define vf_truncate_to_vu(v) vd2_truncate_to_vu(vf_to_vd2(v))

static inline __m512i vi_swap_order(int32_t swap_nbytes)
{
    return vi_repeat(ndbuf_cpu__swap_orders[swap_nbytes]);
}

#include "backends/cpu/cpu_convert_simd.h"
