/* SPDX-License-Identifier: Apache-2.0 */
#include "cast_options.h"

#include <string.h>

ndbuf_status cast_options_add(cast_options *options, int option, const char *text, ndbuf_error *err)
{
    if (option == CAST_AS) {
        options->format = text;
        options->casting = options->rule == NULL ? NDBUF_CASTING_SAME_KIND : options->casting;
    } else if (option == CAST_SATURATE) {
        options->flags |= NDBUF_CAST_SATURATE;
    } else {
        int32_t rule = NDBUF_CASTING_NO;
        while (rule <= NDBUF_CASTING_UNSAFE && strcmp(text, ndbuf_casting_name((ndbuf_casting)rule)) != 0) {
            rule++;
        }
        if (rule > NDBUF_CASTING_UNSAFE) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "'%.64s' is not a casting rule", text);
        }
        options->rule = text;
        options->casting = (ndbuf_casting)rule;
    }
    return NDBUF_OK;
}

ndbuf_status cast_options_format(const cast_options *options, ndbuf_format *format, ndbuf_format **out_format,
                                 ndbuf_error *err)
{
    if (options->format == NULL) {
        ndbuf_format_retain(format);
        *out_format = format;
        return NDBUF_OK;
    }
    if (strcmp(options->format, "bfloat16") == 0) {
        return ndbuf_format_create(NDBUF_KIND_BFLOAT, 2, '=', out_format, err);
    }
    ndbuf_error cause = {0};
    ndbuf_status status = ndbuf_format_parse(options->format, 0, out_format, &cause);
    if (status != NDBUF_OK) {
        return ndbuf_fail(err, status, "--as '%.64s': %s", options->format, cause.message);
    }
    return NDBUF_OK;
}
