/* SPDX-License-Identifier: Apache-2.0 */
#include "core/item_element.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/float_mode.h"
#include "core/format_tree.h"
#include "core/small_floats.h"

/* The text being made; what does not fit is only counted. */
typedef struct printer {
    const ndbuf_format *format;
    const unsigned char *item;
    int32_t field; /* the leaf at hand */
    char *out;
    size_t size;
    size_t length;
} printer;

static void put_bytes(printer *p, const char *bytes, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++, p->length++) {
        if (p->length + 1 < p->size) {
            p->out[p->length] = bytes[i];
        }
    }
}

static void put(printer *p, const char *text)
{
    put_bytes(p, text, strlen(text));
}

/* What a float of that size would make of a number: the text is long enough if that is the number itself. */
static double as_stored(double value, int32_t kind, int64_t size)
{
    if (size == 2) {
        return kind == NDBUF_KIND_BFLOAT ? ndbuf__bfloat16_value(ndbuf__bfloat16_from(value))
                                         : ndbuf__float16_value(ndbuf__float16_from(value));
    }
    return size == 4 ? (double)(float)value : value;
}

#define MAX_WHOLE 1e16

/* The last digit of a text becomes the next one; with nines before, more of them. Returns false if all are nines. */
static bool step_up(char *text)
{
    for (size_t i = strcspn(text, "e"); i > 0; i--) {
        char *c = &text[i - 1];
        if (*c >= '0' && *c < '9') {
            *c = (char)(*c + 1);
            return true;
        }
        *c = *c == '9' ? '0' : *c;
    }
    return false;
}

/* Writes a number with so many digits: those that are nearest to it, or the next ones away from zero. Returns whether
 * they lead back to it. */
static bool write_digits(double value, int32_t kind, int64_t size, int digits, bool up, char *text, size_t text_size)
{
    if (fabs(value) >= MAX_WHOLE) {
        snprintf(text, text_size, "%.*e", digits - 1, value);
    } else {
        snprintf(text, text_size, up ? "%#.*g" : "%.*g", digits, value); /* '#' keeps zeros at the end */
    }
    return (!up || step_up(text)) && as_stored(strtod(text, NULL), kind, size) == value;
}

/* The fewest digits that lead back to the number, and all of a whole one that is not too large. Below a power of two
 * floats are closer together than above it: there the nearest digits may lead elsewhere, and the next ones back.
 * Locales write the point their way: it is made one again. */
static void put_real(printer *p, double value, int32_t kind, int64_t size, bool with_plus)
{
    static const char plain[] = "+-0123456789e";
    char text[48];
    if (!isfinite(value)) {
        put(p, isnan(value) ? (with_plus ? "+nan" : "nan") : value < 0 ? "-inf" : with_plus ? "+inf" : "inf");
        return;
    }
    bool is_done = value > -MAX_WHOLE && value < MAX_WHOLE && (double)(int64_t)value == value;
    if (is_done) {
        snprintf(text, sizeof(text), "%.1f", value);
    }
    for (int digits = 1; digits <= 17 && !is_done; digits++) {
        is_done = write_digits(value, kind, size, digits, false, text, sizeof(text)) ||
                  (digits < 17 && write_digits(value, kind, size, digits, true, text, sizeof(text)));
    }
    size_t whole = strspn(text, plain);
    if (with_plus && text[0] != '-') {
        put(p, "+");
    }
    put_bytes(p, text, whole);
    const char *rest = text + whole;
    if (*rest != '\0') {
        put(p, ".");
        put(p, rest + strcspn(rest, plain));
    }
}

static void put_hex(printer *p, const unsigned char *bytes, int64_t nbytes)
{
    char digits[3];
    put(p, "0x");
    for (int64_t i = 0; i < nbytes; i++) {
        snprintf(digits, sizeof(digits), "%02x", bytes[i]);
        put(p, digits);
    }
}

/* A character between quotes, as UTF-8; what is none, or does not print, as its number. */
static void put_char(printer *p, uint32_t c, bool is_text)
{
    char text[12] = {0};
    if (c == '\\' || c == '\'') {
        snprintf(text, sizeof(text), "\\%c", (char)c);
    } else if (c >= 0x20 && c < 0x7F) {
        text[0] = (char)c;
    } else if (!is_text || c < 0xA0) {
        snprintf(text, sizeof(text), "\\x%02" PRIx32, c);
    } else if (c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
        snprintf(text, sizeof(text), c > 0xFFFF ? "\\U%08" PRIx32 : "\\u%04" PRIx32, c);
    } else if (c < 0x800) {
        text[0] = (char)(0xC0 | c >> 6);
        text[1] = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        text[0] = (char)(0xE0 | c >> 12);
        text[1] = (char)(0x80 | (c >> 6 & 0x3F));
        text[2] = (char)(0x80 | (c & 0x3F));
    } else {
        text[0] = (char)(0xF0 | c >> 18);
        text[1] = (char)(0x80 | (c >> 12 & 0x3F));
        text[2] = (char)(0x80 | (c >> 6 & 0x3F));
        text[3] = (char)(0x80 | (c & 0x3F));
    }
    put(p, text);
}

static void put_string(printer *p, const unsigned char *bytes, int64_t nbytes)
{
    put(p, "b'");
    for (int64_t i = 0; i < nbytes; i++) {
        put_char(p, bytes[i], false);
    }
    put(p, "'");
}

static int64_t without_zeros(const unsigned char *bytes, int64_t nbytes)
{
    while (nbytes > 0 && bytes[nbytes - 1] == 0) {
        nbytes--;
    }
    return nbytes;
}

