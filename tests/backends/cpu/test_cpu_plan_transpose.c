/* SPDX-License-Identifier: Apache-2.0 */

/* What the host engine plans for transposes: tiles, strips and stages. */

#include "tests/backends/cpu/cpu_plan_sample.h"
#include "tests/support/test.h"

static void a_transpose_takes_the_fast_axis_of_each_side(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(3, 4, (320, 192, 256), (196608, 1024, 4), (768, 4, 245760));
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(plan.nloops, 1);
    assert_int_equal(plan.loops[0].extent, 320);
    assert_int_equal(plan.row.extent, 256);
    assert_int_equal(plan.column.extent, 192);
    assert_true(plan.streams);
    assert_int_equal(plan.transpose.stage_pitch, 0); /* all rows start with a cache line */
    assert_int_equal(plan.row_piece * 4, 128);
}

static void rows_that_share_cache_sets_leave_in_step(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 4, (4096, 4096), (16384, 4), (4, 16384));
    assert_true(plan.transpose.paced);
    assert_int_equal(plan.row_piece * 4, 128);
    assert_int_equal(plan.column_piece * 4, 512);
    assert_int_equal(plan.transpose.stage_pitch, 128);
    plan = PLAN(2, 4, (4096, 4096), (16448, 4), (4, 16384));
    assert_false(plan.transpose.paced);
    plan = PLAN(3, 4, (4096, 48, 4096), (786432, 16384, 4), (192, 4, 786432)); /* short lines */
    assert_false(plan.transpose.paced);
    plan = plan_of(&kernels, 2, 4, LIST(4096, 4096), LIST(16384, 4), LIST(4, 16384), 4104); /* within a line */
    assert_false(plan.transpose.paced);
}

static void tiles_in_step_are_larger_where_their_rows_lie_close_together(void **state)
{
    (void)state;
    ndbuf_cpu__tuning reaching = tuning;
    reaching.prefetch_level = 2;
    reaching.tile_reach_nbytes = 4 * MIB;
    cpu_plan plan = tuned_plan_of(&reaching, &kernels, 2, 8, LIST(4096, 4096), LIST(32768, 8), LIST(8, 32768), 4096);
    assert_true(plan.transpose.paced);
    assert_true(plan.transpose.prefetch.is_far);
    assert_int_equal(plan.column_piece, 128);
    reaching.tile_reach_nbytes = 64 * MIB;
    plan = tuned_plan_of(&reaching, &kernels, 2, 8, LIST(4096, 4096), LIST(32768, 8), LIST(8, 32768), 4096);
    assert_int_equal(plan.column_piece * 8, 4 * 512);
    reaching.tile_reach_nbytes = 1 * MIB;
    reaching.prefetch_level = 1;
    plan = tuned_plan_of(&reaching, &kernels, 2, 8, LIST(4096, 4096), LIST(32768, 8), LIST(8, 32768), 4096);
    assert_int_equal(plan.column_piece * 8, 512);
    assert_false(plan.transpose.prefetch.is_far);
}

