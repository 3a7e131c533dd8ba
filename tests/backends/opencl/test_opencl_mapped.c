/* SPDX-License-Identifier: Apache-2.0 */
/* Copies through the core, by each route: in mapped memory, as a command of the driver's and with a thread of ours, and
 * what every route costs: one wait, and no allocation when a plan is run again. */
#include "tests/backends/opencl/opencl_fixture.h"

#include <stdatomic.h>
#include <string.h>

#include "core/copy_plan.h"
#include "core/copy_stage.h"
#include "core/device_core.h"
#include "core/host_alloc.h"
#include "core/storage_core.h"
#include "tests/support/device_copy.h"

#define ALL_ROUTES                                                                                                     \
    (1u << NDBUF_ROUTE_BYTES | 1u << NDBUF_ROUTE_RECT | 1u << NDBUF_ROUTE_STRIDED | 1u << NDBUF_ROUTE_STAGED |         \
     1u << NDBUF_ROUTE_MAPPED)

static ndbuf_device *device;

/* -- what the driver is asked, through the table -- */

static opencl_api counting;
static atomic_int nwaits;

/* A call that waits: whichever way it does so. */
static cl_int count_finish(cl_command_queue queue)
{
    atomic_fetch_add(&nwaits, 1);
    return opencl_fixture_api()->clFinish(queue);
}

static cl_int count_wait_for_events(cl_uint count, const cl_event *events)
{
    atomic_fetch_add(&nwaits, 1);
    return opencl_fixture_api()->clWaitForEvents(count, events);
}

static void *count_map(cl_command_queue queue, cl_mem mem, cl_bool blocking, cl_map_flags flags, size_t offset,
                       size_t nbytes, cl_uint n, const cl_event *events, cl_event *done, cl_int *code)
{
    atomic_fetch_add(&nwaits, blocking ? 1 : 0);
    return opencl_fixture_api()->clEnqueueMapBuffer(queue, mem, blocking, flags, offset, nbytes, n, events, done, code);
}

static opencl_device *own(void)
{
    return (opencl_device *)device;
}

/* Whether the route is there at all: a discrete device has no memory that the host could reach. */
static bool has_route(ndbuf_route route)
{
    return route != NDBUF_ROUTE_MAPPED || (device->flags & NDBUF_DEVICE_UNIFIED) != 0;
}

static int open_device(void **state)
{
    (void)state;
    if (ndbuf_device_open("opencl:0", &device, NULL) != NDBUF_OK) {
        return -1;
    }
    counting = *opencl_fixture_api();
    counting.clFinish = count_finish;
    counting.clWaitForEvents = count_wait_for_events;
    counting.clEnqueueMapBuffer = count_map;
    own()->api = &counting;
    return 0;
}

static int close_device(void **state)
{
    (void)state;
    own()->api = opencl_fixture_api();
    ndbuf_device_close(device);
    return 0;
}

/* -- views -- */

enum { NROWS = 3000, NCOLUMNS = 50, PITCH = 2 * NCOLUMNS * 4 };

/* Every second item of each row; the other side is packed. */
typedef struct way_case {
    ndbuf_view host;
    ndbuf_view there;
    ndbuf_copy_plan *plan;
    bool to_device;
} way_case;

static unsigned char letter(int64_t i)
{
    return (unsigned char)(i * 7 + i / 251);
}

static void make_view(ndbuf_device *where, const int64_t *strides, ndbuf_view *out_view)
{
    const int64_t shape[2] = {NROWS, NCOLUMNS};
    const ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .format = test_format(4)};
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_create(where, (size_t)NROWS * PITCH, &storage, err));
    ASSERT_OK(ndbuf_view_init(out_view, storage, &spec, err));
    ndbuf_storage_release(storage);
    ndbuf_format_release(spec.format);
}

