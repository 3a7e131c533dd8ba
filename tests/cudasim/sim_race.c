/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/cudasim/sim.h"

#define RACE_STEPS 1000000 /* of a comparison; what needs more counts as no overlap */

/* Pending regions of memory that is in no block. */
static sim_region *race_pageable;

void sim_region_set(sim_region *region, bool write, uint64_t address, int ndim, const int64_t *shape,
                    const int64_t *strides, uint64_t unit)
{
    sim_region r = {.lo = address, .unit = unit, .write = write};
    for (int i = 0; i < ndim; i++) {
        int64_t stride = strides[i];
        if (shape[i] <= 1 || stride == 0) {
            continue;
        }
        if (stride < 0) {
            r.lo -= (uint64_t)(-stride) * (uint64_t)(shape[i] - 1);
            stride = -stride;
        }
        int at = r.ndim++;
        for (; at > 0 && r.strides[at - 1] < (uint64_t)stride; at--) {
            r.strides[at] = r.strides[at - 1];
            r.extents[at] = r.extents[at - 1];
        }
        r.strides[at] = (uint64_t)stride;
        r.extents[at] = (uint64_t)shape[i];
    }
    /* What is contiguous, from the inside. */
    while (r.ndim > 0 && r.strides[r.ndim - 1] <= r.unit) {
        r.ndim--;
        r.unit += r.strides[r.ndim] * (r.extents[r.ndim] - 1);
    }
    r.hi = r.lo + r.unit;
    for (int i = 0; i < r.ndim; i++) {
        r.hi += r.strides[i] * (r.extents[i] - 1);
    }
    *region = r;
}

/* A part of a region: from `at`, the axes from `axis` on. */
typedef struct race_part {
    const sim_region *region;
    uint64_t at;
    int axis;
} race_part;

static uint64_t race_extent(const race_part *part)
{
    uint64_t nbytes = part->region->unit;
    for (int i = part->axis; i < part->region->ndim; i++) {
        nbytes += part->region->strides[i] * (part->region->extents[i] - 1);
    }
    return nbytes;
}

static bool race_overlap(race_part a, race_part b, int64_t *steps)
{
    uint64_t a_nbytes = race_extent(&a);
    uint64_t b_nbytes = race_extent(&b);
    if (a.at >= b.at + b_nbytes || b.at >= a.at + a_nbytes || --*steps < 0) {
        return false;
    }
    bool a_whole = a.axis == a.region->ndim;
    bool b_whole = b.axis == b.region->ndim;
    if (a_whole && b_whole) {
        return true;
    }
    if (a_whole || (!b_whole && b_nbytes > a_nbytes)) {
        race_part swap = a;
        a = b;
        b = swap;
        uint64_t nbytes = a_nbytes;
        a_nbytes = b_nbytes;
        b_nbytes = nbytes;
    }
    /* Of a's outermost axis, the indices whose bytes meet those of b. */
    uint64_t stride = a.region->strides[a.axis];
    uint64_t inner = a_nbytes - stride * (a.region->extents[a.axis] - 1);
    uint64_t first = b.at >= a.at + inner ? (b.at - a.at - inner) / stride + 1 : 0;
    uint64_t last = (b.at + b_nbytes - 1 - a.at) / stride;
    if (last >= a.region->extents[a.axis]) {
        last = a.region->extents[a.axis] - 1;
    }
    for (uint64_t i = first; i <= last; i++) {
        race_part row = {a.region, a.at + i * stride, a.axis + 1};
        if (race_overlap(row, b, steps)) {
            return true;
        }
    }
    return false;
}

/* Both are rows of one pitch: then it can be reckoned. */
static bool race_rows_overlap(const sim_region *a, const sim_region *b)
{
    int64_t pitch = (int64_t)(a->ndim == 1 ? a->strides[0] : b->strides[0]);
    int64_t a_rows = a->ndim == 1 ? (int64_t)a->extents[0] : 1;
    int64_t b_rows = b->ndim == 1 ? (int64_t)b->extents[0] : 1;
    int64_t d = (int64_t)(b->lo - a->lo);
    /* Rows i of a and j of b meet if, with k = i - j, d - a.unit < k * pitch < d + b.unit. */
    int64_t lowest = d - (int64_t)a->unit + 1;
    int64_t k = lowest > 0 ? (lowest + pitch - 1) / pitch : -(-lowest / pitch);
    k = k < 1 - b_rows ? 1 - b_rows : k;
    return k <= a_rows - 1 && k * pitch < d + (int64_t)b->unit;
}

bool sim_regions_overlap(const sim_region *a, const sim_region *b)
{
    if (a->lo >= b->hi || b->lo >= a->hi) {
        return false;
    }
    if (a->ndim == 0 && b->ndim == 0) {
        return true;
    }
    if (a->ndim <= 1 && b->ndim <= 1 && (a->ndim + b->ndim == 1 || a->strides[0] == b->strides[0])) {
        return race_rows_overlap(a, b);
    }
    int64_t steps = RACE_STEPS;
    return race_overlap((race_part){a, a->lo, 0}, (race_part){b, b->lo, 0}, &steps);
}

