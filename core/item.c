/* SPDX-License-Identifier: Apache-2.0 */
#include "core/item_element.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/float_mode.h"
#include "core/format_tree.h"
#include "core/small_floats.h"

/* Largest element that is a number. */
#define MAX_NUMBER_NBYTES (2 * sizeof(long double))

/* What a pass over the elements of an item calls for each. */
typedef ndbuf_status (*element_fn)(void *context, int32_t field_index, int64_t offset);

typedef struct walker {
    const ndbuf_format *format;
    element_fn visit;
    void *context;
} walker;

/* The elements of the nodes first .. end - 1, of one level, in memory order. `field_index` is that of the next leaf. */
static ndbuf_status walk_level(const walker *w, int32_t first, int32_t end, int64_t base, int32_t *field_index)
{
    ndbuf_status status = NDBUF_OK;
    for (int32_t i = first; i < end && status == NDBUF_OK; i = w->format->nodes[i].end) {
        const ndbuf__format_node *node = &w->format->nodes[i];
        bool is_record = node->code == NDBUF__CODE_RECORD;
        int64_t count = node->nbytes / node->size;
        int32_t first_field = *field_index;
        for (int64_t k = 0; k < count && status == NDBUF_OK; k++) {
            int64_t offset = base + node->offset + k * node->size;
            *field_index = first_field;
            status = is_record ? walk_level(w, i + 1, node->end, offset, field_index)
                               : w->visit(w->context, first_field, offset);
        }
        *field_index = is_record ? *field_index : first_field + 1;
    }
    return status;
}

static ndbuf_status walk(const ndbuf_format *format, element_fn visit, void *context)
{
    walker w = {format, visit, context};
    int32_t field_index = 0;
    if (format->nnodes == 0 && format->nfields == 1) { /* interned */
        return visit(context, 0, 0);
    }
    return walk_level(&w, 0, format->nnodes, 0, &field_index);
}

int64_t ndbuf_item_nvalues(const ndbuf_format *format)
{
    int64_t count = 0; /* each takes a byte at least, so they are fewer than 2^63 */
    for (int32_t i = 0; i < format->nfields; i++) {
        int64_t nelements = 1;
        for (int32_t k = 0; k < format->fields[i].ndim; k++) {
            nelements *= format->fields[i].extents[k];
        }
        count += nelements;
    }
    return count;
}

static ndbuf_status check_sizes(const ndbuf_format *format, int64_t nvalues, int64_t itemsize, ndbuf_error *err)
{
    int64_t expected = ndbuf_item_nvalues(format);
    if (nvalues != expected) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%" PRId64 " values for an item of %" PRId64, nvalues, expected);
    }
    if (itemsize != format->itemsize) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "itemsize is %" PRId64 ", the format's is %" PRId64, itemsize,
                          format->itemsize);
    }
    return NDBUF_OK;
}

void ndbuf__element_copy(unsigned char *dst, const unsigned char *src, int64_t nbytes, char byte_order)
{
    for (int64_t i = 0; i < nbytes; i++) {
        dst[i] = src[byte_order == NDBUF__SWAPPED_ORDER ? nbytes - 1 - i : i];
    }
}

/* ---- reading ---- */

static double read_real(int32_t kind, int64_t size, const unsigned char *number, char byte_order)
{
    unsigned char bytes[sizeof(long double)] = {0};
    ndbuf__element_copy(bytes, number, size, byte_order);
    if (size == 2) {
        uint16_t bits;
        memcpy(&bits, bytes, sizeof(bits));
        return kind == NDBUF_KIND_BFLOAT ? ndbuf__bfloat16_value(bits) : ndbuf__float16_value(bits);
    }
    if (size == 4) {
        float value;
        memcpy(&value, bytes, sizeof(value));
        return value;
    }
    if (size == 8) {
        double value;
        memcpy(&value, bytes, sizeof(value));
        return value;
    }
    ndbuf__long_double_mode mode;
    long double value;
    memcpy(&value, bytes, sizeof(value));
    ndbuf__long_double_mode_begin(&mode);
    double rounded = (double)value;
    ndbuf__long_double_mode_end(&mode);
    return rounded;
}

static uint64_t read_unsigned(int64_t size, const unsigned char *number, char byte_order)
{
    uint64_t value = 0;
    for (int64_t i = 0; i < size; i++) {
        bool little = (byte_order == '|' ? NDBUF__HOST_ORDER : byte_order) == '<';
        value = value << 8 | number[little ? size - 1 - i : i];
    }
    return value;
}

static ndbuf_value bytes_value(const unsigned char *data, int64_t nbytes)
{
    ndbuf_value value = {.kind = NDBUF_VALUE_BYTES};
    value.as.bytes.data = data;
    value.as.bytes.nbytes = nbytes;
    return value;
}

