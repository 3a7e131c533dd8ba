/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* These tests state sizes of a 64-bit little-endian host; the vectors of tests/oracle do, too. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#error "the expected texts are those of a little-endian host"
#endif

/* The leaves of a format as one line: "path~kind~offset~size~dims~order;...". */
static const char *describe(const ndbuf_format *format)
{
    static char line[2000];
    size_t n = 0;
    line[0] = '\0';
    for (int32_t i = 0; i < ndbuf_format_nfields(format); i++) {
        ndbuf_field field;
        ASSERT_OK(ndbuf_format_field(format, i, &field, err));
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s", i > 0 ? ";" : "");
        for (int32_t k = 0; k < field.nnames; k++) {
            n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%s", k > 0 ? "." : "", field.names[k]);
        }
        n += (size_t)snprintf(line + n, sizeof(line) - n, "~%c~%lld~%lld~", field.kind, (long long)field.offset,
                              (long long)field.size);
        for (int32_t k = 0; k < field.ndim; k++) {
            n += (size_t)snprintf(line + n, sizeof(line) - n, "%s%lld@%lld", k > 0 ? "," : "",
                                  (long long)field.extents[k], (long long)field.strides[k]);
        }
        n += (size_t)snprintf(line + n, sizeof(line) - n, "~%c", field.byte_order);
    }
    return line;
}

typedef struct good_case {
    const char *text;
    int64_t itemsize;
    int64_t alignment;
    const char *leaves;
    const char *canonical;
} good_case;

/* Also checks that the canonical text gives an equal format and is its own canonical text. */
static void check_good(const good_case *c)
{
    ndbuf_format *format = test_parse(c->text);
    if (ndbuf_format_itemsize(format) != c->itemsize || ndbuf_format_alignment(format) != c->alignment ||
        strcmp(describe(format), c->leaves) != 0 || strcmp(ndbuf_format_text(format), c->canonical) != 0) {
        fail_msg("'%s' gives itemsize %lld, alignment %lld, leaves %s, text %s", c->text,
                 (long long)ndbuf_format_itemsize(format), (long long)ndbuf_format_alignment(format), describe(format),
                 ndbuf_format_text(format));
    }
    ndbuf_format *again = test_parse(ndbuf_format_text(format));
    assert_int_equal(ndbuf_format_equal(format, again), 1);
    assert_string_equal(ndbuf_format_text(again), c->canonical);
    ndbuf_format_release(again);
    ndbuf_format_release(format);
}

#define CHECK_GOOD(...)                                                                                                \
    do {                                                                                                               \
        static const good_case cases_[] = {__VA_ARGS__};                                                               \
        for (size_t i_ = 0; i_ < sizeof(cases_) / sizeof(cases_[0]); i_++) {                                           \
            check_good(&cases_[i_]);                                                                                   \
        }                                                                                                              \
    } while (0)

static void test_every_code_has_its_native_size(void **state)
{
    (void)state;
    CHECK_GOOD({"?", 1, 1, "~b~0~1~~|", "<?"}, {"b", 1, 1, "~i~0~1~~|", "<b"}, {"B", 1, 1, "~u~0~1~~|", "<B"},
               {"c", 1, 1, "~S~0~1~~|", "<c"}, {"h", 2, 2, "~i~0~2~~<", "<h"}, {"H", 2, 2, "~u~0~2~~<", "<H"},
               {"i", 4, 4, "~i~0~4~~<", "<i"}, {"I", 4, 4, "~u~0~4~~<", "<I"}, {"l", 8, 8, "~i~0~8~~<", "<q"},
               {"L", 8, 8, "~u~0~8~~<", "<Q"}, {"q", 8, 8, "~i~0~8~~<", "<q"}, {"Q", 8, 8, "~u~0~8~~<", "<Q"},
               {"n", 8, 8, "~i~0~8~~<", "<q"}, {"N", 8, 8, "~u~0~8~~<", "<Q"}, {"e", 2, 2, "~f~0~2~~<", "<e"},
               {"f", 4, 4, "~f~0~4~~<", "<f"}, {"d", 8, 8, "~f~0~8~~<", "<d"}, {"g", 16, 16, "~f~0~16~~<", "^g"},
               {"Zf", 8, 4, "~c~0~8~~<", "<Zf"}, {"Zd", 16, 8, "~c~0~16~~<", "<Zd"},
               {"Zg", 32, 16, "~c~0~32~~<", "^Zg"}, {"F", 8, 4, "~c~0~8~~<", "<Zf"}, {"D", 16, 8, "~c~0~16~~<", "<Zd"},
               {"s", 1, 1, "~S~0~1~~|", "<s"}, {"5s", 5, 1, "~S~0~5~~|", "<5s"}, {"5p", 5, 1, "~p~0~5~~|", "<5p"},
               {"u", 2, 2, "~U~0~2~~<", "<u"}, {"3u", 6, 2, "~U~0~6~~<", "<3u"}, {"w", 4, 4, "~U~0~4~~<", "<w"},
               {"3w", 12, 4, "~U~0~12~~<", "<3w"}, {"O", 8, 8, "~O~0~8~~|", "^O"}, {"P", 8, 8, "~P~0~8~~|", "^P"},
               {"&d", 8, 8, "~P~0~8~~|", "^&<d"}, {"X{}", 8, 8, "~P~0~8~~|", "^X{}"}, {"8t", 1, 1, "~t~0~1~~|", "<8t"},
               {"16t", 2, 1, "~t~0~2~~<", "<16t"}, {"x", 1, 1, "", "x"}, {"3x", 3, 1, "", "3x"}, {"", 0, 1, "", ""},
               {"T{}", 0, 1, "", ""});
}

