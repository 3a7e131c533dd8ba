/* SPDX-License-Identifier: Apache-2.0 */
/* Kept plans run again without an allocation, in queues and without. Usage: test_copy_allocations [DEVICE [OTHER]]: on
 * the host and the fake devices, else on these. */
#include "tests/support/fake_device.h"
#include "tests/support/gate.h"
#include "tests/support/test.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "core/copy_plan.h"
#include "core/device_pool.h"
#include "core/host_alloc.h"

enum {
    NROWS = 16,
    NCOLUMNS = 64,
    NROUNDS = 20,
    MOST_CALLS = 2 * NROWS, /* of a plan that is tried */
    MANY = 8,               /* copies in flight at once */
    MANY_STAGED = 3,        /* staged ones in one box: no more buffers are kept */
    ALL_ROUTES = (2 << NDBUF_ROUTE_MAPPED) - 1,
    STAGED_ROUTES = 1 << NDBUF_ROUTE_STAGED | 1 << NDBUF_ROUTE_THROUGH_HOST
};

typedef enum side_kind { PACKED, ROWS, SPARSE, WIDE, POINTERS, KIND_COUNT } side_kind;

/* WIDE: packed numbers of 8 bytes, to be converted. POINTERS: rows behind pointers, on the host. */
static const struct {
    int64_t row_stride;
    int64_t item_stride;
    const char *format;
} kinds[KIND_COUNT] = {
    {NCOLUMNS * 4, 4, "<i"}, {NCOLUMNS * 8, 4, "<i"}, {NCOLUMNS * 8, 8, "<i"}, {NCOLUMNS * 8, 8, "<q"}, {8, 4, "<i"}};

/* -- what is allocated -- */

static atomic_int nallocations;

static bool refuse_allocation(void)
{
    atomic_fetch_add(&nallocations, 1);
    return true;
}

static void forbid_allocations(void)
{
    ndbuf__set_alloc_fault(refuse_allocation);
}

static void allow_allocations(void)
{
    ndbuf__set_alloc_fault(NULL);
}

/* -- views -- */

static int32_t letter(int64_t row, int64_t column)
{
    return (int32_t)(row * 1000 + column);
}

static void make_view(ndbuf_device *where, side_kind kind, ndbuf_view *out_view)
{
    static const int64_t shape[2] = {NROWS, NCOLUMNS};
    static const int64_t suboffsets[2] = {0, -1};
    const int64_t strides[2] = {kinds[kind].row_stride, kinds[kind].item_stride};
    ndbuf_format *format = test_parse(kinds[kind].format);
    ndbuf_storage *storage = NULL;
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .format = format};
    ASSERT_OK(ndbuf_storage_create(where, (size_t)NROWS * NCOLUMNS * 8 + NROWS * sizeof(char *), &storage, err));
    if (kind == POINTERS) {
        char **rows = ndbuf_storage_host_address(storage);
        for (int64_t i = 0; i < NROWS; i++) {
            rows[i] = (char *)(rows + NROWS) + (size_t)i * NCOLUMNS * 4;
        }
        spec.suboffsets = suboffsets;
    }
    ASSERT_OK(ndbuf_view_init(out_view, storage, &spec, err));
    ndbuf_storage_release(storage);
    ndbuf_format_release(format);
}

/* Sets all items, by way of the host; plain: to 0. */
static void fill(const ndbuf_view *view, bool plain)
{
    ndbuf_view packed = {0};
    make_view(ndbuf_device_cpu(), PACKED, &packed);
    int32_t *items = ndbuf_view_host_address(&packed);
    for (int64_t i = 0; i < NROWS * NCOLUMNS; i++) {
        items[i] = plain ? 0 : letter(i / NCOLUMNS, i % NCOLUMNS);
    }
    ASSERT_OK(ndbuf_copy_cast(view, &packed, NDBUF_CASTING_SAME_KIND, 0, NULL, err));
    ndbuf_view_release(&packed);
}

static void check(const ndbuf_view *view)
{
    ndbuf_view packed = {0};
    make_view(ndbuf_device_cpu(), PACKED, &packed);
    ASSERT_OK(ndbuf_copy_cast(&packed, view, NDBUF_CASTING_SAME_KIND, 0, NULL, err));
    const int32_t *items = ndbuf_view_host_address(&packed);
    for (int64_t i = 0; i < NROWS * NCOLUMNS; i++) {
        assert_int_equal(items[i], letter(i / NCOLUMNS, i % NCOLUMNS));
    }
    ndbuf_view_release(&packed);
}

/* -- plans -- */

