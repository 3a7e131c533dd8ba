/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_KERNELS_KERNEL_LIST_H
#define NDBUF_BACKENDS_KERNELS_KERNEL_LIST_H

/* P(X, destination, source) for pairs of numbers that are often converted; the last ones change the byte order alone.
 */
#define NDBUF__CONVERT_PAIRS(P, X)                                                                                     \
    P(X, FLOAT32, FLOAT64)                                                                                             \
    P(X, FLOAT64, FLOAT32)                                                                                             \
    P(X, FLOAT16, FLOAT32)                                                                                             \
    P(X, FLOAT32, FLOAT16)                                                                                             \
    P(X, BFLOAT16, FLOAT32)                                                                                            \
    P(X, FLOAT32, BFLOAT16)                                                                                            \
    P(X, FLOAT32, INT32)                                                                                               \
    P(X, INT32, FLOAT32)                                                                                               \
    P(X, FLOAT32, INT16)                                                                                               \
    P(X, FLOAT32, UINT8)                                                                                               \
    P(X, UINT8, FLOAT32)                                                                                               \
    P(X, FLOAT64, INT32)                                                                                               \
    P(X, FLOAT64, INT64)                                                                                               \
    P(X, INT32, INT64)                                                                                                 \
    P(X, INT64, INT32)                                                                                                 \
    P(X, UINT16, UINT16)                                                                                               \
    P(X, UINT32, UINT32)                                                                                               \
    P(X, UINT64, UINT64)

/* All kernels: by what they do, then by their unit in bytes, then by the bits of their indices; conversions by their
 * pair of numbers. kernel_plan.c reckons with this order. */
#define NDBUF__KERNEL_UNITS(X, what)                                                                                   \
    X(ndk_##what##_1_32)                                                                                               \
    X(ndk_##what##_1_64)                                                                                               \
    X(ndk_##what##_2_32)                                                                                               \
    X(ndk_##what##_2_64)                                                                                               \
    X(ndk_##what##_4_32)                                                                                               \
    X(ndk_##what##_4_64)                                                                                               \
    X(ndk_##what##_8_32)                                                                                               \
    X(ndk_##what##_8_64)                                                                                               \
    X(ndk_##what##_16_32)                                                                                              \
    X(ndk_##what##_16_64)
#define NDBUF__KERNEL_PAIR(X, dst, src)                                                                                \
    X(ndk_convert_##dst##_##src##_32)                                                                                  \
    X(ndk_convert_##dst##_##src##_64)
#define NDBUF__KERNEL_LIST(X)                                                                                          \
    NDBUF__KERNEL_UNITS(X, copy)                                                                                       \
    NDBUF__KERNEL_UNITS(X, tile)                                                                                       \
    NDBUF__KERNEL_UNITS(X, fill)                                                                                       \
    X(ndk_convert_any_32)                                                                                              \
    X(ndk_convert_any_64)                                                                                              \
    NDBUF__CONVERT_PAIRS(NDBUF__KERNEL_PAIR, X)

#endif
