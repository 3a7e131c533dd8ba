/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/fake_device.h"
#include "tests/support/sample_views.h"

#include "core/host_alloc.h"

/* A writable C-contiguous view of `ndim` axes with items of format `text`. */
static void make_view(ndbuf_view *view, const char *text, int32_t ndim, const int64_t *shape)
{
    ndbuf_format *format = test_parse(text);
    ASSERT_OK(ndbuf_view_create(view, ndbuf_device_cpu(), format, ndim, shape, err));
    ndbuf_format_release(format);
}

static void make_exporter(ndbuf_exporter **exporter, const char *text, int32_t ndim, const int64_t *shape)
{
    ndbuf_view view = {0};
    make_view(&view, text, ndim, shape);
    ASSERT_OK(ndbuf_exporter_create(&view, exporter, err));
    ndbuf_view_release(&view);
}

static const int64_t shape23[2] = {2, 3};

static void test_full_request_shows_everything_and_counts_one_export(void **state)
{
    (void)state;
    ndbuf_exporter *exporter = NULL;
    make_exporter(&exporter, "f", 2, shape23);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    ndbuf_view view = {0};
    ASSERT_OK(ndbuf_view_acquire(&view, exporter, &request, err));
    assert_int_equal(ndbuf_exporter_nexports(exporter), 1);
    assert_string_equal(view.format, "<f");
    assert_int_equal(view.ndim, 2);
    assert_int_equal(view.shape[1], 3);
    assert_int_equal(view.strides[0], 12);
    assert_null(view.suboffsets);
    assert_int_equal(view.nbytes, 24);
    assert_int_equal(view.flags, 0);
    ndbuf_view_release(&view);
    assert_null(view.release);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 0);
    ndbuf_view_release(&view);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 0);
    ndbuf_exporter_release(exporter);
}

static void test_what_was_not_asked_for_is_not_shown_but_the_view_stays_whole(void **state)
{
    (void)state;
    ndbuf_exporter *exporter = NULL;
    make_exporter(&exporter, "f", 2, shape23);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_SIMPLE);
    ndbuf_view view = {0};
    ndbuf_view row = {0};
    ASSERT_OK(ndbuf_view_acquire(&view, exporter, &request, err));
    assert_null(view.format);
    assert_null(view.shape);
    assert_null(view.strides);
    assert_int_equal(view.itemsize, 4);
    assert_int_equal(view.nbytes, 24);
    ASSERT_OK(ndbuf_view_index(&view, 0, 1, &row, err));
    assert_int_equal(row.ndim, 1);
    assert_int_equal(row.byte_offset, 12);
    assert_string_equal(row.format, "<f");
    ndbuf_view_release(&view);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 1); /* a slice is an export, too */
    ndbuf_view_release(&row);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 0);
    ndbuf_exporter_release(exporter);
}

