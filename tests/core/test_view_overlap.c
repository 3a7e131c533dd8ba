/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "tests/support/sample_views.h"

static void bytes_at(ndbuf_view *out_view, sample_storage *sample, int64_t byte_offset, int64_t nbytes)
{
    sample_view_init(out_view, sample, 1, 1, &nbytes, NULL, byte_offset);
}

static ndbuf_answer overlap_and_release(ndbuf_view *a, ndbuf_view *b)
{
    ndbuf_answer answer = ndbuf_view_overlap(a, b);
    assert_int_equal(ndbuf_view_overlap(b, a), answer);
    ndbuf_view_release(a);
    ndbuf_view_release(b);
    return answer;
}

static void test_one_storage_is_compared_by_offsets(void **state)
{
    (void)state;
    static const ndbuf_device_type types[] = {NDBUF_DEVICE_CPU, NDBUF_DEVICE_CUDA, NDBUF_DEVICE_OPENCL,
                                              NDBUF_DEVICE_EXT};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        sample_storage sample;
        sample_storage_init(&sample, types[i], NULL, 100);
        ndbuf_view a, b;
        bytes_at(&a, &sample, 0, 50);
        bytes_at(&b, &sample, 50, 50);
        assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
        bytes_at(&a, &sample, 0, 51);
        bytes_at(&b, &sample, 50, 50);
        assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);
        bytes_at(&a, &sample, 0, 100);
        bytes_at(&b, &sample, 50, 0);
        assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
    }
}

static void test_addresses_of_different_storages_are_compared(void **state)
{
    (void)state;
    char memory[100];
    sample_storage whole, part, other;
    sample_storage_init(&whole, NDBUF_DEVICE_CPU, memory, 100);
    sample_storage_init(&part, NDBUF_DEVICE_CUDA_HOST, memory + 60, 40);
    char elsewhere[100];
    sample_storage_init(&other, NDBUF_DEVICE_CPU, elsewhere, 100);
    ndbuf_view a, b;
    bytes_at(&a, &whole, 0, 71);
    bytes_at(&b, &part, 10, 5);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);
    bytes_at(&a, &whole, 0, 70);
    bytes_at(&b, &part, 10, 5);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
    bytes_at(&a, &whole, 0, 100);
    bytes_at(&b, &other, 0, 100);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
}

static void test_handles_without_addresses_are_compared_as_a_whole(void **state)
{
    (void)state;
    sample_storage first, second, on_host, on_third, on_fourth;
    sample_storage_init(&first, NDBUF_DEVICE_OPENCL, (void *)(uintptr_t)4096, 100);
    sample_storage_init(&second, NDBUF_DEVICE_OPENCL, (void *)(uintptr_t)4100, 100);
    sample_storage_init(&on_host, NDBUF_DEVICE_CPU, (void *)(uintptr_t)4096, 100);
    sample_storage_init(&on_third, NDBUF_DEVICE_EXT, (void *)(uintptr_t)4096, 100);
    sample_storage_init(&on_fourth, NDBUF_DEVICE_EXT, (void *)(uintptr_t)4096, 100);
    on_fourth.device.tag.id = 1;
    sample_storage *pairs[4][2] = {{&first, &second}, {&first, &on_host}, {&first, &on_third}, {&on_third, &on_fourth}};
    for (int i = 0; i < 4; i++) {
        ndbuf_view a, b;
        bytes_at(&a, pairs[i][0], 0, 100);
        bytes_at(&b, pairs[i][1], 0, 100);
        assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
    }
}

static void test_backends_of_one_type_have_handles_of_their_own(void **state)
{
    (void)state;
    static const ndbuf_backend_ops one, another;
    sample_storage first, second;
    ndbuf_view a, b;
    sample_storage_init(&first, NDBUF_DEVICE_EXT, (void *)(uintptr_t)3, 100);
    sample_storage_init(&second, NDBUF_DEVICE_EXT, (void *)(uintptr_t)3, 100);
    first.device.ops = &one;
    for (int i = 0; i < 2; i++) {
        second.device.ops = i == 0 ? &one : &another;
        bytes_at(&a, &first, 0, 51);
        bytes_at(&b, &second, 50, 50);
        assert_int_equal(overlap_and_release(&a, &b), i == 0 ? NDBUF_YES : NDBUF_NO);
    }
}

