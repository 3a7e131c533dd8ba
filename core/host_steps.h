/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_STEPS_H
#define NDBUF_CORE_HOST_STEPS_H

/* Small copies on the host whose every step is decided beforehand: for plans that are run again and again. The host's
 * backend defines the function that decides. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/status.h"

#include "core/copy_axes.h"

#define NDBUF__HOST_STEPS_MAX 128 /* offsets of a side; by fours */
#define NDBUF__ARRANGED_VECTORS 4
#define NDBUF__ARRANGED_NBYTES 64                                                              /* of a vector */
#define NDBUF__ARRANGED_MAX_NBYTES ((int64_t)NDBUF__ARRANGED_VECTORS * NDBUF__ARRANGED_NBYTES) /* of a range */

/* A copy between ranges that few vectors hold: byte x of output j is byte `index[j][x]` of all inputs taken together.
 * The outputs lie one behind the other, but for the last of several, which ends with the range. */
typedef struct ndbuf__arrangement {
    int32_t nin;
    int32_t nout;
    int64_t src_offset; /* of the first byte that is read, from the first unit */
    int64_t dst_offset;
    int64_t in_step;                         /* from input to input; in steps NDBUF__ARRANGED_NBYTES */
    int64_t last_offset;                     /* of the last output, from the first one */
    uint64_t reads[NDBUF__ARRANGED_VECTORS]; /* a bit for each byte */
    uint64_t writes[NDBUF__ARRANGED_VECTORS];
    uint8_t index[NDBUF__ARRANGED_VECTORS][NDBUF__ARRANGED_NBYTES];
} ndbuf__arrangement;

struct cpu_prefetch;

typedef struct ndbuf__host_steps ndbuf__host_steps;
struct ndbuf__host_steps {
    /* Copies from the first unit at src to the first one at dst, both with the axes' own offset. Returns NDBUF_OK: so a
     * call of it can be the last of its caller's, who returns as much. */
    ndbuf_status (*run)(const ndbuf__host_steps *steps, char *dst, const char *src);
    void (*turn)(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets, int64_t nlines,
                 int64_t nrows, const struct cpu_prefetch *prefetch,
                 int32_t swap_nbytes); /* of a transpose: the kernel */
    int32_t ndst;   /* how many offsets are set: of a transpose, rows; else as many as there are units */
    int32_t nsrc;   /* of a transpose, lines; else the same */
    int64_t tail;   /* of units: where the second of two moves begins that make one up */
    int64_t nbytes; /* of contiguous bytes */
    /* In the room that was given; set are the arrangement or the offsets. */
    ndbuf__arrangement *arrangement;
    int64_t *dst_offsets;
    int64_t *src_offsets;
};

/* Room for up to so many offsets of a side. */
#define NDBUF__HOST_STEPS_ROOM(max)                                                                                    \
    union {                                                                                                            \
        ndbuf__arrangement arrangement;                                                                                \
        int64_t offsets[2 * (max)];                                                                                    \
    }

/* False: the copy converts, or is large, or has too many steps for the room, or the engine does better by itself. The
 * axes are merged. The room stays where it is, and is one union's members, with 2 * max offsets. */
bool ndbuf__host_steps_init(ndbuf__host_steps *steps, ndbuf__arrangement *arrangement, int64_t *offsets, int32_t max,
                            const ndbuf__copy_axes *axes);

#endif
