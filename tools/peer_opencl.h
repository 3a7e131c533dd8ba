/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_PEER_OPENCL_H
#define NDBUF_TOOLS_PEER_OPENCL_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"

/* The OpenCL calls that a program without ndbuf would make by hand, for comparison: each blocks until it is done. */
typedef struct peer_opencl peer_opencl;

/* A command queue of its own in the context of an ndbuf device.
 *
 * NDBUF_ERR_INVALID      not an OpenCL device
 * NDBUF_ERR_UNAVAILABLE  libOpenCL.so.1 or a function of it is missing
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
ndbuf_status peer_opencl_create(const ndbuf_device *device, peer_opencl **out_peer, ndbuf_error *err);
void peer_opencl_destroy(peer_opencl *peer); /* NULL is accepted */

/* One side of a rectangle: a host address or a cl_mem, and the place and pitches in it, in bytes. */
typedef struct peer_side {
    void *memory;
    int is_device;
    size_t offset;
    size_t row_pitch;
    size_t slice_pitch;
} peer_side;

/* nslices slices of nrows rows of row_nbytes bytes. One row: the plain call; more: the call for rectangles. */
typedef struct peer_rect {
    peer_side dst;
    peer_side src;
    size_t row_nbytes;
    size_t nrows;
    size_t nslices;
} peer_rect;

/* The one rectangle that copies `src` to `dst`, of equal shapes, if there is one; returns whether there is. */
int peer_rect_make(const ndbuf_view *dst, const ndbuf_view *src, peer_rect *out_rect);

/* The name of the call that peer_opencl_copy makes: "clEnqueueWriteBufferRect". */
const char *peer_opencl_call(const peer_rect *rect);

/* Copies; at least one side is a cl_mem. NDBUF_ERR_DEVICE with OpenCL's code. */
ndbuf_status peer_opencl_copy(const peer_opencl *peer, const peer_rect *rect, ndbuf_error *err);

#endif
