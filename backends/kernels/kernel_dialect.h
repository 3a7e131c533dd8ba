/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_KERNELS_KERNEL_DIALECT_H
#define NDBUF_BACKENDS_KERNELS_KERNEL_DIALECT_H

/* What CUDA C, OpenCL C 1.2 and C11 call differently.
 *
 * A kernel is NDK_KERNEL(name) { ... }. What is written in it outside of phases is the same for all work items of a
 * group. Work items differ only in phases: NDK_BEGIN .. NDK_SYNC .. NDK_END, with a barrier at each NDK_SYNC. In C a
 * phase is a loop over the work items, so a phase is a scope of its own in all three: no private variable crosses a
 * barrier. A phase is never left by return, break or continue. NDK_FENCE is a barrier after a phase, for what
 * the next one overwrites.
 *
 * With NDK_PLANTED_NO_BARRIER there is no barrier at NDK_SYNC, with NDK_PLANTED_NO_FENCE none at NDK_FENCE: for tests
 * that have to notice. */

#if defined(__OPENCL_VERSION__)

typedef uchar ndk_unit_1;
typedef ushort ndk_unit_2;
typedef uint ndk_unit_4;
typedef ulong ndk_unit_8;
typedef uint4 ndk_unit_16;

#define NDK_KERNEL(name) __kernel void name(__global char *dst, __global const char *src, const ndk_params params)
#define NDK_PARAM(field) params.field
#define NDK_GLOBAL __global
#define NDK_LOCAL __local
#define NDK_UNROLL(n)

#define NDK_GROUP ((ndk_u32)get_group_id(0))
#define NDK_NGROUPS ((ndk_u32)get_num_groups(0))
#define NDK_ITEM ((ndk_u32)get_local_id(0))
#define NDK_NITEMS ((ndk_u32)get_local_size(0))
#define NDK_BEGIN {
#define NDK_END }
#define NDK_BARRIER barrier(CLK_LOCAL_MEM_FENCE);

#define NDK_HIGH_32(a, b) mul_hi(a, b)
#define NDK_HIGH_64(a, b) mul_hi(a, b)
#define NDK_ITEM_UNIT_16(i) vload4(i, (const uint *)params.item)

#elif defined(__CUDACC__)

typedef unsigned char ndk_unit_1;
typedef unsigned short ndk_unit_2;
typedef unsigned int ndk_unit_4;
typedef unsigned long long ndk_unit_8;
typedef uint4 ndk_unit_16;

#define NDK_KERNEL(name)                                                                                               \
    extern "C" __global__ void name(char *__restrict__ dst, const char *__restrict__ src,                              \
                                    const __grid_constant__ ndk_params params)
#define NDK_PARAM(field) params.field
#define NDK_GLOBAL
#define NDK_LOCAL __shared__
#define NDK_PRAGMA(text) _Pragma(#text)
#define NDK_UNROLL(n) NDK_PRAGMA(unroll n)

#define NDK_GROUP blockIdx.x
#define NDK_NGROUPS gridDim.x
#define NDK_ITEM threadIdx.x
#define NDK_NITEMS blockDim.x
#define NDK_BEGIN {
#define NDK_END }
#define NDK_BARRIER __syncthreads();

#define NDK_HIGH_32(a, b) __umulhi(a, b)
#define NDK_HIGH_64(a, b) __umul64hi(a, b)
#define NDK_ITEM_UNIT_16(i)                                                                                            \
    make_uint4(((const ndk_unit_4 *)params.item)[4 * (i)], ((const ndk_unit_4 *)params.item)[4 * (i) + 1],             \
               ((const ndk_unit_4 *)params.item)[4 * (i) + 2], ((const ndk_unit_4 *)params.item)[4 * (i) + 3])

#else

/* Units are read and written in memory of any type. */
typedef uint8_t ndk_unit_1;
typedef uint16_t __attribute__((may_alias)) ndk_unit_2;
typedef uint32_t __attribute__((may_alias)) ndk_unit_4;
typedef uint64_t __attribute__((may_alias)) ndk_unit_8;
typedef struct ndk_unit_16 {
    _Alignas(16) uint64_t half[2];
} __attribute__((may_alias)) ndk_unit_16;

#define NDK_ARGUMENTS                                                                                                  \
    (char *dst, const char *src, const ndk_params *params, uint32_t group, uint32_t ngroups, uint32_t group_nitems)
#define NDK_KERNEL(name)                                                                                               \
    void name NDK_ARGUMENTS;                                                                                           \
    void name NDK_ARGUMENTS
#define NDK_PARAM(field) params->field
#define NDK_GLOBAL
#define NDK_LOCAL static _Thread_local
#define NDK_UNROLL(n)

#define NDK_GROUP group
#define NDK_NGROUPS ngroups
#define NDK_ITEM ndk_item
#define NDK_NITEMS group_nitems
#define NDK_BEGIN                                                                                                      \
    for (uint32_t ndk_item = 0; ndk_item < group_nitems; ndk_item++) {                                                 \
        {
#define NDK_END                                                                                                        \
    }                                                                                                                  \
    }
#define NDK_BARRIER

#define NDK_HIGH_32(a, b) ((uint32_t)((uint64_t)(a) * (b) >> 32))
#define NDK_HIGH_64(a, b) ndk_high_64(a, b)

static inline uint64_t ndk_high_64(uint64_t a, uint64_t b)
{
    uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX);
    uint64_t middle = (a >> 32) * (b & UINT32_MAX) + (low >> 32);
    uint64_t other = (a & UINT32_MAX) * (b >> 32) + (middle & UINT32_MAX);
    return (a >> 32) * (b >> 32) + (middle >> 32) + (other >> 32);
}

#define NDK_ITEM_UNIT_16(i)                                                                                            \
    ((ndk_unit_16){{((const ndk_unit_8 *)params->item)[2 * (i)], ((const ndk_unit_8 *)params->item)[2 * (i) + 1]}})

#endif

#if defined(NDK_PLANTED_NO_BARRIER)
#define NDK_SYNC                                                                                                       \
    }                                                                                                                  \
    {
#else
#define NDK_SYNC NDK_END NDK_BARRIER NDK_BEGIN
#endif
#if defined(NDK_PLANTED_NO_FENCE)
#define NDK_FENCE
#else
#define NDK_FENCE NDK_BARRIER
#endif

#define NDK_ITEM_UNIT_1(i) NDK_PARAM(item)[i]
#define NDK_ITEM_UNIT_2(i) ((const ndk_unit_2 *)NDK_PARAM(item))[i]
#define NDK_ITEM_UNIT_4(i) ((const ndk_unit_4 *)NDK_PARAM(item))[i]
#define NDK_ITEM_UNIT_8(i) ((const ndk_unit_8 *)NDK_PARAM(item))[i]

/* By what the parameters say for an axis. */
#define NDK_QUOTIENT_32(n, axis)                                                                                       \
    ((NDK_HIGH_32(n, (ndk_u32)(NDK_PARAM(multipliers)[axis] >> 32) + 1) + (n)) >> NDK_PARAM(shifts)[axis])
#define NDK_QUOTIENT_64(n, axis) ((NDK_HIGH_64(n, NDK_PARAM(multipliers)[axis]) + (n)) >> NDK_PARAM(shifts)[axis])

#endif
