/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_CONVERT_PLAN_H
#define NDBUF_BACKENDS_CPU_CPU_CONVERT_PLAN_H

/* A box is converted in blocks, parts of it that stay in the first cache. Dense rows go from register to register, if
 * they are long or vectors take a step of them (those within a line of a cache only where both sides have gaps). So do
 * long rows of each second number of 4 bytes (not past the caches), and of numbers of 8 bytes that lie apart in the
 * source (past the caches: not too far, and upwards; across the source only pairs, where its lines share sets of the
 * first cache). Numbers far apart in the destination, and without masked stores in any gaps, are taken one by one, if
 * that is quick, short rows across the source by columns. Otherwise a block of the source is brought together in the
 * order of the destination by a plain copy, its elements are converted, and where the destination has no long rows,
 * another plain copy spreads them. So memory is passed once. Transposes to shorter numbers are the other way round: a
 * small dense source is converted as it lies, then spread; others, but of few lines, are copies, whose lines are
 * converted before they are turned. Records take any strides along a row, and are converted where they are, short rows
 * together where that can be; unless rows across the source are so short that it is better transposed. */

#include <stddef.h>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_convert.h"
#include "backends/cpu/cpu_plan.h"
#include "backends/cpu/cpu_record.h"

/* Of the buffers for a block, which stay in the caches of a core. */
#define CPU_CONVERT_BLOCK_NBYTES ((int64_t)64 << 10)

/* Elements that take less time one by one than a plan for them. */
#define CPU_CONVERT_WALKED 192

typedef struct cpu_convert_plan {
    const cpu_convert_box *box;
    const cpu_kernels *kernels;
    cpu_row_converter converter;
    const cpu_record *record; /* whose sizes `converter` has then; NULL: elements are converted */
    bool at_once;             /* rows where they are, by the calling thread: there are no blocks */
    bool streams;
    bool packs;   /* a block of the source is brought together first */
    bool spreads; /* a converted block is spread afterwards */
    bool gathers; /* a block is one row that is brought together, and converted, in pieces */
    bool repeats; /* and each of its elements repeated: axes of stride 0 in the source have one index in a block */
    bool apart;   /* rows are converted from where their elements lie, */
    int64_t gap;  /* in pairs: as for a cpu_convert_apart_fn */
    int64_t stride;
    bool walks;          /* elements are taken one by one, wherever they lie, */
    bool by_columns;     /* along the axis before the last one, */
    bool walks_together; /* or are converted by vectors */
    int32_t run_axis;    /* from here on axes are a row: dense in the destination, and in the source as it is read,
                          * but where elements are walked or lie apart */
    int64_t src_lowest;  /* of a box that is converted as it lies: its first byte, from where it is read */
    int64_t nelements;   /* in a whole block */
    int64_t block[NDBUF__MAX_AXES];
    int64_t nblocks[NDBUF__MAX_AXES];
    int64_t ntasks;                /* blocks in all */
    int64_t nbytes;                /* that are moved, as of a plain copy */
    ndbuf_cpu__tuning pack_tuning; /* of the copies within a block: nothing is large */
    ndbuf_cpu__tuning spread_tuning;
    cpu_plan pack; /* of whole blocks; these two come last */
    cpu_plan spread;
} cpu_convert_plan;

/* The bytes of a plan that are used: copies within blocks may be missing. */
static inline size_t cpu_convert_plan_nbytes(const cpu_convert_plan *plan)
{
    const bool packs = !plan->at_once && plan->packs;
    const bool spreads = !plan->at_once && plan->spreads;
    return spreads ? sizeof(*plan) : packs ? offsetof(cpu_convert_plan, spread) : offsetof(cpu_convert_plan, pack);
}

/* Whether the engine that copies takes it as it is: the bits of each number are kept, but for their order, or it is a
 * transpose to shorter numbers, whose lines are converted before they are turned. Sets the copy that this is, with or
 * without the converter. */
bool ndbuf_cpu__copies_numbers(const cpu_convert_box *convert, cpu_box *out_box, cpu_row_converter *out_converter);

/* Plans another conversion, whose box the plan keeps a pointer to. False: it is one element, or repeats what is little,
 * and goes by plain copies, above all. */
bool ndbuf_cpu__plan_conversion(cpu_convert_plan *plan, const cpu_convert_box *convert);

/* The same for records of up to CPU_RECORD_PARTS parts. The box that is filled in, the axes and the conversion are read
 * by the plan. */
bool ndbuf_cpu__plan_records(cpu_convert_plan *plan, cpu_record *record, cpu_convert_box *convert,
                             const ndbuf__copy_axes *axes, const ndbuf__conversion *conversion);

/* Fills a plan whose box, kernels, converter, record and bytes are set: blocks, and the copies within them. */
void ndbuf_cpu__plan_parts(cpu_convert_plan *plan);

/* Runs a plan, divided between threads, at other addresses than the box's, perhaps. One without blocks says how rows
 * are converted (`record`, `apart`, `walks`), and where they begin. */
void ndbuf_cpu__run_conversion(const cpu_convert_plan *plan, char *dst, const char *src);

/* Whether the last axis is dense on both sides, and long enough to be converted where it is. */
bool ndbuf_cpu__has_direct_rows(const cpu_convert_plan *plan);

/* Whether there are rows of the destination whose elements can be taken from where they lie apart; says where.
 * `takes_short`: also rows that take longer than a plan's copies, but less than to make one. */
bool ndbuf_cpu__find_apart_rows(cpu_convert_plan *plan, bool takes_short);

/* Whether rows are taken one number, or pair, after the other; sets the run axis. Those of a destination with so wide
 * gaps that a copy that spreads numbers would write them one by one as well, unless they are many, and the source is
 * faster along another axis; narrower gaps will do where the source has some, too. Instruction sets without masked
 * stores spread all numbers so: any gaps will do, up to a size also across the source, and wide ones of the source.
 * Short rows across the source are then taken by columns, which sets `by_columns`. */
bool ndbuf_cpu__walks_rows(cpu_convert_plan *plan);

/* Whether rows of so many bytes, which lie along the first `naxes` axes from dst on, are worth being written past the
 * caches. */
bool ndbuf_cpu__pays_to_stream(const cpu_box *box, const char *dst, int32_t naxes, int64_t nbytes);

/* Whether a box becomes shorter numbers, and its source is one dense piece, in any order of its axes, that fits a
 * block: it is converted as it lies, and what is left of it is turned. Not so pairs of numbers, unless their lines
 * share few sets of the first cache. */
bool ndbuf_cpu__converts_whole(const cpu_box *box, int64_t dst_nbytes, int64_t src_nbytes);

/* The axis along which the source is fastest, the last one being it when in doubt; repeated ones do not count. -1:
 * there is none. */
int32_t ndbuf_cpu__fastest_src_axis(const cpu_box *box);

/* Whether the source is fastest along the last axis. */
bool ndbuf_cpu__follows_last_axis(const cpu_box *box);

/* Whether blocks of records are transposed before they are converted. */
bool ndbuf_cpu__packs_records(const cpu_box *box, const cpu_record *record);

/* Fills what is said of blocks, from `packs` to `ntasks`. */
void ndbuf_cpu__plan_blocks(cpu_convert_plan *plan);

#endif
