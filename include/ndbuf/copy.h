/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_COPY_H
#define NDBUF_COPY_H

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/cast.h"
#include "ndbuf/export.h"
#include "ndbuf/item.h"
#include "ndbuf/queue.h"
#include "ndbuf/status.h"
#include "ndbuf/view.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Copies every element of `src` into `dst`. The views may be on different devices.
 *
 * dst, src   equal shapes, and formats that lay out the same item but for byte orders; strides are signed bytes, in any
 *            order. They may share bytes: the result is as if `src` had been read first. Each view's ready event is
 *            waited for. Where pointers of `dst` (suboffsets) lead two indices to the same bytes, which one is left
 *            there is not said.
 * queue      where to enqueue, of either view's device; what both views hold stays alive until the copy is done, and
 *            the views themselves may be released at once. NULL: returns when it is done.
 *
 * NDBUF_ERR_INVALID      shapes differ, two indices of `dst` reach one byte, or the queue is of a third device
 * NDBUF_ERR_CAST         formats differ in more than byte orders: see ndbuf_copy_cast
 * NDBUF_ERR_UNSUPPORTED  objects or pointers would travel to another device; items of more than 2^31 - 1 bytes differ
 *                        in byte orders; or the queue is being captured (CUDA), and the copy is not one direct step
 * NDBUF_ERR_READONLY     `dst` is read-only
 * NDBUF_ERR_NOMEM        a staging buffer could not be had, and `dst` is unchanged; or memory ran out between the
 *                        pieces of a staged copy, and its contents are unspecified
 * NDBUF_ERR_DEVICE       the driver failed, see err->native_code; the contents of `dst` are unspecified
 * NDBUF_ERR_ABI          a view that this copy of the library did not make
 * Thread-safe for distinct `dst`. For copies of up to 16 KiB between the host's memory each thread keeps the last four
 * layouts that came again and again, and decides nothing anew for them: 4 KiB of thread-local memory. Takes up to
 * 128 KiB of the calling thread's stack, and up to 512 KiB where it converts records or much data: musl gives threads
 * less unless told otherwise. */
NDBUF_API ndbuf_status ndbuf_copy(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_queue *queue, ndbuf_error *err);

/* The same for formats that differ, as far as a rule allows (ndbuf_format_can_cast): numbers are converted on the way,
 * records field by field, and what no field of `dst` covers keeps its bytes; but items of equal formats are copied
 * whole, their padding, too. Where it is converted is planned so that the fewest bytes travel between devices.
 *
 * casting  a rule. ndbuf_copy is NDBUF_CASTING_EQUIV.
 * flags    NDBUF_CAST_... bits, or 0.
 *
 * NDBUF_ERR_CAST         not allowed; the text names both formats, the rule, and the field
 * NDBUF_ERR_INVALID      also: not a rule, or an unknown flag
 * NDBUF_ERR_UNSUPPORTED  also: items of more than 2^31 - 1 bytes are to be converted; or a field and the view have more
 *                        than 64 axes together, and a device takes part
 * Other statuses of ndbuf_copy. */
NDBUF_API ndbuf_status ndbuf_copy_cast(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_casting casting,
                                       uint32_t flags, ndbuf_queue *queue, ndbuf_error *err);

/* Writes the bytes of one item to every element of `dst`, which may be on any device.
 *
 * item      itemsize bytes on the host, read before the call returns.
 * itemsize  must be dst->itemsize.
 * queue     as for ndbuf_copy, of dst's device or of the host.
 *
 * Statuses of ndbuf_copy. An axis of stride 0 is filled once; any other overlap of `dst` with itself is
 * refused, as by ndbuf_copy. */
NDBUF_API ndbuf_status ndbuf_fill(const ndbuf_view *dst, const void *item, int64_t itemsize, ndbuf_queue *queue,
                                  ndbuf_error *err);

/* The same with values: an item of dst's format is packed from them, with its padding zeroed.
 *
 * values, nvalues  as ndbuf_item_pack takes them, and may refuse them; read before the call returns.
 *
 * NDBUF_ERR_OVERFLOW, NDBUF_ERR_INVALID  of ndbuf_item_pack; `dst` is unchanged
 * Statuses of ndbuf_fill. */
