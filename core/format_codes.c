/* SPDX-License-Identifier: Apache-2.0 */
#include "core/format_codes.h"

#include <stddef.h>
#include <string.h>

#include "core/format_core.h"
#include "core/format_tree.h"

_Static_assert(sizeof(short) == 2 && sizeof(int) == 4 && sizeof(long long) == 8, "sizes of h, i and q");
_Static_assert(sizeof(float) == 4 && sizeof(double) == 8 && sizeof(bool) == 1, "sizes of f, d and ?");
_Static_assert(sizeof(long) == 4 || sizeof(long) == 8, "l is read as i or q");
_Static_assert(sizeof(size_t) == 4 || sizeof(size_t) == 8, "n is read as i or q");

const ndbuf__code_info ndbuf__code_infos[NDBUF__CODE_COUNT] = {
#define CODE_INFO(name, text, kind, size, alignment, order) {text, kind, size, alignment, NDBUF__ORDER_##order},
    NDBUF__PLAIN_CODE_LIST(CODE_INFO) NDBUF__OTHER_CODE_LIST(CODE_INFO)
#undef CODE_INFO
};

/* What the native types are written as. */
#define CODE_LONG(sign) (sizeof(long) == 8 ? NDBUF__CODE_##sign##INT64 : NDBUF__CODE_##sign##INT32)
#define CODE_SIZE(sign) (sizeof(size_t) == 8 ? NDBUF__CODE_##sign##INT64 : NDBUF__CODE_##sign##INT32)
#define LONG_IS_DOUBLE (sizeof(long double) == sizeof(double))
#define CODE_LONG_DOUBLE (LONG_IS_DOUBLE ? NDBUF__CODE_FLOAT64 : NDBUF__CODE_LONG_DOUBLE)
#define CODE_COMPLEX_LONG (LONG_IS_DOUBLE ? NDBUF__CODE_COMPLEX_DOUBLE : NDBUF__CODE_COMPLEX_LONG)

#define UNSIZED NDBUF__CODE_COUNT

/* How a letter is read with native and with standard sizes. */
typedef struct letter {
    bool known;
    uint8_t native;
    uint8_t standard; /* UNSIZED: an error */
} letter;

#define LETTER(code)                                                                                                   \
    {                                                                                                                  \
        true, NDBUF__CODE_##code, NDBUF__CODE_##code                                                                   \
    }

static const letter letters[128] = {
    ['?'] = LETTER(BOOL),
    ['b'] = LETTER(INT8),
    ['B'] = LETTER(UINT8),
    ['c'] = LETTER(CHAR),
    ['s'] = LETTER(BYTES),
    ['p'] = LETTER(PASCAL),
    ['h'] = LETTER(INT16),
    ['H'] = LETTER(UINT16),
    ['i'] = LETTER(INT32),
    ['I'] = LETTER(UINT32),
    ['l'] = {true, CODE_LONG(), NDBUF__CODE_INT32},
    ['L'] = {true, CODE_LONG(U), NDBUF__CODE_UINT32},
    ['q'] = LETTER(INT64),
    ['Q'] = LETTER(UINT64),
    ['n'] = {true, CODE_SIZE(), UNSIZED},
    ['N'] = {true, CODE_SIZE(U), UNSIZED},
    ['e'] = LETTER(FLOAT16),
    ['f'] = LETTER(FLOAT32),
    ['d'] = LETTER(FLOAT64),
    ['g'] = {true, CODE_LONG_DOUBLE, UNSIZED},
    ['F'] = LETTER(COMPLEX_FLOAT),
    ['D'] = LETTER(COMPLEX_DOUBLE),
    ['u'] = LETTER(UCS2),
    ['w'] = LETTER(UCS4),
    ['O'] = LETTER(OBJECT),
    ['P'] = {true, NDBUF__CODE_POINTER, UNSIZED},
    ['x'] = LETTER(PAD),
    ['t'] = LETTER(BITS),
    ['&'] = LETTER(REFERENCE),
};

/* The letter behind a Z. */
static const letter complex_letters[128] = {
    ['f'] = LETTER(COMPLEX_FLOAT),
    ['d'] = LETTER(COMPLEX_DOUBLE),
    ['g'] = {true, CODE_COMPLEX_LONG, UNSIZED},
};

bool ndbuf__is_bfloat16_name(const char *name, size_t nbytes)
{
    static const char text[] = "bfloat16";
    size_t text_nbytes = sizeof(text) - 1;
    if (nbytes < text_nbytes || memcmp(name + nbytes - text_nbytes, text, text_nbytes) != 0) {
        return false;
    }
    char before = nbytes > text_nbytes ? name[nbytes - text_nbytes - 1] : '.';
    return before == '.' || before == ':' || before == '$';
}

/* Reads "[numpy$datetime;ml_dtypes$bfloat16]": one type under several names. */
static ndbuf__code_answer find_named_type(const char *text, ndbuf__code *out_code, int32_t *out_nbytes)
{
    bool found = false;
    size_t first = 1;
    for (;;) {
        size_t nbytes = strcspn(text + first, ";]");
        found = found || ndbuf__is_bfloat16_name(text + first, nbytes);
        first += nbytes + 1;
        if (text[first - 1] != ';') {
            break;
        }
    }
    if (!found || text[first - 1] != ']' || first > INT32_MAX) {
        return NDBUF__CODE_UNKNOWN_TYPE;
    }
    *out_code = NDBUF__CODE_BFLOAT16;
    *out_nbytes = (int32_t)first;
    return NDBUF__CODE_FOUND;
}

