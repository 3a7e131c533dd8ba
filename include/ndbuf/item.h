/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_ITEM_H
#define NDBUF_ITEM_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/export.h"
#include "ndbuf/format.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Single items as values: to fill with, to print, to look at. An item has as many values as its format has elements, in
 * the order in which they lie in memory: those of a record in an array before those of the next one. None of this
 * allocates, and all of it is thread-safe. */

typedef enum ndbuf_value_kind {
    NDBUF_VALUE_INT = 1,
    NDBUF_VALUE_UINT = 2,
    NDBUF_VALUE_FLOAT = 3,
    NDBUF_VALUE_COMPLEX = 4,
    NDBUF_VALUE_BYTES = 5
} ndbuf_value_kind;

typedef struct ndbuf_value {
    int32_t kind;     /* an ndbuf_value_kind */
    int32_t reserved; /* 0 */
    union {
        int64_t int64;
        uint64_t uint64;
        double float64;
        struct {
            double real;
            double imag;
        } complex;
        struct {
            const void *data;
            int64_t nbytes;
        } bytes;
    } as;
} ndbuf_value;

/* How many values an item of a format has. */
NDBUF_API int64_t ndbuf_item_nvalues(const ndbuf_format *format);

/* Makes an item of values. Padding is zeroed.
 *
 * values    nvalues of them, as ndbuf_item_nvalues says; NULL if that is 0.
 * out_item  itemsize bytes, as ndbuf_format_itemsize says; unchanged on failure.
 *
 * What takes which values, by the kinds of format.h:
 *   BOOL               numbers: whether they are not zero
 *   INT, UINT          integers that fit
 *   FLOAT, BFLOAT      integers and floats, rounded to the nearest, ties to even
 *   COMPLEX            these, and complex numbers
 *   BYTES, PASCAL      bytes: zeros are added to fewer, and more are cut off, as Python's struct does; a `c` takes one.
 *                      The count of a Pascal string is made here
 *   TEXT               bytes of whole units in the format's byte order; likewise
 *   BITS, OPAQUE       bytes, exactly as many
 *   OBJECT, POINTER    integers, as the address
 *
 * NDBUF_ERR_OVERFLOW  an integer does not fit, or a finite number would become infinite; the text names value and field
 * NDBUF_ERR_INVALID   a value of a kind that the field does not take, or bytes of a wrong size; likewise. Or nvalues or
 *                     itemsize are not the format's */
NDBUF_API ndbuf_status ndbuf_item_pack(const ndbuf_format *format, const ndbuf_value *values, int64_t nvalues,
                                       void *out_item, int64_t itemsize, ndbuf_error *err);

/* Takes an item apart: BOOL, UINT, OBJECT and POINTER into UINT (BOOL: 0 and 1), INT into INT, FLOAT and BFLOAT into
 * FLOAT (a `g` rounded to it), COMPLEX likewise, the rest into BYTES, which point into the item: all of an `s`, with
 * the zeros at its end, what a Pascal string counts, the units of a text in the format's byte order.
 *
 * item        itemsize bytes, as ndbuf_format_itemsize says.
 * out_values  room for nvalues of them, as ndbuf_item_nvalues says.
 *
 * NDBUF_ERR_INVALID  nvalues or itemsize are not the format's */
NDBUF_API ndbuf_status ndbuf_item_unpack(const ndbuf_format *format, const void *item, int64_t itemsize,
                                         ndbuf_value *out_values, int64_t nvalues, ndbuf_error *err);

/* An item as text, in one line of UTF-8: `-3`, `0.1` (the fewest digits that mean this float; whole numbers below
 * 1e16 have all of theirs), `1.0-2.0j`, `true`, `b'a\x00b'`, `'text'`, `0x0102` (opaque), `[1, 2]`,
 * `{name: 1, other: [2, 3]}`, `(1, 2)` (a record without names). Zeros at the end of strings are left out, and a `g` is
 * the nearest double. Any bytes can be printed. Writes up to `size` bytes including the terminator, and returns the
 * length of the whole text, like snprintf.
 *
 * item  as many bytes as ndbuf_format_itemsize says. */
NDBUF_API size_t ndbuf_item_print(const ndbuf_format *format, const void *item, char *out_text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
