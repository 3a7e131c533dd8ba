/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ndbuf/ndbuf.h"
#include "report.h"

static const char help[] = "usage: ndbuf format [--itemsize N] FORMAT\n"
                           "\n"
                           "A PEP 3118 format string laid out: every leaf, the padding, size and alignment.\n"
                           "\n"
                           "  --itemsize N   bytes that the exporter says an item takes, where the text says less\n";

#define MAX_MAPPED_ITEM (1 << 24) /* bytes; padding is looked for in items up to this size */
#define MAX_SHOWN_HOLES 16

static const char *kind_name(int32_t kind)
{
    switch (kind) {
    case NDBUF_KIND_BOOL:
        return "bool";
    case NDBUF_KIND_INT:
        return "int";
    case NDBUF_KIND_UINT:
        return "uint";
    case NDBUF_KIND_FLOAT:
        return "float";
    case NDBUF_KIND_BFLOAT:
        return "bfloat16";
    case NDBUF_KIND_COMPLEX:
        return "complex";
    case NDBUF_KIND_BYTES:
        return "bytes";
    case NDBUF_KIND_PASCAL:
        return "pascal";
    case NDBUF_KIND_TEXT:
        return "text";
    case NDBUF_KIND_BITS:
        return "bits";
    case NDBUF_KIND_OBJECT:
        return "object";
    case NDBUF_KIND_POINTER:
        return "pointer";
    default:
        return "opaque";
    }
}

static void put_field(const ndbuf_field *field)
{
    report_text dims;
    const char *order = field->byte_order == '<' ? "little" : field->byte_order == '>' ? "big" : "-";
    printf("%8lld  %6lld  %-4s  %-8s  %-6s  %-10s  ", (long long)field->offset, (long long)field->size, field->code,
           kind_name(field->kind), order, field->ndim == 0 ? "-" : report_list(field->extents, field->ndim, dims));
    for (int32_t k = 0; k < field->nnames; k++) {
        printf("%s%s", k == 0 ? "" : ".", field->names[k]);
    }
    puts(field->nnames == 0 ? "-" : "");
}

/* Marks the bytes of all elements of a leaf. Elements of a leaf do not overlap, so the work is bounded by the item. */
static void mark_field(const ndbuf_field *field, unsigned char *used)
{
    int64_t index[NDBUF_FORMAT_MAX_DIMS] = {0};
    int64_t offset = field->offset;
    for (int32_t axis = 0; axis < field->ndim; axis++) {
        if (field->extents[axis] == 0) {
            return;
        }
    }
    if (field->size == 0) {
        return;
    }
    for (;;) {
        memset(used + offset, 1, (size_t)field->size);
        int32_t axis = field->ndim - 1;
        for (; axis >= 0; axis--) {
            offset += field->strides[axis];
            if (++index[axis] < field->extents[axis]) {
                break;
            }
            offset -= field->strides[axis] * field->extents[axis];
            index[axis] = 0;
        }
        if (axis < 0) {
            return;
        }
    }
}

static ndbuf_status put_padding(const ndbuf_format *format, ndbuf_error *err)
{
    int64_t itemsize = ndbuf_format_itemsize(format);
    if (itemsize > MAX_MAPPED_ITEM) {
        printf("padding     not looked for in items above %d bytes\n", MAX_MAPPED_ITEM);
        return NDBUF_OK;
    }
    unsigned char *used = calloc(1, (size_t)itemsize + 1);
    if (used == NULL) {
        return ndbuf_fail(err, NDBUF_ERR_NOMEM, "a map of an item of %lld bytes", (long long)itemsize);
    }
    used[itemsize] = 1;
    for (int32_t k = 0; k < ndbuf_format_nfields(format); k++) {
        ndbuf_field field = {0};
        ndbuf_status status = ndbuf_format_field(format, k, &field, err);
        if (status != NDBUF_OK) {
            free(used);
            return status;
        }
        mark_field(&field, used);
    }
    int64_t total = 0;
    int64_t nholes = 0;
    for (int64_t at = 0; at < itemsize; at++) {
        int64_t start = at;
        for (; !used[at]; at++) {
        }
        if (at == start) {
            continue;
        }
        total += at - start;
        if (nholes++ < MAX_SHOWN_HOLES) {
            printf("padding     %lld byte%s at %lld\n", (long long)(at - start), at - start == 1 ? "" : "s",
                   (long long)start);
        }
    }
    if (nholes > MAX_SHOWN_HOLES) {
        printf("padding     and %lld more; %lld bytes in all\n", (long long)(nholes - MAX_SHOWN_HOLES),
               (long long)total);
    } else if (nholes == 0) {
        puts("padding     none");
    }
    free(used);
    return NDBUF_OK;
}

