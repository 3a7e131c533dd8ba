/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_PY_NDBUF_H
#define NDBUF_PY_NDBUF_H

/* What the files of the extension module share. Functions return 1 or a new reference on success, and 0 or NULL with an
 * exception set. They are called with the interpreter's lock held. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <stdint.h>

#include "ndbuf/ndbuf.h"

/* Free-threaded interpreters have no stable ABI: there the module is compiled for one version, and other threads run
 * at the same time. What is shared is atomic, or a dict. */

/* Python's tables of slots take functions as void *, which ISO C converts by way of an integer only. */
#define NDPY_SLOT(function) ((void *)(uintptr_t)(function))

typedef struct ndpy_state {
    PyTypeObject *view_type;
    PyTypeObject *queue_type;
    PyObject *devices; /* dict: names to capsules of devices, which stay open as long as the module */
} ndpy_state;

/* ndbuf.View. The view in it changes only when it is released, which running calls and exports keep from happening. */
typedef struct ndpy_view {
    PyObject_HEAD
    ndbuf_view view;
    _Atomic(ndbuf_exporter *) exporter; /* made when first needed */
    atomic_llong nuses;                 /* running calls and exported buffers; -1: released */
    PyObject *weak_references;
    void *plain_address;       /* of item 0..0, if whoever takes everything gets the view as it is; else NULL */
    const char *plain_format;  /* in native codes */
    char plain_format_text[4]; /* what it may point to */
} ndpy_view;

/* -- py_error.c -- */

/* A str from text of the library's, which may be cut amid a character, or of a driver's. */
PyObject *ndpy_text(const char *text);

/* Sets the exception that belongs to a failure, with its text. Returns NULL. */
PyObject *ndpy_raise(const ndbuf_error *err);

/* The same where Python's protocols for buffers demand BufferError for whatever cannot be exported. */
PyObject *ndpy_raise_buffer_error(const ndbuf_error *err);

/* -- py_view.c -- */

extern PyType_Spec ndpy_view_spec;

ndpy_state *ndpy_state_of(ndpy_view *self);

/* A View that takes over `view`, which is empty afterwards in any case. */
PyObject *ndpy_view_wrap(ndpy_state *state, ndbuf_view *view);

/* The same after a call that made a view: raises unless `status` is NDBUF_OK. */
PyObject *ndpy_view_result(ndpy_state *state, ndbuf_status status, ndbuf_view *view, const ndbuf_error *err);

/* Raises what a released View is good for. Returns 0. */
int ndpy_refuse_released(void);

/* Replaces the count of uses, if it is what the caller thinks it is. */
static inline int ndpy_view_exchange_nuses(ndpy_view *self, long long *expected, long long nuses)
{
#ifdef Py_GIL_DISABLED
    return atomic_compare_exchange_weak(&self->nuses, expected, nuses);
#else
    (void)expected; /* the interpreter's lock is held: no need of an instruction that holds up the processor */
    atomic_store_explicit(&self->nuses, nuses, memory_order_relaxed);
    return 1;
#endif
}

/* Between these two calls the view stays. Fails if it is released already. */
static inline int ndpy_view_enter(ndpy_view *self)
{
    long long nuses = atomic_load_explicit(&self->nuses, memory_order_relaxed);
    while (nuses >= 0) {
        if (ndpy_view_exchange_nuses(self, &nuses, nuses + 1)) {
            return 1;
        }
    }
    return ndpy_refuse_released();
}

static inline void ndpy_view_leave(ndpy_view *self)
{
    long long nuses = atomic_load_explicit(&self->nuses, memory_order_relaxed);
    while (!ndpy_view_exchange_nuses(self, &nuses, nuses - 1)) {
    }
}

/* The exporter of a view that is entered, borrowed. */
ndbuf_exporter *ndpy_view_exporter(ndpy_view *self);

/* Ends a view without holding up other threads while a device finishes with it. An exception that is set stays so. */
void ndpy_view_clear(ndbuf_view *view);

/* The name of the device that a view is on, in `out_name`. */
void ndpy_view_device_name(const ndbuf_view *view, char out_name[32]);

/* Whether the host can touch the memory. */
int ndpy_is_on_host(const ndbuf_view *view);

/* BufferError, with advice, for whoever wants host memory of another view. Returns NULL. */
PyObject *ndpy_refuse_host(const ndbuf_view *view);

/* -- py_module.c -- */

/* An open device, borrowed from the module: `spec` is None (the host), a name, or a pair of DLPack's numbers. */
int ndpy_device_open(ndpy_state *state, PyObject *spec, ndbuf_device **out_device);
int ndpy_device_open_tag(ndpy_state *state, ndbuf_device_tag tag, ndbuf_device **out_device);

