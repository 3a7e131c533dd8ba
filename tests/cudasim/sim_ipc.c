/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/cudasim/sim.h"

#define IPC_MAGIC 0x63756473696D4950ULL
#define IPC_PAGE 4096U

/* What a handle carries: where the other process finds the memory file of the device. */
typedef struct ipc_content {
    uint64_t magic;
    int32_t pid;
    int32_t fd;
    uint64_t file_offset;
    uint64_t nbytes;
    int32_t device;
} ipc_content;

_Static_assert(sizeof(ipc_content) <= sizeof(cudaIpcMemHandle_t), "a handle holds it");

cudaError_t cudaIpcGetMemHandle(cudaIpcMemHandle_t *handle, void *devPtr)
{
    SIM_ENTER(cudaIpcGetMemHandle);
    SIM_FAIL_IF(handle == NULL, cudaErrorInvalidValue);
    const sim_block *block = sim_block_find((uintptr_t)devPtr);
    /* Neither of pools, nor opened from another process, nor host memory. */
    SIM_FAIL_IF(block == NULL || block->memory != SIM_DEVICE || block->from_pool, cudaErrorInvalidValue);
    const ipc_content content = {
        .magic = IPC_MAGIC,
        .pid = (int32_t)getpid(),
        .fd = sim_arena_fd(block->device),
        .file_offset = sim_block_file_offset(block),
        .nbytes = block->nbytes,
        .device = block->device,
    };
    memset(handle, 0, sizeof(*handle));
    memcpy(handle, &content, sizeof(content));
    return sim_leave(cudaSuccess);
}

static cudaError_t ipc_map(const ipc_content *content, sim_block **out_block)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)content->pid, (int)content->fd);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return cudaErrorMapBufferObjectFailed;
    }
    uint64_t first = content->file_offset / IPC_PAGE * IPC_PAGE;
    size_t nbytes = (size_t)((content->file_offset + content->nbytes - first + IPC_PAGE - 1) / IPC_PAGE * IPC_PAGE);
    char *alias = mmap(NULL, nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)first);
    char *hidden = alias == MAP_FAILED ? MAP_FAILED : mmap(NULL, nbytes, PROT_NONE, MAP_SHARED, fd, (off_t)first);
    (void)close(fd);
    if (hidden == MAP_FAILED) {
        if (alias != MAP_FAILED) {
            (void)munmap(alias, nbytes);
        }
        return cudaErrorMapBufferObjectFailed;
    }
    sim_block *block = sim_alloc(sizeof(*block));
    block->memory = SIM_IPC;
    block->device = content->device;
    block->base = (uintptr_t)hidden + (content->file_offset - first);
    block->alias = alias + (content->file_offset - first);
    block->nbytes = content->nbytes;
    block->ipc_pid = content->pid;
    block->ipc_fd = content->fd;
    block->ipc_offset = content->file_offset;
    block->ipc_mapping = alias;
    block->ipc_nbytes = nbytes;
    *out_block = block;
    return cudaSuccess;
}

/* The block of a handle that was opened before; NULL: it was not. */
static sim_block *ipc_find(const ipc_content *content)
{
    size_t i = 0;
    for (sim_block *block = sim_block_at(i); block != NULL; block = sim_block_at(++i)) {
        if (block->memory == SIM_IPC && block->ipc_pid == content->pid && block->ipc_fd == content->fd &&
            block->ipc_offset == content->file_offset) {
            return block;
        }
    }
    return NULL;
}

cudaError_t cudaIpcOpenMemHandle(void **devPtr, cudaIpcMemHandle_t handle, unsigned int flags)
{
    ipc_content content;
    SIM_ENTER(cudaIpcOpenMemHandle);
    SIM_FAIL_IF(devPtr == NULL || flags != cudaIpcMemLazyEnablePeerAccess, cudaErrorInvalidValue);
    memcpy(&content, &handle, sizeof(content));
    SIM_FAIL_IF(content.magic != IPC_MAGIC, cudaErrorInvalidValue);
    SIM_FAIL_IF(content.pid == (int32_t)getpid(), cudaErrorDeviceUninitialized);
    SIM_FAIL_IF(content.device >= sim.ndevices, cudaErrorInvalidDevice);
    SIM_TRY(sim_capture_forbid());
    sim_block *block = ipc_find(&content);
    if (block == NULL) {
        SIM_TRY(ipc_map(&content, &block));
        sim_block_insert(block);
    }
    block->ipc_nopened++;
    sim.nlive_ipc++;
    *devPtr = (void *)(uintptr_t)block->base;
    return sim_leave(cudaSuccess);
}

cudaError_t cudaIpcCloseMemHandle(void *devPtr)
{
    SIM_ENTER_AS(cudaIpcCloseMemHandle, SIM_RELEASES);
    sim_block *block = sim_block_find((uintptr_t)devPtr);
    SIM_FAIL_IF(block == NULL || block->memory != SIM_IPC || block->base != (uintptr_t)devPtr, cudaErrorInvalidValue);
    SIM_TRY(sim_capture_forbid());
    sim.nlive_ipc--;
    if (--block->ipc_nopened == 0) {
        if (sim.sticky == cudaSuccess) {
            sim_block_await(block, what);
        }
        sim_block_remove(block);
    }
    return sim_leave(cudaSuccess);
}