/* What the host can touch is one piece, whatever the handles are. */
static void test_memory_that_the_host_reaches_is_compared_by_address(void **state)
{
    (void)state;
    char memory[100];
    char *table[2] = {memory + 20, memory + 60};
    sample_storage on_host, whole, part, rows;
    ndbuf_view a, b;
    sample_storage_init(&on_host, NDBUF_DEVICE_CPU, memory, 100);
    sample_storage_init(&whole, NDBUF_DEVICE_EXT, (void *)(uintptr_t)3, 100);
    sample_storage_init(&part, NDBUF_DEVICE_EXT, (void *)(uintptr_t)5, 40);
    sample_storage_init(&rows, NDBUF_DEVICE_CPU, table, sizeof(table));
    whole.storage.mem.host_address = memory;
    part.storage.mem.host_address = memory + 60;
    bytes_at(&a, &on_host, 0, 62);
    bytes_at(&b, &part, 1, 5);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);
    bytes_at(&a, &on_host, 0, 61);
    bytes_at(&b, &part, 1, 5);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
    bytes_at(&a, &whole, 0, 62);
    bytes_at(&b, &part, 1, 5);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);

    const int64_t shape[2] = {2, 4};
    const int64_t strides[2] = {sizeof(char *), 1};
    const int64_t suboffsets[2] = {0, -1};
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    for (int64_t offset = 0; offset <= 4; offset += 4) {
        ASSERT_OK(ndbuf_view_init(&a, &rows.storage, &spec, err));
        bytes_at(&b, &part, offset, 5);
        assert_int_equal(overlap_and_release(&a, &b), offset == 0 ? NDBUF_YES : NDBUF_NO);
    }
}

/* A context of OpenCL's has one buffer for all its devices. */
static void test_a_buffer_of_opencl_is_the_same_on_all_devices(void **state)
{
    (void)state;
    sample_storage first, second;
    ndbuf_view a, b;
    sample_storage_init(&first, NDBUF_DEVICE_OPENCL, (void *)(uintptr_t)4096, 100);
    sample_storage_init(&second, NDBUF_DEVICE_OPENCL, (void *)(uintptr_t)4096, 100);
    second.device.tag.id = 1;
    bytes_at(&a, &first, 0, 50);
    bytes_at(&b, &second, 49, 51);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);
    bytes_at(&a, &first, 0, 50);
    bytes_at(&b, &second, 50, 50);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
}

/* 4096 holds [20, 60) of 100 bytes, and 4100 has [50, 80) of them. */
static void test_parts_are_compared_in_the_whole(void **state)
{
    (void)state;
    sample_storage whole, part, other;
    ndbuf_view a, b;
    void *handle = (void *)(uintptr_t)8192;
    sample_storage_init(&whole, NDBUF_DEVICE_EXT, handle, 100);
    sample_storage_init(&part, NDBUF_DEVICE_EXT, (void *)(uintptr_t)4096, 40);
    sample_storage_init(&other, NDBUF_DEVICE_EXT, (void *)(uintptr_t)4100, 30);
    part.storage.mem.whole = other.storage.mem.whole = handle;
    part.storage.mem.whole_offset = 20;
    other.storage.mem.whole_offset = 50;
    const struct {
        sample_storage *a, *b;
        int64_t a_offset, b_offset;
        ndbuf_answer answer;
    } cases[] = {
        {&whole, &part, 10, 0, NDBUF_NO},    {&whole, &part, 11, 0, NDBUF_YES},  {&whole, &part, 59, 30, NDBUF_YES},
        {&whole, &part, 60, 30, NDBUF_NO},   {&part, &other, 29, 0, NDBUF_YES},  {&part, &other, 20, 0, NDBUF_NO},
        {&other, &whole, 20, 79, NDBUF_YES}, {&other, &whole, 20, 80, NDBUF_NO},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bytes_at(&a, cases[i].a, cases[i].a_offset, 10);
        bytes_at(&b, cases[i].b, cases[i].b_offset, 10);
        assert_int_equal(overlap_and_release(&a, &b), cases[i].answer);
    }
}

