/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_conversions.h"

#include <immintrin.h>

#include "backends/cpu/cpu_convert_pairs.h"

/* With F16C. */

#define CONVERSIONS ndbuf_cpu__conversions_avx2
#define STEP 8
#define HAS_PACKS 1

typedef __m128i q; /* the lower half */
typedef __m128i h;
typedef __m256i vi;
typedef __m256 vf;
typedef __m256d vd;
typedef struct vi2 {
    __m256i lo, hi;
} vi2;
typedef struct vd2 {
    __m256d lo, hi;
} vd2;

#define q_load(src) _mm_loadl_epi64((const __m128i *)(src))
#define q_store(dst, v) _mm_storel_epi64((__m128i *)(dst), v)
#define q_stream(dst, v) _mm_stream_si64((long long *)(dst), _mm_cvtsi128_si64(v))
#define q_widen_signed _mm256_cvtepi8_epi32
#define q_widen_unsigned _mm256_cvtepu8_epi32
#define h_load(src) _mm_loadu_si128((const __m128i *)(src))
#define h_store(dst, v) _mm_storeu_si128((__m128i *)(dst), v)
#define h_stream(dst, v) _mm_stream_si128((__m128i *)(dst), v)
#define h_shuffle(v, order) _mm_shuffle_epi8(v, _mm256_castsi256_si128(order))
#define h_widen_signed _mm256_cvtepi16_epi32
#define h_widen_unsigned _mm256_cvtepu16_epi32
#define h_to_vf _mm256_cvtph_ps
#define vf_to_h(v) _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT)
#define vi_load(src) _mm256_loadu_si256((const __m256i *)(src))
#define vi_store(dst, v) _mm256_storeu_si256((__m256i *)(dst), v)
#define vi_stream(dst, v) _mm256_stream_si256((__m256i *)(dst), v)
#define vi_repeat(p) _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(p)))
#define vi_shuffle _mm256_shuffle_epi8
#define vi_set _mm256_set1_epi32
#define vl_set _mm256_set1_epi64x
#define vl_upper(v) _mm256_srli_epi64(v, 32)
#define vi_and _mm256_and_si256
#define vi_or _mm256_or_si256
#define vi_add _mm256_add_epi32
#define vi_min _mm256_min_epi32
#define vi_max _mm256_max_epi32
#define vi_min_unsigned _mm256_min_epu32
#define vi_shift_left _mm256_slli_epi32
#define vi_shift_right _mm256_srli_epi32
#define vi_as_vf _mm256_castsi256_ps
#define vi_as_vd _mm256_castsi256_pd
#define vf_as_vi _mm256_castps_si256
#define vd_as_vi _mm256_castpd_si256
#define vi_lo(v) _mm256_castsi256_si128(v)
#define vi_hi(v) _mm256_extracti128_si256(v, 1)
#define vi_lo_signed(v) _mm256_cvtepi32_epi64(vi_lo(v))
#define vi_hi_signed(v) _mm256_cvtepi32_epi64(vi_hi(v))
#define vi_lo_unsigned(v) _mm256_cvtepu32_epi64(vi_lo(v))
#define vi_hi_unsigned(v) _mm256_cvtepu32_epi64(vi_hi(v))
#define vi_select_greater(a, b, x, y) _mm256_blendv_epi8(y, x, _mm256_cmpgt_epi32(a, b))
#define vb_min_unsigned _mm256_min_epu8
#define vb_set _mm256_set1_epi8
#define vw_min_unsigned _mm256_min_epu16
#define vw_set _mm256_set1_epi16
#define h_to_vw_signed _mm256_cvtepi8_epi16
#define h_to_vw_unsigned _mm256_cvtepu8_epi16
#define vi_to_vf _mm256_cvtepi32_ps
#define vi_to_vd2(v) ((vd2){_mm256_cvtepi32_pd(vi_lo(v)), _mm256_cvtepi32_pd(vi_hi(v))})
#define vf_truncate _mm256_cvttps_epi32
#define vf_lo(v) _mm256_castps256_ps128(v)
#define vf_hi(v) _mm256_extractf128_ps(v, 1)
#define vf_to_vd2(v) ((vd2){_mm256_cvtps_pd(vf_lo(v)), _mm256_cvtps_pd(vf_hi(v))})

