/* SPDX-License-Identifier: Apache-2.0 */
/* The reference for conversions is held against what is known of it: tables, C's own conversions where C defines them,
 * and the arithmetic of powers of two. */
#include "tests/support/reference_convert.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static ndbuf_element element_of(ndbuf_number number)
{
    return (ndbuf_element){.number = (int32_t)number, .nbytes = test_number_nbytes(number)};
}

static uint64_t convert_bits(ndbuf_number to, ndbuf_number from, uint64_t bits, uint32_t flags)
{
    ndbuf_element dst = element_of(to);
    ndbuf_element src = element_of(from);
    unsigned char in[8];
    unsigned char out[8] = {0};
    for (int i = 0; i < 8; i++) { /* in the order that does not depend on the host's */
        in[i] = (unsigned char)(bits >> (8 * i));
    }
    const uint16_t one = 1;
    bool is_big = *(const unsigned char *)&one == 0;
    dst.is_swapped = is_big;
    src.is_swapped = is_big;
    test_convert_element(out, &dst, in, &src, flags);
    uint64_t result = 0;
    for (int i = 0; i < dst.nbytes; i++) {
        result |= (uint64_t)out[i] << (8 * i);
    }
    return result;
}

enum {
    BOOL = NDBUF_NUMBER_BOOL,
    I8 = NDBUF_NUMBER_INT8,
    U8 = NDBUF_NUMBER_UINT8,
    I16 = NDBUF_NUMBER_INT16,
    U16 = NDBUF_NUMBER_UINT16,
    I32 = NDBUF_NUMBER_INT32,
    U32 = NDBUF_NUMBER_UINT32,
    I64 = NDBUF_NUMBER_INT64,
    U64 = NDBUF_NUMBER_UINT64,
    F16 = NDBUF_NUMBER_FLOAT16,
    BF16 = NDBUF_NUMBER_BFLOAT16,
    F32 = NDBUF_NUMBER_FLOAT32,
    F64 = NDBUF_NUMBER_FLOAT64
};