static void test_an_unmet_request_names_its_flag(void **state)
{
    (void)state;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view = {0};
    ndbuf_view out = {0};
    make_view(&view, "f", 2, shape23);
    ASSERT_OK(ndbuf_view_transpose(&view, &view, err));
    ASSERT_OK(ndbuf_view_readonly(&view, &view, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ndbuf_view_release(&view);
    const struct {
        uint32_t flags;
        ndbuf_status status;
        const char *text;
    } cases[] = {
        {NDBUF_REQUEST_C_CONTIGUOUS, NDBUF_ERR_REQUEST, "C_CONTIGUOUS"},
        {NDBUF_REQUEST_ND, NDBUF_ERR_REQUEST, "STRIDES is not asked for"},
        {NDBUF_REQUEST_SIMPLE, NDBUF_ERR_REQUEST, "STRIDES is not asked for"},
        {NDBUF_REQUEST_STRIDED, NDBUF_ERR_READONLY, "WRITABLE"},
        {NDBUF_REQUEST_FORMAT, NDBUF_ERR_REQUEST, "FORMAT is asked for without ND"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_request request = NDBUF_REQUEST_INIT(cases[i].flags);
        ASSERT_FAILS(cases[i].status, cases[i].text, ndbuf_view_acquire(&out, exporter, &request, err));
        assert_null(out.release);
    }
    ndbuf_request fortran = NDBUF_REQUEST_INIT(NDBUF_REQUEST_F_CONTIGUOUS);
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &fortran, err));
    ndbuf_view_release(&out);
    fortran.alignment = 3;
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "alignment: 3", ndbuf_view_acquire(&out, exporter, &fortran, err));
    fortran.alignment = 0;
    const ndbuf_device_tag cuda = {NDBUF_DEVICE_CUDA, 3};
    fortran.devices = &cuda;
    fortran.ndevices = 1;
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "devices", ndbuf_view_acquire(&out, exporter, &fortran, err));
    fortran.devices = NULL;
    fortran.ndevices = 2;
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "a list of 2 is missing", ndbuf_view_acquire(&out, exporter, &fortran, err));
    fortran.ndevices = -1;
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "a list of -1 is missing", ndbuf_view_acquire(&out, exporter, &fortran, err));
    fortran.ndevices = 0;
    fortran.flags |= NDBUF_REQUEST_C_CONTIGUOUS;
    fortran.copy = NDBUF_COPY_ALWAYS;
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "C_CONTIGUOUS and F_CONTIGUOUS", ndbuf_view_acquire(&out, exporter, &fortran, err));
    fortran.copy = 7;
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "copy: 7", ndbuf_view_acquire(&out, exporter, &fortran, err));
    fortran.copy = 0;
    fortran.view_nbytes = 8;
    ASSERT_FAILS(NDBUF_ERR_ABI, "views of 8 bytes", ndbuf_view_acquire(&out, exporter, &fortran, err));
    assert_int_equal(ndbuf_exporter_nexports(exporter), 0);
    ndbuf_exporter_release(exporter);
}

static void test_a_copy_is_made_only_if_allowed_and_as_asked_for(void **state)
{
    (void)state;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view = {0};
    ndbuf_view out = {0};
    make_view(&view, "i", 2, shape23);
    int32_t *items = ndbuf_view_host_address(&view);
    for (int i = 0; i < 6; i++) {
        items[i] = i;
    }
    ASSERT_OK(ndbuf_view_transpose(&view, &view, err));
    ASSERT_OK(ndbuf_view_readonly(&view, &view, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ndbuf_view_release(&view);

    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_C_CONTIGUOUS | NDBUF_REQUEST_WRITABLE);
    request.copy = NDBUF_COPY_IF_NEEDED;
    request.alignment = 4096;
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    assert_int_equal(out.flags, NDBUF_VIEW_COPIED);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 0);
    static const int32_t expected[6] = {0, 3, 1, 4, 2, 5};
    assert_memory_equal(ndbuf_view_host_address(&out), expected, sizeof(expected));
    assert_int_equal((uintptr_t)ndbuf_view_host_address(&out) % 4096, 0);
    ndbuf_view_release(&out);

    request = (ndbuf_request)NDBUF_REQUEST_INIT(NDBUF_REQUEST_STRIDES);
    request.copy = NDBUF_COPY_IF_NEEDED;
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    assert_int_equal(out.flags, NDBUF_VIEW_READONLY);
    ndbuf_view_release(&out);
    request.copy = NDBUF_COPY_ALWAYS;
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    assert_int_equal(out.flags, NDBUF_VIEW_COPIED);
    ndbuf_view_release(&out);
    ndbuf_exporter_release(exporter);
}

static void test_a_copy_goes_to_the_first_accepted_device_that_is_here(void **state)
{
    (void)state;
    const ndbuf_device_tag accepted[] = {{NDBUF_DEVICE_CUDA, 999999}, {77, 0}, {NDBUF_DEVICE_CPU, 0}};
    const int64_t shape = 8;
    ndbuf_device *device = NULL;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view = {0};
    ndbuf_view out = {0};
    fake_register();
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ASSERT_OK(ndbuf_view_create(&view, device, NULL, 1, &shape, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_STRIDES);
    const ndbuf_device_tag own[] = {ndbuf_device_tag_get(device), {77, 1}};
    request.devices = own;
    request.ndevices = 1;
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    assert_ptr_equal(out.handle, view.handle);
    ndbuf_view_release(&out);
    request.devices = &own[1];
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "devices", ndbuf_view_acquire(&out, exporter, &request, err));
    request.copy = NDBUF_COPY_IF_NEEDED;
    request.devices = accepted;
    request.ndevices = 3;
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    assert_int_equal(out.device.type, NDBUF_DEVICE_CPU);
    ndbuf_view_release(&out);
    request.ndevices = 2;
    ASSERT_FAILS(NDBUF_ERR_UNAVAILABLE, "cuda:999999", ndbuf_view_acquire(&out, exporter, &request, err));
    assert_null(out.release);
    ndbuf_view_release(&view);
    ndbuf_exporter_release(exporter);
    ndbuf_device_close(device);
    fake_assert_clean();
}

