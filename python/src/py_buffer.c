/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <string.h>

/* The two slots of Python's buffer protocol. Requests go through the view's exporter, which speaks the same flags. */

_Static_assert(sizeof(Py_ssize_t) == sizeof(int64_t), "shapes are handed out as they are");

/* What the export of one buffer keeps, in Py_buffer.internal. */
typedef struct buffer_export {
    ndbuf_view view;
    char format[4];
    int64_t strides[NDBUF_MAX_NDIM]; /* where the view has none, and the consumer wants some */
} buffer_export;

static uint32_t request_of(int flags)
{
    static const struct {
        int python;
        uint32_t ndbuf;
    } table[] = {
        {PyBUF_WRITABLE, NDBUF_REQUEST_WRITABLE},
        {PyBUF_FORMAT, NDBUF_REQUEST_FORMAT},
        {PyBUF_ND, NDBUF_REQUEST_ND},
        {PyBUF_STRIDES, NDBUF_REQUEST_STRIDES},
        {PyBUF_C_CONTIGUOUS, NDBUF_REQUEST_C_CONTIGUOUS},
        {PyBUF_F_CONTIGUOUS, NDBUF_REQUEST_F_CONTIGUOUS},
        {PyBUF_INDIRECT, NDBUF_REQUEST_INDIRECT},
        {PyBUF_ANY_CONTIGUOUS, NDBUF_REQUEST_ANY_CONTIGUOUS},
    };
    uint32_t request = NDBUF_REQUEST_SIMPLE;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if ((flags & table[i].python) == table[i].python) {
            request |= table[i].ndbuf;
        }
    }
    return request;
}

/* memoryview takes plain items only by their native codes, and so does NumPy fastest: "<q" goes out as "l". Other
 * formats go out as they are. */
static const char *native_format(const char *format, char out_text[4])
{
    const uint16_t one = 1;
    const char native = *(const uint8_t *)&one == 1 ? '<' : '>';
    if (format[0] != native && format[0] != '|' && format[0] != '=') {
        return format;
    }
    size_t length = strlen(format);
    if (length == 2 && strchr("?cbBhHiIefd", format[1]) != NULL) {
        out_text[0] = format[1];
    } else if (length == 2 && strchr("qQ", format[1]) != NULL) {
        int is_long = sizeof(long) == sizeof(int64_t);
        out_text[0] = format[1] == 'q' ? (is_long ? 'l' : 'q') : (is_long ? 'L' : 'Q');
    } else if (length == 3 && format[1] == 'Z' && strchr("fd", format[2]) != NULL) {
        memcpy(out_text, format + 1, 2);
    } else {
        return format;
    }
    return out_text;
}

