/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_convert_plan.h"

#include <string.h>

#include "core/float_mode.h"

#include "backends/cpu/cpu_engine.h"
#include "backends/cpu/cpu_minmax.h"
#include "backends/cpu/cpu_pool.h"
#include "backends/cpu/cpu_run.h"
#include "backends/cpu/cpu_writer.h"

/* Records of which a writer that goes past the caches holds some. */
#define STREAMED_RECORD_NBYTES (CPU_WRITER_NBYTES / 4)
/* Of a gathered row that are converted together: where elements are left out, and where they are reversed. */
#define SPARSE_PIECE_NBYTES 4096
#define REVERSED_PIECE_NBYTES 1536
/* Less is collected, until there is more to be written past the caches. */
#define STREAMED_PIECE_MIN 1024
/* Of numbers that lie apart that are prefetched and converted together; even, as pairs are not divided. */
#define APART_ITEMS 64

/* Of the source and the destination. */
static int64_t larger_nbytes(const cpu_row_converter *converter)
{
    return converter->dst_nbytes > converter->src_nbytes ? converter->dst_nbytes : converter->src_nbytes;
}

/* Strides of a packed block of these extents. */
static void pack_strides(const cpu_convert_plan *plan, const int64_t *extents, int64_t nbytes, int64_t *out_strides)
{
    const cpu_box *box = &plan->box->box;
    int32_t k = box->ndim; /* at least 1 */
    do {
        k--;
        const bool is_repeated = plan->repeats && box->src_strides[k] == 0;
        out_strides[k] = is_repeated ? 0 : nbytes;
        nbytes *= is_repeated ? 1 : extents[k];
    } while (k > 0);
}

static void plan_copy(const cpu_convert_plan *plan, const ndbuf__copy_axes *axes, const ndbuf_cpu__tuning *tuning,
                      int64_t nruns, cpu_plan *out_plan)
{
    const cpu_box box = {.ndim = axes->ndim,
                         .unit_nbytes = axes->unit_nbytes,
                         .shape = axes->shape,
                         .dst_strides = axes->dst_strides,
                         .src_strides = axes->src_strides,
                         .nruns = nruns};
    ndbuf_cpu__plan_make(out_plan, &box, plan->kernels, tuning);
}

/* A block of the source is brought together in the order of the destination. */
static void plan_pack(const cpu_convert_plan *plan, const int64_t *extents, int64_t nruns, cpu_plan *out_plan)
{
    const cpu_box *box = &plan->box->box;
    int64_t strides[NDBUF__MAX_AXES];
    ndbuf__copy_axes axes;
    ndbuf__copy_axes_init(&axes, plan->converter.src_nbytes, 0, NULL, NULL, NULL);
    pack_strides(plan, extents, plan->converter.src_nbytes, strides);
    for (int32_t k = 0; k < box->ndim; k++) {
        if (!plan->repeats || box->src_strides[k] != 0) {
            ndbuf__copy_axes_append(&axes, extents[k], strides[k], box->src_strides[k]);
        }
    }
    ndbuf__copy_axes_merge(&axes);
    plan_copy(plan, &axes, &plan->pack_tuning, nruns, out_plan);
    if (out_plan->kind == CPU_PLAN_GATHER && plan->streams) {
        out_plan->prefetch_nbytes = out_plan->row.src_stride < 0 ? -CPU_CONVERT_AHEAD_NBYTES : CPU_CONVERT_AHEAD_NBYTES;
    }
}

