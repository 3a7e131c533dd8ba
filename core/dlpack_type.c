/* SPDX-License-Identifier: Apache-2.0 */
#include "core/dlpack_core.h"

#include <stdio.h>

#include "core/format_codes.h"

/* The code of a kind of numbers, if DLPack has one in this size. */
static bool code_of_kind(int32_t kind, int64_t size, DLDataType *out_type)
{
    switch (kind) {
    case NDBUF_KIND_BOOL:
        out_type->code = kDLBool;
        break;
    case NDBUF_KIND_INT:
        out_type->code = kDLInt;
        break;
    case NDBUF_KIND_UINT:
        out_type->code = kDLUInt;
        break;
    case NDBUF_KIND_FLOAT: /* 128 bits would be the IEEE format, which long double is not everywhere */
        if (size > 8) {
            return false;
        }
        out_type->code = kDLFloat;
        break;
    case NDBUF_KIND_BFLOAT:
        out_type->code = kDLBfloat;
        break;
    case NDBUF_KIND_COMPLEX:
        if (size > 16) {
            return false;
        }
        out_type->code = kDLComplex;
        break;
    default:
        return false;
    }
    out_type->bits = (uint8_t)(8 * size);
    return true;
}

/* Of a number in C: complex numbers are aligned as their halves. */
static int64_t natural_alignment(int32_t kind, int64_t size)
{
    return kind == NDBUF_KIND_COMPLEX ? size / 2 : size;
}

/* Whether an item is numbers of one type side by side, and how many. */
static bool is_plain(const ndbuf_format *format, const ndbuf_field *field, bool lanes, int64_t *out_count)
{
    *out_count = 1;
    if (field->ndim == 1 && lanes && field->strides[0] == field->size && field->extents[0] <= UINT16_MAX) {
        *out_count = field->extents[0];
    } else if (field->ndim != 0) {
        return false;
    }
    return field->offset == 0 && *out_count * field->size == ndbuf_format_itemsize(format);
}

ndbuf__dlpack_items ndbuf__dlpack_items_of(const ndbuf_format *format, bool lanes, ndbuf__losses *losses)
{
    ndbuf__dlpack_items items = {.type = {kDLUInt, 8, 1}, .as_bytes = true, .alignment = 1};
    ndbuf_field field = {.ndim = 0};
    const char *text = ndbuf_format_text(format);
    int32_t nfields = ndbuf_format_nfields(format);
    int64_t count;
    if (nfields > 1 || (nfields == 1 && ndbuf_format_field(format, 0, &field, NULL) == NDBUF_OK && field.nnames > 0)) {
        ndbuf__loss_add(losses, NDBUF_LOSS_NAMES, NDBUF_ERR_UNSUPPORTED, "DLPack", "it has no fields: '%.60s'", text);
    }
    if (nfields > 1) {
        return items;
    }
    DLDataType type = {0, 0, 1};
    if (nfields == 0 || !is_plain(format, &field, lanes, &count) || !code_of_kind(field.kind, field.size, &type)) {
        ndbuf__loss_add(losses, NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "DLPack", "it has no type for '%.60s'", text);
        return items;
    }
    if (field.byte_order != '|' && field.byte_order != NDBUF__HOST_ORDER) {
        ndbuf__loss_add(losses, NDBUF_LOSS_BYTE_ORDER, NDBUF_ERR_UNSUPPORTED, "DLPack",
                        "'%.60s' is not in the host's byte order", text);
        return items;
    }
    type.lanes = (uint16_t)count;
    return (ndbuf__dlpack_items){.type = type, .alignment = natural_alignment(field.kind, field.size)};
}

/* The kind of a code that has formats, or 0. */
static int32_t kind_of_code(DLDataType type)
{
    switch (type.code) {
    case kDLBool:
        return type.bits == 8 ? NDBUF_KIND_BOOL : 0;
    case kDLInt:
        return NDBUF_KIND_INT;
    case kDLUInt:
        return NDBUF_KIND_UINT;
    case kDLFloat:
        return type.bits <= 64 ? NDBUF_KIND_FLOAT : 0;
    case kDLBfloat:
        return NDBUF_KIND_BFLOAT;
    case kDLComplex:
        return type.bits <= 128 ? NDBUF_KIND_COMPLEX : 0;
    default:
        return 0;
    }
}

/* Items of several lanes: an array of them. */
static ndbuf_status lanes_format(const ndbuf_format *lane, unsigned count, ndbuf_format **out_format, ndbuf_error *err)
{
    char text[64];
    snprintf(text, sizeof(text), "(%u)%s", count, ndbuf_format_text(lane));
    return ndbuf_format_parse(text, 0, out_format, err);
}

static ndbuf_status opaque_format(DLDataType type, bool padded, ndbuf__losses *losses, ndbuf_format **out_format,
                                  ndbuf_error *err)
{
    int64_t bits = padded ? (type.bits + 7) / 8 * 8 : type.bits;
    if (bits * type.lanes % 8 != 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "items of %d bits in %d lanes are no whole bytes", type.bits,
                          type.lanes);
    }
    ndbuf__loss_add(losses, NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "DLPack",
                    "no format for type code %d of %d bits and %d lanes", type.code, type.bits, type.lanes);
    return losses->status != NDBUF_OK
               ? losses->status
               : ndbuf_format_create(NDBUF_KIND_OPAQUE, bits * type.lanes / 8, '=', out_format, err);
}

ndbuf_status ndbuf__dlpack_format_of(DLDataType type, bool padded, bool lanes, ndbuf__losses *losses,
                                     ndbuf_format **out_format, int64_t *out_alignment, ndbuf_error *err)
{
    ndbuf_format *lane = NULL;
    *out_alignment = 1;
    if (type.bits == 0 || type.lanes == 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the tensor has items of %d bits in %d lanes", type.bits, type.lanes);
    }
    int32_t kind = kind_of_code(type);
    int64_t size = type.bits / 8;
    if (kind == 0 || type.bits % 8 != 0 || (type.lanes > 1 && !lanes) ||
        ndbuf_format_create((ndbuf_kind)kind, size, '=', &lane, NULL) != NDBUF_OK) {
        return opaque_format(type, padded, losses, out_format, err);
    }
    *out_alignment = natural_alignment(kind, size);
    if (type.lanes == 1) {
        *out_format = lane;
        return NDBUF_OK;
    }
    ndbuf_status status = lanes_format(lane, type.lanes, out_format, err);
    ndbuf_format_release(lane);
    return status;
}
