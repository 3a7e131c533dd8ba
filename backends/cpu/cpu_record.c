/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_record.h"

#include <string.h>

#include "backends/cpu/cpu_minmax.h"
#include "core/format_codes.h"

/* Dense elements of a part that are worth being converted item by item. */
#define LONG_RUN 32
/* Of both sides of the items that go together, with their gaps: they stay in the first cache. */
#define CHUNK_NBYTES ((int64_t)20 << 10)
#define CHUNK_ITEMS 512
/* For the numbers of such a chunk before and after they are converted. */
#define ROOM_NBYTES (CHUNK_NBYTES + 2 * CPU_RECORD_PARTS * CPU_RECORD_SLACK_NBYTES)
/* Numbers of so many items, at least and at most, are brought together to be converted; bytes of one. */
#define APART_ITEMS_MIN 8
#define APART_ITEMS 128
#define APART_MAX_NBYTES 16

/* ---- parts ---- */

/* What is behind the last number of a step does not matter. */
static int64_t whole_steps(const cpu_row_converter *converter, int64_t nelements)
{
    return (nelements + converter->step - 1) / converter->step * converter->step;
}

/* Whether numbers of the source become others by leaving bytes out. */
static bool is_cut(const ndbuf__conversion_part *what, uint32_t flags)
{
    return ndbuf_cpu__is_integer(what->dst.number) && ndbuf_cpu__is_integer(what->src.number) &&
           what->dst.number != what->src.number && what->dst.nbytes <= what->src.nbytes &&
           (flags & NDBUF_CAST_SATURATE) == 0;
}

static bool part_init(cpu_record_part *part, const ndbuf__conversion_part *what, uint32_t flags,
                      const cpu_kernels *kernels)
{
    const int32_t nbytes = what->dst.nbytes;
    const bool converts = what->dst.number != what->src.number || what->dst.is_complex != what->src.is_complex;
    const bool is_big_endian = NDBUF__HOST_ORDER == '>';
    part->what = what;
    part->collected = CPU_RECORD_NOTHING;
    part->cuts = is_cut(what, flags);
    /* The low bytes stay, which are the last ones of what is big-endian. */
    part->skipped = part->cuts && what->src.is_swapped != is_big_endian ? what->src.nbytes - nbytes : 0;
    part->row_fn = NULL;
    part->swap_nbytes = 0;
    part->from_at = 0;
    part->to_at = 0;
    part->nelements = 1;
    for (int32_t k = 0; k < what->ndim; k++) {
        part->nelements *= what->shape[k];
    }
    if (converts) {
        ndbuf__converter scalar;
        if (!ndbuf__converter_init(&scalar, &what->dst, &what->src, flags)) {
            return false;
        }
        ndbuf_cpu__row_converter_init(&part->converter, &scalar, &what->dst, &what->src, flags, kernels);
        if (!part->cuts) {
            return true;
        }
    }
    if (what->dst.is_swapped != what->src.is_swapped && nbytes > 1) {
        part->swap_nbytes = nbytes;
    }
    part->row_fn = ndbuf_cpu__row_fn(nbytes, part->swap_nbytes);
    return part->swap_nbytes <= (int32_t)sizeof(int64_t);
}

/* One element of each item, as it becomes, dense in dst, which has room for a step more. */
static void bring_together(const cpu_record *record, const cpu_record_part *part, char *dst, const char *src,
                           int64_t count)
{
    _Alignas(CPU_LINE_NBYTES) char before[APART_ITEMS * APART_MAX_NBYTES + CPU_RECORD_SLACK_NBYTES];
    const cpu_row_converter *converter = &part->converter;
    const int64_t stride = record->src_stride;
    const int64_t src_nbytes = part->what->src.nbytes;
    const int64_t dst_nbytes = part->what->dst.nbytes;
    const bool converts = part->row_fn == NULL || part->cuts;
    if (converts && converter->apart != NULL) {
        ndbuf_cpu__convert_row_apart(converter, dst, src, stride, 2 * stride, count);
    } else if (part->row_fn != NULL) {
        part->row_fn(dst, dst_nbytes, src + part->skipped, stride, count, dst_nbytes);
    } else if (converter->by_steps == NULL) {
        ndbuf__convert_row(&converter->scalar, dst, dst_nbytes, src, stride, count);
    } else {
        const cpu_row_fn gather = ndbuf_cpu__row_fn(src_nbytes, 0);
        for (int64_t done = 0; done < count; done += APART_ITEMS) {
            const int64_t n = cpu_smaller(count - done, APART_ITEMS);
            gather(before, src_nbytes, src + done * stride, stride, n, src_nbytes);
            cpu_convert_steps(converter, dst + done * dst_nbytes, before, whole_steps(converter, n), false);
        }
    }
}

