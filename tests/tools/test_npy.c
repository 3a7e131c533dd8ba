/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/npy.h"
#include "tools/view_ops.h"

/* A file in memory: magic, version, length, header, and `data_nbytes` bytes counting up. */
typedef struct memory_file {
    unsigned char *bytes;
    size_t nbytes;
} memory_file;

static memory_file make_file(int major, const char *header, size_t data_nbytes)
{
    size_t length = strlen(header);
    size_t start = major == 1 ? 10 : 12;
    memory_file file = {malloc(start + length + data_nbytes), start + length + data_nbytes};
    assert_non_null(file.bytes);
    memcpy(file.bytes, "\x93NUMPY", 6);
    file.bytes[6] = (unsigned char)major;
    file.bytes[7] = 0;
    for (size_t k = 8; k < start; k++) {
        file.bytes[k] = (unsigned char)(length >> 8 * (k - 8));
    }
    memcpy(file.bytes + start, header, length);
    for (size_t k = 0; k < data_nbytes; k++) {
        file.bytes[start + length + k] = (unsigned char)k;
    }
    return file;
}

/* Reads a header whose descr is `descr`, of an array without items. */
static ndbuf_status read_descr(const char *descr, npy_header *out_header, ndbuf_error *err)
{
    char header[4096];
    snprintf(header, sizeof(header), "{'descr': %s, 'fortran_order': False, 'shape': (0,), }\n", descr);
    memory_file file = make_file(1, header, 0);
    ndbuf_status status = npy_header_read(file.bytes, file.nbytes, out_header, err);
    free(file.bytes);
    return status;
}

static void test_every_type_has_its_format_and_size(void **state)
{
    (void)state;
    static const struct {
        const char *descr;
        const char *format;
        int64_t itemsize;
    } cases[] = {
        {"'|b1'", "<?", 1},
        {"'|i1'", "<b", 1},
        {"'<i2'", "<h", 2},
        {"'>i4'", ">i", 4},
        {"'<i8'", "<q", 8},
        {"'|u1'", "<B", 1},
        {"'>u2'", ">H", 2},
        {"'<u4'", "<I", 4},
        {"'<u8'", "<Q", 8},
        {"'<f2'", "<e", 2},
        {"'<f4'", "<f", 4},
        {"\">f8\"", ">d", 8},
        {"'<c8'", "<Zf", 8},
        {"'>c16'", ">Zd", 16},
        {"'|S7'", "<7s", 7},
        {"'|S0'", "<0s", 0},
        {"'<U3'", "<3w", 12},
        {"'>U3'", ">3w", 12},
        {"'|V5'", "<5x::", 5},
        {"'<M8[ns]'", "<8x::", 8},
        {"'>m8'", "<8x::", 8},
        {"[('x', '<f4'), ('y', '>i2')]", "T{<f:x:>h:y:}", 6},
        {"[('a', '|u1'), ('', '|V7'), ('b', '<f8')]", "T{<B:a:<7x<d:b:}", 16},
        {"[('m', '<f4', (2, 3)), ('n', '<i4', 4), ('s', '<i4', (5,))]", "T{(2,3)<f:m:(4)<i:n:(5)<i:s:}", 60},
        {"[('p', [('x', '<f4'), ('y', '<f4')], (2,))]", "T{(2)T{<f:x:<f:y:}:p:}", 16},
        {"[(('the title', 'name'), '<f4')]", "T{<f:name:}", 4},
        {"[('outer', ('<f4', (3,)), (2,))]", "T{(2,3)<f:outer:}", 24},
        {"[]", "T{}", 0},
        {"[('it\\'s \\x41\\u00e9', '|u1')]", "T{<B:it's A\xc3\xa9:}", 1},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        npy_header header;
        ASSERT_OK(read_descr(cases[k].descr, &header, err));
        assert_string_equal(header.format, cases[k].format);
        assert_int_equal(header.dtype->itemsize, cases[k].itemsize);
        assert_int_equal(header.dtype->text_nbytes, strlen(cases[k].descr));
        assert_memory_equal(header.dtype->text, cases[k].descr, strlen(cases[k].descr));
        ndbuf_format *format = test_parse(header.format);
        assert_int_equal(ndbuf_format_itemsize(format), cases[k].itemsize);
        ndbuf_format_release(format);
        npy_header_clear(&header);
    }
}

