/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/random_types.h"

#include <stdlib.h>
#include <string.h>

#define MAX_FIELDS 5
#define MAX_DEPTH 2 /* of records in records */

static bool one_in(test_random *random, int64_t n)
{
    return test_random_range(random, 1, n) == 1;
}

/* -- numbers -- */

static void random_number(test_random *random, test_type *type)
{
    ndbuf_number number;
    do { /* long doubles, which no device knows, are not so interesting */
        number = (ndbuf_number)test_random_range(random, NDBUF_NUMBER_BOOL, NDBUF_NUMBER_LONG_DOUBLE);
    } while (number == NDBUF_NUMBER_LONG_DOUBLE && !one_in(random, 3));
    bool can_be_complex =
        number == NDBUF_NUMBER_FLOAT32 || number == NDBUF_NUMBER_FLOAT64 || number == NDBUF_NUMBER_LONG_DOUBLE;
    int32_t nbytes = test_number_nbytes(number);
    ndbuf_element *element = &type->element;
    element->number = (int32_t)number;
    element->is_complex = can_be_complex && one_in(random, 3);
    element->is_swapped = nbytes > 1 && number != NDBUF_NUMBER_LONG_DOUBLE && one_in(random, 3);
    element->nbytes = nbytes * (element->is_complex ? 2 : 1);
    type->kind = TEST_TYPE_NUMBER;
    type->nbytes = element->nbytes;
}

static void random_numbers(test_random *random, test_type *to, test_type *from)
{
    random_number(random, from);
    if (!one_in(random, 4)) {
        random_number(random, to);
        return;
    }
    to->kind = from->kind;
    to->element = from->element;
    to->nbytes = from->nbytes;
    if (from->element.nbytes > 1 && from->element.number != (int32_t)NDBUF_NUMBER_LONG_DOUBLE && !one_in(random, 4)) {
        to->element.is_swapped = !from->element.is_swapped;
    }
}

static void random_extents(test_random *random, test_type *to, test_type *from)
{
    to->ndim = (int32_t)test_random_range(random, 1, one_in(random, 3) ? TEST_TYPE_MAX_NDIM : 1);
    for (int32_t k = 0; k < to->ndim; k++) {
        to->extents[k] = test_random_range(random, 1, 4);
        from->extents[k] = to->extents[k];
    }
    from->ndim = to->ndim;
}

/* -- records -- */

/* Places for the fields of a record, in their order. */
static void random_offsets(test_random *random, test_type *record)
{
    bool aligned = one_in(random, 3);
    bool padded = one_in(random, 2);
    int64_t position = 0;
    for (int32_t i = 0; i < record->nfields; i++) {
        test_type *field = &record->fields[i];
        if (aligned) {
            int64_t unit = field->kind != TEST_TYPE_NUMBER ? 8 : field->element.nbytes < 8 ? field->element.nbytes : 8;
            position = (position + unit - 1) / unit * unit;
        } else if (padded && one_in(random, 2)) {
            position += test_random_range(random, 1, 5);
        }
        field->offset = position;
        position += test_type_nbytes(field);
    }
    record->nbytes = position + (padded && one_in(random, 2) ? test_random_range(random, 1, 7) : 0);
}

static void shuffle(test_random *random, test_type *fields, int32_t nfields)
{
    for (int32_t i = nfields - 1; i > 0; i--) {
        int32_t other = (int32_t)test_random_range(random, 0, i);
        test_type field = fields[i];
        fields[i] = fields[other];
        fields[other] = field;
    }
}

static test_type *new_fields(int32_t nfields)
{
    test_type *fields = calloc((size_t)nfields, sizeof(*fields));
    assert_non_null(fields);
    return fields;
}

static void random_fields(test_random *random, int32_t depth, bool is_named, test_type *to, test_type *from);

/* Anything that can be in a record. */
static void random_field(test_random *random, int32_t depth, bool is_named, test_type *to, test_type *from)
{
    int64_t choice = test_random_range(random, 1, 12);
    if (choice == 1 && depth < MAX_DEPTH) {
        random_fields(random, depth + 1, is_named, to, from);
    } else if (choice == 2) {
        to->kind = from->kind = TEST_TYPE_BYTES;
        to->code = from->code = is_named && one_in(random, 3) ? 'x' : one_in(random, 3) ? 'p' : 's';
        to->nbytes = from->nbytes = test_random_range(random, 1, 9);
    } else if (choice == 3) {
        to->kind = from->kind = TEST_TYPE_TEXT;
        to->is_swapped = one_in(random, 2);
        from->is_swapped = one_in(random, 2);
        to->nbytes = from->nbytes = 4 * test_random_range(random, 1, 3);
    } else {
        random_numbers(random, to, from);
    }
    if (one_in(random, 4) && to->code != 'x') {
        random_extents(random, to, from);
    }
}

static void random_fields(test_random *random, int32_t depth, bool is_named, test_type *to, test_type *from)
{
    to->kind = from->kind = TEST_TYPE_RECORD;
    to->is_named = from->is_named = is_named;
    to->has_braces = from->has_braces = true;
    from->nfields = (int32_t)test_random_range(random, 1, MAX_FIELDS);
    from->fields = new_fields(from->nfields);
    to->fields = new_fields(from->nfields);
    int32_t keep_at_least = (int32_t)test_random_range(random, 0, from->nfields - 1);
    for (int32_t i = 0; i < from->nfields; i++) {
        test_type *field = &to->fields[to->nfields];
        random_field(random, depth, is_named, field, &from->fields[i]);
        if (is_named) {
            from->fields[i].name[0] = (char)('a' + i);
            from->fields[i].name[1] = (char)(i % 2 == 0 ? '0' + depth : '\0');
            memcpy(field->name, from->fields[i].name, sizeof(field->name));
        }
        if (is_named && i != keep_at_least && one_in(random, 4)) {
            test_type_clear(field);
        } else {
            to->nfields++;
        }
    }
    if (is_named && one_in(random, 2)) {
        shuffle(random, to->fields, to->nfields);
    }
    random_offsets(random, to);
    random_offsets(random, from);
}

void test_random_types(test_random *random, test_type *out_to, test_type *out_from)
{
    memset(out_to, 0, sizeof(*out_to));
    memset(out_from, 0, sizeof(*out_from));
    if (!one_in(random, 3)) {
        random_numbers(random, out_to, out_from);
        if (one_in(random, 8)) {
            random_extents(random, out_to, out_from);
        }
        return;
    }
    random_fields(random, 0, !one_in(random, 4), out_to, out_from);
    out_to->has_braces = !one_in(random, 4);
    out_from->has_braces = !one_in(random, 4);
}

void test_random_item(test_random *random, const test_type *type, char *item)
{
    int64_t nitems = test_type_nitems(type);
    for (int64_t i = 0; i < nitems; i++) {
        char *at = item + i * type->nbytes;
        if (type->kind == TEST_TYPE_NUMBER) {
            test_random_element(random, &type->element, at);
        }
        for (int32_t k = 0; k < type->nfields; k++) {
            test_random_item(random, &type->fields[k], at + type->fields[k].offset);
        }
    }
}
