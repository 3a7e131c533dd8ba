/* SPDX-License-Identifier: Apache-2.0 */

/* The kernels: strided copy, tiled transpose, fill, conversion. One text for CUDA C, OpenCL C 1.2 and C11, see
 * kernel_dialect.h; kernel_params.h says what they do, kernel_plan.c chooses among them. Right for any number of groups
 * and of work items in a group. Each is there for units of 1, 2, 4, 8 and 16 bytes, or for certain pairs of numbers,
 * and with offsets in 32 and in 64 bits; they are reckoned without sign, so that they wrap around where a work item has
 * nothing to do. */

#ifndef __OPENCL_VERSION__
#include "backends/kernels/kernel_params.h"

#include "backends/kernels/convert_element.h"
#include "backends/kernels/kernel_dialect.h"
#include "backends/kernels/kernel_list.h"
#endif

/* The places of the units `first`, `first` + step, ...: to_offset[batch] and from_offset[batch]. Where there are no
 * more, they are those of the first one again. */
#define NDK_PLACES(bits, batch)                                                                                        \
    ndk_u##bits rest[batch];                                                                                           \
    ndk_u##bits to_offset[batch];                                                                                      \
    ndk_u##bits from_offset[batch];                                                                                    \
    NDK_UNROLL(batch)                                                                                                  \
    for (ndk_i32 i = 0; i < batch; i++) {                                                                              \
        const ndk_u##bits number = first + (ndk_u##bits)i * step;                                                      \
        rest[i] = number < count ? number : first;                                                                     \
        to_offset[i] = 0;                                                                                              \
        from_offset[i] = 0;                                                                                            \
    }                                                                                                                  \
    NDK_UNROLL(1)                                                                                                      \
    for (ndk_i32 axis = NDK_PARAM(ndim) - 1; axis > 0; axis--) {                                                       \
        const ndk_u##bits extent = (ndk_u##bits)NDK_PARAM(shape)[axis];                                                \
        const ndk_u##bits to_stride = (ndk_u##bits)NDK_PARAM(dst_strides)[axis];                                       \
        const ndk_u##bits from_stride = (ndk_u##bits)NDK_PARAM(src_strides)[axis];                                     \
        NDK_UNROLL(batch)                                                                                              \
        for (ndk_i32 i = 0; i < batch; i++) {                                                                          \
            const ndk_u##bits quotient = NDK_QUOTIENT_##bits(rest[i], axis);                                           \
            const ndk_u##bits index = rest[i] - quotient * extent;                                                     \
            to_offset[i] += index * to_stride;                                                                         \
            from_offset[i] += index * from_stride;                                                                     \
            rest[i] = quotient;                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
    NDK_UNROLL(batch)                                                                                                  \
    for (ndk_i32 i = 0; i < batch; i++) {                                                                              \
        to_offset[i] += rest[i] * (ndk_u##bits)NDK_PARAM(dst_strides)[0];                                              \
        from_offset[i] += rest[i] * (ndk_u##bits)NDK_PARAM(src_strides)[0];                                            \
    }

/* Neighbouring work items have neighbouring units along the last axis, which is the destination's closest. A work item
 * reads several units before it writes them. */
#define NDK_COPY_KERNEL(unit, bits)                                                                                    \
    NDK_KERNEL(ndk_copy_##unit##_##bits)                                                                               \
    {                                                                                                                  \
        NDK_GLOBAL char *to = dst + NDK_PARAM(dst_offset);                                                             \
        NDK_GLOBAL const char *from = src + NDK_PARAM(src_offset);                                                     \
        const ndk_u##bits count = (ndk_u##bits)NDK_PARAM(nunits);                                                      \
        const ndk_u##bits step = (ndk_u##bits)NDK_NGROUPS * NDK_NITEMS;                                                \
        NDK_BEGIN                                                                                                      \
        for (ndk_u##bits first = (ndk_u##bits)NDK_GROUP * NDK_NITEMS + NDK_ITEM; first < count;                        \
             first += NDK_BATCH * step) {                                                                              \
            ndk_unit_##unit value[NDK_BATCH];                                                                          \
            NDK_PLACES(bits, NDK_BATCH)                                                                                \
            NDK_UNROLL(NDK_BATCH)                                                                                      \
            for (ndk_i32 i = 0; i < NDK_BATCH; i++) {                                                                  \
                value[i] = *(NDK_GLOBAL const ndk_unit_##unit *)(from + (ndk_i##bits)from_offset[i]);                  \
            }                                                                                                          \
            NDK_UNROLL(NDK_BATCH)                                                                                      \
            for (ndk_i32 i = 0; i < NDK_BATCH; i++) {                                                                  \
                *(NDK_GLOBAL ndk_unit_##unit *)(to + (ndk_i##bits)to_offset[i]) = value[i];                            \
            }                                                                                                          \
        }                                                                                                              \
        NDK_END                                                                                                        \
    }

/* A group reads a tile along the row axis, where the source lies closest, into local memory, and writes it along the
 * column axis. At the edges, what is read beyond them is the edge, and not written. */
#define NDK_TILE_KERNEL(unit, bits)                                                                                    \
    NDK_KERNEL(ndk_tile_##unit##_##bits)                                                                               \
    {                                                                                                                  \
        NDK_LOCAL ndk_unit_##unit tile[NDK_TILE_##unit * NDK_PITCH_##unit];                                            \
        NDK_GLOBAL char *to = dst + NDK_PARAM(dst_offset);                                                             \
        NDK_GLOBAL const char *from = src + NDK_PARAM(src_offset);                                                     \
        const ndk_u32 area = NDK_TILE_##unit * NDK_TILE_##unit;                                                        \
        const ndk_i32 row_axis = NDK_PARAM(row_axis);                                                                  \
        const ndk_i32 column_axis = NDK_PARAM(column_axis);                                                            \
        const ndk_u##bits nrows = (ndk_u##bits)NDK_PARAM(shape)[row_axis];                                             \
        const ndk_u##bits ncolumns = (ndk_u##bits)NDK_PARAM(shape)[column_axis];                                       \
        const ndk_u##bits to_row = (ndk_u##bits)NDK_PARAM(dst_strides)[row_axis];                                      \
        const ndk_u##bits to_column = (ndk_u##bits)NDK_PARAM(dst_strides)[column_axis];                                \
        const ndk_u##bits from_row = (ndk_u##bits)NDK_PARAM(src_strides)[row_axis];                                    \
        const ndk_u##bits from_column = (ndk_u##bits)NDK_PARAM(src_strides)[column_axis];                              \
        const ndk_u##bits row_tiles = (nrows + NDK_TILE_##unit - 1) / NDK_TILE_##unit;                                 \
        const ndk_u##bits column_tiles = (ncolumns + NDK_TILE_##unit - 1) / NDK_TILE_##unit;                           \
        const ndk_u##bits ntiles = (ndk_u##bits)NDK_PARAM(nbatches) * row_tiles * column_tiles;                        \
        for (ndk_u##bits number = NDK_GROUP; number < ntiles; number += NDK_NGROUPS) {                                 \
            const ndk_u##bits row_number = NDK_QUOTIENT_##bits(number, column_axis);                                   \
            const ndk_u##bits first_column = (number - row_number * column_tiles) * NDK_TILE_##unit;                   \
            ndk_u##bits batch = NDK_QUOTIENT_##bits(row_number, row_axis);                                             \
            const ndk_u##bits first_row = (row_number - batch * row_tiles) * NDK_TILE_##unit;                          \
            const ndk_u##bits rows_left = nrows - first_row;                                                           \
            const ndk_u##bits columns_left = ncolumns - first_column;                                                  \
            const ndk_u32 last_row = (ndk_u32)(rows_left < NDK_TILE_##unit ? rows_left : NDK_TILE_##unit) - 1;         \
            const ndk_u32 last_column =                                                                                \
                (ndk_u32)(columns_left < NDK_TILE_##unit ? columns_left : NDK_TILE_##unit) - 1;                        \
            ndk_u##bits to_offset = first_row * to_row + first_column * to_column;                                     \
            ndk_u##bits from_offset = first_row * from_row + first_column * from_column;                               \
            NDK_UNROLL(1)                                                                                              \
            for (ndk_i32 axis = NDK_PARAM(ndim) - 1; axis >= 0; axis--) {                                              \
                if (axis != row_axis && axis != column_axis) {                                                         \
                    const ndk_u##bits quotient = NDK_QUOTIENT_##bits(batch, axis);                                     \
                    const ndk_u##bits index = batch - quotient * (ndk_u##bits)NDK_PARAM(shape)[axis];                  \
                    to_offset += index * (ndk_u##bits)NDK_PARAM(dst_strides)[axis];                                    \
                    from_offset += index * (ndk_u##bits)NDK_PARAM(src_strides)[axis];                                  \
                    batch = quotient;                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
            NDK_BEGIN                                                                                                  \
            NDK_UNROLL(1)                                                                                              \
            for (ndk_u32 first = NDK_ITEM; first < area; first += NDK_BATCH * NDK_NITEMS) {                            \
                ndk_u32 place[NDK_BATCH];                                                                              \
                ndk_unit_##unit value[NDK_BATCH];                                                                      \
                NDK_UNROLL(NDK_BATCH)                                                                                  \
                for (ndk_u32 i = 0; i < NDK_BATCH; i++) {                                                              \
                    const ndk_u32 k = first + i * NDK_NITEMS < area ? first + i * NDK_NITEMS : first;                  \
                    const ndk_u32 row = k % NDK_TILE_##unit;                                                           \
                    const ndk_u32 column = k / NDK_TILE_##unit;                                                        \
                    const ndk_u##bits offset = (row < last_row ? row : last_row) * from_row +                          \
                                               (column < last_column ? column : last_column) * from_column;            \
                    place[i] = column * NDK_PITCH_##unit + row;                                                        \
                    value[i] = *(NDK_GLOBAL const ndk_unit_##unit *)(from + (ndk_i##bits)(from_offset + offset));      \
                }                                                                                                      \
                NDK_UNROLL(NDK_BATCH)                                                                                  \
                for (ndk_u32 i = 0; i < NDK_BATCH; i++) {                                                              \
                    tile[place[i]] = value[i];                                                                         \
                }                                                                                                      \
            }                                                                                                          \
            NDK_SYNC                                                                                                   \
            NDK_UNROLL(1)                                                                                              \
            for (ndk_u32 first = NDK_ITEM; first < area; first += NDK_BATCH * NDK_NITEMS) {                            \
                NDK_UNROLL(NDK_BATCH)                                                                                  \
                for (ndk_u32 i = 0; i < NDK_BATCH; i++) {                                                              \
                    const ndk_u32 k = first + i * NDK_NITEMS;                                                          \
                    const ndk_u32 column = k % NDK_TILE_##unit;                                                        \
                    const ndk_u32 row = k / NDK_TILE_##unit;                                                           \
                    if (row <= last_row && column <= last_column) {                                                    \
                        *(NDK_GLOBAL ndk_unit_##unit *)(to + (ndk_i##bits)(to_offset + row * to_row +                  \
                                                                           column * to_column)) =                      \
                            tile[column * NDK_PITCH_##unit + row];                                                     \
                    }                                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
            NDK_END                                                                                                    \
            NDK_FENCE                                                                                                  \
        }                                                                                                              \
    }

#define NDK_FILL_KERNEL(unit, bits)                                                                                    \
    NDK_KERNEL(ndk_fill_##unit##_##bits)                                                                               \
    {                                                                                                                  \
        NDK_GLOBAL char *to = dst + NDK_PARAM(dst_offset);                                                             \
        const ndk_u##bits count = (ndk_u##bits)NDK_PARAM(nunits);                                                      \
        const ndk_u##bits step = (ndk_u##bits)NDK_NGROUPS * NDK_NITEMS;                                                \
        const ndk_i32 last = NDK_PARAM(ndim) - 1;                                                                      \
        (void)src;                                                                                                     \
        NDK_BEGIN                                                                                                      \
        for (ndk_u##bits number = (ndk_u##bits)NDK_GROUP * NDK_NITEMS + NDK_ITEM; number < count; number += step) {    \
            ndk_u##bits rest = NDK_QUOTIENT_##bits(number, last);                                                      \
            const ndk_u32 part = (ndk_u32)(number - rest * (ndk_u##bits)NDK_PARAM(shape)[last]);                       \
            ndk_u##bits offset = (ndk_u##bits)part * (ndk_u##bits)NDK_PARAM(dst_strides)[last];                        \
            NDK_UNROLL(1)                                                                                              \
            for (ndk_i32 axis = last - 1; axis >= 0; axis--) {                                                         \
                const ndk_u##bits quotient = NDK_QUOTIENT_##bits(rest, axis);                                          \
                const ndk_u##bits index = rest - quotient * (ndk_u##bits)NDK_PARAM(shape)[axis];                       \
                offset += index * (ndk_u##bits)NDK_PARAM(dst_strides)[axis];                                           \
                rest = quotient;                                                                                       \
            }                                                                                                          \
            *(NDK_GLOBAL ndk_unit_##unit *)(to + (ndk_i##bits)offset) = NDK_ITEM_UNIT_##unit(part);                    \
        }                                                                                                              \
        NDK_END                                                                                                        \
    }

/* ---- conversion ---- */

/* A number of `nbytes` bytes, read `access` bytes at a time: all or one. */
NDK_FUNCTION ndk_u64 ndk_load(NDK_GLOBAL const char *at, ndk_u32 nbytes, ndk_i32 access, ndk_i32 swaps)
{
    ndk_u64 bits = 0;
    if (access == 1) {
        NDK_UNROLL(1)
        for (ndk_u32 i = 0; i < nbytes; i++) {
            bits |= (ndk_u64) * (NDK_GLOBAL const ndk_unit_1 *)(at + i) << 8 * i;
        }
    } else if (access == 2) {
        bits = *(NDK_GLOBAL const ndk_unit_2 *)at;
    } else if (access == 4) {
        bits = *(NDK_GLOBAL const ndk_unit_4 *)at;
    } else {
        bits = *(NDK_GLOBAL const ndk_unit_8 *)at;
    }
    return swaps ? ndk_swap_number(bits, nbytes) : bits;
}

NDK_FUNCTION void ndk_store(NDK_GLOBAL char *at, ndk_u64 bits, ndk_u32 nbytes, ndk_i32 access, ndk_i32 swaps)
{
    const ndk_u64 stored = swaps ? ndk_swap_number(bits, nbytes) : bits;
    if (access == 1) {
        NDK_UNROLL(1)
        for (ndk_u32 i = 0; i < nbytes; i++) {
            *(NDK_GLOBAL ndk_unit_1 *)(at + i) = (ndk_unit_1)(stored >> 8 * i);
        }
    } else if (access == 2) {
        *(NDK_GLOBAL ndk_unit_2 *)at = (ndk_unit_2)stored;
    } else if (access == 4) {
        *(NDK_GLOBAL ndk_unit_4 *)at = (ndk_unit_4)stored;
    } else {
        *(NDK_GLOBAL ndk_unit_8 *)at = stored;
    }
}

/* Any element to any other one, at any alignment. What differs between elements is in the parameters, so that all work
 * items take the same branches. */
#define NDK_CONVERT_KERNEL(bits)                                                                                       \
    NDK_KERNEL(ndk_convert_any_##bits)                                                                                 \
    {                                                                                                                  \
        NDK_GLOBAL char *to = dst + NDK_PARAM(dst_offset);                                                             \
        NDK_GLOBAL const char *from = src + NDK_PARAM(src_offset);                                                     \
        const ndk_u##bits count = (ndk_u##bits)NDK_PARAM(nunits);                                                      \
        const ndk_u##bits step = (ndk_u##bits)NDK_NGROUPS * NDK_NITEMS;                                                \
        const ndk_i32 dst_number = NDK_PARAM(dst_number);                                                              \
        const ndk_i32 src_number = NDK_PARAM(src_number);                                                              \
        const ndk_u32 dst_nbytes = ndk_number_nbytes(dst_number);                                                      \
        const ndk_u32 src_nbytes = ndk_number_nbytes(src_number);                                                      \
        const ndk_i32 src_is_complex = NDK_PARAM(src_nbytes) > (ndk_i32)src_nbytes;                                    \
        const ndk_i32 dst_is_complex = NDK_PARAM(dst_nbytes) > (ndk_i32)dst_nbytes;                                    \
        NDK_BEGIN                                                                                                      \
        for (ndk_u##bits first = (ndk_u##bits)NDK_GROUP * NDK_NITEMS + NDK_ITEM; first < count; first += step) {       \
            NDK_PLACES(bits, 1)                                                                                        \
            NDK_GLOBAL const char *at = from + (ndk_i##bits)from_offset[0];                                            \
            NDK_GLOBAL char *place = to + (ndk_i##bits)to_offset[0];                                                   \
            ndk_u64 value = ndk_load(at, src_nbytes, NDK_PARAM(src_access), NDK_PARAM(src_swaps));                     \
            if (src_is_complex) {                                                                                      \
                const ndk_u64 other =                                                                                  \
                    ndk_load(at + src_nbytes, src_nbytes, NDK_PARAM(src_access), NDK_PARAM(src_swaps));                \
                value = ndk_is_true(value, src_number) || ndk_is_true(other, src_number);                              \
            } else {                                                                                                   \
                value = ndk_convert_number(value, dst_number, src_number, NDK_PARAM(saturates));                       \
            }                                                                                                          \
            ndk_store(place, value, dst_nbytes, NDK_PARAM(dst_access), NDK_PARAM(dst_swaps));                          \
            if (dst_is_complex) {                                                                                      \
                ndk_store(place + dst_nbytes, 0, dst_nbytes, NDK_PARAM(dst_access), 0);                                \
            }                                                                                                          \
        }                                                                                                              \
        NDK_END                                                                                                        \
    }

/* One number to another one, both aligned; several at a time, as copies. */
#define NDK_CONVERT_PAIR_KERNEL(dst_name, src_name, bits)                                                              \
    NDK_KERNEL(ndk_convert_##dst_name##_##src_name##_##bits)                                                           \
    {                                                                                                                  \
        NDK_GLOBAL char *to = dst + NDK_PARAM(dst_offset);                                                             \
        NDK_GLOBAL const char *from = src + NDK_PARAM(src_offset);                                                     \
        const ndk_u##bits count = (ndk_u##bits)NDK_PARAM(nunits);                                                      \
        const ndk_u##bits step = (ndk_u##bits)NDK_NGROUPS * NDK_NITEMS;                                                \
        const ndk_u32 dst_nbytes = ndk_number_nbytes(NDK_##dst_name);                                                  \
        const ndk_u32 src_nbytes = ndk_number_nbytes(NDK_##src_name);                                                  \
        NDK_BEGIN                                                                                                      \
        for (ndk_u##bits first = (ndk_u##bits)NDK_GROUP * NDK_NITEMS + NDK_ITEM; first < count;                        \
             first += NDK_BATCH * step) {                                                                              \
            ndk_u64 value[NDK_BATCH];                                                                                  \
            NDK_PLACES(bits, NDK_BATCH)                                                                                \
            NDK_UNROLL(NDK_BATCH)                                                                                      \
            for (ndk_i32 i = 0; i < NDK_BATCH; i++) {                                                                  \
                value[i] = ndk_load(from + (ndk_i##bits)from_offset[i], src_nbytes, (ndk_i32)src_nbytes,               \
                                    NDK_PARAM(src_swaps));                                                             \
            }                                                                                                          \
            NDK_UNROLL(NDK_BATCH)                                                                                      \
            for (ndk_i32 i = 0; i < NDK_BATCH; i++) {                                                                  \
                ndk_store(to + (ndk_i##bits)to_offset[i],                                                              \
                          ndk_convert_number(value[i], NDK_##dst_name, NDK_##src_name, NDK_PARAM(saturates)),          \
                          dst_nbytes, (ndk_i32)dst_nbytes, NDK_PARAM(dst_swaps));                                      \
            }                                                                                                          \
        }                                                                                                              \
        NDK_END                                                                                                        \
    }

#define NDK_KERNELS(unit)                                                                                              \
    NDK_COPY_KERNEL(unit, 32)                                                                                          \
    NDK_COPY_KERNEL(unit, 64)                                                                                          \
    NDK_TILE_KERNEL(unit, 32)                                                                                          \
    NDK_TILE_KERNEL(unit, 64)                                                                                          \
    NDK_FILL_KERNEL(unit, 32)                                                                                          \
    NDK_FILL_KERNEL(unit, 64)

NDK_KERNELS(1)
NDK_KERNELS(2)
NDK_KERNELS(4)
NDK_KERNELS(8)
NDK_KERNELS(16)

NDK_CONVERT_KERNEL(32)
NDK_CONVERT_KERNEL(64)

#define NDK_NOTHING
#define NDK_CONVERT_PAIR_KERNELS(x, dst_name, src_name)                                                                \
    NDK_CONVERT_PAIR_KERNEL(dst_name, src_name, 32)                                                                    \
    NDK_CONVERT_PAIR_KERNEL(dst_name, src_name, 64)
NDBUF__CONVERT_PAIRS(NDK_CONVERT_PAIR_KERNELS, NDK_NOTHING)
