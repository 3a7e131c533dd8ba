/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_engine.h"

#include <stdbool.h>
#include <string.h>

#include "core/compiler.h"
#include "core/copy_axes.h"
#include "core/host_steps.h"

#include "backends/cpu/cpu_plan.h"
#include "backends/cpu/cpu_strided.h"
#include "backends/cpu/cpu_tuning.h"

/* Sides of planes that are transposed by vectors; a multiple of 4. */
#define MAX_SIDE NDBUF__HOST_STEPS_MAX

/* The two last axes. */
typedef struct cpu_plane {
    int64_t unit;
    int32_t swap;                             /* numbers of so many bytes are reversed; 0: not */
    int64_t nrows, row_dst, row_src;          /* the axis before the last one */
    int64_t ncolumns, column_dst, column_src; /* the last one */
    const cpu_kernels *kernels;
} cpu_plane;

/* Copies one plane; `context` is what it was prepared for. */
typedef void (*cpu_plane_fn)(const cpu_plane *plane, const void *context, char *dst, const char *src);

/* memcpy of a constant size is one load and one store. */
#define DEFINE_PLANE(nbytes)                                                                                           \
    static void plane_##nbytes(const cpu_plane *plane, const void *context, char *dst, const char *src)                \
    {                                                                                                                  \
        (void)context;                                                                                                 \
        const cpu_plane p = *plane;                                                                                    \
        for (int64_t rows = p.nrows; rows > 0; rows--) {                                                               \
            char *to = dst;                                                                                            \
            const char *from = src;                                                                                    \
            for (int64_t columns = p.ncolumns; columns > 0; columns--) {                                               \
                memcpy(to, from, nbytes);                                                                              \
                to += p.column_dst;                                                                                    \
                from += p.column_src;                                                                                  \
            }                                                                                                          \
            dst += p.row_dst;                                                                                          \
            src += p.row_src;                                                                                          \
        }                                                                                                              \
    }

DEFINE_PLANE(1)
DEFINE_PLANE(2)
DEFINE_PLANE(4)
DEFINE_PLANE(8)

static void plane_rows(const cpu_plane *plane, const void *context, char *dst, const char *src)
{
    (void)context;
    for (int64_t i = 0; i < plane->nrows; i++) {
        plane->kernels->rows(dst, plane->column_dst, src, plane->column_src, plane->ncolumns, plane->unit, 0,
                             plane->swap);
        dst += plane->row_dst;
        src += plane->row_src;
    }
}

static void plane_swapped(const cpu_plane *plane, const void *context, char *dst, const char *src)
{
    (void)context;
    cpu_row_fn row_fn = ndbuf_cpu__row_fn(plane->unit, plane->swap);
    for (int64_t i = 0; i < plane->nrows; i++) {
        row_fn(dst, plane->column_dst, src, plane->column_src, plane->ncolumns, plane->unit);
        dst += plane->row_dst;
        src += plane->row_src;
    }
}

/* Rows that are one unit again and again, and long enough for vectors. */
#define REPEATED_NBYTES 128

static inline bool is_repeated(int64_t unit, int32_t swap, int64_t dst_stride, int64_t src_stride, int64_t count)
{
    return src_stride == 0 && dst_stride == unit && swap == 0 && count * unit >= REPEATED_NBYTES;
}

static void plane_repeat(const cpu_plane *plane, const void *context, char *dst, const char *src)
{
    (void)context;
    for (int64_t i = 0; i < plane->nrows; i++) {
        plane->kernels->repeat(dst, src, plane->unit, plane->ncolumns);
        dst += plane->row_dst;
        src += plane->row_src;
    }
}

/* What kernels that turn a plane are told. */
typedef struct cpu_turn {
    cpu_transpose_fn fn;
    int64_t dst_offsets[MAX_SIDE];
    int64_t src_offsets[MAX_SIDE];
} cpu_turn;

static void plane_turn(const cpu_plane *plane, const void *context, char *dst, const char *src)
{
    const cpu_turn *turn = context;
    turn->fn(dst, turn->dst_offsets, src, turn->src_offsets, plane->ncolumns, plane->nrows, NULL, plane->swap);
}