static void test_each_bad_type_has_its_own_text(void **state)
{
    (void)state;
    static const struct {
        const char *descr;
        ndbuf_status status;
        const char *text;
    } cases[] = {
        {"'|O'", NDBUF_ERR_UNSUPPORTED, "type '|O' holds Python objects"},
        {"[('a', '|O8')]", NDBUF_ERR_UNSUPPORTED, "type '|O8' holds Python objects"},
        {"'<q4'", NDBUF_ERR_INVALID, "unknown type '<q4'"},
        {"'<i3'", NDBUF_ERR_INVALID, "unknown type '<i3'"},
        {"'<f4x'", NDBUF_ERR_INVALID, "unknown type '<f4x'"},
        {"'<M4[ns]'", NDBUF_ERR_INVALID, "unknown type '<M4[ns]'"},
        {"'<M8[ns'", NDBUF_ERR_INVALID, "unknown type '<M8[ns'"},
        {"''", NDBUF_ERR_INVALID, "unknown type ''"},
        {"'|S99999999999999999999'", NDBUF_ERR_OVERFLOW, "is beyond 63 bits"},
        {"('<f4', (2,))", NDBUF_ERR_UNSUPPORTED, "a subarray of 1 dimensions outside a record"},
        {"[('a', '<f4'), ('a', '<f4')]", NDBUF_ERR_INVALID, "field name 'a' occurs twice"},
        {"[('a:b', '<f4')]", NDBUF_ERR_INVALID, "field name 'a:b' holds a ':'"},
        {"[('a', '<f4', (-1,))]", NDBUF_ERR_INVALID, "extent -1 is negative"},
        {"[('a', '<f8', (4294967296, 4294967296))]", NDBUF_ERR_OVERFLOW, "field 'a' is beyond 63 bits"},
        {"[('a', '|V9223372036854775800'), ('b', '<f8')]", NDBUF_ERR_OVERFLOW, "beyond 63 bits"},
        {"[('a', '|V2000000000000000000', (4,)), ('b', '|V2000000000000000000')]", NDBUF_ERR_OVERFLOW,
         "the record is beyond 63 bits at field 'b'"},
        {"[('a')]", NDBUF_ERR_INVALID, "expected ',', found ')'"},
        {"[('a', '<f4' '<f4')]", NDBUF_ERR_INVALID, "expected ')', found '''"},
        {"[(3, '<f4')]", NDBUF_ERR_INVALID, "expected a string, found '3'"},
        {"42", NDBUF_ERR_INVALID, "expected a string, found '4'"},
        {"'a\\q'", NDBUF_ERR_INVALID, "a malformed escape"},
        {"'\\ud800'", NDBUF_ERR_INVALID, "a malformed escape"},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        npy_header header;
        ASSERT_FAILS(cases[k].status, cases[k].text, read_descr(cases[k].descr, &header, err));
    }
}

