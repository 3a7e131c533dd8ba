/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <stdio.h>
#include <string.h>

#include "core/format_core.h"

typedef struct select_case {
    const char *text;
    const char *path;
    const char *part; /* its canonical text */
    int64_t offset;
    const char *dims; /* extent@stride, joined by ',' */
} select_case;

static void check_select(const select_case *c)
{
    ndbuf_format *format = test_parse(c->text);
    ndbuf__format_selection part;
    ASSERT_OK(ndbuf__format_select(format, c->path, &part, err));
    char dims[400] = "";
    size_t n = 0;
    for (int32_t k = 0; k < part.ndim; k++) {
        n += (size_t)snprintf(dims + n, sizeof(dims) - n, "%s%lld@%lld", k > 0 ? "," : "", (long long)part.extents[k],
                              (long long)part.strides[k]);
    }
    if (strcmp(ndbuf_format_text(part.format), c->part) != 0 || part.offset != c->offset ||
        strcmp(dims, c->dims) != 0) {
        fail_msg("'%s' of '%s' is '%s' at %lld, dims %s", c->path, c->text, ndbuf_format_text(part.format),
                 (long long)part.offset, dims);
    }
    ndbuf_format *again = test_parse(c->part);
    assert_int_equal(ndbuf_format_equal(part.format, again), 1);
    ndbuf_format_release(again);
    ndbuf_format_release(format); /* the part does not need it */
    assert_string_equal(ndbuf_format_text(part.format), c->part);
    ndbuf_format_release(part.format);
}

#define CHECK_SELECT(...)                                                                                              \
    do {                                                                                                               \
        static const select_case cases_[] = {__VA_ARGS__};                                                             \
        for (size_t i_ = 0; i_ < sizeof(cases_) / sizeof(cases_[0]); i_++) {                                           \
            check_select(&cases_[i_]);                                                                                 \
        }                                                                                                              \
    } while (0)

static void test_leaves_are_found_at_any_depth(void **state)
{
    (void)state;
    CHECK_SELECT({"T{b:a:i:b:}", "b", "<i", 4, ""}, {"i:a:h:b:", "b", "<h", 4, ""},
                 {"T{b:a:T{h:x:T{>d:z:}:y:}:r:}", "r.y.z", ">d", 3, ""}, {"T{5s:a:3w:b:}", "b", "<3w", 8, ""},
                 {"T{b:a:&i:p:}", "p", "^&<i", 8, ""}, {"T{3x:v:b:a:}", "v", "<3x::", 0, ""});
}

static void test_records_become_formats_of_their_own(void **state)
{
    (void)state;
    CHECK_SELECT({"T{b:a:T{b:x:i:y:}:r:b:c:}", "r", "T{<b:x:3x<i:y:}", 4, ""},
                 {"T{b:a:T{(2)h:x:T{(3)b:z:}:y:}:r:}", "r.y", "T{<3b:z:}", 6, ""},
                 {"T{b:a:T{(2)h:x:(4)T{(3,5)b:z:}:y:}:r:}", "r", "T{<2h:x:(4)T{(3,5)<b:z:}:y:}", 2, ""},
                 {"T{T{5x}:r:i:a:}", "r", "T{5x}", 0, ""});
}

static void test_subarrays_around_a_member_become_dims_from_the_outside_in(void **state)
{
    (void)state;
    CHECK_SELECT({"T{b:k:(2,3)i:a:}", "a", "<i", 4, "2@12,3@4"},
                 {"(5)T{b:x:(4)T{h:y:(2,3)b:z:}:r:}:s:", "s.r.z", "<b", 4, "5@34,4@8,2@3,3@1"},
                 {"(5)T{b:x:(4)T{h:y:(2,3)b:z:}:r:}:s:", "s.r", "T{<h:y:(2,3)<b:z:}", 2, "5@34,4@8"},
                 {"(5)T{b:x:(4)T{h:y:(2,3)b:z:}:r:}:s:", "s", "T{<b:x:x(4)T{<h:y:(2,3)<b:z:}:r:}", 0, "5@34"});
}

static void test_unnamed_levels_add_nothing_to_paths(void **state)
{
    (void)state;
    CHECK_SELECT({"T{i:a:}", "a", "<i", 0, ""}, {"b(2)T{3x(3)T{h:a:}}", "a", "<h", 6, "2@10,3@2"},
                 {"T{T{i:a:}T{i:b:}}", "b", "<i", 4, ""});
}

static void test_names_with_dots_are_matched_whole_before_they_are_split(void **state)
{
    (void)state;
    CHECK_SELECT({"T{i:a.b:T{h:b:}:a:}", "a.b", "<i", 0, ""}, {"T{T{h:b:}:a:i:a.b:}", "a.b", "<i", 4, ""},
                 {"T{T{b:c:}:a.b:T{T{h:c:}:b:}:a:}", "a.b.c", "<b", 0, ""},
                 {"T{T{b:d:}:a.b:T{h:b.c:}:a:}", "a.b.c", "<h", 2, ""}, {"T{T{b:.:}:.:}", "...", "<b", 0, ""});
}

