/* SPDX-License-Identifier: Apache-2.0 */
/* Views and exporters that do not come from the library. */
#include "tests/support/gate.h"
#include "tests/support/test.h"

#include "ndbuf/backend.h"

#include "core/host_alloc.h"
#include "core/sync.h"

/* One that answers with a prepared view, and counts the releases. */
typedef struct foreign_exporter {
    ndbuf_exporter base;
    ndbuf_view answer;
    int nreleased;
} foreign_exporter;

static foreign_exporter *releasing;

static void foreign_release(ndbuf_view *view)
{
    releasing->nreleased++;
    view->release = NULL;
}

static ndbuf_status foreign_acquire(ndbuf_exporter *exporter, const ndbuf_request *request, ndbuf_view *out_view,
                                    ndbuf_error *err)
{
    (void)request, (void)err;
    foreign_exporter *self = (foreign_exporter *)exporter;
    *out_view = self->answer; /* it does not point into itself */
    return NDBUF_OK;
}

static _Alignas(8) char foreign_memory[24];
static const int64_t shape23[2] = {2, 3};
static const int64_t foreign_strides[2] = {12, 4};

static void foreign_init(foreign_exporter *self)
{
    *self = (foreign_exporter){
        .base = {.abi_version = NDBUF_ABI_VERSION, .acquire = foreign_acquire},
        .answer = {.abi_version = NDBUF_ABI_VERSION,
                   .device = {NDBUF_DEVICE_CPU, 0},
                   .handle = foreign_memory,
                   .storage_nbytes = 24,
                   .nbytes = 24,
                   .itemsize = 4,
                   .ndim = 2,
                   .format = "i",
                   .shape = shape23,
                   .strides = foreign_strides,
                   .release = foreign_release},
    };
    releasing = self;
}

static void test_a_foreign_view_is_adopted_and_released_once(void **state)
{
    (void)state;
    foreign_exporter exporter;
    foreign_init(&exporter);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    ndbuf_view view = {0};
    ndbuf_view part = {0};
    ASSERT_OK(ndbuf_view_acquire(&view, &exporter.base, &request, err));
    assert_ptr_equal(ndbuf_view_host_address(&view), foreign_memory);
    ASSERT_OK(ndbuf_view_index(&view, 0, 1, &part, err));
    ndbuf_view_release(&view);
    assert_int_equal(exporter.nreleased, 0);
    ndbuf_view_release(&part);
    assert_int_equal(exporter.nreleased, 1);
}

/* A part without the library may hand on a reference that it got from it: that alone makes no view the library's. */
static void test_a_foreign_view_may_hold_an_owner_of_the_library(void **state)
{
    (void)state;
    ndbuf_view held = {0};
    ndbuf_view view = {0};
    ndbuf_view part = {0};
    ASSERT_OK(ndbuf_view_create(&held, ndbuf_device_cpu(), NULL, 1, (const int64_t[]){24}, err));
    foreign_exporter exporter;
    foreign_init(&exporter);
    exporter.answer.owner = held.owner;
    exporter.answer.handle = held.handle;
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    ASSERT_FAILS(NDBUF_ERR_ABI, "import it first", ndbuf_view_index(&exporter.answer, 0, 1, &part, err));
    assert_null(ndbuf_view_storage(&exporter.answer));
    ASSERT_OK(ndbuf_view_acquire(&view, &exporter.base, &request, err));
    ASSERT_OK(ndbuf_view_index(&view, 0, 1, &part, err));
    assert_ptr_equal(ndbuf_view_host_address(&part), (char *)held.handle + 12);
    ndbuf_view_release(&view);
    ndbuf_view_release(&part);
    assert_int_equal(exporter.nreleased, 1);
    ndbuf_view_release(&held);
}

