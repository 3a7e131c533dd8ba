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

/* What every copy has. */
typedef struct copy_sides {
    ndbuf_format *format;
    probe_list shape;
    probe_side src;
    probe_side dst;
} copy_sides;

static ndbuf_status copy_begin(copy_sides *sides, probe_request *request, ndbuf_error *err)
{
    *sides = (copy_sides){.format = NULL};
    return get_items(request, &sides->format, &sides->shape, err);
}

/* Copies, if both sides are there, and clears them. */
static ndbuf_status copy_end(copy_sides *sides, ndbuf_status status, probe_request *request, probe_answer *answer,
                             ndbuf_error *err)
{
    if (status == NDBUF_OK) {
        status = ndbuf_copy(&sides->dst.view, &sides->src.view, NULL, err);
    }
    if (status == NDBUF_OK) {
        status = probe_put_crc(request, answer, sides->dst.buffer, err);
    }
    probe_side_clear(&sides->dst);
    probe_side_clear(&sides->src);
    ndbuf_format_release(sides->format);
    return status;
}

ndbuf_status probe_copy(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    copy_sides s;
    ndbuf_status status = copy_begin(&s, request, err);
    if (status == NDBUF_OK) {
        status = probe_side_init(&s.src, request, &probe_source_keys, s.format, &s.shape, true, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&s.dst, request, &probe_destination_keys, s.format, &s.shape, false, err);
    }
    return copy_end(&s, status, request, answer, err);
}

ndbuf_status probe_move(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    copy_sides s;
    ndbuf_status status = copy_begin(&s, request, err);
    if (status == NDBUF_OK) {
        status = probe_side_init(&s.src, request, &move_source_keys, s.format, &s.shape, true, err);
    }
    if (status == NDBUF_OK) {
        s.dst.buffer = s.src.buffer;
        ndbuf_storage_retain(s.dst.buffer);
        status = probe_side_init_view(&s.dst, request, &move_destination_keys, s.format, &s.shape, err);
    }
    return copy_end(&s, status, request, answer, err);
}

ndbuf_status probe_gather(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    char order = 'C';
    ndbuf_device *device = NULL;
    copy_sides s;
    ndbuf_status status = copy_begin(&s, request, err);
    if (status == NDBUF_OK) {
        status = get_order(request, "CFA", &order, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&s.src, request, &probe_source_keys, s.format, &s.shape, true, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_device(request, &probe_destination_keys, &device, err);
    }
    if (status == NDBUF_OK) {
        if (order == 'A') {
            const ndbuf_view *src = &s.src.view;
            order = ndbuf_view_is_contiguous(src, 'F') && !ndbuf_view_is_contiguous(src, 'C') ? 'F' : 'C';
        }
        status = probe_side_init_packed(&s.dst, request, device, s.format, &s.shape, order, false, err);
    }
    if (status == NDBUF_OK) {
        probe_put_int(answer, "nbytes", s.src.view.nbytes);
    }
    return copy_end(&s, status, request, answer, err);
}

ndbuf_status probe_scatter(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    char order = 'C';
    ndbuf_device *device = NULL;
    copy_sides s;
    ndbuf_status status = copy_begin(&s, request, err);
    if (status == NDBUF_OK) {
        status = get_order(request, "CF", &order, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&s.dst, request, &probe_destination_keys, s.format, &s.shape, false, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_device(request, &probe_source_keys, &device, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init_packed(&s.src, request, device, s.format, &s.shape, order, true, err);
    }
    return copy_end(&s, status, request, answer, err);
}
