/* SPDX-License-Identifier: Apache-2.0 */
/* Memory: allocation, what CUDA knows about pointers, pinning, pools, handles for other processes. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "tests/cudasim/calibration/calibration.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define HUGE_NBYTES ((size_t)1 << 60)

void ask_device_memory(void)
{
    void *const untouched = &world;
    void *block = untouched;
    answer_error("device_memory.malloc_null", cuda.cudaMalloc(NULL, 16));
    answer_error("device_memory.malloc_0_bytes", cuda.cudaMalloc(&block, 0));
    answer_yes("device_memory.malloc_0_bytes_gives_null", block == NULL);
    block = untouched;
    answer_error("device_memory.malloc_huge", cuda.cudaMalloc(&block, HUGE_NBYTES));
    answer_yes("device_memory.malloc_huge_leaves_pointer", block == untouched);
    answer_yes("device_memory.malloc_huge_gives_null", block == NULL);
    answer_error("device_memory.malloc_1_byte", cuda.cudaMalloc(&block, 1));
    answer_yes("device_memory.aligned_to_256", (uintptr_t)block % 256 == 0);
    answer_yes("device_memory.aligned_to_512", (uintptr_t)block % 512 == 0);
    answer_error("device_memory.free", cuda.cudaFree(block));
    answer_error("device_memory.free_twice", cuda.cudaFree(block));
    answer_error("device_memory.free_null", cuda.cudaFree(NULL));
    answer_error("device_memory.free_inside", cuda.cudaFree(world.device + 512));
    answer_error("device_memory.free_pageable", cuda.cudaFree(world.pageable));
    answer_error("device_memory.free_pinned", cuda.cudaFree(world.pinned));
    answer_error("device_memory.free_registered", cuda.cudaFree(world.registered));
    answer_error("device_memory.managed_null", cuda.cudaMallocManaged(NULL, 16, cudaMemAttachGlobal));
    block = untouched;
    answer_error("device_memory.managed_0_bytes", cuda.cudaMallocManaged(&block, 0, cudaMemAttachGlobal));
    answer_yes("device_memory.managed_0_bytes_gives_null", block == NULL);
    block = untouched;
    answer_error("device_memory.managed_huge", cuda.cudaMallocManaged(&block, HUGE_NBYTES, cudaMemAttachGlobal));
    answer_yes("device_memory.managed_huge_leaves_pointer", block == untouched);
    answer_error("device_memory.managed_flags_0", cuda.cudaMallocManaged(&block, 16, 0));
    answer_error("device_memory.managed_flags_64", cuda.cudaMallocManaged(&block, 16, 64));
    answer_error("device_memory.managed", cuda.cudaMallocManaged(&block, 4096, cudaMemAttachGlobal));
    *(volatile char *)block = 3;
    answer_yes("device_memory.managed_touched_by_host", *(volatile char *)block == 3);
    answer_error("device_memory.managed_free_host", cuda.cudaFreeHost(block));
    answer_error("device_memory.managed_free", cuda.cudaFree(block));
    answer_error("device_memory.free_pooled", cuda.cudaFree(world.pooled));
}

void ask_host_memory(void)
{
    void *const untouched = &world;
    void *block = untouched;
    answer_error("host_memory.alloc_null", cuda.cudaHostAlloc(NULL, 16, 0));
    answer_error("host_memory.alloc_0_bytes", cuda.cudaHostAlloc(&block, 0, 0));
    answer_yes("host_memory.alloc_0_bytes_gives_null", block == NULL);
    block = untouched;
    answer_error("host_memory.alloc_huge", cuda.cudaHostAlloc(&block, HUGE_NBYTES, 0));
    answer_yes("host_memory.alloc_huge_leaves_pointer", block == untouched);
    answer_yes("host_memory.alloc_huge_gives_null", block == NULL);
    answer_error("host_memory.alloc_flags_128", cuda.cudaHostAlloc(&block, 16, 128));
    answer_error("host_memory.alloc", cuda.cudaHostAlloc(&block, 100, cudaHostAllocPortable | cudaHostAllocMapped));
    answer_yes("host_memory.aligned_to_512", (uintptr_t)block % 512 == 0);
    answer_error("host_memory.free", cuda.cudaFreeHost(block));
    answer_error("host_memory.free_twice", cuda.cudaFreeHost(block));
    answer_error("host_memory.free_null", cuda.cudaFreeHost(NULL));
    answer_error("host_memory.free_inside", cuda.cudaFreeHost(world.pinned + 512));
    answer_error("host_memory.free_pageable", cuda.cudaFreeHost(world.pageable));
    answer_error("host_memory.free_registered", cuda.cudaFreeHost(world.registered));
    answer_error("host_memory.free_device", cuda.cudaFreeHost(world.device));
}

static const char *place(const void *pointer, const void *asked)
{
    if (pointer == NULL) {
        return "null";
    }
    return pointer == asked ? "same" : "another";
}

static void answer_pointer(const char *name, const void *pointer)
{
    static const char *const types[] = {"unregistered", "host", "device", "managed"};
    struct cudaPointerAttributes attributes;
    memset(&attributes, 0, sizeof(attributes));
    cudaError_t error = cuda.cudaPointerGetAttributes(&attributes, pointer);
    if (error != cudaSuccess) {
        answer_error(name, error);
        return;
    }
    unsigned type = (unsigned)attributes.type;
    answer(name, "%s, device %d, device pointer %s, host pointer %s", type < 4 ? types[type] : "of another type",
           attributes.device, place(attributes.devicePointer, pointer), place(attributes.hostPointer, pointer));
}

void ask_pointers(void)
{
    char on_stack[8] = {0};
    void *block = NULL;
    answer_pointer("pointers.device", world.device);
    answer_pointer("pointers.device_inside", world.device + 12345);
    answer_pointer("pointers.device_last_byte", world.device + MEMORY_NBYTES - 1);
    answer_pointer("pointers.pooled", world.pooled);
    answer_pointer("pointers.pooled_inside", world.pooled + 12345);
    answer_pointer("pointers.pinned", world.pinned);
    answer_pointer("pointers.pinned_inside", world.pinned + 12345);
    answer_pointer("pointers.managed", world.managed);
    answer_pointer("pointers.managed_inside", world.managed + 12345);
    answer_pointer("pointers.registered", world.registered);
    answer_pointer("pointers.registered_inside", world.registered + 12345);
    answer_pointer("pointers.pageable", world.pageable);
    answer_pointer("pointers.stack", on_stack);
    answer_pointer("pointers.null", NULL);
    answer_pointer("pointers.address_4096", (const void *)(uintptr_t)4096);
    answer_error("pointers.attributes_null", cuda.cudaPointerGetAttributes(NULL, world.device));
    cuda.cudaHostAlloc(&block, 4096, cudaHostAllocDefault);
    answer_pointer("pointers.pinned_default", block);
    cuda.cudaFreeHost(block);
    cuda.cudaHostUnregister(world.registered);
    answer_pointer("pointers.unregistered_again", world.registered);
    if (world.ndevices > 1) {
        cuda.cudaSetDevice(1);
        answer_pointer("pointers.device_0_from_device_1", world.device);
        answer_pointer("pointers.pinned_from_device_1", world.pinned);
        cuda.cudaMalloc(&block, 4096);
        answer_pointer("pointers.device_1_from_device_1", block);
        cuda.cudaSetDevice(0);
        answer_pointer("pointers.device_1_from_device_0", block);
    } else {
        answer("pointers.device_0_from_device_1", "one device");
        answer("pointers.pinned_from_device_1", "one device");
        answer("pointers.device_1_from_device_1", "one device");
        answer("pointers.device_1_from_device_0", "one device");
    }
}

void ask_registration(void)
{
    const size_t page = 4096;
    char *pages = NULL;
    if (posix_memalign((void **)&pages, page, 16 * page) != 0) {
        return;
    }
    memset(pages, 0, 16 * page);
    answer_error("registration.null", cuda.cudaHostRegister(NULL, page, 0));
    answer_error("registration.0_bytes", cuda.cudaHostRegister(pages, 0, 0));
    answer_error("registration.flags_128", cuda.cudaHostRegister(pages, page, 128));
    answer_error("registration.first", cuda.cudaHostRegister(pages, 4 * page, cudaHostRegisterPortable));
    answer_error("registration.same_again", cuda.cudaHostRegister(pages, 4 * page, cudaHostRegisterPortable));
    answer_error("registration.inside", cuda.cudaHostRegister(pages + page, page, cudaHostRegisterPortable));
    answer_error("registration.overlapping_end",
                 cuda.cudaHostRegister(pages + 3 * page, 4 * page, cudaHostRegisterPortable));
    answer_error("registration.adjacent", cuda.cudaHostRegister(pages + 4 * page, page, cudaHostRegisterPortable));
    answer_error("registration.part_of_a_page",
                 cuda.cudaHostRegister(pages + 8 * page + 100, 200, cudaHostRegisterPortable));
    answer_error("registration.other_part_of_that_page",
                 cuda.cudaHostRegister(pages + 8 * page + 1000, 200, cudaHostRegisterPortable));
    answer_pointer("registration.pointer_in_the_page_before_the_part", pages + 8 * page);
    answer_error("registration.unregister_inside", cuda.cudaHostUnregister(pages + page));
    answer_error("registration.unregister", cuda.cudaHostUnregister(pages));
    answer_error("registration.unregister_twice", cuda.cudaHostUnregister(pages));
    answer_error("registration.unregister_part", cuda.cudaHostUnregister(pages + 8 * page + 100));
    answer_error("registration.unregister_unknown", cuda.cudaHostUnregister(world.pageable));
    answer_error("registration.unregister_null", cuda.cudaHostUnregister(NULL));
    answer_error("registration.unregister_pinned", cuda.cudaHostUnregister(world.pinned));
    answer_error("registration.pinned", cuda.cudaHostRegister(world.pinned, page, 0));
    answer_error("registration.managed", cuda.cudaHostRegister(world.managed, page, 0));
    answer_error("registration.device", cuda.cudaHostRegister(world.device, page, 0));
    char *readonly = mmap(NULL, 4 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (readonly != MAP_FAILED) {
        answer_error("registration.readonly_mapping", cuda.cudaHostRegister(readonly, page, 0));
        answer_error("registration.readonly_mapping_flagged",
                     cuda.cudaHostRegister(readonly + 2 * page, page, cudaHostRegisterReadOnly));
    }
    answer_error("registration.writable_mapping_flagged_readonly",
                 cuda.cudaHostRegister(pages + 12 * page, page, cudaHostRegisterReadOnly));
}

/* The value of an attribute of the pool, or the error. */
static void answer_attribute(const char *name, enum cudaMemPoolAttr attribute, bool is_64_bits)
{
    uint64_t wide = 0;
    int narrow = 0;
    void *value = is_64_bits ? (void *)&wide : (void *)&narrow;
    cudaError_t error = CALL(cudaMemPoolGetAttribute, world.pool, attribute, value);
    if (error != cudaSuccess) {
        answer_error(name, error);
    } else {
        answer(name, "%llu", is_64_bits ? (unsigned long long)wide : (unsigned long long)narrow);
    }
}

