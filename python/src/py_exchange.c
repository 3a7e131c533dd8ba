/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include "ndbuf/dlpack.h"

/* DLPack's C exchange API: what other extensions do with Views without a call from Python.
 *
 * It orders nothing by itself: producer and consumer both work in current_work_stream. On CUDA that is the legacy
 * default stream, which a View's contents are put before when it goes out, and after when it comes in; on other devices
 * there is none, and who fills a View is waited for. */

#define LEGACY_STREAM ((void *)1)

static int has_work_stream(int32_t device_type)
{
    return device_type == NDBUF_DEVICE_CUDA || device_type == NDBUF_DEVICE_CUDA_MANAGED;
}

static int current_work_stream(DLDeviceType device_type, int32_t device_id, void **out_stream)
{
    (void)device_id;
    *out_stream = has_work_stream((int32_t)device_type) ? LEGACY_STREAM : NULL;
    return 0;
}

/* -- out -- */

static ndbuf_status export(const ndbuf_view *view, DLManagedTensorVersioned **out_tensor, ndbuf_error *err)
{
    ndbuf_dlpack_export_options options = {0};
    if (has_work_stream(view->device.type)) {
        options.native_queue = LEGACY_STREAM;
    }
    return ndbuf_dlpack_export(view, &options, out_tensor, NULL, err);
}

/* A copy is never made: what a consumer writes has to arrive. */
static int tensor_of_view(void *object, DLManagedTensorVersioned **out_tensor)
{
    ndpy_view *self = object;
    ndbuf_error err = {0};
    if (!ndpy_view_enter(self)) {
        return -1;
    }
    int is_good = ndpy_refuse_negative_strides(&self->view);
    if (is_good) {
        PyThreadState *saved = self->view.ready != NULL ? PyEval_SaveThread() : NULL; /* which is waited for */
        ndbuf_status status = export(&self->view, out_tensor, &err);
        if (saved != NULL) {
            PyEval_RestoreThread(saved);
        }
        is_good = status == NDBUF_OK || ndpy_raise_buffer_error(&err) != NULL;
    }
    if (is_good) { /* shared with the View, also where that is of a copy */
        (*out_tensor)->flags &= ~(uint64_t)DLPACK_FLAG_BITMASK_IS_COPIED;
    }
    ndpy_view_leave(self);
    return is_good ? 0 : -1;
}

/* -- in -- */

/* The event by which all is done that was put into the device's work stream so far. */
static ndbuf_status record_work(ndbuf_device *device, ndbuf_event **out_event, ndbuf_error *err)
{
    ndbuf_queue *queue = NULL;
    ndbuf_status status = ndbuf_queue_import(device, LEGACY_STREAM, &queue, err);
    if (status == NDBUF_OK) {
        status = ndbuf_queue_record(queue, out_event, err);
        ndbuf_queue_release(queue);
    }
    return status;
}

/* ndpy_view_wrap where nobody says which module asks. */
static PyObject *wrap(ndbuf_view *view)
{
    PyObject *name = PyUnicode_FromString("ndbuf._ndbuf");
    PyObject *module = name == NULL ? NULL : PyImport_GetModule(name);
    PyObject *object = NULL;
    if (module != NULL) {
        object = ndpy_view_wrap(PyModule_GetState(module), view);
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_RuntimeError, "ndbuf is not imported any more");
    }
    Py_XDECREF(module);
    Py_XDECREF(name);
    return object;
}

static int view_of_tensor(DLManagedTensorVersioned *tensor, void **out_object)
{
    ndbuf_view view = {0};
    ndbuf_event *ready = NULL;
    ndbuf_error err = {0};
    ndbuf_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_dlpack_import(&tensor, NULL, &view, NULL, &err);
    if (status == NDBUF_OK && has_work_stream(view.device.type)) {
        status = record_work(ndbuf_view_device(&view), &ready, &err);
        ndbuf_view_set_ready(&view, ready);
        ndbuf_event_release(ready);
    }
    Py_END_ALLOW_THREADS
    PyObject *object = status == NDBUF_OK ? wrap(&view) : ndpy_refuse_tensor(&err);
    ndpy_view_clear(&view);
    *out_object = object;
    return object != NULL ? 0 : -1;
}

/* -- new -- */

/* A view of new memory that is packed and otherwise as the prototype says, which is imported without items for that:
 * so its device is opened, and its type read. */
static ndbuf_status create_like(const DLTensor *prototype, ndbuf_view *out_view, ndbuf_error *err)
{
    int64_t nothing = 0;
    DLManagedTensorVersioned empty = {
        .version = {DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION},
        .dl_tensor = {.device = prototype->device, .ndim = 1, .dtype = prototype->dtype, .shape = &nothing}};
    DLManagedTensorVersioned *tensor = &empty;
    ndbuf_dlpack_import_options options = {.flags = NDBUF_DLPACK_LANES};
    ndbuf_view like = {0};
    ndbuf_status status = ndbuf_dlpack_import(&tensor, &options, &like, NULL, err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_create(out_view, ndbuf_view_device(&like), ndbuf_view_format(&like), prototype->ndim,
                                   prototype->shape, err);
        ndbuf_view_release(&like);
    }
    return status;
}

static const char *exception_for(ndbuf_status status)
{
    switch (status) {
    case NDBUF_ERR_NOMEM:
        return "MemoryError";
    case NDBUF_ERR_INVALID:
    case NDBUF_ERR_OVERFLOW:
        return "ValueError";
    default:
        return "BufferError";
    }
}

/* Callable without the interpreter's lock. */
static int create_tensor(DLTensor *prototype, DLManagedTensorVersioned **out_tensor, void *context,
                         void (*set_error)(void *context, const char *kind, const char *message))
{
    ndbuf_dlpack_export_options options = {.flags = NDBUF_DLPACK_LANES};
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    ndbuf_status status = create_like(prototype, &view, &err);
    if (status == NDBUF_OK) {
        status = ndbuf_dlpack_export(&view, &options, out_tensor, NULL, &err);
        ndbuf_view_release(&view);
    }
    if (status != NDBUF_OK) {
        set_error(context, exception_for(status), err.message);
        return -1;
    }
    return 0;
}

PyObject *ndpy_exchange_api(void)
{
    static const DLPackExchangeAPI api = {.header = {{DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION}, NULL},
                                          .managed_tensor_allocator = create_tensor,
                                          .managed_tensor_from_py_object_no_sync = tensor_of_view,
                                          .managed_tensor_to_py_object_no_sync = view_of_tensor,
                                          .current_work_stream = current_work_stream};
    return PyCapsule_New((void *)(uintptr_t)&api, "dlpack_exchange_api", NULL);
}
