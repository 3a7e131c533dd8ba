/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "ndbuf/opencl.h"

static const opencl_faults_control *faults;

/* Everything that a scenario holds; what is not zero is let go of at its end, after all queues have been waited for. */
typedef struct scenario {
    ndbuf_device *device;
    ndbuf_device *foreign;
    ndbuf_mem a;
    ndbuf_mem b;
    ndbuf_mem imported;
    void *address;
    ndbuf_queue *queue;
    ndbuf_queue *imported_queue;
    ndbuf_event *event;
    char block[256];
    atomic_int runs;
    int accepted;
} scenario;

static ndbuf_status host_step(void *context, ndbuf_error *err)
{
    (void)err;
    atomic_fetch_add((atomic_int *)context, 1);
    return NDBUF_OK;
}

static void mapped_step(void *context, void *const *addresses)
{
    memcpy(addresses[0], context, 100);
}

#define STEP(call)                                                                                                     \
    do {                                                                                                               \
        ndbuf_status step_ = (call);                                                                                   \
        if (step_ != NDBUF_OK) {                                                                                       \
            return step_;                                                                                              \
        }                                                                                                              \
    } while (0)

static ndbuf_status open_all(scenario *s, ndbuf_error *err)
{
    int32_t count = 0;
    void *context = NULL;
    void *id = NULL;
    STEP(OPS->device_count(&count, err));
    STEP(OPS->device_open(0, &s->device, err));
    STEP(ndbuf_opencl_device_handles(s->device, &context, &id, err));
    STEP(ndbuf_opencl_device_import(context, id, &s->foreign, err));
    STEP(OPS->mem_alloc(s->device, 256, 64, &s->a, err));
    STEP(OPS->mem_alloc(s->device, 256, 64, &s->b, err));
    STEP(OPS->mem_import(s->foreign, s->a.handle, 256, &s->imported, err));
    STEP(OPS->queue_create(s->device, NULL, &s->queue, err));
    STEP(OPS->queue_create(s->foreign, s->queue->native, &s->imported_queue, err));
    return NDBUF_OK;
}

