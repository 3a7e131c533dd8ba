/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/device_copy.h"

#define ROWS 300
#define COLUMNS 400

/* A matrix of floats on each side, one of them transposed: what only kernels do well. */
typedef struct matrix_copy {
    ndbuf_mem matrix; /* ROWS * COLUMNS, in rows */
    ndbuf_mem turned; /* COLUMNS * ROWS, in rows */
    float *values;    /* of the matrix */
    float *expected;  /* of the other */
} matrix_copy;

static void matrix_init(matrix_copy *copy, ndbuf_device *matrix_device, ndbuf_device *turned_device)
{
    size_t nbytes = ROWS * COLUMNS * sizeof(float);
    copy->values = malloc(nbytes);
    copy->expected = malloc(nbytes);
    assert_non_null(copy->values);
    assert_non_null(copy->expected);
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLUMNS; c++) {
            copy->values[r * COLUMNS + c] = copy->expected[c * ROWS + r] = (float)(r * 1000 + c);
        }
    }
    copy->matrix = cuda_fixture_mem(matrix_device, copy->values, nbytes);
    memset(copy->values, 0, nbytes);
    copy->turned = cuda_fixture_mem(turned_device, copy->values, nbytes);
}

static void matrix_check_and_clear(matrix_copy *copy)
{
    cuda_fixture_read(&copy->turned, copy->values);
    assert_memory_equal(copy->values, copy->expected, copy->turned.nbytes);
    copy->matrix.device->ops->mem_free(&copy->matrix);
    copy->turned.device->ops->mem_free(&copy->turned);
    free(copy->values);
    free(copy->expected);
}

/* The first columns. The destination's axes in falling order of their strides, and the source's to match. */
static ndbuf_status enqueue_turn(const matrix_copy *copy, int64_t ncolumns, ndbuf_queue *queue, ndbuf_error *err)
{
    const int64_t shape[2] = {ncolumns, ROWS};
    const int64_t dst_strides[2] = {ROWS * sizeof(float), sizeof(float)};
    const int64_t src_strides[2] = {sizeof(float), COLUMNS * sizeof(float)};
    const ndbuf_strided box = {.dst = {.mem = &copy->turned, .strides = dst_strides},
                               .src = {.mem = &copy->matrix, .strides = src_strides},
                               .ndim = 2,
                               .shape = shape,
                               .unit_nbytes = sizeof(float)};
    return queue->device->ops->copy_strided(queue, &box, err);
}

