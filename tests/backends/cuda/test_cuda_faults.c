/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/backends/cuda/cuda_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/storage_core.h"

/* Every call of CUDA's fails in turn, in every operation of the library: then there is an error, or the right result by
 * another way; nothing is left over; and the library goes on working. */

#define ROWS 96
#define COLUMNS 288

/* What operations work on: made and ended without faults. */
typedef struct fault_fixture {
    ndbuf_device *device;
    ndbuf_device *other;
    ndbuf_device *pinned;
    ndbuf_device *managed;
    ndbuf_view host;        /* ROWS * COLUMNS floats in rows */
    ndbuf_view host_turned; /* COLUMNS * ROWS floats, turned: rows again */
    ndbuf_view back;
    ndbuf_view first; /* of the device, in rows */
    ndbuf_view second;
    ndbuf_view turned;  /* of the device, as host_turned */
    ndbuf_view distant; /* of the other device, turned */
    ndbuf_view pages;   /* managed */
} fault_fixture;

/* An operation: a status, or NDBUF_OK and whatever it made undone. */
typedef ndbuf_status (*fault_operation)(fault_fixture *self, ndbuf_error *err);

static void make_view(ndbuf_view *out_view, ndbuf_device *device, bool is_turned)
{
    static const int64_t shape[2] = {ROWS, COLUMNS};
    static const int64_t turned_shape[2] = {COLUMNS, ROWS};
    static const int32_t axes[2] = {1, 0};
    ndbuf_format *format = test_parse("<f");
    ASSERT_OK(ndbuf_view_create(out_view, device, format, 2, is_turned ? turned_shape : shape, err));
    if (is_turned) {
        ASSERT_OK(ndbuf_view_permute(out_view, axes, out_view, err));
    }
    ndbuf_format_release(format);
}

static void fixture_init(fault_fixture *self)
{
    *self = (fault_fixture){.device = cuda_fixture_open("cuda:0"),
                            .other = cuda_fixture_open("cuda:1"),
                            .pinned = cuda_fixture_open("cuda_host:0"),
                            .managed = cuda_fixture_open("cuda_managed:0")};
    make_view(&self->host, ndbuf_device_cpu(), false);
    make_view(&self->host_turned, ndbuf_device_cpu(), true);
    make_view(&self->back, ndbuf_device_cpu(), false);
    make_view(&self->first, self->device, false);
    make_view(&self->second, self->device, false);
    make_view(&self->turned, self->device, true);
    make_view(&self->distant, self->other, true);
    make_view(&self->pages, self->managed, false);
    float *values = ndbuf_view_host_address(&self->host);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        values[i] = (float)i;
    }
    ndbuf_view *const targets[] = {&self->host_turned, &self->back, &self->second, &self->turned, &self->distant};
    ASSERT_OK(ndbuf_copy(&self->first, &self->host, NULL, err));
    ASSERT_OK(ndbuf_copy(&self->pages, &self->host, NULL, err));
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        const float zero = 0;
        ASSERT_OK(ndbuf_fill(targets[i], &zero, sizeof(zero), NULL, err));
    }
}

static void fixture_clear(fault_fixture *self)
{
    ndbuf_view *const views[] = {&self->host,   &self->host_turned, &self->back,    &self->first,
                                 &self->second, &self->turned,      &self->distant, &self->pages};
    for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++) {
        ndbuf_view_release(views[i]);
    }
    ndbuf_device_close(self->device);
    ndbuf_device_close(self->other);
    ndbuf_device_close(self->pinned);
    ndbuf_device_close(self->managed);
}

static bool fault_happened;

static void end_fault(void)
{
    fault_happened = fault_happened || cudasim_fault_happened();
    cudasim_fail_call("*", 0, cudaSuccess);
}

/* That a view holds what the host's does; without faults. */
static void check_view(fault_fixture *self, const ndbuf_view *view)
{
    end_fault();
    ASSERT_OK(ndbuf_copy(&self->back, view, NULL, err));
    assert_memory_equal(ndbuf_view_host_address(&self->back), ndbuf_view_host_address(&self->host),
                        (size_t)self->host.nbytes);
}

static ndbuf_status copy_and_check(fault_fixture *self, ndbuf_view *dst, const ndbuf_view *src, ndbuf_error *err)
{
    ndbuf_status status = ndbuf_copy(dst, src, NULL, err);
    if (status == NDBUF_OK) {
        check_view(self, dst);
    }
    return status;
}

