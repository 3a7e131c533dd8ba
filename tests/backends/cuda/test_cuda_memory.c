/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const kinds[] = {"cuda:0", "cuda:1", "cuda_host:0", "cuda_managed:0"};
#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static void test_each_kind_of_memory_has_its_alignment_and_keeps_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < NKINDS; i++) {
        ndbuf_device *device = cuda_fixture_open(kinds[i]);
        for (size_t alignment = 1; alignment <= 65536; alignment *= 16) {
            char back[10] = "";
            ndbuf_mem mem = {0};
            ASSERT_OK(device->ops->mem_alloc(device, 10, alignment, &mem, err));
            assert_int_equal((uintptr_t)mem.handle % alignment, 0);
            assert_int_equal(mem.host_address != NULL, (device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0);
            device->ops->mem_free(&mem);
            mem = cuda_fixture_mem(device, "bytes kept", 10);
            cuda_fixture_read(&mem, back);
            assert_memory_equal(back, "bytes kept", 10);
            device->ops->mem_free(&mem);
        }
        ndbuf_device_close(device);
    }
}

static void test_memory_that_runs_out_is_told_with_the_size_and_the_code(void **state)
{
    (void)state;
    cudasim_set_memory((uint64_t)64 << 20);
    for (int pools = 0; pools < 2; pools++) {
        cudasim_set_pools_supported(pools);
        ndbuf_device *device = cuda_fixture_open("cuda:0");
        ndbuf_mem mem = {0};
        ndbuf_error error = {0};
        assert_int_equal(device->ops->mem_alloc(device, 100000001, 64, &mem, &error), NDBUF_ERR_NOMEM);
        assert_int_equal(error.native_code, cudaErrorMemoryAllocation);
        assert_non_null(strstr(error.message, "100000001"));
        assert_null(mem.handle);
        ndbuf_device_close(device);
    }
    cudasim_set_memory((uint64_t)16 << 30);
}

static void test_foreign_pointers_are_taken_by_the_device_that_they_belong_to(void **state)
{
    (void)state;
    ndbuf_device *devices[NKINDS];
    void *pointers[NKINDS] = {NULL};
    for (size_t i = 0; i < NKINDS; i++) {
        devices[i] = cuda_fixture_open(kinds[i]);
    }
    ASSERT_CUDA(sim->cudaMalloc(&pointers[0], 1000));
    ASSERT_CUDA(sim->cudaSetDevice(1));
    ASSERT_CUDA(sim->cudaMalloc(&pointers[1], 1000));
    ASSERT_CUDA(sim->cudaSetDevice(0));
    ASSERT_CUDA(sim->cudaHostAlloc(&pointers[2], 1000, cudaHostAllocDefault));
    ASSERT_CUDA(sim->cudaMallocManaged(&pointers[3], 1000, cudaMemAttachGlobal));
    for (size_t i = 0; i < NKINDS; i++) {
        for (size_t k = 0; k < NKINDS; k++) {
            ndbuf_mem mem = {0};
            bool fits = i == k || (k == 3 && i < 2); /* every device reaches managed memory */
            if (!fits) {
                ASSERT_FAILS(NDBUF_ERR_INVALID, "memory",
                             devices[i]->ops->mem_import(devices[i], pointers[k], 1000, &mem, err));
                assert_null(mem.handle);
                continue;
            }
            ASSERT_OK(devices[i]->ops->mem_import(devices[i], pointers[k], 1000, &mem, err));
            assert_ptr_equal(mem.handle, pointers[k]);
            devices[i]->ops->mem_free(&mem);
            ASSERT_OK(devices[i]->ops->mem_import(devices[i], (char *)pointers[k] + 400, 600, &mem, err));
            devices[i]->ops->mem_free(&mem);
            ASSERT_FAILS(NDBUF_ERR_BOUNDS, "601 bytes at 400",
                         devices[i]->ops->mem_import(devices[i], (char *)pointers[k] + 400, 601, &mem, err));
        }
    }
    char ordinary[16];
    ndbuf_mem mem = {0};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not memory that CUDA knows",
                 devices[0]->ops->mem_import(devices[0], ordinary, sizeof(ordinary), &mem, err));
    ASSERT_CUDA(sim->cudaFree(pointers[0]));
    ASSERT_CUDA(sim->cudaFree(pointers[1]));
    ASSERT_CUDA(sim->cudaFreeHost(pointers[2]));
    ASSERT_CUDA(sim->cudaFree(pointers[3]));
    for (size_t i = 0; i < NKINDS; i++) {
        ndbuf_device_close(devices[i]);
    }
}

