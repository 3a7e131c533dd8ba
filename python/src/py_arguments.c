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
        if (ndpy_parse_int64(dims, &out_dims[0])) {
            return 1;
        }
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) {
            return 0;
        }
        PyErr_Clear(); /* an array of integers */
    }
    PyObject *items = PySequence_Tuple(dims);
    if (items == NULL) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Format(PyExc_TypeError, "%s must be an int or a sequence of ints", what);
        }
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

int ndpy_parse_pair(PyObject *pair, const char *what, int32_t out_pair[2])
{
    int64_t numbers[NDBUF_MAX_NDIM];
    int32_t count = 0;
    if (!ndpy_parse_dims(pair, &count, numbers, what)) {
        return 0;
    }
    if (count != 2 || numbers[0] != (int32_t)numbers[0] || numbers[1] != (int32_t)numbers[1]) {
        PyErr_Format(PyExc_TypeError, "%s must be a pair of ints, not %R", what, pair);
        return 0;
    }
    out_pair[0] = (int32_t)numbers[0];
    out_pair[1] = (int32_t)numbers[1];
    return 1;
}

int ndpy_parse_format(PyObject *text, ndbuf_format **out_format)
{
    ndbuf_error err = {0};
    PyObject *bytes = NULL;
    if (text != Py_None) {
        bytes = ndpy_bytes_of(text, "format");
        if (bytes == NULL) {
            return 0;
        }
    }
    ndbuf_status status = ndbuf_format_parse(bytes == NULL ? NULL : PyBytes_AsString(bytes), 0, out_format, &err);
    Py_XDECREF(bytes);
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
    }
    return status == NDBUF_OK;
}

int ndpy_parse_layout(PyObject *format, PyObject *shape, PyObject *strides, int64_t *out_shape, int64_t *out_strides,
                      ndbuf_view_spec *out_spec)
{
    int32_t nstrides = 0;
    if (!ndpy_parse_dims(shape, &out_spec->ndim, out_shape, "shape") ||
        (strides != Py_None && !ndpy_parse_dims(strides, &nstrides, out_strides, "strides"))) {
        return 0;
    }
    if (strides != Py_None && nstrides != out_spec->ndim) {
        PyErr_Format(PyExc_ValueError, "%d axes, but %d strides", (int)out_spec->ndim, (int)nstrides);
        return 0;
    }
    out_spec->shape = out_shape;
    out_spec->strides = strides == Py_None ? NULL : out_strides;
    return ndpy_parse_format(format, &out_spec->format);
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

int ndpy_parse_order(const char *name, const char *allowed, char *out_order)
{
    if (strlen(name) != 1 || strchr(allowed, name[0]) == NULL) {
        PyErr_Format(PyExc_ValueError, "order must be one of the letters %s, not '%s'", allowed, name);
        return 0;
    }
    *out_order = name[0];
    return 1;
}

PyObject *ndpy_str_of(const char *bytes)
{
    return PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)strlen(bytes), "surrogateescape");
}

PyObject *ndpy_bytes_of(PyObject *text, const char *what)
{
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "%s must be a str, not %R", what, (PyObject *)Py_TYPE(text));
        return NULL;
    }
    PyObject *bytes = PyUnicode_AsEncodedString(text, "utf-8", "surrogateescape");
    if (bytes != NULL && strlen(PyBytes_AsString(bytes)) != (size_t)PyBytes_Size(bytes)) {
        PyErr_Format(PyExc_ValueError, "%s contains a null character", what);
        Py_CLEAR(bytes);
    }
    return bytes;
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

void ndpy_strides_of(const ndbuf_view *view, int64_t *out_strides)
{
    uint64_t stride = (uint64_t)view->itemsize; /* of a view without items it may go beyond 63 bits */
    for (int32_t k = view->ndim; k-- > 0;) {
        out_strides[k] = view->strides != NULL ? view->strides[k] : (int64_t)stride;
        stride *= (uint64_t)view->shape[k];
    }
}

int ndpy_find_attribute(PyObject *object, const char *name, PyObject **out_attribute)
{
    *out_attribute = PyObject_GetAttrString(object, name);
    if (*out_attribute == NULL && PyErr_ExceptionMatches(PyExc_AttributeError)) {
        PyErr_Clear();
    }
    return PyErr_Occurred() == NULL;
}