/* Around whatever may load drivers. The first one, with the interpreter's lock, fails where the interpreter ends. */
int ndpy_opening_begin(void);
void ndpy_opening_end(void);

/* Calls a function of one of the package's Python modules. `second` may be NULL. */
PyObject *ndpy_call_helper(const char *module, const char *function, PyObject *first, PyObject *second);

/* -- py_arguments.c -- */

/* A shape, from an int or a sequence of ints, to `out_shape`, which has NDBUF_MAX_NDIM entries. */
int ndpy_parse_dims(PyObject *dims, int32_t *out_ndim, int64_t *out_dims, const char *what);

/* Two ints of 32 bits, as DLPack's devices and versions are. */
int ndpy_parse_pair(PyObject *pair, const char *what, int32_t out_pair[2]);

/* A format from text; the caller's. None: "B". */
int ndpy_parse_format(PyObject *text, ndbuf_format **out_format);

/* Format (the caller's), shape and strides (None: packed) of a spec; the arrays have NDBUF_MAX_NDIM entries. */
int ndpy_parse_layout(PyObject *format, PyObject *shape, PyObject *strides, int64_t *out_shape, int64_t *out_strides,
                      ndbuf_view_spec *out_spec);

/* A casting rule from its name. */
int ndpy_parse_casting(const char *name, ndbuf_casting *out_casting);

/* For PyArg_Parse's "O&": an int64_t from any integer. */
int ndpy_parse_int64(PyObject *number, void *out_int64);

/* An order of axes from its name, of which `allowed` has the letters. */
int ndpy_parse_order(const char *name, const char *allowed, char *out_order);

/* Bytes of a format or a name as a str, and back: what is not UTF-8 survives. ndpy_bytes_of gives bytes without a null
 * character in them. */
PyObject *ndpy_str_of(const char *bytes);
PyObject *ndpy_bytes_of(PyObject *text, const char *what);

/* A tuple of ints. */
PyObject *ndpy_tuple_of(int32_t count, const int64_t *numbers);

/* The strides of a view, also where it has none because it is packed. `out_strides` has NDBUF_MAX_NDIM entries. */
void ndpy_strides_of(const ndbuf_view *view, int64_t *out_strides);

/* An attribute: a new reference, or NULL if the object does not have it. Returns 0 if looking for it failed. */
int ndpy_find_attribute(PyObject *object, const char *name, PyObject **out_attribute);

/* -- py_consume.c -- */

/* A View of `object`'s memory, by whichever of its protocols loses least; of a View, itself. */
PyObject *ndpy_consume(ndpy_state *state, PyObject *object);

/* Whether an object has any of these protocols. */
int ndpy_find_memory(PyObject *object, int *out_has_memory);

/* -- py_memory.c: views of memory that Python objects own -- */

/* A View by the buffer protocol. out_is_final: whether no other protocol should be asked after a failure. */
PyObject *ndpy_from_buffer(ndpy_state *state, PyObject *object, int *out_is_final);

/* A view of memory that `object` keeps alive: it is retained until the last use of the memory.
 *
 * device   NULL: the one that CUDA knows for the address.
 * address  of item 0..0; the storage reaches as far as shape and strides do. */
int ndpy_view_of_memory(PyObject *object, ndbuf_device *device, void *address, const ndbuf_view_spec *spec,
                        ndbuf_view *out_view);

/* The same of memory behind a device's handle, all `nbytes` bytes of which the storage has. */
int ndpy_view_of_handle(PyObject *object, ndbuf_device *device, void *handle, size_t nbytes,
                        const ndbuf_view_spec *spec, ndbuf_view *out_view);

PyObject *ndpy_from_pointer(PyObject *module, PyObject *arguments);
PyObject *ndpy_array_struct(PyObject *module, PyObject *capsule);

/* -- py_buffer.c: the two slots of the buffer protocol -- */

/* Prepares a new View's answer to those who can take everything: memoryview, and NumPy. */
void ndpy_prepare_buffer(ndpy_view *self);

int ndpy_get_buffer(PyObject *object, Py_buffer *buffer, int flags);
void ndpy_release_buffer(PyObject *object, Py_buffer *buffer);

/* -- py_dlpack.c -- */