static inline __m256i vi_apart(const char *src, int64_t gap, int64_t stride, apart_order order)
{
    switch (order) {
    case APART_PAIRS:
        return two_pairs_at(src, stride);
    case APART_REVERSED:
        return _mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)(src - 3 * CPU_APART_NBYTES)), 0x1B);
    case APART_PAIRS_REVERSED:
        return _mm256_permute4x64_epi64(_mm256_loadu_si256((const __m256i *)(src - 2 * CPU_APART_NBYTES)), 0x4E);
    default:
        return _mm256_set_m128i(_mm_unpacklo_epi64(number_at(src + stride), number_at(src + stride + gap)),
                                _mm_unpacklo_epi64(number_at(src), number_at(src + gap)));
    }
}

/* The bounds are in order, and 0 between them. */
#define vf_clamp(v, least, greatest)                                                                                   \
    _mm256_min_ps(_mm256_max_ps(_mm256_and_ps(_mm256_cmp_ps(v, v, _CMP_ORD_Q), v), _mm256_set1_ps(least)),             \
                  _mm256_set1_ps(greatest))
#define vd_clamp(v, least, greatest)                                                                                   \
    _mm256_min_pd(_mm256_max_pd(_mm256_and_pd(_mm256_cmp_pd(v, v, _CMP_ORD_Q), v), _mm256_set1_pd(least)),             \
                  _mm256_set1_pd(greatest))

static inline __m256i vl_least(__m256i a, __m256i b)
{
    return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b));
}
static inline __m256i vl_greatest(__m256i a, __m256i b)
{
    return _mm256_blendv_epi8(b, a, _mm256_cmpgt_epi64(a, b));
}
#define vl_clamp(v, least, greatest) vl_least(vl_greatest(v, _mm256_set1_epi64x(least)), _mm256_set1_epi64x(greatest))

/* Of a bound without the sign's bit. */
static inline __m256i vl_min_unsigned(__m256i v, int64_t greatest)
{
    const __m256i bound = _mm256_set1_epi64x(greatest);
    const __m256i is_large = _mm256_cmpgt_epi64(_mm256_setzero_si256(), v);
    return _mm256_blendv_epi8(vl_least(v, bound), bound, is_large);
}

static inline __m128i vi_to_h(__m256i v)
{
    const __m256i low = _mm256_and_si256(v, _mm256_set1_epi32(0xFFFF));
    return _mm_packus_epi32(vi_lo(low), vi_hi(low));
}
static inline __m128i vi_to_q(__m256i v)
{
    const __m256i low = _mm256_and_si256(v, _mm256_set1_epi32(0xFF));
    const __m128i words = _mm_packus_epi32(vi_lo(low), vi_hi(low));
    return _mm_packus_epi16(words, words);
}
/* The low bytes of 4-byte numbers, and the lower halves. */
static inline __m256i four_to_vb(__m256i a, __m256i b, __m256i c, __m256i d)
{
    const __m256i low = _mm256_set1_epi32(0xFF);
    const __m256i ab = _mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low));
    const __m256i cd = _mm256_packus_epi32(_mm256_and_si256(c, low), _mm256_and_si256(d, low));
    return _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd), _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}
