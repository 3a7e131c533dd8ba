/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dlpack_core.h"

#include "core/checked.h"
#include "core/device_core.h"
#include "core/storage_core.h"

/* The last minor version whose flags are known here. Later ones may give a flag a meaning that changes all others. */
#define KNOWN_TENSOR_FLAGS                                                                                             \
    (DLPACK_FLAG_BITMASK_READ_ONLY | DLPACK_FLAG_BITMASK_IS_COPIED | DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED)

/* What a tensor reaches. */
typedef struct tensor_reach {
    ndbuf__layout layout;
    void *handle;        /* of the storage */
    int64_t nbytes;      /* of the storage */
    int64_t byte_offset; /* of item 0..0 in it */
} tensor_reach;

static ndbuf_device_tag tag_of(const DLTensor *tensor)
{
    return (ndbuf_device_tag){(int32_t)tensor->device.device_type, tensor->device.device_id};
}

/* Fills shape and strides in bytes: ndim entries each. */
static ndbuf_status read_dims(const DLTensor *tensor, int64_t itemsize, int64_t *shape, int64_t *strides,
                              ndbuf_error *err)
{
    bool overflow = false;
    ndbuf__layout layout = {tensor->ndim, itemsize, shape, strides, NULL};
    for (int32_t k = 0; k < tensor->ndim; k++) {
        shape[k] = tensor->shape[k]; /* read once: its owner may be careless */
    }
    ndbuf_status status = ndbuf__shape_check(tensor->ndim, shape, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf__layout_nitems(&layout, &overflow);
    if (!overflow) {
        ndbuf__layout_fill_strides(tensor->ndim, shape, itemsize, 'C', strides, &overflow);
    }
    bool has_strides = tensor->strides != NULL && ndbuf__layout_has_items(&layout);
    for (int32_t k = 0; k < tensor->ndim; k++) {
        if (has_strides && shape[k] > 1) {
            strides[k] = ndbuf__mul_i64(tensor->strides[k], itemsize, &overflow);
        }
    }
    return overflow ? ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the tensor's shape or strides exceed 63 bits") : NDBUF_OK;
}

/* Finds the memory that a tensor with items reaches. */
static ndbuf_status find_reach(const DLTensor *tensor, tensor_reach *reach, ndbuf_error *err)
{
    bool overflow = tensor->byte_offset > INT64_MAX;
    int64_t lo, hi;
    if (!ndbuf__layout_has_items(&reach->layout) || reach->layout.itemsize == 0) {
        return NDBUF_OK; /* no memory at all: `data` should be NULL, and need not */
    }
    if (tensor->data == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the tensor has items, but no data");
    }
    ndbuf__layout_range(&reach->layout, &lo, &hi, &overflow);
    int64_t offset = overflow ? 0 : (int64_t)tensor->byte_offset;
    int64_t first = ndbuf__add_i64(offset, lo, &overflow);
    int64_t end = ndbuf__add_i64(offset, hi, &overflow);
    if (overflow) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "shape times strides, from byte offset %llu on, exceeds 63 bits",
                          (unsigned long long)tensor->byte_offset);
    }
    const uint64_t before = first < 0 ? 0 - (uint64_t)first : 0; /* bytes before data */
    if (!ndbuf__device_has_addresses(tag_of(tensor))) {
        if (first < 0) {
            return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "the tensor begins %llu bytes before its buffer",
                              (unsigned long long)before);
        }
        reach->handle = tensor->data;
        reach->nbytes = end;
        reach->byte_offset = offset;
        return NDBUF_OK;
    }
    uintptr_t data = (uintptr_t)tensor->data;
    if (first < 0 ? before > data : (uint64_t)first > UINTPTR_MAX - data) {
        return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "the tensor begins %lld bytes from %p: outside the address space",
                          (long long)first, tensor->data);
    }
    reach->handle = (char *)tensor->data + first;
    reach->nbytes = end - first;
    reach->byte_offset = -lo;
    return NDBUF_OK;
}

