/* SPDX-License-Identifier: Apache-2.0 */

/* The host engine against copies byte by byte: all kernels that this processor runs, with and without streaming. */

#include <stdio.h>
#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "ndbuf/cpu.h"

#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_tuning.h"
#include "core/host_plan.h"
#include "core/host_steps.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/backends/cpu/random_box.h"
#include "tests/support/test.h"

/* Copies a box by all kernels. */
static void check_box(random_box *box)
{
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf_cpu__kernels_set(kernels);
        random_box_reset(box);
        ndbuf_cpu__copy_box(&box->box);
        random_box_check(box, kernels->name);
    }
}

static void check_many(const char *name, uint64_t seed, int nboxes, int64_t max_nbytes)
{
    test_random random = test_random_make(name, seed);
    for (int i = 0; i < RANDOM_BOXES(nboxes); i++) {
        random_box box;
        int64_t limit = (int64_t)1 << test_random_range(&random, 4, 63 - __builtin_clzll((uint64_t)max_nbytes));
        random_box_make(&box, &random, limit);
        check_box(&box);
        random_box_clear(&box);
    }
}

static void all_kernels_copy_4000_random_boxes_alike(void **state)
{
    (void)state;
    check_many("all_kernels_copy_4000_random_boxes_alike", 1, 4000, 65536);
}

static void planned_copies_are_right_at_any_size(void **state)
{
    (void)state;
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.small_nbytes = 0;
    ndbuf_cpu__tuning_set(&tuning);
    check_many("planned_copies_are_right_at_any_size", 2, 3000, 32768);
}

static void streamed_copies_are_right_at_any_size(void **state)
{
    (void)state;
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.small_nbytes = 0;
    tuning.stream_nbytes = 1;
    tuning.strip_prefetch_nbytes = 1;
    ndbuf_cpu__tuning_set(&tuning);
    check_many("streamed_copies_are_right_at_any_size", 3, 4000, 65536);
}

/* In a program that wants signals for whatever is not exact. */
static void planned_copies_raise_no_signals_of_floating_point(void **state)
{
    (void)state;
#if defined(__x86_64__)
    test_random random = test_random_make("planned_copies_raise_no_signals_of_floating_point", 12);
    const uint32_t before = _mm_getcsr();
    const uint32_t with_signals = before & ~(uint32_t)(_MM_MASK_MASK | _MM_EXCEPT_MASK);
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.small_nbytes = 0;
    tuning.stream_nbytes = 1024; /* what is repeated past the caches may be copied once */
    ndbuf_cpu__tuning_set(&tuning);
    for (int i = 0; i < RANDOM_BOXES(1000); i++) {
        random_box box;
        random_box_make(&box, &random, 32768);
        _mm_setcsr(with_signals);
        ndbuf_cpu__copy_box(&box.box);
        const uint32_t after = _mm_getcsr();
        _mm_setcsr(before);
        assert_int_equal(after, with_signals);
        random_box_check(&box, "with signals");
        random_box_clear(&box);
    }
#endif
}

