/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/opencl/opencl_backend.h"

#include <string.h>

#include "core/host_alloc.h"

/* No device has more dimensions of work items. */
#define OPENCL_MAX_DIMENSIONS 16

/* Groups of each launch for a core of a CPU. */
#define OPENCL_GROUPS_PER_CORE 2

ndbuf_status ndbuf_opencl__kernels_init(opencl_device *device, ndbuf_error *err)
{
    const opencl_api *api = device->api;
    opencl_kernels *kernels = &device->kernels;
    cl_device_type type = 0;
    cl_bool has_compiler = CL_FALSE;
    cl_bool is_little_endian = CL_FALSE;
    cl_uint ncores = 0;
    cl_ulong local_nbytes = 0;
    size_t params_nbytes = 0;
    size_t group_nitems = 0;
    size_t nitems[OPENCL_MAX_DIMENSIONS] = {0};
    OPENCL_TRY(api->clGetDeviceInfo(device->id, CL_DEVICE_TYPE, sizeof(type), &type, NULL), err);
    OPENCL_TRY(
        api->clGetDeviceInfo(device->id, CL_DEVICE_COMPILER_AVAILABLE, sizeof(has_compiler), &has_compiler, NULL), err);
    OPENCL_TRY(
        api->clGetDeviceInfo(device->id, CL_DEVICE_ENDIAN_LITTLE, sizeof(is_little_endian), &is_little_endian, NULL),
        err);
    OPENCL_TRY(api->clGetDeviceInfo(device->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(ncores), &ncores, NULL), err);
    OPENCL_TRY(api->clGetDeviceInfo(device->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(local_nbytes), &local_nbytes, NULL),
               err);
    OPENCL_TRY(
        api->clGetDeviceInfo(device->id, CL_DEVICE_MAX_PARAMETER_SIZE, sizeof(params_nbytes), &params_nbytes, NULL),
        err);
    OPENCL_TRY(
        api->clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(group_nitems), &group_nitems, NULL),
        err);
    OPENCL_TRY(api->clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof(nitems), nitems, NULL), err);
    if (group_nitems > nitems[0]) {
        group_nitems = nitems[0];
    }
    kernels->group_nitems = group_nitems < UINT32_MAX ? (uint32_t)group_nitems : UINT32_MAX;
    kernels->are_usable = has_compiler && local_nbytes >= NDK_LOCAL_NBYTES && group_nitems > 0 &&
                          params_nbytes >= sizeof(ndk_params) + 2 * sizeof(cl_mem);
    kernels->swaps = (is_little_endian != CL_FALSE) == ndbuf__kernel_host_is_big_endian();
    kernels->on_cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
    /* A CPU needs few groups, and always as many: PoCL loads a kernel again for each larger number, and its assertions
     * fail when two such copies of one kernel are in flight (seen in 3.1). */
    kernels->ngroups = kernels->on_cpu ? OPENCL_GROUPS_PER_CORE * ncores : 0;
    return NDBUF_OK;
}

void ndbuf_opencl__kernels_clear(opencl_device *device)
{
    opencl_kernels *kernels = &device->kernels;
    bool is_child = ndbuf_opencl__is_child();
    for (int32_t i = 0; kernels->handles != NULL && i < ndbuf__kernel_count; i++) {
        if (kernels->handles[i] != NULL && !is_child) {
            device->api->clReleaseKernel(kernels->handles[i]);
        }
    }
    ndbuf__free(kernels->handles);
    if (kernels->program != NULL && !is_child) {
        device->api->clReleaseProgram(kernels->program);
    }
}

/* What clBuildProgram says beside its code; NULL: cannot be had. The caller frees it. */
static char *build_log(const opencl_device *device, cl_program program)
{
    const opencl_api *api = device->api;
    size_t nbytes = 0;
    if (api->clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, 0, NULL, &nbytes) != CL_SUCCESS) {
        return NULL;
    }
    char *log = ndbuf__calloc(1, nbytes + 1);
    if (log != NULL &&
        api->clGetProgramBuildInfo(program, device->id, CL_PROGRAM_BUILD_LOG, nbytes, log, NULL) != CL_SUCCESS) {
        ndbuf__free(log);
        return NULL;
    }
    return log;
}

static ndbuf_status fail_build(const opencl_device *device, cl_program program, cl_int code, ndbuf_error *err)
{
    char *log = build_log(device, program);
    ndbuf_fail_native(err, NDBUF_ERR_DEVICE, code, "clBuildProgram: %s (%d)%s%s", ndbuf_opencl__code_name(code),
                      (int)code, log != NULL && log[0] != '\0' ? ": " : "", log != NULL ? log : "");
    ndbuf__free(log);
    return NDBUF_ERR_DEVICE;
}

