/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_engine.h"

#include <stdbool.h>

#include "core/float_mode.h"
#include "core/host_records.h"

#include "backends/cpu/cpu_convert_plan.h"
#include "backends/cpu/cpu_repeat.h"

/* Floating-point numbers, which take long one by one, that are worth being brought together. */
#define TOGETHER_MIN 12
/* More elements in short rows are worth a plan. */
#define SHORT_ROWS_ELEMENTS 1024

/* ---- what needs no blocks ---- */

/* One element for all of the destination. */
static void fill_converted(const cpu_convert_box *convert, const cpu_row_converter *converter)
{
    char item[2 * sizeof(long double)];
    const uint64_t mode = ndbuf__float_mode_begin();
    ndbuf_cpu__convert_row(converter, item, convert->box.src, 1);
    ndbuf__float_mode_end(mode);
    cpu_box box = convert->box;
    box.src = item;
    box.unit_nbytes = converter->dst_nbytes;
    ndbuf_cpu__fill_box(&box);
}

/* Whether no thread or write past the caches is worth a plan. */
static bool is_small(const cpu_convert_plan *plan)
{
    return plan->nbytes < NDBUF_CPU__TUNING_PEEK(stream_nbytes) && plan->nbytes < NDBUF_CPU__TUNING_PEEK(thread_nbytes);
}

/* Of `count` elements, as of a plain copy of the bytes that it moves. */
static int64_t moved_nbytes(const cpu_row_converter *converter, int64_t count)
{
    return count * (converter->dst_nbytes + converter->src_nbytes) / 2;
}

/* ---- boxes of numbers ---- */

typedef enum convert_way {
    CONVERT_NOTHING, /* there is no such conversion */
    CONVERT_ONE,     /* element for all */
    CONVERT_ONCE,    /* what is repeated */
    CONVERT_PLANNED, /* all else: in blocks, or at once */
} convert_way;

/* Whether there are rows that are converted where they are, in an order that suits the source, or so few of `count`
 * elements that they are walked. */
static bool has_rows(cpu_convert_plan *plan, int64_t count)
{
    if (ndbuf_cpu__has_direct_rows(plan)) {
        return true;
    }
    cpu_box rows = plan->box->box;
    const bool are_apart = ndbuf_cpu__find_apart_rows(plan, rows.nruns == 0 && count <= SHORT_ROWS_ELEMENTS);
    rows.ndim = plan->run_axis + 1;
    if (are_apart && ndbuf_cpu__follows_last_axis(&rows)) {
        return true;
    }
    const bool are_scattered = ndbuf_cpu__walks_rows(plan);
    plan->walks = are_scattered || count <= CPU_CONVERT_WALKED;
    plan->walks_together = plan->walks && !are_scattered && count >= TOGETHER_MIN && plan->converter.by_steps != NULL &&
                           plan->box->src_element.number >= NDBUF_NUMBER_FLOAT16;
    plan->run_axis = are_scattered ? plan->run_axis : plan->box->box.ndim - 1;
    return plan->walks && !(plan->by_columns && count > CPU_CONVERT_WALKED);
}

/* How a box is converted; plans what is planned. */
static convert_way choose_way(cpu_convert_plan *plan, const cpu_convert_box *convert)
{
    const cpu_box *box = &convert->box;
    plan->box = convert;
    plan->record = NULL;
    plan->streams = false;
    plan->apart = false;
    plan->walks = false;
    plan->by_columns = false;
    plan->walks_together = false;
    plan->repeats = false;
    plan->run_axis = box->ndim - 1;
    plan->kernels = ndbuf_cpu__kernels_get();
    ndbuf_cpu__row_converter_init(&plan->converter, &convert->converter, &convert->dst_element, &convert->src_element,
                                  convert->flags, plan->kernels);
    int64_t count = 1;
    bool is_one = true;
    for (int32_t k = 0; k < box->ndim; k++) {
        is_one = is_one && box->src_strides[k] == 0;
        count *= box->shape[k];
    }
    plan->nbytes = moved_nbytes(&plan->converter, count);
    if (is_one) {
        return CONVERT_ONE;
    }
    if (ndbuf_cpu__repeats_rows(box, plan->converter.dst_nbytes, CPU_CONVERT_BLOCK_NBYTES)) {
        return CONVERT_ONCE;
    }
    plan->at_once = is_small(plan) && has_rows(plan, count);
    if (!plan->at_once) {
        ndbuf_cpu__plan_parts(plan);
    }
    return CONVERT_PLANNED;
}

static void convert_once(const cpu_convert_box *convert)
{
    cpu_convert_box once = *convert;
    int64_t shape[NDBUF__MAX_AXES];
    ndbuf_cpu__shape_once(&convert->box, shape);
    once.box.shape = shape;
    ndbuf_cpu__convert_box(&once);
    ndbuf_cpu__repeat_rows(&convert->box, convert->dst_element.nbytes);
}

