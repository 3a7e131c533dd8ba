/* SPDX-License-Identifier: Apache-2.0 */
/* Rows behind pointers (suboffsets), in order and shuffled, against the loop of memcpy that walks the same pointers and
 * memcpy of the same bytes, interleaved; and against CPython's PyBuffer_ToContiguous where the rows are the source.
 *
 * usage: bench_rows [MiB [THREADS]]     64 MiB and one thread, unless given */
#ifdef BENCH_HAS_PYTHON
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#endif

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/ndbuf.h"

#include "bench/bench_support.h"

enum { NSIDES = 3, NSIZES = 6 };

typedef struct rows_case {
    char **dst_rows;
    char **src_rows;
    char *dst_bytes;
    char *src_bytes;
    size_t count;
    size_t nbytes; /* of a row */
    ndbuf_view dst;
    ndbuf_view src;
} rows_case;

static void check(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        fprintf(stderr, "bench_rows: %s\n", err->message);
        exit(1);
    }
}

static void run_copy(void *context, long count)
{
    const rows_case *one = context;
    ndbuf_error err = {0};
    for (long i = 0; i < count; i++) {
        check(ndbuf_copy(&one->dst, &one->src, NULL, &err), &err);
    }
}

static void run_loop(void *context, long count)
{
    const rows_case *one = context;
    for (long i = 0; i < count; i++) {
        for (size_t row = 0; row < one->count; row++) {
            memcpy(one->dst_rows[row], one->src_rows[row], one->nbytes);
        }
    }
}

static void run_memcpy(void *context, long count)
{
    const rows_case *one = context;
    for (long i = 0; i < count; i++) {
        memcpy(one->dst_bytes, one->src_bytes, one->count * one->nbytes);
    }
}

#ifdef BENCH_HAS_PYTHON
static void run_python(void *context, long count)
{
    const rows_case *one = context;
    Py_ssize_t shape[2] = {(Py_ssize_t)one->count, (Py_ssize_t)one->nbytes};
    Py_ssize_t strides[2] = {sizeof(char *), 1};
    Py_ssize_t suboffsets[2] = {0, -1};
    char format[] = "B";
    Py_buffer buffer = {.buf = (void *)one->src_rows,
                        .len = shape[0] * shape[1],
                        .itemsize = 1,
                        .ndim = 2,
                        .format = format,
                        .shape = shape,
                        .strides = strides,
                        .suboffsets = suboffsets};
    for (long i = 0; i < count; i++) {
        if (PyBuffer_ToContiguous(one->dst_bytes, &buffer, buffer.len, 'C') != 0) {
            exit(1);
        }
    }
}
#endif

static void *allocate(size_t nbytes)
{
    void *block = NULL;
    if (posix_memalign(&block, 4096, nbytes) != 0) {
        fprintf(stderr, "bench_rows: no memory\n");
        exit(1);
    }
    return block;
}

static char **make_rows(char *bytes, size_t count, size_t nbytes, bool shuffled, uint64_t seed)
{
    char **rows = allocate(count * sizeof(*rows));
    for (size_t i = 0; i < count; i++) {
        rows[i] = bytes + i * nbytes;
    }
    for (size_t i = count; shuffled && i > 1; i--) {
        seed = seed * 6364136223846793005U + 1442695040888963407U;
        size_t j = (size_t)(seed >> 20) % i;
        char *kept = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = kept;
    }
    return rows;
}

