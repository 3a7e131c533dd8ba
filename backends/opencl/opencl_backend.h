/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_OPENCL_OPENCL_BACKEND_H
#define NDBUF_BACKENDS_OPENCL_OPENCL_BACKEND_H

/* Shared by the files of the OpenCL backend. */

#include "backends/opencl/opencl_api.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "ndbuf/backend.h"
#include "ndbuf/storage.h"

#include "core/block_pool.h"
#include "core/host_worker.h"
#include "core/ref_count.h"
#include "core/sync.h"

#include "backends/kernels/kernel_plan.h"

/* A context that devices share: one for all devices of a platform, or a foreign one. In a list while it has users. */
typedef struct opencl_context opencl_context;
struct opencl_context {
    opencl_context *next;
    cl_platform_id platform; /* NULL: foreign */
    cl_context handle;       /* retained */
    int32_t nusers;
};

/* The kernels of backends/kernels on one device. */
typedef struct opencl_kernels {
    bool are_usable;       /* the device has a compiler, and enough of what they need */
    bool swaps;            /* its byte order is not the host's */
    bool on_cpu;           /* the device is one: for the cost model */
    uint32_t group_nitems; /* the most work items in a group */
    uint32_t ngroups;      /* of every launch; 0: as planned */
    ndbuf__mutex mutex;    /* guards all below, and the arguments of the kernels until they are enqueued; taken before
                            * that of a queue */
    cl_program program;    /* NULL: not needed yet */
    cl_kernel *handles;    /* ndbuf__kernel_count entries; NULL: not needed yet */
} opencl_kernels;

typedef struct opencl_device {
    ndbuf_device base;
    const opencl_api *api;
    opencl_context *context;
    cl_device_id id;         /* retained */
    cl_platform_id platform; /* of the device, whose context may be foreign */
    uint64_t max_allocation; /* bytes, of one buffer */
    bool runs_functions;     /* of the host, as commands of its queues (CL_EXEC_NATIVE_KERNEL) */
    opencl_kernels kernels;
    ndbuf__block_pool blocks; /* for events and host functions */
} opencl_device;

/* The first failure in a stretch of a queue's work: shared by the queue and by the events recorded in it, so that an
 * event knows whether work before it failed even when the driver completes it without an error. */
typedef struct opencl_failure {
    ndbuf__ref_count refs;
    _Atomic(uint64_t) number; /* of the work that failed; 0: none. Set once, after `error` */
    ndbuf_error error;
} opencl_failure;

/* A command in flight whose outcome is still to be asked for. */
typedef struct opencl_work {
    cl_event done;           /* NULL: its outcome has been taken */
    cl_int state;            /* the last that is known: of CL_QUEUED to CL_COMPLETE, or the code that it failed with */
    const void *issuer;      /* of the default queue's: the thread that is to be told; else NULL */
    uint64_t number;         /* in the queue's work, from 1 */
    opencl_failure *awaited; /* of the queue whose event the command waits for, retained; NULL: waits for none */
    uint64_t awaited_number; /* the work of that queue before the event */
} opencl_work;

typedef struct opencl_queue {
    ndbuf_queue base;
    bool flushes;       /* each command starts at once; the default queue is always waited for, which flushes */
    ndbuf__mutex mutex; /* guards all below; held while commands are enqueued, so that numbers follow their order */
    uint64_t nissued;   /* number of the last work */
    opencl_work *works; /* a ring of `capacity` entries, oldest first: nworks of them from first_work on */
    size_t first_work;
    size_t nworks;
    size_t capacity;            /* a power of two, or 0 */
    uint64_t last_wait;         /* number of the last wait for an event; 0: none */
    uint64_t last_read;         /* of the last read into host memory */
    const char *read_begin;     /* host memory that reads since the last settling write; NULL: none */
    const char *read_end;       /* the range from the first to the last of them */
    uint64_t last_settled;      /* the work up to this number has a host function behind it */
    opencl_failure *failure;    /* NULL: nothing was enqueued yet */
    ndbuf_error untold;         /* the first failure that no wait has told; status NDBUF_OK: none */
    ndbuf__host_worker *worker; /* NULL: no host call yet */
} opencl_queue;

typedef struct opencl_event {
    ndbuf_event base;
    cl_event handle;
    opencl_failure *failure; /* retained */
    uint64_t number;         /* the work of the queue before the event */
    bool is_behind_host;     /* a host function before it was not done when it was recorded */
} opencl_event;

/* What others made a buffer to be: ndbuf_mem.backend_data of imported memory. Of our own it is NULL. */
typedef struct opencl_import {
    void *host_address; /* of CL_MEM_USE_HOST_PTR; NULL: none */
    cl_mem_flags flags;
} opencl_import;

