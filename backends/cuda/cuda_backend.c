/* SPDX-License-Identifier: Apache-2.0 */
#include "backends/cuda/cuda_backend.h"

/* What the three tables share. */
#define CUDA_SHARED_SLOTS                                                                                              \
    .abi_version = NDBUF_BACKEND_ABI_VERSION, .struct_nbytes = sizeof(ndbuf_backend_ops),                              \
    .device_close = ndbuf_cuda__device_close, .device_describe = ndbuf_cuda__device_describe,                          \
    .mem_alloc = ndbuf_cuda__mem_alloc, .mem_import = ndbuf_cuda__mem_import, .mem_free = ndbuf_cuda__mem_free,        \
    .mem_map = ndbuf_cuda__mem_map, .mem_unmap = ndbuf_cuda__mem_unmap, .copy_bytes = ndbuf_cuda__copy_bytes,          \
    .copy_rect = ndbuf_cuda__copy_rect, .copy_strided = ndbuf_cuda__copy_strided,                                      \
    .convert_strided = ndbuf_cuda__convert_strided, .fill_strided = ndbuf_cuda__fill_strided,                          \
    .queue_create = ndbuf_cuda__queue_create, .queue_destroy = ndbuf_cuda__queue_destroy,                              \
    .queue_wait = ndbuf_cuda__queue_wait, .queue_wait_event = ndbuf_cuda__queue_wait_event,                            \
    .queue_wait_native = ndbuf_cuda__queue_wait_native, .queue_host_call = ndbuf_cuda__queue_host_call,                \
    .queue_mapped_call = ndbuf_unsupported_queue_mapped_call, .queue_is_capturing = ndbuf_cuda__queue_is_capturing,    \
    .event_record = ndbuf_cuda__event_record, .event_destroy = ndbuf_cuda__event_destroy,                              \
    .event_wait = ndbuf_cuda__event_wait, .event_query = ndbuf_cuda__event_query

const ndbuf_backend_ops ndbuf_cuda__ops = {
    CUDA_SHARED_SLOTS,
    .name = "cuda",
    .device_count = ndbuf_cuda__device_count,
    .device_open = ndbuf_cuda__device_open,
    .copy_caps = ndbuf_cuda__copy_caps,
};

const ndbuf_backend_ops ndbuf_cuda_host__ops = {
    CUDA_SHARED_SLOTS,
    .name = "cuda_host",
    .device_count = ndbuf_cuda__shared_device_count,
    .device_open = ndbuf_cuda__host_device_open,
    .copy_caps = ndbuf_cuda__shared_copy_caps,
};

const ndbuf_backend_ops ndbuf_cuda_managed__ops = {
    CUDA_SHARED_SLOTS,
    .name = "cuda_managed",
    .device_count = ndbuf_cuda__shared_device_count,
    .device_open = ndbuf_cuda__managed_device_open,
    .copy_caps = ndbuf_cuda__shared_copy_caps,
};
