/* SPDX-License-Identifier: Apache-2.0 */
#include "view_ops.h"

#include <string.h>

typedef enum item_kind { ITEM_SLICE, ITEM_INDEX, ITEM_ELLIPSIS, ITEM_NEWAXIS } item_kind;

/* One item between the commas of --slice. */
typedef struct slice_item {
    item_kind kind;
    int64_t index;
    ndbuf_slice slice;
} slice_item;

static int is_text(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(text, word, length) == 0;
}

/* An integer that fills all of the text; returns whether it is one. */
static int read_integer(const char *text, size_t length, int64_t *out_value)
{
    int negative = length > 0 && text[0] == '-';
    size_t at = negative || (length > 0 && text[0] == '+') ? 1 : 0;
    int64_t value = 0;
    if (at == length) {
        return 0;
    }
    for (; at < length; at++) {
        if (text[at] < '0' || text[at] > '9' || value > (INT64_MAX - 9) / 10) {
            return 0;
        }
        value = 10 * value + (text[at] - '0');
    }
    *out_value = negative ? -value : value;
    return 1;
}

/* The text up to the next comma without the blanks around it; *text moves behind the comma, or to NULL at the end. */
static const char *next_item(const char **text, size_t *out_length)
{
    const char *start = *text;
    const char *comma = strchr(start, ',');
    const char *end = comma != NULL ? comma : start + strlen(start);
    *text = comma != NULL ? comma + 1 : NULL;
    while (start < end && *start == ' ') {
        start++;
    }
    while (end > start && end[-1] == ' ') {
        end--;
    }
    *out_length = (size_t)(end - start);
    return start;
}

static ndbuf_status read_item(const char *text, size_t length, slice_item *out_item, ndbuf_error *err)
{
    memset(out_item, 0, sizeof(*out_item));
    if (is_text(text, length, "...")) {
        out_item->kind = ITEM_ELLIPSIS;
    } else if (is_text(text, length, "None") || is_text(text, length, "newaxis")) {
        out_item->kind = ITEM_NEWAXIS;
    } else if (memchr(text, ':', length) != NULL) {
        out_item->kind = ITEM_SLICE;
        return ndbuf_slice_parse(text, length, &out_item->slice, err);
    } else if (read_integer(text, length, &out_item->index)) {
        out_item->kind = ITEM_INDEX;
    } else {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "'%.*s' is neither an index, a slice, '...' nor None",
                          length > 64 ? 64 : (int)length, text);
    }
    return NDBUF_OK;
}

/* Counts the axes that --slice takes; its syntax is checked on the way. */
static ndbuf_status count_axes(const char *text, int32_t *out_naxes, ndbuf_error *err)
{
    int32_t naxes = 0;
    int nellipses = 0;
    const char *rest = text;
    while (rest != NULL) {
        size_t length = 0;
        const char *start = next_item(&rest, &length);
        if (rest == NULL && length == 0 && start != text) {
            break; /* Python allows a comma at the end */
        }
        slice_item item;
        ndbuf_status status = read_item(start, length, &item, err);
        if (status != NDBUF_OK) {
            return status;
        }
        naxes += item.kind == ITEM_INDEX || item.kind == ITEM_SLICE;
        nellipses += item.kind == ITEM_ELLIPSIS;
    }
    if (nellipses > 1) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "'...' occurs %d times", nellipses);
    }
    *out_naxes = naxes;
    return NDBUF_OK;
}

