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
    int is_there = stat(path, &info) == 0;
    if (is_there && !S_ISREG(info.st_mode)) {
        return ndbuf_fail(err, NDBUF_ERR_IO, "cannot replace '%.128s': it is not a regular file", path);
    }
    if (!is_there && lstat(path, &info) == 0) {
        return ndbuf_fail(err, NDBUF_ERR_IO, "cannot replace '%.128s': it is a link to what is not there", path);
    }
    npy_output output = {.path = is_there ? realpath(path, NULL) : strdup(path), .descriptor = -1};
    if (output.path == NULL) {
        return fail_errno(err, "replace", path);
    }
    size_t size = strlen(output.path) + 32;
    output.temporary = malloc(size);
    if (output.temporary == NULL) {
        npy_output_close(&output);
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a path of %zu bytes", size);
    }
    snprintf(output.temporary, size, "%s.tmp-%ld", output.path, (long)getpid());
    output.descriptor = open(output.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, is_there ? 0600 : 0666);
    if (output.descriptor < 0) {
        ndbuf_status status = fail_errno(err, "create", output.temporary);
        free(output.temporary); /* what has that name is not ours */
        output.temporary = NULL;
        npy_output_close(&output);
        return status;
    }
    if (is_there && fchmod(output.descriptor, info.st_mode & 07777) != 0) {
        ndbuf_status status = fail_errno(err, "set the mode of", output.temporary);
        npy_output_close(&output);
        return status;
    }
    *out_output = output;
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
    if (output->temporary != NULL) {
        if (output->descriptor >= 0) {
            close(output->descriptor);
        }
        unlink(output->temporary);
    }
    free(output->temporary);
    free(output->path);
    output->temporary = NULL;
    output->path = NULL;
}
