# SPDX-License-Identifier: Apache-2.0
"""A producer and a consumer of DLPack's Python protocol that share no code with ndbuf: structs by ctypes."""
import collections
import ctypes

CPU = (1, 0)
INT, UINT, FLOAT, HANDLE, BFLOAT, COMPLEX, BOOL = range(7)
READ_ONLY, IS_COPIED = 1, 2
NAMES = {True: b"dltensor_versioned", False: b"dltensor"}  # whether it is versioned
NAMES_USED = {True: b"used_dltensor_versioned", False: b"used_dltensor"}


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32),
                ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8),
                ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class Legacy(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p)]


class Versioned(ctypes.Structure):
    _fields_ = [("major", ctypes.c_uint32), ("minor", ctypes.c_uint32), ("context", ctypes.c_void_p),
                ("deleter", ctypes.c_void_p), ("flags", ctypes.c_uint64), ("tensor", Tensor)]


DELETER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_python = ctypes.pythonapi
_python.PyCapsule_New.restype = ctypes.py_object
_python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_python.PyCapsule_GetName.restype = ctypes.c_char_p
_python.PyCapsule_GetName.argtypes = [ctypes.py_object]
_python.PyCapsule_GetPointer.restype = ctypes.c_void_p
_python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_python.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]

# The tensors that nobody has deleted, by address, each with what it must keep alive.
alive = {}


@DELETER
def _delete(address):
    del alive[address]  # a second time, or of something else, is a KeyError, which pytest turns into a failure


class Producer:
    """An object whose __dlpack__ gives a tensor with whatever is said here, right or wrong.

    memory   a writable buffer; None: data is NULL
    extents  of shape; None: shape is NULL
    steps    strides in items; None: strides is NULL
    """
    device = CPU

    def __init__(self, memory, extents, steps, code=INT, bits=32, lanes=1, offset=0, address=None, ndim=None,
                 versioned=True, version=(1, 3), flags=0, has_deleter=True, device=CPU, name=None):
        self.memory, self.versioned, self.has_deleter = memory, versioned, has_deleter
        self.device, self.name = device, name
        self.calls = collections.deque(maxlen=8)  # the latest ones' arguments
        if address is None and memory is not None:
            address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self.shape = None if extents is None else (ctypes.c_int64 * max(len(extents), 1))(*extents)
        self.strides = None if steps is None else (ctypes.c_int64 * max(len(steps), 1))(*steps)
        self.managed = Versioned(*version, flags=flags) if versioned else Legacy()
        tensor = self.managed.tensor
        tensor.data, tensor.byte_offset = address, offset
        tensor.device_type, tensor.device_id = device
        tensor.ndim = len(extents or ()) if ndim is None else ndim
        tensor.code, tensor.bits, tensor.lanes = code, bits, lanes
        if self.shape is not None:
            tensor.shape = ctypes.cast(self.shape, ctypes.POINTER(ctypes.c_int64))
        if self.strides is not None:
            tensor.strides = ctypes.cast(self.strides, ctypes.POINTER(ctypes.c_int64))
        if has_deleter:
            self.managed.deleter = ctypes.cast(_delete, ctypes.c_void_p).value

    def capsule(self):
        """A new capsule, whose tensor stays in `alive` until it is deleted, once."""
        address = ctypes.addressof(self.managed)
        alive[address] = (self.managed, self.shape, self.strides, self.memory)
        self.name = NAMES[self.versioned] if self.name is None else self.name  # kept: the capsule only points to it
        return _python.PyCapsule_New(address, self.name, None)

    def __dlpack__(self, **keywords):
        self.calls.append(keywords)
        return self.capsule()

    def __dlpack_device__(self):
        return self.device


class Consumer:
    """What a consumer finds in a capsule. delete() ends the tensor, from any thread."""

    def __init__(self, capsule):
        self.name = _python.PyCapsule_GetName(capsule)
        self.versioned = self.name == NAMES[True]
        kind = Versioned if self.versioned else Legacy
        address = _python.PyCapsule_GetPointer(capsule, self.name)
        _python.PyCapsule_SetName(capsule, NAMES_USED[self.versioned])
        self.managed = kind.from_address(address)
        tensor = self.managed.tensor
        self.device = (tensor.device_type, tensor.device_id)
        self.dtype = (tensor.code, tensor.bits, tensor.lanes)
        self.shape = tuple(tensor.shape[k] for k in range(tensor.ndim))
        self.strides = tuple(tensor.strides[k] for k in range(tensor.ndim)) if tensor.strides else None
        self.address = (tensor.data or 0) + tensor.byte_offset
        self.data = tensor.data
        self.byte_offset = tensor.byte_offset
        self.flags = self.managed.flags if self.versioned else None
        self.version = (self.managed.major, self.managed.minor) if self.versioned else None

    def delete(self):
        DELETER(self.managed.deleter)(ctypes.addressof(self.managed))
