/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_CACHES_H
#define NDBUF_BACKENDS_CPU_CPU_CACHES_H

/* What the processor says about itself. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cpu_caches {
    int64_t first_nbytes; /* of data */
    int64_t second_nbytes;
    int64_t third_nbytes; /* what the cores next to this one share */
    /* The third cache belongs to a few cores, and is as good as the second one to them. Elsewhere it serves all cores
     * of the socket, so that its size says little about what one of them gets. */
    bool third_is_near;
} cpu_caches;

/* Guesses where the processor does not tell. */
cpu_caches ndbuf_cpu__caches(void);

/* "AMD EPYC 9334, caches of 32 KiB, 1 MiB and 32 MiB" */
void ndbuf_cpu__describe(char *out_text, size_t size);

#endif
