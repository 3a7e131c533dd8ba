# SPDX-License-Identifier: Apache-2.0
"""NumPy's array interface and its relative for CUDA, in both directions. Called by the extension module."""
import math
import operator
import re
import sys

from . import _ndbuf

_NATIVE = "<" if sys.byteorder == "little" else ">"

# The code of PEP 3118 for typestr's kind and size.
_CODES = {
    "b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "f2": "e", "f4": "f", "f8": "d", "c8": "Zf", "c16": "Zd",
}
# Long double exists in the host's size and byte order alone.
_LONG_NBYTES = _ndbuf.empty(0, "g").itemsize
_LONG = {"f%d" % _LONG_NBYTES: "^g", "c%d" % (2 * _LONG_NBYTES): "^Zg"}
_OPAQUE = {*_LONG, "f16", "c32", "M8", "m8"}  # other long doubles, dates and times
_UNSUPPORTED = {"O": "Python objects", "T": "texts of any length", "t": "bit fields"}
_TYPESTR = re.compile(r"([<>|=])([A-Za-z])([0-9]*)(\[[^]]*\])?")


class UnsupportedItems(TypeError):
    """Items of NumPy's that its interfaces and files cannot share with a view."""


# -- import --


def _format_of_typestr(typestr):
    """(format, bytes of an item)"""
    match = _TYPESTR.fullmatch(typestr)
    order, kind, count, unit = match.groups() if match else ("", "", "", None)
    if kind in _UNSUPPORTED:
        raise UnsupportedItems("typestr %r: %s are unsupported" % (typestr, _UNSUPPORTED[kind]))
    if not count or (unit and kind not in "Mm"):
        raise ValueError("typestr %r is malformed" % (typestr,))
    order, size = _NATIVE if order in "|=" else order, int(count)
    code = kind + str(size)
    if code in _CODES:
        return order + _CODES[code], size
    if code in _LONG and order == _NATIVE:
        return _LONG[code], size
    if kind == "S":
        return "%ds" % size, size
    if kind == "U":
        return "%s%dw" % (order, size), 4 * size
    if kind == "V" or code in _OPAQUE:
        return "%dx" % size, size
    raise TypeError("typestr %r has no format in PEP 3118" % (typestr,))


def _extent(number):
    if isinstance(number, bool):
        raise TypeError("an extent of a subarray is %r" % number)
    return operator.index(number)


def _format_of_type(what):
    """(format, bytes of an item) of a typestr, a descr, or a pair of one of these and a shape."""
    if isinstance(what, tuple):
        inner, shape = what
        text, size = _format_of_type(inner)
        shape = tuple(map(_extent, shape if isinstance(shape, (tuple, list)) else (shape,)))
        return ("(%s)%s" % (",".join("%d" % extent for extent in shape), text) if shape else text,
                size * math.prod(shape))
    return _format_of_descr(what) if isinstance(what, list) else _format_of_typestr(what)


def _format_of_descr(descr):
    """The same of a list of (name, type, [shape]); names without text are padding."""
    parts, total, names = [], 0, set()
    for name, what, *rest in descr:
        name = name[1] if isinstance(name, tuple) else name  # of a title and a name
        text, size = _format_of_type((what, *rest) if rest else what)
        if ":" in name:
            raise ValueError("the field name %r contains a colon, which PEP 3118 has no way to write" % (name,))
        if name and name in names:
            raise ValueError("the field name %r occurs twice" % (name,))
        names.add(name)
        is_padding = not name and isinstance(what, str) and what[1:2] == "V"
        parts.append(text if is_padding else "%s:%s:" % (text, name))
        total += size
    return "T{%s}" % "".join(parts), total


def format_of(what):
    """The format of an item from its typestr or descr."""
    text, _ = _format_of_type(what)
    return text + "::" if text.endswith("x") else text  # a value, no padding


def format_of_item(interface):
    """The format of an interface's items. `descr` counts for records alone."""
    typestr, descr = interface["typestr"], interface.get("descr")
    text, size = _format_of_typestr(typestr)
    if typestr[1:2] != "V" or not descr or (len(descr) == 1 and descr[0][0] == ""):
        return format_of(typestr)
    text, total = _format_of_descr(descr)
    if total != size:
        raise ValueError("descr describes %d bytes, but an item has %d" % (total, size))
    return text


def _check(interface, names):
    """Whether an interface has the entries that it must have."""
    if interface.get("mask") is not None:
        raise BufferError("the array has a mask, which a view cannot express")
    for name in names:
        if name not in interface:
            raise ValueError("the interface lacks %s" % name)


