/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <fenv.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/float_mode.h"
#include "core/format_codes.h"
#include "core/small_floats.h"
#include "tests/support/reference_number.h"

static ndbuf_value int_value(int64_t number)
{
    ndbuf_value value = {.kind = NDBUF_VALUE_INT};
    value.as.int64 = number;
    return value;
}

static ndbuf_value uint_value(uint64_t number)
{
    ndbuf_value value = {.kind = NDBUF_VALUE_UINT};
    value.as.uint64 = number;
    return value;
}

static ndbuf_value float_value(double number)
{
    ndbuf_value value = {.kind = NDBUF_VALUE_FLOAT};
    value.as.float64 = number;
    return value;
}

static ndbuf_value complex_value(double re, double im)
{
    ndbuf_value value = {.kind = NDBUF_VALUE_COMPLEX};
    value.as.complex.real = re;
    value.as.complex.imag = im;
    return value;
}

static ndbuf_value bytes_value(const char *bytes, int64_t nbytes)
{
    ndbuf_value value = {.kind = NDBUF_VALUE_BYTES};
    value.as.bytes.data = bytes;
    value.as.bytes.nbytes = nbytes;
    return value;
}

/* Packs into bytes that were something else, and compares with hexadecimal digits. */
static void check_pack(const char *text, const ndbuf_value *values, int64_t nvalues, const char *expected)
{
    unsigned char item[64];
    char hex[129] = "";
    ndbuf_format *format = test_parse(text);
    int64_t itemsize = ndbuf_format_itemsize(format);
    assert_true(itemsize <= (int64_t)sizeof(item));
    memset(item, 0xA5, sizeof(item));
    assert_int_equal(ndbuf_item_nvalues(format), nvalues);
    ASSERT_OK(ndbuf_item_pack(format, values, nvalues, item, itemsize, err));
    for (int64_t i = 0; i < itemsize; i++) {
        snprintf(hex + 2 * i, 3, "%02x", item[i]);
    }
    if (strcmp(hex, expected) != 0) {
        fail_msg("'%s': %s, expected %s", text, hex, expected);
    }
    for (size_t i = (size_t)itemsize; i < sizeof(item); i++) {
        assert_int_equal(item[i], 0xA5);
    }
    ndbuf_format_release(format);
}

#define CHECK_PACK(text, expected, ...)                                                                                \
    do {                                                                                                               \
        const ndbuf_value values_[] = {__VA_ARGS__};                                                                   \
        check_pack(text, values_, (int64_t)(sizeof(values_) / sizeof(values_[0])), expected);                          \
    } while (0)

/* What cannot be packed leaves the item as it was. */
static void check_refused(const char *text, ndbuf_value value, ndbuf_status expected, const char *part)
{
    unsigned char item[64];
    unsigned char before[64];
    memset(item, 0xA5, sizeof(item));
    memset(before, 0xA5, sizeof(before));
    ndbuf_format *format = test_parse(text);
    ASSERT_FAILS(expected, part, ndbuf_item_pack(format, &value, 1, item, ndbuf_format_itemsize(format), err));
    assert_memory_equal(item, before, sizeof(item));
    ndbuf_format_release(format);
}

static void test_integers_are_packed_in_either_byte_order_if_they_fit(void **state)
{
    (void)state;
    CHECK_PACK("<h", "feff", int_value(-2));
    CHECK_PACK(">i", "00000102", uint_value(0x102));
    CHECK_PACK(">q", "8000000000000000", int_value(INT64_MIN));
    CHECK_PACK("<Q", "ffffffffffffffff", uint_value(UINT64_MAX));
    CHECK_PACK("b", "80", int_value(-128));
    CHECK_PACK("P", NDBUF__HOST_ORDER == '<' ? "0807060504030201" : "0102030405060708", uint_value(0x0102030405060708));
    check_refused("b", int_value(-129), NDBUF_ERR_OVERFLOW, "value 0: -129 does not fit in 'b' of 1 bytes");
    check_refused("b", uint_value(128), NDBUF_ERR_OVERFLOW, "128 does not fit");
    check_refused("<H:n:", int_value(-1), NDBUF_ERR_OVERFLOW, "value 0 for field n: -1 does not fit in 'H'");
    check_refused("<q", uint_value((uint64_t)INT64_MAX + 1), NDBUF_ERR_OVERFLOW, "9223372036854775808 does not fit");
    check_refused("<Q", int_value(-1), NDBUF_ERR_OVERFLOW, "-1 does not fit");
    check_refused("<i", float_value(1.0), NDBUF_ERR_INVALID, "value 0: 1 is a float, which is nothing for 'i'");
    check_refused("<i", bytes_value("a", 1), NDBUF_ERR_INVALID, "1 bytes is nothing for 'i'");
    check_refused("<i", (ndbuf_value){0}, NDBUF_ERR_INVALID, "kind 0 is nothing for 'i'");
}

