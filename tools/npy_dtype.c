/* SPDX-License-Identifier: Apache-2.0 */
#include "npy_dtype.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More than this cannot be written as a format of NDBUF_FORMAT_MAX_TEXT bytes. */
#define MAX_FIELDS 16384

/* What comes in the place of a type: an element, and the subarray that a tuple puts around it. */
typedef struct typed_shape {
    npy_dtype *type;
    int32_t ndim;
    int64_t shape[NDBUF_MAX_NDIM];
} typed_shape;

static ndbuf_status read_type(npy_cursor *cursor, int depth, typed_shape *out, ndbuf_error *err);

void npy_dtype_destroy(npy_dtype *dtype)
{
    if (dtype == NULL) {
        return;
    }
    for (int32_t k = 0; k < dtype->nfields; k++) {
        free(dtype->fields[k].name);
        free(dtype->fields[k].shape);
        npy_dtype_destroy(dtype->fields[k].type);
    }
    free(dtype->fields);
    free(dtype);
}

static char host_order(void)
{
    const uint16_t one = 1;
    unsigned char first = 0;
    memcpy(&first, &one, 1);
    return first == 1 ? '<' : '>';
}

static ndbuf_status unknown_type(const char *text, ndbuf_error *err)
{
    return ndbuf_fail(err, NDBUF_ERR_INVALID, "descr: unknown type '%.64s'", text);
}

/* The code of a number of `size` bytes in a table of {size, code}; NULL: none. */
static const char *number_code(char kind, int64_t size)
{
    static const struct {
        char kind;
        int size;
        const char *code;
    } codes[] = {{'b', 1, "?"},  {'i', 1, "b"},  {'i', 2, "h"},   {'i', 4, "i"},  {'i', 8, "q"}, {'u', 1, "B"},
                 {'u', 2, "H"},  {'u', 4, "I"},  {'u', 8, "Q"},   {'f', 2, "e"},  {'f', 4, "f"}, {'f', 8, "d"},
                 {'f', 16, "g"}, {'c', 8, "Zf"}, {'c', 16, "Zd"}, {'c', 32, "Zg"}};
    for (size_t k = 0; k < sizeof(codes) / sizeof(codes[0]); k++) {
        if (codes[k].kind == kind && codes[k].size == size) {
            return codes[k].code;
        }
    }
    return NULL;
}

/* Whether what follows the digits of a date or time type is its unit, "[ns]", or nothing. */
static int is_time_unit(const char *text)
{
    size_t length = strlen(text);
    return length == 0 || (length >= 2 && text[0] == '[' && strchr(text, ']') == text + length - 1);
}

/* Fills code and itemsize from a type string such as "<f4". */
static ndbuf_status read_type_string(const char *text, npy_dtype *dtype, ndbuf_error *err)
{
    char order = host_order();
    const char *rest = text;
    if (*rest != '\0' && strchr("<>|=", *rest) != NULL) {
        order = *rest == '<' || *rest == '>' ? *rest : order;
        rest++;
    }
    char kind = *rest;
    if (kind == 'O') {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "descr: type '%.64s' holds Python objects, which are pickled",
                          text);
    }
    if (kind == '\0' || strchr("biufcSUVMm", kind) == NULL || rest[1] < '0' || rest[1] > '9') {
        return unknown_type(text, err);
    }
    int64_t count = 0;
    for (rest++; *rest >= '0' && *rest <= '9'; rest++) {
        if (count > (INT64_MAX / 4 - 9) / 10) {
            return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "descr: type '%.64s' is beyond 63 bits", text);
        }
        count = 10 * count + (*rest - '0');
    }
    int is_time = kind == 'M' || kind == 'm';
    if (is_time ? count != 8 || !is_time_unit(rest) : *rest != '\0') {
        return unknown_type(text, err);
    }
    dtype->itemsize = kind == 'U' ? 4 * count : count;
    if (kind == 'S') {
        snprintf(dtype->code, sizeof(dtype->code), "<%llds", (long long)count);
    } else if (kind == 'U') {
        snprintf(dtype->code, sizeof(dtype->code), "%c%lldw", order, (long long)count);
    } else if (kind == 'V' || is_time) {
        snprintf(dtype->code, sizeof(dtype->code), "<%lldx", (long long)count);
    } else {
        const char *code = number_code(kind, count);
        if (code == NULL) {
            return unknown_type(text, err);
        }
        int is_long_double = strchr(code, 'g') != NULL;
        if (is_long_double && (order != host_order() || sizeof(long double) != 16)) {
            snprintf(dtype->code, sizeof(dtype->code), "<%lldx", (long long)count);
        } else { /* long double has only the host's size and order */
            snprintf(dtype->code, sizeof(dtype->code), "%c%s", is_long_double ? '^' : order, code);
        }
    }
    return NDBUF_OK;
}

