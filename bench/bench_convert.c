/* SPDX-License-Identifier: Apache-2.0 */

/* Conversion on the host. Reversing the bytes of numbers against the plain copy of the same layout; conversion of
 * numbers against memcpy of as many bytes as it reads and writes, and against a plain loop over the same layout.
 *
 *   bench_convert [--size BYTES] [--threads N] [--only PART_OF_NAME] [--rounds FACTOR] */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/cpu.h"

#include "core/copy_axes.h"

#include "backends/cpu/cpu_backend.h"
#include "bench/bench_support.h"

#define MAX_NDIM 6
#define GUARD 128

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

/* What is measured. */
typedef struct work {
    cpu_convert_box convert;
    ndbuf__copy_axes axes;
    char *dst;
    char *src;
    int64_t nelements;
    int64_t nbytes; /* that memcpy copies */
} work;

static int64_t reach(const int64_t *shape, const int64_t *strides, int32_t ndim)
{
    int64_t reached = 1;
    for (int32_t k = 0; k < ndim; k++) {
        reached += (shape[k] - 1) * ndbuf__stride_magnitude(strides[k]);
    }
    return reached;
}

/* Lines for the destination and the source; false: no memory. */
static bool work_make(work *made, const layout *of, const ndbuf_element *dst, const ndbuf_element *src)
{
    memset(made, 0, sizeof(*made));
    made->axes.unit_nbytes = 1;
    made->nelements = 1;
    for (int32_t k = 0; k < of->ndim; k++) {
        ndbuf__copy_axes_append(&made->axes, of->shape[k], of->dst_strides[k] * dst->nbytes,
                                of->src_strides[k] * src->nbytes);
        made->nelements *= of->shape[k];
    }
    ndbuf__copy_axes_merge(&made->axes);
    if (made->axes.unit_nbytes > 1) {
        ndbuf__copy_axes_append(&made->axes, made->axes.unit_nbytes, 1, 1);
    }
    made->nbytes = made->nelements * (dst->nbytes + src->nbytes) / 2;
    int64_t dst_nbytes = reach(of->shape, of->dst_strides, of->ndim) * dst->nbytes;
    int64_t src_nbytes = reach(of->shape, of->src_strides, of->ndim) * src->nbytes;
    dst_nbytes = (dst_nbytes > made->nbytes ? dst_nbytes : made->nbytes) + GUARD;
    src_nbytes = (src_nbytes > made->nbytes ? src_nbytes : made->nbytes) + GUARD;
    made->dst = aligned_alloc(4096, (size_t)((dst_nbytes + 4095) / 4096 * 4096));
    made->src = aligned_alloc(4096, (size_t)((src_nbytes + 4095) / 4096 * 4096));
    if (made->dst == NULL || made->src == NULL) {
        return false;
    }
    memset(made->dst, 0, (size_t)dst_nbytes);
    for (int64_t i = 0; i < src_nbytes; i++) {
        made->src[i] = (char)(i * 11 + i / 251);
    }
    made->convert = (cpu_convert_box){.box = {.dst = made->dst + of->dst_misalignment + made->axes.dst_offset,
                                              .src = made->src + of->src_offset * src->nbytes + made->axes.src_offset,
                                              .ndim = made->axes.ndim,
                                              .shape = made->axes.shape,
                                              .dst_strides = made->axes.dst_strides,
                                              .src_strides = made->axes.src_strides},
                                      .dst_element = *dst,
                                      .src_element = *src};
    return true;
}

static void work_clear(work *made)
{
    free(made->dst);
    free(made->src);
}

static void run_convert(void *context, long count)
{
    const work *of = context;
    for (long i = 0; i < count; i++) {
        ndbuf_cpu__convert_box(&of->convert);
    }
}

static void run_plain(void *context, long count)
{
    const work *of = context;
    cpu_convert_box plain = of->convert;
    plain.dst_element.is_swapped = plain.src_element.is_swapped;
    for (long i = 0; i < count; i++) {
        ndbuf_cpu__convert_box(&plain);
    }
}

