/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_NPY_LITERAL_H
#define NDBUF_TOOLS_NPY_LITERAL_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"

/* A reader of the Python literals in the header of a .npy file: strings, integers, True, False, None, tuples, lists
 * and dictionaries. It never reads past `nbytes`, and its recursion is bounded. The text is UTF-8. */
typedef struct npy_cursor {
    const char *text;
    size_t nbytes;
    size_t at; /* the next byte to read */
} npy_cursor;

#define NPY_MAX_DEPTH 32 /* nested brackets of all kinds */

/* The next byte behind white space, not taken; 0 at the end. */
char npy_peek(npy_cursor *cursor);

/* Takes `wanted` behind white space; returns whether it was there. */
int npy_take(npy_cursor *cursor, char wanted);

/* The same, with an error that names what was found instead. NDBUF_ERR_INVALID. */
ndbuf_status npy_expect(npy_cursor *cursor, char wanted, ndbuf_error *err);

/* A string in single or double quotes, its escapes decoded to UTF-8.
 *
 * out_text   the caller's, from malloc; holds no zero byte but the last.
 *
 * NDBUF_ERR_INVALID  not a string, a bad escape, or no end; NDBUF_ERR_NOMEM */
ndbuf_status npy_read_string(npy_cursor *cursor, char **out_text, ndbuf_error *err);

/* A decimal integer; Python 2's trailing L is skipped.
 *
 * NDBUF_ERR_INVALID   not an integer
 * NDBUF_ERR_OVERFLOW  beyond 63 bits */
ndbuf_status npy_read_integer(npy_cursor *cursor, int64_t *out_value, ndbuf_error *err);

/* True or False. NDBUF_ERR_INVALID: neither. */
ndbuf_status npy_read_bool(npy_cursor *cursor, int *out_value, ndbuf_error *err);

/* A tuple of integers >= 0, or where `one_is_enough` is set, a single one without brackets.
 *
 * shape, ndim  filled from *ndim on, which counts up; at most NDBUF_MAX_NDIM in all.
 *
 * NDBUF_ERR_INVALID   not a tuple, a negative extent (the text gives it), or more than NDBUF_MAX_NDIM
 * NDBUF_ERR_OVERFLOW  an extent beyond 63 bits */
ndbuf_status npy_read_shape(npy_cursor *cursor, int one_is_enough, int64_t *shape, int32_t *ndim, ndbuf_error *err);

/* Skips one literal of any kind. NDBUF_ERR_INVALID: malformed, or nested deeper than NPY_MAX_DEPTH. */
ndbuf_status npy_skip_literal(npy_cursor *cursor, ndbuf_error *err);

#endif
