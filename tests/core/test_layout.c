/* SPDX-License-Identifier: Apache-2.0 */
#include "core/layout.h"

#include <string.h>

#include "tests/support/sample_views.h"

static ndbuf__layout as_layout(const sample_layout *sample)
{
    return (ndbuf__layout){sample->ndim, sample->itemsize, sample->shape, sample->strides, NULL};
}

static int64_t offset_at(const sample_layout *layout, const int64_t *index)
{
    int64_t offset = 0;
    for (int32_t k = 0; k < layout->ndim; k++) {
        offset += index[k] * layout->strides[k];
    }
    return offset;
}

static void test_range_is_that_of_visiting_all_items(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 1);
    for (int i = 0; i < 5000; i++) {
        sample_layout sample = sample_layout_random(&random, 4, 5);
        ndbuf__layout layout = as_layout(&sample);
        bool overflow = false;
        int64_t lo, hi;
        int64_t expected_lo = 0, expected_hi = 0;
        bool has_items = sample_layout_range(&sample, &expected_lo, &expected_hi);
        ndbuf__layout_range(&layout, &lo, &hi, &overflow);
        assert_int_equal(lo, expected_lo);
        assert_int_equal(hi, expected_hi);
        assert_int_equal(ndbuf__layout_has_items(&layout), has_items);
        assert_false(overflow);
    }
}

/* In the order of contiguity, the items lie at 0, itemsize, 2 * itemsize ... */
static bool is_contiguous_slowly(const sample_layout *layout, char order)
{
    int64_t nitems = 1;
    for (int32_t k = 0; k < layout->ndim; k++) {
        nitems *= layout->shape[k];
    }
    for (int64_t i = 0; i < nitems; i++) {
        int64_t index[NDBUF_MAX_NDIM];
        sample_nth_index(layout->ndim, layout->shape, order, i, index);
        if (offset_at(layout, index) != i * layout->itemsize) {
            return false;
        }
    }
    return true;
}

static void test_contiguity_is_that_of_visiting_all_items(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 2);
    int count[2] = {0, 0};
    for (int i = 0; i < 5000; i++) {
        sample_layout sample = sample_layout_random(&random, 4, 3);
        ndbuf__layout layout = as_layout(&sample);
        for (int f = 0; f < 2; f++) {
            bool expected = is_contiguous_slowly(&sample, "CF"[f]);
            assert_int_equal(ndbuf__layout_is_contiguous(&layout, "CF"[f]), expected);
            count[f] += expected;
        }
    }
    assert_in_range(count[0], 500, 4500);
    assert_in_range(count[1], 500, 4500);
}

static void test_strides_of_single_items_mean_nothing(void **state)
{
    (void)state;
    const int64_t shape[3] = {1, 3, 1};
    const int64_t strides[3] = {INT64_MIN, 4, INT64_MAX};
    ndbuf__layout layout = {3, 4, shape, strides, NULL};
    bool overflow = false;
    int64_t lo, hi;
    ndbuf__layout_range(&layout, &lo, &hi, &overflow);
    assert_int_equal(lo, 0);
    assert_int_equal(hi, 12);
    assert_false(overflow);
    assert_true(ndbuf__layout_is_contiguous(&layout, 'C'));
    assert_true(ndbuf__layout_is_contiguous(&layout, 'F'));
    assert_false(ndbuf__layout_is_contiguous(&layout, 'A'));
    assert_int_equal(ndbuf__layout_self_overlap(&layout), NDBUF_NO);
    int64_t work = 0;
    assert_int_equal(ndbuf__layout_overlap(&layout, 0, &layout, 11, &work), NDBUF_YES);
    assert_int_equal(ndbuf__layout_overlap(&layout, 0, &layout, 12, &work), NDBUF_NO);
}

static void test_layouts_without_bytes_are_contiguous_and_never_overlap(void **state)
{
    (void)state;
    const int64_t shape[2] = {2, 0};
    const int64_t strides[2] = {INT64_MIN, 77};
    ndbuf__layout empty = {2, 4, shape, strides, NULL};
    const int64_t many[1] = {3};
    const int64_t apart[1] = {8};
    ndbuf__layout nothing = {1, 0, many, apart, NULL};
    ndbuf__layout byte = {0, 1, NULL, NULL, NULL};
    int64_t work = 0;
    assert_true(ndbuf__layout_is_contiguous(&empty, 'C') && ndbuf__layout_is_contiguous(&empty, 'F'));
    assert_true(ndbuf__layout_is_contiguous(&nothing, 'C') && ndbuf__layout_is_contiguous(&nothing, 'F'));
    assert_int_equal(ndbuf__layout_overlap(&empty, 0, &byte, 0, &work), NDBUF_NO);
    assert_int_equal(ndbuf__layout_overlap(&byte, 0, &nothing, 0, &work), NDBUF_NO);
    assert_int_equal(ndbuf__layout_self_overlap(&empty), NDBUF_NO);
    assert_int_equal(ndbuf__layout_self_overlap(&nothing), NDBUF_NO);
}

