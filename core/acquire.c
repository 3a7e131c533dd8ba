/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/backend.h"

#include "core/device_core.h"
#include "core/exporter_core.h"
#include "core/host_alloc.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* -- adopting a foreign view -- */

static void release_foreign(void *context, void *handle)
{
    (void)handle;
    ndbuf_view *foreign = context;
    ndbuf_view_release(foreign);
    ndbuf__free(foreign);
}

/* What a foreign view says about itself, as far as it can be checked without its memory. */
static ndbuf_status check_foreign(const ndbuf_view *view, ndbuf_error *err)
{
    if (view->abi_version != NDBUF_ABI_VERSION) {
        return ndbuf_fail(err, NDBUF_ERR_ABI, "a view of ABI %u; this library has ABI %u", (unsigned)view->abi_version,
                          NDBUF_ABI_VERSION);
    }
    if (view->release == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the view has no release function");
    }
    if (view->ndim < 0 || view->ndim > NDBUF_MAX_NDIM) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the view has ndim %d", (int)view->ndim);
    }
    if (view->itemsize < 0 || view->storage_nbytes < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the view has itemsize %lld in a storage of %lld bytes",
                          (long long)view->itemsize, (long long)view->storage_nbytes);
    }
    if (view->shape == NULL && view->strides != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the view has strides but no shape");
    }
    return NDBUF_OK;
}

/* The format of a foreign view; without a text, bytes of the item size. */
static ndbuf_status foreign_format(const ndbuf_view *view, ndbuf_format **out_format, ndbuf_error *err)
{
    if (view->format == NULL && view->itemsize > 1) {
        return ndbuf_format_create(NDBUF_KIND_OPAQUE, view->itemsize, '=', out_format, err);
    }
    return ndbuf_format_parse(view->format, view->itemsize, out_format, err);
}

/* What a foreign view says of its shape. A view of plain bytes (no shape) has its items side by side. */
static ndbuf_status foreign_spec(const ndbuf_view *view, ndbuf_format *format, int64_t *nitems,
                                 ndbuf_view_spec *out_spec, ndbuf_error *err)
{
    *out_spec = (ndbuf_view_spec){.format = format,
                                  .byte_offset = view->byte_offset,
                                  .ndim = view->ndim,
                                  .flags = view->flags & NDBUF_VIEW_READONLY,
                                  .shape = view->shape,
                                  .strides = view->strides,
                                  .suboffsets = view->suboffsets};
    if (view->shape == NULL && view->ndim > 0) {
        if (view->itemsize == 0 || view->nbytes < 0 || view->nbytes % view->itemsize != 0) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "the view has %lld bytes in items of %lld",
                              (long long)view->nbytes, (long long)view->itemsize);
        }
        *nitems = view->nbytes / view->itemsize;
        out_spec->ndim = 1;
        out_spec->shape = nitems;
    }
    return NDBUF_OK;
}

/* A view like `foreign` over a storage that does not release anything yet. */
static ndbuf_status make_like(ndbuf_view *out_view, const ndbuf_view *foreign, ndbuf_error *err)
{
    ndbuf_device *device = NULL;
    ndbuf_format *format = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_view_spec spec;
    int64_t nitems = 0;
    ndbuf_status status = foreign_format(foreign, &format, err);
    if (status == NDBUF_OK) {
        status = foreign_spec(foreign, format, &nitems, &spec, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf__device_of_tag(foreign->device, &device, err);
    }
    if (status == NDBUF_OK) {
        uint32_t flags = (foreign->flags & NDBUF_VIEW_READONLY) != 0 ? NDBUF_STORAGE_READONLY : 0;
        status = ndbuf_storage_adopt(device, foreign->handle, (size_t)foreign->storage_nbytes, flags, NULL, NULL,
                                     &storage, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_view_init(out_view, storage, &spec, err);
    }
    if (status == NDBUF_OK && out_view->nbytes != foreign->nbytes) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "the view says %lld bytes, its shape and item size %lld",
                            (long long)foreign->nbytes, (long long)out_view->nbytes);
        ndbuf_view_release(out_view);
    }
    ndbuf_storage_release(storage);
    ndbuf_device_close(device);
    ndbuf_format_release(format);
    return status;
}