static void any_constants_give_right_copies(void **state)
{
    (void)state;
    test_random random = test_random_make("any_constants_give_right_copies", 4);
    for (int i = 0; i < RANDOM_BOXES(1500); i++) {
        ndbuf_cpu__tuning tuning = {
            .stream_nbytes = test_random_range(&random, 0, 1) == 0 ? 1 : 1 << 30,
            .stream_direct_nbytes = test_random_range(&random, 0, 1) == 0 ? 1 : 1 << 30,
            .stream_parts_nbytes = test_random_range(&random, 0, 1) == 0 ? 1 : 1 << 30,
            .stream_uneven_nbytes = test_random_range(&random, 0, 1) == 0 ? 1 : 1 << 30,
            .stream_uneven_row_nbytes = test_random_range(&random, 0, 1) * 1024,
            .stream_prefetch_nbytes = test_random_range(&random, 0, 4096),
            .row_prefetch_nbytes = test_random_range(&random, 0, 4096),
            .gather_prefetch_nbytes = test_random_range(&random, 0, 4096),
            .step_prefetch_nbytes = test_random_range(&random, 0, 4096),
            .scatter_prefetch_nbytes = test_random_range(&random, 0, 4096),
            .stream_conflict_nbytes = test_random_range(&random, 0, 1) == 0 ? 1 : 1 << 30,
            .stream_ways = test_random_range(&random, 1, 2),
            .rep_movsb_nbytes = test_random_range(&random, 0, 4096),
            .thread_nbytes = test_random_range(&random, 1, 65536),
            .thread_share_nbytes = test_random_range(&random, 1, 4096),
            .strip_nbytes = test_random_range(&random, 1, 512),
            .strip_stream_nbytes = test_random_range(&random, 1, 512),
            .panel_stream_nbytes = test_random_range(&random, 1, 4096),
            .panel_nbytes = test_random_range(&random, 1, 4096),
            .send_nbytes = test_random_range(&random, 0, 4096),
            .stage_send_nbytes = test_random_range(&random, 0, 4096),
            .panel_lines = test_random_range(&random, 1, 512),
            .strip_rows = test_random_range(&random, 1, 300),
            .pass_nbytes = test_random_range(&random, 0, 1) == 0 ? 0 : 1 << 30,
            .pass_rows = test_random_range(&random, 1, 40),
            .tile_rows = test_random_range(&random, 1, 2000),
            .tile_stream_nbytes = test_random_range(&random, 1, 4096),
            .tile_direct_nbytes = test_random_range(&random, 1, 4096),
            .tile_paced_nbytes = test_random_range(&random, 1, 4096),
            .channels_nbytes = test_random_range(&random, 1, 64),
            .tile_reach_nbytes = test_random_range(&random, 0, 1 << 16),
            .prefetch_level = test_random_range(&random, 1, 2),
            .line_prefetch_nbytes = test_random_range(&random, 0, 512),
            .strip_prefetch_nbytes = test_random_range(&random, 0, 1) == 0 ? 0 : 1 << 30,
            .conflict_nbytes = test_random_range(&random, 1, 64),
            .set_lines = test_random_range(&random, 1, 16),
        };
        random_box box;
        ndbuf_cpu__tuning_set(&tuning);
        ndbuf_cpu_threads_set((int32_t)test_random_range(&random, 1, 4), NULL);
        random_box_make(&box, &random, (int64_t)1 << test_random_range(&random, 8, 18));
        check_box(&box);
        random_box_clear(&box);
    }
}

static void steps_decided_beforehand_are_right(void **state)
{
    (void)state;
    test_random random = test_random_make("steps_decided_beforehand_are_right", 5);
    const int count = RANDOM_BOXES(4000);
    int nmade = 0;
    for (int i = 0; i < count; i++) {
        random_box box;
        random_box_make(&box, &random, (int64_t)1 << test_random_range(&random, 2, 13));
        for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL;
             kernels = all_kernels_next(kernels)) {
            ndbuf__host_steps steps;
            NDBUF__HOST_STEPS_ROOM(NDBUF__HOST_STEPS_MAX) room;
            const int32_t max = i % 2 == 0 ? NDBUF__HOST_STEPS_MAX : NDBUF__HOST_STEPS_MAX / 4;
            ndbuf_cpu__kernels_set(kernels);
            if (box.box.swap_nbytes == 0 &&
                ndbuf__host_steps_init(&steps, &room.arrangement, room.offsets, max, &box.axes)) {
                random_box_reset(&box);
                steps.run(&steps, box.box.dst, box.box.src);
                random_box_check(&box, kernels->name);
                nmade++;
            }
        }
        random_box_clear(&box);
    }
    assert_true(nmade > count / 4);
}

static void plans_made_beforehand_are_right_until_something_changes(void **state)
{
    (void)state;
    test_random random = test_random_make("plans_made_beforehand_are_right_until_something_changes", 6);
    const int count = RANDOM_BOXES(3000);
    int nmade = 0;
    for (int i = 0; i < count; i++) {
        ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
        random_box box;
        tuning.small_nbytes = 0;
        tuning.stream_nbytes = test_random_range(&random, 0, 1) == 0 ? 1 : 1 << 30;
        tuning.thread_nbytes = test_random_range(&random, 1, 65536);
        ndbuf_cpu__tuning_set(&tuning);
        random_box_make(&box, &random, (int64_t)1 << test_random_range(&random, 4, 16));
        for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL;
             kernels = all_kernels_next(kernels)) {
            ndbuf__host_plan *plan = NULL;
            ndbuf_cpu__kernels_set(kernels);
            if (box.box.swap_nbytes == 0) {
                assert_int_equal(ndbuf__host_plan_create(&box.axes, NULL, box.box.dst, &plan, NULL), NDBUF_OK);
            }
            for (int run = 0; run < 2 && plan != NULL; run++) {
                random_box_reset(&box);
                assert_true(ndbuf__host_plan_run(plan, box.box.dst, box.box.src));
                random_box_check(&box, kernels->name);
                nmade++;
            }
            if (plan != NULL) {
                assert_false(ndbuf__host_plan_run(plan, box.box.dst + 1, box.box.src));
                ndbuf_cpu__kernels_set(&ndbuf_cpu__kernels_portable);
                assert_true(kernels == &ndbuf_cpu__kernels_portable ||
                            !ndbuf__host_plan_run(plan, box.box.dst, box.box.src));
                ndbuf_cpu__kernels_set(kernels);
                assert_true(ndbuf__host_plan_run(plan, box.box.dst, box.box.src));
                ndbuf_cpu__tuning_set(&tuning);
                assert_false(ndbuf__host_plan_run(plan, box.box.dst, box.box.src));
            }
            ndbuf__host_plan_destroy(plan);
        }
        random_box_clear(&box);
    }
    assert_true(nmade > count / 4);
}

