/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include "ndbuf/opencl.h"

/* Memory of other OpenCL packages, which lies in contexts of their own. For the package's own Python code. */

#define CAPSULE "ndbuf device"

static void close_device(PyObject *capsule)
{
    ndbuf_device_close(PyCapsule_GetPointer(capsule, CAPSULE));
}

/* _opencl_device(context, device): an open device of a foreign context, from the handles of both; a capsule. */
PyObject *ndpy_opencl_device(PyObject *module, PyObject *arguments)
{
    PyObject *context, *id;
    ndbuf_device *device = NULL;
    ndbuf_error err = {0};
    ndbuf_status status;
    (void)module;
    if (!PyArg_ParseTuple(arguments, "OO:_opencl_device", &context, &id)) {
        return NULL;
    }
    void *handles[2] = {PyLong_AsVoidPtr(context), PyLong_AsVoidPtr(id)};
    if (PyErr_Occurred() != NULL || !ndpy_opening_begin()) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_opencl_device_import(handles[0], handles[1], &device, &err);
    ndpy_opening_end();
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    PyObject *capsule = PyCapsule_New(device, CAPSULE, close_device);
    if (capsule == NULL) {
        ndbuf_device_close(device);
    }
    return capsule;
}

/* _from_opencl(owner, device, memory, nbytes, format, shape, strides, offset): a View of a buffer of so many bytes,
 * which is of a device's context, as of _opencl_device; strides may be None. */
PyObject *ndpy_from_opencl(PyObject *module, PyObject *arguments)
{
    PyObject *owner, *capsule, *memory, *format, *shape, *strides;
    Py_ssize_t nbytes = 0;
    long long offset = 0;
    int64_t dims[NDBUF_MAX_NDIM];
    int64_t steps[NDBUF_MAX_NDIM];
    ndbuf_view_spec spec = {0};
    ndbuf_view view = {0};
    if (!PyArg_ParseTuple(arguments, "OOOnOOOL:_from_opencl", &owner, &capsule, &memory, &nbytes, &format, &shape,
                          &strides, &offset)) {
        return NULL;
    }
    ndbuf_device *device = PyCapsule_GetPointer(capsule, CAPSULE);
    void *handle = device == NULL ? NULL : PyLong_AsVoidPtr(memory);
    if (device == NULL || PyErr_Occurred() != NULL || !ndpy_parse_layout(format, shape, strides, dims, steps, &spec)) {
        return NULL;
    }
    spec.byte_offset = offset;
    int is_good = ndpy_view_of_handle(owner, device, handle, (size_t)nbytes, &spec, &view);
    ndbuf_format_release(spec.format);
    return is_good ? ndpy_view_wrap(PyModule_GetState(module), &view) : NULL;
}