typedef struct plan_case {
    ndbuf_view dst;
    ndbuf_view src;
    ndbuf_copy_plan *plan;
    bool is_asynchronous;
    int ncopies; /* at most in flight */
} plan_case;

static void case_close(plan_case *self)
{
    ndbuf_copy_plan_destroy(self->plan);
    ndbuf_view_release(&self->dst);
    ndbuf_view_release(&self->src);
}

/* False: there is no such plan. */
static bool case_open(plan_case *self, ndbuf_device *const sides[2], const side_kind sides_kinds[2], ndbuf_route route,
                      bool in_boxes)
{
    *self = (plan_case){.ncopies = MANY};
    make_view(sides[0], sides_kinds[0], &self->dst);
    make_view(sides[1], sides_kinds[1], &self->src);
    uint32_t open = 1u << route;
    ndbuf__closed_routes = ALL_ROUTES & ~((open & STAGED_ROUTES) != 0 ? (uint32_t)STAGED_ROUTES : open);
    ndbuf__staging_nbytes = in_boxes ? 512 : NDBUF__STAGING_NBYTES;
    ndbuf_status status = ndbuf_copy_plan_create(&self->dst, &self->src, NDBUF_CASTING_SAME_KIND, 0, &self->plan, NULL);
    ndbuf__closed_routes = 0;
    ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
    if (status == NDBUF_OK) {
        ndbuf_copy_plan_info info;
        ndbuf_copy_plan_info_get(self->plan, &info);
        bool is_staged = (open & STAGED_ROUTES) != 0;
        if (info.route == (int32_t)route && info.ncalls <= MOST_CALLS && (is_staged || !in_boxes)) {
            self->is_asynchronous = info.asynchronous != 0;
            self->ncopies = !info.asynchronous || in_boxes ? 1 : is_staged ? MANY_STAGED : MANY;
            return true;
        }
    } else {
        assert_int_equal(status, NDBUF_ERR_UNSUPPORTED);
    }
    case_close(self);
    return false;
}

/* Copies, each behind an event that is recorded before it. */
static void run_in_queue(const plan_case *self, ndbuf_queue *queue, int ncopies)
{
    for (int i = 0; i < ncopies; i++) {
        ndbuf_event *event = NULL;
        ASSERT_OK(ndbuf_copy_plan_run(self->plan, &self->dst, &self->src, queue, err));
        ASSERT_OK(ndbuf_queue_record(queue, &event, err));
        ASSERT_OK(ndbuf_queue_wait_event(queue, event, err));
        ndbuf_event_release(event);
    }
}

static ndbuf_status do_nothing(void *context, ndbuf_error *err)
{
    (void)context, (void)err;
    return NDBUF_OK;
}

/* Closes a gate in a queue. False: its work is done in the calling thread, as a fake device's, or the host's without a
 * queue. */
static bool hold(ndbuf_queue *queue, test_gate *gate)
{
    if (strcmp(queue->device->ops->name, "fake") == 0 || queue == ndbuf_device_cpu()->default_queue) {
        return false;
    }
    ASSERT_OK(queue->device->ops->queue_host_call(queue, test_gate_pass, gate, err));
    return true;
}

/* How many steps of a copy are in flight at once depends on who is faster, so a queue is given more than that. */
static void warm_up_queue(ndbuf_queue *queue)
{
    test_gate gate;
    const ndbuf_backend_ops *ops = queue->device->ops;
    ndbuf_event *events[MOST_CALLS];
    test_gate_init(&gate);
    if (hold(queue, &gate)) {
        for (int i = 0; i < MOST_CALLS; i++) {
            ASSERT_OK(ops->queue_host_call(queue, do_nothing, NULL, err));
            ASSERT_OK(ops->event_record(queue, &events[i], err));
        }
        test_gate_open(&gate);
        ASSERT_OK(ops->queue_wait(queue, err));
        for (int i = 0; i < MOST_CALLS; i++) {
            ops->event_destroy(events[i]);
        }
    }
    test_gate_clear(&gate);
}

/* The queues of a device that copies use beside the caller's. */
static void warm_up_device(ndbuf_device *device)
{
    ndbuf_queue *helper = NULL;
    warm_up_queue(device->default_queue);
    ASSERT_OK(ndbuf__helper_queue_take(device, &helper, err));
    warm_up_queue(helper);
    ndbuf__helper_queue_give(helper);
}

static void warm_up(const plan_case *self, ndbuf_queue *queue)
{
    test_gate gate;
    test_gate_init(&gate);
    warm_up_queue(queue);
    if (self->is_asynchronous) {
        hold(queue, &gate);
    }
    run_in_queue(self, queue, self->ncopies);
    test_gate_open(&gate);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    test_gate_clear(&gate);
}