static ndbuf_status apply_slice(const char *text, ndbuf_view *view, ndbuf_error *err)
{
    int32_t naxes = 0;
    ndbuf_status status = count_axes(text, &naxes, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (naxes > view->ndim) {
        return ndbuf_fail(err, NDBUF_ERR_INDEX, "%d indices for %d axes", naxes, view->ndim);
    }
    int32_t skipped = view->ndim - naxes;
    int32_t axis = 0;
    const char *rest = text;
    while (rest != NULL && status == NDBUF_OK) {
        size_t length = 0;
        const char *start = next_item(&rest, &length);
        if (length == 0) {
            break;
        }
        slice_item item;
        status = read_item(start, length, &item, err);
        if (status != NDBUF_OK) {
            return status;
        }
        if (item.kind == ITEM_ELLIPSIS) {
            axis += skipped;
        } else if (item.kind == ITEM_INDEX) {
            status = ndbuf_view_index(view, axis, item.index, view, err);
        } else if (item.kind == ITEM_NEWAXIS) {
            status = ndbuf_view_newaxis(view, axis++, view, err);
        } else {
            status = ndbuf_view_slice(view, axis++, &item.slice, view, err);
        }
    }
    return status;
}

/* The list of --permute; at most NDBUF_MAX_NDIM axes. */
static ndbuf_status read_axes(const char *text, int32_t *axes, int32_t *out_count, ndbuf_error *err)
{
    int32_t count = 0;
    const char *rest = text;
    while (rest != NULL) {
        size_t length = 0;
        int64_t axis = 0;
        const char *start = next_item(&rest, &length);
        if (!read_integer(start, length, &axis) || axis < 0 || axis >= NDBUF_MAX_NDIM) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "'%.*s' is not an axis", length > 64 ? 64 : (int)length, start);
        }
        if (count == NDBUF_MAX_NDIM) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "more than %d axes", NDBUF_MAX_NDIM);
        }
        axes[count++] = (int32_t)axis;
    }
    *out_count = count;
    return NDBUF_OK;
}

static ndbuf_status apply_permute(const char *text, ndbuf_view *view, ndbuf_error *err)
{
    int32_t axes[NDBUF_MAX_NDIM];
    int32_t count = 0;
    ndbuf_status status = read_axes(text, axes, &count, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (count != view->ndim) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%d axes listed, the view has %d", count, view->ndim);
    }
    return ndbuf_view_permute(view, axes, view, err);
}

static ndbuf_status apply_field(const char *path, ndbuf_view *view, const npy_dtype **dtype, ndbuf_error *err)
{
    const npy_dtype *type = npy_dtype_find(*dtype, path);
    ndbuf_status status = ndbuf_view_field(view, path, view, err);
    if (status != NDBUF_OK) {
        return status;
    }
    if (type == NULL || type->itemsize != view->itemsize) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the descr has no such field of %lld bytes",
                          (long long)view->itemsize);
    }
    *dtype = type;
    return NDBUF_OK;
}

ndbuf_status view_ops_add(view_ops *ops, int option, const char *text, ndbuf_error *err)
{
    int32_t axes[NDBUF_MAX_NDIM];
    int32_t count = 0;
    ndbuf_status status = NDBUF_OK;
    if (ops->count == (int)(sizeof(ops->list) / sizeof(ops->list[0]))) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "more than %d options that change the view", ops->count);
    }
    if (option == VIEW_OPS_SLICE) {
        status = count_axes(text, &count, err);
    } else if (option == VIEW_OPS_PERMUTE) {
        status = read_axes(text, axes, &count, err);
    }
    if (status == NDBUF_OK) {
        ops->list[ops->count].option = option;
        ops->list[ops->count++].text = text;
    }
    return status;
}

ndbuf_status view_ops_apply(const view_ops *ops, ndbuf_view *view, const npy_dtype **dtype, ndbuf_error *err)
{
    static const args_option names[] = {VIEW_OPS_OPTIONS};
    for (int k = 0; k < ops->count; k++) {
        const char *text = ops->list[k].text;
        ndbuf_error cause = {0};
        ndbuf_status status = NDBUF_OK;
        switch (ops->list[k].option) {
        case VIEW_OPS_SLICE:
            status = apply_slice(text, view, &cause);
            break;
        case VIEW_OPS_TRANSPOSE:
            status = ndbuf_view_transpose(view, view, &cause);
            break;
        case VIEW_OPS_PERMUTE:
            status = apply_permute(text, view, &cause);
            break;
        default:
            status = apply_field(text, view, dtype, &cause);
            break;
        }
        if (status != NDBUF_OK) {
            return ndbuf_fail_native(err, status, cause.native_code, "%s%s%.64s%s: %s", names[ops->list[k].option].name,
                                     text != NULL ? " '" : "", text != NULL ? text : "", text != NULL ? "'" : "",
                                     cause.message);
        }
    }
    return NDBUF_OK;
}
