/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TESTS_CUDASIM_SIM_H
#define NDBUF_TESTS_CUDASIM_SIM_H

/* What the files of the simulator share. One lock guards everything; work runs outside it. A name that ends in _locked
 * is not needed: all functions here are called with the lock held unless they say otherwise. */

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backends/kernels/kernel_host.h"
#include "tests/cudasim/cudasim.h"

#define SIM_MAX_DEVICES 8
#define SIM_MAX_RANK (NDK_MAX_NDIM + 1)
#define SIM_MAX_PITCH 2147483647U
#define SIM_FILL_FRESH 0xCB
#define SIM_FILL_FREED 0xDD
#define SIM_RED_ZONE 512U
#define SIM_ADDRESS_FORMAT "0x%llx"

typedef struct sim_op sim_op;
typedef struct sim_block sim_block;
typedef struct sim_capture sim_capture;
typedef struct sim_stream sim_stream;

/* ---- objects behind handles: numbered, never reused, so that a stale handle is always known ---- */

typedef enum sim_kind {
    SIM_STREAM,
    SIM_EVENT,
    SIM_POOL,
    SIM_LIBRARY,
    SIM_KERNEL,
    SIM_GRAPH,
    SIM_GRAPH_EXEC,
    SIM_DEFAULT_POOL,
    SIM_NKINDS
} sim_kind;

typedef struct sim_object {
    sim_kind kind;
    uint64_t number;
} sim_object;

void *sim_handle_make(sim_object *object, sim_kind kind);
void *sim_handle_of(const sim_object *object);
void *sim_object_find(const void *handle, sim_kind kind); /* NULL: no such object lives; a violation if one did */
void sim_object_drop(sim_object *object);                 /* the handle, not the memory */
int64_t sim_object_count(sim_kind kind);

/* ---- memory ---- */

typedef enum sim_memory {
    SIM_DEVICE,
    SIM_MANAGED,
    SIM_PINNED,
    SIM_REGISTERED,
    SIM_IPC,
    SIM_PAGEABLE /* of no block */
} sim_memory;

typedef struct sim_pool {
    sim_object object;
    int device;
    uint64_t release_threshold;
    uint64_t used;
    uint64_t used_high;
    uint64_t max_nbytes;
    uint32_t accessible_from; /* bit per device */
    int reuse[3];
    bool destroyed;
    struct sim_pool *next; /* of all, destroyed ones too */
} sim_pool;

/* A set of bytes: `unit` bytes at each index of extents, strides > 0 and falling. */
typedef struct sim_region {
    uint64_t lo;
    uint64_t hi; /* one past the last byte */
    uint64_t unit;
    int ndim;
    bool write;
    uint64_t extents[SIM_MAX_RANK];
    uint64_t strides[SIM_MAX_RANK];
    sim_block *block; /* NULL: pageable */
    sim_op *op;
    struct sim_region *next; /* of the pending ones of the block */
    struct sim_region *prev;
} sim_region;

struct sim_block {
    sim_memory memory;
    int device;
    uint64_t base;
    uint64_t nbytes;
    char *alias; /* where the simulator touches byte 0 */
    sim_pool *pool;
    sim_op *alloc_op; /* stream-ordered allocation; NULL: at once */
    sim_op *free_op;  /* cudaFreeAsync, not done yet */
    bool from_pool;
    bool freed;          /* cudaFreeAsync was called */
    bool gone;           /* no address any more; held by work only */
    bool of_graph;       /* its life is governed by nodes of a graph */
    bool read_only;      /* registered so */
    unsigned host_flags; /* of cudaHostAlloc, cudaHostRegister */
    int nrefs;
    sim_region *pending;
    uint64_t id;
    int ipc_nopened;
    int ipc_pid;
    int ipc_fd;
    uint64_t ipc_offset;
    void *ipc_mapping;
    size_t ipc_nbytes;
};

sim_block *sim_block_find(uint64_t address);
uint64_t sim_block_device_offset(const sim_block *block); /* from the host's addresses to those of kernels */
uint64_t sim_host_address(uint64_t address);              /* of one of either kind */
bool sim_address_is_ours(uint64_t address);               /* in an arena, of a block that lives or not */
cudaError_t sim_block_create(sim_memory memory, int device, uint64_t nbytes, sim_block **out_block);
void sim_block_insert(sim_block *block); /* one that lies elsewhere */
void sim_block_remove(sim_block *block); /* its address means nothing from now on */
void sim_block_retain(sim_block *block);
void sim_block_release(sim_block *block);
void sim_block_refill(sim_block *block, int byte);
sim_block *sim_block_meeting(uint64_t lo, uint64_t hi); /* one with bytes in that range; NULL: none */
uint64_t sim_arena_used(int device);
int sim_arena_fd(int device);
uint64_t sim_block_file_offset(const sim_block *block);
void sim_memory_reset(void);
int64_t sim_memory_count(sim_memory memory);
sim_block *sim_block_at(size_t i);                        /* in the order of addresses; NULL: no more */
void sim_block_await(sim_block *block, const char *what); /* work pending on it is a violation, and waited for */
bool sim_range_is_writable(uint64_t lo, uint64_t hi);     /* for this process, by what the system says */