static void test_a_transpose_between_any_two_places_that_kernels_reach(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    ndbuf_device *managed = cuda_fixture_open("cuda_managed:0");
    ndbuf_device *pairs[][2] = {{device, device}, {device, other}, {other, device},   {device, pinned},
                                {pinned, device}, {pinned, other}, {managed, device}, {other, managed}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        matrix_copy copy;
        matrix_init(&copy, pairs[i][0], pairs[i][1]);
        ndbuf_device *worker = pairs[i][0] == device || pairs[i][1] == device ? device : other;
        ndbuf_queue *queue = NULL;
        ASSERT_OK(ndbuf_queue_create(worker, &queue, err));
        ASSERT_OK(enqueue_turn(&copy, COLUMNS, queue, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        ndbuf_queue_release(queue);
        matrix_check_and_clear(&copy);
    }
    ndbuf_device_close(device);
    ndbuf_device_close(other);
    ndbuf_device_close(pinned);
    ndbuf_device_close(managed);
}

static void test_a_run_of_pinned_memory_goes_through_memory_of_the_device_for_a_moment(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    for (int to_device = 0; to_device < 2; to_device++) {
        for (int how = 0; how < 2; how++) { /* 0: with a temporary; 1: there is no memory for one */
            matrix_copy copy;
            matrix_init(&copy, to_device ? device->staging : device, to_device ? device : device->staging);
            int64_t ncopies = cudasim_ncalls("cudaMemcpyAsync");
            cudasim_fail_call("cudaMallocFromPoolAsync", how, cudaErrorMemoryAllocation);
            ASSERT_OK(enqueue_turn(&copy, COLUMNS, device->default_queue, err));
            cudasim_fail_call("*", 0, cudaSuccess);
            assert_int_equal(cudasim_ncalls("cudaMemcpyAsync") - ncopies, how == 0);
            ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
            matrix_check_and_clear(&copy);
        }
    }
    ndbuf_device_close(device);
}

/* Boxes of units of 4 bytes with gaps between them in the destination: one level of rows, two, three; and one that is
 * larger than a temporary. */
static void test_short_rows_of_pinned_memory_are_written_by_rectangles(void **state)
{
    (void)state;
    static const struct {
        int32_t ndim;
        int64_t shape[4];
        int64_t dst_strides[4]; /* in units */
        const char *call;       /* NULL: no relay */
        int64_t ncalls;
    } cases[] = {
        {1, {20000}, {2}, "cudaMemcpy2DAsync", 1},
        {2, {100, 200}, {402, 2}, "cudaMemcpy3DAsync", 1},
        {2, {200, 100}, {201, 2}, NULL, 0}, /* no whole number of rows apart */
        {3, {10, 50, 60}, {15000, 240, 2}, NULL, 0},
        {3, {10, 50, 60}, {6000, 120, 2}, "cudaMemcpy2DAsync", 1}, /* all of it equally far apart */
        {2, {9, 1 << 20}, {1 << 21, 2}, "cudaMemcpy2DAsync", 2},
    };
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t strides[2][4];
        int64_t nitems = 1;
        int64_t end = 0;
        for (int32_t k = cases[i].ndim - 1; k >= 0; k--) {
            strides[0][k] = cases[i].dst_strides[k] * 4;
            strides[1][k] = nitems * 4;
            nitems *= cases[i].shape[k];
            end += (cases[i].shape[k] - 1) * cases[i].dst_strides[k];
        }
        uint32_t *values = calloc((size_t)end + 1, 4);
        uint32_t *expected = calloc((size_t)end + 1, 4);
        assert_non_null(values);
        assert_non_null(expected);
        ndbuf_mem dst = cuda_fixture_mem(device->staging, values, ((size_t)end + 1) * 4);
        for (int64_t n = 0; n < nitems; n++) {
            int64_t place = 0;
            int64_t rest = n;
            values[n] = (uint32_t)n + 1;
            for (int32_t k = cases[i].ndim - 1; k >= 0; k--) {
                place += rest % cases[i].shape[k] * cases[i].dst_strides[k];
                rest /= cases[i].shape[k];
            }
            expected[place] = values[n];
        }
        ndbuf_mem src = cuda_fixture_mem(device, values, (size_t)nitems * 4);
        const ndbuf_strided box = {.dst = {.mem = &dst, .strides = strides[0]},
                                   .src = {.mem = &src, .strides = strides[1]},
                                   .ndim = cases[i].ndim,
                                   .shape = cases[i].shape,
                                   .unit_nbytes = 4};
        const char *call = cases[i].call != NULL ? cases[i].call : "cudaMallocFromPoolAsync";
        int64_t ncalls = cudasim_ncalls(call);
        ASSERT_OK(device->ops->copy_strided(device->default_queue, &box, err));
        assert_int_equal(cudasim_ncalls(call) - ncalls, cases[i].ncalls);
        ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
        test_assert_bytes_equal("short rows", dst.host_address, expected, dst.nbytes);
        device->ops->mem_free(&src);
        dst.device->ops->mem_free(&dst);
        free(values);
        free(expected);
    }
    ndbuf_device_close(device);
}

static void test_pinned_memory_in_several_runs_is_read_where_it_is(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    matrix_copy copy;
    matrix_init(&copy, device->staging, device);
    int64_t ncopies = cudasim_ncalls("cudaMemcpyAsync");
    ASSERT_OK(enqueue_turn(&copy, COLUMNS - 100, device->default_queue, err));
    assert_int_equal(cudasim_ncalls("cudaMemcpyAsync"), ncopies);
    ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
    memset(copy.expected + (ptrdiff_t)(COLUMNS - 100) * ROWS, 0, 100 * ROWS * sizeof(float));
    matrix_check_and_clear(&copy);
    ndbuf_device_close(device);
}

/* A device for which there is no code, as the driver tells when the kernels are loaded, or when one is launched. */
static void test_without_code_for_the_device_copies_go_through_the_host(void **state)
{
    (void)state;
    static const char *const calls[] = {"cudaLibraryLoadData", "cudaLibraryGetKernel", "cudaLaunchKernel"};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        test_random random = test_random_make(__func__, 31 + i);
        ndbuf_device *device = cuda_fixture_open("cuda:0");
        matrix_copy copy;
        matrix_init(&copy, device, device);
        int64_t nloads = cudasim_ncalls("cudaLibraryLoadData");
        cudasim_fail_call(calls[i], 1, cudaErrorNoKernelImageForDevice);
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "cudaErrorNoKernelImageForDevice, 209",
                     enqueue_turn(&copy, COLUMNS, device->default_queue, err));
        for (int k = 0; k < 10; k++) {
            const test_copy_case copy_case = {.dst = device, .src = device};
            test_copy_try(__func__, &random, &copy_case);
        }
        assert_int_equal(cudasim_ncalls("cudaLibraryLoadData"), nloads + 1); /* it is not tried again */
        device->ops->mem_free(&copy.matrix);
        device->ops->mem_free(&copy.turned);
        free(copy.values);
        free(copy.expected);
        ndbuf_device_close(device);
    }
}

