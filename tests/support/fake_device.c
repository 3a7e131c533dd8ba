/* SPDX-License-Identifier: Apache-2.0 */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "tests/support/fake_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define FAKE_DEVICE_TYPE 15 /* none of the library's own */
#define FAKE_NDEVICES 2
#define FAULT_CODE 999

ndbuf__mutex fake_mutex = NDBUF__MUTEX_INIT;
ndbuf__cond fake_changed = PTHREAD_COND_INITIALIZER;
fake_live fake_alive;

const fake_config fake_config_default = {
    .copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_FILL,
    .peer_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED,
    .memory_nbytes = (size_t)64 << 20,
};

/* All guarded by fake_mutex. */
static fake_config config = {
    .copy_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_FILL,
    .peer_flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED,
    .memory_nbytes = (size_t)64 << 20,
};
static fake_block *blocks;
static size_t used_nbytes[FAKE_NDEVICES];
static int64_t ncalls[FAKE_NSLOTS];
static fake_log_entry log_entries[FAKE_LOG_SIZE];
static int64_t nlogged;
static fake_slot fault_slot;
static int64_t calls_until_fault;
static int64_t jobs_until_fault;
static int64_t jobs_until_late_fault;
static bool fault_happened;
static int64_t nviolations;
static char first_violation[256];

static ndbuf_device *open_devices[FAKE_NDEVICES];

_Thread_local bool fake_in_pure_host_call;

static const ndbuf_backend_ops fake_ops;

typedef struct fake_mapping fake_mapping;
struct fake_mapping {
    fake_mapping *next;
    fake_block *block;
    size_t offset;
    size_t nbytes;
    bool writes;
    char *bytes; /* what the host sees: a copy */
};

static fake_mapping *mappings;

/* ---- what tests set and read ---- */

const char *fake_slot_name(fake_slot slot)
{
    static const char *const names[] = {
#define FAKE_SLOT_NAME(slot) #slot,
        FAKE_SLOT_LIST(FAKE_SLOT_NAME)
#undef FAKE_SLOT_NAME
            "any",
    };
    return names[slot];
}

void fake_configure(const fake_config *new_config)
{
    ndbuf__mutex_lock(&fake_mutex);
    config = *new_config;
    for (int i = 0; i < FAKE_NDEVICES; i++) {
        if (open_devices[i] != NULL) {
            open_devices[i]->queue_flags = config.queue_flags;
        }
    }
    ndbuf__mutex_unlock(&fake_mutex);
}

fake_config fake_config_now(void)
{
    ndbuf__mutex_lock(&fake_mutex);
    fake_config now = config;
    ndbuf__mutex_unlock(&fake_mutex);
    return now;
}

void fake_fail_call(fake_slot slot, int64_t nth)
{
    ndbuf__mutex_lock(&fake_mutex);
    fault_slot = slot;
    calls_until_fault = nth;
    fault_happened = false;
    ndbuf__mutex_unlock(&fake_mutex);
}

void fake_fail_job(int64_t nth)
{
    ndbuf__mutex_lock(&fake_mutex);
    jobs_until_fault = nth;
    fault_happened = false;
    ndbuf__mutex_unlock(&fake_mutex);
}

void fake_fail_late(int64_t nth)
{
    ndbuf__mutex_lock(&fake_mutex);
    jobs_until_late_fault = nth;
    fault_happened = false;
    ndbuf__mutex_unlock(&fake_mutex);
}

bool fake_fault_happened(void)
{
    ndbuf__mutex_lock(&fake_mutex);
    bool happened = fault_happened;
    ndbuf__mutex_unlock(&fake_mutex);
    return happened;
}

static bool slot_can_fail(fake_slot slot)
{
    return slot != FAKE_device_close && slot != FAKE_device_describe && slot != FAKE_mem_free &&
           slot != FAKE_copy_caps && slot != FAKE_queue_destroy && slot != FAKE_event_destroy;
}

static bool count_down(int64_t *left)
{
    if (*left == 0 || --*left > 0) {
        return false;
    }
    fault_happened = true;
    return true;
}

bool fake_call_fails(fake_slot slot, ndbuf_error *err)
{
    if (fake_in_pure_host_call && slot != FAKE_copy_caps) {
        fake_violated(NULL, "a host call uses %s, though its queue has no host thread", fake_slot_name(slot));
    }
    ndbuf__mutex_lock(&fake_mutex);
    ncalls[slot]++;
    bool fails =
        slot_can_fail(slot) && (fault_slot == slot || fault_slot == FAKE_any) && count_down(&calls_until_fault);
    ndbuf__mutex_unlock(&fake_mutex);
    if (fails) {
        ndbuf_fail_native(err, NDBUF_ERR_DEVICE, FAULT_CODE, "injected failure of %s", fake_slot_name(slot));
    }
    return fails;
}