/* The failure of a copy in a queue may come with the call or with the wait. */
static ndbuf_status enqueue_and_check(fault_fixture *self, ndbuf_view *dst, const ndbuf_view *src, ndbuf_error *err)
{
    ndbuf_queue *queue = NULL;
    ndbuf_status status = ndbuf_queue_create(self->device, &queue, err);
    if (status != NDBUF_OK) {
        return status;
    }
    status = ndbuf_copy(dst, src, queue, err);
    ndbuf_status wait_status = ndbuf_queue_wait(queue, err);
    ndbuf_queue_release(queue);
    status = status != NDBUF_OK ? status : wait_status;
    if (status == NDBUF_OK) {
        check_view(self, dst);
    }
    return status;
}

static ndbuf_status op_rows(fault_fixture *self, ndbuf_error *err)
{
    return copy_and_check(self, &self->second, &self->first, err);
}

static ndbuf_status op_turn(fault_fixture *self, ndbuf_error *err)
{
    return copy_and_check(self, &self->turned, &self->first, err);
}

static ndbuf_status op_upload(fault_fixture *self, ndbuf_error *err)
{
    return copy_and_check(self, &self->second, &self->host, err);
}

static ndbuf_status op_upload_turned(fault_fixture *self, ndbuf_error *err)
{
    return copy_and_check(self, &self->turned, &self->host, err);
}

static ndbuf_status op_download_turned(fault_fixture *self, ndbuf_error *err)
{
    return copy_and_check(self, &self->host_turned, &self->first, err);
}

static ndbuf_status op_distant(fault_fixture *self, ndbuf_error *err)
{
    return copy_and_check(self, &self->distant, &self->first, err);
}

static ndbuf_status op_managed(fault_fixture *self, ndbuf_error *err)
{
    return copy_and_check(self, &self->turned, &self->pages, err);
}

/* The byte order is changed on the way there, and back on the way to a turned view. */
static ndbuf_status op_convert(fault_fixture *self, ndbuf_error *err)
{
    const int64_t shape[2] = {COLUMNS, ROWS};
    const int64_t rows[2] = {4, (int64_t)4 * COLUMNS};
    const int64_t columns[2] = {(int64_t)4 * ROWS, 4};
    const int64_t length = (int64_t)ROWS * COLUMNS;
    const int64_t dense = 4;
    const ndbuf_element plain = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4};
    const ndbuf_element swapped = {.number = NDBUF_NUMBER_FLOAT32, .nbytes = 4, .is_swapped = 1};
    const ndbuf_convert_box there = {.dst = {&self->second.storage->mem, 0, &dense},
                                     .src = {&self->first.storage->mem, 0, &dense},
                                     .dst_element = swapped,
                                     .src_element = plain,
                                     .ndim = 1,
                                     .shape = &length};
    const ndbuf_convert_box back = {.dst = {&self->turned.storage->mem, 0, columns},
                                    .src = {&self->second.storage->mem, 0, rows},
                                    .dst_element = plain,
                                    .src_element = swapped,
                                    .ndim = 2,
                                    .shape = shape};
    ndbuf_queue *queue = self->device->default_queue;
    ndbuf_status status = queue->device->ops->convert_strided(queue, &there, err);
    if (status == NDBUF_OK) {
        status = queue->device->ops->convert_strided(queue, &back, err);
    }
    ndbuf_error wait_error = {0};
    ndbuf_status wait_status = queue->device->ops->queue_wait(queue, &wait_error);
    if (status == NDBUF_OK && wait_status != NDBUF_OK) {
        *err = wait_error;
        status = wait_status;
    }
    if (status == NDBUF_OK) {
        check_view(self, &self->turned);
    }
    return status;
}

static ndbuf_status op_enqueue_turn(fault_fixture *self, ndbuf_error *err)
{
    return enqueue_and_check(self, &self->turned, &self->first, err);
}

static ndbuf_status op_enqueue_upload(fault_fixture *self, ndbuf_error *err)
{
    return enqueue_and_check(self, &self->second, &self->host, err);
}

static ndbuf_status op_enqueue_upload_turned(fault_fixture *self, ndbuf_error *err)
{
    return enqueue_and_check(self, &self->turned, &self->host, err);
}