static void free_pointer(void *context, void *handle)
{
    *(int *)context += 1;
    assert_int_equal(sim->cudaFree(handle), cudaSuccess);
}

static void test_adopted_pointers_find_their_device_and_are_released_once(void **state)
{
    (void)state;
    void *pointer = NULL;
    char ordinary[16];
    int nreleased = 0;
    ndbuf_storage *storage = NULL;
    ASSERT_CUDA(sim->cudaSetDevice(1));
    ASSERT_CUDA(sim->cudaMalloc(&pointer, 300));
    ASSERT_CUDA(sim->cudaSetDevice(0));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "301",
                 ndbuf_cuda_storage_adopt(pointer, 301, 0, free_pointer, &nreleased, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not memory that CUDA knows",
                 ndbuf_cuda_storage_adopt(ordinary, 16, 0, free_pointer, &nreleased, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no CUDA pointer",
                 ndbuf_cuda_storage_adopt(NULL, 0, 0, free_pointer, &nreleased, &storage, err));
    assert_null(storage);
    assert_int_equal(nreleased, 0);
    ASSERT_OK(ndbuf_cuda_storage_adopt(pointer, 300, NDBUF_STORAGE_READONLY, free_pointer, &nreleased, &storage, err));
    assert_int_equal(ndbuf_device_tag_get(ndbuf_storage_device(storage)).id, 1);
    assert_int_equal(ndbuf_storage_flags(storage), NDBUF_STORAGE_READONLY);
    ndbuf_storage_release(storage);
    assert_int_equal(nreleased, 1);
    ASSERT_CUDA(sim->cudaMallocManaged(&pointer, 300, cudaMemAttachGlobal));
    ASSERT_OK(ndbuf_cuda_storage_adopt(pointer, 300, 0, free_pointer, &nreleased, &storage, err));
    assert_int_equal(ndbuf_device_tag_get(ndbuf_storage_device(storage)).type, NDBUF_DEVICE_CUDA_MANAGED);
    assert_ptr_equal(ndbuf_storage_host_address(storage), pointer);
    ndbuf_storage_release(storage);
    assert_int_equal(nreleased, 2);
}

/* A file of `nbytes` bytes, in the current folder, which the caller removes. */
static void write_file(const char *path, size_t nbytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i < nbytes; i++) {
        fputc((int)(i * 7 % 251), file);
    }
    assert_int_equal(fclose(file), 0);
}

static void test_a_mapped_file_is_pinned_read_only_and_copied_from(void **state)
{
    (void)state;
    enum { NBYTES = 10000 };
    static char back[NBYTES];
    const char path[] = "test_cuda_memory.tmp";
    ndbuf_storage *file = NULL;
    ndbuf_storage *pinned = NULL;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    write_file(path, NBYTES);
    ASSERT_OK(ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &file, err));
    ASSERT_OK(ndbuf_cuda_storage_pin(file, &pinned, err));
    assert_int_equal(ndbuf_storage_flags(pinned), NDBUF_STORAGE_READONLY);
    assert_ptr_equal(ndbuf_storage_host_address(pinned), ndbuf_storage_host_address(file));
    assert_int_equal(ndbuf_device_tag_get(ndbuf_storage_device(pinned)).type, NDBUF_DEVICE_CUDA_HOST);
    assert_int_equal(cudasim_live_now().registrations, 1);
    ndbuf_mem mem = {0};
    ASSERT_OK(device->ops->mem_alloc(device, NBYTES, 64, &mem, err));
    ndbuf_mem source = {.device = ndbuf_storage_device(pinned),
                        .handle = ndbuf_storage_handle(pinned),
                        .host_address = ndbuf_storage_host_address(pinned),
                        .nbytes = NBYTES};
    ASSERT_OK(device->ops->copy_bytes(device->default_queue, &mem, 0, &source, 0, NBYTES, err));
    ASSERT_OK(device->ops->queue_wait(device->default_queue, err));
    cuda_fixture_read(&mem, back);
    assert_memory_equal(back, ndbuf_storage_host_address(file), NBYTES);
    device->ops->mem_free(&mem);
    ndbuf_storage_release(file); /* the pinned one holds it */
    assert_int_equal(((char *)ndbuf_storage_host_address(pinned))[7], 49);
    ndbuf_storage_release(pinned);
    assert_int_equal(cudasim_live_now().registrations, 0);
    ndbuf_device_close(device);
    assert_int_equal(remove(path), 0);
}

