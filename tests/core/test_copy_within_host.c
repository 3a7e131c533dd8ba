/* SPDX-License-Identifier: Apache-2.0 */
/* Copies from and to memory that the host can touch of a backend from outside the library, most of them within the
 * host's memory. */
#include "tests/support/null_table.h"

#include <string.h>

#include "ndbuf/backend.h"

#include "core/link_costs.h"
#include "tests/support/fake_device.h"

/* "reached": the memory of null, but the host can touch it, and the handles count from 1. */
static const ndbuf_backend_ops *null_ops;
static ndbuf_backend_ops reached_ops;
static uint32_t copy_flags; /* of all its copies */
static uintptr_t last_handle;

static ndbuf_status reached_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    ndbuf_status status = null_ops->device_open(ordinal, out_device, err);
    if (status == NDBUF_OK) {
        (*out_device)->ops = &reached_ops;
        (*out_device)->flags |= NDBUF_DEVICE_HOST_ACCESSIBLE;
    }
    return status;
}

static ndbuf_status reached_mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                      ndbuf_error *err)
{
    ndbuf_status status = null_ops->mem_alloc(device, nbytes, alignment, out_mem, err);
    if (status == NDBUF_OK) {
        out_mem->host_address = out_mem->handle;
        out_mem->handle = (void *)++last_handle;
    }
    return status;
}

static void reached_mem_free(ndbuf_mem *mem)
{
    mem->handle = mem->host_address;
    null_ops->mem_free(mem);
}

static void reached_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    if (copy_flags == 0) {
        return;
    }
    null_ops->copy_caps(dst, src, out_caps);
    out_caps->flags = copy_flags;
    out_caps->call_ns = 50;
}

static int register_reached(void **state)
{
    (void)state;
    null_ops = null_table();
    reached_ops = *null_ops;
    reached_ops.name = "reached";
    reached_ops.device_open = reached_device_open;
    reached_ops.mem_alloc = reached_mem_alloc;
    reached_ops.mem_free = reached_mem_free;
    reached_ops.copy_caps = reached_copy_caps;
    return ndbuf_backend_register(&reached_ops, NULL) == NDBUF_OK ? 0 : -1;
}

enum { ROWS = 5, COLUMNS = 7, NITEMS = ROWS * COLUMNS };

/* (ROWS, COLUMNS) of int32_t, the axes exchanged in memory if so said, with what `first` counts from as contents. */
static void make_matrix(ndbuf_view *out_view, ndbuf_device *device, bool turned, int32_t first)
{
    const int64_t shape[2] = {turned ? COLUMNS : ROWS, turned ? ROWS : COLUMNS};
    ndbuf_format *format = test_parse("<i");
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, shape, err));
    ndbuf_format_release(format);
    int32_t *items = ndbuf_view_host_address(out_view);
    for (int32_t i = 0; i < NITEMS; i++) {
        items[i] = first + i;
    }
    if (turned) {
        ASSERT_OK(ndbuf_view_transpose(out_view, out_view, err));
    }
}

static void assert_copied(const ndbuf_view *dst, const ndbuf_view *src)
{
    const char *to = ndbuf_view_host_address(dst);
    const char *from = ndbuf_view_host_address(src);
    for (int64_t i = 0; i < ROWS; i++) {
        for (int64_t j = 0; j < COLUMNS; j++) {
            assert_memory_equal(to + i * dst->strides[0] + j * dst->strides[1],
                                from + i * src->strides[0] + j * src->strides[1], sizeof(int32_t));
        }
    }
}

/* Tries all copies between the host and the device that do not leave the host's memory. Returns the calls of one. */
static int64_t copy_all_ways(uint32_t flags)
{
    ndbuf_device *device = NULL;
    int64_t ncalls = 0;
    copy_flags = flags;
    ASSERT_OK(ndbuf_device_open("reached", &device, err));
    ndbuf_device *const pairs[3][2] = {{device, ndbuf_device_cpu()}, {ndbuf_device_cpu(), device}, {device, device}};
    for (int i = 0; i < 6; i++) {
        ndbuf_view dst = {0};
        ndbuf_view src = {0};
        ndbuf_queue *queue = NULL;
        ndbuf_copy_plan *plan = NULL;
        ndbuf_copy_plan_info info;
        make_matrix(&dst, pairs[i / 2][0], i % 2 == 0, 0);
        make_matrix(&src, pairs[i / 2][1], i % 2 == 1, 1000);
        ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
        assert_copied(&dst, &src);

        ASSERT_OK(ndbuf_queue_create(device, &queue, err));
        ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_EQUIV, 0, &plan, err));
        ASSERT_OK(ndbuf_fill(&dst, "abcd", 4, ndbuf_view_device(&dst) == device ? queue : NULL, err));
        ASSERT_OK(ndbuf_copy_plan_run(plan, &dst, &src, queue, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        assert_copied(&dst, &src);
        ndbuf_copy_plan_info_get(plan, &info);
        ncalls = info.ncalls > ncalls ? info.ncalls : ncalls;
        ndbuf_copy_plan_destroy(plan);
        ndbuf_queue_release(queue);
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
    }
    ndbuf_device_close(device);
    return ncalls;
}

