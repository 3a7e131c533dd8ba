/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

/* Items as Python objects, and back. */

/* -- packing -- */

typedef struct packer {
    const ndbuf_format *format;
    ndbuf_value *values;
    int64_t nvalues; /* room */
    int64_t count;   /* filled */
    PyObject *kept;  /* list: objects whose bytes the values point to */
} packer;

/* The leaf that value number `index` belongs to, where no record is repeated. */
static int find_leaf(const ndbuf_format *format, int64_t index, ndbuf_field *out_field)
{
    ndbuf_error err = {0};
    for (int32_t i = 0; i < ndbuf_format_nfields(format); i++) {
        int64_t count = 1;
        if (ndbuf_format_field(format, i, out_field, &err) != NDBUF_OK) {
            break;
        }
        for (int32_t k = 0; k < out_field->ndim; k++) {
            count *= out_field->extents[k];
        }
        if (index < count) {
            return 1;
        }
        index -= count;
    }
    return 0;
}

/* The codec of a text leaf; NULL: it is none. */
static const char *codec_of(const ndbuf_field *field)
{
    if (field->kind != NDBUF_KIND_TEXT) {
        return NULL;
    }
    if (field->code[0] == 'u') {
        return field->byte_order == '>' ? "utf-16-be" : "utf-16-le";
    }
    return field->byte_order == '>' ? "utf-32-be" : "utf-32-le";
}

static int pack_bytes(packer *p, PyObject *bytes, ndbuf_value *value)
{
    value->kind = NDBUF_VALUE_BYTES;
    value->as.bytes.data = PyBytes_AsString(bytes);
    value->as.bytes.nbytes = PyBytes_Size(bytes);
    return PyList_Append(p->kept, bytes) == 0;
}

static int pack_text(packer *p, PyObject *text, ndbuf_value *value)
{
    ndbuf_field field;
    const char *codec = find_leaf(p->format, p->count, &field) ? codec_of(&field) : NULL;
    if (codec == NULL) {
        PyErr_SetString(PyExc_TypeError, "a str, for a field that is no text");
        return 0;
    }
    PyObject *bytes = PyUnicode_AsEncodedString(text, codec, "surrogatepass");
    if (bytes == NULL) {
        return 0;
    }
    int is_good = pack_bytes(p, bytes, value);
    Py_DECREF(bytes);
    return is_good;
}

static int pack_integer(PyObject *number, ndbuf_value *value)
{
    PyObject *index = PyNumber_Index(number);
    int overflow = 0;
    if (index == NULL) {
        return 0;
    }
    value->kind = NDBUF_VALUE_INT;
    value->as.int64 = PyLong_AsLongLongAndOverflow(index, &overflow);
    if (overflow > 0) {
        value->kind = NDBUF_VALUE_UINT;
        value->as.uint64 = PyLong_AsUnsignedLongLong(index);
    } else if (overflow < 0) {
        PyErr_SetString(PyExc_OverflowError, "an integer below -2^63");
    }
    Py_DECREF(index);
    return PyErr_Occurred() == NULL;
}

static int pack_number(PyObject *number, ndbuf_value *value)
{
    if (PyComplex_Check(number)) {
        value->kind = NDBUF_VALUE_COMPLEX;
        value->as.complex.real = PyComplex_RealAsDouble(number);
        value->as.complex.imag = PyComplex_ImagAsDouble(number);
        return 1;
    }
    PyObject *real = PyNumber_Float(number);
    if (real == NULL) {
        return 0;
    }
    value->kind = NDBUF_VALUE_FLOAT;
    value->as.float64 = PyFloat_AsDouble(real);
    Py_DECREF(real);
    return 1;
}

/* Values in order; tuples and lists are only brackets. */
static int pack_value(packer *p, PyObject *object)
{
    if (PyTuple_Check(object) || PyList_Check(object)) {
        Py_ssize_t size = PySequence_Size(object);
        int is_good = Py_EnterRecursiveCall(" while packing an item") == 0;
        if (!is_good) {
            return 0;
        }
        for (Py_ssize_t i = 0; i < size && is_good; i++) {
            PyObject *member = PySequence_GetItem(object, i);
            is_good = member != NULL && pack_value(p, member);
            Py_XDECREF(member);
        }
        Py_LeaveRecursiveCall();
        return is_good;
    }
    if (p->count >= p->nvalues) {
        PyErr_Format(PyExc_ValueError, "more than the %lld values of an item", (long long)p->nvalues);
        return 0;
    }
    ndbuf_value *value = &p->values[p->count];
    int is_good;
    if (PyBytes_Check(object)) {
        is_good = pack_bytes(p, object, value);
    } else if (PyUnicode_Check(object)) {
        is_good = pack_text(p, object, value);
    } else if (PyIndex_Check(object)) {
        is_good = pack_integer(object, value);
    } else {
        is_good = pack_number(object, value);
    }
    p->count++;
    return is_good;
}

