/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "tests/cudasim/sim.h"

#define KERNEL_FATBIN_MAGIC 0xBA55ED50U
#define KERNEL_WRAPPER_MAGIC 0x466243B1U /* of the struct that a compiler puts around a fatbin */

typedef struct kernel_library {
    sim_object object;
    bool is_code;
    struct kernel_entry *kernels;
} kernel_library;

typedef struct kernel_entry {
    sim_object object;
    ndbuf__kernel_host_fn fn;
    bool is_fill; /* the source is not read */
    const char *name;
    struct kernel_entry *next;
} kernel_entry;

static kernel_library *kernel_libraries[64];

/* The names of all kernels that were ever found: work that is pending tells them. */
static struct {
    char *all[128];
    size_t n;
} kernel_names;

static const char *kernel_intern(const char *name)
{
    for (size_t i = 0; i < kernel_names.n; i++) {
        if (strcmp(kernel_names.all[i], name) == 0) {
            return kernel_names.all[i];
        }
    }
    if (kernel_names.n == sizeof(kernel_names.all) / sizeof(kernel_names.all[0])) {
        return "a kernel";
    }
    char *copy = sim_alloc(strlen(name) + 1);
    memcpy(copy, name, strlen(name));
    kernel_names.all[kernel_names.n++] = copy;
    return copy;
}

static void kernel_free_library(kernel_library *library)
{
    while (library->kernels != NULL) {
        kernel_entry *kernel = library->kernels;
        library->kernels = kernel->next;
        sim_object_drop(&kernel->object);
        free(kernel);
    }
    sim_object_drop(&library->object);
    free(library);
}

void sim_kernel_reset(void)
{
    for (size_t i = 0; i < sizeof(kernel_libraries) / sizeof(kernel_libraries[0]); i++) {
        if (kernel_libraries[i] != NULL) {
            kernel_free_library(kernel_libraries[i]);
            kernel_libraries[i] = NULL;
        }
    }
}

