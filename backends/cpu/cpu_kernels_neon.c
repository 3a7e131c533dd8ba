/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_kernels.h"

#include <arm_neon.h>

/* Kernels for AArch64, all of which have these vectors of 16 bytes. What its processors do with stores past the caches
 * has not been measured, so there are none. */

#define KERNELS ndbuf_cpu__kernels_neon
#define KERNELS_NAME "neon"
#define KERNELS_NARROWER ndbuf_cpu__kernels_portable
#define KERNELS_CONVERSIONS NULL
#define SCATTER NULL
#define COLLECT NULL
#define ARRANGE NULL

#define LANES 1
typedef uint8x16_t lanes;

static inline lanes wide_load(const char *src)
{
    return vld1q_u8((const uint8_t *)src);
}
static inline void wide_store(char *dst, lanes v)
{
    vst1q_u8((uint8_t *)dst, v);
}
static inline lanes slots_load(const char *src, int64_t nbytes, lanes spread)
{
    return vqtbl1q_u8(vcombine_u8(vld1_u8((const uint8_t *)src), vld1_u8((const uint8_t *)src + nbytes - 8)), spread);
}
static inline void slots_store(char *dst, int64_t nbytes, lanes v, lanes close)
{
    const uint8x16_t closed = vqtbl1q_u8(v, close);
    vst1_u8((uint8_t *)dst, vget_low_u8(closed));
    vst1_u8((uint8_t *)dst + nbytes - 8, vget_high_u8(closed));
}
#define lanes_exchange(v) ((void)(v)) /* there is one lane */
#define lanes_pick vqtbl1q_u8
#define lanes_or vorrq_u8
static inline lanes lanes_repeat(const uint8_t *p)
{
    return vld1q_u8(p);
}
#define lanes_unpack_lo(unit, a, b) LANES_UNPACK_LO_##unit(a, b)
#define lanes_unpack_hi(unit, a, b) LANES_UNPACK_HI_##unit(a, b)
#define LANES_UNPACK_LO_1(a, b) vzip1q_u8(a, b)
#define LANES_UNPACK_HI_1(a, b) vzip2q_u8(a, b)
#define LANES_UNPACK_LO_2(a, b) vreinterpretq_u8_u16(vzip1q_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)))
#define LANES_UNPACK_HI_2(a, b) vreinterpretq_u8_u16(vzip2q_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)))
#define LANES_UNPACK_LO_4(a, b) vreinterpretq_u8_u32(vzip1q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)))
#define LANES_UNPACK_HI_4(a, b) vreinterpretq_u8_u32(vzip2q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)))
#define LANES_UNPACK_LO_8(a, b) vreinterpretq_u8_u64(vzip1q_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)))
#define LANES_UNPACK_HI_8(a, b) vreinterpretq_u8_u64(vzip2q_u64(vreinterpretq_u64_u8(a), vreinterpretq_u64_u8(b)))
#define LANES_UNPACK_LO_16(a, b) (a)
#define LANES_UNPACK_HI_16(a, b) (b)

#define BYTES_NBYTES 16
typedef uint8x16_t bytes;
typedef uint8x16_t pick;
#define bytes_load wide_load
#define bytes_store wide_store
#define bytes_or vorrq_u8
#define bytes_pick vqtbl1q_u8 /* what lies outside of the vector is zero */

static inline pick pick_load(const uint8_t *p)
{
    return vld1q_u8(p);
}

#include "backends/cpu/cpu_simd_kernels.h"
