/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_BACKENDS_CUDA_CUDA_BACKEND_H
#define NDBUF_BACKENDS_CUDA_CUDA_BACKEND_H

/* Shared by the files of the CUDA backend, which has three tables: memory of devices, pinned and managed memory. */

#include "backends/cuda/cuda_api.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "ndbuf/backend.h"

#include "core/block_pool.h"
#include "core/ref_count.h"
#include "core/sync.h"

/* Events kept for reuse by each device. */
#define CUDA_KEPT_EVENTS 256

typedef enum cuda_kind { CUDA_KIND_DEVICE, CUDA_KIND_HOST, CUDA_KIND_MANAGED } cuda_kind;

/* What every ndbuf_device of ours begins with: a device, or the pinned memory that a device stages in. */
typedef struct cuda_place {
    ndbuf_device base;
    const cuda_api *api;
    cuda_kind kind;
    int ordinal; /* of the CUDA device that allocates, and whose streams its queues are */
} cuda_place;

/* What the driver tells about a device when it is opened. */
typedef struct cuda_traits {
    int major; /* of the compute capability */
    int minor;
    int max_pitch; /* bytes */
    int max_group_nitems;
    int has_pools;
    int is_integrated;
    int shares_managed;        /* the host may touch managed memory at any time */
    int registers_readonly;    /* read-only mappings can be pinned */
    int reaches_host_pointers; /* kernels reach pinned memory at the host's address */
} cuda_traits;

typedef struct cuda_device cuda_device;
struct cuda_device {
    cuda_place place;
    cuda_place staging; /* of devices that the host does not reach */
    cuda_traits traits;
    char description[128];
    char driver[128];
    uint64_t memory_nbytes;
    cudaMemPool_t pool;         /* NULL: plain cudaMalloc */
    cudaStream_t memory_stream; /* with a pool: allocates and frees, and nothing else */
    _Atomic(uint64_t) peers;    /* bit N: kernels of either device reach the memory of the other, cuda:N */
    _Atomic(bool) lacks_code;   /* the driver has said that no kernel of this build is for this device */
    cuda_device *next;          /* in the list of open devices of this kind */
    ndbuf__block_pool blocks;   /* for events and jobs; has a lock of its own */
    ndbuf__mutex mutex;         /* guards the rest */
    int32_t nevents;
    cudaEvent_t events[CUDA_KEPT_EVENTS];
};

/* The first failure of a host function in a stretch of a queue's work: shared by the queue, its jobs and the events
 * recorded in it. Written by the driver's thread without a lock, one job after the other. */
typedef struct cuda_failure {
    ndbuf__ref_count refs;
    _Atomic(uint64_t) number; /* of the work that failed; 0: none. Set once, after `error` */
    _Atomic(uint64_t) ndone;  /* number of the last work that is done */
    ndbuf_error error;
} cuda_failure;

typedef struct cuda_job cuda_job;

/* A wait for a queue, on the stack of the thread that waits: until it tells, events of the queue do. */
typedef struct cuda_wait cuda_wait;
struct cuda_wait {
    cuda_wait *next;
    cuda_failure *failure; /* of the work that the wait is for; NULL: none of it can fail */
};

typedef struct cuda_queue {
    ndbuf_queue base;
    bool owns_stream;
    ndbuf__mutex mutex;    /* guards all below; held while work is given to the stream that takes a number. Never taken
                            * by the driver's threads, so that a full stream cannot stop them */
    uint64_t nissued;      /* number of the last work that can fail on the host */
    cuda_failure *failure; /* of the work to come; NULL: there was none that can fail, or a failure was told */
    cuda_wait *waits;      /* under way, the last first; what they are for is not in `failure` */
    cuda_job *first_job;   /* oldest first */
    cuda_job *last_job;
    ndbuf__thread thread; /* of cudaStreamPerThread: the one whose stream it is */
} cuda_queue;

/* What an event tells of work that a wait was for when the event was recorded. */
typedef struct cuda_cause cuda_cause;
struct cuda_cause {
    cuda_cause *next;
    cuda_failure *failure; /* retained */
};

typedef struct cuda_event {
    ndbuf_event base;
    cudaEvent_t handle;    /* NULL: the device had failed for good, as `failure` tells */
    cuda_failure *failure; /* retained; NULL: nothing before it can fail on the host */
    uint64_t number;       /* the work of the queue before the event */
    cuda_cause *causes;    /* of earlier work than `failure`, the oldest first */
    bool is_captured;      /* recorded while its stream was being captured: CUDA gives up a capture of which such an
                            * event is asked, and one that waits for any other event */
} cuda_event;

