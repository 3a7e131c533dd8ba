/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_kernels.h"

#include <immintrin.h>
#include <stddef.h>

#include "backends/cpu/cpu_conversions.h"

/* Kernels for vectors of 64 bytes, a whole line, with shuffles of bytes across all of it (AVX-512 VBMI) and stores that
 * leave bytes out. */

#define KERNELS ndbuf_cpu__kernels_avx512
#define KERNELS_NAME "avx512"
#define KERNELS_NARROWER ndbuf_cpu__kernels_avx2
#define KERNELS_CONVERSIONS &ndbuf_cpu__conversions_avx512
#define SCATTER scatter_masked
#define COLLECT collect_masked
#define ARRANGE arrange_masked
#define ARRANGE_BLOCKS arrange_blocks

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
/* Halves here too: loads of 64 bytes would all reach into two lines where the source is not aligned. */
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
    _mm256_stream_si256((__m256i *)dst, _mm256_shuffle_epi8(lo, _mm512_castsi512_si256(order)));
    _mm256_stream_si256((__m256i *)(dst + CPU_LINE_NBYTES / 2), _mm256_shuffle_epi8(hi, _mm512_castsi512_si256(order)));
}

static void stream_fence(void)
{
    _mm_sfence();
}
static inline __mmask64 slots_mask(int64_t nbytes)
{
    return ~(__mmask64)0 >> (CPU_VECTOR_MAX - nbytes);
}
static inline lanes slots_load(const char *src, int64_t nbytes, lanes spread)
{
    return _mm512_permutexvar_epi8(spread, _mm512_maskz_loadu_epi8(slots_mask(nbytes), src));
}
static inline void slots_store(char *dst, int64_t nbytes, lanes v, lanes close)
{
    _mm512_mask_storeu_epi8(dst, slots_mask(nbytes), _mm512_permutexvar_epi8(close, v));
}
static inline lanes lanes_join(const char *src, const int64_t *offsets, const int step)
{
    __m256i lo = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(src + offsets[0])));
    __m256i hi = _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(src + offsets[2 * step])));
    lo = _mm256_inserti128_si256(lo, _mm_loadu_si128((const __m128i *)(src + offsets[step])), 1);
    hi = _mm256_inserti128_si256(hi, _mm_loadu_si128((const __m128i *)(src + offsets[3 * step])), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(lo), hi, 1);
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
#define lanes_pick _mm512_shuffle_epi8
static inline lanes lanes_repeat(const uint8_t *p)
{
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p));
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

/* For constant numbers of outputs only. */
__attribute__((always_inline)) static inline void scatter_steps(const cpu_shuffle *shuffle, char *dst, const char *src,
                                                                int64_t nsteps, int64_t prefetch_nbytes, const int nout)
{
    pick picks[CPU_SHUFFLE_MAX];
    for (int j = 0; j < nout; j++) {
        picks[j] = pick_load(shuffle->index[j][0]);
    }
    for (int64_t step = 0; step < nsteps; step++) {
        bytes v = bytes_load(src);
        for (int j = 0; j < nout; j++) {
            char *to = dst + (ptrdiff_t)j * BYTES_NBYTES;
            if (prefetch_nbytes != 0) {
                __builtin_prefetch(to + prefetch_nbytes, 1, 3);
            } else {
                cpu_prefetch_next(to);
            }
            _mm512_mask_storeu_epi8(to, picks[j].wanted, _mm512_permutexvar_epi8(picks[j].at, v));
        }
        src += shuffle->in_step;
        dst += shuffle->out_step;
    }
}

static void scatter_masked(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps,
                           int64_t prefetch_nbytes)
{
    switch (shuffle->nout) {
    case 1:
        scatter_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 1);
        break;
    case 2:
        scatter_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 2);
        break;
    case 3:
        scatter_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 3);
        break;
    default:
        scatter_steps(shuffle, dst, src, nsteps, prefetch_nbytes, 4);
        break;
    }
}

static void collect_masked(const cpu_collect *collect, char *const *streams, int64_t count, int64_t head, int64_t tail,
                           int64_t prefetch_nbytes);

static ndbuf_status arrange_masked(const ndbuf__host_steps *steps, char *dst, const char *src);

static void arrange_blocks(const ndbuf__arrangement *how, char *dst, int64_t dst_step, const char *src,
                           int64_t src_step, int64_t count, int64_t prefetch_nbytes);

#include "backends/cpu/cpu_simd_kernels.h"

