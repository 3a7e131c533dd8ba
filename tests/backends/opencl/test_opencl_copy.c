/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <string.h>

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
    opencl_fixture_fill_random(random, blocks.dst, NBYTES);
    opencl_fixture_fill_random(random, blocks.src, NBYTES);
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
        ASSERT_OK(OPS->copy_rect(device->default_queue, &rect, err));
        ASSERT_OK(OPS->queue_wait(device->default_queue, err));
        apply_rect(blocks.expected, blocks.dst, &rect);
        check_contents(&mem);
        free_side(&mem);
    }
}

/* Columns of one matrix: the rows interleave, but no byte is shared. Drivers may call that an overlap; then another
 * route has to do it, and nothing was moved. */
static void test_interleaved_rectangles_are_moved_or_passed_on(void **state)
{
    (void)state;
    test_random random = test_random_make("interleaved", 5);
    ndbuf_device *device = opencl_fixture_device();
    refill(&random);
    ndbuf_mem mem = make_side(device, blocks.dst);
    ndbuf_rect rect = {.dst = {&mem, 32, 64, 64 * 100}, .src = {&mem, 0, 64, 64 * 100}, 16, 100, 1};
    ndbuf_status status = OPS->copy_rect(device->default_queue, &rect, NULL);
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    if (status == NDBUF_OK) {
        apply_rect(blocks.expected, blocks.dst, &rect);
    } else {
        assert_int_equal(status, NDBUF_ERR_UNSUPPORTED);
    }
    check_contents(&mem);
    free_side(&mem);
}

static void test_unequal_pitches_within_one_buffer_are_passed_on(void **state)
{
    (void)state;
    test_random random = test_random_make("unequal", 6);
    ndbuf_device *device = opencl_fixture_device();
    refill(&random);
    ndbuf_mem mem = make_side(device, blocks.dst);
    ndbuf_rect rect = {.dst = {&mem, 0, 64, 256}, .src = {&mem, 8192, 32, 128}, 16, 4, 1};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "equal pitches", OPS->copy_rect(device->default_queue, &rect, err));
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
    const uint32_t both = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT;
    OPS->copy_caps(device, host, &caps);
    assert_int_equal(caps.flags, both);
    assert_true(caps.call_ns > 0 && caps.wait_ns > 0 && caps.row_ns > 0 && caps.bytes_per_ns > 0);
    OPS->copy_caps(host, device, &caps);
    assert_int_equal(caps.flags, both);
    OPS->copy_caps(device, device, &caps);
    assert_int_equal(caps.flags, both | NDBUF_CAN_FILL | NDBUF_RECT_EQUAL_PITCHES);
    OPS->copy_caps(host, host, &caps);
    assert_int_equal(caps.flags, 0);
}

static void test_strided_copies_are_passed_on(void **state)
{
    (void)state;
    ndbuf_strided box = {0};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "", OPS->copy_strided(opencl_fixture_device()->default_queue, &box, err));
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
    opencl_fixture_fill_random(&random, item, sizeof(item));
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

static void test_fills_that_opencl_cannot_do_are_passed_on(void **state)
{
    (void)state;
    test_random random = test_random_make("other fills", 9);
    ndbuf_device *device = opencl_fixture_device();
    const int64_t count = 10;
    unsigned char item[256];
    opencl_fixture_fill_random(&random, item, sizeof(item));
    refill(&random);
    ndbuf_mem mem = make_side(device, blocks.dst);
    assert_int_equal(fill(&mem, 0, 1, &count, (int64_t[]){8}, item, 4), NDBUF_ERR_UNSUPPORTED); /* gaps */
    assert_int_equal(fill(&mem, 2, 1, &count, (int64_t[]){4}, item, 4), NDBUF_ERR_UNSUPPORTED); /* misaligned */
    assert_int_equal(fill(&mem, 0, 1, &count, (int64_t[]){3}, "abc", 3), NDBUF_ERR_UNSUPPORTED);
    assert_int_equal(fill(&mem, 0, 1, &count, (int64_t[]){256}, item, 256), NDBUF_ERR_UNSUPPORTED);
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
        cmocka_unit_test(test_interleaved_rectangles_are_moved_or_passed_on),
        cmocka_unit_test(test_unequal_pitches_within_one_buffer_are_passed_on),
        cmocka_unit_test(test_copies_between_contexts_are_passed_on),
        cmocka_unit_test(test_caps_tell_what_the_backend_copies),
        cmocka_unit_test(test_strided_copies_are_passed_on),
        cmocka_unit_test(test_dense_boxes_are_filled),
        cmocka_unit_test(test_items_of_any_size_with_a_short_period_are_filled),
        cmocka_unit_test(test_fills_that_opencl_cannot_do_are_passed_on),
    };
    ndevices = opencl_fixture_start();
    if (ndevices == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, end);
}
