/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_STORAGE_CORE_H
#define NDBUF_CORE_STORAGE_CORE_H

#include "ndbuf/backend.h"
#include "ndbuf/storage.h"
#include "ndbuf/view.h"

#include "core/ref_count.h"
#include "core/view_core.h"

struct ndbuf_storage {
    ndbuf_owner owner; /* must stay first: views hold storages as their owners */
    ndbuf__ref_count refs;
    ndbuf_mem mem;  /* mem.device is retained */
    uint32_t flags; /* NDBUF_STORAGE_... bits */
    ndbuf_release_fn release;
    void *release_context;
    void *adopted_handle;
};

/* The address of byte 0 of a piece of memory: the host's, else the handle where it is one; 0: there is no address. */
static inline uintptr_t ndbuf__mem_address(const ndbuf_mem *mem)
{
    if (mem->host_address != NULL) {
        return (uintptr_t)mem->host_address;
    }
    return ndbuf__device_has_addresses(mem->device->tag) ? (uintptr_t)mem->handle : 0;
}

/* Whether equal handles of two pieces of memory are the same memory. Those of OpenCL belong to contexts, which devices
 * share; each device of another backend may count its own. */
static inline bool ndbuf__mem_shares_handles(const ndbuf_mem *a, const ndbuf_mem *b)
{
    return a->device == b->device ||
           (a->device->tag.type == NDBUF_DEVICE_OPENCL && b->device->tag.type == NDBUF_DEVICE_OPENCL);
}

/* Whose memory a view is in: its storage's device, or the host where a pointer led out of the storage. Borrowed. */
static inline ndbuf_device *ndbuf__view_device(const ndbuf_view *view)
{
    return view->has_left == 0 ? view->storage->mem.device : ndbuf_device_cpu();
}

/* The memory that a view is in, as backends are to see it, and where in it item 0..0 lies. */
static inline ndbuf_mem ndbuf__view_mem(const ndbuf_view *view, int64_t *out_offset)
{
    if (view->has_left == 0) {
        *out_offset = view->byte_offset;
        return view->storage->mem;
    }
    int64_t lo, hi;
    ndbuf_view_byte_range(view, &lo, &hi);
    char *first = (char *)ndbuf_view_host_address(view) + (lo - view->byte_offset);
    *out_offset = view->byte_offset - lo;
    return (ndbuf_mem){
        .device = ndbuf_device_cpu(), .handle = first, .host_address = first, .nbytes = (size_t)(hi - lo)};
}

#endif
