/* SPDX-License-Identifier: Apache-2.0 */

/* Conversion on the host: against the reference, against what C defines of its own conversions, and the floats of 16
 * bits one by one. */
#include "backends/kernels/convert_host.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/convert_case.h"
#include "tests/support/reference_copy.h"

static ndbuf_element element_of(ndbuf_number number)
{
    return (ndbuf_element){.number = (int32_t)number, .nbytes = test_number_nbytes(number)};
}

/* One row, dense on both sides. */
static void convert(ndbuf_number dst, void *to, ndbuf_number src, const void *from, int64_t count)
{
    ndbuf__converter converter;
    const ndbuf_element dst_element = element_of(dst);
    const ndbuf_element src_element = element_of(src);
    assert_true(ndbuf__converter_init(&converter, &dst_element, &src_element, 0));
    ndbuf__convert_row(&converter, to, dst_element.nbytes, from, src_element.nbytes, count);
}

/* Runs a case row by row, along its last axis. */
static void run(const test_convert_case *one)
{
    ndbuf__converter converter;
    int64_t index[TEST_CONVERT_MAX_NDIM] = {0};
    int32_t last = one->ndim - 1;
    int32_t k;
    assert_true(ndbuf__converter_init(&converter, &one->dst_element, &one->src_element, one->flags));
    do {
        char *dst = one->dst + one->dst_offset;
        const char *src = one->src + one->src_offset;
        for (k = 0; k < last; k++) {
            dst += index[k] * one->dst_strides[k];
            src += index[k] * one->src_strides[k];
        }
        if (last < 0) {
            ndbuf__convert_row(&converter, dst, 0, src, 0, 1);
        } else {
            ndbuf__convert_row(&converter, dst, one->dst_strides[last], src, one->src_strides[last], one->shape[last]);
        }
        for (k = last - 1; k >= 0 && ++index[k] == one->shape[k]; k--) {
            index[k] = 0;
        }
    } while (k >= 0);
}

static void test_rows_of_all_pairs_agree_with_the_reference(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    for (int dst = NDBUF_NUMBER_BOOL; dst <= NDBUF_NUMBER_LONG_DOUBLE; dst++) {
        for (int src = NDBUF_NUMBER_BOOL; src <= NDBUF_NUMBER_LONG_DOUBLE; src++) {
            for (int i = 0; i < 16; i++) {
                test_convert_case one;
                test_convert_case_make(&one, &random, (ndbuf_number)dst, (ndbuf_number)src,
                                       i % 2 == 0 ? TEST_CONVERT_DENSE : 0);
                run(&one);
                test_assert_bytes_equal(one.text, one.dst, one.expected, one.dst_nbytes);
                test_convert_case_free(&one);
            }
        }
    }
}

/* The value of a float of 16 bits, from what its bits mean. */
static double value_of(uint32_t bits, int32_t fraction, int32_t bias)
{
    int32_t exponent = (int32_t)(bits >> fraction);
    double digits = bits & ((1u << fraction) - 1);
    return exponent == 0 ? ldexp(digits, 1 - bias - fraction)
                         : ldexp(digits + (1 << fraction), exponent - bias - fraction);
}

/* Every float of 16 bits that is no NaN, and what lies between it and the next one, becomes and is become. */
static void try_every_small_float(ndbuf_number number, int32_t fraction, int32_t bias)
{
    const uint32_t infinity = (2u * (uint32_t)bias + 1) << fraction;
    for (uint32_t bits = 0; bits < infinity; bits++) {
        for (int sign = 0; sign < 2; sign++) {
            double factor = sign == 0 ? 1 : -1;
            double value = factor * value_of(bits, fraction, bias);
            double next = factor * value_of(bits + 1, fraction, bias); /* also beyond the last one */
            double middle = value + (next - value) / 2;
            uint16_t small = (uint16_t)(bits | (uint32_t)sign << 15);
            uint16_t above = (uint16_t)(small + 1);
            const double doubles[] = {value, nextafter(middle, value), middle, nextafter(middle, next)};
            const uint16_t expected[] = {small, small, bits % 2 == 0 ? small : above, above};
            uint16_t rounded[4];
            float single;
            double wide;
            convert(number, rounded, NDBUF_NUMBER_FLOAT64, doubles, 4);
            assert_memory_equal(rounded, expected, sizeof(expected));
            convert(NDBUF_NUMBER_FLOAT64, &wide, number, &small, 1);
            assert_memory_equal(&wide, &value, sizeof(value));
            convert(NDBUF_NUMBER_FLOAT32, &single, number, &small, 1);
            assert_true(single == (float)value && !signbit(single) == !signbit(value));
            const float singles[] = {(float)value, nextafterf((float)middle, (float)value), (float)middle,
                                     nextafterf((float)middle, INFINITY * (float)factor)};
            convert(number, rounded, NDBUF_NUMBER_FLOAT32, singles, 4);
            assert_memory_equal(rounded, expected, sizeof(expected));
        }
    }
}

