/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_copy.h"
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "backends/null/null_backend.h"
#include "core/copy_plan.h"

/* What the fake devices can do, from nothing but bytes to everything. */
static const struct {
    const char *name;
    fake_config config;
} configs[] = {
    {"bytes", {.copy_flags = NDBUF_CAN_COPY_BYTES}},
    {"bytes, also between the devices", {.copy_flags = NDBUF_CAN_COPY_BYTES, .peer_flags = NDBUF_CAN_COPY_BYTES}},
    {"bytes, blocking", {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_COPY_BLOCKS}},
    {"rectangles",
     {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT,
      .peer_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT}},
    {"rectangles of equal pitches",
     {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_RECT_EQUAL_PITCHES}},
    {"rectangles of small pitches", {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT, .max_pitch = 60}},
    {"strided boxes",
     {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED, .peer_flags = NDBUF_CAN_COPY_STRIDED}},
    {"everything",
     {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_FILL,
      .peer_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED}},
    {"everything, blocking",
     {.copy_flags =
          NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_FILL | NDBUF_COPY_BLOCKS}},

    {"bytes, and mappings",
     {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_MAP, .peer_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_MAP}},
    {"mappings alone", {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_MAP, .peer_flags = NDBUF_CAN_MAP}},

    {"bytes, without host threads", {.copy_flags = NDBUF_CAN_COPY_BYTES, .queue_flags = NDBUF_QUEUE_NO_HOST_THREAD}},
    {"everything, without host threads",
     {.copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_FILL,
      .queue_flags = NDBUF_QUEUE_NO_HOST_THREAD}},
};

#define NCONFIGS (sizeof(configs) / sizeof(configs[0]))

enum { HOST, FAKE0, FAKE1, NULL0, NDEVICES };

static ndbuf_device *devices[NDEVICES];
static const char *const device_names[NDEVICES] = {"cpu", "fake:0", "fake:1", "null:0"};

static int open_devices(void **state)
{
    (void)state;
    fake_register();
    for (int i = 0; i < NDEVICES; i++) {
        if (ndbuf_device_open(device_names[i], &devices[i], NULL) != NDBUF_OK) {
            return -1;
        }
    }
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    for (int i = 0; i < NDEVICES; i++) {
        ndbuf_device_close(devices[i]);
    }
    fake_assert_clean();
    return 0;
}

/* Where the queue of a copy comes from. */
typedef enum queue_choice { QUEUE_NONE, QUEUE_OF_DST, QUEUE_OF_SRC } queue_choice;

/* How often: less under sanitizers, which make each byte take its time and look at where it lies, or who else has it;
 * other builds look at more of the values. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROUNDS(count) (((count) + 3) / 4)
#else
#define ROUNDS(count) (count)
#endif

/* Copies between all pairs of devices under all configurations, `rounds` times each. */
static void try_pairs(const char *name, queue_choice choice, test_copy_case copy_case, int rounds)
{
    test_random random = test_random_make(name, 42);
    for (size_t c = 0; c < NCONFIGS; c++) {
        fake_config config = configs[c].config;
        config.memory_nbytes = (size_t)64 << 20;
        fake_configure(&config);
        for (int pair = 0; pair < NDEVICES * NDEVICES; pair++) {
            int to = pair / NDEVICES;
            int from = pair % NDEVICES;
            bool concerns_fake = to == FAKE0 || to == FAKE1 || from == FAKE0 || from == FAKE1;
            if ((c > 0 && !concerns_fake) || (copy_case.in_one_storage && to != from)) {
                continue;
            }
            ndbuf_queue *queue = NULL;
            if (choice != QUEUE_NONE) {
                ASSERT_OK(ndbuf_queue_create(devices[choice == QUEUE_OF_DST ? to : from], &queue, err));
            }
            copy_case.queue = queue;
            copy_case.dst = devices[to];
            copy_case.src = devices[from];
            for (int i = 0; i < ROUNDS(rounds); i++) {
                char what[160];
                snprintf(what, sizeof(what), "%s, fake copies %s, %s to %s, round %d", name, configs[c].name,
                         device_names[from], device_names[to], i);
                test_copy_try(what, &random, &copy_case);
                fake_assert_no_violation();
            }
            ndbuf_queue_release(queue);
        }
    }
    fake_reset();
}

static void test_copies_of_random_layouts_between_all_devices(void **state)
{
    (void)state;
    try_pairs(__func__, QUEUE_NONE, (test_copy_case){0}, 80);
}

static void test_copies_of_many_items(void **state)
{
    (void)state;
    try_pairs(__func__, QUEUE_NONE, (test_copy_case){.shape_flags = TEST_LAYOUT_MANY_ITEMS}, 10);
}

static void test_copies_in_a_queue_of_the_destination_with_everything_released_at_once(void **state)
{
    (void)state;
    try_pairs(__func__, QUEUE_OF_DST, (test_copy_case){0}, 40);
}

static void test_copies_in_a_queue_of_the_source_with_everything_released_at_once(void **state)
{
    (void)state;
    try_pairs(__func__, QUEUE_OF_SRC, (test_copy_case){0}, 40);
}

/* Boxes of at most 96 bytes: rings of staging buffers go round many times. */
static void test_copies_in_many_small_boxes(void **state)
{
    (void)state;
    ndbuf__staging_nbytes = 96;
    try_pairs(__func__, QUEUE_NONE, (test_copy_case){0}, 40);
    try_pairs(__func__, QUEUE_OF_DST, (test_copy_case){.with_suboffsets = true}, 20);
    try_pairs(__func__, QUEUE_OF_SRC, (test_copy_case){.through_plan = true}, 20);
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
}

