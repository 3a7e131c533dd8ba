/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_BENCH_LAYOUTS_H
#define NDBUF_BENCH_BENCH_LAYOUTS_H

/* The layouts that transfers are measured with. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"

#define BENCH_MAX_NDIM 4

/* A view of part of a piece of memory of storage_nbytes bytes. */
typedef struct bench_layout {
    const char *name;
    const char *format;
    int64_t itemsize;
    int32_t ndim;
    int64_t shape[BENCH_MAX_NDIM];
    int64_t strides[BENCH_MAX_NDIM];
    int64_t byte_offset;
    int64_t nbytes; /* that the view holds */
    int64_t storage_nbytes;
} bench_layout;

extern const size_t bench_nlayouts;

/* Layout `index` with about `nbytes` bytes, at least one row, plane or image. */
bench_layout bench_layout_make(size_t index, int64_t nbytes);

/* The same items in C order without gaps. */
bench_layout bench_layout_packed(const bench_layout *layout);

/* A view of a new storage of the device. */
ndbuf_status bench_layout_create(const bench_layout *layout, ndbuf_device *device, ndbuf_view *out_view,
                                 ndbuf_error *err);

/* Two layouts walked through together, as what is contiguous on both sides: `nruns` runs of run_nbytes bytes. */
typedef struct bench_runs {
    int32_t ndim; /* axes outside of the runs */
    int64_t shape[BENCH_MAX_NDIM];
    int64_t dst_strides[BENCH_MAX_NDIM];
    int64_t src_strides[BENCH_MAX_NDIM];
    int64_t dst_offset;
    int64_t src_offset;
    int64_t run_nbytes;
    int64_t nruns;
} bench_runs;

void bench_runs_make(const bench_layout *dst, const bench_layout *src, bench_runs *out_runs);

/* Whether they are a rectangle of `nruns` rows with positive pitches, strides of the only axis (or of none). */
bool bench_runs_are_rectangle(const bench_runs *runs);

/* Calls fn with the offsets of each run, until one fails. */
typedef int (*bench_run_fn)(void *context, int64_t dst_offset, int64_t src_offset, int64_t nbytes);
int bench_runs_walk(const bench_runs *runs, bench_run_fn fn, void *context);

#endif
