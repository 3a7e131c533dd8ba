/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/queue_core.h"

/* What happens when a device fails for good, after fork, and when the process ends. */

#define NBYTES 3000

static const char *program;

typedef struct failure_fixture {
    ndbuf_device *device;
    ndbuf_queue *queue;
    ndbuf_view view; /* of the device */
    ndbuf_view host;
} failure_fixture;

static void fixture_init(failure_fixture *self)
{
    const int64_t shape[1] = {NBYTES};
    *self = (failure_fixture){.device = cuda_fixture_open("cuda:0")};
    ASSERT_OK(ndbuf_queue_create(self->device, &self->queue, err));
    ASSERT_OK(ndbuf_view_create(&self->view, self->device, NULL, 1, shape, err));
    ASSERT_OK(ndbuf_view_create(&self->host, ndbuf_device_cpu(), NULL, 1, shape, err));
    memset(ndbuf_view_host_address(&self->host), 'h', NBYTES);
}

static void fixture_clear(failure_fixture *self)
{
    ndbuf_view_release(&self->view);
    ndbuf_view_release(&self->host);
    ndbuf_queue_release(self->queue);
    ndbuf_device_close(self->device);
}

static ndbuf_status count_run(void *context, ndbuf_error *err)
{
    (void)err;
    *(int *)context += 1;
    return NDBUF_OK;
}

/* A lease that counts how often it ends. */
typedef struct counted_lease {
    ndbuf__lease base;
    int *nends;
} counted_lease;

static void counted_lease_end(ndbuf__lease *lease)
{
    *((counted_lease *)lease)->nends += 1;
    ndbuf__block_give(lease);
}

static void test_a_device_that_fails_for_good_fails_every_call_and_all_is_let_go_of(void **state)
{
    (void)state;
    failure_fixture self;
    ndbuf_event *event = NULL;
    ndbuf_view more = {0};
    int32_t complete = 0;
    int nruns = 0;
    const int64_t shape[1] = {10};
    cudasim_set_schedule(CUDASIM_LAZY, 0); /* nothing is done, and fails, before the wait */
    fixture_init(&self);
    cudasim_fail_work(1, cudaErrorIllegalAddress);
    ASSERT_OK(ndbuf_copy(&self.view, &self.host, self.queue, err));
    ASSERT_OK(ndbuf_queue_record(self.queue, &event, err));
    ASSERT_OK(self.device->ops->queue_host_call(self.queue, count_run, &nruns, err));
    ndbuf_error error = {0};
    assert_int_equal(ndbuf_queue_wait(self.queue, &error), NDBUF_ERR_DEVICE);
    assert_int_equal(error.native_code, cudaErrorIllegalAddress);
    assert_non_null(strstr(error.message, "cudaErrorIllegalAddress, 700"));
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "700", ndbuf_event_wait(event, err));
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_int_equal(complete, 1); /* who polls must not wait for ever */
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "700", ndbuf_copy(&self.view, &self.host, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "700", ndbuf_view_create(&more, self.device, NULL, 1, shape, err));
    ndbuf_event_release(event);
    fixture_clear(&self);
    assert_int_equal(cudasim_nviolations(), 0);
    cudasim_repair();
    cudasim_reset(); /* a process that goes on has lost what was on the device */
    fixture_init(&self);
    ASSERT_OK(ndbuf_copy(&self.view, &self.host, NULL, err));
    fixture_clear(&self);
}

