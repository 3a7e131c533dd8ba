/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_KERNELS_CONVERT_ELEMENT_H
#define NDBUF_BACKENDS_KERNELS_CONVERT_ELEMENT_H

/* One number into another one by the rules of ndbuf/cast.h: one text for CUDA C, OpenCL C 1.2 and C. It is integer
 * arithmetic throughout, on the bits of the numbers: what processors make of NaN, of subnormals, and of what an integer
 * cannot hold differs between them and with their modes, and not each has FLOAT64. Where both numbers are constants,
 * little of it is left.
 *
 * A number comes as its bits in the byte order of the machine, the rest of the ndk_u64 zero. Of a result only the bits
 * of the number count. */

#ifndef __OPENCL_VERSION__
#include "backends/kernels/kernel_params.h"
#endif

#if defined(__OPENCL_VERSION__)
#define NDK_FUNCTION static
#define NDK_LEADING_ZEROS_32(x) clz((ndk_u32)(x))
#define NDK_LEADING_ZEROS_64(x) ((ndk_u32)clz((ndk_u64)(x)))
#elif defined(__CUDACC__)
#define NDK_FUNCTION static __device__ __forceinline__
#define NDK_LEADING_ZEROS_32(x) ((ndk_u32)__clz((int)(x)))
#define NDK_LEADING_ZEROS_64(x) ((ndk_u32)__clzll((long long)(x)))
#else
#define NDK_FUNCTION static inline __attribute__((always_inline, unused))
#define NDK_LEADING_ZEROS_32(x) ((ndk_u32)__builtin_clz(x))
#define NDK_LEADING_ZEROS_64(x) ((ndk_u32)__builtin_clzll(x))
#endif

/* The numbers of ndbuf_number that all devices have. */
#define NDK_BOOL 1
#define NDK_INT8 2
#define NDK_UINT8 3
#define NDK_INT16 4
#define NDK_UINT16 5
#define NDK_INT32 6
#define NDK_UINT32 7
#define NDK_INT64 8
#define NDK_UINT64 9
#define NDK_FLOAT16 10
#define NDK_BFLOAT16 11
#define NDK_FLOAT32 12
#define NDK_FLOAT64 13

#define NDK_MAX_U64 (~(ndk_u64)0)
#define NDK_TOP_BIT ((ndk_u64)1 << 63)

/* Of a float of 16 or 32 bits: the bits of its fraction, the bias of its exponent, and, from these, its infinity. */
#define NDK_HALF_FRACTION 10
#define NDK_HALF_BIAS 15
#define NDK_BFLOAT_FRACTION 7
#define NDK_BFLOAT_BIAS 127
#define NDK_SINGLE_FRACTION 23
#define NDK_SINGLE_BIAS 127
#define NDK_INFINITY(fraction, bias) ((ndk_u32)(2 * (bias) + 1) << (fraction))
#define NDK_DOUBLE_INFINITY ((ndk_u64)0x7FF << 52)

NDK_FUNCTION ndk_i32 ndk_is_float(ndk_i32 number)
{
    return number >= NDK_FLOAT16;
}

NDK_FUNCTION ndk_u32 ndk_number_nbytes(ndk_i32 number)
{
    return number <= NDK_UINT8                             ? 1u
           : number <= NDK_UINT16                          ? 2u
           : number <= NDK_UINT32                          ? 4u
           : number <= NDK_UINT64 || number == NDK_FLOAT64 ? 8u
           : number == NDK_FLOAT32                         ? 4u
                                                           : 2u;
}

NDK_FUNCTION ndk_u32 ndk_swap_32(ndk_u32 bits)
{
    return bits >> 24 | (bits >> 8 & 0xFF00u) | (bits & 0xFF00u) << 8 | bits << 24;
}

/* The bytes of a number in the other order. */
NDK_FUNCTION ndk_u64 ndk_swap_number(ndk_u64 bits, ndk_u32 nbytes)
{
    const ndk_u32 low = ndk_swap_32((ndk_u32)bits);
    return nbytes == 1   ? bits
           : nbytes == 2 ? low >> 16
           : nbytes == 4 ? low
                         : (ndk_u64)low << 32 | ndk_swap_32((ndk_u32)(bits >> 32));
}

