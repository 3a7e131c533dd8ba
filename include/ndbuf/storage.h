/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_STORAGE_H
#define NDBUF_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A piece of memory on one device with its owner: what every view rests on. Counted and thread-safe. The memory is
 * released when the last reference is gone; views hold references, and so do copies until the device has done them.
 * Work that others gave to a device must be done with it by then: nothing waits for that, and the next storage may be
 * the same memory. */
typedef struct ndbuf_storage ndbuf_storage;

/* Called once, from whichever thread ended the last use of adopted memory. Must not call back into ndbuf with a lock
 * held that such a thread may hold. */
typedef void (*ndbuf_release_fn)(void *context, void *handle);

enum {
    NDBUF_STORAGE_READONLY = 1u << 0 /* no view of it is writable */
};

/* Allocates `nbytes` bytes, at least 64-byte aligned, contents unspecified. 0 bytes are valid.
 *
 * NDBUF_ERR_NOMEM   no memory on the host, or on the device (then err->native_code is set); the text gives the size
 * NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_storage_create(ndbuf_device *device, size_t nbytes, ndbuf_storage **out_storage,
                                            ndbuf_error *err);

/* Adopts memory that somebody else allocated.
 *
 * handle    a host address; a cl_mem (retained as well, must be of this device's context); a CUDA pointer. NULL only
 *           with nbytes 0.
 * nbytes    how much of it, from the handle on. Where the device can tell the true size, a larger one is refused.
 * flags     NDBUF_STORAGE_... bits.
 * release   called with `context` and `handle` when the storage goes; NULL: nothing to do. On failure it is NOT called:
 *           the memory is still the caller's.
 *
 * NDBUF_ERR_INVALID      not a handle of this device or context, or unknown flags
 * NDBUF_ERR_BOUNDS       the memory is smaller than nbytes
 * NDBUF_ERR_UNSUPPORTED  the device's backend takes no foreign memory
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_storage_adopt(ndbuf_device *device, void *handle, size_t nbytes, uint32_t flags,
                                           ndbuf_release_fn release, void *context, ndbuf_storage **out_storage,
                                           ndbuf_error *err);

/* Maps a whole file into host memory: read-only with NDBUF_STORAGE_READONLY, else shared and writable, so that
 * writing to it changes the file. An empty file gives an empty storage. The path is in the system's encoding. If
 * another process shortens the file while it is mapped, touching what is gone is a bus error, as with any mapping.
 *
 * NDBUF_ERR_IO     it cannot be opened or mapped, or is not a regular file; err->native_code = errno
 * NDBUF_ERR_NOMEM */
NDBUF_API ndbuf_status ndbuf_storage_map_file(const char *path, uint32_t flags, ndbuf_storage **out_storage,
                                              ndbuf_error *err);

NDBUF_API void ndbuf_storage_retain(ndbuf_storage *storage);
NDBUF_API void ndbuf_storage_release(ndbuf_storage *storage); /* NULL is accepted */

NDBUF_API ndbuf_device *ndbuf_storage_device(const ndbuf_storage *storage); /* borrowed */
NDBUF_API size_t ndbuf_storage_nbytes(const ndbuf_storage *storage);
NDBUF_API uint32_t ndbuf_storage_flags(const ndbuf_storage *storage);

/* The native handle: a host address, a cl_mem, a CUDA pointer. */
NDBUF_API void *ndbuf_storage_handle(const ndbuf_storage *storage);

/* The address of byte 0 where the host can touch the memory, else NULL. */
NDBUF_API void *ndbuf_storage_host_address(const ndbuf_storage *storage);

enum { NDBUF_MAP_READ = 1u << 0, NDBUF_MAP_WRITE = 1u << 1 };

/* Makes bytes [byte_offset, byte_offset + nbytes) of a storage touchable by the host until ndbuf_storage_unmap is
 * called with the same address. Returns when they are; but copies in queues that use those bytes are to be waited for
 * before. While mapped for writing, no copy may use those bytes. Memory that the host can touch anyway, pinned memory
 * say, gives its own address.
 *
 * NDBUF_ERR_BOUNDS       outside the storage, or no bytes
 * NDBUF_ERR_INVALID      neither to be read nor written, or unknown flags
 * NDBUF_ERR_READONLY
 * NDBUF_ERR_UNSUPPORTED  the device cannot map; copy instead
 * NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_storage_map(ndbuf_storage *storage, size_t byte_offset, size_t nbytes, uint32_t map_flags,
                                         void **out_address, ndbuf_error *err);

/* Ends a mapping; what was written is on the device when it returns.
 *
 * NDBUF_ERR_INVALID  `address` is not a mapping of this storage
 * NDBUF_ERR_DEVICE */
NDBUF_API ndbuf_status ndbuf_storage_unmap(ndbuf_storage *storage, void *address, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
