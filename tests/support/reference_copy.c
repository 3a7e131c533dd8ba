/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/reference_copy.h"

#include <stdio.h>
#include <string.h>

static bool one_in(test_random *random, int64_t n)
{
    return test_random_range(random, 1, n) == 1;
}

static int64_t round_up(int64_t value, int64_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

void test_layout_random_shape(test_random *random, uint32_t flags, test_layout *layout)
{
    memset(layout, 0, sizeof(*layout));
    int64_t items_left = (flags & TEST_LAYOUT_MANY_ITEMS) != 0 ? 6000 : 400;
    layout->itemsize =
        one_in(random, 2) ? (int64_t)1 << test_random_range(random, 0, 4) : test_random_range(random, 1, 24);
    layout->ndim = (int32_t)(one_in(random, 4) ? test_random_range(random, 0, TEST_LAYOUT_MAX_NDIM)
                                               : test_random_range(random, 1, 4));
    for (int32_t k = 0; k < layout->ndim; k++) {
        int64_t extent;
        if (one_in(random, 40)) {
            extent = 0;
        } else if (one_in(random, 6)) {
            extent = 1;
        } else {
            int64_t most = layout->ndim <= 2 ? 70 : 7;
            extent = test_random_range(random, 1, items_left < most ? items_left : most);
            items_left /= extent;
        }
        layout->shape[k] = extent;
    }
    /* The large axes are not always the first ones. */
    for (int32_t k = layout->ndim - 1; k > 0; k--) {
        int32_t other = (int32_t)test_random_range(random, 0, k);
        int64_t extent = layout->shape[k];
        layout->shape[k] = layout->shape[other];
        layout->shape[other] = extent;
    }
}

/* Strides for axes [begin, end) with `unit` bytes at each index, all multiples of `align`. */
static void group_strides(test_random *random, uint32_t flags, test_layout *layout, int32_t begin, int32_t end,
                          int64_t unit, int64_t align, int64_t *out_first, int64_t *out_nbytes)
{
    int32_t order[TEST_LAYOUT_MAX_NDIM];
    int32_t n = end - begin;
    int64_t kind = test_random_range(random, 0, 3); /* C, Fortran, two times permuted */
    for (int32_t i = 0; i < n; i++) {
        order[i] = kind == 1 ? begin + i : end - 1 - i; /* fastest first */
    }
    for (int32_t i = n - 1; kind >= 2 && i > 0; i--) {
        int32_t other = (int32_t)test_random_range(random, 0, i);
        int32_t axis = order[i];
        order[i] = order[other];
        order[other] = axis;
    }
    bool padded = one_in(random, 2);
    bool may_flip = one_in(random, 2);
    int64_t pitch = unit; /* of the next axis */
    if (one_in(random, 3)) {
        pitch += align * test_random_range(random, 1, 9); /* a field of a record */
    }
    int64_t first = 0;
    int64_t span = unit; /* bytes that the axes so far take */
    for (int32_t i = 0; i < n; i++) {
        int32_t axis = order[i];
        int64_t extent = layout->shape[axis];
        if (extent <= 1) { /* such a stride means nothing */
            layout->strides[axis] = one_in(random, 3) ? align * test_random_range(random, -1000000, 1000000) : pitch;
            continue;
        }
        int64_t stride = pitch;
        if ((flags & TEST_LAYOUT_OVERLAPS) != 0 && one_in(random, 4)) {
            stride = one_in(random, 2) ? 0 : align * test_random_range(random, 1, pitch / align); /* a window */
        }
        span += (extent - 1) * stride;
        pitch = round_up(pitch > span ? pitch : span, align);
        if (padded && one_in(random, 2)) {
            pitch += align * test_random_range(random, 1, 13);
        }
        if (may_flip && one_in(random, 2)) {
            first += (extent - 1) * stride;
            stride = -stride;
        }
        layout->strides[axis] = stride;
    }
    *out_first = first;
    *out_nbytes = span;
}

void test_layout_random_strides(test_random *random, uint32_t flags, test_layout *layout)
{
    layout->has_suboffsets = (flags & TEST_LAYOUT_INDIRECT) != 0 && layout->ndim > 0;
    layout->nlevels = 1;
    if (layout->has_suboffsets) {
        layout->nlevels = 2;
        layout->level_end[0] = (int32_t)test_random_range(random, 1, layout->ndim);
        if (layout->level_end[0] < layout->ndim && one_in(random, 3)) {
            layout->nlevels = 3;
            layout->level_end[1] = (int32_t)test_random_range(random, layout->level_end[0] + 1, layout->ndim);
        }
    }
    layout->level_end[layout->nlevels - 1] = layout->ndim;

    int64_t align = layout->has_suboffsets ? (int64_t)sizeof(void *) : 1;
    int64_t position =
        align * test_random_range(random, 0, 3) + (layout->has_suboffsets ? 0 : test_random_range(random, 0, 9));
    int64_t nblocks = 1;
    for (int32_t k = 0; k < layout->ndim; k++) {
        layout->suboffsets[k] = -1 - test_random_range(random, 0, 3);
    }
    for (int32_t level = 0, begin = 0; level < layout->nlevels; level++) {
        bool is_last = level == layout->nlevels - 1;
        int64_t unit = is_last ? layout->itemsize : (int64_t)sizeof(void *);
        int32_t end = layout->level_end[level];
        group_strides(random, flags, layout, begin, end, unit, is_last ? 1 : (int64_t)sizeof(void *),
                      &layout->first_in_block[level], &layout->block_nbytes[level]);
        layout->block_nbytes[level] = round_up(layout->block_nbytes[level], align);
        layout->level_start[level] = position;
        position += nblocks * layout->block_nbytes[level];
        for (int32_t k = begin; k < end; k++) {
            nblocks *= layout->shape[k];
        }
        if (level > 0) { /* a pointer leads to some byte at or before the first item */
            layout->suboffsets[begin - 1] = test_random_range(random, 0, layout->first_in_block[level]);
        }
        begin = end;
    }
    layout->offset = layout->level_start[0] + layout->first_in_block[0];
    layout->nbytes = position + (one_in(random, 2) ? test_random_range(random, 0, 9) : 0);
}

int64_t test_layout_nitems(const test_layout *layout)
{
    int64_t nitems = 1;
    for (int32_t k = 0; k < layout->ndim; k++) {
        nitems *= layout->shape[k];
    }
    return nitems;
}

static char *load_pointer(const char *at)
{
    char *pointer;
    memcpy(&pointer, at, sizeof(pointer));
    return pointer;
}

static void link_level(const test_layout *layout, char *buffer, int32_t level, int32_t begin, char *table,
                       int64_t *next_block)
{
    int32_t end = layout->level_end[level];
    int64_t index[TEST_LAYOUT_MAX_NDIM] = {0};
    for (;;) {
        char *slot = table;
        for (int32_t k = begin; k < end; k++) {
            slot += index[k] * layout->strides[k];
        }
        char *first = buffer + layout->level_start[level + 1] + next_block[level] * layout->block_nbytes[level + 1] +
                      layout->first_in_block[level + 1];
        char *pointer = first - layout->suboffsets[end - 1];
        memcpy(slot, &pointer, sizeof(pointer));
        next_block[level]++;
        if (level + 2 < layout->nlevels && level + 2 < TEST_LAYOUT_MAX_LEVELS) {
            link_level(layout, buffer, level + 1, end, first, next_block);
        }
        int32_t k = end - 1;
        while (k >= begin && ++index[k] == layout->shape[k]) {
            index[k--] = 0;
        }
        if (k < begin) {
            return;
        }
    }
}

void test_layout_link(const test_layout *layout, char *buffer)
{
    int64_t next_block[TEST_LAYOUT_MAX_LEVELS] = {0};
    if (layout->has_suboffsets && test_layout_nitems(layout) > 0) {
        link_level(layout, buffer, 0, 0, buffer + layout->offset, next_block);
    }
}

char *test_layout_item(const test_layout *layout, char *buffer, const int64_t *index)
{
    char *item = buffer + layout->offset;
    for (int32_t k = 0; k < layout->ndim; k++) {
        item += index[k] * layout->strides[k];
        if (layout->has_suboffsets && layout->suboffsets[k] >= 0) {
            item = load_pointer(item) + layout->suboffsets[k];
        }
    }
    return item;
}

bool test_layout_next(const test_layout *layout, int64_t *index)
{
    for (int32_t k = layout->ndim - 1; k >= 0; k--) {
        if (++index[k] < layout->shape[k]) {
            return true;
        }
        index[k] = 0;
    }
    return false;
}

void test_layout_pack(const test_layout *layout, char *buffer, char *out_packed)
{
    int64_t index[TEST_LAYOUT_MAX_NDIM] = {0};
    if (test_layout_nitems(layout) == 0) {
        return;
    }
    do {
        memcpy(out_packed, test_layout_item(layout, buffer, index), (size_t)layout->itemsize);
        out_packed += layout->itemsize;
    } while (test_layout_next(layout, index));
}

void test_layout_unpack(const test_layout *layout, char *buffer, const char *packed, char *out_buffer)
{
    int64_t index[TEST_LAYOUT_MAX_NDIM] = {0};
    if (test_layout_nitems(layout) == 0) {
        return;
    }
    do {
        memcpy(out_buffer + (test_layout_item(layout, buffer, index) - buffer), packed, (size_t)layout->itemsize);
        packed += layout->itemsize;
    } while (test_layout_next(layout, index));
}

void test_assert_bytes_equal(const char *what, const void *actual, const void *expected, size_t nbytes)
{
    if (nbytes == 0 || memcmp(actual, expected, nbytes) == 0) {
        return;
    }
    const unsigned char *a = actual;
    const unsigned char *e = expected;
    size_t first = 0;
    size_t ndifferent = 0;
    for (size_t i = nbytes; i-- > 0;) {
        if (a[i] != e[i]) {
            first = i;
            ndifferent++;
        }
    }
    fail_msg("%s: %zu of %zu bytes differ, the first at %zu: %02x instead of %02x", what, ndifferent, nbytes, first,
             a[first], e[first]);
}

static size_t print_list(const char *name, const int64_t *values, int32_t n, char *out_text, size_t size)
{
    size_t length = (size_t)snprintf(out_text, size, "%s (", name);
    for (int32_t k = 0; k < n && length < size; k++) {
        length += (size_t)snprintf(out_text + length, size - length, k > 0 ? ", %lld" : "%lld", (long long)values[k]);
    }
    if (length < size) {
        length += (size_t)snprintf(out_text + length, size - length, ") ");
    }
    return length < size ? length : size - 1;
}

void test_layout_print(const test_layout *layout, char *out_text, size_t size)
{
    size_t length = print_list("shape", layout->shape, layout->ndim, out_text, size);
    length += print_list("strides", layout->strides, layout->ndim, out_text + length, size - length);
    if (layout->has_suboffsets) {
        length += print_list("suboffsets", layout->suboffsets, layout->ndim, out_text + length, size - length);
    }
    snprintf(out_text + length, size - length, "itemsize %lld offset %lld of %lld", (long long)layout->itemsize,
             (long long)layout->offset, (long long)layout->nbytes);
}