static void test_byte_orders_choose_sizes_and_alignment(void **state)
{
    (void)state;
    CHECK_GOOD({"=l", 4, 1, "~i~0~4~~<", "<i"}, {"<L", 4, 1, "~u~0~4~~<", "<I"}, {">l", 4, 1, "~i~0~4~~>", ">i"},
               {"!Zd", 16, 1, "~c~0~16~~>", ">Zd"}, {"^l", 8, 1, "~i~0~8~~<", "<q"}, {"^P", 8, 1, "~P~0~8~~|", "^P"},
               {">b", 1, 1, "~i~0~1~~|", "<b"}, {">3w", 12, 1, "~U~0~12~~>", ">3w"}, {">O", 8, 1, "~O~0~8~~|", "^O"},
               {"bi", 8, 4, "~i~0~1~~|;~i~4~4~~<", "<b3x<i"}, {"^bi", 5, 1, "~i~0~1~~|;~i~1~4~~<", "<b<i"},
               {">hi", 6, 1, "~i~0~2~~>;~i~2~4~~>", ">h>i"}, {"c0i", 4, 4, "~S~0~1~~|", "<c3x"});
}

static void test_a_byte_order_holds_until_the_next_even_beyond_a_brace(void **state)
{
    (void)state;
    CHECK_GOOD({"T{>i:a:}:x:i:y:", 8, 1, "x.a~i~0~4~~>;y~i~4~4~~>", "T{>i:a:}:x:>i:y:"},
               {"<b@i>h", 10, 4, "~i~0~1~~|;~i~4~4~~<;~i~8~2~~>", "<b3x<i>h"},
               {"@T{^i}xi", 9, 1, "~i~0~4~~<;~i~5~4~~<", "T{<i}x<i"});
}

static void test_top_level_has_no_end_padding_and_records_have_that_of_c(void **state)
{
    (void)state;
    CHECK_GOOD({"ib", 5, 4, "~i~0~4~~<;~i~4~1~~|", "<i<b"},
               {"T{i:a:b:b:}", 8, 4, "a~i~0~4~~<;b~i~4~1~~|", "T{<i:a:<b:b:3x}"},
               {"T{=i:a:b:b:}", 5, 1, "a~i~0~4~~<;b~i~4~1~~|", "T{<i:a:<b:b:}"},
               {"2T{i:a:b:b:}b", 17, 4, "a~i~0~4~2@8~<;b~i~4~1~2@8~|;~i~16~1~~|", "(2)T{<i:a:<b:b:3x}<b"},
               {"bT{d:a:}", 16, 8, "~i~0~1~~|;a~f~8~8~~<", "<b7xT{<d:a:}"},
               {"b^T{d:a:}", 9, 1, "~i~0~1~~|;a~f~1~8~~<", "<bT{<d:a:}"}, {"ix", 5, 4, "~i~0~4~~<", "<ix"},
               {"ix0i", 8, 4, "~i~0~4~~<", "<i4x"});
}

