/* SPDX-License-Identifier: Apache-2.0 */
#include "core/host_alloc.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

static _Atomic(ndbuf__alloc_fault_fn) alloc_fault;

static bool alloc_fails(void)
{
    ndbuf__alloc_fault_fn fault = atomic_load_explicit(&alloc_fault, memory_order_relaxed);
    return fault != NULL && fault();
}

void ndbuf__set_alloc_fault(ndbuf__alloc_fault_fn fault)
{
    atomic_store_explicit(&alloc_fault, fault, memory_order_relaxed);
}

void *ndbuf__malloc(size_t nbytes)
{
    return alloc_fails() ? NULL : malloc(nbytes > 0 ? nbytes : 1);
}

void *ndbuf__calloc(size_t count, size_t nbytes)
{
    return alloc_fails() ? NULL : calloc(count > 0 ? count : 1, nbytes > 0 ? nbytes : 1);
}

void *ndbuf__realloc(void *block, size_t nbytes)
{
    return alloc_fails() ? NULL : realloc(block, nbytes > 0 ? nbytes : 1);
}

void ndbuf__free(void *block)
{
    free(block);
}

/* The address that malloc gave is kept in front of the aligned one: C11's aligned_alloc is missing on Windows. */
void *ndbuf__aligned_alloc(size_t alignment, size_t nbytes)
{
    if (alignment < sizeof(void *)) {
        alignment = sizeof(void *);
    }
    if (nbytes > SIZE_MAX - alignment - sizeof(void *)) {
        return NULL;
    }
    void *block = ndbuf__malloc(nbytes + alignment + sizeof(void *));
    if (block == NULL) {
        return NULL;
    }
    uintptr_t first = (uintptr_t)block + sizeof(void *);
    uintptr_t aligned = (first + alignment - 1) / alignment * alignment;
    void **address = (void **)((char *)block + (aligned - (uintptr_t)block));
    address[-1] = block;
    return address;
}

void ndbuf__aligned_free(void *block)
{
    if (block != NULL) {
        free(((void **)block)[-1]);
    }
}
