# SPDX-License-Identifier: Apache-2.0
"""NumPy's array interface and its relative for CUDA, in both directions. Called by the extension module."""
import math
import sys

from . import _ndbuf

_NATIVE = "<" if sys.byteorder == "little" else ">"

# (kind, bytes) of typestr: PEP 3118's code.
_CODES = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d", "c8": "Zf", "c16": "Zd",
}
# Long double, whose size differs between machines, exists in the host's byte order alone.
_LONG = {"f12": "g", "f16": "g", "c24": "Zg", "c32": "Zg"}


def _format_of_typestr(typestr):
    order, code = typestr[:1], typestr[1:]
    if order not in ("<", ">", "|", "=") or len(code) < 2 or not code[1:].isdecimal():
        raise ValueError("typestr %r is malformed" % (typestr,))
    order = _NATIVE if order in "|=" else order
    if code in _CODES:
        return order + _CODES[code]
    if code in _LONG and order == _NATIVE:
        return "^" + _LONG[code]
    size = int(code[1:])
    if code[0] == "S":
        return "%ds" % size
    if code[0] == "U":
        return "%s%dw" % (order, size)
    if code[0] == "V":
        return "%dx" % size
    raise TypeError("typestr %r has no format in PEP 3118" % (typestr,))


def _format_of_descr(descr):
    """The format of a list (name, typestr or list, [shape]); names without text are padding."""
    parts = []
    for entry in descr:
        name, what = entry[0], entry[1]
        name = name[1] if isinstance(name, tuple) else name
        text = _format_of_descr(what) if isinstance(what, list) else _format_of_typestr(what)
        if len(entry) > 2 and entry[2]:
            shape = entry[2] if isinstance(entry[2], tuple) else (entry[2],)
            text = "(%s)%s" % (",".join(map(str, shape)), text)
        if name == "" and not isinstance(what, list) and what[1] == "V":
            parts.append(text)
        else:
            parts.append("%s:%s:" % (text, name))
    return "T{" + "".join(parts) + "}"


def _format_of(interface):
    typestr, descr = interface["typestr"], interface.get("descr")
    trivial = not descr or (len(descr) == 1 and descr[0][0] == "")
    if typestr[1:2] == "V" and not trivial:
        return _format_of_descr(descr)
    return _format_of_typestr(typestr)


def _consume_host(owner, interface):
    if interface.get("mask") is not None:
        raise BufferError("__array_interface__ has a mask, which a view cannot express")
    data, shape, strides = interface.get("data"), interface["shape"], interface.get("strides")
    text = _format_of(interface)
    if isinstance(data, tuple):
        address, readonly = data
        return _ndbuf._from_pointer(owner, address, "cpu", text, shape, strides, bool(readonly), None)
    # A buffer object, or the object itself is one.
    memory = _ndbuf.view(memoryview(owner if data is None else data).cast("B"))
    offset = interface.get("offset", 0)
    view = _ndbuf._from_pointer(memory, memory._address + offset, "cpu", text, shape, strides, memory.readonly, None)
    low, high = _reach(view.shape, view.strides, view.itemsize)
    if not 0 <= offset <= offset + high <= memory.nbytes or offset + low < 0:
        raise ValueError("__array_interface__ leaves its buffer: bytes %d to %d of %d"
                         % (offset + low, offset + high, memory.nbytes))
    return view


def _reach(shape, strides, itemsize):
    """The bytes, from the first item on, that an array reaches."""
    if 0 in shape:
        return 0, 0
    steps = [(extent - 1) * stride for extent, stride in zip(shape, strides)]
    return sum(step for step in steps if step < 0), sum(step for step in steps if step > 0) + itemsize


def _consume_cuda(owner, interface):
    if interface.get("mask") is not None:
        raise BufferError("__cuda_array_interface__ has a mask, which a view cannot express")
    address, readonly = interface["data"]
    stream = interface.get("stream")
    if stream == 0:
        raise ValueError("__cuda_array_interface__: stream 0 is not allowed")
    shape = interface["shape"]
    # CUDA finds the device of an address; without items there may be none.
    device = "cpu" if 0 in shape and not address else "cuda:0"
    return _ndbuf._from_pointer(owner, address, device, _format_of(interface), shape, interface.get("strides"),
                                bool(readonly), None if device == "cpu" else stream)