def from_array_interface(owner, interface):
    _check(interface, ("typestr", "shape"))
    data, shape, strides = interface.get("data"), interface["shape"], interface.get("strides")
    text = format_of_item(interface)
    if isinstance(data, tuple):
        address, readonly = data
        # The interface, too: NumPy's of scalars holds the memory.
        return _ndbuf._from_pointer((owner, interface), address, False, text, shape, strides, readonly, None)
    # A buffer, or the object itself is one.
    memory = _bytes_of(_ndbuf.view(memoryview(owner if data is None else data)))
    offset = interface.get("offset", 0)
    view = _ndbuf._from_pointer(memory, (memory._address or 0) + offset, False, text, shape, strides, memory.readonly,
                                None)
    low, high = _reach(view)
    if not 0 <= offset + low <= offset + high <= memory.nbytes:
        raise ValueError("the array leaves its buffer: bytes %d to %d of %d"
                         % (offset + low, offset + high, memory.nbytes))
    return view


def _bytes_of(view):
    """A contiguous view's bytes along one axis. memoryview.cast knows neither all formats nor extents of 0."""
    if not view.c_contiguous:
        raise BufferError("the array's buffer is not C-contiguous")
    return view.reshape(-1).cast("B")


def _reach(view):
    """The bytes, from the first item on, that a view reaches."""
    if 0 in view.shape:
        return 0, 0
    steps = [(extent - 1) * stride for extent, stride in zip(view.shape, view.strides)]
    return sum(step for step in steps if step < 0), sum(step for step in steps if step > 0) + view.itemsize


def from_array_struct(owner, capsule):
    return from_array_interface((owner, capsule), _ndbuf._array_struct(capsule))


def from_cuda_interface(owner, interface):
    _check(interface, ("typestr", "shape", "data"))
    (address, readonly), shape, stream = interface["data"], interface["shape"], interface.get("stream")
    if stream == 0:
        raise ValueError("stream 0 is ambiguous, and not allowed in __cuda_array_interface__")
    # CUDA finds the device of an address; an array without items may have none.
    is_cuda = bool(address) or 0 not in shape
    return _ndbuf._from_pointer(owner, address, is_cuda, format_of_item(interface), shape, interface.get("strides"),
                                readonly, stream if is_cuda else None)


# -- export --


def _typestr_of(size, code, kind, order):
    if kind == "U" and code == "w":
        return "%sU%d" % (order, size // 4)
    if kind in "biufcS":
        return "%s%s%d" % (order if size > 1 else "|", kind, size)
    return "|V%d" % size


def _is_packed(size, extents, strides):
    for extent, stride in zip(reversed(extents), reversed(strides)):
        if stride != size and extent > 1:
            return False
        size *= extent
    return True


def _descr_of(view):
    """typestr and descr of a view's items. What is neither a plain item nor a record of plain fields is opaque."""
    fields = view._fields()
    whole = "|V%d" % view.itemsize
    opaque = whole, [("", whole)]
    if len(fields) == 1 and not fields[0][0] and not fields[0][6] and fields[0][2] == view.itemsize:
        _, _, size, code, kind, order, _, _ = fields[0]
        typestr = _typestr_of(size, code, kind, order)
        return typestr, [("", typestr)]
    descr, end = [], 0
    for names, offset, size, code, kind, order, extents, strides in fields:
        if len(names) != 1 or offset < end or not _is_packed(size, extents, strides):
            return opaque
        if offset > end:
            descr.append(("", "|V%d" % (offset - end)))
        typestr = _typestr_of(size, code, kind, order)
        descr.append((names[0], typestr, extents) if extents else (names[0], typestr))
        end = offset + size * math.prod(extents)
    if not descr:
        return opaque
    if view.itemsize > end:
        descr.append(("", "|V%d" % (view.itemsize - end)))
    return whole, descr


def _interface(view, address):
    view._wait()  # so that nobody need be told of an event
    typestr, descr = _descr_of(view)
    return {"version": 3, "shape": view.shape, "strides": None if view.c_contiguous else view.strides,
            "typestr": typestr, "descr": descr, "data": (address, view.readonly)}


def host_interface(view):
    if not view._on_host:
        raise AttributeError("no __array_interface__: the memory is on %s, which the host cannot touch: take "
                             "view.to('cpu'), a copy on the host" % view.device)
    if view.suboffsets:
        raise AttributeError("no __array_interface__: the rows lie behind pointers: take view.copy()")
    if "O" in [field[4] for field in view._fields()]:
        raise AttributeError("no __array_interface__: the items are Python objects, and it would give them as bytes")
    return _interface(view, view._address or id(view))  # to NumPy 1, address 0 means no array, even without items


def cuda_interface(view):
    if not view.device.startswith("cuda"):
        raise AttributeError("no __cuda_array_interface__: the memory is on %s" % view.device)
    return _interface(view, view._address if view.nbytes else 0)


def numpy_array(view, arguments):
    """View.__array__(dtype, copy)"""
    import numpy
    dtype, copy = arguments
    plain = numpy.asarray(memoryview(view))
    array = plain if dtype is None else plain.astype(dtype, copy=False)
    if copy is False and array is not plain:
        raise ValueError("a %s array of %s items needs a copy" % (array.dtype, plain.dtype))
    return array.copy() if copy and array is plain else array