static buffer_export *acquire(ndpy_view *self, int flags)
{
    ndbuf_exporter *exporter = ndpy_view_exporter(self);
    if (exporter == NULL) {
        return NULL;
    }
    buffer_export *export = PyMem_Malloc(sizeof(*export));
    if (export == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    ndbuf_request request = NDBUF_REQUEST_INIT(request_of(flags));
    ndbuf_error err = {0};
    ndbuf_status status;
    export->view.release = NULL;
    memset(export->format, 0, sizeof(export->format));
    if (self->view.ready == NULL) {
        status = ndbuf_view_acquire(&export->view, exporter, &request, &err);
    } else {
        Py_BEGIN_ALLOW_THREADS
        status = ndbuf_view_acquire(&export->view, exporter, &request, &err);
        Py_END_ALLOW_THREADS
    }
    if (status != NDBUF_OK) {
        PyMem_Free(export);
        if (ndpy_is_on_host(&self->view)) {
            ndpy_raise_buffer_error(&err);
        } else {
            ndpy_refuse_host(&self->view);
        }
        return NULL;
    }
    return export;
}

/* Strides as PEP 3118 wants them: always there if they were asked for. */
static Py_ssize_t *strides_of(buffer_export *export, int flags)
{
    const ndbuf_view *view = &export->view;
    if (view->ndim == 0 || view->shape == NULL || (flags & PyBUF_STRIDES) != PyBUF_STRIDES) {
        return NULL;
    }
    if (view->strides != NULL) {
        return (Py_ssize_t *)(void *)view->strides;
    }
    ndpy_strides_of(view, export->strides);
    return (Py_ssize_t *)(void *)export->strides;
}

void ndpy_prepare_buffer(ndpy_view *self)
{
    const ndbuf_view *view = &self->view;
    if (view->device.type != NDBUF_DEVICE_CPU || view->ready != NULL || view->handle == NULL ||
        (view->ndim > 0 && view->strides == NULL)) {
        return;
    }
    self->plain_address = (char *)view->handle + view->byte_offset;
    self->plain_format = native_format(view->format == NULL ? "B" : view->format, self->plain_format_text);
}

/* What everybody gets. */
static void fill_common(Py_buffer *buffer, PyObject *object, const ndbuf_view *view)
{
    buffer->obj = object;
    Py_INCREF(object);
    buffer->len = (Py_ssize_t)view->nbytes;
    buffer->itemsize = (Py_ssize_t)view->itemsize;
    buffer->readonly = (view->flags & NDBUF_VIEW_READONLY) != 0;
    buffer->ndim = view->ndim;
    buffer->shape = view->ndim == 0 ? NULL : (Py_ssize_t *)(void *)view->shape;
    buffer->suboffsets = (Py_ssize_t *)(void *)view->suboffsets;
}

/* Answers the request that asks for nothing and takes everything, which the exporter would answer with the view as it
 * is. It is what memoryview asks for, and costs no more than with Python's own types. */
static int get_plain_buffer(ndpy_view *self, Py_buffer *buffer, int flags)
{
    const ndbuf_view *view = &self->view;
    if (self->plain_address == NULL || (flags & ~PyBUF_WRITABLE) != PyBUF_FULL_RO ||
        ((flags & PyBUF_WRITABLE) != 0 && (view->flags & NDBUF_VIEW_READONLY) != 0)) {
        return 0;
    }
    fill_common(buffer, (PyObject *)self, view);
    buffer->buf = self->plain_address;
    buffer->format = (char *)self->plain_format;
    buffer->strides = view->ndim == 0 ? NULL : (Py_ssize_t *)(void *)view->strides;
    buffer->internal = NULL;
    return 1;
}

int ndpy_get_buffer(PyObject *object, Py_buffer *buffer, int flags)
{
    ndpy_view *self = (ndpy_view *)object;
    if (buffer == NULL) {
        PyErr_SetString(PyExc_BufferError, "a buffer without a view, which Python 3 has no more");
        return -1;
    }
    buffer->obj = NULL;
    if (!ndpy_view_enter(self)) {
        return -1;
    }
    if (get_plain_buffer(self, buffer, flags)) {
        return 0;
    }
    buffer_export *export = acquire(self, flags);
    if (export == NULL) {
        ndpy_view_leave(self);
        return -1;
    }
    const ndbuf_view *view = &export->view;
    static char nothing;
    fill_common(buffer, object, view);
    if ((flags & PyBUF_ND) != PyBUF_ND) {
        buffer->ndim = 1; /* so many bytes, as memoryview says it: hashlib and others refuse more axes */
    }
    buffer->buf = (char *)view->handle + view->byte_offset;
    if (view->handle == NULL) {
        buffer->buf = &nothing; /* no items; consumers dislike NULL */
    }
    buffer->format = NULL;
    if ((flags & PyBUF_FORMAT) == PyBUF_FORMAT) {
        buffer->format = (char *)native_format(view->format == NULL ? "B" : view->format, export->format);
    }
    buffer->strides = strides_of(export, flags);
    buffer->internal = export;
    return 0;
}

void ndpy_release_buffer(PyObject *object, Py_buffer *buffer)
{
    buffer_export *export = buffer->internal;
    if (export != NULL) {
        ndbuf_view_release(&export->view);
        PyMem_Free(export);
    }
    ndpy_view_leave((ndpy_view *)object);
}
