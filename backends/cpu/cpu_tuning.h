/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_TUNING_H
#define NDBUF_BACKENDS_CPU_CPU_TUNING_H

/* Every number that the host engine's decisions rest on. They change how fast a copy is, never what it does. */

#include <stdint.h>

typedef struct ndbuf_cpu__tuning {
    /* A copy of this many bytes and up no longer fits the caches: it writes past them (non-temporal stores). */
    int64_t stream_nbytes;
    /* How far ahead of a streamed copy its source is prefetched, bytes; 0: not. */
    int64_t stream_prefetch_nbytes;
    /* The same, but at least a row, where the source is rows with gaps between them. */
    int64_t row_prefetch_nbytes;
    /* How far ahead of a copy of that size the destination is prefetched where it takes only parts of lines. */
    int64_t scatter_prefetch_nbytes;
    /* How many pieces of a streamed copy are under way side by side, a line of each in turn: 1 or 2. */
    int64_t stream_ways;
    /* A contiguous copy that is not streamed goes by memcpy up to here, and above by "rep movsb" where the processor is
     * quick at it. */
    int64_t rep_movsb_nbytes;
    /* Copies up to this size take the path without a plan. */
    int64_t small_nbytes;
    /* Copies from this size on are split over threads, which get at least so much each. */
    int64_t thread_nbytes;
    int64_t thread_share_nbytes;
    /* Transposes: bytes of the source's lines read at once, and bytes of the destination's rows made at once, as usual
     * and when streaming. */
    int64_t strip_nbytes;
    int64_t strip_stream_nbytes;
    int64_t panel_stream_nbytes;
    int64_t panel_nbytes;
    /* Bytes of a row that leave together when streaming. */
    int64_t send_nbytes;
    /* At most so many lines, or rows, in these. */
    int64_t panel_lines;
    int64_t strip_rows;
    /* Rows of the destination in one tile, which keeps their pages known; when streaming, as many as the source's
     * lines have in so many bytes. */
    int64_t tile_rows;
    int64_t tile_stream_nbytes;
    int64_t tile_direct_nbytes; /* where rows are not staged */
    /* How far ahead on the same line, where lines share cache sets. */
    int64_t line_prefetch_nbytes;
    /* Transposes of copies from this size on prefetch the next strip of each line. */
    int64_t strip_prefetch_nbytes;
    /* Lines whose distance is a multiple of this share sets of the first cache. */
    int64_t conflict_nbytes;
} ndbuf_cpu__tuning;

/* The constants in use: for this machine's caches, unless they were set. */
const ndbuf_cpu__tuning *ndbuf_cpu__tuning_get(void);

/* Replaces them; NULL: back to those for this machine. Not while copies run. */
void ndbuf_cpu__tuning_set(const ndbuf_cpu__tuning *values);

#endif
