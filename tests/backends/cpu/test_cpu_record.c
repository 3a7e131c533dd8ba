/* SPDX-License-Identifier: Apache-2.0 */
/* Boxes of records, by all kernels, against the reference. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "tests/support/random_types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ndbuf/cpu.h"

#include "core/host_plan.h"
#include "core/host_records.h"

#include "backends/cpu/cpu_kernels.h"
#include "backends/cpu/cpu_record.h"
#include "backends/cpu/cpu_tuning.h"
#include "tests/backends/cpu/all_kernels.h"
#include "tests/backends/cpu/random_box.h"

#define MOST_ITEM_NBYTES 1500

static ndbuf_format *format_of(const test_type *type)
{
    char text[4096];
    test_type_print(type, text, sizeof(text));
    return test_parse(text);
}

/* Memory that ends with a page, behind which a read is a fault. */
typedef struct guarded {
    char *map;
    size_t map_nbytes;
    char *bytes;
} guarded;

static guarded guarded_make(int64_t nbytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t pages = ((size_t)nbytes + page - 1) / page * page;
    guarded made = {.map_nbytes = pages + page};
    made.map = mmap(NULL, made.map_nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(made.map != MAP_FAILED);
    assert_int_equal(mprotect(made.map + pages, page, PROT_NONE), 0);
    made.bytes = made.map + pages - nbytes;
    return made;
}

static int nplans; /* that were kept, and run */

static void fail_records(const char *how, const test_type *to, const test_type *from, uint32_t flags,
                         const ndbuf__copy_axes *axes)
{
    char text[2][4096];
    char layout[400] = "";
    test_type_print(to, text[0], sizeof(text[0]));
    test_type_print(from, text[1], sizeof(text[1]));
    for (int32_t k = 0; k < axes->ndim; k++) {
        size_t used = strlen(layout);
        snprintf(layout + used, sizeof(layout) - used, ", %lld: %lld <- %lld", (long long)axes->shape[k],
                 (long long)axes->dst_strides[k], (long long)axes->src_strides[k]);
    }
    fail_msg("%s: '%s' to '%s', flags %u%s", how, text[1], text[0], flags, layout);
}

/* A pair of types in a random layout of up to about max_nbytes: at once, and by a plan that is kept. */
static void check_types(test_random *random, const test_type *to, const test_type *from, int64_t max_nbytes)
{
    int64_t shape[RANDOM_BOX_MAX_AXES];
    int64_t dst_strides[RANDOM_BOX_MAX_AXES] = {0};
    int64_t src_strides[RANDOM_BOX_MAX_AXES] = {0};
    int64_t dst_nbytes;
    int64_t src_nbytes;
    const int64_t to_nbytes = test_type_nbytes(to);
    const int64_t from_nbytes = test_type_nbytes(from);
    const int64_t larger = to_nbytes > from_nbytes ? to_nbytes : from_nbytes;
    const int32_t ndim = random_box_shape(shape, random, larger, max_nbytes);
    const int64_t dst_offset = random_box_strides(dst_strides, random, ndim, shape, to_nbytes, true, &dst_nbytes);
    const int64_t src_offset = random_box_strides(src_strides, random, ndim, shape, from_nbytes,
                                                  test_random_range(random, 0, 1) != 0, &src_nbytes);
    if (dst_nbytes > 16 * max_nbytes || src_nbytes > 16 * max_nbytes) {
        return; /* gaps in gaps in gaps */
    }
    const uint32_t flags = test_random_range(random, 0, 2) == 0 ? NDBUF_CAST_SATURATE : 0;
    const int64_t lead = test_random_range(random, 0, 3) * 16 + test_random_range(random, 0, 1) * 5;
    guarded src = guarded_make(src_nbytes);
    guarded dst = guarded_make(lead + dst_nbytes);
    char *expected = malloc((size_t)dst_nbytes);
    assert_non_null(expected);
    memset(expected, 0x5A, (size_t)dst_nbytes);
    ndbuf__copy_axes axes = {.unit_nbytes = to_nbytes};
    axes.convert.dst.nbytes = (int32_t)to_nbytes;
    axes.convert.src.nbytes = (int32_t)from_nbytes;
    for (int32_t k = 0; k < ndim; k++) {
        ndbuf__copy_axes_append(&axes, shape[k], dst_strides[k], src_strides[k]);
    }
    ndbuf__copy_axes_merge(&axes);
    int64_t index[RANDOM_BOX_MAX_AXES] = {0};
    do {
        test_random_item(random, from, src.bytes + src_offset + random_box_place(index, src_strides, ndim));
    } while (random_box_next(index, shape, ndim));
    do {
        test_convert_item(expected + dst_offset + random_box_place(index, dst_strides, ndim), to,
                          src.bytes + src_offset + random_box_place(index, src_strides, ndim), from, flags);
    } while (random_box_next(index, shape, ndim));
    ndbuf_format *dst_format = format_of(to);
    ndbuf_format *src_format = format_of(from);
    ndbuf__conversion conversion;
    ASSERT_OK(ndbuf__conversion_init(&conversion, dst_format, src_format, NDBUF_CASTING_UNSAFE, flags, err));
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        ndbuf_cpu__kernels_set(kernels);
        char *const to_first = dst.bytes + lead + dst_offset;
        ndbuf__host_plan *plan = NULL;
        memset(dst.bytes, 0x5A, (size_t)(lead + dst_nbytes));
        ASSERT_OK(ndbuf__host_records_convert(&axes, &conversion, to_first, src.bytes + src_offset, err));
        if (memcmp(dst.bytes + lead, expected, (size_t)dst_nbytes) != 0) {
            fail_records(kernels->name, to, from, flags, &axes);
        }
        ASSERT_OK(ndbuf__host_plan_create(&axes, &conversion, to_first + axes.dst_offset, &plan, err));
        if (plan != NULL) {
            memset(dst.bytes, 0x5A, (size_t)(lead + dst_nbytes));
            assert_true(
                ndbuf__host_plan_run(plan, to_first + axes.dst_offset, src.bytes + src_offset + axes.src_offset));
            nplans++;
            if (memcmp(dst.bytes + lead, expected, (size_t)dst_nbytes) != 0) {
                fail_records("by a plan", to, from, flags, &axes);
            }
        }
        ndbuf__host_plan_destroy(plan);
    }
    ndbuf__conversion_clear(&conversion);
    ndbuf_format_release(dst_format);
    ndbuf_format_release(src_format);
    free(expected);
    munmap(src.map, src.map_nbytes);
    munmap(dst.map, dst.map_nbytes);
}

