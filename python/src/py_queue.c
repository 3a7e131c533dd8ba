/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

/* ndbuf.Queue, and what else may stand for a queue in a call. */

typedef struct ndpy_queue {
    PyObject_HEAD
    ndbuf_queue *queue;
    PyObject *native; /* what the native queue was taken from, which keeps it; NULL: none */
} ndpy_queue;

/* The number behind a stream object: what cuda.core, PyTorch, CuPy and pyopencl have. */
static PyObject *number_of(PyObject *stream)
{
    static const char *const attributes[] = {"cuda_stream", "int_ptr", "ptr"};
    PyObject *number = NULL;
    PyObject *method = NULL;
    if (!ndpy_find_attribute(stream, "__cuda_stream__", &method)) {
        return NULL;
    }
    if (method != NULL) {
        PyObject *pair = PyObject_CallFunctionObjArgs(method, NULL); /* (version, handle) */
        Py_DECREF(method);
        number = pair == NULL ? NULL : PySequence_GetItem(pair, 1);
        Py_XDECREF(pair);
        return number;
    }
    for (size_t i = 0; i < sizeof(attributes) / sizeof(attributes[0]); i++) {
        if (!ndpy_find_attribute(stream, attributes[i], &number) || number != NULL) {
            return number;
        }
    }
    PyErr_Format(PyExc_TypeError, "stream must be an ndbuf.Queue, a native handle or a stream object, not %R",
                 (PyObject *)Py_TYPE(stream));
    return NULL;
}

/* The native handle that a stream object, or an int, stands for. */
static int native_handle(PyObject *stream, void **out_handle)
{
    int64_t handle = 0;
    int is_int = PyIndex_Check(stream);
    PyObject *number = is_int ? PyNumber_Index(stream) : number_of(stream);
    if (number == NULL) {
        return 0;
    }
    int is_good = ndpy_parse_int64(number, &handle);
    Py_DECREF(number);
    if (is_good && handle == 0 && is_int) {
        PyErr_SetString(PyExc_ValueError, "stream 0 is ambiguous; pass 1 for the legacy default stream of CUDA, or 2");
        return 0;
    }
    if (handle == 0) {
        handle = 1; /* to PyTorch and CuPy, 0 is the legacy default stream */
    }
    *out_handle = (void *)(uintptr_t)handle;
    return is_good;
}

void ndpy_queue_release(ndbuf_queue *queue)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback); /* owners of memory that was copied may run Python code */
    Py_BEGIN_ALLOW_THREADS
    ndbuf_queue_release(queue);
    Py_END_ALLOW_THREADS
    PyErr_Restore(type, value, traceback);
}

int ndpy_queue_open(ndpy_state *state, PyObject *stream, const ndbuf_view *a, const ndbuf_view *b,
                    ndbuf_queue **out_queue)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    void *handle = NULL;
    *out_queue = NULL;
    if (stream == Py_None) {
        return 1;
    }
    if (Py_TYPE(stream) == state->queue_type) {
        *out_queue = ((ndpy_queue *)stream)->queue;
        ndbuf_queue_retain(*out_queue);
        return 1;
    }
    const ndbuf_view *view = a->device.type == NDBUF_DEVICE_CPU ? b : a;
    if (!native_handle(stream, &handle)) {
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_queue_import(ndbuf_view_device(view), handle, out_queue, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
    }
    return status == NDBUF_OK;
}

/* A queue of a device, over a native one unless that is NULL. */
static ndbuf_status open_queue(ndbuf_device *device, void *native, ndbuf_queue **out_queue, ndbuf_error *err)
{
    return native == NULL ? ndbuf_queue_create(device, out_queue, err)
                          : ndbuf_queue_import(device, native, out_queue, err);
}

