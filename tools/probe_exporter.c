/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_side.h"

#include <string.h>

static const probe_side_keys exporter_keys = {NULL, "bytes", "offset", "strides", "sptrs", "spfirst", "spdim", "ssub"};

/* "FORMAT+STRIDES" -> the flags together. */
static ndbuf_status get_flags(const probe_request *request, uint32_t *out_flags, ndbuf_error *err)
{
#define FLAG(name)                                                                                                     \
    {                                                                                                                  \
#name, NDBUF_REQUEST_##name                                                                                    \
    }
    static const struct {
        const char *name;
        uint32_t flag;
    } flags[] = {FLAG(SIMPLE),       FLAG(WRITABLE),     FLAG(FORMAT),         FLAG(ND),       FLAG(STRIDES),
                 FLAG(C_CONTIGUOUS), FLAG(F_CONTIGUOUS), FLAG(ANY_CONTIGUOUS), FLAG(INDIRECT), FLAG(CONTIG),
                 FLAG(CONTIG_RO),    FLAG(STRIDED),      FLAG(STRIDED_RO),     FLAG(RECORDS),  FLAG(RECORDS_RO),
                 FLAG(FULL),         FLAG(FULL_RO)};
#undef FLAG
    const char *text = NULL;
    uint32_t result = 0;
    ndbuf_status status = probe_get_text(request, "flags", &text, err);
    if (status != NDBUF_OK) {
        return status;
    }
    while (text != NULL) {
        size_t length = strcspn(text, "+");
        size_t i = 0;
        while (i < sizeof(flags) / sizeof(flags[0]) &&
               !(strlen(flags[i].name) == length && memcmp(flags[i].name, text, length) == 0)) {
            i++;
        }
        if (i == sizeof(flags) / sizeof(flags[0])) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "no request flag '%.*s'", length < 40 ? (int)length : 40, text);
        }
        result |= flags[i].flag;
        text = text[length] == '+' ? text + length + 1 : NULL;
    }
    *out_flags = result;
    return NDBUF_OK;
}

/* What the consumer was given. The library writes formats in their canonical form ("<Q" for "Q"); what it promises is
 * the layout, not the text. So where the view's format lays out the exporter's items, the exporter's text is told. */
static ndbuf_status put_view(probe_answer *answer, const ndbuf_view *view, const ndbuf_format *format,
                             const char *format_text, ndbuf_error *err)
{
    probe_put_int(answer, "len", view->nbytes);
    probe_put_int(answer, "item", view->itemsize);
    probe_put_int(answer, "readonly", (view->flags & NDBUF_VIEW_READONLY) != 0);
    probe_put_int(answer, "ndim", view->ndim);
    if (view->format == NULL) {
        probe_put(answer, " fmt=null");
    } else {
        ndbuf_format *seen = NULL;
        ndbuf_status status = ndbuf_format_parse(view->format, view->itemsize, &seen, err);
        if (status != NDBUF_OK) {
            return status;
        }
        probe_put_text(answer, "fmt", ndbuf_format_equal(seen, format) ? format_text : view->format);
        ndbuf_format_release(seen);
    }
    probe_put_list(answer, "shape", view->ndim, view->shape);
    probe_put_list(answer, "strides", view->ndim, view->strides);
    probe_put_list(answer, "sub", view->ndim, view->suboffsets);
    return NDBUF_OK;
}

ndbuf_status probe_request_view(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    const char *text = NULL;
    int64_t itemsize = 0;
    int64_t readonly = 0;
    uint32_t flags = 0;
    probe_list shape = {0};
    ndbuf_format *format = NULL;
    probe_side side = {0};
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view = {0};
    ndbuf_status status = probe_get_text(request, "fmt", &text, err);
    if (status == NDBUF_OK) {
        status = probe_get_int(request, "item", &itemsize, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_int(request, "readonly", &readonly, err);
    }
    if (status == NDBUF_OK) {
        status = get_flags(request, &flags, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_list(request, "shape", &shape, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_format_parse(text, itemsize, &format, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&side, request, &exporter_keys, format, &shape, false, err);
    }
    if (status == NDBUF_OK && readonly != 0) {
        status = ndbuf_view_readonly(&side.view, &side.view, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_exporter_create(&side.view, &exporter, err);
    }
    if (status == NDBUF_OK) {
        ndbuf_request wanted = NDBUF_REQUEST_INIT(flags);
        request->error_class = "request";
        status = ndbuf_view_acquire(&view, exporter, &wanted, err);
    }
    if (status == NDBUF_OK) {
        status = put_view(answer, &view, format, text, err);
    }
    ndbuf_view_release(&view);
    ndbuf_exporter_release(exporter);
    probe_side_clear(&side);
    ndbuf_format_release(format);
    return status;
}
