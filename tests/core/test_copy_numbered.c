/* SPDX-License-Identifier: Apache-2.0 */
/* Copies between two devices of a backend whose handles are numbers, counted by each device for itself. */
#include "tests/support/null_table.h"

#include <string.h>

#include "ndbuf/backend.h"

#include "core/storage_core.h"

enum { NDEVICES = 2, MAX_PIECES = 8, NITEMS = 6 };

/* "numbered": the memory of null, which the host reaches by mapping alone. */
static const ndbuf_backend_ops *null_ops;
static ndbuf_backend_ops numbered_ops;
static uint32_t copy_flags;
static char *pieces[NDEVICES][MAX_PIECES]; /* by device and handle */
static uintptr_t npieces[NDEVICES];

static char *address_of(const ndbuf_mem *mem)
{
    return pieces[mem->device->tag.id][(uintptr_t)mem->handle];
}

static ndbuf_status numbered_device_count(int32_t *out_count, ndbuf_error *err)
{
    (void)err;
    *out_count = NDEVICES;
    return NDBUF_OK;
}

static ndbuf_status numbered_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    ndbuf_status status = null_ops->device_open(0, out_device, err);
    if (status == NDBUF_OK) {
        (*out_device)->ops = &numbered_ops;
        (*out_device)->tag.id = ordinal;
    }
    return status;
}

static ndbuf_status numbered_mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                       ndbuf_error *err)
{
    const int32_t id = device->tag.id;
    assert_true(npieces[id] + 1 < MAX_PIECES);
    ndbuf_status status = null_ops->mem_alloc(device, nbytes, alignment, out_mem, err);
    if (status == NDBUF_OK) {
        pieces[id][++npieces[id]] = out_mem->handle;
        out_mem->handle = (void *)npieces[id];
    }
    return status;
}

static void numbered_mem_free(ndbuf_mem *mem)
{
    mem->handle = address_of(mem);
    null_ops->mem_free(mem);
}

static void numbered_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    if (dst->ops == &numbered_ops && src->ops == &numbered_ops) {
        *out_caps = (ndbuf_copy_caps){.flags = copy_flags, .call_ns = 1000, .bytes_per_ns = 1};
    }
}

static ndbuf_status numbered_copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err)
{
    (void)queue;
    (void)err;
    for (int64_t i = 0; i < rect->nrows; i++) {
        memcpy(address_of(rect->dst.mem) + rect->dst.offset + i * rect->dst.row_pitch,
               address_of(rect->src.mem) + rect->src.offset + i * rect->src.row_pitch, (size_t)rect->row_nbytes);
    }
    return NDBUF_OK;
}

static ndbuf_status numbered_queue_mapped_call(ndbuf_queue *queue, const ndbuf_mapped_range *ranges, int32_t nranges,
                                               ndbuf_mapped_fn fn, void *context, ndbuf_error *err)
{
    (void)queue;
    (void)err;
    void *addresses[2];
    for (int32_t i = 0; i < nranges; i++) {
        addresses[i] = address_of(ranges[i].mem) + ranges[i].offset;
    }
    fn(context, addresses);
    return NDBUF_OK;
}

static int register_numbered(void **state)
{
    (void)state;
    null_ops = null_table();
    numbered_ops = *null_ops;
    numbered_ops.name = "numbered";
    numbered_ops.device_count = numbered_device_count;
    numbered_ops.device_open = numbered_device_open;
    numbered_ops.mem_alloc = numbered_mem_alloc;
    numbered_ops.mem_free = numbered_mem_free;
    numbered_ops.copy_caps = numbered_copy_caps;
    numbered_ops.copy_rect = numbered_copy_rect;
    numbered_ops.queue_mapped_call = numbered_queue_mapped_call;
    return ndbuf_backend_register(&numbered_ops, NULL) == NDBUF_OK ? 0 : -1;
}

/* Every second byte of one device's first piece to the bytes of the other one's first piece. */
static void copy_between(uint32_t flags)
{
    static const ndbuf_slice second = {.step = 2, .given = NDBUF_SLICE_STEP};
    const int64_t dst_shape = NITEMS;
    const int64_t src_shape = 2 * NITEMS;
    ndbuf_device *devices[NDEVICES] = {NULL, NULL};
    ndbuf_view dst = {0};
    ndbuf_view src = {0};
    copy_flags = flags;
    memset(npieces, 0, sizeof(npieces));
    ASSERT_OK(ndbuf_device_open("numbered:0", &devices[0], err));
    ASSERT_OK(ndbuf_device_open("numbered:1", &devices[1], err));
    ASSERT_OK(ndbuf_view_create(&dst, devices[0], NULL, 1, &dst_shape, err));
    ASSERT_OK(ndbuf_view_create(&src, devices[1], NULL, 1, &src_shape, err));
    assert_ptr_equal(dst.handle, src.handle);
    memset(address_of(&dst.storage->mem), '-', NITEMS);
    memcpy(address_of(&src.storage->mem), "a.b.c.d.e.f.", 2 * NITEMS);
    ASSERT_OK(ndbuf_view_slice(&src, 0, &second, &src, err));
    ASSERT_OK(ndbuf_copy(&dst, &src, NULL, err));
    assert_memory_equal(address_of(&dst.storage->mem), "abcdef", NITEMS);
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_device_close(devices[0]);
    ndbuf_device_close(devices[1]);
}

static void test_pieces_of_two_devices_with_one_number_are_mapped_each(void **state)
{
    (void)state;
    copy_between(NDBUF_CAN_MAP);
}

static void test_rectangles_between_them_may_have_pitches_of_their_own(void **state)
{
    (void)state;
    copy_between(NDBUF_CAN_COPY_RECT | NDBUF_RECT_EQUAL_PITCHES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces_of_two_devices_with_one_number_are_mapped_each),
        cmocka_unit_test(test_rectangles_between_them_may_have_pitches_of_their_own),
    };
    return cmocka_run_group_tests(tests, register_numbered, NULL);
}
