/* SPDX-License-Identifier: Apache-2.0 */

/* Copies of host memory that can be reached in several ways. */

#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include <string.h>

enum { NROWS = 2, ROW_NBYTES = 8 };

/* Rows of bytes 0, 1, 2 ..., a table of pointers to them, and a storage over either. */
typedef struct rows {
    unsigned char bytes[NROWS][ROW_NBYTES];
    unsigned char *table[NROWS];
    ndbuf_storage *of_bytes;
    ndbuf_storage *of_table;
} rows;

static void rows_init(rows *self)
{
    for (int i = 0; i < NROWS; i++) {
        self->table[i] = self->bytes[i];
        for (int k = 0; k < ROW_NBYTES; k++) {
            self->bytes[i][k] = (unsigned char)(i * ROW_NBYTES + k);
        }
    }
    ndbuf_device *host = ndbuf_device_cpu();
    ASSERT_OK(ndbuf_storage_adopt(host, self->bytes, sizeof(self->bytes), 0, NULL, NULL, &self->of_bytes, err));
    ASSERT_OK(ndbuf_storage_adopt(host, self->table, sizeof(self->table), 0, NULL, NULL, &self->of_table, err));
}

static void rows_clear(rows *self)
{
    ndbuf_storage_release(self->of_bytes);
    ndbuf_storage_release(self->of_table);
}

/* Row `row`, through its pointer. */
static void row_through_table(const rows *self, int64_t row, ndbuf_view *out_view)
{
    const int64_t shape[2] = {NROWS, ROW_NBYTES};
    const int64_t strides[2] = {sizeof(self->table[0]), 1};
    const int64_t suboffsets[2] = {0, -1};
    const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ndbuf_view all = {0};
    *out_view = (ndbuf_view){0};
    ASSERT_OK(ndbuf_view_init(&all, self->of_table, &spec, err));
    ASSERT_OK(ndbuf_view_index(&all, 0, row, out_view, err));
    ndbuf_view_release(&all);
}

/* The same row backwards, in the storage of its bytes. */
static void row_backwards(const rows *self, int64_t row, ndbuf_view *out_view)
{
    const int64_t shape = ROW_NBYTES;
    const int64_t stride = -1;
    const ndbuf_view_spec spec = {
        .ndim = 1, .shape = &shape, .strides = &stride, .byte_offset = (row + 1) * ROW_NBYTES - 1};
    *out_view = (ndbuf_view){0};
    ASSERT_OK(ndbuf_view_init(out_view, self->of_bytes, &spec, err));
}

static void test_a_row_behind_a_pointer_shares_its_bytes_with_others(void **state)
{
    (void)state;
    for (int way = 0; way < 6; way++) {
        rows self;
        ndbuf_view views[2];
        ndbuf_queue *queue = NULL;
        ndbuf_copy_plan *plan = NULL;
        rows_init(&self);
        row_through_table(&self, 1, &views[way % 2]);
        row_backwards(&self, 1, &views[1 - way % 2]);
        if (way / 2 == 0) {
            ASSERT_OK(ndbuf_copy(&views[0], &views[1], NULL, err));
        } else if (way / 2 == 1) {
            ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
            ASSERT_OK(ndbuf_copy(&views[0], &views[1], queue, err));
            ASSERT_OK(ndbuf_queue_wait(queue, err));
            ndbuf_queue_release(queue);
        } else {
            ASSERT_OK(ndbuf_copy_plan_create(&views[0], &views[1], NDBUF_CASTING_EQUIV, 0, &plan, err));
            ASSERT_OK(ndbuf_copy_plan_run(plan, &views[0], &views[1], NULL, err));
            ndbuf_copy_plan_destroy(plan);
        }
        assert_memory_equal(self.bytes, "\0\1\2\3\4\5\6\7\17\16\15\14\13\12\11\10", sizeof(self.bytes));
        ndbuf_view_release(&views[0]);
        ndbuf_view_release(&views[1]);
        rows_clear(&self);
    }
}

static void test_a_row_behind_a_pointer_goes_to_a_device_and_back(void **state)
{
    (void)state;
    const int64_t extent = ROW_NBYTES;
    rows self;
    ndbuf_device *device = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view there, row, other;
    fake_register();
    rows_init(&self);
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    for (int in_queue = 0; in_queue < 2; in_queue++) {
        there = (ndbuf_view){0};
        ASSERT_OK(ndbuf_view_create(&there, device, NULL, 1, &extent, err));
        row_through_table(&self, 1, &row);
        row_through_table(&self, 0, &other);
        ASSERT_OK(ndbuf_copy(&there, &row, in_queue ? queue : NULL, err));
        ASSERT_OK(ndbuf_copy(&other, &there, in_queue ? queue : NULL, err));
        ndbuf_view_release(&row);
        ndbuf_view_release(&other);
        ndbuf_view_release(&there);
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        assert_memory_equal(self.bytes[0], self.bytes[1], ROW_NBYTES);
        memset(self.bytes[0], 0, ROW_NBYTES);
    }
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
    rows_clear(&self);
    fake_assert_clean();
}

/* Such a stride means nothing, and has no other sign. */
static void test_views_that_overlap_may_have_any_stride_of_a_single_item(void **state)
{
    (void)state;
    const int64_t shape[2] = {ROW_NBYTES, 1};
    const int64_t forwards[2] = {1, INT64_MIN};
    const int64_t backwards[2] = {-1, INT64_MIN};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = forwards};
    rows self;
    ndbuf_view src = {0};
    ndbuf_view dst = {0};
    rows_init(&self);
    ASSERT_OK(ndbuf_view_init(&src, self.of_bytes, &spec, err));
    spec.strides = backwards;
    spec.byte_offset = ROW_NBYTES - 1;
    ASSERT_OK(ndbuf_view_init(&dst, self.of_bytes, &spec, err));
    ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
    for (int k = 0; k < ROW_NBYTES; k++) {
        assert_int_equal(self.bytes[0][k], ROW_NBYTES - 1 - k);
    }
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    rows_clear(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_row_behind_a_pointer_shares_its_bytes_with_others),
        cmocka_unit_test(test_a_row_behind_a_pointer_goes_to_a_device_and_back),
        cmocka_unit_test(test_views_that_overlap_may_have_any_stride_of_a_single_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
