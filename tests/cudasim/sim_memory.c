/* SPDX-License-Identifier: Apache-2.0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/cudasim/sim.h"
#include "tests/cudasim/sim_sanitizers.h"

/* An arena is a range of addresses, of a device, of managed or of pinned memory. Blocks take it in rising order, so
 * that no address comes twice before the arena has been gone through. That of a device is one memory file mapped twice:
 * the program gets the addresses where nothing may be touched. */
#define ARENA_NBYTES ((uint64_t)64 << 30)
#define ARENA_MANAGED SIM_MAX_DEVICES
#define ARENA_PINNED (SIM_MAX_DEVICES + 1)
#define ARENA_COUNT (SIM_MAX_DEVICES + 2)
#define PAGE_NBYTES 4096U
#define BLOCK_ALIGNMENT 512U
#define CANARY 0xFB
#define FILL_LIMIT ((uint64_t)256 << 10) /* of a block of more than two, only this much at both ends is filled */

typedef struct memory_arena {
    uint64_t base; /* 0: not made yet */
    char *alias;
    uint64_t used; /* offset of the next block */
    int fd;
} memory_arena;

static memory_arena arenas[ARENA_COUNT];
static struct {
    sim_block **all; /* by address */
    size_t n;
    size_t room;
    uint64_t next_id;
    int64_t count[SIM_PAGEABLE + 1];
    uint64_t used[SIM_MAX_DEVICES];
} memory;

/* ---- arenas ---- */

static int memory_arena_of(const sim_block *block)
{
    switch (block->memory) {
    case SIM_DEVICE:
        return block->device;
    case SIM_MANAGED:
        return ARENA_MANAGED;
    default:
        return ARENA_PINNED;
    }
}

static bool memory_arena_make(memory_arena *arena, bool hidden)
{
    if (arena->base != 0) {
        return true;
    }
    int fd = memfd_create("cudasim", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)ARENA_NBYTES) != 0) {
        return false;
    }
    char *alias = mmap(NULL, ARENA_NBYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (alias == MAP_FAILED) {
        (void)close(fd);
        return false;
    }
    char *base = alias;
    if (hidden) {
        base = mmap(NULL, ARENA_NBYTES, PROT_NONE, MAP_SHARED | MAP_NORESERVE, fd, 0);
        if (base == MAP_FAILED) {
            (void)munmap(alias, ARENA_NBYTES);
            (void)close(fd);
            return false;
        }
    }
    /* So large a thing has no place in a core dump. */
    (void)madvise(alias, ARENA_NBYTES, MADV_DONTDUMP);
    *arena = (memory_arena){.base = (uintptr_t)base, .alias = alias, .used = PAGE_NBYTES, .fd = fd};
    return true;
}

bool sim_address_is_ours(uint64_t address)
{
    for (int i = 0; i < ARENA_COUNT; i++) {
        if (arenas[i].base != 0 && address >= arenas[i].base && address - arenas[i].base < ARENA_NBYTES) {
            return true;
        }
    }
    return false;
}

int sim_arena_fd(int device)
{
    return arenas[device].fd;
}

uint64_t sim_block_file_offset(const sim_block *block)
{
    return block->base - arenas[block->device].base;
}

uint64_t sim_arena_used(int device)
{
    return memory.used[device];
}

/* ---- the list of blocks ---- */

