/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

#include "ndbuf/arrow_device.h"

/* Arrow's Python protocol, in both directions: pairs of capsules of a schema and an array. Consumers release what is
 * in them, and so do the capsules where nobody did. */

#define SCHEMA "arrow_schema"
#define ARRAY "arrow_array"
#define DEVICE_ARRAY "arrow_device_array"

static void schema_destroy(PyObject *capsule)
{
    struct ArrowSchema *schema = PyCapsule_GetPointer(capsule, SCHEMA);
    if (schema->release != NULL) {
        schema->release(schema);
    }
    PyMem_Free(schema);
}

/* An ArrowDeviceArray begins with the ArrowArray, so that this is for both. */
static void array_destroy(PyObject *capsule)
{
    struct ArrowArray *array = PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule));
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (array->release != NULL) {
        Py_BEGIN_ALLOW_THREADS
        array->release(array);
        Py_END_ALLOW_THREADS
    }
    PyErr_Restore(type, value, traceback);
    PyMem_Free(array);
}

/* -- export -- */

/* Takes over both structs, also when it fails. */
static PyObject *pair_of_capsules(struct ArrowSchema *schema, struct ArrowDeviceArray *array, const char *array_name)
{
    PyObject *schema_capsule = PyCapsule_New(schema, SCHEMA, schema_destroy);
    PyObject *array_capsule = PyCapsule_New(array, array_name, array_destroy);
    if (schema_capsule == NULL) {
        schema->release(schema);
        PyMem_Free(schema);
    }
    if (array_capsule == NULL) {
        array->array.release(&array->array);
        PyMem_Free(array);
    }
    PyObject *pair =
        schema_capsule == NULL || array_capsule == NULL ? NULL : PyTuple_Pack(2, schema_capsule, array_capsule);
    Py_XDECREF(schema_capsule);
    Py_XDECREF(array_capsule);
    return pair;
}

static PyObject *export_view(const ndbuf_view *view, const char *array_name)
{
    /* With memory of the host nobody looks for an event. */
    ndbuf_arrow_export_options options = {.flags = ndpy_is_on_host(view) ? NDBUF_ARROW_WAIT : 0};
    ndbuf_error err = {0};
    ndbuf_status status;
    struct ArrowSchema *schema = PyMem_Calloc(1, sizeof(*schema));
    struct ArrowDeviceArray *array = PyMem_Calloc(1, sizeof(*array));
    if (schema == NULL || array == NULL) {
        PyMem_Free(schema);
        PyMem_Free(array);
        return PyErr_NoMemory();
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_arrow_export(view, &options, schema, array, NULL, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        PyMem_Free(schema);
        PyMem_Free(array);
        return ndpy_raise_buffer_error(&err);
    }
    return pair_of_capsules(schema, array, array_name);
}

/* Keywords of later versions of the protocol must be None, says Arrow. requested_schema is a wish alone. */
static int check_keywords(PyObject *keywords)
{
    PyObject *key, *value;
    Py_ssize_t position = 0;
    while (keywords != NULL && PyDict_Next(keywords, &position, &key, &value)) {
        if (value != Py_None && PyUnicode_CompareWithASCIIString(key, "requested_schema") != 0) {
            PyErr_Format(PyExc_NotImplementedError, "__arrow_c_device_array__ does not know the keyword %R", key);
            return 0;
        }
    }
    return 1;
}

PyObject *ndpy_arrow_device_array(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    ndpy_view *self = (ndpy_view *)object;
    PyObject *requested = Py_None;
    if (!PyArg_ParseTuple(arguments, "|O:__arrow_c_device_array__", &requested) || !check_keywords(keywords) ||
        !ndpy_view_enter(self)) {
        return NULL;
    }
    PyObject *pair = export_view(&self->view, DEVICE_ARRAY);
    ndpy_view_leave(self);
    return pair;
}

PyObject *ndpy_arrow_array(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"requested_schema", NULL};
    ndpy_view *self = (ndpy_view *)object;
    PyObject *requested = Py_None;
    PyObject *pair = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:__arrow_c_array__", (char **)names, &requested) ||
        !ndpy_view_enter(self)) {
        return NULL;
    }
    if (ndpy_is_on_host(&self->view)) {
        pair = export_view(&self->view, ARRAY);
    } else {
        ndpy_refuse_host(&self->view);
    }
    ndpy_view_leave(self);
    return pair;
}

/* -- import -- */

/* Moves an array out of its capsule. */
static int take_array(PyObject *capsule, struct ArrowDeviceArray *out_array)
{
    if (PyCapsule_IsValid(capsule, DEVICE_ARRAY)) {
        struct ArrowDeviceArray *array = PyCapsule_GetPointer(capsule, DEVICE_ARRAY);
        *out_array = *array;
        array->array.release = NULL;
    } else if (PyCapsule_IsValid(capsule, ARRAY)) {
        struct ArrowArray *array = PyCapsule_GetPointer(capsule, ARRAY);
        memset(out_array, 0, sizeof(*out_array));
        out_array->array = *array;
        out_array->device_type = ARROW_DEVICE_CPU;
        out_array->device_id = -1;
        array->release = NULL;
    } else {
        return 0;
    }
    return 1;
}

PyObject *ndpy_from_arrow(ndpy_state *state, PyObject *object, PyObject *method)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    ndbuf_view view = {0};
    struct ArrowDeviceArray array;
    (void)object;
    PyObject *pair = PyObject_CallFunctionObjArgs(method, NULL);
    if (pair == NULL) {
        return NULL;
    }
    PyObject *schema_capsule = PyTuple_Check(pair) && PyTuple_Size(pair) == 2 ? PyTuple_GetItem(pair, 0) : NULL;
    if (schema_capsule == NULL || !PyCapsule_IsValid(schema_capsule, SCHEMA) ||
        !take_array(PyTuple_GetItem(pair, 1), &array)) {
        Py_DECREF(pair);
        PyErr_SetString(PyExc_BufferError, "the object gave no pair of Arrow's capsules");
        return NULL;
    }
    struct ArrowSchema *schema = PyCapsule_GetPointer(schema_capsule, SCHEMA);
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_arrow_import(schema, &array, NULL, &view, NULL, &err);
    Py_END_ALLOW_THREADS
    Py_DECREF(pair);
    return status == NDBUF_OK ? ndpy_view_wrap(state, &view) : ndpy_raise_buffer_error(&err);
}
