/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_CALIBRATE_PROBE_H
#define NDBUF_TOOLS_CALIBRATE_PROBE_H

#include "ndbuf/ndbuf.h"

/* Copies that a calibration measures. */

#define PROBE_MAX_ROUNDS 33

typedef enum probe_kind {
    PROBE_ROWS,       /* `nrows` rows of `row_nbytes` bytes, which the source holds twice as far apart; 1: contiguous */
    PROBE_TRANSPOSED, /* `nrows` times `row_nbytes` / 4 items of 4 bytes, transposed */
    PROBE_ITEMS       /* as PROBE_ROWS, of the items of 4 bytes every second one */
} probe_kind;

/* A copy with its memory. Zero-initialised is empty. */
typedef struct probe {
    ndbuf_view dst;
    ndbuf_view src;
} probe;

ndbuf_status probe_init(probe *out_probe, probe_kind kind, int64_t nrows, int64_t row_nbytes, ndbuf_device *from,
                        ndbuf_device *to, ndbuf_error *err);
void probe_clear(probe *self);

/* Nanoseconds of one copy that waits; short ones are repeated for the clock's sake. < 0: it failed. */
double probe_time(const probe *self, const ndbuf_copy_plan *plan);

/* The same of a copy within host memory, and of looking at each line of what it wrote: as the program does for which
 * it was made, and which finds it in the caches or not. */
double probe_time_used(const probe *self, const ndbuf_copy_plan *plan);

double probe_median(double *values, int count); /* sorts them */

#endif