void ndbuf_cpu__convert_box(const cpu_convert_box *convert)
{
    cpu_convert_plan plan;
    cpu_row_converter converter;
    cpu_box plain;
    if (ndbuf_cpu__copies_numbers(convert, &plain, &converter)) {
        ndbuf_cpu__copy_box(&plain);
        return;
    }
    switch (choose_way(&plan, convert)) {
    case CONVERT_ONE:
        fill_converted(convert, &plan.converter);
        break;
    case CONVERT_ONCE:
        convert_once(convert);
        break;
    default:
        ndbuf_cpu__run_conversion(&plan, convert->box.dst, convert->box.src);
        break;
    }
}

bool ndbuf_cpu__plan_conversion(cpu_convert_plan *plan, const cpu_convert_box *convert)
{
    return choose_way(plan, convert) == CONVERT_PLANNED;
}

/* ---- boxes of records ---- */

/* A box of merged axes, whose arrays stay theirs. */
static cpu_convert_box box_of_records(const ndbuf__copy_axes *axes, char *dst, const char *src)
{
    return (cpu_convert_box){.box = {.dst = dst,
                                     .src = src,
                                     .ndim = axes->ndim,
                                     .shape = axes->shape,
                                     .dst_strides = axes->dst_strides,
                                     .src_strides = axes->src_strides}};
}

/* How some of the parts are converted; plans what is planned. */
static convert_way choose_way_of_records(cpu_convert_plan *plan, cpu_record *record, const cpu_convert_box *convert,
                                         const ndbuf__copy_axes *axes, const ndbuf__conversion *conversion,
                                         int32_t first)
{
    const cpu_box *box = &convert->box;
    const int32_t last = box->ndim - 1;
    plan->box = convert;
    plan->record = record;
    plan->by_columns = false;
    plan->walks_together = false;
    plan->run_axis = last < 0 ? 0 : last;
    plan->kernels = ndbuf_cpu__kernels_get();
    plan->converter =
        (cpu_row_converter){.dst_nbytes = axes->convert.dst.nbytes, .src_nbytes = axes->convert.src.nbytes};
    if (!ndbuf_cpu__record_init(record, conversion, first, &axes->convert, plan->kernels)) {
        return CONVERT_NOTHING;
    }
    if (record->fills && ndbuf_cpu__repeats_rows(box, record->dst_nbytes, CPU_CONVERT_BLOCK_NBYTES)) {
        return CONVERT_ONCE;
    }
    plan->nbytes = moved_nbytes(&plan->converter, ndbuf__copy_axes_nunits(axes));
    ndbuf_cpu__record_place(record, axes, ndbuf_cpu__packs_records(box, record),
                            plan->nbytes >= NDBUF_CPU__TUNING_PEEK(stream_nbytes));
    plan->at_once = last < 0 || (is_small(plan) && ndbuf_cpu__follows_last_axis(box));
    if (!plan->at_once) {
        ndbuf_cpu__plan_parts(plan);
    }
    return CONVERT_PLANNED;
}

bool ndbuf_cpu__plan_records(cpu_convert_plan *plan, cpu_record *record, cpu_convert_box *convert,
                             const ndbuf__copy_axes *axes, const ndbuf__conversion *conversion)
{
    *convert = box_of_records(axes, NULL, NULL);
    return conversion->nparts <= CPU_RECORD_PARTS &&
           choose_way_of_records(plan, record, convert, axes, conversion, 0) == CONVERT_PLANNED;
}

ndbuf_status ndbuf__host_records_convert(const ndbuf__copy_axes *axes, const ndbuf__conversion *conversion, char *dst,
                                         const char *src, ndbuf_error *err)
{
    const cpu_convert_box convert = box_of_records(axes, dst + axes->dst_offset, src + axes->src_offset);
    cpu_record record;
    cpu_convert_plan plan;
    for (int32_t first = 0; first < conversion->nparts; first += CPU_RECORD_PARTS) {
        const convert_way way = choose_way_of_records(&plan, &record, &convert, axes, conversion, first);
        if (way == CONVERT_NOTHING) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "parts %d and following of a record: no such conversion",
                              (int)first);
        }
        if (way == CONVERT_ONCE) {
            ndbuf__copy_axes once = *axes;
            ndbuf_cpu__shape_once(&convert.box, once.shape);
            const ndbuf_status status = ndbuf__host_records_convert(&once, conversion, dst, src, err);
            ndbuf_cpu__repeat_rows(&convert.box, record.dst_nbytes);
            return status;
        }
        ndbuf_cpu__run_conversion(&plan, convert.box.dst, convert.box.src);
    }
    return NDBUF_OK;
}