static void test_floats_are_rounded_and_stay_finite(void **state)
{
    (void)state;
    CHECK_PACK("<e", "003c", float_value(1.0));
    CHECK_PACK(">e", "7bff", float_value(65519.0));
    CHECK_PACK("<e", "007c", float_value(INFINITY));
    CHECK_PACK("<f", "cdcccc3d", float_value(0.1));
    CHECK_PACK(">d", "3fb999999999999a", float_value(0.1));
    CHECK_PACK(">d", "4008000000000000", int_value(3));
    CHECK_PACK(">f", "5f800000", uint_value(UINT64_MAX));
    CHECK_PACK(">f", "df000000", int_value(INT64_MIN));
    CHECK_PACK("T{>2x:bfloat16:}", "3dcd", float_value(0.1));
    CHECK_PACK("T{>2x:bfloat16:}", "5f80", uint_value(UINT64_MAX));
    CHECK_PACK(">Zf", "3f80000040000000", complex_value(1.0, 2.0));
    CHECK_PACK("<Zd", "000000000000f0bf0000000000000000", int_value(-1));
    check_refused("<e", float_value(65520.0), NDBUF_ERR_OVERFLOW, "value 0: 65520 is beyond the range of 'e'");
    check_refused("<e", int_value(-70000), NDBUF_ERR_OVERFLOW, "-70000 is beyond the range of 'e'");
    check_refused("<f", float_value(1e39), NDBUF_ERR_OVERFLOW, "is beyond the range of 'f'");
    check_refused("T{2x:bfloat16:}", float_value(-3.4e38), NDBUF_ERR_OVERFLOW, "is beyond the range of 'T{}'");
    check_refused("<Zf", complex_value(0.0, 1e39), NDBUF_ERR_OVERFLOW, "is beyond the range of 'Zf'");
    check_refused("<f", complex_value(1.0, 0.0), NDBUF_ERR_INVALID, "1+0j is nothing for 'f'");
    check_refused("<Zf", bytes_value("", 0), NDBUF_ERR_INVALID, "0 bytes is nothing for 'Zf'");
}

/* Ties and what lies beside them, where an integer has more digits than a double. */
static void test_large_integers_are_rounded_once(void **state)
{
    (void)state;
    CHECK_PACK("T{>2x:bfloat16:}", "5f00", uint_value(UINT64_C(0x8080000000000000)));
    CHECK_PACK("T{>2x:bfloat16:}", "5f01", uint_value(UINT64_C(0x8080000000000001)));
    CHECK_PACK("T{>2x:bfloat16:}", "5f02", uint_value(UINT64_C(0x8180000000000000)));
    CHECK_PACK("T{>2x:bfloat16:}", "5f01", uint_value(UINT64_C(0x817fffffffffffff)));
}

static void test_long_doubles_have_no_stray_bytes(void **state)
{
    (void)state;
    unsigned char item[sizeof(long double)];
    unsigned char expected[sizeof(long double)] = {0};
    long double value = 3.0L;
#if LDBL_MANT_DIG == 64
    memcpy(expected, &value, 10);
#else
    memcpy(expected, &value, sizeof(value));
#endif
    ndbuf_format *format = test_parse("g");
    ndbuf_value given = float_value(3.0);
    ndbuf_value got;
    memset(item, 0xA5, sizeof(item));
    ASSERT_OK(ndbuf_item_pack(format, &given, 1, item, (int64_t)sizeof(item), err));
    assert_memory_equal(item, expected, sizeof(item));
    ASSERT_OK(ndbuf_item_unpack(format, item, (int64_t)sizeof(item), &got, 1, err));
    assert_int_equal(got.kind, NDBUF_VALUE_FLOAT);
    assert_true(got.as.float64 == 3.0);
    given = uint_value(UINT64_MAX);
    ASSERT_OK(ndbuf_item_pack(format, &given, 1, item, (int64_t)sizeof(item), err));
    memcpy(&value, item, sizeof(value));
    assert_true(value == (long double)UINT64_MAX);
}

