/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

#include "ndbuf/dlpack.h"

/* DLPack's Python protocol, in both directions. */

#define CAPSULE "dltensor"
#define CAPSULE_VERSIONED "dltensor_versioned"

/* Ends a tensor that nobody consumed: consumers change the capsule's name. */
static void capsule_destroy(PyObject *capsule)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (PyCapsule_IsValid(capsule, CAPSULE_VERSIONED)) {
        DLManagedTensorVersioned *tensor = PyCapsule_GetPointer(capsule, CAPSULE_VERSIONED);
        tensor->deleter(tensor);
    } else if (PyCapsule_IsValid(capsule, CAPSULE)) {
        DLManagedTensor *tensor = PyCapsule_GetPointer(capsule, CAPSULE);
        tensor->deleter(tensor);
    }
    PyErr_Restore(type, value, traceback);
}

/* -- export -- */

typedef struct dlpack_request {
    int is_versioned;
    int copy; /* an ndbuf_copy_policy */
    ndbuf_device_tag device;
    ndbuf_dlpack_export_options options;
} dlpack_request;

static int parse_version(PyObject *max_version, dlpack_request *request)
{
    int64_t version[NDBUF_MAX_NDIM];
    int32_t count = 0;
    if (max_version == Py_None) {
        return 1;
    }
    if (!ndpy_parse_dims(max_version, &count, version, "max_version")) {
        return 0;
    }
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "max_version must be a pair of ints");
        return 0;
    }
    request->is_versioned = version[0] >= 1;
    return 1;
}

static int parse_device(const ndbuf_view *view, PyObject *dl_device, dlpack_request *request)
{
    int64_t device[NDBUF_MAX_NDIM];
    int32_t count = 0;
    request->device = view->device;
    if (dl_device == Py_None) {
        return 1;
    }
    if (!ndpy_parse_dims(dl_device, &count, device, "dl_device")) {
        return 0;
    }
    if (count != 2 || device[0] < 0 || device[0] > INT32_MAX || device[1] < 0 || device[1] > INT32_MAX) {
        PyErr_SetString(PyExc_TypeError, "dl_device must be a pair of ints, device type and number");
        return 0;
    }
    request->device.type = (int32_t)device[0];
    request->device.id = (int32_t)device[1];
    return 1;
}

static int parse_stream(PyObject *stream, dlpack_request *request)
{
    int64_t number = 0;
    if (stream == Py_None) {
        return 1;
    }
    if (!ndpy_parse_int64(stream, &number)) {
        return 0;
    }
    if (number == -1) {
        request->options.flags |= NDBUF_DLPACK_NO_WAIT;
        return 1;
    }
    if (request->device.type == NDBUF_DEVICE_CPU || number < 0) {
        PyErr_Format(PyExc_ValueError, "stream %lld: %s", (long long)number,
                     number < 0 ? "not a stream" : "host memory has no streams; pass None");
        return 0;
    }
    if (number == 0) {
        PyErr_SetString(PyExc_ValueError, "stream 0 is ambiguous; pass 1 for the legacy default stream of CUDA, or 2");
        return 0;
    }
    request->options.native_queue = (void *)(uintptr_t)number;
    return 1;
}

static int parse_copy(PyObject *copy, dlpack_request *request)
{
    request->copy = NDBUF_COPY_IF_NEEDED;
    if (copy != Py_None) {
        int must_copy = PyObject_IsTrue(copy);
        if (must_copy < 0) {
            return 0;
        }
        request->copy = must_copy ? NDBUF_COPY_ALWAYS : NDBUF_COPY_NEVER;
    }
    return 1;
}

