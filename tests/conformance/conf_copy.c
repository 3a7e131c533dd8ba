/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/conformance/conformance.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NDIM 5

/* One side of a copy under test: memory of a device, and what it has to hold. */
typedef struct conf_side {
    ndbuf_device *device;
    ndbuf_mem mem;
    char *bytes;    /* host memory: the memory itself. Else NULL */
    char *expected; /* mem.nbytes */
} conf_side;

/* A box of contiguous units: the common form of all copies. The first and last byte that each side reaches lie at
 * lo and hi - 1 relative to its first unit. */
typedef struct conf_box {
    int32_t ndim;
    int64_t unit_nbytes;
    int64_t shape[MAX_NDIM];
    int64_t dst_strides[MAX_NDIM];
    int64_t src_strides[MAX_NDIM];
} conf_box;

static void side_init(conf_side *side, test_random *random, ndbuf_device *device, size_t nbytes)
{
    memset(side, 0, sizeof(*side));
    side->device = device;
    side->expected = malloc(nbytes);
    assert_non_null(side->expected);
    test_random_fill(random, side->expected, nbytes);
    if (device == ndbuf_device_cpu()) {
        side->bytes = malloc(nbytes);
        assert_non_null(side->bytes);
        side->mem = test_host_mem(side->bytes, nbytes);
        memcpy(side->bytes, side->expected, nbytes);
    } else {
        ASSERT_OK(device->ops->mem_alloc(device, nbytes, 64, &side->mem, err));
        test_upload(&side->mem, 0, side->expected, nbytes);
    }
}

static void side_check_and_free(conf_side *side, const char *what)
{
    char *bytes = malloc(side->mem.nbytes);
    assert_non_null(bytes);
    test_download(&side->mem, 0, bytes, side->mem.nbytes);
    test_assert_bytes_equal(what, bytes, side->expected, side->mem.nbytes);
    free(bytes);
    free(side->bytes);
    free(side->expected);
    if (side->bytes == NULL) {
        side->device->ops->mem_free(&side->mem);
    }
}

static void extent_of(const conf_box *box, const int64_t *strides, int64_t *out_lo, int64_t *out_hi)
{
    *out_lo = 0;
    *out_hi = box->unit_nbytes;
    for (int32_t k = 0; k < box->ndim; k++) {
        int64_t reach = (box->shape[k] - 1) * strides[k];
        *(reach < 0 ? out_lo : out_hi) += reach;
    }
}

/* What the copy has to do, on the host. src NULL: a fill with `item`. */
static void reference(const conf_box *box, char *dst, const char *src, const char *item)
{
    int64_t index[MAX_NDIM] = {0};
    for (;;) {
        char *to = dst;
        const char *from = src;
        for (int32_t k = 0; k < box->ndim; k++) {
            to += index[k] * box->dst_strides[k];
            from = src != NULL ? from + index[k] * box->src_strides[k] : NULL;
        }
        memcpy(to, src != NULL ? from : item, (size_t)box->unit_nbytes);
        int32_t k = box->ndim - 1;
        while (k >= 0 && ++index[k] == box->shape[k]) {
            index[k--] = 0;
        }
        if (k < 0) {
            return;
        }
    }
}

typedef ndbuf_status (*enqueue_fn)(const conf_box *box, ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset,
                                   const ndbuf_mem *src, int64_t src_offset, ndbuf_error *err);

static ndbuf_status enqueue_bytes(const conf_box *box, ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset,
                                  const ndbuf_mem *src, int64_t src_offset, ndbuf_error *err)
{
    return conf.ops->copy_bytes(queue, dst, dst_offset, src, src_offset, box->unit_nbytes, err);
}

static ndbuf_status enqueue_rect(const conf_box *box, ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset,
                                 const ndbuf_mem *src, int64_t src_offset, ndbuf_error *err)
{
    ndbuf_rect rect = {.dst = {dst, dst_offset, box->dst_strides[1], box->dst_strides[0]},
                       .src = {src, src_offset, box->src_strides[1], box->src_strides[0]},
                       .row_nbytes = box->unit_nbytes,
                       .nrows = box->shape[1],
                       .nslices = box->shape[0]};
    return conf.ops->copy_rect(queue, &rect, err);
}

static ndbuf_status enqueue_strided(const conf_box *box, ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset,
                                    const ndbuf_mem *src, int64_t src_offset, ndbuf_error *err)
{
    ndbuf_strided strided = {.dst = {dst, dst_offset, box->dst_strides},
                             .src = {src, src_offset, box->src_strides},
                             .ndim = box->ndim,
                             .shape = box->shape,
                             .unit_nbytes = box->unit_nbytes};
    return conf.ops->copy_strided(queue, &strided, err);
}

