/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_copy.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/storage_core.h"
#include "tests/support/random_types.h"

#define MAX_FORMAT 4096 /* bytes of text */

ndbuf_mem test_host_mem(void *address, size_t nbytes)
{
    return (ndbuf_mem){.device = ndbuf_device_cpu(), .handle = address, .host_address = address, .nbytes = nbytes};
}

void test_upload(const ndbuf_mem *mem, int64_t offset, const void *bytes, size_t nbytes)
{
    void *copy = malloc(nbytes > 0 ? nbytes : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, nbytes);
    ndbuf_mem host = test_host_mem(copy, nbytes);
    ndbuf_queue *queue = mem->device->default_queue;
    if (nbytes > 0) {
        ASSERT_OK(mem->device->ops->copy_bytes(queue, mem, offset, &host, 0, (int64_t)nbytes, err));
        ASSERT_OK(mem->device->ops->queue_wait(queue, err));
    }
    free(copy);
}

void test_download(const ndbuf_mem *mem, int64_t offset, void *out_bytes, size_t nbytes)
{
    ndbuf_mem host = test_host_mem(out_bytes, nbytes);
    ndbuf_queue *queue = mem->device->default_queue;
    if (nbytes > 0) {
        ASSERT_OK(mem->device->ops->copy_bytes(queue, &host, 0, mem, offset, (int64_t)nbytes, err));
        ASSERT_OK(mem->device->ops->queue_wait(queue, err));
    }
}

ndbuf_format *test_format(int64_t itemsize)
{
    char text[24];
    snprintf(text, sizeof(text), "%llds", (long long)itemsize);
    return test_parse(text);
}

/* Takes over the reference to the format. */
static void view_with_format(const test_layout *layout, ndbuf_format *format, ndbuf_storage *storage,
                             ndbuf_view *out_view)
{
    ndbuf_view_spec spec = {.format = format,
                            .byte_offset = layout->offset,
                            .ndim = layout->ndim,
                            .shape = layout->shape,
                            .strides = layout->strides,
                            .suboffsets = layout->has_suboffsets ? layout->suboffsets : NULL};
    ASSERT_OK(ndbuf_view_init(out_view, storage, &spec, err));
    ndbuf_format_release(format);
}

void test_layout_view(const test_layout *layout, ndbuf_storage *storage, ndbuf_view *out_view)
{
    view_with_format(layout, test_format(layout->itemsize), storage, out_view);
}

static ndbuf_storage *create_storage(ndbuf_device *device, size_t nbytes)
{
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_create(device, nbytes, &storage, err));
    return storage;
}

static ndbuf_storage *(*make_storage)(ndbuf_device *device, size_t nbytes) = create_storage;

void test_copy_storage_by(ndbuf_storage *(*make)(ndbuf_device *device, size_t nbytes))
{
    make_storage = make != NULL ? make : create_storage;
}

/* One side of a copy under test. */
typedef struct copy_side {
    ndbuf_device *device;
    size_t nbytes;
    char *start;  /* what the memory holds before the copy */
    char *buffer; /* on the host: the memory itself, adopted. Else NULL */
    char *at_end; /* on the host: what it held when it was released */
    _Atomic(int) nreleased;
    ndbuf_storage *storage;
    ndbuf_view view;
} copy_side;

static char *new_bytes(size_t nbytes)
{
    char *bytes = malloc(nbytes);
    assert_non_null(bytes);
    return bytes;
}

/* Keeps what the memory holds and then spoils it: nobody may look at it any more. */
static void side_released(void *context, void *handle)
{
    copy_side *side = context;
    memcpy(side->at_end, handle, side->nbytes);
    memset(handle, 0xDD, side->nbytes);
    atomic_fetch_add(&side->nreleased, 1);
}

/* Where items lie, and what they are. */
typedef struct copy_items {
    test_layout layout;
    test_type type;
} copy_items;

