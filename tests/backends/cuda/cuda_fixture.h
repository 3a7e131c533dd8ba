/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_CUDA_CUDA_FIXTURE_H
#define NDBUF_TESTS_BACKENDS_CUDA_CUDA_FIXTURE_H

/* What the tests of the CUDA backend share. They run against the simulator, which is put behind the library by
 * ndbuf_cuda_attach; CUDASIM_SCHEDULE decides how its work gets done. */

#include "tests/cudasim/cudasim.h"
#include "tests/support/test.h"

#include "ndbuf/cuda.h"

#include "backends/cuda/cuda_backend.h"

/* Functions of the runtime that tests call beside those that the backend uses. */
#define CUDA_EXTRA_LIST(X)                                                                                             \
    X(cudaPeekAtLastError)                                                                                             \
    X(cudaStreamBeginCapture)                                                                                          \
    X(cudaStreamEndCapture)                                                                                            \
    X(cudaGraphInstantiate)                                                                                            \
    X(cudaGraphLaunch)                                                                                                 \
    X(cudaGraphExecDestroy)                                                                                            \
    X(cudaGraphDestroy)

typedef struct cuda_extra {
#define CUDA_EXTRA_MEMBER(name) __typeof__ (&(name))(name);
    CUDA_EXTRA_LIST(CUDA_EXTRA_MEMBER)
#undef CUDA_EXTRA_MEMBER
} cuda_extra;

/* The simulator's functions: those in the program are the linked runtime's. */
extern const cuda_api *sim;
extern cuda_extra extra;

/* Puts the simulator behind the library, unless NDBUF_CUDART does it: the setup of a group of tests. */
int cuda_fixture_start(void **state);

/* Runs behind each test: no violations, nothing left over, no error left for others, and faults switched off. */
int cuda_fixture_check(void **state);

#define CUDA_TEST(test) cmocka_unit_test_teardown(test, cuda_fixture_check)

ndbuf_device *cuda_fixture_open(const char *name);

/* Host memory as an ndbuf_mem. */
ndbuf_mem cuda_fixture_host(void *block, size_t nbytes);

/* Memory of a device with contents, and what it holds; both wait. Ended by mem_free. */
ndbuf_mem cuda_fixture_mem(ndbuf_device *device, const void *contents, size_t nbytes);
void cuda_fixture_read(const ndbuf_mem *mem, void *out_contents);

/* Asserts that CUDA's call succeeded. */
#define ASSERT_CUDA(call) assert_int_equal((call), cudaSuccess)

#endif