/* One copy of a box at random offsets, in a queue. False: the backend cannot do this one, and has left all as it was.
 */
static bool try_box(const char *what, test_random *random, const conf_box *box, ndbuf_device *dst_device,
                    ndbuf_device *src_device, ndbuf_queue *queue, enqueue_fn enqueue)
{
    conf_side dst;
    conf_side src;
    int64_t dst_lo, dst_hi, src_lo, src_hi;
    extent_of(box, box->dst_strides, &dst_lo, &dst_hi);
    extent_of(box, box->src_strides, &src_lo, &src_hi);
    int64_t dst_offset = test_random_range(random, 0, 20) - dst_lo;
    int64_t src_offset = test_random_range(random, 0, 20) - src_lo;
    side_init(&dst, random, dst_device, (size_t)(dst_offset + dst_hi + test_random_range(random, 0, 3)));
    side_init(&src, random, src_device, (size_t)(src_offset + src_hi + test_random_range(random, 0, 3)));

    conf_box given = *box; /* the backend may not look at it after the call */
    ndbuf_mem dst_mem = dst.mem;
    ndbuf_mem src_mem = src.mem;
    ndbuf_error error = {0};
    ndbuf_status status = enqueue(&given, queue, &dst_mem, dst_offset, &src_mem, src_offset, &error);
    if (status == NDBUF_OK) {
        reference(box, dst.expected + dst_offset, src.expected + src_offset, NULL);
    } else if (status != NDBUF_ERR_UNSUPPORTED) {
        fail_msg("%s: %s", what, error.message);
    }
    memset(&given, 0x7F, sizeof(given));
    memset(&dst_mem, 0x7F, sizeof(dst_mem));
    memset(&src_mem, 0x7F, sizeof(src_mem));
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    side_check_and_free(&dst, what);
    side_check_and_free(&src, what);
    return status == NDBUF_OK;
}

typedef void (*box_fn)(test_random *random, conf_box *out_box);

static void random_bytes(test_random *random, conf_box *out_box)
{
    *out_box = (conf_box){.unit_nbytes = test_random_range(random, 1, 3000)};
}

/* Pitches at random, of each side for itself. */
static void random_rect(test_random *random, conf_box *out_box)
{
    int64_t row_nbytes = test_random_range(random, 1, 40);
    int64_t nrows = test_random_range(random, 1, 7);
    int64_t nslices = test_random_range(random, 1, 5);
    *out_box = (conf_box){.ndim = 2, .unit_nbytes = row_nbytes, .shape = {nslices, nrows}};
    for (int side = 0; side < 2; side++) {
        int64_t *strides = side == 0 ? out_box->dst_strides : out_box->src_strides;
        strides[1] = row_nbytes + test_random_range(random, 0, 9);
        strides[0] = strides[1] * (nrows + (nslices > 1 ? test_random_range(random, 0, 2) : 0));
    }
}

/* Axes as the core gives them: destination strides positive and falling, nothing to merge, source strides of any sign
 * and size. */
static void random_strided(test_random *random, conf_box *out_box)
{
    *out_box = (conf_box){.ndim = (int32_t)test_random_range(random, 0, MAX_NDIM),
                          .unit_nbytes = test_random_range(random, 1, 24)};
    int64_t pitch = out_box->unit_nbytes + test_random_range(random, 1, 9);
    for (int32_t k = out_box->ndim - 1; k >= 0; k--) {
        out_box->shape[k] = test_random_range(random, 2, 5);
        out_box->dst_strides[k] = pitch;
        out_box->src_strides[k] = test_random_range(random, -90, 90);
        pitch = pitch * out_box->shape[k] + test_random_range(random, 1, 9);
    }
}

