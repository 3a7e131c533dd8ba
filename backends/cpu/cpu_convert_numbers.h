/* SPDX-License-Identifier: Apache-2.0 */

/* How vectors of numbers are read and written, by way of the order of their bytes. A part of cpu_convert_simd.h, which
 * includes it once. */

/* The order of bytes on one side; for constant `is_native` only. */
typedef struct byte_order {
    vi places;
    int is_native;
} byte_order;

INLINE h h_pick(h v, byte_order order)
{
    return order.is_native ? v : h_shuffle(v, order.places);
}
INLINE vi vi_pick(vi v, byte_order order)
{
    return order.is_native ? v : vi_shuffle(v, order.places);
}

/* ---- numbers to what they are converted from, by way of the order of their bytes ----
 *
 *   S   integers that FLOAT32 holds, I and U those of 32 bits, as vi
 *   L, M   INT64 and UINT64 as vi2
 *   F   floats that FLOAT32 holds, as vf; D   FLOAT64 as vd2 */

INLINE vi load_BOOL(const char *src, byte_order order)
{
    (void)order;
    return vi_is_nonzero(q_widen_unsigned(q_load(src)));
}
INLINE vi load_INT8(const char *src, byte_order order)
{
    (void)order;
    return q_widen_signed(q_load(src));
}
INLINE vi load_UINT8(const char *src, byte_order order)
{
    (void)order;
    return q_widen_unsigned(q_load(src));
}
INLINE vi load_INT16(const char *src, byte_order order)
{
    return h_widen_signed(h_pick(h_load(src), order));
}
INLINE vi load_UINT16(const char *src, byte_order order)
{
    return h_widen_unsigned(h_pick(h_load(src), order));
}
INLINE vi load_INT32(const char *src, byte_order order)
{
    return vi_pick(vi_load(src), order);
}
INLINE vi2 load_INT64(const char *src, byte_order order)
{
    return (vi2){vi_pick(vi_load(src), order), vi_pick(vi_load(src + sizeof(vi)), order)};
}
INLINE vf load_FLOAT16(const char *src, byte_order order)
{
    return h_to_vf(h_pick(h_load(src), order));
}
INLINE vf load_BFLOAT16(const char *src, byte_order order)
{
    const vi nan = vi_set(0x7F800000);
    vi bits = vi_shift_left(h_widen_unsigned(h_pick(h_load(src), order)), 16);
    vi quiet = vi_or(bits, vi_set(0x00400000));
    return vi_as_vf(vi_select_greater(vi_and(bits, vi_set(0x7FFFFFFF)), nan, quiet, bits));
}
INLINE vf load_FLOAT32(const char *src, byte_order order)
{
    return vi_as_vf(vi_pick(vi_load(src), order));
}
INLINE vd2 load_FLOAT64(const char *src, byte_order order)
{
    vi2 bits = load_INT64(src, order);
    return (vd2){vi_as_vd(bits.lo), vi_as_vd(bits.hi)};
}
/* Complex numbers, each as bits that are 0 where it is: their parts together, without signs. */
INLINE vi2 pairs_FLOAT32(vi2 bits)
{
    return (vi2){vi_and(bits.lo, vi_set(INT32_MAX)), vi_and(bits.hi, vi_set(INT32_MAX))};
}
INLINE vi2 load_PAIRS_FLOAT32(const char *src, byte_order order)
{
    return pairs_FLOAT32(load_INT64(src, order));
}
INLINE vi2 load_PAIRS_FLOAT64(const char *src, byte_order order)
{
    vi2 first = load_INT64(src, order);
    vi2 second = load_INT64(src + sizeof(first), order);
    vi2 bits = {vi_or_pairs(first.lo, first.hi), vi_or_pairs(second.lo, second.hi)};
    return (vi2){vi_and(bits.lo, vl_set(INT64_MAX)), vi_and(bits.hi, vl_set(INT64_MAX))};
}
#define load_UINT32 load_INT32
#define load_UINT64 load_INT64

