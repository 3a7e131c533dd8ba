/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cpu/random_numbers.h"

#include <string.h>

#include "backends/kernels/convert_host.h"

ndbuf_element element_of(int32_t number, bool is_swapped)
{
    static const int32_t sizes[] = {0, 1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8, (int32_t)sizeof(long double)};
    return (ndbuf_element){.number = number, .nbytes = sizes[number], .is_swapped = is_swapped};
}

ndbuf_element complex_of(ndbuf_element half)
{
    half.is_complex = 1;
    half.nbytes *= 2;
    return half;
}

/* Powers of two and their neighbours, also halfway to the next integer. */
static double random_edge(test_random *random)
{
    double value = (double)((uint64_t)1 << test_random_range(random, 0, 33)) *
                   (double)((uint64_t)1 << test_random_range(random, 0, 33));
    value += (double)test_random_range(random, -4, 4) / 2;
    value *= test_random_range(random, 0, 7) == 0 ? 1 - 0x1p-53 : 1;
    return test_random_range(random, 0, 1) == 0 ? value : -value;
}

/* Any bits, but with exponents near 1 half the time, and, for ties, with zeros at the end. */
static uint64_t random_double_bits(test_random *random)
{
    uint64_t bits = test_random_next(random) & (UINT64_MAX << test_random_range(random, 0, 52));
    if (test_random_range(random, 0, 1) == 0) {
        uint64_t exponent = (uint64_t)test_random_range(random, 1023 - 160, 1023 + 160);
        bits = (bits & ~((uint64_t)0x7FF << 52)) | exponent << 52;
    }
    return bits;
}

static uint64_t random_bits(test_random *random, int32_t number)
{
    static const uint64_t singles[] = {0,          0x80000000, 0x7F800000, 0xFF800000, 0x7F800001, 0xFFBFFFFF,
                                       0x7FC12345, 0xFFC00000, 0x7F812000, 1,          0x80000001, 0x007FFFFF,
                                       0x7F7FFFFF, 0x477FE000, 0x477FF000, 0x477FEFFF, 0x33000000, 0x33000001};
    static const uint64_t doubles[] = {0,
                                       (uint64_t)1 << 63,
                                       0x7FF0000000000000,
                                       0xFFF0000000000000,
                                       0x7FF0000000000001,
                                       0xFFF7FFFFFFFFFFFF,
                                       0x7FF8123456789ABC,
                                       0x7FF0000020000000,
                                       1,
                                       0x800FFFFFFFFFFFFF,
                                       0x7FEFFFFFFFFFFFFF,
                                       0x40EFFDFFFFFFFFFF,
                                       0x40EFFE0000000000,
                                       0x47EFFFFFE0000000,
                                       0x47EFFFFFF0000000,
                                       0x36A0000000000000,
                                       0x3690000000000001};
    if (test_random_range(random, 0, 3) == 0) {
        return test_random_next(random);
    }
    bool is_special = test_random_range(random, 0, 2) == 0;
    if (number == NDBUF_NUMBER_FLOAT32 && is_special) {
        return singles[test_random_range(random, 0, (int64_t)(sizeof(singles) / sizeof(singles[0])) - 1)];
    }
    if (number == NDBUF_NUMBER_FLOAT64 && is_special) {
        return doubles[test_random_range(random, 0, (int64_t)(sizeof(doubles) / sizeof(doubles[0])) - 1)];
    }
    if (number < NDBUF_NUMBER_FLOAT16) {
        uint64_t value = ((uint64_t)1 << test_random_range(random, 0, 63)) + (uint64_t)test_random_range(random, -2, 2);
        return test_random_range(random, 0, 1) == 0 ? value : 0 - value;
    }
    uint64_t bits = random_double_bits(random);
    double edge = random_edge(random);
    if (test_random_range(random, 0, 1) == 0) {
        memcpy(&bits, &edge, sizeof(bits));
    }
    if (number != NDBUF_NUMBER_FLOAT64) {
        ndbuf__converter converter;
        ndbuf_element dst = element_of(number, false);
        ndbuf_element src = element_of(NDBUF_NUMBER_FLOAT64, false);
        uint64_t converted = 0;
        assert_true(ndbuf__converter_init(&converter, &dst, &src, 0));
        ndbuf__convert_row(&converter, (char *)&converted, 0, (const char *)&bits, 0, 1);
        bits = converted;
    }
    return bits;
}

void random_numbers(test_random *random, const ndbuf_element *element, char *dst, int64_t count)
{
    int64_t nbytes = element->is_complex != 0 ? element->nbytes / 2 : element->nbytes;
    for (int64_t i = 0; i < count; i++) {
        if (element->number == NDBUF_NUMBER_LONG_DOUBLE) {
            long double value = (long double)random_edge(random) / (long double)test_random_range(random, 1, 3);
            memset(dst + i * nbytes, 0, (size_t)nbytes);
            memcpy(dst + i * nbytes, &value, sizeof(value));
            continue;
        }
        uint64_t bits = random_bits(random, element->number); /* the bytes of it that count come first */
        if (element->is_complex != 0 && test_random_range(random, 0, 3) != 0) {
            bits = (uint64_t)test_random_range(random, 0, 1) << (8 * nbytes - 1);
        }
        for (int64_t byte = 0; byte < nbytes; byte++) {
            dst[i * nbytes + (element->is_swapped != 0 ? nbytes - 1 - byte : byte)] = (char)(bits >> 8 * byte);
        }
    }
}
