/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Ends a value of a list: the next one begins behind the comma. Returns NULL at the end. */
static char *cut_value(char *text)
{
    char *comma = strchr(text, ',');
    if (comma == NULL) {
        return NULL;
    }
    *comma = '\0';
    return comma + 1;
}

/* The bits of "3ff0000000000000" as a double, or "nan". */
static bool read_double(const char *text, size_t length, double *out_value)
{
    unsigned char bytes[8];
    uint64_t bits = 0;
    if (length == 3 && memcmp(text, "nan", 3) == 0) {
        bits = UINT64_C(0x7FF8000000000000);
    } else if (length == 16 && probe_read_hex(text, length, bytes)) {
        for (int i = 0; i < 8; i++) {
            bits = bits << 8 | bytes[i];
        }
    } else {
        return false;
    }
    memcpy(out_value, &bits, sizeof(bits));
    return true;
}

/* An integer of up to 64 bits with or without a sign. Returns whether it is one; what is beyond that is told by
 * *out_fits. */
static bool read_integer(const char *text, ndbuf_value *out_value, bool *out_fits)
{
    bool negative = text[0] == '-';
    const char *digits = text + negative;
    uint64_t magnitude = 0;
    *out_fits = true;
    if (digits[0] == '\0' || strspn(digits, "0123456789") != strlen(digits)) {
        return false;
    }
    for (const char *c = digits; *c != '\0'; c++) {
        uint64_t digit = (uint64_t)(*c - '0');
        *out_fits = *out_fits && magnitude <= (UINT64_MAX - digit) / 10;
        magnitude = magnitude * 10 + digit;
    }
    if (negative) {
        *out_fits = *out_fits && magnitude <= (uint64_t)INT64_MAX + 1;
        out_value->kind = NDBUF_VALUE_INT;
        out_value->as.int64 = magnitude > (uint64_t)INT64_MAX ? INT64_MIN : -(int64_t)magnitude;
    } else {
        out_value->kind = NDBUF_VALUE_UINT;
        out_value->as.uint64 = magnitude;
    }
    return true;
}

static ndbuf_status read_value(probe_request *request, const char *text, ndbuf_value *out_value, ndbuf_error *err)
{
    size_t length = strlen(text);
    bool fits = true;
    bool good = false;
    *out_value = (ndbuf_value){0};
    if (text[0] == 'h') {
        void *block = NULL;
        ndbuf_status status = probe_alloc(request, length / 2 + 1, &block, err);
        if (status != NDBUF_OK) {
            return status;
        }
        out_value->kind = NDBUF_VALUE_BYTES;
        out_value->as.bytes.data = block;
        out_value->as.bytes.nbytes = (int64_t)(length / 2);
        good = probe_read_hex(text + 1, length - 1, block);
    } else if (text[0] == 'x' || text[0] == 'n') {
        size_t first = text[0] == 'x';
        out_value->kind = NDBUF_VALUE_FLOAT;
        good = read_double(text + first, length - first, &out_value->as.float64);
    } else if (text[0] == 'z') {
        const char *slash = strchr(text, '/');
        out_value->kind = NDBUF_VALUE_COMPLEX;
        good = slash != NULL && read_double(text + 1, (size_t)(slash - text - 1), &out_value->as.complex.real) &&
               read_double(slash + 1, strlen(slash + 1), &out_value->as.complex.imag);
    } else {
        good = read_integer(text, out_value, &fits);
    }
    if (!good) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "'%.60s' is no value", text);
    }
    if (!fits) {
        request->error_class = "range";
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "%.60s is beyond 64 bits", text);
    }
    return NDBUF_OK;
}

static ndbuf_status get_values(probe_request *request, ndbuf_value **out_values, int64_t *out_count, ndbuf_error *err)
{
    const char *text = NULL;
    void *block = NULL;
    ndbuf_status status = probe_get_text(request, "values", &text, err);
    if (status != NDBUF_OK) {
        return status;
    }
    size_t room = 1;
    for (const char *c = text; *c != '\0'; c++) {
        room += *c == ',';
    }
    status = probe_alloc(request, room * sizeof(ndbuf_value) + strlen(text) + 1, &block, err);
    if (status != NDBUF_OK) {
        return status;
    }
    ndbuf_value *values = block;
    char *next = (char *)(values + room);
    int64_t count = 0;
    memcpy(next, text, strlen(text) + 1);
    while (next != NULL && strcmp(text, "-") != 0 && status == NDBUF_OK) {
        char *value = next;
        next = cut_value(value);
        status = read_value(request, value, &values[count++], err);
    }
    *out_values = values;
    *out_count = count;
    return status;
}

/* Whether a text is one that `struct` reads, in native mode. Then no leaf is in a record. */
static bool is_native_struct(const char *text)
{
    const char *codes = text[0] == '@' ? text + 1 : text;
    return strspn(codes, "0123456789 \t\n\v\f\rxcbB?hHiIlLqQnNefdspP") == strlen(codes);
}

