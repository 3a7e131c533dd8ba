/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

/* The exception of a status. */
static PyObject *exception_of(int32_t status)
{
    switch (status) {
    case NDBUF_ERR_INDEX:
        return PyExc_IndexError;
    case NDBUF_ERR_READONLY: /* what memoryview raises */
    case NDBUF_ERR_CAST:     /* what NumPy raises */
        return PyExc_TypeError;
    case NDBUF_ERR_NOMEM:
        return PyExc_MemoryError;
    case NDBUF_ERR_REQUEST:
    case NDBUF_ERR_COPY_NEEDED:
    case NDBUF_ERR_BUSY:
    case NDBUF_ERR_UNSUPPORTED:
    case NDBUF_ERR_ABI:
        return PyExc_BufferError;
    case NDBUF_ERR_UNAVAILABLE:
    case NDBUF_ERR_DEVICE:
        return PyExc_RuntimeError;
    default: /* INVALID, FORMAT, OVERFLOW, BOUNDS */
        return PyExc_ValueError;
    }
}

static const char *text_of(const ndbuf_error *err)
{
    return err->message[0] != '\0' ? err->message : ndbuf_status_text((ndbuf_status)err->status);
}

PyObject *ndpy_raise(const ndbuf_error *err)
{
    if (err->status == NDBUF_ERR_IO && err->native_code != 0) {
        PyObject *arguments = Py_BuildValue("(is)", (int)err->native_code, text_of(err));
        if (arguments != NULL) {
            PyErr_SetObject(PyExc_OSError, arguments); /* its subclass that belongs to errno */
            Py_DECREF(arguments);
        }
    } else if (err->status == NDBUF_ERR_IO) {
        PyErr_SetString(PyExc_OSError, text_of(err));
    } else {
        PyErr_SetString(exception_of(err->status), text_of(err));
    }
    return NULL;
}

PyObject *ndpy_raise_buffer_error(const ndbuf_error *err)
{
    PyErr_SetString(err->status == NDBUF_ERR_NOMEM ? PyExc_MemoryError : PyExc_BufferError, text_of(err));
    return NULL;
}