static void test_memory_that_kernels_do_not_reach_is_left_to_others(void **state)
{
    (void)state;
    cudasim_set_peer_access(false);
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    char bytes[16] = {0};
    const int64_t shape[1] = {2};
    const int64_t strides[1] = {4};
    ndbuf_mem here = cuda_fixture_mem(device, bytes, 16);
    ndbuf_mem there = cuda_fixture_mem(other, bytes, 16);
    ndbuf_mem host = cuda_fixture_host(bytes, 16);
    const ndbuf_mem *unreached[] = {&there, &host};
    for (size_t i = 0; i < 2; i++) {
        ndbuf_strided box = {.dst = {.mem = &here, .strides = strides},
                             .src = {.mem = unreached[i], .strides = strides},
                             .ndim = 1,
                             .shape = shape,
                             .unit_nbytes = 1};
        const ndbuf_convert_box convert = {.dst = box.dst,
                                           .src = box.src,
                                           .dst_element = {.number = NDBUF_NUMBER_INT8, .nbytes = 1},
                                           .src_element = {.number = NDBUF_NUMBER_INT16, .nbytes = 2},
                                           .ndim = 1,
                                           .shape = shape};
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no kernel of CUDA device 0 reaches",
                     device->ops->copy_strided(device->default_queue, &box, err));
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no kernel of CUDA device 0 reaches",
                     device->ops->convert_strided(device->default_queue, &convert, err));
    }
    device->ops->mem_free(&here);
    other->ops->mem_free(&there);
    ndbuf_device_close(device);
    ndbuf_device_close(other);
    cudasim_set_peer_access(true);
}

static void test_numbers_that_kernels_do_not_know_are_left_to_others(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    char bytes[64] = {0};
    ndbuf_mem a = cuda_fixture_mem(device, bytes, sizeof(bytes));
    ndbuf_mem b = cuda_fixture_mem(device, bytes, sizeof(bytes));
    const ndbuf_convert_box box = {
        .dst = {&a, 0, NULL},
        .src = {&b, 0, NULL},
        .dst_element = {.number = NDBUF_NUMBER_LONG_DOUBLE, .nbytes = (int32_t)sizeof(long double)},
        .src_element = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4}};
    int64_t nlaunches = cudasim_ncalls("cudaLaunchKernel");
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no kernel converts 0 axes of number 12 to number 14",
                 device->ops->convert_strided(device->default_queue, &box, err));
    assert_int_equal(cudasim_ncalls("cudaLaunchKernel"), nlaunches);
    device->ops->mem_free(&a);
    device->ops->mem_free(&b);
    ndbuf_device_close(device);
}

/* Views of any layout, between all kinds of memory: with peer access and pools, and without either. */
static void test_views_of_any_layout_arrive_from_anywhere(void **state)
{
    (void)state;
    static const char *const names[] = {"cuda:0", "cuda:1", "cuda_host:0", "cuda_managed:0", "cpu"};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    for (int ability = 0; ability < 3; ability++) {
        ndbuf_device *devices[COUNT];
        test_random random = test_random_make(__func__, 21 + (uint64_t)ability);
        cudasim_set_peer_access(ability != 1);
        cudasim_set_pools_supported(ability != 2);
        for (int i = 0; i < COUNT; i++) {
            devices[i] = cuda_fixture_open(names[i]);
        }
        for (int dst = 0; dst < COUNT; dst++) {
            for (int src = 0; src < COUNT; src++) {
                ndbuf_queue *queue = NULL;
                ASSERT_OK(ndbuf_queue_create(devices[(dst + src) % 2 == 0 ? dst : src], &queue, err));
                for (int i = 0; i < 12; i++) {
                    char what[100];
                    test_copy_case copy_case = {.dst = devices[dst],
                                                .src = devices[src],
                                                .queue = i % 2 == 0 ? queue : NULL,
                                                .with_suboffsets = i % 4 == 1,
                                                .through_plan = i % 3 == 0};
                    snprintf(what, sizeof(what), "%s from %s, round %d", names[dst], names[src], i);
                    test_copy_try(what, &random, &copy_case);
                }
                ndbuf_queue_release(queue);
            }
        }
        for (int i = 0; i < COUNT; i++) {
            ndbuf_device_close(devices[i]);
        }
    }
    cudasim_set_peer_access(true);
    cudasim_set_pools_supported(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_a_transpose_between_any_two_places_that_kernels_reach),
        CUDA_TEST(test_a_run_of_pinned_memory_goes_through_memory_of_the_device_for_a_moment),
        CUDA_TEST(test_short_rows_of_pinned_memory_are_written_by_rectangles),
        CUDA_TEST(test_pinned_memory_in_several_runs_is_read_where_it_is),
        CUDA_TEST(test_without_code_for_the_device_copies_go_through_the_host),
        CUDA_TEST(test_memory_that_kernels_do_not_reach_is_left_to_others),
        CUDA_TEST(test_numbers_that_kernels_do_not_know_are_left_to_others),
        CUDA_TEST(test_views_of_any_layout_arrive_from_anywhere),
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
