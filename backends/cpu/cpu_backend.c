/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cpu/cpu_backend.h"

#include <string.h>

#include "core/link_costs.h"

#include "backends/cpu/cpu_caches.h"

/* One device, static: opening it cannot fail and closing it does nothing. */
static ndbuf_device cpu_device = {
    .ops = &ndbuf_cpu__ops,
    .tag = {NDBUF_DEVICE_CPU, 0},
    .flags = NDBUF_DEVICE_HOST_ACCESSIBLE | NDBUF_DEVICE_UNIFIED,
    .default_queue = &ndbuf_cpu__immediate_queue,
};

ndbuf_queue ndbuf_cpu__immediate_queue = {.device = &cpu_device};

static ndbuf_status cpu_device_count(int32_t *out_count, ndbuf_error *err)
{
    (void)err;
    *out_count = 1;
    return NDBUF_OK;
}

static ndbuf_status cpu_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err)
{
    (void)ordinal, (void)err;
    *out_device = &cpu_device;
    return NDBUF_OK;
}

static void cpu_device_close(ndbuf_device *device)
{
    (void)device;
}

static void cpu_device_describe(const ndbuf_device *device, ndbuf_device_info *info)
{
    (void)device;
    ndbuf_cpu__describe(info->description, sizeof(info->description));
}

/* The host moves and converts between host memory of any device, and nothing else. */
static void cpu_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps)
{
    memset(out_caps, 0, sizeof(*out_caps));
    if ((dst->flags & src->flags & NDBUF_DEVICE_HOST_ACCESSIBLE) == 0) {
        return;
    }
    out_caps->flags = NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED | NDBUF_CAN_FILL |
                      NDBUF_CAN_CONVERT | NDBUF_CAN_CONVERT_FLOAT64 | NDBUF_CAN_CONVERT_LONG_DOUBLE;
    ndbuf__link_costs_default(out_caps, NDBUF__LINK_HOST);
}

const ndbuf_backend_ops ndbuf_cpu__ops = {
    .abi_version = NDBUF_BACKEND_ABI_VERSION,
    .struct_nbytes = sizeof(ndbuf_backend_ops),
    .name = "cpu",
    .device_count = cpu_device_count,
    .device_open = cpu_device_open,
    .device_close = cpu_device_close,
    .device_describe = cpu_device_describe,
    .mem_alloc = ndbuf_cpu__mem_alloc,
    .mem_import = ndbuf_cpu__mem_import,
    .mem_free = ndbuf_cpu__mem_free,
    .mem_map = ndbuf_cpu__mem_map,
    .mem_unmap = ndbuf_cpu__mem_unmap,
    .copy_caps = cpu_copy_caps,
    .copy_bytes = ndbuf_cpu__copy_bytes,
    .copy_rect = ndbuf_cpu__copy_rect,
    .copy_strided = ndbuf_cpu__copy_strided,
    .convert_strided = ndbuf_cpu__convert_strided,
    .fill_strided = ndbuf_cpu__fill_strided,
    .queue_create = ndbuf_cpu__queue_create,
    .queue_destroy = ndbuf_cpu__queue_destroy,
    .queue_wait = ndbuf_cpu__queue_wait,
    .queue_wait_event = ndbuf_cpu__queue_wait_event,
    .queue_wait_native = ndbuf_unsupported_queue_wait_native,
    .queue_host_call = ndbuf_cpu__queue_host_call,
    .queue_mapped_call = ndbuf_unsupported_queue_mapped_call,
    .queue_is_capturing = ndbuf_never_queue_is_capturing,
    .event_record = ndbuf_cpu__event_record,
    .event_destroy = ndbuf_cpu__event_destroy,
    .event_wait = ndbuf_cpu__event_wait,
    .event_query = ndbuf_cpu__event_query,
};
