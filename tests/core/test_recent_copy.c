/* SPDX-License-Identifier: Apache-2.0 */

/* Small copies by plain calls that are done again and again: the thread knows their layouts then, and must still see
 * all else that may be different. */

#include "tests/support/device_copy.h"
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "core/recent_copy.h"
#include "core/sync.h"

/* More than are needed to decide, after whatever else was copied. */
#define OFTEN 200
#define NLAYOUTS 6

static bool is_known(const ndbuf_view *dst, const ndbuf_view *src)
{
    for (int i = 0; i < NDBUF__RECENT_COPIES; i++) {
        const ndbuf__recent_copy *copy = &ndbuf__recent.copies[i];
        if (copy->is_decided && ndbuf__recent_is(copy, dst, src)) {
            return true;
        }
    }
    return false;
}

/* -- random layouts -- */

typedef struct layout_pair {
    test_layout dst;
    test_layout src;
} layout_pair;

/* Small ones, so that most are noted. */
static void pair_random(test_random *random, layout_pair *pair)
{
    do {
        test_layout_random_shape(random, 0, &pair->dst);
    } while (pair->dst.ndim > 1 + NDBUF__RECENT_NDIM ||
             test_layout_nitems(&pair->dst) * pair->dst.itemsize > NDBUF__RECENT_NBYTES + 100);
    pair->src = pair->dst;
    test_layout_random_strides(random, 0, &pair->dst);
    test_layout_random_strides(random, TEST_LAYOUT_OVERLAPS, &pair->src);
}

static ndbuf_storage *adopt(void *bytes, size_t nbytes)
{
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, nbytes, 0, NULL, NULL, &storage, err));
    return storage;
}

/* Copies between two buffers, or within one: the two sides lie in it anywhere. Returns whether the layouts were known
 * by then. */
static bool pair_copy(test_random *random, const layout_pair *pair, bool in_one)
{
    test_layout dst = pair->dst;
    test_layout src = pair->src;
    const size_t nbytes = (size_t)(dst.nbytes + src.nbytes);
    char *memory = malloc(2 * nbytes);
    char *expected = malloc(nbytes);
    char *packed = malloc((size_t)(test_layout_nitems(&src) * src.itemsize) + 1);
    assert_true(memory != NULL && expected != NULL && packed != NULL);
    char *const dst_bytes = memory;
    char *const src_bytes = in_one ? memory : memory + nbytes;
    dst.offset += test_random_range(random, 0, src.nbytes);
    src.offset += test_random_range(random, 0, pair->dst.nbytes);
    test_random_fill(random, memory, 2 * nbytes);
    memcpy(expected, dst_bytes, nbytes);
    test_layout_pack(&src, src_bytes, packed);
    test_layout_unpack(&dst, dst_bytes, packed, expected);

    ndbuf_view dst_view = {0};
    ndbuf_view src_view = {0};
    ndbuf_storage *storage = adopt(dst_bytes, nbytes);
    ndbuf_storage *other = adopt(src_bytes, nbytes);
    test_layout_view(&dst, storage, &dst_view);
    test_layout_view(&src, in_one ? storage : other, &src_view);
    const bool known = is_known(&dst_view, &src_view);
    ASSERT_OK(ndbuf_copy(&dst_view, &src_view, NULL, err));
    test_assert_bytes_equal(in_one ? "in one buffer" : "in two", dst_bytes, expected, nbytes);
    ndbuf_view_release(&src_view);
    ndbuf_view_release(&dst_view);
    ndbuf_storage_release(other);
    ndbuf_storage_release(storage);
    free(packed);
    free(expected);
    free(memory);
    return known;
}

static void test_layouts_that_come_again_at_other_places(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 42);
    int nknown = 0;
    for (int round = 0; round < 60; round++) {
        layout_pair pairs[NLAYOUTS];
        const int64_t npairs = test_random_range(&random, 1, NLAYOUTS);
        for (int64_t i = 0; i < npairs; i++) {
            pair_random(&random, &pairs[i]);
        }
        for (int i = 0; i < 200; i++) {
            const layout_pair *pair = &pairs[test_random_range(&random, 0, npairs - 1)];
            nknown += pair_copy(&random, pair, test_random_range(&random, 0, 4) == 0);
        }
    }
    assert_true(nknown > 1000); /* or this test looks at nothing */
}

/* -- what else may be different -- */

enum { SIDE = 5 };

typedef struct square {
    ndbuf_view dst;
    ndbuf_view src; /* transposed */
} square;

