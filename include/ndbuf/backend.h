/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKEND_H
#define NDBUF_BACKEND_H

/* For authors of backends; users need nothing of this. backends/README.md is the guide, backends/null the smallest
 * example, and tests/conformance the suite that a backend has to pass. */

#include <stddef.h>
#include <stdint.h>

#include "ndbuf/cast.h"
#include "ndbuf/copy.h"
#include "ndbuf/device.h"
#include "ndbuf/export.h"
#include "ndbuf/queue.h"
#include "ndbuf/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of this header; ndbuf_backend_register refuses any other. */
#define NDBUF_BACKEND_ABI_VERSION 1u

typedef struct ndbuf_backend_ops ndbuf_backend_ops;

/* Private to the core: what it hangs on a backend's objects. */
typedef struct ndbuf_device_core ndbuf_device_core;
typedef struct ndbuf_queue_core ndbuf_queue_core;
typedef struct ndbuf_event_core ndbuf_event_core;

/* The backend allocates its own structs, which begin with these. It sets the fields above the line and leaves those of
 * the core zero. */
struct ndbuf_device {
    const ndbuf_backend_ops *ops;
    ndbuf_device_tag tag;
    uint32_t flags;             /* NDBUF_DEVICE_... bits */
    uint32_t queue_flags;       /* NDBUF_QUEUE_... bits: of all its queues */
    ndbuf_device *staging;      /* whose mem_alloc gives the host memory that this device exchanges data with fastest
                                 * (pinned); the backend's own, with host_address set. NULL: ordinary host memory */
    ndbuf_queue *default_queue; /* for calls without a queue: made by device_open, destroyed by device_close. Work may
                                 * run at once in the calling thread; the core calls queue_wait behind it in any case,
                                 * in the same thread, which is to be told of failures of its own calls */
    /* ---- the core's ---- */
    ndbuf_device_core *core;
};

enum {
    /* No thread of the host stands behind the queue: a function given to queue_host_call must not use any device, and
     * queue_wait_event lets the caller wait for events of other backends. */
    NDBUF_QUEUE_NO_HOST_THREAD = 1u << 0
};

struct ndbuf_queue {
    ndbuf_device *device;
    void *native; /* cl_command_queue, cudaStream_t; NULL: none */
    /* ---- the core's ---- */
    ndbuf_queue_core *core;
};

struct ndbuf_event {
    ndbuf_device *device;
    void *native; /* cl_event, cudaEvent_t; NULL: none */
    /* ---- the core's ---- */
    ndbuf_event_core *core;
};

/* A piece of memory as backends see it. */
typedef struct ndbuf_mem {
    ndbuf_device *device; /* whose it is */
    void *handle;         /* host address, cl_mem, CUDA pointer, or any number but 0 of the device's own */
    void *host_address;   /* of byte 0 where the host can touch it, else NULL */
    size_t nbytes;        /* as many as were asked for, whatever the driver makes of that */
    void *backend_data;   /* the backend's own */
    void *whole;          /* the handle of the larger piece of which this is a part, where handles are no addresses: two
                           * parts of one piece may share bytes. NULL: it is no part */
    size_t whole_offset;  /* where the part begins, in bytes; 0 where it is none */
} ndbuf_mem;

/* What a device's backend can copy between two devices, one of which is its own and the other one any (often the host:
 * host memory comes as an ndbuf_mem with host_address set). */
enum {
    NDBUF_CAN_COPY_BYTES = 1u << 0,
    NDBUF_CAN_COPY_RECT = 1u << 1,
    NDBUF_CAN_COPY_STRIDED = 1u << 2,
    NDBUF_CAN_FILL = 1u << 3,           /* fill_strided, where both devices are its own */
    NDBUF_COPY_BLOCKS = 1u << 4,        /* the copy functions return only when the copy is done */
    NDBUF_RECT_EQUAL_PITCHES = 1u << 5, /* rectangles within one piece of memory need equal pitches on both sides */
    NDBUF_COPY_MAY_BLOCK = 1u << 6,     /* the driver may make the caller wait, and may read the host's memory at the
                                           call instead of in the queue's order (CUDA with pageable memory) */
    NDBUF_CAN_MAP = 1u << 7,     /* queue_mapped_call for its own memory of the two, which does not move for it */
    NDBUF_CAN_CONVERT = 1u << 8, /* convert_strided, for all numbers but FLOAT64 and LONG_DOUBLE */
    NDBUF_CAN_CONVERT_FLOAT64 = 1u << 9,     /* and FLOAT64 */
    NDBUF_CAN_CONVERT_LONG_DOUBLE = 1u << 10 /* and LONG_DOUBLE, which only the host has */
};