extern const ndbuf_backend_ops ndbuf_cuda__ops;
extern const ndbuf_backend_ops ndbuf_cuda_host__ops;
extern const ndbuf_backend_ops ndbuf_cuda_managed__ops;

static inline bool ndbuf_cuda__is_own(const ndbuf_device *device)
{
    return device->ops == &ndbuf_cuda__ops || device->ops == &ndbuf_cuda_host__ops ||
           device->ops == &ndbuf_cuda_managed__ops;
}

/* -- the calling thread's state -- */

/* What a function of ours has changed in the calling thread. */
typedef struct cuda_scope {
    const cuda_api *api;
    int previous; /* device; -1: not changed */
    enum cudaStreamCaptureMode mode;
    bool has_mode;
} cuda_scope;

/* Makes the place's device current, and lets the thread make calls that a capture elsewhere would forbid, until
 * ndbuf_cuda__leave. */
ndbuf_status ndbuf_cuda__enter(const cuda_place *place, cuda_scope *out_scope, ndbuf_error *err);

/* The same for functions that undo: goes on where it fails. False: nothing is to be done in this process. */
bool ndbuf_cuda__enter_to_undo(const cuda_place *place, cuda_scope *out_scope);

void ndbuf_cuda__leave(const cuda_scope *scope);

/* Enters the device of a queue. NDBUF_ERR_INVALID: another thread's queue over cudaStreamPerThread. */
ndbuf_status ndbuf_cuda__queue_enter(const ndbuf_queue *queue, cuda_scope *out_scope, ndbuf_error *err);

/* -- failures of host functions -- */

/* NULL is accepted. */
void ndbuf_cuda__failure_release(cuda_failure *failure);

/* Tells a failure among the first `number` works: fills `err` and returns its status, or NDBUF_OK. NULL: none. */
ndbuf_status ndbuf_cuda__failure_tell(const cuda_failure *failure, uint64_t number, ndbuf_error *err);

/* Tells a failure of the work before the event. */
ndbuf_status ndbuf_cuda__event_tell(const cuda_event *event, ndbuf_error *err);

/* -- kernels -- */

/* Whether this build has kernels, and nothing has shown yet that the device cannot run them. */
bool ndbuf_cuda__has_kernels(const cuda_device *device);

/* Each open device is a user of the kernels: they are loaded by the first that launches one, and unloaded behind the
 * last user. */
void ndbuf_cuda__kernels_retain(void);
void ndbuf_cuda__kernels_release(const cuda_api *api);

/* Kernel `index`, with the device current. NDBUF_ERR_UNSUPPORTED: there is no code for this device. */
ndbuf_status ndbuf_cuda__kernel_get(cuda_device *device, int32_t index, const void **out_kernel, ndbuf_error *err);

/* The status of a call that loads or launches kernels. NDBUF_ERR_UNSUPPORTED where there is no code for the device,
 * which is remembered: from then on it has no kernels. */
ndbuf_status ndbuf_cuda__kernel_status(cuda_device *device, cudaError_t code, const char *call, ndbuf_error *err);

/* -- memory -- */

/* What a pointer leads to. */
typedef struct cuda_pointer {
    cuda_kind kind;
    int ordinal;         /* of the device where it is, or was allocated */
    bool is_for_kernels; /* the current device reaches it by this address, which for some pinned memory is the host's
                          * alone: write-combined, say */
} cuda_pointer;

/* With a device current. NDBUF_ERR_INVALID: not memory that CUDA knows. */
ndbuf_status ndbuf_cuda__pointer_ask(const cuda_api *api, const void *pointer, cuda_pointer *out_pointer,
                                     ndbuf_error *err);

/* Whose kernels reach a piece of memory. */
typedef enum cuda_reach {
    CUDA_REACH_PEERS,  /* those of its device and of peers; of pinned and managed memory, those of all devices */
    CUDA_REACH_DEVICE, /* those of its device */
    CUDA_REACH_NOBODY
} cuda_reach;

/* Memory of our own is for peers. */
cuda_reach ndbuf_cuda__mem_reach(const ndbuf_mem *mem);

