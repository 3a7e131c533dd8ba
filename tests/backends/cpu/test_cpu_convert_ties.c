/* SPDX-License-Identifier: Apache-2.0 */

/* Integers halfway between two floats, and their neighbours, by all kernels that this processor runs: what is rounded
 * twice on the way is wrong there. */

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

static void check(ndbuf_number dst_number, ndbuf_number src_number, int32_t ndigits)
{
    static uint64_t numbers[NUMBERS_MAX];
    static char expected[NUMBERS_MAX * sizeof(double)];
    static char converted[sizeof(expected)];
    const ndbuf_element dst = element_of(dst_number);
    const ndbuf_element src = element_of(src_number);
    const int64_t count = make_ties(ndigits, numbers);
    const int64_t dst_stride = dst.nbytes;
    const int64_t src_stride = src.nbytes;
    cpu_convert_box convert = {.box = {.dst = converted,
                                       .src = (const char *)numbers,
                                       .ndim = 1,
                                       .shape = &count,
                                       .dst_strides = &dst_stride,
                                       .src_strides = &src_stride},
                               .dst_element = dst,
                               .src_element = src};
    assert_true(ndbuf__converter_init(&convert.converter, &dst, &src, 0));
    for (int64_t i = 0; i < count; i++) {
        test_convert_element(expected + i * dst.nbytes, &dst, &numbers[i], &src, 0);
    }
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf_cpu__kernels_set(kernels);
        ndbuf_cpu__convert_box(&convert);
        for (int64_t i = 0; i < count; i++) {
            if (memcmp(converted + i * dst.nbytes, expected + i * dst.nbytes, (size_t)dst.nbytes) != 0) {
                fail_msg("%s: %s 0x%llx to %s", kernels->name, test_number_name(src_number),
                         (unsigned long long)numbers[i], test_number_name(dst_number));
            }
        }
    }
}

static void integers_between_two_floats_are_rounded_once(void **state)
{
    static const int32_t digits[] = {[NDBUF_NUMBER_FLOAT16] = 11,
                                     [NDBUF_NUMBER_BFLOAT16] = 8,
                                     [NDBUF_NUMBER_FLOAT32] = 24,
                                     [NDBUF_NUMBER_FLOAT64] = 53};
    (void)state;
    for (int dst = NDBUF_NUMBER_FLOAT16; dst <= NDBUF_NUMBER_FLOAT64; dst++) {
        check((ndbuf_number)dst, NDBUF_NUMBER_INT64, digits[dst]);
        check((ndbuf_number)dst, NDBUF_NUMBER_UINT64, digits[dst]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(integers_between_two_floats_are_rounded_once, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("backends/cpu/convert_ties", tests, NULL, NULL);
}
