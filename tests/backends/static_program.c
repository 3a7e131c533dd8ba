/* SPDX-License-Identifier: Apache-2.0 */
/* static_program DEVICE: a fully static program is told that it has no driver. */
#include <stdio.h>
#include <string.h>

#include "ndbuf/ndbuf.h"

int main(int argc, char **argv)
{
    ndbuf_error error = {0};
    ndbuf_device *device = NULL;
    ndbuf_status status = ndbuf_device_open(argc > 1 ? argv[1] : "", &device, &error);
    printf("%s: %s\n", ndbuf_status_name(status), error.message);
    ndbuf_device_close(device);
    return status != NDBUF_ERR_UNAVAILABLE || strstr(error.message, "static") == NULL;
}
