/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_backend.h"

#include <stdbool.h>
#include <string.h>

#include "core/compiler.h"

/* Work for later, in one block: the box, its arrays, and for a fill the item. */
typedef struct cpu_copy_job {
    void (*run)(const cpu_box *box);
    cpu_convert_box box; /* of a plain copy, its box alone */
} cpu_copy_job;

static ndbuf_status job_run(void *context, ndbuf_error *err)
{
    (void)err;
    cpu_copy_job *job = context;
    job->run(&job->box.box);
    ndbuf__block_give(job);
    return NDBUF_OK;
}

/* Puts a copy of a box, box_nbytes bytes, into a queue. `item_nbytes` > 0: box->src is an item to be copied along. */
static NDBUF__NOINLINE ndbuf_status box_enqueue(ndbuf_queue *queue, void (*run)(const cpu_box *box), const cpu_box *box,
                                                size_t box_nbytes, int64_t item_nbytes, ndbuf_error *err)
{
    size_t ndim = (size_t)box->ndim;
    size_t nbytes = sizeof(cpu_copy_job) + 3 * ndim * sizeof(int64_t) + (size_t)item_nbytes;
    cpu_copy_job *job = ndbuf__block_take(ndbuf_cpu__queue_blocks(queue), nbytes);
    if (job == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a copy in a host queue");
    }
    job->run = run;
    memcpy(&job->box, box, box_nbytes);
    if (ndim > 0) {
        int64_t *arrays = (int64_t *)(job + 1);
        memcpy(arrays, box->shape, ndim * sizeof(int64_t));
        memcpy(arrays + ndim, box->dst_strides, ndim * sizeof(int64_t));
        memcpy(arrays + 2 * ndim, box->src_strides, ndim * sizeof(int64_t));
        job->box.box.shape = arrays;
        job->box.box.dst_strides = arrays + ndim;
        job->box.box.src_strides = arrays + 2 * ndim;
    }
    if (item_nbytes > 0) {
        char *item = (char *)(job + 1) + 3 * ndim * sizeof(int64_t);
        memcpy(item, box->src, (size_t)item_nbytes);
        job->box.box.src = item;
    }
    ndbuf_status status = ndbuf_cpu__queue_host_call(queue, job_run, job, err);
    if (status != NDBUF_OK) {
        ndbuf__block_give(job);
    }
    return status;
}

/* Runs a box at once in the immediate queue, else puts a copy of it into the queue. */
static inline ndbuf_status box_submit(ndbuf_queue *queue, void (*run)(const cpu_box *box), const cpu_box *box,
                                      size_t box_nbytes, int64_t item_nbytes, ndbuf_error *err)
{
    if (queue == &ndbuf_cpu__immediate_queue) {
        run(box);
        return NDBUF_OK;
    }
    return box_enqueue(queue, run, box, box_nbytes, item_nbytes, err);
}

ndbuf_status ndbuf_cpu__copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset, const ndbuf_mem *src,
                                   int64_t src_offset, int64_t nbytes, ndbuf_error *err)
{
    cpu_box box = {.dst = (char *)dst->host_address + dst_offset,
                   .src = (const char *)src->host_address + src_offset,
                   .unit_nbytes = nbytes};
    return box_submit(queue, ndbuf_cpu__copy_box, &box, sizeof(box), 0, err);
}

ndbuf_status ndbuf_cpu__copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err)
{
    int64_t shape[2] = {rect->nslices, rect->nrows};
    int64_t dst_strides[2] = {rect->dst.slice_pitch, rect->dst.row_pitch};
    int64_t src_strides[2] = {rect->src.slice_pitch, rect->src.row_pitch};
    cpu_box box = {.dst = (char *)rect->dst.mem->host_address + rect->dst.offset,
                   .src = (const char *)rect->src.mem->host_address + rect->src.offset,
                   .ndim = 2,
                   .unit_nbytes = rect->row_nbytes,
                   .shape = shape,
                   .dst_strides = dst_strides,
                   .src_strides = src_strides};
    return box_submit(queue, ndbuf_cpu__copy_box, &box, sizeof(box), 0, err);
}

ndbuf_status ndbuf_cpu__copy_strided(ndbuf_queue *queue, const ndbuf_strided *strided, ndbuf_error *err)
{
    cpu_box box = {.dst = (char *)strided->dst.mem->host_address + strided->dst.offset,
                   .src = (const char *)strided->src.mem->host_address + strided->src.offset,
                   .ndim = strided->ndim,
                   .unit_nbytes = strided->unit_nbytes,
                   .shape = strided->shape,
                   .dst_strides = strided->dst.strides,
                   .src_strides = strided->src.strides};
    return box_submit(queue, ndbuf_cpu__copy_box, &box, sizeof(box), 0, err);
}

static void convert_run(const cpu_box *box)
{
    ndbuf_cpu__convert_box((const cpu_convert_box *)box);
}

ndbuf_status ndbuf_cpu__convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *convert, ndbuf_error *err)
{
    cpu_convert_box box = {.box = {.dst = (char *)convert->dst.mem->host_address + convert->dst.offset,
                                   .src = (const char *)convert->src.mem->host_address + convert->src.offset,
                                   .ndim = convert->ndim,
                                   .shape = convert->shape,
                                   .dst_strides = convert->dst.strides,
                                   .src_strides = convert->src.strides},
                           .dst_element = convert->dst_element,
                           .src_element = convert->src_element,
                           .flags = convert->flags};
    if (!ndbuf__converter_init(&box.converter, &box.dst_element, &box.src_element, box.flags)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no conversion from number %d of %d bytes to number %d of %d bytes",
                          (int)convert->src_element.number, (int)convert->src_element.nbytes,
                          (int)convert->dst_element.number, (int)convert->dst_element.nbytes);
    }
    return box_submit(queue, convert_run, &box.box, sizeof(box), 0, err);
}

ndbuf_status ndbuf_cpu__fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *fill, ndbuf_error *err)
{
    cpu_box box = {.dst = (char *)fill->dst.mem->host_address + fill->dst.offset,
                   .src = fill->item,
                   .ndim = fill->ndim,
                   .unit_nbytes = fill->item_nbytes,
                   .shape = fill->shape,
                   .dst_strides = fill->dst.strides,
                   .src_strides = fill->dst.strides};
    return box_submit(queue, ndbuf_cpu__fill_box, &box, sizeof(box), fill->item_nbytes, err);
}
