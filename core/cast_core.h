/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_CAST_CORE_H
#define NDBUF_CORE_CAST_CORE_H

#include <stdbool.h>

#include "ndbuf/cast.h"

#include "core/field_match.h"

/* Whether a rule lets one element become the other. */
bool ndbuf__cast_allows(const ndbuf_field *dst, const ndbuf_field *src, ndbuf_casting casting);

/* As ndbuf_format_can_cast; gives the pairs of leaves, too, which the caller clears. */
ndbuf_status ndbuf__cast_match(const ndbuf_format *dst, const ndbuf_format *src, ndbuf_casting casting,
                               ndbuf__field_match *out_match, ndbuf_error *err);

#endif
