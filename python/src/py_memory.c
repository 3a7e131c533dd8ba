/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <stdio.h>
#include <string.h>

#include "ndbuf/cuda.h"

/* Views of memory that Python objects own. */

/* The owner of adopted memory: a buffer, or any object. */
typedef struct memory_owner {
    Py_buffer buffer; /* obj NULL: none */
    PyObject *object; /* NULL: none */
} memory_owner;

/* Whether this thread may take the interpreter's lock: at the interpreter's end only a thread that has it already. */
static int may_enter_python(void)
{
    return Py_IsInitialized() || PyGILState_GetThisThreadState() != NULL;
}

/* Ends with the last use of the memory, which may be in a thread of a device's driver. */
static void owner_release(void *context, void *handle)
{
    memory_owner *owner = context;
    PyObject *type, *value, *traceback;
    (void)handle;
    if (!may_enter_python()) {
        return; /* the interpreter is gone, and the object with it */
    }
    PyGILState_STATE gil = PyGILState_Ensure();
    PyErr_Fetch(&type, &value, &traceback);
    if (owner->buffer.obj != NULL) {
        PyBuffer_Release(&owner->buffer);
    }
    Py_XDECREF(owner->object);
    PyMem_Free(owner);
    PyErr_Restore(type, value, traceback);
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

/* Adopts the memory that a layout reaches. On failure `owner` is still the caller's. */
static ndbuf_status adopt(memory_owner *owner, ndbuf_device *device, void *address, const ndbuf_view_spec *spec,
                          int64_t *out_byte_offset, ndbuf_storage **out_storage, ndbuf_error *err)
{
    int64_t lo = 0;
    int64_t hi = 0;
    int64_t itemsize = spec->format == NULL ? 1 : ndbuf_format_itemsize(spec->format);
    if (!find_range(spec, itemsize, &lo, &hi)) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "shape times strides exceeds 63 bits, or an extent is negative");
    }
    if (address == NULL && hi > lo) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the array has items, but no address");
    }
    uint32_t flags = (spec->flags & NDBUF_VIEW_READONLY) != 0 ? NDBUF_STORAGE_READONLY : 0;
    void *handle = (void *)((uintptr_t)address + (uintptr_t)lo);
    *out_byte_offset = -lo;
    if (device != NULL) {
        return ndbuf_storage_adopt(device, handle, (size_t)(hi - lo), flags, owner_release, owner, out_storage, err);
    }
    return ndbuf_cuda_storage_adopt(handle, (size_t)(hi - lo), flags, owner_release, owner, out_storage, err);
}

/* A view in a storage, if that could be adopted (`status`): else `owner` is ended. Takes over the storage. */
static int view_in(memory_owner *owner, ndbuf_status status, ndbuf_storage *storage, const ndbuf_view_spec *spec,
                   ndbuf_view *out_view, ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        owner_release(owner, NULL);
    } else {
        status = ndbuf_view_init(out_view, storage, spec, err);
        ndbuf_storage_release(storage); /* the last reference if that failed */
    }
    if (status != NDBUF_OK) {
        ndpy_raise(err);
    }
    return status == NDBUF_OK;
}

/* A view of the memory. Takes over `owner`, also when it fails. `device` NULL: the one that CUDA knows for it. */
static int view_of(memory_owner *owner, ndbuf_device *device, void *address, const ndbuf_view_spec *given,
                   ndbuf_view *out_view)
{
    ndbuf_error err = {0};
    ndbuf_view_spec spec = *given;
    ndbuf_storage *storage = NULL;
    ndbuf_status status = adopt(owner, device, address, given, &spec.byte_offset, &storage, &err);
    return view_in(owner, status, storage, &spec, out_view, &err);
}

int ndpy_view_of_handle(PyObject *object, ndbuf_device *device, void *handle, size_t nbytes,
                        const ndbuf_view_spec *spec, ndbuf_view *out_view)
{
    ndbuf_error err = {0};
    ndbuf_storage *storage = NULL;
    memory_owner *owner = owner_create();
    if (owner == NULL) {
        return 0;
    }
    Py_INCREF(object);
    owner->object = object;
    ndbuf_status status = ndbuf_storage_adopt(device, handle, nbytes, 0, owner_release, owner, &storage, &err);
    return view_in(owner, status, storage, spec, out_view, &err);
}