int ndpy_pack(const ndbuf_format *format, PyObject *object, void *out_item)
{
    ndbuf_error err = {0};
    packer p = {.format = format, .nvalues = ndbuf_item_nvalues(format)};
    if ((ndbuf_format_flags(format) & NDBUF_FORMAT_HOST_ONLY) != 0) {
        PyErr_SetString(PyExc_TypeError, "objects and pointers cannot be set");
        return 0;
    }
    p.values = p.nvalues > PY_SSIZE_T_MAX / (int64_t)sizeof(*p.values)
                   ? NULL
                   : PyMem_Calloc(p.nvalues > 0 ? (size_t)p.nvalues : 1, sizeof(*p.values));
    p.kept = PyList_New(0);
    if (p.values == NULL) {
        PyErr_NoMemory();
    }
    int is_good = p.values != NULL && p.kept != NULL && pack_value(&p, object);
    if (is_good && ndbuf_item_pack(format, p.values, p.count, out_item, ndbuf_format_itemsize(format), &err) !=
                       NDBUF_OK) {
        is_good = 0;
        if (err.status == NDBUF_ERR_OVERFLOW) {
            PyErr_SetString(PyExc_OverflowError, err.message);
        } else {
            PyErr_SetString(p.count == p.nvalues ? PyExc_TypeError : PyExc_ValueError, err.message);
        }
    }
    PyMem_Free(p.values);
    Py_XDECREF(p.kept);
    return is_good;
}

/* -- unpacking -- */

typedef struct unpacker {
    const ndbuf_view *view;
    const ndbuf_format *format;
    int64_t strides[NDBUF_MAX_NDIM];
    ndbuf_value *values;
    int64_t nvalues;
    int64_t itemsize;
} unpacker;

static PyObject *object_of_bytes(const ndbuf_field *field, const ndbuf_value *value)
{
    const char *bytes = value->as.bytes.data;
    Py_ssize_t nbytes = (Py_ssize_t)value->as.bytes.nbytes;
    const char *codec = codec_of(field);
    if (codec == NULL) {
        return PyBytes_FromStringAndSize(bytes, nbytes);
    }
    const Py_ssize_t unit = field->code[0] == 'u' && field->size % 4 != 0 ? 2 : codec[4] == '3' ? 4 : 2;
    static const char zeros[4];
    while (nbytes >= unit && memcmp(bytes + nbytes - unit, zeros, (size_t)unit) == 0) {
        nbytes -= unit;
    }
    return PyUnicode_Decode(bytes, nbytes, codec, "surrogatepass");
}

static PyObject *object_of(const ndbuf_field *field, const ndbuf_value *value)
{
    switch (value->kind) {
    case NDBUF_VALUE_INT:
        return PyLong_FromLongLong(value->as.int64);
    case NDBUF_VALUE_UINT:
        if (field->kind == NDBUF_KIND_BOOL) {
            return PyBool_FromLong(value->as.uint64 != 0);
        }
        return PyLong_FromUnsignedLongLong(value->as.uint64);
    case NDBUF_VALUE_FLOAT:
        return PyFloat_FromDouble(value->as.float64);
    case NDBUF_VALUE_COMPLEX:
        return PyComplex_FromDoubles(value->as.complex.real, value->as.complex.imag);
    default:
        return object_of_bytes(field, value);
    }
}

