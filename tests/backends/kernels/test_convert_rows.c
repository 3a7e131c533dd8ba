/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of elements converted on the host, as kernels do it, against the reference: all pairs of numbers, in both byte
 * orders, complex ones, at any strides. */
#include "tests/support/reference_number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/kernels/convert_host.h"

#define MAX_COUNT 70
#define MAX_STRIDE 40

/* Converts rows of every number of 8 and 16 bits there is. */
static void test_every_number_of_one_and_two_bytes(void **state)
{
    (void)state;
    static char in[65536 * 2];
    static char out[65536 * 16];
    for (int src = NDBUF_NUMBER_BOOL; src <= NDBUF_NUMBER_BFLOAT16; src++) {
        int32_t nbytes = test_number_nbytes((ndbuf_number)src);
        int64_t count = nbytes == 1 ? 256 : 65536;
        for (int64_t i = 0; i < count && nbytes <= 2; i++) {
            const uint16_t bits = (uint16_t)i;
            const uint8_t byte = (uint8_t)i;
            memcpy(in + i * nbytes, nbytes == 1 ? (const void *)&byte : (const void *)&bits, (size_t)nbytes);
        }
        for (int dst = NDBUF_NUMBER_BOOL; dst <= NDBUF_NUMBER_LONG_DOUBLE && nbytes <= 2; dst++) {
            for (uint32_t flags = 0; flags <= NDBUF_CAST_SATURATE; flags++) {
                const ndbuf_element from = {.number = src, .nbytes = nbytes};
                const ndbuf_element to = {.number = dst, .nbytes = test_number_nbytes((ndbuf_number)dst)};
                ndbuf__converter converter;
                if (dst == src) { /* moved as bytes */
                    continue;
                }
                assert_true(ndbuf__converter_init(&converter, &to, &from, flags));
                ndbuf__convert_row(&converter, out, to.nbytes, in, nbytes, count);
                for (int64_t i = 0; i < count; i++) {
                    char expected[16];
                    test_convert_element(expected, &to, in + i * nbytes, &from, flags);
                    if (memcmp(out + i * to.nbytes, expected, (size_t)to.nbytes) != 0) {
                        fail_msg("%s %04llx to %s, flags %u", test_number_name((ndbuf_number)src),
                                 (unsigned long long)i, test_number_name((ndbuf_number)dst), (unsigned)flags);
                    }
                }
            }
        }
    }
}

static ndbuf_element random_element(test_random *random)
{
    ndbuf_element element = {.number = (int32_t)test_random_range(random, NDBUF_NUMBER_BOOL, NDBUF_NUMBER_LONG_DOUBLE)};
    element.nbytes = test_number_nbytes((ndbuf_number)element.number);
    element.is_swapped =
        element.nbytes > 1 && element.number != (int32_t)NDBUF_NUMBER_LONG_DOUBLE && test_random_range(random, 0, 1);
    return element;
}

static void make_complex(ndbuf_element *element)
{
    element->is_complex = 1;
    element->nbytes *= 2;
}

static int64_t random_stride(test_random *random, int64_t least)
{
    int64_t stride = least + (test_random_range(random, 0, 1) == 0 ? 0 : test_random_range(random, 1, MAX_STRIDE - 32));
    return test_random_range(random, 0, 4) == 0 ? -stride : stride;
}

static void test_random_rows(void **state)
{
    (void)state;
    static char in[2 * MAX_COUNT * MAX_STRIDE];
    static char out[2 * MAX_COUNT * MAX_STRIDE];
    static char expected[sizeof(out)];
    test_random random = test_random_make(__func__, 73);
    for (int round = 0; round < 30000; round++) {
        ndbuf_element from = random_element(&random);
        ndbuf_element to = random_element(&random);
        if (to.number == from.number && to.is_swapped == from.is_swapped) { /* moved as bytes */
            continue;
        }
        if (to.number == (int32_t)NDBUF_NUMBER_BOOL && from.number >= (int32_t)NDBUF_NUMBER_FLOAT32 &&
            test_random_range(&random, 0, 1) == 1) {
            make_complex(&from);
        } else if (to.number >= (int32_t)NDBUF_NUMBER_FLOAT32 && test_random_range(&random, 0, 3) == 0) {
            make_complex(&to);
        }
        uint32_t flags = test_random_range(&random, 0, 2) == 0 ? NDBUF_CAST_SATURATE : 0;
        int64_t count = test_random_range(&random, 0, MAX_COUNT);
        int64_t dst_stride = random_stride(&random, to.nbytes);
        int64_t src_stride = test_random_range(&random, 0, 9) == 0 ? 0 : random_stride(&random, from.nbytes);
        char *src = in + sizeof(in) / 2 + test_random_range(&random, 0, 7);
        int64_t dst_at = (int64_t)sizeof(out) / 2 + test_random_range(&random, 0, 7);
        for (int64_t i = 0; i < count; i++) {
            test_random_element(&random, &from, src + i * src_stride);
        }
        memset(out, 0x5A, sizeof(out));
        memset(expected, 0x5A, sizeof(expected));
        for (int64_t i = 0; i < count; i++) {
            test_convert_element(expected + dst_at + i * dst_stride, &to, src + i * src_stride, &from, flags);
        }
        ndbuf__converter converter;
        if (!ndbuf__converter_init(&converter, &to, &from, flags)) {
            fail_msg("%s to %s is refused", test_number_name((ndbuf_number)from.number),
                     test_number_name((ndbuf_number)to.number));
        }
        ndbuf__convert_row(&converter, out + dst_at, dst_stride, src, src_stride, count);
        if (memcmp(out, expected, sizeof(out)) != 0) {
            fail_msg("round %d: %s%s%s to %s%s%s, flags %u, %lld at strides %lld, %lld", round,
                     test_number_name((ndbuf_number)from.number), from.is_complex ? " complex" : "",
                     from.is_swapped ? " swapped" : "", test_number_name((ndbuf_number)to.number),
                     to.is_complex ? " complex" : "", to.is_swapped ? " swapped" : "", (unsigned)flags,
                     (long long)count, (long long)dst_stride, (long long)src_stride);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_number_of_one_and_two_bytes),
        cmocka_unit_test(test_random_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
