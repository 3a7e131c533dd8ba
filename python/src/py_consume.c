/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

#include "ndbuf/cuda.h"

/* Views of memory that Python objects own. */

/* The owner of adopted memory: a buffer, or any object. */
typedef struct memory_owner {
    Py_buffer buffer; /* obj NULL: none */
    PyObject *object; /* NULL: none */
} memory_owner;

/* Ends with the last use of the memory, which may be in a thread of a device's driver. */
static void owner_release(void *context, void *handle)
{
    memory_owner *owner = context;
    (void)handle;
    if (!Py_IsInitialized()) {
        return; /* the interpreter is gone, and the object with it */
    }
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (owner->buffer.obj != NULL) {
        PyBuffer_Release(&owner->buffer);
    }
    Py_XDECREF(owner->object);
    PyErr_Restore(type, value, traceback);
    PyMem_Free(owner);
    PyGILState_Release(gil);
}

static memory_owner *owner_create(void)
{
    memory_owner *owner = PyMem_Calloc(1, sizeof(*owner));
    if (owner == NULL) {
        PyErr_NoMemory();
    }
    return owner;
}

/* -- where the memory lies -- */

/* Adds (extent - 1) * stride to one end of a range that begins at most at 0 and ends at least there. */
static int range_add(int64_t *lo, int64_t *hi, int64_t extent, int64_t stride)
{
    int64_t *end = stride < 0 ? lo : hi;
    int64_t steps = extent - 1;
    if (steps > 0 && stride != 0) {
        int64_t room = stride < 0 ? (INT64_MIN + 1) - *lo : INT64_MAX - *hi; /* of the sign of stride */
        if (room / stride < steps) {
            return 0;
        }
        *end += steps * stride;
    }
    return 1;
}

/* The bytes from item 0..0 that a layout reaches: [*out_lo, *out_hi). Down to the first pointers, with suboffsets.
 * Returns 0, without an exception, if that is beyond 63 bits. */
static int find_range(const ndbuf_view_spec *spec, int64_t itemsize, int64_t *out_lo, int64_t *out_hi)
{
    int64_t lo = 0;
    int64_t hi = 0;
    int64_t last = itemsize;
    int64_t packed = itemsize; /* the stride of a packed array */
    *out_lo = *out_hi = 0;
    for (int32_t k = 0; k < spec->ndim; k++) {
        if (spec->shape[k] == 0) {
            return 1;
        }
    }
    if (spec->strides == NULL) {
        for (int32_t k = spec->ndim; k-- > 0;) {
            if (spec->shape[k] < 0 || !range_add(&lo, &hi, spec->shape[k], packed)) {
                return 0;
            }
            packed = packed > INT64_MAX / spec->shape[k] ? INT64_MAX : packed * spec->shape[k];
        }
    }
    for (int32_t k = 0; k < spec->ndim && spec->strides != NULL; k++) {
        if (spec->shape[k] < 0 || !range_add(&lo, &hi, spec->shape[k], spec->strides[k])) {
            return 0;
        }
        if (spec->suboffsets != NULL && spec->suboffsets[k] >= 0) {
            last = (int64_t)sizeof(void *);
            break;
        }
    }
    if (hi > INT64_MAX - last || (lo < 0 && hi + last > INT64_MAX + lo)) {
        return 0;
    }
    *out_lo = lo;
    *out_hi = hi + last;
    return 1;
}