static void test_sizes_beyond_63_bits_are_told(void **state)
{
    (void)state;
    const int64_t large = (int64_t)1 << 40;
    const int64_t shape[3] = {large, large, 2};
    const int64_t empty[3] = {large, large, 0};
    const int64_t strides[3] = {large, 1, 0};
    bool overflow = false;
    ndbuf__layout layout = {3, 1, shape, strides, NULL};
    assert_int_equal(ndbuf__layout_nitems(&layout, &overflow), 0);
    assert_true(overflow);
    overflow = false;
    layout.shape = empty;
    assert_int_equal(ndbuf__layout_nitems(&layout, &overflow), 0);
    assert_false(overflow);

    /* Items alone fit, their bytes do not. */
    const int64_t half[1] = {INT64_MAX / 2};
    layout = (ndbuf__layout){1, 4, half, strides, NULL};
    ndbuf__layout_nitems(&layout, &overflow);
    assert_true(overflow);

    int64_t lo, hi;
    overflow = false;
    layout = (ndbuf__layout){2, 1, shape, strides, NULL};
    ndbuf__layout_range(&layout, &lo, &hi, &overflow);
    assert_true(overflow);

    int64_t out[3];
    overflow = false;
    ndbuf__layout_fill_strides(2, shape, 1 << 20, 'C', out, &overflow);
    assert_false(overflow); /* the largest stride is 2^60; what a third axis would need does not matter */
    assert_int_equal(out[0], (int64_t)1 << 60);
    ndbuf__layout_fill_strides(3, shape, 1 << 20, 'F', out, &overflow);
    assert_true(overflow);
}

static void test_filled_strides_are_contiguous(void **state)
{
    (void)state;
    const int64_t shape[4] = {2, 3, 1, 5};
    const int64_t c_order[4] = {120, 40, 40, 8};
    const int64_t f_order[4] = {8, 16, 48, 48};
    const int64_t without_items[3] = {4, 0, 3};
    const int64_t of_empty[3] = {24, 24, 8};
    int64_t strides[4];
    bool overflow = false;
    ndbuf__layout_fill_strides(4, shape, 8, 'C', strides, &overflow);
    assert_memory_equal(strides, c_order, sizeof(c_order));
    ndbuf__layout_fill_strides(4, shape, 8, 'F', strides, &overflow);
    assert_memory_equal(strides, f_order, sizeof(f_order));
    ndbuf__layout_fill_strides(3, without_items, 8, 'C', strides, &overflow);
    assert_memory_equal(strides, of_empty, sizeof(of_empty));
    assert_false(overflow);
}

enum { MAP_NBYTES = 8192, MAP_ZERO = MAP_NBYTES / 2 };

/* Counts for each byte how many items of the layout have it; true if one byte is in two. */
static bool mark_bytes(const sample_layout *layout, int64_t offset, uint8_t *map)
{
    bool twice = false;
    int64_t index[NDBUF_MAX_NDIM] = {0};
    do {
        int64_t first = MAP_ZERO + offset + offset_at(layout, index);
        for (int64_t i = first; i < first + layout->itemsize; i++) {
            assert_in_range(i, 0, MAP_NBYTES - 1);
            twice = twice || map[i] != 0;
            map[i] = 1;
        }
    } while (sample_next_index(layout->ndim, layout->shape, index));
    return twice;
}

static void test_overlap_is_that_of_marking_all_bytes(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 3);
    int nyes = 0, nclose = 0;
    for (int i = 0; i < 20000; i++) {
        sample_layout samples[2] = {sample_layout_random(&random, 3, 4), sample_layout_random(&random, 3, 4)};
        int64_t lo[2], hi[2];
        if (!sample_layout_range(&samples[0], &lo[0], &hi[0]) || !sample_layout_range(&samples[1], &lo[1], &hi[1])) {
            continue;
        }
        static uint8_t maps[2][MAP_NBYTES];
        memset(maps, 0, sizeof(maps));
        int64_t offset = test_random_range(&random, lo[0] - hi[1] - 2, hi[0] - lo[1] + 2);
        mark_bytes(&samples[0], 0, maps[0]);
        mark_bytes(&samples[1], offset, maps[1]);
        bool expected = false;
        for (int64_t k = 0; k < MAP_NBYTES; k++) {
            expected = expected || (maps[0][k] & maps[1][k]) != 0;
        }
        ndbuf__layout layouts[2] = {as_layout(&samples[0]), as_layout(&samples[1])};
        int64_t work = 0;
        ndbuf_answer answer = ndbuf__layout_overlap(&layouts[0], 0, &layouts[1], offset, &work);
        assert_int_equal(answer, expected ? NDBUF_YES : NDBUF_NO);
        assert_int_equal(ndbuf__layout_overlap(&layouts[1], offset + 1000, &layouts[0], 1000, &work), answer);
        nyes += expected;
        nclose += !expected && lo[0] < hi[1] + offset && lo[1] + offset < hi[0];
    }
    assert_in_range(nyes, 2000, 18000);
    assert_in_range(nclose, 500, 18000); /* ranges that meet, bytes that do not */
}

