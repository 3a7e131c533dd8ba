/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conversion.h"

#include <stdlib.h>
#include <string.h>

#include "core/cast_core.h"
#include "core/format_tree.h"
#include "core/host_alloc.h"

/* The axes of a part while it is made: its own dimensions, the units of a text or the halves of complex numbers, and
 * one that it may gain with a neighbour. */
#define MORE_AXES 2

typedef ndbuf__conversion_part part;

/* The arrays of a part are the maker's, and writable. */
static int64_t *writable(const int64_t *dims)
{
    return (int64_t *)dims;
}

static int32_t number_of(int32_t kind, int64_t size)
{
    bool is_signed = kind == NDBUF_KIND_INT;
    switch (kind) {
    case NDBUF_KIND_BOOL:
        return NDBUF_NUMBER_BOOL;
    case NDBUF_KIND_INT:
    case NDBUF_KIND_UINT:
        return size == 1   ? (is_signed ? NDBUF_NUMBER_INT8 : NDBUF_NUMBER_UINT8)
               : size == 2 ? (is_signed ? NDBUF_NUMBER_INT16 : NDBUF_NUMBER_UINT16)
               : size == 4 ? (is_signed ? NDBUF_NUMBER_INT32 : NDBUF_NUMBER_UINT32)
                           : (is_signed ? NDBUF_NUMBER_INT64 : NDBUF_NUMBER_UINT64);
    case NDBUF_KIND_BFLOAT:
        return NDBUF_NUMBER_BFLOAT16;
    case NDBUF_KIND_FLOAT:
        return size == 2   ? NDBUF_NUMBER_FLOAT16
               : size == 4 ? NDBUF_NUMBER_FLOAT32
               : size == 8 ? NDBUF_NUMBER_FLOAT64
                           : NDBUF_NUMBER_LONG_DOUBLE;
    case NDBUF_KIND_COMPLEX:
        return number_of(NDBUF_KIND_FLOAT, size / 2);
    default:
        return 0;
    }
}

/* Number 0 stands for what is no number. */
static ndbuf_element element_of(const ndbuf_field *field)
{
    return (ndbuf_element){.number = number_of(field->kind, field->size),
                           .nbytes = (int32_t)(field->size <= INT32_MAX ? field->size : 0),
                           .is_complex = field->kind == NDBUF_KIND_COMPLEX,
                           .is_swapped = field->byte_order == NDBUF__SWAPPED_ORDER};
}

static bool is_integer(int32_t number)
{
    return number >= NDBUF_NUMBER_INT8 && number <= NDBUF_NUMBER_UINT64;
}

/* Both sides become bytes to be copied as they are. */
static void set_bytes(part *p, int32_t nbytes)
{
    p->dst = p->src = (ndbuf_element){.nbytes = nbytes};
}

/* Both sides become whole numbers whose bytes are turned around. Which side is said to be swapped makes no difference,
 * so it is always the same one. */
static void set_swap(part *p, int32_t nbytes)
{
    int32_t number = number_of(NDBUF_KIND_UINT, nbytes);
    p->dst = (ndbuf_element){.number = number, .nbytes = nbytes};
    p->src = (ndbuf_element){.number = number, .nbytes = nbytes, .is_swapped = 1};
}

static void set_copy(part *p, int32_t nbytes, bool swapped)
{
    if (swapped && nbytes > 1) {
        set_swap(p, nbytes);
    } else {
        set_bytes(p, nbytes);
    }
}

/* Chooses the elements of a part for one element of a leaf, and returns how many of them stand side by side in it. */
static int64_t choose_elements(part *p, const ndbuf_field *dst, const ndbuf_field *src, uint32_t flags)
{
    ndbuf_element to = element_of(dst);
    ndbuf_element from = element_of(src);
    if (to.number == 0) {
        if (dst->kind == NDBUF_KIND_TEXT && dst->byte_order != src->byte_order) {
            int32_t unit = dst->code[0] == 'u' ? 2 : 4;
            set_swap(p, unit);
            return dst->size / unit;
        }
        /* One run, of units that are whole powers of two where its size is beyond 31 bits. */
        int64_t unit = dst->size <= INT32_MAX ? dst->size : dst->size & -dst->size;
        unit = unit <= INT32_MAX ? unit : (int64_t)1 << 30;
        set_bytes(p, (int32_t)unit);
        return dst->size / unit;
    }
    int64_t count = 1;
    if (from.is_complex && (to.is_complex || to.number != NDBUF_NUMBER_BOOL)) { /* halves, or real parts alone */
        from.is_complex = 0;
        from.nbytes /= 2;
        if (to.is_complex) {
            to.is_complex = 0;
            to.nbytes /= 2;
            count = 2;
        }
    }
    if (to.nbytes == 1) {
        to.is_swapped = 0;
    }
    if (from.nbytes == 1) {
        from.is_swapped = 0;
    }
    bool wraps = is_integer(to.number) && is_integer(from.number) && to.nbytes == from.nbytes &&
                 (flags & NDBUF_CAST_SATURATE) == 0;
    if (to.is_complex == from.is_complex && (to.number == from.number || wraps)) {
        set_copy(p, to.nbytes, to.is_swapped != from.is_swapped);
    } else {
        p->dst = to;
        p->src = from;
    }
    return count;
}