/* The costs are estimates for choosing a route, of one call: call_ns + rows * row_ns + bytes / bytes_per_ns. */
typedef struct ndbuf_copy_caps {
    uint32_t flags;    /* NDBUF_CAN_... and following bits; 0: nothing directly */
    uint32_t reserved; /* 0 */
    int64_t max_pitch; /* bytes, of rectangles; 0: no limit */
    double call_ns;    /* of enqueueing one call */
    double wait_ns;    /* of waiting for the queue once */
    double row_ns;     /* of each contiguous row of a rectangle, beyond its bytes */
    double element_ns; /* of each contiguous run in copy_strided, beyond its bytes */
    double map_ns;     /* of one queue_mapped_call, beyond what its function does */
    double bytes_per_ns;
} ndbuf_copy_caps;

/* One side of a copy: `strides` in bytes, outermost first, of any sign; `offset` in bytes from the start of `mem`. */
typedef struct ndbuf_copy_side {
    const ndbuf_mem *mem;
    int64_t offset;
    const int64_t *strides;
} ndbuf_copy_side;

/* A rectangle: `nslices` slices of `nrows` rows of `row_nbytes` bytes. All three are > 0; the pitches of both sides
 * obey row_nbytes <= row_pitch, and where nslices > 1, nrows * row_pitch <= slice_pitch, a multiple of row_pitch. */
typedef struct ndbuf_rect_side {
    const ndbuf_mem *mem;
    int64_t offset;
    int64_t row_pitch;
    int64_t slice_pitch; /* nrows * row_pitch where nslices is 1 */
} ndbuf_rect_side;

typedef struct ndbuf_rect {
    ndbuf_rect_side dst;
    ndbuf_rect_side src;
    int64_t row_nbytes;
    int64_t nrows;
    int64_t nslices;
} ndbuf_rect;

/* A strided box: unit_nbytes contiguous bytes at each index of `shape`. Axes are sorted by the destination's strides,
 * largest first, which are > 0; none has extent 1, none can be merged with its neighbour. ndim may be 0. */
typedef struct ndbuf_strided {
    ndbuf_copy_side dst;
    ndbuf_copy_side src;
    int32_t ndim;
    int32_t reserved;     /* 0 */
    const int64_t *shape; /* ndim entries, > 1 */
    int64_t unit_nbytes;  /* > 0 */
} ndbuf_strided;

/* What a number is, in the byte order of the host unless said otherwise. */
typedef enum ndbuf_number {
    NDBUF_NUMBER_BOOL = 1, /* one byte: 0 is false, all else is true; converted to it: 0 and 1 */
    NDBUF_NUMBER_INT8 = 2,
    NDBUF_NUMBER_UINT8 = 3,
    NDBUF_NUMBER_INT16 = 4,
    NDBUF_NUMBER_UINT16 = 5,
    NDBUF_NUMBER_INT32 = 6,
    NDBUF_NUMBER_UINT32 = 7,
    NDBUF_NUMBER_INT64 = 8,
    NDBUF_NUMBER_UINT64 = 9,
    NDBUF_NUMBER_FLOAT16 = 10,    /* IEEE 754 binary16 */
    NDBUF_NUMBER_BFLOAT16 = 11,   /* the upper half of a FLOAT32 */
    NDBUF_NUMBER_FLOAT32 = 12,    /* IEEE 754 binary32 */
    NDBUF_NUMBER_FLOAT64 = 13,    /* IEEE 754 binary64 */
    NDBUF_NUMBER_LONG_DOUBLE = 14 /* the host's long double; never in the other byte order */
} ndbuf_number;

/* What the elements on one side of a conversion are. */
typedef struct ndbuf_element {
    int32_t number;     /* an ndbuf_number; of a complex element, of each of its halves */
    int32_t nbytes;     /* of the whole element */
    int32_t is_complex; /* two numbers, the real part first */
    int32_t is_swapped; /* the bytes of each number are in the order that is not the host's */
} ndbuf_element;

/* A strided box whose elements are converted on the way, by the rules of cast.h: axes as in ndbuf_strided, but the last
 * one may be as dense as the elements. A conversion from complex to complex comes as one of the halves, and one from
 * complex to a real number as one of the real parts: so complex are only a source whose destination is BOOL, and a
 * destination whose source is real. Where both numbers are the same, the bits of each are kept. */
typedef struct ndbuf_convert_box {
    ndbuf_copy_side dst;
    ndbuf_copy_side src;
    ndbuf_element dst_element;
    ndbuf_element src_element;
    int32_t ndim;
    uint32_t flags;       /* NDBUF_CAST_... bits */
    const int64_t *shape; /* ndim entries, > 1 */
} ndbuf_convert_box;

