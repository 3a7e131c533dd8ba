/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_KERNELS_H
#define NDBUF_BACKENDS_CPU_CPU_KERNELS_H

/* The inner loops of the host engine. There is one table of them for each instruction set; all tables move the same
 * bytes. A kernel reads whole vectors, also the gaps between units, but never outside of the first and the last byte
 * that it is to copy; it writes nothing but the units.
 *
 * Where they take `swap_nbytes`, the bytes of each 2, 4 or 8 bytes of a unit are reversed on the way; 0: not. In a
 * shuffle that is just another index table. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "core/host_rows.h"
#include "core/host_steps.h"

#define CPU_LINE_NBYTES 64
#define CPU_SHUFFLE_MAX 4
#define CPU_VECTOR_MAX 64
#define CPU_LANE_NBYTES 16

/* Transposes take the blocks of lines from this length on along diagonals. */
#define CPU_DIAGONAL_NBYTES 256

/* One step reads `nin` vectors and writes `nout`; output j is put together from bytes of the inputs:
 * out[j][x] = in[i][index[j][i][x]], where that is not CPU_SHUFFLE_NONE. */
#define CPU_SHUFFLE_NONE 0x80
typedef struct cpu_shuffle {
    int32_t nin;
    int32_t nout;
    int32_t units_per_step;              /* of each output stream for gathers, of each stream for weaves */
    int64_t in_offsets[CPU_SHUFFLE_MAX]; /* of the vectors, from the place of the step in the source */
    int64_t out_offsets[CPU_SHUFFLE_MAX];
    int64_t in_step;
    int64_t out_step;
    uint8_t index[CPU_SHUFFLE_MAX][CPU_SHUFFLE_MAX][CPU_VECTOR_MAX];
} cpu_shuffle;

/* Vectors that are put together from bytes of others, in streams of items: byte x comes from byte index[x] of an input,
 * where that is not CPU_SHUFFLE_NONE. No byte is written but those that are named. */
typedef struct cpu_collect_input {
    int32_t stream;
    int64_t offset; /* of the vector that belongs to item 0 */
    int64_t item_step;
    uint64_t reads; /* a bit for each byte */
    uint8_t index[CPU_VECTOR_MAX];
} cpu_collect_input;

typedef struct cpu_collect {
    int32_t nin;
    int32_t nitems; /* in each vector */
    int32_t stream;
    int64_t offset;
    int64_t item_step;
    int64_t exact_head; /* so many steps at the beginning and at the end are to be exact */
    int64_t exact_tail;
    uint64_t writes;
    cpu_collect_input in[CPU_SHUFFLE_MAX];
} cpu_collect;

/* A block without gaps in the destination, put together from windows of CPU_LANE_NBYTES of the source. Each lane of
 * vector j sees the same `nin` windows: byte x is byte index[j][i][x] of the window i that has it, and CPU_SHUFFLE_NONE
 * for the others. Vectors and windows may overlap. */
#define CPU_LANE_BLOCK_NBYTES 128 /* at most */
#define CPU_LANE_WINDOWS 8        /* of a vector, at most */
#define CPU_SHARED_NBYTES 64      /* of a block whose vectors share their windows, and of these, at most */
typedef struct cpu_lane_block {
    int32_t nout;
    int32_t nin;
    bool is_shared;     /* all vectors have the windows of the first */
    int64_t src_offset; /* of the first byte that is read, from the first unit */
    int64_t dst_offset;
    int64_t src_nbytes; /* from the first to the last byte that is read */
    int32_t out_offsets[CPU_LANE_BLOCK_NBYTES / CPU_LANE_NBYTES];
    int32_t in_offsets[CPU_LANE_BLOCK_NBYTES / CPU_LANE_NBYTES][CPU_LANE_WINDOWS];
    uint8_t index[CPU_LANE_BLOCK_NBYTES * CPU_LANE_WINDOWS]; /* CPU_LANE_WINDOWS vectors for each j */
} cpu_lane_block;

/* `count` blocks, whose source is prefetched `prefetch_nbytes` ahead; 0: not. */
typedef void (*cpu_lane_blocks_fn)(const cpu_lane_block *block, char *dst, int64_t dst_step, const char *src,
                                   int64_t src_step, int64_t count, int64_t prefetch_nbytes);

/* What is prefetched beside a transpose. */
typedef struct cpu_prefetch {
    int64_t nbytes; /* from each line, before or behind it; 0: nothing is */
    bool is_far;    /* into the second cache, not the first */
    bool rows;      /* what each row is written on into, which is not in the first cache */
} cpu_prefetch;

/* Turns lines of the source into columns of the destination: unit b of line a goes to place a of row b, that is from
 * src + src_offsets[a] + b * unit to dst + dst_offsets[b] + a * unit, for all a < nlines, b < nrows. Both counts are at
 * least a block's side. prefetch NULL: nothing is. */
