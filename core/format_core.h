/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_FORMAT_CORE_H
#define NDBUF_CORE_FORMAT_CORE_H

#include "ndbuf/format.h"

/* The interned format "B". Never NULL, never freed. */
ndbuf_format *ndbuf__format_bytes(void);

/* A part of a record. */
typedef struct ndbuf__format_selection {
    ndbuf_format *format; /* of one element; the caller's reference */
    int64_t offset;       /* bytes from the start of the item */
    int32_t ndim;         /* subarrays around it, from the outside in */
    int64_t extents[NDBUF_FORMAT_MAX_DIMS];
    int64_t strides[NDBUF_FORMAT_MAX_DIMS]; /* bytes */
} ndbuf__format_selection;

/* Finds a member, leaf or record, by path (as ndbuf_view_field takes it). Statuses: NDBUF_ERR_INDEX, NDBUF_ERR_NOMEM.
 */
ndbuf_status ndbuf__format_select(const ndbuf_format *format, const char *path, ndbuf__format_selection *out_selection,
                                  ndbuf_error *err);

#endif