static cudaError_t create_pool(enum cudaMemAllocationType type, enum cudaMemLocationType location, int device)
{
    cudaMemPool_t pool = NULL;
    struct cudaMemPoolProps properties = pool_properties(device);
    properties.allocType = type;
    properties.location.type = location;
    return cuda.cudaMemPoolCreate(&pool, &properties);
}

static cudaError_t set_access(int device, enum cudaMemAccessFlags flags, size_t count)
{
    struct cudaMemAccessDesc access;
    memset(&access, 0, sizeof(access));
    access.location.type = cudaMemLocationTypeDevice;
    access.location.id = device;
    access.flags = flags;
    return cuda.cudaMemPoolSetAccess(world.pool, &access, count);
}

void ask_pools(void)
{
    void *const untouched = &world;
    cudaMemPool_t pool = NULL;
    void *block = NULL;
    uint64_t wide = UINT64_MAX;
    int off = 0;
    struct cudaMemPoolProps properties = pool_properties(0);
    answer_error("pools.create_null", cuda.cudaMemPoolCreate(NULL, &properties));
    answer_error("pools.create_null_properties", cuda.cudaMemPoolCreate(&pool, NULL));
    answer_error("pools.create_type_0", create_pool(cudaMemAllocationTypeInvalid, cudaMemLocationTypeDevice, 0));
    answer_error("pools.create_location_0", create_pool(cudaMemAllocationTypePinned, cudaMemLocationTypeInvalid, 0));
    answer_error("pools.create_device_minus_1",
                 create_pool(cudaMemAllocationTypePinned, cudaMemLocationTypeDevice, -1));
    answer_error("pools.create_device_behind_the_last",
                 create_pool(cudaMemAllocationTypePinned, cudaMemLocationTypeDevice, world.ndevices));
    answer_attribute("pools.release_threshold", cudaMemPoolAttrReleaseThreshold, true);
    answer_attribute("pools.reuse_follow_event_dependencies", cudaMemPoolReuseFollowEventDependencies, false);
    answer_attribute("pools.reuse_allow_opportunistic", cudaMemPoolReuseAllowOpportunistic, false);
    answer_attribute("pools.reuse_allow_internal_dependencies", cudaMemPoolReuseAllowInternalDependencies, false);
    answer_attribute("pools.used", cudaMemPoolAttrUsedMemCurrent, true);
    answer_error("pools.set_release_threshold",
                 cuda.cudaMemPoolSetAttribute(world.pool, cudaMemPoolAttrReleaseThreshold, &wide));
    answer_yes("pools.release_threshold_was_set",
               CALL(cudaMemPoolGetAttribute, world.pool, cudaMemPoolAttrReleaseThreshold, &wide) != cudaSuccess ||
                   wide == UINT64_MAX);
    answer_error("pools.set_reuse_off",
                 cuda.cudaMemPoolSetAttribute(world.pool, cudaMemPoolReuseAllowOpportunistic, &off));
    answer_error("pools.set_attribute_99", cuda.cudaMemPoolSetAttribute(world.pool, (enum cudaMemPoolAttr)99, &wide));
    wide = 5;
    answer_error("pools.set_used_high_to_5",
                 cuda.cudaMemPoolSetAttribute(world.pool, cudaMemPoolAttrUsedMemHigh, &wide));
    wide = 0;
    answer_error("pools.set_used_high_to_0",
                 cuda.cudaMemPoolSetAttribute(world.pool, cudaMemPoolAttrUsedMemHigh, &wide));
    answer_error("pools.set_used_current",
                 cuda.cudaMemPoolSetAttribute(world.pool, cudaMemPoolAttrUsedMemCurrent, &wide));
    answer_error("pools.access_own_device", set_access(0, cudaMemAccessFlagsProtReadWrite, 1));
    answer_error("pools.access_own_device_none", set_access(0, cudaMemAccessFlagsProtNone, 1));
    answer_error("pools.access_0_descriptors", set_access(0, cudaMemAccessFlagsProtReadWrite, 0));
    answer_error("pools.access_device_minus_1", set_access(-1, cudaMemAccessFlagsProtReadWrite, 1));
    answer_error("pools.access_device_behind_the_last", set_access(world.ndevices, cudaMemAccessFlagsProtReadWrite, 1));
    answer_error("pools.malloc_0_bytes", cuda.cudaMallocFromPoolAsync(&block, 0, world.pool, world.stream));
    block = untouched;
    answer_error("pools.malloc_huge", cuda.cudaMallocFromPoolAsync(&block, HUGE_NBYTES, world.pool, world.stream));
    answer_yes("pools.malloc_huge_leaves_pointer", block == untouched);
    answer_error("pools.malloc_legacy_stream", cuda.cudaMallocFromPoolAsync(&block, 16, world.pool, cudaStreamLegacy));
    answer_yes("pools.aligned_to_256", (uintptr_t)block % 256 == 0);
    answer_error("pools.free_in_another_stream_after_waiting",
                 cuda.cudaStreamSynchronize(cudaStreamLegacy) != cudaSuccess ? cudaErrorUnknown
                                                                             : cuda.cudaFreeAsync(block, world.other));
}

