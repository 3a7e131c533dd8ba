/* SPDX-License-Identifier: Apache-2.0 */
#include "npy_descr.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What does not fit is only counted. */
typedef struct text_sink {
    char *text;
    size_t size;
    size_t length;
} text_sink;

static void put_char(text_sink *sink, char c)
{
    if (sink->length + 1 < sink->size) {
        sink->text[sink->length] = c;
        sink->text[sink->length + 1] = '\0';
    }
    sink->length++;
}

static void put(text_sink *sink, const char *text)
{
    for (; *text != '\0'; text++) {
        put_char(sink, *text);
    }
}

static void put_number(text_sink *sink, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, number);
    put(sink, text);
}

/* "'<f4'" */
static void put_code(text_sink *sink, char order, char kind, int64_t size)
{
    put_char(sink, '\'');
    put_char(sink, order);
    put_char(sink, kind);
    put_number(sink, size);
    put_char(sink, '\'');
}

/* "'<f4'". Returns whether NumPy has such a type. */
static int put_type(text_sink *sink, const ndbuf_field *field)
{
    char order = field->byte_order;
    switch (field->kind) {
    case NDBUF_KIND_BOOL:
    case NDBUF_KIND_INT:
    case NDBUF_KIND_UINT:
    case NDBUF_KIND_FLOAT:
    case NDBUF_KIND_COMPLEX:
        put_code(sink, order, (char)field->kind, field->size);
        return 1;
    case NDBUF_KIND_BFLOAT:
        put_code(sink, order, 'V', 2);
        return 1;
    case NDBUF_KIND_BYTES:
        put_code(sink, '|', 'S', field->size);
        return 1;
    case NDBUF_KIND_TEXT:
        put_code(sink, order, 'U', field->size / 4);
        return field->code[0] == 'w';
    case NDBUF_KIND_PASCAL:
    case NDBUF_KIND_BITS:
    case NDBUF_KIND_OPAQUE:
        put_code(sink, '|', 'V', field->size);
        return 1;
    default:
        return 0;
    }
}

static void put_name(text_sink *sink, const char *name)
{
    put(sink, "'");
    for (const char *c = name; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte < 0x20 || byte == 0x7F) {
            char text[8];
            snprintf(text, sizeof(text), "\\x%02x", byte);
            put(sink, text);
        } else {
            put(sink, byte == '\'' || byte == '\\' ? "\\" : "");
            put_char(sink, *c);
        }
    }
    put(sink, "'");
}

/* Padding between the fields of a record. */
static void put_padding(text_sink *sink, int64_t nbytes, int is_first)
{
    if (nbytes > 0) {
        put(sink, is_first ? "('', " : ", ('', ");
        put_code(sink, '|', 'V', nbytes);
        put_char(sink, ')');
    }
}

/* The bytes of all elements of a field if they lie side by side, else -1. */
static int64_t packed_nbytes(const ndbuf_field *field)
{
    int64_t nbytes = field->size;
    for (int32_t k = field->ndim - 1; k >= 0; k--) {
        if (field->strides[k] != nbytes) {
            return -1;
        }
        nbytes *= field->extents[k];
    }
    return nbytes;
}

/* "[('a', '<f4'), ('b', '|u1', (3,))]" */
static int put_record(text_sink *sink, const ndbuf_format *format)
{
    int64_t end = 0;
    put(sink, "[");
    for (int32_t i = 0; i < ndbuf_format_nfields(format); i++) {
        ndbuf_field field;
        if (ndbuf_format_field(format, i, &field, NULL) != NDBUF_OK || field.nnames != 1 || packed_nbytes(&field) < 0) {
            return 0;
        }
        put_padding(sink, field.offset - end, end == 0 && i == 0);
        put(sink, field.offset > 0 ? ", (" : "(");
        put_name(sink, field.names[0]);
        put(sink, ", ");
        if (!put_type(sink, &field)) {
            return 0;
        }
        for (int32_t k = 0; k < field.ndim; k++) {
            put(sink, k == 0 ? ", (" : ", ");
            put_number(sink, field.extents[k]);
        }
        put(sink, field.ndim == 0 ? ")" : field.ndim == 1 ? ",))" : "))");
        end = field.offset + packed_nbytes(&field);
    }
    put_padding(sink, ndbuf_format_itemsize(format) - end, end == 0);
    put(sink, "]");
    return end > 0;
}

static int put_descr(text_sink *sink, const ndbuf_format *format)
{
    ndbuf_field field;
    if (ndbuf_format_nfields(format) == 1 && ndbuf_format_field(format, 0, &field, NULL) == NDBUF_OK &&
        field.nnames == 0 && field.ndim == 0 && field.size == ndbuf_format_itemsize(format)) {
        return put_type(sink, &field);
    }
    return put_record(sink, format);
}

ndbuf_status npy_descr_make(const ndbuf_format *format, char **out_descr, ndbuf_error *err)
{
    text_sink counted = {NULL, 0, 0};
    if (!put_descr(&counted, format)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "a .npy file cannot hold items of '%.120s'",
                          ndbuf_format_text(format));
    }
    char *text = malloc(counted.length + 1);
    if (text == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a descr of %zu bytes", counted.length);
    }
    text_sink sink = {text, counted.length + 1, 0};
    (void)put_descr(&sink, format);
    *out_descr = text;
    return NDBUF_OK;
}
