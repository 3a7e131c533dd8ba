/* SPDX-License-Identifier: Apache-2.0 */
#include "core/loss_core.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MAX_ALIGNMENT 4096

ndbuf__losses ndbuf__losses_begin(uint32_t accept, ndbuf_loss *report, ndbuf_error *err)
{
    if (report != NULL) {
        memset(report, 0, sizeof(*report));
    }
    return (ndbuf__losses){.accept = accept | NDBUF_LOSS_ALIGNMENT, .report = report, .err = err};
}

void ndbuf__loss_add(ndbuf__losses *losses, uint32_t flag, ndbuf_status status, const char *bridge, const char *format,
                     ...)
{
    char text[sizeof(losses->report->message)];
    bool refused = (losses->accept & flag) == 0 && losses->status == NDBUF_OK;
    losses->flags |= flag;
    if (!refused && losses->report == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (refused) {
        losses->status = ndbuf_fail(losses->err, status, "%s: %s", bridge, text);
    }
    ndbuf_loss *report = losses->report;
    if (report != NULL) {
        size_t length = strlen(report->message);
        report->flags |= flag;
        snprintf(report->message + length, sizeof(report->message) - length, "%s%s", length > 0 ? "; " : "", text);
    }
}

int64_t ndbuf__alignment_of(const void *handle, int64_t byte_offset, int has_address)
{
    uint64_t address = (uint64_t)byte_offset + (has_address ? (uint64_t)(uintptr_t)handle : 0);
    address |= MAX_ALIGNMENT;
    return (int64_t)(address & (0 - address));
}

void ndbuf__loss_set_alignment(ndbuf__losses *losses, int64_t alignment, int64_t natural)
{
    if (losses->report != NULL) {
        losses->report->alignment = alignment;
    }
    if (alignment < natural) {
        ndbuf__loss_add(losses, NDBUF_LOSS_ALIGNMENT, NDBUF_OK, "", "item 0..0 is aligned to %lld bytes, not %lld",
                        (long long)alignment, (long long)natural);
    }
}
