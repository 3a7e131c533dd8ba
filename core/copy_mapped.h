/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_MAPPED_H
#define NDBUF_CORE_COPY_MAPPED_H

/* Copies by the host's engine to, from or between memory that a device shares with the host: it is mapped for that
 * while, and the bytes are moved once. */

#include "ndbuf/backend.h"

#include "core/copy_plan.h"
#include "core/host_copy.h"

/* Where the host finds one side. */
typedef struct ndbuf__mapped_side {
    int32_t range;  /* the range that it lies in; -1: none, it is host memory */
    int64_t offset; /* of item 0..0 from the start of the range */
    char *address;  /* of item 0..0 in host memory */
} ndbuf__mapped_side;

typedef struct ndbuf__mapped_copy {
    ndbuf__host_copy copy;
    ndbuf__mapped_side dst;
    ndbuf__mapped_side src;
    ndbuf_status status; /* of the host's part, once it is done */
    ndbuf_error error;
} ndbuf__mapped_copy;

/* Puts a copy into a queue of the backend that offers to map what is not host memory. The plan's axes say how it goes,
 * or the two layouts if it has suboffsets. All arrays and `copy` must outlive the work, after which its status is set.
 * Statuses of queue_mapped_call. */
ndbuf_status ndbuf__mapped_enqueue(ndbuf__mapped_copy *copy, const ndbuf__plan *plan, const ndbuf__layout *dst,
                                   const ndbuf__layout *src, const ndbuf__transfer_ends *ends, ndbuf_queue *queue,
                                   ndbuf_error *err);

#endif
