/* SPDX-License-Identifier: Apache-2.0 */
/* A user of the installed library: every second byte of a row, copied backwards. */
#include <stdio.h>
#include <string.h>

#include <ndbuf/ndbuf.h>

int main(void)
{
    char data[] = "0123456789";
    char result[6] = "";
    int64_t extent = 5;
    int64_t backwards = -2;
    ndbuf_error err = {0};
    ndbuf_storage *from = NULL;
    ndbuf_storage *to = NULL;
    ndbuf_view src = {0};
    ndbuf_view dst = {0};
    ndbuf_view_spec src_spec = {0};
    ndbuf_view_spec dst_spec = {0};
    int failed = 1;

    src_spec.byte_offset = 9;
    src_spec.ndim = 1;
    src_spec.shape = &extent;
    src_spec.strides = &backwards;
    dst_spec.ndim = 1;
    dst_spec.shape = &extent;
    if (ndbuf_storage_adopt(ndbuf_device_cpu(), data, sizeof(data), 0, NULL, NULL, &from, &err) == NDBUF_OK &&
        ndbuf_storage_adopt(ndbuf_device_cpu(), result, sizeof(result), 0, NULL, NULL, &to, &err) == NDBUF_OK &&
        ndbuf_view_init(&src, from, &src_spec, &err) == NDBUF_OK &&
        ndbuf_view_init(&dst, to, &dst_spec, &err) == NDBUF_OK && ndbuf_copy(&dst, &src, NULL, &err) == NDBUF_OK) {
        failed = strcmp(result, "97531") != 0;
        printf("ndbuf %s: %s\n", ndbuf_version(), result);
    } else {
        printf("%s\n", err.message);
    }
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_storage_release(to);
    ndbuf_storage_release(from);
    return failed;
}
