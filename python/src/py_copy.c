/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

/* Copies, and what would be copied. */

int ndpy_copy_views(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_casting casting, uint32_t flags,
                    ndbuf_queue *queue)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    if (!ndpy_refuse_objects(ndbuf_view_format(src)) || !ndpy_refuse_objects(ndbuf_view_format(dst))) {
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_copy_cast(dst, src, casting, flags, queue, &err);
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
        return 0;
    }
    return 1;
}

int ndpy_fill(const ndbuf_view *dst, PyObject *value)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    void *item = PyMem_Calloc(1, dst->itemsize > 0 ? (size_t)dst->itemsize : 1);
    if (item == NULL) {
        PyErr_NoMemory();
        return 0;
    }
    if (value != NULL && !ndpy_pack(ndbuf_view_format(dst), value, item)) {
        PyMem_Free(item);
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_fill(dst, item, dst->itemsize, NULL, &err);
    Py_END_ALLOW_THREADS
    PyMem_Free(item);
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
    }
    return status == NDBUF_OK;
}

int ndpy_refuse_objects(const ndbuf_format *format)
{
    ndbuf_field field;
    ndbuf_error err = {0};
    int32_t nfields = (ndbuf_format_flags(format) & NDBUF_FORMAT_HOST_ONLY) == 0 ? 0 : ndbuf_format_nfields(format);
    for (int32_t i = 0; i < nfields; i++) {
        if (ndbuf_format_field(format, i, &field, &err) != NDBUF_OK) {
            ndpy_raise(&err);
            return 0;
        }
        if (field.kind == NDBUF_KIND_OBJECT) {
            PyErr_SetString(PyExc_TypeError,
                            "items that are Python objects cannot be made, copied or read: nobody would "
                            "count the references");
            return 0;
        }
    }
    return 1;
}

/* New memory for the items of a view. */
static int create_packed(const ndbuf_view *view, ndbuf_device *device, ndbuf_format *format, char order,
                         ndbuf_view *out_view)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    ndbuf_view packed = {0};
    int64_t reversed[NDBUF_MAX_NDIM];
    for (int32_t k = 0; k < view->ndim; k++) {
        reversed[k] = view->shape[view->ndim - 1 - k];
    }
    if (format == NULL) {
        format = ndbuf_view_format(view);
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_view_create(&packed, device, format, view->ndim, order == 'F' ? reversed : view->shape, &err);
    Py_END_ALLOW_THREADS
    if (status == NDBUF_OK && order == 'F') {
        status = ndbuf_view_transpose(&packed, &packed, &err);
    }
    if (status != NDBUF_OK) {
        ndpy_view_clear(&packed);
        ndpy_raise(&err);
        return 0;
    }
    ndbuf_view_move(out_view, &packed);
    return 1;
}

int ndpy_copy_packed(const ndbuf_view *view, ndbuf_device *device, ndbuf_format *format, char order,
                     ndbuf_casting casting, uint32_t flags, ndbuf_view *out_view)
{
    ndbuf_view packed = {0};
    if (!create_packed(view, device, format, order, &packed)) {
        return 0;
    }
    if (!ndpy_copy_views(&packed, view, casting, flags, NULL)) {
        ndpy_view_clear(&packed);
        return 0;
    }
    ndbuf_view_move(out_view, &packed);
    return 1;
}

int ndpy_on_host(const ndbuf_view *view, ndbuf_view *out_view)
{
    ndbuf_error err = {0};
    ndbuf_status status = NDBUF_OK;
    if (!ndpy_is_on_host(view)) {
        return ndpy_copy_packed(view, ndbuf_device_cpu(), NULL, 'C', NDBUF_CASTING_NO, 0, out_view);
    }
    if (view->ready != NULL) {
        Py_BEGIN_ALLOW_THREADS
        status = ndbuf_event_wait(view->ready, &err);
        Py_END_ALLOW_THREADS
    }
    if (status == NDBUF_OK) {
        status = ndbuf_view_copy(out_view, view, &err);
    }
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
        return 0;
    }
    return 1;
}

PyObject *ndpy_copy(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"dst", "src", "casting", "saturate", "stream", NULL};
    ndpy_state *state = PyModule_GetState(module);
    PyObject *dst_object, *src_object;
    PyObject *stream = Py_None;
    const char *rule = "equiv";
    int saturate = 0;
    ndbuf_casting casting;
    ndbuf_queue *queue = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|$spO:copy", (char **)names, &dst_object, &src_object,
                                     &rule, &saturate, &stream) ||
        !ndpy_parse_casting(rule, &casting)) {
        return NULL;
    }
    ndpy_view *dst = (ndpy_view *)ndpy_consume(state, dst_object);
    ndpy_view *src = dst == NULL ? NULL : (ndpy_view *)ndpy_consume(state, src_object);
    int is_good = 0;
    if (src != NULL && ndpy_view_enter(dst)) {
        if (ndpy_view_enter(src)) {
            is_good = ndpy_queue_open(state, stream, &dst->view, &src->view, &queue) &&
                      ndpy_copy_views(&dst->view, &src->view, casting, saturate ? NDBUF_CAST_SATURATE : 0, queue);
            ndpy_view_leave(src);
        }
        ndpy_view_leave(dst);
    }
    if (queue != NULL) {
        ndpy_queue_release(queue); /* waits, unless somebody else has the queue, too */
    }
    Py_XDECREF((PyObject *)dst);
    Py_XDECREF((PyObject *)src);
    if (!is_good) {
        return NULL;
    }
    Py_RETURN_NONE;
}

