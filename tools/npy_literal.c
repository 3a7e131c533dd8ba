/* SPDX-License-Identifier: Apache-2.0 */
#include "npy_literal.h"

#include <stdlib.h>
#include <string.h>

#include "utf8.h"

static int is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static int is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

char npy_peek(npy_cursor *cursor)
{
    while (cursor->at < cursor->nbytes && is_space(cursor->text[cursor->at])) {
        cursor->at++;
    }
    return cursor->at < cursor->nbytes ? cursor->text[cursor->at] : '\0';
}

int npy_take(npy_cursor *cursor, char wanted)
{
    if (npy_peek(cursor) != wanted) {
        return 0;
    }
    cursor->at++;
    return 1;
}

/* What is at the cursor, in words. */
static ndbuf_status unexpected(npy_cursor *cursor, const char *wanted, ndbuf_error *err)
{
    char found = npy_peek(cursor);
    if (found == '\0') {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: expected %s, but the header ends", cursor->at,
                          wanted);
    }
    if (found < ' ' || found > '~') {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: expected %s, found byte 0x%02x", cursor->at, wanted,
                          (unsigned)(unsigned char)found);
    }
    return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: expected %s, found '%c'", cursor->at, wanted, found);
}

ndbuf_status npy_expect(npy_cursor *cursor, char wanted, ndbuf_error *err)
{
    if (npy_take(cursor, wanted)) {
        return NDBUF_OK;
    }
    const char text[4] = {'\'', wanted, '\'', '\0'};
    return unexpected(cursor, text, err);
}

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

/* The escape whose backslash is at the cursor: its character, and the cursor behind it. Returns 0 if it is none. */
static int read_escape(npy_cursor *cursor, uint32_t *out_code)
{
    static const char letters[] = "\\'\"abfnrtv";
    static const char values[] = "\\'\"\a\b\f\n\r\t\v";
    size_t at = cursor->at + 1;
    if (at >= cursor->nbytes) {
        return 0;
    }
    char letter = cursor->text[at++];
    const char *known = letter == '\0' ? NULL : strchr(letters, letter);
    if (known != NULL) {
        *out_code = (uint32_t)values[known - letters];
        cursor->at = at;
        return 1;
    }
    int ndigits = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
    uint32_t code = 0;
    for (int k = 0; k < ndigits; k++, at++) {
        int digit = at < cursor->nbytes ? hex_digit(cursor->text[at]) : -1;
        if (digit < 0 || code > 0x10FFFF) {
            return 0;
        }
        code = code << 4 | (uint32_t)digit;
    }
    if (ndigits == 0 || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
        return 0;
    }
    *out_code = code;
    cursor->at = at;
    return 1;
}

ndbuf_status npy_read_string(npy_cursor *cursor, char **out_text, ndbuf_error *err)
{
    char quote = npy_peek(cursor);
    if ((quote == 'u' || quote == 'b') && cursor->at + 1 < cursor->nbytes) {
        char next = cursor->text[cursor->at + 1];
        if (next == '\'' || next == '"') { /* Python 2 wrote such prefixes */
            cursor->at++;
            quote = next;
        }
    }
    if (quote != '\'' && quote != '"') {
        return unexpected(cursor, "a string", err);
    }
    size_t start = cursor->at++;
    size_t end = cursor->at;
    while (end < cursor->nbytes && cursor->text[end] != quote) {
        end += cursor->text[end] == '\\' ? 2 : 1;
    }
    if (end >= cursor->nbytes) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: the string has no end", start);
    }
    char *text = malloc(end - start); /* no escape is longer decoded than written */
    if (text == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a string of the header");
    }
    size_t length = 0;
    while (cursor->at < end) {
        char c = cursor->text[cursor->at];
        if (c == '\\') {
            uint32_t code = 0;
            if (!read_escape(cursor, &code)) {
                free(text);
                return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: a malformed escape in a string", cursor->at);
            }
            length += utf8_put(text + length, code);
        } else {
            text[length++] = c;
            cursor->at++;
        }
    }
    text[length] = '\0';
    cursor->at = end + 1;
    *out_text = text;
    return NDBUF_OK;
}

