/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_NPY_DTYPE_H
#define NDBUF_TOOLS_NPY_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"
#include "npy_literal.h"

/* What the `descr` of a .npy file says: a plain element ("'<f4'") or a record (a list of fields). Date and time types,
 * and void, are opaque bytes. Sole owner of its fields; the text that it was read from must outlive it. */
typedef struct npy_dtype npy_dtype;

typedef struct npy_dtype_field {
    char *name;      /* UTF-8; empty: padding, or a field without a name */
    npy_dtype *type; /* of one element */
    int32_t ndim;    /* of its subarray; 0: none */
    int64_t *shape;  /* ndim entries */
} npy_dtype_field;

struct npy_dtype {
    const char *text; /* the Python literal, in the text of the header */
    size_t text_nbytes;
    int64_t itemsize;
    int is_record;
    char code[32]; /* a plain element in PEP 3118's words, with its byte order: "<f" */
    npy_dtype_field *fields;
    int32_t nfields;
};

/* Reads a descr at the cursor.
 *
 * out_dtype  ended by npy_dtype_destroy.
 *
 * NDBUF_ERR_INVALID      malformed, an unknown type, a field name twice or with a ':' in it
 * NDBUF_ERR_OVERFLOW     an item beyond 63 bits
 * NDBUF_ERR_UNSUPPORTED  Python objects ('O'), or a subarray outside a record
 * NDBUF_ERR_NOMEM */
ndbuf_status npy_dtype_read(npy_cursor *cursor, npy_dtype **out_dtype, ndbuf_error *err);

void npy_dtype_destroy(npy_dtype *dtype); /* NULL is accepted */

/* The PEP 3118 text of the same layout, from malloc.
 *
 * NDBUF_ERR_OVERFLOW  longer than NDBUF_FORMAT_MAX_TEXT
 * NDBUF_ERR_NOMEM */
ndbuf_status npy_dtype_format(const npy_dtype *dtype, char **out_format, ndbuf_error *err);

/* The type of a field by its path, as ndbuf_view_field reads it: names joined by '.'; borrowed. NULL: no such field. */
const npy_dtype *npy_dtype_find(const npy_dtype *dtype, const char *path);

#endif
