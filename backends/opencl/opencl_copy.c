/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/opencl/opencl_backend.h"

#include <string.h>

#include "core/link_costs.h"

/* The largest pattern of clEnqueueFillBuffer in bytes; patterns are powers of two. */
#define OPENCL_MAX_PATTERN 128

/* Whether the host reaches the device's memory where it is. */
static bool is_mappable(const ndbuf_device *device)
{
    return (device->flags & NDBUF_DEVICE_UNIFIED) != 0;
}

void ndbuf_opencl__copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    bool dst_is_own = ndbuf_opencl__is_own(dst);
    bool src_is_own = ndbuf_opencl__is_own(src);
    memset(out_caps, 0, sizeof(*out_caps));
    if (dst_is_own && src_is_own) {
        if (ndbuf_opencl__context_of(dst) != ndbuf_opencl__context_of(src)) {
            return;
        }
        const opencl_kernels *kernels = &((const opencl_device *)dst)->kernels;
        bool have_kernels = kernels->are_usable && ((const opencl_device *)src)->kernels.are_usable;
        bool can_convert = have_kernels && !kernels->swaps && !((const opencl_device *)src)->kernels.swaps;
        out_caps->flags = NDBUF_CAN_FILL | (have_kernels ? NDBUF_CAN_COPY_STRIDED : NDBUF_RECT_EQUAL_PITCHES) |
                          (can_convert ? NDBUF_CAN_CONVERT | NDBUF_CAN_CONVERT_FLOAT64 : 0u);
        ndbuf__link_costs_default(out_caps, kernels->on_cpu ? NDBUF__LINK_OPENCL_CPU_LOCAL : NDBUF__LINK_OPENCL_LOCAL);
    } else if (((dst_is_own ? src : dst)->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) == 0 || dst_is_own == src_is_own) {
        return;
    } else {
        bool on_cpu = ((const opencl_device *)(dst_is_own ? dst : src))->kernels.on_cpu;
        ndbuf__link_costs_default(out_caps, !on_cpu      ? NDBUF__LINK_OPENCL_HOST
                                            : dst_is_own ? NDBUF__LINK_OPENCL_CPU_WRITE
                                                         : NDBUF__LINK_OPENCL_CPU_READ);
    }
    const ndbuf_device *own = dst_is_own ? dst : src;
    bool crosses = dst_is_own != src_is_own;
    out_caps->flags |= NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT;
    if (is_mappable(own) && (!src_is_own || is_mappable(src))) {
        out_caps->flags |= NDBUF_CAN_MAP;
    }
    if (crosses && !((const opencl_device *)own)->runs_functions) { /* a thread of ours waits, as within the device */
        ndbuf_copy_caps within = {0};
        ndbuf__link_costs_default(&within, NDBUF__LINK_OPENCL_CPU_LOCAL);
        out_caps->map_ns = within.map_ns;
    }
}

typedef enum opencl_direction { OPENCL_COPY, OPENCL_WRITE, OPENCL_READ } opencl_direction;

/* The first step of each copy and fill. Also whether the host's part in it is allowed. */
static ndbuf_status direction_of(const ndbuf_queue *queue, const ndbuf_mem *dst, const ndbuf_mem *src,
                                 opencl_direction *out_direction, ndbuf_error *err)
{
    bool dst_is_own = ndbuf_opencl__is_own(dst->device);
    bool src_is_own = ndbuf_opencl__is_own(src->device);
    cl_context context = ndbuf_opencl__context_of(queue->device);
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    if ((dst_is_own && ndbuf_opencl__context_of(dst->device) != context) ||
        (src_is_own && ndbuf_opencl__context_of(src->device) != context)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "a copy between two OpenCL contexts");
    }
    if (dst_is_own && src_is_own) {
        *out_direction = OPENCL_COPY;
    } else if (dst_is_own && src->host_address != NULL) {
        *out_direction = OPENCL_WRITE;
        return ndbuf_opencl__check_access(dst, OPENCL_HOST_WRITES, err);
    } else if (src_is_own && dst->host_address != NULL) {
        *out_direction = OPENCL_READ;
        return ndbuf_opencl__check_access(src, OPENCL_HOST_READS, err);
    } else {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "OpenCL cannot copy between %s and %s memory",
                          src->device->ops->name, dst->device->ops->name);
    }
    return NDBUF_OK;
}

