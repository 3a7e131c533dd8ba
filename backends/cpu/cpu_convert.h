/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_CONVERT_H
#define NDBUF_BACKENDS_CPU_CPU_CONVERT_H

/* Conversion of dense rows on the host: by the vectors of an instruction set, else by plain C. */

#include <stdbool.h>
#include <stdint.h>

#include "ndbuf/backend.h"

#include "core/copy_axes.h"

#include "backends/cpu/cpu_conversions.h"
#include "backends/cpu/cpu_kernels.h"
#include "backends/kernels/convert_host.h"

typedef struct cpu_row_converter {
    ndbuf__converter scalar;
    cpu_convert_fn by_steps;      /* NULL: there are no vectors for these numbers */
    cpu_convert_apart_fn apart;   /* NULL: nor for those that lie apart */
    cpu_convert_halves_fn halves; /* NULL: nor for those that are halves of what is read, or one side is swapped */
    int32_t step;
    int32_t dst_nbytes; /* of an element */
    int32_t src_nbytes;
    int32_t dst_swap; /* as cpu_convert_fn takes them */
    int32_t src_swap;
} cpu_row_converter;

/* Whether an ndbuf_number is one, and not BOOL. */
bool ndbuf_cpu__is_integer(int32_t number);

/* Adds the vectors there are to a converter of these elements. */
void ndbuf_cpu__row_converter_init(cpu_row_converter *out_converter, const ndbuf__converter *scalar,
                                   const ndbuf_element *dst, const ndbuf_element *src, uint32_t flags,
                                   const cpu_kernels *kernels);

/* Converts `count` numbers of one line, a step at least, for `by_steps` that is there. */
static inline void cpu_convert_steps(const cpu_row_converter *converter, char *dst, const char *src, int64_t count,
                                     bool streams)
{
    const int64_t no_offset = 0;
    converter->by_steps(dst, 0, src, &no_offset, 1, count, converter->dst_swap, converter->src_swap, streams);
}

/* Converts `count` dense elements of each line, in the default floating-point mode, for `by_steps` that is there: line
 * i begins at src + src_offsets[i], and becomes the one at dst + i * dst_stride. */
void ndbuf_cpu__convert_lines(const cpu_row_converter *converter, char *dst, int64_t dst_stride, const char *src,
                              const int64_t *src_offsets, int64_t nlines, int64_t count);

/* Converts `count` dense elements, in the default floating-point mode. */
void ndbuf_cpu__convert_row(const cpu_row_converter *converter, char *dst, const char *src, int64_t count);

/* The same for rows of them. */
void ndbuf_cpu__convert_rows(const cpu_row_converter *converter, char *dst, int64_t dst_stride, const char *src,
                             int64_t src_stride, int64_t nrows, int64_t count);

/* Whether vectors take rows of numbers, or of pairs of them, that lie so many bytes apart from where they are. */
static inline bool cpu_converts_apart(const cpu_row_converter *converter, int64_t stride, bool are_pairs)
{
    return (converter->apart != NULL && stride != 0) ||
           (converter->halves != NULL && !are_pairs && stride == CPU_APART_NBYTES);
}

/* Converts `count` elements that lie apart, as for a cpu_convert_apart_fn; cpu_converts_apart has said that it can. */
void ndbuf_cpu__convert_row_apart(const cpu_row_converter *converter, char *dst, const char *src, int64_t gap,
                                  int64_t stride, int64_t count);

/* Converts dense elements past the caches, where ndbuf_cpu__streams_row says that it can; cpu_kernels' stream_end comes
 * behind. */
bool ndbuf_cpu__streams_row(const cpu_row_converter *converter, const char *dst);
void ndbuf_cpu__convert_row_streamed(const cpu_row_converter *converter, char *dst, const char *src, int64_t count);

/* How far ahead of where it is read the source of a large conversion is prefetched. */
#define CPU_CONVERT_AHEAD_NBYTES 8192
/* Where that pays for items that lie apart: how far at most, and the row that is worth it. */
#define CPU_CONVERT_AHEAD_STEP ((int64_t)2 * CPU_LINE_NBYTES)
#define CPU_CONVERT_AHEAD_ROW_NBYTES ((int64_t)2 * CPU_CONVERT_AHEAD_NBYTES)

/* Whether `count` items that lie `stride` bytes apart are such a row. */
static inline bool cpu_pays_to_prefetch_apart(int64_t stride, int64_t count)
{
    const int64_t step = ndbuf__stride_magnitude(stride);
    return step <= CPU_CONVERT_AHEAD_STEP && step * count >= CPU_CONVERT_AHEAD_ROW_NBYTES;
}

/* Fetches the lines of so many of them, in their order. */
static inline void cpu_prefetch_apart(const char *src, int64_t stride, int64_t count)
{
    const int64_t step = ndbuf__stride_magnitude(stride);
    const int64_t pitch = step > CPU_LINE_NBYTES ? step : CPU_LINE_NBYTES;
    for (int64_t done = 0; done < count * step; done += pitch) {
        __builtin_prefetch(stride < 0 ? src - done : src + done);
    }
}

#endif
