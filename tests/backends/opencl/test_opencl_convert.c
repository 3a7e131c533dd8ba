/* SPDX-License-Identifier: Apache-2.0 */

/* The kernels that convert as OpenCL C, against the reference; and what the backend does not convert.
 *
 * usage: test_opencl_convert [PAIRS]     number of pairs of numbers, all 169 unless given; fewer suit a simulator */
#include "tests/backends/opencl/opencl_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/convert_case.h"
#include "tests/support/reference_copy.h"

#define NNUMBERS 13 /* that kernels know */

static int64_t npairs = NNUMBERS * NNUMBERS;

static void run(const test_convert_case *one, const ndbuf__kernel_launch *launch)
{
    ndbuf_device *device = opencl_fixture_device();
    opencl_queue *queue = (opencl_queue *)device->default_queue;
    ndbuf_mem dst = opencl_fixture_buffer(device, one->dst, one->dst_nbytes);
    ndbuf_mem src = opencl_fixture_buffer(device, one->src, one->src_nbytes);
    ASSERT_OK(ndbuf_opencl__kernel_launch(queue, &dst, &src, launch, err));
    ASSERT_OK(OPS->queue_wait(&queue->base, err));
    opencl_fixture_read(&dst, one->dst);
    OPS->mem_free(&dst);
    OPS->mem_free(&src);
    test_assert_bytes_equal(one->text, one->dst, one->expected, one->dst_nbytes);
}

/* As planned, or with fewer and smaller groups, with offsets of 32 and 64 bits. */
static void try_pair(test_random *random, ndbuf_number dst, ndbuf_number src)
{
    const opencl_device *device = (const opencl_device *)opencl_fixture_device();
    for (int i = 0; i < 8; i++) {
        uint32_t limit = i < 4 ? device->kernels.group_nitems : 32;
        ndbuf__kernel_launch launch;
        test_convert_case one;
        test_convert_case_make(&one, random, dst, src,
                               i % 4 < 2    ? TEST_CONVERT_DENSE
                               : i % 4 == 2 ? 0
                                            : TEST_CONVERT_MANY_AXES);
        const ndbuf_convert_box box = test_convert_case_box(&one, NULL, NULL);
        assert_true(ndbuf__kernel_plan_convert(&box, 0, 0, limit, &launch));
        launch.kernel += i % 2;
        if (i % 4 >= 2) {
            launch.ngroups = (uint32_t)test_random_range(random, 1, 3);
        }
        run(&one, &launch);
        test_convert_case_free(&one);
    }
}

static void test_kernels_of_all_pairs_agree_with_the_reference(void **state)
{
    (void)state;
    test_random random = test_random_make("conversion in OpenCL", 1);
    for (int64_t i = 0; i < npairs; i++) { /* 60 has no divisor in common with their number: some are of all kinds */
        int64_t pair = i * 60 % (NNUMBERS * NNUMBERS);
        try_pair(&random, (ndbuf_number)(1 + pair / NNUMBERS), (ndbuf_number)(1 + pair % NNUMBERS));
    }
}

static void test_what_kernels_do_not_reach_or_know_is_unsupported(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    char bytes[64] = {0};
    ndbuf_mem host = opencl_fixture_host(bytes, sizeof(bytes));
    ndbuf_mem a = opencl_fixture_buffer(device, bytes, sizeof(bytes));
    ndbuf_mem b = opencl_fixture_buffer(device, bytes, sizeof(bytes));
    ndbuf_convert_box box = {.dst = {&a, 0, NULL},
                             .src = {&host, 0, NULL},
                             .dst_element = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4},
                             .src_element = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 8}};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "OpenCL converts only between its buffers",
                 OPS->convert_strided(device->default_queue, &box, err));
    box.src.mem = &b;
    ASSERT_OK(OPS->convert_strided(device->default_queue, &box, err));
    box.src_element = (ndbuf_element){.number = NDBUF_NUMBER_LONG_DOUBLE, .nbytes = (int32_t)sizeof(long double)};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no kernel converts 0 axes of number 14 to number 12",
                 OPS->convert_strided(device->default_queue, &box, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    OPS->mem_free(&a);
    OPS->mem_free(&b);
}

static int end(void **state)
{
    (void)state;
    opencl_fixture_end();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels_of_all_pairs_agree_with_the_reference),
        cmocka_unit_test(test_what_kernels_do_not_reach_or_know_is_unsupported),
    };
    if (argc > 1) {
        npairs = strtoll(argv[1], NULL, 10);
    }
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, end);
}
