/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/device_copy.h"
#include "tests/support/fake_device.h"
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/null/null_backend.h"
#include "core/storage_core.h"

/* Every public function that makes something, with each host allocation failing in turn. What is not undone after a
 * failure shows as a leak under the address sanitizer, and in the counts of the fake device. */

enum { NDIM = 10 }; /* more than a view holds without the heap */

static const int64_t wide_shape[NDIM] = {1, 2, 1, 2, 1, 3, 1, 1, 1, 2};

/* A view of more dimensions than fit into it, on a device; its storage has other bytes around it. */
static void wide_view(ndbuf_view *out_view, ndbuf_device *device, const char *format_text)
{
    ndbuf_format *format = test_parse(format_text);
    *out_view = (ndbuf_view){0};
    ASSERT_OK(ndbuf_view_create(out_view, device, format, NDIM, wide_shape, err));
    ndbuf_format_release(format);
}

static void test_storages(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_storage *storage = NULL;
    char bytes[16];
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_storage_create(ndbuf_device_cpu(), 100, &storage, NULL),
                     ndbuf_storage_release(storage));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_storage_create(device, 100, &storage, NULL), ndbuf_storage_release(storage));
    ALLOC_FAIL_SWEEP(status_ =
                         ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, sizeof(bytes), 0, NULL, NULL, &storage, NULL),
                     ndbuf_storage_release(storage));
    ndbuf_device_close(device);
    fake_assert_clean();
}

static void count_release(void *context, void *handle)
{
    (void)handle;
    ++*(int *)context;
}

static void test_adopted_memory_stays_the_callers_when_adopting_fails(void **state)
{
    (void)state;
    char bytes[16];
    int nreleased = 0;
    ndbuf_storage *storage = NULL;
    test_alloc_fail_at(1);
    ndbuf_status status =
        ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, sizeof(bytes), 0, count_release, &nreleased, &storage, NULL);
    assert_true(test_alloc_fail_end());
    assert_int_equal(status, NDBUF_ERR_NOMEM);
    assert_null(storage);
    assert_int_equal(nreleased, 0);
}

static void test_mapped_files(void **state)
{
    (void)state;
    char path[] = "/tmp/ndbuf_test_XXXXXX";
    ndbuf_storage *storage = NULL;
    int file = mkstemp(path);
    assert_true(file >= 0);
    assert_int_equal(write(file, "bytes", 5), 5);
    close(file);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_storage_map_file(path, NDBUF_STORAGE_READONLY, &storage, NULL),
                     ndbuf_storage_release(storage));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_storage_map_file(path, 0, &storage, NULL), ndbuf_storage_release(storage));
    unlink(path);
}

static void test_devices_queues_and_events(void **state)
{
    (void)state;
    static const char *const names[] = {"cpu", "null", "fake:1"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        ndbuf_device *device = NULL;
        ndbuf_queue *queue = NULL;
        ndbuf_queue *other = NULL;
        ndbuf_event *event = NULL;
        ALLOC_FAIL_SWEEP(status_ = ndbuf_device_open(names[i], &device, NULL), ndbuf_device_close(device));
        ASSERT_OK(ndbuf_device_open(names[i], &device, err));
        ALLOC_FAIL_SWEEP(status_ = ndbuf_queue_create(device, &queue, NULL), ndbuf_queue_release(queue));
        ASSERT_OK(ndbuf_queue_create(device, &queue, err));
        ASSERT_OK(ndbuf_queue_create(device, &other, err));
        ALLOC_FAIL_SWEEP(status_ = ndbuf_queue_record(queue, &event, NULL), ndbuf_event_release(event));
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        ALLOC_FAIL_SWEEP_SOME(status_ = ndbuf_queue_wait_event(other, event, NULL), (void)0);
        ASSERT_OK(ndbuf_queue_wait(other, err));
        ndbuf_event_release(event);
        ndbuf_queue_release(other);
        ndbuf_queue_release(queue);
        ndbuf_device_close(device);
    }
    fake_assert_clean();
}

static void test_formats(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "<f", "B", "i", "T{<f:x:<f:y:}", "T{T{<2h:a:}:p:(3,2)<d:q:x<10s:name:}:r:", "3x(2,3)<i", "Zf:z:<d:d:"};
    ndbuf_format *format = NULL;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ALLOC_FAIL_SWEEP(status_ = ndbuf_format_parse(texts[i], 0, &format, NULL), ndbuf_format_release(format));
    }
}

