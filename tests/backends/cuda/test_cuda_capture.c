/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <stdlib.h>
#include <string.h>

/* A stream of the caller's, with a queue over it, and some memory. */
typedef struct capture_fixture {
    ndbuf_device *device;
    cudaStream_t stream;
    ndbuf_queue *queue;
    ndbuf_view first; /* of the device: 40 rows of 50 items of 4 bytes */
    ndbuf_view second;
    ndbuf_view host;
} capture_fixture;

static const int64_t shape[2] = {40, 50};

static void fixture_init(capture_fixture *self)
{
    *self = (capture_fixture){.device = cuda_fixture_open("cuda:0")};
    ndbuf_format *format = test_parse("<i");
    ASSERT_CUDA(sim->cudaStreamCreateWithFlags(&self->stream, cudaStreamNonBlocking));
    ASSERT_OK(ndbuf_queue_import(self->device, (void *)self->stream, &self->queue, err));
    ASSERT_OK(ndbuf_view_create(&self->first, self->device, format, 2, shape, err));
    ASSERT_OK(ndbuf_view_create(&self->second, self->device, format, 2, shape, err));
    ASSERT_OK(ndbuf_view_create(&self->host, ndbuf_device_cpu(), format, 2, shape, err));
    ndbuf_format_release(format);
}

static void fixture_clear(capture_fixture *self)
{
    ndbuf_view_release(&self->first);
    ndbuf_view_release(&self->second);
    ndbuf_view_release(&self->host);
    ndbuf_queue_release(self->queue);
    ASSERT_CUDA(sim->cudaStreamDestroy(self->stream));
    ndbuf_device_close(self->device);
}

static void set_first(capture_fixture *self, int32_t start)
{
    int32_t *values = ndbuf_view_host_address(&self->host);
    for (int32_t i = 0; i < 40 * 50; i++) {
        values[i] = start + i;
    }
    ASSERT_OK(ndbuf_copy(&self->first, &self->host, NULL, err));
}

static cudaGraphExec_t instantiate(cudaGraph_t graph)
{
    cudaGraphExec_t executable = NULL;
    ASSERT_CUDA(extra.cudaGraphInstantiate(&executable, graph, 0));
    ASSERT_CUDA(extra.cudaGraphDestroy(graph));
    return executable;
}

static void test_direct_copies_and_fills_are_recorded_and_replayed(void **state)
{
    (void)state;
    capture_fixture self;
    cudaGraph_t graph = NULL;
    ndbuf_view reversed = {0};
    ndbuf_view column = {0};
    const ndbuf_slice back = {.step = -1, .given = NDBUF_SLICE_STEP};
    const ndbuf_slice third = {.start = 3, .stop = 4, .given = NDBUF_SLICE_START | NDBUF_SLICE_STOP};
    int32_t nine = 9;
    fixture_init(&self);
    ASSERT_OK(ndbuf_view_slice(&self.first, 0, &back, &reversed, err));
    ASSERT_OK(ndbuf_view_slice(&self.second, 1, &third, &column, err));
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ASSERT_OK(ndbuf_copy(&self.second, &reversed, self.queue, err));
    ASSERT_OK(ndbuf_fill(&column, &nine, sizeof(nine), self.queue, err));
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    cudaGraphExec_t executable = instantiate(graph);
    for (int32_t round = 0; round < 3; round++) {
        set_first(&self, round * 100000);
        ASSERT_CUDA(extra.cudaGraphLaunch(executable, self.stream));
        ASSERT_OK(ndbuf_queue_wait(self.queue, err));
        ASSERT_OK(ndbuf_copy(&self.host, &self.second, NULL, err));
        const int32_t *values = ndbuf_view_host_address(&self.host);
        for (int32_t i = 0; i < 40; i++) {
            assert_int_equal(values[i * 50], round * 100000 + (39 - i) * 50);
            assert_int_equal(values[i * 50 + 3], 9);
        }
    }
    ASSERT_CUDA(extra.cudaGraphExecDestroy(executable));
    ndbuf_view_release(&reversed);
    ndbuf_view_release(&column);
    fixture_clear(&self);
}

