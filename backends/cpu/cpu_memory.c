/* SPDX-License-Identifier: Apache-2.0 */
#if defined(__linux__) && !defined(_DEFAULT_SOURCE)
#define _DEFAULT_SOURCE /* madvise */
#endif
#include "backends/cpu/cpu_backend.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "core/host_alloc.h"

/* From here on memory asks for large pages: strided copies touch many at once, and look up fewer. */
#define LARGE_PAGES_NBYTES ((size_t)4 << 20)

/* Memory of our own carries a mark, so that mem_free leaves foreign memory alone. */
static char own_memory;

/* A wish: where the system does not hear it, all is as before. */
static void ask_for_large_pages(char *address, size_t nbytes)
{
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    size_t page = 4096;
    size_t rest = (size_t)(-(uintptr_t)address % page);
    if (nbytes >= LARGE_PAGES_NBYTES) {
        (void)madvise(address + rest, (nbytes - rest) / page * page, MADV_HUGEPAGE);
    }
#else
    (void)address, (void)nbytes;
#endif
}

ndbuf_status ndbuf_cpu__mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                  ndbuf_error *err)
{
    void *address = ndbuf__aligned_alloc(alignment, nbytes);
    if (address == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no host memory of %zu bytes", nbytes);
    }
    ask_for_large_pages(address, nbytes);
    *out_mem = (ndbuf_mem){
        .device = device, .handle = address, .host_address = address, .nbytes = nbytes, .backend_data = &own_memory};
    return NDBUF_OK;
}

ndbuf_status ndbuf_cpu__mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                   ndbuf_error *err)
{
    if (nbytes > UINTPTR_MAX - (uintptr_t)handle) {
        return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "%zu bytes at %p pass the end of the address space", nbytes, handle);
    }
    *out_mem = (ndbuf_mem){.device = device, .handle = handle, .host_address = handle, .nbytes = nbytes};
    return NDBUF_OK;
}

void ndbuf_cpu__mem_free(ndbuf_mem *mem)
{
    if (mem->backend_data == &own_memory) {
        ndbuf__aligned_free(mem->handle);
    }
}

ndbuf_status ndbuf_cpu__mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                void **out_address, ndbuf_error *err)
{
    (void)nbytes, (void)map_flags, (void)err;
    *out_address = (char *)mem->host_address + offset;
    return NDBUF_OK;
}

ndbuf_status ndbuf_cpu__mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err)
{
    uintptr_t first = (uintptr_t)mem->host_address;
    if ((uintptr_t)address < first || (uintptr_t)address - first >= mem->nbytes) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%p is not a mapping of this memory", address);
    }
    return NDBUF_OK;
}
