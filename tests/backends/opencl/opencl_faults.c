/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_faults.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "backends/opencl/opencl_api.h"

static opencl_api real;
static pthread_once_t real_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static atomic_llong live_count;

/* Guarded by the mutex. */
static int64_t calls_left;
static cl_int fault_code;
static const char *fault_only;
static const char *fault_fired;

/* What queues wait for, and bytes that were read early: entries are never given back but to one another. */
enum { MAX_WAITS = 256, MAX_EARLY_NBYTES = 65536 };
static struct {
    cl_command_queue queue; /* NULL: free */
    cl_event event;         /* retained */
} waits_of_queues[MAX_WAITS];
static struct early_bytes {
    struct early_bytes *next;
    char bytes[];
} * all_early_bytes;

static cl_int (*retain_event)(cl_event event);

static atomic_int manner; /* an opencl_faults_manner */
static atomic_llong refusal_count;
static atomic_int is_in_hurry;

static void open_real(void)
{
    void *library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        return;
    }
#define LOAD(name)                                                                                                     \
    do {                                                                                                               \
        void *address = dlsym(library, #name);                                                                         \
        memcpy(&real.name, &address, sizeof(address));                                                                 \
    } while (0);
    OPENCL_FUNCTION_LIST(LOAD)
#undef LOAD
    void *address = dlsym(library, "clRetainEvent");
    memcpy(&retain_event, &address, sizeof(address));
    if (getenv("OPENCL_FAULTS_DISCRETE") != NULL) {
        atomic_store(&manner, OPENCL_FAULTS_DISCRETE);
    }
}

/* The code with which this call has to fail; CL_SUCCESS: it goes on. Without an ICD loader, none does. */
static cl_int fault(const char *name)
{
    cl_int code = CL_SUCCESS;
    pthread_once(&real_once, open_real);
    if (real.clGetPlatformIDs == NULL) {
        return -1001; /* CL_PLATFORM_NOT_FOUND_KHR */
    }
    pthread_mutex_lock(&mutex);
    if (calls_left > 0 && (fault_only == NULL || strcmp(fault_only, name) == 0) && --calls_left == 0) {
        code = fault_code;
        fault_fired = name;
    }
    pthread_mutex_unlock(&mutex);
    return code;
}

static cl_int count(cl_int code, int64_t references)
{
    if (code == CL_SUCCESS) {
        atomic_fetch_add(&live_count, references);
    }
    return code;
}

static void faults_arm(int64_t nth, int32_t code, const char *only)
{
    pthread_mutex_lock(&mutex);
    calls_left = nth;
    fault_code = code;
    fault_only = only;
    fault_fired = NULL;
    pthread_mutex_unlock(&mutex);
}

static const char *faults_fired(void)
{
    pthread_mutex_lock(&mutex);
    const char *name = fault_fired;
    pthread_mutex_unlock(&mutex);
    return name;
}

static int64_t faults_live(void)
{
    return atomic_load(&live_count);
}

static void faults_behave(opencl_faults_manner value)
{
    pthread_once(&real_once, open_real);
    atomic_store(&manner, (int)value);
}

static void faults_hurry(int32_t hurries)
{
    atomic_store(&is_in_hurry, hurries);
}

static int64_t faults_refusals(void)
{
    return atomic_load(&refusal_count);
}

extern const opencl_faults_control opencl_faults;
const opencl_faults_control opencl_faults = {faults_arm,    faults_fired, faults_live,
                                             faults_behave, faults_hurry, faults_refusals};