static ndbuf_status do_nothing(void *context, ndbuf_error *err)
{
    (void)context, (void)err;
    return NDBUF_OK;
}

static ndbuf_status fail_always(void *context, ndbuf_error *err)
{
    (void)context;
    return ndbuf_fail(err, NDBUF_ERR_NOMEM, "always");
}

static void test_what_cannot_be_recorded_is_refused_and_the_capture_goes_on(void **state)
{
    (void)state;
    capture_fixture self;
    cudaGraph_t graph = NULL;
    ndbuf_queue *host_queue = NULL;
    ndbuf_event *host_event = NULL;
    int32_t is_capturing = -1;
    fixture_init(&self);
    set_first(&self, 1);
    ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &host_queue, err));
    ASSERT_OK(ndbuf_queue_record(host_queue, &host_event, err));
    const ndbuf_backend_ops *ops = self.device->ops;
    ASSERT_OK(ops->queue_is_capturing(self.queue, &is_capturing, err));
    assert_int_equal(is_capturing, 0);
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ASSERT_OK(ops->queue_is_capturing(self.queue, &is_capturing, err));
    assert_int_equal(is_capturing, 1);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "captured", ops->queue_host_call(self.queue, do_nothing, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "captured", ndbuf_queue_wait(self.queue, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "captured", ndbuf_queue_wait_event(self.queue, host_event, err));
    /* Pageable memory, whether it would be packed or not. */
    ndbuf_view narrow = {0};
    const ndbuf_slice half = {.step = 2, .given = NDBUF_SLICE_STEP};
    ASSERT_OK(ndbuf_view_slice(&self.host, 1, &half, &narrow, err));
    ndbuf_view narrow_device = {0};
    ASSERT_OK(ndbuf_view_slice(&self.first, 1, &half, &narrow_device, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "captured", ndbuf_copy(&narrow_device, &narrow, self.queue, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.cuda.call_ns", 0, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.cuda.bytes_per_ns", 1e6, err)); /* not staged */
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "pinned memory can be captured",
                 ndbuf_copy(&self.first, &self.host, self.queue, err));
    ndbuf_tuning_reset();
    ASSERT_OK(ndbuf_copy(&self.second, &self.first, self.queue, err));
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    ASSERT_CUDA(extra.cudaGraphDestroy(graph));
    ASSERT_OK(ndbuf_copy(&self.second, &self.first, self.queue, err)); /* and all works again */
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    ndbuf_view_release(&narrow);
    ndbuf_view_release(&narrow_device);
    ndbuf_event_release(host_event);
    ndbuf_queue_release(host_queue);
    fixture_clear(&self);
}

/* A copy whose memory nobody else holds any more, and then a capture that forbids to wait for it. */
static void test_a_refused_wait_lets_go_of_nothing_that_is_in_flight(void **state)
{
    (void)state;
    ndbuf_device *pinned = cuda_fixture_open("cuda_host:0");
    for (int way = 0; way < 3; way++) {
        capture_fixture self;
        cudaGraph_t graph = NULL;
        ndbuf_view staging = {0};
        ndbuf_view view = {0};
        ndbuf_format *format = test_parse("<i");
        fixture_init(&self);
        ASSERT_OK(ndbuf_view_create(&staging, pinned, format, 2, shape, err));
        ASSERT_OK(ndbuf_view_create(&view, self.device, format, 2, shape, err));
        ndbuf_format_release(format);
        if (way == 1) { /* after a failure of the host, too */
            ASSERT_OK(self.device->ops->queue_host_call(self.queue, fail_always, NULL, err));
        }
        ASSERT_OK(ndbuf_copy(&view, &staging, self.queue, err));
        ndbuf_view_release(&staging);
        ndbuf_view_release(&view);
        ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeThreadLocal));
        if (way < 2) {
            ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "captured", ndbuf_queue_wait(self.queue, err));
        } else { /* the last reference waits for what the queue did before */
            ndbuf_queue_release(self.queue);
            self.queue = NULL;
        }
        assert_int_equal(cudasim_nviolations(), 0);
        ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
        ASSERT_CUDA(extra.cudaGraphDestroy(graph));
        if (way == 1) {
            ASSERT_FAILS(NDBUF_ERR_NOMEM, "always", ndbuf_queue_wait(self.queue, err));
        }
        if (way < 2) {
            ASSERT_OK(ndbuf_queue_wait(self.queue, err));
        }
        fixture_clear(&self);
    }
    ndbuf_device_close(pinned);
}