cudaError_t sim_region_resolve(sim_region *region, const char *what)
{
    region->block = sim_block_find(region->lo);
    if (region->block != NULL) {
        const sim_block *block = region->block;
        if (region->hi > block->base + block->nbytes) {
            sim_violate("%s goes %llu bytes past the block " SIM_ADDRESS_FORMAT " of %llu bytes", what,
                        (unsigned long long)(region->hi - block->base - block->nbytes), (unsigned long long)block->base,
                        (unsigned long long)block->nbytes);
            return cudaErrorInvalidValue;
        }
        return cudaSuccess;
    }
    if (sim_address_is_ours(region->lo) || sim_address_is_ours(region->hi - 1)) {
        sim_violate("%s touches " SIM_ADDRESS_FORMAT ", where no block is", what, (unsigned long long)region->lo);
        return cudaErrorInvalidValue;
    }
    return cudaSuccess;
}

static sim_region **race_list(const sim_region *region)
{
    return region->block != NULL ? &region->block->pending : &race_pageable;
}

static bool race_is_before(sim_op *earlier, sim_op *later, uint64_t *mark)
{
    if (earlier->stream == later->stream) {
        return true;
    }
    if (*mark == 0) {
        sim_op_mark_ancestors(later, mark);
    }
    return earlier->visited == *mark;
}

static void race_check_block(sim_op *op, const sim_region *region, uint64_t *mark)
{
    const sim_block *block = region->block;
    if (block == NULL || op->work.kind == SIM_ALLOC || op->work.kind == SIM_FREE) {
        return;
    }
    if (block->freed && !block->of_graph) {
        sim_violate("%s uses the block " SIM_ADDRESS_FORMAT " after its cudaFreeAsync", op->work.what,
                    (unsigned long long)block->base);
    } else if (block->alloc_op != NULL && block->alloc_op->state != SIM_DONE &&
               !race_is_before(block->alloc_op, op, mark)) {
        sim_violate("%s uses the block " SIM_ADDRESS_FORMAT " without being ordered after its allocation",
                    op->work.what, (unsigned long long)block->base);
    }
}

void sim_race_enter(sim_op *op)
{
    uint64_t mark = 0;
    for (int i = 0; i < op->work.nregions && !op->is_void; i++) {
        sim_region *region = &op->work.regions[i];
        race_check_block(op, region, &mark);
        for (const sim_region *other = *race_list(region); other != NULL; other = other->next) {
            if (other->op == op || (!other->write && !region->write) || other->op->stream == op->stream ||
                !sim_regions_overlap(region, other) || race_is_before(other->op, op, &mark)) {
                continue;
            }
            sim_violate("race: %s %s " SIM_ADDRESS_FORMAT "..." SIM_ADDRESS_FORMAT
                        " without being ordered after %s, which %s it (streams %llu and %llu)",
                        op->work.what, region->write ? "writes" : "reads", (unsigned long long)region->lo,
                        (unsigned long long)region->hi, other->op->work.what, other->write ? "writes" : "reads",
                        (unsigned long long)op->stream, (unsigned long long)other->op->stream);
            break;
        }
    }
    for (int i = 0; i < op->work.nregions; i++) {
        sim_region *region = &op->work.regions[i];
        sim_region **list = race_list(region);
        region->op = op;
        region->prev = NULL;
        region->next = *list;
        if (*list != NULL) {
            (*list)->prev = region;
        }
        *list = region;
    }
}

void sim_race_leave(sim_op *op)
{
    for (int i = 0; i < op->work.nregions; i++) {
        sim_region *region = &op->work.regions[i];
        if (region->op == NULL) {
            continue;
        }
        *(region->prev == NULL ? race_list(region) : &region->prev->next) = region->next;
        if (region->next != NULL) {
            region->next->prev = region->prev;
        }
        region->op = NULL;
    }
}

void sim_race_free(sim_op *op)
{
    uint64_t mark = 0;
    for (const sim_region *use = op->work.block->pending; use != NULL; use = use->next) {
        if (!race_is_before(use->op, op, &mark)) {
            sim_violate("%s frees " SIM_ADDRESS_FORMAT " without being ordered after %s, which uses it", op->work.what,
                        (unsigned long long)op->work.block->base, use->op->work.what);
            return;
        }
    }
    sim_op *alloc_op = op->work.block->alloc_op;
    if (alloc_op != NULL && alloc_op->state != SIM_DONE && !race_is_before(alloc_op, op, &mark)) {
        sim_violate("%s frees " SIM_ADDRESS_FORMAT " without being ordered after its allocation", op->work.what,
                    (unsigned long long)op->work.block->base);
    }
}