/* The status of an enqueued copy. An overlap is the driver's view of two sides that do not overlap: some compare only
 * the outer bounds of rectangles. That is NDBUF_ERR_UNSUPPORTED. */
static ndbuf_status copy_status(cl_int code, const char *call, ndbuf_error *err)
{
    return code == CL_SUCCESS
               ? NDBUF_OK
               : ndbuf_opencl__fail(err, code == CL_MEM_COPY_OVERLAP ? NDBUF_ERR_UNSUPPORTED : NDBUF_ERR_DEVICE, code,
                                    call);
}

/* Begins a command that reads or writes [host, host + nbytes), unless it goes from buffer to buffer. */
static ndbuf_status copy_begin(opencl_queue *queue, opencl_direction direction, const char *host, int64_t nbytes,
                               ndbuf_error *err)
{
    ndbuf_status status = direction == OPENCL_WRITE ? ndbuf_opencl__queue_settle(queue, host, nbytes, err) : NDBUF_OK;
    if (status == NDBUF_OK) {
        status = ndbuf_opencl__queue_begin(queue, err);
    }
    if (status == NDBUF_OK && direction == OPENCL_READ) {
        ndbuf_opencl__queue_note_read(queue, host, nbytes);
    }
    return status;
}

ndbuf_status ndbuf_opencl__copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset,
                                      const ndbuf_mem *src, int64_t src_offset, int64_t nbytes, ndbuf_error *err)
{
    opencl_queue *self = (opencl_queue *)queue;
    const opencl_api *api = ((const opencl_device *)queue->device)->api;
    opencl_direction direction = OPENCL_COPY;
    ndbuf_status status = direction_of(queue, dst, src, &direction, err);
    if (status != NDBUF_OK) {
        return status;
    }
    char *host = direction == OPENCL_WRITE  ? (char *)src->host_address + src_offset
                 : direction == OPENCL_READ ? (char *)dst->host_address + dst_offset
                                            : NULL;
    status = copy_begin(self, direction, host, nbytes, err);
    if (status != NDBUF_OK) {
        return status;
    }
    cl_event done = NULL;
    switch (direction) {
    case OPENCL_COPY:
        status = copy_status(api->clEnqueueCopyBuffer(queue->native, src->handle, dst->handle, (size_t)src_offset,
                                                      (size_t)dst_offset, (size_t)nbytes, 0, NULL, &done),
                             "clEnqueueCopyBuffer", err);
        break;
    case OPENCL_WRITE:
        status = copy_status(api->clEnqueueWriteBuffer(queue->native, dst->handle, CL_FALSE, (size_t)dst_offset,
                                                       (size_t)nbytes, host, 0, NULL, &done),
                             "clEnqueueWriteBuffer", err);
        break;
    case OPENCL_READ:
        status = copy_status(api->clEnqueueReadBuffer(queue->native, src->handle, CL_FALSE, (size_t)src_offset,
                                                      (size_t)nbytes, host, 0, NULL, &done),
                             "clEnqueueReadBuffer", err);
        break;
    }
    ndbuf_opencl__queue_end(self, done);
    return status;
}

/* The parameters of a rectangle: drivers disagree about pitches of 0, so all are given. The offset goes into the first
 * origin, which counts bytes and may exceed the pitch. Host sides have it in their address. */
typedef struct opencl_rect_side {
    size_t origin[3];
    size_t row_pitch;
    size_t slice_pitch;
    char *host; /* NULL: a buffer */
} opencl_rect_side;

static opencl_rect_side rect_side(const ndbuf_rect *rect, const ndbuf_rect_side *side)
{
    opencl_rect_side result = {
        .row_pitch = (size_t)side->row_pitch,
        .slice_pitch = (size_t)(rect->nslices > 1 ? side->slice_pitch : rect->nrows * side->row_pitch),
    };
    if (ndbuf_opencl__is_own(side->mem->device)) {
        result.origin[0] = (size_t)side->offset;
    } else {
        result.host = (char *)side->mem->host_address + side->offset;
    }
    return result;
}

