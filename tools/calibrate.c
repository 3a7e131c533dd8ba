/* SPDX-License-Identifier: Apache-2.0 */
#include "calibrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

static ndbuf_status write_text(const char *path, ndbuf_error *err)
{
    size_t size = ndbuf_tuning_text(NULL, 0) + 1;
    char *text = malloc(size);
    if (text == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "the text of the constants");
    }
    (void)ndbuf_tuning_text(text, size);
    FILE *file = path != NULL ? fopen(path, "w") : stdout;
    int code = errno;
    ndbuf_status status = NDBUF_OK;
    if (file == NULL) {
        status = ndbuf_fail_native(err, NDBUF_ERR_IO, code, "cannot write '%.128s': %s", path, strerror(code));
    } else {
        fputs(text, file);
        if (path != NULL && (ferror(file) | fclose(file)) != 0) {
            status = ndbuf_fail(err, NDBUF_ERR_IO, "cannot write '%.128s'", path);
        }
    }
    free(text);
    return status;
}

/* The first device of each backend; one that is simulated says nothing about speed. */
static ndbuf_status calibrate_devices(const calibration *self, ndbuf_error *err)
{
    ndbuf_device *host = ndbuf_device_cpu();
    ndbuf_status status = calibrate_host_link(self, host, err);
    int32_t count = ndbuf_backend_count();
    for (int32_t k = 1; k < count && status == NDBUF_OK; k++) {
        ndbuf_backend_info backend;
        ndbuf_device_info info;
        ndbuf_device *device = NULL;
        status = ndbuf_backend_info_get(k, &backend, err);
        if (status != NDBUF_OK || backend.status != NDBUF_OK) {
            continue;
        }
        status = ndbuf_device_open(backend.name, &device, err);
        if (status == NDBUF_OK) {
            ndbuf_device_info_get(device, &info);
            if ((info.flags & NDBUF_DEVICE_SIMULATED) == 0) {
                status = calibrate_links(self, host, device, err);
            }
            ndbuf_device_close(device);
        }
    }
    return status;
}

ndbuf_status calibrate(int is_quick, const char *path, ndbuf_error *err)
{
    const calibration self = {is_quick, is_quick ? 2 : 11};
    int64_t start_ns = report_clock_ns();
    ndbuf_status status = calibrate_engine(&self, err);
    if (status == NDBUF_OK) {
        status = calibrate_devices(&self, err);
    }
    if (status == NDBUF_OK) {
        fprintf(stderr, "%.0f seconds\n", (double)(report_clock_ns() - start_ns) / 1e9);
        status = write_text(path, err);
    }
    return status;
}
