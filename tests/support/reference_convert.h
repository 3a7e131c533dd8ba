/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_REFERENCE_CONVERT_H
#define NDBUF_TESTS_SUPPORT_REFERENCE_CONVERT_H

/* What a copy between views of different formats is: loops over indices, fields and elements, by the rules of cast.h.
 * Nothing of the library is used here; even formats are described by other means, and written as text for it. */

#include "tests/support/reference_copy.h"
#include "tests/support/reference_number.h"

#define TEST_TYPE_MAX_NDIM 3

typedef enum test_type_kind {
    TEST_TYPE_NUMBER,
    TEST_TYPE_BYTES, /* s, p, named padding: moved as they are */
    TEST_TYPE_TEXT,  /* w: units of 4 bytes */
    TEST_TYPE_RECORD
} test_type_kind;

/* What an item is, or a field of one: an array of `nbytes` bytes each, or one such element. */
typedef struct test_type test_type;
struct test_type {
    test_type_kind kind;
    ndbuf_element element; /* of numbers */
    char code;             /* of bytes: 's', 'p', 'x' */
    bool is_swapped;       /* of text */
    bool is_named;         /* of records: all fields are, or none */
    bool has_braces;       /* of records: written as T{}, which only the outermost may lack */
    int64_t nbytes;
    int32_t ndim; /* 0: no array */
    int64_t extents[TEST_TYPE_MAX_NDIM];
    int32_t nfields;
    test_type *fields;
    int64_t offset; /* of a field, from the start of its record; bytes */
    char name[8];   /* of a field; "": none */
};

/* Zero-initialised is valid. */
void test_type_clear(test_type *type);

int64_t test_type_nitems(const test_type *type); /* of the array */
int64_t test_type_nbytes(const test_type *type); /* of all of it */

/* Whether any number in it is this one. */
bool test_type_has(const test_type *type, ndbuf_number number);

/* Whether both lay out the same item: fields of the same names, kinds and byte orders at the same places. */
bool test_types_equal(const test_type *a, const test_type *b);

/* As PEP 3118 writes it: "T{<h:a:3x(2,3)>d:b:}". */
void test_type_print(const test_type *type, char *out_text, size_t size);

/* The bytes of one item converted. Fields go by name where they have names, else by position; bytes of `dst` that no
 * field covers are left as they are. */
void test_convert_item(char *dst, const test_type *to, const char *src, const test_type *from, uint32_t flags);

/* A whole view converted; items of equal types are copied with their padding. `out_buffer` is a copy of `dst`'s buffer,
 * in which items are written, while pointers are followed in `dst_buffer`. All of `src` is read first, so that both may
 * share their memory. */
void test_convert_view(const test_layout *dst, const test_type *to, char *dst_buffer, const test_layout *src,
                       const test_type *from, char *src_buffer, uint32_t flags, char *out_buffer);

#endif
