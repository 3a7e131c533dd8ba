/* SPDX-License-Identifier: Apache-2.0 */
/* DLPack tensors of CUDA memory, exchanged with a consumer and a producer that know nothing but CUDA's runtime and the
 * tensor. */
#include "tests/backends/cuda/cuda_fixture.h"

#include <string.h>

#include "ndbuf/dlpack.h"

static const int64_t shape45[] = {4, 5};

/* A view of 4 x 5 numbers on `device`, every second column of a wider one, last row first; filled on `queue`, which is
 * not waited for: the view's event tells when it is ready. Number (i, k) is 100 * i + k. */
static void make_view(ndbuf_device *device, ndbuf_queue *queue, ndbuf_view *out_view)
{
    ndbuf_format *format = test_parse("i");
    ndbuf_view host = {0};
    ndbuf_event *event = NULL;
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), format, 2, shape45, err));
    int32_t *items = ndbuf_view_host_address(&host);
    for (int32_t i = 0; i < 4; i++) {
        for (int32_t k = 0; k < 5; k++) {
            items[5 * i + k] = 100 * i + k;
        }
    }
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, (const int64_t[]){4, 10}, err));
    const ndbuf_slice reversed = {.step = -1, .given = NDBUF_SLICE_STEP};
    const ndbuf_slice second = {.start = 1, .step = 2, .given = NDBUF_SLICE_START | NDBUF_SLICE_STEP};
    ASSERT_OK(ndbuf_view_slice(out_view, 0, &reversed, out_view, err));
    ASSERT_OK(ndbuf_view_slice(out_view, 1, &second, out_view, err));
    ASSERT_OK(ndbuf_copy(out_view, &host, queue, err));
    if (queue != NULL) {
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        ndbuf_view_set_ready(out_view, event);
        ndbuf_event_release(event);
    }
    ndbuf_view_release(&host);
    ndbuf_format_release(format);
}

/* The consumer: copies each number of a tensor on its own stream, and looks at them when that stream is done. */
static void assert_consumer_reads(const DLTensor *tensor, cudaStream_t stream)
{
    int32_t items[4][5];
    memset(items, 0xA5, sizeof(items));
    assert_int_equal(tensor->ndim, 2);
    for (int64_t i = 0; i < tensor->shape[0]; i++) {
        for (int64_t k = 0; k < tensor->shape[1]; k++) {
            const char *item = (const char *)tensor->data + tensor->byte_offset +
                               4 * (i * tensor->strides[0] + k * tensor->strides[1]);
            ASSERT_CUDA(sim->cudaMemcpyAsync(&items[i][k], item, 4, cudaMemcpyDefault, stream));
        }
    }
    ASSERT_CUDA(sim->cudaStreamSynchronize(stream));
    for (int32_t i = 0; i < 4; i++) {
        for (int32_t k = 0; k < 5; k++) {
            assert_int_equal(items[i][k], 100 * i + k);
        }
    }
}

static int64_t waits_so_far(void)
{
    return cudasim_ncalls("cudaStreamSynchronize") + cudasim_ncalls("cudaEventSynchronize");
}