static void test_new_views(void **state)
{
    (void)state;
    ndbuf_storage *storage = NULL;
    ndbuf_view view = {0};
    ndbuf_format *record = test_parse("T{<f:x:<f:y:}");
    ndbuf_view_spec spec = {.ndim = NDIM, .shape = wide_shape};
    ASSERT_OK(ndbuf_storage_create(ndbuf_device_cpu(), 1000, &storage, err));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_init(&view, storage, &spec, NULL), ndbuf_view_release(&view));
    spec.format = record;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_init(&view, storage, &spec, NULL), ndbuf_view_release(&view));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_create(&view, ndbuf_device_cpu(), record, NDIM, wide_shape, NULL),
                     ndbuf_view_release(&view));
    ndbuf_format_release(record);
    ndbuf_storage_release(storage);
}

/* Sweeps one derivation twice: into a new view, and into the view itself, which stays as it was on failure. */
#define SWEEP_DERIVATION(make, call)                                                                                   \
    do {                                                                                                               \
        ndbuf_view view_ = {0};                                                                                        \
        ndbuf_view out_ = {0};                                                                                         \
        ndbuf_view *const view = &view_;                                                                               \
        ndbuf_view *out = &out_;                                                                                       \
        make;                                                                                                          \
        ALLOC_FAIL_SWEEP(status_ = (call), ndbuf_view_release(out));                                                   \
        out = view;                                                                                                    \
        for (int64_t nth = 1;; nth++) {                                                                                \
            int32_t ndim = view->ndim;                                                                                 \
            int64_t nbytes = view->nbytes;                                                                             \
            test_alloc_fail_at(nth);                                                                                   \
            ndbuf_status status = (call);                                                                              \
            if (!test_alloc_fail_end()) {                                                                              \
                assert_int_equal(status, NDBUF_OK);                                                                    \
                break;                                                                                                 \
            }                                                                                                          \
            if (status == NDBUF_OK) {                                                                                  \
                break;                                                                                                 \
            }                                                                                                          \
            assert_int_equal(status, NDBUF_ERR_NOMEM);                                                                 \
            assert_int_equal(view->ndim, ndim);                                                                        \
            assert_int_equal(view->nbytes, nbytes);                                                                    \
            assert_int_equal(view->shape[1], 2);                                                                       \
        }                                                                                                              \
        ndbuf_view_release(view);                                                                                      \
    } while (0)

static void test_derived_views(void **state)
{
    (void)state;
    static const int32_t axes[NDIM] = {9, 1, 8, 3, 7, 5, 6, 4, 2, 0};
    static const int64_t broadcast_shape[NDIM + 1] = {4, 1, 2, 5, 2, 1, 3, 1, 1, 1, 2};
    static const int64_t reshaped[NDIM + 1] = {2, 1, 1, 1, 2, 1, 3, 1, 1, 1, 2};
    ndbuf_slice slice = {.step = -1, .given = NDBUF_SLICE_STEP};
    ndbuf_format *format = test_parse("T{<H:a:<H:b:}");
    ndbuf_device *cpu = ndbuf_device_cpu();
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_copy(out, view, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_slice(view, 5, &slice, out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_index(view, 5, 2, out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_permute(view, axes, out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_transpose(view, out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_newaxis(view, 3, out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_squeeze(view, 0, out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_broadcast(view, NDIM + 1, broadcast_shape, out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_reshape(view, NDIM + 1, reshaped, 'C', out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "T{<f:x:(2,3)<h:y:}"), ndbuf_view_field(view, "y", out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_reinterpret(view, format, out, NULL));
    SWEEP_DERIVATION(wide_view(view, cpu, "<f"), ndbuf_view_readonly(view, out, NULL));
    ndbuf_format_release(format);
}

static void test_exporters(void **state)
{
    (void)state;
    ndbuf_view view = {0};
    ndbuf_view got = {0};
    ndbuf_exporter *exporter = NULL;
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL_RO);
    wide_view(&view, ndbuf_device_cpu(), "T{<f:x:<f:y:}");
    memset(ndbuf_view_host_address(&view), 1, (size_t)view.nbytes);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_exporter_create(&view, &exporter, NULL), ndbuf_exporter_release(exporter));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_exporter_replace(exporter, &view, NULL), (void)0);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_acquire(&got, exporter, &request, NULL), ndbuf_view_release(&got));
    request.copy = NDBUF_COPY_ALWAYS;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_acquire(&got, exporter, &request, NULL), ndbuf_view_release(&got));
    request.copy = NDBUF_COPY_IF_NEEDED;
    request.flags = NDBUF_REQUEST_F_CONTIGUOUS | NDBUF_REQUEST_FORMAT;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_acquire(&got, exporter, &request, NULL), ndbuf_view_release(&got));
    assert_int_equal(ndbuf_exporter_nexports(exporter), 0);
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&view);
}

/* A request that only a copy from another device can meet. */
static void test_acquiring_from_another_device(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_view view = {0};
    ndbuf_view got = {0};
    ndbuf_exporter *exporter = NULL;
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL_RO);
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    wide_view(&view, device, "<f");
    ASSERT_OK(ndbuf_fill(&view, "abcd", 4, NULL, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    request.copy = NDBUF_COPY_IF_NEEDED;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_acquire(&got, exporter, &request, NULL), {
        assert_memory_equal(ndbuf_view_host_address(&got), "abcd", 4);
        ndbuf_view_release(&got);
    });
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&view);
    ndbuf_device_close(device);
    fake_assert_clean();
}

