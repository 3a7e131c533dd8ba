/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/copy_plan.h"

/* Fewer under sanitizers, which make each byte take its time and look at where it lies, or who else has it; other
 * builds look at more of the values. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROUNDS 20
#else
#define ROUNDS 60
#endif

/* Copies between the device under test and each peer, in both directions. queue_of: 0 none, 1 of the device under test,
 * 2 of the peer. */
static void try_peers(const char *name, int queue_of, bool through_plan)
{
    test_random random = test_random_make(name, 11);
    for (int32_t p = 0; p < conf.npeers; p++) {
        ndbuf_queue *queue = NULL;
        if (queue_of != 0) {
            ASSERT_OK(ndbuf_queue_create(queue_of == 1 ? conf.device : conf.peers[p], &queue, err));
        }
        for (int i = 0; i < ROUNDS; i++) {
            char what[100];
            bool to_peer = i % 2 == 0;
            test_copy_case copy_case = {.dst = to_peer ? conf.peers[p] : conf.device,
                                        .src = to_peer ? conf.device : conf.peers[p],
                                        .queue = queue,
                                        .with_suboffsets = i % 5 == 0,
                                        .through_plan = through_plan,
                                        .shape_flags = i % 10 == 0 ? TEST_LAYOUT_MANY_ITEMS : 0};
            snprintf(what, sizeof(what), "%s, %s peer %d, round %d", name, to_peer ? "to" : "from", (int)p, i);
            test_copy_try(what, &random, &copy_case);
        }
        ndbuf_queue_release(queue);
    }
}

static void test_views_of_any_layout_are_copied(void **state)
{
    (void)state;
    try_peers(__func__, 0, false);
}

static void test_views_are_copied_in_a_queue_and_released_at_once(void **state)
{
    (void)state;
    try_peers(__func__, 1, false);
}

static void test_views_are_copied_in_a_queue_of_the_other_device(void **state)
{
    (void)state;
    try_peers(__func__, 2, false);
}

static void test_plans_can_be_run_again(void **state)
{
    (void)state;
    try_peers(__func__, 0, true);
}

/* Staging buffers go round many times, with steps of several boxes under way. */
static void test_views_are_copied_in_many_small_boxes(void **state)
{
    (void)state;
    ndbuf__staging_nbytes = 128;
    ndbuf__closed_routes = 1u << NDBUF_ROUTE_MAPPED;
    try_peers(__func__, 0, false);
    try_peers(__func__, 1, false);
    try_peers(__func__, 2, true);
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
    ndbuf__closed_routes = 0;
}

/* Where the host is slow, buffers have its order, and a device that copies strided boxes brings them into its own. */
static void test_views_are_sorted_by_a_device_that_can(void **state)
{
    (void)state;
    int64_t shape[2] = {30, 40};
    int32_t axes[2] = {1, 0};
    char text[2000];
    ndbuf_format *format = test_format(4);
    ndbuf_view host = {0};
    ndbuf_view device = {0};
    ndbuf_copy_plan *plan = NULL;
    ASSERT_OK(ndbuf_view_create(&device, conf.device, format, 2, shape, err));
    ASSERT_OK(ndbuf_view_permute(&device, axes, &device, err));
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), format, 2, (int64_t[2]){40, 30}, err));
    ndbuf__staging_nbytes = 128;
    ndbuf__closed_routes = 1u << NDBUF_ROUTE_MAPPED | 1u << NDBUF_ROUTE_BYTES | 1u << NDBUF_ROUTE_RECT;
    ASSERT_OK(ndbuf_tuning_set("link.cpu.cpu.element_ns", 1e5, err));
    ASSERT_OK(ndbuf_copy_plan_create(&device, &host, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ndbuf_copy_plan_explain(plan, text, sizeof(text));
    ndbuf_copy_plan_destroy(plan);
    /* Where kernels reach the host's memory, too, there is nothing to stage. */
    bool can_sort = (conf_copy_flags(conf.device, conf.device) & NDBUF_CAN_COPY_STRIDED) != 0 &&
                    (conf_copy_flags(conf.device, ndbuf_device_cpu()) & NDBUF_CAN_COPY_STRIDED) == 0;
    assert_int_equal(strstr(text, "in the host's order") != NULL, can_sort);
    try_peers(__func__, 0, false);
    try_peers(__func__, 1, false);
    try_peers(__func__, 2, true);
    ASSERT_OK(ndbuf_tuning_set("link.cpu.cpu.element_ns", (double)NAN, err));
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
    ndbuf__closed_routes = 0;
    ndbuf_view_release(&device);
    ndbuf_view_release(&host);
    ndbuf_format_release(format);
}

static void test_moves_within_one_storage_read_all_before_they_write(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 12);
    ndbuf_queue *queue = conf_queue_create();
    for (int i = 0; i < 3 * ROUNDS; i++) {
        char what[100];
        test_copy_case copy_case = {.dst = conf.device, .queue = i % 3 == 0 ? queue : NULL, .in_one_storage = true};
        snprintf(what, sizeof(what), "%s, round %d", __func__, i);
        test_copy_try(what, &random, &copy_case);
    }
    ndbuf_queue_release(queue);
}