/* src NULL: nothing is read. */
static ndbuf_status launch_planned(ndbuf_queue *queue, const ndbuf_mem *dst, const ndbuf_mem *src,
                                   ndbuf__kernel_launch *launch, ndbuf_error *err)
{
    const opencl_kernels *kernels = &((const opencl_device *)queue->device)->kernels;
    if (kernels->ngroups != 0) {
        launch->ngroups = kernels->ngroups;
    }
    return ndbuf_opencl__launch(queue, dst, src, launch, err);
}

ndbuf_status ndbuf_opencl__copy_strided(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err)
{
    const opencl_kernels *kernels = &((const opencl_device *)queue->device)->kernels;
    opencl_direction direction = OPENCL_COPY;
    ndbuf__kernel_launch launch;
    ndbuf_status status = direction_of(queue, box->dst.mem, box->src.mem, &direction, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (direction != OPENCL_COPY || !kernels->are_usable) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "OpenCL copies strided boxes only %s",
                          kernels->are_usable ? "between its buffers" : "on devices that can build its kernels");
    }
    if (!ndbuf__kernel_plan_copy(box, ndbuf_opencl__kernel_address(box->dst.mem),
                                 ndbuf_opencl__kernel_address(box->src.mem), kernels->group_nitems, &launch)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "a strided box of %d axes; the kernels take %d", (int)box->ndim,
                          NDK_MAX_NDIM);
    }
    return launch_planned(queue, box->dst.mem, box->src.mem, &launch, err);
}

ndbuf_status ndbuf_opencl__convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *box, ndbuf_error *err)
{
    const opencl_kernels *kernels = &((const opencl_device *)queue->device)->kernels;
    opencl_direction direction = OPENCL_COPY;
    ndbuf__kernel_launch launch;
    ndbuf_status status = direction_of(queue, box->dst.mem, box->src.mem, &direction, err);
    if (status != NDBUF_OK) {
        return status;
    }
    bool can_convert = kernels->are_usable && !kernels->swaps;
    if (direction != OPENCL_COPY || !can_convert) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "OpenCL converts only %s",
                          can_convert ? "between its buffers"
                                      : "on devices that can build its kernels and have the host's byte order");
    }
    if (!ndbuf__kernel_plan_convert(box, ndbuf_opencl__kernel_address(box->dst.mem),
                                    ndbuf_opencl__kernel_address(box->src.mem), kernels->group_nitems, &launch)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no kernel converts %d axes of number %d to number %d",
                          (int)box->ndim, (int)box->src_element.number, (int)box->dst_element.number);
    }
    return launch_planned(queue, box->dst.mem, box->src.mem, &launch, err);
}

/* A rectangle from buffer to buffer that the driver does not take. */
static ndbuf_status copy_rect_by_kernel(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err)
{
    const int64_t shape[] = {rect->nslices, rect->nrows};
    const int64_t dst_strides[] = {rect->dst.slice_pitch, rect->dst.row_pitch};
    const int64_t src_strides[] = {rect->src.slice_pitch, rect->src.row_pitch};
    const ndbuf_strided box = {.dst = {rect->dst.mem, rect->dst.offset, dst_strides},
                               .src = {rect->src.mem, rect->src.offset, src_strides},
                               .ndim = 2,
                               .shape = shape,
                               .unit_nbytes = rect->row_nbytes};
    return ndbuf_opencl__copy_strided(queue, &box, err);
}

