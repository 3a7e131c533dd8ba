/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_BACKEND_H
#define NDBUF_BACKENDS_CPU_CPU_BACKEND_H

/* Shared by the files of the CPU backend. */

#include "ndbuf/backend.h"

#include "core/block_pool.h"

#include "backends/kernels/convert_host.h"

struct cpu_row_converter;

/* A strided copy between host addresses; axes as in ndbuf_strided, arrays of ndim entries. */
typedef struct cpu_box {
    char *dst;
    const char *src;
    int32_t ndim;
    int64_t unit_nbytes;
    int32_t swap_nbytes; /* of which units consist: each has its bytes reversed; 2, 4 or 8. 0: they stay as they are */
    const struct cpu_row_converter *converter; /* makes the numbers of units of others, which are dense in the source's
                                                  (ndbuf_cpu__copies_numbers); NULL: nothing is converted */
    const int64_t *shape;
    const int64_t *dst_strides;
    const int64_t *src_strides;
    int64_t nruns; /* of a plan for it, about, which are worth a longer search; 0: one */
} cpu_box;

/* Of plans that are kept. */
#define CPU_BOX_MANY_RUNS 1000

/* A box whose elements are converted: its unit is not used, and its last axis may be dense on both sides. */
typedef struct cpu_convert_box {
    cpu_box box; /* comes first */
    ndbuf_element dst_element;
    ndbuf_element src_element;
    uint32_t flags;             /* NDBUF_CAST_... bits */
    ndbuf__converter converter; /* of these elements */
} cpu_convert_box;

/* Moves the bytes in the calling thread. */
void ndbuf_cpu__copy_box(const cpu_box *box);

/* Converts the elements; returns when they are there. */
void ndbuf_cpu__convert_box(const cpu_convert_box *convert);

/* Writes src, unit_nbytes bytes, to every element of the box; its src_strides are not used. */
void ndbuf_cpu__fill_box(const cpu_box *box);

/* The queue that works in the calling thread. */
extern ndbuf_queue ndbuf_cpu__immediate_queue;

/* For the work of a queue with a thread, until that is done. */
ndbuf__block_pool *ndbuf_cpu__queue_blocks(ndbuf_queue *queue);

extern const ndbuf_backend_ops ndbuf_cpu__ops;

/* Slots of the table, by file. */

ndbuf_status ndbuf_cpu__mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                  ndbuf_error *err);
ndbuf_status ndbuf_cpu__mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                   ndbuf_error *err);
void ndbuf_cpu__mem_free(ndbuf_mem *mem);
ndbuf_status ndbuf_cpu__mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                void **out_address, ndbuf_error *err);
ndbuf_status ndbuf_cpu__mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err);

ndbuf_status ndbuf_cpu__copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset, const ndbuf_mem *src,
                                   int64_t src_offset, int64_t nbytes, ndbuf_error *err);
ndbuf_status ndbuf_cpu__copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err);
ndbuf_status ndbuf_cpu__copy_strided(ndbuf_queue *queue, const ndbuf_strided *strided, ndbuf_error *err);
ndbuf_status ndbuf_cpu__convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *convert, ndbuf_error *err);
ndbuf_status ndbuf_cpu__fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *fill, ndbuf_error *err);

ndbuf_status ndbuf_cpu__queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err);
void ndbuf_cpu__queue_destroy(ndbuf_queue *queue);
ndbuf_status ndbuf_cpu__queue_wait(ndbuf_queue *queue, ndbuf_error *err);
ndbuf_status ndbuf_cpu__queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err);
ndbuf_status ndbuf_cpu__queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err);

ndbuf_status ndbuf_cpu__event_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err);
void ndbuf_cpu__event_destroy(ndbuf_event *event);
ndbuf_status ndbuf_cpu__event_wait(ndbuf_event *event, ndbuf_error *err);
ndbuf_status ndbuf_cpu__event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err);

#endif