void ask_pools_foreign(void)
{
    answer_error("pools.free_inside", cuda.cudaFreeAsync(world.pooled + 512, world.stream));
    answer_error("pools.free_pageable", cuda.cudaFreeAsync(world.pageable, world.stream));
    answer_error("pools.free_pinned", cuda.cudaFreeAsync(world.pinned, world.stream));
    answer_error("pools.free_of_cudamalloc", cuda.cudaFreeAsync(world.device2, world.stream));
    settle();
}

void ask_pools_destroyed(void)
{
    answer_error("pools.destroy_with_a_block", cuda.cudaMemPoolDestroy(world.pool));
    answer_error("pools.copy_to_a_block_of_the_destroyed_pool",
                 cuda.cudaMemcpyAsync(world.pooled, world.pinned, 64, cudaMemcpyDefault, world.stream));
    answer_error("pools.free_to_the_destroyed_pool", cuda.cudaFreeAsync(world.pooled, world.stream));
    answer_error("pools.wait_for_all", cuda.cudaStreamSynchronize(world.stream));
}

void ask_pool_addresses(void)
{
    void *first = NULL;
    void *second = NULL;
    cuda.cudaMallocFromPoolAsync(&first, MEMORY_NBYTES, world.pool, world.stream);
    cuda.cudaFreeAsync(first, world.stream);
    cuda.cudaMallocFromPoolAsync(&second, MEMORY_NBYTES, world.pool, world.stream);
    answer_yes("pool_addresses.same_stream_reuses", first == second);
    become_busy(world.stream);
    cuda.cudaFreeAsync(second, world.stream);
    cuda.cudaMallocFromPoolAsync(&first, MEMORY_NBYTES, world.pool, world.stream);
    answer_yes("pool_addresses.same_stream_reuses_while_busy", first == second);
    cuda.cudaStreamSynchronize(world.stream);
}

