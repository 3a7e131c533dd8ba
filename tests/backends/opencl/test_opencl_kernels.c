/* SPDX-License-Identifier: Apache-2.0 */

/* The kernels as OpenCL C against the reference copy.
 *
 * usage: test_opencl_kernels [CASES]     number of random copies, 5000 unless given; fewer suit a simulator */
#include "tests/backends/opencl/opencl_fixture.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/backends/kernels/kernel_cases.h"

static int64_t ncases = 5000;

static void run(const kernel_case *kc, const ndbuf__kernel_launch *launch)
{
    ndbuf_device *device = opencl_fixture_device();
    opencl_queue *queue = (opencl_queue *)device->default_queue;
    ndbuf_mem dst = opencl_fixture_buffer(device, kc->dst, kc->dst_nbytes);
    ndbuf_mem src = dst;
    if (kc->src != NULL) {
        src = opencl_fixture_buffer(device, kc->src, kc->src_nbytes);
    }
    ASSERT_OK(ndbuf_opencl__kernel_launch(queue, &dst, &src, launch, err));
    ASSERT_OK(OPS->queue_wait(&queue->base, err));
    opencl_fixture_read(&dst, kc->dst);
    OPS->mem_free(&dst);
    if (kc->src != NULL) {
        OPS->mem_free(&src);
    }
    test_assert_bytes_equal(kc->text, kc->dst, kc->expected, kc->dst_nbytes);
}

/* Few sizes of groups: some drivers compile for each. */
static void run_planned(kernel_case *kc, test_random *random)
{
    const opencl_device *device = (const opencl_device *)opencl_fixture_device();
    uint32_t limit = test_random_range(random, 0, 2) == 0 ? 32 : device->kernels.group_nitems;
    ndbuf__kernel_launch launch = kernel_case_plan(kc, random, 0, 0, limit);
    run(kc, &launch);
    kernel_case_free(kc);
}

static void test_kernels_agree_with_the_reference_copy(void **state)
{
    (void)state;
    test_random random = test_random_make("kernels in OpenCL", 1);
    for (int64_t i = 0; i < ncases; i++) {
        kernel_case kc;
        kernel_case_make(&kc, &random, i % 10 == 9 ? KERNEL_CASE_LARGE : 0);
        run_planned(&kc, &random);
    }
    for (int64_t i = 0; i < ncases / 5; i++) {
        kernel_case kc;
        kernel_case_make(&kc, &random, KERNEL_CASE_FILL | (i % 10 == 9 ? KERNEL_CASE_LARGE : 0));
        run_planned(&kc, &random);
    }
}

/* In one group, which so has several tiles one after the other. */
static void test_transposes_of_all_units_agree(void **state)
{
    (void)state;
    test_random random = test_random_make("transposes in OpenCL", 2);
    for (int64_t unit_nbytes = 1; unit_nbytes <= 16; unit_nbytes *= 2) {
        kernel_case kc;
        kernel_case_make_transpose(&kc, &random, unit_nbytes, unit_nbytes <= 2 ? 70 : 40);
        ndbuf__kernel_launch launch = kernel_case_plan(&kc, &random, 0, 0, 32);
        assert_non_null(strstr(ndbuf__kernel_names[launch.kernel], "tile"));
        launch.ngroups = 1;
        run(&kc, &launch);
        kernel_case_free(&kc);
    }
}

/* Of one kernel, in one queue, each larger than those before it. */
static void test_copies_of_growing_size_are_in_flight_together(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    if ((device->flags & NDBUF_DEVICE_SIMULATED) != 0) {
        skip(); /* too much for it */
    }
    const int64_t most = (int64_t)1 << 20;
    const int64_t dst_stride = 2;
    const int64_t src_stride = 4;
    uint16_t *items = calloc((size_t)most, sizeof(*items) * 2);
    assert_non_null(items);
    for (int64_t i = 0; i < most; i++) {
        items[2 * i] = (uint16_t)(i * 40503 >> 4);
    }
    ndbuf_mem src = opencl_fixture_buffer(device, items, (size_t)most * 4);
    ndbuf_mem dst = opencl_fixture_buffer(device, NULL, (size_t)most * 2);
    for (int64_t shape = 1024; shape <= most; shape *= 2) {
        const ndbuf_strided strided = {
            .dst = {&dst, 0, &dst_stride}, .src = {&src, 0, &src_stride}, .ndim = 1, .shape = &shape, .unit_nbytes = 2};
        ASSERT_OK(OPS->copy_strided(device->default_queue, &strided, err));
        ASSERT_OK(OPS->copy_strided(device->default_queue, &strided, err));
    }
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    uint16_t *seen = calloc((size_t)most, sizeof(*seen));
    assert_non_null(seen);
    opencl_fixture_read(&dst, seen);
    for (int64_t i = 0; i < most; i++) {
        assert_int_equal(seen[i], items[2 * i]);
    }
    free(seen);
    free(items);
    OPS->mem_free(&dst);
    OPS->mem_free(&src);
}

