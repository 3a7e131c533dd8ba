/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>

#include "backends/kernels/convert_element.h"
#include "backends/kernels/kernel_params.h"
#include "tests/cudasim/cudasim_test.h"

#define NROWS 8
#define NCOLUMNS 16

static const uint32_t fatbin[16] = {0xBA55ED50U, 0x00100001U};

typedef struct kernel_fixture {
    cudaLibrary_t library;
    cudaKernel_t copy;
    cudaKernel_t fill;
} kernel_fixture;

static kernel_fixture fixture_make(void)
{
    kernel_fixture f = {0};
    ASSERT_CUDA_OK(cudaLibraryLoadData(&f.library, fatbin, NULL, NULL, 0, NULL, NULL, 0));
    ASSERT_CUDA_OK(cudaLibraryGetKernel(&f.copy, f.library, "ndk_copy_4_64"));
    ASSERT_CUDA_OK(cudaLibraryGetKernel(&f.fill, f.library, "ndk_fill_4_64"));
    return f;
}

/* A transposition of a matrix of ints: the destination has NCOLUMNS rows. */
static ndk_params transposition(void)
{
    return (ndk_params){
        .nunits = NROWS * NCOLUMNS,
        .ndim = 2,
        .unit_nbytes = 4,
        .shape = {NCOLUMNS, NROWS},
        .dst_strides = {4 * NROWS, 4},
        .src_strides = {4, 4 * NCOLUMNS},
        .shifts = {4, 3}, /* the extents are powers of two: no multipliers */
    };
}

static cudaError_t launch(cudaKernel_t kernel, void *dst, const void *src, const ndk_params *params,
                          unsigned group_nitems, cudaStream_t stream)
{
    ndk_params copy = *params;
    void *args[] = {&dst, &src, &copy};
    const dim3 grid = {2, 1, 1};
    const dim3 block = {group_nitems, 1, 1};
    cudaError_t code = cudaLaunchKernel((const void *)kernel, grid, block, args, 0, stream);
    memset(&copy, 0xFF, sizeof(copy)); /* the arguments were copied at the launch */
    return code;
}

static char *device_make(void)
{
    void *block = NULL;
    ASSERT_CUDA_OK(cudaMalloc(&block, sizeof(int32_t) * NROWS * NCOLUMNS));
    return block;
}

static void test_a_kernel_runs_from_the_shared_source(void **state)
{
    int32_t in[NROWS][NCOLUMNS];
    int32_t out[NCOLUMNS][NROWS];
    (void)state;
    kernel_fixture f = fixture_make();
    char *src = device_make();
    char *dst = device_make();
    const ndk_params params = transposition();
    for (int i = 0; i < NROWS * NCOLUMNS; i++) {
        in[i / NCOLUMNS][i % NCOLUMNS] = i;
    }
    ASSERT_CUDA_OK(cudaMemcpy(src, in, sizeof(in), cudaMemcpyDefault));
    ASSERT_CUDA_OK(launch(f.copy, dst, src, &params, 32, NULL));
    ASSERT_CUDA_OK(cudaMemcpy(out, dst, sizeof(out), cudaMemcpyDefault));
    for (int i = 0; i < NROWS * NCOLUMNS; i++) {
        assert_int_equal(out[i % NCOLUMNS][i / NCOLUMNS], i);
    }
    ASSERT_CUDA_OK(cudaFree(src));
    ASSERT_CUDA_OK(cudaFree(dst));
    ASSERT_CUDA_OK(cudaLibraryUnload(f.library));
}

static void test_a_kernel_reaches_write_combined_memory_by_its_own_address(void **state)
{
    const int32_t *host = NULL;
    void *pinned = NULL;
    void *there = NULL;
    (void)state;
    kernel_fixture f = fixture_make();
    const ndk_params params = transposition();
    char *src = device_make();
    ASSERT_CUDA_OK(cudaMemset(src, 7, sizeof(int32_t) * NROWS * NCOLUMNS));
    ASSERT_CUDA_OK(cudaHostAlloc(&pinned, sizeof(int32_t) * NROWS * NCOLUMNS, cudaHostAllocWriteCombined));
    ASSERT_CUDA_OK(cudaHostGetDevicePointer(&there, pinned, 0));
    ASSERT_CUDA_OK(launch(f.copy, there, src, &params, 32, NULL));
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    host = pinned;
    assert_int_equal(host[NROWS * NCOLUMNS - 1], 0x07070707);
    ASSERT_CUDA_OK(launch(f.copy, pinned, src, &params, 32, NULL));
    ASSERT_CUDA(cudaErrorIllegalAddress, cudaDeviceSynchronize());
    cudasim_repair();
    ASSERT_CUDA_OK(cudaFree(src));
    ASSERT_CUDA_OK(cudaFreeHost(pinned));
    ASSERT_CUDA_OK(cudaLibraryUnload(f.library));
}

