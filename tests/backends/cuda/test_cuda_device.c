/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <stdlib.h>
#include <string.h>

static void test_there_are_the_devices_that_the_driver_shows(void **state)
{
    (void)state;
    int32_t count = 0;
    ASSERT_OK(ndbuf_cuda__ops.device_count(&count, err));
    assert_int_equal(count, 2);
    ASSERT_OK(ndbuf_cuda_host__ops.device_count(&count, err));
    assert_int_equal(count, 1);
    ASSERT_OK(ndbuf_cuda_managed__ops.device_count(&count, err));
    assert_int_equal(count, 1);
}

static void test_devices_say_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        ndbuf_device_tag tag;
        bool is_host;
    } expected[] = {{"cuda:0", {NDBUF_DEVICE_CUDA, 0}, false},
                    {"cuda:1", {NDBUF_DEVICE_CUDA, 1}, false},
                    {"cuda_host:0", {NDBUF_DEVICE_CUDA_HOST, 0}, true},
                    {"cuda_managed:0", {NDBUF_DEVICE_CUDA_MANAGED, 0}, true}};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        ndbuf_device *device = cuda_fixture_open(expected[i].name);
        ndbuf_device_info info;
        ndbuf_device_info_get(device, &info);
        assert_string_equal(info.name, expected[i].name);
        assert_int_equal(info.tag.type, expected[i].tag.type);
        assert_int_equal(info.tag.id, expected[i].tag.id);
        assert_int_equal((info.flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0, expected[i].is_host);
        assert_true(info.flags & NDBUF_DEVICE_SIMULATED);
        assert_non_null(strstr(info.description, "compute capability "));
        assert_non_null(strstr(info.description, "PCI "));
        assert_non_null(strstr(info.driver, "CUDA driver 13."));
        assert_int_equal(device->queue_flags, NDBUF_QUEUE_NO_HOST_THREAD);
        assert_int_equal(device->staging != NULL, !expected[i].is_host);
        ndbuf_device_close(device);
    }
}

static void test_a_device_that_is_not_there_is_unavailable(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "2 device", ndbuf_device_open("cuda:2", &device, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "1 device", ndbuf_device_open("cuda_host:1", &device, err));
    cudasim_set_device_count(0);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "cudaErrorNoDevice, 100", ndbuf_device_open("cuda:0", &device, err));
    cudasim_set_device_count(-1);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "cudaErrorInsufficientDriver, 35", ndbuf_device_open("cuda:0", &device, err));
    cudasim_set_device_count(2);
    sim->cudaGetLastError(); /* without a driver, the runtime does not let go of it */
    assert_null(device);
}

/* The device that is current in the calling thread, and where the staging buffers come from, are each's own. */
static void test_the_current_device_is_as_before(void **state)
{
    (void)state;
    static char bytes[1000];
    int current = -1;
    for (int mine = 0; mine < 2; mine++) {
        ASSERT_CUDA(sim->cudaSetDevice(mine));
        for (int other = 0; other < 2; other++) {
            ndbuf_device *device = cuda_fixture_open(other == 0 ? "cuda:0" : "cuda:1");
            ndbuf_queue *queue = NULL;
            ndbuf_event *event = NULL;
            ndbuf_mem mem = {0};
            ndbuf_mem host = cuda_fixture_host(bytes, sizeof(bytes));
            ASSERT_OK(device->ops->mem_alloc(device, sizeof(bytes), 64, &mem, err));
            ASSERT_OK(ndbuf_queue_create(device, &queue, err));
            ASSERT_OK(device->ops->copy_bytes(queue, &mem, 0, &host, 0, sizeof(bytes), err));
            ASSERT_OK(ndbuf_queue_record(queue, &event, err));
            ASSERT_OK(ndbuf_event_wait(event, err));
            ASSERT_OK(ndbuf_queue_wait(queue, err));
            ndbuf_event_release(event);
            ndbuf_queue_release(queue);
            device->ops->mem_free(&mem);
            ndbuf_device_close(device);
            ASSERT_CUDA(sim->cudaGetDevice(&current));
            assert_int_equal(current, mine);
        }
    }
    ASSERT_CUDA(sim->cudaSetDevice(0));
}

static uint32_t flags_between(const ndbuf_device *dst, const ndbuf_device *src)
{
    ndbuf_copy_caps caps;
    dst->ops->copy_caps(dst, src, &caps);
    return caps.flags;
}

