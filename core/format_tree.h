/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_FORMAT_TREE_H
#define NDBUF_CORE_FORMAT_TREE_H

/* The inside of a format, shared by the files that read, write and search it. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ndbuf/format.h"

#include "core/checked.h"
#include "core/format_codes.h"
#include "core/ref_count.h"

/* A leaf or a record. Nodes stand in order of declaration, each record before its members. Unnamed padding and what has
 * no bytes makes no node.
 *
 * What a pointer leads to follows it as nodes, too, as do the arguments and the result of a function: they are written
 * back, and otherwise have no meaning. So do the fields of a run of bit fields, if there are several; their size is in
 * bits. */
typedef struct ndbuf__format_node {
    int32_t end; /* index behind the last node inside this one */
    ndbuf__code code;
    char byte_order;      /* '<', '>' or '|' */
    bool has_result;      /* of a function: the last node inside is its result */
    bool padded;          /* of a record: native mode has added bytes at its end */
    bool is_marked;       /* of a leaf that was read: '<' is before it, or one more '>', or any '>', of a B */
    int32_t alignment;    /* of a leaf laid out in native mode, the largest of a record's members; else 1 */
    int32_t ndim;         /* of its own subarrays */
    int32_t first_extent; /* of those, in the tree's extents */
    int32_t name_nbytes;
    const char *name; /* name_nbytes bytes, not terminated in a tree being read; NULL: unnamed */
    int64_t offset;   /* bytes, of the first element from the start of the enclosing record */
    int64_t size;     /* bytes of one element */
    int64_t nbytes;   /* of all elements */
} ndbuf__format_node;

/* A format before it is built. Owns nothing. */
typedef struct ndbuf__format_tree {
    ndbuf__format_node *nodes;
    int32_t nnodes;
    int32_t nextents;
    int64_t *extents;
    int64_t itemsize;
    int64_t itemsize_min; /* without the padding that native mode implies at the end of records */
    int64_t alignment;    /* the largest of the members laid out in native mode; 1 without one */
    uint32_t flags;       /* NDBUF_FORMAT_... bits that the nodes do not tell */
} ndbuf__format_tree;

struct ndbuf_format {
    ndbuf__ref_count refs; /* not counted in interned formats */
    bool interned;
    uint32_t flags;
    int64_t itemsize;
    int64_t alignment;
    const char *text;
    const ndbuf_field *fields;
    const ndbuf__format_node *nodes;
    const int64_t *extents;
    int32_t nfields;
    int32_t nnodes; /* 0 in interned formats */
};

/* `n` rounded up to a multiple of `alignment`. */
static inline int64_t ndbuf__align_up(int64_t n, int64_t alignment, bool *overflow)
{
    return ndbuf__add_i64(n, alignment - 1, overflow) / alignment * alignment;
}

/* How many nodes a text of some bytes makes at most: one for each code, and one for each run of bit fields, which
 * takes 8 codes at least if it has no digits. */
#define NDBUF__FORMAT_MAX_NODES(text_nbytes) ((text_nbytes) + (text_nbytes) / 8 + 1)

/* Reads a text into a tree, whose arrays the caller provides: that many nodes, and one extent for each byte. Names
 * point into the text. Statuses: NDBUF_ERR_FORMAT, NDBUF_ERR_OVERFLOW. */
ndbuf_status ndbuf__format_tree_parse(const char *text, ndbuf__format_tree *tree, ndbuf_error *err);

/* Makes the tree one of `itemsize` bytes, if need be one of opaque bytes. Needs room for one node. */
void ndbuf__format_tree_set_itemsize(ndbuf__format_tree *tree, int64_t itemsize);

/* Makes the format of a tree, copying all of it. Statuses: NDBUF_ERR_OVERFLOW (its text is too long), NDBUF_ERR_NOMEM.
 */
ndbuf_status ndbuf__format_tree_build(const ndbuf__format_tree *tree, ndbuf_format **out_format, ndbuf_error *err);

/* The bytes of the canonical text without the terminating one. It is written to `out` if that is not NULL. */
size_t ndbuf__format_tree_write(const ndbuf__format_tree *tree, char *out);

#endif