static void test_memory_can_be_pinned_several_times(void **state)
{
    (void)state;
    enum { NBYTES = 8192 };
    char *bytes = aligned_alloc(4096, NBYTES);
    ndbuf_storage *whole = NULL;
    ndbuf_storage *part = NULL;
    ndbuf_storage *pins[3] = {NULL};
    assert_non_null(bytes);
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, NBYTES, 0, NULL, NULL, &whole, err));
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes + 100, 200, 0, NULL, NULL, &part, err));
    ASSERT_OK(ndbuf_cuda_storage_pin(whole, &pins[0], err));
    ASSERT_OK(ndbuf_cuda_storage_pin(whole, &pins[1], err));
    ASSERT_OK(ndbuf_cuda_storage_pin(part, &pins[2], err));
    assert_int_equal(cudasim_live_now().registrations, 1);
    ndbuf_storage_release(pins[0]);
    ndbuf_storage_release(pins[1]);
    assert_int_equal(cudasim_live_now().registrations, 1); /* as long as anybody needs it */
    ndbuf_storage_release(pins[2]);
    assert_int_equal(cudasim_live_now().registrations, 0);
    /* What others pinned stays theirs. */
    ASSERT_CUDA(sim->cudaHostRegister(bytes, NBYTES, cudaHostRegisterPortable));
    ASSERT_OK(ndbuf_cuda_storage_pin(part, &pins[0], err));
    ndbuf_storage_release(pins[0]);
    assert_int_equal(cudasim_live_now().registrations, 1);
    ASSERT_CUDA(sim->cudaHostUnregister(bytes));
    ASSERT_CUDA(sim->cudaHostRegister(bytes, 4096, cudaHostRegisterPortable));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "a part of this memory", ndbuf_cuda_storage_pin(whole, &pins[0], err));
    ASSERT_CUDA(sim->cudaHostUnregister(bytes));
    ndbuf_storage_release(whole);
    ndbuf_storage_release(part);
    free(bytes);
}

/* CUDA pins a page once: what is pinned for reading cannot be pinned for writing, too. */
static void test_memory_pinned_for_reading_is_not_pinned_for_writing(void **state)
{
    (void)state;
    enum { NBYTES = 8192 };
    char *bytes = aligned_alloc(4096, NBYTES);
    ndbuf_storage *readonly = NULL;
    ndbuf_storage *writable = NULL;
    ndbuf_storage *pins[2] = {NULL};
    assert_non_null(bytes);
    ASSERT_OK(
        ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, NBYTES, NDBUF_STORAGE_READONLY, NULL, NULL, &readonly, err));
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, NBYTES, 0, NULL, NULL, &writable, err));
    ASSERT_OK(ndbuf_cuda_storage_pin(readonly, &pins[0], err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "pinned for reading only", ndbuf_cuda_storage_pin(writable, &pins[1], err));
    ASSERT_OK(ndbuf_cuda_storage_pin(readonly, &pins[1], err));
    ndbuf_storage_release(pins[0]);
    ndbuf_storage_release(pins[1]);
    /* The other way round, both are served. */
    ASSERT_OK(ndbuf_cuda_storage_pin(writable, &pins[0], err));
    ASSERT_OK(ndbuf_cuda_storage_pin(readonly, &pins[1], err));
    assert_int_equal(cudasim_live_now().registrations, 1);
    assert_int_equal(ndbuf_storage_flags(pins[1]), NDBUF_STORAGE_READONLY);
    ndbuf_storage_release(pins[0]);
    ndbuf_storage_release(pins[1]);
    ndbuf_storage_release(readonly);
    ndbuf_storage_release(writable);
    free(bytes);
}

