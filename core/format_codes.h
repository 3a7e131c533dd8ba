/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_FORMAT_CODES_H
#define NDBUF_CORE_FORMAT_CODES_H

/* The type codes of PEP 3118, and the interned formats of one plain element. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ndbuf/format.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define NDBUF__HOST_ORDER '>'
#define NDBUF__SWAPPED_ORDER '<'
#else
#define NDBUF__HOST_ORDER '<'
#define NDBUF__SWAPPED_ORDER '>'
#endif

/* Every code that is written: X(name, text, kind, size, alignment in native mode, order). The others are read as one of
 * these ("l" as "q" or "i"). Order is
 *   ORDERED  either, written as '<' or '>'      NATIVE  the host's, written as '^': there is no standard size
 *   NONE     meaningless, written as '<'        HANDLE  meaningless, written as '^'
 *   BRACED   either, written inside a record of its own: types without a code */
#define NDBUF__PLAIN_CODE_LIST(X)                                                                                      \
    X(BOOL, "?", NDBUF_KIND_BOOL, 1, 1, NONE)                                                                          \
    X(INT8, "b", NDBUF_KIND_INT, 1, 1, NONE)                                                                           \
    X(UINT8, "B", NDBUF_KIND_UINT, 1, 1, NONE)                                                                         \
    X(CHAR, "c", NDBUF_KIND_BYTES, 1, 1, NONE)                                                                         \
    X(BYTES, "s", NDBUF_KIND_BYTES, 1, 1, NONE)                                                                        \
    X(PASCAL, "p", NDBUF_KIND_PASCAL, 1, 1, NONE)                                                                      \
    X(INT16, "h", NDBUF_KIND_INT, 2, _Alignof(int16_t), ORDERED)                                                       \
    X(UINT16, "H", NDBUF_KIND_UINT, 2, _Alignof(uint16_t), ORDERED)                                                    \
    X(INT32, "i", NDBUF_KIND_INT, 4, _Alignof(int32_t), ORDERED)                                                       \
    X(UINT32, "I", NDBUF_KIND_UINT, 4, _Alignof(uint32_t), ORDERED)                                                    \
    X(INT64, "q", NDBUF_KIND_INT, 8, _Alignof(int64_t), ORDERED)                                                       \
    X(UINT64, "Q", NDBUF_KIND_UINT, 8, _Alignof(uint64_t), ORDERED)                                                    \
    X(FLOAT16, "e", NDBUF_KIND_FLOAT, 2, _Alignof(int16_t), ORDERED)                                                   \
    X(BFLOAT16, "T{}", NDBUF_KIND_BFLOAT, 2, _Alignof(uint16_t), BRACED)                                               \
    X(FLOAT32, "f", NDBUF_KIND_FLOAT, 4, _Alignof(float), ORDERED)                                                     \
    X(FLOAT64, "d", NDBUF_KIND_FLOAT, 8, _Alignof(double), ORDERED)                                                    \
    X(LONG_DOUBLE, "g", NDBUF_KIND_FLOAT, sizeof(long double), _Alignof(long double), NATIVE)                          \
    X(COMPLEX_FLOAT, "Zf", NDBUF_KIND_COMPLEX, 8, _Alignof(float), ORDERED)                                            \
    X(COMPLEX_DOUBLE, "Zd", NDBUF_KIND_COMPLEX, 16, _Alignof(double), ORDERED)                                         \
    X(COMPLEX_LONG, "Zg", NDBUF_KIND_COMPLEX, 2 * sizeof(long double), _Alignof(long double), NATIVE)                  \
    X(UCS2, "u", NDBUF_KIND_TEXT, 2, _Alignof(uint16_t), ORDERED)                                                      \
    X(UCS4, "w", NDBUF_KIND_TEXT, 4, _Alignof(uint32_t), ORDERED)                                                      \
    X(OBJECT, "O", NDBUF_KIND_OBJECT, sizeof(void *), _Alignof(void *), HANDLE)                                        \
    X(POINTER, "P", NDBUF_KIND_POINTER, sizeof(void *), _Alignof(void *), HANDLE)

