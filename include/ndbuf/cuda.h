/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CUDA_H
#define NDBUF_CUDA_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/status.h"
#include "ndbuf/storage.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What CUDA has beyond the common protocol. Three kinds of devices:
 *
 *   "cuda:N"           memory of the device with CUDA's ordinal N
 *   "cuda_host:0"      pinned host memory, which all CUDA devices reach
 *   "cuda_managed:0"   managed memory, which moves to whoever touches it
 *
 * ndbuf uses the primary context of each device, as the CUDA runtime, PyTorch and CuPy do: pointers, streams and events
 * are interchangeable with theirs. The calling thread's current device is as before when a function returns.
 * Streams go through ndbuf_queue_import: any cudaStream_t, with cudaStreamLegacy (1) and cudaStreamPerThread (2) for
 * the default streams. A queue over cudaStreamPerThread is for the thread that imports it, which also releases it: in
 * another thread that handle means another stream, and calls are refused with NDBUF_ERR_INVALID.
 *
 * While a stream is being captured, copies and fills that go to it in one direct step are recorded in the graph. The
 * memory that they use must live as long as the graph, and ndbuf holds nothing for it; nor may the last CUDA device
 * that is open in ndbuf be closed, with which its kernels go. All else is refused with NDBUF_ERR_UNSUPPORTED, copies of
 * pageable host memory too: a graph takes its bytes at the launch (seen on an H200), and not in the order of its steps.
 * A stream that is being captured when it is imported cannot be asked for its device: the caller is believed.
 *
 * In a library that was built without the CUDA Toolkit, every function here returns NDBUF_ERR_UNSUPPORTED. Common
 * statuses: NDBUF_ERR_UNAVAILABLE (no driver or no device, with CUDA's code and text), NDBUF_ERR_NOMEM,
 * NDBUF_ERR_DEVICE. Thread-safe. */

/* Calls another build of the CUDA runtime instead of the one linked into the library: `path` is given to dlopen. The
 * environment variable NDBUF_CUDART does the same, but not in set-user-id programs. Must come before any other use of
 * CUDA through ndbuf in the process.
 *
 * NDBUF_ERR_INVALID      path is NULL
 * NDBUF_ERR_UNAVAILABLE  it cannot be opened, lacks a function, or is of another major version; nothing has changed
 * NDBUF_ERR_BUSY         CUDA is in use already */
NDBUF_API ndbuf_status ndbuf_cuda_attach(const char *path, ndbuf_error *err);

/* Adopts a CUDA pointer of whatever kind: device memory, pinned or managed memory. The device is found from the
 * pointer. Like ndbuf_storage_adopt in everything else. A pointer of pool memory that is still being allocated, or is
 * freed already, must not be given.
 *
 * NDBUF_ERR_INVALID  not memory that CUDA knows
 * NDBUF_ERR_BOUNDS   the allocation ends before pointer + nbytes */
NDBUF_API ndbuf_status ndbuf_cuda_storage_adopt(void *pointer, size_t nbytes, uint32_t flags, ndbuf_release_fn release,
                                                void *context, ndbuf_storage **out_storage, ndbuf_error *err);

/* Pins host memory that is there already, a mapped file for instance, so that transfers need no staging: a storage of
 * "cuda_host:0" over the same bytes. `host` stays retained until the pinned storage goes; pages that others have pinned
 * are used as they are. A read-only storage is pinned read-only where the device can.
 *
 * NDBUF_ERR_INVALID      not a host storage
 * NDBUF_ERR_UNSUPPORTED  CUDA cannot pin this memory (a read-only mapping on a device without that ability, ...); or it
 *                        is to be written, and a read-only storage has it pinned for reading */
NDBUF_API ndbuf_status ndbuf_cuda_storage_pin(ndbuf_storage *host, ndbuf_storage **out_pinned, ndbuf_error *err);

/* A handle by which other processes can open device memory (cudaIpcMemHandle_t). */
typedef struct ndbuf_cuda_ipc_handle {
    unsigned char bytes[64];
} ndbuf_cuda_ipc_handle;

/* Device memory of its own allocation, outside the pool, so that it can be shared with other processes. `device` is a
 * "cuda:N". Freeing it may wait for the device.
 *
 * NDBUF_ERR_INVALID  another kind of device, or nbytes is 0 */
NDBUF_API ndbuf_status ndbuf_cuda_ipc_storage_create(ndbuf_device *device, size_t nbytes, ndbuf_storage **out_storage,
                                                     ndbuf_error *err);

/* The handle of such a storage. It stays valid while the storage lives.
 *
 * NDBUF_ERR_INVALID  not memory from ndbuf_cuda_ipc_storage_create */
NDBUF_API ndbuf_status ndbuf_cuda_ipc_export(const ndbuf_storage *storage, ndbuf_cuda_ipc_handle *out_handle,
                                             ndbuf_error *err);

/* Opens memory of another process on `device`, a "cuda:N". nbytes is at most what the other process allocated; a larger
 * one is refused where the driver can tell (NDBUF_ERR_BOUNDS).
 *
 * NDBUF_ERR_INVALID  another kind of device, nbytes is 0, or not a handle of living memory of another process */
NDBUF_API ndbuf_status ndbuf_cuda_ipc_open(ndbuf_device *device, const ndbuf_cuda_ipc_handle *handle, size_t nbytes,
                                           ndbuf_storage **out_storage, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
