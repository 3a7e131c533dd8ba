/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <string.h>

typedef struct size_case {
    const char *text;
    int64_t itemsize;
    const char *canonical;
    uint32_t flags;
} size_case;

static void check_size(const size_case *c)
{
    ndbuf_format *format = NULL;
    ASSERT_OK(ndbuf_format_parse(c->text, c->itemsize, &format, err));
    if (ndbuf_format_itemsize(format) != c->itemsize || strcmp(ndbuf_format_text(format), c->canonical) != 0 ||
        ndbuf_format_flags(format) != c->flags) {
        fail_msg("'%s' of %lld bytes is '%s' of %lld bytes, flags %u", c->text, (long long)c->itemsize,
                 ndbuf_format_text(format), (long long)ndbuf_format_itemsize(format), ndbuf_format_flags(format));
    }
    ndbuf_format *again = test_parse(c->canonical);
    assert_int_equal(ndbuf_format_equal(format, again), 1);
    ndbuf_format_release(again);
    ndbuf_format_release(format);
}

#define CHECK_SIZES(...)                                                                                               \
    do {                                                                                                               \
        static const size_case cases_[] = {__VA_ARGS__};                                                               \
        for (size_t i_ = 0; i_ < sizeof(cases_) / sizeof(cases_[0]); i_++) {                                           \
            check_size(&cases_[i_]);                                                                                   \
        }                                                                                                              \
    } while (0)

enum { RECORD = NDBUF_FORMAT_RECORD, HOST_ONLY = NDBUF_FORMAT_HOST_ONLY, UNRELIABLE = NDBUF_FORMAT_UNRELIABLE };

static void test_the_computed_size_changes_nothing(void **state)
{
    (void)state;
    CHECK_SIZES({"i", 4, "<i", 0}, {"3i", 12, "<3i", 0}, {"T{i:a:b:b:}", 8, "T{<i:a:<b:b:3x}", RECORD});
}

static void test_a_larger_size_is_padding_at_the_end(void **state)
{
    (void)state;
    CHECK_SIZES({"T{B:a:}", 4, "T{<B:a:3x}", RECORD}, {"ix", 8, "<i4x", 0}, {"ib", 8, "<i<b3x", RECORD},
                {"T{i:a:b:b:}", 12, "T{<i:a:<b:b:7x}", RECORD}, {"(2)T{i:a:}", 12, "(2)T{<i:a:}4x", RECORD},
                {"T{i:a:}:r:", 6, "T{<i:a:}:r:2x", RECORD}, {"", 5, "5x", 0}, {"3x", 5, "5x", 0},
                {"T{<i:a:<c:b:}", 9, "T{<i:a:<c:b:4x}", RECORD}, {"T{O:a:}", 16, "T{^O:a:8x}", RECORD | HOST_ONLY});
}

/* ctypes exports unions and packed structures as B, and a consumer that asked for no format is told none. */
static void test_a_lone_byte_of_another_size_is_opaque(void **state)
{
    (void)state;
    CHECK_SIZES({"B", 8, "<8x::", UNRELIABLE}, {"<B", 6, "<6x::", UNRELIABLE}, {NULL, 4, "<4x::", UNRELIABLE});
}

static void test_a_lone_u_may_have_units_of_4_bytes(void **state)
{
    (void)state;
    CHECK_SIZES({"u", 4, "<w", 0}, {">u", 4, ">w", 0}, {"3u", 12, "<3w", 0}, {"(3)u", 12, "(3)<w", 0},
                {"T{<u:a:}", 4, "T{<w:a:}", RECORD}, {"u", 2, "<u", 0}, {"u", 6, "<u4x", 0},
                {"u", 1, "<x::", UNRELIABLE}, {"T{u:a:u:b:}", 8, "T{<u:a:<u:b:4x}", RECORD},
                {"&u", 16, "^&<u8x", HOST_ONLY});
    ndbuf_format *wide = NULL;
    ndbuf_format *text = NULL;
    ASSERT_OK(ndbuf_format_parse("u", 4, &wide, err));
    ASSERT_OK(ndbuf_format_parse("w", 0, &text, err));
    assert_ptr_equal(wide, text);
    assert_int_equal(ndbuf_format_alignment(wide), 4);
}

static void test_implied_padding_at_the_end_gives_way_to_a_smaller_size(void **state)
{
    (void)state;
    CHECK_SIZES({"T{i:a:b:b:}", 5, "T{<i:a:<b:b:}", RECORD}, {"T{i:a:b:b:}", 6, "T{<i:a:<b:b:x}", RECORD},
                {"T{T{i:a:b:b:}:s:}", 5, "T{T{<i:a:<b:b:}:s:}", RECORD},
                {"T{h:x:T{i:a:T{h:c:b:b:}:t:}:s:}", 11, "T{<h:x:2xT{<i:a:T{<h:c:<b:b:}:t:}:s:}", RECORD},
                {"bT{i:a:b:b:}", 9, "<b3xT{<i:a:<b:b:}", RECORD});
}