static void test_what_cannot_be_pinned_is_refused(void **state)
{
    (void)state;
    char bytes[100];
    ndbuf_storage *storage = NULL;
    ndbuf_storage *pinned = NULL;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no storage", ndbuf_cuda_storage_pin(NULL, &pinned, err));
    ASSERT_OK(ndbuf_storage_create(device, 100, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not a storage of the host", ndbuf_cuda_storage_pin(storage, &pinned, err));
    ndbuf_storage_release(storage);
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, sizeof(bytes), 0, NULL, NULL, &storage, err));
    cudasim_fail_call("cudaHostRegister", 1, cudaErrorNotSupported);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "cannot pin", ndbuf_cuda_storage_pin(storage, &pinned, err));
    cudasim_fail_call("cudaHostRegister", 1, cudaErrorMemoryAllocation);
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "cudaHostRegister", ndbuf_cuda_storage_pin(storage, &pinned, err));
    cudasim_fail_call("*", 0, cudaSuccess);
    assert_null(pinned);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_cuda_storage_pin(storage, &pinned, NULL), ndbuf_storage_release(pinned));
    ndbuf_storage_release(storage);
    ASSERT_OK(ndbuf_storage_create(ndbuf_device_cpu(), 0, &storage, err));
    ASSERT_OK(ndbuf_cuda_storage_pin(storage, &pinned, err)); /* nothing to pin */
    ndbuf_storage_release(pinned);
    ndbuf_storage_release(storage);
    ndbuf_device_close(device);
}

/* Pinned pointers to rows of which one is pinned, too, and the other is not. Kernels would reach only the first. */
static void test_rows_behind_pinned_pointers_are_read_where_they_are(void **state)
{
    (void)state;
    enum { NBYTES = 1 << 20 };
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    ndbuf_storage *storage = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_view all = {0};
    const int64_t shape[2] = {2, NBYTES / 2};
    const int64_t strides[2] = {sizeof(char *), 2};
    const int64_t suboffsets[2] = {0, -1};
    const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    const unsigned char seven = 7;
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ASSERT_OK(ndbuf_storage_create(pinned, 2 * sizeof(char *) + NBYTES, &storage, err));
    unsigned char **table = ndbuf_storage_host_address(storage);
    table[0] = (unsigned char *)&table[2];
    table[1] = malloc(NBYTES);
    assert_non_null(table[1]);
    ASSERT_OK(ndbuf_view_init(&all, storage, &spec, err));
    for (int k = 0; k < 2; k++) {
        ndbuf_view row = {0};
        ndbuf_view there = {0};
        ndbuf_copy_plan *plan = NULL;
        ASSERT_OK(ndbuf_view_index(&all, 0, k, &row, err));
        assert_int_equal(row.device.type, k == 0 ? NDBUF_DEVICE_CUDA_HOST : NDBUF_DEVICE_CPU);
        assert_int_equal(ndbuf_view_device(&row) == ndbuf_device_cpu(), k != 0);
        ASSERT_OK(ndbuf_view_create(&there, device, NULL, 1, &shape[1], err));
        for (int i = 0; i < NBYTES; i++) {
            table[k][i] = (unsigned char)(i * 7 + i / 1000);
        }
        ASSERT_OK(ndbuf_copy_plan_create(&there, &row, NDBUF_CASTING_EQUIV, 0, &plan, err));
        for (int way = 0; way < 3; way++) {
            ASSERT_OK(ndbuf_fill(&there, &seven, 1, NULL, err));
            ASSERT_OK(way < 2 ? ndbuf_copy(&there, &row, way == 0 ? NULL : queue, err)
                              : ndbuf_copy_plan_run(plan, &there, &row, queue, err));
            ASSERT_OK(ndbuf_queue_wait(queue, err));
            ASSERT_OK(ndbuf_fill(&row, &seven, 1, NULL, err));
            ASSERT_OK(ndbuf_copy(&row, &there, NULL, err));
            for (int i = 0; i < NBYTES; i++) {
                assert_int_equal(table[k][i], (unsigned char)(i * 7 + i / 1000));
            }
        }
        ndbuf_copy_plan_destroy(plan);
        ndbuf_view_release(&there);
        ndbuf_view_release(&row);
    }
    free(table[1]);
    ndbuf_view_release(&all);
    ndbuf_storage_release(storage);
    ndbuf_queue_release(queue);
    ndbuf_device_close(pinned);
    ndbuf_device_close(device);
}