static ndbuf_status work_all(scenario *s, ndbuf_error *err)
{
    ndbuf_mem host = opencl_fixture_host(s->block, sizeof(s->block));
    const ndbuf_rect up = {.dst = {&s->a, 0, 32, 128}, .src = {&host, 4, 16, 64}, 8, 4, 1};
    const ndbuf_rect across = {.dst = {&s->b, 0, 32, 128}, .src = {&s->a, 4, 16, 64}, 8, 4, 1};
    const ndbuf_rect down = {.dst = {&host, 0, 32, 128}, .src = {&s->b, 4, 16, 64}, 8, 4, 1};
    const ndbuf_rect within = {.dst = {&s->a, 0, 32, 128}, .src = {&s->a, 128, 16, 64}, 8, 4, 1};
    const ndbuf_fill_box box = {.dst = {&s->a, 0, NULL}, .item = "four", .item_nbytes = 4};
    const int64_t shape[] = {5, 6};
    const int64_t dst_strides[] = {24, 4};
    const int64_t src_strides[] = {4, 20};
    const ndbuf_strided permuted = {
        .dst = {&s->b, 0, dst_strides}, .src = {&s->a, 4, src_strides}, .ndim = 2, .shape = shape, .unit_nbytes = 4};
    const ndbuf_fill_box gaps = {
        .dst = {&s->a, 0, src_strides + 1}, .ndim = 1, .shape = shape, .item = "abc", .item_nbytes = 3};
    const ndbuf_convert_box wider = {.dst = {&s->b, 0, dst_strides},
                                     .src = {&s->a, 4, src_strides},
                                     .dst_element = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4},
                                     .src_element = {.number = NDBUF_NUMBER_INT16, .nbytes = 2, .is_swapped = 1},
                                     .ndim = 2,
                                     .shape = shape};
    int32_t complete = 0;
    STEP(OPS->copy_bytes(s->queue, &s->a, 0, &host, 0, 256, err));
    STEP(OPS->copy_bytes(s->queue, &s->b, 0, &s->a, 0, 256, err));
    STEP(OPS->copy_bytes(s->queue, &host, 0, &s->b, 0, 256, err));
    STEP(OPS->copy_rect(s->queue, &up, err));
    STEP(OPS->copy_rect(s->queue, &across, err));
    STEP(OPS->copy_rect(s->queue, &down, err));
    STEP(OPS->copy_rect(s->queue, &within, err));
    STEP(OPS->fill_strided(s->queue, &box, err));
    STEP(OPS->fill_strided(s->queue, &gaps, err));
    STEP(OPS->copy_strided(s->queue, &permuted, err));
    STEP(OPS->convert_strided(s->queue, &wider, err));
    STEP(OPS->queue_host_call(s->queue, host_step, &s->runs, err));
    s->accepted++;
    const ndbuf_mapped_range ranges[2] = {{.mem = &s->a, .nbytes = 100, .map_flags = NDBUF_MAP_WRITE},
                                          {.mem = &s->b, .offset = 3, .nbytes = 200, .map_flags = NDBUF_MAP_READ}};
    STEP(OPS->queue_mapped_call(s->queue, ranges, 1, mapped_step, s->block, err)); /* by the driver, if it can */
    STEP(OPS->queue_mapped_call(s->queue, ranges, 2, mapped_step, s->block, err)); /* by a thread of ours */
    STEP(OPS->event_record(s->queue, &s->event, err));
    STEP(OPS->queue_wait_event(s->device->default_queue, s->event, err));
    STEP(OPS->copy_bytes(s->device->default_queue, &host, 0, &s->b, 0, 256, err));
    STEP(OPS->event_query(s->event, &complete, err));
    STEP(OPS->event_wait(s->event, err));
    STEP(OPS->queue_wait(s->device->default_queue, err));
    STEP(OPS->queue_wait(s->queue, err));
    STEP(OPS->mem_map(&s->a, 0, 256, NDBUF_MAP_READ | NDBUF_MAP_WRITE, &s->address, err));
    void *address = s->address;
    s->address = NULL;
    ndbuf_status status = OPS->mem_unmap(&s->a, address, err);
    if (status != NDBUF_OK) {
        s->address = address;
    }
    return status;
}

/* Each queue is waited for even if another one failed; the first failure counts. */
static ndbuf_status close_all(scenario *s, ndbuf_error *err)
{
    ndbuf_queue *queues[] = {s->queue, s->imported_queue, s->device != NULL ? s->device->default_queue : NULL};
    ndbuf_status status = NDBUF_OK;
    for (int i = 0; i < 3; i++) {
        ndbuf_status waited =
            queues[i] != NULL ? OPS->queue_wait(queues[i], status == NDBUF_OK ? err : NULL) : NDBUF_OK;
        status = status == NDBUF_OK ? waited : status;
    }
    if (s->address != NULL) {
        OPS->mem_unmap(&s->a, s->address, NULL);
    }
    if (s->event != NULL) {
        OPS->event_destroy(s->event);
    }
    if (s->imported_queue != NULL) {
        OPS->queue_destroy(s->imported_queue);
    }
    if (s->queue != NULL) {
        OPS->queue_destroy(s->queue);
    }
    ndbuf_mem *mems[] = {&s->imported, &s->a, &s->b};
    for (int i = 0; i < 3; i++) {
        if (mems[i]->handle != NULL) {
            OPS->mem_free(mems[i]);
        }
    }
    ndbuf_device_close(s->foreign);
    if (s->device != NULL) {
        OPS->device_close(s->device);
    }
    return status;
}

