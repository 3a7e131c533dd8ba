/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_ITEM_ELEMENT_H
#define NDBUF_CORE_ITEM_ELEMENT_H

/* Elements of items, read as they lie in memory. */

#include "ndbuf/item.h"

/* The value of one element of a field. Bytes point to it. */
ndbuf_value ndbuf__element_value(const ndbuf_field *field, const unsigned char *element);

/* Copies a number of nbytes bytes to or from the host's byte order; the bytes of a code point, too. */
void ndbuf__element_copy(unsigned char *dst, const unsigned char *src, int64_t nbytes, char byte_order);

#endif
