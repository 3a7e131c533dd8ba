/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <inttypes.h>
#include <string.h>

/* A name as part of a path: all but letters, digits and '_' is encoded, the separators of the list among it. */
static void put_name(probe_answer *answer, const char *name)
{
    for (const char *c = name; *c != '\0'; c++) {
        unsigned char byte = (unsigned char)*c;
        bool plain =
            (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
        probe_put(answer, plain ? "%c" : "%%%02X", byte);
    }
}

/* PATH~KIND~OFFSET~SIZE~DIMS~ORDER */
static void put_field(probe_answer *answer, const ndbuf_field *field)
{
    for (int32_t i = 0; i < field->nnames; i++) {
        probe_put(answer, "%s", i > 0 ? "." : "");
        put_name(answer, field->names[i]);
    }
    probe_put(answer, "~%c~%" PRId64 "~%" PRId64 "~%s", (char)field->kind, field->offset, field->size,
              field->ndim == 0 ? "-" : "");
    for (int32_t i = 0; i < field->ndim; i++) {
        probe_put(answer, "%s%" PRId64 "@%" PRId64, i > 0 ? "," : "", field->extents[i], field->strides[i]);
    }
    probe_put(answer, "~%c", field->byte_order);
}

ndbuf_status probe_format(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    const char *text = NULL;
    ndbuf_format *format = NULL;
    request->error_class = "format";
    ndbuf_status status = probe_get_text(request, "fmt", &text, err);
    if (status == NDBUF_OK) {
        status = ndbuf_format_parse(text, 0, &format, err);
    }
    if (status != NDBUF_OK) {
        return status;
    }
    probe_put_int(answer, "itemsize", ndbuf_format_itemsize(format));
    probe_put_int(answer, "align", ndbuf_format_alignment(format));
    int32_t nfields = ndbuf_format_nfields(format);
    probe_put(answer, " fields=%s", nfields == 0 ? "-" : "");
    for (int32_t i = 0; i < nfields && status == NDBUF_OK; i++) {
        ndbuf_field field;
        status = ndbuf_format_field(format, i, &field, err);
        if (status == NDBUF_OK) {
            probe_put(answer, "%s", i > 0 ? ";" : "");
            put_field(answer, &field);
        }
    }
    ndbuf_format_release(format);
    return status;
}
