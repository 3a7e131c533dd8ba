/* SPDX-License-Identifier: Apache-2.0 */
#include "npy_output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static ndbuf_status fail_errno(ndbuf_error *err, const char *what, const char *path)
{
    int code = errno;
    return ndbuf_fail_native(err, NDBUF_ERR_IO, code, "cannot %s '%.128s': %s", what, path, strerror(code));
}

ndbuf_status npy_output_open(const char *path, npy_output *out_output, ndbuf_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode)) {
        return ndbuf_fail(err, NDBUF_ERR_IO, "cannot replace '%.128s': it is not a regular file", path);
    }
    size_t size = strlen(path) + 32;
    char *temporary = malloc(size);
    if (temporary == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a path of %zu bytes", size);
    }
    snprintf(temporary, size, "%s.tmp-%ld", path, (long)getpid());
    int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor < 0) {
        ndbuf_status status = fail_errno(err, "create", temporary);
        free(temporary);
        return status;
    }
    *out_output = (npy_output){path, temporary, descriptor};
    return NDBUF_OK;
}

ndbuf_status npy_output_write(npy_output *output, const void *bytes, size_t nbytes, ndbuf_error *err)
{
    const char *at = bytes;
    while (nbytes > 0) {
        ssize_t written = write(output->descriptor, at, nbytes);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written < 0) {
            return fail_errno(err, "write", output->temporary);
        }
        at += written;
        nbytes -= (size_t)written;
    }
    return NDBUF_OK;
}

ndbuf_status npy_output_commit(npy_output *output, ndbuf_error *err)
{
    int descriptor = output->descriptor;
    output->descriptor = -1;
    if (close(descriptor) != 0) { /* some file systems tell only now that there was no room */
        return fail_errno(err, "write", output->temporary);
    }
    if (rename(output->temporary, output->path) != 0) {
        return fail_errno(err, "replace", output->path);
    }
    free(output->temporary);
    output->temporary = NULL;
    return NDBUF_OK;
}

void npy_output_close(npy_output *output)
{
    if (output->temporary == NULL) {
        return;
    }
    if (output->descriptor >= 0) {
        close(output->descriptor);
    }
    unlink(output->temporary);
    free(output->temporary);
    output->temporary = NULL;
}
