/* SPDX-License-Identifier: Apache-2.0 */

/* Copies of what is repeated: once, and then from the destination. */

#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu_engine.h"
#include "backends/cpu/cpu_repeat.h"
#include "backends/cpu/cpu_tuning.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/support/test.h"

#define BLOCK_NBYTES (1 << 20)
#define MOST_AXES 4

typedef struct sample {
    int32_t ndim;
    int64_t unit_nbytes;
    int32_t swap_nbytes;
    int64_t src_offset; /* of the first unit */
    int64_t shape[MOST_AXES];
    int64_t dst_strides[MOST_AXES];
    int64_t src_strides[MOST_AXES];
} sample;

static const sample samples[] = {
    {3, 1, 0, 0, {2000, 7, 5}, {35, 5, 1}, {0, 1, 7}},                        /* a small plane, tiled */
    {4, 1, 0, 0, {2, 2000, 7, 5}, {80000, 35, 5, 1}, {1, 0, 2, 14}},          /* the same, twice */
    {3, 4, 0, 0, {10, 90, 100}, {36000, 400, 4}, {0, 4, 360}},                /* a transpose */
    {3, 4, 4, 0, {10, 90, 100}, {36800, 408, 4}, {0, 4, 360}},                /* with gaps, and swapped */
    {4, 2, 0, 198, {8, 40, 12, 100}, {96000, 2400, 200, 2}, {0, 200, 0, -2}}, /* repeated twice, backwards */
    {4, 2, 0, 0, {8, 40, 12, 100}, {106000, 2600, 210, 2}, {0, 4, 0, 160}},   /* the same, with gaps */
    {3, 24, 0, 0, {30, 20, 17}, {8160, 408, 24}, {0, 24, 480}},               /* odd units */
    {4, 8, 8, 0, {20, 16, 9, 11}, {12672, 792, 88, 8}, {0, 8, 1408, 128}},    /* three axes turned */
};

enum { NSAMPLES = sizeof(samples) / sizeof(samples[0]) };

static cpu_box box_of(const sample *one, char *dst, const char *src)
{
    return (cpu_box){.dst = dst,
                     .src = src + one->src_offset,
                     .ndim = one->ndim,
                     .unit_nbytes = one->unit_nbytes,
                     .swap_nbytes = one->swap_nbytes,
                     .shape = one->shape,
                     .dst_strides = one->dst_strides,
                     .src_strides = one->src_strides};
}

static void copy_slowly(const cpu_box *box, int32_t axis, char *dst, const char *src)
{
    if (axis < box->ndim) {
        for (int64_t i = 0; i < box->shape[axis]; i++) {
            copy_slowly(box, axis + 1, dst + i * box->dst_strides[axis], src + i * box->src_strides[axis]);
        }
        return;
    }
    const int64_t swap = box->swap_nbytes > 0 ? box->swap_nbytes : 1;
    for (int64_t i = 0; i < box->unit_nbytes; i++) {
        dst[i] = src[i / swap * swap + swap - 1 - i % swap];
    }
}

static bool copies_once(const cpu_box *box, const cpu_kernels *kernels)
{
    cpu_planned_copy planned;
    ndbuf_cpu__plan_copy(&planned, box, kernels);
    return ndbuf_cpu__copies_once(&planned, box);
}

static void what_is_repeated_arrives_and_nothing_else_is_written(void **state)
{
    (void)state;
    char *blocks[3];
    int ncopied_once = 0;
    for (int k = 0; k < 3; k++) {
        blocks[k] = aligned_alloc(64, BLOCK_NBYTES);
        assert_non_null(blocks[k]);
    }
    for (int64_t i = 0; i < BLOCK_NBYTES; i++) {
        blocks[0][i] = (char)(i * 7 + i / 251);
    }
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        for (int i = 0; i < 2 * NSAMPLES; i++) {
            ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
            tuning.stream_nbytes = i < NSAMPLES ? NDBUF_CPU__MIB : 64 * NDBUF_CPU__KIB;
            ndbuf_cpu__tuning_set(&tuning);
            ndbuf_cpu__kernels_set(kernels);
            const cpu_box box = box_of(&samples[i % NSAMPLES], blocks[1] + 3, blocks[0]);
            memset(blocks[1], 1, BLOCK_NBYTES);
            memset(blocks[2], 1, BLOCK_NBYTES);
            copy_slowly(&box, 0, blocks[2] + 3, box.src);
            ndbuf_cpu__copy_box(&box);
            ncopied_once += copies_once(&box, kernels);
            if (memcmp(blocks[1], blocks[2], BLOCK_NBYTES) != 0) {
                fail_msg("sample %d by %s", i, kernels->name);
            }
        }
        assert_true(ncopied_once > 0);
        ncopied_once = 0;
    }
    for (int k = 0; k < 3; k++) {
        free(blocks[k]);
    }
}

/* By the portable kernels, of which the estimates are the same everywhere. */
static void what_gains_nothing_is_not_copied_once(void **state)
{
    (void)state;
    static char src[1];
    const cpu_kernels *kernels = all_kernels_next(NULL);
    ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    tuning.stream_nbytes = NDBUF_CPU__MIB;
    ndbuf_cpu__tuning_set(&tuning);
    sample one = {3, 4, 0, 0, {10, 90, 100}, {36000, 400, 4}, {0, 4, 360}};
    cpu_box box = box_of(&one, NULL, src);
    assert_true(copies_once(&box, kernels));
    one.shape[0] = 1; /* nothing is repeated */
    assert_false(copies_once(&box, kernels));
    one.shape[0] = 10;
    one.dst_strides[0] = 35996; /* the destination may overlap itself */
    assert_false(copies_once(&box, kernels));
    one.dst_strides[0] = 36000;
    tuning.stream_nbytes = 32 * NDBUF_CPU__KIB; /* more than stays in the caches */
    ndbuf_cpu__tuning_set(&tuning);
    assert_false(copies_once(&box, kernels));
    tuning.stream_nbytes = NDBUF_CPU__MIB;
    ndbuf_cpu__tuning_set(&tuning);
    one.dst_strides[2] = 8; /* what is repeated is not together */
    one.dst_strides[1] = 800;
    one.dst_strides[0] = 72000;
    assert_false(copies_once(&box, kernels));
    one = (sample){3, 4, 0, 0, {3, 10, 10}, {400, 40, 4}, {0, 4, 40}}; /* little */
    assert_false(copies_once(&box, kernels));
    one = (sample){2, 400, 0, 0, {1000, 10}, {4000, 400}, {0, 800}}; /* rows */
    box.ndim = 2;
    box.unit_nbytes = 400;
    assert_false(copies_once(&box, kernels));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(what_is_repeated_arrives_and_nothing_else_is_written, all_kernels_teardown),
        cmocka_unit_test_teardown(what_gains_nothing_is_not_copied_once, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("cpu_repeat", tests, NULL, NULL);
}
