/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_side.h"

#include <string.h>

/* The keys of views that lie in one buffer, "bytes" on the device "dev". */
static const probe_side_keys move_source_keys = {"dev",   "bytes",   "soffset", "sstrides",
                                                 "sptrs", "spfirst", "spdim",   "ssub"};
static const probe_side_keys move_destination_keys = {"dev",   "bytes",   "doffset", "dstrides",
                                                      "dptrs", "dpfirst", "dpdim",   "dsub"};

/* What every copy begins with: the items and the shape. */
static ndbuf_status get_items(probe_request *request, ndbuf_format **out_format, probe_list *out_shape,
                              ndbuf_error *err)
{
    int64_t itemsize = 0;
    ndbuf_status status = probe_get_list(request, "shape", out_shape, err);
    if (status == NDBUF_OK && out_shape->count > NDBUF_MAX_NDIM) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%lld dimensions", (long long)out_shape->count);
    }
    if (status == NDBUF_OK) {
        status = probe_get_int(request, "item", &itemsize, err);
    }
    return status == NDBUF_OK ? probe_opaque_format(itemsize, out_format, err) : status;
}

/* "C", "F" or "A", as far as `allowed` has it. */
static ndbuf_status get_order(const probe_request *request, const char *allowed, char *out_order, ndbuf_error *err)
{
    const char *text = NULL;
    ndbuf_status status = probe_get_text(request, "order", &text, err);
    if (status == NDBUF_OK && (strlen(text) != 1 || strchr(allowed, text[0]) == NULL)) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "the order is one of %s", allowed);
    }
    if (status == NDBUF_OK) {
        *out_order = text[0];
    }
    return status;
}

ndbuf_status probe_copy(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    ndbuf_format *format = NULL;
    probe_list shape = {0};
    probe_side src = {0};
    probe_side dst = {0};
    ndbuf_status status = get_items(request, &format, &shape, err);
    if (status == NDBUF_OK) {
        status = probe_side_init(&src, request, &probe_source_keys, format, &shape, true, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&dst, request, &probe_destination_keys, format, &shape, false, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&dst.view, &src.view, NULL, err);
    }
    if (status == NDBUF_OK) {
        status = probe_put_crc(request, answer, dst.buffer, err);
    }
    probe_side_clear(&dst);
    probe_side_clear(&src);
    ndbuf_format_release(format);
    return status;
}

ndbuf_status probe_move(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    ndbuf_format *format = NULL;
    probe_list shape = {0};
    probe_side src = {0};
    probe_side dst = {0};
    ndbuf_status status = get_items(request, &format, &shape, err);
    if (status == NDBUF_OK) {
        status = probe_side_init(&src, request, &move_source_keys, format, &shape, true, err);
    }
    if (status == NDBUF_OK) {
        dst.buffer = src.buffer;
        ndbuf_storage_retain(dst.buffer);
        status = probe_side_init_view(&dst, request, &move_destination_keys, format, &shape, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&dst.view, &src.view, NULL, err);
    }
    if (status == NDBUF_OK) {
        status = probe_put_crc(request, answer, dst.buffer, err);
    }
    probe_side_clear(&dst);
    probe_side_clear(&src);
    ndbuf_format_release(format);
    return status;
}

ndbuf_status probe_gather(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    char order = 'C';
    ndbuf_format *format = NULL;
    probe_list shape = {0};
    ndbuf_device *device = NULL;
    probe_side src = {0};
    probe_side packed = {0};
    ndbuf_status status = get_order(request, "CFA", &order, err);
    if (status == NDBUF_OK) {
        status = get_items(request, &format, &shape, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&src, request, &probe_source_keys, format, &shape, true, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_device(request, &probe_destination_keys, &device, err);
    }
    if (status == NDBUF_OK) {
        if (order == 'A') {
            bool fortran_alone = ndbuf_view_is_contiguous(&src.view, 'F') && !ndbuf_view_is_contiguous(&src.view, 'C');
            order = fortran_alone ? 'F' : 'C';
        }
        status = probe_side_init_packed(&packed, request, device, format, &shape, order, false, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&packed.view, &src.view, NULL, err);
    }
    if (status == NDBUF_OK) {
        probe_put_int(answer, "nbytes", src.view.nbytes);
        status = probe_put_crc(request, answer, packed.buffer, err);
    }
    probe_side_clear(&packed);
    probe_side_clear(&src);
    ndbuf_format_release(format);
    return status;
}

ndbuf_status probe_scatter(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    char order = 'C';
    ndbuf_format *format = NULL;
    probe_list shape = {0};
    ndbuf_device *device = NULL;
    probe_side packed = {0};
    probe_side dst = {0};
    ndbuf_status status = get_order(request, "CF", &order, err);
    if (status == NDBUF_OK) {
        status = get_items(request, &format, &shape, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&dst, request, &probe_destination_keys, format, &shape, false, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_device(request, &probe_source_keys, &device, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init_packed(&packed, request, device, format, &shape, order, true, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&dst.view, &packed.view, NULL, err);
    }
    if (status == NDBUF_OK) {
        status = probe_put_crc(request, answer, dst.buffer, err);
    }
    probe_side_clear(&dst);
    probe_side_clear(&packed);
    ndbuf_format_release(format);
    return status;
}
