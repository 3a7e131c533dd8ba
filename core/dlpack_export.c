/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dlpack_core.h"

#include "core/checked.h"
#include "core/exporter_core.h"
#include "core/host_alloc.h"

/* A tensor that is out, with what keeps its memory. */
typedef struct exported_tensor {
    union {
        DLManagedTensorVersioned versioned;
        DLManagedTensor legacy;
    } tensor;
    ndbuf_view view;
    int64_t dims[]; /* shape and strides of the tensor */
} exported_tensor;

static void exported_free(exported_tensor *exported)
{
    ndbuf_view_release(&exported->view);
    ndbuf__free(exported);
}

static void delete_versioned(DLManagedTensorVersioned *tensor)
{
    exported_free(tensor->manager_ctx);
}

static void delete_legacy(DLManagedTensor *tensor)
{
    exported_free(tensor->manager_ctx);
}

const ndbuf_view *ndbuf_dlpack_view(const struct DLManagedTensorVersioned *tensor)
{
    return tensor != NULL && tensor->deleter == delete_versioned ? &((exported_tensor *)tensor->manager_ctx)->view
                                                                 : NULL;
}

const ndbuf_view *ndbuf_dlpack_view_legacy(const struct DLManagedTensor *tensor)
{
    return tensor != NULL && tensor->deleter == delete_legacy ? &((exported_tensor *)tensor->manager_ctx)->view : NULL;
}

/* Whether axis `k` is walked along: only then does its stride mean anything. */
static inline bool is_walked(const ndbuf_view *view, const ndbuf__layout *layout, int32_t k)
{
    return layout->strides != NULL && layout->shape[k] > 1 && view->nbytes > 0;
}

/* Notes strides that are no multiples of the item size: then the items go out as bytes. */
static void check_strides(const ndbuf_view *view, const ndbuf__layout *layout, ndbuf__dlpack_items *items,
                          ndbuf__losses *losses)
{
    for (int32_t k = 0; k < layout->ndim && !items->as_bytes; k++) {
        if (is_walked(view, layout, k) && layout->strides[k] % layout->itemsize != 0) {
            ndbuf__loss_add(losses, NDBUF_LOSS_STRIDES, NDBUF_ERR_COPY_NEEDED, "DLPack",
                            "axis %d has a stride of %lld bytes, no multiple of the item's %lld", (int)k,
                            (long long)layout->strides[k], (long long)layout->itemsize);
            *items = (ndbuf__dlpack_items){.type = {kDLUInt, 8, 1}, .as_bytes = true, .alignment = 1};
        }
    }
}

/* Finds the type, and everything that is lost. Statuses: of the first loss that is not accepted. */
static ndbuf_status examine(const ndbuf_view *view, const ndbuf__layout *layout,
                            const ndbuf_dlpack_export_options *options, bool is_legacy, ndbuf_loss *report,
                            ndbuf__dlpack_items *out_items, ndbuf_error *err)
{
    ndbuf__losses losses = ndbuf__losses_begin(options->accept & ~(uint32_t)NDBUF_LOSS_SUBOFFSETS, report, err);
    if ((ndbuf_format_flags(view->layout) & NDBUF_FORMAT_HOST_ONLY) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "DLPack: objects and pointers mean nothing elsewhere: '%.60s'",
                          ndbuf_format_text(view->layout));
    }
    ndbuf__dlpack_items items =
        ndbuf__dlpack_items_of(view->layout, (options->flags & NDBUF_DLPACK_LANES) != 0, &losses);
    check_strides(view, layout, &items, &losses);
    if (view->suboffsets != NULL) {
        ndbuf__loss_add(&losses, NDBUF_LOSS_SUBOFFSETS, NDBUF_ERR_COPY_NEEDED, "DLPack",
                        "it has no suboffsets: the items lie behind pointers");
    }
    if (is_legacy && (view->flags & NDBUF_VIEW_READONLY) != 0) {
        ndbuf__loss_add(&losses, NDBUF_LOSS_READONLY, NDBUF_ERR_READONLY, "DLPack before 1.0",
                        "it cannot say that the memory is read-only");
    }
    if (report != NULL && view->nbytes > 0) {
        bool has_address = ndbuf__device_has_addresses(view->device);
        ndbuf__loss_set_alignment(&losses, ndbuf__alignment_of(view->handle, view->byte_offset, has_address),
                                  items.alignment);
    }
    *out_items = items;
    return losses.status;
}

/* Fills shape and strides: `ndim` entries each, one more than the view has if the items go out as bytes. */
static void fill_dims(const ndbuf_view *view, const ndbuf__layout *layout, bool as_bytes, int64_t *shape,
                      int64_t *strides)
{
    int64_t unit = as_bytes ? 1 : layout->itemsize;
    int64_t compact = 1; /* of the next axis outwards. Beyond 63 bits it is 0, and means nothing */
    bool overflow = false;
    if (as_bytes) {
        shape[layout->ndim] = layout->itemsize;
        strides[layout->ndim] = 1;
        compact = layout->itemsize;
    }
    for (int32_t k = layout->ndim - 1; k >= 0; k--) {
        shape[k] = layout->shape[k];
        strides[k] = is_walked(view, layout, k) ? layout->strides[k] / unit : compact;
        compact = ndbuf__mul_i64(strides[k], shape[k] > 0 ? shape[k] : 1, &overflow);
    }
}

