/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_copy.h"
#include "tests/support/fake_device.h"
#include "tests/support/faulty_backend.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/null/null_backend.h"
#include "core/copy_plan.h"
#include "core/storage_core.h"

enum { ROWS = 6, COLUMNS = 5, PITCH = 24, NBYTES = ROWS * PITCH };

/* How the views of a copy lie. */
typedef enum copy_shape {
    SHAPE_BYTES,  /* contiguous on both sides */
    SHAPE_ROWS,   /* rows with gaps */
    SHAPE_TURNED, /* the source is turned by 90 degrees: no rectangle */
    SHAPE_MOVED,  /* within one storage, overlapping */
    SHAPE_COUNT
} copy_shape;

/* A copy that can be run again and again: dst_bytes is what the destination's storage holds before. */
typedef struct fault_case {
    ndbuf_device *dst_device;
    ndbuf_device *src_device;
    copy_shape shape;
    ndbuf_queue *queue;
    char dst_start[NBYTES];
    char src_start[NBYTES];
    char expected[NBYTES];
} fault_case;

static void layouts_of(copy_shape shape, test_layout *out_dst, test_layout *out_src)
{
    *out_dst = (test_layout){
        .ndim = 2, .itemsize = 4, .shape = {ROWS, COLUMNS}, .strides = {PITCH, 4}, .offset = 0, .nbytes = NBYTES};
    *out_src = *out_dst;
    switch (shape) {
    case SHAPE_BYTES:
        out_dst->strides[0] = 4 * COLUMNS;
        *out_src = *out_dst;
        out_src->offset = 8;
        break;
    case SHAPE_ROWS:
        out_src->strides[0] = PITCH - 1;
        out_src->offset = 2;
        break;
    case SHAPE_TURNED:
        out_src->strides[0] = 4;
        out_src->strides[1] = 4 * ROWS;
        break;
    case SHAPE_MOVED:
        out_src->strides[0] = PITCH - 1;
        break;
    case SHAPE_COUNT:
        break;
    }
}

static void case_init(fault_case *self, test_random *random, ndbuf_device *dst, ndbuf_device *src, copy_shape shape)
{
    test_layout dst_layout, src_layout;
    char packed[ROWS * COLUMNS * 4];
    memset(self, 0, sizeof(*self));
    self->dst_device = dst;
    self->src_device = src;
    self->shape = shape;
    layouts_of(shape, &dst_layout, &src_layout);
    test_random_fill(random, self->dst_start, NBYTES);
    test_random_fill(random, self->src_start, NBYTES);
    test_layout_pack(&src_layout, shape == SHAPE_MOVED ? self->dst_start : self->src_start, packed);
    memcpy(self->expected, self->dst_start, NBYTES);
    test_layout_unpack(&dst_layout, self->dst_start, packed, self->expected);
}

/* Runs the copy once. Without a fault it has to succeed; with one it fails and says why, or does without what failed;
 * if it says that it succeeded, the bytes are right. `arm` is called when all is ready. */
static ndbuf_status case_run(const fault_case *self, void (*arm)(int64_t nth), int64_t nth, ndbuf_error *out_error)
{
    test_layout dst_layout, src_layout;
    ndbuf_storage *dst_storage = NULL;
    ndbuf_storage *src_storage = NULL;
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    char bytes[NBYTES];
    layouts_of(self->shape, &dst_layout, &src_layout);
    ASSERT_OK(ndbuf_storage_create(self->dst_device, NBYTES, &dst_storage, err));
    test_upload(&dst_storage->mem, 0, self->dst_start, NBYTES);
    test_layout_view(&dst_layout, dst_storage, &dst);
    if (self->shape == SHAPE_MOVED) {
        src_storage = dst_storage;
        ndbuf_storage_retain(src_storage);
    } else {
        ASSERT_OK(ndbuf_storage_create(self->src_device, NBYTES, &src_storage, err));
        test_upload(&src_storage->mem, 0, self->src_start, NBYTES);
    }
    test_layout_view(&src_layout, src_storage, &src);
    arm(nth);
    ndbuf_status status = ndbuf_copy(&dst, &src, self->queue, out_error);
    ndbuf_view_release(&src);
    ndbuf_storage_release(src_storage);
    ndbuf_view_release(&dst);
    if (self->queue != NULL) {
        ndbuf_status wait_status = ndbuf_queue_wait(self->queue, status == NDBUF_OK ? out_error : NULL);
        status = status == NDBUF_OK ? wait_status : status;
    }
    arm(0);
    if (status == NDBUF_OK) {
        test_download(&dst_storage->mem, 0, bytes, NBYTES);
        test_assert_bytes_equal("a copy that says it succeeded", bytes, self->expected, NBYTES);
    }
    ndbuf_storage_release(dst_storage);
    return status;
}

