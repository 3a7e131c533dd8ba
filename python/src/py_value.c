/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

/* All items of a view as lists, and as bytes. */

/* Walks through a view that the host can touch. One without bytes has axes, but no memory, and no pointers in it. */
typedef struct walker {
    const ndbuf_view *view;
    int64_t strides[NDBUF_MAX_NDIM]; /* all 0 if the view has no bytes */
    ndpy_unpacker *unpacker;
} walker;

static PyObject *list_axis(const walker *w, int32_t axis, const char *address)
{
    if (axis == w->view->ndim) {
        return ndpy_unpack(w->unpacker, address);
    }
    int64_t extent = w->view->shape[axis];
    PyObject *list = PyList_New((Py_ssize_t)extent);
    for (int64_t i = 0; i < extent && list != NULL; i++) {
        const char *place = address + i * w->strides[axis];
        if (w->view->nbytes > 0 && w->view->suboffsets != NULL && w->view->suboffsets[axis] >= 0) {
            const char *pointer;
            memcpy(&pointer, place, sizeof(pointer));
            place = pointer + w->view->suboffsets[axis];
        }
        PyObject *element = list_axis(w, axis + 1, place);
        if (element == NULL || PyList_SetItem(list, (Py_ssize_t)i, element) != 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *list_of_items(const ndbuf_view *view)
{
    walker w = {.view = view, .unpacker = ndpy_unpacker_create(ndbuf_view_format(view))};
    if (w.unpacker == NULL) {
        return NULL;
    }
    if (view->nbytes > 0) {
        ndpy_strides_of(view, w.strides);
    }
    PyObject *list = list_axis(&w, 0, ndbuf_view_host_address(view));
    ndpy_unpacker_destroy(w.unpacker);
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
    if (!ndpy_refuse_objects(format)) {
        return NULL;
    }
    int32_t nfields = ndbuf_format_nfields(format);
    int has_names = nfields > 0;
    for (int32_t i = 0; i < nfields && has_names; i++) {
        has_names = name_of(format, i) != NULL;
    }
    PyObject *list = has_names ? list_of_records(view) : list_of_items(view);
    if (list == NULL && has_names && PyErr_ExceptionMatches(PyExc_IndexError)) { /* a name of several fields */
        PyErr_Clear();
        list = list_of_items(view);
    }
    return list;
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
    int64_t shape[NDBUF_MAX_NDIM];
    for (int32_t k = 0; k < src->ndim; k++) {
        shape[k] = src->shape[order == 'F' ? src->ndim - 1 - k : k];
    }
    ndbuf_view_spec spec = {.format = ndbuf_view_format(src), .ndim = src->ndim, .shape = shape};
    ndbuf_status status = ndbuf_storage_adopt(ndbuf_device_cpu(), PyBytes_AsString(bytes), (size_t)src->nbytes, 0, NULL,
                                              NULL, &storage, &err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_init(&dst, storage, &spec, &err);
        ndbuf_storage_release(storage);
    }
    if (status == NDBUF_OK && order == 'F') {
        status = ndbuf_view_transpose(&dst, &dst, &err);
    }
    if (status != NDBUF_OK) {
        ndbuf_view_release(&dst);
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
    const char *name = NULL; /* None is for those used to memoryview's */
    char order;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|z:tobytes", (char **)names, &name)) {
        return NULL;
    }
    if (!ndpy_parse_order(name == NULL ? "C" : name, "CFA", &order) || !ndpy_view_enter(self)) {
        return NULL;
    }
    const ndbuf_view *view = &self->view;
    if (order == 'A') {
        order = ndbuf_view_is_contiguous(view, 'F') && !ndbuf_view_is_contiguous(view, 'C') ? 'F' : 'C';
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)view->nbytes);
    if (bytes != NULL && view->nbytes > 0 && !copy_to_bytes(view, order, bytes)) {
        Py_CLEAR(bytes);
    }
    ndpy_view_leave(self);
    return bytes;
}
