/* SPDX-License-Identifier: Apache-2.0 */

/* Conversion on the host. Reversing the bytes of numbers against the plain copy of the same layout; conversion of
 * numbers against memcpy of as many bytes as it reads and writes, and of FLOAT32 to FLOAT64 against a plain loop over
 * the same layout. By plans that are kept.
 *
 *   bench_convert [--size BYTES] [--threads N] [--only PART_OF_NAME] */

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/cpu.h"
#include "ndbuf/ndbuf.h"

#include "bench/bench_support.h"

#define MAX_NDIM 6

typedef enum layout_kind {
    CONTIGUOUS,
    MISALIGNED, /* the destination begins a byte behind a line */
    ROWS,       /* of `parameter` elements, one in two */
    GATHER,     /* every parameter-th */
    SCATTER,
    TRANSPOSE,
    PERMUTE,       /* `parameter` axes reversed */
    CHANNELS_LAST, /* images of `parameter` planes, read with the planes innermost */
    CHANNELS_FIRST,
    FLIP_INNER,
    FLIP_OUTER,
    BROADCAST_ROWS,
    BROADCAST_COLUMNS
} layout_kind;

typedef struct layout_recipe {
    const char *name;
    layout_kind kind;
    int64_t parameter;
} layout_recipe;

static const layout_recipe recipes[] = {
    {"contiguous", CONTIGUOUS, 0},
    {"misaligned", MISALIGNED, 0},
    {"rows_4", ROWS, 4},
    {"rows_16", ROWS, 16},
    {"rows_64", ROWS, 64},
    {"rows_1024", ROWS, 1024},
    {"gather_2", GATHER, 2},
    {"gather_3", GATHER, 3},
    {"gather_9", GATHER, 9},
    {"scatter_2", SCATTER, 2},
    {"scatter_3", SCATTER, 3},
    {"scatter_9", SCATTER, 9},
    {"transpose", TRANSPOSE, 0},
    {"permute_3", PERMUTE, 3},
    {"permute_5", PERMUTE, 5},
    {"permute_6", PERMUTE, 6},
    {"nchw_to_nhwc_64", CHANNELS_LAST, 64},
    {"nchw_to_nhwc_3", CHANNELS_LAST, 3},
    {"nhwc_to_nchw_64", CHANNELS_FIRST, 64},
    {"nhwc_to_nchw_3", CHANNELS_FIRST, 3},
    {"flip_inner", FLIP_INNER, 0},
    {"flip_outer", FLIP_OUTER, 0},
    {"broadcast_rows", BROADCAST_ROWS, 0},
    {"broadcast_columns", BROADCAST_COLUMNS, 0},
};
#define NRECIPES (sizeof(recipes) / sizeof(recipes[0]))

/* In elements. */
typedef struct layout {
    int32_t ndim;
    int64_t shape[MAX_NDIM];
    int64_t dst_strides[MAX_NDIM];
    int64_t src_strides[MAX_NDIM];
    int64_t src_offset;
    int64_t dst_misalignment; /* bytes */
} layout;

static void add_axis(layout *made, int64_t extent, int64_t dst_stride, int64_t src_stride)
{
    made->shape[made->ndim] = extent;
    made->dst_strides[made->ndim] = dst_stride;
    made->src_strides[made->ndim] = src_stride;
    made->ndim++;
}

/* The largest side whose `power`th power is at most n. */
static int64_t root(int64_t n, int64_t power)
{
    for (int64_t side = 1;; side++) {
        int64_t product = 1;
        for (int64_t i = 0; i < power; i++) {
            product *= side + 1;
        }
        if (product > n) {
            return side;
        }
    }
}