/* Tries one kind of copy in each direction in which the backend says that it can. */
static void try_all_directions(const char *name, uint32_t needed, box_fn make, enqueue_fn enqueue, int rounds)
{
    test_random random = test_random_make(name, 7);
    ndbuf_queue *queue = conf_queue_create();
    for (int32_t p = 0; p < conf.npeers; p++) {
        for (int direction = 0; direction < 2; direction++) {
            ndbuf_device *dst = direction == 0 ? conf.device : conf.peers[p];
            ndbuf_device *src = direction == 0 ? conf.peers[p] : conf.device;
            if ((conf_copy_flags(dst, src) & needed) == 0) {
                continue;
            }
            int ndone = 0;
            for (int i = 0; i < rounds; i++) {
                char what[120];
                conf_box box;
                make(&random, &box);
                snprintf(what, sizeof(what), "%s, peer %d, direction %d, round %d", name, (int)p, direction, i);
                ndone += try_box(what, &random, &box, dst, src, queue, enqueue);
            }
            if (ndone == 0) {
                fail_msg("%s: the bit is set, but no box was taken, peer %d, direction %d", name, (int)p, direction);
            }
        }
    }
    ndbuf_queue_release(queue);
}

static void test_bytes_go_to_the_host_and_back_and_within_the_device(void **state)
{
    (void)state;
    ndbuf_device *host = ndbuf_device_cpu();
    assert_true(conf_copy_flags(conf.device, host) & NDBUF_CAN_COPY_BYTES);
    assert_true(conf_copy_flags(host, conf.device) & NDBUF_CAN_COPY_BYTES);
    assert_true(conf_copy_flags(conf.device, conf.device) & NDBUF_CAN_COPY_BYTES);
}

static void test_bytes_arrive_at_any_offset_and_no_others_change(void **state)
{
    (void)state;
    try_all_directions(__func__, NDBUF_CAN_COPY_BYTES, random_bytes, enqueue_bytes, 40);
}

static void test_rectangles_arrive_and_nothing_between_the_rows_changes(void **state)
{
    (void)state;
    try_all_directions(__func__, NDBUF_CAN_COPY_RECT, random_rect, enqueue_rect, 60);
}

static void test_strided_boxes_arrive_and_nothing_between_the_units_changes(void **state)
{
    (void)state;
    try_all_directions(__func__, NDBUF_CAN_COPY_STRIDED, random_strided, enqueue_strided, 60);
}