#define NDBUF__OTHER_CODE_LIST(X)                                                                                      \
    X(PAD, "x", NDBUF_KIND_OPAQUE, 1, 1, NONE)                                                                         \
    X(BITS, "t", NDBUF_KIND_BITS, 1, 1, ORDERED)                                                                       \
    X(REFERENCE, "&", NDBUF_KIND_POINTER, sizeof(void *), _Alignof(void *), HANDLE)                                    \
    X(FUNCTION, "X{}", NDBUF_KIND_POINTER, sizeof(void *), _Alignof(void *), HANDLE)                                   \
    X(RECORD, "T{", 0, 0, 1, NONE)

typedef enum ndbuf__code {
#define NDBUF__CODE_ENUM(name, text, kind, size, alignment, order) NDBUF__CODE_##name,
    NDBUF__PLAIN_CODE_LIST(NDBUF__CODE_ENUM) NDBUF__CODE_NPLAIN,
    NDBUF__CODE_BEFORE_OTHERS = NDBUF__CODE_NPLAIN - 1,
    NDBUF__OTHER_CODE_LIST(NDBUF__CODE_ENUM) NDBUF__CODE_COUNT
#undef NDBUF__CODE_ENUM
} ndbuf__code;

typedef enum ndbuf__code_order {
    NDBUF__ORDER_ORDERED,
    NDBUF__ORDER_NATIVE,
    NDBUF__ORDER_NONE,
    NDBUF__ORDER_HANDLE,
    NDBUF__ORDER_BRACED
} ndbuf__code_order;

typedef struct ndbuf__code_info {
    char text[4];
    int32_t kind;      /* an ndbuf_kind; 0: a record */
    int32_t size;      /* bytes of one element, or of one unit of a string; 0: a record */
    int32_t alignment; /* in native mode */
    ndbuf__code_order order;
} ndbuf__code_info;

extern const ndbuf__code_info ndbuf__code_infos[NDBUF__CODE_COUNT];

typedef enum ndbuf__code_answer {
    NDBUF__CODE_FOUND,
    NDBUF__CODE_UNKNOWN,
    NDBUF__CODE_BAD_COMPLEX,     /* a Z without f, d or g */
    NDBUF__CODE_WITHOUT_BRACE,   /* a T or X without { */
    NDBUF__CODE_UNKNOWN_TYPE,    /* a [..] that names no type known here, or has no ] */
    NDBUF__CODE_NO_STANDARD_SIZE /* in a standard byte order */
} ndbuf__code_answer;

/* Reads the code at the start of `text`, which is terminated. `mode` is one of @ ^ = < >. */
ndbuf__code_answer ndbuf__code_find(const char *text, char mode, ndbuf__code *out_code, int32_t *out_nbytes);

/* What stands between the braces of a bfloat16, behind the byte order. */
#define NDBUF__BFLOAT16_MEMBER "2x:bfloat16:"

/* Whether a name is that of bfloat16, perhaps with that of a module before it: "ml_dtypes.bfloat16". */
bool ndbuf__is_bfloat16_name(const char *name, size_t nbytes);

/* Whether a count before the code is part of the element ("5s" is one element of 5 bytes). */
static inline bool ndbuf__code_counts_units(ndbuf__code code)
{
    return code == NDBUF__CODE_BYTES || code == NDBUF__CODE_PASCAL || code == NDBUF__CODE_UCS2 ||
           code == NDBUF__CODE_UCS4 || code == NDBUF__CODE_PAD || code == NDBUF__CODE_BITS;
}

static inline bool ndbuf__is_byte_order(char c)
{
    return c == '@' || c == '^' || c == '=' || c == '<' || c == '>' || c == '!';
}

/* The byte order ('<', '>' or '|') of a code in a mode. */
char ndbuf__code_byte_order(ndbuf__code code, char mode);

/* The interned format of one element of a plain code. `aligned`: it was read in native mode, so that
 * ndbuf_format_alignment is that of the code, else 1. */
ndbuf_format *ndbuf__plain_format(ndbuf__code code, char byte_order, bool aligned);

#endif