/* Only `route` is open, on the way to the device or from it. `item_stride`: of the strided side. */
static void case_open(way_case *self, ndbuf_route route, bool to_device, int64_t item_stride)
{
    const int64_t strided[2] = {PITCH, item_stride};
    const int64_t packed[2] = {(int64_t)NCOLUMNS * 4, 4};
    ndbuf_copy_plan_info info;
    memset(self, 0, sizeof(*self));
    self->to_device = to_device;
    make_view(ndbuf_device_cpu(), to_device ? strided : packed, &self->host);
    make_view(device, to_device ? packed : strided, &self->there);
    ndbuf__closed_routes = ALL_ROUTES & ~(1u << route);
    ASSERT_OK(ndbuf_copy_plan_create(to_device ? &self->there : &self->host, to_device ? &self->host : &self->there,
                                     NDBUF_CASTING_EQUIV, 0, &self->plan, err));
    ndbuf__closed_routes = 0;
    ndbuf_copy_plan_info_get(self->plan, &info);
    assert_int_equal(info.route, route);
}

static void case_close(way_case *self)
{
    ndbuf_copy_plan_destroy(self->plan);
    ndbuf_view_release(&self->host);
    ndbuf_view_release(&self->there);
}

static ndbuf_status case_run(const way_case *self, ndbuf_queue *queue, ndbuf_error *err)
{
    return ndbuf_copy_plan_run(self->plan, self->to_device ? &self->there : &self->host,
                               self->to_device ? &self->host : &self->there, queue, err);
}

static int64_t place(const ndbuf_view *view, int64_t item)
{
    return item / NCOLUMNS * view->strides[0] + item % NCOLUMNS * view->strides[1];
}

static void fill_side(const ndbuf_view *view, bool with_letters)
{
    static unsigned char bytes[(size_t)NROWS * PITCH];
    memset(bytes, '.', sizeof(bytes));
    for (int64_t i = 0; with_letters && i < (int64_t)NROWS * NCOLUMNS; i++) {
        for (int64_t b = 0; b < 4; b++) {
            bytes[place(view, i) + b] = letter(4 * i + b);
        }
    }
    test_upload(&view->storage->mem, 0, bytes, sizeof(bytes));
}

static void case_fill(const way_case *self)
{
    fill_side(&self->host, self->to_device);
    fill_side(&self->there, !self->to_device);
}

/* Every item is there, and nothing between them changed. */
static void case_check(const way_case *self)
{
    static unsigned char bytes[(size_t)NROWS * PITCH];
    static unsigned char expected[(size_t)NROWS * PITCH];
    const ndbuf_view *dst = self->to_device ? &self->there : &self->host;
    memset(expected, '.', sizeof(expected));
    for (int64_t i = 0; i < (int64_t)NROWS * NCOLUMNS; i++) {
        for (int64_t b = 0; b < 4; b++) {
            expected[place(dst, i) + b] = letter(4 * i + b);
        }
    }
    test_download(&dst->storage->mem, 0, bytes, sizeof(bytes));
    test_assert_bytes_equal("a copy by one route", bytes, expected, sizeof(bytes));
}

/* -- tests -- */

static void test_each_route_waits_once(void **state)
{
    (void)state;
    static const struct {
        ndbuf_route route;
        int64_t item_stride;
    } ways[] = {{NDBUF_ROUTE_BYTES, 4}, {NDBUF_ROUTE_RECT, 4}, {NDBUF_ROUTE_MAPPED, 8}, {NDBUF_ROUTE_STAGED, 8}};
    for (size_t i = 0; i < 2 * sizeof(ways) / sizeof(ways[0]); i++) {
        way_case self;
        if (!has_route(ways[i / 2].route)) {
            continue;
        }
        case_open(&self, ways[i / 2].route, i % 2 == 0, ways[i / 2].item_stride);
        case_fill(&self);
        atomic_store(&nwaits, 0);
        ASSERT_OK(case_run(&self, NULL, err));
        assert_int_equal(atomic_load(&nwaits), 1);
        case_check(&self);
        case_close(&self);
    }
}

/* On their way to the device, boxes are packed without waiting until the ring is full: while earlier ones travel. From
 * the device, each box is waited for once. */
