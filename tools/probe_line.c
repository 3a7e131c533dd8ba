/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes a value in its place. */
static bool decode(probe_field *field)
{
    size_t length = 0;
    for (size_t i = 0; i < field->length; i++) {
        char c = field->value[i];
        if (c == '%') {
            int high = i + 2 < field->length ? hex_digit(field->value[i + 1]) : -1;
            int low = i + 2 < field->length ? hex_digit(field->value[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(unsigned char)(high * 16 + low);
            i += 2;
        }
        field->value[length++] = c;
    }
    field->value[length] = '\0';
    field->length = length;
    return true;
}

/* Ends `text` at the first `separator`. Returns what comes behind it, or NULL: there is none. */
static char *cut(char *text, char separator)
{
    char *found = strchr(text, separator);
    if (found == NULL) {
        return NULL;
    }
    *found = '\0';
    return found + 1;
}

ndbuf_status probe_request_parse(probe_request *request, char *line, size_t length, ndbuf_error *err)
{
    request->command = line;
    request->error_class = "arg";
    request->nfields = 0;
    request->blocks = NULL;
    line[length] = '\0';
    if (strlen(line) != length) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the line contains a NUL byte");
    }
    char *rest = cut(line, ' ');
    while (rest != NULL) {
        char *key = rest;
        rest = cut(key, ' ');
        if (key[0] == '\0') {
            continue;
        }
        char *value = cut(key, '=');
        if (value == NULL || key[0] == '\0' || strspn(key, "abcdefghijklmnopqrstuvwxyz_") != strlen(key)) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "field %d is not KEY=VALUE", (int)request->nfields + 1);
        }
        if (request->nfields == PROBE_MAX_FIELDS) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "more than %d fields", PROBE_MAX_FIELDS);
        }
        probe_field *field = &request->fields[request->nfields++];
        *field = (probe_field){key, value, strlen(value)};
        if (!decode(field)) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "%s: '%%' without two hexadecimal digits", key);
        }
    }
    return NDBUF_OK;
}

void probe_request_clear(probe_request *request)
{
    void *block = request->blocks;
    while (block != NULL) {
        void *next = *(void **)block;
        free(block);
        block = next;
    }
    request->blocks = NULL;
}

ndbuf_status probe_alloc(probe_request *request, size_t nbytes, void **out_block, ndbuf_error *err)
{
    /* Two pointers of head keep the alignment that malloc gives. */
    size_t head = 2 * sizeof(void *);
    void **block = nbytes <= SIZE_MAX - head ? malloc(head + nbytes) : NULL;
    if (block == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "%zu bytes for the request", nbytes);
    }
    *block = request->blocks;
    request->blocks = block;
    *out_block = (char *)block + head;
    return NDBUF_OK;
}

/* The last one of its name, or NULL. */
static const probe_field *find(const probe_request *request, const char *key)
{
    for (int32_t i = request->nfields - 1; i >= 0; i--) {
        if (strcmp(request->fields[i].key, key) == 0) {
            return &request->fields[i];
        }
    }
    return NULL;
}

bool probe_has(const probe_request *request, const char *key)
{
    return find(request, key) != NULL;
}

static ndbuf_status get(const probe_request *request, const char *key, const probe_field **out_field, ndbuf_error *err)
{
    *out_field = find(request, key);
    return *out_field != NULL ? NDBUF_OK : ndbuf_fail(err, NDBUF_ERR_INVALID, "no %s=", key);
}

ndbuf_status probe_get_text(const probe_request *request, const char *key, const char **out_text, ndbuf_error *err)
{
    const probe_field *field;
    ndbuf_status status = get(request, key, &field, err);
    if (status == NDBUF_OK && strlen(field->value) != field->length) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%s contains a NUL byte", key);
    }
    if (status == NDBUF_OK) {
        *out_text = field->value;
    }
    return status;
}

ndbuf_status probe_get_int(const probe_request *request, const char *key, int64_t *out_value, ndbuf_error *err)
{
    const probe_field *field;
    ndbuf_status status = get(request, key, &field, err);
    if (status == NDBUF_OK && !probe_read_int(field->value, field->length, out_value)) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is not an integer of 64 bits", key);
    }
    return status;
}

