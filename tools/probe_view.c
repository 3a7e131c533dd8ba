/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <stdio.h>
#include <string.h>

/* A part of an operation: "1" in "index:0:1". */
typedef struct view_word {
    const char *text;
    size_t length;
} view_word;

enum { MAX_WORDS = 5 };

typedef struct view_op {
    int32_t nwords;
    view_word words[MAX_WORDS];
} view_op;

/* Splits the operation at `text`, which ends at ';' or NUL. Returns where the next one begins, or NULL. */
static const char *next_op(const char *text, view_op *out_op)
{
    size_t length = strcspn(text, ";");
    const char *end = text + length;
    const char *next = *end == ';' ? end + 1 : NULL;
    out_op->nwords = 0;
    for (const char *word = text; word != NULL;) {
        const char *colon = memchr(word, ':', (size_t)(end - word));
        if (out_op->nwords < MAX_WORDS) {
            out_op->words[out_op->nwords] = (view_word){word, (size_t)((colon != NULL ? colon : end) - word)};
        }
        out_op->nwords++;
        word = colon != NULL ? colon + 1 : NULL;
    }
    return next;
}

static bool op_is(const view_op *op, const char *name, int32_t nwords)
{
    return op->nwords == nwords && op->words[0].length == strlen(name) &&
           memcmp(op->words[0].text, name, op->words[0].length) == 0;
}

static ndbuf_status word_int(const view_op *op, int32_t index, int64_t *out_value, ndbuf_error *err)
{
    const view_word *word = &op->words[index];
    if (!probe_read_int(word->text, word->length, out_value)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "'%.*s' is not an integer of 64 bits",
                          word->length < 40 ? (int)word->length : 40, word->text);
    }
    return NDBUF_OK;
}

/* An axis: what does not fit an int32_t is no axis of any view. */
static ndbuf_status word_axis(const view_op *op, int32_t index, int32_t *out_axis, ndbuf_error *err)
{
    int64_t value = 0;
    ndbuf_status status = word_int(op, index, &value, err);
    if (status == NDBUF_OK && (value < 0 || value > INT32_MAX)) {
        status = ndbuf_fail(err, NDBUF_ERR_INDEX, "no axis %lld", (long long)value);
    }
    if (status == NDBUF_OK) {
        *out_axis = (int32_t)value;
    }
    return status;
}

static ndbuf_status word_list(probe_request *request, const view_op *op, int32_t index, probe_list *out_list,
                              ndbuf_error *err)
{
    ndbuf_status status = probe_read_list(request, op->words[index].text, op->words[index].length, out_list, err);
    if (status == NDBUF_OK && out_list->count > INT32_MAX) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%lld axes", (long long)out_list->count);
    }
    return status;
}

/* Adds a member to a slice, unless it is left out. */
static ndbuf_status slice_member(ndbuf_slice *slice, uint32_t bit, const char *text, size_t length, ndbuf_error *err)
{
    int64_t *member = bit == NDBUF_SLICE_START ? &slice->start : bit == NDBUF_SLICE_STOP ? &slice->stop : &slice->step;
    if (length == 1 && text[0] == '_') {
        return NDBUF_OK;
    }
    if (!probe_read_int(text, length, member)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "a member of the slice is not an integer of 64 bits");
    }
    slice->given |= bit;
    return NDBUF_OK;
}

static ndbuf_status apply_slice(ndbuf_view *view, const view_op *op, ndbuf_error *err)
{
    int32_t axis = 0;
    ndbuf_slice slice = {0};
    ndbuf_status status = word_axis(op, 1, &axis, err);
    for (int32_t i = 0; i < 3 && status == NDBUF_OK; i++) {
        static const uint32_t bits[] = {NDBUF_SLICE_START, NDBUF_SLICE_STOP, NDBUF_SLICE_STEP};
        status = slice_member(&slice, bits[i], op->words[2 + i].text, op->words[2 + i].length, err);
    }
    return status == NDBUF_OK ? ndbuf_view_slice(view, axis, &slice, view, err) : status;
}

static ndbuf_status apply_permute(probe_request *request, ndbuf_view *view, const view_op *op, ndbuf_error *err)
{
    probe_list list = {0};
    int32_t axes[NDBUF_MAX_NDIM];
    ndbuf_status status = word_list(request, op, 1, &list, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (list.count != view->ndim) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%lld axes for a view of %d", (long long)list.count, (int)view->ndim);
    }
    for (int64_t i = 0; i < list.count; i++) {
        axes[i] = list.values[i] >= 0 && list.values[i] < view->ndim ? (int32_t)list.values[i] : -1;
    }
    return ndbuf_view_permute(view, axes, view, err);
}