static void test_contiguous_bytes_move_like_memmove(void **state)
{
    (void)state;
    enum { NBYTES = 100000 };
    test_random random = test_random_make(__func__, 13);
    char *expected = malloc(NBYTES);
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_create(conf.device, NBYTES, &storage, err));
    test_random_fill(&random, expected, NBYTES);
    ndbuf_view all = {0};
    ndbuf_view host = {0};
    ndbuf_view_spec spec = {.ndim = 1, .shape = (int64_t[1]){NBYTES}};
    ASSERT_OK(ndbuf_view_init(&all, storage, &spec, err));
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), NULL, 1, spec.shape, err));
    memcpy(ndbuf_view_host_address(&host), expected, NBYTES);
    ASSERT_OK(ndbuf_copy(&all, &host, NULL, err));
    for (int i = 0; i < 30; i++) {
        int64_t nbytes = test_random_range(&random, 1, NBYTES);
        int64_t to = test_random_range(&random, 0, NBYTES - nbytes);
        int64_t from = test_random_range(&random, 0, NBYTES - nbytes);
        ndbuf_view dst = {0};
        ndbuf_view src = {0};
        ndbuf_view_spec part = {.ndim = 1, .shape = &nbytes, .byte_offset = to};
        ASSERT_OK(ndbuf_view_init(&dst, storage, &part, err));
        part.byte_offset = from;
        ASSERT_OK(ndbuf_view_init(&src, storage, &part, err));
        memmove(expected + to, expected + from, (size_t)nbytes);
        ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
    }
    ASSERT_OK(ndbuf_copy(&host, &all, NULL, err));
    test_assert_bytes_equal("moved", ndbuf_view_host_address(&host), expected, NBYTES);
    ndbuf_view_release(&all);
    ndbuf_view_release(&host);
    ndbuf_storage_release(storage);
    free(expected);
}

static void test_views_of_any_layout_are_filled(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 14);
    ndbuf_queue *queue = conf_queue_create();
    for (int i = 0; i < 2 * ROUNDS; i++) {
        char what[100];
        snprintf(what, sizeof(what), "%s, round %d", __func__, i);
        test_fill_try(what, &random, conf.device, i % 2 == 0 ? queue : NULL);
    }
    ndbuf_queue_release(queue);
}

/* More than any staging buffer holds, so that it goes in several pieces. */
static void test_large_views_arrive_whole(void **state)
{
    (void)state;
    enum { ROWS = 1500, COLUMNS = 2001 };
    test_random random = test_random_make(__func__, 15);
    int64_t shape[2] = {ROWS, COLUMNS};
    int64_t turned[2] = {COLUMNS, ROWS};
    int32_t axes[2] = {1, 0};
    ndbuf_format *format = test_format(4);
    ndbuf_view source = {0};
    ndbuf_view device = {0};
    ndbuf_view back = {0};
    ndbuf_slice reversed = {.step = -1, .given = NDBUF_SLICE_STEP};
    ASSERT_OK(ndbuf_view_create(&source, ndbuf_device_cpu(), format, 2, shape, err));
    ASSERT_OK(ndbuf_view_create(&back, ndbuf_device_cpu(), format, 2, shape, err));
    ASSERT_OK(ndbuf_view_create(&device, conf.device, format, 2, turned, err));
    test_random_fill(&random, ndbuf_view_host_address(&source), (size_t)source.nbytes);
    memset(ndbuf_view_host_address(&back), 0, (size_t)back.nbytes);
    ASSERT_OK(ndbuf_view_permute(&device, axes, &device, err));
    ASSERT_OK(ndbuf_view_slice(&device, 1, &reversed, &device, err));
    ASSERT_OK(ndbuf_copy(&device, &source, NULL, err));
    ASSERT_OK(ndbuf_copy(&back, &device, NULL, err));
    test_assert_bytes_equal("turned, reversed and back", ndbuf_view_host_address(&back),
                            ndbuf_view_host_address(&source), (size_t)back.nbytes);
    ndbuf_queue *queue = conf_queue_create();
    test_random_fill(&random, ndbuf_view_host_address(&source), (size_t)source.nbytes);
    ASSERT_OK(ndbuf_copy(&device, &source, queue, err));
    ASSERT_OK(ndbuf_copy(&back, &device, queue, err));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    test_assert_bytes_equal("the same in a queue", ndbuf_view_host_address(&back), ndbuf_view_host_address(&source),
                            (size_t)back.nbytes);
    ndbuf_view_release(&source);
    ndbuf_view_release(&device);
    ndbuf_view_release(&back);
    ndbuf_format_release(format);
}