def consume(owner):
    """A View by whichever of the three interfaces the object has; None: it has none."""
    interface = getattr(owner, "__array_interface__", None)
    if isinstance(interface, dict):
        return _consume_host(owner, interface)
    capsule = getattr(owner, "__array_struct__", None)
    if capsule is not None:
        return _consume_host((owner, capsule), _ndbuf._array_struct(capsule))
    interface = getattr(owner, "__cuda_array_interface__", None)
    if isinstance(interface, dict):
        return _consume_cuda(owner, interface)
    return None


# -- export --

_KINDS = {"b": "b", "i": "i", "u": "u", "f": "f", "c": "c", "S": "S", "U": "U"}


def _typestr_of_field(kind, size, order, itemsize):
    if kind not in _KINDS:
        return "|V%d" % itemsize
    if kind == "U":
        if size % 4:
            return "|V%d" % itemsize
        size //= 4
    return "%s%s%d" % (order if size > 1 or kind == "U" else "|", kind, size)


def _descr_of(view):
    """typestr and descr of a view's items. Only plain items and records of plain fields have them."""
    fields = view._fields()
    if len(fields) == 1 and not fields[0][0] and not fields[0][5] and fields[0][2] == view.itemsize:
        _, _, size, kind, order, _ = fields[0]
        typestr = _typestr_of_field(kind, size, order, view.itemsize)
        return typestr, [("", typestr)]
    whole = "|V%d" % view.itemsize
    descr, end = [], 0
    for names, offset, size, kind, order, extents in fields:
        if len(names) != 1 or offset < end:
            return whole, [("", whole)]
        if offset > end:
            descr.append(("", "|V%d" % (offset - end)))
        typestr = _typestr_of_field(kind, size, order, size)
        descr.append((names[0], typestr, extents) if extents else (names[0], typestr))
        end = offset + size * math.prod(extents)
    if not descr:
        return whole, [("", whole)]
    if view.itemsize > end:
        descr.append(("", "|V%d" % (view.itemsize - end)))
    return whole, descr


def _interface(view):
    typestr, descr = _descr_of(view)
    address = view._address if view.nbytes else 0
    return {"version": 3, "shape": view.shape, "strides": None if view.c_contiguous else view.strides,
            "typestr": typestr, "descr": descr, "data": (address or 0, view.readonly)}


def _is_on_host(view):
    return view.device == "cpu" or view.device.startswith(("cuda_host:", "cuda_managed:"))


def host_interface(view):
    if not _is_on_host(view):
        raise AttributeError("no __array_interface__: the memory is on %s, which the host cannot touch: take "
                             "view.to('cpu'), a copy on the host" % view.device)
    if view.suboffsets:
        raise AttributeError("no __array_interface__: the rows lie behind pointers: take view.copy()")
    view._wait()
    return _interface(view)


def cuda_interface(view):
    if not view.device.startswith("cuda"):
        raise AttributeError("no __cuda_array_interface__: the memory is on %s" % view.device)
    view._wait()  # so that no stream need be told
    return _interface(view)


def numpy_array(arguments):
    """View.__array__, which NumPy calls where the buffer protocol refuses."""
    view, dtype, copy = arguments
    if not _is_on_host(view):
        raise BufferError("the memory is on %s, which the host cannot touch: take view.to('cpu'), a copy on the host"
                          % view.device)
    import numpy
    if not view.suboffsets:
        array = numpy.asarray(memoryview(view))
        return array if dtype is None else array.astype(dtype, copy=bool(copy))
    if copy is False:
        raise ValueError("the rows lie behind pointers, which no NumPy array can express without a copy")
    array = numpy.asarray(memoryview(view.copy()))
    return array if dtype is None else array.astype(dtype, copy=False)
