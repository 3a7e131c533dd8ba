/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_HOST_COPY_CASE_H
#define NDBUF_BENCH_HOST_COPY_CASE_H

/* The cases of bench_host_copy, which the build makes from the JSON files in cases/, and what they are compared with.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOST_COPY_MAX_NDIM 16

/* Strides and offsets count items. */
typedef struct host_copy_case {
    const char *suite; /* "public": that other libraries were measured with, too; "more": ours */
    const char *name;
    int64_t itemsize; /* bytes */
    int32_t ndim;
    int64_t shape[HOST_COPY_MAX_NDIM];
    int64_t src_strides[HOST_COPY_MAX_NDIM];
    int64_t dst_strides[HOST_COPY_MAX_NDIM];
    int64_t src_offset;
    int64_t dst_offset;
    int64_t nbytes; /* of all items together */
} host_copy_case;

extern const host_copy_case host_copy_cases[];
extern const size_t host_copy_ncases;

/* Bytes from the start of a block to the end of the last item. */
static inline int64_t host_copy_span(const host_copy_case *one, const int64_t *strides, int64_t offset)
{
    for (int32_t k = 0; k < one->ndim; k++) {
        offset += strides[k] > 0 ? strides[k] * (one->shape[k] - 1) : 0;
    }
    return (offset + 1) * one->itemsize;
}

/* Whether dst holds what the case says, item by item. */
bool host_copy_is_right(const host_copy_case *one, const char *dst, const char *src);

/* memcpy that goes past the caches: the limit for what does not fit them. */
void host_copy_stream(char *dst, const char *src, size_t nbytes);

/* Divides a copy of contiguous bytes between threads. They must be awake, that is look for work all the time, which
 * takes their processors from everybody else; so they are woken for a measurement and put to sleep after it. nthreads
 * 1: none are made. */
typedef void (*host_copy_bytes_fn)(char *dst, const char *src, size_t nbytes);
bool host_copy_threads_start(int nthreads);
int host_copy_threads_count(void);
void host_copy_threads_wake(bool awake);
void host_copy_threads_run(host_copy_bytes_fn fn, char *dst, const char *src, size_t nbytes);
void host_copy_threads_end(void);

#endif
