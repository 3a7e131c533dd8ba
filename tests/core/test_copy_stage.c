/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_copy.h"
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include <string.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "core/copy_plan.h"
#include "core/storage_core.h"

/* A matrix that is turned on its way, in boxes of one row of the destination. */
enum { NROWS = 6, NCOLUMNS = 32, ROW_NBYTES = 4 * NCOLUMNS };

typedef struct stage_case {
    ndbuf_device *dst_device;
    ndbuf_device *src_device;
    ndbuf_queue *queue;
    ndbuf_view dst;
    ndbuf_view src;
} stage_case;

static unsigned char letter(int64_t i)
{
    return (unsigned char)(i * 7 + 3);
}

static void make_view(ndbuf_device *device, bool turned, ndbuf_view *out_view)
{
    const int64_t shape[2] = {NROWS, NCOLUMNS};
    const int64_t turned_shape[2] = {NCOLUMNS, NROWS};
    const int32_t axes[2] = {1, 0};
    ndbuf_format *format = test_format(4);
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, turned ? turned_shape : shape, err));
    if (turned) {
        ASSERT_OK(ndbuf_view_permute(out_view, axes, out_view, err));
    }
    ndbuf_format_release(format);
}

/* Both devices can only copy bytes; the sides lie differently unless `alike`. */
static void case_open(stage_case *self, const char *dst, const char *src, uint32_t queue_flags, bool alike)
{
    fake_config config = {.copy_flags = NDBUF_CAN_COPY_BYTES, .memory_nbytes = 1 << 20, .queue_flags = queue_flags};
    unsigned char bytes[NROWS * ROW_NBYTES];
    memset(self, 0, sizeof(*self));
    fake_register();
    fake_configure(&config);
    ndbuf__staging_nbytes = ROW_NBYTES;
    ASSERT_OK(ndbuf_device_open(dst, &self->dst_device, err));
    ASSERT_OK(ndbuf_device_open(src, &self->src_device, err));
    make_view(self->dst_device, false, &self->dst);
    make_view(self->src_device, !alike, &self->src);
    for (int64_t i = 0; i < (int64_t)sizeof(bytes); i++) {
        bytes[i] = letter(i);
    }
    test_upload(&self->src.storage->mem, 0, bytes, sizeof(bytes));
    ndbuf_device *of_queue =
        (self->dst_device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0 ? self->src_device : self->dst_device;
    ASSERT_OK(ndbuf_queue_create(of_queue, &self->queue, err));
    fake_log_clear();
}

static void case_close(stage_case *self)
{
    ndbuf_view_release(&self->dst);
    ndbuf_view_release(&self->src);
    ndbuf_queue_release(self->queue);
    ndbuf_device_close(self->dst_device);
    ndbuf_device_close(self->src_device);
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
    fake_assert_clean();
    fake_reset();
}

static void assert_arrived(stage_case *self, bool alike)
{
    unsigned char bytes[NROWS * ROW_NBYTES];
    test_download(&self->dst.storage->mem, 0, bytes, sizeof(bytes));
    for (int64_t i = 0; i < NROWS * ROW_NBYTES; i++) {
        int64_t row = i / ROW_NBYTES;
        int64_t column = i % ROW_NBYTES / 4;
        int64_t from = alike ? i : (column * NROWS + row) * 4 + i % 4;
        assert_int_equal(bytes[i], letter(from));
    }
}

/* 'f' for a fetch, 's' for a store, box by box: neighbouring calls of one kind count once. */
static void log_letters(char *out_letters, size_t size)
{
    const fake_log_entry *entries = NULL;
    int64_t count = fake_log(&entries);
    size_t length = 0;
    int64_t nbytes = 0;
    for (int64_t i = 0; i < count && length + 1 < size; i++) {
        char kind = entries[i].dst_is_host ? 'f' : 's';
        nbytes += entries[i].nbytes;
        if (nbytes == ROW_NBYTES) {
            out_letters[length++] = kind;
            nbytes = 0;
        }
    }
    out_letters[length] = '\0';
}

static void test_the_next_boxes_are_fetched_before_this_one_is_stored(void **state)
{
    (void)state;
    static const uint32_t flags[] = {0, NDBUF_QUEUE_NO_HOST_THREAD};
    for (int i = 0; i < 4; i++) {
        stage_case self;
        char letters[2 * NROWS + 1];
        case_open(&self, "fake:0", "fake:1", flags[i % 2], false);
        ASSERT_OK(ndbuf_copy(&self.dst, &self.src, i < 2 ? NULL : self.queue, err));
        ASSERT_OK(ndbuf_queue_wait(self.queue, err));
        log_letters(letters, sizeof(letters));
        assert_string_equal(letters, "fffsfsfsfsss");
        assert_arrived(&self, false);
        case_close(&self);
    }
}

/* Views end, and their memory is used for something else, before the copy from or to rows behind pointers is run. */
static void test_pointers_are_followed_when_the_views_are_gone(void **state)
{
    (void)state;
    static const int64_t shape[2] = {NROWS, ROW_NBYTES};
    static const int64_t strides[2] = {sizeof(char *), 1};
    static const int64_t suboffsets[2] = {2, -1};
    static const int64_t flat = NROWS * ROW_NBYTES;
    for (int to_device = 0; to_device < 2; to_device++) {
        stage_case self;
        unsigned char bytes[NROWS * (ROW_NBYTES + 2)];
        unsigned char found[NROWS * ROW_NBYTES];
        unsigned char *table[NROWS];
        ndbuf_storage *storage = NULL;
        ndbuf_view rows = {0};
        ndbuf_view there = {0};
        const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
        case_open(&self, "fake:0", "fake:0", 0, true);
        for (int64_t r = 0; r < NROWS; r++) {
            table[r] = bytes + (NROWS - 1 - r) * (ROW_NBYTES + 2);
            memset(table[r] + 2, to_device ? 'a' + (int)r : '.', ROW_NBYTES);
            memset(found + r * ROW_NBYTES, 'a' + (int)r, ROW_NBYTES);
        }
        ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), table, sizeof(table), 0, NULL, NULL, &storage, err));
        ASSERT_OK(ndbuf_view_init(&rows, storage, &spec, err));
        ndbuf_storage_release(storage);
        ASSERT_OK(ndbuf_view_create(&there, self.dst_device, NULL, 1, &flat, err));
        const ndbuf_mem mem = there.storage->mem;
        storage = there.storage;
        ndbuf_storage_retain(storage);
        ASSERT_OK(ndbuf_view_reshape(&there, 2, shape, 'C', &there, err));
        if (!to_device) {
            test_upload(&mem, 0, found, sizeof(found));
        }
        ASSERT_OK(ndbuf_copy(to_device ? &there : &rows, to_device ? &rows : &there, self.queue, err));
        ndbuf_view_release(&rows);
        ndbuf_view_release(&there);
        memset(&rows, 0xA5, sizeof(rows));
        memset(&there, 0xA5, sizeof(there));
        ASSERT_OK(ndbuf_queue_wait(self.queue, err));
        if (to_device) {
            test_download(&mem, 0, found, sizeof(found));
        }
        for (int64_t r = 0; r < NROWS; r++) {
            for (int64_t i = 0; i < ROW_NBYTES; i++) {
                assert_int_equal(to_device ? found[r * ROW_NBYTES + i] : table[r][2 + i], 'a' + r);
            }
        }
        ndbuf_storage_release(storage);
        case_close(&self);
    }
}