typedef void (*cpu_transpose_fn)(char *dst, const int64_t *dst_offsets, const char *src, const int64_t *src_offsets,
                                 int64_t nlines, int64_t nrows, const cpu_prefetch *prefetch, int32_t swap_nbytes);

/* The same to aligned lines of dst, of whole ones, and of rows that make CPU_LANE_NBYTES of each line of src, or
 * several times as much. */
typedef void (*cpu_stream_transpose_fn)(char *dst, const int64_t *dst_offsets, const char *src,
                                        const int64_t *src_offsets, int64_t nlines, int64_t nrows,
                                        cpu_prefetch prefetch, int32_t swap_nbytes);

/* A second copy beside the first one, a line of each in turn: two streams come faster from memory than one. It is of
 * the same form, at these distances from the first; both 0: there is none. */
typedef struct cpu_twin {
    int64_t dst;
    int64_t src;
} cpu_twin;

/* What goes on beside a transpose into the stage, as many cache lines of each as it reads: the next tile's lines are
 * prefetched, and the rows of the tile before, staged elsewhere, leave past the caches. */
typedef struct cpu_pace {
    const char *ahead; /* the next tile, whose lines lie as this one's; NULL: nothing is prefetched */
    int64_t ahead_nlines;
    int64_t ahead_nbytes; /* of each */
    bool ahead_is_far;    /* as in cpu_prefetch */
    const char *staged;   /* the first row of the tile before */
    int64_t staged_pitch;
    int64_t staged_nrows;  /* 0: nothing leaves */
    int64_t staged_nbytes; /* of each: whole cache lines */
    char *dst;             /* aligned, as are the offsets, where the rows go */
    const int64_t *dst_offsets;
} cpu_pace;

/* As cpu_transpose_fn, for whole blocks. When it returns, the rows of the tile before have left. */
typedef void (*cpu_paced_fn)(char *stage, const int64_t *stage_offsets, const char *src, const int64_t *src_offsets,
                             int64_t nlines, int64_t nrows, const cpu_pace *pace, int32_t swap_nbytes);

#define CPU_TRANSPOSE_SIZES 5 /* units of 1, 2, 4, 8 and 16 bytes */

/* The place of a unit's kernels in the tables; -1: it is of none of these sizes. */
static inline int cpu_size_index(int64_t unit_nbytes)
{
    switch (unit_nbytes) {
    case 1:
        return 0;
    case 2:
        return 1;
    case 4:
        return 2;
    case 8:
        return 3;
    case 16:
        return 4;
    default:
        return -1;
    }
}

/* How units of a size that has no kernel of its own take part in those of a larger one: each gets a slot of 4, 8 or 16
 * bytes in a vector. Where bytes are shuffled across all of a vector, that is for its units as they lie. Where they are
 * not, each lane has its own, which cannot be read alone: so the first of two lanes begins with them, and the second
 * one ends with them, and written as two halves of 8 bytes, one from their begin and one up to their end, which
 * overlap; and a single lane is both read and written so. */
typedef struct cpu_slots {
    int64_t unit_nbytes;
    int64_t slot_nbytes;
    int64_t nbytes;                 /* of as many units as there are slots */
    uint8_t spread[CPU_VECTOR_MAX]; /* for each byte of the slots, which one of those read it is */
    uint8_t close[CPU_VECTOR_MAX];  /* for each byte written, which one of the slots */
} cpu_slots;

/* So many slots a vector has at least, or moving units one by one is as fast. */
#define CPU_SLOTS_MIN 4