static inline __m256i two_to_vw(__m256i a, __m256i b)
{
    const __m256i low = _mm256_set1_epi32(0xFFFF);
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(_mm256_and_si256(a, low), _mm256_and_si256(b, low)), 0xD8);
}
static inline __m256i vw_to_vb(__m256i lo, __m256i hi)
{
    const __m256i low = _mm256_set1_epi16(0xFF);
    return _mm256_permute4x64_epi64(_mm256_packus_epi16(_mm256_and_si256(lo, low), _mm256_and_si256(hi, low)), 0xD8);
}
static inline __m256i vi_is_nonzero(__m256i v)
{
    return _mm256_andnot_si256(_mm256_cmpeq_epi32(v, _mm256_setzero_si256()), _mm256_set1_epi32(1));
}
static inline __m256i vf_is_nonzero(__m256 v)
{
    const __m256 is_nonzero = _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_UQ);
    return _mm256_and_si256(_mm256_castps_si256(is_nonzero), _mm256_set1_epi32(1));
}

/* The lower halves of numbers of 64 bits. */
static inline __m256i vi_low_halves(__m256i lo, __m256i hi)
{
    const __m256 halves = _mm256_shuffle_ps(_mm256_castsi256_ps(lo), _mm256_castsi256_ps(hi), 0x88);
    return _mm256_permute4x64_epi64(_mm256_castps_si256(halves), 0xD8);
}
static inline __m256i vi_low_masks(__m256d lo, __m256d hi)
{
    return vi_low_halves(_mm256_castpd_si256(lo), _mm256_castpd_si256(hi));
}
static inline __m256i nonzero_of(__m256i lo, __m256i hi)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i is_zero = vi_low_halves(_mm256_cmpeq_epi64(lo, zero), _mm256_cmpeq_epi64(hi, zero));
    return _mm256_andnot_si256(is_zero, _mm256_set1_epi32(1));
}
static inline __m256i nonzero_halves(__m256d lo, __m256d hi)
{
    const __m256d zero = _mm256_setzero_pd();
    const __m256i is_nonzero = vi_low_masks(_mm256_cmp_pd(lo, zero, _CMP_NEQ_UQ), _mm256_cmp_pd(hi, zero, _CMP_NEQ_UQ));
    return _mm256_and_si256(is_nonzero, _mm256_set1_epi32(1));
}
static inline __m256d unsigned_to_vd(__m128i v)
{
    const __m256d moved = _mm256_cvtepi32_pd(_mm_xor_si128(v, _mm_set1_epi32(INT32_MIN)));
    return _mm256_add_pd(moved, _mm256_set1_pd(0x1p31));
}

/* The next FLOAT32 toward zero; it is made odd where it is not exact. */
static inline __m256 odd_of(__m256d lo, __m256d hi)
{
    const __m256d magnitude = _mm256_castsi256_pd(_mm256_set1_epi64x(INT64_MAX));
    const __m128 near_lo = _mm256_cvtpd_ps(lo);
    const __m128 near_hi = _mm256_cvtpd_ps(hi);
    const __m256d back_lo = _mm256_cvtps_pd(near_lo);
    const __m256d back_hi = _mm256_cvtps_pd(near_hi);
    const __m256i is_inexact =
        vi_low_masks(_mm256_cmp_pd(back_lo, lo, _CMP_NEQ_OQ), _mm256_cmp_pd(back_hi, hi, _CMP_NEQ_OQ));
    const __m256i is_beyond =
        vi_low_masks(_mm256_cmp_pd(_mm256_and_pd(back_lo, magnitude), _mm256_and_pd(lo, magnitude), _CMP_GT_OQ),
                     _mm256_cmp_pd(_mm256_and_pd(back_hi, magnitude), _mm256_and_pd(hi, magnitude), _CMP_GT_OQ));
    const __m256i near = _mm256_castps_si256(_mm256_set_m128(near_hi, near_lo));
    const __m256i cut = _mm256_add_epi32(near, is_beyond);
    return _mm256_castsi256_ps(_mm256_or_si256(cut, _mm256_and_si256(is_inexact, _mm256_set1_epi32(1))));
}