static void fill_tensor(DLTensor *tensor, exported_tensor *exported, const ndbuf__layout *layout,
                        const ndbuf__dlpack_items *items, bool keep_offset)
{
    const ndbuf_view *view = &exported->view;
    int32_t ndim = layout->ndim + (items->as_bytes ? 1 : 0);
    bool fold = (!keep_offset || view->has_left) && ndbuf__device_has_addresses(view->device);
    fill_dims(view, layout, items->as_bytes, exported->dims, exported->dims + ndim);
    tensor->data = NULL;
    tensor->byte_offset = 0;
    if (view->nbytes > 0) {
        tensor->data = fold ? (char *)view->handle + view->byte_offset : view->handle;
        tensor->byte_offset = fold ? 0 : (uint64_t)view->byte_offset;
    }
    tensor->device = (DLDevice){(DLDeviceType)view->device.type, view->device.id};
    tensor->ndim = ndim;
    tensor->dtype = items->type;
    tensor->shape = ndim > 0 ? exported->dims : NULL;
    tensor->strides = ndim > 0 ? exported->dims + ndim : NULL;
}

/* A tensor that holds a view, but for its head. */
static ndbuf_status export_view(const ndbuf_view *view, const ndbuf_dlpack_export_options *options, bool is_legacy,
                                ndbuf_loss *report, exported_tensor **out_exported, ndbuf_error *err)
{
    static const ndbuf_dlpack_export_options defaults = {0};
    ndbuf__dlpack_items items = {0};
    ndbuf_status status = ndbuf__view_check(view, "view", err);
    if (status != NDBUF_OK) {
        return status;
    }
    options = options != NULL ? options : &defaults;
    const uint32_t known = NDBUF_DLPACK_KEEP_OFFSET | NDBUF_DLPACK_NO_WAIT | NDBUF_DLPACK_LANES;
    if ((options->flags & ~known) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "unknown flags 0x%x of an export", (unsigned)options->flags);
    }
    ndbuf__layout layout = ndbuf__view_layout(view);
    status = examine(view, &layout, options, is_legacy, report, &items, err);
    if (status == NDBUF_OK && view->ready != NULL && (options->flags & NDBUF_DLPACK_NO_WAIT) == 0) {
        status = ndbuf__view_settle(view, options->native_queue, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    exported_tensor *exported =
        ndbuf__malloc(sizeof(*exported) + 2 * ((size_t)layout.ndim + 1) * sizeof(exported->dims[0]));
    if (exported == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a DLPack tensor of %d dimensions", (int)layout.ndim);
    }
    status = ndbuf_view_copy(&exported->view, view, err);
    if (status != NDBUF_OK) {
        ndbuf__free(exported);
        return status;
    }
    fill_tensor(is_legacy ? &exported->tensor.legacy.dl_tensor : &exported->tensor.versioned.dl_tensor, exported,
                &layout, &items, (options->flags & NDBUF_DLPACK_KEEP_OFFSET) != 0);
    *out_exported = exported;
    return NDBUF_OK;
}

ndbuf_status ndbuf_dlpack_export(const ndbuf_view *view, const ndbuf_dlpack_export_options *options,
                                 struct DLManagedTensorVersioned **out_tensor, ndbuf_loss *out_loss, ndbuf_error *err)
{
    exported_tensor *exported;
    ndbuf_status status = export_view(view, options, false, out_loss, &exported, err);
    if (status != NDBUF_OK) {
        return status;
    }
    DLManagedTensorVersioned *tensor = &exported->tensor.versioned;
    tensor->version = (DLPackVersion){1, 3};
    tensor->manager_ctx = exported;
    tensor->deleter = delete_versioned;
    tensor->flags = 0;
    if ((view->flags & NDBUF_VIEW_READONLY) != 0) {
        tensor->flags |= DLPACK_FLAG_BITMASK_READ_ONLY;
    }
    if ((view->flags & NDBUF_VIEW_COPIED) != 0) {
        tensor->flags |= DLPACK_FLAG_BITMASK_IS_COPIED;
    }
    *out_tensor = tensor;
    return NDBUF_OK;
}

ndbuf_status ndbuf_dlpack_export_legacy(const ndbuf_view *view, const ndbuf_dlpack_export_options *options,
                                        struct DLManagedTensor **out_tensor, ndbuf_loss *out_loss, ndbuf_error *err)
{
    exported_tensor *exported;
    ndbuf_status status = export_view(view, options, true, out_loss, &exported, err);
    if (status != NDBUF_OK) {
        return status;
    }
    DLManagedTensor *tensor = &exported->tensor.legacy;
    tensor->manager_ctx = exported;
    tensor->deleter = delete_legacy;
    *out_tensor = tensor;
    return NDBUF_OK;
}
