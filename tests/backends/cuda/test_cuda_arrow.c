/* SPDX-License-Identifier: Apache-2.0 */
/* Arrow arrays of CUDA memory, exchanged with a consumer and a producer that know nothing but CUDA's runtime and the
 * array: each side's work is ordered by sync_event alone. */
#include "tests/backends/cuda/cuda_fixture.h"

#include <string.h>

#include "ndbuf/arrow_device.h"
#include "ndbuf/dlpack.h"

#include "core/queue_core.h"

enum { NROWS = 3, NCOLUMNS = 4, NITEMS = NROWS * NCOLUMNS };

static const char *const names[] = {"cuda:0", "cuda:1", "cuda_managed:0", "cuda_host:0"};
static const ArrowDeviceType types[] = {ARROW_DEVICE_CUDA, ARROW_DEVICE_CUDA, ARROW_DEVICE_CUDA_MANAGED,
                                        ARROW_DEVICE_CUDA_HOST};
static const int64_t ordinals[] = {0, 1, 0, 0};
#define NKINDS (sizeof(names) / sizeof(names[0]))

/* A view whose numbers 0, 1, 2, ... are still on their way when this returns. */
static void make_view(ndbuf_device *device, ndbuf_queue *queue, ndbuf_view *out_view)
{
    static const int64_t shape[] = {NROWS, NCOLUMNS};
    ndbuf_format *format = test_parse("i");
    ndbuf_view host = {0};
    ndbuf_event *event = NULL;
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), format, 2, shape, err));
    for (int32_t i = 0; i < NITEMS; i++) {
        ((int32_t *)ndbuf_view_host_address(&host))[i] = i;
    }
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, shape, err));
    ASSERT_OK(ndbuf_copy(out_view, &host, queue, err));
    ASSERT_OK(ndbuf_queue_record(queue, &event, err));
    ndbuf_view_set_ready(out_view, event);
    ndbuf_event_release(event);
    ndbuf_view_release(&host);
    ndbuf_format_release(format);
}

