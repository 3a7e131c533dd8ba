/* SPDX-License-Identifier: Apache-2.0 */
#include "core/format_core.h"

#include <string.h>

#include "core/format_tree.h"
#include "core/host_alloc.h"

/* What a pass over the members of one level finds. Unnamed records belong to the level that they stand in. */
typedef struct match {
    int32_t index; /* of the node; -1: none */
    size_t nbytes; /* of the path that its name takes */
    bool repeated; /* another member has that name */
} match;

/* The member with the longest name, of at most `max_nbytes`, which is the path or is followed by a '.' in it. */
static match find_longest(const ndbuf_format *format, int32_t first, int32_t end, const char *path, size_t path_nbytes,
                          size_t max_nbytes)
{
    match found = {.index = -1};
    for (int32_t i = first; i < end;) {
        const ndbuf__format_node *node = &format->nodes[i];
        size_t nbytes = (size_t)node->name_nbytes;
        bool whole = nbytes == path_nbytes;
        if (node->name == NULL) {
            i = node->code == NDBUF__CODE_RECORD ? i + 1 : node->end;
            continue;
        }
        if (nbytes <= max_nbytes && nbytes >= found.nbytes &&
            (whole || (node->code == NDBUF__CODE_RECORD && nbytes < path_nbytes && path[nbytes] == '.')) &&
            memcmp(node->name, path, nbytes) == 0) {
            found.repeated = nbytes == found.nbytes;
            found.nbytes = nbytes;
            found.index = i;
        }
        i = node->end;
    }
    return found;
}

enum { NO_FIELD = -1, REPEATED_FIELD = -2 };

/* The node of a path among the nodes first .. end - 1, or NO_FIELD or REPEATED_FIELD. The names at each level are tried
 * from the longest to the shortest; each record is entered at most once, so the calls nest no deeper than the format.
 */
static int32_t find_node(const ndbuf_format *format, int32_t first, int32_t end, const char *path)
{
    size_t path_nbytes = strlen(path);
    size_t max_nbytes = path_nbytes;
    for (;;) {
        match found = find_longest(format, first, end, path, path_nbytes, max_nbytes);
        if (found.index < 0 || found.repeated) {
            return found.index < 0 ? NO_FIELD : REPEATED_FIELD;
        }
        if (found.nbytes == path_nbytes) {
            return found.index;
        }
        int32_t index = find_node(format, found.index + 1, format->nodes[found.index].end, path + found.nbytes + 1);
        if (index != NO_FIELD) {
            return index;
        }
        max_nbytes = found.nbytes - 1;
    }
}

/* Adds the subarrays of a node to the selection. */
static void add_dims(const ndbuf_format *format, const ndbuf__format_node *node, ndbuf__format_selection *selection)
{
    int64_t stride = node->size;
    for (int32_t k = node->ndim - 1; k >= 0; k--) {
        selection->extents[selection->ndim + k] = format->extents[node->first_extent + k];
        selection->strides[selection->ndim + k] = stride;
        stride *= format->extents[node->first_extent + k];
    }
    selection->ndim += node->ndim;
}

/* The format of one element of a node. */
static ndbuf_status build_part(const ndbuf_format *format, int32_t index, ndbuf_format **out_format, ndbuf_error *err)
{
    int32_t nnodes = format->nodes[index].end - index;
    ndbuf__format_node leaf;
    ndbuf__format_node *nodes = nnodes == 1 ? &leaf : ndbuf__malloc((size_t)nnodes * sizeof(*nodes));
    if (nodes == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "the format of a field");
    }
    memcpy(nodes, &format->nodes[index], (size_t)nnodes * sizeof(*nodes));
    nodes[0].offset = 0;
    nodes[0].ndim = 0;
    nodes[0].nbytes = nodes[0].size;
    nodes[0].name = NULL;
    nodes[0].name_nbytes = 0;
    ndbuf__format_tree tree = {
        .nodes = nodes, .nnodes = nnodes, .alignment = nodes[0].alignment, .itemsize = nodes[0].size};
    int32_t first_extent = 0; /* those of the nodes follow each other */
    for (int32_t i = 0; i < nnodes; i++) {
        nodes[i].end -= index;
        if (nodes[i].ndim > 0) {
            first_extent = tree.nextents == 0 ? nodes[i].first_extent : first_extent;
            nodes[i].first_extent -= first_extent;
            tree.nextents = nodes[i].first_extent + nodes[i].ndim;
        }
    }
    tree.extents = (int64_t *)format->extents + first_extent; /* only read */
    ndbuf_status status = ndbuf__format_tree_build(&tree, out_format, err);
    if (nodes != &leaf) {
        ndbuf__free(nodes);
    }
    return status;
}

ndbuf_status ndbuf__format_select(const ndbuf_format *format, const char *path, ndbuf__format_selection *out_selection,
                                  ndbuf_error *err)
{
    int32_t target = find_node(format, 0, format->nnodes, path);
    if (target < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INDEX, target == NO_FIELD ? "no field '%s'" : "the field '%s' is not unique",
                          path);
    }
    ndbuf_format *part = NULL;
    ndbuf_status status = build_part(format, target, &part, err);
    if (status != NDBUF_OK) {
        return status;
    }
    out_selection->format = part;
    out_selection->offset = 0;
    out_selection->ndim = 0;
    for (int32_t i = 0; i <= target;) {
        const ndbuf__format_node *node = &format->nodes[i];
        if (node->end <= target) {
            i = node->end; /* beside the way to the target */
            continue;
        }
        out_selection->offset += node->offset;
        add_dims(format, node, out_selection);
        i++;
    }
    return NDBUF_OK;
}
