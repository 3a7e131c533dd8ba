/* SPDX-License-Identifier: Apache-2.0 */

/* What the host engine plans: kinds, axes and pieces. Transposes have a test of their own. */

#include "tests/backends/cpu/cpu_plan_sample.h"
#include "tests/support/test.h"

static void no_blocks(const ndbuf__arrangement *how, char *dst, int64_t dst_step, const char *src, int64_t src_step,
                      int64_t count, int64_t prefetch_nbytes)
{
    (void)how, (void)dst, (void)dst_step, (void)src, (void)src_step, (void)count, (void)prefetch_nbytes;
}

static void no_lane_blocks(const cpu_lane_block *block, char *dst, int64_t dst_step, const char *src, int64_t src_step,
                           int64_t count, int64_t prefetch_nbytes)
{
    (void)block, (void)dst, (void)dst_step, (void)src, (void)src_step, (void)count, (void)prefetch_nbytes;
}

static void contiguous_bytes_are_cut_into_pieces(void **state)
{
    (void)state;
    cpu_plan plan = plan_of(&kernels, 0, 64 * MIB, NULL, NULL, NULL, 4096);
    assert_int_equal(plan.kind, CPU_PLAN_BYTES);
    assert_true(plan.streams);
    assert_int_equal(plan.ntasks * plan.row_piece, 64 * MIB);
    plan = plan_of(&kernels, 0, 2 * MIB - 1, NULL, NULL, NULL, 4096);
    assert_false(plan.streams);
}

static void long_units_are_bytes_and_shorter_ones_rows(void **state)
{
    (void)state;
    assert_int_equal(PLAN(1, 65536, (100), (65536), (131072)).kind, CPU_PLAN_BYTES);
    assert_int_equal(PLAN(1, 256, (100), (256), (320)).kind, CPU_PLAN_ROWS);
    assert_int_equal(PLAN(1, 20, (1000), (20), (40)).kind, CPU_PLAN_ROWS);
}

static void rows_that_are_whole_lines_stream_whatever_is_between_them(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(1, 64, (1000000), (192), (128));
    assert_true(plan.whole_lines);
    assert_true(plan.streams);
    plan = plan_of(&kernels, 1, 64, LIST(1000000), LIST(192), LIST(128), 4096 + 16);
    assert_false(plan.whole_lines);
    assert_false(plan.streams);
}

static void slices_are_gathered_by_shuffles_while_they_fit_a_window(void **state)
{
    (void)state;
    for (int64_t unit = 1; unit <= 16; unit *= 2) {
        for (int64_t factor = 2; factor <= 4; factor++) {
            cpu_plan plan = plan_of(&kernels, 1, unit, LIST(100000), LIST(unit), LIST(unit * factor), (uintptr_t)4096);
            assert_int_equal(plan.kind, CPU_PLAN_GATHER);
            assert_int_equal(plan.shuffle.nin, (64 * factor - unit * (factor - 1) + 63) / 64);
            assert_int_equal(plan.shuffle.units_per_step, 64 / unit);
        }
    }
    assert_int_equal(PLAN(1, 4, (100000), (4), (4000)).kind, CPU_PLAN_STRIDED);
}

static void short_rows_go_many_in_one_task(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 4, (1000, 64), (256, 4), (256, -4));
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    assert_int_equal(plan.column.extent, 1000);
    assert_int_equal(plan.column_piece, 65536 / 256);
    assert_int_equal(plan.ntasks, 4);
    plan = PLAN(2, 8, (20000, 9), (72, 8), (8, 0));
    assert_int_equal(plan.kind, CPU_PLAN_REPEAT);
    assert_int_equal(plan.column.extent, 20000);
    assert_int_equal(plan.column_piece, 65536 / 72);
    plan = PLAN(2, 8, (1000, 40), (641, 16), (2000, 40));
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
    assert_int_equal(plan.column.extent, 1000);
    assert_int_equal(plan.column_piece, 65536 / 320);
}

