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

/* The bytes of elements of `nbytes` over the axes begin .. end - 1 of a leaf if they lie side by side, else -1. */
static int64_t packed_nbytes(const ndbuf_field *leaf, int32_t begin, int32_t end, int64_t nbytes)
{
    for (int32_t k = end - 1; k >= begin; k--) {
        if (leaf->strides[k] != nbytes) {
            return -1;
        }
        nbytes *= leaf->extents[k];
    }
    return nbytes;
}

/* Neighbouring leaves that make up a record. */
typedef struct record {
    const ndbuf_field *leaves;
    int32_t nleaves;
    int32_t depth; /* of their names, those around the record's members */
    int32_t axis;  /* of theirs, the first that is not an axis around the record */
    int64_t begin; /* bytes, in the item, of its first element */
    int64_t end;
} record;

/* A field of a record: a leaf, or a record in turn. */
typedef struct member {
    record inner;   /* its leaves, and an element of it */
    int64_t nbytes; /* of all elements */
    int is_leaf;
} member;

/* The leaves from `first` on that have one name in a record; returns 0 if there is none, or an earlier one has it. */
static int find_member_leaves(const record *around, int32_t first, member *out_member)
{
    const ndbuf_field *leaves = around->leaves + first;
    const int32_t depth = around->depth;
    int32_t count = 1;
    if (leaves->nnames <= depth) {
        return 0;
    }
    for (int32_t i = 0; i < first; i++) {
        if (strcmp(around->leaves[i].names[depth], leaves->names[depth]) == 0) {
            return 0;
        }
    }
    int is_leaf = leaves->nnames == depth + 1;
    while (!is_leaf && first + count < around->nleaves && leaves[count].nnames > depth + 1 &&
           strcmp(leaves[count].names[depth], leaves->names[depth]) == 0) {
        count++;
    }
    *out_member = (member){.inner = {.leaves = leaves, .nleaves = count, .depth = depth + 1}, .is_leaf = is_leaf};
    return 1;
}

/* Whether `axis` is one of all leaves of a record together: its second element begins behind all of them. */
static int is_shared_axis(const record *inner, int32_t axis)
{
    const ndbuf_field *first = inner->leaves;
    for (int32_t i = 0; i < inner->nleaves; i++) {
        const ndbuf_field *leaf = &inner->leaves[i];
        if (axis >= leaf->ndim || leaf->extents[axis] != first->extents[axis] ||
            leaf->strides[axis] != first->strides[axis] || leaf->offset >= first->offset + first->strides[axis]) {
            return 0;
        }
    }
    return 1;
}

/* Finds where the elements of a member lie, from `at` on. Returns 0 if they are not side by side. */
static int place_member(const record *around, int64_t at, member *m)
{
    record *inner = &m->inner;
    const ndbuf_field *first = inner->leaves;
    inner->axis = m->is_leaf ? first->ndim : around->axis;
    while (!m->is_leaf && is_shared_axis(inner, inner->axis)) {
        inner->axis++;
    }
    inner->begin = first->offset;
    for (int32_t i = 0; i < inner->nleaves; i++) {
        const ndbuf_field *leaf = &inner->leaves[i];
        int64_t nbytes = packed_nbytes(leaf, inner->axis, leaf->ndim, leaf->size);
        if (nbytes < 0) {
            return 0;
        }
        inner->end = leaf->offset + nbytes;
    }
    if (!m->is_leaf && inner->axis > around->axis) { /* its padding may lie at both ends: as little at this one */
        int64_t stride = first->strides[inner->axis - 1];
        inner->begin = inner->end - stride > at ? inner->end - stride : at;
        inner->end = inner->begin + stride;
    }
    m->nbytes = packed_nbytes(first, around->axis, inner->axis, inner->end - inner->begin);
    return m->nbytes >= 0;
}

/* "[('a', '<f4'), ('b', '|u1', (3,)), ('c', [('d', '<i2')])]" */
static int put_record(text_sink *sink, const record *self)
{
    int64_t at = self->begin;
    put(sink, "[");
    for (int32_t i = 0; i < self->nleaves;) {
        member m;
        if (!find_member_leaves(self, i, &m) || !place_member(self, at, &m)) {
            return 0;
        }
        const ndbuf_field *first = m.inner.leaves;
        put_padding(sink, m.inner.begin - at, i == 0);
        put(sink, i > 0 || m.inner.begin > at ? ", (" : "(");
        put_name(sink, first->names[self->depth]);
        put(sink, ", ");
        if (!(m.is_leaf ? put_type(sink, first) : put_record(sink, &m.inner))) {
            return 0;
        }
        int32_t ndim = m.inner.axis - self->axis;
        for (int32_t k = 0; k < ndim; k++) {
            put(sink, k == 0 ? ", (" : ", ");
            put_number(sink, first->extents[self->axis + k]);
        }
        put(sink, ndim == 0 ? ")" : ndim == 1 ? ",))" : "))");
        at = m.inner.begin + m.nbytes;
        i += m.inner.nleaves;
    }
    put_padding(sink, self->end - at, 0);
    put(sink, "]");
    return 1;
}

static int put_descr(text_sink *sink, const record *item)
{
    const ndbuf_field *first = item->leaves;
    if (item->nleaves == 1 && first->nnames == 0 && first->ndim == 0 && first->size == item->end) {
        return put_type(sink, first);
    }
    return item->nleaves > 0 && put_record(sink, item);
}

/* The descr of an item, whose leaves there is room for. */
static ndbuf_status make_descr(const ndbuf_format *format, ndbuf_field *leaves, char **out_descr, ndbuf_error *err)
{
    record item = {.leaves = leaves, .nleaves = ndbuf_format_nfields(format), .end = ndbuf_format_itemsize(format)};
    text_sink counted = {NULL, 0, 0};
    for (int32_t i = 0; i < item.nleaves; i++) {
        ndbuf_status status = ndbuf_format_field(format, i, &leaves[i], err);
        if (status != NDBUF_OK) {
            return status;
        }
    }
    if (!put_descr(&counted, &item)) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "a .npy file cannot hold items of '%.120s'",
                          ndbuf_format_text(format));
    }
    char *text = malloc(counted.length + 1);
    if (text == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a descr of %zu bytes", counted.length);
    }
    text_sink sink = {text, counted.length + 1, 0};
    (void)put_descr(&sink, &item);
    *out_descr = text;
    return NDBUF_OK;
}

ndbuf_status npy_descr_make(const ndbuf_format *format, char **out_descr, ndbuf_error *err)
{
    size_t nleaves = (size_t)ndbuf_format_nfields(format);
    ndbuf_field *leaves = malloc((nleaves + 1) * sizeof(*leaves));
    if (leaves == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "the leaves of an item");
    }
    ndbuf_status status = make_descr(format, leaves, out_descr, err);
    free(leaves);
    return status;
}
