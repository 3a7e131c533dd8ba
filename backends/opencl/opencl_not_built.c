/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/opencl.h"

/* The public functions of a library that was built without OpenCL. */

ndbuf_status ndbuf_opencl_device_import(void *cl_context_handle, void *cl_device_id_handle, ndbuf_device **out_device,
                                        ndbuf_error *err)
{
    (void)cl_context_handle, (void)cl_device_id_handle, (void)out_device;
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the library was built without OpenCL");
}

ndbuf_status ndbuf_opencl_device_handles(const ndbuf_device *device, void **out_cl_context, void **out_cl_device_id,
                                         ndbuf_error *err)
{
    (void)device, (void)out_cl_context, (void)out_cl_device_id;
    return ndbuf_fail(err, NDBUF_ERR_INVALID, "not an OpenCL device: the library was built without OpenCL");
}
