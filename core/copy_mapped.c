/* SPDX-License-Identifier: Apache-2.0 */
#include "core/copy_mapped.h"

#include "ndbuf/storage.h"

#include "core/storage_core.h"

static bool is_host(const ndbuf_mem *mem)
{
    return (mem->device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0;
}

/* Adds what a side needs to the ranges. Both sides in one piece of memory share a range: mappings for writing must not
 * overlap others. */
static void side_place(ndbuf__mapped_side *side, const ndbuf_mem *mem, int64_t offset, int64_t lo, int64_t hi,
                       uint32_t map_flags, ndbuf_mapped_range *ranges, int32_t *nranges)
{
    if (is_host(mem)) {
        *side = (ndbuf__mapped_side){.range = -1, .address = (char *)mem->host_address + offset};
        return;
    }
    size_t first = (size_t)(offset + lo);
    size_t end = (size_t)(offset + hi);
    side->address = NULL;
    side->offset = offset;
    if (*nranges == 1 && ranges[0].mem->handle == mem->handle && ndbuf__mem_shares_handles(ranges[0].mem, mem)) {
        ndbuf_mapped_range *shared = &ranges[0];
        size_t shared_end = shared->offset + shared->nbytes;
        shared->offset = first < shared->offset ? first : shared->offset;
        shared->nbytes = (end > shared_end ? end : shared_end) - shared->offset;
        shared->map_flags |= map_flags;
    } else {
        ranges[(*nranges)++] =
            (ndbuf_mapped_range){.mem = mem, .offset = first, .nbytes = end - first, .map_flags = map_flags};
    }
    side->range = *nranges - 1;
}

/* Whether ranges of two handles cross in the one piece of memory of which they are parts: no mapping of either handle
 * would be sure to cover both. */
static bool are_mixed(const ndbuf_mapped_range *a, const ndbuf_mapped_range *b)
{
    const void *a_piece = a->mem->whole != NULL ? a->mem->whole : a->mem->handle;
    const void *b_piece = b->mem->whole != NULL ? b->mem->whole : b->mem->handle;
    size_t a_first = a->offset + a->mem->whole_offset;
    size_t b_first = b->offset + b->mem->whole_offset;
    return a_piece == b_piece && ndbuf__mem_shares_handles(a->mem, b->mem) && a_first < b_first + b->nbytes &&
           b_first < a_first + a->nbytes;
}

static char *side_address(const ndbuf__mapped_side *side, void *const *addresses)
{
    return side->range >= 0 ? (char *)addresses[side->range] + side->offset : side->address;
}

static void run_mapped(void *context, void *const *addresses)
{
    ndbuf__mapped_copy *self = context;
    self->status = ndbuf__host_copy_run(&self->copy, side_address(&self->dst, addresses),
                                        side_address(&self->src, addresses), &self->error);
    self->error.status = (int32_t)self->status;
}

ndbuf_status ndbuf__mapped_enqueue(ndbuf__mapped_copy *copy, const ndbuf__plan *plan, const ndbuf__layout *dst,
                                   const ndbuf__layout *src, const ndbuf__transfer_ends *ends, ndbuf_queue *queue,
                                   ndbuf_error *err)
{
    ndbuf_mapped_range ranges[2];
    int32_t nranges = 0;
    int64_t bounds[4];
    copy->status = NDBUF_OK;
    if (plan->indirect) {
        bool overflow = false;
        ndbuf__host_copy_prepare(&copy->copy, &plan->cast, dst->ndim, dst->itemsize, dst->shape, dst->strides,
                                 dst->suboffsets, src->strides, src->suboffsets);
        ndbuf__layout_range(dst, &bounds[0], &bounds[1], &overflow);
        ndbuf__layout_range(src, &bounds[2], &bounds[3], &overflow);
    } else {
        ndbuf__host_copy_of_axes(&copy->copy, &plan->axes, ndbuf__cast_parts(&plan->cast));
        ndbuf__copy_axes_range(&plan->axes, true, &bounds[0], &bounds[1]);
        ndbuf__copy_axes_range(&plan->axes, false, &bounds[2], &bounds[3]);
    }
    side_place(&copy->dst, ends->dst, ends->dst_offset, bounds[0], bounds[1], NDBUF_MAP_WRITE, ranges, &nranges);
    side_place(&copy->src, ends->src, ends->src_offset, bounds[2], bounds[3], NDBUF_MAP_READ, ranges, &nranges);
    if (nranges == 2 && are_mixed(&ranges[0], &ranges[1])) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "two parts of one piece of memory cannot be mapped together");
    }
    copy->dst.offset -= copy->dst.range >= 0 ? (int64_t)ranges[copy->dst.range].offset : 0;
    copy->src.offset -= copy->src.range >= 0 ? (int64_t)ranges[copy->src.range].offset : 0;
    return queue->device->ops->queue_mapped_call(queue, ranges, nranges, run_mapped, copy, err);
}