static void test_a_consumer_reads_what_was_exported_on_its_own_stream(void **state)
{
    (void)state;
    static const char *const names[] = {"cuda:0", "cuda:1", "cuda_managed:0"};
    static const DLDevice devices[] = {{kDLCUDA, 0}, {kDLCUDA, 1}, {kDLCUDAManaged, 0}};
    for (size_t i = 0; i < 3; i++) {
        ndbuf_device *device = cuda_fixture_open(names[i]);
        ndbuf_queue *queue = NULL;
        ndbuf_view view = {0};
        cudaStream_t stream = NULL;
        DLManagedTensorVersioned *tensor = NULL;
        ASSERT_CUDA(sim->cudaSetDevice(devices[i].device_id));
        ASSERT_CUDA(sim->cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
        ASSERT_OK(ndbuf_queue_create(device, &queue, err));
        for (int kept = 0; kept < 2; kept++) {
            make_view(device, queue, &view);
            const ndbuf_dlpack_export_options options = {.flags = kept ? NDBUF_DLPACK_KEEP_OFFSET : 0,
                                                         .native_queue = stream};
            const int64_t waits = waits_so_far();
            ASSERT_OK(ndbuf_dlpack_export(&view, &options, &tensor, NULL, err));
            assert_int_equal(waits_so_far(), waits); /* the stream waits, not the caller */
            assert_memory_equal(&tensor->dl_tensor.device, &devices[i], sizeof(devices[i]));
            assert_int_equal(tensor->dl_tensor.byte_offset, kept ? view.byte_offset : 0);
            assert_consumer_reads(&tensor->dl_tensor, stream);
            /* Either may go first. */
            if (kept) {
                tensor->deleter(tensor);
                ndbuf_view_release(&view);
            } else {
                ndbuf_view_release(&view);
                tensor->deleter(tensor);
            }
        }
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        ndbuf_queue_release(queue);
        ASSERT_CUDA(sim->cudaStreamDestroy(stream));
        ASSERT_CUDA(sim->cudaSetDevice(0));
        ndbuf_device_close(device);
    }
}

static void test_without_a_stream_the_export_waits(void **state)
{
    (void)state;
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queue = NULL;
    ndbuf_view view = {0};
    cudaStream_t stream = NULL;
    DLManagedTensor *tensor = NULL;
    ASSERT_CUDA(sim->cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    make_view(device, queue, &view);
    ASSERT_OK(ndbuf_dlpack_export_legacy(&view, NULL, &tensor, NULL, err));
    assert_consumer_reads(&tensor->dl_tensor, stream);
    tensor->deleter(tensor);
    ndbuf_view_release(&view);
    /* A consumer who waits itself finds the event. */
    make_view(device, queue, &view);
    const ndbuf_dlpack_export_options no_wait = {.flags = NDBUF_DLPACK_NO_WAIT};
    ASSERT_OK(ndbuf_dlpack_export_legacy(&view, &no_wait, &tensor, NULL, err));
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_event_wait(ndbuf_dlpack_view_legacy(tensor)->ready, err));
    assert_consumer_reads(&tensor->dl_tensor, stream);
    tensor->deleter(tensor);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    ndbuf_queue_release(queue);
    ASSERT_CUDA(sim->cudaStreamDestroy(stream));
    ndbuf_device_close(device);
}

/* The producer: 20 numbers in an allocation of its own. */
typedef struct producer {
    DLManagedTensorVersioned tensor;
    int64_t shape[2];
    int64_t strides[2];
    void *block;
    int ndeleted;
} producer;

static void delete_tensor(DLManagedTensorVersioned *tensor)
{
    producer *self = tensor->manager_ctx;
    self->ndeleted++;
    ASSERT_CUDA(tensor->dl_tensor.device.device_type == kDLCUDAHost ? sim->cudaFreeHost(self->block)
                                                                    : sim->cudaFree(self->block));
}

static void producer_init(producer *self, DLDeviceType type)
{
    int32_t items[20];
    for (int32_t i = 0; i < 20; i++) {
        items[i] = i;
    }
    *self = (producer){.shape = {4, 5}, .strides = {5, 1}};
    self->tensor = (DLManagedTensorVersioned){.version = {1, 1}, .manager_ctx = self, .deleter = delete_tensor};
    self->tensor.dl_tensor = (DLTensor){
        .device = {type, 0}, .ndim = 2, .dtype = {kDLInt, 32, 1}, .shape = self->shape, .strides = self->strides};
    if (type == kDLCUDAHost) {
        ASSERT_CUDA(sim->cudaHostAlloc(&self->block, sizeof(items), cudaHostAllocDefault));
    } else if (type == kDLCUDAManaged) {
        ASSERT_CUDA(sim->cudaMallocManaged(&self->block, sizeof(items), cudaMemAttachGlobal));
    } else {
        ASSERT_CUDA(sim->cudaMalloc(&self->block, sizeof(items)));
    }
    cudaStream_t stream = NULL;
    ASSERT_CUDA(sim->cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    ASSERT_CUDA(sim->cudaMemcpyAsync(self->block, items, sizeof(items), cudaMemcpyDefault, stream));
    ASSERT_CUDA(sim->cudaStreamSynchronize(stream));
    ASSERT_CUDA(sim->cudaStreamDestroy(stream));
    self->tensor.dl_tensor.data = self->block;
}

static void test_tensors_of_every_kind_of_memory_come_in(void **state)
{
    (void)state;
    static const DLDeviceType types[] = {kDLCUDA, kDLCUDAHost, kDLCUDAManaged};
    for (size_t i = 0; i < 3; i++) {
        producer made;
        ndbuf_view view = {0};
        ndbuf_view host = {0};
        producer_init(&made, types[i]);
        made.strides[0] = -5;
        made.tensor.dl_tensor.byte_offset = 60;
        made.tensor.dl_tensor.device.device_id = types[i] == kDLCUDA ? 0 : 1; /* not meant for such memory, and seen */
        DLManagedTensorVersioned *tensor = &made.tensor;
        ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
        assert_int_equal(view.device.type, types[i]);
        assert_int_equal(view.device.id, 0);
        ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), ndbuf_view_format(&view), 2, shape45, err));
        ASSERT_OK(ndbuf_copy(&host, &view, NULL, err));
        ndbuf_view_release(&view);
        assert_int_equal(made.ndeleted, 1);
        const int32_t *items = ndbuf_view_host_address(&host);
        for (int32_t k = 0; k < 20; k++) {
            assert_int_equal(items[k], 15 - k / 5 * 5 + k % 5);
        }
        ndbuf_view_release(&host);
    }
}

