/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <string.h>

#include "core/format_core.h"

/* These tests state sizes of a 64-bit little-endian host; the vectors of tests/oracle do, too. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the expected texts are those of a little-endian host"
#endif

static void test_flags_tell_records_and_what_must_stay_on_the_host(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t flags;
    } cases[] = {{"i", 0},
                 {"(2,3)i", 0},
                 {"5x", 0},
                 {"T{i}", 0},
                 {"ii", NDBUF_FORMAT_RECORD},
                 {"i:a:", NDBUF_FORMAT_RECORD},
                 {"T{i:a:}", NDBUF_FORMAT_RECORD},
                 {"O", NDBUF_FORMAT_HOST_ONLY},
                 {"P", NDBUF_FORMAT_HOST_ONLY},
                 {"3&i", NDBUF_FORMAT_HOST_ONLY},
                 {"X{}", NDBUF_FORMAT_HOST_ONLY},
                 {"0O", 0},
                 {"T{i:a:T{O:b:}:c:}", NDBUF_FORMAT_RECORD | NDBUF_FORMAT_HOST_ONLY}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_format *format = test_parse(cases[i].text);
        if (ndbuf_format_flags(format) != cases[i].flags) {
            fail_msg("'%s' has flags %u", cases[i].text, ndbuf_format_flags(format));
        }
        ndbuf_format_release(format);
    }
}

static void test_plain_formats_are_shared_and_take_no_memory(void **state)
{
    (void)state;
    static const char *const texts[] = {"?", "b", "<B", ">h", "@i", "=l",  "^L", "!q", "Q", "n",
                                        "N", "e", "f",  "d",  "g",  ">Zf", "Zd", "Zg", "F", "[numpy$bfloat16]",
                                        "D", "s", "c",  "p",  "u",  ">w",  "O",  "P"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ndbuf_format *one = NULL;
        test_alloc_fail_at(1);
        ndbuf_status status = ndbuf_format_parse(texts[i], 0, &one, NULL);
        bool allocated = test_alloc_fail_end();
        assert_int_equal(status, NDBUF_OK);
        assert_false(allocated);
        ndbuf_format *two = test_parse(texts[i]);
        assert_ptr_equal(one, two);
        ndbuf_format_release(one);
        ndbuf_format_retain(two);
        ndbuf_format_release(two);
        ndbuf_format_release(two);
        assert_string_equal(ndbuf_format_text(one), ndbuf_format_text(test_parse(texts[i])));
    }
    assert_ptr_equal(test_parse("l"), test_parse("q"));
    assert_ptr_equal(test_parse("<i"), test_parse("=l"));
    assert_ptr_equal(test_parse(" 1i "), test_parse("i"));
    assert_ptr_equal(test_parse("B"), ndbuf__format_bytes());
    assert_ptr_equal(test_parse(NULL), ndbuf__format_bytes());
    assert_ptr_equal(test_parse(">B"), ndbuf__format_bytes());
}

/* One object cannot have two alignments: the native one differs from the equal one of a standard byte order. */
static void test_plain_formats_of_native_mode_keep_their_alignment(void **state)
{
    (void)state;
    assert_int_equal(ndbuf_format_alignment(test_parse("i")), 4);
    assert_int_equal(ndbuf_format_alignment(test_parse("<i")), 1);
    assert_int_equal(ndbuf_format_equal(test_parse("i"), test_parse("<i")), 1);
    ndbuf_format *odd = test_parse("0di");
    assert_int_equal(ndbuf_format_alignment(odd), 8);
    assert_int_equal(ndbuf_format_equal(odd, test_parse("i")), 1);
    ndbuf_format_release(odd);
}

