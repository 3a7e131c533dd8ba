/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_OPENCL_OPENCL_FAULTS_H
#define NDBUF_TESTS_BACKENDS_OPENCL_OPENCL_FAULTS_H

#include <stdint.h>

/* How other drivers behave than the one behind the library. */
typedef enum opencl_faults_manner {
    OPENCL_FAULTS_NONE,
    /* Devices that are opened from now on are discrete GPUs: without memory that the host shares, and without commands
     * that are functions. Rectangles are refused with CL_INVALID_VALUE where slices * slice pitch is more than the
     * buffer has, wherever they begin: so NVIDIA's driver does it (580.159). It also reads up
     * to 64 KiB of the host's bytes for a write at the call, but not behind a user event. From the beginning where
     * OPENCL_FAULTS_DISCRETE is in the environment. */
    OPENCL_FAULTS_DISCRETE,
    /* Rectangles are refused wherever the padding behind their last row or slice is outside of the buffer. */
    OPENCL_FAULTS_STRICT
} opencl_faults_manner;

/* What the library of faults tells and is told, beside the functions of OpenCL; found with dlsym as "opencl_faults". */
typedef struct opencl_faults_control {
    /* From now on the nth call fails with `code`, once; calls of `only` count, or those of all functions for NULL. 0:
     * none fails. Releases never fail, and are not counted. Functions that wait do so before they fail, unless told to
     * `hurry`. */
    void (*arm)(int64_t nth, int32_t code, const char *only);
    /* The function that failed since `arm`; NULL: none. */
    const char *(*fired)(void);
    /* References to contexts, queues, buffers, events, devices, programs and kernels that the caller holds. */
    int64_t (*live)(void);
    void (*behave)(opencl_faults_manner manner);
    /* Whether functions that wait fail at once from now on, with nothing done. */
    void (*hurry)(int32_t hurries);
    /* Rectangles refused because of their padding, from the beginning on. */
    int64_t (*refusals)(void);
} opencl_faults_control;

#endif
