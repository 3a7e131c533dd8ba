/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_FORMAT_H
#define NDBUF_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/export.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What one item of a view is: a parsed PEP 3118 format string. Immutable, counted, thread-safe. Formats of one plain
 * element ("<f4" in NumPy's words) are interned: they cost no memory. Equality is a question for ndbuf_format_equal.
 *
 * The grammar is PEP 3118's, read leniently (white space between tokens, prefixes in any order, a byte order anywhere,
 * in force until the next one, also beyond a closing brace) and written strictly (docs/formats.md has the grammar and
 * the rulings with their sources). In short: struct's rule at top level (no tail padding), C's rule inside T{} in
 * native mode. */
typedef struct ndbuf_format ndbuf_format;

/* What a leaf holds. The values are the letters of NumPy's kinds where NumPy has one. */
typedef enum ndbuf_kind {
    NDBUF_KIND_BOOL = 'b',    /* ?  */
    NDBUF_KIND_INT = 'i',     /* b h i l q n */
    NDBUF_KIND_UINT = 'u',    /* B H I L Q N */
    NDBUF_KIND_FLOAT = 'f',   /* e f d g */
    NDBUF_KIND_BFLOAT = 'E',  /* bfloat16, which has no code of PEP 3118: T{2x:bfloat16:}, see docs/formats.md */
    NDBUF_KIND_COMPLEX = 'c', /* Zf Zd Zg F D; the byte order is that of each half */
    NDBUF_KIND_BYTES = 'S',   /* c s */
    NDBUF_KIND_PASCAL = 'p',  /* p */
    NDBUF_KIND_TEXT = 'U',    /* u (2-byte units) w (4-byte units); the byte order is that of each unit */
    NDBUF_KIND_BITS = 't',    /* t: one run of bit fields, in whole bytes */
    NDBUF_KIND_OBJECT = 'O',  /* a PyObject pointer; never travels to a device */
    NDBUF_KIND_POINTER = 'P', /* P & X{}; never travels to a device */
    NDBUF_KIND_OPAQUE = 'V'   /* named padding, and items whose format and size disagree */
} ndbuf_kind;

enum {
    NDBUF_FORMAT_HOST_ONLY = 1u << 0, /* holds objects or pointers, which mean nothing on a device */
    NDBUF_FORMAT_RECORD = 1u << 1,    /* has named fields, or more than one leaf */
    NDBUF_FORMAT_UNRELIABLE = 1u << 2 /* text and item size could not be reconciled: read as opaque bytes */
};

#define NDBUF_FORMAT_MAX_TEXT 65535 /* bytes of text, given or canonical */
#define NDBUF_FORMAT_MAX_DEPTH 64   /* nested T{}, X{} and & together */
#define NDBUF_FORMAT_MAX_LEAVES 65536
#define NDBUF_FORMAT_MAX_DIMS 64 /* of one leaf, all levels together */

/* One leaf of a format, in order of declaration. Pointers are the format's and live as long as it does. */
typedef struct ndbuf_field {
    const char *const *names; /* from the outside in; unnamed levels add none */
    int32_t nnames;
    int32_t ndim;           /* nested repeats and subarrays, from the outside in; 0: a single element */
    const int64_t *extents; /* ndim entries */
    const int64_t *strides; /* ndim entries, bytes */
    int64_t offset;         /* bytes, of the first element from the start of the item */
    int64_t size;           /* bytes of one element; "5s" is one element of 5 */
    int32_t kind;           /* an ndbuf_kind */
    char code[4];           /* the type code as it is written back: "d", "Zf", "w", "T{}" (bfloat16); terminated */
    char byte_order;        /* '<', '>', or '|' where it has no meaning */
} ndbuf_field;

/* Parses `text`.
 *
 * text      terminated; NULL means "B", as everywhere in PEP 3118.
 * itemsize  what the exporter says an item takes, in bytes; 0: as computed from the text. A larger one than computed
 *           is tail padding; a smaller one is taken if only padding that the text implies at the end is missing; a lone
 *           `u` may take 4 bytes a unit (CPython's wchar_t arrays). What cannot be explained so (known wrong exports
 *           among it, see docs/formats.md) gives opaque items of that size with NDBUF_FORMAT_UNRELIABLE set.
 *
 * NDBUF_ERR_FORMAT    malformed; the text tells the position, counted from 0, and what was expected there
 * NDBUF_ERR_OVERFLOW  a size beyond 63 bits, or one of the NDBUF_FORMAT_MAX_ limits; with the position
 * NDBUF_ERR_INVALID   itemsize < 0
 * NDBUF_ERR_NOMEM */
NDBUF_API ndbuf_status ndbuf_format_parse(const char *text, int64_t itemsize, ndbuf_format **out_format,
                                          ndbuf_error *err);

/* The format of one plain element, for importers whose types are not PEP 3118's.
 *
 * kind        BOOL (1), INT and UINT (1 2 4 8), FLOAT (2 4 8, and 16 for the host's long double), BFLOAT (2), COMPLEX
 *             (8 16, 32), BYTES, OPAQUE (any size), TEXT (multiples of 4).
 * size        bytes of the element, all of it.
 * byte_order  '<', '>', or '=' for the host's.
 *
 * NDBUF_ERR_UNSUPPORTED  no PEP 3118 code has this kind and size
 * NDBUF_ERR_INVALID      not a kind or a byte order, or size < 0
 * NDBUF_ERR_NOMEM */
NDBUF_API ndbuf_status ndbuf_format_create(ndbuf_kind kind, int64_t size, char byte_order, ndbuf_format **out_format,
                                           ndbuf_error *err);

NDBUF_API void ndbuf_format_retain(ndbuf_format *format);
NDBUF_API void ndbuf_format_release(ndbuf_format *format); /* NULL is accepted */

/* The canonical text: an explicit byte order before each leaf, padding spelled out, no alignment left to the reader.
 * Reading it back gives an equal format. Lives as long as the format. */
NDBUF_API const char *ndbuf_format_text(const ndbuf_format *format);

NDBUF_API int64_t ndbuf_format_itemsize(const ndbuf_format *format);  /* bytes */
NDBUF_API int64_t ndbuf_format_alignment(const ndbuf_format *format); /* of the members in native mode; else 1 */
NDBUF_API uint32_t ndbuf_format_flags(const ndbuf_format *format);    /* NDBUF_FORMAT_... bits */
NDBUF_API int32_t ndbuf_format_nfields(const ndbuf_format *format);   /* leaves, padding and empty ones not counted */

/* Leaf `index`.
 *
 * NDBUF_ERR_INDEX  index outside 0 .. nfields - 1 */
NDBUF_API ndbuf_status ndbuf_format_field(const ndbuf_format *format, int32_t index, ndbuf_field *out_field,
                                          ndbuf_error *err);

/* Whether two formats lay out the same item: item size, and each leaf's names, kind, offset, size, dims, byte order
 * and, of text, units. The texts may differ ("l" and "q"). */
NDBUF_API int32_t ndbuf_format_equal(const ndbuf_format *a, const ndbuf_format *b);

#ifdef __cplusplus
}
#endif

#endif