/* Nested lists of a leaf's elements; `*next` goes on over its values. */
static PyObject *list_of_leaf(const ndbuf_field *field, int32_t axis, const ndbuf_value **next)
{
    if (axis == field->ndim) {
        return object_of(field, (*next)++);
    }
    PyObject *list = PyList_New((Py_ssize_t)field->extents[axis]);
    for (int64_t i = 0; i < field->extents[axis] && list != NULL; i++) {
        PyObject *element = list_of_leaf(field, axis + 1, next);
        if (element == NULL || PyList_SetItem(list, (Py_ssize_t)i, element) != 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

/* An item without names: an object, or a tuple of its leaves. */
static PyObject *object_at(const unpacker *u, const void *address)
{
    ndbuf_error err = {0};
    ndbuf_field field;
    int32_t nfields = ndbuf_format_nfields(u->format);
    const ndbuf_value *next = u->values;
    if (nfields == 0) {
        return PyBytes_FromStringAndSize(address, (Py_ssize_t)u->itemsize);
    }
    if (ndbuf_item_unpack(u->format, address, u->itemsize, u->values, u->nvalues, &err) != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    PyObject *tuple = nfields == 1 ? NULL : PyTuple_New(nfields);
    for (int32_t i = 0; i < nfields && (nfields == 1 || tuple != NULL); i++) {
        if (ndbuf_format_field(u->format, i, &field, &err) != NDBUF_OK) {
            Py_XDECREF(tuple);
            return ndpy_raise(&err);
        }
        PyObject *leaf = list_of_leaf(&field, 0, &next);
        if (nfields == 1) {
            return leaf;
        }
        if (leaf == NULL || PyTuple_SetItem(tuple, i, leaf) != 0) {
            Py_CLEAR(tuple);
        }
    }
    return tuple;
}

static PyObject *list_axis(const unpacker *u, int32_t axis, const char *address)
{
    if (axis == u->view->ndim) {
        return object_at(u, address);
    }
    int64_t extent = u->view->shape[axis];
    PyObject *list = PyList_New((Py_ssize_t)extent);
    for (int64_t i = 0; i < extent && list != NULL; i++) {
        const char *place = address + i * u->strides[axis];
        if (u->view->suboffsets != NULL && u->view->suboffsets[axis] >= 0) {
            const char *pointer;
            memcpy(&pointer, place, sizeof(pointer));
            place = pointer + u->view->suboffsets[axis];
        }
        PyObject *element = list_axis(u, axis + 1, place);
        if (element == NULL || PyList_SetItem(list, (Py_ssize_t)i, element) != 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *list_of_items(const ndbuf_view *view)
{
    unpacker u = {.view = view, .format = ndbuf_view_format(view), .itemsize = view->itemsize};
    int64_t stride = view->itemsize;
    for (int32_t k = view->ndim; k-- > 0;) {
        u.strides[k] = view->strides != NULL ? view->strides[k] : stride;
        stride *= view->shape[k];
    }
    u.nvalues = ndbuf_item_nvalues(u.format);
    u.values = u.nvalues > PY_SSIZE_T_MAX / (int64_t)sizeof(*u.values)
                   ? NULL
                   : PyMem_Calloc(u.nvalues > 0 ? (size_t)u.nvalues : 1, sizeof(*u.values));
    if (u.values == NULL) {
        return PyErr_NoMemory();
    }
    PyObject *list = list_axis(&u, 0, ndbuf_view_host_address(view));
    PyMem_Free(u.values);
    return list;
}

/* -- records: the lists of their fields, put together -- */

/* Tuples from the lists of all fields, which have the record's shape. */
static PyObject *zip_axis(PyObject *const *lists, Py_ssize_t nlists, const ndbuf_view *view, int32_t axis)
{
    PyObject *result = axis == view->ndim ? PyTuple_New(nlists) : PyList_New((Py_ssize_t)view->shape[axis]);
    for (Py_ssize_t i = 0; i < nlists && axis == view->ndim && result != NULL; i++) {
        Py_INCREF(lists[i]);
        if (PyTuple_SetItem(result, i, lists[i]) != 0) {
            Py_CLEAR(result);
        }
    }
    if (axis == view->ndim || result == NULL) {
        return result;
    }
    PyObject **members = PyMem_Calloc((size_t)nlists, sizeof(*members));
    if (members == NULL) {
        Py_DECREF(result);
        return PyErr_NoMemory();
    }
    for (int64_t k = 0; k < view->shape[axis] && result != NULL; k++) {
        for (Py_ssize_t i = 0; i < nlists; i++) {
            members[i] = PyList_GetItem(lists[i], (Py_ssize_t)k); /* borrowed */
        }
        PyObject *member = zip_axis(members, nlists, view, axis + 1);
        if (member == NULL || PyList_SetItem(result, (Py_ssize_t)k, member) != 0) {
            Py_CLEAR(result);
        }
    }
    PyMem_Free(members);
    return result;
}

static PyObject *list_of_field(const ndbuf_view *view, const char *name)
{
    ndbuf_error err = {0};
    ndbuf_view field = {0};
    if (ndbuf_view_field(view, name, &field, &err) != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    PyObject *list = ndpy_list_of(&field);
    ndbuf_view_release(&field);
    return list;
}

/* The outermost name of leaf `index`; NULL: it has none. */
static const char *name_of(const ndbuf_format *format, int32_t index)
{
    ndbuf_field field;
    ndbuf_error err = {0};
    if (ndbuf_format_field(format, index, &field, &err) != NDBUF_OK || field.nnames == 0) {
        return NULL;
    }
    return field.names[0];
}

static PyObject *list_of_records(const ndbuf_view *view)
{
    const ndbuf_format *format = ndbuf_view_format(view);
    int32_t nfields = ndbuf_format_nfields(format);
    PyObject **lists = PyMem_Calloc((size_t)nfields, sizeof(*lists));
    PyObject *result = NULL;
    Py_ssize_t nlists = 0;
    int is_good = lists != NULL;
    const char *earlier = NULL;
    if (!is_good) {
        return PyErr_NoMemory();
    }
    for (int32_t i = 0; i < nfields && is_good; i++) {
        const char *name = name_of(format, i);
        if (earlier == NULL || strcmp(name, earlier) != 0) { /* leaves of one field follow each other */
            lists[nlists] = list_of_field(view, name);
            is_good = lists[nlists] != NULL;
            nlists += is_good;
        }
        earlier = name;
    }
    if (is_good) {
        result = zip_axis(lists, nlists, view, 0);
    }
    while (nlists > 0) {
        Py_DECREF(lists[--nlists]);
    }
    PyMem_Free(lists);
    return result;
}

PyObject *ndpy_list_of(const ndbuf_view *view)
{
    const ndbuf_format *format = ndbuf_view_format(view);
    int32_t nfields = ndbuf_format_nfields(format);
    int has_names = nfields > 0;
    for (int32_t i = 0; i < nfields && has_names; i++) {
        has_names = name_of(format, i) != NULL;
    }
    return has_names ? list_of_records(view) : list_of_items(view);
}

PyObject *ndpy_tolist(PyObject *object, PyObject *ignored)
{
    ndpy_view *self = (ndpy_view *)object;
    ndbuf_view host = {0};
    PyObject *list = NULL;
    (void)ignored;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    if (ndpy_on_host(&self->view, &host)) {
        list = ndpy_list_of(&host);
        ndpy_view_clear(&host);
    }
    ndpy_view_leave(self);
    return list;
}

/* -- bytes -- */

/* Copies `src` into a bytes object, packed. */
static int copy_to_bytes(const ndbuf_view *src, char order, PyObject *bytes)
{
    ndbuf_error err = {0};
    ndbuf_storage *storage = NULL;
    ndbuf_view dst = {0};
    int64_t strides[NDBUF_MAX_NDIM];
    int64_t stride = src->itemsize;
    for (int32_t i = 0; i < src->ndim; i++) {
        int32_t k = order == 'F' ? i : src->ndim - 1 - i;
        strides[k] = stride;
        stride *= src->shape[k] > 0 ? src->shape[k] : 1;
    }
    ndbuf_view_spec spec = {.format = ndbuf_view_format(src), .ndim = src->ndim, .shape = src->shape,
                            .strides = strides};
    ndbuf_status status = ndbuf_storage_adopt(ndbuf_device_cpu(), PyBytes_AsString(bytes), (size_t)src->nbytes, 0, NULL,
                                              NULL, &storage, &err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_init(&dst, storage, &spec, &err);
        ndbuf_storage_release(storage);
    }
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
        return 0;
    }
    int is_good = ndpy_copy_views(&dst, src, NDBUF_CASTING_NO, 0, NULL);
    ndbuf_view_release(&dst);
    return is_good;
}

PyObject *ndpy_tobytes(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"order", NULL};
    ndpy_view *self = (ndpy_view *)object;
    const char *order = "C";
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|z:tobytes", (char **)names, &order)) {
        return NULL;
    }
    order = order == NULL ? "C" : order;
    if (strcmp(order, "C") != 0 && strcmp(order, "F") != 0 && strcmp(order, "A") != 0) {
        PyErr_Format(PyExc_ValueError, "order must be 'C', 'F' or 'A', not '%s'", order);
        return NULL;
    }
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    const ndbuf_view *view = &self->view;
    char order_taken = order[0];
    if (order_taken == 'A') {
        order_taken = ndbuf_view_is_contiguous(view, 'F') && !ndbuf_view_is_contiguous(view, 'C') ? 'F' : 'C';
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)view->nbytes);
    if (bytes != NULL && view->nbytes > 0 && !copy_to_bytes(view, order_taken, bytes)) {
        Py_CLEAR(bytes);
    }
    ndpy_view_leave(self);
    return bytes;
}
