/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_DEVICE_CORE_H
#define NDBUF_CORE_DEVICE_CORE_H

#include <stdbool.h>

#include "ndbuf/backend.h"

#include "core/block_pool.h"
#include "core/device_pool.h"
#include "core/ref_count.h"

/* What the core keeps about an open device. */
struct ndbuf_device_core {
    ndbuf__ref_count refs;
    bool is_static;  /* the host: never closed */
    int32_t ordinal; /* in its backend; for the name */
    /* Of those in the list of open devices: what can be looked at while the device is being closed. */
    ndbuf_device_core *next;
    ndbuf_device *device;
    const ndbuf_backend_ops *ops;
    ndbuf_device_tag tag;
    ndbuf__device_pool pool;
    ndbuf__block_pool blocks; /* for the records of events */
};

void ndbuf__device_retain(ndbuf_device *device);

/* Puts a device that was not opened by ordinal (one over a foreign context) under the core's count: one reference. On
 * failure the device is untouched. Statuses: NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf__device_adopt(ndbuf_device *device, int32_t ordinal, ndbuf_error *err);

/* The open or newly opened device of a tag, retained; for imports. Devices of backends from outside the library must be
 * open, since nothing else tells their types. Statuses of ndbuf_device_open. */
ndbuf_status ndbuf__device_of_tag(ndbuf_device_tag tag, ndbuf_device **out_device, ndbuf_error *err);

#endif
