/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <string.h>

#include "tests/support/device_copy.h"

enum { NBYTES = 1 << 15 };

static int32_t ndevices;

/* Two blocks of random bytes, as they are on the devices, and as they should be. */
typedef struct arena {
    unsigned char dst[NBYTES];
    unsigned char src[NBYTES];
    unsigned char expected[NBYTES];
    unsigned char seen[NBYTES];
} arena;

static arena blocks;

static void refill(test_random *random)
{
    test_random_fill(random, blocks.dst, NBYTES);
    test_random_fill(random, blocks.src, NBYTES);
    memcpy(blocks.expected, blocks.dst, NBYTES);
}

/* A side on a device, or on the host for NULL. */
static ndbuf_mem make_side(ndbuf_device *device, unsigned char *contents)
{
    return device != NULL ? opencl_fixture_buffer(device, contents, NBYTES) : opencl_fixture_host(contents, NBYTES);
}

static void free_side(ndbuf_mem *mem)
{
    if (mem->host_address == NULL) {
        OPS->mem_free(mem);
    }
}

static void check_contents(const ndbuf_mem *mem)
{
    if (mem->host_address != NULL) {
        assert_memory_equal(mem->host_address, blocks.expected, NBYTES);
    } else {
        opencl_fixture_read(mem, blocks.seen);
        assert_memory_equal(blocks.seen, blocks.expected, NBYTES);
    }
}

static void check_bytes(ndbuf_device *dst_device, ndbuf_device *src_device, test_random *random)
{
    ndbuf_queue *queue = (dst_device != NULL ? dst_device : src_device)->default_queue;
    for (int round = 0; round < 20; round++) {
        int64_t nbytes = test_random_range(random, 1, round % 2 == 0 ? 20 : NBYTES);
        int64_t dst_offset = test_random_range(random, 0, NBYTES - nbytes);
        int64_t src_offset = test_random_range(random, 0, NBYTES - nbytes);
        refill(random);
        ndbuf_mem dst = make_side(dst_device, blocks.dst);
        ndbuf_mem src = make_side(src_device, blocks.src);
        ASSERT_OK(OPS->copy_bytes(queue, &dst, dst_offset, &src, src_offset, nbytes, err));
        ASSERT_OK(OPS->queue_wait(queue, err));
        memcpy(blocks.expected + dst_offset, blocks.src + src_offset, (size_t)nbytes);
        check_contents(&dst);
        free_side(&dst);
        free_side(&src);
    }
}

static void test_bytes_go_in_all_directions_at_any_offset(void **state)
{
    (void)state;
    test_random random = test_random_make("bytes", 1);
    ndbuf_device *device = opencl_fixture_device();
    check_bytes(device, NULL, &random);
    check_bytes(NULL, device, &random);
    check_bytes(device, device, &random);
}

/* The reference: byte by byte. */
static void apply_rect(unsigned char *dst, const unsigned char *src, const ndbuf_rect *rect)
{
    for (int64_t slice = 0; slice < rect->nslices; slice++) {
        for (int64_t row = 0; row < rect->nrows; row++) {
            for (int64_t byte = 0; byte < rect->row_nbytes; byte++) {
                dst[rect->dst.offset + slice * rect->dst.slice_pitch + row * rect->dst.row_pitch + byte] =
                    src[rect->src.offset + slice * rect->src.slice_pitch + row * rect->src.row_pitch + byte];
            }
        }
    }
}

/* Pitches and an offset for one side such that the rectangle lies in `room` bytes from `start` on, at times up to the
 * very last byte, so that the padding behind the last row lies outside. */
static void choose_side(test_random *random, const ndbuf_rect *rect, int64_t start, int64_t room, ndbuf_rect_side *side)
{
    side->row_pitch = rect->row_nbytes + test_random_range(random, 0, 30);
    side->slice_pitch = side->row_pitch * (rect->nrows + (rect->nslices > 1 ? test_random_range(random, 0, 3) : 0));
    int64_t span = (rect->nslices - 1) * side->slice_pitch + (rect->nrows - 1) * side->row_pitch + rect->row_nbytes;
    assert_true(span <= room);
    side->offset =
        start + (test_random_range(random, 0, 3) == 0 ? room - span : test_random_range(random, 0, room - span));
}

