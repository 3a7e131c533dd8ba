/* SPDX-License-Identifier: Apache-2.0 */

/* Values that vectors could get wrong, by all kernels that this processor runs. */

#include <string.h>

#include "backends/cpu/cpu_convert.h"
#include "backends/cpu/cpu_engine.h"
#include "backends/cpu/cpu_kernels.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/support/reference_number.h"

#define NUMBERS_MAX 1024

static ndbuf_element element_of(ndbuf_number number)
{
    return (ndbuf_element){.number = (int32_t)number, .nbytes = test_number_nbytes(number)};
}

/* Ties of floats of so many digits, from small to large, with the numbers before and behind them, of both signs;
 * returns how many. */
static int64_t make_ties(int32_t ndigits, uint64_t *out_numbers)
{
    int64_t count = 0;
    for (int32_t top = ndigits; top < 64; top++) {
        const uint64_t half = (uint64_t)1 << (top - ndigits);
        const uint64_t leading = (uint64_t)1 << top;
        const uint64_t floats[] = {leading, leading | half << 1, (leading - half) << 1}; /* even, odd, the last one */
        for (int i = 0; i < 3; i++) {
            for (uint64_t below = 0; below < 3; below++) {
                const uint64_t number = (floats[i] | half) + 1 - below;
                assert_true(count + 2 <= NUMBERS_MAX);
                out_numbers[count++] = number;
                out_numbers[count++] = 0 - number;
            }
        }
    }
    return count;
}

/* Dense numbers, against the reference. */
static void check(const ndbuf_element *dst, const ndbuf_element *src, const char *numbers, int64_t count)
{
    static char expected[NUMBERS_MAX * sizeof(double)];
    static char converted[sizeof(expected)];
    const int64_t dst_stride = dst->nbytes;
    const int64_t src_stride = src->nbytes;
    cpu_convert_box convert = {.box = {.dst = converted,
                                       .src = numbers,
                                       .ndim = 1,
                                       .shape = &count,
                                       .dst_strides = &dst_stride,
                                       .src_strides = &src_stride},
                               .dst_element = *dst,
                               .src_element = *src};
    assert_true(ndbuf__converter_init(&convert.converter, dst, src, 0));
    for (int64_t i = 0; i < count; i++) {
        test_convert_element(expected + i * dst_stride, dst, numbers + i * src_stride, src, 0);
    }
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf_cpu__kernels_set(kernels);
        ndbuf_cpu__convert_box(&convert);
        for (int64_t i = 0; i < count; i++) {
            if (memcmp(converted + i * dst_stride, expected + i * dst_stride, (size_t)dst_stride) != 0) {
                uint64_t bits[2] = {0};
                memcpy(bits, numbers + i * src_stride, (size_t)src_stride);
                fail_msg("%s: %s 0x%llx 0x%llx to %s", kernels->name, test_number_name((ndbuf_number)src->number),
                         (unsigned long long)bits[0], (unsigned long long)bits[1],
                         test_number_name((ndbuf_number)dst->number));
            }
        }
    }
}

/* What is rounded twice on the way is wrong halfway between two floats. */
static void integers_between_two_floats_are_rounded_once(void **state)
{
    static const int32_t digits[] = {[NDBUF_NUMBER_FLOAT16] = 11,
                                     [NDBUF_NUMBER_BFLOAT16] = 8,
                                     [NDBUF_NUMBER_FLOAT32] = 24,
                                     [NDBUF_NUMBER_FLOAT64] = 53};
    static uint64_t numbers[NUMBERS_MAX];
    (void)state;
    for (int number = NDBUF_NUMBER_FLOAT16; number <= NDBUF_NUMBER_FLOAT64; number++) {
        const ndbuf_element dst = element_of((ndbuf_number)number);
        const ndbuf_element from_signed = element_of(NDBUF_NUMBER_INT64);
        const ndbuf_element from_unsigned = element_of(NDBUF_NUMBER_UINT64);
        const int64_t count = make_ties(digits[number], numbers);
        check(&dst, &from_signed, (const char *)numbers, count);
        check(&dst, &from_unsigned, (const char *)numbers, count);
    }
}

static void one_bit_makes_a_complex_number_true_unless_it_is_a_sign(void **state)
{
    static char numbers[128 * 2 * sizeof(double)];
    const ndbuf_element dst = element_of(NDBUF_NUMBER_BOOL);
    (void)state;
    for (int number = NDBUF_NUMBER_FLOAT32; number <= NDBUF_NUMBER_FLOAT64; number++) {
        const int32_t nbytes = 2 * test_number_nbytes((ndbuf_number)number);
        for (int32_t is_swapped = 0; is_swapped < 2; is_swapped++) {
            const ndbuf_element src = {.number = number, .nbytes = nbytes, .is_complex = 1, .is_swapped = is_swapped};
            memset(numbers, 0, sizeof(numbers));
            for (int32_t bit = 0; bit < 8 * nbytes; bit++) {
                numbers[bit * nbytes + bit / 8] = (char)(1 << bit % 8);
            }
            check(&dst, &src, numbers, (int64_t)8 * nbytes);
        }
    }
}

/* With parts of all kinds: zeros of both signs, the least numbers there are, NaNs with one bit set. */
static void complex_numbers_are_true_but_for_zeros(void **state)
{
    static char numbers[NUMBERS_MAX * 2 * sizeof(double)];
    const ndbuf_element dst = element_of(NDBUF_NUMBER_BOOL);
    (void)state;
    for (int number = NDBUF_NUMBER_FLOAT32; number <= NDBUF_NUMBER_FLOAT64; number++) {
        const int64_t nbytes = test_number_nbytes((ndbuf_number)number);
        const uint64_t sign = (uint64_t)1 << (8 * nbytes - 1);
        const uint64_t infinity = number == NDBUF_NUMBER_FLOAT32 ? 0x7F800000 : 0x7FF0000000000000;
        const uint64_t parts[] = {0, sign, 1, sign | 1, sign >> 1, infinity, infinity | 1};
        const int64_t nparts = (int64_t)(sizeof(parts) / sizeof(parts[0]));
        for (int32_t is_swapped = 0; is_swapped < 2; is_swapped++) {
            const ndbuf_element src = {
                .number = number, .nbytes = 2 * (int32_t)nbytes, .is_complex = 1, .is_swapped = is_swapped};
            for (int64_t i = 0; i < 2 * NUMBERS_MAX; i++) {
                const uint64_t part = i % 2 == 0 ? parts[i / 2 % nparts] : parts[i / 2 / nparts % nparts];
                for (int64_t byte = 0; byte < nbytes; byte++) {
                    const int64_t place = is_swapped != 0 ? nbytes - 1 - byte : byte;
                    numbers[i * nbytes + place] = (char)(part >> 8 * byte);
                }
            }
            for (int64_t count = 1; count < 2 * nparts * nparts; count++) {
                check(&dst, &src, numbers, count);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(integers_between_two_floats_are_rounded_once, all_kernels_teardown),
        cmocka_unit_test_teardown(one_bit_makes_a_complex_number_true_unless_it_is_a_sign, all_kernels_teardown),
        cmocka_unit_test_teardown(complex_numbers_are_true_but_for_zeros, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("backends/cpu/convert_values", tests, NULL, NULL);
}