static void test_disjoint_parts_of_one_piece_of_memory_can_be_copied(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 3);
    ndbuf_queue *queue = conf_queue_create();
    for (int i = 0; i < 50; i++) {
        conf_side side;
        side_init(&side, &random, conf.device, 2000);
        int64_t nbytes = test_random_range(&random, 1, 1000);
        int64_t low = test_random_range(&random, 0, 1000 - nbytes);
        int64_t high = test_random_range(&random, 1000, 2000 - nbytes);
        int64_t to = i % 2 == 0 ? low : high;
        int64_t from = i % 2 == 0 ? high : low;
        memcpy(side.expected + to, side.expected + from, (size_t)nbytes);
        ASSERT_OK(conf.ops->copy_bytes(queue, &side.mem, to, &side.mem, from, nbytes, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        side_check_and_free(&side, "within one piece of memory");
    }
    ndbuf_queue_release(queue);
}

static void test_rectangles_within_one_piece_of_memory(void **state)
{
    (void)state;
    uint32_t flags = conf_copy_flags(conf.device, conf.device);
    if ((flags & NDBUF_CAN_COPY_RECT) == 0) {
        return;
    }
    test_random random = test_random_make(__func__, 4);
    ndbuf_queue *queue = conf_queue_create();
    for (int i = 0; i < 50; i++) {
        conf_side side;
        conf_box box;
        random_rect(&random, &box);
        if ((flags & NDBUF_RECT_EQUAL_PITCHES) != 0) {
            memcpy(box.src_strides, box.dst_strides, sizeof(box.src_strides));
        }
        side_init(&side, &random, conf.device, 8000);
        int64_t to = i % 2 == 0 ? 11 : 4001;
        int64_t from = i % 2 == 0 ? 4001 : 11;
        reference(&box, side.expected + to, side.expected + from, NULL);
        ASSERT_OK(enqueue_rect(&box, queue, &side.mem, to, &side.mem, from, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        side_check_and_free(&side, "a rectangle within one piece of memory");
    }
    ndbuf_queue_release(queue);
}

static void test_fills_write_each_element_and_read_the_item_before_they_return(void **state)
{
    (void)state;
    if ((conf_copy_flags(conf.device, conf.device) & NDBUF_CAN_FILL) == 0) {
        return;
    }
    test_random random = test_random_make(__func__, 5);
    ndbuf_queue *queue = conf_queue_create();
    int ndone = 0;
    for (int i = 0; i < 100; i++) {
        conf_side side;
        conf_box box;
        char item[24];
        int64_t lo, hi;
        random_strided(&random, &box);
        if (box.ndim > 0 && i % 4 == 0) {
            box.dst_strides[test_random_range(&random, 0, box.ndim - 1)] = 0;
        }
        test_random_fill(&random, item, sizeof(item));
        extent_of(&box, box.dst_strides, &lo, &hi);
        int64_t offset = test_random_range(&random, 0, 20);
        side_init(&side, &random, conf.device, (size_t)(offset + hi + 2));
        ndbuf_fill_box fill = {.dst = {&side.mem, offset, box.dst_strides},
                               .ndim = box.ndim,
                               .shape = box.shape,
                               .item = item,
                               .item_nbytes = box.unit_nbytes};
        ndbuf_error error = {0};
        ndbuf_status status = conf.ops->fill_strided(queue, &fill, &error);
        if (status == NDBUF_OK) {
            reference(&box, side.expected + offset, NULL, item);
            ndone++;
        } else if (status != NDBUF_ERR_UNSUPPORTED) {
            fail_msg("fill: %s", error.message);
        }
        memset(item, 0, sizeof(item));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        side_check_and_free(&side, "a fill");
    }
    ndbuf_queue_release(queue);
    assert_int_not_equal(ndone, 0);
}

static void test_what_the_bits_deny_is_unsupported(void **state)
{
    (void)state;
    ndbuf_queue *queue = conf_queue_create();
    ndbuf_device *host = ndbuf_device_cpu();
    char bytes[64] = {0};
    ndbuf_mem host_mem = test_host_mem(bytes, sizeof(bytes));
    ndbuf_mem mem = conf_alloc(64, NULL);
    conf_box box = {.ndim = 2, .unit_nbytes = 1, .shape = {2, 2}, .dst_strides = {8, 4}, .src_strides = {8, 4}};
    uint32_t flags = conf_copy_flags(conf.device, host);
    if (strcmp(conf.backend, "fake") == 0) {
        flags = UINT32_MAX; /* it takes such calls for a broken promise */
    }
    if ((flags & NDBUF_CAN_COPY_RECT) == 0) {
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "", enqueue_rect(&box, queue, &mem, 0, &host_mem, 0, err));
    }
    if ((flags & NDBUF_CAN_COPY_STRIDED) == 0) {
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "", enqueue_strided(&box, queue, &mem, 0, &host_mem, 0, err));
    }
    if ((flags & NDBUF_CAN_FILL) == 0 && (conf_copy_flags(conf.device, conf.device) & NDBUF_CAN_FILL) == 0) {
        ndbuf_fill_box fill = {
            .dst = {&mem, 0, box.dst_strides}, .ndim = 2, .shape = box.shape, .item = "x", .item_nbytes = 1};
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "", conf.ops->fill_strided(queue, &fill, err));
    }
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    conf.ops->mem_free(&mem);
}

static void test_costs_are_finite_and_not_negative(void **state)
{
    (void)state;
    for (int32_t p = 0; p < conf.npeers; p++) {
        ndbuf_copy_caps caps;
        memset(&caps, 0x7F, sizeof(caps));
        conf.ops->copy_caps(conf.device, conf.peers[p], &caps);
        assert_int_equal(caps.reserved, 0);
        assert_true(caps.max_pitch >= 0);
        assert_true(caps.call_ns >= 0 && caps.call_ns < 1e9);
        assert_true(caps.wait_ns >= 0 && caps.wait_ns < 1e9);
        assert_true(caps.row_ns >= 0 && caps.row_ns < 1e9);
        assert_true(caps.element_ns >= 0 && caps.element_ns < 1e9);
        assert_true(caps.flags == 0 || (caps.bytes_per_ns > 0 && caps.bytes_per_ns < 1e9));
    }
}

CONF_TOPIC(copy, cmocka_unit_test(test_bytes_go_to_the_host_and_back_and_within_the_device),
           cmocka_unit_test(test_bytes_arrive_at_any_offset_and_no_others_change),
           cmocka_unit_test(test_rectangles_arrive_and_nothing_between_the_rows_changes),
           cmocka_unit_test(test_strided_boxes_arrive_and_nothing_between_the_units_changes),
           cmocka_unit_test(test_disjoint_parts_of_one_piece_of_memory_can_be_copied),
           cmocka_unit_test(test_rectangles_within_one_piece_of_memory),
           cmocka_unit_test(test_fills_write_each_element_and_read_the_item_before_they_return),
           cmocka_unit_test(test_what_the_bits_deny_is_unsupported),
           cmocka_unit_test(test_costs_are_finite_and_not_negative))