static void run_memcpy(void *context, long count)
{
    const work *of = context;
    for (long i = 0; i < count; i++) {
        memcpy(of->dst, of->src, (size_t)of->nbytes);
        __asm__ volatile("" : : "r"(of->dst) : "memory");
    }
}

/* FLOAT32 to FLOAT64 over the axes as they come, innermost last: what libraries without blocks do. */
static void run_loop(void *context, long count)
{
    const work *of = context;
    const cpu_box *box = &of->convert.box;
    for (long i = 0; i < count; i++) {
        int64_t index[MAX_NDIM + 1] = {0};
        const int32_t last = box->ndim - 1;
        char *dst = box->dst;
        const char *src = box->src;
        for (int32_t k = 0; k >= 0;) {
            for (int64_t j = 0; j < box->shape[last]; j++) {
                float from;
                memcpy(&from, src + j * box->src_strides[last], sizeof(from));
                double to = (double)from;
                memcpy(dst + j * box->dst_strides[last], &to, sizeof(to));
            }
            for (k = last - 1; k >= 0; k--) {
                dst += box->dst_strides[k];
                src += box->src_strides[k];
                if (++index[k] < box->shape[k]) {
                    break;
                }
                dst -= box->dst_strides[k] * box->shape[k];
                src -= box->src_strides[k] * box->shape[k];
                index[k] = 0;
            }
        }
    }
}

static int report(const char *name, work *of, bench_fn fn, bench_fn peer_fn, const char *peer, long factor)
{
    const bench_fn fns[2] = {fn, peer_fn};
    void *const contexts[2] = {of, of};
    double ns[2];
    long count = (long)(((int64_t)4 << 20) / (of->nbytes + 1)) + 1;
    bench_interleaved(fns, contexts, 2, count * factor, ns);
    bench_report("convert", name, ns[0], peer, ns[1]);
    fflush(stdout);
    return 0;
}

static ndbuf_element element_of(int32_t number, int32_t nbytes, bool is_swapped)
{
    return (ndbuf_element){.number = number, .nbytes = nbytes, .is_swapped = is_swapped};
}

typedef struct pair {
    const char *name;
    int32_t dst, dst_nbytes;
    int32_t src, src_nbytes;
    bool swaps; /* the source is in the other order */
} pair;

static const pair pairs[] = {
    {"f4_to_f8", NDBUF_NUMBER_FLOAT64, 8, NDBUF_NUMBER_FLOAT32, 4, false},
    {"f8_to_f4", NDBUF_NUMBER_FLOAT32, 4, NDBUF_NUMBER_FLOAT64, 8, false},
    {"i2_to_f4", NDBUF_NUMBER_FLOAT32, 4, NDBUF_NUMBER_INT16, 2, false},
    {"f4_to_f2", NDBUF_NUMBER_FLOAT16, 2, NDBUF_NUMBER_FLOAT32, 4, false},
    {"f2_to_f4", NDBUF_NUMBER_FLOAT32, 4, NDBUF_NUMBER_FLOAT16, 2, false},
    {"f4_to_bf16", NDBUF_NUMBER_BFLOAT16, 2, NDBUF_NUMBER_FLOAT32, 4, false},
    {"bf16_to_f4", NDBUF_NUMBER_FLOAT32, 4, NDBUF_NUMBER_BFLOAT16, 2, false},
    {"i4_to_i8", NDBUF_NUMBER_INT64, 8, NDBUF_NUMBER_INT32, 4, false},
    {"i8_to_i4", NDBUF_NUMBER_INT32, 4, NDBUF_NUMBER_INT64, 8, false},
    {"u1_to_f4", NDBUF_NUMBER_FLOAT32, 4, NDBUF_NUMBER_UINT8, 1, false},
    {"f4_to_u1", NDBUF_NUMBER_UINT8, 1, NDBUF_NUMBER_FLOAT32, 4, false},
    {"f8_to_i8", NDBUF_NUMBER_INT64, 8, NDBUF_NUMBER_FLOAT64, 8, false},
    {"u1_to_bool", NDBUF_NUMBER_BOOL, 1, NDBUF_NUMBER_UINT8, 1, false},
    {"i2_to_f4_swapped", NDBUF_NUMBER_FLOAT32, 4, NDBUF_NUMBER_INT16, 2, true},
    {"f8_to_f4_swapped", NDBUF_NUMBER_FLOAT32, 4, NDBUF_NUMBER_FLOAT64, 8, true},
};
#define NPAIRS (sizeof(pairs) / sizeof(pairs[0]))

