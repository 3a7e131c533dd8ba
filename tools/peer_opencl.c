/* SPDX-License-Identifier: Apache-2.0 */
#include "peer_opencl.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/opencl.h"

/* The functions as OpenCL 1.1 declares them; handles are void pointers, so that no OpenCL header is needed. */
typedef void *(*create_queue_fn)(void *context, void *device, uint64_t properties, int32_t *out_code);
typedef int32_t (*release_queue_fn)(void *queue);
typedef int32_t (*finish_fn)(void *queue);
typedef int32_t (*read_fn)(void *queue, void *buffer, uint32_t blocking, size_t offset, size_t nbytes, void *host,
                           uint32_t nevents, const void *events, void *out_event);
typedef int32_t (*write_fn)(void *queue, void *buffer, uint32_t blocking, size_t offset, size_t nbytes,
                            const void *host, uint32_t nevents, const void *events, void *out_event);
typedef int32_t (*copy_fn)(void *queue, void *src, void *dst, size_t src_offset, size_t dst_offset, size_t nbytes,
                           uint32_t nevents, const void *events, void *out_event);
typedef int32_t (*read_rect_fn)(void *queue, void *buffer, uint32_t blocking, const size_t *buffer_origin,
                                const size_t *host_origin, const size_t *region, size_t buffer_row_pitch,
                                size_t buffer_slice_pitch, size_t host_row_pitch, size_t host_slice_pitch, void *host,
                                uint32_t nevents, const void *events, void *out_event);
typedef int32_t (*write_rect_fn)(void *queue, void *buffer, uint32_t blocking, const size_t *buffer_origin,
                                 const size_t *host_origin, const size_t *region, size_t buffer_row_pitch,
                                 size_t buffer_slice_pitch, size_t host_row_pitch, size_t host_slice_pitch,
                                 const void *host, uint32_t nevents, const void *events, void *out_event);
typedef int32_t (*copy_rect_fn)(void *queue, void *src, void *dst, const size_t *src_origin, const size_t *dst_origin,
                                const size_t *region, size_t src_row_pitch, size_t src_slice_pitch,
                                size_t dst_row_pitch, size_t dst_slice_pitch, uint32_t nevents, const void *events,
                                void *out_event);

struct peer_opencl {
    void *library;
    void *queue;
    create_queue_fn create_queue;
    release_queue_fn release_queue;
    finish_fn finish;
    read_fn read;
    write_fn write;
    copy_fn copy;
    read_rect_fn read_rect;
    write_rect_fn write_rect;
    copy_rect_fn copy_rect;
};

/* Fills the function pointer at `out_function`; POSIX lets a function's address pass through a void pointer. */
static ndbuf_status load(void *library, const char *name, void *out_function, ndbuf_error *err)
{
    void *address = dlsym(library, name);
    if (address == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "libOpenCL.so.1 has no %s", name);
    }
    memcpy(out_function, &address, sizeof(address));
    return NDBUF_OK;
}

