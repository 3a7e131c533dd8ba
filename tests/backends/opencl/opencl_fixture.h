/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_OPENCL_OPENCL_FIXTURE_H
#define NDBUF_TESTS_BACKENDS_OPENCL_OPENCL_FIXTURE_H

/* What the tests of the OpenCL backend share: they call its table directly. */

#include "tests/support/test.h"

#include "backends/opencl/opencl_backend.h"
#include "tests/backends/opencl/opencl_faults.h"

#define OPS (&ndbuf_opencl__ops)

/* Makes PoCL show two devices, unless POCL_DEVICES is set. Returns how many devices there are; 0: skip. */
int32_t opencl_fixture_start(void);

/* The same with the library of faults at `path` in front of the driver. Returns 0, or the program's exit code. */
int opencl_fixture_start_with_faults(const char *path, const opencl_faults_control **out_faults);

const opencl_api *opencl_fixture_api(void);

/* Device 0, opened by the first call, closed by opencl_fixture_end. */
ndbuf_device *opencl_fixture_device(void);
void opencl_fixture_end(void);

/* A new context and an imported device over it, with the cl_device_id of `device`. The caller releases both. */
ndbuf_device *opencl_fixture_foreign_device(const ndbuf_device *device, cl_context *out_context);

/* A host block as an ndbuf_mem. */
ndbuf_mem opencl_fixture_host(void *block, size_t nbytes);

/* A new buffer with contents, or unspecified ones for NULL. */
ndbuf_mem opencl_fixture_buffer(ndbuf_device *device, const void *contents, size_t nbytes);

/* The contents of a buffer, blocking, with a queue of its own. */
void opencl_fixture_read(const ndbuf_mem *mem, void *out_contents);

/* Holds up a queue's later work until opencl_fixture_open. */
cl_event opencl_fixture_close_gate(ndbuf_queue *queue);
void opencl_fixture_open_gate(cl_event gate);

#endif
