/* SPDX-License-Identifier: Apache-2.0 */
/* Sub-buffers, which are parts of a larger buffer: copies, conversions and fills of them by each route, and nothing of
 * the rest of the buffer changes. */
#include "tests/backends/opencl/opencl_fixture.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "core/copy_plan.h"
#include "core/storage_core.h"
#include "tests/support/device_copy.h"

#define ALL_ROUTES                                                                                                     \
    (1u << NDBUF_ROUTE_BYTES | 1u << NDBUF_ROUTE_RECT | 1u << NDBUF_ROUTE_STRIDED | 1u << NDBUF_ROUTE_STAGED |         \
     1u << NDBUF_ROUTE_THROUGH_HOST | 1u << NDBUF_ROUTE_MAPPED)

/* What the rest of a buffer holds. */
#define REST 0xA5

static ndbuf_device *device;
static ndbuf_device *second; /* NULL: there is one device */
static __typeof__(&clCreateSubBuffer) create_sub_buffer;

/* A part in the middle of a buffer. */
typedef struct buffer_part {
    ndbuf_device *device;
    cl_mem whole;
    size_t margin; /* bytes before it and, rounded up, behind it */
    size_t nbytes;
} buffer_part;

static size_t margin_of(const ndbuf_device *of)
{
    cl_uint nbits = 0;
    cl_device_id id = ((const opencl_device *)of)->id;
    assert_int_equal(
        opencl_fixture_api()->clGetDeviceInfo(id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(nbits), &nbits, NULL),
        CL_SUCCESS);
    return (size_t)nbits / 8 * 3;
}

static size_t whole_nbytes(const buffer_part *part)
{
    return part->nbytes + 2 * part->margin;
}

/* A part, and the buffer around it, which the part holds. */
static cl_mem part_open(buffer_part *part, ndbuf_device *of, size_t nbytes)
{
    cl_int code = CL_SUCCESS;
    *part = (buffer_part){.device = of, .margin = margin_of(of), .nbytes = nbytes};
    char *bytes = malloc(whole_nbytes(part));
    assert_non_null(bytes);
    memset(bytes, REST, whole_nbytes(part));
    ndbuf_mem whole = opencl_fixture_buffer(of, bytes, whole_nbytes(part));
    free(bytes);
    part->whole = whole.handle;
    const cl_buffer_region region = {part->margin, nbytes};
    cl_mem sub = create_sub_buffer(part->whole, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    assert_int_equal(code, CL_SUCCESS);
    return sub;
}

static void part_close(buffer_part *part, cl_mem sub)
{
    size_t nbytes = whole_nbytes(part);
    char *bytes = malloc(nbytes);
    char *expected = malloc(nbytes);
    assert_non_null(bytes);
    assert_non_null(expected);
    const ndbuf_mem whole = {.device = part->device, .handle = part->whole, .nbytes = nbytes};
    opencl_fixture_read(&whole, bytes);
    memset(expected, REST, nbytes);
    memcpy(expected + part->margin, bytes + part->margin, part->nbytes);
    test_assert_bytes_equal("around a part", bytes, expected, nbytes);
    free(bytes);
    free(expected);
    opencl_fixture_api()->clReleaseMemObject(sub);
    opencl_fixture_api()->clReleaseMemObject(part->whole);
}

static void part_released(void *context, void *handle)
{
    part_close(context, handle);
    free(context);
}

static ndbuf_storage *make_storage(ndbuf_device *of, size_t nbytes)
{
    ndbuf_storage *storage = NULL;
    buffer_part *part = malloc(sizeof(*part));
    assert_non_null(part);
    cl_mem sub = part_open(part, of, nbytes);
    ASSERT_OK(ndbuf_storage_adopt(of, sub, nbytes, 0, part_released, part, &storage, err));
    return storage;
}

static int open_devices(void **state)
{
    (void)state;
    void *loader = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    void *address = loader != NULL ? dlsym(loader, "clCreateSubBuffer") : NULL;
    memcpy(&create_sub_buffer, &address, sizeof(address));
    if (address == NULL || ndbuf_device_open("opencl:0", &device, NULL) != NDBUF_OK) {
        return -1;
    }
    if (ndbuf_device_open("opencl:1", &second, NULL) != NDBUF_OK) {
        second = NULL;
    }
    test_copy_storage_by(make_storage);
    return 0;
}

static int close_devices(void **state)
{
    (void)state;
    test_copy_storage_by(NULL);
    ndbuf_device_close(second);
    ndbuf_device_close(device);
    return 0;
}

/* Between parts, and between a part and the host; by one route, or by staging where that does not do. */
static void try_copies(const char *what, test_random *random, bool converts, bool has_threads)
{
    ndbuf_queue *queue = NULL;
    bool had_functions = ((opencl_device *)device)->runs_functions;
    ((opencl_device *)device)->runs_functions = had_functions && !has_threads;
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    for (int i = 0; i < 60; i++) {
        ndbuf_device *other = i % 4 == 0 ? device : i % 4 == 1 && second != NULL ? second : ndbuf_device_cpu();
        const test_copy_case copy_case = {.dst = i % 2 == 0 ? device : other,
                                          .src = i % 2 == 0 ? other : device,
                                          .queue = i % 3 == 0 ? queue : NULL,
                                          .in_one_storage = i % 20 == 0,
                                          .with_suboffsets = i % 5 == 0,
                                          .through_plan = i % 7 == 0,
                                          .converts = converts,
                                          .shape_flags = i % 2 == 0 ? TEST_LAYOUT_MANY_ITEMS : 0};
        test_copy_try(what, random, &copy_case);
    }
    ndbuf_queue_release(queue);
    ((opencl_device *)device)->runs_functions = had_functions;
}

static void test_parts_are_copied_by_each_route(void **state)
{
    (void)state;
    static const ndbuf_route routes[] = {NDBUF_ROUTE_BYTES, NDBUF_ROUTE_RECT, NDBUF_ROUTE_STRIDED, NDBUF_ROUTE_MAPPED,
                                         NDBUF_ROUTE_STAGED};
    test_random random = test_random_make(__func__, 51);
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        const uint32_t open = 1u << routes[i] | 1u << NDBUF_ROUTE_STAGED | 1u << NDBUF_ROUTE_THROUGH_HOST;
        ndbuf__closed_routes = ALL_ROUTES & ~open;
        try_copies(ndbuf_route_name(routes[i]), &random, false, false);
        try_copies(ndbuf_route_name(routes[i]), &random, false, true);
        ndbuf__closed_routes = 0;
    }
    try_copies(__func__, &random, false, false);
}