/* -- collects -- */

/* Where a collect is. */
typedef struct collect_at {
    pick picks[CPU_SHUFFLE_MAX];
    __mmask64 reads[CPU_SHUFFLE_MAX];
    const char *from[CPU_SHUFFLE_MAX];
    int64_t steps[CPU_SHUFFLE_MAX];
    char *to;
    int64_t to_step;
    __mmask64 writes;
} collect_at;

/* For constant numbers of inputs, and is_exact, only. */
__attribute__((always_inline)) static inline void collect_steps(collect_at *at, int64_t nsteps, int64_t prefetch_nbytes,
                                                                const int is_exact, const int nin)
{
    for (int64_t step = 0; step < nsteps; step++) {
        bytes v = _mm512_setzero_si512();
        UNROLL for (int i = 0; i < nin; i++)
        {
            if (!is_exact && prefetch_nbytes != 0) {
                __builtin_prefetch(at->from[i] + prefetch_nbytes, 0, 3);
            }
            bytes in = is_exact ? _mm512_maskz_loadu_epi8(at->reads[i], at->from[i]) : bytes_load(at->from[i]);
            v = bytes_or(v, bytes_pick(in, at->picks[i]));
            at->from[i] += at->steps[i];
        }
        cpu_prefetch_next(at->to);
        _mm512_mask_storeu_epi8(at->to, at->writes, v);
        at->to += at->to_step;
    }
}

__attribute__((always_inline)) static inline void collect_from(const cpu_collect *collect, char *const *streams,
                                                               int64_t count, int64_t head, int64_t tail,
                                                               int64_t prefetch_nbytes, const int nin)
{
    const int64_t nsteps = count / collect->nitems;
    const int64_t rest = nsteps * collect->nitems - count; /* items, backwards, to the last vector */
    collect_at at = {.to = streams[collect->stream] + collect->offset,
                     .to_step = collect->nitems * collect->item_step,
                     .writes = collect->writes};
    UNROLL for (int i = 0; i < nin; i++)
    {
        const cpu_collect_input *in = &collect->in[i];
        at.picks[i] = pick_load(in->index);
        at.reads[i] = in->reads;
        at.steps[i] = collect->nitems * in->item_step;
        at.from[i] = streams[in->stream] + in->offset;
        __asm__("" : "+r"(at.from[i])); /* not as vectors, which takes longer */
    }
    collect_steps(&at, head, 0, 1, nin);
    collect_steps(&at, nsteps - head - tail, prefetch_nbytes, 0, nin);
    collect_steps(&at, tail, 0, 1, nin);
    if (rest != 0) {
        const int64_t back = collect->nitems + rest;
        UNROLL for (int i = 0; i < nin; i++)
        {
            at.from[i] -= back * collect->in[i].item_step;
        }
        at.to -= back * collect->item_step;
        collect_steps(&at, 1, 0, 1, nin);
    }
}

static void collect_masked(const cpu_collect *collect, char *const *streams, int64_t count, int64_t head, int64_t tail,
                           int64_t prefetch_nbytes)
{
    switch (collect->nin) {
    case 1:
        collect_from(collect, streams, count, head, tail, prefetch_nbytes, 1);
        break;
    case 2:
        collect_from(collect, streams, count, head, tail, prefetch_nbytes, 2);
        break;
    case 3:
        collect_from(collect, streams, count, head, tail, prefetch_nbytes, 3);
        break;
    default:
        collect_from(collect, streams, count, head, tail, prefetch_nbytes, 4);
        break;
    }
}

/* -- arrangements -- */

/* One output. For constant numbers of inputs only: 1, 2 or 4. */
__attribute__((always_inline)) static inline bytes arranged(const bytes in[NDBUF__ARRANGED_VECTORS], bytes at,
                                                            const int nin)
{
    const bytes v = nin == 1 ? _mm512_permutexvar_epi8(at, in[0]) : _mm512_permutex2var_epi8(in[0], at, in[1]);
    return nin > 2 ? _mm512_mask_mov_epi8(v, _mm512_movepi8_mask(at), _mm512_permutex2var_epi8(in[2], at, in[3])) : v;
}

/* Bytes that are all written go by a plain store: past the caches those that leave bytes out take longer. */
__attribute__((always_inline)) static inline void store_arranged(char *dst, __mmask64 writes, bytes v)
{
    cpu_prefetch_next(dst);
    if (writes == ~(__mmask64)0) {
        bytes_store(dst, v);
    } else {
        _mm512_mask_storeu_epi8(dst, writes, v);
    }
}

