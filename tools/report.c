/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "args.h"

int report_error(const ndbuf_error *err)
{
    fflush(stdout);
    fprintf(stderr, "ndbuf: %s\n",
            err->message[0] != '\0' ? err->message : ndbuf_status_text((ndbuf_status)err->status));
    return EXIT_FAILED;
}

void report_tuning(void)
{
    ndbuf_tuning_info tuning;
    ndbuf_tuning_info_get(&tuning);
    if (tuning.status != NDBUF_OK) {
        fprintf(stderr, "ndbuf: the defaults of all constants: NDBUF_TUNING: %s\n", tuning.reason);
    }
}

const char *report_nbytes(uint64_t nbytes, report_text text)
{
    static const char *const units[] = {"kB", "MB", "GB", "TB", "PB"};
    if (nbytes < 1000) {
        snprintf(text, sizeof(report_text), "%u bytes", (unsigned)nbytes);
        return text;
    }
    double value = (double)nbytes / 1e3;
    size_t unit = 0;
    for (; value >= 999.5 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++) {
        value /= 1e3;
    }
    snprintf(text, sizeof(report_text), "%.3g %s", value, units[unit]);
    return text;
}

const char *report_list(const int64_t *values, int32_t count, report_text text)
{
    if (values == NULL && count > 0) {
        snprintf(text, sizeof(report_text), "packed");
        return text;
    }
    size_t length = (size_t)snprintf(text, sizeof(report_text), "(");
    for (int32_t k = 0; k < count && length < sizeof(report_text) - 32; k++) {
        length += (size_t)snprintf(text + length, sizeof(report_text) - length, "%s%lld", k == 0 ? "" : ", ",
                                   (long long)values[k]);
    }
    snprintf(text + length, sizeof(report_text) - length, "%s)",
             length >= sizeof(report_text) - 32 ? ", ..."
             : count == 1                       ? ","
                                                : "");
    return text;
}

void report_file(const char *path, const npy_file *file)
{
    const npy_header *header = &file->header;
    report_text shape;
    report_text nbytes;
    printf("%s\n  shape %s, type %.*s, %s order, %s\n", path, report_list(header->shape, header->ndim, shape),
           header->dtype->text_nbytes > 200 ? 200 : (int)header->dtype->text_nbytes, header->dtype->text,
           header->fortran_order ? "Fortran" : "C", report_nbytes((uint64_t)header->nbytes, nbytes));
}

void report_view(const ndbuf_view *view)
{
    report_text shape;
    report_text strides;
    report_text nbytes;
    printf("view of it\n  shape %s, strides %s, items of %lld bytes, %s\n", report_list(view->shape, view->ndim, shape),
           report_list(view->strides, view->ndim, strides), (long long)view->itemsize,
           report_nbytes((uint64_t)view->nbytes, nbytes));
}

const char *report_speed(int64_t nbytes, int64_t ns, report_text text)
{
    report_text size;
    double seconds = (double)(ns > 0 ? ns : 1) / 1e9;
    int is_long = seconds >= 1.0;
    snprintf(text, sizeof(report_text), "%.32s in %.3g %s, %.3g GB/s", report_nbytes((uint64_t)nbytes, size),
             is_long ? seconds : 1e3 * seconds, is_long ? "s" : "ms", (double)nbytes / 1e9 / seconds);
    return text;
}

char *report_plan_text(const ndbuf_copy_plan *plan)
{
    size_t size = ndbuf_copy_plan_explain(plan, NULL, 0) + 1;
    char *text = malloc(size);
    if (text != NULL) {
        (void)ndbuf_copy_plan_explain(plan, text, size);
    }
    return text;
}

void report_lines(const char *indent, const char *lines)
{
    while (*lines != '\0') {
        size_t length = strcspn(lines, "\n");
        printf("%s%.*s\n", indent, (int)length, lines);
        lines += length + (lines[length] == '\n');
    }
}

int64_t report_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void report_progress_begin(report_progress *progress, const char *what, int64_t total)
{
    progress->what = what;
    progress->total = total;
    progress->start_ns = report_clock_ns();
    progress->shown_ns = 0;
    progress->enabled = isatty(STDERR_FILENO);
}

void report_progress_at(report_progress *progress, int64_t done)
{
    if (!progress->enabled) {
        return;
    }
    int64_t now = report_clock_ns();
    int64_t since = progress->shown_ns != 0 ? now - progress->shown_ns : now - progress->start_ns - 400000000;
    if (since < 100000000) {
        return;
    }
    progress->shown_ns = now;
    double part = progress->total > 0 ? (double)done / (double)progress->total : 1.0;
    fprintf(stderr, "\r\033[K%s: %.0f %%", progress->what, 100.0 * part);
    fflush(stderr);
}

void report_progress_end(report_progress *progress)
{
    if (progress->shown_ns != 0) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
}