static void test_parts_are_converted(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 52);
    try_copies(__func__, &random, true, false);
}

static void test_parts_are_filled(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 53);
    ndbuf_queue *queue = NULL;
    ASSERT_OK(ndbuf_queue_create(device, &queue, err));
    for (int i = 0; i < 100; i++) {
        test_fill_try(__func__, &random, device, i % 2 == 0 ? queue : NULL);
    }
    ndbuf_queue_release(queue);
}

/* Dense bytes and rows of many sizes in the backend's own calls, between parts, whole buffers and the host. */
static void test_rectangles_of_parts_arrive(void **state)
{
    (void)state;
    enum { NROWS = 40, PITCH = 300, NBYTES = NROWS * PITCH };
    char values[NBYTES];
    char back[NBYTES];
    buffer_part parts[2];
    ndbuf_mem mems[3];
    cl_mem subs[2];
    for (int i = 0; i < 2; i++) {
        subs[i] = part_open(&parts[i], device, NBYTES);
        ASSERT_OK(OPS->mem_import(device, subs[i], NBYTES, &mems[i], err));
    }
    mems[2] = opencl_fixture_buffer(device, NULL, NBYTES);
    for (int i = 0; i < NBYTES; i++) {
        values[i] = (char)(i * 7 + i / 300);
    }
    for (int i = 0; i < 9; i++) {
        const ndbuf_mem *dst = &mems[i / 3];
        const ndbuf_mem *src = &mems[i % 3];
        memset(back, 0, NBYTES);
        if (dst == src) {
            continue;
        }
        test_upload(src, 0, values, NBYTES);
        test_upload(dst, 0, back, NBYTES);
        const ndbuf_rect rect = {.dst = {dst, 7, PITCH, (int64_t)NROWS * PITCH},
                                 .src = {src, 11, PITCH, (int64_t)NROWS * PITCH},
                                 .row_nbytes = 200,
                                 .nrows = NROWS - 1,
                                 .nslices = 1};
        ASSERT_OK(OPS->copy_rect(device->default_queue, &rect, err));
        ASSERT_OK(OPS->queue_wait(device->default_queue, err));
        test_download(dst, 0, back, NBYTES);
        for (int r = 0; r < NROWS; r++) {
            for (int c = 0; c < PITCH; c++) {
                bool is_copied =
                    r * PITCH + c >= 7 && (r * PITCH + c - 7) / PITCH < NROWS - 1 && (r * PITCH + c - 7) % PITCH < 200;
                assert_int_equal(back[r * PITCH + c], is_copied ? values[r * PITCH + c + 4] : 0);
            }
        }
    }
    for (int i = 0; i < 3; i++) {
        OPS->mem_free(&mems[i]);
    }
    for (int i = 0; i < 2; i++) {
        part_close(&parts[i], subs[i]);
    }
}

