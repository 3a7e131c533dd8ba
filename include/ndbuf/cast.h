/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CAST_H
#define NDBUF_CAST_H

#include "ndbuf/export.h"
#include "ndbuf/format.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How far a copy may change what it copies: NumPy's rules, each allowing what the ones before it allow. */
typedef enum ndbuf_casting {
    NDBUF_CASTING_NO = 0,        /* nothing: the formats are equal */
    NDBUF_CASTING_EQUIV = 1,     /* byte order, and where fields lie in records */
    NDBUF_CASTING_SAFE = 2,      /* types that hold every value: i2 to i4, i4 to f8 */
    NDBUF_CASTING_SAME_KIND = 3, /* and within a kind: f8 to f4, i8 to i2 */
    NDBUF_CASTING_UNSAFE = 4     /* anything that there is a conversion for */
} ndbuf_casting;

enum {
    NDBUF_CAST_SATURATE = 1u << 0 /* to integers: the nearest value that the destination has, and 0 for NaN */
};

/* What a conversion makes of a value, the same on every device:
 *
 *   to BOOL         false of zero (also -0 and false), true of everything else, NaN included
 *   between ints    the value modulo 2^bits
 *   int to float    the nearest value, ties to even; beyond the range of FLOAT16: an infinity
 *   between floats  the nearest value, ties to even, subnormals kept; a NaN stays one, with its sign, as many leading
 *                   bits of its payload as there is room for, and the quiet bit set
 *   float to int    the fraction is dropped. What then lies outside the destination, and infinities and NaN, C leaves
 *                   undefined and NumPy unspecified; here it is what C compilers make of it on x86-64: 8- and 16-bit
 *                   integers and INT32 are cut from an int32, UINT32 and INT64 from an int64, and what that cannot hold
 *                   is its most negative value before the cut. UINT64: as INT64 below 2^63, the value from there to
 *                   2^64, else 2^63.
 *   complex         halves as such; from a real number the imaginary part is 0; to a real number it is dropped; to BOOL
 *                   true if either half is
 *   same number     bits are kept, of NaN and of BOOL too
 *
 * With NDBUF_CAST_SATURATE integers that do not fit, from integers and floats, become the nearest bound, and NaN 0. */

/* Whether items of format `src` may be copied to items of format `dst` by a rule. Numbers: as in NumPy, whose "safe"
 * takes 64-bit integers to FLOAT64; bfloat16 is a float that holds integers of 8 bits. Text, bytes, opaque items,
 * pointers and objects go only to their own kind and size, text in either byte order.
 *
 * Records are compared leaf by leaf, each by the rule: by the paths of names, where both formats have names, and then
 * the destination may leave fields out, but not have others; else by position, and then there must be as many. Leaves
 * of one path (unnamed ones) pair in their order, and there must be as many of them. Dimensions have to agree. All that
 * is from EQUIV on: NO wants equal formats.
 *
 * NDBUF_OK
 * NDBUF_ERR_CAST     no; the text names both formats, the rule, and the field
 * NDBUF_ERR_INVALID  not a rule
 * NDBUF_ERR_NOMEM */
NDBUF_API ndbuf_status ndbuf_format_can_cast(const ndbuf_format *dst, const ndbuf_format *src, ndbuf_casting casting,
                                             ndbuf_error *err);

/* "no", "equiv", "safe", "same_kind", "unsafe"; "?" for anything else. Never NULL. */
NDBUF_API const char *ndbuf_casting_name(ndbuf_casting casting);

#ifdef __cplusplus
}
#endif

#endif
