/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_DLPACK_CORE_H
#define NDBUF_CORE_DLPACK_CORE_H

/* What export and import of DLPack tensors share. */

#include <stdbool.h>

#include "ndbuf/dlpack.h"

#include "core/loss_core.h"
#include "core/view_core.h"

/* Each stands at the head of a block of its own, so the layout is DLPack's business, not the compiler's. */
_Static_assert(sizeof(DLPackVersion) == 8 && sizeof(DLDevice) == 8 && sizeof(DLDataType) == 4, "DLPack's layout");
_Static_assert(sizeof(void *) != 8 || (sizeof(DLTensor) == 48 && offsetof(DLTensor, byte_offset) == 40),
               "DLPack's layout");
_Static_assert(sizeof(void *) != 8 || (sizeof(DLManagedTensor) == 64 && offsetof(DLManagedTensor, deleter) == 56),
               "DLPack's layout");
_Static_assert(sizeof(void *) != 8 ||
                   (sizeof(DLManagedTensorVersioned) == 80 && offsetof(DLManagedTensorVersioned, deleter) == 16 &&
                    offsetof(DLManagedTensorVersioned, dl_tensor) == 32),
               "DLPack's layout");

/* How the items of a view go out. */
typedef struct ndbuf__dlpack_items {
    DLDataType type;
    bool as_bytes;     /* `type` is a byte, and the bytes of an item become an axis */
    int64_t alignment; /* of the type in C, bytes */
} ndbuf__dlpack_items;

/* The type of a view's items, with what is lost. */
ndbuf__dlpack_items ndbuf__dlpack_items_of(const ndbuf_format *format, bool lanes, ndbuf__losses *losses);

/* The format of a type, in the host's byte order. `padded`: sub-byte numbers have a byte each. A type without a format
 * counts as a loss. out_alignment: of the type in C. Statuses: NDBUF_ERR_INVALID, NDBUF_ERR_UNSUPPORTED,
 * NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__dlpack_format_of(DLDataType type, bool padded, bool lanes, ndbuf__losses *losses,
                                     ndbuf_format **out_format, int64_t *out_alignment, ndbuf_error *err);

#endif