static ndbuf_status put_format(const ndbuf_format *format, ndbuf_error *err)
{
    static const struct {
        uint32_t flag;
        const char *text;
    } flags[] = {{NDBUF_FORMAT_RECORD, "a record"},
                 {NDBUF_FORMAT_HOST_ONLY, "holds objects or pointers: stays on the host"},
                 {NDBUF_FORMAT_UNRELIABLE, "text and item size disagree: read as opaque bytes"}};
    printf("canonical   %s\nitem size   %lld\nalignment   %lld\n", ndbuf_format_text(format),
           (long long)ndbuf_format_itemsize(format), (long long)ndbuf_format_alignment(format));
    for (size_t k = 0; k < sizeof(flags) / sizeof(flags[0]); k++) {
        if (ndbuf_format_flags(format) & flags[k].flag) {
            printf("            %s\n", flags[k].text);
        }
    }
    ndbuf_status status = put_padding(format, err);
    printf("\n%8s  %6s  %-4s  %-8s  %-6s  %-10s  %s\n", "offset", "size", "code", "kind", "order", "dims", "path");
    for (int32_t k = 0; k < ndbuf_format_nfields(format) && status == NDBUF_OK; k++) {
        ndbuf_field field = {0};
        status = ndbuf_format_field(format, k, &field, err);
        if (status == NDBUF_OK) {
            put_field(&field);
        }
    }
    return status;
}

/* The position that the text of a format error gives as "at N:"; -1: none. */
static long error_position(const char *message)
{
    for (const char *at = message; (at = strstr(at, "at ")) != NULL; at += 3) {
        char *end = NULL;
        if ((at == message || at[-1] == ' ') && at[3] >= '0' && at[3] <= '9') {
            long position = strtol(at + 3, &end, 10);
            if (*end == ':') {
                return position;
            }
        }
    }
    return -1;
}

/* The string under the error, and a caret under the character at the position. */
static void put_caret(const char *text, long position)
{
    if (position < 0 || (size_t)position > strlen(text)) {
        return;
    }
    fputs("  ", stderr);
    for (const char *c = text; *c != '\0'; c++) {
        fputc((unsigned char)*c < 0x20 || *c == 0x7F ? '?' : *c, stderr);
    }
    fputs("\n  ", stderr);
    for (long k = 0; k < position; k++) {
        if (((unsigned char)text[k] & 0xC0) != 0x80) { /* bytes that continue a UTF-8 character take no room */
            fputc(' ', stderr);
        }
    }
    fputs("^\n", stderr);
}

int command_format(args_reader *args)
{
    static const args_option options[] = {{"--itemsize", 1}, {NULL, 0}};
    const char *text = NULL;
    int64_t itemsize = 0;
    const char *value = NULL;
    for (int option; (option = args_next(args, options, &value)) != ARGS_END;) {
        if (option == 0) {
            if (!args_read_size(value, &itemsize)) {
                return args_usage(args, "'%.128s' is not a number of bytes", value);
            }
        } else if (option == ARGS_HELP) {
            fputs(help, stdout);
            return EXIT_DONE;
        } else if (option != ARGS_OPERAND) {
            return EXIT_USAGE;
        } else if (text != NULL) {
            return args_usage(args, "'%.128s' is one argument too many", value);
        } else {
            text = value;
        }
    }
    if (text == NULL) {
        return args_usage(args, "no format string");
    }
    ndbuf_error err = {0};
    ndbuf_format *format = NULL;
    if (ndbuf_format_parse(text, itemsize, &format, &err) != NDBUF_OK) {
        int exit_code = report_error(&err);
        put_caret(text, error_position(err.message));
        return exit_code;
    }
    ndbuf_status status = put_format(format, &err);
    ndbuf_format_release(format);
    return status == NDBUF_OK ? EXIT_DONE : report_error(&err);
}