/* ---- numbers of 64 bits, for which the processor has no vectors: by their halves ----
 *
 * To a FLOAT64 of a high exponent a small integer is added by its lowest bits, and the other way round. */

#define TOWARD_ZERO (_MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC)
#define LOW_BITS 0x4330000000000000  /* of 2^52: the lower 32 bits count 1 */
#define HIGH_BITS 0x4530000000000000 /* of 2^84: they count 2^32 */

/* Rounded once, in the last sum. */
static inline __m256d double_half(__m256i v, bool is_signed)
{
    const int64_t top = is_signed ? HIGH_BITS | 0x80000000 : HIGH_BITS; /* signed ones are moved up by 2^63 */
    const __m256i low = _mm256_blend_epi32(v, _mm256_set1_epi64x(LOW_BITS), 0xAA);
    const __m256i high = _mm256_xor_si256(_mm256_srli_epi64(v, 32), _mm256_set1_epi64x(top));
    const __m256d moved = _mm256_set1_pd(is_signed ? 0x1p84 + 0x1p63 + 0x1p52 : 0x1p84 + 0x1p52);
    return _mm256_add_pd(_mm256_sub_pd(_mm256_castsi256_pd(high), moved), _mm256_castsi256_pd(low));
}

/* Of numbers from 2^52 on the lowest 11 bits become one, which says whether any is set, so that a FLOAT64 holds them,
 * and what is rounded from that is rounded once. */
static inline __m256d odd_double_half(__m256i v, bool is_signed)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i rest = _mm256_set1_epi64x(0x7FF);
    const __m256i moved = is_signed ? _mm256_add_epi64(v, _mm256_set1_epi64x((int64_t)1 << 52)) : v;
    const __m256i is_small = _mm256_cmpeq_epi64(_mm256_srli_epi64(moved, is_signed ? 53 : 52), zero);
    const __m256i is_whole = _mm256_cmpeq_epi64(_mm256_and_si256(v, rest), zero);
    const __m256i odd =
        _mm256_or_si256(_mm256_andnot_si256(rest, v), _mm256_andnot_si256(is_whole, _mm256_set1_epi64x(0x800)));
    return double_half(_mm256_blendv_epi8(odd, v, is_small), is_signed);
}
/* Small numbers, as most are, take one sum. */
static inline __m128 single_half(__m256i v, bool is_signed)
{
    const __m256i moved = is_signed ? _mm256_add_epi64(v, _mm256_set1_epi64x((int64_t)1 << 51)) : v;
    const __m256i magic = _mm256_set1_epi64x(LOW_BITS | (int64_t)1 << 51);
    if (_mm256_testz_si256(moved, _mm256_set1_epi64x((int64_t)(UINT64_MAX << (is_signed ? 52 : 51))))) {
        return _mm256_cvtpd_ps(
            _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(v, magic)), _mm256_castsi256_pd(magic)));
    }
    return _mm256_cvtpd_ps(odd_double_half(v, is_signed));
}

/* The two halves of a number without its fraction: the lower one is not negative. */
typedef struct halves {
    __m256d high, low;
} halves;
static inline halves halves_of(__m256d v)
{
    const __m256d whole = _mm256_round_pd(v, TOWARD_ZERO);
    const __m256d high = _mm256_floor_pd(_mm256_mul_pd(whole, _mm256_set1_pd(0x1p-32)));
    return (halves){high, _mm256_sub_pd(whole, _mm256_mul_pd(high, _mm256_set1_pd(0x1p32)))};
}

/* Whether numbers are from -2^63 to below `end`. */
static inline __m256d is_in_range(__m256d v, double end)
{
    return _mm256_and_pd(_mm256_cmp_pd(v, _mm256_set1_pd(-0x1p63), _CMP_GE_OQ),
                         _mm256_cmp_pd(v, _mm256_set1_pd(end), _CMP_LT_OQ));
}