/* Whether the fault that was armed last has happened; known when it is disarmed. */
static bool fault_seen;

static void arm_fake_call(int64_t nth)
{
    if (nth == 0) {
        fault_seen = fake_fault_happened();
    }
    fake_fail_call(FAKE_any, nth);
}

static void arm_fake_job(int64_t nth)
{
    if (nth == 0) {
        fault_seen = fake_fault_happened();
    }
    fake_fail_job(nth);
}

static void arm_faulty(int64_t nth)
{
    if (nth == 0) {
        fault_seen = faulty_happened();
    }
    faulty_fail_call(nth);
}

static void arm_nothing(int64_t nth)
{
    (void)nth;
}

/* Every call of a copy failing in turn. Returns how many there were. */
static int64_t sweep(const char *what, const fault_case *self, void (*arm)(int64_t nth), int32_t native_code)
{
    ndbuf_error error = {0};
    for (int64_t nth = 1;; nth++) {
        memset(&error, 0, sizeof(error));
        ndbuf_status status = case_run(self, arm, nth, &error);
        if (!fault_seen) {
            if (status != NDBUF_OK) {
                fail_msg("%s: no fault, but %s", what, error.message);
            }
            return nth - 1;
        }
        if (status != NDBUF_OK && (status != NDBUF_ERR_DEVICE || error.status != NDBUF_ERR_DEVICE ||
                                   error.native_code != native_code || strstr(error.message, "injected") == NULL)) {
            fail_msg("%s: failure %lld is told as %s, code %d: '%s'", what, (long long)nth, ndbuf_status_name(status),
                     (int)error.native_code, error.message);
        }
        fake_assert_no_violation();
        /* Nothing is left over of it: the next copy is as if it had not been. */
        status = case_run(self, arm_nothing, 0, &error);
        if (status != NDBUF_OK) {
            fail_msg("%s: after failure %lld, the next copy fails: %s", what, (long long)nth, error.message);
        }
        if (nth > 2000) {
            fail_msg("%s: faults do not end", what);
        }
    }
}

typedef struct fault_config {
    const char *name;
    uint32_t copy_flags;
    uint32_t peer_flags;
    uint32_t queue_flags;
    int64_t staging_nbytes; /* that boxes are cut to; 0: as ever */
} fault_config;

static const fault_config configs[] = {
    {.name = "bytes", .copy_flags = NDBUF_CAN_COPY_BYTES},
    {.name = "bytes, blocking", .copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_COPY_BLOCKS},
    {.name = "rectangles",
     .copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT,
     .peer_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT},
    {.name = "strided",
     .copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED,
     .peer_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED},
    {.name = "mappings",
     .copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_MAP,
     .peer_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_MAP},
    {.name = "bytes in boxes", .copy_flags = NDBUF_CAN_COPY_BYTES, .staging_nbytes = 48},
    {.name = "bytes in boxes, without host threads",
     .copy_flags = NDBUF_CAN_COPY_BYTES,
     .queue_flags = NDBUF_QUEUE_NO_HOST_THREAD,
     .staging_nbytes = 48},
};

