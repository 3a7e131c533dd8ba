/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "core/compiler.h"
#include "core/copy_stage.h"
#include "core/float_mode.h"
#include "core/kept_plan.h"

const char *ndbuf_route_name(ndbuf_route route)
{
    switch (route) {
    case NDBUF_ROUTE_NONE:
        return "none";
    case NDBUF_ROUTE_BYTES:
        return "bytes";
    case NDBUF_ROUTE_RECT:
        return "rect";
    case NDBUF_ROUTE_STRIDED:
        return "strided";
    case NDBUF_ROUTE_STAGED:
        return "staged";
    case NDBUF_ROUTE_THROUGH_HOST:
        return "through-host";
    case NDBUF_ROUTE_MAPPED:
        return "mapped";
    }
    return "?";
}

/* Text of which as much is kept as fits; `length` is that of the whole. */
typedef struct text {
    char *start;
    size_t size;
    size_t length;
} text;

static void text_add(text *out, const char *format, ...) NDBUF_PRINTF(2, 3);

static void text_add(text *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    bool full = out->length >= out->size;
    int added = vsnprintf(full ? NULL : out->start + out->length, full ? 0 : out->size - out->length, format, args);
    va_end(args);
    out->length += added > 0 ? (size_t)added : 0;
}

static void text_add_list(text *out, const char *name, int32_t count, const int64_t *values)
{
    text_add(out, " %s (", name);
    for (int32_t k = 0; k < count; k++) {
        text_add(out, "%s%lld", k > 0 ? ", " : "", (long long)values[k]);
    }
    text_add(out, ")");
}

static void add_side(text *out, const char *role, const ndbuf_device *device, const ndbuf__layout *layout)
{
    ndbuf_device_info info;
    ndbuf_device_info_get(device, &info);
    text_add(out, "  %s %s:", role, info.name);
    text_add_list(out, "strides", layout->ndim, layout->strides);
    if (layout->suboffsets != NULL) {
        text_add_list(out, "suboffsets", layout->ndim, layout->suboffsets);
    }
    text_add(out, "\n");
}

static void add_axes(text *out, const ndbuf__copy_axes *axes)
{
    text_add(out, "  merged: %d axes, %s of %lld bytes", (int)axes->ndim,
             ndbuf__converts(&axes->convert) ? "items" : "runs", (long long)axes->unit_nbytes);
    if (axes->ndim > 0) {
        text_add(out, ":");
        text_add_list(out, "shape", axes->ndim, axes->shape);
        text_add_list(out, "dst strides", axes->ndim, axes->dst_strides);
        text_add_list(out, "src strides", axes->ndim, axes->src_strides);
    }
    text_add(out, "\n");
}

/* What is converted, where, and why there. */
static void add_conversion(text *out, const ndbuf_copy_plan *kept)
{
    const ndbuf__plan *plan = &kept->plan;
    const ndbuf__staging *staging = &plan->staging;
    text_add(out, "  converts: from items of %lld bytes '%s', casting %s%s, ", (long long)kept->input.src.itemsize,
             ndbuf_format_text(kept->src.format), ndbuf_casting_name(kept->casting),
             (kept->cast.convert.flags & NDBUF_CAST_SATURATE) != 0 ? ", saturating" : "");
    if (kept->nparts > 0) {
        text_add(out, "in %d copies, since no route takes all fields together\n", (int)kept->nparts);
    } else if (kept->cast.moves_nothing) {
        text_add(out, "which have nothing in common\n");
    } else if (!ndbuf__route_is_staged(plan->route)) {
        text_add(out, "%s, in the same pass\n",
                 plan->by_host || plan->route == NDBUF_ROUTE_MAPPED ? "by the host" : "by a kernel on the device");
    } else if (staging->converts_at == NDBUF__CONVERTS_NOWHERE) {
        text_add(out, "of which bytes are left out\n");
    } else if (staging->converts_at == NDBUF__CONVERTS_ON_HOST) {
        text_add(out, "by the host as it packs: %lld bytes of an item travel\n",
                 (long long)(staging->stores ? staging->dst_unit_nbytes : staging->src_unit_nbytes));
    } else {
        bool before = staging->converts_at == NDBUF__CONVERTS_BEFORE;
        text_add(out, "by a kernel on the %s device %s the transfer: %lld bytes of an item travel\n",
                 before ? "source's" : "destination's", before ? "before" : "behind",
                 (long long)(before ? staging->src_unit_nbytes : staging->dst_unit_nbytes));
    }
}

/* Why a direct way is not open. */
static const char *why_not(ndbuf_route route, const ndbuf__plan *plan, const ndbuf_copy_caps *caps)
{
    if (ndbuf__cast_parts(&plan->cast) != NULL || ndbuf__converts(&plan->axes.convert)) {
        return "it does not convert these items";
    }
    if (plan->indirect) {
        return "pointers have to be followed on the host";
    }
    if ((caps->flags & ndbuf__route_flag(route)) == 0) {
        return "no backend offers it between these devices";
    }
    return "no axis has rows that run forward without overlap on both sides";
}

static void add_candidate(text *out, const ndbuf_copy_plan *kept, ndbuf_route route)
{
    ndbuf__transfer way = {.route = NDBUF_ROUTE_NONE};
    if (!kept->plan.indirect && ndbuf__cast_parts(&kept->plan.cast) == NULL) {
        way = ndbuf__transfer_by(route, &kept->plan.axes, &kept->input.direct);
    }
    text_add(out, "    %-12s ", ndbuf_route_name(route));
    if (way.route == NDBUF_ROUTE_NONE) {
        text_add(out, "not open: %s\n", why_not(route, &kept->plan, &kept->input.direct));
        return;
    }
    text_add(out, "%lld call(s), %lld row(s), about %.0f us%s\n", (long long)way.ncalls, (long long)way.nrows,
             (way.cost_ns + kept->input.direct.wait_ns) / 1000, route == kept->plan.route ? "  <- taken" : "");
}