ndbuf__code_answer ndbuf__code_find(const char *text, char mode, ndbuf__code *out_code, int32_t *out_nbytes)
{
    if (text[0] == 'T' || text[0] == 'X') {
        if (text[1] != '{') {
            return NDBUF__CODE_WITHOUT_BRACE;
        }
        *out_code = text[0] == 'X' ? NDBUF__CODE_FUNCTION : NDBUF__CODE_RECORD;
        *out_nbytes = 2;
        return NDBUF__CODE_FOUND;
    }

    if (text[0] == '[') {
        return find_named_type(text, out_code, out_nbytes);
    }

    bool is_complex = text[0] == 'Z';
    unsigned char c = (unsigned char)text[is_complex ? 1 : 0];
    letter found = {false, 0, 0};
    if (c < 128) {
        found = is_complex ? complex_letters[c] : letters[c];
    }
    if (!found.known) {
        return is_complex ? NDBUF__CODE_BAD_COMPLEX : NDBUF__CODE_UNKNOWN;
    }
    uint8_t code = mode == '@' || mode == '^' ? found.native : found.standard;
    if (code == UNSIZED) {
        return NDBUF__CODE_NO_STANDARD_SIZE;
    }
    *out_code = (ndbuf__code)code;
    *out_nbytes = is_complex ? 2 : 1;
    return NDBUF__CODE_FOUND;
}

char ndbuf__code_byte_order(ndbuf__code code, char mode)
{
    switch (ndbuf__code_infos[code].order) {
    case NDBUF__ORDER_ORDERED:
    case NDBUF__ORDER_BRACED:
        return mode == '<' || mode == '>' ? mode : NDBUF__HOST_ORDER;
    case NDBUF__ORDER_NATIVE:
        return NDBUF__HOST_ORDER;
    case NDBUF__ORDER_NONE:
    case NDBUF__ORDER_HANDLE:
        break;
    }
    return '|';
}

/* What one element of a code is when it stands alone, in both byte orders. */

#if NDBUF__HOST_ORDER == '<'
#define HOST_TEXT "<"
#define SWAPPED_TEXT ">"
#else
#define HOST_TEXT ">"
#define SWAPPED_TEXT "<"
#endif

#define ORDER_ORDERED(order) order
#define ORDER_NATIVE(order) NDBUF__HOST_ORDER
#define ORDER_NONE(order) '|'
#define ORDER_HANDLE(order) '|'
#define ORDER_BRACED(order) order
#define TEXT_ORDERED(prefix, text) prefix text
#define TEXT_NATIVE(prefix, text) "^" text
#define TEXT_NONE(prefix, text) "<" text
#define TEXT_HANDLE(prefix, text) "^" text
#define TEXT_BRACED(prefix, text) "T{" prefix NDBUF__BFLOAT16_MEMBER "}"

enum { PLAIN_HOST, PLAIN_ALIGNED, PLAIN_SWAPPED, PLAIN_NVARIANTS };

static const ndbuf_field plain_fields[NDBUF__CODE_NPLAIN][PLAIN_NVARIANTS] = {
#define PLAIN_FIELD(text, kind_, size_, order_)                                                                        \
    {                                                                                                                  \
        .size = size_, .kind = kind_, .code = text, .byte_order = order_                                               \
    }
#define PLAIN_FIELDS(name, text, kind, size, alignment, order)                                                         \
    {PLAIN_FIELD(text, kind, size, ORDER_##order(NDBUF__HOST_ORDER)),                                                  \
     PLAIN_FIELD(text, kind, size, ORDER_##order(NDBUF__HOST_ORDER)),                                                  \
     PLAIN_FIELD(text, kind, size, ORDER_##order(NDBUF__SWAPPED_ORDER))},
    NDBUF__PLAIN_CODE_LIST(PLAIN_FIELDS)
#undef PLAIN_FIELDS
#undef PLAIN_FIELD
};

static const ndbuf_format plain_formats[NDBUF__CODE_NPLAIN][PLAIN_NVARIANTS] = {
#define PLAIN_FORMAT(text_, kind, size, alignment_, field)                                                             \
    {                                                                                                                  \
        .interned = true,                                                                                              \
        .flags = (kind) == NDBUF_KIND_OBJECT || (kind) == NDBUF_KIND_POINTER ? NDBUF_FORMAT_HOST_ONLY : 0,             \
        .itemsize = size, .alignment = alignment_, .text = text_, .fields = field, .nfields = 1                        \
    }
#define PLAIN_FORMATS(name, text, kind, size, alignment, order)                                                        \
    {PLAIN_FORMAT(TEXT_##order(HOST_TEXT, text), kind, size, 1, &plain_fields[NDBUF__CODE_##name][PLAIN_HOST]),        \
     PLAIN_FORMAT(TEXT_##order(HOST_TEXT, text), kind, size, alignment,                                                \
                  &plain_fields[NDBUF__CODE_##name][PLAIN_ALIGNED]),                                                   \
     PLAIN_FORMAT(TEXT_##order(SWAPPED_TEXT, text), kind, size, 1, &plain_fields[NDBUF__CODE_##name][PLAIN_SWAPPED])},
    NDBUF__PLAIN_CODE_LIST(PLAIN_FORMATS)
#undef PLAIN_FORMATS
#undef PLAIN_FORMAT
};

ndbuf_format *ndbuf__plain_format(ndbuf__code code, char byte_order, bool aligned)
{
    int variant = PLAIN_HOST;
    if (byte_order == NDBUF__SWAPPED_ORDER) {
        variant = PLAIN_SWAPPED;
    } else if (aligned && ndbuf__code_infos[code].alignment > 1) {
        variant = PLAIN_ALIGNED;
    }
    return (ndbuf_format *)&plain_formats[code][variant]; /* never written to */
}

ndbuf_format *ndbuf__format_bytes(void)
{
    return ndbuf__plain_format(NDBUF__CODE_UINT8, '|', false);
}
