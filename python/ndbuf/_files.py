# SPDX-License-Identifier: Apache-2.0
"""Views of mapped files."""
import ast
import math
import operator
import os
import re
from collections.abc import Iterable
from typing import Literal, SupportsIndex

from . import _ndbuf
from ._array_interface import UnsupportedItems, format_of
from ._ndbuf import View

_MAGIC = b"\x93NUMPY"
_KEYS = {"descr", "fortran_order", "shape"}
_STRING_OR_LONG = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?<=[0-9])L\b""")


def _literal(text, major):
    """The header as an object. Python 2 wrote long integers with an L."""
    text = text.strip()
    try:
        return ast.literal_eval(text)
    except SyntaxError:
        if major > 2:
            raise
        return ast.literal_eval(_STRING_OR_LONG.sub(lambda match: match[1] or "", text))


def _with_order(descr):
    """A descr with a byte order everywhere: NumPy takes typestrs without one for the host's."""
    if isinstance(descr, str):
        return descr if descr[:1] in ("<", ">", "|", "=") else "=" + descr
    if isinstance(descr, tuple):
        inner, shape = descr
        return _with_order(inner), shape
    return [(name, _with_order(what), *rest) for name, what, *rest in descr]


def _read_npy_header(raw):
    """(format, shape, order, offset of the data) of a .npy file. What NumPy takes and refuses is taken and refused."""
    major, minor = raw[6], raw[7]
    width = 2 if major == 1 else 4
    if major not in (1, 2, 3) or minor != 0:
        raise ValueError("version %d.%d of .npy is not known" % (major, minor))
    start = 8 + width
    length = int.from_bytes(raw[8:start].tobytes(), "little") if raw.nbytes >= start else raw.nbytes
    if start + length > raw.nbytes:
        raise ValueError("the .npy file ends within its header")
    try:
        header = _literal(raw[start:start + length].tobytes().decode("latin-1" if major < 3 else "utf-8"), major)
        if not isinstance(header, dict) or header.keys() != _KEYS:
            raise ValueError("it has not the keys %s" % ", ".join(sorted(_KEYS)))
        descr, is_fortran, shape = header["descr"], header["fortran_order"], header["shape"]
        if not isinstance(is_fortran, bool):
            raise ValueError("fortran_order is %r" % (is_fortran,))
        if not isinstance(shape, tuple) or not all(type(extent) is int for extent in shape):
            raise ValueError("shape is %r" % (shape,))
        if isinstance(descr, tuple):
            raise UnsupportedItems("descr %r: subarrays outside records are unsupported" % (descr,))
        format = format_of(_with_order(descr))
    except UnsupportedItems as error:
        raise ValueError("the .npy file cannot be viewed: %s" % error) from None
    except (SyntaxError, TypeError, ValueError, RecursionError) as error:
        raise ValueError("the header of the .npy file is malformed: %s" % error) from None
    return format, shape, "F" if is_fortran else "C", start + length


def _dims(shape):
    """A shape as a tuple."""
    try:
        return (operator.index(shape),)
    except TypeError:
        return tuple(map(operator.index, shape))  # Python's integers, which have no bounds


def open(path: str | bytes | os.PathLike, mode: Literal["r", "r+"] = "r", format: str | None = None,
         shape: SupportsIndex | Iterable[SupportsIndex] | None = None, offset: int = 0,
         order: Literal["C", "F"] = "C") -> View:
    """A View of a mapped file.

    mode    "r": read-only; "r+": what is written to the View goes into the file.
    format  of a raw file; None: the file says what is in it, if it is a .npy file, else it holds bytes.
    shape   of a raw file; None: one axis, to the end of the file.
    offset  bytes before the first item of a raw file.
    order   "C" or "F", of a raw file with a shape.

    Use it in a with statement, or call release(), to let go of the file early.
    """
    if mode not in ("r", "r+"):
        raise ValueError("mode must be 'r' or 'r+', not %r" % (mode,))
    raw = _ndbuf._map_file(path, mode == "r")
    if format is None and shape is None and offset == 0 and raw.nbytes >= 10 and raw[:6].tobytes() == _MAGIC:
        format, shape, order, offset = _read_npy_header(raw)
    if not 0 <= offset <= raw.nbytes:
        raise ValueError("offset %d lies outside the file of %d bytes" % (offset, raw.nbytes))
    format = "B" if format is None else format
    itemsize = _ndbuf.empty(0, format).itemsize
    if shape is None:
        if itemsize == 0 or (raw.nbytes - offset) % itemsize:
            raise ValueError("%d bytes are no whole number of items of %d bytes" % (raw.nbytes - offset, itemsize))
        shape = ((raw.nbytes - offset) // itemsize,)
    dims = _dims(shape)
    if any(extent < 0 for extent in dims):
        raise ValueError("a negative extent in shape %r" % (dims,))
    nbytes = math.prod(dims) * itemsize
    if nbytes > raw.nbytes - offset:
        raise ValueError("shape %r needs %d bytes, but the file has %d from offset %d on"
                         % (dims, nbytes, raw.nbytes - offset, offset))
    if itemsize == 0:  # which bytes are no multiple of
        nothing = _ndbuf.empty(dims, format)
        return nothing.toreadonly() if mode == "r" else nothing
    return raw[offset:offset + nbytes].cast(format).reshape(dims, order=order)
