/* SPDX-License-Identifier: Apache-2.0 */
#include "core/format_tree.h"

#include <string.h>

/* The writer of canonical texts. Whatever the reader could leave to a rule is spelled out: byte orders, padding, the
 * end of a run of bit fields. Calls nest as deep as the format does, at most NDBUF_FORMAT_MAX_DEPTH. */

typedef struct writer {
    const ndbuf__format_node *nodes;
    const int64_t *extents;
    char *out; /* NULL: only counted */
    size_t nbytes;
} writer;

static void write_bytes(writer *w, const char *bytes, size_t nbytes)
{
    if (w->out != NULL) {
        memcpy(w->out + w->nbytes, bytes, nbytes);
    }
    w->nbytes += nbytes;
}

static void write_text(writer *w, const char *text)
{
    write_bytes(w, text, strlen(text));
}

static void write_number(writer *w, int64_t number)
{
    char digits[20];
    size_t first = sizeof(digits);
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    write_bytes(w, digits + first, sizeof(digits) - first);
}

/* A count, which is left out if it is 1. */
static void write_count(writer *w, int64_t count)
{
    if (count != 1) {
        write_number(w, count);
    }
}

static void write_padding(writer *w, int64_t nbytes)
{
    if (nbytes > 0) {
        write_count(w, nbytes);
        write_text(w, "x");
    }
}

static void write_shape(writer *w, const ndbuf__format_node *node)
{
    for (int32_t k = 0; k < node->ndim; k++) {
        write_text(w, k == 0 ? "(" : ",");
        write_number(w, w->extents[node->first_extent + k]);
    }
    write_text(w, ")");
}

static void write_name(writer *w, const ndbuf__format_node *node)
{
    if (node->name != NULL) {
        write_text(w, ":");
        write_bytes(w, node->name, (size_t)node->name_nbytes);
        write_text(w, ":");
    }
}

static void write_members(writer *w, int32_t first, int32_t end, int64_t nbytes);
static void write_element(writer *w, int32_t index, bool detached);

static void write_signature(writer *w, int32_t index)
{
    int32_t end = w->nodes[index].end;
    write_text(w, "X{");
    for (int32_t i = index + 1; i < end; i = w->nodes[i].end) {
        if (w->nodes[index].has_result && w->nodes[i].end == end) {
            write_text(w, "->");
        }
        write_element(w, i, true);
        write_name(w, &w->nodes[i]);
    }
    write_text(w, "}");
}

/* A run of bit fields, or an array of them. */
static void write_bits(writer *w, int32_t index)
{
    const ndbuf__format_node *run = &w->nodes[index];
    if (run->end == index + 1) {
        write_count(w, run->size * 8);
        write_text(w, "t");
    }
    for (int32_t i = index + 1; i < run->end; i++) {
        write_count(w, w->nodes[i].size);
        write_text(w, "t");
        write_name(w, &w->nodes[i]);
    }
}

/* One element but for its name. `detached`: what a pointer leads to, an argument or a result. */
static void write_element(writer *w, int32_t index, bool detached)
{
    const ndbuf__format_node *node = &w->nodes[index];
    const ndbuf__code_info *info = &ndbuf__code_infos[node->code];
    bool counts_units = ndbuf__code_counts_units(node->code);
    bool has_braces = node->code == NDBUF__CODE_RECORD || info->order == NDBUF__ORDER_BRACED;
    int64_t count = counts_units ? node->size / info->size : 1;

    /* One dimension is written as a count where it can be: `struct` reads that, too. */
    if (node->ndim == 1 && !counts_units && !has_braces && w->extents[node->first_extent] != 1) {
        count = w->extents[node->first_extent];
    } else if (node->ndim > 0) {
        write_shape(w, node);
    }
    char order[2] = {'<', '\0'};
    if (info->order == NDBUF__ORDER_NATIVE || info->order == NDBUF__ORDER_HANDLE) {
        order[0] = '^';
    } else if (node->byte_order != '|') {
        order[0] = node->byte_order;
    }
    if (!has_braces) {
        write_text(w, order);
    }
    switch (node->code) {
    case NDBUF__CODE_RECORD:
        write_text(w, "T{");
        write_members(w, index + 1, node->end, node->size);
        write_text(w, "}");
        break;
    case NDBUF__CODE_BFLOAT16:
        write_text(w, "T{");
        write_text(w, order);
        write_text(w, NDBUF__BFLOAT16_MEMBER "}");
        break;
    case NDBUF__CODE_REFERENCE:
        write_count(w, count);
        write_text(w, "&");
        write_element(w, index + 1, true);
        break;
    case NDBUF__CODE_FUNCTION:
        write_count(w, count);
        write_signature(w, index);
        break;
    case NDBUF__CODE_BITS:
        write_bits(w, index);
        break;
    default:
        write_count(w, count);
        write_text(w, info->text);
        if (node->code == NDBUF__CODE_PAD && node->name == NULL && !detached) {
            write_text(w, "::"); /* an opaque leaf, not padding */
        }
    }
}

/* The elements of one level, of `nbytes` bytes, with the padding between and behind them. */
static void write_members(writer *w, int32_t first, int32_t end, int64_t nbytes)
{
    int64_t offset = 0;
    bool behind_run = false;
    for (int32_t i = first; i < end; i = w->nodes[i].end) {
        const ndbuf__format_node *node = &w->nodes[i];
        bool is_run = node->code == NDBUF__CODE_BITS && node->ndim == 0;
        if (is_run && behind_run && node->offset == offset) {
            write_text(w, "0t"); /* keeps two runs apart */
        }
        write_padding(w, node->offset - offset);
        write_element(w, i, false);
        if (node->end == i + 1 || !is_run) {
            write_name(w, node);
        }
        offset = node->offset + node->nbytes;
        behind_run = is_run;
    }
    write_padding(w, nbytes - offset);
}

size_t ndbuf__format_tree_write(const ndbuf__format_tree *tree, char *out)
{
    writer w = {.nodes = tree->nodes, .extents = tree->extents, .out = out};
    write_members(&w, 0, tree->nnodes, tree->itemsize);
    if (out != NULL) {
        out[w.nbytes] = '\0';
    }
    return w.nbytes;
}