static void check_random_types(test_random *random, int64_t max_nbytes)
{
    test_type to;
    test_type from;
    test_random_types(random, &to, &from);
    if (to.kind == TEST_TYPE_RECORD && test_type_nbytes(&to) <= MOST_ITEM_NBYTES &&
        test_type_nbytes(&from) <= MOST_ITEM_NBYTES) {
        check_types(random, &to, &from, max_nbytes);
    }
    test_type_clear(&to);
    test_type_clear(&from);
}

static void all_kernels_convert_random_records_as_the_reference_does(void **state)
{
    (void)state;
    test_random random = test_random_make("all_kernels_convert_random_records_as_the_reference_does", 81);
    for (int i = 0; i < RANDOM_BOXES(60000); i++) {
        check_random_types(&random, (int64_t)1 << test_random_range(&random, 4, 16));
    }
    assert_true(nplans > RANDOM_BOXES(60000) / 4);
}

static void any_constants_give_right_records(void **state)
{
    (void)state;
    test_random random = test_random_make("any_constants_give_right_records", 82);
    for (int i = 0; i < RANDOM_BOXES(15000); i++) {
        ndbuf_cpu__tuning tuning = ndbuf_cpu__tuning_get();
        tuning.stream_nbytes = test_random_range(&random, 0, 2) != 0 ? 1 : 1 << 30;
        tuning.thread_nbytes = test_random_range(&random, 1, 65536);
        tuning.thread_share_nbytes = test_random_range(&random, 1, 4096);
        ndbuf_cpu__tuning_set(&tuning);
        ndbuf_cpu_threads_set((int32_t)test_random_range(&random, 1, 4), NULL);
        check_random_types(&random, (int64_t)1 << test_random_range(&random, 8, 17));
    }
}