/* Another process, forked before this one uses CUDA: opens the handle that it reads, and answers. */
static int open_elsewhere(int handle_pipe)
{
    cudaIpcMemHandle_t handle;
    void *block = NULL;
    void *again = NULL;
    char bytes[4] = {0};
    if (read(handle_pipe, &handle, sizeof(handle)) != (ssize_t)sizeof(handle)) {
        return EXIT_FAILURE;
    }
    answer_error("ipc.open", cuda.cudaIpcOpenMemHandle(&block, handle, cudaIpcMemLazyEnablePeerAccess));
    answer_error("ipc.open_again", cuda.cudaIpcOpenMemHandle(&again, handle, cudaIpcMemLazyEnablePeerAccess));
    answer_yes("ipc.open_again_gives_the_same", again == block);
    answer_error("ipc.read", cuda.cudaMemcpyAsync(bytes, block, sizeof(bytes), cudaMemcpyDefault, cudaStreamLegacy));
    answer_error("ipc.wait", cuda.cudaStreamSynchronize(cudaStreamLegacy));
    answer_yes("ipc.contents", memcmp(bytes, "abcd", sizeof(bytes)) == 0);
    answer_error("ipc.close_inside", cuda.cudaIpcCloseMemHandle((char *)block + 256));
    answer_error("ipc.close", cuda.cudaIpcCloseMemHandle(block));
    answer_error("ipc.close_again", cuda.cudaIpcCloseMemHandle(block));
    answer_error("ipc.close_once_more", cuda.cudaIpcCloseMemHandle(block));
    return EXIT_SUCCESS;
}