/* For constant numbers of inputs only. */
__attribute__((always_inline)) static inline void arrange_from(const ndbuf__arrangement *how, char *dst,
                                                               const char *src, const int nin)
{
    bytes in[NDBUF__ARRANGED_VECTORS];
    UNROLL for (int i = 0; i < nin; i++)
    {
        in[i] = _mm512_maskz_loadu_epi8(how->reads[i], src + (ptrdiff_t)i * BYTES_NBYTES);
    }
    for (int j = 0; j < how->nout; j++) {
        const bytes at = bytes_load((const char *)how->index[j]);
        const ptrdiff_t offset = j < how->nout - 1 ? (ptrdiff_t)j * BYTES_NBYTES : how->last_offset;
        _mm512_mask_storeu_epi8(dst + offset, how->writes[j], arranged(in, at, nin));
    }
}

static ndbuf_status arrange_masked(const ndbuf__host_steps *steps, char *dst, const char *src)
{
    const ndbuf__arrangement *how = steps->arrangement;
    dst += how->dst_offset;
    src += how->src_offset;
    if (how->nin == 1) {
        arrange_from(how, dst, src, 1);
    } else if (how->nin == 2) {
        arrange_from(how, dst, src, 2);
    } else {
        arrange_from(how, dst, src, 4);
    }
    return NDBUF_OK;
}

/* For constant numbers of inputs and outputs only. */
__attribute__((always_inline)) static inline void arrange_many(const ndbuf__arrangement *how, char *dst,
                                                               int64_t dst_step, const char *src, int64_t src_step,
                                                               int64_t count, int64_t prefetch_nbytes, const int nin,
                                                               const int nout)
{
    bytes at[NDBUF__ARRANGED_VECTORS];
    __mmask64 writes[NDBUF__ARRANGED_VECTORS];
    __mmask64 reads[NDBUF__ARRANGED_VECTORS];
    const int64_t last_offset = how->last_offset;
    const int64_t in_step = how->in_step;
    UNROLL for (int j = 0; j < nout; j++)
    {
        at[j] = bytes_load((const char *)how->index[j]);
        writes[j] = how->writes[j];
    }
    UNROLL for (int i = 0; i < nin; i++)
    {
        reads[i] = how->reads[i];
    }
    for (int64_t block = 0; block < count; block++) {
        bytes in[NDBUF__ARRANGED_VECTORS];
        UNROLL for (int i = 0; i < nin; i++)
        {
            const char *from = src + i * in_step;
            if (prefetch_nbytes != 0) {
                __builtin_prefetch(from + prefetch_nbytes, 0, 2);
            }
            in[i] = _mm512_maskz_loadu_epi8(reads[i], from);
        }
        UNROLL for (int j = 0; j < nout; j++)
        {
            const ptrdiff_t offset = j < nout - 1 ? (ptrdiff_t)j * BYTES_NBYTES : last_offset;
            store_arranged(dst + offset, writes[j], arranged(in, at[j], nin));
        }
        dst += dst_step;
        src += src_step;
    }
}

#define ARRANGE_MANY(nin)                                                                                              \
    switch (how->nout) {                                                                                               \
    case 1:                                                                                                            \
        arrange_many(how, dst, dst_step, src, src_step, count, prefetch_nbytes, nin, 1);                               \
        break;                                                                                                         \
    case 2:                                                                                                            \
        arrange_many(how, dst, dst_step, src, src_step, count, prefetch_nbytes, nin, 2);                               \
        break;                                                                                                         \
    case 3:                                                                                                            \
        arrange_many(how, dst, dst_step, src, src_step, count, prefetch_nbytes, nin, 3);                               \
        break;                                                                                                         \
    default:                                                                                                           \
        arrange_many(how, dst, dst_step, src, src_step, count, prefetch_nbytes, nin, 4);                               \
        break;                                                                                                         \
    }

static void arrange_blocks(const ndbuf__arrangement *how, char *dst, int64_t dst_step, const char *src,
                           int64_t src_step, int64_t count, int64_t prefetch_nbytes)
{
    dst += how->dst_offset;
    src += how->src_offset;
    if (how->nin == 1) {
        ARRANGE_MANY(1)
    } else if (how->nin == 2) {
        ARRANGE_MANY(2)
    } else {
        ARRANGE_MANY(4)
    }
}
