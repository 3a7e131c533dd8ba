/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_engine.h"

#include <stdbool.h>
#include <string.h>

#include "core/copy_axes.h"

#include "backends/cpu/cpu_convert.h"
#include "backends/cpu/cpu_float_mode.h"
#include "backends/cpu/cpu_plan.h"
#include "backends/cpu/cpu_pool.h"
#include "backends/cpu/cpu_run.h"
#include "backends/cpu/cpu_writer.h"

/* A box is converted in blocks, parts of it that stay in the first cache. Rows that are dense on both sides go from
 * register to register. Otherwise a block of the source is brought together in the order of the destination by a plain
 * copy, its elements are converted, and where the destination is not dense either, another plain copy spreads them. So
 * memory is passed once. */

/* Of the buffers for a block, which stay in the caches of a core. */
#define BLOCK_NBYTES ((int64_t)64 << 10)
#define PLAIN_BLOCK_NBYTES ((int64_t)16 << 10)
/* Of a block whose rows are converted where they are. */
#define ROWS_BLOCK_NBYTES ((int64_t)64 << 10)
/* Dense runs worth being converted where they are. */
#define DIRECT_RUN_NBYTES 512
/* Dense runs of the destination worth being written by the conversion itself. */
#define CONVERTED_RUN_NBYTES 64
/* Dense runs of either side that a block has, if the box has them. */
#define DST_RUN_NBYTES 512
#define SRC_RUN_NBYTES 256
/* A block whose elements are repeated has up to so many times its buffer. */
#define MOST_REPEATED 4
/* Rows worth being written past the caches. */
#define STREAMED_RUN_NBYTES 256

typedef struct convert_plan {
    const cpu_convert_box *box;
    const cpu_kernels *kernels;
    cpu_row_converter converter;
    bool streams;
    bool packs;        /* a block of the source is brought together first */
    bool spreads;      /* a converted block is spread afterwards */
    bool repeats;      /* and each of its elements repeated: axes of stride 0 in the source have one index in a block */
    int32_t run_axis;  /* from here on axes are dense in the destination, and in the source as it is read */
    int64_t nelements; /* in a whole block */
    int64_t block[NDBUF__MAX_AXES];
    int64_t nblocks[NDBUF__MAX_AXES];
    int64_t ntasks; /* blocks in all */
    int64_t nparts;
    ndbuf_cpu__tuning pack_tuning; /* of the copies within a block: nothing is large */
    ndbuf_cpu__tuning spread_tuning;
    cpu_plan pack; /* of whole blocks */
    cpu_plan spread;
} convert_plan;

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t pieces(int64_t extent, int64_t piece)
{
    return (extent + piece - 1) / piece;
}

/* Elements along the last axes that lie one behind the other; *out_axis is where these axes begin. */
static int64_t dense_run(const int64_t *shape, const int64_t *extents, const int64_t *strides, int32_t ndim,
                         int64_t nbytes, int32_t *out_axis)
{
    int64_t run = 1;
    int32_t k = ndim;
    bool is_whole = true; /* the axes so far, so that the next one can carry on */
    for (; k > 0 && (extents[k - 1] == 1 || (is_whole && strides[k - 1] == run * nbytes)); k--) {
        is_whole = is_whole && extents[k - 1] == shape[k - 1];
        run *= extents[k - 1];
    }
    *out_axis = k;
    return run;
}

/* Lets a block grow along an axis up to `piece`: less if pieces are more even then. */
static void block_grow(convert_plan *plan, int32_t axis, int64_t piece)
{
    const int64_t extent = plan->box->box.shape[axis];
    int64_t even = pieces(extent, pieces(extent, smaller(extent, piece)));
    even = pieces(even, CPU_CONVERT_STEP_MAX) * CPU_CONVERT_STEP_MAX;
    piece = smaller(extent, smaller(piece, even));
    if (piece > plan->block[axis]) {
        plan->nelements = plan->nelements / plan->block[axis] * piece;
        plan->block[axis] = piece;
    }
}

/* Along one more axis of those that are to have `target` elements together and have `count`; a block has `most`.
 * Returns what they have then. */
static int64_t block_extend(convert_plan *plan, int32_t axis, int64_t count, int64_t target, int64_t most)
{
    int64_t room = most / (plan->nelements / plan->block[axis]);
    block_grow(plan, axis, smaller(pieces(target, count), room));
    return count * plan->block[axis];
}

