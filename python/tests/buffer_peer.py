# SPDX-License-Identifier: Apache-2.0
"""An exporter of Python's buffer protocol that says whatever it is told to: its type is made by ctypes."""
import collections
import ctypes


class PyBuffer(ctypes.Structure):
    _fields_ = [("buf", ctypes.c_void_p), ("obj", ctypes.c_void_p), ("len", ctypes.c_ssize_t),
                ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
                ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
                ("suboffsets", ctypes.c_void_p), ("internal", ctypes.c_void_p)]


class _Slot(ctypes.Structure):
    _fields_ = [("slot", ctypes.c_int), ("function", ctypes.c_void_p)]


class _Spec(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("basicsize", ctypes.c_int), ("itemsize", ctypes.c_int),
                ("flags", ctypes.c_uint), ("slots", ctypes.POINTER(_Slot))]


_GET = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(PyBuffer), ctypes.c_int)
_RELEASE = ctypes.PYFUNCTYPE(None, ctypes.py_object, ctypes.POINTER(PyBuffer))
_BF_GETBUFFER, _BF_RELEASEBUFFER = 1, 2
_TPFLAGS_DEFAULT_AND_BASETYPE = 1 << 18 | 1 << 10

_incref = ctypes.pythonapi.Py_IncRef
_incref.argtypes = [ctypes.py_object]


def _sizes(numbers):
    return None if numbers is None else (ctypes.c_ssize_t * max(len(numbers), 1))(*numbers)


def _address(array):
    return None if array is None else ctypes.addressof(array)


@_GET
def _get(self, buffer, flags):
    self.requests.append(flags)
    buffer[0] = self.described
    _incref(self)
    buffer[0].obj = id(self)
    self.held += 1
    return 0


@_RELEASE
def _release(self, _):
    self.held -= 1


def _make_type():
    slots = (_Slot * 3)(_Slot(_BF_GETBUFFER, ctypes.cast(_get, ctypes.c_void_p)),
                        _Slot(_BF_RELEASEBUFFER, ctypes.cast(_release, ctypes.c_void_p)), _Slot(0, None))
    spec = _Spec(b"buffer_peer._Base", 0, 0, _TPFLAGS_DEFAULT_AND_BASETYPE, slots)
    from_spec = ctypes.pythonapi.PyType_FromSpec
    from_spec.restype, from_spec.argtypes = ctypes.py_object, [ctypes.POINTER(_Spec)]
    return from_spec(ctypes.byref(spec))


class Exporter(_make_type()):
    """Gives out the Py_buffer that its arguments describe, whether it is right or not.

    requests  the flags of the latest ones
    held      how many are given out and not released
    """

    def __init__(self, memory, nbytes, itemsize=1, text=None, ndim=None, shape=None, strides=None, suboffsets=None,
                 readonly=False, address=None):
        self.memory, self.requests, self.held = memory, collections.deque(maxlen=8), 0
        self.kept = tuple(_sizes(numbers) for numbers in (shape, strides, suboffsets))
        if address is None and memory is not None:
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self.described = PyBuffer(address, None, nbytes, itemsize, readonly,
                                  len(shape or ()) if ndim is None else ndim, text, *map(_address, self.kept))
