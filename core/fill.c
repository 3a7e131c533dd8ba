/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/copy_core.h"
#include "core/host_alloc.h"
#include "core/queue_core.h"
#include "core/storage_core.h"
#include "core/tuning_core.h"
#include "core/view_core.h"

/* A destination that a queue fills. */
typedef struct fill_lease {
    ndbuf__lease base;
    ndbuf_owner *owner; /* retained */
} fill_lease;

static void fill_lease_end(ndbuf__lease *lease)
{
    ndbuf_owner *owner = ((fill_lease *)lease)->owner;
    ndbuf__block_give(lease);
    owner->release(owner);
}

/* Axes that repeat the same items are cut to one index. */
static ndbuf_status drop_repeats(ndbuf_view *view, ndbuf_error *err)
{
    static const ndbuf_slice first = {.start = 0, .stop = 1, .given = NDBUF_SLICE_START | NDBUF_SLICE_STOP};
    ndbuf_status status = NDBUF_OK;
    ndbuf__layout layout = ndbuf__view_layout(view);
    for (int32_t k = 0; k < layout.ndim && status == NDBUF_OK; k++) {
        if (layout.strides[k] == 0 && layout.shape[k] > 1) {
            status = ndbuf_view_slice(view, k, &first, view, err);
            layout = ndbuf__view_layout(view);
        }
    }
    return status;
}

/* One call of the backend. NDBUF_ERR_UNSUPPORTED: it cannot. */
static ndbuf_status fill_direct(const ndbuf_view *dst, const ndbuf__plan *plan, const void *item, ndbuf_queue *queue,
                                bool is_capturing, ndbuf_error *err)
{
    int64_t offset;
    const ndbuf_mem mem = ndbuf__view_mem(dst, &offset);
    const ndbuf_backend_ops *ops = mem.device->ops;
    ndbuf_copy_caps caps = {0};
    ndbuf__tuning_start();
    ops->copy_caps(mem.device, mem.device, &caps);
    if ((caps.flags & NDBUF_CAN_FILL) == 0 || plan->indirect || (queue != NULL && queue->device != mem.device)) {
        return NDBUF_ERR_UNSUPPORTED;
    }
    fill_lease *lease = NULL;
    if (queue != NULL && !is_capturing) {
        lease = ndbuf__lease_take(queue, sizeof(*lease), fill_lease_end);
        if (lease == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a fill in a queue");
        }
    }
    ndbuf_fill_box box = {
        .dst = {.mem = &mem, .offset = offset + plan->axes.dst_offset, .strides = plan->axes.dst_strides},
        .ndim = plan->axes.ndim,
        .shape = plan->axes.shape,
        .item = item,
        .item_nbytes = plan->axes.unit_nbytes};
    ndbuf_status status = ops->fill_strided(queue != NULL ? queue : mem.device->default_queue, &box, err);
    if (queue == NULL) {
        if (status == NDBUF_ERR_UNSUPPORTED) {
            return status;
        }
        ndbuf_status wait_status = ops->queue_wait(mem.device->default_queue, status == NDBUF_OK ? err : NULL);
        return status != NDBUF_OK ? status : wait_status;
    }
    if (status != NDBUF_ERR_UNSUPPORTED && lease != NULL) { /* a part may be under way where it has failed */
        lease->owner = dst->owner;
        dst->owner->retain(dst->owner);
        ndbuf__lease_begin(&lease->base);
    } else {
        ndbuf__block_give(lease);
    }
    return status;
}

/* A view of one item on the host, repeated to the shape of `like`. */
static ndbuf_status repeat_item(ndbuf_view *out_view, const ndbuf_view *like, const void *item, ndbuf_error *err)
{
    static const int64_t no_strides[NDBUF_MAX_NDIM] = {0};
    ndbuf_storage *storage = NULL;
    ndbuf_status status = ndbuf_storage_create(ndbuf_device_cpu(), (size_t)like->itemsize, &storage, err);
    if (status != NDBUF_OK) {
        return status;
    }
    memcpy(storage->mem.host_address, item, (size_t)like->itemsize);
    ndbuf__layout layout = ndbuf__view_layout(like);
    layout.strides = no_strides;
    layout.suboffsets = NULL;
    status = ndbuf__view_fill(out_view, storage, like->layout, 0, &layout, 0, NULL, err);
    ndbuf_storage_release(storage);
    return status;
}

