/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <structmember.h>

/* The type ndbuf.View: its lifetime and what it says about itself. */

ndpy_state *ndpy_state_of(ndpy_view *self)
{
    return PyType_GetModuleState(Py_TYPE((PyObject *)self));
}

void ndpy_view_clear(ndbuf_view *view)
{
    PyObject *type, *value, *traceback;
    if (view->release == NULL) {
        return;
    }
    PyErr_Fetch(&type, &value, &traceback); /* the memory's owner may run Python code */
    if (view->device.type == NDBUF_DEVICE_CPU && view->ready == NULL) {
        ndbuf_view_release(view);
    } else {
        Py_BEGIN_ALLOW_THREADS
        ndbuf_view_release(view);
        Py_END_ALLOW_THREADS
    }
    PyErr_Restore(type, value, traceback);
}

PyObject *ndpy_view_wrap(ndpy_state *state, ndbuf_view *view)
{
    ndpy_view *self = (ndpy_view *)PyType_GenericAlloc(state->view_type, 0);
    if (self == NULL) {
        ndpy_view_clear(view);
        return NULL;
    }
    ndbuf_view_move(&self->view, view);
    ndpy_prepare_buffer(self);
    return (PyObject *)self;
}

PyObject *ndpy_view_result(ndpy_state *state, ndbuf_status status, ndbuf_view *view, const ndbuf_error *err)
{
    return status == NDBUF_OK ? ndpy_view_wrap(state, view) : ndpy_raise(err);
}

int ndpy_refuse_released(void)
{
    PyErr_SetString(PyExc_ValueError, "operation forbidden on a released View");
    return 0;
}

ndbuf_exporter *ndpy_view_exporter(ndpy_view *self)
{
    ndbuf_exporter *exporter = atomic_load(&self->exporter);
    if (exporter != NULL) {
        return exporter;
    }
    ndbuf_error err = {0};
    if (ndbuf_exporter_create(&self->view, &exporter, &err) != NDBUF_OK) {
        ndpy_raise_buffer_error(&err);
        return NULL;
    }
    ndbuf_exporter *earlier = NULL;
    if (!atomic_compare_exchange_strong(&self->exporter, &earlier, exporter)) {
        ndbuf_exporter_release(exporter); /* another thread was faster */
        return earlier;
    }
    return exporter;
}

void ndpy_view_device_name(const ndbuf_view *view, char out_name[32])
{
    ndbuf_device_info info = {0};
    ndbuf_device_info_get(ndbuf_view_device(view), &info);
    snprintf(out_name, 32, "%s", info.name);
}

int ndpy_is_on_host(const ndbuf_view *view)
{
    return view->device.type == NDBUF_DEVICE_CPU || view->device.type == NDBUF_DEVICE_CUDA_HOST ||
           view->device.type == NDBUF_DEVICE_CUDA_MANAGED;
}

PyObject *ndpy_refuse_host(const ndbuf_view *view)
{
    char name[32];
    ndpy_view_device_name(view, name);
    PyErr_Format(PyExc_BufferError,
                 "the memory is on %s, which the host cannot touch: take view.to('cpu'), a copy on the host", name);
    return NULL;
}

/* Lets go of the memory. */
static void view_empty(ndpy_view *self)
{
    ndbuf_exporter_release(atomic_exchange(&self->exporter, NULL));
    ndpy_view_clear(&self->view);
}

static void view_dealloc(PyObject *object)
{
    ndpy_view *self = (ndpy_view *)object;
    PyTypeObject *type = Py_TYPE(object);
    freefunc free_object = (freefunc)(uintptr_t)PyType_GetSlot(type, Py_tp_free);
    PyObject_ClearWeakRefs(object);
    view_empty(self);
    free_object(object);
    Py_DECREF(type);
}

