/* SPDX-License-Identifier: Apache-2.0 */

/* The cache lines that a case of bench_host_copy touches, and the loops over them. */

#include "tests/support/test.h"

#include <string.h>

#include "bench/host_copy_lines.h"

/* 64 items of 4 bytes, one behind the other: 4 lines. */
static const host_copy_case dense = {
    .itemsize = 4, .ndim = 1, .shape = {64}, .src_strides = {1}, .dst_strides = {1}, .nbytes = 256};

static void check(const host_copy_case *one, int64_t nread, int64_t nwhole, int64_t npartial)
{
    host_copy_lines lines;
    assert_true(host_copy_lines_count(one, &lines));
    assert_int_equal(lines.nread, nread);
    assert_int_equal(lines.nwhole, nwhole);
    assert_int_equal(lines.npartial, npartial);
}

static void test_lines_are_counted_once(void **state)
{
    (void)state;
    host_copy_case one = dense;
    check(&one, 4, 4, 0);
    one.src_strides[0] = 2;
    check(&one, 8, 4, 0);
    one.src_strides[0] = 0;
    check(&one, 1, 4, 0);
    one.src_strides[0] = -1;
    one.src_offset = 63;
    check(&one, 4, 4, 0);
}

static void test_lines_with_bytes_that_stay_are_partial(void **state)
{
    (void)state;
    host_copy_case one = dense;
    one.dst_strides[0] = 2;
    check(&one, 4, 0, 8);
    one.dst_strides[0] = 16;
    check(&one, 4, 0, 64);
    one = dense;
    one.dst_offset = 1; /* 4 bytes more than a line begins with */
    check(&one, 4, 3, 2);
}

static void test_items_may_reach_into_two_lines_and_axes_in_any_order(void **state)
{
    (void)state;
    host_copy_case one = {.itemsize = 24,
                          .ndim = 2,
                          .shape = {8, 4},
                          .src_strides = {1, 8},
                          .dst_strides = {4, 1},
                          .nbytes = (int64_t)24 * 32};
    check(&one, 12, 12, 0);
    one.dst_strides[0] = 8; /* rows of 96 bytes, 192 apart: one and a half lines of three */
    check(&one, 12, 8, 8);
}

#define NLINES 300

/* No loop touches more than it is told to, or leaves a line out. */
static void test_every_way_writes_all_lines_and_no_more(void **state)
{
    (void)state;
    static _Alignas(64) char src[NLINES * HOST_COPY_LINE_NBYTES];
    static _Alignas(64) char dst[NLINES * HOST_COPY_LINE_NBYTES];
    static const host_copy_lines counts[] = {{299, 100, 0}, {10, 299, 0}, {100, 0, 299}, {299, 150, 149}, {1, 1, 0}};
    memset(src, 3, sizeof(src));
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        for (int way = 0; way < HOST_COPY_LINES_NWAYS; way++) {
            const int64_t nwritten = (counts[i].nwhole + counts[i].npartial) * HOST_COPY_LINE_NBYTES;
            memset(dst, 0, sizeof(dst));
            host_copy_lines_run(&counts[i], way, dst, src);
            for (int64_t at = 0; at < (int64_t)sizeof(dst); at += HOST_COPY_LINE_NBYTES) {
                assert_int_equal(dst[at] != 0, at < nwritten);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines_are_counted_once),
        cmocka_unit_test(test_lines_with_bytes_that_stay_are_partial),
        cmocka_unit_test(test_items_may_reach_into_two_lines_and_axes_in_any_order),
        cmocka_unit_test(test_every_way_writes_all_lines_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
