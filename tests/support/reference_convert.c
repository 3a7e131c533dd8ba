/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/reference_convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How the host's byte order and the other one are written. */
static char order_letter(bool is_swapped)
{
    const uint16_t one = 1;
    unsigned char first;
    memcpy(&first, &one, 1);
    return (first == 1) != is_swapped ? '<' : '>';
}

void test_type_clear(test_type *type)
{
    for (int32_t i = 0; i < type->nfields; i++) {
        test_type_clear(&type->fields[i]);
    }
    free(type->fields);
    memset(type, 0, sizeof(*type));
}

int64_t test_type_nitems(const test_type *type)
{
    int64_t nitems = 1;
    for (int32_t k = 0; k < type->ndim; k++) {
        nitems *= type->extents[k];
    }
    return nitems;
}

int64_t test_type_nbytes(const test_type *type)
{
    return test_type_nitems(type) * type->nbytes;
}

bool test_type_has(const test_type *type, ndbuf_number number)
{
    if (type->kind == TEST_TYPE_NUMBER) {
        return type->element.number == (int32_t)number;
    }
    for (int32_t i = 0; i < type->nfields; i++) {
        if (test_type_has(&type->fields[i], number)) {
            return true;
        }
    }
    return false;
}

static bool equal_at(const test_type *a, int64_t a_offset, const test_type *b, int64_t b_offset)
{
    bool equal = a->kind == b->kind && a->ndim == b->ndim && strcmp(a->name, b->name) == 0;
    for (int32_t k = 0; k < a->ndim && equal; k++) {
        equal = a->extents[k] == b->extents[k];
    }
    equal = equal && (a->ndim == 0 || a->nbytes == b->nbytes);
    if (!equal || a->kind != TEST_TYPE_RECORD) {
        return equal && a_offset == b_offset && a->nbytes == b->nbytes && a->code == b->code &&
               a->is_swapped == b->is_swapped && memcmp(&a->element, &b->element, sizeof(a->element)) == 0;
    }
    equal = a->nfields == b->nfields && a->is_named == b->is_named;
    for (int32_t i = 0; i < a->nfields && equal; i++) {
        equal = equal_at(&a->fields[i], a_offset + a->fields[i].offset, &b->fields[i], b_offset + b->fields[i].offset);
    }
    return equal;
}

bool test_types_equal(const test_type *a, const test_type *b)
{
    return test_type_nbytes(a) == test_type_nbytes(b) && equal_at(a, 0, b, 0);
}

/* -- text -- */

typedef struct writer {
    char *text;
    size_t size;
    size_t length;
} writer;

static void write_text(writer *w, const char *text)
{
    size_t length = strlen(text);
    if (w->length + length >= w->size) {
        fail_msg("a format of more than %zu bytes", w->size);
    }
    memcpy(w->text + w->length, text, length + 1);
    w->length += length;
}

static void write_number(writer *w, int64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    write_text(w, text);
}

static void write_padding(writer *w, int64_t nbytes)
{
    if (nbytes > 0) {
        write_number(w, nbytes);
        write_text(w, "x");
    }
}

static void write_element(writer *w, const test_type *type)
{
    static const char *const codes[] = {"", "?", "b", "B", "h", "H", "i", "I", "q", "Q", "e", "", "f", "d", "g"};
    ndbuf_number number = (ndbuf_number)type->element.number;
    /* Long doubles have no standard size. */
    char order[2] = {number == NDBUF_NUMBER_LONG_DOUBLE ? '^' : order_letter(type->element.is_swapped != 0), '\0'};
    if (number == NDBUF_NUMBER_BFLOAT16) { /* docs/formats.md */
        write_text(w, "T{");
        write_text(w, order);
        write_text(w, "2x:bfloat16:}");
        return;
    }
    write_text(w, order);
    write_text(w, type->element.is_complex ? "Z" : "");
    write_text(w, codes[number]);
}