static void test_bools_take_any_number(void **state)
{
    (void)state;
    CHECK_PACK("?", "00", int_value(0));
    CHECK_PACK("?", "01", int_value(-5));
    CHECK_PACK("?", "00", float_value(-0.0));
    CHECK_PACK("?", "01", float_value(NAN));
    CHECK_PACK("?", "01", complex_value(0.0, 0.5));
    check_refused("?", bytes_value("1", 1), NDBUF_ERR_INVALID, "nothing for '?'");
}

static void test_bytes_are_filled_up_and_cut(void **state)
{
    (void)state;
    CHECK_PACK("4s", "61620000", bytes_value("ab", 2));
    CHECK_PACK("4s", "61626364", bytes_value("abcdef", 6));
    CHECK_PACK("4s", "00000000", bytes_value(NULL, 0));
    CHECK_PACK("4p", "02616200", bytes_value("ab", 2));
    CHECK_PACK("4p", "03616263", bytes_value("abcdef", 6));
    CHECK_PACK("p", "00", bytes_value("abc", 3));
    CHECK_PACK("c", "61", bytes_value("a", 1));
    CHECK_PACK("<2w", "6100000000000000", bytes_value("a\0\0\0", 4));
    CHECK_PACK(">2u", "61006200", bytes_value("a\0b\0c\0", 6));
    CHECK_PACK("3x::", "616263", bytes_value("abc", 3));
    CHECK_PACK("<16t", "6162", bytes_value("ab", 2));
    check_refused("c", bytes_value("ab", 2), NDBUF_ERR_INVALID, "value 0: 2 bytes are not right for 'c'");
    check_refused("2w", bytes_value("abc", 3), NDBUF_ERR_INVALID, "3 bytes are not right for 'w' of 8 bytes");
    check_refused("3x:a:", bytes_value("ab", 2), NDBUF_ERR_INVALID, "value 0 for field a: 2 bytes are not right");
    check_refused("16t", bytes_value("abc", 3), NDBUF_ERR_INVALID, "3 bytes are not right for 't'");
    check_refused("3s", bytes_value("ab", -1), NDBUF_ERR_INVALID, "-1 bytes are not right");
    check_refused("3s", int_value(3), NDBUF_ERR_INVALID, "3 is nothing for 's'");
}

static void test_padding_is_zeroed_and_records_come_one_after_the_other(void **state)
{
    (void)state;
    CHECK_PACK("T{b:a:3x<i:b:}xx", "01000000020000000000", int_value(1), int_value(2));
    CHECK_PACK("(2)T{b:k:(2)>h:v:}", "01000203040005000600", int_value(1), int_value(2), int_value(0x304), int_value(0),
               int_value(0x500), int_value(0x600));
    CHECK_PACK("T{(2,2)T{b:x:}:p:b:q:}", "0102030405", int_value(1), int_value(2), int_value(3), int_value(4),
               int_value(5));
    check_pack("4x", NULL, 0, "00000000");
    check_pack("", NULL, 0, "");
}

static void test_values_come_back_as_they_were(void **state)
{
    (void)state;
    static const char text[] = "T{?:b:<h:h:>I:u:<e:e:T{>2x:bfloat16:}:w:>d:d:<Zf:z:3s:s:4p:p:>2u:t:2x:o:(2)T{b:k:}:r:}";
    const ndbuf_value values[] = {
        uint_value(1),        int_value(-300),          uint_value(4000000000u),  float_value(0.5),
        float_value(-3.0),    float_value(0.1),         complex_value(1.5, -2.5), bytes_value("abc", 3),
        bytes_value("xy", 2), bytes_value("\0a\0b", 4), bytes_value("\1\2", 2),   int_value(-1),
        int_value(-2)};
    enum { N = sizeof(values) / sizeof(values[0]) };
    unsigned char item[100];
    ndbuf_value got[N];
    ndbuf_format *format = test_parse(text);
    int64_t itemsize = ndbuf_format_itemsize(format);
    assert_int_equal(ndbuf_item_nvalues(format), N);
    ASSERT_OK(ndbuf_item_pack(format, values, N, item, itemsize, err));
    ASSERT_OK(ndbuf_item_unpack(format, item, itemsize, got, N, err));
    for (int i = 0; i < N; i++) {
        assert_int_equal(got[i].kind, values[i].kind);
        assert_int_equal(got[i].reserved, 0);
        if (got[i].kind == NDBUF_VALUE_BYTES) {
            assert_int_equal(got[i].as.bytes.nbytes, values[i].as.bytes.nbytes);
            assert_memory_equal(got[i].as.bytes.data, values[i].as.bytes.data, (size_t)got[i].as.bytes.nbytes);
            assert_true((const unsigned char *)got[i].as.bytes.data > item &&
                        (const unsigned char *)got[i].as.bytes.data < item + itemsize);
        } else if (got[i].kind == NDBUF_VALUE_COMPLEX) {
            assert_true(got[i].as.complex.real == values[i].as.complex.real);
            assert_true(got[i].as.complex.imag == values[i].as.complex.imag);
        } else if (got[i].kind == NDBUF_VALUE_FLOAT) {
            assert_true(got[i].as.float64 == values[i].as.float64);
        } else {
            assert_true(got[i].as.uint64 == values[i].as.uint64);
        }
    }
    ndbuf_format_release(format);
}