/* Bits, of numbers in the text of IEEE 754 and of cast.h. */
static const struct {
    int from;
    uint64_t bits;
    int to;
    uint64_t expected;
    uint64_t saturated;
} known[] = {
    /* to bool */
    {F32, 0x80000000, BOOL, 0, 0},
    {F32, 0x00000001, BOOL, 1, 1},
    {F32, 0x7FC00000, BOOL, 1, 1},
    {F64, 0, BOOL, 0, 0},
    {I64, 0x100000000, BOOL, 1, 1},
    {BOOL, 0xFE, BOOL, 0xFE, 0xFE},
    {BOOL, 0x80, U64, 1, 1},
    {BOOL, 2, F32, 0x3F800000, 0x3F800000},
    /* between integers */
    {I32, 0xFFFFFFFF, U8, 0xFF, 0},
    {I32, 300, U8, 44, 255},
    {I32, 300, I8, 44, 127},
    {I32, 0xFFFFFF00, I8, 0, 0x80},
    {U64, 0xFFFFFFFFFFFFFFFF, I64, 0xFFFFFFFFFFFFFFFF, 0x7FFFFFFFFFFFFFFF},
    {I8, 0x80, I64, 0xFFFFFFFFFFFFFF80, 0xFFFFFFFFFFFFFF80},
    {I8, 0x80, U16, 0xFF80, 0},
    /* integers to floats: ties to even, and beyond float16 */
    {I32, 16777217, F32, 0x4B800000, 0x4B800000},
    {I32, 16777219, F32, 0x4B800002, 0x4B800002},
    {U64, 0xFFFFFFFFFFFFFFFF, F64, 0x43F0000000000000, 0x43F0000000000000},
    {U64, 0xFFFFFFFFFFFFFFFF, F32, 0x5F800000, 0x5F800000},
    {I64, 0x8000000000000000, F32, 0xDF000000, 0xDF000000},
    {I32, 65519, F16, 0x7BFF, 0x7BFF},
    {I32, 65520, F16, 0x7C00, 0x7C00},
    {I32, 0xFFFF0010, F16, 0xFC00, 0xFC00},
    {I32, 2049, F16, 0x6800, 0x6800},
    {I32, 2051, F16, 0x6802, 0x6802},
    {U16, 257, BF16, 0x4380, 0x4380},
    {U16, 259, BF16, 0x4382, 0x4382},
    /* between floats */
    {F32, 0x3F800000, F16, 0x3C00, 0x3C00},
    {F32, 0x477FE000, F16, 0x7BFF, 0x7BFF}, /* 65504 */
    {F32, 0x477FEFFF, F16, 0x7BFF, 0x7BFF},
    {F32, 0x477FF000, F16, 0x7C00, 0x7C00}, /* 65520, halfway to what would be 65536 */
    {F32, 0x33800000, F16, 0x0001, 0x0001}, /* 2^-24 */
    {F32, 0x33000000, F16, 0x0000, 0x0000}, /* 2^-25 is halfway, and 0 even */
    {F32, 0x33000001, F16, 0x0001, 0x0001},
    {F32, 0xB3C00000, F16, 0x8002, 0x8002}, /* -1.5 * 2^-24 */
    {F32, 0x387FE000, F16, 0x0400, 0x0400}, /* the largest subnormal and a half: the smallest normal number */
    {F64, 0x3FF0020000000000, F16, 0x3C00, 0x3C00},
    {F64, 0x3FF0020000000001, F16, 0x3C01, 0x3C01}, /* by way of a float32 it would be 3C00 */
    {F64, 0x3FF0000010000000, F32, 0x3F800000, 0x3F800000},
    {F64, 0x3FF0000030000000, F32, 0x3F800002, 0x3F800002},
    {F64, 0x47EFFFFFF0000000, F32, 0x7F800000, 0x7F800000},
    {F64, 0x47EFFFFFEFFFFFFF, F32, 0x7F7FFFFF, 0x7F7FFFFF},
    {F64, 0x36A0000000000000, F32, 0x00000001, 0x00000001}, /* 2^-149 */
    {F64, 0x3690000000000000, F32, 0x00000000, 0x00000000},
    {F64, 0x0000000000000001, F32, 0x00000000, 0x00000000},
    {F32, 0x00000001, F64, 0x36A0000000000000, 0x36A0000000000000},
    {F16, 0x0001, F32, 0x33800000, 0x33800000},
    {F16, 0x83FF, F32, 0xB87FC000, 0xB87FC000},
    {F16, 0x0001, F64, 0x3E70000000000000, 0x3E70000000000000},
    {F32, 0x3F808000, BF16, 0x3F80, 0x3F80},
    {F32, 0x3F818000, BF16, 0x3F82, 0x3F82},
    {F32, 0x7F7FFFFF, BF16, 0x7F80, 0x7F80},
    {F32, 0x00008001, BF16, 0x0001, 0x0001},
    {BF16, 0x0001, F32, 0x00010000, 0x00010000},
    {BF16, 0x4780, F16, 0x7C00, 0x7C00}, /* 65536 */
    {F16, 0x7BFF, BF16, 0x4780, 0x4780},
    /* NaN and infinities */
    {F32, 0x7F800001, F64, 0x7FF8000020000000, 0x7FF8000020000000},
    {F32, 0xFF800001, F16, 0xFE00, 0xFE00},
    {F32, 0x7FA02000, F16, 0x7F01, 0x7F01},
    {F32, 0x7F800001, BF16, 0x7FC0, 0x7FC0},
    {F64, 0x7FF0000000000001, F32, 0x7FC00000, 0x7FC00000},
    {F64, 0xFFF8000020000000, F32, 0xFFC00001, 0xFFC00001},
    {F16, 0x7C01, F32, 0x7FC02000, 0x7FC02000},
    {F64, 0xFFF0000000000000, F32, 0xFF800000, 0xFF800000},
    {F32, 0x7F800001, F32, 0x7F800001, 0x7F800001},
    /* floats to integers */
    {F32, 0xC0200000, I32, 0xFFFFFFFE, 0xFFFFFFFE}, /* -2.5 */
    {F32, 0x3F7FFFFF, U8, 0, 0},
    {F32, 0xBF800000, U8, 0xFF, 0},
    {F32, 0x43960000, U8, 44, 255}, /* 300 */
    {F32, 0x43960000, I8, 44, 127},
    {F64, 0x41E0000000000000, I32, 0x80000000, 0x7FFFFFFF}, /* 2^31 */
    {F64, 0x41E0000000000000, I16, 0, 0x7FFF},
    {F64, 0x41DFFFFFFFC00000, I16, 0xFFFF, 0x7FFF}, /* 2^31 - 1 */
    {F64, 0x41E0000000000000, U32, 0x80000000, 0x80000000},
    {F64, 0xBFF0000000000000, U32, 0xFFFFFFFF, 0},
    {F64, 0x41F0000000100000, U32, 1, 0xFFFFFFFF}, /* 2^32 + 1 */
    {F64, 0x43E0000000000000, U32, 0, 0xFFFFFFFF}, /* 2^63 */
    {F64, 0x43E0000000000000, I64, 0x8000000000000000, 0x7FFFFFFFFFFFFFFF},
    {F64, 0x43E0000000000000, U64, 0x8000000000000000, 0x8000000000000000},
    {F64, 0x43EFFFFFFFFFFFFF, U64, 0xFFFFFFFFFFFFF800, 0xFFFFFFFFFFFFF800},
    {F64, 0x43F0000000000000, U64, 0x8000000000000000, 0xFFFFFFFFFFFFFFFF}, /* 2^64 */
    {F64, 0xBFF0000000000000, U64, 0xFFFFFFFFFFFFFFFF, 0},
    {F64, 0xC3E0000000000001, U64, 0x8000000000000000, 0}, /* below -2^63 */
    {F64, 0x7FF8000000000000, U64, 0x8000000000000000, 0},
    {F64, 0x7FF8000000000000, I64, 0x8000000000000000, 0},
    {F64, 0x7FF8000000000000, I32, 0x80000000, 0},
    {F64, 0x7FF8000000000000, U32, 0, 0},
    {F64, 0xFFF8000000000000, I8, 0, 0},
    {F64, 0x7FF0000000000000, I8, 0, 0x7F},
    {F64, 0xFFF0000000000000, I64, 0x8000000000000000, 0x8000000000000000},
    {F64, 0xFFF0000000000000, U64, 0x8000000000000000, 0},
    {F16, 0x7C00, U16, 0, 0xFFFF},
    {F16, 0x7BFF, U16, 65504, 65504},
    {BF16, 0xC040, I8, 0xFD, 0xFD}, /* -3 */
};

