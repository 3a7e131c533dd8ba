/* SPDX-License-Identifier: Apache-2.0 */
#include "core/cast_core.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/format_tree.h"

/* Of a pair that no rule allows. */
#define NO_CASTING (NDBUF_CASTING_UNSAFE + 1)

const char *ndbuf_casting_name(ndbuf_casting casting)
{
    static const char *const names[] = {"no", "equiv", "safe", "same_kind", "unsafe"};
    int32_t number = (int32_t)casting;
    return number >= 0 && number < (int32_t)(sizeof(names) / sizeof(names[0])) ? names[number] : "?";
}

/* The place of a kind in the order in which NumPy lets kinds go up: 0 for what is no number. */
static int32_t number_rank(int32_t kind)
{
    switch (kind) {
    case NDBUF_KIND_BOOL:
        return 1;
    case NDBUF_KIND_UINT:
        return 2;
    case NDBUF_KIND_INT:
        return 3;
    case NDBUF_KIND_FLOAT:
    case NDBUF_KIND_BFLOAT:
        return 4;
    case NDBUF_KIND_COMPLEX:
        return 5;
    default:
        return 0;
    }
}

/* The size of the integers that NumPy calls safe in a float; for 8 bytes that is its word, not the truth. */
static int64_t safe_int_size(int32_t float_kind, int64_t float_size)
{
    if (float_kind == NDBUF_KIND_BFLOAT) {
        return 1;
    }
    return float_size == 2 ? 1 : float_size == 4 ? 2 : 8;
}

/* Whether each value of one number is one of the other, which is of another kind or size. */
static bool is_safe(const ndbuf_field *dst, const ndbuf_field *src)
{
    bool to_complex = dst->kind == NDBUF_KIND_COMPLEX;
    int32_t dst_kind = to_complex ? NDBUF_KIND_FLOAT : dst->kind;
    int64_t dst_size = to_complex ? dst->size / 2 : dst->size;
    bool to_float = dst_kind == NDBUF_KIND_FLOAT || dst_kind == NDBUF_KIND_BFLOAT;
    switch (src->kind) {
    case NDBUF_KIND_BOOL:
        return true;
    case NDBUF_KIND_UINT:
        return to_float ? src->size <= safe_int_size(dst_kind, dst_size)
                        : (dst_kind == NDBUF_KIND_UINT && src->size <= dst_size) ||
                              (dst_kind == NDBUF_KIND_INT && src->size < dst_size);
    case NDBUF_KIND_INT:
        return to_float ? src->size <= safe_int_size(dst_kind, dst_size)
                        : dst_kind == NDBUF_KIND_INT && src->size <= dst_size;
    case NDBUF_KIND_BFLOAT:
        return dst_kind == NDBUF_KIND_FLOAT && dst_size >= 4;
    case NDBUF_KIND_FLOAT:
        return dst_kind == NDBUF_KIND_FLOAT && src->size <= dst_size;
    default: /* complex */
        return to_complex && src->size <= dst->size;
    }
}

/* The narrowest rule that lets one element become the other, or NO_CASTING. */
static int32_t needed_casting(const ndbuf_field *dst, const ndbuf_field *src)
{
    bool same_order = dst->byte_order == src->byte_order;
    bool is_text = dst->kind == NDBUF_KIND_TEXT;
    int32_t dst_rank = number_rank(dst->kind);
    int32_t src_rank = number_rank(src->kind);
    if (dst->kind == src->kind && dst->size == src->size) {
        bool same_units = !is_text || dst->code[0] == src->code[0];
        bool can_swap = is_text || dst_rank > 0;
        if (same_units && (same_order || can_swap)) {
            return same_order ? NDBUF_CASTING_NO : NDBUF_CASTING_EQUIV;
        }
    }
    if (dst_rank == 0 || src_rank == 0) {
        return NO_CASTING;
    }
    if (is_safe(dst, src)) {
        return NDBUF_CASTING_SAFE;
    }
    return src_rank <= dst_rank ? NDBUF_CASTING_SAME_KIND : NDBUF_CASTING_UNSAFE;
}

bool ndbuf__cast_allows(const ndbuf_field *dst, const ndbuf_field *src, ndbuf_casting casting)
{
    return needed_casting(dst, src) <= (int32_t)casting; /* NO_CASTING is more than any rule */
}

static bool same_dims(const ndbuf_field *a, const ndbuf_field *b)
{
    return a->ndim == b->ndim &&
           (a->ndim == 0 || memcmp(a->extents, b->extents, (size_t)a->ndim * sizeof(int64_t)) == 0);
}

/* A text for messages, cut where it is long. */
typedef struct shown_text {
    char text[52];
} shown_text;

static shown_text show(const char *text)
{
    shown_text shown;
    int length = snprintf(shown.text, sizeof(shown.text), "%s", text);
    if (length >= (int)sizeof(shown.text)) {
        memcpy(shown.text + sizeof(shown.text) - 4, "...", 4);
    }
    return shown;
}

