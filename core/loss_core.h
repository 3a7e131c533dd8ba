/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_LOSS_CORE_H
#define NDBUF_CORE_LOSS_CORE_H

/* What a bridge finds out about its losses. */

#include "ndbuf/loss.h"
#include "ndbuf/status.h"
#include "ndbuf/view.h"

typedef struct ndbuf__losses {
    uint32_t flags;      /* found so far */
    uint32_t accept;     /* the caller accepts these */
    ndbuf_loss *report;  /* NULL: nobody wants the text of what is accepted */
    ndbuf_status status; /* of the first loss that is not accepted; NDBUF_OK: none */
    ndbuf_error *err;    /* filled by that one */
} ndbuf__losses;

/* `report`, unless it is NULL, is made empty. */
ndbuf__losses ndbuf__losses_begin(uint32_t accept, ndbuf_loss *report, ndbuf_error *err);

/* Notes one loss. Without acceptance it is an error of this status, whose text begins with `bridge`. */
void ndbuf__loss_add(ndbuf__losses *losses, uint32_t flag, ndbuf_status status, const char *bridge, const char *format,
                     ...) NDBUF_PRINTF(5, 6);

/* The alignment of the first item, as in ndbuf_loss. `has_address`: whether `handle` is one. */
int64_t ndbuf__alignment_of(const void *handle, int64_t byte_offset, int has_address);

/* Reports the alignment of the first item, and a loss where it is less than `natural`. */
void ndbuf__loss_set_alignment(ndbuf__losses *losses, int64_t alignment, int64_t natural);

#endif