static void test_a_pascal_string_never_counts_beyond_its_end(void **state)
{
    (void)state;
    ndbuf_format *format = test_parse("4p");
    ndbuf_value got;
    ASSERT_OK(ndbuf_item_unpack(format, "\377abc", 4, &got, 1, err));
    assert_int_equal(got.as.bytes.nbytes, 3);
    assert_memory_equal(got.as.bytes.data, "abc", 3);
    ndbuf_format_release(format);
}

static void test_counts_and_sizes_have_to_be_those_of_the_format(void **state)
{
    (void)state;
    ndbuf_format *format = test_parse("<3h");
    ndbuf_value values[4] = {int_value(1), int_value(2), int_value(3), int_value(4)};
    unsigned char item[6];
    assert_int_equal(ndbuf_item_nvalues(format), 3);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "4 values for an item of 3", ndbuf_item_pack(format, values, 4, item, 6, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "itemsize is 5, the format's is 6",
                 ndbuf_item_pack(format, values, 3, item, 5, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "2 values for an item of 3", ndbuf_item_unpack(format, item, 6, values, 2, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "itemsize is 7", ndbuf_item_unpack(format, item, 7, values, 3, err));
    ndbuf_format_release(format);
}

static void check_print(const char *text, const void *item, const char *expected)
{
    char line[300];
    ndbuf_format *format = test_parse(text);
    size_t length = ndbuf_item_print(format, item, line, sizeof(line));
    if (strcmp(line, expected) != 0 || length != strlen(expected)) {
        fail_msg("'%s': %s (%zu), expected %s", text, line, length, expected);
    }
    for (size_t size = 0; size <= length + 1; size++) {
        char part[300];
        memset(part, 'z', sizeof(part));
        assert_int_equal(ndbuf_item_print(format, item, part, size), length);
        assert_int_equal(part[size], 'z');
        if (size > 0) {
            assert_memory_equal(part, expected, size - 1);
            assert_int_equal(part[size - 1], '\0');
        }
    }
    ndbuf_format_release(format);
}

static void test_items_are_printed(void **state)
{
    (void)state;
    check_print("?", "\2", "true");
    check_print("b", "\377", "-1");
    check_print("B", "\377", "255");
    check_print(">q", "\200\0\0\0\0\0\0\0", "-9223372036854775808");
    check_print("4s", "a\0\n'", "b'a\\x00\\x0a\\''");
    check_print("4s", "ab\0\0", "b'ab'");
    check_print("c", "\0", "b'\\x00'");
    check_print("4p", "\2ab\0", "b'ab'");
    check_print("<3w", "a\0\0\0\xac\x20\0\0\0\0\0\0", "'a\xe2\x82\xac'");
    check_print(">2w", "\0\1\xf6\0\0\x11\0\0", "'\xf0\x9f\x98\x80\\U00110000'");
    check_print("<2u", "\x3d\xd8\0\xde", "'\xf0\x9f\x98\x80'");
    check_print("<2u", "\x3d\xd8\x61\0", "'\\ud83da'");
    check_print("3x::", "\1\2\377", "0x0102ff");
    check_print("T{b:x:T{B:a:>h:b:}:r:}", "\1\2\0\3", "{x: 1, r: {a: 2, b: 3}}");
    check_print("(2)T{b(2,2)B}", "\1\2\3\4\5\6\7\10\11\12", "[(1, [[2, 3], [4, 5]]), (6, [[7, 8], [9, 10]])]");
    check_print("bb:n:", "\1\2", "{1, n: 2}");
    check_print("T{b}", "\1", "(1)");
    check_print("3b", "\1\2\3", "[1, 2, 3]");
    check_print("(2)T{b:a:x}", "\1\2\3\4", "[{a: 1}, {a: 3}]");
    check_print("2x", "\1\2", "()");
    check_print("(1)b", "\1", "[1]");
    check_print("<2w", "\xe9\0\0\0\x80\0\0\0", "'\xc3\xa9\\x80'");
    const uint64_t pointer = 0xBEEF;
    check_print("O", &pointer, "0xbeef");
    check_print("&<i", &pointer, "0xbeef");
}

static void test_floats_are_printed_with_the_fewest_digits_that_lead_back(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
        const char *expected;
    } cases[] = {{"d", 0.1, "0.1"},
                 {"d", 1.0, "1.0"},
                 {"d", -0.0, "-0.0"},
                 {"d", 1e22, "1e+22"},
                 {"d", 1.0 / 3, "0.3333333333333333"},
                 {"d", 5e-324, "5e-324"},
                 {"d", 0x1p-44, "5.684341886080802e-14"}, /* nearest are ...801, of another number */
                 {"d", -0x1p-77, "-6.617444900424222e-24"},
                 {"d", 0x1p89, "6.189700196426902e+26"},
                 {"d", 35228129848947824.0, "3.5228129848947824e+16"},
                 {"d", INFINITY, "inf"},
                 {"d", -INFINITY, "-inf"},
                 {"f", 0.1, "0.1"},
                 {"f", 16777216.0, "16777216.0"},
                 {"f", 0x1p90, "1.2379401e+27"},
                 {"e", 0.1, "0.1"},
                 {"e", 65504.0, "65504.0"},
                 {"T{2x:bfloat16:}", 0.1, "0.1"},
                 {"T{2x:bfloat16:}", 256.0, "256.0"},
                 {"g", 0.5, "0.5"},
                 {"Zf", 0.1, "0.1+0.0j"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned char item[32];
        ndbuf_format *format = test_parse(cases[i].text);
        ndbuf_value value = float_value(cases[i].value);
        ASSERT_OK(ndbuf_item_pack(format, &value, 1, item, ndbuf_format_itemsize(format), err));
        ndbuf_format_release(format);
        check_print(cases[i].text, item, cases[i].expected);
    }
    check_print(">f", "\177\300\0\0", "nan");
    check_print(">Zf", "\177\300\0\0\377\200\0\0", "nan-infj");
    check_print(">Zf", "\0\0\0\0\200\0\0\0", "0.0-0.0j");
}

static void test_a_locale_changes_nothing(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (setlocale(LC_NUMERIC, names[i]) != NULL) {
            break;
        }
    }
    check_print(">d", "\x3f\xb9\x99\x99\x99\x99\x99\x9a", "0.1");
    check_print(">d", "\x44\xe5\x2d\x02\xc7\xe1\x4a\xf6", "8e+23");
    setlocale(LC_NUMERIC, "C");
}

/* Every float of 16 bits leads back to itself, and what lies between goes to the nearer one, as the reference says. */
static void test_small_floats_are_exact_and_rounded_to_the_nearest(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= 0xFFFF; bits++) {
        double half = ndbuf__float16_value((uint16_t)bits);
        double bfloat = ndbuf__bfloat16_value((uint16_t)bits);
        bool half_is_nan = (bits & 0x7FFF) > 0x7C00;
        bool bfloat_is_nan = (bits & 0x7FFF) > 0x7F80;
        assert_int_equal(isnan(half) != 0, half_is_nan);
        assert_int_equal(isnan(bfloat) != 0, bfloat_is_nan);
        assert_int_equal(ndbuf__float16_from(half), half_is_nan ? bits | 0x0200 : bits);
        assert_int_equal(ndbuf__bfloat16_from(bfloat), bfloat_is_nan ? bits | 0x0040 : bits);
    }
    const ndbuf_element float64 = {.number = NDBUF_NUMBER_FLOAT64, .nbytes = 8};
    const ndbuf_element small[] = {{.number = NDBUF_NUMBER_FLOAT16, .nbytes = 2},
                                   {.number = NDBUF_NUMBER_BFLOAT16, .nbytes = 2}};
    test_random random = test_random_make("small floats", 3);
    for (int i = 0; i < 20000; i++) {
        double value;
        uint16_t expected;
        int which = i % 2;
        if (i % 4 < 2) {
            test_random_element(&random, &float64, &value);
        } else { /* halfway between neighbours, or a little beside */
            uint16_t low = (uint16_t)test_random_range(&random, 0, 0x7B00);
            double a = which == 0 ? ndbuf__float16_value(low) : ndbuf__bfloat16_value(low);
            double b =
                which == 0 ? ndbuf__float16_value((uint16_t)(low + 1)) : ndbuf__bfloat16_value((uint16_t)(low + 1));
            value = (a + b) / 2;
            uint64_t bits;
            memcpy(&bits, &value, sizeof(bits));
            bits += (uint64_t)test_random_range(&random, -1, 1);
            memcpy(&value, &bits, sizeof(value));
        }
        test_convert_element(&expected, &small[which], &value, &float64, 0);
        uint16_t got = which == 0 ? ndbuf__float16_from(value) : ndbuf__bfloat16_from(value);
        if (got != expected) {
            fail_msg("%a becomes %04x, expected %04x", value, got, expected);
        }
    }
}