/* One number of each item is converted by vectors. */
static void part_apart(const cpu_record *record, const cpu_record_part *part, char *dst, const char *src, int64_t count)
{
    _Alignas(CPU_LINE_NBYTES) char after[APART_ITEMS * APART_MAX_NBYTES + CPU_RECORD_SLACK_NBYTES];
    const int64_t dst_nbytes = part->converter.dst_nbytes;
    const cpu_row_fn scatter = ndbuf_cpu__row_fn(dst_nbytes, 0);
    while (count > 0) {
        const int64_t n = cpu_smaller(count, APART_ITEMS);
        bring_together(record, part, after, src, n);
        scatter(dst, record->dst_stride, after, dst_nbytes, n, dst_nbytes);
        dst += n * record->dst_stride;
        src += n * record->src_stride;
        count -= n;
    }
}

/* A part of some items by itself. */
static void part_rows(const cpu_record *record, const cpu_record_part *part, char *dst, const char *src, int64_t count)
{
    const ndbuf__conversion_part *what = part->what;
    const int64_t nbytes = what->dst.nbytes;
    int32_t naxes = what->ndim;
    int64_t run = 1;
    if (naxes > 0 && what->shape[naxes - 1] >= LONG_RUN && what->dst_strides[naxes - 1] == nbytes &&
        what->src_strides[naxes - 1] == what->src.nbytes) {
        run = what->shape[--naxes];
    }
    cpu_element_walk walk;
    cpu_element_walk_init(&walk, what);
    do {
        char *to = dst + walk.dst;
        const char *from = src + walk.src;
        if (run == 1 && part->row_fn != NULL) {
            part->row_fn(to, record->dst_stride, from + part->skipped, record->src_stride, count, nbytes);
        } else if (run == 1 && part->converter.by_steps != NULL && count >= APART_ITEMS_MIN &&
                   !part->converter.scalar.is_quick) {
            part_apart(record, part, to, from, count);
        } else if (run == 1) {
            ndbuf__convert_row(&part->converter.scalar, to, record->dst_stride, from, record->src_stride, count);
        } else {
            for (int64_t i = 0; i < count; i++) {
                if (part->row_fn != NULL && !part->cuts) {
                    record->kernels->rows(to, 0, from, 0, 1, run * nbytes, 0, part->swap_nbytes);
                } else {
                    ndbuf_cpu__convert_row(&part->converter, to, from, run);
                }
                to += record->dst_stride;
                from += record->src_stride;
            }
        }
    } while (cpu_element_walk_next(&walk, what, naxes));
}

/* ---- parts that are collected ---- */

enum { TO_DST, FROM_SRC, OF_PARTS, NSTREAMS = OF_PARTS + 2 * CPU_RECORD_PARTS };

static int32_t stream_before(int64_t part)
{
    return OF_PARTS + 2 * (int32_t)part;
}

static int32_t stream_after(int64_t part)
{
    return OF_PARTS + 2 * (int32_t)part + 1;
}