static ndbuf_status op_enqueue_download_turned(fault_fixture *self, ndbuf_error *err)
{
    return enqueue_and_check(self, &self->host_turned, &self->first, err);
}

static void check_value(fault_fixture *self, float value)
{
    ASSERT_OK(ndbuf_copy(&self->back, &self->turned, NULL, err));
    const float *values = ndbuf_view_host_address(&self->back);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        assert_true(values[i] == value);
    }
}

static ndbuf_status op_fill(fault_fixture *self, ndbuf_error *err)
{
    const float seven = 7;
    ndbuf_status status = ndbuf_fill(&self->turned, &seven, sizeof(seven), NULL, err);
    if (status == NDBUF_OK) {
        end_fault();
        check_value(self, seven);
    }
    return status;
}

/* Opening, describing and closing. */
static ndbuf_status open_device(const char *name, ndbuf_error *err)
{
    ndbuf_device *device = NULL;
    ndbuf_device_info info;
    ndbuf_status status = ndbuf_device_open(name, &device, err);
    if (status == NDBUF_OK) {
        ndbuf_device_info_get(device, &info);
        ndbuf_device_close(device);
    }
    return status;
}

static ndbuf_status op_open(fault_fixture *self, ndbuf_error *err)
{
    (void)self;
    return open_device("cuda:0", err);
}

static ndbuf_status op_open_others(fault_fixture *self, ndbuf_error *err)
{
    (void)self;
    ndbuf_status status = open_device("cuda_host:0", err);
    return status == NDBUF_OK ? open_device("cuda_managed:0", err) : status;
}

/* The first kernel of all: the code is loaded for it. */
static ndbuf_status op_first_kernel(fault_fixture *self, ndbuf_error *err)
{
    (void)self;
    const int64_t shape[1] = {1000};
    const char x = 'x';
    ndbuf_device *device = NULL;
    ndbuf_view view = {0};
    ndbuf_status status = ndbuf_device_open("cuda:0", &device, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_create(&view, device, NULL, 1, shape, err);
    }
    if (status == NDBUF_OK) {
        status = ndbuf_fill(&view, &x, 1, NULL, err);
    }
    ndbuf_view_release(&view);
    ndbuf_device_close(device);
    return status;
}

static ndbuf_status op_backend_info(fault_fixture *self, ndbuf_error *err)
{
    (void)self;
    ndbuf_status result = NDBUF_OK;
    for (int32_t i = 0; i < ndbuf_backend_count(); i++) {
        ndbuf_backend_info info;
        ndbuf_status status = ndbuf_backend_info_get(i, &info, err);
        assert_int_equal(status, NDBUF_OK);
        if (strncmp(info.name, "cuda", 4) == 0 && info.status != NDBUF_OK) {
            result = ndbuf_fail_native(err, info.status, info.native_code, "%s", info.reason);
        }
    }
    return result;
}

static ndbuf_status op_storages(fault_fixture *self, ndbuf_error *err)
{
    ndbuf_device *const devices[] = {self->device, self->pinned, self->managed};
    for (size_t i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
        ndbuf_storage *storage = NULL;
        ndbuf_status status = ndbuf_storage_create(devices[i], 5000, &storage, err);
        if (status != NDBUF_OK) {
            assert_null(storage);
            return status;
        }
        ndbuf_storage_release(storage);
    }
    return NDBUF_OK;
}

static ndbuf_status op_adopt(fault_fixture *self, ndbuf_error *err)
{
    ndbuf_storage *storage = NULL;
    ndbuf_status status =
        ndbuf_cuda_storage_adopt(ndbuf_storage_handle(self->first.storage), 100, 0, NULL, NULL, &storage, err);
    ndbuf_storage_release(storage);
    return status;
}

static ndbuf_status op_pin(fault_fixture *self, ndbuf_error *err)
{
    ndbuf_storage *pinned = NULL;
    ndbuf_status status = ndbuf_cuda_storage_pin(self->host.storage, &pinned, err);
    ndbuf_storage_release(pinned);
    return status;
}

static ndbuf_status op_ipc(fault_fixture *self, ndbuf_error *err)
{
    ndbuf_storage *storage = NULL;
    ndbuf_cuda_ipc_handle handle;
    ndbuf_status status = ndbuf_cuda_ipc_storage_create(self->device, 100, &storage, err);
    if (status == NDBUF_OK) {
        status = ndbuf_cuda_ipc_export(storage, &handle, err);
    }
    ndbuf_storage_release(storage);
    return status;
}