ndbuf_value ndbuf__element_value(const ndbuf_field *field, const unsigned char *element)
{
    ndbuf_value value = {.kind = NDBUF_VALUE_UINT};
    int64_t half = field->size / 2;
    switch (field->kind) {
    case NDBUF_KIND_BOOL:
        value.as.uint64 = element[0] != 0;
        return value;
    case NDBUF_KIND_UINT:
    case NDBUF_KIND_OBJECT:
    case NDBUF_KIND_POINTER:
        value.as.uint64 = read_unsigned(field->size, element, field->byte_order);
        return value;
    case NDBUF_KIND_INT: {
        uint64_t bits = read_unsigned(field->size, element, field->byte_order);
        uint64_t sign = (uint64_t)1 << (8 * field->size - 1);
        uint64_t extended = (bits ^ sign) - sign;
        value.kind = NDBUF_VALUE_INT;
        memcpy(&value.as.int64, &extended, sizeof(extended));
        return value;
    }
    case NDBUF_KIND_FLOAT:
    case NDBUF_KIND_BFLOAT:
        value.kind = NDBUF_VALUE_FLOAT;
        value.as.float64 = read_real(field->kind, field->size, element, field->byte_order);
        return value;
    case NDBUF_KIND_COMPLEX:
        value.kind = NDBUF_VALUE_COMPLEX;
        value.as.complex.real = read_real(NDBUF_KIND_FLOAT, half, element, field->byte_order);
        value.as.complex.imag = read_real(NDBUF_KIND_FLOAT, half, element + half, field->byte_order);
        return value;
    case NDBUF_KIND_PASCAL:
        return bytes_value(element + 1, element[0] < field->size ? element[0] : field->size - 1);
    default:
        return bytes_value(element, field->size);
    }
}

typedef struct unpacker {
    const ndbuf_format *format;
    const unsigned char *item;
    ndbuf_value *next;
} unpacker;

static ndbuf_status unpack_element(void *context, int32_t field_index, int64_t offset)
{
    unpacker *u = context;
    *u->next++ = ndbuf__element_value(&u->format->fields[field_index], u->item + offset);
    return NDBUF_OK;
}

ndbuf_status ndbuf_item_unpack(const ndbuf_format *format, const void *item, int64_t itemsize, ndbuf_value *out_values,
                               int64_t nvalues, ndbuf_error *err)
{
    ndbuf_status status = check_sizes(format, nvalues, itemsize, err);
    if (status != NDBUF_OK) {
        return status;
    }
    unpacker u = {format, item, out_values};
    const uint64_t mode = ndbuf__float_mode_begin();
    status = walk(format, unpack_element, &u);
    ndbuf__float_mode_end(mode);
    return status;
}

/* ---- writing ---- */

typedef struct packer {
    const ndbuf_format *format;
    const ndbuf_value *values;
    const ndbuf_value *next;
    unsigned char *item; /* NULL: the values are only checked */
    ndbuf_error *err;
} packer;

/* A value and its field for a message. */
static ndbuf_status fail_value(const packer *p, ndbuf_status status, const ndbuf_field *field, const char *what)
{
    char text[64];
    char path[80] = "";
    size_t length = 0;
    const ndbuf_value *value = p->next;
    switch (value->kind) {
    case NDBUF_VALUE_INT:
        snprintf(text, sizeof(text), "%" PRId64, value->as.int64);
        break;
    case NDBUF_VALUE_UINT:
        snprintf(text, sizeof(text), "%" PRIu64, value->as.uint64);
        break;
    case NDBUF_VALUE_FLOAT:
        snprintf(text, sizeof(text), "%.17g", value->as.float64);
        break;
    case NDBUF_VALUE_COMPLEX:
        snprintf(text, sizeof(text), "%.17g%+.17gj", value->as.complex.real, value->as.complex.imag);
        break;
    case NDBUF_VALUE_BYTES:
        snprintf(text, sizeof(text), "%" PRId64 " bytes", value->as.bytes.nbytes);
        break;
    default:
        snprintf(text, sizeof(text), "kind %d", (int)value->kind);
    }
    for (int32_t k = 0; k < field->nnames && length < sizeof(path) - 1; k++) {
        int added =
            snprintf(path + length, sizeof(path) - length, "%s%s", k > 0 ? "." : " for field ", field->names[k]);
        length += added > 0 ? (size_t)added : 0;
    }
    return ndbuf_fail(p->err, status, "value %" PRId64 "%s: %s %s '%s' of %" PRId64 " bytes",
                      (int64_t)(p->next - p->values), path, text, what, field->code, field->size);
}

