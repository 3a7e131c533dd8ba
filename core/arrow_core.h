/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_ARROW_CORE_H
#define NDBUF_CORE_ARROW_CORE_H

/* What export and import of Arrow arrays share. */

#include <stddef.h>

#include "ndbuf/arrow_device.h"

#include "core/loss_core.h"

_Static_assert(sizeof(void *) != 8 || (sizeof(struct ArrowArray) == 80 && sizeof(struct ArrowSchema) == 72),
               "Arrow's layout");
_Static_assert(sizeof(void *) != 8 ||
                   (sizeof(struct ArrowDeviceArray) == 128 && offsetof(struct ArrowDeviceArray, sync_event) == 96),
               "Arrow's layout");

/* Arrow's integers in formats: sizes of lists and of binaries. */
#define NDBUF__ARROW_MAX_SIZE INT32_MAX

/* "+w:2147483647" */
#define NDBUF__ARROW_FORMAT_NBYTES 16

/* The Arrow format of a view's items, with what is lost; out_alignment: of the type in C. Statuses: NDBUF_ERR_OVERFLOW.
 */
ndbuf_status ndbuf__arrow_text_of(const ndbuf_format *format, ndbuf__losses *losses,
                                  char out_text[NDBUF__ARROW_FORMAT_NBYTES], int64_t *out_alignment, ndbuf_error *err);

/* The format of an Arrow format of items. Statuses: NDBUF_ERR_UNSUPPORTED, NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__arrow_format_of(const char *text, ndbuf_format **out_format, int64_t *out_alignment,
                                    ndbuf_error *err);

/* The number behind a prefix, as in "+w:12"; -1: the text is another one. */
int64_t ndbuf__arrow_size_of(const char *text, const char *prefix);

#endif
