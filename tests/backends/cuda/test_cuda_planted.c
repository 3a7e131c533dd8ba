/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <string.h>

#include "core/copy_plan.h"
#include "core/storage_core.h"
#include "tests/support/device_copy.h"

/* Tests of the tests: faults that a backend could have are planted in the simulator, and must be noticed, by its checks
 * or in the bytes. Without them nothing is. */

enum { ROWS = 200, COLUMNS = 300, ITEM_NBYTES = 6, NBYTES = ROWS * COLUMNS * ITEM_NBYTES };

typedef struct planted_views {
    ndbuf_view source; /* on the host, turned */
    ndbuf_view device; /* every second item: a kernel spreads and collects them */
    ndbuf_view back;
} planted_views;

static void views_open(planted_views *views, ndbuf_device *device, ndbuf_device *host)
{
    const int64_t shape[2] = {ROWS, 2 * COLUMNS};
    const ndbuf_slice second = {.step = 2, .given = NDBUF_SLICE_STEP};
    const int64_t turned[2] = {COLUMNS, ROWS};
    const int32_t axes[2] = {1, 0};
    ndbuf_format *format = test_format(ITEM_NBYTES);
    memset(views, 0, sizeof(*views));
    ASSERT_OK(ndbuf_view_create(&views->source, host, format, 2, turned, err));
    ASSERT_OK(ndbuf_view_create(&views->device, device, format, 2, shape, err));
    ASSERT_OK(ndbuf_view_slice(&views->device, 1, &second, &views->device, err));
    ASSERT_OK(ndbuf_view_create(&views->back, host, format, 2, turned, err));
    uint16_t *numbers = ndbuf_view_host_address(&views->source);
    for (uint32_t i = 0; i < NBYTES / 2; i++) {
        numbers[i] = (uint16_t)(i * 40503u + i / 256);
    }
    memset(ndbuf_view_host_address(&views->back), 0, NBYTES);
    ASSERT_OK(ndbuf_view_permute(&views->source, axes, &views->source, err));
    ASSERT_OK(ndbuf_view_permute(&views->back, axes, &views->back, err));
    ndbuf_format_release(format);
}

static void views_close(planted_views *views)
{
    ndbuf_view_release(&views->source);
    ndbuf_view_release(&views->device);
    ndbuf_view_release(&views->back);
}

/* There and back in a queue. Pageable memory is packed by the host, in pieces of staging_nbytes, pinned memory crosses
 * the bus as it is. */
static bool copies_are_right(bool is_pinned, int64_t staging_nbytes)
{
    planted_views views;
    ndbuf_queue *queue = NULL;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    views_open(&views, device, is_pinned ? pinned : ndbuf_device_cpu());
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ndbuf__staging_nbytes = staging_nbytes;
    ASSERT_OK(ndbuf_copy(&views.device, &views.source, queue, err));
    ASSERT_OK(ndbuf_copy(&views.back, &views.device, queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
    bool right = memcmp(views.source.storage->mem.host_address, views.back.storage->mem.host_address, NBYTES) == 0;
    views_close(&views);
    ndbuf_queue_release(queue);
    ndbuf_device_close(pinned);
    ndbuf_device_close(device);
    return right;
}

/* Rows of pinned memory to device memory with gaps, and back. */
static bool rectangles_are_right(void)
{
    enum { NROWS = 16, ROW_NBYTES = 100, PITCH = 128 };
    char rows[NROWS * ROW_NBYTES];
    char back[NROWS * ROW_NBYTES];
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    for (size_t i = 0; i < sizeof(rows); i++) {
        rows[i] = (char)(i * 11 + 5);
    }
    memset(back, 0, sizeof(back));
    ndbuf_mem packed = cuda_fixture_mem(pinned, rows, sizeof(rows));
    ndbuf_mem pitched = {0};
    ASSERT_OK(device->ops->mem_alloc(device, (size_t)NROWS * PITCH, 64, &pitched, err));
    ndbuf_rect rect = {.dst = {.mem = &pitched, .row_pitch = PITCH, .slice_pitch = (int64_t)NROWS * PITCH},
                       .src = {.mem = &packed, .row_pitch = ROW_NBYTES, .slice_pitch = (int64_t)NROWS * ROW_NBYTES},
                       .row_nbytes = ROW_NBYTES,
                       .nrows = NROWS - 1, /* so that one byte too many in a pitch stays inside */
                       .nslices = 1};
    ASSERT_OK(device->ops->copy_rect(device->default_queue, &rect, err));
    for (int i = 0; i < NROWS - 1; i++) {
        ndbuf_mem host = cuda_fixture_host(back + (ptrdiff_t)i * ROW_NBYTES, ROW_NBYTES);
        ASSERT_OK(
            device->ops->copy_bytes(device->default_queue, &host, 0, &pitched, (int64_t)i * PITCH, ROW_NBYTES, err));
    }
    ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
    bool right = memcmp(rows, back, (size_t)(NROWS - 1) * ROW_NBYTES) == 0;
    device->ops->mem_free(&pitched);
    pinned->ops->mem_free(&packed);
    ndbuf_device_close(pinned);
    ndbuf_device_close(device);
    return right;
}

/* All that the faults could spoil. */
static bool all_is_well(void)
{
    bool right = copies_are_right(false, 4096);                     /* events between queues, the ring */
    right = copies_are_right(true, NDBUF__STAGING_NBYTES) && right; /* device memory for a moment */
    right = rectangles_are_right() && right;
    bool silent = cudasim_nviolations() == 0;
    cudasim_sabotage(CUDASIM_SABOTAGE_NONE);
    cudasim_forgive();
    return right && silent;
}

static void test_nothing_is_noticed_where_nothing_is_wrong(void **state)
{
    (void)state;
    assert_true(all_is_well());
}

static void test_events_that_are_not_waited_for_are_noticed(void **state)
{
    (void)state;
    cudasim_sabotage(CUDASIM_SABOTAGE_WAIT_EVENT);
    assert_false(all_is_well());
}

static void test_memory_that_is_freed_too_early_is_noticed(void **state)
{
    (void)state;
    cudasim_sabotage(CUDASIM_SABOTAGE_FREE_ASYNC);
    assert_false(all_is_well());
}

static void test_a_pitch_that_is_one_too_large_is_noticed(void **state)
{
    (void)state;
    cudasim_sabotage(CUDASIM_SABOTAGE_PITCH);
    assert_false(all_is_well());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_nothing_is_noticed_where_nothing_is_wrong),
        CUDA_TEST(test_events_that_are_not_waited_for_are_noticed),
        CUDA_TEST(test_memory_that_is_freed_too_early_is_noticed),
        CUDA_TEST(test_a_pitch_that_is_one_too_large_is_noticed),
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
