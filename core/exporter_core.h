/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_EXPORTER_CORE_H
#define NDBUF_CORE_EXPORTER_CORE_H

/* What exporters and consumers both need to know about requests. */

#include <stdbool.h>

#include "ndbuf/exporter.h"

/* Whether all bits of a flag, with those that it implies, are set. */
static inline bool ndbuf__asks(uint32_t flags, uint32_t flag)
{
    return (flags & flag) == flag;
}

/* Whether a request itself makes sense. Statuses: NDBUF_ERR_ABI, NDBUF_ERR_REQUEST. */
ndbuf_status ndbuf__request_check(const ndbuf_request *request, ndbuf_error *err);

/* Whether a view's memory is where and as a request wants it: device, suboffsets, contiguity, alignment; the text names
 * what is not. Works on any view whose arrays are complete as far as the request asks. Statuses: NDBUF_ERR_REQUEST. */
ndbuf_status ndbuf__request_check_place(const ndbuf_request *request, const ndbuf_view *view, ndbuf_error *err);
ndbuf_status ndbuf__request_check_layout(const ndbuf_request *request, bool has_suboffsets, bool c_contiguous,
                                         bool f_contiguous, ndbuf_error *err);

/* Takes from the public fields of a view what was not asked for. */
void ndbuf__request_hide(const ndbuf_request *request, ndbuf_view *view);

/* Whether an exporter is one of this library's, whose answers need no second look. */
bool ndbuf__exporter_is_own(const ndbuf_exporter *exporter);

#endif
