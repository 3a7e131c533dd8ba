/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_RANDOM_TYPES_H
#define NDBUF_TESTS_SUPPORT_RANDOM_TYPES_H

/* Types to try conversions on, and values. */

#include "tests/support/reference_convert.h"

/* Two types, the one convertible to the other: plain numbers, most often; arrays of them; records with named fields, of
 * which the destination has some in any order, or unnamed ones; nested, with arrays, text and bytes, packed, aligned or
 * padded oddly. Both are the caller's, for test_type_clear. */
void test_random_types(test_random *random, test_type *out_to, test_type *out_from);

/* Writes values to all numbers of an item, by test_random_element; other bytes are left as they are. */
void test_random_item(test_random *random, const test_type *type, char *item);

#endif