/* What kernels do. */
#define KERNEL_FLAGS (NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_CONVERT | NDBUF_CAN_CONVERT_FLOAT64)

static void test_kernels_reach_the_memory_of_peers_that_are_open(void **state)
{
    (void)state;
    const uint32_t direct = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT;
    for (int possible = 0; possible < 2; possible++) {
        cudasim_set_peer_access(possible);
        ndbuf_device *first = cuda_fixture_open("cuda:0");
        ndbuf_device *second = cuda_fixture_open("cuda:1");
        assert_int_equal(flags_between(first, second), direct | (possible ? KERNEL_FLAGS : 0u));
        assert_int_equal(flags_between(second, first), direct | (possible ? KERNEL_FLAGS : 0u));
        ndbuf_device_close(first);
        assert_int_equal(((cuda_device *)second)->peers, 0);
        first = cuda_fixture_open("cuda:0");
        assert_int_equal(flags_between(first, second), direct | (possible ? KERNEL_FLAGS : 0u));
        ndbuf_device_close(first);
        ndbuf_device_close(second);
    }
}

static void test_what_can_be_copied_between_kinds_of_memory(void **state)
{
    (void)state;
    const uint32_t direct = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT;
    const uint32_t kernel = KERNEL_FLAGS;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    ndbuf_device *managed = cuda_fixture_open("cuda_managed:0");
    ndbuf_device *host = ndbuf_device_cpu();
    assert_int_equal(flags_between(device, device), direct | kernel | NDBUF_CAN_FILL);
    assert_int_equal(flags_between(device, pinned), direct | kernel);
    assert_int_equal(flags_between(pinned, device), direct | kernel);
    assert_int_equal(flags_between(pinned, other), 0); /* the other device has it */
    assert_int_equal(flags_between(other, pinned), direct | kernel);
    assert_int_equal(flags_between(device, device->staging), direct | kernel);
    assert_int_equal(flags_between(other, other->staging), direct | kernel);
    assert_int_equal(flags_between(device, managed), direct | kernel);
    assert_int_equal(flags_between(managed, device), direct | kernel);
    assert_int_equal(flags_between(device, host), direct | NDBUF_COPY_MAY_BLOCK);
    assert_int_equal(flags_between(pinned, host), 0);
    assert_int_equal(flags_between(managed, host), 0);
    assert_int_equal(flags_between(pinned, managed), 0);
    ndbuf_copy_caps caps;
    device->ops->copy_caps(host, device, &caps);
    assert_int_equal(caps.flags, direct | NDBUF_COPY_MAY_BLOCK);
    assert_true(caps.max_pitch > 0);
    ndbuf_device_close(device);
    ndbuf_device_close(other);
    ndbuf_device_close(pinned);
    ndbuf_device_close(managed);
}

static void test_without_pools_memory_comes_from_the_plain_calls(void **state)
{
    (void)state;
    cudasim_set_pools_supported(false);
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    char back[6] = "";
    ndbuf_mem mem = cuda_fixture_mem(device, "plain", 6);
    cuda_fixture_read(&mem, back);
    assert_string_equal(back, "plain");
    assert_int_equal(cudasim_live_now().pools, 0);
    device->ops->mem_free(&mem);
    ndbuf_device_close(device);
    cudasim_set_pools_supported(true);
}

static void test_a_device_holds_nothing_before_it_is_open_and_after(void **state)
{
    (void)state;
    int64_t ncalls = cudasim_ncalls("cudaLibraryLoadData");
    ndbuf_device *device = cuda_fixture_open("cuda:1");
    assert_true(cudasim_live_now().streams >= 1);
    assert_int_equal(cudasim_live_now().pools, 1);
    assert_int_equal(cudasim_ncalls("cudaLibraryLoadData"), ncalls); /* kernels are loaded when one is needed */
    ndbuf_device_close(device);
    assert_false(cudasim_anything_lives());
}

static void test_opening_survives_each_failing_allocation(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_cuda__ops.device_open(0, &device, NULL), ndbuf_cuda__ops.device_close(device));
}

