/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_CONVERSION_H
#define NDBUF_CORE_CONVERSION_H

/* How the items of one format become items of another one: parts, each of which moves, at every item, a regular array
 * of elements of one type to elements of one type. Pure: no memory of views is touched. */

#include <stdbool.h>

#include "ndbuf/backend.h"
#include "ndbuf/format.h"

#include "core/copy_axes.h"

/* Of a part: what most formats have. */
#define NDBUF__PART_NDIM 4

/* Elements of `src` at src_offset + sum(index * src_strides) from the start of the item become elements of `dst`
 * likewise. Extents are > 1, axes that are one on both sides are merged. All in bytes. */
typedef struct ndbuf__conversion_part {
    ndbuf_element dst; /* number 0 on both sides: nbytes bytes are copied as they are */
    ndbuf_element src;
    int64_t dst_offset;
    int64_t src_offset;
    int32_t ndim;         /* 0: one element */
    int32_t field;        /* of the destination, that it begins with, for texts */
    const int64_t *shape; /* ndim entries, as are the strides */
    const int64_t *dst_strides;
    const int64_t *src_strides;
} ndbuf__conversion_part;

/* Zero-initialised is valid: no parts. Is moved by ndbuf__conversion_move alone: parts may point into it. */
typedef struct ndbuf__conversion {
    int32_t nparts;
    uint32_t flags;                /* NDBUF_CAST_... bits */
    ndbuf__conversion_part *parts; /* `one` where one is enough */
    ndbuf__conversion_part one;
    int64_t one_dims[3 * NDBUF__PART_NDIM];
    void *memory; /* the conversion's own, where `one` is not enough; NULL: none */
} ndbuf__conversion;

/* Fills a conversion, if the rule allows it. Allocates nothing where both formats are one plain element.
 *
 * NDBUF_ERR_CAST, NDBUF_ERR_INVALID  as ndbuf_format_can_cast
 * NDBUF_ERR_NOMEM */
ndbuf_status ndbuf__conversion_init(ndbuf__conversion *out_conversion, const ndbuf_format *dst, const ndbuf_format *src,
                                    ndbuf_casting casting, uint32_t flags, ndbuf_error *err);

/* The same in short, for formats that are not equal. False: an item is more than a number, or has a name, or becomes
 * more than one, or the rule does not allow it. */
bool ndbuf__conversion_of_numbers(ndbuf__convert *out_convert, const ndbuf_format *dst, const ndbuf_format *src,
                                  ndbuf_casting casting, uint32_t flags);

void ndbuf__conversion_clear(ndbuf__conversion *conversion);

/* Moves a conversion to a place that holds none; `from` has no parts then. */
void ndbuf__conversion_move(ndbuf__conversion *out_conversion, ndbuf__conversion *from);

/* A conversion that is shared by plans and copies under way. */
typedef struct ndbuf__record ndbuf__record;

void ndbuf__record_retain(ndbuf__record *record);  /* NULL is accepted */
void ndbuf__record_release(ndbuf__record *record); /* likewise */
const ndbuf__conversion *ndbuf__record_conversion(const ndbuf__record *record);

/* What a copy does to items. Zero-initialised is valid: it copies their bytes. */
typedef struct ndbuf__cast {
    ndbuf__convert convert; /* of the items, if they are elements */
    ndbuf__record *record;  /* NULL unless they are more than an element; then `convert` has their sizes alone */
    const ndbuf__conversion_part *part; /* the record's only one, whose axes become axes of the copy; NULL: not so */
    bool moves_nothing;                 /* the formats have nothing in common that is copied */
} ndbuf__cast;

/* Finds out what a copy between items of two formats does, if the rule allows it. The caller releases the record.
 * Statuses of ndbuf__conversion_init. */
ndbuf_status ndbuf__cast_init(ndbuf__cast *out_cast, const ndbuf_format *dst, const ndbuf_format *src,
                              ndbuf_casting casting, uint32_t flags, ndbuf_error *err);

/* The axes of a copy of so many items, and those of the record's only part behind them; not merged. The arrays have
 * ndim entries, `unit_nbytes` is what an item has in the destination. */
void ndbuf__cast_axes(const ndbuf__cast *cast, int64_t unit_nbytes, int32_t ndim, const int64_t *shape,
                      const int64_t *dst_strides, const int64_t *src_strides, ndbuf__copy_axes *out_axes);

/* The record whose parts go block by block; NULL: there are no parts, or but one. */
static inline const ndbuf__record *ndbuf__cast_parts(const ndbuf__cast *cast)
{
    return cast->part == NULL ? cast->record : NULL;
}

/* What becomes of each element of a record's part. */
ndbuf__convert ndbuf__part_convert(const ndbuf__conversion_part *part, uint32_t flags);

static inline bool ndbuf__casts(const ndbuf__cast *cast)
{
    return ndbuf__converts(&cast->convert) || cast->moves_nothing;
}

#endif