/* The kernel that turns the plane, where it is dense on both sides and not too small for its blocks. */
static inline cpu_transpose_fn find_turn(const cpu_plane *plane)
{
    if (plane->column_dst != plane->unit || plane->row_src != plane->unit || plane->nrows > MAX_SIDE ||
        plane->ncolumns > MAX_SIDE) {
        return NULL;
    }
    return cpu_transpose_for(plane->kernels, cpu_size_index(plane->unit), plane->ncolumns, plane->nrows);
}

/* All planes of a box. */
static inline void walk(const cpu_box *box, const cpu_plane *plane, cpu_plane_fn copy, const void *context)
{
    char *dst = box->dst;
    const char *src = box->src;
    const int32_t last = box->ndim - 3;
    if (last < 0) {
        copy(plane, context, dst, src);
        return;
    }
    int64_t index[NDBUF__MAX_AXES];
    for (int32_t k = 0; k < last; k++) {
        index[k] = 0;
        NDBUF__KEEP_AS_LOOP(k);
    }
    for (;;) {
        char *to = dst;
        const char *from = src;
        for (int64_t n = box->shape[last]; n > 0; n--) {
            copy(plane, context, to, from);
            to += box->dst_strides[last];
            from += box->src_strides[last];
        }
        int32_t k = last - 1;
        for (; k >= 0; k--) {
            dst += box->dst_strides[k];
            src += box->src_strides[k];
            if (++index[k] < box->shape[k]) {
                break;
            }
            dst -= box->dst_strides[k] * box->shape[k];
            src -= box->src_strides[k] * box->shape[k];
            index[k] = 0;
        }
        if (k < 0) {
            return;
        }
    }
}

/* Four at a time, also behind `count`, where there is room. */
static inline void fill_offsets(int64_t *offsets, int64_t count, int64_t stride)
{
    int64_t offset = 0;
    for (int64_t i = 0; i < count; i += 4) {
        offsets[i] = offset;
        offsets[i + 1] = offset + stride;
        offsets[i + 2] = offset + 2 * stride;
        offsets[i + 3] = offset + 3 * stride;
        offset += 4 * stride;
        NDBUF__KEEP_AS_LOOP(offset);
    }
}

/* By itself, for the room that the offsets take. */
static NDBUF__NOINLINE void turn_planes(const cpu_box *box, const cpu_plane *plane, cpu_transpose_fn fn)
{
    cpu_turn turn;
    turn.fn = fn;
    fill_offsets(turn.dst_offsets, plane->nrows, plane->row_dst);
    fill_offsets(turn.src_offsets, plane->ncolumns, plane->column_src);
    walk(box, plane, plane_turn, &turn);
}

/* The plane of the last axis and axis k. */
static inline cpu_plane plane_of(const cpu_box *box, int32_t k, const cpu_kernels *kernels)
{
    const int32_t last = box->ndim - 1;
    return (cpu_plane){.unit = box->unit_nbytes,
                       .swap = box->swap_nbytes,
                       .nrows = box->shape[k],
                       .row_dst = box->dst_strides[k],
                       .row_src = box->src_strides[k],
                       .ncolumns = box->shape[last],
                       .column_dst = box->dst_strides[last],
                       .column_src = box->src_strides[last],
                       .kernels = kernels};
}

/* Of planes of other axes that are worth being turned. */
#define OTHER_UNITS_MIN 64

/* The axis, before the two last ones, that makes such a plane; -1: there is none. */
static int32_t other_row_axis(const cpu_box *box)
{
    int32_t k = box->ndim - 3;
    while (k >= 0 &&
           (box->src_strides[k] != box->unit_nbytes || box->shape[k] * box->shape[box->ndim - 1] < OTHER_UNITS_MIN)) {
        k--;
    }
    return k;
}

