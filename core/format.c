/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/format.h"

#include <string.h>

#include "core/format_core.h"
#include "core/format_tree.h"
#include "core/host_alloc.h"

/* Texts of no more bytes are parsed without allocating, but for the format itself. */
#define SMALL_TEXT 48

/* The interned format of a text like "d" or "<Zf", or NULL. */
static ndbuf_format *find_plain(const char *text, int64_t itemsize)
{
    char mode = '@';
    if (ndbuf__is_byte_order(text[0])) {
        mode = text[0] == '!' ? '>' : text[0];
        text++;
    }
    ndbuf__code code;
    int32_t nbytes;
    if (ndbuf__code_find(text, mode, &code, &nbytes) != NDBUF__CODE_FOUND || code >= NDBUF__CODE_NPLAIN ||
        text[nbytes] != '\0' || (itemsize != 0 && itemsize != ndbuf__code_infos[code].size)) {
        return NULL;
    }
    return ndbuf__plain_format(code, ndbuf__code_byte_order(code, mode), mode == '@');
}

ndbuf_status ndbuf_format_parse(const char *text, int64_t itemsize, ndbuf_format **out_format, ndbuf_error *err)
{
    if (itemsize < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "itemsize is %lld", (long long)itemsize);
    }
    text = text != NULL ? text : "B";
    ndbuf_format *plain = find_plain(text, itemsize);
    if (plain != NULL) {
        *out_format = plain;
        return NDBUF_OK;
    }
    size_t text_nbytes = 0;
    while (text[text_nbytes] != '\0') {
        if (++text_nbytes > NDBUF_FORMAT_MAX_TEXT) {
            return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "at %d: the text is longer than that", NDBUF_FORMAT_MAX_TEXT);
        }
    }

    ndbuf__format_node small_nodes[NDBUF__FORMAT_MAX_NODES(SMALL_TEXT)];
    int64_t small_extents[SMALL_TEXT];
    ndbuf__format_tree tree = {.nodes = small_nodes, .extents = small_extents};
    void *block = NULL;
    if (text_nbytes > SMALL_TEXT) {
        size_t max_nodes = NDBUF__FORMAT_MAX_NODES(text_nbytes);
        block = ndbuf__malloc(max_nodes * sizeof(ndbuf__format_node) + text_nbytes * sizeof(int64_t));
        if (block == NULL) {
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "parsing a format of %zu bytes", text_nbytes);
        }
        tree.nodes = block;
        tree.extents = (int64_t *)(void *)(tree.nodes + max_nodes);
    }
    ndbuf_status status = ndbuf__format_tree_parse(text, &tree, err);
    if (status == NDBUF_OK) {
        if (itemsize > 0) {
            ndbuf__format_tree_set_itemsize(&tree, itemsize);
        }
        status = ndbuf__format_tree_build(&tree, out_format, err);
    }
    ndbuf__free(block);
    return status;
}

/* The plain code of a number, or NDBUF__CODE_COUNT. */
static ndbuf__code find_number(ndbuf_kind kind, int64_t size)
{
    for (int32_t code = 0; code < NDBUF__CODE_NPLAIN; code++) {
        if (ndbuf__code_infos[code].kind == (int32_t)kind && ndbuf__code_infos[code].size == size) {
            return (ndbuf__code)code;
        }
    }
    return NDBUF__CODE_COUNT;
}

static ndbuf_status fail_kind(ndbuf_kind kind, int64_t size, char byte_order, ndbuf_error *err)
{
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "no type code for kind '%c' of %lld bytes in byte order '%c'",
                      (char)kind, (long long)size, byte_order);
}

