/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/exporter.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/checked.h"
#include "core/compiler.h"
#include "core/device_core.h"
#include "core/exporter_core.h"
#include "core/host_alloc.h"
#include "core/layout.h"
#include "core/queue_core.h"
#include "core/ref_count.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* The state of an exporter in one word, so that an acquisition costs one atomic addition: how many views are out, how
 * many references the exporter itself has, and whether its view is being replaced at this moment. */
#define STATE_EXPORT ((uint64_t)1 << 32)
#define STATE_REPLACING ((uint64_t)1 << 31)

typedef struct view_exporter {
    ndbuf_exporter base; /* its owner counts references */
    ndbuf_owner exports; /* the owner of the views that are out: counts them */
    _Atomic(uint64_t) state;
    ndbuf_view view;  /* what is exported */
    ndbuf_view shown; /* what a consumer who asks for everything gets: its arrays are those of `view` */
    bool c_contiguous;
    bool f_contiguous;
    bool is_plain; /* on the host, and not waiting for an event */
} view_exporter;

static view_exporter *exporter_of_exports(ndbuf_owner *exports)
{
    return (view_exporter *)(void *)((char *)exports - offsetof(view_exporter, exports));
}

NDBUF__NOINLINE static void exporter_destroy(view_exporter *self)
{
    ndbuf_view_release(&self->view);
    ndbuf__free(self);
}

static inline void state_subtract(view_exporter *self, uint64_t amount)
{
    if (ndbuf__count_add(&self->state, 0 - amount) == amount) {
        exporter_destroy(self);
    }
}

static void exporter_retain(ndbuf_owner *owner)
{
    ndbuf__count_add(&((view_exporter *)(void *)owner)->state, 1);
}

static void exporter_release(ndbuf_owner *owner)
{
    state_subtract((view_exporter *)(void *)owner, 1);
}

static void exports_retain(ndbuf_owner *exports)
{
    ndbuf__count_add(&exporter_of_exports(exports)->state, STATE_EXPORT);
}

static void exports_release(ndbuf_owner *exports)
{
    state_subtract(exporter_of_exports(exports), STATE_EXPORT);
}

/* The release function of the views that are out: ndbuf__view_release without the detour by the owner, in the common
 * case that the view holds nothing else. */
static void shown_release(ndbuf_view *view)
{
    if (view->held != NDBUF__HOLDS_OWNER) {
        ndbuf__view_release(view);
        return;
    }
    view_exporter *self = exporter_of_exports(view->owner);
    ndbuf__view_empty(view);
    state_subtract(self, STATE_EXPORT);
}

/* -- answering a request -- */

/* Sets what follows from the exported view. */
static void exporter_settle(view_exporter *self)
{
    ndbuf_view *shown = &self->shown;
    memcpy(shown, &self->view, NDBUF__VIEW_HEAD_NBYTES);
    shown->flags &= ~(uint32_t)NDBUF_VIEW_COPIED; /* of the exporter's own memory it is none */
    shown->ready = NULL;
    shown->owner = &self->exports;
    shown->release = shown_release;
    shown->held = NDBUF__HOLDS_OWNER;
    self->c_contiguous = ndbuf_view_is_contiguous(&self->view, 'C') != 0;
    self->f_contiguous = ndbuf_view_is_contiguous(&self->view, 'F') != 0;
    self->is_plain = self->view.device.type == NDBUF_DEVICE_CPU && self->view.ready == NULL;
}

/* Fills a view that shares the exporter's arrays and format, and shows what was asked for. */
static void view_show(const view_exporter *self, const ndbuf_request *request, ndbuf_view *out_view)
{
    memcpy(out_view, &self->shown, NDBUF__VIEW_HEAD_NBYTES);
    ndbuf__request_hide(request->flags, out_view);
}

/* Lets a queue of the driver's wait for the driver's own event, without a queue of ours, whose release would wait for
 * all that it has. False: the event is of another driver, or cannot be waited for so; or the queue is being captured,
 * which the event may be no part of. */
