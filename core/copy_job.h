/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_COPY_JOB_H
#define NDBUF_CORE_COPY_JOB_H

/* Running a plan on two views: in the calling thread, or in a queue. Their memory does not overlap, and events have
 * been waited for. Statuses of ndbuf_copy. */

#include "core/copy_plan.h"

/* Returns when the copy is done. */
ndbuf_status ndbuf__copy_job_run(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                 const ndbuf_view *src, ndbuf_error *err);

/* Puts the copy into `queue`, which is of the device of one of the views. What it needs stays alive until it is done.
 */
ndbuf_status ndbuf__copy_job_enqueue(const ndbuf__plan *plan, ndbuf_device *direct, const ndbuf_view *dst,
                                     const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err);

#endif
