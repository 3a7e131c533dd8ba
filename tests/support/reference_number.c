/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/reference_number.h"

#include <float.h>
#include <string.h>

__extension__ typedef unsigned __int128 wide;
__extension__ typedef __int128 signed_wide;

#define ONE ((wide)1)

int32_t test_number_nbytes(ndbuf_number number)
{
    switch (number) {
    case NDBUF_NUMBER_BOOL:
    case NDBUF_NUMBER_INT8:
    case NDBUF_NUMBER_UINT8:
        return 1;
    case NDBUF_NUMBER_INT16:
    case NDBUF_NUMBER_UINT16:
    case NDBUF_NUMBER_FLOAT16:
    case NDBUF_NUMBER_BFLOAT16:
        return 2;
    case NDBUF_NUMBER_INT32:
    case NDBUF_NUMBER_UINT32:
    case NDBUF_NUMBER_FLOAT32:
        return 4;
    case NDBUF_NUMBER_INT64:
    case NDBUF_NUMBER_UINT64:
    case NDBUF_NUMBER_FLOAT64:
        return 8;
    case NDBUF_NUMBER_LONG_DOUBLE:
        return (int32_t)sizeof(long double);
    }
    fail_msg("no number %d", (int)number);
    return 0;
}

const char *test_number_name(ndbuf_number number)
{
    static const char *const names[] = {"none",    "bool",     "int8",    "uint8",   "int16",
                                        "uint16",  "int32",    "uint32",  "int64",   "uint64",
                                        "float16", "bfloat16", "float32", "float64", "long double"};
    return names[number];
}

static bool is_signed(ndbuf_number number)
{
    return number == NDBUF_NUMBER_INT8 || number == NDBUF_NUMBER_INT16 || number == NDBUF_NUMBER_INT32 ||
           number == NDBUF_NUMBER_INT64;
}

static bool is_float(ndbuf_number number)
{
    return number >= NDBUF_NUMBER_FLOAT16;
}

/* -- bytes -- */

/* The significant bytes of a number. Those of x87's long double are 10 of 12 or 16. */
static int32_t used_nbytes(ndbuf_number number)
{
    bool is_x87 = number == NDBUF_NUMBER_LONG_DOUBLE && LDBL_MANT_DIG == 64;
    return is_x87 ? 10 : test_number_nbytes(number);
}

/* Where the byte of weight 256^i lies. */
static int32_t byte_at(int32_t i, int32_t nbytes, bool is_swapped)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    bool is_little = (first == 1) != is_swapped;
    return is_little ? i : nbytes - 1 - i;
}

static wide load_bits(const unsigned char *bytes, ndbuf_number number, bool is_swapped)
{
    wide bits = 0;
    int32_t nbytes = used_nbytes(number);
    for (int32_t i = 0; i < nbytes; i++) {
        bits |= (wide)bytes[byte_at(i, nbytes, is_swapped)] << (8 * i);
    }
    return bits;
}

static void store_bits(unsigned char *bytes, ndbuf_number number, bool is_swapped, wide bits)
{
    int32_t nbytes = used_nbytes(number);
    memset(bytes, 0, (size_t)test_number_nbytes(number));
    for (int32_t i = 0; i < nbytes; i++) {
        bytes[byte_at(i, nbytes, is_swapped)] = (unsigned char)(bits >> (8 * i));
    }
}

/* -- floating-point types -- */

/* The patterns of a type, without the sign, are its values in ascending order: the exponent's bits above those of the
 * fraction. */
typedef struct float_type {
    int32_t exponent_nbits;
    int32_t fraction_nbits;
    bool has_integer_bit; /* x87 stores the bit before the fraction, which all others imply */
} float_type;

static float_type float_type_of(ndbuf_number number)
{
    switch (number) {
    case NDBUF_NUMBER_FLOAT16:
        return (float_type){5, 10, false};
    case NDBUF_NUMBER_BFLOAT16:
        return (float_type){8, 7, false};
    case NDBUF_NUMBER_FLOAT32:
        return (float_type){8, 23, false};
    case NDBUF_NUMBER_FLOAT64:
        return (float_type){11, 52, false};
    default:
        break;
    }
    return LDBL_MANT_DIG == 64   ? (float_type){15, 63, true}
           : LDBL_MANT_DIG == 53 ? (float_type){11, 52, false}
                                 : (float_type){15, 112, false};
}

static wide infinity_of(float_type type)
{
    return ((ONE << type.exponent_nbits) - 1) << type.fraction_nbits;
}

static wide fraction_mask(float_type type)
{
    return (ONE << type.fraction_nbits) - 1;
}

