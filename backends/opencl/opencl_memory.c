/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/opencl/opencl_backend.h"

#include "core/host_alloc.h"

/* Whether a code of clCreateBuffer says that the size was the trouble. */
static bool is_out_of_memory(cl_int code)
{
    return code == CL_MEM_OBJECT_ALLOCATION_FAILURE || code == CL_OUT_OF_RESOURCES || code == CL_OUT_OF_HOST_MEMORY ||
           code == CL_INVALID_BUFFER_SIZE;
}

ndbuf_status ndbuf_opencl__mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                     ndbuf_error *err)
{
    (void)alignment; /* a buffer has no address; drivers align it for every type of OpenCL C */
    const opencl_device *self = (const opencl_device *)device;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (nbytes > self->max_allocation) {
        return ndbuf_fail_native(err, NDBUF_ERR_NOMEM, CL_INVALID_BUFFER_SIZE,
                                 "%zu bytes on opencl:%d: the device allocates at most %llu at once", nbytes,
                                 (int)device->tag.id, (unsigned long long)self->max_allocation);
    }
    cl_int code = CL_SUCCESS;
    cl_mem buffer = self->api->clCreateBuffer(self->context->handle, CL_MEM_READ_WRITE, nbytes, NULL, &code);
    if (is_out_of_memory(code)) {
        return ndbuf_fail_native(err, NDBUF_ERR_NOMEM, code, "%zu bytes on opencl:%d: clCreateBuffer: %s (%d)", nbytes,
                                 (int)device->tag.id, ndbuf_opencl__code_name(code), (int)code);
    }
    if (code != CL_SUCCESS) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clCreateBuffer");
    }
    *out_mem = (ndbuf_mem){.device = device, .handle = buffer, .nbytes = nbytes};
    return NDBUF_OK;
}

/* Statuses: NDBUF_ERR_INVALID (not a buffer of the device's context), NDBUF_ERR_BOUNDS, NDBUF_ERR_DEVICE. */
static ndbuf_status check_foreign(const opencl_device *device, cl_mem buffer, size_t nbytes, ndbuf_error *err)
{
    const opencl_api *api = device->api;
    cl_context context = NULL;
    cl_mem_object_type type = 0;
    size_t buffer_nbytes = 0;
    cl_int code = api->clGetMemObjectInfo(buffer, CL_MEM_CONTEXT, sizeof(context), &context, NULL);
    if (code == CL_INVALID_MEM_OBJECT) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_INVALID, code, "not a cl_mem");
    }
    if (code != CL_SUCCESS) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clGetMemObjectInfo");
    }
    if (context != device->context->handle) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the cl_mem is of another context than opencl:%d",
                          (int)device->base.tag.id);
    }
    OPENCL_TRY(api->clGetMemObjectInfo(buffer, CL_MEM_TYPE, sizeof(type), &type, NULL), err);
    if (type != CL_MEM_OBJECT_BUFFER) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the cl_mem is of type 0x%x, not a buffer", (unsigned)type);
    }
    OPENCL_TRY(api->clGetMemObjectInfo(buffer, CL_MEM_SIZE, sizeof(buffer_nbytes), &buffer_nbytes, NULL), err);
    if (nbytes > buffer_nbytes) {
        return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "the cl_mem has %zu bytes, fewer than %zu", buffer_nbytes, nbytes);
    }
    return NDBUF_OK;
}

/* Also of which buffer it is a part, if it is a sub-buffer. */
static ndbuf_status read_import(const opencl_api *api, cl_mem buffer, opencl_import *out_import, ndbuf_mem *out_mem,
                                ndbuf_error *err)
{
    opencl_import import = {0};
    cl_mem whole = NULL;
    size_t origin = 0;
    OPENCL_TRY(
        api->clGetMemObjectInfo(buffer, CL_MEM_HOST_PTR, sizeof(import.host_address), &import.host_address, NULL), err);
    OPENCL_TRY(api->clGetMemObjectInfo(buffer, CL_MEM_ASSOCIATED_MEMOBJECT, sizeof(whole), &whole, NULL), err);
    OPENCL_TRY(api->clGetMemObjectInfo(buffer, CL_MEM_FLAGS, sizeof(import.flags), &import.flags, NULL), err);
    if (whole != NULL) {
        OPENCL_TRY(api->clGetMemObjectInfo(buffer, CL_MEM_OFFSET, sizeof(origin), &origin, NULL), err);
    }
    *out_import = import;
    out_mem->whole = whole;
    out_mem->whole_offset = origin;
    return NDBUF_OK;
}

