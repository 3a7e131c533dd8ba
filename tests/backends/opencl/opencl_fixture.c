/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ndbuf/opencl.h"

static ndbuf_device *first_device;

/* In a process of its own, since drivers read the variable once. */
static bool shows_two_devices(const char *pocl_devices)
{
    pid_t child = fork();
    if (child == 0) {
        int32_t count = 0;
        setenv("POCL_DEVICES", pocl_devices, 1);
        _exit(OPS->device_count(&count, NULL) == NDBUF_OK && count >= 2 ? 0 : 1);
    }
    int state = 0;
    return child > 0 && waitpid(child, &state, 0) == child && WIFEXITED(state) && WEXITSTATUS(state) == 0;
}

int32_t opencl_fixture_start(void)
{
    static const char *const names[] = {"pthread pthread", "cpu cpu"}; /* PoCL 1.x - 3.x, and later */
    for (size_t i = 0; getenv("POCL_DEVICES") == NULL && i < sizeof(names) / sizeof(names[0]); i++) {
        if (shows_two_devices(names[i])) {
            setenv("POCL_DEVICES", names[i], 1);
        }
    }
    int32_t count = 0;
    ndbuf_error error = {0};
    if (OPS->device_count(&count, &error) != NDBUF_OK) {
        print_message("no OpenCL device: %s\n", error.message);
        return 0;
    }
    return count;
}

int opencl_fixture_start_with_faults(const char *path, const opencl_faults_control **out_faults)
{
    setenv("NDBUF_OPENCL", path, 1);
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *out_faults = library != NULL ? dlsym(library, "opencl_faults") : NULL;
    return *out_faults != NULL ? 0 : EXIT_FAILURE;
}

const opencl_api *opencl_fixture_api(void)
{
    const opencl_api *api = NULL;
    ASSERT_OK(ndbuf_opencl__api_open(&api, err));
    return api;
}

ndbuf_device *opencl_fixture_device(void)
{
    if (first_device == NULL) {
        ASSERT_OK(OPS->device_open(0, &first_device, err));
    }
    return first_device;
}

void opencl_fixture_end(void)
{
    if (first_device != NULL) {
        OPS->device_close(first_device);
        first_device = NULL;
    }
}

ndbuf_device *opencl_fixture_foreign_device(const ndbuf_device *device, cl_context *out_context)
{
    cl_device_id id = ((const opencl_device *)device)->id;
    cl_int code = CL_SUCCESS;
    ndbuf_device *foreign = NULL;
    *out_context = opencl_fixture_api()->clCreateContext(NULL, 1, &id, NULL, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    ASSERT_OK(ndbuf_opencl_device_import(*out_context, id, &foreign, err));
    return foreign;
}

ndbuf_mem opencl_fixture_host(void *block, size_t nbytes)
{
    return (ndbuf_mem){.device = ndbuf_device_cpu(), .handle = block, .host_address = block, .nbytes = nbytes};
}

ndbuf_mem opencl_fixture_buffer(ndbuf_device *device, const void *contents, size_t nbytes)
{
    ndbuf_mem mem = {0};
    ASSERT_OK(OPS->mem_alloc(device, nbytes, 64, &mem, err));
    if (contents != NULL) {
        assert_int_equal(opencl_fixture_api()->clEnqueueWriteBuffer(device->default_queue->native, mem.handle, CL_TRUE,
                                                                    0, nbytes, contents, 0, NULL, NULL),
                         CL_SUCCESS);
    }
    return mem;
}

void opencl_fixture_read(const ndbuf_mem *mem, void *out_contents)
{
    const opencl_api *api = opencl_fixture_api();
    const opencl_device *device = (const opencl_device *)mem->device;
    cl_int code = CL_SUCCESS;
    cl_command_queue queue = api->clCreateCommandQueue(device->context->handle, device->id, 0, &code);
    assert_int_equal(code, CL_SUCCESS);
    assert_int_equal(api->clEnqueueReadBuffer(queue, mem->handle, CL_TRUE, 0, mem->nbytes, out_contents, 0, NULL, NULL),
                     CL_SUCCESS);
    api->clReleaseCommandQueue(queue);
}

cl_event opencl_fixture_close_gate(ndbuf_queue *queue)
{
    const opencl_api *api = opencl_fixture_api();
    cl_int code = CL_SUCCESS;
    cl_event gate = api->clCreateUserEvent(ndbuf_opencl__context_of(queue->device), &code);
    assert_int_equal(code, CL_SUCCESS);
    assert_int_equal(api->clEnqueueBarrierWithWaitList(queue->native, 1, &gate, NULL), CL_SUCCESS);
    return gate;
}

void opencl_fixture_open_gate(cl_event gate)
{
    const opencl_api *api = opencl_fixture_api();
    assert_int_equal(api->clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
    api->clReleaseEvent(gate);
}
