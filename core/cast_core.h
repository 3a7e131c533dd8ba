/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_CAST_CORE_H
#define NDBUF_CORE_CAST_CORE_H

#include "ndbuf/cast.h"

#include "core/field_match.h"

/* As ndbuf_format_can_cast; gives the pairs of leaves, too, which the caller clears. */
ndbuf_status ndbuf__cast_match(const ndbuf_format *dst, const ndbuf_format *src, ndbuf_casting casting,
                               ndbuf__field_match *out_match, ndbuf_error *err);

#endif