static ndbuf_status run_scenario(scenario *s, ndbuf_error *err)
{
    memset(s, 0, sizeof(*s));
    ndbuf_status status = open_all(s, err);
    if (status == NDBUF_OK) {
        status = work_all(s, err);
    }
    ndbuf_status closed = close_all(s, status == NDBUF_OK ? err : NULL);
    return status == NDBUF_OK ? closed : status;
}

/* Functions whose failure need not be an error: a name that only serves to tell a simulator, and a call that is tried
 * again. */
static bool may_go_unnoticed(const char *name)
{
    return strcmp(name, "clGetPlatformInfo") == 0 || strcmp(name, "clSetUserEventStatus") == 0;
}

static void test_scenario_leaves_no_object_behind(void **state)
{
    (void)state;
    static scenario s;
    assert_int_equal(faults->live(), 0);
    faults->arm(0, 0, NULL);
    ASSERT_OK(run_scenario(&s, err));
    assert_int_equal(faults->live(), 0);
    assert_int_equal(atomic_load(&s.runs), 1);
}

static void test_each_failing_call_is_an_error_and_leaks_nothing(void **state)
{
    (void)state;
    static scenario s;
    int64_t nth = 0;
    const char *name = NULL;
    do {
        ndbuf_error error = {0};
        faults->arm(++nth, CL_OUT_OF_RESOURCES, NULL);
        ndbuf_status status = run_scenario(&s, &error);
        name = faults->fired();
        faults->arm(0, 0, NULL);
        if (faults->live() != 0) {
            fail_msg("call %lld (%s): %lld objects left", (long long)nth, name, (long long)faults->live());
        }
        if (atomic_load(&s.runs) != s.accepted) {
            fail_msg("call %lld (%s): the host function ran %d times", (long long)nth, name, atomic_load(&s.runs));
        }
        if (name == NULL) {
            assert_int_equal(status, NDBUF_OK);
        } else if (status == NDBUF_OK
                       ? !may_go_unnoticed(name)
                       : status != NDBUF_ERR_DEVICE && status != NDBUF_ERR_NOMEM && status != NDBUF_ERR_UNAVAILABLE) {
            fail_msg("call %lld (%s): %s", (long long)nth, name, ndbuf_status_name(status));
        } else if (status != NDBUF_OK) {
            assert_int_equal(error.status, status);
            assert_int_equal(error.native_code, CL_OUT_OF_RESOURCES);
            assert_non_null(strstr(error.message, "CL_OUT_OF_RESOURCES (-5)"));
            if (strstr(error.message, "->") != NULL) { /* names a function, and no more of how it is called */
                fail_msg("call %lld (%s): %s", (long long)nth, name, error.message);
            }
        }
    } while (name != NULL);
    assert_true(nth > 60);
}

static void test_out_of_device_memory_keeps_code_and_size(void **state)
{
    (void)state;
    static const cl_int codes[] = {CL_MEM_OBJECT_ALLOCATION_FAILURE, CL_OUT_OF_RESOURCES, CL_OUT_OF_HOST_MEMORY,
                                   CL_INVALID_BUFFER_SIZE};
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_mem mem = {0};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        ndbuf_error error = {0};
        faults->arm(1, codes[i], "clCreateBuffer");
        assert_int_equal(OPS->mem_alloc(device, 4711, 64, &mem, &error), NDBUF_ERR_NOMEM);
        assert_int_equal(error.native_code, codes[i]);
        assert_non_null(strstr(error.message, "4711 bytes on opencl:0: clCreateBuffer: CL_"));
    }
    faults->arm(1, CL_INVALID_CONTEXT, "clCreateBuffer");
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "clCreateBuffer: CL_INVALID_CONTEXT (-34)",
                 OPS->mem_alloc(device, 4711, 64, &mem, err));
    assert_null(mem.handle);
    opencl_fixture_end();
}