bool fake_job_fails(ndbuf_error *err)
{
    ndbuf__mutex_lock(&fake_mutex);
    bool fails = count_down(&jobs_until_fault);
    ndbuf__mutex_unlock(&fake_mutex);
    if (fails) {
        ndbuf_fail_native(err, NDBUF_ERR_DEVICE, FAULT_CODE, "injected failure of work in a queue");
    }
    return fails;
}

bool fake_job_fails_late(ndbuf_error *err)
{
    ndbuf__mutex_lock(&fake_mutex);
    bool fails = count_down(&jobs_until_late_fault);
    ndbuf__mutex_unlock(&fake_mutex);
    if (fails) {
        ndbuf_fail_native(err, NDBUF_ERR_DEVICE, FAULT_CODE, "injected failure behind work in a queue");
    }
    return fails;
}

ndbuf_status fake_violated(ndbuf_error *err, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ndbuf__mutex_lock(&fake_mutex);
    if (nviolations++ == 0) {
        memcpy(first_violation, text, sizeof(text));
    }
    ndbuf__mutex_unlock(&fake_mutex);
    return ndbuf_fail(err, NDBUF_ERR_DEVICE, "contract broken: %.200s", text);
}

int64_t fake_ncalls(fake_slot slot)
{
    ndbuf__mutex_lock(&fake_mutex);
    int64_t n = ncalls[slot];
    ndbuf__mutex_unlock(&fake_mutex);
    return n;
}

void fake_log_add(const fake_log_entry *entry)
{
    ndbuf__mutex_lock(&fake_mutex);
    if (nlogged < FAKE_LOG_SIZE) {
        log_entries[nlogged] = *entry;
    }
    nlogged++;
    ndbuf__mutex_unlock(&fake_mutex);
}

int64_t fake_log(const fake_log_entry **out_entries)
{
    *out_entries = log_entries;
    return nlogged;
}

void fake_log_clear(void)
{
    ndbuf__mutex_lock(&fake_mutex);
    memset(ncalls, 0, sizeof(ncalls));
    nlogged = 0;
    ndbuf__mutex_unlock(&fake_mutex);
}

fake_live fake_live_now(void)
{
    ndbuf__mutex_lock(&fake_mutex);
    fake_live live = fake_alive;
    ndbuf__mutex_unlock(&fake_mutex);
    return live;
}

void fake_assert_no_violation(void)
{
    ndbuf__mutex_lock(&fake_mutex);
    int64_t n = nviolations;
    nviolations = 0;
    ndbuf__mutex_unlock(&fake_mutex);
    if (n > 0) {
        fail_msg("a promise of backend.h was broken %lld times, first: %s", (long long)n, first_violation);
    }
}

void fake_assert_clean(void)
{
    fake_assert_no_violation();
    fake_live live = fake_live_now();
    if (live.devices != 0 || live.mems != 0 || live.mappings != 0 || live.queues != 0 || live.events != 0 ||
        live.jobs != 0) {
        fail_msg("left over: %lld devices, %lld mems, %lld mappings, %lld queues, %lld events, %lld jobs",
                 (long long)live.devices, (long long)live.mems, (long long)live.mappings, (long long)live.queues,
                 (long long)live.events, (long long)live.jobs);
    }
}

void fake_reset(void)
{
    fake_fail_call(FAKE_any, 0);
    fake_fail_job(0);
    fake_fail_late(0);
    fake_configure(&fake_config_default);
    fake_log_clear();
}

/* ---- devices ---- */

bool fake_is_own(const ndbuf_device *device)
{
    return device->ops == &fake_ops;
}

static ndbuf_status fake_device_count(int32_t *out_count, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_device_count, err)) {
        return NDBUF_ERR_DEVICE;
    }
    *out_count = FAKE_NDEVICES;
    return NDBUF_OK;
}

