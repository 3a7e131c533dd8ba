/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/storage_core.h"
#include "tests/support/device_copy.h"

#define ROWS 300
#define COLUMNS 400

/* Of a size that kernels do not read and write at once. */
typedef struct matrix_item {
    uint16_t row;
    uint16_t column;
    uint16_t third;
} matrix_item;

/* A matrix on each side, one of them transposed: what only kernels do well. */
typedef struct matrix_copy {
    ndbuf_mem matrix;      /* ROWS * COLUMNS, in rows */
    ndbuf_mem turned;      /* COLUMNS * ROWS, in rows */
    matrix_item *values;   /* of the matrix */
    matrix_item *expected; /* of the other */
} matrix_copy;

static void matrix_init(matrix_copy *copy, ndbuf_device *matrix_device, ndbuf_device *turned_device)
{
    size_t nbytes = ROWS * COLUMNS * sizeof(matrix_item);
    copy->values = malloc(nbytes);
    copy->expected = malloc(nbytes);
    assert_non_null(copy->values);
    assert_non_null(copy->expected);
    for (int r = 0; r < ROWS; r++) {
        for (int c = 0; c < COLUMNS; c++) {
            const matrix_item item = {(uint16_t)r, (uint16_t)c, 12345};
            copy->values[r * COLUMNS + c] = copy->expected[c * ROWS + r] = item;
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
    const int64_t dst_strides[2] = {ROWS * sizeof(matrix_item), sizeof(matrix_item)};
    const int64_t src_strides[2] = {sizeof(matrix_item), COLUMNS * sizeof(matrix_item)};
    const ndbuf_strided box = {.dst = {.mem = &copy->turned, .strides = dst_strides},
                               .src = {.mem = &copy->matrix, .strides = src_strides},
                               .ndim = 2,
                               .shape = shape,
                               .unit_nbytes = sizeof(matrix_item)};
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

/* More than a temporary holds: 9 rows of which every second item is on the device. */
static void test_a_large_run_of_pinned_memory_goes_in_pieces(void **state)
{
    (void)state;
    enum { NROWS = 9, ROW_NITEMS = 700000, NITEMS = NROWS * ROW_NITEMS };
    const int64_t shape[2] = {NROWS, ROW_NITEMS};
    const int64_t packed_strides[2] = {ROW_NITEMS * sizeof(matrix_item), sizeof(matrix_item)};
    const int64_t spread_strides[2] = {2 * ROW_NITEMS * sizeof(matrix_item) + 6, 2 * sizeof(matrix_item)};
    size_t nbytes = NITEMS * sizeof(matrix_item);
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    uint8_t *values = malloc(nbytes);
    assert_non_null(values);
    for (size_t i = 0; i < nbytes; i++) {
        values[i] = (uint8_t)(i * 7 + i / 1000);
    }
    ndbuf_mem packed = cuda_fixture_mem(device->staging, values, nbytes);
    ndbuf_mem spread = {0};
    ASSERT_OK(device->ops->mem_alloc(device, 2 * nbytes + 6 * NROWS, 64, &spread, err));
    for (int to_device = 1; to_device >= 0; to_device--) {
        const ndbuf_copy_side host = {.mem = &packed, .strides = packed_strides};
        const ndbuf_copy_side there = {.mem = &spread, .strides = spread_strides};
        const ndbuf_strided box = {.dst = to_device ? there : host,
                                   .src = to_device ? host : there,
                                   .ndim = 2,
                                   .shape = shape,
                                   .unit_nbytes = sizeof(matrix_item)};
        int64_t ncopies = cudasim_ncalls("cudaMemcpyAsync");
        ASSERT_OK(device->ops->copy_strided(device->default_queue, &box, err));
        assert_int_equal(cudasim_ncalls("cudaMemcpyAsync") - ncopies, 2);
        ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
        if (to_device) {
            memset(packed.host_address, 0, nbytes);
        }
    }
    test_assert_bytes_equal("there and back", packed.host_address, values, nbytes);
    device->ops->mem_free(&spread);
    packed.device->ops->mem_free(&packed);
    ndbuf_device_close(device);
    free(values);
}

static void test_units_that_kernels_know_go_over_the_bus_by_themselves(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    enum { NITEMS = 200000 };
    const int64_t shape[1] = {NITEMS};
    const int64_t packed_strides[1] = {4};
    const int64_t spread_strides[1] = {8};
    uint32_t *values = calloc(2 * NITEMS, 4);
    assert_non_null(values);
    for (uint32_t i = 0; i < NITEMS; i++) {
        values[i] = i * 2654435761u;
    }
    ndbuf_mem packed = cuda_fixture_mem(device->staging, values, NITEMS * 4);
    ndbuf_mem spread = cuda_fixture_mem(device, values, 2 * NITEMS * 4);
    ndbuf_strided box = {.dst = {.mem = &spread, .strides = spread_strides},
                         .src = {.mem = &packed, .strides = packed_strides},
                         .ndim = 1,
                         .shape = shape,
                         .unit_nbytes = 4};
    int64_t ncopies = cudasim_ncalls("cudaMemcpyAsync");
    ASSERT_OK(device->ops->copy_strided(device->default_queue, &box, err));
    ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
    memset(packed.host_address, 0, NITEMS * 4);
    box.dst = (ndbuf_copy_side){.mem = &packed, .strides = packed_strides};
    box.src = (ndbuf_copy_side){.mem = &spread, .strides = spread_strides};
    ASSERT_OK(device->ops->copy_strided(device->default_queue, &box, err));
    assert_int_equal(cudasim_ncalls("cudaMemcpyAsync"), ncopies);
    ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
    test_assert_bytes_equal("there and back", packed.host_address, values, NITEMS * 4);
    device->ops->mem_free(&spread);
    packed.device->ops->mem_free(&packed);
    ndbuf_device_close(device);
    free(values);
}

/* Every second item of pinned memory: a kernel would write 4 bytes at a time. */
static void test_short_runs_of_pinned_memory_are_left_to_the_host(void **state)
{
    (void)state;
    static const int64_t counts[] = {32768, 32769};
    const ndbuf_slice second = {.step = 2, .given = NDBUF_SLICE_STEP};
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    ndbuf_format *format = test_format(4);
    for (int i = 0; i < 2; i++) {
        const int64_t twice = 2 * counts[i];
        const int64_t strides[1] = {4};
        const int64_t spread_strides[1] = {8};
        ndbuf_view all = {0};
        ndbuf_view spread = {0};
        ndbuf_view there = {0};
        ASSERT_OK(ndbuf_view_create(&all, pinned, format, 1, &twice, err));
        ASSERT_OK(ndbuf_view_slice(&all, 0, &second, &spread, err));
        ASSERT_OK(ndbuf_view_create(&there, device, format, 1, &counts[i], err));
        const uint32_t item = 0x01020304;
        ASSERT_OK(ndbuf_fill(&there, &item, sizeof(item), NULL, err));
        const ndbuf_strided box = {.dst = {.mem = &all.storage->mem, .strides = spread_strides},
                                   .src = {.mem = &there.storage->mem, .strides = strides},
                                   .ndim = 1,
                                   .shape = &counts[i],
                                   .unit_nbytes = 4};
        uint32_t *items = all.storage->mem.host_address;
        memset(items, 0, (size_t)all.nbytes);
        ndbuf_status status = device->ops->copy_strided(device->default_queue, &box, NULL);
        assert_int_equal(status, i == 0 ? NDBUF_OK : NDBUF_ERR_UNSUPPORTED);
        ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
        ASSERT_OK(ndbuf_copy(&spread, &there, NULL, err));
        for (int64_t k = 0; k < twice; k++) {
            assert_int_equal(items[k], k % 2 == 0 ? item : 0);
        }
        ndbuf_view_release(&all);
        ndbuf_view_release(&spread);
        ndbuf_view_release(&there);
    }
    ndbuf_format_release(format);
    ndbuf_device_close(pinned);
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
    memset(copy.expected + (ptrdiff_t)(COLUMNS - 100) * ROWS, 0, 100 * ROWS * sizeof(matrix_item));
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
        int64_t nlaunches = cudasim_ncalls("cudaLaunchKernel");
        cudasim_fail_call(calls[i], 1, cudaErrorNoKernelImageForDevice);
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "cudaErrorNoKernelImageForDevice, 209",
                     enqueue_turn(&copy, COLUMNS, device->default_queue, err));
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no kernels for CUDA device 0",
                     enqueue_turn(&copy, COLUMNS, device->default_queue, err));
        for (int k = 0; k < 10; k++) {
            const test_copy_case copy_case = {.dst = device, .src = device};
            test_copy_try(__func__, &random, &copy_case);
        }
        ndbuf_copy_caps caps;
        device->ops->copy_caps(device, device, &caps);
        assert_int_equal(caps.flags & (NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_CONVERT | NDBUF_CAN_FILL), 0);
        assert_int_equal(cudasim_ncalls("cudaLibraryLoadData"), nloads + 1); /* it is not tried again */
        assert_int_equal(cudasim_ncalls("cudaLaunchKernel"), nlaunches + (i == 2));
        device->ops->mem_free(&copy.matrix);
        device->ops->mem_free(&copy.turned);
        free(copy.values);
        free(copy.expected);
        ndbuf_device_close(device);
    }
}