static void test_platform_without_devices_is_unavailable(void **state)
{
    (void)state;
    int32_t count = -1;
    ndbuf_error error = {0};
    faults->arm(1, CL_DEVICE_NOT_FOUND, "clGetDeviceIDs");
    assert_int_equal(OPS->device_count(&count, &error), NDBUF_ERR_UNAVAILABLE);
    assert_int_equal(error.native_code, CL_DEVICE_NOT_FOUND);
    assert_non_null(strstr(error.message, "CL_DEVICE_NOT_FOUND (-1)"));
    faults->arm(1, -1001, "clGetPlatformIDs");
    assert_int_equal(OPS->device_count(&count, &error), NDBUF_ERR_UNAVAILABLE);
    assert_int_equal(error.native_code, -1001);
    faults->arm(1, CL_OUT_OF_HOST_MEMORY, "clGetPlatformIDs");
    assert_int_equal(OPS->device_count(&count, &error), NDBUF_ERR_DEVICE);
    assert_int_equal(count, -1);
}

/* Where the driver takes two sides for overlapping that are not, a kernel does it. */
static void test_overlap_seen_by_the_driver_alone_does_not_matter(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    char bytes[256] = "left";
    ndbuf_mem mem = opencl_fixture_buffer(device, bytes, 256);
    const ndbuf_rect rect = {.dst = {&mem, 16, 32, 128}, .src = {&mem, 0, 32, 128}, 8, 4, 1};
    faults->arm(1, CL_MEM_COPY_OVERLAP, "clEnqueueCopyBufferRect");
    ASSERT_OK(OPS->copy_rect(device->default_queue, &rect, err));
    assert_non_null(faults->fired());
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    opencl_fixture_read(&mem, bytes);
    assert_string_equal(bytes + 16, "left");
    OPS->mem_free(&mem);
    opencl_fixture_end();
}

/* The build of the kernels fails: code and log are in the error, and the next copy builds them again. */
static void test_failed_build_is_told_with_its_log_and_tried_again(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_mem mem = opencl_fixture_buffer(device, "abcdefghijklmnopqrstuvwxyz", 26);
    const int64_t shape = 3;
    const int64_t dst_stride = 3;
    const int64_t src_stride = -2;
    const ndbuf_strided box = {
        .dst = {&mem, 10, &dst_stride}, .src = {&mem, 4, &src_stride}, .ndim = 1, .shape = &shape, .unit_nbytes = 1};
    char bytes[26];
    ndbuf_error error = {0};
    int64_t live = faults->live();
    faults->arm(1, CL_BUILD_PROGRAM_FAILURE, "clBuildProgram");
    assert_int_equal(OPS->copy_strided(device->default_queue, &box, &error), NDBUF_ERR_DEVICE);
    assert_int_equal(error.native_code, CL_BUILD_PROGRAM_FAILURE);
    assert_non_null(strstr(error.message, "clBuildProgram: CL_BUILD_PROGRAM_FAILURE (-11): "));
    assert_non_null(strstr(error.message, "error"));
    assert_int_equal(faults->live(), live);
    ASSERT_OK(OPS->copy_strided(device->default_queue, &box, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    opencl_fixture_read(&mem, bytes);
    assert_memory_equal(bytes + 9, "jelmcoparstu", 12);
    OPS->mem_free(&mem);
    opencl_fixture_end();
}

/* What a driver says about a command when it is done belongs to the next wait, and to the events behind it. */
static void test_failed_command_is_told_once_by_the_next_wait(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = NULL;
    ndbuf_event *after = NULL;
    char byte = 0;
    ndbuf_mem mem = opencl_fixture_buffer(device, "x", 1);
    ndbuf_mem host = opencl_fixture_host(&byte, 1);
    ASSERT_OK(OPS->queue_create(device, NULL, &queue, err));
    ASSERT_OK(OPS->copy_bytes(queue, &host, 0, &mem, 0, 1, err));
    ASSERT_OK(OPS->event_record(queue, &after, err));
    faults->arm(1, CL_OUT_OF_RESOURCES, "clGetEventInfo");
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "CL_OUT_OF_RESOURCES (-5)", OPS->queue_wait(queue, err));
    ASSERT_OK(OPS->queue_wait(queue, err));
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "CL_OUT_OF_RESOURCES (-5)", OPS->event_wait(after, err));
    OPS->event_destroy(after);
    OPS->queue_destroy(queue);
    OPS->mem_free(&mem);
    opencl_fixture_end();
}