static PyObject *queue_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"device", "native", NULL};
    ndpy_state *state = PyType_GetModuleState(type);
    PyObject *spec = NULL;
    PyObject *native = Py_None;
    ndbuf_device *device = NULL;
    ndbuf_queue *queue = NULL;
    ndbuf_error err = {0};
    ndbuf_status status;
    void *handle = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:Queue", (char **)names, &spec, &native) ||
        !ndpy_device_open(state, spec, &device) || (native != Py_None && !native_handle(native, &handle))) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    status = open_queue(device, handle, &queue, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    ndpy_queue *self = (ndpy_queue *)PyType_GenericAlloc(type, 0);
    if (self == NULL) {
        ndpy_queue_release(queue);
        return NULL;
    }
    self->queue = queue;
    if (native != Py_None) {
        Py_INCREF(native);
        self->native = native;
    }
    return (PyObject *)self;
}

/* There is no tp_clear: whatever closes a cycle through the native object can be cleared itself. */
static int queue_traverse(PyObject *object, visitproc visit, void *arg)
{
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(((ndpy_queue *)object)->native);
    return 0;
}

static void queue_dealloc(PyObject *object)
{
    ndpy_queue *self = (ndpy_queue *)object;
    PyTypeObject *type = Py_TYPE(object);
    freefunc free_object = (freefunc)(uintptr_t)PyType_GetSlot(type, Py_tp_free);
    PyObject_GC_UnTrack(object);
    ndpy_queue_release(self->queue); /* which waits, so the native queue must be there still */
    Py_XDECREF(self->native);
    free_object(object);
    Py_DECREF(type);
}

static PyObject *queue_wait(PyObject *object, PyObject *ignored)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    (void)ignored;
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_queue_wait(((ndpy_queue *)object)->queue, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    Py_RETURN_NONE;
}

static PyObject *queue_enter(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    Py_INCREF(object);
    return object;
}

static PyObject *queue_exit(PyObject *object, PyObject *arguments)
{
    (void)arguments;
    return queue_wait(object, NULL);
}

static PyObject *queue_device(PyObject *object, void *closure)
{
    ndbuf_device_info info = {0};
    (void)closure;
    ndbuf_device_info_get(ndbuf_queue_device(((ndpy_queue *)object)->queue), &info);
    return PyUnicode_FromString(info.name);
}

static PyObject *queue_native(PyObject *object, void *closure)
{
    void *native = ndbuf_queue_native(((ndpy_queue *)object)->queue);
    (void)closure;
    if (native == NULL) {
        Py_RETURN_NONE;
    }
    return PyLong_FromVoidPtr(native);
}

static PyMethodDef queue_methods[] = {
    {"wait", queue_wait, METH_NOARGS, "wait($self, /)\n--\n\nReturns when all work given to the queue so far is done."},
    {"__enter__", queue_enter, METH_NOARGS, "__enter__($self, /)\n--\n\nThe Queue itself."},
    {"__exit__", queue_exit, METH_VARARGS, "__exit__($self, /, *args)\n--\n\nwaits for the queue."},
    {NULL, NULL, 0, NULL}};

static PyGetSetDef queue_getters[] = {
    {"device", queue_device, NULL, "The name of the device whose queue it is.", NULL},
    {"native", queue_native, NULL, "The native handle (cudaStream_t, cl_command_queue) as an int; None: it has none.",
     NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static const char queue_text[] =
    "Queue(device, native=None)\n--\n\n"
    "A queue of a device, which runs copies in order while the program goes on.\n\n"
    "native is a stream object of CuPy, PyTorch or cuda.core, a queue of pyopencl, or the handle of one as an int, to\n"
    "work in its order. An object is kept alive; what an int stands for must outlive the Queue. In a with statement, "
    "the\n"
    "Queue is waited for at the end.";

static PyType_Slot queue_slots[] = {{Py_tp_doc, (void *)queue_text},
                                    {Py_tp_new, NDPY_SLOT(queue_new)},
                                    {Py_tp_dealloc, NDPY_SLOT(queue_dealloc)},
                                    {Py_tp_traverse, NDPY_SLOT(queue_traverse)},
                                    {Py_tp_methods, queue_methods},
                                    {Py_tp_getset, queue_getters},
                                    {0, NULL}};

PyType_Spec ndpy_queue_spec = {"ndbuf.Queue", sizeof(ndpy_queue), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE, queue_slots};