/* Along the axes of the destination, up to the first one that is not whole. */
static void block_grow_dst(convert_plan *plan, int64_t target, int64_t most)
{
    int64_t count = 1;
    for (int32_t k = plan->box->box.ndim - 1; k >= 0 && count < target; k--) {
        count = block_extend(plan, k, count, target, most);
        if (plan->block[k] < plan->box->box.shape[k]) {
            break;
        }
    }
}

/* The axis on which the source is fastest among those that are not taken; -1: none. */
static int32_t fastest_src_axis(const cpu_box *box, const bool *is_taken)
{
    int32_t best = -1;
    for (int32_t k = 0; k < box->ndim; k++) {
        int64_t stride = ndbuf__stride_magnitude(box->src_strides[k]);
        if (!is_taken[k] && stride != 0 && (best < 0 || stride <= ndbuf__stride_magnitude(box->src_strides[best]))) {
            best = k;
        }
    }
    return best;
}

/* Along the axes on which the source is fastest, up to the first one that is not whole. */
static void block_grow_src(convert_plan *plan, int64_t target, int64_t most)
{
    const cpu_box *box = &plan->box->box;
    bool is_taken[NDBUF__MAX_AXES] = {false};
    int64_t count = 1;
    for (int32_t k = fastest_src_axis(box, is_taken); k >= 0 && count < target; k = fastest_src_axis(box, is_taken)) {
        is_taken[k] = true;
        count = block_extend(plan, k, count, target, most);
        if (plan->block[k] < box->shape[k]) {
            return;
        }
    }
}

/* A block of a source that is fastest along the last axis needs no room for lines that cross. */
static int64_t block_nbytes(const cpu_box *box)
{
    const bool is_taken[NDBUF__MAX_AXES] = {false};
    return fastest_src_axis(box, is_taken) == box->ndim - 1 ? PLAIN_BLOCK_NBYTES : BLOCK_NBYTES;
}

/* Whether the last axis is dense on both sides, and long enough to be converted where it is. */
static bool has_direct_rows(const convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const int32_t last = box->ndim - 1;
    const int64_t dst_nbytes = plan->converter.dst_nbytes;
    const int64_t src_nbytes = plan->converter.src_nbytes;
    return box->dst_strides[last] == dst_nbytes && box->src_strides[last] == src_nbytes &&
           (last == 0 || box->shape[last] * smaller(dst_nbytes, src_nbytes) >= DIRECT_RUN_NBYTES);
}

static void plan_blocks(convert_plan *plan)
{
    const cpu_box *box = &plan->box->box;
    const int64_t dst_nbytes = plan->converter.dst_nbytes;
    const int64_t src_nbytes = plan->converter.src_nbytes;
    const int64_t larger_nbytes = dst_nbytes > src_nbytes ? dst_nbytes : src_nbytes;
    const int32_t last = box->ndim - 1;
    plan->nelements = 1;
    for (int32_t k = 0; k < box->ndim; k++) {
        plan->block[k] = 1;
    }
    plan->repeats = box->src_strides[last] == 0;
    if (plan->repeats) {
        /* Elements are converted once. Where the last axis is short, there are more of them than repetitions. */
        int64_t most = BLOCK_NBYTES / larger_nbytes * smaller(box->shape[last], MOST_REPEATED);
        block_grow_dst(plan, most, most);
        plan->packs = true;
        plan->spreads = true;
    } else if (has_direct_rows(plan)) {
        block_grow_dst(plan, ROWS_BLOCK_NBYTES / larger_nbytes, ROWS_BLOCK_NBYTES / larger_nbytes);
        plan->packs = false;
        plan->spreads = false;
        plan->run_axis = last;
    } else {
        int64_t most = block_nbytes(box) / larger_nbytes;
        int32_t src_axis;
        block_grow_dst(plan, DST_RUN_NBYTES / dst_nbytes, most);
        block_grow_src(plan, SRC_RUN_NBYTES / src_nbytes, most);
        block_grow_dst(plan, most, most);
        int64_t src_run = dense_run(box->shape, plan->block, box->src_strides, box->ndim, src_nbytes, &src_axis);
        int64_t dst_run = dense_run(box->shape, plan->block, box->dst_strides, box->ndim, dst_nbytes, &plan->run_axis);
        plan->packs = src_run < plan->nelements;
        plan->spreads = dst_run < plan->nelements && dst_run * dst_nbytes < CONVERTED_RUN_NBYTES;
    }
    plan->ntasks = 1;
    for (int32_t k = 0; k < box->ndim; k++) {
        plan->nblocks[k] = pieces(box->shape[k], plan->block[k]);
        plan->ntasks *= plan->nblocks[k];
    }
}