static ndbuf_status op_queues(fault_fixture *self, ndbuf_error *err)
{
    ndbuf_queue *queue = NULL;
    ndbuf_queue *imported = NULL;
    ndbuf_status status = ndbuf_queue_create(self->device, &queue, err);
    if (status == NDBUF_OK) {
        status = ndbuf_queue_import(self->device, ndbuf_queue_native(queue), &imported, err);
    }
    ndbuf_queue_release(imported);
    ndbuf_queue_release(queue);
    return status;
}

static ndbuf_status count_run(void *context, ndbuf_error *err)
{
    (void)err;
    *(int *)context += 1;
    return NDBUF_OK;
}

/* A step of the host runs once if its call succeeded, and never if not. */
static ndbuf_status op_events(fault_fixture *self, ndbuf_error *err)
{
    ndbuf_queue *queues[2] = {NULL, NULL};
    ndbuf_event *event = NULL;
    int32_t complete = 0;
    int nruns = 0;
    ndbuf_status status = ndbuf_queue_create(self->device, &queues[0], err);
    if (status == NDBUF_OK) {
        status = ndbuf_queue_create(self->other, &queues[1], err);
    }
    if (status == NDBUF_OK) {
        status = self->device->ops->queue_host_call(queues[0], count_run, &nruns, err);
        int expected = status == NDBUF_OK;
        if (status == NDBUF_OK) {
            status = ndbuf_queue_record(queues[0], &event, err);
        }
        if (status == NDBUF_OK) {
            status = ndbuf_queue_wait_event(queues[1], event, err);
        }
        if (status == NDBUF_OK) {
            status = ndbuf_event_query(event, &complete, err);
        }
        if (status == NDBUF_OK) {
            status = ndbuf_event_wait(event, err);
        }
        ndbuf_status wait_status = ndbuf_queue_wait(queues[0], err);
        status = status != NDBUF_OK ? status : wait_status;
        assert_int_equal(nruns, expected);
    }
    ndbuf_event_release(event);
    ndbuf_queue_release(queues[1]);
    ndbuf_queue_release(queues[0]);
    return status;
}

/* What was used is given up behind a wait, even one that failed: then the work must be over. */
static ndbuf_status op_wait_and_release(fault_fixture *self, ndbuf_error *err)
{
    ndbuf_queue *const queue = self->device->default_queue;
    const ndbuf_backend_ops *ops = self->device->ops;
    ndbuf_status status = NDBUF_OK;
    for (int by_event = 0; by_event < 2 && status == NDBUF_OK; by_event++) {
        ndbuf_mem mem = {0};
        ndbuf_event *event = NULL;
        status = ops->mem_alloc(self->device, (size_t)self->first.nbytes, 64, &mem, err);
        if (status != NDBUF_OK) {
            return status;
        }
        status = ops->copy_bytes(queue, &mem, 0, &self->first.storage->mem, 0, self->first.nbytes, err);
        if (status == NDBUF_OK && by_event) {
            status = ops->event_record(queue, &event, err);
        }
        if (event != NULL) {
            status = ops->event_wait(event, err);
            ops->event_destroy(event);
        } else {
            ndbuf_status wait_status = ops->queue_wait(queue, err);
            status = status != NDBUF_OK ? status : wait_status;
        }
        ops->mem_free(&mem);
    }
    return status;
}

/* A copy and a fill that a stream captures. Calls of the test's own may be hit, too: those that undo are tried again.
 */