static void try_fake(const char *name, bool with_queue, void (*arm)(int64_t nth))
{
    static const char *const names[] = {"cpu", "fake:0", "fake:1"};
    test_random random = test_random_make(name, 5);
    int64_t nfaults = 0;
    for (size_t c = 0; c < sizeof(configs) / sizeof(configs[0]); c++) {
        fake_config config = {.copy_flags = configs[c].copy_flags,
                              .peer_flags = configs[c].peer_flags,
                              .memory_nbytes = 1 << 20,
                              .queue_flags = configs[c].queue_flags};
        fake_configure(&config);
        ndbuf__staging_nbytes = configs[c].staging_nbytes > 0 ? configs[c].staging_nbytes : NDBUF__STAGING_NBYTES;
        for (int i = 0; i < 2 * 3 * 3 * SHAPE_COUNT; i++) {
            int to = i / 3 % 3;
            int from = i % 3;
            copy_shape shape = (copy_shape)(i / 9 % SHAPE_COUNT);
            bool queue_of_dst = i / (9 * SHAPE_COUNT) == 0;
            if ((to == 0 && from == 0) || (shape == SHAPE_MOVED && to != from) || (!with_queue && !queue_of_dst)) {
                continue;
            }
            char what[160];
            fault_case self;
            ndbuf_device *dst = NULL;
            ndbuf_device *src = NULL;
            ASSERT_OK(ndbuf_device_open(names[to], &dst, err));
            ASSERT_OK(ndbuf_device_open(names[from], &src, err));
            snprintf(what, sizeof(what), "%s, %s, %s to %s, shape %d, queue of %s", name, configs[c].name, names[from],
                     names[to], (int)shape, queue_of_dst ? "dst" : "src");
            case_init(&self, &random, dst, src, shape);
            if (with_queue) {
                ASSERT_OK(ndbuf_queue_create(queue_of_dst ? dst : src, &self.queue, err));
            }
            nfaults += sweep(what, &self, arm, 999);
            ndbuf_queue_release(self.queue);
            ndbuf_device_close(dst);
            ndbuf_device_close(src);
            fake_assert_clean();
        }
    }
    fake_reset();
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
    assert_true(nfaults > 100);
}

static void test_every_call_of_the_device_failing_in_turn(void **state)
{
    (void)state;
    try_fake(__func__, false, arm_fake_call);
}

static void test_every_call_failing_in_turn_under_copies_in_a_queue(void **state)
{
    (void)state;
    try_fake(__func__, true, arm_fake_call);
}

static void test_every_piece_of_work_failing_in_turn(void **state)
{
    (void)state;
    try_fake(__func__, false, arm_fake_job);
}

static void test_every_piece_of_work_failing_in_turn_in_a_queue(void **state)
{
    (void)state;
    try_fake(__func__, true, arm_fake_job);
}

/* The same with another backend, wrapped. */
static void try_wrapped(const char *name, const char *wrapped, bool with_queue)
{
    test_random random = test_random_make(name, 6);
    ndbuf_device *inner = NULL;
    ndbuf_device *device = NULL;
    if (ndbuf_device_open(wrapped, &inner, NULL) != NDBUF_OK) {
        print_message("  no %s here\n", wrapped);
        skip();
    }
    faulty_wrap(inner->ops);
    ASSERT_OK(ndbuf_device_open("faulty:0", &device, err));
    int64_t nfaults = 0;
    for (int i = 0; i < 3 * SHAPE_COUNT; i++) {
        int way = i % 3;
        copy_shape shape = (copy_shape)(i / 3);
        if (shape == SHAPE_MOVED && way != 2) {
            continue;
        }
        char what[160];
        fault_case self;
        snprintf(what, sizeof(what), "%s, %s, way %d, shape %d", name, wrapped, way, (int)shape);
        case_init(&self, &random, way == 1 ? ndbuf_device_cpu() : device, way == 0 ? ndbuf_device_cpu() : device,
                  shape);
        if (with_queue) {
            ASSERT_OK(ndbuf_queue_create(device, &self.queue, err));
        }
        nfaults += sweep(what, &self, arm_faulty, 998);
        ndbuf_queue_release(self.queue);
    }
    ndbuf_device_close(device);
    ndbuf_device_close(inner);
    assert_int_equal(faulty_nlive(), 0);
    assert_true(nfaults > 10);
}

static void test_every_call_of_null_failing_in_turn(void **state)
{
    (void)state;
    try_wrapped(__func__, "null:0", false);
    try_wrapped(__func__, "null:0", true);
}

static void test_every_call_of_opencl_failing_in_turn(void **state)
{
    (void)state;
    try_wrapped(__func__, "opencl:0", false);
    try_wrapped(__func__, "opencl:0", true);
}