/* Planes of the last axis and axis k. */
static NDBUF__NOINLINE void turn_other_planes(const cpu_box *box, int32_t k, const cpu_plane *plane,
                                              cpu_transpose_fn fn)
{
    const size_t nbytes = (size_t)box->ndim * sizeof(int64_t);
    int64_t shape[NDBUF__MAX_AXES];
    int64_t dst_strides[NDBUF__MAX_AXES];
    int64_t src_strides[NDBUF__MAX_AXES];
    cpu_box other = *box;
    memcpy(shape, box->shape, nbytes);
    memcpy(dst_strides, box->dst_strides, nbytes);
    memcpy(src_strides, box->src_strides, nbytes);
    shape[k] = box->shape[box->ndim - 2];
    dst_strides[k] = box->dst_strides[box->ndim - 2];
    src_strides[k] = box->src_strides[box->ndim - 2];
    other.shape = shape;
    other.dst_strides = dst_strides;
    other.src_strides = src_strides;
    turn_planes(&other, plane, fn);
}

/* The kernel that turns planes of a box of two axes and more, which are those of axis *out_k and the last one; else
 * NULL, and the plane of the two last ones. */
static inline cpu_transpose_fn find_planes(const cpu_box *box, const cpu_kernels *kernels, cpu_plane *out_plane,
                                           int32_t *out_k)
{
    *out_k = box->ndim - 2;
    *out_plane = plane_of(box, *out_k, kernels);
    cpu_transpose_fn turn = find_turn(out_plane);
    const int32_t k = turn == NULL ? other_row_axis(box) : -1;
    if (k >= 0) {
        const cpu_plane other = plane_of(box, k, kernels);
        turn = find_turn(&other);
        if (turn != NULL) {
            *out_plane = other;
            *out_k = k;
        }
    }
    return turn;
}

bool ndbuf_cpu__walks_units(const cpu_box *box, const cpu_kernels *kernels)
{
    const int32_t last = box->ndim - 1;
    if (box->unit_nbytes > 8 || is_repeated(box->unit_nbytes, box->swap_nbytes, box->dst_strides[last],
                                            box->src_strides[last], box->shape[last])) {
        return false;
    }
    cpu_plane plane;
    int32_t k;
    return last == 0 || find_planes(box, kernels, &plane, &k) == NULL;
}

/* Its rows as columns. */
static inline cpu_plane exchanged(const cpu_plane *plane)
{
    return (cpu_plane){.unit = plane->unit,
                       .swap = plane->swap,
                       .nrows = plane->ncolumns,
                       .row_dst = plane->column_dst,
                       .row_src = plane->column_src,
                       .ncolumns = plane->nrows,
                       .column_dst = plane->row_dst,
                       .column_src = plane->row_src,
                       .kernels = plane->kernels};
}

/* At least two axes. */
static NDBUF__NOINLINE void copy_planes(const cpu_box *box, const cpu_kernels *kernels)
{
    cpu_plane plane;
    int32_t k;
    const cpu_transpose_fn turn = find_planes(box, kernels, &plane, &k);
    if (turn != NULL && k == box->ndim - 2) {
        turn_planes(box, &plane, turn);
        return;
    }
    if (turn != NULL) {
        turn_other_planes(box, k, &plane, turn);
        return;
    }
    if (is_repeated(plane.unit, plane.swap, plane.column_dst, plane.column_src, plane.ncolumns)) {
        walk(box, &plane, plane_repeat, NULL);
        return;
    }
    if (plane.ncolumns < plane.nrows) { /* the longer axis inside */
        plane = exchanged(&plane);
    }
    cpu_plane_fn copy = NULL;
    switch (box->swap_nbytes == 0 ? box->unit_nbytes : 0) {
    case 1:
        copy = plane_1;
        break;
    case 2:
        copy = plane_2;
        break;
    case 4:
        copy = plane_4;
        break;
    case 8:
        copy = plane_8;
        break;
    default:
        copy = box->swap_nbytes != 0 && box->unit_nbytes <= 8 ? plane_swapped : plane_rows;
        break;
    }
    walk(box, &plane, copy, NULL);
}

