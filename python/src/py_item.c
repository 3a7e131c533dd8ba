/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

/* A single item as a Python object, and back. */

/* The leaves of a format, in the order in which an item's values lie: as in nested loops, where leaves that share an
 * axis, as the fields of records in an array do, take turns. */
typedef struct leaves {
    const ndbuf_format *format;
    ndbuf_field *fields;
    int32_t nfields;
    int64_t nvalues;
    ndbuf_value *values; /* room for nvalues */
} leaves;

static void leaves_clear(leaves *self)
{
    PyMem_Free(self->fields);
    PyMem_Free(self->values);
}

static int leaves_init(leaves *self, const ndbuf_format *format)
{
    ndbuf_error err = {0};
    memset(self, 0, sizeof(*self));
    self->format = format;
    self->nfields = ndbuf_format_nfields(format);
    self->nvalues = ndbuf_item_nvalues(format);
    if (self->nvalues <= PY_SSIZE_T_MAX / (int64_t)sizeof(*self->values)) {
        self->fields = PyMem_Calloc((size_t)self->nfields + 1, sizeof(*self->fields));
        self->values = PyMem_Calloc((size_t)self->nvalues + 1, sizeof(*self->values));
    }
    if (self->fields == NULL || self->values == NULL) {
        PyErr_NoMemory();
        leaves_clear(self);
        return 0;
    }
    for (int32_t i = 0; i < self->nfields; i++) {
        if (ndbuf_format_field(format, i, &self->fields[i], &err) != NDBUF_OK) {
            ndpy_raise(&err);
            leaves_clear(self);
            return 0;
        }
    }
    return 1;
}

/* The end of the leaves from `begin` on that share its axis `axis`: those that begin before its second element does. */
static int32_t group_end(const leaves *self, int32_t begin, int32_t end, int32_t axis)
{
    const ndbuf_field *first = &self->fields[begin];
    int32_t i = begin + 1;
    while (axis < first->ndim && i < end && axis < self->fields[i].ndim &&
           self->fields[i].extents[axis] == first->extents[axis] &&
           self->fields[i].strides[axis] == first->strides[axis] &&
           self->fields[i].offset < first->offset + first->strides[axis]) {
        i++;
    }
    return i;
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

/* -- packing -- */

typedef struct packer {
    leaves leaves;
    PyObject *objects; /* list: one for each value */
    PyObject *kept;    /* list: objects whose bytes the values point to */
    int64_t count;     /* values made */
} packer;

/* The values of an item, in order; tuples and lists are only brackets. */
static int flatten(packer *p, PyObject *object)
{
    if (!PyTuple_Check(object) && !PyList_Check(object)) {
        if (PyList_Size(p->objects) >= p->leaves.nvalues) {
            PyErr_Format(PyExc_ValueError, "more than the %lld values of an item", (long long)p->leaves.nvalues);
            return 0;
        }
        return PyList_Append(p->objects, object) == 0;
    }
    if (Py_EnterRecursiveCall(" while packing an item") != 0) {
        return 0;
    }
    int is_good = 1;
    for (Py_ssize_t i = 0; is_good && i < PySequence_Size(object); i++) {
        PyObject *member = PySequence_GetItem(object, i);
        is_good = member != NULL && flatten(p, member);
        Py_XDECREF(member);
    }
    Py_LeaveRecursiveCall();
    return is_good;
}

static int pack_bytes(packer *p, PyObject *bytes, ndbuf_value *value)
{
    value->kind = NDBUF_VALUE_BYTES;
    value->as.bytes.data = PyBytes_AsString(bytes);
    value->as.bytes.nbytes = PyBytes_Size(bytes);
    return PyList_Append(p->kept, bytes) == 0;
}

static int pack_text(packer *p, const ndbuf_field *field, PyObject *text, ndbuf_value *value)
{
    const char *codec = codec_of(field);
    if (codec == NULL) {
        PyErr_SetString(PyExc_TypeError, "a str, for a field that is no text");
        return 0;
    }
    PyObject *bytes = PyUnicode_AsEncodedString(text, codec, "surrogatepass");
    int is_good = bytes != NULL && pack_bytes(p, bytes, value);
    Py_XDECREF(bytes);
    return is_good;
}

static int pack_complex(PyObject *number, ndbuf_value *value)
{
    PyObject *complex = PyObject_CallFunctionObjArgs((PyObject *)&PyComplex_Type, number, NULL);
    if (complex == NULL) {
        return 0;
    }
    value->kind = NDBUF_VALUE_COMPLEX;
    value->as.complex.real = PyComplex_RealAsDouble(complex);
    value->as.complex.imag = PyComplex_ImagAsDouble(complex);
    Py_DECREF(complex);
    return 1;
}

static int pack_float(PyObject *number, ndbuf_value *value)
{
    PyObject *real = PyNumber_Float(number);
    if (real == NULL) {
        return 0;
    }
    value->kind = NDBUF_VALUE_FLOAT;
    value->as.float64 = PyFloat_AsDouble(real);
    Py_DECREF(real);
    return 1;
}

/* An integer beyond 64 bits: as the number that it is to floats, and as true. */
static int pack_long(const ndbuf_field *field, PyObject *integer, ndbuf_value *value)
{
    switch (field->kind) {
    case NDBUF_KIND_BOOL:
        value->kind = NDBUF_VALUE_UINT;
        value->as.uint64 = 1;
        return 1;
    case NDBUF_KIND_FLOAT:
    case NDBUF_KIND_BFLOAT:
    case NDBUF_KIND_COMPLEX:
        return pack_float(integer, value);
    default:
        PyErr_SetString(PyExc_OverflowError, "an integer beyond 64 bits");
        return 0;
    }
}

static int pack_integer(const ndbuf_field *field, PyObject *number, ndbuf_value *value)
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
    }
    int is_good = PyErr_Occurred() == NULL;
    if (overflow < 0 || (!is_good && PyErr_ExceptionMatches(PyExc_OverflowError))) {
        PyErr_Clear();
        is_good = pack_long(field, index, value);
    }
    Py_DECREF(index);
    return is_good;
}