/* Vectors that are parts of a line go on in one place, and say what is next. */
static void items_picked_past_the_caches_are_prefetched_by_narrow_vectors(void **state)
{
    (void)state;
    const int64_t count = 4 * MIB;
    cpu_plan plan = plan_of(&kernels, 1, 4, &count, LIST(4), LIST(8), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    assert_true(plan.streams);
    assert_int_equal(plan.stream_ways, 2);
    assert_int_equal(plan.prefetch_nbytes, 8192);
    plan = plan_of(&half_kernels, 1, 4, &count, LIST(4), LIST(8), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    assert_int_equal(plan.stream_ways, 1);
    assert_int_equal(plan.prefetch_nbytes, 1024);
    plan = plan_of(&half_kernels, 1, 4, &count, LIST(4), LIST(-4), 4096);
    assert_int_equal(plan.prefetch_nbytes, -1024);
    plan = plan_of(&half_kernels, 1, 4096, LIST(1000), LIST(4096), LIST(8192), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_ROWS);
    assert_int_equal(plan.stream_ways, 2);
    assert_true(plan_of(&kernels, 1, 4, &count, LIST(4), LIST(640), 4096).streams); /* few of what is read */
    assert_false(plan_of(&half_kernels, 1, 4, &count, LIST(4), LIST(640), 4096).streams);
    assert_true(plan_of(&half_kernels, 1, 16, &count, LIST(16), LIST(112), 4096).streams);
}

/* Few rows are copied sooner than it is found out how a block of them is arranged, unless a plan runs many times. */
static void a_plan_that_runs_once_is_not_searched_for_long(void **state)
{
    (void)state;
    cpu_kernels with = kernels;
    with.arrange_blocks = no_blocks;
    cpu_box box = {.dst = (char *)(uintptr_t)4096,
                   .ndim = 2,
                   .unit_nbytes = 1,
                   .shape = LIST(60, 20),
                   .dst_strides = LIST(20, 1),
                   .src_strides = LIST(20, -1)};
    cpu_plan plan;
    ndbuf_cpu__plan_make(&plan, &box, &with, &tuning);
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    box.nruns = CPU_BOX_MANY_RUNS;
    ndbuf_cpu__plan_make(&plan, &box, &with, &tuning);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
}

static void short_rows_go_together_with_another_axis(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 4, (1000, 2), (96, 12), (80, 90000));
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
    assert_int_equal(plan.row.extent, 1000); /* the longer one inside */
    assert_int_equal(plan.row_piece, 32);
    assert_int_equal(plan.column.extent, 2);
    assert_int_equal(plan.ntasks, 32);
    plan = PLAN(3, 64, (40, 100, 2), (38400, 384, 128), (64, 2560, 256000));
    assert_int_equal(plan.kind, CPU_PLAN_ROWS);
    assert_int_equal(plan.row.src_stride, 64); /* of two that are long enough, the one that is faster in the source */
    assert_int_equal(plan.column.extent, 2);
    assert_int_equal(plan.ntasks, 2 * 100);
    plan = PLAN(2, 4, (20, 10), (400, 12), (90000, 80));
    assert_int_equal(plan.row.extent, 10);
    assert_int_equal(plan.column.extent, 20);
    assert_int_equal(plan.column_piece, 6);
    plan = PLAN(2, 4, (20, 32), (400, 12), (80, 90000));
    assert_int_equal(plan.row.extent, 32);
    assert_int_equal(plan.column.extent, 20); /* a square tile, as the source is faster along it */
    assert_int_equal(plan.row_piece, 64);
    plan = PLAN(3, 8, (900, 10, 7), (5600, 280, 40), (72, 311400, 8)); /* not crossed: as the destination lies */
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
    assert_int_equal(plan.row.extent, 10);
    assert_int_equal(plan.column.extent, 7);
    /* Each cache line of the source is read once, unless there are so few that it is still there. */
    plan = PLAN(4, 2, (2, 5000, 5, 4), (700000, 140, 28, 2), (50, 100, 10, 2257600));
    assert_int_equal(plan.row.extent, 4);
    assert_int_equal(plan.column.extent, 5);
    plan = PLAN(4, 2, (2, 500, 5, 4), (700000, 140, 28, 2), (50, 100, 10, 2257600));
    assert_int_equal(plan.row.extent, 500);
    assert_int_equal(plan.loops[plan.nloops - 1].src_stride, 10); /* soon, and not behind all the others */
    plan = PLAN(4, 2, (5, 500, 2, 4), (70000, 140, 28, 2), (10, 100, 50, 2257600));
    assert_int_equal(plan.row.extent, 500);
    assert_int_equal(plan.loops[plan.nloops - 1].src_stride, 10); /* however the destination lies */
    plan = PLAN(3, 8, (900, 10, 7), (5600, 280, 40), (0, 56, 8)); /* repeated axes are not fast, */
    assert_int_equal(plan.row.extent, 10);
    assert_int_equal(plan.column.extent, 7);
    plan = PLAN(3, 12, (542, 92, 4), (17664, 96, 24), (576, 0, 312192)); /* nor slow: the destination is near */
    assert_int_equal(plan.row.extent, 92);
    assert_int_equal(plan.column.extent, 4);
    plan = PLAN(2, 160, (1000, 2), (480, 160), (160, 160000));
    assert_int_equal(plan.kind, CPU_PLAN_ROWS);
    assert_int_equal(plan.row.extent, 2); /* of longer units none is worth another order */
}

static void short_rows_go_past_the_caches_only_where_that_is_no_slower(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(3, 1, (1000000, 5, 5), (25, 5, 1), (10, 6000000, -1)); /* windows */
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
    assert_false(plan.streams);
    assert_int_equal(plan.row.extent, 1000000);
    assert_int_equal(plan.column.extent, 5);
    plan = PLAN(2, 64, (1000000, 3), (192, 64), (64, 64000000)); /* whole lines */
    assert_int_equal(plan.kind, CPU_PLAN_ROWS);
    assert_true(plan.streams);
}

static void planes_too_narrow_for_vectors_are_walked(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(5, 1, (3, 3, 13, 16, 2), (29952, 3744, 144, 9, 1), (1, 22464, 9, 1404, 234));
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
    assert_int_equal(plan.row.extent, 16);
    assert_int_equal(plan.column.extent, 2);
    assert_int_equal(plan.ntasks, 3 * 3 * 13);
    plan = PLAN(2, 2, (2, 40000), (80000, 2), (6, -42)); /* nor have these enough rows */
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
    assert_int_equal(plan.row.extent, 40000);
    assert_int_equal(plan.row_piece, 128);
    assert_int_equal(plan.column.extent, 2);
    plan = PLAN(2, 8, (3, 40000), (320000, 8), (8, 48)); /* nor these, however large */
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
    assert_false(plan.streams);
    assert_int_equal(PLAN(2, 8, (8, 40000), (320000, 8), (8, 64)).kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(PLAN(2, 8, (40000, 3), (48, 8), (8, 320000)).kind, CPU_PLAN_STRIDED);
    /* Past the caches no others are walked in their place. */
    for (int64_t unit = 8; unit <= 16; unit += 8) {
        for (int64_t few = 3; few <= 4; few++) {
            const int64_t side = 400000;
            const int64_t pitch = (few + 3) * unit;
            const cpu_plan_kind kind = few < 4 ? CPU_PLAN_STRIDED : CPU_PLAN_TRANSPOSE;
            plan = PLAN(2, unit, (side, few), (pitch, unit), (unit, side * unit));
            assert_int_equal(plan.kind, kind);
            plan = PLAN(2, unit, (few, side), (side * unit, unit), (unit, pitch));
            assert_int_equal(plan.kind, kind);
        }
    }
    assert_int_equal(PLAN(2, 12, (6, 40000), (480000, 12), (12, 96)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(2, 12, (7, 40000), (480000, 12), (12, 96)).kind, CPU_PLAN_TRANSPOSE);
    plan = PLAN(3, 4, (13, 16, 16), (1024, 64, 4), (1024, 4, 64)); /* these are not too small */
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
}

static void nests_of_short_axes_are_arranged_in_blocks(void **state)
{
    (void)state;
    cpu_kernels with = kernels;
    with.arrange_blocks = no_blocks;
    /* Rows of 20 bytes, backwards: 12 of them are 240 bytes, and of 1000 four are left, which go with eight others. */
    cpu_plan plan = plan_of(&with, 2, 1, LIST(1000, 20), LIST(20, 1), LIST(20, -1), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
    assert_int_equal(plan.block_nbytes, 240);
    assert_int_equal(plan.row.extent, 83);
    assert_int_equal(plan.row.dst_stride, 240);
    assert_int_equal(plan.last_dst_back, 160);
    assert_int_equal(plan.last_src_back, 160);
    assert_int_equal(plan.prefetch_nbytes, 0);
    assert_null(plan.lane_blocks);
    assert_int_equal(plan.block.arrangement.src_offset, -19);
    assert_int_equal(plan.block.arrangement.index[0][0], 19);
    assert_int_equal(plan.block.arrangement.index[0][19], 0);
    assert_int_equal(plan.block.arrangement.index[0][20], 39);
    assert_int_equal(plan.block.arrangement.nout, 4);
    assert_int_equal(plan.block.arrangement.last_offset, 240 - 64);
    assert_true(plan.block.arrangement.writes[3] == UINT64_MAX);
    assert_int_equal(plan.block.arrangement.index[3][63], 220);
    /* Long rows are gathered, and without such kernels short ones too. */
    assert_int_equal(plan_of(&with, 1, 1, LIST(100000), LIST(1), LIST(-1), (uintptr_t)4096).kind, CPU_PLAN_GATHER);
    assert_int_equal(PLAN(2, 1, (1000, 20), (20, 1), (20, -1)).kind, CPU_PLAN_GATHER);
    /* Past the caches they are written as usual: most of them are parts of lines. */
    plan = plan_of(&with, 2, 1, LIST(1000000, 20), LIST(20, 1), LIST(20, -1), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
    assert_false(plan.streams);
    assert_int_equal(plan.prefetch_nbytes, 8192 / 240 * 240);
    /* Windows of 3 x 3 bytes, 28 of which come from pieces of three rows. */
    plan = plan_of(&with, 3, 3, LIST(64, 100, 3), LIST(900, 9, 3), LIST(1024, 1, -1024), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
    assert_int_equal(plan.block_nbytes, 252);
    assert_int_equal(plan.block.arrangement.nin, 3);
    assert_int_equal(plan.block.arrangement.in_step, -1024);
    assert_int_equal(plan.block.arrangement.src_offset, 0);
    assert_int_equal(plan.block.arrangement.index[0][0], 0);
    assert_int_equal(plan.block.arrangement.index[0][3], 64);
    assert_int_equal(plan.block.arrangement.index[0][9], 1);
}

static void few_planes_are_arranged_in_records_with_gaps(void **state)
{
    (void)state;
    cpu_kernels with = kernels;
    with.arrange_blocks = no_blocks;
    cpu_plan plan = plan_of(&with, 2, 8, LIST(10000, 3), LIST(32, 8), LIST(8, 80000), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS); /* not planes three lines wide */
    assert_int_equal(plan.block_nbytes, 8 * 24);
    assert_int_equal(plan.block.arrangement.nin, 3);
    assert_int_equal(plan.block.arrangement.nout, 4);
    plan = plan_of(&with, 2, 4, LIST(10000, 3), LIST(16, 4), LIST(4, 40000), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS); /* nor three times a part of each line */
    assert_int_equal(plan_of(&with, 1, 4, LIST(10000), LIST(8), LIST(4), 4096).kind, CPU_PLAN_SCATTER);
    plan = plan_of(&with, 4, 8, LIST(2062, 2, 7, 2), LIST(224, 112, 16, 8), LIST(56, 115480, 8, 230960), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);                                   /* nor units one by one */
    plan = plan_of(&with, 2, 8, LIST(10000, 8), LIST(72, 8), LIST(8, 80000), 4096); /* whole blocks of transposes */
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
}

static void nests_of_short_axes_are_put_together_by_lanes_where_nothing_masks_bytes(void **state)
{
    (void)state;
    cpu_kernels narrow = kernels;
    narrow.lane_blocks = no_lane_blocks;
    narrow.lanes_nbytes = 16;
    cpu_kernels with = narrow;
    with.lanes_nbytes = 32;
    with.narrower = &narrow;
    cpu_kernels half = with;
    half.shuffle_nbytes = 16;
    /* Matrices of 4 x 4 numbers, each transposed: both vectors are made of the 4 lines. */
    cpu_plan plan = plan_of(&with, 3, 4, LIST(1000, 4, 4), LIST(64, 16, 4), LIST(64, 4, 16), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
    assert_true(plan.lane_blocks == no_lane_blocks);
    assert_int_equal(plan.block_nbytes, 64);
    assert_int_equal(plan.row.extent, 1000);
    assert_int_equal(plan.last_dst_back, 0);
    assert_int_equal(plan.block.lanes.nout, 2);
    assert_int_equal(plan.block.lanes.nin, 4);
    assert_true(plan.block.lanes.is_shared);
    assert_int_equal(plan.block.lanes.in_offsets[1][3], 48);
    assert_int_equal(plan.block.lanes.index[0], 0);      /* of the first line's window, */
    assert_int_equal(plan.block.lanes.index[32 + 4], 0); /* of the second's */
    assert_int_equal(plan.block.lanes.index[4], CPU_SHUFFLE_NONE);
    /* A block of 15 x 5 bytes is too large for that: each vector has windows of its own. */
    plan = plan_of(&with, 3, 1, LIST(1000, 15, 5), LIST(75, 5, 1), LIST(75, 1, 15), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
    assert_int_equal(plan.block_nbytes, 75);
    assert_false(plan.block.lanes.is_shared);
    assert_int_equal(plan.block.lanes.nout, 3);
    assert_int_equal(plan.block.lanes.out_offsets[2], 75 - 32);
    /* A large source that is read as a whole is not sparse. */
    plan = plan_of(&half, 3, 3, LIST(200000, 22, 3), LIST(198, 9, 3), LIST(198, 3, 66), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
    /* The last vector of 7 x 4 bytes ends with them, by narrower kernels: there is no room for a wider one. */
    plan = plan_of(&with, 3, 1, LIST(1000, 7, 4), LIST(64, 4, 1), LIST(64, 1, 7), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
    assert_int_equal(plan.block.lanes.nout, 2);
    assert_int_equal(plan.block.lanes.out_offsets[1], 12);
    /* Not with gaps, and not where each byte has a place of its own. */
    assert_int_not_equal(plan_of(&with, 3, 1, LIST(1000, 4, 4), LIST(64, 8, 1), LIST(64, 1, 4), (uintptr_t)4096).kind,
                         CPU_PLAN_BLOCKS);
    assert_int_not_equal(
        plan_of(&with, 3, 1, LIST(1000, 4, 16), LIST(64, 16, 1), LIST(256, 1, 16), (uintptr_t)4096).kind,
        CPU_PLAN_BLOCKS);
}

static void what_a_few_times_repeats_units_is_put_together_by_lanes(void **state)
{
    (void)state;
    cpu_kernels without = half_kernels;
    without.scatter = NULL;
    cpu_kernels with = without;
    with.lane_blocks = no_lane_blocks;
    with.lanes_nbytes = 32;
    cpu_plan plan = plan_of(&with, 2, 4, LIST(10000, 5), LIST(20, 4), LIST(4, 0), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS); /* not 5 lines at once by blocks of 8 */
    plan = plan_of(&with, 2, 4, LIST(10000, 8), LIST(32, 4), LIST(4, 0), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS);
    plan = plan_of(&with, 2, 8, LIST(10000, 7), LIST(56, 8), LIST(8, 0), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_BLOCKS); /* nor by two of 4 */
    plan = plan_of(&without, 2, 4, LIST(10000, 5), LIST(20, 4), LIST(4, 0), (uintptr_t)4096);
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
}

static void short_rows_are_repeated_from_a_source_with_gaps(void **state)
{
    (void)state;
    cpu_kernels half = half_kernels;
    half.scatter = NULL;
    assert_int_equal(plan_of(&half, 2, 2, LIST(10000, 13), LIST(26, 2), LIST(4, 0), 4096).kind, CPU_PLAN_REPEAT);
    assert_int_equal(plan_of(&half, 2, 2, LIST(10000, 12), LIST(24, 2), LIST(4, 0), 4096).kind, CPU_PLAN_STRIDED);
    assert_int_equal(plan_of(&half, 2, 1, LIST(10000, 33), LIST(33, 1), LIST(2, 0), 4096).kind, CPU_PLAN_REPEAT);
    assert_int_equal(plan_of(&half, 2, 1, LIST(10000, 32), LIST(32, 1), LIST(2, 0), 4096).kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(plan_of(&half, 2, 2, LIST(10000, 30), LIST(60, 2), LIST(2, 0), 4096).kind, CPU_PLAN_TRANSPOSE);
    assert_int_not_equal(plan_of(&half, 2, 2, LIST(10000, 30), LIST(120, 4), LIST(4, 0), 4096).kind, CPU_PLAN_REPEAT);
    /* Vectors of whole lines bring lines together fast, unless they are far apart. */
    assert_int_not_equal(PLAN(2, 2, (10000, 30), (60, 2), (4, 0)).kind, CPU_PLAN_REPEAT);
    assert_int_equal(PLAN(2, 2, (10000, 30), (60, 2), (64, 0)).kind, CPU_PLAN_REPEAT);
}

static void a_reversed_axis_is_a_gather_that_ends_where_it_begins(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(1, 4, (100000), (4), (-4));
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    assert_int_equal(plan.shuffle.nin, 1);
    assert_int_equal(plan.shuffle.in_step, -64);
    assert_int_equal(plan.shuffle.in_offsets[0], -60);
    assert_int_equal(plan.shuffle.index[0][0][0], 60);
    assert_int_equal(plan.shuffle.index[0][0][63], 3);
}

static void small_dense_groups_are_gathered_together(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 1, (100000, 3), (3, 1), (3, -1)); /* the channels of a picture, the other way round */
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    assert_int_equal(plan.group_units, 3);
    assert_int_equal(plan.nloops, 0);
    assert_int_equal(plan.shuffle.out_step, 63);
}

static void scatters_go_by_masks_where_there_are_any(void **state)
{
    (void)state;
    cpu_kernels without = kernels;
    without.scatter = NULL;
    assert_int_equal(PLAN(1, 1, (100000), (3), (1)).kind, CPU_PLAN_SCATTER);
    assert_int_equal(PLAN(1, 3, (100000), (4), (3)).kind, CPU_PLAN_SCATTER); /* a channel more */
    assert_int_equal(PLAN(1, 1, (100000), (17), (1)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(plan_of(&without, 1, 1, LIST(100000), LIST(3), LIST(1), 4096).kind, CPU_PLAN_STRIDED);
}

static void channels_are_woven_both_ways(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 1, (262144, 3), (3, 1), (1, 262144)); /* planes to pixels */
    assert_int_equal(plan.kind, CPU_PLAN_WEAVE);
    assert_int_equal(plan.row.extent, 262144);
    assert_int_equal(plan.shuffle.out_step, 3 * 64);
    plan = PLAN(2, 4, (4, 262144), (1048576, 4), (4, 16)); /* pixels to planes */
    assert_int_equal(plan.kind, CPU_PLAN_WEAVE);
    assert_int_equal(plan.shuffle.in_step, 4 * 64);
}

static void units_from_vectors_of_their_own_are_copied_one_by_one(void **state)
{
    (void)state;
    assert_int_equal(PLAN(1, 8, (10000), (8), (64)).kind, CPU_PLAN_GATHER);
    assert_int_equal(PLAN(1, 8, (10000), (8), (72)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(1, 8, (10000), (8), (-72)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(1, 16, (10000), (16), (64)).kind, CPU_PLAN_GATHER);
    assert_int_equal(PLAN(1, 16, (10000), (16), (320)).kind, CPU_PLAN_STRIDED);
    const int64_t *shape = LIST(10000);
    assert_int_equal(plan_of(&half_kernels, 1, 4, shape, LIST(4), LIST(28), 4096).kind, CPU_PLAN_GATHER);
    assert_int_equal(plan_of(&half_kernels, 1, 4, shape, LIST(4), LIST(36), 4096).kind, CPU_PLAN_STRIDED);
}

static void more_channels_are_picked_and_put_by_themselves(void **state)
{
    (void)state;
    cpu_plan plan = PLAN(2, 1, (5, 10000), (10000, 1), (1, 5));
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    assert_int_equal(plan.row.src_stride, 5);
    assert_int_equal(plan.column.extent, 5);
    assert_int_equal(plan.column_piece, 5);
    assert_int_equal(plan.row_piece, 16384 / 5);
    plan = PLAN(2, 1, (10000, 5), (5, 1), (1, 10000));
    assert_int_equal(plan.kind, CPU_PLAN_SCATTER);
    assert_int_equal(plan.row.dst_stride, 5);
    assert_int_equal(plan.column_piece, 5);
    assert_int_equal(PLAN(2, 4, (10, 10000), (40000, 4), (4, 40)).kind, CPU_PLAN_TRANSPOSE);
    ndbuf_cpu__tuning wide = tuning;
    wide.channels_nbytes = 40;
    plan = tuned_plan_of(&wide, &kernels, 2, 4, LIST(10, 10000), LIST(40000, 4), LIST(4, 40), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    cpu_kernels without = kernels;
    without.scatter = NULL;
    assert_int_equal(plan_of(&without, 2, 1, LIST(5, 10000), LIST(10000, 1), LIST(1, 5), 4096).kind, CPU_PLAN_GATHER);
    assert_int_equal(plan_of(&without, 2, 1, LIST(10000, 5), LIST(5, 1), LIST(1, 10000), 4096).kind,
                     CPU_PLAN_TRANSPOSE);
    /* Past the caches they are written as usual; narrow ones out of many, and wide ones that come together, are
     * transposed. */
    plan = PLAN(2, 4, (5, 2621440), (10485760, 4), (4, 20));
    assert_int_equal(plan.kind, CPU_PLAN_GATHER);
    assert_false(plan.streams);
    assert_int_equal(PLAN(2, 1, (10, 2621440), (2621440, 1), (1, 10)).kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(PLAN(2, 2, (2621440, 5), (10, 2), (2, 5242880)).kind, CPU_PLAN_SCATTER);
    assert_int_equal(PLAN(2, 4, (2621440, 5), (20, 4), (4, 10485760)).kind, CPU_PLAN_TRANSPOSE);
}

/* Lines that become parts of long records. */
static void a_few_lines_are_put_into_records_one_by_one(void **state)
{
    (void)state;
    assert_int_equal(PLAN(2, 4, (2000, 2), (80, 4), (4, 8000)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(2, 4, (2000, 3), (80, 4), (4, 8000)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(2, 1, (2000, 3), (80, 1), (1, 2000)).kind, CPU_PLAN_STRIDED);
    assert_int_equal(PLAN(2, 4, (2000, 3), (12, 4), (4, 8000)).kind, CPU_PLAN_WEAVE);
    /* By masks, unless there are blocks for them and a vector puts few units between others. */
    const cpu_kernels narrow = {.name = "narrow", .block_side = {16, 8, 4, 2, 1}};
    cpu_kernels wide = kernels;
    wide.narrower = &narrow;
    const int64_t *five = LIST(2000, 5);
    const int64_t *lines = LIST(4, 8000);
    assert_int_equal(plan_of(&wide, 2, 4, five, LIST(28, 4), lines, 4096).kind, CPU_PLAN_TRANSPOSE);
    assert_int_equal(plan_of(&wide, 2, 4, five, LIST(20, 4), lines, 4096).kind, CPU_PLAN_SCATTER);
    assert_int_equal(PLAN(2, 4, (2000, 5), (28, 4), (4, 8000)).kind, CPU_PLAN_SCATTER);
    assert_int_equal(PLAN(2, 2, (2000, 6), (14, 2), (2, 4000)).kind, CPU_PLAN_SCATTER);
}

static void repeated_items_fill(void **state)
{
    (void)state;
    assert_int_equal(PLAN(2, 4, (4096, 4096), (16384, 4), (4, 0)).kind, CPU_PLAN_REPEAT);
    assert_int_equal(PLAN(1, 4, (4096), (8), (0)).kind, CPU_PLAN_STRIDED);
}

/* Nothing is read, so that the caches have room for more, and short rows are written by parts of lines. */
static void repeated_items_leave_the_caches_in_long_rows(void **state)
{
    (void)state;
    ndbuf_cpu__tuning other = tuning;
    other.stream_uneven_nbytes = 32 * MIB;
    assert_true(tuned_plan_of(&other, &kernels, 2, 4, LIST(2048, 4096), LIST(16384, 4), LIST(4, 0), 4096).streams);
    assert_false(tuned_plan_of(&other, &kernels, 2, 4, LIST(2047, 4096), LIST(16384, 4), LIST(4, 0), 4096).streams);
    assert_true(tuned_plan_of(&tuning, &kernels, 2, 4, LIST(2047, 4096), LIST(16384, 4), LIST(4, 0), 4096).streams);
    assert_true(tuned_plan_of(&other, &kernels, 2, 4, LIST(90000, 128), LIST(512, 4), LIST(4, 0), 4096).streams);
    assert_false(tuned_plan_of(&other, &kernels, 2, 4, LIST(90000, 127), LIST(508, 4), LIST(4, 0), 4096).streams);
}

static void without_vectors_everything_is_planned_too(void **state)
{
    (void)state;
    const cpu_kernels *portable = &ndbuf_cpu__kernels_portable;
    cpu_plan plan = plan_of(portable, 2, 4, LIST(4096, 4096), LIST(16384, 4), LIST(4, 16384), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_TRANSPOSE);
    assert_false(plan.streams);
    plan = plan_of(portable, 1, 1, LIST(100000), LIST(1), LIST(2), 4096);
    assert_int_equal(plan.kind, CPU_PLAN_STRIDED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(contiguous_bytes_are_cut_into_pieces),
        cmocka_unit_test(long_units_are_bytes_and_shorter_ones_rows),
        cmocka_unit_test(rows_that_are_whole_lines_stream_whatever_is_between_them),
        cmocka_unit_test(slices_are_gathered_by_shuffles_while_they_fit_a_window),
        cmocka_unit_test(short_rows_go_many_in_one_task),
        cmocka_unit_test(short_rows_go_together_with_another_axis),
        cmocka_unit_test(short_rows_go_past_the_caches_only_where_that_is_no_slower),
        cmocka_unit_test(planes_too_narrow_for_vectors_are_walked),
        cmocka_unit_test(nests_of_short_axes_are_arranged_in_blocks),
        cmocka_unit_test(few_planes_are_arranged_in_records_with_gaps),
        cmocka_unit_test(nests_of_short_axes_are_put_together_by_lanes_where_nothing_masks_bytes),
        cmocka_unit_test(what_a_few_times_repeats_units_is_put_together_by_lanes),
        cmocka_unit_test(short_rows_are_repeated_from_a_source_with_gaps),
        cmocka_unit_test(a_reversed_axis_is_a_gather_that_ends_where_it_begins),
        cmocka_unit_test(small_dense_groups_are_gathered_together),
        cmocka_unit_test(scatters_go_by_masks_where_there_are_any),
        cmocka_unit_test(channels_are_woven_both_ways),
        cmocka_unit_test(units_from_vectors_of_their_own_are_copied_one_by_one),
        cmocka_unit_test(more_channels_are_picked_and_put_by_themselves),
        cmocka_unit_test(a_few_lines_are_put_into_records_one_by_one),
        cmocka_unit_test(repeated_items_fill),
        cmocka_unit_test(repeated_items_leave_the_caches_in_long_rows),
        cmocka_unit_test(items_picked_past_the_caches_are_prefetched_by_narrow_vectors),
        cmocka_unit_test(a_plan_that_runs_once_is_not_searched_for_long),
        cmocka_unit_test(without_vectors_everything_is_planned_too),
    };
    return cmocka_run_group_tests_name("cpu_plan", tests, NULL, NULL);
}