static test_type opaque_type(int64_t itemsize)
{
    return (test_type){.kind = TEST_TYPE_BYTES, .code = 's', .nbytes = itemsize};
}

static void items_view(const copy_items *items, ndbuf_storage *storage, ndbuf_view *out_view)
{
    char text[MAX_FORMAT];
    test_type_print(&items->type, text, sizeof(text));
    ndbuf_format *format = test_parse(text);
    view_with_format(&items->layout, format, storage, out_view);
}

static void items_randomize(const copy_items *items, test_random *random, char *buffer)
{
    int64_t index[TEST_LAYOUT_MAX_NDIM] = {0};
    if (test_layout_nitems(&items->layout) == 0) {
        return;
    }
    do {
        test_random_item(random, &items->type, test_layout_item(&items->layout, buffer, index));
    } while (test_layout_next(&items->layout, index));
}

/* Memory of `nbytes` random bytes, with values to be read by `src_items` among them, unless that is NULL; on the host
 * adopted memory. The view is of `items`. */
static void side_init(copy_side *side, test_random *random, ndbuf_device *device, size_t nbytes,
                      const copy_items *items, const copy_items *src_items)
{
    memset(side, 0, sizeof(*side));
    side->device = device;
    side->nbytes = nbytes;
    side->start = new_bytes(nbytes);
    test_random_fill(random, side->start, nbytes);
    if (device == ndbuf_device_cpu()) {
        side->buffer = new_bytes(nbytes);
        side->at_end = new_bytes(nbytes);
        memcpy(side->buffer, side->start, nbytes);
        test_layout_link(&items->layout, side->buffer);
    }
    if (src_items != NULL) {
        items_randomize(src_items, random, side->buffer != NULL ? side->buffer : side->start);
    }
    if (side->buffer != NULL) {
        memcpy(side->start, side->buffer, nbytes);
        ASSERT_OK(ndbuf_storage_adopt(device, side->buffer, nbytes, 0, side_released, side, &side->storage, err));
    } else {
        side->storage = make_storage(device, nbytes);
        test_upload(&side->storage->mem, 0, side->start, nbytes);
    }
    items_view(items, side->storage, &side->view);
}

static void side_free(copy_side *side)
{
    free(side->start);
    free(side->buffer);
    free(side->at_end);
}

/* Compares all that a side's memory holds now with `expected`. */
static void side_assert_holds(const copy_side *side, const char *expected, const char *what)
{
    if (side->nreleased > 0) {
        test_assert_bytes_equal(what, side->at_end, expected, side->nbytes);
    } else if (side->buffer != NULL) {
        test_assert_bytes_equal(what, side->buffer, expected, side->nbytes);
    } else {
        char *bytes = new_bytes(side->nbytes);
        test_download(&side->storage->mem, 0, bytes, side->nbytes);
        test_assert_bytes_equal(what, bytes, expected, side->nbytes);
        free(bytes);
    }
}

static void side_release_storage(copy_side *side, const char *what)
{
    ndbuf_storage_release(side->storage);
    side->storage = NULL;
    if (side->buffer != NULL && side->nreleased != 1) {
        fail_msg("%s: adopted memory was released %d times", what, side->nreleased);
    }
}

/* With a queue: all references but that to device memory which has to be looked at later are let go of before the work
 * is done. */
static void let_go(copy_side *side, bool is_dst)
{
    ndbuf_view_release(&side->view);
    if (!is_dst || side->buffer != NULL) {
        ndbuf_storage_release(side->storage);
        side->storage = NULL;
    }
}

