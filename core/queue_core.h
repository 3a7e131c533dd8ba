/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_CORE_QUEUE_CORE_H
#define NDBUF_CORE_QUEUE_CORE_H

#include <stdbool.h>

#include "ndbuf/backend.h"
#include "ndbuf/view.h"

#include "core/ref_count.h"
#include "core/sync.h"

/* Something that must stay as it is until work in a queue is done. */
typedef struct ndbuf__lease ndbuf__lease;
struct ndbuf__lease {
    ndbuf__lease *next;
    ndbuf_event *event;         /* complete when the work is done */
    void (*end)(void *context); /* lets go */
    void *context;
};

struct ndbuf_queue_core {
    ndbuf__ref_count refs;
    ndbuf__mutex mutex;   /* guards what follows */
    ndbuf__lease *leases; /* oldest first */
    ndbuf__lease **last;
    ndbuf_error untold; /* a failure that an internal wait was told; for the next ndbuf_queue_wait */
};

struct ndbuf_event_core {
    ndbuf__ref_count refs;
};

/* Calls end(context) when the work given to the queue so far is done: at a later call with the queue, at the latest
 * with its last reference. Never fails: where no event or memory can be had, it waits and ends the lease at once.
 * `lease` was allocated by the caller with ndbuf__malloc, before the work was enqueued. */
void ndbuf__queue_lease(ndbuf_queue *queue, ndbuf__lease *lease, void (*end)(void *context), void *context);

/* Keeps a failure for the next ndbuf_queue_wait, unless it keeps one already. */
void ndbuf__queue_note(ndbuf_queue *queue, const ndbuf_error *error);

/* Ends the leases whose work is done; never blocks. */
void ndbuf__queue_reap(ndbuf_queue *queue);

#endif
