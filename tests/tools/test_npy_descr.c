/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <stdlib.h>
#include <string.h>

#include "tools/npy_descr.h"
#include "tools/npy_dtype.h"

/* What is written is read as the same format again, but for types that NumPy has as void. */
static void check_descr(const char *text, const char *expected, bool is_void)
{
    ndbuf_format *format = test_parse(text);
    char *descr = NULL;
    ASSERT_OK(npy_descr_make(format, &descr, err));
    assert_string_equal(descr, expected);
    npy_cursor cursor = {.text = descr, .nbytes = strlen(descr)};
    npy_dtype *dtype = NULL;
    char *again = NULL;
    ASSERT_OK(npy_dtype_read(&cursor, &dtype, err));
    ASSERT_OK(npy_dtype_format(dtype, &again, err));
    ndbuf_format *read = test_parse(again);
    assert_int_equal(ndbuf_format_itemsize(read), ndbuf_format_itemsize(format));
    assert_int_equal(ndbuf_format_equal(read, format), !is_void);
    ndbuf_format_release(read);
    free(again);
    npy_dtype_destroy(dtype);
    free(descr);
    ndbuf_format_release(format);
}

static void test_elements_have_the_types_of_numpy(void **state)
{
    (void)state;
    check_descr("?", "'|b1'", false);
    check_descr("b", "'|i1'", false);
    check_descr(">H", "'>u2'", false);
    check_descr("<q", "'<i8'", false);
    check_descr("<e", "'<f2'", false);
    check_descr(">d", "'>f8'", false);
    check_descr("g", "'<f16'", false);
    check_descr(">Zf", "'>c8'", false);
    check_descr("5s", "'|S5'", false);
    check_descr(">3w", "'>U3'", false);
    check_descr("7x::", "'|V7'", false);
    check_descr("4p", "'|V4'", true);
    check_descr("T{>2x:bfloat16:}", "'>V2'", true);
}

static void test_records_have_their_padding(void **state)
{
    (void)state;
    check_descr("T{<i:a:>d:b:}", "[('a', '<i4'), ('b', '>f8')]", false);
    check_descr("T{2x<i:a:x(2,3)B:b:3s:c:5x}",
                "[('', '|V2'), ('a', '<i4'), ('', '|V1'), ('b', '|u1', (2, 3)), ('c', '|S3'), ('', '|V5')]", false);
    check_descr("T{(2)<h:a:}", "[('a', '<i2', (2,))]", false);
    check_descr("T{b:it's\\:}", "[('it\\'s\\\\', '|i1')]", false);
    check_descr("T{b:\xc3\xa9:}", "[('\xc3\xa9', '|i1')]", false);
}

static void test_records_nest(void **state)
{
    (void)state;
    check_descr("T{T{i:x:}:r:}", "[('r', [('x', '<i4')])]", false);
    check_descr("T{<i:id:T{<f:x:T{>h:u:b:v:}:y:}:pos:3s:c:}",
                "[('id', '<i4'), ('pos', [('x', '<f4'), ('y', [('u', '>i2'), ('v', '|i1')])]), ('c', '|S3')]", false);
    check_descr("T{(2)T{<f:x:(3)<h:y:}:r:B:n:}", "[('r', [('x', '<f4'), ('y', '<i2', (3,))], (2,)), ('n', '|u1')]",
                false);
    check_descr("(2)T{(3)T{(4)b:a:}:q:}:r:", "[('r', [('q', [('a', '|i1')])], (2, 3, 4))]", false);
    check_descr("T{T{(2)<f:x:(2)<f:y:}:r:}", "[('r', [('x', '<f4', (2,)), ('y', '<f4', (2,))])]", false);
    check_descr("T{(2,3)T{2xB:a:xB:b:3x}:r:<h:n:}",
                "[('r', [('', '|V2'), ('a', '|u1'), ('', '|V1'), ('b', '|u1'), ('', '|V3')], (2, 3)), ('n', '<i2')]",
                false);
    check_descr("T{B:n:(2)T{2x<h:a:}:r:2x}", "[('n', '|u1'), ('r', [('', '|V2'), ('a', '<i2')], (2,)), ('', '|V2')]",
                false);
    check_descr("T{T{<h:a:2x}:p:T{<h:a:2x}:q:}",
                "[('p', [('a', '<i2')]), ('', '|V2'), ('q', [('a', '<i2')]), ('', '|V2')]", false);
}

static void test_what_numpy_has_not_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"P",
                                        "O",
                                        "&i",
                                        "3u",
                                        "ii",
                                        "3i",
                                        "4x",
                                        "T{i:a:i}",
                                        "T{P:p:}",
                                        "(2)T{i:a:b:b:}",
                                        "T{i:a:i:a:}",
                                        "T{T{i:x:i:x:}:r:}",
                                        "T{T{i:x:}:r:i:r:}",
                                        "T{T{i:x:P:p:}:r:}",
                                        "T{i:r:T{i}:s:T{i}:s:}"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        ndbuf_format *format = test_parse(texts[i]);
        char *descr = NULL;
        ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "a .npy file cannot hold items of '", npy_descr_make(format, &descr, err));
        assert_null(descr);
        ndbuf_format_release(format);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elements_have_the_types_of_numpy),
        cmocka_unit_test(test_records_have_their_padding),
        cmocka_unit_test(test_records_nest),
        cmocka_unit_test(test_what_numpy_has_not_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
