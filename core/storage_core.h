/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_STORAGE_CORE_H
#define NDBUF_CORE_STORAGE_CORE_H

#include "ndbuf/backend.h"
#include "ndbuf/storage.h"
#include "ndbuf/view.h"

#include "core/ref_count.h"

struct ndbuf_storage {
    ndbuf_owner owner; /* must stay first: views hold storages as their owners */
    ndbuf__ref_count refs;
    ndbuf_mem mem;  /* mem.device is retained */
    uint32_t flags; /* NDBUF_STORAGE_... bits */
    ndbuf_release_fn release;
    void *release_context;
    void *adopted_handle;
};

#endif
