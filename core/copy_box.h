/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_BOX_H
#define NDBUF_CORE_COPY_BOX_H

/* The boxes that a staged copy is cut into: where they lie, and the three moves that each of them makes, from the
 * source's device to a staging buffer, on the host, and from a staging buffer to the destination's device. */

#include <stdbool.h>

#include "ndbuf/backend.h"

#include "core/copy_plan.h"

/* One side of a box: where its first item is, on a device or on the host, and how it lies in its staging buffer. */
typedef struct ndbuf__box_side {
    const ndbuf_mem *mem;
    int64_t offset;             /* device: of the box's first item from the start of mem */
    char *address;              /* host: of the same */
    const int64_t *strides;     /* of the axes from the split axis on */
    const int64_t *suboffsets;  /* likewise; NULL: none */
    int64_t unit_nbytes;        /* on the device or on the host */
    int64_t packed_unit_nbytes; /* in the staging buffer */
    int64_t packed_nbytes;      /* of the whole box there */
    int64_t packed_offset;      /* device: of the first item in the staging buffer */
    int64_t packed_strides[NDBUF__MAX_AXES];
} ndbuf__box_side;

/* The axes are those from the split axis on. */
typedef struct ndbuf__box {
    int32_t ndim;
    const ndbuf__convert *convert;
    int64_t shape[NDBUF__MAX_AXES];
    ndbuf__box_side dst;
    ndbuf__box_side src;
} ndbuf__box;

/* Box `number`, from 0 to staging->nboxes - 1. It points to the staging's and the ends' arrays. */
void ndbuf__box_place(ndbuf__box *out_box, const ndbuf__staging *staging, const ndbuf__transfer_ends *ends,
                      int64_t number);

/* Whether both devices pack the box alike, so that one staging buffer serves both and the host has nothing to do. */
bool ndbuf__box_is_packed_alike(const ndbuf__box *box, const ndbuf__staging *staging);

/* Enqueues the move between a device and a staging buffer, in a queue of that device. `scratch`, unless NULL: memory of
 * the device for the packed box, which converts or sorts. *out_started tells whether the memory may be in use. Statuses
 * of the backend. */
ndbuf_status ndbuf__box_fetch(const ndbuf__box *box, const ndbuf_mem *buffer, const ndbuf_mem *scratch,
                              ndbuf_queue *queue, bool *out_started, ndbuf_error *err);
ndbuf_status ndbuf__box_store(const ndbuf__box *box, const ndbuf_mem *buffer, const ndbuf_mem *scratch,
                              ndbuf_queue *queue, bool *out_started, ndbuf_error *err);

/* The move on the host, in the calling thread: between staging buffers, or one and the host's side. Buffers that the
 * staging does not need are not looked at. */
ndbuf_status ndbuf__box_repack(const ndbuf__box *box, const ndbuf__staging *staging, const ndbuf_mem *dst_buffer,
                               const ndbuf_mem *src_buffer, ndbuf_error *err);

#endif