extern const ndbuf_backend_ops ndbuf_opencl__ops;

static inline bool ndbuf_opencl__is_own(const ndbuf_device *device)
{
    return device->ops == &ndbuf_opencl__ops;
}

static inline cl_context ndbuf_opencl__context_of(const ndbuf_device *device)
{
    return ((const opencl_device *)device)->context->handle;
}

/* NULL: not imported, or not ours at all. */
static inline const opencl_import *ndbuf_opencl__import_of(const ndbuf_mem *mem)
{
    return ndbuf_opencl__is_own(mem->device) ? mem->backend_data : NULL;
}

/* Whether memory is a part of a larger buffer. PoCL 3.1 knows no such thing in two of its commands: a function gets the
 * address of the whole, and a rectangle from buffer to buffer ends the process. */
static inline bool ndbuf_opencl__is_part(const ndbuf_mem *mem)
{
    return mem->whole != NULL;
}

/* Of a memory, as far as kernels have to know: units must not cross the alignment of imported host memory. Other
 * buffers are aligned for every type of OpenCL C. */
static inline uint64_t ndbuf_opencl__kernel_address(const ndbuf_mem *mem)
{
    const opencl_import *import = ndbuf_opencl__import_of(mem);
    return import != NULL ? (uint64_t)(uintptr_t)import->host_address : 0;
}

/* What the flags of a buffer may forbid. Its own commands, copies and fills, are always allowed. */
typedef enum opencl_access {
    OPENCL_HOST_READS,
    OPENCL_HOST_WRITES,
    OPENCL_KERNEL_READS,
    OPENCL_KERNEL_WRITES
} opencl_access;

/* NDBUF_ERR_UNSUPPORTED: others made the buffer so that this is not allowed. */
ndbuf_status ndbuf_opencl__check_access(const ndbuf_mem *mem, opencl_access access, ndbuf_error *err);

/* The same for the NDBUF_MAP_... bits of a mapping. */
ndbuf_status ndbuf_opencl__check_mapping(const ndbuf_mem *mem, uint32_t map_flags, ndbuf_error *err);

/* Waits for a command, or for all of a queue. Returns the outcome of the driver's wait; where that itself fails, the
 * state is asked for until the work is done. */
cl_int ndbuf_opencl__await(const opencl_api *api, cl_event event);
cl_int ndbuf_opencl__finish(const opencl_api *api, cl_command_queue queue);

/* Releases a failure record; NULL is accepted. */
void ndbuf_opencl__failure_release(opencl_failure *failure);

/* Tells a failure among the first `number` works: fills `err` and returns its status, or NDBUF_OK. */
ndbuf_status ndbuf_opencl__failure_tell(opencl_failure *failure, uint64_t number, ndbuf_error *err);

/* A queue with or without flushing; native as in queue_create. */
ndbuf_status ndbuf_opencl__queue_make(ndbuf_device *device, void *native, bool flushes, ndbuf_queue **out_queue,
                                      ndbuf_error *err);

/* Every command is enqueued between these two. `begin` makes room to remember it and locks the queue (on failure,
 * which is NDBUF_ERR_NOMEM, it does not); `end` takes over the command's event and unlocks. `done` NULL: the command
 * was refused. */
ndbuf_status ndbuf_opencl__queue_begin(opencl_queue *queue, ndbuf_error *err);
void ndbuf_opencl__queue_end(opencl_queue *queue, cl_event done);

/* The same where the queue is locked already: remembers a command that was enqueued, and that waits for an event of a
 * queue's unless `awaited` is NULL. There is room for it. */
void ndbuf_opencl__queue_append(opencl_queue *queue, cl_event done, const opencl_event *awaited);

/* With the queue locked: keeps a failure of work `number` for the next wait and for later events. */
void ndbuf_opencl__queue_fail(opencl_queue *queue, uint64_t number, const ndbuf_error *error);
void ndbuf_opencl__queue_fail_code(opencl_queue *queue, uint64_t number, cl_int code, const char *what);

/* With the queue locked: forgets the oldest commands that are done, up to the first one that is not, or has a failure
 * to tell a thread. */
void ndbuf_opencl__queue_reap(opencl_queue *queue);

/* All of the queue is done: takes the failure that is to be told next, in the default queue one of the calling thread's
 * commands. NDBUF_OK: none. */
ndbuf_status ndbuf_opencl__queue_take_error(opencl_queue *queue, ndbuf_error *err);

/* The queue ends: lets go of all commands that it remembers. */
void ndbuf_opencl__queue_forget_works(opencl_queue *queue);