static void test_known_conversions(void **state)
{
    (void)state;
    for (size_t i = 0; i < LENGTH(known); i++) {
        uint64_t plain = convert_bits((ndbuf_number)known[i].to, (ndbuf_number)known[i].from, known[i].bits, 0);
        uint64_t saturated =
            convert_bits((ndbuf_number)known[i].to, (ndbuf_number)known[i].from, known[i].bits, NDBUF_CAST_SATURATE);
        if (plain != known[i].expected || saturated != known[i].saturated) {
            fail_msg("%s %llx to %s: %llx and %llx instead of %llx and %llx",
                     test_number_name((ndbuf_number)known[i].from), (unsigned long long)known[i].bits,
                     test_number_name((ndbuf_number)known[i].to), (unsigned long long)plain,
                     (unsigned long long)saturated, (unsigned long long)known[i].expected,
                     (unsigned long long)known[i].saturated);
        }
    }
}

/* 2^k * fraction for each of the 65536 patterns, and back. */
static void test_every_float16_and_bfloat16_is_what_powers_of_two_say(void **state)
{
    (void)state;
    static const struct {
        ndbuf_number number;
        int nfraction;
        int bias;
    } types[] = {{NDBUF_NUMBER_FLOAT16, 10, 15}, {NDBUF_NUMBER_BFLOAT16, 7, 127}};
    for (size_t t = 0; t < LENGTH(types); t++) {
        for (uint64_t bits = 0; bits < 65536; bits++) {
            int shift = types[t].nfraction;
            int exponent = (int)(bits >> shift) & ((1 << (15 - shift)) - 1);
            int fraction = (int)bits & ((1 << shift) - 1);
            if (exponent == (1 << (15 - shift)) - 1) {
                continue;
            }
            double worth = exponent == 0 ? ldexp(fraction, 1 - types[t].bias - shift)
                                         : ldexp(fraction + (1 << shift), exponent - types[t].bias - shift);
            worth = bits >> 15 ? -worth : worth;
            uint64_t expected;
            memcpy(&expected, &worth, sizeof(worth));
            assert_int_equal(convert_bits(NDBUF_NUMBER_FLOAT64, types[t].number, bits, 0), expected);
            assert_int_equal(convert_bits(types[t].number, NDBUF_NUMBER_FLOAT64, expected, 0), bits);
        }
    }
}