/* What was converted, in the order in which the source lies or was packed, goes where it belongs. */
static void plan_spread(const cpu_convert_plan *plan, const int64_t *extents, int64_t nruns, cpu_plan *out_plan)
{
    const cpu_box *box = &plan->box->box;
    int64_t strides[NDBUF__MAX_AXES];
    ndbuf__copy_axes axes;
    ndbuf__copy_axes_init(&axes, plan->converter.dst_nbytes, 0, NULL, NULL, NULL);
    pack_strides(plan, extents, plan->converter.dst_nbytes, strides);
    for (int32_t k = 0; k < box->ndim; k++) {
        const int64_t stride =
            plan->packs ? strides[k] : box->src_strides[k] / plan->converter.src_nbytes * plan->converter.dst_nbytes;
        ndbuf__copy_axes_append(&axes, extents[k], box->dst_strides[k], stride);
    }
    ndbuf__copy_axes_merge(&axes);
    plan_copy(plan, &axes, &plan->spread_tuning, nruns, out_plan);
    if (out_plan->kind == CPU_PLAN_SCATTER && plan->streams) {
        out_plan->prefetch_nbytes = plan->spread_tuning.scatter_prefetch_nbytes;
    }
}

typedef void (*plan_copy_fn)(const cpu_convert_plan *plan, const int64_t *extents, int64_t nruns, cpu_plan *out_plan);

/* Copies a block, by the plan that was made for it if it is a whole one; `next` as for ndbuf_cpu__plan_run. */
static void block_copy(const cpu_convert_plan *plan, const cpu_plan *made, plan_copy_fn make, const int64_t *extents,
                       char *dst, const char *src, const char *next)
{
    cpu_plan other;
    if (made == NULL) {
        make(plan, extents, 1, &other);
        made = &other;
    }
    ndbuf_cpu__plan_run(made, plan->kernels, make == plan_pack ? &plan->pack_tuning : &plan->spread_tuning, dst, src, 0,
                        made->ntasks, next);
}

/* ---- blocks ---- */

typedef struct convert_buffers {
    cpu_writer writer;
    _Alignas(CPU_LINE_NBYTES) char packed[CPU_CONVERT_BLOCK_NBYTES];
    _Alignas(CPU_LINE_NBYTES) char converted[CPU_CONVERT_BLOCK_NBYTES];
} convert_buffers;

/* A run of a plan, by one thread. */
typedef struct convert_run {
    const cpu_convert_plan *plan;
    cpu_writer *writer;  /* NULL: nothing goes past the caches */
    const char *src_end; /* as ndbuf_cpu__record_row takes it */
} convert_run;

static void convert_row(const convert_run *run, char *dst, const char *src, int64_t count)
{
    const cpu_convert_plan *plan = run->plan;
    if (plan->record != NULL) {
        ndbuf_cpu__record_row(plan->record, dst, src, count, run->src_end);
    } else if (plan->walks) {
        const cpu_box *box = &plan->box->box;
        ndbuf__convert_row(&plan->converter.scalar, dst, box->dst_strides[plan->run_axis], src,
                           box->src_strides[plan->run_axis], plan->converter.scalar.converts_pairs ? count / 2 : count);
    } else if (plan->apart) {
        ndbuf_cpu__convert_row_apart(&plan->converter, dst, src, plan->gap, plan->stride, count);
    } else {
        ndbuf_cpu__convert_row(&plan->converter, dst, src, count);
    }
}

/* Numbers that lie apart, upwards, are converted some at a time, so that what is prefetched with them is not too much
 * at once. */
static void stream_apart(const convert_run *run, char *dst, const char *src, int64_t count)
{
    const cpu_convert_plan *plan = run->plan;
    cpu_writer *writer = run->writer;
    const int64_t dst_nbytes = plan->converter.dst_nbytes;
    cpu_writer_seek(writer, plan->kernels, dst);
    while (count > 0) {
        const int64_t n = cpu_smaller(count, APART_ITEMS);
        cpu_prefetch_apart(src + CPU_CONVERT_AHEAD_NBYTES, plan->stride, n / 2);
        if (cpu_writer_room(writer) < n * dst_nbytes) {
            cpu_writer_flush(writer, plan->kernels);
        }
        ndbuf_cpu__convert_row_apart(&plan->converter, cpu_writer_place(writer), src, plan->gap, plan->stride, n);
        cpu_writer_commit(writer, n * dst_nbytes);
        src += n / 2 * plan->stride; /* n is even, or the last one */
        count -= n;
    }
}

