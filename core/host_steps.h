/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_STEPS_H
#define NDBUF_CORE_HOST_STEPS_H

/* Small copies on the host whose every step is decided beforehand: for plans that are run again and again. The host's
 * backend defines the function that decides. */

#include <stdbool.h>
#include <stdint.h>

#include "core/copy_axes.h"

#define NDBUF__HOST_STEPS_MAX 128

typedef struct ndbuf__host_steps ndbuf__host_steps;
struct ndbuf__host_steps {
    /* Copies from the first unit at src to the first one at dst, both with the axes' own offset. */
    void (*run)(const ndbuf__host_steps *steps, char *dst, const char *src);
    void (*turn)(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets, int64_t nlines,
                 int64_t nrows, int64_t prefetch_nbytes, int32_t swap_nbytes); /* of a transpose: the kernel */
    int32_t ndst;   /* how many offsets are set: of a transpose, rows; else as many as there are units */
    int32_t nsrc;   /* of a transpose, lines; else the same */
    int64_t tail;   /* of units: where the second of two moves begins that make one up */
    int64_t nbytes; /* of contiguous bytes */
    int64_t dst_offsets[NDBUF__HOST_STEPS_MAX];
    int64_t src_offsets[NDBUF__HOST_STEPS_MAX];
};

/* False: the copy converts, or is large, or the engine does better by itself. The axes are merged. */
bool ndbuf__host_steps_init(ndbuf__host_steps *steps, const ndbuf__copy_axes *axes);

#endif
