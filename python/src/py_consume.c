/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

/* The choice of the protocol by which an object's memory is taken. */

static PyObject *from_cuda_interface(ndpy_state *state, PyObject *object, PyObject *interface)
{
    (void)state;
    return ndpy_call_helper("ndbuf._array_interface", "from_cuda_interface", object, interface);
}

static PyObject *from_array_interface(ndpy_state *state, PyObject *object, PyObject *interface)
{
    (void)state;
    return ndpy_call_helper("ndbuf._array_interface", "from_array_interface", object, interface);
}

static PyObject *from_array_struct(ndpy_state *state, PyObject *object, PyObject *capsule)
{
    (void)state;
    return ndpy_call_helper("ndbuf._array_interface", "from_array_struct", object, capsule);
}

/* After the buffer protocol, which knows all but devices, in the order that loses least. Who offers Arrow's arrays has
 * memory that must not be written, which only DLPack's newer tensors can say, and PyArrow before 26 gives older ones.
 * DLPack knows the device, its number and its streams, and refuses what it cannot say (byte order, fields); the
 * interfaces of CUDA and NumPy know that, but keep nothing alive by themselves. */
static const struct {
    const char *attribute;
    PyObject *(*take)(ndpy_state *state, PyObject *object, PyObject *attribute);
} protocols[] = {{"__arrow_c_device_array__", ndpy_from_arrow},
                 {"__arrow_c_array__", ndpy_from_arrow},
                 {"__dlpack__", ndpy_from_dlpack},
                 {"__cuda_array_interface__", from_cuda_interface},
                 {"__array_interface__", from_array_interface},
                 {"__array_struct__", from_array_struct}};

int ndpy_find_memory(PyObject *object, int *out_has_memory)
{
    *out_has_memory = PyObject_CheckBuffer(object);
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]) && !*out_has_memory; i++) {
        PyObject *attribute = NULL;
        if (!ndpy_find_attribute(object, protocols[i].attribute, &attribute)) {
            return 0;
        }
        *out_has_memory = attribute != NULL;
        Py_XDECREF(attribute);
    }
    return 1;
}

/* The first failure, which is the best reason to give: the later protocols know less. */
typedef struct first_failure {
    PyObject *type; /* NULL: there was none */
    PyObject *value;
    PyObject *traceback;
} first_failure;

/* Puts aside the exception that is set, if it says no more than "not by this protocol". */
static int may_go_on(first_failure *first)
{
    if (!PyErr_ExceptionMatches(PyExc_BufferError) && !PyErr_ExceptionMatches(PyExc_ValueError) &&
        !PyErr_ExceptionMatches(PyExc_TypeError) && !PyErr_ExceptionMatches(PyExc_AttributeError) &&
        !PyErr_ExceptionMatches(PyExc_NotImplementedError)) {
        return 0;
    }
    if (first->type == NULL) {
        PyErr_Fetch(&first->type, &first->value, &first->traceback);
    } else {
        PyErr_Clear();
    }
    return 1;
}

/* Whether a buffer's format may lead astray: it does not go together with the item size; is that of a record without
 * axes, which NumPy writes as if it were aligned; or has records in records. Of these NumPy's text can be read in two
 * ways: it leaves out padding at their end, or writes it behind them, where others have padded already, and in an array
 * of them only once. */
static int is_doubtful(const ndbuf_view *view)
{
    const ndbuf_format *format = ndbuf_view_format(view);
    uint32_t flags = ndbuf_format_flags(format);
    ndbuf_field field;
    ndbuf_error err = {0};
    if ((flags & NDBUF_FORMAT_UNRELIABLE) != 0 || (view->ndim == 0 && (flags & NDBUF_FORMAT_RECORD) != 0)) {
        return 1;
    }
    for (int32_t i = 0; i < ndbuf_format_nfields(format); i++) {
        if (ndbuf_format_field(format, i, &field, &err) == NDBUF_OK && field.nnames > 1) {
            return 1;
        }
    }
    return 0;
}

/* The View of a buffer, or a better one where its format is in doubt, by NumPy's array interface, which has all fields
 * as they lie. Takes over `view`. */
static PyObject *with_fields(ndpy_state *state, PyObject *object, PyObject *view)
{
    PyObject *interface = NULL;
    PyObject *better = NULL;
    if (!is_doubtful(&((ndpy_view *)view)->view)) {
        return view;
    }
    if (ndpy_find_attribute(object, "__array_interface__", &interface) && interface != NULL) {
        better = from_array_interface(state, object, interface);
        Py_DECREF(interface);
    }
    if (better == NULL && (PyErr_Occurred() == NULL ||
                           (PyErr_ExceptionMatches(PyExc_Exception) && !PyErr_ExceptionMatches(PyExc_MemoryError)))) {
        PyErr_Clear();
        return view;
    }
    Py_DECREF(view);
    return better;
}

static PyObject *consume(ndpy_state *state, PyObject *object, first_failure *first)
{
    PyObject *view = NULL;
    int is_final = 0;
    if (PyObject_CheckBuffer(object)) {
        view = ndpy_from_buffer(state, object, &is_final);
        if (view != NULL) {
            return with_fields(state, object, view);
        }
        if (is_final || !may_go_on(first)) {
            return NULL;
        }
    }
    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        PyObject *attribute = NULL;
        int is_found = ndpy_find_attribute(object, protocols[i].attribute, &attribute);
        if (is_found && attribute == NULL) {
            continue;
        }
        if (is_found) {
            view = protocols[i].take(state, object, attribute);
            Py_DECREF(attribute);
        }
        if (view != NULL || !may_go_on(first)) {
            return view;
        }
    }
    if (first->type == NULL) {
        PyErr_Format(PyExc_TypeError,
                     "an object of type %R has neither the buffer protocol nor __arrow_c_device_array__, "
                     "__arrow_c_array__, __dlpack__, __cuda_array_interface__, __array_interface__ or "
                     "__array_struct__",
                     (PyObject *)Py_TYPE(object));
        return NULL;
    }
    PyErr_Restore(first->type, first->value, first->traceback);
    first->type = first->value = first->traceback = NULL;
    return NULL;
}

PyObject *ndpy_consume(ndpy_state *state, PyObject *object)
{
    first_failure first = {NULL, NULL, NULL};
    if (Py_TYPE(object) == state->view_type) {
        Py_INCREF(object);
        return object;
    }
    PyObject *view = consume(state, object, &first);
    Py_XDECREF(first.type);
    Py_XDECREF(first.value);
    Py_XDECREF(first.traceback);
    return view;
}