static void test_a_broken_answer_is_refused_and_released(void **state)
{
    (void)state;
    static const int64_t huge[2] = {INT64_MAX, 3};
    static const int64_t negative[2] = {2, -3};
    const struct {
        const char *text;
        ndbuf_status status;
        uint32_t flags;
        ndbuf_view change; /* fields that are not 0 replace those of the good answer */
    } cases[] = {
        {"read-only", NDBUF_ERR_INVALID, NDBUF_REQUEST_FULL, {.flags = NDBUF_VIEW_READONLY}},
        {"a copy was not allowed", NDBUF_ERR_INVALID, NDBUF_REQUEST_FULL, {.flags = NDBUF_VIEW_COPIED}},
        {"ABI 9", NDBUF_ERR_ABI, NDBUF_REQUEST_FULL, {.abi_version = 9}},
        {"ndim 65", NDBUF_ERR_INVALID, NDBUF_REQUEST_FULL, {.ndim = 65}},
        {"[1, 25)", NDBUF_ERR_BOUNDS, NDBUF_REQUEST_FULL, {.byte_offset = 1}},
        {"not accepted", NDBUF_ERR_INVALID, NDBUF_REQUEST_FULL, {.device = {NDBUF_DEVICE_OPENCL, 0}}},
        {"FORMAT was not asked for", NDBUF_ERR_INVALID, NDBUF_REQUEST_STRIDED, {.itemsize = 4}},
        {"says 23 bytes", NDBUF_ERR_INVALID, NDBUF_REQUEST_FULL, {.nbytes = 23}},
        {"", NDBUF_ERR_OVERFLOW, NDBUF_REQUEST_FULL, {.shape = huge}},
        {"-3", NDBUF_ERR_INVALID, NDBUF_REQUEST_FULL, {.shape = negative}},
        {"at 0", NDBUF_ERR_FORMAT, NDBUF_REQUEST_FULL, {.format = "~"}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        foreign_exporter exporter;
        foreign_init(&exporter);
        const ndbuf_view *change = &cases[i].change;
        ndbuf_view *answer = &exporter.answer;
        answer->flags |= change->flags;
        answer->abi_version = change->abi_version != 0 ? change->abi_version : answer->abi_version;
        answer->ndim = change->ndim != 0 ? change->ndim : answer->ndim;
        answer->byte_offset = change->byte_offset;
        answer->device = change->device.type != 0 ? change->device : answer->device;
        answer->nbytes = change->nbytes != 0 ? change->nbytes : answer->nbytes;
        answer->shape = change->shape != NULL ? change->shape : answer->shape;
        answer->format = change->format != NULL ? change->format : answer->format;
        ndbuf_request request = NDBUF_REQUEST_INIT(cases[i].flags);
        ndbuf_view view = {0};
        ASSERT_FAILS(cases[i].status, cases[i].text, ndbuf_view_acquire(&view, &exporter.base, &request, err));
        assert_null(view.release);
        assert_int_equal(exporter.nreleased, 1);
    }
}

/* The arrays that an answer shows are those that were asked for, no more and no less. */
static void test_an_answer_that_does_not_fit_the_request_is_refused(void **state)
{
    (void)state;
    static const int64_t reversed[2] = {4, 8};
    static const int64_t apart[2] = {16, 4};
    static const int64_t suboffsets[2] = {0, -1};
    static char event; /* nobody looks into it */
    const struct {
        const char *text;
        uint32_t flags;
        int32_t copy;
        int64_t alignment;
        const char *format;
        const int64_t *shape;
        const int64_t *strides;
        const int64_t *suboffsets;
        void *ready;
    } cases[] = {
        {.text = "FORMAT was asked for", .flags = NDBUF_REQUEST_RECORDS, .shape = shape23, .strides = foreign_strides},
        {.text = "ND and the view's shape", .flags = NDBUF_REQUEST_SIMPLE, .shape = shape23},
        {.text = "ND and the view's shape", .flags = NDBUF_REQUEST_ND},
        {.text = "STRIDES and the view's", .flags = NDBUF_REQUEST_ND, .shape = shape23, .strides = foreign_strides},
        {.text = "STRIDES and the view's", .flags = NDBUF_REQUEST_STRIDES, .shape = shape23},
        {.text = "strides but no shape", .flags = NDBUF_REQUEST_SIMPLE, .strides = foreign_strides},
        {.text = "INDIRECT is not asked for",
         .flags = NDBUF_REQUEST_STRIDES,
         .shape = shape23,
         .strides = foreign_strides,
         .suboffsets = suboffsets},
        {.text = "C_CONTIGUOUS", .flags = NDBUF_REQUEST_C_CONTIGUOUS, .shape = shape23, .strides = reversed},
        {.text = "F_CONTIGUOUS", .flags = NDBUF_REQUEST_F_CONTIGUOUS, .shape = shape23, .strides = foreign_strides},
        {.text = "ANY_CONTIGUOUS", .flags = NDBUF_REQUEST_ANY_CONTIGUOUS, .shape = shape23, .strides = apart},
        {.text = "not aligned to 16",
         .flags = NDBUF_REQUEST_STRIDES,
         .alignment = 16,
         .shape = shape23,
         .strides = foreign_strides},
        {.text = "a copy was asked for",
         .flags = NDBUF_REQUEST_STRIDES,
         .copy = NDBUF_COPY_ALWAYS,
         .shape = shape23,
         .strides = foreign_strides},
        {.text = "READY_EVENT",
         .flags = NDBUF_REQUEST_STRIDES,
         .shape = shape23,
         .strides = foreign_strides,
         .ready = &event},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        foreign_exporter exporter;
        foreign_init(&exporter);
        exporter.answer.format = cases[i].format;
        exporter.answer.shape = cases[i].shape;
        exporter.answer.strides = cases[i].strides;
        exporter.answer.suboffsets = cases[i].suboffsets;
        exporter.answer.ready = cases[i].ready;
        /* One of two neighbours is not aligned to twice their distance. */
        exporter.answer.byte_offset = cases[i].alignment != 0 && (uintptr_t)foreign_memory % 16 == 0 ? 8 : 0;
        ndbuf_request request = NDBUF_REQUEST_INIT(cases[i].flags);
        request.copy = cases[i].copy;
        request.alignment = cases[i].alignment;
        ndbuf_view view = {0};
        ASSERT_FAILS(NDBUF_ERR_INVALID, cases[i].text, ndbuf_view_acquire(&view, &exporter.base, &request, err));
        assert_null(view.release);
        assert_int_equal(exporter.nreleased, 1);
    }
}

static void test_a_copy_of_a_foreign_exporter_stays_one(void **state)
{
    (void)state;
    for (int32_t policy = NDBUF_COPY_IF_NEEDED; policy <= NDBUF_COPY_ALWAYS; policy++) {
        foreign_exporter exporter;
        foreign_init(&exporter);
        exporter.answer.flags = NDBUF_VIEW_COPIED | NDBUF_VIEW_READONLY;
        ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL_RO);
        request.copy = policy;
        ndbuf_view view = {0};
        ASSERT_OK(ndbuf_view_acquire(&view, &exporter.base, &request, err));
        assert_int_equal(view.flags, NDBUF_VIEW_COPIED | NDBUF_VIEW_READONLY);
        ndbuf_view_release(&view);
        assert_int_equal(exporter.nreleased, 1);
    }
}