/* The device that a tensor is on, retained. `own`: the view that it was made from, if this library did so. */
static ndbuf_status find_device(const DLTensor *tensor, const ndbuf_dlpack_import_options *options,
                                const ndbuf_view *own, ndbuf_device **out_device, ndbuf_error *err)
{
    ndbuf_device_tag tag = tag_of(tensor);
    if (ndbuf__device_is_host(tag)) {
        tag.id = 0; /* some give the number of the current device, or of one of theirs on the host */
    }
    ndbuf_device *device = options->device;
    if (device == NULL && own != NULL && own->device.type == tag.type && own->device.id == tag.id) {
        device = ndbuf__view_device(own);
    }
    if (device == NULL) {
        return ndbuf__device_of_tag(tag, out_device, err);
    }
    if (device->tag.type != tag.type || device->tag.id != tag.id) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the tensor is on device type %d, number %d, not on the given one",
                          (int)tag.type, (int)tag.id);
    }
    ndbuf__device_retain(device);
    *out_device = device;
    return NDBUF_OK;
}

static ndbuf_status check_alignment(const tensor_reach *reach, ndbuf_device_tag tag, int64_t wanted, int64_t natural,
                                    ndbuf__losses *losses, ndbuf_error *err)
{
    if (reach->nbytes == 0) {
        return NDBUF_OK;
    }
    uintptr_t address = ndbuf__device_has_addresses(tag) ? (uintptr_t)reach->handle : 0;
    if (((address + (uint64_t)reach->byte_offset) & (uint64_t)(wanted - 1)) != 0 && wanted > 0) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST, "the tensor's data is not aligned to %lld bytes", (long long)wanted);
    }
    ndbuf__loss_set_alignment(losses, ndbuf__alignment_of(reach->handle, reach->byte_offset, address != 0), natural);
    return NDBUF_OK;
}

static ndbuf_status check_import(const DLTensor *tensor, uint64_t flags, const ndbuf_dlpack_import_options *options,
                                 ndbuf_error *err)
{
    if ((options->flags & ~(uint32_t)NDBUF_DLPACK_LANES) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "unknown flags 0x%x of an import", (unsigned)options->flags);
    }
    if (options->alignment < 0 || (options->alignment & (options->alignment - 1)) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "alignment %lld is no power of two", (long long)options->alignment);
    }
    if ((flags & ~(uint64_t)KNOWN_TENSOR_FLAGS) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_ABI, "the tensor has flags 0x%llx, of a later version",
                          (unsigned long long)flags);
    }
    if (tensor->ndim < 0 || tensor->ndim > NDBUF_MAX_NDIM) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the tensor has %d dimensions", (int)tensor->ndim);
    }
    if (tensor->ndim > 0 && tensor->shape == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the tensor has %d dimensions, but no shape", (int)tensor->ndim);
    }
    return NDBUF_OK;
}

/* A view of `device`'s memory, over a storage that does not release anything yet. */
static ndbuf_status make_view(ndbuf_device *device, ndbuf_format *format, const tensor_reach *reach, uint64_t flags,
                              ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_storage *storage = NULL;
    bool readonly = (flags & DLPACK_FLAG_BITMASK_READ_ONLY) != 0;
    ndbuf_status status = ndbuf_storage_adopt(device, reach->handle, (size_t)reach->nbytes,
                                              readonly ? NDBUF_STORAGE_READONLY : 0, NULL, NULL, &storage, err);
    if (status == NDBUF_OK) {
        uint32_t view_flags = readonly ? NDBUF_VIEW_READONLY : 0;
        view_flags |= (flags & DLPACK_FLAG_BITMASK_IS_COPIED) != 0 ? NDBUF_VIEW_COPIED : 0;
        status = ndbuf__view_fill(out_view, storage, format, reach->byte_offset, &reach->layout, view_flags, NULL, err);
        ndbuf_storage_release(storage);
    }
    return status;
}