/* ---- floats to wider floats: exact; a NaN becomes quiet ---- */

NDK_FUNCTION ndk_u32 ndk_half_to_single(ndk_u32 bits)
{
    const ndk_u32 sign = (bits & 0x8000u) << 16;
    const ndk_u32 rest = bits & 0x7FFFu;
    if (rest - 0x0400u < 0x7800u) {
        return sign | ((rest << 13) + (112u << 23));
    }
    if (rest >= 0x7C00u) {
        return sign | 0x7F800000u | rest << 13 | (ndk_u32)(rest > 0x7C00u) << 22;
    }
    if (rest == 0) {
        return sign;
    }
    const ndk_u32 place = 31 - NDK_LEADING_ZEROS_32(rest); /* of the leading bit; its unit is 2^-24 */
    return sign | (((102 + place) << 23) + (rest << (23 - place)));
}

NDK_FUNCTION ndk_u32 ndk_bfloat_to_single(ndk_u32 bfloat)
{
    return bfloat << 16 | ((bfloat & 0x7FFFu) > 0x7F80u ? 0x00400000u : 0u);
}

NDK_FUNCTION ndk_u64 ndk_single_to_double(ndk_u32 single)
{
    const ndk_u64 sign = (ndk_u64)(single & 0x80000000u) << 32;
    const ndk_u32 rest = single & 0x7FFFFFFFu;
    if (rest - 0x00800000u < 0x7F000000u) {
        return sign | (((ndk_u64)rest << 29) + ((ndk_u64)896 << 52));
    }
    if (rest >= 0x7F800000u) {
        return sign | NDK_DOUBLE_INFINITY | (ndk_u64)rest << 29 | (ndk_u64)(rest > 0x7F800000u) << 51;
    }
    if (rest == 0) {
        return sign;
    }
    const ndk_u32 place = 31 - NDK_LEADING_ZEROS_32(rest); /* its unit is 2^-149 */
    return sign | (((ndk_u64)(873 + place) << 52) + ((ndk_u64)rest << (52 - place)));
}

/* ---- to narrower floats: to the nearest, ties to even ---- */

/* FLOAT32 to a float of 16 bits. */
NDK_FUNCTION ndk_u32 ndk_single_to_small(ndk_u32 single, ndk_u32 fraction, ndk_u32 bias)
{
    const ndk_u32 sign = single >> 16 & 0x8000u;
    const ndk_u32 rest = single & 0x7FFFFFFFu;
    const ndk_u32 infinity = NDK_INFINITY(fraction, bias);
    const ndk_u32 shift = 23 - fraction;
    if (rest > 0x7F800000u) {
        return sign | infinity | 1u << (fraction - 1) | (rest >> shift & ((1u << fraction) - 1));
    }
    if (bias == 127 || rest >= (128 - bias) << 23) { /* as a number that it can be normal in, or with its exponents */
        const ndk_u32 moved = rest - ((127 - bias) << 23);
        const ndk_u32 rounded = (moved + (1u << (shift - 1)) - 1 + (moved >> shift & 1)) >> shift;
        return sign | (rounded < infinity ? rounded : infinity);
    }
    const ndk_u32 below = (128 - bias) - (rest >> 23);
    const ndk_u32 drop = shift + (below < 25 - shift ? below : 25 - shift);
    const ndk_u32 digits = (rest & 0x007FFFFFu) | 0x00800000u; /* a subnormal's would be too few to count */
    return sign | (digits + (1u << (drop - 1)) - 1 + (digits >> drop & 1)) >> drop;
}

