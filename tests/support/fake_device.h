/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_SUPPORT_FAKE_DEVICE_H
#define NDBUF_TESTS_SUPPORT_FAKE_DEVICE_H

/* Two devices, "fake:0" and "fake:1", that behave as badly as backend.h allows:
 *
 * - A handle is an address that nobody can touch: host code that follows it crashes.
 * - Work given to a queue stays undone until somebody waits for it. An event that is only queried completes after some
 *   queries.
 * - After a failure a queue does no more copies until the failure is told.
 * - What the core promises backends (bounds, order of axes, no overlap, nothing freed while in use) is checked in each
 *   call; what breaks it is counted and refused.
 * - Each call can be made to fail, and each piece of work when it runs.
 *
 * Configuration, faults and log are the process's. Thread-safe, but set them while nothing runs. */

#include "tests/support/test.h"

#include "ndbuf/backend.h"

/* The slots of the table, in its order. Those of functions that cannot fail are never made to. */
#define FAKE_SLOT_LIST(X)                                                                                              \
    X(device_count)                                                                                                    \
    X(device_open)                                                                                                     \
    X(device_close)                                                                                                    \
    X(device_describe)                                                                                                 \
    X(mem_alloc)                                                                                                       \
    X(mem_import)                                                                                                      \
    X(mem_free)                                                                                                        \
    X(mem_map)                                                                                                         \
    X(mem_unmap)                                                                                                       \
    X(copy_caps)                                                                                                       \
    X(copy_bytes)                                                                                                      \
    X(copy_rect)                                                                                                       \
    X(copy_strided)                                                                                                    \
    X(convert_strided)                                                                                                 \
    X(fill_strided)                                                                                                    \
    X(queue_create)                                                                                                    \
    X(queue_destroy)                                                                                                   \
    X(queue_wait)                                                                                                      \
    X(queue_wait_event)                                                                                                \
    X(queue_wait_native)                                                                                               \
    X(queue_host_call)                                                                                                 \
    X(queue_mapped_call)                                                                                               \
    X(queue_is_capturing)                                                                                              \
    X(event_record)                                                                                                    \
    X(event_destroy)                                                                                                   \
    X(event_wait)                                                                                                      \
    X(event_query)

typedef enum fake_slot {
#define FAKE_SLOT_ENUM(slot) FAKE_##slot,
    FAKE_SLOT_LIST(FAKE_SLOT_ENUM)
#undef FAKE_SLOT_ENUM
        FAKE_NSLOTS,
    FAKE_any = FAKE_NSLOTS /* for faults: any slot that can fail */
} fake_slot;

const char *fake_slot_name(fake_slot slot);

/* Makes the devices known; any number of calls. */
void fake_register(void);

/* What the devices can do. */
typedef struct fake_config {
    uint32_t copy_flags;  /* NDBUF_CAN_... bits and their like, within a device and between it and the host; the latter
                           * without those to fill and to convert */
    uint32_t peer_flags;  /* between the two devices, likewise; 0: only through the host */
    int64_t max_pitch;    /* of rectangles, bytes; 0: no limit */
    size_t memory_nbytes; /* of each device */
    uint32_t
        queue_flags; /* NDBUF_QUEUE_... bits; without a host thread, host calls that use the devices break a promise */
    bool refuses_maps; /* queue_mapped_call is for other memory than is given to it */
} fake_config;

/* Bytes, rectangles, strided boxes and fills everywhere, no mapped calls, 64 MiB. */
extern const fake_config fake_config_default;

void fake_configure(const fake_config *config);

/* From now on the nth call (from 1) of `slot` fails, once: with NDBUF_ERR_DEVICE, code 999 and "injected", before it
 * has done anything (but a wait has waited, and an unmap ended the mapping). nth 0: none. */
void fake_fail_call(fake_slot slot, int64_t nth);

/* The nth copy or fill that runs fails, in the same way. nth 0: none. */
void fake_fail_job(int64_t nth);

/* The nth copy or fill that is given to a queue is told as failed, in the same way, though the queue has it. nth 0:
 * none. */
void fake_fail_late(int64_t nth);

/* Whether a fault of the three functions above has happened since it was set. */
bool fake_fault_happened(void);

/* Calls of a slot since fake_log_clear. */
int64_t fake_ncalls(fake_slot slot);

/* The copies and fills given to queues since fake_log_clear, as they were called. */
typedef struct fake_log_entry {
    fake_slot slot;
    bool dst_is_host;
    bool src_is_host; /* false for fills */
    int64_t nbytes;   /* moved */
    int64_t nrows;    /* contiguous pieces */
} fake_log_entry;

#define FAKE_LOG_SIZE 256

/* The first FAKE_LOG_SIZE entries; returns how many there were. */
int64_t fake_log(const fake_log_entry **out_entries);
void fake_log_clear(void);

/* What lives now. */
typedef struct fake_live {
    int64_t devices;
    int64_t mems;
    int64_t mappings;
    int64_t queues; /* without the devices' default queues */
    int64_t events;
    int64_t jobs; /* given to queues and not done */
} fake_live;

fake_live fake_live_now(void);

/* Fails the test unless nothing lives and the core broke no promise. */
void fake_assert_clean(void);

/* Fails the test if the core broke a promise since the last call. */
void fake_assert_no_violation(void);

/* The log cleared, no faults, the default configuration. */
void fake_reset(void);

#endif