ndbuf_status npy_read_integer(npy_cursor *cursor, int64_t *out_value, ndbuf_error *err)
{
    char first = npy_peek(cursor);
    size_t at = cursor->at + (first == '-' || first == '+');
    if (at >= cursor->nbytes || cursor->text[at] < '0' || cursor->text[at] > '9') {
        return unexpected(cursor, "an integer", err);
    }
    int64_t value = 0;
    for (; at < cursor->nbytes && cursor->text[at] >= '0' && cursor->text[at] <= '9'; at++) {
        int64_t digit = cursor->text[at] - '0';
        if (value > (INT64_MAX - digit) / 10) {
            return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "header at %zu: an integer beyond 63 bits", cursor->at);
        }
        value = 10 * value + digit;
    }
    at += at < cursor->nbytes && cursor->text[at] == 'L';
    if (at < cursor->nbytes && (is_word(cursor->text[at]) || cursor->text[at] == '.')) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: not a decimal integer", cursor->at);
    }
    cursor->at = at;
    *out_value = first == '-' ? -value : value;
    return NDBUF_OK;
}

/* Takes `word` if it is next, and not the beginning of a longer one. */
static int take_word(npy_cursor *cursor, const char *word)
{
    size_t length = strlen(word);
    (void)npy_peek(cursor);
    if (cursor->nbytes - cursor->at < length || memcmp(cursor->text + cursor->at, word, length) != 0 ||
        (cursor->nbytes - cursor->at > length && is_word(cursor->text[cursor->at + length]))) {
        return 0;
    }
    cursor->at += length;
    return 1;
}

ndbuf_status npy_read_bool(npy_cursor *cursor, int *out_value, ndbuf_error *err)
{
    if (take_word(cursor, "True")) {
        *out_value = 1;
    } else if (take_word(cursor, "False")) {
        *out_value = 0;
    } else {
        return unexpected(cursor, "True or False", err);
    }
    return NDBUF_OK;
}

ndbuf_status npy_read_shape(npy_cursor *cursor, int one_is_enough, int64_t *shape, int32_t *ndim, ndbuf_error *err)
{
    int32_t first_ndim = *ndim;
    int closed = !npy_take(cursor, '(');
    if (closed && !one_is_enough) {
        return unexpected(cursor, "a tuple of integers", err);
    }
    int comma = closed;
    while (closed || !npy_take(cursor, ')')) {
        size_t at = cursor->at;
        int64_t extent = 0;
        ndbuf_status status = npy_read_integer(cursor, &extent, err);
        if (status != NDBUF_OK) {
            return status;
        }
        if (extent < 0) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: extent %lld is negative", at, (long long)extent);
        }
        if (*ndim == NDBUF_MAX_NDIM) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: more than %d dimensions", at, NDBUF_MAX_NDIM);
        }
        shape[(*ndim)++] = extent;
        if (closed) {
            return NDBUF_OK;
        }
        comma = npy_take(cursor, ',');
        if (!comma && npy_peek(cursor) != ')') {
            return unexpected(cursor, "',' or ')'", err);
        }
    }
    if (*ndim == first_ndim + 1 && !comma && !one_is_enough) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: (%lld) is an integer in Python, not a tuple",
                          cursor->at - 1, (long long)shape[first_ndim]);
    }
    return NDBUF_OK;
}

static ndbuf_status skip_number(npy_cursor *cursor, ndbuf_error *err)
{
    int64_t ignored = 0;
    return npy_read_integer(cursor, &ignored, err);
}

ndbuf_status npy_skip_literal(npy_cursor *cursor, ndbuf_error *err)
{
    char closers[NPY_MAX_DEPTH];
    int depth = 0;
    do {
        char c = npy_peek(cursor);
        if (depth > 0 && c == closers[depth - 1]) {
            cursor->at++;
            depth--;
        } else if (c == '(' || c == '[' || c == '{') {
            if (depth == NPY_MAX_DEPTH) {
                return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: nested deeper than %d", cursor->at,
                                  NPY_MAX_DEPTH);
            }
            closers[depth++] = c == '(' ? ')' : c == '[' ? ']' : '}';
            cursor->at++;
            continue; /* its first member, or its end */
        } else if ((c >= '0' && c <= '9') || c == '-' || c == '+') {
            ndbuf_status status = skip_number(cursor, err);
            if (status != NDBUF_OK) {
                return status;
            }
        } else if (!take_word(cursor, "True") && !take_word(cursor, "False") && !take_word(cursor, "None")) {
            char *text = NULL;
            ndbuf_status status = npy_read_string(cursor, &text, err);
            if (status != NDBUF_OK) {
                return status;
            }
            free(text);
        }
        if (depth > 0 && !npy_take(cursor, ',') && npy_peek(cursor) != closers[depth - 1]) {
            if (closers[depth - 1] != '}' || !npy_take(cursor, ':')) {
                return unexpected(cursor, "',' or a closing bracket", err);
            }
        }
    } while (depth > 0);
    return NDBUF_OK;
}
