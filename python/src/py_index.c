/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

/* Subscripts: ints, slices, "...", None and names of fields, alone or in a tuple. */

/* Raises unless a function of the library went well. */
static int succeeded(ndbuf_status status, const ndbuf_error *err)
{
    if (status != NDBUF_OK) {
        ndpy_raise(err);
        return 0;
    }
    return 1;
}

static int take_field(ndbuf_view *view, PyObject *name)
{
    ndbuf_error err = {0};
    PyObject *bytes = ndpy_bytes_of(name, "the name of a field");
    if (bytes == NULL) {
        return 0;
    }
    ndbuf_status status = ndbuf_view_field(view, PyBytes_AsString(bytes), view, &err);
    Py_DECREF(bytes);
    return succeeded(status, &err);
}

static int take_slice(ndbuf_view *view, int32_t axis, PyObject *key)
{
    ndbuf_error err = {0};
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(key, &start, &stop, &step) != 0) { /* with None replaced by what it means */
        return 0;
    }
    ndbuf_slice slice = {start, stop, step, NDBUF_SLICE_START | NDBUF_SLICE_STOP | NDBUF_SLICE_STEP};
    return succeeded(ndbuf_view_slice(view, axis, &slice, view, &err), &err);
}

static int take_index(ndbuf_view *view, int32_t axis, PyObject *key)
{
    ndbuf_error err = {0};
    Py_ssize_t index = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred() != NULL) {
        return 0;
    }
    return succeeded(ndbuf_view_index(view, axis, index, view, &err), &err);
}

/* What kinds of keys there are. */
typedef struct key_counts {
    Py_ssize_t nindices;
    Py_ssize_t nslices;
    Py_ssize_t nellipses;
    Py_ssize_t nnew;
} key_counts;

static int count_key(PyObject *key, key_counts *counts)
{
    if (key == Py_None) {
        counts->nnew++;
    } else if (key == Py_Ellipsis) {
        counts->nellipses++;
    } else if (PySlice_Check(key)) {
        counts->nslices++;
    } else if (PyIndex_Check(key) && !PyBool_Check(key)) {
        counts->nindices++;
    } else if (!PyUnicode_Check(key)) {
        PyErr_Format(PyExc_TypeError, "a View takes ints, slices, '...', None and names of fields, not %R",
                     (PyObject *)Py_TYPE(key));
        return 0;
    }
    return 1;
}

static int take_key(ndbuf_view *view, PyObject *key, Py_ssize_t skipped, int32_t *axis)
{
    ndbuf_error err = {0};
    if (PyUnicode_Check(key)) {
        return 1; /* done before */
    }
    if (key == Py_Ellipsis) {
        *axis += (int32_t)skipped;
        return 1;
    }
    if (key == Py_None) {
        return succeeded(ndbuf_view_newaxis(view, (*axis)++, view, &err), &err);
    }
    if (PySlice_Check(key)) {
        return take_slice(view, (*axis)++, key);
    }
    return take_index(view, *axis, key);
}

/* Applies a tuple of keys to a view. out_is_item: whether it named a single item by its indices. */
static int take_keys(ndbuf_view *view, PyObject *keys, int *out_is_item)
{
    key_counts counts = {0};
    Py_ssize_t nkeys = PyTuple_Size(keys);
    int32_t axis = 0;
    for (Py_ssize_t i = 0; i < nkeys; i++) {
        PyObject *key = PyTuple_GetItem(keys, i);
        if (!count_key(key, &counts) || (PyUnicode_Check(key) && !take_field(view, key))) {
            return 0;
        }
    }
    Py_ssize_t ntaken = counts.nindices + counts.nslices;
    if (counts.nellipses > 1) {
        PyErr_SetString(PyExc_IndexError, "more than one '...'");
        return 0;
    }
    if (ntaken > view->ndim) {
        PyErr_Format(PyExc_IndexError, "%zd indices for a view of %d axes", ntaken, (int)view->ndim);
        return 0;
    }
    *out_is_item = counts.nindices == view->ndim && counts.nellipses == 0 && counts.nnew == 0;
    Py_ssize_t skipped = view->ndim - ntaken;
    for (Py_ssize_t i = 0; i < nkeys; i++) {
        if (!take_key(view, PyTuple_GetItem(keys, i), skipped, &axis)) {
            return 0;
        }
    }
    return 1;
}