static void half_lines_go_by_way_of_the_stage_unless_few_units_fill_them(void **state)
{
    (void)state;
    const int64_t *shape = LIST(256, 256, 256);
    const int64_t *dst = LIST(262144, 1024, 4);
    const int64_t *src = LIST(1024, 4, 262144); /* one set of the first cache */
    cpu_plan plan = plan_of(&kernels, 3, 4, shape, dst, src, 4096);
    assert_true(plan.streams);
    assert_int_equal(plan.transpose.stage_pitch, 0);
    assert_int_equal(plan.transpose.prefetch.nbytes, 128);
    plan = plan_of(&half_kernels, 3, 4, shape, dst, src, 4096);
    assert_true(plan.streams);
    assert_false(plan.transpose.paced);
    assert_true(plan.transpose.stage_pitch > 0);
    assert_int_equal(plan.row_piece, 8); /* of the 12 that a set holds */
    assert_int_equal(plan.transpose.panels_sent * plan.row_piece * 4, 256);
    assert_int_equal(plan.transpose.strip_rows * 4, 256);
    plan = plan_of(&half_kernels, 3, 4, shape, dst, LIST(1024, 4, 262208), 4096);
    assert_true(plan.transpose.stage_pitch > 0);
    assert_int_equal(plan.row_piece, 16);
    assert_int_equal(plan.transpose.panels_sent * plan.row_piece * 4, 256);
    assert_int_equal(plan.transpose.strip_rows * 4, 128);
    plan = plan_of(&half_kernels, 3, 4, LIST(48, 4096, 32), LIST(524288, 128, 4), LIST(4, 192, 786432), 4096);
    assert_int_equal(plan.transpose.lines_per_index, 32); /* short rows are chained */
    assert_int_equal(plan.transpose.panels_sent * plan.row_piece * 32 * 4, 256);
    dst = LIST(524288, 2048, 8);
    plan = plan_of(&half_kernels, 3, 8, shape, dst, LIST(2048, 8, 524288), 4096);
    assert_true(plan.transpose.stage_pitch > 0);
    assert_int_equal(plan.transpose.panels_sent * plan.row_piece * 8, 128);
    plan = plan_of(&half_kernels, 3, 8, shape, dst, LIST(2048, 8, 524352), 4096); /* not one set */
    assert_int_equal(plan.transpose.stage_pitch, 0);
    assert_int_equal(plan.transpose.prefetch.nbytes, 0);
    plan = plan_of(&half_kernels, 4, 8, LIST(512, 256, 32, 4), LIST(262144, 1024, 32, 8), LIST(2048, 8, 8256, 4194304),
                   4096); /* few of it */
    assert_int_equal(plan.transpose.stage_pitch, 0);
    plan = plan_of(&half_kernels, 3, 16, LIST(128, 128, 128), LIST(262144, 2048, 16), LIST(2048, 16, 262144), 4096);
    assert_int_equal(plan.transpose.stage_pitch, 0);
    assert_int_equal(plan.transpose.prefetch.nbytes, 3 * 128);
}

static void rows_past_the_caches_that_end_within_a_line_are_chained(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(3, 4, (1024, 16, 40), (2560, 160, 4), (4, 4352, 69632));
    assert_true(plan.streams);
    assert_int_equal(plan.transpose.lines_per_index, 40);
    assert_int_equal(plan.row.extent, 16);
    plan = PLAN(3, 4, (1024, 16, 48), (3072, 192, 4), (4, 4352, 69632)); /* whole lines */
    assert_int_equal(plan.transpose.lines_per_index, 1);
    assert_int_equal(plan.row.extent, 48);
}

static void strips_are_of_whole_lines_and_rows_that_have_room_in_their_sets(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.strip_nbytes = 128;
    other.set_lines = 8;
    cpu_plan plan = tuned_plan_of(&other, &half_kernels, 2, 1, LIST(500, 520), LIST(520, 1), LIST(1, 500), 4096);
    assert_int_equal(plan.transpose.strip_rows, 64);
    plan = tuned_plan_of(&other, &half_kernels, 2, 4, LIST(500, 512), LIST(2048, 4), LIST(4, 2000), 4096);
    assert_int_equal(plan.transpose.stage_pitch, 0);
    assert_int_equal(plan.transpose.strip_rows, 16); /* 8 of them in a set */
    plan = tuned_plan_of(&other, &half_kernels, 2, 4, LIST(500, 512), LIST(2112, 4), LIST(4, 2000), 4096);
    assert_int_equal(plan.transpose.strip_rows, 32);
}