/* A view from a program part that has only the header. */
static void release_foreign(ndbuf_view *view)
{
    memset(view, 0, sizeof(*view));
}

static void test_importing_a_foreign_view(void **state)
{
    (void)state;
    static char bytes[64];
    static const int64_t shape[NDIM] = {1, 2, 1, 2, 1, 3, 1, 1, 1, 2};
    for (int64_t nth = 1;; nth++) {
        ndbuf_view out = {0};
        ndbuf_view foreign = {.abi_version = NDBUF_ABI_VERSION,
                              .device = {NDBUF_DEVICE_CPU, 0},
                              .handle = bytes,
                              .storage_nbytes = sizeof(bytes),
                              .nbytes = 48,
                              .itemsize = 2,
                              .ndim = NDIM,
                              .format = "T{b:a:b:b:}",
                              .shape = shape,
                              .release = release_foreign};
        test_alloc_fail_at(nth);
        ndbuf_status status = ndbuf_view_import(&out, &foreign, NULL);
        if (!test_alloc_fail_end()) {
            assert_int_equal(status, NDBUF_OK);
            assert_null(foreign.release);
            ndbuf_view_release(&out);
            break;
        }
        assert_int_equal(status, NDBUF_ERR_NOMEM);
        assert_ptr_equal(foreign.release, release_foreign); /* untouched */
        assert_int_equal(foreign.ndim, NDIM);
    }
}

/* What a copy goes between, and what that is good for. */
static const struct {
    const char *dst;
    const char *src;
    uint32_t copy_flags;
    uint32_t peer_flags;
    bool moves; /* within one storage */
    bool indirect;
} routes[] = {
    {"cpu", "cpu", 0, 0, false, false},
    {"cpu", "cpu", 0, 0, false, true},
    {"cpu", "cpu", 0, 0, true, false},
    {"fake:0", "cpu", NDBUF_CAN_COPY_BYTES, 0, false, false},
    {"fake:0", "cpu", NDBUF_CAN_COPY_BYTES, 0, false, true},
    {"cpu", "fake:0", NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT, 0, false, false},
    {"cpu", "fake:0", NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_STRIDED, 0, false, false},
    {"fake:0", "fake:0", NDBUF_CAN_COPY_BYTES, 0, true, false},
    {"fake:0", "fake:1", NDBUF_CAN_COPY_BYTES, 0, false, false},
    {"fake:0", "fake:1", NDBUF_CAN_COPY_BYTES, NDBUF_CAN_COPY_BYTES, false, false},
    {"null:0", "fake:0", NDBUF_CAN_COPY_BYTES, 0, false, false},
};

/* Random layouts, again with the same seed for each allocation that fails, until none does. A copy that ran out of
 * memory leaves the destination as it was; one that says it succeeded has done its work. */