/* Whether all numbers are so small, as most are, that one sum makes integers of them. */
static inline bool are_small(__m256d v)
{
    const __m256d magnitude = _mm256_andnot_pd(_mm256_set1_pd(-0.0), v);
    return _mm256_movemask_pd(_mm256_cmp_pd(magnitude, _mm256_set1_pd(0x1p51), _CMP_LT_OQ)) == 15;
}
static inline __m256d add_magic(__m256d v)
{
    return _mm256_add_pd(_mm256_round_pd(v, TOWARD_ZERO), _mm256_set1_pd(0x1p52 + 0x1p51));
}
static inline __m256i truncate_half(__m256d v, double end)
{
    if (are_small(v)) {
        return _mm256_sub_epi64(_mm256_castpd_si256(add_magic(v)), _mm256_set1_epi64x(LOW_BITS | (int64_t)1 << 51));
    }
    const halves parts = halves_of(v);
    const __m256i high = _mm256_castpd_si256(_mm256_add_pd(parts.high, _mm256_set1_pd(0x1p52 + 0x1p51)));
    const __m256i low = _mm256_castpd_si256(_mm256_add_pd(parts.low, _mm256_set1_pd(0x1p52)));
    const __m256i both = _mm256_blend_epi32(low, _mm256_slli_epi64(high, 32), 0xAA);
    return _mm256_blendv_epi8(_mm256_set1_epi64x(INT64_MIN), both, _mm256_castpd_si256(is_in_range(v, end)));
}
/* The lower half alone, as the lower 32 bits. */
static inline __m256d truncate_low_half(__m256d v)
{
    if (are_small(v)) {
        return add_magic(v);
    }
    const __m256d low = _mm256_add_pd(halves_of(v).low, _mm256_set1_pd(0x1p52));
    return _mm256_and_pd(low, is_in_range(v, 0x1p63));
}
static inline __m256i signed_in_range(__m256d v)
{
    const __m256i bits = truncate_half(v, 0x1p63);
    const __m256d is_above = _mm256_cmp_pd(v, _mm256_set1_pd(0x1p63), _CMP_GE_OQ);
    const __m256i bounded = _mm256_blendv_epi8(bits, _mm256_set1_epi64x(INT64_MAX), _mm256_castpd_si256(is_above));
    return _mm256_and_si256(bounded, _mm256_castpd_si256(_mm256_cmp_pd(v, v, _CMP_ORD_Q)));
}
static inline __m256i unsigned_in_range(__m256d v)
{
    const __m256d is_above = _mm256_cmp_pd(v, _mm256_set1_pd(0x1p64), _CMP_GE_OQ);
    const __m256d positive = _mm256_and_pd(v, _mm256_cmp_pd(v, _mm256_setzero_pd(), _CMP_GT_OQ));
    return _mm256_or_si256(truncate_half(positive, 0x1p64), _mm256_castpd_si256(is_above));
}

/* A FLOAT32 by what is left of it below 2^32, with its sign; from 2^31 on that is moved down, and the bit set again. */
static inline __m256i vf_truncate_to_vu(__m256 v)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256 top = _mm256_set1_ps(0x1p31f);
    if (_mm256_movemask_ps(_mm256_cmp_ps(_mm256_andnot_ps(sign, v), top, _CMP_LT_OQ)) == 255) {
        return _mm256_cvttps_epi32(v); /* as most are */
    }
    const __m256 whole = _mm256_round_ps(v, TOWARD_ZERO);
    const __m256 high = _mm256_round_ps(_mm256_mul_ps(whole, _mm256_set1_ps(0x1p-32f)), TOWARD_ZERO);
    const __m256 left = _mm256_sub_ps(whole, _mm256_mul_ps(high, _mm256_set1_ps(0x1p32f)));
    const __m256 is_far = _mm256_cmp_ps(_mm256_andnot_ps(sign, left), top, _CMP_GE_OQ);
    const __m256 moved = _mm256_sub_ps(left, _mm256_and_ps(is_far, _mm256_or_ps(_mm256_and_ps(left, sign), top)));
    const __m256i bits = _mm256_xor_si256(_mm256_cvttps_epi32(moved), _mm256_castps_si256(_mm256_and_ps(is_far, sign)));
    return _mm256_and_si256(bits, _mm256_castps_si256(_mm256_cmp_ps(left, left, _CMP_ORD_Q)));
}