static void test_a_backend_that_copies_only_bytes_leaves_the_rest_to_the_host(void **state)
{
    (void)state;
    assert_int_equal(copy_all_ways(NDBUF_CAN_COPY_BYTES), 1);
}

static void test_a_backend_that_copies_only_rectangles_or_maps_leaves_the_rest_to_the_host(void **state)
{
    (void)state;
    assert_int_equal(copy_all_ways(NDBUF_CAN_COPY_RECT), 1);
    assert_int_equal(copy_all_ways(NDBUF_CAN_MAP), 1);
}

/* Its copy_strided says that it cannot, each time. */
static void test_what_a_backend_refuses_the_host_does(void **state)
{
    (void)state;
    assert_int_equal(copy_all_ways(NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED), 1);
    assert_int_equal(copy_all_ways(NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_FILL), 1);
}

/* Between the host and "reached": whether a plan says that it does not let the caller of a queue wait, and how. */
static void assert_told_as_asynchronous(uint32_t flags, const char *how)
{
    ndbuf_device *device = NULL;
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    ndbuf_copy_plan *plan = NULL;
    ndbuf_copy_plan_info info;
    char text[2048];
    copy_flags = flags;
    ASSERT_OK(ndbuf_device_open("reached", &device, err));
    make_matrix(&dst, device, false, 0);
    make_matrix(&src, ndbuf_device_cpu(), false, 1000);
    ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ndbuf_copy_plan_info_get(plan, &info);
    ndbuf_copy_plan_explain(plan, text, sizeof(text));
    assert_int_equal(info.asynchronous, 1);
    assert_non_null(strstr(text, how));
    ndbuf_copy_plan_destroy(plan);
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_device_close(device);
}

static void test_a_driver_that_may_block_lets_nobody_wait_within_the_hosts_memory(void **state)
{
    (void)state;
    const uint32_t all = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED;
    assert_told_as_asynchronous(all, ", asynchronous on a queue");
    assert_told_as_asynchronous(all | NDBUF_COPY_MAY_BLOCK, "on a queue by the host and asynchronous");
    assert_int_equal(copy_all_ways(all | NDBUF_COPY_MAY_BLOCK), 1);
}

static void test_a_backend_may_leave_alone_what_it_cannot_copy(void **state)
{
    (void)state;
    ndbuf_copy_caps caps;
    memset(&caps, 0xFF, sizeof(caps));
    assert_int_equal(copy_all_ways(0), 1);
    ndbuf__copy_caps_get(&reached_ops, ndbuf_device_cpu(), ndbuf_device_cpu(), &caps);
    assert_int_equal(caps.flags, 0);
}

/* "reached" takes any rectangle, "fake" has a limit. */
static void test_a_queue_of_the_other_backend_gets_no_rectangles_beyond_its_limits(void **state)
{
    (void)state;
    const fake_config limited = {
        .copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT, .max_pitch = 64, .memory_nbytes = 16 << 20};
    static const ndbuf_slice some = {.stop = 80, .given = NDBUF_SLICE_STOP};
    const int64_t dst_shape[2] = {ROWS, 128};
    const int64_t src_shape[2] = {ROWS, 200};
    ndbuf_device *reached = NULL;
    ndbuf_device *fake = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT;
    fake_register();
    fake_configure(&limited);
    ASSERT_OK(ndbuf_device_open("reached", &reached, err));
    ASSERT_OK(ndbuf_device_open("fake:0", &fake, err));
    ASSERT_OK(ndbuf_queue_create(fake, &queue, err));
    ASSERT_OK(ndbuf_view_create(&dst, reached, NULL, 2, dst_shape, err));
    ASSERT_OK(ndbuf_view_create(&src, fake, NULL, 2, src_shape, err));
    ASSERT_OK(ndbuf_fill(&dst, "-", 1, NULL, err));
    ASSERT_OK(ndbuf_fill(&src, "x", 1, NULL, err));
    ASSERT_OK(ndbuf_view_slice(&dst, 1, &some, &dst, err));
    ASSERT_OK(ndbuf_view_slice(&src, 1, &some, &src, err));
    ASSERT_OK(ndbuf_copy(&dst, &src, queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    const char *bytes = ndbuf_view_host_address(&dst);
    for (int i = 0; i < ROWS * 128; i++) {
        assert_int_equal(bytes[i], i % 128 < 80 ? 'x' : '-');
    }
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_queue_release(queue);
    ndbuf_device_close(fake);
    ndbuf_device_close(reached);
    fake_assert_clean();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_backend_that_copies_only_bytes_leaves_the_rest_to_the_host),
        cmocka_unit_test(test_a_backend_that_copies_only_rectangles_or_maps_leaves_the_rest_to_the_host),
        cmocka_unit_test(test_what_a_backend_refuses_the_host_does),
        cmocka_unit_test(test_a_driver_that_may_block_lets_nobody_wait_within_the_hosts_memory),
        cmocka_unit_test(test_a_backend_may_leave_alone_what_it_cannot_copy),
        cmocka_unit_test(test_a_queue_of_the_other_backend_gets_no_rectangles_beyond_its_limits),
    };
    return cmocka_run_group_tests(tests, register_reached, NULL);
}