static void test_every_call_of_a_fill_failing_in_turn(void **state)
{
    (void)state;
    static const uint32_t flags[] = {NDBUF_CAN_COPY_BYTES, NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT,
                                     NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_FILL};
    for (size_t i = 0; i < 2 * sizeof(flags) / sizeof(flags[0]); i++) {
        fake_config config = {.copy_flags = flags[i / 2], .memory_nbytes = 1 << 20};
        ndbuf_device *device = NULL;
        ndbuf_queue *queue = NULL;
        fake_configure(&config);
        ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
        if (i % 2 == 1) {
            ASSERT_OK(ndbuf_queue_create(device, &queue, err));
        }
        for (int64_t nth = 1;; nth++) {
            test_layout layout, other;
            ndbuf_storage *storage = NULL;
            ndbuf_view view = {0};
            ndbuf_error error = {0};
            char bytes[NBYTES] = {0};
            char packed[ROWS * COLUMNS * 4];
            char expected[NBYTES] = {0};
            layouts_of(SHAPE_ROWS, &layout, &other);
            for (size_t k = 0; k < sizeof(packed); k++) {
                packed[k] = "abcd"[k % 4];
            }
            test_layout_unpack(&layout, bytes, packed, expected);
            ASSERT_OK(ndbuf_storage_create(device, NBYTES, &storage, err));
            test_upload(&storage->mem, 0, bytes, NBYTES);
            test_layout_view(&layout, storage, &view);
            arm_fake_call(nth);
            ndbuf_status status = ndbuf_fill(&view, "abcd", 4, queue, &error);
            ndbuf_view_release(&view);
            if (queue != NULL) {
                ndbuf_status wait_status = ndbuf_queue_wait(queue, status == NDBUF_OK ? &error : NULL);
                status = status == NDBUF_OK ? wait_status : status;
            }
            arm_fake_call(0);
            if (status == NDBUF_OK) {
                test_download(&storage->mem, 0, bytes, NBYTES);
                test_assert_bytes_equal("a fill that says it succeeded", bytes, expected, NBYTES);
            } else {
                assert_int_equal(error.native_code, 999);
            }
            ndbuf_storage_release(storage);
            fake_assert_no_violation();
            if (!fault_seen) {
                assert_int_equal(status, NDBUF_OK);
                assert_true(nth > 1);
                break;
            }
        }
        ndbuf_queue_release(queue);
        ndbuf_device_close(device);
        fake_assert_clean();
    }
    fake_reset();
}

/* A fill that is told as failed may have a part in the queue: what it writes to stays alive until that is done. */
static void test_a_fill_that_fails_behind_its_work_holds_the_memory(void **state)
{
    (void)state;
    const int64_t shape = 16;
    ndbuf_device *device = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view view = {0};
    fake_reset();
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    for (int64_t nth = 1; nth <= 2; nth++) {
        ASSERT_OK(ndbuf_view_create(&view, device, NULL, 1, &shape, err));
        fake_fail_late(nth);
        if (nth == 1) {
            ASSERT_FAILS(NDBUF_ERR_DEVICE, "behind work", ndbuf_fill(&view, "a", 1, queue, err));
        } else {
            ASSERT_OK(ndbuf_fill(&view, "a", 1, queue, err));
        }
        ndbuf_view_release(&view);
        fake_assert_no_violation();
        assert_true(fake_live_now().mems > 0);
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        assert_int_equal(fake_live_now().mems, 0);
    }
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
    fake_assert_clean();
    fake_reset();
}

/* Where no event can be had, what a copy holds is let go of by waiting: the wait must not swallow what the user's own
 * wait has to tell. */
static void test_a_failure_is_told_even_if_no_event_can_be_recorded(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    ndbuf_error error = {0};
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ASSERT_OK(ndbuf_view_create(&dst, device, NULL, 1, (int64_t[1]){10}, err));
    ASSERT_OK(ndbuf_view_create(&src, device, NULL, 1, (int64_t[1]){10}, err));
    fake_fail_job(1);
    ASSERT_OK(ndbuf_copy(&dst, &src, queue, err));
    fake_fail_call(FAKE_event_record, 1);
    ndbuf_status status = ndbuf_copy(&dst, &src, queue, &error);
    if (status == NDBUF_OK) {
        status = ndbuf_queue_wait(queue, &error);
    }
    fake_reset();
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
    assert_int_equal(status, NDBUF_ERR_DEVICE);
    assert_int_equal(error.native_code, 999);
    fake_assert_clean();
}

static void expect_failed(ndbuf_event *event)
{
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "injected", ndbuf_event_wait(event, err));
    ndbuf_event_release(event);
}

/* Between a device without a host thread and one of another kind the caller waits, and is told what is the queue's to
 * tell: by its next wait, by events until then, and by queues that wait for these. */