enum { NTHREADS = 4, NCASES_EACH = 20 };

/* One thread's cases, each with buffers of its own; only copies happen in the thread. */
typedef struct thread_work {
    pthread_t thread;
    ndbuf_queue *queue;
    kernel_case cases[NCASES_EACH];
    ndbuf_mem dst[NCASES_EACH];
    ndbuf_mem src[NCASES_EACH];
    ndbuf_status status;
} thread_work;

static void *copy_all(void *context)
{
    thread_work *work = context;
    for (int i = 0; i < NCASES_EACH && work->status == NDBUF_OK; i++) {
        const kernel_case *kc = &work->cases[i];
        const ndbuf_strided strided = {.dst = {&work->dst[i], kc->dst_offset, kc->dst_strides},
                                       .src = {&work->src[i], kc->src_offset, kc->src_strides},
                                       .ndim = kc->ndim,
                                       .shape = kc->shape,
                                       .unit_nbytes = kc->unit_nbytes};
        work->status = OPS->copy_strided(work->queue, &strided, NULL);
    }
    return NULL;
}

/* On a fresh device, whose kernels are built by whoever comes first. Not in a simulator, which need not take calls from
 * several threads. */
static void test_threads_share_the_kernels_of_a_device(void **state)
{
    (void)state;
    static thread_work works[NTHREADS];
    test_random random = test_random_make("kernels in threads", 3);
    if ((opencl_fixture_device()->flags & NDBUF_DEVICE_SIMULATED) != 0) {
        skip();
    }
    opencl_fixture_end();
    ndbuf_device *device = opencl_fixture_device();
    for (int t = 0; t < NTHREADS; t++) {
        thread_work *work = &works[t];
        memset(work, 0, sizeof(*work));
        ASSERT_OK(OPS->queue_create(device, NULL, &work->queue, err));
        for (int i = 0; i < NCASES_EACH; i++) {
            kernel_case *kc = &work->cases[i];
            kernel_case_make_transpose(kc, &random, 4, 16 + 5 * i);
            work->dst[i] = opencl_fixture_buffer(device, kc->dst, kc->dst_nbytes);
            work->src[i] = opencl_fixture_buffer(device, kc->src, kc->src_nbytes);
        }
    }
    for (int t = 0; t < NTHREADS; t++) {
        assert_int_equal(pthread_create(&works[t].thread, NULL, copy_all, &works[t]), 0);
    }
    for (int t = 0; t < NTHREADS; t++) {
        thread_work *work = &works[t];
        pthread_join(work->thread, NULL);
        assert_int_equal(work->status, NDBUF_OK);
        ASSERT_OK(OPS->queue_wait(work->queue, err));
        OPS->queue_destroy(work->queue);
        for (int i = 0; i < NCASES_EACH; i++) {
            kernel_case *kc = &work->cases[i];
            opencl_fixture_read(&work->dst[i], kc->dst);
            test_assert_bytes_equal(kc->text, kc->dst, kc->expected, kc->dst_nbytes);
            OPS->mem_free(&work->dst[i]);
            OPS->mem_free(&work->src[i]);
            kernel_case_free(kc);
        }
    }
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
        cmocka_unit_test(test_copies_of_growing_size_are_in_flight_together),
        cmocka_unit_test(test_transposes_of_all_units_agree),
        cmocka_unit_test(test_kernels_agree_with_the_reference_copy),
        cmocka_unit_test(test_threads_share_the_kernels_of_a_device),
    };
    if (argc > 1) {
        ncases = strtoll(argv[1], NULL, 10);
    }
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, end);
}
