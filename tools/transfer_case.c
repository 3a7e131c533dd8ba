/* SPDX-License-Identifier: Apache-2.0 */
#include "transfer_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "view_ops.h"

/* clang-format off */
const transfer_layout transfer_layouts[] = {
    {"contiguous",                 "<f", 1, {0},              NULL,                NULL,      NULL, 1, 0},
    {"rows of 4 KiB in 8 KiB",     "<f", 2, {0, 2048},        ":,512:1536",        NULL,      NULL, 2, 0},
    {"the same on both sides",     "<f", 2, {0, 2048},        ":,512:1536",        NULL,      NULL, 2, 1},
    {"rows of 64 B in 256 B",      "<f", 2, {0, 64},          ":,16:32",           NULL,      NULL, 4, 0},
    {"box in a volume",            "<f", 3, {0, 64, 256},     ":,8:40,64:192",     NULL,      NULL, 4, 0},
    {"every 2nd row",              "<f", 2, {0, 1024},        "::2",               NULL,      NULL, 2, 0},
    {"every 2nd item",             "<f", 1, {0},              "::2",               NULL,      NULL, 2, 0},
    {"rows backwards",             "<f", 2, {0, 1024},        "::-1",              NULL,      NULL, 1, 0},
    {"items backwards",            "<f", 1, {0},              "::-1",              NULL,      NULL, 1, 0},
    {"transposed",                 "<f", 2, {0, 1024},        NULL,                "1,0",     NULL, 1, 0},
    {"channels first",             "B",  3, {0, 1024, 3},     NULL,                "2,0,1",   NULL, 1, 0},
    {"heads before positions",     "<e", 4, {0, 128, 16, 64}, NULL,                "0,2,1,3", NULL, 1, 0},
    {"field of a record",          "T{<f:x:<f:y:<f:z:}", 1, {0}, NULL,             NULL,      "y",  3, 0},
    {"flipped BGR of BGRA",        "B",  3, {0, 1024, 4},     "::-1,:,2::-1",      NULL,      NULL, 1, 0},
};
/* clang-format on */
const int transfer_nlayouts = (int)(sizeof(transfer_layouts) / sizeof(transfer_layouts[0]));

/* A packed array on the device, and the layout's part of it. */
static ndbuf_status make_view(ndbuf_view *out_view, const transfer_layout *layout, int64_t nbytes, ndbuf_device *device,
                              ndbuf_error *err)
{
    ndbuf_format *format = NULL;
    ndbuf_status status = ndbuf_format_parse(layout->format, 0, &format, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t shape[4];
    int64_t row_nbytes = ndbuf_format_itemsize(format);
    memcpy(shape, layout->extents, sizeof(shape));
    for (int32_t axis = 1; axis < layout->ndim; axis++) {
        row_nbytes *= shape[axis];
    }
    shape[0] = nbytes / row_nbytes * layout->divisor;
    shape[0] = shape[0] > 0 ? shape[0] : 1;
    status = ndbuf_view_create(out_view, device, format, layout->ndim, shape, err);
    ndbuf_format_release(format);
    if (status != NDBUF_OK) {
        return status;
    }
    view_ops ops = {0};
    const npy_dtype *no_dtype = NULL;
    if (layout->slice != NULL) {
        status = view_ops_add(&ops, VIEW_OPS_SLICE, layout->slice, err);
    }
    if (status == NDBUF_OK && layout->permute != NULL) {
        status = view_ops_add(&ops, VIEW_OPS_PERMUTE, layout->permute, err);
    }
    if (status == NDBUF_OK) {
        status = view_ops_apply(&ops, out_view, &no_dtype, err);
    }
    if (status == NDBUF_OK && layout->field != NULL) {
        status = ndbuf_view_field(out_view, layout->field, out_view, err);
    }
    if (status != NDBUF_OK) {
        ndbuf_view_release(out_view);
    }
    return status;
}

/* All bytes under a view from or to the host, without ndbuf. */
static ndbuf_status move_storage(const transfer_case *transfer, const ndbuf_view *view, void *host, int to_view,
                                 ndbuf_error *err)
{
    ndbuf_storage *storage = ndbuf_view_storage(view);
    size_t nbytes = ndbuf_storage_nbytes(storage);
    if (view->device.type != NDBUF_DEVICE_OPENCL) {
        char *address = ndbuf_storage_host_address(storage);
        memcpy(to_view ? address : host, to_view ? host : address, nbytes);
        return NDBUF_OK;
    }
    peer_side device = {ndbuf_storage_handle(storage), 1, 0, nbytes, nbytes};
    peer_side memory = {host, 0, 0, nbytes, nbytes};
    peer_rect rect = {to_view ? device : memory, to_view ? memory : device, nbytes, 1, 1};
    return peer_opencl_copy(transfer->peer, &rect, err);
}

static ndbuf_status fill_source(transfer_case *transfer, ndbuf_error *err)
{
    size_t nbytes = ndbuf_storage_nbytes(ndbuf_view_storage(&transfer->src));
    transfer->contents = malloc(nbytes);
    transfer->packed = malloc(2 * (size_t)transfer->src.nbytes);
    if (transfer->contents == NULL || transfer->packed == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "the contents of %zu bytes", nbytes);
    }
    uint32_t state = 1;
    for (size_t k = 0; k < nbytes; k++) {
        state = state * 1664525u + 1013904223u;
        transfer->contents[k] = (char)(state >> 24);
    }
    memset(transfer->packed, 1, 2 * (size_t)transfer->src.nbytes);
    return move_storage(transfer, &transfer->src, transfer->contents, 1, err);
}