cudaError_t cudaLibraryLoadData(cudaLibrary_t *library, const void *code, enum cudaJitOption *jitOptions,
                                void **jitOptionsValues, unsigned int numJitOptions,
                                enum cudaLibraryOption *libraryOptions, void **libraryOptionValues,
                                unsigned int numLibraryOptions)
{
    uint32_t magic;
    size_t place = 0;
    SIM_ENTER(cudaLibraryLoadData);
    SIM_FAIL_IF(library == NULL || code == NULL, cudaErrorInvalidValue);
    SIM_FAIL_IF((numJitOptions > 0 && (jitOptions == NULL || jitOptionsValues == NULL)) ||
                    (numLibraryOptions > 0 && (libraryOptions == NULL || libraryOptionValues == NULL)),
                cudaErrorInvalidValue);
    memcpy(&magic, code, sizeof(magic));
    while (place < sizeof(kernel_libraries) / sizeof(kernel_libraries[0]) && kernel_libraries[place] != NULL) {
        place++;
    }
    SIM_FAIL_IF(place == sizeof(kernel_libraries) / sizeof(kernel_libraries[0]), cudaErrorMemoryAllocation);
    kernel_library *made = sim_alloc(sizeof(*made));
    kernel_libraries[place] = made;
    /* Nobody looks at the code before a kernel of it is asked for. */
    made->is_code = magic == KERNEL_FATBIN_MAGIC || magic == KERNEL_WRAPPER_MAGIC;
    *library = sim_handle_make(&made->object, SIM_LIBRARY);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaLibraryUnload(cudaLibrary_t library)
{
    SIM_ENTER_AS(cudaLibraryUnload, SIM_RELEASES | SIM_PAST_STICKY);
    kernel_library *found = sim_object_find(library, SIM_LIBRARY);
    SIM_FAIL_IF(found == NULL, cudaErrorInvalidResourceHandle);
    SIM_TRY(sim_capture_forbid());
    for (size_t i = 0; i < sizeof(kernel_libraries) / sizeof(kernel_libraries[0]); i++) {
        if (kernel_libraries[i] == found) {
            kernel_libraries[i] = NULL;
        }
    }
    kernel_free_library(found);
    return sim_leave(cudaSuccess);
}

cudaError_t cudaLibraryGetKernel(cudaKernel_t *pKernel, cudaLibrary_t library, const char *name)
{
    SIM_ENTER(cudaLibraryGetKernel);
    SIM_FAIL_IF(pKernel == NULL || name == NULL, cudaErrorInvalidValue);
    kernel_library *found = sim_object_find(library, SIM_LIBRARY);
    SIM_FAIL_IF(found == NULL, cudaErrorInvalidResourceHandle);
    SIM_FAIL_IF(!found->is_code, cudaErrorInvalidKernelImage);
    for (kernel_entry *kernel = found->kernels; kernel != NULL; kernel = kernel->next) {
        if (strcmp(kernel->name, name) == 0) {
            *pKernel = sim_handle_of(&kernel->object);
            return sim_leave(cudaSuccess);
        }
    }
    ndbuf__kernel_host_fn fn = ndbuf__kernel_host_find(name);
    SIM_FAIL_IF(fn == NULL, cudaErrorSymbolNotFound);
    kernel_entry *kernel = sim_alloc(sizeof(*kernel));
    kernel->fn = fn;
    kernel->name = kernel_intern(name);
    kernel->is_fill = strncmp(name, "ndk_fill", strlen("ndk_fill")) == 0;
    kernel->next = found->kernels;
    found->kernels = kernel;
    *pKernel = sim_handle_make(&kernel->object, SIM_KERNEL);
    return sim_leave(cudaSuccess);
}

/* ---- a launch ---- */

/* What is read or written at each index: bytes, and how many of them at a time. */
typedef struct kernel_operand {
    int nbytes;
    int access;
} kernel_operand;

/* 0: of the destination, 1: of the source. */
static kernel_operand kernel_operand_of(const ndk_params *params, int i)
{
    if (params->dst_number == 0) {
        return (kernel_operand){params->unit_nbytes, params->unit_nbytes};
    }
    return i == 0 ? (kernel_operand){params->dst_nbytes, params->dst_access}
                  : (kernel_operand){params->src_nbytes, params->src_access};
}

static bool kernel_good_params(const ndk_params *params)
{
    bool good = params->ndim > 0 && params->ndim <= NDK_MAX_NDIM;
    for (int i = 0; good && i < 2; i++) {
        const kernel_operand operand = kernel_operand_of(params, i);
        good = operand.nbytes > 0 && operand.nbytes <= 16 && operand.access > 0 && operand.access <= operand.nbytes &&
               (operand.nbytes & (operand.nbytes - 1)) == 0 && (operand.access & (operand.access - 1)) == 0;
    }
    for (int i = 0; good && i < params->ndim; i++) {
        good = params->shape[i] > 0;
    }
    return good;
}

static bool kernel_is_aligned(uint64_t address, int64_t offset, const int64_t *strides, const ndk_params *params,
                              int access)
{
    uint64_t bits = address + (uint64_t)offset;
    for (int i = 0; i < params->ndim; i++) {
        bits |= params->shape[i] > 1 ? (uint64_t)strides[i] : 0;
    }
    return bits % (uint64_t)access == 0;
}

/* One side of the launch: where its bytes are, and whether the device may touch them. */
static void kernel_side(sim_work *work, int i, sim_side *side, int64_t offset, const int64_t *strides, int device)
{
    const ndk_params *params = &work->params;
    const uint64_t given = side->address;
    side->address = sim_host_address(given);
    const uint64_t first = side->address + (uint64_t)offset;
    const kernel_operand operand = kernel_operand_of(params, i);
    sim_region *region = &work->regions[i];
    bool good = true;
    sim_region_set(region, i == 0, first, params->ndim, params->shape, strides, (uint64_t)operand.nbytes);
    work->nregions = i + 1;
    if (!kernel_is_aligned(side->address, offset, strides, params, operand.access)) {
        sim_violate("%s: " SIM_ADDRESS_FORMAT " or a stride is not a multiple of the unit, %d bytes", work->what,
                    (unsigned long long)first, operand.access);
        work->fault = cudaErrorMisalignedAddress;
    }
    if (sim_region_resolve(region, work->what) != cudaSuccess) {
        good = false;
    } else if (region->block == NULL) {
        sim_violate("%s touches " SIM_ADDRESS_FORMAT ", which is pageable host memory", work->what,
                    (unsigned long long)region->lo);
        good = false;
    } else {
        good = sim_can_access(device, region->block) && (i > 0 || !region->block->read_only) &&
               given == side->address + sim_block_device_offset(region->block);
    }
    if (!good) {
        work->fault = cudaErrorIllegalAddress;
    }
}

static bool kernel_good_configuration(const dim3 *grid, const dim3 *block, size_t shared_nbytes)
{
    return grid->x > 0 && grid->y > 0 && grid->z > 0 && grid->x <= INT32_MAX && grid->y <= 65535 && grid->z <= 65535 &&
           block->x > 0 && block->y > 0 && block->z > 0 && block->x <= 1024 && block->y <= 1024 && block->z <= 64 &&
           (uint64_t)block->x * block->y * block->z <= 1024 && shared_nbytes <= 49152;
}

cudaError_t cudaLaunchKernel(const void *func, dim3 gridDim, dim3 blockDim, void **args, size_t sharedMem,
                             cudaStream_t stream)
{
    sim_stream *s;
    SIM_ENTER(cudaLaunchKernel);
    SIM_FAIL_IF(func == NULL, cudaErrorInvalidDeviceFunction);
    const kernel_entry *kernel = sim_object_find(func, SIM_KERNEL);
    SIM_FAIL_IF(kernel == NULL, cudaErrorInvalidDeviceFunction);
    SIM_TRY(sim_stream_find(stream, &s));
    SIM_FAIL_IF(s->device != sim_self.device, cudaErrorInvalidResourceHandle);
    /* Not cudaErrorInvalidConfiguration, since the kernel is a cudaKernel_t. */
    SIM_FAIL_IF(!kernel_good_configuration(&gridDim, &blockDim, sharedMem), cudaErrorInvalidValue);
    SIM_FAIL_IF(args == NULL || args[0] == NULL || args[1] == NULL || args[2] == NULL, cudaErrorInvalidValue);
    sim_work work = {.kind = SIM_LAUNCH, .what = kernel->name, .kernel = kernel->fn};
    void *dst;
    void *src;
    memcpy(&dst, args[0], sizeof(dst));
    memcpy(&src, args[1], sizeof(src));
    memcpy(&work.params, args[2], sizeof(work.params));
    work.dst.address = (uintptr_t)dst;
    work.src.address = (uintptr_t)src;
    work.ngroups = gridDim.x;
    work.group_nitems = blockDim.x;
    if (gridDim.y != 1 || gridDim.z != 1 || blockDim.y != 1 || blockDim.z != 1) {
        sim_violate("%s is launched with more than one dimension", work.what);
        return sim_leave(cudaErrorInvalidConfiguration);
    }
    if (!kernel_good_params(&work.params)) {
        sim_violate("%s has impossible arguments: %d axes, units of %d bytes", work.what, (int)work.params.ndim,
                    kernel_operand_of(&work.params, 0).nbytes);
        return sim_leave(cudaErrorInvalidValue);
    }
    kernel_side(&work, 0, &work.dst, work.params.dst_offset, work.params.dst_strides, s->device);
    if (!kernel->is_fill) {
        kernel_side(&work, 1, &work.src, work.params.src_offset, work.params.src_strides, s->device);
        if (work.fault == cudaSuccess && sim_regions_overlap(&work.regions[0], &work.regions[1])) {
            sim_violate("%s: source and destination overlap", work.what);
        }
    } else {
        work.src.address = work.dst.address;
    }
    return sim_leave(sim_stream_submit(s, &work, NULL, NULL));
}