static bool settle_natively(ndbuf_device *device, void *native_queue, const ndbuf_event *ready)
{
    const ndbuf_backend_ops *ops = device->ops;
    ndbuf_queue *queue = NULL;
    if (ready->native == NULL || ready->device->ops->queue_wait_native != ops->queue_wait_native ||
        ops->queue_create(device, native_queue, &queue, NULL) != NDBUF_OK) {
        return false;
    }
    int32_t is_capturing = 0;
    ndbuf_status status = ops->queue_is_capturing(queue, &is_capturing, NULL);
    if (status == NDBUF_OK && !is_capturing) {
        status = ops->queue_wait_native(queue, ready->native, NULL);
    }
    ops->queue_destroy(queue);
    return status == NDBUF_OK && !is_capturing;
}

ndbuf_status ndbuf__view_settle(const ndbuf_view *view, void *native_queue, ndbuf_error *err)
{
    ndbuf_device *device = ndbuf__view_device(view);
    ndbuf_queue *queue = NULL;
    if (native_queue == NULL) {
        return ndbuf_event_wait(view->ready, err);
    }
    ndbuf_status status = ndbuf__event_tell(view->ready, err);
    if (status != NDBUF_OK || settle_natively(device, native_queue, view->ready)) {
        return status;
    }
    status = ndbuf_queue_import(device, native_queue, &queue, err);
    if (status == NDBUF_OK) {
        status = ndbuf_queue_wait_event(queue, view->ready, err);
        ndbuf_queue_release(queue);
    }
    return status;
}

/* Makes the consumer see finished contents, or hands on the event if it waits itself. */
static ndbuf_status settle_ready(const view_exporter *self, const ndbuf_request *request, ndbuf_view *view,
                                 ndbuf_error *err)
{
    if (ndbuf__asks(request->flags, NDBUF_REQUEST_READY_EVENT)) {
        ndbuf_status status = ndbuf__event_tell(self->view.ready, err); /* which other libraries cannot ask */
        if (status != NDBUF_OK) {
            return status;
        }
        ndbuf_event_retain(self->view.ready);
        view->ready = self->view.ready;
        view->held |= NDBUF__HOLDS_READY;
        return NDBUF_OK;
    }
    return ndbuf__view_settle(&self->view, request->native_queue, err);
}

/* The device for a copy: the memory's own if the request accepts it, else the first here of those that the request
 * names, else the host. Retained. */
static ndbuf_status copy_device(const view_exporter *self, const ndbuf_request *request, ndbuf_device **out_device,
                                ndbuf_error *err)
{
    ndbuf_request place = *request;
    place.alignment = 0;
    if (ndbuf__request_check_place(&place, &self->view, NULL) == NDBUF_OK) {
        *out_device = ndbuf__view_device(&self->view);
        ndbuf__device_retain(*out_device);
        return NDBUF_OK;
    }
    if (request->ndevices == 0) {
        *out_device = ndbuf_device_cpu();
        return NDBUF_OK;
    }
    ndbuf_status status = NDBUF_ERR_UNAVAILABLE;
    ndbuf_error why = {0}; /* the preferred device's, if none is here */
    for (int32_t i = 0; i < request->ndevices && status == NDBUF_ERR_UNAVAILABLE; i++) {
        ndbuf_error one = {0};
        status = ndbuf__device_of_tag(request->devices[i], out_device, &one);
        if (i == 0 || status != NDBUF_ERR_UNAVAILABLE) {
            why = one;
        }
    }
    if (status != NDBUF_OK && err != NULL) {
        *err = why;
    }
    return status;
}