static void test_formats_are_equal_if_they_lay_out_the_same_item(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        int32_t equal;
    } cases[] = {{"l", "q", 1},
                 {"T{b:a:i:b:}", "T{=b:a:3xi:b:}", 1},
                 {"2h", "(2)h", 1},
                 {"D", "Zd", 1},
                 {"c", "s", 1},
                 {"&i", "&d", 1},
                 {"i", ">i", 0},
                 {"b", ">b", 1},
                 {"i", "I", 0},
                 {"i", "f", 0},
                 {"e", "T{2x:bfloat16:}", 0},
                 {"T{2x:bfloat16:}", "[numpy$bfloat16]", 1},
                 {"T{<2x:bfloat16:}", "T{>2x:bfloat16:}", 0},
                 {"2u", "w", 0},
                 {"i", "i:a:", 0},
                 {"i:a:", "i:b:", 0},
                 {"T{i:a:}:b:", "T{i:b:}:a:", 0},
                 {"T{i:a:}", "i:a:", 1},
                 {"3s", "3c", 0},
                 {"(2,3)b", "(3,2)b", 0},
                 {"(6)b", "(2,3)b", 0},
                 {"ix", "i", 0},
                 {"xb", "bx", 0},
                 {"bb", "2b", 0},
                 {"2T{b:a:x}", "T{2b:a:2x}", 0}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_format *a = test_parse(cases[i].a);
        ndbuf_format *b = test_parse(cases[i].b);
        if (ndbuf_format_equal(a, b) != cases[i].equal || ndbuf_format_equal(b, a) != cases[i].equal) {
            fail_msg("'%s' and '%s' are not %s", cases[i].a, cases[i].b, cases[i].equal ? "equal" : "unequal");
        }
        assert_int_equal(ndbuf_format_equal(a, a), 1);
        ndbuf_format_release(a);
        ndbuf_format_release(b);
    }
}