#define BLOCK_NBYTES (1 << 18)
#define BEHIND_NBYTES 64 /* that are looked at behind a destination */

/* Bytes that tell their places. */
static const char *places(void)
{
    static char block[BLOCK_NBYTES];
    static bool made;
    for (int64_t i = 0; !made && i < BLOCK_NBYTES; i++) {
        block[i] = (char)(i * 7 + i / 256);
    }
    made = true;
    return block;
}

/* Shapes that meet certain kernels, with every number of units left over behind whole vectors. */
static void check_2d(int64_t item, int32_t swap, int64_t nrows, int64_t ncolumns, const int64_t *dst_strides,
                     const int64_t *src_strides, int64_t src_nbytes, int64_t src_offset)
{
    static _Alignas(64) char dst_block[BLOCK_NBYTES];
    static char expected[BLOCK_NBYTES];
    const char *src_block = places();
    const int64_t dst_nbytes = dst_strides[0] * (nrows - 1) + dst_strides[1] * (ncolumns - 1) + item + BEHIND_NBYTES;
    assert_true(src_nbytes <= BLOCK_NBYTES && dst_nbytes <= BLOCK_NBYTES);
    memset(expected, 1, (size_t)dst_nbytes);
    ndbuf__copy_axes axes = {.unit_nbytes = item};
    ndbuf__copy_axes_append(&axes, nrows, dst_strides[0], src_strides[0]);
    ndbuf__copy_axes_append(&axes, ncolumns, dst_strides[1], src_strides[1]);
    for (int64_t i = 0; i < nrows; i++) {
        for (int64_t j = 0; j < ncolumns; j++) {
            char *to = expected + i * dst_strides[0] + j * dst_strides[1];
            const char *from = src_block + src_offset + i * src_strides[0] + j * src_strides[1];
            if (swap == 0) {
                memcpy(to, from, (size_t)item);
                continue;
            }
            for (int64_t byte = 0; byte < item; byte++) {
                to[byte] = from[byte ^ (swap - 1)];
            }
        }
    }
    ndbuf__copy_axes_merge(&axes);
    cpu_box box = {.dst = dst_block + axes.dst_offset,
                   .src = src_block + src_offset + axes.src_offset,
                   .ndim = axes.ndim,
                   .unit_nbytes = axes.unit_nbytes,
                   .swap_nbytes = swap,
                   .shape = axes.shape,
                   .dst_strides = axes.dst_strides,
                   .src_strides = axes.src_strides,
                   .nruns = CPU_BOX_MANY_RUNS};
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf_cpu__kernels_set(kernels);
        memset(dst_block, 1, (size_t)dst_nbytes);
        ndbuf_cpu__copy_box(&box);
        if (memcmp(dst_block, expected, (size_t)dst_nbytes) != 0) {
            fail_msg("%s: %lld x %lld items of %lld bytes, reversed in %d, strides %lld %lld <- %lld %lld",
                     kernels->name, (long long)nrows, (long long)ncolumns, (long long)item, (int)swap,
                     (long long)dst_strides[0], (long long)dst_strides[1], (long long)src_strides[0],
                     (long long)src_strides[1]);
        }
    }
}

