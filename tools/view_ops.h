/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_VIEW_OPS_H
#define NDBUF_TOOLS_VIEW_OPS_H

#include "args.h"
#include "ndbuf/ndbuf.h"
#include "npy_dtype.h"

/* What the command line does to a view, in the order in which it says so. Zero-initialised: nothing. */
typedef struct view_ops {
    struct {
        int option;       /* an index of VIEW_OPS_OPTIONS */
        const char *text; /* its value; borrowed */
    } list[32];
    int count;
} view_ops;

/* The first entries of the option table of a command that takes them. */
/* clang-format off */
#define VIEW_OPS_OPTIONS {"--slice", 1}, {"--transpose", 0}, {"--permute", 1}, {"--field", 1}
/* clang-format on */
enum { VIEW_OPS_SLICE, VIEW_OPS_TRANSPOSE, VIEW_OPS_PERMUTE, VIEW_OPS_FIELD, VIEW_OPS_NOPTIONS };

/* What --help says about them. */
#define VIEW_OPS_HELP                                                                                                  \
    "  --slice TEXT       Python's syntax, an item for each axis: '::2,::-1', '0,...', ':,None,5:'\n"                  \
    "  --transpose        all axes reversed\n"                                                                         \
    "  --permute LIST     axis k of the result is axis LIST[k]: 2,0,1\n"                                               \
    "  --field PATH       a field of a record: pos.x\n"                                                                \
    "  They are applied in the order given, and may be given several times.\n"

/* Adds an option, whose syntax is checked. NDBUF_ERR_INVALID: malformed; NDBUF_ERR_OVERFLOW: too many. */
ndbuf_status view_ops_add(view_ops *ops, int option, const char *text, ndbuf_error *err);

/* Replaces `view` by what the options make of it.
 *
 * dtype  the view's type; on success that of the result.
 *
 * NDBUF_ERR_INDEX, NDBUF_ERR_INVALID, ... of the functions of view.h; the text begins with the option */
ndbuf_status view_ops_apply(const view_ops *ops, ndbuf_view *view, const npy_dtype **dtype, ndbuf_error *err);

#endif
