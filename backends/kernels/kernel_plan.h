/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_KERNELS_KERNEL_PLAN_H
#define NDBUF_BACKENDS_KERNELS_KERNEL_PLAN_H

/* Which kernel does a strided copy, a conversion or a fill, with which arguments. Pure arithmetic: knows no API. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ndbuf/backend.h"

#include "backends/kernels/kernel_params.h"

/* The names of all kernels: the functions in the compiled code, for cudaLibraryGetKernel and clCreateKernel. */
extern const char *const ndbuf__kernel_names[];
extern const int32_t ndbuf__kernel_count;

/* A launch: a row of `ngroups` groups (blocks) of group_nitems work items (threads), both > 0; fewer work items and
 * another number of groups do the same. The arguments of every kernel are the destination's address or cl_mem, the
 * source's (a fill is given the destination's again and does not read it), and `params` by value. */
typedef struct ndbuf__kernel_launch {
    int32_t kernel; /* index into ndbuf__kernel_names */
    uint32_t ngroups;
    uint32_t group_nitems;
    ndk_params params;
} ndbuf__kernel_launch;

/* Plans a copy. The addresses are those of byte 0 of each memory, or anything with their alignment (a cl_mem's is
 * CL_DEVICE_MEM_BASE_ADDR_ALIGN): units never cross it. group_nitems_limit: of the device, > 0. The box may have axes
 * of extent 1, and axes that can be merged. False: the kernels cannot do it (more than 16 axes). */
bool ndbuf__kernel_plan_copy(const ndbuf_strided *box, uint64_t dst_address, uint64_t src_address,
                             uint32_t group_nitems_limit, ndbuf__kernel_launch *out_launch);

/* Plans a conversion, as a copy; where only bytes are moved, it is one. The device has the host's byte order. False:
 * the kernels cannot do it (more than 16 axes, long double, complex to complex or to real numbers, no such element). */
bool ndbuf__kernel_plan_convert(const ndbuf_convert_box *box, uint64_t dst_address, uint64_t src_address,
                                uint32_t group_nitems_limit, ndbuf__kernel_launch *out_launch);

/* The byte order that conversions count on. */
bool ndbuf__kernel_host_is_big_endian(void);

/* Plans a fill. False: the kernels cannot do it (more than 16 axes, or an item of more than NDK_MAX_ITEM bytes that
 * does not repeat). */
bool ndbuf__kernel_plan_fill(const ndbuf_fill_box *box, uint64_t dst_address, uint32_t group_nitems_limit,
                             ndbuf__kernel_launch *out_launch);

/* The kernels as OpenCL C 1.2, terminated. */
extern const char ndbuf__kernel_opencl_source[];

/* The kernels compiled by nvcc: a fatbin. 0 bytes where the build had no nvcc. */
extern const unsigned char ndbuf__kernel_fatbin[];
extern const size_t ndbuf__kernel_fatbin_nbytes;

#endif
