/* SPDX-License-Identifier: Apache-2.0 */
#include "core/field_match.h"

#include <stdlib.h>
#include <string.h>

#include "core/format_tree.h"
#include "core/host_alloc.h"

/* Leaves in the order of their paths. */
typedef struct entry {
    const ndbuf_field *field;
    int32_t index;
} entry;

static int compare_paths(const ndbuf_field *a, const ndbuf_field *b)
{
    if (a->nnames != b->nnames) {
        return a->nnames < b->nnames ? -1 : 1;
    }
    for (int32_t k = 0; k < a->nnames; k++) {
        int order = a->names[k] != b->names[k] ? strcmp(a->names[k], b->names[k]) : 0;
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static int compare_entries(const void *left, const void *right)
{
    const entry *a = left;
    const entry *b = right;
    int order = compare_paths(a->field, b->field);
    return order != 0 ? order : a->index < b->index ? -1 : a->index > b->index;
}

static bool has_names(const ndbuf_format *format)
{
    for (int32_t i = 0; i < format->nfields; i++) {
        if (format->fields[i].nnames > 0) {
            return true;
        }
    }
    return false;
}

static bool same_paths(const ndbuf_format *a, const ndbuf_format *b)
{
    if (a->nfields != b->nfields) {
        return false;
    }
    for (int32_t i = 0; i < a->nfields; i++) {
        if (compare_paths(&a->fields[i], &b->fields[i]) != 0) {
            return false;
        }
    }
    return true;
}

static void sort_leaves(entry *entries, const ndbuf_format *format)
{
    for (int32_t i = 0; i < format->nfields; i++) {
        entries[i] = (entry){&format->fields[i], i};
    }
    qsort(entries, (size_t)format->nfields, sizeof(*entries), compare_entries);
}

/* How many entries from `first` on have its path. */
static int32_t count_path(const entry *entries, int32_t nentries, int32_t first)
{
    int32_t end = first + 1;
    while (end < nentries && compare_paths(entries[end].field, entries[first].field) == 0) {
        end++;
    }
    return end - first;
}

static void pair_by_path(ndbuf__field_match *match, const entry *dst, int32_t ndst, const entry *src, int32_t nsrc)
{
    int32_t s = 0;
    int32_t npaths = 0;
    for (int32_t d = 0; d < ndst; d += npaths) {
        npaths = count_path(dst, ndst, d);
        while (s < nsrc && compare_paths(src[s].field, dst[d].field) < 0) {
            s++;
        }
        bool found = s < nsrc && compare_paths(src[s].field, dst[d].field) == 0;
        if (!found || count_path(src, nsrc, s) != npaths) {
            match->unpaired = dst[d].index;
            match->why = !found                     ? "the source has no such field"
                         : dst[d].field->nnames > 0 ? "that name is not there as often in the source"
                                                    : "the source has not as many fields without names";
            return;
        }
        for (int32_t k = 0; k < npaths; k++) {
            match->src_of[dst[d + k].index] = src[s + k].index;
        }
        s += npaths;
    }
}

ndbuf_status ndbuf__field_match_init(ndbuf__field_match *out_match, const ndbuf_format *dst, const ndbuf_format *src,
                                     ndbuf_error *err)
{
    ndbuf__field_match match = {.unpaired = -1};
    bool by_path = has_names(dst) && has_names(src);
    if (!by_path && dst->nfields != src->nfields) {
        match.unpaired = dst->nfields < src->nfields ? dst->nfields : src->nfields;
        match.why = "fields pair by position, and the source has another number of them";
    } else if (by_path && !same_paths(dst, src)) {
        size_t nentries = (size_t)dst->nfields + (size_t)src->nfields;
        entry *entries = ndbuf__malloc(nentries * sizeof(*entries));
        match.src_of = ndbuf__malloc((size_t)dst->nfields * sizeof(*match.src_of));
        if (entries == NULL || match.src_of == NULL) {
            ndbuf__free(entries);
            ndbuf__field_match_clear(&match);
            return ndbuf_fail(err, NDBUF_ERR_NOMEM, "pairing %zu fields", nentries);
        }
        sort_leaves(entries, dst);
        sort_leaves(entries + dst->nfields, src);
        pair_by_path(&match, entries, dst->nfields, entries + dst->nfields, src->nfields);
        ndbuf__free(entries);
    }
    *out_match = match;
    return NDBUF_OK;
}

void ndbuf__field_match_clear(ndbuf__field_match *match)
{
    ndbuf__free(match->src_of);
    match->src_of = NULL;
}