static void test_parts_are_mapped_where_they_begin(void **state)
{
    (void)state;
    void *address = NULL;
    ndbuf_storage *storage = make_storage(device, 1000);
    test_upload(&storage->mem, 0, "0123456789", 10);
    ASSERT_OK(ndbuf_storage_map(storage, 3, 4, NDBUF_MAP_READ, &address, err));
    assert_memory_equal(address, "3456", 4);
    ASSERT_OK(ndbuf_storage_unmap(storage, address, err));
    ndbuf_storage_release(storage);
}

/* A view of `nbytes` bytes of a buffer that is only borrowed. */
static void view_buffer(ndbuf_view *out_view, ndbuf_device *of, cl_mem buffer, size_t offset, size_t nbytes)
{
    const int64_t shape[1] = {(int64_t)nbytes};
    const ndbuf_view_spec spec = {.byte_offset = (int64_t)offset, .ndim = 1, .shape = shape};
    ndbuf_storage *storage = NULL;
    ASSERT_OK(ndbuf_storage_adopt(of, buffer, offset + nbytes, 0, NULL, NULL, &storage, err));
    ASSERT_OK(ndbuf_view_init(out_view, storage, &spec, err));
    ndbuf_storage_release(storage);
}

/* The source is read first also where only the driver knows that bytes are shared: between parts, between a part and
 * the whole, and of one buffer between two devices. */