typedef struct options {
    int64_t nbytes;
    const char *only;
    long factor;
} options;

static bool is_wanted(const options *wanted, const char *name)
{
    return wanted->only == NULL || strstr(name, wanted->only) != NULL;
}

/* 0, or an exit status. */
static int run_one(const options *wanted, const char *name, const layout_recipe *recipe, const ndbuf_element *dst,
                   const ndbuf_element *src, bench_fn peer_fn, const char *peer)
{
    work made;
    if (!is_wanted(wanted, name)) {
        return 0;
    }
    layout of = layout_make(recipe, wanted->nbytes / (dst->nbytes > src->nbytes ? dst->nbytes : src->nbytes));
    int status = work_make(&made, &of, dst, src) ? 0 : 1;
    if (status == 0) {
        status = report(name, &made, run_convert, peer_fn, peer, wanted->factor);
    } else {
        fprintf(stderr, "no memory for %s\n", name);
    }
    work_clear(&made);
    return status;
}

int main(int argc, char **argv)
{
    options wanted = {.nbytes = (int64_t)64 << 20, .factor = 1};
    char name[128];
    int status = 0;
    int32_t nthreads = 1;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--size") == 0) {
            wanted.nbytes = atoll(argv[i + 1]);
        } else if (strcmp(argv[i], "--threads") == 0) {
            nthreads = (int32_t)atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--only") == 0) {
            wanted.only = argv[i + 1];
        } else if (strcmp(argv[i], "--rounds") == 0) {
            wanted.factor = atol(argv[i + 1]);
        } else {
            fprintf(stderr, "bench_convert: '%s' is no option\n", argv[i]);
            return 2;
        }
    }
    ndbuf_cpu_threads_set(nthreads, NULL);
    static const int32_t numbers[] = {NDBUF_NUMBER_INT16, NDBUF_NUMBER_INT32, NDBUF_NUMBER_INT64};
    for (size_t k = 0; k < NRECIPES; k++) {
        for (int32_t i = 0; i < 3 && status == 0; i++) {
            const ndbuf_element dst = element_of(numbers[i], 2 << i, true);
            const ndbuf_element src = element_of(numbers[i], 2 << i, false);
            snprintf(name, sizeof(name), "swap_%d_%s", (int)dst.nbytes, recipes[k].name);
            status = run_one(&wanted, name, &recipes[k], &dst, &src, run_plain, "plain copy");
        }
    }
    for (size_t k = 0; k < NPAIRS && status == 0; k++) {
        const ndbuf_element dst = element_of(pairs[k].dst, pairs[k].dst_nbytes, false);
        const ndbuf_element src = element_of(pairs[k].src, pairs[k].src_nbytes, pairs[k].swaps);
        snprintf(name, sizeof(name), "convert_%s", pairs[k].name);
        status = run_one(&wanted, name, &recipes[0], &dst, &src, run_memcpy, "memcpy");
    }
    for (size_t k = 0; k < NRECIPES && status == 0; k++) {
        const ndbuf_element dst = element_of(NDBUF_NUMBER_FLOAT64, 8, false);
        const ndbuf_element src = element_of(NDBUF_NUMBER_FLOAT32, 4, false);
        snprintf(name, sizeof(name), "loop_%s", recipes[k].name);
        status = run_one(&wanted, name, &recipes[k], &dst, &src, run_loop, "loop");
    }
    for (size_t k = 0; k < NRECIPES && status == 0; k++) {
        const ndbuf_element dst = element_of(NDBUF_NUMBER_FLOAT64, 8, false);
        const ndbuf_element src = element_of(NDBUF_NUMBER_FLOAT32, 4, false);
        snprintf(name, sizeof(name), "layout_%s", recipes[k].name);
        status = run_one(&wanted, name, &recipes[k], &dst, &src, run_memcpy, "memcpy");
    }
    return status;
}
