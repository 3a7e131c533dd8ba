/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/opencl/opencl_fixture.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ndbuf/opencl.h"

static int32_t ndevices;

static void test_device_says_what_it_is(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    assert_ptr_equal(device->ops, OPS);
    assert_int_equal(device->tag.type, NDBUF_DEVICE_OPENCL);
    assert_int_equal(device->tag.id, 0);
    assert_int_equal(device->flags & NDBUF_DEVICE_HOST_ACCESSIBLE, 0);
    assert_ptr_equal(device->default_queue->device, device);
    ndbuf_device_info info;
    memset(&info, 0, sizeof(info));
    OPS->device_describe(device, &info);
    assert_true(strlen(info.description) > 0);
    cl_platform_id platform = NULL;
    char name[128] = "";
    assert_int_equal(opencl_fixture_api()->clGetDeviceInfo(((opencl_device *)device)->id, CL_DEVICE_PLATFORM,
                                                           sizeof(platform), &platform, NULL),
                     CL_SUCCESS);
    assert_int_equal(opencl_fixture_api()->clGetPlatformInfo(platform, CL_PLATFORM_NAME, sizeof(name), name, NULL),
                     CL_SUCCESS);
    assert_ptr_equal(((opencl_device *)device)->platform, platform); /* not the loader's first */
    assert_int_equal(strncmp(info.driver, name, strlen(name)), 0);
    assert_non_null(strstr(info.driver, "OpenCL"));
    assert_true(info.max_allocation_nbytes > 0);
    assert_true(info.memory_nbytes >= info.max_allocation_nbytes);
    assert_int_equal(info.max_allocation_nbytes, ((opencl_device *)device)->max_allocation);
}

static void test_devices_of_one_platform_share_a_context(void **state)
{
    (void)state;
    if (ndevices < 2) {
        skip();
    }
    ndbuf_device *first = opencl_fixture_device();
    ndbuf_device *second = NULL;
    ASSERT_OK(OPS->device_open(1, &second, err));
    assert_int_equal(second->tag.id, 1);
    assert_ptr_equal(ndbuf_opencl__context_of(first), ndbuf_opencl__context_of(second));
    assert_ptr_not_equal(((opencl_device *)first)->id, ((opencl_device *)second)->id);
    OPS->device_close(second);
}

static void test_device_opens_again_after_the_last_close(void **state)
{
    (void)state;
    opencl_fixture_end();
    for (int round = 0; round < 3; round++) {
        char contents[4] = {0};
        ndbuf_mem mem = opencl_fixture_buffer(opencl_fixture_device(), "abcd", 4);
        opencl_fixture_read(&mem, contents);
        assert_memory_equal(contents, "abcd", 4);
        OPS->mem_free(&mem);
        opencl_fixture_end();
    }
}

static void test_missing_ordinal_is_unavailable(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    char part[64];
    snprintf(part, sizeof(part), "device opencl:%d: there are %d", (int)ndevices, (int)ndevices);
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, part, OPS->device_open(ndevices, &device, err));
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "device opencl:-1", OPS->device_open(-1, &device, err));
    assert_null(device);
}

static void test_open_survives_each_failing_allocation(void **state)
{
    (void)state;
    opencl_fixture_end();
    ndbuf_device *device = NULL;
    int32_t count = 0;
    ALLOC_FAIL_SWEEP(status_ = OPS->device_count(&count, NULL), (void)0);
    assert_int_equal(count, ndevices);
    ALLOC_FAIL_SWEEP(status_ = OPS->device_open(0, &device, NULL), OPS->device_close(device));
}

static void test_imported_device_uses_the_callers_context(void **state)
{
    (void)state;
    ndbuf_device *own = opencl_fixture_device();
    cl_context context = NULL;
    ndbuf_device *device = opencl_fixture_foreign_device(own, &context);
    assert_int_equal(device->tag.type, NDBUF_DEVICE_OPENCL);
    assert_int_equal(device->tag.id, 0);
    assert_ptr_not_equal(ndbuf_opencl__context_of(device), ndbuf_opencl__context_of(own));
    void *context_handle = NULL;
    void *id_handle = NULL;
    ASSERT_OK(ndbuf_opencl_device_handles(device, &context_handle, &id_handle, err));
    assert_ptr_equal(context_handle, context);
    assert_ptr_equal(id_handle, ((opencl_device *)own)->id);
    /* The context is retained: the caller may let go. */
    opencl_fixture_api()->clReleaseContext(context);
    char contents[4] = {0};
    ndbuf_mem mem = opencl_fixture_buffer(device, "wxyz", 4);
    opencl_fixture_read(&mem, contents);
    assert_memory_equal(contents, "wxyz", 4);
    OPS->mem_free(&mem);
    ndbuf_device_close(device);
}

