/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_NPY_DESCR_H
#define NDBUF_TOOLS_NPY_DESCR_H

#include <stddef.h>

#include "ndbuf/ndbuf.h"

/* The `descr` of a .npy file, a Python literal from malloc, for items of a format: an element, or a record whose fields
 * have names, each its own. A bfloat16 is '<V2', as ml_dtypes writes it.
 *
 * NDBUF_ERR_UNSUPPORTED  other records, pointers and objects, text in units of 2 bytes
 * NDBUF_ERR_NOMEM */
ndbuf_status npy_descr_make(const ndbuf_format *format, char **out_descr, ndbuf_error *err);

#endif