typedef struct cpu_kernels cpu_kernels;
struct cpu_kernels {
    const char *name;
    const cpu_kernels *narrower; /* with smaller blocks, for this processor too; NULL: these are the portable ones */
    int32_t shuffle_nbytes;      /* of a vector of `shuffle`, 16 or 64; 0: there is none */
    int32_t block_side[CPU_TRANSPOSE_SIZES]; /* lines and rows that `transpose` takes at least */
    cpu_transpose_fn transpose[CPU_TRANSPOSE_SIZES];
    /* The same for units of up to 15 bytes that are none of these sizes, in blocks of cpu_block_side. NULL: there is
     * none. */
    void (*transpose_odd)(const cpu_slots *slots, char *dst, const int64_t *dst_offsets, const char *src,
                          const int64_t *src_offsets, int64_t nlines, int64_t nrows, const cpu_prefetch *prefetch);
    /* Each input is prefetched `prefetch_nbytes` ahead; 0: not. */
    void (*shuffle)(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps, int64_t prefetch_nbytes);
    /* A shuffle with one output in each of `count` rows: `nsteps` steps, and one more so many bytes before the next;
     * src_back 0: not. It reads what it names, and is the end of a plan's (cpu_plan.h). */
    void (*gather_rows)(const cpu_shuffle *shuffle, char *dst, int64_t dst_stride, const char *src, int64_t src_stride,
                        int64_t count, int64_t nsteps, int64_t dst_back, int64_t src_back);
    /* A shuffle with one output from each of `count` lines, which begin at src + offsets[i], in as many steps as make a
     * cache line in dst. */
    void (*gather_lines)(const cpu_shuffle *shuffle, char *dst, const char *src, const int64_t *offsets, int64_t count);
    /* A shuffle of one input, all of whose outputs, one behind the other, leave bytes out: those keep what they have.
     * What lies `prefetch_nbytes` ahead of each is prefetched for writing; 0: not. NULL: there is none. */
    void (*scatter)(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps, int64_t prefetch_nbytes);
    /* The vectors of `count` items, which are at least those of one vector; the last vector may take some items once
     * more. Of the streams, those that are read are not written. Whole vectors are read, and what lies
     * `prefetch_nbytes` from each is prefetched (0: not), but for the first `head` and the last `tail` vectors, of
     * which but the named bytes are read. NULL: there is none. */
    void (*collect)(const cpu_collect *collect, char *const *streams, int64_t count, int64_t head, int64_t tail,
                    int64_t prefetch_nbytes);
    /* Contiguous bytes of small copies: move_nbytes to eight times as many; NDBUF_OK. NULL: there is none. */
    ndbuf_status (*move)(const ndbuf__host_steps *steps, char *dst, const char *src);
    int64_t move_nbytes;
    /* Runs the arrangement of small copies; NDBUF_OK. NULL: there is none. */
    ndbuf_status (*arrange)(const ndbuf__host_steps *steps, char *dst, const char *src);
    /* The same arrangement of `count` blocks, whose source is prefetched `prefetch_nbytes` ahead; 0: not. NULL: there
     * is none. */
    void (*arrange_blocks)(const ndbuf__arrangement *how, char *dst, int64_t dst_step, const char *src,
                           int64_t src_step, int64_t count, int64_t prefetch_nbytes);
    /* What tables without `arrange_blocks` have for blocks. NULL: there is none. */
    cpu_lane_blocks_fn lane_blocks;
    int32_t lanes_nbytes; /* of a vector of `lane_blocks` */
    /* `count` contiguous rows of `nbytes` > 0. What lies `prefetch_nbytes` from each, before or behind it, is
     * prefetched; 0: not. */
    void (*rows)(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count, int64_t nbytes,
                 int64_t prefetch_nbytes, int32_t swap_nbytes);
    /* `count` items that are all `item`, one behind the other. */
    void (*repeat)(char *dst, const char *item, int64_t item_nbytes, int64_t count);
    /* As `rows`, past the caches: rows of whole aligned lines of dst. NULL: there is none, nor are the next ones. */
    void (*stream)(char *dst, int64_t dst_stride, const char *src, int64_t src_stride, int64_t count, int64_t nbytes,
                   int64_t prefetch_nbytes, cpu_twin twin, int32_t swap_nbytes);
    /* Rows first .. last - 1, one by one: what makes whole lines of dst past the caches. What the row `ahead` rows
     * further on reads is prefetched, for the second cache. */
    void (*stream_pointed)(const ndbuf__host_rows *rows, int64_t first, int64_t last, int64_t ahead);
    /* A shuffle past the caches: each output goes to whole aligned lines of dst. With a twin it has one output. */
    void (*stream_shuffle)(const cpu_shuffle *shuffle, char *dst, const char *src, int64_t nsteps,
                           int64_t prefetch_nbytes, cpu_twin twin);
    /* Sends the whole lines of rows first .. first + count - 1 that are staged `pitch` bytes apart: row r begins in
     * `stage` where the line `lines[r]` of the destination begins, and ends `staged` bytes behind places[r], which
     * counts from `stage`. What is left moves to the row's front; lines and places follow. */
    void (*stream_staged)(char *stage, int64_t pitch, int64_t *places, char **lines, int64_t first, int64_t count,
                          int64_t staged);
    cpu_stream_transpose_fn stream_transpose[CPU_TRANSPOSE_SIZES]; /* NULL: there is none */
    cpu_paced_fn paced_transpose[CPU_TRANSPOSE_SIZES];             /* NULL: there is none */
    const struct cpu_conversions *conversions;                     /* NULL: there are none, but perhaps narrower ones */
    void (*stream_end)(void); /* after the last one of a thread: other threads see it */
};

static inline int64_t cpu_slot_nbytes(int64_t unit_nbytes)
{
    return unit_nbytes <= 4 ? 4 : unit_nbytes <= 8 ? 8 : 16;
}