static void test_a_consumer_waits_for_the_event_and_reads(void **state)
{
    (void)state;
    for (size_t i = 0; i < NKINDS; i++) {
        for (int waits = 0; waits < 2; waits++) {
            ndbuf_device *device = cuda_fixture_open(names[i]);
            ndbuf_queue *queue = NULL;
            ndbuf_view view = {0};
            struct ArrowSchema schema;
            struct ArrowDeviceArray array;
            cudaStream_t stream = NULL;
            int32_t items[NITEMS];
            const ndbuf_arrow_export_options options = {.flags = waits ? NDBUF_ARROW_WAIT : 0};
            ASSERT_CUDA(sim->cudaSetDevice((int)ordinals[i]));
            ASSERT_CUDA(sim->cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
            ASSERT_OK(ndbuf_queue_create(device, &queue, err));
            make_view(device, queue, &view);
            ASSERT_OK(ndbuf_arrow_export(&view, &options, &schema, &array, NULL, err));
            ndbuf_view_release(&view);
            assert_int_equal(array.device_type, types[i]);
            assert_int_equal(array.device_id, ordinals[i]);
            assert_int_equal(array.sync_event != NULL, !waits);
            if (!waits) {
                ASSERT_CUDA(sim->cudaStreamWaitEvent(stream, *(cudaEvent_t *)array.sync_event, 0));
            }
            ASSERT_CUDA(sim->cudaMemcpyAsync(items, array.array.children[0]->buffers[1], sizeof(items),
                                             cudaMemcpyDefault, stream));
            ASSERT_CUDA(sim->cudaStreamSynchronize(stream));
            for (int32_t k = 0; k < NITEMS; k++) {
                assert_int_equal(items[k], k);
            }
            schema.release(&schema);
            array.array.release(&array.array);
            ASSERT_OK(ndbuf_queue_wait(queue, err));
            ndbuf_queue_release(queue);
            ASSERT_CUDA(sim->cudaStreamDestroy(stream));
            ASSERT_CUDA(sim->cudaSetDevice(0));
            ndbuf_device_close(device);
        }
    }
}

/* The producer: its copy is still on its way when the array is handed over. It owns memory, stream and event. */
typedef struct producer {
    struct ArrowSchema schema;
    struct ArrowDeviceArray device;
    const void *buffers[2];
    int32_t items[NITEMS];
    void *block;
    cudaStream_t stream;
    cudaEvent_t event;
    int nreleased;
} producer;

static void release_schema(struct ArrowSchema *schema)
{
    schema->release = NULL;
}

static void release_array(struct ArrowArray *array)
{
    producer *self = array->private_data;
    array->release = NULL;
    self->nreleased++;
    ASSERT_CUDA(sim->cudaEventDestroy(self->event));
    ASSERT_CUDA(sim->cudaStreamDestroy(self->stream));
    ASSERT_CUDA(self->device.device_type == ARROW_DEVICE_CUDA_HOST ? sim->cudaFreeHost(self->block)
                                                                   : sim->cudaFree(self->block));
}

static void producer_init(producer *self, size_t kind)
{
    *self = (producer){.nreleased = 0};
    for (int32_t i = 0; i < NITEMS; i++) {
        self->items[i] = 10 * i;
    }
    ASSERT_CUDA(sim->cudaSetDevice((int)ordinals[kind]));
    if (types[kind] == ARROW_DEVICE_CUDA_HOST) {
        ASSERT_CUDA(sim->cudaHostAlloc(&self->block, sizeof(self->items), cudaHostAllocDefault));
    } else if (types[kind] == ARROW_DEVICE_CUDA_MANAGED) {
        ASSERT_CUDA(sim->cudaMallocManaged(&self->block, sizeof(self->items), cudaMemAttachGlobal));
    } else {
        ASSERT_CUDA(sim->cudaMalloc(&self->block, sizeof(self->items)));
    }
    ASSERT_CUDA(sim->cudaStreamCreateWithFlags(&self->stream, cudaStreamNonBlocking));
    ASSERT_CUDA(sim->cudaEventCreateWithFlags(&self->event, cudaEventDisableTiming));
    ASSERT_CUDA(sim->cudaMemcpyAsync(self->block, self->items, sizeof(self->items), cudaMemcpyDefault, self->stream));
    ASSERT_CUDA(sim->cudaEventRecord(self->event, self->stream));
    ASSERT_CUDA(sim->cudaSetDevice(0));
    self->buffers[1] = self->block;
    self->schema = (struct ArrowSchema){.format = "i", .release = release_schema};
    self->device.array = (struct ArrowArray){.length = NITEMS - 2,
                                             .offset = 2,
                                             .n_buffers = 2,
                                             .buffers = self->buffers,
                                             .release = release_array,
                                             .private_data = self};
    self->device.device_id = ordinals[kind];
    self->device.device_type = types[kind];
    self->device.sync_event = &self->event;
}

static void test_an_import_is_ordered_behind_the_producers_event(void **state)
{
    (void)state;
    for (size_t i = 0; i < NKINDS; i++) {
        producer made;
        ndbuf_view view = {0};
        ndbuf_view host = {0};
        producer_init(&made, i);
        ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
        assert_non_null(view.ready);
        assert_int_equal(view.device.type, types[i]);
        assert_int_equal(made.nreleased, 0);
        ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), ndbuf_view_format(&view), 1, view.shape, err));
        ASSERT_OK(ndbuf_copy(&host, &view, NULL, err));
        for (int32_t k = 0; k < NITEMS - 2; k++) {
            assert_int_equal(((int32_t *)ndbuf_view_host_address(&host))[k], 10 * (k + 2));
        }
        ndbuf_view_release(&host);
        ndbuf_view_release(&view);
        assert_int_equal(made.nreleased, 1);
        /* Released at once: its memory may go only when the producer's own copy is done. */
        producer_init(&made, i);
        ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
        ndbuf_event *ready = view.ready;
        ndbuf_event_retain(ready); /* our event outlives the producer's */
        ndbuf_view_release(&view);
        assert_int_equal(made.nreleased, 1);
        ASSERT_OK(ndbuf_event_wait(ready, err));
        ndbuf_event_release(ready);
        /* No event yet: the contents are valid. */
        producer_init(&made, i);
        ASSERT_CUDA(sim->cudaStreamSynchronize(made.stream));
        made.device.sync_event = NULL;
        ASSERT_OK(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
        assert_null(view.ready);
        ndbuf_view_release(&view);
        assert_int_equal(made.nreleased, 1);
    }
}