static void test_bytes_are_moved_within_memory_that_is_managed_on_one_side_only(void **state)
{
    (void)state;
    enum { NBYTES = 256, NMOVED = 128, SHIFT = 16 };
    ndbuf_device *devices[2] = {cuda_fixture_open("cuda_managed:0"), cuda_fixture_open("cuda:0")};
    const int64_t extent = NMOVED;
    for (int way = 0; way < 4; way++) {
        ndbuf_storage *storages[2] = {NULL, NULL};
        ndbuf_view dst = {0};
        ndbuf_view src = {0};
        ndbuf_queue *queue = NULL;
        ASSERT_OK(ndbuf_storage_create(devices[0], NBYTES, &storages[0], err));
        unsigned char *bytes = ndbuf_storage_host_address(storages[0]);
        for (int i = 0; i < NBYTES; i++) {
            bytes[i] = (unsigned char)i;
        }
        ASSERT_OK(ndbuf_storage_adopt(devices[1], bytes, NBYTES, 0, NULL, NULL, &storages[1], err));
        const ndbuf_view_spec there = {.ndim = 1, .shape = &extent, .byte_offset = SHIFT};
        const ndbuf_view_spec here = {.ndim = 1, .shape = &extent};
        ASSERT_OK(ndbuf_view_init(&dst, storages[way % 2], &there, err));
        ASSERT_OK(ndbuf_view_init(&src, storages[1 - way % 2], &here, err));
        ASSERT_OK(ndbuf_queue_create(devices[1], &queue, err));
        ASSERT_OK(ndbuf_copy(&dst, &src, way < 2 ? NULL : queue, err));
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        for (int i = 0; i < NMOVED; i++) {
            assert_int_equal(bytes[SHIFT + i], i);
        }
        ndbuf_queue_release(queue);
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
        ndbuf_storage_release(storages[1]);
        ndbuf_storage_release(storages[0]);
    }
    ndbuf_device_close(devices[0]);
    ndbuf_device_close(devices[1]);
}

static void test_only_memory_of_the_host_can_be_mapped(void **state)
{
    (void)state;
    void *address = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ASSERT_OK(ndbuf_storage_create(device, 100, &storage, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "cuda", ndbuf_storage_map(storage, 0, 100, NDBUF_MAP_READ, &address, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not a mapping", ndbuf_storage_unmap(storage, &address, err));
    ndbuf_storage_release(storage);
    ndbuf_device_close(device);
    device = cuda_fixture_open("cuda_host:0");
    ndbuf_mem mem = cuda_fixture_mem(device, "pinned", 6);
    ASSERT_OK(device->ops->mem_map(&mem, 2, 4, NDBUF_MAP_READ, &address, err));
    assert_memory_equal(address, "nned", 4);
    ASSERT_OK(device->ops->mem_unmap(&mem, address, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not a mapping", device->ops->mem_unmap(&mem, (char *)address + 4, err));
    device->ops->mem_free(&mem);
    ndbuf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_each_kind_of_memory_has_its_alignment_and_keeps_bytes),
        CUDA_TEST(test_memory_that_runs_out_is_told_with_the_size_and_the_code),
        CUDA_TEST(test_foreign_pointers_are_taken_by_the_device_that_they_belong_to),
        CUDA_TEST(test_adopted_pointers_find_their_device_and_are_released_once),
        CUDA_TEST(test_a_mapped_file_is_pinned_read_only_and_copied_from),
        CUDA_TEST(test_memory_can_be_pinned_several_times),
        CUDA_TEST(test_memory_pinned_for_reading_is_not_pinned_for_writing),
        CUDA_TEST(test_what_cannot_be_pinned_is_refused),
        CUDA_TEST(test_rows_behind_pinned_pointers_are_read_where_they_are),
        CUDA_TEST(test_bytes_are_moved_within_memory_that_is_managed_on_one_side_only),
        CUDA_TEST(test_only_memory_of_the_host_can_be_mapped),
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