enum { NROWS = 4, ROW_NBYTES = 8 };

/* A view of bytes of NROWS rows, every `stride`-th of `length`, through pointers. */
static void rows_init(ndbuf_view *out_view, sample_storage *out_sample, char **table, int64_t length, int64_t stride,
                      int64_t suboffset)
{
    const int64_t shape[2] = {NROWS, length};
    const int64_t strides[2] = {sizeof(char *), stride};
    const int64_t suboffsets[2] = {suboffset, -1};
    sample_storage_init(out_sample, NDBUF_DEVICE_CPU, table, NROWS * (int64_t)sizeof(char *));
    ndbuf_view_spec spec = {.ndim = 2, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ASSERT_OK(ndbuf_view_init(out_view, &out_sample->storage, &spec, err));
}

static void test_rows_behind_pointers_are_compared_one_by_one(void **state)
{
    (void)state;
    char data[NROWS * ROW_NBYTES];
    char *upwards[NROWS], *downwards[NROWS];
    for (int k = 0; k < NROWS; k++) {
        upwards[k] = downwards[NROWS - 1 - k] = data + k * ROW_NBYTES;
    }
    sample_storage samples[2], plain;
    sample_storage_init(&plain, NDBUF_DEVICE_CPU, data, sizeof(data));
    ndbuf_view a, b;
    rows_init(&a, &samples[0], upwards, 4, 1, 0);
    rows_init(&b, &samples[1], downwards, 4, 1, 4);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO); /* left and right halves */
    rows_init(&a, &samples[0], upwards, 5, 1, 0);
    rows_init(&b, &samples[1], downwards, 4, 1, 4);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);
    rows_init(&a, &samples[0], upwards, 4, 2, 0);
    rows_init(&b, &samples[1], downwards, 4, 2, 1);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO); /* even and odd bytes */
    rows_init(&a, &samples[0], upwards, 4, 1, 0);
    bytes_at(&b, &plain, 28, 4);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
    rows_init(&a, &samples[0], upwards, 4, 1, 0);
    bytes_at(&b, &plain, 27, 1);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);
}

static void test_items_over_the_pointers_of_the_other_view_are_not_denied(void **state)
{
    (void)state;
    char data[ROW_NBYTES];
    char *table[NROWS + 1] = {data, data, data, data, NULL};
    sample_storage samples[2];
    ndbuf_view a, b;
    rows_init(&a, &samples[0], table, 4, 1, 0);
    sample_storage_init(&samples[1], NDBUF_DEVICE_CPU, table, sizeof(table));
    bytes_at(&b, &samples[1], 3 * sizeof(char *), sizeof(char *));
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_UNDECIDED);
    rows_init(&a, &samples[0], table, 4, 1, 0);
    bytes_at(&b, &samples[1], NROWS * sizeof(char *), sizeof(char *));
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
}

/* Bytes through `nlevels` tables, each with two pointers to each one of the next: all of `nlevels` + 1 axes. */
static void tables_init(ndbuf_view *out_view, sample_storage *out_sample, char *tables[][8], char *data, int nlevels)
{
    int64_t shape[4];
    int64_t strides[4];
    int64_t suboffsets[4];
    for (int level = 0; level <= nlevels; level++) {
        shape[level] = level < nlevels ? 2 : ROW_NBYTES;
        strides[level] = level < nlevels ? (int64_t)sizeof(char *) : 1;
        suboffsets[level] = level < nlevels ? 0 : -1;
        for (int k = 0; level < nlevels && k < 2 << level; k++) {
            tables[level][k] =
                level < nlevels - 1 ? (char *)&tables[level + 1][(ptrdiff_t)2 * k] : data + k * ROW_NBYTES;
        }
    }
    sample_storage_init(out_sample, NDBUF_DEVICE_CPU, tables[0], 2 * (int64_t)sizeof(char *));
    ndbuf_view_spec spec = {.ndim = nlevels + 1, .shape = shape, .strides = strides, .suboffsets = suboffsets};
    ASSERT_OK(ndbuf_view_init(out_view, &out_sample->storage, &spec, err));
}

