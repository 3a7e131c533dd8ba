/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

PyObject *ndpy_text(const char *text)
{
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

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
    case NDBUF_ERR_IO:
        return PyExc_OSError;
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

/* Sets an exception with the text of a failure. */
static PyObject *raise_as(PyObject *exception, const ndbuf_error *err)
{
    PyObject *text = ndpy_text(text_of(err));
    if (text != NULL) {
        PyErr_SetObject(exception, text);
        Py_DECREF(text);
    }
    return NULL;
}

PyObject *ndpy_raise(const ndbuf_error *err)
{
    if (err->status != NDBUF_ERR_IO || err->native_code == 0) {
        return raise_as(exception_of(err->status), err);
    }
    PyObject *arguments = Py_BuildValue("(iN)", (int)err->native_code, ndpy_text(text_of(err)));
    if (arguments != NULL) {
        PyErr_SetObject(PyExc_OSError, arguments); /* its subclass that belongs to errno */
        Py_DECREF(arguments);
    }
    return NULL;
}

PyObject *ndpy_raise_buffer_error(const ndbuf_error *err)
{
    return raise_as(err->status == NDBUF_ERR_NOMEM ? PyExc_MemoryError : PyExc_BufferError, err);
}
