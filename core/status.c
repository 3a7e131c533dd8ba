/* SPDX-License-Identifier: Apache-2.0 */
#include "ndbuf/status.h"

#include <stdarg.h>
#include <stdio.h>

const char *ndbuf_status_name(ndbuf_status status)
{
    switch (status) {
#define STATUS_NAME(name, number, text)                                                                                \
    case NDBUF_##name:                                                                                                 \
        return "NDBUF_" #name;
        NDBUF_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
    }
    return "NDBUF_ERR_?";
}

const char *ndbuf_status_text(ndbuf_status status)
{
    switch (status) {
#define STATUS_TEXT(name, number, text)                                                                                \
    case NDBUF_##name:                                                                                                 \
        return text;
        NDBUF_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

static void error_fill(ndbuf_error *err, ndbuf_status status, int32_t native_code, const char *format, va_list args)
{
    err->status = (int32_t)status;
    err->native_code = native_code;
    if (vsnprintf(err->message, sizeof(err->message), format, args) < 0) {
        err->message[0] = '\0';
    }
}

ndbuf_status ndbuf_fail(ndbuf_error *err, ndbuf_status status, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        error_fill(err, status, 0, format, args);
        va_end(args);
    }
    return status;
}

ndbuf_status ndbuf_fail_native(ndbuf_error *err, ndbuf_status status, int32_t native_code, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        error_fill(err, status, native_code, format, args);
        va_end(args);
    }
    return status;
}
