/* SPDX-License-Identifier: Apache-2.0 */

/* A .npy file of any bytes is read or refused; what is read can be written as a header that reads back the same, and
 * its format has the size that its descr has. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/ndbuf.h"
#include "tools/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes);

static void check(int condition)
{
    if (!condition) {
        abort();
    }
}

static void check_written(const npy_header *header)
{
    ndbuf_error err = {0};
    char *bytes = NULL;
    size_t nbytes = 0;
    npy_header again;
    const npy_dtype *dtype = header->dtype;
    int64_t no_items[NDBUF_MAX_NDIM + 1] = {0}; /* so that no data is needed */
    check(npy_header_make(dtype->text, dtype->text_nbytes, header->ndim + (header->ndim < NDBUF_MAX_NDIM), no_items,
                          &bytes, &nbytes, &err) == NDBUF_OK);
    check(nbytes % 64 == 0);
    if (nbytes > NPY_MAX_HEADER) {
        free(bytes);
        return;
    }
    check(npy_header_read(bytes, nbytes, &again, &err) == NDBUF_OK);
    check(strcmp(again.format, header->format) == 0);
    check(again.dtype->itemsize == dtype->itemsize);
    npy_header_clear(&again);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nbytes)
{
    ndbuf_error err = {0};
    npy_header header;
    ndbuf_status status = npy_header_read(data, nbytes, &header, &err);
    if (status != NDBUF_OK) {
        check(err.status == (int32_t)status && err.message[0] != '\0');
        return 0;
    }
    check(header.data_offset + header.nbytes <= (int64_t)nbytes);
    check_written(&header);
    ndbuf_format *format = NULL;
    status = ndbuf_format_parse(header.format, 0, &format, &err);
    if (status == NDBUF_OK) {
        check(ndbuf_format_itemsize(format) == header.dtype->itemsize);
        ndbuf_format_release(format);
    } else { /* deeper or with more dimensions than a format may have */
        check(status == NDBUF_ERR_OVERFLOW);
    }
    npy_header_clear(&header);
    return 0;
}