/* Takes over `owner`, also when it fails. */
static PyObject *view_of(ndpy_state *state, memory_owner *owner, ndbuf_device *device, void *address,
                         const ndbuf_view_spec *given)
{
    ndbuf_error err = {0};
    ndbuf_view view = {0};
    ndbuf_view_spec spec = *given;
    ndbuf_storage *storage = NULL;
    int64_t lo = 0;
    int64_t hi = 0;
    ndbuf_status status;
    int64_t itemsize = spec.format == NULL ? 1 : ndbuf_format_itemsize(spec.format);
    if (!find_range(&spec, itemsize, &lo, &hi)) {
        status = ndbuf_fail(&err, NDBUF_ERR_INVALID, "shape times strides exceeds 63 bits, or an extent is negative");
    } else if (address == NULL && hi > lo) {
        status = ndbuf_fail(&err, NDBUF_ERR_INVALID, "the array has items, but no address");
    } else {
        uint32_t flags = (spec.flags & NDBUF_VIEW_READONLY) != 0 ? NDBUF_STORAGE_READONLY : 0;
        void *handle = hi > lo ? (void *)((uintptr_t)address + (uintptr_t)lo) : address;
        if (ndbuf_device_tag_get(device).type == NDBUF_DEVICE_CPU) {
            status = ndbuf_storage_adopt(device, handle, (size_t)(hi - lo), flags, owner_release, owner, &storage, &err);
        } else {
            status = ndbuf_cuda_storage_adopt(handle, (size_t)(hi - lo), flags, owner_release, owner, &storage, &err);
        }
    }
    if (status != NDBUF_OK) {
        owner_release(owner, NULL);
        return ndpy_raise(&err);
    }
    spec.byte_offset = -lo;
    status = ndbuf_view_init(&view, storage, &spec, &err);
    ndbuf_storage_release(storage); /* the last one if that failed */
    return ndpy_view_result(state, status, &view, &err);
}

PyObject *ndpy_view_of_memory(ndpy_state *state, PyObject *object, ndbuf_device *device, void *address,
                              const ndbuf_view_spec *spec)
{
    memory_owner *owner = owner_create();
    if (owner == NULL) {
        return NULL;
    }
    Py_INCREF(object);
    owner->object = object;
    return view_of(state, owner, device, address, spec);
}

/* -- Python's buffer protocol -- */

static PyObject *from_buffer(ndpy_state *state, PyObject *object)
{
    memory_owner *owner = owner_create();
    if (owner == NULL) {
        return NULL;
    }
    if (PyObject_GetBuffer(object, &owner->buffer, PyBUF_FULL_RO) != 0) {
        PyMem_Free(owner);
        return NULL;
    }
    const Py_buffer *buffer = &owner->buffer;
    ndbuf_error err = {0};
    ndbuf_view_spec spec = {0};
    int64_t bytes_alone[1] = {buffer->len};
    if (buffer->ndim < 0 || buffer->ndim > NDBUF_MAX_NDIM) {
        ndbuf_fail(&err, NDBUF_ERR_INVALID, "the exporter's ndim is %d", buffer->ndim);
    } else if (buffer->shape == NULL && buffer->ndim > 1) {
        ndbuf_fail(&err, NDBUF_ERR_INVALID, "the exporter gives %d axes, but no shape", buffer->ndim);
    } else {
        ndbuf_format_parse(buffer->format, buffer->itemsize, &spec.format, &err);
    }
    if (err.status != NDBUF_OK) {
        owner_release(owner, NULL);
        return ndpy_raise(&err);
    }
    spec.ndim = buffer->ndim;
    spec.flags = buffer->readonly ? NDBUF_VIEW_READONLY : 0;
    spec.shape = (const int64_t *)(void *)buffer->shape;
    spec.strides = (const int64_t *)(void *)buffer->strides;
    if (buffer->shape == NULL && buffer->ndim == 1) {
        bytes_alone[0] = buffer->itemsize > 0 ? buffer->len / buffer->itemsize : 0;
        spec.shape = bytes_alone;
    }
    for (int k = 0; k < buffer->ndim && buffer->suboffsets != NULL; k++) {
        if (buffer->suboffsets[k] >= 0) {
            spec.suboffsets = (const int64_t *)(void *)buffer->suboffsets;
        }
    }
    PyObject *view = view_of(state, owner, ndbuf_device_cpu(), buffer->buf, &spec);
    ndbuf_format_release(spec.format);
    return view;
}