static ndbuf_status fail_kind(const packer *p, const ndbuf_field *field)
{
    const char *what = p->next->kind == NDBUF_VALUE_FLOAT ? "is a float, which is nothing for" : "is nothing for";
    return fail_value(p, NDBUF_ERR_INVALID, field, what);
}

static ndbuf_status pack_integer(const packer *p, const ndbuf_field *field, unsigned char *out)
{
    const ndbuf_value *value = p->next;
    bool is_signed = field->kind == NDBUF_KIND_INT;
    if (value->kind != NDBUF_VALUE_INT && value->kind != NDBUF_VALUE_UINT) {
        return fail_kind(p, field);
    }
    bool negative = value->kind == NDBUF_VALUE_INT && value->as.int64 < 0;
    uint64_t bits = value->kind == NDBUF_VALUE_INT ? (uint64_t)value->as.int64 : value->as.uint64;
    int width = (int)(8 * field->size) - (is_signed ? 1 : 0);
    uint64_t beyond = negative ? ~bits : bits; /* has no bits from `width` on, if it fits */
    if ((negative && !is_signed) || (width < 64 && beyond >> width != 0)) {
        return fail_value(p, NDBUF_ERR_OVERFLOW, field, "does not fit in");
    }
    for (int64_t i = 0; i < field->size; i++) {
        bool little = (field->byte_order == '|' ? NDBUF__HOST_ORDER : field->byte_order) == '<';
        out[little ? i : field->size - 1 - i] = (unsigned char)(bits >> 8 * i);
    }
    return NDBUF_OK;
}

/* A real number as it is given. */
typedef struct real {
    bool is_integer; /* the magnitude and sign; else `float64` */
    bool negative;
    uint64_t magnitude;
    double float64;
} real;

static real real_of(const ndbuf_value *value)
{
    real r = {.is_integer = value->kind == NDBUF_VALUE_INT || value->kind == NDBUF_VALUE_UINT};
    if (value->kind == NDBUF_VALUE_INT) {
        r.negative = value->as.int64 < 0;
        r.magnitude = r.negative ? ~(uint64_t)value->as.int64 + 1 : (uint64_t)value->as.int64;
    } else if (value->kind == NDBUF_VALUE_UINT) {
        r.magnitude = value->as.uint64;
    } else {
        r.float64 = value->kind == NDBUF_VALUE_FLOAT ? value->as.float64 : value->as.complex.real;
    }
    return r;
}

/* The bytes of a long double that mean something; the others stay zero. */
#if LDBL_MANT_DIG == 64
#define LONG_DOUBLE_NBYTES 10
#else
#define LONG_DOUBLE_NBYTES sizeof(long double)
#endif

/* Writes a float. Returns whether a finite number is still finite. */
static bool write_real(const real *r, int32_t kind, int64_t size, char byte_order, unsigned char *out)
{
    unsigned char bytes[sizeof(long double)] = {0};
    bool fits = true;
    if (size == 2) {
        double value = r->is_integer ? ndbuf__double_for_rounding(r->magnitude) : r->float64;
        value = r->negative ? -value : value;
        bool is_bfloat = kind == NDBUF_KIND_BFLOAT;
        uint16_t bits = is_bfloat ? ndbuf__bfloat16_from(value) : ndbuf__float16_from(value);
        fits = !isfinite(value) || (bits & 0x7FFF) < (is_bfloat ? 0x7F80 : 0x7C00);
        memcpy(bytes, &bits, sizeof(bits));
    } else if (size == 4) {
        float value = r->is_integer ? (float)r->magnitude : (float)r->float64;
        value = r->negative ? -value : value;
        fits = r->is_integer || !isfinite(r->float64) || isfinite(value);
        memcpy(bytes, &value, sizeof(value));
    } else if (size == 8) {
        double value = r->is_integer ? (double)r->magnitude : r->float64;
        value = r->negative ? -value : value;
        memcpy(bytes, &value, sizeof(value));
    } else {
        ndbuf__long_double_mode mode;
        ndbuf__long_double_mode_begin(&mode);
        long double value = r->is_integer ? (long double)r->magnitude : (long double)r->float64;
        value = r->negative ? -value : value;
        memcpy(bytes, &value, LONG_DOUBLE_NBYTES);
        ndbuf__long_double_mode_end(&mode);
    }
    ndbuf__element_copy(out, bytes, size, byte_order);
    return fits;
}

static ndbuf_status pack_real(const packer *p, const ndbuf_field *field, unsigned char *out)
{
    if (p->next->kind != NDBUF_VALUE_FLOAT && p->next->kind != NDBUF_VALUE_INT && p->next->kind != NDBUF_VALUE_UINT) {
        return fail_kind(p, field);
    }
    real r = real_of(p->next);
    return write_real(&r, field->kind, field->size, field->byte_order, out)
               ? NDBUF_OK
               : fail_value(p, NDBUF_ERR_OVERFLOW, field, "is beyond the range of");
}