static void test_each_damaged_header_has_its_own_text(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        ndbuf_status status;
        const char *text;
    } cases[] = {
        {"", NDBUF_ERR_INVALID, "header at 0: expected '{', but the header ends"},
        {"[1]", NDBUF_ERR_INVALID, "header at 0: expected '{', found '['"},
        {"{'descr': '<f4', 'shape': (2,)}", NDBUF_ERR_INVALID, "key 'fortran_order' is missing"},
        {"{'descr': '<f4', 'fortran_order': False}", NDBUF_ERR_INVALID, "key 'shape' is missing"},
        {"{'fortran_order': False, 'shape': (2,)}", NDBUF_ERR_INVALID, "key 'descr' is missing"},
        {"{'descr': '<f4', 'descr': '<f4'}", NDBUF_ERR_INVALID, "key 'descr' occurs twice"},
        {"{'dtype': '<f4'}", NDBUF_ERR_INVALID, "unknown key 'dtype'"},
        {"{'descr': '<f4', 'fortran_order': 0}", NDBUF_ERR_INVALID, "expected True or False, found '0'"},
        {"{'descr': '<f4', 'fortran_order': Falsey}", NDBUF_ERR_INVALID, "expected True or False, found 'F'"},
        {"{'shape': [2]}", NDBUF_ERR_INVALID, "expected a tuple of integers, found '['"},
        {"{'shape': 2}", NDBUF_ERR_INVALID, "expected a tuple of integers, found '2'"},
        {"{'shape': (2)}", NDBUF_ERR_INVALID, "(2) is an integer in Python, not a tuple"},
        {"{'shape': (2.5,)}", NDBUF_ERR_INVALID, "not a decimal integer"},
        {"{'shape': (0x2,)}", NDBUF_ERR_INVALID, "not a decimal integer"},
        {"{'shape': (-2,)}", NDBUF_ERR_INVALID, "extent -2 is negative"},
        {"{'shape': (2 3)}", NDBUF_ERR_INVALID, "expected ',' or ')', found '3'"},
        {"{'shape': (,)}", NDBUF_ERR_INVALID, "expected an integer, found ','"},
        {"{'shape': (9223372036854775808,)}", NDBUF_ERR_OVERFLOW, "an integer beyond 63 bits"},
        {"{'shape': (1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,"
         "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)}",
         NDBUF_ERR_INVALID, "more than 64 dimensions"},
        {"{'descr': '<f4", NDBUF_ERR_INVALID, "header at 10: the string has no end"},
        {"{'descr': '<f4\\", NDBUF_ERR_INVALID, "header at 10: the string has no end"},
        {"{'descr' '<f4'}", NDBUF_ERR_INVALID, "header at 9: expected ':', found '''"},
        {"{'descr': '<f4' 1}", NDBUF_ERR_INVALID, "expected '}', found '1'"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", NDBUF_ERR_INVALID, "text behind the dictionary"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", NDBUF_ERR_INVALID,
         "the data is cut off: the header promises 12 bytes, 8 are there"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 2)}", NDBUF_ERR_OVERFLOW,
         "shape times an item of 4 bytes is beyond 63 bits"},
        {"{'descr': [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", NDBUF_ERR_INVALID, "expected '(', found '['"},
    };
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        for (int major = 1; major <= 3; major++) {
            memory_file file = make_file(major, cases[k].header, 8);
            npy_header header;
            ASSERT_FAILS(cases[k].status, cases[k].text, npy_header_read(file.bytes, file.nbytes, &header, err));
            free(file.bytes);
        }
    }
}