/* A row past the caches; by way of a writer, where it is short or the converter itself cannot. */
static void stream_row(const convert_run *run, char *dst, const char *src, int64_t count)
{
    const cpu_convert_plan *plan = run->plan;
    const cpu_row_converter *converter = &plan->converter;
    cpu_writer *writer = run->writer;
    if (plan->apart) {
        stream_apart(run, dst, src, count);
        return;
    }
    if (ndbuf_cpu__streams_row(converter, dst) && count * converter->dst_nbytes >= STREAMED_PIECE_MIN) {
        ndbuf_cpu__convert_row_streamed(converter, dst, src, count);
        return;
    }
    cpu_writer_seek(writer, plan->kernels, dst);
    while (count > 0) {
        int64_t n = cpu_smaller(count, cpu_writer_room(writer) / converter->dst_nbytes);
        convert_row(run, cpu_writer_place(writer), src, n);
        cpu_writer_commit(writer, n * converter->dst_nbytes);
        cpu_writer_flush(writer, plan->kernels);
        src += n * (plan->record != NULL ? plan->record->src_stride : converter->src_nbytes);
        count -= n;
    }
}

/* Short rows, a number of each after the other. */
static void convert_columns(const cpu_convert_plan *plan, char *dst, const char *src, int64_t count, int64_t nrows)
{
    const cpu_box *box = &plan->box->box;
    const int64_t *dst_strides = box->dst_strides + plan->run_axis;
    const int64_t *src_strides = box->src_strides + plan->run_axis;
    for (int64_t i = 0; i < count; i++) {
        ndbuf__convert_row(&plan->converter.scalar, dst + i * dst_strides[0], dst_strides[-1], src + i * src_strides[0],
                           src_strides[-1], nrows);
    }
}