static bool same_element(const ndbuf_element *a, const ndbuf_element *b)
{
    return a->number == b->number && a->nbytes == b->nbytes && a->is_complex == b->is_complex &&
           a->is_swapped == b->is_swapped;
}

static void add_axis(part *p, int64_t extent, int64_t dst_stride, int64_t src_stride)
{
    if (extent != 1) {
        writable(p->shape)[p->ndim] = extent;
        writable(p->dst_strides)[p->ndim] = dst_stride;
        writable(p->src_strides)[p->ndim] = src_stride;
        p->ndim++;
    }
}

static void remove_axis(part *p, int32_t axis)
{
    p->ndim--;
    for (int32_t k = axis; k < p->ndim; k++) {
        writable(p->shape)[k] = p->shape[k + 1];
        writable(p->dst_strides)[k] = p->dst_strides[k + 1];
        writable(p->src_strides)[k] = p->src_strides[k + 1];
    }
}

/* Merges one axis with another one, or into a run of bytes. Returns whether there was one. */
static bool merge_axis(part *p)
{
    for (int32_t k = 0; k < p->ndim; k++) {
        int64_t nbytes = p->dst.nbytes;
        if (p->dst.number == 0 && p->dst_strides[k] == nbytes && p->src_strides[k] == nbytes &&
            p->shape[k] <= INT32_MAX / nbytes) {
            set_bytes(p, (int32_t)(nbytes * p->shape[k]));
            remove_axis(p, k);
            return true;
        }
        for (int32_t inner = 0; inner < p->ndim; inner++) {
            if (inner != k && p->dst_strides[k] == p->shape[inner] * p->dst_strides[inner] &&
                p->src_strides[k] == p->shape[inner] * p->src_strides[inner]) {
                writable(p->shape)[inner] *= p->shape[k];
                remove_axis(p, k);
                return true;
            }
        }
    }
    return false;
}

static void merge_axes(part *p)
{
    while (merge_axis(p)) {
    }
}

/* Whether two parts have equal axes, but for axis `skipped` of `longer`, which the other one lacks, or which may have
 * another extent there; -1: equal. */
static bool same_axes(const part *longer, const part *other, int32_t skipped)
{
    int32_t gap = longer->ndim > other->ndim;
    if (longer->ndim - gap != other->ndim) {
        return false;
    }
    for (int32_t k = 0; k < longer->ndim; k++) {
        if (k == skipped && gap == 1) {
            continue;
        }
        int32_t at = k > skipped && gap == 1 ? k - 1 : k;
        if ((k != skipped && longer->shape[k] != other->shape[at]) ||
            longer->dst_strides[k] != other->dst_strides[at] || longer->src_strides[k] != other->src_strides[at]) {
            return false;
        }
    }
    return true;
}

/* Joins `p`, which comes first in the destination, to `q` along an axis that at least one of them has. */
static bool join_axis(const part *p, part *q)
{
    const part *longer = p->ndim >= q->ndim ? p : q;
    const part *other = longer == p ? q : p;
    for (int32_t k = 0; k < longer->ndim; k++) {
        if (!same_axes(longer, other, k)) {
            continue;
        }
        int64_t other_extent = longer->ndim > other->ndim ? 1 : other->shape[k];
        int64_t p_extent = longer == p ? p->shape[k] : other_extent;
        if (q->dst_offset - p->dst_offset == p_extent * longer->dst_strides[k] &&
            q->src_offset - p->src_offset == p_extent * longer->src_strides[k]) {
            int64_t extent = longer->shape[k] + other_extent;
            if (longer == p) {
                q->ndim = p->ndim;
                memcpy(writable(q->shape), p->shape, (size_t)p->ndim * sizeof(int64_t));
                memcpy(writable(q->dst_strides), p->dst_strides, (size_t)p->ndim * sizeof(int64_t));
                memcpy(writable(q->src_strides), p->src_strides, (size_t)p->ndim * sizeof(int64_t));
            }
            writable(q->shape)[k] = extent;
            return true;
        }
    }
    return false;
}

