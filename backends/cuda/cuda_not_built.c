/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/cuda.h"

/* The public functions of a library that was built without CUDA. */

static ndbuf_status not_built(ndbuf_error *err)
{
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "the library was built without CUDA");
}

ndbuf_status ndbuf_cuda_attach(const char *path, ndbuf_error *err)
{
    (void)path;
    return not_built(err);
}

ndbuf_status ndbuf_cuda_storage_adopt(void *pointer, size_t nbytes, uint32_t flags, ndbuf_release_fn release,
                                      void *context, ndbuf_storage **out_storage, ndbuf_error *err)
{
    (void)pointer, (void)nbytes, (void)flags, (void)release, (void)context, (void)out_storage;
    return not_built(err);
}

ndbuf_status ndbuf_cuda_storage_pin(ndbuf_storage *host, ndbuf_storage **out_pinned, ndbuf_error *err)
{
    (void)host, (void)out_pinned;
    return not_built(err);
}

ndbuf_status ndbuf_cuda_ipc_storage_create(ndbuf_device *device, size_t nbytes, ndbuf_storage **out_storage,
                                           ndbuf_error *err)
{
    (void)device, (void)nbytes, (void)out_storage;
    return not_built(err);
}

ndbuf_status ndbuf_cuda_ipc_export(const ndbuf_storage *storage, ndbuf_cuda_ipc_handle *out_handle, ndbuf_error *err)
{
    (void)storage, (void)out_handle;
    return not_built(err);
}

ndbuf_status ndbuf_cuda_ipc_open(ndbuf_device *device, const ndbuf_cuda_ipc_handle *handle, size_t nbytes,
                                 ndbuf_storage **out_storage, ndbuf_error *err)
{
    (void)device, (void)handle, (void)nbytes, (void)out_storage;
    return not_built(err);
}