/* A copy on the memory's own device needs that as long as it lives itself, and no longer. */
static void test_copies_hold_the_device_that_they_are_on(void **state)
{
    (void)state;
    const int64_t shape = 8;
    ndbuf_device *device = NULL;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view = {0};
    ndbuf_view copies[4] = {{0}};
    fake_register();
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ASSERT_OK(ndbuf_view_create(&view, device, NULL, 1, &shape, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ndbuf_view_release(&view);
    ndbuf_device_close(device);
    const int64_t nclosed = fake_ncalls(FAKE_device_close);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_STRIDES | NDBUF_REQUEST_ANY_DEVICE);
    request.copy = NDBUF_COPY_ALWAYS;
    for (int i = 0; i < 4; i++) {
        ASSERT_OK(ndbuf_view_acquire(&copies[i], exporter, &request, err));
        assert_ptr_equal(ndbuf_view_device(&copies[i]), device);
    }
    ndbuf_exporter_release(exporter);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fake_ncalls(FAKE_device_close), nclosed);
        ndbuf_view_release(&copies[i]);
    }
    assert_int_equal(fake_ncalls(FAKE_device_close), nclosed + 1);
    fake_assert_clean();
}

static const int64_t any_alignment = (int64_t)1 << 40; /* which no handle has by chance */

static void test_memory_without_addresses_is_aligned_as_its_offset_is(void **state)
{
    (void)state;
    static const ndbuf_slice from_1 = {.start = 1, .given = NDBUF_SLICE_START};
    const int64_t shape = 100;
    ndbuf_device *device = NULL;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view = {0};
    ndbuf_view out = {0};
    fake_register();
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ASSERT_OK(ndbuf_view_create(&view, device, NULL, 1, &shape, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_STRIDES | NDBUF_REQUEST_ANY_DEVICE);
    request.alignment = any_alignment;
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    ndbuf_view_release(&out);

    ASSERT_OK(ndbuf_view_slice(&view, 0, &from_1, &view, err));
    ASSERT_OK(ndbuf_exporter_replace(exporter, &view, err));
    ASSERT_FAILS(NDBUF_ERR_REQUEST, "alignment", ndbuf_view_acquire(&out, exporter, &request, err));
    request.alignment = 4096;
    request.copy = NDBUF_COPY_IF_NEEDED;
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    assert_int_equal(out.flags, NDBUF_VIEW_COPIED);
    assert_int_equal(out.byte_offset % 4096, 0);
    ndbuf_view_release(&out);
    ndbuf_view_release(&view);
    ndbuf_exporter_release(exporter);
    ndbuf_device_close(device);
    fake_assert_clean();
}

static void test_memory_that_the_host_reaches_is_aligned_as_its_address_is(void **state)
{
    (void)state;
    _Alignas(64) char memory[128];
    sample_storage sample;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view, out;
    const int64_t shape = 8;
    sample_storage_init(&sample, NDBUF_DEVICE_EXT, NULL, 100);
    sample.storage.mem.host_address = memory + 4;
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_STRIDES | NDBUF_REQUEST_ANY_DEVICE);
    request.alignment = 64;
    for (int64_t offset = 0; offset <= 60; offset += 60) {
        sample_view_init(&view, &sample, 1, 1, &shape, NULL, offset);
        ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
        if (offset == 60) {
            ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
            ndbuf_view_release(&out);
        } else {
            ASSERT_FAILS(NDBUF_ERR_REQUEST, "alignment", ndbuf_view_acquire(&out, exporter, &request, err));
        }
        ndbuf_exporter_release(exporter);
        ndbuf_view_release(&view);
    }
    assert_int_equal(sample.nrefs, 0);
}