ndbuf_status transfer_case_init(transfer_case *out_case, const transfer_layout *layout, int64_t nbytes,
                                ndbuf_device *from, ndbuf_device *to, const peer_opencl *peer, ndbuf_error *err)
{
    memset(out_case, 0, sizeof(*out_case));
    out_case->peer = peer;
    ndbuf_copy_plan *plan = NULL;
    ndbuf_status status = make_view(&out_case->src, layout, nbytes, from, err);
    if (status == NDBUF_OK && layout->into_the_same) {
        status = make_view(&out_case->dst, layout, nbytes, to, err);
    } else if (status == NDBUF_OK) {
        status = ndbuf_view_create(&out_case->dst, to, ndbuf_view_format(&out_case->src), out_case->src.ndim,
                                   out_case->src.shape, err);
    }
    if (status == NDBUF_OK) {
        status = fill_source(out_case, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_plan_create(&out_case->dst, &out_case->src, NDBUF_CASTING_EQUIV, 0, &plan, err);
    }
    if (status != NDBUF_OK) {
        transfer_case_clear(out_case);
        return status;
    }
    ndbuf_copy_plan_info info = {0};
    ndbuf_copy_plan_info_get(plan, &info);
    ndbuf_copy_plan_destroy(plan);
    snprintf(out_case->route, sizeof(out_case->route), "%s", ndbuf_route_name((ndbuf_route)info.route));
    out_case->has_rect = peer != NULL && peer_rect_make(&out_case->dst, &out_case->src, &out_case->rect);
    return NDBUF_OK;
}

void transfer_case_clear(transfer_case *transfer)
{
    free(transfer->contents);
    free(transfer->packed);
    transfer->contents = NULL;
    transfer->packed = NULL;
    ndbuf_view_release(&transfer->dst);
    ndbuf_view_release(&transfer->src);
}

ndbuf_status transfer_by_ndbuf(const transfer_case *transfer, ndbuf_error *err)
{
    return ndbuf_copy(&transfer->dst, &transfer->src, NULL, err);
}

ndbuf_status transfer_by_memcpy(const transfer_case *transfer, ndbuf_error *err)
{
    (void)err;
    size_t nbytes = (size_t)transfer->src.nbytes;
    memcpy(transfer->packed + nbytes, transfer->packed, nbytes);
    return NDBUF_OK;
}

ndbuf_status transfer_by_hand(const transfer_case *transfer, ndbuf_error *err)
{
    return peer_opencl_copy(transfer->peer, &transfer->rect, err);
}

static ndbuf_status compare(const transfer_case *transfer, const char *result, ndbuf_error *err)
{
    const ndbuf_view *dst = &transfer->dst;
    const ndbuf_view *src = &transfer->src;
    int64_t index[NDBUF_MAX_NDIM] = {0};
    const char *got = result + dst->byte_offset;
    const char *wanted = transfer->contents + src->byte_offset;
    int64_t nitems = ndbuf_view_nitems(src);
    for (int64_t k = 0; k < nitems; k++) {
        if (memcmp(got, wanted, (size_t)src->itemsize) != 0) {
            return ndbuf_fail(err, NDBUF_ERR_DEVICE, "item %lld of %lld differs", (long long)k, (long long)nitems);
        }
        for (int32_t axis = src->ndim - 1; axis >= 0; axis--) {
            got += dst->strides[axis];
            wanted += src->strides[axis];
            if (++index[axis] < src->shape[axis]) {
                break;
            }
            got -= dst->strides[axis] * src->shape[axis];
            wanted -= src->strides[axis] * src->shape[axis];
            index[axis] = 0;
        }
    }
    return NDBUF_OK;
}

ndbuf_status transfer_verify(const transfer_case *transfer,
                             ndbuf_status (*run)(const transfer_case *transfer, ndbuf_error *err), ndbuf_error *err)
{
    size_t nbytes = ndbuf_storage_nbytes(ndbuf_view_storage(&transfer->dst));
    char *result = calloc(1, nbytes);
    if (result == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a result of %zu bytes", nbytes);
    }
    ndbuf_status status = move_storage(transfer, &transfer->dst, result, 1, err);
    if (status == NDBUF_OK) {
        status = run(transfer, err);
    }
    if (status == NDBUF_OK) {
        status = move_storage(transfer, &transfer->dst, result, 0, err);
    }
    if (status == NDBUF_OK) {
        status = compare(transfer, result, err);
    }
    free(result);
    return status;
}
