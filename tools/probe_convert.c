/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_side.h"

#include <string.h>

/* Two formats, "sfmt" and "dfmt". The caller releases both, also on failure. */
static ndbuf_status get_formats(const probe_request *request, ndbuf_format **out_src, ndbuf_format **out_dst,
                                ndbuf_error *err)
{
    const char *text = NULL;
    ndbuf_status status = probe_get_text(request, "sfmt", &text, err);
    if (status == NDBUF_OK) {
        status = ndbuf_format_parse(text, 0, out_src, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_text(request, "dfmt", &text, err);
    }
    return status == NDBUF_OK ? ndbuf_format_parse(text, 0, out_dst, err) : status;
}

ndbuf_status probe_can_cast(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    const char *rule = NULL;
    ndbuf_format *src = NULL;
    ndbuf_format *dst = NULL;
    ndbuf_status status = probe_get_text(request, "rule", &rule, err);
    int32_t casting = NDBUF_CASTING_NO;
    while (status == NDBUF_OK && casting <= NDBUF_CASTING_UNSAFE &&
           strcmp(rule, ndbuf_casting_name((ndbuf_casting)casting)) != 0) {
        casting++;
    }
    if (casting > NDBUF_CASTING_UNSAFE) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "no casting rule '%.40s'", rule);
    }
    if (status == NDBUF_OK) {
        status = get_formats(request, &src, &dst, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_format_can_cast(dst, src, (ndbuf_casting)casting, err);
        if (status == NDBUF_OK || status == NDBUF_ERR_CAST) {
            probe_put_int(answer, "can", status == NDBUF_OK);
            status = NDBUF_OK;
        }
    }
    ndbuf_format_release(dst);
    ndbuf_format_release(src);
    return status;
}

/* Items one after the other in `bytes`. */
static ndbuf_status view_items(ndbuf_format *format, unsigned char *bytes, int64_t count, ndbuf_storage **out_storage,
                               ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_view_spec spec = {.format = format, .ndim = 1, .shape = &count};
    ndbuf_status status = ndbuf_storage_adopt(
        ndbuf_device_cpu(), bytes, (size_t)(count * ndbuf_format_itemsize(format)), 0, NULL, NULL, out_storage, err);
    return status == NDBUF_OK ? ndbuf_view_init(out_view, *out_storage, &spec, err) : status;
}

/* Whether so many items are no more than the probe takes. */
static bool are_few(int64_t count, const ndbuf_format *format)
{
    int64_t itemsize = ndbuf_format_itemsize(format);
    return count >= 0 && (itemsize == 0 ? count : itemsize) <= PROBE_MAX_NBYTES &&
           (itemsize == 0 || count <= PROBE_MAX_NBYTES / itemsize);
}

ndbuf_status probe_convert(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    ndbuf_format *formats[2] = {NULL, NULL}; /* of the source, of the destination */
    ndbuf_storage *storages[2] = {NULL, NULL};
    ndbuf_view views[2] = {{0}};
    unsigned char *bytes[2] = {NULL, NULL};
    int64_t count = 0;
    size_t nbytes = 0;
    ndbuf_status status = get_formats(request, &formats[0], &formats[1], err);
    if (status == NDBUF_OK) {
        status = probe_get_int(request, "count", &count, err);
    }
    if (status == NDBUF_OK) {
        status = probe_get_bytes(request, "data", &bytes[0], &nbytes, err);
    }
    if (status == NDBUF_OK && (!are_few(count, formats[0]) || !are_few(count, formats[1]) ||
                               (int64_t)nbytes != count * ndbuf_format_itemsize(formats[0]))) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%zu bytes for %lld items", nbytes, (long long)count);
    }
    if (status == NDBUF_OK) {
        status = probe_alloc_blank(request, count * ndbuf_format_itemsize(formats[1]), &bytes[1], err);
    }
    for (int side = 0; side < 2 && status == NDBUF_OK; side++) {
        status = view_items(formats[side], bytes[side], count, &storages[side], &views[side], err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_cast(&views[1], &views[0], NDBUF_CASTING_UNSAFE, 0, NULL, err);
    }
    if (status == NDBUF_OK) {
        probe_put_hex(answer, "data", bytes[1], (size_t)(count * ndbuf_format_itemsize(formats[1])));
    }
    for (int side = 0; side < 2; side++) {
        ndbuf_view_release(&views[side]);
        ndbuf_storage_release(storages[side]);
        ndbuf_format_release(formats[side]);
    }
    return status;
}

ndbuf_status probe_strided_convert(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    ndbuf_format *src_format = NULL;
    ndbuf_format *dst_format = NULL;
    probe_list shape = {0};
    probe_side src = {0};
    probe_side dst = {0};
    ndbuf_status status = get_formats(request, &src_format, &dst_format, err);
    if (status == NDBUF_OK) {
        status = probe_get_list(request, "shape", &shape, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&src, request, &probe_source_keys, src_format, &shape, true, err);
    }
    if (status == NDBUF_OK) {
        status = probe_side_init(&dst, request, &probe_destination_keys, dst_format, &shape, false, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_copy_cast(&dst.view, &src.view, NDBUF_CASTING_UNSAFE, 0, NULL, err);
    }
    if (status == NDBUF_OK) {
        status = probe_put_crc(request, answer, dst.buffer, err);
    }
    probe_side_clear(&dst);
    probe_side_clear(&src);
    ndbuf_format_release(dst_format);
    ndbuf_format_release(src_format);
    return status;
}
