/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_HOST_RECORDS_H
#define NDBUF_CORE_HOST_RECORDS_H

/* Records that are converted in the host's memory, all their parts in one pass. The host's backend defines the
 * function, which knows the processor and has the threads. */

#include "core/conversion.h"

/* Converts a box of items; returns when they are there. `axes` are merged, and their `convert` has the sizes of items.
 * Bytes of the destination's items that are in no part keep what they have. Source and destination do not overlap.
 *
 * NDBUF_ERR_INVALID  a part asks for a conversion that does not exist; nothing is converted */
ndbuf_status ndbuf__host_records_convert(const ndbuf__copy_axes *axes, const ndbuf__conversion *conversion, char *dst,
                                         const char *src, ndbuf_error *err);

#endif
