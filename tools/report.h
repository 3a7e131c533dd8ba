/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_REPORT_H
#define NDBUF_TOOLS_REPORT_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"
#include "npy.h"

/* What the commands say in common. */

/* Tells an error on stderr as "ndbuf: text"; returns EXIT_FAILED. */
int report_error(const ndbuf_error *err);

/* Tells on stderr if the file that NDBUF_TUNING names cannot be read, so that the defaults hold. */
void report_tuning(void);

typedef char report_text[2048];

/* "23.8 MB", in powers of 1000. Returns `text`, like the following. */
const char *report_nbytes(uint64_t nbytes, report_text text);

/* "(3, 4)", "(3,)", "()"; values NULL with count > 0: "packed". Long lists are cut with "...". */
const char *report_list(const int64_t *values, int32_t count, report_text text);

/* A file and its array on stdout: its shape, type, order and size. */
void report_file(const char *path, const npy_file *file);

/* A line on stdout: what the view of it is. */
void report_view(const ndbuf_view *view);

/* "12.5 MB in 3.10 ms, 4.03 GB/s" */
const char *report_speed(int64_t nbytes, int64_t ns, report_text text);

/* The plan's text, from malloc, or NULL without memory. */
char *report_plan_text(const ndbuf_copy_plan *plan);

/* Lines of text on stdout, each behind `indent`. */
void report_lines(const char *indent, const char *lines);

/* Nanoseconds of a clock that only goes forward. */
int64_t report_clock_ns(void);

/* A line on stderr that tells how far long work is, if stderr is a terminal, and only after half a second. */
typedef struct report_progress {
    const char *what; /* "writing out.npy" */
    int64_t total;
    int64_t start_ns;
    int64_t shown_ns; /* when it was last written; 0: never */
    int enabled;
} report_progress;

void report_progress_begin(report_progress *progress, const char *what, int64_t total);
void report_progress_at(report_progress *progress, int64_t done);
void report_progress_end(report_progress *progress); /* wipes the line */

#endif