static void *copy_and_wait(void *context)
{
    ndbuf_device *device = context;
    static char byte;
    ndbuf_mem mem = opencl_fixture_buffer(device, "y", 1);
    ndbuf_mem host = opencl_fixture_host(&byte, 1);
    ASSERT_OK(OPS->copy_bytes(device->default_queue, &host, 0, &mem, 0, 1, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    OPS->mem_free(&mem);
    return NULL;
}

/* Calls without a queue share one: another thread that waits first must not take the failure away. */
static void test_failed_command_without_a_queue_is_told_to_its_own_thread(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = device->default_queue;
    pthread_t other;
    char byte = 0;
    ndbuf_mem mem = opencl_fixture_buffer(device, "x", 1);
    ndbuf_mem host = opencl_fixture_host(&byte, 1);
    ASSERT_OK(OPS->copy_bytes(queue, &host, 0, &mem, 0, 1, err));
    faults->arm(2, CL_OUT_OF_RESOURCES, "clGetEventInfo"); /* the other thread asks for its own command first */
    assert_int_equal(pthread_create(&other, NULL, copy_and_wait, device), 0);
    pthread_join(other, NULL);
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "CL_OUT_OF_RESOURCES (-5)", OPS->queue_wait(queue, err));
    ASSERT_OK(OPS->queue_wait(queue, err));
    OPS->mem_free(&mem);
    opencl_fixture_end();
}

/* What opens a gate after a while. */
typedef struct late_opener {
    cl_event gate;
    atomic_int is_opening;
    pthread_t thread;
} late_opener;

static void *open_late(void *context)
{
    late_opener *self = context;
    const struct timespec pause = {.tv_nsec = 30000000};
    nanosleep(&pause, NULL);
    atomic_store(&self->is_opening, 1);
    opencl_fixture_open_gate(self->gate);
    return NULL;
}

static void opener_start(late_opener *self, ndbuf_queue *queue)
{
    atomic_init(&self->is_opening, 0);
    self->gate = opencl_fixture_close_gate(queue);
    assert_int_equal(pthread_create(&self->thread, NULL, open_late, self), 0);
}

static void opener_check_and_end(late_opener *self)
{
    assert_int_equal(atomic_load(&self->is_opening), 1);
    assert_int_equal(pthread_join(self->thread, NULL), 0);
}

/* A driver that runs out of resources while it waits has not waited. */
static void test_waits_that_fail_early_end_when_all_is_done_nevertheless(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = device->default_queue;
    ndbuf_mem mem = opencl_fixture_buffer(device, "x", 1);
    ndbuf_event *event = NULL;
    late_opener opener;
    void *address = NULL;
    faults->hurry(1);
    opener_start(&opener, queue);
    faults->arm(1, CL_OUT_OF_RESOURCES, "clFinish");
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "clFinish: CL_OUT_OF_RESOURCES (-5)", OPS->queue_wait(queue, err));
    opener_check_and_end(&opener);
    opener_start(&opener, queue);
    ASSERT_OK(OPS->event_record(queue, &event, err));
    faults->arm(1, CL_OUT_OF_RESOURCES, "clWaitForEvents");
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "clWaitForEvents: CL_OUT_OF_RESOURCES (-5)", OPS->event_wait(event, err));
    opener_check_and_end(&opener);
    OPS->event_destroy(event);
    ASSERT_OK(OPS->mem_map(&mem, 0, 1, NDBUF_MAP_READ, &address, err));
    opener_start(&opener, queue);
    faults->arm(1, CL_OUT_OF_RESOURCES, "clWaitForEvents");
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "clWaitForEvents: CL_OUT_OF_RESOURCES (-5)", OPS->mem_unmap(&mem, address, err));
    opener_check_and_end(&opener);
    faults->hurry(0);
    OPS->mem_free(&mem);
    opencl_fixture_end();
}