/* A step of numbers of 8 bytes that lie apart, as a cpu_convert_apart_fn takes them; for constant `how` only. */
INLINE vi2 apart_INT64(const char *src, int64_t gap, int64_t stride, apart_order how, byte_order order)
{
    const int64_t half = STEP / 4 * stride;
    return (vi2){vi_pick(vi_apart(src, gap, stride, how), order),
                 vi_pick(vi_apart(src + half, gap, stride, how), order)};
}
INLINE vd2 apart_FLOAT64(const char *src, int64_t gap, int64_t stride, apart_order how, byte_order order)
{
    vi2 bits = apart_INT64(src, gap, stride, how, order);
    return (vd2){vi_as_vd(bits.lo), vi_as_vd(bits.hi)};
}
INLINE vi2 apart_PAIRS_FLOAT32(const char *src, int64_t gap, int64_t stride, apart_order how, byte_order order)
{
    return pairs_FLOAT32(apart_INT64(src, gap, stride, how, order));
}
#define apart_UINT64 apart_INT64

/* A step of numbers that are halves of 8 bytes. */
INLINE vi half_INT32(const char *src, bool is_second)
{
    const byte_order native = {.is_native = 1};
    const vi2 bits = load_INT64(src, native);
    return vi2_to_vi(is_second ? (vi2){vl_upper(bits.lo), vl_upper(bits.hi)} : bits);
}
INLINE vf half_FLOAT32(const char *src, bool is_second)
{
    return vi_as_vf(half_INT32(src, is_second));
}
#define half_UINT32 half_INT32

/* ---- and the other way round, of what they were converted to ---- */

INLINE void put_4(char *dst, vi v, bool streams)
{
    if (streams) {
        vi_stream(dst, v);
    } else {
        cpu_prefetch_next(dst);
        vi_store(dst, v);
    }
}
INLINE void put_2(char *dst, h v, bool streams)
{
    if (streams) {
        h_stream(dst, v);
    } else {
        if (sizeof(v) > CPU_LANE_NBYTES) {
            cpu_prefetch_next(dst);
        }
        h_store(dst, v);
    }
}
INLINE void store_1(char *dst, vi v, byte_order order, bool streams)
{
    (void)order;
    if (streams) {
        q_stream(dst, vi_to_q(v));
    } else {
        q_store(dst, vi_to_q(v));
    }
}
INLINE void store_2(char *dst, vi v, byte_order order, bool streams)
{
    put_2(dst, h_pick(vi_to_h(v), order), streams);
}
INLINE void store_4(char *dst, vi v, byte_order order, bool streams)
{
    put_4(dst, vi_pick(v, order), streams);
}
INLINE void store_8(char *dst, vi2 v, byte_order order, bool streams)
{
    put_4(dst, vi_pick(v.lo, order), streams);
    put_4(dst + sizeof(vi), vi_pick(v.hi, order), streams);
}
INLINE void store_FLOAT16(char *dst, vf v, byte_order order, bool streams)
{
    put_2(dst, h_pick(vf_to_h(v), order), streams);
}
INLINE void store_BFLOAT16(char *dst, vf v, byte_order order, bool streams)
{
    vi bits = vf_as_vi(v);
    vi high = vi_shift_right(bits, 16);
    vi half = vi_add(vi_set(0x7FFF), vi_and(high, vi_set(1)));
    vi rounded = vi_shift_right(vi_add(bits, half), 16);
    vi quiet = vi_or(high, vi_set(0x0040));
    store_2(dst, vi_select_greater(vi_and(bits, vi_set(0x7FFFFFFF)), vi_set(0x7F800000), quiet, rounded), order,
            streams);
}
INLINE void store_FLOAT32(char *dst, vf v, byte_order order, bool streams)
{
    store_4(dst, vf_as_vi(v), order, streams);
}
INLINE void store_FLOAT64(char *dst, vd2 v, byte_order order, bool streams)
{
    store_8(dst, (vi2){vd_as_vi(v.lo), vd_as_vi(v.hi)}, order, streams);
}
/* Complex numbers whose imaginary parts are 0. */
INLINE void store_PAIRS_FLOAT32(char *dst, vf v, byte_order order, bool streams)
{
    vi bits = vf_as_vi(v);
    store_8(dst, (vi2){vi_lo_unsigned(bits), vi_hi_unsigned(bits)}, order, streams);
}
INLINE void store_PAIRS_FLOAT64(char *dst, vd2 v, byte_order order, bool streams)
{
    store_8(dst, vd_pairs(v.lo), order, streams);
    store_8(dst + sizeof(vi2), vd_pairs(v.hi), order, streams);
}
#define store_BOOL store_1
#define store_INT8 store_1
#define store_UINT8 store_1
#define store_INT16 store_2
#define store_UINT16 store_2
#define store_INT32 store_4
#define store_UINT32 store_4
#define store_INT64 store_8
#define store_UINT64 store_8