static void test_import_of_the_shared_context_copies_directly(void **state)
{
    (void)state;
    ndbuf_device *own = opencl_fixture_device();
    ndbuf_device *device = NULL;
    ASSERT_OK(ndbuf_opencl_device_import(ndbuf_opencl__context_of(own), ((opencl_device *)own)->id, &device, err));
    assert_ptr_not_equal(device, own);
    ndbuf_copy_caps caps;
    OPS->copy_caps(own, device, &caps);
    assert_true((caps.flags & NDBUF_CAN_COPY_BYTES) != 0);
    ndbuf_device_close(device);
}

static void test_import_of_a_device_outside_the_context_is_refused(void **state)
{
    (void)state;
    ndbuf_device *own = opencl_fixture_device();
    ndbuf_device *device = NULL;
    cl_device_id id = ((opencl_device *)own)->id;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no cl_context", ndbuf_opencl_device_import(NULL, id, &device, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no cl_device_id",
                 ndbuf_opencl_device_import(ndbuf_opencl__context_of(own), NULL, &device, err));
    if (ndevices >= 2) {
        ndbuf_device *second = NULL;
        cl_int code = CL_SUCCESS;
        cl_context context = opencl_fixture_api()->clCreateContext(NULL, 1, &id, NULL, NULL, &code);
        assert_int_equal(code, CL_SUCCESS);
        ASSERT_OK(OPS->device_open(1, &second, err));
        ASSERT_FAILS(NDBUF_ERR_INVALID, "not a device of the cl_context",
                     ndbuf_opencl_device_import(context, ((opencl_device *)second)->id, &device, err));
        OPS->device_close(second);
        opencl_fixture_api()->clReleaseContext(context);
    }
    assert_null(device);
}

static void test_import_survives_each_failing_allocation(void **state)
{
    (void)state;
    cl_device_id id = ((opencl_device *)opencl_fixture_device())->id;
    cl_int code = CL_SUCCESS;
    cl_context context = opencl_fixture_api()->clCreateContext(NULL, 1, &id, NULL, NULL, &code);
    assert_int_equal(code, CL_SUCCESS);
    ndbuf_device *device = NULL;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_opencl_device_import(context, id, &device, NULL), ndbuf_device_close(device));
    opencl_fixture_api()->clReleaseContext(context);
}

static void test_handles_of_other_devices_are_refused(void **state)
{
    (void)state;
    void *context = NULL;
    void *id = NULL;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not an OpenCL device, but cpu",
                 ndbuf_opencl_device_handles(ndbuf_device_cpu(), &context, &id, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "NULL", ndbuf_opencl_device_handles(NULL, &context, &id, err));
    assert_null(context);
    assert_null(id);
}

static void test_the_core_opens_one_object_per_device(void **state)
{
    (void)state;
    ndbuf_device *first = NULL;
    ndbuf_device *again = NULL;
    ASSERT_OK(ndbuf_device_open("opencl:0", &first, err));
    ASSERT_OK(ndbuf_device_open("opencl", &again, err));
    assert_ptr_equal(first, again);
    ndbuf_device_close(again);
    ndbuf_device_close(first);
}

/* -- after fork -- */

#define FORK_NBYTES 3000

typedef struct fork_fixture {
    ndbuf_device *device;
    ndbuf_queue *queue;
    ndbuf_event *event;
    ndbuf_view view; /* of the device */
    ndbuf_view host;
} fork_fixture;

static ndbuf_status run_nothing(void *context, ndbuf_error *err)
{
    (void)context, (void)err;
    return NDBUF_OK;
}

/* With all that a driver's threads stand behind: kernels, a worker, an event. */
static void fork_init(fork_fixture *self)
{
    const int64_t shape[1] = {FORK_NBYTES};
    const ndbuf_slice backwards = {.step = -1, .given = NDBUF_SLICE_STEP};
    ndbuf_view turned = {0};
    *self = (fork_fixture){0};
    ASSERT_OK(ndbuf_device_open("opencl:0", &self->device, err));
    ASSERT_OK(ndbuf_queue_create(self->device, &self->queue, err));
    ASSERT_OK(ndbuf_view_create(&self->view, self->device, NULL, 1, shape, err));
    ASSERT_OK(ndbuf_view_create(&self->host, ndbuf_device_cpu(), NULL, 1, shape, err));
    memset(ndbuf_view_host_address(&self->host), 'h', FORK_NBYTES);
    ASSERT_OK(ndbuf_copy(&self->view, &self->host, self->queue, err));
    ASSERT_OK(ndbuf_view_slice(&self->view, 0, &backwards, &turned, err));
    ASSERT_OK(ndbuf_copy(&turned, &self->view, self->queue, err));
    ASSERT_OK(OPS->queue_host_call(self->queue, run_nothing, NULL, err));
    ASSERT_OK(ndbuf_queue_record(self->queue, &self->event, err));
    ndbuf_view_release(&turned);
}

