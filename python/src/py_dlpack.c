/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include "ndbuf/dlpack.h"

/* DLPack's Python protocol, in both directions. */

#define CAPSULE "dltensor"
#define CAPSULE_VERSIONED "dltensor_versioned"

/* Ends a tensor that nobody consumed: consumers change the capsule's name. */
static void end_unconsumed(DLManagedTensorVersioned *versioned, DLManagedTensor *legacy)
{
    if (versioned != NULL) {
        versioned->deleter(versioned);
    }
    if (legacy != NULL) {
        legacy->deleter(legacy);
    }
}

static void capsule_destroy(PyObject *capsule)
{
    PyObject *type, *value, *traceback;
    DLManagedTensorVersioned *versioned = NULL;
    DLManagedTensor *legacy = NULL;
    PyErr_Fetch(&type, &value, &traceback);
    if (PyCapsule_IsValid(capsule, CAPSULE_VERSIONED)) {
        versioned = PyCapsule_GetPointer(capsule, CAPSULE_VERSIONED);
    } else if (PyCapsule_IsValid(capsule, CAPSULE)) {
        legacy = PyCapsule_GetPointer(capsule, CAPSULE);
    }
    Py_BEGIN_ALLOW_THREADS
    end_unconsumed(versioned, legacy);
    Py_END_ALLOW_THREADS
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
    int32_t version[2] = {0, 0};
    if (max_version != Py_None && !ndpy_parse_pair(max_version, "max_version", version)) {
        return 0;
    }
    request->is_versioned = version[0] >= 1;
    return 1;
}

static int parse_device(const ndbuf_view *view, PyObject *dl_device, dlpack_request *request)
{
    int32_t device[2] = {view->device.type, view->device.id};
    if (dl_device != Py_None && !ndpy_parse_pair(dl_device, "dl_device", device)) {
        return 0;
    }
    if (device[0] < 0 || device[1] < 0) {
        PyErr_Format(PyExc_TypeError, "dl_device must be a device type and a number, not %R", dl_device);
        return 0;
    }
    request->device.type = device[0];
    request->device.id = device[1];
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

int ndpy_refuse_negative_strides(const ndbuf_view *view)
{
    for (int32_t k = 0; k < view->ndim && view->strides != NULL; k++) {
        if (view->strides[k] < 0 && view->shape[k] > 1) {
            PyErr_SetString(PyExc_BufferError, "strides are negative, which not every consumer of DLPack survives: "
                                               "take view.copy(), or ask for a copy");
            return 0;
        }
    }
    return 1;
}

static int parse_copy(const ndbuf_view *view, PyObject *copy, dlpack_request *request)
{
    request->copy = NDBUF_COPY_IF_NEEDED;
    if (copy != Py_None) {
        int must_copy = PyObject_IsTrue(copy);
        if (must_copy < 0) {
            return 0;
        }
        request->copy = must_copy ? NDBUF_COPY_ALWAYS : NDBUF_COPY_NEVER;
    }
    return request->copy == NDBUF_COPY_ALWAYS || ndpy_refuse_negative_strides(view);
}

/* A capsule that owns the tensor of `view`. */
static PyObject *export_versioned(const ndbuf_view *view, const ndbuf_dlpack_export_options *options)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    DLManagedTensorVersioned *tensor = NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_dlpack_export(view, options, &tensor, NULL, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise_buffer_error(&err);
    }
    PyObject *capsule = PyCapsule_New(tensor, CAPSULE_VERSIONED, capsule_destroy);
    if (capsule == NULL) {
        end_unconsumed(tensor, NULL);
    }
    return capsule;
}

/* The same for consumers from before DLPack 1.0. */
static PyObject *export_legacy(const ndbuf_view *view, const ndbuf_dlpack_export_options *options)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    DLManagedTensor *tensor = NULL;
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_dlpack_export_legacy(view, options, &tensor, NULL, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise_buffer_error(&err);
    }
    PyObject *capsule = PyCapsule_New(tensor, CAPSULE, capsule_destroy);
    if (capsule == NULL) {
        end_unconsumed(NULL, tensor);
    }
    return capsule;
}