/* Bytes of the source go where they belong. */
static void collect_bytes(const cpu_record_part *part, cpu_item_sources *io_dst)
{
    const ndbuf__conversion_part *what = part->what;
    const int64_t nbytes = what->dst.nbytes;
    const bool is_reversed = nbytes > 1 && what->dst.is_swapped != what->src.is_swapped;
    cpu_element_walk walk;
    cpu_element_walk_init(&walk, what);
    do {
        ndbuf_cpu__sources_put(io_dst, walk.dst, nbytes, FROM_SRC, walk.src + part->skipped, is_reversed);
    } while (cpu_element_walk_next(&walk, what, what->ndim));
}

/* Numbers that are to be converted are brought together; *io_room is the first byte that is free for them. */
static void gather_numbers(cpu_record *record, cpu_record_part *part, cpu_item_sources *io_dst,
                           cpu_item_sources *out_before, int64_t *io_room)
{
    const ndbuf__conversion_part *what = part->what;
    const int64_t dst_nbytes = what->dst.nbytes;
    const int64_t src_nbytes = what->src.nbytes;
    cpu_element_walk walk;
    int64_t nelements = 0;
    out_before->nbytes = part->nelements * src_nbytes;
    out_before->nruns = 0;
    cpu_element_walk_init(&walk, what);
    do {
        ndbuf_cpu__sources_put(out_before, nelements * src_nbytes, src_nbytes, FROM_SRC, walk.src, false);
        ndbuf_cpu__sources_put(io_dst, walk.dst, dst_nbytes, stream_after(part - record->parts), nelements * dst_nbytes,
                               false);
        nelements++;
    } while (cpu_element_walk_next(&walk, what, what->ndim));
    part->from_at = *io_room;
    part->to_at = part->from_at + record->nitems * nelements * src_nbytes + CPU_RECORD_SLACK_NBYTES;
    *io_room = part->to_at + record->nitems * nelements * dst_nbytes + CPU_RECORD_SLACK_NBYTES;
}

/* `most` items lie in a row. False: there is no kernel for it, or that takes too many steps. */
static bool collect_parts(cpu_record *record, int64_t most)
{
    if (record->kernels->collect == NULL || record->dst_nbytes > CPU_COLLECT_MAX_NBYTES ||
        record->src_nbytes > CPU_COLLECT_MAX_NBYTES) {
        return false;
    }
    int64_t steps[NSTREAMS] = {[TO_DST] = record->dst_stride, [FROM_SRC] = record->src_stride};
    const cpu_collect_streams streams = {steps, FROM_SRC, record->src_nbytes};
    cpu_item_sources dst;
    cpu_item_sources before;
    int64_t room = 0;
    dst.nbytes = record->dst_nbytes;
    dst.nruns = 0;
    for (int32_t i = 0; i < record->nparts; i++) {
        cpu_record_part *part = &record->parts[i];
        if (part->row_fn != NULL) {
            collect_bytes(part, &dst);
            part->collected = CPU_RECORD_BYTES;
        } else if (part->converter.by_steps != NULL) {
            gather_numbers(record, part, &dst, &before, &room);
            part->collected = CPU_RECORD_NUMBERS;
            steps[stream_before(i)] = part->nelements * part->what->src.nbytes;
            steps[stream_after(i)] = part->nelements * part->what->dst.nbytes;
            if (!ndbuf_cpu__collects_add(&record->collects, &before, stream_before(i), most, &streams)) {
                return false;
            }
        }
    }
    record->ngathers = record->collects.count;
    return ndbuf_cpu__collects_add(&record->collects, &dst, TO_DST, most, &streams);
}

/* Whether numbers are rather brought together stream by stream: of items that lie so far apart that a vector holds but
 * one of them. */
static bool takes_streams(const cpu_record *record)
{
    const int64_t stride = ndbuf__stride_magnitude(record->src_stride);
    return ndbuf_cpu__record_has_streams(record) && stride + record->src_nbytes > CPU_VECTOR_MAX;
}