static double unpack_real(const char *text, const void *item)
{
    ndbuf_value value;
    ndbuf_format *format = test_parse(text);
    ASSERT_OK(ndbuf_item_unpack(format, item, ndbuf_format_itemsize(format), &value, 1, err));
    ndbuf_format_release(format);
    return value.as.float64;
}

/* A program may round upward and have no subnormals. */
static void test_a_floating_point_mode_changes_nothing(void **state)
{
    (void)state;
    const float small = 0x1.6c2p-133F;
    const long double above_one = 1.0L + LDBL_EPSILON;
    fenv_t before;
    assert_int_equal(fegetenv(&before), 0);
    assert_int_equal(fesetround(FE_UPWARD), 0);
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040);
    const unsigned mode = _mm_getcsr();
#endif
    CHECK_PACK("<f", "0000803f", float_value(0x1.00000001p0));
    CHECK_PACK("<f", "c2160000", float_value(0x1.6c2p-137));
    CHECK_PACK("<d", "0000000000004043", uint_value(((uint64_t)1 << 53) + 1));
    CHECK_PACK("?", "01", float_value(0x1p-1074));
    unsigned char item[sizeof(long double)];
    ndbuf_format *format = test_parse("g");
    const ndbuf_value number = float_value(1.5);
    ASSERT_OK(ndbuf_item_pack(format, &number, 1, item, sizeof(item), err));
    ndbuf_format_release(format);
    assert_int_equal(fegetround(), FE_UPWARD);
    const double widened = unpack_real("f", &small);
    const double narrowed = unpack_real("g", &above_one);
    check_print("<d", "\x9a\x99\x99\x99\x99\x99\xb9\x3f", "0.1");
    check_print("<d", "\1\0\0\0\0\0\0\0", "5e-324");
    assert_int_equal(fegetround(), FE_UPWARD);