static void try_route(size_t route, uint64_t seed, bool with_queue, bool through_plan)
{
    ndbuf_device *dst_device = NULL;
    ndbuf_device *src_device = NULL;
    ASSERT_OK(ndbuf_device_open(routes[route].dst, &dst_device, err));
    ASSERT_OK(ndbuf_device_open(routes[route].src, &src_device, err));
    fake_config config = {.copy_flags = routes[route].copy_flags,
                          .peer_flags = routes[route].peer_flags,
                          .memory_nbytes = (size_t)16 << 20};
    fake_configure(&config);
    for (int64_t nth = 1;; nth++) {
        test_random random = {seed};
        test_layout dst_layout;
        test_layout_random_shape(&random, 0, &dst_layout);
        test_layout src_layout = dst_layout;
        test_layout_random_strides(&random, 0, &dst_layout);
        test_layout_random_strides(&random, TEST_LAYOUT_OVERLAPS | (routes[route].indirect ? TEST_LAYOUT_INDIRECT : 0),
                                   &src_layout);
        size_t dst_nbytes = (size_t)dst_layout.nbytes;
        size_t src_nbytes = (size_t)src_layout.nbytes;
        if (routes[route].moves) {
            dst_nbytes = src_nbytes = dst_nbytes > src_nbytes ? dst_nbytes : src_nbytes;
        }
        char *start = malloc(dst_nbytes);
        char *expected = malloc(dst_nbytes);
        char *actual = malloc(dst_nbytes);
        char *src_bytes = malloc(src_nbytes);
        char *packed = malloc((size_t)(test_layout_nitems(&src_layout) * src_layout.itemsize) + 1);
        assert_true(start != NULL && expected != NULL && actual != NULL && src_bytes != NULL && packed != NULL);
        test_random_fill(&random, start, dst_nbytes);
        test_random_fill(&random, src_bytes, src_nbytes);

        ndbuf_storage *dst_storage = NULL;
        ndbuf_storage *src_storage = NULL;
        ndbuf_view dst = {0};
        ndbuf_view src = {0};
        ndbuf_queue *queue = NULL;
        ndbuf_copy_plan *plan = NULL;
        ASSERT_OK(ndbuf_storage_create(dst_device, dst_nbytes, &dst_storage, err));
        test_upload(&dst_storage->mem, 0, start, dst_nbytes);
        if (routes[route].moves) {
            memcpy(src_bytes, start, src_nbytes);
            src_storage = dst_storage;
            ndbuf_storage_retain(src_storage);
        } else if (src_device == ndbuf_device_cpu()) {
            test_layout_link(&src_layout, src_bytes);
            ASSERT_OK(ndbuf_storage_adopt(src_device, src_bytes, src_nbytes, 0, NULL, NULL, &src_storage, err));
        } else {
            ASSERT_OK(ndbuf_storage_create(src_device, src_nbytes, &src_storage, err));
            test_upload(&src_storage->mem, 0, src_bytes, src_nbytes);
        }
        test_layout_view(&dst_layout, dst_storage, &dst);
        test_layout_view(&src_layout, src_storage, &src);
        test_layout_pack(&src_layout, src_bytes, packed);
        memcpy(expected, start, dst_nbytes);
        test_layout_unpack(&dst_layout, start, packed, expected);
        if (with_queue) {
            ASSERT_OK(ndbuf_queue_create(nth % 2 == 0 ? dst_device : src_device, &queue, err));
        }

        ndbuf_error error = {0};
        test_alloc_fail_at(nth);
        ndbuf_status status;
        if (through_plan) {
            status = ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_EQUIV, 0, &plan, &error);
            if (status == NDBUF_OK) {
                status = ndbuf_copy_plan_run(plan, &dst, &src, queue, &error);
            }
        } else {
            status = ndbuf_copy(&dst, &src, queue, &error);
        }
        if (queue != NULL) {
            ndbuf_status wait_status = ndbuf_queue_wait(queue, status == NDBUF_OK ? &error : NULL);
            status = status == NDBUF_OK ? wait_status : status;
        }
        bool failed = test_alloc_fail_end();
        if (!failed || status != NDBUF_OK) {
            assert_int_equal(status, failed ? NDBUF_ERR_NOMEM : NDBUF_OK);
            assert_int_equal(error.status, status);
        }
        test_download(&dst_storage->mem, 0, actual, dst_nbytes);
        char what[100];
        snprintf(what, sizeof(what), "route %zu, seed %llu, allocation %lld, %s", route, (unsigned long long)seed,
                 (long long)nth, ndbuf_status_name(status));
        test_assert_bytes_equal(what, actual, status == NDBUF_OK ? expected : start, dst_nbytes);

        ndbuf_copy_plan_destroy(plan);
        ndbuf_view_release(&dst);
        ndbuf_view_release(&src);
        ndbuf_storage_release(dst_storage);
        ndbuf_storage_release(src_storage);
        ndbuf_queue_release(queue);
        free(start);
        free(expected);
        free(actual);
        free(src_bytes);
        free(packed);
        fake_assert_no_violation();
        if (!failed) {
            break;
        }
    }
    ndbuf_device_close(dst_device);
    ndbuf_device_close(src_device);
    fake_assert_clean();
    fake_reset();
}