/* Before a write from [host, host + nbytes): some drivers read the host's bytes when they get a command, not when it
 * runs. Where earlier work of the queue may still change these bytes, a read into them or what a wait is for, a host
 * function that does nothing comes first: commands behind its gate are the driver's only when that work is done. Not
 * where the device shares the host's memory. NDBUF_ERR_NOMEM, NDBUF_ERR_DEVICE */
ndbuf_status ndbuf_opencl__queue_settle(opencl_queue *queue, const char *host, int64_t nbytes, ndbuf_error *err);

/* With the queue locked: whether some of the first `number` works may be in flight. */
bool ndbuf_opencl__queue_is_in_flight(opencl_queue *queue, uint64_t number);

/* Between begin and end: the command reads into host memory. */
void ndbuf_opencl__queue_note_read(opencl_queue *queue, const char *host, int64_t nbytes);

/* With the queue locked: starts the commands enqueued so far. A failure is kept for the next wait. */
void ndbuf_opencl__queue_flush(opencl_queue *queue);

/* The CL_MAP_... bits of NDBUF_MAP_... bits. Never CL_MAP_WRITE_INVALIDATE_REGION: what is not written stays. */
static inline cl_map_flags ndbuf_opencl__map_flags(uint32_t map_flags)
{
    return ((map_flags & NDBUF_MAP_READ) != 0 ? CL_MAP_READ : 0u) |
           ((map_flags & NDBUF_MAP_WRITE) != 0 ? CL_MAP_WRITE : 0u);
}

/* Asks the driver what the device's kernels have to know, but does not build them. The mutex is the caller's. */
ndbuf_status ndbuf_opencl__kernels_init(opencl_device *device, ndbuf_error *err);

/* Releases kernels and program, if there are any. */
void ndbuf_opencl__kernels_clear(opencl_device *device);

/* Enqueues a kernel, which is built if need be. NDBUF_ERR_DEVICE: the driver failed; for a failed build, the text
 * begins the compiler's log. NDBUF_ERR_NOMEM. */
ndbuf_status ndbuf_opencl__kernel_launch(opencl_queue *queue, const ndbuf_mem *dst, const ndbuf_mem *src,
                                         const ndbuf__kernel_launch *launch, ndbuf_error *err);

/* The same, with buffers that stand in for those that the kernel must not use; `launch` is spoilt. src NULL: nothing is
 * read. NDBUF_ERR_UNSUPPORTED: nothing can stand in for dst, and nothing was enqueued. */
ndbuf_status ndbuf_opencl__launch(ndbuf_queue *queue, const ndbuf_mem *dst, const ndbuf_mem *src,
                                  ndbuf__kernel_launch *launch, ndbuf_error *err);

/* Slots of the table, by file. */

ndbuf_status ndbuf_opencl__device_count(int32_t *out_count, ndbuf_error *err);
ndbuf_status ndbuf_opencl__device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err);
void ndbuf_opencl__device_close(ndbuf_device *device);
void ndbuf_opencl__device_describe(const ndbuf_device *device, ndbuf_device_info *info);

ndbuf_status ndbuf_opencl__mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                     ndbuf_error *err);
ndbuf_status ndbuf_opencl__mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                      ndbuf_error *err);
void ndbuf_opencl__mem_free(ndbuf_mem *mem);
ndbuf_status ndbuf_opencl__mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                   void **out_address, ndbuf_error *err);
ndbuf_status ndbuf_opencl__mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err);

void ndbuf_opencl__copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps);
ndbuf_status ndbuf_opencl__copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset,
                                      const ndbuf_mem *src, int64_t src_offset, int64_t nbytes, ndbuf_error *err);
ndbuf_status ndbuf_opencl__copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err);
ndbuf_status ndbuf_opencl__copy_strided(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err);
ndbuf_status ndbuf_opencl__convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *box, ndbuf_error *err);
ndbuf_status ndbuf_opencl__fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err);

ndbuf_status ndbuf_opencl__queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err);
void ndbuf_opencl__queue_destroy(ndbuf_queue *queue);
ndbuf_status ndbuf_opencl__queue_wait(ndbuf_queue *queue, ndbuf_error *err);
ndbuf_status ndbuf_opencl__queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err);
ndbuf_status ndbuf_opencl__queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err);
ndbuf_status ndbuf_opencl__queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err);
ndbuf_status ndbuf_opencl__queue_mapped_call(ndbuf_queue *queue, const ndbuf_mapped_range *ranges, int32_t nranges,
                                             ndbuf_mapped_fn fn, void *context, ndbuf_error *err);

ndbuf_status ndbuf_opencl__event_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err);
void ndbuf_opencl__event_destroy(ndbuf_event *event);
ndbuf_status ndbuf_opencl__event_wait(ndbuf_event *event, ndbuf_error *err);
ndbuf_status ndbuf_opencl__event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err);

#endif
