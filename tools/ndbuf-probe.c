/* SPDX-License-Identifier: Apache-2.0 */
/* ndbuf-probe: drives ndbuf through its public headers alone, one request a line, one answer a line, as
 * tests/oracle/PROTOCOL.md describes. Answers are all that it prints. */
#include "probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEVICES = 64 };

static struct {
    char name[32];
    ndbuf_device *device;
} devices[MAX_DEVICES];
static int32_t ndevices;

ndbuf_status probe_device(const char *name, ndbuf_device **out_device, ndbuf_error *err)
{
    for (int32_t i = 0; i < ndevices; i++) {
        if (strcmp(devices[i].name, name) == 0) {
            *out_device = devices[i].device;
            return NDBUF_OK;
        }
    }
    if (ndevices == MAX_DEVICES || strlen(name) >= sizeof(devices[0].name)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "no device of that name");
    }
    ndbuf_status status = ndbuf_device_open(name, &devices[ndevices].device, err);
    if (status == NDBUF_OK) {
        memcpy(devices[ndevices].name, name, strlen(name) + 1);
        *out_device = devices[ndevices++].device;
    }
    return status;
}

void probe_close_devices(void)
{
    while (ndevices > 0) {
        ndbuf_device_close(devices[--ndevices].device);
    }
}

ndbuf_status probe_opaque_format(int64_t itemsize, ndbuf_format **out_format, ndbuf_error *err)
{
    return ndbuf_format_create(NDBUF_KIND_BYTES, itemsize, '=', out_format, err);
}

ndbuf_status probe_imaginary_storage(int64_t nbytes, ndbuf_storage **out_storage, ndbuf_error *err)
{
    static unsigned char somewhere;
    if (nbytes < 0) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "a buffer of %lld bytes", (long long)nbytes);
    }
    return ndbuf_storage_adopt(ndbuf_device_cpu(), &somewhere, (size_t)nbytes, 0, NULL, NULL, out_storage, err);
}

ndbuf_status probe_hello(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    (void)request;
    const uint16_t one = 1;
    unsigned char first_byte;
    memcpy(&first_byte, &one, 1);
    probe_put(answer, " proto=1 lib=ndbuf/%s order=%s ptr=%d devices=", ndbuf_version(),
              first_byte == 1 ? "little" : "big", (int)sizeof(void *));
    const char *separator = "";
    for (int32_t i = 0; i < ndbuf_backend_count(); i++) {
        ndbuf_backend_info info;
        ndbuf_status status = ndbuf_backend_info_get(i, &info, err);
        if (status != NDBUF_OK) {
            return status;
        }
        for (int32_t ordinal = 0; info.status == NDBUF_OK && ordinal < info.ndevices; ordinal++) {
            probe_put(answer, "%s%s", separator, info.name);
            if (strcmp(info.name, "cpu") != 0) {
                probe_put(answer, ":%d", (int)ordinal);
            }
            separator = ",";
        }
    }
    return NDBUF_OK;
}

/* The commands; without a handler: what ndbuf cannot do, which is skipped. */
static const struct {
    const char *name;
    probe_handler handler;
} commands[] = {
    {"hello", probe_hello},
    {"format", probe_format},
    {"view", probe_view},
    {"slice", probe_slice},
    {"overlap", probe_overlap},
    {"selfoverlap", probe_self_overlap},
    {"copy", probe_copy},
    {"move", probe_move},
    {"gather", probe_gather},
    {"scatter", probe_scatter},
    {"request", probe_request_view},
    {"pack", probe_pack},
    {"unpack", probe_unpack},
    {"convert", probe_convert},
    {"sconvert", probe_strided_convert},
    {"cancast", probe_can_cast},
    {"dlpack", probe_dlpack},
    {"fromdlpack", probe_from_dlpack},
};

/* The protocol's word for a failure. */
static const char *error_class(const probe_request *request, ndbuf_status status)
{
    if (strcmp(request->error_class, "arg") != 0) {
        return request->error_class;
    }
    switch (status) {
    case NDBUF_ERR_FORMAT:
        return "format";
    case NDBUF_ERR_OVERFLOW:
        return "overflow";
    case NDBUF_ERR_BOUNDS:
        return "bounds";
    case NDBUF_ERR_COPY_NEEDED:
        return "copy";
    default:
        return "arg";
    }
}

static void answer_error(probe_answer *answer, const char *class_name, const char *message)
{
    answer->is_cut = false;
    answer->length = 0;
    probe_put(answer, "err class=%s", class_name);
    probe_put_text(answer, "msg", message);
}

/* Makes the answer to a line of `length` bytes, which is overwritten. */
static void answer_line(char *line, size_t length, probe_answer *answer)
{
    static probe_request request;
    ndbuf_error err = {0};
    answer->is_cut = false;
    answer->length = 0;
    ndbuf_status status = probe_request_parse(&request, line, length, &err);
    if (status == NDBUF_OK) {
        size_t i = 0;
        while (i < sizeof(commands) / sizeof(commands[0]) && strcmp(commands[i].name, request.command) != 0) {
            i++;
        }
        if (i == sizeof(commands) / sizeof(commands[0])) {
            status = ndbuf_fail(&err, NDBUF_ERR_INVALID, "unknown command");
        } else if (commands[i].handler == NULL) {
            probe_put(answer, "skip");
            probe_put_text(answer, "why", "not in this version of ndbuf");
        } else {
            probe_put(answer, "ok");
            status = commands[i].handler(&request, answer, &err);
        }
    }
    if (status != NDBUF_OK) {
        answer_error(answer, error_class(&request, status), err.message);
    } else if (answer->is_cut) {
        answer_error(answer, "arg", "the answer is longer than a line may be");
    }
    probe_request_clear(&request);
}

/* Reads a line into `line`, without its line feed. Of a line that is too long *out_length tells, and the rest is read
 * over. Returns false at the end of the input. */
static bool read_line(char line[PROBE_MAX_LINE], size_t *out_length)
{
    size_t length = 0;
    int c = getchar();
    if (c == EOF) {
        return false;
    }
    for (; c != '\n' && c != EOF; c = getchar()) {
        if (length < PROBE_MAX_LINE) {
            line[length++] = (char)c;
        }
    }
    *out_length = length;
    return true;
}

int main(void)
{
    static char line[PROBE_MAX_LINE];
    static probe_answer answer;
    size_t length = 0;
    /* Two devices of PoCL, for copies between devices; its versions differ in the name, and pass over other names. */
    setenv("POCL_DEVICES", "cpu cpu pthread pthread", 0);
    while (read_line(line, &length)) {
        if (length < PROBE_MAX_LINE) {
            answer_line(line, length, &answer);
        } else {
            answer_error(&answer, "arg", "the line is too long");
        }
        answer.text[answer.length] = '\n';
        if (fwrite(answer.text, 1, answer.length + 1, stdout) != answer.length + 1 || fflush(stdout) != 0) {
            break;
        }
    }
    probe_close_devices();
    return ferror(stdout) ? 1 : 0;
}
