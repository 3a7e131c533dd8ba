/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_CONVERSIONS_H
#define NDBUF_BACKENDS_CPU_CPU_CONVERSIONS_H

/* Conversions of dense numbers by vectors, a table for each instruction set that has them. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/backend.h"

/* Converts `nlines` lines of `count` numbers, a step at least: they begin at src + src_offsets[i], and become the lines
 * at dst + i * dst_stride. Where a side has its bytes in the other order, its `swap` is the size of a number, else 1.
 * With `streams` it writes past the caches: then each line has whole steps, and begins with a line of the caches. */
typedef void (*cpu_convert_fn)(char *dst, int64_t dst_stride, const char *src, const int64_t *src_offsets,
                               int64_t nlines, int64_t count, int32_t dst_swap, int32_t src_swap, bool streams);

/* The same for whole steps of one line of numbers that lie apart in the source, in pairs: each second one `gap` bytes
 * behind the first one, and the pairs `stride` bytes from each other. */
typedef void (*cpu_convert_apart_fn)(char *dst, const char *src, int64_t gap, int64_t stride, int64_t nsteps,
                                     int32_t dst_swap, int32_t src_swap);

/* The same of numbers of which each is the first or, with `is_second`, the second half of CPU_APART_NBYTES, all of
 * which are read; both sides are in the native order. */
typedef void (*cpu_convert_halves_fn)(char *dst, const char *src, bool is_second, int64_t nsteps);

typedef struct cpu_conversion {
    cpu_convert_fn dense;         /* NULL: there is none */
    cpu_convert_apart_fn apart;   /* of numbers of CPU_APART_NBYTES; NULL for all others */
    cpu_convert_halves_fn halves; /* of half as many; NULL for all others */
} cpu_conversion;

#define CPU_APART_NBYTES 8
#define CPU_CONVERT_STEP_MAX 16 /* numbers */
#define CPU_CONVERT_ITEM_MAX 16 /* bytes of a number, with its imaginary part */
#define CPU_NUMBERS (NDBUF_NUMBER_LONG_DOUBLE + 1)

/* By the ndbuf_number of the destination, then of the source. Where the sign of the destination makes no difference,
 * the signed one has it. `pairs` become complex numbers of such floats, their imaginary parts 0; `saturated` has those
 * alone where bounds count; `truths`, by the source, are those of complex numbers of such floats to BOOL. */
typedef struct cpu_conversions {
    int32_t step;
    cpu_conversion plain[CPU_NUMBERS][CPU_NUMBERS];
    cpu_conversion pairs[CPU_NUMBERS][CPU_NUMBERS];
    cpu_conversion saturated[CPU_NUMBERS][CPU_NUMBERS];
    cpu_conversion truths[CPU_NUMBERS];
} cpu_conversions;

#if defined(__x86_64__)
extern const cpu_conversions ndbuf_cpu__conversions_avx2;
extern const cpu_conversions ndbuf_cpu__conversions_avx512;
#endif

/* The places of 16 bytes with each 1, 2, 4 or 8 reversed: by that number. */
extern const uint8_t ndbuf_cpu__swap_orders[9][16];

#endif