/* The device fails for good between two calls of one copy: then no event can be recorded behind it. */
static void test_what_was_given_to_a_device_as_it_failed_is_let_go_of(void **state)
{
    (void)state;
    failure_fixture self;
    ndbuf_event *event = NULL;
    ndbuf_queue *side = NULL;
    int32_t complete = 0;
    int nends = 0;
    cudasim_set_schedule(CUDASIM_LAZY, 0);
    fixture_init(&self);
    ASSERT_OK(ndbuf_queue_create(self.device, &side, err));
    counted_lease *lease = ndbuf__lease_take(self.queue, sizeof(*lease), counted_lease_end);
    assert_non_null(lease);
    lease->nends = &nends;
    cudasim_fail_work(1, cudaErrorIllegalAddress);
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "700", ndbuf_copy(&self.view, &self.host, NULL, err));
    ndbuf__lease_begin(&lease->base);
    ASSERT_OK(ndbuf_queue_record(self.queue, &event, err));
    ASSERT_OK(ndbuf_event_query(event, &complete, err));
    assert_int_equal(complete, 1);
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "cudaErrorIllegalAddress, 700", ndbuf_event_wait(event, err));
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "700", ndbuf_queue_wait_event(side, event, err));
    assert_null(ndbuf_event_native(event));
    ndbuf_event_release(event);
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "700", ndbuf_queue_wait(self.queue, err));
    assert_int_equal(nends, 1);
    ndbuf_queue_release(side);
    fixture_clear(&self);
    assert_int_equal(cudasim_nviolations(), 0);
    cudasim_repair();
    cudasim_reset();
}

/* Whatever code a call before the wait fails with, the memory may go when the copy returns. */
static void test_a_copy_that_fails_before_its_wait_is_waited_for(void **state)
{
    (void)state;
    static const cudaError_t codes[] = {cudaErrorUnknown, cudaErrorNotSupported, cudaErrorInvalidValue};
    cudasim_set_schedule(CUDASIM_LAZY, 0);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        failure_fixture self;
        ndbuf_view other = {0};
        fixture_init(&self);
        const int64_t shape[1] = {NBYTES};
        ASSERT_OK(ndbuf_view_create(&other, self.device, NULL, 1, shape, err));
        cudasim_fail_call("cudaStreamIsCapturing", 1, codes[i]);
        assert_int_not_equal(ndbuf_copy(&other, &self.view, NULL, NULL), NDBUF_OK);
        assert_true(cudasim_fault_happened());
        ndbuf_view_release(&other);
        fixture_clear(&self);
        assert_int_equal(cudasim_nviolations(), 0);
    }
}

/* As the toolkit's header says: it "leaves the process in an inconsistent state", or the device's work is lost. */
static void test_every_code_that_ends_the_device_is_known_as_such(void **state)
{
    (void)state;
    static const cudaError_t codes[] = {
        cudaErrorECCUncorrectable,    cudaErrorNvlinkUncorrectable, cudaErrorContained,
        cudaErrorIllegalAddress,      cudaErrorLaunchTimeout,       cudaErrorAssert,
        cudaErrorHardwareStackError,  cudaErrorIllegalInstruction,  cudaErrorMisalignedAddress,
        cudaErrorInvalidAddressSpace, cudaErrorInvalidPc,           cudaErrorLaunchFailure,
        cudaErrorTensorMemoryLeak,    cudaErrorMpsClientTerminated, cudaErrorExternalDevice,
    };
    cudasim_set_schedule(CUDASIM_LAZY, 0);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        failure_fixture self;
        ndbuf_event *event = NULL;
        ndbuf_error error = {0};
        int32_t complete = 0;
        fixture_init(&self);
        cudasim_fail_work(1, codes[i]);
        ASSERT_OK(ndbuf_copy(&self.view, &self.host, self.queue, err));
        ASSERT_OK(ndbuf_queue_record(self.queue, &event, err));
        assert_int_equal(ndbuf_queue_wait(self.queue, &error), NDBUF_ERR_DEVICE);
        assert_int_equal(error.native_code, codes[i]);
        ASSERT_OK(ndbuf_event_query(event, &complete, err));
        assert_int_equal(complete, 1);
        ndbuf_event_release(event);
        fixture_clear(&self); /* ends each handle once: a second time is a violation */
        assert_int_equal(cudasim_nviolations(), 0);
        cudasim_repair();
        cudasim_reset();
    }
}

static bool is_refused(ndbuf_status status, const ndbuf_error *error)
{
    return status != NDBUF_OK && strstr(error->message, "forked") != NULL;
}

static bool is_unavailable(ndbuf_status status, const ndbuf_error *error)
{
    return status == NDBUF_ERR_UNAVAILABLE && is_refused(status, error);
}