static void test_events_tell_what_a_copy_of_the_caller_has_waited_for(void **state)
{
    (void)state;
    const int64_t shape = 10;
    const fake_config config = {
        .copy_flags = NDBUF_CAN_COPY_BYTES, .memory_nbytes = 1 << 20, .queue_flags = NDBUF_QUEUE_NO_HOST_THREAD};
    static const char *const names[] = {"fake:0", "null:0"};
    ndbuf_device *devices[2] = {NULL, NULL};
    ndbuf_queue *queues[2] = {NULL, NULL};
    ndbuf_view views[2] = {{0}, {0}};
    ndbuf_view same = {0};
    ndbuf_event *first = NULL;
    ndbuf_event *second = NULL;
    fake_configure(&config);
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(ndbuf_device_open(names[i], &devices[i], err));
        ASSERT_OK(ndbuf_queue_create(devices[i], &queues[i], err));
        ASSERT_OK(ndbuf_view_create(&views[i], devices[i], NULL, 1, &shape, err));
        ASSERT_OK(ndbuf_fill(&views[i], "a", 1, NULL, err));
    }
    ASSERT_OK(ndbuf_view_create(&same, devices[0], NULL, 1, &shape, err));
    fake_fail_job(1);
    ASSERT_OK(ndbuf_copy(&same, &views[0], queues[0], err));
    ASSERT_OK(ndbuf_copy(&views[0], &views[1], queues[0], err)); /* waits */
    ALLOC_FAIL_SWEEP(status_ = ndbuf_queue_record(queues[0], &first, NULL), (void)0);
    ASSERT_OK(ndbuf_queue_wait_event(queues[1], first, err));
    ASSERT_OK(ndbuf_queue_record(queues[1], &second, err));
    expect_failed(second);
    expect_failed(first);
    for (int i = 0; i < 2; i++) {
        ASSERT_FAILS(NDBUF_ERR_DEVICE, "injected", ndbuf_queue_wait(queues[i], err));
        ASSERT_OK(ndbuf_queue_record(queues[i], &first, err));
        ASSERT_OK(ndbuf_event_wait(first, err));
        ndbuf_event_release(first);
        ASSERT_OK(ndbuf_queue_wait(queues[i], err));
    }
    ndbuf_view_release(&same);
    for (int i = 0; i < 2; i++) {
        ndbuf_view_release(&views[i]);
        ndbuf_queue_release(queues[i]);
        ndbuf_device_close(devices[i]);
    }
    fake_assert_clean();
    fake_reset();
}

static void test_every_call_of_opening_a_device_failing_in_turn(void **state)
{
    (void)state;
    for (int64_t nth = 1;; nth++) {
        ndbuf_device *device = NULL;
        ndbuf_error error = {0};
        fake_fail_call(FAKE_any, nth);
        ndbuf_status status = ndbuf_device_open("fake:0", &device, &error);
        bool happened = fake_fault_happened();
        fake_fail_call(FAKE_any, 0);
        if (!happened) {
            assert_int_equal(status, NDBUF_OK);
            ndbuf_device_close(device);
            assert_true(nth > 2);
            break;
        }
        assert_int_equal(status, NDBUF_ERR_DEVICE);
        assert_int_equal(error.native_code, 999);
        assert_null(device);
        fake_assert_clean();
    }
    fake_assert_clean();
}

int main(void)
{
    ndbuf_error error = {0};
    fake_register();
    if (null_backend_register(&error) != NDBUF_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_of_the_device_failing_in_turn),
        cmocka_unit_test(test_every_call_failing_in_turn_under_copies_in_a_queue),
        cmocka_unit_test(test_every_piece_of_work_failing_in_turn),
        cmocka_unit_test(test_every_piece_of_work_failing_in_turn_in_a_queue),
        cmocka_unit_test(test_every_call_of_null_failing_in_turn),
        cmocka_unit_test(test_every_call_of_opencl_failing_in_turn),
        cmocka_unit_test(test_every_call_of_a_fill_failing_in_turn),
        cmocka_unit_test(test_a_fill_that_fails_behind_its_work_holds_the_memory),
        cmocka_unit_test(test_a_failure_is_told_even_if_no_event_can_be_recorded),
        cmocka_unit_test(test_events_tell_what_a_copy_of_the_caller_has_waited_for),
        cmocka_unit_test(test_every_call_of_opening_a_device_failing_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