static void test_events_join_a_second_stream_to_the_capture(void **state)
{
    (void)state;
    capture_fixture self;
    cudaGraph_t graph = NULL;
    ndbuf_queue *side = NULL;
    ndbuf_event *fork = NULL;
    ndbuf_event *join = NULL;
    fixture_init(&self);
    set_first(&self, 7);
    ASSERT_OK(ndbuf_queue_create(self.device, &side, err));
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ASSERT_OK(ndbuf_queue_record(self.queue, &fork, err));
    ASSERT_OK(ndbuf_queue_wait_event(side, fork, err));
    ASSERT_OK(ndbuf_copy(&self.second, &self.first, side, err));
    ASSERT_OK(ndbuf_queue_record(side, &join, err));
    ASSERT_OK(ndbuf_queue_wait_event(self.queue, join, err));
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    ndbuf_event_release(fork);
    ndbuf_event_release(join);
    cudaGraphExec_t executable = instantiate(graph);
    ASSERT_CUDA(extra.cudaGraphLaunch(executable, self.stream));
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    ASSERT_OK(ndbuf_copy(&self.host, &self.second, NULL, err));
    assert_int_equal(((int32_t *)ndbuf_view_host_address(&self.host))[1999], 7 + 1999);
    ASSERT_CUDA(extra.cudaGraphExecDestroy(executable));
    ndbuf_queue_release(side);
    fixture_clear(&self);
}

/* CUDA would give the capture up. What is over needs no waiting; what is not cannot be waited for. */
static void test_events_from_outside_leave_the_capture_alone(void **state)
{
    (void)state;
    capture_fixture self;
    cudaGraph_t graph = NULL;
    ndbuf_queue *side = NULL;
    ndbuf_event *over = NULL;
    ndbuf_event *failed = NULL;
    ndbuf_event *pending = NULL;
    ndbuf_view ready = {0};
    const int32_t nine = 9;
    ndbuf_exporter *exporter = NULL;
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL | NDBUF_REQUEST_ANY_DEVICE);
    cudasim_set_schedule(CUDASIM_LAZY, 0); /* nothing is done before the wait */
    fixture_init(&self);
    set_first(&self, 7);
    ASSERT_OK(ndbuf_queue_create(self.device, &side, err));
    ASSERT_OK(ndbuf_queue_record(side, &over, err));
    ASSERT_OK(ndbuf_queue_wait(side, err));
    ASSERT_OK(ndbuf_view_copy(&ready, &self.first, err));
    ndbuf_view_set_ready(&ready, over);
    ASSERT_OK(ndbuf_exporter_create(&ready, &exporter, err));
    ASSERT_OK(self.device->ops->queue_host_call(side, fail_always, NULL, err));
    ASSERT_OK(ndbuf_queue_record(side, &failed, err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "always", ndbuf_event_wait(failed, err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "always", ndbuf_queue_wait(side, err));
    ASSERT_OK(self.device->ops->queue_host_call(side, do_nothing, NULL, err));
    ASSERT_OK(ndbuf_queue_record(side, &pending, err));
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ASSERT_OK(ndbuf_queue_wait_event(self.queue, over, err));
    ASSERT_FAILS(NDBUF_ERR_NOMEM, "always", ndbuf_queue_wait_event(self.queue, failed, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "outside of the capture", ndbuf_queue_wait_event(self.queue, pending, err));
    ASSERT_OK(ndbuf_copy(&self.second, &ready, self.queue, err));
    ndbuf_view_set_ready(&ready, pending);
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "outside of the capture",
                 ndbuf_fill(&ready, &nine, sizeof(nine), self.queue, err));
    request.native_queue = (void *)self.stream;
    ndbuf_view acquired = {0};
    ASSERT_OK(ndbuf_view_acquire(&acquired, exporter, &request, err));
    ndbuf_view_release(&acquired);
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    ASSERT_CUDA(extra.cudaGraphDestroy(graph));
    ASSERT_OK(ndbuf_queue_wait_event(self.queue, pending, err));
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    ndbuf_event_release(over);
    ndbuf_event_release(failed);
    ndbuf_event_release(pending);
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&ready);
    ndbuf_queue_release(side);
    fixture_clear(&self);
}