static int pack_value(packer *p, const ndbuf_field *field, PyObject *object)
{
    ndbuf_value *value = &p->leaves.values[p->count++];
    if (PyBytes_Check(object)) {
        return pack_bytes(p, object, value);
    }
    if (PyUnicode_Check(object)) {
        return pack_text(p, field, object, value);
    }
    if (PyIndex_Check(object)) {
        return pack_integer(field, object, value);
    }
    if (!PyNumber_Check(object)) { /* PyNumber_Float would read the text of a bytearray */
        PyErr_Format(PyExc_TypeError, "an item takes numbers, bytes and str, not %R", (PyObject *)Py_TYPE(object));
        return 0;
    }
    /* Of other complex numbers, as NumPy's, float() would drop a half. */
    return PyComplex_Check(object) || field->kind == NDBUF_KIND_COMPLEX ? pack_complex(object, value)
                                                                        : pack_float(object, value);
}

/* Makes the values of some leaves, whose axes before `axis` are fixed. */
static int pack_leaves(packer *p, int32_t begin, int32_t end, int32_t axis)
{
    int is_good = 1;
    for (int32_t i = begin, next; i < end && is_good; i = next) {
        const ndbuf_field *field = &p->leaves.fields[i];
        next = group_end(&p->leaves, i, end, axis);
        if (axis == field->ndim) {
            PyObject *object = PyList_GetItem(p->objects, (Py_ssize_t)p->count); /* borrowed; raises if too few */
            is_good = object != NULL && pack_value(p, field, object);
            continue;
        }
        for (int64_t k = 0; k < field->extents[axis] && is_good; k++) {
            is_good = pack_leaves(p, i, next, axis + 1);
        }
    }
    return is_good;
}

static int pack_all(packer *p, PyObject *object, void *out_item)
{
    ndbuf_error err = {0};
    const ndbuf_format *format = p->leaves.format;
    if (!flatten(p, object)) {
        return 0;
    }
    Py_ssize_t count = PyList_Size(p->objects);
    if (count < p->leaves.nvalues) {
        PyErr_Format(PyExc_ValueError, "%zd values, but an item has %lld", count, (long long)p->leaves.nvalues);
        return 0;
    }
    if (!pack_leaves(p, 0, p->leaves.nfields, 0)) {
        return 0;
    }
    switch (
        ndbuf_item_pack(format, p->leaves.values, p->leaves.nvalues, out_item, ndbuf_format_itemsize(format), &err)) {
    case NDBUF_OK:
        return 1;
    case NDBUF_ERR_OVERFLOW:
        PyErr_SetString(PyExc_OverflowError, err.message);
        return 0;
    default:
        PyErr_SetString(PyExc_TypeError, err.message);
        return 0;
    }
}

