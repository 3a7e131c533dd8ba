/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_OPENCL_H
#define NDBUF_OPENCL_H

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The native objects of OpenCL devices, for those who mix ndbuf with OpenCL code of their own. They are passed as void
 * pointers, so that this header needs no OpenCL header. Buffers go through ndbuf_storage_adopt, command queues through
 * ndbuf_queue_import.
 *
 * "opencl:N" counts all devices of all platforms in the order in which the ICD loader gives them; the devices of one
 * platform share one context. */

/* A device over the caller's own cl_context, which is retained. Copies between devices of one context are direct.
 *
 * device      its tag has the number that the cl_device_id has as "opencl:N".
 * out_device  one reference, ended by ndbuf_device_close.
 *
 * NDBUF_ERR_INVALID      not a context, or the device is not in it
 * NDBUF_ERR_UNAVAILABLE  no OpenCL here
 * NDBUF_ERR_UNSUPPORTED  the library was built without OpenCL
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_opencl_device_import(void *cl_context_handle, void *cl_device_id_handle,
                                                  ndbuf_device **out_device, ndbuf_error *err);

/* The cl_context and the cl_device_id of an OpenCL device, borrowed.
 *
 * NDBUF_ERR_INVALID  not an OpenCL device */
NDBUF_API ndbuf_status ndbuf_opencl_device_handles(const ndbuf_device *device, void **out_cl_context,
                                                   void **out_cl_device_id, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