PyObject *ndpy_view_copy(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"order", NULL};
    ndpy_view *self = (ndpy_view *)object;
    const char *name = "C";
    char order;
    ndbuf_view copy = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|s:copy", (char **)names, &name) ||
        !ndpy_parse_order(name, "CF", &order) || !ndpy_view_enter(self)) {
        return NULL;
    }
    ndbuf_device *device = ndbuf_view_device(&self->view);
    int is_good = ndpy_copy_packed(&self->view, device, NULL, order, NDBUF_CASTING_NO, 0, &copy);
    ndpy_view_leave(self);
    return is_good ? ndpy_view_wrap(ndpy_state_of(self), &copy) : NULL;
}

PyObject *ndpy_astype(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"format", "casting", "saturate", NULL};
    ndpy_view *self = (ndpy_view *)object;
    PyObject *text = NULL;
    const char *rule = "unsafe";
    int saturate = 0;
    ndbuf_casting casting;
    ndbuf_format *format = NULL;
    ndbuf_view copy = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|s$p:astype", (char **)names, &text, &rule, &saturate) ||
        !ndpy_parse_casting(rule, &casting) || !ndpy_parse_format(text, &format)) {
        return NULL;
    }
    int is_good = 0;
    if (ndpy_view_enter(self)) {
        ndbuf_device *device = ndbuf_view_device(&self->view);
        is_good =
            ndpy_copy_packed(&self->view, device, format, 'C', casting, saturate ? NDBUF_CAST_SATURATE : 0, &copy);
        ndpy_view_leave(self);
    }
    ndbuf_format_release(format);
    return is_good ? ndpy_view_wrap(ndpy_state_of(self), &copy) : NULL;
}

PyObject *ndpy_to(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"device", "copy", NULL};
    ndpy_view *self = (ndpy_view *)object;
    PyObject *spec = NULL;
    int must_copy = 0;
    ndbuf_device *device = NULL;
    ndbuf_view copy = {0};
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|$p:to", (char **)names, &spec, &must_copy) ||
        !ndpy_device_open(ndpy_state_of(self), spec, &device) || !ndpy_view_enter(self)) {
        return NULL;
    }
    ndbuf_device_tag tag = ndbuf_device_tag_get(device);
    int is_there = tag.type == self->view.device.type && tag.id == self->view.device.id;
    if (is_there && !must_copy) {
        ndpy_view_leave(self);
        Py_INCREF(object);
        return object;
    }
    int is_good = ndpy_copy_packed(&self->view, device, NULL, 'C', NDBUF_CASTING_NO, 0, &copy);
    ndpy_view_leave(self);
    return is_good ? ndpy_view_wrap(ndpy_state_of(self), &copy) : NULL;
}

/* -- explain -- */

static PyObject *explain_copy(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_casting casting, uint32_t flags)
{
    ndbuf_error err = {0};
    ndbuf_copy_plan *plan = NULL;
    if (ndbuf_copy_plan_create(dst, src, casting, flags, &plan, &err) != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    size_t length = ndbuf_copy_plan_explain(plan, NULL, 0);
    char *text = PyMem_Malloc(length + 1);
    PyObject *result = NULL;
    if (text == NULL) {
        PyErr_NoMemory();
    } else {
        ndbuf_copy_plan_explain(plan, text, length + 1);
        result = PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "replace");
    }
    PyMem_Free(text);
    ndbuf_copy_plan_destroy(plan);
    return result;
}

PyObject *ndpy_explain(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"to", "casting", "saturate", NULL};
    ndpy_view *self = (ndpy_view *)object;
    ndpy_state *state = ndpy_state_of(self);
    PyObject *to = NULL;
    const char *rule = "equiv";
    int saturate = 0;
    ndbuf_casting casting;
    ndbuf_device *device = NULL;
    PyObject *text = NULL;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|s$p:explain", (char **)names, &to, &rule, &saturate) ||
        !ndpy_parse_casting(rule, &casting) || !ndpy_view_enter(self)) {
        return NULL;
    }
    uint32_t flags = saturate ? NDBUF_CAST_SATURATE : 0;
    if (PyUnicode_Check(to)) {
        ndbuf_view dst = {0};
        if (ndpy_device_open(state, to, &device) && create_packed(&self->view, device, NULL, 'C', &dst)) {
            text = explain_copy(&dst, &self->view, casting, flags);
        }
        ndpy_view_clear(&dst);
    } else {
        ndpy_view *dst = (ndpy_view *)ndpy_consume(state, to);
        if (dst != NULL && ndpy_view_enter(dst)) {
            text = explain_copy(&dst->view, &self->view, casting, flags);
            ndpy_view_leave(dst);
        }
        Py_XDECREF((PyObject *)dst);
    }
    ndpy_view_leave(self);
    return text;
}