ndbuf_status probe_get_list(probe_request *request, const char *key, probe_list *out_list, ndbuf_error *err)
{
    const probe_field *field;
    ndbuf_status status = get(request, key, &field, err);
    return status == NDBUF_OK ? probe_read_list(request, field->value, field->length, out_list, err) : status;
}

ndbuf_status probe_get_bytes(probe_request *request, const char *key, unsigned char **out_bytes, size_t *out_nbytes,
                             ndbuf_error *err)
{
    const probe_field *field;
    void *block = NULL;
    ndbuf_status status = get(request, key, &field, err);
    if (status != NDBUF_OK) {
        return status;
    }
    size_t length = strcmp(field->value, "-") == 0 ? 0 : field->length;
    status = probe_alloc(request, length / 2, &block, err);
    if (status == NDBUF_OK && !probe_read_hex(field->value, length, block)) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%s is not bytes as hexadecimal digits", key);
    }
    if (status == NDBUF_OK) {
        *out_bytes = block;
        *out_nbytes = length / 2;
    }
    return status;
}

bool probe_read_hex(const char *text, size_t length, unsigned char *out_bytes)
{
    for (size_t i = 0; i + 1 < length; i += 2) {
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out_bytes[i / 2] = (unsigned char)(high * 16 + low);
    }
    return length % 2 == 0;
}

bool probe_read_int(const char *text, size_t length, int64_t *out_value)
{
    bool negative = length > 0 && text[0] == '-';
    uint64_t limit = (uint64_t)INT64_MAX + (negative ? 1 : 0);
    uint64_t value = 0;
    size_t i = negative ? 1 : 0;
    if (i == length) {
        return false;
    }
    for (; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (limit - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (negative) {
        *out_value = value > (uint64_t)INT64_MAX ? INT64_MIN : -(int64_t)value;
    } else {
        *out_value = (int64_t)value;
    }
    return true;
}

ndbuf_status probe_read_list(probe_request *request, const char *text, size_t length, probe_list *out_list,
                             ndbuf_error *err)
{
    int64_t count = 1;
    for (size_t i = 0; i < length; i++) {
        count += text[i] == ',';
    }
    void *block = NULL;
    ndbuf_status status = probe_alloc(request, (size_t)count * sizeof(int64_t), &block, err);
    if (status != NDBUF_OK) {
        return status;
    }
    probe_list list = {0, block};
    const char *end = text + length;
    bool more = !(length == 1 && text[0] == '-');
    while (more) {
        const char *comma = memchr(text, ',', (size_t)(end - text));
        more = comma != NULL;
        if (!probe_read_int(text, (size_t)((more ? comma : end) - text), &list.values[list.count])) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "member %lld of a list is not an integer of 64 bits",
                              (long long)list.count);
        }
        list.count++;
        text = more ? comma + 1 : end;
    }
    *out_list = list;
    return NDBUF_OK;
}

void probe_put(probe_answer *answer, const char *format, ...)
{
    size_t room = sizeof(answer->text) - answer->length;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(answer->text + answer->length, room, format, args);
    va_end(args);
    /* The byte of the terminator is that of the line feed. */
    if (length < 0 || (size_t)length >= room) {
        answer->is_cut = true;
    } else {
        answer->length += (size_t)length;
    }
}

void probe_put_int(probe_answer *answer, const char *key, int64_t value)
{
    probe_put(answer, " %s=%" PRId64, key, value);
}

void probe_put_list(probe_answer *answer, const char *key, int64_t count, const int64_t *values)
{
    probe_put(answer, " %s=%s", key, values == NULL ? "null" : count == 0 ? "-" : "");
    for (int64_t i = 0; values != NULL && i < count; i++) {
        probe_put(answer, "%s%" PRId64, i > 0 ? "," : "", values[i]);
    }
}

void probe_put_text(probe_answer *answer, const char *key, const char *text)
{
    probe_put(answer, " %s=", key);
    for (const char *c = text; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        bool plain = byte > 0x20 && byte < 0x7F && byte != '%' && byte != '=';
        probe_put(answer, plain ? "%c" : "%%%02X", byte);
    }
}

void probe_put_hex(probe_answer *answer, const char *key, const void *bytes, size_t nbytes)
{
    probe_put(answer, " %s=%s", key, nbytes == 0 ? "-" : "");
    for (size_t i = 0; i < nbytes && !answer->is_cut; i++) {
        probe_put(answer, "%02x", ((const unsigned char *)bytes)[i]);
    }
}
