/* SPDX-License-Identifier: Apache-2.0 */

/* Conversions of dense numbers by vectors of any width, included once by the file of each instruction set. It makes of
 * every pair of numbers one loop; what it has to give is what backends/kernels/convert_element.h says, bit for bit, in
 * the processor's default floating-point mode (core/float_mode.h).
 *
 * A step takes STEP numbers, of which a number of 4 bytes fills a vector. Before, the file defines:
 *
 *   CONVERSIONS, STEP
 *   q, h, vi, vf       vectors of STEP numbers of 1, 2 and 4 bytes, and of FLOAT32
 *   vd                 half as many FLOAT64
 *   vi2, vd2           two vectors of 8-byte numbers: {lo, hi}, the first half of a step and the second one
 *   vi_apart(src, gap, stride, order)   a vector of 8-byte numbers that lie apart
 *   vd_pairs(v)        as vi2, each number of a vd and a 0 behind it
 *   vl_upper(v)        of 8-byte numbers the upper halves as the lower ones
 *   vi_or_pairs(a, b)  each two 8-byte numbers of a vi, then of another one, as one
 *   q_load ... vi_store, h_shuffle ...    see there */

#include <stddef.h>

#include "backends/cpu/cpu_kernels.h"
#include "core/compiler.h"

#define INLINE __attribute__((always_inline)) static inline

#include "backends/cpu/cpu_convert_numbers.h"

/* ---- integers ---- */

#define S_to_BOOL vi_is_nonzero
#define I_to_BOOL vi_is_nonzero
#define U_to_BOOL vi_is_nonzero
#define L_to_BOOL vi2_is_nonzero
#define M_to_BOOL vi2_is_nonzero

/* The bits of integers are cut. */
#define S_to_bits(v) (v)
#define I_to_bits(v) (v)
#define U_to_bits(v) (v)
#define L_to_bits vi2_to_vi
#define M_to_bits vi2_to_vi
#define S_to_INT32 S_to_bits
#define I_to_INT32 I_to_bits
#define U_to_INT32 U_to_bits
#define L_to_INT32 L_to_bits
#define M_to_INT32 M_to_bits
INLINE vi2 S_to_INT64(vi v)
{
    return (vi2){vi_lo_signed(v), vi_hi_signed(v)};
}
#define I_to_INT64 S_to_INT64
INLINE vi2 U_to_INT64(vi v)
{
    return (vi2){vi_lo_unsigned(v), vi_hi_unsigned(v)};
}
#define L_to_INT64(v) (v)
#define M_to_INT64(v) (v)

/* What does not fit becomes the nearest bound. */
INLINE vi S_clamped(vi v, int32_t least, int32_t greatest)
{
    return vi_min(vi_max(v, vi_set(least)), vi_set(greatest));
}
#define I_clamped S_clamped
INLINE vi U_clamped(vi v, int32_t least, int32_t greatest)
{
    (void)least;
    return vi_min_unsigned(v, vi_set(greatest));
}
INLINE vi L_clamped(vi2 v, int32_t least, int32_t greatest)
{
    return vi2_to_vi((vi2){vl_clamp(v.lo, least, greatest), vl_clamp(v.hi, least, greatest)});
}
INLINE vi M_clamped(vi2 v, int32_t least, int32_t greatest)
{
    (void)least;
    return vi2_to_vi((vi2){vl_min_unsigned(v.lo, greatest), vl_min_unsigned(v.hi, greatest)});
}
INLINE vi S_clamped_UINT32(vi v)
{
    return vi_max(v, vi_set(0));
}
#define I_clamped_UINT32 S_clamped_UINT32
#define U_clamped_UINT32(v) (v)
INLINE vi L_clamped_UINT32(vi2 v)
{
    return vi2_to_vi((vi2){vl_clamp(v.lo, 0, UINT32_MAX), vl_clamp(v.hi, 0, UINT32_MAX)});
}
INLINE vi M_clamped_UINT32(vi2 v)
{
    return vi2_to_vi((vi2){vl_min_unsigned(v.lo, UINT32_MAX), vl_min_unsigned(v.hi, UINT32_MAX)});
}
INLINE vi2 M_clamped_INT64(vi2 v)
{
    return (vi2){vl_min_unsigned(v.lo, INT64_MAX), vl_min_unsigned(v.hi, INT64_MAX)};
}
INLINE vi2 S_clamped_UINT64(vi v)
{
    return S_to_INT64(vi_max(v, vi_set(0)));
}
#define I_clamped_UINT64 S_clamped_UINT64
INLINE vi2 L_clamped_UINT64(vi2 v)
{
    return (vi2){vl_clamp(v.lo, 0, INT64_MAX), vl_clamp(v.hi, 0, INT64_MAX)};
}

