/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_NPY_OUTPUT_H
#define NDBUF_TOOLS_NPY_OUTPUT_H

#include <stddef.h>

#include "ndbuf/ndbuf.h"

/* A file that appears under its name only when it is complete: until then it is a temporary file beside it. One that it
 * replaces leaves it its mode. Zero-initialised is empty. */
typedef struct npy_output {
    char *path; /* of the file itself, if what was given is a link to one */
    char *temporary;
    int descriptor;
} npy_output;

/* NDBUF_ERR_IO    the file cannot be made, or `path` is there and no regular file
 * NDBUF_ERR_NOMEM */
ndbuf_status npy_output_open(const char *path, npy_output *out_output, ndbuf_error *err);

/* Appends. NDBUF_ERR_IO: the disk is full, ... */
ndbuf_status npy_output_write(npy_output *output, const void *bytes, size_t nbytes, ndbuf_error *err);

/* Gives the file its name, in place of what had it before. NDBUF_ERR_IO. The output is to be closed in any case. */
ndbuf_status npy_output_commit(npy_output *output, ndbuf_error *err);

/* Removes the temporary file if it is still there. An empty output is accepted. */
void npy_output_close(npy_output *output);

#endif