/* One command of the driver's. */
static ndbuf_status enqueue_rect(opencl_queue *queue, opencl_direction direction, const ndbuf_rect *rect,
                                 cl_int *out_code, ndbuf_error *err)
{
    const opencl_api *api = ((const opencl_device *)queue->base.device)->api;
    const size_t region[3] = {(size_t)rect->row_nbytes, (size_t)rect->nrows, (size_t)rect->nslices};
    const opencl_rect_side dst = rect_side(rect, &rect->dst);
    const opencl_rect_side src = rect_side(rect, &rect->src);
    cl_command_queue native = queue->base.native;
    cl_mem dst_buffer = rect->dst.mem->handle;
    cl_mem src_buffer = rect->src.mem->handle;
    const char *call = NULL;
    cl_event done = NULL;
    const opencl_rect_side *host = direction == OPENCL_WRITE ? &src : &dst;
    size_t nbytes = (region[2] - 1) * host->slice_pitch + (region[1] - 1) * host->row_pitch + region[0];
    ndbuf_status status = copy_begin(queue, direction, host->host, (int64_t)nbytes, err);
    if (status != NDBUF_OK) {
        return status;
    }
    switch (direction) {
    case OPENCL_COPY:
        call = "clEnqueueCopyBufferRect";
        *out_code =
            api->clEnqueueCopyBufferRect(native, src_buffer, dst_buffer, src.origin, dst.origin, region, src.row_pitch,
                                         src.slice_pitch, dst.row_pitch, dst.slice_pitch, 0, NULL, &done);
        break;
    case OPENCL_WRITE:
        call = "clEnqueueWriteBufferRect";
        *out_code =
            api->clEnqueueWriteBufferRect(native, dst_buffer, CL_FALSE, dst.origin, src.origin, region, dst.row_pitch,
                                          dst.slice_pitch, src.row_pitch, src.slice_pitch, src.host, 0, NULL, &done);
        break;
    case OPENCL_READ:
        call = "clEnqueueReadBufferRect";
        *out_code =
            api->clEnqueueReadBufferRect(native, src_buffer, CL_FALSE, src.origin, dst.origin, region, src.row_pitch,
                                         src.slice_pitch, dst.row_pitch, dst.slice_pitch, dst.host, 0, NULL, &done);
        break;
    }
    ndbuf_opencl__queue_end(queue, done);
    return copy_status(*out_code, call, err);
}

/* What begins with row `row` of slice `slice`. */
static ndbuf_rect rect_part(const ndbuf_rect *rect, int64_t slice, int64_t row, int64_t nslices, int64_t nrows)
{
    ndbuf_rect part = *rect;
    part.dst.offset += slice * rect->dst.slice_pitch + row * rect->dst.row_pitch;
    part.src.offset += slice * rect->src.slice_pitch + row * rect->src.row_pitch;
    part.nslices = nslices;
    part.nrows = nrows;
    return part;
}

/* A rectangle that the driver refuses as a whole. NVIDIA's does so where slices * slice pitch is more than the buffer
 * has, although the bytes that are copied lie in it. So the last slice is copied by itself, and of that the last row:
 * the padding behind all others lies before these. After a failure some parts may be on their way. */
static ndbuf_status copy_rect_in_parts(ndbuf_queue *queue, opencl_direction direction, const ndbuf_rect *rect,
                                       ndbuf_error *err)
{
    int64_t slice = rect->nslices - 1;
    int64_t row = rect->nrows - 1;
    const ndbuf_rect parts[] = {rect_part(rect, 0, 0, slice, rect->nrows), rect_part(rect, slice, 0, 1, row)};
    const ndbuf_rect last = rect_part(rect, slice, row, 1, 1);
    cl_int code = CL_SUCCESS;
    for (int i = 0; i < 2; i++) {
        ndbuf_status status = parts[i].nslices > 0 && parts[i].nrows > 0
                                  ? enqueue_rect((opencl_queue *)queue, direction, &parts[i], &code, err)
                                  : NDBUF_OK;
        if (status != NDBUF_OK) {
            return status;
        }
    }
    return ndbuf_opencl__copy_bytes(queue, last.dst.mem, last.dst.offset, last.src.mem, last.src.offset,
                                    last.row_nbytes, err);
}

/* The same rectangle with one row only where it is a single one: slices of one row are rows. */
static ndbuf_rect rect_simplify(const ndbuf_rect *rect)
{
    ndbuf_rect simple = *rect;
    if (rect->nrows == 1) {
        simple.nrows = rect->nslices;
        simple.nslices = 1;
        simple.dst.row_pitch = rect->dst.slice_pitch;
        simple.src.row_pitch = rect->src.slice_pitch;
    }
    return simple;
}