int ndpy_view_of_memory(PyObject *object, ndbuf_device *device, void *address, const ndbuf_view_spec *spec,
                        ndbuf_view *out_view)
{
    memory_owner *owner = owner_create();
    if (owner == NULL) {
        return 0;
    }
    Py_INCREF(object);
    owner->object = object;
    return view_of(owner, device, address, spec, out_view);
}

/* -- Python's buffer protocol -- */

/* Refuses items that are read as opaque bytes, since their format and size do not go together, where the format has
 * objects among them: as bytes they would be copied, and nobody would count the references. NumPy writes such formats
 * for records that are not aligned. */
static ndbuf_status refuse_hidden_objects(const char *text, const ndbuf_format *format, ndbuf_error *err)
{
    ndbuf_format *told = NULL;
    ndbuf_field field;
    if ((ndbuf_format_flags(format) & NDBUF_FORMAT_UNRELIABLE) == 0) {
        return NDBUF_OK;
    }
    ndbuf_status status = ndbuf_format_parse(text, 0, &told, err);
    int32_t nfields = status == NDBUF_OK ? ndbuf_format_nfields(told) : 0;
    for (int32_t i = 0; i < nfields && status == NDBUF_OK; i++) {
        status = ndbuf_format_field(told, i, &field, err);
        if (status == NDBUF_OK && field.kind == NDBUF_KIND_OBJECT) {
            status = ndbuf_fail(err, NDBUF_ERR_UNSUPPORTED,
                                "items that are Python objects, or have some: their format '%.100s' takes %lld bytes, "
                                "but they have %lld",
                                text, (long long)ndbuf_format_itemsize(told), (long long)ndbuf_format_itemsize(format));
        }
    }
    ndbuf_format_release(told);
    return status;
}

/* The format of a buffer's items. Where those are padding alone, as NumPy writes its "V", they are opaque values. */
static ndbuf_status parse_items(const char *text, Py_ssize_t itemsize, ndbuf_format **out_format, ndbuf_error *err)
{
    char opaque[32];
    ndbuf_status status = ndbuf_format_parse(text, itemsize, out_format, err);
    if (status == NDBUF_OK) {
        status = refuse_hidden_objects(text, *out_format, err);
    }
    if (status != NDBUF_OK) {
        ndbuf_format_release(*out_format);
        *out_format = NULL;
        return status;
    }
    if (itemsize == 0 || ndbuf_format_nfields(*out_format) > 0) {
        return NDBUF_OK;
    }
    ndbuf_format_release(*out_format);
    *out_format = NULL;
    snprintf(opaque, sizeof(opaque), "%lldx::", (long long)itemsize);
    return ndbuf_format_parse(opaque, itemsize, out_format, err);
}

/* Describes what a buffer says about itself. `bytes_alone` is the shape of one that gives none. spec.format is the
 * caller's. */
static ndbuf_status describe_buffer(const Py_buffer *buffer, int64_t *bytes_alone, ndbuf_view_spec *spec,
                                    ndbuf_error *err)
{
    if (buffer->ndim < 0 || buffer->ndim > NDBUF_MAX_NDIM) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the exporter's ndim is %d", buffer->ndim);
    }
    if (buffer->shape == NULL && buffer->ndim > 1) {
        return ndbuf_fail(err, NDBUF_ERR_INVALID, "the exporter gives %d axes, but no shape", buffer->ndim);
    }
    spec->ndim = buffer->ndim;
    spec->flags = buffer->readonly ? NDBUF_VIEW_READONLY : 0;
    spec->shape = (const int64_t *)(void *)buffer->shape;
    spec->strides = (const int64_t *)(void *)buffer->strides;
    if (buffer->shape == NULL && buffer->ndim == 1) {
        *bytes_alone = buffer->itemsize > 0 ? buffer->len / buffer->itemsize : 0;
        spec->shape = bytes_alone;
    }
    for (int k = 0; k < buffer->ndim && buffer->suboffsets != NULL; k++) {
        if (buffer->suboffsets[k] >= 0) { /* some give negative ones alone, which PEP 3118 forbids */
            spec->suboffsets = (const int64_t *)(void *)buffer->suboffsets;
        }
    }
    return parse_items(buffer->format, buffer->itemsize, &spec->format, err);
}