static void begin_where(part *q, const part *p)
{
    q->dst_offset = p->dst_offset;
    q->src_offset = p->src_offset;
    q->field = p->field < q->field ? p->field : q->field;
}

/* Makes `q` the two parts together, if they are runs of bytes that follow each other. The arrays of `q` have room for
 * it: it was made of one leaf, and gains one axis at most over that. */
static bool join_runs(const part *p, part *q)
{
    if (p->dst.number != 0 || q->dst.number != 0 || p->ndim != q->ndim || !same_axes(p, q, -1) ||
        p->dst_offset + p->dst.nbytes != q->dst_offset || p->src_offset + p->src.nbytes != q->src_offset ||
        p->dst.nbytes > INT32_MAX - q->dst.nbytes) {
        return false;
    }
    set_bytes(q, p->dst.nbytes + q->dst.nbytes);
    begin_where(q, p);
    merge_axes(q);
    return true;
}

/* The same for elements of one kind. */
static bool join_elements(const part *p, part *q)
{
    if (!same_element(&p->dst, &q->dst) || !same_element(&p->src, &q->src)) {
        return false;
    }
    if (!join_axis(p, q)) {
        if (p->ndim != q->ndim || !same_axes(p, q, -1)) {
            return false;
        }
        add_axis(q, 2, q->dst_offset - p->dst_offset, q->src_offset - p->src_offset);
    }
    begin_where(q, p);
    merge_axes(q);
    return true;
}

/* Joins neighbours in the list. Returns how many parts are left. */
static int32_t join_neighbours(part *parts, int32_t nparts, bool (*join)(const part *p, part *q))
{
    int32_t last = 0;
    for (int32_t i = 1; i < nparts; i++) {
        if (!join(&parts[last], &parts[i])) {
            last++;
        }
        parts[last] = parts[i];
    }
    return nparts > 0 ? last + 1 : 0;
}

static int compare_elements(const ndbuf_element *a, const ndbuf_element *b)
{
    return a->number != b->number           ? a->number - b->number
           : a->nbytes != b->nbytes         ? (a->nbytes < b->nbytes ? -1 : 1)
           : a->is_complex != b->is_complex ? a->is_complex - b->is_complex
                                            : a->is_swapped - b->is_swapped;
}

static int compare_places(const void *left, const void *right)
{
    const part *p = left;
    const part *q = right;
    return p->dst_offset < q->dst_offset ? -1 : p->dst_offset > q->dst_offset;
}

static int compare_kinds(const void *left, const void *right)
{
    const part *p = left;
    const part *q = right;
    int order = compare_elements(&p->dst, &q->dst);
    if (order == 0) {
        order = compare_elements(&p->src, &q->src);
    }
    return order != 0 ? order : compare_places(left, right);
}

/* One leaf; `dims` has room for three times its axes. */
static void make_part(part *p, const ndbuf_field *dst, const ndbuf_field *src, int32_t index, uint32_t flags,
                      int64_t *dims)
{
    int32_t room = dst->ndim + MORE_AXES;
    *p = (part){.dst_offset = dst->offset,
                .src_offset = src->offset,
                .field = index,
                .shape = dims,
                .dst_strides = dims + room,
                .src_strides = dims + 2 * room};
    for (int32_t k = 0; k < dst->ndim; k++) {
        add_axis(p, dst->extents[k], dst->strides[k], src->strides[k]);
    }
    int64_t count = choose_elements(p, dst, src, flags);
    add_axis(p, count, p->dst.nbytes, p->src.nbytes);
    merge_axes(p);
}

/* Moves the only part out of the memory of its own, which is given back. */
static void keep_in_one(ndbuf__conversion *conversion)
{
    const part *only = conversion->parts;
    size_t nbytes = (size_t)only->ndim * sizeof(int64_t);
    int64_t *dims = conversion->one_dims;
    memcpy(dims, only->shape, nbytes);
    memcpy(dims + NDBUF__PART_NDIM, only->dst_strides, nbytes);
    memcpy(dims + 2 * NDBUF__PART_NDIM, only->src_strides, nbytes);
    conversion->one = *only;
    conversion->one.shape = dims;
    conversion->one.dst_strides = dims + NDBUF__PART_NDIM;
    conversion->one.src_strides = dims + 2 * NDBUF__PART_NDIM;
    ndbuf__free(conversion->memory);
    conversion->memory = NULL;
    conversion->parts = &conversion->one;
}