static void test_an_array_that_leaves_its_allocation_is_refused(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    producer_init(&made, 0);
    made.device.array.length = NITEMS - 1;
    ASSERT_CUDA(sim->cudaStreamSynchronize(made.stream));
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "44 bytes at 8 of a CUDA allocation of 48",
                 ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, err));
    assert_int_equal(made.nreleased, 1);
}

static void test_each_failing_call_of_cuda_is_told_and_loses_nothing(void **state)
{
    (void)state;
    static const char *const calls[] = {"cudaStreamWaitEvent", "cudaEventRecord", "cudaPointerGetAttributes"};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        producer made;
        ndbuf_view view = {0};
        producer_init(&made, 0);
        ASSERT_CUDA(sim->cudaStreamSynchronize(made.stream));
        cudasim_fail_call(calls[i], 1, cudaErrorUnknown);
        ndbuf_error error = {0};
        assert_int_equal(ndbuf_arrow_import(&made.schema, &made.device, NULL, &view, NULL, &error), NDBUF_ERR_DEVICE);
        assert_non_null(strstr(error.message, calls[i]));
        assert_true(cudasim_fault_happened());
        assert_int_equal(made.nreleased, 1);
        assert_null(view.release);
    }
}

/* What only ndbuf knows, CUDA's own event does not tell: consumers that would wait for that are told at once. */
static void test_a_failure_that_only_the_event_tells_reaches_consumers(void **state)
{
    (void)state;
    const ndbuf_error failure = {.status = NDBUF_ERR_DEVICE, .message = "it failed"};
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queue = NULL;
    ndbuf_view view = {0};
    ndbuf_view acquired = {0};
    ndbuf_exporter *exporter = NULL;
    struct ArrowSchema schema;
    struct ArrowDeviceArray array;
    DLManagedTensorVersioned *tensor = NULL;
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    const ndbuf_dlpack_export_options on_queue = {.native_queue = ndbuf_queue_native(queue)};
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL | NDBUF_REQUEST_ANY_DEVICE);
    ndbuf__queue_note(queue, &failure);
    make_view(device, queue, &view);
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "it failed", ndbuf_arrow_export(&view, NULL, &schema, &array, NULL, err));
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "it failed", ndbuf_dlpack_export(&view, &on_queue, &tensor, NULL, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    request.native_queue = ndbuf_queue_native(queue);
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "it failed", ndbuf_view_acquire(&acquired, exporter, &request, err));
    request.native_queue = NULL;
    request.flags |= NDBUF_REQUEST_READY_EVENT;
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "it failed", ndbuf_view_acquire(&acquired, exporter, &request, err));
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&view);
    ASSERT_FAILS(NDBUF_ERR_DEVICE, "it failed", ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_a_consumer_waits_for_the_event_and_reads),
        CUDA_TEST(test_an_import_is_ordered_behind_the_producers_event),
        CUDA_TEST(test_an_array_that_leaves_its_allocation_is_refused),
        CUDA_TEST(test_a_failure_that_only_the_event_tells_reaches_consumers),
        CUDA_TEST(test_each_failing_call_of_cuda_is_told_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