static void try_queue(const plan_case *self, ndbuf_device *device)
{
    ndbuf_queue *queue = NULL;
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    warm_up(self, queue);
    check(&self->dst);
    for (int round = 0; round < NROUNDS; round++) {
        fill(&self->dst, true);
        forbid_allocations();
        run_in_queue(self, queue, round % 2 == 0 ? 1 : self->ncopies);
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        allow_allocations();
        assert_int_equal(atomic_load(&nallocations), 0);
        check(&self->dst);
    }
    ndbuf_queue_release(queue);
}

static void try_without_queue(const plan_case *self)
{
    ASSERT_OK(ndbuf_copy_plan_run(self->plan, &self->dst, &self->src, NULL, err));
    fill(&self->dst, true);
    forbid_allocations();
    for (int round = 0; round < NROUNDS; round++) {
        ASSERT_OK(ndbuf_copy_plan_run(self->plan, &self->dst, &self->src, NULL, err));
    }
    allow_allocations();
    assert_int_equal(atomic_load(&nallocations), 0);
    check(&self->dst);
}

/* Bits (1u << route) of the routes that were tried. */
static uint32_t try_kinds(ndbuf_device *const sides[2], const side_kind sides_kinds[2])
{
    uint32_t tried = 0;
    for (int i = 0; i < 2 * (NDBUF_ROUTE_MAPPED + 1); i++) {
        plan_case self;
        ndbuf_route route = (ndbuf_route)(i / 2);
        if (!case_open(&self, sides, sides_kinds, route, i % 2 == 1)) {
            continue;
        }
        fill(&self.src, false);
        try_without_queue(&self);
        try_queue(&self, sides[0]);
        if (sides[1] != sides[0]) {
            try_queue(&self, sides[1]);
        }
        case_close(&self);
        tried |= 1u << route;
    }
    return tried;
}

static uint32_t try_devices(ndbuf_device *dst, ndbuf_device *src)
{
    static const side_kind pairs[][2] = {{PACKED, PACKED}, {ROWS, PACKED}, {SPARSE, PACKED},   {PACKED, SPARSE},
                                         {WIDE, SPARSE},   {PACKED, WIDE}, {SPARSE, POINTERS}, {POINTERS, ROWS}};
    ndbuf_device *const sides[2] = {dst, src};
    uint32_t tried = 0;
    atomic_store(&nallocations, 0);
    warm_up_device(dst);
    warm_up_device(src);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        bool fits = true;
        for (int side = 0; side < 2; side++) {
            fits = fits && (pairs[i][side] != POINTERS || sides[side] == ndbuf_device_cpu());
        }
        tried |= fits ? try_kinds(sides, pairs[i]) : 0;
    }
    return tried;
}

/* To, from and within a device, and between two. */
static uint32_t try_all(ndbuf_device *device, ndbuf_device *other)
{
    ndbuf_device *host = ndbuf_device_cpu();
    uint32_t tried = try_devices(device, host) | try_devices(host, device) | try_devices(device, device);
    if (other != NULL) {
        tried |= try_devices(device, other) | try_devices(other, device);
    }
    return tried;
}

/* -- devices -- */

static ndbuf_device *given[2];

static void test_plans_of_given_devices_run_again_without_an_allocation(void **state)
{
    (void)state;
    if (given[0] == NULL) {
        skip();
    }
    uint32_t tried = try_all(given[0], given[1]);
    assert_true((tried & 1u << NDBUF_ROUTE_BYTES) != 0);
    assert_true((tried & 1u << NDBUF_ROUTE_STAGED) != 0);
}

static void test_plans_of_the_host_run_again_without_an_allocation(void **state)
{
    (void)state;
    if (given[0] != NULL) {
        skip();
    }
    uint32_t tried = try_devices(ndbuf_device_cpu(), ndbuf_device_cpu());
    assert_int_equal(tried, 1u << NDBUF_ROUTE_BYTES | 1u << NDBUF_ROUTE_STRIDED);
}