static wide pattern_of_bits(float_type type, wide bits, bool *out_negative)
{
    int32_t nbits = type.exponent_nbits + type.fraction_nbits + type.has_integer_bit;
    *out_negative = (bits >> nbits & 1) != 0;
    wide exponent = bits >> (nbits - type.exponent_nbits) & ((ONE << type.exponent_nbits) - 1);
    return exponent << type.fraction_nbits | (bits & fraction_mask(type));
}

static wide bits_of_pattern(float_type type, wide pattern, bool negative)
{
    int32_t nbits = type.exponent_nbits + type.fraction_nbits + type.has_integer_bit;
    wide exponent = pattern >> type.fraction_nbits;
    wide bits = (wide)negative << nbits | exponent << (nbits - type.exponent_nbits) | (pattern & fraction_mask(type));
    if (type.has_integer_bit && exponent != 0) {
        bits |= ONE << type.fraction_nbits;
    }
    return bits;
}

/* mantissa * 2^exponent */
typedef struct magnitude {
    wide mantissa;
    int32_t exponent;
} magnitude;

/* What a pattern is worth; that of infinity what would follow the largest number. */
static magnitude magnitude_of_pattern(float_type type, wide pattern)
{
    int32_t exponent = (int32_t)(pattern >> type.fraction_nbits);
    int32_t bias = (1 << (type.exponent_nbits - 1)) - 1;
    wide fraction = pattern & fraction_mask(type);
    return exponent == 0 ? (magnitude){fraction, 1 - bias - type.fraction_nbits}
                         : (magnitude){fraction | ONE << type.fraction_nbits, exponent - bias - type.fraction_nbits};
}

/* With the highest bit of the mantissa set, which must not be 0. */
static magnitude normalized(magnitude x)
{
    const uint64_t high = (uint64_t)(x.mantissa >> 64);
    const int32_t nzeros = high != 0 ? __builtin_clzll(high) : 64 + __builtin_clzll((uint64_t)x.mantissa);
    return (magnitude){x.mantissa << nzeros, x.exponent - nzeros};
}

/* -1, 0, 1 */
static int compare(magnitude a, magnitude b)
{
    if (a.mantissa == 0 || b.mantissa == 0) {
        return (a.mantissa != 0) - (b.mantissa != 0);
    }
    a = normalized(a);
    b = normalized(b);
    if (a.exponent != b.exponent) {
        return a.exponent < b.exponent ? -1 : 1;
    }
    return (a.mantissa > b.mantissa) - (a.mantissa < b.mantissa);
}

/* The largest pattern that is not greater than x, which is less than infinity. */
static wide pattern_below(float_type type, magnitude x)
{
    if (x.mantissa == 0) {
        return 0;
    }
    const int32_t bias = (1 << (type.exponent_nbits - 1)) - 1;
    x = normalized(x);
    int32_t exponent = x.exponent + 127 + bias;
    exponent = exponent < 0 ? 0 : exponent;
    const int32_t last_bit = (exponent == 0 ? 1 : exponent) - bias - type.fraction_nbits;
    const int32_t shift = last_bit - x.exponent;
    const wide digits = shift < 128 ? x.mantissa >> shift : 0;
    return (wide)exponent << type.fraction_nbits | (digits & fraction_mask(type));
}

/* The pattern of the nearest value; of two as near, the even one. */
static wide nearest_pattern(float_type type, magnitude x)
{
    if (compare(x, magnitude_of_pattern(type, infinity_of(type))) >= 0) {
        return infinity_of(type);
    }
    const wide below = pattern_below(type, x);
    magnitude halfway = magnitude_of_pattern(type, below);
    assert_true(compare(halfway, x) <= 0 && compare(x, magnitude_of_pattern(type, below + 1)) < 0);
    halfway = (magnitude){2 * halfway.mantissa + 1, halfway.exponent - 1};
    int side = compare(x, halfway);
    return side < 0 ? below : side > 0 ? below + 1 : below + below % 2;
}

/* -- values -- */

typedef enum value_kind { VALUE_FINITE, VALUE_INFINITE, VALUE_NAN } value_kind;

typedef struct value {
    value_kind kind;
    bool negative;
    magnitude finite;
    wide payload; /* of a NaN: its fraction, with the highest bit as bit 127 */
} value;

static value load_value(const unsigned char *bytes, ndbuf_number number, bool is_swapped)
{
    wide bits = load_bits(bytes, number, is_swapped);
    value v = {.kind = VALUE_FINITE};
    if (number == NDBUF_NUMBER_BOOL) {
        v.finite.mantissa = bits != 0;
    } else if (!is_float(number)) {
        int32_t nbits = 8 * test_number_nbytes(number);
        v.negative = is_signed(number) && (bits >> (nbits - 1) & 1) != 0;
        v.finite.mantissa = v.negative ? (ONE << nbits) - bits : bits;
    } else {
        float_type type = float_type_of(number);
        wide pattern = pattern_of_bits(type, bits, &v.negative);
        if (pattern < infinity_of(type)) {
            v.finite = magnitude_of_pattern(type, pattern);
        } else {
            v.kind = pattern == infinity_of(type) ? VALUE_INFINITE : VALUE_NAN;
            v.payload = (pattern & fraction_mask(type)) << (128 - type.fraction_nbits);
        }
    }
    return v;
}

