/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_SAMPLE_VIEWS_H
#define NDBUF_TESTS_SUPPORT_SAMPLE_VIEWS_H

/* Storages whose references can be counted, and views of them to try things on. */

#include "core/storage_core.h"
#include "tests/support/test.h"

/* A storage over memory that the test owns, or over none: views of it may be looked at, but not read. Lives in the
 * caller's memory and is not freed; `nrefs` is what its views hold. */
typedef struct sample_storage {
    ndbuf_storage storage; /* must stay first */
    ndbuf_device device;
    int64_t nrefs;
} sample_storage;

/* `memory` NULL: the storage begins at an address that is not to be touched. */
void sample_storage_init(sample_storage *out_sample, ndbuf_device_type type, void *memory, int64_t nbytes);

/* A view with opaque items; fails the test if there can be none. strides NULL: C-contiguous. */
void sample_view_init(ndbuf_view *out_view, sample_storage *sample, int64_t itemsize, int32_t ndim,
                      const int64_t *shape, const int64_t *strides, int64_t byte_offset);

/* A layout without suboffsets, with its own arrays. */
typedef struct sample_layout {
    int32_t ndim;
    int64_t itemsize;
    int64_t shape[NDBUF_MAX_NDIM];
    int64_t strides[NDBUF_MAX_NDIM];
} sample_layout;

/* Small and mean: up to max_ndim axes of 0 .. max_extent items, strides of any sign, often contiguous, overlapping or
 * 0. */
sample_layout sample_layout_random(test_random *random, int32_t max_ndim, int64_t max_extent);

/* The lowest and the highest byte that the layout reaches, relative to its first item, found by visiting all; false if
 * it has none. */
bool sample_layout_range(const sample_layout *layout, int64_t *out_lo, int64_t *out_hi);

/* The next index in C order; false behind the last one. */
bool sample_next_index(int32_t ndim, const int64_t *shape, int64_t *index);

/* Where item `index` of a view lies, from the public fields alone: a host address, or an offset where there is no
 * memory. Follows suboffsets. */
int64_t sample_item_address(const ndbuf_view *view, const int64_t *index);

/* Item `k` of a shape in C or in Fortran order. */
void sample_nth_index(int32_t ndim, const int64_t *shape, char order, int64_t k, int64_t *out_index);

#endif
