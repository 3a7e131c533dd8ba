/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/format_core.h"

/* Parses arbitrary bytes as a format. What is accepted must lie within its item, be written and read back to an equal
 * format, and give parts that do so, too.
 *
 * Input: 2 bytes of item size (0: as computed), the text, and behind a zero byte a path to select. */

#define MAX_INPUT 70000
#define MAX_PATH_NBYTES 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

static void check(int holds)
{
    if (!holds) {
        abort();
    }
}

/* Whether an array of elements lies within [0, limit). */
static void check_extent(int64_t offset, int64_t size, int32_t ndim, const int64_t *extents, const int64_t *strides,
                         int64_t limit)
{
    int64_t end = offset;
    check(offset >= 0 && size >= 0);
    check(ndim >= 0 && ndim <= NDBUF_FORMAT_MAX_DIMS);
    for (int32_t k = 0; k < ndim; k++) {
        check(extents[k] > 0 && strides[k] >= size);
        int64_t span;
        check(!__builtin_mul_overflow(extents[k] - 1, strides[k], &span));
        check(!__builtin_add_overflow(end, span, &end));
    }
    check(!__builtin_add_overflow(end, size, &end));
    check(end <= limit);
}

static void check_format(const ndbuf_format *format)
{
    int64_t itemsize = ndbuf_format_itemsize(format);
    const char *text = ndbuf_format_text(format);
    check(strlen(text) <= NDBUF_FORMAT_MAX_TEXT);
    check(itemsize >= 0 && ndbuf_format_alignment(format) >= 1);

    int32_t nfields = ndbuf_format_nfields(format);
    int64_t end = 0;
    for (int32_t i = 0; i < nfields; i++) {
        ndbuf_field field;
        check(ndbuf_format_field(format, i, &field, NULL) == NDBUF_OK);
        check(field.offset >= end || field.ndim > 0);
        check(field.size > 0);
        check_extent(field.offset, field.size, field.ndim, field.extents, field.strides, itemsize);
        check(field.nnames >= 0 && field.nnames <= NDBUF_FORMAT_MAX_DEPTH + 1);
        for (int32_t k = 0; k < field.nnames; k++) {
            check(strlen(field.names[k]) > 0);
        }
        end = field.ndim == 0 ? field.offset + field.size : end;
    }

    ndbuf_format *again = NULL;
    check(ndbuf_format_parse(text, 0, &again, NULL) == NDBUF_OK);
    check(ndbuf_format_equal(format, again) == 1 && ndbuf_format_equal(again, format) == 1);
    check(strcmp(text, ndbuf_format_text(again)) == 0);
    ndbuf_format_release(again);
    check(ndbuf_format_parse(text, itemsize, &again, NULL) == NDBUF_OK);
    check(ndbuf_format_equal(format, again) == 1);
    ndbuf_format_release(again);
}

static int try_select(const ndbuf_format *format, const char *path)
{
    ndbuf__format_selection part;
    ndbuf_error err = {0};
    ndbuf_status status = ndbuf__format_select(format, path, &part, &err);
    if (status != NDBUF_OK) {
        check(status == NDBUF_ERR_INDEX && err.status == NDBUF_ERR_INDEX && err.message[0] != '\0');
        return 0;
    }
    check_extent(part.offset, ndbuf_format_itemsize(part.format), part.ndim, part.extents, part.strides,
                 ndbuf_format_itemsize(format));
    check_format(part.format);
    ndbuf_format_release(part.format);
    return 1;
}

/* Selects some of the leaves by their own paths. */
static void select_leaves(const ndbuf_format *format)
{
    int32_t nfields = ndbuf_format_nfields(format);
    int32_t step = nfields / 8 + 1;
    for (int32_t i = 0; i < nfields; i += step) {
        ndbuf_field field;
        char path[MAX_PATH_NBYTES];
        size_t nbytes = 0;
        check(ndbuf_format_field(format, i, &field, NULL) == NDBUF_OK);
        for (int32_t k = 0; k < field.nnames; k++) {
            size_t name_nbytes = strlen(field.names[k]);
            if (nbytes + name_nbytes + 2 > sizeof(path)) {
                return;
            }
            if (k > 0) {
                path[nbytes++] = '.';
            }
            memcpy(path + nbytes, field.names[k], name_nbytes);
            nbytes += name_nbytes;
        }
        path[nbytes] = '\0';
        try_select(format, path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    if (nbytes < 2 || nbytes > MAX_INPUT) {
        return 0;
    }
    int64_t itemsize = data[0] + 256 * (int64_t)data[1];
    nbytes -= 2;
    char *text = malloc(nbytes + 2);
    check(text != NULL);
    memcpy(text, data + 2, nbytes);
    text[nbytes] = '\0';
    text[nbytes + 1] = '\0';
    const char *path = text + strlen(text) + 1;

    ndbuf_format *format = NULL;
    ndbuf_error err = {0};
    ndbuf_status status = ndbuf_format_parse(text, itemsize, &format, &err);
    if (status != NDBUF_OK) {
        check(format == NULL && err.status == (int32_t)status && err.message[0] != '\0');
        check(status == NDBUF_ERR_FORMAT || status == NDBUF_ERR_OVERFLOW);
    } else {
        check(itemsize == 0 || ndbuf_format_itemsize(format) == itemsize);
        check_format(format);
        select_leaves(format);
        try_select(format, path);
        ndbuf_format_release(format);
    }
    free(text);
    return 0;
}
