# SPDX-License-Identifier: Apache-2.0
"""Python's buffer protocol, as an exporter under every request, and as a consumer."""
import array
import ctypes
import hashlib
import itertools

import machine
import pytest
from buffer_peer import Exporter, PyBuffer

import ndbuf

WRITABLE, FORMAT, ND, STRIDES = 0x1, 0x4, 0x8, 0x18
C, F, ANY, INDIRECT = 0x38, 0x58, 0x98, 0x118

_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = [ctypes.py_object, ctypes.POINTER(PyBuffer), ctypes.c_int]
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes = [ctypes.POINTER(PyBuffer)]


class Answer:
    """What an exporter answers to a request; BufferError if it refuses."""

    def __init__(self, exporter, flags):
        buffer = PyBuffer()
        _get(exporter, buffer, flags)
        sizes = ctypes.c_ssize_t * buffer.ndim
        tuple_of = lambda address: tuple(sizes.from_address(address)) if address else None
        self.address, self.len, self.itemsize, self.ndim = buffer.buf, buffer.len, buffer.itemsize, buffer.ndim
        self.readonly, self.format = bool(buffer.readonly), buffer.format
        self.shape, self.strides, self.suboffsets = map(tuple_of, (buffer.shape, buffer.strides, buffer.suboffsets))
        _release(buffer)
        assert buffer.obj is None


def answer_of(exporter, flags):
    try:
        return Answer(exporter, flags)
    except BufferError:
        return None


def pillow_like():
    """Three rows of four bytes behind pointers."""
    rows = [(ctypes.c_char * 4)(*range(10 * k, 10 * k + 4)) for k in range(3)]
    table = (ctypes.c_void_p * 3)(*map(ctypes.addressof, rows))
    exporter = Exporter(table, 12, shape=(3, 4), strides=(8, 1), suboffsets=(0, -1), text=b"B")
    exporter.rows = rows
    return exporter


def views():
    packed = ndbuf.view(bytearray(range(24))).cast("<h", (3, 4))
    return {"packed": packed, "transposed": packed.T, "reversed": packed[::-1], "every other": packed[:, ::2],
            "one axis": packed[0], "one axis, strided": packed[:, 0], "0-d": packed[1, 1, ...],
            "no items": packed[:, :0], "read-only": packed.toreadonly(), "indirect": ndbuf.view(pillow_like())}


REQUESTS = [base | writable | format for base, writable, format in itertools.product(
    (0, ND, STRIDES, C, F, ANY, INDIRECT, INDIRECT | 0x20), (0, WRITABLE), (0, FORMAT))]


@pytest.mark.parametrize("which", views())
def test_every_request_is_answered_as_pep_3118_says(which):
    view = views()[which]
    for flags in REQUESTS:
        asks = lambda flag: flags & flag == flag
        allowed = not (asks(WRITABLE) and view.readonly)
        allowed &= not (asks(FORMAT) and not asks(ND))  # plain bytes have no format
        allowed &= not (view.suboffsets and not asks(INDIRECT))
        allowed &= view.c_contiguous or asks(STRIDES)
        allowed &= view.c_contiguous or not asks(C)
        allowed &= view.f_contiguous or not asks(F)
        allowed &= view.contiguous or not asks(ANY)
        answer = answer_of(view, flags)
        assert (answer is not None) == allowed, hex(flags)
        if answer is None:
            continue
        assert (answer.len, answer.itemsize, answer.readonly) == (view.nbytes, view.itemsize, view.readonly), hex(flags)
        assert answer.ndim == (view.ndim if asks(ND) else 1), hex(flags)
        assert answer.format == (view.format.lstrip("<").encode() if asks(FORMAT) else None), hex(flags)
        assert answer.shape == (view.shape if asks(ND) and view.ndim else None), hex(flags)
        assert answer.strides == (view.strides if asks(STRIDES) and view.ndim else None), hex(flags)
        assert answer.suboffsets == (view.suboffsets or None), hex(flags)
        assert answer.address == view._address or view.nbytes == 0


@pytest.mark.parametrize("shape", [(), (2,), (3, 4), (2, 0, 3), (2, 3, 4)], ids=str)
def test_who_wants_bytes_alone_takes_any_number_of_axes(shape):
    view = ndbuf.full(shape, 7, "<h")
    assert hashlib.sha256(view).digest() == hashlib.sha256(view.tobytes()).digest()


def test_a_refusal_names_the_flag():
    view = ndbuf.view(bytearray(24)).reshape((4, 6)).T
    for flags, text in ((ND, "STRIDES"), (C, "C_CONTIGUOUS"), (0, "STRIDES"), (FORMAT, "FORMAT")):
        with pytest.raises(BufferError, match=text):
            Answer(view, flags)
    with pytest.raises(BufferError, match="read-only"):
        Answer(view.toreadonly(), STRIDES | WRITABLE)


def test_memoryview_reads_and_writes_every_native_type():
    for code in "?bBhHiIlLqQnNfdc":
        # memoryview indexes only what it knows by its native code, which is how plain items go out.
        native = memoryview(ndbuf.zeros(3, code))
        assert native[0] == (b"\0" if code == "c" else 0)
        if code not in "?c":
            native[1] = 1
            assert native.tolist() == [0, 1, 0]


def test_memoryview_sees_the_same_memory():
    view = ndbuf.view(bytearray(range(24))).cast("i", (2, 3))
    exported = memoryview(view)
    assert (exported.shape, exported.strides, exported.format) == ((2, 3), (12, 4), "i")
    exported[1, 2] = -1
    assert view[1, 2] == -1 and exported.tolist() == view.tolist()
    assert bytes(view[:, ::-1]) == view[:, ::-1].tobytes()
    assert memoryview(view[::-1, ::2]).tolist() == view[::-1, ::2].tolist()


