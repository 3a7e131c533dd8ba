/* SPDX-License-Identifier: Apache-2.0 */
#include "core/exporter_core.h"
#include "core/storage_core.h"
#include "core/view_core.h"

ndbuf_status ndbuf__request_check(const ndbuf_request *request, ndbuf_error *err)
{
    if (request->abi_version != NDBUF_ABI_VERSION || request->view_nbytes != sizeof(ndbuf_view)) {
        return ndbuf_fail(
            err, NDBUF_ERR_ABI, "request for ABI %u and views of %u bytes; this library has ABI %u and %zu bytes",
            (unsigned)request->abi_version, (unsigned)request->view_nbytes, NDBUF_ABI_VERSION, sizeof(ndbuf_view));
    }
    if (ndbuf__asks(request->flags, NDBUF_REQUEST_FORMAT) && !ndbuf__asks(request->flags, NDBUF_REQUEST_ND)) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST, "FORMAT is asked for without ND: plain bytes have no format");
    }
    if (request->alignment < 0 || (request->alignment & (request->alignment - 1)) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST, "alignment: %lld is not a power of two",
                          (long long)request->alignment);
    }
    if (request->copy < NDBUF_COPY_NEVER || request->copy > NDBUF_COPY_ALWAYS) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST, "copy: %d is not a copy policy", (int)request->copy);
    }
    if (request->ndevices < 0 || (request->ndevices > 0 && request->devices == NULL)) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST, "devices: a list of %d is missing", (int)request->ndevices);
    }
    return NDBUF_OK;
}

static bool accepts_device(const ndbuf_request *request, ndbuf_device_tag tag)
{
    if ((request->flags & NDBUF_REQUEST_ANY_DEVICE) != 0) {
        return true;
    }
    for (int32_t i = 0; i < request->ndevices; i++) {
        if (request->devices[i].type == tag.type && request->devices[i].id == tag.id) {
            return true;
        }
    }
    return request->ndevices == 0 && ndbuf__device_is_host(tag);
}

/* Device memory without an address is aligned as its offset is; where there are no items, nothing need be. */
static bool is_aligned(const ndbuf_view *view, int64_t alignment)
{
    uintptr_t first = 0;
    if (ndbuf__view_is_own(view)) {
        first = ndbuf__mem_address(&view->storage->mem);
    } else if (ndbuf__device_has_addresses(view->device)) {
        first = (uintptr_t)view->handle;
    }
    return alignment == 0 || view->nbytes == 0 ||
           ((first + (uintptr_t)view->byte_offset) & (uintptr_t)(alignment - 1)) == 0;
}

ndbuf_status ndbuf__request_check_place(const ndbuf_request *request, const ndbuf_view *view, ndbuf_error *err)
{
    if (!accepts_device(request, view->device)) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST,
                          "devices: the memory is on device type %d number %d, which is not accepted",
                          (int)view->device.type, (int)view->device.id);
    }
    if (!is_aligned(view, request->alignment)) {
        return ndbuf_fail(err, NDBUF_ERR_REQUEST, "alignment: the first item is not aligned to %lld bytes",
                          (long long)request->alignment);
    }
    return NDBUF_OK;
}