/* ---- integers to floats ----
 *
 * FLOAT16 by way of FLOAT32: integers that this does not hold are far beyond the range of the other one. BFLOAT16 by
 * way of a FLOAT32 that is made odd where it is not exact, so that it is rounded once. */

#define S_to_FLOAT32 vi_to_vf
#define I_to_FLOAT32 vi_to_vf
#define U_to_FLOAT32 vi_unsigned_to_vf
#define S_to_FLOAT64 vi_to_vd2
#define I_to_FLOAT64 vi_to_vd2
#define U_to_FLOAT64 vi_unsigned_to_vd2
#define S_to_FLOAT16 vi_to_vf
#define I_to_FLOAT16 vi_to_vf
#define U_to_FLOAT16 vi_unsigned_to_vf
#define S_to_BFLOAT16 vi_to_vf
#define I_to_BFLOAT16(v) vd2_to_odd_vf(vi_to_vd2(v))
#define U_to_BFLOAT16(v) vd2_to_odd_vf(vi_unsigned_to_vd2(v))
#define L_to_FLOAT32 vl2_to_vf
#define L_to_FLOAT64 vl2_to_vd2
#define L_to_FLOAT16 vl2_to_vf
#define L_to_BFLOAT16 vl2_to_odd_vf
#define M_to_FLOAT32 vm2_to_vf
#define M_to_FLOAT64 vm2_to_vd2
#define M_to_FLOAT16 vm2_to_vf
#define M_to_BFLOAT16 vm2_to_odd_vf

/* ---- floats ---- */

#define F_to_BOOL vf_is_nonzero
#define D_to_BOOL vd2_is_nonzero
#define F_to_FLOAT16(v) (v)
#define F_to_BFLOAT16(v) (v)
#define F_to_FLOAT32(v) (v)
#define F_to_FLOAT64 vf_to_vd2
#define D_to_FLOAT16 vd2_to_odd_vf
#define D_to_BFLOAT16 vd2_to_odd_vf
#define D_to_FLOAT32 vd2_to_vf
#define D_to_FLOAT64(v) (v)

/* What an INT32 cannot hold is its most negative value. */
#define F_to_bits vf_truncate
#define D_to_bits vd2_truncate
#define F_to_INT32 F_to_bits
#define D_to_INT32 D_to_bits
#define F_to_UINT32 vf_truncate_to_vu
#define D_to_UINT32 vd2_truncate_to_vu
#define F_to_INT64(v) vd2_truncate_to_vl2(vf_to_vd2(v))
#define D_to_INT64 vd2_truncate_to_vl2
#define F_to_UINT64(v) vd2_truncate_to_vm2(vf_to_vd2(v))
#define D_to_UINT64 vd2_truncate_to_vm2