ndbuf_status ndbuf_format_create(ndbuf_kind kind, int64_t size, char byte_order, ndbuf_format **out_format,
                                 ndbuf_error *err)
{
    if (size < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "size is %lld", (long long)size);
    }
    if (byte_order != '<' && byte_order != '>' && byte_order != '=') {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "byte order is character %d, not '<', '>' or '='", byte_order);
    }
    char order = byte_order == '=' ? NDBUF__HOST_ORDER : byte_order;
    ndbuf__format_node node = {.end = 1, .byte_order = '|', .alignment = 1, .size = size, .nbytes = size};
    switch (kind) {
    case NDBUF_KIND_BOOL:
    case NDBUF_KIND_INT:
    case NDBUF_KIND_UINT:
    case NDBUF_KIND_FLOAT:
    case NDBUF_KIND_BFLOAT:
    case NDBUF_KIND_COMPLEX: {
        node.code = find_number(kind, size);
        if (node.code == NDBUF__CODE_COUNT ||
            (ndbuf__code_infos[node.code].order == NDBUF__ORDER_NATIVE && order != NDBUF__HOST_ORDER)) {
            return fail_kind(kind, size, byte_order, err);
        }
        *out_format = ndbuf__plain_format(node.code, ndbuf__code_byte_order(node.code, order), false);
        return NDBUF_OK;
    }
    case NDBUF_KIND_BYTES:
        node.code = NDBUF__CODE_BYTES;
        break;
    case NDBUF_KIND_TEXT:
        if (size % 4 != 0) {
            return fail_kind(kind, size, byte_order, err);
        }
        node.code = NDBUF__CODE_UCS4;
        node.byte_order = order;
        break;
    case NDBUF_KIND_OPAQUE:
        node.code = NDBUF__CODE_PAD;
        break;
    case NDBUF_KIND_PASCAL:
    case NDBUF_KIND_BITS:
    case NDBUF_KIND_OBJECT:
    case NDBUF_KIND_POINTER:
        return fail_kind(kind, size, byte_order, err);
    default:
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "%d is not a kind", (int)kind);
    }
    ndbuf__format_tree tree = {.nodes = &node, .nnodes = size > 0 ? 1 : 0, .alignment = 1, .itemsize = size};
    return ndbuf__format_tree_build(&tree, out_format, err);
}

void ndbuf_format_retain(ndbuf_format *format)
{
    if (!format->interned) {
        ndbuf__ref_retain(&format->refs);
    }
}

void ndbuf_format_release(ndbuf_format *format)
{
    if (format != NULL && !format->interned && ndbuf__ref_release(&format->refs)) {
        ndbuf__free(format);
    }
}

const char *ndbuf_format_text(const ndbuf_format *format)
{
    return format->text;
}

int64_t ndbuf_format_itemsize(const ndbuf_format *format)
{
    return format->itemsize;
}

int64_t ndbuf_format_alignment(const ndbuf_format *format)
{
    return format->alignment;
}

uint32_t ndbuf_format_flags(const ndbuf_format *format)
{
    return format->flags;
}

int32_t ndbuf_format_nfields(const ndbuf_format *format)
{
    return format->nfields;
}

ndbuf_status ndbuf_format_field(const ndbuf_format *format, int32_t index, ndbuf_field *out_field, ndbuf_error *err)
{
    if (index < 0 || index >= format->nfields) {
        return ndbuf_fail(err, NDBUF_ERR_INDEX, "leaf %d of %d", index, format->nfields);
    }
    *out_field = format->fields[index];
    return NDBUF_OK;
}

static bool fields_equal(const ndbuf_field *a, const ndbuf_field *b)
{
    if (a->nnames != b->nnames || a->ndim != b->ndim || a->offset != b->offset || a->size != b->size ||
        a->kind != b->kind || a->byte_order != b->byte_order) {
        return false;
    }
    if (a->kind == NDBUF_KIND_TEXT && a->code[0] != b->code[0]) {
        return false; /* "2u" and "w" */
    }
    for (int32_t k = 0; k < a->ndim; k++) {
        if (a->extents[k] != b->extents[k] || a->strides[k] != b->strides[k]) {
            return false;
        }
    }
    for (int32_t k = 0; k < a->nnames; k++) {
        if (strcmp(a->names[k], b->names[k]) != 0) {
            return false;
        }
    }
    return true;
}

int32_t ndbuf_format_equal(const ndbuf_format *a, const ndbuf_format *b)
{
    if (a == b) {
        return 1;
    }
    if (a->itemsize != b->itemsize || a->nfields != b->nfields) {
        return 0;
    }
    for (int32_t i = 0; i < a->nfields; i++) {
        if (!fields_equal(&a->fields[i], &b->fields[i])) {
            return 0;
        }
    }
    return 1;
}