typedef long double long_double;

#define TYPES_OF_C(X)                                                                                                  \
    X(NDBUF_NUMBER_INT8, int8_t)                                                                                       \
    X(NDBUF_NUMBER_UINT8, uint8_t)                                                                                     \
    X(NDBUF_NUMBER_INT16, int16_t)                                                                                     \
    X(NDBUF_NUMBER_UINT16, uint16_t)                                                                                   \
    X(NDBUF_NUMBER_INT32, int32_t)                                                                                     \
    X(NDBUF_NUMBER_UINT32, uint32_t)                                                                                   \
    X(NDBUF_NUMBER_INT64, int64_t)                                                                                     \
    X(NDBUF_NUMBER_UINT64, uint64_t)                                                                                   \
    X(NDBUF_NUMBER_FLOAT32, float)                                                                                     \
    X(NDBUF_NUMBER_FLOAT64, double)                                                                                    \
    X(NDBUF_NUMBER_LONG_DOUBLE, long_double)

/* Converts by C, from every type to every type of C. */
#define STORE(number, type)                                                                                            \
    if (to == (number)) {                                                                                              \
        type converted = (type)value;                                                                                  \
        memcpy(out, &converted, sizeof(converted));                                                                    \
        return;                                                                                                        \
    }
#define LOAD(number, type)                                                                                             \
    static void from_##type(ndbuf_number to, void *out, const void *in)                                                \
    {                                                                                                                  \
        type value;                                                                                                    \
        memcpy(&value, in, sizeof(value));                                                                             \
        TYPES_OF_C(STORE)                                                                                              \
    }
LOAD(NDBUF_NUMBER_INT8, int8_t)
LOAD(NDBUF_NUMBER_UINT8, uint8_t)
LOAD(NDBUF_NUMBER_INT16, int16_t)
LOAD(NDBUF_NUMBER_UINT16, uint16_t)
LOAD(NDBUF_NUMBER_INT32, int32_t)
LOAD(NDBUF_NUMBER_UINT32, uint32_t)
LOAD(NDBUF_NUMBER_INT64, int64_t)
LOAD(NDBUF_NUMBER_UINT64, uint64_t)
LOAD(NDBUF_NUMBER_FLOAT32, float)
LOAD(NDBUF_NUMBER_FLOAT64, double)
LOAD(NDBUF_NUMBER_LONG_DOUBLE, long_double)

