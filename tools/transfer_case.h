/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_TRANSFER_CASE_H
#define NDBUF_TOOLS_TRANSFER_CASE_H

#include "ndbuf/ndbuf.h"
#include "peer_opencl.h"

/* A layout that the bench copies: a packed array of `extents`, the first of which is chosen by the size wanted, and
 * what is taken from it. */
typedef struct transfer_layout {
    const char *name;
    const char *format;
    int32_t ndim;
    int64_t extents[4]; /* the first one is 0 */
    const char *slice;  /* as for --slice, ...; NULL: nothing */
    const char *permute;
    const char *field;
    int64_t divisor;   /* one in so many bytes of the array is copied */
    int into_the_same; /* the destination is laid out as the source; else it is packed */
} transfer_layout;

extern const transfer_layout transfer_layouts[];
extern const int transfer_nlayouts;

/* One layout in one direction, with everything allocated and the source filled. Zero-initialised is empty. */
typedef struct transfer_case {
    const peer_opencl *peer; /* borrowed; NULL: both sides are the host */
    ndbuf_view dst;
    ndbuf_view src;
    char *contents; /* of the source's storage */
    char *packed;   /* two pieces of src.nbytes bytes, for memcpy */
    int has_rect;   /* one call by hand does it */
    peer_rect rect;
    char route[32]; /* that ndbuf takes */
} transfer_case;

/* NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE. The case must stay where it is. */
ndbuf_status transfer_case_init(transfer_case *out_case, const transfer_layout *layout, int64_t nbytes,
                                ndbuf_device *from, ndbuf_device *to, const peer_opencl *peer, ndbuf_error *err);
void transfer_case_clear(transfer_case *transfer);

/* The contestants: each copies once. */
ndbuf_status transfer_by_ndbuf(const transfer_case *transfer, ndbuf_error *err);
ndbuf_status transfer_by_memcpy(const transfer_case *transfer, ndbuf_error *err);
ndbuf_status transfer_by_hand(const transfer_case *transfer, ndbuf_error *err);

/* Overwrites the destination, runs a contestant, and compares every item in a plain loop.
 * NDBUF_ERR_DEVICE: an item differs; the text says which. */
ndbuf_status transfer_verify(const transfer_case *transfer,
                             ndbuf_status (*run)(const transfer_case *transfer, ndbuf_error *err), ndbuf_error *err);

#endif