static void test_operands_of_kernels_are_checked_for_races(void **state)
{
    cudaStream_t a = NULL;
    cudaStream_t b = NULL;
    (void)state;
    ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking));
    ASSERT_CUDA_OK(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking));
    kernel_fixture f = fixture_make();
    char *src = device_make();
    char *dst = device_make();
    ndk_params params = transposition();
    ASSERT_CUDA_OK(launch(f.copy, dst, src, &params, 32, a));
    ASSERT_CUDA_OK(cudaMemsetAsync(dst, 0, 4, b));
    ASSERT_VIOLATION("ndk_copy_4_64, which writes it");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());

    /* Even columns here, odd ones there. */
    params = (ndk_params){.nunits = 16, .ndim = 1, .unit_nbytes = 4, .shape = {16}, .dst_strides = {8}};
    params.src_strides[0] = 4;
    ASSERT_CUDA_OK(launch(f.copy, dst, src, &params, 32, a));
    params.dst_offset = 4;
    ASSERT_CUDA_OK(launch(f.copy, dst, src, &params, 32, b));
    ASSERT_NO_VIOLATION();
    params.item[0] = 1;
    params.shape[0] = 1;
    params.nunits = 1;
    params.dst_offset = 8;
    ASSERT_CUDA_OK(launch(f.fill, dst, dst, &params, 32, b));
    ASSERT_VIOLATION("ndk_fill_4_64 writes");
    ASSERT_CUDA_OK(cudaDeviceSynchronize());
    ASSERT_CUDA_OK(cudaStreamDestroy(a));
    ASSERT_CUDA_OK(cudaStreamDestroy(b));
    ASSERT_CUDA_OK(cudaFree(src));
    ASSERT_CUDA_OK(cudaFree(dst));
    ASSERT_CUDA_OK(cudaLibraryUnload(f.library));
}

static void test_launches_with_bad_arguments_are_refused(void **state)
{
    static const uint32_t garbage[4] = {1};
    cudaLibrary_t library = NULL;
    cudaKernel_t none = NULL;
    cudaStream_t other = NULL;
    (void)state;
    kernel_fixture f = fixture_make();
    char *src = device_make();
    char *dst = device_make();
    const ndk_params params = transposition();
    ASSERT_CUDA_OK(cudaLibraryLoadData(&library, garbage, NULL, NULL, 0, NULL, NULL, 0));
    ASSERT_CUDA(cudaErrorInvalidKernelImage, cudaLibraryGetKernel(&none, library, "ndk_nothing"));
    ASSERT_CUDA_OK(cudaLibraryUnload(library));
    ASSERT_CUDA(cudaErrorSymbolNotFound, cudaLibraryGetKernel(&none, f.library, "ndk_nothing"));
    assert_null(none);
    ASSERT_CUDA(cudaErrorInvalidValue, launch(f.copy, dst, src, &params, 1025, NULL));
    ASSERT_CUDA(cudaErrorInvalidValue, launch(f.copy, dst, src, &params, 0, NULL));
    ASSERT_CUDA_OK(cudaSetDevice(1));
    ASSERT_CUDA_OK(cudaStreamCreate(&other));
    ASSERT_CUDA_OK(cudaSetDevice(0));
    ASSERT_CUDA(cudaErrorInvalidResourceHandle, launch(f.copy, dst, src, &params, 32, other));
    ASSERT_CUDA_OK(cudaStreamDestroy(other));
    ASSERT_CUDA_OK(cudaLibraryUnload(f.library));
    ASSERT_CUDA(cudaErrorInvalidDeviceFunction, launch(f.copy, dst, src, &params, 32, NULL));
    ASSERT_VIOLATION("was destroyed before");
    ASSERT_CUDA_OK(cudaFree(src));
    ASSERT_CUDA_OK(cudaFree(dst));
}

