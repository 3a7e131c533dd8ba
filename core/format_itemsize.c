/* SPDX-License-Identifier: Apache-2.0 */
#include "core/format_tree.h"

/* What an item is when its exporter gives another size than its text: docs/formats.md has the cases. */

typedef struct c_layout {
    int64_t nbytes;
    int64_t alignment;
    bool moved; /* a member lies elsewhere than the text says */
    bool gaps;  /* the text pads */
    bool overflow;
} c_layout;

/* The members first .. end - 1 laid out anew as C does. */
static c_layout lay_out_as_c(const ndbuf__format_tree *tree, int32_t first, int32_t end)
{
    c_layout c = {.alignment = 1};
    int64_t text_end = 0;
    for (int32_t i = first; i < end; i = tree->nodes[i].end) {
        const ndbuf__format_node *node = &tree->nodes[i];
        int64_t alignment = ndbuf__code_infos[node->code].alignment;
        int64_t nbytes = node->size;
        if (node->code == NDBUF__CODE_RECORD) {
            c_layout inner = lay_out_as_c(tree, i + 1, node->end);
            alignment = inner.alignment;
            nbytes = inner.nbytes;
            c.moved = c.moved || inner.moved || inner.nbytes != node->size;
            c.gaps = c.gaps || inner.gaps;
            c.overflow = c.overflow || inner.overflow;
        }
        for (int32_t k = 0; k < node->ndim; k++) {
            nbytes = ndbuf__mul_i64(nbytes, tree->extents[node->first_extent + k], &c.overflow);
        }
        int64_t offset = ndbuf__align_up(c.nbytes, alignment, &c.overflow);
        c.moved = c.moved || offset != node->offset;
        c.gaps = c.gaps || node->offset != text_end;
        c.nbytes = ndbuf__add_i64(offset, nbytes, &c.overflow);
        c.alignment = alignment > c.alignment ? alignment : c.alignment;
        text_end = node->offset + node->nbytes;
    }
    c.nbytes = ndbuf__align_up(c.nbytes, c.alignment, &c.overflow);
    return c;
}

/* Whether the whole text is one record. */
static bool is_lone_record(const ndbuf__format_tree *tree)
{
    const ndbuf__format_node *top = &tree->nodes[0];
    return tree->nnodes > 0 && top->code == NDBUF__CODE_RECORD && top->end == tree->nnodes && top->ndim == 0 &&
           tree->itemsize == top->size;
}

/* Whether the text of a lone record has padding behind the last member. */
static bool is_padded_at_end(const ndbuf__format_tree *tree)
{
    int64_t end = 0;
    for (int32_t i = 1; i < tree->nnodes; i = tree->nodes[i].end) {
        end = tree->nodes[i].offset + tree->nodes[i].nbytes;
    }
    return end != tree->nodes[0].size;
}

/* Whether this is a structure of ctypes before Python 3.12, which writes its members packed and its size unpacked. */
static bool is_old_ctypes(const ndbuf__format_tree *tree, int64_t itemsize)
{
    if (!is_lone_record(tree) || is_padded_at_end(tree)) {
        return false;
    }
    c_layout c = lay_out_as_c(tree, 1, tree->nnodes);
    return !c.overflow && !c.gaps && c.moved && c.nbytes == itemsize;
}

/* Whether this may be a structure of ctypes whose text takes less than its members do: '<' or '>' stands before each
 * member, but for unions and packed structures, all of which are written as B, and u is a wchar_t. A B at the end moves
 * no other member where those before it lie as in C or are padded, as before Python 3.12 they are not. NumPy, which
 * writes no '<' on such machines, and no '>' that is in force already, leaves out the padding behind the members of a C
 * structure. */
static bool is_shortened_ctypes(const ndbuf__format_tree *tree, int64_t itemsize)
{
    if (!is_lone_record(tree)) {
        return false;
    }
    bool is_marked = false;
    bool has_text = false;
    bool has_bytes = false;
    bool has_bytes_before = false; /* other members */
    int32_t array_end = 0;         /* of the records in arrays so far */
    for (int32_t i = 1; i < tree->nnodes;) {
        const ndbuf__format_node *node = &tree->nodes[i];
        if (node->code == NDBUF__CODE_RECORD) {
            array_end = node->ndim > 0 && node->end > array_end ? node->end : array_end;
            i++;
            continue;
        }
        if (node->is_marked) {
            is_marked = true;
            has_text = has_text || node->code == NDBUF__CODE_UCS2;
        } else if (node->code == NDBUF__CODE_UINT8) {
            has_bytes = true;
            has_bytes_before = has_bytes_before || node->end < tree->nnodes || node->ndim > 0 || i < array_end;
        } else if (node->code == NDBUF__CODE_REFERENCE || node->code == NDBUF__CODE_FUNCTION) {
            is_marked = true; /* NumPy knows neither */
        } else if (node->byte_order != '>') {
            return false;
        }
        i = node->end;
    }
    c_layout c = lay_out_as_c(tree, 1, tree->nnodes);
    return is_marked &&
           (has_text || (has_bytes && c.moved && !c.gaps) ||
            (has_bytes_before && (c.overflow || c.moved || c.nbytes != itemsize || is_padded_at_end(tree))));
}