static void view_make(ndbuf_view *out_view, ndbuf_device *device, const char *text, bool transposed)
{
    const int64_t shape[2] = {SIDE, SIDE};
    ndbuf_format *format = test_parse(text);
    *out_view = (ndbuf_view){0};
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, shape, err));
    if (transposed) {
        ASSERT_OK(ndbuf_view_transpose(out_view, out_view, err));
    }
    ndbuf_format_release(format);
}

static int32_t *items_of(const ndbuf_view *view)
{
    return ndbuf_view_host_address(view);
}

static void fill_counting(const ndbuf_view *view, int32_t first)
{
    for (int32_t i = 0; i < SIDE * SIDE; i++) {
        items_of(view)[i] = first + i;
    }
}

static void assert_transposed(const ndbuf_view *dst, const ndbuf_view *src)
{
    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            assert_int_equal(items_of(dst)[i * SIDE + j], items_of(src)[j * SIDE + i]);
        }
    }
}

static void square_make(square *self)
{
    view_make(&self->dst, ndbuf_device_cpu(), "i", false);
    view_make(&self->src, ndbuf_device_cpu(), "i", true);
    for (int32_t i = 0; i < OFTEN; i++) {
        fill_counting(&self->src, 100 * i);
        ASSERT_OK(ndbuf_copy(&self->dst, &self->src, NULL, err));
        assert_transposed(&self->dst, &self->src);
    }
    assert_true(is_known(&self->dst, &self->src));
}

static void square_clear(square *self)
{
    ndbuf_view_release(&self->dst);
    ndbuf_view_release(&self->src);
}

static void test_a_readonly_destination_is_refused(void **state)
{
    (void)state;
    square self;
    square_make(&self);
    self.dst.flags |= NDBUF_VIEW_READONLY;
    ASSERT_FAILS(NDBUF_ERR_READONLY, "read-only", ndbuf_copy(&self.dst, &self.src, NULL, err));
    square_clear(&self);
}