/* Strides of a packed block of these extents. */
static void pack_strides(const convert_plan *plan, const int64_t *extents, int64_t nbytes, int64_t *out_strides)
{
    const cpu_box *box = &plan->box->box;
    for (int32_t k = box->ndim - 1; k >= 0; k--) {
        bool is_repeated = plan->repeats && box->src_strides[k] == 0;
        out_strides[k] = is_repeated ? 0 : nbytes;
        nbytes *= is_repeated ? 1 : extents[k];
    }
}

static void plan_copy(const convert_plan *plan, const ndbuf__copy_axes *axes, const ndbuf_cpu__tuning *tuning,
                      cpu_plan *out_plan)
{
    const cpu_box box = {.ndim = axes->ndim,
                         .unit_nbytes = axes->unit_nbytes,
                         .shape = axes->shape,
                         .dst_strides = axes->dst_strides,
                         .src_strides = axes->src_strides};
    ndbuf_cpu__plan_make(out_plan, &box, plan->kernels, tuning);
}

/* A block of the source is brought together in the order of the destination. */
static void plan_pack(const convert_plan *plan, const int64_t *extents, cpu_plan *out_plan)
{
    const cpu_box *box = &plan->box->box;
    int64_t strides[NDBUF__MAX_AXES];
    ndbuf__copy_axes axes = {.unit_nbytes = plan->converter.src_nbytes};
    pack_strides(plan, extents, plan->converter.src_nbytes, strides);
    for (int32_t k = 0; k < box->ndim; k++) {
        if (!plan->repeats || box->src_strides[k] != 0) {
            ndbuf__copy_axes_append(&axes, extents[k], strides[k], box->src_strides[k]);
        }
    }
    ndbuf__copy_axes_merge(&axes);
    plan_copy(plan, &axes, &plan->pack_tuning, out_plan);
}

/* What was converted goes where it belongs. */
static void plan_spread(const convert_plan *plan, const int64_t *extents, cpu_plan *out_plan)
{
    const cpu_box *box = &plan->box->box;
    int64_t strides[NDBUF__MAX_AXES];
    ndbuf__copy_axes axes = {.unit_nbytes = plan->converter.dst_nbytes};
    pack_strides(plan, extents, plan->converter.dst_nbytes, strides);
    for (int32_t k = 0; k < box->ndim; k++) {
        ndbuf__copy_axes_append(&axes, extents[k], box->dst_strides[k], strides[k]);
    }
    ndbuf__copy_axes_merge(&axes);
    plan_copy(plan, &axes, &plan->spread_tuning, out_plan);
    if (out_plan->kind == CPU_PLAN_SCATTER && plan->streams) {
        out_plan->prefetch_nbytes = plan->spread_tuning.scatter_prefetch_nbytes;
    }
}

typedef void (*plan_copy_fn)(const convert_plan *plan, const int64_t *extents, cpu_plan *out_plan);

/* Copies a block, by the plan that was made for it if it is a whole one. */
static void block_copy(const convert_plan *plan, const cpu_plan *made, plan_copy_fn make, const int64_t *extents,
                       char *dst, const char *src)
{
    cpu_plan other;
    if (made == NULL) {
        make(plan, extents, &other);
        made = &other;
    }
    ndbuf_cpu__plan_run(made, plan->kernels, make == plan_pack ? &plan->pack_tuning : &plan->spread_tuning, dst, src, 0,
                        made->ntasks);
}

/* ---- blocks ---- */

typedef struct convert_buffers {
    cpu_writer writer;
    _Alignas(CPU_LINE_NBYTES) char packed[BLOCK_NBYTES];
    _Alignas(CPU_LINE_NBYTES) char converted[BLOCK_NBYTES];
} convert_buffers;

/* A row past the caches; by way of a writer, where the converter itself cannot. */
static void stream_row(const convert_plan *plan, cpu_writer *writer, char *dst, const char *src, int64_t count)
{
    const cpu_row_converter *converter = &plan->converter;
    if (ndbuf_cpu__streams_row(converter, dst)) {
        ndbuf_cpu__convert_row_streamed(converter, dst, src, count);
        return;
    }
    cpu_writer_seek(writer, plan->kernels, dst);
    while (count > 0) {
        int64_t n = smaller(count, cpu_writer_room(writer) / converter->dst_nbytes);
        ndbuf_cpu__convert_row(converter, cpu_writer_place(writer), src, n);
        cpu_writer_commit(writer, n * converter->dst_nbytes);
        cpu_writer_flush(writer, plan->kernels);
        src += n * converter->src_nbytes;
        count -= n;
    }
}