static void test_counts_and_shapes_become_dims_from_the_outside_in(void **state)
{
    (void)state;
    CHECK_GOOD({"3i", 12, 4, "~i~0~4~3@4~<", "<3i"}, {"1i", 4, 4, "~i~0~4~~<", "<i"},
               {"(1)i", 4, 4, "~i~0~4~1@4~<", "(1)<i"}, {"00003i", 12, 4, "~i~0~4~3@4~<", "<3i"},
               {"(2,3)i", 24, 4, "~i~0~4~2@12,3@4~<", "(2,3)<i"}, {"(2)3i", 24, 4, "~i~0~4~2@12,3@4~<", "(2,3)<i"},
               {"2(3)i", 24, 4, "~i~0~4~2@12,3@4~<", "(2,3)<i"}, {"(2)(3)i", 24, 4, "~i~0~4~2@12,3@4~<", "(2,3)<i"},
               {">(2,3)i", 24, 1, "~i~0~4~2@12,3@4~>", "(2,3)>i"},
               {"(2)>(3)4i", 96, 1, "~i~0~4~2@48,3@16,4@4~>", "(2,3,4)>i"},
               {"( 2 , 3 ) i", 24, 4, "~i~0~4~2@12,3@4~<", "(2,3)<i"}, {"(2)5s", 10, 1, "~S~0~5~2@5~|", "(2)<5s"},
               {"5(2)s", 10, 1, "~S~0~1~5@2,2@1~|", "(5,2)<s"},
               {"1000000000i", 4000000000, 4, "~i~0~4~1000000000@4~<", "<1000000000i"},
               {"T{(2)T{b:k:3h:v:}:s:>d:t:}", 24, 1, "s.k~i~0~1~2@8~|;s.v~i~2~2~2@8,3@2~<;t~f~16~8~~>",
                "T{(2)T{<b:k:x<3h:v:}:s:>d:t:}"});
}

static void test_what_takes_no_bytes_is_no_leaf(void **state)
{
    (void)state;
    CHECK_GOOD({"0s", 0, 1, "", ""}, {"0i", 0, 4, "", ""}, {"(0,3)i:a:b", 1, 4, "~i~0~1~~|", "<b"},
               {"T{T{}:a:i:b:0d:c:}", 8, 8, "b~i~0~4~~<", "T{<i:b:4x}"}, {"0t", 0, 1, "", ""});
}

static void test_white_space_may_stand_between_tokens(void **state)
{
    (void)state;
    CHECK_GOOD({" i \t\n h ", 6, 4, "~i~0~4~~<;~i~4~2~~<", "<i<h"}, {"< i", 4, 1, "~i~0~4~~<", "<i"},
               {" T{ i :a b: } :c: ", 4, 4, "c.a b~i~0~4~~<", "T{<i:a b:}:c:"});
}

static void test_names_may_hold_anything_but_a_colon(void **state)
{
    (void)state;
    CHECK_GOOD({"T{i:a.b:h:}i:}", 8, 4, "a.b~i~0~4~~<;}i~i~4~2~~<", "T{<i:a.b:<h:}i:2x}"},
               {"i::", 4, 4, "~i~0~4~~<", "<i"}, {"T{i:a:i:a:}", 8, 4, "a~i~0~4~~<;a~i~4~4~~<", "T{<i:a:<i:a:}"},
               {"T{T{T{i:z:}}:a:}", 4, 4, "a.z~i~0~4~~<", "T{T{T{<i:z:}}:a:}"},
               {"i:\xC3\xA9:", 4, 4, "\xC3\xA9~i~0~4~~<", "<i:\xC3\xA9:"});
}

static void test_named_padding_is_an_opaque_leaf(void **state)
{
    (void)state;
    CHECK_GOOD({"3x:a:", 3, 1, "a~V~0~3~~|", "<3x:a:"}, {"(2)x:a:", 2, 1, "a~V~0~1~2@1~|", "(2)<x:a:"},
               {"i3x::", 7, 4, "~i~0~4~~<;~V~4~3~~|", "<i<3x::"},
               {"T{2x:float8:}", 2, 1, "float8~V~0~2~~|", "T{<2x:float8:}"});
}

