/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_CORE_H
#define NDBUF_CORE_COPY_CORE_H

/* Between the functions that users call and the planner: what two views ask of it, and how its plans are run. */

#include "ndbuf/copy.h"

#include "core/copy_plan.h"
#include "core/device_core.h"
#include "core/storage_core.h"

/* Checks what comes before the formats: the views themselves, and their shapes. Statuses of ndbuf_copy. */
ndbuf_status ndbuf__copy_check(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_error *err);

/* Fills what the planner is asked of two views that were checked; the input points to their arrays. *out_direct is the
 * device whose backend offers input->direct, borrowed. */
void ndbuf__copy_prepare(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                         ndbuf__plan_input *out_input, ndbuf_device **out_direct);

/* The backend that copies directly between two devices: the destination's, else the source's, else the host's. Returns
 * its device of the two, or the host; out_caps->flags is 0 if there is none. */
ndbuf_device *ndbuf__copy_direct(ndbuf_device *dst, ndbuf_device *src, ndbuf_copy_caps *out_caps);

/* Copies a box between views of host memory by one call of the host's engine. */
static inline ndbuf_status ndbuf__copy_by_engine(const ndbuf_device *host, const ndbuf__copy_axes *axes,
                                                 const ndbuf_view *dst, const ndbuf_view *src, ndbuf_error *err)
{
    const ndbuf__transfer_ends ends = {.dst = &dst->storage->mem,
                                       .src = &src->storage->mem,
                                       .dst_offset = dst->byte_offset,
                                       .src_offset = src->byte_offset};
    return ndbuf__transfer_strided(axes, host->ops, host->default_queue, &ends, err);
}

/* Whether a queue is of one of two devices; queue NULL: none is needed. Statuses: NDBUF_ERR_INVALID. */
ndbuf_status ndbuf__copy_check_queue(const ndbuf_queue *queue, const ndbuf_device *dst, const ndbuf_device *src,
                                     ndbuf_error *err);

/* Runs a plan that was made for such views. Statuses of ndbuf_copy. */
ndbuf_status ndbuf__copy_execute(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                 const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err);

/* Plans a copy of views that were checked, and runs it. Statuses of ndbuf_copy. */
ndbuf_status ndbuf__copy_as(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast, ndbuf_queue *queue,
                            ndbuf_error *err);

/* The same for records of which no route takes all parts together: one part after the other. */
ndbuf_status ndbuf__copy_parts(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                               ndbuf_queue *queue, ndbuf_error *err);

/* The views of one part of records, with the part's axes behind the views', and what becomes of its elements. The
 * caller releases both. `kept`: a plan made for such views, whose formats are theirs; NULL: none.
 *
 * NDBUF_ERR_UNSUPPORTED  more than 64 axes
 * NDBUF_ERR_NOMEM */
ndbuf_status ndbuf__part_views(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__conversion *conversion,
                               int32_t part, const ndbuf_copy_plan *kept, ndbuf_view *out_dst, ndbuf_view *out_src,
                               ndbuf__cast *out_cast, ndbuf_error *err);

/* Whether the copy goes through a temporary, since the views share bytes. */
bool ndbuf__copy_needs_temporary(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast);

/* Copies the source out first. Statuses of ndbuf_copy. */
ndbuf_status ndbuf__copy_by_temporary(const ndbuf_view *dst, const ndbuf_view *src, const ndbuf__cast *cast,
                                      ndbuf_queue *queue, ndbuf_error *err);

/* The statuses of waiting for an event before work in a queue; with queue NULL the caller waits. */
ndbuf_status ndbuf__copy_wait_ready(const ndbuf_view *view, ndbuf_queue *queue, ndbuf_error *err);

#endif