/* Without a shape, items lie side by side along one axis, whatever ndim was; without a format, they are opaque. */
static void test_plain_bytes_of_a_foreign_exporter_are_items_along_one_axis(void **state)
{
    (void)state;
    static const int64_t nbytes[] = {24, 23, -4, 0};
    static const int64_t itemsizes[] = {4, 4, 4, 4};
    for (size_t i = 0; i < sizeof(nbytes) / sizeof(nbytes[0]); i++) {
        foreign_exporter exporter;
        foreign_init(&exporter);
        exporter.answer.format = NULL;
        exporter.answer.shape = exporter.answer.strides = NULL;
        exporter.answer.nbytes = nbytes[i];
        exporter.answer.itemsize = itemsizes[i];
        ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_SIMPLE);
        ndbuf_view view = {0};
        ndbuf_view part = {0};
        if (nbytes[i] < 0 || nbytes[i] % itemsizes[i] != 0) {
            ASSERT_FAILS(NDBUF_ERR_INVALID, "bytes in items of 4",
                         ndbuf_view_acquire(&view, &exporter.base, &request, err));
            assert_int_equal(exporter.nreleased, 1);
            continue;
        }
        ASSERT_OK(ndbuf_view_acquire(&view, &exporter.base, &request, err));
        assert_int_equal(view.nbytes, nbytes[i]);
        assert_null(view.shape);
        ASSERT_OK(ndbuf_view_copy(&part, &view, err)); /* which shows all */
        assert_int_equal(part.ndim, 1);
        assert_int_equal(part.shape[0], nbytes[i] / 4);
        assert_int_equal(part.itemsize, 4);
        ndbuf_view_release(&part);
        ndbuf_view_release(&view);
        assert_int_equal(exporter.nreleased, 1);
    }
}

static ndbuf_status fail_step(void *context, ndbuf_error *err)
{
    (void)context;
    return ndbuf_fail(err, NDBUF_ERR_DEVICE, "the step failed");
}

/* The event of another library cannot be kept: it is waited for, and what it tells is told. */
static void test_the_event_of_a_foreign_view_is_waited_for(void **state)
{
    (void)state;
    for (int fails = 0; fails < 2; fails++) {
        test_gate gate;
        ndbuf__thread opener;
        ndbuf_queue *queue = NULL;
        ndbuf_event *event = NULL;
        foreign_exporter exporter;
        ndbuf_view view = {0};
        ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL | NDBUF_REQUEST_READY_EVENT);
        int32_t complete = 0;
        test_gate_init(&gate);
        ASSERT_OK(ndbuf_queue_create(ndbuf_device_cpu(), &queue, err));
        const ndbuf_backend_ops *ops = queue->device->ops;
        ASSERT_OK(ops->queue_host_call(queue, test_gate_pass, &gate, err));
        if (fails) {
            ASSERT_OK(ops->queue_host_call(queue, fail_step, NULL, err));
        }
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        foreign_init(&exporter);
        exporter.answer.ready = event;
        assert_true(ndbuf__thread_start(&opener, test_gate_open_later, &gate));
        if (fails) {
            ASSERT_FAILS(NDBUF_ERR_DEVICE, "the step failed", ndbuf_view_acquire(&view, &exporter.base, &request, err));
            assert_null(view.release);
        } else {
            ASSERT_OK(ndbuf_view_acquire(&view, &exporter.base, &request, err));
            ASSERT_OK(ndbuf_event_query(event, &complete, err));
            assert_true(complete);
            assert_null(view.ready);
            ndbuf_view_release(&view);
        }
        assert_int_equal(exporter.nreleased, 1);
        ndbuf__thread_join(opener);
        ndbuf_event_release(event);
        ndbuf_queue_release(queue);
        test_gate_clear(&gate);
    }
}

