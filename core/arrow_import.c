/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arrow_core.h"

#include <string.h>

#include "core/checked.h"
#include "core/device_core.h"
#include "core/host_alloc.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* An array that was taken over: what its view's storage holds. */
typedef struct imported_array {
    struct ArrowDeviceArray array;
    ndbuf_queue *queue; /* that waits for the array's event; NULL: none */
} imported_array;

/* What an array is made of. */
typedef struct array_facts {
    ndbuf_format *format; /* the caller's reference */
    int64_t alignment;    /* of the type in C */
    int32_t ndim;
    int64_t shape[NDBUF_MAX_NDIM];
    int64_t first; /* index of the first item in the buffer */
    const void *buffer;
} array_facts;

/* What can be wrong with one level. `is_leaf`: no lists. */
static ndbuf_status check_level(const struct ArrowSchema *schema, const struct ArrowArray *array, bool is_leaf,
                                ndbuf__losses *losses, ndbuf_error *err)
{
    int64_t nchildren = is_leaf ? 0 : 1;
    int64_t nbuffers = is_leaf ? 2 : 1;
    if (schema->dictionary != NULL || array->dictionary != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the array has a dictionary");
    }
    if (array->length < 0 || array->offset < 0 || array->null_count < -1) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "an array of length %lld, offset %lld, with %lld nulls",
                          (long long)array->length, (long long)array->offset, (long long)array->null_count);
    }
    if (schema->n_children != nchildren || array->n_children != nchildren || array->n_buffers != nbuffers ||
        array->buffers == NULL || (nchildren > 0 && (schema->children == NULL || array->children == NULL))) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "an array of format '%.40s' with %lld children and %lld buffers",
                          schema->format, (long long)array->n_children, (long long)array->n_buffers);
    }
    if (nchildren > 0 && (schema->children[0] == NULL || array->children[0] == NULL ||
                          schema->children[0]->release == NULL || array->children[0]->release == NULL)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the child of an array is missing or released");
    }
    if (array->null_count != 0 && array->buffers[0] != NULL) {
        ndbuf__loss_add(losses, NDBUF_LOSS_NULLS, NDBUF_ERR_UNSUPPORTED, "Arrow", "%s items may be null",
                        array->null_count < 0 ? "some" : "counted");
    }
    return losses->status;
}

/* Walks down to the items. Statuses: as ndbuf_arrow_import. */
static ndbuf_status read_levels(const struct ArrowSchema *schema, const struct ArrowArray *array, ndbuf__losses *losses,
                                array_facts *out_facts, ndbuf_error *err)
{
    bool overflow = false;
    int64_t count = array->length; /* lists or items of this level that are the view's */
    int64_t first = 0;             /* of them, not counting the offset */
    out_facts->shape[0] = array->length;
    for (int32_t k = 0; k < NDBUF_MAX_NDIM; k++) {
        if (schema->format == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "a schema without a format");
        }
        int64_t size = ndbuf__arrow_size_of(schema->format, "+w:");
        ndbuf_status status = check_level(schema, array, size < 0, losses, err);
        if (status != NDBUF_OK) {
            return status;
        }
        int64_t end = ndbuf__add_i64(first, count, &overflow);
        if (!overflow && end > array->length) {
            return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "a child of length %lld for lists that need %lld",
                              (long long)array->length, (long long)end);
        }
        first = ndbuf__add_i64(first, array->offset, &overflow);
        if (overflow) {
            return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the array's lengths and offsets exceed 63 bits");
        }
        if (size < 0) {
            out_facts->ndim = k + 1;
            out_facts->first = first;
            out_facts->buffer = array->buffers[1];
            return ndbuf__arrow_format_of(schema->format, &out_facts->format, &out_facts->alignment, err);
        }
        if (k + 1 < NDBUF_MAX_NDIM) {
            out_facts->shape[k + 1] = size;
        }
        first = ndbuf__mul_i64(first, size, &overflow);
        count = ndbuf__mul_i64(count, size, &overflow);
        schema = schema->children[0];
        array = array->children[0];
    }
    return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the array has more than %d dimensions", NDBUF_MAX_NDIM);
}