/* FLOAT64 to a float of 16 or 32 bits. */
NDK_FUNCTION ndk_u32 ndk_double_to_small(ndk_u64 bits, ndk_u32 fraction, ndk_u32 bias)
{
    const ndk_u32 sign = (ndk_u32)(bits >> 63) << (fraction == NDK_SINGLE_FRACTION ? 31 : 15);
    const ndk_u64 rest = bits & ~NDK_TOP_BIT;
    const ndk_u32 infinity = NDK_INFINITY(fraction, bias);
    const ndk_u32 shift = 52 - fraction;
    const ndk_u32 exponent = (ndk_u32)(rest >> 52);
    if (exponent - (1024 - bias) < 2 * bias) {
        const ndk_u64 moved = rest - ((ndk_u64)(1023 - bias) << 52);
        return sign | (ndk_u32)((moved + ((ndk_u64)1 << (shift - 1)) - 1 + (moved >> shift & 1)) >> shift);
    }
    if (rest > NDK_DOUBLE_INFINITY) {
        return sign | infinity | 1u << (fraction - 1) | ((ndk_u32)(rest >> shift) & ((1u << fraction) - 1));
    }
    if (exponent > 1023) {
        return sign | infinity;
    }
    const ndk_u32 below = (1024 - bias) - exponent;
    const ndk_u32 drop = shift + (below < 54 - shift ? below : 54 - shift);
    const ndk_u64 digits = (rest & (((ndk_u64)1 << 52) - 1)) | (ndk_u64)1 << 52;
    return sign | (ndk_u32)((digits + ((ndk_u64)1 << (drop - 1)) - 1 + (digits >> drop & 1)) >> drop);
}

/* A magnitude, short if it has at most 32 bits, to a float of 16 or 32 bits. The leading bit is added to an exponent
 * that is one too small. */
NDK_FUNCTION ndk_u32 ndk_magnitude_to_small(ndk_u64 magnitude, ndk_i32 is_short, ndk_u32 fraction, ndk_u32 bias)
{
    const ndk_u32 infinity = NDK_INFINITY(fraction, bias);
    ndk_u32 exponent, kept, up;
    if (magnitude == 0) {
        return 0;
    }
    if (is_short) {
        const ndk_u32 nzeros = NDK_LEADING_ZEROS_32((ndk_u32)magnitude);
        const ndk_u32 digits = (ndk_u32)magnitude << nzeros;
        const ndk_u32 dropped = digits << (fraction + 1);
        exponent = bias + 30 - nzeros;
        kept = digits >> (31 - fraction);
        up = (dropped | (kept & 1)) > 0x80000000u; /* beyond the middle, or in the middle of an odd number */
    } else {
        const ndk_u32 nzeros = NDK_LEADING_ZEROS_64(magnitude);
        const ndk_u64 digits = magnitude << nzeros;
        const ndk_u64 dropped = digits << (fraction + 1);
        exponent = bias + 62 - nzeros;
        kept = (ndk_u32)(digits >> (63 - fraction));
        up = (dropped | (kept & 1)) > NDK_TOP_BIT;
    }
    const ndk_u32 rounded = (exponent << fraction) + kept + up;
    return rounded < infinity ? rounded : infinity;
}

NDK_FUNCTION ndk_u64 ndk_magnitude_to_double(ndk_u64 magnitude)
{
    if (magnitude == 0) {
        return 0;
    }
    const ndk_u32 nzeros = NDK_LEADING_ZEROS_64(magnitude);
    const ndk_u64 digits = magnitude << nzeros;
    const ndk_u64 kept = digits >> 11;
    const ndk_u64 dropped = digits & 0x7FF;
    const ndk_u64 up = (dropped | (kept & 1)) > 0x400;
    return ((ndk_u64)(1023 + 62 - nzeros) << 52) + kept + up;
}

/* ---- to integers ---- */

/* What an integer of the destination is made from: sign and magnitude, the fraction dropped. */
typedef struct ndk_integer {
    ndk_u64 magnitude;
    ndk_i32 is_negative;
    ndk_i32 is_large; /* 2^64 or more: the magnitude does not count */
    ndk_i32 is_nan;
} ndk_integer;

