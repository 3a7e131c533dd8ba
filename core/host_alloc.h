/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_ALLOC_H
#define NDBUF_CORE_HOST_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* Every host allocation of the library goes through these, so that tests can make each of them fail. */
void *ndbuf__malloc(size_t nbytes);
void *ndbuf__calloc(size_t count, size_t nbytes);
void *ndbuf__realloc(void *block, size_t nbytes);
void *ndbuf__aligned_alloc(size_t alignment, size_t nbytes); /* freed by ndbuf__aligned_free */
void ndbuf__free(void *block);
void ndbuf__aligned_free(void *block);

/* For tests: asked before each allocation, which fails if it says so. NULL: none. */
typedef bool (*ndbuf__alloc_fault_fn)(void);
void ndbuf__set_alloc_fault(ndbuf__alloc_fault_fn fault);

#endif
