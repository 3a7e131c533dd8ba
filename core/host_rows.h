/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_ROWS_H
#define NDBUF_CORE_HOST_ROWS_H

/* Rows of contiguous bytes that lie behind pointers: the innermost loop of a copy with suboffsets. The host's backend
 * defines the function, which knows the processor and has the threads. */

#include <stdint.h>

#include "core/view_core.h"

/* One side: row i begins at first + i * stride, or at the end of the pointer there and suboffset bytes behind it;
 * and its bytes `offset` further on. */
typedef struct ndbuf__host_row_side {
    char *first;
    int64_t stride;
    int64_t suboffset; /* < 0: no pointers */
    int64_t offset;
} ndbuf__host_row_side;

typedef struct ndbuf__host_rows {
    ndbuf__host_row_side dst;
    ndbuf__host_row_side src;
    int64_t count;
    int64_t nbytes; /* of each, > 0 */
} ndbuf__host_rows;

static inline char *ndbuf__host_row_at(const ndbuf__host_row_side *side, int64_t index)
{
    char *address = side->first + index * side->stride;
    if (side->suboffset >= 0) {
        address = ndbuf__load_pointer(address) + side->suboffset;
    }
    return address + side->offset;
}

/* Copies all rows; returns when they are there. No row of the one side overlaps one of the other. */
void ndbuf__host_rows_copy(const ndbuf__host_rows *rows);

#endif
