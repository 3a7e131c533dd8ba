/* SPDX-License-Identifier: Apache-2.0 */
#include <stdbool.h>

#include "ndbuf/view.h"

/* A member counted from the end where it is negative, and brought into lo .. hi. */
static int64_t resolve(int64_t member, int64_t extent, int64_t lo, int64_t hi)
{
    if (member < 0) {
        member += extent; /* of different signs: cannot overflow */
    }
    return member < lo ? lo : member > hi ? hi : member;
}

ndbuf_status ndbuf_slice_indices(const ndbuf_slice *slice, int64_t extent, int64_t *out_count, int64_t *out_first,
                                 int64_t *out_step, ndbuf_error *err)
{
    if (slice == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "slice is NULL");
    }
    if (extent < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "a slice of an extent of %lld", (long long)extent);
    }
    int64_t step = (slice->given & NDBUF_SLICE_STEP) != 0 ? slice->step : 1;
    if (step == 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the step of a slice is 0");
    }
    if (step < -INT64_MAX) {
        step = -INT64_MAX;
    }
    bool down = step < 0;
    int64_t lo = down ? -1 : 0;
    int64_t hi = down ? extent - 1 : extent;
    int64_t start = down ? hi : lo;
    int64_t stop = down ? lo : hi;
    if ((slice->given & NDBUF_SLICE_START) != 0) {
        start = resolve(slice->start, extent, lo, hi);
    }
    if ((slice->given & NDBUF_SLICE_STOP) != 0) {
        stop = resolve(slice->stop, extent, lo, hi);
    }
    int64_t distance = down ? start - stop : stop - start;
    int64_t count = distance > 0 ? (distance - 1) / (down ? -step : step) + 1 : 0;
    *out_count = count;
    *out_first = count > 0 ? start : 0;
    *out_step = step;
    return NDBUF_OK;
}

typedef struct slice_reader {
    const char *text;
    size_t length;
    size_t position;
} slice_reader;

static void skip_space(slice_reader *reader)
{
    while (reader->position < reader->length &&
           (reader->text[reader->position] == ' ' || reader->text[reader->position] == '\t')) {
        reader->position++;
    }
}

static bool read_char(slice_reader *reader, char c)
{
    if (reader->position < reader->length && reader->text[reader->position] == c) {
        reader->position++;
        return true;
    }
    return false;
}

/* Reads an integer, if there is one. Beyond 63 bits it becomes the last one on its side, which means the same in a
 * slice. */
static ndbuf_status read_member(slice_reader *reader, uint32_t bit, int64_t *out_value, uint32_t *given,
                                ndbuf_error *err)
{
    skip_space(reader);
    bool negative = read_char(reader, '-');
    bool is_signed = negative || read_char(reader, '+');
    size_t first = reader->position;
    int64_t value = 0;
    while (reader->position < reader->length && reader->text[reader->position] >= '0' &&
           reader->text[reader->position] <= '9') {
        int64_t digit = reader->text[reader->position] - '0';
        value = value > (INT64_MAX - digit) / 10 ? INT64_MAX : value * 10 + digit;
        reader->position++;
    }
    if (reader->position > first) {
        *out_value = negative ? -value : value;
        *given |= bit;
    } else if (is_signed) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "slice, position %zu: digits expected after the sign",
                          reader->position);
    }
    skip_space(reader);
    return NDBUF_OK;
}

ndbuf_status ndbuf_slice_parse(const char *text, size_t length, ndbuf_slice *out_slice, ndbuf_error *err)
{
    if (text == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the text of a slice is NULL");
    }
    slice_reader reader = {text, length, 0};
    ndbuf_slice slice = {0};
    int64_t *const members[3] = {&slice.start, &slice.stop, &slice.step};
    int ncolons = 0;
    for (;;) {
        ndbuf_status status = read_member(&reader, 1u << ncolons, members[ncolons], &slice.given, err);
        if (status != NDBUF_OK) {
            return status;
        }
        if (ncolons == 2 || !read_char(&reader, ':')) {
            break;
        }
        ncolons++;
    }
    if (reader.position < length || ncolons == 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "slice, position %zu: %s expected", reader.position,
                          ncolons == 0   ? "an integer or ':'"
                          : ncolons == 1 ? "an integer, ':' or the end"
                                         : "an integer or the end");
    }
    *out_slice = slice;
    return NDBUF_OK;
}