static uint32_t read_unit(const ndbuf_field *field, const unsigned char *unit, int64_t unit_nbytes)
{
    unsigned char bytes[4] = {0};
    uint16_t two;
    uint32_t four;
    ndbuf__element_copy(bytes, unit, unit_nbytes, field->byte_order);
    memcpy(&two, bytes, sizeof(two));
    memcpy(&four, bytes, sizeof(four));
    return unit_nbytes == 2 ? two : four;
}

static void put_text(printer *p, const ndbuf_field *field, const unsigned char *text)
{
    int64_t unit_nbytes = field->code[0] == 'u' ? 2 : 4;
    int64_t nunits = (without_zeros(text, field->size) + unit_nbytes - 1) / unit_nbytes;
    put(p, "'");
    for (int64_t i = 0; i < nunits; i++) {
        uint32_t c = read_unit(field, text + i * unit_nbytes, unit_nbytes);
        if (unit_nbytes == 2 && c >= 0xD800 && c < 0xDC00 && i + 1 < nunits) {
            uint32_t low = read_unit(field, text + (i + 1) * unit_nbytes, unit_nbytes);
            if (low >= 0xDC00 && low < 0xE000) {
                c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
                i++;
            }
        }
        put_char(p, c, true);
    }
    put(p, "'");
}

static void put_element(printer *p, const ndbuf_field *field, const unsigned char *element)
{
    char text[24];
    ndbuf_value value = ndbuf__element_value(field, element);
    switch (field->kind) {
    case NDBUF_KIND_BOOL:
        put(p, value.as.uint64 != 0 ? "true" : "false");
        break;
    case NDBUF_KIND_INT:
        snprintf(text, sizeof(text), "%" PRId64, value.as.int64);
        put(p, text);
        break;
    case NDBUF_KIND_UINT:
        snprintf(text, sizeof(text), "%" PRIu64, value.as.uint64);
        put(p, text);
        break;
    case NDBUF_KIND_OBJECT:
    case NDBUF_KIND_POINTER:
        snprintf(text, sizeof(text), "0x%" PRIx64, value.as.uint64);
        put(p, text);
        break;
    case NDBUF_KIND_FLOAT:
    case NDBUF_KIND_BFLOAT:
        put_real(p, value.as.float64, field->kind, field->size, false);
        break;
    case NDBUF_KIND_COMPLEX:
        put_real(p, value.as.complex.real, NDBUF_KIND_FLOAT, field->size / 2, false);
        put_real(p, value.as.complex.imag, NDBUF_KIND_FLOAT, field->size / 2, true);
        put(p, "j");
        break;
    case NDBUF_KIND_BYTES:
        put_string(p, element, field->code[0] == 'c' ? 1 : without_zeros(element, field->size));
        break;
    case NDBUF_KIND_PASCAL:
        put_string(p, value.as.bytes.data, value.as.bytes.nbytes);
        break;
    case NDBUF_KIND_TEXT:
        put_text(p, field, element);
        break;
    default:
        put_hex(p, element, field->size);
    }
}

static void put_level(printer *p, int32_t first, int32_t end, int64_t base, bool is_record);

/* One element of a node, or its axes from `axis` on; leaves p->field behind its leaves. */
static void put_node(printer *p, const ndbuf__format_node *node, int64_t base, int32_t axis, int64_t nbytes)
{
    int32_t first_field = p->field;
    int32_t index = (int32_t)(node - p->format->nodes);
    if (axis == node->ndim) {
        if (node->code == NDBUF__CODE_RECORD) {
            put_level(p, index + 1, node->end, base, true);
        } else {
            put_element(p, &p->format->fields[p->field++], p->item + base);
        }
        return;
    }
    int64_t extent = p->format->extents[node->first_extent + axis];
    put(p, "[");
    for (int64_t k = 0; k < extent; k++) {
        put(p, k > 0 ? ", " : "");
        p->field = first_field;
        put_node(p, node, base + k * (nbytes / extent), axis + 1, nbytes / extent);
    }
    put(p, "]");
}

/* The nodes of one level. `is_record`: in braces also if there is only one, which has no name. */
static void put_level(printer *p, int32_t first, int32_t end, int64_t base, bool is_record)
{
    const ndbuf__format_node *nodes = p->format->nodes;
    bool has_names = false;
    for (int32_t i = first; i < end; i = nodes[i].end) {
        has_names = has_names || nodes[i].name != NULL;
    }
    bool is_alone = !is_record && !has_names && first < end && nodes[first].end == end;
    put(p, is_alone ? "" : has_names ? "{" : "(");
    for (int32_t i = first; i < end; i = nodes[i].end) {
        put(p, i > first ? ", " : "");
        if (nodes[i].name != NULL) {
            put(p, nodes[i].name);
            put(p, ": ");
        }
        put_node(p, &nodes[i], base + nodes[i].offset, 0, nodes[i].nbytes);
    }
    put(p, is_alone ? "" : has_names ? "}" : ")");
}

size_t ndbuf_item_print(const ndbuf_format *format, const void *item, char *out_text, size_t size)
{
    printer p = {.format = format, .item = item, .out = out_text, .size = size};
    ndbuf__long_double_mode long_mode; /* which the C library looks at, too */
    const uint64_t mode = ndbuf__float_mode_begin();
    ndbuf__long_double_mode_begin(&long_mode);
    if (format->nnodes == 0 && format->nfields == 1) { /* interned */
        put_element(&p, &format->fields[0], p.item);
    } else {
        put_level(&p, 0, format->nnodes, 0, false);
    }
    ndbuf__long_double_mode_end(&long_mode);
    ndbuf__float_mode_end(mode);
    if (size > 0) {
        out_text[p.length < size ? p.length : size - 1] = '\0';
    }
    return p.length;
}
