/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_SMALL_FLOATS_H
#define NDBUF_CORE_SMALL_FLOATS_H

/* Single numbers to and from the floats of 16 bits that C has no type for: exact, and to the nearest, ties to even. */

#include <stdint.h>
#include <string.h>

static inline uint16_t ndbuf__narrow_double(double value, int fraction_nbits, int bias)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint16_t sign = (uint16_t)(bits >> 63 << 15);
    int exponent = (int)(bits >> 52 & 0x7FF);
    uint64_t fraction = bits & (((uint64_t)1 << 52) - 1);
    uint16_t infinity = (uint16_t)((2 * bias + 1) << fraction_nbits);
    int shift = 52 - fraction_nbits;
    if (exponent == 0x7FF) { /* a NaN keeps what there is room for, and is quiet */
        uint16_t payload = (uint16_t)(fraction >> shift);
        return (uint16_t)(sign | infinity | payload | (fraction != 0 ? 1 << (fraction_nbits - 1) : 0));
    }
    int place = exponent - 1023 + bias;
    if (place > 2 * bias) {
        return sign | infinity;
    }
    if (place < 1) {
        shift += 1 - place;
        place = 1;
    }
    if (exponent == 0 || shift > 54) { /* nothing is left of it */
        return sign;
    }
    uint64_t digits = fraction | (uint64_t)1 << 52;
    uint64_t kept = digits >> shift;
    uint64_t rest = digits & (((uint64_t)1 << shift) - 1);
    uint64_t half = (uint64_t)1 << (shift - 1);
    kept += rest > half || (rest == half && (kept & 1) != 0);
    /* The leading bit of a normal number adds one to its exponent; a carry goes on into it, up to infinity. */
    return (uint16_t)(sign | (((uint64_t)(place - 1) << fraction_nbits) + kept));
}

static inline double ndbuf__widen_small(uint16_t small, int fraction_nbits, int bias)
{
    uint64_t places = (uint64_t)bias;
    uint64_t sign = (uint64_t)(small >> 15) << 63;
    uint64_t exponent = (uint64_t)(small & 0x7FFF) >> fraction_nbits;
    uint64_t fraction = (uint64_t)(small & ((1u << fraction_nbits) - 1)) << (52 - fraction_nbits);
    if (exponent == 0) { /* 2^(1 - bias) times the fraction: what is left of 1 plus it */
        uint64_t scaled = (1024 - places) << 52;
        uint64_t whole = scaled | fraction;
        double one;
        double sum;
        memcpy(&one, &scaled, sizeof(one));
        memcpy(&sum, &whole, sizeof(sum));
        double value = sum - one;
        return sign != 0 ? -value : value;
    }
    exponent = exponent == 2 * places + 1 ? 0x7FF : exponent + 1023 - places;
    uint64_t bits = sign | exponent << 52 | fraction;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static inline uint16_t ndbuf__float16_from(double value)
{
    return ndbuf__narrow_double(value, 10, 15);
}

static inline double ndbuf__float16_value(uint16_t bits)
{
    return ndbuf__widen_small(bits, 10, 15);
}

static inline uint16_t ndbuf__bfloat16_from(double value)
{
    return ndbuf__narrow_double(value, 7, 127);
}

static inline double ndbuf__bfloat16_value(uint16_t bits)
{
    return ndbuf__widen_small(bits, 7, 127);
}

/* A double that rounds to any float of up to 51 bits as the integer does: what a double has no room for is kept as one
 * bit at its end. */
static inline double ndbuf__double_for_rounding(uint64_t magnitude)
{
    return magnitude >> 53 == 0 ? (double)magnitude : (double)(magnitude >> 11 | ((magnitude & 0x7FF) != 0)) * 2048.0;
}

#endif