/* What a key selects, in `out_view`. */
static int select_view(const ndpy_view *self, PyObject *key, ndbuf_view *out_view, int *out_is_item)
{
    ndbuf_error err = {0};
    PyObject *keys = key;
    if (PyTuple_Check(key)) {
        Py_INCREF(keys);
    } else {
        keys = PyTuple_Pack(1, key);
    }
    if (keys == NULL) {
        return 0;
    }
    int is_good = succeeded(ndbuf_view_copy(out_view, &self->view, &err), &err);
    if (is_good && !take_keys(out_view, keys, out_is_item)) {
        ndpy_view_clear(out_view);
        is_good = 0;
    }
    Py_DECREF(keys);
    return is_good;
}

PyObject *ndpy_subscript(PyObject *object, PyObject *key)
{
    ndpy_view *self = (ndpy_view *)object;
    ndbuf_view view = {0};
    ndbuf_view item = {0};
    int is_item = 0;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    int is_good = select_view(self, key, &view, &is_item);
    ndpy_view_leave(self);
    if (!is_good) {
        return NULL;
    }
    if (!is_item || PyUnicode_Check(key)) {
        return ndpy_view_wrap(ndpy_state_of(self), &view);
    }
    PyObject *value = NULL;
    if (ndpy_on_host(&view, &item)) {
        value = ndpy_list_of(&item);
    }
    ndpy_view_clear(&item);
    ndpy_view_clear(&view);
    return value;
}

Py_ssize_t ndpy_length(PyObject *object)
{
    ndpy_view *self = (ndpy_view *)object;
    if (!ndpy_view_enter(self)) {
        return -1;
    }
    Py_ssize_t length = self->view.ndim > 0 ? (Py_ssize_t)self->view.shape[0] : -1;
    ndpy_view_leave(self);
    if (length < 0) {
        PyErr_SetString(PyExc_TypeError, "a 0-d View has no length");
    }
    return length;
}

PyObject *ndpy_iterate(PyObject *object)
{
    ndpy_view *self = (ndpy_view *)object;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    int32_t ndim = self->view.ndim;
    ndpy_view_leave(self);
    if (ndim == 0) {
        PyErr_SetString(PyExc_TypeError, "a 0-d View cannot be iterated over");
        return NULL;
    }
    return PySeqIter_New(object);
}

PyObject *ndpy_item(PyObject *object, Py_ssize_t index)
{
    if (index < 0) { /* PySequence_GetItem has added the length already */
        PyErr_SetString(PyExc_IndexError, "index out of range");
        return NULL;
    }
    PyObject *key = PyLong_FromSsize_t(index);
    PyObject *item = key == NULL ? NULL : ndpy_subscript(object, key);
    Py_XDECREF(key);
    return item;
}

/* -- assignment -- */

/* Whether a value is an integer that its library keeps as an array without axes, as NumPy's scalars: its value counts,
 * not its type. */
static int find_integer(PyObject *value, int *out_is_integer)
{
    PyObject *shape = NULL;
    *out_is_integer = 0;
    if (!PyIndex_Check(value)) {
        return 1;
    }
    if (!ndpy_find_attribute(value, "shape", &shape)) {
        return 0;
    }
    int is_good = 1;
    if (shape != NULL && PyTuple_Check(shape) && PyTuple_Size(shape) == 0) {
        PyObject *index = PyNumber_Index(value);
        *out_is_integer = index != NULL;
        Py_XDECREF(index);
        if (index == NULL && PyErr_ExceptionMatches(PyExc_TypeError)) { /* of other numbers */
            PyErr_Clear();
        }
        is_good = PyErr_Occurred() == NULL;
    }
    Py_XDECREF(shape);
    return is_good;
}

