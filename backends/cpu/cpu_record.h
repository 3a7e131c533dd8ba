/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_RECORD_H
#define NDBUF_BACKENDS_CPU_CPU_RECORD_H

/* Rows of records on the host. Where the processor has the kernel for it, bytes of several items are brought to their
 * places at once: those that stay as they are go right to the destination, while numbers that change are first brought
 * together, converted as a dense row in the first cache, and spread from there. Other processors, and numbers of items
 * that lie far apart, have lanes for dense items: of bytes that stay as they are, or of a few numbers of one size that
 * are converted before. What is left goes part by part. */

#include <stdbool.h>
#include <stdint.h>

#include "core/conversion.h"

#include "backends/cpu/cpu_collect.h"
#include "backends/cpu/cpu_convert.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_strided.h"

#define CPU_RECORD_PARTS 16 /* at once */
/* A row of numbers has room for a whole last step, and a vector. */
#define CPU_RECORD_SLACK_NBYTES ((int64_t)CPU_CONVERT_STEP_MAX * CPU_CONVERT_ITEM_MAX + CPU_VECTOR_MAX)

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
    bool is_packed;          /* the source is, in a buffer that goes on for a vector */
    int64_t src_end;         /* else behind which nothing is read, from the first item on */
    int64_t nitems;          /* that go together */
    int64_t prefetch_nbytes; /* how far from where it is read the source is prefetched; 0: not */
    int64_t lane_items;      /* of a block that lanes put together; 0: they do not */
    int64_t lane_pitch;      /* between the streams of their numbers, in room; 0: they take bytes of the source */
    int64_t lane_streams;    /* that share what is prefetched of the source; 0: nothing is */
    cpu_lane_blocks_fn lane_blocks;
    cpu_lane_block lanes;
    int32_t ngathers;      /* collects, from the first one on, whose numbers are converted then */
    cpu_collects collects; /* none: no part is collected */
} cpu_record;

/* The elements of a part. */
typedef struct cpu_element_walk {
    int64_t index[NDBUF__MAX_AXES];
    int64_t dst; /* from the start of the item */
    int64_t src;
} cpu_element_walk;

static inline void cpu_element_walk_init(cpu_element_walk *walk, const ndbuf__conversion_part *what)
{
    walk->dst = what->dst_offset;
    walk->src = what->src_offset;
    for (int32_t k = 0; k < what->ndim; k++) {
        walk->index[k] = 0;
    }
}

/* The next element along the first `naxes` axes; false: it was the last one. */
static inline bool cpu_element_walk_next(cpu_element_walk *walk, const ndbuf__conversion_part *what, int32_t naxes)
{
    for (int32_t k = naxes - 1; k >= 0; k--) {
        walk->dst += what->dst_strides[k];
        walk->src += what->src_strides[k];
        if (++walk->index[k] < what->shape[k]) {
            return true;
        }
        walk->dst -= what->dst_strides[k] * what->shape[k];
        walk->src -= what->src_strides[k] * what->shape[k];
        walk->index[k] = 0;
    }
    return false;
}

/* Takes up to CPU_RECORD_PARTS parts of a conversion, from `first` on. False: one of them asks for a conversion that
 * does not exist. */
bool ndbuf_cpu__record_init(cpu_record *out_record, const ndbuf__conversion *conversion, int32_t first,
                            const ndbuf__convert *sizes, const cpu_kernels *kernels);

/* Prepares it for rows along the last axis, of a copy that is large or not; whether they are packed first. */
void ndbuf_cpu__record_place(cpu_record *record, const ndbuf__copy_axes *axes, bool is_packed, bool is_large);

/* Where the source ends whose first item is at src, for ndbuf_cpu__record_row. */
static inline const char *cpu_record_end(const cpu_record *record, const char *src)
{
    return record->is_packed ? NULL : src + record->src_end;
}

/* Whether lanes may put its items together of streams of numbers, whose short rows go together. */
bool ndbuf_cpu__record_has_streams(const cpu_record *record);

/* Finds the lanes for rows of up to `most` items, of which there are `nitems` in all. */
void ndbuf_cpu__record_find_lanes(cpu_record *record, int64_t most, int64_t nitems);

/* Whether rows of `count` items that are one behind the other in the destination go together. */
static inline bool cpu_record_joins_rows(const cpu_record *record, int64_t count)
{
    return record->lane_items > 0 && record->lane_pitch != 0 && count <= record->nitems / 2;
}

/* Converts such rows, in the default floating-point mode; row_stride is from one to the next one in the source. */
void ndbuf_cpu__record_rows(const cpu_record *record, char *dst, const char *src, int64_t count, int64_t nrows,
                            int64_t row_stride);

/* Converts a row of items, in the default floating-point mode. Nothing is read behind src_end; NULL: anything may be.
 */
void ndbuf_cpu__record_row(const cpu_record *record, char *dst, const char *src, int64_t count, const char *src_end);

#endif
