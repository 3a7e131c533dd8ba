/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

/* Views of new memory, and of files. */

static int create_view(ndpy_state *state, PyObject *shape, PyObject *text, PyObject *spec, ndbuf_view *out_view)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    ndbuf_device *device = NULL;
    ndbuf_format *format = NULL;
    int64_t dims[NDBUF_MAX_NDIM];
    int32_t ndim = 0;
    if (!ndpy_parse_dims(shape, &ndim, dims, "shape") || !ndpy_device_open(state, spec, &device) ||
        !ndpy_parse_format(text, &format)) {
        return 0;
    }
    if (!ndpy_refuse_objects(format)) {
        ndbuf_format_release(format);
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_view_create(out_view, device, format, ndim, dims, &err);
    Py_END_ALLOW_THREADS
    ndbuf_format_release(format);
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
        return 0;
    }
    return 1;
}

/* Fills a new view with a value (NULL: zero bytes), and wraps it. */
static PyObject *filled(ndpy_state *state, ndbuf_view *view, PyObject *value)
{
    if (!ndpy_fill(view, value)) {
        ndpy_view_clear(view);
        return NULL;
    }
    return ndpy_view_wrap(state, view);
}

static PyObject *create(PyObject *module, PyObject *arguments, PyObject *keywords, const char *signature, int is_zeroed)
{
    static const char *const names[] = {"shape", "format", "device", NULL};
    ndpy_state *state = PyModule_GetState(module);
    PyObject *shape = NULL, *format = Py_None, *device = Py_None;
    ndbuf_view view = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, signature, (char **)names, &shape, &format, &device) ||
        !create_view(state, shape, format, device, &view)) {
        return NULL;
    }
    return is_zeroed ? filled(state, &view, NULL) : ndpy_view_wrap(state, &view);
}

PyObject *ndpy_empty(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    return create(module, arguments, keywords, "O|OO:empty", 0);
}

PyObject *ndpy_zeros(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    return create(module, arguments, keywords, "O|OO:zeros", 1);
}

PyObject *ndpy_full(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"shape", "value", "format", "device", NULL};
    ndpy_state *state = PyModule_GetState(module);
    PyObject *shape = NULL, *value = NULL, *format = Py_None, *device = Py_None;
    ndbuf_view view = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|OO:full", (char **)names, &shape, &value, &format,
                                     &device) ||
        !create_view(state, shape, format, device, &view)) {
        return NULL;
    }
    return filled(state, &view, value);
}

/* _map_file(path, readonly): all bytes of a file. */
PyObject *ndpy_map_file(PyObject *module, PyObject *arguments)
{
    ndpy_state *state = PyModule_GetState(module);
    PyObject *path = NULL;
    int readonly = 0;
    ndbuf_error err = {0};
    ndbuf_status status;
    ndbuf_storage *storage = NULL;
    ndbuf_view view = {0};
    if (!PyArg_ParseTuple(arguments, "O&p:_map_file", PyUnicode_FSConverter, &path, &readonly)) {
        return NULL;
    }
    const char *name = PyBytes_AsString(path);
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_storage_map_file(name, readonly ? NDBUF_STORAGE_READONLY : 0, &storage, &err);
    Py_END_ALLOW_THREADS
    Py_DECREF(path);
    if (status != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    int64_t nbytes = (int64_t)ndbuf_storage_nbytes(storage);
    ndbuf_view_spec spec = {.ndim = 1, .shape = &nbytes};
    status = ndbuf_view_init(&view, storage, &spec, &err);
    ndbuf_storage_release(storage);
    return ndpy_view_result(state, status, &view, &err);
}
