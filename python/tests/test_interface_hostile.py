# SPDX-License-Identifier: Apache-2.0
"""Exporters of buffers and of NumPy's protocols that lie: an error each time, everything released, nothing leaked."""
import ctypes

import pytest
from buffer_peer import Exporter
from leak_check import assert_no_leak

import ndbuf

ERRORS = (BufferError, ValueError, TypeError, OverflowError)
MEMORY = bytearray(range(64))


def check_refused(make, *owners, match=None):
    def exchange():
        with pytest.raises(ERRORS, match=match):
            ndbuf.view(make())

    exchange()
    assert_no_leak(exchange, *owners, times=500)


# -- the buffer protocol --

BAD_BUFFERS = {
    "len of less than the shape": dict(nbytes=8, shape=(2, 3)),
    "len of more than the shape": dict(nbytes=64, shape=(2, 3)),
    "negative len": dict(nbytes=-1, shape=(2, 3)),
    "negative len without shape": dict(nbytes=-4, ndim=1),
    "len that is no number of items": dict(nbytes=7, ndim=1),
    "len of more than the item": dict(nbytes=24, ndim=0),
    "a negative extent": dict(nbytes=24, shape=(-2, -3)),
    "the least extent": dict(nbytes=24, shape=(-2 ** 63, 1)),
    "more than 2^63 bytes": dict(nbytes=0, shape=(2 ** 62, 2 ** 62)),
    "strides beyond 63 bits": dict(nbytes=24, shape=(2, 3), strides=(2 ** 63 - 1, 4)),
    "items before address 0": dict(nbytes=24, shape=(2, 3), strides=(-2 ** 62, 4)),
    "no address": dict(nbytes=24, shape=(2, 3), memory=None),
    "65 axes": dict(nbytes=4, ndim=65, shape=(1,) * 65),
    "negative ndim": dict(nbytes=4, ndim=-1, shape=(1,)),
    "axes without a shape": dict(nbytes=24, ndim=3),
    "a negative item size": dict(nbytes=24, shape=(2, 3), itemsize=-4),
    "a record that does not end": dict(nbytes=24, shape=(2, 3), text=b"T{i:a"),
    "a format that is no text": dict(nbytes=24, shape=(2, 3), text=b"\xff\xfe"),
    "an unknown code": dict(nbytes=24, shape=(2, 3), text=b"y"),
    "a count beyond 63 bits": dict(nbytes=24, shape=(2, 3), text=b"99999999999999999999i"),
    "records within records without end": dict(nbytes=24, shape=(2, 3), text=b"T{" * 5000),
}


@pytest.mark.parametrize("what", BAD_BUFFERS)
def test_a_buffer_that_lies_is_an_error_and_is_released(what):
    exporter = Exporter(**{**dict(memory=MEMORY, itemsize=4, text=b"i"), **BAD_BUFFERS[what]})
    check_refused(lambda: exporter, exporter)
    assert exporter.requests[0] & 1 == 0  # asked for nothing that it would have to refuse
    assert exporter.held == 0


def test_a_good_buffer_is_held_as_long_as_it_is_seen():
    exporter = Exporter(MEMORY, 24, 4, b"i", shape=(2, 3), strides=(12, 4), suboffsets=(-1, -1))
    view = ndbuf.view(exporter)
    part = view[1]
    del view
    assert exporter.held == 1
    assert part.tolist() == memoryview(MEMORY[12:24]).cast("i").tolist()
    del part
    assert exporter.held == 0
    assert_no_leak(lambda: ndbuf.view(exporter)[0], exporter, times=2000)


def test_a_format_of_another_size_than_the_items_says_nothing_of_them():
    view = ndbuf.view(Exporter(MEMORY, 12, 2, b"i", shape=(2, 3)))
    assert (view.itemsize, view.tobytes()) == (2, bytes(MEMORY[:12]))
    with pytest.raises(BufferError):
        view.__dlpack__()


# -- NumPy's dicts --


class With:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