@machine.on_devices_out_of_reach
def test_memory_out_of_the_hosts_reach_is_refused_with_advice(device):
    for view in (ndbuf.zeros((2, 3), "f", device), ndbuf.zeros((0,), "f", device)):
        for flags in REQUESTS:
            with pytest.raises(BufferError, match=r"%s.*view\.to\('cpu'\)" % device):
                Answer(view, flags)
        with pytest.raises(BufferError, match="view.to"):
            view.__array__()
        with pytest.raises(BufferError, match="view.to"):
            bytes(view)
        assert not hasattr(view, "__array_interface__")
        assert memoryview(view.to("cpu")).tolist() == view.tolist()


@machine.on_every_device
def test_memory_within_the_hosts_reach_is_shared(device):
    view = ndbuf.zeros((2, 3), "i", device)
    if device in machine.OUT_OF_REACH:
        assert not view._on_host
        return
    memoryview(view)[1, 1] = 5
    assert view.tolist() == [[0, 0, 0], [0, 5, 0]]
    with pytest.raises(BufferError, match="STRIDES"):
        Answer(view.T, ND)


# -- consuming --


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_arrays_of_the_standard_library(code):
    items = array.array(code, range(7))
    view = ndbuf.view(items)
    assert view.tolist() == items.tolist() and not view.readonly
    view[3] = 9
    assert items[3] == 9


def test_structures_of_ctypes_become_records():
    class Point(ctypes.Structure):
        _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]

    points = (Point * 2)(Point(1, 2.5), Point(3, 4.5))
    view = ndbuf.view(points)
    assert view.itemsize == ctypes.sizeof(Point) and view.shape == (2,)
    if view.format.startswith("T{"):  # before Python 3.12, ctypes leaves out the padding, and the items are opaque
        assert view.tolist() == [(1, 2.5), (3, 4.5)]
    assert view.tobytes() == bytes(points)


def test_rows_behind_pointers_are_shared_sliced_and_written():
    exporter = pillow_like()
    view = ndbuf.view(exporter)
    assert view.suboffsets == (0, -1) and view.tolist() == [[10 * k + i for i in range(4)] for k in range(3)]
    assert view[1:, ::-2].tolist() == [[13, 11], [23, 21]]
    view[2, 1] = 99
    assert exporter.rows[2][1] == b"\x63"
    view[:] = view[::-1]
    assert [bytes(row)[0] for row in exporter.rows] == [20, 10, 0]
    again = ndbuf.view(memoryview(view))
    assert again.suboffsets == (0, -1) and again.tolist() == view.tolist()


@machine.on_every_device
def test_rows_behind_pointers_travel(device):
    view = ndbuf.view(pillow_like())
    there = view.to(device, copy=True)
    assert there.suboffsets == () and there.tolist() == view.tolist()
    ndbuf.copy(view, there[::-1])
    assert view[0].tolist() == [20, 21, 22, 23]


def test_no_pointer_is_followed_where_there_are_no_items():
    for memory in (None, bytearray(24)):  # the pointers would be NULL
        view = ndbuf.view(Exporter(memory, 0, shape=(3, 0), strides=(8, 1), suboffsets=(0, -1)))
        assert view.shape == (3, 0) and view.tolist() == [[], [], []] == view.copy().tolist()
        assert view[1].tolist() == [] and view.tobytes() == b""
        view[:] = 7


def test_suboffsets_that_are_all_negative_are_none():
    assert ndbuf.view(Exporter(bytearray(6), 6, shape=(2, 3), strides=(3, 1), suboffsets=(-1, -1))).suboffsets == ()


def test_a_buffer_without_shape_is_so_many_items():
    view = ndbuf.view(Exporter(bytearray(8), 8, itemsize=2, text=b"<h", ndim=1))
    assert view.shape == (4,) and view.format == "<h"


def test_a_negative_stride_begins_at_the_last_item():
    memory = bytearray(range(6))
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    view = ndbuf.view(Exporter(memory, 6, shape=(6,), strides=(-1,), address=start + 5))
    assert view.tolist() == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("what, arguments, text", [
    ("too many axes", dict(ndim=65, shape=(1,) * 65), "65"),
    ("a negative number of axes", dict(ndim=-1), "-1"),
    ("axes without a shape", dict(ndim=2), "no shape"),
    ("a negative extent", dict(shape=(-1,), strides=(1,)), "negative"),
    ("strides beyond 63 bits", dict(shape=(3, 3), strides=(2 ** 62, 1)), "63 bits"),
    ("a malformed format", dict(shape=(8,), text=b"T{i"), "no '}'"),
    ("no memory", dict(memory=None, shape=(8,)), "no address"),
])
def test_an_exporter_that_says_what_cannot_be_is_refused_and_released(what, arguments, text):
    exporter = Exporter(**{"memory": bytearray(8), "nbytes": 8, **arguments})
    with pytest.raises(ValueError, match=text):
        ndbuf.view(exporter)
    assert len(exporter.requests) == 1 and exporter.held == 0


def test_a_buffer_is_held_as_long_as_any_view_of_it():
    exporter = Exporter(bytearray(8), 8, shape=(8,), strides=(1,))
    view = ndbuf.view(exporter)
    part, exported = view[2:], memoryview(view[3:])
    assert exporter.held == 1
    view.release()
    del part
    assert exporter.held == 1 and exported.nbytes == 5
    exported.release()
    assert exporter.held == 0
