/* SPDX-License-Identifier: Apache-2.0 */
/* Whether views share bytes. A view with suboffsets is taken apart into pieces, one for each last pointer: all alike in
 * layout, and sorted by address, so that only neighbours have to be compared. */
#include <stdlib.h>

#include "ndbuf/view.h"

#include "core/checked.h"
#include "core/host_alloc.h"
#include "core/storage_core.h"
#include "core/view_core.h"

/* Pointers that an overlap test follows at most. */
enum { MAX_PIECES = 1 << 20 };

typedef struct pieces {
    ndbuf__layout layout; /* of each */
    int64_t lo, hi;       /* the range of each, relative to its first item */
    int64_t *addresses;   /* of first items, ascending: &single, or on the heap */
    int64_t count;
    int64_t single;
} pieces;

/* A view laid out as one, at any address. */
static void single_piece(pieces *out_pieces, const ndbuf__layout *layout, int64_t address, bool *overflow)
{
    out_pieces->layout = *layout;
    ndbuf__layout_range(layout, &out_pieces->lo, &out_pieces->hi, overflow);
    out_pieces->addresses = &out_pieces->single;
    out_pieces->count = 1;
    out_pieces->single = address;
}

static int compare_addresses(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* A view with suboffsets goes by stages: its first pointers, the next ones that these lead to, and so on to the items.
 * A stage is named by its first axis; the next one is -1 behind the last. */
static int32_t next_stage(const ndbuf__layout *layout, int32_t stage)
{
    int32_t k = stage;
    while (k < layout->ndim && layout->suboffsets[k] < 0) {
        k++;
    }
    return k < layout->ndim ? k + 1 : -1;
}

/* A stage wherever a pointer leads to it, as a layout of its own. */
static ndbuf__layout stage_layout(const ndbuf__layout *layout, int32_t stage)
{
    int32_t next = next_stage(layout, stage);
    int32_t ndim = (next < 0 ? layout->ndim : next) - stage;
    int64_t itemsize = next < 0 ? layout->itemsize : (int64_t)sizeof(char *);
    return (ndbuf__layout){ndim, itemsize, layout->shape + stage, layout->strides + stage, NULL};
}

static int32_t last_stage(const ndbuf__layout *layout)
{
    return layout->ndim - ndbuf__layout_tail(layout).ndim;
}

/* The pieces of one stage of a view with suboffsets, which has items. False: too many, or no memory; they can be
 * cleared even so. */
static bool follow_pointers(pieces *out_pieces, const ndbuf__layout *layout, char *base, int32_t stage)
{
    const ndbuf__layout piece = stage_layout(layout, stage);
    ndbuf__layout outer = {stage, 1, layout->shape, layout->strides, NULL};
    bool overflow = false;
    int64_t count = ndbuf__layout_nitems(&outer, &overflow);
    single_piece(out_pieces, &piece, 0, &overflow);
    if (overflow || count > MAX_PIECES || base == NULL) {
        return false;
    }
    if (count > 1) {
        out_pieces->addresses = ndbuf__malloc((size_t)count * sizeof(*out_pieces->addresses));
        if (out_pieces->addresses == NULL) {
            return false;
        }
    }
    out_pieces->count = count;
    int64_t index[NDBUF_MAX_NDIM] = {0};
    bool ascending = true;
    for (int64_t k = 0; k < count; k++) {
        out_pieces->addresses[k] = (int64_t)(uintptr_t)ndbuf__address_at(layout, base, index, stage);
        ascending = ascending && (k == 0 || out_pieces->addresses[k - 1] <= out_pieces->addresses[k]);
        ndbuf__layout_advance(layout, index, stage);
    }
    if (!ascending) {
        qsort(out_pieces->addresses, (size_t)count, sizeof(*out_pieces->addresses), compare_addresses);
    }
    return true;
}

static void pieces_clear(pieces *all)
{
    if (all->addresses != &all->single) {
        ndbuf__free(all->addresses);
    }
}

/* Lower and upper end of piece `k`, clipped to 63 bits. */
static int64_t piece_lo(const pieces *all, int64_t k)
{
    bool overflow = false;
    int64_t lo = ndbuf__add_i64(all->addresses[k], all->lo, &overflow);
    return overflow ? INT64_MIN : lo;
}

static int64_t piece_hi(const pieces *all, int64_t k)
{
    bool overflow = false;
    int64_t hi = ndbuf__add_i64(all->addresses[k], all->hi, &overflow);
    return overflow ? INT64_MAX : hi;
}

static ndbuf_answer pieces_overlap(const pieces *a, const pieces *b)
{
    int64_t work = NDBUF__OVERLAP_WORK + a->count + b->count;
    int64_t begin = 0; /* the first piece of b that is not below piece i of a */
    for (int64_t i = 0; i < a->count; i++) {
        while (begin < b->count && piece_hi(b, begin) <= piece_lo(a, i)) {
            begin++;
        }
        for (int64_t j = begin; j < b->count && piece_lo(b, j) < piece_hi(a, i); j++) {
            if (work-- <= 0) {
                return NDBUF_UNDECIDED;
            }
            ndbuf_answer answer =
                ndbuf__layout_overlap(&a->layout, a->addresses[i], &b->layout, b->addresses[j], &work);
            if (answer != NDBUF_NO) {
                return answer;
            }
        }
    }
    return NDBUF_NO;
}

static ndbuf_answer pieces_self_overlap(const pieces *all)
{
    ndbuf_answer answer = ndbuf__layout_self_overlap(&all->layout);
    if (answer != NDBUF_NO) {
        return answer;
    }
    int64_t work = NDBUF__OVERLAP_WORK + all->count;
    for (int64_t i = 0; i < all->count; i++) {
        for (int64_t j = i + 1; j < all->count && piece_lo(all, j) < piece_hi(all, i); j++) {
            if (work-- <= 0) {
                return NDBUF_UNDECIDED;
            }
            answer = ndbuf__layout_overlap(&all->layout, all->addresses[i], &all->layout, all->addresses[j], &work);
            if (answer != NDBUF_NO) {
                return answer;
            }
        }
    }
    return NDBUF_NO;
}

static bool ranges_meet(int64_t a_lo, int64_t a_hi, int64_t b_lo, int64_t b_hi)
{
    return a_lo < b_hi && b_lo < a_hi;
}

/* Whether the ranges of any two pieces meet. */
static bool pieces_meet(const pieces *a, const pieces *b)
{
    int64_t k = 0; /* the first piece of b that is not below piece i of a */
    for (int64_t i = 0; i < a->count; i++) {
        while (k < b->count && piece_hi(b, k) <= piece_lo(a, i)) {
            k++;
        }
        if (k < b->count && piece_lo(b, k) < piece_hi(a, i)) {
            return true;
        }
    }
    return false;
}

/* Whether items of the one view may lie where the other one has pointers: writing to it would change those. */
static bool covers_pointers(const pieces *items, const ndbuf__layout *layout, char *base)
{
    bool covers = false;
    for (int32_t stage = 0; stage < last_stage(layout) && !covers; stage = next_stage(layout, stage)) {
        pieces pointers;
        covers = !follow_pointers(&pointers, layout, base, stage) || pieces_meet(items, &pointers);
        pieces_clear(&pointers);
    }
    return covers;
}

/* Where a view with suboffsets has bytes: those of each stage lie within lo .. hi - 1. */
typedef struct reach {
    int32_t nstages;
    int32_t stages[NDBUF_MAX_NDIM + 1];
    int64_t lo[NDBUF_MAX_NDIM + 1];
    int64_t hi[NDBUF_MAX_NDIM + 1];
} reach;

/* In one walk along the pointers that lead to a stage behind the first one. */
static void reach_of_stage(const ndbuf__layout *layout, char *base, int32_t stage, int64_t *out_lo, int64_t *out_hi,
                           bool *overflow)
{
    const ndbuf__layout piece = stage_layout(layout, stage);
    const int32_t last = stage - 1; /* its pointers lead there */
    const int64_t count = layout->shape[last];
    const int64_t stride = layout->strides[last];
    int64_t index[NDBUF_MAX_NDIM] = {0};
    int64_t least = INT64_MAX;
    int64_t largest = INT64_MIN;
    int64_t lo, hi;
    do {
        const char *place = ndbuf__address_at(layout, base, index, last);
        for (int64_t i = 0; i < count; i++) {
            const int64_t pointer = (int64_t)(uintptr_t)ndbuf__load_pointer(place + i * stride);
            least = pointer < least ? pointer : least;
            largest = pointer > largest ? pointer : largest;
        }
    } while (ndbuf__layout_advance(layout, index, last));
    ndbuf__layout_range(&piece, &lo, &hi, overflow);
    lo = ndbuf__add_i64(lo, layout->suboffsets[last], overflow);
    hi = ndbuf__add_i64(hi, layout->suboffsets[last], overflow);
    *out_lo = ndbuf__add_i64(least, lo, overflow);
    *out_hi = ndbuf__add_i64(largest, hi, overflow);
}

/* False: it cannot be told. */
static bool reach_of(const ndbuf__layout *layout, char *base, reach *out_reach)
{
    int64_t lo, hi;
    bool overflow = false;
    if (base == NULL) {
        return false;
    }
    ndbuf__layout_range(layout, &lo, &hi, &overflow);
    out_reach->nstages = 1;
    out_reach->stages[0] = 0;
    out_reach->lo[0] = ndbuf__add_i64((int64_t)(uintptr_t)base, lo, &overflow);
    out_reach->hi[0] = ndbuf__add_i64((int64_t)(uintptr_t)base, hi, &overflow);
    for (int32_t stage = next_stage(layout, 0); stage > 0; stage = next_stage(layout, stage)) {
        const int32_t i = out_reach->nstages++;
        out_reach->stages[i] = stage;
        reach_of_stage(layout, base, stage, &out_reach->lo[i], &out_reach->hi[i], &overflow);
    }
    return !overflow;
}

/* Whether no piece of a stage behind the first one meets the bytes lo .. hi - 1, although those lie among them. */
static bool stage_avoids(const ndbuf__layout *layout, char *base, int32_t stage, int64_t lo, int64_t hi)
{
    const ndbuf__layout piece = stage_layout(layout, stage);
    const int32_t last = stage - 1;
    const int64_t count = layout->shape[last];
    const int64_t stride = layout->strides[last];
    int64_t index[NDBUF_MAX_NDIM] = {0};
    int64_t piece_lo, piece_hi;
    bool overflow = false;
    ndbuf__layout_range(&piece, &piece_lo, &piece_hi, &overflow);
    do {
        const char *place = ndbuf__address_at(layout, base, index, last);
        for (int64_t i = 0; i < count; i++) {
            const int64_t pointer = (int64_t)(uintptr_t)ndbuf__load_pointer(place + i * stride);
            const int64_t begin = pointer + layout->suboffsets[last];
            if (ranges_meet(begin + piece_lo, begin + piece_hi, lo, hi)) {
                return false;
            }
        }
    } while (ndbuf__layout_advance(layout, index, last));
    return true;
}

/* Whether a view that reaches so far, its pointers and what they lead to, keeps clear of the bytes lo .. hi - 1: the
 * common case. False: it may not. */
static bool keeps_clear(const ndbuf__layout *layout, char *base, const reach *all, int64_t lo, int64_t hi)
{
    for (int32_t i = 0; i < all->nstages; i++) {
        if (ranges_meet(all->lo[i], all->hi[i], lo, hi) &&
            (i == 0 || !stage_avoids(layout, base, all->stages[i], lo, hi))) {
            return false;
        }
    }
    return true;
}

/* Whether two views with suboffsets are wholly apart, seen from the outside: the pieces of each stage of b lie together
 * somewhere, and nowhere there has a anything. False: they may not be. */
static bool are_wholly_apart(const ndbuf__layout *a, char *a_base, const ndbuf__layout *b, char *b_base)
{
    reach of_a, of_b;
    bool apart = reach_of(a, a_base, &of_a) && reach_of(b, b_base, &of_b);
    for (int32_t i = 0; apart && i < of_b.nstages; i++) {
        apart = keeps_clear(a, a_base, &of_a, of_b.lo[i], of_b.hi[i]);
    }
    return apart;
}

/* Whether it is known that a view's memory has an address: the host's, or CUDA's. */
static bool has_address(const ndbuf_view *view)
{
    return ndbuf__device_has_addresses(view->device) || ndbuf_view_host_address(view) != NULL;
}

/* That of item 0..0. */
static int64_t view_address(const ndbuf_view *view)
{
    const void *on_host = ndbuf_view_host_address(view);
    return on_host != NULL ? (int64_t)(uintptr_t)on_host
                           : (int64_t)((uint64_t)(uintptr_t)view->handle + (uint64_t)view->byte_offset);
}

static ndbuf_answer host_overlap(const ndbuf_view *a, const ndbuf__layout *a_layout, const ndbuf_view *b,
                                 const ndbuf__layout *b_layout)
{
    const ndbuf_view *views[2] = {a, b};
    const ndbuf__layout *layouts[2] = {a_layout, b_layout};
    pieces all[2];
    char *bases[2];
    bool overflow = false;
    for (int i = 0; i < 2; i++) {
        bases[i] = ndbuf_view_host_address(views[i]);
        single_piece(&all[i], layouts[i], view_address(views[i]), &overflow);
    }
    for (int i = 0; i < 2 && !overflow; i++) {
        reach far;
        if (layouts[i]->suboffsets != NULL && layouts[1 - i]->suboffsets == NULL &&
            reach_of(layouts[i], bases[i], &far) &&
            keeps_clear(layouts[i], bases[i], &far, piece_lo(&all[1 - i], 0), piece_hi(&all[1 - i], 0))) {
            return NDBUF_NO;
        }
    }
    if (!overflow && layouts[0]->suboffsets != NULL && layouts[1]->suboffsets != NULL &&
        are_wholly_apart(layouts[0], bases[0], layouts[1], bases[1])) {
        return NDBUF_NO;
    }
    ndbuf_answer answer = NDBUF_UNDECIDED;
    for (int i = 0; i < 2; i++) {
        if (layouts[i]->suboffsets != NULL && !follow_pointers(&all[i], layouts[i], bases[i], last_stage(layouts[i]))) {
            goto done;
        }
    }
    answer = pieces_overlap(&all[0], &all[1]);
    for (int i = 0; i < 2 && answer == NDBUF_NO; i++) {
        if (layouts[i]->suboffsets != NULL && covers_pointers(&all[1 - i], layouts[i], bases[i])) {
            answer = NDBUF_UNDECIDED;
        }
    }
done:
    pieces_clear(&all[0]);
    pieces_clear(&all[1]);
    return answer;
}

static bool has_bytes(const ndbuf__layout *layout)
{
    return layout->itemsize > 0 && ndbuf__layout_has_items(layout);
}

/* Where handles are no addresses: the handle of the largest piece of memory around the view's, and the place of item
 * 0..0 in it. Only of our own views is it known that the memory is a part of a larger piece. */
static const void *view_piece(const ndbuf_view *view, int64_t *out_offset)
{
    const ndbuf_mem *mem = ndbuf__view_is_own(view) ? &view->storage->mem : NULL;
    *out_offset = view->byte_offset;
    if (mem == NULL || mem->whole == NULL) {
        return view->handle;
    }
    *out_offset += (int64_t)mem->whole_offset;
    return mem->whole;
}

/* Whether equal handles of two views are the same memory. Those of OpenCL belong to contexts, which devices share. Two
 * backends may have chosen the same type: of our own views it is known whose they are. */
static bool may_share_memory(const ndbuf_view *a, const ndbuf_view *b)
{
    if (a->device.type != b->device.type || (a->device.id != b->device.id && a->device.type != NDBUF_DEVICE_OPENCL)) {
        return false;
    }
    return !ndbuf__view_is_own(a) || !ndbuf__view_is_own(b) ||
           a->storage->mem.device->ops == b->storage->mem.device->ops;
}

static ndbuf_answer overlap_by_address(const ndbuf_view *a, const ndbuf__layout *a_layout, const ndbuf_view *b,
                                       const ndbuf__layout *b_layout)
{
    int64_t work = NDBUF__OVERLAP_WORK;
    if (a_layout->suboffsets != NULL || b_layout->suboffsets != NULL) {
        return host_overlap(a, a_layout, b, b_layout);
    }
    return ndbuf__layout_overlap(a_layout, view_address(a), b_layout, view_address(b), &work);
}

ndbuf_answer ndbuf_view_overlap(const ndbuf_view *a, const ndbuf_view *b)
{
    int64_t a_scratch[3 * NDBUF_MAX_NDIM];
    int64_t b_scratch[3 * NDBUF_MAX_NDIM];
    ndbuf__layout a_layout = ndbuf__view_layout_any(a, a_scratch);
    ndbuf__layout b_layout = ndbuf__view_layout_any(b, b_scratch);
    if (!has_bytes(&a_layout) || !has_bytes(&b_layout)) {
        return NDBUF_NO;
    }
    if (ndbuf__device_has_addresses(a->device) && ndbuf__device_has_addresses(b->device)) {
        return overlap_by_address(a, &a_layout, b, &b_layout);
    }
    int64_t a_offset, b_offset;
    const void *a_piece = view_piece(a, &a_offset);
    const void *b_piece = view_piece(b, &b_offset);
    if (a_piece == b_piece && may_share_memory(a, b)) {
        int64_t work = NDBUF__OVERLAP_WORK;
        return ndbuf__layout_overlap(&a_layout, a_offset, &b_layout, b_offset, &work);
    }
    return has_address(a) && has_address(b) ? overlap_by_address(a, &a_layout, b, &b_layout) : NDBUF_NO;
}

ndbuf_answer ndbuf_view_self_overlap(const ndbuf_view *view)
{
    int64_t scratch[3 * NDBUF_MAX_NDIM];
    ndbuf__layout layout = ndbuf__view_layout_any(view, scratch);
    if (!has_bytes(&layout)) {
        return NDBUF_NO;
    }
    if (layout.suboffsets == NULL) {
        return ndbuf__layout_self_overlap(&layout);
    }
    pieces all;
    if (!follow_pointers(&all, &layout, ndbuf_view_host_address(view), last_stage(&layout))) {
        return NDBUF_UNDECIDED;
    }
    ndbuf_answer answer = pieces_self_overlap(&all);
    pieces_clear(&all);
    return answer;
}