/* The rows of a block; src_strides are those of the block as it is read. writer NULL: none goes past the caches. */
static void convert_rows(const convert_plan *plan, cpu_writer *writer, char *dst, const char *src,
                         const int64_t *src_strides, const int64_t *extents)
{
    const cpu_box *box = &plan->box->box;
    int64_t index[NDBUF__MAX_AXES] = {0};
    int64_t run = 1;
    bool is_done = false;
    for (int32_t k = plan->run_axis; k < box->ndim; k++) {
        run *= extents[k];
    }
    while (!is_done) {
        if (writer != NULL && run * plan->converter.dst_nbytes >= STREAMED_RUN_NBYTES) {
            stream_row(plan, writer, dst, src, run);
        } else {
            ndbuf_cpu__convert_row(&plan->converter, dst, src, run);
        }
        is_done = true;
        for (int32_t k = plan->run_axis; k > 0 && is_done;) {
            k--;
            dst += box->dst_strides[k];
            src += src_strides[k];
            is_done = ++index[k] == extents[k];
            if (is_done) {
                dst -= box->dst_strides[k] * extents[k];
                src -= src_strides[k] * extents[k];
                index[k] = 0;
            }
        }
    }
}

static void convert_block(const convert_plan *plan, convert_buffers *buffers, char *dst, const char *src,
                          const int64_t *extents)
{
    const cpu_box *box = &plan->box->box;
    const int64_t *src_strides = box->src_strides;
    int64_t packed_strides[NDBUF__MAX_AXES];
    int64_t nelements = 1; /* to be converted */
    bool is_whole = true;
    for (int32_t k = 0; k < box->ndim; k++) {
        is_whole = is_whole && extents[k] == plan->block[k];
        nelements *= plan->repeats && box->src_strides[k] == 0 ? 1 : extents[k];
    }
    if (plan->packs) {
        block_copy(plan, is_whole ? &plan->pack : NULL, plan_pack, extents, buffers->packed, src);
        pack_strides(plan, extents, plan->converter.src_nbytes, packed_strides);
        src = buffers->packed;
        src_strides = packed_strides;
    }
    if (plan->spreads) {
        ndbuf_cpu__convert_row(&plan->converter, buffers->converted, src, nelements);
        block_copy(plan, is_whole ? &plan->spread : NULL, plan_spread, extents, dst, buffers->converted);
    } else {
        convert_rows(plan, plan->streams ? &buffers->writer : NULL, dst, src, src_strides, extents);
    }
}

static void run_part(void *context, int64_t part)
{
    const convert_plan *plan = context;
    const cpu_box *box = &plan->box->box;
    convert_buffers buffers;
    int64_t index[NDBUF__MAX_AXES] = {0};
    int64_t extents[NDBUF__MAX_AXES] = {0};
    int64_t first;
    int64_t last;
    const uint64_t mode = cpu_float_mode_begin();
    ndbuf_cpu__part_range(plan->ntasks, plan->nparts, part, &first, &last);
    int64_t rest = first;
    for (int32_t k = box->ndim - 1; k >= 0; k--) {
        index[k] = rest % plan->nblocks[k];
        rest /= plan->nblocks[k];
    }
    cpu_writer_init(&buffers.writer);
    for (int64_t task = first; task < last; task++) {
        char *dst = box->dst;
        const char *src = box->src;
        for (int32_t k = 0; k < box->ndim; k++) {
            int64_t begin = index[k] * plan->block[k];
            extents[k] = smaller(plan->block[k], box->shape[k] - begin);
            dst += begin * box->dst_strides[k];
            src += begin * box->src_strides[k];
        }
        convert_block(plan, &buffers, dst, src, extents);
        for (int32_t k = box->ndim - 1; k >= 0 && ++index[k] == plan->nblocks[k]; k--) {
            index[k] = 0;
        }
    }
    if (plan->streams) {
        cpu_writer_finish(&buffers.writer, plan->kernels);
        plan->kernels->stream_end();
    }
    cpu_float_mode_end(mode);
}

