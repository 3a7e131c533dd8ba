/* SPDX-License-Identifier: Apache-2.0 */
#include "core/arrow_core.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/format_codes.h"

/* Numbers that both sides know, in the host's byte order. */
static const struct {
    char text;
    char kind;
    uint8_t size;
} numbers[] = {
    {'c', NDBUF_KIND_INT, 1},   {'C', NDBUF_KIND_UINT, 1},  {'s', NDBUF_KIND_INT, 2},   {'S', NDBUF_KIND_UINT, 2},
    {'i', NDBUF_KIND_INT, 4},   {'I', NDBUF_KIND_UINT, 4},  {'l', NDBUF_KIND_INT, 8},   {'L', NDBUF_KIND_UINT, 8},
    {'e', NDBUF_KIND_FLOAT, 2}, {'f', NDBUF_KIND_FLOAT, 4}, {'g', NDBUF_KIND_FLOAT, 8},
};
#define NNUMBERS (sizeof(numbers) / sizeof(numbers[0]))

/* The letter of a number; '\0': none. */
static char letter_of(const ndbuf_field *field)
{
    for (size_t i = 0; i < NNUMBERS; i++) {
        if (numbers[i].kind == field->kind && numbers[i].size == field->size) {
            return numbers[i].text;
        }
    }
    return '\0';
}

static bool is_bytes(const ndbuf_field *field)
{
    return field->kind == NDBUF_KIND_BYTES || field->kind == NDBUF_KIND_OPAQUE;
}

ndbuf_status ndbuf__arrow_text_of(const ndbuf_format *format, ndbuf__losses *losses,
                                  char out_text[NDBUF__ARROW_FORMAT_NBYTES], int64_t *out_alignment, ndbuf_error *err)
{
    const char *text = ndbuf_format_text(format);
    int64_t itemsize = ndbuf_format_itemsize(format);
    int32_t nfields = ndbuf_format_nfields(format);
    ndbuf_field field = {.kind = 0};
    bool is_lone = nfields == 1 && ndbuf_format_field(format, 0, &field, NULL) == NDBUF_OK && field.ndim == 0 &&
                   field.size == itemsize;
    char letter = is_lone ? letter_of(&field) : '\0';
    if (nfields > 1 || field.nnames > 0) {
        ndbuf__loss_add(losses, NDBUF_LOSS_NAMES, NDBUF_ERR_UNSUPPORTED, "Arrow", "fields have no place: '%.60s'",
                        text);
    }
    if (nfields <= 1 && letter == '\0' && !(is_lone && is_bytes(&field))) {
        ndbuf__loss_add(losses, NDBUF_LOSS_TYPE, NDBUF_ERR_UNSUPPORTED, "Arrow", "it has no type for '%.60s'", text);
    }
    if (letter != '\0' && field.byte_order != '|' && field.byte_order != NDBUF__HOST_ORDER) {
        ndbuf__loss_add(losses, NDBUF_LOSS_BYTE_ORDER, NDBUF_ERR_UNSUPPORTED, "Arrow",
                        "'%.60s' is not in the host's byte order", text);
        letter = '\0';
    }
    if (is_lone && field.kind == NDBUF_KIND_BOOL) {
        letter = 'C';
    }
    *out_alignment = letter != '\0' ? itemsize : 1;
    if (letter != '\0') {
        snprintf(out_text, NDBUF__ARROW_FORMAT_NBYTES, "%c", letter);
        return NDBUF_OK;
    }
    if (itemsize > NDBUF__ARROW_MAX_SIZE) {
        return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "Arrow: items of %lld bytes are too large", (long long)itemsize);
    }
    snprintf(out_text, NDBUF__ARROW_FORMAT_NBYTES, "w:%d", (int)itemsize);
    return NDBUF_OK;
}

int64_t ndbuf__arrow_size_of(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    int64_t size = 0;
    if (strncmp(text, prefix, length) != 0 || text[length] == '\0') {
        return -1;
    }
    for (const char *digit = text + length; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return -1;
        }
        size = 10 * size + (*digit - '0');
        if (size > NDBUF__ARROW_MAX_SIZE) {
            return -1;
        }
    }
    return size;
}

ndbuf_status ndbuf__arrow_format_of(const char *text, ndbuf_format **out_format, int64_t *out_alignment,
                                    ndbuf_error *err)
{
    for (size_t i = 0; i < NNUMBERS; i++) {
        if (text[0] == numbers[i].text && text[1] == '\0') {
            *out_alignment = numbers[i].size;
            return ndbuf_format_create((ndbuf_kind)numbers[i].kind, numbers[i].size, '=', out_format, err);
        }
    }
    int64_t size = ndbuf__arrow_size_of(text, "w:");
    if (size >= 0) {
        *out_alignment = 1;
        return ndbuf_format_create(NDBUF_KIND_BYTES, size, '=', out_format, err);
    }
    return ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED, "Arrow arrays of format '%.60s' are no views", text);
}