static void test_copies_between_parts_that_share_bytes_read_first(void **state)
{
    (void)state;
    enum { NBYTES = 1 << 20 };
    const int64_t old_staging_nbytes = ndbuf__staging_nbytes;
    char *expected = malloc(2 * (size_t)NBYTES);
    assert_non_null(expected);
    char *values = expected + NBYTES;
    for (int i = 0; i < NBYTES; i++) {
        values[i] = (char)(i ^ i >> 8 ^ i >> 13);
    }
    const ndbuf_mem whole = opencl_fixture_buffer(device, values, NBYTES);
    const size_t shift = margin_of(device);
    const size_t nbytes = NBYTES - 2 * shift;
    cl_mem subs[2];
    for (int i = 0; i < 2; i++) {
        cl_int code = CL_SUCCESS;
        const cl_buffer_region region = {shift * (size_t)i, nbytes};
        subs[i] = create_sub_buffer(whole.handle, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
        assert_int_equal(code, CL_SUCCESS);
    }
    ndbuf_view lower[3] = {0}; /* the same bytes */
    ndbuf_view upper[3] = {0}; /* the same, `shift` further */
    ndbuf_view behind = {0};
    ndbuf_device *other = second != NULL ? second : device;
    view_buffer(&lower[0], device, subs[0], 0, nbytes);
    view_buffer(&lower[1], device, whole.handle, 0, nbytes);
    view_buffer(&lower[2], other, whole.handle, 0, nbytes);
    view_buffer(&upper[0], device, subs[1], 0, nbytes);
    view_buffer(&upper[1], other, subs[1], 0, nbytes);
    view_buffer(&upper[2], device, whole.handle, shift, nbytes);
    view_buffer(&behind, device, whole.handle, nbytes, 2 * shift);
    ndbuf__staging_nbytes = 1 << 16;
    for (int i = 0; i < 18; i++) {
        const ndbuf_view *dst = i < 9 ? &upper[i / 3] : &lower[i / 3 % 3];
        const ndbuf_view *src = i < 9 ? &lower[i % 3] : &upper[i % 3];
        ndbuf__closed_routes = i % 2 == 0 ? 0 : 1u << NDBUF_ROUTE_MAPPED;
        assert_int_equal(ndbuf_view_overlap(dst, src), NDBUF_YES);
        test_upload(&whole, 0, values, NBYTES);
        ASSERT_OK(ndbuf_copy(dst, src, NULL, err));
        memcpy(expected, values, NBYTES);
        memmove(expected + (i < 9 ? shift : 0), values + (i < 9 ? 0 : shift), nbytes);
        char *found = malloc(NBYTES);
        assert_non_null(found);
        opencl_fixture_read(&whole, found);
        test_assert_bytes_equal("parts that share bytes", found, expected, NBYTES);
        free(found);
    }
    ndbuf__closed_routes = 0;
    ndbuf__staging_nbytes = old_staging_nbytes;
    assert_int_equal(ndbuf_view_overlap(&lower[0], &behind), NDBUF_NO);
    assert_int_equal(ndbuf_view_overlap(&upper[0], &behind), NDBUF_YES);
    for (int i = 0; i < 3; i++) {
        ndbuf_view_release(&lower[i]);
        ndbuf_view_release(&upper[i]);
    }
    ndbuf_view_release(&behind);
    opencl_fixture_api()->clReleaseMemObject(subs[0]);
    opencl_fixture_api()->clReleaseMemObject(subs[1]);
    opencl_fixture_api()->clReleaseMemObject(whole.handle);
    free(expected);
}

/* Of one buffer, the even rows of a part and the odd rows of another one: bytes that are apart in ranges that cross. */
static void test_interleaved_parts_are_copied(void **state)
{
    (void)state;
    enum { NBYTES = 1 << 16, ROW = 64 };
    char values[NBYTES];
    char found[NBYTES];
    for (int i = 0; i < NBYTES; i++) {
        values[i] = (char)(i ^ i >> 8);
    }
    const ndbuf_mem whole = opencl_fixture_buffer(device, values, NBYTES);
    const cl_buffer_region region = {0, NBYTES};
    cl_int code = CL_SUCCESS;
    cl_mem sub = create_sub_buffer(whole.handle, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &code);
    assert_int_equal(code, CL_SUCCESS);
    const int64_t shape[2] = {NBYTES / ROW / 2, ROW};
    const int64_t strides[2] = {2 * (int64_t)ROW, 1};
    ndbuf_view rows[2] = {0};
    for (int i = 0; i < 2; i++) {
        const ndbuf_view_spec spec = {.byte_offset = (int64_t)ROW * i, .ndim = 2, .shape = shape, .strides = strides};
        ndbuf_storage *storage = NULL;
        ASSERT_OK(ndbuf_storage_adopt(device, i == 0 ? sub : whole.handle, NBYTES, 0, NULL, NULL, &storage, err));
        ASSERT_OK(ndbuf_view_init(&rows[i], storage, &spec, err));
        ndbuf_storage_release(storage);
    }
    assert_int_equal(ndbuf_view_overlap(&rows[0], &rows[1]), NDBUF_NO);
    for (int i = 0; i < 2; i++) {
        ndbuf__closed_routes =
            i == 0 ? 1u << NDBUF_ROUTE_BYTES | 1u << NDBUF_ROUTE_RECT | 1u << NDBUF_ROUTE_STRIDED : 0;
        test_upload(&whole, 0, values, NBYTES);
        ASSERT_OK(ndbuf_copy(&rows[1], &rows[0], NULL, err));
        opencl_fixture_read(&whole, found);
        for (int k = 0; k < NBYTES; k++) {
            assert_int_equal(found[k], values[k / ROW % 2 == 0 ? k : k - ROW]);
        }
    }
    ndbuf__closed_routes = 0;
    ndbuf_view_release(&rows[0]);
    ndbuf_view_release(&rows[1]);
    opencl_fixture_api()->clReleaseMemObject(sub);
    opencl_fixture_api()->clReleaseMemObject(whole.handle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_are_copied_by_each_route),
        cmocka_unit_test(test_parts_are_converted),
        cmocka_unit_test(test_parts_are_filled),
        cmocka_unit_test(test_rectangles_of_parts_arrive),
        cmocka_unit_test(test_parts_are_mapped_where_they_begin),
        cmocka_unit_test(test_copies_between_parts_that_share_bytes_read_first),
        cmocka_unit_test(test_interleaved_parts_are_copied),
    };
    if (opencl_fixture_start() == 0) {
        return TEST_EXIT_SKIPPED;
    }
    return cmocka_run_group_tests(tests, open_devices, close_devices);
}