static void blocks_that_take_parts_of_lines_write_few_rows_of_a_large_copy_at_a_time(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.strip_nbytes = 128;
    cpu_plan plan = tuned_plan_of(&other, &half_kernels, 2, 8, LIST(260, 264), LIST(2112, 8), LIST(8, 2080), 4096);
    assert_int_equal(plan.transpose.strip_rows, 16);
    assert_int_equal(plan.transpose.pass_rows, 4);
    plan = tuned_plan_of(&other, &half_kernels, 2, 12, LIST(250, 260), LIST(3120, 12), LIST(12, 3000), 4096);
    assert_int_equal(plan.transpose.pass_rows, 4); /* moved one by one */
    other.pass_rows = 10;
    plan = tuned_plan_of(&other, &half_kernels, 2, 8, LIST(260, 264), LIST(2112, 8), LIST(8, 2080), 4096);
    assert_int_equal(plan.transpose.pass_rows, 8); /* whole blocks */
    plan = tuned_plan_of(&other, &half_kernels, 2, 8, LIST(100, 264), LIST(2112, 8), LIST(8, 800), 4096); /* smaller */
    assert_int_equal(plan.transpose.pass_rows, 16);
    plan = tuned_plan_of(&other, &kernels, 2, 8, LIST(260, 264), LIST(2112, 8), LIST(8, 2080), 4096); /* whole lines */
    assert_int_equal(plan.transpose.pass_rows, plan.transpose.strip_rows);
    plan = tuned_plan_of(&other, &half_kernels, 2, 4, LIST(500, 528), LIST(2112, 4), LIST(4, 2000), 4096); /* short */
    assert_int_equal(plan.transpose.pass_rows, 32);
    other.pass_rows = 4;
    plan = tuned_plan_of(&other, &half_kernels, 2, 16, LIST(250, 260), LIST(4160, 16), LIST(16, 4000), 4096);
    assert_int_equal(plan.transpose.pass_rows, 8);
    plan = tuned_plan_of(&other, &half_kernels, 2, 8, LIST(256, 264), LIST(2112, 8), LIST(8, 2048), 4096);
    assert_int_equal(plan.transpose.strip_rows, 256); /* along diagonals */
    assert_int_equal(plan.transpose.pass_rows, 256);
    plan = tuned_plan_of(&other, &half_kernels, 2, 8, LIST(260, 270), LIST(4096, 8), LIST(8, 2080), 4096);
    assert_true(plan.transpose.stage_pitch > 0);
    assert_int_equal(plan.transpose.pass_rows, plan.transpose.strip_rows);
}

static void blocks_that_take_parts_of_lines_leave_the_caches_early(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.stream_nbytes = 8 * MIB;
    cpu_plan plan = tuned_plan_of(&other, &half_kernels, 2, 4, LIST(700, 750), LIST(3000, 4), LIST(4, 2800), 4096);
    assert_true(plan.streams);
    plan = tuned_plan_of(&other, &half_kernels, 2, 4, LIST(700, 748), LIST(2992, 4), LIST(4, 2800), 4096);
    assert_false(plan.streams); /* 2 MiB less 2752 bytes */
    plan = tuned_plan_of(&other, &kernels, 2, 4, LIST(700, 750), LIST(3000, 4), LIST(4, 2800), 4096);
    assert_false(plan.streams);
    plan = tuned_plan_of(&other, &half_kernels, 2, 16, LIST(350, 375), LIST(6000, 16), LIST(16, 5600), 4104);
    assert_false(plan.streams);
    plan = tuned_plan_of(&other, &half_kernels, 2, 12, LIST(425, 430), LIST(5160, 12), LIST(12, 5100), 4096);
    assert_true(plan.streams);
}

/* FLOAT64 to FLOAT32, or to numbers of 2 bytes. */
static cpu_plan converting_plan_of(const ndbuf_cpu__tuning *by, const cpu_kernels *with, int64_t unit_nbytes,
                                   int64_t count)
{
    const int64_t shape[] = {count, count + 4};
    const int64_t dst_strides[] = {(count + 4) * unit_nbytes, unit_nbytes};
    const int64_t src_strides[] = {8, count * 8};
    const cpu_row_converter converter = {.dst_nbytes = unit_nbytes, .src_nbytes = 8, .step = 8};
    const cpu_box box = {.dst = (char *)(uintptr_t)4096,
                         .ndim = 2,
                         .unit_nbytes = unit_nbytes,
                         .shape = shape,
                         .dst_strides = dst_strides,
                         .src_strides = src_strides,
                         .converter = &converter};
    cpu_plan plan;
    ndbuf_cpu__plan_make(&plan, &box, with, by);
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
    assert_true(plan.transpose.packs_lines);
    return plan;
}