/* ---- work ---- */

typedef enum sim_work_kind {
    SIM_NOTHING, /* a point in a stream */
    SIM_COPY,
    SIM_FILL,
    SIM_LAUNCH,
    SIM_HOST_CALL,
    SIM_ALLOC,
    SIM_FREE
} sim_work_kind;

typedef struct sim_side {
    uint64_t address;
    uint64_t pitch;
    uint64_t slice;
} sim_side;

/* What an operation does, with the addresses that the program knows: a graph keeps this. regions[0] is written. */
typedef struct sim_work {
    sim_work_kind kind;
    const char *what; /* the function that gave it */
    sim_side dst;
    sim_side src;
    uint64_t width, height, depth;
    int value;
    char *staged;   /* the bytes of a pageable source, taken at the call or the launch, row behind row; owned */
    bool must_last; /* the source itself must still hold them when the work is done */
    bool changed;   /* it did not */
    cudaHostFn_t host_fn;
    void *host_data;
    ndbuf__kernel_host_fn kernel;
    uint32_t ngroups, group_nitems;
    ndk_params params;
    sim_block *block;  /* allocated or freed */
    cudaError_t fault; /* what it ends in, sticky */
    int nregions;
    sim_region regions[2];
} sim_work;

typedef enum sim_op_state { SIM_WAITING, SIM_QUEUED, SIM_RUNNING, SIM_DONE } sim_op_state;

struct sim_op {
    sim_work work;
    sim_op_state state;
    bool demanded;
    bool after_device; /* of the legacy stream: after all that blocking streams did, destroyed ones too */
    bool is_void;      /* pending when a sticky error came: has no effect */
    int nrefs;
    int device;
    uint64_t number;
    uint64_t stream;  /* its number: work of one stream is in order */
    uint64_t visited; /* the search that came by last */
    int nqueries;
    int nwaiting; /* callers of sim_op_await */
    int npending; /* of preds */
    int npreds;
    sim_op **preds; /* retained, done or not */
    int nsuccs;
    int succs_room;
    sim_op **succs;
    double done_at; /* ms */
    double queued_at;
    sim_op *next; /* of all that are pending */
    sim_op *prev;
    sim_op *lane_next;
};

void sim_op_retain(sim_op *op);
void sim_op_release(sim_op *op);
void sim_op_demand(sim_op *op);
void sim_op_wait(sim_op *op);         /* leaves the lock meanwhile */
void sim_op_await(sim_op *op);        /* the same, but the caller may not rely on it: no order for the sanitizer */
cudaError_t sim_op_query(sim_op *op); /* cudaSuccess or cudaErrorNotReady */
sim_op *sim_op_submit(const sim_work *work, sim_op *const *preds, int npreds, int device, uint64_t stream);
void sim_op_mark_ancestors(sim_op *op, uint64_t *out_mark);
void sim_op_void_all(void);
void sim_op_drop_all(void);
void sim_op_wait_device(int device);
void sim_op_await_device(int device); /* again without an order */
void sim_op_random_step(void);
int64_t sim_op_nwork(void);
void sim_op_demand_all(void);
void sim_work_run(sim_op *op); /* without the lock */

/* ---- regions and races ---- */

void sim_region_set(sim_region *region, bool write, uint64_t address, int ndim, const int64_t *shape,
                    const int64_t *strides, uint64_t unit);
bool sim_regions_overlap(const sim_region *a, const sim_region *b);
cudaError_t sim_region_resolve(sim_region *region, const char *what);
void sim_race_enter(sim_op *op); /* compares with all that is pending, then counts itself as such */
void sim_race_leave(sim_op *op);
void sim_race_free(sim_op *op); /* the op frees a block: it must come after all uses */

/* ---- streams and events ---- */

struct sim_stream {
    sim_object object; /* number 0 for the legacy and the per-thread streams, which have no handle of their own */
    int device;
    unsigned flags;
    int priority;
    bool legacy;
    bool destroyed;
    uint64_t number;
    uint64_t thread; /* of a per-thread stream */
    sim_op *last;
    sim_capture *capture;
    int ncapture_deps;
    int *capture_deps; /* nodes that the next one depends on */
    sim_stream *next;  /* of the device */
};

typedef struct sim_event {
    sim_object object;
    int device;
    unsigned flags;
    sim_op *op; /* NULL: not recorded */
    sim_capture *capture;
    int ncapture_deps;
    int *capture_deps;
    size_t place; /* in the list of all */
    bool recorded;
    double recorded_at; /* ms */
} sim_event;

void sim_event_reset(void);
void sim_event_end_capture(const sim_capture *capture);

/* The stream of a handle; also the legacy and the per-thread one of the current device. */
cudaError_t sim_stream_find(cudaStream_t handle, sim_stream **out_stream);
/* Captured, or given to the stream, after `extra` too (NULL: none). out_op may be NULL; else it gets a reference, or
 * NULL if the work was captured. What the work owns is taken, also on failure. */