void ask_ipc(void)
{
    int ends[2];
    int status = 0;
    void *block = NULL;
    cudaIpcMemHandle_t handle;
    if (pipe(ends) != 0) {
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        close(ends[1]);
        int result = open_elsewhere(ends[0]);
        fflush(stdout);
        _exit(result);
    }
    close(ends[0]);
    memset(&handle, 0, sizeof(handle));
    cuda.cudaMalloc(&block, 4096);
    cuda.cudaMemcpyAsync(block, "abcd", 4, cudaMemcpyDefault, cudaStreamLegacy);
    cuda.cudaStreamSynchronize(cudaStreamLegacy);
    cudaError_t error = cuda.cudaIpcGetMemHandle(&handle, block);
    answer_error("ipc.get", error);
    if (error == cudaSuccess && write(ends[1], &handle, sizeof(handle)) != (ssize_t)sizeof(handle)) {
        answer("ipc.open", "the handle could not be sent");
    }
    close(ends[1]);
    waitpid(child, &status, 0);
    answer_yes("ipc.other_process_ended_well", WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

void ask_ipc_own_process(void)
{
    cudaIpcMemHandle_t handle;
    void *block = NULL;
    memset(&handle, 0, sizeof(handle));
    answer_error("ipc_own_process.get_inside", cuda.cudaIpcGetMemHandle(&handle, world.device + 4096));
    answer_error("ipc_own_process.get_pooled", cuda.cudaIpcGetMemHandle(&handle, world.pooled));
    answer_error("ipc_own_process.get_pinned", cuda.cudaIpcGetMemHandle(&handle, world.pinned));
    answer_error("ipc_own_process.get_managed", cuda.cudaIpcGetMemHandle(&handle, world.managed));
    answer_error("ipc_own_process.get", cuda.cudaIpcGetMemHandle(&handle, world.device));
    answer_error("ipc_own_process.open", cuda.cudaIpcOpenMemHandle(&block, handle, cudaIpcMemLazyEnablePeerAccess));
    answer_error("ipc_own_process.open_flags_0", cuda.cudaIpcOpenMemHandle(&block, handle, 0));
    answer_error("ipc_own_process.close_own_block", cuda.cudaIpcCloseMemHandle(world.device));
    answer_error("ipc_own_process.get_pageable", cuda.cudaIpcGetMemHandle(&handle, world.pageable));
}