static void test_copies_with_suboffsets_on_the_host(void **state)
{
    (void)state;
    try_pairs(__func__, QUEUE_NONE, (test_copy_case){.with_suboffsets = true}, 50);
}

static void test_copies_with_suboffsets_in_a_queue(void **state)
{
    (void)state;
    try_pairs(__func__, QUEUE_OF_DST, (test_copy_case){.with_suboffsets = true}, 20);
    try_pairs(__func__, QUEUE_OF_SRC, (test_copy_case){.with_suboffsets = true}, 20);
}

static void test_plans_that_are_run_twice(void **state)
{
    (void)state;
    try_pairs(__func__, QUEUE_NONE, (test_copy_case){.through_plan = true}, 8);
    try_pairs(__func__, QUEUE_OF_DST, (test_copy_case){.through_plan = true, .with_suboffsets = true}, 5);
}

static void test_moves_within_one_storage(void **state)
{
    (void)state;
    try_pairs(__func__, QUEUE_NONE, (test_copy_case){.in_one_storage = true}, 60);
    try_pairs(__func__, QUEUE_OF_DST, (test_copy_case){.in_one_storage = true}, 30);
    try_pairs(__func__, QUEUE_NONE, (test_copy_case){.in_one_storage = true, .through_plan = true}, 15);
}

static void test_fills_of_random_layouts(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 43);
    for (size_t c = 0; c < NCONFIGS; c++) {
        fake_config config = configs[c].config;
        config.memory_nbytes = (size_t)64 << 20;
        fake_configure(&config);
        for (int d = 0; d < NDEVICES; d++) {
            ndbuf_queue *queue = NULL;
            ASSERT_OK(ndbuf_queue_create(devices[d], &queue, err));
            for (int i = 0; i < 40; i++) {
                char what[120];
                snprintf(what, sizeof(what), "fill, fake copies %s, %s, round %d", configs[c].name, device_names[d], i);
                test_fill_try(what, &random, devices[d], i % 2 == 0 ? queue : NULL);
                fake_assert_no_violation();
            }
            ndbuf_queue_release(queue);
        }
    }
    fake_reset();
}

/* One queue, many copies in flight: their staging buffers and storages must not get mixed up. */
static void test_many_copies_in_flight_in_one_queue(void **state)
{
    (void)state;
    enum { COUNT = 40, NITEMS = 500 };
    static unsigned char bytes[COUNT][2 * NITEMS];
    static unsigned char back[COUNT][NITEMS];
    const int64_t shape[1] = {NITEMS};
    const int64_t strides[1] = {2};
    test_random random = test_random_make(__func__, 44);
    for (size_t c = 0; c < NCONFIGS; c++) {
        fake_config config = configs[c].config;
        config.memory_nbytes = (size_t)64 << 20;
        fake_configure(&config);
        test_random_fill(&random, bytes, sizeof(bytes));
        memset(back, 0, sizeof(back));
        ndbuf_queue *queue = NULL;
        ASSERT_OK(ndbuf_queue_create(devices[FAKE0], &queue, err));
        for (int i = 0; i < COUNT; i++) {
            ndbuf_storage *storage = NULL;
            ndbuf_view src = {0};
            ndbuf_view middle = {0};
            ndbuf_view dst = {0};
            ndbuf_view_spec spec = {.ndim = 1, .shape = shape, .strides = strides, .byte_offset = 1};
            ASSERT_OK(ndbuf_storage_adopt(devices[HOST], bytes[i], sizeof(bytes[i]), 0, NULL, NULL, &storage, err));
            ASSERT_OK(ndbuf_view_init(&src, storage, &spec, err));
            ndbuf_storage_release(storage);
            spec.strides = NULL;
            spec.byte_offset = 0;
            ASSERT_OK(ndbuf_storage_adopt(devices[HOST], back[i], sizeof(back[i]), 0, NULL, NULL, &storage, err));
            ASSERT_OK(ndbuf_view_init(&dst, storage, &spec, err));
            ndbuf_storage_release(storage);
            ndbuf_slice reversed = {.step = -1, .given = NDBUF_SLICE_STEP};
            ASSERT_OK(ndbuf_view_create(&middle, devices[FAKE0], NULL, 1, shape, err));
            ASSERT_OK(ndbuf_view_slice(&middle, 0, &reversed, &middle, err));
            ASSERT_OK(ndbuf_copy(&middle, &src, queue, err));
            ASSERT_OK(ndbuf_copy(&dst, &middle, queue, err));
            ndbuf_view_release(&src);
            ndbuf_view_release(&middle);
            ndbuf_view_release(&dst);
        }
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        for (int i = 0; i < COUNT; i++) {
            for (int k = 0; k < NITEMS; k++) {
                assert_int_equal(back[i][k], bytes[i][2 * k + 1]);
            }
        }
        ndbuf_queue_release(queue);
        fake_assert_no_violation();
    }
    fake_reset();
}

int main(void)
{
    ndbuf_error error = {0};
    if (null_backend_register(&error) != NDBUF_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_copies_of_random_layouts_between_all_devices),
        cmocka_unit_test(test_copies_of_many_items),
        cmocka_unit_test(test_copies_in_a_queue_of_the_destination_with_everything_released_at_once),
        cmocka_unit_test(test_copies_in_a_queue_of_the_source_with_everything_released_at_once),
        cmocka_unit_test(test_copies_in_many_small_boxes),
        cmocka_unit_test(test_copies_with_suboffsets_on_the_host),
        cmocka_unit_test(test_copies_with_suboffsets_in_a_queue),
        cmocka_unit_test(test_plans_that_are_run_twice),
        cmocka_unit_test(test_moves_within_one_storage),
        cmocka_unit_test(test_fills_of_random_layouts),
        cmocka_unit_test(test_many_copies_in_flight_in_one_queue),
    };
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