/* The fake devices with and without host functions, and with memory that the host may map. */
static void test_plans_of_fake_devices_run_again_without_an_allocation(void **state)
{
    (void)state;
    static const uint32_t queue_flags[] = {0, NDBUF_QUEUE_NO_HOST_THREAD};
    static const uint32_t copy_flags[] = {NDBUF_CAN_COPY_BYTES | NDBUF_CAN_COPY_RECT | NDBUF_CAN_COPY_STRIDED |
                                              NDBUF_CAN_CONVERT,
                                          NDBUF_CAN_COPY_BYTES | NDBUF_CAN_MAP};
    uint32_t tried = 0;
    if (given[0] != NULL) {
        skip();
    }
    for (int i = 0; i < 4; i++) {
        ndbuf_device *device = NULL;
        ndbuf_device *other = NULL;
        fake_config config = fake_config_default;
        config.queue_flags = queue_flags[i / 2];
        config.copy_flags = copy_flags[i % 2];
        config.peer_flags = i % 2 == 0 ? config.copy_flags & ~(uint32_t)NDBUF_CAN_CONVERT : 0;
        fake_configure(&config);
        ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
        ASSERT_OK(ndbuf_device_open("fake:1", &other, err));
        tried |= try_all(device, other);
        ndbuf_device_close(device);
        ndbuf_device_close(other);
        fake_assert_clean();
        fake_reset();
    }
    assert_int_equal(tried, ALL_ROUTES & ~(1u << NDBUF_ROUTE_NONE));
}

/* Records that no route takes whole: one part after the other. */
static void test_plans_of_parts_run_again_without_an_allocation(void **state)
{
    (void)state;
    static const int64_t extent = 100;
    static const char *const texts[2] = {"T{<q:a:<f:b:}", "T{<i:a:<h:b:}"};
    fake_config config = fake_config_default;
    ndbuf_device *device = NULL;
    ndbuf_view host = {0};
    plan_case self = {.ncopies = 2};
    if (given[0] != NULL) {
        skip();
    }
    config.copy_flags |= NDBUF_CAN_CONVERT;
    fake_configure(&config);
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    for (int i = 0; i < 2; i++) {
        ndbuf_format *format = test_parse(texts[i]);
        ASSERT_OK(ndbuf_view_create(i == 0 ? &self.dst : &self.src, device, format, 1, &extent, err));
        ASSERT_OK(i == 0 ? NDBUF_OK : ndbuf_view_create(&host, ndbuf_device_cpu(), format, 1, &extent, err));
        ndbuf_format_release(format);
    }
    memset(ndbuf_view_host_address(&host), 0, (size_t)host.nbytes);
    ASSERT_OK(ndbuf_copy(&self.src, &host, NULL, err));
    ndbuf__closed_routes = ALL_ROUTES & ~(1u << NDBUF_ROUTE_STRIDED);
    ASSERT_OK(ndbuf_copy_plan_create(&self.dst, &self.src, NDBUF_CASTING_UNSAFE, 0, &self.plan, err));
    ndbuf__closed_routes = 0;
    ndbuf_copy_plan_info info;
    ndbuf_copy_plan_info_get(self.plan, &info);
    assert_int_equal(info.nparts, 2);
    ndbuf_queue *queue = NULL;
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    for (int round = 0; round < NROUNDS; round++) {
        if (round > 0) {
            forbid_allocations();
        }
        ASSERT_OK(ndbuf_copy_plan_run(self.plan, &self.dst, &self.src, NULL, err));
        run_in_queue(&self, queue, self.ncopies);
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        allow_allocations();
    }
    assert_int_equal(atomic_load(&nallocations), 0);
    ndbuf_queue_release(queue);
    case_close(&self);
    ndbuf_view_release(&host);
    ndbuf_device_close(device);
    fake_assert_clean();
    fake_reset();
}

/* 0; 1; TEST_EXIT_SKIPPED: this machine has no such device. */
static int open_devices(int argc, char **argv)
{
    fake_register();
    for (int i = 1; i < argc && i <= 2; i++) {
        ndbuf_error error = {0};
        ndbuf_status status = ndbuf_device_open(argv[i], &given[i - 1], &error);
        if (status != NDBUF_OK) {
            fprintf(stderr, "%s cannot be opened: %s\n", argv[i], error.message);
            return status == NDBUF_ERR_UNAVAILABLE ? TEST_EXIT_SKIPPED : 1;
        }
    }
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    ndbuf_device_close(given[0]);
    ndbuf_device_close(given[1]);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plans_of_given_devices_run_again_without_an_allocation),
        cmocka_unit_test(test_plans_of_the_host_run_again_without_an_allocation),
        cmocka_unit_test(test_plans_of_fake_devices_run_again_without_an_allocation),
        cmocka_unit_test(test_plans_of_parts_run_again_without_an_allocation),
    };
    int result = open_devices(argc, argv);
    return result != 0 ? result : cmocka_run_group_tests(tests, NULL, close_devices);
}