ADDRESS = ctypes.addressof(ctypes.c_char.from_buffer(MEMORY))
GOOD = {"version": 3, "shape": (2, 3), "typestr": "<i4", "data": (ADDRESS, False)}
BAD_INTERFACES = {
    "nothing": {key: None for key in GOOD},
    "no shape": {"shape": None},
    "no typestr": {"typestr": None},
    "a shape of text": {"shape": "ab"},
    "a shape of floats": {"shape": (2.0, 3.0)},
    "a negative extent": {"shape": (-2, 3)},
    "more than 2^63 items": {"shape": (2 ** 62, 2 ** 62)},
    "an extent beyond 63 bits": {"shape": (2 ** 70,)},
    "65 axes": {"shape": (1,) * 65},
    "no address": {"data": (0, False)},
    "an address of text": {"data": ("abc", False)},
    "an address beyond 64 bits": {"data": (2 ** 64, False)},
    "data of one entry": {"data": (ADDRESS,)},
    "data of three entries": {"data": (ADDRESS, False, 0)},
    "data that is no buffer": {"data": 5.5},
    "too few strides": {"strides": (4,)},
    "too many strides": {"strides": (12, 4, 4)},
    "strides of text": {"strides": ("12", "4")},
    "strides beyond 63 bits": {"strides": (2 ** 63 - 1, 4)},
    "a typestr of bytes": {"typestr": b"<i4"},
    "a typestr of numbers": {"typestr": 4},
    "an empty typestr": {"typestr": ""},
    "an unknown byte order": {"typestr": "!i4"},
    "an unknown kind": {"typestr": "<q8"},
    "an unknown size": {"typestr": "<i3"},
    "a size beyond 63 bits": {"typestr": "<V99999999999999999999"},
    "bit fields": {"typestr": "|t4"},
    "objects": {"typestr": "|O8"},
    "a mask": {"mask": object()},
    "a descr of numbers": {"typestr": "|V4", "descr": 5},
    "a descr of short entries": {"typestr": "|V4", "descr": [("a",)]},
    "a descr of other sizes": {"typestr": "|V8", "descr": [("a", "<i4")]},
    "a descr of unknown types": {"typestr": "|V4", "descr": [("a", "<q4")]},
    "a name with a colon": {"typestr": "|V4", "descr": [("a:i", "<i4")]},
    "a descr of itself": {"typestr": "|V4", "descr": "itself"},
}


def bad_interface(what):
    interface = {**GOOD, **BAD_INTERFACES[what]}
    for key in [key for key, value in interface.items() if value is None]:
        del interface[key]
    if interface.get("descr") == "itself":
        interface["descr"] = []
        interface["descr"].append(("a", interface["descr"]))
    return interface


@pytest.mark.parametrize("protocol", ["__array_interface__", "__cuda_array_interface__"])
@pytest.mark.parametrize("what", BAD_INTERFACES)
def test_an_interface_of_nonsense_is_an_error(what, protocol):
    interface = bad_interface(what)
    owner = With(**{protocol: interface})
    with pytest.raises(ERRORS + (RecursionError,)):
        ndbuf.view(owner)
    assert_no_leak(lambda: raises(owner), owner, times=500)


def raises(owner):
    try:
        ndbuf.view(owner)
    except ERRORS + (RecursionError,):
        return
    raise AssertionError("no error any more")


BAD_RANGES = {
    "a buffer too small": dict(data=MEMORY[:23]),
    "an offset that leads outside": dict(data=MEMORY[:24], offset=4),
    "an offset before the buffer": dict(data=MEMORY, offset=-4),
    "strides that lead outside": dict(data=MEMORY, strides=(32, 16)),
    "strides that lead before": dict(data=MEMORY, strides=(-12, 4)),
    "an offset of text": dict(data=MEMORY, offset="4"),
    "an offset beyond 63 bits": dict(data=MEMORY, offset=2 ** 70),
}


@pytest.mark.parametrize("what", BAD_RANGES)
def test_an_interface_that_leaves_its_buffer_is_an_error(what):
    owner = With(__array_interface__={**GOOD, **BAD_RANGES[what]})
    check_refused(lambda: owner, owner)