static void try_routes(bool with_queue, bool through_plan)
{
    for (size_t route = 0; route < sizeof(routes) / sizeof(routes[0]); route++) {
        for (uint64_t seed = 1; seed <= 25; seed++) {
            try_route(route, seed, with_queue, through_plan);
        }
    }
}

static void test_copies(void **state)
{
    (void)state;
    try_routes(false, false);
}

static void test_copies_in_a_queue(void **state)
{
    (void)state;
    try_routes(true, false);
}

static void test_plans(void **state)
{
    (void)state;
    try_routes(false, true);
    try_routes(true, true);
}

static void test_fills(void **state)
{
    (void)state;
    static const uint32_t flags[] = {NDBUF_CAN_COPY_BYTES, NDBUF_CAN_COPY_BYTES | NDBUF_CAN_FILL};
    for (int i = 0; i < 8; i++) {
        ndbuf_device *device = NULL;
        ndbuf_queue *queue = NULL;
        fake_config config = {.copy_flags = flags[i % 2], .memory_nbytes = 1 << 20};
        fake_configure(&config);
        ASSERT_OK(ndbuf_device_open(i < 4 ? "fake:0" : "cpu", &device, err));
        if (i / 2 % 2 == 1) {
            ASSERT_OK(ndbuf_queue_create(device, &queue, err));
        }
        for (int64_t nth = 1;; nth++) {
            static const int64_t shape[2] = {7, 5};
            static const int64_t strides[2] = {30, -4};
            char start[256];
            char actual[256];
            ndbuf_view_spec spec = {.format = test_format(3), .ndim = 2, .shape = shape, .strides = strides};
            ndbuf_storage *storage = NULL;
            ndbuf_view view = {0};
            spec.byte_offset = 20;
            memset(start, '.', sizeof(start));
            ASSERT_OK(ndbuf_storage_create(device, sizeof(start), &storage, err));
            test_upload(&storage->mem, 0, start, sizeof(start));
            ASSERT_OK(ndbuf_view_init(&view, storage, &spec, err));
            test_alloc_fail_at(nth);
            ndbuf_status status = ndbuf_fill(&view, "xxx", 3, queue, NULL);
            if (queue != NULL) {
                ndbuf_status wait_status = ndbuf_queue_wait(queue, NULL);
                status = status == NDBUF_OK ? wait_status : status;
            }
            bool failed = test_alloc_fail_end();
            if (status == NDBUF_OK) {
                for (int k = 0; k < 35; k++) {
                    memset(start + 20 + k / 5 * 30 - k % 5 * 4, 'x', 3);
                }
            } else {
                assert_int_equal(status, NDBUF_ERR_NOMEM);
            }
            test_download(&storage->mem, 0, actual, sizeof(actual));
            test_assert_bytes_equal("fill", actual, start, sizeof(start));
            ndbuf_view_release(&view);
            ndbuf_storage_release(storage);
            ndbuf_format_release(spec.format);
            if (!failed) {
                assert_int_equal(status, NDBUF_OK);
                break;
            }
        }
        ndbuf_queue_release(queue);
        ndbuf_device_close(device);
        fake_assert_clean();
    }
    fake_reset();
}

int main(void)
{
    ndbuf_error error = {0};
    fake_register();
    if (null_backend_register(&error) != NDBUF_OK) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storages),
        cmocka_unit_test(test_adopted_memory_stays_the_callers_when_adopting_fails),
        cmocka_unit_test(test_mapped_files),
        cmocka_unit_test(test_devices_queues_and_events),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_new_views),
        cmocka_unit_test(test_derived_views),
        cmocka_unit_test(test_exporters),
        cmocka_unit_test(test_acquiring_from_another_device),
        cmocka_unit_test(test_importing_a_foreign_view),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_copies_in_a_queue),
        cmocka_unit_test(test_plans),
        cmocka_unit_test(test_fills),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