/* The name of a field: a string, or a pair of a title and the name. */
static ndbuf_status read_name(npy_cursor *cursor, char **out_name, ndbuf_error *err)
{
    if (!npy_take(cursor, '(')) {
        return npy_read_string(cursor, out_name, err);
    }
    ndbuf_status status = npy_skip_literal(cursor, err);
    if (status == NDBUF_OK) {
        status = npy_expect(cursor, ',', err);
    }
    char *name = NULL;
    if (status == NDBUF_OK) {
        status = npy_read_string(cursor, &name, err);
    }
    if (status == NDBUF_OK) {
        (void)npy_take(cursor, ',');
        status = npy_expect(cursor, ')', err);
    }
    if (status != NDBUF_OK) {
        free(name);
        return status;
    }
    *out_name = name;
    return NDBUF_OK;
}

static ndbuf_status check_name(const npy_dtype *record, const char *name, ndbuf_error *err)
{
    if (strchr(name, ':') != NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID,
                          "descr: field name '%.64s' holds a ':', which ends a name in a format", name);
    }
    for (int32_t k = 0; k < record->nfields && name[0] != '\0'; k++) {
        if (strcmp(record->fields[k].name, name) == 0) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "descr: field name '%.64s' occurs twice", name);
        }
    }
    return NDBUF_OK;
}

/* Room for one more field, which is zeroed and counted: it belongs to the record from here on. */
static npy_dtype_field *add_field(npy_dtype *record, int32_t *capacity)
{
    if (record->nfields == *capacity) {
        int32_t larger = *capacity == 0 ? 8 : 2 * *capacity;
        npy_dtype_field *fields = realloc(record->fields, (size_t)larger * sizeof(*fields));
        if (fields == NULL) {
            return NULL;
        }
        record->fields = fields;
        *capacity = larger;
    }
    npy_dtype_field *field = &record->fields[record->nfields++];
    memset(field, 0, sizeof(*field));
    return field;
}

/* One field, behind its opening bracket; adds its bytes to the record's. */
static ndbuf_status read_field(npy_cursor *cursor, int depth, npy_dtype *record, int32_t *capacity, ndbuf_error *err)
{
    char *name = NULL;
    typed_shape typed = {NULL, 0, {0}};
    int64_t *shape = NULL;
    ndbuf_status status = read_name(cursor, &name, err);
    if (status != NDBUF_OK) {
        goto fail;
    }
    status = check_name(record, name, err);
    if (status == NDBUF_OK) {
        status = npy_expect(cursor, ',', err);
    }
    if (status == NDBUF_OK) {
        /* The shape that follows the type is the outer one; so it is read into place after what a tuple type brought.
         */
        status = read_type(cursor, depth, &typed, err);
    }
    int32_t inner_ndim = typed.ndim;
    if (status == NDBUF_OK && npy_take(cursor, ',') && npy_peek(cursor) != ')') {
        status = npy_read_shape(cursor, 1, typed.shape, &typed.ndim, err);
        (void)npy_take(cursor, ',');
    }
    if (status == NDBUF_OK) {
        status = npy_expect(cursor, ')', err);
    }
    if (status != NDBUF_OK) {
        goto fail;
    }
    int64_t nbytes = typed.type->itemsize;
    for (int32_t k = 0; k < typed.ndim; k++) {
        if (nbytes != 0 && typed.shape[k] > INT64_MAX / nbytes) {
            status = ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "descr: field '%.64s' is beyond 63 bits", name);
            goto fail;
        }
        nbytes *= typed.shape[k];
    }
    if (nbytes > INT64_MAX - record->itemsize) {
        status = ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "descr: the record is beyond 63 bits at field '%.64s'", name);
        goto fail;
    }
    shape = malloc((size_t)(typed.ndim + 1) * sizeof(*shape));
    npy_dtype_field *field = shape == NULL ? NULL : add_field(record, capacity);
    if (field == NULL) {
        status = ndbuf_fail(err, NDBUF_ERR_NOMEM, "the fields of a record");
        goto fail;
    }
    int32_t outer_ndim = typed.ndim - inner_ndim;
    memcpy(shape, typed.shape + inner_ndim, (size_t)outer_ndim * sizeof(*shape));
    memcpy(shape + outer_ndim, typed.shape, (size_t)inner_ndim * sizeof(*shape));
    record->itemsize += nbytes;
    field->name = name;
    field->type = typed.type;
    field->ndim = typed.ndim;
    field->shape = shape;
    return NDBUF_OK;
