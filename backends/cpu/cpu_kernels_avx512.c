/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_kernels.h"

#include <immintrin.h>
#include <stddef.h>

/* Kernels for vectors of 64 bytes, a whole line, with shuffles of bytes across all of it (AVX-512 VBMI) and stores that
 * leave bytes out. */

#define KERNELS ndbuf_cpu__kernels_avx512
#define KERNELS_NAME "avx512"
#define KERNELS_NARROWER ndbuf_cpu__kernels_avx2
#define SCATTER scatter_masked

#define LANES 4
typedef __m512i lanes;

static inline lanes wide_load(const char *src)
{
    return _mm512_loadu_si512(src);
}
static inline void wide_store(char *dst, lanes v)
{
    _mm512_storeu_si512(dst, v);
}
/* Two halves: Zen 5 takes them faster than one store of 64 bytes. */
static inline void wide_stream_halves(char *dst, lanes v)
{
    _mm256_stream_si256((__m256i *)dst, _mm512_castsi512_si256(v));
    _mm256_stream_si256((__m256i *)(dst + CPU_LINE_NBYTES / 2), _mm512_extracti64x4_epi64(v, 1));
}
#define wide_stream wide_stream_halves

static void stream_fence(void)
{
    _mm_sfence();
}
static inline void lanes_exchange(lanes *v)
{
    __m512i a = _mm512_shuffle_i32x4(v[0], v[1], 0x44); /* lanes 0, 1 of both */
    __m512i b = _mm512_shuffle_i32x4(v[0], v[1], 0xee); /* lanes 2, 3 */
    __m512i c = _mm512_shuffle_i32x4(v[2], v[3], 0x44);
    __m512i d = _mm512_shuffle_i32x4(v[2], v[3], 0xee);
    v[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    v[1] = _mm512_shuffle_i32x4(a, c, 0xdd);
    v[2] = _mm512_shuffle_i32x4(b, d, 0x88);
    v[3] = _mm512_shuffle_i32x4(b, d, 0xdd);
}
#define lanes_unpack_lo(unit, a, b) LANES_UNPACK_LO_##unit(a, b)
#define lanes_unpack_hi(unit, a, b) LANES_UNPACK_HI_##unit(a, b)
#define LANES_UNPACK_LO_1(a, b) _mm512_unpacklo_epi8(a, b)
#define LANES_UNPACK_HI_1(a, b) _mm512_unpackhi_epi8(a, b)
#define LANES_UNPACK_LO_2(a, b) _mm512_unpacklo_epi16(a, b)
#define LANES_UNPACK_HI_2(a, b) _mm512_unpackhi_epi16(a, b)
#define LANES_UNPACK_LO_4(a, b) _mm512_unpacklo_epi32(a, b)
#define LANES_UNPACK_HI_4(a, b) _mm512_unpackhi_epi32(a, b)
#define LANES_UNPACK_LO_8(a, b) _mm512_unpacklo_epi64(a, b)
#define LANES_UNPACK_HI_8(a, b) _mm512_unpackhi_epi64(a, b)
#define LANES_UNPACK_LO_16(a, b) (a)
#define LANES_UNPACK_HI_16(a, b) (b)

#define BYTES_NBYTES 64
typedef __m512i bytes;
typedef struct pick {
    __m512i at;
    __mmask64 wanted;
} pick;
#define bytes_load wide_load
#define bytes_store wide_store
#define bytes_stream wide_stream
#define bytes_or _mm512_or_si512

static inline bytes bytes_pick(bytes v, pick i)
{
    return _mm512_maskz_permutexvar_epi8(i.wanted, i.at, v);
}
static inline pick pick_load(const uint8_t *p)
{
    __m512i at = _mm512_loadu_si512(p);
    return (pick){at, ~_mm512_movepi8_mask(at)};
}

/* Byte x of the destination's vector w belongs to unit (64 * w + x) / unit_nbytes, which is wanted if that is a
 * multiple of factor. */
static int64_t scatter_masked(char *dst, const char *src, int64_t nunits, int32_t unit_nbytes, int32_t factor)
{
    pick picks[CPU_SHUFFLE_MAX];
    const int64_t units_per_vector = BYTES_NBYTES / unit_nbytes;
    if (factor > CPU_SHUFFLE_MAX) {
        return 0;
    }
    for (int32_t w = 0; w < factor; w++) {
        uint8_t at[BYTES_NBYTES];
        for (int32_t x = 0; x < BYTES_NBYTES; x++) {
            int32_t unit = (BYTES_NBYTES * w + x) / unit_nbytes;
            at[x] = (uint8_t)(unit % factor != 0 ? CPU_SHUFFLE_NONE : unit / factor * unit_nbytes + x % unit_nbytes);
        }
        picks[w] = pick_load(at);
    }
    int64_t nvectors = nunits / units_per_vector;
    for (int64_t i = 0; i < nvectors; i++) {
        bytes v = bytes_load(src);
        for (int32_t w = 0; w < factor; w++) {
            _mm512_mask_storeu_epi8(dst + (ptrdiff_t)w * BYTES_NBYTES, picks[w].wanted,
                                    _mm512_permutexvar_epi8(picks[w].at, v));
        }
        src += BYTES_NBYTES;
        dst += (ptrdiff_t)factor * BYTES_NBYTES;
    }
    return nvectors * units_per_vector;
}

#include "backends/cpu/cpu_simd_kernels.h"
