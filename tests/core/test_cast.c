/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "core/format_codes.h"

/* The narrowest rule that allows the cast; 5: none does. Wider rules must allow it, too. */
static int narrowest(const char *src_text, const char *dst_text)
{
    ndbuf_format *src = test_parse(src_text);
    ndbuf_format *dst = test_parse(dst_text);
    int found = 5;
    for (int rule = NDBUF_CASTING_NO; rule <= NDBUF_CASTING_UNSAFE; rule++) {
        ndbuf_error err = {0};
        ndbuf_status status = ndbuf_format_can_cast(dst, src, (ndbuf_casting)rule, &err);
        if (status == NDBUF_OK && found == 5) {
            found = rule;
        } else if (status != NDBUF_OK) {
            assert_int_equal(status, NDBUF_ERR_CAST);
            assert_int_equal(err.status, NDBUF_ERR_CAST);
            assert_int_equal(found, 5);
        }
    }
    ndbuf_format_release(dst);
    ndbuf_format_release(src);
    return found;
}

#define CHECK_NARROWEST(...)                                                                                           \
    do {                                                                                                               \
        static const struct {                                                                                          \
            const char *src;                                                                                           \
            const char *dst;                                                                                           \
            int rule;                                                                                                  \
        } cases_[] = {__VA_ARGS__};                                                                                    \
        for (size_t i_ = 0; i_ < sizeof(cases_) / sizeof(cases_[0]); i_++) {                                           \
            int rule_ = narrowest(cases_[i_].src, cases_[i_].dst);                                                     \
            if (rule_ != cases_[i_].rule) {                                                                            \
                fail_msg("'%s' to '%s': %s", cases_[i_].src, cases_[i_].dst,                                           \
                         ndbuf_casting_name((ndbuf_casting)rule_));                                                    \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* What NumPy 2.4.6 says by numpy.can_cast, a digit for each destination. */
static void test_numbers_cast_as_in_numpy(void **state)
{
    (void)state;
    static const char *const codes[] = {"?", "b", "B", "h", "H", "i",  "I",  "q",
                                        "Q", "e", "f", "d", "g", "Zf", "Zd", "Zg"};
    static const char *const rules[] = {"0222222222222222", "4042424242222222", "4302222222222222", "4340424243222222",
                                        "4333022223222222", "4343404243322322", "4333330223322322", "4343434043322322",
                                        "4333333303322322", "4444444440222222", "4444444443022222", "4444444443302322",
                                        "4444444443330332", "4444444444444022", "4444444444444302", "4444444444444330"};
    for (size_t s = 0; s < 16; s++) {
        for (size_t d = 0; d < 16; d++) {
            int rule = narrowest(codes[s], codes[d]);
            if (rule != rules[s][d] - '0') {
                fail_msg("'%s' to '%s': %d, in NumPy %c", codes[s], codes[d], rule, rules[s][d]);
            }
        }
    }
}

static void test_byte_order_alone_is_equiv(void **state)
{
    (void)state;
    CHECK_NARROWEST({"<h", ">h", 1}, {">d", "<d", 1}, {"<Zf", ">Zf", 1}, {"<e", ">e", 1}, {">b", "<b", 0},
                    {"<i", ">q", 2}, {"<d", ">f", 3}, {">f", "<i", 4});
}

static void test_bfloat16_is_a_float_between_8_bit_integers_and_float(void **state)
{
    (void)state;
#define BF "T{<2x:bfloat16:}"
    CHECK_NARROWEST({BF, BF, 0}, {BF, "T{>2x:bfloat16:}", 1}, {"?", BF, 2}, {"b", BF, 2}, {"B", BF, 2}, {"h", BF, 3},
                    {"Q", BF, 3}, {"e", BF, 3}, {"f", BF, 3}, {"g", BF, 3}, {"Zf", BF, 4}, {BF, "e", 3}, {BF, "f", 2},
                    {BF, "d", 2}, {BF, "g", 2}, {BF, "Zf", 2}, {BF, "Zd", 2}, {BF, "h", 4}, {BF, "?", 4});
#undef BF
}

static void test_what_is_no_number_goes_to_its_own_kind_and_size_alone(void **state)
{
    (void)state;
    CHECK_NARROWEST({"5s", "5s", 0}, {"5s", "6s", 5}, {"5s", "4s", 5}, {"c", "s", 0}, {"5p", "5p", 0}, {"5p", "5s", 5},
                    {"<3w", "<3w", 0}, {"<3w", ">3w", 1}, {"<3w", "<4w", 5}, {"<3u", ">3u", 1}, {"<2u", "<w", 5},
                    {"<2u", ">w", 5}, {"4x::", "4x::", 0}, {"4x::", "4s", 5}, {"4x::", "i", 5}, {"i", "4s", 5},
                    {"4s", "i", 5}, {"P", "P", 0}, {"P", "&i", 0}, {"P", "Q", 5}, {"O", "O", 0}, {"O", "P", 5},
                    {"<16t", "<16t", 0}, {"<16t", ">16t", 5}, {"8t", "B", 5}, {"?", "s", 5});
}

static void test_records_cast_field_by_field_and_by_name(void **state)
{
    (void)state;
    CHECK_NARROWEST({"T{<i:a:<f:b:}", "T{<i:a:<f:b:}", 0}, {"T{<i:a:<f:b:}", "T{<i:a:4x<f:b:}", 1},
                    {"T{<i:a:<f:b:}", "T{<f:b:<i:a:}", 1}, {"T{<i:a:<f:b:}", "T{>i:a:<f:b:}", 1},
                    {"T{<i:a:<f:b:}", "T{<q:a:<f:b:}", 2}, {"T{<i:a:<f:b:}", "T{<h:a:<d:b:}", 3},
                    {"T{<i:a:<f:b:}", "T{<i:a:<i:b:}", 4}, {"T{<i:a:<f:b:}", "T{<f:b:}", 1},
                    {"T{<f:b:}", "T{<i:a:<f:b:}", 5}, {"T{<i:a:<f:b:}", "T{<i:x:<f:y:}", 5},
                    {"T{T{<i:a:}:r:<i:a:}", "T{<q:a:T{<i:a:}:r:}", 2}, {"T{T{<i:a:}:r:}", "T{<i:a:}", 5},
                    {"T{<i:a:<i:a:}", "T{>i:a:>i:a:}", 1}, {"T{<i:a:<i:a:}", "T{<i:a:}", 5}, {"ix", "i", 1});
}

static void test_leaves_pair_by_position_where_one_side_has_no_names(void **state)
{
    (void)state;
    CHECK_NARROWEST({"<i<f", "T{<i:a:<f:b:}", 1}, {"T{<i:a:<f:b:}", "<i<d", 2}, {"<i<f", "<i", 5}, {"<i", "<i<f", 5},
                    {"<i", "T{<i:a:}", 1}, {"T{<i:a:<i:b:}", "<i", 5}, {"<i", "4x", 5}, {"4x", "4x", 0},
                    {"4x", "8x", 1}, {"T{<i<f<i:a:}", "T{<i:a:<i<f}", 1}, {"T{<i<f<i:a:}", "T{<i:a:<i}", 5});
}

static void test_dimensions_have_to_agree(void **state)
{
    (void)state;
    CHECK_NARROWEST({"(2,3)<i", "(2,3)>i", 1}, {"(2,3)<i", "(3,2)<i", 5}, {"(6)<i", "(2,3)<i", 5}, {"3i", "i", 5},
                    {"(2)T{(3)<i:a:}", "(2)T{(3)>i:a:}", 1}, {"T{(2)T{<i:a:}:r:}", "T{(2)T{(1)<i:a:}:r:}", 5},
                    {"(2)T{<i:a:<h:b:}", "(2)T{<h:b:<q:a:}", 2});
}

static void test_refusals_name_formats_rule_and_field(void **state)
{
    (void)state;
    ndbuf_format *src = test_parse("T{<d:a:T{<i:x:}:r:}");
    ndbuf_format *dst = test_parse("T{<d:a:T{<h:x:}:r:}");
    ASSERT_FAILS(
        NDBUF_ERR_CAST,
        "no cast from 'T{<d:a:T{<i:x:}:r:}' to 'T{<d:a:T{<h:x:}:r:}' by rule 'safe': field r.x: <i to <h takes "
        "'same_kind'",
        ndbuf_format_can_cast(dst, src, NDBUF_CASTING_SAFE, err));
    ndbuf_format_release(dst);
    dst = test_parse("T{<d:b:}");
    ASSERT_FAILS(NDBUF_ERR_CAST, "field b: the source has no such field",
                 ndbuf_format_can_cast(dst, src, NDBUF_CASTING_UNSAFE, err));
    ndbuf_format_release(dst);
    dst = test_parse("T{<5s:a:}");
    ASSERT_FAILS(NDBUF_ERR_CAST, "field a: nothing makes 5s of <d",
                 ndbuf_format_can_cast(dst, src, NDBUF_CASTING_UNSAFE, err));
    ndbuf_format_release(dst);
    dst = test_parse("T{(2)<d:a:}");
    ASSERT_FAILS(NDBUF_ERR_CAST, "field a: its dimensions differ",
                 ndbuf_format_can_cast(dst, src, NDBUF_CASTING_UNSAFE, err));
    ndbuf_format_release(dst);
    dst = test_parse("T{<d:a:}");
    ASSERT_FAILS(NDBUF_ERR_CAST, "'no': the items are laid out differently",
                 ndbuf_format_can_cast(dst, src, NDBUF_CASTING_NO, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "7 is not a casting rule", ndbuf_format_can_cast(dst, src, (ndbuf_casting)7, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "-1 is not a casting rule",
                 ndbuf_format_can_cast(dst, src, (ndbuf_casting)-1, err));
    ndbuf_format_release(dst);
    ndbuf_format_release(src);
    src = test_parse("<f");
    dst = test_parse("<2w");
    ASSERT_FAILS(NDBUF_ERR_CAST, "no cast from '<f' to '<2w' by rule 'unsafe': field 0: nothing makes <2w of <f",
                 ndbuf_format_can_cast(dst, src, NDBUF_CASTING_UNSAFE, err));
    ndbuf_format_release(dst);
    dst = test_parse("<f<f");
    ASSERT_FAILS(NDBUF_ERR_CAST, "field 1: fields pair by position",
                 ndbuf_format_can_cast(dst, src, NDBUF_CASTING_UNSAFE, err));
    ndbuf_format_release(dst);
}

static void test_long_texts_are_cut_and_the_reason_stays(void **state)
{
    (void)state;
    char text[2000] = "T{";
    for (int k = 0; k < 60; k++) {
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "<d:a_rather_long_name_%d:", k);
    }
    char *last = text + strlen(text);
    size_t room = sizeof(text) - strlen(text);
    snprintf(last, room, "<h:the_last_one_has_a_name_that_is_longer_than_a_message_can_hold:}");
    ndbuf_format *src = test_parse(text);
    last[1] = 'b';
    ndbuf_format *dst = test_parse(text);
    ASSERT_FAILS(NDBUF_ERR_CAST, "...: <h to b takes 'same_kind'",
                 ndbuf_format_can_cast(dst, src, NDBUF_CASTING_EQUIV, err));
    ndbuf_format_release(dst);
    ndbuf_format_release(src);
}

static void test_thousands_of_fields_pair_in_any_order(void **state)
{
    (void)state;
    enum { N = 4000 };
    char *src_text = test_calloc(N, 16);
    char *dst_text = test_calloc(N, 16);
    size_t src_nbytes = 0;
    size_t dst_nbytes = 0;
    for (int k = 0; k < N; k++) {
        src_nbytes += (size_t)sprintf(src_text + src_nbytes, "<h:n%d:", k);
        dst_nbytes += (size_t)sprintf(dst_text + dst_nbytes, ">h:n%d:", N - 1 - k);
    }
    assert_int_equal(narrowest(src_text, dst_text), NDBUF_CASTING_EQUIV);
    test_free(src_text);
    test_free(dst_text);
}

static void test_an_allocation_that_fails_is_told(void **state)
{
    (void)state;
    ndbuf_format *src = test_parse("T{<i:a:<f:b:}");
    ndbuf_format *dst = test_parse("T{<f:b:<i:a:}");
    ALLOC_FAIL_SWEEP(status_ = ndbuf_format_can_cast(dst, src, NDBUF_CASTING_EQUIV, NULL), (void)0);
    test_alloc_fail_at(1);
    assert_int_equal(ndbuf_format_can_cast(dst, dst, NDBUF_CASTING_NO, NULL), NDBUF_OK);
    assert_false(test_alloc_fail_end());
    ndbuf_format_release(dst);
    ndbuf_format_release(src);
}

static void test_rules_have_names(void **state)
{
    (void)state;
    assert_string_equal(ndbuf_casting_name(NDBUF_CASTING_NO), "no");
    assert_string_equal(ndbuf_casting_name(NDBUF_CASTING_EQUIV), "equiv");
    assert_string_equal(ndbuf_casting_name(NDBUF_CASTING_SAFE), "safe");
    assert_string_equal(ndbuf_casting_name(NDBUF_CASTING_SAME_KIND), "same_kind");
    assert_string_equal(ndbuf_casting_name(NDBUF_CASTING_UNSAFE), "unsafe");
    assert_string_equal(ndbuf_casting_name((ndbuf_casting)5), "?");
    assert_string_equal(ndbuf_casting_name((ndbuf_casting)-1), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_cast_as_in_numpy),
        cmocka_unit_test(test_byte_order_alone_is_equiv),
        cmocka_unit_test(test_bfloat16_is_a_float_between_8_bit_integers_and_float),
        cmocka_unit_test(test_what_is_no_number_goes_to_its_own_kind_and_size_alone),
        cmocka_unit_test(test_records_cast_field_by_field_and_by_name),
        cmocka_unit_test(test_leaves_pair_by_position_where_one_side_has_no_names),
        cmocka_unit_test(test_dimensions_have_to_agree),
        cmocka_unit_test(test_refusals_name_formats_rule_and_field),
        cmocka_unit_test(test_long_texts_are_cut_and_the_reason_stays),
        cmocka_unit_test(test_thousands_of_fields_pair_in_any_order),
        cmocka_unit_test(test_an_allocation_that_fails_is_told),
        cmocka_unit_test(test_rules_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
