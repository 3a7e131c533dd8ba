/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/view.h"

#include <string.h>

#include "core/checked.h"
#include "core/format_core.h"
#include "core/host_alloc.h"
#include "core/storage_core.h"
#include "core/view_core.h"

const char ndbuf__library = 0;

ndbuf_status ndbuf__view_refuse(const ndbuf_view *view, const char *name, ndbuf_error *err)
{
    if (view == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is NULL", name);
    }
    if (view->release == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is empty: never made, or released", name);
    }
    if (view->abi_version != NDBUF_ABI_VERSION) {
        return ndbuf_fail(err, NDBUF_ERR_ABI, "%s was made for version %u of the structs, not %u", name,
                          (unsigned)view->abi_version, NDBUF_ABI_VERSION);
    }
    return ndbuf_fail(err, NDBUF_ERR_ABI, "%s was not made by this copy of the library: import it first", name);
}

/* Lets go of what only this view holds. */
static void release_parts(const ndbuf_view *view)
{
    if ((view->held & NDBUF__HOLDS_DIMS) != 0) {
        ndbuf__free(view->dims);
    }
    if ((view->held & NDBUF__HOLDS_LAYOUT) != 0) {
        ndbuf_format_release(view->layout);
    }
    if ((view->held & NDBUF__HOLDS_READY) != 0) {
        ndbuf_event_release(view->ready);
    }
}

void ndbuf__view_release(ndbuf_view *view)
{
    uint32_t held = view->held;
    ndbuf_owner *owner = view->owner;
    if (held != NDBUF__HOLDS_OWNER) {
        release_parts(view);
    }
    ndbuf__view_empty(view);
    /* Last: the owner may keep the memory that the view itself is in. */
    if ((held & NDBUF__HOLDS_OWNER) != 0) {
        owner->release(owner);
    }
}

void ndbuf__view_finish(ndbuf_view *view, int32_t ndim, int64_t itemsize, int64_t byte_offset, bool has_suboffsets)
{
    /* Unsigned: the product may wrap on its way to an extent of 0. */
    uint64_t nbytes = (uint64_t)itemsize;
    for (int32_t k = 0; k < ndim; k++) {
        nbytes *= (uint64_t)view->dims[k];
    }
    if (has_suboffsets) {
        int32_t k = 0;
        while (k < ndim && view->dims[2 * ndim + k] < 0) {
            k++;
        }
        has_suboffsets = k < ndim;
    }
    view->byte_offset = byte_offset;
    view->nbytes = (int64_t)nbytes;
    view->itemsize = itemsize;
    view->ndim = ndim;
    view->format = ndbuf_format_text(view->layout);
    view->shape = ndim > 0 ? view->dims : NULL;
    view->strides = ndim > 0 ? view->dims + ndim : NULL;
    view->suboffsets = has_suboffsets ? view->dims + 2 * ndim : NULL;
}

ndbuf_status ndbuf__view_fill(ndbuf_view *out_view, ndbuf_storage *storage, ndbuf_format *format, int64_t byte_offset,
                              const ndbuf__layout *layout, uint32_t flags, ndbuf_event *ready, ndbuf_error *err)
{
    int32_t ndim = layout->ndim;
    int64_t *heap = NULL;
    if (ndim > NDBUF_INLINE_NDIM) {
        heap = ndbuf__malloc(3 * (size_t)ndim * sizeof(*heap));
        if (heap == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the shape of a view of %d dimensions", (int)ndim);
        }
    }
    out_view->abi_version = NDBUF_ABI_VERSION;
    out_view->flags = flags;
    out_view->device = storage->mem.device->tag;
    out_view->handle = storage->mem.handle;
    out_view->storage_nbytes = (int64_t)storage->mem.nbytes;
    out_view->reserved = 0;
    out_view->ready = ready;
    out_view->owner = &storage->owner;
    out_view->release = ndbuf__view_release;
    out_view->storage = storage;
    out_view->layout = format;
    out_view->held = NDBUF__HOLDS_OWNER | NDBUF__HOLDS_LAYOUT;
    out_view->has_left = 0;
    out_view->dims = heap != NULL ? heap : out_view->dims_inline;
    if (heap != NULL) {
        out_view->held |= NDBUF__HOLDS_DIMS;
    }
    out_view->owner->retain(out_view->owner);
    ndbuf_format_retain(format);
    if (ready != NULL) {
        ndbuf_event_retain(ready);
        out_view->held |= NDBUF__HOLDS_READY;
    }
    for (int32_t k = 0; k < ndim; k++) {
        out_view->dims[k] = layout->shape[k];
        out_view->dims[ndim + k] = layout->strides[k];
        out_view->dims[2 * ndim + k] = layout->suboffsets != NULL ? layout->suboffsets[k] : -1;
    }
    ndbuf__view_finish(out_view, ndim, layout->itemsize, byte_offset, layout->suboffsets != NULL);
    return NDBUF_OK;
}