ndbuf_status ndbuf_opencl__copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err)
{
    const ndbuf_rect simple = rect_simplify(rect);
    const ndbuf_rect_side *dst = &simple.dst;
    const ndbuf_rect_side *src = &simple.src;
    opencl_direction direction = OPENCL_COPY;
    cl_int code = CL_SUCCESS;
    ndbuf_status status = direction_of(queue, dst->mem, src->mem, &direction, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (simple.nrows == 1) { /* its pitch would only be compared with the buffer */
        return ndbuf_opencl__copy_bytes(queue, dst->mem, dst->offset, src->mem, src->offset, simple.row_nbytes, err);
    }
    bool is_within_one = direction == OPENCL_COPY && dst->mem->handle == src->mem->handle;
    bool has_part = ndbuf_opencl__is_part(dst->mem) || ndbuf_opencl__is_part(src->mem);
    if (direction == OPENCL_COPY && has_part) {
        return copy_rect_by_kernel(queue, &simple, err);
    }
    if (is_within_one &&
        (dst->row_pitch != src->row_pitch || (simple.nslices > 1 && dst->slice_pitch != src->slice_pitch))) {
        return copy_rect_by_kernel(queue, &simple, err);
    }
    ndbuf_error why = {0}; /* if it is the last word */
    status = enqueue_rect((opencl_queue *)queue, direction, &simple, &code, &why);
    if (code == CL_INVALID_VALUE && !is_within_one) {
        return copy_rect_in_parts(queue, direction, &simple, err);
    }
    if (code == CL_INVALID_VALUE || code == CL_MEM_COPY_OVERLAP) {
        return copy_rect_by_kernel(queue, &simple, err);
    }
    if (status != NDBUF_OK && err != NULL) {
        *err = why;
    }
    return status;
}

/* The bytes from the first element on that a box covers without gaps; 0: it has gaps. Repeated elements (stride 0)
 * count once. */
static int64_t dense_nbytes(const ndbuf_fill_box *box)
{
    int64_t nbytes = box->item_nbytes;
    for (int32_t axis = box->ndim - 1; axis >= 0; axis--) {
        if (box->dst.strides[axis] == 0) {
            continue;
        }
        if (box->dst.strides[axis] != nbytes) {
            return 0;
        }
        nbytes *= box->shape[axis];
    }
    return nbytes;
}

/* The shortest pattern that OpenCL takes and that, repeated from `offset` on, gives the items; 0: there is none. */
static size_t pattern_nbytes(const ndbuf_fill_box *box)
{
    const char *item = box->item;
    size_t item_nbytes = (size_t)box->item_nbytes;
    for (size_t length = 1; length <= OPENCL_MAX_PATTERN && item_nbytes % length == 0; length *= 2) {
        if ((size_t)box->dst.offset % length != 0) {
            break;
        }
        if (memcmp(item, item + length, item_nbytes - length) == 0) {
            return length;
        }
    }
    return 0;
}

static ndbuf_status fill_by_kernel(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err)
{
    const opencl_kernels *kernels = &((const opencl_device *)queue->device)->kernels;
    ndbuf__kernel_launch launch;
    if (!kernels->are_usable ||
        !ndbuf__kernel_plan_fill(box, ndbuf_opencl__kernel_address(box->dst.mem), kernels->group_nitems, &launch)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                          "OpenCL cannot fill %d axes with an item of %lld bytes at offset %lld", (int)box->ndim,
                          (long long)box->item_nbytes, (long long)box->dst.offset);
    }
    return launch_planned(queue, box->dst.mem, NULL, &launch, err);
}

/* Bytes without gaps by the driver's own command, which needs nothing built; the rest by a kernel. */
ndbuf_status ndbuf_opencl__fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err)
{
    opencl_queue *self = (opencl_queue *)queue;
    const opencl_api *api = ((const opencl_device *)queue->device)->api;
    opencl_direction direction = OPENCL_COPY;
    ndbuf_status status = direction_of(queue, box->dst.mem, box->dst.mem, &direction, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t nbytes = dense_nbytes(box);
    size_t length = nbytes != 0 ? pattern_nbytes(box) : 0;
    if (length == 0) {
        return fill_by_kernel(queue, box, err);
    }
    status = ndbuf_opencl__queue_begin(self, err);
    if (status != NDBUF_OK) {
        return status;
    }
    cl_event done = NULL;
    status = OPENCL_STATUS(api->clEnqueueFillBuffer(queue->native, box->dst.mem->handle, box->item, length,
                                                    (size_t)box->dst.offset, (size_t)nbytes, 0, NULL, &done),
                           err);
    ndbuf_opencl__queue_end(self, done);
    return status;
}