fail:
    free(name);
    free(shape);
    npy_dtype_destroy(typed.type);
    return status;
}

static ndbuf_status read_record(npy_cursor *cursor, int depth, npy_dtype *record, ndbuf_error *err)
{
    int32_t capacity = 0;
    record->is_record = 1;
    while (!npy_take(cursor, ']')) {
        ndbuf_status status = npy_expect(cursor, '(', err);
        if (status == NDBUF_OK) {
            status = read_field(cursor, depth, record, &capacity, err);
        }
        if (status == NDBUF_OK && !npy_take(cursor, ',') && npy_peek(cursor) != ']') {
            status = npy_expect(cursor, ']', err);
        }
        if (status != NDBUF_OK) {
            return status;
        }
    }
    return NDBUF_OK;
}

/* A type: a string, a list of fields, or a pair of a type and the shape of a subarray. */
static ndbuf_status read_type(npy_cursor *cursor, int depth, typed_shape *out, ndbuf_error *err)
{
    if (depth == 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: nested deeper than %d", cursor->at, NPY_MAX_DEPTH);
    }
    char first = npy_peek(cursor);
    if (first == '(') {
        cursor->at++;
        typed_shape inner = {NULL, 0, {0}};
        ndbuf_status status = read_type(cursor, depth - 1, &inner, err);
        int32_t inner_ndim = inner.ndim;
        if (status == NDBUF_OK) {
            status = npy_expect(cursor, ',', err);
        }
        if (status == NDBUF_OK) {
            status = npy_read_shape(cursor, 1, inner.shape, &inner.ndim, err);
        }
        if (status == NDBUF_OK) {
            (void)npy_take(cursor, ',');
            status = npy_expect(cursor, ')', err);
        }
        if (status != NDBUF_OK) {
            npy_dtype_destroy(inner.type);
            return status;
        }
        out->type = inner.type;
        out->ndim = inner.ndim;
        memcpy(out->shape, inner.shape + inner_ndim, (size_t)(inner.ndim - inner_ndim) * sizeof(int64_t));
        memcpy(out->shape + inner.ndim - inner_ndim, inner.shape, (size_t)inner_ndim * sizeof(int64_t));
        return NDBUF_OK;
    }
    npy_dtype *dtype = calloc(1, sizeof(*dtype));
    if (dtype == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "the type of the array");
    }
    size_t start = cursor->at;
    ndbuf_status status = NDBUF_OK;
    if (first == '[') {
        cursor->at++;
        status = read_record(cursor, depth - 1, dtype, err);
    } else {
        char *text = NULL;
        status = npy_read_string(cursor, &text, err);
        if (status == NDBUF_OK) {
            status = read_type_string(text, dtype, err);
        }
        free(text);
    }
    if (status != NDBUF_OK) {
        npy_dtype_destroy(dtype);
        return status;
    }
    dtype->text = cursor->text + start;
    dtype->text_nbytes = cursor->at - start;
    out->type = dtype;
    return NDBUF_OK;
}

