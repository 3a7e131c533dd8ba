/* SPDX-License-Identifier: Apache-2.0 */
/* Rectangles that a driver refuses as a whole although all their bytes lie in the buffer: the library of faults behaves
 * like such a driver. */
#include "tests/backends/opencl/opencl_fixture.h"

#include <string.h>

#include "core/copy_plan.h"
#include "tests/support/device_copy.h"

static const opencl_faults_control *faults;

/* Both sides end with the last row. */
typedef struct rect_case {
    ndbuf_rect rect; /* without memory */
    int64_t dst_nbytes;
    int64_t src_nbytes;
} rect_case;

static void random_side(test_random *random, const ndbuf_rect *rect, ndbuf_rect_side *out_side, int64_t *out_nbytes)
{
    ndbuf_rect_side *side = out_side;
    side->offset = test_random_range(random, 0, 40);
    side->row_pitch = rect->row_nbytes + test_random_range(random, 0, 20);
    side->slice_pitch = (rect->nrows + (rect->nslices > 1 ? test_random_range(random, 0, 2) : 0)) * side->row_pitch;
    *out_nbytes =
        side->offset + (rect->nslices - 1) * side->slice_pitch + (rect->nrows - 1) * side->row_pitch + rect->row_nbytes;
}

static void random_case(test_random *random, rect_case *out_case)
{
    ndbuf_rect *rect = &out_case->rect;
    *rect = (ndbuf_rect){.row_nbytes = test_random_range(random, 1, 12),
                         .nrows = test_random_range(random, 1, 4),
                         .nslices = test_random_range(random, 1, 3)};
    random_side(random, rect, &rect->dst, &out_case->dst_nbytes);
    random_side(random, rect, &rect->src, &out_case->src_nbytes);
}

static ndbuf_mem case_memory(ndbuf_device *device, bool is_own, unsigned char *bytes, int64_t nbytes)
{
    return is_own ? opencl_fixture_buffer(device, bytes, (size_t)nbytes) : opencl_fixture_host(bytes, (size_t)nbytes);
}

static void case_reference(const ndbuf_rect *rect, unsigned char *dst, const unsigned char *src)
{
    for (int64_t slice = 0; slice < rect->nslices; slice++) {
        for (int64_t row = 0; row < rect->nrows; row++) {
            memcpy(dst + rect->dst.offset + slice * rect->dst.slice_pitch + row * rect->dst.row_pitch,
                   src + rect->src.offset + slice * rect->src.slice_pitch + row * rect->src.row_pitch,
                   (size_t)rect->row_nbytes);
        }
    }
}

/* The nth call of the driver fails, 0: none. If all succeed, the right bytes are there, and no others changed. */
static ndbuf_status case_run(const rect_case *self, test_random *random, ndbuf_device *device, bool dst_is_own,
                             bool src_is_own, int64_t nth, ndbuf_error *out_error)
{
    static unsigned char dst_bytes[1024], src_bytes[1024], expected[1024];
    ndbuf_queue *queue = NULL;
    ndbuf_rect rect = self->rect;
    test_random_fill(random, dst_bytes, sizeof(dst_bytes));
    test_random_fill(random, src_bytes, sizeof(src_bytes));
    memcpy(expected, dst_bytes, sizeof(expected));
    case_reference(&rect, expected, src_bytes);
    ndbuf_mem dst = case_memory(device, dst_is_own, dst_bytes, self->dst_nbytes);
    ndbuf_mem src = case_memory(device, src_is_own, src_bytes, self->src_nbytes);
    rect.dst.mem = &dst;
    rect.src.mem = &src;
    ASSERT_OK(OPS->queue_create(device, NULL, &queue, err));
    faults->arm(nth, CL_OUT_OF_RESOURCES, NULL);
    ndbuf_status status = OPS->copy_rect(queue, &rect, out_error);
    const char *failed = faults->fired();
    faults->arm(0, 0, NULL);
    ndbuf_status waited = OPS->queue_wait(queue, status == NDBUF_OK ? out_error : NULL);
    status = status == NDBUF_OK ? waited : status;
    assert_int_equal(status, failed == NULL ? NDBUF_OK : NDBUF_ERR_DEVICE);
    if (status == NDBUF_OK) {
        if (dst_is_own) {
            opencl_fixture_read(&dst, dst_bytes);
        }
        assert_memory_equal(dst_bytes, expected, self->dst_nbytes);
    }
    OPS->queue_destroy(queue);
    if (dst_is_own) {
        OPS->mem_free(&dst);
    }
    if (src_is_own) {
        OPS->mem_free(&src);
    }
    return status;
}