static void add_mapped(text *out, const ndbuf_copy_plan *kept)
{
    const ndbuf__plan *plan = &kept->plan;
    const char *name = ndbuf_route_name(NDBUF_ROUTE_MAPPED);
    if (!plan->is_mappable) {
        text_add(out, "    %-12s not open: the host does not reach the memory of these devices\n", name);
        return;
    }
    text_add(out, "    %-12s 1 call, about %.0f us%s\n", name,
             (plan->mapped_cost_ns + kept->input.direct.wait_ns) / 1000,
             plan->route == NDBUF_ROUTE_MAPPED ? "  <- taken" : "");
}

static NDBUF__NOINLINE void add_candidates(text *out, const ndbuf_copy_plan *kept)
{
    const ndbuf__plan *plan = &kept->plan;
    text_add(out, "  ways (times are estimates):\n");
    if (plan->by_host) {
        text_add(out, "    %-12s the host %s  <- taken\n", ndbuf_route_name(plan->route),
                 plan->indirect ? "follows the pointers" : "converts");
        return;
    }
    add_candidate(out, kept, NDBUF_ROUTE_BYTES);
    add_candidate(out, kept, NDBUF_ROUTE_RECT);
    add_candidate(out, kept, NDBUF_ROUTE_STRIDED);
    if (!kept->input.dst_is_host || !kept->input.src_is_host) {
        add_mapped(out, kept);
    }
    if (plan->has_staging) {
        ndbuf_route route =
            plan->staging.fetches && plan->staging.stores ? NDBUF_ROUTE_THROUGH_HOST : NDBUF_ROUTE_STAGED;
        text_add(out, "    %-12s %lld call(s), %lld row(s), about %.0f us%s\n", ndbuf_route_name(route),
                 (long long)plan->staging.ncalls, (long long)plan->staging.nrows, plan->staging.cost_ns / 1000,
                 ndbuf__route_is_staged(plan->route) ? "  <- taken" : "");
    }
}

/* How a copy goes on a queue, and why it lets the caller wait. */
static const char *on_a_queue(const ndbuf_copy_plan *plan, const ndbuf_copy_plan_info *info)
{
    bool is_staged = ndbuf__route_is_staged(plan->plan.route);
    bool may_block = (plan->input.direct.flags & NDBUF_COPY_MAY_BLOCK) != 0;
    if (info->asynchronous) {
        return !may_block || is_staged || plan->plan.by_host ? "asynchronous on a queue"
               : plan->plan.has_staging
                   ? "on a queue staged and asynchronous: the driver reads pageable host memory at once"
                   : "on a queue by the host and asynchronous: the driver reads its memory at once";
    }
    if (is_staged) {
        return "blocks the caller, who waits for the two devices in turn";
    }
    return may_block ? "may block the caller: the driver copies pageable host memory itself" : "blocks the caller";
}

size_t ndbuf_copy_plan_explain(const ndbuf_copy_plan *plan, char *out_text, size_t size)
{
    text out = {.start = out_text, .size = size};
    const ndbuf__plan *made = &plan->plan;
    ndbuf_copy_plan_info info;
    ndbuf_copy_plan_info_get(plan, &info);
    if (size > 0) {
        out_text[0] = '\0';
    }
    text_add(&out, "copy of %lld bytes:", (long long)info.nbytes);
    text_add_list(&out, "shape", plan->input.dst.ndim, plan->input.dst.shape);
    text_add(&out, ", items of %lld bytes '%s'\n", (long long)plan->input.dst.itemsize,
             ndbuf_format_text(plan->dst.format));
    add_side(&out, "from", plan->src.device, &plan->src.layout);
    add_side(&out, "to  ", plan->dst.device, &plan->dst.layout);
    if (ndbuf__casts(&plan->cast)) {
        add_conversion(&out, plan);
    }
    for (int32_t i = 0; i < plan->nparts; i++) {
        text_add(&out, "part %d: ", (int)i);
        size_t room = out.length < size ? size - out.length : 0;
        out.length += ndbuf_copy_plan_explain(plan->parts[i], room > 0 ? out_text + out.length : NULL, room);
    }
    if (plan->nparts > 0) {
        return out.length;
    }
    if (made->route == NDBUF_ROUTE_NONE) {
        text_add(&out, "  route none: there are no bytes to move\n");
        return out.length;
    }
    if (!made->indirect) {
        add_axes(&out, &made->axes);
    }
    const uint64_t mode = ndbuf__float_mode_begin(); /* times are estimates, and want no signals */
    add_candidates(&out, plan);
    ndbuf__float_mode_end(mode);
    text_add(&out, "  route %s: %lld call(s), %lld row(s), %s\n", ndbuf_route_name(made->route), (long long)info.ncalls,
             (long long)info.nrows, on_a_queue(plan, &info));
    if (ndbuf__route_is_staged(made->route)) {
        const ndbuf_device *owner = ndbuf__staging_owner(plan->dst.device, plan->src.device);
        text_add(&out, "  staging: %lld bytes%s, %lld box(es)%s\n", (long long)info.staging_nbytes,
                 owner->staging != NULL ? " pinned" : "", (long long)made->staging.nboxes,
                 made->staging.sorts ? " in the host's order, which a kernel of the device brings into its own" : "");
    }
    if (info.temporary_nbytes > 0) {
        text_add(&out, "  temporary: %lld bytes, since the views share memory\n", (long long)info.temporary_nbytes);
    }
    return out.length;
}