static inline __m256i vi2_to_vi(vi2 v)
{
    return vi_low_halves(v.lo, v.hi);
}
static inline vi2 vd_pairs(__m256d v)
{
    const __m256i zero = _mm256_setzero_si256();
    const __m256i bits = _mm256_castpd_si256(v);
    return (vi2){_mm256_blend_epi32(zero, _mm256_permute4x64_epi64(bits, 0x50), 0x33),
                 _mm256_blend_epi32(zero, _mm256_permute4x64_epi64(bits, 0xFA), 0x33)};
}
static inline __m256i vi_or_pairs(__m256i a, __m256i b)
{
    const __m256i pairs = _mm256_or_si256(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
    return _mm256_permute4x64_epi64(pairs, 0xD8);
}
#define vi2_is_nonzero(v) nonzero_of((v).lo, (v).hi)
#define vd2_is_nonzero(v) nonzero_halves((v).lo, (v).hi)
#define vd2_to_vf(v) _mm256_set_m128(_mm256_cvtpd_ps((v).hi), _mm256_cvtpd_ps((v).lo))
#define vd2_to_odd_vf(v) odd_of((v).lo, (v).hi)
static inline __m256i vd2_truncate(vd2 v)
{
    return _mm256_set_m128i(_mm256_cvttpd_epi32(v.hi), _mm256_cvttpd_epi32(v.lo));
}
#define vd2_truncate_to_vl2(v) ((vi2){truncate_half((v).lo, 0x1p63), truncate_half((v).hi, 0x1p63)})
#define vd2_truncate_to_vm2(v) ((vi2){truncate_half((v).lo, 0x1p64), truncate_half((v).hi, 0x1p64)})
#define vd2_truncate_to_vu(v) vi_low_masks(truncate_low_half((v).lo), truncate_low_half((v).hi))
#define vd2_clamp_to_vl2(v) ((vi2){signed_in_range((v).lo), signed_in_range((v).hi)})
#define vd2_clamp_to_vm2(v) ((vi2){unsigned_in_range((v).lo), unsigned_in_range((v).hi)})
#define vl2_to_vf(v) _mm256_set_m128(single_half((v).hi, true), single_half((v).lo, true))
#define vm2_to_vf(v) _mm256_set_m128(single_half((v).hi, false), single_half((v).lo, false))
#define vl2_to_odd_vf(v) odd_of(odd_double_half((v).lo, true), odd_double_half((v).hi, true))
#define vm2_to_odd_vf(v) odd_of(odd_double_half((v).lo, false), odd_double_half((v).hi, false))
#define vl2_to_vd2(v) ((vd2){double_half((v).lo, true), double_half((v).hi, true)})
#define vm2_to_vd2(v) ((vd2){double_half((v).lo, false), double_half((v).hi, false)})
#define vi_unsigned_to_vd2(v) ((vd2){unsigned_to_vd(vi_lo(v)), unsigned_to_vd(vi_hi(v))})
#define vi_unsigned_to_vf(v)                                                                                           \
    _mm256_set_m128(_mm256_cvtpd_ps(unsigned_to_vd(vi_hi(v))), _mm256_cvtpd_ps(unsigned_to_vd(vi_lo(v))))

static inline __m256i vi_swap_order(int32_t swap_nbytes)
{
    return vi_repeat(ndbuf_cpu__swap_orders[swap_nbytes]);
}

#include "backends/cpu/cpu_convert_simd.h"