static void test_deep_nesting_is_refused(void **state)
{
    (void)state;
    static const char record[] = "[('a', ";
    char descr[40 * sizeof(record)];
    for (size_t k = 0; k < 40; k++) {
        snprintf(descr + k * strlen(record), sizeof(descr) - k * strlen(record), "%s", record);
    }
    npy_header header;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "nested deeper than 32", read_descr(descr, &header, err));
    snprintf(descr, sizeof(descr), "[((%s", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[");
    ASSERT_FAILS(NDBUF_ERR_INVALID, "nested deeper than 32", read_descr(descr, &header, err));
}

static void test_a_file_cut_anywhere_is_an_error(void **state)
{
    (void)state;
    memory_file file = make_file(2, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }\n", 8);
    npy_header header;
    ASSERT_OK(npy_header_read(file.bytes, file.nbytes, &header, err));
    npy_header_clear(&header);
    for (size_t nbytes = 0; nbytes < file.nbytes; nbytes++) {
        unsigned char *part = malloc(nbytes + 1); /* exactly so long, for the address sanitizer */
        assert_non_null(part);
        unsigned char *end = realloc(part, nbytes > 0 ? nbytes : 1);
        assert_non_null(end);
        memcpy(end, file.bytes, nbytes);
        const char *text = nbytes < 6                 ? "not a .npy file"
                           : nbytes < 8               ? "the file ends before its version"
                           : nbytes < 12              ? "the file ends before the length of its header"
                           : nbytes < file.nbytes - 8 ? "the header is cut off"
                                                      : "the data is cut off";
        ASSERT_FAILS(NDBUF_ERR_INVALID, text, npy_header_read(end, nbytes, &header, err));
        free(end);
    }
    free(file.bytes);
}

static void test_magic_version_and_length_are_checked(void **state)
{
    (void)state;
    npy_header header;
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not a .npy file", npy_header_read(NULL, 0, &header, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "not a .npy file", npy_header_read("PK\x03\x04 a zip file", 14, &header, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "version 4.0 of .npy",
                 npy_header_read("\x93NUMPY\x04\x00\x00\x00\x00\x00", 12, &header, err));
    ASSERT_FAILS(NDBUF_ERR_UNSUPPORTED, "version 1.7 of .npy",
                 npy_header_read("\x93NUMPY\x01\x07\x00\x00\x00\x00", 12, &header, err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "the header is cut off: 4294967295 bytes promised, 0 are there",
                 npy_header_read("\x93NUMPY\x02\x00\xff\xff\xff\xff", 12, &header, err));
    char *long_header = malloc(NPY_MAX_HEADER + 2);
    assert_non_null(long_header);
    memset(long_header, ' ', NPY_MAX_HEADER + 1);
    long_header[NPY_MAX_HEADER + 1] = '\0';
    memory_file file = make_file(2, long_header, 0);
    ASSERT_FAILS(NDBUF_ERR_OVERFLOW, "a header of 1048577 bytes",
                 npy_header_read(file.bytes, file.nbytes, &header, err));
    free(file.bytes);
    free(long_header);
}

static void test_text_follows_the_version(void **state)
{
    (void)state;
    const char *latin = "{'descr': [('\xe9', '|u1')], 'fortran_order': False, 'shape': (0,)}";
    const char *utf8 = "{'descr': [('\xc3\xa9', '|u1')], 'fortran_order': False, 'shape': (0,)}";
    npy_header header;
    memory_file file = make_file(1, latin, 0);
    ASSERT_OK(npy_header_read(file.bytes, file.nbytes, &header, err));
    assert_string_equal(header.format, "T{<B:\xc3\xa9:}");
    npy_header_clear(&header);
    free(file.bytes);
    file = make_file(3, utf8, 0);
    ASSERT_OK(npy_header_read(file.bytes, file.nbytes, &header, err));
    assert_string_equal(header.format, "T{<B:\xc3\xa9:}");
    npy_header_clear(&header);
    free(file.bytes);
    file = make_file(3, latin, 0);
    ASSERT_FAILS(NDBUF_ERR_INVALID, "header at 13: byte 0xe9 is not text",
                 npy_header_read(file.bytes, file.nbytes, &header, err));
    free(file.bytes);
}

static void test_shape_order_and_data_are_read(void **state)
{
    (void)state;
    memory_file file = make_file(1, "{\"shape\": (2L, 3L), 'fortran_order': True, 'descr': '<i2'}   \n", 12);
    npy_header header;
    ASSERT_OK(npy_header_read(file.bytes, file.nbytes, &header, err));
    assert_int_equal(header.ndim, 2);
    assert_int_equal(header.shape[0], 2);
    assert_int_equal(header.shape[1], 3);
    assert_int_equal(header.fortran_order, 1);
    assert_int_equal(header.nbytes, 12);
    assert_int_equal(header.data_offset, file.nbytes - 12);
    npy_header_clear(&header);
    free(file.bytes);
    file = make_file(1, "{'descr': '<f8', 'fortran_order': False, 'shape': ()}", 8);
    ASSERT_OK(npy_header_read(file.bytes, file.nbytes, &header, err));
    assert_int_equal(header.ndim, 0);
    assert_int_equal(header.nbytes, 8);
    npy_header_clear(&header);
    free(file.bytes);
    file = make_file(1, "{'descr': '<f8', 'fortran_order': False, 'shape': (9223372036854775807, 9, 0)}", 0);
    ASSERT_OK(npy_header_read(file.bytes, file.nbytes, &header, err));
    assert_int_equal(header.nbytes, 0);
    npy_header_clear(&header);
    free(file.bytes);
}

static void test_a_made_header_reads_back_and_is_aligned(void **state)
{
    (void)state;
    static const struct {
        const char *descr;
        int major;
    } cases[] = {{"'<f4'", 1}, {"[('\xc3\xa9', '|u1')]", 3}};
    const int64_t shape[3] = {0, 7, 9223372036854775807};
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        for (int32_t ndim = 1; ndim <= 3; ndim++) {
            char *bytes = NULL;
            size_t nbytes = 0;
            npy_header header;
            ASSERT_OK(npy_header_make(cases[k].descr, strlen(cases[k].descr), ndim, shape, &bytes, &nbytes, err));
            assert_int_equal(nbytes % 64, 0);
            assert_int_equal(bytes[6], cases[k].major);
            assert_int_equal(bytes[nbytes - 1], '\n');
            ASSERT_OK(npy_header_read(bytes, nbytes, &header, err));
            assert_int_equal(header.data_offset, nbytes);
            assert_int_equal(header.ndim, ndim);
            assert_memory_equal(header.shape, shape, (size_t)ndim * sizeof(*shape));
            assert_memory_equal(header.dtype->text, cases[k].descr, strlen(cases[k].descr));
            npy_header_clear(&header);
            free(bytes);
        }
    }
}