/* Its run of pinned memory is already on the way when the driver tells so. */
static void test_without_code_for_the_device_a_run_of_pinned_memory_arrives_too(void **state)
{
    (void)state;
    enum { NROWS = 500, ROW_NBYTES = 1000 };
    const int64_t shape[2] = {NROWS, ROW_NBYTES};
    const int64_t strides[2] = {(int64_t)3 * ROW_NBYTES, 3};
    for (int to_device = 0; to_device < 2; to_device++) {
        ndbuf_device *device = cuda_fixture_open("cuda:0");
        ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
        ndbuf_storage *storage = NULL;
        ndbuf_view there = {0};
        ndbuf_view packed = {0};
        ndbuf_view back = {0};
        const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides};
        const uint8_t nothing = 0;
        ASSERT_OK(ndbuf_storage_create(device, 3 * NROWS * ROW_NBYTES, &storage, err));
        ASSERT_OK(ndbuf_view_init(&there, storage, &spec, err));
        ASSERT_OK(ndbuf_view_create(&packed, pinned, NULL, 2, shape, err));
        ASSERT_OK(ndbuf_view_create(&back, ndbuf_device_cpu(), NULL, 2, shape, err));
        uint8_t *values = ndbuf_view_host_address(&packed);
        uint8_t *kept = ndbuf_view_host_address(&back);
        for (int i = 0; i < NROWS * ROW_NBYTES; i++) {
            values[i] = kept[i] = (uint8_t)(i * 7 + i / 1000);
        }
        ASSERT_OK(ndbuf_copy(&there, &back, NULL, err));
        if (to_device) {
            ASSERT_OK(ndbuf_fill(&there, &nothing, 1, NULL, err));
        } else {
            ASSERT_OK(ndbuf_fill(&packed, &nothing, 1, NULL, err));
        }
        cudasim_fail_call("cudaLaunchKernel", 1, cudaErrorNoKernelImageForDevice);
        ASSERT_OK(ndbuf_copy(to_device ? &there : &packed, to_device ? &packed : &there, NULL, err));
        assert_true(cudasim_fault_happened());
        ASSERT_OK(ndbuf_copy(&back, to_device ? &there : &packed, NULL, err));
        for (int i = 0; i < NROWS * ROW_NBYTES; i++) {
            assert_int_equal(kept[i], (uint8_t)(i * 7 + i / 1000));
        }
        ndbuf_view_release(&there);
        ndbuf_view_release(&packed);
        ndbuf_view_release(&back);
        ndbuf_storage_release(storage);
        ndbuf_device_close(pinned);
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

/* -- memory that others have allocated -- */

/* Of device 1: a pool whose owner has not opened it to peers. */
static cudaMemPool_t foreign_pool;

static void free_async(void *context, void *handle)
{
    (void)context;
    ASSERT_CUDA(sim->cudaFreeAsync(handle, NULL));
    ASSERT_CUDA(sim->cudaStreamSynchronize(NULL));
}

static void free_plain(void *context, void *handle)
{
    (void)context;
    ASSERT_CUDA(sim->cudaFree(handle));
}

static void free_host(void *context, void *handle)
{
    (void)context;
    ASSERT_CUDA(sim->cudaFreeHost(handle));
}

/* On device 1 from the pool, elsewhere by cudaMalloc, on the host write-combined. */
static ndbuf_storage *make_foreign_storage(ndbuf_device *device, size_t nbytes)
{
    const cuda_place *place = (const cuda_place *)device;
    ndbuf_storage *storage = NULL;
    void *block = NULL;
    ndbuf_release_fn end = free_plain;
    ASSERT_CUDA(sim->cudaSetDevice(place->ordinal));
    if (place->kind == CUDA_KIND_HOST) {
        ASSERT_CUDA(sim->cudaHostAlloc(&block, nbytes, cudaHostAllocWriteCombined));
        end = free_host;
    } else if (place->ordinal == 1) {
        ASSERT_CUDA(sim->cudaMallocFromPoolAsync(&block, nbytes, foreign_pool, NULL));
        ASSERT_CUDA(sim->cudaStreamSynchronize(NULL));
        end = free_async;
    } else {
        ASSERT_CUDA(sim->cudaMalloc(&block, nbytes));
    }
    ASSERT_CUDA(sim->cudaSetDevice(0));
    ASSERT_OK(ndbuf_storage_adopt(device, block, nbytes, 0, end, NULL, &storage, err));
    return storage;
}

static void foreign_pool_open(void)
{
    const struct cudaMemPoolProps props = {.allocType = cudaMemAllocationTypePinned,
                                           .location = {.type = cudaMemLocationTypeDevice, .id = 1}};
    ASSERT_CUDA(sim->cudaMemPoolCreate(&foreign_pool, &props));
}

static void test_memory_of_others_is_copied_wherever_kernels_reach(void **state)
{
    (void)state;
    static const char *const names[] = {"cuda:0", "cuda:1", "cuda_host:0", "cpu"};
    enum { COUNT = sizeof(names) / sizeof(names[0]) };
    test_random random = test_random_make(__func__, 24);
    ndbuf_device *devices[COUNT];
    foreign_pool_open();
    for (int i = 0; i < COUNT; i++) {
        devices[i] = cuda_fixture_open(names[i]);
    }
    test_copy_storage_by(make_foreign_storage);
    for (int i = 0; i < 20 * COUNT * COUNT; i++) {
        char what[100];
        const test_copy_case copy_case = {.dst = devices[i % COUNT],
                                          .src = devices[i / COUNT % COUNT],
                                          .converts = i % 3 == 0,
                                          .shape_flags = i % 2 == 0 ? TEST_LAYOUT_MANY_ITEMS : 0};
        snprintf(what, sizeof(what), "%s from %s, round %d", names[i % COUNT], names[i / COUNT % COUNT], i);
        test_copy_try(what, &random, &copy_case);
    }
    test_copy_storage_by(NULL);
    for (int i = 0; i < COUNT; i++) {
        ndbuf_device_close(devices[i]);
    }
    ASSERT_CUDA(sim->cudaMemPoolDestroy(foreign_pool));
}

static ndbuf_status copy_two_apart(ndbuf_queue *queue, const ndbuf_mem *dst, const ndbuf_mem *src, ndbuf_error *err)
{
    const int64_t shape[1] = {2};
    const int64_t strides[1] = {4};
    const ndbuf_strided box = {.dst = {.mem = dst, .strides = strides},
                               .src = {.mem = src, .strides = strides},
                               .ndim = 1,
                               .shape = shape,
                               .unit_nbytes = 1};
    return queue->device->ops->copy_strided(queue, &box, err);
}

/* A peer's kernels: what cudaMalloc gave, but nothing from a pool of others. */
static void test_kernels_of_peers_reach_what_was_allocated_for_them(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    char bytes[16] = {0};
    foreign_pool_open();
    ndbuf_storage *plain = make_foreign_storage(device, 16);
    ndbuf_storage *pooled = make_foreign_storage(other, 16);
    ndbuf_storage *combined = make_foreign_storage(pinned, 16);
    ndbuf_mem own = cuda_fixture_mem(other, bytes, 16);
    ASSERT_OK(copy_two_apart(device->default_queue, &plain->mem, &own, err));
    ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
    ASSERT_OK(copy_two_apart(other->default_queue, &pooled->mem, &plain->mem, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no kernel of CUDA device 0 reaches this cuda memory",
                 copy_two_apart(device->default_queue, &plain->mem, &pooled->mem, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "no kernel of CUDA device 0 reaches this cuda_host memory",
                 copy_two_apart(device->default_queue, &plain->mem, &combined->mem, err));
    ASSERT_OK(other->ops->queue_wait(other->default_queue, err));
    other->ops->mem_free(&own);
    ndbuf_storage_release(plain);
    ndbuf_storage_release(pooled);
    ndbuf_storage_release(combined);
    ASSERT_CUDA(sim->cudaMemPoolDestroy(foreign_pool));
    ndbuf_device_close(device);
    ndbuf_device_close(other);
    ndbuf_device_close(pinned);
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
        CUDA_TEST(test_a_large_run_of_pinned_memory_goes_in_pieces),
        CUDA_TEST(test_units_that_kernels_know_go_over_the_bus_by_themselves),
        CUDA_TEST(test_short_runs_of_pinned_memory_are_left_to_the_host),
        CUDA_TEST(test_pinned_memory_in_several_runs_is_read_where_it_is),
        CUDA_TEST(test_without_code_for_the_device_copies_go_through_the_host),
        CUDA_TEST(test_without_code_for_the_device_a_run_of_pinned_memory_arrives_too),
        CUDA_TEST(test_memory_that_kernels_do_not_reach_is_left_to_others),
        CUDA_TEST(test_memory_of_others_is_copied_wherever_kernels_reach),
        CUDA_TEST(test_kernels_of_peers_reach_what_was_allocated_for_them),
        CUDA_TEST(test_numbers_that_kernels_do_not_know_are_left_to_others),
        CUDA_TEST(test_views_of_any_layout_arrive_from_anywhere),
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