static void test_a_copy_in_flight_keeps_the_tensor(void **state)
{
    (void)state;
    producer made;
    ndbuf_view view = {0};
    ndbuf_view host = {0};
    ndbuf_device *device = cuda_fixture_open("cuda:0");
    ndbuf_queue *queue = NULL;
    producer_init(&made, kDLCUDA);
    DLManagedTensorVersioned *tensor = &made.tensor;
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ASSERT_OK(ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), ndbuf_view_format(&view), 2, shape45, err));
    ASSERT_OK(ndbuf_copy(&host, &view, queue, err));
    ndbuf_view_release(&view);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_int_equal(((int32_t *)ndbuf_view_host_address(&host))[19], 19);
    ndbuf_queue_release(queue);
    assert_int_equal(made.ndeleted, 1);
    ndbuf_view_release(&host);
    ndbuf_device_close(device);
}

static void test_what_leaves_its_allocation_or_lies_elsewhere_is_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t rows;
        int64_t row_stride;
        uint64_t byte_offset;
        DLDevice device;
        ndbuf_status status;
        const char *part;
    } cases[] = {
        {5, 5, 0, {kDLCUDA, 0}, NDBUF_ERR_BOUNDS, "100 bytes at 0 of a CUDA allocation of 80"},
        {4, 5, 4, {kDLCUDA, 0}, NDBUF_ERR_BOUNDS, "80 bytes at 4 of a CUDA allocation of 80"},
        {4, 6, 0, {kDLCUDA, 0}, NDBUF_ERR_BOUNDS, "92 bytes"},
        {4, 5, 0, {kDLCUDA, 1}, NDBUF_ERR_INVALID, "CUDA device 0, not 1"},
        {4, 5, 0, {kDLCUDA, 2}, NDBUF_ERR_UNAVAILABLE, "cuda:2"},
        {4, 5, 0, {kDLCUDAManaged, 0}, NDBUF_ERR_INVALID, "device memory, not managed"},
        {4, -5, 56, {kDLCUDA, 0}, NDBUF_ERR_INVALID, "not memory that CUDA knows"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        producer made;
        ndbuf_view view = {0};
        producer_init(&made, kDLCUDA);
        made.shape[0] = cases[i].rows;
        made.strides[0] = cases[i].row_stride;
        made.tensor.dl_tensor.byte_offset = cases[i].byte_offset;
        made.tensor.dl_tensor.device = cases[i].device;
        DLManagedTensorVersioned *tensor = &made.tensor;
        ASSERT_FAILS(cases[i].status, cases[i].part, ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
        assert_null(tensor);
        assert_int_equal(made.ndeleted, 1);
    }
    char host_memory[80];
    producer made;
    ndbuf_view view = {0};
    producer_init(&made, kDLCUDA);
    made.tensor.dl_tensor.data = host_memory;
    DLManagedTensorVersioned *tensor = &made.tensor;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not memory that CUDA knows", ndbuf_dlpack_import(&tensor, NULL, &view, NULL, err));
    assert_int_equal(made.ndeleted, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_a_consumer_reads_what_was_exported_on_its_own_stream),
        CUDA_TEST(test_without_a_stream_the_export_waits),
        CUDA_TEST(test_tensors_of_every_kind_of_memory_come_in),
        CUDA_TEST(test_a_copy_in_flight_keeps_the_tensor),
        CUDA_TEST(test_what_leaves_its_allocation_or_lies_elsewhere_is_refused),
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