static void test_a_long_made_header_is_version_2(void **state)
{
    (void)state;
    size_t size = 100000;
    char *descr = malloc(size);
    assert_non_null(descr);
    size_t length = (size_t)snprintf(descr, size, "[");
    for (int k = 0; k < 4000; k++) {
        length += (size_t)snprintf(descr + length, size - length, "('f%04d', '|u1'), ", k);
    }
    length += (size_t)snprintf(descr + length, size - length, "]");
    char *bytes = NULL;
    size_t nbytes = 0;
    npy_header header;
    const int64_t shape[1] = {0};
    ASSERT_OK(npy_header_make(descr, length, 1, shape, &bytes, &nbytes, err));
    assert_int_equal(bytes[6], 2);
    ASSERT_OK(npy_header_read(bytes, nbytes, &header, err));
    assert_int_equal(header.dtype->nfields, 4000);
    assert_int_equal(header.dtype->itemsize, 4000);
    npy_header_clear(&header);
    free(bytes);
    free(descr);
}

static void test_fields_are_found_by_path(void **state)
{
    (void)state;
    npy_header header;
    ASSERT_OK(read_descr("[('p', [('x', '<f4'), ('y', '<i2')]), ('p.y', '|u1'), ('q', '<f8')]", &header, err));
    const npy_dtype *found = npy_dtype_find(header.dtype, "p.x");
    assert_non_null(found);
    assert_memory_equal(found->text, "'<f4'", found->text_nbytes);
    assert_string_equal(npy_dtype_find(header.dtype, "p.y")->code, "<B"); /* a whole name goes first */
    assert_int_equal(npy_dtype_find(header.dtype, "p")->itemsize, 6);
    assert_null(npy_dtype_find(header.dtype, "p.z"));
    assert_null(npy_dtype_find(header.dtype, ""));
    assert_null(npy_dtype_find(header.dtype, "q.x"));
    npy_header_clear(&header);
}

/* A file on disk with 2 x 3 records of a float x and two shorts y, opened. */
static void open_records(npy_file *out_file, int fortran_order)
{
    char path[] = "/tmp/ndbuf-test-npy-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    char header[256];
    snprintf(header, sizeof(header),
             "{'descr': [('x', '<f4'), ('y', '<i2', (2,))], 'fortran_order': %s, 'shape': (2, 3)}",
             fortran_order ? "True" : "False");
    memory_file file = make_file(1, header, 48);
    assert_int_equal(write(descriptor, file.bytes, file.nbytes), (ssize_t)file.nbytes);
    close(descriptor);
    free(file.bytes);
    ASSERT_OK(npy_file_open(path, out_file, err));
    assert_int_equal(unlink(path), 0);
}

static void test_an_open_file_is_a_read_only_view(void **state)
{
    (void)state;
    npy_file file;
    open_records(&file, 0);
    assert_int_equal(file.view.ndim, 2);
    assert_int_equal(file.view.itemsize, 8);
    assert_int_equal(file.view.nbytes, 48);
    assert_int_equal(file.view.flags & NDBUF_VIEW_READONLY, NDBUF_VIEW_READONLY);
    assert_true(ndbuf_view_is_contiguous(&file.view, 'C'));
    assert_int_equal(*(const unsigned char *)ndbuf_view_host_address(&file.view), 0);
    npy_file_close(&file);
    open_records(&file, 1);
    assert_true(ndbuf_view_is_contiguous(&file.view, 'F'));
    assert_int_equal(file.view.strides[0], 8);
    assert_int_equal(file.view.strides[1], 16);
    npy_file_close(&file);
}

static void test_files_that_cannot_be_opened_are_told_with_their_path(void **state)
{
    (void)state;
    npy_file file;
    ASSERT_FAILS(NDBUF_ERR_IO, "/nonexistent/a.npy", npy_file_open("/nonexistent/a.npy", &file, err));
    ASSERT_FAILS(NDBUF_ERR_IO, "'/tmp' is not a regular file", npy_file_open("/tmp", &file, err));
}

static void apply(npy_file *file, int option, const char *text, const npy_dtype **dtype)
{
    view_ops ops = {0};
    ASSERT_OK(view_ops_add(&ops, option, text, err));
    ASSERT_OK(view_ops_apply(&ops, &file->view, dtype, err));
}

