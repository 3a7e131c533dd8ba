/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_PLAN_H
#define NDBUF_BACKENDS_CPU_CPU_PLAN_H

/* How the host engine copies a box: which kernel, along which axes, in what pieces. Making a plan is arithmetic alone:
 * the box's addresses are looked at for their alignment only, and no memory behind them. */

#include <stdbool.h>
#include <stddef.h>

#include "core/copy_axes.h"

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/cpu_convert.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_strided.h"
#include "backends/cpu/cpu_tuning.h"

/* What is done along the row axis; the loops walk around it. */
typedef enum cpu_plan_kind {
    CPU_PLAN_BYTES = 1,     /* contiguous bytes: the row axis counts them */
    CPU_PLAN_ROWS = 2,      /* contiguous units, each too long for a vector's lane */
    CPU_PLAN_GATHER = 3,    /* a dense destination, units or groups of them picked from the source by shuffles */
    CPU_PLAN_SCATTER = 4,   /* a dense source, spread over the destination by shuffles */
    CPU_PLAN_WEAVE = 5,     /* up to four dense sources to one dense destination in turn, or the reverse */
    CPU_PLAN_REPEAT = 6,    /* one unit to a dense destination */
    CPU_PLAN_STRIDED = 7,   /* scalar; with a second axis, in tiles, or rows of one task */
    CPU_PLAN_TRANSPOSE = 8, /* both sides dense, each along axes of its own */
    CPU_PLAN_BLOCKS = 9,    /* the inner axes of both sides are held by few vectors: the row axis counts such blocks */
} cpu_plan_kind;

typedef struct cpu_axis {
    int64_t extent;
    int64_t dst_stride;
    int64_t src_stride;
} cpu_axis;

/* Bytes of the destination in one task: small enough to be divided between threads. */
#define CPU_PLAN_TASK_NBYTES ((int64_t)64 << 10)

/* Lines share cache sets if each one falls into the same sets as the one so many lines before it. */
#define CPU_SET_SHARERS 2

/* Of the offsets of a transpose's tile, in each direction. */
#define CPU_PLAN_MAX_LINES 1152
#define CPU_PLAN_MAX_ROWS 1536
#define CPU_PLAN_MAX_STAGE_NBYTES (64 * 1024)
#define CPU_PLAN_MAX_STAGED_ROWS 256
#define CPU_PLAN_MAX_PANEL_NBYTES 512
#define CPU_PLAN_MAX_SENT_NBYTES 512

/* A plan for a transpose. A tile is made of lines that are dense in the source, and of rows that are dense in the
 * destination. Several axes may be chained into either, so that also a nest of tiny axes has long ones; the outermost
 * axis of each chain is the plan's row (of lines) or column axis, taken in pieces. */
typedef struct cpu_transpose {
    int64_t lines_per_index; /* lines at each index of the row axis: the other axes of the chain */
    int64_t rows_per_index;  /* rows at each index of the column axis */
    int64_t line_stride;     /* bytes from unit to unit of a line; the unit's size unless there are gaps, or others */
    int64_t line_reach;    /* bytes of a line that are read where `shuffle` brings its units together; 0: it does not */
    int64_t strip_rows;    /* rows that are turned together */
    int64_t pass_rows;     /* as usual: those of a strip that are written side by side */
    int64_t stage_pitch;   /* bytes from row to row of the stage; 0: rows go to the destination at once */
    int64_t panels_sent;   /* past the caches: row pieces after which whole lines leave the stage */
    cpu_prefetch prefetch; /* its nbytes: from each line to the next strip of it; 0: not, or to the next tile */
    bool fetches_beyond;   /* what lies behind the lines, too, which is read next */
    int64_t dst_alignment; /* of the box's address within a cache line */
    bool paced;            /* past the caches: tiles leave while the next ones are made; `stage_pitch` is of each */
    bool packs_lines;      /* units of lines with gaps are first brought together, those of others converted */
    cpu_slots slots;       /* of units that `transpose_odd` takes */
    int64_t src_offsets[CPU_PLAN_MAX_LINES];
    int64_t dst_offsets[CPU_PLAN_MAX_ROWS];
} cpu_transpose;