static void test_bfloat16_is_known_by_its_name(void **state)
{
    (void)state;
    CHECK_GOOD({"T{2x:bfloat16:}", 2, 1, "~E~0~2~~<", "T{<2x:bfloat16:}"},
               {">T{2x:bfloat16:}i", 6, 1, "~E~0~2~~>;~i~2~4~~>", "T{>2x:bfloat16:}>i"},
               {"T{2x:ml_dtypes.bfloat16:}:w:", 2, 1, "w~E~0~2~~<", "T{<2x:bfloat16:}:w:"},
               {"3T{2x:bfloat16:}", 6, 1, "~E~0~2~3@2~<", "(3)T{<2x:bfloat16:}"},
               {"bT{2x:bfloat16:}", 3, 1, "~i~0~1~~|;~E~1~2~~<", "<bT{<2x:bfloat16:}"},
               {"T{b:a:(2,3)T{>2x:bfloat16:}:w:h:n:}", 15, 1, "a~i~0~1~~|;w~E~1~2~2@6,3@2~>;n~i~13~2~~>",
                "T{<b:a:(2,3)T{>2x:bfloat16:}:w:>h:n:}"},
               {"&T{2x:bfloat16:}", 8, 8, "~P~0~8~~|", "^&T{<2x:bfloat16:}"},
               {"[numpy$bfloat16]", 2, 2, "~E~0~2~~<", "T{<2x:bfloat16:}"},
               {"b[bfloat16]:w:", 4, 2, "~i~0~1~~|;w~E~2~2~~<", "<bxT{<2x:bfloat16:}:w:"},
               {">3[numpy$x;numpy$ml_dtypes:bfloat16]", 6, 1, "~E~0~2~3@2~>", "(3)T{>2x:bfloat16:}"});
}

static void test_what_only_looks_like_bfloat16_is_opaque(void **state)
{
    (void)state;
    CHECK_GOOD({"2x:bfloat16:", 2, 1, "bfloat16~V~0~2~~|", "<2x:bfloat16:"},
               {"T{3x:bfloat16:}", 3, 1, "bfloat16~V~0~3~~|", "T{<3x:bfloat16:}"},
               {"T{2x:bfloat16:x}", 3, 1, "bfloat16~V~0~2~~|", "T{<2x:bfloat16:x}"},
               {"T{x2x:bfloat16:}", 3, 1, "bfloat16~V~1~2~~|", "T{x<2x:bfloat16:}"},
               {"T{(2)2x:bfloat16:}", 4, 1, "bfloat16~V~0~2~2@2~|", "T{(2)<2x:bfloat16:}"},
               {"T{2x:bfloat16:b:n:}", 3, 1, "bfloat16~V~0~2~~|;n~i~2~1~~|", "T{<2x:bfloat16:<b:n:}"},
               {"T{2x:xbfloat16:}", 2, 1, "xbfloat16~V~0~2~~|", "T{<2x:xbfloat16:}"},
               {"T{2s:bfloat16:}", 2, 1, "bfloat16~S~0~2~~|", "T{<2s:bfloat16:}"},
               {"T{T{2x:bfloat16:}:bfloat16:}", 2, 1, "bfloat16~E~0~2~~<", "T{T{<2x:bfloat16:}:bfloat16:}"});
}

static void test_pointers_keep_what_they_lead_to(void **state)
{
    (void)state;
    CHECK_GOOD({"T{&<i:p:i:n:}", 12, 1, "p~P~0~8~~|;n~i~8~4~~<", "T{^&<i:p:<i:n:}"},
               {"(2)&T{b:a:d:b:}:p:", 16, 8, "p~P~0~8~2@8~|", "^2&T{<b:a:7x<d:b:}:p:"},
               {"&&&x", 8, 8, "~P~0~8~~|", "^&^&^&<x"}, {"&0i", 8, 8, "~P~0~8~~|", "^&<0i"},
               {"X{id:x: -> Zd}:f:", 8, 8, "f~P~0~8~~|", "^X{<i<d:x:-><Zd}:f:"},
               {"X{X{i->b}&T{}->3s}", 8, 8, "~P~0~8~~|", "^X{^X{<i-><b}^&T{}-><3s}"},
               {"X{->&x}", 8, 8, "~P~0~8~~|", "^X{->^&<x}"});
}

static void test_runs_of_bit_fields_are_leaves_of_whole_bytes(void **state)
{
    (void)state;
    CHECK_GOOD({"T{3t:a:5t:b:h:c:}", 4, 2, "~t~0~1~~|;c~i~2~2~~<", "T{<3t:a:5t:b:x<h:c:}"},
               {"tttttttt", 1, 1, "~t~0~1~~|", "<tttttttt"}, {"12t4t", 2, 1, "~t~0~2~~<", "<12t4t"},
               {"16t:a:", 2, 1, "a~t~0~2~~<", "<16t:a:"}, {"8t0t8t", 2, 1, "~t~0~1~~|;~t~1~1~~|", "<8t0t<8t"},
               {">8t<16t", 3, 1, "~t~0~1~~|;~t~1~2~~<", "<8t0t<16t"}, {"8tx8t", 3, 1, "~t~0~1~~|;~t~2~1~~|", "<8tx<8t"},
               {"<4t<4t", 1, 1, "~t~0~1~~|", "<4t4t"}, {"(2)8t8t", 3, 1, "~t~0~1~2@1~|;~t~2~1~~|", "(2)<8t<8t"});
}