static void test_staged_boxes_wait_for_their_buffers_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        way_case self;
        ndbuf_copy_plan_info info;
        ndbuf__staging_nbytes = 65536;
        case_open(&self, NDBUF_ROUTE_STAGED, i == 0, 8);
        ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
        ndbuf_copy_plan_info_get(self.plan, &info);
        case_fill(&self);
        atomic_store(&nwaits, 0);
        ASSERT_OK(case_run(&self, NULL, err));
        assert_true(info.ncalls > 2 * NDBUF__STAGING_NSLOTS); /* a call for each box */
        assert_int_equal(atomic_load(&nwaits),
                         self.to_device ? info.ncalls - NDBUF__STAGING_NSLOTS + 1 : info.ncalls + 1);
        case_check(&self);
        case_close(&self);
    }
}

static atomic_int nallocations;

static bool count_allocation(void)
{
    atomic_fetch_add(&nallocations, 1);
    return false;
}

static void test_plans_run_again_without_an_allocation(void **state)
{
    (void)state;
    static const ndbuf_route routes[] = {NDBUF_ROUTE_RECT, NDBUF_ROUTE_MAPPED, NDBUF_ROUTE_STAGED};
    for (size_t i = 0; i < 2 * sizeof(routes) / sizeof(routes[0]); i++) {
        way_case self;
        ndbuf_route route = routes[i / 2];
        if (!has_route(route)) {
            continue;
        }
        ndbuf__staging_nbytes = 65536; /* several boxes */
        case_open(&self, route, i % 2 == 0, route == NDBUF_ROUTE_RECT ? 4 : 8);
        ndbuf__staging_nbytes = NDBUF__STAGING_NBYTES;
        case_fill(&self);
        ASSERT_OK(case_run(&self, NULL, err));
        ndbuf__set_alloc_fault(count_allocation);
        atomic_store(&nallocations, 0);
        for (int run = 0; run < 100; run++) {
            ASSERT_OK(case_run(&self, NULL, err));
        }
        ndbuf__set_alloc_fault(NULL);
        assert_int_equal(atomic_load(&nallocations), 0);
        case_check(&self);
        case_close(&self);
    }
}

/* Random layouts, suboffsets on the host, moves within one storage, from one device to another. */
static void try_random(const char *name, bool runs_functions)
{
    if (!has_route(NDBUF_ROUTE_MAPPED)) {
        skip();
    }
    test_random random = test_random_make(name, 31);
    bool had_functions = own()->runs_functions;
    ndbuf_device *second = NULL;
    ndbuf_queue *queue = NULL;
    own()->runs_functions = runs_functions && had_functions;
    ndbuf__closed_routes = ALL_ROUTES & ~(1u << NDBUF_ROUTE_MAPPED);
    if (ndbuf_device_open("opencl:1", &second, NULL) == NDBUF_OK) {
        ((opencl_device *)second)->runs_functions = own()->runs_functions;
    }
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    for (int i = 0; i < 240; i++) {
        ndbuf_device *other = i % 4 == 0 ? device : i % 4 == 1 && second != NULL ? second : ndbuf_device_cpu();
        test_copy_case copy_case = {.dst = i % 2 == 0 ? device : other,
                                    .src = i % 2 == 0 ? other : device,
                                    .queue = i % 3 == 0 ? queue : NULL,
                                    .in_one_storage = i % 20 == 0,
                                    .with_suboffsets = i % 5 == 0,
                                    .through_plan = i % 7 == 0};
        test_copy_try(name, &random, &copy_case);
    }
    ndbuf__closed_routes = 0;
    ndbuf_queue_release(queue);
    own()->runs_functions = had_functions;
    if (second != NULL) {
        ((opencl_device *)second)->runs_functions = had_functions;
    }
    ndbuf_device_close(second);
}

static void test_mapped_copies_as_commands_of_the_driver(void **state)
{
    (void)state;
    try_random(__func__, true);
}

static void test_mapped_copies_by_a_thread_of_ours(void **state)
{
    (void)state;
    try_random(__func__, false);
}

static void test_memory_of_another_context_is_not_mapped(void **state)
{
    (void)state;
    cl_context context = NULL;
    ndbuf_device *foreign = opencl_fixture_foreign_device(device, &context);
    ndbuf_mem mem = opencl_fixture_buffer(foreign, NULL, 64);
    const ndbuf_mapped_range range = {.mem = &mem, .nbytes = 64, .map_flags = NDBUF_MAP_READ};
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "another OpenCL context",
                 OPS->queue_mapped_call(device->default_queue, &range, 1, NULL, NULL, err));
    OPS->mem_free(&mem);
    ndbuf_device_close(foreign);
    opencl_fixture_api()->clReleaseContext(context);
}