/* -- the choice of the protocol -- */

/* Whether the object has an attribute. */
static int has_attribute(PyObject *object, const char *name)
{
    PyObject *attribute = PyObject_GetAttrString(object, name);
    if (attribute == NULL) {
        PyErr_Clear();
        return 0;
    }
    Py_DECREF(attribute);
    return 1;
}

/* Whether the exception that is set says no more than "not by this protocol". */
static int may_try_another(void)
{
    return PyErr_ExceptionMatches(PyExc_BufferError) || PyErr_ExceptionMatches(PyExc_ValueError) ||
           PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_NotImplementedError);
}

/* In the order that loses least: the buffer protocol knows everything but devices, NumPy's protocols lose suboffsets,
 * CUDA's the device number, and DLPack byte order, names and the like. */
PyObject *ndpy_consume(ndpy_state *state, PyObject *object)
{
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    if (Py_TYPE(object) == state->view_type) {
        Py_INCREF(object);
        return object;
    }
    if (PyObject_CheckBuffer(object)) {
        PyObject *view = from_buffer(state, object);
        if (view != NULL || !may_try_another()) {
            return view;
        }
        PyErr_Fetch(&type, &value, &traceback);
    }
    PyObject *view = ndpy_call_helper("ndbuf._array_interface", "consume", object); /* None: has none of them */
    if (view == Py_None) {
        Py_CLEAR(view);
        if (has_attribute(object, "__dlpack__")) {
            view = ndpy_from_dlpack(state, object);
        } else if (type == NULL) {
            PyErr_Format(PyExc_TypeError,
                         "an object of type %R has neither the buffer protocol, __array_interface__, "
                         "__array_struct__, __cuda_array_interface__ nor __dlpack__",
                         (PyObject *)Py_TYPE(object));
        }
    }
    if (view == NULL && type != NULL && (PyErr_Occurred() == NULL || may_try_another())) {
        PyErr_Clear();
        PyErr_Restore(type, value, traceback); /* the first protocol's reason is the best one */
        return NULL;
    }
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
    return view;
}

/* -- for the package's Python code -- */

/* Makes the view's contents count as ready when the work in a native stream, up to now, is done. */
static int set_ready_behind(ndbuf_view *view, ndbuf_device *device, int64_t stream)
{
    ndbuf_error err = {0};
    ndbuf_queue *queue = NULL;
    ndbuf_event *event = NULL;
    ndbuf_status status = ndbuf_queue_import(device, (void *)(uintptr_t)stream, &queue, &err);
    if (status == NDBUF_OK) {
        status = ndbuf_queue_record(queue, &event, &err);
    }
    if (status == NDBUF_OK) {
        ndbuf_view_set_ready(view, event);
    } else {
        ndpy_raise(&err);
    }
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
    return status == NDBUF_OK;
}

/* _from_pointer(owner, address, device, format, shape, strides, readonly, stream): `device` None: the one that CUDA
 * finds for the address. */