/* The capsule for a request that has been read. */
static PyObject *answer(ndpy_view *self, const dlpack_request *parsed)
{
    ndbuf_request request =
        NDBUF_REQUEST_INIT(NDBUF_REQUEST_STRIDES | NDBUF_REQUEST_FORMAT | NDBUF_REQUEST_READY_EVENT);
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    ndbuf_status status;
    ndbuf_exporter *exporter = ndpy_view_exporter(self);
    if (exporter == NULL) {
        return NULL;
    }
    request.copy = parsed->copy;
    request.devices = &parsed->device;
    request.ndevices = 1;
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_view_acquire(&view, exporter, &request, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise_buffer_error(&err);
    }
    PyObject *capsule =
        parsed->is_versioned ? export_versioned(&view, &parsed->options) : export_legacy(&view, &parsed->options);
    ndpy_view_clear(&view);
    return capsule;
}

PyObject *ndpy_dlpack(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"stream", "max_version", "dl_device", "copy", NULL};
    ndpy_view *self = (ndpy_view *)object;
    PyObject *stream = Py_None, *max_version = Py_None, *dl_device = Py_None, *copy = Py_None;
    dlpack_request request = {0};
    PyObject *capsule = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|$OOOO:__dlpack__", (char **)names, &stream, &max_version,
                                     &dl_device, &copy) ||
        !ndpy_view_enter(self)) {
        return NULL;
    }
    if (parse_version(max_version, &request) && parse_device(&self->view, dl_device, &request) &&
        parse_stream(stream, &request) && parse_copy(&self->view, copy, &request)) {
        capsule = answer(self, &request);
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

/* Calls an object's __dlpack__. `stream` may be NULL. out_is_old: whether the producer is from before version 1. */
static PyObject *call_dlpack(PyObject *method, PyObject *stream, int *out_is_old)
{
    PyObject *nothing = PyTuple_New(0);
    PyObject *keywords = PyDict_New();
    PyObject *version = Py_BuildValue("(ii)", DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION);
    PyObject *capsule = NULL;
    *out_is_old = 0;
    if (nothing != NULL && keywords != NULL && version != NULL &&
        (stream == NULL || PyDict_SetItemString(keywords, "stream", stream) == 0) &&
        PyDict_SetItemString(keywords, "max_version", version) == 0) {
        capsule = PyObject_Call(method, nothing, keywords);
        if (capsule == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) { /* from before max_version */
            PyErr_Clear();
            *out_is_old = 1;
            if (PyDict_DelItemString(keywords, "max_version") == 0) {
                capsule = PyObject_Call(method, nothing, keywords);
            }
        }
    }
    Py_XDECREF(nothing);
    Py_XDECREF(keywords);
    Py_XDECREF(version);
    return capsule;
}

PyObject *ndpy_refuse_tensor(const ndbuf_error *err)
{
    return err->status == NDBUF_ERR_INVALID ? ndpy_raise(err) : ndpy_raise_buffer_error(err);
}

/* Consumes a capsule, whose name says so from then on. What is in it must be on the device that its producer said,
 * since its work was put in order there. `ready` may be NULL.
 *
 * A legacy tensor cannot say that it must not be written to. Where the producer knows of version 1 and gives one all
 * the same, as JAX does, it may be of immutable memory; those from before, as PyTorch's and CuPy's, are written to. */
static PyObject *consume_capsule(ndpy_state *state, PyObject *capsule, int is_old, ndbuf_device *device,
                                 ndbuf_event *ready)
{
    ndbuf_error err = {0};
    ndbuf_view view = {0};
    ndbuf_status status;
    if (PyCapsule_IsValid(capsule, CAPSULE_VERSIONED)) {
        DLManagedTensorVersioned *tensor = PyCapsule_GetPointer(capsule, CAPSULE_VERSIONED);
        if (PyCapsule_SetName(capsule, "used_" CAPSULE_VERSIONED) != 0) {
            return NULL;
        }
        status = ndbuf_dlpack_import(&tensor, NULL, &view, NULL, &err);
    } else if (PyCapsule_IsValid(capsule, CAPSULE)) {
        DLManagedTensor *tensor = PyCapsule_GetPointer(capsule, CAPSULE);
        if (PyCapsule_SetName(capsule, "used_" CAPSULE) != 0) {
            return NULL;
        }
        status = ndbuf_dlpack_import_legacy(&tensor, NULL, &view, NULL, &err);
        if (status == NDBUF_OK && !is_old) {
            status = ndbuf_view_readonly(&view, &view, &err);
        }
    } else {
        PyErr_SetString(PyExc_BufferError, "__dlpack__ gave no DLPack capsule, or one that is consumed already");
        return NULL;
    }
    if (status != NDBUF_OK) {
        ndpy_view_clear(&view);
        return ndpy_refuse_tensor(&err);
    }
    ndbuf_device_tag tag = ndbuf_device_tag_get(device);
    if (view.device.type != tag.type || view.device.id != tag.id) {
        PyErr_Format(PyExc_BufferError, "the tensor is on device type %d number %d, but its producer said %d and %d",
                     (int)view.device.type, (int)view.device.id, (int)tag.type, (int)tag.id);
        ndpy_view_clear(&view);
        return NULL;
    }
    if (ready != NULL) {
        ndbuf_view_set_ready(&view, ready);
    }
    return ndpy_view_wrap(state, &view);
}

/* On CUDA the producer orders its work before a new queue of ours, and the view is ready when that has come so far. */
static PyObject *consume_in_order(ndpy_state *state, PyObject *method, ndbuf_device *device)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    ndbuf_queue *queue = NULL;
    ndbuf_event *ready = NULL;
    PyObject *view = NULL;
    int is_old = 0;
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_queue_create(device, &queue, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    PyObject *stream = PyLong_FromVoidPtr(ndbuf_queue_native(queue));
    PyObject *capsule = stream == NULL ? NULL : call_dlpack(method, stream, &is_old);
    if (capsule != NULL) {
        if (ndbuf_queue_record(queue, &ready, &err) == NDBUF_OK) {
            view = consume_capsule(state, capsule, is_old, device, ready);
        } else {
            ndpy_raise(&err);
        }
    }
    Py_XDECREF(capsule);
    Py_XDECREF(stream);
    ndbuf_event_release(ready);
    ndpy_queue_release(queue);
    return view;
}

/* The device that an object says its memory is on. */
static int find_device(ndpy_state *state, PyObject *object, ndbuf_device **out_device)
{
    int32_t numbers[2];
    PyObject *pair = PyObject_CallMethod(object, "__dlpack_device__", NULL);
    if (pair == NULL) {
        return 0;
    }
    int is_good = ndpy_parse_pair(pair, "what __dlpack_device__ returns", numbers);
    Py_DECREF(pair);
    ndbuf_device_tag tag = {numbers[0], numbers[1]};
    if (tag.type == NDBUF_DEVICE_CUDA_HOST || tag.type == NDBUF_DEVICE_CUDA_MANAGED) {
        tag.id = 0; /* some give the number of the current device, as CuPy does */
    }
    return is_good && ndpy_device_open_tag(state, tag, out_device);
}

PyObject *ndpy_from_dlpack(ndpy_state *state, PyObject *object, PyObject *method)
{
    ndbuf_device *device = NULL;
    if (!find_device(state, object, &device)) {
        return NULL;
    }
    if (ndbuf_device_tag_get(device).type == NDBUF_DEVICE_CUDA) {
        return consume_in_order(state, method, device);
    }
    int is_old = 0;
    PyObject *capsule = call_dlpack(method, NULL, &is_old);
    PyObject *view = capsule == NULL ? NULL : consume_capsule(state, capsule, is_old, device, NULL);
    Py_XDECREF(capsule);
    return view;
}