/* Whether a size that is not the computed one leaves it open where members lie. NumPy loses the padding at the end of
 * records: one with other members behind it may then take less than was computed, and one in an array more. */
static bool is_doubtful(const ndbuf__format_tree *tree)
{
    for (int32_t i = 0; i < tree->nnodes; i++) {
        const ndbuf__format_node *node = &tree->nodes[i];
        if (node->code != NDBUF__CODE_RECORD) {
            continue;
        }
        bool has_followers = node->end < tree->nnodes || node->ndim > 0;
        if (node->padded && has_followers) {
            return true;
        }
        if (node->ndim > 0 && node->size % lay_out_as_c(tree, i + 1, node->end).alignment != 0) {
            return true;
        }
    }
    return false;
}

/* Whether the whole item is one `u`, perhaps within records of one member. */
static bool is_lone_ucs2(const ndbuf__format_tree *tree)
{
    int32_t last = tree->nnodes - 1;
    for (int32_t i = 0; i < last; i++) {
        const ndbuf__format_node *node = &tree->nodes[i];
        if (node->code != NDBUF__CODE_RECORD || node->end != tree->nnodes || node->offset != 0) {
            return false;
        }
    }
    return last >= 0 && tree->nodes[last].code == NDBUF__CODE_UCS2 && tree->nodes[last].offset == 0 &&
           tree->nodes[0].nbytes == tree->itemsize;
}

/* Cuts the implied padding at the end of the last record, and of the records which end with that. */
static void cut_end(ndbuf__format_tree *tree, int64_t itemsize)
{
    int32_t first = 0;
    int32_t end = tree->nnodes;
    int64_t limit = itemsize;
    while (first < end) {
        int32_t last = first;
        while (tree->nodes[last].end < end) {
            last = tree->nodes[last].end;
        }
        ndbuf__format_node *node = &tree->nodes[last];
        if (node->code != NDBUF__CODE_RECORD || node->ndim > 0 || node->offset + node->size <= limit) {
            return;
        }
        node->size = node->nbytes = limit - node->offset;
        first = last + 1;
        end = node->end;
        limit = node->size;
    }
}

static void make_opaque(ndbuf__format_tree *tree, int64_t itemsize)
{
    tree->flags |= NDBUF_FORMAT_UNRELIABLE;
    for (int32_t k = 0; k < tree->nnodes;) {
        const ndbuf__format_node *node = &tree->nodes[k];
        int32_t kind = ndbuf__code_infos[node->code].kind;
        if (kind == NDBUF_KIND_OBJECT || kind == NDBUF_KIND_POINTER) {
            tree->flags |= NDBUF_FORMAT_HOST_ONLY;
        }
        k = node->code == NDBUF__CODE_RECORD ? k + 1 : node->end;
    }
    tree->nodes[0] = (ndbuf__format_node){
        .end = 1, .code = NDBUF__CODE_PAD, .byte_order = '|', .alignment = 1, .size = itemsize, .nbytes = itemsize};
    tree->nnodes = 1;
    tree->nextents = 0;
    tree->alignment = 1;
}

/* One `u` of 2-byte units becomes one of 4-byte units. */
static void widen_text(ndbuf__format_tree *tree)
{
    int32_t alignment = ndbuf__code_infos[NDBUF__CODE_UCS4].alignment;
    for (int32_t i = 0; i < tree->nnodes; i++) {
        tree->nodes[i].size *= 2;
        tree->nodes[i].nbytes *= 2;
        tree->nodes[i].alignment = tree->nodes[i].alignment > 1 ? alignment : 1;
    }
    tree->nodes[tree->nnodes - 1].code = NDBUF__CODE_UCS4;
    tree->alignment = tree->alignment > 1 ? alignment : 1;
}

void ndbuf__format_tree_set_itemsize(ndbuf__format_tree *tree, int64_t itemsize)
{
    ndbuf__format_node *top = &tree->nodes[0];
    bool is_one = tree->nnodes > 0 && top->end == tree->nnodes && top->offset == 0 && top->nbytes == tree->itemsize &&
                  top->ndim == 0 && top->name == NULL;
    bool is_larger = itemsize > tree->itemsize;
    if (itemsize == tree->itemsize) {
        return;
    }
    if (is_larger && is_lone_ucs2(tree) && itemsize / 2 == tree->itemsize && itemsize % 2 == 0) {
        widen_text(tree);
    } else if (itemsize < tree->itemsize_min || is_doubtful(tree) ||
               (is_larger && ((is_one && top->code == NDBUF__CODE_UINT8) || is_old_ctypes(tree, itemsize) ||
                              is_shortened_ctypes(tree, itemsize)))) {
        make_opaque(tree, itemsize); /* a lone B: a union or a packed structure of ctypes, or no format at all */
    } else if (!is_larger) {
        cut_end(tree, itemsize);
    } else if (is_one && top->code == NDBUF__CODE_RECORD) {
        top->size = top->nbytes = itemsize; /* the padding is the record's */
    }
    tree->itemsize = itemsize;
}
