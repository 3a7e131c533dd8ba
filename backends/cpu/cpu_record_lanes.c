/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "backends/cpu/cpu_minmax.h"
#include "backends/cpu/cpu_plan.h"
#include "backends/cpu/cpu_record.h"

/* Blocks of dense items without padding, put together from windows of 16 bytes. */

/* Streams of numbers; each has a window, and lies so far behind the one before it as the block sees them. */
#define MOST_STREAMS 4
#define STREAM_DISTANCE ((int64_t)2 * CPU_LANE_NBYTES)
/* Items that are worth finding out how, and blocks of a row that are worth starting. */
#define LANE_ITEMS_MIN 64
#define LANE_BLOCKS_MIN 2
/* Of numbers from memory: the items that go together, so that no stream of them has to prefetch too many lines. */
#define PREFETCHED_ITEMS 128

/* Elements of an item. */
static int64_t count_elements(const cpu_record *record)
{
    int64_t count = 0;
    for (int32_t i = 0; i < record->nparts; i++) {
        count += record->parts[i].nelements;
    }
    return count;
}

/* Tries blocks of `nitems` items, whose bytes come from `sources`. False: they take more than one element after the
 * other. */
static bool try_block(cpu_record *record, const uint8_t *sources, int64_t nitems, int64_t src_span)
{
    const int64_t dst_span = nitems * record->dst_nbytes;
    const cpu_kernels *kernels = record->kernels;
    while (kernels != NULL && (kernels->lane_blocks == NULL || kernels->lanes_nbytes > dst_span)) {
        kernels = kernels->narrower;
    }
    if (kernels == NULL || !ndbuf_cpu__lane_block(&record->lanes, sources, dst_span, src_span, kernels->lanes_nbytes) ||
        record->lanes.nout * record->lanes.nin >= nitems * count_elements(record)) {
        return false;
    }
    record->lane_blocks = kernels->lane_blocks;
    record->lane_items = nitems;
    return true;
}

/* The bytes of an element, at `to` in a block, from `from` in what is read. */
static void put_element(uint8_t *sources, int64_t to, int64_t from, int64_t nbytes, bool is_reversed)
{
    for (int64_t byte = 0; byte < nbytes; byte++) {
        sources[to + byte] = (uint8_t)(from + (is_reversed ? nbytes - 1 - byte : byte));
    }
}

/* Bytes of the source, in blocks whose vectors share their windows. */
static void find_byte_lanes(cpu_record *record)
{
    uint8_t sources[CPU_SHARED_NBYTES];
    const int64_t stride = record->src_stride;
    const int64_t step = stride < 0 ? -stride : stride;
    int64_t nitems = CPU_SHARED_NBYTES / record->dst_nbytes;
    if (step > 0) {
        nitems = cpu_smaller(nitems, (CPU_SHARED_NBYTES - record->src_nbytes) / step + 1);
    }
    if (nitems < 1 || record->src_nbytes > CPU_SHARED_NBYTES) {
        return;
    }
    const int64_t lowest = stride < 0 ? (nitems - 1) * stride : 0;
    for (int32_t i = 0; i < record->nparts; i++) {
        const cpu_record_part *part = &record->parts[i];
        cpu_element_walk walk;
        cpu_element_walk_init(&walk, part->what);
        do {
            for (int64_t item = 0; item < nitems; item++) {
                put_element(sources, item * record->dst_nbytes + walk.dst,
                            item * stride + walk.src + part->skipped - lowest, part->what->dst.nbytes,
                            part->swap_nbytes != 0);
            }
        } while (cpu_element_walk_next(&walk, part->what, part->what->ndim));
    }
    if (try_block(record, sources, nitems, record->src_nbytes + step * (nitems - 1))) {
        record->lanes.src_offset = lowest;
    }
}

/* Numbers of rows of up to `most` items that are converted before, each stream of them by itself: as many of each as
 * fill a window. */
static void find_number_lanes(cpu_record *record, int64_t most, int64_t nstreams)
{
    uint8_t sources[MOST_STREAMS * CPU_LANE_NBYTES];
    const int64_t nbytes = record->parts[0].what->dst.nbytes;
    const int64_t nitems = CPU_LANE_NBYTES / nbytes;
    int64_t stream = 0;
    for (int32_t i = 0; i < record->nparts; i++) {
        const ndbuf__conversion_part *what = record->parts[i].what;
        cpu_element_walk walk;
        cpu_element_walk_init(&walk, what);
        do {
            for (int64_t item = 0; item < nitems; item++) {
                put_element(sources, item * record->dst_nbytes + walk.dst, stream * STREAM_DISTANCE + item * nbytes,
                            nbytes, false);
            }
            stream++;
        } while (cpu_element_walk_next(&walk, what, what->ndim));
    }
    if (try_block(record, sources, nitems, (nstreams - 1) * STREAM_DISTANCE + CPU_LANE_NBYTES)) {
        if (record->prefetch_nbytes != 0 && cpu_pays_to_prefetch_apart(record->src_stride, most)) {
            record->lane_streams = nstreams;
            record->nitems = cpu_smaller(record->nitems, PREFETCHED_ITEMS);
        }
        record->lane_pitch = record->nitems * nbytes + CPU_RECORD_SLACK_NBYTES;
        for (int32_t j = 0; j < record->lanes.nout; j++) {
            for (int32_t k = 0; k < record->lanes.nin; k++) {
                int32_t *offset = &record->lanes.in_offsets[j][k];
                *offset = (int32_t)(*offset / STREAM_DISTANCE * record->lane_pitch + *offset % STREAM_DISTANCE);
            }
        }
    }
}

/* Whether all parts stay as they are. */
static bool are_bytes(const cpu_record *record)
{
    bool keep_bits = true;
    for (int32_t i = 0; i < record->nparts; i++) {
        keep_bits = keep_bits && record->parts[i].row_fn != NULL;
    }
    return keep_bits;
}

bool ndbuf_cpu__record_has_streams(const cpu_record *record)
{
    const int64_t nbytes = record->parts[0].what->dst.nbytes;
    const int64_t nelements = count_elements(record);
    bool have_one_size = true;
    for (int32_t i = 0; i < record->nparts; i++) {
        have_one_size = have_one_size && record->parts[i].what->dst.nbytes == nbytes;
    }
    return record->fills && have_one_size && cpu_size_index(nbytes) >= 0 && nbytes < CPU_LANE_NBYTES && nelements > 1 &&
           nelements <= MOST_STREAMS && !are_bytes(record);
}

void ndbuf_cpu__record_find_lanes(cpu_record *record, int64_t most, int64_t nitems)
{
    record->lane_items = 0;
    record->lane_pitch = 0;
    record->lane_streams = 0;
    if (!record->fills || record->dst_stride != record->dst_nbytes || nitems < LANE_ITEMS_MIN) {
        return;
    }
    if (are_bytes(record)) {
        find_byte_lanes(record);
    } else if (ndbuf_cpu__record_has_streams(record)) {
        find_number_lanes(record, most, count_elements(record));
    }
    if (most < LANE_BLOCKS_MIN * record->lane_items) {
        record->lane_items = 0;
    }
}