static PyObject *view_release(PyObject *object, PyObject *ignored)
{
    ndpy_view *self = (ndpy_view *)object;
    long long nuses = 0;
    (void)ignored;
    if (atomic_compare_exchange_strong(&self->nuses, &nuses, -1)) {
        view_empty(self);
    } else if (nuses > 0) {
        PyErr_Format(PyExc_BufferError, "the View is in use: %lld exported buffers or running calls", nuses);
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *view_enter_context(PyObject *object, PyObject *ignored)
{
    (void)ignored;
    if (!ndpy_view_enter((ndpy_view *)object)) {
        return NULL;
    }
    ndpy_view_leave((ndpy_view *)object);
    Py_INCREF(object);
    return object;
}

static PyObject *view_exit_context(PyObject *object, PyObject *arguments)
{
    (void)arguments;
    return view_release(object, NULL);
}

/* -- what a view says about itself: one getter for all, told apart by their closures -- */

enum {
    FACT_FORMAT,
    FACT_ITEMSIZE,
    FACT_NDIM,
    FACT_NBYTES,
    FACT_SHAPE,
    FACT_STRIDES,
    FACT_SUBOFFSETS,
    FACT_DEVICE,
    FACT_READONLY,
    FACT_C_CONTIGUOUS,
    FACT_F_CONTIGUOUS,
    FACT_CONTIGUOUS,
    FACT_ON_HOST,
    FACT_ADDRESS
};

/* The address of item 0..0, on whatever device has addresses; None: none. */
static PyObject *address_of(const ndbuf_view *view)
{
    if (view->device.type == NDBUF_DEVICE_OPENCL || view->handle == NULL) {
        Py_RETURN_NONE;
    }
    return PyLong_FromVoidPtr((void *)((uintptr_t)view->handle + (uintptr_t)view->byte_offset));
}

static PyObject *fact_of(const ndbuf_view *view, int fact)
{
    int64_t strides[NDBUF_MAX_NDIM];
    char name[32];
    int is_c = ndbuf_view_is_contiguous(view, 'C') != 0;
    int is_f = ndbuf_view_is_contiguous(view, 'F') != 0;
    switch (fact) {
    case FACT_FORMAT:
        return ndpy_str_of(view->format == NULL ? "B" : view->format);
    case FACT_ITEMSIZE:
        return PyLong_FromLongLong(view->itemsize);
    case FACT_NDIM:
        return PyLong_FromLong(view->ndim);
    case FACT_NBYTES:
        return PyLong_FromLongLong(view->nbytes);
    case FACT_SHAPE:
        return ndpy_tuple_of(view->ndim, view->shape);
    case FACT_STRIDES:
        ndpy_strides_of(view, strides);
        return ndpy_tuple_of(view->ndim, strides);
    case FACT_SUBOFFSETS:
        return ndpy_tuple_of(view->suboffsets == NULL ? 0 : view->ndim, view->suboffsets);
    case FACT_DEVICE:
        ndpy_view_device_name(view, name);
        return PyUnicode_FromString(name);
    case FACT_READONLY:
        return PyBool_FromLong((view->flags & NDBUF_VIEW_READONLY) != 0);
    case FACT_C_CONTIGUOUS:
        return PyBool_FromLong(is_c);
    case FACT_F_CONTIGUOUS:
        return PyBool_FromLong(is_f);
    case FACT_CONTIGUOUS:
        return PyBool_FromLong(is_c || is_f);
    case FACT_ON_HOST:
        return PyBool_FromLong(ndpy_is_on_host(view));
    default:
        return address_of(view);
    }
}

static PyObject *view_fact(PyObject *object, void *closure)
{
    ndpy_view *self = (ndpy_view *)object;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    PyObject *fact = fact_of(&self->view, (int)(intptr_t)closure);
    ndpy_view_leave(self);
    return fact;
}

static PyObject *view_is_released(PyObject *object, void *closure)
{
    (void)closure;
    return PyBool_FromLong(atomic_load(&((ndpy_view *)object)->nuses) < 0);
}

/* The names of a leaf, from the outside in. */
static PyObject *names_of(const ndbuf_field *field)
{
    PyObject *names = PyTuple_New(field->nnames);
    for (int32_t k = 0; k < field->nnames && names != NULL; k++) {
        PyObject *name = ndpy_str_of(field->names[k]);
        if (name == NULL || PyTuple_SetItem(names, k, name) != 0) {
            Py_CLEAR(names);
        }
    }
    return names;
}

/* (names, offset, size, code, kind, byte order, extents, strides) of a leaf. */
static PyObject *describe_field(const ndbuf_format *format, int32_t index)
{
    ndbuf_field field;
    ndbuf_error err = {0};
    if (ndbuf_format_field(format, index, &field, &err) != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    return Py_BuildValue("(NLLsCCNN)", names_of(&field), (long long)field.offset, (long long)field.size, field.code,
                         field.kind, field.byte_order, ndpy_tuple_of(field.ndim, field.extents),
                         ndpy_tuple_of(field.ndim, field.strides));
}

/* The leaves of the format, for the package's own Python code. */
static PyObject *view_fields(PyObject *object, PyObject *ignored)
{
    ndpy_view *self = (ndpy_view *)object;
    (void)ignored;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    const ndbuf_format *format = ndbuf_view_format(&self->view);
    int32_t nfields = ndbuf_format_nfields(format);
    PyObject *fields = PyList_New(nfields);
    for (int32_t i = 0; i < nfields && fields != NULL; i++) {
        PyObject *field = describe_field(format, i);
        if (field == NULL || PyList_SetItem(fields, i, field) != 0) {
            Py_CLEAR(fields);
        }
    }
    ndpy_view_leave(self);
    return fields;
}

static PyObject *view_repr(PyObject *object)
{
    ndpy_view *self = (ndpy_view *)object;
    if (atomic_load(&self->nuses) < 0 || !ndpy_view_enter(self)) {
        PyErr_Clear();
        return PyUnicode_FromString("<ndbuf.View, released>");
    }
    PyObject *shape = ndpy_tuple_of(self->view.ndim, self->view.shape);
    PyObject *text = NULL;
    char name[32];
    ndpy_view_device_name(&self->view, name);
    if (shape != NULL) {
        text = PyUnicode_FromFormat("<ndbuf.View shape=%R format='%s' device='%s'%s%s>", shape,
                                    self->view.format == NULL ? "B" : self->view.format, name,
                                    (self->view.flags & NDBUF_VIEW_READONLY) != 0 ? " readonly" : "",
                                    self->view.suboffsets != NULL ? " indirect" : "");
        Py_DECREF(shape);
    }
    ndpy_view_leave(self);
    return text;
}

/* -- NumPy's older protocols; the package's Python code makes the dicts -- */

static PyObject *interface_of(PyObject *object, const char *function)
{
    ndpy_view *self = (ndpy_view *)object;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    PyObject *interface = ndpy_call_helper("ndbuf._array_interface", function, object, NULL);
    ndpy_view_leave(self);
    return interface;
}

static PyObject *view_array_interface(PyObject *object, void *closure)
{
    (void)closure;
    return interface_of(object, "host_interface");
}

static PyObject *view_cuda_array_interface(PyObject *object, void *closure)
{
    (void)closure;
    return interface_of(object, "cuda_interface");
}

static PyObject *view_array(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"dtype", "copy", NULL};
    ndpy_view *self = (ndpy_view *)object;
    PyObject *dtype = Py_None;
    PyObject *copy = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OO:__array__", (char **)names, &dtype, &copy) ||
        !ndpy_view_enter(self)) {
        return NULL;
    }
    PyObject *array = NULL;
    if (ndpy_is_on_host(&self->view)) {
        PyObject *pair = PyTuple_Pack(2, dtype, copy);
        array = pair == NULL ? NULL : ndpy_call_helper("ndbuf._array_interface", "numpy_array", object, pair);
        Py_XDECREF(pair);
    } else {
        ndpy_refuse_host(&self->view);
    }
    ndpy_view_leave(self);
    return array;
}

/* Waits for what was to fill the memory. */
static PyObject *view_wait(PyObject *object, PyObject *ignored)
{
    ndpy_view *self = (ndpy_view *)object;
    ndbuf_error err = {0};
    ndbuf_status status = NDBUF_OK;
    (void)ignored;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    if (self->view.ready != NULL) {
        Py_BEGIN_ALLOW_THREADS
        status = ndbuf_event_wait(self->view.ready, &err);
        Py_END_ALLOW_THREADS
    }
    ndpy_view_leave(self);
    if (status != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    Py_RETURN_NONE;
}

#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)
#define FUNCTION(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef view_methods[] = {
    {"__array__", FUNCTION(view_array), KEYWORDS,
     "__array__($self, /, dtype=None, copy=None)\n--\n\n"
     "For NumPy, where it finds no buffer: BufferError, with advice, if the host cannot touch the memory."},
    {"__arrow_c_array__", FUNCTION(ndpy_arrow_array), KEYWORDS,
     "__arrow_c_array__($self, /, requested_schema=None)\n--\n\nThe items as a pair of Arrow's capsules, of host "
     "memory."},
    {"__arrow_c_device_array__", FUNCTION(ndpy_arrow_device_array), KEYWORDS,
     "__arrow_c_device_array__($self, /, requested_schema=None, **kwargs)\n--\n\nThe items as a pair of Arrow's "
     "capsules."},
    {"__dlpack__", FUNCTION(ndpy_dlpack), KEYWORDS,
     "__dlpack__($self, /, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n"
     "The memory as a DLPack capsule; a copy of it, unless copy is False, where another device is asked for or rows\n"
     "lie behind pointers. Negative strides are refused unless copy is True."},
    {"__dlpack_device__", ndpy_dlpack_device, METH_NOARGS,
     "__dlpack_device__($self, /)\n--\n\nWhere the memory is: DLPack's device type and number."},
    {"__enter__", view_enter_context, METH_NOARGS, "__enter__($self, /)\n--\n\nThe View itself."},
    {"__exit__", view_exit_context, METH_VARARGS, "__exit__($self, /, *args)\n--\n\nreleases the View."},
    {"_fields", view_fields, METH_NOARGS,
     "_fields($self, /)\n--\n\nThe leaves of the format: (names, offset, size, code, kind, byte order, extents, "
     "strides)."},
    {"_wait", view_wait, METH_NOARGS, "_wait($self, /)\n--\n\nWaits until the contents are valid."},
    {"astype", FUNCTION(ndpy_astype), KEYWORDS,
     "astype($self, /, format, casting='unsafe', *, saturate=False)\n--\n\nA packed copy on the same device, its items "
     "converted."},
    {"broadcast_to", ndpy_broadcast_to, METH_O,
     "broadcast_to($self, shape, /)\n--\n\n"
     "The same memory under a larger shape, by NumPy's rules; read-only where an item has two indices."},
    {"cast", FUNCTION(ndpy_cast), KEYWORDS,
     "cast($self, /, format, shape=None)\n--\n\nThe same bytes read as items of another format."},
    {"copy", FUNCTION(ndpy_view_copy), KEYWORDS, "copy($self, /, order='C')\n--\n\nA packed copy on the same device."},
    {"explain", FUNCTION(ndpy_explain), KEYWORDS,
     "explain($self, /, to, casting='equiv', *, saturate=False)\n--\n\n"
     "How this view would be copied to another view; or to a packed one on a device, which is given by its name and\n"
     "lends memory for that long."},
    {"permute", ndpy_permute, METH_VARARGS,
     "permute($self, /, *axes)\n--\n\nThe same memory with its axes in another order: axis k of the result is axis "
     "axes[k]."},
    {"release", view_release, METH_NOARGS,
     "release($self, /)\n--\n\nLets go of the memory now. Other views of it are not touched. BufferError while it is "
     "exported."},
    {"reshape", FUNCTION(ndpy_reshape), KEYWORDS,
     "reshape($self, /, shape, order='C')\n--\n\nThe same memory under another shape, of which one entry may be -1."},
    {"to", FUNCTION(ndpy_to), KEYWORDS,
     "to($self, /, device, *, copy=False)\n--\n\nA packed copy on a device. The View itself if it is there, unless "
     "copy is "
     "true."},
    {"tobytes", FUNCTION(ndpy_tobytes), KEYWORDS,
     "tobytes($self, /, order='C')\n--\n\nThe items' bytes, one after the other; order 'A': 'F' if they lie so, else "
     "'C'."},
    {"tolist", ndpy_tolist, METH_NOARGS, "tolist($self, /)\n--\n\nThe items as nested lists; of a 0-d view, the item."},
    {"toreadonly", ndpy_to_readonly, METH_NOARGS, "toreadonly($self, /)\n--\n\nA read-only view of the same memory."},
    {NULL, NULL, 0, NULL}};

#define FACT(name, fact, text)                                                                                         \
    {                                                                                                                  \
        name, view_fact, NULL, text, (void *)(intptr_t)(fact)                                                          \
    }

static PyGetSetDef view_getters[] = {
    FACT("format", FACT_FORMAT, "What an item is, in the syntax of PEP 3118, with an explicit byte order."),
    FACT("itemsize", FACT_ITEMSIZE, "The size of an item in bytes."),
    FACT("ndim", FACT_NDIM, "The number of axes."),
    FACT("nbytes", FACT_NBYTES, "The size of all items together in bytes."),
    FACT("shape", FACT_SHAPE, "The extents of the axes."),
    FACT("strides", FACT_STRIDES, "Bytes from an item to the next one along each axis."),
    FACT("suboffsets", FACT_SUBOFFSETS, "PEP 3118's suboffsets, for rows behind pointers; an empty tuple: none."),
    FACT("device", FACT_DEVICE, "The name of the device that the memory is on."),
    FACT("readonly", FACT_READONLY, "Whether the memory must not be written to."),
    FACT("c_contiguous", FACT_C_CONTIGUOUS, "Whether the items are packed, the last index running fastest."),
    FACT("f_contiguous", FACT_F_CONTIGUOUS, "Whether the items are packed, the first index running fastest."),
    FACT("contiguous", FACT_CONTIGUOUS, "Whether the items are packed in either order."),
    FACT("_on_host", FACT_ON_HOST, "Whether the host can touch the memory."),
    FACT("_address", FACT_ADDRESS, "The address of item 0..0; None: the device has no addresses, or there is no item."),
    {"released", view_is_released, NULL, "Whether release() was called.", NULL},
    {"T", ndpy_get_transposed, NULL, "The same memory with its axes reversed.", NULL},
    {"__array_interface__", view_array_interface, NULL, "NumPy's array interface; only host memory has it.", NULL},
    {"__cuda_array_interface__", view_cuda_array_interface, NULL,
     "The CUDA Array Interface; only memory that CUDA devices reach has it.", NULL},
    {NULL, NULL, NULL, NULL, NULL}};

static PyMemberDef view_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ndpy_view, weak_references), READONLY, NULL}, {NULL, 0, 0, 0, NULL}};