static void test_boxes_that_both_devices_pack_alike_are_not_touched_by_the_host(void **state)
{
    (void)state;
    stage_case self;
    case_open(&self, "fake:0", "fake:1", NDBUF_QUEUE_NO_HOST_THREAD, true);
    ASSERT_OK(ndbuf_copy(&self.dst, &self.src, self.queue, err));
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    assert_int_equal(fake_ncalls(FAKE_queue_host_call), 0);
    assert_arrived(&self, true);
    case_close(&self);
}

static void test_steps_in_queues_do_not_wait_for_anything(void **state)
{
    (void)state;
    static const char *const pairs[3][2] = {{"fake:0", "cpu"}, {"cpu", "fake:0"}, {"fake:0", "fake:1"}};
    static const int64_t nboxes[3] = {NROWS, 7, NROWS}; /* from the device: 5 of its 32 rows of 24 bytes in 128 bytes */
    for (int i = 0; i < 3; i++) {
        stage_case self;
        case_open(&self, pairs[i][0], pairs[i][1], NDBUF_QUEUE_NO_HOST_THREAD, false);
        ASSERT_OK(ndbuf_copy(&self.dst, &self.src, self.queue, err));
        assert_int_equal(fake_ncalls(FAKE_queue_wait), 0);
        assert_int_equal(fake_ncalls(FAKE_event_wait), 0);
        assert_int_equal(fake_ncalls(FAKE_queue_host_call), nboxes[i]);
        ASSERT_OK(ndbuf_queue_wait(self.queue, err));
        assert_arrived(&self, false);
        case_close(&self);
    }
}