static void convert_by_c(ndbuf_number to, void *out, ndbuf_number from, const void *in)
{
    static void (*const functions[])(ndbuf_number, void *,
                                     const void *) = {[NDBUF_NUMBER_INT8] = from_int8_t,
                                                      [NDBUF_NUMBER_UINT8] = from_uint8_t,
                                                      [NDBUF_NUMBER_INT16] = from_int16_t,
                                                      [NDBUF_NUMBER_UINT16] = from_uint16_t,
                                                      [NDBUF_NUMBER_INT32] = from_int32_t,
                                                      [NDBUF_NUMBER_UINT32] = from_uint32_t,
                                                      [NDBUF_NUMBER_INT64] = from_int64_t,
                                                      [NDBUF_NUMBER_UINT64] = from_uint64_t,
                                                      [NDBUF_NUMBER_FLOAT32] = from_float,
                                                      [NDBUF_NUMBER_FLOAT64] = from_double,
                                                      [NDBUF_NUMBER_LONG_DOUBLE] = from_long_double};
    functions[from](to, out, in);
}

/* Whether C says what an integer of `to` becomes of this float. */
static bool c_defines(ndbuf_number to, ndbuf_number from, const void *in)
{
    if (to >= NDBUF_NUMBER_FLOAT16 || from < NDBUF_NUMBER_FLOAT16) {
        return true;
    }
    long double value = 0;
    convert_by_c(NDBUF_NUMBER_LONG_DOUBLE, &value, from, in);
    int nbits = 8 * test_number_nbytes(to);
    bool has_sign = (to - NDBUF_NUMBER_INT8) % 2 == 0;
    long double end = ldexpl(1, has_sign ? nbits - 1 : nbits);
    long double whole = truncl(value);
    return whole < end && whole >= (has_sign ? -end : 0);
}

static void test_what_c_defines_is_as_c_does_it(void **state)
{
    (void)state;
    static const ndbuf_number numbers[] = {NDBUF_NUMBER_INT8,    NDBUF_NUMBER_UINT8,      NDBUF_NUMBER_INT16,
                                           NDBUF_NUMBER_UINT16,  NDBUF_NUMBER_INT32,      NDBUF_NUMBER_UINT32,
                                           NDBUF_NUMBER_INT64,   NDBUF_NUMBER_UINT64,     NDBUF_NUMBER_FLOAT32,
                                           NDBUF_NUMBER_FLOAT64, NDBUF_NUMBER_LONG_DOUBLE};
    test_random random = test_random_make(__func__, 61);
    int64_t ncompared = 0;
    for (int64_t i = 0; i < 300000; i++) {
        ndbuf_number to = numbers[test_random_range(&random, 0, (int64_t)LENGTH(numbers) - 1)];
        ndbuf_number from = numbers[test_random_range(&random, 0, (int64_t)LENGTH(numbers) - 1)];
        ndbuf_element dst = element_of(to);
        ndbuf_element src = element_of(from);
        unsigned char in[16] = {0};
        unsigned char out[16] = {0};
        unsigned char expected[16] = {0};
        test_random_element(&random, &src, in);
        if (!c_defines(to, from, in)) {
            continue;
        }
        test_convert_element(out, &dst, in, &src, 0);
        if (to == from) {
            memcpy(expected, in, sizeof(expected)); /* a load and a store of x87 set the quiet bit */
        } else {
            convert_by_c(to, expected, from, in);
        }
        size_t nbytes = (size_t)dst.nbytes;
        if (to == NDBUF_NUMBER_LONG_DOUBLE && LDBL_MANT_DIG == 64) {
            nbytes = 10;
        }
        if (memcmp(out, expected, nbytes) != 0) {
            fail_msg("%s to %s, number %lld: C disagrees", test_number_name(from), test_number_name(to), (long long)i);
        }
        ncompared++;
    }
    assert_true(ncompared > 200000);
}