static ndbuf_status op_capture(fault_fixture *self, ndbuf_error *err)
{
    const float one = 1;
    cudaStream_t stream = NULL;
    cudaGraph_t graph = NULL;
    ndbuf_queue *queue = NULL;
    if (sim->cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking) != cudaSuccess) {
        return ndbuf_fail(err, NDBUF_ERR_DEVICE, "no stream to capture");
    }
    ndbuf_status status = ndbuf_queue_import(self->device, (void *)stream, &queue, err);
    if (status == NDBUF_OK && extra.cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) != cudaSuccess) {
        status = ndbuf_fail(err, NDBUF_ERR_DEVICE, "the capture does not begin");
    } else if (status == NDBUF_OK) {
        status = ndbuf_copy(&self->second, &self->first, queue, err);
        if (status == NDBUF_OK) {
            status = ndbuf_fill(&self->turned, &one, sizeof(one), queue, err);
        }
        if (extra.cudaStreamEndCapture(stream, &graph) != cudaSuccess && graph == NULL) {
            extra.cudaStreamEndCapture(stream, &graph);
        }
        if (graph != NULL && extra.cudaGraphDestroy(graph) != cudaSuccess) {
            ASSERT_CUDA(extra.cudaGraphDestroy(graph));
        }
    }
    ndbuf_queue_release(queue);
    if (sim->cudaStreamDestroy(stream) != cudaSuccess) {
        ASSERT_CUDA(sim->cudaStreamDestroy(stream));
    }
    sim->cudaGetLastError();
    return status;
}

/* One operation with its 1st, 2nd, 3rd ... call failing, until it needs no more. */
static void sweep(const char *name, fault_operation operation, bool is_open, cudaError_t code)
{
    int64_t nabsorbed = 0;
    for (int64_t nth = 1;; nth++) {
        fault_fixture self = {0};
        ndbuf_error error = {0};
        if (is_open) {
            fixture_init(&self);
        }
        fault_happened = false;
        cudasim_fail_call("*", nth, code);
        ndbuf_status status = operation(&self, &error);
        end_fault();
        bool happened = fault_happened;
        if (status != NDBUF_OK && (error.status != (int32_t)status || error.message[0] == '\0')) {
            fail_msg("%s, call %lld: status %s without a text", name, (long long)nth, ndbuf_status_name(status));
        }
        nabsorbed += happened && status == NDBUF_OK;
        ASSERT_OK(operation(&self, err)); /* and now it works */
        if (is_open) {
            fixture_clear(&self);
        }
        if (cudasim_anything_lives() || cudasim_nviolations() != 0) {
            print_error("%s, call %lld, %s: %s\n", name, (long long)nth, ndbuf_status_name(status), error.message);
            assert_int_equal(cuda_fixture_check(NULL), 0);
        }
        if (!happened) {
            assert_int_equal(status, NDBUF_OK);
            assert_true(nth > 1);
            print_message("  %s: %lld calls, %lld without effect\n", name, (long long)nth - 1, (long long)nabsorbed);
            return;
        }
    }
}

static const struct {
    const char *name;
    fault_operation operation;
    bool is_open;
} operations[] = {
    {"backend info", op_backend_info, false},
    {"open", op_open, false},
    {"open others", op_open_others, false},
    {"first kernel", op_first_kernel, false},
    {"storages", op_storages, true},
    {"adopt", op_adopt, true},
    {"pin", op_pin, true},
    {"ipc", op_ipc, true},
    {"queues", op_queues, true},
    {"events", op_events, true},
    {"wait and release", op_wait_and_release, true},
    {"fill", op_fill, true},
    {"rows", op_rows, true},
    {"turn", op_turn, true},
    {"upload", op_upload, true},
    {"upload turned", op_upload_turned, true},
    {"download turned", op_download_turned, true},
    {"distant", op_distant, true},
    {"managed", op_managed, true},
    {"convert", op_convert, true},
    {"enqueue turn", op_enqueue_turn, true},
    {"enqueue upload", op_enqueue_upload, true},
    {"enqueue upload turned", op_enqueue_upload_turned, true},
    {"enqueue download turned", op_enqueue_download_turned, true},
    {"capture", op_capture, true},
};

static void sweep_all(void)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        sweep(operations[i].name, operations[i].operation, operations[i].is_open, cudaErrorUnknown);
        sweep(operations[i].name, operations[i].operation, operations[i].is_open, cudaErrorMemoryAllocation);
    }
}

static void test_each_call_fails_in_turn_in_each_operation(void **state)
{
    (void)state;
    sweep_all();
}

static void test_the_same_on_devices_without_pools(void **state)
{
    (void)state;
    cudasim_set_pools_supported(false);
    sweep_all();
    cudasim_set_pools_supported(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUDA_TEST(test_each_call_fails_in_turn_in_each_operation),
        CUDA_TEST(test_the_same_on_devices_without_pools),
    };
    return cmocka_run_group_tests(tests, cuda_fixture_start, NULL);
}
