/* SPDX-License-Identifier: Apache-2.0 */
#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utf8.h"

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

/* The header as terminated UTF-8 in header->text. */
static ndbuf_status read_text(const unsigned char *bytes, size_t nbytes, int is_utf8, npy_header *header,
                              ndbuf_error *err)
{
    char *text = malloc(2 * nbytes + 1);
    if (text == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a header of %zu bytes", nbytes);
    }
    size_t length = 0;
    header->text = text;
    for (size_t at = 0; at < nbytes;) {
        size_t sequence = is_utf8 ? utf8_sequence((const char *)bytes + at, nbytes - at) : 1;
        if (sequence == 0 || bytes[at] == 0) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: byte 0x%02x is not text", at, bytes[at]);
        }
        if (!is_utf8 && bytes[at] >= 0x80) {
            length += utf8_put(text + length, bytes[at++]);
        } else {
            memcpy(text + length, bytes + at, sequence);
            length += sequence;
            at += sequence;
        }
    }
    text[length] = '\0';
    return NDBUF_OK;
}

enum { KEY_DESCR = 1, KEY_ORDER = 2, KEY_SHAPE = 4, KEY_ALL = 7 };

static ndbuf_status read_key(npy_cursor *cursor, int *seen, int *out_key, ndbuf_error *err)
{
    size_t at = cursor->at;
    char *name = NULL;
    ndbuf_status status = npy_read_string(cursor, &name, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int key = strcmp(name, "descr") == 0           ? KEY_DESCR
              : strcmp(name, "fortran_order") == 0 ? KEY_ORDER
              : strcmp(name, "shape") == 0         ? KEY_SHAPE
                                                   : 0;
    if (key == 0) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: unknown key '%.64s'", at, name);
    } else if (*seen & key) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: key '%s' occurs twice", at, name);
    } else {
        *seen |= key;
        *out_key = key;
    }
    free(name);
    return status;
}

/* The dictionary in header->text. */
static ndbuf_status read_dictionary(npy_header *header, ndbuf_error *err)
{
    npy_cursor cursor = {header->text, strlen(header->text), 0};
    int seen = 0;
    ndbuf_status status = npy_expect(&cursor, '{', err);
    while (status == NDBUF_OK && !npy_take(&cursor, '}')) {
        int key = 0;
        status = read_key(&cursor, &seen, &key, err);
        if (status == NDBUF_OK) {
            status = npy_expect(&cursor, ':', err);
        }
        if (status != NDBUF_OK) {
            return status;
        }
        if (key == KEY_DESCR) {
            status = npy_dtype_read(&cursor, &header->dtype, err);
        } else if (key == KEY_ORDER) {
            status = npy_read_bool(&cursor, &header->fortran_order, err);
        } else {
            status = npy_read_shape(&cursor, 0, header->shape, &header->ndim, err);
        }
        if (status == NDBUF_OK && !npy_take(&cursor, ',') && npy_peek(&cursor) != '}') {
            status = npy_expect(&cursor, '}', err);
        }
    }
    if (status != NDBUF_OK) {
        return status;
    }
    if (npy_peek(&cursor) != '\0') {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "header at %zu: text behind the dictionary", cursor.at);
    }
    if (seen != KEY_ALL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "header: key '%s' is missing",
                          !(seen & KEY_DESCR)   ? "descr"
                          : !(seen & KEY_ORDER) ? "fortran_order"
                                                : "shape");
    }
    return NDBUF_OK;
}

/* The bytes of all items, and whether they are there. An extent of 0 makes the product 0, however large the others. */
static ndbuf_status check_size(npy_header *header, size_t available, ndbuf_error *err)
{
    int64_t nbytes = header->dtype->itemsize;
    for (int32_t axis = 0; axis < header->ndim; axis++) {
        if (header->shape[axis] == 0) {
            nbytes = 0;
        }
    }
    for (int32_t axis = 0; axis < header->ndim && nbytes > 0; axis++) {
        if (header->shape[axis] > INT64_MAX / nbytes) {
            return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "header: shape times an item of %lld bytes is beyond 63 bits",
                              (long long)header->dtype->itemsize);
        }
        nbytes *= header->shape[axis];
    }
    if ((uint64_t)nbytes > available) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the data is cut off: the header promises %lld bytes, %zu are there",
                          (long long)nbytes, available);
    }
    header->nbytes = nbytes;
    return NDBUF_OK;
}

ndbuf_status npy_header_read(const void *bytes, size_t nbytes, npy_header *out_header, ndbuf_error *err)
{
    const unsigned char *file = bytes;
    if (nbytes < sizeof(magic) || memcmp(file, magic, sizeof(magic)) != 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "not a .npy file: it does not begin with \\x93NUMPY");
    }
    if (nbytes < 8) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the file ends before its version, after %zu bytes", nbytes);
    }
    int major = file[6];
    if (major < 1 || major > 3 || file[7] != 0) {
        return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "version %d.%d of .npy: known are 1.0, 2.0 and 3.0", major,
                          file[7]);
    }
    size_t start = major == 1 ? 10 : 12;
    if (nbytes < start) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the file ends before the length of its header, after %zu bytes",
                          nbytes);
    }
    size_t length = file[8] | (size_t)file[9] << 8;
    if (major > 1) {
        length |= (size_t)file[10] << 16 | (size_t)file[11] << 24;
    }
    if (length > nbytes - start) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the header is cut off: %zu bytes promised, %zu are there", length,
                          nbytes - start);
    }
    if (length > NPY_MAX_HEADER) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "a header of %zu bytes: more than %d are refused", length,
                          NPY_MAX_HEADER);
    }
    npy_header header = {0};
    header.data_offset = (int64_t)(start + length);
    ndbuf_status status = read_text(file + start, length, major == 3, &header, err);
    if (status == NDBUF_OK) {
        status = read_dictionary(&header, err);
    }
    if (status == NDBUF_OK) {
        status = check_size(&header, nbytes - start - length, err);
    }
    if (status == NDBUF_OK) {
        status = npy_dtype_format(header.dtype, &header.format, err);
    }
    if (status != NDBUF_OK) {
        npy_header_clear(&header);
        return status;
    }
    *out_header = header;
    return NDBUF_OK;
}