int ndpy_pack(const ndbuf_format *format, PyObject *object, void *out_item)
{
    packer p = {.count = 0};
    if ((ndbuf_format_flags(format) & NDBUF_FORMAT_HOST_ONLY) != 0) {
        PyErr_SetString(PyExc_TypeError, "items that are objects or pointers cannot be set");
        return 0;
    }
    if (!leaves_init(&p.leaves, format)) {
        return 0;
    }
    p.objects = PyList_New(0);
    p.kept = PyList_New(0);
    int is_good = p.objects != NULL && p.kept != NULL && pack_all(&p, object, out_item);
    Py_XDECREF(p.objects);
    Py_XDECREF(p.kept);
    leaves_clear(&p.leaves);
    return is_good;
}

/* -- unpacking -- */

struct ndpy_unpacker {
    leaves leaves;
    const ndbuf_value *next; /* of an item's values */
};

static PyObject *object_of_bytes(const ndbuf_field *field, const ndbuf_value *value)
{
    static const char zeros[4];
    const char *bytes = value->as.bytes.data;
    Py_ssize_t nbytes = (Py_ssize_t)value->as.bytes.nbytes;
    const char *codec = codec_of(field);
    if (codec == NULL) {
        return PyBytes_FromStringAndSize(bytes, nbytes);
    }
    const Py_ssize_t unit = field->code[0] == 'u' ? 2 : 4;
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

/* Some leaves, whose axes before `axis` are fixed: an object, a list over the axis that they share, or a tuple. */
static PyObject *object_of_leaves(ndpy_unpacker *u, int32_t begin, int32_t end, int32_t axis)
{
    const ndbuf_field *first = &u->leaves.fields[begin];
    if (end - begin == 1 && axis == first->ndim) {
        return object_of(first, u->next++);
    }
    if (group_end(&u->leaves, begin, end, axis) < end) {
        PyObject *parts = PyList_New(0);
        for (int32_t i = begin, next; i < end && parts != NULL; i = next) {
            next = group_end(&u->leaves, i, end, axis);
            PyObject *part = object_of_leaves(u, i, next, axis);
            if (part == NULL || PyList_Append(parts, part) != 0) {
                Py_CLEAR(parts);
            }
            Py_XDECREF(part);
        }
        PyObject *tuple = parts == NULL ? NULL : PyList_AsTuple(parts);
        Py_XDECREF(parts);
        return tuple;
    }
    PyObject *list = PyList_New((Py_ssize_t)first->extents[axis]);
    for (int64_t k = 0; k < first->extents[axis] && list != NULL; k++) {
        PyObject *element = object_of_leaves(u, begin, end, axis + 1);
        if (element == NULL || PyList_SetItem(list, (Py_ssize_t)k, element) != 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

ndpy_unpacker *ndpy_unpacker_create(const ndbuf_format *format)
{
    ndpy_unpacker *u = PyMem_Calloc(1, sizeof(*u));
    if (u == NULL) {
        PyErr_NoMemory();
    } else if (!leaves_init(&u->leaves, format)) {
        PyMem_Free(u);
        u = NULL;
    }
    return u;
}

void ndpy_unpacker_destroy(ndpy_unpacker *u)
{
    leaves_clear(&u->leaves);
    PyMem_Free(u);
}

PyObject *ndpy_unpack(ndpy_unpacker *u, const void *item)
{
    ndbuf_error err = {0};
    int64_t itemsize = ndbuf_format_itemsize(u->leaves.format);
    if (u->leaves.nfields == 0) {
        return PyBytes_FromStringAndSize(item, (Py_ssize_t)itemsize);
    }
    if (ndbuf_item_unpack(u->leaves.format, item, itemsize, u->leaves.values, u->leaves.nvalues, &err) != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    u->next = u->leaves.values;
    return object_of_leaves(u, 0, u->leaves.nfields, 0);
}