PyObject *ndpy_from_buffer(ndpy_state *state, PyObject *object, int *out_is_final)
{
    ndbuf_error err = {0};
    ndbuf_view_spec spec = {0};
    ndbuf_view view = {0};
    int64_t bytes_alone = 0;
    memory_owner *owner = owner_create();
    *out_is_final = 0;
    if (owner == NULL) {
        return NULL;
    }
    if (PyObject_GetBuffer(object, &owner->buffer, PyBUF_FULL_RO) != 0) {
        PyMem_Free(owner);
        return NULL;
    }
    if (describe_buffer(&owner->buffer, &bytes_alone, &spec, &err) != NDBUF_OK) {
        *out_is_final =
            err.status == NDBUF_ERR_UNSUPPORTED; /* hidden objects: NumPy's others give them as bytes, too */
        owner_release(owner, NULL);
        return ndpy_raise(&err);
    }
    Py_ssize_t len = owner->buffer.len;
    int is_good = view_of(owner, ndbuf_device_cpu(), owner->buffer.buf, &spec, &view);
    ndbuf_format_release(spec.format);
    if (is_good && view.nbytes != len) {
        PyErr_Format(PyExc_ValueError, "the exporter's len is %zd, but its shape has %lld bytes", len,
                     (long long)view.nbytes);
        ndpy_view_clear(&view);
        is_good = 0;
    }
    return is_good ? ndpy_view_wrap(state, &view) : NULL;
}

/* -- addresses, for the package's own Python code -- */

/* Makes the view's contents count as ready when the work in a native stream, up to now, is done. */
static int set_ready_behind(ndbuf_view *view, int64_t stream)
{
    ndbuf_error err = {0};
    ndbuf_queue *queue = NULL;
    ndbuf_event *event = NULL;
    ndbuf_status status;
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_queue_import(ndbuf_view_device(view), (void *)(uintptr_t)stream, &queue, &err);
    if (status == NDBUF_OK) {
        status = ndbuf_queue_record(queue, &event, &err);
    }
    if (status == NDBUF_OK) {
        ndbuf_view_set_ready(view, event);
    }
    ndbuf_event_release(event);
    ndbuf_queue_release(queue);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
    }
    return status == NDBUF_OK;
}

/* _from_pointer(owner, address, is_cuda, format, shape, strides, readonly, stream): strides and stream may be None. */
PyObject *ndpy_from_pointer(PyObject *module, PyObject *arguments)
{
    PyObject *owner, *address, *format, *shape, *strides, *stream;
    int is_cuda = 0;
    int readonly = 0;
    int64_t dims[NDBUF_MAX_NDIM];
    int64_t steps[NDBUF_MAX_NDIM];
    int64_t native = 0;
    ndbuf_view_spec spec = {0};
    ndbuf_view view = {0};
    if (!PyArg_ParseTuple(arguments, "OOpOOOpO:_from_pointer", &owner, &address, &is_cuda, &format, &shape, &strides,
                          &readonly, &stream)) {
        return NULL;
    }
    void *pointer = PyLong_AsVoidPtr(address);
    if (PyErr_Occurred() != NULL || (stream != Py_None && !ndpy_parse_int64(stream, &native)) ||
        !ndpy_parse_layout(format, shape, strides, dims, steps, &spec)) {
        return NULL;
    }
    spec.flags = readonly ? NDBUF_VIEW_READONLY : 0;
    int is_good = ndpy_view_of_memory(owner, is_cuda ? NULL : ndbuf_device_cpu(), pointer, &spec, &view);
    ndbuf_format_release(spec.format);
    if (is_good && stream != Py_None && !set_ready_behind(&view, native)) {
        ndpy_view_clear(&view);
        is_good = 0;
    }
    return is_good ? ndpy_view_wrap(PyModule_GetState(module), &view) : NULL;
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
    const array_struct *array = PyCapsule_GetPointer(capsule, NULL);
    if (array == NULL) {
        return NULL;
    }
    const char *kinds = "tbiufcmMOSUV";
    if (array->two != 2 || array->ndim < 0 || array->ndim > NDBUF_MAX_NDIM || array->itemsize < 0 ||
        (array->ndim > 0 && array->shape == NULL) || array->kind == '\0' || strchr(kinds, array->kind) == NULL ||
        (array->kind == 'U' && array->itemsize % 4 != 0)) {
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
