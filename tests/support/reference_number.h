/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_REFERENCE_NUMBER_H
#define NDBUF_TESTS_SUPPORT_REFERENCE_NUMBER_H

/* What the conversion of one element is, by the rules of cast.h, as slow and as plain as can be. Nothing of the library
 * is used here, nor any floating-point arithmetic: a number is taken apart into a sign, a 128-bit integer and a power
 * of two, and the nearest value of a floating-point type is searched among all that it has. */

#include "tests/support/test.h"

#include "ndbuf/backend.h"

/* Writes one element. Where it is a long double, so are zeros to the bytes that no value has. */
void test_convert_element(void *out_dst, const ndbuf_element *to, const void *src, const ndbuf_element *from,
                          uint32_t flags);

/* Bytes of a number, in all: those of a long double are sizeof. */
int32_t test_number_nbytes(ndbuf_number number);

/* "int16"; for messages. */
const char *test_number_name(ndbuf_number number);

/* An element that tries conversions hard: any bits, small integers, bounds of integer types and their neighbours,
 * infinities, NaN with and without the quiet bit, subnormals, values halfway between those of a narrower type. A bool
 * is any byte; a long double has only encodings that the processor itself makes. */
void test_random_element(test_random *random, const ndbuf_element *element, void *out_bytes);

#endif