/* A view like the exporter's in new memory, contiguous in `order` and aligned. */
static ndbuf_status create_packed(const view_exporter *self, const ndbuf_request *request, ndbuf_device *device,
                                  char order, ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf__layout layout = ndbuf__view_layout(&self->view);
    int64_t strides[NDBUF_MAX_NDIM];
    bool overflow = false;
    ndbuf__layout_fill_strides(layout.ndim, layout.shape, layout.itemsize, order, strides, &overflow);
    int64_t nbytes = ndbuf__add_i64(self->view.nbytes, request->alignment, &overflow);
    if (overflow) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "a copy of %lld bytes aligned to %lld is beyond 63 bits",
                          (long long)self->view.nbytes, (long long)request->alignment);
    }
    ndbuf_storage *storage = NULL;
    ndbuf_status status = ndbuf_storage_create(device, (size_t)nbytes, &storage, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t offset = 0;
    if (request->alignment > 0) {
        offset = (int64_t)(-ndbuf__mem_address(&storage->mem) & (uintptr_t)(request->alignment - 1));
    }
    layout.strides = strides;
    layout.suboffsets = NULL;
    status = ndbuf__view_fill(out_view, storage, self->view.layout, offset, &layout, NDBUF_VIEW_COPIED, NULL, err);
    ndbuf_storage_release(storage);
    return status;
}

static ndbuf_status acquire_copy(const view_exporter *self, const ndbuf_request *request, ndbuf_view *out_view,
                                 ndbuf_error *err)
{
    bool fortran = ndbuf__asks(request->flags, NDBUF_REQUEST_F_CONTIGUOUS);
    if (fortran && ndbuf__asks(request->flags, NDBUF_REQUEST_C_CONTIGUOUS) &&
        !(self->c_contiguous && self->f_contiguous)) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST, "C_CONTIGUOUS and F_CONTIGUOUS: no copy of this shape is both");
    }
    ndbuf_device *device = NULL;
    ndbuf_view copy = {0};
    ndbuf_status status = copy_device(self, request, &device, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = create_packed(self, request, device, fortran ? 'F' : 'C', &copy, err);
    ndbuf_device_close(device);
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&copy, &self->view, NULL, err);
    }
    if (status == NDBUF_OK) {
        ndbuf__request_hide(request->flags, &copy);
        ndbuf_view_move(out_view, &copy);
    }
    ndbuf_view_release(&copy);
    return status;
}

/* Whether the memory meets the request as it is. */
static ndbuf_status check_memory(const view_exporter *self, const ndbuf_request *request, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__request_check_place(request, &self->view, err);
    if (status != NDBUF_OK) {
        return status;
    }
    const char *unmet =
        ndbuf__request_unmet(request->flags, self->view.suboffsets != NULL, self->c_contiguous, self->f_contiguous);
    if (unmet != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST, "%s", unmet);
    }
    if ((request->flags & NDBUF_REQUEST_WRITABLE) != 0 && (self->view.flags & NDBUF_VIEW_READONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_READONLY, "WRITABLE: the memory is read-only");
    }
    return NDBUF_OK;
}

/* With one export counted, which the view takes over. */
static ndbuf_status acquire_shared(view_exporter *self, const ndbuf_request *request, ndbuf_view *out_view,
                                   ndbuf_error *err)
{
    if (self->view.ready == NULL) {
        view_show(self, request, out_view);
        return NDBUF_OK;
    }
    ndbuf_view view = {0};
    view_show(self, request, &view);
    ndbuf_status status = settle_ready(self, request, &view, err);
    if (status == NDBUF_OK) {
        ndbuf_view_move(out_view, &view);
    }
    return status;
}

/* Any request; ndbuf__exporter_acquire answers the common ones itself. One export has been counted; it was `state`
 * before. */
NDBUF__NOINLINE static ndbuf_status acquire_any(view_exporter *self, uint64_t state, const ndbuf_request *request,
                                                ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__request_check(request, err);
    if (status == NDBUF_OK && (state & STATE_REPLACING) != 0) {
        status = ndbuf_fail(err, NDBUF_ERR_BUSY, "the exporter is replacing its memory");
    }
    bool may_copy = status == NDBUF_OK && request->copy != NDBUF_COPY_NEVER;
    if (status == NDBUF_OK && request->copy != NDBUF_COPY_ALWAYS) {
        status = check_memory(self, request, may_copy ? NULL : err);
        if (status == NDBUF_OK) {
            may_copy = false;
            status = acquire_shared(self, request, out_view, err);
            if (status == NDBUF_OK) {
                return NDBUF_OK;
            }
        }
    }
    if (may_copy) {
        status = acquire_copy(self, request, out_view, err);
    }
    exports_release(&self->exports);
    return status;
}