static void convert_planned(convert_plan *plan)
{
    const cpu_convert_box *convert = plan->box;
    const cpu_box *box = &convert->box;
    const ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    int64_t nelements = 1;
    for (int32_t k = 0; k < box->ndim; k++) {
        nelements *= box->shape[k];
    }
    /* As a plain copy of the bytes that it moves. */
    int64_t nbytes = nelements * (plan->converter.dst_nbytes + plan->converter.src_nbytes) / 2;
    plan->streams = plan->kernels->stream != NULL && nbytes >= tuning.stream_nbytes;
    plan_blocks(plan);
    plan->pack_tuning = tuning;
    plan->pack_tuning.stream_nbytes = NDBUF_CPU__NEVER;
    plan->pack_tuning.stream_conflict_nbytes = NDBUF_CPU__NEVER;
    plan->pack_tuning.strip_prefetch_nbytes = NDBUF_CPU__NEVER;
    plan->spread_tuning = plan->pack_tuning;
    if (plan->repeats && plan->streams) {
        plan->spread_tuning.stream_nbytes = 1;
    }
    if (plan->packs) {
        plan_pack(plan, plan->block, &plan->pack);
    }
    if (plan->spreads) {
        plan_spread(plan, plan->block, &plan->spread);
    }
    plan->nparts = ndbuf_cpu__parts(plan->ntasks, nbytes, tuning.thread_nbytes, tuning.thread_share_nbytes);
    if (plan->nparts > 1) {
        ndbuf_cpu__pool_run(run_part, plan, plan->nparts);
    } else {
        run_part(plan, 0);
    }
}

/* ---- boxes ---- */

/* Whether the bits of each number stay the same, but for their order. */
static bool keeps_bits(const cpu_convert_box *convert)
{
    const ndbuf_element *dst = &convert->dst_element;
    const ndbuf_element *src = &convert->src_element;
    bool are_alike = ndbuf_cpu__is_integer(dst->number) && ndbuf_cpu__is_integer(src->number) &&
                     dst->nbytes == src->nbytes && (convert->flags & NDBUF_CAST_SATURATE) == 0;
    return dst->is_complex == 0 && src->is_complex == 0 && (are_alike || dst->number == src->number);
}

/* A plain copy, perhaps with another order of bytes. */
static void copy_numbers(const cpu_convert_box *convert)
{
    cpu_box box = convert->box;
    box.unit_nbytes = convert->dst_element.nbytes;
    if ((convert->dst_element.is_swapped != 0) != (convert->src_element.is_swapped != 0) && box.unit_nbytes > 1) {
        box.swap_nbytes = convert->dst_element.nbytes;
    }
    int32_t last = box.ndim - 1;
    if (last >= 0 && box.dst_strides[last] == box.unit_nbytes && box.src_strides[last] == box.unit_nbytes) {
        box.unit_nbytes *= box.shape[last];
        box.ndim--;
    }
    ndbuf_cpu__copy_box(&box);
}

/* One element for all of the destination. */
static void fill_converted(const cpu_convert_box *convert, const cpu_row_converter *converter)
{
    char item[2 * sizeof(long double)];
    const uint64_t mode = cpu_float_mode_begin();
    ndbuf_cpu__convert_row(converter, item, convert->box.src, 1);
    cpu_float_mode_end(mode);
    cpu_box box = convert->box;
    box.src = item;
    box.unit_nbytes = converter->dst_nbytes;
    ndbuf_cpu__fill_box(&box);
}

void ndbuf_cpu__convert_box(const cpu_convert_box *convert)
{
    if (keeps_bits(convert)) {
        copy_numbers(convert);
        return;
    }
    convert_plan plan;
    plan.box = convert;
    plan.kernels = ndbuf_cpu__kernels_get();
    if (!ndbuf_cpu__row_converter_init(&plan.converter, &convert->dst_element, &convert->src_element, convert->flags,
                                       plan.kernels)) {
        return;
    }
    const cpu_box *box = &convert->box;
    const int32_t last = box->ndim - 1;
    int64_t nbytes = plan.converter.dst_nbytes + plan.converter.src_nbytes;
    bool is_one = true;
    for (int32_t k = 0; k < box->ndim; k++) {
        is_one = is_one && box->src_strides[k] == 0;
        nbytes *= box->shape[k];
    }
    if (is_one) {
        fill_converted(convert, &plan.converter);
    } else if (nbytes / 2 < NDBUF_CPU__TUNING_PEEK(stream_nbytes) &&
               nbytes / 2 < NDBUF_CPU__TUNING_PEEK(thread_nbytes) && has_direct_rows(&plan)) {
        const uint64_t mode = cpu_float_mode_begin();
        plan.run_axis = last;
        convert_rows(&plan, NULL, box->dst, box->src, box->src_strides, box->shape);
        cpu_float_mode_end(mode);
    } else {
        convert_planned(&plan);
    }
}