bool ndbuf_cpu__record_init(cpu_record *out_record, const ndbuf__conversion *conversion, int32_t first,
                            const ndbuf__convert *sizes, const cpu_kernels *kernels)
{
    cpu_record *record = out_record;
    int64_t written = 0;
    record->kernels = kernels;
    record->dst_nbytes = sizes->dst.nbytes;
    record->src_nbytes = sizes->src.nbytes;
    record->nparts = (int32_t)cpu_smaller(conversion->nparts - first, CPU_RECORD_PARTS);
    for (int32_t i = 0; i < record->nparts; i++) {
        const ndbuf__conversion_part *what = &conversion->parts[first + i];
        if (!part_init(&record->parts[i], what, conversion->flags, kernels)) {
            return false;
        }
        written += record->parts[i].nelements * what->dst.nbytes;
    }
    record->fills = written == record->dst_nbytes;
    return true;
}

/* What an item takes of a cache, with the gap behind it, but for lines that nobody reads. */
static int64_t place_nbytes(int64_t nbytes, int64_t stride)
{
    return cpu_larger(nbytes, cpu_smaller(ndbuf__stride_magnitude(stride), CPU_LINE_NBYTES));
}

void ndbuf_cpu__record_place(cpu_record *record, const ndbuf__copy_axes *axes, bool is_packed, bool is_large)
{
    const int32_t last = axes->ndim - 1;
    const int64_t dst_stride = last >= 0 ? axes->dst_strides[last] : record->dst_nbytes;
    const int64_t src_stride = last >= 0 && !is_packed ? axes->src_strides[last] : record->src_nbytes;
    int64_t begin;
    int64_t end;
    ndbuf__copy_axes_range(axes, false, &begin, &end);
    record->is_packed = is_packed;
    record->src_end = end - axes->src_offset;
    const int64_t nbytes = place_nbytes(record->dst_nbytes, dst_stride) + place_nbytes(record->src_nbytes, src_stride);
    record->dst_stride = dst_stride;
    record->src_stride = src_stride;
    record->nitems = nbytes < CHUNK_NBYTES ? cpu_smaller(CHUNK_NBYTES / nbytes, CHUNK_ITEMS) : 1;
    const int64_t most = is_packed ? record->nitems : last >= 0 ? axes->shape[last] : 1; /* in a row */
    const int64_t nitems = ndbuf__copy_axes_nunits(axes);
    record->prefetch_nbytes = !is_large ? 0 : src_stride < 0 ? -CPU_CONVERT_AHEAD_NBYTES : CPU_CONVERT_AHEAD_NBYTES;
    record->ngathers = 0;
    record->collects.count = 0;
    record->collects.least = 1;
    record->lane_items = 0;
    if (takes_streams(record)) {
        ndbuf_cpu__record_find_lanes(record, most, nitems);
    }
    if (record->lane_items == 0 && !collect_parts(record, cpu_smaller(most, record->nitems))) {
        record->collects.count = 0;
        for (int32_t i = 0; i < record->nparts; i++) {
            record->parts[i].collected = CPU_RECORD_NOTHING;
        }
        ndbuf_cpu__record_find_lanes(record, most, nitems);
    }
}

/* ---- rows ---- */

static void collect_items(const cpu_record *record, char *room, char *dst, const char *src, int64_t count,
                          const char *src_end)
{
    const char *highest = src + (record->src_stride > 0 ? record->src_stride * (count - 1) : 0) + record->src_nbytes;
    const bool goes_on = src_end == NULL || src_end - highest >= CPU_VECTOR_MAX;
    char *streams[NSTREAMS];
    streams[TO_DST] = dst;
    streams[FROM_SRC] = (char *)src; /* which is only read */
    for (int32_t i = 0; i < record->nparts; i++) {
        streams[stream_before(i)] = room + record->parts[i].from_at;
        streams[stream_after(i)] = room + record->parts[i].to_at;
    }
    ndbuf_cpu__collects_run(&record->collects, record->kernels, 0, record->ngathers, streams, count, goes_on,
                            record->prefetch_nbytes);
    for (int32_t i = 0; i < record->nparts; i++) {
        const cpu_record_part *part = &record->parts[i];
        if (part->collected == CPU_RECORD_NUMBERS) {
            cpu_convert_steps(&part->converter, streams[stream_after(i)], streams[stream_before(i)],
                              whole_steps(&part->converter, count * part->nelements), false);
        }
    }
    ndbuf_cpu__collects_run(&record->collects, record->kernels, record->ngathers, record->collects.count, streams,
                            count, goes_on, record->ngathers > 0 ? 0 : record->prefetch_nbytes);
}

