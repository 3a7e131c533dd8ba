/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

const cuda_api *sim;
cuda_extra extra;

int cuda_fixture_start(void **state)
{
    (void)state;
    if (getenv("NDBUF_CUDART") == NULL) {
        ASSERT_OK(ndbuf_cuda_attach(CUDASIM_LIBRARY, err));
    }
    ASSERT_OK(ndbuf_cuda__api_open(&sim, err));
    assert_true(sim->is_simulated);
    void *library = dlopen(CUDASIM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
#define LOAD(name)                                                                                                     \
    do {                                                                                                               \
        void *address = dlsym(library, #name);                                                                         \
        assert_non_null(address);                                                                                      \
        memcpy(&extra.name, &address, sizeof(address));                                                                \
    } while (0);
    CUDA_EXTRA_LIST(LOAD)
#undef LOAD
    return 0;
}

int cuda_fixture_check(void **state)
{
    (void)state;
    int nwrong = 0;
    cudasim_fail_call("*", 0, cudaSuccess);
    cudasim_fail_work(0, cudaSuccess);
    for (int64_t i = 0; i < cudasim_nviolations(); i++) {
        print_error("violation: %s\n", cudasim_violation(i));
        nwrong++;
    }
    cudasim_live live = cudasim_live_now();
    if (cudasim_anything_lives()) {
        print_error("left over: %d blocks, %d of the host, %d registrations, %d pools, %d streams, %d events, "
                    "%d libraries, %d graphs, %d ipc, %d work\n",
                    (int)live.blocks, (int)live.host_blocks, (int)live.registrations, (int)live.pools,
                    (int)live.streams, (int)live.events, (int)live.libraries, (int)live.graphs, (int)live.ipc,
                    (int)live.work);
        nwrong++;
    }
    cudaError_t last = extra.cudaPeekAtLastError();
    if (last != cudaSuccess) {
        print_error("an error is left for others: %d\n", (int)last);
        nwrong++;
    }
    if (nwrong > 0) {
        cudasim_reset();
    }
    return nwrong;
}

ndbuf_device *cuda_fixture_open(const char *name)
{
    ndbuf_device *device = NULL;
    ASSERT_OK(ndbuf_device_open(name, &device, err));
    return device;
}

ndbuf_mem cuda_fixture_host(void *block, size_t nbytes)
{
    return (ndbuf_mem){.device = ndbuf_device_cpu(), .handle = block, .host_address = block, .nbytes = nbytes};
}

/* Staging memory has no queue of its own. */
static cudaStream_t stream_of(const ndbuf_device *device)
{
    return device->default_queue != NULL ? device->default_queue->native : cudaStreamPerThread;
}

static void copy_now(ndbuf_device *device, void *dst, const void *src, size_t nbytes)
{
    ASSERT_CUDA(sim->cudaMemcpyAsync(dst, src, nbytes, cudaMemcpyDefault, stream_of(device)));
    ASSERT_CUDA(sim->cudaStreamSynchronize(stream_of(device)));
}

ndbuf_mem cuda_fixture_mem(ndbuf_device *device, const void *contents, size_t nbytes)
{
    ndbuf_mem mem = {0};
    ASSERT_OK(device->ops->mem_alloc(device, nbytes, 64, &mem, err));
    copy_now(device, mem.handle, contents, nbytes);
    return mem;
}

void cuda_fixture_read(const ndbuf_mem *mem, void *out_contents)
{
    copy_now(mem->device, out_contents, mem->handle, mem->nbytes);
}
