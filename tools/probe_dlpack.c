/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_side.h"

#include <string.h>

#include "ndbuf/dlpack.h"

static const probe_side_keys dlpack_keys = {NULL, "bytes", "offset", "strides", "sptrs", "spfirst", "spdim", "ssub"};

/* Shape or strides: without axes there are none. */
static void put_dims(probe_answer *answer, const char *key, int32_t ndim, const int64_t *values)
{
    static const int64_t none = 0;
    probe_put_list(answer, key, ndim, ndim > 0 ? values : &none);
}

static void put_tensor(probe_answer *answer, const DLTensor *tensor, const char *buffer)
{
    probe_put_int(answer, "code", tensor->dtype.code);
    probe_put_int(answer, "bits", tensor->dtype.bits);
    probe_put_int(answer, "lanes", tensor->dtype.lanes);
    probe_put_int(answer, "ndim", tensor->ndim);
    put_dims(answer, "shape", tensor->ndim, tensor->shape);
    put_dims(answer, "strides", tensor->ndim, tensor->strides);
    probe_put_int(answer, "data", tensor->data != NULL ? (const char *)tensor->data + tensor->byte_offset - buffer : 0);
    probe_put(answer, " device=%d:%d", (int)tensor->device.device_type, (int)tensor->device.device_id);
}

ndbuf_status probe_dlpack(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    const char *text = NULL;
    int64_t itemsize = 0;
    probe_list shape = {0};
    ndbuf_format *format = NULL;
    probe_side side = {0};
    DLManagedTensorVersioned *tensor = NULL;
    ndbuf_status status = probe_get_text(request, "fmt", &text, err);
    if (status == NDBUF_OK) {
        status = probe_get_int(request, "item", &itemsize, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_list(request, "shape", &shape, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_format_parse(text, itemsize, &format, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&side, request, &dlpack_keys, format, &shape, false, err);
    }
    if (status == NDBUF_OK) {
        request->error_class = "dlpack";
        status = ndbuf_dlpack_export(&side.view, NULL, &tensor, NULL, err);
    }
    if (status == NDBUF_OK) {
        put_tensor(answer, &tensor->dl_tensor, ndbuf_storage_host_address(side.buffer));
        tensor->deleter(tensor);
    }
    probe_side_clear(&side);
    ndbuf_format_release(format);
    return status;
}

/* An integer of the request between 0 and `max`. */
static ndbuf_status get_limited(const probe_request *request, const char *key, int64_t max, int64_t *out_value,
                                ndbuf_error *err)
{
    ndbuf_status status = probe_get_int(request, key, out_value, err);
    if (status == NDBUF_OK && (*out_value < 0 || *out_value > max)) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%s=%lld is outside 0 .. %lld", key, (long long)*out_value,
                            (long long)max);
    }
    return status;
}

/* "null" is no list at all. */
static ndbuf_status get_strides(probe_request *request, probe_list *out_strides, ndbuf_error *err)
{
    const char *text = NULL;
    ndbuf_status status = probe_get_text(request, "strides", &text, err);
    if (status == NDBUF_OK && strcmp(text, "null") != 0) {
        status = probe_get_list(request, "strides", out_strides, err);
    }
    return status;
}

/* The tensor that the request describes, over a buffer of its own in the request's memory. */
static ndbuf_status make_tensor(probe_request *request, DLManagedTensorVersioned *out_tensor,
                                unsigned char **out_buffer, ndbuf_error *err)
{
    int64_t code = 0;
    int64_t bits = 0;
    int64_t lanes = 0;
    int64_t nbytes = 0;
    int64_t data = 0;
    int64_t byte_offset = 0;
    probe_list shape = {0};
    probe_list strides = {0};
    ndbuf_status status = get_limited(request, "code", UINT8_MAX, &code, err);
    if (status == NDBUF_OK) {
        status = get_limited(request, "bits", UINT8_MAX, &bits, err);
    }
    if (status == NDBUF_OK) {
        status = get_limited(request, "lanes", UINT16_MAX, &lanes, err);
    }
    if (status == NDBUF_OK) {
        status = get_limited(request, "bytes", PROBE_MAX_NBYTES, &nbytes, err);
    }
    if (status == NDBUF_OK) {
        status = get_limited(request, "data", nbytes, &data, err);
    }
    if (status == NDBUF_OK) {
        status = get_limited(request, "byte_offset", INT64_MAX, &byte_offset, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_list(request, "shape", &shape, err);
    }
    if (status == NDBUF_OK) {
        status = get_strides(request, &strides, err);
    }
    if (status == NDBUF_OK && (strides.values != NULL && strides.count != shape.count)) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%lld strides for %lld axes", (long long)strides.count,
                            (long long)shape.count);
    }
    if (status == NDBUF_OK) {
        status = probe_alloc_blank(request, nbytes, out_buffer, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    *out_tensor = (DLManagedTensorVersioned){.version = {1, 0}};
    out_tensor->dl_tensor = (DLTensor){.data = *out_buffer + data,
                                       .device = {kDLCPU, 0},
                                       .ndim = (int32_t)shape.count,
                                       .dtype = {(uint8_t)code, (uint8_t)bits, (uint16_t)lanes},
                                       .shape = shape.values,
                                       .strides = strides.values,
                                       .byte_offset = (uint64_t)byte_offset};
    return NDBUF_OK;
}

ndbuf_status probe_from_dlpack(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    DLManagedTensorVersioned tensor;
    DLManagedTensorVersioned *taken = &tensor;
    unsigned char *buffer = NULL;
    ndbuf_view view = {0};
    ndbuf_field field;
    ndbuf_status status = make_tensor(request, &tensor, &buffer, err);
    if (status == NDBUF_OK) {
        request->error_class = "dlpack";
        status = ndbuf_dlpack_import(&taken, NULL, &view, NULL, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_format_field(ndbuf_view_format(&view), 0, &field, err);
    }
    if (status == NDBUF_OK) {
        const unsigned char *address = ndbuf_view_host_address(&view);
        probe_put(answer, " kind=%c", (char)field.kind);
        probe_put_int(answer, "item", view.itemsize);
        probe_put_int(answer, "ndim", view.ndim);
        put_dims(answer, "shape", view.ndim, view.shape);
        put_dims(answer, "strides", view.ndim, view.strides);
        probe_put_int(answer, "offset", address != NULL ? address - buffer : 0);
    }
    ndbuf_view_release(&view);
    return status;
}
