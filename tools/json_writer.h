/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_JSON_WRITER_H
#define NDBUF_TOOLS_JSON_WRITER_H

#include <stdint.h>
#include <stdio.h>

/* Writes one JSON value with indentation. Inside an object every value takes a key, inside an array and at the top none
 * (NULL). */
typedef struct json_writer {
    FILE *file;
    int depth;
    int nonempty; /* whether the innermost object or array has a member */
} json_writer;

void json_open(json_writer *json, const char *key, char bracket); /* '{' or '[' */
void json_close(json_writer *json, char bracket);                 /* '}' or ']'; at the top a line feed follows */
void json_string(json_writer *json, const char *key, const char *value); /* bytes that are not UTF-8 become U+FFFD */
void json_integer(json_writer *json, const char *key, int64_t value);
void json_unsigned(json_writer *json, const char *key, uint64_t value);
void json_number(json_writer *json, const char *key, double value); /* must be finite */
void json_bool(json_writer *json, const char *key, int value);
void json_null(json_writer *json, const char *key);
void json_integers(json_writer *json, const char *key, const int64_t *values, int32_t count); /* NULL: null */

#endif