static ndbuf_status fake_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_device_open, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (ordinal < 0 || ordinal >= FAKE_NDEVICES) {
        return fake_violated(err, "device %d is opened, of %d", (int)ordinal, FAKE_NDEVICES);
    }
    ndbuf_device *device = calloc(1, sizeof(*device));
    if (device == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for a fake device");
    }
    device->ops = &fake_ops;
    device->tag = (ndbuf_device_tag){FAKE_DEVICE_TYPE, ordinal};
    device->flags = NDBUF_DEVICE_SIMULATED;
    device->queue_flags = fake_config_now().queue_flags;
    ndbuf_status status = fake_queue_make(device, &device->default_queue, err);
    if (status != NDBUF_OK) {
        free(device);
        return status;
    }
    ndbuf__mutex_lock(&fake_mutex);
    fake_alive.devices++;
    open_devices[ordinal] = device;
    ndbuf__mutex_unlock(&fake_mutex);
    *out_device = device;
    return NDBUF_OK;
}

static void fake_device_close(ndbuf_device *device)
{
    fake_call_fails(FAKE_device_close, NULL);
    ndbuf__mutex_lock(&fake_mutex);
    bool is_used = false;
    for (const fake_block *block = blocks; block != NULL; block = block->next) {
        is_used = is_used || block->device == device;
    }
    fake_alive.devices--;
    open_devices[device->tag.id] = NULL;
    ndbuf__mutex_unlock(&fake_mutex);
    if (is_used) {
        fake_violated(NULL, "a device is closed before its memory is freed");
    }
    fake_queue_free(device->default_queue);
    free(device);
}

static void fake_device_describe(const ndbuf_device *device, ndbuf_device_info *info)
{
    fake_call_fails(FAKE_device_describe, NULL);
    snprintf(info->description, sizeof(info->description), "fake device %d", (int)device->tag.id);
    snprintf(info->driver, sizeof(info->driver), "tests/support");
    info->memory_nbytes = fake_config_now().memory_nbytes;
    info->max_allocation_nbytes = info->memory_nbytes;
}

/* ---- memory ---- */

static ndbuf_status fake_mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                   ndbuf_error *err)
{
    if (fake_call_fails(FAKE_mem_alloc, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (nbytes == 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) {
        return fake_violated(err, "%zu bytes with alignment %zu are asked for", nbytes, alignment);
    }
    ndbuf__mutex_lock(&fake_mutex);
    size_t left = config.memory_nbytes - used_nbytes[device->tag.id];
    bool fits = used_nbytes[device->tag.id] <= config.memory_nbytes && nbytes <= left;
    if (fits) {
        used_nbytes[device->tag.id] += nbytes;
    }
    ndbuf__mutex_unlock(&fake_mutex);
    if (!fits) {
        return ndbuf_fail_native(err, NDBUF_ERR_NOMEM, 2, "fake:%d has no %zu bytes left", (int)device->tag.id, nbytes);
    }
    fake_block *block = calloc(1, sizeof(*block));
    char *bytes = malloc(nbytes);
    void *handle = mmap(NULL, nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == NULL || bytes == NULL || handle == MAP_FAILED) {
        fail_msg("the host has no %zu bytes for a test", nbytes);
    }
    memset(bytes, 0xAB, nbytes);
    *block = (fake_block){.device = device, .handle = handle, .bytes = bytes, .nbytes = nbytes, .refs = 1};
    ndbuf__mutex_lock(&fake_mutex);
    block->next = blocks;
    blocks = block;
    fake_alive.mems++;
    ndbuf__mutex_unlock(&fake_mutex);
    *out_mem = (ndbuf_mem){.device = device, .handle = handle, .nbytes = nbytes, .backend_data = block};
    return NDBUF_OK;
}

static ndbuf_status fake_mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                    ndbuf_error *err)
{
    if (fake_call_fails(FAKE_mem_import, err)) {
        return NDBUF_ERR_DEVICE;
    }
    ndbuf__mutex_lock(&fake_mutex);
    fake_block *block = blocks;
    while (block != NULL && (block->handle != handle || block->device != device)) {
        block = block->next;
    }
    size_t true_nbytes = block != NULL ? block->nbytes : 0;
    if (block != NULL && nbytes <= true_nbytes) {
        block->refs++;
        fake_alive.mems++;
    }
    ndbuf__mutex_unlock(&fake_mutex);
    if (block == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%p is no memory of fake:%d", handle, (int)device->tag.id);
    }
    if (nbytes > true_nbytes) {
        return ndbuf_fail(err, NDBUF_ERR_BOUNDS, "%p has %zu bytes, not %zu", handle, true_nbytes, nbytes);
    }
    *out_mem = (ndbuf_mem){.device = device, .handle = handle, .nbytes = nbytes, .backend_data = block};
    return NDBUF_OK;
}

static void fake_mem_free(ndbuf_mem *mem)
{
    fake_call_fails(FAKE_mem_free, NULL);
    fake_block *block = mem->backend_data;
    ndbuf__mutex_lock(&fake_mutex);
    bool is_used = fake_block_is_used(block);
    bool is_mapped = false;
    for (const fake_mapping *mapping = mappings; mapping != NULL; mapping = mapping->next) {
        is_mapped = is_mapped || mapping->block == block;
    }
    fake_alive.mems--;
    bool is_last = --block->refs == 0;
    if (is_last) {
        fake_block **link = &blocks;
        while (*link != block) {
            link = &(*link)->next;
        }
        *link = block->next;
        used_nbytes[block->device->tag.id] -= block->nbytes;
    }
    ndbuf__mutex_unlock(&fake_mutex);
    if (is_last && (is_used || is_mapped)) {
        fake_violated(NULL, "memory of %zu bytes is freed while %s", block->nbytes,
                      is_used ? "work that uses it is not done" : "it is mapped");
    }
    if (is_last) {
        munmap(block->handle, block->nbytes);
        free(block->bytes);
        free(block);
    }
}

/* The host gets a copy, which is written back by the end of the mapping: what lies between is not the device's. */
static ndbuf_status fake_mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                 void **out_address, ndbuf_error *err)
{
    if (fake_call_fails(FAKE_mem_map, err)) {
        return NDBUF_ERR_DEVICE;
    }
    if (nbytes == 0 || offset > mem->nbytes || nbytes > mem->nbytes - offset ||
        (map_flags & (NDBUF_MAP_READ | NDBUF_MAP_WRITE)) == 0) {
        return fake_violated(err, "%zu bytes at %zu of %zu are mapped with flags 0x%x", nbytes, offset, mem->nbytes,
                             (unsigned)map_flags);
    }
    fake_run_all();
    fake_block *block = mem->backend_data;
    fake_mapping *mapping = calloc(1, sizeof(*mapping));
    char *bytes = malloc(nbytes);
    if (mapping == NULL || bytes == NULL) {
        fail_msg("the host has no %zu bytes for a test", nbytes);
    }
    memcpy(bytes, block->bytes + offset, nbytes);
    *mapping = (fake_mapping){.block = block,
                              .offset = offset,
                              .nbytes = nbytes,
                              .writes = (map_flags & NDBUF_MAP_WRITE) != 0,
                              .bytes = bytes};
    ndbuf__mutex_lock(&fake_mutex);
    mapping->next = mappings;
    mappings = mapping;
    fake_alive.mappings++;
    ndbuf__mutex_unlock(&fake_mutex);
    *out_address = bytes;
    return NDBUF_OK;
}