/* A gate that cannot be opened at the first try does not stop the queue. */
static void test_queue_goes_on_when_a_user_event_fails_once(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    atomic_int runs = 0;
    faults->arm(1, CL_OUT_OF_RESOURCES, "clSetUserEventStatus");
    ASSERT_OK(OPS->queue_host_call(device->default_queue, host_step, &runs, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    assert_int_equal(atomic_load(&runs), 1);
    opencl_fixture_end();
}

/* A queue's commands start at once; those of the default queue at the wait that follows them in any case. */
static void test_each_command_is_flushed_but_in_the_default_queue(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    ndbuf_queue *queue = NULL;
    char bytes[2] = {0};
    ndbuf_mem mem = opencl_fixture_buffer(device, "x", 1);
    ndbuf_mem host = opencl_fixture_host(bytes, 2);
    ASSERT_OK(OPS->queue_create(device, NULL, &queue, err));
    faults->arm(1, CL_OUT_OF_RESOURCES, "clFlush");
    ASSERT_OK(OPS->copy_bytes(device->default_queue, &host, 0, &mem, 0, 1, err));
    assert_null(faults->fired());
    ASSERT_OK(OPS->copy_bytes(queue, &host, 1, &mem, 0, 1, err));
    assert_string_equal(faults->fired(), "clFlush");
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "clFlush: CL_OUT_OF_RESOURCES (-5)", OPS->queue_wait(queue, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    assert_memory_equal(bytes, "xx", 2);
    OPS->queue_destroy(queue);
    OPS->mem_free(&mem);
    opencl_fixture_end();
}

/* The last reference of each kind, and the order of closing: two devices of one context, one after the other. */
static void test_closing_the_last_device_releases_the_context(void **state)
{
    (void)state;
    ndbuf_device *first = NULL;
    ndbuf_device *second = NULL;
    int32_t count = 0;
    ASSERT_OK(OPS->device_count(&count, err));
    if (count < 2) {
        skip();
    }
    assert_int_equal(faults->live(), 0);
    ASSERT_OK(OPS->device_open(0, &first, err));
    int64_t of_one = faults->live();
    ASSERT_OK(OPS->device_open(1, &second, err));
    assert_int_equal(faults->live(), 2 * of_one - 1);
    OPS->device_close(first);
    assert_int_equal(faults->live(), of_one);
    OPS->device_close(second);
    assert_int_equal(faults->live(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenario_leaves_no_object_behind),
        cmocka_unit_test(test_each_failing_call_is_an_error_and_leaks_nothing),
        cmocka_unit_test(test_out_of_device_memory_keeps_code_and_size),
        cmocka_unit_test(test_platform_without_devices_is_unavailable),
        cmocka_unit_test(test_overlap_seen_by_the_driver_alone_does_not_matter),
        cmocka_unit_test(test_failed_build_is_told_with_its_log_and_tried_again),
        cmocka_unit_test(test_failed_command_is_told_once_by_the_next_wait),
        cmocka_unit_test(test_waits_that_fail_early_end_when_all_is_done_nevertheless),
        cmocka_unit_test(test_failed_command_without_a_queue_is_told_to_its_own_thread),
        cmocka_unit_test(test_queue_goes_on_when_a_user_event_fails_once),
        cmocka_unit_test(test_each_command_is_flushed_but_in_the_default_queue),
        cmocka_unit_test(test_closing_the_last_device_releases_the_context),
    };
    int code = opencl_fixture_start_with_faults(OPENCL_FAULTS_LIBRARY, &faults);
    if (code != 0) {
        return code;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