/* A capsule that owns the tensor of `view`. */
static PyObject *export_view(const ndbuf_view *view, const dlpack_request *request)
{
    ndbuf_error err = {0};
    DLManagedTensorVersioned *versioned = NULL;
    DLManagedTensor *legacy = NULL;
    PyObject *capsule;
    ndbuf_status status;
    Py_BEGIN_ALLOW_THREADS
    if (request->is_versioned) {
        status = ndbuf_dlpack_export(view, &request->options, &versioned, NULL, &err);
    } else {
        status = ndbuf_dlpack_export_legacy(view, &request->options, &legacy, NULL, &err);
    }
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise_buffer_error(&err);
    }
    if (request->is_versioned) {
        capsule = PyCapsule_New(versioned, CAPSULE_VERSIONED, capsule_destroy);
        if (capsule == NULL) {
            versioned->deleter(versioned);
        }
    } else {
        capsule = PyCapsule_New(legacy, CAPSULE, capsule_destroy);
        if (capsule == NULL) {
            legacy->deleter(legacy);
        }
    }
    return capsule;
}

PyObject *ndpy_dlpack(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"stream", "max_version", "dl_device", "copy", NULL};
    ndpy_view *self = (ndpy_view *)object;
    PyObject *stream = Py_None, *max_version = Py_None, *dl_device = Py_None, *copy = Py_None;
    dlpack_request parsed = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OOOO:__dlpack__", (char **)names, &stream, &max_version, &dl_device,
                                     &copy) ||
        !ndpy_view_enter(self)) {
        return NULL;
    }
    PyObject *capsule = NULL;
    if (parse_version(max_version, &parsed) && parse_device(&self->view, dl_device, &parsed) &&
        parse_stream(stream, &parsed) && parse_copy(copy, &parsed)) {
        ndbuf_request request = NDBUF_REQUEST_INIT(NDBUF_REQUEST_STRIDES | NDBUF_REQUEST_FORMAT |
                                                   NDBUF_REQUEST_READY_EVENT);
        ndbuf_exporter *exporter = ndpy_view_exporter(self);
        ndbuf_device *device = NULL; /* opened here, it stays open for more */
        ndbuf_view view = {0};
        ndbuf_error err = {0};
        ndbuf_status status = NDBUF_OK;
        request.copy = parsed.copy;
        request.devices = &parsed.device;
        request.ndevices = 1;
        int is_open = exporter != NULL && ndpy_device_open_tag(ndpy_state_of(self), parsed.device, &device);
        if (is_open) {
            Py_BEGIN_ALLOW_THREADS
            status = ndbuf_view_acquire(&view, exporter, &request, &err);
            Py_END_ALLOW_THREADS
            capsule = status == NDBUF_OK ? export_view(&view, &parsed) : ndpy_raise_buffer_error(&err);
        } else if (exporter != NULL && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_BufferError, "no device of type %d number %d here", (int)parsed.device.type,
                         (int)parsed.device.id);
        }
        ndpy_view_clear(&view);
    }
    ndpy_view_leave(self);
    return capsule;
}

PyObject *ndpy_dlpack_device(PyObject *object, PyObject *ignored)
{
    ndpy_view *self = (ndpy_view *)object;
    (void)ignored;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    ndbuf_device_tag tag = self->view.device;
    ndpy_view_leave(self);
    return Py_BuildValue("(ii)", (int)tag.type, (int)tag.id);
}

/* -- import -- */

/* Calls object.__dlpack__. `stream` may be NULL. */
static PyObject *call_dlpack(PyObject *object, PyObject *stream)
{
    PyObject *method = PyObject_GetAttrString(object, "__dlpack__");
    PyObject *nothing = PyTuple_New(0);
    PyObject *keywords = PyDict_New();
    PyObject *version = Py_BuildValue("(ii)", DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION);
    PyObject *capsule = NULL;
    if (method != NULL && nothing != NULL && keywords != NULL && version != NULL &&
        (stream == NULL || PyDict_SetItemString(keywords, "stream", stream) == 0) &&
        PyDict_SetItemString(keywords, "max_version", version) == 0) {
        capsule = PyObject_Call(method, nothing, keywords);
        if (capsule == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) { /* from before max_version */
            PyErr_Clear();
            if (PyDict_DelItemString(keywords, "max_version") == 0) {
                capsule = PyObject_Call(method, nothing, keywords);
            }
        }
    }
    Py_XDECREF(method);
    Py_XDECREF(nothing);
    Py_XDECREF(keywords);
    Py_XDECREF(version);
    return capsule;
}