/* More fields than go together, so that the box is passed twice. */
static void records_of_many_kinds_of_fields_are_converted(void **state)
{
    (void)state;
    test_random random = test_random_make("records_of_many_kinds_of_fields_are_converted", 83);
    static const ndbuf_element numbers[] = {
        {.number = NDBUF_NUMBER_BOOL, .nbytes = 1},    {.number = NDBUF_NUMBER_INT8, .nbytes = 1},
        {.number = NDBUF_NUMBER_UINT16, .nbytes = 2},  {.number = NDBUF_NUMBER_INT32, .nbytes = 4},
        {.number = NDBUF_NUMBER_FLOAT16, .nbytes = 2}, {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 8}};
    enum { N = sizeof(numbers) / sizeof(numbers[0]) };
    test_type fields[2][N * N];
    test_type types[2];
    for (int side = 0; side < 2; side++) {
        int64_t offset = 0;
        for (int i = 0; i < N * N; i++) {
            const ndbuf_element element = numbers[side == 0 ? i / N : i % N];
            fields[side][i] =
                (test_type){.kind = TEST_TYPE_NUMBER, .element = element, .nbytes = element.nbytes, .offset = offset};
            memcpy(fields[side][i].name, (char[]){'f', (char)('0' + i / 10), (char)('0' + i % 10)}, 3);
            offset += element.nbytes;
        }
        types[side] = (test_type){.kind = TEST_TYPE_RECORD,
                                  .is_named = true,
                                  .has_braces = true,
                                  .nbytes = offset,
                                  .nfields = N * N,
                                  .fields = fields[side]};
    }
    for (int i = 0; i < RANDOM_BOXES(200); i++) {
        check_types(&random, &types[0], &types[1], (int64_t)1 << test_random_range(&random, 7, 16));
    }
}

/* Three FLOAT64 of each item to FLOAT32: items that lie far apart have their numbers brought together stream by stream;
 * others by whole vectors, where there is a kernel for it. */
static void numbers_of_far_items_are_brought_together_stream_by_stream(void **state)
{
    (void)state;
    static const int64_t distances[] = {24, -24, 432, -432};
    ndbuf_format *dst_format = test_parse("T{f:a:f:b:f:c:}");
    ndbuf_format *src_format = test_parse("T{d:a:d:b:d:c:}");
    ndbuf__conversion conversion;
    ASSERT_OK(ndbuf__conversion_init(&conversion, dst_format, src_format, NDBUF_CASTING_UNSAFE, 0, err));
    for (const cpu_kernels *kernels = all_kernels_next(NULL); kernels != NULL; kernels = all_kernels_next(kernels)) {
        for (size_t i = 0; i < sizeof(distances) / sizeof(distances[0]); i++) {
            cpu_record record;
            ndbuf__copy_axes axes = {.unit_nbytes = 12};
            axes.convert.dst.nbytes = 12;
            axes.convert.src.nbytes = 24;
            ndbuf__copy_axes_append(&axes, 100, 12, distances[i]);
            assert_true(ndbuf_cpu__record_init(&record, &conversion, 0, &axes.convert, kernels));
            ndbuf_cpu__record_place(&record, &axes, false, false);
            const bool collects = kernels->collect != NULL && i < 2;
            const cpu_kernels *with_lanes = kernels;
            while (with_lanes != NULL && with_lanes->lane_blocks == NULL) {
                with_lanes = with_lanes->narrower;
            }
            assert_int_equal(record.collects.count > 0, collects);
            assert_int_equal(record.lane_items > 0, !collects && with_lanes != NULL);
            assert_int_equal(record.nitems, i < 2 ? 512 : 20 * 1024 / (12 + 64)); /* a line of each, with the gap */
        }
    }
    ndbuf__conversion_clear(&conversion);
    ndbuf_format_release(dst_format);
    ndbuf_format_release(src_format);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(all_kernels_convert_random_records_as_the_reference_does, all_kernels_teardown),
        cmocka_unit_test_teardown(any_constants_give_right_records, all_kernels_teardown),
        cmocka_unit_test_teardown(records_of_many_kinds_of_fields_are_converted, all_kernels_teardown),
        cmocka_unit_test_teardown(numbers_of_far_items_are_brought_together_stream_by_stream, all_kernels_teardown),
    };
    return cmocka_run_group_tests_name("backends/cpu/record", tests, NULL, NULL);
}
