/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/host_alloc.h"

static void unmap_file(void *context, void *handle)
{
    size_t *nbytes = context;
    if (handle != NULL) {
        munmap(handle, *nbytes);
    }
    ndbuf__free(nbytes);
}

/* The whole of an open file; an empty one gives address NULL. */
static ndbuf_status map_descriptor(int descriptor, const char *path, uint32_t flags, void **out_address,
                                   size_t *out_nbytes, ndbuf_error *err)
{
    struct stat info;
    if (fstat(descriptor, &info) != 0) {
        return ndbuf_fail_native(err, NDBUF_ERR_IO, errno, "cannot examine '%.128s': %s", path, strerror(errno));
    }
    if (!S_ISREG(info.st_mode)) {
        return ndbuf_fail(err, NDBUF_ERR_IO, "'%.160s' is not a regular file", path);
    }
    *out_nbytes = (size_t)info.st_size;
    *out_address = NULL;
    if (info.st_size > 0) {
        bool readonly = (flags & NDBUF_STORAGE_READONLY) != 0;
        void *address = mmap(NULL, *out_nbytes, readonly ? PROT_READ : PROT_READ | PROT_WRITE,
                             readonly ? MAP_PRIVATE : MAP_SHARED, descriptor, 0);
        if (address == MAP_FAILED) {
            return ndbuf_fail_native(err, NDBUF_ERR_IO, errno, "cannot map '%.128s': %s", path, strerror(errno));
        }
        *out_address = address;
    }
    return NDBUF_OK;
}

ndbuf_status ndbuf_storage_map_file(const char *path, uint32_t flags, ndbuf_storage **out_storage, ndbuf_error *err)
{
    if (path == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no path");
    }
    size_t *nbytes = ndbuf__malloc(sizeof(*nbytes));
    if (nbytes == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "no memory to map '%.128s'", path);
    }
    const int access = (flags & NDBUF_STORAGE_READONLY) != 0 ? O_RDONLY : O_RDWR;
    int descriptor = open(path, access | O_CLOEXEC | O_NONBLOCK); /* a pipe would wait for its other end */
    if (descriptor < 0) {
        int code = errno;
        ndbuf__free(nbytes);
        return ndbuf_fail_native(err, NDBUF_ERR_IO, code, "cannot open '%.128s': %s", path, strerror(code));
    }
    void *address = NULL;
    ndbuf_status status = map_descriptor(descriptor, path, flags, &address, nbytes, err);
    close(descriptor);
    if (status != NDBUF_OK) {
        ndbuf__free(nbytes);
        return status;
    }
    status = ndbuf_storage_adopt(ndbuf_device_cpu(), address, *nbytes, flags, unmap_file, nbytes, out_storage, err);
    if (status != NDBUF_OK) {
        unmap_file(nbytes, address);
    }
    return status;
}