/* Consumes a capsule, whose name says so from then on. */
static PyObject *consume_capsule(ndpy_state *state, PyObject *capsule, ndbuf_device *device, ndbuf_event *ready)
{
    ndbuf_dlpack_import_options options = {.device = device};
    ndbuf_error err = {0};
    ndbuf_view view = {0};
    ndbuf_status status;
    if (PyCapsule_IsValid(capsule, CAPSULE_VERSIONED)) {
        DLManagedTensorVersioned *tensor = PyCapsule_GetPointer(capsule, CAPSULE_VERSIONED);
        if (PyCapsule_SetName(capsule, "used_" CAPSULE_VERSIONED) != 0) {
            return NULL;
        }
        status = ndbuf_dlpack_import(&tensor, &options, &view, NULL, &err);
    } else if (PyCapsule_IsValid(capsule, CAPSULE)) {
        DLManagedTensor *tensor = PyCapsule_GetPointer(capsule, CAPSULE);
        if (PyCapsule_SetName(capsule, "used_" CAPSULE) != 0) {
            return NULL;
        }
        status = ndbuf_dlpack_import_legacy(&tensor, &options, &view, NULL, &err);
    } else {
        PyErr_SetString(PyExc_BufferError, "__dlpack__ gave no DLPack capsule, or one that is consumed already");
        return NULL;
    }
    if (status == NDBUF_OK && ready != NULL) {
        ndbuf_view_set_ready(&view, ready);
    }
    if (status != NDBUF_OK && status != NDBUF_ERR_INVALID) {
        return ndpy_raise_buffer_error(&err);
    }
    return ndpy_view_result(state, status, &view, &err);
}

/* On CUDA the producer orders its work before a new queue of ours, and the view is ready when that has come so far. */
static PyObject *consume_with_queue(ndpy_state *state, PyObject *object, ndbuf_device *device)
{
    ndbuf_error err = {0};
    ndbuf_queue *queue = NULL;
    ndbuf_event *ready = NULL;
    PyObject *view = NULL;
    if (ndbuf_queue_create(device, &queue, &err) != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    PyObject *stream = PyLong_FromVoidPtr(ndbuf_queue_native(queue));
    PyObject *capsule = stream == NULL ? NULL : call_dlpack(object, stream);
    if (capsule != NULL) {
        if (ndbuf_queue_record(queue, &ready, &err) == NDBUF_OK) {
            view = consume_capsule(state, capsule, NULL, ready);
        } else {
            ndpy_raise(&err);
        }
    }
    Py_XDECREF(capsule);
    Py_XDECREF(stream);
    Py_BEGIN_ALLOW_THREADS
    ndbuf_event_release(ready);
    ndbuf_queue_release(queue);
    Py_END_ALLOW_THREADS
    return view;
}

PyObject *ndpy_from_dlpack(ndpy_state *state, PyObject *object)
{
    PyObject *pair = PyObject_CallMethod(object, "__dlpack_device__", NULL);
    int64_t numbers[NDBUF_MAX_NDIM];
    int32_t count = 0;
    PyObject *view = NULL;
    ndbuf_device *device = NULL;
    if (pair == NULL) {
        return NULL;
    }
    int is_good = PyTuple_Check(pair) && ndpy_parse_dims(pair, &count, numbers, "__dlpack_device__()");
    Py_DECREF(pair);
    if (!is_good || count != 2 || numbers[0] != (int32_t)numbers[0] || numbers[1] != (int32_t)numbers[1]) {
        if (PyErr_Occurred() == NULL) {
            PyErr_SetString(PyExc_BufferError, "__dlpack_device__ gave no pair of device type and number");
        }
        return NULL;
    }
    ndbuf_device_tag tag = {(int32_t)numbers[0], (int32_t)numbers[1]};
    if (!ndpy_device_open_tag(state, tag, &device)) {
        return NULL;
    }
    if (tag.type == NDBUF_DEVICE_CUDA) {
        return consume_with_queue(state, object, device);
    }
    PyObject *capsule = call_dlpack(object, NULL);
    if (capsule != NULL) {
        view = consume_capsule(state, capsule, NULL, NULL);
        Py_DECREF(capsule);
    }
    return view;
}
