/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_BACKEND_REGISTRY_H
#define NDBUF_CORE_BACKEND_REGISTRY_H

#include <stdbool.h>

#include "ndbuf/backend.h"

#include "core/tuning_core.h"

/* One line of the table that the build generates (backends/builtin_backends.c.in). The host comes first. */
typedef struct ndbuf__builtin_backend {
    const char *name;
    const ndbuf_backend_ops *ops; /* NULL: not built */
    const char *why_not_built;
    const ndbuf__tunables *tunables; /* its constants; NULL: none */
} ndbuf__builtin_backend;

extern const ndbuf__builtin_backend ndbuf__builtin_backends[];
extern const int32_t ndbuf__builtin_backend_count;

/* The index of the backend with this name, `length` bytes long; -1: there is none. */
int32_t ndbuf__backend_find(const char *name, size_t length);

/* Backend `index`, 0 .. ndbuf_backend_count() - 1, or NULL if it is not built, and then why. */
const ndbuf_backend_ops *ndbuf__backend_at(int32_t index);
const char *ndbuf__backend_why_not_built(int32_t index);

#endif
