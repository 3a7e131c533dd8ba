/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_KERNELS_KERNEL_LIST_H
#define NDBUF_BACKENDS_KERNELS_KERNEL_LIST_H

/* All kernels: by what they do, then by their unit in bytes, then by the bits of their indices. kernel_plan.c reckons
 * with this order. */
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
#define NDBUF__KERNEL_LIST(X)                                                                                          \
    NDBUF__KERNEL_UNITS(X, copy)                                                                                       \
    NDBUF__KERNEL_UNITS(X, tile)                                                                                       \
    NDBUF__KERNEL_UNITS(X, fill)

#endif
