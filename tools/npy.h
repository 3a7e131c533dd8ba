/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_NPY_H
#define NDBUF_TOOLS_NPY_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"
#include "npy_dtype.h"

/* The .npy format, versions 1.0, 2.0 and 3.0: a magic string, the length of a header, the header as a Python literal
 * in Latin-1 (version 3: UTF-8), and the items. */

#define NPY_MAX_HEADER (1 << 20) /* bytes; longer ones are refused */

/* What a header says. Sole owner of its parts. */
typedef struct npy_header {
    char *text;       /* UTF-8, terminated */
    npy_dtype *dtype; /* points into `text` */
    char *format;     /* PEP 3118 text of the dtype */
    int fortran_order;
    int32_t ndim;
    int64_t shape[NDBUF_MAX_NDIM];
    int64_t nbytes;      /* of all items */
    int64_t data_offset; /* of the first item, from the start of the file */
} npy_header;

/* Reads the header of a file, and checks that all items are there.
 *
 * bytes, nbytes  the whole file; may be NULL with nbytes 0.
 * out_header     ended by npy_header_clear.
 *
 * NDBUF_ERR_INVALID      not a .npy file, a damaged header, or data that ends early
 * NDBUF_ERR_OVERFLOW     sizes beyond 63 bits
 * NDBUF_ERR_UNSUPPORTED  an unknown version, or Python objects
 * NDBUF_ERR_NOMEM */
ndbuf_status npy_header_read(const void *bytes, size_t nbytes, npy_header *out_header, ndbuf_error *err);

void npy_header_clear(npy_header *header); /* zeroed headers are accepted */

/* The bytes before the items of a C-contiguous file: the magic string, the length, the header, padded to a multiple of
 * 64. Version 1.0 where it will do, else 2.0 for long headers and 3.0 for text beyond ASCII.
 *
 * descr      a Python literal in UTF-8, `descr_nbytes` long.
 * out_bytes  the caller's, from malloc.
 *
 * NDBUF_ERR_NOMEM */
ndbuf_status npy_header_make(const char *descr, size_t descr_nbytes, int32_t ndim, const int64_t *shape,
                             char **out_bytes, size_t *out_nbytes, ndbuf_error *err);

/* A mapped file, and the view of its items, which is read-only. Zero-initialised is empty. */
typedef struct npy_file {
    ndbuf_view view;
    npy_header header;
} npy_file;

/* Maps a .npy file.
 *
 * out_file  must stay where it is; ended by npy_file_close.
 *
 * Statuses of ndbuf_storage_map_file, npy_header_read, ndbuf_format_parse and ndbuf_view_init; the text begins with the
 * path. */
ndbuf_status npy_file_open(const char *path, npy_file *out_file, ndbuf_error *err);

void npy_file_close(npy_file *file);

#endif