static ndbuf_rect choose_rect(test_random *random)
{
    return (ndbuf_rect){.row_nbytes = test_random_range(random, 1, 40),
                        .nrows = test_random_range(random, 1, 12),
                        .nslices = test_random_range(random, 1, 5)};
}

static void check_rects(ndbuf_device *dst_device, ndbuf_device *src_device, ndbuf_queue *queue, test_random *random)
{
    for (int round = 0; round < 60; round++) {
        refill(random);
        ndbuf_mem dst = make_side(dst_device, blocks.dst);
        ndbuf_mem src = make_side(src_device, blocks.src);
        ndbuf_rect rect = choose_rect(random);
        choose_side(random, &rect, 0, NBYTES, &rect.dst);
        choose_side(random, &rect, 0, NBYTES, &rect.src);
        rect.dst.mem = &dst;
        rect.src.mem = &src;
        ASSERT_OK(OPS->copy_rect(queue, &rect, err));
        ASSERT_OK(OPS->queue_wait(queue, err));
        apply_rect(blocks.expected, blocks.src, &rect);
        check_contents(&dst);
        free_side(&dst);
        free_side(&src);
    }
}

static void test_random_rectangles_go_in_all_directions(void **state)
{
    (void)state;
    test_random random = test_random_make("rectangles", 2);
    ndbuf_device *device = opencl_fixture_device();
    check_rects(device, NULL, device->default_queue, &random);
    check_rects(NULL, device, device->default_queue, &random);
    check_rects(device, device, device->default_queue, &random);
}

static void test_rectangles_go_between_devices_of_one_context(void **state)
{
    (void)state;
    if (ndevices < 2) {
        skip();
    }
    test_random random = test_random_make("two devices", 3);
    ndbuf_device *first = opencl_fixture_device();
    ndbuf_device *second = NULL;
    ASSERT_OK(OPS->device_open(1, &second, err));
    check_rects(first, second, first->default_queue, &random);
    check_rects(first, second, second->default_queue, &random);
    check_rects(second, first, first->default_queue, &random);
    OPS->device_close(second);
}

