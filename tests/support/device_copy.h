/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_DEVICE_COPY_H
#define NDBUF_TESTS_SUPPORT_DEVICE_COPY_H

/* Copies between devices tried on random layouts against the reference. Bytes get to devices and back through
 * copy_bytes of their backends alone, so that the core's copies are not tested with themselves. */

#include "tests/support/reference_copy.h"

#include "ndbuf/backend.h"

/* Host memory as backends see it. Owns nothing. */
ndbuf_mem test_host_mem(void *address, size_t nbytes);

/* Copies to and from any backend's memory through its device's default queue; returns when it is done. */
void test_upload(const ndbuf_mem *mem, int64_t offset, const void *bytes, size_t nbytes);
void test_download(const ndbuf_mem *mem, int64_t offset, void *out_bytes, size_t nbytes);

/* An opaque format of `itemsize` bytes; one reference. */
ndbuf_format *test_format(int64_t itemsize);

/* A view of a layout in a storage. */
void test_layout_view(const test_layout *layout, ndbuf_storage *storage, ndbuf_view *out_view);

/* How a copy is tried. */
typedef struct test_copy_case {
    ndbuf_device *dst;
    ndbuf_device *src;
    ndbuf_queue *queue;   /* of either device. NULL: the copy is to return when done. Else all references are let go of
                           * right after the call, before the queue is waited for */
    bool in_one_storage;  /* both views in one storage of `dst`, so that they may overlap; src is ignored */
    bool with_suboffsets; /* where a side is on the host */
    bool through_plan;    /* by ndbuf_copy_plan_create and _run, twice */
    bool converts;        /* the formats differ: see random_types.h */
    uint32_t shape_flags; /* for test_layout_random_shape */
} test_copy_case;

/* How test_copy_try and test_fill_try make memory of devices from now on. NULL: by ndbuf_storage_create. */
void test_copy_storage_by(ndbuf_storage *(*make)(ndbuf_device *device, size_t nbytes));

/* One copy of random layouts. Checks every byte of the destination's storage, those between the items, too, and when
 * adopted host memory is released. `what` is for the message of a failure. */
void test_copy_try(const char *what, test_random *random, const test_copy_case *copy_case);

/* The same for ndbuf_fill. queue NULL: as above. */
void test_fill_try(const char *what, test_random *random, ndbuf_device *device, ndbuf_queue *queue);

#endif