/* For this device alone: another one of the context may have no compiler, or fail. With the mutex held. */
static ndbuf_status build_program(opencl_device *device, ndbuf_error *err)
{
    const opencl_api *api = device->api;
    opencl_kernels *kernels = &device->kernels;
    const char *source = ndbuf__kernel_opencl_source;
    cl_program program = NULL;
    cl_int code = CL_SUCCESS;
    if (kernels->handles == NULL) {
        kernels->handles = ndbuf__calloc((size_t)ndbuf__kernel_count, sizeof(cl_kernel));
        if (kernels->handles == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for %d OpenCL kernels", (int)ndbuf__kernel_count);
        }
    }
    OPENCL_TRY((program = api->clCreateProgramWithSource(device->context->handle, 1, &source, NULL, &code), code), err);
    code = api->clBuildProgram(program, 1, &device->id, "-cl-std=CL1.2", NULL, NULL);
    if (code != CL_SUCCESS) {
        ndbuf_status status = fail_build(device, program, code, err);
        api->clReleaseProgram(program);
        return status;
    }
    kernels->program = program;
    return NDBUF_OK;
}

/* The kernel of a launch, with its arguments. With the mutex held. */
static ndbuf_status prepare_kernel(opencl_device *device, const ndbuf_mem *dst, const ndbuf_mem *src,
                                   const ndbuf__kernel_launch *launch, cl_kernel *out_kernel, ndbuf_error *err)
{
    const opencl_api *api = device->api;
    opencl_kernels *kernels = &device->kernels;
    cl_kernel kernel = NULL;
    cl_int code = CL_SUCCESS;
    ndbuf_status status = kernels->program != NULL ? NDBUF_OK : build_program(device, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (kernels->handles[launch->kernel] == NULL) {
        OPENCL_TRY((kernel = api->clCreateKernel(kernels->program, ndbuf__kernel_names[launch->kernel], &code), code),
                   err);
        kernels->handles[launch->kernel] = kernel;
    }
    kernel = kernels->handles[launch->kernel];
    OPENCL_TRY(api->clSetKernelArg(kernel, 0, sizeof(cl_mem), &dst->handle), err);
    OPENCL_TRY(api->clSetKernelArg(kernel, 1, sizeof(cl_mem), &src->handle), err);
    OPENCL_TRY(api->clSetKernelArg(kernel, 2, sizeof(launch->params), &launch->params), err);
    *out_kernel = kernel;
    return NDBUF_OK;
}

/* Enqueues a prepared kernel. Groups may be smaller than planned: a kernel may need too much for large ones. */
static ndbuf_status enqueue_kernel(opencl_queue *queue, cl_kernel kernel, const ndbuf__kernel_launch *launch,
                                   ndbuf_error *err)
{
    const opencl_device *device = (const opencl_device *)queue->base.device;
    const opencl_api *api = device->api;
    size_t group_nitems = 0;
    cl_event done = NULL;
    OPENCL_TRY(api->clGetKernelWorkGroupInfo(kernel, device->id, CL_KERNEL_WORK_GROUP_SIZE, sizeof(group_nitems),
                                             &group_nitems, NULL),
               err);
    if (group_nitems > launch->group_nitems) {
        group_nitems = launch->group_nitems;
    }
    size_t nitems = group_nitems * launch->ngroups;
    ndbuf_status status = ndbuf_opencl__queue_begin(queue, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = OPENCL_STATUS(
        api->clEnqueueNDRangeKernel(queue->base.native, kernel, 1, NULL, &nitems, &group_nitems, 0, NULL, &done), err);
    ndbuf_opencl__queue_end(queue, done);
    return status;
}

ndbuf_status ndbuf_opencl__kernel_launch(opencl_queue *queue, const ndbuf_mem *dst, const ndbuf_mem *src,
                                         const ndbuf__kernel_launch *launch, ndbuf_error *err)
{
    opencl_device *device = (opencl_device *)queue->base.device;
    cl_kernel kernel = NULL;
    ndbuf__mutex_lock(&device->kernels.mutex);
    ndbuf_status status = prepare_kernel(device, dst, src, launch, &kernel, err);
    if (status == NDBUF_OK) {
        status = enqueue_kernel(queue, kernel, launch, err);
    }
    ndbuf__mutex_unlock(&device->kernels.mutex);
    return status;
}