/* A function of the driver; NULL: it has none of that name. With a device current. */
void *ndbuf_cuda__driver_function(const cuda_api *api, const char *name);

/* Slots of the tables, by file. */

ndbuf_status ndbuf_cuda__device_count(int32_t *out_count, ndbuf_error *err);
ndbuf_status ndbuf_cuda__shared_device_count(int32_t *out_count, ndbuf_error *err);
ndbuf_status ndbuf_cuda__device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err);
ndbuf_status ndbuf_cuda__host_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err);
ndbuf_status ndbuf_cuda__managed_device_open(int32_t ordinal, ndbuf_device **out_device, ndbuf_error *err);
void ndbuf_cuda__device_close(ndbuf_device *device);
void ndbuf_cuda__device_describe(const ndbuf_device *device, ndbuf_device_info *info);

ndbuf_status ndbuf_cuda__mem_alloc(ndbuf_device *device, size_t nbytes, size_t alignment, ndbuf_mem *out_mem,
                                   ndbuf_error *err);
ndbuf_status ndbuf_cuda__mem_import(ndbuf_device *device, void *handle, size_t nbytes, ndbuf_mem *out_mem,
                                    ndbuf_error *err);
void ndbuf_cuda__mem_free(ndbuf_mem *mem);
ndbuf_status ndbuf_cuda__mem_map(const ndbuf_mem *mem, size_t offset, size_t nbytes, uint32_t map_flags,
                                 void **out_address, ndbuf_error *err);
ndbuf_status ndbuf_cuda__mem_unmap(const ndbuf_mem *mem, void *address, ndbuf_error *err);

void ndbuf_cuda__copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps);
void ndbuf_cuda__shared_copy_caps(const ndbuf_device *dst, const ndbuf_device *src, ndbuf_copy_caps *out_caps);
ndbuf_status ndbuf_cuda__copy_bytes(ndbuf_queue *queue, const ndbuf_mem *dst, int64_t dst_offset, const ndbuf_mem *src,
                                    int64_t src_offset, int64_t nbytes, ndbuf_error *err);
ndbuf_status ndbuf_cuda__copy_rect(ndbuf_queue *queue, const ndbuf_rect *rect, ndbuf_error *err);
ndbuf_status ndbuf_cuda__copy_strided(ndbuf_queue *queue, const ndbuf_strided *box, ndbuf_error *err);
ndbuf_status ndbuf_cuda__convert_strided(ndbuf_queue *queue, const ndbuf_convert_box *box, ndbuf_error *err);
ndbuf_status ndbuf_cuda__fill_strided(ndbuf_queue *queue, const ndbuf_fill_box *box, ndbuf_error *err);

ndbuf_status ndbuf_cuda__queue_create(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err);
void ndbuf_cuda__queue_destroy(ndbuf_queue *queue);
ndbuf_status ndbuf_cuda__queue_wait(ndbuf_queue *queue, ndbuf_error *err);
ndbuf_status ndbuf_cuda__queue_wait_event(ndbuf_queue *queue, ndbuf_event *event, ndbuf_error *err);
ndbuf_status ndbuf_cuda__queue_wait_native(ndbuf_queue *queue, void *native_event, ndbuf_error *err);
ndbuf_status ndbuf_cuda__queue_host_call(ndbuf_queue *queue, ndbuf_host_fn fn, void *context, ndbuf_error *err);
ndbuf_status ndbuf_cuda__queue_is_capturing(ndbuf_queue *queue, int32_t *out_is_capturing, ndbuf_error *err);
/* Whether the stream is being captured. With the device current. */
ndbuf_status ndbuf_cuda__get_capturing(const ndbuf_queue *queue, bool *out_is_capturing, ndbuf_error *err);
/* Fails with NDBUF_ERR_UNSUPPORTED while the stream is being captured. With the device current. */
ndbuf_status ndbuf_cuda__refuse_capturing(const ndbuf_queue *queue, const char *what, ndbuf_error *err);

ndbuf_status ndbuf_cuda__event_record(ndbuf_queue *queue, ndbuf_event **out_event, ndbuf_error *err);
void ndbuf_cuda__event_destroy(ndbuf_event *event);
ndbuf_status ndbuf_cuda__event_wait(ndbuf_event *event, ndbuf_error *err);
ndbuf_status ndbuf_cuda__event_query(ndbuf_event *event, int32_t *out_complete, ndbuf_error *err);

#endif