static void test_a_kernel_that_goes_astray_breaks_the_device(void **state)
{
    (void)state;
    for (int fault = 0; fault < 3; fault++) {
        int32_t plain[NROWS * NCOLUMNS] = {0};
        kernel_fixture f = fixture_make();
        char *src = device_make();
        char *dst = device_make();
        ndk_params params = transposition();
        params.dst_offset = fault == 0 ? 4 : 0;
        params.src_offset = fault == 1 ? 2 : 0;
        params.shape[0] -= fault == 1;
        params.nunits -= fault == 1 ? NROWS : 0;
        ASSERT_CUDA_OK(launch(f.copy, dst, fault == 2 ? (const void *)plain : src, &params, 32, NULL));
        ASSERT_VIOLATION(fault == 0 ? "4 bytes past" : (fault == 1 ? "not a multiple of the unit" : "pageable"));
        const cudaError_t expected = fault == 1 ? cudaErrorMisalignedAddress : cudaErrorIllegalAddress;
        ASSERT_CUDA(expected, cudaDeviceSynchronize());
        ASSERT_CUDA(expected, cudaFree(src));
        ASSERT_CUDA(expected, cudaFree(dst));
        ASSERT_CUDA_OK(cudaLibraryUnload(f.library));
        cudasim_repair();
    }
}

/* Elements of 2 bytes become elements of 8, each read and written as a whole. */
static ndk_params widening(int64_t count)
{
    return (ndk_params){.nunits = count,
                        .ndim = 1,
                        .shape = {count},
                        .dst_strides = {8},
                        .src_strides = {2},
                        .dst_number = NDK_INT64,
                        .src_number = NDK_INT16,
                        .dst_nbytes = 8,
                        .src_nbytes = 2,
                        .dst_access = 8,
                        .src_access = 2};
}

static void test_each_side_of_a_conversion_has_its_own_elements(void **state)
{
    enum { COUNT = NROWS * NCOLUMNS * 4 / 8 }; /* that fill a block */
    int16_t in[NROWS * NCOLUMNS * 2];
    int64_t out[COUNT];
    cudaKernel_t convert = NULL;
    (void)state;
    kernel_fixture f = fixture_make();
    char *src = device_make();
    char *dst = device_make();
    ndk_params params = widening(COUNT);
    ASSERT_CUDA_OK(cudaLibraryGetKernel(&convert, f.library, "ndk_convert_any_32"));
    for (int i = 0; i < NROWS * NCOLUMNS * 2; i++) {
        in[i] = (int16_t)(i * 311);
    }
    ASSERT_CUDA_OK(cudaMemcpy(src, in, sizeof(in), cudaMemcpyDefault));
    ASSERT_CUDA_OK(launch(convert, dst, src, &params, 32, NULL));
    ASSERT_CUDA_OK(cudaMemcpy(out, dst, sizeof(out), cudaMemcpyDefault));
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(out[i], in[i]);
    }
    params.dst_nbytes = 0;
    ASSERT_CUDA(cudaErrorInvalidValue, launch(convert, dst, src, &params, 32, NULL));
    ASSERT_VIOLATION("impossible arguments");
    params = widening(COUNT);
    params.dst_offset = 8;
    ASSERT_CUDA_OK(launch(convert, dst, src, &params, 32, NULL));
    ASSERT_VIOLATION("8 bytes past");
    ASSERT_CUDA(cudaErrorIllegalAddress, cudaDeviceSynchronize());
    (void)cudaFree(src);
    (void)cudaFree(dst);
    (void)cudaLibraryUnload(f.library);
    cudasim_repair();
    f = fixture_make();
    src = device_make();
    dst = device_make();
    ASSERT_CUDA_OK(cudaLibraryGetKernel(&convert, f.library, "ndk_convert_any_32"));
    params = widening(4);
    params.dst_offset = 4;
    ASSERT_CUDA_OK(launch(convert, dst, src, &params, 32, NULL));
    ASSERT_VIOLATION("not a multiple of the unit, 8 bytes");
    ASSERT_CUDA(cudaErrorMisalignedAddress, cudaDeviceSynchronize());
    (void)cudaFree(src);
    (void)cudaFree(dst);
    (void)cudaLibraryUnload(f.library);
    cudasim_repair();
}