/* Functions that return a code: asked, retained, enqueued without an event. */
#define PLAIN(name, references, parameters, arguments)                                                                 \
    cl_int name parameters                                                                                             \
    {                                                                                                                  \
        cl_int code = fault(#name);                                                                                    \
        return code != CL_SUCCESS ? code : count(real.name arguments, references);                                     \
    }

/* Functions that wait, even when they fail, but for those in a hurry. */
#define WAIT(name, parameters, arguments)                                                                              \
    cl_int name parameters                                                                                             \
    {                                                                                                                  \
        cl_int fault_code_ = fault(#name);                                                                             \
        if (fault_code_ != CL_SUCCESS && atomic_load(&is_in_hurry)) {                                                  \
            return fault_code_;                                                                                        \
        }                                                                                                              \
        cl_int code = real.name arguments;                                                                             \
        return fault_code_ != CL_SUCCESS ? fault_code_ : code;                                                         \
    }

#define RELEASE(name, type)                                                                                            \
    cl_int name(type object)                                                                                           \
    {                                                                                                                  \
        return count(real.name(object), -1);                                                                           \
    }

#define ENQUEUE(name, parameters, arguments) ENQUEUE_UNLESS(false, name, parameters, arguments)

#define ENQUEUE_UNLESS(refused, name, parameters, arguments)                                                           \
    cl_int name parameters                                                                                             \
    {                                                                                                                  \
        cl_int code = fault(#name);                                                                                    \
        if (code == CL_SUCCESS && (refused)) {                                                                         \
            code = CL_INVALID_VALUE;                                                                                   \
        }                                                                                                              \
        return code != CL_SUCCESS ? code : count(real.name arguments, event != NULL ? 1 : 0);                          \
    }

/* Functions that return an object and give the code through a pointer. */
#define CREATE(type, name, references, parameters, arguments)                                                          \
    type name parameters                                                                                               \
    {                                                                                                                  \
        *code = fault(#name);                                                                                          \
        if (*code != CL_SUCCESS) {                                                                                     \
            return NULL;                                                                                               \
        }                                                                                                              \
        type object = real.name arguments;                                                                             \
        count(*code, references);                                                                                      \
        return object;                                                                                                 \
    }

/* A build that fails leaves the compiler's log behind: the source is built with an option that spoils it. */
cl_int clBuildProgram(cl_program program, cl_uint n, const cl_device_id *ids, const char *options,
                      void(CL_CALLBACK *notify)(cl_program, void *), void *context)
{
    cl_int code = fault("clBuildProgram");
    if (code != CL_SUCCESS) {
        real.clBuildProgram(program, n, ids, "-Dndk_params=17", notify, context);
        return code;
    }
    return real.clBuildProgram(program, n, ids, options, notify, context);
}

/* A discrete GPU in front of what may be a processor. */
cl_int clGetDeviceInfo(cl_device_id id, cl_device_info name, size_t size, void *value, size_t *out_size)
{
    cl_int code = fault("clGetDeviceInfo");
    if (code == CL_SUCCESS) {
        code = real.clGetDeviceInfo(id, name, size, value, out_size);
    }
    if (code == CL_SUCCESS && value != NULL && atomic_load(&manner) == OPENCL_FAULTS_DISCRETE) {
        if (name == CL_DEVICE_HOST_UNIFIED_MEMORY) {
            *(cl_bool *)value = CL_FALSE;
        } else if (name == CL_DEVICE_TYPE) {
            *(cl_device_type *)value = CL_DEVICE_TYPE_GPU;
        } else if (name == CL_DEVICE_EXECUTION_CAPABILITIES) {
            *(cl_device_exec_capabilities *)value = CL_EXEC_KERNEL;
        }
    }
    return code;
}

/* Whether a driver that behaves so refuses a rectangle of a buffer, which is valid. */
static bool refuses(cl_mem mem, const size_t *origin, const size_t *region, size_t row_pitch, size_t slice_pitch)
{
    int how = atomic_load(&manner);
    size_t nbytes = 0;
    if (how == OPENCL_FAULTS_NONE ||
        real.clGetMemObjectInfo(mem, CL_MEM_SIZE, sizeof(nbytes), &nbytes, NULL) != CL_SUCCESS) {
        return false;
    }
    size_t offset = how == OPENCL_FAULTS_STRICT ? origin[0] : 0;
    bool refused = offset + region[1] * row_pitch > nbytes || offset + region[2] * slice_pitch > nbytes;
    atomic_fetch_add(&refusal_count, refused ? 1 : 0);
    return refused;
}

static bool is_complete(cl_event event)
{
    cl_int state = CL_COMPLETE;
    real.clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, NULL);
    return state <= CL_COMPLETE;
}

static bool is_user_event(cl_event event)
{
    cl_command_type type = 0;
    real.clGetEventInfo(event, CL_EVENT_COMMAND_TYPE, sizeof(type), &type, NULL);
    return type == CL_COMMAND_USER;
}

/* Remembers that a queue waits for an event. */
static void note_wait(cl_command_queue queue, cl_uint nwaits, const cl_event *waits)
{
    if (atomic_load(&manner) != OPENCL_FAULTS_DISCRETE) {
        return;
    }
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < MAX_WAITS && nwaits == 1; i++) {
        if (waits_of_queues[i].queue == NULL || is_complete(waits_of_queues[i].event)) {
            if (waits_of_queues[i].queue != NULL) {
                real.clReleaseEvent(waits_of_queues[i].event);
            }
            retain_event(waits[0]);
            waits_of_queues[i].queue = queue;
            waits_of_queues[i].event = waits[0];
            break;
        }
    }
    pthread_mutex_unlock(&mutex);
}

/* The host's bytes for a write: a few are those of now where a command is in its way, and no user event. */
static const void *bytes_to_write(cl_command_queue queue, const void *host, size_t nbytes)
{
    bool waits_for_user = false;
    bool waits_for_command = false;
    if (atomic_load(&manner) != OPENCL_FAULTS_DISCRETE || nbytes > MAX_EARLY_NBYTES) {
        return host;
    }
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < MAX_WAITS; i++) {
        if (waits_of_queues[i].queue == queue && !is_complete(waits_of_queues[i].event)) {
            waits_for_user = waits_for_user || is_user_event(waits_of_queues[i].event);
            waits_for_command = waits_for_command || !is_user_event(waits_of_queues[i].event);
        }
    }
    if (waits_for_command && !waits_for_user) {
        struct early_bytes *early = malloc(sizeof(*early) + nbytes);
        if (early != NULL) {
            memcpy(early->bytes, host, nbytes);
            early->next = all_early_bytes;
            all_early_bytes = early;
            host = early->bytes;
        }
    }
    pthread_mutex_unlock(&mutex);
    return host;
}

static size_t rect_nbytes(const size_t *region, size_t row, size_t slice)
{
    return (region[2] - 1) * slice + (region[1] - 1) * row + region[0];
}

#define LIST cl_uint nwaits, const cl_event *waits, cl_event *event

/* A read that is under way is something that later writes of the queue wait for. */
cl_int clEnqueueReadBuffer(cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset, size_t size, void *host,
                           LIST)
{
    cl_int code = fault("clEnqueueReadBuffer");
    if (code == CL_SUCCESS) {
        code = count(real.clEnqueueReadBuffer(queue, mem, blocking, offset, size, host, nwaits, waits, event),
                     event != NULL ? 1 : 0);
    }
    if (code == CL_SUCCESS && event != NULL) {
        note_wait(queue, 1, event);
    }
    return code;
}

/* clang-format off */
PLAIN(clGetPlatformIDs, 0, (cl_uint n, cl_platform_id *ids, cl_uint *count_), (n, ids, count_))
PLAIN(clGetPlatformInfo, 0, (cl_platform_id id, cl_platform_info name, size_t size, void *value, size_t *out_size),
      (id, name, size, value, out_size))
PLAIN(clGetDeviceIDs, 0, (cl_platform_id id, cl_device_type type, cl_uint n, cl_device_id *ids, cl_uint *count_),
      (id, type, n, ids, count_))
PLAIN(clRetainDevice, 1, (cl_device_id id), (id))
RELEASE(clReleaseDevice, cl_device_id)
CREATE(cl_context, clCreateContext, 1,
       (const cl_context_properties *properties, cl_uint n, const cl_device_id *ids,
        void(CL_CALLBACK *notify)(const char *, const void *, size_t, void *), void *context, cl_int *code),
       (properties, n, ids, notify, context, code))
PLAIN(clRetainContext, 1, (cl_context context), (context))
RELEASE(clReleaseContext, cl_context)
PLAIN(clGetContextInfo, 0, (cl_context context, cl_context_info name, size_t size, void *value, size_t *out_size),
      (context, name, size, value, out_size))
CREATE(cl_command_queue, clCreateCommandQueue, 1,
       (cl_context context, cl_device_id id, cl_command_queue_properties properties, cl_int *code),
       (context, id, properties, code))
PLAIN(clRetainCommandQueue, 1, (cl_command_queue queue), (queue))
RELEASE(clReleaseCommandQueue, cl_command_queue)
PLAIN(clGetCommandQueueInfo, 0,
      (cl_command_queue queue, cl_command_queue_info name, size_t size, void *value, size_t *out_size),
      (queue, name, size, value, out_size))
CREATE(cl_mem, clCreateBuffer, 1, (cl_context context, cl_mem_flags flags, size_t size, void *host, cl_int *code),
       (context, flags, size, host, code))
PLAIN(clRetainMemObject, 1, (cl_mem mem), (mem))
RELEASE(clReleaseMemObject, cl_mem)
PLAIN(clGetMemObjectInfo, 0, (cl_mem mem, cl_mem_info name, size_t size, void *value, size_t *out_size),
      (mem, name, size, value, out_size))
ENQUEUE(clEnqueueWriteBuffer,
        (cl_command_queue queue, cl_mem mem, cl_bool blocking, size_t offset, size_t size, const void *host, LIST),
        (queue, mem, blocking, offset, size, bytes_to_write(queue, host, size), nwaits, waits, event))
ENQUEUE(clEnqueueCopyBuffer,
        (cl_command_queue queue, cl_mem src, cl_mem dst, size_t src_offset, size_t dst_offset, size_t size, LIST),
        (queue, src, dst, src_offset, dst_offset, size, nwaits, waits, event))
ENQUEUE_UNLESS(refuses(mem, origin, region, row, slice), clEnqueueReadBufferRect,
        (cl_command_queue queue, cl_mem mem, cl_bool blocking, const size_t *origin, const size_t *host_origin,
         const size_t *region, size_t row, size_t slice, size_t host_row, size_t host_slice, void *host, LIST),
        (queue, mem, blocking, origin, host_origin, region, row, slice, host_row, host_slice, host, nwaits, waits,
         event))
ENQUEUE_UNLESS(refuses(mem, origin, region, row, slice), clEnqueueWriteBufferRect,
        (cl_command_queue queue, cl_mem mem, cl_bool blocking, const size_t *origin, const size_t *host_origin,
         const size_t *region, size_t row, size_t slice, size_t host_row, size_t host_slice, const void *host, LIST),
        (queue, mem, blocking, origin, host_origin, region, row, slice, host_row, host_slice,
         bytes_to_write(queue, host, rect_nbytes(region, host_row, host_slice)), nwaits, waits, event))
ENQUEUE_UNLESS(refuses(src, src_origin, region, src_row, src_slice) ||
                   refuses(dst, dst_origin, region, dst_row, dst_slice), clEnqueueCopyBufferRect,
        (cl_command_queue queue, cl_mem src, cl_mem dst, const size_t *src_origin, const size_t *dst_origin,
         const size_t *region, size_t src_row, size_t src_slice, size_t dst_row, size_t dst_slice, LIST),
        (queue, src, dst, src_origin, dst_origin, region, src_row, src_slice, dst_row, dst_slice, nwaits, waits,
         event))
ENQUEUE(clEnqueueFillBuffer,
        (cl_command_queue queue, cl_mem mem, const void *pattern, size_t length, size_t offset, size_t size, LIST),
        (queue, mem, pattern, length, offset, size, nwaits, waits, event))
CREATE(cl_program, clCreateProgramWithSource, 1,
       (cl_context context, cl_uint n, const char **texts, const size_t *lengths, cl_int *code),
       (context, n, texts, lengths, code))
PLAIN(clGetProgramBuildInfo, 0,
      (cl_program program, cl_device_id id, cl_program_build_info name, size_t size, void *value, size_t *out_size),
      (program, id, name, size, value, out_size))
RELEASE(clReleaseProgram, cl_program)
CREATE(cl_kernel, clCreateKernel, 1, (cl_program program, const char *name, cl_int *code), (program, name, code))
RELEASE(clReleaseKernel, cl_kernel)
PLAIN(clSetKernelArg, 0, (cl_kernel kernel, cl_uint index, size_t size, const void *value),
      (kernel, index, size, value))
PLAIN(clGetKernelWorkGroupInfo, 0,
      (cl_kernel kernel, cl_device_id id, cl_kernel_work_group_info name, size_t size, void *value, size_t *out_size),
      (kernel, id, name, size, value, out_size))
ENQUEUE(clEnqueueNDRangeKernel,
        (cl_command_queue queue, cl_kernel kernel, cl_uint ndim, const size_t *offset, const size_t *nitems,
         const size_t *group_nitems, LIST),
        (queue, kernel, ndim, offset, nitems, group_nitems, nwaits, waits, event))
ENQUEUE(clEnqueueNativeKernel,
        (cl_command_queue queue, void(CL_CALLBACK *fn)(void *), void *args, size_t nbytes, cl_uint n,
         const cl_mem *mems, const void **places, LIST),
        (queue, fn, args, nbytes, n, mems, places, nwaits, waits, event))
CREATE(void *, clEnqueueMapBuffer, event != NULL ? 1 : 0,
       (cl_command_queue queue, cl_mem mem, cl_bool blocking, cl_map_flags flags, size_t offset, size_t size, LIST,
        cl_int *code),
       (queue, mem, blocking, flags, offset, size, nwaits, waits, event, code))
ENQUEUE(clEnqueueUnmapMemObject, (cl_command_queue queue, cl_mem mem, void *address, LIST),
        (queue, mem, address, nwaits, waits, event))
ENQUEUE(clEnqueueMarkerWithWaitList, (cl_command_queue queue, LIST), (queue, nwaits, waits, event))
ENQUEUE_UNLESS((note_wait(queue, nwaits, waits), false), clEnqueueBarrierWithWaitList,
               (cl_command_queue queue, LIST), (queue, nwaits, waits, event))
CREATE(cl_event, clCreateUserEvent, 1, (cl_context context, cl_int *code), (context, code))
PLAIN(clSetUserEventStatus, 0, (cl_event event, cl_int status), (event, status))
WAIT(clWaitForEvents, (cl_uint n, const cl_event *events), (n, events))
PLAIN(clGetEventInfo, 0, (cl_event event, cl_event_info name, size_t size, void *value, size_t *out_size),
      (event, name, size, value, out_size))
RELEASE(clReleaseEvent, cl_event)
PLAIN(clFlush, 0, (cl_command_queue queue), (queue))
WAIT(clFinish, (cl_command_queue queue), (queue))
/* clang-format on */
