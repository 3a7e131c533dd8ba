/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_LINK_COSTS_H
#define NDBUF_CORE_LINK_COSTS_H

/* What copies between devices are taken to cost: the defaults of the built-in backends, all in core/link_costs.c, and
 * what users set in their place. */

#include <stdbool.h>

#include "ndbuf/backend.h"
#include "ndbuf/tuning.h"

/* Kinds of links of the built-in backends. */
typedef enum ndbuf__link {
    NDBUF__LINK_HOST,             /* within the host's memory */
    NDBUF__LINK_OPENCL_CPU_LOCAL, /* OpenCL on a CPU: from buffer to buffer */
    NDBUF__LINK_OPENCL_CPU_WRITE, /* from the host */
    NDBUF__LINK_OPENCL_CPU_READ,  /* to the host */
    NDBUF__LINK_OPENCL_LOCAL,     /* OpenCL elsewhere */
    NDBUF__LINK_OPENCL_HOST,
    NDBUF__LINK_CUDA_9_LOCAL,    /* CUDA by compute capability, 9: H100, H200 and later. Within the device */
    NDBUF__LINK_CUDA_9_PEER,     /* with another device */
    NDBUF__LINK_CUDA_9_PINNED,   /* with pinned host memory */
    NDBUF__LINK_CUDA_9_PAGEABLE, /* with other host memory: the driver copies to a buffer of its own, and the caller
                                  * waits */
    NDBUF__LINK_CUDA_8_LOCAL,    /* 8: A100 and its relatives */
    NDBUF__LINK_CUDA_8_PEER,
    NDBUF__LINK_CUDA_8_PINNED,
    NDBUF__LINK_CUDA_8_PAGEABLE,
    NDBUF__LINK_CUDA_OLD_LOCAL,
    NDBUF__LINK_CUDA_OLD_PEER,
    NDBUF__LINK_CUDA_OLD_PINNED,
    NDBUF__LINK_CUDA_OLD_PAGEABLE
} ndbuf__link;

/* Sets a backend's costs to the defaults. The flags are left alone. */
void ndbuf__link_costs_default(ndbuf_copy_caps *caps, ndbuf__link link);

/* The costs: fields of ndbuf_link_costs, and of ndbuf_copy_caps. */
#define NDBUF__LINK_COST_LIST(X)                                                                                       \
    X(call_ns, "ns", "of each call of the backend")                                                                    \
    X(wait_ns, "ns", "of waiting for the device once")                                                                 \
    X(row_ns, "ns", "of each contiguous row of a rectangle, beyond its bytes")                                         \
    X(element_ns, "ns", "of each contiguous run of a strided copy, beyond its bytes")                                  \
    X(bytes_per_ns, "bytes/ns", "the rate; 0: bytes cost nothing")                                                     \
    X(map_ns, "ns", "of mapping the device's memory for a copy that the host makes")

enum {
#define NDBUF__LINK_COST_INDEX(name, ...) NDBUF__LINK_COST_##name,
    NDBUF__LINK_COST_LIST(NDBUF__LINK_COST_INDEX)
#undef NDBUF__LINK_COST_INDEX
        NDBUF__LINK_NCOSTS
};

#define NDBUF__MAX_LINKS 64

/* Asks a backend what it can copy between two devices, and puts what users set in place of its costs. */
void ndbuf__copy_caps_get(const ndbuf_backend_ops *ops, const ndbuf_device *dst, const ndbuf_device *src,
                          ndbuf_copy_caps *out_caps);

/* -- the links that were set; writers hold the guard of core/tuning.c -- */

/* Links never go away: their number grows only. */
int32_t ndbuf__link_count(void);

/* "cpu.opencl:0" */
const char *ndbuf__link_name(int32_t index);

/* Whether `name` has the form of a link. */
bool ndbuf__link_is_name(const char *name, size_t length);

/* -1: it was never set. */
int32_t ndbuf__link_find(const char *name, size_t length);

/* Adds a link with a valid name. There is room. */
int32_t ndbuf__link_add(const char *name, size_t length);

/* NAN: not set. */
double ndbuf__link_cost_get(int32_t index, int32_t cost);
void ndbuf__link_cost_set(int32_t index, int32_t cost, double value);

#endif