static void slices_weaves_and_transposes_of_every_length_are_right(void **state)
{
    (void)state;
    static const int64_t items[] = {1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 24};
    for (int variant = 0; variant < 4; variant++) {
        ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
        tuning.small_nbytes = 0;
        tuning.stream_nbytes = variant % 2 != 0 ? 1 : INT64_MAX;
        ndbuf_cpu__tuning_set(&tuning);
        for (size_t k = 0; k < sizeof(items) / sizeof(items[0]); k++) {
            int64_t item = items[k];
            int32_t swap = variant < 2 ? 0 : item % 8 == 0 ? 8 : item % 4 == 0 ? 4 : 2;
            if (swap != 0 && item % 2 != 0) {
                continue;
            }
            for (int64_t n = 2; n < RANDOM_BOXES(300); n += n < 80 ? 1 : 37) {
                for (int64_t factor = 2; factor <= 5; factor++) {
                    int64_t dense[2] = {n * item, item};
                    int64_t every[2] = {n * item * factor + 8, item * factor};
                    int64_t backwards[2] = {n * item * factor + 8, -item * factor};
                    int64_t dst_woven[2] = {item * factor, item};
                    int64_t src_planes[2] = {item, item * n};
                    int64_t dst_planes[2] = {item * n, item};
                    int64_t src_woven[2] = {item, item * factor};
                    int64_t span = 2 * (n * item * factor + 8);
                    check_2d(item, swap, 2, n, dense, every, span, 0);
                    check_2d(item, swap, 2, n, dense, backwards, span, (n - 1) * item * factor);
                    check_2d(item, swap, 2, n, every, dense, 2 * n * item, 0);
                    check_2d(item, swap, n, factor, dst_woven, src_planes, n * factor * item, 0);
                    check_2d(item, swap, factor, n, dst_planes, src_woven, n * factor * item, 0);
                }
                for (int64_t m = 2; m < 40; m += 5) {
                    int64_t rows[2] = {m * item, item};
                    int64_t columns[2] = {item, n * item};
                    check_2d(item, swap, n, m, rows, columns, n * m * item, 0);
                    int64_t gaps = 2 + m % 4;
                    int64_t with_gaps[2] = {item * gaps, n * item * gaps};
                    if (n * m * item * gaps <= BLOCK_NBYTES) {
                        check_2d(item, swap, n, m, rows, with_gaps, n * m * item * gaps, 0);
                    }
                }
            }
        }
    }
}

static void transposes_to_whole_lines_that_share_cache_sets_are_right(void **state)
{
    (void)state;
    static const int64_t more_rows[] = {0, 1, 5, 17, 63, 130};
    test_random random = test_random_make("transposes_to_whole_lines_that_share_cache_sets_are_right", 5);
    for (int64_t item = 1; item <= 16; item *= 2) {
        for (int64_t nlines = 2; nlines < 7; nlines++) { /* cache lines of a row */
            for (size_t i = 0; i < sizeof(more_rows) / sizeof(more_rows[0]); i++) {
                ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
                tuning.small_nbytes = 0;
                tuning.stream_nbytes = 1;
                tuning.conflict_nbytes = 64;
                tuning.tile_paced_nbytes = test_random_range(&random, 1, 600);
                tuning.send_nbytes = test_random_range(&random, 1, 200);
                tuning.stage_send_nbytes = test_random_range(&random, 1, 400);
                ndbuf_cpu__tuning_set(&tuning);
                int64_t m = nlines * 64 / item;
                int64_t n = 256 / item + more_rows[i];
                int64_t rows[2] = {m * item, item};
                int64_t columns[2] = {item, n * item};
                check_2d(item, 0, n, m, rows, columns, n * m * item, 0);
                if (item > 1) {
                    check_2d(item, item < 8 ? (int32_t)item : 8, n, m, rows, columns, n * m * item, 0);
                }
            }
        }
    }
}

static void transposes_in_the_caches_whose_rows_share_sets_are_right(void **state)
{
    (void)state;
    test_random random = test_random_make("transposes_in_the_caches_whose_rows_share_sets_are_right", 7);
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.small_nbytes = 0;
    tuning.stream_nbytes = INT64_MAX;
    tuning.stream_direct_nbytes = INT64_MAX;
    tuning.stream_parts_nbytes = INT64_MAX;
    tuning.stream_conflict_nbytes = INT64_MAX;
    tuning.conflict_nbytes = 64;
    tuning.tile_rows = 1000;
    ndbuf_cpu__tuning_set(&tuning);
    for (int64_t item = 1; item <= 16; item *= 2) {
        for (int i = 0; i < RANDOM_BOXES(80); i++) {
            const int64_t n = test_random_range(&random, 2, 250);
            const int64_t m = test_random_range(&random, 2, BLOCK_NBYTES / 2 / n / item);
            const int64_t pitch = m * item + test_random_range(&random, 0, 1) * (64 - m * item % 64);
            const int64_t rows[2] = {pitch, item};
            const int64_t columns[2] = {item, n * item};
            check_2d(item, 0, n, m, rows, columns, n * m * item, 0);
        }
    }
}