static void test_sizes_that_nothing_explains_give_opaque_items(void **state)
{
    (void)state;
    CHECK_SIZES({"i", 3, "<3x::", UNRELIABLE}, {"T{i:a:b:b:}", 4, "<4x::", UNRELIABLE},
                {"T{i:a:bx}", 5, "<5x::", UNRELIABLE}, {"2T{i:a:b:b:}", 13, "<13x::", UNRELIABLE},
                {"T{P:p:i:i:}", 8, "<8x::", UNRELIABLE | HOST_ONLY},
                {"T{&i:p:3i:i:}", 8, "<8x::", UNRELIABLE | HOST_ONLY});
}

/* NumPy's exporter writes no padding at the end of records: where a size tells that it was lost, or assumed, and other
 * members follow, their places are unknown. */
static void test_padding_in_doubt_between_members_gives_opaque_items(void **state)
{
    (void)state;
    CHECK_SIZES({"T{T{i:a:b:b:}:s:b:c:}", 6, "<6x::", UNRELIABLE}, {"T{T{i:a:b:b:}:s:b:c:}", 16, "<16x::", UNRELIABLE},
                {"T{(2)T{>i:a:b:b:}:s:}", 16, "<16x::", UNRELIABLE},
                {"T{(2)T{>i:a:b:b:}:s:}", 10, "T{(2)T{>i:a:<b:b:}:s:}", RECORD});
}

/* Before Python 3.12 ctypes writes structures without their padding. */
static void test_packed_members_of_an_unpacked_size_give_opaque_items(void **state)
{
    (void)state;
    CHECK_SIZES(
        {"T{<c:a:<i:b:<c:c:}", 12, "<12x::", UNRELIABLE}, {"T{<c:a:<i:b:}", 8, "<8x::", UNRELIABLE},
        {"T{<i:a:<c:b:}", 8, "T{<i:a:<c:b:3x}", RECORD}, {"T{<c:a:<i:b:<c:c:}", 11, "T{<c:a:<i:b:<c:c:5x}", RECORD},
        {"T{<c:a:T{<c:x:<d:y:}:b:}", 24, "<24x::", UNRELIABLE}, {"T{<c:a:x<i:b:}", 8, "T{<c:a:x<i:b:2x}", RECORD});
}

/* ctypes writes unions and packed structures within others as B, and wchar_t as u. Where they lie behind or among other
 * members, the places of those are unknown. */
static void test_members_that_ctypes_writes_shorter_than_they_are_give_opaque_items(void **state)
{
    (void)state;
    CHECK_SIZES({"T{B:u:<d:x:}", 16, "<16x::", UNRELIABLE}, {"T{B:u:4x<d:x:}", 16, "<16x::", UNRELIABLE},
                {"T{B:u:<i:x:}", 16, "<16x::", UNRELIABLE}, {"T{<h:n:6x(2)B:u:}", 24, "<24x::", UNRELIABLE},
                {"T{<i:n:4x(2)T{B:u:}:s:}", 24, "<24x::", UNRELIABLE},
                {"T{T{<h:a:B:u:}:s:<h:b:}", 12, "<12x::", UNRELIABLE},
                {"T{B:u:<q:x:&<i:p:}", 24, "<24x::", UNRELIABLE | HOST_ONLY}, {"T{<u:a:<u:b:}", 8, "<8x::", UNRELIABLE},
                {"T{<u:a:<B:d:3x}", 8, "<8x::", UNRELIABLE}, {"T{<i:n:<u:a:}", 8, "<8x::", UNRELIABLE},
                {"T{<c:a:<i:b:B:u:}", 24, "<24x::", UNRELIABLE},
                {"T{<c:a:&<i:p:T{<h:n:B:u:}:s:}", 40, "<40x::", UNRELIABLE | HOST_ONLY},
                {"T{B:u:2xB:v:&<i:p:}", 24, "<24x::", UNRELIABLE | HOST_ONLY},
                {"T{<i:n:B:u:<b:b:2x}", 12, "<12x::", UNRELIABLE}, {"T{<u:a:T{>h:b:}:s:}", 8, "<8x::", UNRELIABLE},
                {"T{T{>h:a:<B:b:}:s:B:u:<q:c:}", 40, "<40x::", UNRELIABLE},
                {"T{>Q:a:B:u:>H:b:}", 32, "<32x::", UNRELIABLE}, {"T{>H:a:>Q:b:B:u:}", 24, "<24x::", UNRELIABLE});
    /* Nothing lies behind the B, and all before it where C has it, or with padding; B has a byte order of its own, or
     * others have none, or one that NumPy writes; or all lies as in C. */
    CHECK_SIZES(
        {"T{<i:n:B:u:}", 12, "T{<i:n:<B:u:7x}", RECORD}, {"T{<B:u:<i:n:}", 8, "<8x::", UNRELIABLE},
        {"T{<i:n:B:a:<b:b:}", 8, "T{<i:n:<B:a:<b:b:2x}", RECORD},
        {"T{<c:a:3x<i:b:B:u:}", 24, "T{<c:a:3x<i:b:<B:u:15x}", RECORD},
        {"T{>h:a:b:b:>i:c:}", 16, "T{>h:a:<b:b:>i:c:9x}", RECORD}, {"T{<B:u:3x<i:n:}", 12, "T{<B:u:3x<i:n:4x}", RECORD},
        {"T{B:a:=i:b:}", 7, "T{<B:a:<i:b:2x}", RECORD}, {"T{B:a:xxx>i:b:B:c:}", 12, "T{<B:a:3x>i:b:<B:c:3x}", RECORD},
        {"T{>Q:a:B:u:H:b:}", 32, "T{>Q:a:<B:u:>H:b:21x}", RECORD}, {"T{>i:a:3B:b:}", 8, "T{>i:a:<3B:b:x}", RECORD},
        {"T{B:a:>i:b:(3)B:c:}", 16, "T{<B:a:>i:b:<3B:c:8x}", RECORD},
        {"T{>B:a:>H:b:>H:c:}", 32, "T{<B:a:>H:b:>H:c:27x}", RECORD});
}