/* Asked for, it would be the end of the capture, too. */
static void test_an_event_of_the_capture_is_not_asked_for(void **state)
{
    (void)state;
    capture_fixture self;
    cudaGraph_t graph = NULL;
    ndbuf_event *event = NULL;
    int32_t is_complete = -1;
    fixture_init(&self);
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ASSERT_OK(ndbuf_queue_record(self.queue, &event, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "being captured", ndbuf_event_query(event, &is_complete, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "being captured", ndbuf_event_wait(event, err));
    assert_int_equal(is_complete, -1);
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    ASSERT_CUDA(extra.cudaGraphDestroy(graph));
    ndbuf_event_release(event);
    fixture_clear(&self);
}

/* A run of pinned memory and strided memory of the device: by the kernel alone, without memory that a graph would own.
 */
static void test_a_copy_from_pinned_memory_allocates_nothing_in_the_graph(void **state)
{
    (void)state;
    enum { SIDE = 160 };
    static const int64_t square[2] = {SIDE, SIDE};
    static const int32_t axes[2] = {1, 0};
    capture_fixture self;
    cudaGraph_t graph = NULL;
    ndbuf_view pinned = {0};
    ndbuf_view turned = {0};
    ndbuf_view back = {0};
    ndbuf_format *format = test_parse("<i");
    fixture_init(&self);
    ndbuf_device *host = cuda_fixture_open("cuda_host:0");
    ASSERT_OK(ndbuf_view_create(&pinned, host, format, 2, square, err));
    ASSERT_OK(ndbuf_view_create(&turned, self.device, format, 2, square, err));
    ASSERT_OK(ndbuf_view_create(&back, ndbuf_device_cpu(), format, 2, square, err));
    ASSERT_OK(ndbuf_view_permute(&turned, axes, &turned, err));
    int32_t *values = ndbuf_view_host_address(&pinned);
    for (int32_t i = 0; i < SIDE * SIDE; i++) {
        values[i] = i;
    }
    int64_t ncalls = cudasim_ncalls("cudaMallocFromPoolAsync");
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ASSERT_OK(ndbuf_copy(&turned, &pinned, self.queue, err));
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    assert_int_equal(cudasim_ncalls("cudaMallocFromPoolAsync"), ncalls);
    cudaGraphExec_t executable = instantiate(graph);
    ASSERT_CUDA(extra.cudaGraphLaunch(executable, self.stream));
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    ASSERT_CUDA(extra.cudaGraphExecDestroy(executable));
    ASSERT_OK(ndbuf_copy(&back, &turned, NULL, err));
    assert_memory_equal(ndbuf_view_host_address(&back), values, SIDE * SIDE * sizeof(int32_t));
    ndbuf_view_release(&pinned);
    ndbuf_view_release(&turned);
    ndbuf_view_release(&back);
    ndbuf_format_release(format);
    ndbuf_device_close(host);
    fixture_clear(&self);
}

static void test_a_stream_that_is_being_captured_can_be_imported(void **state)
{
    (void)state;
    capture_fixture self;
    cudaGraph_t graph = NULL;
    ndbuf_queue *queue = NULL;
    fixture_init(&self);
    set_first(&self, 5);
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ASSERT_OK(ndbuf_queue_import(self.device, (void *)self.stream, &queue, err));
    ASSERT_OK(ndbuf_copy(&self.second, &self.first, queue, err));
    ndbuf_queue_release(queue);
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    cudaGraphExec_t executable = instantiate(graph);
    ASSERT_CUDA(extra.cudaGraphLaunch(executable, self.stream));
    ASSERT_OK(ndbuf_queue_wait(self.queue, err));
    ASSERT_OK(ndbuf_copy(&self.host, &self.second, NULL, err));
    assert_int_equal(((int32_t *)ndbuf_view_host_address(&self.host))[1999], 5 + 1999);
    ASSERT_CUDA(extra.cudaGraphExecDestroy(executable));
    fixture_clear(&self);
}

/* Peer copies would end it. Perhaps a kernel can reach the other device. */
static void test_copies_to_another_device_leave_the_capture_alone(void **state)
{
    (void)state;
    static const int64_t halves[2] = {40, 25};
    capture_fixture self;
    cudaGraph_t graph = NULL;
    ndbuf_view there = {0};
    ndbuf_view half_there = {0};
    ndbuf_view half = {0};
    const ndbuf_slice left = {.stop = halves[1], .given = NDBUF_SLICE_STOP};
    fixture_init(&self);
    set_first(&self, 5);
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    ASSERT_OK(ndbuf_view_create(&there, other, self.first.layout, 2, shape, err));
    ASSERT_OK(ndbuf_view_create(&half_there, other, self.first.layout, 2, halves, err));
    ASSERT_OK(ndbuf_view_slice(&self.first, 1, &left, &half, err));
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ndbuf_status status = ndbuf_copy(&there, &self.first, self.queue, NULL);
    assert_true(status == NDBUF_ERR_UNSUPPORTED || status == NDBUF_OK);
    status = ndbuf_copy(&half_there, &half, self.queue, NULL);
    assert_true(status == NDBUF_ERR_UNSUPPORTED || status == NDBUF_OK);
    ASSERT_OK(ndbuf_copy(&self.second, &self.first, self.queue, err));
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    ASSERT_CUDA(extra.cudaGraphDestroy(graph));
    ndbuf_view_release(&half);
    ndbuf_view_release(&half_there);
    ndbuf_view_release(&there);
    ndbuf_device_close(other);
    fixture_clear(&self);
}

/* Another thread's, or a library's, capture in global mode forbids many calls; what ndbuf does inside is none of it. */
static void test_devices_memory_queues_and_events_are_made_during_a_capture(void **state)
{
    (void)state;
    capture_fixture self;
    cudaGraph_t graph = NULL;
    fixture_init(&self);
    set_first(&self, 3);
    ASSERT_CUDA(extra.cudaStreamBeginCapture(self.stream, cudaStreamCaptureModeGlobal));
    ndbuf_device *other = cuda_fixture_open("cuda:1");
    ndbuf_view temporary = {0};
    ASSERT_OK(ndbuf_view_create(&temporary, self.device, NULL, 2, shape, err));
    ndbuf_view_release(&temporary);
    ASSERT_OK(ndbuf_view_create(&temporary, other, NULL, 2, shape, err));
    ndbuf_view_release(&temporary);
    ASSERT_OK(ndbuf_copy(&self.host, &self.first, NULL, err)); /* not in the stream that is captured */
    assert_int_equal(((int32_t *)ndbuf_view_host_address(&self.host))[5], 8);
    ndbuf_device_close(other);
    ASSERT_CUDA(extra.cudaStreamEndCapture(self.stream, &graph));
    ASSERT_CUDA(extra.cudaGraphDestroy(graph));
    fixture_clear(&self);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_direct_copies_and_fills_are_recorded_and_replayed),
        CUDA_TEST(test_what_cannot_be_recorded_is_refused_and_the_capture_goes_on),
        CUDA_TEST(test_a_refused_wait_lets_go_of_nothing_that_is_in_flight),
        CUDA_TEST(test_events_join_a_second_stream_to_the_capture),
        CUDA_TEST(test_an_event_of_the_capture_is_not_asked_for),
        CUDA_TEST(test_a_copy_from_pinned_memory_allocates_nothing_in_the_graph),
        CUDA_TEST(test_a_stream_that_is_being_captured_can_be_imported),
        CUDA_TEST(test_copies_to_another_device_leave_the_capture_alone),
        CUDA_TEST(test_devices_memory_queues_and_events_are_made_during_a_capture),
        CUDA_TEST(test_events_from_outside_leave_the_capture_alone), /* changes the schedule */
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
