/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conversion.h"

#include <stddef.h>

#include "core/compiler.h"
#include "core/host_alloc.h"
#include "core/ref_count.h"

struct ndbuf__record {
    ndbuf__ref_count refs;
    ndbuf__conversion conversion;
};

/* Takes the conversion over, unless it fails. */
static ndbuf_status record_create(ndbuf__record **out_record, ndbuf__conversion *conversion, ndbuf_error *err)
{
    ndbuf__record *record = ndbuf__malloc(sizeof(*record));
    if (record == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory for the conversion of records");
    }
    ndbuf__ref_init(&record->refs);
    ndbuf__conversion_move(&record->conversion, conversion);
    *out_record = record;
    return NDBUF_OK;
}

void ndbuf__record_retain(ndbuf__record *record)
{
    if (record != NULL) {
        ndbuf__ref_retain(&record->refs);
    }
}

void ndbuf__record_release(ndbuf__record *record)
{
    if (record != NULL && ndbuf__ref_release(&record->refs)) {
        ndbuf__conversion_clear(&record->conversion);
        ndbuf__free(record);
    }
}

const ndbuf__conversion *ndbuf__record_conversion(const ndbuf__record *record)
{
    return &record->conversion;
}

ndbuf__convert ndbuf__part_convert(const ndbuf__conversion_part *part, uint32_t flags)
{
    ndbuf__convert convert = {.flags = 0};
    if (part->dst.number != 0) {
        convert = (ndbuf__convert){part->dst, part->src, flags};
    }
    return convert;
}

/* Whether a conversion is that of the whole item as one element. */
static bool is_of_elements(const ndbuf__conversion *conversion, const ndbuf_format *dst, const ndbuf_format *src)
{
    const ndbuf__conversion_part *part = conversion->parts;
    return conversion->nparts == 1 && part->ndim == 0 && part->dst_offset == 0 && part->src_offset == 0 &&
           part->dst.nbytes == ndbuf_format_itemsize(dst) && part->src.nbytes == ndbuf_format_itemsize(src);
}

/* Items that are more than an element; takes the conversion over, unless it fails. */
static ndbuf_status cast_records(ndbuf__cast *cast, ndbuf__conversion *conversion, const ndbuf_format *dst,
                                 const ndbuf_format *src, ndbuf_error *err)
{
    const int64_t dst_nbytes = ndbuf_format_itemsize(dst);
    const int64_t src_nbytes = ndbuf_format_itemsize(src);
    if (dst_nbytes > INT32_MAX || src_nbytes > INT32_MAX) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "records of %lld and %lld bytes are too large to be converted",
                          (long long)dst_nbytes, (long long)src_nbytes);
    }
    cast->convert.dst.nbytes = (int32_t)dst_nbytes;
    cast->convert.src.nbytes = (int32_t)src_nbytes;
    ndbuf_status status = record_create(&cast->record, conversion, err);
    if (status == NDBUF_OK && cast->record->conversion.nparts == 1) {
        cast->part = cast->record->conversion.parts;
    }
    return status;
}

static NDBUF__NOINLINE ndbuf_status cast_differing(ndbuf__cast *out_cast, const ndbuf_format *dst,
                                                   const ndbuf_format *src, ndbuf_casting casting, uint32_t flags,
                                                   ndbuf_error *err)
{
    ndbuf__cast cast = {.record = NULL};
    ndbuf__conversion conversion;
    ndbuf_status status = ndbuf__conversion_init(&conversion, dst, src, casting, flags, err);
    if (status != NDBUF_OK) {
        return status;
    }
    cast.moves_nothing = conversion.nparts == 0;
    const bool of_elements = !cast.moves_nothing && is_of_elements(&conversion, dst, src);
    if (of_elements) {
        cast.convert = ndbuf__part_convert(conversion.parts, flags);
    } else if (!cast.moves_nothing) {
        status = cast_records(&cast, &conversion, dst, src, err);
    }
    ndbuf__conversion_clear(&conversion);
    if (status == NDBUF_OK) {
        *out_cast = cast;
    }
    return status;
}

ndbuf_status ndbuf__cast_init(ndbuf__cast *out_cast, const ndbuf_format *dst, const ndbuf_format *src,
                              ndbuf_casting casting, uint32_t flags, ndbuf_error *err)
{
    bool is_known =
        casting >= NDBUF_CASTING_NO && casting <= NDBUF_CASTING_UNSAFE && (flags & ~(uint32_t)NDBUF_CAST_SATURATE) == 0;
    const bool are_equal = dst == src || ndbuf_format_equal(dst, src); /* mostly without a call */
    ndbuf__convert convert = {.flags = 0};
    if (!is_known || (!are_equal && !ndbuf__conversion_of_numbers(&convert, dst, src, casting, flags))) {
        return cast_differing(out_cast, dst, src, casting, flags, err);
    }
    *out_cast = (ndbuf__cast){.convert = convert};
    return NDBUF_OK;
}

void ndbuf__cast_axes(const ndbuf__cast *cast, int64_t unit_nbytes, int32_t ndim, const int64_t *shape,
                      const int64_t *dst_strides, const int64_t *src_strides, ndbuf__copy_axes *out_axes)
{
    ndbuf__copy_axes *axes = out_axes;
    ndbuf__copy_axes_init(axes, unit_nbytes, ndim, shape, dst_strides, src_strides);
    axes->convert = cast->convert;
    const ndbuf__conversion_part *part = cast->part;
    if (part != NULL) {
        axes->convert = ndbuf__part_convert(part, cast->record->conversion.flags);
        axes->unit_nbytes = part->dst.nbytes;
        axes->dst_offset = part->dst_offset;
        axes->src_offset = part->src_offset;
        for (int32_t k = 0; k < part->ndim; k++) {
            ndbuf__copy_axes_append(axes, part->shape[k], part->dst_strides[k], part->src_strides[k]);
        }
    }
}