/* The numbers of some rows, each stream of them by itself, in room. */
static void bring_streams(const cpu_record *record, char *room, const char *src, int64_t count, int64_t nrows,
                          int64_t row_stride)
{
    const int64_t share = record->lane_streams > 0 ? (count + record->lane_streams - 1) / record->lane_streams : 0;
    const char *ahead = src + record->prefetch_nbytes;
    for (int32_t i = 0; i < record->nparts; i++) {
        const cpu_record_part *part = &record->parts[i];
        const int64_t row_nbytes = count * part->what->dst.nbytes;
        cpu_element_walk walk;
        cpu_element_walk_init(&walk, part->what);
        do {
            cpu_prefetch_apart(ahead, record->src_stride, share);
            ahead += share * record->src_stride;
            for (int64_t row = 0; row < nrows; row++) {
                bring_together(record, part, room + row * row_nbytes, src + row * row_stride + walk.src, count);
            }
            room += record->lane_pitch;
        } while (cpu_element_walk_next(&walk, part->what, part->what->ndim));
    }
}

/* Some rows that are one behind the other in the destination. The last block takes some items once more. */
static void run_lanes(const cpu_record *record, char *room, char *dst, const char *src, int64_t count, int64_t nrows,
                      int64_t row_stride)
{
    const int64_t nitems = record->lane_items;
    const int64_t all = count * nrows;
    int64_t step = record->src_stride;
    int64_t prefetch_nbytes = record->prefetch_nbytes;
    if (record->lane_pitch != 0) {
        bring_streams(record, room, src, count, nrows, row_stride);
        src = room;
        step = CPU_LANE_NBYTES / nitems;
        prefetch_nbytes = 0;
    }
    record->lane_blocks(&record->lanes, dst, nitems * record->dst_stride, src, nitems * step, all / nitems,
                        prefetch_nbytes);
    if (all % nitems > 0) {
        record->lane_blocks(&record->lanes, dst + (all - nitems) * record->dst_stride, 0, src + (all - nitems) * step,
                            0, 1, 0);
    }
}

void ndbuf_cpu__record_rows(const cpu_record *record, char *dst, const char *src, int64_t count, int64_t nrows,
                            int64_t row_stride)
{
    _Alignas(CPU_LINE_NBYTES) char room[ROOM_NBYTES];
    while (nrows > 0) {
        const int64_t n = cpu_smaller(nrows, record->nitems / count);
        run_lanes(record, room, dst, src, count, n, row_stride);
        dst += n * count * record->dst_stride;
        src += n * row_stride;
        nrows -= n;
    }
}

void ndbuf_cpu__record_row(const cpu_record *record, char *dst, const char *src, int64_t count, const char *src_end)
{
    _Alignas(CPU_LINE_NBYTES) char room[ROOM_NBYTES];
    while (count > 0) {
        const int64_t n = cpu_smaller(count, record->nitems);
        const bool collects = record->collects.count > 0 && n >= record->collects.least;
        if (collects) {
            collect_items(record, room, dst, src, n, src_end);
        }
        const bool has_lanes = record->lane_items > 0 && n >= record->lane_items;
        if (has_lanes) {
            run_lanes(record, room, dst, src, n, 1, 0);
        }
        for (int32_t i = 0; i < record->nparts; i++) {
            if (!has_lanes && (!collects || record->parts[i].collected == CPU_RECORD_NOTHING)) {
                part_rows(record, &record->parts[i], dst, src, n);
            }
        }
        dst += n * record->dst_stride;
        src += n * record->src_stride;
        count -= n;
    }
}