/* The layout that a specification asks for. `strides` (ndim entries) is written where it gives none. */
static ndbuf_status layout_of_spec(const ndbuf_view_spec *spec, ndbuf_format *format, ndbuf_device_tag device,
                                   int64_t *strides, ndbuf__layout *out_layout, ndbuf_error *err)
{
    ndbuf_status status = ndbuf__shape_check(spec->ndim, spec->shape, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if ((spec->flags & ~(uint32_t)NDBUF_VIEW_READONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "flags are 0x%x: only NDBUF_VIEW_READONLY can be given",
                          (unsigned)spec->flags);
    }
    if ((ndbuf_format_flags(format) & NDBUF_FORMAT_HOST_ONLY) != 0 && !ndbuf__device_is_host(device)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "items of format '%.100s' mean nothing off the host",
                          ndbuf_format_text(format));
    }
    ndbuf__layout layout = {spec->ndim, ndbuf_format_itemsize(format), spec->shape, spec->strides, NULL};
    for (int32_t k = 0; spec->suboffsets != NULL && k < spec->ndim; k++) {
        if (spec->suboffsets[k] >= 0) {
            layout.suboffsets = spec->suboffsets;
        }
    }
    if (layout.suboffsets != NULL && !ndbuf__device_is_host(device)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "suboffsets in memory of device type %d: only the host has them",
                          (int)device.type);
    }
    if (layout.suboffsets != NULL && spec->strides == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "suboffsets without strides: how far apart pointers lie is not said");
    }
    bool overflow = false;
    ndbuf__layout_nitems(&layout, &overflow);
    if (!overflow && spec->strides == NULL) {
        ndbuf__layout_fill_strides(spec->ndim, spec->shape, layout.itemsize, 'C', strides, &overflow);
        layout.strides = strides;
    }
    if (overflow) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "shape times the item size of %lld bytes exceeds 63 bits",
                          (long long)layout.itemsize);
    }
    *out_layout = layout;
    return NDBUF_OK;
}