PyObject *ndpy_from_pointer(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"owner", "address", "device", "format", "shape", "strides", "readonly", "stream", NULL};
    ndpy_state *state = PyModule_GetState(module);
    PyObject *owner, *address, *device_spec, *format, *shape, *strides, *stream;
    int readonly = 0;
    int64_t dims[NDBUF_MAX_NDIM];
    int64_t steps[NDBUF_MAX_NDIM];
    int64_t native = 0;
    int32_t nstrides = 0;
    ndbuf_view_spec spec = {0};
    ndbuf_device *device = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OOOOOOpO:_from_pointer", (char **)names, &owner, &address,
                                     &device_spec, &format, &shape, &strides, &readonly, &stream)) {
        return NULL;
    }
    void *pointer = PyLong_AsVoidPtr(address);
    if (PyErr_Occurred() != NULL || !ndpy_parse_dims(shape, &spec.ndim, dims, "shape") ||
        (strides != Py_None && !ndpy_parse_dims(strides, &nstrides, steps, "strides")) ||
        (stream != Py_None && !ndpy_parse_int64(stream, &native)) ||
        !ndpy_device_open(state, device_spec, &device)) {
        return NULL;
    }
    if (strides != Py_None && nstrides != spec.ndim) {
        PyErr_Format(PyExc_ValueError, "%d axes, but %d strides", (int)spec.ndim, (int)nstrides);
        return NULL;
    }
    if (!ndpy_parse_format(format, &spec.format)) {
        return NULL;
    }
    spec.flags = readonly ? NDBUF_VIEW_READONLY : 0;
    spec.shape = dims;
    spec.strides = strides == Py_None ? NULL : steps;
    PyObject *view = ndpy_view_of_memory(state, owner, device, pointer, &spec);
    ndbuf_format_release(spec.format);
    if (view != NULL && stream != Py_None) {
        ndbuf_view *inner = &((ndpy_view *)view)->view;
        if (!set_ready_behind(inner, ndbuf_storage_device(ndbuf_view_storage(inner)), native)) {
            Py_CLEAR(view);
        }
    }
    return view;
}

/* What NumPy's __array_struct__ capsule points to. */
typedef struct array_struct {
    int two;
    int ndim;
    char kind;
    int itemsize;
    int flags;
    Py_ssize_t *shape;
    Py_ssize_t *strides;
    void *data;
    PyObject *descr;
} array_struct;

enum { STRUCT_NATIVE_ORDER = 0x200, STRUCT_WRITABLE = 0x400, STRUCT_HAS_DESCR = 0x800 };

/* _array_struct(capsule): the same as a dict of __array_interface__. */
PyObject *ndpy_array_struct(PyObject *module, PyObject *capsule)
{
    (void)module;
    const array_struct *array = PyCapsule_GetPointer(capsule, PyCapsule_GetName(capsule));
    if (array == NULL) {
        return NULL;
    }
    if (array->two != 2 || array->ndim < 0 || array->ndim > NDBUF_MAX_NDIM || array->itemsize < 0) {
        PyErr_SetString(PyExc_ValueError, "__array_struct__ does not hold what it should");
        return NULL;
    }
    const uint16_t one = 1;
    int is_little = (*(const uint8_t *)&one == 1) == ((array->flags & STRUCT_NATIVE_ORDER) != 0);
    int itemsize = array->kind == 'U' ? array->itemsize / 4 : array->itemsize;
    PyObject *typestr = PyUnicode_FromFormat("%c%c%d", is_little ? '<' : '>', array->kind, itemsize);
    PyObject *shape = ndpy_tuple_of(array->ndim, (const int64_t *)(void *)array->shape);
    PyObject *strides = NULL;
    if (array->strides == NULL) {
        strides = Py_None;
        Py_INCREF(strides);
    } else {
        strides = ndpy_tuple_of(array->ndim, (const int64_t *)(void *)array->strides);
    }
    PyObject *descr = (array->flags & STRUCT_HAS_DESCR) != 0 && array->descr != NULL ? array->descr : Py_None;
    PyObject *address = PyLong_FromVoidPtr(array->data);
    PyObject *dict = NULL;
    if (typestr != NULL && shape != NULL && strides != NULL && address != NULL) {
        dict = Py_BuildValue("{s:i,s:O,s:O,s:O,s:(O,N),s:O}", "version", 3, "typestr", typestr, "shape", shape,
                             "strides", strides, "data", address,
                             PyBool_FromLong((array->flags & STRUCT_WRITABLE) == 0), "descr", descr);
    }
    Py_XDECREF(typestr);
    Py_XDECREF(shape);
    Py_XDECREF(strides);
    Py_XDECREF(address);
    return dict;
}
