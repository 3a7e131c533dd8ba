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

/* Whether a view's memory is where a request wants it: device, alignment. Statuses: NDBUF_ERR_REQUEST. */
ndbuf_status ndbuf__request_check_place(const ndbuf_request *request, const ndbuf_view *view, ndbuf_error *err);

/* What the flags of a request ask of a layout, and are not given: the text names the flag. NULL: nothing. */
static inline const char *ndbuf__request_unmet(uint32_t flags, bool has_suboffsets, bool c_contiguous,
                                               bool f_contiguous)
{
    if (has_suboffsets && !ndbuf__asks(flags, NDBUF_REQUEST_INDIRECT)) {
        return "INDIRECT is not asked for, and the view has suboffsets";
    }
    if (ndbuf__asks(flags, NDBUF_REQUEST_C_CONTIGUOUS) && !c_contiguous) {
        return "C_CONTIGUOUS: the view is not C-contiguous";
    }
    if (ndbuf__asks(flags, NDBUF_REQUEST_F_CONTIGUOUS) && !f_contiguous) {
        return "F_CONTIGUOUS: the view is not Fortran-contiguous";
    }
    if (ndbuf__asks(flags, NDBUF_REQUEST_ANY_CONTIGUOUS) && !c_contiguous && !f_contiguous) {
        return "ANY_CONTIGUOUS: the view is not contiguous";
    }
    if (!ndbuf__asks(flags, NDBUF_REQUEST_STRIDES) && !c_contiguous) {
        return "STRIDES is not asked for, and the view is not C-contiguous";
    }
    return NULL;
}

/* Takes from the public fields of a view what was not asked for. */
static inline void ndbuf__request_hide(uint32_t flags, ndbuf_view *view)
{
    if (!ndbuf__asks(flags, NDBUF_REQUEST_FORMAT)) {
        view->format = NULL;
    }
    if (!ndbuf__asks(flags, NDBUF_REQUEST_ND)) {
        view->shape = NULL;
    }
    if (!ndbuf__asks(flags, NDBUF_REQUEST_STRIDES)) {
        view->strides = NULL;
    }
}

/* Makes a consumer's queue on the view's device wait for the contents of a view with a ready event; without a queue
 * (NULL), waits itself. Statuses of ndbuf_queue_import and ndbuf_queue_wait_event, or of ndbuf_event_wait. */
ndbuf_status ndbuf__view_settle(const ndbuf_view *view, void *native_queue, ndbuf_error *err);

/* The acquire function of the exporters of this library, whose answers need no second look. */
ndbuf_status ndbuf__exporter_acquire(ndbuf_exporter *exporter, const ndbuf_request *request, ndbuf_view *out_view,
                                     ndbuf_error *err);

static inline bool ndbuf__exporter_is_own(const ndbuf_exporter *exporter)
{
    return exporter->acquire == ndbuf__exporter_acquire;
}

#endif