/* Proves that the layout lies inside `nbytes` bytes of storage, and that what is behind pointers can be computed. */
static ndbuf_status check_bounds(const ndbuf__layout *layout, int64_t byte_offset, int64_t nbytes, ndbuf_error *err)
{
    if (!ndbuf__layout_has_items(layout)) {
        if (byte_offset < 0 || byte_offset > nbytes) {
            return ndbuf_fail(err, NDBUF_ERR_BOUNDS,
                              "a view without items at byte %lld is outside the storage [0, %lld)",
                              (long long)byte_offset, (long long)nbytes);
        }
        return NDBUF_OK;
    }
    bool overflow = false;
    int64_t lo, hi;
    ndbuf__layout_range(layout, &lo, &hi, &overflow);
    lo = ndbuf__add_i64(byte_offset, lo, &overflow);
    hi = ndbuf__add_i64(byte_offset, hi, &overflow);
    if (overflow || ndbuf__layout_overflows_behind_pointers(layout)) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "shape times strides, from byte offset %lld on, exceeds 63 bits",
                          (long long)byte_offset);
    }
    if (lo < 0 || hi > nbytes) {
        return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "bytes [%lld, %lld) of the view leave the storage [0, %lld)",
                          (long long)lo, (long long)hi, (long long)nbytes);
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_view_init(ndbuf_view *out_view, ndbuf_storage *storage, const ndbuf_view_spec *spec,
                             ndbuf_error *err)
{
    if (storage == NULL || spec == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is NULL", storage == NULL ? "storage" : "spec");
    }
    ndbuf_format *format = spec->format != NULL ? spec->format : ndbuf__format_bytes();
    int64_t strides[NDBUF_MAX_NDIM];
    ndbuf__layout layout;
    ndbuf_status status = layout_of_spec(spec, format, storage->mem.device->tag, strides, &layout, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = check_bounds(&layout, spec->byte_offset, (int64_t)storage->mem.nbytes, err);
    if (status != NDBUF_OK) {
        return status;
    }
    uint32_t readonly = (storage->flags & NDBUF_STORAGE_READONLY) != 0 ? NDBUF_VIEW_READONLY : 0;
    return ndbuf__view_fill(out_view, storage, format, spec->byte_offset, &layout, spec->flags | readonly, NULL, err);
}

ndbuf_status ndbuf_view_create(ndbuf_view *out_view, ndbuf_device *device, ndbuf_format *format, int32_t ndim,
                               const int64_t *shape, ndbuf_error *err)
{
    if (device == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "device is NULL");
    }
    ndbuf_view_spec spec = {.format = format != NULL ? format : ndbuf__format_bytes(), .ndim = ndim, .shape = shape};
    int64_t strides[NDBUF_MAX_NDIM];
    ndbuf__layout layout;
    ndbuf_status status = layout_of_spec(&spec, spec.format, device->tag, strides, &layout, err);
    if (status != NDBUF_OK) {
        return status;
    }
    bool overflow = false;
    int64_t nbytes = ndbuf__layout_nitems(&layout, &overflow) * layout.itemsize;
    ndbuf_storage *storage;
    status = ndbuf_storage_create(device, (size_t)nbytes, &storage, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = ndbuf_view_init(out_view, storage, &spec, err);
    ndbuf_storage_release(storage);
    return status;
}

/* A pointer into the old place of a view, or to elsewhere, as it must be in the new place. */
static int64_t *moved_pointer(const int64_t *pointer, const ndbuf_view *from, const ndbuf_view *to)
{
    uintptr_t address = (uintptr_t)pointer;
    if (address - (uintptr_t)from < sizeof(*from)) {
        address += (uintptr_t)to - (uintptr_t)from;
    }
    return (int64_t *)address;
}

void ndbuf_view_move(ndbuf_view *out_view, ndbuf_view *view)
{
    if (out_view == view) {
        return;
    }
    memcpy(out_view, view, sizeof(*out_view));
    out_view->dims = moved_pointer(view->dims, view, out_view);
    out_view->shape = moved_pointer(view->shape, view, out_view);
    out_view->strides = moved_pointer(view->strides, view, out_view);
    out_view->suboffsets = moved_pointer(view->suboffsets, view, out_view);
    memset(view, 0, sizeof(*view));
}

ndbuf_storage *ndbuf_view_storage(const ndbuf_view *view)
{
    return ndbuf__view_is_own(view) ? view->storage : NULL;
}

ndbuf_device *ndbuf_view_device(const ndbuf_view *view)
{
    return ndbuf__view_is_own(view) ? ndbuf__view_device(view) : NULL;
}

ndbuf_format *ndbuf_view_format(const ndbuf_view *view)
{
    return ndbuf__view_is_own(view) ? view->layout : NULL;
}

void *ndbuf_view_host_address(const ndbuf_view *view)
{
    void *base = NULL;
    if (ndbuf__view_is_own(view)) {
        base = view->storage->mem.host_address;
    } else if (ndbuf__device_is_host(view->device)) {
        base = view->handle;
    }
    return base != NULL ? (char *)base + view->byte_offset : NULL;
}

void ndbuf_view_set_ready(ndbuf_view *view, ndbuf_event *event)
{
    if (!ndbuf__view_is_own(view)) {
        return;
    }
    if (event != NULL) {
        ndbuf_event_retain(event);
    }
    if ((view->held & NDBUF__HOLDS_READY) != 0) {
        ndbuf_event_release(view->ready);
    }
    view->ready = event;
    view->held = event != NULL ? view->held | NDBUF__HOLDS_READY : view->held & ~(uint32_t)NDBUF__HOLDS_READY;
}
