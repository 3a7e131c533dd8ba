/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_CAST_OPTIONS_H
#define NDBUF_TOOLS_CAST_OPTIONS_H

#include "args.h"
#include "ndbuf/ndbuf.h"
#include "view_ops.h"

/* What the command line says about conversion. Zero-initialised: none. */
typedef struct cast_options {
    const char *format; /* borrowed; NULL: as it is */
    const char *rule;   /* borrowed; NULL: not given */
    ndbuf_casting casting;
    uint32_t flags; /* NDBUF_CAST_... bits */
} cast_options;

/* Entries of an option table behind VIEW_OPS_OPTIONS. */
/* clang-format off */
#define CAST_OPTIONS {"--as", 1}, {"--casting", 1}, {"--saturate", 0}
/* clang-format on */
enum { CAST_AS = VIEW_OPS_NOPTIONS, CAST_RULE, CAST_SATURATE, CAST_NOPTIONS };

/* What --help says about them. */
#define CAST_OPTIONS_HELP                                                                                              \
    "  --as FORMAT        converted to these items: '<f', 'e', bfloat16, 'T{<f:x:}' (see 'ndbuf format')\n"            \
    "  --casting RULE     what that may change: no, equiv, safe, same_kind (if not given), unsafe\n"                   \
    "  --saturate         numbers that an integer cannot hold become the nearest that it can\n"

/* Takes one of them. NDBUF_ERR_INVALID: no such rule. */
ndbuf_status cast_options_add(cast_options *options, int option, const char *text, ndbuf_error *err);

/* The format to convert to; `format` itself without --as. The caller's reference. Statuses of ndbuf_format_parse; the
 * text begins with the option. */
ndbuf_status cast_options_format(const cast_options *options, ndbuf_format *format, ndbuf_format **out_format,
                                 ndbuf_error *err);

#endif