static ndbuf_status find_device(const struct ArrowDeviceArray *array, ndbuf_device *given, ndbuf_device **out_device,
                                ndbuf_error *err)
{
    ndbuf_device_tag tag = {array->device_type, 0};
    if (tag.type == NDBUF_DEVICE_CUDA || !ndbuf__device_has_addresses(tag)) { /* else the number means nothing */
        if (array->device_id < 0 || array->device_id > INT32_MAX) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "device type %d with number %lld", (int)tag.type,
                              (long long)array->device_id);
        }
        tag.id = (int32_t)array->device_id;
    }
    if (given == NULL) {
        return ndbuf__device_of_tag(tag, out_device, err);
    }
    if (given->tag.type != tag.type || given->tag.id != tag.id) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the array is on device type %d, number %d, not on the given one",
                          (int)tag.type, (int)tag.id);
    }
    ndbuf__device_retain(given);
    *out_device = given;
    return NDBUF_OK;
}

/* Gives the view an event that is complete after the array's: one of our own, since the array's goes with the array. */
static ndbuf_status order_view(ndbuf_device *device, imported_array *imported, ndbuf_view *view, ndbuf_error *err)
{
    void *native = NULL;
    ndbuf_event *event = NULL;
    if (imported->array.sync_event != NULL) {
        memcpy(&native, imported->array.sync_event, sizeof(native));
    }
    if (native == NULL) {
        return NDBUF_OK;
    }
    ndbuf_status status = ndbuf_queue_create(device, &imported->queue, err);
    if (status == NDBUF_OK) {
        status = ndbuf_queue_wait_native(imported->queue, native, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_queue_record(imported->queue, &event, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_view_set_ready(view, event);
        ndbuf_event_release(event);
    }
    return status;
}

/* A view over a storage that does not release anything yet. */
static ndbuf_status make_view(ndbuf_device *device, const array_facts *facts, uint32_t flags, ndbuf__losses *losses,
                              ndbuf_view *out_view, ndbuf_error *err)
{
    bool overflow = false;
    int64_t itemsize = ndbuf_format_itemsize(facts->format);
    ndbuf__layout layout = {facts->ndim, itemsize, facts->shape, NULL, NULL};
    int64_t nbytes = ndbuf__mul_i64(ndbuf__layout_nitems(&layout, &overflow), itemsize, &overflow);
    int64_t begin = nbytes > 0 ? ndbuf__mul_i64(facts->first, itemsize, &overflow) : 0;
    int64_t end = ndbuf__add_i64(begin, nbytes, &overflow);
    bool has_address = ndbuf__device_has_addresses(device->tag);
    if (overflow || (has_address && (uint64_t)end > UINTPTR_MAX - (uintptr_t)facts->buffer)) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the array's bytes exceed 63 bits or the address space");
    }
    if (nbytes > 0 && facts->buffer == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the array has items, but no buffer");
    }
    void *handle = nbytes == 0   ? NULL
                   : has_address ? (void *)((uintptr_t)facts->buffer + (uintptr_t)begin)
                                 : (void *)(uintptr_t)facts->buffer;
    ndbuf_view_spec spec = {.format = facts->format,
                            .byte_offset = has_address ? 0 : begin,
                            .ndim = facts->ndim,
                            .flags = (flags & NDBUF_ARROW_WRITABLE) != 0 ? 0 : NDBUF_VIEW_READONLY,
                            .shape = facts->shape};
    if (nbytes > 0) {
        ndbuf__loss_set_alignment(losses, ndbuf__alignment_of(handle, spec.byte_offset, has_address), facts->alignment);
    }
    ndbuf_storage *storage = NULL;
    ndbuf_status status = ndbuf_storage_adopt(device, handle, (size_t)(end - (has_address ? begin : 0)),
                                              spec.flags != 0 ? NDBUF_STORAGE_READONLY : 0, NULL, NULL, &storage, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_init(out_view, storage, &spec, err);
        ndbuf_storage_release(storage);
    }
    return status;
}

static ndbuf_status check_import(const struct ArrowSchema *schema, const struct ArrowDeviceArray *array, uint32_t flags,
                                 ndbuf_error *err)
{
    if ((flags & ~(uint32_t)NDBUF_ARROW_WRITABLE) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "unknown flags 0x%x of an import", (unsigned)flags);
    }
    if (schema->release == NULL || array->array.release == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the %s is released already",
                          schema->release == NULL ? "schema" : "array");
    }
    if (array->device_type == ARROW_DEVICE_CPU && array->sync_event != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "an array on the host with a sync_event");
    }
    return NDBUF_OK;
}

