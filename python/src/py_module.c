/* SPDX-License-Identifier: Apache-2.0 */
#include "py_ndbuf.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The extension module ndbuf._ndbuf. */

/* -- devices -- */

/* Drivers are loaded when devices are first looked for. A program that ends meanwhile may never end: the loader waits
 * for the thread that loads, and that for what was destroyed already. So the end waits for such threads, and lets no
 * more. */
static atomic_int nopening;
static atomic_int opening_process; /* 0: none so far */
static atomic_ulong ending_thread; /* 0: not at the end */

int ndpy_opening_begin(void)
{
    int process = (int)getpid();
    int earlier = atomic_exchange(&opening_process, process);
    if (earlier != 0 && earlier != process) {
        atomic_store(&nopening, 0); /* of threads that the parent of a fork has */
    }
    atomic_fetch_add(&nopening, 1);
    unsigned long ending = atomic_load(&ending_thread);
    if (ending != 0 && ending != PyThread_get_thread_ident()) {
        atomic_fetch_sub(&nopening, 1);
        PyErr_SetString(PyExc_RuntimeError, "the interpreter is about to end");
        return 0;
    }
    return 1;
}

void ndpy_opening_end(void)
{
    atomic_fetch_sub(&nopening, 1);
}

/* _end(): for atexit. */
static PyObject *module_end(PyObject *module, PyObject *ignored)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    (void)module;
    (void)ignored;
    atomic_store(&ending_thread, PyThread_get_thread_ident());
    Py_BEGIN_ALLOW_THREADS
    while (atomic_load(&nopening) > 0 && atomic_load(&opening_process) == (int)getpid()) {
        nanosleep(&pause, NULL);
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static void close_device(PyObject *capsule)
{
    ndbuf_device_close(PyCapsule_GetPointer(capsule, NULL));
}

static int open_by_name(ndpy_state *state, PyObject *name, ndbuf_device **out_device)
{
    ndbuf_error err = {0};
    ndbuf_status status;
    PyObject *capsule = PyObject_GetItem(state->devices, name);
    if (capsule != NULL) {
        *out_device = PyCapsule_GetPointer(capsule, NULL);
        Py_DECREF(capsule);
        return *out_device != NULL;
    }
    if (!PyErr_ExceptionMatches(PyExc_KeyError)) {
        return 0;
    }
    PyErr_Clear();
    PyObject *bytes = ndpy_bytes_of(name, "the name of a device");
    if (bytes == NULL) {
        return 0;
    }
    const char *text = PyBytes_AsString(bytes);
    ndbuf_device *device = NULL;
    if (!ndpy_opening_begin()) {
        Py_DECREF(bytes);
        return 0;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_device_open(text, &device, &err);
    ndpy_opening_end();
    Py_END_ALLOW_THREADS
    Py_DECREF(bytes);
    if (status != NDBUF_OK) {
        ndpy_raise(&err);
        return 0;
    }
    capsule = PyCapsule_New(device, NULL, close_device);
    if (capsule == NULL) {
        ndbuf_device_close(device);
        return 0;
    }
    /* If another thread was faster, its capsule goes, but both hold the same device. */
    int is_good = PyDict_SetItem(state->devices, name, capsule) == 0;
    Py_DECREF(capsule);
    *out_device = device;
    return is_good;
}

int ndpy_device_open_tag(ndpy_state *state, ndbuf_device_tag tag, ndbuf_device **out_device)
{
    static const struct {
        int32_t type;
        const char *name;
    } names[] = {{NDBUF_DEVICE_CPU, "cpu"},
                 {NDBUF_DEVICE_CUDA, "cuda"},
                 {NDBUF_DEVICE_CUDA_HOST, "cuda_host"},
                 {NDBUF_DEVICE_OPENCL, "opencl"},
                 {NDBUF_DEVICE_CUDA_MANAGED, "cuda_managed"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (names[i].type == tag.type) {
            PyObject *name = tag.type == NDBUF_DEVICE_CPU ? PyUnicode_FromString("cpu")
                                                          : PyUnicode_FromFormat("%s:%d", names[i].name, (int)tag.id);
            int is_good = name != NULL && open_by_name(state, name, out_device);
            Py_XDECREF(name);
            return is_good;
        }
    }
    PyErr_Format(PyExc_BufferError, "no backend for memory of device type %d", (int)tag.type);
    return 0;
}

int ndpy_device_open(ndpy_state *state, PyObject *spec, ndbuf_device **out_device)
{
    int32_t numbers[2];
    if (spec == Py_None) {
        *out_device = ndbuf_device_cpu();
        return 1;
    }
    if (PyUnicode_Check(spec)) {
        return open_by_name(state, spec, out_device);
    }
    if (!PyTuple_Check(spec)) {
        PyErr_Format(PyExc_TypeError,
                     "device must be a name, as 'opencl:0', or a pair of DLPack's device type and number, not %R",
                     spec);
        return 0;
    }
    if (!ndpy_parse_pair(spec, "device", numbers)) {
        return 0;
    }
    ndbuf_device_tag tag = {numbers[0], numbers[1]};
    return ndpy_device_open_tag(state, tag, out_device);
}

/* (name, description, driver, memory in bytes, whether the host can touch it, whether it is simulated) of a device,
 * which does not stay open for that. */
static PyObject *describe_device(const char *backend, int32_t ordinal)
{
    char name[48];
    ndbuf_device *device = NULL;
    ndbuf_device_info info = {0};
    ndbuf_error err = {0};
    ndbuf_status status;
    snprintf(name, sizeof(name), strcmp(backend, "cpu") == 0 ? "%s" : "%s:%d", backend, (int)ordinal);
    if (!ndpy_opening_begin()) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    status = ndbuf_device_open(name, &device, &err);
    ndpy_opening_end();
    Py_END_ALLOW_THREADS
    if (status != NDBUF_OK) {
        return ndpy_raise(&err);
    }
    ndbuf_device_info_get(device, &info);
    Py_BEGIN_ALLOW_THREADS
    ndbuf_device_close(device);
    Py_END_ALLOW_THREADS
    return Py_BuildValue("(sNNKOO)", info.name, ndpy_text(info.description), ndpy_text(info.driver),
                         (unsigned long long)info.memory_nbytes,
                         (info.flags & NDBUF_DEVICE_HOST_ACCESSIBLE) != 0 ? Py_True : Py_False,
                         (info.flags & NDBUF_DEVICE_SIMULATED) != 0 ? Py_True : Py_False);
}

/* _backends(): a list of (name, reason why it has no devices, list of devices). */
static PyObject *module_backends(PyObject *module, PyObject *ignored)
{
    PyObject *list = PyList_New(0);
    (void)module;
    (void)ignored;
    for (int32_t i = 0; i < ndbuf_backend_count() && list != NULL; i++) {
        ndbuf_backend_info info = {0};
        ndbuf_error err = {0};
        ndbuf_status status;
        if (!ndpy_opening_begin()) {
            Py_CLEAR(list);
            break;
        }
        Py_BEGIN_ALLOW_THREADS
        status = ndbuf_backend_info_get(i, &info, &err);
        ndpy_opening_end();
        Py_END_ALLOW_THREADS
        PyObject *devices = status == NDBUF_OK ? PyList_New(0) : ndpy_raise(&err);
        for (int32_t k = 0; k < info.ndevices && devices != NULL; k++) {
            PyObject *device = describe_device(info.name, k);
            if (device == NULL || PyList_Append(devices, device) != 0) {
                Py_CLEAR(devices);
            }
            Py_XDECREF(device);
        }
        PyObject *backend = devices == NULL ? NULL : Py_BuildValue("(sNO)", info.name, ndpy_text(info.reason), devices);
        if (backend == NULL || PyList_Append(list, backend) != 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(devices);
        Py_XDECREF(backend);
    }
    return list;
}

/* -- the functions -- */

PyObject *ndpy_call_helper(const char *module, const char *function, PyObject *first, PyObject *second)
{
    PyObject *imported = PyImport_ImportModule(module);
    PyObject *callable = imported == NULL ? NULL : PyObject_GetAttrString(imported, function);
    PyObject *result = callable == NULL ? NULL : PyObject_CallFunctionObjArgs(callable, first, second, NULL);
    Py_XDECREF(imported);
    Py_XDECREF(callable);
    return result;
}

/* A View of its own: one that releases it does not release the argument. */
static PyObject *module_view(PyObject *module, PyObject *object)
{
    ndpy_state *state = PyModule_GetState(module);
    if (Py_TYPE(object) != state->view_type) {
        return ndpy_consume(state, object);
    }
    ndpy_view *other = (ndpy_view *)object;
    ndbuf_view view = {0};
    ndbuf_error err = {0};
    if (!ndpy_view_enter(other)) {
        return NULL;
    }
    ndbuf_status status = ndbuf_view_copy(&view, &other->view, &err);
    ndpy_view_leave(other);
    return ndpy_view_result(state, status, &view, &err);
}

static PyObject *module_can_cast(PyObject *module, PyObject *arguments, PyObject *keywords)
{
    static const char *const names[] = {"src", "dst", "casting", NULL};
    PyObject *src_text, *dst_text;
    const char *rule = "safe";
    ndbuf_casting casting;
    ndbuf_format *src = NULL;
    ndbuf_format *dst = NULL;
    ndbuf_error err = {0};
    (void)module;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "OO|s:can_cast", (char **)names, &src_text, &dst_text,
                                     &rule) ||
        !ndpy_parse_casting(rule, &casting) || !ndpy_parse_format(src_text, &src)) {
        return NULL;
    }
    if (!ndpy_parse_format(dst_text, &dst)) {
        ndbuf_format_release(src);
        return NULL;
    }
    ndbuf_status status = ndbuf_format_can_cast(dst, src, casting, &err);
    ndbuf_format_release(src);
    ndbuf_format_release(dst);
    if (status != NDBUF_OK && status != NDBUF_ERR_CAST) {
        return ndpy_raise(&err);
    }
    return PyBool_FromLong(status == NDBUF_OK);
}

#define KEYWORDS (METH_VARARGS | METH_KEYWORDS)
#define FUNCTION(function) ((PyCFunction)(void (*)(void))(function))

static PyMethodDef module_methods[] = {
    {"view", module_view, METH_O,
     "view($module, object, /)\n--\n\n"
     "A View of an object's memory, without a copy.\n\n"
     "Taken by the first of these protocols that the object has and that can say what its memory is: the buffer\n"
     "protocol, __arrow_c_device_array__, __arrow_c_array__, __dlpack__, __cuda_array_interface__,\n"
     "__array_interface__, __array_struct__. Of a View: another one of the same memory."},
    {"empty", FUNCTION(ndpy_empty), KEYWORDS,
     "empty($module, /, shape, format='B', device=None)\n--\n\n"
     "A View of new memory, with unspecified contents.\n\n"
     "device is a name, as 'opencl:0', or a pair of DLPack's device type and number; None: the host."},
    {"zeros", FUNCTION(ndpy_zeros), KEYWORDS,
     "zeros($module, /, shape, format='B', device=None)\n--\n\nA View of new memory, all of its bytes zero."},
    {"full", FUNCTION(ndpy_full), KEYWORDS,
     "full($module, /, shape, value, format='B', device=None)\n--\n\nA View of new memory, every item the same."},
    {"copy", FUNCTION(ndpy_copy), KEYWORDS,
     "copy($module, /, dst, src, *, casting='equiv', saturate=False, stream=None)\n--\n\n"
     "Copies every item of src into dst.\n\n"
     "Both are Views, or what ndbuf.view takes, on any devices and in any layouts, of the same shape. casting is one\n"
     "of NumPy's rules: 'no', 'equiv', 'safe', 'same_kind', 'unsafe'. With saturate, what an integer cannot hold\n"
     "becomes the nearest that it can. stream is an ndbuf.Queue, and then the copy may still run when this returns; "
     "or\n"
     "a native stream or queue, in whose order it is made, and waited for."},
    {"can_cast", FUNCTION(module_can_cast), KEYWORDS,
     "can_cast($module, /, src, dst, casting='safe')\n--\n\n"
     "Whether items of format src may be copied to items of format dst by a casting rule."},
    {"_end", module_end, METH_NOARGS,
     "_end($module, /)\n--\n\nReturns when no thread opens a device, which from then on this one alone does."},
    {"_backends", module_backends, METH_NOARGS,
     "_backends($module, /)\n--\n\nA list of (name, why it has no device, list of devices)."},
    {"_from_pointer", ndpy_from_pointer, METH_VARARGS,
     "_from_pointer($module, owner, address, is_cuda, format, shape, strides, readonly, stream, /)\n--\n\n"
     "A View of memory at an address, which owner keeps alive."},
    {"_array_struct", ndpy_array_struct, METH_O,
     "_array_struct($module, capsule, /)\n--\n\nThe dict of __array_interface__ that says what an __array_struct__ "
     "does."},
    {"_opencl_device", ndpy_opencl_device, METH_VARARGS,
     "_opencl_device($module, context, device, /)\n--\n\nA capsule of a device in a context of others, by handles."},
    {"_from_opencl", ndpy_from_opencl, METH_VARARGS,
     "_from_opencl($module, owner, device, memory, nbytes, format, shape, strides, offset, /)\n--\n\n"
     "A View of a buffer in the context of a device as of _opencl_device, which owner keeps alive."},
    {"_map_file", ndpy_map_file, METH_VARARGS,
     "_map_file($module, path, readonly, /)\n--\n\nA View of all bytes of a file."},
    {"_from_imaging", ndpy_from_imaging, METH_VARARGS,
     "_from_imaging($module, capsule, mode, mode_number, type, bands, pixelsize, band_stride, format, size, readonly, "
     "/)\n--\n\n"
     "A View of the pixels behind Image.getim()."},
    {NULL, NULL, 0, NULL}};

/* What DLPack has consumers look for on the type. */
static int add_exchange_api(PyTypeObject *type)
{
    PyObject *capsule = ndpy_exchange_api();
    int is_good =
        capsule != NULL && PyObject_SetAttrString((PyObject *)type, "__dlpack_c_exchange_api__", capsule) == 0;
    Py_XDECREF(capsule);
    return is_good;
}

static int module_exec(PyObject *module)
{
    ndpy_state *state = PyModule_GetState(module);
    /* The release of memory takes the interpreter's lock, which in any other interpreter is another one. */
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_ImportError, "ndbuf works in the main interpreter only");
        return -1;
    }
    atomic_store(&ending_thread, 0); /* an earlier interpreter may have ended */
    state->devices = PyDict_New();
    state->view_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &ndpy_view_spec, NULL);
    state->queue_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &ndpy_queue_spec, NULL);
    if (state->devices == NULL || state->view_type == NULL || state->queue_type == NULL ||
        !add_exchange_api(state->view_type) || PyModule_AddType(module, state->view_type) != 0 ||
        PyModule_AddType(module, state->queue_type) != 0 ||
        PyModule_AddStringConstant(module, "__version__", ndbuf_version()) != 0) {
        return -1;
    }
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg)
{
    ndpy_state *state = PyModule_GetState(module);
    Py_VISIT(state->view_type);
    Py_VISIT(state->queue_type);
    Py_VISIT(state->devices);
    return 0;
}

static int module_clear(PyObject *module)
{
    ndpy_state *state = PyModule_GetState(module);
    Py_CLEAR(state->view_type);
    Py_CLEAR(state->queue_type);
    Py_CLEAR(state->devices);
    return 0;
}

static void module_free(void *module)
{
    (void)module_clear(module);
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, NDPY_SLOT(module_exec)},
#ifdef Py_GIL_DISABLED
                                          {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
                                          {0, NULL}};

static struct PyModuleDef module_definition = {PyModuleDef_HEAD_INIT, "ndbuf._ndbuf", NULL,
                                               sizeof(ndpy_state),    module_methods, module_slots,
                                               module_traverse,       module_clear,   module_free};

PyMODINIT_FUNC PyInit__ndbuf(void);

PyMODINIT_FUNC PyInit__ndbuf(void)
{
    return PyModuleDef_Init(&module_definition);
}