void ndbuf_cpu__copy_small(const cpu_box *box, const cpu_kernels *kernels)
{
    if (box->ndim > 1) {
        copy_planes(box, kernels);
    } else if (is_repeated(box->unit_nbytes, box->swap_nbytes, box->dst_strides[0], box->src_strides[0],
                           box->shape[0])) {
        kernels->repeat(box->dst, box->src, box->unit_nbytes, box->shape[0]);
    } else if (box->unit_nbytes > 8) {
        kernels->rows(box->dst, box->dst_strides[0], box->src, box->src_strides[0], box->shape[0], box->unit_nbytes, 0,
                      box->swap_nbytes);
    } else {
        ndbuf_cpu__row_fn(box->unit_nbytes, box->swap_nbytes)(box->dst, box->dst_strides[0], box->src,
                                                              box->src_strides[0], box->shape[0], box->unit_nbytes);
    }
}

/* -- steps decided beforehand -- */

/* More of them are better walked through. */
#define MAX_UNITS 64
/* Fewer are moved one by one sooner than arranged. */
#define MIN_ARRANGED_UNITS 5

static ndbuf_status steps_move(const ndbuf__host_steps *steps, char *dst, const char *src)
{
    cpu_copy_bytes(dst, src, steps->nbytes, ndbuf_cpu__kernels_get());
    return NDBUF_OK;
}

/* Contiguous bytes that are at least so many, and at most twice as many: by two moves that may overlap. */
#define DEFINE_MOVE(nbytes_least)                                                                                      \
    static ndbuf_status move_##nbytes_least(const ndbuf__host_steps *steps, char *dst, const char *src)                \
    {                                                                                                                  \
        const int64_t tail = steps->nbytes - (nbytes_least);                                                           \
        char first[nbytes_least];                                                                                      \
        char last[nbytes_least];                                                                                       \
        memcpy(first, src, nbytes_least);                                                                              \
        memcpy(last, src + tail, nbytes_least);                                                                        \
        memcpy(dst, first, nbytes_least);                                                                              \
        memcpy(dst + tail, last, nbytes_least);                                                                        \
        return NDBUF_OK;                                                                                               \
    }

DEFINE_MOVE(1)
DEFINE_MOVE(2)
DEFINE_MOVE(4)
DEFINE_MOVE(8)
DEFINE_MOVE(16)
DEFINE_MOVE(32)

static ndbuf_status steps_turn(const ndbuf__host_steps *steps, char *dst, const char *src)
{
    steps->turn(dst, steps->dst_offsets, src, steps->src_offsets, steps->nsrc, steps->ndst, NULL, 0);
    return NDBUF_OK;
}

/* Units of so many bytes, and of up to twice as many: by two moves that may overlap. */
#define DEFINE_STEPS(nbytes)                                                                                           \
    static ndbuf_status steps_##nbytes(const ndbuf__host_steps *steps, char *dst, const char *src)                     \
    {                                                                                                                  \
        const int32_t count = steps->ndst;                                                                             \
        const int64_t *to = steps->dst_offsets;                                                                        \
        const int64_t *from = steps->src_offsets;                                                                      \
        NDBUF__UNROLL_4 for (int32_t i = 0; i < count; i++)                                                            \
        {                                                                                                              \
            memcpy(dst + to[i], src + from[i], nbytes);                                                                \
        }                                                                                                              \
        return NDBUF_OK;                                                                                               \
    }                                                                                                                  \
    static ndbuf_status steps_twice_##nbytes(const ndbuf__host_steps *steps, char *dst, const char *src)               \
    {                                                                                                                  \
        const int32_t count = steps->ndst;                                                                             \
        const int64_t tail = steps->tail;                                                                              \
        const int64_t *to = steps->dst_offsets;                                                                        \
        const int64_t *from = steps->src_offsets;                                                                      \
        NDBUF__UNROLL_4 for (int32_t i = 0; i < count; i++)                                                            \
        {                                                                                                              \
            memcpy(dst + to[i], src + from[i], nbytes);                                                                \
            memcpy(dst + to[i] + tail, src + from[i] + tail, nbytes);                                                  \
        }                                                                                                              \
        return NDBUF_OK;                                                                                               \
    }

DEFINE_STEPS(1)
DEFINE_STEPS(2)
DEFINE_STEPS(4)
DEFINE_STEPS(8)
DEFINE_STEPS(16)
DEFINE_STEPS(32)

