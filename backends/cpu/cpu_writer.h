/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CPU_CPU_WRITER_H
#define NDBUF_BACKENDS_CPU_CPU_WRITER_H

/* Writes past the caches in whole lines: what kernels make is collected in the first cache, wherever its units end, and
 * leaves for the destination line by line. */

#include <stdint.h>
#include <string.h>

#include "backends/cpu/cpu_kernels.h"

#define CPU_WRITER_NBYTES 4096
#define CPU_WRITER_SLACK 128 /* that a kernel may write behind what it was asked for */

typedef struct cpu_writer {
    _Alignas(CPU_LINE_NBYTES) char buffer[CPU_WRITER_NBYTES + CPU_WRITER_SLACK];
    char *line;    /* of the destination: where buffer[0] goes; NULL: nothing was put yet */
    int64_t begin; /* the bytes in the buffer: begin .. end - 1 */
    int64_t end;
} cpu_writer;

static inline void cpu_writer_init(cpu_writer *writer)
{
    writer->line = NULL;
    writer->begin = 0;
    writer->end = 0;
}

/* Sends the whole lines; what is left moves to the front. */
static inline void cpu_writer_flush(cpu_writer *writer, const cpu_kernels *kernels)
{
    int64_t whole = writer->end / CPU_LINE_NBYTES * CPU_LINE_NBYTES;
    int64_t begin = writer->begin;
    if (whole == 0 || writer->line == NULL) {
        return;
    }
    if (begin > 0) { /* a first line that is not all ours */
        memcpy(writer->line + begin, writer->buffer + begin, (size_t)(CPU_LINE_NBYTES - begin));
        begin = CPU_LINE_NBYTES;
    }
    if (whole > begin) {
        kernels->stream(writer->line + begin, 0, writer->buffer + begin, 0, 1, whole - begin, 0, (cpu_twin){0, 0}, 0);
    }
    memcpy(writer->buffer, writer->buffer + whole, (size_t)(writer->end - whole));
    writer->line += whole;
    writer->begin = 0;
    writer->end -= whole;
}

/* Sends all. */
static inline void cpu_writer_finish(cpu_writer *writer, const cpu_kernels *kernels)
{
    cpu_writer_flush(writer, kernels);
    if (writer->line != NULL && writer->end > writer->begin) {
        memcpy(writer->line + writer->begin, writer->buffer + writer->begin, (size_t)(writer->end - writer->begin));
    }
    writer->begin = writer->end;
}

/* The next bytes go to dst. */
static inline void cpu_writer_seek(cpu_writer *writer, const cpu_kernels *kernels, char *dst)
{
    if (writer->line == NULL || writer->line + writer->end != dst) {
        cpu_writer_finish(writer, kernels);
        writer->begin = (int64_t)((uintptr_t)dst % CPU_LINE_NBYTES);
        writer->end = writer->begin;
        writer->line = dst - writer->begin;
    }
}

/* Where the next bytes are to be put, and how many fit. */
static inline char *cpu_writer_place(cpu_writer *writer)
{
    return writer->buffer + writer->end;
}
static inline int64_t cpu_writer_room(const cpu_writer *writer)
{
    return CPU_WRITER_NBYTES - writer->end;
}

/* They were put there. */
static inline void cpu_writer_commit(cpu_writer *writer, int64_t nbytes)
{
    writer->end += nbytes;
}

#endif