/* A pattern written to every element of a box; axes as in ndbuf_strided, but a stride may be 0. */
typedef struct ndbuf_fill_box {
    ndbuf_copy_side dst;
    int32_t ndim;
    int32_t reserved;
    const int64_t *shape;
    const void *item;    /* on the host; must be read before the call returns */
    int64_t item_nbytes; /* > 0 */
} ndbuf_fill_box;

/* Work of the host in a queue. Fills `err` on failure, which ends up in the queue's next wait. */
typedef ndbuf_status (*ndbuf_host_fn)(void *context, ndbuf_error *err);

/* Bytes of device memory that the host is to reach: [offset, offset + nbytes), nbytes > 0. */
typedef struct ndbuf_mapped_range {
    const ndbuf_mem *mem;
    size_t offset;
    size_t nbytes;
    uint32_t map_flags; /* NDBUF_MAP_... bits. Bytes not written keep their contents */
    uint32_t reserved;  /* 0 */
} ndbuf_mapped_range;

/* Work of the host with mapped memory: addresses[i] is where range i begins. */
typedef void (*ndbuf_mapped_fn)(void *context, void *const *addresses);

/* A backend is one static const table of functions. No slot is NULL: for an absent ability take
 * ndbuf_unsupported_<slot> and leave the bit in ndbuf_copy_caps clear. The core counts references, validates, merges
 * axes and chooses routes; everything that a backend is given lies inside its memory, and the two sides of a copy do
 * not overlap.
 *
 * All functions are called from any thread, also at the same time; for one queue, the core does not serialise calls.
 * Outputs are written only on success. On failure `err` is filled by ndbuf_fail or ndbuf_fail_native. Copies read and
 * write at some time between the call and the completion of the queue; with NDBUF_COPY_BLOCKS, during the call, but
 * still after the work that was in the queue before. */
struct ndbuf_backend_ops {
    uint32_t abi_version;   /* NDBUF_BACKEND_ABI_VERSION */
    uint32_t struct_nbytes; /* sizeof(ndbuf_backend_ops) */
    const char *name;       /* "opencl": lower-case letters, digits and '_', up to 24 of them; static */

    /* -- devices -- */

    /* How many there are. NDBUF_ERR_UNAVAILABLE with the reason where there is no driver or no device. */
    ndbuf_status (*device_count)(int32_t *out_count, ndbuf_error *err);
    /* Device `ordinal`, newly made; the core keeps one per ordinal, and opens it again when device_close of the earlier
     * one has returned. One call at a time, of all backends together: it must neither open nor close devices by
     * ndbuf_device_open and ndbuf_device_close, but may use ndbuf_device_cpu. */
    ndbuf_status (*device_open)(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err);
    /* Frees the device and its default queue. Nothing of it is in use any more. */
    void (*device_close)(ndbuf_device *device);
    /* Fills description, driver and sizes; name, tag and flags are the core's. */
    void (*device_describe)(const ndbuf_device *device, ndbuf_device_info *info);

    /* -- memory -- */

    /* nbytes > 0. alignment is a power of two: of the address where there is one. Out of device memory: NDBUF_ERR_NOMEM
     * with the driver's code. */
    ndbuf_status (*mem_alloc)(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                              ndbuf_error *err);
    /* Takes a foreign handle of at least nbytes bytes, nbytes > 0. NDBUF_ERR_INVALID: not of this device;
     * NDBUF_ERR_BOUNDS: it is smaller. Retains it where the API counts. */
    ndbuf_status (*mem_import)(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem, ndbuf_error *err);
    /* Ends what mem_alloc or mem_import began. No work of ndbuf's uses it any more. */
    void (*mem_free)(ndbuf_mem *mem);
    /* A host address for [offset, offset + nbytes), nbytes > 0; map_flags: NDBUF_MAP_... bits. Bytes not written keep
     * their contents. NDBUF_ERR_UNSUPPORTED: cannot. */
    ndbuf_status (*mem_map)(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags, void **out_address,
                            ndbuf_error *err);
    ndbuf_status (*mem_unmap)(const ndbuf_mem *mem, void *address, ndbuf_error *err);

    /* -- copies: enqueue, do not wait. NDBUF_ERR_UNSUPPORTED: not this one; the core takes another route, so it must
     * come before anything is enqueued. Other failures may come after a part is -- */

    /* What can be copied between the two devices by this backend. Pure: asks no driver. Zeroed before: nothing. */
    void (*copy_caps)(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps);
    ndbuf_status (*copy_bytes)(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset, const ndbuf_mem *src,
                               int64_t src_offset, int64_t nbytes, ndbuf_error *err);
    ndbuf_status (*copy_rect)(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err);
    ndbuf_status (*copy_strided)(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err);
    ndbuf_status (*convert_strided)(ndbuf_queue *queue, const ndbuf_convert_box *box, ndbuf_error *err);
    ndbuf_status (*fill_strided)(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err);