static const char view_text[] =
    "A view of memory on some device: where it is, what an item is, and how the items lie.\n\n"
    "Made by ndbuf.view, empty, zeros, full, open and from_pil. It exports all that it can by Python's buffer\n"
    "protocol, DLPack, __array_interface__ and __cuda_array_interface__.";

static PyType_Slot view_slots[] = {{Py_tp_doc, (void *)view_text},
                                   {Py_tp_dealloc, NDPY_SLOT(view_dealloc)},
                                   {Py_tp_repr, NDPY_SLOT(view_repr)},
                                   {Py_tp_iter, NDPY_SLOT(ndpy_iterate)},
                                   {Py_tp_methods, view_methods},
                                   {Py_tp_getset, view_getters},
                                   {Py_tp_members, view_members},
                                   {Py_mp_length, NDPY_SLOT(ndpy_length)},
                                   {Py_mp_subscript, NDPY_SLOT(ndpy_subscript)},
                                   {Py_mp_ass_subscript, NDPY_SLOT(ndpy_assign_subscript)},
                                   {Py_sq_length, NDPY_SLOT(ndpy_length)},
                                   {Py_sq_item, NDPY_SLOT(ndpy_item)},
                                   {Py_bf_getbuffer, NDPY_SLOT(ndpy_get_buffer)},
                                   {Py_bf_releasebuffer, NDPY_SLOT(ndpy_release_buffer)},
                                   {0, NULL}};

/* Not Py_TPFLAGS_IMMUTABLETYPE: the module sets the attribute that DLPack wants on the type itself. */
PyType_Spec ndpy_view_spec = {"ndbuf.View", sizeof(ndpy_view), 0,
                              Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, view_slots};