static void run_nothing(void *context, void *const *addresses)
{
    (void)context, (void)addresses;
}

static void test_each_allocation_of_a_mapped_call_failing_in_turn(void **state)
{
    (void)state;
    bool had_functions = own()->runs_functions;
    ndbuf_queue *queue = NULL;
    ndbuf_mem mems[2] = {opencl_fixture_buffer(device, NULL, 64), opencl_fixture_buffer(device, NULL, 64)};
    const ndbuf_mapped_range ranges[2] = {{.mem = &mems[0], .nbytes = 64, .map_flags = NDBUF_MAP_WRITE},
                                          {.mem = &mems[1], .nbytes = 64, .map_flags = NDBUF_MAP_READ}};
    for (int i = 0; i < 2; i++) {
        ASSERT_OK(ndbuf_queue_create(device, &queue, err));
        own()->runs_functions = had_functions && i == 0;
        ALLOC_FAIL_SWEEP(status_ = OPS->queue_mapped_call(queue, ranges, i + 1, run_nothing, NULL, NULL), (void)0);
        ASSERT_OK(ndbuf_queue_wait(queue, err));
        ndbuf_queue_release(queue);
    }
    own()->runs_functions = had_functions;
    OPS->mem_free(&mems[0]);
    OPS->mem_free(&mems[1]);
}

/* In bulk the host's engine beats the driver's loops; a few bytes are the driver's. */
static void test_unified_memory_is_mapped_where_that_pays(void **state)
{
    (void)state;
    const int64_t few = 100;
    ndbuf_copy_plan_info info;
    ndbuf_view host = {0};
    ndbuf_view there = {0};
    ndbuf_copy_plan *plan = NULL;
    char text[2000];
    if (!has_route(NDBUF_ROUTE_MAPPED)) {
        skip();
    }
    way_case self;
    case_open(&self, NDBUF_ROUTE_MAPPED, true, 8);
    ndbuf_copy_plan_destroy(self.plan);
    ASSERT_OK(ndbuf_copy_plan_create(&self.there, &self.host, NDBUF_CASTING_EQUIV, 0, &self.plan, err));
    ndbuf_copy_plan_info_get(self.plan, &info);
    assert_int_equal(info.route, NDBUF_ROUTE_MAPPED);
    assert_int_equal(info.ncalls, 1);
    assert_int_equal(info.staging_nbytes, 0);
    assert_int_equal(info.asynchronous, 1);
    ndbuf_copy_plan_explain(self.plan, text, sizeof(text));
    assert_non_null(strstr(text, "route mapped: 1 call(s), 150000 row(s), asynchronous"));
    assert_non_null(strstr(text, "<- taken"));
    case_close(&self);
    ASSERT_OK(ndbuf_view_create(&host, ndbuf_device_cpu(), NULL, 1, &few, err));
    ASSERT_OK(ndbuf_view_create(&there, device, NULL, 1, &few, err));
    ASSERT_OK(ndbuf_copy_plan_create(&there, &host, NDBUF_CASTING_EQUIV, 0, &plan, err));
    ndbuf_copy_plan_info_get(plan, &info);
    assert_int_equal(info.route, NDBUF_ROUTE_BYTES);
    ndbuf_copy_plan_destroy(plan);
    ndbuf_view_release(&host);
    ndbuf_view_release(&there);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_route_waits_once),
        cmocka_unit_test(test_staged_boxes_wait_for_their_buffers_alone),
        cmocka_unit_test(test_plans_run_again_without_an_allocation),
        cmocka_unit_test(test_mapped_copies_as_commands_of_the_driver),
        cmocka_unit_test(test_mapped_copies_by_a_thread_of_ours),
        cmocka_unit_test(test_memory_of_another_context_is_not_mapped),
        cmocka_unit_test(test_each_allocation_of_a_mapped_call_failing_in_turn),
        cmocka_unit_test(test_unified_memory_is_mapped_where_that_pays),
    };
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, open_device, close_device);
}