static void fork_clear(fork_fixture *self)
{
    ndbuf_event_release(self->event);
    ndbuf_view_release(&self->view);
    ndbuf_view_release(&self->host);
    ndbuf_queue_release(self->queue);
    ndbuf_device_close(self->device);
}

static bool is_unavailable(ndbuf_status status, const ndbuf_error *error)
{
    return status == NDBUF_ERR_UNAVAILABLE && strstr(error->message, "forked") != NULL;
}

static bool is_refused(ndbuf_status status, const ndbuf_error *error)
{
    return status != NDBUF_OK && strstr(error->message, "forked") != NULL;
}

/* In the child: everything that asks is told why not, everything that ends does. 0: all is well. */
static int live_as_child(fork_fixture *self)
{
    ndbuf_error error = {0};
    ndbuf_event *event = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_storage *storage = NULL;
    ndbuf_device *device = NULL;
    void *address = NULL;
    const char item = 'i';
    int32_t n = 0;
    alarm(20); /* who waits for a thread of the driver's waits for ever */
    bool ok = is_unavailable(OPS->device_count(&n, &error), &error);
    ok = ok && is_unavailable(OPS->device_open(0, &device, &error), &error);
    ok = ok && is_unavailable(ndbuf_storage_create(self->device, 10, &storage, &error), &error);
    ok = ok && is_unavailable(ndbuf_storage_map(self->view.storage, 0, 10, NDBUF_MAP_READ, &address, &error), &error);
    ok = ok && is_refused(ndbuf_copy(&self->view, &self->host, NULL, &error), &error);
    ok = ok && is_refused(ndbuf_copy(&self->view, &self->host, self->queue, &error), &error);
    ok = ok && is_refused(ndbuf_fill(&self->view, &item, 1, NULL, &error), &error);
    ok = ok && is_unavailable(ndbuf_queue_create(self->device, &queue, &error), &error);
    ok = ok && is_unavailable(ndbuf_queue_record(self->queue, &event, &error), &error);
    ok = ok && is_unavailable(ndbuf_queue_wait(self->queue, &error), &error);
    ok = ok && is_unavailable(ndbuf_event_query(self->event, &n, &error), &error);
    ok = ok && is_unavailable(ndbuf_event_wait(self->event, &error), &error);
    fork_clear(self);
    return ok ? 0 : 1;
}

static void test_a_forked_child_is_told_that_opencl_is_not_for_it(void **state)
{
    (void)state;
    fork_fixture self;
    int status = 0;
    fork_init(&self);
    pid_t child = fork();
    if (child == 0) {
        _exit(live_as_child(&self));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    memset(ndbuf_view_host_address(&self.host), 0, FORK_NBYTES); /* the parent's are as they were */
    ASSERT_OK(ndbuf_copy(&self.host, &self.view, self.queue, err));
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    assert_int_equal(((char *)ndbuf_view_host_address(&self.host))[FORK_NBYTES - 1], 'h');
    fork_clear(&self);
}

static int end(void **state)
{
    (void)state;
    opencl_fixture_end();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_says_what_it_is),
        cmocka_unit_test(test_devices_of_one_platform_share_a_context),
        cmocka_unit_test(test_device_opens_again_after_the_last_close),
        cmocka_unit_test(test_missing_ordinal_is_unavailable),
        cmocka_unit_test(test_open_survives_each_failing_allocation),
        cmocka_unit_test(test_imported_device_uses_the_callers_context),
        cmocka_unit_test(test_import_of_the_shared_context_copies_directly),
        cmocka_unit_test(test_import_of_a_device_outside_the_context_is_refused),
        cmocka_unit_test(test_import_survives_each_failing_allocation),
        cmocka_unit_test(test_handles_of_other_devices_are_refused),
        cmocka_unit_test(test_the_core_opens_one_object_per_device),
        cmocka_unit_test(test_a_forked_child_is_told_that_opencl_is_not_for_it),
    };
    ndevices = opencl_fixture_start();
    if (ndevices == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, NULL, end);
}