INLINE vi D_clamped(vd2 v, double least, double greatest)
{
    return vd2_truncate((vd2){vd_clamp(v.lo, least, greatest), vd_clamp(v.hi, least, greatest)});
}
INLINE vi F_clamped(vf v, float least, float greatest)
{
    return vf_truncate(vf_clamp(v, least, greatest));
}
INLINE vi F_clamped_INT32(vf v) /* its greatest value is no FLOAT32 */
{
    return D_clamped(vf_to_vd2(v), INT32_MIN, INT32_MAX);
}
INLINE vi D_clamped_UINT32(vd2 v)
{
    const vd2 bounded = {vd_clamp(v.lo, 0, UINT32_MAX), vd_clamp(v.hi, 0, UINT32_MAX)};
    return vd2_truncate_to_vu(bounded);
}
#define F_clamped_UINT32(v) D_clamped_UINT32(vf_to_vd2(v))
#define F_clamped_INT64(v) vd2_clamp_to_vl2(vf_to_vd2(v))
#define D_clamped_INT64 vd2_clamp_to_vl2
#define F_clamped_UINT64(v) vd2_clamp_to_vm2(vf_to_vd2(v))
#define D_clamped_UINT64 vd2_clamp_to_vm2

#include "backends/cpu/cpu_convert_shorts.h"

/* ---- the loops ---- */

/* Steps that are taken together, of native numbers within the caches: one by one, counting them can take longer than
 * converting. */
#define UNROLLED 4

/* Most numbers are in the native order on both sides, and wait for no shuffles. `name##_four` converts so many of their
 * steps; past the caches only if it can. The last step of a line takes some numbers once more. */
#define DEFINE_LOOPS(name, dst_name, dst_nbytes, src_name, src_nbytes, how, four_streams)                              \
    INLINE void name##_in(char *dst, int64_t dst_stride, const char *src, const int64_t *src_offsets, int64_t nlines,  \
                          int64_t count, byte_order dst_order, byte_order src_order, bool streams)                     \
    {                                                                                                                  \
        for (int64_t line = 0; line < nlines; line++) {                                                                \
            const char *from = src + src_offsets[line];                                                                \
            char *to = dst;                                                                                            \
            int64_t left = count;                                                                                      \
            for (; dst_order.is_native && (four_streams || !streams) && left >= UNROLLED * STEP;                       \
                 left -= UNROLLED * STEP) {                                                                            \
                name##_four(to, from, streams);                                                                        \
                to += UNROLLED * STEP * (ptrdiff_t)(dst_nbytes);                                                       \
                from += UNROLLED * STEP * (ptrdiff_t)(src_nbytes);                                                     \
            }                                                                                                          \
            for (; left > 0; left -= STEP) {                                                                           \
                if (!NDBUF__LIKELY(left >= STEP)) {                                                                    \
                    to += (left - STEP) * (dst_nbytes);                                                                \
                    from += (left - STEP) * (src_nbytes);                                                              \
                }                                                                                                      \
                store_##dst_name(to, how(load_##src_name(from, src_order)), dst_order, streams);                       \
                to += STEP * (ptrdiff_t)(dst_nbytes);                                                                  \
                from += STEP * (ptrdiff_t)(src_nbytes);                                                                \
            }                                                                                                          \
            dst += dst_stride;                                                                                         \
        }                                                                                                              \
    }                                                                                                                  \
    static void name(char *dst, int64_t dst_stride, const char *src, const int64_t *src_offsets, int64_t nlines,       \
                     int64_t count, int32_t dst_swap, int32_t src_swap, bool streams)                                  \
    {                                                                                                                  \
        if (dst_swap == 1 && src_swap == 1) {                                                                          \
            const byte_order native = {.is_native = 1};                                                                \
            name##_in(dst, dst_stride, src, src_offsets, nlines, count, native, native, streams);                      \
        } else {                                                                                                       \
            const byte_order dst_order = {.places = vi_swap_order(dst_swap)};                                          \
            const byte_order src_order = {.places = vi_swap_order(src_swap)};                                          \
            name##_in(dst, dst_stride, src, src_offsets, nlines, count, dst_order, src_order, streams);                \
        }                                                                                                              \
    }                                                                                                                  \
    DEFINE_APART_##src_nbytes(name, dst_name, dst_nbytes, src_name, how)