    /* -- queues: in order -- */

    /* native NULL: a new one; else a queue over the caller's own, retained where the API counts. */
    ndbuf_status (*queue_create)(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err);
    /* What the core gave to the queue is done, but for waits for native events. */
    void (*queue_destroy)(ndbuf_queue *queue);
    /* Returns when all is done. Tells a failure of earlier work once. After any failure, also of a wait that was
     * refused, the core takes for done only what events say is done. */
    ndbuf_status (*queue_wait)(ndbuf_queue *queue, ndbuf_error *err);
    /* Later work of the queue waits for an event, of any backend. */
    ndbuf_status (*queue_wait_event)(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err);
    /* Later work of the queue waits for an event of the driver's own (cl_event, cudaEvent_t), which may be gone when
     * the call returns. */
    ndbuf_status (*queue_wait_native)(ndbuf_queue *queue, void *native_event, ndbuf_error *err);
    /* Runs fn(context) on the host when the earlier work of the queue is done, and before the later work; does not
     * block. If fn fails, later work may be skipped, and queue_wait tells. If the call itself succeeds, fn runs exactly
     * once, even when earlier work has failed; but a queue without a host thread may leave it out when the device has
     * failed for good. fn may use other queues (not with NDBUF_QUEUE_NO_HOST_THREAD), but never this one. */
    ndbuf_status (*queue_host_call)(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err);
    /* Runs fn(context, addresses) on the host at its place in the queue, with one or two ranges of the backend's memory
     * mapped meanwhile; does not block. Ranges for writing do not overlap others. fn may be left out when earlier work
     * has failed. It may take long and use threads, but no device. NDBUF_ERR_UNSUPPORTED: not this memory. */
    ndbuf_status (*queue_mapped_call)(ndbuf_queue *queue, const ndbuf_mapped_range *ranges, int32_t nranges,
                                      ndbuf_mapped_fn fn, void *context, ndbuf_error *err);
    /* Whether work given to the queue is being recorded for later, not done (CUDA's stream capture). While it is, the
     * core gives the queue nothing but direct copies and fills, holds nothing for them, and does not wait. */
    ndbuf_status (*queue_is_capturing)(ndbuf_queue *queue, int32_t *out_is_capturing, ndbuf_error *err);

    /* -- events -- */

    ndbuf_status (*event_record)(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err);
    void (*event_destroy)(ndbuf_event *event);
    ndbuf_status (*event_wait)(ndbuf_event *event, ndbuf_error *err);
    ndbuf_status (*event_query)(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err);
};

/* Slots for absent abilities. */
NDBUF_API ndbuf_status ndbuf_unsupported_mem_import(ndbuf_device *device, void *handle, size_t nbytes,
                                                    ndbuf_mem *out_mem, ndbuf_error *err);
NDBUF_API ndbuf_status ndbuf_unsupported_mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                                 void **out_address, ndbuf_error *err);
NDBUF_API ndbuf_status ndbuf_unsupported_mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err);
NDBUF_API ndbuf_status ndbuf_unsupported_copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err);
NDBUF_API ndbuf_status ndbuf_unsupported_copy_strided(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err);
NDBUF_API ndbuf_status ndbuf_unsupported_convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *box,
                                                         ndbuf_error *err);
NDBUF_API ndbuf_status ndbuf_unsupported_fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err);
NDBUF_API ndbuf_status ndbuf_unsupported_queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err);
NDBUF_API ndbuf_status ndbuf_unsupported_queue_mapped_call(ndbuf_queue *queue, const ndbuf_mapped_range *ranges,
                                                           int32_t nranges, ndbuf_mapped_fn fn, void *context,
                                                           ndbuf_error *err);

/* The slot of backends whose queues never capture: always 0. */
NDBUF_API ndbuf_status ndbuf_never_queue_is_capturing(ndbuf_queue *queue, int32_t *out_is_capturing, ndbuf_error *err);

/* Makes a backend known under its name, for the life of the process: `ops` must be static, and so must what it leads
 * to. Its devices open as "name:0" and so on.
 *
 * NDBUF_ERR_ABI      abi_version or struct_nbytes differ
 * NDBUF_ERR_INVALID  a slot is NULL (the text names it), or the name is not 1 to 24 lower-case letters, digits and '_'
 * NDBUF_ERR_BUSY     the name is taken, or there are 32 backends already */
NDBUF_API ndbuf_status ndbuf_backend_register(const ndbuf_backend_ops *ops, ndbuf_error *err);

#ifdef __cplusplus
}
#endif

#endif