static ndbuf_status fill_view(const ndbuf_view *dst, const void *item, ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf_view source = {0};
    ndbuf__plan_input input;
    ndbuf__plan plan;
    ndbuf_device *direct = NULL;
    ndbuf_status status = repeat_item(&source, dst, item, err);
    if (status == NDBUF_OK) {
        static const ndbuf__cast bytes = {0};
        ndbuf__copy_prepare(dst, &source, &bytes, &input, &direct);
        status = ndbuf__plan_make(&plan, &input, err);
    }
    int32_t is_capturing = 0;
    if (status == NDBUF_OK && queue != NULL) {
        status = queue->device->ops->queue_is_capturing(queue, &is_capturing, err);
    }
    bool has_work = status == NDBUF_OK && plan.route != NDBUF_ROUTE_NONE;
    if (has_work) {
        status = ndbuf__copy_wait_ready(dst, queue, err);
    }
    if (has_work && status == NDBUF_OK) {
        ndbuf_error why = {0}; /* if it is not the last word */
        status = fill_direct(dst, &plan, item, queue, is_capturing != 0, &why);
        if (status == NDBUF_ERR_UNSUPPORTED && is_capturing) { /* the item would have to live as long as the graph */
            status = ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                                "the queue is being captured: the device cannot fill this view by itself");
        } else if (status == NDBUF_ERR_UNSUPPORTED) {
            status = ndbuf__copy_execute(&plan, direct, dst, &source, queue, err);
        } else if (status != NDBUF_OK && err != NULL) {
            *err = why;
        }
    }
    ndbuf_view_release(&source);
    return status;
}

ndbuf_status ndbuf_fill(const ndbuf_view *dst, const void *item, int64_t itemsize, ndbuf_queue *queue, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(dst, "dst", err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (itemsize != dst->itemsize || (item == NULL && itemsize > 0)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "an item of %lld bytes cannot fill a view whose items have %lld",
                          item == NULL ? 0LL : (long long)itemsize, (long long)dst->itemsize);
    }
    if ((dst->flags & NDBUF_VIEW_READONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_READONLY, "the destination is read-only");
    }
    status = ndbuf__copy_check_queue(queue, ndbuf__view_device(dst), ndbuf_device_cpu(), err);
    if (status != NDBUF_OK || itemsize == 0) {
        return status;
    }
    ndbuf_view target = {0};
    status = ndbuf_view_copy(&target, dst, err);
    if (status == NDBUF_OK) {
        status = drop_repeats(&target, err);
    }
    if (status == NDBUF_OK) {
        status = fill_view(&target, item, queue, err);
    }
    ndbuf_view_release(&target);
    return status;
}

/* Items of no more bytes are packed without allocating. */
#define SMALL_ITEM_NBYTES 64

ndbuf_status ndbuf_fill_value(const ndbuf_view *dst, const ndbuf_value *values, int64_t nvalues, ndbuf_queue *queue,
                              ndbuf_error *err)
{
    unsigned char small[SMALL_ITEM_NBYTES];
    ndbuf_status status = ndbuf__view_check(dst, "dst", err);
    if (status != NDBUF_OK) {
        return status;
    }
    unsigned char *item = dst->itemsize <= SMALL_ITEM_NBYTES ? small : ndbuf__malloc((size_t)dst->itemsize);
    if (item == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "an item of %lld bytes", (long long)dst->itemsize);
    }
    status = ndbuf_item_pack(ndbuf_view_format(dst), values, nvalues, item, dst->itemsize, err);
    if (status == NDBUF_OK) {
        status = ndbuf_fill(dst, item, dst->itemsize, queue, err);
    }
    if (item != small) {
        ndbuf__free(item);
    }
    return status;
}