#define DEFINE_CONVERSION(name, dst_name, dst_nbytes, src_name, src_nbytes, how)                                       \
    INLINE void name##_four(char *dst, const char *src, bool streams)                                                  \
    {                                                                                                                  \
        const byte_order native = {.is_native = 1};                                                                    \
        NDBUF__UNROLL_4 for (int k = 0; k < UNROLLED; k++)                                                             \
        {                                                                                                              \
            store_##dst_name(dst, how(load_##src_name(src, native)), native, streams);                                 \
            dst += STEP * (ptrdiff_t)(dst_nbytes);                                                                     \
            src += STEP * (ptrdiff_t)(src_nbytes);                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    DEFINE_LOOPS(name, dst_name, dst_nbytes, src_name, src_nbytes, how, 0)

/* The same for numbers that lie apart, where there is one. */
#define DEFINE_APART_1(...)
#define DEFINE_APART_2(...)
#define DEFINE_APART_16(...)
#define DEFINE_APART_4(name, dst_name, dst_nbytes, src_name, how)                                                      \
    INLINE void name##_halves_in(char *dst, const char *src, bool is_second, int64_t nsteps)                           \
    {                                                                                                                  \
        const byte_order native = {.is_native = 1};                                                                    \
        for (int64_t i = 0; i < nsteps; i++) {                                                                         \
            store_##dst_name(dst, how(half_##src_name(src, is_second)), native, false);                                \
            dst += STEP * (ptrdiff_t)(dst_nbytes);                                                                     \
            src += STEP * (ptrdiff_t)CPU_APART_NBYTES;                                                                 \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_halves(char *dst, const char *src, bool is_second, int64_t nsteps)                              \
    {                                                                                                                  \
        if (is_second) {                                                                                               \
            name##_halves_in(dst, src, true, nsteps);                                                                  \
        } else {                                                                                                       \
            name##_halves_in(dst, src, false, nsteps);                                                                 \
        }                                                                                                              \
    }
#define DEFINE_APART_8(name, dst_name, dst_nbytes, src_name, how)                                                      \
    INLINE void name##_apart_in(char *dst, const char *src, int64_t gap, int64_t stride, int64_t nsteps,               \
                                apart_order order, byte_order dst_order, byte_order src_order)                         \
    {                                                                                                                  \
        for (int64_t i = 0; i < nsteps; i++) {                                                                         \
            store_##dst_name(dst, how(apart_##src_name(src, gap, stride, order, src_order)), dst_order, false);        \
            dst += STEP * (ptrdiff_t)(dst_nbytes);                                                                     \
            src += STEP / 2 * stride;                                                                                  \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_apart(char *dst, const char *src, int64_t gap, int64_t stride, int64_t nsteps,                  \
                             int32_t dst_swap, int32_t src_swap)                                                       \
    {                                                                                                                  \
        const byte_order native = {.is_native = 1};                                                                    \
        if (dst_swap != 1 || src_swap != 1) {                                                                          \
            const byte_order dst_order = {.places = vi_swap_order(dst_swap)};                                          \
            const byte_order src_order = {.places = vi_swap_order(src_swap)};                                          \
            name##_apart_in(dst, src, gap, stride, nsteps, APART_ANYHOW, dst_order, src_order);                        \
            return;                                                                                                    \
        }                                                                                                              \
        switch (apart_order_of(gap, stride)) {                                                                         \
        case APART_PAIRS:                                                                                              \
            name##_apart_in(dst, src, gap, stride, nsteps, APART_PAIRS, native, native);                               \
            break;                                                                                                     \
        case APART_REVERSED:                                                                                           \
            name##_apart_in(dst, src, gap, -2 * CPU_APART_NBYTES, nsteps, APART_REVERSED, native, native);             \
            break;                                                                                                     \
        case APART_PAIRS_REVERSED:                                                                                     \
            name##_apart_in(dst, src, gap, -2 * CPU_APART_NBYTES, nsteps, APART_PAIRS_REVERSED, native, native);       \
            break;                                                                                                     \
        default:                                                                                                       \
            name##_apart_in(dst, src, gap, stride, nsteps, APART_ANYHOW, native, native);                              \
            break;                                                                                                     \
        }                                                                                                              \
    }

/* X(destination, its size, source, its size, what the source is converted from) */
#define FROM_LONGER(X, dst, n)                                                                                         \
    X(dst, n, INT32, 4, I)                                                                                             \
    X(dst, n, UINT32, 4, U)                                                                                            \
    X(dst, n, INT64, 8, L)                                                                                             \
    X(dst, n, UINT64, 8, M)
#define FROM_SHORTER(X, dst, n)                                                                                        \
    X(dst, n, BOOL, 1, S)                                                                                              \
    X(dst, n, INT8, 1, S)                                                                                              \
    X(dst, n, UINT8, 1, S)                                                                                             \
    X(dst, n, INT16, 2, S)                                                                                             \
    X(dst, n, UINT16, 2, S)
#define FROM_INTEGERS(X, dst, n)                                                                                       \
    FROM_SHORTER(X, dst, n)                                                                                            \
    FROM_LONGER(X, dst, n)
#define FROM_FLOATS(X, dst, n)                                                                                         \
    X(dst, n, FLOAT16, 2, F)                                                                                           \
    X(dst, n, BFLOAT16, 2, F)                                                                                          \
    X(dst, n, FLOAT32, 4, F)                                                                                           \
    X(dst, n, FLOAT64, 8, D)

#define SHORTS(dst, n, src, m, from, how, read, write) DEFINE_SHORTS(dst##_of_##src, dst, n, src, m, how, read, write)
ALL_SHORTS(SHORTS)

/* X_SHORTENED: to 1 byte, X_CUT: to the lowest bits, of 1 and 2 bytes, X: all else. */
#define ALL_PLAIN(X, X_SHORTENED, X_CUT)                                                                               \
    FROM_LONGER(X_SHORTENED, BOOL, 1)                                                                                  \
    FROM_FLOATS(X_SHORTENED, BOOL, 1)                                                                                  \
    FROM_LONGER(X_CUT, INT8, 1)                                                                                        \
    FROM_FLOATS(X_CUT, INT8, 1)                                                                                        \
    FROM_LONGER(X_CUT, INT16, 2)                                                                                       \
    FROM_FLOATS(X_CUT, INT16, 2)                                                                                       \
    FROM_INTEGERS(X, INT32, 4)                                                                                         \
    FROM_FLOATS(X, INT32, 4)                                                                                           \
    FROM_FLOATS(X, UINT32, 4)                                                                                          \
    FROM_INTEGERS(X, INT64, 8)                                                                                         \
    FROM_FLOATS(X, INT64, 8)                                                                                           \
    FROM_FLOATS(X, UINT64, 8)                                                                                          \
    FROM_INTEGERS(X, FLOAT16, 2)                                                                                       \
    FROM_FLOATS(X, FLOAT16, 2)                                                                                         \
    FROM_INTEGERS(X, BFLOAT16, 2)                                                                                      \
    FROM_FLOATS(X, BFLOAT16, 2)                                                                                        \
    FROM_INTEGERS(X, FLOAT32, 4)                                                                                       \
    FROM_FLOATS(X, FLOAT32, 4)                                                                                         \
    FROM_INTEGERS(X, FLOAT64, 8)                                                                                       \
    FROM_FLOATS(X, FLOAT64, 8)

#define PLAIN(dst, n, src, m, from) DEFINE_CONVERSION(dst##_of_##src, dst, n, src, m, from##_to_##dst)
#define CUT(dst, n, src, m, from) DEFINE_SHORTENED(dst##_of_##src, dst, n, src, m, from##_to_bits)
#define SHORTENED(dst, n, src, m, from) DEFINE_SHORTENED(dst##_of_##src, dst, n, src, m, from##_to_##dst)
ALL_PLAIN(PLAIN, SHORTENED, CUT)

/* To complex numbers. */
#define ALL_PAIRS(X)                                                                                                   \
    FROM_INTEGERS(X, FLOAT32, 4)                                                                                       \
    FROM_FLOATS(X, FLOAT32, 4)                                                                                         \
    FROM_INTEGERS(X, FLOAT64, 8)                                                                                       \
    FROM_FLOATS(X, FLOAT64, 8)

#define PAIRS(dst, n, src, m, from) DEFINE_CONVERSION(dst##_pairs_##src, PAIRS_##dst, 2 * (n), src, m, from##_to_##dst)
ALL_PAIRS(PAIRS)

/* Complex numbers to BOOL. */
#define ALL_TRUTHS(X)                                                                                                  \
    X(BOOL, 1, PAIRS_FLOAT32, 8, M)                                                                                    \
    X(BOOL, 1, PAIRS_FLOAT64, 16, M)
ALL_TRUTHS(SHORTENED)

/* With bounds; the integers that hold all values of the source are not among them. */
#define ALL_SATURATED(X_RANGE, X)                                                                                      \
    X_RANGE(INT8, 1, UINT8, 1, S, INT8_MIN, INT8_MAX)                                                                  \
    FROM_WIDE(X_RANGE, INT8, 1, INT8_MIN, INT8_MAX)                                                                    \
    X_RANGE(INT8, 1, INT16, 2, S, INT8_MIN, INT8_MAX)                                                                  \
    X_RANGE(INT8, 1, UINT16, 2, S, INT8_MIN, INT8_MAX)                                                                 \
    X_RANGE(UINT8, 1, INT8, 1, S, 0, UINT8_MAX)                                                                        \
    FROM_WIDE(X_RANGE, UINT8, 1, 0, UINT8_MAX)                                                                         \
    X_RANGE(UINT8, 1, INT16, 2, S, 0, UINT8_MAX)                                                                       \
    X_RANGE(UINT8, 1, UINT16, 2, S, 0, UINT8_MAX)                                                                      \
    X_RANGE(INT16, 2, UINT16, 2, S, INT16_MIN, INT16_MAX)                                                              \
    FROM_WIDE(X_RANGE, INT16, 2, INT16_MIN, INT16_MAX)                                                                 \
    X_RANGE(UINT16, 2, INT8, 1, S, 0, UINT16_MAX)                                                                      \
    X_RANGE(UINT16, 2, INT16, 2, S, 0, UINT16_MAX)                                                                     \
    FROM_WIDE(X_RANGE, UINT16, 2, 0, UINT16_MAX)                                                                       \
    X_RANGE(INT32, 4, UINT32, 4, U, 0, INT32_MAX)                                                                      \
    X_RANGE(INT32, 4, INT64, 8, L, INT32_MIN, INT32_MAX)                                                               \
    X_RANGE(INT32, 4, UINT64, 8, M, 0, INT32_MAX)                                                                      \
    X(INT32, 4, FLOAT16, 2, F)                                                                                         \
    X(INT32, 4, BFLOAT16, 2, F)                                                                                        \
    X(INT32, 4, FLOAT32, 4, F)                                                                                         \
    X_RANGE(INT32, 4, FLOAT64, 8, D, INT32_MIN, INT32_MAX)                                                             \
    X(UINT32, 4, INT8, 1, S)                                                                                           \
    X(UINT32, 4, INT16, 2, S)                                                                                          \
    X(UINT32, 4, INT32, 4, I)                                                                                          \
    X(UINT32, 4, INT64, 8, L)                                                                                          \
    X(UINT32, 4, UINT64, 8, M)                                                                                         \
    FROM_FLOATS(X, UINT32, 4)                                                                                          \
    X(INT64, 8, UINT64, 8, M)                                                                                          \
    X(UINT64, 8, INT8, 1, S)                                                                                           \
    X(UINT64, 8, INT16, 2, S)                                                                                          \
    X(UINT64, 8, INT32, 4, I)                                                                                          \
    X(UINT64, 8, INT64, 8, L)                                                                                          \
    FROM_FLOATS(X, INT64, 8)                                                                                           \
    FROM_FLOATS(X, UINT64, 8)
#define FROM_WIDE(X_RANGE, dst, n, least, greatest)                                                                    \
    X_RANGE(dst, n, INT32, 4, I, least, greatest)                                                                      \
    X_RANGE(dst, n, UINT32, 4, U, least, greatest)                                                                     \
    X_RANGE(dst, n, INT64, 8, L, least, greatest)                                                                      \
    X_RANGE(dst, n, UINT64, 8, M, least, greatest)                                                                     \
    X_RANGE(dst, n, FLOAT16, 2, F, least, greatest)                                                                    \
    X_RANGE(dst, n, BFLOAT16, 2, F, least, greatest)                                                                   \
    X_RANGE(dst, n, FLOAT32, 4, F, least, greatest)                                                                    \
    X_RANGE(dst, n, FLOAT64, 8, D, least, greatest)

#define IN_RANGE(dst, n, src, m, from, least, greatest)                                                                \
    __attribute__((always_inline)) static inline vi dst##_in_range_of_##src(SOURCE_##from v)                           \
    {                                                                                                                  \
        return from##_clamped(v, least, greatest);                                                                     \
    }                                                                                                                  \
    DEFINE_CONVERSION(dst##_bounds_##src, dst, n, src, m, dst##_in_range_of_##src)
#define SATURATED(dst, n, src, m, from) DEFINE_CONVERSION(dst##_bounds_##src, dst, n, src, m, from##_clamped_##dst)
#define SOURCE_S vi
#define SOURCE_I vi
#define SOURCE_U vi
#define SOURCE_L vi2
#define SOURCE_M vi2
#define SOURCE_F vf
#define SOURCE_D vd2
ALL_SATURATED(IN_RANGE, SATURATED)

#define APART_1(name) NULL, NULL
#define APART_2(name) NULL, NULL
#define APART_4(name) NULL, name##_halves
#define APART_8(name) name##_apart, NULL
#define ENTRY(dst, src, m, name) [NDBUF_NUMBER_##dst][NDBUF_NUMBER_##src] = {name, APART_##m(name)},
#define PLAIN_ENTRY(dst, n, src, m, from) ENTRY(dst, src, m, dst##_of_##src)
#define SHORTS_ENTRY(dst, n, src, m, from, ...) ENTRY(dst, src, m, dst##_of_##src)
#define PAIRS_ENTRY(dst, n, src, m, from) ENTRY(dst, src, m, dst##_pairs_##src)
#define SATURATED_ENTRY(dst, n, src, m, from) ENTRY(dst, src, m, dst##_bounds_##src)
#define IN_RANGE_ENTRY(dst, n, src, m, from, ...) SATURATED_ENTRY(dst, n, src, m, from)

const cpu_conversions CONVERSIONS = {
    .step = STEP,
    .plain = {ALL_SHORTS(SHORTS_ENTRY) ALL_PLAIN(PLAIN_ENTRY, PLAIN_ENTRY, PLAIN_ENTRY)},
    .pairs = {ALL_PAIRS(PAIRS_ENTRY)},
    .saturated = {ALL_SATURATED(IN_RANGE_ENTRY, SATURATED_ENTRY)},
    .truths = {[NDBUF_NUMBER_FLOAT32] = {BOOL_of_PAIRS_FLOAT32, BOOL_of_PAIRS_FLOAT32_apart, NULL},
               [NDBUF_NUMBER_FLOAT64] = {BOOL_of_PAIRS_FLOAT64, NULL, NULL}}};
