/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "core/link_costs.h"
#include "core/sync.h"
#include "tests/support/fake_device.h"

static int reset(void **state)
{
    (void)state;
    ndbuf_tuning_reset();
    return 0;
}

static double value_of(const char *name)
{
    double value = -1;
    ASSERT_OK(ndbuf_tuning_get(name, &value, err));
    return value;
}

static ndbuf_status parse(const char *text, ndbuf_error *err)
{
    return ndbuf_tuning_parse(text, strlen(text), "text", err);
}

static void test_each_constant_has_a_name_a_unit_and_a_default_within_its_limits(void **state)
{
    (void)state;
    int32_t count = ndbuf_tuning_count();
    assert_true(count > 10);
    for (int32_t i = 0; i < count; i++) {
        ndbuf_tuning_entry entry;
        ASSERT_OK(ndbuf_tuning_entry_get(i, &entry, err));
        assert_true(entry.name[0] != '\0' && entry.unit[0] != '\0' && entry.meaning[0] != '\0');
        if (strncmp(entry.name, "cpu.", 4) == 0) {
            assert_true(entry.is_integer);
            assert_true(entry.value == entry.default_value);
            assert_true(entry.default_value >= entry.min && entry.default_value <= entry.max);
            assert_true(value_of(entry.name) == entry.value);
            ASSERT_OK(ndbuf_tuning_set(entry.name, entry.max, err));
            assert_true(value_of(entry.name) == entry.max);
            ASSERT_OK(ndbuf_tuning_set(entry.name, (double)NAN, err));
            assert_true(value_of(entry.name) == entry.default_value);
        }
    }
    ndbuf_tuning_entry entry;
    ASSERT_FAILS(NDBUF_ERR_INDEX, "constant -1", ndbuf_tuning_entry_get(-1, &entry, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "constant ", ndbuf_tuning_entry_get(count, &entry, err));
}

static void test_what_is_no_value_of_a_constant_is_refused(void **state)
{
    (void)state;
    double value = value_of("cpu.thread_share_nbytes");
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not from 1 to", ndbuf_tuning_set("cpu.thread_share_nbytes", 0, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not from 1 to", ndbuf_tuning_set("cpu.thread_share_nbytes", 1e300, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not from 1 to", ndbuf_tuning_set("cpu.thread_share_nbytes", INFINITY, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not an integer", ndbuf_tuning_set("cpu.thread_share_nbytes", 2.5, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "row_ns is -1", ndbuf_tuning_set("link.cpu.fake.row_ns", -1, err));
    assert_true(value_of("cpu.thread_share_nbytes") == value);
    static const char *const none[] = {"",
                                       "cpu.",
                                       "cpu.thread_share_nbyte",
                                       "cpu.thread_share_nbytess",
                                       "link",
                                       "link.",
                                       "link..",
                                       "link.call_ns",
                                       "link.cpu.call_ns",
                                       "link..fake.call_ns",
                                       "link.cpu..call_ns",
                                       "link.cpu.fake.call",
                                       "link.cpu.fake.",
                                       "link.cpu.fake:.call_ns",
                                       "link.cpu.fake:x.call_ns",
                                       "link.cpu.fake:01.call_ns",
                                       "link.cpu.fake:99999999999.call_ns",
                                       "link.cpu.FAKE.call_ns",
                                       "link.cpu.fake.more.call_ns",
                                       "link.cpu.a23456789012345678901234567890123.call_ns"};
    for (size_t k = 0; k < sizeof(none) / sizeof(none[0]); k++) {
        ASSERT_FAILS(NDBUF_ERR_INVALID, "no constant", ndbuf_tuning_set(none[k], 1, err));
        ASSERT_FAILS(NDBUF_ERR_INVALID, "no constant", ndbuf_tuning_get(none[k], &value, err));
    }
}

static void test_costs_of_a_link_take_the_place_of_the_backends(void **state)
{
    (void)state;
    ndbuf_device *device = NULL;
    ndbuf_link_costs before;
    ndbuf_link_costs costs;
    fake_register();
    ASSERT_OK(ndbuf_device_open("fake:1", &device, err));
    ASSERT_OK(ndbuf_link_costs_get(ndbuf_device_cpu(), device, &before, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.fake.call_ns", 11, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.fake.row_ns", 12, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.fake:1.call_ns", 13, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.fake:0.call_ns", 14, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu:0.fake.call_ns", 15, err));
    ASSERT_OK(ndbuf_tuning_set("link.fake.cpu.call_ns", 16, err));
    ASSERT_OK(ndbuf_link_costs_get(ndbuf_device_cpu(), device, &costs, err));
    assert_true(costs.call_ns == 13); /* the closest description of the destination */
    assert_true(costs.row_ns == 12);
    assert_true(costs.wait_ns == before.wait_ns && costs.bytes_per_ns == before.bytes_per_ns);
    ASSERT_OK(ndbuf_tuning_set("link.cpu.fake:1.call_ns", (double)NAN, err));
    ASSERT_OK(ndbuf_link_costs_get(ndbuf_device_cpu(), device, &costs, err));
    assert_true(costs.call_ns == 15);
    ASSERT_OK(ndbuf_link_costs_get(device, ndbuf_device_cpu(), &costs, err));
    assert_true(costs.call_ns == 16);
    ndbuf_tuning_reset();
    ASSERT_OK(ndbuf_link_costs_get(ndbuf_device_cpu(), device, &costs, err));
    assert_memory_equal(&costs, &before, sizeof(costs));
    ndbuf_device_close(device);
}

static void test_costs_of_a_link_choose_the_route(void **state)
{
    (void)state;
    static const int64_t shape[2] = {64, 64};
    static const int64_t strides[2] = {128, 1};
    ndbuf_device *device = NULL;
    ndbuf_format *format = test_parse("B");
    ndbuf_storage *storage = NULL;
    ndbuf_view src = {0};
    ndbuf_view dst = {0};
    fake_register();
    ASSERT_OK(ndbuf_device_open("fake:0", &device, err));
    ASSERT_OK(ndbuf_storage_create(ndbuf_device_cpu(), 128 * 64, &storage, err));
    ndbuf_view_spec spec = {.format = format, .ndim = 2, .shape = shape, .strides = strides};
    ASSERT_OK(ndbuf_view_init(&src, storage, &spec, err));
    ASSERT_OK(ndbuf_view_create(&dst, device, format, 2, shape, err));
    static const struct {
        double row_ns;
        ndbuf_route route;
    } cases[] = {{0, NDBUF_ROUTE_RECT}, {1e9, NDBUF_ROUTE_STAGED}};
    for (size_t k = 0; k < 2; k++) {
        ndbuf_copy_plan *plan = NULL;
        ndbuf_copy_plan_info info;
        ASSERT_OK(ndbuf_tuning_set("link.cpu.fake.call_ns", 1e6, err));
        ASSERT_OK(ndbuf_tuning_set("link.cpu.fake.element_ns", 1e9, err));
        ASSERT_OK(ndbuf_tuning_set("link.cpu.fake.row_ns", cases[k].row_ns, err));
        ASSERT_OK(ndbuf_copy_plan_create(&dst, &src, NDBUF_CASTING_EQUIV, 0, &plan, err));
        ndbuf_copy_plan_info_get(plan, &info);
        assert_int_equal(info.route, cases[k].route);
        ndbuf_copy_plan_destroy(plan);
    }
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_storage_release(storage);
    ndbuf_format_release(format);
    ndbuf_device_close(device);
}

static void test_a_text_sets_constants(void **state)
{
    (void)state;
    ASSERT_OK(parse("# measured\n"
                    "\n"
                    "version = 1\r\n"
                    "machine = a # machine, 32 MiB \n"
                    "\tcpu.stream_nbytes=12345 # a remark\n"
                    " link.cpu.opencl:1.call_ns = 1500.25\n"
                    "link.opencl:1.cpu.bytes_per_ns = 0",
                    err));
    assert_true(value_of("cpu.stream_nbytes") == 12345);
    assert_true(value_of("link.cpu.opencl:1.call_ns") == 1500.25);
    assert_true(value_of("link.opencl:1.cpu.bytes_per_ns") == 0);
    assert_true(isnan(value_of("link.opencl:1.cpu.call_ns")));
    ndbuf_tuning_info info;
    ndbuf_tuning_info_get(&info);
    assert_int_equal(info.nset, 3);
    assert_string_equal(info.machine, "a # machine, 32 MiB");
}

/* As at the first copy of a program that wants signals for whatever is not exact. */
static void test_a_text_is_read_without_signals_of_floating_point(void **state)
{
    (void)state;
#if defined(__x86_64__)
    const uint32_t before = _mm_getcsr();
    const uint32_t with_signals = before & ~(uint32_t)(_MM_MASK_MASK | _MM_EXCEPT_MASK);
    _mm_setcsr(with_signals);
    const ndbuf_status status = parse("version = 1\nlink.cpu.fake.bytes_per_ns = 12.3\n", NULL);
    const uint32_t after = _mm_getcsr();
    _mm_setcsr(before);
    assert_int_equal(status, NDBUF_OK);
    assert_int_equal(after, with_signals);
    assert_true(fabs(value_of("link.cpu.fake.bytes_per_ns") - 12.3) < 1e-9);
#endif
}

static void test_the_text_of_the_constants_gives_them_back(void **state)
{
    (void)state;
    char text[4096];
    char again[4096];
    ASSERT_OK(ndbuf_tuning_set("cpu.rep_movsb_nbytes", 4096, err));
    ASSERT_OK(ndbuf_tuning_set("cpu.stream_nbytes", (double)((int64_t)1 << 62), err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.cuda.row_ns", 0.0625, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.cuda.wait_ns", 1e12, err));
    size_t length = ndbuf_tuning_text(text, sizeof(text));
    assert_true(length < sizeof(text));
    assert_int_equal(strlen(text), length);
    assert_int_equal(ndbuf_tuning_text(NULL, 0), length);
    assert_non_null(strstr(text, "cpu.stream_nbytes = 4611686018427387904\n"));
    assert_non_null(strstr(text, "link.cpu.cuda.row_ns = 0.0625\n"));
    assert_null(strstr(text, "cpu.thread_nbytes"));
    ndbuf_tuning_reset();
    assert_int_equal(ndbuf_tuning_text(again, 20), ndbuf_tuning_text(NULL, 0));
    assert_int_equal(strlen(again), 19);
    ASSERT_OK(parse(text, err));
    (void)ndbuf_tuning_text(again, sizeof(again));
    assert_string_equal(text, again);
}

static void test_a_bad_line_is_told_and_nothing_is_set(void **state)
{
    (void)state;
    static const struct {
        const char *line; /* behind a good one */
        const char *part;
    } bad[] = {
        {"cpu.stream_nbytes", "text: line 3: no 'name = value' in 'cpu.stream_nbytes'"},
        {"cpu.stream = 1", "line 3: no constant 'cpu.stream'"},
        {"= 1", "line 3: no constant ''"},
        {"cpu.stream_nbytes =", "line 3: not a number ''"},
        {"cpu.stream_nbytes = # 5", "line 3: not a number ''"},
        {"cpu.stream_nbytes = -5", "line 3: not a number '-5'"},
        {"cpu.stream_nbytes = 5K", "line 3: not a number '5K'"},
        {"cpu.stream_nbytes = 5 6", "line 3: not a number '5 6'"},
        {"cpu.stream_nbytes = 5.", "line 3: not a number '5.'"},
        {"cpu.stream_nbytes = .5", "line 3: not a number '.5'"},
        {"cpu.stream_nbytes = 1,5", "line 3: not a number '1,5'"},
        {"cpu.stream_nbytes = 0x10", "line 3: not a number '0x10'"},
        {"cpu.stream_nbytes = nan", "line 3: not a number 'nan'"},
        {"cpu.stream_nbytes = 1.5", "line 3: cpu.stream_nbytes is 1.5: not an integer"},
        {"cpu.stream_nbytes = 4999999999999999999", "not from 0 to 4611686018427387904"},
        {"cpu.stream_nbytes = 99999994999999999999999999", "line 3: not a number"},
        {"cpu.conflict_nbytes = 0", "line 3: cpu.conflict_nbytes is 0: not from 1 to"},
        {"link.cpu.opencl.row_ns = 9999999999999999", "line 3: row_ns is"},
        {"cpu.small_nbytes = 5", "line 3: 'cpu.small_nbytes' was set in line 2 already"},
        {"version = 1", "line 3: no constant 'version'"},
        {"machine = \x01", "characters that cannot be shown"},
        {"machine = a\nmachine = b", "line 4: a second machine 'b'"},
        {"\x7f\xff = \n", "line 3: no constant '\?\?'"},
    };
    double before = value_of("cpu.small_nbytes");
    for (size_t k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
        char text[256];
        snprintf(text, sizeof(text), "version = 1\ncpu.small_nbytes = 77\n%s\n", bad[k].line);
        ASSERT_FAILS(NDBUF_ERR_INVALID, bad[k].part, parse(text, err));
        assert_true(value_of("cpu.small_nbytes") == before);
    }
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no 'version = 1'", parse("", err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "no 'version = 1'", parse("# nothing\n", err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "line 1: expected 'version = 1', found 'version = 2'", parse("version = 2\n", err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "line 1: expected 'version = 1'", parse("cpu.small_nbytes = 77\n", err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "line 2: no 'name = value'", /* a zero byte */
                 ndbuf_tuning_parse("version = 1\n\0", 13, "text", err));
}

static void test_random_bytes_are_refused_and_set_nothing(void **state)
{
    (void)state;
    static const char pool[] =
        "version = 1\nmachine=cpu.small_nbytes = 0123456789.:#\r\t\xff\x01link.cpu.opencl.row_ns";
    test_random random = test_random_make("test_random_bytes_are_refused_and_set_nothing", 5);
    double before = value_of("cpu.small_nbytes");
    for (int i = 0; i < 5000; i++) {
        char text[300] = "version = 1\ncpu.small_nbytes = 77\n";
        size_t length = strlen(text);
        for (int64_t k = test_random_range(&random, 1, 200); k > 0; k--) {
            text[length++] = pool[test_random_range(&random, 0, (int64_t)sizeof(pool) - 2)];
        }
        if (ndbuf_tuning_parse(text, length, "text", NULL) == NDBUF_OK) {
            ndbuf_tuning_reset();
        }
        assert_true(value_of("cpu.small_nbytes") == before);
    }
}

static void test_files_that_cannot_be_read_are_told(void **state)
{
    (void)state;
    char path[] = "/tmp/ndbuf-test-tuning-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    static const char text[] = "version = 1\ncpu.small_nbytes = 78\n";
    assert_int_equal(write(descriptor, text, sizeof(text) - 1), sizeof(text) - 1);
    ASSERT_OK(ndbuf_tuning_load(path, err));
    assert_true(value_of("cpu.small_nbytes") == 78);
    ALLOC_FAIL_SWEEP(status_ = ndbuf_tuning_load(path, NULL), (void)0);
    assert_int_equal(ftruncate(descriptor, (1 << 20) + 1), 0);
    ASSERT_FAILS(NDBUF_ERR_IO, "larger than 1 MiB", ndbuf_tuning_load(path, err));
    close(descriptor);
    unlink(path);
    ASSERT_FAILS(NDBUF_ERR_IO, "cannot open '/tmp/ndbuf-test", ndbuf_tuning_load(path, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "cannot read '/tmp'", ndbuf_tuning_load("/tmp", err));
}

/* -- while copies run -- */

enum { NBYTES = 1 << 17, NROUNDS = 300 };
static atomic_bool is_done;

static NDBUF__THREAD_RESULT set_all_the_time(void *context)
{
    (void)context;
    for (int i = 0; !atomic_load(&is_done); i++) {
        (void)ndbuf_tuning_set("cpu.stream_nbytes", i % 3 == 0 ? 1 : 1e9, NULL);
        (void)ndbuf_tuning_set("cpu.panel_nbytes", 1 + i % 1000, NULL);
        (void)ndbuf_tuning_set("cpu.strip_rows", 1 + i % 50, NULL);
        (void)ndbuf_tuning_set("cpu.small_nbytes", i % 2 * 4096, NULL);
        (void)ndbuf_tuning_set("link.cpu.cpu.call_ns", i % 7, NULL);
        if (i % 64 == 0) {
            ndbuf_tuning_reset();
        }
    }
    NDBUF__THREAD_RETURN;
}

static void test_constants_are_set_while_copies_run(void **state)
{
    (void)state;
    static const int64_t shape[2] = {256, NBYTES / 256};
    ndbuf_format *format = test_parse("B");
    ndbuf_view src = {0};
    ndbuf_view dst = {0};
    ndbuf__thread setter;
    ASSERT_OK(ndbuf_view_create(&src, ndbuf_device_cpu(), format, 2, shape, err));
    unsigned char *from = ndbuf_view_host_address(&src);
    for (int k = 0; k < NBYTES; k++) {
        from[k] = (unsigned char)(k * 7 + k / 251);
    }
    ndbuf_view turned = {0};
    ASSERT_OK(ndbuf_view_transpose(&src, &turned, err));
    ASSERT_OK(ndbuf_view_create(&dst, ndbuf_device_cpu(), format, 2, turned.shape, err));
    const unsigned char *to = ndbuf_view_host_address(&dst);
    atomic_store(&is_done, false);
    assert_true(ndbuf__thread_start(&setter, set_all_the_time, NULL));
    bool equal = true;
    for (int round = 0; round < NROUNDS && equal; round++) {
        memset(ndbuf_view_host_address(&dst), 0, NBYTES);
        equal = ndbuf_copy(&dst, &turned, NULL, NULL) == NDBUF_OK;
        for (int64_t i = 0; i < shape[1] && equal; i++) {
            for (int64_t j = 0; j < shape[0]; j++) {
                equal = equal && to[i * shape[0] + j] == from[j * shape[1] + i];
            }
        }
    }
    atomic_store(&is_done, true);
    ndbuf__thread_join(setter);
    assert_true(equal);
    ndbuf_view_release(&turned);
    ndbuf_view_release(&dst);
    ndbuf_view_release(&src);
    ndbuf_format_release(format);
}

static void test_the_child_of_a_fork_sets_constants_whatever_the_parent_was_doing(void **state)
{
    (void)state;
    enum { NFORKS = 200 };
    ndbuf__thread setter;
    int nhung = 0;
    atomic_store(&is_done, false);
    assert_true(ndbuf__thread_start(&setter, set_all_the_time, NULL));
    for (int i = 0; i < NFORKS && nhung == 0; i++) {
        int result = -1;
        pid_t child = fork();
        if (child == 0) {
            alarm(10);
            _exit(ndbuf_tuning_set("cpu.thread_nbytes", 1 << 20, NULL) == NDBUF_OK ? 0 : 1);
        }
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &result, 0), child);
        nhung += result != 0;
    }
    atomic_store(&is_done, true);
    ndbuf__thread_join(setter);
    assert_int_equal(nhung, 0);
}

/* Last, since links stay known: their number is limited. */
static void test_more_links_than_there_is_room_for_are_refused(void **state)
{
    (void)state;
    char text[8192] = "version = 1\n";
    size_t length = strlen(text);
    int32_t before = ndbuf_tuning_count();
    for (int k = 0; k < 70; k++) {
        length += (size_t)snprintf(text + length, sizeof(text) - length, "link.cpu.x%d.call_ns = 1\n", k);
    }
    ASSERT_FAILS(NDBUF_ERR_BUSY, "more than 64 links", parse(text, err));
    assert_int_equal(ndbuf_tuning_count(), before);
    int nset = 0;
    for (; nset < 70; nset++) {
        char name[64];
        snprintf(name, sizeof(name), "link.cpu.x%d.call_ns", nset);
        if (ndbuf_tuning_set(name, 1, NULL) != NDBUF_OK) {
            break;
        }
    }
    assert_true(nset > 40 && nset < 65);
    ASSERT_FAILS(NDBUF_ERR_BUSY, "64 links", ndbuf_tuning_set("link.y.cpu.row_ns", 1, err));
    ASSERT_OK(ndbuf_tuning_set("link.cpu.x0.row_ns", 1, err));
    ASSERT_OK(ndbuf_tuning_set("link.y.cpu.row_ns", (double)NAN, err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_each_constant_has_a_name_a_unit_and_a_default_within_its_limits, reset),
        cmocka_unit_test_teardown(test_what_is_no_value_of_a_constant_is_refused, reset),
        cmocka_unit_test_teardown(test_costs_of_a_link_take_the_place_of_the_backends, reset),
        cmocka_unit_test_teardown(test_costs_of_a_link_choose_the_route, reset),
        cmocka_unit_test_teardown(test_a_text_sets_constants, reset),
        cmocka_unit_test_teardown(test_a_text_is_read_without_signals_of_floating_point, reset),
        cmocka_unit_test_teardown(test_the_text_of_the_constants_gives_them_back, reset),
        cmocka_unit_test_teardown(test_a_bad_line_is_told_and_nothing_is_set, reset),
        cmocka_unit_test_teardown(test_random_bytes_are_refused_and_set_nothing, reset),
        cmocka_unit_test_teardown(test_files_that_cannot_be_read_are_told, reset),
        cmocka_unit_test_teardown(test_constants_are_set_while_copies_run, reset),
        cmocka_unit_test_teardown(test_the_child_of_a_fork_sets_constants_whatever_the_parent_was_doing, reset),
        cmocka_unit_test_teardown(test_more_links_than_there_is_room_for_are_refused, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
