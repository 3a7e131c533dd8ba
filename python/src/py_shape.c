/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

/* Other views of the same memory. */

PyObject *ndpy_get_transposed(PyObject *object, void *closure)
{
    ndpy_view *self = (ndpy_view *)object;
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    (void)closure;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    ndbuf_status status = ndbuf_view_transpose(&self->view, &view, &err);
    ndpy_view_leave(self);
    return ndpy_view_result(ndpy_state_of(self), status, &view, &err);
}

PyObject *ndpy_permute(PyObject *object, PyObject *arguments)
{
    ndpy_view *self = (ndpy_view *)object;
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    int64_t given[NDBUF_MAX_NDIM];
    int32_t axes[NDBUF_MAX_NDIM];
    int32_t naxes = 0;
    PyObject *list = arguments;
    if (PyTuple_Size(arguments) == 1) {
        list = PyTuple_GetItem(arguments, 0); /* permute((1, 0)) as well as permute(1, 0) */
    }
    if (!ndpy_parse_dims(list, &naxes, given, "axes") || !ndpy_view_enter(self)) {
        return NULL;
    }
    int32_t ndim = self->view.ndim;
    ndbuf_status status = NDBUF_OK;
    if (naxes != ndim) {
        status = ndbuf_fail(&err, NDBUF_ERR_INVALID, "%d axes to permute, but the view has %d", (int)naxes, (int)ndim);
    }
    for (int32_t k = 0; k < naxes && status == NDBUF_OK; k++) {
        int64_t axis = given[k] < 0 ? given[k] + ndim : given[k];
        if (axis < 0 || axis >= ndim) {
            status = ndbuf_fail(&err, NDBUF_ERR_INDEX, "axis %lld of %d", (long long)given[k], (int)ndim);
        } else {
            axes[k] = (int32_t)axis;
        }
    }
    if (status == NDBUF_OK) {
        status = ndbuf_view_permute(&self->view, axes, &view, &err);
    }
    ndpy_view_leave(self);
    return ndpy_view_result(ndpy_state_of(self), status, &view, &err);
}

/* Puts the one extent that fits in the place of -1. */
static ndbuf_status complete_shape(const ndbuf_view *view, int32_t ndim, int64_t *shape, ndbuf_error *err)
{
    int64_t nitems = ndbuf_view_nitems(view);
    int64_t known = 1;
    int32_t unknown = -1;
    for (int32_t k = 0; k < ndim; k++) {
        if (shape[k] == -1) {
            if (unknown >= 0) {
                return ndbuf_fail(err, NDBUF_ERR_INVALID, "only one extent can be -1");
            }
            unknown = k;
        } else if (shape[k] < 0) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "the extent of axis %d is %lld", (int)k, (long long)shape[k]);
        } else if (shape[k] > 0 && known > INT64_MAX / shape[k]) {
            return ndbuf_fail(err, NDBUF_ERR_OVERFLOW, "the shape has more than 2^63 items");
        } else {
            known *= shape[k];
        }
    }
    if (unknown >= 0) {
        if (known == 0 || nitems % known != 0) {
            return ndbuf_fail(err, NDBUF_ERR_INVALID, "%lld items cannot be divided by the other extents' %lld",
                              (long long)nitems, (long long)known);
        }
        shape[unknown] = nitems / known;
    }
    return NDBUF_OK;
}

PyObject *ndpy_reshape(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"shape", "order", NULL};
    ndpy_view *self = (ndpy_view *)object;
    PyObject *dims = NULL;
    const char *name = "C";
    char order;
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    int64_t shape[NDBUF_MAX_NDIM];
    int32_t ndim = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|s:reshape", (char **)names, &dims, &name) ||
        !ndpy_parse_order(name, "CF", &order) || !ndpy_parse_dims(dims, &ndim, shape, "shape") ||
        !ndpy_view_enter(self)) {
        return NULL;
    }
    ndbuf_status status = complete_shape(&self->view, ndim, shape, &err);
    if (status == NDBUF_OK) {
        status = ndbuf_view_reshape(&self->view, ndim, shape, order, &view, &err);
    }
    ndpy_view_leave(self);
    return ndpy_view_result(ndpy_state_of(self), status, &view, &err);
}

PyObject *ndpy_cast(PyObject *object, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"format", "shape", NULL};
    ndpy_view *self = (ndpy_view *)object;
    PyObject *text = NULL;
    PyObject *dims = Py_None;
    ndbuf_format *format = NULL;
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    int64_t shape[NDBUF_MAX_NDIM];
    int32_t ndim = 0;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O|O:cast", (char **)names, &text, &dims) ||
        (dims != Py_None && !ndpy_parse_dims(dims, &ndim, shape, "shape")) || !ndpy_parse_format(text, &format)) {
        return NULL;
    }
    if (!ndpy_view_enter(self)) {
        ndbuf_format_release(format);
        return NULL;
    }
    ndbuf_status status = ndbuf_view_reinterpret(&self->view, format, &view, &err);
    ndpy_view_leave(self);
    ndbuf_format_release(format);
    if (status == NDBUF_OK && dims != Py_None) {
        status = complete_shape(&view, ndim, shape, &err);
        if (status == NDBUF_OK) {
            status = ndbuf_view_reshape(&view, ndim, shape, 'C', &view, &err);
        }
        if (status != NDBUF_OK) {
            ndpy_view_clear(&view);
        }
    }
    return ndpy_view_result(ndpy_state_of(self), status, &view, &err);
}

PyObject *ndpy_broadcast_to(PyObject *object, PyObject *dims)
{
    ndpy_view *self = (ndpy_view *)object;
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    int64_t shape[NDBUF_MAX_NDIM];
    int32_t ndim = 0;
    if (!ndpy_parse_dims(dims, &ndim, shape, "shape") || !ndpy_view_enter(self)) {
        return NULL;
    }
    ndbuf_status status = ndbuf_view_broadcast(&self->view, ndim, shape, &view, &err);
    ndpy_view_leave(self);
    return ndpy_view_result(ndpy_state_of(self), status, &view, &err);
}

PyObject *ndpy_to_readonly(PyObject *object, PyObject *ignored)
{
    ndpy_view *self = (ndpy_view *)object;
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    (void)ignored;
    if (!ndpy_view_enter(self)) {
        return NULL;
    }
    ndbuf_status status = ndbuf_view_readonly(&self->view, &view, &err);
    ndpy_view_leave(self);
    return ndpy_view_result(ndpy_state_of(self), status, &view, &err);
}
