/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>

#include "ndbuf/ndbuf.h"

static ndbuf_error err;

static void must(ndbuf_status status)
{
    if (status != NDBUF_OK) {
        fprintf(stderr, "%s: %s\n", ndbuf_status_name(status), err.message);
        exit(1);
    }
}

/* Sends every second column of a 4 x 6 array, last row first, to a device, and brings it back packed. */
int main(int argc, char **argv)
{
    float numbers[4][6] = {
        {0, 1, 2, 3, 4, 5}, {6, 7, 8, 9, 10, 11}, {12, 13, 14, 15, 16, 17}, {18, 19, 20, 21, 22, 23}};
    ndbuf_slice backwards = {.step = -1, .given = NDBUF_SLICE_STEP}, second = {.step = 2, .given = NDBUF_SLICE_STEP};
    ndbuf_view_spec spec = {.ndim = 2, .shape = (const int64_t[]){4, 6}};
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_view view = {0}, there = {0}, back = {0};

    must(ndbuf_format_parse("<f", 0, &spec.format, &err));
    must(ndbuf_storage_adopt(ndbuf_device_cpu(), numbers, sizeof(numbers), 0, NULL, NULL, &storage, &err));
    must(ndbuf_view_init(&view, storage, &spec, &err));
    must(ndbuf_view_slice(&view, 0, &backwards, &view, &err));
    must(ndbuf_view_slice(&view, 1, &second, &view, &err)); /* 4 x 3, strides -24 and 8 */

    must(ndbuf_device_open(argc > 1 ? argv[1] : "cpu", &device, &err));
    must(ndbuf_view_create(&there, device, spec.format, view.ndim, view.shape, &err));
    must(ndbuf_view_create(&back, ndbuf_device_cpu(), spec.format, view.ndim, view.shape, &err));
    must(ndbuf_copy(&there, &view, NULL, &err)); /* any layout, any device */
    must(ndbuf_copy(&back, &there, NULL, &err));

    const float *items = ndbuf_view_host_address(&back);
    for (int k = 0; k < 12; k++) {
        printf("%g%c", items[k], k % 3 == 2 ? '\n' : ' ');
    }
    ndbuf_view_release(&back);
    ndbuf_view_release(&there);
    ndbuf_view_release(&view);
    ndbuf_storage_release(storage);
    ndbuf_format_release(spec.format);
    ndbuf_device_close(device);
    return 0;
}