static wide float_bits(const value *v, float_type type)
{
    wide pattern = infinity_of(type);
    if (v->kind == VALUE_NAN) {
        wide quiet = ONE << (type.fraction_nbits - 1);
        pattern |= v->payload >> (128 - type.fraction_nbits) | quiet;
    } else if (v->kind == VALUE_FINITE) {
        pattern = nearest_pattern(type, v->finite);
    }
    return bits_of_pattern(type, pattern, v->negative);
}

/* The integer that is left without the fraction; what is beyond 2^100, and infinities, as 2^100. */
static signed_wide truncated(const value *v)
{
    const magnitude huge = {ONE, 100};
    wide whole;
    if (v->kind != VALUE_FINITE || compare(v->finite, huge) >= 0) {
        whole = ONE << 100;
    } else if (v->finite.exponent >= 0) {
        whole = v->finite.mantissa == 0 ? 0 : v->finite.mantissa << v->finite.exponent;
    } else {
        whole = v->finite.exponent <= -128 ? 0 : v->finite.mantissa >> -v->finite.exponent;
    }
    return v->negative ? -(signed_wide)whole : (signed_wide)whole;
}

static signed_wide least_of(int32_t nbits, bool has_sign)
{
    return has_sign ? -((signed_wide)1 << (nbits - 1)) : 0;
}

static signed_wide most_of(int32_t nbits, bool has_sign)
{
    return ((signed_wide)1 << (has_sign ? nbits - 1 : nbits)) - 1;
}

/* What x86-64's instructions make of it: the most negative value of what does not fit. */
static signed_wide in_register(const value *v, int32_t nbits)
{
    signed_wide whole = truncated(v);
    bool fits = v->kind == VALUE_FINITE && whole >= least_of(nbits, true) && whole <= most_of(nbits, true);
    return fits ? whole : least_of(nbits, true);
}

static wide integer_bits(const value *v, ndbuf_number number, bool from_float, uint32_t flags)
{
    int32_t nbits = 8 * test_number_nbytes(number);
    bool has_sign = is_signed(number);
    signed_wide whole;
    if ((flags & NDBUF_CAST_SATURATE) != 0) {
        whole = v->kind == VALUE_NAN ? 0 : truncated(v);
        whole = whole < least_of(nbits, has_sign) ? least_of(nbits, has_sign) : whole;
        whole = whole > most_of(nbits, has_sign) ? most_of(nbits, has_sign) : whole;
    } else if (!from_float) {
        whole = truncated(v);
    } else if (number == NDBUF_NUMBER_UINT64) {
        bool is_nan = v->kind == VALUE_NAN;
        whole = truncated(v);
        if (is_nan || whole > most_of(64, false)) {
            whole = (signed_wide)1 << 63;
        } else if (whole <= most_of(64, true)) {
            whole = in_register(v, 64);
        }
    } else {
        bool wants_64 = number == NDBUF_NUMBER_UINT32 || number == NDBUF_NUMBER_INT64;
        whole = in_register(v, wants_64 ? 64 : 32);
    }
    return (wide)whole & ((ONE << nbits) - 1);
}

static bool is_true(const value *v)
{
    return v->kind != VALUE_FINITE || v->finite.mantissa != 0;
}

static void convert_number(unsigned char *dst, const ndbuf_element *to, const unsigned char *src,
                           const ndbuf_element *from, uint32_t flags)
{
    ndbuf_number number = (ndbuf_number)to->number;
    value v = load_value(src, (ndbuf_number)from->number, from->is_swapped != 0);
    wide bits;
    if (to->number == from->number) {
        bits = load_bits(src, number, from->is_swapped != 0);
    } else if (number == NDBUF_NUMBER_BOOL) {
        bits = is_true(&v);
    } else if (is_float(number)) {
        bits = float_bits(&v, float_type_of(number));
    } else {
        bits = integer_bits(&v, number, is_float((ndbuf_number)from->number), flags);
    }
    store_bits(dst, number, to->is_swapped != 0, bits);
}

