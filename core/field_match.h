/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_FIELD_MATCH_H
#define NDBUF_CORE_FIELD_MATCH_H

/* Which leaf of one format each leaf of another one takes its values from. */

#include "ndbuf/format.h"

/* Zero-initialised is valid: no leaf. */
typedef struct ndbuf__field_match {
    int32_t *src_of; /* one entry for each leaf of the destination; NULL: that of the same index */
    int32_t
        unpaired;    /* -1; else nothing else counts, and this leaf of the destination has none, or there are too few */
    const char *why; /* unpaired; else NULL */
} ndbuf__field_match;

/* Pairs the leaves by their paths if both formats have names, else by position. Leaves of one path pair in their order,
 * where both formats have as many of them. By path the destination may leave leaves of the source out.
 *
 * NDBUF_ERR_NOMEM */
ndbuf_status ndbuf__field_match_init(ndbuf__field_match *out_match, const ndbuf_format *dst, const ndbuf_format *src,
                                     ndbuf_error *err);
void ndbuf__field_match_clear(ndbuf__field_match *match);

static inline int32_t ndbuf__field_match_src(const ndbuf__field_match *match, int32_t dst_index)
{
    return match->src_of != NULL ? match->src_of[dst_index] : dst_index;
}

#endif