static void test_self_overlap_is_that_of_marking_all_bytes(void **state)
{
    (void)state;
    test_random random = test_random_make(__func__, 4);
    int nyes = 0;
    for (int i = 0; i < 20000; i++) {
        sample_layout sample = sample_layout_random(&random, 4, 3);
        int64_t lo, hi;
        if (!sample_layout_range(&sample, &lo, &hi)) {
            continue;
        }
        static uint8_t map[MAP_NBYTES];
        memset(map, 0, sizeof(map));
        bool expected = mark_bytes(&sample, 0, map);
        ndbuf__layout layout = as_layout(&sample);
        assert_int_equal(ndbuf__layout_self_overlap(&layout), expected ? NDBUF_YES : NDBUF_NO);
        nyes += expected;
    }
    assert_in_range(nyes, 2000, 18000);
}

static void test_overlap_of_large_layouts_is_exact(void **state)
{
    (void)state;
    int64_t work = 0; /* nothing to search */
    /* Left and right half of an image of 2^20 rows. */
    const int64_t half[2] = {1 << 20, 5000};
    const int64_t rows[2] = {40000, 4};
    ndbuf__layout image = {2, 4, half, rows, NULL};
    assert_int_equal(ndbuf__layout_overlap(&image, 0, &image, 20000, &work), NDBUF_NO);
    assert_int_equal(ndbuf__layout_overlap(&image, 0, &image, 19999, &work), NDBUF_YES);
    /* Even and odd items of a huge vector; items of every third and of every fifth. */
    const int64_t many[1] = {(int64_t)1 << 50};
    const int64_t by_8[1] = {8}, by_12[1] = {12}, by_20[1] = {-20};
    ndbuf__layout every_2nd = {1, 4, many, by_8, NULL};
    ndbuf__layout every_3rd = {1, 4, many, by_12, NULL};
    ndbuf__layout every_5th = {1, 1, many, by_20, NULL};
    assert_int_equal(ndbuf__layout_overlap(&every_2nd, 0, &every_2nd, 4, &work), NDBUF_NO);
    assert_int_equal(ndbuf__layout_overlap(&every_2nd, 0, &every_2nd, 3, &work), NDBUF_YES);
    assert_int_equal(ndbuf__layout_overlap(&every_2nd, 0, &every_3rd, 4, &work), NDBUF_YES);
    int64_t last = 20 * (many[0] - 1);
    assert_int_equal(ndbuf__layout_overlap(&every_3rd, 0, &every_5th, last + 3, &work), NDBUF_YES);
    assert_int_equal(ndbuf__layout_overlap(&every_2nd, 0, &every_5th, last + 8 + 4, &work), NDBUF_YES);
    const int64_t by_16[1] = {16}, by_24[1] = {24};
    ndbuf__layout pairs = {1, 4, many, by_16, NULL};
    ndbuf__layout triples = {1, 4, many, by_24, NULL};
    assert_int_equal(ndbuf__layout_overlap(&pairs, 0, &triples, 4, &work), NDBUF_NO);
    assert_int_equal(ndbuf__layout_overlap(&pairs, 0, &triples, 5, &work), NDBUF_YES);
}

static void test_self_overlap_of_large_layouts_is_exact(void **state)
{
    (void)state;
    int64_t shape[60], strides[60];
    for (int k = 0; k < 60; k++) { /* nested: each axis steps over the one before */
        shape[k] = 2;
        strides[k] = (k % 2 == 0 ? 1 : -1) * ((int64_t)1 << (59 - k));
    }
    ndbuf__layout nested = {60, 1, shape, strides, NULL};
    assert_int_equal(ndbuf__layout_self_overlap(&nested), NDBUF_NO);
    nested.itemsize = 2;
    assert_int_equal(ndbuf__layout_self_overlap(&nested), NDBUF_YES);
    /* Strides that are coprime: no two indices meet before the product of both. */
    int64_t many[2] = {1000003, 1000003};
    const int64_t coprime[2] = {1000003 * (int64_t)4, 1000033 * (int64_t)4};
    ndbuf__layout vernier = {2, 4, many, coprime, NULL};
    assert_int_equal(ndbuf__layout_self_overlap(&vernier), NDBUF_NO);
    many[0] = 1000034;
    many[1] = 1000004;
    assert_int_equal(ndbuf__layout_self_overlap(&vernier), NDBUF_YES);
}