static ndbuf_status pack_complex(const packer *p, const ndbuf_field *field, unsigned char *out)
{
    if (p->next->kind < NDBUF_VALUE_INT || p->next->kind > NDBUF_VALUE_COMPLEX) {
        return fail_kind(p, field);
    }
    int64_t half = field->size / 2;
    real re = real_of(p->next);
    real im = {.float64 = p->next->kind == NDBUF_VALUE_COMPLEX ? p->next->as.complex.imag : 0.0};
    bool re_fits = write_real(&re, NDBUF_KIND_FLOAT, half, field->byte_order, out);
    bool im_fits = write_real(&im, NDBUF_KIND_FLOAT, half, field->byte_order, out + half);
    return re_fits && im_fits ? NDBUF_OK : fail_value(p, NDBUF_ERR_OVERFLOW, field, "is beyond the range of");
}

static ndbuf_status pack_bool(const packer *p, const ndbuf_field *field, unsigned char *out)
{
    if (p->next->kind < NDBUF_VALUE_INT || p->next->kind > NDBUF_VALUE_COMPLEX) {
        return fail_kind(p, field);
    }
    real r = real_of(p->next);
    bool has_imag = p->next->kind == NDBUF_VALUE_COMPLEX && p->next->as.complex.imag != 0;
    out[0] = r.magnitude != 0 || r.float64 != 0 || has_imag;
    return NDBUF_OK;
}

/* Bytes for a field that takes `room` of them, behind `head` others. NULL: only checked. */
static ndbuf_status pack_bytes(const packer *p, const ndbuf_field *field, unsigned char *out)
{
    const ndbuf_value *value = p->next;
    int64_t unit = field->kind != NDBUF_KIND_TEXT ? 1 : field->code[0] == 'u' ? 2 : 4;
    bool is_exact = field->code[0] == 'c' || field->kind == NDBUF_KIND_BITS || field->kind == NDBUF_KIND_OPAQUE;
    if (value->kind != NDBUF_VALUE_BYTES) {
        return fail_kind(p, field);
    }
    int64_t nbytes = value->as.bytes.nbytes;
    if (nbytes < 0 || nbytes % unit != 0 || (is_exact && nbytes != field->size)) {
        return fail_value(p, NDBUF_ERR_INVALID, field, "are not right for");
    }
    int64_t head = field->kind == NDBUF_KIND_PASCAL ? 1 : 0;
    nbytes = nbytes < field->size - head ? nbytes : field->size - head;
    if (out != NULL) {
        if (head > 0) {
            out[0] = (unsigned char)(nbytes < UINT8_MAX ? nbytes : UINT8_MAX);
        }
        if (nbytes > 0) {
            memcpy(out + head, value->as.bytes.data, (size_t)nbytes);
        }
    }
    return NDBUF_OK;
}

static ndbuf_status pack_element(void *context, int32_t field_index, int64_t offset)
{
    packer *p = context;
    const ndbuf_field *field = &p->format->fields[field_index];
    unsigned char number[MAX_NUMBER_NBYTES];
    unsigned char *out = p->item != NULL ? p->item + offset : number;
    ndbuf_status status = NDBUF_OK;
    switch (field->kind) {
    case NDBUF_KIND_BOOL:
        status = pack_bool(p, field, out);
        break;
    case NDBUF_KIND_INT:
    case NDBUF_KIND_UINT:
    case NDBUF_KIND_OBJECT:
    case NDBUF_KIND_POINTER:
        status = pack_integer(p, field, out);
        break;
    case NDBUF_KIND_FLOAT:
    case NDBUF_KIND_BFLOAT:
        status = pack_real(p, field, out);
        break;
    case NDBUF_KIND_COMPLEX:
        status = pack_complex(p, field, out);
        break;
    default:
        status = pack_bytes(p, field, p->item != NULL ? out : NULL);
    }
    p->next++;
    return status;
}

ndbuf_status ndbuf_item_pack(const ndbuf_format *format, const ndbuf_value *values, int64_t nvalues, void *out_item,
                             int64_t itemsize, ndbuf_error *err)
{
    ndbuf_status status = check_sizes(format, nvalues, itemsize, err);
    if (status != NDBUF_OK) {
        return status;
    }
    const uint64_t mode = ndbuf__float_mode_begin();
    packer check = {.format = format, .values = values, .next = values, .err = err};
    status = walk(format, pack_element, &check);
    if (status == NDBUF_OK && itemsize > 0) {
        packer pack = {.format = format, .values = values, .next = values, .item = out_item, .err = err};
        memset(out_item, 0, (size_t)itemsize);
        status = walk(format, pack_element, &pack);
    }
    ndbuf__float_mode_end(mode);
    return status;
}
