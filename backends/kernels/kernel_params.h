/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_KERNELS_KERNEL_PARAMS_H
#define NDBUF_BACKENDS_KERNELS_KERNEL_PARAMS_H

/* What every kernel is given by value, as its last argument: one text for CUDA C, OpenCL C and C. All integers have the
 * same size and place in all three. At most 1024 bytes, the least that OpenCL grants. */

#if defined(__OPENCL_VERSION__)
typedef long ndk_i64;
typedef ulong ndk_u64;
typedef int ndk_i32;
typedef uint ndk_u32;
typedef uchar ndk_u8;
typedef char ndk_i8;
typedef short ndk_i16;
#else
#include <stdint.h>
typedef int64_t ndk_i64;
typedef uint64_t ndk_u64;
typedef int32_t ndk_i32;
typedef uint32_t ndk_u32;
typedef uint8_t ndk_u8;
typedef int8_t ndk_i8;
typedef int16_t ndk_i16;
#endif

#define NDK_MAX_NDIM 16
#define NDK_MAX_ITEM 256 /* bytes, of what a fill writes */
#define NDK_BATCH 4      /* units that a work item has in flight */

/* The tiles of the tiled kernels are square; NDK_TILE_<unit> units wide, each line of local memory NDK_PITCH_<unit>
 * units after the one before: an odd number of 4-byte banks, so that a column lies in distinct banks (units of 8 and 16
 * bytes are served in halves and quarters of a warp). */
#define NDK_TILE_1 64
#define NDK_PITCH_1 68
#define NDK_TILE_2 64
#define NDK_PITCH_2 66
#define NDK_TILE_4 32
#define NDK_PITCH_4 33
#define NDK_TILE_8 32
#define NDK_PITCH_8 33
#define NDK_TILE_16 32
#define NDK_PITCH_16 33
#define NDK_LOCAL_NBYTES (16 * NDK_TILE_16 * NDK_PITCH_16) /* what the largest takes */

/* At each index of shape, one unit of unit_nbytes bytes goes from src_offset + sum(index * src_strides) behind the
 * second argument to dst_offset + sum(index * dst_strides) behind the first one. Offsets and strides are in bytes and
 * multiples of unit_nbytes. This holds for every kernel; how it goes about it is in the rest. A fill has no source: its
 * last axis runs along the units of `item`. A conversion has no units: an element of src_nbytes bytes becomes one of
 * dst_nbytes bytes at each index, and offsets and strides are multiples of dst_access and src_access. */
typedef struct ndk_params {
    ndk_i64 dst_offset;
    ndk_i64 src_offset;
    ndk_i64 nunits;      /* product of shape */
    ndk_i32 ndim;        /* > 0 */
    ndk_i32 unit_nbytes; /* 1, 2, 4, 8 or 16; 0: a conversion */
    ndk_i64 shape[NDK_MAX_NDIM];
    ndk_i64 dst_strides[NDK_MAX_NDIM];
    ndk_i64 src_strides[NDK_MAX_NDIM];
    ndk_i32 row_axis;    /* of tiled kernels: the axis along which the source lies closest */
    ndk_i32 column_axis; /* and the destination */
    ndk_i64 nbatches;    /* product of the other axes */
    /* Division by multiplication: for n < 2^63, n divided by shape[k] is (n + high half of n * multipliers[k]) >>
     * shifts[k]; for n < 2^31, the same in 32 bits with 1 + the high half of multipliers[k]. Tiled kernels divide by
     * the number of tiles along the row and column axes instead. */
    ndk_u64 multipliers[NDK_MAX_NDIM];
    ndk_i32 shifts[NDK_MAX_NDIM];
    /* Of conversions alone: see above. */
    ndk_i32 dst_number; /* NDK_... in convert_element.h */
    ndk_i32 src_number;
    ndk_i32 dst_nbytes; /* of an element: of its number, or of two if it is complex */
    ndk_i32 src_nbytes;
    ndk_i32 dst_access; /* bytes at a time: those of the number, or 1 where numbers do not lie at multiples of them */
    ndk_i32 src_access;
    ndk_i32 dst_swaps; /* the bytes of the numbers are turned around */
    ndk_i32 src_swaps;
    ndk_i32 saturates;
    ndk_i32 reserved;
    ndk_u8 item[NDK_MAX_ITEM];
} ndk_params;

#endif