/* The first block that begins after the address. */
static size_t memory_upper(uint64_t address)
{
    size_t lo = 0;
    size_t hi = memory.n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (memory.all[mid]->base <= address) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

sim_block *sim_block_find(uint64_t address)
{
    size_t i = memory_upper(address);
    if (i == 0) {
        return NULL;
    }
    sim_block *block = memory.all[i - 1];
    return address - block->base < block->nbytes ? block : NULL;
}

/* Kernels reach write-combined memory by addresses of their own, as the documentation says. Here they lie where nothing
 * of a process does. */
#define DEVICE_OFFSET ((uint64_t)1 << 47)

uint64_t sim_block_device_offset(const sim_block *block)
{
    return block->memory == SIM_PINNED && (block->host_flags & cudaHostAllocWriteCombined) != 0 ? DEVICE_OFFSET : 0;
}

uint64_t sim_host_address(uint64_t address)
{
    const sim_block *block = address >= DEVICE_OFFSET ? sim_block_find(address - DEVICE_OFFSET) : NULL;
    return block != NULL ? address - sim_block_device_offset(block) : address;
}

sim_block *sim_block_meeting(uint64_t lo, uint64_t hi)
{
    size_t i = memory_upper(lo);
    sim_block *block = sim_block_find(lo);
    return block == NULL && i < memory.n && memory.all[i]->base < hi ? memory.all[i] : block;
}

sim_block *sim_block_at(size_t i)
{
    return i < memory.n ? memory.all[i] : NULL;
}

void sim_block_insert(sim_block *block)
{
    if (memory.n == memory.room) {
        memory.room = memory.room == 0 ? 64 : 2 * memory.room;
        sim_block **grown = realloc(memory.all, memory.room * sizeof(*grown));
        if (grown == NULL) {
            abort();
        }
        memory.all = grown;
    }
    size_t at = memory_upper(block->base);
    memmove(memory.all + at + 1, memory.all + at, (memory.n - at) * sizeof(*memory.all));
    memory.all[at] = block;
    memory.n++;
    block->id = ++memory.next_id;
    memory.count[block->memory]++;
    if (block->memory == SIM_DEVICE) {
        memory.used[block->device] += block->nbytes;
        if (block->pool != NULL) {
            block->pool->used += block->nbytes;
            if (block->pool->used > block->pool->used_high) {
                block->pool->used_high = block->pool->used;
            }
        }
    }
    sim_block_retain(block);
}

int64_t sim_memory_count(sim_memory kind)
{
    return memory.count[kind];
}

void sim_block_retain(sim_block *block)
{
    block->nrefs++;
}

void sim_block_release(sim_block *block)
{
    if (--block->nrefs > 0) {
        return;
    }
    if (block->ipc_mapping != NULL) {
        (void)munmap(block->ipc_mapping, block->ipc_nbytes);
        (void)munmap((void *)(uintptr_t)(block->base / PAGE_NBYTES * PAGE_NBYTES), block->ipc_nbytes);
    }
    free(block);
}

/* ---- bytes of a block ---- */

void sim_block_refill(sim_block *block, int byte)
{
    if (block->nbytes <= 2 * FILL_LIMIT) {
        memset(block->alias, byte, block->nbytes);
    } else {
        memset(block->alias, byte, FILL_LIMIT);
        memset(block->alias + block->nbytes - FILL_LIMIT, byte, FILL_LIMIT);
    }
}

static uint64_t memory_round_up(uint64_t n, uint64_t step)
{
    return (n + step - 1) / step * step;
}

static uint64_t memory_alignment(sim_memory kind)
{
    return kind == SIM_DEVICE ? BLOCK_ALIGNMENT : PAGE_NBYTES;
}

cudaError_t sim_block_create(sim_memory kind, int device, uint64_t nbytes, sim_block **out_block)
{
    sim_block block = {.memory = kind, .device = device, .nbytes = nbytes};
    memory_arena *arena = &arenas[memory_arena_of(&block)];
    uint64_t alignment = memory_alignment(kind);
    if (nbytes > ARENA_NBYTES / 2 || (kind == SIM_DEVICE && nbytes > sim.memory - memory.used[device]) ||
        (kind == SIM_DEVICE && memory.used[device] > sim.memory) || !memory_arena_make(arena, kind == SIM_DEVICE)) {
        return cudaErrorMemoryAllocation;
    }
    uint64_t room = memory_round_up(nbytes, alignment) + (alignment > SIM_RED_ZONE ? alignment : SIM_RED_ZONE);
    uint64_t at = memory_round_up(arena->used, alignment);
    if (at + room > ARENA_NBYTES) {
        at = PAGE_NBYTES;
    }
    while (sim_block_meeting(arena->base + at - SIM_RED_ZONE, arena->base + at + room) != NULL) {
        at += alignment; /* only in the second round */
        if (at + room > ARENA_NBYTES) {
            return cudaErrorMemoryAllocation;
        }
    }
    arena->used = at + room;
    block.base = arena->base + at;
    block.alias = arena->alias + at;
    if (kind != SIM_DEVICE) {
        (void)mprotect(block.alias, memory_round_up(nbytes, alignment), PROT_READ | PROT_WRITE);
    }
    SIM_UNPOISON(block.alias, room);
    sim_block_refill(&block, SIM_FILL_FRESH);
    memset(block.alias + nbytes, CANARY, SIM_RED_ZONE);
    SIM_POISON(block.alias + nbytes, room - nbytes);
    *out_block = sim_alloc(sizeof(**out_block));
    **out_block = block;
    return cudaSuccess;
}

static void memory_check_canary(const sim_block *block)
{
    const char *zone = block->alias + block->nbytes;
    if (SIM_CAN_POISON) {
        return; /* the sanitizer watches */
    }
    for (size_t i = 0; i < SIM_RED_ZONE; i++) {
        if ((unsigned char)zone[i] != CANARY) {
            sim_violate("byte %zu behind the block " SIM_ADDRESS_FORMAT " of %llu bytes was written", i,
                        (unsigned long long)block->base, (unsigned long long)block->nbytes);
            return;
        }
    }
}

/* The bytes of a block that is no more; large ones go back to the system. */
static void memory_bury(const sim_block *block)
{
    const memory_arena *arena = &arenas[memory_arena_of(block)];
    uint64_t lo = memory_round_up((uintptr_t)block->alias, PAGE_NBYTES);
    uint64_t hi = ((uintptr_t)block->alias + block->nbytes) / PAGE_NBYTES * PAGE_NBYTES;
    memory_check_canary(block);
    if (hi > lo && hi - lo >= 16 * PAGE_NBYTES) {
        (void)fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(lo - (uintptr_t)arena->alias),
                        (off_t)(hi - lo));
    } else {
        memset(block->alias, SIM_FILL_FREED, block->nbytes);
    }
    SIM_POISON(block->alias, block->nbytes);
    if (block->memory != SIM_DEVICE) {
        (void)mprotect(block->alias, memory_round_up(block->nbytes, PAGE_NBYTES), PROT_NONE);
    }
}

void sim_block_remove(sim_block *block)
{
    size_t at = memory_upper(block->base);
    if (block->gone || at == 0 || memory.all[at - 1] != block) {
        return;
    }
    memmove(memory.all + at - 1, memory.all + at, (memory.n - at) * sizeof(*memory.all));
    memory.n--;
    block->gone = true;
    memory.count[block->memory]--;
    if (block->memory == SIM_DEVICE) {
        memory.used[block->device] -= block->nbytes;
        if (block->pool != NULL) {
            block->pool->used -= block->nbytes;
        }
    }
    if (block->memory <= SIM_PINNED) {
        memory_bury(block);
    }
    sim_block_release(block);
}

void sim_block_await(sim_block *block, const char *what)
{
    if (block->pending == NULL) {
        return;
    }
    sim_violate("%s of " SIM_ADDRESS_FORMAT " while %s on it is not done", what, (unsigned long long)block->base,
                block->pending->op->work.what);
    while (block->pending != NULL) {
        sim_op_wait(block->pending->op);
    }
}

void sim_memory_reset(void)
{
    while (memory.n > 0) {
        sim_block_remove(memory.all[memory.n - 1]);
    }
}
