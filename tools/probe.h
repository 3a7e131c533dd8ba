/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_PROBE_H
#define NDBUF_TOOLS_PROBE_H

/* What the files of ndbuf-probe share. The protocol is described in tests/oracle/PROTOCOL.md.
 *
 * A handler returns NDBUF_OK with its fields in the answer, or a status and an error, from which the answer is made.
 * Memory that lives as long as a request comes from probe_alloc, and nobody frees it; views and storages are released
 * where they were made. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"

#define PROBE_MAX_LINE 65536 /* bytes of a line, with its line feed */
#define PROBE_MAX_FIELDS 64

/* A buffer or a packed copy beyond this is refused, so that no request can fill the machine's memory. */
#define PROBE_MAX_NBYTES ((int64_t)1 << 30)

typedef struct probe_field {
    const char *key;
    char *value;   /* decoded, terminated */
    size_t length; /* of the value, which may contain NUL */
} probe_field;

typedef struct probe_request {
    const char *command;
    const char *error_class; /* of the errors that have no class of their own; "arg" unless a handler sets it */
    int32_t nfields;
    probe_field fields[PROBE_MAX_FIELDS];
    void *blocks; /* of probe_alloc, each begins with the next one's address */
} probe_request;

typedef struct probe_answer {
    bool is_cut; /* it did not fit */
    size_t length;
    char text[PROBE_MAX_LINE];
} probe_answer;

typedef struct probe_list {
    int64_t count;
    int64_t *values;
} probe_list;

/* Takes a line of `length` bytes without its line feed apart; it is overwritten, and must live as long as the request.
 * The request is to be ended by probe_request_clear in any case. Statuses: NDBUF_ERR_INVALID. */
ndbuf_status probe_request_parse(probe_request *request, char *line, size_t length, ndbuf_error *err);
void probe_request_clear(probe_request *request);

/* Memory until the request is cleared. Statuses: NDBUF_ERR_NOMEM. */
ndbuf_status probe_alloc(probe_request *request, size_t nbytes, void **out_block, ndbuf_error *err);

/* Values by their keys. A missing or malformed one is NDBUF_ERR_INVALID, with the key in the text. */
bool probe_has(const probe_request *request, const char *key);
ndbuf_status probe_get_text(const probe_request *request, const char *key, const char **out_text, ndbuf_error *err);
ndbuf_status probe_get_int(const probe_request *request, const char *key, int64_t *out_value, ndbuf_error *err);
ndbuf_status probe_get_list(probe_request *request, const char *key, probe_list *out_list, ndbuf_error *err);

/* Bytes written as hexadecimal digits; "-" is none. Memory of the request. */
ndbuf_status probe_get_bytes(probe_request *request, const char *key, unsigned char **out_bytes, size_t *out_nbytes,
                             ndbuf_error *err);

/* The same of a part of a value. */
bool probe_read_hex(const char *text, size_t length, unsigned char *out_bytes); /* length / 2 of them */
bool probe_read_int(const char *text, size_t length, int64_t *out_value);
ndbuf_status probe_read_list(probe_request *request, const char *text, size_t length, probe_list *out_list,
                             ndbuf_error *err);

/* Appends to an answer: as printf does; " key=value"; a list, where NULL is written as null and count 0 as "-"; text
 * with whatever the protocol demands encoded. */
void probe_put(probe_answer *answer, const char *format, ...) NDBUF_PRINTF(2, 3);
void probe_put_int(probe_answer *answer, const char *key, int64_t value);
void probe_put_list(probe_answer *answer, const char *key, int64_t count, const int64_t *values);
void probe_put_text(probe_answer *answer, const char *key, const char *text);
void probe_put_hex(probe_answer *answer, const char *key, const void *bytes, size_t nbytes);

/* An open device by name, borrowed: the probe keeps every device that it has opened. Statuses of ndbuf_device_open. */
ndbuf_status probe_device(const char *name, ndbuf_device **out_device, ndbuf_error *err);
void probe_close_devices(void);

/* A format of opaque items. The caller's reference. */
ndbuf_status probe_opaque_format(int64_t itemsize, ndbuf_format **out_format, ndbuf_error *err);

/* A storage of any size over an address that nobody follows: for questions about layouts alone. */
ndbuf_status probe_imaginary_storage(int64_t nbytes, ndbuf_storage **out_storage, ndbuf_error *err);

/* The handlers, one for each command. */
typedef ndbuf_status (*probe_handler)(probe_request *request, probe_answer *answer, ndbuf_error *err);

ndbuf_status probe_can_cast(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_convert(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_copy(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_dlpack(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_format(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_from_dlpack(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_gather(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_hello(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_move(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_overlap(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_pack(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_request_view(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_scatter(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_self_overlap(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_slice(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_strided_convert(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_unpack(probe_request *request, probe_answer *answer, ndbuf_error *err);
ndbuf_status probe_view(probe_request *request, probe_answer *answer, ndbuf_error *err);

#endif