static ndbuf_status import_array(const struct ArrowSchema *schema, imported_array *imported,
                                 const ndbuf_arrow_import_options *options, ndbuf_view *out_view, ndbuf_loss *report,
                                 ndbuf_error *err)
{
    array_facts facts = {.format = NULL};
    ndbuf_device *device = NULL;
    ndbuf_view made = {0};
    ndbuf__losses losses = ndbuf__losses_begin(options->accept, report, err);
    ndbuf_status status = check_import(schema, &imported->array, options->flags, err);
    if (status == NDBUF_OK) {
        status = read_levels(schema, &imported->array.array, &losses, &facts, err);
    }
    if (status == NDBUF_OK) {
        status = find_device(&imported->array, options->device, &device, err);
    }
    if (status == NDBUF_OK) {
        status = make_view(device, &facts, options->flags, &losses, &made, err);
    }
    if (status == NDBUF_OK) {
        status = order_view(device, imported, &made, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_view_move(out_view, &made);
    }
    ndbuf_view_release(&made);
    ndbuf_device_close(device);
    ndbuf_format_release(facts.format);
    return status;
}

static void schema_end(struct ArrowSchema *schema)
{
    if (schema != NULL && schema->release != NULL) {
        schema->release(schema);
        schema->release = NULL;
    }
}

static void array_end(struct ArrowArray *array)
{
    if (array->release != NULL) {
        array->release(array);
        array->release = NULL;
    }
}

/* The array's memory may be given back only when whatever its event stands for is done. */
static void imported_array_free(imported_array *imported)
{
    ndbuf_queue_release(imported->queue);
    array_end(&imported->array.array);
    ndbuf__free(imported);
}

static void release_imported(void *context, void *handle)
{
    (void)handle;
    imported_array_free(context);
}

ndbuf_status ndbuf_arrow_import(struct ArrowSchema *schema, struct ArrowDeviceArray *array,
                                const ndbuf_arrow_import_options *options, ndbuf_view *out_view, ndbuf_loss *out_loss,
                                ndbuf_error *err)
{
    static const ndbuf_arrow_import_options defaults = {0};
    ndbuf_status status;
    if (schema == NULL || array == NULL) {
        schema_end(schema);
        if (array != NULL) {
            array_end(&array->array);
        }
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no %s", schema == NULL ? "schema" : "array");
    }
    struct ArrowDeviceArray taken = *array;
    array->array.release = NULL;
    imported_array *imported = ndbuf__malloc(sizeof(*imported));
    if (imported != NULL) {
        *imported = (imported_array){.array = taken};
        status = import_array(schema, imported, options != NULL ? options : &defaults, out_view, out_loss, err);
    } else {
        status = ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to hold an Arrow array");
    }
    schema_end(schema);
    if (status == NDBUF_OK) {
        out_view->storage->release = release_imported;
        out_view->storage->release_context = imported;
    } else if (imported != NULL) {
        imported_array_free(imported);
    } else {
        array_end(&taken.array);
    }
    return status;
}
