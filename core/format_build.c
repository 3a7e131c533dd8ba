/* SPDX-License-Identifier: Apache-2.0 */
#include "core/format_tree.h"

#include <string.h>

#include "core/host_alloc.h"

/* Makes the lasting form of a format: one block of memory which holds the leaves with their paths and dims, the nodes,
 * and the texts. */

_Static_assert(NDBUF_FORMAT_MAX_LEAVES > NDBUF_FORMAT_MAX_TEXT, "the limit on text bounds the leaves");

/* What is common to the leaves of a record: the path, the dims and the offset down to it. */
typedef struct scope {
    int32_t end; /* of the record, as in ndbuf__format_node */
    int32_t nnames;
    int32_t ndim;
    int64_t offset;
    const char *const *names;
    const int64_t *extents;
    const int64_t *strides;
} scope;

/* Where the parts of the block go; in a first pass, without one, their numbers are counted. */
typedef struct builder {
    const ndbuf__format_tree *tree;
    ndbuf_field *fields; /* NULL in the first pass */
    const char **names;
    int64_t *dims;
    size_t nfields;
    size_t nnames;
    size_t ndims;
    uint32_t flags;
} builder;

/* The scope inside a node that stands in `around`: what it adds gets new arrays, else those around it serve. */
static scope enter_node(builder *b, const scope *around, const ndbuf__format_node *node)
{
    scope inside = *around;
    inside.end = node->end;
    inside.offset = around->offset + node->offset;
    if (node->name != NULL) {
        inside.nnames++;
        if (b->fields != NULL) {
            const char **names = b->names + b->nnames;
            for (int32_t k = 0; k < around->nnames; k++) {
                names[k] = around->names[k];
            }
            names[around->nnames] = node->name;
            inside.names = names;
        }
        b->nnames += (size_t)inside.nnames;
    }
    if (node->ndim > 0) {
        inside.ndim += node->ndim;
        if (b->fields != NULL) {
            int64_t *extents = b->dims + b->ndims;
            int64_t *strides = extents + inside.ndim;
            for (int32_t k = 0; k < around->ndim; k++) {
                extents[k] = around->extents[k];
                strides[k] = around->strides[k];
            }
            int64_t stride = node->size;
            for (int32_t k = inside.ndim - 1; k >= around->ndim; k--) {
                extents[k] = b->tree->extents[node->first_extent + k - around->ndim];
                strides[k] = stride;
                stride *= extents[k];
            }
            inside.extents = extents;
            inside.strides = strides;
        }
        b->ndims += 2 * (size_t)inside.ndim;
    }
    return inside;
}

static void add_leaf(builder *b, const scope *leaf, const ndbuf__format_node *node)
{
    const ndbuf__code_info *info = &ndbuf__code_infos[node->code];
    if (b->fields != NULL) {
        ndbuf_field *field = &b->fields[b->nfields];
        field->names = leaf->nnames > 0 ? leaf->names : NULL;
        field->nnames = leaf->nnames;
        field->ndim = leaf->ndim;
        field->extents = leaf->ndim > 0 ? leaf->extents : NULL;
        field->strides = leaf->ndim > 0 ? leaf->strides : NULL;
        field->offset = leaf->offset;
        field->size = node->size;
        field->kind = info->kind;
        memcpy(field->code, info->text, sizeof(field->code));
        field->byte_order = node->byte_order;
    }
    if (info->kind == NDBUF_KIND_OBJECT || info->kind == NDBUF_KIND_POINTER) {
        b->flags |= NDBUF_FORMAT_HOST_ONLY;
    }
    if (leaf->nnames > 0 || b->nfields > 0) {
        b->flags |= NDBUF_FORMAT_RECORD;
    }
    b->nfields++;
}

static void walk(builder *b, const ndbuf__format_node *nodes)
{
    scope scopes[NDBUF_FORMAT_MAX_DEPTH + 1] = {{.end = b->tree->nnodes}};
    int32_t depth = 0;
    for (int32_t i = 0; i < b->tree->nnodes;) {
        while (i == scopes[depth].end) {
            depth--;
        }
        scope inside = enter_node(b, &scopes[depth], &nodes[i]);
        if (nodes[i].code != NDBUF__CODE_RECORD) {
            add_leaf(b, &inside, &nodes[i]);
            i = nodes[i].end;
        } else {
            scopes[++depth] = inside;
            i++;
        }
    }
}