typedef struct bad_case {
    const char *text;
    ndbuf_status status;
    const char *message;
} bad_case;

static void test_malformed_texts_are_refused_with_the_position(void **state)
{
    (void)state;
    static const bad_case cases[] = {
        {"<", NDBUF_ERR_FORMAT, "at 1: expected the type code of the element at 0, found the end"},
        {"i<", NDBUF_ERR_FORMAT, "at 2: expected the type code of the element at 1, found the end"},
        {"T{i:a:<}", NDBUF_ERR_FORMAT, "at 7: expected the type code of the element at 6, found '}'"},
        {"b62", NDBUF_ERR_FORMAT, "at 3: expected the type code of the element at 1, found the end"},
        {"(2,3)", NDBUF_ERR_FORMAT, "at 5: expected the type code of the element at 0, found the end"},
        {"i*", NDBUF_ERR_FORMAT, "at 1: expected a type code, found '*'"},
        {"i\x01", NDBUF_ERR_FORMAT, "at 1: expected a type code, found byte 0x01"},
        {"iG", NDBUF_ERR_FORMAT, "at 1: expected a type code, found 'G'"},
        {"\xC3", NDBUF_ERR_FORMAT, "at 0: expected a type code, found byte 0xC3"},
        {"Z\xC3", NDBUF_ERR_FORMAT, "at 0: 'Z' must be followed by f, d or g, found byte 0xC3"},
        {"Z<f", NDBUF_ERR_FORMAT, "at 0: 'Z' must be followed by f, d or g, found '<'"},
        {"Zi", NDBUF_ERR_FORMAT, "at 0: 'Z' must be followed by f, d or g, found 'i'"},
        {"Ze", NDBUF_ERR_FORMAT, "at 0: 'Z' must be followed by f, d or g, found 'e'"},
        {"i[numpy$float8]", NDBUF_ERR_FORMAT, "at 1: no type that is known, or no ']': '[numpy$float8]'"},
        {"[bfloat16", NDBUF_ERR_FORMAT, "at 0: no type that is known, or no ']': '[bfloat16'"},
        {"[]", NDBUF_ERR_FORMAT, "at 0: no type that is known, or no ']': '[]'"},
        {"E", NDBUF_ERR_FORMAT, "at 0: expected a type code, found 'E'"},
        {"<><i", NDBUF_ERR_FORMAT, "at 1: a second byte order before the type code"},
        {"<(2)>i", NDBUF_ERR_FORMAT, "at 4: a second byte order before the type code"},
        {"3<i", NDBUF_ERR_FORMAT, "at 1: a byte order between a count and its type code"},
        {"3 i", NDBUF_ERR_FORMAT, "at 1: white space between a count and its type code"},
        {"-3i", NDBUF_ERR_FORMAT, "at 0: expected a type code, found '-'"},
        {"()i", NDBUF_ERR_FORMAT, "at 1: expected an extent of the shape, found ')'"},
        {"(2,)i", NDBUF_ERR_FORMAT, "at 3: expected an extent of the shape, found ')'"},
        {"(-2)i", NDBUF_ERR_FORMAT, "at 1: expected an extent of the shape, found '-'"},
        {"(2 3)i", NDBUF_ERR_FORMAT, "at 3: expected ',' or ')' in the shape at 0, found '3'"},
        {"b(2", NDBUF_ERR_FORMAT, "at 3: expected ',' or ')' in the shape at 1, found the end"},
        {"3)i", NDBUF_ERR_FORMAT, "at 1: expected the type code of the element at 0, found ')'"},
        {"i:a", NDBUF_ERR_FORMAT, "at 1: the name has no second ':'"},
        {":a:i", NDBUF_ERR_FORMAT, "at 0: a name without an element before it"},
        {"i:a::b:", NDBUF_ERR_FORMAT, "at 4: a name without an element before it"},
        {"Ti", NDBUF_ERR_FORMAT, "at 0: 'T' must be followed by '{', found 'i'"},
        {"X", NDBUF_ERR_FORMAT, "at 0: 'X' must be followed by '{', found the end"},
        {"{i}", NDBUF_ERR_FORMAT, "at 0: expected a type code, found '{'"},
        {"iT{i:a:", NDBUF_ERR_FORMAT, "at 7: the record at 1 has no '}'"},
        {"T{i:a:)", NDBUF_ERR_FORMAT, "at 6: expected a type code, found ')'"},
        {"T{i}}", NDBUF_ERR_FORMAT, "at 4: expected a type code, found '}'"},
        {"&", NDBUF_ERR_FORMAT, "at 1: expected a type code, found the end"},
        {"X{i", NDBUF_ERR_FORMAT, "at 3: expected the '}' of the function at 0, found the end"},
        {"X{->}", NDBUF_ERR_FORMAT, "at 4: expected a type code, found '}'"},
        {"X{->ii}", NDBUF_ERR_FORMAT, "at 5: expected the '}' of the function at 0, found 'i'"},
        {"<n", NDBUF_ERR_FORMAT, "at 1: 'n' has a size in native modes only, not in byte order '<'"},
        {"!2P", NDBUF_ERR_FORMAT, "at 2: 'P' has a size in native modes only, not in byte order '>'"},
        {"=Zg", NDBUF_ERR_FORMAT, "at 1: 'Zg' has a size in native modes only, not in byte order '='"},
        {"i3t", NDBUF_ERR_FORMAT, "at 1: a run of 3 bits does not fill whole bytes"},
        {"T{3t:a:}", NDBUF_ERR_FORMAT, "at 2: a run of 3 bits does not fill whole bytes"},
        {"3t5x", NDBUF_ERR_FORMAT, "at 0: a run of 3 bits does not fill whole bytes"},
        {"3t>5t", NDBUF_ERR_FORMAT, "at 0: a run of 3 bits does not fill whole bytes"},
        {"(2)4t", NDBUF_ERR_FORMAT, "at 0: a run of 4 bits does not fill whole bytes"},
        {"&3t", NDBUF_ERR_FORMAT, "at 1: a run of 3 bits does not fill whole bytes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ndbuf_format *format = NULL;
        ndbuf_error err = {0};
        ndbuf_status status = ndbuf_format_parse(cases[i].text, 0, &format, &err);
        if (status != cases[i].status || strcmp(err.message, cases[i].message) != 0) {
            fail_msg("'%s' gives %s, %s", cases[i].text, ndbuf_status_name(status), err.message);
        }
        assert_int_equal(err.status, cases[i].status);
        assert_null(format);
    }
}

static void test_sizes_beyond_63_bits_are_refused_with_the_position(void **state)
{
    (void)state;
    static const bad_case cases[] = {
        {"b9223372036854775808s", NDBUF_ERR_OVERFLOW, "at 1: a number beyond 63 bits"},
        {"340282366920938463463374607431768211456i", NDBUF_ERR_OVERFLOW, "at 0: a number beyond 63 bits"},
        {"i(99999999999999999999)b", NDBUF_ERR_OVERFLOW, "at 2: a number beyond 63 bits"},
        {"x2305843009213693952i", NDBUF_ERR_OVERFLOW, "at 1: the size is beyond 63 bits"},
        {"(3037000500,3037000500)b", NDBUF_ERR_OVERFLOW, "at 0: the size is beyond 63 bits"},
        {"9223372036854775807w", NDBUF_ERR_OVERFLOW, "at 0: the size is beyond 63 bits"},
        {"9223372036854775807sb", NDBUF_ERR_OVERFLOW, "at 20: the size is beyond 63 bits"},
        {"9223372036854775807si", NDBUF_ERR_OVERFLOW, "at 20: the size is beyond 63 bits"},
        {"9223372036854775807s8t", NDBUF_ERR_OVERFLOW, "at 20: the size is beyond 63 bits"},
        {"9223372036854775807t9223372036854775807t", NDBUF_ERR_OVERFLOW, "at 20: the size is beyond 63 bits"},
        {"T{h9223372036854775805s}", NDBUF_ERR_OVERFLOW, "at 0: the size is beyond 63 bits"},
        {"x:a:T{9223372036854775807x}", NDBUF_ERR_OVERFLOW, "at 4: the size is beyond 63 bits"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ASSERT_FAILS(cases[i].status, cases[i].message,
                     ndbuf_format_parse(cases[i].text, 0, &(ndbuf_format *){NULL}, err));
    }
    CHECK_GOOD({"9223372036854775807s", INT64_MAX, 1, "~S~0~9223372036854775807~~|", "<9223372036854775807s"},
               {"9223372036854775800t", INT64_MAX / 8, 1, "~t~0~1152921504606846975~~<", "<9223372036854775800t"});
}

/* `prefix`, `count` times `part`, `suffix`. The caller frees it. */
static char *repeat(const char *prefix, const char *part, size_t count, const char *suffix)
{
    size_t nbytes = strlen(prefix) + count * strlen(part) + strlen(suffix) + 1;
    char *text = malloc(nbytes);
    assert_non_null(text);
    char *end = text + sprintf(text, "%s", prefix);
    for (size_t i = 0; i < count; i++) {
        end += sprintf(end, "%s", part);
    }
    sprintf(end, "%s", suffix);
    return text;
}

static void check_limit(char *text, ndbuf_status expected, const char *part)
{
    ndbuf_format *format = NULL;
    ndbuf_error err = {0};
    ndbuf_status status = ndbuf_format_parse(text, 0, &format, &err);
    assert_int_equal(status, expected);
    assert_non_null(strstr(err.message, part));
    ndbuf_format_release(format);
    free(text);
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    check_limit(repeat("", "T{", 64, "i}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}}"), NDBUF_OK,
                "");
    check_limit(repeat("", "T{", 65, "i"), NDBUF_ERR_OVERFLOW, "at 128: nested deeper than 64");
    check_limit(repeat("", "T{", 32767, ""), NDBUF_ERR_OVERFLOW, "at 128: nested deeper than 64");
    check_limit(repeat("", "&", 64, "i"), NDBUF_OK, "");
    check_limit(repeat("", "&", 65534, "i"), NDBUF_ERR_OVERFLOW, "at 64: nested deeper than 64");
    check_limit(repeat("", "&", 63, "[numpy$bfloat16]"), NDBUF_OK, ""); /* which is written as a record */
    check_limit(repeat("", "&", 64, "[numpy$bfloat16]"), NDBUF_ERR_OVERFLOW, "at 64: nested deeper than 64");
    check_limit(repeat("", "X{", 65, ""), NDBUF_ERR_OVERFLOW, "at 128: nested deeper than 64");
    check_limit(repeat("", "X{->", 65, ""), NDBUF_ERR_OVERFLOW, "at 256: nested deeper than 64");
    check_limit(repeat("", "X{&T{", 22, ""), NDBUF_ERR_OVERFLOW, "at 107: nested deeper than 64");
}

static void test_dims_of_all_levels_together_are_bounded(void **state)
{
    (void)state;
    check_limit(repeat("", "(1)", 64, "i"), NDBUF_OK, "");
    check_limit(repeat("", "(1)", 65, "i"), NDBUF_ERR_OVERFLOW, "at 193: more than 64 dimensions");
    check_limit(repeat("", "(1)", 64, "2i"), NDBUF_ERR_OVERFLOW, "at 192: more than 64 dimensions");
    check_limit(repeat("(1,1,1)T{", "(1)", 62, "x}"), NDBUF_ERR_OVERFLOW, "at 193: more than 64 dimensions");
    check_limit(repeat("(1,1,1)T{&", "(1)", 64, "x}"), NDBUF_OK, "");
}

static void test_texts_are_bounded_read_and_written(void **state)
{
    (void)state;
    check_limit(repeat("", " ", 65535, ""), NDBUF_OK, "");
    check_limit(repeat("", " ", 65536, ""), NDBUF_ERR_OVERFLOW, "at 65535: the text is longer");
    check_limit(repeat("", "i", 65536, ""), NDBUF_ERR_OVERFLOW, "at 65535: the text is longer");
    check_limit(repeat("", "<b", 32767, ""), NDBUF_OK, "");
    check_limit(repeat("", "b", 32768, ""), NDBUF_ERR_OVERFLOW, "the canonical text takes 65536 bytes");
    check_limit(repeat("", "t", 65528, ""), NDBUF_OK, "");
    check_limit(repeat("i:", "a", 65531, ":"), NDBUF_OK, "");
    check_limit(repeat("i:", "a", 65532, ""), NDBUF_ERR_FORMAT, "at 1: the name has no second ':'");
}

static void test_many_leaves_deep_down_keep_their_paths_and_dims(void **state)
{
    (void)state;
    char *text = repeat("2T{2T{2T{2T{2T{2T{2T{2T{", "3b:x:", 8000, "}:h:}:g:}:f:}:e:}:d:}:c:}:b:}:a:");
    ndbuf_format *format = test_parse(text);
    assert_int_equal(ndbuf_format_nfields(format), 8000);
    ndbuf_field field;
    ASSERT_OK(ndbuf_format_field(format, 7999, &field, err));
    assert_int_equal(field.nnames, 9);
    assert_string_equal(field.names[0], "a");
    assert_string_equal(field.names[7], "h");
    assert_string_equal(field.names[8], "x");
    assert_int_equal(field.ndim, 9);
    assert_int_equal(field.offset, 23997);
    assert_int_equal(field.extents[8], 3);
    assert_int_equal(field.strides[8], 1);
    assert_int_equal(field.strides[7], 24000);
    assert_int_equal(field.strides[0], 24000 * 128);
    assert_int_equal(ndbuf_format_itemsize(format), 24000 * 256);
    ndbuf_format_release(format);
    free(text);
}

/* Puts random tokens together: nothing may crash, and what is accepted must be written and read back. */
static void test_random_texts_are_refused_or_survive_writing_and_reading(void **state)
{
    (void)state;
    static const char *const tokens[] = {"i",  "h",  "b",  "d",   "Zf",  "5s",  "3w",    "x", "2x",  "t", "7t", "T{",
                                         "T{", "}",  "}",  ":a:", ":b:", "(2)", "(3,2)", "2", "<",   ">", "@",  "^",
                                         "&",  "X{", "->", "::",  " ",   "0",   "O",     "g", "(0)", "u"};
    test_random random = test_random_make("random texts", 20260101);
    int32_t naccepted = 0;
    for (int32_t round = 0; round < 20000; round++) {
        char text[200];
        size_t nbytes = 0;
        int64_t ntokens = test_random_range(&random, 1, 12);
        for (int64_t i = 0; i < ntokens; i++) {
            int64_t token = test_random_range(&random, 0, sizeof(tokens) / sizeof(tokens[0]) - 1);
            nbytes += (size_t)snprintf(text + nbytes, sizeof(text) - nbytes, "%s", tokens[token]);
        }
        int64_t itemsize = test_random_range(&random, 0, 3) == 0 ? test_random_range(&random, 1, 40) : 0;
        ndbuf_format *format = NULL;
        ndbuf_error err = {0};
        ndbuf_status status = ndbuf_format_parse(text, itemsize, &format, &err);
        if (status != NDBUF_OK) {
            assert_int_equal(status, NDBUF_ERR_FORMAT);
            assert_memory_equal(err.message, "at ", 3);
            continue;
        }
        naccepted++;
        ndbuf_format *again = test_parse(ndbuf_format_text(format));
        if (!ndbuf_format_equal(format, again) || strcmp(ndbuf_format_text(format), ndbuf_format_text(again)) != 0 ||
            (itemsize > 0 && ndbuf_format_itemsize(format) != itemsize)) {
            fail_msg("'%s' of %lld bytes is written as '%s', read as '%s'", text, (long long)itemsize,
                     ndbuf_format_text(format), ndbuf_format_text(again));
        }
        ndbuf_format_release(again);
        ndbuf_format_release(format);
    }
    assert_true(naccepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_has_its_native_size),
        cmocka_unit_test(test_byte_orders_choose_sizes_and_alignment),
        cmocka_unit_test(test_a_byte_order_holds_until_the_next_even_beyond_a_brace),
        cmocka_unit_test(test_top_level_has_no_end_padding_and_records_have_that_of_c),
        cmocka_unit_test(test_counts_and_shapes_become_dims_from_the_outside_in),
        cmocka_unit_test(test_what_takes_no_bytes_is_no_leaf),
        cmocka_unit_test(test_white_space_may_stand_between_tokens),
        cmocka_unit_test(test_names_may_hold_anything_but_a_colon),
        cmocka_unit_test(test_named_padding_is_an_opaque_leaf),
        cmocka_unit_test(test_bfloat16_is_known_by_its_name),
        cmocka_unit_test(test_what_only_looks_like_bfloat16_is_opaque),
        cmocka_unit_test(test_pointers_keep_what_they_lead_to),
        cmocka_unit_test(test_runs_of_bit_fields_are_leaves_of_whole_bytes),
        cmocka_unit_test(test_malformed_texts_are_refused_with_the_position),
        cmocka_unit_test(test_sizes_beyond_63_bits_are_refused_with_the_position),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_dims_of_all_levels_together_are_bounded),
        cmocka_unit_test(test_texts_are_bounded_read_and_written),
        cmocka_unit_test(test_many_leaves_deep_down_keep_their_paths_and_dims),
        cmocka_unit_test(test_random_texts_are_refused_or_survive_writing_and_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