static void test_a_view_without_items_is_aligned_wherever_it_begins(void **state)
{
    (void)state;
    ndbuf_exporter *exporter = NULL;
    ndbuf_view view = {0};
    ndbuf_view out = {0};
    ndbuf_slice slice = {.start = 1, .stop = 1, .given = NDBUF_SLICE_START | NDBUF_SLICE_STOP};
    make_view(&view, "i", 2, shape23);
    ASSERT_OK(ndbuf_view_index(&view, 0, 1, &view, err)); /* 12 bytes behind an aligned address */
    ASSERT_OK(ndbuf_view_slice(&view, 0, &slice, &view, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &exporter, err));
    ndbuf_view_release(&view);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    request.alignment = 64;
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    assert_int_equal(out.flags, 0);
    ndbuf_view_release(&out);
    ndbuf_exporter_release(exporter);
}

/* Whoever got a copy may export it: what then goes out shares the copy's memory. */
static void test_what_an_exporter_of_a_copy_shares_is_no_copy(void **state)
{
    (void)state;
    ndbuf_exporter *first = NULL;
    ndbuf_exporter *second = NULL;
    ndbuf_view copy = {0};
    ndbuf_view view = {0};
    make_exporter(&first, "B", 2, shape23);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    request.copy = NDBUF_COPY_ALWAYS;
    ASSERT_OK(ndbuf_view_acquire(&copy, first, &request, err));
    assert_int_equal(copy.flags, NDBUF_VIEW_COPIED);
    ASSERT_OK(ndbuf_exporter_create(&copy, &second, err));
    for (int32_t policy = NDBUF_COPY_NEVER; policy <= NDBUF_COPY_ALWAYS; policy++) {
        request.copy = policy;
        ASSERT_OK(ndbuf_view_acquire(&view, second, &request, err));
        bool is_shared = policy != NDBUF_COPY_ALWAYS;
        assert_int_equal(view.handle == copy.handle, is_shared);
        assert_int_equal(view.flags, is_shared ? 0 : NDBUF_VIEW_COPIED);
        ndbuf_view_release(&view);
    }
    ASSERT_OK(ndbuf_exporter_replace(second, &copy, err));
    request.copy = NDBUF_COPY_NEVER;
    ASSERT_OK(ndbuf_view_acquire(&view, second, &request, err));
    assert_int_equal(view.flags, 0);
    ndbuf_view_release(&view);
    ndbuf_view_release(&copy);
    ndbuf_exporter_release(second);
    ndbuf_exporter_release(first);
}

static void test_views_keep_the_exporter_alive(void **state)
{
    (void)state;
    ndbuf_exporter *exporter = NULL;
    make_exporter(&exporter, "d", 2, shape23);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    ndbuf_view view = {0};
    ASSERT_OK(ndbuf_view_acquire(&view, exporter, &request, err));
    ndbuf_exporter_retain(exporter);
    ndbuf_exporter_release(exporter);
    assert_int_equal(ndbuf_exporter_nexports(exporter), 1);
    ndbuf_exporter_release(exporter);
    memset(ndbuf_view_host_address(&view), 1, 48);
    assert_string_equal(view.format, "<d");
    ndbuf_view_release(&view);
}

static void test_replace_is_refused_while_views_are_out(void **state)
{
    (void)state;
    ndbuf_exporter *exporter = NULL;
    make_exporter(&exporter, "d", 2, shape23);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    ndbuf_view out = {0};
    ndbuf_view larger = {0};
    static const int64_t shape5[1] = {5};
    make_view(&larger, "h", 1, shape5);
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    ASSERT_FAILS(NDBUF_ERR_BUSY, "1 view(s)", ndbuf_exporter_replace(exporter, &larger, err));
    ndbuf_view_release(&out);
    ASSERT_OK(ndbuf_exporter_replace(exporter, &larger, err));
    ASSERT_OK(ndbuf_view_acquire(&out, exporter, &request, err));
    assert_int_equal(out.ndim, 1);
    assert_string_equal(out.format, "<h");
    ndbuf_view_release(&out);
    ndbuf_view_release(&larger);
    ndbuf_exporter_release(exporter);
}