static void test_items_over_pointers_of_any_level_are_not_denied(void **state)
{
    (void)state;
    char data[8 * ROW_NBYTES];
    char *tables[3][8];
    char *rows[NROWS];
    for (int nlevels = 1; nlevels <= 3; nlevels++) {
        for (int level = 0; level <= nlevels; level++) {
            sample_storage samples[2];
            ndbuf_view a, b;
            const bool is_table = level < nlevels;
            char *place = is_table ? (char *)tables[level] : data;
            const int64_t nbytes = is_table ? (int64_t)sizeof(char *) * (2 << level) : ROW_NBYTES * (1 << nlevels);
            const ndbuf_answer expected = is_table ? NDBUF_UNDECIDED : NDBUF_YES;
            tables_init(&a, &samples[0], tables, data, nlevels);
            sample_storage_init(&samples[1], NDBUF_DEVICE_CPU, place, nbytes + 8);
            bytes_at(&b, &samples[1], nbytes - 1, 1);
            assert_int_equal(overlap_and_release(&a, &b), expected);
            if (nbytes < (int64_t)sizeof(tables[0])) { /* and not behind */
                tables_init(&a, &samples[0], tables, data, nlevels);
                bytes_at(&b, &samples[1], nbytes, 8);
                assert_int_equal(overlap_and_release(&a, &b), NDBUF_NO);
            }
            for (int k = 0; k < NROWS; k++) { /* nor are rows behind pointers */
                rows[k] = place + nbytes - 8;
            }
            tables_init(&a, &samples[0], tables, data, nlevels);
            rows_init(&b, &samples[1], rows, 1, 1, 7);
            assert_int_equal(overlap_and_release(&a, &b), expected);
        }
    }
}

static ndbuf_answer self_overlap_and_release(ndbuf_view *view)
{
    ndbuf_answer answer = ndbuf_view_self_overlap(view);
    ndbuf_view_release(view);
    return answer;
}

static void test_self_overlap_sees_rows_that_share_bytes(void **state)
{
    (void)state;
    char data[NROWS * ROW_NBYTES];
    char *table[NROWS] = {data + 16, data, data + 24, data + 8};
    char *touching[NROWS] = {data, data + 7, data + 16, data + 24};
    char *interleaved[NROWS] = {data + 1, data + 3, data, data + 2};
    char *same[NROWS] = {data, data + 8, data, data + 16};
    sample_storage sample;
    ndbuf_view view;
    rows_init(&view, &sample, table, 8, 1, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_NO);
    rows_init(&view, &sample, table, 8, 0, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_YES);
    rows_init(&view, &sample, touching, 7, 1, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_NO);
    rows_init(&view, &sample, touching, 8, 1, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_YES);
    rows_init(&view, &sample, interleaved, 5, 4, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_NO);
    rows_init(&view, &sample, interleaved, 5, 2, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_YES);
    rows_init(&view, &sample, same, 1, 1, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_YES);
    rows_init(&view, &sample, same, 0, 1, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_NO);
    assert_int_equal(sample.nrefs, 0);
}

static void test_self_overlap_without_pointers_is_that_of_the_layout(void **state)
{
    (void)state;
    sample_storage sample;
    sample_storage_init(&sample, NDBUF_DEVICE_OPENCL, NULL, 100);
    const int64_t shape[2] = {3, 4};
    const int64_t repeated[2] = {0, 4};
    ndbuf_view view;
    sample_view_init(&view, &sample, 4, 2, shape, NULL, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_NO);
    sample_view_init(&view, &sample, 4, 2, shape, repeated, 0);
    assert_int_equal(self_overlap_and_release(&view), NDBUF_YES);
}

static void test_without_memory_for_the_pointers_nothing_is_decided(void **state)
{
    (void)state;
    char data[NROWS * ROW_NBYTES];
    char *table[NROWS] = {data, data + 8, data + 16, data + 24};
    sample_storage samples[2];
    ndbuf_view a, b;
    rows_init(&a, &samples[0], table, 8, 1, 0);
    rows_init(&b, &samples[1], table, 8, 1, 0);
    for (int nth = 1; nth <= 2; nth++) {
        test_alloc_fail_at(nth);
        ndbuf_answer answer = ndbuf_view_overlap(&a, &b);
        assert_true(test_alloc_fail_end());
        assert_int_equal(answer, NDBUF_UNDECIDED);
    }
    test_alloc_fail_at(1);
    ndbuf_answer answer = ndbuf_view_self_overlap(&a);
    assert_true(test_alloc_fail_end());
    assert_int_equal(answer, NDBUF_UNDECIDED);
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);
}