static void conversions_leave_the_caches_by_what_both_sides_have(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.stream_nbytes = 8 * MIB;
    assert_true(converting_plan_of(&other, &half_kernels, 4, 420).streams);  /* 0.7 and 1.4 MB */
    assert_false(converting_plan_of(&other, &half_kernels, 4, 410).streams); /* 0.68 and 1.36 MB */
    assert_false(converting_plan_of(&other, &kernels, 4, 420).streams);      /* whole lines */
}

static void lines_are_converted_for_some_steps_at_once_if_they_stay(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.stream_nbytes = 8 * MIB;
    other.stream_parts_nbytes = 8 * MIB;
    other.stream_conflict_nbytes = 8 * MIB;
    assert_int_equal(converting_plan_of(&other, &half_kernels, 4, 410).transpose.strip_rows, 32);
    assert_int_equal(converting_plan_of(&other, &half_kernels, 4, 512).transpose.strip_rows, 16); /* one cache set */
    assert_int_equal(converting_plan_of(&other, &half_kernels, 2, 600).transpose.strip_rows, 32);
    assert_int_equal(converting_plan_of(&other, &half_kernels, 1, 600).transpose.strip_rows, 64);
    assert_int_equal(converting_plan_of(&other, &kernels, 4, 410).transpose.strip_rows, 16); /* whole lines */
}

static void rows_in_the_caches_that_share_their_sets_are_staged(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 4, (64, 1024), (4096, 4), (4, 256));
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
    assert_false(plan.streams);
    assert_int_equal(plan.transpose.stage_pitch, 512 + 128);
    assert_int_equal(PLAN(2, 4, (64, 1024), (4096 + 8, 4), (4, 256)).transpose.stage_pitch, 0);
    assert_int_equal(PLAN(2, 8, (64, 512), (4096, 8), (8, 512)).transpose.stage_pitch, 0); /* a strip has few */
    assert_true(PLAN(2, 2, (128, 1024), (2048, 2), (2, 256)).transpose.stage_pitch > 0);
}

static void staged_rows_have_room_whatever_the_constants_are(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.panel_nbytes = 64; /* little of each row */
    other.conflict_nbytes = 64;
    other.set_lines = 1;
    const cpu_plan plan =
        tuned_plan_of(&other, &half_kernels, 2, 4, LIST(1024, 128), LIST(512, 4), LIST(4, 4096), 4096);
    assert_true(plan.transpose.stage_pitch > 0);
    assert_true(plan.transpose.strip_rows * plan.transpose.stage_pitch < CPU_PLAN_MAX_STAGE_NBYTES);
    assert_int_equal(plan.transpose.strip_rows, CPU_PLAN_MAX_STAGED_ROWS);
}