static void test_chained_exports_stay_readonly_and_hold_the_first_exporter(void **state)
{
    (void)state;
    ndbuf_exporter *first = NULL;
    ndbuf_exporter *second = NULL;
    ndbuf_view view = {0};
    make_exporter(&first, "B", 2, shape23);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL_RO);
    ASSERT_OK(ndbuf_view_acquire(&view, first, &request, err));
    ASSERT_OK(ndbuf_view_readonly(&view, &view, err));
    ASSERT_OK(ndbuf_exporter_create(&view, &second, err));
    ndbuf_view_release(&view);
    assert_int_equal(ndbuf_exporter_nexports(first), 1);
    request.flags = NDBUF_REQUEST_FULL;
    ASSERT_FAILS(NDBUF_ERR_READONLY, "WRITABLE", ndbuf_view_acquire(&view, second, &request, err));
    ndbuf_exporter_release(second);
    assert_int_equal(ndbuf_exporter_nexports(first), 0);
    ndbuf_exporter_release(first);
}

/* -- cost -- */

static int64_t nallocs;

static bool count_alloc(void)
{
    nallocs++;
    return false;
}

static void test_acquire_release_and_slice_of_eight_axes_allocate_nothing(void **state)
{
    (void)state;
    static const int64_t shape8[8] = {2, 2, 2, 2, 2, 2, 2, 2};
    ndbuf_exporter *exporter = NULL;
    make_exporter(&exporter, "d", 8, shape8);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    ndbuf_slice slice = {.start = 1, .given = NDBUF_SLICE_START};
    ndbuf_view view = {0};
    ndbuf_view part = {0};
    nallocs = 0;
    ndbuf__set_alloc_fault(count_alloc);
    ASSERT_OK(ndbuf_view_acquire(&view, exporter, &request, err));
    ASSERT_OK(ndbuf_view_slice(&view, 7, &slice, &part, err));
    ndbuf_view_release(&part);
    ndbuf_view_release(&view);
    ndbuf__set_alloc_fault(NULL);
    assert_int_equal(nallocs, 0);
    ndbuf_exporter_release(exporter);
}

static void test_making_an_exporter_survives_each_failing_allocation(void **state)
{
    (void)state;
    static const int64_t shape9[9] = {1, 1, 1, 1, 1, 1, 1, 1, 3};
    ndbuf_view view = {0};
    ndbuf_exporter *exporter = NULL;
    make_view(&view, "T{i:a:d:b:}", 9, shape9);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_exporter_create(&view, &exporter, NULL), (void)0);
    ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_FULL);
    request.copy = NDBUF_COPY_ALWAYS;
    ndbuf_view out = {0};
    ALLOC_FAIL_SWEEP(status_ = ndbuf_view_acquire(&out, exporter, &request, NULL), ndbuf_view_release(&out));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_exporter_replace(exporter, &view, NULL), (void)0);
    ndbuf_exporter_release(exporter);
    ndbuf_view_release(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_request_shows_everything_and_counts_one_export),
        cmocka_unit_test(test_what_was_not_asked_for_is_not_shown_but_the_view_stays_whole),
        cmocka_unit_test(test_an_unmet_request_names_its_flag),
        cmocka_unit_test(test_a_copy_is_made_only_if_allowed_and_as_asked_for),
        cmocka_unit_test(test_a_copy_goes_to_the_first_accepted_device_that_is_here),
        cmocka_unit_test(test_copies_hold_the_device_that_they_are_on),
        cmocka_unit_test(test_memory_without_addresses_is_aligned_as_its_offset_is),
        cmocka_unit_test(test_memory_that_the_host_reaches_is_aligned_as_its_address_is),
        cmocka_unit_test(test_a_view_without_items_is_aligned_wherever_it_begins),
        cmocka_unit_test(test_what_an_exporter_of_a_copy_shares_is_no_copy),
        cmocka_unit_test(test_views_keep_the_exporter_alive),
        cmocka_unit_test(test_replace_is_refused_while_views_are_out),
        cmocka_unit_test(test_chained_exports_stay_readonly_and_hold_the_first_exporter),
        cmocka_unit_test(test_acquire_release_and_slice_of_eight_axes_allocate_nothing),
        cmocka_unit_test(test_making_an_exporter_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