static layout layout_make(const layout_recipe *recipe, int64_t n)
{
    layout made = {0};
    const int64_t p = recipe->parameter;
    const int64_t side = root(n, 2);
    const int64_t width = recipe->kind >= CHANNELS_LAST && recipe->kind <= CHANNELS_FIRST ? root(n / 8 / p, 2) : 0;
    switch (recipe->kind) {
    case CONTIGUOUS:
        add_axis(&made, n, 1, 1);
        break;
    case MISALIGNED:
        add_axis(&made, n, 1, 1);
        made.dst_misalignment = 1;
        break;
    case ROWS:
        add_axis(&made, n / p, p, 2 * p);
        add_axis(&made, p, 1, 1);
        break;
    case GATHER:
        add_axis(&made, n, 1, p);
        break;
    case SCATTER:
        add_axis(&made, n, p, 1);
        break;
    case TRANSPOSE:
        add_axis(&made, side, side, 1);
        add_axis(&made, side, 1, side);
        break;
    case PERMUTE:
        for (int64_t k = 0, s = root(n, p), dst = 1, src = 1; k < p; k++, dst *= s) {
            src = 1;
            for (int64_t i = 0; i < p - 1 - k; i++) {
                src *= s;
            }
            add_axis(&made, s, dst, src);
        }
        break;
    case CHANNELS_LAST:
        add_axis(&made, 8, p * width * width, p * width * width);
        add_axis(&made, width * width, p, 1);
        add_axis(&made, p, 1, width * width);
        break;
    case CHANNELS_FIRST:
        add_axis(&made, 8, p * width * width, p * width * width);
        add_axis(&made, p, width * width, 1);
        add_axis(&made, width * width, 1, p);
        break;
    case FLIP_INNER:
        add_axis(&made, side, side, side);
        add_axis(&made, side, 1, -1);
        made.src_offset = side - 1;
        break;
    case FLIP_OUTER:
        add_axis(&made, side, side, -side);
        add_axis(&made, side, 1, 1);
        made.src_offset = (side - 1) * side;
        break;
    case BROADCAST_ROWS:
        add_axis(&made, side, side, 0);
        add_axis(&made, side, 1, 1);
        break;
    case BROADCAST_COLUMNS:
        add_axis(&made, side, side, 1);
        add_axis(&made, side, 1, 0);
        break;
    }
    return made;
}

/* What is measured: views of two storages, and what memcpy copies between them. */
typedef struct work {
    ndbuf_view dst;
    ndbuf_view src;
    ndbuf_copy_plan *plan;
    ndbuf_copy_plan *peer_plan;
    ndbuf_view peer_src;
    char *dst_bytes;
    const char *src_bytes;
    int64_t nbytes;
} work;

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* A view of `shared`, or where that is NULL, of a new storage of at least least_nbytes bytes. */
static ndbuf_status view_make(const layout *of, bool is_dst, const char *format_text, int64_t itemsize,
                              int64_t least_nbytes, ndbuf_device *device, ndbuf_storage *shared, ndbuf_view *out_view,
                              ndbuf_error *err)
{
    ndbuf_format *format = NULL;
    ndbuf_storage *storage = shared;
    int64_t strides[MAX_NDIM];
    int64_t reach = itemsize;
    for (int32_t k = 0; k < of->ndim; k++) {
        strides[k] = (is_dst ? of->dst_strides[k] : of->src_strides[k]) * itemsize;
        reach += (of->shape[k] - 1) * (strides[k] < 0 ? -strides[k] : strides[k]);
    }
    const int64_t offset = is_dst ? of->dst_misalignment : of->src_offset * itemsize;
    ndbuf_status status = ndbuf_format_parse(format_text, 0, &format, err);
    if (status == NDBUF_OK && shared == NULL) {
        status =
            ndbuf_storage_create(device, (size_t)larger(reach + of->dst_misalignment, least_nbytes), &storage, err);
    }
    if (status == NDBUF_OK) {
        const ndbuf_view_spec spec = {
            .format = format, .byte_offset = offset, .ndim = of->ndim, .shape = of->shape, .strides = strides};
        status = ndbuf_view_init(out_view, storage, &spec, err);
    }
    if (shared == NULL) {
        ndbuf_storage_release(storage);
    }
    ndbuf_format_release(format);
    return status;
}

static void work_clear(work *made)
{
    ndbuf_copy_plan_destroy(made->plan);
    ndbuf_copy_plan_destroy(made->peer_plan);
    ndbuf_view_release(&made->dst);
    ndbuf_view_release(&made->src);
    ndbuf_view_release(&made->peer_src);
}