static void test_an_event_behind_the_copy_covers_all_its_steps(void **state)
{
    (void)state;
    static const char *const pairs[3][2] = {{"fake:0", "cpu"}, {"cpu", "fake:0"}, {"fake:0", "fake:1"}};
    for (int i = 0; i < 3; i++) {
        stage_case self;
        ndbuf_event *event = NULL;
        case_open(&self, pairs[i][0], pairs[i][1], NDBUF_QUEUE_NO_HOST_THREAD, false);
        ASSERT_OK(ndbuf_copy(&self.dst, &self.src, self.queue, err));
        ASSERT_OK(ndbuf_queue_record(self.queue, &event, err));
        ASSERT_OK(ndbuf_event_wait(event, err));
        assert_arrived(&self, false);
        ndbuf_event_release(event);
        case_close(&self);
    }
}

static void test_a_queue_with_a_host_thread_gets_one_host_step(void **state)
{
    (void)state;
    stage_case self;
    case_open(&self, "fake:0", "cpu", 0, false);
    ASSERT_OK(ndbuf_copy(&self.dst, &self.src, self.queue, err));
    assert_int_equal(fake_ncalls(FAKE_queue_host_call), 1);
    assert_int_equal(fake_ncalls(FAKE_copy_bytes), 0);
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    assert_arrived(&self, false);
    case_close(&self);
}

static void test_a_failure_in_a_helper_queue_is_told_by_the_callers_queue(void **state)
{
    (void)state;
    stage_case self;
    ndbuf_error error = {0};
    case_open(&self, "fake:0", "fake:1", NDBUF_QUEUE_NO_HOST_THREAD, false);
    fake_fail_job(2); /* the second fetch, in a helper queue of fake:1 */
    ASSERT_OK(ndbuf_copy(&self.dst, &self.src, self.queue, err));
    assert_int_equal(ndbuf_queue_wait(self.queue, &error), NDBUF_ERR_DEVICE);
    assert_non_null(strstr(error.message, "injected"));
    assert_true(fake_fault_happened());
    ASSERT_OK(ndbuf_copy(&self.dst, &self.src, self.queue, err));
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    assert_arrived(&self, false);
    case_close(&self);
}

/* In a program that wants signals for whatever is not exact, as costs in thirds are. */
static void test_the_ways_of_boxes_are_chosen_without_signals_of_floating_point(void **state)
{
    (void)state;
#if defined(__x86_64__)
    const uint32_t before = _mm_getcsr();
    const uint32_t with_signals = before & ~(uint32_t)(_MM_MASK_MASK | _MM_EXCEPT_MASK);
    ASSERT_OK(ndbuf_tuning_set("link.cpu.fake.bytes_per_ns", 3, err));
    ASSERT_OK(ndbuf_tuning_set("link.fake.cpu.bytes_per_ns", 3, err));
    for (int i = 0; i < 2; i++) {
        stage_case self;
        ndbuf_copy_plan *plan = NULL;
        char text[2048];
        case_open(&self, "fake:0", "fake:1", i == 0 ? 0 : NDBUF_QUEUE_NO_HOST_THREAD, false);
        _mm_setcsr(with_signals);
        ASSERT_OK(ndbuf_copy_plan_create(&self.dst, &self.src, NDBUF_CASTING_EQUIV, 0, &plan, err));
        ndbuf_copy_plan_explain(plan, text, sizeof(text));
        ASSERT_OK(ndbuf_copy_plan_run(plan, &self.dst, &self.src, i == 0 ? NULL : self.queue, err));
        ASSERT_OK(ndbuf_queue_wait(self.queue, err));
        const uint32_t after = _mm_getcsr();
        _mm_setcsr(before);
        assert_int_equal(after, with_signals);
        assert_arrived(&self, false);
        ndbuf_copy_plan_destroy(plan);
        case_close(&self);
    }
    ndbuf_tuning_reset();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_next_boxes_are_fetched_before_this_one_is_stored),
        cmocka_unit_test(test_pointers_are_followed_when_the_views_are_gone),
        cmocka_unit_test(test_boxes_that_both_devices_pack_alike_are_not_touched_by_the_host),
        cmocka_unit_test(test_steps_in_queues_do_not_wait_for_anything),
        cmocka_unit_test(test_an_event_behind_the_copy_covers_all_its_steps),
        cmocka_unit_test(test_a_queue_with_a_host_thread_gets_one_host_step),
        cmocka_unit_test(test_a_failure_in_a_helper_queue_is_told_by_the_callers_queue),
        cmocka_unit_test(test_the_ways_of_boxes_are_chosen_without_signals_of_floating_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
