/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_BACKENDS_CPU_RANDOM_NUMBERS_H
#define NDBUF_TESTS_BACKENDS_CPU_RANDOM_NUMBERS_H

/* Numbers worth converting. */

#include "ndbuf/backend.h"
#include "tests/support/test.h"

ndbuf_element element_of(int32_t number, bool is_swapped);

/* Two of them. */
ndbuf_element complex_of(ndbuf_element half);

/* Writes `count` numbers, or parts of complex ones, one behind the other; a long double that is one. Most parts are
 * zeros, of any sign. */
void random_numbers(test_random *random, const ndbuf_element *element, char *dst, int64_t count);

#endif