static void test_rows_of_two_views_that_lie_apart_are_told_from_their_ranges(void **state)
{
    (void)state;
    char data[2 * NROWS * 8];
    char *a_table[NROWS] = {data + 24, data, data + 8, data + 16};
    char *b_table[NROWS] = {data + 48, data + 32, data + 56, data + 40};
    sample_storage samples[2];
    ndbuf_view a, b;
    rows_init(&a, &samples[0], a_table, 8, 1, 0);
    rows_init(&b, &samples[1], b_table, 8, 1, 0);
    test_alloc_fail_at(1); /* nothing is sorted, so nothing is allocated */
    ndbuf_answer answer = ndbuf_view_overlap(&a, &b);
    assert_false(test_alloc_fail_end());
    assert_int_equal(answer, NDBUF_NO);
    b_table[2] = data + 16;
    assert_int_equal(overlap_and_release(&a, &b), NDBUF_YES);
}

static void test_rows_over_the_pointers_of_other_rows_are_not_denied(void **state)
{
    (void)state;
    char data[2 * NROWS * 8];
    char *b_table[NROWS] = {data + 32, data + 40, data + 48, data + 56};
    char *a_table[NROWS] = {data, data + 8, data + 16, data + 24};
    sample_storage samples[2];
    ndbuf_view a, b;
    for (int side = 0; side < 2; side++) {
        rows_init(&a, &samples[0], a_table, 8, 1, 0);
        rows_init(&b, &samples[1], b_table, 8, 1, 0);
        assert_int_equal(ndbuf_view_overlap(&a, &b), NDBUF_NO);
        a_table[2] = (char *)&b_table[1];
        assert_int_equal(side == 0 ? overlap_and_release(&a, &b) : overlap_and_release(&b, &a), NDBUF_UNDECIDED);
        a_table[2] = data + 16;
    }
}

static void test_rows_that_suboffsets_lead_into_others_are_found(void **state)
{
    (void)state;
    char data[2 * NROWS * 8];
    char *table[NROWS] = {data + 24, data, data + 8, data + 16};
    sample_storage samples[2];
    ndbuf_view a, b;
    for (int64_t suboffset = 0; suboffset <= 8; suboffset += 4) {
        rows_init(&a, &samples[0], table, 4, 1, suboffset);
        sample_storage_init(&samples[1], NDBUF_DEVICE_CPU, data + 32, NROWS * 8);
        bytes_at(&b, &samples[1], 0, 8);
        assert_int_equal(overlap_and_release(&a, &b), suboffset == 8 ? NDBUF_YES : NDBUF_NO);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_storage_is_compared_by_offsets),
        cmocka_unit_test(test_addresses_of_different_storages_are_compared),
        cmocka_unit_test(test_handles_without_addresses_are_compared_as_a_whole),
        cmocka_unit_test(test_backends_of_one_type_have_handles_of_their_own),
        cmocka_unit_test(test_memory_that_the_host_reaches_is_compared_by_address),
        cmocka_unit_test(test_a_buffer_of_opencl_is_the_same_on_all_devices),
        cmocka_unit_test(test_parts_are_compared_in_the_whole),
        cmocka_unit_test(test_rows_behind_pointers_are_compared_one_by_one),
        cmocka_unit_test(test_items_over_the_pointers_of_the_other_view_are_not_denied),
        cmocka_unit_test(test_items_over_pointers_of_any_level_are_not_denied),
        cmocka_unit_test(test_self_overlap_sees_rows_that_share_bytes),
        cmocka_unit_test(test_self_overlap_without_pointers_is_that_of_the_layout),
        cmocka_unit_test(test_without_memory_for_the_pointers_nothing_is_decided),
        cmocka_unit_test(test_rows_of_two_views_that_lie_apart_are_told_from_their_ranges),
        cmocka_unit_test(test_rows_over_the_pointers_of_other_rows_are_not_denied),
        cmocka_unit_test(test_rows_that_suboffsets_lead_into_others_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