static ndbuf_status apply_reshape(probe_request *request, ndbuf_view *view, const view_op *op, ndbuf_error *err)
{
    probe_list shape = {0};
    if (op->words[2].length != 1) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the order of a reshape is C or F");
    }
    ndbuf_status status = word_list(request, op, 1, &shape, err);
    return status == NDBUF_OK
               ? ndbuf_view_reshape(view, (int32_t)shape.count, shape.values, op->words[2].text[0], view, err)
               : status;
}

/* Replaces `view` by the result of one operation. */
static ndbuf_status apply(probe_request *request, ndbuf_view *view, const view_op *op, ndbuf_error *err)
{
    int32_t axis = 0;
    int64_t index = 0;
    probe_list shape = {0};
    ndbuf_status status = NDBUF_OK;
    if (op_is(op, "slice", 5)) {
        return apply_slice(view, op, err);
    }
    if (op_is(op, "perm", 2)) {
        return apply_permute(request, view, op, err);
    }
    if (op_is(op, "reshape", 3)) {
        return apply_reshape(request, view, op, err);
    }
    if (op_is(op, "bcast", 2)) {
        status = word_list(request, op, 1, &shape, err);
        return status == NDBUF_OK ? ndbuf_view_broadcast(view, (int32_t)shape.count, shape.values, view, err) : status;
    }
    if (op_is(op, "index", 3)) {
        status = word_int(op, 2, &index, err);
        status = status == NDBUF_OK ? word_axis(op, 1, &axis, err) : status;
        return status == NDBUF_OK ? ndbuf_view_index(view, axis, index, view, err) : status;
    }
    if (op_is(op, "newaxis", 2)) {
        status = word_axis(op, 1, &axis, err);
        return status == NDBUF_OK ? ndbuf_view_newaxis(view, axis, view, err) : status;
    }
    if (op_is(op, "squeeze", 2)) {
        status = word_axis(op, 1, &axis, err);
        return status == NDBUF_OK ? ndbuf_view_squeeze(view, axis, view, err) : status;
    }
    return ndbuf_fail(err, NDBUF_ERR_INVALID, "unknown operation '%.*s', or wrong number of members",
                      op->words[0].length < 40 ? (int)op->words[0].length : 40, op->words[0].text);
}

/* The view that the keys PREFIXitem, PREFIXshape, PREFIXstrides and byte_offset describe. */
static ndbuf_status make_view(probe_request *request, const char *prefix, ndbuf_storage *storage, int64_t byte_offset,
                              ndbuf_view *out_view, ndbuf_error *err)
{
    char key[16];
    int64_t itemsize = 0;
    probe_list shape = {0};
    probe_list strides = {0};
    ndbuf_format *format = NULL;
    snprintf(key, sizeof(key), "%sitem", prefix);
    ndbuf_status status = probe_get_int(request, key, &itemsize, err);
    if (status == NDBUF_OK) {
        snprintf(key, sizeof(key), "%sshape", prefix);
        status = probe_get_list(request, key, &shape, err);
    }
    if (status == NDBUF_OK) {
        snprintf(key, sizeof(key), "%sstrides", prefix);
        status = probe_get_list(request, key, &strides, err);
    }
    if (status == NDBUF_OK && (shape.count != strides.count || shape.count > INT32_MAX)) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%lld extents, %lld strides", (long long)shape.count,
                            (long long)strides.count);
    }
    if (status == NDBUF_OK) {
        status = probe_opaque_format(itemsize, &format, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_view_spec spec = {.format = format,
                                .byte_offset = byte_offset,
                                .ndim = (int32_t)shape.count,
                                .shape = shape.values,
                                .strides = strides.values};
        status = ndbuf_view_init(out_view, storage, &spec, err);
    }
    ndbuf_format_release(format);
    return status;
}

/* The storage of `bytes`, which no command of this file touches. */
static ndbuf_status make_storage(const probe_request *request, ndbuf_storage **out_storage, ndbuf_error *err)
{
    int64_t nbytes = 0;
    ndbuf_status status = probe_get_int(request, "bytes", &nbytes, err);
    return status == NDBUF_OK ? probe_imaginary_storage(nbytes, out_storage, err) : status;
}

