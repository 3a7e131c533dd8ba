/* SPDX-License-Identifier: Apache-2.0 */
#include "calibrate.h"

#include <errno.h>
#include <stdbool.h>
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

#define MAX_DEVICES 16

/* Opens the first device of each backend; one that is simulated says nothing about speed. The host is the first. Those
 * that were opened before a failure are in the list, too. */
static ndbuf_status open_devices(ndbuf_device *devices[MAX_DEVICES], int *out_count, ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    int32_t nbackends = ndbuf_backend_count();
    *out_count = 0;
    for (int32_t k = 0; k < nbackends && *out_count < MAX_DEVICES && status == NDBUF_OK; k++) {
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
                devices[(*out_count)++] = device;
            } else {
                ndbuf_device_close(device);
            }
        }
    }
    return status;
}

static int32_t type_of(const ndbuf_device *device)
{
    return ndbuf_device_tag_get(device).type;
}

/* Whether there is something to measure: within the host's memory, within a device's, between the two, and with pinned
 * memory for the devices that it is pinned for. Managed memory is where it was used last. */
static bool is_measured(const ndbuf_device *device, const ndbuf_device *other)
{
    int32_t type = type_of(device);
    int32_t other_type = type_of(other);
    if (type == NDBUF_DEVICE_CUDA_MANAGED || other_type == NDBUF_DEVICE_CUDA_MANAGED) {
        return false;
    }
    if (type == NDBUF_DEVICE_CUDA_HOST || other_type == NDBUF_DEVICE_CUDA_HOST) {
        return type == NDBUF_DEVICE_CUDA || other_type == NDBUF_DEVICE_CUDA;
    }
    return device == other || type == NDBUF_DEVICE_CPU || other_type == NDBUF_DEVICE_CPU;
}

static ndbuf_status calibrate_devices(const calibration *self, ndbuf_device *const *devices, int count,
                                      ndbuf_error *err)
{
    ndbuf_status status = NDBUF_OK;
    for (int i = 0; i < count; i++) {
        for (int j = 0; j <= i && status == NDBUF_OK; j++) {
            if (!is_measured(devices[i], devices[j])) {
                continue;
            }
            status = calibrate_link(self, devices[j], devices[i], err);
            if (status == NDBUF_OK && i != j) {
                status = calibrate_link(self, devices[i], devices[j], err);
            }
        }
    }
    return status;
}

ndbuf_status calibrate(int is_quick, const char *path, ndbuf_error *err)
{
    const calibration self = {is_quick, is_quick ? 2 : 11};
    int64_t start_ns = report_clock_ns();
    ndbuf_device *devices[MAX_DEVICES];
    int ndevices = 0;
    ndbuf_status status = calibrate_engine(&self, err);
    if (status == NDBUF_OK) {
        status = open_devices(devices, &ndevices, err);
    }
    if (status == NDBUF_OK) {
        status = calibrate_devices(&self, devices, ndevices, err);
    }
    for (int i = 0; i < ndevices; i++) {
        ndbuf_device_close(devices[i]);
    }
    if (status == NDBUF_OK) {
        fprintf(stderr, "%.0f seconds\n", (double)(report_clock_ns() - start_ns) / 1e9);
        status = write_text(path, err);
    }
    return status;
}
