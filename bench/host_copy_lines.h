/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BENCH_HOST_COPY_LINES_H
#define NDBUF_BENCH_HOST_COPY_LINES_H

/* What no copy of a case can do without: the cache lines that hold its items. Read and written in the order in which
 * they lie, by simple loops, they show about what the machine's memory allows, whatever a copy does in between. One
 * that fetches further ahead can be faster. */

#include <stdbool.h>
#include <stdint.h>

#include "bench/host_copy_case.h"

#define HOST_COPY_LINE_NBYTES 64

/* Numbers of lines. */
typedef struct host_copy_lines {
    int64_t nread;    /* of the source */
    int64_t nwhole;   /* of the destination, all bytes of which are written */
    int64_t npartial; /* of the destination, some bytes of which stay: they have to be read first */
} host_copy_lines;

/* Counts the lines of blocks that begin with a line. False: no memory. */
bool host_copy_lines_count(const host_copy_case *one, host_copy_lines *out_lines);

/* Reads so many lines of src and writes so many of dst, in one of several ways, of which each is the fastest for some
 * cases and machines: 0 .. HOST_COPY_LINES_NWAYS - 1. */
#define HOST_COPY_LINES_NWAYS 8
void host_copy_lines_run(const host_copy_lines *lines, int way, char *dst, const char *src);

#endif