static void test_views_that_are_none_are_refused(void **state)
{
    (void)state;
    square self;
    square_make(&self);
    const ndbuf_view empty = {0};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "dst", ndbuf_copy(NULL, &self.src, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "src", ndbuf_copy(&self.dst, NULL, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "src", ndbuf_copy(&self.dst, &empty, NULL, err));
    ndbuf_view foreign = self.src;
    foreign.abi_version++;
    ASSERT_FAILS(NDBUF_ERR_ABI, "src", ndbuf_copy(&self.dst, &foreign, NULL, err));
    square_clear(&self);
}

static void test_rules_that_are_none_are_refused(void **state)
{
    (void)state;
    square self;
    square_make(&self);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "casting", ndbuf_copy_cast(&self.dst, &self.src, (ndbuf_casting)17, 0, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "flags",
                 ndbuf_copy_cast(&self.dst, &self.src, NDBUF_CASTING_EQUIV, 1u << 30, NULL, err));
    square_clear(&self);
}

static void test_another_format_of_the_same_size_is_converted_or_refused(void **state)
{
    (void)state;
    square self;
    ndbuf_view other;
    square_make(&self);
    view_make(&other, ndbuf_device_cpu(), ">i", true);
    fill_counting(&other, 7);
    ASSERT_OK(ndbuf_copy(&self.dst, &other, NULL, err));
    const uint8_t *item = (const uint8_t *)&items_of(&other)[SIDE];
    assert_int_equal(items_of(&self.dst)[1], item[0] << 24 | item[1] << 16 | item[2] << 8 | item[3]);
    ndbuf_view_release(&other);
    view_make(&other, ndbuf_device_cpu(), "f", true);
    fill_counting(&other, 0x40000000); /* 2 and a little */
    ASSERT_FAILS(NDBUF_ERR_CAST, "no cast from", ndbuf_copy(&self.dst, &other, NULL, err));
    ASSERT_OK(ndbuf_copy_cast(&self.dst, &other, NDBUF_CASTING_UNSAFE, 0, NULL, err));
    assert_int_equal(items_of(&self.dst)[1], 2);
    ndbuf_view_release(&other);
    square_clear(&self);
}

/* A host function for a queue: what fills the view takes its time. */
static ndbuf_status fill_late(void *context, ndbuf_error *error)
{
    (void)error;
    ndbuf__thread_sleep_us(20000);
    fill_counting(context, 1000);
    return NDBUF_OK;
}

static void test_a_source_that_is_not_ready_is_waited_for(void **state)
{
    (void)state;
    square self;
    ndbuf_queue *queue = NULL;
    ndbuf_event *event = NULL;
    square_make(&self);
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
    ASSERT_OK(queue->device->ops->queue_host_call(queue, fill_late, &self.src, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ndbuf_view_set_ready(&self.src, event);
    ndbuf_event_release(event);
    ASSERT_OK(ndbuf_copy(&self.dst, &self.src, NULL, err));
    assert_int_equal(items_of(&self.dst)[SIDE], 1001);
    ndbuf_queue_release(queue);
    square_clear(&self);
}

static void test_items_of_another_size_are_copied_whole(void **state)
{
    (void)state;
    enum { NITEMS = 4, STRIDE = 5 };
    char bytes[NITEMS * STRIDE + 1] = "abcdefghijklmnopqrst";
    char copied[NITEMS * STRIDE];
    const int64_t shape = NITEMS;
    const int64_t stride = STRIDE;
    ndbuf_storage *of_bytes = adopt(bytes, sizeof(bytes) - 1);
    ndbuf_storage *of_copied = adopt(copied, sizeof(copied));
    for (int i = 0; i < OFTEN; i++) {
        for (int64_t itemsize = 1; itemsize <= 3; itemsize++) {
            ndbuf_view dst = {0};
            ndbuf_view src = {0};
            ndbuf_format *format = test_format(itemsize);
            const ndbuf_view_spec spec = {.format = format, .ndim = 1, .shape = &shape, .strides = &stride};
            ASSERT_OK(ndbuf_view_init(&dst, of_copied, &spec, err));
            ASSERT_OK(ndbuf_view_init(&src, of_bytes, &spec, err));
            memset(copied, '.', sizeof(copied));
            ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
            const char *const expected[] = {"a....f....k....p....", "ab...fg...kl...pq...", "abc..fgh..klm..pqr.."};
            assert_memory_equal(copied, expected[itemsize - 1], sizeof(copied));
            ndbuf_view_release(&src);
            ndbuf_view_release(&dst);
            ndbuf_format_release(format);
        }
    }
    ndbuf_storage_release(of_copied);
    ndbuf_storage_release(of_bytes);
}

static void test_memory_of_a_device_is_left_to_it(void **state)
{
    (void)state;
    square self;
    ndbuf_device *device = NULL;
    ndbuf_view to;
    ndbuf_view from;
    ndbuf_view back;
    fake_register();
    square_make(&self);
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    view_make(&to, device, "i", false);
    view_make(&from, device, "i", true);
    view_make(&back, ndbuf_device_cpu(), "i", false);
    for (int32_t i = 0; i < OFTEN; i++) {
        fill_counting(&self.src, i);
        fill_counting(&self.dst, -1);
        ASSERT_OK(ndbuf_copy(&to, &self.src, NULL, err)); /* alike, but for the device */
        ASSERT_OK(ndbuf_copy(&back, &to, NULL, err));
        assert_transposed(&back, &self.src);
        ASSERT_OK(ndbuf_copy(&from, &self.src, NULL, err));
        ASSERT_OK(ndbuf_copy(&self.dst, &from, NULL, err));
        assert_transposed(&self.dst, &self.src);
    }
    ndbuf_view_release(&back);
    ndbuf_view_release(&from);
    ndbuf_view_release(&to);
    ndbuf_device_close(device);
    square_clear(&self);
    fake_assert_no_violation();
    fake_assert_clean();
}

static void test_rows_behind_pointers_are_followed(void **state)
{
    (void)state;
    enum { NROWS = 3, ROW_NBYTES = 4 };
    static char bytes[NROWS * ROW_NBYTES + 1] = "abcdefghijkl";
    char *table[NROWS] = {bytes + 8, bytes, bytes + 4};
    char packed[NROWS * ROW_NBYTES];
    const int64_t shape[2] = {NROWS, ROW_NBYTES};
    const int64_t strides[2] = {sizeof(table[0]), 1};
    const int64_t suboffsets[2] = {0, -1};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape};
    ndbuf_view dst = {0};
    ndbuf_view plain = {0};
    ndbuf_view behind = {0};
    ndbuf_storage *of_table = adopt(table, sizeof(table));
    ndbuf_storage *of_packed = adopt(packed, sizeof(packed));
    ASSERT_OK(ndbuf_view_init(&dst, of_packed, &spec, err));
    spec.strides = strides;
    ASSERT_OK(ndbuf_view_init(&plain, of_table, &spec, err));
    spec.suboffsets = suboffsets;
    ASSERT_OK(ndbuf_view_init(&behind, of_table, &spec, err));
    for (int i = 0; i < OFTEN; i++) {
        ASSERT_OK(ndbuf_copy(&dst, &plain, NULL, err));
        assert_memory_equal(packed, &table[0], ROW_NBYTES);
    }
    assert_true(is_known(&dst, &behind)); /* as far as extents and strides tell */
    ASSERT_OK(ndbuf_copy(&dst, &behind, NULL, err));
    assert_memory_equal(packed, "ijklabcdefgh", sizeof(packed));
    ndbuf_view_release(&behind);
    ndbuf_view_release(&plain);
    ndbuf_view_release(&dst);
    ndbuf_storage_release(of_packed);
    ndbuf_storage_release(of_table);
}

static void test_shapes_that_differ_are_refused_every_time(void **state)
{
    (void)state;
    square self;
    ndbuf_view part = {0};
    square_make(&self);
    ASSERT_OK(ndbuf_view_slice(&self.src, 1, &(ndbuf_slice){.stop = SIDE - 1, .given = NDBUF_SLICE_STOP}, &part, err));
    for (int i = 0; i < OFTEN; i++) {
        ASSERT_FAILS(NDBUF_ERR_INVALID, "axis 1 has extent 5", ndbuf_copy(&self.dst, &part, NULL, err));
    }
    ndbuf_view_release(&part);
    square_clear(&self);
}

static void test_a_source_of_more_axes_is_refused(void **state)
{
    (void)state;
    char bytes[] = "abcdefghijklmnopqrst";
    char copied[4];
    const int64_t shape[2] = {4, 5};
    const int64_t stride = 5; /* as the second extent, in whose place it is */
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    ndbuf_view more = {0};
    ndbuf_storage *of_bytes = adopt(bytes, sizeof(bytes) - 1);
    ndbuf_storage *of_copied = adopt(copied, sizeof(copied));
    ASSERT_OK(ndbuf_view_init(&dst, of_copied, &(ndbuf_view_spec){.ndim = 1, .shape = shape}, err));
    ASSERT_OK(ndbuf_view_init(&src, of_bytes, &(ndbuf_view_spec){.ndim = 1, .shape = shape, .strides = &stride}, err));
    ASSERT_OK(ndbuf_view_init(&more, of_bytes, &(ndbuf_view_spec){.ndim = 2, .shape = shape}, err));
    for (int i = 0; i < OFTEN; i++) {
        ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
        assert_memory_equal(copied, "afkp", sizeof(copied));
    }
    ASSERT_FAILS(NDBUF_ERR_INVALID, "2", ndbuf_copy(&dst, &more, NULL, err));
    ndbuf_view_release(&more);
    ndbuf_view_release(&src);
    ndbuf_view_release(&dst);
    ndbuf_storage_release(of_copied);
    ndbuf_storage_release(of_bytes);
}

static void test_a_destination_that_reaches_bytes_twice_is_refused_every_time(void **state)
{
    (void)state;
    square self;
    ndbuf_view row = {0};
    ndbuf_view repeated = {0};
    const int64_t shape[2] = {SIDE, SIDE};
    square_make(&self);
    ASSERT_OK(ndbuf_view_index(&self.dst, 0, 0, &row, err));
    ASSERT_OK(ndbuf_view_broadcast(&row, 2, shape, &repeated, err));
    repeated.flags &= ~(uint32_t)NDBUF_VIEW_READONLY;
    for (int i = 0; i < OFTEN; i++) {
        ASSERT_FAILS(NDBUF_ERR_INVALID, "destination", ndbuf_copy(&repeated, &self.src, NULL, err));
    }
    ndbuf_view_release(&repeated);
    ndbuf_view_release(&row);
    square_clear(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts_that_come_again_at_other_places),
        cmocka_unit_test(test_a_readonly_destination_is_refused),
        cmocka_unit_test(test_views_that_are_none_are_refused),
        cmocka_unit_test(test_rules_that_are_none_are_refused),
        cmocka_unit_test(test_another_format_of_the_same_size_is_converted_or_refused),
        cmocka_unit_test(test_a_source_that_is_not_ready_is_waited_for),
        cmocka_unit_test(test_items_of_another_size_are_copied_whole),
        cmocka_unit_test(test_memory_of_a_device_is_left_to_it),
        cmocka_unit_test(test_rows_behind_pointers_are_followed),
        cmocka_unit_test(test_shapes_that_differ_are_refused_every_time),
        cmocka_unit_test(test_a_source_of_more_axes_is_refused),
        cmocka_unit_test(test_a_destination_that_reaches_bytes_twice_is_refused_every_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