ndbuf_status ndbuf_opencl__mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                      ndbuf_error *err)
{
    const opencl_device *self = (const opencl_device *)device;
    const opencl_api *api = self->api;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (handle == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no cl_mem to import");
    }
    status = check_foreign(self, handle, nbytes, err);
    if (status != NDBUF_OK) {
        return status;
    }
    opencl_import *import = ndbuf__malloc(sizeof(*import));
    if (import == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to import a cl_mem");
    }
    ndbuf_mem mem = {.device = device, .handle = handle, .nbytes = nbytes, .backend_data = import};
    status = read_import(api, handle, import, &mem, err);
    if (status == NDBUF_OK) {
        status = OPENCL_STATUS(api->clRetainMemObject(handle), err);
    }
    if (status != NDBUF_OK) {
        ndbuf__free(import);
        return status;
    }
    *out_mem = mem;
    return NDBUF_OK;
}

void ndbuf_opencl__mem_free(ndbuf_mem *mem)
{
    if (!ndbuf_opencl__is_child()) {
        ((const opencl_device *)mem->device)->api->clReleaseMemObject(mem->handle);
    }
    ndbuf__free(mem->backend_data);
}

/* -- what others allow -- */

ndbuf_status ndbuf_opencl__check_access(const ndbuf_mem *mem, opencl_access access, ndbuf_error *err)
{
    static const struct {
        cl_mem_flags forbidding;
        const char *what;
    } accesses[] = {
        [OPENCL_HOST_READS] = {CL_MEM_HOST_WRITE_ONLY | CL_MEM_HOST_NO_ACCESS, "read by the host"},
        [OPENCL_HOST_WRITES] = {CL_MEM_HOST_READ_ONLY | CL_MEM_HOST_NO_ACCESS, "written by the host"},
        [OPENCL_KERNEL_READS] = {CL_MEM_WRITE_ONLY, "read by kernels"},
        [OPENCL_KERNEL_WRITES] = {CL_MEM_READ_ONLY, "written by kernels"},
    };
    const opencl_import *import = ndbuf_opencl__import_of(mem);
    if (import != NULL && (import->flags & accesses[access].forbidding) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "a cl_mem that was made with flags 0x%llx cannot be %s",
                          (unsigned long long)import->flags, accesses[access].what);
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_opencl__check_mapping(const ndbuf_mem *mem, uint32_t map_flags, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    if ((map_flags & NDBUF_MAP_READ) != 0) {
        status = ndbuf_opencl__check_access(mem, OPENCL_HOST_READS, err);
    }
    if (status == NDBUF_OK && (map_flags & NDBUF_MAP_WRITE) != 0) {
        status = ndbuf_opencl__check_access(mem, OPENCL_HOST_WRITES, err);
    }
    return status;
}

/* -- mapping -- */

ndbuf_status ndbuf_opencl__mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                   void **out_address, ndbuf_error *err)
{
    const opencl_api *api = ((const opencl_device *)mem->device)->api;
    cl_map_flags flags = ndbuf_opencl__map_flags(map_flags);
    void *address = NULL;
    cl_int code = CL_SUCCESS;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status == NDBUF_OK) {
        status = ndbuf_opencl__check_mapping(mem, map_flags, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    OPENCL_TRY((address = api->clEnqueueMapBuffer(mem->device->default_queue->native, mem->handle, CL_TRUE, flags,
                                                  offset, nbytes, 0, NULL, NULL, &code),
                code),
               err);
    *out_address = address;
    return NDBUF_OK;
}

ndbuf_status ndbuf_opencl__mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err)
{
    const opencl_api *api = ((const opencl_device *)mem->device)->api;
    cl_event done = NULL;
    ndbuf_status status = ndbuf_opencl__refuse_child(err);
    if (status != NDBUF_OK) {
        return status;
    }
    cl_int code =
        api->clEnqueueUnmapMemObject(mem->device->default_queue->native, mem->handle, address, 0, NULL, &done);
    if (code == CL_INVALID_VALUE) {
        return ndbuf_fail_native(err, NDBUF_ERR_INVALID, code, "%p is not a mapped address of this memory", address);
    }
    if (code != CL_SUCCESS) {
        return ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clEnqueueUnmapMemObject");
    }
    code = ndbuf_opencl__await(api, done);
    api->clReleaseEvent(done);
    return code == CL_SUCCESS ? NDBUF_OK : ndbuf_opencl__fail(err, NDBUF_ERR_DEVICE, code, "clWaitForEvents");
}