static void test_a_device_that_is_opened_again_finds_its_peers(void **state)
{
    (void)state;
    const ndbuf_backend_ops *ops = &ndbuf_cuda__ops;
    ndbuf_device *device = NULL;
    ndbuf_device *other = NULL;
    ndbuf_copy_caps caps;
    ASSERT_OK(ops->device_open(1, &other, err));
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(ops->device_open(0, &device, err));
        ops->copy_caps(device, other, &caps);
        assert_int_not_equal(caps.flags & NDBUF_CAN_COPY_STRIDED, 0);
        ops->copy_caps(other, device, &caps);
        assert_int_not_equal(caps.flags & NDBUF_CAN_COPY_STRIDED, 0);
        ops->device_close(device);
        assert_int_equal(atomic_load(&((cuda_device *)other)->peers), 0);
    }
    ops->device_close(other);
}

/* Planned for the device, since fewer bytes travel so: until the driver tells. */
static void test_without_code_for_the_device_the_host_converts(void **state)
{
    (void)state;
    for (int i = 0; i < 16; i++) {
        const int64_t shape[1] = {i < 8 ? 300000 : 100};
        const int way = i % 4; /* to the device, from it, from another one, and from memory that its kernels reach */
        ndbuf_device *device = cuda_fixture_open("cuda:0");
        ndbuf_device *other = way == 2 ? cuda_fixture_open("cuda:1") : NULL;
        ndbuf_device *pinned = way == 3 ? cuda_fixture_open("cuda_host:0") : NULL;
        ndbuf_device *host = ndbuf_device_cpu();
        ndbuf_queue *queue = NULL;
        ndbuf_view small = {0};
        ndbuf_view large = {0};
        ndbuf_view values = {0};
        ndbuf_format *bytes = test_parse("b");
        ndbuf_format *doubles = test_parse("<d");
        ASSERT_OK(ndbuf_view_create(&small, way == 2 ? device : way == 3 ? pinned : host, bytes, 1, shape, err));
        ASSERT_OK(ndbuf_view_create(&large, way == 2 ? other : device, doubles, 1, shape, err));
        ASSERT_OK(ndbuf_view_create(&values, host, bytes, 1, shape, err));
        int8_t *numbers = ndbuf_view_host_address(&values);
        for (int k = 0; k < shape[0]; k++) {
            numbers[k] = (int8_t)(k * 7);
        }
        const ndbuf_view *dst = way % 3 == 0 ? &large : &small;
        const ndbuf_view *src = way % 3 == 0 ? &small : &large;
        ASSERT_OK(ndbuf_copy_cast(src, &values, NDBUF_CASTING_UNSAFE, 0, NULL, err));
        if (i % 8 >= 4) {
            ASSERT_OK(ndbuf_queue_create(device, &queue, err));
        }
        cudasim_fail_call("cudaLaunchKernel", 1, cudaErrorNoKernelImageForDevice);
        ASSERT_OK(ndbuf_copy_cast(dst, src, NDBUF_CASTING_UNSAFE, 0, queue, err));
        assert_true(cudasim_fault_happened());
        if (queue != NULL) {
            ASSERT_OK(ndbuf_queue_wait(queue, err));
        }
        memset(numbers, 0, (size_t)shape[0]);
        ASSERT_OK(ndbuf_copy_cast(&values, dst, NDBUF_CASTING_UNSAFE, 0, NULL, err));
        for (int k = 0; k < shape[0]; k++) {
            assert_int_equal(numbers[k], (int8_t)(k * 7));
        }
        ndbuf_queue_release(queue);
        ndbuf_view_release(&small);
        ndbuf_view_release(&large);
        ndbuf_view_release(&values);
        ndbuf_format_release(bytes);
        ndbuf_format_release(doubles);
        ndbuf_device_close(pinned);
        ndbuf_device_close(other);
        ndbuf_device_close(device);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_there_are_the_devices_that_the_driver_shows),
        CUDA_TEST(test_devices_say_what_they_are),
        CUDA_TEST(test_a_device_that_is_not_there_is_unavailable),
        CUDA_TEST(test_the_current_device_is_as_before),
        CUDA_TEST(test_kernels_reach_the_memory_of_peers_that_are_open),
        CUDA_TEST(test_what_can_be_copied_between_kinds_of_memory),
        CUDA_TEST(test_without_pools_memory_comes_from_the_plain_calls),
        CUDA_TEST(test_a_device_holds_nothing_before_it_is_open_and_after),
        CUDA_TEST(test_opening_survives_each_failing_allocation),
        CUDA_TEST(test_a_device_that_is_opened_again_finds_its_peers),
        CUDA_TEST(test_without_code_for_the_device_the_host_converts),
    };
    setenv("NDBUF_CUDART", CUDASIM_LIBRARY, 1);
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