/* The rows of a block; src_strides are those of the block as it is read. */
static void convert_rows(const convert_run *run, char *dst, const char *src, const int64_t *src_strides,
                         const int64_t *extents)
{
    const cpu_convert_plan *plan = run->plan;
    const cpu_box *box = &plan->box->box;
    int64_t index[NDBUF__MAX_AXES];
    int64_t count = 1; /* in a row */
    int32_t naxes = plan->run_axis;
    bool is_done = false;
    for (int32_t k = naxes; k < box->ndim; k++) {
        count *= extents[k];
    }
    const bool joins = naxes > 0 && plan->record != NULL && run->writer == NULL &&
                       box->dst_strides[naxes - 1] == count * plan->record->dst_nbytes &&
                       cpu_record_joins_rows(plan->record, count);
    const bool streams =
        run->writer != NULL && !joins && ndbuf_cpu__pays_to_stream(box, dst, naxes, count * plan->converter.dst_nbytes);
    naxes -= naxes > 0;
    const bool are_dense = plan->record == NULL && !plan->walks && !plan->apart;
    const bool is_one = plan->run_axis == 0;
    const int64_t nrows = is_one ? 1 : extents[naxes]; /* of the innermost axis that is none of a row's */
    const int64_t dst_stride = is_one ? 0 : box->dst_strides[naxes];
    const int64_t src_stride = is_one ? 0 : src_strides[naxes];
    for (int32_t k = 0; k < naxes; k++) {
        index[k] = 0;
    }
    while (!is_done) {
        if (plan->by_columns) {
            convert_columns(plan, dst, src, count, nrows);
        } else if (joins) {
            ndbuf_cpu__record_rows(plan->record, dst, src, count, nrows, src_stride);
        } else if (streams) {
            for (int64_t i = 0; i < nrows; i++) {
                stream_row(run, dst + i * dst_stride, src + i * src_stride, count);
            }
        } else if (are_dense) {
            ndbuf_cpu__convert_rows(&plan->converter, dst, dst_stride, src, src_stride, nrows, count);
        } else {
            for (int64_t i = 0; i < nrows; i++) {
                convert_row(run, dst + i * dst_stride, src + i * src_stride, count);
            }
        }
        is_done = true;
        for (int32_t k = naxes; k > 0 && is_done;) {
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

/* A block that is one row of a GATHER, past the caches: each piece leaves while the next one is read. */
static void convert_gathered(const convert_run *run, convert_buffers *buffers, char *dst, const char *src,
                             int64_t nelements, const char *next)
{
    const cpu_convert_plan *plan = run->plan;
    const cpu_row_converter *converter = &plan->converter;
    const cpu_plan *pack = &plan->pack;
    const int64_t nbytes = pack->unit_nbytes * pack->group_units; /* at each index of the row */
    const int64_t unit_elements = nbytes / converter->src_nbytes;
    const bool is_sparse = ndbuf__stride_magnitude(pack->row.src_stride) > nbytes;
    const int64_t piece =
        (is_sparse ? SPARSE_PIECE_NBYTES : REVERSED_PIECE_NBYTES) / (unit_elements * larger_nbytes(converter));
    cpu_run gather;
    gather.plan = pack;
    gather.kernels = plan->kernels;
    gather.tuning = &plan->pack_tuning;
    gather.prefetch_nbytes = next != NULL ? next - src : pack->prefetch_nbytes;
    for (int64_t left = nelements / unit_elements; left > 0;) {
        const int64_t count = cpu_smaller(left, piece);
        const cpu_piece gathered = {.dst = buffers->packed, .src = src, .count = count, .ncolumns = 1, .ahead = left};
        ndbuf_cpu__run_gather(&gather, &gathered, CPU_VECTOR_MAX);
        stream_row(run, dst, buffers->packed, count * unit_elements);
        dst += count * unit_elements * converter->dst_nbytes;
        src += count * pack->row.src_stride;
        left -= count;
    }
}

/* `next` is where the next block is read; NULL: right behind this one, or there is none. */
static void convert_block(const convert_run *run, convert_buffers *buffers, char *dst, const char *src,
                          const int64_t *extents, const char *next)
{
    const cpu_convert_plan *plan = run->plan;
    const cpu_box *box = &plan->box->box;
    const int64_t *src_strides = box->src_strides;
    int64_t packed_strides[NDBUF__MAX_AXES];
    int64_t nelements = 1; /* to be converted */
    bool is_whole = true;
    for (int32_t k = 0; k < box->ndim; k++) {
        is_whole = is_whole && extents[k] == plan->block[k];
        nelements *= plan->repeats && box->src_strides[k] == 0 ? 1 : extents[k];
    }
    if (run->writer != NULL && plan->gathers && is_whole) {
        convert_gathered(run, buffers, dst, src, nelements, next);
        return;
    }
    if (plan->packs) {
        block_copy(plan, is_whole ? &plan->pack : NULL, plan_pack, extents, buffers->packed, src, next);
        pack_strides(plan, extents, plan->converter.src_nbytes, packed_strides);
        src = buffers->packed;
        src_strides = packed_strides;
    }
    if (plan->spreads) {
        const cpu_row_converter *converter = &plan->converter;
        ndbuf_cpu__convert_row(converter, buffers->converted, src + plan->src_lowest, nelements);
        block_copy(plan, is_whole ? &plan->spread : NULL, plan_spread, extents, dst,
                   buffers->converted - plan->src_lowest / converter->src_nbytes * converter->dst_nbytes, NULL);
    } else {
        convert_rows(run, dst, src, src_strides, extents);
    }
}

typedef struct divided_conversion {
    const cpu_convert_plan *plan;
    char *dst;
    const char *src;
    int64_t nparts;
} divided_conversion;

/* Where the block of these indices is read. */
static const char *block_src(const divided_conversion *conversion, const int64_t *index)
{
    const cpu_convert_plan *plan = conversion->plan;
    const char *src = conversion->src;
    for (int32_t k = 0; k < plan->box->box.ndim; k++) {
        src += index[k] * plan->block[k] * plan->box->box.src_strides[k];
    }
    return src;
}

/* Behind which nothing of the source is read, which begins at src, by records. */
static const char *src_end(const cpu_convert_plan *plan, const char *src)
{
    return plan->record != NULL ? cpu_record_end(plan->record, src) : NULL;
}

static void run_part(void *context, int64_t part)
{
    const divided_conversion *conversion = context;
    const cpu_convert_plan *plan = conversion->plan;
    const cpu_box *box = &plan->box->box;
    convert_buffers buffers;
    int64_t index[NDBUF__MAX_AXES] = {0};
    int64_t extents[NDBUF__MAX_AXES] = {0};
    int64_t first;
    int64_t last;
    const uint64_t mode = ndbuf__float_mode_begin();
    ndbuf_cpu__part_range(plan->ntasks, conversion->nparts, part, &first, &last);
    int64_t rest = first;
    for (int32_t k = box->ndim - 1; k >= 0; k--) {
        index[k] = rest % plan->nblocks[k];
        rest /= plan->nblocks[k];
    }
    cpu_writer_init(&buffers.writer);
    const convert_run run = {
        .plan = plan, .writer = plan->streams ? &buffers.writer : NULL, .src_end = src_end(plan, conversion->src)};
    for (int64_t task = first; task < last; task++) {
        char *dst = conversion->dst;
        const char *src = block_src(conversion, index);
        bool goes_on = true; /* along the last axis */
        for (int32_t k = 0; k < box->ndim; k++) {
            int64_t begin = index[k] * plan->block[k];
            extents[k] = cpu_smaller(plan->block[k], box->shape[k] - begin);
            dst += begin * box->dst_strides[k];
        }
        for (int32_t k = box->ndim - 1; k >= 0 && ++index[k] == plan->nblocks[k]; k--) {
            index[k] = 0;
            goes_on = false;
        }
        convert_block(&run, &buffers, dst, src, extents,
                      plan->streams && !goes_on && task + 1 < last ? block_src(conversion, index) : NULL);
    }
    if (plan->streams) {
        cpu_writer_finish(&buffers.writer, plan->kernels);
        plan->kernels->stream_end();
    }
    ndbuf__float_mode_end(mode);
}

/* A writer takes dense items, without gaps. */
static bool can_stream_records(const cpu_record *record)
{
    return record->fills && record->dst_stride == record->dst_nbytes && record->dst_nbytes <= STREAMED_RECORD_NBYTES;
}

/* Whether a block is dense in the destination. */
static bool is_one_run(const cpu_convert_plan *plan)
{
    int32_t k = 0;
    while (k < plan->run_axis && plan->block[k] == 1) {
        k++;
    }
    return k == plan->run_axis;
}

void ndbuf_cpu__plan_parts(cpu_convert_plan *plan)
{
    const cpu_convert_box *convert = plan->box;
    const cpu_box *box = &convert->box;
    const ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
    plan->streams = plan->kernels->stream != NULL && plan->nbytes >= tuning.stream_nbytes &&
                    (plan->record == NULL || can_stream_records(plan->record));
    ndbuf_cpu__plan_blocks(plan);
    const int64_t nruns = plan->ntasks * (box->nruns > 0 ? box->nruns : 1);
    plan->pack_tuning = tuning;
    plan->pack_tuning.stream_nbytes = NDBUF_CPU__NEVER;
    plan->pack_tuning.stream_conflict_nbytes = NDBUF_CPU__NEVER;
    plan->pack_tuning.stream_direct_nbytes = NDBUF_CPU__NEVER;
    plan->pack_tuning.stream_parts_nbytes = NDBUF_CPU__NEVER;
    plan->pack_tuning.strip_prefetch_nbytes = NDBUF_CPU__NEVER;
    plan->spread_tuning = plan->pack_tuning;
    if (plan->streams) { /* from memory */
        plan->pack_tuning.strip_prefetch_nbytes = 0;
    }
    if (plan->repeats && plan->streams) {
        plan->spread_tuning.stream_nbytes = 1;
    }
    if (plan->packs) {
        plan_pack(plan, plan->block, nruns, &plan->pack);
    }
    if (plan->spreads) {
        plan_spread(plan, plan->block, nruns, &plan->spread);
    }
    plan->gathers = plan->streams && plan->packs && !plan->spreads && plan->record == NULL && is_one_run(plan) &&
                    plan->pack.kind == CPU_PLAN_GATHER && plan->pack.nloops == 0 && plan->pack.column.extent == 1;
}

/* A few elements, brought together and spread one by one where they are not dense. */
static void convert_together(const cpu_convert_plan *plan, char *dst, const char *src)
{
    _Alignas(CPU_LINE_NBYTES) char before[CPU_CONVERT_WALKED * CPU_CONVERT_ITEM_MAX];
    _Alignas(CPU_LINE_NBYTES) char after[CPU_CONVERT_WALKED * CPU_CONVERT_ITEM_MAX];
    const cpu_box *box = &plan->box->box;
    const cpu_row_converter *converter = &plan->converter;
    int64_t src_strides[NDBUF__MAX_AXES];
    int64_t dst_strides[NDBUF__MAX_AXES];
    int64_t count = 1;
    for (int32_t k = 0; k < box->ndim; k++) {
        count *= box->shape[k];
    }
    const size_t strides_nbytes = (size_t)box->ndim * sizeof(int64_t);
    pack_strides(plan, box->shape, converter->src_nbytes, src_strides);
    pack_strides(plan, box->shape, converter->dst_nbytes, dst_strides);
    if (memcmp(box->src_strides, src_strides, strides_nbytes) != 0) {
        cpu_box together = *box;
        together.unit_nbytes = converter->src_nbytes;
        together.dst = before;
        together.src = src;
        together.dst_strides = src_strides;
        ndbuf_cpu__copy_small(&together, plan->kernels);
        src = before;
    }
    if (memcmp(box->dst_strides, dst_strides, strides_nbytes) == 0) {
        ndbuf_cpu__convert_row(converter, dst, src, count);
        return;
    }
    cpu_box spread = *box;
    ndbuf_cpu__convert_row(converter, after, src, count);
    spread.unit_nbytes = converter->dst_nbytes;
    spread.dst = dst;
    spread.src = after;
    spread.src_strides = dst_strides;
    ndbuf_cpu__copy_small(&spread, plan->kernels);
}

static void convert_at_once(const cpu_convert_plan *plan, char *dst, const char *src)
{
    const cpu_box *box = &plan->box->box;
    const uint64_t mode = ndbuf__float_mode_begin();
    const convert_run run = {.plan = plan, .src_end = src_end(plan, src)};
    if (plan->walks_together) {
        convert_together(plan, dst, src);
    } else {
        convert_rows(&run, dst, src, box->src_strides, box->shape);
    }
    ndbuf__float_mode_end(mode);
}

void ndbuf_cpu__run_conversion(const cpu_convert_plan *plan, char *dst, const char *src)
{
    if (plan->at_once) {
        convert_at_once(plan, dst, src);
        return;
    }
    const ndbuf_cpu__tuning *tuning = &plan->pack_tuning;
    divided_conversion conversion = {.plan = plan, .dst = dst, .src = src};
    conversion.nparts =
        ndbuf_cpu__parts(plan->ntasks, plan->nbytes, tuning->thread_nbytes, tuning->thread_share_nbytes);
    if (conversion.nparts > 1) {
        ndbuf_cpu__pool_run(run_part, &conversion, conversion.nparts);
    } else {
        run_part(&conversion, 0);
    }
}