/* A float of `digits` < 2^(fraction + 1), by its exponent without bias. */
NDK_FUNCTION ndk_integer ndk_integer_of(ndk_u64 digits, ndk_i32 exponent, ndk_i32 fraction, ndk_i32 is_negative)
{
    ndk_integer integer;
    integer.is_negative = is_negative;
    integer.is_large = exponent > 63;
    integer.is_nan = 0;
    integer.magnitude = exponent < 0 || exponent > 63 ? 0
                        : exponent < fraction         ? digits >> (fraction - exponent)
                                                      : digits << (exponent - fraction);
    return integer;
}

NDK_FUNCTION ndk_integer ndk_integer_of_single(ndk_u32 single)
{
    const ndk_u32 rest = single & 0x7FFFFFFFu;
    ndk_integer integer =
        ndk_integer_of((rest & 0x007FFFFFu) | 0x00800000u, (ndk_i32)(rest >> 23) - 127, 23, (ndk_i32)(single >> 31));
    integer.is_nan = rest > 0x7F800000u;
    return integer;
}

NDK_FUNCTION ndk_integer ndk_integer_of_double(ndk_u64 bits)
{
    const ndk_u64 rest = bits & ~NDK_TOP_BIT;
    ndk_integer integer = ndk_integer_of((rest & (((ndk_u64)1 << 52) - 1)) | (ndk_u64)1 << 52,
                                         (ndk_i32)(rest >> 52) - 1023, 52, (ndk_i32)(bits >> 63));
    integer.is_nan = rest > NDK_DOUBLE_INFINITY;
    return integer;
}

/* The greatest value of an integer. */
NDK_FUNCTION ndk_u64 ndk_greatest(ndk_i32 number)
{
    const ndk_u32 is_signed = (number & 1) == 0;
    return NDK_MAX_U64 >> (64 - 8 * ndk_number_nbytes(number) + is_signed);
}

NDK_FUNCTION ndk_u64 ndk_saturate(ndk_integer integer, ndk_i32 number)
{
    const ndk_u64 greatest = ndk_greatest(number);
    const ndk_u64 limit = integer.is_negative ? ((number & 1) == 0 ? greatest + 1 : 0) : greatest;
    const ndk_u64 magnitude = integer.is_large || integer.magnitude > limit ? limit : integer.magnitude;
    return integer.is_nan ? 0 : integer.is_negative ? 0 - magnitude : magnitude;
}

/* What x86-64 makes of a float: see ndbuf/cast.h. */
NDK_FUNCTION ndk_u64 ndk_truncate(ndk_integer integer, ndk_i32 number)
{
    const ndk_u64 value = integer.is_negative ? 0 - integer.magnitude : integer.magnitude;
    const ndk_u64 least = number <= NDK_INT32 ? (ndk_u64)1 << 31 : NDK_TOP_BIT; /* its magnitude */
    const ndk_u64 limit = integer.is_negative ? least : number == NDK_UINT64 ? NDK_MAX_U64 : least - 1;
    return integer.is_large || integer.is_nan || integer.magnitude > limit ? 0 - least : value;
}

/* ---- any number to any other one ---- */

NDK_FUNCTION ndk_u64 ndk_from_double(ndk_u64 bits, ndk_i32 dst_number, ndk_i32 saturates)
{
    switch (dst_number) {
    case NDK_BOOL:
        return (bits & ~NDK_TOP_BIT) != 0;
    case NDK_FLOAT16:
        return ndk_double_to_small(bits, NDK_HALF_FRACTION, NDK_HALF_BIAS);
    case NDK_BFLOAT16:
        return ndk_double_to_small(bits, NDK_BFLOAT_FRACTION, NDK_BFLOAT_BIAS);
    case NDK_FLOAT32:
        return ndk_double_to_small(bits, NDK_SINGLE_FRACTION, NDK_SINGLE_BIAS);
    default:
        return saturates ? ndk_saturate(ndk_integer_of_double(bits), dst_number)
                         : ndk_truncate(ndk_integer_of_double(bits), dst_number);
    }
}