static const struct {
    int64_t nbytes;
    ndbuf_status (*move)(const ndbuf__host_steps *steps, char *dst, const char *src);
    ndbuf_status (*once)(const ndbuf__host_steps *steps, char *dst, const char *src);
    ndbuf_status (*twice)(const ndbuf__host_steps *steps, char *dst, const char *src);
} step_sizes[] = {{32, move_32, steps_32, steps_twice_32}, {16, move_16, steps_16, steps_twice_16},
                  {8, move_8, steps_8, steps_twice_8},     {4, move_4, steps_4, steps_twice_4},
                  {2, move_2, steps_2, steps_twice_2},     {1, move_1, steps_1, steps_twice_1}};

/* The offsets of all units, in their order in the destination. */
static void list_units(ndbuf__host_steps *steps, const ndbuf__copy_axes *axes)
{
    int32_t count = 1;
    steps->dst_offsets[0] = 0;
    steps->src_offsets[0] = 0;
    for (int32_t k = 0; k < axes->ndim; k++) {
        for (int32_t i = count - 1; i >= 0; i--) { /* from the end, so that nothing is overwritten too early */
            for (int64_t j = axes->shape[k] - 1; j >= 0; j--) {
                int64_t place = i * axes->shape[k] + j;
                steps->dst_offsets[place] = steps->dst_offsets[i] + j * axes->dst_strides[k];
                steps->src_offsets[place] = steps->src_offsets[i] + j * axes->src_strides[k];
            }
        }
        count *= (int32_t)axes->shape[k];
    }
    steps->ndst = count;
    steps->nsrc = count;
}

bool ndbuf__host_steps_init(ndbuf__host_steps *steps, ndbuf__arrangement *arrangement, int64_t *offsets, int32_t max,
                            const ndbuf__copy_axes *axes)
{
    const cpu_kernels *kernels = ndbuf_cpu__kernels_get();
    const int64_t unit = axes->unit_nbytes;
    const int64_t nunits = ndbuf__copy_axes_nunits(axes);
    if (ndbuf__converts(&axes->convert) || nunits > ndbuf_cpu__tuning_get().small_nbytes / unit) {
        return false;
    }
    steps->arrangement = arrangement;
    steps->dst_offsets = offsets;
    steps->src_offsets = offsets + max;
    size_t size = 0;
    while (step_sizes[size].nbytes > unit) {
        size++;
    }
    const int64_t whole = step_sizes[size].nbytes;
    if (axes->ndim == 0) {
        steps->nbytes = unit;
        steps->run = unit <= 2 * whole                                           ? step_sizes[size].move
                     : kernels->move != NULL && unit <= 8 * kernels->move_nbytes ? kernels->move
                                                                                 : steps_move;
        return true;
    }
    if (nunits <= MAX_UNITS && nunits >= MIN_ARRANGED_UNITS && kernels->arrange != NULL &&
        ndbuf_cpu__arrange(arrangement, axes, 0)) {
        steps->run = kernels->arrange;
        return true;
    }
    if (axes->ndim == 2) {
        const cpu_plane plane = {.unit = unit,
                                 .nrows = axes->shape[0],
                                 .row_dst = axes->dst_strides[0],
                                 .row_src = axes->src_strides[0],
                                 .ncolumns = axes->shape[1],
                                 .column_dst = axes->dst_strides[1],
                                 .column_src = axes->src_strides[1],
                                 .kernels = kernels};
        steps->turn = find_turn(&plane);
        if (steps->turn != NULL && plane.nrows <= max && plane.ncolumns <= max) {
            steps->run = steps_turn;
            steps->ndst = (int32_t)plane.nrows;
            steps->nsrc = (int32_t)plane.ncolumns;
            fill_offsets(steps->dst_offsets, plane.nrows, plane.row_dst);
            fill_offsets(steps->src_offsets, plane.ncolumns, plane.column_src);
            return true;
        }
    }
    if (nunits > MAX_UNITS || nunits > max || unit > 2 * whole) {
        return false;
    }
    steps->run = unit == whole ? step_sizes[size].once : step_sizes[size].twice;
    steps->tail = unit - whole;
    list_units(steps, axes);
    return true;
}