/* A view of a tensor of a known version, which it does not own yet. */
static ndbuf_status import_tensor(const DLTensor *tensor, uint64_t flags, const ndbuf_view *own,
                                  const ndbuf_dlpack_import_options *options, ndbuf_view *out_view, ndbuf_loss *report,
                                  ndbuf_error *err)
{
    static const ndbuf_dlpack_import_options defaults = {0};
    int64_t shape[NDBUF_MAX_NDIM];
    int64_t strides[NDBUF_MAX_NDIM];
    ndbuf_format *format = NULL;
    ndbuf_device *device = NULL;
    int64_t natural = 1;
    options = options != NULL ? options : &defaults;
    ndbuf__losses losses = ndbuf__losses_begin(options->accept, report, err);
    ndbuf_status status = check_import(tensor, flags, options, err);
    if (status == NDBUF_OK) {
        bool padded = (flags & DLPACK_FLAG_BITMASK_IS_SUBBYTE_TYPE_PADDED) != 0;
        status = ndbuf__dlpack_format_of(tensor->dtype, padded, (options->flags & NDBUF_DLPACK_LANES) != 0, &losses,
                                         &format, &natural, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t itemsize = ndbuf_format_itemsize(format);
    tensor_reach reach = {.layout = {tensor->ndim, itemsize, shape, strides, NULL}};
    status = read_dims(tensor, itemsize, shape, strides, err);
    if (status == NDBUF_OK) {
        status = find_reach(tensor, &reach, err);
    }
    if (status == NDBUF_OK) {
        status = check_alignment(&reach, tag_of(tensor), options->alignment, natural, &losses, err);
    }
    if (status == NDBUF_OK) {
        status = find_device(tensor, options, own, &device, err);
    }
    if (status == NDBUF_OK) {
        status = make_view(device, format, &reach, flags, out_view, err);
    }
    ndbuf_device_close(device);
    ndbuf_format_release(format);
    return status;
}

/* -- whoever uses the memory last ends the tensor -- */

static void end_versioned(DLManagedTensorVersioned *tensor)
{
    if (tensor->deleter != NULL) {
        tensor->deleter(tensor);
    }
}

static void end_legacy(DLManagedTensor *tensor)
{
    if (tensor->deleter != NULL) {
        tensor->deleter(tensor);
    }
}

static void release_versioned(void *context, void *handle)
{
    (void)handle;
    end_versioned(context);
}

static void release_legacy(void *context, void *handle)
{
    (void)handle;
    end_legacy(context);
}

ndbuf_status ndbuf_dlpack_import(struct DLManagedTensorVersioned **tensor, const ndbuf_dlpack_import_options *options,
                                 ndbuf_view *out_view, ndbuf_loss *out_loss, ndbuf_error *err)
{
    DLManagedTensorVersioned *taken = tensor != NULL ? *tensor : NULL;
    ndbuf_status status;
    if (taken == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no tensor to import: none was given, or it is consumed already");
    }
    *tensor = NULL;
    if (taken->version.major != 1) {
        status = ndbuf_fail(err, NDBUF_ERR_ABI, "the tensor is of version %u.%u of DLPack, not 1",
                            (unsigned)taken->version.major, (unsigned)taken->version.minor);
    } else {
        status =
            import_tensor(&taken->dl_tensor, taken->flags, ndbuf_dlpack_view(taken), options, out_view, out_loss, err);
    }
    if (status != NDBUF_OK) {
        end_versioned(taken);
        return status;
    }
    out_view->storage->release = release_versioned;
    out_view->storage->release_context = taken;
    return NDBUF_OK;
}

ndbuf_status ndbuf_dlpack_import_legacy(struct DLManagedTensor **tensor, const ndbuf_dlpack_import_options *options,
                                        ndbuf_view *out_view, ndbuf_loss *out_loss, ndbuf_error *err)
{
    DLManagedTensor *taken = tensor != NULL ? *tensor : NULL;
    if (taken == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no tensor to import: none was given, or it is consumed already");
    }
    *tensor = NULL;
    ndbuf_status status =
        import_tensor(&taken->dl_tensor, 0, ndbuf_dlpack_view_legacy(taken), options, out_view, out_loss, err);
    if (status != NDBUF_OK) {
        end_legacy(taken);
        return status;
    }
    out_view->storage->release = release_legacy;
    out_view->storage->release_context = taken;
    return NDBUF_OK;
}
