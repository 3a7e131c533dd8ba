/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels must not read a buffer that others made CL_MEM_WRITE_ONLY, nor write one that is CL_MEM_READ_ONLY: some
 * drivers lose what they write there. Commands may, so the kernel is given a buffer of our own that stands in for it.
 */
#include "backends/opencl/opencl_backend.h"

/* Of byte 0 of a buffer, at least; units never cross it. */
#define OPENCL_ALIGNMENT 64

/* The bytes of one side that a kernel touches, and the buffer in their place. */
typedef struct opencl_stand_in {
    int64_t first; /* offset in the memory that it stands for */
    int64_t nbytes;
    int64_t offset; /* of the first of them in `mem`: as aligned as they were */
    ndbuf_mem mem;  /* handle NULL: nothing stands in */
} opencl_stand_in;

/* Where units of `unit_nbytes` lie, and whether without gaps; repeated ones (stride 0) count once. */
static bool find_range(const ndk_params *params, int64_t first, const int64_t *strides, int64_t unit_nbytes,
                       opencl_stand_in *out_range)
{
    int64_t nunits = 1;
    int64_t end = first + unit_nbytes;
    for (int32_t k = 0; k < params->ndim; k++) {
        int64_t span = (params->shape[k] - 1) * strides[k];
        first += span < 0 ? span : 0;
        end += span > 0 ? span : 0;
        nunits *= strides[k] != 0 ? params->shape[k] : 1;
    }
    out_range->first = first;
    out_range->nbytes = end - first;
    return nunits * unit_nbytes == end - first;
}

/* In place of `stands_for`; moves the kernel's offset there. */
static ndbuf_status stand_in_open(opencl_stand_in *stand_in, const ndbuf_queue *queue, const ndbuf_mem *stands_for,
                                  ndk_i64 *offset, ndbuf_error *err)
{
    uint64_t address = ndbuf_opencl__kernel_address(stands_for) + (uint64_t)stand_in->first;
    stand_in->offset = (int64_t)(address % OPENCL_ALIGNMENT);
    *offset += stand_in->offset - stand_in->first;
    return ndbuf_opencl__mem_alloc(queue->device, (size_t)(stand_in->offset + stand_in->nbytes), OPENCL_ALIGNMENT,
                                   &stand_in->mem, err);
}

/* The driver keeps the buffer until the commands are done. */
static void stand_in_close(opencl_stand_in *stand_in)
{
    if (stand_in->mem.handle != NULL) {
        ndbuf_opencl__mem_free(&stand_in->mem);
    }
}

/* Before anything is enqueued. NDBUF_ERR_UNSUPPORTED: a destination with gaps, which others may be writing. */
static ndbuf_status open_both(opencl_stand_in *to, opencl_stand_in *from, const ndbuf_queue *queue,
                              const ndbuf_mem *dst, const ndbuf_mem *src, ndbuf__kernel_launch *launch,
                              ndbuf_error *err)
{
    ndk_params *params = &launch->params;
    bool converts = params->unit_nbytes == 0;
    ndbuf_status status = NDBUF_OK;
    if (ndbuf_opencl__check_access(dst, OPENCL_KERNEL_WRITES, NULL) != NDBUF_OK) {
        status = find_range(params, params->dst_offset, params->dst_strides,
                            converts ? params->dst_nbytes : params->unit_nbytes, to)
                     ? stand_in_open(to, queue, dst, &params->dst_offset, err)
                     : ndbuf_opencl__check_access(dst, OPENCL_KERNEL_WRITES, err);
    }
    if (status == NDBUF_OK && src != NULL && ndbuf_opencl__check_access(src, OPENCL_KERNEL_READS, NULL) != NDBUF_OK) {
        (void)find_range(params, params->src_offset, params->src_strides,
                         converts ? params->src_nbytes : params->unit_nbytes, from);
        status = stand_in_open(from, queue, src, &params->src_offset, err);
    }
    return status;
}

ndbuf_status ndbuf_opencl__launch(ndbuf_queue *queue, const ndbuf_mem *dst, const ndbuf_mem *src,
                                  ndbuf__kernel_launch *launch, ndbuf_error *err)
{
    opencl_stand_in to = {0};
    opencl_stand_in from = {0};
    ndbuf_status status = open_both(&to, &from, queue, dst, src, launch, err);
    if (status == NDBUF_OK && from.mem.handle != NULL) {
        status = ndbuf_opencl__copy_bytes(queue, &from.mem, from.offset, src, from.first, from.nbytes, err);
        src = &from.mem;
    }
    if (status == NDBUF_OK) {
        const ndbuf_mem *written = to.mem.handle != NULL ? &to.mem : dst;
        status = ndbuf_opencl__kernel_launch((opencl_queue *)queue, written, src != NULL ? src : written, launch, err);
    }
    if (status == NDBUF_OK && to.mem.handle != NULL) {
        status = ndbuf_opencl__copy_bytes(queue, dst, to.first, &to.mem, to.offset, to.nbytes, err);
    }
    stand_in_close(&to);
    stand_in_close(&from);
    return status;
}