static void test_paths_that_lead_nowhere_are_refused(void **state)
{
    (void)state;
    static const char *const paths[] = {"", ".", "b", "a.", ".a", "a.x", "r", "r.x.y", "r.X", "p.q", "bit", "arg"};
    ndbuf_format *format = test_parse("T{i:a:T{h:x:0s:e:}:rr:&T{i:q:}:p:4t:bit:4t:bot:X{i:arg:}:f:0i:z:}");
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        ndbuf__format_selection part;
        ASSERT_FAILS(NDBUF_ERR_INDEX, "no field '", ndbuf__format_select(format, paths[i], &part, err));
    }
    ndbuf__format_selection part;
    ASSERT_FAILS(NDBUF_ERR_INDEX, "no field 'rr.e'", ndbuf__format_select(format, "rr.e", &part, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "no field 'z'", ndbuf__format_select(format, "z", &part, err));
    ndbuf_format_release(format);
    ASSERT_FAILS(NDBUF_ERR_INDEX, "no field 'a'", ndbuf__format_select(test_parse("i"), "a", &part, err));
}

static void test_repeated_names_are_refused_only_where_they_are_meant(void **state)
{
    (void)state;
    ndbuf__format_selection part;
    ndbuf_format *format = test_parse("T{i:a:h:a:T{b:x:b:x:b:y:}:r:T{T{b:u:}b:u:}:s:T{b:m:}:t:T{b:n:}:t:}");
    ASSERT_FAILS(NDBUF_ERR_INDEX, "the field 'a' is not unique", ndbuf__format_select(format, "a", &part, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "the field 'r.x' is not unique", ndbuf__format_select(format, "r.x", &part, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "the field 's.u' is not unique", ndbuf__format_select(format, "s.u", &part, err));
    ASSERT_FAILS(NDBUF_ERR_INDEX, "the field 't.m' is not unique", ndbuf__format_select(format, "t.m", &part, err));
    ASSERT_OK(ndbuf__format_select(format, "r.y", &part, err));
    assert_int_equal(part.offset, 8);
    ndbuf_format_release(part.format);
    ndbuf_format_release(format);
}

static void test_parts_keep_alignment_and_are_interned_if_plain(void **state)
{
    (void)state;
    ndbuf_format *format = test_parse("T{T{b:x:d:y:}:r:<i:s:}");
    ndbuf__format_selection part;
    ASSERT_OK(ndbuf__format_select(format, "r.y", &part, err));
    assert_ptr_equal(part.format, test_parse("d"));
    ASSERT_OK(ndbuf__format_select(format, "s", &part, err));
    assert_ptr_equal(part.format, test_parse("<i"));
    ASSERT_OK(ndbuf__format_select(format, "r", &part, err));
    assert_int_equal(ndbuf_format_alignment(part.format), 8);
    assert_int_equal(ndbuf_format_itemsize(part.format), 16);
    ndbuf_format_release(part.format);
    ndbuf_format_release(format);
}

static void test_flags_of_a_part_are_its_own(void **state)
{
    (void)state;
    ndbuf_format *format = test_parse("T{T{i:x:i:y:}:r:O:o:}");
    ndbuf__format_selection part;
    ASSERT_OK(ndbuf__format_select(format, "r", &part, err));
    assert_int_equal(ndbuf_format_flags(part.format), NDBUF_FORMAT_RECORD);
    ndbuf_format_release(part.format);
    ASSERT_OK(ndbuf__format_select(format, "o", &part, err));
    assert_int_equal(ndbuf_format_flags(part.format), NDBUF_FORMAT_HOST_ONLY);
    ndbuf_format_release(part.format);
    ndbuf_format_release(format);
}

static void test_every_allocation_of_a_selection_may_fail(void **state)
{
    (void)state;
    ndbuf_format *format = test_parse("T{T{b:x:d:y:}:r:5s:s:}");
    ndbuf__format_selection part;
    ALLOC_FAIL_SWEEP(status_ = ndbuf__format_select(format, "r", &part, NULL), ndbuf_format_release(part.format));
    ALLOC_FAIL_SWEEP(status_ = ndbuf__format_select(format, "s", &part, NULL), ndbuf_format_release(part.format));
    test_alloc_fail_at(1);
    assert_int_equal(ndbuf__format_select(format, "r.y", &part, NULL), NDBUF_OK);
    assert_false(test_alloc_fail_end());
    ndbuf_format_release(format);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves_are_found_at_any_depth),
        cmocka_unit_test(test_records_become_formats_of_their_own),
        cmocka_unit_test(test_subarrays_around_a_member_become_dims_from_the_outside_in),
        cmocka_unit_test(test_unnamed_levels_add_nothing_to_paths),
        cmocka_unit_test(test_names_with_dots_are_matched_whole_before_they_are_split),
        cmocka_unit_test(test_paths_that_lead_nowhere_are_refused),
        cmocka_unit_test(test_repeated_names_are_refused_only_where_they_are_meant),
        cmocka_unit_test(test_parts_keep_alignment_and_are_interned_if_plain),
        cmocka_unit_test(test_flags_of_a_part_are_its_own),
        cmocka_unit_test(test_every_allocation_of_a_selection_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
