/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_CPU_CPU_PLAN_SAMPLE_H
#define NDBUF_TESTS_BACKENDS_CPU_CPU_PLAN_SAMPLE_H

/* What the tests of the planner share. Only addresses are given, never memory. */

#include "backends/cpu/cpu_plan.h"

#define MIB ((int64_t)1 << 20)

/* A machine that does not depend on the one that runs the test. */
static const ndbuf_cpu__tuning tuning = {
    .stream_nbytes = 2 * MIB,
    .stream_conflict_nbytes = 2 * MIB,
    .stream_direct_nbytes = 2 * MIB,
    .stream_parts_nbytes = 2 * MIB,
    .stream_uneven_nbytes = 0,
    .stream_uneven_row_nbytes = 0,
    .stream_prefetch_nbytes = 8192,
    .row_prefetch_nbytes = 8192,
    .gather_prefetch_nbytes = 8192,
    .step_prefetch_nbytes = 1024,
    .scatter_prefetch_nbytes = 2048,
    .stream_ways = 2,
    .rep_movsb_nbytes = INT64_MAX,
    .small_nbytes = 4096,
    .thread_nbytes = 1 * MIB,
    .thread_share_nbytes = 256 * 1024,
    .strip_nbytes = 64,
    .strip_stream_nbytes = 128,
    .panel_stream_nbytes = 64,
    .panel_nbytes = 512,
    .send_nbytes = 128,
    .stage_send_nbytes = 256,
    .panel_lines = 256,
    .strip_rows = 32,
    .pass_nbytes = 512 * 1024,
    .pass_rows = 4,
    .tile_rows = 1024,
    .tile_stream_nbytes = 1024,
    .tile_direct_nbytes = 256,
    .tile_paced_nbytes = 512,
    .channels_nbytes = 20,
    .tile_reach_nbytes = 0,
    .prefetch_level = 1,
    .line_prefetch_nbytes = 128,
    .strip_prefetch_nbytes = 1 * MIB,
    .conflict_nbytes = 4096,
    .set_lines = 12,
};

static void no_shuffle(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps, int64_t prefetch_nbytes)
{
    (void)shuffle, (void)dst, (void)src, (void)nsteps, (void)prefetch_nbytes;
}

static void no_stream(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count, int64_t nbytes,
                      int64_t prefetch_nbytes, cpu_twin twin, int32_t swap_nbytes)
{
    (void)dst, (void)dst_stride, (void)src, (void)src_stride, (void)count, (void)nbytes, (void)prefetch_nbytes,
        (void)twin, (void)swap_nbytes;
}

static void no_transpose(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,
                         int64_t nlines, int64_t nrows, cpu_prefetch prefetch, int32_t swap_nbytes)
{
    (void)dst, (void)dst_offsets, (void)src, (void)src_offsets, (void)nlines, (void)nrows, (void)prefetch,
        (void)swap_nbytes;
}

static void no_gather_lines(const cpu_shuffle *shuffle, char *dst, const char *src, const int64_t *offsets,
                            int64_t count)
{
    (void)shuffle, (void)dst, (void)src, (void)offsets, (void)count;
}

static void no_paced(char *stage, const int64_t *stage_offsets, const char *src, const int64_t *src_offsets,
                     int64_t nlines, int64_t nrows, const cpu_pace *pace, int32_t swap_nbytes)
{
    (void)stage, (void)stage_offsets, (void)src, (void)src_offsets, (void)nlines, (void)nrows, (void)pace,
        (void)swap_nbytes;
}

/* Of kernels that are for planning only, all but the sizes. */
#define PLANNED                                                                                                        \
    .name = "planned", .shuffle = no_shuffle, .scatter = no_shuffle, .gather_lines = no_gather_lines,                  \
    .stream = no_stream, .stream_transpose = {no_transpose, no_transpose, no_transpose, no_transpose, no_transpose},   \
    .paced_transpose = {no_paced, no_paced, no_paced, no_paced, no_paced}

/* Vectors of 64 bytes, and of 32, whose blocks take half a cache line, with shuffles of 16. */
static const cpu_kernels kernels = {PLANNED, .shuffle_nbytes = 64, .block_side = {64, 32, 16, 8, 4}};
static const cpu_kernels half_kernels = {PLANNED, .shuffle_nbytes = 16, .block_side = {32, 16, 8, 4, 2}};

static inline cpu_plan tuned_plan_of(const ndbuf_cpu__tuning *by, const cpu_kernels *with, int32_t ndim,
                                     int64_t unit_nbytes, const int64_t *shape, const int64_t *dst_strides,
                                     const int64_t *src_strides, uintptr_t dst_address)
{
    cpu_plan plan;
    cpu_box box = {.dst = (char *)dst_address,
                   .ndim = ndim,
                   .unit_nbytes = unit_nbytes,
                   .shape = shape,
                   .dst_strides = dst_strides,
                   .src_strides = src_strides};
    ndbuf_cpu__plan_make(&plan, &box, with, by);
    return plan;
}

static inline cpu_plan plan_of(const cpu_kernels *with, int32_t ndim, int64_t unit_nbytes, const int64_t *shape,
                               const int64_t *dst_strides, const int64_t *src_strides, uintptr_t dst_address)
{
    return tuned_plan_of(&tuning, with, ndim, unit_nbytes, shape, dst_strides, src_strides, dst_address);
}

#define LIST(...) ((const int64_t[]){__VA_ARGS__})
#define PLAN(ndim, unit, shape, dst, src) plan_of(&kernels, ndim, unit, LIST shape, LIST dst, LIST src, 4096)

#endif