static void test_opaque_items_are_one_leaf(void **state)
{
    (void)state;
    ndbuf_format *format = NULL;
    ASSERT_OK(ndbuf_format_parse("T{d:a:}", 7, &format, err));
    ndbuf_field field;
    assert_int_equal(ndbuf_format_nfields(format), 1);
    ASSERT_OK(ndbuf_format_field(format, 0, &field, err));
    assert_int_equal(field.kind, NDBUF_KIND_OPAQUE);
    assert_int_equal(field.size, 7);
    assert_int_equal(field.offset, 0);
    assert_int_equal(field.nnames, 0);
    assert_int_equal(ndbuf_format_alignment(format), 1);
    ndbuf_format_release(format);
}

static void test_any_size_is_met_exactly(void **state)
{
    (void)state;
    static const char *const texts[] = {"T{b:a:T{i:x:b:y:}:r:(2)T{h:u:b:v:}:s:}",
                                        "T{T{T{d:a:b:b:}:c:}:d:}",
                                        "3u",
                                        "T{<b:a:<d:b:}",
                                        "&T{i:a:}4t:a:4t:b:",
                                        "0i",
                                        "x::"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        for (int64_t itemsize = 1; itemsize < 64; itemsize++) {
            ndbuf_format *format = NULL;
            ASSERT_OK(ndbuf_format_parse(texts[i], itemsize, &format, err));
            check_size(&(size_case){texts[i], itemsize, ndbuf_format_text(format), ndbuf_format_flags(format)});
            for (int32_t k = 0; k < ndbuf_format_nfields(format); k++) {
                ndbuf_field field;
                ASSERT_OK(ndbuf_format_field(format, k, &field, err));
                assert_true(field.offset + field.size <= itemsize);
            }
            ndbuf_format_release(format);
        }
    }
    check_size(&(size_case){"i", INT64_MAX, "<i9223372036854775803x", 0});
    check_size(
        &(size_case){"T{<c:a:9223372036854775800s:b:}", INT64_MAX, "T{<c:a:<9223372036854775800s:b:6x}", RECORD});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_computed_size_changes_nothing),
        cmocka_unit_test(test_a_larger_size_is_padding_at_the_end),
        cmocka_unit_test(test_a_lone_byte_of_another_size_is_opaque),
        cmocka_unit_test(test_a_lone_u_may_have_units_of_4_bytes),
        cmocka_unit_test(test_implied_padding_at_the_end_gives_way_to_a_smaller_size),
        cmocka_unit_test(test_sizes_that_nothing_explains_give_opaque_items),
        cmocka_unit_test(test_padding_in_doubt_between_members_gives_opaque_items),
        cmocka_unit_test(test_packed_members_of_an_unpacked_size_give_opaque_items),
        cmocka_unit_test(test_members_that_ctypes_writes_shorter_than_they_are_give_opaque_items),
        cmocka_unit_test(test_opaque_items_are_one_leaf),
        cmocka_unit_test(test_any_size_is_met_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
