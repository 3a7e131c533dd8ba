/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_QUEUE_CORE_H
#define NDBUF_CORE_QUEUE_CORE_H

#include <stdbool.h>

#include "ndbuf/backend.h"
#include "ndbuf/view.h"

#include "core/block_pool.h"
#include "core/fork_guard.h"
#include "core/ref_count.h"

/* Something that must stay as it is until work in a queue is done. What it is stands behind this in the same block. */
typedef struct ndbuf__lease ndbuf__lease;
struct ndbuf__lease {
    ndbuf__lease *next;
    ndbuf_queue *queue;
    ndbuf_event *event;               /* complete when the work is done; NULL: it has not begun, or is done */
    void (*end)(ndbuf__lease *lease); /* lets go, and gives the block back: ndbuf__block_give(lease) */
};

struct ndbuf_queue_core {
    ndbuf__ref_count refs;
    ndbuf__fork_guard guard; /* of what follows */
    ndbuf__lease *leases;    /* oldest first */
    ndbuf__lease **last;
    ndbuf_error untold; /* a failure that an internal wait was told, and the backend has forgotten; for the next
                         * ndbuf_queue_wait, and for events recorded until then */

    ndbuf__block_pool blocks; /* for leases and what they hold; has a lock of its own */
};

struct ndbuf_event_core {
    ndbuf__ref_count refs;
    ndbuf_error *failure; /* before the event, that its backend does not tell; a block of its own. NULL: none */
};

/* A block of the queue's, `nbytes` bytes that begin with a lease: taken before the work is enqueued. NULL: no memory.
 * Leases whose work is done end here, so that no more are held than there is work in flight. Not while the queue is
 * being captured. */
void *ndbuf__lease_take(ndbuf_queue *queue, size_t nbytes, void (*end)(ndbuf__lease *lease));

/* Ends the lease when the work given to its queue so far is done: when the next one is taken or the queue
 * is waited for, at the latest with its last reference. Never fails: where no event can be had, it waits and ends
 * the lease at once, and where that is refused, too, it ends when work given to the queue later is done. */
void ndbuf__lease_begin(ndbuf__lease *lease);

/* Keeps a failure for the next ndbuf_queue_wait, and the events until then, unless it keeps one already. */
void ndbuf__queue_note(ndbuf_queue *queue, const ndbuf_error *error);

/* The failure before an event that its backend does not tell: the driver's own event knows nothing of it. */
ndbuf_status ndbuf__event_tell(const ndbuf_event *event, ndbuf_error *err);

/* Waits for the work given to the queue so far, on behalf of a call that is not to tell its failures: one is kept, as
 * above. Fails where the wait is refused, or the device does not work any more. */
ndbuf_status ndbuf__queue_settle(ndbuf_queue *queue, ndbuf_error *err);

#endif