/* The interned format that the tree amounts to, or NULL. */
static ndbuf_format *find_interned(const ndbuf__format_tree *tree)
{
    const ndbuf__format_node *node = &tree->nodes[0];
    if (tree->nnodes != 1 || tree->flags != 0 || node->code >= NDBUF__CODE_NPLAIN || node->name != NULL ||
        node->ndim > 0 || node->size != ndbuf__code_infos[node->code].size || tree->itemsize != node->size) {
        return NULL;
    }
    if (tree->alignment != 1 && tree->alignment != ndbuf__code_infos[node->code].alignment) {
        return NULL; /* "id0q" is aligned for a member of no bytes */
    }
    return ndbuf__plain_format(node->code, node->byte_order, tree->alignment > 1);
}

ndbuf_status ndbuf__format_tree_build(const ndbuf__format_tree *tree, ndbuf_format **out_format, ndbuf_error *err)
{
    ndbuf_format *interned = find_interned(tree);
    if (interned != NULL) {
        *out_format = interned;
        return NDBUF_OK;
    }

    builder b = {.tree = tree};
    walk(&b, tree->nodes);
    size_t name_nbytes = 0;
    for (int32_t i = 0; i < tree->nnodes; i++) {
        name_nbytes += tree->nodes[i].name != NULL ? (size_t)tree->nodes[i].name_nbytes + 1 : 0;
    }
    size_t text_nbytes = ndbuf__format_tree_write(tree, NULL);
    if (text_nbytes > NDBUF_FORMAT_MAX_TEXT) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the canonical text takes %zu bytes, more than %d", text_nbytes,
                          NDBUF_FORMAT_MAX_TEXT);
    }

    /* Each part is aligned if the parts before it are: those of 8-byte alignment come first. */
    size_t nextents = (size_t)tree->nextents;
    size_t nodes_nbytes = (size_t)tree->nnodes * sizeof(ndbuf__format_node);
    size_t fields_nbytes = b.nfields * sizeof(ndbuf_field);
    size_t extents_nbytes = (nextents + b.ndims) * sizeof(int64_t);
    size_t names_nbytes = b.nnames * sizeof(char *);
    char *block = ndbuf__malloc(sizeof(ndbuf_format) + nodes_nbytes + fields_nbytes + extents_nbytes + names_nbytes +
                                name_nbytes + text_nbytes + 1);
    if (block == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a format of %zu leaves", b.nfields);
    }
    ndbuf_format *format = (ndbuf_format *)(void *)block;
    ndbuf__format_node *nodes = (ndbuf__format_node *)(void *)(block + sizeof(*format));
    ndbuf_field *fields = (ndbuf_field *)(void *)((char *)nodes + nodes_nbytes);
    int64_t *extents = (int64_t *)(void *)((char *)fields + fields_nbytes);
    const char **names = (const char **)(void *)((char *)extents + extents_nbytes);
    char *name = (char *)names + names_nbytes;
    char *text = name + name_nbytes;

    if (nextents > 0) {
        memcpy(extents, tree->extents, nextents * sizeof(int64_t));
    }
    for (int32_t i = 0; i < tree->nnodes; i++) {
        nodes[i] = tree->nodes[i];
        if (nodes[i].name != NULL) {
            memcpy(name, nodes[i].name, (size_t)nodes[i].name_nbytes);
            name[nodes[i].name_nbytes] = '\0';
            nodes[i].name = name;
            name += nodes[i].name_nbytes + 1;
        }
    }
    b = (builder){.tree = tree, .fields = fields, .names = names, .dims = extents + nextents};
    walk(&b, nodes);
    ndbuf__format_tree_write(tree, text);

    *format = (ndbuf_format){
        .flags = b.flags | tree->flags,
        .itemsize = tree->itemsize,
        .alignment = tree->alignment,
        .text = text,
        .fields = fields,
        .nodes = nodes,
        .extents = extents,
        .nfields = (int32_t)b.nfields,
        .nnodes = tree->nnodes,
    };
    ndbuf__ref_init(&format->refs);
    *out_format = format;
    return NDBUF_OK;
}