ndbuf_status ndbuf_view_import(ndbuf_view *out_view, ndbuf_view *foreign, ndbuf_error *err)
{
    if (foreign == NULL || foreign->release == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no view to import");
    }
    if (ndbuf__view_is_own(foreign)) {
        ndbuf_view_move(out_view, foreign);
        return NDBUF_OK;
    }
    ndbuf_status status = check_foreign(foreign, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (foreign->ready != NULL) { /* an event of another library cannot be kept here */
        status = foreign->ready->device->ops->event_wait(foreign->ready, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    ndbuf_view made = {0};
    ndbuf_view *holder = ndbuf__malloc(sizeof(*holder));
    if (holder == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to hold a foreign view");
    }
    status = make_like(&made, foreign, err);
    if (status != NDBUF_OK) {
        ndbuf__free(holder);
        return status;
    }
    made.flags |= foreign->flags & NDBUF_VIEW_COPIED;
    ndbuf_view_move(holder, foreign);
    made.storage->release = release_foreign;
    made.storage->release_context = holder;
    ndbuf_view_move(out_view, &made);
    return NDBUF_OK;
}

/* -- acquiring -- */

/* Checks the answer of an exporter that is not ours. */
static ndbuf_status check_answer(const ndbuf_request *request, const ndbuf_view *view, ndbuf_error *err)
{
    uint32_t flags = request->flags;
    ndbuf_status status = check_foreign(view, err);
    if (status != NDBUF_OK) {
        return status;
    }
    const char *broken = NULL;
    if ((flags & NDBUF_REQUEST_WRITABLE) != 0 && (view->flags & NDBUF_VIEW_READONLY) != 0) {
        broken = "WRITABLE was asked for, and the view is read-only";
    } else if (ndbuf__asks(flags, NDBUF_REQUEST_FORMAT) != (view->format != NULL)) {
        broken = view->format != NULL ? "FORMAT was not asked for, and the view has one"
                                      : "FORMAT was asked for, and the view has none";
    } else if (view->ndim > 0 && ndbuf__asks(flags, NDBUF_REQUEST_ND) != (view->shape != NULL)) {
        broken = "ND and the view's shape do not agree";
    } else if (view->ndim > 0 && ndbuf__asks(flags, NDBUF_REQUEST_STRIDES) != (view->strides != NULL)) {
        broken = "STRIDES and the view's strides do not agree";
    } else if (request->copy == NDBUF_COPY_NEVER && (view->flags & NDBUF_VIEW_COPIED) != 0) {
        broken = "a copy was not allowed, and the view is one";
    } else if (request->copy == NDBUF_COPY_ALWAYS && (view->flags & NDBUF_VIEW_COPIED) == 0) {
        broken = "a copy was asked for, and the view is none";
    } else if (view->ready != NULL && !ndbuf__asks(flags, NDBUF_REQUEST_READY_EVENT)) {
        broken = "READY_EVENT was not asked for, and the view has one";
    }
    if (broken != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the exporter broke the protocol: %s", broken);
    }
    ndbuf_error why = {0};
    status = ndbuf__request_check_place(request, view, &why);
    if (status == NDBUF_OK) {
        bool is_plain = view->shape == NULL; /* bytes or items side by side: nothing to compute contiguity from */
        broken = ndbuf__request_unmet(flags, view->suboffsets != NULL, is_plain || ndbuf_view_is_contiguous(view, 'C'),
                                      is_plain || ndbuf_view_is_contiguous(view, 'F'));
    } else {
        broken = why.message;
    }
    return broken == NULL ? NDBUF_OK
                          : ndbuf_fail(err, NDBUF_ERR_INVALID, "the exporter broke the protocol: %s", broken);
}

ndbuf_status ndbuf_view_acquire(ndbuf_view *out_view, ndbuf_exporter *exporter, const ndbuf_request *request,
                                ndbuf_error *err)
{
    if (exporter == NULL || request == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no %s", exporter == NULL ? "exporter" : "request");
    }
    if (exporter->abi_version != NDBUF_ABI_VERSION) {
        return ndbuf_fail(err, NDBUF_ERR_ABI, "an exporter of ABI %u; this library has ABI %u",
                          (unsigned)exporter->abi_version, NDBUF_ABI_VERSION);
    }
    if (ndbuf__exporter_is_own(exporter)) {
        return ndbuf__exporter_acquire(exporter, request, out_view, err);
    }
    ndbuf_status status = ndbuf__request_check(request, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf_view answer = {0};
    status = exporter->acquire(exporter, request, &answer, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf_view imported = {0};
    status = check_answer(request, &answer, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_import(&imported, &answer, err);
    }
    if (status != NDBUF_OK) {
        ndbuf_view_release(&answer);
        return status;
    }
    ndbuf__request_hide(request->flags, &imported);
    ndbuf_view_move(out_view, &imported);
    return NDBUF_OK;
}