PyObject *ndpy_dlpack(PyObject *object, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_dlpack_device(PyObject *object, PyObject *ignored);
PyObject *ndpy_from_dlpack(ndpy_state *state, PyObject *object, PyObject *method);

/* BufferError over negative strides: DLPack has them, but consumers end the program over them (PyTorch). */
int ndpy_refuse_negative_strides(const ndbuf_view *view);

/* Raises why a tensor was not taken: ValueError where it cannot be true, BufferError where it is not for us. Returns
 * NULL. */
PyObject *ndpy_refuse_tensor(const ndbuf_error *err);

/* -- py_exchange.c -- */

/* DLPack's functions for other extensions, as a capsule. */
PyObject *ndpy_exchange_api(void);

/* -- py_arrow.c -- */

PyObject *ndpy_arrow_device_array(PyObject *object, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_arrow_array(PyObject *object, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_from_arrow(ndpy_state *state, PyObject *object, PyObject *method);

/* -- py_index.c: v[...] and v[...] = x -- */

PyObject *ndpy_subscript(PyObject *object, PyObject *key);
int ndpy_assign_subscript(PyObject *object, PyObject *key, PyObject *value);
Py_ssize_t ndpy_length(PyObject *object);
PyObject *ndpy_iterate(PyObject *object);
PyObject *ndpy_item(PyObject *object, Py_ssize_t index);

/* -- py_shape.c: other views of the same memory -- */

PyObject *ndpy_get_transposed(PyObject *object, void *closure);
PyObject *ndpy_permute(PyObject *object, PyObject *arguments);
PyObject *ndpy_reshape(PyObject *object, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_cast(PyObject *object, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_broadcast_to(PyObject *object, PyObject *dims);
PyObject *ndpy_to_readonly(PyObject *object, PyObject *ignored);

/* -- py_item.c: an item as a Python object, and back -- */

/* Packs a Python object into the bytes of an item: itemsize bytes. */
int ndpy_pack(const ndbuf_format *format, PyObject *object, void *out_item);

/* Makes objects of a format's items: numbers, bytes, str; tuples of the leaves of a record, lists of an array's. Names
 * are passed over. */
typedef struct ndpy_unpacker ndpy_unpacker;
ndpy_unpacker *ndpy_unpacker_create(const ndbuf_format *format); /* which must outlive it */
void ndpy_unpacker_destroy(ndpy_unpacker *u);
PyObject *ndpy_unpack(ndpy_unpacker *u, const void *item);

/* -- py_value.c: all items of a view -- */

/* The items of a view that the host can touch: nested lists, or the one object of a 0-d view. */
PyObject *ndpy_list_of(const ndbuf_view *view);

PyObject *ndpy_tolist(PyObject *object, PyObject *ignored);
PyObject *ndpy_tobytes(PyObject *object, PyObject *arguments, PyObject *keywords);

/* -- py_copy.c -- */

/* Copies with the interpreter's lock released. `queue` may be NULL. */
int ndpy_copy_views(const ndbuf_view *dst, const ndbuf_view *src, ndbuf_casting casting, uint32_t flags,
                    ndbuf_queue *queue);

/* Refuses items that are Python objects. */
int ndpy_refuse_objects(const ndbuf_format *format);

/* Gives every item a value, as ndpy_pack takes it. NULL: zero bytes. */
int ndpy_fill(const ndbuf_view *dst, PyObject *value);

/* A packed copy of `view` on `device`, in `format` (NULL: its own), C- or F-contiguous. */
int ndpy_copy_packed(const ndbuf_view *view, ndbuf_device *device, ndbuf_format *format, char order,
                     ndbuf_casting casting, uint32_t flags, ndbuf_view *out_view);

/* The items of a view where the host can touch them: a view of the same, or a packed copy. */
int ndpy_on_host(const ndbuf_view *view, ndbuf_view *out_view);

PyObject *ndpy_copy(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_view_copy(PyObject *object, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_astype(PyObject *object, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_to(PyObject *object, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_explain(PyObject *object, PyObject *arguments, PyObject *keywords);

/* -- py_queue.c -- */

extern PyType_Spec ndpy_queue_spec;

/* A queue for a call, retained: an ndbuf.Queue's own; or one over a native handle (an int, or an object that has one),
 * of the device of `a` or, if that is the host, of `b`. NULL for None. */
int ndpy_queue_open(ndpy_state *state, PyObject *stream, const ndbuf_view *a, const ndbuf_view *b,
                    ndbuf_queue **out_queue);

/* Ends a reference to a queue, without holding up other threads while that waits. An exception that is set stays so. */
void ndpy_queue_release(ndbuf_queue *queue);

/* -- py_create.c -- */

PyObject *ndpy_empty(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_zeros(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_full(PyObject *module, PyObject *arguments, PyObject *keywords);
PyObject *ndpy_map_file(PyObject *module, PyObject *arguments);

/* -- py_opencl.c -- */

PyObject *ndpy_opencl_device(PyObject *module, PyObject *arguments);
PyObject *ndpy_from_opencl(PyObject *module, PyObject *arguments);

/* -- py_pillow.c -- */

PyObject *ndpy_from_imaging(PyObject *module, PyObject *arguments);

#endif