void test_convert_element(void *out_dst, const ndbuf_element *to, const void *src, const ndbuf_element *from,
                          uint32_t flags)
{
    unsigned char *dst = out_dst;
    const unsigned char *at = src;
    int32_t to_nbytes = test_number_nbytes((ndbuf_number)to->number);
    int32_t from_nbytes = test_number_nbytes((ndbuf_number)from->number);
    if (to->number == NDBUF_NUMBER_BOOL && from->is_complex) {
        value re = load_value(at, (ndbuf_number)from->number, from->is_swapped != 0);
        value im = load_value(at + from_nbytes, (ndbuf_number)from->number, from->is_swapped != 0);
        dst[0] = is_true(&re) || is_true(&im);
        return;
    }
    convert_number(dst, to, at, from, flags);
    if (to->is_complex && from->is_complex) {
        convert_number(dst + to_nbytes, to, at + from_nbytes, from, flags);
    } else if (to->is_complex) {
        memset(dst + to_nbytes, 0, (size_t)to_nbytes);
    }
}

/* -- random values -- */

/* Bits of a fraction or an integer that are hard to round: some leading ones random, then 1000, 0111, 0000 or 1111, and
 * perhaps a last bit that decides. */
static wide hard_bits(test_random *random, int32_t nbits)
{
    wide any = (wide)test_random_next(random) << 64 | test_random_next(random);
    wide mask = (ONE << nbits) - 1;
    int32_t ntail = (int32_t)test_random_range(random, 0, nbits);
    wide tail_mask = (ONE << ntail) - 1;
    wide half = ntail > 0 ? ONE << (ntail - 1) : 0;
    switch (test_random_range(random, 0, 5)) {
    case 0:
        return any & mask;
    case 1:
        return (any & mask & ~tail_mask) | half;
    case 2:
        return ((any & mask & ~tail_mask) | half) + (ntail > 1 ? 1 : 0);
    case 3:
        return ((any & mask & ~tail_mask) | half) - (half > 0 ? 1 : 0);
    case 4:
        return any & mask & ~tail_mask;
    default:
        return (any & mask) | tail_mask;
    }
}

static wide random_float_bits(test_random *random, float_type type)
{
    int64_t bias = (1 << (type.exponent_nbits - 1)) - 1;
    int64_t last = ((int64_t)1 << type.exponent_nbits) - 1;
    int64_t exponent;
    /* Where the ranges of the types end, from subnormals of float16 to beyond 2^64. */
    static const int64_t ends[] = {-16495, -1075, -1022, -150, -133, -126, -25, -24, -15, -14, -1,  0,   7,
                                   8,      10,    15,    16,   23,   24,   31,  32,  52,  62,  63,  64,  65,
                                   127,    128,   1023,  1024, 2,    9,    11,  53,  14,  6,   126, 1022};
    switch (test_random_range(random, 0, 7)) {
    case 0:
        exponent = 0;
        break;
    case 1:
        exponent = last;
        break;
    case 2:
        exponent = test_random_range(random, 0, last);
        break;
    case 3:
    case 4:
        exponent = bias + ends[test_random_range(random, 0, (int64_t)(sizeof(ends) / sizeof(ends[0])) - 1)];
        break;
    default:
        exponent = bias + test_random_range(random, -3, 66);
        break;
    }
    exponent = exponent < 0 ? 0 : exponent > last ? last : exponent;
    wide fraction = test_random_range(random, 0, 4) == 0 ? 0 : hard_bits(random, type.fraction_nbits);
    bool negative = test_random_range(random, 0, 1) == 1;
    return bits_of_pattern(type, (wide)exponent << type.fraction_nbits | fraction, negative);
}

static wide random_integer_bits(test_random *random, int32_t nbits)
{
    wide mask = (ONE << nbits) - 1;
    switch (test_random_range(random, 0, 3)) {
    case 0:
        return (wide)test_random_next(random) & mask;
    case 1: /* small ones */
        return (wide)(signed_wide)test_random_range(random, -4, 4) & mask;
    case 2: { /* near powers of two: bounds */
        wide power = ONE << test_random_range(random, 0, nbits - 1);
        return (power + (wide)(signed_wide)test_random_range(random, -2, 2)) & mask;
    }
    default: {
        int32_t used = (int32_t)test_random_range(random, 1, nbits);
        wide bits = hard_bits(random, used);
        return (test_random_range(random, 0, 1) == 1 ? -bits : bits) & mask;
    }
    }
}

void test_random_element(test_random *random, const ndbuf_element *element, void *out_bytes)
{
    unsigned char *bytes = out_bytes;
    ndbuf_number number = (ndbuf_number)element->number;
    int32_t nbytes = test_number_nbytes(number);
    for (int half = 0; half <= (element->is_complex != 0); half++) {
        wide bits;
        if (number == NDBUF_NUMBER_BOOL) {
            bits = (wide)test_random_range(random, 0, 1) * (test_random_range(random, 0, 3) == 0 ? 0xFE : 1);
        } else if (is_float(number)) {
            bits = random_float_bits(random, float_type_of(number));
        } else {
            bits = random_integer_bits(random, 8 * nbytes);
        }
        store_bits(bytes + half * nbytes, number, element->is_swapped != 0, bits);
    }
}