#if defined(__x86_64__)
    assert_int_equal(_mm_getcsr(), mode);
#endif
    assert_int_equal(fesetenv(&before), 0);
    assert_true(widened == 0x1.6c2p-133);
    assert_true(narrowed == (LDBL_MANT_DIG > DBL_MANT_DIG ? 1.0 : (double)above_one));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers_are_packed_in_either_byte_order_if_they_fit),
        cmocka_unit_test(test_floats_are_rounded_and_stay_finite),
        cmocka_unit_test(test_large_integers_are_rounded_once),
        cmocka_unit_test(test_long_doubles_have_no_stray_bytes),
        cmocka_unit_test(test_bools_take_any_number),
        cmocka_unit_test(test_bytes_are_filled_up_and_cut),
        cmocka_unit_test(test_padding_is_zeroed_and_records_come_one_after_the_other),
        cmocka_unit_test(test_values_come_back_as_they_were),
        cmocka_unit_test(test_a_pascal_string_never_counts_beyond_its_end),
        cmocka_unit_test(test_counts_and_sizes_have_to_be_those_of_the_format),
        cmocka_unit_test(test_items_are_printed),
        cmocka_unit_test(test_floats_are_printed_with_the_fewest_digits_that_lead_back),
        cmocka_unit_test(test_a_locale_changes_nothing),
        cmocka_unit_test(test_a_floating_point_mode_changes_nothing),
        cmocka_unit_test(test_small_floats_are_exact_and_rounded_to_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