static void test_create_gives_the_format_of_kind_and_size(void **state)
{
    (void)state;
    static const struct {
        ndbuf_kind kind;
        int64_t size;
        char byte_order;
        const char *text;
    } cases[] = {{NDBUF_KIND_BOOL, 1, '=', "<?"},
                 {NDBUF_KIND_INT, 1, '>', "<b"},
                 {NDBUF_KIND_INT, 2, '>', ">h"},
                 {NDBUF_KIND_INT, 4, '<', "<i"},
                 {NDBUF_KIND_INT, 8, '=', "<q"},
                 {NDBUF_KIND_UINT, 1, '<', "<B"},
                 {NDBUF_KIND_UINT, 2, '<', "<H"},
                 {NDBUF_KIND_UINT, 4, '>', ">I"},
                 {NDBUF_KIND_UINT, 8, '>', ">Q"},
                 {NDBUF_KIND_FLOAT, 2, '=', "<e"},
                 {NDBUF_KIND_FLOAT, 4, '>', ">f"},
                 {NDBUF_KIND_FLOAT, 8, '<', "<d"},
                 {NDBUF_KIND_BFLOAT, 2, '=', "T{<2x:bfloat16:}"},
                 {NDBUF_KIND_BFLOAT, 2, '>', "T{>2x:bfloat16:}"},
                 {NDBUF_KIND_FLOAT, 16, '=', "^g"},
                 {NDBUF_KIND_COMPLEX, 8, '<', "<Zf"},
                 {NDBUF_KIND_COMPLEX, 16, '>', ">Zd"},
                 {NDBUF_KIND_COMPLEX, 32, '<', "^Zg"},
                 {NDBUF_KIND_BYTES, 0, '=', ""},
                 {NDBUF_KIND_BYTES, 1, '=', "<s"},
                 {NDBUF_KIND_BYTES, 77, '=', "<77s"},
                 {NDBUF_KIND_BYTES, INT64_MAX, '=', "<9223372036854775807s"},
                 {NDBUF_KIND_TEXT, 4, '=', "<w"},
                 {NDBUF_KIND_TEXT, 20, '>', ">5w"},
                 {NDBUF_KIND_OPAQUE, 12, '=', "<12x::"},
                 {NDBUF_KIND_OPAQUE, 0, '=', ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_format *format = NULL;
        ASSERT_OK(ndbuf_format_create(cases[i].kind, cases[i].size, cases[i].byte_order, &format, err));
        assert_string_equal(ndbuf_format_text(format), cases[i].text);
        assert_int_equal(ndbuf_format_itemsize(format), cases[i].size);
        assert_int_equal(ndbuf_format_alignment(format), 1);
        assert_int_equal(ndbuf_format_nfields(format), cases[i].size > 0 ? 1 : 0);
        if (cases[i].size > 0) {
            ndbuf_field field;
            ASSERT_OK(ndbuf_format_field(format, 0, &field, err));
            assert_int_equal(field.kind, cases[i].kind);
            assert_int_equal(field.size, cases[i].size);
        }
        ndbuf_format *read = test_parse(cases[i].text);
        assert_int_equal(ndbuf_format_equal(format, read), 1);
        ndbuf_format_release(read);
        ndbuf_format_release(format);
    }
    ndbuf_format *plain = NULL;
    ASSERT_OK(ndbuf_format_create(NDBUF_KIND_FLOAT, 8, '>', &plain, err));
    assert_ptr_equal(plain, test_parse(">d"));
}

static void test_create_refuses_what_has_no_code(void **state)
{
    (void)state;
    ndbuf_format *format = NULL;
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "kind 'i' of 3 bytes",
                 ndbuf_format_create(NDBUF_KIND_INT, 3, '<', &format, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "kind 'E' of 4 bytes",
                 ndbuf_format_create(NDBUF_KIND_BFLOAT, 4, '<', &format, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "kind 'b' of 2 bytes",
                 ndbuf_format_create(NDBUF_KIND_BOOL, 2, '<', &format, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "kind 'f' of 16 bytes in byte order '>'",
                 ndbuf_format_create(NDBUF_KIND_FLOAT, 16, '>', &format, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "kind 'c' of 4 bytes",
                 ndbuf_format_create(NDBUF_KIND_COMPLEX, 4, '<', &format, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "kind 'U' of 6 bytes",
                 ndbuf_format_create(NDBUF_KIND_TEXT, 6, '<', &format, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "kind 'O'", ndbuf_format_create(NDBUF_KIND_OBJECT, 8, '<', &format, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "122 is not a kind", ndbuf_format_create((ndbuf_kind)'z', 8, '<', &format, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "size is -1", ndbuf_format_create(NDBUF_KIND_BYTES, -1, '<', &format, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "byte order is character 64",
                 ndbuf_format_create(NDBUF_KIND_BYTES, 1, '@', &format, err));
    assert_null(format);
}

static void test_a_leaf_beyond_the_last_is_refused(void **state)
{
    (void)state;
    ndbuf_field field;
    ASSERT_FAILS(NDBUF_ERR_INDEX, "leaf 1 of 1", ndbuf_format_field(test_parse("i"), 1, &field, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "leaf -1 of 1", ndbuf_format_field(test_parse("i"), -1, &field, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "itemsize is -4", ndbuf_format_parse("i", -4, &(ndbuf_format *){NULL}, err));
}

static void test_fields_carry_the_code_that_is_written(void **state)
{
    (void)state;
    static const char *const codes[][2] = {{"D", "Zd"},    {"l", "q"}, {"3w", "w"}, {"&i", "&"},
                                           {"X{}", "X{}"}, {"c", "c"}, {"8t", "t"}, {"x::", "x"}};
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        ndbuf_format *format = test_parse(codes[i][0]);
        ndbuf_field field;
        ASSERT_OK(ndbuf_format_field(format, 0, &field, err));
        assert_string_equal(field.code, codes[i][1]);
        ndbuf_format_release(format);
    }
}

static void test_a_format_lives_until_its_last_reference(void **state)
{
    (void)state;
    ndbuf_format *format = test_parse("T{i:a:}");
    ndbuf_format_retain(format);
    ndbuf_format_release(format);
    assert_string_equal(ndbuf_format_text(format), "T{<i:a:}");
    ndbuf_format_release(format);
    ndbuf_format_release(NULL);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    static const char long_text[] = "T{<i:a name of some length:<d:another one:(3,4)T{>h:x:>h:y:}:records:}";
    ndbuf_format *format = NULL;
    ALLOC_FAIL_SWEEP(status_ = ndbuf_format_parse(long_text, 0, &format, NULL), ndbuf_format_release(format));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_format_parse("3i", 0, &format, NULL), ndbuf_format_release(format));
    ALLOC_FAIL_SWEEP(status_ = ndbuf_format_create(NDBUF_KIND_BYTES, 9, '=', &format, NULL),
                     ndbuf_format_release(format));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flags_tell_records_and_what_must_stay_on_the_host),
        cmocka_unit_test(test_plain_formats_are_shared_and_take_no_memory),
        cmocka_unit_test(test_plain_formats_of_native_mode_keep_their_alignment),
        cmocka_unit_test(test_formats_are_equal_if_they_lay_out_the_same_item),
        cmocka_unit_test(test_create_gives_the_format_of_kind_and_size),
        cmocka_unit_test(test_create_refuses_what_has_no_code),
        cmocka_unit_test(test_a_leaf_beyond_the_last_is_refused),
        cmocka_unit_test(test_fields_carry_the_code_that_is_written),
        cmocka_unit_test(test_a_format_lives_until_its_last_reference),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