static void a_fill_repeats_items_of_any_size(void **state)
{
    (void)state;
    static char block[70000];
    for (int64_t item = 1; item < 40; item++) {
        for (int64_t count = 1; count < 20000 / item; count = count * 3 + 1) {
            for (int streamed = 0; streamed < 2; streamed++) {
                char pattern[64];
                ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
                tuning.stream_nbytes = streamed != 0 ? 1 : INT64_MAX;
                ndbuf_cpu__tuning_set(&tuning);
                for (int64_t i = 0; i < item; i++) {
                    pattern[i] = (char)(i + 1);
                }
                int64_t shape[2] = {3, count};
                int64_t strides[2] = {count * item + 5, item};
                cpu_box box = {.dst = block + 16 + item,
                               .src = pattern,
                               .ndim = 2,
                               .unit_nbytes = item,
                               .shape = shape,
                               .dst_strides = strides};
                memset(block, 0, sizeof(block));
                ndbuf_cpu__fill_box(&box);
                for (int64_t row = 0; row < 3; row++) {
                    for (int64_t i = 0; i < count * item; i++) {
                        assert_int_equal(box.dst[row * strides[0] + i], i % item + 1);
                    }
                    assert_int_equal(box.dst[row * strides[0] + count * item], 0);
                }
                assert_int_equal(box.dst[-1], 0);
            }
        }
    }
}

static void contiguous_bytes_are_right_wherever_they_lie_in_a_page(void **state)
{
    (void)state;
    static char dst[4 * CPU_PAGE_NBYTES];
    static char src[4 * CPU_PAGE_NBYTES];
    char *from = src + CPU_PAGE_NBYTES;
    char *to = dst + CPU_PAGE_NBYTES + ((uintptr_t)from - (uintptr_t)dst) % CPU_PAGE_NBYTES;
    for (size_t i = 0; i < sizeof(src); i++) {
        src[i] = (char)(i % 251 + 1);
    }
    assert_false(cpu_moves_slowly(to, from, 2 * CPU_PAGE_NBYTES));
    assert_true(cpu_moves_slowly(to + 1, from, CPU_SLOW_MOVE_MIN + 1));
    assert_false(cpu_moves_slowly(to + 1, from, CPU_SLOW_MOVE_MIN));
    assert_true(cpu_moves_slowly(to + 31, from, CPU_SLOW_MOVE_MIN + 1));
    assert_false(cpu_moves_slowly(to + 32, from, CPU_SLOW_MOVE_MIN + 1));
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf_cpu__kernels_set(kernels);
        for (int64_t ahead = -1; ahead <= CPU_SLOW_MOVE_AHEAD; ahead++) {
            for (int64_t nbytes = CPU_SLOW_MOVE_MIN; nbytes < CPU_SLOW_MOVE_MIN + 140; nbytes++) {
                const cpu_box box = {.dst = to + ahead, .src = from, .unit_nbytes = nbytes};
                memset(dst, 0, sizeof(dst));
                ndbuf_cpu__copy_box(&box);
                assert_int_equal(memcmp(box.dst, from, (size_t)nbytes), 0);
                assert_int_equal(box.dst[-1], 0);
                assert_int_equal(box.dst[nbytes], 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(all_kernels_copy_4000_random_boxes_alike, all_kernels_teardown),
        cmocka_unit_test_teardown(planned_copies_are_right_at_any_size, all_kernels_teardown),
        cmocka_unit_test_teardown(streamed_copies_are_right_at_any_size, all_kernels_teardown),
        cmocka_unit_test_teardown(planned_copies_raise_no_signals_of_floating_point, all_kernels_teardown),
        cmocka_unit_test_teardown(any_constants_give_right_copies, all_kernels_teardown),
        cmocka_unit_test_teardown(steps_decided_beforehand_are_right, all_kernels_teardown),
        cmocka_unit_test_teardown(plans_made_beforehand_are_right_until_something_changes, all_kernels_teardown),
        cmocka_unit_test_teardown(slices_weaves_and_transposes_of_every_length_are_right, all_kernels_teardown),
        cmocka_unit_test_teardown(transposes_to_whole_lines_that_share_cache_sets_are_right, all_kernels_teardown),
        cmocka_unit_test_teardown(transposes_in_the_caches_whose_rows_share_sets_are_right, all_kernels_teardown),
        cmocka_unit_test_teardown(a_fill_repeats_items_of_any_size, all_kernels_teardown),
        cmocka_unit_test_teardown(contiguous_bytes_are_right_wherever_they_lie_in_a_page, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("cpu_engine", tests, NULL, NULL);
}