static void write_type(writer *w, const test_type *type)
{
    for (int32_t k = 0; k < type->ndim; k++) {
        write_text(w, k == 0 ? "(" : ",");
        write_number(w, type->extents[k]);
    }
    write_text(w, type->ndim > 0 ? ")" : "");
    switch (type->kind) {
    case TEST_TYPE_NUMBER:
        write_element(w, type);
        break;
    case TEST_TYPE_BYTES: {
        char code[2] = {type->code, '\0'};
        write_number(w, type->nbytes);
        write_text(w, code);
        break;
    }
    case TEST_TYPE_TEXT: {
        char order[2] = {order_letter(type->is_swapped), '\0'};
        write_text(w, order);
        write_number(w, type->nbytes / 4);
        write_text(w, "w");
        break;
    }
    case TEST_TYPE_RECORD: {
        int64_t position = 0;
        write_text(w, type->has_braces ? "T{" : "");
        for (int32_t i = 0; i < type->nfields; i++) {
            const test_type *field = &type->fields[i];
            write_padding(w, field->offset - position);
            write_type(w, field);
            if (type->is_named) {
                write_text(w, ":");
                write_text(w, field->name);
                write_text(w, ":");
            }
            position = field->offset + test_type_nbytes(field);
        }
        write_padding(w, type->nbytes - position);
        write_text(w, type->has_braces ? "}" : "");
        break;
    }
    }
}

void test_type_print(const test_type *type, char *out_text, size_t size)
{
    writer w = {.text = out_text, .size = size};
    out_text[0] = '\0';
    write_type(&w, type);
}

/* -- conversion -- */

static const test_type *source_of_field(const test_type *to, int32_t i, const test_type *from)
{
    if (!to->is_named || !from->is_named) {
        return i < from->nfields ? &from->fields[i] : NULL;
    }
    for (int32_t k = 0; k < from->nfields; k++) {
        if (strcmp(from->fields[k].name, to->fields[i].name) == 0) {
            return &from->fields[k];
        }
    }
    return NULL;
}

static void convert_one(char *dst, const test_type *to, const char *src, const test_type *from, uint32_t flags)
{
    if (to->kind != from->kind ||
        (to->kind != TEST_TYPE_NUMBER && to->kind != TEST_TYPE_RECORD && to->nbytes != from->nbytes)) {
        fail_msg("kinds %d and %d of %lld and %lld bytes have no conversion", (int)to->kind, (int)from->kind,
                 (long long)to->nbytes, (long long)from->nbytes);
    }
    switch (to->kind) {
    case TEST_TYPE_NUMBER:
        test_convert_element(dst, &to->element, src, &from->element, flags);
        break;
    case TEST_TYPE_BYTES:
        memcpy(dst, src, (size_t)to->nbytes);
        break;
    case TEST_TYPE_TEXT:
        for (int64_t i = 0; i < to->nbytes; i++) {
            dst[i] = src[to->is_swapped == from->is_swapped ? i : i / 4 * 4 + (3 - i % 4)];
        }
        break;
    case TEST_TYPE_RECORD:
        for (int32_t i = 0; i < to->nfields; i++) {
            const test_type *field = source_of_field(to, i, from);
            if (field == NULL) {
                fail_msg("no field of the source for number %d", (int)i);
                return;
            }
            test_convert_item(dst + to->fields[i].offset, &to->fields[i], src + field->offset, field, flags);
        }
        break;
    }
}

void test_convert_item(char *dst, const test_type *to, const char *src, const test_type *from, uint32_t flags)
{
    int64_t nitems = test_type_nitems(to);
    assert_int_equal(nitems, test_type_nitems(from));
    for (int64_t i = 0; i < nitems; i++) {
        convert_one(dst + i * to->nbytes, to, src + i * from->nbytes, from, flags);
    }
}

void test_convert_view(const test_layout *dst, const test_type *to, char *dst_buffer, const test_layout *src,
                       const test_type *from, char *src_buffer, uint32_t flags, char *out_buffer)
{
    int64_t nitems = test_layout_nitems(src);
    if (nitems == 0) {
        return;
    }
    char *packed = malloc((size_t)(nitems * src->itemsize));
    assert_non_null(packed);
    test_layout_pack(src, src_buffer, packed);
    int64_t index[TEST_LAYOUT_MAX_NDIM] = {0};
    const char *item = packed;
    bool whole = test_types_equal(to, from);
    do {
        char *at = out_buffer + (test_layout_item(dst, dst_buffer, index) - dst_buffer);
        if (whole) {
            memcpy(at, item, (size_t)src->itemsize);
        } else {
            test_convert_item(at, to, item, from, flags);
        }
        item += src->itemsize;
    } while (test_layout_next(dst, index));
    free(packed);
}