ndbuf_status npy_dtype_read(npy_cursor *cursor, npy_dtype **out_dtype, ndbuf_error *err)
{
    typed_shape typed = {NULL, 0, {0}};
    ndbuf_status status = read_type(cursor, NPY_MAX_DEPTH, &typed, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (typed.ndim > 0) {
        npy_dtype_destroy(typed.type);
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "descr: a subarray of %d dimensions outside a record",
                          typed.ndim);
    }
    *out_dtype = typed.type;
    return NDBUF_OK;
}

/* Text that grows; once `failed` is set nothing is added. */
typedef struct text_builder {
    char *text;
    size_t length;
    size_t capacity;
    ndbuf_status failed;
} text_builder;

static void add_text(text_builder *builder, const char *text)
{
    size_t length = strlen(text);
    if (builder->failed != NDBUF_OK) {
        return;
    }
    if (length > NDBUF_FORMAT_MAX_TEXT - builder->length) {
        builder->failed = NDBUF_ERR_OVERFLOW;
        return;
    }
    if (builder->capacity - builder->length <= length) {
        size_t capacity = 2 * builder->capacity + length + 64;
        char *larger = realloc(builder->text, capacity);
        if (larger == NULL) {
            builder->failed = NDBUF_ERR_NOMEM;
            return;
        }
        builder->text = larger;
        builder->capacity = capacity;
    }
    memcpy(builder->text + builder->length, text, length + 1);
    builder->length += length;
}

static void add_dtype(text_builder *builder, const npy_dtype *dtype)
{
    if (!dtype->is_record) {
        add_text(builder, dtype->code);
        return;
    }
    add_text(builder, "T{");
    for (int32_t k = 0; k < dtype->nfields; k++) {
        const npy_dtype_field *field = &dtype->fields[k];
        for (int32_t axis = 0; axis < field->ndim; axis++) {
            char extent[32];
            snprintf(extent, sizeof(extent), "%c%lld", axis == 0 ? '(' : ',', (long long)field->shape[axis]);
            add_text(builder, extent);
        }
        add_text(builder, field->ndim > 0 ? ")" : "");
        add_dtype(builder, field->type);
        if (field->name[0] != '\0') {
            add_text(builder, ":");
            add_text(builder, field->name);
            add_text(builder, ":");
        }
    }
    add_text(builder, "}");
}

ndbuf_status npy_dtype_format(const npy_dtype *dtype, char **out_format, ndbuf_error *err)
{
    text_builder builder = {NULL, 0, 0, NDBUF_OK};
    add_dtype(&builder, dtype);
    if (!dtype->is_record && strchr(dtype->code, 'x') != NULL) {
        add_text(&builder, "::"); /* opaque, not padding */
    }
    if (builder.failed != NDBUF_OK) {
        free(builder.text);
        return builder.failed == NDBUF_ERR_NOMEM
                   ? ndbuf_fail(err, NDBUF_ERR_NOMEM, "the format of the array")
                   : ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "descr: its format takes more than %d bytes",
                                NDBUF_FORMAT_MAX_TEXT);
    }
    *out_format = builder.text;
    return NDBUF_OK;
}

const npy_dtype *npy_dtype_find(const npy_dtype *dtype, const char *path)
{
    for (int32_t k = 0; k < dtype->nfields && path[0] != '\0'; k++) {
        if (strcmp(dtype->fields[k].name, path) == 0) {
            return dtype->fields[k].type;
        }
    }
    for (int32_t k = 0; k < dtype->nfields; k++) {
        size_t length = strlen(dtype->fields[k].name);
        if (length > 0 && strncmp(dtype->fields[k].name, path, length) == 0 && path[length] == '.') {
            const npy_dtype *found = npy_dtype_find(dtype->fields[k].type, path + length + 1);
            if (found != NULL) {
                return found;
            }
        }
    }
    return NULL;
}