/* The kernels with the smallest blocks that take units of such a size index by vectors; NULL: there are none. */
static inline const cpu_kernels *cpu_narrowest_kernels(const cpu_kernels *kernels, int size)
{
    const cpu_kernels *found = NULL;
    for (const cpu_kernels *k = kernels; size >= 0 && k != NULL; k = k->narrower) {
        found = k->block_side[size] > 1 ? k : found;
    }
    return found;
}

/* For reading, into the first cache or, far from the processor, the second. */
static inline void cpu_prefetch_line(const char *line, bool is_far)
{
    if (is_far) {
        __builtin_prefetch(line, 0, 2);
    } else {
        __builtin_prefetch(line, 0, 3);
    }
}

/* Of each of `count` lines of a source, for the second cache: they are needed soon, and the first one is busy. */
static inline void cpu_prefetch_lines(const char *src, const int64_t *offsets, int64_t count, int64_t nbytes)
{
    for (int64_t i = 0; i < count; i++) {
        for (int64_t at = 0; at < nbytes; at += CPU_LINE_NBYTES) {
            __builtin_prefetch(src + offsets[i] + at, 0, 2);
        }
    }
}

/* A store waits for a line that the first cache lacks, one that reaches into two lines for one after the other, and all
 * behind it wait, too. So where bytes are written on and on, the line that the next vector reaches into, which is as
 * long as a line at most, is fetched before this one is stored at `dst`. */
static inline void cpu_prefetch_next(const char *dst)
{
    __builtin_prefetch(dst + 2 * CPU_LINE_NBYTES - 1, 1, 3);
}

/* The best kernel by vectors that turns so few lines and rows; NULL: there is none. */
static inline cpu_transpose_fn cpu_transpose_for(const cpu_kernels *kernels, int size, int64_t nlines, int64_t nrows)
{
    while (size >= 0 && kernels != NULL && (nlines < kernels->block_side[size] || nrows < kernels->block_side[size])) {
        kernels = kernels->narrower;
    }
    return size >= 0 && kernels != NULL && kernels->block_side[size] > 1 ? kernels->transpose[size] : NULL;
}

/* Lines and rows that the kernel for these units takes at least. */
static inline int64_t cpu_block_side(const cpu_kernels *kernels, int64_t unit_nbytes)
{
    int size = cpu_size_index(unit_nbytes);
    if (size >= 0) {
        return kernels->block_side[size];
    }
    const int64_t nslots = unit_nbytes < 16 ? kernels->lanes_nbytes / cpu_slot_nbytes(unit_nbytes) : 1;
    return kernels->transpose_odd != NULL && nslots >= CPU_SLOTS_MIN ? nslots : 1;
}

extern const cpu_kernels ndbuf_cpu__kernels_portable;
#if defined(__x86_64__)
extern const cpu_kernels ndbuf_cpu__kernels_ssse3;
extern const cpu_kernels ndbuf_cpu__kernels_avx2;
extern const cpu_kernels ndbuf_cpu__kernels_avx512;
#elif defined(__aarch64__)
extern const cpu_kernels ndbuf_cpu__kernels_neon;
#endif

/* The best kernels that this processor runs, or those that the environment variable NDBUF_CPU_ISA names: "portable",
 * "ssse3", "avx2", "avx512", "neon". A name that it cannot run, or does not know, is passed over. */
const cpu_kernels *ndbuf_cpu__kernels_get(void);

/* Kernels by name; NULL: unknown, or not for this processor. */
const cpu_kernels *ndbuf_cpu__kernels_find(const char *name);

/* Chooses kernels for all copies from now on; NULL: the best again. Not while copies run. */
void ndbuf_cpu__kernels_set(const cpu_kernels *kernels);

/* `rep movsb`, which memcpy uses above so many bytes, takes some processors 20 times as long as vectors (Zen 3, with
 * glibc 2.36) where the destination is ahead of the source by so little, modulo the size of a page. */
#define CPU_SLOW_MOVE_MIN 2048
#define CPU_SLOW_MOVE_AHEAD 32
#define CPU_PAGE_NBYTES 4096

static inline bool cpu_moves_slowly(const char *dst, const char *src, int64_t nbytes)
{
    const uintptr_t ahead = ((uintptr_t)dst - (uintptr_t)src) % CPU_PAGE_NBYTES;
    return nbytes > CPU_SLOW_MOVE_MIN && ahead > 0 && ahead < CPU_SLOW_MOVE_AHEAD;
}

/* Contiguous bytes, written as usual. */
static inline void cpu_copy_bytes(char *dst, const char *src, int64_t nbytes, const cpu_kernels *kernels)
{
    if (cpu_moves_slowly(dst, src, nbytes)) {
        kernels->rows(dst, 0, src, 0, 1, nbytes, 0, 0);
    } else {
        memcpy(dst, src, (size_t)nbytes);
    }
}

#endif