static void test_every_half_is_read_and_rounded_to(void **state)
{
    (void)state;
    try_every_small_float(NDBUF_NUMBER_FLOAT16, 10, 15);
}

static void test_every_bfloat_is_read_and_rounded_to(void **state)
{
    (void)state;
    try_every_small_float(NDBUF_NUMBER_BFLOAT16, 7, 127);
}

/* Bits that are often special, and any. */
static uint64_t hard_bits(test_random *random)
{
    uint64_t bits = test_random_next(random);
    int64_t shift = test_random_range(random, 0, 63);
    switch (test_random_range(random, 0, 3)) {
    case 0:
        return bits >> shift;
    case 1:
        return 0 - (bits >> shift);
    case 2:
        return ((uint64_t)1 << shift) + (uint64_t)test_random_range(random, -2, 2);
    default:
        return bits;
    }
}

/* to = (T)from, as the compiler makes it of any value that C defines it for. */
#define TRY_CAST(to_number, to_type, from_number, from_type, is_defined)                                               \
    for (int i = 0; i < 20000; i++) {                                                                                  \
        uint64_t bits = hard_bits(&random);                                                                            \
        from_type from;                                                                                                \
        to_type to;                                                                                                    \
        memcpy(&from, &bits, sizeof(from));                                                                            \
        if (is_defined) {                                                                                              \
            to_type expected = (to_type)from;                                                                          \
            convert(NDBUF_NUMBER_##to_number, &to, NDBUF_NUMBER_##from_number, &from, 1);                              \
            assert_memory_equal(&to, &expected, sizeof(to));                                                           \
        }                                                                                                              \
    }

static void test_integers_become_what_C_makes_of_them(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 2);
    TRY_CAST(FLOAT32, float, INT32, int32_t, true)
    TRY_CAST(FLOAT32, float, UINT32, uint32_t, true)
    TRY_CAST(FLOAT32, float, INT64, int64_t, true)
    TRY_CAST(FLOAT32, float, UINT64, uint64_t, true)
    TRY_CAST(FLOAT64, double, INT32, int32_t, true)
    TRY_CAST(FLOAT64, double, INT64, int64_t, true)
    TRY_CAST(FLOAT64, double, UINT64, uint64_t, true)
    TRY_CAST(INT8, int8_t, INT64, int64_t, true)
    TRY_CAST(UINT16, uint16_t, INT8, int8_t, true)
    TRY_CAST(UINT64, uint64_t, INT16, int16_t, true)
    TRY_CAST(INT64, int64_t, UINT32, uint32_t, true)
}

static void test_floats_become_what_C_makes_of_them(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 3);
    TRY_CAST(FLOAT32, float, FLOAT64, double, from == from)
    TRY_CAST(FLOAT64, double, FLOAT32, float, from == from)
    TRY_CAST(INT8, int8_t, FLOAT32, float, from > -129 && from < 128)
    TRY_CAST(UINT16, uint16_t, FLOAT64, double, from > -1 && from < 65536)
    TRY_CAST(INT32, int32_t, FLOAT64, double, from > -2147483649.0 && from < 2147483648.0)
    TRY_CAST(UINT32, uint32_t, FLOAT32, float, from > -1 && from < 4294967296.0F)
    TRY_CAST(INT64, int64_t, FLOAT64, double, from >= -9223372036854775808.0 && from < 9223372036854775808.0)
    TRY_CAST(UINT64, uint64_t, FLOAT32, float, from > -1 && from < 18446744073709551616.0F)
    TRY_CAST(UINT64, uint64_t, FLOAT64, double, from > -1 && from < 18446744073709551616.0)
}