static void test_view_options_do_what_python_does(void **state)
{
    (void)state;
    npy_file file;
    open_records(&file, 0);
    const npy_dtype *dtype = file.header.dtype;
    int64_t base = file.view.byte_offset;
    apply(&file, VIEW_OPS_SLICE, "..., ::-1", &dtype);
    assert_int_equal(file.view.strides[1], -8);
    assert_int_equal(file.view.byte_offset, base + 16);
    apply(&file, VIEW_OPS_SLICE, "None, -1", &dtype);
    assert_int_equal(file.view.ndim, 2);
    assert_int_equal(file.view.shape[0], 1);
    assert_int_equal(file.view.shape[1], 3);
    assert_int_equal(file.view.byte_offset, base + 24 + 16);
    apply(&file, VIEW_OPS_FIELD, "y", &dtype);
    assert_int_equal(file.view.ndim, 3);
    assert_int_equal(file.view.shape[2], 2);
    assert_int_equal(file.view.byte_offset, base + 24 + 16 + 4);
    assert_int_equal(dtype->text_nbytes, 5);
    assert_memory_equal(dtype->text, "'<i2'", 5);
    apply(&file, VIEW_OPS_PERMUTE, "2,0,1", &dtype);
    assert_int_equal(file.view.shape[0], 2);
    assert_int_equal(file.view.strides[0], 2);
    apply(&file, VIEW_OPS_TRANSPOSE, NULL, &dtype);
    assert_int_equal(file.view.shape[0], 3);
    assert_int_equal(file.view.shape[2], 2);
    apply(&file, VIEW_OPS_SLICE, "1:,", &dtype); /* Python allows the comma */
    assert_int_equal(file.view.shape[0], 2);
    npy_file_close(&file);
}

static void test_view_options_that_do_not_fit_are_named(void **state)
{
    (void)state;
    static const struct {
        int option;
        const char *text;
        ndbuf_status status;
        const char *message;
    } cases[] = {
        {VIEW_OPS_SLICE, "0,0,0", NDBUF_ERR_INDEX, "--slice '0,0,0': 3 indices for 2 axes"},
        {VIEW_OPS_SLICE, "2", NDBUF_ERR_INDEX, "--slice '2': "},
        {VIEW_OPS_PERMUTE, "0", NDBUF_ERR_INVALID, "--permute '0': 1 axes listed, the view has 2"},
        {VIEW_OPS_PERMUTE, "0,0", NDBUF_ERR_INVALID, "--permute '0,0': "},
        {VIEW_OPS_FIELD, "z", NDBUF_ERR_INDEX, "--field 'z': "},
    };
    npy_file file;
    open_records(&file, 0);
    for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
        view_ops ops = {0};
        const npy_dtype *dtype = file.header.dtype;
        ASSERT_OK(view_ops_add(&ops, cases[k].option, cases[k].text, err));
        ASSERT_FAILS(cases[k].status, cases[k].message, view_ops_apply(&ops, &file.view, &dtype, err));
    }
    npy_file_close(&file);
    view_ops ops = {0};
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'x' is neither", view_ops_add(&ops, VIEW_OPS_SLICE, "1,x", err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'' is neither", view_ops_add(&ops, VIEW_OPS_SLICE, "1,,2", err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'' is neither", view_ops_add(&ops, VIEW_OPS_SLICE, "", err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'...' occurs 2 times", view_ops_add(&ops, VIEW_OPS_SLICE, "...,...", err));
    ASSERT_FAILS(NDBUF_ERR_INVALID, "'-1' is not an axis", view_ops_add(&ops, VIEW_OPS_PERMUTE, "0,-1", err));
    assert_int_equal(ops.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type_has_its_format_and_size),
        cmocka_unit_test(test_each_bad_type_has_its_own_text),
        cmocka_unit_test(test_each_damaged_header_has_its_own_text),
        cmocka_unit_test(test_deep_nesting_is_refused),
        cmocka_unit_test(test_a_file_cut_anywhere_is_an_error),
        cmocka_unit_test(test_magic_version_and_length_are_checked),
        cmocka_unit_test(test_text_follows_the_version),
        cmocka_unit_test(test_shape_order_and_data_are_read),
        cmocka_unit_test(test_a_made_header_reads_back_and_is_aligned),
        cmocka_unit_test(test_a_long_made_header_is_version_2),
        cmocka_unit_test(test_fields_are_found_by_path),
        cmocka_unit_test(test_an_open_file_is_a_read_only_view),
        cmocka_unit_test(test_files_that_cannot_be_opened_are_told_with_their_path),
        cmocka_unit_test(test_view_options_do_what_python_does),
        cmocka_unit_test(test_view_options_that_do_not_fit_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