/* Whether items are what bytes are made of: plain "B". */
static int are_bytes(const ndbuf_view *view)
{
    const ndbuf_format *format = ndbuf_view_format(view);
    ndbuf_field field;
    ndbuf_error err = {0};
    return ndbuf_format_itemsize(format) == 1 && ndbuf_format_nfields(format) == 1 &&
           ndbuf_format_field(format, 0, &field, &err) == NDBUF_OK && field.kind == NDBUF_KIND_UINT &&
           field.nnames == 0;
}

/* Whether a value stands for one item. Some do though they have a buffer (bytes); and some that could be taken for
 * numbers are arrays (tensors of PyTorch, which have no buffer). */
static int find_single(const ndbuf_view *dst, PyObject *value, int is_item, int *out_is_single)
{
    int has_memory = 0;
    if (PyBytes_Check(value)) { /* as a bytearray to several bytes, one value to other items */
        *out_is_single = is_item || !are_bytes(dst);
        return 1;
    }
    *out_is_single = PyUnicode_Check(value) || PyLong_Check(value) || PyFloat_Check(value) || PyComplex_Check(value) ||
                     PyTuple_Check(value);
    if (*out_is_single) {
        return 1;
    }
    if (!find_integer(value, out_is_single) || *out_is_single) {
        return PyErr_Occurred() == NULL;
    }
    if (!ndpy_find_memory(value, &has_memory)) {
        return 0;
    }
    *out_is_single = !has_memory && (PyNumber_Check(value) || is_item);
    return 1;
}

/* The source in the destination's shape. Axes of one item in front count for nothing, as to NumPy and PyTorch. */
static ndbuf_status fit(const ndbuf_view *source, const ndbuf_view *dst, ndbuf_view *out_view, ndbuf_error *err)
{
    ndbuf_status status = ndbuf_view_copy(out_view, source, err);
    while (status == NDBUF_OK && out_view->ndim > dst->ndim && out_view->shape[0] == 1) {
        status = ndbuf_view_squeeze(out_view, 0, out_view, err);
    }
    return status == NDBUF_OK ? ndbuf_view_broadcast(out_view, dst->ndim, dst->shape, out_view, err) : status;
}

static int copy_from(ndpy_state *state, const ndbuf_view *dst, PyObject *value)
{
    ndbuf_error err = {0};
    ndbuf_view src = {0};
    ndpy_view *source = (ndpy_view *)ndpy_consume(state, value);
    if (source == NULL) {
        return 0;
    }
    int is_good = ndpy_view_enter(source);
    if (is_good) {
        is_good = succeeded(fit(&source->view, dst, &src, &err), &err) &&
                  ndpy_copy_views(dst, &src, NDBUF_CASTING_SAME_KIND, 0, NULL);
        ndpy_view_clear(&src);
        ndpy_view_leave(source);
    }
    Py_DECREF((PyObject *)source);
    return is_good;
}

int ndpy_assign_subscript(PyObject *object, PyObject *key, PyObject *value)
{
    ndpy_view *self = (ndpy_view *)object;
    ndbuf_view dst = {0};
    int is_item = 0;
    if (value == NULL) {
        PyErr_SetString(PyExc_TypeError, "items of a View cannot be deleted");
        return -1;
    }
    if (!ndpy_view_enter(self)) {
        return -1;
    }
    int is_single = 0;
    int is_good = select_view(self, key, &dst, &is_item);
    if (is_good) {
        is_good = find_single(&dst, value, is_item, &is_single) &&
                  (is_single ? ndpy_fill(&dst, value) : copy_from(ndpy_state_of(self), &dst, value));
        ndpy_view_clear(&dst);
    }
    ndpy_view_leave(self);
    return is_good ? 0 : -1;
}