static void few_rows_go_by_narrower_blocks_unless_they_share_cache_sets(void **state)
{
    (void)state;
    const cpu_kernels narrow = {.name = "narrow", .block_side = {16, 8, 4, 2, 1}};
    cpu_kernels wide = kernels;
    wide.narrower = &narrow;
    cpu_plan plan = plan_of(&wide, 2, 4, LIST(12, 1000), LIST(4000, 4), LIST(4, 48), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(plan.transpose.stage_pitch, 0);
    /* Each third one falls near the first. */
    assert_true(plan_of(&wide, 2, 1, LIST(48, 1365), LIST(1365, 1), LIST(1, 48), 4096).transpose.stage_pitch > 0);
    assert_int_equal(plan_of(&wide, 2, 1, LIST(48, 1300), LIST(1300, 1), LIST(1, 48), 4096).transpose.stage_pitch, 0);
    /* No blocks are so narrow. */
    assert_true(plan_of(&wide, 2, 1, LIST(12, 4000), LIST(4096, 1), LIST(1, 24), 4096).transpose.stage_pitch > 0);
    /* Channels that make whole blocks are turned, others are picked. */
    assert_int_equal(plan_of(&wide, 2, 1, LIST(16, 4000), LIST(4000, 1), LIST(1, 16), 4096).kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(plan_of(&wide, 2, 1, LIST(15, 4000), LIST(4000, 1), LIST(1, 15), 4096).kind, CPU_PLAN_GATHER);
}

static void lines_with_gaps_are_packed_by_shuffles(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 4, (2048, 4096), (16384, 4), (8, 16384)); /* every second column, transposed */
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
    assert_true(plan.transpose.packs_lines);
    assert_int_equal(plan.transpose.line_stride, 8);
    assert_int_equal(plan.transpose.strip_rows, 16);
    plan = PLAN(2, 4, (2048, 4096), (16384, 4), (64, 131072)); /* a line each: nothing is gained */
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
    /* Nor by units of which a vector has few, few lines, or lines that make no vector. */
    assert_int_equal(PLAN(2, 8, (2048, 4096), (32768, 8), (16, 32768)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(2, 4, (2048, 8), (36, 4), (8, 16384)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(2, 4, (2048, 9), (36, 4), (8, 16384)).kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(PLAN(2, 4, (15, 4096), (16384, 4), (8, 120)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(2, 4, (16, 4096), (16384, 4), (8, 128)).kind, CPU_PLAN_TRANSPOSE);
}

static void rows_that_begin_within_lines_leave_the_caches_where_that_is_worth_it(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.stream_uneven_nbytes = 32 * MIB;
    other.stream_uneven_row_nbytes = 4096;
    assert_true(tuned_plan_of(&tuning, &kernels, 2, 4, LIST(2000, 1001), LIST(4004, 4), LIST(4, 8000), 4096).streams);
    assert_false(tuned_plan_of(&other, &kernels, 2, 4, LIST(2000, 1001), LIST(4004, 4), LIST(4, 8000), 4096).streams);
    assert_true(tuned_plan_of(&other, &kernels, 2, 4, LIST(2000, 1008), LIST(4032, 4), LIST(4, 8000), 4096).streams);
    assert_true(tuned_plan_of(&other, &kernels, 2, 1, LIST(2000, 4097), LIST(4097, 1), LIST(1, 2000), 4096).streams);
    assert_true(tuned_plan_of(&other, &kernels, 2, 4, LIST(9000, 1041), LIST(4164, 4), LIST(4, 36000), 4096).streams);
    assert_false(tuned_plan_of(&other, &kernels, 2, 4, LIST(9000, 999), LIST(3996, 4), LIST(4, 36000), 4096).streams);
}

static void strips_are_prefetched_while_lines_go_on(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.stream_nbytes = 8 * MIB;
    other.stream_direct_nbytes = 8 * MIB;
    other.stream_conflict_nbytes = 8 * MIB;
    cpu_plan plan = tuned_plan_of(&other, &kernels, 2, 4, LIST(400, 1001), LIST(4004, 4), LIST(4, 1600), 4096);
    assert_int_equal(plan.transpose.prefetch.nbytes, 64);
    plan = tuned_plan_of(&other, &kernels, 2, 4, LIST(16, 25025), LIST(100100, 4), LIST(4, 64), 4096);
    assert_int_equal(plan.transpose.prefetch.nbytes, 0);
    other.strip_prefetch_nbytes = 0; /* whatever comes next is read soon */
    plan = tuned_plan_of(&other, &kernels, 2, 4, LIST(16, 25025), LIST(100100, 4), LIST(4, 64), 4096);
    assert_int_equal(plan.transpose.prefetch.nbytes, 64);
}

static void a_nest_of_tiny_axes_is_chained_to_long_runs(void **state)
{
    (void)state;
    int64_t shape[16];
    int64_t dst_strides[16];
    int64_t src_strides[16];
    for (int32_t k = 0; k < 16; k++) {
        shape[k] = 2;
        dst_strides[k] = (int64_t)4 << (15 - k);
        src_strides[k] = (int64_t)4 << k;
    }
    cpu_plan plan = plan_of(&kernels, 16, 4, shape, dst_strides, src_strides, 4096);
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
    assert_true(plan.row_piece * plan.transpose.lines_per_index >= 128);
    assert_true(plan.column_piece * plan.transpose.rows_per_index >= 32);
    for (int64_t a = 0; a < 128; a++) { /* line a: its bits, mirrored */
        int64_t at = 0;
        for (int bit = 0; bit < 7; bit++) {
            at += (a >> bit & 1) * ((int64_t)4 << (15 - bit));
        }
        assert_int_equal(plan.transpose.src_offsets[a], at);
    }
}

static void rows_that_start_anywhere_are_staged_past_the_caches(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 4, (5003, 5000), (20000, 4), (4, 20012));
    assert_true(plan.streams);
    assert_true(plan.transpose.stage_pitch >= 128 + 63);
    assert_int_equal(plan.transpose.panels_sent * plan.row_piece * 4, 128);
    assert_true(plan.column_piece * plan.transpose.stage_pitch < CPU_PLAN_MAX_STAGE_NBYTES);
}

static void what_rows_are_written_on_into_is_fetched_where_the_first_cache_lacks_it(void **state)
{
    (void)state;
    assert_true(PLAN(2, 4, (100, 100), (400, 4), (4, 400)).transpose.prefetch.rows);
    assert_false(PLAN(2, 4, (64, 64), (256, 4), (4, 256)).transpose.prefetch.rows);
    assert_false(PLAN(2, 4, (4000, 16), (64, 4), (4, 16000)).transpose.prefetch.rows); /* of a block each */
    assert_true(PLAN(2, 4, (4000, 17), (68, 4), (4, 16000)).transpose.prefetch.rows);
    const cpu_plan staged = PLAN(2, 4, (256, 256), (4096, 4), (4, 4096));
    assert_true(staged.transpose.stage_pitch > 0);
    assert_false(staged.transpose.prefetch.rows);
}

static void a_source_that_runs_backwards_is_turned_round(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 4, (64, 100), (400, 4), (-4, 256));
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(plan.column.src_stride, 4);
    assert_int_equal(plan.column.dst_stride, -400);
    assert_int_equal(plan.src_offset, -4 * 63);
    assert_int_equal(plan.dst_offset, 400 * 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transpose_takes_the_fast_axis_of_each_side),
        cmocka_unit_test(rows_that_share_cache_sets_leave_in_step),
        cmocka_unit_test(tiles_in_step_are_larger_where_their_rows_lie_close_together),
        cmocka_unit_test(half_lines_go_by_way_of_the_stage_unless_few_units_fill_them),
        cmocka_unit_test(rows_past_the_caches_that_end_within_a_line_are_chained),
        cmocka_unit_test(strips_are_of_whole_lines_and_rows_that_have_room_in_their_sets),
        cmocka_unit_test(blocks_that_take_parts_of_lines_write_few_rows_of_a_large_copy_at_a_time),
        cmocka_unit_test(blocks_that_take_parts_of_lines_leave_the_caches_early),
        cmocka_unit_test(conversions_leave_the_caches_by_what_both_sides_have),
        cmocka_unit_test(lines_are_converted_for_some_steps_at_once_if_they_stay),
        cmocka_unit_test(rows_in_the_caches_that_share_their_sets_are_staged),
        cmocka_unit_test(staged_rows_have_room_whatever_the_constants_are),
        cmocka_unit_test(few_rows_go_by_narrower_blocks_unless_they_share_cache_sets),
        cmocka_unit_test(lines_with_gaps_are_packed_by_shuffles),
        cmocka_unit_test(rows_that_begin_within_lines_leave_the_caches_where_that_is_worth_it),
        cmocka_unit_test(strips_are_prefetched_while_lines_go_on),
        cmocka_unit_test(a_nest_of_tiny_axes_is_chained_to_long_runs),
        cmocka_unit_test(rows_that_start_anywhere_are_staged_past_the_caches),
        cmocka_unit_test(what_rows_are_written_on_into_is_fetched_where_the_first_cache_lacks_it),
        cmocka_unit_test(a_source_that_runs_backwards_is_turned_round),
    };
    return cmocka_run_group_tests_name("cpu_plan_transpose", tests, NULL, NULL);
}