NDBUF_API ndbuf_status ndbuf_fill_value(const ndbuf_view *dst, const ndbuf_value *values, int64_t nvalues,
                                        ndbuf_queue *queue, ndbuf_error *err);

/* How a copy goes from memory to memory. */
typedef enum ndbuf_route {
    NDBUF_ROUTE_NONE = 0,         /* no bytes to move */
    NDBUF_ROUTE_BYTES = 1,        /* contiguous runs, one call for each */
    NDBUF_ROUTE_RECT = 2,         /* 2-D or 3-D rectangles, one call for each */
    NDBUF_ROUTE_STRIDED = 3,      /* one strided call: the host engine, or a kernel on the device */
    NDBUF_ROUTE_STAGED = 4,       /* one side is the host: packed there into a bounded staging buffer */
    NDBUF_ROUTE_THROUGH_HOST = 5, /* neither is, or the device cannot do it: both ways through staging buffers */
    NDBUF_ROUTE_MAPPED = 6        /* device memory that the host can reach is mapped, and the host engine copies once */
} ndbuf_route;

/* A copy thought through, ready to be run any number of times. Sole owner; immutable, thread-safe. */
typedef struct ndbuf_copy_plan ndbuf_copy_plan;

/* Plans the copy of a view laid out as `src` to one laid out as `dst`, on their devices, by a casting rule. Touches no
 * device. A plan takes some kilobytes, up to 70 where the host's engine copies up to 4 MiB by it; views that lie as
 * these do within a cache line of 64 bytes are copied without planning anew, unless the copy repeats what it has made
 * once. Statuses of ndbuf_copy_cast. */
NDBUF_API ndbuf_status ndbuf_copy_plan_create(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_casting casting,
                                              uint32_t flags, ndbuf_copy_plan **out_plan, ndbuf_error *err);
NDBUF_API void ndbuf_copy_plan_destroy(ndbuf_copy_plan *plan); /* NULL is accepted */

/* Runs a plan on two views with the devices, formats, shapes, strides and suboffsets that it was made for, at any place
 * in memory. Run again, it allocates no host memory, in a queue or without, while no more copies are in flight than
 * have been; but for a temporary where the views share bytes, for parts of records of more than 8 axes (see
 * NDBUF_INLINE_NDIM), and where copies in flight need more than is kept: 24 MiB of staging buffers of a device, 1 MiB
 * of small blocks of a queue.
 *
 * NDBUF_ERR_INVALID  the views differ from those that the plan was made for; and all statuses of ndbuf_copy */
NDBUF_API ndbuf_status ndbuf_copy_plan_run(const ndbuf_copy_plan *plan, const ndbuf_view *dst, const ndbuf_view *src,
                                           ndbuf_queue *queue, ndbuf_error *err);

/* What a plan will do. */
typedef struct ndbuf_copy_plan_info {
    int32_t route;            /* an ndbuf_route */
    int32_t ndim;             /* axes left after merging */
    int64_t nbytes;           /* bytes to write */
    int64_t run_nbytes;       /* bytes contiguous on both sides; of a conversion, an element of the destination */
    int64_t ncalls;           /* calls of the backends' copy functions */
    int64_t nrows;            /* contiguous rows in all these calls together */
    int64_t staging_nbytes;   /* the staging buffers together; 0: none */
    int64_t temporary_nbytes; /* for views that overlap: the source is copied out first; 0: not needed */
    int32_t asynchronous;     /* whether the call with a queue returns before the copy is done */
    int32_t nparts;           /* 1; of records that no route takes whole: copies made one after the other, of which
                               * the rest is the sum, and `route` the first one's */
} ndbuf_copy_plan_info;

NDBUF_API void ndbuf_copy_plan_info_get(const ndbuf_copy_plan *plan, ndbuf_copy_plan_info *out_info);

/* The name of a route: "rect". Never NULL. */
NDBUF_API const char *ndbuf_route_name(ndbuf_route route);

/* The plan in words, some lines with line feeds: the axes as they were and as merged, what is converted and where, the
 * route, calls, staging, and why no other route was taken. Writes up to `size` bytes including the terminator, and
 * returns the length of the whole text, like snprintf. */
NDBUF_API size_t ndbuf_copy_plan_explain(const ndbuf_copy_plan *plan, char *out_text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
