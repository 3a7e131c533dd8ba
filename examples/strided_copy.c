/* SPDX-License-Identifier: Apache-2.0 */
/* Sends every second column of a 4 x 6 array, last row first, to a device, and brings it back packed. */
#include <stdio.h>

#include "ndbuf/ndbuf.h"

int main(int argc, char **argv)
{
    float numbers[24] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23};
    ndbuf_slice backwards = {.step = -1, .given = NDBUF_SLICE_STEP}, second = {.step = 2, .given = NDBUF_SLICE_STEP};
    ndbuf_view_spec spec = {.ndim = 2, .shape = (const int64_t[]){4, 6}};
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_view view = {0}, there = {0}, back = {0};
    ndbuf_error err = {0};

    int failed = ndbuf_format_parse("<f", 0, &spec.format, &err) ||
                 ndbuf_storage_adopt(ndbuf_device_cpu(), numbers, sizeof(numbers), 0, NULL, NULL, &storage, &err) ||
                 ndbuf_view_init(&view, storage, &spec, &err) || ndbuf_view_slice(&view, 0, &backwards, &view, &err) ||
                 ndbuf_view_slice(&view, 1, &second, &view, &err) || /* 4 x 3, strides -24 and 8 */
                 ndbuf_device_open(argc > 1 ? argv[1] : "cpu", &device, &err) ||
                 ndbuf_view_create(&there, device, spec.format, view.ndim, view.shape, &err) ||
                 ndbuf_view_create(&back, ndbuf_device_cpu(), spec.format, view.ndim, view.shape, &err) ||
                 ndbuf_copy(&there, &view, NULL, &err) || /* any layout, any device */
                 ndbuf_copy(&back, &there, NULL, &err);
    const float *items = ndbuf_view_host_address(&back);
    for (int k = 0; k < 12 && !failed; k++) {
        printf("%g%c", items[k], k % 3 == 2 ? '\n' : ' ');
    }
    if (failed) {
        fprintf(stderr, "%s\n", err.message);
    }
    ndbuf_view_release(&back);
    ndbuf_view_release(&there);
    ndbuf_view_release(&view);
    ndbuf_storage_release(storage);
    ndbuf_format_release(spec.format);
    ndbuf_device_close(device);
    return failed;
}