static ndbuf_status load_all(peer_opencl *peer, ndbuf_error *err)
{
    const struct {
        const char *name;
        void *out_function;
    } functions[] = {
        {"clCreateCommandQueue", &peer->create_queue},
        {"clReleaseCommandQueue", &peer->release_queue},
        {"clFinish", &peer->finish},
        {"clEnqueueReadBuffer", &peer->read},
        {"clEnqueueWriteBuffer", &peer->write},
        {"clEnqueueCopyBuffer", &peer->copy},
        {"clEnqueueReadBufferRect", &peer->read_rect},
        {"clEnqueueWriteBufferRect", &peer->write_rect},
        {"clEnqueueCopyBufferRect", &peer->copy_rect},
    };
    for (size_t k = 0; k < sizeof(functions) / sizeof(functions[0]); k++) {
        ndbuf_status status = load(peer->library, functions[k].name, functions[k].out_function, err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    return NDBUF_OK;
}

ndbuf_status peer_opencl_create(const ndbuf_device *device, peer_opencl **out_peer, ndbuf_error *err)
{
    void *context = NULL;
    void *device_id = NULL;
    ndbuf_status status = ndbuf_opencl_device_handles(device, &context, &device_id, err);
    if (status != NDBUF_OK) {
        return status;
    }
    peer_opencl *peer = calloc(1, sizeof(*peer));
    if (peer == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a table of OpenCL functions");
    }
    peer->library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (peer->library == NULL) {
        status = ndbuf_fail(err, NDBUF_ERR_UNAVAILABLE, "%s", dlerror());
        goto fail;
    }
    status = load_all(peer, err);
    if (status != NDBUF_OK) {
        goto fail;
    }
    int32_t code = 0;
    peer->queue = peer->create_queue(context, device_id, 0, &code);
    if (peer->queue == NULL) {
        status = ndbuf_fail_native(err, NDBUF_ERR_DEVICE, code, "clCreateCommandQueue failed with %d", code);
        goto fail;
    }
    *out_peer = peer;
    return NDBUF_OK;
fail:
    peer_opencl_destroy(peer);
    return status;
}

void peer_opencl_destroy(peer_opencl *peer)
{
    if (peer == NULL) {
        return;
    }
    if (peer->queue != NULL) {
        peer->release_queue(peer->queue);
    }
    if (peer->library != NULL) {
        dlclose(peer->library);
    }
    free(peer);
}

/* An axis of both sides. */
typedef struct axis_pair {
    int64_t extent;
    int64_t dst;
    int64_t src;
} axis_pair;

/* The axes without those of extent 1, neighbours merged where both sides allow it; outermost first. */
static int32_t merge_axes(const ndbuf_view *dst, const ndbuf_view *src, axis_pair *axes)
{
    int32_t count = 0;
    for (int32_t k = 0; k < src->ndim; k++) {
        axis_pair axis = {src->shape[k], dst->strides[k], src->strides[k]};
        axis_pair *outer = count > 0 ? &axes[count - 1] : NULL;
        if (axis.extent == 1) {
            continue;
        }
        if (outer != NULL && outer->dst == axis.dst * axis.extent && outer->src == axis.src * axis.extent) {
            axis.extent *= outer->extent;
            *outer = axis;
        } else {
            axes[count++] = axis;
        }
    }
    return count;
}

static void place_side(const ndbuf_view *view, int64_t row_pitch, int64_t slice_pitch, peer_side *out_side)
{
    void *host = ndbuf_view_host_address(view);
    out_side->is_device = view->device.type == NDBUF_DEVICE_OPENCL;
    out_side->memory = out_side->is_device ? view->handle : host;
    out_side->offset = out_side->is_device ? (size_t)view->byte_offset : 0;
    out_side->row_pitch = (size_t)row_pitch;
    out_side->slice_pitch = (size_t)slice_pitch;
}

int peer_rect_make(const ndbuf_view *dst, const ndbuf_view *src, peer_rect *out_rect)
{
    axis_pair axes[NDBUF_MAX_NDIM];
    if (src->nbytes == 0) {
        return 0;
    }
    int32_t count = merge_axes(dst, src, axes);
    int64_t row = src->itemsize;
    if (count > 0 && axes[count - 1].dst == row && axes[count - 1].src == row) {
        row *= axes[--count].extent;
    }
    if (count > 2) {
        return 0;
    }
    axis_pair rows = count > 0 ? axes[count - 1] : (axis_pair){1, row, row};
    axis_pair slices = count > 1 ? axes[0] : (axis_pair){1, rows.dst * rows.extent, rows.src * rows.extent};
    if (rows.dst < row || rows.src < row || slices.dst < rows.dst * rows.extent ||
        slices.src < rows.src * rows.extent || slices.dst % rows.dst != 0 || slices.src % rows.src != 0) {
        return 0;
    }
    place_side(dst, rows.dst, slices.dst, &out_rect->dst);
    place_side(src, rows.src, slices.src, &out_rect->src);
    out_rect->row_nbytes = (size_t)row;
    out_rect->nrows = (size_t)rows.extent;
    out_rect->nslices = (size_t)slices.extent;
    return 1;
}

static int is_plain(const peer_rect *rect)
{
    return rect->nrows == 1 && rect->nslices == 1;
}

const char *peer_opencl_call(const peer_rect *rect)
{
    if (rect->dst.is_device && rect->src.is_device) {
        return is_plain(rect) ? "clEnqueueCopyBuffer" : "clEnqueueCopyBufferRect";
    }
    if (rect->dst.is_device) {
        return is_plain(rect) ? "clEnqueueWriteBuffer" : "clEnqueueWriteBufferRect";
    }
    return is_plain(rect) ? "clEnqueueReadBuffer" : "clEnqueueReadBufferRect";
}

/* A place as the calls for rectangles want it. */
static void make_origin(const peer_side *side, size_t *origin)
{
    size_t in_slice = side->offset % side->slice_pitch;
    origin[0] = in_slice % side->row_pitch;
    origin[1] = in_slice / side->row_pitch;
    origin[2] = side->offset / side->slice_pitch;
}

static int32_t copy_plain(const peer_opencl *peer, const peer_rect *rect)
{
    const peer_side *dst = &rect->dst;
    const peer_side *src = &rect->src;
    size_t nbytes = rect->row_nbytes;
    if (dst->is_device && src->is_device) {
        int32_t code =
            peer->copy(peer->queue, src->memory, dst->memory, src->offset, dst->offset, nbytes, 0, NULL, NULL);
        return code != 0 ? code : peer->finish(peer->queue);
    }
    if (dst->is_device) {
        return peer->write(peer->queue, dst->memory, 1, dst->offset, nbytes, src->memory, 0, NULL, NULL);
    }
    return peer->read(peer->queue, src->memory, 1, src->offset, nbytes, dst->memory, 0, NULL, NULL);
}

static int32_t copy_rect(const peer_opencl *peer, const peer_rect *rect)
{
    const peer_side *dst = &rect->dst;
    const peer_side *src = &rect->src;
    const size_t region[3] = {rect->row_nbytes, rect->nrows, rect->nslices};
    size_t dst_origin[3];
    size_t src_origin[3];
    make_origin(dst, dst_origin);
    make_origin(src, src_origin);
    if (dst->is_device && src->is_device) {
        int32_t code =
            peer->copy_rect(peer->queue, src->memory, dst->memory, src_origin, dst_origin, region, src->row_pitch,
                            src->slice_pitch, dst->row_pitch, dst->slice_pitch, 0, NULL, NULL);
        return code != 0 ? code : peer->finish(peer->queue);
    }
    if (dst->is_device) {
        return peer->write_rect(peer->queue, dst->memory, 1, dst_origin, src_origin, region, dst->row_pitch,
                                dst->slice_pitch, src->row_pitch, src->slice_pitch, src->memory, 0, NULL, NULL);
    }
    return peer->read_rect(peer->queue, src->memory, 1, src_origin, dst_origin, region, src->row_pitch,
                           src->slice_pitch, dst->row_pitch, dst->slice_pitch, dst->memory, 0, NULL, NULL);
}

ndbuf_status peer_opencl_copy(const peer_opencl *peer, const peer_rect *rect, ndbuf_error *err)
{
    int32_t code = is_plain(rect) ? copy_plain(peer, rect) : copy_rect(peer, rect);
    if (code != 0) {
        return ndbuf_fail_native(err, NDBUF_ERR_DEVICE, code, "%s failed with %d", peer_opencl_call(rect), code);
    }
    return NDBUF_OK;
}