/* A rectangle within one buffer, which is ended. */
static void move_and_check(ndbuf_device *device, ndbuf_mem *mem, const ndbuf_rect *rect)
{
    ASSERT_OK(OPS->copy_rect(device->default_queue, rect, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    apply_rect(blocks.expected, blocks.dst, rect);
    check_contents(mem);
    free_side(mem);
}

static void test_rectangles_move_within_one_buffer(void **state)
{
    (void)state;
    test_random random = test_random_make("one buffer", 4);
    ndbuf_device *device = opencl_fixture_device();
    for (int round = 0; round < 60; round++) {
        refill(&random);
        ndbuf_mem mem = make_side(device, blocks.dst);
        ndbuf_rect rect = choose_rect(&random);
        choose_side(&random, &rect, 0, NBYTES / 2, &rect.dst);
        rect.src = rect.dst;
        rect.src.offset += NBYTES / 2;
        rect.dst.mem = &mem;
        rect.src.mem = &mem;
        move_and_check(device, &mem, &rect);
    }
}

/* Columns of one matrix: the rows interleave, but no byte is shared. Drivers may call that an overlap. */
static void test_interleaved_rectangles_are_moved(void **state)
{
    (void)state;
    test_random random = test_random_make("interleaved", 5);
    ndbuf_device *device = opencl_fixture_device();
    refill(&random);
    ndbuf_mem mem = make_side(device, blocks.dst);
    ndbuf_rect rect = {.dst = {&mem, 32, 64, 64 * 100}, .src = {&mem, 0, 64, 64 * 100}, 16, 100, 1};
    move_and_check(device, &mem, &rect);
}

static void test_rectangles_of_unequal_pitches_move_within_one_buffer(void **state)
{
    (void)state;
    test_random random = test_random_make("unequal", 6);
    ndbuf_device *device = opencl_fixture_device();
    for (int round = 0; round < 60; round++) {
        refill(&random);
        ndbuf_mem mem = make_side(device, blocks.dst);
        ndbuf_rect rect = choose_rect(&random);
        choose_side(&random, &rect, 0, NBYTES / 2, &rect.dst);
        choose_side(&random, &rect, NBYTES / 2, NBYTES / 2, &rect.src);
        rect.dst.mem = &mem;
        rect.src.mem = &mem;
        move_and_check(device, &mem, &rect);
    }
}

/* As a device that has no compiler, or too little local memory. */
static void test_device_without_kernels_passes_on_what_needs_them(void **state)
{
    (void)state;
    test_random random = test_random_make("no kernels", 10);
    ndbuf_device *device = opencl_fixture_device();
    bool *are_usable = &((opencl_device *)device)->kernels.are_usable;
    ndbuf_copy_caps caps;
    refill(&random);
    ndbuf_mem mem = make_side(device, blocks.dst);
    const int64_t shape = 4;
    const int64_t stride = 8;
    ndbuf_rect rect = {.dst = {&mem, 0, 64, 256}, .src = {&mem, 8192, 32, 128}, 16, 4, 1};
    ndbuf_strided box = {
        .dst = {&mem, 0, &stride}, .src = {&mem, 100, &stride}, .ndim = 1, .shape = &shape, .unit_nbytes = 4};
    ndbuf_fill_box gaps = {.dst = {&mem, 0, &stride}, .ndim = 1, .shape = &shape, .item = "four", .item_nbytes = 4};
    const ndbuf_convert_box convert = {.dst = box.dst,
                                       .src = box.src,
                                       .dst_element = {.number = NDBUF_NUMBER_INT16, .nbytes = 2},
                                       .src_element = {.number = NDBUF_NUMBER_INT8, .nbytes = 1},
                                       .ndim = 1,
                                       .shape = &shape};
    assert_true(*are_usable);
    *are_usable = false;
    OPS->copy_caps(device, device, &caps);
    assert_int_equal(caps.flags & ~(uint32_t)NDBUF_CAN_MAP,
                     NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_FILL | NDBUF_RECT_EQUAL_PITCHES);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "build its kernels", OPS->copy_rect(device->default_queue, &rect, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "build its kernels", OPS->copy_strided(device->default_queue, &box, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "build its kernels",
                 OPS->convert_strided(device->default_queue, &convert, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "cannot fill", OPS->fill_strided(device->default_queue, &gaps, err));
    *are_usable = true;
    ((opencl_device *)device)->kernels.swaps = true; /* as a device of the other byte order */
    OPS->copy_caps(device, device, &caps);
    assert_int_equal(caps.flags & (NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_CONVERT), NDBUF_CAN_COPY_STRIDED);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "byte order", OPS->convert_strided(device->default_queue, &convert, err));
    ((opencl_device *)device)->kernels.swaps = false;
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    check_contents(&mem);
    free_side(&mem);
}

static void test_copies_between_contexts_are_passed_on(void **state)
{
    (void)state;
    cl_context context = NULL;
    ndbuf_device *own = opencl_fixture_device();
    ndbuf_device *foreign = opencl_fixture_foreign_device(own, &context);
    ndbuf_mem dst = opencl_fixture_buffer(own, NULL, 64);
    ndbuf_mem src = opencl_fixture_buffer(foreign, NULL, 64);
    ndbuf_rect rect = {.dst = {&dst, 0, 8, 32}, .src = {&src, 0, 8, 32}, 4, 4, 1};
    ndbuf_copy_caps caps;
    OPS->copy_caps(own, foreign, &caps);
    assert_int_equal(caps.flags, 0);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "two OpenCL contexts",
                 OPS->copy_bytes(own->default_queue, &dst, 0, &src, 0, 64, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "two OpenCL contexts", OPS->copy_rect(own->default_queue, &rect, err));
    const ndbuf_strided box = {.dst = {&dst, 0, NULL}, .src = {&src, 0, NULL}, .unit_nbytes = 4};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "two OpenCL contexts", OPS->copy_strided(own->default_queue, &box, err));
    OPS->mem_free(&dst);
    OPS->mem_free(&src);
    ndbuf_device_close(foreign);
    opencl_fixture_api()->clReleaseContext(context);
}

static void test_caps_tell_what_the_backend_copies(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_copy_caps caps;
    const bool is_unified = (device->flags & NDBUF_DEVICE_UNIFIED) != 0;
    const uint32_t both = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | (is_unified ? NDBUF_CAN_MAP : 0);
    OPS->copy_caps(device, host, &caps);
    assert_int_equal(caps.flags, both);
    assert_true(caps.call_ns > 0 && caps.wait_ns > 0 && caps.row_ns > 0 && caps.bytes_per_ns > 0);
    OPS->copy_caps(host, device, &caps);
    assert_int_equal(caps.flags, both);
    OPS->copy_caps(device, device, &caps);
    assert_int_equal(caps.flags,
                     both | NDBUF_CAN_FILL | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_CONVERT | NDBUF_CAN_CONVERT_FLOAT64);
    assert_true(caps.element_ns > 0);
    OPS->copy_caps(host, host, &caps);
    assert_int_equal(caps.flags, 0);
}

/* Two axes of one buffer and of two, from the last item to the first one. */
static void test_strided_boxes_are_copied(void **state)
{
    (void)state;
    test_random random = test_random_make("strided", 11);
    ndbuf_device *device = opencl_fixture_device();
    const int64_t shape[] = {30, 40};
    const int64_t dst_strides[] = {40 * 6, 6};
    const int64_t src_strides[] = {-7, -7 * 33};
    for (int round = 0; round < 2; round++) {
        refill(&random);
        ndbuf_mem dst = make_side(device, blocks.dst);
        ndbuf_mem src = round == 0 ? make_side(device, blocks.src) : dst;
        const unsigned char *from = (round == 0 ? blocks.src : blocks.dst) + 20000;
        const ndbuf_strided box = {.dst = {&dst, 5, dst_strides},
                                   .src = {&src, 20000, src_strides},
                                   .ndim = 2,
                                   .shape = shape,
                                   .unit_nbytes = 5};
        ASSERT_OK(OPS->copy_strided(device->default_queue, &box, err));
        ASSERT_OK(OPS->queue_wait(device->default_queue, err));
        for (int64_t i = 0; i < shape[0] * shape[1]; i++) {
            int64_t row = i / shape[1];
            int64_t column = i % shape[1];
            memcpy(blocks.expected + 5 + row * dst_strides[0] + column * dst_strides[1],
                   from + row * src_strides[0] + column * src_strides[1], 5);
        }
        check_contents(&dst);
        free_side(&dst);
        if (round == 0) {
            free_side(&src);
        }
    }
}

static void test_strided_boxes_that_kernels_cannot_copy_are_passed_on(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    unsigned char bytes[64];
    ndbuf_mem mem = make_side(device, blocks.dst);
    ndbuf_mem host = opencl_fixture_host(bytes, sizeof(bytes));
    int64_t shape[17];
    int64_t dst_strides[17];
    int64_t src_strides[17];
    for (int32_t k = 0; k < 17; k++) {
        shape[k] = 2;
        dst_strides[k] = (int64_t)1 << (16 - k);
        src_strides[k] = k % 2; /* no two axes are one */
    }
    ndbuf_strided box = {
        .dst = {&mem, 0, dst_strides}, .src = {&mem, 0, src_strides}, .ndim = 17, .shape = shape, .unit_nbytes = 1};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "17 axes", OPS->copy_strided(device->default_queue, &box, err));
    box.src.mem = &host;
    box.ndim = 1;
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "between its buffers", OPS->copy_strided(device->default_queue, &box, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    free_side(&mem);
}

/* Units must not be longer than the alignment of host memory that a buffer stands for. */
static void test_buffer_over_misaligned_host_memory_is_copied(void **state)
{
    (void)state;
    test_random random = test_random_make("misaligned", 12);
    ndbuf_device *device = opencl_fixture_device();
    const opencl_api *api = opencl_fixture_api();
    cl_int code = CL_SUCCESS;
    refill(&random);
    cl_mem buffer = api->clCreateBuffer(ndbuf_opencl__context_of(device), CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
                                        NBYTES - 1, blocks.src + 1, &code);
    if (code != CL_SUCCESS) {
        skip(); /* a driver may refuse such memory */
    }
    ndbuf_mem dst = make_side(device, blocks.dst);
    ndbuf_mem src = {0};
    ASSERT_OK(OPS->mem_import(device, buffer, NBYTES - 1, &src, err));
    const int64_t shape = 100;
    const int64_t dst_stride = 64;
    const int64_t src_stride = 128;
    const ndbuf_strided box = {
        .dst = {&dst, 0, &dst_stride}, .src = {&src, 0, &src_stride}, .ndim = 1, .shape = &shape, .unit_nbytes = 32};
    ASSERT_OK(OPS->copy_strided(device->default_queue, &box, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    for (int64_t i = 0; i < shape; i++) {
        memcpy(blocks.expected + i * dst_stride, blocks.src + 1 + i * src_stride, 32);
    }
    check_contents(&dst);
    OPS->mem_free(&src);
    api->clReleaseMemObject(buffer);
    free_side(&dst);
}

/* What the core chooses by the caps, for a copy between two storages on one device. */
static ndbuf_copy_plan_info plan_on_device(const test_layout *dst, const test_layout *src)
{
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_view dst_view;
    ndbuf_view src_view;
    ndbuf_copy_plan *plan = NULL;
    ndbuf_copy_plan_info info;
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    ASSERT_OK(ndbuf_storage_create(device, 1 << 22, &storage, err));
    test_layout_view(dst, storage, &dst_view);
    test_layout_view(src, storage, &src_view);
    ASSERT_OK(ndbuf_copy_plan_create(&dst_view, &src_view, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ndbuf_copy_plan_info_get(plan, &info);
    ndbuf_copy_plan_destroy(plan);
    ndbuf_view_release(&dst_view);
    ndbuf_view_release(&src_view);
    ndbuf_storage_release(storage);
    ndbuf_device_close(device);
    return info;
}

static void test_a_few_elements_on_one_device_are_left_to_a_kernel_and_many_to_the_host(void **state)
{
    (void)state;
    const test_layout few = {.ndim = 2, .itemsize = 4, .shape = {64, 64}, .strides = {256, 4}};
    const test_layout many = {.ndim = 2, .itemsize = 4, .shape = {512, 512}, .strides = {2048, 4}};
    test_layout src = few;
    src.offset = 1 << 20;
    src.strides[0] = 4;
    src.strides[1] = 256; /* transposed */
    ndbuf_copy_plan_info info = plan_on_device(&few, &src);
    assert_int_equal(info.route, NDBUF_ROUTE_STRIDED);
    assert_int_equal(info.ncalls, 1);
    src = many;
    src.offset = 1 << 20;
    src.strides[0] = 4;
    src.strides[1] = 2048;
    info = plan_on_device(&many, &src);
    if ((opencl_fixture_device()->flags & NDBUF_DEVICE_UNIFIED) != 0) {
        assert_int_equal(info.route, NDBUF_ROUTE_MAPPED);
    }
    assert_int_equal(info.ncalls, 1);
}

static ndbuf_status fill(ndbuf_mem *mem, int64_t offset, int32_t ndim, const int64_t *shape, const int64_t *strides,
                         const void *item, int64_t item_nbytes)
{
    ndbuf_queue *queue = mem->device->default_queue;
    ndbuf_fill_box box = {
        .dst = {mem, offset, strides}, .ndim = ndim, .shape = shape, .item = item, .item_nbytes = item_nbytes};
    ndbuf_status status = OPS->fill_strided(queue, &box, NULL);
    ASSERT_OK(OPS->queue_wait(queue, err));
    return status;
}

static void test_dense_boxes_are_filled(void **state)
{
    (void)state;
    test_random random = test_random_make("fill", 7);
    ndbuf_device *device = opencl_fixture_device();
    unsigned char item[256];
    test_random_fill(&random, item, sizeof(item));
    for (int64_t item_nbytes = 1; item_nbytes <= 128; item_nbytes *= 2) {
        const int64_t offset = 3 * item_nbytes;
        const int64_t count = 37;
        refill(&random);
        ndbuf_mem mem = make_side(device, blocks.dst);
        assert_int_equal(fill(&mem, offset, 1, &count, &item_nbytes, item, item_nbytes), NDBUF_OK);
        for (int64_t i = 0; i < count; i++) {
            memcpy(blocks.expected + offset + i * item_nbytes, item, (size_t)item_nbytes);
        }
        check_contents(&mem);
        free_side(&mem);
    }
}

static void test_items_of_any_size_with_a_short_period_are_filled(void **state)
{
    (void)state;
    test_random random = test_random_make("periodic fill", 8);
    ndbuf_device *device = opencl_fixture_device();
    const int64_t shape[] = {5, 4, 7};
    const int64_t strides[] = {4 * 12, 12, 0}; /* the last axis reaches each item seven times */
    refill(&random);
    ndbuf_mem mem = make_side(device, blocks.dst);
    assert_int_equal(fill(&mem, 1001, 3, shape, strides, "zzzzzzzzzzzz", 12), NDBUF_OK);
    memset(blocks.expected + 1001, 'z', 5 * 4 * 12);
    assert_int_equal(fill(&mem, 8, 0, NULL, NULL, "abcdabcdabcd", 12), NDBUF_OK);
    memcpy(blocks.expected + 8, "abcdabcdabcd", 12);
    check_contents(&mem);
    free_side(&mem);
}

static void test_fills_with_gaps_and_of_any_item_are_done_by_a_kernel(void **state)
{
    (void)state;
    test_random random = test_random_make("other fills", 9);
    ndbuf_device *device = opencl_fixture_device();
    static const struct {
        int64_t offset;
        int64_t stride;
        int64_t item_nbytes;
    } fills[] = {{0, 8, 4}, {2, 4, 4}, {0, 3, 3}, {64, 256, 256}, {5, 77, 24}, {16, 48, 16}};
    const int64_t count = 10;
    unsigned char item[256];
    test_random_fill(&random, item, sizeof(item));
    for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
        refill(&random);
        ndbuf_mem mem = make_side(device, blocks.dst);
        assert_int_equal(fill(&mem, fills[i].offset, 1, &count, &fills[i].stride, item, fills[i].item_nbytes),
                         NDBUF_OK);
        for (int64_t k = 0; k < count; k++) {
            memcpy(blocks.expected + fills[i].offset + k * fills[i].stride, item, (size_t)fills[i].item_nbytes);
        }
        check_contents(&mem);
        free_side(&mem);
    }
}

static void test_fills_with_a_large_item_are_passed_on(void **state)
{
    (void)state;
    test_random random = test_random_make("large fill", 13);
    ndbuf_device *device = opencl_fixture_device();
    const int64_t count = 10;
    const int64_t stride = 300;
    unsigned char item[300];
    test_random_fill(&random, item, sizeof(item));
    refill(&random);
    ndbuf_mem mem = make_side(device, blocks.dst);
    assert_int_equal(fill(&mem, 0, 1, &count, &stride, item, 300), NDBUF_ERR_UNSUPPORTED);
    check_contents(&mem);
    free_side(&mem);
}

static int end(void **state)
{
    (void)state;
    opencl_fixture_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_go_in_all_directions_at_any_offset),
        cmocka_unit_test(test_random_rectangles_go_in_all_directions),
        cmocka_unit_test(test_rectangles_go_between_devices_of_one_context),
        cmocka_unit_test(test_rectangles_move_within_one_buffer),
        cmocka_unit_test(test_interleaved_rectangles_are_moved),
        cmocka_unit_test(test_rectangles_of_unequal_pitches_move_within_one_buffer),
        cmocka_unit_test(test_device_without_kernels_passes_on_what_needs_them),
        cmocka_unit_test(test_copies_between_contexts_are_passed_on),
        cmocka_unit_test(test_caps_tell_what_the_backend_copies),
        cmocka_unit_test(test_strided_boxes_are_copied),
        cmocka_unit_test(test_a_few_elements_on_one_device_are_left_to_a_kernel_and_many_to_the_host),
        cmocka_unit_test(test_strided_boxes_that_kernels_cannot_copy_are_passed_on),
        cmocka_unit_test(test_buffer_over_misaligned_host_memory_is_copied),
        cmocka_unit_test(test_dense_boxes_are_filled),
        cmocka_unit_test(test_items_of_any_size_with_a_short_period_are_filled),
        cmocka_unit_test(test_fills_with_gaps_and_of_any_item_are_done_by_a_kernel),
        cmocka_unit_test(test_fills_with_a_large_item_are_passed_on),
    };
    ndevices = opencl_fixture_start();
    if (ndevices == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, end);
}