static void test_peer_memory_needs_access(void **state)
{
    (void)state;
    for (int enabled = 0; enabled < 2; enabled++) {
        kernel_fixture f = fixture_make();
        char *dst = device_make();
        const ndk_params params = transposition();
        ASSERT_CUDA_OK(cudaSetDevice(1));
        char *src = device_make();
        ASSERT_CUDA_OK(cudaSetDevice(0));
        ASSERT_CUDA_OK(cudaMemcpyPeerAsync(dst, 0, src, 1, 4, NULL)); /* copies need none */
        if (enabled) {
            ASSERT_CUDA_OK(cudaDeviceEnablePeerAccess(1, 0));
            ASSERT_CUDA(cudaErrorPeerAccessAlreadyEnabled, cudaDeviceEnablePeerAccess(1, 0));
        }
        ASSERT_CUDA_OK(launch(f.copy, dst, src, &params, 32, NULL));
        ASSERT_CUDA(enabled ? cudaSuccess : cudaErrorIllegalAddress, cudaDeviceSynchronize());
        (void)cudaFree(src);
        (void)cudaFree(dst);
        (void)cudaLibraryUnload(f.library);
        cudasim_repair();
    }
    ASSERT_CUDA_OK(cudaDeviceDisablePeerAccess(1));
    ASSERT_CUDA(cudaErrorPeerAccessNotEnabled, cudaDeviceDisablePeerAccess(1));
    cudasim_set_peer_access(false);
    ASSERT_CUDA(cudaErrorPeerAccessUnsupported, cudaDeviceEnablePeerAccess(1, 0));
}

static void test_memory_of_pools_needs_access_of_its_own(void **state)
{
    const struct cudaMemPoolProps props = {
        .allocType = cudaMemAllocationTypePinned,
        .location = {.type = cudaMemLocationTypeDevice, .id = 1},
    };
    const struct cudaMemAccessDesc access = {
        .location = {.type = cudaMemLocationTypeDevice, .id = 0},
        .flags = cudaMemAccessFlagsProtReadWrite,
    };
    (void)state;
    ASSERT_CUDA_OK(cudaDeviceEnablePeerAccess(1, 0)); /* is not asked for pools */
    for (int granted = 0; granted < 2; granted++) {
        cudaMemPool_t pool = NULL;
        void *src = NULL;
        kernel_fixture f = fixture_make();
        char *dst = device_make();
        const ndk_params params = transposition();
        ASSERT_CUDA_OK(cudaMemPoolCreate(&pool, &props));
        if (granted) {
            ASSERT_CUDA_OK(cudaMemPoolSetAccess(pool, &access, 1));
        }
        ASSERT_CUDA_OK(cudaMallocFromPoolAsync(&src, sizeof(int32_t) * NROWS * NCOLUMNS, pool, NULL));
        ASSERT_CUDA_OK(launch(f.copy, dst, src, &params, 32, NULL));
        ASSERT_CUDA(granted ? cudaSuccess : cudaErrorIllegalAddress, cudaDeviceSynchronize());
        (void)cudaFreeAsync(src, NULL);
        (void)cudaFree(dst);
        (void)cudaLibraryUnload(f.library);
        (void)cudaMemPoolDestroy(pool);
        cudasim_repair();
        ASSERT_CUDA_OK(cudaDeviceSynchronize());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDASIM_TEST(test_a_kernel_runs_from_the_shared_source),
        CUDASIM_TEST(test_a_kernel_reaches_write_combined_memory_by_its_own_address),
        CUDASIM_TEST(test_operands_of_kernels_are_checked_for_races),
        CUDASIM_TEST(test_launches_with_bad_arguments_are_refused),
        CUDASIM_TEST(test_a_kernel_that_goes_astray_breaks_the_device),
        CUDASIM_TEST(test_each_side_of_a_conversion_has_its_own_elements),
        CUDASIM_TEST(test_peer_memory_needs_access),
        CUDASIM_TEST(test_memory_of_pools_needs_access_of_its_own),
    };
    return cmocka_run_group_tests_name("cudasim/kernel", tests, NULL, NULL);
}