cudaError_t sim_stream_submit(sim_stream *stream, const sim_work *work, sim_op *extra, sim_op **out_op);
/* The same without a look at capture; returns a reference. */
sim_op *sim_stream_enqueue(sim_stream *stream, const sim_work *work, sim_op *const *extra, int nextra);
sim_op *sim_stream_point(sim_stream *stream);                  /* after all work so far: a reference, NULL for none */
int sim_stream_preds(sim_stream *stream, sim_op ***out_preds); /* what its next work depends on; free the list */
void sim_stream_set_last(sim_stream *stream, sim_op *op);
void sim_stream_reset(void);

/* ---- capture ---- */

/* Fails if a capture forbids such calls to this thread, and invalidates that capture. */
cudaError_t sim_capture_forbid(void);
cudaError_t sim_capture_add(sim_stream *stream, const sim_work *work);
cudaError_t sim_capture_wait(sim_stream *stream, sim_event *event, bool *out_handled);
cudaError_t sim_capture_record(sim_stream *stream, sim_event *event);
void sim_capture_invalidate(sim_capture *capture);
bool sim_capture_is_of_event(const sim_event *event);
/* cudaErrorStreamCaptureImplicit if the legacy stream would have to wait for a captured one. */
cudaError_t sim_capture_check_legacy(const sim_stream *stream);
void sim_capture_forget_event(sim_event *event);
void sim_capture_leave(sim_stream *stream);
void sim_capture_reset(void);

/* ---- pools, kernels, devices ---- */

void sim_pool_reset(void);
void sim_kernel_reset(void);
bool sim_pool_reclaim(int device);
bool sim_can_access(int device, const sim_block *block);

/* Of a copy from pageable memory to the device: takes the bytes that are there now. */
void sim_copy_take_source(sim_work *work);

/* ---- the state ---- */

typedef struct sim_device {
    uint32_t peers; /* bit per device whose memory it may touch */
    sim_stream *streams;
    sim_stream *legacy;
} sim_device;

typedef struct sim_function {
    const char *name;
    int64_t ncalls;
    struct sim_function *next;
    bool known;
} sim_function;

typedef struct sim_state {
    bool started;
    int ndevices;
    cudasim_schedule schedule;
    uint64_t random;
    uint64_t memory;
    bool peer_possible;
    bool pools_supported;
    bool abort_on_violation;
    bool strict;
    cudaError_t sticky;
    cudasim_sabotage_kind sabotage;
    int nlive_ipc;        /* opened handles */
    uint64_t next_number; /* of streams, operations, captures */
    sim_device devices[SIM_MAX_DEVICES];
} sim_state;

extern sim_state sim;

typedef struct sim_thread {
    int device;
    cudaError_t last_error;
    bool in_host_fn;
    bool past_sticky; /* the call that it is in answers after a sticky error */
    uint64_t number;
    enum cudaStreamCaptureMode capture_mode;
} sim_thread;

extern _Thread_local sim_thread sim_self;

enum {
    SIM_WITHOUT_DEVICE = 1, /* works without a device */
    SIM_RELEASES = 2,       /* is done even when a sticky error is returned */
    SIM_PAST_STICKY = 4     /* a sticky error does not matter to it */
};

void sim_lock(void);
void sim_unlock(void);
void sim_wait(pthread_cond_t *cond);
bool sim_wait_ms(pthread_cond_t *cond, int ms); /* false: the time is over */
double sim_now_ms(void);

/* Begins a call: takes the lock, unless it fails. sim_leave ends it. */
cudaError_t sim_enter(sim_function *self, unsigned flags);
cudaError_t sim_leave(cudaError_t status);
cudaError_t sim_fault_of_work(void); /* what the next piece of work is to end in */
uint64_t sim_random_next(void);
uint64_t sim_thread_number(void);

void sim_violate(const char *format, ...) __attribute__((format(printf, 1, 2)));

void *sim_alloc(size_t nbytes); /* zeroed; never NULL */

#define SIM_ENTER_AS(function, flags)                                                                                  \
    static sim_function self_ = {.name = #function};                                                                   \
    const char *const what = #function;                                                                                \
    (void)what;                                                                                                        \
    do {                                                                                                               \
        cudaError_t status_ = sim_enter(&self_, (flags));                                                              \
        if (status_ != cudaSuccess) {                                                                                  \
            return status_;                                                                                            \
        }                                                                                                              \
    } while (0)
#define SIM_ENTER(function) SIM_ENTER_AS(function, 0U)

/* Ends the call with `status` if the condition holds. */
#define SIM_FAIL_IF(condition, status)                                                                                 \
    do {                                                                                                               \
        if (condition) {                                                                                               \
            return sim_leave(status);                                                                                  \
        }                                                                                                              \
    } while (0)
#define SIM_TRY(call)                                                                                                  \
    do {                                                                                                               \
        cudaError_t try_ = (call);                                                                                     \
        if (try_ != cudaSuccess) {                                                                                     \
            return sim_leave(try_);                                                                                    \
        }                                                                                                              \
    } while (0)

#endif