static const struct {
    const char *name;
    bool dst_is_own;
    bool src_is_own;
} directions[] = {{"write", true, false}, {"read", false, true}, {"copy", true, true}};

static const opencl_faults_manner refusing[] = {OPENCL_FAULTS_DISCRETE, OPENCL_FAULTS_STRICT};

static void test_rectangles_that_the_driver_refuses_are_copied_in_parts(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 41);
    ndbuf_device *device = opencl_fixture_device();
    for (size_t i = 0; i < 6; i++) {
        int64_t nrefusals = faults->refusals();
        faults->behave(refusing[i / 3]);
        for (int round = 0; round < 200; round++) {
            rect_case self;
            ndbuf_error error = {0};
            random_case(&random, &self);
            if (case_run(&self, &random, device, directions[i % 3].dst_is_own, directions[i % 3].src_is_own, 0,
                         &error) != NDBUF_OK) {
                fail_msg("%s %d: %s", directions[i % 3].name, round, error.message);
            }
        }
        faults->behave(OPENCL_FAULTS_NONE);
        assert_true(faults->refusals() - nrefusals > 20);
    }
    opencl_fixture_end();
}

/* A part that fails is an error, also where others are on their way; all is let go of, and the queue can be waited for.
 */
static void test_each_failing_call_of_a_rectangle_in_parts_is_an_error(void **state)
{
    (void)state;
    static const rect_case self = {
        .rect = {.dst = {NULL, 8, 40, 160}, .src = {NULL, 0, 32, 96}, .row_nbytes = 8, .nrows = 3, .nslices = 2},
        .dst_nbytes = 8 + 160 + 80 + 8,
        .src_nbytes = 96 + 64 + 8};
    test_random random = test_random_make(__func__, 42);
    ndbuf_device *device = opencl_fixture_device();
    int64_t live = faults->live();
    faults->behave(OPENCL_FAULTS_STRICT);
    for (size_t i = 0; i < 3; i++) {
        ndbuf_status status = NDBUF_ERR_DEVICE;
        int64_t nth = 0;
        while (status != NDBUF_OK) {
            ndbuf_error error = {0};
            status =
                case_run(&self, &random, device, directions[i].dst_is_own, directions[i].src_is_own, ++nth, &error);
            assert_int_equal(error.native_code, status == NDBUF_OK ? error.native_code : CL_OUT_OF_RESOURCES);
            assert_int_equal(faults->live(), live);
        }
        assert_true(nth > 4); /* the whole, and three parts */
    }
    faults->behave(OPENCL_FAULTS_NONE);
    opencl_fixture_end();
}

static void note_release(void *context, void *handle)
{
    (void)handle;
    *(bool *)context = true;
}