/* Whether a request asks for nothing beyond PEP 3118's flags, and the memory, on the host and finished, meets them. */
static inline bool is_met_plainly(const view_exporter *self, const ndbuf_request *request)
{
    return request->abi_version == NDBUF_ABI_VERSION && request->view_nbytes == sizeof(ndbuf_view) &&
           (request->flags & (NDBUF_REQUEST_FORMAT | NDBUF_REQUEST_ND)) != NDBUF_REQUEST_FORMAT &&
           request->copy == NDBUF_COPY_NEVER && request->ndevices == 0 && request->alignment == 0 && self->is_plain &&
           ((request->flags & NDBUF_REQUEST_WRITABLE) == 0 || (self->view.flags & NDBUF_VIEW_READONLY) == 0) &&
           ndbuf__request_unmet(request->flags, self->shown.suboffsets != NULL, self->c_contiguous,
                                self->f_contiguous) == NULL;
}

ndbuf_status ndbuf__exporter_acquire(ndbuf_exporter *exporter, const ndbuf_request *request, ndbuf_view *out_view,
                                     ndbuf_error *err)
{
    view_exporter *self = (view_exporter *)(void *)exporter;
    uint64_t state = ndbuf__count_add(&self->state, STATE_EXPORT);
    if (NDBUF__LIKELY((state & STATE_REPLACING) == 0 && is_met_plainly(self, request))) {
        view_show(self, request, out_view);
        return NDBUF_OK;
    }
    return acquire_any(self, state, request, out_view, err);
}

/* -- making -- */

ndbuf_status ndbuf_exporter_create(const ndbuf_view *view, ndbuf_exporter **out_exporter, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    view_exporter *self = ndbuf__calloc(1, sizeof(*self));
    if (self == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for an exporter");
    }
    status = ndbuf_view_copy(&self->view, view, err);
    if (status != NDBUF_OK) {
        ndbuf__free(self);
        return status;
    }
    self->base.owner = (ndbuf_owner){&ndbuf__library, exporter_retain, exporter_release};
    self->base.abi_version = NDBUF_ABI_VERSION;
    self->base.acquire = ndbuf__exporter_acquire;
    self->exports = (ndbuf_owner){&ndbuf__library, exports_retain, exports_release};
    atomic_init(&self->state, 1);
    exporter_settle(self);
    *out_exporter = &self->base;
    return NDBUF_OK;
}

int64_t ndbuf_exporter_nexports(const ndbuf_exporter *exporter)
{
    const view_exporter *self = (const view_exporter *)(const void *)exporter;
    return (int64_t)(atomic_load_explicit(&self->state, memory_order_acquire) / STATE_EXPORT);
}

ndbuf_status ndbuf_exporter_replace(ndbuf_exporter *exporter, const ndbuf_view *view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (exporter == NULL || !ndbuf__exporter_is_own(exporter)) {
        return ndbuf_fail(err, NDBUF_ERR_ABI, "not an exporter that this library made");
    }
    view_exporter *self = (view_exporter *)(void *)exporter;
    ndbuf_view copy = {0};
    status = ndbuf_view_copy(&copy, view, err);
    if (status != NDBUF_OK) {
        return status;
    }
    uint64_t state = atomic_load_explicit(&self->state, memory_order_relaxed);
    do {
        if (state >= STATE_EXPORT || (state & STATE_REPLACING) != 0) {
            ndbuf_view_release(&copy);
            return ndbuf_fail(err, NDBUF_ERR_BUSY, "%llu view(s) of the exporter are out",
                              (unsigned long long)(state / STATE_EXPORT));
        }
    } while (!atomic_compare_exchange_weak_explicit(&self->state, &state, state | STATE_REPLACING, memory_order_acq_rel,
                                                    memory_order_relaxed));
    ndbuf_view old = {0};
    ndbuf_view_move(&old, &self->view);
    ndbuf_view_move(&self->view, &copy);
    exporter_settle(self);
    atomic_fetch_sub_explicit(&self->state, STATE_REPLACING, memory_order_release);
    ndbuf_view_release(&old);
    return NDBUF_OK;
}
