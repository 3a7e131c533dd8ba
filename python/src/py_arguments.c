/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

int ndpy_parse_int64(PyObject *number, void *out_int64)
{
    PyObject *index = PyNumber_Index(number);
    if (index == NULL) {
        return 0;
    }
    long long value = PyLong_AsLongLong(index);
    Py_DECREF(index);
    if (value == -1 && PyErr_Occurred() != NULL) {
        return 0;
    }
    *(int64_t *)out_int64 = value;
    return 1;
}

int ndpy_parse_dims(PyObject *dims, int32_t *out_ndim, int64_t *out_dims, const char *what)
{
    if (PyIndex_Check(dims)) {
        *out_ndim = 1;
        return ndpy_parse_int64(dims, &out_dims[0]);
    }
    PyObject *items = PySequence_Tuple(dims);
    if (items == NULL) {
        PyErr_Format(PyExc_TypeError, "%s must be an int or a sequence of ints", what);
        return 0;
    }
    Py_ssize_t ndim = PyTuple_Size(items);
    int is_good = ndim <= NDBUF_MAX_NDIM;
    if (!is_good) {
        PyErr_Format(PyExc_ValueError, "%s has %zd entries, more than %d", what, ndim, NDBUF_MAX_NDIM);
    }
    for (Py_ssize_t k = 0; k < ndim && is_good; k++) {
        is_good = ndpy_parse_int64(PyTuple_GetItem(items, k), &out_dims[k]);
    }
    Py_DECREF(items);
    *out_ndim = (int32_t)ndim;
    return is_good;
}

int ndpy_parse_format(PyObject *text, ndbuf_format **out_format)
{
    ndbuf_error err = {0};
    Py_ssize_t length = 0;
    const char *utf8 = NULL;
    if (text != NULL && text != Py_None) {
        if (!PyUnicode_Check(text)) {
            PyErr_SetString(PyExc_TypeError, "format must be a str in the syntax of PEP 3118");
            return 0;
        }
        utf8 = PyUnicode_AsUTF8AndSize(text, &length);
        if (utf8 == NULL) {
            return 0;
        }
        if (strlen(utf8) != (size_t)length) {
            PyErr_SetString(PyExc_ValueError, "format contains a null character");
            return 0;
        }
    }
    if (ndbuf_format_parse(utf8, 0, out_format, &err) != NDBUF_OK) {
        ndpy_raise(&err);
        return 0;
    }
    return 1;
}

int ndpy_parse_casting(const char *name, ndbuf_casting *out_casting)
{
    for (int casting = NDBUF_CASTING_NO; casting <= NDBUF_CASTING_UNSAFE; casting++) {
        if (strcmp(name, ndbuf_casting_name((ndbuf_casting)casting)) == 0) {
            *out_casting = (ndbuf_casting)casting;
            return 1;
        }
    }
    PyErr_Format(PyExc_ValueError, "casting must be one of no, equiv, safe, same_kind and unsafe, not '%s'", name);
    return 0;
}

PyObject *ndpy_tuple_of(int32_t count, const int64_t *numbers)
{
    PyObject *tuple = PyTuple_New(count);
    for (int32_t k = 0; k < count && tuple != NULL; k++) {
        PyObject *number = PyLong_FromLongLong(numbers[k]);
        if (number == NULL || PyTuple_SetItem(tuple, k, number) != 0) {
            Py_CLEAR(tuple);
        }
    }
    return tuple;
}