/* In native mode `struct` makes a float as C does: what is beyond its range becomes infinite. */
static void make_floats_as_c(const char *text, const ndbuf_format *format, ndbuf_value *values, int64_t count)
{
    int64_t at = 0;
    if (!is_native_struct(text)) {
        return;
    }
    for (int32_t i = 0; i < ndbuf_format_nfields(format); i++) {
        ndbuf_field field;
        if (ndbuf_format_field(format, i, &field, NULL) != NDBUF_OK) {
            return;
        }
        int64_t nelements = field.ndim > 0 ? field.extents[0] : 1; /* struct has counts alone */
        for (int64_t k = 0; k < nelements && at < count; k++, at++) {
            if (strcmp(field.code, "f") == 0 && values[at].kind == NDBUF_VALUE_FLOAT) {
                values[at].as.float64 = (float)values[at].as.float64;
            }
        }
    }
}

static ndbuf_status get_format(const probe_request *request, const char **out_text, ndbuf_format **out_format,
                               ndbuf_error *err)
{
    ndbuf_status status = probe_get_text(request, "fmt", out_text, err);
    if (status == NDBUF_OK) {
        status = ndbuf_format_parse(*out_text, 0, out_format, err);
    }
    if (status == NDBUF_OK && ndbuf_format_itemsize(*out_format) > PROBE_MAX_NBYTES) {
        status =
            ndbuf_fail(err, NDBUF_ERR_INVALID, "an item of %lld bytes", (long long)ndbuf_format_itemsize(*out_format));
    }
    return status;
}

ndbuf_status probe_pack(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    const char *text = NULL;
    ndbuf_format *format = NULL;
    ndbuf_value *values = NULL;
    int64_t count = 0;
    void *item = NULL;
    ndbuf_status status = get_format(request, &text, &format, err);
    if (status == NDBUF_OK) {
        status = get_values(request, &values, &count, err);
    }
    if (status == NDBUF_OK) {
        make_floats_as_c(text, format, values, count);
        status = probe_alloc(request, (size_t)ndbuf_format_itemsize(format), &item, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_item_pack(format, values, count, item, ndbuf_format_itemsize(format), err);
        request->error_class = status == NDBUF_ERR_OVERFLOW ? "range" : request->error_class;
    }
    if (status == NDBUF_OK) {
        probe_put_hex(answer, "data", item, (size_t)ndbuf_format_itemsize(format));
    }
    ndbuf_format_release(format);
    return status;
}

/* The halves of a complex number are bits, also of a NaN. */
static void put_double(probe_answer *answer, const char *prefix, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if (value != value && prefix[0] == 'x') {
        probe_put(answer, "nan");
    } else {
        probe_put(answer, "%s%016" PRIx64, prefix, bits);
    }
}

static void put_value(probe_answer *answer, const ndbuf_value *value)
{
    switch (value->kind) {
    case NDBUF_VALUE_INT:
        probe_put(answer, "%" PRId64, value->as.int64);
        break;
    case NDBUF_VALUE_UINT:
        probe_put(answer, "%" PRIu64, value->as.uint64);
        break;
    case NDBUF_VALUE_FLOAT:
        put_double(answer, "x", value->as.float64);
        break;
    case NDBUF_VALUE_COMPLEX:
        put_double(answer, "z", value->as.complex.real);
        put_double(answer, "/", value->as.complex.imag);
        break;
    default:
        probe_put(answer, "h");
        for (int64_t i = 0; i < value->as.bytes.nbytes; i++) {
            probe_put(answer, "%02x", ((const unsigned char *)value->as.bytes.data)[i]);
        }
    }
}

ndbuf_status probe_unpack(probe_request *request, probe_answer *answer, ndbuf_error *err)
{
    const char *text = NULL;
    ndbuf_format *format = NULL;
    unsigned char *item = NULL;
    size_t nbytes = 0;
    void *block = NULL;
    int64_t count = 0;
    ndbuf_status status = get_format(request, &text, &format, err);
    if (status == NDBUF_OK) {
        status = probe_get_bytes(request, "data", &item, &nbytes, err);
    }
    if (status == NDBUF_OK && (int64_t)nbytes != ndbuf_format_itemsize(format)) {
        status = ndbuf_fail(err, NDBUF_ERR_INVALID, "%zu bytes for an item of %lld", nbytes,
                            (long long)ndbuf_format_itemsize(format));
    }
    if (status == NDBUF_OK) {
        count = ndbuf_item_nvalues(format);
        status = probe_alloc(request, (size_t)count * sizeof(ndbuf_value), &block, err);
    }
    ndbuf_value *values = block;
    if (status == NDBUF_OK) {
        status = ndbuf_item_unpack(format, item, (int64_t)nbytes, values, count, err);
    }
    if (status == NDBUF_OK) {
        probe_put(answer, " values=%s", count == 0 ? "-" : "");
        for (int64_t i = 0; i < count; i++) {
            probe_put(answer, "%s", i > 0 ? "," : "");
            put_value(answer, &values[i]);
        }
    }
    ndbuf_format_release(format);
    return status;
}