/* The parts before the one that fails still use the views' memory. */
static void test_a_copy_that_fails_in_a_part_holds_its_memory_until_the_rest_is_done(void **state)
{
    (void)state;
    enum { NROWS = 4, NCOLUMNS = 1000, PITCH = 1500, NBYTES = 3 * PITCH + NCOLUMNS };
    static char bytes[NBYTES];
    const int64_t shape[2] = {NROWS, NCOLUMNS};
    const int64_t strides[2] = {PITCH, 1};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .format = test_format(1)};
    bool released = false;
    ndbuf_device *device = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_storage *from = NULL;
    ndbuf_storage *to = NULL;
    ndbuf_view src = {0};
    ndbuf_view dst = {0};
    faults->behave(OPENCL_FAULTS_DISCRETE);
    ASSERT_OK(ndbuf_device_open("opencl:0", &device, err));
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    ASSERT_OK(ndbuf_storage_adopt(ndbuf_device_cpu(), bytes, NBYTES, 0, note_release, &released, &from, err));
    ASSERT_OK(ndbuf_storage_create(device, NBYTES, &to, err));
    ASSERT_OK(ndbuf_view_init(&src, from, &spec, err));
    ASSERT_OK(ndbuf_view_init(&dst, to, &spec, err));
    ndbuf_format_release(spec.format);
    cl_event gate = opencl_fixture_close_gate(queue);
    ndbuf__closed_routes = 1u << NDBUF_ROUTE_BYTES | 1u << NDBUF_ROUTE_STAGED;
    faults->arm(1, CL_OUT_OF_RESOURCES, "clEnqueueWriteBuffer");
    ndbuf_error error = {0};
    ndbuf_status status = ndbuf_copy(&dst, &src, queue, &error);
    faults->arm(0, 0, NULL);
    ndbuf__closed_routes = 0;
    ndbuf_view_release(&src);
    ndbuf_storage_release(from);
    bool released_early = released;
    opencl_fixture_open_gate(gate); /* before all that may fail: the queue would hang */
    assert_int_equal(status, NDBUF_ERR_DEVICE);
    assert_non_null(strstr(error.message, "clEnqueueWriteBuffer: CL_OUT_OF_RESOURCES"));
    assert_false(released_early);
    ASSERT_OK(ndbuf_queue_wait(queue, err));
    assert_true(released);
    ndbuf_view_release(&dst);
    ndbuf_storage_release(to);
    ndbuf_queue_release(queue);
    ndbuf_device_close(device);
    faults->behave(OPENCL_FAULTS_NONE);
}

/* Of one row, and of slices of one row, no pitch is shown to the driver that it could find too large. */
static void test_a_pitch_that_leads_nowhere_is_not_refused(void **state)
{
    (void)state;
    static const rect_case cases[] = {
        {{.dst = {NULL, 4, 1000, 1000}, .src = {NULL, 0, 900, 900}, .row_nbytes = 8, .nrows = 1, .nslices = 1}, 12, 8},
        {{.dst = {NULL, 0, 100, 200}, .src = {NULL, 0, 100, 100}, .row_nbytes = 8, .nrows = 1, .nslices = 3},
         600,
         300}};
    test_random random = test_random_make(__func__, 43);
    ndbuf_device *device = opencl_fixture_device();
    int64_t nrefusals = faults->refusals();
    faults->behave(OPENCL_FAULTS_STRICT);
    for (size_t i = 0; i < 6; i++) {
        ASSERT_OK(case_run(&cases[i / 3], &random, device, directions[i % 3].dst_is_own, directions[i % 3].src_is_own,
                           0, err));
    }
    assert_int_equal(faults->refusals(), nrefusals);
    faults->behave(OPENCL_FAULTS_NONE);
    opencl_fixture_end();
}

/* Within one buffer a kernel does it. */
static void test_a_rectangle_within_a_buffer_that_is_refused_goes_by_kernel(void **state)
{
    (void)state;
    ndbuf_device *device = opencl_fixture_device();
    char bytes[72] = "left";
    ndbuf_mem mem = opencl_fixture_buffer(device, bytes, 72);
    const ndbuf_rect rect = {.dst = {&mem, 16, 24, 72}, .src = {&mem, 0, 24, 72}, 8, 3, 1};
    int64_t nrefusals = faults->refusals();
    faults->behave(OPENCL_FAULTS_STRICT);
    ASSERT_OK(OPS->copy_rect(device->default_queue, &rect, err));
    ASSERT_OK(OPS->queue_wait(device->default_queue, err));
    assert_int_equal(faults->refusals(), nrefusals + 1);
    faults->behave(OPENCL_FAULTS_NONE);
    opencl_fixture_read(&mem, bytes);
    assert_string_equal(bytes + 16, "left");
    OPS->mem_free(&mem);
    opencl_fixture_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rectangles_that_the_driver_refuses_are_copied_in_parts),
        cmocka_unit_test(test_each_failing_call_of_a_rectangle_in_parts_is_an_error),
        cmocka_unit_test(test_a_copy_that_fails_in_a_part_holds_its_memory_until_the_rest_is_done),
        cmocka_unit_test(test_a_pitch_that_leads_nowhere_is_not_refused),
        cmocka_unit_test(test_a_rectangle_within_a_buffer_that_is_refused_goes_by_kernel),
    };
    int code = opencl_fixture_start_with_faults(OPENCL_FAULTS_LIBRARY, &faults);
    if (code != 0) {
        return code;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