/* `single` is what FLOAT16, BFLOAT16 and FLOAT32 are widened to. */
NDK_FUNCTION ndk_u64 ndk_from_single(ndk_u32 single, ndk_i32 dst_number, ndk_i32 saturates)
{
    switch (dst_number) {
    case NDK_BOOL:
        return (single & 0x7FFFFFFFu) != 0;
    case NDK_FLOAT16:
        return ndk_single_to_small(single, NDK_HALF_FRACTION, NDK_HALF_BIAS);
    case NDK_BFLOAT16:
        return ndk_single_to_small(single, NDK_BFLOAT_FRACTION, NDK_BFLOAT_BIAS);
    case NDK_FLOAT32:
        return single;
    case NDK_FLOAT64:
        return ndk_single_to_double(single);
    default:
        return saturates ? ndk_saturate(ndk_integer_of_single(single), dst_number)
                         : ndk_truncate(ndk_integer_of_single(single), dst_number);
    }
}

/* `value` is widened by its sign, if it has one. */
NDK_FUNCTION ndk_u64 ndk_from_integer(ndk_u64 value, ndk_i32 dst_number, ndk_i32 src_number, ndk_i32 saturates)
{
    ndk_integer integer;
    integer.is_negative = (src_number & 1) == 0 && (value & NDK_TOP_BIT) != 0;
    integer.magnitude = integer.is_negative ? 0 - value : value;
    integer.is_large = 0;
    integer.is_nan = 0;
    const ndk_u32 sign = (ndk_u32)integer.is_negative;
    const ndk_i32 is_short = ndk_number_nbytes(src_number) <= 4;
    switch (dst_number) {
    case NDK_BOOL:
        return value != 0;
    case NDK_FLOAT16:
        return sign << 15 | ndk_magnitude_to_small(integer.magnitude, is_short, NDK_HALF_FRACTION, NDK_HALF_BIAS);
    case NDK_BFLOAT16:
        return sign << 15 | ndk_magnitude_to_small(integer.magnitude, is_short, NDK_BFLOAT_FRACTION, NDK_BFLOAT_BIAS);
    case NDK_FLOAT32:
        return sign << 31 | ndk_magnitude_to_small(integer.magnitude, is_short, NDK_SINGLE_FRACTION, NDK_SINGLE_BIAS);
    case NDK_FLOAT64:
        return (ndk_u64)sign << 63 | ndk_magnitude_to_double(integer.magnitude);
    default:
        return saturates ? ndk_saturate(integer, dst_number) : value;
    }
}

NDK_FUNCTION ndk_u64 ndk_convert_number(ndk_u64 bits, ndk_i32 dst_number, ndk_i32 src_number, ndk_i32 saturates)
{
    if (dst_number == src_number) {
        return bits;
    }
    switch (src_number) {
    case NDK_BOOL:
        return ndk_from_integer(bits != 0, dst_number, NDK_UINT8, saturates);
    case NDK_INT8:
        return ndk_from_integer((ndk_u64)(ndk_i64)(ndk_i8)bits, dst_number, src_number, saturates);
    case NDK_INT16:
        return ndk_from_integer((ndk_u64)(ndk_i64)(ndk_i16)bits, dst_number, src_number, saturates);
    case NDK_INT32:
        return ndk_from_integer((ndk_u64)(ndk_i64)(ndk_i32)bits, dst_number, src_number, saturates);
    case NDK_FLOAT16:
        return ndk_from_single(ndk_half_to_single((ndk_u32)bits), dst_number, saturates);
    case NDK_BFLOAT16:
        return ndk_from_single(ndk_bfloat_to_single((ndk_u32)bits), dst_number, saturates);
    case NDK_FLOAT32:
        return ndk_from_single((ndk_u32)bits, dst_number, saturates);
    case NDK_FLOAT64:
        return ndk_from_double(bits, dst_number, saturates);
    default:
        return ndk_from_integer(bits, dst_number, src_number, saturates);
    }
}

/* Whether a number is anything but zero: of halves of complex ones. */
NDK_FUNCTION ndk_i32 ndk_is_true(ndk_u64 bits, ndk_i32 number)
{
    const ndk_u64 sign = ndk_is_float(number) ? (ndk_u64)1 << (8 * ndk_number_nbytes(number) - 1) : 0;
    return (bits & ~sign) != 0;
}

#endif