static ndbuf_status fake_mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err)
{
    bool fails = fake_call_fails(FAKE_mem_unmap, err);
    ndbuf__mutex_lock(&fake_mutex);
    fake_mapping **link = &mappings;
    while (*link != NULL && ((*link)->bytes != address || (*link)->block != mem->backend_data)) {
        link = &(*link)->next;
    }
    fake_mapping *mapping = *link;
    if (mapping != NULL) {
        *link = mapping->next;
        fake_alive.mappings--;
    }
    ndbuf__mutex_unlock(&fake_mutex);
    if (mapping == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%p is not a mapping of this memory", address);
    }
    if (mapping->writes && !fails) {
        memcpy(mapping->block->bytes + mapping->offset, mapping->bytes, mapping->nbytes);
    }
    free(mapping->bytes);
    free(mapping);
    return fails ? NDBUF_ERR_DEVICE : NDBUF_OK;
}

char *fake_address(const ndbuf_mem *mem, int64_t offset)
{
    char *first = fake_is_own(mem->device) ? ((fake_block *)mem->backend_data)->bytes : mem->host_address;
    return first != NULL ? first + offset : NULL;
}

/* ---- the table ---- */

static const ndbuf_backend_ops fake_ops = {.abi_version = NDBUF_BACKEND_ABI_VERSION,
                                           .struct_nbytes = sizeof(ndbuf_backend_ops),
                                           .name = "fake",
#define FAKE_SLOT_INIT(slot) .slot = fake_##slot,
                                           FAKE_SLOT_LIST(FAKE_SLOT_INIT)
#undef FAKE_SLOT_INIT
};

void fake_register(void)
{
    static bool registered;
    if (!registered) {
        ASSERT_OK(ndbuf_backend_register(&fake_ops, err));
        registered = true;
    }
}
