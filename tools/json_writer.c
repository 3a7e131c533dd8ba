/* SPDX-License-Identifier: Apache-2.0 */
#include "json_writer.h"

#include <inttypes.h>
#include <string.h>

#include "utf8.h"

static void put_text(FILE *file, const char *text)
{
    size_t nbytes = strlen(text);
    fputc('"', file);
    for (size_t at = 0; at < nbytes;) {
        unsigned char c = (unsigned char)text[at];
        size_t sequence = utf8_sequence(text + at, nbytes - at);
        if (sequence == 0) {
            fputs("\\ufffd", file);
            at++;
        } else if (c == '"' || c == '\\') {
            fprintf(file, "\\%c", c);
            at++;
        } else if (c == '\n') {
            fputs("\\n", file);
            at++;
        } else if (c < 0x20 || c == 0x7F) {
            fprintf(file, "\\u%04x", c);
            at++;
        } else {
            fwrite(text + at, 1, sequence, file);
            at += sequence;
        }
    }
    fputc('"', file);
}

/* What stands before a value: the comma behind its predecessor, a new line, the key. */
static void put_key(json_writer *json, const char *key)
{
    if (json->nonempty) {
        fputc(',', json->file);
    }
    if (json->depth > 0) {
        fprintf(json->file, "\n%*s", 2 * json->depth, "");
    }
    if (key != NULL) {
        put_text(json->file, key);
        fputs(": ", json->file);
    }
    json->nonempty = 1;
}

void json_open(json_writer *json, const char *key, char bracket)
{
    put_key(json, key);
    fputc(bracket, json->file);
    json->depth++;
    json->nonempty = 0;
}

void json_close(json_writer *json, char bracket)
{
    json->depth--;
    if (json->nonempty) {
        fprintf(json->file, "\n%*s", 2 * json->depth, "");
    }
    fputc(bracket, json->file);
    json->nonempty = 1;
    if (json->depth == 0) {
        fputc('\n', json->file);
    }
}

void json_string(json_writer *json, const char *key, const char *value)
{
    put_key(json, key);
    put_text(json->file, value);
}

void json_integer(json_writer *json, const char *key, int64_t value)
{
    put_key(json, key);
    fprintf(json->file, "%" PRId64, value);
}

void json_unsigned(json_writer *json, const char *key, uint64_t value)
{
    put_key(json, key);
    fprintf(json->file, "%" PRIu64, value);
}

void json_number(json_writer *json, const char *key, double value)
{
    put_key(json, key);
    fprintf(json->file, "%.6g", value);
}

void json_bool(json_writer *json, const char *key, int value)
{
    put_key(json, key);
    fputs(value ? "true" : "false", json->file);
}

void json_null(json_writer *json, const char *key)
{
    put_key(json, key);
    fputs("null", json->file);
}

void json_integers(json_writer *json, const char *key, const int64_t *values, int32_t count)
{
    if (values == NULL && count > 0) {
        json_null(json, key);
        return;
    }
    put_key(json, key);
    fputc('[', json->file);
    for (int32_t k = 0; k < count; k++) {
        fprintf(json->file, "%s%" PRId64, k == 0 ? "" : ", ", values[k]);
    }
    fputc(']', json->file);
}
