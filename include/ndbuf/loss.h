/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_LOSS_H
#define NDBUF_LOSS_H

#include <stdint.h>

#include "ndbuf/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a bridge to another protocol cannot carry over. A bridge refuses whatever would be lost, unless the caller
 * accepts it by the same bits; ALIGNMENT alone is never refused. */
enum {
    NDBUF_LOSS_BYTE_ORDER = 1u << 0, /* the items are not in the host's byte order, which the other side assumes */
    NDBUF_LOSS_NAMES = 1u << 1,      /* the items have fields, or a name */
    NDBUF_LOSS_TYPE = 1u << 2,       /* one side has no name for the type of the items */
    NDBUF_LOSS_SUBOFFSETS = 1u << 3, /* the items lie behind pointers: never accepted, copy instead */
    NDBUF_LOSS_STRIDES = 1u << 4,    /* the items lie where the other side's strides cannot lead */
    NDBUF_LOSS_READONLY = 1u << 5,   /* the memory is read-only, and the other side would not know */
    NDBUF_LOSS_ALIGNMENT = 1u << 6,  /* some items are not aligned as their type is in C, as many readers assume */
    NDBUF_LOSS_SHAPE = 1u << 7,      /* the other side sees another number of axes */
    NDBUF_LOSS_NULLS = 1u << 8       /* some items may be missing, which views do not know */
};

/* What a crossing lost, or would lose. Zero-initialised: nothing. */
typedef struct ndbuf_loss {
    uint32_t flags;    /* NDBUF_LOSS_... bits */
    uint32_t reserved; /* 0 */
    int64_t alignment; /* bytes: the largest power of two, up to 4096, that item 0..0 is aligned to. In memory without
                        * addresses (OpenCL): from the start of its buffer. Nothing else is promised of it */
    char message[240]; /* each loss with the value at fault, separated by "; "; empty: none. Always terminated */
} ndbuf_loss;

#ifdef __cplusplus
}
#endif

#endif