static void make_view(ndbuf_view *view, char *bytes, char **rows, size_t count, size_t nbytes)
{
    ndbuf_error err = {0};
    ndbuf_format *format = NULL;
    ndbuf_storage *storage = NULL;
    const int64_t shape[2] = {(int64_t)count, (int64_t)nbytes};
    const int64_t strides[2] = {rows != NULL ? (int64_t)sizeof(char *) : (int64_t)nbytes, 1};
    const int64_t suboffsets[2] = {0, -1};
    check(ndbuf_format_parse("B", 0, &format, &err), &err);
    check(ndbuf_storage_adopt(ndbuf_device_cpu(), rows != NULL ? (void *)rows : bytes,
                              rows != NULL ? count * sizeof(char *) : count * nbytes, 0, NULL, NULL, &storage, &err),
          &err);
    ndbuf_view_spec spec = {.format = format,
                            .ndim = 2,
                            .shape = shape,
                            .strides = strides,
                            .suboffsets = rows != NULL ? suboffsets : NULL};
    check(ndbuf_view_init(view, storage, &spec, &err), &err);
    ndbuf_storage_release(storage);
    ndbuf_format_release(format);
}

static void verify(const rows_case *one)
{
    memset(one->dst_bytes, 0x5a, one->count * one->nbytes);
    run_copy((void *)one, 1);
    for (size_t row = 0; row < one->count; row++) {
        if (memcmp(one->dst_rows[row], one->src_rows[row], one->nbytes) != 0) {
            fprintf(stderr, "bench_rows: row %zu was copied wrongly\n", row);
            exit(1);
        }
    }
}

static void measure(const char *side, bool of_dst, bool of_src, bool shuffled, char *dst, char *src, size_t count,
                    size_t nbytes)
{
    bench_fn works[4] = {run_copy, run_loop, run_memcpy, NULL};
    double ns[4] = {0};
    char name[64];
    rows_case one = {.dst_rows = make_rows(dst, count, nbytes, of_dst && shuffled, 1),
                     .src_rows = make_rows(src, count, nbytes, of_src && shuffled, 2),
                     .dst_bytes = dst,
                     .src_bytes = src,
                     .count = count,
                     .nbytes = nbytes};
    size_t nworks = 3;
    make_view(&one.dst, dst, of_dst ? one.dst_rows : NULL, count, nbytes);
    make_view(&one.src, src, of_src ? one.src_rows : NULL, count, nbytes);
    verify(&one);
#ifdef BENCH_HAS_PYTHON
    if (!of_dst) {
        works[nworks++] = run_python;
    }
#endif
    void *contexts[4] = {&one, &one, &one, &one};
    bench_interleaved(works, contexts, nworks, 1, ns);
    snprintf(name, sizeof(name), "%s_%zu_%s", side, nbytes, shuffled ? "shuffled" : "sequential");
    bench_report("rows", name, ns[0], "a loop of memcpy", ns[1]);
    bench_report("rows", name, ns[0], "memcpy of the same bytes", ns[2]);
    if (nworks > 3) {
        bench_report("rows", name, ns[0], "PyBuffer_ToContiguous", ns[3]);
    }
    fflush(stdout);
    ndbuf_view_release(&one.dst);
    ndbuf_view_release(&one.src);
    free(one.dst_rows);
    free(one.src_rows);
}

int main(int argc, char **argv)
{
    static const char *const sides[NSIDES] = {"source", "destination", "both"};
    static const size_t sizes[NSIZES] = {48, 64, 256, 600, 1024, 4096};
    long mib = argc > 1 ? strtol(argv[1], NULL, 10) : 64;
    if (mib < 1 || mib > 4096) {
        fprintf(stderr, "usage: bench_rows [MiB [THREADS]]\n");
        return 2;
    }
    setenv("NDBUF_CPU_THREADS", argc > 2 ? argv[2] : "1", 1);
#ifdef BENCH_HAS_PYTHON
    Py_Initialize();
#endif
    size_t total = (size_t)mib << 20;
    char *dst = allocate(total);
    char *src = allocate(total);
    for (size_t i = 0; i < total; i++) {
        src[i] = (char)(i * 7 + i / 251);
    }
    for (int shuffled = 1; shuffled >= 0; shuffled--) {
        for (int side = 0; side < NSIDES; side++) {
            for (int size = 0; size < NSIZES; size++) {
                measure(sides[side], side > 0, side != 1, shuffled != 0, dst, src, total / sizes[size], sizes[size]);
            }
        }
    }
    free(dst);
    free(src);
    return 0;
}
