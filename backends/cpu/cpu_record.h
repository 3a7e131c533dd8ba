/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_RECORD_H
#define NDBUF_BACKENDS_CPU_CPU_RECORD_H

/* Rows of records on the host. Where the processor has the kernel for it, bytes of several items are brought to their
 * places at once: those that stay as they are go right to the destination, while numbers that change are first brought
 * together, converted as a dense row in the first cache, and spread from there. What is left goes part by part. */

#include <stdbool.h>
#include <stdint.h>

#include "core/conversion.h"

#include "backends/cpu/cpu_collect.h"
#include "backends/cpu/cpu_convert.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_strided.h"

#define CPU_RECORD_PARTS 16 /* at once */

/* What is collected of a part. */
typedef enum cpu_record_collected { CPU_RECORD_NOTHING, CPU_RECORD_BYTES, CPU_RECORD_NUMBERS } cpu_record_collected;

typedef struct cpu_record_part {
    const ndbuf__conversion_part *what;
    int64_t nelements; /* in an item */
    bool cuts;         /* integers, of which some bytes are left */
    int64_t skipped;   /* bytes of each before these */
    cpu_row_fn row_fn; /* of what keeps its bits, or those of cut integers; NULL: numbers are converted */
    int32_t swap_nbytes;
    cpu_row_converter converter;
    cpu_record_collected collected;
    int64_t from_at; /* where collected numbers are before they are converted */
    int64_t to_at;   /* and afterwards */
} cpu_record_part;

typedef struct cpu_record {
    const cpu_kernels *kernels;
    int64_t dst_nbytes; /* of an item, as in the next lines */
    int64_t src_nbytes;
    int64_t dst_stride;
    int64_t src_stride;
    bool fills; /* all bytes of the destination's items are written */
    int32_t nparts;
    cpu_record_part parts[CPU_RECORD_PARTS];
    const char *src_end;     /* behind which nothing is read; NULL: anywhere */
    int64_t nitems;          /* that go together */
    int64_t prefetch_nbytes; /* how far from where it is read the source is prefetched; 0: not */
    int32_t ngathers;        /* collects, from the first one on, whose numbers are converted then */
    cpu_collects collects;   /* none: no part is collected */
} cpu_record;

/* Takes up to CPU_RECORD_PARTS parts of a conversion, from `first` on. False: one of them asks for a conversion that
 * does not exist. */
bool ndbuf_cpu__record_init(cpu_record *out_record, const ndbuf__conversion *conversion, int32_t first,
                            const ndbuf__convert *sizes, const cpu_kernels *kernels);

/* Prepares it for rows along the last axis, of a copy that is large or not. src NULL: the rows are first packed, in a
 * buffer that goes on for a vector. */
void ndbuf_cpu__record_place(cpu_record *record, const ndbuf__copy_axes *axes, const char *src, bool is_large);

/* Converts a row of items, in the default floating-point mode. */
void ndbuf_cpu__record_row(const cpu_record *record, char *dst, const char *src, int64_t count);

#endif