static ndbuf_status make_parts(ndbuf__conversion *conversion, const ndbuf_format *dst, const ndbuf_format *src,
                               const ndbuf__field_match *match, ndbuf_error *err)
{
    size_t ndims = 0;
    for (int32_t i = 0; i < dst->nfields; i++) {
        ndims += 3 * ((size_t)dst->fields[i].ndim + MORE_AXES);
    }
    part *parts = &conversion->one;
    int64_t *dims = conversion->one_dims;
    if (dst->nfields > 1 || ndims > sizeof(conversion->one_dims) / sizeof(int64_t)) {
        conversion->memory = ndbuf__malloc((size_t)dst->nfields * sizeof(part) + ndims * sizeof(int64_t));
        if (conversion->memory == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "the conversion of %d fields", (int)dst->nfields);
        }
        parts = conversion->memory;
        dims = (int64_t *)(void *)(parts + dst->nfields);
    }
    for (int32_t i = 0; i < dst->nfields; i++) {
        const ndbuf_field *from = &src->fields[ndbuf__field_match_src(match, i)];
        make_part(&parts[i], &dst->fields[i], from, i, conversion->flags, dims);
        dims += 3 * (dst->fields[i].ndim + MORE_AXES);
    }
    int32_t nparts = dst->nfields;
    if (nparts > 1) {
        qsort(parts, (size_t)nparts, sizeof(part), compare_places);
        nparts = join_neighbours(parts, nparts, join_runs);
        qsort(parts, (size_t)nparts, sizeof(part), compare_kinds);
        nparts = join_neighbours(parts, nparts, join_elements);
    }
    conversion->parts = parts;
    conversion->nparts = nparts;
    if (nparts == 1 && parts != &conversion->one && parts->ndim <= NDBUF__PART_NDIM) {
        keep_in_one(conversion);
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf__conversion_init(ndbuf__conversion *out_conversion, const ndbuf_format *dst, const ndbuf_format *src,
                                    ndbuf_casting casting, uint32_t flags, ndbuf_error *err)
{
    if ((flags & ~(uint32_t)NDBUF_CAST_SATURATE) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "flags 0x%x: unknown bits", (unsigned)flags);
    }
    ndbuf__field_match match;
    ndbuf_status status = ndbuf__cast_match(dst, src, casting, &match, err);
    if (status != NDBUF_OK) {
        return status;
    }
    out_conversion->nparts = 0;
    out_conversion->flags = flags;
    out_conversion->parts = NULL;
    out_conversion->memory = NULL;
    status = make_parts(out_conversion, dst, src, &match, err); /* on failure it stays without parts */
    ndbuf__field_match_clear(&match);
    return status;
}

/* Whether items are one number each, without a name by which it would be paired. */
static bool is_number(const ndbuf_format *format)
{
    const ndbuf_field *field = format->fields;
    return format->nfields == 1 && field->ndim == 0 && field->nnames == 0 && number_of(field->kind, field->size) != 0;
}

bool ndbuf__conversion_of_numbers(ndbuf__convert *out_convert, const ndbuf_format *dst, const ndbuf_format *src,
                                  ndbuf_casting casting, uint32_t flags)
{
    part one;
    if (!is_number(dst) || !is_number(src) || !ndbuf__cast_allows(dst->fields, src->fields, casting)) {
        return false;
    }
    (void)choose_elements(&one, dst->fields, src->fields, flags); /* of several, none is as large as an item */
    *out_convert = ndbuf__part_convert(&one, flags);
    return one.dst.nbytes == dst->itemsize && one.src.nbytes == src->itemsize;
}

void ndbuf__conversion_move(ndbuf__conversion *out_conversion, ndbuf__conversion *from)
{
    ndbuf__conversion *to = out_conversion;
    *to = *from;
    if (from->parts == &from->one) {
        to->parts = &to->one;
        to->one.shape = to->one_dims + (from->one.shape - from->one_dims);
        to->one.dst_strides = to->one_dims + (from->one.dst_strides - from->one_dims);
        to->one.src_strides = to->one_dims + (from->one.src_strides - from->one_dims);
    }
    from->memory = NULL;
    from->parts = NULL;
    from->nparts = 0;
}

void ndbuf__conversion_clear(ndbuf__conversion *conversion)
{
    ndbuf__free(conversion->memory);
    conversion->memory = NULL;
    conversion->parts = NULL;
    conversion->nparts = 0;
}