ndbuf_status probe_view(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    int64_t offset = 0;
    const char *ops = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_view view = {0};
    ndbuf_status status = probe_get_int(request, "offset", &offset, err);
    if (status == NDBUF_OK) {
        status = probe_get_text(request, "ops", &ops, err);
    }
    if (status == NDBUF_OK) {
        status = make_storage(request, &storage, err);
    }
    if (status == NDBUF_OK) {
        status = make_view(request, "", storage, offset, &view, err);
    }
    const char *next = status == NDBUF_OK && strcmp(ops, "-") != 0 ? ops : NULL;
    while (next != NULL && status == NDBUF_OK) {
        view_op op;
        next = next_op(next, &op);
        status = apply(request, &view, &op, err);
    }
    if (status == NDBUF_OK) {
        static const int64_t none[1] = {0};
        int64_t lo;
        int64_t hi;
        ndbuf_view_byte_range(&view, &lo, &hi);
        probe_put_int(answer, "ndim", view.ndim);
        probe_put_list(answer, "shape", view.ndim, view.ndim > 0 ? view.shape : none);
        probe_put_list(answer, "strides", view.ndim, view.ndim > 0 ? view.strides : none);
        probe_put_int(answer, "offset", view.byte_offset);
        probe_put_int(answer, "c", ndbuf_view_is_contiguous(&view, 'C'));
        probe_put_int(answer, "f", ndbuf_view_is_contiguous(&view, 'F'));
        probe_put_int(answer, "nbytes", view.nbytes);
        probe_put_int(answer, "lo", lo);
        probe_put_int(answer, "hi", hi);
    }
    ndbuf_view_release(&view);
    ndbuf_storage_release(storage);
    return status;
}

ndbuf_status probe_slice(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    static const struct {
        const char *key;
        uint32_t bit;
    } members[] = {{"start", NDBUF_SLICE_START}, {"stop", NDBUF_SLICE_STOP}, {"step", NDBUF_SLICE_STEP}};
    ndbuf_slice slice = {0};
    int64_t extent = 0;
    int64_t count = 0;
    int64_t first = 0;
    int64_t step = 0;
    ndbuf_status status = probe_get_int(request, "len", &extent, err);
    for (size_t i = 0; i < 3 && status == NDBUF_OK; i++) {
        const char *text = NULL;
        status = probe_get_text(request, members[i].key, &text, err);
        if (status == NDBUF_OK) {
            status = slice_member(&slice, members[i].bit, text, strlen(text), err);
        }
    }
    if (status == NDBUF_OK) {
        status = ndbuf_slice_indices(&slice, extent, &count, &first, &step, err);
    }
    if (status == NDBUF_OK) {
        probe_put_int(answer, "count", count);
        if (count > 0) {
            probe_put_int(answer, "first", first);
        }
        probe_put_int(answer, "step", step);
    }
    return status;
}

/* An answer that could not be decided is left out. */
static void put_answer(probe_answer *answer, const char *key, ndbuf_answer value)
{
    if (value != NDBUF_UNDECIDED) {
        probe_put_int(answer, key, value == NDBUF_YES);
    }
}

ndbuf_status probe_overlap(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    int64_t offsets[2] = {0, 0};
    ndbuf_storage *storage = NULL;
    ndbuf_view a = {0};
    ndbuf_view b = {0};
    ndbuf_status status = make_storage(request, &storage, err);
    if (status == NDBUF_OK) {
        status = probe_get_int(request, "a_offset", &offsets[0], err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_int(request, "b_offset", &offsets[1], err);
    }
    if (status == NDBUF_OK) {
        status = make_view(request, "a_", storage, offsets[0], &a, err);
    }
    if (status == NDBUF_OK) {
        status = make_view(request, "b_", storage, offsets[1], &b, err);
    }
    if (status == NDBUF_OK) {
        int64_t a_lo;
        int64_t a_hi;
        int64_t b_lo;
        int64_t b_hi;
        ndbuf_view_byte_range(&a, &a_lo, &a_hi);
        ndbuf_view_byte_range(&b, &b_lo, &b_hi);
        bool ranges_meet = a_lo < a_hi && b_lo < b_hi && a_lo < b_hi && b_lo < a_hi;
        put_answer(answer, "exact", ndbuf_view_overlap(&a, &b));
        probe_put_int(answer, "bounds", ranges_meet);
    }
    ndbuf_view_release(&b);
    ndbuf_view_release(&a);
    ndbuf_storage_release(storage);
    return status;
}

ndbuf_status probe_self_overlap(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    /* The request names no buffer: a view in the middle of the largest one has room on both sides. */
    ndbuf_storage *storage = NULL;
    ndbuf_view view = {0};
    ndbuf_status status = probe_imaginary_storage(INT64_MAX, &storage, err);
    if (status == NDBUF_OK) {
        status = make_view(request, "", storage, INT64_MAX / 2, &view, err);
    }
    if (status == NDBUF_OK) {
        put_answer(answer, "overlap", ndbuf_view_self_overlap(&view));
    }
    ndbuf_view_release(&view);
    ndbuf_storage_release(storage);
    return status;
}
