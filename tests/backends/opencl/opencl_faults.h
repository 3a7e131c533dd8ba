/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_OPENCL_OPENCL_FAULTS_H
#define NDBUF_TESTS_BACKENDS_OPENCL_OPENCL_FAULTS_H

#include <stdint.h>

/* What the library of faults tells and is told, beside the functions of OpenCL; found with dlsym as "opencl_faults". */
typedef struct opencl_faults_control {
    /* From now on the nth call fails with `code`, once; calls of `only` count, or those of all functions for NULL. 0:
     * none fails. Releases never fail, and are not counted. Functions that wait do so before they fail. */
    void (*arm)(int64_t nth, int32_t code, const char *only);
    /* The function that failed since `arm`; NULL: none. */
    const char *(*fired)(void);
    /* References to contexts, queues, buffers, events, devices, programs and kernels that the caller holds. */
    int64_t (*live)(void);
} opencl_faults_control;

#endif