/* A field by its path, else by its position. */
static shown_text show_path(const ndbuf_format *format, int32_t index)
{
    const ndbuf_field *field = &format->fields[index];
    char path[sizeof(shown_text) + 1] = "";
    size_t length = 0;
    for (int32_t k = 0; k < field->nnames && length < sizeof(path) - 1; k++) {
        int added = snprintf(path + length, sizeof(path) - length, "%s%s", k > 0 ? "." : "", field->names[k]);
        length += added > 0 ? (size_t)added : 0;
    }
    if (field->nnames == 0) {
        snprintf(path, sizeof(path), "%d", (int)index);
    }
    return show(path);
}

/* An element of a field: ">d", "<5s". */
static shown_text show_element(const ndbuf_field *field)
{
    shown_text shown;
    char order[2] = {field->byte_order == '|' ? '\0' : field->byte_order, '\0'};
    int64_t unit = strcmp(field->code, "w") == 0 ? 4 : strcmp(field->code, "u") == 0 ? 2 : 1;
    bool counts_units = number_rank(field->kind) == 0 && field->kind != NDBUF_KIND_OBJECT &&
                        field->kind != NDBUF_KIND_POINTER && field->size != unit;
    if (field->kind == NDBUF_KIND_BFLOAT) {
        snprintf(shown.text, sizeof(shown.text), "%sbfloat16", order);
    } else if (counts_units) {
        snprintf(shown.text, sizeof(shown.text), "%s%lld%s", order, (long long)(field->size / unit), field->code);
    } else {
        snprintf(shown.text, sizeof(shown.text), "%s%s", order, field->code);
    }
    return shown;
}

/* `index`: of the field of the destination that is refused; none: what is said is of the whole. */
static ndbuf_status refuse(const ndbuf_format *dst, const ndbuf_format *src, ndbuf_casting casting, int32_t index,
                           const char *why, ndbuf_error *err)
{
    bool has_field = index >= 0 && index < dst->nfields;
    return ndbuf_fail(err, NDBUF_ERR_CAST, "no cast from '%s' to '%s' by rule '%s': %s%s%s%s", show(src->text).text,
                      show(dst->text).text, ndbuf_casting_name(casting), has_field ? "field " : "",
                      has_field ? show_path(dst, index).text : "", has_field ? ": " : "", why);
}

/* NDBUF_ERR_CAST if a pair of leaves needs more than the rule allows. */
static ndbuf_status check_leaves(const ndbuf_format *dst, const ndbuf_format *src, ndbuf_casting casting,
                                 const ndbuf__field_match *match, ndbuf_error *err)
{
    char why[160];
    if (match->unpaired >= 0) {
        return refuse(dst, src, casting, match->unpaired, match->why, err);
    }
    for (int32_t i = 0; i < dst->nfields; i++) {
        const ndbuf_field *to = &dst->fields[i];
        const ndbuf_field *from = &src->fields[ndbuf__field_match_src(match, i)];
        int32_t needed = needed_casting(to, from);
        if (needed == NO_CASTING) {
            snprintf(why, sizeof(why), "nothing makes %s of %s", show_element(to).text, show_element(from).text);
            return refuse(dst, src, casting, i, why, err);
        }
        if (needed > (int32_t)casting) {
            snprintf(why, sizeof(why), "%s to %s takes '%s'", show_element(from).text, show_element(to).text,
                     ndbuf_casting_name((ndbuf_casting)needed));
            return refuse(dst, src, casting, i, why, err);
        }
        if (!same_dims(to, from)) {
            return refuse(dst, src, casting, i, "its dimensions differ", err);
        }
    }
    if (casting == NDBUF_CASTING_NO && !ndbuf_format_equal(dst, src)) {
        return refuse(dst, src, casting, -1, "the items are laid out differently", err);
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf__cast_match(const ndbuf_format *dst, const ndbuf_format *src, ndbuf_casting casting,
                               ndbuf__field_match *out_match, ndbuf_error *err)
{
    if ((int32_t)casting < NDBUF_CASTING_NO || (int32_t)casting > NDBUF_CASTING_UNSAFE) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%d is not a casting rule", (int)casting);
    }
    ndbuf__field_match match;
    ndbuf_status status = ndbuf__field_match_init(&match, dst, src, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = check_leaves(dst, src, casting, &match, err);
    if (status != NDBUF_OK) {
        ndbuf__field_match_clear(&match);
        return status;
    }
    *out_match = match;
    return NDBUF_OK;
}

ndbuf_status ndbuf_format_can_cast(const ndbuf_format *dst, const ndbuf_format *src, ndbuf_casting casting,
                                   ndbuf_error *err)
{
    ndbuf__field_match match;
    ndbuf_status status = ndbuf__cast_match(dst, src, casting, &match, err);
    if (status == NDBUF_OK) {
        ndbuf__field_match_clear(&match);
    }
    return status;
}