static void test_complex_numbers_are_halves(void **state)
{
    (void)state;
    const float in[2] = {1.5f, -2.5f};
    const float only_imaginary[2] = {0.0f, 3.0f};
    ndbuf_element c8 = {NDBUF_NUMBER_FLOAT32, 8, 1, 0};
    ndbuf_element c16 = {NDBUF_NUMBER_FLOAT64, 16, 1, 0};
    ndbuf_element i2 = {NDBUF_NUMBER_INT16, 2, 0, 0};
    ndbuf_element boolean = {NDBUF_NUMBER_BOOL, 1, 0, 0};
    double doubles[2];
    int16_t integer;
    unsigned char truth;
    test_convert_element(doubles, &c16, in, &c8, 0);
    assert_true(doubles[0] == 1.5 && doubles[1] == -2.5);
    test_convert_element(&integer, &i2, in, &c8, 0);
    assert_int_equal(integer, 1);
    test_convert_element(&truth, &boolean, only_imaginary, &c8, 0);
    assert_int_equal(truth, 1);
    integer = -7;
    test_convert_element(doubles, &c16, &integer, &i2, 0);
    assert_true(doubles[0] == -7 && doubles[1] == 0 && !signbit(doubles[1]));
}

static test_type number_type(ndbuf_number number, const char *name, int64_t offset, bool is_swapped)
{
    test_type type = {.kind = TEST_TYPE_NUMBER, .element = element_of(number), .offset = offset};
    type.element.is_swapped = is_swapped;
    type.nbytes = type.element.nbytes;
    memcpy(type.name, name, strlen(name) + 1);
    return type;
}

static void test_records_go_by_name_and_leave_padding_alone(void **state)
{
    (void)state;
    test_type from_fields[] = {number_type(NDBUF_NUMBER_INT16, "a", 0, false),
                               number_type(NDBUF_NUMBER_UINT8, "b", 2, false),
                               number_type(NDBUF_NUMBER_INT16, "c", 3, false)};
    test_type to_fields[] = {number_type(NDBUF_NUMBER_INT32, "c", 1, true),
                             number_type(NDBUF_NUMBER_UINT8, "a", 6, false)};
    from_fields[2].ndim = to_fields[0].ndim = 1;
    from_fields[2].extents[0] = to_fields[0].extents[0] = 1;
    test_type from = {.kind = TEST_TYPE_RECORD, .nbytes = 5, .nfields = 3, .fields = from_fields};
    test_type to = {.kind = TEST_TYPE_RECORD, .nbytes = 8, .nfields = 2, .fields = to_fields};
    from.is_named = to.is_named = from.has_braces = to.has_braces = true;

    const int16_t a = 0x102;
    const int16_t c = -2;
    char in[5] = {0, 0, 9, 0, 0};
    memcpy(in, &a, 2);
    memcpy(in + 3, &c, 2);
    char out[8];
    memset(out, 0x55, sizeof(out));
    test_convert_item(out, &to, in, &from, 0);
    static const unsigned char little[8] = {0x55, 0xFF, 0xFF, 0xFF, 0xFE, 0x55, 2, 0x55};
    static const unsigned char big[8] = {0x55, 0xFE, 0xFF, 0xFF, 0xFF, 0x55, 2, 0x55};
    assert_memory_equal(out, *(const unsigned char *)&a == 2 ? little : big, sizeof(out));

    /* By position, where one side has no names. */
    to.is_named = false;
    to_fields[0].ndim = 0;
    test_convert_item(out, &to, in, &from, 0);
    assert_int_equal(out[6], 9);

    char text[80];
    to.is_named = true;
    to_fields[0].ndim = 1;
    test_type_print(&to, text, sizeof(text));
    assert_string_equal(text, *(const unsigned char *)&a == 2 ? "T{1x(1)>i:c:1x<B:a:1x}" : "T{1x(1)<i:c:1x>B:a:1x}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_conversions),
        cmocka_unit_test(test_every_float16_and_bfloat16_is_what_powers_of_two_say),
        cmocka_unit_test(test_what_c_defines_is_as_c_does_it),
        cmocka_unit_test(test_complex_numbers_are_halves),
        cmocka_unit_test(test_records_go_by_name_and_leave_padding_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