static void test_hopeless_questions_end_undecided(void **state)
{
    (void)state;
    int64_t shape[NDBUF_MAX_NDIM], strides[NDBUF_MAX_NDIM];
    for (int64_t k = 0; k < 40; k++) {
        shape[k] = 2;
        strides[k] = 2 * (34567890123 + k * k * k * 1237 + k);
    }
    ndbuf__layout layout = {40, 1, shape, strides, NULL};
    int64_t odd[1] = {2};
    int64_t by_odd[1] = {4 * (int64_t)34567890123 + 3};
    ndbuf__layout other = {1, 1, odd, by_odd, NULL};
    int64_t work = NDBUF__OVERLAP_WORK;
    assert_int_equal(ndbuf__layout_overlap(&layout, 0, &other, 34567890123 * 40, &work), NDBUF_UNDECIDED);
    assert_true(work <= 0);
    const int64_t two[1] = {2};
    const int64_t smallest[1] = {INT64_MIN};
    ndbuf__layout extreme = {1, 1, two, smallest, NULL};
    assert_int_equal(ndbuf__layout_overlap(&extreme, 0, &extreme, -5, &work), NDBUF_UNDECIDED);
    assert_int_equal(ndbuf__layout_overlap(&extreme, INT64_MIN, &extreme, INT64_MAX, &work), NDBUF_UNDECIDED);
    assert_int_equal(ndbuf__layout_self_overlap(&extreme), NDBUF_UNDECIDED);
}

static void test_pointers_divide_a_layout(void **state)
{
    (void)state;
    const int64_t shape[4] = {3, 2, 5, 4};
    const int64_t strides[4] = {16, -8, 100, 7};
    const int64_t suboffsets[4] = {-1, 0, -1, -1};
    ndbuf__layout layout = {4, 2, shape, strides, suboffsets};
    bool overflow = false;
    int64_t lo, hi;
    ndbuf__layout_range(&layout, &lo, &hi, &overflow);
    assert_int_equal(lo, -8);
    assert_int_equal(hi, 32 + (int64_t)sizeof(void *));
    assert_false(ndbuf__layout_is_contiguous(&layout, 'C'));
    ndbuf__layout tail = ndbuf__layout_tail(&layout);
    assert_int_equal(tail.ndim, 2);
    assert_int_equal(tail.itemsize, 2);
    assert_ptr_equal(tail.shape, shape + 2);
    assert_ptr_equal(tail.strides, strides + 2);
    assert_null(tail.suboffsets);
    assert_false(ndbuf__layout_overflows_behind_pointers(&layout));

    const int64_t far[4] = {-1, INT64_MAX - 400, -1, -1}; /* the last item ends 423 bytes behind */
    layout.suboffsets = far;
    assert_true(ndbuf__layout_overflows_behind_pointers(&layout));
    const int64_t twice[4] = {-1, INT64_MAX - 440, -1, 0};
    layout.suboffsets = twice; /* the last pointer begins 421 bytes behind */
    assert_false(ndbuf__layout_overflows_behind_pointers(&layout));
    tail = ndbuf__layout_tail(&layout);
    assert_int_equal(tail.ndim, 0);
    layout.suboffsets = NULL;
    tail = ndbuf__layout_tail(&layout);
    assert_int_equal(tail.ndim, 4);
    assert_false(ndbuf__layout_overflows_behind_pointers(&layout));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range_is_that_of_visiting_all_items),
        cmocka_unit_test(test_contiguity_is_that_of_visiting_all_items),
        cmocka_unit_test(test_strides_of_single_items_mean_nothing),
        cmocka_unit_test(test_layouts_without_bytes_are_contiguous_and_never_overlap),
        cmocka_unit_test(test_sizes_beyond_63_bits_are_told),
        cmocka_unit_test(test_filled_strides_are_contiguous),
        cmocka_unit_test(test_overlap_is_that_of_marking_all_bytes),
        cmocka_unit_test(test_self_overlap_is_that_of_marking_all_bytes),
        cmocka_unit_test(test_overlap_of_large_layouts_is_exact),
        cmocka_unit_test(test_self_overlap_of_large_layouts_is_exact),
        cmocka_unit_test(test_hopeless_questions_end_undecided),
        cmocka_unit_test(test_pointers_divide_a_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