static ndbuf_status run_copy(const test_copy_case *copy_case, const ndbuf_view *dst, const ndbuf_view *src,
                             uint32_t cast_flags, ndbuf_error *err)
{
    ndbuf_casting casting = copy_case->converts ? NDBUF_CASTING_UNSAFE : NDBUF_CASTING_EQUIV;
    if (!copy_case->through_plan) {
        return copy_case->converts ? ndbuf_copy_cast(dst, src, casting, cast_flags, copy_case->queue, err)
                                   : ndbuf_copy(dst, src, copy_case->queue, err);
    }
    ndbuf_copy_plan *plan = NULL;
    ndbuf_status status = ndbuf_copy_plan_create(dst, src, casting, cast_flags, &plan, err);
    /* A second run changes nothing, unless the first one has overwritten the source. */
    for (int run = copy_case->in_one_storage ? 1 : 0; run < 2 && status == NDBUF_OK; run++) {
        status = ndbuf_copy_plan_run(plan, dst, src, copy_case->queue, err);
    }
    ndbuf_copy_plan_destroy(plan);
    return status;
}

/* Random layouts and types of the two sides. */
static void random_items(test_random *random, const test_copy_case *copy_case, copy_items *dst, copy_items *src)
{
    bool suboffsets = copy_case->with_suboffsets && !copy_case->in_one_storage;
    test_layout_random_shape(random, copy_case->shape_flags, &dst->layout);
    dst->type = opaque_type(dst->layout.itemsize);
    src->type = dst->type;
    if (copy_case->converts) {
        test_random_types(random, &dst->type, &src->type);
    }
    dst->layout.itemsize = test_type_nbytes(&dst->type);
    src->layout = dst->layout;
    src->layout.itemsize = test_type_nbytes(&src->type);
    bool dst_indirect = suboffsets && copy_case->dst == ndbuf_device_cpu() && test_random_range(random, 0, 1) == 1;
    bool src_indirect = suboffsets && copy_case->src == ndbuf_device_cpu() && test_random_range(random, 0, 1) == 1;
    /* Items that overlap would make of long doubles what is none. */
    uint32_t src_flags = test_type_has(&src->type, NDBUF_NUMBER_LONG_DOUBLE) ? 0 : TEST_LAYOUT_OVERLAPS;
    test_layout_random_strides(random, dst_indirect ? TEST_LAYOUT_INDIRECT : 0, &dst->layout);
    test_layout_random_strides(random, src_flags | (src_indirect ? TEST_LAYOUT_INDIRECT : 0), &src->layout);
}

static void print_items(const copy_items *items, const char *before, char *text, size_t size)
{
    size_t length = strlen(text);
    length += (size_t)snprintf(text + length, size - length, "%s", before);
    test_type_print(&items->type, text + length, size - length);
    length = strlen(text);
    length += (size_t)snprintf(text + length, size - length, " ");
    test_layout_print(&items->layout, text + length, size - length);
}