void npy_header_clear(npy_header *header)
{
    npy_dtype_destroy(header->dtype);
    free(header->text);
    free(header->format);
    memset(header, 0, sizeof(*header));
}

ndbuf_status npy_header_make(const char *descr, size_t descr_nbytes, int32_t ndim, const int64_t *shape,
                             char **out_bytes, size_t *out_nbytes, ndbuf_error *err)
{
    size_t capacity = descr_nbytes + (size_t)ndim * 24 + 256;
    char *bytes = calloc(1, capacity);
    if (bytes == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a header of %zu bytes", capacity);
    }
    int is_ascii = 1;
    for (size_t k = 0; k < descr_nbytes; k++) {
        is_ascii &= (unsigned char)descr[k] < 0x80;
    }
    char *text = bytes + 12; /* where the header begins in versions 2 and 3; moved for version 1 */
    size_t length = (size_t)snprintf(text, capacity - 12, "{'descr': ");
    memcpy(text + length, descr, descr_nbytes);
    length += descr_nbytes;
    length += (size_t)snprintf(text + length, capacity - 12 - length, ", 'fortran_order': False, 'shape': (");
    for (int32_t axis = 0; axis < ndim; axis++) {
        const char *between = axis == 0 ? "" : ", ";
        length += (size_t)snprintf(text + length, capacity - 12 - length, "%s%lld", between, (long long)shape[axis]);
    }
    length += (size_t)snprintf(text + length, capacity - 12 - length, "%s), }", ndim == 1 ? "," : "");
    int major = !is_ascii ? 3 : length + 64 > UINT16_MAX ? 2 : 1;
    size_t start = major == 1 ? 10 : 12;
    memmove(bytes + start, text, length);
    while ((start + length + 1) % 64 != 0) {
        bytes[start + length++] = ' ';
    }
    bytes[start + length++] = '\n';
    memcpy(bytes, magic, sizeof(magic));
    bytes[6] = (char)major;
    bytes[7] = 0;
    for (size_t k = 8; k < start; k++) {
        bytes[k] = (char)(length >> 8 * (k - 8) & 0xFF);
    }
    *out_bytes = bytes;
    *out_nbytes = start + length;
    return NDBUF_OK;
}

/* Strides of a file in Fortran order, in bytes. */
static void fortran_strides(const npy_header *header, int64_t *strides)
{
    int64_t stride = header->dtype->itemsize;
    for (int32_t axis = 0; axis < header->ndim; axis++) {
        strides[axis] = stride;
        stride = header->nbytes == 0 ? stride : stride * header->shape[axis];
    }
}

static ndbuf_status open_mapped(ndbuf_storage *storage, npy_file *file, ndbuf_error *err)
{
    ndbuf_status status =
        npy_header_read(ndbuf_storage_host_address(storage), ndbuf_storage_nbytes(storage), &file->header, err);
    if (status != NDBUF_OK) {
        return status;
    }
    const npy_header *header = &file->header;
    ndbuf_format *format = NULL;
    status = ndbuf_format_parse(header->format, 0, &format, err);
    if (status != NDBUF_OK) {
        return status;
    }
    int64_t strides[NDBUF_MAX_NDIM];
    fortran_strides(header, strides);
    ndbuf_view_spec spec = {0};
    spec.format = format;
    spec.byte_offset = header->data_offset;
    spec.ndim = header->ndim;
    spec.flags = NDBUF_VIEW_READONLY;
    spec.shape = header->shape;
    spec.strides = header->fortran_order ? strides : NULL;
    if (ndbuf_format_itemsize(format) != header->dtype->itemsize) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "format '%.64s' takes %lld bytes, the descr %lld", header->format,
                            (long long)ndbuf_format_itemsize(format), (long long)header->dtype->itemsize);
    } else {
        status = ndbuf_view_init(&file->view, storage, &spec, err);
    }
    ndbuf_format_release(format);
    return status;
}

ndbuf_status npy_file_open(const char *path, npy_file *out_file, ndbuf_error *err)
{
    ndbuf_error cause = {0};
    ndbuf_storage *storage = NULL;
    memset(out_file, 0, sizeof(*out_file));
    ndbuf_status status = ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &storage, &cause);
    if (status != NDBUF_OK) {
        if (err != NULL) {
            *err = cause; /* names the path already */
        }
        return status;
    }
    status = open_mapped(storage, out_file, &cause);
    ndbuf_storage_release(storage);
    if (status != NDBUF_OK) {
        npy_file_close(out_file);
        size_t length = strlen(path);
        const char *tail = length > 100 ? path + length - 100 : path; /* leaves room for the cause */
        return ndbuf_fail_native(err, status, cause.native_code, "%s: %s", tail, cause.message);
    }
    return NDBUF_OK;
}

void npy_file_close(npy_file *file)
{
    ndbuf_view_release(&file->view);
    npy_header_clear(&file->header);
}