/* `peer_format` is that of a source that needs no conversion, of the same size as src_format; NULL: there is none. */
static ndbuf_status work_make(work *made, const layout *of, const char *dst_format, int64_t dst_nbytes,
                              const char *src_format, int64_t src_nbytes, const char *peer_format, ndbuf_device *device,
                              ndbuf_error *err)
{
    int64_t nelements = 1;
    for (int32_t k = 0; k < of->ndim; k++) {
        nelements *= of->shape[k];
    }
    made->nbytes = nelements * (dst_nbytes + src_nbytes) / 2;
    ndbuf_status status = view_make(of, true, dst_format, dst_nbytes, made->nbytes, device, NULL, &made->dst, err);
    if (status == NDBUF_OK) {
        status = view_make(of, false, src_format, src_nbytes, made->nbytes, device, NULL, &made->src, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_plan_create(&made->dst, &made->src, NDBUF_CASTING_UNSAFE, 0, &made->plan, err);
    }
    if (status == NDBUF_OK && peer_format != NULL) {
        status = view_make(of, false, peer_format, src_nbytes, made->nbytes, device, made->src.storage, &made->peer_src,
                           err);
    }
    if (status == NDBUF_OK && peer_format != NULL) {
        status = ndbuf_copy_plan_create(&made->dst, &made->peer_src, NDBUF_CASTING_NO, 0, &made->peer_plan, err);
    }
    if (status == NDBUF_OK) {
        char *src_bytes = ndbuf_storage_host_address(made->src.storage);
        const size_t nbytes = ndbuf_storage_nbytes(made->src.storage);
        made->dst_bytes = ndbuf_storage_host_address(made->dst.storage);
        memset(made->dst_bytes, 0, ndbuf_storage_nbytes(made->dst.storage));
        for (size_t i = 0; i < nbytes; i++) {
            src_bytes[i] = (char)(i * 11 + i / 251);
        }
        made->src_bytes = src_bytes;
    }
    return status;
}

static void run_convert(void *context, long count)
{
    const work *of = context;
    for (long i = 0; i < count; i++) {
        ndbuf_copy_plan_run(of->plan, &of->dst, &of->src, NULL, NULL);
    }
}

static void run_plain(void *context, long count)
{
    const work *of = context;
    for (long i = 0; i < count; i++) {
        ndbuf_copy_plan_run(of->peer_plan, &of->dst, &of->peer_src, NULL, NULL);
    }
}

static void run_memcpy(void *context, long count)
{
    const work *of = context;
    for (long i = 0; i < count; i++) {
        memcpy(of->dst_bytes, of->src_bytes, (size_t)of->nbytes);
        __asm__ volatile("" : : "r"(of->dst_bytes) : "memory");
    }
}

/* FLOAT32 to FLOAT64 along the axes as they come, the last one innermost. */
static void run_loop(void *context, long count)
{
    const work *of = context;
    const int32_t last = of->dst.ndim - 1;
    const int64_t dst_stride = of->dst.strides[last];
    const int64_t src_stride = of->src.strides[last];
    for (long i = 0; i < count; i++) {
        int64_t index[MAX_NDIM] = {0};
        char *dst = ndbuf_view_host_address(&of->dst);
        const char *src = ndbuf_view_host_address(&of->src);
        for (int32_t k = 0; k >= 0;) {
            for (int64_t j = 0; j < of->dst.shape[last]; j++) {
                float from;
                memcpy(&from, src + j * src_stride, sizeof(from));
                double to = (double)from;
                memcpy(dst + j * dst_stride, &to, sizeof(to));
            }
            for (k = last - 1; k >= 0; k--) {
                dst += of->dst.strides[k];
                src += of->src.strides[k];
                if (++index[k] < of->dst.shape[k]) {
                    break;
                }
                dst -= of->dst.strides[k] * of->dst.shape[k];
                src -= of->src.strides[k] * of->dst.shape[k];
                index[k] = 0;
            }
        }
    }
}

typedef struct pair {
    const char *name;
    const char *dst_format;
    int64_t dst_nbytes;
    const char *src_format;
    int64_t src_nbytes;
} pair;

#define BFLOAT16 "T{2x:bfloat16:}"
static const pair pairs[] = {
    {"f4_to_f8", "<d", 8, "<f", 4},         {"f8_to_f4", "<f", 4, "<d", 8},
    {"i2_to_f4", "<f", 4, "<h", 2},         {"f4_to_f2", "<e", 2, "<f", 4},
    {"f2_to_f4", "<f", 4, "<e", 2},         {"f4_to_bf16", BFLOAT16, 2, "<f", 4},
    {"bf16_to_f4", "<f", 4, BFLOAT16, 2},   {"i4_to_i8", "<q", 8, "<i", 4},
    {"i8_to_i4", "<i", 4, "<q", 8},         {"u1_to_f4", "<f", 4, "B", 1},
    {"f4_to_u1", "B", 1, "<f", 4},          {"f8_to_i8", "<q", 8, "<d", 8},
    {"u1_to_bool", "?", 1, "B", 1},         {"i2_to_f4_swapped", "<f", 4, ">h", 2},
    {"f8_to_f4_swapped", "<f", 4, ">d", 8},
};
#define NPAIRS (sizeof(pairs) / sizeof(pairs[0]))

/* With which formats the bytes of numbers are reversed. */
static const pair swaps[] = {{"2", ">h", 2, "<h", 2}, {"4", ">i", 4, "<i", 4}, {"8", ">q", 8, "<q", 8}};
#define NSWAPS (sizeof(swaps) / sizeof(swaps[0]))

typedef struct options {
    int64_t nbytes; /* of the larger side */
    const char *only;
    ndbuf_device *device;
} options;

/* Measures a conversion against fn, if its name is wanted; returns an exit status. */
static int run_one(const options *wanted, const char *kind, const pair *numbers, const layout_recipe *recipe,
                   bench_fn fn, const char *peer)
{
    char name[128];
    work made = {0};
    ndbuf_error err = {0};
    snprintf(name, sizeof(name), "%s_%s_%s", kind, numbers->name, recipe->name);
    if (wanted->only != NULL && strstr(name, wanted->only) == NULL) {
        return 0;
    }
    layout of = layout_make(recipe, wanted->nbytes / larger(numbers->dst_nbytes, numbers->src_nbytes));
    ndbuf_status status =
        work_make(&made, &of, numbers->dst_format, numbers->dst_nbytes, numbers->src_format, numbers->src_nbytes,
                  fn == run_plain ? numbers->dst_format : NULL, wanted->device, &err);
    if (status == NDBUF_OK) {
        const bench_fn fns[2] = {run_convert, fn};
        void *const contexts[2] = {&made, &made};
        double ns[2];
        bench_interleaved(fns, contexts, 2, (long)(((int64_t)4 << 20) / (made.nbytes + 1)) + 1, ns);
        bench_report("convert", name, ns[0], peer, ns[1]);
        fflush(stdout);
    } else {
        fprintf(stderr, "bench_convert: %s: %s\n", name, err.message);
    }
    work_clear(&made);
    return status == NDBUF_OK ? 0 : 1;
}

static int run_all(const options *wanted)
{
    int result = 0;
    for (size_t k = 0; k < NRECIPES; k++) {
        for (size_t i = 0; i < NSWAPS && result == 0; i++) {
            result = run_one(wanted, "swap", &swaps[i], &recipes[k], run_plain, "plain copy");
        }
    }
    for (size_t k = 0; k < NPAIRS && result == 0; k++) {
        result = run_one(wanted, "convert", &pairs[k], &recipes[0], run_memcpy, "memcpy");
    }
    for (size_t k = 0; k < NRECIPES && result == 0; k++) {
        result = run_one(wanted, "loop", &pairs[0], &recipes[k], run_loop, "loop");
    }
    for (size_t k = 0; k < NRECIPES && result == 0; k++) {
        result = run_one(wanted, "layout", &pairs[0], &recipes[k], run_memcpy, "memcpy");
    }
    return result;
}

int main(int argc, char **argv)
{
    options wanted = {.nbytes = (int64_t)64 << 20};
    int32_t nthreads = 1;
    ndbuf_error err = {0};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--size") == 0) {
            wanted.nbytes = strtoll(argv[i + 1], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--threads") == 0) {
            nthreads = (int32_t)strtol(argv[i + 1], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--only") == 0) {
            wanted.only = argv[i + 1];
        } else {
            fprintf(stderr, "usage: bench_convert [--size BYTES] [--threads N] [--only PART_OF_NAME]\n");
            return 2;
        }
    }
    if (wanted.nbytes < 4096) {
        fprintf(stderr, "bench_convert: a size of at least 4096 bytes is needed\n");
        return 2;
    }
    ndbuf_cpu_threads_set(nthreads, NULL);
    if (ndbuf_device_open("cpu:0", &wanted.device, &err) != NDBUF_OK) {
        fprintf(stderr, "bench_convert: %s\n", err.message);
        return 1;
    }
    int result = run_all(&wanted);
    ndbuf_device_close(wanted.device);
    return result;
}