void test_copy_try(const char *what, test_random *random, const test_copy_case *copy_case)
{
    bool one_storage = copy_case->in_one_storage;
    copy_items dst_items;
    copy_items src_items;
    random_items(random, copy_case, &dst_items, &src_items);
    uint32_t cast_flags = 0;
    if (copy_case->converts) {
        cast_flags = test_random_range(random, 0, 3) == 0 ? NDBUF_CAST_SATURATE : 0;
    }

    char text[4 * MAX_FORMAT];
    snprintf(text, sizeof(text), "%s:%s", what, cast_flags != 0 ? " saturating" : "");
    print_items(&dst_items, " to ", text, sizeof(text));
    print_items(&src_items, " from ", text, sizeof(text));

    copy_side dst;
    copy_side src;
    if (one_storage) {
        if (test_random_range(random, 0, 2) == 0) { /* side by side */
            src_items.layout.offset += dst_items.layout.nbytes;
            src_items.layout.nbytes += dst_items.layout.nbytes;
        }
        int64_t nbytes =
            dst_items.layout.nbytes > src_items.layout.nbytes ? dst_items.layout.nbytes : src_items.layout.nbytes;
        side_init(&dst, random, copy_case->dst, (size_t)nbytes, &dst_items, &src_items);
        src = (copy_side){.start = dst.start};
        items_view(&src_items, dst.storage, &src.view);
    } else {
        side_init(&dst, random, copy_case->dst, (size_t)dst_items.layout.nbytes, &dst_items, NULL);
        side_init(&src, random, copy_case->src, (size_t)src_items.layout.nbytes, &src_items, &src_items);
    }
    char *expected = new_bytes(dst.nbytes);
    memcpy(expected, dst.start, dst.nbytes);
    test_convert_view(&dst_items.layout, &dst_items.type, dst.buffer != NULL ? dst.buffer : dst.start,
                      &src_items.layout, &src_items.type, src.buffer != NULL ? src.buffer : src.start, cast_flags,
                      expected);

    ndbuf_error error = {0};
    if (run_copy(copy_case, &dst.view, &src.view, cast_flags, &error) != NDBUF_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    if (copy_case->queue != NULL) {
        ndbuf_view_release(&src.view);
        let_go(&dst, true);
        if (!one_storage) {
            let_go(&src, false);
        }
        if (ndbuf_queue_wait(copy_case->queue, &error) != NDBUF_OK) {
            fail_msg("%s: later: %s", text, error.message);
        }
    }
    side_assert_holds(&dst, expected, text);
    if (!one_storage && copy_case->queue == NULL) {
        side_assert_holds(&src, src.start, text);
    }
    ndbuf_view_release(&dst.view);
    ndbuf_view_release(&src.view);
    side_release_storage(&dst, text);
    side_free(&dst);
    if (!one_storage) {
        side_release_storage(&src, text);
        side_free(&src);
    }
    free(expected);
    test_type_clear(&dst_items.type);
    test_type_clear(&src_items.type);
}

void test_fill_try(const char *what, test_random *random, ndbuf_device *device, ndbuf_queue *queue)
{
    test_layout layout;
    test_layout_random_shape(random, 0, &layout);
    test_layout_random_strides(random, device == ndbuf_device_cpu() ? TEST_LAYOUT_INDIRECT : 0, &layout);
    if (!layout.has_suboffsets && layout.ndim > 0 && test_random_range(random, 0, 3) == 0) {
        int32_t axis = (int32_t)test_random_range(random, 0, layout.ndim - 1);
        if (layout.strides[axis] > 0) { /* all items of the axis are then its first one */
            layout.strides[axis] = 0;
        }
    }
    char text[1024];
    size_t length = (size_t)snprintf(text, sizeof(text), "%s: fill ", what);
    test_layout_print(&layout, text + length, sizeof(text) - length);

    copy_side side;
    const copy_items items = {layout, opaque_type(layout.itemsize)};
    side_init(&side, random, device, (size_t)layout.nbytes, &items, NULL);
    char item[24];
    test_random_fill(random, item, sizeof(item));
    size_t nitems = (size_t)test_layout_nitems(&layout);
    size_t itemsize = (size_t)layout.itemsize;
    char *packed = new_bytes(nitems > 0 ? nitems * itemsize : 1);
    for (size_t i = 0; i < nitems; i++) {
        memcpy(packed + i * itemsize, item, itemsize);
    }
    char *expected = new_bytes(side.nbytes);
    memcpy(expected, side.start, side.nbytes);
    test_layout_unpack(&layout, side.buffer != NULL ? side.buffer : side.start, packed, expected);

    ndbuf_error error = {0};
    if (ndbuf_fill(&side.view, item, layout.itemsize, queue, &error) != NDBUF_OK) {
        fail_msg("%s: %s", text, error.message);
    }
    memset(item, 0, sizeof(item)); /* it was read before the call returned */
    if (queue != NULL) {
        let_go(&side, true);
        if (ndbuf_queue_wait(queue, &error) != NDBUF_OK) {
            fail_msg("%s: later: %s", text, error.message);
        }
    }
    side_assert_holds(&side, expected, text);
    ndbuf_view_release(&side.view);
    side_release_storage(&side, text);
    side_free(&side);
    free(packed);
    free(expected);
}