def test_an_interface_over_a_buffer_keeps_it():
    memory = bytearray(MEMORY)
    view = ndbuf.view(With(__array_interface__={**GOOD, "data": memory, "offset": 16, "strides": (-12, 4)}))
    assert view.tolist() == [memoryview(memory[start:start + 12]).cast("i").tolist() for start in (16, 4)]
    with pytest.raises(BufferError):
        memory.append(1)
    del view
    memory.append(1)


def test_an_interface_over_a_buffer_takes_any_contiguous_one():
    for shape, text in (((0, 3), "i"), ((), "q"), ((2, 2), ">i"), (2, "T{i:a:i:b:}")):
        data = ndbuf.zeros(shape, text)
        nitems = data.nbytes // 4
        view = ndbuf.view(With(__array_interface__={**GOOD, "data": data, "shape": (nitems,)}))
        assert view.tolist() == [0] * nitems
        view[:] = 7
        assert data.tobytes() == view.tobytes()
    for data in (memoryview(MEMORY)[::-1], ndbuf.zeros((6, 4)).T):
        owner = With(__array_interface__={**GOOD, "data": data, "shape": (2,)})
        check_refused(lambda: owner, owner, match="not C-contiguous")


def test_an_interface_keeps_its_owner():
    gone = []

    class Owner(With):
        def __del__(self):
            gone.append(self.__class__)

    view = ndbuf.view(Owner(__array_interface__=GOOD))
    assert not gone
    assert view[1, 2] == int.from_bytes(MEMORY[20:24], "little")
    del view
    assert gone


@pytest.mark.parametrize("error", [RuntimeError, BufferError, MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("protocol", ["__array_interface__", "__array_struct__", "__cuda_array_interface__"])
def test_what_a_property_raises_is_what_the_consumer_raises(protocol, error):
    def get(self):
        raise error("mine")

    owner = type("Raising", (), {protocol: property(get)})()
    with pytest.raises(error, match="mine"):
        ndbuf.view(owner)


# -- the capsule of __array_struct__ --


class ArrayStruct(ctypes.Structure):
    _fields_ = [("two", ctypes.c_int), ("ndim", ctypes.c_int), ("kind", ctypes.c_char), ("itemsize", ctypes.c_int),
                ("flags", ctypes.c_int), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
                ("data", ctypes.c_void_p), ("descr", ctypes.c_void_p)]


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
SHAPE = (ctypes.c_ssize_t * 2)(2, 3)
NATIVE_AND_WRITABLE = 0x600
BAD_STRUCTS = {
    "not two": dict(two=3),
    "negative ndim": dict(ndim=-1),
    "65 axes": dict(ndim=65),
    "no shape": dict(shape=None),
    "no data": dict(data=None),
    "a negative item size": dict(itemsize=-4),
    "an unknown size": dict(itemsize=3),
    "an unknown kind": dict(kind=b"q"),
    "a kind that is no text": dict(kind=b"\xff"),
    "objects": dict(kind=b"O", itemsize=8),
    "text of half a character": dict(kind=b"U", itemsize=6),
}


def struct_with(**what):
    fields = dict(two=2, ndim=2, kind=b"i", itemsize=4, flags=NATIVE_AND_WRITABLE, shape=ctypes.addressof(SHAPE),
                  data=ADDRESS)
    array = ArrayStruct(**{**fields, **what})
    owner = With(array=array)
    owner.__array_struct__ = _new_capsule(ctypes.addressof(array), None, None)
    return owner


@pytest.mark.parametrize("what", BAD_STRUCTS)
def test_a_struct_of_nonsense_is_an_error(what):
    owner = struct_with(**BAD_STRUCTS[what])
    check_refused(lambda: owner, owner)


def test_a_good_struct_is_read():
    view = ndbuf.view(struct_with())
    assert view.tolist() == memoryview(MEMORY[:24]).cast("i", (2, 3)).tolist()
    assert not view.readonly
    assert ndbuf.view(struct_with(flags=0)).format == ">i"


@pytest.mark.parametrize("capsule", [None, 5, "text", b"bytes"], ids=repr)
def test_a_struct_that_is_no_capsule_is_an_error(capsule):
    with pytest.raises(ERRORS):
        ndbuf.view(With(__array_struct__=capsule))