#if defined(__x86_64__)
/* What C does not define: as this compiler for this processor, which is what cast.h says. Out of line, so that nothing
 * is computed beforehand. */
#define DEFINE_CUT(name, type, wide)                                                                                   \
    static __attribute__((noinline)) type name(double value)                                                           \
    {                                                                                                                  \
        volatile wide cut = (wide)value;                                                                               \
        return (type)cut;                                                                                              \
    }
DEFINE_CUT(cut_INT8, int8_t, int32_t)
DEFINE_CUT(cut_UINT16, uint16_t, int32_t)
DEFINE_CUT(cut_INT32, int32_t, int32_t)
DEFINE_CUT(cut_UINT32, uint32_t, int64_t)
DEFINE_CUT(cut_INT64, int64_t, int64_t)

#define TRY_CUT(number, type)                                                                                          \
    for (int i = 0; i < 20000; i++) {                                                                                  \
        uint64_t bits = hard_bits(&random);                                                                            \
        double from;                                                                                                   \
        type to;                                                                                                       \
        memcpy(&from, &bits, sizeof(from));                                                                            \
        type expected = cut_##number(from);                                                                            \
        convert(NDBUF_NUMBER_##number, &to, NDBUF_NUMBER_FLOAT64, &from, 1);                                           \
        assert_int_equal(to, expected);                                                                                \
    }

static void test_what_integers_cannot_hold_is_as_on_this_processor(void **state)
{
    (void)state;
#if defined(__SANITIZE_ADDRESS__) /* which comes with the undefined-behaviour sanitizer */
    skip();
#endif
    test_random random = test_random_make(__func__, 4);
    TRY_CUT(INT8, int8_t)
    TRY_CUT(UINT16, uint16_t)
    TRY_CUT(INT32, int32_t)
    TRY_CUT(UINT32, uint32_t)
    TRY_CUT(INT64, int64_t)
}
#endif

static void test_elements_that_do_not_exist_are_refused(void **state)
{
    (void)state;
    const ndbuf_element single = element_of(NDBUF_NUMBER_FLOAT32);
    const ndbuf_element boolean = element_of(NDBUF_NUMBER_BOOL);
    ndbuf_element complex_single = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 8, .is_complex = 1};
    ndbuf_element long_double = element_of(NDBUF_NUMBER_LONG_DOUBLE);
    ndbuf_element unknown = {.number = 15, .nbytes = 4};
    ndbuf_element short_one = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 2};
    ndbuf__converter converter;
    assert_true(ndbuf__converter_init(&converter, &complex_single, &single, 0));
    assert_true(ndbuf__converter_init(&converter, &boolean, &complex_single, 0));
    assert_false(ndbuf__converter_init(&converter, &single, &complex_single, 0));
    assert_false(ndbuf__converter_init(&converter, &complex_single, &complex_single, 0));
    assert_false(ndbuf__converter_init(&converter, &unknown, &single, 0));
    assert_false(ndbuf__converter_init(&converter, &single, &unknown, 0));
    unknown.number = 0;
    assert_false(ndbuf__converter_init(&converter, &unknown, &single, 0));
    assert_false(ndbuf__converter_init(&converter, &short_one, &single, 0));
    assert_true(ndbuf__converter_init(&converter, &long_double, &single, 0));
    long_double.is_swapped = 1;
    assert_false(ndbuf__converter_init(&converter, &single, &long_double, 0));
    assert_false(ndbuf__converter_init(&converter, &long_double, &single, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_of_all_pairs_agree_with_the_reference),
        cmocka_unit_test(test_every_half_is_read_and_rounded_to),
        cmocka_unit_test(test_every_bfloat_is_read_and_rounded_to),
        cmocka_unit_test(test_integers_become_what_C_makes_of_them),
        cmocka_unit_test(test_floats_become_what_C_makes_of_them),
#if defined(__x86_64__)
        cmocka_unit_test(test_what_integers_cannot_hold_is_as_on_this_processor),
#endif
        cmocka_unit_test(test_elements_that_do_not_exist_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