static void test_a_view_that_cannot_be_is_not_imported(void **state)
{
    (void)state;
    foreign_exporter exporter;
    ndbuf_view view = {0};
    foreign_init(&exporter);
    exporter.answer.itemsize = -4;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "itemsize -4", ndbuf_view_import(&view, &exporter.answer, err));
    foreign_init(&exporter);
    exporter.answer.storage_nbytes = -24;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "storage of -24 bytes", ndbuf_view_import(&view, &exporter.answer, err));
    foreign_init(&exporter);
    exporter.answer.ndim = -1;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "ndim -1", ndbuf_view_import(&view, &exporter.answer, err));
    foreign_init(&exporter);
    exporter.answer.itemsize = 0;
    exporter.answer.shape = exporter.answer.strides = NULL;
    exporter.answer.format = NULL;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "24 bytes in items of 0", ndbuf_view_import(&view, &exporter.answer, err));
    assert_int_equal(exporter.nreleased, 0);
    exporter.answer.release = NULL;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no view", ndbuf_view_import(&view, &exporter.answer, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no view", ndbuf_view_import(&view, NULL, err));
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no release function", ndbuf_view_acquire(&view, &exporter.base, &request, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no exporter", ndbuf_view_acquire(&view, NULL, &request, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no request", ndbuf_view_acquire(&view, &exporter.base, NULL, err));
    exporter.base.abi_version = 9;
    ASSERT_FAILS(NDBUF_ERR_ABI, "ABI 9", ndbuf_view_acquire(&view, &exporter.base, &request, err));
    assert_null(view.release);
}

/* A view that the library made needs no adoption: it moves. */
static void test_a_view_of_the_library_is_imported_as_it_is(void **state)
{
    (void)state;
    ndbuf_view own = {0};
    ndbuf_view view = {0};
    ASSERT_OK(ndbuf_view_create(&own, ndbuf_device_cpu(), NULL, 2, shape23, err));
    const ndbuf_storage *storage = ndbuf_view_storage(&own);
    ASSERT_OK(ndbuf_view_import(&view, &own, err));
    assert_null(own.release);
    assert_ptr_equal(ndbuf_view_storage(&view), storage);
    assert_int_equal(view.shape[1], 3);
    ndbuf_view_release(&view);
}

static void test_a_failed_import_leaves_the_foreign_view_to_its_holder(void **state)
{
    (void)state;
    foreign_exporter exporter;
    foreign_init(&exporter);
    ndbuf_view foreign = exporter.answer;
    foreign.byte_offset = 100;
    ndbuf_view view = {0};
    ASSERT_FAILS(NDBUF_ERR_BOUNDS, "24", ndbuf_view_import(&view, &foreign, err));
    assert_int_equal(exporter.nreleased, 0);
    foreign.byte_offset = 0;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_import(&view, &foreign, NULL), (void)0);
    assert_null(foreign.release);
    assert_int_equal(exporter.nreleased, 0);
    ndbuf_view_release(&view);
    assert_int_equal(exporter.nreleased, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_foreign_view_is_adopted_and_released_once),
        cmocka_unit_test(test_a_foreign_view_may_hold_an_owner_of_the_library),
        cmocka_unit_test(test_a_broken_answer_is_refused_and_released),
        cmocka_unit_test(test_an_answer_that_does_not_fit_the_request_is_refused),
        cmocka_unit_test(test_a_copy_of_a_foreign_exporter_stays_one),
        cmocka_unit_test(test_plain_bytes_of_a_foreign_exporter_are_items_along_one_axis),
        cmocka_unit_test(test_the_event_of_a_foreign_view_is_waited_for),
        cmocka_unit_test(test_a_view_that_cannot_be_is_not_imported),
        cmocka_unit_test(test_a_view_of_the_library_is_imported_as_it_is),
        cmocka_unit_test(test_a_failed_import_leaves_the_foreign_view_to_its_holder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