static void test_a_copy_waits_for_the_ready_event_of_its_views(void **state)
{
    (void)state;
    int64_t shape[1] = {300000};
    ndbuf_view source = {0};
    ndbuf_view device = {0};
    ndbuf_view back = {0};
    ndbuf_event *event = NULL;
    ndbuf_queue *queue = conf_queue_create();
    ASSERT_OK(ndbuf_view_create(&source, ndbuf_device_cpu(), NULL, 1, shape, err));
    ASSERT_OK(ndbuf_view_create(&back, ndbuf_device_cpu(), NULL, 1, shape, err));
    ASSERT_OK(ndbuf_view_create(&device, conf.device, NULL, 1, shape, err));
    for (int i = 0; i < 10; i++) {
        memset(ndbuf_view_host_address(&source), 'a' + i, (size_t)shape[0]);
        ASSERT_OK(ndbuf_copy(&device, &source, queue, err));
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        ndbuf_view_set_ready(&device, event);
        ndbuf_event_release(event);
        ASSERT_OK(ndbuf_copy(&back, &device, NULL, err)); /* not in that queue */
        test_assert_bytes_equal("behind ready", ndbuf_view_host_address(&back), ndbuf_view_host_address(&source),
                                (size_t)shape[0]);
    }
    ndbuf_view_release(&source);
    ndbuf_view_release(&device);
    ndbuf_view_release(&back);
    ndbuf_queue_release(queue);
}

/* Any memory of the host, also what the driver would read at the call; the queue is idle before, or not. */
static void test_a_copy_reads_what_earlier_work_of_its_queue_writes(void **state)
{
    (void)state;
    static const int64_t sizes[] = {4, 100, 65536, 1500000, 5000000};
    for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
        int64_t nitems = sizes[i / 2];
        int64_t nbytes = 2 * nitems;
        ndbuf_view all = {0};
        ndbuf_view source = {0};
        ndbuf_view device = {0};
        ndbuf_view back = {0};
        ndbuf_slice part = {.start = 0, .stop = nitems, .step = 1, .given = NDBUF_SLICE_STOP};
        if (i % 2 == 1) {
            part = (ndbuf_slice){.step = 2, .given = NDBUF_SLICE_STEP};
        }
        ndbuf_queue *queue = conf_queue_create();
        ASSERT_OK(ndbuf_view_create(&all, ndbuf_device_cpu(), NULL, 1, &nbytes, err));
        ASSERT_OK(ndbuf_view_create(&device, conf.device, NULL, 1, &nitems, err));
        ASSERT_OK(ndbuf_view_create(&back, ndbuf_device_cpu(), NULL, 1, &nitems, err));
        ASSERT_OK(ndbuf_view_slice(&all, 0, &part, &source, err));
        conf_late_bytes late = {ndbuf_view_host_address(&all), (size_t)nbytes};
        memset(late.start, 'E', late.nbytes);
        ASSERT_OK(ndbuf_copy(&device, &source, queue, err));
        ASSERT_OK(conf.ops->queue_host_call(queue, conf_write_late, &late, err));
        ASSERT_OK(ndbuf_copy(&device, &source, queue, err));
        ASSERT_OK(ndbuf_copy(&back, &device, queue, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        test_assert_bytes_equal("what was written late", ndbuf_view_host_address(&back), late.start, (size_t)nitems);
        ndbuf_queue_release(queue);
        ndbuf_view_release(&all);
        ndbuf_view_release(&source);
        ndbuf_view_release(&device);
        ndbuf_view_release(&back);
    }
}

CONF_TOPIC(views, cmocka_unit_test(test_views_of_any_layout_are_copied),
           cmocka_unit_test(test_views_are_copied_in_a_queue_and_released_at_once),
           cmocka_unit_test(test_views_are_copied_in_a_queue_of_the_other_device),
           cmocka_unit_test(test_plans_can_be_run_again), cmocka_unit_test(test_views_are_copied_in_many_small_boxes),
           cmocka_unit_test(test_views_are_sorted_by_a_device_that_can),
           cmocka_unit_test(test_moves_within_one_storage_read_all_before_they_write),
           cmocka_unit_test(test_contiguous_bytes_move_like_memmove),
           cmocka_unit_test(test_views_of_any_layout_are_filled), cmocka_unit_test(test_large_views_arrive_whole),
           cmocka_unit_test(test_a_copy_waits_for_the_ready_event_of_its_views),
           cmocka_unit_test(test_a_copy_reads_what_earlier_work_of_its_queue_writes))
