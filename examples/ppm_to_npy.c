/* SPDX-License-Identifier: Apache-2.0 */

/* Turns a binary PPM or PGM picture into a .npy array of height x width x channels: a file mapped as a storage, a view
 * of the pixels behind its header, and the view walked through as contiguous runs. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/ndbuf.h"

static ndbuf_error err;

static void fail(const char *path, const char *text)
{
    fprintf(stderr, "ppm_to_npy: %s: %s\n", path, text);
    exit(1);
}

/* The next number of the header, from `*at` on; comments are skipped. */
static int64_t read_number(const char *bytes, size_t nbytes, size_t *at)
{
    int64_t value = 0;
    int ndigits = 0;
    while (*at < nbytes && (strchr(" \t\r\n", bytes[*at]) != NULL || bytes[*at] == '#')) {
        if (bytes[*at] == '#') {
            while (*at < nbytes && bytes[*at] != '\n') {
                ++*at;
            }
        } else {
            ++*at;
        }
    }
    for (; *at < nbytes && bytes[*at] >= '0' && bytes[*at] <= '9' && ndigits < 9; ++*at, ++ndigits) {
        value = 10 * value + (bytes[*at] - '0');
    }
    return ndigits > 0 ? value : -1;
}

/* Checks the header, and makes the view of the pixels. */
static void open_picture(const char *path, ndbuf_view *out_view)
{
    ndbuf_storage *storage = NULL;
    if (ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &storage, &err) != NDBUF_OK) {
        fail(path, err.message);
    }
    const char *bytes = ndbuf_storage_host_address(storage);
    size_t nbytes = ndbuf_storage_nbytes(storage);
    if (nbytes < 2 || bytes[0] != 'P' || (bytes[1] != '5' && bytes[1] != '6')) {
        fail(path, "not a binary PGM or PPM picture");
    }
    size_t at = 2;
    int64_t width = read_number(bytes, nbytes, &at);
    int64_t height = read_number(bytes, nbytes, &at);
    int64_t largest = read_number(bytes, nbytes, &at);
    if (width < 0 || height < 0 || largest != 255) {
        fail(path, "a header without width, height and 255 as the largest value");
    }
    const int64_t shape[3] = {height, width, bytes[1] == '6' ? 3 : 1};
    const ndbuf_view_spec spec = {.byte_offset = (int64_t)at + 1, .ndim = 3, .shape = shape};
    if (ndbuf_view_init(out_view, storage, &spec, &err) != NDBUF_OK) { /* proves that all pixels are there */
        fail(path, err.message);
    }
    ndbuf_storage_release(storage); /* the view keeps it */
}

static int write_npy(FILE *file, const ndbuf_view *view)
{
    static const char start[10] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, 118, 0}; /* version 1.0, 118 bytes follow */
    char header[128];
    memset(header, ' ', sizeof(header));
    memcpy(header, start, sizeof(start));
    int length = snprintf(header + 10, sizeof(header) - 10,
                          "{'descr': '|u1', 'fortran_order': False, 'shape': (%lld, %lld, %lld), }",
                          (long long)view->shape[0], (long long)view->shape[1], (long long)view->shape[2]);
    header[10 + length] = ' ';
    header[sizeof(header) - 1] = '\n';
    int ok = fwrite(header, 1, sizeof(header), file) == sizeof(header);
    ndbuf_run_iterator runs;
    ndbuf_iovec batch[16];
    ok = ok && ndbuf_run_iterator_init(&runs, view, &err) == NDBUF_OK;
    for (size_t n; ok && (n = ndbuf_run_iterator_next(&runs, batch, 16)) > 0;) {
        for (size_t k = 0; k < n; k++) {
            ok = ok && fwrite(batch[k].iov_base, 1, batch[k].iov_len, file) == batch[k].iov_len;
        }
    }
    return ok;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fputs("usage: ppm_to_npy IN.ppm OUT.npy\n", stderr);
        return 2;
    }
    ndbuf_view view = {0};
    open_picture(argv[1], &view);
    FILE *file = fopen(argv[2], "wb");
    if (file == NULL) {
        fail(argv[2], "cannot be written");
    }
    int ok = write_npy(file, &view);
    if (fclose(file) != 0 || !ok) {
        remove(argv[2]);
        fail(argv[2], "writing failed");
    }
    printf("%s: %lld x %lld pixels of %lld channels\n", argv[2], (long long)view.shape[1], (long long)view.shape[0],
           (long long)view.shape[2]);
    ndbuf_view_release(&view);
    return 0;
}