/* In the child: everything that asks is told why not, everything that ends does. 0: all is well. */
static int live_as_child(failure_fixture *self)
{
    ndbuf_error error = {0};
    ndbuf_event *event = NULL;
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    int32_t count = 0;
    char byte = 0;
    bool ok = is_unavailable(ndbuf_cuda__ops.device_count(&count, &error), &error);
    ok = ok && is_unavailable(ndbuf_device_open("cuda:1", &device, &error), &error);
    ok = ok && is_unavailable(ndbuf_cuda_attach("libnowhere.so", &error), &error);
    ok = ok && is_unavailable(ndbuf_cuda_storage_adopt(&byte, 1, 0, NULL, NULL, &storage, &error), &error);
    ok = ok && is_unavailable(ndbuf_storage_create(self->device, 10, &storage, &error), &error);
    ok = ok && is_refused(ndbuf_copy(&self->view, &self->host, NULL, &error), &error);
    ok = ok && is_refused(ndbuf_copy(&self->view, &self->host, self->queue, &error), &error);
    ok = ok && is_unavailable(ndbuf_queue_record(self->queue, &event, &error), &error);
    ok = ok && is_unavailable(ndbuf_queue_wait(self->queue, &error), &error);
    fixture_clear(self);
    return ok ? 0 : 1;
}

static void test_a_forked_child_is_told_that_cuda_is_not_for_it(void **state)
{
    (void)state;
    failure_fixture self;
    char back[NBYTES];
    int status = 0;
    fixture_init(&self);
    ASSERT_OK(ndbuf_copy(&self.view, &self.host, self.queue, err));
    pid_t child = fork();
    if (child == 0) {
        _exit(live_as_child(&self));
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    ASSERT_OK(ndbuf_queue_wait(self.queue, err)); /* the parent's are as they were */
    memset(ndbuf_view_host_address(&self.host), 0, NBYTES);
    ASSERT_OK(ndbuf_copy(&self.host, &self.view, NULL, err));
    memset(back, 'h', NBYTES);
    assert_memory_equal(ndbuf_view_host_address(&self.host), back, NBYTES);
    fixture_clear(&self);
}

static failure_fixture left_behind;

static void release_at_exit(void)
{
    fixture_clear(&left_behind);
}

/* A process that ends with everything open, or releases it while it ends. */
static int end_process(const char *how)
{
    fixture_init(&left_behind);
    ASSERT_OK(ndbuf_copy(&left_behind.view, &left_behind.host, left_behind.queue, err));
    if (strcmp(how, "release") == 0) {
        atexit(release_at_exit);
    }
    return 0;
}

static void test_a_process_may_end_in_any_state(void **state)
{
    (void)state;
    static const char *const ways[] = {"leave", "release"};
    for (size_t i = 0; i < 2; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            execl(program, program, ways[i], (char *)NULL);
            _exit(127);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

static void test_releases_get_by_when_the_runtime_is_going_away(void **state)
{
    (void)state;
    static const char *const calls[] = {"cudaFreeAsync",
                                        "cudaFreeHost",
                                        "cudaStreamDestroy",
                                        "cudaEventDestroy",
                                        "cudaMemPoolDestroy",
                                        "cudaGetDevice",
                                        "cudaThreadExchangeStreamCaptureMode"};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        failure_fixture self;
        fixture_init(&self);
        cudasim_fail_call(calls[i], 1, cudaErrorCudartUnloading);
        fixture_clear(&self);
        cudasim_fail_call("*", 0, cudaSuccess);
        assert_false(cudasim_anything_lives());
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_a_device_that_fails_for_good_fails_every_call_and_all_is_let_go_of),
        CUDA_TEST(test_what_was_given_to_a_device_as_it_failed_is_let_go_of),
        CUDA_TEST(test_a_copy_that_fails_before_its_wait_is_waited_for),
        CUDA_TEST(test_every_code_that_ends_the_device_is_known_as_such),
        CUDA_TEST(test_a_forked_child_is_told_that_cuda_is_not_for_it),
        CUDA_TEST(test_a_process_may_end_in_any_state),
        CUDA_TEST(test_releases_get_by_when_the_runtime_is_going_away),
    };
    program = argv[0];
    if (argc == 2) {
        cuda_fixture_start(NULL);
    }
    return argc == 2 ? end_process(argv[1]) : cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