typedef struct cpu_plan {
    cpu_plan_kind kind;
    bool streams;            /* past the caches */
    bool whole_lines;        /* ROWS: each starts and ends with a cache line of the destination */
    int64_t stream_ways;     /* pieces side by side, past the caches */
    int64_t prefetch_nbytes; /* how far from where it is read the source is prefetched; 0: not */
    int64_t unit_nbytes;
    int32_t swap_nbytes; /* as in cpu_box */
    bool converts;       /* TRANSPOSE: lines are packed by `converter` */
    cpu_row_converter converter;
    int64_t nbytes;
    int64_t dst_offset; /* where axes were turned round: of the first unit, from the box's address */
    int64_t src_offset;
    int32_t nloops;
    cpu_axis loops[NDBUF__MAX_AXES]; /* outermost first */
    cpu_axis row;
    int64_t row_piece; /* indices of the row axis in one task */
    cpu_axis column;   /* walked with it in each task; extent 1: none */
    int64_t column_piece;
    int64_t ntasks;                 /* pieces in all loops together, row pieces fastest */
    cpu_row_fn row_fn;              /* TRANSPOSE: as they are, to bring lines with gaps together */
    int64_t group_units;            /* GATHER: dense units of the destination at each index of the row axis */
    int64_t group_stride;           /* between them in the source */
    int64_t shuffle_reach;          /* bytes of the source that a step reads, from in_offsets[0] on */
    cpu_shuffle shuffle;            /* GATHER, SCATTER, WEAVE; TRANSPOSE, of lines with gaps */
    bool has_end;                   /* of a GATHER, and of such lines: */
    cpu_shuffle end;                /* a step that reads nothing but from its first to its last unit */
    int64_t block_nbytes;           /* BLOCKS: of its units, without gaps */
    int64_t last_dst_back;          /* a last block ends with the row: so many bytes before the next block's place */
    int64_t last_src_back;          /* both 0: there is none */
    cpu_lane_blocks_fn lane_blocks; /* NULL: they are arranged */
    union {
        ndbuf__arrangement arrangement;
        cpu_lane_block lanes;
    } block;
    cpu_transpose transpose;
} cpu_plan;

/* Plans the copy of a box with ndim > 0 by these kernels. */
void ndbuf_cpu__plan_make(cpu_plan *out_plan, const cpu_box *box, const cpu_kernels *kernels,
                          const ndbuf_cpu__tuning *tuning);

/* Fills the shuffle of a GATHER; false: its window is too wide. */
bool ndbuf_cpu__shuffle_gather(cpu_plan *plan, int32_t vector_nbytes, int32_t swap_nbytes);

/* Fills the shuffle of a SCATTER; false: its window is too wide. */
bool ndbuf_cpu__shuffle_scatter(cpu_plan *plan, int32_t vector_nbytes, int64_t dst_stride);

/* Fills the shuffle of a WEAVE: `streams` counts those of the side that has several; to_one: that is the source. */
void ndbuf_cpu__shuffle_weave(cpu_plan *plan, int32_t vector_nbytes, const cpu_axis *streams, bool to_one);

/* Vectors of an arrangement that hold so many bytes. */
static inline int32_t cpu_arranged_vectors(int64_t nbytes)
{
    return (int32_t)((nbytes + NDBUF__ARRANGED_NBYTES - 1) / NDBUF__ARRANGED_NBYTES);
}

/* Arranges all units of some axes; false: they are too far apart. */
bool ndbuf_cpu__arrange(ndbuf__arrangement *how, const ndbuf__copy_axes *axes, int32_t swap_nbytes);

/* The same, if it leaves no gaps in the destination, by vectors of so many bytes; the spans are what it writes and
 * reads. False: as for the next one. */
bool ndbuf_cpu__arrange_lanes(cpu_lane_block *out_block, const ndbuf__arrangement *how, int64_t dst_span,
                              int64_t src_span, int32_t vector_nbytes);

/* Makes a block of which byte x comes from byte sources[x] of those read; offsets are 0. False: there are too few bytes
 * for that, or too many, or they come from too many places. */
bool ndbuf_cpu__lane_block(cpu_lane_block *out_block, const uint8_t *sources, int64_t dst_span, int64_t src_span,
                           int32_t vector_nbytes);

/* Makes it a plan of BLOCKS, if that is the faster way to copy the box. */
void ndbuf_cpu__plan_arrange(cpu_plan *plan, const cpu_box *box, const cpu_kernels *kernels);

/* Fills the slots of a TRANSPOSE by `transpose_odd`. */
void ndbuf_cpu__shuffle_slots(cpu_plan *plan, int32_t vector_nbytes);

/* Runs tasks first .. last - 1 of a plan. A GATHER prefetches what lies from `next` on as from src; NULL: what the plan
 * says. */
void ndbuf_cpu__plan_run(const cpu_plan *plan, const cpu_kernels *kernels, const ndbuf_cpu__tuning *tuning, char *dst,
                         const char *src, int64_t first, int64_t last, const char *next);

#endif
