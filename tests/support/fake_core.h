/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_FAKE_CORE_H
#define NDBUF_TESTS_SUPPORT_FAKE_CORE_H

/* What the files of the fake device share. */

#include "tests/support/fake_device.h"

#include "core/sync.h"

/* The memory behind a handle. */
typedef struct fake_block fake_block;
struct fake_block {
    fake_block *next;
    ndbuf_device *device;
    void *handle; /* an address without access */
    char *bytes;  /* what the device works on */
    size_t nbytes;
    int64_t refs;
};

/* The order of work of one queue; outlives the queue if events do. Guarded by fake_mutex. */
typedef struct fake_timeline fake_timeline;

typedef struct fake_queue {
    ndbuf_queue base;
    fake_timeline *timeline;
} fake_queue;

/* A copy or fill: a box of contiguous units, written `unit_nbytes` bytes at a time. */
typedef struct fake_box {
    ndbuf_mem dst;
    ndbuf_mem src; /* no device: a fill */
    int64_t dst_offset;
    int64_t src_offset;
    int32_t ndim;
    int64_t unit_nbytes;
    int64_t shape[NDBUF_MAX_NDIM];
    int64_t dst_strides[NDBUF_MAX_NDIM];
    int64_t src_strides[NDBUF_MAX_NDIM];
    char *item;                /* of a fill: unit_nbytes bytes */
    ndbuf_element dst_element; /* of a conversion; number 0: none */
    ndbuf_element src_element;
    uint32_t cast_flags;
} fake_box;

/* One lock for all that the fake device keeps; never held while work runs. */
extern ndbuf__mutex fake_mutex;
extern ndbuf__cond fake_changed;
extern fake_live fake_alive; /* guarded by fake_mutex */

/* Counts a call; tells whether it is to fail, and then fills `err`. */
bool fake_call_fails(fake_slot slot, ndbuf_error *err);

/* The same for work that runs, and for work that a queue has just got. */
bool fake_job_fails(ndbuf_error *err);
bool fake_job_fails_late(ndbuf_error *err);

/* Whether this thread is in a host call of a queue without a host thread: then it may not use the devices. */
extern _Thread_local bool fake_in_pure_host_call;

/* Notes that the core broke a promise, and gives an error for it. */
ndbuf_status fake_violated(ndbuf_error *err, const char *format, ...) NDBUF_PRINTF(2, 3);

void fake_log_add(const fake_log_entry *entry);
fake_config fake_config_now(void);

bool fake_is_own(const ndbuf_device *device);

/* Where a byte lies; NULL: where this backend cannot reach. */
char *fake_address(const ndbuf_mem *mem, int64_t offset);

/* Whether work that is not done uses the block. With fake_mutex held. */
bool fake_block_is_used(const fake_block *block);

/* Does the work of all queues that were given some so far: what a mapping waits for. */
void fake_run_all(void);

ndbuf_status fake_queue_make(ndbuf_device *device, ndbuf_queue **out_queue, ndbuf_error *err);
void fake_queue_free(ndbuf_queue *base);

/* Gives a box to a queue, which makes a copy of it; with `blocks`, returns when it is done. */
ndbuf_status fake_queue_submit_box(ndbuf_queue *queue, const fake_box *box, bool blocks, ndbuf_error *err);

/* Moves the bytes. Statuses: NDBUF_ERR_DEVICE: the sides overlap. */
ndbuf_status fake_box_run(const fake_box *box, ndbuf_error *err);

/* The slots that other files than that of the table hold. */
void fake_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps);
ndbuf_status fake_copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset, const ndbuf_mem *src,
                             int64_t src_offset, int64_t nbytes, ndbuf_error *err);
ndbuf_status fake_copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err);
ndbuf_status fake_copy_strided(ndbuf_queue *queue, const ndbuf_strided *strided, ndbuf_error *err);
ndbuf_status fake_convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *convert, ndbuf_error *err);
ndbuf_status fake_fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *fill, ndbuf_error *err);
ndbuf_status fake_queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err);
void fake_queue_destroy(ndbuf_queue *queue);
ndbuf_status fake_queue_wait(ndbuf_queue *base, ndbuf_error *err);
ndbuf_status fake_queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err);
ndbuf_status fake_queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err);
ndbuf_status fake_queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err);
ndbuf_status fake_queue_mapped_call(ndbuf_queue *queue, const ndbuf_mapped_range *ranges, int32_t nranges,
                                    ndbuf_mapped_fn fn, void *context, ndbuf_error *err);
ndbuf_status fake_queue_is_capturing(ndbuf_queue *queue, int32_t *out_is_capturing, ndbuf_error *err);
ndbuf_status fake_event_record(ndbuf_queue *base, ndbuf_event **out_event, ndbuf_error *err);
void fake_event_destroy(ndbuf_event *base);
ndbuf_status fake_event_wait(ndbuf_event *base, ndbuf_error *err);
ndbuf_status fake_event_query(ndbuf_event *base, int32_t *out_complete, ndbuf_error *err);

#endif
